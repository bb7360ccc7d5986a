/* Curves and galleries: how large a search one makes, what enrolments are judged by, and the curve that is
 * kept with it as its text "calibration". Thresholds belong to a model, so a curve of another one is refused
 * when it is to be kept, and passed over when the gallery has been moved to another model since.
 */
#include "decide/curve.h"
#include <mien/gallery.h>
#include <string.h>

static const char key[] = "calibration";

mien_status mien_curve_to_gallery(const mien_curve *curve, struct mien_gallery *gallery, mien_error *err)
{
    mien_gallery_info info;
    char *text = NULL;
    if (!curve || !gallery)
        return mien__fail(err, MIEN_E_ARG, "curve: a pointer is NULL");
    mien_status st = mien_gallery_info_of(gallery, &info, err);
    if (st)
        return st;
    if (strcmp(info.model, curve->info.model) != 0)
        return mien__fail(err, MIEN_E_GALLERY_MODEL,
                          "the calibration is of model %.16s, the gallery's templates are of model %.16s",
                          curve->info.model[0] ? curve->info.model : "(not known)", info.model);
    st = mien_curve_to_json(curve, &text, err);
    if (!st)
        st = mien_gallery_set_text(gallery, key, text, err);
    mien_curve_text_free(text);
    return st;
}

mien_status mien_curve_of_gallery(struct mien_gallery *gallery, const mien_model *model, mien_curve **ret,
                                  mien_error *err)
{
    char *text = NULL, fingerprint[65];
    mien_curve *curve = NULL;
    mien_error none = MIEN_ERROR_INIT;
    if (!gallery || !model || !ret)
        return mien__fail(err, MIEN_E_ARG, "curve: a pointer is NULL");
    mien_status st = mien_model_fingerprint(model, fingerprint, err);
    if (st)
        return st;
    st = mien_gallery_text(gallery, key, &text, &none);
    if (st == MIEN_E_NOT_FOUND)
        return mien_curve_of_model(model, ret, err);
    if (st) {
        if (err)
            *err = none;
        return st;
    }
    st = mien_curve_of_json(text, strlen(text), &curve, err);
    mien_text_free(text);
    if (st)
        return st;
    if (strcmp(curve->info.model, fingerprint) != 0) {
        mien_curve_free(curve);
        return mien_curve_of_model(model, ret, err);
    }
    *ret = curve;
    return MIEN_OK;
}

mien_search_size mien_search_size_of(const struct mien_gallery_info *info)
{
    const double people = (double)info->n_people;
    const double pictures = info->n_people ? (double)info->n_faces / people : 1;
    return (mien_search_size){ .n_people = info->n_people - info->n_expired,
                               .pictures = pictures < 1      ? 1
                                           : pictures > 1000 ? 1000
                                                             : pictures };
}

mien_status mien_curve_enrolment(const mien_curve *curve, const mien_search_size *size, double fpir,
                                 double *ret_other, double *ret_unlike, mien_error *err)
{
    static const double unlike_fmr = 0.05;
    mien_search_decision d;
    mien_estimate unlike;
    if (!ret_other || !ret_unlike)
        return mien__fail(err, MIEN_E_ARG, "enrolment: a pointer is NULL");
    const mien_status st = mien_curve_decide(curve, -1, size, fpir, &d, err);
    if (st)
        return st;
    *ret_other = d.threshold;
    *ret_unlike = mien_curve_threshold(curve, unlike_fmr, &unlike, NULL) == MIEN_OK ? unlike.value : -2;
    return MIEN_OK;
}
