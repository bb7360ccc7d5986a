/* The operator table: for each operator its shape rule and its scalar references, forward and
 * backward: the definition of right.
 * One folder per operator under ops/; its head comment is its documentation.
 */
#ifndef MIEN_SRC_NN_OPS_H
#define MIEN_SRC_NN_OPS_H

#include "nn/graph.h"

/* A tensor at run or plan time. During shape inference `data` is non-NULL where the value is known already
 * (constants, and i64 arithmetic on shapes). */
typedef struct mien__tensor {
    mien__dtype dtype;
    int rank;
    int64_t dims[MIEN_MAX_RANK];
    void *data;
} mien__tensor;

typedef struct mien__op_def {
    mien__op op;
    int min_inputs, max_inputs, min_outputs, max_outputs;
    /* Fill dtype, rank and dims of the outputs; absent inputs are NULL. Checks everything forward() relies
     * on. E_MODEL_SHAPE / E_MODEL_OP naming the node. */
    mien_status (*infer)(const mien__node *node, const mien__tensor *const *in, mien__tensor *out,
                         mien_error *err);
    /* Compute the outputs (data allocated by the caller). Float results in float, sums in float in index
     * order unless the folder says otherwise. */
    void (*forward)(const mien__node *node, const mien__tensor *const *in, mien__tensor *out);
    /* The gradient; NULL when the operator has none. `in` and `out` are forward()'s, data included. d_out[i],
     * one per output, is the gradient of output i; NULL means zero, and one at least is not NULL. d_in has
     * node->n_inputs entries; where d_in[i] is NULL the gradient is not wanted, else it is ADDED to
     * d_in[i]->data, which has the shape of input i. Entries of inputs without a gradient (int64, shapes,
     * scales of Resize) are left alone. Sums run in index order, those of one row or plane in double. At a
     * kink each folder says which side holds. */
    void (*backward)(const mien__node *node, const mien__tensor *const *in, const mien__tensor *out,
                     const mien__tensor *const *d_out, mien__tensor *const *d_in);
} mien__op_def;

/* NULL when the operator is unknown. */
const mien__op_def *mien__op_def_of(mien__op op);

#endif
