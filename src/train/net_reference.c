/* Steps by reference: any operator, on plain tensors, forward and backward as its folder in nn/ops defines
 * them.
 *
 * References add to the gradients they are given, so what is to be overwritten is cleared first. BatchNorm by
 * batch statistics is a step of its own kind here, because its forward pass depends on the whole batch.
 */
#include "nn/ops/batch_norm/batch_norm.h"
#include "train/net_plan.h"
#include <string.h>

enum { EXTRA_INPUTS = 8 };

static void reference_forward(mien__net *n, mien__tstep *s)
{
    (void)n;
    mien__op_def_of(s->node->op)->forward(s->node, s->u.ref.in, s->u.ref.out_t);
}

/* Point the gradient tensors at memory, cleared where this is the first contribution. */
static void bind_gradients(mien__net *n, mien__tstep *s)
{
    for (uint32_t j = 0; j < s->n_out; j++) {
        const mien__tslot *o = &n->slots[s->out[j]];
        s->u.ref.d_out_t[j] = s->u.ref.out_t[j];
        s->u.ref.d_out_t[j].data = o->grad;
        s->u.ref.d_out[j] = o->written && o->grad ? &s->u.ref.d_out_t[j] : NULL;
    }
    for (uint32_t j = 0; j < s->n_in; j++) {
        float *grad = NULL;
        size_t count = 0;
        bool add = false;
        if (s->in_param[j] != MIEN__T_NONE && n->params[s->in_param[j]].trainable) {
            grad = n->params[s->in_param[j]].grad;
            count = n->params[s->in_param[j]].count;
            add = s->in_param_add[j];
        } else if (s->in[j] != MIEN__T_NONE && n->slots[s->in[j]].wants_grad) {
            grad = n->slots[s->in[j]].grad;
            count = n->slots[s->in[j]].floats;
            add = s->add[j];
        }
        s->u.ref.d_in[j] = NULL;
        if (!grad)
            continue;
        if (!add)
            memset(grad, 0, count * sizeof *grad);
        s->u.ref.d_in_t[j] = *s->u.ref.in[j];
        s->u.ref.d_in_t[j].data = grad;
        s->u.ref.d_in[j] = &s->u.ref.d_in_t[j];
    }
}

static void reference_backward(mien__net *n, mien__tstep *s)
{
    bind_gradients(n, s);
    mien__op_def_of(s->node->op)
        ->backward(s->node, s->u.ref.in, s->u.ref.out_t, s->u.ref.d_out, s->u.ref.d_in);
}

/* ---- BatchNorm by the batch ---- */

static void batch_norm_forward(mien__net *n, mien__tstep *s)
{
    const mien__tensor *const *in = s->u.ref.in;
    mien__batch_norm_train_forward(in[0], in[1]->data, in[2]->data,
                                   mien__node_float(s->node, MIEN__ATTR_EPSILON, 1e-5), s->u.ref.out_t->data,
                                   s->u.ref.bn_mean, s->u.ref.bn_var);
    const float m = (float)n->o.bn_momentum;
    float *mean = in[3]->data, *var = in[4]->data;
    for (int64_t c = 0; c < in[0]->dims[1]; c++) {
        mean[c] += m * (s->u.ref.bn_mean[c] - mean[c]);
        var[c] += m * (s->u.ref.bn_var[c] - var[c]);
    }
}

static void batch_norm_backward(mien__net *n, mien__tstep *s)
{
    const mien__tensor *const *in = s->u.ref.in;
    bind_gradients(n, s);
    mien__batch_norm_train_backward(in[0], in[1]->data, s->u.ref.bn_mean, s->u.ref.bn_var,
                                    mien__node_float(s->node, MIEN__ATTR_EPSILON, 1e-5),
                                    s->u.ref.d_out[0]->data, s->u.ref.d_in[0] ? s->u.ref.d_in[0]->data : NULL,
                                    s->u.ref.d_in[1] ? s->u.ref.d_in[1]->data : NULL,
                                    s->u.ref.d_in[2] ? s->u.ref.d_in[2]->data : NULL);
}

static mien_status batch_norm_step(mien__net *n, mien__tstep *s, mien_error *err)
{
    const size_t c = (size_t)s->u.ref.in[0]->dims[1];
    mien_status st = MIEN_OK;
    if ((st = mien__tnet_block(n, c, &s->u.ref.bn_mean, err)) ||
        (st = mien__tnet_block(n, c, &s->u.ref.bn_var, err)))
        return st;
    s->forward = batch_norm_forward;
    s->backward = batch_norm_backward;
    return MIEN_OK;
}

/* ---- making one ---- */

static mien_status room(mien__net *n, mien__tstep *s, mien_error *err)
{
    const size_t in = s->n_in + (size_t)EXTRA_INPUTS, out = s->n_out + (size_t)1;
    mien__arena *a = n->meta;
    s->u.ref.in = mien__arena_alloc_array(a, in, sizeof *s->u.ref.in);
    s->u.ref.in_t = mien__arena_alloc_array(a, in, sizeof *s->u.ref.in_t);
    s->u.ref.d_in_t = mien__arena_alloc_array(a, in, sizeof *s->u.ref.d_in_t);
    s->u.ref.d_in = mien__arena_alloc_array(a, in, sizeof *s->u.ref.d_in);
    s->in_param = mien__arena_alloc_array(a, in, sizeof *s->in_param);
    s->in_param_add = mien__arena_alloc_array(a, in, sizeof *s->in_param_add);
    s->u.ref.out_t = mien__arena_alloc_array(a, out, sizeof *s->u.ref.out_t);
    s->u.ref.d_out_t = mien__arena_alloc_array(a, out, sizeof *s->u.ref.d_out_t);
    s->u.ref.d_out = mien__arena_alloc_array(a, out, sizeof *s->u.ref.d_out);
    if (!s->u.ref.in || !s->u.ref.in_t || !s->u.ref.d_in_t || !s->u.ref.d_in || !s->in_param ||
        !s->in_param_add || !s->u.ref.out_t || !s->u.ref.d_out_t || !s->u.ref.d_out)
        return mien__nomem(err, in * sizeof *s->u.ref.in_t);
    return MIEN_OK;
}

mien_status mien__tnet_reference(mien__net *n, uint32_t at, mien_error *err)
{
    const mien__node *node = &n->g->nodes[at];
    const mien__op_def *def = mien__op_def_of(node->op);
    mien_status st = MIEN_OK;
    for (uint32_t j = 0; !st && j < node->n_inputs; j++) { /* changes of layout come before this step */
        uint32_t slot = 0;
        const uint32_t in = node->inputs[j];
        if (in != (uint32_t)MIEN__NO_VALUE && !n->v[in].t.data)
            st = mien__tnet_need(n, in, MIEN__T_PLAIN, &slot, err);
    }
    uint32_t made = n->n_steps;
    mien__tstep *s = NULL;
    if (st || (st = mien__tnet_step(n, node, node->n_inputs, node->n_outputs, &s, err)) ||
        (st = room(n, s, err)))
        return st;
    for (uint32_t j = 0; j < node->n_inputs; j++) {
        const uint32_t in = node->inputs[j];
        s->in_param[j] = MIEN__T_NONE;
        if (in == (uint32_t)MIEN__NO_VALUE)
            continue;
        s->u.ref.in_t[j] = n->v[in].t;
        s->u.ref.in[j] = &s->u.ref.in_t[j];
        s->in_param[j] = n->v[in].param;
        if (n->v[in].t.data)
            continue;
        s->in[j] = n->v[in].slot[MIEN__T_PLAIN];
        s->u.ref.in_t[j].data = n->slots[s->in[j]].data;
    }
    for (uint32_t j = 0; j < node->n_outputs; j++) {
        if ((st = mien__tnet_slot(n, node->outputs[j], MIEN__T_PLAIN, &s->out[j], err)))
            return st;
        s = &n->steps[made];
        s->u.ref.out_t[j] = n->v[node->outputs[j]].t;
        s->u.ref.out_t[j].data = n->slots[s->out[j]].data;
    }
    s->forward = reference_forward;
    s->backward = def->backward ? reference_backward : NULL;
    if (node->op == MIEN__OP_BatchNorm && n->o.batch_stats)
        return batch_norm_step(n, s, err);
    return MIEN_OK;
}
