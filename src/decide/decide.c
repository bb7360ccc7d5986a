/* Scores and decisions: cosine, its distance, and the verdict by the model's own calibration. */
#include "base/base.h"
#include <mien/decide.h>
#include <math.h>

double mien_cosine(const float *a, const float *b, size_t len)
{
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < len; i++) {
        ab += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    if (!(aa > 0) || !(bb > 0))
        return 0;
    const double s = ab / (sqrt(aa) * sqrt(bb));
    return s > 1 ? 1 : s < -1 ? -1 : s;
}

double mien_distance_of(double cosine)
{
    const double d2 = 2 - 2 * cosine;
    return d2 > 0 ? sqrt(d2) : 0;
}

mien_status mien_decide(const mien_model *model, double similarity, double fmr, mien_decision *ret,
                        mien_error *err)
{
    if (!model || !ret)
        return mien__fail(err, MIEN_E_ARG, "decision: a pointer is NULL");
    if (!isfinite(similarity))
        return mien__fail(err, MIEN_E_ARG, "decision: the similarity is not finite");
    if (!(fmr >= 0 && fmr < 1))
        return mien__fail(err, MIEN_E_ARG, "decision: a false match rate of %g is not in (0, 1)", fmr);
    const mien_model_info *info = mien_model_info_of(model);
    if (info->task != MIEN_TASK_EMBED)
        return mien__fail(err, MIEN_E_MODEL_TASK, "decision: model %s does not embed faces", info->name);
    const double rate = fmr > 0 ? fmr : info->default_fmr;
    if (!(rate > 0) || info->n_points == 0)
        return mien__fail(err, MIEN_E_NOT_FOUND,
                          "model %s is not calibrated: give a threshold, or calibrate it on labelled pairs",
                          info->name);
    mien_decision d = { .similarity = similarity, .distance = mien_distance_of(similarity), .fmr = rate };
    mien_status st = mien_model_threshold(model, rate, &d.threshold, err);
    if (st)
        return st;
    st = mien_model_fmr(model, similarity, &d.score_fmr, &d.score_fmr_bound, err);
    if (st)
        return st;
    d.same = similarity >= d.threshold;
    *ret = d;
    return MIEN_OK;
}
