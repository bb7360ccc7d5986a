/* Affine: y[n][c][...] = scale[c] x[n][c][...] + shift[c]. What batch normalisation becomes at inference.
 *
 * Gradient: d_x = scale d_y, d_scale = sum d_y x, d_shift = sum d_y, sums over all but the channel.
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

void mien__affine_backward(const mien__node *node, const mien__tensor *const *in, const mien__tensor *out,
                           const mien__tensor *const *d_out, mien__tensor *const *d_in)
{
    const mien__tensor *t = in[0];
    const int64_t channels = t->dims[1], inner = mien__dims_product(t->dims, 2, t->rank);
    const float *scale = in[1]->data;
    float *d_x = mien__op_grad(node, d_in, 0), *d_scale = mien__op_grad(node, d_in, 1);
    float *d_shift = mien__op_grad(node, d_in, 2);
    (void)out;
    for (int64_t i = 0; i < t->dims[0] * channels; i++) {
        const float *x = (const float *)t->data + i * inner, *g = (const float *)d_out[0]->data + i * inner;
        const int64_t c = i % channels;
        double sum = 0.0, sum_x = 0.0;
        for (int64_t j = 0; j < inner; j++) {
            sum += g[j];
            sum_x += (double)g[j] * x[j];
            if (d_x)
                d_x[i * inner + j] += scale[c] * g[j];
        }
        if (d_scale)
            d_scale[c] += (float)sum_x;
        if (d_shift)
            d_shift[c] += (float)sum;
    }
}
