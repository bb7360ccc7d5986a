/* Pad with the constant VALUE (default 0): PAD holds 2 * rank numbers, all begins, then all ends; negative
 * ones cut away. Float only. Gradient: the part of d_y that holds x.
 */
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"
#include <string.h>

enum { PAD_MAX = 1 << 24 };

mien_status mien__pad_infer(const mien__node *node, const mien__tensor *const *in, mien__tensor *out,
                            mien_error *err)
{
    const mien__attr *a = mien__node_attr(node, MIEN__ATTR_PAD);
    int64_t dims[MIEN_MAX_RANK];
    const mien_status st = mien__op_need_f32(node, in, 0, 1, MIEN_MAX_RANK, err);
    if (st)
        return st;
    const int rank = in[0]->rank;
    if (!a || a->is_float || a->n != 2 * (uint32_t)rank)
        return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "PAD does not hold %d numbers", 2 * rank);
    for (int i = 0; i < rank; i++) {
        const int64_t before = a->v.i[i], after = a->v.i[i + rank];
        dims[i] = in[0]->dims[i];
        if (before < -PAD_MAX || before > PAD_MAX || after < -PAD_MAX || after > PAD_MAX ||
            dims[i] + (before < 0 ? before : 0) + (after < 0 ? after : 0) < 0)
            return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "padding %lld and %lld of a size %lld",
                                 (long long)before, (long long)after, (long long)dims[i]);
        dims[i] += before + after;
    }
    return mien__op_set_shape(node, out, MIEN__F32, rank, dims, err);
}

/* Offset of the source row of row r of the output, -1 when that lies in the padding. */
static int64_t source_row(const mien__attr *pad, const mien__tensor *x, const mien__tensor *y, int64_t r)
{
    int64_t strides[MIEN_MAX_RANK], from = 0;
    mien__strides(x->rank, x->dims, strides);
    for (int d = y->rank - 2; d >= 0; d--) {
        const int64_t at = r % y->dims[d] - pad->v.i[d];
        r /= y->dims[d];
        if (at < 0 || at >= x->dims[d])
            return -1;
        from += at * strides[d];
    }
    return from;
}

void mien__pad_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    const mien__attr *a = mien__node_attr(node, MIEN__ATTR_PAD);
    const float value = (float)mien__node_float(node, MIEN__ATTR_VALUE, 0.0);
    const int last = out->rank - 1;
    const int64_t n_in = in[0]->dims[last], n = out->dims[last], before = a->v.i[last];
    if (mien__tensor_elems(out) == 0)
        return;
    for (int64_t r = 0; r < mien__dims_product(out->dims, 0, last); r++) {
        const int64_t from = source_row(a, in[0], out, r);
        const float *src = (const float *)in[0]->data;
        float *dst = (float *)out->data + r * n;
        for (int64_t i = 0; i < n; i++)
            dst[i] = from >= 0 && i >= before && i - before < n_in ? src[from + i - before] : value;
    }
}

void mien__pad_backward(const mien__node *node, const mien__tensor *const *in, const mien__tensor *out,
                        const mien__tensor *const *d_out, mien__tensor *const *d_in)
{
    const mien__attr *a = mien__node_attr(node, MIEN__ATTR_PAD);
    const int last = out->rank - 1;
    const int64_t n_in = in[0]->dims[last], n = out->dims[last], before = a->v.i[last];
    float *d_x = mien__op_grad(node, d_in, 0);
    if (!d_x || mien__tensor_elems(out) == 0)
        return;
    for (int64_t r = 0; r < mien__dims_product(out->dims, 0, last); r++) {
        const int64_t from = source_row(a, in[0], out, r);
        const float *g = (const float *)d_out[0]->data + r * n;
        for (int64_t i = before > 0 ? before : 0; from >= 0 && i < n && i - before < n_in; i++)
            d_x[from + i - before] += g[i];
    }
}
