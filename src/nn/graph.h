/* The network as data: values, nodes, attributes. What importers build, `.mien` files hold, the simplifier
 * rewrites and the planner reads. Semantics of each operator are ONNX's (NCHW, row-major) unless its folder
 * under ops/ says otherwise.
 *
 * Everything of a graph lives in its arena, except large constants, which may point into a mapped file.
 */
#ifndef MIEN_SRC_NN_GRAPH_H
#define MIEN_SRC_NN_GRAPH_H

#include "base/base.h"
#include <mien/session.h>

/* name as in ONNX where ONNX has it; the number is written to files and never changes */
/* clang-format off */
#define MIEN__OP_LIST(X)                                                                           \
    X(Conv, 1)               /* x, w[oc][ic/g][kh][kw], b[oc]?; KERNEL STRIDE PAD(t l b r) DILATION GROUP */ \
    X(Gemm, 2)               /* x[n][k], w[m][k] (always transposed so), b[m]? */                  \
    X(MatMul, 3)             /* batched, broadcast */                                              \
    X(Affine, 4)             /* x, scale[c], shift[c]: per channel (axis 1); what BN becomes */    \
    X(BatchNorm, 5)          /* x, scale[c], shift[c], mean[c], var[c]; EPSILON */                 \
    X(Relu, 10)                                                                                    \
    X(LeakyRelu, 11)         /* ALPHA */                                                           \
    X(PRelu, 12)             /* x, slope[c] or [1] */                                              \
    X(Sigmoid, 13)                                                                                 \
    X(Tanh, 14)                                                                                    \
    X(HardSigmoid, 15)       /* ALPHA BETA */                                                      \
    X(HardSwish, 16)                                                                               \
    X(Gelu, 17)              /* exact: erf */                                                      \
    X(Erf, 18)                                                                                     \
    X(Clip, 19)              /* MIN MAX */                                                         \
    X(Exp, 20)                                                                                     \
    X(Sqrt, 21)                                                                                    \
    X(Neg, 22)                                                                                     \
    X(Abs, 23)                                                                                     \
    X(Reciprocal, 24)                                                                              \
    X(Log, 25)                                                                                     \
    X(Elu, 26)               /* ALPHA */                                                           \
    X(Softplus, 27)                                                                                \
    X(Add, 40)               /* numpy broadcast, f32 or i64 */                                     \
    X(Sub, 41)                                                                                     \
    X(Mul, 42)                                                                                     \
    X(Div, 43)                                                                                     \
    X(Pow, 44)                                                                                     \
    X(Max, 45)               /* two inputs */                                                      \
    X(Min, 46)                                                                                     \
    X(MaxPool, 60)           /* KERNEL STRIDE PAD DILATION CEIL */                                 \
    X(AvgPool, 61)           /* ... COUNT_PAD */                                                   \
    X(GlobalAvgPool, 62)                                                                           \
    X(GlobalMaxPool, 63)                                                                           \
    X(ReduceMean, 64)        /* AXES KEEPDIMS */                                                   \
    X(ReduceSum, 65)                                                                               \
    X(ReduceMax, 66)                                                                               \
    X(ReduceL2, 67)                                                                                \
    X(Softmax, 68)           /* AXIS */                                                            \
    X(LayerNorm, 69)         /* x, scale, shift?; AXIS EPSILON */                                  \
    X(InstanceNorm, 70)      /* x, scale[c], shift[c]; EPSILON */                                  \
    X(L2Normalize, 71)       /* AXES EPSILON: x / max(|x|, eps) */                                 \
    X(Concat, 80)            /* AXIS */                                                            \
    X(Split, 81)             /* AXIS SPLIT */                                                      \
    X(Slice, 82)             /* x, starts, ends, axes?, steps? (i64 values) */                     \
    X(Reshape, 83)           /* x, shape (i64 value); 0 copies, -1 infers */                       \
    X(Flatten, 84)           /* AXIS */                                                            \
    X(Squeeze, 85)           /* AXES */                                                            \
    X(Unsqueeze, 86)         /* AXES */                                                            \
    X(Transpose, 87)         /* PERM */                                                            \
    X(Pad, 88)               /* PAD (2*rank: begins, ends), VALUE; constant mode */                \
    X(Resize, 89)            /* x, scales or sizes; MODE(0 nearest, 1 linear) COORD ROUND SIZES */ \
    X(Expand, 90)            /* x, shape */                                                        \
    X(Gather, 91)            /* x, i64 indices; AXIS */                                            \
    X(Shape, 92)             /* -> i64 */                                                          \
    X(Cast, 93)              /* TO */                                                              \
    X(ConstantOfShape, 94)   /* shape; VALUE */                                                    \
    X(Range, 95)                                                                                   \
    X(Identity, 96)                                                                                \
    X(DepthToSpace, 97)      /* BLOCK MODE */
/* clang-format on */

typedef enum mien__op {
    MIEN__OP_NONE = 0,
#define MIEN__OP_ENUM(name, id) MIEN__OP_##name = (id),
    MIEN__OP_LIST(MIEN__OP_ENUM)
#undef MIEN__OP_ENUM
        MIEN__OP_LIMIT = 128,
} mien__op;

/* clang-format off */
#define MIEN__ATTR_LIST(X)                                                                         \
    X(KERNEL, 1) X(STRIDE, 2) X(PAD, 3) X(DILATION, 4) X(GROUP, 5) X(AXIS, 6)                      \
    X(AXES, 7) X(PERM, 8) X(ALPHA, 9) X(BETA, 10) X(EPSILON, 11) X(MIN, 12)                        \
    X(MAX, 13) X(MODE, 14) X(COORD, 15) X(ROUND, 16) X(SIZES, 17) X(CEIL, 18)                      \
    X(COUNT_PAD, 19) X(KEEPDIMS, 20) X(SPLIT, 21) X(VALUE, 22) X(TO, 23) X(BLOCK, 24)
/* clang-format on */

typedef enum mien__attr_key {
#define MIEN__ATTR_ENUM(name, id) MIEN__ATTR_##name = (id),
    MIEN__ATTR_LIST(MIEN__ATTR_ENUM)
#undef MIEN__ATTR_ENUM
} mien__attr_key;

/* Resize coordinate modes (COORD) and nearest rounding (ROUND), ONNX Resize-11 */
enum {
    MIEN__COORD_HALF_PIXEL,
    MIEN__COORD_ASYMMETRIC,
    MIEN__COORD_ALIGN_CORNERS,
    MIEN__COORD_PYTORCH_HALF_PIXEL
};
enum { MIEN__ROUND_PREFER_FLOOR, MIEN__ROUND_PREFER_CEIL, MIEN__ROUND_FLOOR, MIEN__ROUND_CEIL };

typedef enum mien__dtype {
    MIEN__F32 = 1,
    MIEN__I64 = 2,
    MIEN__F16 = 3 /* constants in files only */
} mien__dtype;

typedef struct mien__attr {
    mien__attr_key key;
    bool is_float;
    uint32_t n;
    union {
        const int64_t *i;
        const double *f;
    } v;
} mien__attr;

/* A tensor that flows along an edge, or a constant (data != NULL). */
typedef struct mien__value {
    const char *name;
    mien__dtype dtype;
    int rank;                    /* -1: not known until planned */
    int64_t dims[MIEN_MAX_RANK]; /* -1: free */
    const void *data;            /* constants: row-major, F32 / I64 (F16 is widened by the loader) */
} mien__value;

enum { MIEN__NO_VALUE = UINT32_MAX }; /* an optional input that is absent */

typedef struct mien__node {
    mien__op op;
    const char *name;
    uint32_t n_inputs, n_outputs, n_attrs;
    uint32_t *inputs; /* indices into values, or MIEN__NO_VALUE */
    uint32_t *outputs;
    mien__attr *attrs;
} mien__node;

typedef struct mien__graph {
    mien__arena *arena; /* owns all of the below */
    mien__value *values;
    mien__node *nodes; /* topological order after mien__graph_check() */
    uint32_t *inputs, *outputs;
    uint32_t n_values, n_nodes, n_inputs, n_outputs;
    uint32_t cap_values, cap_nodes;
} mien__graph;

/* Limits on what any file may ask for. */
enum {
    MIEN__MAX_VALUES = 1 << 18,
    MIEN__MAX_NODES = 1 << 17,
    MIEN__MAX_NODE_EDGES = 4096,
};
#define MIEN__MAX_TENSOR_ELEMS ((int64_t)1 << 31)

/* ---- building (graph.c) ---- */
mien__graph *mien__graph_new(void); /* NULL when memory is short */
void mien__graph_free(mien__graph *g);
/* Each returns false only when memory is short or a limit is reached; *ret gets the index. */
bool mien__graph_add_value(mien__graph *g, const char *name, mien__dtype dtype, int rank, const int64_t *dims,
                           const void *data, uint32_t *ret);
bool mien__graph_add_node(mien__graph *g, mien__op op, const char *name, const uint32_t *inputs,
                          uint32_t n_inputs, const uint32_t *outputs, uint32_t n_outputs, mien__node **ret);
bool mien__node_set_ints(mien__graph *g, mien__node *n, mien__attr_key key, const int64_t *v, uint32_t count);
bool mien__node_set_int(mien__graph *g, mien__node *n, mien__attr_key key, int64_t v);
bool mien__node_set_floats(mien__graph *g, mien__node *n, mien__attr_key key, const double *v,
                           uint32_t count);
bool mien__node_set_float(mien__graph *g, mien__node *n, mien__attr_key key, double v);
bool mien__graph_set_io(mien__graph *g, const uint32_t *in, uint32_t n_in, const uint32_t *out,
                        uint32_t n_out);

const mien__attr *mien__node_attr(const mien__node *n, mien__attr_key key); /* NULL when absent */
int64_t mien__node_int(const mien__node *n, mien__attr_key key, int64_t fallback);
double mien__node_float(const mien__node *n, mien__attr_key key, double fallback);
const char *mien__op_name(mien__op op);
mien__op mien__op_by_name(const char *name);
/* Elements of a known shape; -1 when a dim is free or the product passes MIEN__MAX_TENSOR_ELEMS. */
int64_t mien__elems(int rank, const int64_t *dims);
int64_t mien__value_elems(const mien__value *v);

/* Check indices, single assignment, that every op is known with the right number of inputs; sort nodes
 * topologically. Names the node at fault: E_MODEL_CORRUPT (cycle, bad index), E_MODEL_OP. */
mien_status mien__graph_check(mien__graph *g, mien_error *err);
/* Fold constants and batch normalisation, drop identities and what no output needs (simplify.c). */
mien_status mien__graph_simplify(mien__graph *g, mien_error *err);

/* ---- importers (onnx_import.c, ir_import.c): untrusted bytes to a checked, unsimplified graph ---- */
mien_status mien__onnx_read(const uint8_t *data, size_t size, mien__graph **ret, mien_error *err);
mien_status mien__ir_read(const uint8_t *xml, size_t xml_size, const uint8_t *bin, size_t bin_size,
                          mien__graph **ret, mien_error *err);

/* ---- the model object (model.c); sessions see the graph through this ---- */
const mien__graph *mien__model_graph(const mien_model *m);
/* Wrap a graph (taken, also on failure) and a description (copied) as a model. */
mien_status mien__model_from_graph(mien__graph *g, const mien_model_info *info, mien_model **ret,
                                   mien_error *err);
/* Packed weights shared by sessions: find or make. `pack` fills `bytes` bytes at 64-byte alignment. Thread
 * safe; the result lives as long as the model. */
typedef void (*mien__pack_fn)(void *ctx, void *dst);
mien_status mien__model_packed(const mien_model *m, uint64_t key, size_t bytes, mien__pack_fn pack, void *ctx,
                               const void **ret, mien_error *err);

#endif
