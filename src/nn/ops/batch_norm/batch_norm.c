/* BatchNorm (Ioffe, Szegedy 2015): y = scale[c] (x - mean[c]) / sqrt(var[c] + EPSILON) + shift[c] with mean
 * and var as inputs, EPSILON 1e-5. What training keeps in a network; mien__graph_simplify() makes it an
 * Affine and folds that into the convolution before it.
 *
 * x has rank 2 or more, channels on axis 1. Computed as a x + b with a and b from double.
 * Gradient, with inv = 1 / sqrt(var + EPSILON): d_x = scale inv d_y, d_scale = sum d_y (x - mean) inv,
 * d_shift = sum d_y, d_mean = -scale inv d_shift, d_var = -scale inv^2 d_scale / 2.
 *
 * The training form takes mean and biased variance of each channel from the batch (N values). With h = (x -
 * mean) inv: d_x = scale inv (d_y - sum d_y / N - h sum(d_y h) / N); d_scale and d_shift as above.
 */
#include "nn/ops/batch_norm/batch_norm.h"
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"
#include <math.h>

#define EPSILON(node) mien__node_float((node), MIEN__ATTR_EPSILON, MIEN__BATCH_NORM_EPSILON)

mien_status mien__batch_norm_infer(const mien__node *node, const mien__tensor *const *in, mien__tensor *out,
                                   mien_error *err)
{
    mien_status st = mien__op_need_f32(node, in, 0, 2, MIEN_MAX_RANK, err);
    for (uint32_t i = 1; !st && i < 5; i++) {
        st = mien__op_need_f32(node, in, i, 0, MIEN_MAX_RANK, err);
        if (!st && mien__tensor_elems(in[i]) != in[0]->dims[1])
            st = mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "input %u does not have %lld values",
                               (unsigned)i, (long long)in[0]->dims[1]);
    }
    return st ? st : mien__op_set_shape(node, out, MIEN__F32, in[0]->rank, in[0]->dims, err);
}

void mien__batch_norm_affine(float scale, float shift, float mean, float var, double eps, float *ret_a,
                             float *ret_b)
{
    const double a = (double)scale / sqrt((double)var + eps);
    *ret_a = (float)a;
    *ret_b = (float)((double)shift - (double)mean * a);
}

/* Channel c of x[n][c][...]: element (n, i) lies at plane_of() + i. */
static int64_t plane_of(const mien__tensor *x, int64_t n, int64_t c, int64_t inner)
{
    return (n * x->dims[1] + c) * inner;
}

void mien__batch_norm_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    const mien__tensor *t = in[0];
    const int64_t inner = mien__dims_product(t->dims, 2, t->rank);
    const float *scale = in[1]->data, *shift = in[2]->data, *mean = in[3]->data, *var = in[4]->data;
    for (int64_t c = 0; c < t->dims[1]; c++) {
        float a, b;
        mien__batch_norm_affine(scale[c], shift[c], mean[c], var[c], EPSILON(node), &a, &b);
        for (int64_t n = 0; n < t->dims[0]; n++) {
            const float *x = (const float *)t->data + plane_of(t, n, c, inner);
            float *y = (float *)out->data + plane_of(t, n, c, inner);
            for (int64_t i = 0; i < inner; i++)
                y[i] = a * x[i] + b;
        }
    }
}

/* sum of d_y and of d_y (x - mean) inv over channel c */
static void sums_of(const mien__tensor *t, int64_t c, double mean, double inv, const float *d_y,
                    double *ret_sum, double *ret_sum_h)
{
    const int64_t inner = mien__dims_product(t->dims, 2, t->rank);
    *ret_sum = *ret_sum_h = 0.0;
    for (int64_t n = 0; n < t->dims[0]; n++) {
        const int64_t at = plane_of(t, n, c, inner);
        const float *x = (const float *)t->data + at;
        for (int64_t i = 0; i < inner; i++) {
            *ret_sum += d_y[at + i];
            *ret_sum_h += d_y[at + i] * ((x[i] - mean) * inv);
        }
    }
}

void mien__batch_norm_backward(const mien__node *node, const mien__tensor *const *in, const mien__tensor *out,
                               const mien__tensor *const *d_out, mien__tensor *const *d_in)
{
    const mien__tensor *t = in[0];
    const int64_t inner = mien__dims_product(t->dims, 2, t->rank);
    const float *scale = in[1]->data, *mean = in[3]->data, *var = in[4]->data, *d_y = d_out[0]->data;
    float *d[5];
    (void)out;
    for (uint32_t i = 0; i < 5; i++)
        d[i] = mien__op_grad(node, d_in, i);
    for (int64_t c = 0; c < t->dims[1]; c++) {
        const double inv = 1.0 / sqrt((double)var[c] + EPSILON(node));
        double sum, sum_h;
        sums_of(t, c, mean[c], inv, d_y, &sum, &sum_h);
        const double own[5] = { 0.0, sum_h, sum, -scale[c] * inv * sum, -0.5 * scale[c] * inv * inv * sum_h };
        for (int i = 1; i < 5; i++)
            if (d[i])
                d[i][c] += (float)own[i];
        for (int64_t n = 0; d[0] && n < t->dims[0]; n++) {
            const int64_t at = plane_of(t, n, c, inner);
            for (int64_t i = 0; i < inner; i++)
                d[0][at + i] += (float)(scale[c] * inv * d_y[at + i]);
        }
    }
}

void mien__batch_norm_train_forward(const mien__tensor *t, const float *scale, const float *shift, double eps,
                                    float *y, float *ret_mean, float *ret_var)
{
    const int64_t inner = mien__dims_product(t->dims, 2, t->rank);
    const double count = (double)(t->dims[0] * inner);
    const float *x = t->data;
    for (int64_t c = 0; c < t->dims[1]; c++) {
        double mean = 0.0, var = 0.0;
        for (int64_t n = 0; n < t->dims[0]; n++)
            for (int64_t i = 0; i < inner; i++)
                mean += x[plane_of(t, n, c, inner) + i];
        mean /= count;
        for (int64_t n = 0; n < t->dims[0]; n++)
            for (int64_t i = 0; i < inner; i++) {
                const double d = x[plane_of(t, n, c, inner) + i] - mean;
                var += d * d;
            }
        var /= count;
        const double inv = 1.0 / sqrt(var + eps);
        for (int64_t n = 0; n < t->dims[0]; n++) {
            const int64_t at = plane_of(t, n, c, inner);
            for (int64_t i = 0; i < inner; i++)
                y[at + i] = (float)(scale[c] * ((x[at + i] - mean) * inv) + shift[c]);
        }
        ret_mean[c] = (float)mean;
        ret_var[c] = (float)var;
    }
}

void mien__batch_norm_train_backward(const mien__tensor *t, const float *scale, const float *mean,
                                     const float *var, double eps, const float *d_y, float *d_x,
                                     float *d_scale, float *d_shift)
{
    const int64_t inner = mien__dims_product(t->dims, 2, t->rank);
    const double count = (double)(t->dims[0] * inner);
    const float *x = t->data;
    for (int64_t c = 0; c < t->dims[1]; c++) {
        const double inv = 1.0 / sqrt((double)var[c] + eps);
        double sum, sum_h;
        sums_of(t, c, mean[c], inv, d_y, &sum, &sum_h);
        if (d_scale)
            d_scale[c] += (float)sum_h;
        if (d_shift)
            d_shift[c] += (float)sum;
        for (int64_t n = 0; d_x && n < t->dims[0]; n++) {
            const int64_t at = plane_of(t, n, c, inner);
            for (int64_t i = 0; i < inner; i++) {
                const double h = (x[at + i] - mean[c]) * inv;
                d_x[at + i] += (float)(scale[c] * inv * (d_y[at + i] - sum / count - h * sum_h / count));
            }
        }
    }
}
