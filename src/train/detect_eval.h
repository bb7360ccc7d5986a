/* How well a detector's faces agree with reference faces: another detector's, or the truth of scenes.
 *
 * Detections at or above a score, best first, each take the free reference face they overlap most, if by an
 * IoU of at least 0.5 (Everingham 2010, PASCAL VOC, section 4.2). One that only overlaps an ignored face
 * counts neither way. Landmark error: mean distance of the five points, as a fraction of the reference's
 * inter-ocular distance; not asked of profiles, whose eyes lie closer than a tenth of the face's width.
 */
#ifndef MIEN_SRC_TRAIN_DETECT_EVAL_H
#define MIEN_SRC_TRAIN_DETECT_EVAL_H

#include "train/truth.h"

typedef struct mien__det_eval mien__det_eval;

typedef struct mien__det_figures {
    size_t pictures, references, detections, matched; /* ignored faces in none of them */
    double recall, precision;                         /* 1 when there was nothing to find, or nothing found */
    size_t landmarked;                                /* matched faces that are no profiles */
    double kps_mean, kps_median, kps_p95;             /* fractions of the inter-ocular distance */
} mien__det_figures;

mien_status mien__det_eval_new(float min_score, float min_iou, mien__det_eval **ret, mien_error *err);
void mien__det_eval_free(mien__det_eval *e);
/* Count one picture. found need not be sorted. The counts are unchanged on error (E_NOMEM). */
mien_status mien__det_eval_add(mien__det_eval *e, const mien_face *found, size_t n_found,
                               const mien__truth *references, size_t n_references, mien_error *err);
void mien__det_eval_figures(mien__det_eval *e, mien__det_figures *ret);

#endif
