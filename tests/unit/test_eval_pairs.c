/* Verification figures on pairs made by hand, and the calibration's refusals. */
#include "base/base.h"
#include <mien/eval.h>
#include <mien/model.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

static void close_to(double got, double want, double bound)
{
    if (!(fabs(got - want) <= bound))
        fail_msg("got %.17g, want %.17g within %g", got, want, bound);
}

/* Two folds whose best thresholds differ: each is judged by the other's. */
static void pairs_two_folds_use_the_other_folds_threshold(void **state)
{
    (void)state;
    static const mien_eval_pair p[] = {
        { 0.9, 1, 0, 0 }, { 0.8, 1, 0, 0 }, { 0.1, 0, 0, 0 }, { 0.6, 0, 0, 0 }, /* best t = 0.7 */
        { 0.5, 1, 1, 0 }, { 0.4, 1, 1, 0 }, { 0.1, 0, 1, 0 }, { 0.2, 0, 1, 0 }, /* best t = 0.3 */
    };
    mien_eval_result r;
    assert_int_equal(mien_eval_pairs(p, 8, 2, &r, NULL), MIEN_OK);
    close_to(r.threshold, (0.3 + 0.7) / 2, 1e-12);
    close_to(r.accuracy, (0.75 + 0.5) / 2, 1e-12); /* fold 0 at 0.3: one wrong; fold 1 at 0.7: two */
    close_to(r.accuracy_std, 0.125, 1e-12);
    close_to(r.precision, 2.0 / 3, 1e-12);
    close_to(r.recall, 0.5, 1e-12);
    close_to(r.f1, 4.0 / 7, 1e-12);
    close_to(r.auc, 14.0 / 16, 1e-12);
    assert_int_equal(r.n_mated, 4);
    assert_int_equal(r.n_nonmated, 4);
}

static void pairs_one_fold_chooses_on_itself(void **state)
{
    (void)state;
    static const mien_eval_pair p[] = {
        { 0.9, 1, 0, 0 }, { 0.2, 1, 0, 0 }, { 0.1, 0, 0, 0 }, { 0.3, 0, 0, 0 }
    };
    mien_eval_result r;
    assert_int_equal(mien_eval_pairs(p, 4, 1, &r, NULL), MIEN_OK);
    close_to(r.accuracy, 0.75, 1e-12);
    close_to(r.threshold, 0.6, 1e-12); /* of the two best gaps (0.1-0.2, 0.3-0.9) the wider */
}

/* A picture without a face is decided "different": wrong for mated pairs, right for others. */
static void pairs_failed_count_as_different(void **state)
{
    (void)state;
    static const mien_eval_pair p[] = {
        { 0.9, 1, 0, 0 }, { NAN, 1, 0, 1 }, { 0.1, 0, 0, 0 }, { 5, 0, 0, 1 }, { 0.2, 0, 0, 0 },
    };
    mien_eval_result r;
    assert_int_equal(mien_eval_pairs(p, 5, 1, &r, NULL), MIEN_OK);
    close_to(r.accuracy, 0.8, 1e-12);
    close_to(r.recall, 0.5, 1e-12);
    assert_int_equal(r.n_failed, 2);
    assert_int_equal(r.n_mated, 1);
    assert_int_equal(r.n_nonmated, 2);
    close_to(r.tar_at_far_1e3.value, 1, 0);
}

static void pairs_order_does_not_matter(void **state)
{
    (void)state;
    mien_eval_pair p[300], q[300];
    mien__rng rng;
    mien__rng_seed(&rng, 21);
    for (int i = 0; i < 300; i++) {
        const int mated = (int)(mien__rng_u64(&rng) & 1);
        p[i] = (mien_eval_pair){ floor(40 * mien__rng_unit(&rng)) / 40 + 0.4 * mated, mated, i % 10,
                                 i % 37 == 0 };
        q[299 - i] = p[i];
    }
    mien_eval_result a, b;
    assert_int_equal(mien_eval_pairs(p, 300, 10, &a, NULL), MIEN_OK);
    assert_int_equal(mien_eval_pairs(q, 300, 10, &b, NULL), MIEN_OK);
    assert_memory_equal(&a, &b, sizeof a);
    assert_true(a.accuracy > 0.6 && a.accuracy < 0.95);
}

static void pairs_bad_data_is_refused(void **state)
{
    (void)state;
    mien_eval_pair p[2] = { { 0.9, 1, 0, 0 }, { 0.2, 1, 0, 0 } };
    mien_eval_result r;
    mien_error err = MIEN_ERROR_INIT;
    assert_int_equal(mien_eval_pairs(p, 2, 1, &r, &err), MIEN_E_EVAL_DATA);
    p[1].mated = 0;
    p[1].score = NAN;
    assert_int_equal(mien_eval_pairs(p, 2, 1, &r, &err), MIEN_E_EVAL_DATA);
    p[1].score = 0.1;
    p[1].fold = 1;
    assert_int_equal(mien_eval_pairs(p, 2, 1, &r, &err), MIEN_E_ARG);
    p[1].fold = 0;
    assert_int_equal(mien_eval_pairs(p, 2, 0, &r, &err), MIEN_E_ARG);
    assert_int_equal(mien_eval_pairs(NULL, 0, 1, &r, &err), MIEN_E_ARG);
    assert_int_equal(mien_eval_pairs(p, 2, 1, &r, &err), MIEN_OK);
}

static void calibrate_points_hold_on_the_sample(void **state)
{
    (void)state;
    enum { N = 30000 };
    double *v = mien_alloc_array(N, sizeof *v);
    mien__rng rng;
    mien__rng_seed(&rng, 4);
    for (int i = 0; i < N; i++)
        v[i] = mien__rng_unit(&rng); /* uniform: the threshold of rate f is 1 - f */
    static const double fmrs[] = { 1e-4, 1e-3, 1e-2, 1e-1 };
    mien_operating_point pt[4];
    assert_int_equal(mien_eval_calibrate(v, N, fmrs, 4, pt, NULL), MIEN_OK);
    for (int i = 0; i < 4; i++) {
        int reached = 0;
        for (int k = 0; k < N; k++)
            reached += v[k] >= pt[i].threshold;
        assert_int_equal(reached, (int)floor(fmrs[i] * N + 1e-9));
        assert_true(pt[i].fmr_lo < fmrs[i] && fmrs[i] < pt[i].fmr_hi);
    }
    mien_free(v);
}

/* Over many samples the 95 % interval holds the true rate about as often as it says. */
static void calibrate_interval_covers_the_true_rate(void **state)
{
    (void)state;
    enum { N = 2000, ROUNDS = 400 };
    static const double fmr = 0.01;
    double *v = mien_alloc_array(N, sizeof *v);
    mien__rng rng;
    mien__rng_seed(&rng, 4);
    int covered = 0;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < N; i++)
            v[i] = mien__rng_unit(&rng);
        mien_operating_point pt;
        assert_int_equal(mien_eval_calibrate(v, N, &fmr, 1, &pt, NULL), MIEN_OK);
        covered += 1 - pt.threshold >= pt.fmr_lo && 1 - pt.threshold <= pt.fmr_hi;
    }
    assert_in_range(covered, ROUNDS * 92 / 100, ROUNDS * 99 / 100);
    mien_free(v);
}

static void calibrate_too_few_pairs_are_refused(void **state)
{
    (void)state;
    static const double v[] = { 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 0.3, 0.2 };
    static const double tenth[] = { 0.1 }, quarter[] = { 0.25 }, down[] = { 0.5, 0.25 };
    mien_operating_point pt[2] = { { 0, -7, 0, 0 } };
    mien_error err = MIEN_ERROR_INIT;
    assert_int_equal(mien_eval_calibrate(v, 12, tenth, 1, pt, &err), MIEN_E_EVAL_DATA);
    assert_non_null(strstr(err.message, "30 are needed"));
    assert_true(pt[0].threshold == -7);
    assert_int_equal(mien_eval_calibrate(v, 12, down, 2, pt, &err), MIEN_E_ARG);
    assert_int_equal(mien_eval_calibrate(v, 12, quarter, 1, pt, &err), MIEN_OK);
    close_to(pt[0].threshold, 0.75, 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_two_folds_use_the_other_folds_threshold),
        cmocka_unit_test(pairs_one_fold_chooses_on_itself),
        cmocka_unit_test(pairs_failed_count_as_different),
        cmocka_unit_test(pairs_order_does_not_matter),
        cmocka_unit_test(pairs_bad_data_is_refused),
        cmocka_unit_test(calibrate_points_hold_on_the_sample),
        cmocka_unit_test(calibrate_interval_covers_the_true_rate),
        cmocka_unit_test(calibrate_too_few_pairs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
