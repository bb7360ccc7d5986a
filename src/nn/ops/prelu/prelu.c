/* PRelu: y = x < 0 ? slope x : x. x[n][c][...], slope one value per channel (axis 1) or one for all. */
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"

mien_status mien__prelu_infer(const mien__node *node, const mien__tensor *const *in, mien__tensor *out,
                              mien_error *err)
{
    mien_status st = MIEN_OK;
    if ((st = mien__op_need_f32(node, in, 0, 1, MIEN_MAX_RANK, err)) ||
        (st = mien__op_need_f32(node, in, 1, 0, MIEN_MAX_RANK, err)))
        return st;
    const int64_t slopes = mien__tensor_elems(in[1]);
    if (slopes != 1 && (in[0]->rank < 2 || slopes != in[0]->dims[1]))
        return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "%lld slopes do not fit the channels",
                             (long long)slopes);
    return mien__op_set_shape(node, out, MIEN__F32, in[0]->rank, in[0]->dims, err);
}

void mien__prelu_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    const mien__tensor *t = in[0];
    const int64_t slopes = mien__tensor_elems(in[1]), n = mien__tensor_elems(t);
    const int64_t inner = slopes == 1 ? 1 : mien__dims_product(t->dims, 2, t->rank);
    const float *x = t->data, *slope = in[1]->data;
    float *y = out->data;
    (void)node;
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] < 0.0f ? slope[slopes == 1 ? 0 : i / inner % slopes] * x[i] : x[i];
}
