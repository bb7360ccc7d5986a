/* Pooling of x[n][c][h][w].
 *
 * MaxPool, AvgPool: KERNEL STRIDE PAD(t l b r) DILATION CEIL, AvgPool also COUNT_PAD (padding counts in the
 * divisor; the part a rounded-up window hangs over the padding never does). GlobalAvgPool, GlobalMaxPool: the
 * whole plane, output [n][c][1][1]. Averages are summed in double.
 * Gradient: Max: d_y to the window's first greatest element; averages: d_y / divisor to each element.
 * With CEIL the last window must start inside the picture or its leading padding, as ONNX Runtime has it.
 */
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"
#include <math.h>

mien_status mien__pool2d_infer(const mien__node *node, const mien__tensor *const *in, mien__tensor *out,
                               mien_error *err)
{
    mien__window w;
    mien_status st = MIEN_OK;
    if ((st = mien__op_need_f32(node, in, 0, 4, 4, err)) || (st = mien__op_window(node, 0, 0, &w, err)))
        return st;
    const int64_t *x = in[0]->dims;
    const bool ceil = mien__node_int(node, MIEN__ATTR_CEIL, 0) != 0;
    if (w.pt >= w.kh * w.dh || w.pl >= w.kw * w.dw || w.pb >= w.kh * w.dh || w.pr >= w.kw * w.dw)
        return mien__op_fail(err, MIEN_E_MODEL_OP, node, "padding is not smaller than the window");
    const int64_t oh = mien__op_window_out(x[2], w.kh, w.sh, w.dh, w.pt, w.pb, ceil);
    const int64_t ow = mien__op_window_out(x[3], w.kw, w.sw, w.dw, w.pl, w.pr, ceil);
    if (x[2] < 1 || x[3] < 1 || oh < 1 || ow < 1)
        return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "input of %lldx%lld is too small",
                             (long long)x[3], (long long)x[2]);
    return mien__op_set_shape(node, out, MIEN__F32, 4, (const int64_t[]){ x[0], x[1], oh, ow }, err);
}

/* Index of the window's first greatest element; -1 when it holds no number above -inf. */
static int64_t max_at(const mien__window *w, const float *x, int64_t ih, int64_t iw, int64_t y0, int64_t x0)
{
    float best = -INFINITY;
    int64_t at = -1;
    for (int64_t ky = 0; ky < w->kh; ky++)
        for (int64_t kx = 0; kx < w->kw; kx++) {
            const int64_t iy = y0 + ky * w->dh, ix = x0 + kx * w->dw;
            if (iy >= 0 && iy < ih && ix >= 0 && ix < iw && x[iy * iw + ix] > best)
                best = x[at = iy * iw + ix];
        }
    return at;
}

/* The window's sum and what it is divided by. */
static double sum_at(const mien__window *w, const float *x, int64_t ih, int64_t iw, int64_t y0, int64_t x0,
                     bool count_pad, int64_t *ret_n)
{
    double sum = 0.0;
    int64_t n = 0;
    for (int64_t ky = 0; ky < w->kh; ky++)
        for (int64_t kx = 0; kx < w->kw; kx++) {
            const int64_t iy = y0 + ky * w->dh, ix = x0 + kx * w->dw;
            const bool inside = iy >= 0 && iy < ih && ix >= 0 && ix < iw;
            if (inside)
                sum += x[iy * iw + ix];
            n += inside || (count_pad && iy < ih + w->pb && ix < iw + w->pr);
        }
    *ret_n = n ? n : 1;
    return sum;
}

void mien__pool2d_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    const mien__window w = mien__op_window_checked(node, 0, 0);
    const bool count_pad = mien__node_int(node, MIEN__ATTR_COUNT_PAD, 0) != 0;
    const int64_t *xd = in[0]->dims, *yd = out->dims;
    float *y = out->data;
    for (int64_t p = 0; p < yd[0] * yd[1]; p++) {
        const float *plane = (const float *)in[0]->data + p * xd[2] * xd[3];
        for (int64_t oy = 0; oy < yd[2]; oy++)
            for (int64_t ox = 0; ox < yd[3]; ox++) {
                const int64_t y0 = oy * w.sh - w.pt, x0 = ox * w.sw - w.pl;
                int64_t n = 1;
                if (node->op == MIEN__OP_MaxPool) {
                    n = max_at(&w, plane, xd[2], xd[3], y0, x0);
                    *y++ = n < 0 ? -INFINITY : plane[n];
                } else {
                    const double sum = sum_at(&w, plane, xd[2], xd[3], y0, x0, count_pad, &n);
                    *y++ = (float)(sum / (double)n);
                }
            }
    }
}

static void spread(const mien__window *w, float *d_x, int64_t ih, int64_t iw, int64_t y0, int64_t x0,
                   float share)
{
    for (int64_t ky = 0; ky < w->kh; ky++)
        for (int64_t kx = 0; kx < w->kw; kx++) {
            const int64_t iy = y0 + ky * w->dh, ix = x0 + kx * w->dw;
            if (iy >= 0 && iy < ih && ix >= 0 && ix < iw)
                d_x[iy * iw + ix] += share;
        }
}

void mien__pool2d_backward(const mien__node *node, const mien__tensor *const *in, const mien__tensor *out,
                           const mien__tensor *const *d_out, mien__tensor *const *d_in)
{
    const mien__window w = mien__op_window_checked(node, 0, 0);
    const bool count_pad = mien__node_int(node, MIEN__ATTR_COUNT_PAD, 0) != 0;
    const int64_t *xd = in[0]->dims, *yd = out->dims;
    const float *g = d_out[0]->data;
    float *d_x = mien__op_grad(node, d_in, 0);
    for (int64_t p = 0; d_x && p < yd[0] * yd[1]; p++, d_x += xd[2] * xd[3]) {
        const float *plane = (const float *)in[0]->data + p * xd[2] * xd[3];
        for (int64_t oy = 0; oy < yd[2]; oy++)
            for (int64_t ox = 0; ox < yd[3]; ox++, g++) {
                const int64_t y0 = oy * w.sh - w.pt, x0 = ox * w.sw - w.pl;
                int64_t n = 1;
                if (node->op == MIEN__OP_MaxPool) {
                    n = max_at(&w, plane, xd[2], xd[3], y0, x0);
                    if (n >= 0)
                        d_x[n] += *g;
                } else {
                    sum_at(&w, plane, xd[2], xd[3], y0, x0, count_pad, &n);
                    spread(&w, d_x, xd[2], xd[3], y0, x0, *g / (float)n);
                }
            }
    }
}

mien_status mien__global_pool_infer(const mien__node *node, const mien__tensor *const *in, mien__tensor *out,
                                    mien_error *err)
{
    int64_t dims[MIEN_MAX_RANK] = { 0 };
    const mien_status st = mien__op_need_f32(node, in, 0, 3, MIEN_MAX_RANK, err);
    if (st)
        return st;
    for (int i = 0; i < in[0]->rank; i++) {
        if (in[0]->dims[i] < 1)
            return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "the input is empty");
        dims[i] = i < 2 ? in[0]->dims[i] : 1;
    }
    return mien__op_set_shape(node, out, MIEN__F32, in[0]->rank, dims, err);
}

void mien__global_pool_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    const int64_t n = in[0]->dims[0] * in[0]->dims[1];
    const int64_t inner = mien__dims_product(in[0]->dims, 2, in[0]->rank);
    float *y = out->data;
    for (int64_t p = 0; p < n; p++) {
        const float *x = (const float *)in[0]->data + p * inner;
        double sum = 0.0;
        float best = x[0];
        for (int64_t i = 0; i < inner; i++) {
            sum += x[i];
            best = x[i] > best ? x[i] : best;
        }
        y[p] = node->op == MIEN__OP_GlobalMaxPool ? best : (float)(sum / (double)inner);
    }
}

void mien__global_pool_backward(const mien__node *node, const mien__tensor *const *in,
                                const mien__tensor *out, const mien__tensor *const *d_out,
                                mien__tensor *const *d_in)
{
    const int64_t n = in[0]->dims[0] * in[0]->dims[1];
    const int64_t inner = mien__dims_product(in[0]->dims, 2, in[0]->rank);
    const float *g = d_out[0]->data;
    float *d_x = mien__op_grad(node, d_in, 0);
    (void)out;
    for (int64_t p = 0; d_x && p < n; p++, d_x += inner) {
        const float *x = (const float *)in[0]->data + p * inner;
        int64_t best = 0;
        for (int64_t i = 0; i < inner; i++) {
            if (node->op == MIEN__OP_GlobalAvgPool)
                d_x[i] += g[p] / (float)inner;
            best = x[i] > x[best] ? i : best;
        }
        if (node->op == MIEN__OP_GlobalMaxPool)
            d_x[best] += g[p];
    }
}
