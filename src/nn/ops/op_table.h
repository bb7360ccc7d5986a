/* The operators' functions, one line per folder; table.c binds them to operator numbers. */
#ifndef MIEN_SRC_NN_OP_TABLE_H
#define MIEN_SRC_NN_OP_TABLE_H

#include "nn/ops.h"

/* clang-format off */
#define MIEN__OP_WITH_GRADIENT(X)                                                                  \
    X(conv) X(gemm) X(matmul) X(affine) X(batch_norm) X(unary) X(prelu) X(binary)                  \
    X(pool2d) X(global_pool) X(reduce) X(softmax) X(layer_norm) X(instance_norm) X(l2_normalize)   \
    X(concat) X(split) X(slice) X(reshape) X(transpose) X(pad) X(resize)                           \
    X(expand) X(gather) X(cast) X(depth_to_space)
#define MIEN__OP_WITHOUT_GRADIENT(X)                                                               \
    X(shape) X(constant_of_shape) X(range)
/* clang-format on */

#define MIEN__OP_DECLARE(name)                                                              \
    mien_status mien__##name##_infer(const mien__node *node, const mien__tensor *const *in, \
                                     mien__tensor *out, mien_error *err);                   \
    void mien__##name##_forward(const mien__node *node, const mien__tensor *const *in, mien__tensor *out);
#define MIEN__OP_DECLARE_BACKWARD(name)                                                     \
    void mien__##name##_backward(const mien__node *node, const mien__tensor *const *in,     \
                                 const mien__tensor *out, const mien__tensor *const *d_out, \
                                 mien__tensor *const *d_in);
MIEN__OP_WITH_GRADIENT(MIEN__OP_DECLARE)
MIEN__OP_WITH_GRADIENT(MIEN__OP_DECLARE_BACKWARD)
MIEN__OP_WITHOUT_GRADIENT(MIEN__OP_DECLARE)
#undef MIEN__OP_DECLARE
#undef MIEN__OP_DECLARE_BACKWARD

/* What the planner asks of operators beyond running them. */
void mien__unary_params(const mien__node *node, float *ret_alpha, float *ret_beta); /* (MIN, MAX for Clip) */
bool mien__transpose_perm(const mien__node *node, int rank, int *ret);
/* Source index of output index o along axis 2 or 3, nearest mode. */
int64_t mien__resize_nearest(const mien__node *node, const mien__tensor *const *in, const mien__tensor *out,
                             int axis, int64_t o);

#endif
