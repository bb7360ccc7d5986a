/* Gemm: y[n][m] = b[m] + sum over k of x[n][k] w[m][k]. Fully connected; w is always stored transposed so.
 *
 * Inputs x[n][k], w[m][k], b[m] optional. Sums run in float in the order of k; the bias is added last.
 * Gradient: d_x = d_y w, d_w = d_y^T x, d_b = column sums of d_y.
 */
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"

mien_status mien__gemm_infer(const mien__node *node, const mien__tensor *const *in, mien__tensor *out,
                             mien_error *err)
{
    mien_status st = MIEN_OK;
    if ((st = mien__op_need_f32(node, in, 0, 2, 2, err)) || (st = mien__op_need_f32(node, in, 1, 2, 2, err)))
        return st;
    const int64_t n = in[0]->dims[0], k = in[0]->dims[1], m = in[1]->dims[0];
    if (in[1]->dims[1] != k)
        return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "input has %lld values, weights expect %lld",
                             (long long)k, (long long)in[1]->dims[1]);
    if (in[2] && (in[2]->dtype != MIEN__F32 || mien__tensor_elems(in[2]) != m))
        return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "the bias does not have %lld values",
                             (long long)m);
    return mien__op_set_shape(node, out, MIEN__F32, 2, (const int64_t[]){ n, m }, err);
}

void mien__gemm_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    const int64_t n = in[0]->dims[0], k = in[0]->dims[1], m = in[1]->dims[0];
    const float *x = in[0]->data, *w = in[1]->data, *bias = in[2] ? in[2]->data : NULL;
    float *y = out[0].data;
    (void)node;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < m; j++) {
            float sum = 0.0f;
            for (int64_t l = 0; l < k; l++)
                sum += x[i * k + l] * w[j * k + l];
            y[i * m + j] = bias ? sum + bias[j] : sum;
        }
}

void mien__gemm_backward(const mien__node *node, const mien__tensor *const *in, const mien__tensor *out,
                         const mien__tensor *const *d_out, mien__tensor *const *d_in)
{
    const int64_t n = in[0]->dims[0], k = in[0]->dims[1], m = in[1]->dims[0];
    const float *x = in[0]->data, *w = in[1]->data, *d_y = d_out[0]->data;
    float *d_x = mien__op_grad(node, d_in, 0), *d_w = mien__op_grad(node, d_in, 1);
    float *d_bias = mien__op_grad(node, d_in, 2);
    (void)out;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < m; j++) {
            const float g = d_y[i * m + j];
            for (int64_t l = 0; d_x && l < k; l++)
                d_x[i * k + l] += g * w[j * k + l];
            for (int64_t l = 0; d_w && l < k; l++)
                d_w[j * k + l] += g * x[i * k + l];
            if (d_bias)
                d_bias[j] += g;
        }
}
