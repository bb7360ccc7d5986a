/* Pad with the constant VALUE (default 0): PAD holds 2 * rank numbers, all begins, then all ends; negative
 * ones cut away. Float only.
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

/* Copy one row of the output: source offset or -1 when the row lies in the padding. */
static void pad_row(float *dst, int64_t n, const float *src, int64_t src_n, int64_t before, float value)
{
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = i - before;
        dst[i] = src && at >= 0 && at < src_n ? src[at] : value;
    }
}

void mien__pad_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    const mien__attr *a = mien__node_attr(node, MIEN__ATTR_PAD);
    const float value = (float)mien__node_float(node, MIEN__ATTR_VALUE, 0.0);
    const mien__tensor *t = in[0];
    const int last = out->rank - 1;
    int64_t strides[MIEN_MAX_RANK];
    if (mien__tensor_elems(out) == 0)
        return;
    mien__strides(t->rank, t->dims, strides);
    const int64_t rows = mien__dims_product(out->dims, 0, last), n = out->dims[last];
    for (int64_t r = 0; r < rows; r++) {
        int64_t rest = r, from = 0;
        bool inside = true;
        for (int d = last - 1; d >= 0; d--) {
            const int64_t at = rest % out->dims[d] - a->v.i[d];
            rest /= out->dims[d];
            inside = inside && at >= 0 && at < t->dims[d];
            from += inside ? at * strides[d] : 0;
        }
        pad_row((float *)out->data + r * n, n, inside ? (const float *)t->data + from : NULL, t->dims[last],
                a->v.i[last], value);
    }
}
