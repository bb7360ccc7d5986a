/* Planning and running a trainable network.
 *
 * Planning: copy the graph; find its parameters; infer every shape for the batch and compute what is known
 * already; give each node a step, fast or by reference; then walk the steps backwards once to learn which
 * gradients are wanted, which contribution comes first (it overwrites) and which come later (they add), and
 * to share gradient memory between values that are not alive together. A value's forward data is kept until
 * the pass back has used it.
 */
#include "nn/ops/op_util.h"
#include "train/net_plan.h"
#include <string.h>

#define META_MAX ((size_t)1 << 30)
#define FOLD_MAX_ELEMS ((int64_t)1 << 16)
enum { EXTRA_INPUTS = 8 };

/* ---- memory ---- */

mien_status mien__tnet_block(mien__net *n, size_t floats, float **ret, mien_error *err)
{
    if (n->n_blocks == n->cap_blocks) {
        const size_t cap = n->cap_blocks ? n->cap_blocks * 2 : 256;
        void *grown = mien_grow_array(n->blocks, n->n_blocks, cap, sizeof *n->blocks);
        if (!grown)
            return mien__nomem(err, cap * sizeof *n->blocks);
        n->blocks = grown;
        n->cap_blocks = cap;
    }
    void *p = mien_alloc_array_zero(floats + 16, sizeof(float));
    if (!p)
        return mien__nomem(err, floats * sizeof(float));
    n->blocks[n->n_blocks++] = p;
    *ret = p;
    return MIEN_OK;
}

static bool reserve(mien__arena *a, void **items, uint32_t n, uint32_t *cap, size_t item_bytes)
{
    if (n < *cap)
        return true;
    const uint32_t wanted = *cap ? *cap * 2 : 128;
    void *grown = mien__arena_alloc_array(a, wanted, item_bytes);
    if (!grown)
        return false;
    if (n)
        memcpy(grown, *items, n * item_bytes);
    *items = grown;
    *cap = wanted;
    return true;
}

size_t mien__tnet_floats(const mien__net *n, const mien__tensor *t, int layout)
{
    if (layout == MIEN__T_PLAIN) {
        const int64_t elems = mien__elems(t->rank, t->dims);
        return elems > 0 ? (size_t)elems * (t->dtype == MIEN__I64 ? 2 : 1) : 1;
    }
    if (!n->k || t->rank != 4 || t->dtype != MIEN__F32)
        return 0;
    const int64_t b = n->k->block;
    const int64_t dims[4] = { t->dims[0], (t->dims[1] + b - 1) / b * b, t->dims[2], t->dims[3] };
    const int64_t elems = mien__elems(4, dims);
    return elems > 0 && elems <= INT32_MAX ? (size_t)elems : 0;
}

/* ---- slots and steps ---- */

mien_status mien__tnet_slot(mien__net *n, uint32_t value, int layout, uint32_t *ret, mien_error *err)
{
    void *items = n->slots;
    if (!reserve(n->meta, &items, n->n_slots, &n->cap_slots, sizeof *n->slots))
        return mien__nomem(err, sizeof *n->slots);
    n->slots = items;
    mien__tslot *s = &n->slots[n->n_slots];
    *s = (mien__tslot){ .value = value, .layout = layout };
    s->floats = mien__tnet_floats(n, &n->v[value].t, layout);
    if (n->v[value].t.data && layout == MIEN__T_PLAIN)
        s->data = n->v[value].t.data;
    else {
        const mien_status st = mien__tnet_block(n, s->floats, &s->data, err);
        if (st)
            return st;
    }
    n->v[value].slot[layout] = n->n_slots;
    *ret = n->n_slots++;
    return MIEN_OK;
}

mien_status mien__tnet_step(mien__net *n, const mien__node *node, uint32_t n_in, uint32_t n_out,
                            mien__tstep **ret, mien_error *err)
{
    void *items = n->steps;
    if (!reserve(n->meta, &items, n->n_steps, &n->cap_steps, sizeof *n->steps))
        return mien__nomem(err, sizeof *n->steps);
    n->steps = items;
    mien__tstep *s = &n->steps[n->n_steps];
    *s = (mien__tstep){ .node = node, .n_in = n_in, .n_out = n_out };
    s->op = node ? mien__op_name(node->op) : "Reorder";
    s->kernel = "reference";
    s->in = mien__arena_alloc_array(n->meta, n_in + 1, sizeof *s->in);
    s->out = mien__arena_alloc_array(n->meta, n_out + 1, sizeof *s->out);
    s->add = mien__arena_alloc_array(n->meta, n_in + 1, sizeof *s->add);
    if (!s->in || !s->out || !s->add)
        return mien__nomem(err, sizeof *s);
    for (uint32_t i = 0; i < n_in; i++)
        s->in[i] = MIEN__T_NONE;
    for (int i = 0; i < MIEN__T_MAX_PARAMS; i++)
        s->param[i] = MIEN__T_NONE;
    n->n_steps++;
    *ret = s;
    return MIEN_OK;
}

uint32_t mien__tnet_sole_user(const mien__net *n, uint32_t value)
{
    const mien__tvalue *v = &n->v[value];
    return v->uses == 1 && !v->is_tap ? v->only_user : MIEN__T_NONE;
}

static void copy_layout(mien__net *n, const mien__tensor *t, int from, const float *src, float *dst)
{
    const int hw = (int)(t->dims[2] * t->dims[3]);
    if (from == MIEN__T_PLAIN)
        n->k->to_blocked((int)t->dims[0], (int)t->dims[1], hw, src, dst, n->pool);
    else
        n->k->to_plain((int)t->dims[0], (int)t->dims[1], hw, src, dst, n->pool);
}

static void reorder_forward(mien__net *n, mien__tstep *s)
{
    const mien__tslot *a = &n->slots[s->in[0]], *b = &n->slots[s->out[0]];
    copy_layout(n, &n->v[a->value].t, a->layout, a->data, b->data);
}

static void reorder_backward(mien__net *n, mien__tstep *s)
{
    const mien__tslot *a = &n->slots[s->in[0]], *b = &n->slots[s->out[0]];
    float *const to = s->add[0] ? n->scratch : a->grad;
    copy_layout(n, &n->v[a->value].t, b->layout, b->grad, to);
    if (s->add[0])
        n->tk->accumulate(a->floats, to, a->grad, n->pool);
}

mien_status mien__tnet_need(mien__net *n, uint32_t value, int layout, uint32_t *ret, mien_error *err)
{
    uint32_t *slots = n->v[value].slot;
    mien_status st = MIEN_OK;
    if (slots[layout] == MIEN__T_NONE && n->v[value].t.data && layout == MIEN__T_PLAIN)
        return mien__tnet_slot(n, value, layout, ret, err);
    if (slots[layout] != MIEN__T_NONE) {
        *ret = slots[layout];
        return MIEN_OK;
    }
    const uint32_t from = slots[MIEN__T_LAYOUTS - 1 - layout];
    mien__tstep *s = NULL;
    mien_assert(from != MIEN__T_NONE);
    if ((st = mien__tnet_slot(n, value, layout, ret, err)) || (st = mien__tnet_step(n, NULL, 1, 1, &s, err)))
        return st;
    s->in[0] = from;
    s->out[0] = *ret;
    s->forward = reorder_forward;
    s->backward = reorder_backward;
    s->kernel = n->k->name;
    s->scratch_bytes = n->slots[from].floats * sizeof(float);
    return MIEN_OK;
}

/* ---- parameters ---- */

float *mien__tnet_param_grad(mien__net *n, const mien__tstep *s, int i)
{
    if (s->param[i] == MIEN__T_NONE || !n->params[s->param[i]].trainable)
        return NULL;
    return s->param_add[i] ? n->param_scratch + (size_t)i * n->largest_param : n->params[s->param[i]].grad;
}

void mien__tnet_param_done(mien__net *n, const mien__tstep *s, int i)
{
    if (s->param[i] == MIEN__T_NONE || !s->param_add[i])
        return;
    const mien__param *p = &n->params[s->param[i]];
    const float *made = n->param_scratch + (size_t)i * n->largest_param;
    for (size_t j = 0; p->trainable && j < p->count; j++)
        p->grad[j] += made[j];
}

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

static mien_status make_taps(mien__net *n, mien_error *err)
{
    for (size_t i = 0; i < n->n_taps; i++) {
        const uint32_t value = n->tap_slots[i];
        n->tap_slots[i] = n->v[value].tap_slot;
        const mien_status st = n->tap_slots[i] != MIEN__T_NONE
                                   ? MIEN_OK
                                   : mien__tnet_need(n, value, MIEN__T_PLAIN, &n->tap_slots[i], err);
        if (st)
            return st;
        mien__tslot *s = &n->slots[n->tap_slots[i]];
        if (!s->grad && mien__tnet_block(n, s->floats, &s->grad, err))
            return MIEN_E_NOMEM;
        s->seeded = s->written = true;
        mien__net_tap *t = &n->taps[i];
        *t = (mien__net_tap){
            n->g->values[value].name, s->data, s->grad, n->v[value].t.rank, { 0 }, s->floats
        };
        memcpy(t->dims, n->v[value].t.dims, sizeof t->dims);
    }
    return MIEN_OK;
}

/* What follows a forced tap: the network's own value, or one from outside. */
static void force_forward(mien__net *n, mien__tstep *s)
{
    const mien__tslot *own = &n->slots[s->in[0]], *out = &n->slots[s->out[0]];
    if (!n->force)
        memcpy(out->data, own->data, own->floats * sizeof *own->data);
    else if (own->layout == MIEN__T_BLOCKED)
        copy_layout(n, &n->v[own->value].t, MIEN__T_PLAIN, n->force[s->u.tap], out->data);
    else
        memcpy(out->data, n->force[s->u.tap], own->floats * sizeof *own->data);
}

static void force_backward(mien__net *n, mien__tstep *s)
{
    const mien__tslot *own = &n->slots[s->in[0]], *out = &n->slots[s->out[0]];
    for (size_t i = 0; n->force && !s->add[0] && i < own->floats; i++)
        own->grad[i] = 0.0f;
    if (!n->force && s->add[0])
        for (size_t i = 0; i < own->floats; i++)
            own->grad[i] += out->grad[i];
    else if (!n->force)
        memcpy(own->grad, out->grad, own->floats * sizeof *own->grad);
}

/* Put that step behind a value that has just been made. */
static mien_status make_forced(mien__net *n, uint32_t value, mien_error *err)
{
    mien__tvalue *v = &n->v[value];
    const int layout = v->slot[MIEN__T_BLOCKED] != MIEN__T_NONE ? MIEN__T_BLOCKED : MIEN__T_PLAIN;
    const uint32_t own = v->slot[layout];
    uint32_t out = 0;
    mien__tstep *s = NULL;
    mien_status st = mien__tnet_need(n, value, MIEN__T_PLAIN, &v->tap_slot, err);
    if (st || (st = mien__tnet_slot(n, value, layout, &out, err)) ||
        (st = mien__tnet_step(n, NULL, 1, 1, &s, err)))
        return st;
    v->slot[MIEN__T_LAYOUTS - 1 - layout] = MIEN__T_NONE;
    s->in[0] = own;
    s->out[0] = out;
    s->op = "Tap";
    s->u.tap = v->forced - 1;
    s->forward = force_forward;
    s->backward = force_backward;
    return MIEN_OK;
}

static mien_status force_outputs(mien__net *n, const mien__node *node, mien_error *err)
{
    mien_status st = MIEN_OK;
    for (uint32_t j = 0; !st && j < node->n_outputs; j++)
        if (n->v[node->outputs[j]].forced)
            st = make_forced(n, node->outputs[j], err);
    return st;
}

/* ---- the way back ---- */

/* Which slots need gradients: those behind which a trained parameter lies. */
static void mark_wanted(mien__net *n)
{
    for (uint32_t i = 0; i < n->n_steps; i++) {
        mien__tstep *s = &n->steps[i];
        bool wants = false;
        for (uint32_t j = 0; j < s->n_in; j++)
            wants = wants || (s->in[j] != MIEN__T_NONE && n->slots[s->in[j]].wants_grad);
        for (int j = 0; j < MIEN__T_MAX_PARAMS; j++)
            wants = wants || (s->param[j] != MIEN__T_NONE && n->params[s->param[j]].trainable);
        for (uint32_t j = 0; s->in_param && j < s->n_in; j++)
            wants = wants || (s->in_param[j] != MIEN__T_NONE && n->params[s->in_param[j]].trainable);
        for (uint32_t j = 0; j < s->n_out; j++)
            n->slots[s->out[j]].wants_grad = wants;
    }
}

/* Memory that gradients take turns in. */
typedef struct lease {
    float *data;
    size_t floats;
    bool taken;
} lease;

static mien_status lease_take(mien__net *n, lease *l, size_t *count, size_t floats, float **ret,
                              mien_error *err)
{
    lease *best = NULL;
    for (size_t i = 0; i < *count; i++)
        if (!l[i].taken && l[i].floats >= floats && (!best || l[i].floats < best->floats))
            best = &l[i];
    if (!best || best->floats > 4 * floats) {
        best = &l[(*count)++];
        best->floats = floats;
        const mien_status st = mien__tnet_block(n, floats, &best->data, err);
        if (st)
            return st;
    }
    best->taken = true;
    *ret = best->data;
    return MIEN_OK;
}

static void lease_give(lease *l, size_t count, const float *data)
{
    for (size_t i = 0; i < count; i++)
        if (l[i].data == data)
            l[i].taken = false;
}

static mien_status plan_step_back(mien__net *n, mien__tstep *s, bool *param_written, lease *l, size_t *count,
                                  mien_error *err)
{
    bool flows = false;
    for (uint32_t j = 0; j < s->n_out; j++)
        flows = flows || (n->slots[s->out[j]].written && n->slots[s->out[j]].wants_grad);
    s->skip_backward = !flows;
    if (!flows)
        return MIEN_OK;
    if (!s->backward)
        return mien__fail(err, MIEN_E_MODEL_OP, "node '%.80s' (%s) has no gradient",
                          s->node ? s->node->name : "", s->op);
    for (uint32_t j = 0; j < s->n_in; j++) {
        mien__tslot *in = s->in[j] == MIEN__T_NONE ? NULL : &n->slots[s->in[j]];
        if (!in || !in->wants_grad)
            continue;
        s->add[j] = in->written;
        if (!in->written && lease_take(n, l, count, in->floats, &in->grad, err))
            return MIEN_E_NOMEM;
        in->written = true;
    }
    for (int j = 0; j < MIEN__T_MAX_PARAMS; j++)
        if (s->param[j] != MIEN__T_NONE) {
            s->param_add[j] = param_written[s->param[j]];
            param_written[s->param[j]] = true;
        }
    for (uint32_t j = 0; s->in_param && j < s->n_in; j++)
        if (s->in_param[j] != MIEN__T_NONE) {
            s->in_param_add[j] = param_written[s->in_param[j]];
            param_written[s->in_param[j]] = true;
        }
    for (uint32_t j = 0; j < s->n_out; j++)
        if (!n->slots[s->out[j]].seeded)
            lease_give(l, *count, n->slots[s->out[j]].grad);
    return MIEN_OK;
}

static mien_status plan_backward(mien__net *n, mien_error *err)
{
    bool *written = mien__arena_alloc_array(n->meta, n->n_params + 1, sizeof *written);
    lease *l = mien__arena_alloc_array(n->meta, n->n_slots + (size_t)1, sizeof *l);
    size_t count = 0, scratch = 0;
    if (!written || !l)
        return mien__nomem(err, n->n_slots * sizeof *l);
    mark_wanted(n);
    mien_status st = make_taps(n, err);
    for (uint32_t i = n->n_steps; !st && i-- > 0;)
        st = plan_step_back(n, &n->steps[i], written, l, &count, err);
    if (st)
        return st;
    for (size_t i = 0; i < n->n_params; i++) {
        if (!written[i])
            n->params[i].trainable = false; /* no gradient ever reaches it */
        n->largest_param = n->params[i].count > n->largest_param ? n->params[i].count : n->largest_param;
    }
    for (uint32_t i = 0; i < n->n_steps; i++)
        scratch = n->steps[i].scratch_bytes > scratch ? n->steps[i].scratch_bytes : scratch;
    float *block = NULL;
    if ((st = mien__tnet_block(n, scratch / sizeof(float) + 16, &block, err)))
        return st;
    n->scratch = block;
    return mien__tnet_block(n, n->largest_param * MIEN__T_MAX_PARAMS, &n->param_scratch, err);
}

/* ---- making one ---- */

static mien_status make_steps(mien__net *n, mien_error *err)
{
    mien_status st = mien__tnet_slot(n, n->g->inputs[0], MIEN__T_PLAIN, &n->input_slot, err);
    for (uint32_t i = 0; !st && i < n->g->n_nodes; i++) {
        bool taken = n->done[i], known = true;
        for (uint32_t j = 0; j < n->g->nodes[i].n_outputs; j++)
            known = known && n->v[n->g->nodes[i].outputs[j]].t.data;
        if (taken) /* part of an earlier step */
            st = force_outputs(n, &n->g->nodes[i], err);
        if (taken || known)
            continue;
        if (n->tk && (st = mien__tnet_fast(n, i, &taken, err)))
            return st;
        if (!taken)
            st = mien__tnet_reference(n, i, err);
        if (!st)
            st = force_outputs(n, &n->g->nodes[i], err);
    }
    for (size_t i = 0; !st && i < n->n_taps; i++) { /* changes of layout belong to the forward pass */
        uint32_t slot = 0;
        if (n->v[n->tap_slots[i]].tap_slot == MIEN__T_NONE)
            st = mien__tnet_need(n, n->tap_slots[i], MIEN__T_PLAIN, &slot, err);
    }
    return st;
}

mien_status mien__net_new(const mien__graph *g, const mien__net_opts *o, mien__net **ret, mien_error *err)
{
    mien_status st = MIEN_OK;
    mien__net *n = mien_alloc_zero(sizeof *n);
    if (!n)
        return mien__nomem(err, sizeof *n);
    n->o = *o;
    n->changed = true;
    n->tk = mien__train_kernels_get();
    n->k = n->tk ? mien__kernels_get() : NULL;
    n->meta = mien__arena_new(META_MAX);
    if (!n->meta) {
        st = mien__nomem(err, sizeof *n);
        goto done;
    }
    if ((st = mien__pool_new(&n->pool, o->threads, err)))
        goto done;
    n->o.threads = mien__pool_threads(n->pool); /* plans hold scratch per worker: 0 is not a number of them */
    if ((st = mien__graph_copy(g, &n->g, err)) || (st = mien__graph_check(n->g, err)) ||
        (st = open_values(n, err)) || (st = find_params(n, err)) || (st = infer_all(n, err)))
        goto done;
    count_uses(n);
    if ((st = find_taps(n, err)) || (st = make_steps(n, err)) || (st = plan_backward(n, err)))
        goto done;
    n->o.taps = NULL; /* lent for this call only */
    *ret = n;
    n = NULL;
done:
    mien__net_free(n);
    return st;
}

void mien__net_free(mien__net *n)
{
    if (!n)
        return;
    for (size_t i = 0; i < n->n_blocks; i++)
        mien_free(n->blocks[i]);
    mien_free(n->blocks);
    mien__graph_free(n->g);
    mien__arena_free(n->meta);
    mien__pool_free(n->pool);
    mien_free(n);
}

/* ---- running ---- */

void mien__net_forward(mien__net *n)
{
    for (uint32_t i = 0; i < n->n_steps; i++) {
        const double start = n->timing ? mien__now_ms() : 0.0;
        n->steps[i].forward(n, &n->steps[i]);
        if (n->timing)
            n->steps[i].forward_ms = mien__now_ms() - start;
    }
    n->changed = false;
}

void mien__net_backward(mien__net *n)
{
    for (uint32_t i = n->n_steps; i-- > 0;) {
        if (n->steps[i].skip_backward)
            continue;
        const double start = n->timing ? mien__now_ms() : 0.0;
        n->steps[i].backward(n, &n->steps[i]);
        if (n->timing)
            n->steps[i].backward_ms = mien__now_ms() - start;
    }
}

float *mien__net_input(mien__net *n, size_t *ret_count)
{
    if (ret_count)
        *ret_count = n->slots[n->input_slot].floats;
    return n->slots[n->input_slot].data;
}

size_t mien__net_n_taps(const mien__net *n)
{
    return n->n_taps;
}

const mien__net_tap *mien__net_tap_at(const mien__net *n, size_t i)
{
    return i < n->n_taps ? &n->taps[i] : NULL;
}

mien__param *mien__net_params(mien__net *n, size_t *ret_n)
{
    *ret_n = n->n_params;
    return n->params;
}

const mien__param *mien__net_buffers(const mien__net *n, size_t *ret_n)
{
    *ret_n = n->n_buffers;
    return n->buffers;
}

mien__pool *mien__net_pool(mien__net *n)
{
    return n->pool;
}

void mien__net_force(mien__net *n, const float *const *values)
{
    mien_assert(!values || n->o.forced);
    n->force = values;
}

void mien__net_changed(mien__net *n)
{
    n->changed = true;
}

void mien__net_time(mien__net *n, bool on)
{
    n->timing = on;
}

bool mien__net_step_at(const mien__net *n, size_t i, mien__net_step_info *ret)
{
    if (i >= n->n_steps)
        return false;
    const mien__tstep *s = &n->steps[i];
    *ret = (mien__net_step_info){ s->node ? s->node->name : "", s->op, s->kernel, s->forward_ms,
                                  s->backward_ms };
    return true;
}
