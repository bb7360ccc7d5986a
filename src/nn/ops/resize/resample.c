/* Resize of x[n][c][h][w] in height and width (ONNX Resize-11). Input 1 holds 4 scales (float), or with
 * SIZES=1 the 4 output sizes (int64); known at plan time.
 *
 * MODE 0 nearest (ROUND), 1 linear with clamped edges; COORD names how an output coordinate maps back:
 * half_pixel (o + .5) / s - .5; asymmetric o / s; align_corners o (in - 1) / (out - 1); pytorch_half_pixel as
 * half_pixel but 0 for an output of length 1. With SIZES the scale is out / in.
 * Gradient: d_y added to the elements it was made from, with their weights.
 */
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"
#include <math.h>

enum { RESIZE_MAX_SIDE = 1 << 20 };

mien_status mien__resize_infer(const mien__node *node, const mien__tensor *const *in, mien__tensor *out,
                               mien_error *err)
{
    int64_t dims[4];
    mien_status st = mien__op_need_f32(node, in, 0, 4, 4, err);
    if (st)
        return st;
    const bool sizes = mien__node_int(node, MIEN__ATTR_SIZES, 0) != 0;
    const mien__tensor *arg = in[1];
    if (arg->dtype != (sizes ? MIEN__I64 : MIEN__F32) || mien__tensor_elems(arg) != 4)
        return mien__op_fail(err, MIEN_E_MODEL_OP, node, "wanted 4 %s", sizes ? "sizes" : "scales");
    if (!arg->data)
        return mien__op_fail(err, MIEN_E_MODEL_OP, node, "the size depends on the picture's content");
    for (int i = 0; i < 4; i++) {
        const double wanted = sizes ? (double)((const int64_t *)arg->data)[i]
                                    : floor((double)in[0]->dims[i] * (double)((const float *)arg->data)[i]);
        if (!(wanted >= 1.0 && wanted <= RESIZE_MAX_SIDE) || in[0]->dims[i] < 1)
            return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "axis %d cannot be resized to %g", i, wanted);
        dims[i] = (int64_t)wanted;
    }
    if (dims[0] != in[0]->dims[0] || dims[1] != in[0]->dims[1])
        return mien__op_fail(err, MIEN_E_MODEL_OP, node, "only height and width can be resized");
    return mien__op_set_shape(node, out, MIEN__F32, 4, dims, err);
}

/* Source coordinate of output coordinate o along an axis (2 or 3). */
static float source_at(const mien__node *node, const mien__tensor *const *in, const mien__tensor *out,
                       int axis, int64_t o)
{
    const int64_t n_in = in[0]->dims[axis], n_out = out->dims[axis];
    const bool sizes = mien__node_int(node, MIEN__ATTR_SIZES, 0) != 0;
    const float scale = sizes ? (float)n_out / (float)n_in : ((const float *)in[1]->data)[axis];
    switch (mien__node_int(node, MIEN__ATTR_COORD, MIEN__COORD_HALF_PIXEL)) {
    case MIEN__COORD_ASYMMETRIC:
        return (float)o / scale;
    case MIEN__COORD_ALIGN_CORNERS:
        return n_out == 1 ? 0.0f : (float)o * (float)(n_in - 1) / (float)(n_out - 1);
    case MIEN__COORD_PYTORCH_HALF_PIXEL:
        return n_out == 1 ? 0.0f : ((float)o + 0.5f) / scale - 0.5f;
    default:
        return ((float)o + 0.5f) / scale - 0.5f;
    }
}

int64_t mien__resize_nearest(const mien__node *node, const mien__tensor *const *in, const mien__tensor *out,
                             int axis, int64_t o)
{
    const float at = source_at(node, in, out, axis, o);
    float r = 0.0f;
    switch (mien__node_int(node, MIEN__ATTR_ROUND, MIEN__ROUND_PREFER_FLOOR)) {
    case MIEN__ROUND_FLOOR:
        r = floorf(at);
        break;
    case MIEN__ROUND_CEIL:
        r = ceilf(at);
        break;
    case MIEN__ROUND_PREFER_CEIL:
        r = floorf(at + 0.5f);
        break;
    default:
        r = ceilf(at - 0.5f);
    }
    const float top = (float)(in[0]->dims[axis] - 1);
    return (int64_t)(r < 0.0f ? 0.0f : r > top ? top : r);
}

/* Both neighbours of an output coordinate and the weight of the second. */
static void linear_at(const mien__node *node, const mien__tensor *const *in, const mien__tensor *out,
                      int axis, int64_t o, int64_t *ret_a, int64_t *ret_b, float *ret_w)
{
    const float top = (float)(in[0]->dims[axis] - 1);
    float at = source_at(node, in, out, axis, o);
    at = at > 0.0f ? at : 0.0f;
    at = at < top ? at : top;
    *ret_a = (int64_t)at;
    *ret_b = *ret_a + 1 < in[0]->dims[axis] ? *ret_a + 1 : *ret_a;
    *ret_w = at - (float)*ret_a;
}

/* The four elements one output pixel is made from, as offsets in a plane, and the weights of the second
 * column and row; nearest takes from[0] alone. */
typedef struct taps {
    int64_t from[4];
    float wy, wx;
} taps;

static taps taps_of(const mien__node *node, const mien__tensor *const *in, const mien__tensor *out,
                    bool linear, int64_t oy, int64_t ox)
{
    const int64_t iw = in[0]->dims[3];
    int64_t y0, y1, x0, x1;
    taps t = { .wy = 0.0f };
    if (linear) {
        linear_at(node, in, out, 2, oy, &y0, &y1, &t.wy);
        linear_at(node, in, out, 3, ox, &x0, &x1, &t.wx);
    } else {
        y0 = y1 = mien__resize_nearest(node, in, out, 2, oy);
        x0 = x1 = mien__resize_nearest(node, in, out, 3, ox);
    }
    t.from[0] = y0 * iw + x0;
    t.from[1] = y0 * iw + x1;
    t.from[2] = y1 * iw + x0;
    t.from[3] = y1 * iw + x1;
    return t;
}

void mien__resize_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    const int64_t *xd = in[0]->dims, *yd = out->dims, planes = yd[0] * yd[1];
    const bool linear = mien__node_int(node, MIEN__ATTR_MODE, 0) == 1;
    const float *x = in[0]->data;
    float *y = out->data;
    for (int64_t oy = 0; oy < yd[2]; oy++)
        for (int64_t ox = 0; ox < yd[3]; ox++) {
            const taps t = taps_of(node, in, out, linear, oy, ox);
            for (int64_t p = 0; p < planes; p++) {
                const float *s = x + p * xd[2] * xd[3];
                const float a = s[t.from[0]], b = s[t.from[1]], c = s[t.from[2]], d = s[t.from[3]];
                y[(p * yd[2] + oy) * yd[3] + ox] =
                    linear ? (a * (1 - t.wx) + b * t.wx) * (1 - t.wy) + (c * (1 - t.wx) + d * t.wx) * t.wy
                           : a;
            }
        }
}

void mien__resize_backward(const mien__node *node, const mien__tensor *const *in, const mien__tensor *out,
                           const mien__tensor *const *d_out, mien__tensor *const *d_in)
{
    const int64_t *xd = in[0]->dims, *yd = out->dims, planes = yd[0] * yd[1];
    const bool linear = mien__node_int(node, MIEN__ATTR_MODE, 0) == 1;
    float *d_x = mien__op_grad(node, d_in, 0);
    for (int64_t oy = 0; d_x && oy < yd[2]; oy++)
        for (int64_t ox = 0; ox < yd[3]; ox++) {
            const taps t = taps_of(node, in, out, linear, oy, ox);
            for (int64_t p = 0; p < planes; p++) {
                const float g = ((const float *)d_out[0]->data)[(p * yd[2] + oy) * yd[3] + ox];
                float *d = d_x + p * xd[2] * xd[3];
                d[t.from[0]] += g * (1 - t.wx) * (1 - t.wy);
                if (linear) {
                    d[t.from[1]] += g * t.wx * (1 - t.wy);
                    d[t.from[2]] += g * (1 - t.wx) * t.wy;
                    d[t.from[3]] += g * t.wx * t.wy;
                }
            }
        }
}
