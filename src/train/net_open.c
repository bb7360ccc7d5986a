/* What is known of a graph before its steps are planned: parameters, every shape for the batch, what is
 * constant, who reads what, which values are looked at from outside.
 */
#include "nn/ops/op_util.h"
#include "train/net_plan.h"
#include <string.h>

#define FOLD_MAX_ELEMS ((int64_t)1 << 16)
enum { EXTRA_INPUTS = 8 };

/* ---- parameters ---- */

/* Which inputs of an operator are parameters, as a bit mask; which of those take weight decay. */
static unsigned param_inputs(mien__op op, unsigned *ret_decay)
{
    *ret_decay = 0;
    switch (op) {
    case MIEN__OP_Conv:
    case MIEN__OP_Gemm:
        *ret_decay = 1u << 1;
        return 1u << 1 | 1u << 2;
    case MIEN__OP_MatMul:
        *ret_decay = 1u << 1;
        return 1u << 0 | 1u << 1;
    case MIEN__OP_PRelu:
        return 1u << 1;
    case MIEN__OP_Affine:
    case MIEN__OP_BatchNorm:
    case MIEN__OP_LayerNorm:
    case MIEN__OP_InstanceNorm:
        return 1u << 1 | 1u << 2;
    default:
        return 0;
    }
}

static mien_status add_param(mien__net *n, uint32_t value, bool decay, bool buffer, mien_error *err)
{
    mien__tvalue *v = &n->v[value];
    if (v->param != MIEN__T_NONE || v->buffer != MIEN__T_NONE)
        return MIEN_OK;
    const size_t count = (size_t)mien__value_elems(&n->g->values[value]);
    mien__param p = { .name = n->g->values[value].name,
                      .value = v->t.data,
                      .count = count,
                      .trainable = !buffer,
                      .decay = decay,
                      .lr_scale = 1.0f };
    if (buffer) {
        v->buffer = (uint32_t)n->n_buffers;
        n->buffers[n->n_buffers++] = p;
        return MIEN_OK;
    }
    const mien_status st = mien__tnet_block(n, count, &p.grad, err);
    v->param = (uint32_t)n->n_params;
    n->params[n->n_params++] = p;
    return st;
}

static mien_status find_params(mien__net *n, mien_error *err)
{
    const mien__graph *g = n->g;
    int with_params = 0, at = 0;
    mien_status st = MIEN_OK;
    n->params = mien__arena_alloc_array(n->meta, g->n_values + (size_t)1, sizeof *n->params);
    n->buffers = mien__arena_alloc_array(n->meta, g->n_values + (size_t)1, sizeof *n->buffers);
    bool *has = mien__arena_alloc_array(n->meta, g->n_nodes + (size_t)1, sizeof *has);
    if (!n->params || !n->buffers || !has)
        return mien__nomem(err, g->n_values * sizeof *n->params);
    for (uint32_t i = 0; !st && i < g->n_nodes; i++) {
        const mien__node *node = &g->nodes[i];
        unsigned decay = 0;
        const unsigned mask = param_inputs(node->op, &decay);
        for (uint32_t j = 0; !st && j < node->n_inputs && j < 8; j++) {
            const uint32_t in = node->inputs[j];
            if (in == (uint32_t)MIEN__NO_VALUE || !g->values[in].data || g->values[in].dtype != MIEN__F32)
                continue;
            const bool buffer = node->op == MIEN__OP_BatchNorm && j >= 3;
            if (!(mask >> j & 1) && !buffer)
                continue;
            st = add_param(n, in, (decay >> j & 1) != 0, buffer, err);
            has[i] = has[i] || !buffer;
        }
        with_params += has[i];
    }
    for (uint32_t i = 0; !st && n->o.last > 0 && i < g->n_nodes; i++) {
        if (!has[i])
            continue;
        const bool frozen = at++ < with_params - n->o.last;
        for (uint32_t j = 0; j < g->nodes[i].n_inputs; j++) {
            const uint32_t in = g->nodes[i].inputs[j];
            if (in != (uint32_t)MIEN__NO_VALUE && n->v[in].param != MIEN__T_NONE)
                n->params[n->v[in].param].trainable = !frozen;
        }
    }
    return st;
}

/* ---- shapes ---- */

static mien_status set_input(mien__net *n, mien_error *err)
{
    if (n->g->n_inputs != 1)
        return mien__fail(err, MIEN_E_UNSUPPORTED, "training needs a network of one input, this one has %u",
                          (unsigned)n->g->n_inputs);
    const mien__value *in = &n->g->values[n->g->inputs[0]];
    mien__tensor *t = &n->v[n->g->inputs[0]].t;
    if (in->rank != 4)
        return mien__fail(err, MIEN_E_MODEL_SHAPE, "input '%.80s' is no batch of pictures", in->name);
    *t = (mien__tensor){ .dtype = MIEN__F32, .rank = 4 };
    const int64_t free_dims[4] = { n->o.batch, in->dims[1], n->o.height, n->o.width };
    for (int d = 0; d < 4; d++)
        t->dims[d] = d > 0 && in->dims[d] > 0 ? in->dims[d] : free_dims[d];
    n->g->values[n->g->inputs[0]].dims[0] = -1;
    return mien__elems(4, t->dims) > 0 ? MIEN_OK
                                       : mien__fail(err, MIEN_E_MODEL_SHAPE, "the input's size is not known");
}

static mien_status infer_node(mien__net *n, const mien__node *node, const mien__tensor **in,
                              mien__tensor *out, mien_error *err)
{
    const mien__op_def *def = mien__op_def_of(node->op);
    bool known = node->op != MIEN__OP_Conv && node->op != MIEN__OP_Gemm && node->op != MIEN__OP_MatMul;
    memset(in, 0, (node->n_inputs + EXTRA_INPUTS) * sizeof *in);
    memset(out, 0, node->n_outputs * sizeof *out);
    for (uint32_t i = 0; i < node->n_inputs; i++)
        if (node->inputs[i] != (uint32_t)MIEN__NO_VALUE) {
            in[i] = &n->v[node->inputs[i]].t;
            known = known && (in[i]->data || node->op == MIEN__OP_Shape);
        }
    const mien_status st = def->infer(node, in, out, err);
    for (uint32_t i = 0; !st && i < node->n_outputs; i++) {
        if (known && mien__elems(out[i].rank, out[i].dims) > FOLD_MAX_ELEMS)
            known = false;
        if (known && !(out[i].data = mien__arena_alloc_array(
                           n->meta, (size_t)mien__elems(out[i].rank, out[i].dims) + 1, sizeof(int64_t))))
            return mien__nomem(err, sizeof(int64_t));
    }
    if (!st && known)
        def->forward(node, in, out);
    for (uint32_t i = 0; !st && i < node->n_outputs; i++) {
        if (!known)
            out[i].data = NULL;
        n->v[node->outputs[i]].t = out[i];
    }
    return st;
}

static mien_status infer_all(mien__net *n, mien_error *err)
{
    const mien__graph *g = n->g;
    uint32_t edges = 1;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        edges = g->nodes[i].n_inputs > edges ? g->nodes[i].n_inputs : edges;
        edges = g->nodes[i].n_outputs > edges ? g->nodes[i].n_outputs : edges;
    }
    const mien__tensor **in = mien__arena_alloc_array(n->meta, edges + (size_t)EXTRA_INPUTS, sizeof *in);
    mien__tensor *out = mien__arena_alloc_array(n->meta, edges, sizeof *out);
    if (!in || !out)
        return mien__nomem(err, edges * sizeof *out);
    mien_status st = set_input(n, err);
    for (uint32_t i = 0; !st && i < g->n_nodes; i++)
        st = infer_node(n, &g->nodes[i], in, out, err);
    return st;
}

static void count_uses(mien__net *n)
{
    for (uint32_t i = 0; i < n->g->n_nodes; i++) {
        const mien__node *node = &n->g->nodes[i];
        for (uint32_t j = 0; j < node->n_outputs; j++)
            n->v[node->outputs[j]].producer = i;
        for (uint32_t j = 0; j < node->n_inputs; j++)
            if (node->inputs[j] != (uint32_t)MIEN__NO_VALUE) {
                n->v[node->inputs[j]].uses++;
                n->v[node->inputs[j]].only_user = i;
            }
    }
}

static mien_status open_values(mien__net *n, mien_error *err)
{
    n->v = mien__arena_alloc_array(n->meta, n->g->n_values + (size_t)1, sizeof *n->v);
    n->done = mien__arena_alloc_array(n->meta, n->g->n_nodes + (size_t)1, sizeof *n->done);
    if (!n->v || !n->done)
        return mien__nomem(err, n->g->n_values * sizeof *n->v);
    for (uint32_t i = 0; i < n->g->n_values; i++) {
        mien__tvalue *v = &n->v[i];
        const mien__value *from = &n->g->values[i];
        v->slot[0] = v->slot[1] = v->tap_slot = v->param = v->buffer = v->only_user = v->producer =
            MIEN__T_NONE;
        if (!from->data)
            continue;
        v->t = (mien__tensor){ .dtype = from->dtype, .rank = from->rank };
        memcpy(v->t.dims, from->dims, sizeof v->t.dims);
        v->t.data = (void *)(uintptr_t)from->data; /* the graph's copy, ours to write */
    }
    return MIEN_OK;
}

/* ---- taps ---- */

static mien_status find_taps(mien__net *n, mien_error *err)
{
    n->n_taps = n->g->n_outputs + n->o.n_taps;
    n->taps = mien__arena_alloc_array(n->meta, n->n_taps + 1, sizeof *n->taps);
    n->tap_slots = mien__arena_alloc_array(n->meta, n->n_taps + 1, sizeof *n->tap_slots);
    if (!n->taps || !n->tap_slots)
        return mien__nomem(err, n->n_taps * sizeof *n->taps);
    for (size_t i = 0; i < n->n_taps; i++) {
        uint32_t at = 0;
        if (i < n->g->n_outputs)
            at = n->g->outputs[i];
        else
            while (at < n->g->n_values && strcmp(n->g->values[at].name, n->o.taps[i - n->g->n_outputs]) != 0)
                at++;
        if (at >= n->g->n_values || n->v[at].producer == MIEN__T_NONE)
            return mien__fail(err, MIEN_E_NOT_FOUND, "the network has no value '%.80s'",
                              n->o.taps[i - n->g->n_outputs]);
        n->v[at].is_tap = true;
        if (n->o.forced && i >= n->g->n_outputs)
            n->v[at].forced = 1 + i - n->g->n_outputs;
        n->tap_slots[i] = at; /* the value for now */
    }
    return MIEN_OK;
}

mien_status mien__tnet_open(mien__net *n, mien_error *err)
{
    mien_status st = open_values(n, err);
    if (st || (st = find_params(n, err)) || (st = infer_all(n, err)))
        return st;
    count_uses(n);
    return find_taps(n, err);
}
