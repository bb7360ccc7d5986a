/* The table of OpenVINO operators, and the mappings that need no weights.
 *
 * Semantics follow OpenVINO's operator sets 1 to 13 as far as they differ from ONNX: axes and orders come as
 * constant inputs, Split takes its axis as an input, StridedSlice's masks ignore begin or end where they
 * are 1.
 */
#include "nn/ir_read.h"
#include <string.h>

static const struct {
    const char *type;
    mien__op op;
} simple_ops[] = {
    { "Abs", MIEN__OP_Abs },
    { "Add", MIEN__OP_Add },
    { "Divide", MIEN__OP_Div },
    { "Erf", MIEN__OP_Erf },
    { "Exp", MIEN__OP_Exp },
    { "HSwish", MIEN__OP_HardSwish },
    { "Log", MIEN__OP_Log },
    { "Maximum", MIEN__OP_Max },
    { "Minimum", MIEN__OP_Min },
    { "Multiply", MIEN__OP_Mul },
    { "Negative", MIEN__OP_Neg },
    { "Power", MIEN__OP_Pow },
    { "ReLU", MIEN__OP_Relu },
    { "Sigmoid", MIEN__OP_Sigmoid },
    { "SoftPlus", MIEN__OP_Softplus },
    { "Sqrt", MIEN__OP_Sqrt },
    { "Subtract", MIEN__OP_Sub },
    { "Tanh", MIEN__OP_Tanh },
    { "ReduceMean", MIEN__OP_ReduceMean },
    { "ReduceSum", MIEN__OP_ReduceSum },
    { "ReduceMax", MIEN__OP_ReduceMax },
    { "ReduceL2", MIEN__OP_ReduceL2 },
    { "Squeeze", MIEN__OP_Squeeze },
    { "Unsqueeze", MIEN__OP_Unsqueeze },
};

static mien__op simple_op(const char *type)
{
    for (size_t i = 0; i < MIEN_COUNTOF(simple_ops); i++)
        if (strcmp(simple_ops[i].type, type) == 0)
            return simple_ops[i].op;
    return MIEN__OP_NONE;
}

static void map_unary(const mien__ir_node *n)
{
    (void)mien__import_op1(n->imp, simple_op(n->layer->type), mien__ir_in(n, 0), mien__ir_out(n));
}

static void map_binary(const mien__ir_node *n)
{
    (void)mien__import_op2(n->imp, simple_op(n->layer->type), mien__ir_in(n, 0), mien__ir_in(n, 1),
                           mien__ir_out(n));
}

static void map_convert(const mien__ir_node *n)
{
    size_t bytes = 0;
    const uint32_t x = mien__ir_in(n, 0);
    const mien__dtype to = mien__ir_dtype(mien__ir_str(n, "destination_type", ""), &bytes);
    if (!to || mien__ir_is(n, "destination_type", "", "boolean")) {
        (void)mien__import_fail(n->imp, MIEN_E_MODEL_OP, "this destination type is not supported");
        return;
    }
    if (x != MIEN__NO_VALUE && n->imp->g->values[x].dtype == to) {
        (void)mien__import_op1(n->imp, MIEN__OP_Identity, x, mien__ir_out(n));
        return;
    }
    mien__draft d = mien__draft_of(MIEN__OP_Cast, &x, 1);
    mien__draft_int(&d, MIEN__ATTR_TO, to);
    mien__ir_emit(n, &d);
}

static void map_clamp(const mien__ir_node *n)
{
    const uint32_t x = mien__ir_in(n, 0);
    mien__draft d = mien__draft_of(MIEN__OP_Clip, &x, 1);
    mien__draft_float(&d, MIEN__ATTR_MIN, mien__ir_float(n, "min", 0.0));
    mien__draft_float(&d, MIEN__ATTR_MAX, mien__ir_float(n, "max", 0.0));
    mien__ir_emit(n, &d);
}

/* Elu, HSigmoid = clip((x + 3) / 6, 0, 1). */
static void map_parametric(const mien__ir_node *n)
{
    const bool elu = strcmp(n->layer->type, "Elu") == 0;
    const uint32_t x = mien__ir_in(n, 0);
    mien__draft d = mien__draft_of(elu ? MIEN__OP_Elu : MIEN__OP_HardSigmoid, &x, 1);
    mien__draft_float(&d, MIEN__ATTR_ALPHA, elu ? mien__ir_float(n, "alpha", 1.0) : 1.0 / 6.0);
    if (!elu)
        mien__draft_float(&d, MIEN__ATTR_BETA, 0.5);
    mien__ir_emit(n, &d);
}

/* Swish: x sigmoid(beta x). Mish: x tanh(softplus x). */
static void map_swish(const mien__ir_node *n)
{
    const bool mish = strcmp(n->layer->type, "Mish") == 0;
    const uint32_t x = mien__ir_in(n, 0), beta = mien__ir_in(n, 1);
    uint32_t y = x;
    if (mish)
        y = mien__import_op1(n->imp, MIEN__OP_Softplus, y, MIEN__NO_VALUE);
    else if (beta != MIEN__NO_VALUE)
        y = mien__import_op2(n->imp, MIEN__OP_Mul, y, beta, MIEN__NO_VALUE);
    y = mien__import_op1(n->imp, mish ? MIEN__OP_Tanh : MIEN__OP_Sigmoid, y, MIEN__NO_VALUE);
    (void)mien__import_op2(n->imp, MIEN__OP_Mul, x, y, mien__ir_out(n));
}

static void map_gelu(const mien__ir_node *n)
{
    if (mien__ir_is(n, "approximation_mode", "ERF", "ERF") ||
        mien__ir_is(n, "approximation_mode", "ERF", "erf"))
        (void)mien__import_op1(n->imp, MIEN__OP_Gelu, mien__ir_in(n, 0), mien__ir_out(n));
    else
        (void)mien__import_fail(n->imp, MIEN_E_MODEL_OP, "only the exact form is supported");
}

static void map_prelu(const mien__ir_node *n)
{
    mien__import *const imp = n->imp;
    uint32_t slope = mien__ir_in(n, 1);
    if (mien__import_is_const(imp, slope)) { /* one slope per channel, whatever its shape */
        const int64_t count = mien__value_elems(&imp->g->values[slope]);
        slope = mien__import_const_view(imp, slope, MIEN__NO_VALUE, 1, &count);
        const uint32_t in[2] = { mien__ir_in(n, 0), slope };
        const mien__draft d = mien__draft_of(MIEN__OP_PRelu, in, 2);
        mien__ir_emit(n, &d);
        return;
    }
    mien__import_prelu(imp, mien__ir_in(n, 0), slope, mien__ir_out(n));
}

static void map_softmax(const mien__ir_node *n)
{
    const uint32_t x = mien__ir_in(n, 0);
    mien__draft d = mien__draft_of(MIEN__OP_Softmax, &x, 1);
    mien__draft_int(&d, MIEN__ATTR_AXIS, mien__ir_int(n, "axis", 1));
    mien__ir_emit(n, &d);
}

/* Reductions, Squeeze, Unsqueeze: axes are a constant input. */
static void map_axes(const mien__ir_node *n)
{
    int64_t count = 0;
    const uint32_t x = mien__ir_in(n, 0);
    mien__draft d = mien__draft_of(simple_op(n->layer->type), &x, 1);
    if (mien__ir_in(n, 1) != MIEN__NO_VALUE) {
        const int64_t *const axes = mien__import_i64(n->imp, mien__ir_in(n, 1), "the axes", &count);
        if (axes)
            mien__draft_ints(&d, MIEN__ATTR_AXES, axes, (size_t)count);
    }
    if (strncmp(n->layer->type, "Reduce", 6) == 0)
        mien__draft_int(&d, MIEN__ATTR_KEEPDIMS, mien__ir_true(n, "keep_dims", false));
    mien__ir_emit(n, &d);
}

static void map_reshape(const mien__ir_node *n)
{
    uint32_t shape = mien__ir_in(n, 1);
    if (!mien__ir_true(n, "special_zero", false)) {
        int64_t count = 0;
        const int64_t *const v = mien__import_i64(n->imp, shape, "the shape", &count);
        for (int64_t i = 0; v && i < count; i++)
            if (v[i] == 0)
                (void)mien__import_fail(n->imp, MIEN_E_MODEL_OP, "a size of 0 is not supported");
    }
    if (n->imp->status == MIEN_OK && shape != MIEN__NO_VALUE)
        shape = mien__import_follow_batch(n->imp, mien__ir_in(n, 0), shape);
    (void)mien__import_op2(n->imp, MIEN__OP_Reshape, mien__ir_in(n, 0), shape, mien__ir_out(n));
}

static void map_transpose(const mien__ir_node *n)
{
    int64_t count = 0;
    const uint32_t x = mien__ir_in(n, 0);
    const int64_t *const perm = mien__import_i64(n->imp, mien__ir_in(n, 1), "the order", &count);
    mien__draft d = mien__draft_of(MIEN__OP_Transpose, &x, 1);
    if (perm && count)
        mien__draft_ints(&d, MIEN__ATTR_PERM, perm, (size_t)count);
    mien__ir_emit(n, &d);
}

static void map_concat(const mien__ir_node *n)
{
    mien__draft d = mien__draft_of(MIEN__OP_Concat, n->layer->in, n->layer->n_in);
    mien__draft_int(&d, MIEN__ATTR_AXIS, mien__ir_int(n, "axis", 1));
    mien__ir_emit(n, &d);
}

static void map_split(const mien__ir_node *n)
{
    int64_t count = 0, n_lengths = 0;
    const uint32_t x = mien__ir_in(n, 0);
    const int64_t *const axis = mien__import_i64(n->imp, mien__ir_in(n, 1), "the axis", &count);
    if (!axis || count != 1) {
        (void)mien__import_fail(n->imp, MIEN_E_MODEL_SHAPE, "the axis is not one number");
        return;
    }
    mien__draft d = mien__draft_of(MIEN__OP_Split, &x, 1);
    mien__draft_int(&d, MIEN__ATTR_AXIS, axis[0]);
    if (strcmp(n->layer->type, "VariadicSplit") == 0) {
        const int64_t *const lengths = mien__import_i64(n->imp, mien__ir_in(n, 2), "the lengths", &n_lengths);
        for (int64_t i = 0; lengths && i < n_lengths; i++)
            if (lengths[i] < 0)
                (void)mien__import_fail(n->imp, MIEN_E_MODEL_OP, "a length of -1 is not supported");
        if (lengths)
            mien__draft_ints(&d, MIEN__ATTR_SPLIT, lengths, (size_t)n_lengths);
    }
    mien__import_emit(n->imp, &d, n->layer->out, n->layer->n_out);
}

/* Slice (opset 8): data, start, stop, step, axes. */
static void map_slice(const mien__ir_node *n)
{
    const uint32_t in[5] = { mien__ir_in(n, 0), mien__ir_in(n, 1), mien__ir_in(n, 2), mien__ir_in(n, 4),
                             mien__ir_in(n, 3) };
    const mien__draft d = mien__draft_of(MIEN__OP_Slice, in, 5);
    mien__ir_emit(n, &d);
}

static bool any_of(const mien__ir_node *n, const char *key)
{
    int64_t v[MIEN_MAX_RANK] = { 0 };
    const size_t count = mien__ir_ints(n, key, v, MIEN_MAX_RANK);
    for (size_t i = 0; i < count; i++)
        if (v[i])
            return true;
    return false;
}

/* StridedSlice: as Slice over the leading axes; masked ends are the whole axis; shrunk axes are squeezed. */
static void map_strided_slice(const mien__ir_node *n)
{
    int64_t nb = 0, ne = 0, ns = 0, b[MIEN_MAX_RANK], e[MIEN_MAX_RANK], s[MIEN_MAX_RANK], axes[MIEN_MAX_RANK],
            bm[MIEN_MAX_RANK] = { 0 }, em[MIEN_MAX_RANK] = { 0 }, shrink[MIEN_MAX_RANK] = { 0 },
            gone[MIEN_MAX_RANK];
    const bool steps = mien__ir_in(n, 3) != MIEN__NO_VALUE;
    const int64_t *const begin = mien__import_i64(n->imp, mien__ir_in(n, 1), "begin", &nb);
    const int64_t *const end = mien__import_i64(n->imp, mien__ir_in(n, 2), "end", &ne);
    const int64_t *const step = steps ? mien__import_i64(n->imp, mien__ir_in(n, 3), "strides", &ns) : NULL;
    size_t n_gone = 0;
    (void)mien__ir_ints(n, "begin_mask", bm, MIEN_MAX_RANK);
    (void)mien__ir_ints(n, "end_mask", em, MIEN_MAX_RANK);
    (void)mien__ir_ints(n, "shrink_axis_mask", shrink, MIEN_MAX_RANK);
    if (n->imp->status != MIEN_OK)
        return;
    if (!begin || !end || nb != ne || nb > MIEN_MAX_RANK || (steps && ns != nb) ||
        any_of(n, "new_axis_mask") || any_of(n, "ellipsis_mask")) {
        (void)mien__import_fail(n->imp, MIEN_E_MODEL_OP, "this form of slicing is not supported");
        return;
    }
    for (int64_t i = 0; i < nb; i++) {
        axes[i] = i;
        s[i] = step ? step[i] : 1;
        b[i] = bm[i] ? (s[i] < 0 ? INT64_MAX : 0) : begin[i];
        e[i] = em[i] ? (s[i] < 0 ? INT64_MIN : INT64_MAX) : end[i];
        if (shrink[i]) {
            e[i] = b[i] == -1 ? INT64_MAX : b[i] < INT64_MAX ? b[i] + 1 : b[i];
            s[i] = 1;
            gone[n_gone++] = i;
        }
    }
    const uint32_t in[5] = { mien__ir_in(n, 0), mien__import_i64s(n->imp, b, (uint32_t)nb),
                             mien__import_i64s(n->imp, e, (uint32_t)nb),
                             mien__import_i64s(n->imp, axes, (uint32_t)nb),
                             mien__import_i64s(n->imp, s, (uint32_t)nb) };
    const mien__draft d = mien__draft_of(MIEN__OP_Slice, in, 5);
    const uint32_t y = mien__import_emit1(n->imp, &d, n_gone ? MIEN__NO_VALUE : mien__ir_out(n));
    if (n_gone) {
        mien__draft q = mien__draft_of(MIEN__OP_Squeeze, &y, 1);
        mien__draft_ints(&q, MIEN__ATTR_AXES, gone, n_gone);
        mien__ir_emit(n, &q);
    }
}

static void map_pad(const mien__ir_node *n)
{
    int64_t nb = 0, ne = 0, nv = 0, pad[2 * MIEN_MAX_RANK];
    const uint32_t x = mien__ir_in(n, 0);
    double value = 0.0;
    const int64_t *const begin = mien__import_i64(n->imp, mien__ir_in(n, 1), "pads_begin", &nb);
    const int64_t *const end = mien__import_i64(n->imp, mien__ir_in(n, 2), "pads_end", &ne);
    if (!begin || !end || nb != ne || nb > MIEN_MAX_RANK ||
        !mien__ir_is(n, "pad_mode", "constant", "constant")) {
        (void)mien__import_fail(n->imp, MIEN_E_MODEL_OP, "only padding with a constant is supported");
        return;
    }
    if (mien__ir_in(n, 3) != MIEN__NO_VALUE) {
        const float *const f = mien__import_f32(n->imp, mien__ir_in(n, 3), "the padding's value", &nv);
        value = f && nv == 1 ? (double)f[0] : 0.0;
    }
    memcpy(pad, begin, (size_t)nb * sizeof *pad);
    memcpy(pad + nb, end, (size_t)nb * sizeof *pad);
    mien__draft d = mien__draft_of(MIEN__OP_Pad, &x, 1);
    mien__draft_ints(&d, MIEN__ATTR_PAD, pad, 2 * (size_t)nb);
    mien__draft_float(&d, MIEN__ATTR_VALUE, value);
    mien__ir_emit(n, &d);
}

static void map_shape_of(const mien__ir_node *n)
{
    (void)mien__import_op1(n->imp, MIEN__OP_Shape, mien__ir_in(n, 0), mien__ir_out(n));
}

static void map_gather(const mien__ir_node *n)
{
    int64_t count = 0;
    const uint32_t in[2] = { mien__ir_in(n, 0), mien__ir_in(n, 1) };
    const int64_t *const axis = mien__import_i64(n->imp, mien__ir_in(n, 2), "the axis", &count);
    if (!axis || count != 1 || mien__ir_int(n, "batch_dims", 0) != 0) {
        (void)mien__import_fail(n->imp, MIEN_E_MODEL_OP, "this form is not supported");
        return;
    }
    mien__draft d = mien__draft_of(MIEN__OP_Gather, in, 2);
    mien__draft_int(&d, MIEN__ATTR_AXIS, axis[0]);
    mien__ir_emit(n, &d);
}

static void map_depth_to_space(const mien__ir_node *n)
{
    const uint32_t x = mien__ir_in(n, 0);
    mien__draft d = mien__draft_of(MIEN__OP_DepthToSpace, &x, 1);
    mien__draft_int(&d, MIEN__ATTR_BLOCK, mien__ir_int(n, "block_size", 1));
    mien__draft_int(&d, MIEN__ATTR_MODE, mien__ir_is(n, "mode", "blocks_first", "depth_first"));
    mien__ir_emit(n, &d);
}

static const struct {
    const char *type;
    mien__ir_map map;
} mappings[] = {
    { "Abs", map_unary },
    { "Add", map_binary },
    { "AvgPool", mien__ir_pool },
    { "BatchNormInference", mien__ir_batch_norm },
    { "Clamp", map_clamp },
    { "Concat", map_concat },
    { "Convert", map_convert },
    { "Convolution", mien__ir_conv },
    { "DepthToSpace", map_depth_to_space },
    { "Divide", map_binary },
    { "Elu", map_parametric },
    { "Erf", map_unary },
    { "Exp", map_unary },
    { "Gather", map_gather },
    { "Gelu", map_gelu },
    { "GroupConvolution", mien__ir_conv },
    { "HSigmoid", map_parametric },
    { "HSwish", map_unary },
    { "Interpolate", mien__ir_interpolate },
    { "Log", map_unary },
    { "MatMul", mien__ir_matmul },
    { "MaxPool", mien__ir_pool },
    { "Maximum", map_binary },
    { "Minimum", map_binary },
    { "Mish", map_swish },
    { "Multiply", map_binary },
    { "Negative", map_unary },
    { "NormalizeL2", mien__ir_normalize },
    { "PReLU", map_prelu },
    { "Pad", map_pad },
    { "Power", map_binary },
    { "ReLU", map_unary },
    { "ReduceL2", map_axes },
    { "ReduceMax", map_axes },
    { "ReduceMean", map_axes },
    { "ReduceSum", map_axes },
    { "Reshape", map_reshape },
    { "ShapeOf", map_shape_of },
    { "Sigmoid", map_unary },
    { "Slice", map_slice },
    { "SoftMax", map_softmax },
    { "SoftPlus", map_unary },
    { "Softmax", map_softmax },
    { "Split", map_split },
    { "Sqrt", map_unary },
    { "Squeeze", map_axes },
    { "StridedSlice", map_strided_slice },
    { "Subtract", map_binary },
    { "Swish", map_swish },
    { "Tanh", map_unary },
    { "Transpose", map_transpose },
    { "Unsqueeze", map_axes },
    { "VariadicSplit", map_split },
};

mien__ir_map mien__ir_map_of(const char *type)
{
    for (size_t i = 0; i < MIEN_COUNTOF(mappings); i++)
        if (strcmp(mappings[i].type, type) == 0)
            return mappings[i].map;
    return NULL;
}
