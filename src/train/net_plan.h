/* Inside the trainable network: slots, steps, and what the builders of steps share. */
#ifndef MIEN_SRC_TRAIN_NET_PLAN_H
#define MIEN_SRC_TRAIN_NET_PLAN_H

#include "nn/ops.h"
#include "train/kernels/train_kernels.h"
#include "train/net.h"

enum { MIEN__T_PLAIN, MIEN__T_BLOCKED, MIEN__T_LAYOUTS };
#define MIEN__T_NONE UINT32_MAX

/* A value in one layout. */
typedef struct mien__tslot {
    uint32_t value;
    int layout;
    size_t floats; /* storage */
    float *data, *grad;
    bool wants_grad; /* a trained parameter lies behind it */
    bool seeded;     /* its gradient is set from outside */
    bool written;    /* while planning the backward pass: something has been put into its gradient */
} mien__tslot;

typedef struct mien__tstep mien__tstep;
typedef void (*mien__tstep_fn)(mien__net *n, mien__tstep *s);

enum { MIEN__T_MAX_PARAMS = 3 };

/* One thing to do, there and back. `add` per input: the gradient comes on top of what is there. */
struct mien__tstep {
    mien__tstep_fn forward, backward; /* backward NULL: nothing flows back */
    const mien__node *node;
    const char *op, *kernel;
    uint32_t n_in, n_out;
    uint32_t *in, *out; /* slots; in[] may hold MIEN__T_NONE (a parameter, a constant, an absent input) */
    bool *add;
    uint32_t param[MIEN__T_MAX_PARAMS]; /* fast steps: weights, bias, slopes ...; MIEN__T_NONE where absent */
    bool param_add[MIEN__T_MAX_PARAMS]; /* shared with a step that has been gone through before */
    uint32_t
        *in_param; /* reference steps: the parameter that an input is, or MIEN__T_NONE; NULL for fast ones */
    bool *in_param_add;
    bool skip_backward;
    size_t scratch_bytes;
    double forward_ms, backward_ms;
    union {
        struct {
            mien__conv c;
            mien__conv_plan plan;
            mien__conv_dx_plan dx;
            void *packed, *packed_dx;
            bool want_dx;
        } conv;
        struct { /* batch normalisation and activations, blocked */
            int c, hw;
            mien__act act;
            float alpha, beta, eps;
            float *mean, *inv_std, *gamma, *shift, *slope, *scale, *offset, *d[3]; /* [ceil(c/B)*B] */
            uint32_t running_mean, running_var;                                    /* buffers */
        } bn;
        mien__pool2d pool;
        struct {
            int n, c, ih, iw, fh, fw, hw;
        } e;
        struct {
            int n, m, k;
        } fc;
        size_t tap; /* of a forced value: which one beside the outputs */
        struct {    /* reference */
            const mien__tensor **in;
            mien__tensor *in_t, *out_t, *d_out_t, *d_in_t;
            const mien__tensor **d_out;
            mien__tensor **d_in;
            float *bn_mean, *bn_var; /* BatchNorm by the batch */
        } ref;
    } u;
};

/* What planning knows of a graph value. */
typedef struct mien__tvalue {
    mien__tensor t; /* shape; data where constant */
    uint32_t slot[MIEN__T_LAYOUTS];
    uint32_t param, buffer; /* MIEN__T_NONE unless it is one */
    uint32_t uses, only_user, producer;
    bool is_tap;
    uint32_t tap_slot; /* of a forced tap: the network's own value, plain */
    size_t forced;     /* 1 + which tap beside the outputs; 0: not forced */
} mien__tvalue;

struct mien__net {
    mien__graph *g;
    mien__arena *meta;
    mien__pool *pool;
    const mien__kernels *k;
    const mien__train_kernels *tk; /* both NULL: everything by reference */
    mien__net_opts o;
    mien__tvalue *v;
    mien__tslot *slots;
    uint32_t n_slots, cap_slots;
    mien__tstep *steps;
    uint32_t n_steps, cap_steps;
    bool *done; /* nodes taken into another's step */
    mien__param *params;
    size_t n_params;
    mien__param *buffers;
    size_t n_buffers;
    mien__net_tap *taps;
    uint32_t *tap_slots;
    size_t n_taps;
    uint32_t input_slot;
    void **blocks; /* large memory, freed at the end */
    size_t n_blocks, cap_blocks;
    void *scratch;
    float *param_scratch; /* for gradients of shared parameters: one piece per parameter of a step */
    size_t largest_param;
    const float *const *force; /* values from outside, NULL: none */
    bool changed, timing;
};

/* Memory that lives as long as the network; zeroed. */
mien_status mien__tnet_block(mien__net *n, size_t floats, float **ret, mien_error *err);
/* The slot of a value in a layout, made by a change of layout where it exists only in the other. */
mien_status mien__tnet_need(mien__net *n, uint32_t value, int layout, uint32_t *ret, mien_error *err);
mien_status mien__tnet_slot(mien__net *n, uint32_t value, int layout, uint32_t *ret, mien_error *err);
mien_status mien__tnet_step(mien__net *n, const mien__node *node, uint32_t n_in, uint32_t n_out,
                            mien__tstep **ret, mien_error *err);
/* Storage of a tensor in a layout, in floats; 0 when it has none. */
size_t mien__tnet_floats(const mien__net *n, const mien__tensor *t, int layout);
/* The node that alone reads a value, MIEN__T_NONE when there is none or the value is looked at from outside.
 */
uint32_t mien__tnet_sole_user(const mien__net *n, uint32_t value);
/* Take a fast step for a node; *ret_taken false when there is none. */
mien_status mien__tnet_fast(mien__net *n, uint32_t node, bool *ret_taken, mien_error *err);
mien_status mien__tnet_fast_simple(mien__net *n, uint32_t node, bool *ret_taken, mien_error *err);
mien_status mien__tnet_reference(mien__net *n, uint32_t node, mien_error *err);
/* Where the gradient of a step's parameter goes: the parameter's own memory, or scratch to be added. */
float *mien__tnet_param_grad(mien__net *n, const mien__tstep *s, int i);
void mien__tnet_param_done(mien__net *n, const mien__tstep *s, int i);

#endif
