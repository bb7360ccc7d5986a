/* InstanceNorm: per picture and channel, y = scale[c] (x - mean) / sqrt(var + EPSILON) + shift[c] over the
 * plane (Ulyanov 2016), EPSILON 1e-5. Mean and variance in double, two passes.
 * Gradient, with h = (x - mean) / sqrt(var + EPSILON): d_x = scale (d_y - mean d_y - h mean(d_y h)) /
 * sqrt(var + EPSILON), means over the plane; d_scale = sum d_y h, d_shift = sum d_y.
 */
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"

mien_status mien__instance_norm_infer(const mien__node *node, const mien__tensor *const *in,
                                      mien__tensor *out, mien_error *err)
{
    mien_status st = mien__op_need_f32(node, in, 0, 3, MIEN_MAX_RANK, err);
    for (uint32_t i = 1; !st && i < 3; i++)
        if (in[i]->dtype != MIEN__F32 || mien__tensor_elems(in[i]) != in[0]->dims[1])
            st = mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "input %u does not have %lld values",
                               (unsigned)i, (long long)in[0]->dims[1]);
    return st ? st : mien__op_set_shape(node, out, MIEN__F32, in[0]->rank, in[0]->dims, err);
}

void mien__instance_norm_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    const mien__tensor *t = in[0];
    const double eps = mien__node_float(node, MIEN__ATTR_EPSILON, 1e-5);
    const int64_t c = t->dims[1], n = mien__dims_product(t->dims, 2, t->rank);
    const float *scale = in[1]->data, *shift = in[2]->data;
    for (int64_t p = 0; n && p < t->dims[0] * c; p++) {
        const float *x = (const float *)t->data + p * n;
        float *y = (float *)out->data + p * n;
        double mean, inv;
        mien__mean_inv(x, n, eps, &mean, &inv);
        for (int64_t i = 0; i < n; i++)
            y[i] = (float)((x[i] - mean) * inv) * scale[p % c] + shift[p % c];
    }
}

void mien__instance_norm_backward(const mien__node *node, const mien__tensor *const *in,
                                  const mien__tensor *out, const mien__tensor *const *d_out,
                                  mien__tensor *const *d_in)
{
    const mien__tensor *t = in[0];
    const double eps = mien__node_float(node, MIEN__ATTR_EPSILON, 1e-5);
    const int64_t c = t->dims[1], n = mien__dims_product(t->dims, 2, t->rank);
    const float *scale = in[1]->data;
    float *d_x = mien__op_grad(node, d_in, 0), *d_scale = mien__op_grad(node, d_in, 1);
    float *d_shift = mien__op_grad(node, d_in, 2);
    (void)out;
    for (int64_t p = 0; n && p < t->dims[0] * c; p++) {
        const float *x = (const float *)t->data + p * n, *d_y = (const float *)d_out[0]->data + p * n;
        double mean, inv, sum = 0.0, sum_h = 0.0;
        mien__mean_inv(x, n, eps, &mean, &inv);
        for (int64_t i = 0; i < n; i++) {
            sum += d_y[i];
            sum_h += d_y[i] * (x[i] - mean) * inv;
        }
        if (d_scale)
            d_scale[p % c] += (float)sum_h;
        if (d_shift)
            d_shift[p % c] += (float)sum;
        for (int64_t i = 0; d_x && i < n; i++) {
            const double h = (x[i] - mean) * inv;
            d_x[p * n + i] +=
                (float)(scale[p % c] * inv * (d_y[i] - sum / (double)n - h * sum_h / (double)n));
        }
    }
}
