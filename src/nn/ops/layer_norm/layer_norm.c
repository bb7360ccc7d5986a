/* LayerNorm over the axes from AXIS (default -1) to the last (Ba 2016, eq. 4):
 * y = scale (x - mean) / sqrt(var + EPSILON) + shift, var without Bessel's correction, EPSILON 1e-5.
 *
 * scale and the optional shift hold one value per normalised element. Mean and variance in double, two
 * passes.
 *
 * Gradient, with h = (x - mean) / sqrt(var + EPSILON) and g = scale d_y: d_x = (g - mean g - h mean(g h)) /
 * sqrt(var + EPSILON), d_scale = sum d_y h, d_shift = sum d_y.
 */
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"

mien_status mien__layer_norm_infer(const mien__node *node, const mien__tensor *const *in, mien__tensor *out,
                                   mien_error *err)
{
    int axis = 0;
    mien_status st = MIEN_OK;
    if ((st = mien__op_need_f32(node, in, 0, 1, MIEN_MAX_RANK, err)) ||
        (st = mien__op_axis(node, mien__node_int(node, MIEN__ATTR_AXIS, -1), in[0]->rank, &axis, err)))
        return st;
    const int64_t n = mien__dims_product(in[0]->dims, axis, in[0]->rank);
    for (uint32_t i = 1; i < 3; i++)
        if (in[i] && (in[i]->dtype != MIEN__F32 || mien__tensor_elems(in[i]) != n))
            return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "input %u does not have %lld values",
                                 (unsigned)i, (long long)n);
    return mien__op_set_shape(node, out, MIEN__F32, in[0]->rank, in[0]->dims, err);
}

void mien__layer_norm_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    const mien__tensor *t = in[0];
    int axis = 0;
    if (mien__op_axis(node, mien__node_int(node, MIEN__ATTR_AXIS, -1), t->rank, &axis, NULL))
        return;
    const double eps = mien__node_float(node, MIEN__ATTR_EPSILON, 1e-5);
    const int64_t n = mien__dims_product(t->dims, axis, t->rank);
    const int64_t rows = mien__dims_product(t->dims, 0, axis);
    const float *scale = in[1]->data, *shift = in[2] ? in[2]->data : NULL;
    for (int64_t r = 0; n && r < rows; r++) {
        const float *x = (const float *)t->data + r * n;
        float *y = (float *)out->data + r * n;
        double mean, inv;
        mien__mean_inv(x, n, eps, &mean, &inv);
        for (int64_t i = 0; i < n; i++)
            y[i] = (float)((x[i] - mean) * inv) * scale[i] + (shift ? shift[i] : 0.0f);
    }
}

void mien__layer_norm_backward(const mien__node *node, const mien__tensor *const *in, const mien__tensor *out,
                               const mien__tensor *const *d_out, mien__tensor *const *d_in)
{
    const mien__tensor *t = in[0];
    float *d_x = mien__op_grad(node, d_in, 0), *d_scale = mien__op_grad(node, d_in, 1);
    float *d_shift = mien__op_grad(node, d_in, 2);
    int axis = 0;
    (void)out;
    if (mien__op_axis(node, mien__node_int(node, MIEN__ATTR_AXIS, -1), t->rank, &axis, NULL))
        return;
    const double eps = mien__node_float(node, MIEN__ATTR_EPSILON, 1e-5);
    const int64_t n = mien__dims_product(t->dims, axis, t->rank);
    const int64_t rows = mien__dims_product(t->dims, 0, axis);
    const float *scale = in[1]->data;
    for (int64_t r = 0; n && r < rows; r++) {
        const float *x = (const float *)t->data + r * n, *d_y = (const float *)d_out[0]->data + r * n;
        double mean, inv, sum = 0.0, sum_h = 0.0;
        mien__mean_inv(x, n, eps, &mean, &inv);
        for (int64_t i = 0; i < n; i++) {
            const double h = (x[i] - mean) * inv, g = (double)scale[i] * d_y[i];
            sum += g;
            sum_h += g * h;
            if (d_scale)
                d_scale[i] += (float)(d_y[i] * h);
            if (d_shift)
                d_shift[i] += d_y[i];
        }
        for (int64_t i = 0; d_x && i < n; i++) {
            const double h = (x[i] - mean) * inv, g = (double)scale[i] * d_y[i];
            d_x[r * n + i] += (float)(inv * (g - sum / (double)n - h * sum_h / (double)n));
        }
    }
}
