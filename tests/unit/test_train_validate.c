/* Validation against figures worked by hand, its intervals against simulation, the verdict of comparisons. */
#include "train/validate.h"
#include "train/validate_parts.h"
#include "eval/stats.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

static void close_to(double got, double want, double bound)
{
    if (!(fabs(got - want) <= bound))
        fail_msg("got %.17g, want %.17g within %g", got, want, bound);
}

/* A unit vector in the plane. */
static void at_angle(float *e, double degrees)
{
    e[0] = (float)cos(degrees * 3.14159265358979323846 / 180);
    e[1] = (float)sin(degrees * 3.14159265358979323846 / 180);
}

static double normal(mien__rng *r)
{
    const double u = 1 - mien__rng_unit(r), v = mien__rng_unit(r);
    return sqrt(-2 * log(u)) * cos(2 * 3.14159265358979323846 * v);
}

/* People as random directions, pictures scattered around them; noise per person varies. */
static float *people_new(size_t people, size_t each, int dim, double noise, uint64_t seed, int32_t *labels)
{
    float *const e = mien_alloc_array(people * each * (size_t)dim, sizeof *e);
    assert_non_null(e);
    double centre[64];
    mien__rng r;
    mien__rng_seed(&r, seed);
    for (size_t p = 0; p < people; p++) {
        for (int k = 0; k < dim; k++)
            centre[k] = normal(&r);
        const double spread = noise * (0.5 + mien__rng_unit(&r));
        for (size_t i = 0; i < each; i++) {
            float *const row = e + (p * each + i) * (size_t)dim;
            double sum = 0;
            for (int k = 0; k < dim; k++) {
                row[k] = (float)(centre[k] + spread * normal(&r));
                sum += (double)row[k] * (double)row[k];
            }
            for (int k = 0; k < dim; k++)
                row[k] = (float)(row[k] / sqrt(sum));
            labels[p * each + i] = (int32_t)p;
        }
    }
    return e;
}

/* ---- closed set ---- */

/* Three people at 0, 90 and 180 degrees, four pictures each, the last two are probes. One probe of person 5
 * looks like 7, one of 7 like 9; a fourth person has one picture, one row has no label. */
static void closed_set_by_hand(void **state)
{
    (void)state;
    static const double angles[] = { 0, 2, 1, 80, 90, 92, 91, 170, 180, 182, 179, 181, 45, 33 };
    static const int32_t labels[] = { 5, 5, 5, 5, 7, 7, 7, 7, 9, 9, 9, 9, 2, -1 };
    float e[14][2];
    for (int i = 0; i < 14; i++)
        at_angle(e[i], angles[i]);
    mien__validate_opts o = MIEN__VALIDATE_OPTS_INIT;
    mien__validation v;
    assert_int_equal(mien__validate(e[0], labels, 14, 2, &o, &v, NULL), MIEN_OK);
    const mien__val_closed *const c = &v.closed;
    assert_true(c->done);
    assert_int_equal(c->n_people, 3);
    assert_int_equal(c->n_left_out, 1);
    assert_int_equal(c->n_enrolled, 6);
    assert_int_equal(c->n_probes, 6);
    assert_int_equal(c->n_right, 4);
    close_to(c->accuracy.value, 4.0 / 6, 1e-15);
    close_to(c->accuracy.lo, 0.2227781, 1e-6); /* binom.test(4, 6) in R */
    close_to(c->accuracy.hi, 0.9567281, 1e-6);
    close_to(c->precision.value, (1 + 1.0 / 2 + 2.0 / 3) / 3, 1e-15);
    close_to(c->recall.value, (0.5 + 0.5 + 1) / 3, 1e-15);
    close_to(c->f1.value, (2.0 / 3 + 0.5 + 0.8) / 3, 1e-15);
    assert_true(c->recall.lo >= 0.5 && c->recall.hi <= 1 && c->recall.lo < c->recall.hi);
    assert_int_equal(c->n_top, 2);
    assert_int_equal(c->top[0].actual, 5);
    assert_int_equal(c->top[0].predicted, 7);
    assert_int_equal(c->top[1].actual, 7);
    assert_int_equal(c->top[1].predicted, 9);
    static const uint32_t want[9] = { 1, 1, 0, 0, 1, 1, 0, 0, 2 };
    assert_memory_equal(c->matrix, want, sizeof want);
    assert_int_equal(c->matrix_labels[1], 7);
    mien__validation_clear(&v);
}

/* ---- open set ---- */

/* Pairs in full: scores, counts and rates as a double loop and the plain functions of src/eval find them. */
static void open_set_matches_plain_evaluation(void **state)
{
    (void)state;
    enum { N = 60, EACH = 6, DIM = 8 };
    int32_t labels[N];
    float *const e = people_new(N / EACH, EACH, DIM, 1.1, 3, labels);
    double *const mated = mien_alloc_array(N * N, sizeof *mated);
    double *const other = mien_alloc_array(N * N, sizeof *other);
    size_t n_mated = 0, n_other = 0;
    for (int i = 0; i < N; i++)
        for (int j = i + 1; j < N; j++) {
            double s = 0;
            for (int k = 0; k < DIM; k++)
                s += (double)e[i * DIM + k] * (double)e[j * DIM + k];
            *(labels[i] == labels[j] ? &mated[n_mated++] : &other[n_other++]) = s;
        }
    mien__sort_f64(mated, n_mated);
    mien__sort_f64(other, n_other);
    mien__validate_opts o = MIEN__VALIDATE_OPTS_INIT;
    o.folds = 2;
    mien__validation v;
    assert_int_equal(mien__validate(e, labels, N, DIM, &o, &v, NULL), MIEN_OK);
    const mien__val_open *const r = &v.open;
    assert_int_equal(r->n_mated, n_mated);
    assert_int_equal(r->n_nonmated, n_other);
    for (int f = 0; f < 2; f++) {
        const double far = f ? 1e-3 : 1e-2;
        const double t = mien__threshold_for(other, n_other, (size_t)floor(far * (double)n_other));
        close_to(r->at[f].threshold, t, 0);
        close_to(r->at[f].fnmr.value, 1 - (double)mien__count_at_least(mated, n_mated, t) / (double)n_mated,
                 1e-15);
    }
    assert_true(r->at[0].supported);
    assert_false(r->at[1].supported); /* 1620 pairs; 3000 are needed */
    close_to(r->auc, mien__auc(mated, n_mated, other, n_other), 0);
    close_to(r->eer, mien__eer(mated, n_mated, other, n_other), 0);
    uint64_t sum = 0;
    for (int i = 0; i < MIEN__VAL_BINS; i++)
        sum += r->hist_mated[i];
    assert_int_equal(sum, n_mated);
    assert_true(isnan(r->det_fnmr[0]));
    for (int i = 1; i < MIEN__VAL_DET; i++)
        assert_true(isnan(r->det_fnmr[i - 1]) || r->det_fnmr[i] <= r->det_fnmr[i - 1]);
    assert_int_equal(r->folds, 2);
    assert_true(r->pair_accuracy > 0.5 && r->pair_accuracy <= 1);
    mien__validation_clear(&v);
    mien_free(other);
    mien_free(mated);
    mien_free(e);
}

/* A weight of k is the same as the person standing in the list k times (and not paired with its copies). */
static void weights_stand_for_copies(void **state)
{
    (void)state;
    static mien__vpair mated[] = { { 0.2, 1, 1 }, { 0.5, 0, 0 }, { 0.9, 2, 2 } };
    static mien__vpair other[] = { { 0.1, 0, 1 }, { 0.3, 0, 2 }, { 0.6, 1, 2 } };
    const mien__vpairs v = { mated, other, 3, 3, 3, 3 };
    static const uint32_t weight[] = { 1, 0, 3 };
    double t, fnmr; /* non-mated: 0.3 three times; mated: 0.5 once, 0.9 three times */
    assert_true(mien__weighted_fnmr(&v, weight, 0.5, &t, &fnmr));
    assert_true(t > 0.3 && t < 0.3 + 1e-12);
    close_to(fnmr, 0, 0);
    static const uint32_t second[] = { 1, 1, 1 };
    assert_true(mien__weighted_fnmr(&v, second, 1.0 / 3, &t, &fnmr));
    close_to(t, 0.45, 1e-15);
    close_to(fnmr, 1.0 / 3, 1e-15);
    static const uint32_t alone[] = { 0, 3, 0 };
    assert_false(mien__weighted_fnmr(&v, alone, 0.5, &t, &fnmr));
}

static void sampled_pairs_are_distinct_and_of_their_kind(void **state)
{
    (void)state;
    enum { N = 300 };
    int32_t labels[N];
    for (int i = 0; i < N; i++)
        labels[i] = (i * 7919) % 41;
    mien__people p;
    mien__vpairs v;
    assert_int_equal(mien__people_new(labels, N, &p, NULL), MIEN_OK);
    assert_int_equal(mien__vpairs_new(&p, 500, 1, &v, NULL), MIEN_OK);
    assert_int_equal(v.n_mated, 500);
    assert_int_equal(v.n_nonmated, 500);
    assert_int_equal(v.total_mated + v.total_nonmated, N * (N - 1) / 2);
    for (size_t i = 0; i < 500; i++) {
        assert_int_equal(labels[p.rows[v.mated[i].a]], labels[p.rows[v.mated[i].b]]);
        assert_int_not_equal(labels[p.rows[v.nonmated[i].a]], labels[p.rows[v.nonmated[i].b]]);
        assert_true(v.nonmated[i].a < v.nonmated[i].b);
        if (i > 0)
            assert_true(v.nonmated[i].a > v.nonmated[i - 1].a ||
                        (v.nonmated[i].a == v.nonmated[i - 1].a && v.nonmated[i].b > v.nonmated[i - 1].b));
    }
    mien__vpairs_clear(&v);
    mien__people_clear(&p);
}

/* Of 60 samples of people the 95 % interval must hold the population's FNMR in most: fewer than 48 of 60 has
 * a probability below 1e-5 if the coverage is 95 %, and about 2 % if it is 87 %. */
static void bootstrap_interval_covers_the_population(void **state)
{
    (void)state;
    enum { PEOPLE = 40, EACH = 5, DIM = 8, MANY = 1200, RUNS = 60 };
    int32_t *const labels = mien_alloc_array(MANY * EACH, sizeof *labels);
    float *const all = people_new(MANY, EACH, DIM, 0.35, 99, labels);
    mien__validate_opts o = MIEN__VALIDATE_OPTS_INIT;
    o.resamples = 10;
    o.folds = 0;
    mien__validation truth, v;
    assert_int_equal(mien__validate(all, labels, MANY * EACH, DIM, &o, &truth, NULL), MIEN_OK);
    const double want = truth.open.at[0].fnmr.value;
    assert_true(want > 0.05 && want < 0.6);
    o.resamples = 300;
    int covered = 0;
    for (int run = 0; run < RUNS; run++) {
        float *const e = people_new(PEOPLE, EACH, DIM, 0.35, 1000 + (uint64_t)run, labels);
        assert_int_equal(mien__validate(e, labels, PEOPLE * EACH, DIM, &o, &v, NULL), MIEN_OK);
        covered += v.open.at[0].fnmr.lo <= want && want <= v.open.at[0].fnmr.hi;
        mien__validation_clear(&v);
        mien_free(e);
    }
    if (covered < 48)
        fail_msg("%d of %d intervals hold %g", covered, RUNS, want);
    print_message("%d of %d intervals hold the population's FNMR %.3f\n", covered, RUNS, want);
    mien__validation_clear(&truth);
    mien_free(all);
    mien_free(labels);
}

static void no_error_seen_is_not_an_error_rate_of_zero(void **state)
{
    (void)state;
    enum { N = 40 };
    int32_t labels[N];
    float *const e = people_new(10, 4, 32, 0.01, 5, labels);
    mien__validate_opts o = MIEN__VALIDATE_OPTS_INIT;
    mien__validation v;
    assert_int_equal(mien__validate(e, labels, N, 32, &o, &v, NULL), MIEN_OK);
    close_to(v.open.at[0].fnmr.value, 0, 0);
    close_to(v.open.at[0].fnmr.lo, 0, 0);
    close_to(v.open.at[0].fnmr.hi, 1 - pow(0.025, 0.1), 1e-9); /* ten people */
    mien__validation_clear(&v);
    mien_free(e);
}

static void threads_do_not_change_a_byte(void **state)
{
    (void)state;
    enum { N = 400 };
    int32_t labels[N];
    float *const e = people_new(80, 5, 16, 0.6, 8, labels);
    mien__validate_opts o = MIEN__VALIDATE_OPTS_INIT;
    o.resamples = 100;
    mien__validation v[2];
    mien__buf json[2];
    for (unsigned i = 0; i < 2; i++) {
        mien__pool *pool = NULL;
        assert_int_equal(mien__pool_new(&pool, i ? 7 : 1, NULL), MIEN_OK);
        o.pool = pool;
        assert_int_equal(mien__validate(e, labels, N, 16, &o, &v[i], NULL), MIEN_OK);
        mien__text t;
        mien__text_init(&t, 1 << 20, NULL);
        mien__validation_json(&v[i], NULL, 0, &t);
        assert_int_equal(mien__text_take(&t, &json[i]), MIEN_OK);
        mien__pool_free(pool);
    }
    assert_int_equal(json[0].size, json[1].size);
    assert_memory_equal(json[0].data, json[1].data, json[0].size);
    assert_null(v[0].closed.matrix); /* 80 people: the list alone */
    for (int i = 0; i < 2; i++) {
        mien__buf_free(&json[i]);
        mien__validation_clear(&v[i]);
    }
    mien_free(e);
}

/* ---- comparison ---- */

static mien__verdict compare(size_t people, double noise_before, double noise_after, mien__comparison *c)
{
    int32_t labels[1000];
    float *const a = people_new(people, 5, 16, noise_before, 1, labels);
    float *const b = people_new(people, 5, 16, noise_after, 1, labels);
    mien__validate_opts o = MIEN__VALIDATE_OPTS_INIT;
    o.resamples = 400;
    assert_int_equal(mien__compare(a, 16, b, 16, labels, people * 5, &o, c, NULL), MIEN_OK);
    mien_free(b);
    mien_free(a);
    return c->verdict;
}

static void compare_gives_the_right_verdict(void **state)
{
    (void)state;
    mien__comparison c;
    assert_int_equal(compare(60, 0.8, 0.5, &c), MIEN__BETTER);
    assert_true(c.difference.value < 0 && c.difference.lo <= c.difference.value &&
                c.difference.value <= c.difference.hi);
    close_to(c.difference.value, c.fnmr_after - c.fnmr_before, 0);
    assert_int_equal(compare(60, 0.5, 0.8, &c), MIEN__WORSE);
    assert_int_equal(compare(60, 0.7, 0.7, &c), MIEN__NOT_SHOWN);
    close_to(c.difference.hi, 0, 0); /* the same model: no difference in any resample */
    close_to(c.difference.lo, 0, 0);
    assert_int_equal(compare(5, 0.9, 0.1, &c), MIEN__NOT_SHOWN); /* too few people whatever they show */
}

/* ---- refusals and printing ---- */

static void validate_refuses_what_it_cannot_measure(void **state)
{
    (void)state;
    static const float good[4][2] = { { 1, 0 }, { 0, 1 }, { 1, 0 }, { 0, 1 } };
    static const float nan_row[4][2] = { { 1, 0 }, { 0, NAN }, { 1, 0 }, { 0, 1 } };
    static const float zero_row[4][2] = { { 1, 0 }, { 0, 0 }, { 1, 0 }, { 0, 1 } };
    static const int32_t one[] = { 3, 3, 3, 3 }, single[] = { 0, 1, 2, 3 }, two[] = { 0, 1, 0, 1 },
                         skip[] = { 0, -1, 0, 1 };
    mien__validate_opts o = MIEN__VALIDATE_OPTS_INIT;
    mien__validation v;
    memset(&v, 0x5a, sizeof v);
    const mien__validation was = v;
    mien_error err = MIEN_ERROR_INIT;
    assert_int_equal(mien__validate(good[0], one, 4, 2, &o, &v, &err), MIEN_E_EVAL_DATA);
    assert_int_equal(mien__validate(good[0], single, 4, 2, &o, &v, &err), MIEN_E_EVAL_DATA);
    assert_int_equal(mien__validate(good[0], two, 0, 2, &o, &v, &err), MIEN_E_EVAL_DATA);
    assert_int_equal(mien__validate(nan_row[0], two, 4, 2, &o, &v, &err), MIEN_E_EVAL_DATA);
    assert_non_null(strstr(err.message, "embedding 1"));
    assert_int_equal(mien__validate(zero_row[0], two, 4, 2, &o, &v, &err), MIEN_E_EVAL_DATA);
    assert_int_equal(mien__validate(NULL, two, 4, 2, &o, &v, &err), MIEN_E_ARG);
    o.resamples = 0;
    assert_int_equal(mien__validate(good[0], two, 4, 2, &o, &v, &err), MIEN_E_ARG);
    assert_memory_equal(&v, &was, sizeof v);
    o.resamples = 10;
    assert_int_equal(mien__validate(nan_row[0], skip, 4, 2, &o, &v, &err),
                     MIEN_OK); /* not labelled: not read */
    assert_false(v.closed.done);
    mien__validation_clear(&v);
}

static void table_shows_both_and_the_verdict(void **state)
{
    (void)state;
    mien__validation v[2];
    memset(v, 0, sizeof v);
    v[0].open.at[0].fnmr = (mien_eval_rate){ 0.1234, 0.1, 0.15 };
    v[1].open.at[0].fnmr = (mien_eval_rate){ 0.0567, 0.04, 0.08 };
    v[0].open.at[0].supported = v[1].open.at[0].supported = true;
    const mien__comparison c = { 0.1234, 0.0567, { -0.0667, -0.09, -0.04 }, 40, 40, MIEN__BETTER };
    mien__buf b;
    assert_int_equal(mien__validation_table(&v[0], &v[1], &c, &b, NULL), MIEN_OK);
    assert_int_equal(mien__buf_append(&b, "", 1, NULL), MIEN_OK);
    const char *const text = (const char *)b.data;
    assert_non_null(
        strstr(text, "FNMR at FAR 1 %         12.34 % [10.00, 15.00]      5.67 % [4.00, 8.00]\n"));
    assert_non_null(strstr(text, "The new model is better on 40 held-out people"));
    assert_non_null(strstr(text, "too few non-mated pairs"));
    mien__buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closed_set_by_hand),
        cmocka_unit_test(open_set_matches_plain_evaluation),
        cmocka_unit_test(weights_stand_for_copies),
        cmocka_unit_test(sampled_pairs_are_distinct_and_of_their_kind),
        cmocka_unit_test(bootstrap_interval_covers_the_population),
        cmocka_unit_test(no_error_seen_is_not_an_error_rate_of_zero),
        cmocka_unit_test(threads_do_not_change_a_byte),
        cmocka_unit_test(compare_gives_the_right_verdict),
        cmocka_unit_test(validate_refuses_what_it_cannot_measure),
        cmocka_unit_test(table_shows_both_and_the_verdict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
