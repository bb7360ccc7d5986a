/* Planning the pass back: walk the steps backwards once to learn which gradients are wanted (those behind
 * which a trained parameter lies), which contribution comes first (it overwrites) and which come later (they
 * add), and let gradients that are not alive together share memory.
 */
#include "train/net_plan.h"
#include <string.h>

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

mien_status mien__tnet_plan_backward(mien__net *n, mien_error *err)
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
