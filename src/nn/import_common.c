/* Mappings that ONNX and OpenVINO IR share: SAME padding, batch normalisation, PRelu, sizes and batches. */
#include "nn/import_util.h"
#include "nn/ops/batch_norm/batch_norm.h"
#include <math.h>
#include <string.h>

void mien__import_same_pad(mien__import *imp, uint32_t x, bool lower, const int64_t kernel[2],
                           const int64_t stride[2], const int64_t dilation[2], int64_t ret_pad[4])
{
    const mien__tensor *const t = mien__import_shape_of(imp, x);
    for (int i = 0; i < 2; i++) {
        const int64_t k = kernel[i], s = stride[i], d = dilation[i];
        if (k < 1 || s < 1 || d < 1 || k > 1 << 16 || d > 1 << 16 || s > 1 << 16) {
            (void)mien__import_fail(imp, MIEN_E_MODEL_SHAPE, "window of %lld, stride %lld, dilation %lld",
                                    (long long)k, (long long)s, (long long)d);
            return;
        }
        int64_t total = (k - 1) * d;
        if (s > 1 && (!t || t->rank != 4)) {
            (void)mien__import_fail(imp, MIEN_E_MODEL_OP,
                                    "automatic padding with a stride needs a fixed input size");
            return;
        }
        if (s > 1) {
            const int64_t in = t->dims[2 + i], out = (in + s - 1) / s;
            total = (out - 1) * s + (k - 1) * d + 1 - in;
        }
        total = total > 0 ? total : 0;
        ret_pad[i] = lower ? total - total / 2 : total / 2;
        ret_pad[2 + i] = total - ret_pad[i];
    }
}

/* At inference it is an Affine. */
void mien__import_batch_norm(mien__import *imp, uint32_t x, const uint32_t params[4], double eps,
                             uint32_t out)
{
    static const char *const what[4] = { "scale", "bias", "mean", "variance" };
    const float *p[4] = { NULL };
    int64_t count[4] = { 0 };
    void *scale = NULL, *shift = NULL;
    for (uint32_t i = 0; i < 4; i++) {
        p[i] = mien__import_f32(imp, params[i], what[i], &count[i]);
        if (imp->status == MIEN_OK && count[i] != count[0])
            (void)mien__import_fail(imp, MIEN_E_MODEL_SHAPE, "%s has %lld values, wanted %lld", what[i],
                                    (long long)count[i], (long long)count[0]);
    }
    const uint32_t scales = mien__import_const(imp, MIEN__NO_VALUE, MIEN__F32, 1, &count[0], &scale);
    const uint32_t shifts = mien__import_const(imp, MIEN__NO_VALUE, MIEN__F32, 1, &count[0], &shift);
    for (int64_t i = 0; imp->status == MIEN_OK && i < count[0]; i++)
        mien__batch_norm_affine(p[0][i], p[1][i], p[2][i], p[3][i], eps, &((float *)scale)[i],
                                &((float *)shift)[i]);
    const uint32_t in[3] = { x, scales, shifts };
    const mien__draft d = mien__draft_of(MIEN__OP_Affine, in, 3);
    (void)mien__import_emit1(imp, &d, out);
}

/* Slopes by channel become [c] or [1]; any other broadcast is written out: relu(x) - slope relu(-x). */
void mien__import_prelu(mien__import *imp, uint32_t x, uint32_t slope, uint32_t out)
{
    const uint32_t none = MIEN__NO_VALUE;
    const mien__tensor *const t = mien__import_shape_of(imp, slope), *const xt =
                                                                         mien__import_shape_of(imp, x);
    const int64_t count = t ? mien__elems(t->rank, t->dims) : -1;
    /* [c][1][1] against x[n][c][h][w], [1][c][1][1], [c] against x[n][c]; a lone [c] is taken as channels */
    const int rank = xt ? xt->rank : 4;
    const int axis = t ? t->rank - rank + 1 : -1;
    const bool channels = t && (count == 1 || (axis >= 0 && axis < t->rank && t->dims[axis] == count) ||
                                (t->rank == 1 && (!xt || (rank >= 2 && xt->dims[1] == count))));
    if (channels && mien__import_is_const(imp, slope)) {
        const uint32_t in[2] = { x, mien__import_const_view(imp, slope, none, 1, &count) };
        const mien__draft d = mien__draft_of(MIEN__OP_PRelu, in, 2);
        (void)mien__import_emit1(imp, &d, out);
        return;
    }
    const uint32_t neg = mien__import_op1(imp, MIEN__OP_Neg, x, none);
    const uint32_t low = mien__import_op1(imp, MIEN__OP_Relu, neg, none);
    const uint32_t scaled = mien__import_op2(imp, MIEN__OP_Mul, low, slope, none);
    const uint32_t high = mien__import_op1(imp, MIEN__OP_Relu, x, none);
    (void)mien__import_op2(imp, MIEN__OP_Sub, high, scaled, out);
}

/* shape[0] of 1 against an input whose first size is 1: 0, "as the input". */
uint32_t mien__import_follow_batch(mien__import *imp, uint32_t x, uint32_t shape)
{
    const mien__tensor *const t = mien__import_shape_of(imp, x);
    if (!t || t->rank < 2 || t->dims[0] != 1 || !mien__import_is_const(imp, shape) ||
        imp->g->values[shape].dtype != MIEN__I64)
        return shape;
    const int64_t count = mien__value_elems(&imp->g->values[shape]);
    const int64_t *const v = imp->g->values[shape].data;
    if (count < 2 || count > MIEN_MAX_RANK || v[0] != 1)
        return shape;
    int64_t copy[MIEN_MAX_RANK];
    memcpy(copy, v, (size_t)count * sizeof *v);
    copy[0] = 0;
    return mien__import_i64s(imp, copy, (uint32_t)count);
}

/* Constant sizes as scales where that is exact, so that the batch stays free; else NO_VALUE. */
uint32_t mien__import_sizes_to_scales(mien__import *imp, uint32_t x, uint32_t arg)
{
    float scales[4];
    void *data = NULL;
    const int64_t four = 4;
    const mien__tensor *const t = mien__import_shape_of(imp, x);
    if (!t || t->rank != 4 || !mien__import_is_const(imp, arg) || imp->g->values[arg].dtype != MIEN__I64 ||
        mien__value_elems(&imp->g->values[arg]) != 4)
        return MIEN__NO_VALUE;
    const int64_t *const sizes = imp->g->values[arg].data;
    for (int i = 0; i < 4; i++) {
        if (t->dims[i] < 1 || sizes[i] < 1 || (i < 2 && sizes[i] != t->dims[i]))
            return MIEN__NO_VALUE;
        scales[i] = (float)sizes[i] / (float)t->dims[i];
        if ((int64_t)floor((double)t->dims[i] * (double)scales[i]) != sizes[i])
            return MIEN__NO_VALUE;
    }
    const uint32_t v = mien__import_const(imp, MIEN__NO_VALUE, MIEN__F32, 1, &four, &data);
    if (data)
        memcpy(data, scales, sizeof scales);
    return v;
}
