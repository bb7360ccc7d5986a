/* Operators that change only how a tensor is addressed; their references copy the bytes.
 *
 * Reshape(x, shape): 0 keeps a size, one -1 is worked out. Flatten: [product before AXIS][rest], AXIS 1.
 * Squeeze: drops AXES (absent: all of length 1). Unsqueeze: inserts AXES (of the output). Identity.
 * Gradient: d_x = d_y, element by element.
 */
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"
#include <string.h>

static mien_status reshape_dims(const mien__node *node, const mien__tensor *const *in, int *ret_rank,
                                int64_t *ret, mien_error *err)
{
    const mien__tensor *t = in[0], *shape = in[1];
    const mien_status st = mien__op_need_known_i64(node, in, 1, err);
    if (st)
        return st;
    const int64_t total = mien__tensor_elems(t), rank = mien__tensor_elems(shape);
    int64_t known = 1;
    int free_axis = -1;
    if (rank > MIEN_MAX_RANK)
        return mien__op_fail(err, MIEN_E_LIMIT, node, "rank %lld is above %d", (long long)rank,
                             MIEN_MAX_RANK);
    for (int i = 0; i < rank; i++) {
        ret[i] = ((const int64_t *)shape->data)[i];
        if (ret[i] == 0 && i < t->rank)
            ret[i] = t->dims[i];
        if (ret[i] == -1 && free_axis < 0) {
            free_axis = i;
        } else if (ret[i] < 0 || ret[i] > MIEN__MAX_TENSOR_ELEMS ||
                   (ret[i] && known > MIEN__MAX_TENSOR_ELEMS / ret[i])) {
            return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "size %lld in the shape", (long long)ret[i]);
        } else {
            known *= ret[i];
        }
    }
    if (free_axis >= 0)
        ret[free_axis] = known ? total / known : 0;
    *ret_rank = (int)rank;
    if (mien__elems((int)rank, ret) != total)
        return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "%lld elements do not fit the wanted shape",
                             (long long)total);
    return MIEN_OK;
}

static mien_status flatten_dims(const mien__node *node, const mien__tensor *t, int *ret_rank, int64_t *ret,
                                mien_error *err)
{
    int64_t axis = mien__node_int(node, MIEN__ATTR_AXIS, 1);
    axis += axis < 0 ? t->rank : 0;
    if (axis < 0 || axis > t->rank)
        return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "axis of a tensor of rank %d", t->rank);
    ret[0] = mien__dims_product(t->dims, 0, (int)axis);
    ret[1] = mien__dims_product(t->dims, (int)axis, t->rank);
    *ret_rank = 2;
    return MIEN_OK;
}

static mien_status squeeze_dims(const mien__node *node, const mien__tensor *t, int *ret_rank, int64_t *ret,
                                mien_error *err)
{
    unsigned mask = 0;
    const mien__attr *axes = mien__node_attr(node, MIEN__ATTR_AXES);
    const mien_status st = mien__op_axes_mask(node, t->rank, false, &mask, err);
    if (st)
        return st;
    *ret_rank = 0;
    for (int i = 0; i < t->rank; i++) {
        const bool drop = axes && axes->n ? (mask & (1u << i)) != 0 : t->dims[i] == 1;
        if (drop && t->dims[i] != 1)
            return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "axis %d has length %lld, not 1", i,
                                 (long long)t->dims[i]);
        if (!drop)
            ret[(*ret_rank)++] = t->dims[i];
    }
    return MIEN_OK;
}

static mien_status unsqueeze_dims(const mien__node *node, const mien__tensor *t, int *ret_rank, int64_t *ret,
                                  mien_error *err)
{
    const mien__attr *axes = mien__node_attr(node, MIEN__ATTR_AXES);
    const int64_t rank = t->rank + (axes ? (int64_t)axes->n : 0);
    unsigned mask = 0;
    if (rank > MIEN_MAX_RANK)
        return mien__op_fail(err, MIEN_E_LIMIT, node, "rank %lld is above %d", (long long)rank,
                             MIEN_MAX_RANK);
    const mien_status st = mien__op_axes_mask(node, (int)rank, false, &mask, err);
    if (st)
        return st;
    for (int i = 0, from = 0; i < rank; i++)
        ret[i] = mask & (1u << i) ? 1 : t->dims[from++];
    *ret_rank = (int)rank;
    return MIEN_OK;
}

mien_status mien__reshape_infer(const mien__node *node, const mien__tensor *const *in, mien__tensor *out,
                                mien_error *err)
{
    int64_t dims[MIEN_MAX_RANK];
    int rank = in[0]->rank;
    mien_status st = MIEN_OK;
    memcpy(dims, in[0]->dims, sizeof dims);
    switch (node->op) {
    case MIEN__OP_Reshape:
        st = reshape_dims(node, in, &rank, dims, err);
        break;
    case MIEN__OP_Flatten:
        st = flatten_dims(node, in[0], &rank, dims, err);
        break;
    case MIEN__OP_Squeeze:
        st = squeeze_dims(node, in[0], &rank, dims, err);
        break;
    case MIEN__OP_Unsqueeze:
        st = unsqueeze_dims(node, in[0], &rank, dims, err);
        break;
    default: /* Identity */
        break;
    }
    return st ? st : mien__op_set_shape(node, out, in[0]->dtype, rank, dims, err);
}

void mien__reshape_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    const size_t bytes = (size_t)mien__tensor_elems(out) * mien__dtype_bytes(out->dtype);
    (void)node;
    if (bytes && out->data != in[0]->data)
        memcpy(out->data, in[0]->data, bytes);
}

void mien__reshape_backward(const mien__node *node, const mien__tensor *const *in, const mien__tensor *out,
                            const mien__tensor *const *d_out, mien__tensor *const *d_in)
{
    float *d_x = mien__op_grad(node, d_in, 0);
    (void)in;
    if (d_x)
        mien__add(d_x, d_out[0]->data, mien__tensor_elems(out));
}
