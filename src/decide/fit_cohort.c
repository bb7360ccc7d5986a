/* What a search needs beside the curve of pairs, measured on the same people: spread and fusion (search.c).
 *
 * Both compare every picture with people, not pictures. Spread: K of the P - 1 others' first pictures score
 * above a threshold against picture i. If all were as easily mistaken, the mean of K (K - 1) would be (P -
 * 1)(P - 2) F^2; it is 1 + v times that, and q = ln(1 + v) / z(F)^2. It is taken at the lowest rate at which
 * some hundred pairs of matches are left to count.
 *
 * Fusion: over people of two pictures and more, the thresholds that a fraction f of strangers reaches against
 * the first two pictures one by one, and against the two fused, have the ratio g(2); with the mean cosine c
 * of the two, r = 2 g^2 (c + (1 - c)/2) - 1. Taken over rates with enough matches, in the mean of the
 * logarithm.
 */
#include "decide/curve.h"
#include <math.h>
#include <string.h>

enum { BINS = 1 << 16, LEAST_PEOPLE = 30, LEAST_DOUBLES = 100, LEAST_HITS = 200 };

static const double rates[] = { 1e-2, 5e-3, 2e-3, 1e-3, 5e-4, 2e-4, 1e-4 }; /* falling */

/* A histogram of cosines and the threshold that a fraction reaches. */
typedef struct histogram {
    uint64_t n;
    uint64_t bins[BINS];
} histogram;

static void count_score(histogram *h, double score)
{
    const double at = (score + 1) / 2 * BINS;
    h->bins[at < 0 ? 0 : at >= BINS ? BINS - 1 : (size_t)at]++;
    h->n++;
}

static double threshold_of(const histogram *h, double rate)
{
    const double want = rate * (double)h->n;
    double above = 0;
    for (size_t i = BINS; i-- > 0;) {
        const double here = (double)h->bins[i];
        if (above + here >= want && here > 0)
            return ((double)(i + 1) - (want - above) / here) / BINS * 2 - 1;
        above += here;
    }
    return -1;
}

static double dot(const float *a, const float *b, size_t dim)
{
    double sum = 0;
    for (size_t i = 0; i < dim; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static const float *row(const mien__cohort *c, size_t i)
{
    return c->vecs + c->rows[i] * c->dim;
}

/* Where each person's pictures begin; [n_people + 1]. */
static size_t *starts_of(const mien__cohort *c)
{
    size_t *starts = mien_alloc_array(c->n_people + 1, sizeof *starts);
    if (!starts)
        return NULL;
    for (size_t i = c->n; i-- > 0;)
        starts[c->person[i]] = i;
    starts[c->n_people] = c->n;
    return starts;
}

/* Against first pictures: the histogram, or, given thresholds, for each the sum of K (K - 1) and of K. */
static void compare_firsts(const mien__cohort *c, const size_t *starts, histogram *h,
                           const double *thresholds, double *ret_doubles, double *ret_hits)
{
    for (size_t i = 0; i < c->n; i++) {
        double k[MIEN_COUNTOF(rates)] = { 0 };
        for (size_t p = 0; p < c->n_people; p++) {
            if (p == c->person[i])
                continue;
            const double s = dot(row(c, i), row(c, starts[p]), c->dim);
            if (h)
                count_score(h, s);
            for (size_t f = 0; thresholds && f < MIEN_COUNTOF(rates) && s >= thresholds[f]; f++)
                k[f]++;
        }
        for (size_t f = 0; thresholds && f < MIEN_COUNTOF(rates); f++) {
            ret_doubles[f] += k[f] * (k[f] - 1);
            ret_hits[f] += k[f];
        }
    }
}

static void measure_spread(mien_curve_info *info, const mien__cohort *c, const size_t *starts, histogram *h)
{
    double t[MIEN_COUNTOF(rates)], doubles[MIEN_COUNTOF(rates)] = { 0 }, hits[MIEN_COUNTOF(rates)] = { 0 };
    if (c->n_people < LEAST_PEOPLE)
        return;
    memset(h, 0, sizeof *h);
    compare_firsts(c, starts, h, NULL, NULL, NULL);
    for (size_t f = 0; f < MIEN_COUNTOF(rates); f++)
        t[f] = threshold_of(h, rates[f]);
    compare_firsts(c, starts, NULL, t, doubles, hits);
    const double others = (double)c->n_people - 1, n = (double)c->n;
    for (size_t f = MIEN_COUNTOF(rates); f-- > 0;) {
        if (doubles[f] / 2 < LEAST_DOUBLES)
            continue;
        const double mean = hits[f] / (n * others);
        const double ratio = doubles[f] / (n * others * (others - 1)) / (mean * mean);
        const double z = mien__normal_upper(mean), q = log(ratio) / (z * z);
        info->spread = q > 0 ? (q < 0.9 ? q : 0.9) : 0;
        return;
    }
}

/* Against the first two pictures of people who have two: one by one, and fused. */
static double compare_twos(const mien__cohort *c, const size_t *starts, float *fused, histogram *single,
                           histogram *both)
{
    double mated = 0, people = 0;
    for (size_t p = 0; p < c->n_people; p++) {
        const size_t at = starts[p];
        if (starts[p + 1] - at < 2)
            continue;
        const float *a = row(c, at), *b = row(c, at + 1);
        const double cosine = dot(a, b, c->dim), length = sqrt(2 + 2 * cosine);
        if (!(length > 1e-3))
            continue;
        for (size_t k = 0; k < c->dim; k++)
            fused[k] = (float)(((double)a[k] + (double)b[k]) / length);
        for (size_t i = 0; i < c->n; i++) {
            if (c->person[i] == p)
                continue;
            count_score(single, dot(row(c, i), a, c->dim));
            count_score(single, dot(row(c, i), b, c->dim));
            count_score(both, dot(row(c, i), fused, c->dim));
        }
        mated += cosine;
        people++;
    }
    return people >= LEAST_PEOPLE ? mated / people : 0;
}

static void measure_fusion(mien_curve_info *info, const mien__cohort *c, const size_t *starts, float *fused,
                           histogram *single, histogram *both)
{
    memset(single, 0, sizeof *single);
    memset(both, 0, sizeof *both);
    const double cosine = compare_twos(c, starts, fused, single, both);
    double sum = 0;
    int n = 0;
    for (size_t f = 0; f < MIEN_COUNTOF(rates) && rates[f] * (double)both->n >= LEAST_HITS; f++) {
        const double a = threshold_of(single, rates[f]), b = threshold_of(both, rates[f]);
        if (a > 0 && b > 0) {
            sum += log(b / a);
            n++;
        }
    }
    if (!(cosine > 0 && cosine < 1) || n == 0)
        return;
    const double g = exp(sum / n), other = 2 * g * g * (cosine + (1 - cosine) / 2) - 1;
    info->fusion_mated = cosine;
    info->fusion_other = other > cosine ? (other < 1 ? other : 1) : cosine;
}

mien_status mien__curve_fit_cohort(mien_curve_info *info, const mien__cohort *cohort, mien_error *err)
{
    size_t *starts = starts_of(cohort);
    histogram *h = mien_alloc_array(2, sizeof *h);
    float *fused = mien_alloc_array(cohort->dim, sizeof *fused);
    const bool ok = starts && h && fused;
    if (ok) {
        measure_spread(info, cohort, starts, h);
        measure_fusion(info, cohort, starts, fused, &h[0], &h[1]);
    }
    mien_free(fused);
    mien_free(h);
    mien_free(starts);
    return ok ? MIEN_OK : mien__nomem(err, 2 * sizeof *h);
}
