/* Fitting curves: against distributions whose rates are known, and against data that support nothing. */
#include "decide/curve.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SEED 20261124u

static double normal(mien__rng *rng)
{
    const double u = 1 - mien__rng_unit(rng), v = mien__rng_unit(rng);
    return sqrt(-2 * log(u)) * cos(2 * acos(-1.0) * v);
}

/* Scores of every two of n people, `times` each: a share of the variance lies with each person. */
static size_t simulate(mien__rng *rng, size_t n, size_t times, double share, mien_curve_trial *ret)
{
    double own[400];
    size_t at = 0;
    for (size_t i = 0; i < n; i++)
        own[i] = sqrt(share / 2) * normal(rng);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            for (size_t k = 0; k < times; k++)
                ret[at++] = (mien_curve_trial){ (float)(own[i] + own[j] + sqrt(1 - share) * normal(rng)),
                                                (uint32_t)j, (uint32_t)i };
    return at;
}

static mien_curve *fit(const mien_curve_trial *trials, size_t n)
{
    mien_curve *c = NULL;
    mien_error err = MIEN_ERROR_INIT;
    if (mien_curve_fit_scores(trials, n, NULL, &c, &err))
        fail_msg("%s", err.message);
    return c;
}

static void tail_of_an_exponential_is_found(void **state)
{
    (void)state;
    enum { N = 20000, M = 2000 };
    mien_curve_trial *t = calloc(N, sizeof *t);
    for (size_t i = 0; i < N; i++)
        t[i].score = (float)(-0.05 * log(((double)i + 0.5) / N));
    mien__tail tail = { 0 };
    assert_true(mien__tail_fit(t, M, N, &tail));
    assert_true(fabs(tail.xi) < 0.02 && fabs(tail.sigma / 0.05 - 1) < 0.02 && fabs(tail.p_u - 0.1) < 1e-12);
    assert_true(fabs(mien__tail_threshold(&tail, 0.1) - tail.u) < 1e-12);
    assert_true(fabs(mien__tail_threshold(&tail, 1e-3) - 0.05 * log(1e3)) < 0.01);
    for (size_t i = 0; i < N; i++)
        t[i].score = 1;
    assert_false(mien__tail_fit(t, M, N, &tail)); /* nothing varies */
    assert_false(mien__tail_fit(t, N, N, &tail));
    free(t);
}

static void rate_interval_is_clopper_pearsons_for_many_people(void **state)
{
    (void)state;
    const mien_estimate e = mien__rate_interval(0.1, 100, 1000000); /* of 10 in 100: [0.0490, 0.1762] */
    assert_true(fabs(e.lo - 0.04900) < 1e-4 && fabs(e.hi - 0.17622) < 1e-4);
    const mien_estimate few = mien__rate_interval(0.1, 100, 5);
    assert_true(few.lo < e.lo && few.hi > e.hi);
    const mien_estimate none = mien__rate_interval(0, 1000, 1000000);
    assert_true(none.lo == 0 && fabs(none.hi - 0.003682) < 1e-5);
}

/* How often the intervals hold the truth, where people differ and where they do not, in the body and in the
 * tail. */
static void intervals_hold_the_truth(void **state)
{
    (void)state;
    enum { RUNS = 200, PEOPLE = 80 };
    static const double shares[] = { 0, 0.15 }, rates[] = { 0.1, 0.01, 0.003 };
    mien_curve_trial *t = calloc(PEOPLE * PEOPLE, sizeof *t);
    mien__rng rng;
    mien__rng_seed(&rng, SEED);
    for (size_t s = 0; s < MIEN_COUNTOF(shares); s++) {
        size_t held[MIEN_COUNTOF(rates)] = { 0 }, asked[MIEN_COUNTOF(rates)] = { 0 };
        for (int run = 0; run < RUNS; run++) {
            mien_curve *c = fit(t, simulate(&rng, PEOPLE, 1, shares[s], t));
            for (size_t r = 0; r < MIEN_COUNTOF(rates); r++) {
                mien_estimate th, e;
                if (mien_curve_threshold(c, rates[r], &th, NULL) != MIEN_OK)
                    continue;
                const double truth = 0.5 * erfc(th.value / sqrt(2.0));
                assert_int_equal(mien_curve_fmr(c, th.value, &e, NULL), MIEN_OK);
                asked[r]++;
                held[r] += e.lo <= truth && truth <= e.hi;
            }
            mien_curve_free(c);
        }
        for (size_t r = 0; r < MIEN_COUNTOF(rates); r++)
            if (asked[r] < RUNS / 2 || held[r] < asked[r] * 90 / 100)
                fail_msg("share %g, rate %g: %zu of %zu intervals hold the truth (seed %u)", shares[s],
                         rates[r], held[r], asked[r], SEED);
    }
    free(t);
}

/* The same people compared more often are worth little more. */
static void repeated_comparisons_do_not_make_people(void **state)
{
    (void)state;
    enum { PEOPLE = 60, TIMES = 8 };
    mien_curve_trial *t = calloc(PEOPLE * PEOPLE * TIMES, sizeof *t);
    mien__rng rng;
    mien__rng_seed(&rng, SEED);
    const size_t n = simulate(&rng, PEOPLE, 1, 0.3, t);
    mien_curve *once = fit(t, n);
    for (size_t k = 1; k < TIMES; k++)
        memcpy(t + k * n, t, n * sizeof *t); /* copies */
    mien_curve *often = fit(t, n * TIMES);
    assert_true(often->info.n_independent < 1.2 * once->info.n_independent);
    assert_true(often->points[0].fmr.value > 0.3 * once->points[0].fmr.value);
    assert_true(once->info.n_independent < (double)n);
    mien_curve_free(once);
    mien_curve_free(often);
    free(t);
}

static void targets_beyond_the_data_are_refused_with_what_could_be_claimed(void **state)
{
    (void)state;
    enum { PEOPLE = 40 };
    static mien_curve_trial t[PEOPLE * PEOPLE];
    mien__rng rng;
    mien__rng_seed(&rng, SEED);
    const size_t n = simulate(&rng, PEOPLE, 1, 0, t); /* 780 comparisons */
    mien_curve_fit_opts opts = MIEN_CURVE_FIT_OPTS_INIT;
    mien_curve *c = NULL;
    mien_error err = MIEN_ERROR_INIT;
    opts.target_fmr = 1e-4;
    assert_int_equal(mien_curve_fit_scores(t, n, &opts, &c, &err), MIEN_E_EVAL_DATA);
    assert_null(c);
    assert_non_null(strstr(err.message, "needs 3/0.0001 = 30000 independent comparisons"));
    assert_non_null(strstr(err.message, "the best claim is 0.0"));
    opts.target_fmr = 0.05;
    assert_int_equal(mien_curve_fit_scores(t, n, &opts, &c, &err), MIEN_OK);
    assert_true(c->points[0].fmr.value >= 3.0 / 780 && c->info.n_people == PEOPLE && c->info.n_nonmated == n);
    mien_curve_free(c);
    c = NULL;
    assert_int_equal(mien_curve_fit_scores(t, 3, NULL, &c, &err), MIEN_E_EVAL_DATA);
    assert_int_equal(mien_curve_fit_scores(t, 0, NULL, &c, &err), MIEN_E_EVAL_DATA);
    t[7].score = NAN;
    assert_int_equal(mien_curve_fit_scores(t, n, NULL, &c, &err), MIEN_E_EVAL_DATA);
    t[7] = (mien_curve_trial){ 0.5f, 3, 3 };
    assert_int_equal(mien_curve_fit_scores(t, n, NULL, &c, &err), MIEN_OK);
    assert_int_equal(c->info.n_mated, 1);
    assert_true(c->points[0].fnmr.value >= 0);
    mien_curve_free(c);
}

/* Templates of people: a common direction gives strangers a positive similarity, a person's own direction its
 * mates, and some people lie nearer to all others. */
enum { DIM = 48 };

static void make_people(mien__rng *rng, size_t n_people, size_t pictures, double wolves, float *vecs,
                        uint32_t *people)
{
    for (size_t p = 0; p < n_people; p++) {
        double own[DIM];
        const double common = 0.15 + wolves * normal(rng);
        for (size_t k = 0; k < DIM; k++)
            own[k] = normal(rng) / sqrt(DIM);
        own[0] += common;
        for (size_t i = 0; i < pictures; i++) {
            float *v = vecs + (p * pictures + i) * DIM;
            double raw[DIM], sum = 0;
            for (size_t k = 0; k < DIM; k++) {
                raw[k] = own[k] + 0.8 * normal(rng) / sqrt(DIM);
                sum += raw[k] * raw[k];
            }
            for (size_t k = 0; k < DIM; k++)
                v[k] = (float)(raw[k] / sqrt(sum));
            people[p * pictures + i] = (uint32_t)(1000 - p); /* any numbers, any order */
        }
    }
}

static void templates_give_pairs_fusion_and_spread(void **state)
{
    (void)state;
    enum { PEOPLE = 150, PICTURES = 3, N = PEOPLE * PICTURES };
    float *vecs = calloc((size_t)N * DIM, sizeof *vecs);
    uint32_t people[N];
    mien__rng rng;
    mien__rng_seed(&rng, SEED);
    double spread[2];
    for (int k = 0; k < 2; k++) {
        mien_curve *c = NULL;
        mien_error err = MIEN_ERROR_INIT;
        make_people(&rng, PEOPLE, PICTURES, k ? 0.35 : 0, vecs, people);
        if (mien_curve_fit(vecs, people, N, DIM, NULL, &c, &err))
            fail_msg("%s", err.message);
        assert_int_equal(c->info.n_people, PEOPLE);
        assert_int_equal(c->info.n_pictures, N);
        assert_int_equal(c->info.n_mated, PEOPLE * 3);
        assert_int_equal(c->info.n_nonmated, N * (N - 1) / 2 - PEOPLE * 3);
        assert_true(c->info.fusion_mated > 0.5 && c->info.fusion_mated < 0.75);
        assert_true(mien__curve_fusion(c, 2) >= 1 && mien__curve_fusion(c, 2) < 1.15);
        spread[k] = c->info.spread;
        mien_curve_free(c);
    }
    if (!(spread[1] > spread[0] + 0.02))
        fail_msg("spread %g of equals, %g of unequals", spread[0], spread[1]);
    free(vecs);
}

static void templates_that_are_no_unit_vectors_or_one_person_are_refused(void **state)
{
    (void)state;
    enum { N = 40 };
    float vecs[N * DIM];
    uint32_t people[N];
    mien__rng rng;
    mien__rng_seed(&rng, SEED);
    make_people(&rng, N, 1, 0, vecs, people);
    mien_curve *c = NULL, *base = NULL;
    mien_curve_fit_opts opts = MIEN_CURVE_FIT_OPTS_INIT;
    mien_error err = MIEN_ERROR_INIT;
    assert_int_equal(mien_curve_fit(vecs, people, N, DIM, NULL, &base, &err), MIEN_OK);
    assert_true(base->info.fusion_mated < 1e-12 && base->info.n_mated == 0);
    base->info.spread = 0.07; /* what forty people do not tell is taken from the base */
    base->info.fusion_mated = 0.6;
    base->info.fusion_other = 0.7;
    opts.base = base;
    opts.protocol = "forty";
    assert_int_equal(mien_curve_fit(vecs, people, 20, DIM, &opts, &c, &err), MIEN_OK);
    assert_true(c->info.spread > 0.069 && c->info.fusion_other > 0.69);
    assert_string_equal(c->info.protocol, "forty");
    mien_curve_free(c);
    c = NULL;
    opts.struct_size = 3;
    assert_int_equal(mien_curve_fit(vecs, people, N, DIM, &opts, &c, &err), MIEN_E_ARG);
    for (size_t i = 0; i < N; i++)
        people[i] = 5;
    assert_int_equal(mien_curve_fit(vecs, people, N, DIM, NULL, &c, &err), MIEN_E_EVAL_DATA);
    people[0] = 4;
    vecs[3] = NAN;
    assert_int_equal(mien_curve_fit(vecs, people, N, DIM, NULL, &c, &err), MIEN_E_EVAL_DATA);
    vecs[3] = 9;
    assert_int_equal(mien_curve_fit(vecs, people, N, DIM, NULL, &c, &err), MIEN_E_EVAL_DATA);
    assert_null(c);
    mien_curve_free(base);
}

/* Above the limits of one fit an even choice is used. */
static void large_sets_are_thinned(void **state)
{
    (void)state;
    enum { PEOPLE = 4100, SMALL = 4 };
    float *vecs = calloc((size_t)PEOPLE * SMALL, sizeof *vecs);
    uint32_t *people = calloc(PEOPLE, sizeof *people);
    mien__rng rng;
    mien__rng_seed(&rng, SEED);
    for (uint32_t p = 0; p < PEOPLE; p++) {
        double v[SMALL], sum = 0;
        for (int k = 0; k < SMALL; k++) {
            v[k] = normal(&rng);
            sum += v[k] * v[k];
        }
        for (int k = 0; k < SMALL; k++)
            vecs[(size_t)p * SMALL + (size_t)k] = (float)(v[k] / sqrt(sum));
        people[p] = p;
    }
    mien_curve *c = NULL;
    mien_error err = MIEN_ERROR_INIT;
    if (mien_curve_fit(vecs, people, PEOPLE, SMALL, NULL, &c, &err))
        fail_msg("%s", err.message);
    assert_int_equal(c->info.n_people, MIEN__CURVE_PEOPLE);
    assert_int_equal(c->info.n_pictures, MIEN__CURVE_PEOPLE);
    mien_curve_free(c);
    free(people);
    free(vecs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tail_of_an_exponential_is_found),
        cmocka_unit_test(rate_interval_is_clopper_pearsons_for_many_people),
        cmocka_unit_test(intervals_hold_the_truth),
        cmocka_unit_test(repeated_comparisons_do_not_make_people),
        cmocka_unit_test(targets_beyond_the_data_are_refused_with_what_could_be_claimed),
        cmocka_unit_test(templates_give_pairs_fusion_and_spread),
        cmocka_unit_test(templates_that_are_no_unit_vectors_or_one_person_are_refused),
        cmocka_unit_test(large_sets_are_thinned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
