/* What the losses share: rows brought to unit length and gradients brought back through it, one row of
 * softmax cross entropy. Private to src/train/loss_*.c.
 */
#ifndef MIEN_SRC_TRAIN_LOSS_ROWS_H
#define MIEN_SRC_TRAIN_LOSS_ROWS_H

#include "base/base.h"

/* Rows shorter than this count as zero: they have no direction, and their gradient is zero. */
#define MIEN__ROW_MIN_NORM 1e-12

/* Scratch is cut into pieces of whole cache lines. */
static inline size_t mien__loss_piece(size_t n, size_t item_bytes)
{
    return (n * item_bytes + 63) / 64 * 64;
}

double mien__row_dot(const float *a, const float *b, int dim);
/* unit = x / |x|, inv_norm = 1 / |x|; both 0 for a zero row. */
void mien__row_normalise(const float *x, int dim, float *ret_unit, double *ret_inv_norm);
/* In place: the gradient of unit becomes that of x, (d - (d . unit) unit) / |x|. */
void mien__row_back(const float *unit, double inv_norm, int dim, float *d);

void mien__rows_normalise(const float *x, int n, int dim, float *ret_unit, double *ret_inv_norm);
/* g[n][n] = the gradient of the cosines c_ij = unit_i . unit_j, i != j, each order counted by itself:
 * overwrites d[n][dim] with the gradient of x. */
void mien__cosines_back(const double *g, const float *unit, const double *inv_norm, int n, int dim, float *d);

/* Cross entropy of one row; d = weight times its gradient; d may be z. */
double mien__softmax_row(const float *z, int32_t label, int k, double smoothing, double weight, float *d);
/* Rows with a label. */
int mien__labelled_rows(const int32_t *labels, int n);

#endif
