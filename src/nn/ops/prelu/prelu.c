/* PRelu: y = x < 0 ? slope x : x. x[n][c][...], slope one value per channel (axis 1) or one for all.
 * Gradient: d_x = x < 0 ? slope d_y : d_y; d_slope = sum of x d_y where x < 0.
 */
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

void mien__prelu_backward(const mien__node *node, const mien__tensor *const *in, const mien__tensor *out,
                          const mien__tensor *const *d_out, mien__tensor *const *d_in)
{
    const mien__tensor *t = in[0];
    const bool one = mien__tensor_elems(in[1]) == 1;
    const int64_t channels = one ? 1 : t->dims[1];
    const int64_t inner = one ? mien__tensor_elems(t) : mien__dims_product(t->dims, 2, t->rank);
    const int64_t rows = one ? 1 : t->dims[0] * channels;
    const float *slope = in[1]->data;
    float *d_x = mien__op_grad(node, d_in, 0), *d_slope = mien__op_grad(node, d_in, 1);
    (void)out;
    for (int64_t i = 0; i < rows; i++) {
        const float *x = (const float *)t->data + i * inner, *g = (const float *)d_out[0]->data + i * inner;
        double sum = 0.0;
        for (int64_t j = 0; j < inner; j++) {
            const bool below = x[j] < 0.0f;
            sum += below ? (double)x[j] * g[j] : 0.0;
            if (d_x)
                d_x[i * inner + j] += below ? slope[i % channels] * g[j] : g[j];
        }
        if (d_slope)
            d_slope[i % channels] += (float)sum;
    }
}
