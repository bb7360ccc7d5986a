/* What the files of the ONNX importer share. Private to onnx_*.c. */
#ifndef MIEN_SRC_NN_ONNX_READ_H
#define MIEN_SRC_NN_ONNX_READ_H

#include "nn/import_util.h"
#include "onnx.pb-c.h"

/* One ONNX node being mapped. */
typedef struct mien__onnx_node {
    mien__import *imp;
    const MienOnnx__Node *pb;
    int64_t opset;
    uint32_t *in, *out; /* values, NO_VALUE where absent */
    uint32_t n_in, n_out;
} mien__onnx_node;

/* ---- reading (onnx_tensor.c) ---- */

/* Make a tensor of the file a constant (value NO_VALUE: a new one); returns the value. */
uint32_t mien__onnx_tensor(mien__import *imp, const MienOnnx__Tensor *t, uint32_t value);
/* ONNX element type to ours: F32, I64, or 0 when mien does not compute with it. */
mien__dtype mien__onnx_dtype(int32_t elem_type);

const MienOnnx__Attribute *mien__onnx_attr(const mien__onnx_node *n, const char *name);
int64_t mien__onnx_int(const mien__onnx_node *n, const char *name, int64_t fallback);
double mien__onnx_float(const mien__onnx_node *n, const char *name, double fallback);
/* Does the string attribute have that value (absent: the fallback's)? */
bool mien__onnx_str_is(const mien__onnx_node *n, const char *name, const char *fallback, const char *value);
/* Lend a list; *ret_n 0 and NULL when absent. */
const int64_t *mien__onnx_ints(const mien__onnx_node *n, const char *name, size_t *ret_n);

uint32_t mien__onnx_in(const mien__onnx_node *n, uint32_t i); /* NO_VALUE when absent */
uint32_t mien__onnx_out(const mien__onnx_node *n, uint32_t i);
/* A list that is an attribute in older opsets and a constant input in newer ones; NULL when absent. */
const int64_t *mien__onnx_ints_or_input(mien__onnx_node *n, const char *attr, uint32_t input, size_t *ret_n);
/* Emit the draft as the node's result 0. */
void mien__onnx_emit(mien__onnx_node *n, const mien__draft *d);

/* ---- mapping ---- */

typedef void (*mien__onnx_map)(mien__onnx_node *n);

/* Find the mapping of an operator; NULL when there is none. */
mien__onnx_map mien__onnx_map_of(const char *op_type);

/* onnx_ops_dense.c */
void mien__onnx_conv(mien__onnx_node *n);
void mien__onnx_pool(mien__onnx_node *n);
void mien__onnx_gemm(mien__onnx_node *n);
void mien__onnx_batch_norm(mien__onnx_node *n);
void mien__onnx_instance_norm(mien__onnx_node *n);
void mien__onnx_layer_norm(mien__onnx_node *n);
void mien__onnx_prelu(mien__onnx_node *n);
void mien__onnx_softmax(mien__onnx_node *n);
void mien__onnx_lp_norm(mien__onnx_node *n);

/* onnx_ops_shape.c */
void mien__onnx_constant(mien__onnx_node *n);
void mien__onnx_cast(mien__onnx_node *n);
void mien__onnx_concat(mien__onnx_node *n);
void mien__onnx_split(mien__onnx_node *n);
void mien__onnx_slice(mien__onnx_node *n);
void mien__onnx_reshape(mien__onnx_node *n);
void mien__onnx_flatten(mien__onnx_node *n);
void mien__onnx_squeeze(mien__onnx_node *n);
void mien__onnx_transpose(mien__onnx_node *n);
void mien__onnx_pad(mien__onnx_node *n);
void mien__onnx_resize(mien__onnx_node *n);
void mien__onnx_gather(mien__onnx_node *n);
void mien__onnx_shape(mien__onnx_node *n);
void mien__onnx_constant_of_shape(mien__onnx_node *n);
void mien__onnx_depth_to_space(mien__onnx_node *n);
void mien__onnx_reduce(mien__onnx_node *n);

/* onnx_ops_fold.c */
void mien__onnx_fold_only(mien__onnx_node *n);

#endif
