/* Fast steps of one kernel each: sums, gates, pools, up-sampling, fully connected layers. */
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"
#include "train/net_plan.h"
#include <string.h>

static bool same_dims(const mien__tensor *a, const mien__tensor *b)
{
    return a->rank == b->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]) == 0;
}

static bool is_blocked(const mien__net *n, uint32_t value)
{
    return n->v[value].slot[MIEN__T_BLOCKED] != MIEN__T_NONE;
}

/* A step from blocked inputs to a blocked output. */
static mien_status blocked_step(mien__net *n, const mien__node *node, const uint32_t *in, uint32_t n_in,
                                mien__tstep **ret, mien_error *err)
{
    uint32_t slots[2] = { 0, 0 }, out = 0;
    mien_status st = MIEN_OK;
    for (uint32_t i = 0; !st && i < n_in; i++)
        st = mien__tnet_need(n, in[i], MIEN__T_BLOCKED, &slots[i], err);
    if (st || (st = mien__tnet_slot(n, node->outputs[0], MIEN__T_BLOCKED, &out, err)) ||
        (st = mien__tnet_step(n, node, n_in, 1, ret, err)))
        return st;
    mien__tstep *s = *ret;
    memcpy(s->in, slots, n_in * sizeof *slots);
    s->out[0] = out;
    s->kernel = n->tk->name;
    const mien__tensor *x = &n->v[in[0]].t;
    s->u.e.n = (int)x->dims[0];
    s->u.e.c = (int)x->dims[1];
    s->u.e.hw = (int)(x->dims[2] * x->dims[3]);
    for (uint32_t i = 0; i < n_in; i++)
        if (n->slots[slots[i]].floats * sizeof(float) > s->scratch_bytes)
            s->scratch_bytes = n->slots[slots[i]].floats * sizeof(float);
    return MIEN_OK;
}

/* Put a gradient made in scratch onto what is there. */
static void settle(mien__net *n, const mien__tstep *s, uint32_t i, const float *made)
{
    const mien__tslot *in = &n->slots[s->in[i]];
    if (in->wants_grad && made != in->grad)
        n->tk->accumulate(in->floats, made, in->grad, n->pool);
}

/* ---- Add ---- */

static void add_forward(mien__net *n, mien__tstep *s)
{
    const mien__post none = { 0 };
    n->k->binary(MIEN__OP_Add, n->slots[s->out[0]].floats, n->slots[s->in[0]].data, n->slots[s->in[1]].data,
                 n->slots[s->out[0]].data, &none, n->pool);
}

static void add_backward(mien__net *n, mien__tstep *s)
{
    const mien__tslot *out = &n->slots[s->out[0]];
    for (uint32_t i = 0; i < 2; i++) {
        const mien__tslot *in = &n->slots[s->in[i]];
        if (!in->wants_grad)
            continue;
        if (s->add[i])
            n->tk->accumulate(in->floats, out->grad, in->grad, n->pool);
        else
            memcpy(in->grad, out->grad, in->floats * sizeof *in->grad);
    }
}

static mien_status take_add(mien__net *n, const mien__node *node, bool *ret_taken, mien_error *err)
{
    const uint32_t *in = node->inputs;
    mien__tstep *s = NULL;
    if (n->v[in[0]].t.data || n->v[in[1]].t.data || !same_dims(&n->v[in[0]].t, &n->v[in[1]].t) ||
        (!is_blocked(n, in[0]) && !is_blocked(n, in[1])))
        return MIEN_OK;
    const mien_status st = blocked_step(n, node, in, 2, &s, err);
    if (st)
        return st;
    s->forward = add_forward;
    s->backward = add_backward;
    *ret_taken = true;
    return MIEN_OK;
}

/* ---- Mul by a gate [n][c][1][1] ---- */

static void gate_forward(mien__net *n, mien__tstep *s)
{
    n->k->scale_channels(s->u.e.n, s->u.e.c, s->u.e.hw, n->slots[s->in[0]].data, n->slots[s->in[1]].data,
                         n->slots[s->out[0]].data, n->pool);
}

static void gate_backward(mien__net *n, mien__tstep *s)
{
    const mien__tslot *x = &n->slots[s->in[0]], *gate = &n->slots[s->in[1]];
    float *d_x = s->add[0] || !x->wants_grad ? n->scratch : x->grad;
    float *behind = (float *)n->scratch + x->floats,
          *d_gate = s->add[1] || !gate->wants_grad ? behind : gate->grad;
    n->tk->scale_channels_backward(s->u.e.n, s->u.e.c, s->u.e.hw, x->data, gate->data,
                                   n->slots[s->out[0]].grad, d_x, d_gate, n->pool);
    settle(n, s, 0, d_x);
    settle(n, s, 1, d_gate);
}

static mien_status take_gate(mien__net *n, const mien__node *node, bool *ret_taken, mien_error *err)
{
    uint32_t in[2] = { node->inputs[0], node->inputs[1] };
    mien__tstep *s = NULL;
    if (n->v[in[0]].t.data || n->v[in[1]].t.data)
        return MIEN_OK;
    if (n->v[in[0]].t.rank == 4 && n->v[in[0]].t.dims[2] * n->v[in[0]].t.dims[3] == 1) {
        in[0] = node->inputs[1];
        in[1] = node->inputs[0];
    }
    const mien__tensor *x = &n->v[in[0]].t, *gate = &n->v[in[1]].t;
    if (x->rank != 4 || gate->rank != 4 || gate->dims[2] != 1 || gate->dims[3] != 1 ||
        gate->dims[0] != x->dims[0] || gate->dims[1] != x->dims[1] || !is_blocked(n, in[0]))
        return MIEN_OK;
    const mien_status st = blocked_step(n, node, in, 2, &s, err);
    if (st)
        return st;
    s->scratch_bytes += n->slots[s->in[1]].floats * sizeof(float);
    s->forward = gate_forward;
    s->backward = gate_backward;
    *ret_taken = true;
    return MIEN_OK;
}

/* ---- pools and up-sampling ---- */

static void max_forward(mien__net *n, mien__tstep *s)
{
    n->k->pool2d(&s->u.pool, n->slots[s->in[0]].data, n->slots[s->out[0]].data, n->pool);
}

static void max_backward(mien__net *n, mien__tstep *s)
{
    const mien__tslot *in = &n->slots[s->in[0]], *out = &n->slots[s->out[0]];
    float *d = s->add[0] ? n->scratch : in->grad;
    n->tk->maxpool_backward(&s->u.pool, in->data, out->data, out->grad, d, n->pool);
    settle(n, s, 0, d);
}

static mien_status take_max(mien__net *n, const mien__node *node, bool *ret_taken, mien_error *err)
{
    const mien__window w = mien__op_window_checked(node, 0, 0);
    mien__tstep *s = NULL;
    if (!is_blocked(n, node->inputs[0]) || w.dh != 1 || w.dw != 1)
        return MIEN_OK;
    const mien_status st = blocked_step(n, node, node->inputs, 1, &s, err);
    if (st)
        return st;
    const mien__tensor *x = &n->v[node->inputs[0]].t, *y = &n->v[node->outputs[0]].t;
    s->u.pool = (mien__pool2d){ .n = (int)x->dims[0],
                                .c = (int)x->dims[1],
                                .ih = (int)x->dims[2],
                                .iw = (int)x->dims[3],
                                .oh = (int)y->dims[2],
                                .ow = (int)y->dims[3],
                                .kh = (int)w.kh,
                                .kw = (int)w.kw,
                                .sh = (int)w.sh,
                                .sw = (int)w.sw,
                                .pt = (int)w.pt,
                                .pl = (int)w.pl,
                                .pb = (int)w.pb,
                                .pr = (int)w.pr,
                                .is_max = true };
    s->forward = max_forward;
    s->backward = max_backward;
    *ret_taken = true;
    return MIEN_OK;
}

static void mean_forward(mien__net *n, mien__tstep *s)
{
    n->k->global_avg(s->u.e.n, s->u.e.c, s->u.e.hw, n->slots[s->in[0]].data, n->slots[s->out[0]].data,
                     n->pool);
}

static void mean_backward(mien__net *n, mien__tstep *s)
{
    float *d = s->add[0] ? n->scratch : n->slots[s->in[0]].grad;
    n->tk->global_avg_backward(s->u.e.n, s->u.e.c, s->u.e.hw, n->slots[s->out[0]].grad, d, n->pool);
    settle(n, s, 0, d);
}

static mien_status take_mean(mien__net *n, const mien__node *node, bool *ret_taken, mien_error *err)
{
    const mien__tensor *x = &n->v[node->inputs[0]].t, *y = &n->v[node->outputs[0]].t;
    mien__tstep *s = NULL;
    if (!is_blocked(n, node->inputs[0]) || y->rank != 4 || y->dims[1] != x->dims[1] || y->dims[2] != 1 ||
        y->dims[3] != 1 || y->dims[0] != x->dims[0])
        return MIEN_OK;
    const mien_status st = blocked_step(n, node, node->inputs, 1, &s, err);
    if (st)
        return st;
    s->forward = mean_forward;
    s->backward = mean_backward;
    *ret_taken = true;
    return MIEN_OK;
}

static void up_forward(mien__net *n, mien__tstep *s)
{
    n->k->upsample_nearest(s->u.e.n, s->u.e.c, s->u.e.ih, s->u.e.iw, s->u.e.fh, s->u.e.fw,
                           n->slots[s->in[0]].data, n->slots[s->out[0]].data, n->pool);
}

static void up_backward(mien__net *n, mien__tstep *s)
{
    float *d = s->add[0] ? n->scratch : n->slots[s->in[0]].grad;
    n->tk->upsample_backward(s->u.e.n, s->u.e.c, s->u.e.ih, s->u.e.iw, s->u.e.fh, s->u.e.fw,
                             n->slots[s->out[0]].grad, d, n->pool);
    settle(n, s, 0, d);
}

/* Does nearest resampling repeat each pixel a whole number of times? */
static bool repeats(const mien__net *n, const mien__node *node, int axis, int *ret_factor)
{
    const mien__tensor *x = &n->v[node->inputs[0]].t, *y = &n->v[node->outputs[0]].t;
    const mien__tensor *in[4] = { x, &n->v[node->inputs[1]].t, NULL, NULL };
    const int64_t f = y->dims[axis] / x->dims[axis];
    if (f < 1 || f * x->dims[axis] != y->dims[axis])
        return false;
    for (int64_t o = 0; o < y->dims[axis]; o++)
        if (mien__resize_nearest(node, in, y, axis, o) != o / f)
            return false;
    *ret_factor = (int)f;
    return true;
}

static mien_status take_resize(mien__net *n, const mien__node *node, bool *ret_taken, mien_error *err)
{
    int fh = 0, fw = 0;
    mien__tstep *s = NULL;
    if (!is_blocked(n, node->inputs[0]) || mien__node_int(node, MIEN__ATTR_MODE, 0) != 0 ||
        !n->v[node->inputs[1]].t.data || n->v[node->outputs[0]].t.rank != 4 ||
        n->v[node->outputs[0]].t.dims[1] != n->v[node->inputs[0]].t.dims[1] || !repeats(n, node, 2, &fh) ||
        !repeats(n, node, 3, &fw))
        return MIEN_OK;
    const mien_status st = blocked_step(n, node, node->inputs, 1, &s, err);
    if (st)
        return st;
    s->u.e.ih = (int)n->v[node->inputs[0]].t.dims[2];
    s->u.e.iw = (int)n->v[node->inputs[0]].t.dims[3];
    s->u.e.fh = fh;
    s->u.e.fw = fw;
    s->forward = up_forward;
    s->backward = up_backward;
    *ret_taken = true;
    return MIEN_OK;
}

/* ---- Gemm ---- */

static void fc_forward(mien__net *n, mien__tstep *s)
{
    const int rows = s->u.fc.n, m = s->u.fc.m, k = s->u.fc.k;
    float *y = n->slots[s->out[0]].data;
    const float *b = s->param[1] == MIEN__T_NONE ? NULL : n->params[s->param[1]].value;
    for (int i = 0; b && i < rows; i++)
        memcpy(y + (size_t)i * (size_t)m, b, (size_t)m * sizeof *y);
    n->tk->gemm(rows, m, k, n->slots[s->in[0]].data, k, false, n->params[s->param[0]].value, k, true, y, m,
                b != NULL, n->scratch, n->pool);
}

static void fc_backward(mien__net *n, mien__tstep *s)
{
    const int rows = s->u.fc.n, m = s->u.fc.m, k = s->u.fc.k;
    const mien__tslot *in = &n->slots[s->in[0]];
    const float *d_y = n->slots[s->out[0]].grad;
    float *d_w = mien__tnet_param_grad(n, s, 0);
    if (d_w)
        n->tk->gemm(m, k, rows, d_y, m, true, in->data, k, false, d_w, k, false, n->scratch, n->pool);
    mien__tnet_param_done(n, s, 0);
    float *d_b = mien__tnet_param_grad(n, s, 1);
    for (int j = 0; d_b && j < m; j++) {
        double sum = 0.0;
        for (int i = 0; i < rows; i++)
            sum += d_y[(size_t)i * (size_t)m + (size_t)j];
        d_b[j] = (float)sum;
    }
    mien__tnet_param_done(n, s, 1);
    if (in->wants_grad)
        n->tk->gemm(rows, k, m, d_y, m, false, n->params[s->param[0]].value, k, false, in->grad, k, s->add[0],
                    n->scratch, n->pool);
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static mien_status take_gemm(mien__net *n, const mien__node *node, bool *ret_taken, mien_error *err)
{
    const uint32_t w = node->inputs[1], b = node->n_inputs > 2 ? node->inputs[2] : (uint32_t)MIEN__NO_VALUE;
    mien__tstep *s = NULL;
    uint32_t in = 0, out = 0;
    mien_status st = MIEN_OK;
    if (n->v[w].param == MIEN__T_NONE || (b != (uint32_t)MIEN__NO_VALUE && n->v[b].param == MIEN__T_NONE) ||
        n->v[node->inputs[0]].t.data)
        return MIEN_OK;
    if ((st = mien__tnet_need(n, node->inputs[0], MIEN__T_PLAIN, &in, err)) ||
        (st = mien__tnet_slot(n, node->outputs[0], MIEN__T_PLAIN, &out, err)) ||
        (st = mien__tnet_step(n, node, 1, 1, &s, err)))
        return st;
    const int rows = (int)n->v[node->inputs[0]].t.dims[0], m = (int)n->v[w].t.dims[0],
              k = (int)n->v[w].t.dims[1];
    s->in[0] = in;
    s->out[0] = out;
    s->u.fc.n = rows;
    s->u.fc.m = m;
    s->u.fc.k = k;
    s->param[0] = n->v[w].param;
    s->param[1] = b == (uint32_t)MIEN__NO_VALUE ? MIEN__T_NONE : n->v[b].param;
    s->scratch_bytes = larger(n->tk->gemm_scratch(rows, m, k),
                              larger(n->tk->gemm_scratch(m, k, rows), n->tk->gemm_scratch(rows, k, m)));
    s->forward = fc_forward;
    s->backward = fc_backward;
    s->kernel = n->tk->name;
    *ret_taken = true;
    return MIEN_OK;
}

mien_status mien__tnet_fast_simple(mien__net *n, uint32_t at, bool *ret_taken, mien_error *err)
{
    const mien__node *node = &n->g->nodes[at];
    switch (node->op) {
    case MIEN__OP_Add:
        return take_add(n, node, ret_taken, err);
    case MIEN__OP_Mul:
        return take_gate(n, node, ret_taken, err);
    case MIEN__OP_MaxPool:
        return take_max(n, node, ret_taken, err);
    case MIEN__OP_GlobalAvgPool:
    case MIEN__OP_ReduceMean:
        return take_mean(n, node, ret_taken, err);
    case MIEN__OP_Resize:
        return take_resize(n, node, ret_taken, err);
    case MIEN__OP_Gemm:
        return take_gemm(n, node, ret_taken, err);
    default:
        return MIEN_OK;
    }
}
