/* Thresholds, area under the curve and equal error rate from sorted scores. Higher score = more alike; a pair
 * is accepted when its score is at or above the threshold. */
#include "eval/stats.h"
#include <math.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void mien__sort_f64(double *v, size_t n)
{
    qsort(v, n, sizeof *v, ascending);
}

size_t mien__count_at_least(const double *v, size_t n, double t)
{
    size_t lo = 0, hi = n; /* first index with v >= t */
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (v[mid] < t)
            lo = mid + 1;
        else
            hi = mid;
    }
    return n - lo;
}

double mien__threshold_for(const double *v, size_t n, size_t allowed)
{
    mien_assert(n > 0);
    if (allowed >= n)
        return v[0];
    const double below = v[n - 1 - allowed]; /* must stay below the threshold, and so must its equals */
    const size_t above = n - mien__count_at_least(v, n, nextafter(below, HUGE_VAL));
    if (above == n)
        return nextafter(below, HUGE_VAL);
    const double mid = below + (v[above] - below) / 2;
    return mid > below ? mid : v[above];
}

double mien__auc(const double *mated, size_t n_mated, const double *nonmated, size_t n_nonmated)
{
    double wins = 0;
    size_t less = 0, not_more = 0;
    for (size_t i = 0; i < n_mated; i++) {
        while (less < n_nonmated && nonmated[less] < mated[i])
            less++;
        if (not_more < less)
            not_more = less;
        while (not_more < n_nonmated && nonmated[not_more] <= mated[i])
            not_more++;
        wins += ((double)less + (double)not_more) / 2;
    }
    return wins / ((double)n_mated * (double)n_nonmated);
}

double mien__eer(const double *mated, size_t n_mated, const double *nonmated, size_t n_nonmated)
{
    /* Raise the threshold through every score: FMR falls from 1 to 0, FNMR rises from 0 to 1. */
    double fmr = 1, fnmr = 0;
    size_t i = 0, j = 0;
    while (i < n_mated || j < n_nonmated) {
        const double t = j == n_nonmated || (i < n_mated && mated[i] < nonmated[j]) ? mated[i] : nonmated[j];
        while (i < n_mated && mated[i] <= t)
            i++;
        while (j < n_nonmated && nonmated[j] <= t)
            j++;
        const double fmr2 = 1 - (double)j / (double)n_nonmated, fnmr2 = (double)i / (double)n_mated;
        if (fnmr2 >= fmr2) {
            const double gap = fmr - fnmr, gap2 = fmr2 - fnmr2; /* gap > 0 >= gap2 */
            const double s = gap / (gap - gap2);
            return fmr + s * (fmr2 - fmr);
        }
        fmr = fmr2;
        fnmr = fnmr2;
    }
    return fmr;
}
