/* L2Normalize: y = x / max(|x|_2, EPSILON) with the norm over AXES (absent: axis 1), EPSILON 1e-12. The sum
 * of squares runs in double. Gradient: d_x = (d_y - y sum d_y y) / |x|, d_y / EPSILON where |x| <= EPSILON.
 */
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"
#include <math.h>

static mien_status axes_of(const mien__node *node, int rank, unsigned *ret, mien_error *err)
{
    const mien_status st = mien__op_axes_mask(node, rank, false, ret, err);
    if (!st && *ret == 0)
        *ret = 1u << (rank > 1 ? 1 : 0);
    return st;
}

mien_status mien__l2_normalize_infer(const mien__node *node, const mien__tensor *const *in, mien__tensor *out,
                                     mien_error *err)
{
    unsigned mask = 0;
    mien_status st = MIEN_OK;
    if ((st = mien__op_need_f32(node, in, 0, 1, MIEN_MAX_RANK, err)) ||
        (st = axes_of(node, in[0]->rank, &mask, err)))
        return st;
    return mien__op_set_shape(node, out, MIEN__F32, in[0]->rank, in[0]->dims, err);
}

/* Offset of the index-th element over the axes of `mask` (or over the others). */
static int64_t offset_of(const mien__tensor *t, const int64_t *strides, unsigned mask, int64_t index)
{
    int64_t at = 0;
    for (int d = t->rank - 1; d >= 0; d--)
        if (mask & (1u << d)) {
            at += index % t->dims[d] * strides[d];
            index /= t->dims[d];
        }
    return at;
}

/* The axes a node normalises over and how many elements share a norm (0: nothing to do). */
static int64_t group_of(const mien__node *node, const mien__tensor *t, int64_t *ret_strides,
                        unsigned *ret_mask)
{
    int64_t per = 1;
    if (axes_of(node, t->rank, ret_mask, NULL) || mien__tensor_elems(t) == 0)
        return 0;
    mien__strides(t->rank, t->dims, ret_strides);
    for (int d = 0; d < t->rank; d++)
        per *= *ret_mask & (1u << d) ? t->dims[d] : 1;
    return per;
}

static double norm_of(const mien__tensor *t, const int64_t *strides, unsigned mask, int64_t per,
                      const float *x)
{
    double sum = 0.0;
    for (int64_t i = 0; i < per; i++) {
        const float v = x[offset_of(t, strides, mask, i)];
        sum += (double)v * v;
    }
    return sqrt(sum);
}

void mien__l2_normalize_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    const mien__tensor *t = in[0];
    const double eps = mien__node_float(node, MIEN__ATTR_EPSILON, 1e-12);
    int64_t strides[MIEN_MAX_RANK];
    unsigned mask = 0;
    const int64_t per = group_of(node, t, strides, &mask);
    for (int64_t o = 0; per && o < mien__tensor_elems(t) / per; o++) {
        const int64_t base = offset_of(t, strides, ~mask, o);
        const float *x = (const float *)t->data + base;
        float *y = (float *)out->data + base;
        const double norm = norm_of(t, strides, mask, per, x);
        for (int64_t i = 0; i < per; i++) {
            const int64_t at = offset_of(t, strides, mask, i);
            y[at] = (float)(x[at] / (norm > eps ? norm : eps));
        }
    }
}

void mien__l2_normalize_backward(const mien__node *node, const mien__tensor *const *in,
                                 const mien__tensor *out, const mien__tensor *const *d_out,
                                 mien__tensor *const *d_in)
{
    const mien__tensor *t = in[0];
    const double eps = mien__node_float(node, MIEN__ATTR_EPSILON, 1e-12);
    float *d_x = mien__op_grad(node, d_in, 0);
    int64_t strides[MIEN_MAX_RANK];
    unsigned mask = 0;
    const int64_t per = group_of(node, t, strides, &mask);
    for (int64_t o = 0; d_x && per && o < mien__tensor_elems(t) / per; o++) {
        const int64_t base = offset_of(t, strides, ~mask, o);
        const float *y = (const float *)out->data + base, *d_y = (const float *)d_out[0]->data + base;
        const double norm = norm_of(t, strides, mask, per, (const float *)t->data + base);
        double dot = 0.0;
        for (int64_t i = 0; norm > eps && i < per; i++) {
            const int64_t at = offset_of(t, strides, mask, i);
            dot += (double)y[at] * d_y[at];
        }
        for (int64_t i = 0; i < per; i++) {
            const int64_t at = offset_of(t, strides, mask, i);
            d_x[base + at] += (float)((d_y[at] - y[at] * dot) / (norm > eps ? norm : eps));
        }
    }
}
