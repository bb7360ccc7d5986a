/* Lowering of what only moves data: Concat, Split and Transpose of blocked tensors. */
#include "nn/plan.h"
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"
#include <string.h>

/* Channels of whole blocks lie one after the other: pieces are copied whole. */
static void run_concat_blocked(const mien__step *s, mien__pool *pool)
{
    const int64_t b = s->k->block, hw = s->dst->dims[2] * s->dst->dims[3];
    float *d = s->dst->data;
    (void)pool;
    for (int64_t n = 0; n < s->dst->dims[0]; n++)
        for (uint32_t i = 0; i < s->n_in; i++) {
            const size_t piece = (size_t)((s->src[i]->dims[1] + b - 1) / b * b * hw);
            memcpy(d, (const float *)s->src[i]->data + (size_t)n * piece, piece * sizeof *d);
            d += piece;
        }
}

mien_status mien__plan_lower_concat(mien__planner *p, const mien__node *n, bool *ret_taken)
{
    int axis = 0;
    bool any = false;
    uint32_t slot = 0;
    mien__step *s = NULL;
    mien_status st = MIEN_OK;
    const mien__tensor *y = &p->v[n->outputs[0]].t;
    if (!mien__plan_blockable(p, n->outputs[0]) ||
        mien__op_axis(n, mien__node_int(n, MIEN__ATTR_AXIS, 0), y->rank, &axis, NULL) || axis != 1)
        return MIEN_OK;
    for (uint32_t i = 0; i < n->n_inputs; i++) {
        any = any || mien__plan_has_blocked(p, n->inputs[i]);
        if (!mien__plan_blockable(p, n->inputs[i]) ||
            (i + 1 < n->n_inputs && p->v[n->inputs[i]].t.dims[1] % p->k->block))
            return MIEN_OK;
    }
    if (!any)
        return MIEN_OK;
    *ret_taken = true;
    for (uint32_t i = 0; i < n->n_inputs; i++)
        if ((st = mien__plan_need(p, n->inputs[i], MIEN__BLOCKED, &slot)))
            return st;
    if ((st = mien__plan_slot(p, n->outputs[0], MIEN__BLOCKED, &slot)) ||
        (st = mien__plan_step(p, n, run_concat_blocked, n->n_inputs, 1, &s)))
        return st;
    for (uint32_t i = 0; i < n->n_inputs; i++)
        s->in[i] = p->v[n->inputs[i]].slot[MIEN__BLOCKED];
    s->out[0] = slot;
    s->kernel = "copy";
    return MIEN_OK;
}

/* Split of channels: nothing moves. Of one picture at whole blocks, the parts are views; else whoever reads a
 * part takes its channels out of the whole. */
mien_status mien__plan_lower_split(mien__planner *p, const mien__node *n, bool *ret_taken)
{
    int axis = 0, from = 0;
    const mien__tensor *x = &p->v[n->inputs[0]].t;
    size_t at = 0;
    bool whole = x->dims[0] == 1;
    if (!mien__plan_has_blocked(p, n->inputs[0]) ||
        mien__op_axis(n, mien__node_int(n, MIEN__ATTR_AXIS, 0), x->rank, &axis, NULL) || axis != 1)
        return MIEN_OK;
    for (uint32_t i = 0; i < n->n_outputs; i++) {
        if (!mien__plan_blockable(p, n->outputs[i]))
            return MIEN_OK;
        whole = whole && (i + 1 == n->n_outputs || p->v[n->outputs[i]].t.dims[1] % p->k->block == 0);
    }
    *ret_taken = true;
    for (uint32_t i = 0; i < n->n_outputs; i++) {
        mien__pvalue *v = &p->v[n->outputs[i]];
        uint32_t slot = 0;
        if (!whole) {
            v->part_of = n->inputs[0];
            v->c_from = from;
            from += (int)v->t.dims[1];
            continue;
        }
        const mien_status st = mien__plan_view(p, n->outputs[i], MIEN__BLOCKED,
                                               p->v[n->inputs[0]].slot[MIEN__BLOCKED], at, &slot);
        if (st)
            return st;
        at += mien__plan_bytes(p, &v->t, MIEN__BLOCKED);
    }
    return MIEN_OK;
}

/* Channels [c_from, c_from + c) of a blocked tensor; `st_c` and `st_p` are the steps of the output from
 * channel to channel and from pixel to pixel. */
static void take_channels(const mien__step *s, size_t st_c, size_t st_p)
{
    const size_t b = (size_t)s->k->block, hw = (size_t)s->u.e.hw, count = (size_t)s->u.e.c,
                 from = (size_t)s->u.e.c_from;
    const size_t blocks = ((size_t)s->src[0]->dims[1] + b - 1) / b;
    for (size_t n = 0; n < (size_t)s->u.e.n; n++) {
        const float *picture = (const float *)s->src[0]->data + n * blocks * hw * b;
        float *out = (float *)s->dst->data + n * hw * count;
        for (size_t c = 0; c < count;) { /* as many channels at once as lie in one block */
            const size_t lane = (from + c) % b, left = count - c, lanes = b - lane < left ? b - lane : left;
            const float *x = picture + (from + c) / b * hw * b + lane;
            float *y = out + c * st_c;
            for (size_t i = 0; i < hw; i++)
                for (size_t l = 0; l < lanes; l++)
                    y[i * st_p + l * st_c] = x[i * b + l];
            c += lanes;
        }
    }
}

/* Blocked to channels-last: the detectors' heads. */
static void run_to_nhwc(const mien__step *s, mien__pool *pool)
{
    (void)pool;
    take_channels(s, 1, (size_t)s->u.e.c);
}

static void run_part_to_plain(const mien__step *s, mien__pool *pool)
{
    (void)pool;
    take_channels(s, (size_t)s->u.e.hw, 1);
}

mien_status mien__plan_lower_part(mien__planner *p, uint32_t v)
{
    mien__step *s = NULL;
    const uint32_t whole = p->v[v].part_of;
    const mien_status st = mien__plan_step_of(p, NULL, run_part_to_plain, &whole, 1, MIEN__BLOCKED, v,
                                              MIEN__PLAIN, "part_to_plain", &s);
    if (st)
        return st;
    s->u.e.c = (int)p->v[v].t.dims[1];
    s->u.e.c_from = p->v[v].c_from;
    return MIEN_OK;
}

mien_status mien__plan_lower_transpose(mien__planner *p, const mien__node *n, bool *ret_taken)
{
    int perm[MIEN_MAX_RANK];
    const mien__pvalue *v = &p->v[n->inputs[0]];
    const mien__tensor *x = &v->t;
    const bool part = v->part_of != (uint32_t)MIEN__NO_VALUE;
    const uint32_t from = part ? v->part_of : n->inputs[0];
    mien__step *s = NULL;
    if ((!part && !mien__plan_has_blocked(p, n->inputs[0])) || !mien__transpose_perm(n, 4, perm))
        return MIEN_OK;
    const bool nhwc = perm[0] == 0 && perm[1] == 2 && perm[2] == 3 && perm[3] == 1;
    const bool hwnc = perm[0] == 2 && perm[1] == 3 && perm[2] == 0 && perm[3] == 1 && x->dims[0] == 1;
    if (!nhwc && !hwnc)
        return MIEN_OK;
    *ret_taken = true;
    const mien_status st = mien__plan_step_of(p, n, run_to_nhwc, &from, 1, MIEN__BLOCKED, n->outputs[0],
                                              MIEN__PLAIN, "to_nhwc", &s);
    if (st)
        return st;
    s->u.e.c = (int)x->dims[1];
    s->u.e.c_from = v->c_from;
    return MIEN_OK;
}
