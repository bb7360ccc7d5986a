/* The bootstrap over people: whom a resample draws, and the interval of what its resamples gave.
 *
 * Each resample has random numbers of its own, seeded by its number, so that any number of threads draws the
 * same. Percentile intervals: Efron, Tibshirani 1993, "An introduction to the bootstrap", chapter 13.
 */
#include "eval/stats.h"
#include <math.h>
#include <string.h>

void mien__resample(uint64_t seed, uint64_t k, size_t n, uint32_t *weight)
{
    mien__rng rng;
    mien__rng_seed(&rng, seed ^ (k + 1) * 0x9e3779b97f4a7c15u);
    memset(weight, 0, n * sizeof *weight);
    for (size_t i = 0; i < n; i++)
        weight[mien__rng_u64(&rng) % n]++;
}

/* Quantiles by linear interpolation (type 7 of Hyndman, Fan 1996). */
static double quantile(const double *v, size_t n, double p)
{
    const double at = p * (double)(n - 1);
    const size_t i = (size_t)at;
    return i + 1 < n ? v[i] + (at - (double)i) * (v[i + 1] - v[i]) : v[n - 1];
}

mien_eval_rate mien__interval_of(double value, double *v, size_t n)
{
    mien__sort_f64(v, n);
    return (mien_eval_rate){ value, quantile(v, n, 0.025), quantile(v, n, 0.975) };
}

mien_eval_rate mien__open_ended(mien_eval_rate r, size_t n_people)
{
    if (r.value <= 1e-12)
        r.hi = fmax(r.hi, mien__rate_of(0, n_people).hi);
    if (r.value >= 1 - 1e-12)
        r.lo = fmin(r.lo, mien__rate_of(n_people, n_people).lo);
    return r;
}
