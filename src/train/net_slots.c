/* Slots and steps of a trainable network: memory, changes of layout, where gradients of parameters go. */
#include "train/net_plan.h"
#include <string.h>

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

void mien__tnet_copy_layout(mien__net *n, const mien__tensor *t, int from, const float *src, float *dst)
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
    mien__tnet_copy_layout(n, &n->v[a->value].t, a->layout, a->data, b->data);
}

static void reorder_backward(mien__net *n, mien__tstep *s)
{
    const mien__tslot *a = &n->slots[s->in[0]], *b = &n->slots[s->out[0]];
    float *const to = s->add[0] ? n->scratch : a->grad;
    mien__tnet_copy_layout(n, &n->v[a->value].t, b->layout, b->grad, to);
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

/* ---- gradients of parameters ---- */

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
