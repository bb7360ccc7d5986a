/* Planning: a graph and its input shapes become a list of steps over one arena.
 *
 * The planner (plan.c) infers every shape and folds what is known by then; lowers each node that an output
 * needs to steps (plan_lower.c and its neighbours), either with a fast kernel or with the operator's
 * reference; finds out from when to when each slot of memory is in use and packs them (plan_memory.c).
 *
 * A value may exist in two layouts, plain (row-major) and blocked (kernels.h); a slot is one of them.
 * Lowering asks for the layout it wants and gets a re-ordering step in between only where nobody has made it
 * yet.
 */
#ifndef MIEN_SRC_NN_PLAN_H
#define MIEN_SRC_NN_PLAN_H

#include "nn/kernels/kernels.h"
#include "nn/ops.h"

enum { MIEN__PLAIN, MIEN__BLOCKED, MIEN__LAYOUTS };
#define MIEN__NO_SLOT UINT32_MAX
#define MIEN__NO_NODE UINT32_MAX

/* Memory for one value in one layout. */
typedef struct mien__slot {
    mien__tensor t;       /* the value's logical shape; data is set when the plan is complete */
    size_t bytes;         /* storage */
    uint32_t root;        /* slot whose memory this one lies in (itself when it has its own) */
    size_t root_offset;   /* bytes */
    uint32_t first, last; /* steps from and to which the root's memory is in use */
    size_t offset;        /* root: place in the arena */
    bool fixed;           /* data points outside the arena: a constant */
} mien__slot;

typedef struct mien__step mien__step;
typedef void (*mien__step_fn)(const mien__step *s, mien__pool *pool);

/* One thing to do. src and dst are bound to memory when the plan is complete. */
struct mien__step {
    mien__step_fn run;
    const mien__kernels *k; /* NULL for references */
    const mien__node *node;
    const char *op, *kernel; /* for mien_session_layer() */
    double mmac, ms;
    uint32_t n_in, n_out;
    uint32_t *in, *out; /* slots; in[] may hold MIEN__NO_SLOT */
    const mien__tensor **src;
    mien__tensor *dst;
    size_t scratch_bytes, packed_bytes;
    void *scratch;
    const void *packed; /* weights, owned by the model */
    const float *slope; /* per-channel slopes, owned by the model */
    union {
        mien__conv_plan conv;
        mien__pool2d pool;
        struct {
            int n, m, k;
            mien__post post;
        } fc;
        struct { /* elementwise and layout steps */
            int n, c, hw, op, c_from, ih, iw, fh, fw;
            size_t count;
            mien__act act;
            float alpha, beta;
            mien__post post;
            const float *scale, *shift;
        } e;
    } u;
};

typedef struct mien__plan {
    mien__arena *meta; /* everything but tensors */
    mien__slot *slots;
    uint32_t n_slots, cap_slots;
    mien__step *steps;
    uint32_t n_steps, cap_steps;
    uint32_t *input_slots, *output_slots;
    void *memory;
    size_t memory_bytes, packed_bytes;
} mien__plan;

/* Plan `model` for one shape per network input. `k` NULL: every node by its reference. */
mien_status mien__plan_new(const mien_model *model, const mien__kernels *k, unsigned threads,
                           const mien_tensor_view *shapes, mien__plan **ret, mien_error *err);
void mien__plan_free(mien__plan *p);
void mien__plan_run(const mien__plan *p, mien__pool *pool);

/* ---- inside the planner ---- */

/* What lowering knows of a value. */
typedef struct mien__pvalue {
    mien__tensor t;    /* data set where known */
    uint32_t producer; /* node, or MIEN__NO_NODE */
    uint32_t slot[MIEN__LAYOUTS];
    uint32_t uses, only_user; /* reads by needed nodes; the last one */
    bool needed, is_output, is_input;
    uint32_t pending_affine; /* an Affine node not yet carried out for this value, or MIEN__NO_NODE */
    uint32_t part_of;        /* blocked value whose channels from c_from on this one is, or MIEN__NO_VALUE */
    int c_from;
} mien__pvalue;

typedef struct mien__planner {
    const mien_model *model;
    const mien__graph *g;
    const mien__kernels *k;
    unsigned threads;
    mien__plan *plan;
    mien__pvalue *v;
    bool *done;            /* nodes that need no step (any more) */
    mien__tensor *tensors; /* scratch of inference: inputs and outputs of one node */
    const mien__tensor **in_ptrs;
    mien_error *err;
} mien__planner;

/* A new slot with its own memory (plain or blocked size by `layout`), recorded for value `v` unless that is
 * MIEN__NO_VALUE. E_NOMEM, E_LIMIT. */
mien_status mien__plan_slot(mien__planner *p, uint32_t v, int layout, uint32_t *ret);
/* A slot that lies in another's memory. */
mien_status mien__plan_view(mien__planner *p, uint32_t v, int layout, uint32_t of, size_t offset_bytes,
                            uint32_t *ret);
/* Append a step with room for its slots; *ret is valid until the next append. */
mien_status mien__plan_step(mien__planner *p, const mien__node *node, mien__step_fn run, uint32_t n_in,
                            uint32_t n_out, mien__step **ret);
/* The slot of a value in a layout: made by a re-order when it exists only in the other one. */
mien_status mien__plan_need(mien__planner *p, uint32_t v, int layout, uint32_t *ret);
/* Whether the value has been made already (or is given). */
bool mien__plan_ready(const mien__planner *p, uint32_t v);
/* The node that alone reads `v`, or MIEN__NO_NODE (also when `v` is a network output). */
uint32_t mien__plan_sole_user(const mien__planner *p, uint32_t v);
/* Bytes of a value in a layout; 0 when it has no such layout. */
size_t mien__plan_bytes(const mien__planner *p, const mien__tensor *t, int layout);
/* "kernel/level" in the plan's memory; NULL when short. */
const char *mien__plan_kernel_name(mien__planner *p, const char *kernel);
/* Constant data of a value, NULL when it is not known at plan time. */
const float *mien__plan_const_f32(const mien__planner *p, uint32_t v);
/* Per-channel constants padded with zeros to whole blocks, kept by the model. */
mien_status mien__plan_channels(mien__planner *p, uint32_t v, int64_t channels, const float **ret);

/* Lower one node. */
mien_status mien__plan_lower(mien__planner *p, uint32_t node);
/* Lower with fast kernels; *ret_taken false, nothing emitted, when there is none for this case. */
mien_status mien__plan_lower_fast(mien__planner *p, uint32_t node, bool *ret_taken);
mien_status mien__plan_lower_conv(mien__planner *p, uint32_t node, bool *ret_taken);
mien_status mien__plan_lower_fc(mien__planner *p, uint32_t node, bool *ret_taken);
mien_status mien__plan_lower_concat(mien__planner *p, const mien__node *n, bool *ret_taken);
mien_status mien__plan_lower_split(mien__planner *p, const mien__node *n, bool *ret_taken);
mien_status mien__plan_lower_transpose(mien__planner *p, const mien__node *n, bool *ret_taken);
/* Does the value exist in blocked layout; could it? */
bool mien__plan_has_blocked(const mien__planner *p, uint32_t v);
bool mien__plan_blockable(const mien__planner *p, uint32_t v);
/* Append a step of one or two inputs in a layout; its u.e.{n,c,hw} are those of the first input. */
mien_status mien__plan_step_of(mien__planner *p, const mien__node *n, mien__step_fn run, const uint32_t *in,
                               uint32_t n_in, int in_layout, uint32_t out, int out_layout, const char *kernel,
                               mien__step **ret);
mien_status mien__plan_lower_pending_affine(mien__planner *p, uint32_t v);
/* Copy a part (see part_of) to a plain tensor of its own. */
mien_status mien__plan_lower_part(mien__planner *p, uint32_t v);
/* Place every root slot; sets slot offsets and memory_bytes (plan_memory.c). */
mien_status mien__plan_place(mien__plan *p, mien_error *err);

#endif
