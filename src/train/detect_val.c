/* Validation scenes (see detect_val.h): 240, composed once from a seed of their own and kept, judged by the
 * detector as it will be used, decoding and suppression included.
 *
 * Who is trained to follow a teacher alone is measured against it: the truth of a composed scene holds faces
 * that the teacher does not find, and landmarks that it found once at another size, so against that even the
 * teacher itself would look poor, and who comes nearer to it no better than who does not.
 */
#include "train/detect_val.h"
#include "train/detect_eval.h"
#include <string.h>

enum { SCENES = 240 };
static const float least_score = 0.65f; /* YuNet's own */

struct mien__det_val {
    int side;
    unsigned threads;
    uint8_t *rgb;
    mien__truth *truths; /* [SCENES][MIEN__SCENE_MAX_TRUTHS] */
    size_t n[SCENES];
};

static mien_image_view scene_of(const mien__det_val *v, size_t i)
{
    const size_t side = (size_t)v->side;
    return (mien_image_view){ v->rgb + i * side * side * 3, v->side, v->side, side * 3 };
}

static mien_status open_detector(const mien__det_val *v, const mien_model *model, mien_detector **ret,
                                 mien_error *err)
{
    mien_detect_opts o = MIEN_DETECT_OPTS_INIT;
    o.min_size_px = 10;
    o.threads = v->threads;
    return mien_detector_new(model, &o, ret, err);
}

static mien_status compose(mien__det_val *v, const mien__scene_set *set, uint64_t seed, mien_error *err)
{
    mien__scene_opts so = MIEN__SCENE_OPTS_INIT;
    mien__scene_maker *maker = NULL;
    so.width = so.height = v->side;
    so.seed = seed ^ 0x76616c6964617465u;
    so.min_face_px = 14;
    mien_status st = mien__scene_maker_new(set, &so, &maker, err);
    for (size_t i = 0; !st && i < SCENES; i++)
        st = mien__scene_make(maker, i, (uint8_t *)(uintptr_t)scene_of(v, i).data,
                              v->truths + i * MIEN__SCENE_MAX_TRUTHS, &v->n[i], err);
    mien__scene_maker_free(maker);
    return st;
}

/* Put what the teacher finds in place of the truth. */
static mien_status ask(mien__det_val *v, const mien_model *teacher, mien_error *err)
{
    mien_detector *detector = NULL;
    mien_status st = open_detector(v, teacher, &detector, err);
    for (size_t i = 0; !st && i < SCENES; i++) {
        mien__truth *const truths = v->truths + i * MIEN__SCENE_MAX_TRUTHS;
        const mien_face *faces = NULL;
        size_t n = 0;
        if ((st = mien_detect(detector, scene_of(v, i), &faces, &n, err)))
            break;
        v->n[i] = n < MIEN__SCENE_MAX_TRUTHS ? n : MIEN__SCENE_MAX_TRUTHS;
        for (size_t k = 0; k < v->n[i]; k++)
            truths[k] = (mien__truth){ faces[k], 1.0f, faces[k].score < least_score };
    }
    mien_detector_free(detector);
    return st;
}

mien_status mien__det_val_new(const mien__scene_set *set, uint64_t seed, int side, const mien_model *teacher,
                              unsigned threads, mien__det_val **ret, mien_error *err)
{
    const size_t bytes = (size_t)side * (size_t)side * 3;
    mien__det_val *v = mien_alloc_zero(sizeof *v);
    mien_status st = v ? MIEN_OK : mien__nomem(err, sizeof *v);
    if (st)
        return st;
    v->side = side;
    v->threads = threads;
    v->rgb = mien_alloc_array_zero(SCENES, bytes);
    v->truths = mien_alloc_array_zero((size_t)SCENES * MIEN__SCENE_MAX_TRUTHS, sizeof *v->truths);
    if (!v->rgb || !v->truths)
        st = mien__nomem(err, SCENES * bytes);
    if (!st)
        st = compose(v, set, seed, err);
    if (!st && teacher)
        st = ask(v, teacher, err);
    if (st) {
        mien__det_val_free(v);
        return st;
    }
    *ret = v;
    return MIEN_OK;
}

void mien__det_val_free(mien__det_val *v)
{
    if (!v)
        return;
    mien_free(v->rgb);
    mien_free(v->truths);
    mien_free(v);
}

mien_status mien__det_val_measure(mien__det_val *v, const mien_model *model, mien__parts *parts,
                                  double *ret_score, mien_error *err)
{
    mien_detector *detector = NULL;
    mien__det_eval *eval = NULL;
    mien__det_figures f;
    mien_status st = open_detector(v, model, &detector, err);
    if (!st)
        st = mien__det_eval_new(least_score, 0.5f, &eval, err);
    for (size_t i = 0; !st && i < SCENES; i++) {
        const mien_face *faces = NULL;
        size_t n = 0;
        if (!(st = mien_detect(detector, scene_of(v, i), &faces, &n, err)))
            st = mien__det_eval_add(eval, faces, n, v->truths + i * MIEN__SCENE_MAX_TRUTHS, v->n[i], err);
    }
    if (!st) {
        mien__det_eval_figures(eval, &f);
        const double error = f.landmarked ? f.kps_mean : 1.0;
        const double sum = f.recall + f.precision;
        *ret_score = (sum > 0 ? 2.0 * f.recall * f.precision / sum : 0.0) - error;
        mien__parts_add(parts, "recall", f.recall);
        mien__parts_add(parts, "precision", f.precision);
        mien__parts_add(parts, "landmark_error", error);
    }
    mien__det_eval_free(eval);
    mien_detector_free(detector);
    return st;
}
