/* Intervals of a rate.
 *
 * Clopper, Pearson 1934: the ends are quantiles of beta distributions, found by bisection of the regularised
 * incomplete beta function, which is summed as the continued fraction of Press et al., "Numerical
 * Recipes", 6.4 (Lentz's method). It takes trials as independent; pairs that share a picture are not, so its
 * interval is too narrow, and the bootstrap over pictures stands beside it.
 */
#include "fairness.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double continued_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double h = d;
    for (int m = 1; m <= 100000; m++) {
        const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        for (int half = 0; half < 2; half++) {
            const double t = half ? odd : even;
            d = 1 + t * d;
            c = 1 + t / c;
            d = 1 / (fabs(d) < tiny ? tiny : d);
            c = fabs(c) < tiny ? tiny : c;
            h *= d * c;
        }
        if (fabs(d * c - 1) < 1e-14)
            break;
    }
    return h;
}

/* Regularised incomplete beta function I_x(a, b). */
static double beta_cdf(double a, double b, double x)
{
    if (x <= 0 || x >= 1)
        return x >= 1;
    const double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    return x < (a + 1) / (a + b + 2) ? front * continued_fraction(a, b, x) / a
                                     : 1 - front * continued_fraction(b, a, 1 - x) / b;
}

static double beta_quantile(double a, double b, double p)
{
    double lo = 0, hi = 1;
    for (int i = 0; i < 200 && lo < hi; i++) {
        const double mid = lo > 0 && hi / lo > 2 ? sqrt(lo * hi) : (lo + hi) / 2; /* rates are small */
        if (beta_cdf(a, b, mid) < p)
            lo = mid;
        else
            hi = mid;
    }
    return (lo + hi) / 2;
}

interval clopper_pearson(uint64_t k, uint64_t n)
{
    const double x = (double)k, m = (double)n;
    return (interval){ k == 0 ? 0 : beta_quantile(x, m - x + 1, 0.025),
                       k >= n ? 1 : beta_quantile(x + 1, m - x, 0.975) };
}

/* ---- bootstrap ---- */

static uint64_t next_random(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int by_f64(const void *x, const void *y)
{
    const double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

interval over_pictures(const match *m, size_t n_matches, size_t n, int draws, uint64_t seed)
{
    if (n_matches == 0)
        return (interval){ 0, clopper_pearson(0, n / 2).hi };
    double *rates = malloc((size_t)draws * sizeof *rates);
    uint32_t *weight = malloc(n * sizeof *weight);
    if (!rates || !weight) {
        fprintf(stderr, "fairness: no memory for the bootstrap\n");
        exit(1);
    }
    for (int d = 0; d < draws; d++) {
        double own = 0, hits = 0;
        memset(weight, 0, n * sizeof *weight);
        for (size_t i = 0; i < n; i++)
            weight[next_random(&seed) % n]++;
        for (size_t i = 0; i < n; i++)
            own += (double)weight[i] * weight[i];
        for (size_t i = 0; i < n_matches; i++)
            hits += (double)weight[m[i].a] * weight[m[i].b];
        const double pairs = ((double)n * (double)n - own) / 2;
        rates[d] = pairs > 0 ? hits / pairs : 0;
    }
    qsort(rates, (size_t)draws, sizeof *rates, by_f64);
    const interval ret = { rates[draws / 40], rates[draws - 1 - draws / 40] };
    free(weight);
    free(rates);
    return ret;
}
