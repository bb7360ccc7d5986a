/* Thresholds of a model: its operating points, read piecewise linearly in log(fmr). */
#include "base/base.h"
#include <math.h>
#include <mien/model.h>

mien_status mien_model_threshold(const mien_model *model, double fmr, double *ret_threshold, mien_error *err)
{
    if (!model || !ret_threshold)
        return mien__fail(err, MIEN_E_ARG, "model or result is NULL");
    const mien_operating_point *p = mien_model_info_of(model)->points;
    const size_t n = mien_model_info_of(model)->n_points;
    if (n == 0)
        return mien__fail(err, MIEN_E_NOT_FOUND, "model '%.80s' has not been calibrated",
                          mien_model_info_of(model)->name);
    if (!(fmr >= p[0].fmr && fmr <= p[n - 1].fmr))
        return mien__fail(err, MIEN_E_NOT_FOUND, "false match rate %g lies outside the calibrated %g to %g",
                          fmr, p[0].fmr, p[n - 1].fmr);
    size_t i = 0;
    while (i + 2 < n && fmr > p[i + 1].fmr)
        i++;
    if (n == 1) {
        *ret_threshold = p[0].threshold;
        return MIEN_OK;
    }
    const double w = (log(fmr) - log(p[i].fmr)) / (log(p[i + 1].fmr) - log(p[i].fmr));
    *ret_threshold = p[i].threshold + w * (p[i + 1].threshold - p[i].threshold);
    return MIEN_OK;
}

mien_status mien_model_fmr(const mien_model *model, double threshold, double *ret_fmr, int *ret_bound,
                           mien_error *err)
{
    if (!model || !ret_fmr || !ret_bound)
        return mien__fail(err, MIEN_E_ARG, "model or result is NULL");
    const mien_operating_point *p = mien_model_info_of(model)->points;
    const size_t n = mien_model_info_of(model)->n_points;
    if (n == 0)
        return mien__fail(err, MIEN_E_NOT_FOUND, "model '%.80s' has not been calibrated",
                          mien_model_info_of(model)->name);
    if (!(threshold <= p[0].threshold && threshold >= p[n - 1].threshold)) {
        const bool above = threshold > p[0].threshold;
        *ret_fmr = above ? p[0].fmr : p[n - 1].fmr;
        *ret_bound = above ? -1 : 1;
        return MIEN_OK;
    }
    size_t i = 0; /* thresholds fall as rates rise */
    while (i + 2 < n && threshold < p[i + 1].threshold)
        i++;
    const double span = n > 1 ? p[i].threshold - p[i + 1].threshold : 0.0;
    const double w = span > 0.0 ? (p[i].threshold - threshold) / span : 0.0;
    *ret_fmr = n > 1 ? exp(log(p[i].fmr) + w * (log(p[i + 1].fmr) - log(p[i].fmr))) : p[0].fmr;
    *ret_bound = 0;
    return MIEN_OK;
}
