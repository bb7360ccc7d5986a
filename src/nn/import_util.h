/* What both importers build with: names to values, drafts of nodes, constants, and the shapes known so far.
 *
 * Errors are sticky: after the first failure every call does nothing and returns MIEN__NO_VALUE or NULL, so a
 * mapping reads straight through and its caller looks at `status` once.
 *
 * Each emitted node whose input shapes are all known is run through its operator's shape rule at once, so
 * that faults name the node of the file and mappings that depend on a size (SAME padding) can be resolved. A
 * node whose inputs are all constants is computed and becomes a constant itself.
 */
#ifndef MIEN_SRC_NN_IMPORT_UTIL_H
#define MIEN_SRC_NN_IMPORT_UTIL_H

#include "nn/graph.h"
#include "nn/ops.h"

/* Elements that one import may copy or compute. */
#define MIEN__IMPORT_BUDGET_ELEMS ((int64_t)1 << 29)

typedef struct mien__name_slot {
    const char *name; /* lent by the file's parser; NULL: free */
    uint32_t value;
} mien__name_slot;

/* What is known of a value under the declared input sizes. */
typedef struct mien__import_shape {
    mien__tensor t; /* rank -1: unknown; data: known contents (constants, arithmetic on shapes) */
    bool defined;   /* something produces it */
} mien__import_shape;

typedef struct mien__import {
    mien__graph *g;
    mien__arena *scratch; /* freed when the import ends */
    mien__name_slot *slots;
    uint32_t n_slots, n_names;  /* n_slots is a power of two */
    mien__import_shape *shapes; /* one for each value of g */
    uint32_t cap_shapes;
    unsigned char hash_key[16];
    const char *node_name, *node_op; /* the file's node being mapped, for messages */
    int64_t budget;                  /* elements that may still be copied or computed */
    mien_error *err;
    mien_status status;
} mien__import;

/* Prepare; false (with the error set) when memory is short. End frees all but the graph. */
bool mien__import_begin(mien__import *imp, size_t scratch_max_bytes, mien_error *err);
void mien__import_end(mien__import *imp);

/* Record the first failure, prefixed with the node's name; returns the status. */
#define mien__import_fail(imp, code, ...) mien__import_fail_at((imp), (code), __FILE__, __LINE__, __VA_ARGS__)
mien_status mien__import_fail_at(mien__import *imp, mien_status code, const char *file, int line,
                                 const char *fmt, ...) MIEN_PRINTF(5, 6);
mien_status mien__import_nomem(mien__import *imp);

/* A new value that no name leads to, and the setting of a value's type and shape. */
uint32_t mien__import_add_value(mien__import *imp, const char *name);
void mien__import_set_shape(mien__import *imp, uint32_t v, mien__dtype dtype, int rank, const int64_t *dims);
/* The value of that name, made when it is new; "" and NULL give MIEN__NO_VALUE. `name` must outlive imp. */
uint32_t mien__import_value(mien__import *imp, const char *name);
/* Say that the node being mapped produces the value; fails when something else does already. */
void mien__import_define(mien__import *imp, uint32_t value);
/* Make a value an input of the network; dims -1 where free. */
void mien__import_set_input(mien__import *imp, uint32_t value, mien__dtype dtype, int rank,
                            const int64_t *dims);
uint32_t mien__import_input(mien__import *imp, const char *name, mien__dtype dtype, int rank,
                            const int64_t *dims);

/* Make a constant; *ret_data is where its contents go. `value` NO_VALUE makes a new one. */
uint32_t mien__import_const(mien__import *imp, uint32_t value, mien__dtype dtype, int rank,
                            const int64_t *dims, void **ret_data);
/* A constant that shares the memory of another, under another shape of as many elements. */
uint32_t mien__import_const_view(mien__import *imp, uint32_t of, uint32_t value, int rank,
                                 const int64_t *dims);
uint32_t mien__import_scalar(mien__import *imp, float v);
uint32_t mien__import_i64s(mien__import *imp, const int64_t *v, uint32_t n);
bool mien__import_is_const(const mien__import *imp, uint32_t value);
/* Contents of a constant of that type, or fail: "input `what` must be constant". */
const float *mien__import_f32(mien__import *imp, uint32_t value, const char *what, int64_t *ret_n);
const int64_t *mien__import_i64(mien__import *imp, uint32_t value, const char *what, int64_t *ret_n);
/* Rank and sizes known so far; NULL when unknown. */
const mien__tensor *mien__import_shape_of(const mien__import *imp, uint32_t value);
/* Take n elements from the budget; false (E_LIMIT) when it is spent. */
bool mien__import_spend(mien__import *imp, int64_t n);

/* A node about to be added. Attribute arrays are lent until it is emitted. */
typedef struct mien__draft {
    mien__op op;
    const uint32_t *in;
    uint32_t n_in, n_attrs, n_ints, n_floats;
    mien__attr attrs[12];
    int64_t ints[12];
    double floats[6];
} mien__draft;

mien__draft mien__draft_of(mien__op op, const uint32_t *in, uint32_t n_in);
void mien__draft_ints(mien__draft *d, mien__attr_key key, const int64_t *v, size_t n);
void mien__draft_int(mien__draft *d, mien__attr_key key, int64_t v);
void mien__draft_float(mien__draft *d, mien__attr_key key, double v);
/* Add the node; outs[i] NO_VALUE makes a new value. */
void mien__import_emit(mien__import *imp, const mien__draft *d, uint32_t *outs, uint32_t n_outs);
/* The same with one output, returned. */
uint32_t mien__import_emit1(mien__import *imp, const mien__draft *d, uint32_t out);
uint32_t mien__import_op1(mien__import *imp, mien__op op, uint32_t a, uint32_t out);
uint32_t mien__import_op2(mien__import *imp, mien__op op, uint32_t a, uint32_t b, uint32_t out);

/* Add padding for SAME_UPPER / SAME_LOWER: pad[t l b r] from the input's size (h, w; -1 unknown). */
void mien__import_same_pad(mien__import *imp, uint32_t x, bool lower, const int64_t kernel[2],
                           const int64_t stride[2], const int64_t dilation[2], int64_t ret_pad[4]);

/* Batch normalisation as Affine; params: scale, bias, mean, variance, all constant. */
void mien__import_batch_norm(mien__import *imp, uint32_t x, const uint32_t params[4], double eps,
                             uint32_t out);
/* PRelu with any broadcast of the slopes. */
void mien__import_prelu(mien__import *imp, uint32_t x, uint32_t slope, uint32_t out);
/* A constant target shape that leaves the batch free where it is 1; else `shape` itself. */
uint32_t mien__import_follow_batch(mien__import *imp, uint32_t x, uint32_t shape);
/* Constant sizes of a Resize as scales where that is exact, so that the batch stays free; else NO_VALUE. */
uint32_t mien__import_sizes_to_scales(mien__import *imp, uint32_t x, uint32_t sizes);

/* Check the finished graph (every value has a producer, graph rules) and hand it over. */
mien_status mien__import_finish(mien__import *imp, const uint32_t *in, uint32_t n_in, const uint32_t *out,
                                uint32_t n_out, mien__graph **ret);

#endif
