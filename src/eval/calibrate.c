/* Thresholds at target false match rates, from non-mated scores.
 *
 * For a rate f over n pairs the threshold is the lowest that floor(f n) of them reach; the interval is that
 * of the count actually reached. A rate below 3/n is refused: even with no match among n pairs the 95 % bound
 * is 3/n (rule of three: Hanley, Lippman-Hand 1983). The interval takes pairs as independent; where they
 * share people it is too narrow, which the calibration's protocol must say.
 */
#include "eval/stats.h"
#include <mien/model.h>
#include <math.h>
#include <string.h>

static mien_status check(const double *nonmated, size_t n, const double *fmrs, size_t n_fmrs,
                         const mien_operating_point *ret, mien_error *err)
{
    if (!nonmated || !fmrs || !ret)
        return mien__fail(err, MIEN_E_ARG, "calibration: a pointer is NULL");
    if (n_fmrs < 1 || n_fmrs > MIEN_MAX_OPERATING_POINTS)
        return mien__fail(err, MIEN_E_ARG, "calibration: %zu rates asked, must be 1..%d", n_fmrs,
                          MIEN_MAX_OPERATING_POINTS);
    for (size_t i = 0; i < n_fmrs; i++) {
        if (!(fmrs[i] > 0 && fmrs[i] < 1) || (i > 0 && !(fmrs[i] > fmrs[i - 1])))
            return mien__fail(err, MIEN_E_ARG,
                              "calibration: rate %zu must lie in (0, 1) and above the one before", i);
        if ((double)n < 3 / fmrs[i] * (1 - 1e-12))
            return mien__fail(err, MIEN_E_EVAL_DATA,
                              "calibration: %zu non-mated pairs cannot support a false match rate of %g; "
                              "%.0f are needed (rule of three)",
                              n, fmrs[i], ceil(3 / fmrs[i]));
    }
    for (size_t i = 0; i < n; i++)
        if (!isfinite(nonmated[i]))
            return mien__fail(err, MIEN_E_EVAL_DATA, "calibration: score %zu is not finite", i);
    return MIEN_OK;
}

mien_status mien_eval_calibrate(const double *nonmated, size_t n, const double *fmrs, size_t n_fmrs,
                                struct mien_operating_point *ret_points, mien_error *err)
{
    mien_status st = check(nonmated, n, fmrs, n_fmrs, ret_points, err);
    if (st)
        return st;
    double *sorted = mien_alloc_array(n, sizeof *sorted);
    if (!sorted)
        return mien__nomem(err, n * sizeof *sorted);
    memcpy(sorted, nonmated, n * sizeof *sorted);
    mien__sort_f64(sorted, n);
    for (size_t i = 0; i < n_fmrs; i++) {
        const double t = mien__threshold_for(sorted, n, (size_t)floor(fmrs[i] * (double)n + 1e-9));
        const mien_eval_rate rate = mien__rate_of(mien__count_at_least(sorted, n, t), n);
        ret_points[i] = (mien_operating_point){ fmrs[i], t, rate.lo, rate.hi };
    }
    mien_free(sorted);
    return st;
}
