/* Lowering with fast kernels: everything but convolutions and fully connected layers (plan_conv.c).
 *
 * Operators on blocked tensors are taken when their input is blocked already; a plain tensor is blocked for
 * them only where that pays (pooling). Lanes past the last channel stay finite: no division or logarithm runs
 * over them.
 */
#include "nn/plan.h"
#include "nn/lower.h"
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"
#include <string.h>

bool mien__plan_has_blocked(const mien__planner *p, uint32_t v)
{
    return p->v[v].slot[MIEN__BLOCKED] != MIEN__NO_SLOT;
}

bool mien__plan_blockable(const mien__planner *p, uint32_t v)
{
    return mien__plan_bytes(p, &p->v[v].t, MIEN__BLOCKED) != 0;
}

mien_status mien__plan_step_of(mien__planner *p, const mien__node *n, mien__step_fn run, const uint32_t *in,
                               uint32_t n_in, int in_layout, uint32_t out, int out_layout, const char *kernel,
                               mien__step **ret)
{
    uint32_t slot[2] = { 0, 0 }, out_slot = 0;
    mien_status st = MIEN_OK;
    for (uint32_t i = 0; i < n_in; i++)
        if ((st = mien__plan_need(p, in[i], in_layout, &slot[i])))
            return st;
    if ((st = mien__plan_slot(p, out, out_layout, &out_slot)) ||
        (st = mien__plan_step(p, n, run, n_in, 1, ret)))
        return st;
    for (uint32_t i = 0; i < n_in; i++)
        (*ret)->in[i] = slot[i];
    (*ret)->out[0] = out_slot;
    const mien__tensor *t = &p->v[in[0]].t;
    (*ret)->u.e.n = t->rank == 4 ? (int)t->dims[0] : 0;
    (*ret)->u.e.c = t->rank == 4 ? (int)t->dims[1] : 0;
    (*ret)->u.e.hw = t->rank == 4 ? (int)(t->dims[2] * t->dims[3]) : 0;
    (*ret)->kernel = mien__plan_kernel_name(p, kernel);
    return (*ret)->kernel ? MIEN_OK : mien__nomem(p->err, 64);
}

/* ---- per channel ---- */

static void run_affine(const mien__step *s, mien__pool *pool)
{
    s->k->affine(s->u.e.n, s->u.e.c, s->u.e.hw, s->u.e.scale, s->u.e.shift, &s->u.e.post, s->slope,
                 s->src[0]->data, s->dst->data, pool);
}

static mien_status emit_affine(mien__planner *p, const mien__node *n, uint32_t out)
{
    const float *scale = NULL, *shift = NULL;
    const uint32_t x = n->inputs[0];
    mien__step *s = NULL;
    mien_status st = mien__plan_channels(p, n->inputs[1], p->v[x].t.dims[1], &scale);
    if (st || (st = mien__plan_channels(p, n->inputs[2], p->v[x].t.dims[1], &shift)) ||
        (st = mien__plan_step_of(p, n, run_affine, &x, 1, MIEN__BLOCKED, out, MIEN__BLOCKED, "affine", &s)))
        return st;
    s->u.e.scale = scale;
    s->u.e.shift = shift;
    return MIEN_OK;
}

mien_status mien__plan_lower_pending_affine(mien__planner *p, uint32_t v)
{
    const mien__node *n = &p->g->nodes[p->v[v].pending_affine];
    p->v[v].pending_affine = MIEN__NO_NODE;
    return emit_affine(p, n, v);
}

static mien_status lower_affine(mien__planner *p, const mien__node *n, bool *ret_taken)
{
    if (!mien__plan_blockable(p, n->inputs[0]) || !mien__plan_const_f32(p, n->inputs[1]) ||
        !mien__plan_const_f32(p, n->inputs[2]))
        return MIEN_OK;
    const uint32_t user = mien__plan_sole_user(p, n->outputs[0]);
    *ret_taken = true;
    if (user != MIEN__NO_NODE && p->g->nodes[user].op == MIEN__OP_Conv &&
        p->g->nodes[user].inputs[0] == n->outputs[0]) {
        p->v[n->outputs[0]].pending_affine = (uint32_t)(n - p->g->nodes); /* the convolution may take it in */
        return MIEN_OK;
    }
    if (!mien__plan_has_blocked(p, n->inputs[0]) &&
        p->v[n->inputs[0]].t.dims[2] * p->v[n->inputs[0]].t.dims[3] == 1) {
        *ret_taken = false;
        return MIEN_OK;
    }
    return emit_affine(p, n, n->outputs[0]);
}

static mien_status lower_prelu(mien__planner *p, const mien__node *n, bool *ret_taken)
{
    const uint32_t x = n->inputs[0];
    const float *slope = NULL;
    mien__step *s = NULL;
    mien_status st = MIEN_OK;
    if (!mien__plan_has_blocked(p, x) || !mien__plan_const_f32(p, n->inputs[1]))
        return MIEN_OK;
    *ret_taken = true;
    if ((st = mien__plan_channels(p, n->inputs[1], p->v[x].t.dims[1], &slope)) ||
        (st = mien__plan_step_of(p, n, run_affine, &x, 1, MIEN__BLOCKED, n->outputs[0], MIEN__BLOCKED,
                                 "affine", &s)))
        return st;
    s->u.e.post.act = MIEN__ACT_PRELU;
    s->slope = slope;
    return MIEN_OK;
}

/* ---- elementwise ---- */

static void run_activate(const mien__step *s, mien__pool *pool)
{
    s->k->activate(s->u.e.act, s->u.e.alpha, s->u.e.beta, s->u.e.count, s->src[0]->data, s->dst->data, pool);
}

static mien_status lower_activation(mien__planner *p, const mien__node *n, bool *ret_taken)
{
    mien__act act = MIEN__ACT_NONE;
    float alpha = 0.0f, beta = 0.0f;
    mien__step *s = NULL;
    if (!mien__act_of(n, &act, &alpha, &beta) || mien__tensor_elems(&p->v[n->inputs[0]].t) < 1)
        return MIEN_OK;
    const int layout = mien__plan_has_blocked(p, n->inputs[0]) ? MIEN__BLOCKED : MIEN__PLAIN;
    const mien_status st =
        mien__plan_step_of(p, n, run_activate, n->inputs, 1, layout, n->outputs[0], layout, "activate", &s);
    if (st)
        return st;
    s->u.e.act = act;
    s->u.e.alpha = alpha;
    s->u.e.beta = beta;
    s->u.e.count = mien__plan_bytes(p, &p->v[n->inputs[0]].t, layout) / sizeof(float);
    *ret_taken = true;
    return MIEN_OK;
}

static void run_binary(const mien__step *s, mien__pool *pool)
{
    s->k->binary(s->u.e.op, s->u.e.count, s->src[0]->data, s->src[1]->data, s->dst->data, &s->u.e.post, pool);
}

static void run_gate(const mien__step *s, mien__pool *pool)
{
    s->k->scale_channels(s->u.e.n, s->u.e.c, s->u.e.hw, s->src[0]->data, s->src[1]->data, s->dst->data, pool);
}

static bool same_dims(const mien__tensor *a, const mien__tensor *b)
{
    return a->rank == b->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]) == 0;
}

/* Is `g` one number per picture and channel of x? */
static bool is_gate(const mien__tensor *x, const mien__tensor *g)
{
    return x->rank == 4 && g->rank == 4 && g->dims[0] == x->dims[0] && g->dims[1] == x->dims[1] &&
           g->dims[2] == 1 && g->dims[3] == 1;
}

static mien_status lower_gate(mien__planner *p, const mien__node *n, bool *ret_taken)
{
    for (int i = 0; i < 2; i++) {
        const uint32_t in[2] = { n->inputs[i], n->inputs[1 - i] };
        mien__step *s = NULL;
        if (!mien__plan_has_blocked(p, in[0]) || !is_gate(&p->v[in[0]].t, &p->v[in[1]].t) ||
            !mien__plan_blockable(p, in[1]))
            continue;
        *ret_taken = true;
        return mien__plan_step_of(p, n, run_gate, in, 2, MIEN__BLOCKED, n->outputs[0], MIEN__BLOCKED,
                                  "scale_channels", &s);
    }
    return MIEN_OK;
}

static mien_status lower_binary(mien__planner *p, const mien__node *n, bool *ret_taken)
{
    const uint32_t a = n->inputs[0], b = n->inputs[1];
    const mien__tensor *t = &p->v[a].t;
    mien__act act = MIEN__ACT_NONE;
    float alpha = 0.0f, beta = 0.0f;
    mien__step *s = NULL;
    if (t->dtype != MIEN__F32 || n->op == MIEN__OP_Pow || mien__tensor_elems(t) < 1)
        return MIEN_OK;
    if (!same_dims(t, &p->v[b].t))
        return n->op == MIEN__OP_Mul ? lower_gate(p, n, ret_taken) : MIEN_OK;
    const bool whole = t->rank == 4 && t->dims[1] % p->k->block == 0;
    const bool blocked =
        (mien__plan_has_blocked(p, a) || mien__plan_has_blocked(p, b)) && (n->op != MIEN__OP_Div || whole);
    const int layout = blocked ? MIEN__BLOCKED : MIEN__PLAIN;
    uint32_t out = n->outputs[0];
    const uint32_t user = mien__plan_sole_user(p, out);
    const bool fuse = user != MIEN__NO_NODE && mien__act_of(&p->g->nodes[user], &act, &alpha, &beta);
    if (fuse) {
        out = p->g->nodes[user].outputs[0];
        p->done[user] = true;
    }
    const mien_status st =
        mien__plan_step_of(p, n, run_binary, n->inputs, 2, layout, out, layout, "binary", &s);
    if (st)
        return st;
    if (fuse)
        s->u.e.post = (mien__post){ .act = act, .alpha = alpha, .beta = beta };
    s->u.e.op = (int)n->op;
    s->u.e.count = mien__plan_bytes(p, t, layout) / sizeof(float);
    *ret_taken = true;
    return MIEN_OK;
}

/* ---- pooling and resizing ---- */

static void run_pool(const mien__step *s, mien__pool *pool)
{
    s->k->pool2d(&s->u.pool, s->src[0]->data, s->dst->data, pool);
}

static mien_status lower_pool(mien__planner *p, const mien__node *n, bool *ret_taken)
{
    const mien__window w = mien__op_window_checked(n, 0, 0);
    const mien__tensor *x = &p->v[n->inputs[0]].t, *y = &p->v[n->outputs[0]].t;
    mien__step *s = NULL;
    if (w.dh != 1 || w.dw != 1 || !mien__plan_blockable(p, n->inputs[0]))
        return MIEN_OK;
    *ret_taken = true;
    const mien_status st = mien__plan_step_of(p, n, run_pool, n->inputs, 1, MIEN__BLOCKED, n->outputs[0],
                                              MIEN__BLOCKED, "pool", &s);
    if (st)
        return st;
    s->u.pool = (mien__pool2d){
        .n = (int)x->dims[0],
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
        .is_max = n->op == MIEN__OP_MaxPool,
        .count_pad = mien__node_int(n, MIEN__ATTR_COUNT_PAD, 0) != 0,
    };
    return MIEN_OK;
}

static void run_global_avg(const mien__step *s, mien__pool *pool)
{
    s->k->global_avg(s->u.e.n, s->u.e.c, s->u.e.hw, s->src[0]->data, s->dst->data, pool);
}

/* GlobalAvgPool, or ReduceMean over height and width that keeps them. */
static mien_status lower_global_avg(mien__planner *p, const mien__node *n, bool *ret_taken)
{
    unsigned mask = 0;
    mien__step *s = NULL;
    if (!mien__plan_has_blocked(p, n->inputs[0]) || !mien__plan_blockable(p, n->outputs[0]))
        return MIEN_OK;
    if (n->op == MIEN__OP_ReduceMean && (mien__op_axes_mask(n, 4, true, &mask, NULL) || mask != 0xc))
        return MIEN_OK;
    *ret_taken = true;
    return mien__plan_step_of(p, n, run_global_avg, n->inputs, 1, MIEN__BLOCKED, n->outputs[0], MIEN__BLOCKED,
                              "global_avg", &s);
}

static void run_upsample(const mien__step *s, mien__pool *pool)
{
    s->k->upsample_nearest(s->u.e.n, s->u.e.c, s->u.e.ih, s->u.e.iw, s->u.e.fh, s->u.e.fw, s->src[0]->data,
                           s->dst->data, pool);
}

/* Nearest neighbour by whole factors, whatever the rounding rule calls it. */
static mien_status lower_resize(mien__planner *p, const mien__node *n, bool *ret_taken)
{
    const mien__tensor *x = &p->v[n->inputs[0]].t, *y = &p->v[n->outputs[0]].t;
    const mien__tensor *in[2] = { x, &p->v[n->inputs[1]].t };
    mien__step *s = NULL;
    if (!mien__plan_has_blocked(p, n->inputs[0]) || !mien__plan_blockable(p, n->outputs[0]) ||
        mien__node_int(n, MIEN__ATTR_MODE, 0) != 0)
        return MIEN_OK;
    for (int axis = 2; axis < 4; axis++) {
        const int64_t f = y->dims[axis] / x->dims[axis];
        if (f < 1 || y->dims[axis] % x->dims[axis])
            return MIEN_OK;
        for (int64_t o = 0; o < y->dims[axis]; o++)
            if (mien__resize_nearest(n, in, y, axis, o) != o / f)
                return MIEN_OK;
    }
    *ret_taken = true;
    const mien_status st = mien__plan_step_of(p, n, run_upsample, n->inputs, 1, MIEN__BLOCKED, n->outputs[0],
                                              MIEN__BLOCKED, "upsample", &s);
    if (st)
        return st;
    s->u.e.ih = (int)x->dims[2];
    s->u.e.iw = (int)x->dims[3];
    s->u.e.fh = (int)(y->dims[2] / x->dims[2]);
    s->u.e.fw = (int)(y->dims[3] / x->dims[3]);
    return MIEN_OK;
}

mien_status mien__plan_lower_fast(mien__planner *p, uint32_t node, bool *ret_taken)
{
    const mien__node *n = &p->g->nodes[node];
    switch (n->op) {
    case MIEN__OP_Conv:
        return mien__plan_lower_conv(p, node, ret_taken);
    case MIEN__OP_Gemm:
    case MIEN__OP_MatMul:
        return mien__plan_lower_fc(p, node, ret_taken);
    case MIEN__OP_Affine:
        return lower_affine(p, n, ret_taken);
    case MIEN__OP_PRelu:
        return lower_prelu(p, n, ret_taken);
    case MIEN__OP_Add:
    case MIEN__OP_Sub:
    case MIEN__OP_Mul:
    case MIEN__OP_Div:
    case MIEN__OP_Max:
    case MIEN__OP_Min:
        return lower_binary(p, n, ret_taken);
    case MIEN__OP_MaxPool:
    case MIEN__OP_AvgPool:
        return lower_pool(p, n, ret_taken);
    case MIEN__OP_GlobalAvgPool:
    case MIEN__OP_ReduceMean:
        return lower_global_avg(p, n, ret_taken);
    case MIEN__OP_Resize:
        return lower_resize(p, n, ret_taken);
    case MIEN__OP_Concat:
        return mien__plan_lower_concat(p, n, ret_taken);
    case MIEN__OP_Split:
        return mien__plan_lower_split(p, n, ret_taken);
    case MIEN__OP_Transpose:
        return mien__plan_lower_transpose(p, n, ret_taken);
    default:
        return lower_activation(p, n, ret_taken);
    }
}
