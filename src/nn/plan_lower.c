/* Lowering: views, re-orders between layouts, and references for whatever has no fast kernel. */
#include "nn/plan.h"
#include <string.h>

const float *mien__plan_const_f32(const mien__planner *p, uint32_t v)
{
    return v != (uint32_t)MIEN__NO_VALUE && p->v[v].t.dtype == MIEN__F32 ? p->v[v].t.data : NULL;
}

/* ---- layouts ---- */

static void run_to_blocked(const mien__step *s, mien__pool *pool)
{
    s->k->to_blocked(s->u.e.n, s->u.e.c, s->u.e.hw, s->src[0]->data, s->dst->data, pool);
}

static void run_to_plain(const mien__step *s, mien__pool *pool)
{
    s->k->to_plain(s->u.e.n, s->u.e.c, s->u.e.hw, s->src[0]->data, s->dst->data, pool);
}

/* Do both layouts hold the same bytes? One pixel per channel, whole blocks (or one picture, when only read
 * as plain). */
static bool same_bytes(const mien__planner *p, const mien__tensor *t, int to)
{
    return t->dims[2] * t->dims[3] == 1 &&
           (t->dims[1] % p->k->block == 0 || (to == MIEN__PLAIN && t->dims[0] == 1));
}

mien_status mien__plan_need(mien__planner *p, uint32_t v, int layout, uint32_t *ret)
{
    mien__pvalue *x = &p->v[v];
    mien_status st = MIEN_OK;
    if (x->slot[layout] != MIEN__NO_SLOT) {
        *ret = x->slot[layout];
        return MIEN_OK;
    }
    if (x->pending_affine != MIEN__NO_NODE) {
        st = mien__plan_lower_pending_affine(p, v);
        return st ? st : mien__plan_need(p, v, layout, ret);
    }
    if (x->part_of != (uint32_t)MIEN__NO_VALUE && x->slot[MIEN__PLAIN] == MIEN__NO_SLOT) {
        st = mien__plan_lower_part(p, v);
        return st ? st : mien__plan_need(p, v, layout, ret);
    }
    if (x->t.data && x->slot[MIEN__PLAIN] == MIEN__NO_SLOT) {
        st = mien__plan_slot(p, v, MIEN__PLAIN, ret); /* a constant: the slot points at it */
        if (st || layout == MIEN__PLAIN)
            return st;
    }
    const int have = layout == MIEN__PLAIN ? MIEN__BLOCKED : MIEN__PLAIN;
    const uint32_t from = x->slot[have];
    mien_assert(from != MIEN__NO_SLOT);
    if (same_bytes(p, &x->t, layout))
        return mien__plan_view(p, v, layout, from, 0, ret);
    mien__step *s = NULL;
    if ((st = mien__plan_slot(p, v, layout, ret)) ||
        (st = mien__plan_step(p, NULL, layout == MIEN__PLAIN ? run_to_plain : run_to_blocked, 1, 1, &s)))
        return st;
    s->in[0] = from;
    s->out[0] = *ret;
    s->u.e.n = (int)x->t.dims[0];
    s->u.e.c = (int)x->t.dims[1];
    s->u.e.hw = (int)(x->t.dims[2] * x->t.dims[3]);
    s->kernel = mien__plan_kernel_name(p, layout == MIEN__PLAIN ? "to_plain" : "to_blocked");
    return s->kernel ? MIEN_OK : mien__nomem(p->err, 64);
}

/* ---- references ---- */

static void run_reference(const mien__step *s, mien__pool *pool)
{
    (void)pool;
    mien__op_def_of(s->node->op)->forward(s->node, s->src, s->dst);
}

static double count_mmac(const mien__planner *p, const mien__node *n)
{
    const mien__tensor *out = &p->v[n->outputs[0]].t, *w = n->n_inputs > 1 ? &p->v[n->inputs[1]].t : NULL;
    double per = 0.0;
    if (n->op == MIEN__OP_Conv)
        per = (double)(w->dims[1] * w->dims[2] * w->dims[3]);
    else if (n->op == MIEN__OP_Gemm || n->op == MIEN__OP_MatMul)
        per = (double)p->v[n->inputs[0]].t.dims[p->v[n->inputs[0]].t.rank - 1];
    return per * (double)mien__elems(out->rank, out->dims) * 1e-6;
}

static mien_status lower_reference(mien__planner *p, const mien__node *n)
{
    mien__step *s = NULL;
    mien_status st = MIEN_OK;
    for (uint32_t i = 0; i < n->n_inputs; i++) { /* re-orders come before the step itself */
        uint32_t slot = 0;
        if (n->inputs[i] != (uint32_t)MIEN__NO_VALUE &&
            (st = mien__plan_need(p, n->inputs[i], MIEN__PLAIN, &slot)))
            return st;
    }
    if ((st = mien__plan_step(p, n, run_reference, n->n_inputs, n->n_outputs, &s)))
        return st;
    for (uint32_t i = 0; i < n->n_inputs; i++)
        s->in[i] =
            n->inputs[i] == (uint32_t)MIEN__NO_VALUE ? MIEN__NO_SLOT : p->v[n->inputs[i]].slot[MIEN__PLAIN];
    for (uint32_t i = 0; i < n->n_outputs; i++)
        if ((st = mien__plan_slot(p, n->outputs[i], MIEN__PLAIN, &s->out[i])))
            return st;
    s->mmac = count_mmac(p, n);
    return MIEN_OK;
}

/* Reshape and its kin change no bytes of a plain tensor; Identity none of any. */
static mien_status lower_view(mien__planner *p, const mien__node *n)
{
    uint32_t slot = 0, view = 0;
    mien_status st = MIEN_OK;
    const uint32_t from = n->inputs[0];
    if (n->op == MIEN__OP_Identity && p->v[from].slot[MIEN__BLOCKED] != MIEN__NO_SLOT)
        return mien__plan_view(p, n->outputs[0], MIEN__BLOCKED, p->v[from].slot[MIEN__BLOCKED], 0, &view);
    if ((st = mien__plan_need(p, from, MIEN__PLAIN, &slot)))
        return st;
    return mien__plan_view(p, n->outputs[0], MIEN__PLAIN, slot, 0, &view);
}

mien_status mien__plan_lower(mien__planner *p, uint32_t node)
{
    const mien__node *n = &p->g->nodes[node];
    bool taken = false;
    p->done[node] = true;
    switch (n->op) {
    case MIEN__OP_Reshape:
    case MIEN__OP_Flatten:
    case MIEN__OP_Squeeze:
    case MIEN__OP_Unsqueeze:
    case MIEN__OP_Identity:
        return lower_view(p, n);
    default:
        break;
    }
    if (p->k) {
        const mien_status st = mien__plan_lower_fast(p, node, &taken);
        if (st || taken)
            return st;
    }
    return lower_reference(p, n);
}
