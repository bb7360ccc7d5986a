/* Affine: y[n][c][...] = scale[c] x[n][c][...] + shift[c]. What batch normalisation becomes at inference.
 *
 * x has rank 2 or more, channels on axis 1; scale and shift hold one value per channel.
 */
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"

mien_status mien__affine_infer(const mien__node *node, const mien__tensor *const *in, mien__tensor *out,
                               mien_error *err)
{
    mien_status st = mien__op_need_f32(node, in, 0, 2, MIEN_MAX_RANK, err);
    for (uint32_t i = 1; !st && i < 3; i++) {
        st = mien__op_need_f32(node, in, i, 0, MIEN_MAX_RANK, err);
        if (!st && mien__tensor_elems(in[i]) != in[0]->dims[1])
            st = mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "input %u does not have %lld values",
                               (unsigned)i, (long long)in[0]->dims[1]);
    }
    return st ? st : mien__op_set_shape(node, out, MIEN__F32, in[0]->rank, in[0]->dims, err);
}

void mien__affine_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    const mien__tensor *t = in[0];
    const int64_t channels = t->dims[1], inner = mien__dims_product(t->dims, 2, t->rank);
    const float *x = t->data, *scale = in[1]->data, *shift = in[2]->data;
    float *y = out->data;
    (void)node;
    for (int64_t i = 0; i < t->dims[0] * channels; i++)
        for (int64_t j = 0; j < inner; j++)
            y[i * inner + j] = scale[i % channels] * x[i * inner + j] + shift[i % channels];
}
