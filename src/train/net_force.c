/* Forced taps: a step behind a tapped value that hands on the network's own value or one from outside, see
 * mien__net_force().
 */
#include "train/net_plan.h"
#include <string.h>

/* What follows a forced tap: the network's own value, or one from outside. */
static void force_forward(mien__net *n, mien__tstep *s)
{
    const mien__tslot *own = &n->slots[s->in[0]], *out = &n->slots[s->out[0]];
    if (!n->force)
        memcpy(out->data, own->data, own->floats * sizeof *own->data);
    else if (own->layout == MIEN__T_BLOCKED)
        mien__tnet_copy_layout(n, &n->v[own->value].t, MIEN__T_PLAIN, n->force[s->u.tap], out->data);
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

mien_status mien__tnet_force_outputs(mien__net *n, const mien__node *node, mien_error *err)
{
    mien_status st = MIEN_OK;
    for (uint32_t j = 0; !st && j < node->n_outputs; j++)
        if (n->v[node->outputs[j]].forced)
            st = make_forced(n, node->outputs[j], err);
    return st;
}

void mien__net_force(mien__net *n, const float *const *values)
{
    mien_assert(!values || n->o.forced);
    n->force = values;
}
