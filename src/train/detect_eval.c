/* Greedy matching of detections to reference faces, and what follows from it (see detect_eval.h). Quantiles
 * are order statistics: the smallest error that at least that share of faces does not exceed.
 */
#include "train/detect_eval.h"
#include "detect/detect.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct mien__det_eval {
    float min_score, min_iou;
    size_t pictures, references, detections, matched;
    float *errors; /* of landmarks */
    size_t n_errors, cap;
};

mien_status mien__det_eval_new(float min_score, float min_iou, mien__det_eval **ret, mien_error *err)
{
    if (!(min_iou > 0 && min_iou <= 1))
        return mien__fail(err, MIEN_E_ARG, "an overlap of %g is not in (0, 1]", (double)min_iou);
    mien__det_eval *const e = mien_alloc_zero(sizeof *e);
    if (!e)
        return mien__nomem(err, sizeof *e);
    e->min_score = min_score;
    e->min_iou = min_iou;
    *ret = e;
    return MIEN_OK;
}

void mien__det_eval_free(mien__det_eval *e)
{
    if (!e)
        return;
    mien_free(e->errors);
    mien_free(e);
}

/* Negative for a profile. */
static float landmark_error(const mien_face *found, const mien_face *reference)
{
    const float(*const r)[2] = reference->landmarks, (*const f)[2] = found->landmarks;
    const float eyes = hypotf(r[1][0] - r[0][0], r[1][1] - r[0][1]);
    if (!(eyes >= 0.1f * (reference->x1 - reference->x0)))
        return -1;
    float sum = 0;
    for (int i = 0; i < MIEN_LANDMARKS; i++)
        sum += hypotf(f[i][0] - r[i][0], f[i][1] - r[i][1]);
    return sum / (MIEN_LANDMARKS * eyes);
}

/* The best free reference of one kind; n when none overlaps enough. */
static size_t best_reference(const mien__det_eval *e, const mien_face *f, const mien__truth *r, size_t n,
                             const bool *taken, bool ignored)
{
    size_t best = n;
    float most = e->min_iou;
    for (size_t i = 0; i < n; i++) {
        if (r[i].ignore != ignored || taken[i])
            continue;
        const float iou = mien__iou(f, &r[i].face);
        if (iou > most || (iou >= most && best == n)) {
            best = i;
            most = iou;
        }
    }
    return best;
}

static mien_status reserve(mien__det_eval *e, size_t more, mien_error *err)
{
    if (e->cap - e->n_errors >= more)
        return MIEN_OK;
    const size_t cap = (e->n_errors + more) * 2 + 64;
    float *const v = mien_grow_array(e->errors, e->n_errors, cap, sizeof *v);
    if (!v)
        return mien__nomem(err, cap * sizeof *v);
    e->errors = v;
    e->cap = cap;
    return MIEN_OK;
}

static void count(mien__det_eval *e, const mien__face_list *found, const mien__truth *r, size_t n,
                  bool *taken)
{
    for (size_t k = 0; k < found->n; k++) {
        const mien_face *const f = &found->v[k];
        const size_t i = best_reference(e, f, r, n, taken, false);
        if (i == n) {
            /* several detections may lie on one ignored face: it is never taken */
            e->detections += best_reference(e, f, r, n, taken, true) == n;
            continue;
        }
        taken[i] = true;
        e->detections++;
        e->matched++;
        const float error = landmark_error(f, &r[i].face);
        if (error >= 0)
            e->errors[e->n_errors++] = error;
    }
    e->pictures++;
    for (size_t i = 0; i < n; i++)
        e->references += !r[i].ignore;
}

mien_status mien__det_eval_add(mien__det_eval *e, const mien_face *found, size_t n_found,
                               const mien__truth *references, size_t n_references, mien_error *err)
{
    mien__face_list sorted = { 0 };
    bool *const taken = mien_alloc_array_zero(n_references + 1, sizeof *taken);
    mien_status st = taken ? reserve(e, n_references, err) : mien__nomem(err, n_references);
    for (size_t i = 0; i < n_found && !st; i++)
        if (found[i].score >= e->min_score)
            st = mien__face_list_push(&sorted, &found[i], err);
    if (!st) {
        mien__face_list_sort(&sorted);
        count(e, &sorted, references, n_references, taken);
    }
    mien_free(sorted.v);
    mien_free(taken);
    return st;
}

static int by_size(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double quantile(const float *sorted, size_t n, double share)
{
    const size_t rank = (size_t)ceil(share * (double)n);
    return (double)sorted[rank > 0 ? rank - 1 : 0];
}

void mien__det_eval_figures(mien__det_eval *e, mien__det_figures *ret)
{
    mien__det_figures f = {
        e->pictures, e->references, e->detections, e->matched, 1, 1, e->n_errors, 0, 0, 0
    };
    if (e->references)
        f.recall = (double)e->matched / (double)e->references;
    if (e->detections)
        f.precision = (double)e->matched / (double)e->detections;
    if (e->n_errors) {
        qsort(e->errors, e->n_errors, sizeof *e->errors, by_size);
        double sum = 0;
        for (size_t i = 0; i < e->n_errors; i++)
            sum += (double)e->errors[i];
        f.kps_mean = sum / (double)e->n_errors;
        f.kps_median = quantile(e->errors, e->n_errors, 0.5);
        f.kps_p95 = quantile(e->errors, e->n_errors, 0.95);
    }
    *ret = f;
}
