/* Curves: from a similarity to the rate at which strangers reach it, and back.
 *
 * A curve is a table of (rate, threshold, interval of the rate), read linearly in log(rate): tails of score
 * distributions are near exponential between points that lie a factor of two to three apart. Past the ends
 * nothing is claimed: the end is returned and called a bound. The interval of a threshold is read from the
 * same table sideways: between the thresholds at which the lower and the upper end of the rate's interval
 * meet the rate asked for.
 */
#include "decide/curve.h"
#include <math.h>
#include <string.h>

static double end_of(const mien_operating_point *p, int which)
{
    return which == MIEN__CURVE_LO ? p->fmr_lo : which == MIEN__CURVE_HI ? p->fmr_hi : p->fmr;
}

double mien__curve_rate(const mien_curve *curve, int which, double similarity, int *ret_bound)
{
    const mien_operating_point *p = curve->points;
    const size_t n = curve->n_points;
    *ret_bound = similarity > p[0].threshold ? -1 : similarity < p[n - 1].threshold ? 1 : 0;
    if (*ret_bound)
        return end_of(*ret_bound < 0 ? &p[0] : &p[n - 1], which);
    size_t i = 0; /* thresholds fall as rates rise */
    while (i + 2 < n && similarity < p[i + 1].threshold)
        i++;
    const double span = p[i].threshold - p[i + 1].threshold;
    const double w = span > 0 ? (p[i].threshold - similarity) / span : 0;
    const double a = end_of(&p[i], which), b = end_of(&p[i + 1], which);
    return a > 0 && b > 0 ? exp(log(a) + w * (log(b) - log(a))) : a + w * (b - a);
}

mien_status mien_curve_fmr(const mien_curve *curve, double similarity, mien_estimate *ret, mien_error *err)
{
    if (!curve || !ret)
        return mien__fail(err, MIEN_E_ARG, "curve: a pointer is NULL");
    if (!isfinite(similarity))
        return mien__fail(err, MIEN_E_ARG, "curve: the similarity is not finite");
    mien_estimate e = { 0 };
    e.value = mien__curve_rate(curve, MIEN__CURVE_VALUE, similarity, &e.bound);
    e.lo = e.bound < 0 ? 0 : mien__curve_rate(curve, MIEN__CURVE_LO, similarity, &e.bound);
    e.hi = e.bound > 0 ? 1 : mien__curve_rate(curve, MIEN__CURVE_HI, similarity, &e.bound);
    *ret = e;
    return MIEN_OK;
}

/* The highest threshold at which the chosen end of the rate's interval is at least `fmr`. */
static double threshold_at(const mien_curve *curve, int which, double fmr)
{
    double lo = curve->points[curve->n_points - 1].threshold, hi = curve->points[0].threshold;
    int bound = 0;
    if (mien__curve_rate(curve, which, hi, &bound) >= fmr)
        return hi;
    for (int i = 0; i < 60; i++) {
        const double mid = (lo + hi) / 2;
        if (mien__curve_rate(curve, which, mid, &bound) >= fmr)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

mien_status mien_curve_threshold(const mien_curve *curve, double fmr, mien_estimate *ret, mien_error *err)
{
    if (!curve || !ret)
        return mien__fail(err, MIEN_E_ARG, "curve: a pointer is NULL");
    if (!(fmr > 0 && fmr < 1))
        return mien__fail(err, MIEN_E_ARG, "curve: a false match rate of %g is not in (0, 1)", fmr);
    const mien_operating_point *first = &curve->points[0], *last = &curve->points[curve->n_points - 1];
    if (fmr < first->fmr * (1 - 1e-9))
        return mien__fail(
            err, MIEN_E_EVAL_DATA,
            "a false match rate of %g is lower than the calibration supports: the best claim is %g, "
            "at threshold %.4f",
            fmr, first->fmr, first->threshold);
    if (fmr > last->fmr)
        return mien__fail(err, MIEN_E_EVAL_DATA, "a false match rate of %g is above the calibrated %g to %g",
                          fmr, first->fmr, last->fmr);
    *ret = (mien_estimate){ threshold_at(curve, MIEN__CURVE_VALUE, fmr),
                            threshold_at(curve, MIEN__CURVE_LO, fmr),
                            threshold_at(curve, MIEN__CURVE_HI, fmr), 0 };
    return MIEN_OK;
}

mien_status mien_curve_of_model(const mien_model *model, mien_curve **ret, mien_error *err)
{
    if (!model || !ret)
        return mien__fail(err, MIEN_E_ARG, "curve: a pointer is NULL");
    const mien_model_info *info = mien_model_info_of(model);
    if (info->task != MIEN_TASK_EMBED)
        return mien__fail(err, MIEN_E_MODEL_TASK, "curve: model %s does not embed faces", info->name);
    if (info->n_points < 2)
        return mien__fail(
            err, MIEN_E_NOT_FOUND,
            "model %s is not calibrated: give a threshold, or calibrate it on labelled pictures", info->name);
    mien_curve *curve = mien_alloc_zero(sizeof *curve);
    if (!curve)
        return mien__nomem(err, sizeof *curve);
    memcpy(curve->points, info->points, info->n_points * sizeof info->points[0]);
    curve->n_points = info->n_points;
    *ret = curve;
    return MIEN_OK;
}

void mien_curve_free(mien_curve *curve)
{
    mien_free(curve);
}
