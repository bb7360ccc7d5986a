/* The table of ONNX operators, and the mappings of those that work element by element.
 *
 * Operators without a counterpart in graph.h are written with those that have one: Sum and n-ary Max as
 * chains, Mish as x tanh(softplus x), the tanh form of Gelu term by term (Hendrycks, Gimpel 2016).
 */
#include "nn/onnx_read.h"
#include <float.h>
#include <string.h>

static void map_unary(mien__onnx_node *n)
{
    const mien__op op = mien__op_by_name(n->pb->op_type);
    (void)mien__import_op1(n->imp, op, mien__onnx_in(n, 0), mien__onnx_out(n, 0));
}

static void map_identity(mien__onnx_node *n)
{
    (void)mien__import_op1(n->imp, MIEN__OP_Identity, mien__onnx_in(n, 0), mien__onnx_out(n, 0));
}

/* Activations with parameters: LeakyRelu, Elu, HardSigmoid. */
static void map_parametric(mien__onnx_node *n)
{
    const mien__op op = mien__op_by_name(n->pb->op_type);
    const double alpha = op == MIEN__OP_LeakyRelu ? 0.01 : op == MIEN__OP_Elu ? 1.0 : 0.2;
    const uint32_t x = mien__onnx_in(n, 0);
    mien__draft d = mien__draft_of(op, &x, 1);
    mien__draft_float(&d, MIEN__ATTR_ALPHA, mien__onnx_float(n, "alpha", alpha));
    if (op == MIEN__OP_HardSigmoid)
        mien__draft_float(&d, MIEN__ATTR_BETA, mien__onnx_float(n, "beta", 0.5));
    mien__onnx_emit(n, &d);
}

static void map_binary(mien__onnx_node *n)
{
    const mien__op op = mien__op_by_name(n->pb->op_type);
    (void)mien__import_op2(n->imp, op, mien__onnx_in(n, 0), mien__onnx_in(n, 1), mien__onnx_out(n, 0));
}

/* Sum, Mean, Max, Min of any number of tensors: a chain of two-input operators. */
static void map_nary(mien__onnx_node *n)
{
    const bool mean = strcmp(n->pb->op_type, "Mean") == 0;
    const bool sum = mean || strcmp(n->pb->op_type, "Sum") == 0;
    const mien__op op = sum ? MIEN__OP_Add : mien__op_by_name(n->pb->op_type);
    uint32_t acc = mien__onnx_in(n, 0);
    if (n->n_in < 1 || (n->n_in == 1 && !mean)) {
        map_identity(n);
        return;
    }
    for (uint32_t i = 1; i < n->n_in; i++)
        acc = mien__import_op2(n->imp, op, acc, n->in[i],
                               i + 1 == n->n_in && !mean ? mien__onnx_out(n, 0) : MIEN__NO_VALUE);
    if (mean)
        (void)mien__import_op2(n->imp, MIEN__OP_Mul, acc, mien__import_scalar(n->imp, 1.0f / (float)n->n_in),
                               mien__onnx_out(n, 0));
}

/* Bounds are attributes before opset 11, inputs from then on; bounds that are computed become Max and Min. */
static void map_clip(mien__onnx_node *n)
{
    double bound[2] = { -FLT_MAX, FLT_MAX };
    const char *const attr[2] = { "min", "max" };
    const mien__op op[2] = { MIEN__OP_Max, MIEN__OP_Min };
    uint32_t x = mien__onnx_in(n, 0);
    bool fixed = true;
    for (uint32_t i = 0; i < 2; i++) {
        const uint32_t v = n->opset < 11 ? MIEN__NO_VALUE : mien__onnx_in(n, i + 1);
        int64_t count = 0;
        if (n->opset < 11)
            bound[i] = mien__onnx_float(n, attr[i], bound[i]);
        else if (v != MIEN__NO_VALUE && !mien__import_is_const(n->imp, v))
            fixed = false;
        else if (v != MIEN__NO_VALUE) {
            const float *const f = mien__import_f32(n->imp, v, attr[i], &count);
            if (f && count == 1)
                bound[i] = (double)f[0];
            else
                (void)mien__import_fail(n->imp, MIEN_E_MODEL_SHAPE, "%s is not one number", attr[i]);
        }
    }
    if (fixed) {
        mien__draft d = mien__draft_of(MIEN__OP_Clip, &x, 1);
        mien__draft_float(&d, MIEN__ATTR_MIN, bound[0]);
        mien__draft_float(&d, MIEN__ATTR_MAX, bound[1]);
        mien__onnx_emit(n, &d);
        return;
    }
    for (uint32_t i = 0; i < 2; i++)
        if (mien__onnx_in(n, i + 1) != MIEN__NO_VALUE)
            x = mien__import_op2(n->imp, op[i], x, n->in[i + 1],
                                 i == 1 || mien__onnx_in(n, 2) == MIEN__NO_VALUE ? mien__onnx_out(n, 0)
                                                                                 : MIEN__NO_VALUE);
}

/* 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) */
static void map_gelu_tanh(mien__onnx_node *n)
{
    mien__import *const imp = n->imp;
    const uint32_t x = mien__onnx_in(n, 0), none = MIEN__NO_VALUE;
    const uint32_t x2 = mien__import_op2(imp, MIEN__OP_Mul, x, x, none);
    const uint32_t a = mien__import_op2(imp, MIEN__OP_Mul, x2, mien__import_scalar(imp, 0.044715f), none);
    const uint32_t b = mien__import_op2(imp, MIEN__OP_Add, a, mien__import_scalar(imp, 1.0f), none);
    const uint32_t c = mien__import_op2(imp, MIEN__OP_Mul, b, x, none);
    const uint32_t d = mien__import_op2(imp, MIEN__OP_Mul, c, mien__import_scalar(imp, 0.7978845608f), none);
    const uint32_t t = mien__import_op1(imp, MIEN__OP_Tanh, d, none);
    const uint32_t e = mien__import_op2(imp, MIEN__OP_Add, t, mien__import_scalar(imp, 1.0f), none);
    const uint32_t f = mien__import_op2(imp, MIEN__OP_Mul, e, x, none);
    (void)mien__import_op2(imp, MIEN__OP_Mul, f, mien__import_scalar(imp, 0.5f), mien__onnx_out(n, 0));
}

static void map_gelu(mien__onnx_node *n)
{
    if (mien__onnx_str_is(n, "approximate", "none", "tanh"))
        map_gelu_tanh(n);
    else
        map_unary(n);
}

/* x tanh(softplus x) */
static void map_mish(mien__onnx_node *n)
{
    const uint32_t x = mien__onnx_in(n, 0);
    const uint32_t s = mien__import_op1(n->imp, MIEN__OP_Softplus, x, MIEN__NO_VALUE);
    const uint32_t t = mien__import_op1(n->imp, MIEN__OP_Tanh, s, MIEN__NO_VALUE);
    (void)mien__import_op2(n->imp, MIEN__OP_Mul, x, t, mien__onnx_out(n, 0));
}

static void map_range(mien__onnx_node *n)
{
    const uint32_t in[3] = { mien__onnx_in(n, 0), mien__onnx_in(n, 1), mien__onnx_in(n, 2) };
    const mien__draft d = mien__draft_of(MIEN__OP_Range, in, 3);
    mien__onnx_emit(n, &d);
}

static const struct {
    const char *op_type;
    mien__onnx_map map;
} mappings[] = {
    { "Abs", map_unary },
    { "Add", map_binary },
    { "And", mien__onnx_fold_only },
    { "AveragePool", mien__onnx_pool },
    { "BatchNormalization", mien__onnx_batch_norm },
    { "Cast", mien__onnx_cast },
    { "Ceil", mien__onnx_fold_only },
    { "Clip", map_clip },
    { "Concat", mien__onnx_concat },
    { "Constant", mien__onnx_constant },
    { "ConstantOfShape", mien__onnx_constant_of_shape },
    { "Conv", mien__onnx_conv },
    { "DepthToSpace", mien__onnx_depth_to_space },
    { "Div", map_binary },
    { "Dropout", map_identity },
    { "Elu", map_parametric },
    { "Equal", mien__onnx_fold_only },
    { "Erf", map_unary },
    { "Exp", map_unary },
    { "Expand", map_binary },
    { "Flatten", mien__onnx_flatten },
    { "Floor", mien__onnx_fold_only },
    { "Gather", mien__onnx_gather },
    { "Gelu", map_gelu },
    { "Gemm", mien__onnx_gemm },
    { "GlobalAveragePool", mien__onnx_pool },
    { "GlobalMaxPool", mien__onnx_pool },
    { "Greater", mien__onnx_fold_only },
    { "HardSigmoid", map_parametric },
    { "HardSwish", map_unary },
    { "Identity", map_identity },
    { "InstanceNormalization", mien__onnx_instance_norm },
    { "LayerNormalization", mien__onnx_layer_norm },
    { "LeakyRelu", map_parametric },
    { "Less", mien__onnx_fold_only },
    { "Log", map_unary },
    { "LogSoftmax", mien__onnx_softmax },
    { "LpNormalization", mien__onnx_lp_norm },
    { "MatMul", map_binary },
    { "Max", map_nary },
    { "MaxPool", mien__onnx_pool },
    { "Mean", map_nary },
    { "Min", map_nary },
    { "Mish", map_mish },
    { "Mul", map_binary },
    { "Neg", map_unary },
    { "Not", mien__onnx_fold_only },
    { "Or", mien__onnx_fold_only },
    { "PRelu", mien__onnx_prelu },
    { "Pad", mien__onnx_pad },
    { "Pow", map_binary },
    { "Range", map_range },
    { "Reciprocal", map_unary },
    { "ReduceL1", mien__onnx_reduce },
    { "ReduceL2", mien__onnx_reduce },
    { "ReduceMax", mien__onnx_reduce },
    { "ReduceMean", mien__onnx_reduce },
    { "ReduceMin", mien__onnx_reduce },
    { "ReduceSum", mien__onnx_reduce },
    { "ReduceSumSquare", mien__onnx_reduce },
    { "Relu", map_unary },
    { "Reshape", mien__onnx_reshape },
    { "Resize", mien__onnx_resize },
    { "Shape", mien__onnx_shape },
    { "Sigmoid", map_unary },
    { "Slice", mien__onnx_slice },
    { "Softmax", mien__onnx_softmax },
    { "Softplus", map_unary },
    { "Split", mien__onnx_split },
    { "Sqrt", map_unary },
    { "Squeeze", mien__onnx_squeeze },
    { "Sub", map_binary },
    { "Sum", map_nary },
    { "Tanh", map_unary },
    { "Transpose", mien__onnx_transpose },
    { "Unsqueeze", mien__onnx_squeeze },
    { "Upsample", mien__onnx_resize },
    { "Where", mien__onnx_fold_only },
};

mien__onnx_map mien__onnx_map_of(const char *op_type)
{
    for (size_t i = 0; i < MIEN_COUNTOF(mappings); i++)
        if (strcmp(mappings[i].op_type, op_type) == 0)
            return mappings[i].map;
    return NULL;
}
