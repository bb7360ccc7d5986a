/* DepthToSpace: x[n][c b b][h][w] -> y[n][c][h b][w b] with b = BLOCK. MODE 0 (DCR): channel = (by b + bx) c
 * + k; MODE 1 (CRD): channel = k b b + by b + bx.
 * Gradient: every d_y goes to the one element it came from.
 */
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"

enum { BLOCK_MAX = 1024 };

mien_status mien__depth_to_space_infer(const mien__node *node, const mien__tensor *const *in,
                                       mien__tensor *out, mien_error *err)
{
    const int64_t b = mien__node_int(node, MIEN__ATTR_BLOCK, 0);
    const mien_status st = mien__op_need_f32(node, in, 0, 4, 4, err);
    if (st)
        return st;
    const int64_t *x = in[0]->dims;
    if (b < 1 || b > BLOCK_MAX || x[1] % (b * b))
        return mien__op_fail(err, MIEN_E_MODEL_SHAPE, node, "%lld channels in blocks of %lld",
                             (long long)x[1], (long long)b);
    return mien__op_set_shape(node, out, MIEN__F32, 4,
                              (const int64_t[]){ x[0], x[1] / (b * b), x[2] * b, x[3] * b }, err);
}

/* Move every element between x (in[0]'s shape) and y (out's): to y, or back by adding to d_x. */
static void move(const mien__node *node, const int64_t *xd, const int64_t *yd, const float *x, float *y,
                 float *d_x, const float *d_y)
{
    const int64_t b = mien__node_int(node, MIEN__ATTR_BLOCK, 1);
    const bool crd = mien__node_int(node, MIEN__ATTR_MODE, 0) == 1;
    int64_t at = 0;
    for (int64_t n = 0; n < yd[0]; n++)
        for (int64_t k = 0; k < yd[1]; k++)
            for (int64_t oy = 0; oy < yd[2]; oy++)
                for (int64_t ox = 0; ox < yd[3]; ox++, at++) {
                    const int64_t cell = oy % b * b + ox % b;
                    const int64_t c = crd ? k * b * b + cell : cell * yd[1] + k;
                    const int64_t from = ((n * xd[1] + c) * xd[2] + oy / b) * xd[3] + ox / b;
                    if (y)
                        y[at] = x[from];
                    else
                        d_x[from] += d_y[at];
                }
}

void mien__depth_to_space_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out)
{
    move(node, in[0]->dims, out->dims, in[0]->data, out->data, NULL, NULL);
}

void mien__depth_to_space_backward(const mien__node *node, const mien__tensor *const *in,
                                   const mien__tensor *out, const mien__tensor *const *d_out,
                                   mien__tensor *const *d_in)
{
    float *d_x = mien__op_grad(node, d_in, 0);
    if (d_x)
        move(node, in[0]->dims, out->dims, NULL, NULL, d_x, d_out[0]->data);
}
