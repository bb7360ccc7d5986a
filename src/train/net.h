/* A network that can be trained: a graph at one batch shape, its forward pass with everything kept, its
 * backward pass, and its parameters.
 *
 * Each node becomes a step: a fast one over blocked tensors (net_fast.c) where the kernel tables have it,
 * else the operator's reference (net_reference.c). A value in one layout is a slot; a change of layout is a
 * step with a gradient of its own. Gradients flow only towards parameters that are trained. Belongs to one
 * thread; it has a pool.
 */
#ifndef MIEN_SRC_TRAIN_NET_H
#define MIEN_SRC_TRAIN_NET_H

#include "nn/graph.h"
#include "train/optim.h"

typedef struct mien__net mien__net;

typedef struct mien__net_opts {
    int batch;
    int height, width; /* of the input where the graph leaves them free; 0: as in the graph */
    unsigned threads;
    bool batch_stats; /* BatchNorm normalises by the batch and keeps running averages; false: by the averages
                       */
    double bn_momentum;      /* running = (1 - m) running + m batch; default 0.1 */
    int last;                /* train only the last so many nodes that have parameters; 0: all */
    const char *const *taps; /* values beside the outputs that are looked at and given gradients */
    size_t n_taps;
    bool forced; /* taps beside the outputs may be replaced by values from outside, see mien__net_force() */
} mien__net_opts;

/* A value at the edge: the outputs in order, then the taps. Plain row-major; `grad` is to be filled before
 * each backward pass (it is not cleared between passes). */
typedef struct mien__net_tap {
    const char *name;
    const float *data;
    float *grad;
    int rank;
    int64_t dims[MIEN_MAX_RANK];
    size_t count;
} mien__net_tap;

/* Copy `g` and plan it. The graph has one input. E_MODEL_OP names a node without a gradient on the way to a
 * trained parameter; E_NOT_FOUND a tap that is no value; E_MODEL_SHAPE, E_LIMIT, E_NOMEM. */
mien_status mien__net_new(const mien__graph *g, const mien__net_opts *o, mien__net **ret, mien_error *err);
void mien__net_free(mien__net *n);

float *mien__net_input(mien__net *n, size_t *ret_count); /* [batch][c][h][w], to be filled */
size_t mien__net_n_taps(const mien__net *n);
const mien__net_tap *mien__net_tap_at(const mien__net *n, size_t i);
/* Parameters in the order of the graph; values may be changed between passes (then call mien__net_changed()).
 */
mien__param *mien__net_params(mien__net *n, size_t *ret_n);
/* Constants that change without gradients (running averages) as parameters with grad NULL, for checkpoints.
 */
const mien__param *mien__net_buffers(const mien__net *n, size_t *ret_n);
mien__pool *mien__net_pool(mien__net *n);

/* With `values` (plain, one per tap beside the outputs), what follows a tap sees that value instead of the
 * network's own and sends no gradient back: each stretch between taps then learns by itself, from the input
 * its teacher gives it. NULL: the network's own values again. Kept by pointer. Needs the option `forced`. */
void mien__net_force(mien__net *n, const float *const *values);

void mien__net_changed(mien__net *n); /* parameters were written: weights are packed anew */
void mien__net_forward(mien__net *n);
void mien__net_backward(mien__net *n); /* parameters' gradients are overwritten */

/* The graph with the present weights (lent; its batch axis is free again), for saving and for inference. */
const mien__graph *mien__net_graph(const mien__net *n);
/* A model of the present weights: the graph copied and simplified, with a description. */
mien_status mien__net_model(const mien__net *n, const mien_model_info *info, mien_model **ret,
                            mien_error *err);

/* Copy a graph, constants too. */
mien_status mien__graph_copy(const mien__graph *g, mien__graph **ret, mien_error *err);

/* One step of the pass, for `mien bench train --layers`. */
typedef struct mien__net_step_info {
    const char *name, *op, *kernel;
    double forward_ms, backward_ms; /* of the last pass with timing on */
} mien__net_step_info;
void mien__net_time(mien__net *n, bool on);
bool mien__net_step_at(const mien__net *n, size_t i, mien__net_step_info *ret);

#endif
