/* Losses of training, on plain row-major float arrays; each gives the mean over the batch and its gradient.
 * Sums are in double in a fixed order, so the result does not depend on threads. Head comment of each file:
 * formula and source. Unlabelled or ignored rows: label < 0; the mean is over the others, and 0 when there
 * are none. Rows shorter than 1e-12 have no direction: their cosines and gradients are 0. NaN in gives NaN
 * out, which the optimiser refuses. Scratch is aligned as mien_alloc() aligns.
 */
#ifndef MIEN_SRC_TRAIN_LOSS_H
#define MIEN_SRC_TRAIN_LOSS_H

#include "train/kernels/train_kernels.h"

/* Softmax cross entropy over classes, with label smoothing eps in [0, 1). logits [n][k]; d_logits may be
 * logits. */
double mien__loss_softmax(const float *logits, const int32_t *labels, int n, int k, double smoothing,
                          float *d_logits);

/* A classification head over embeddings: class centres w[k][dim]. */
typedef enum mien__head { MIEN__HEAD_SOFTMAX, MIEN__HEAD_ARCFACE, MIEN__HEAD_COSFACE } mien__head;
typedef struct mien__head_opts {
    mien__head kind;
    double scale;     /* s: 64 */
    double margin;    /* m: ArcFace 0.5 rad, CosFace 0.35 */
    double smoothing; /* label smoothing */
} mien__head_opts;
/* Scratch bytes for mien__loss_head() with the same kernels. */
size_t mien__loss_head_scratch(int n, int k, int dim, const mien__train_kernels *kernels);
/* logits = s (cos theta with the margin at the label) for ArcFace (Deng 2019, eq. 3) and CosFace (Wang 2018,
 * eq. 4) on L2-normalised embeddings and centres; plain softmax: logits = e w^T. Overwrites d_e [n][dim], d_w
 * [k][dim]. *ret_correct: rows whose unmargined logit of the label is above every other. NULL kernels:
 * scalar loops. */
double mien__loss_head(const mien__head_opts *o, const float *e, const float *w, const int32_t *labels, int n,
                       int k, int dim, float *d_e, float *d_w, int *ret_correct, void *scratch,
                       const mien__train_kernels *kernels, mien__pool *pool);

/* Triplet with semi-hard negatives (Schroff 2015, section 3.2) on L2-normalised embeddings, squared
 * distances. Mean over the pairs of a person that have a negative; *ret_triplets: those that violate the
 * margin. */
double mien__loss_triplet(const float *e, const int32_t *labels, int n, int dim, double margin, float *d_e,
                          int *ret_triplets, void *scratch);
size_t mien__loss_triplet_scratch(int n, int dim);

/* Distillation: 1 - cos(e_i, t_i), mean; e need not be normalised, teacher targets t [n][dim] unit rows. */
double mien__loss_cosine(const float *e, const float *t, int n, int dim, float *d_e);
/* Distillation of relations (Park 2019, adapted to cosines): mean over i < j of (cos(e_i, e_j) - cos(t_i,
 * t_j))^2; t [n][t_dim] may have another length. */
double mien__loss_relational(const float *e, int dim, const float *t, int t_dim, int n, float *d_e,
                             void *scratch);
size_t mien__loss_relational_scratch(int n, int dim);
/* Mean squared difference of two tensors, divided by the mean square of t (so that it is near 1 at the
 * start). d_x gets weight times its gradient, on top of what is there with `add`. */
double mien__loss_hint(const float *x, const float *t, size_t count, double weight, bool add, float *d_x);

#endif
