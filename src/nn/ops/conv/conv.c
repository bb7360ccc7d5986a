/* Conv: y[n][o] = b[o] + sum over i, kh, kw of w[o][i][kh][kw] x[n][g(o) + i][...], zero padding.
 *
 * Inputs x[n][c][h][w], w[o][c/g][kh][kw], b[o] optional. Attributes KERNEL (default: from w), STRIDE,
 * PAD (t l b r), DILATION, GROUP. Sums run in float, in the order (i, kh, kw), starting from the bias.
 * Gradient: d_x[i][...] += w d_y, d_w += d_y x, both over the pairs that forward multiplies; d_b[o] += sum
 * d_y. The inner loop adds one weight times a row piece, so compilers vectorise it over x.
 */
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"

mien_status mien__conv_infer(const mien__node *node, const mien__tensor *const *in, mien__tensor *out,
                             mien_error *err)
{
    mien__window win;
    mien_status st = MIEN_OK;
    if ((st = mien__op_need_f32(node, in, 0, 4, 4, err)) || (st = mien__op_need_f32(node, in, 1, 4, 4, err)))
        return st;
    const int64_t *x = in[0]->dims, *w = in[1]->dims;
    if ((st = mien__op_window(node, w[2], w[3], &win, err)))
        return st;
    const int64_t groups = mien__node_int(node, MIEN__ATTR_GROUP, 1);
    if (win.kh != w[2] || win.kw != w[3])
        return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "kernel %lldx%lld, but weights are %lldx%lld",
                             (long long)win.kh, (long long)win.kw, (long long)w[2], (long long)w[3]);
    if (groups < 1 || w[0] < 1 || w[1] < 1 || x[1] % groups || w[0] % groups || x[1] / groups != w[1])
        return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node,
                             "%lld channels in %lld groups against weights for %lld", (long long)x[1],
                             (long long)groups, (long long)w[1]);
    if (in[2] && (in[2]->dtype != MIEN__F32 || mien__tensor_elems(in[2]) != w[0]))
        return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "the bias does not have %lld values",
                             (long long)w[0]);
    const int64_t oh = mien__op_window_out(x[2], win.kh, win.sh, win.dh, win.pt, win.pb, false);
    const int64_t ow = mien__op_window_out(x[3], win.kw, win.sw, win.dw, win.pl, win.pr, false);
    if (x[0] < 1 || oh < 1 || ow < 1)
        return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "input of %lldx%lld is too small",
                             (long long)x[3], (long long)x[2]);
    return mien__op_set_shape(node, out, MIEN__F32, 4, (const int64_t[]){ x[0], w[0], oh, ow }, err);
}

/* Output columns [*ret_lo, *ret_hi) whose source column o * stride + shift lies in [0, n). */
static void valid_range(int64_t out, int64_t n, int64_t stride, int64_t shift, int64_t *ret_lo,
                        int64_t *ret_hi)
{
    int64_t lo = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
    int64_t hi = n - 1 - shift < 0 ? 0 : (n - 1 - shift) / stride + 1;
    hi = hi > out ? out : hi;
    *ret_lo = lo > hi ? hi : lo;
    *ret_hi = hi;
}

/* Add one input channel's part to one output channel. */
static void add_channel(const mien__window *win, const float *x, int64_t ih, int64_t iw, const float *w,
                        float *y, int64_t oh, int64_t ow)
{
    for (int64_t kh = 0; kh < win->kh; kh++)
        for (int64_t kw = 0; kw < win->kw; kw++) {
            const float f = w[kh * win->kw + kw];
            const int64_t shift = kw * win->dw - win->pl;
            int64_t y0, y1, x0, x1;
            valid_range(oh, ih, win->sh, kh * win->dh - win->pt, &y0, &y1);
            valid_range(ow, iw, win->sw, shift, &x0, &x1);
            for (int64_t oy = y0; oy < y1; oy++) {
                const float *row = x + (oy * win->sh + kh * win->dh - win->pt) * iw + shift;
                float *dst = y + oy * ow;
                if (win->sw == 1)
                    for (int64_t ox = x0; ox < x1; ox++)
                        dst[ox] += f * row[ox];
                else
                    for (int64_t ox = x0; ox < x1; ox++)
                        dst[ox] += f * row[ox * win->sw];
            }
        }
}

void mien__conv_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    const int64_t *xd = in[0]->dims, *wd = in[1]->dims, *yd = out[0].dims;
    const mien__window win = mien__op_window_checked(node, wd[2], wd[3]);
    const int64_t groups = mien__node_int(node, MIEN__ATTR_GROUP, 1), per_group = wd[0] / groups;
    const float *bias = in[2] ? in[2]->data : NULL, *w = in[1]->data, *x = in[0]->data;
    float *y = out[0].data;
    for (int64_t n = 0; n < yd[0]; n++)
        for (int64_t o = 0; o < yd[1]; o++) {
            float *dst = y + (n * yd[1] + o) * yd[2] * yd[3];
            const float *src = x + (n * xd[1] + o / per_group * wd[1]) * xd[2] * xd[3];
            for (int64_t i = 0; i < yd[2] * yd[3]; i++)
                dst[i] = bias ? bias[o] : 0.0f;
            for (int64_t i = 0; i < wd[1]; i++)
                add_channel(&win, src + i * xd[2] * xd[3], xd[2], xd[3], w + (o * wd[1] + i) * wd[2] * wd[3],
                            dst, yd[2], yd[3]);
        }
}

/* One input channel's part of one output channel, turned round; d_x and d_w may be NULL. */
static void channel_backward(const mien__window *win, const float *x, float *d_x, int64_t ih, int64_t iw,
                             const float *w, float *d_w, const float *d_y, int64_t oh, int64_t ow)
{
    for (int64_t kh = 0; kh < win->kh; kh++)
        for (int64_t kw = 0; kw < win->kw; kw++) {
            const float f = w[kh * win->kw + kw];
            const int64_t shift = kw * win->dw - win->pl;
            int64_t y0, y1, x0, x1;
            double sum = 0.0;
            valid_range(oh, ih, win->sh, kh * win->dh - win->pt, &y0, &y1);
            valid_range(ow, iw, win->sw, shift, &x0, &x1);
            for (int64_t oy = y0; oy < y1; oy++) {
                const int64_t row = (oy * win->sh + kh * win->dh - win->pt) * iw + shift;
                const float *g = d_y + oy * ow;
                for (int64_t ox = x0; d_x && ox < x1; ox++)
                    d_x[row + ox * win->sw] += f * g[ox];
                for (int64_t ox = x0; d_w && ox < x1; ox++)
                    sum += (double)g[ox] * x[row + ox * win->sw];
            }
            if (d_w)
                d_w[kh * win->kw + kw] += (float)sum;
        }
}

void mien__conv_backward(const mien__node *node, const mien__tensor *const *in, const mien__tensor *out,
                         const mien__tensor *const *d_out, mien__tensor *const *d_in)
{
    const int64_t *xd = in[0]->dims, *wd = in[1]->dims, *yd = out->dims;
    const mien__window win = mien__op_window_checked(node, wd[2], wd[3]);
    const int64_t groups = mien__node_int(node, MIEN__ATTR_GROUP, 1), per_group = wd[0] / groups;
    const int64_t in_plane = xd[2] * xd[3], plane = yd[2] * yd[3], k = wd[2] * wd[3];
    const float *x = in[0]->data, *w = in[1]->data, *d_y = d_out[0]->data;
    float *d_x = mien__op_grad(node, d_in, 0), *d_w = mien__op_grad(node, d_in, 1);
    float *d_bias = mien__op_grad(node, d_in, 2);
    for (int64_t n = 0; n < yd[0]; n++)
        for (int64_t o = 0; o < yd[1]; o++) {
            const float *g = d_y + (n * yd[1] + o) * plane;
            const int64_t from = (n * xd[1] + o / per_group * wd[1]) * in_plane;
            double sum = 0.0;
            for (int64_t i = 0; d_bias && i < plane; i++)
                sum += g[i];
            if (d_bias)
                d_bias[o] += (float)sum;
            for (int64_t i = 0; (d_x || d_w) && i < wd[1]; i++) {
                const int64_t at = from + i * in_plane, tap = (o * wd[1] + i) * k;
                channel_backward(&win, x + at, d_x ? d_x + at : NULL, xd[2], xd[3], w + tap,
                                 d_w ? d_w + tap : NULL, g, yd[2], yd[3]);
            }
        }
}
