/* InstanceNorm: per picture and channel, y = scale[c] (x - mean) / sqrt(var + EPSILON) + shift[c] over the
 * plane (Ulyanov 2016), EPSILON 1e-5. Mean and variance in double, two passes.
 */
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"
#include <math.h>

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
        double mean = 0.0, var = 0.0;
        for (int64_t i = 0; i < n; i++)
            mean += x[i];
        mean /= (double)n;
        for (int64_t i = 0; i < n; i++)
            var += (x[i] - mean) * (x[i] - mean);
        const double inv = 1.0 / sqrt(var / (double)n + eps);
        for (int64_t i = 0; i < n; i++)
            y[i] = (float)((x[i] - mean) * inv) * scale[p % c] + shift[p % c];
    }
}
