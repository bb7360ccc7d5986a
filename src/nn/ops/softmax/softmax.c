/* Softmax along AXIS (default -1): e^(x - max) / sum, the sum in double.
 * Gradient: d_x = y (d_y - sum d_y y).
 */
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"
#include <math.h>

mien_status mien__softmax_infer(const mien__node *node, const mien__tensor *const *in, mien__tensor *out,
                                mien_error *err)
{
    int axis = 0;
    mien_status st = MIEN_OK;
    if ((st = mien__op_need_f32(node, in, 0, 1, MIEN_MAX_RANK, err)) ||
        (st = mien__op_axis(node, mien__node_int(node, MIEN__ATTR_AXIS, -1), in[0]->rank, &axis, err)))
        return st;
    return mien__op_set_shape(node, out, MIEN__F32, in[0]->rank, in[0]->dims, err);
}

void mien__softmax_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    const mien__tensor *t = in[0];
    int axis = 0;
    if (mien__op_axis(node, mien__node_int(node, MIEN__ATTR_AXIS, -1), t->rank, &axis, NULL))
        return;
    const int64_t n = t->dims[axis], inner = mien__dims_product(t->dims, axis + 1, t->rank);
    const int64_t outer = mien__dims_product(t->dims, 0, axis);
    for (int64_t o = 0; n && o < outer * inner; o++) {
        const int64_t base = o / inner * n * inner + o % inner;
        const float *x = (const float *)t->data + base;
        float *y = (float *)out->data + base, max = x[0];
        double sum = 0.0;
        for (int64_t i = 1; i < n; i++)
            max = x[i * inner] > max ? x[i * inner] : max;
        for (int64_t i = 0; i < n; i++)
            sum += y[i * inner] = expf(x[i * inner] - max);
        for (int64_t i = 0; i < n; i++)
            y[i * inner] = (float)(y[i * inner] / sum);
    }
}

void mien__softmax_backward(const mien__node *node, const mien__tensor *const *in, const mien__tensor *out,
                            const mien__tensor *const *d_out, mien__tensor *const *d_in)
{
    const mien__tensor *t = in[0];
    float *d_x = mien__op_grad(node, d_in, 0);
    int axis = 0;
    if (!d_x || mien__op_axis(node, mien__node_int(node, MIEN__ATTR_AXIS, -1), t->rank, &axis, NULL))
        return;
    const int64_t n = t->dims[axis], inner = mien__dims_product(t->dims, axis + 1, t->rank);
    const int64_t outer = mien__dims_product(t->dims, 0, axis);
    for (int64_t o = 0; n && o < outer * inner; o++) {
        const int64_t base = o / inner * n * inner + o % inner;
        const float *y = (const float *)out->data + base, *g = (const float *)d_out[0]->data + base;
        double dot = 0.0;
        for (int64_t i = 0; i < n; i++)
            dot += (double)y[i * inner] * g[i * inner];
        for (int64_t i = 0; i < n; i++)
            d_x[base + i * inner] += (float)(y[i * inner] * (g[i * inner] - dot));
    }
}
