/* Operators that make tensors from shapes and numbers; all fold when the plan is made.
 *
 * Shape(x): x's sizes as an int64 vector. ConstantOfShape(shape): filled with VALUE (a float attribute gives
 * float32, an integer one int64; default float 0). Range(start, limit, delta): scalars of one type.
 */
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"
#include <math.h>

mien_status mien__shape_infer(const mien__node *node, const mien__tensor *const *in, mien__tensor *out,
                              mien_error *err)
{
    return mien__op_set_shape(node, out, MIEN__I64, 1, (const int64_t[]){ in[0]->rank }, err);
}

void mien__shape_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    (void)node;
    for (int i = 0; i < in[0]->rank; i++)
        ((int64_t *)out->data)[i] = in[0]->dims[i];
}

mien_status mien__constant_of_shape_infer(const mien__node *node, const mien__tensor *const *in,
                                          mien__tensor *out, mien_error *err)
{
    const mien__attr *a = mien__node_attr(node, MIEN__ATTR_VALUE);
    const mien_status st = mien__op_need_known_i64(node, in, 0, err);
    if (st)
        return st;
    const int64_t rank = mien__tensor_elems(in[0]);
    const int64_t *dims = in[0]->data;
    for (int64_t i = 0; i < rank; i++)
        if (dims[i] < 0)
            return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "size %lld", (long long)dims[i]);
    return mien__op_set_shape(node, out, a && a->n && !a->is_float ? MIEN__I64 : MIEN__F32,
                              rank > MIEN_MAX_RANK ? MIEN_MAX_RANK + 1 : (int)rank, dims, err);
}

void mien__constant_of_shape_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    const int64_t n = mien__tensor_elems(out), iv = mien__node_int(node, MIEN__ATTR_VALUE, 0);
    const float fv = (float)mien__node_float(node, MIEN__ATTR_VALUE, 0.0);
    (void)in;
    for (int64_t i = 0; i < n; i++)
        if (out->dtype == MIEN__I64)
            ((int64_t *)out->data)[i] = iv;
        else
            ((float *)out->data)[i] = fv;
}

static double number_at(const mien__tensor *t)
{
    return t->dtype == MIEN__I64 ? (double)*(const int64_t *)t->data : (double)*(const float *)t->data;
}

mien_status mien__range_infer(const mien__node *node, const mien__tensor *const *in, mien__tensor *out,
                              mien_error *err)
{
    for (uint32_t i = 0; i < 3; i++)
        if (in[i]->dtype != in[0]->dtype || mien__tensor_elems(in[i]) != 1 || !in[i]->data)
            return mien__op_fail(err, MIEN_E_MODEL_OP, node, "input %u is not a number known when planning",
                                 (unsigned)i);
    const double start = number_at(in[0]), limit = number_at(in[1]), delta = number_at(in[2]);
    const double n = ceil((limit - start) / delta);
    if (!(fabs(delta) > 0.0) || !(n <= (double)MIEN__MAX_TENSOR_ELEMS))
        return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "range from %g to %g in steps of %g", start,
                             limit, delta);
    return mien__op_set_shape(node, out, in[0]->dtype, 1, (const int64_t[]){ n > 0 ? (int64_t)n : 0 }, err);
}

void mien__range_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    (void)node;
    for (int64_t i = 0; i < out->dims[0]; i++)
        if (out->dtype == MIEN__I64)
            ((int64_t *)out->data)[i] =
                (int64_t)(*(const uint64_t *)in[0]->data + (uint64_t)i * *(const uint64_t *)in[2]->data);
        else
            ((float *)out->data)[i] = *(const float *)in[0]->data + (float)i * *(const float *)in[2]->data;
}
