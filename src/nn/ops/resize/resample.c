/* Resize of x[n][c][h][w] in height and width (ONNX Resize-11). Input 1 holds 4 scales (float), or with
 * SIZES=1 the 4 output sizes (int64); known at plan time.
 *
 * MODE 0 nearest (ROUND), 1 linear with clamped edges; COORD names how an output coordinate maps back:
 * half_pixel (o + .5) / s - .5; asymmetric o / s; align_corners o (in - 1) / (out - 1); pytorch_half_pixel as
 * half_pixel but 0 for an output of length 1. With SIZES the scale is out / in.
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

void mien__resize_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    const int64_t *xd = in[0]->dims, *yd = out->dims, planes = yd[0] * yd[1];
    const bool linear = mien__node_int(node, MIEN__ATTR_MODE, 0) == 1;
    const float *x = in[0]->data;
    float *y = out->data;
    for (int64_t oy = 0; oy < yd[2]; oy++)
        for (int64_t ox = 0; ox < yd[3]; ox++) {
            int64_t y0, y1, x0, x1;
            float wy = 0.0f, wx = 0.0f;
            if (linear) {
                linear_at(node, in, out, 2, oy, &y0, &y1, &wy);
                linear_at(node, in, out, 3, ox, &x0, &x1, &wx);
            } else {
                y0 = y1 = mien__resize_nearest(node, in, out, 2, oy);
                x0 = x1 = mien__resize_nearest(node, in, out, 3, ox);
            }
            for (int64_t p = 0; p < planes; p++) {
                const float *s = x + p * xd[2] * xd[3];
                const float a = s[y0 * xd[3] + x0], b = s[y0 * xd[3] + x1];
                const float c = s[y1 * xd[3] + x0], d = s[y1 * xd[3] + x1];
                y[(p * yd[2] + oy) * yd[3] + ox] =
                    linear ? (a * (1 - wx) + b * wx) * (1 - wy) + (c * (1 - wx) + d * wx) * wy : a;
            }
        }
}
