/* ONNX operators with weights or windows: convolution, pooling, Gemm, normalisations, PRelu, Softmax. */
#include "nn/onnx_read.h"
#include <math.h>
#include <string.h>

/* Copy a pair attribute of a two-dimensional window; absent: 1, 1. */
static bool read_pair(mien__onnx_node *n, const char *name, int64_t ret[2])
{
    size_t count = 0;
    const int64_t *const v = mien__onnx_ints(n, name, &count);
    ret[0] = v && count == 2 ? v[0] : 1;
    ret[1] = v && count == 2 ? v[1] : 1;
    if (!v || count == 2)
        return true;
    (void)mien__import_fail(n->imp, MIEN_E_MODEL_OP,
                            "%s has %zu values; only two-dimensional windows are supported", name, count);
    return false;
}

/* pads or auto_pad as t l b r. */
static void read_pads(mien__onnx_node *n, const int64_t kernel[2], const int64_t stride[2],
                      const int64_t dilation[2], int64_t ret[4])
{
    size_t count = 0;
    const int64_t *const v = mien__onnx_ints(n, "pads", &count);
    memset(ret, 0, 4 * sizeof *ret);
    const bool upper = mien__onnx_str_is(n, "auto_pad", "NOTSET", "SAME_UPPER");
    const bool lower = mien__onnx_str_is(n, "auto_pad", "NOTSET", "SAME_LOWER");
    if (upper || lower)
        mien__import_same_pad(n->imp, mien__onnx_in(n, 0), lower, kernel, stride, dilation, ret);
    else if (v && count == 4 && !mien__onnx_str_is(n, "auto_pad", "NOTSET", "VALID"))
        memcpy(ret, v, 4 * sizeof *ret);
    else if (v && count != 4)
        (void)mien__import_fail(n->imp, MIEN_E_MODEL_OP, "pads has %zu values, wanted 4", count);
}

void mien__onnx_conv(mien__onnx_node *n)
{
    int64_t kernel[2], stride[2], dilation[2], pad[4];
    const uint32_t in[3] = { mien__onnx_in(n, 0), mien__onnx_in(n, 1), mien__onnx_in(n, 2) };
    const mien__tensor *const w = mien__import_shape_of(n->imp, in[1]);
    if (w && w->rank != 4) {
        (void)mien__import_fail(n->imp, MIEN_E_MODEL_OP,
                                "weights of rank %d; only two-dimensional convolution is "
                                "supported",
                                w->rank);
        return;
    }
    if (!read_pair(n, "kernel_shape", kernel) || !read_pair(n, "strides", stride) ||
        !read_pair(n, "dilations", dilation))
        return;
    if (w && mien__onnx_attr(n, "kernel_shape") && (kernel[0] != w->dims[2] || kernel[1] != w->dims[3])) {
        (void)mien__import_fail(n->imp, MIEN_E_MODEL_SHAPE, "kernel_shape does not match the weights");
        return;
    }
    if (w)
        memcpy(kernel, &w->dims[2], sizeof kernel);
    read_pads(n, kernel, stride, dilation, pad);
    mien__draft d = mien__draft_of(MIEN__OP_Conv, in, in[2] == MIEN__NO_VALUE ? 2 : 3);
    mien__draft_ints(&d, MIEN__ATTR_KERNEL, kernel, 2);
    mien__draft_ints(&d, MIEN__ATTR_STRIDE, stride, 2);
    mien__draft_ints(&d, MIEN__ATTR_PAD, pad, 4);
    mien__draft_ints(&d, MIEN__ATTR_DILATION, dilation, 2);
    mien__draft_int(&d, MIEN__ATTR_GROUP, mien__onnx_int(n, "group", 1));
    mien__onnx_emit(n, &d);
}

void mien__onnx_pool(mien__onnx_node *n)
{
    const bool average = strstr(n->pb->op_type, "Average") != NULL;
    const uint32_t x = mien__onnx_in(n, 0);
    int64_t kernel[2], stride[2], dilation[2], pad[4];
    if (strncmp(n->pb->op_type, "Global", 6) == 0) {
        (void)mien__import_op1(n->imp, average ? MIEN__OP_GlobalAvgPool : MIEN__OP_GlobalMaxPool, x,
                               mien__onnx_out(n, 0));
        return;
    }
    if (n->n_out > 1 && n->out[1] != MIEN__NO_VALUE) {
        (void)mien__import_fail(n->imp, MIEN_E_MODEL_OP, "the positions of the maxima are not supported");
        return;
    }
    if (!mien__onnx_attr(n, "kernel_shape")) {
        (void)mien__import_fail(n->imp, MIEN_E_MODEL_CORRUPT, "kernel_shape is missing");
        return;
    }
    if (!read_pair(n, "kernel_shape", kernel) || !read_pair(n, "strides", stride) ||
        !read_pair(n, "dilations", dilation))
        return;
    read_pads(n, kernel, stride, dilation, pad);
    mien__draft d = mien__draft_of(average ? MIEN__OP_AvgPool : MIEN__OP_MaxPool, &x, 1);
    mien__draft_ints(&d, MIEN__ATTR_KERNEL, kernel, 2);
    mien__draft_ints(&d, MIEN__ATTR_STRIDE, stride, 2);
    mien__draft_ints(&d, MIEN__ATTR_PAD, pad, 4);
    mien__draft_ints(&d, MIEN__ATTR_DILATION, dilation, 2);
    mien__draft_int(&d, MIEN__ATTR_CEIL, mien__onnx_int(n, "ceil_mode", 0) != 0);
    if (average)
        mien__draft_int(&d, MIEN__ATTR_COUNT_PAD, mien__onnx_int(n, "count_include_pad", 0) != 0);
    mien__onnx_emit(n, &d);
}

/* ---- Gemm: alpha A' B' + beta C ---- */

/* Constant B as w[m][k] with alpha in it. */
static uint32_t gemm_weights(mien__onnx_node *n, uint32_t b, bool transposed, float alpha)
{
    const mien__value src = n->imp->g->values[b];
    if (src.rank != 2 || src.dtype != MIEN__F32) {
        (void)mien__import_fail(n->imp, MIEN_E_MODEL_SHAPE, "the weights are not a matrix of floats");
        return MIEN__NO_VALUE;
    }
    if (transposed && alpha == 1.0f)
        return b;
    const int64_t m = src.dims[transposed ? 0 : 1], k = src.dims[transposed ? 1 : 0];
    void *data = NULL;
    const uint32_t w =
        mien__import_const(n->imp, MIEN__NO_VALUE, MIEN__F32, 2, (const int64_t[]){ m, k }, &data);
    const float *const from = src.data;
    for (int64_t i = 0; data && i < m; i++)
        for (int64_t j = 0; j < k; j++)
            ((float *)data)[i * k + j] = alpha * (transposed ? from[i * k + j] : from[j * m + i]);
    return w;
}

/* Constant C as b[m] with beta in it, or NO_VALUE when it is not one row. */
static uint32_t gemm_bias(mien__onnx_node *n, uint32_t c, int64_t m, float beta)
{
    const mien__value src = n->imp->g->values[c];
    const int64_t count = mien__value_elems(&src);
    const bool row = (count == m && src.rank >= 1 && src.dims[src.rank - 1] == m) || count == 1;
    void *data = NULL;
    if (!row || src.dtype != MIEN__F32)
        return MIEN__NO_VALUE;
    const uint32_t bias = mien__import_const(n->imp, MIEN__NO_VALUE, MIEN__F32, 1, &m, &data);
    for (int64_t i = 0; data && i < m; i++)
        ((float *)data)[i] = beta * ((const float *)src.data)[count == 1 ? 0 : i];
    return bias;
}

static uint32_t transpose2(mien__import *imp, uint32_t x)
{
    static const int64_t perm[2] = { 1, 0 };
    mien__draft d = mien__draft_of(MIEN__OP_Transpose, &x, 1);
    mien__draft_ints(&d, MIEN__ATTR_PERM, perm, 2);
    return mien__import_emit1(imp, &d, MIEN__NO_VALUE);
}

/* y + beta C for what the Gemm operator cannot hold itself. */
static void add_scaled(mien__onnx_node *n, uint32_t y, uint32_t c, float beta)
{
    if (beta != 1.0f)
        c = mien__import_op2(n->imp, MIEN__OP_Mul, c, mien__import_scalar(n->imp, beta), MIEN__NO_VALUE);
    (void)mien__import_op2(n->imp, MIEN__OP_Add, y, c, mien__onnx_out(n, 0));
}

void mien__onnx_gemm(mien__onnx_node *n)
{
    mien__import *const imp = n->imp;
    uint32_t a = mien__onnx_in(n, 0), b = mien__onnx_in(n, 1), c = mien__onnx_in(n, 2), bias = MIEN__NO_VALUE;
    const bool trans_b = mien__onnx_int(n, "transB", 0) != 0;
    const float alpha = (float)mien__onnx_float(n, "alpha", 1.0),
                beta = (float)mien__onnx_float(n, "beta", 1.0);
    if (mien__onnx_int(n, "transA", 0) != 0)
        a = transpose2(imp, a);
    if (beta == 0.0f)
        c = MIEN__NO_VALUE;
    if (!mien__import_is_const(imp, b)) {
        if (trans_b)
            b = transpose2(imp, b);
        const bool last = alpha == 1.0f && c == MIEN__NO_VALUE;
        uint32_t y =
            mien__import_op2(imp, MIEN__OP_MatMul, a, b, last ? mien__onnx_out(n, 0) : MIEN__NO_VALUE);
        if (alpha != 1.0f)
            y = mien__import_op2(imp, MIEN__OP_Mul, y, mien__import_scalar(imp, alpha),
                                 c == MIEN__NO_VALUE ? mien__onnx_out(n, 0) : MIEN__NO_VALUE);
        if (c != MIEN__NO_VALUE)
            add_scaled(n, y, c, beta);
        return;
    }
    const uint32_t w = gemm_weights(n, b, trans_b, alpha);
    if (w != MIEN__NO_VALUE && mien__import_is_const(imp, c))
        bias = gemm_bias(n, c, imp->g->values[w].dims[0], beta);
    const bool separate = c != MIEN__NO_VALUE && bias == MIEN__NO_VALUE;
    const uint32_t in[3] = { a, w, bias };
    const mien__draft d = mien__draft_of(MIEN__OP_Gemm, in, bias == MIEN__NO_VALUE ? 2 : 3);
    const uint32_t y = mien__import_emit1(imp, &d, separate ? MIEN__NO_VALUE : mien__onnx_out(n, 0));
    if (separate)
        add_scaled(n, y, c, beta);
}

/* ---- normalisations ---- */

void mien__onnx_batch_norm(mien__onnx_node *n)
{
    if (mien__onnx_int(n, "training_mode", 0) != 0 || mien__onnx_int(n, "spatial", 1) == 0) {
        (void)mien__import_fail(n->imp, MIEN_E_MODEL_OP,
                                "only per-channel normalisation at inference is supported");
        return;
    }
    const uint32_t p[4] = { mien__onnx_in(n, 1), mien__onnx_in(n, 2), mien__onnx_in(n, 3),
                            mien__onnx_in(n, 4) };
    mien__import_batch_norm(n->imp, mien__onnx_in(n, 0), p, mien__onnx_float(n, "epsilon", 1e-5),
                            mien__onnx_out(n, 0));
}

void mien__onnx_instance_norm(mien__onnx_node *n)
{
    const uint32_t in[3] = { mien__onnx_in(n, 0), mien__onnx_in(n, 1), mien__onnx_in(n, 2) };
    mien__draft d = mien__draft_of(MIEN__OP_InstanceNorm, in, 3);
    mien__draft_float(&d, MIEN__ATTR_EPSILON, mien__onnx_float(n, "epsilon", 1e-5));
    mien__onnx_emit(n, &d);
}

void mien__onnx_layer_norm(mien__onnx_node *n)
{
    const uint32_t in[3] = { mien__onnx_in(n, 0), mien__onnx_in(n, 1), mien__onnx_in(n, 2) };
    mien__draft d = mien__draft_of(MIEN__OP_LayerNorm, in, in[2] == MIEN__NO_VALUE ? 2 : 3);
    mien__draft_int(&d, MIEN__ATTR_AXIS, mien__onnx_int(n, "axis", -1));
    mien__draft_float(&d, MIEN__ATTR_EPSILON, mien__onnx_float(n, "epsilon", 1e-5));
    mien__onnx_emit(n, &d);
}

/* p = 2: L2Normalize; p = 1: x / sum |x|. */
void mien__onnx_lp_norm(mien__onnx_node *n)
{
    const int64_t axis = mien__onnx_int(n, "axis", -1), p = mien__onnx_int(n, "p", 2);
    const uint32_t x = mien__onnx_in(n, 0);
    mien__draft d = mien__draft_of(p == 1 ? MIEN__OP_ReduceSum : MIEN__OP_L2Normalize, &x, 1);
    mien__draft_ints(&d, MIEN__ATTR_AXES, &axis, 1);
    if (p == 2) {
        mien__draft_float(&d, MIEN__ATTR_EPSILON, 1e-12);
        mien__onnx_emit(n, &d);
        return;
    }
    const uint32_t a = mien__import_op1(n->imp, MIEN__OP_Abs, x, MIEN__NO_VALUE);
    d.in = &a;
    mien__draft_int(&d, MIEN__ATTR_KEEPDIMS, 1);
    const uint32_t sum = mien__import_emit1(n->imp, &d, MIEN__NO_VALUE);
    (void)mien__import_op2(n->imp, MIEN__OP_Div, x, sum, mien__onnx_out(n, 0));
}

/* ---- activations with weights, softmax ---- */

void mien__onnx_prelu(mien__onnx_node *n)
{
    mien__import_prelu(n->imp, mien__onnx_in(n, 0), mien__onnx_in(n, 1), mien__onnx_out(n, 0));
}

/* Before opset 13 everything from `axis` on is one axis: flatten, take the softmax, restore the shape. */
static uint32_t softmax_flat(mien__onnx_node *n, uint32_t x, int64_t axis, uint32_t out)
{
    mien__draft f = mien__draft_of(MIEN__OP_Flatten, &x, 1);
    mien__draft_int(&f, MIEN__ATTR_AXIS, axis);
    const uint32_t flat = mien__import_emit1(n->imp, &f, MIEN__NO_VALUE);
    mien__draft s = mien__draft_of(MIEN__OP_Softmax, &flat, 1);
    mien__draft_int(&s, MIEN__ATTR_AXIS, 1);
    const uint32_t y = mien__import_emit1(n->imp, &s, MIEN__NO_VALUE);
    const uint32_t shape = mien__import_op1(n->imp, MIEN__OP_Shape, x, MIEN__NO_VALUE);
    return mien__import_op2(n->imp, MIEN__OP_Reshape, y, shape, out);
}

void mien__onnx_softmax(mien__onnx_node *n)
{
    const bool log = strcmp(n->pb->op_type, "LogSoftmax") == 0;
    const uint32_t x = mien__onnx_in(n, 0), out = log ? MIEN__NO_VALUE : mien__onnx_out(n, 0);
    const int64_t axis = mien__onnx_int(n, "axis", n->opset < 13 ? 1 : -1);
    const mien__tensor *const t = mien__import_shape_of(n->imp, x);
    bool single = n->opset >= 13 || axis == -1;
    if (!single && t) {
        single = axis >= 0 && axis < t->rank;
        for (int i = (int)axis + 1; single && i < t->rank; i++)
            single = t->dims[i] == 1;
    }
    uint32_t y = MIEN__NO_VALUE;
    if (single) {
        mien__draft d = mien__draft_of(MIEN__OP_Softmax, &x, 1);
        mien__draft_int(&d, MIEN__ATTR_AXIS, axis);
        y = mien__import_emit1(n->imp, &d, out);
    } else {
        y = softmax_flat(n, x, axis, out);
    }
    if (log)
        (void)mien__import_op1(n->imp, MIEN__OP_Log, y, mien__onnx_out(n, 0));
}
