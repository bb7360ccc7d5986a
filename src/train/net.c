/* A trainable network: planning and running.
 *
 * Planning: copy the graph; learn what is known of it (net_open.c); give each node a step, fast (net_fast*.c)
 * or by reference (net_reference.c); plan the pass back (net_back.c). A value's forward data is kept until
 * the pass back has used it.
 */
#include "train/net_plan.h"
#include <string.h>

#define META_MAX ((size_t)1 << 30)

static mien_status make_steps(mien__net *n, mien_error *err)
{
    mien_status st = mien__tnet_slot(n, n->g->inputs[0], MIEN__T_PLAIN, &n->input_slot, err);
    for (uint32_t i = 0; !st && i < n->g->n_nodes; i++) {
        bool taken = n->done[i], known = true;
        for (uint32_t j = 0; j < n->g->nodes[i].n_outputs; j++)
            known = known && n->v[n->g->nodes[i].outputs[j]].t.data;
        if (taken) /* part of an earlier step */
            st = mien__tnet_force_outputs(n, &n->g->nodes[i], err);
        if (taken || known)
            continue;
        if (n->tk && (st = mien__tnet_fast(n, i, &taken, err)))
            return st;
        if (!taken)
            st = mien__tnet_reference(n, i, err);
        if (!st)
            st = mien__tnet_force_outputs(n, &n->g->nodes[i], err);
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
    n->o.threads = mien__pool_threads(n->pool); /* scratch is sized for the threads there are */
    if ((st = mien__graph_copy(g, &n->g, err)) || (st = mien__graph_check(n->g, err)) ||
        (st = mien__tnet_open(n, err)) || (st = make_steps(n, err)) ||
        (st = mien__tnet_plan_backward(n, err)))
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
