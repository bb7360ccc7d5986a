/* Gather(x, indices): takes slices of x along AXIS (default 0); the output's shape is x's with that axis
 * replaced by the shape of `indices` (int64, negative ones count from the end). Indices known at plan time
 * are checked; others are clamped to the axis, so that no content can reach outside.
 * Gradient: each slice of d_y is added to the slice of d_x that it came from.
 */
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"
#include <string.h>

mien_status mien__gather_infer(const mien__node *node, const mien__tensor *const *in, mien__tensor *out,
                               mien_error *err)
{
    int64_t dims[2 * MIEN_MAX_RANK];
    int axis = 0, rank = 0;
    const mien__tensor *t = in[0], *idx = in[1];
    const mien_status st = mien__op_axis(node, mien__node_int(node, MIEN__ATTR_AXIS, 0), t->rank, &axis, err);
    if (st)
        return st;
    if (idx->dtype != MIEN__I64)
        return mien__op_fail(err, MIEN_E_MODEL_OP, node, "indices must be int64");
    const int64_t n = t->dims[axis], count = mien__tensor_elems(idx);
    if (n < 1 && count > 0)
        return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "the axis is empty");
    for (int64_t i = 0; idx->data && i < count; i++) {
        const int64_t v = ((const int64_t *)idx->data)[i];
        if (v < -n || v >= n)
            return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "index %lld of an axis of length %lld",
                                 (long long)v, (long long)n);
    }
    for (int d = 0; d < axis; d++)
        dims[rank++] = t->dims[d];
    for (int d = 0; d < idx->rank; d++)
        dims[rank++] = idx->dims[d];
    for (int d = axis + 1; d < t->rank; d++)
        dims[rank++] = t->dims[d];
    return mien__op_set_shape(node, out, t->dtype, rank, dims, err);
}

/* Where index `at` of an axis of length n points. */
static int64_t index_at(int64_t at, int64_t n)
{
    at += at < 0 ? n : 0;
    return at < 0 ? 0 : at >= n ? n - 1 : at;
}

void mien__gather_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    const mien__tensor *t = in[0];
    int axis = 0;
    if (mien__tensor_elems(out) == 0 ||
        mien__op_axis(node, mien__node_int(node, MIEN__ATTR_AXIS, 0), t->rank, &axis, NULL))
        return;
    const int64_t outer = mien__dims_product(t->dims, 0, axis), n = t->dims[axis];
    const int64_t count = mien__tensor_elems(in[1]);
    const size_t bytes = (size_t)mien__dims_product(t->dims, axis + 1, t->rank) * mien__dtype_bytes(t->dtype);
    char *dst = out->data;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < count; i++, dst += bytes) {
            const int64_t at = index_at(((const int64_t *)in[1]->data)[i], n);
            memcpy(dst, (const char *)t->data + (size_t)(o * n + at) * bytes, bytes);
        }
}

void mien__gather_backward(const mien__node *node, const mien__tensor *const *in, const mien__tensor *out,
                           const mien__tensor *const *d_out, mien__tensor *const *d_in)
{
    const mien__tensor *t = in[0];
    float *d_x = mien__op_grad(node, d_in, 0);
    int axis = 0;
    if (!d_x || mien__tensor_elems(out) == 0 ||
        mien__op_axis(node, mien__node_int(node, MIEN__ATTR_AXIS, 0), t->rank, &axis, NULL))
        return;
    const int64_t outer = mien__dims_product(t->dims, 0, axis), n = t->dims[axis];
    const int64_t count = mien__tensor_elems(in[1]), each = mien__dims_product(t->dims, axis + 1, t->rank);
    const float *g = d_out[0]->data;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < count; i++, g += each)
            mien__add(d_x + (o * n + index_at(((const int64_t *)in[1]->data)[i], n)) * each, g, each);
}
