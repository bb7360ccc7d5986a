/* Losses of a YuNet-class face detector: from raw output maps to loss and gradient.
 *
 * The network's twelve outputs, in this order, each [n][channels][height / stride][width / stride], plain:
 *
 *     cls_8 cls_16 cls_32      1 channel, a logit: BEFORE the sigmoid
 *     obj_8 obj_16 obj_32      1 channel, a logit: BEFORE the sigmoid
 *     bbox_8 bbox_16 bbox_32   4: centre x, y in strides from the cell's column and row; log width, height in
 *                              strides
 *     kps_8 kps_16 kps_32      10: x, y of five landmarks in strides from the cell's column and row
 *
 * A deployed model differs only in a sigmoid after cls and obj, and rows [cells][channels]; detect/decode.c
 * reads both its score sqrt(cls * obj) and its geometry as defined here. The last convolution of obj should
 * start with a bias of about -4.6 (a probability of 0.01), or the first steps drown in background.
 *
 * Two teachers, mixed by weights: the truth of composed scenes, and a trained network's outputs on the same
 * pictures. Sums are in double in a fixed order.
 */
#ifndef MIEN_SRC_TRAIN_DETECT_LOSS_H
#define MIEN_SRC_TRAIN_DETECT_LOSS_H

#include "detect/detect.h"
#include "train/truth.h"

typedef enum mien__det_kind { MIEN__DET_CLS, MIEN__DET_OBJ, MIEN__DET_BOX, MIEN__DET_KPS } mien__det_kind;
enum { MIEN__DET_MAPS = 4 * MIEN__DET_LEVELS };

/* Place of an output among the twelve; its channels. */
int mien__det_map_index(mien__det_kind kind, int level);
int mien__det_map_channels(mien__det_kind kind);

/* Outputs for a batch. Sides are the network's input, multiples of 32. Of a student cls and obj are logits,
 * of a teacher probabilities. */
typedef struct mien__det_maps {
    int n, width, height;
    const float *map[MIEN__DET_MAPS];
} mien__det_maps;

/* Anchor points of one picture: all cells of all strides. */
size_t mien__det_anchors(int width, int height);

/* Copy a deployed network's rows for one picture, as mien__decoder_bind() found them, into place `image` of
 * plain maps: the teacher of mien__det_loss(). */
void mien__det_maps_fill(const mien__det_level levels[MIEN__DET_LEVELS], int image,
                         float *const map[MIEN__DET_MAPS]);

typedef struct mien__det_loss_opts {
    /* Weights; 0 switches a part off. The truth's landmarks weigh little beside the teacher's: they are the
     * teacher's own, found once at another size, and it does not quite agree with itself. */
    double truth_cls, truth_obj, truth_box, truth_kps;
    double teach_cls, teach_obj, teach_box, teach_kps;
    double focal;    /* exponent of |target - p| in front of the obj terms; 0: plain cross entropy */
    double kps_beta; /* where smooth L1 turns straight, in sides of the face */
    double box_beta; /* the same for the teacher's boxes */
    double disagree; /* above this score of the teacher where the truth knows no face, or below it where the
                        truth has one, the truth is believed; 1: never */
} mien__det_loss_opts;

#define MIEN__DET_LOSS_OPTS_INIT                                                                         \
    {                                                                                                    \
        .truth_cls = 1, .truth_obj = 1, .truth_box = 5, .truth_kps = 2, .teach_cls = 1, .teach_obj = 1,  \
        .teach_box = 2, .teach_kps = 10, .focal = 2, .kps_beta = 0.03, .box_beta = 0.05, .disagree = 0.3 \
    }

/* Each weighted already; total is their sum. */
typedef struct mien__det_loss_parts {
    double total;
    double truth_cls, truth_obj, truth_box, truth_kps;
    double teach_cls, teach_obj, teach_box, teach_kps;
    int positives; /* anchor points that stand for a face */
    double mass;   /* sum of the teacher's scores */
} mien__det_loss_parts;

/* Scratch bytes for mien__det_loss(). */
size_t mien__det_loss_scratch(int n, int width, int height);

/* Loss of a batch and its gradient with respect to the student's raw maps.
 * teacher       NULL: no distillation
 * truths        [n] lists of n_truths[i] faces; NULL: no ground truth
 * d_maps        overwritten, shapes as student's
 * The assignment and the overlaps used as targets count as constants. Truth terms are divided by the number
 * of positives, the teacher's by the sum of its scores, both at least 1. */
void mien__det_loss(const mien__det_loss_opts *o, const mien__det_maps *student,
                    const mien__det_maps *teacher, const mien__truth *const *truths, const size_t *n_truths,
                    float *const d_maps[MIEN__DET_MAPS], mien__det_loss_parts *ret, void *scratch);

/* ---- the pieces, for tests ---- */

enum { MIEN__ANCHOR_NONE = -1, MIEN__ANCHOR_IGNORED = -2, MIEN__ANCHOR_NEAR = -3 };

/* Which truth each anchor point of picture `image` stands for: an index into truths; NONE: background; NEAR:
 * background in a face's box or within 2.5 strides of its centre; IGNORED: the same, 1 stride, of an ignored
 * face. cost is scratch, [anchors]. Returns the number of positives. */
int mien__det_assign(const mien__det_maps *student, int image, const mien__truth *truths, size_t n,
                     int16_t *ret_target, float *cost);

/* A box by centre and sides. */
typedef struct mien__det_box {
    double cx, cy, w, h;
} mien__det_box;

double mien__det_iou(const mien__det_box *a, const mien__det_box *b);
/* EIoU loss of a predicted box and its gradient by centre x, y, width, height. */
double mien__det_eiou(const mien__det_box *pred, const mien__det_box *truth, double d[4]);

#endif
