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

static double end_of(const mien_curve_point *p, int which)
{
    return which == MIEN__CURVE_LO ? p->fmr.lo : which == MIEN__CURVE_HI ? p->fmr.hi : p->fmr.value;
}

double mien__curve_rate(const mien_curve *curve, int which, double similarity, int *ret_bound)
{
    const mien_curve_point *p = curve->points;
    const size_t n = curve->info.n_points;
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
    double lo = curve->points[curve->info.n_points - 1].threshold, hi = curve->points[0].threshold;
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
    const mien_curve_point *first = &curve->points[0], *last = &curve->points[curve->info.n_points - 1];
    if (fmr < first->fmr.value * (1 - 1e-9))
        return mien__fail(
            err, MIEN_E_EVAL_DATA,
            "a false match rate of %g is lower than the calibration supports: the best claim is "
            "%g, at threshold %.4f",
            fmr, first->fmr.value, first->threshold);
    if (fmr > last->fmr.value * (1 + 1e-9))
        return mien__fail(err, MIEN_E_EVAL_DATA, "a false match rate of %g is above the calibrated %g to %g",
                          fmr, first->fmr.value, last->fmr.value);
    *ret = (mien_estimate){ threshold_at(curve, MIEN__CURVE_VALUE, fmr),
                            threshold_at(curve, MIEN__CURVE_LO, fmr),
                            threshold_at(curve, MIEN__CURVE_HI, fmr), 0 };
    return MIEN_OK;
}

bool mien__curve_points_ok(const mien_curve_point *p, size_t n)
{
    if (n < 2 || n > MIEN_MAX_CURVE_POINTS)
        return false;
    for (size_t i = 0; i < n; i++) {
        const mien_estimate *f = &p[i].fmr, *m = &p[i].fnmr;
        if (!(f->value >= 1e-15 && f->value < 1 && f->lo >= 0 && f->lo <= f->value && f->hi >= f->value &&
              f->hi <= 1) ||
            !(m->value < 0 || (m->lo >= 0 && m->lo <= m->value && m->hi >= m->value && m->hi <= 1)) ||
            !(fabs(p[i].threshold) < 1e6))
            return false;
        if (i && !(f->value > p[i - 1].fmr.value && p[i].threshold < p[i - 1].threshold))
            return false;
    }
    return true;
}

mien_status mien__curve_new(const char *model, const char *protocol, const char *date, mien_curve **ret,
                            mien_error *err)
{
    const char *const texts[3] = { model ? model : "", protocol ? protocol : "", date ? date : "" };
    mien_curve *curve = mien_alloc_zero(sizeof *curve);
    if (!curve)
        return mien__nomem(err, sizeof *curve);
    for (int i = 0; i < 3; i++) {
        const size_t bytes = strlen(texts[i]);
        curve->texts[i] = mien_strndup(texts[i], bytes < MIEN__CURVE_TEXT ? bytes : MIEN__CURVE_TEXT);
        if (!curve->texts[i]) {
            mien_curve_free(curve);
            return mien__nomem(err, bytes);
        }
    }
    curve->info.model = curve->texts[0];
    curve->info.protocol = curve->texts[1];
    curve->info.date = curve->texts[2];
    curve->info.points = curve->points;
    *ret = curve;
    return MIEN_OK;
}

mien_status mien_curve_of_model(const mien_model *model, mien_curve **ret, mien_error *err)
{
    if (!model || !ret)
        return mien__fail(err, MIEN_E_ARG, "curve: a pointer is NULL");
    const mien_model_info *info = mien_model_info_of(model);
    if (info->task != MIEN_TASK_EMBED)
        return mien__fail(err, MIEN_E_MODEL_TASK, "curve: model %s does not embed faces", info->name);
    mien_curve *curve = NULL;
    const mien_status st = mien__curve_new(info->name, info->protocol, NULL, &curve, err);
    if (st)
        return st;
    for (size_t i = 0; i < info->n_points && i < MIEN_MAX_CURVE_POINTS; i++) {
        const mien_operating_point *p = &info->points[i];
        curve->points[i] =
            (mien_curve_point){ p->threshold, { p->fmr, p->fmr_lo, p->fmr_hi, 0 }, { -1, 0, 1, 0 } };
    }
    if (!mien__curve_points_ok(curve->points, info->n_points)) {
        mien_curve_free(curve);
        return mien__fail(
            err, MIEN_E_NOT_FOUND,
            "model %s is not calibrated: give a threshold, or calibrate it on labelled pictures", info->name);
    }
    curve->info.n_points = info->n_points;
    curve->info.n_people = info->n_people;
    curve->info.n_mated = info->n_mated;
    curve->info.n_nonmated = info->n_nonmated;
    curve->info.spread = info->spread;
    curve->info.fusion_mated = info->fusion_mated;
    curve->info.fusion_other = info->fusion_other;
    *ret = curve;
    return MIEN_OK;
}

const mien_curve_info *mien_curve_info_of(const mien_curve *curve)
{
    return curve ? &curve->info : NULL;
}

void mien_curve_free(mien_curve *curve)
{
    if (!curve)
        return;
    for (int i = 0; i < 3; i++)
        mien_free(curve->texts[i]);
    mien_free(curve);
}
