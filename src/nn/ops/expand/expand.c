/* Expand(x, shape): x broadcast against `shape` (int64, known at plan time) as numpy does.
 * Gradient: d_y summed over the axes along which x was repeated.
 */
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"

mien_status mien__expand_infer(const mien__node *node, const mien__tensor *const *in, mien__tensor *out,
                               mien_error *err)
{
    int64_t dims[MIEN_MAX_RANK];
    int rank = 0;
    const mien_status st = mien__op_need_known_i64(node, in, 1, err);
    if (st)
        return st;
    const int64_t n = mien__tensor_elems(in[1]);
    if (n > MIEN_MAX_RANK)
        return mien__op_fail(err, MIEN_E_LIMIT, node, "rank %lld is above %d", (long long)n, MIEN_MAX_RANK);
    for (int64_t i = 0; i < n; i++)
        if (((const int64_t *)in[1]->data)[i] < 0)
            return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "a size in the shape is negative");
    if (!mien__broadcast(in[0]->rank, in[0]->dims, (int)n, in[1]->data, &rank, dims))
        return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "the input does not broadcast to the shape");
    return mien__op_set_shape(node, out, in[0]->dtype, rank, dims, err);
}

void mien__expand_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    int64_t st[MIEN_MAX_RANK];
    (void)node;
    if (mien__tensor_elems(out) == 0)
        return;
    mien__broadcast_strides(in[0], out->rank, out->dims, st);
    mien__copy_strided(out->data, in[0]->data, mien__dtype_bytes(out->dtype), out->rank, out->dims, st);
}

void mien__expand_backward(const mien__node *node, const mien__tensor *const *in, const mien__tensor *out,
                           const mien__tensor *const *d_out, mien__tensor *const *d_in)
{
    int64_t st[MIEN_MAX_RANK];
    float *d_x = mien__op_grad(node, d_in, 0);
    if (!d_x)
        return;
    mien__broadcast_strides(in[0], out->rank, out->dims, st);
    mien__add_strided(d_x, d_out[0]->data, out->rank, out->dims, st);
}
