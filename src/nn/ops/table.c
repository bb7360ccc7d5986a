/* The operator table: number, arity, shape rule, references. */
#include "nn/ops/op_table.h"

enum { MANY = MIEN__MAX_NODE_EDGES };

#define ENTRY(op, folder, min_in, max_in, max_out, backward)                                         \
    {                                                                                                \
        MIEN__OP_##op, min_in, max_in, 1, max_out, mien__##folder##_infer, mien__##folder##_forward, \
            backward                                                                                 \
    }
#define ROW(op, folder, min_in, max_in, max_out) \
    ENTRY(op, folder, min_in, max_in, max_out, mien__##folder##_backward)
#define NO_GRADIENT(op, folder, min_in, max_in, max_out) ENTRY(op, folder, min_in, max_in, max_out, NULL)
#define UNARY(op) ROW(op, unary, 1, 1, 1)
#define BINARY(op) ROW(op, binary, 2, 2, 1)

static const mien__op_def table[] = {
    ROW(Conv, conv, 2, 3, 1),
    ROW(Gemm, gemm, 2, 3, 1),
    ROW(MatMul, matmul, 2, 2, 1),
    ROW(Affine, affine, 3, 3, 1),
    ROW(BatchNorm, batch_norm, 5, 5, 1),
    ROW(PRelu, prelu, 2, 2, 1),
    UNARY(Relu),
    UNARY(LeakyRelu),
    UNARY(Sigmoid),
    UNARY(Tanh),
    UNARY(HardSigmoid),
    UNARY(HardSwish),
    UNARY(Gelu),
    UNARY(Erf),
    UNARY(Clip),
    UNARY(Exp),
    UNARY(Sqrt),
    UNARY(Neg),
    UNARY(Abs),
    UNARY(Reciprocal),
    UNARY(Log),
    UNARY(Elu),
    UNARY(Softplus),
    BINARY(Add),
    BINARY(Sub),
    BINARY(Mul),
    BINARY(Div),
    BINARY(Pow),
    BINARY(Max),
    BINARY(Min),
    ROW(MaxPool, pool2d, 1, 1, 1),
    ROW(AvgPool, pool2d, 1, 1, 1),
    ROW(GlobalAvgPool, global_pool, 1, 1, 1),
    ROW(GlobalMaxPool, global_pool, 1, 1, 1),
    ROW(ReduceMean, reduce, 1, 1, 1),
    ROW(ReduceSum, reduce, 1, 1, 1),
    ROW(ReduceMax, reduce, 1, 1, 1),
    ROW(ReduceL2, reduce, 1, 1, 1),
    ROW(Softmax, softmax, 1, 1, 1),
    ROW(LayerNorm, layer_norm, 2, 3, 1),
    ROW(InstanceNorm, instance_norm, 3, 3, 1),
    ROW(L2Normalize, l2_normalize, 1, 1, 1),
    ROW(Concat, concat, 1, MANY, 1),
    ROW(Split, split, 1, 1, MANY),
    ROW(Slice, slice, 3, 5, 1),
    ROW(Reshape, reshape, 2, 2, 1),
    ROW(Flatten, reshape, 1, 1, 1),
    ROW(Squeeze, reshape, 1, 1, 1),
    ROW(Unsqueeze, reshape, 1, 1, 1),
    ROW(Transpose, transpose, 1, 1, 1),
    ROW(Pad, pad, 1, 1, 1),
    ROW(Resize, resize, 2, 2, 1),
    ROW(Expand, expand, 2, 2, 1),
    ROW(Gather, gather, 2, 2, 1),
    NO_GRADIENT(Shape, shape, 1, 1, 1),
    ROW(Cast, cast, 1, 1, 1),
    NO_GRADIENT(ConstantOfShape, constant_of_shape, 1, 1, 1),
    NO_GRADIENT(Range, range, 3, 3, 1),
    ROW(Identity, reshape, 1, 1, 1),
    ROW(DepthToSpace, depth_to_space, 1, 1, 1),
};

const mien__op_def *mien__op_def_of(mien__op op)
{
    for (size_t i = 0; i < MIEN_COUNTOF(table); i++)
        if (table[i].op == op)
            return &table[i];
    return NULL;
}
