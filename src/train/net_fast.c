/* Fast steps for convolutions, batch normalisation with its activation, and activations: blocked tensors,
 * kernels of the tables. Per-channel parameters are copied to padded arrays at each pass, because the
 * optimiser writes the plain ones; weights are packed anew after each change.
 */
#include "nn/lower.h"
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"
#include "train/net_plan.h"
#include <math.h>
#include <string.h>

/* ---- Conv ---- */

static const float *param_value(const mien__net *n, const mien__tstep *s, int i)
{
    return s->param[i] == MIEN__T_NONE ? NULL : n->params[s->param[i]].value;
}

static bool any_trainable(const mien__net *n, const mien__tstep *s)
{
    for (int i = 0; i < MIEN__T_MAX_PARAMS; i++)
        if (s->param[i] != MIEN__T_NONE && n->params[s->param[i]].trainable)
            return true;
    return false;
}

static void conv_forward(mien__net *n, mien__tstep *s)
{
    if (n->changed) {
        const mien__conv_weights w = { .w = param_value(n, s, 0), .bias = param_value(n, s, 1) };
        n->k->conv_pack(&s->u.conv.plan, &w, s->u.conv.packed);
        if (s->u.conv.packed_dx)
            n->tk->conv_dx_pack(&s->u.conv.dx, w.w, s->u.conv.packed_dx);
    }
    n->k->conv_run(&s->u.conv.plan, s->u.conv.packed, n->slots[s->in[0]].data, NULL, n->slots[s->out[0]].data,
                   n->scratch, n->pool);
}

static void conv_backward(mien__net *n, mien__tstep *s)
{
    const mien__tslot *in = &n->slots[s->in[0]], *out = &n->slots[s->out[0]];
    if (any_trainable(n, s)) {
        float *d_w = mien__tnet_param_grad(n, s, 0), *d_b = mien__tnet_param_grad(n, s, 1);
        n->tk->conv_dw(&s->u.conv.c, in->data, out->grad, d_w, d_b, n->scratch, n->pool);
        mien__tnet_param_done(n, s, 0);
    }
    if (in->wants_grad)
        n->tk->conv_dx_run(&s->u.conv.dx, s->u.conv.packed_dx, out->grad, s->add[0], in->grad, n->scratch,
                           n->pool);
}

/* Bytes to a zeroed block of the network. */
static mien_status block_bytes(mien__net *n, size_t bytes, void **ret, mien_error *err)
{
    float *p = NULL;
    const mien_status st = mien__tnet_block(n, bytes / sizeof(float) + 16, &p, err);
    *ret = p;
    return st;
}

static mien_status take_conv(mien__net *n, const mien__node *node, bool *ret_taken, mien_error *err)
{
    const uint32_t x = node->inputs[0], w = node->inputs[1], y = node->outputs[0];
    const uint32_t b = node->n_inputs > 2 ? node->inputs[2] : (uint32_t)MIEN__NO_VALUE;
    const bool from_input = x == n->g->inputs[0];
    mien__conv c;
    mien__conv_plan plan;
    mien__conv_dx_plan dx = { 0 };
    mien_status st = MIEN_OK;
    if (n->v[w].param == MIEN__T_NONE || (b != (uint32_t)MIEN__NO_VALUE && n->v[b].param == MIEN__T_NONE) ||
        !mien__tnet_floats(n, &n->v[x].t, MIEN__T_BLOCKED) ||
        !mien__tnet_floats(n, &n->v[y].t, MIEN__T_BLOCKED))
        return MIEN_OK;
    if (b != (uint32_t)MIEN__NO_VALUE &&
        n->params[n->v[b].param].trainable != n->params[n->v[w].param].trainable)
        return MIEN_OK;
    mien__conv_of(node, &n->v[x].t, &n->v[w].t, &n->v[y].t, &c);
    c.src_plain = from_input && c.ic <= 4 && c.groups == 1;
    if (c.src_plain && (!n->k->conv_plan(&c, n->o.threads, &plan) || !n->tk->conv_dw_can(&c)))
        c.src_plain = false;
    if (!n->k->conv_plan(&c, n->o.threads, &plan) || !n->tk->conv_dw_can(&c) ||
        (!from_input && !n->tk->conv_dx_plan(&c, n->o.threads, &dx)))
        return MIEN_OK;
    mien__tstep *s = NULL;
    uint32_t in = 0, out = 0;
    if ((st = mien__tnet_need(n, x, c.src_plain ? MIEN__T_PLAIN : MIEN__T_BLOCKED, &in, err)) ||
        (st = mien__tnet_slot(n, y, MIEN__T_BLOCKED, &out, err)) ||
        (st = mien__tnet_step(n, node, 1, 1, &s, err)) ||
        (st = block_bytes(n, plan.packed_bytes, &s->u.conv.packed, err)) ||
        (!from_input && (st = block_bytes(n, dx.packed_bytes, &s->u.conv.packed_dx, err))))
        return st;
    s->u.conv.c = c;
    s->u.conv.plan = plan;
    s->u.conv.dx = dx;
    s->in[0] = in;
    s->out[0] = out;
    s->param[0] = n->v[w].param;
    s->param[1] = b == (uint32_t)MIEN__NO_VALUE ? MIEN__T_NONE : n->v[b].param;
    s->forward = conv_forward;
    s->backward = conv_backward;
    s->kernel = plan.kernel;
    const size_t dw = n->tk->conv_dw_scratch(&c);
    s->scratch_bytes = plan.scratch_bytes > dw ? plan.scratch_bytes : dw;
    s->scratch_bytes = s->scratch_bytes > dx.scratch_bytes ? s->scratch_bytes : dx.scratch_bytes;
    *ret_taken = true;
    return MIEN_OK;
}

/* ---- BatchNorm and activations ---- */

static size_t padded(const mien__net *n, int c)
{
    const size_t b = (size_t)n->k->block;
    return ((size_t)c + b - 1) / b * b;
}

/* Copy a parameter to its padded array. */
static void pad_copy(const mien__net *n, const mien__tstep *s, int i, float *dst)
{
    if (s->param[i] != MIEN__T_NONE)
        memcpy(dst, n->params[s->param[i]].value, n->params[s->param[i]].count * sizeof *dst);
}

static mien__post post_of(const mien__tstep *s)
{
    return (mien__post){ .act = s->u.bn.act, .alpha = s->u.bn.alpha, .beta = s->u.bn.beta };
}

/* Batch statistics to scale and offset; running averages follow. */
static void normalise(mien__net *n, mien__tstep *s)
{
    const int c = s->u.bn.c;
    const float m = (float)n->o.bn_momentum;
    float *mean = n->buffers[s->u.bn.running_mean].value, *var = n->buffers[s->u.bn.running_var].value;
    n->tk->bn_stats((int)n->v[n->slots[s->in[0]].value].t.dims[0], c, s->u.bn.hw, n->slots[s->in[0]].data,
                    s->u.bn.mean, s->u.bn.inv_std, n->pool);
    for (int i = 0; i < c; i++) {
        mean[i] += m * (s->u.bn.mean[i] - mean[i]);
        var[i] += m * (s->u.bn.inv_std[i] - var[i]);
        s->u.bn.inv_std[i] = 1.0f / sqrtf(s->u.bn.inv_std[i] + s->u.bn.eps);
        s->u.bn.scale[i] = s->u.bn.gamma[i] * s->u.bn.inv_std[i];
        s->u.bn.offset[i] = s->u.bn.shift[i] - s->u.bn.mean[i] * s->u.bn.scale[i];
    }
    for (size_t i = (size_t)c; i < padded(n, c); i++)
        s->u.bn.mean[i] = s->u.bn.inv_std[i] = 0.0f;
}

static void bn_forward(mien__net *n, mien__tstep *s)
{
    pad_copy(n, s, 0, s->u.bn.gamma);
    pad_copy(n, s, 1, s->u.bn.shift);
    pad_copy(n, s, 2, s->u.bn.slope);
    normalise(n, s);
    const mien__post post = post_of(s);
    n->k->affine((int)n->v[n->slots[s->in[0]].value].t.dims[0], s->u.bn.c, s->u.bn.hw, s->u.bn.scale,
                 s->u.bn.offset, &post, s->u.bn.slope, n->slots[s->in[0]].data, n->slots[s->out[0]].data,
                 n->pool);
}

/* Padded gradients of per-channel parameters to where they go. */
static void put_params(mien__net *n, mien__tstep *s, int count)
{
    for (int i = 0; i < count; i++) {
        float *to = mien__tnet_param_grad(n, s, i);
        if (!to)
            continue;
        memcpy(to, s->u.bn.d[i], n->params[s->param[i]].count * sizeof *to);
        mien__tnet_param_done(n, s, i);
    }
}

/* Where the gradient of the input is made before it is added. */
static float *d_in_of(mien__net *n, const mien__tstep *s)
{
    const mien__tslot *in = &n->slots[s->in[0]];
    return s->add[0] || !in->wants_grad ? n->scratch : in->grad;
}

static void d_in_done(mien__net *n, const mien__tstep *s)
{
    const mien__tslot *in = &n->slots[s->in[0]];
    if (s->add[0] && in->wants_grad)
        n->tk->accumulate(in->floats, n->scratch, in->grad, n->pool);
}

static void bn_backward(mien__net *n, mien__tstep *s)
{
    const mien__tslot *in = &n->slots[s->in[0]], *out = &n->slots[s->out[0]];
    const mien__bn_act p = { .n = (int)n->v[in->value].t.dims[0],
                             .c = s->u.bn.c,
                             .hw = s->u.bn.hw,
                             .mean = s->u.bn.mean,
                             .inv_std = s->u.bn.inv_std,
                             .gamma = s->u.bn.gamma,
                             .beta = s->u.bn.shift,
                             .act = s->u.bn.act,
                             .alpha = s->u.bn.alpha,
                             .limit = s->u.bn.beta,
                             .slope = s->u.bn.slope };
    n->tk->bn_act_backward(&p, in->data, out->grad, d_in_of(n, s), s->u.bn.d[0], s->u.bn.d[1],
                           p.act == MIEN__ACT_PRELU ? s->u.bn.d[2] : NULL, n->pool);
    put_params(n, s, 3);
    d_in_done(n, s);
}

/* The kind of activation a node is, and the parameter that holds its slopes. */
static bool activation_of(const mien__net *n, const mien__node *node, int64_t channels, mien__act *ret_act,
                          float *ret_alpha, float *ret_beta, uint32_t *ret_slope)
{
    *ret_slope = MIEN__T_NONE;
    if (node->op == MIEN__OP_PRelu) {
        const uint32_t slope = node->inputs[1];
        if (n->v[slope].param == MIEN__T_NONE || mien__tensor_elems(&n->v[slope].t) != channels)
            return false;
        *ret_act = MIEN__ACT_PRELU;
        *ret_slope = n->v[slope].param;
        return true;
    }
    return mien__act_of(node, ret_act, ret_alpha, ret_beta);
}

/* Fill what activation and normalisation have in common; padded arrays included. */
static mien_status open_channels(mien__net *n, mien__tstep *s, const mien__tensor *x, bool norm,
                                 mien_error *err)
{
    float **const arrays[] = { &s->u.bn.slope, &s->u.bn.d[0],    &s->u.bn.d[1],  &s->u.bn.d[2],
                               &s->u.bn.mean,  &s->u.bn.inv_std, &s->u.bn.gamma, &s->u.bn.shift,
                               &s->u.bn.scale, &s->u.bn.offset };
    s->u.bn.c = (int)x->dims[1];
    s->u.bn.hw = (int)(x->dims[2] * x->dims[3]);
    for (size_t i = 0; i < (norm ? MIEN_COUNTOF(arrays) : 4); i++) {
        const mien_status st = mien__tnet_block(n, padded(n, s->u.bn.c), arrays[i], err);
        if (st)
            return st;
    }
    return MIEN_OK;
}

static mien_status take_batch_norm(mien__net *n, const mien__node *node, bool *ret_taken, mien_error *err)
{
    const uint32_t x = node->inputs[0];
    uint32_t y = node->outputs[0], in = 0, out = 0, slope = MIEN__T_NONE;
    mien__act act = MIEN__ACT_NONE;
    float alpha = 0.0f, beta = 0.0f;
    mien__tstep *s = NULL;
    mien_status st = MIEN_OK;
    if (!n->o.batch_stats || !mien__tnet_floats(n, &n->v[x].t, MIEN__T_BLOCKED) ||
        n->v[node->inputs[1]].param == MIEN__T_NONE || n->v[node->inputs[2]].param == MIEN__T_NONE ||
        n->v[node->inputs[3]].buffer == MIEN__T_NONE || n->v[node->inputs[4]].buffer == MIEN__T_NONE)
        return MIEN_OK;
    const uint32_t user = mien__tnet_sole_user(n, y);
    mien__act behind = MIEN__ACT_NONE;
    if (user != MIEN__T_NONE && n->g->nodes[user].inputs[0] == y &&
        activation_of(n, &n->g->nodes[user], n->v[x].t.dims[1], &behind, &alpha, &beta, &slope) &&
        (behind == MIEN__ACT_RELU || behind == MIEN__ACT_PRELU || behind == MIEN__ACT_CLIP)) {
        act = behind;
        y = n->g->nodes[user].outputs[0];
        n->done[user] = true;
    }
    if ((st = mien__tnet_need(n, x, MIEN__T_BLOCKED, &in, err)) ||
        (st = mien__tnet_slot(n, y, MIEN__T_BLOCKED, &out, err)) ||
        (st = mien__tnet_step(n, node, 1, 1, &s, err)) || (st = open_channels(n, s, &n->v[x].t, true, err)))
        return st;
    s->in[0] = in;
    s->out[0] = out;
    s->u.bn.act = act;
    s->u.bn.alpha = alpha;
    s->u.bn.beta = beta;
    s->u.bn.eps = (float)mien__node_float(node, MIEN__ATTR_EPSILON, 1e-5);
    s->u.bn.running_mean = n->v[node->inputs[3]].buffer;
    s->u.bn.running_var = n->v[node->inputs[4]].buffer;
    s->param[0] = n->v[node->inputs[1]].param;
    s->param[1] = n->v[node->inputs[2]].param;
    s->param[2] = act == MIEN__ACT_PRELU ? slope : MIEN__T_NONE;
    s->forward = bn_forward;
    s->backward = bn_backward;
    s->kernel = n->tk->name;
    s->scratch_bytes = n->slots[in].floats * sizeof(float);
    *ret_taken = true;
    return MIEN_OK;
}

static void act_forward(mien__net *n, mien__tstep *s)
{
    pad_copy(n, s, 2, s->u.bn.slope);
    const mien__post post = post_of(s);
    n->k->affine((int)n->v[n->slots[s->in[0]].value].t.dims[0], s->u.bn.c, s->u.bn.hw, NULL, NULL, &post,
                 s->u.bn.slope, n->slots[s->in[0]].data, n->slots[s->out[0]].data, n->pool);
}

static void act_backward(mien__net *n, mien__tstep *s)
{
    const mien__tslot *in = &n->slots[s->in[0]], *out = &n->slots[s->out[0]];
    n->tk->act_backward((int)n->v[in->value].t.dims[0], s->u.bn.c, s->u.bn.hw, s->u.bn.act, s->u.bn.alpha,
                        s->u.bn.beta, s->u.bn.slope, in->data, out->grad, d_in_of(n, s),
                        s->u.bn.act == MIEN__ACT_PRELU ? s->u.bn.d[2] : NULL, n->pool);
    put_params(n, s, 3);
    d_in_done(n, s);
}

static mien_status take_activation(mien__net *n, const mien__node *node, bool *ret_taken, mien_error *err)
{
    const uint32_t x = node->inputs[0];
    uint32_t in = 0, out = 0, slope = MIEN__T_NONE;
    mien__act act = MIEN__ACT_NONE;
    float alpha = 0.0f, beta = 0.0f;
    mien__tstep *s = NULL;
    mien_status st = MIEN_OK;
    if (!mien__tnet_floats(n, &n->v[x].t, MIEN__T_BLOCKED) || n->v[x].slot[MIEN__T_BLOCKED] == MIEN__T_NONE ||
        !activation_of(n, node, n->v[x].t.dims[1], &act, &alpha, &beta, &slope) || !n->tk->act_can(act))
        return MIEN_OK;
    if ((st = mien__tnet_need(n, x, MIEN__T_BLOCKED, &in, err)) ||
        (st = mien__tnet_slot(n, node->outputs[0], MIEN__T_BLOCKED, &out, err)) ||
        (st = mien__tnet_step(n, node, 1, 1, &s, err)) || (st = open_channels(n, s, &n->v[x].t, false, err)))
        return st;
    s->in[0] = in;
    s->out[0] = out;
    s->u.bn.act = act;
    s->u.bn.alpha = alpha;
    s->u.bn.beta = beta;
    s->param[2] = slope;
    s->forward = act_forward;
    s->backward = act_backward;
    s->kernel = n->tk->name;
    s->scratch_bytes = n->slots[in].floats * sizeof(float);
    *ret_taken = true;
    return MIEN_OK;
}

mien_status mien__tnet_fast(mien__net *n, uint32_t at, bool *ret_taken, mien_error *err)
{
    const mien__node *node = &n->g->nodes[at];
    switch (node->op) {
    case MIEN__OP_Conv:
        return take_conv(n, node, ret_taken, err);
    case MIEN__OP_BatchNorm:
        return take_batch_norm(n, node, ret_taken, err);
    case MIEN__OP_Add:
    case MIEN__OP_Mul:
    case MIEN__OP_MaxPool:
    case MIEN__OP_GlobalAvgPool:
    case MIEN__OP_ReduceMean:
    case MIEN__OP_Resize:
    case MIEN__OP_Gemm:
        return mien__tnet_fast_simple(n, at, ret_taken, err);
    default:
        return take_activation(n, node, ret_taken, err);
    }
}
