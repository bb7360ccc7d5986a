/* Split along AXIS into parts of the lengths SPLIT, or into equal parts (the last may be shorter).
 * Gradient: the d_y of the parts, joined.
 */
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"
#include <string.h>

/* Length of part `i`, or -1. */
static int64_t part_of(const mien__node *node, int64_t total, uint32_t i)
{
    const mien__attr *a = mien__node_attr(node, MIEN__ATTR_SPLIT);
    if (a && a->n && !a->is_float)
        return a->n == node->n_outputs && a->v.i[i] >= 0 && a->v.i[i] <= total ? a->v.i[i] : -1;
    const int64_t n = node->n_outputs, each = (total + n - 1) / n, from = each * i;
    return from >= total ? 0 : total - from < each ? total - from : each;
}

mien_status mien__split_infer(const mien__node *node, const mien__tensor *const *in, mien__tensor *out,
                              mien_error *err)
{
    int axis = 0;
    int64_t sum = 0;
    const mien__tensor *t = in[0];
    mien_status st = mien__op_axis(node, mien__node_int(node, MIEN__ATTR_AXIS, 0), t->rank, &axis, err);
    for (uint32_t i = 0; !st && i < node->n_outputs; i++) {
        int64_t dims[MIEN_MAX_RANK];
        memcpy(dims, t->dims, sizeof dims);
        dims[axis] = part_of(node, t->dims[axis], i);
        sum += dims[axis];
        if (dims[axis] < 0)
            return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "part %u is invalid", (unsigned)i);
        st = mien__op_set_shape(node, &out[i], t->dtype, t->rank, dims, err);
    }
    if (!st && sum != t->dims[axis])
        st = mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "parts add up to %lld of %lld", (long long)sum,
                           (long long)t->dims[axis]);
    return st;
}

void mien__split_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    const mien__tensor *t = in[0];
    int axis = 0;
    if (mien__op_axis(node, mien__node_int(node, MIEN__ATTR_AXIS, 0), t->rank, &axis, NULL))
        return;
    const int64_t outer = mien__dims_product(t->dims, 0, axis);
    const size_t item = mien__dtype_bytes(t->dtype);
    const size_t step = (size_t)mien__dims_product(t->dims, axis, t->rank) * item;
    size_t at = 0;
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        const size_t part = (size_t)mien__dims_product(out[i].dims, axis, t->rank) * item;
        for (int64_t o = 0; part && o < outer; o++)
            memcpy((char *)out[i].data + (size_t)o * part, (const char *)t->data + (size_t)o * step + at,
                   part);
        at += part;
    }
}

void mien__split_backward(const mien__node *node, const mien__tensor *const *in, const mien__tensor *out,
                          const mien__tensor *const *d_out, mien__tensor *const *d_in)
{
    const mien__tensor *t = in[0];
    float *d_x = mien__op_grad(node, d_in, 0);
    int axis = 0;
    if (!d_x || mien__op_axis(node, mien__node_int(node, MIEN__ATTR_AXIS, 0), t->rank, &axis, NULL))
        return;
    const int64_t outer = mien__dims_product(t->dims, 0, axis);
    const int64_t step = mien__dims_product(t->dims, axis, t->rank);
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        const int64_t part = mien__dims_product(out[i].dims, axis, t->rank);
        for (int64_t o = 0; d_out[i] && o < outer; o++)
            mien__add(d_x + o * step, (const float *)d_out[i]->data + o * part, part);
        d_x += part;
    }
}
