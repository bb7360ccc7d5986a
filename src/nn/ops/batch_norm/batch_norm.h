/* Batch normalisation with the statistics of the batch, as training runs it; the operator itself, with
 * running statistics, is in the operator table. Tensors are x[n][c][...], arrays hold c values. */
#ifndef MIEN_SRC_NN_OPS_BATCH_NORM_H
#define MIEN_SRC_NN_OPS_BATCH_NORM_H

#include "nn/ops.h"

#define MIEN__BATCH_NORM_EPSILON 1e-5 /* of a node without EPSILON */

/* The operator as y = a x + b: a = scale / sqrt(var + eps), b = shift - mean a, worked out in double. */
void mien__batch_norm_affine(float scale, float shift, float mean, float var, double eps, float *ret_a,
                             float *ret_b);

/* y = scale (x - mean) / sqrt(var + eps) + shift with mean and biased variance of this batch, summed in
 * double. Overwrites y, ret_mean, ret_var; x holds at least one value per channel. Running statistics are the
 * caller's. */
void mien__batch_norm_train_forward(const mien__tensor *x, const float *scale, const float *shift, double eps,
                                    float *y, float *ret_mean, float *ret_var);

/* The gradients of the above, which depends on x through mean and var too; those are what it returned. ADDS
 * to d_x, d_scale and d_shift; each may be NULL. */
void mien__batch_norm_train_backward(const mien__tensor *x, const float *scale, const float *mean,
                                     const float *var, double eps, const float *d_y, float *d_x,
                                     float *d_scale, float *d_shift);

#endif
