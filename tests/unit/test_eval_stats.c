/* The statistics against closed forms and brute force. */
#include "eval/stats.h"
#include <math.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

static void close_to(double got, double want, double bound)
{
    if (!(fabs(got - want) <= bound))
        fail_msg("got %.17g, want %.17g within %g", got, want, bound);
}

static void ln_gamma_matches_factorials_and_halves(void **state)
{
    (void)state;
    double fact = 1;
    for (int n = 1; n <= 20; n++) {
        close_to(mien__ln_gamma(n), log(fact), 1e-13 * (1 + fabs(log(fact))));
        fact *= n;
    }
    close_to(mien__ln_gamma(0.5), 0.57236494292470008707, 1e-13);
    close_to(mien__ln_gamma(1e6), 12815504.569147611, 1e-5);
}

/* I_x(a, b) for whole a, b is a binomial tail. */
static double tail(int a, int b, double x)
{
    const int n = a + b - 1;
    double sum = 0;
    for (int j = a; j <= n; j++)
        sum += exp(lgamma(n + 1) - lgamma(j + 1) - lgamma(n - j + 1) + j * log(x) + (n - j) * log1p(-x));
    return sum;
}

static void beta_inc_equals_binomial_tail(void **state)
{
    (void)state;
    static const int ab[][2] = { { 1, 1 },   { 2, 3 },     { 5, 1 },   { 1, 40 },
                                 { 17, 90 }, { 300, 200 }, { 3, 5000 } };
    static const double xs[] = { 1e-6, 1e-3, 0.02, 0.2, 0.5, 0.61, 0.9, 0.999 };
    for (size_t i = 0; i < MIEN_COUNTOF(ab); i++)
        for (size_t k = 0; k < MIEN_COUNTOF(xs); k++)
            close_to(mien__beta_inc(ab[i][0], ab[i][1], xs[k]), tail(ab[i][0], ab[i][1], xs[k]), 2e-11);
    assert_true(mien__beta_inc(2, 3, 0) == 0 && mien__beta_inc(2, 3, 1) == 1);
    close_to(mien__beta_inc(0.5, 0.5, 0.3), 2 / 3.14159265358979323846 * asin(sqrt(0.3)), 1e-13);
}

static void rate_of_matches_clopper_pearson(void **state)
{
    (void)state;
    mien_eval_rate r = mien__rate_of(0, 10);
    close_to(r.hi, 1 - pow(0.025, 0.1), 1e-13);
    assert_true(r.lo == 0 && r.value == 0);
    r = mien__rate_of(10, 10);
    close_to(r.lo, pow(0.025, 0.1), 1e-13);
    assert_true(r.hi == 1 && r.value == 1);
    r = mien__rate_of(5, 10); /* Clopper, Pearson 1934; tables give 0.187 and 0.813 */
    close_to(r.lo, 0.18708603, 1e-7);
    close_to(r.hi, 0.81291397, 1e-7);
    /* by definition: the tails beyond the observed count hold 2.5 % each */
    for (int k = 1; k < 60; k += 7) {
        r = mien__rate_of((uint64_t)k, 60);
        close_to(tail(k, 60 - k + 1, r.lo), 0.025, 1e-9);
        close_to(1 - tail(k + 1, 60 - k, r.hi), 0.025, 1e-9);
    }
    r = mien__rate_of(0, 0);
    assert_true(r.lo == 0 && r.hi == 1);
    r = mien__rate_of(0, 1000000); /* rule of three, two-sided: 3.69 / n */
    close_to(r.hi, 3.6888725e-6, 1e-10);
}

static void threshold_for_parts_the_scores(void **state)
{
    (void)state;
    static const double v[] = { 0.1, 0.2, 0.2, 0.4, 0.8 };
    close_to(mien__threshold_for(v, 5, 1), 0.6, 1e-12);
    close_to(mien__threshold_for(v, 5, 2), 0.3, 1e-12);
    close_to(mien__threshold_for(v, 5, 3), 0.3, 1e-12); /* equals cannot be parted: stays at two */
    close_to(mien__threshold_for(v, 5, 4), 0.15, 1e-12);
    assert_true(mien__threshold_for(v, 5, 0) > 0.8);
    assert_true(mien__threshold_for(v, 5, 5) == 0.1);
    for (size_t k = 0; k <= 5; k++)
        assert_true(mien__count_at_least(v, 5, mien__threshold_for(v, 5, k)) <= k);
}

static void auc_and_eer_match_brute_force(void **state)
{
    (void)state;
    mien__rng rng;
    mien__rng_seed(&rng, 3);
    for (int round = 0; round < 50; round++) {
        double m[40], n[30];
        for (int i = 0; i < 40; i++)
            m[i] = floor(mien__rng_unit(&rng) * 20) + 6; /* whole numbers: many ties */
        for (int i = 0; i < 30; i++)
            n[i] = floor(mien__rng_unit(&rng) * 20);
        mien__sort_f64(m, 40);
        mien__sort_f64(n, 30);
        double wins = 0;
        for (int i = 0; i < 40; i++)
            for (int j = 0; j < 30; j++)
                wins += m[i] > n[j] ? 1 : m[i] < n[j] ? 0 : 0.5;
        close_to(mien__auc(m, 40, n, 30), wins / 1200, 1e-12);
        const double eer = mien__eer(m, 40, n, 30);
        /* the crossing lies between the best worse-side bounds over all thresholds */
        double upper = 1, lower = 0;
        for (double t = -0.5; t < 30; t += 1) {
            const double fmr = (double)mien__count_at_least(n, 30, t) / 30;
            const double fnmr = 1 - (double)mien__count_at_least(m, 40, t) / 40;
            upper = fmin(upper, fmax(fmr, fnmr));
            lower = fmax(lower, fmin(fmr, fnmr));
        }
        if (!(eer >= lower - 1e-12 && eer <= upper + 1e-12))
            fail_msg("round %d: eer %f not in [%f, %f]", round, eer, lower, upper);
    }
}

static void eer_of_parted_scores_is_zero(void **state)
{
    (void)state;
    static const double m[] = { 3, 4, 5 }, n[] = { 0, 1, 2 };
    close_to(mien__eer(m, 3, n, 3), 0, 0);
    close_to(mien__auc(m, 3, n, 3), 1, 0);
    close_to(mien__eer(n, 3, m, 3), 1, 0);
    close_to(mien__auc(n, 3, m, 3), 0, 0);
    close_to(mien__eer(m, 3, m, 3), 0.5, 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ln_gamma_matches_factorials_and_halves),
        cmocka_unit_test(beta_inc_equals_binomial_tail),
        cmocka_unit_test(rate_of_matches_clopper_pearson),
        cmocka_unit_test(threshold_for_parts_the_scores),
        cmocka_unit_test(auc_and_eer_match_brute_force),
        cmocka_unit_test(eer_of_parted_scores_is_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
