/* Concat along AXIS. All inputs have the same type, rank and other sizes.
 * Gradient: each input takes its part of d_y.
 */
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"
#include <string.h>

mien_status mien__concat_infer(const mien__node *node, const mien__tensor *const *in, mien__tensor *out,
                               mien_error *err)
{
    int64_t dims[MIEN_MAX_RANK];
    int axis = 0;
    const int rank = in[0]->rank;
    const mien_status st = mien__op_axis(node, mien__node_int(node, MIEN__ATTR_AXIS, 0), rank, &axis, err);
    if (st)
        return st;
    memcpy(dims, in[0]->dims, sizeof dims);
    for (uint32_t i = 1; i < node->n_inputs; i++) {
        const mien__tensor *t = in[i];
        bool same = t && t->rank == rank && t->dtype == in[0]->dtype;
        for (int d = 0; same && d < rank; d++)
            same = d == axis || t->dims[d] == dims[d];
        if (!same)
            return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "input %u does not fit the first one",
                                 (unsigned)i);
        dims[axis] += t->dims[axis];
        if (dims[axis] > MIEN__MAX_TENSOR_ELEMS)
            return mien__op_fail(err, MIEN_E_LIMIT, node, "the output would be too large");
    }
    return mien__op_set_shape(node, out, in[0]->dtype, rank, dims, err);
}

void mien__concat_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    int axis = 0;
    if (mien__op_axis(node, mien__node_int(node, MIEN__ATTR_AXIS, 0), out->rank, &axis, NULL))
        return;
    const int64_t outer = mien__dims_product(out->dims, 0, axis);
    const size_t item = mien__dtype_bytes(out->dtype);
    const size_t step = (size_t)mien__dims_product(out->dims, axis, out->rank) * item;
    size_t at = 0;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const size_t part = (size_t)mien__dims_product(in[i]->dims, axis, out->rank) * item;
        for (int64_t o = 0; part && o < outer; o++)
            memcpy((char *)out->data + (size_t)o * step + at, (const char *)in[i]->data + (size_t)o * part,
                   part);
        at += part;
    }
}

void mien__concat_backward(const mien__node *node, const mien__tensor *const *in, const mien__tensor *out,
                           const mien__tensor *const *d_out, mien__tensor *const *d_in)
{
    int axis = 0;
    if (mien__op_axis(node, mien__node_int(node, MIEN__ATTR_AXIS, 0), out->rank, &axis, NULL))
        return;
    const int64_t outer = mien__dims_product(out->dims, 0, axis);
    const int64_t step = mien__dims_product(out->dims, axis, out->rank);
    const float *g = d_out[0]->data;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const int64_t part = mien__dims_product(in[i]->dims, axis, out->rank);
        float *d_x = mien__op_grad(node, d_in, i);
        for (int64_t o = 0; d_x && o < outer; o++)
            mien__add(d_x + o * part, g + o * step, part);
        g += part;
    }
}
