/* Lowering with fast kernels: everything but convolutions and fully connected layers (plan_conv.c).
 *
 * Operators on blocked tensors are taken when their input is blocked already; a plain tensor is blocked for them only
 * where that pays (pooling). Lanes past the last channel stay finite: no division or logarithm runs over them.
 */
#include "nn/plan.h"
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"
#include <string.h>

bool mien__plan_activation(const mien__planner *p, const mien__node *n, mien__act *ret_act, float *ret_alpha,
                           float *ret_beta)
{
    static const struct {
        mien__op op;
        mien__act act;
    } kinds[] = {
        { MIEN__OP_Relu, MIEN__ACT_RELU },       { MIEN__OP_LeakyRelu, MIEN__ACT_LEAKY },
        { MIEN__OP_Sigmoid, MIEN__ACT_SIGMOID }, { MIEN__OP_Tanh, MIEN__ACT_TANH },
        { MIEN__OP_HardSigmoid, MIEN__ACT_HSIGMOID }, { MIEN__OP_HardSwish, MIEN__ACT_HSWISH },
        { MIEN__OP_Clip, MIEN__ACT_CLIP },       { MIEN__OP_Gelu, MIEN__ACT_GELU },
    };
    (void)p;
    for (size_t i = 0; i < MIEN_COUNTOF(kinds); i++)
        if (kinds[i].op == n->op) {
            *ret_act = kinds[i].act;
            mien__unary_params(n, ret_alpha, ret_beta);
            return true;
        }
    return false;
}

static bool has_blocked(const mien__planner *p, uint32_t v)
{
    return p->v[v].slot[MIEN__BLOCKED] != MIEN__NO_SLOT;
}

static bool blockable(const mien__planner *p, uint32_t v)
{
    return mien__plan_bytes(p, &p->v[v].t, MIEN__BLOCKED) != 0;
}

/* Append a step of one or two inputs in a layout. */
static mien_status step_of(mien__planner *p, const mien__node *n, mien__step_fn run, const uint32_t *in, uint32_t n_in,
                           int in_layout, uint32_t out, int out_layout, const char *kernel, mien__step **ret)
{
    uint32_t slot[2] = { 0, 0 }, out_slot = 0;
    mien_status st = MIEN_OK;
    for (uint32_t i = 0; i < n_in; i++)
        if ((st = mien__plan_need(p, in[i], in_layout, &slot[i])))
            return st;
    if ((st = mien__plan_slot(p, out, out_layout, &out_slot)) || (st = mien__plan_step(p, n, run, n_in, 1, ret)))
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
    s->k->affine(s->u.e.n, s->u.e.c, s->u.e.hw, s->u.e.scale, s->u.e.shift, &s->u.e.post, s->slope, s->src[0]->data,
                 s->dst->data, pool);
}

static mien_status emit_affine(mien__planner *p, const mien__node *n, uint32_t out)
{
    const float *scale = NULL, *shift = NULL;
    const uint32_t x = n->inputs[0];
    mien__step *s = NULL;
    mien_status st = mien__plan_channels(p, n->inputs[1], p->v[x].t.dims[1], &scale);
    if (st || (st = mien__plan_channels(p, n->inputs[2], p->v[x].t.dims[1], &shift)) ||
        (st = step_of(p, n, run_affine, &x, 1, MIEN__BLOCKED, out, MIEN__BLOCKED, "affine", &s)))
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
    if (!blockable(p, n->inputs[0]) || !mien__plan_const_f32(p, n->inputs[1]) || !mien__plan_const_f32(p, n->inputs[2]))
        return MIEN_OK;
    const uint32_t user = mien__plan_sole_user(p, n->outputs[0]);
    *ret_taken = true;
    if (user != MIEN__NO_NODE && p->g->nodes[user].op == MIEN__OP_Conv && p->g->nodes[user].inputs[0] == n->outputs[0]) {
        p->v[n->outputs[0]].pending_affine = (uint32_t)(n - p->g->nodes); /* the convolution may take it in */
        return MIEN_OK;
    }
    if (!has_blocked(p, n->inputs[0]) && p->v[n->inputs[0]].t.dims[2] * p->v[n->inputs[0]].t.dims[3] == 1) {
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
    if (!has_blocked(p, x) || !mien__plan_const_f32(p, n->inputs[1]))
        return MIEN_OK;
    *ret_taken = true;
    if ((st = mien__plan_channels(p, n->inputs[1], p->v[x].t.dims[1], &slope)) ||
        (st = step_of(p, n, run_affine, &x, 1, MIEN__BLOCKED, n->outputs[0], MIEN__BLOCKED, "affine", &s)))
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
    if (!mien__plan_activation(p, n, &act, &alpha, &beta) || mien__tensor_elems(&p->v[n->inputs[0]].t) < 1)
        return MIEN_OK;
    const int layout = has_blocked(p, n->inputs[0]) ? MIEN__BLOCKED : MIEN__PLAIN;
    const mien_status st = step_of(p, n, run_activate, n->inputs, 1, layout, n->outputs[0], layout, "activate", &s);
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
    return x->rank == 4 && g->rank == 4 && g->dims[0] == x->dims[0] && g->dims[1] == x->dims[1] && g->dims[2] == 1 &&
           g->dims[3] == 1;
}

static mien_status lower_gate(mien__planner *p, const mien__node *n, bool *ret_taken)
{
    for (int i = 0; i < 2; i++) {
        const uint32_t in[2] = { n->inputs[i], n->inputs[1 - i] };
        mien__step *s = NULL;
        if (!has_blocked(p, in[0]) || !is_gate(&p->v[in[0]].t, &p->v[in[1]].t) || !blockable(p, in[1]))
            continue;
        *ret_taken = true;
        return step_of(p, n, run_gate, in, 2, MIEN__BLOCKED, n->outputs[0], MIEN__BLOCKED, "scale_channels", &s);
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
    const bool blocked = (has_blocked(p, a) || has_blocked(p, b)) && (n->op != MIEN__OP_Div || whole);
    const int layout = blocked ? MIEN__BLOCKED : MIEN__PLAIN;
    uint32_t out = n->outputs[0];
    const uint32_t user = mien__plan_sole_user(p, out);
    const bool fuse = user != MIEN__NO_NODE && mien__plan_activation(p, &p->g->nodes[user], &act, &alpha, &beta);
    if (fuse) {
        out = p->g->nodes[user].outputs[0];
        p->done[user] = true;
    }
    const mien_status st = step_of(p, n, run_binary, n->inputs, 2, layout, out, layout, "binary", &s);
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
    if (w.dh != 1 || w.dw != 1 || !blockable(p, n->inputs[0]))
        return MIEN_OK;
    *ret_taken = true;
    const mien_status st = step_of(p, n, run_pool, n->inputs, 1, MIEN__BLOCKED, n->outputs[0], MIEN__BLOCKED, "pool", &s);
    if (st)
        return st;
    s->u.pool = (mien__pool2d){
        .n = (int)x->dims[0], .c = (int)x->dims[1], .ih = (int)x->dims[2], .iw = (int)x->dims[3],
        .oh = (int)y->dims[2], .ow = (int)y->dims[3], .kh = (int)w.kh, .kw = (int)w.kw, .sh = (int)w.sh, .sw = (int)w.sw,
        .pt = (int)w.pt, .pl = (int)w.pl, .pb = (int)w.pb, .pr = (int)w.pr,
        .is_max = n->op == MIEN__OP_MaxPool, .count_pad = mien__node_int(n, MIEN__ATTR_COUNT_PAD, 0) != 0,
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
    if (!has_blocked(p, n->inputs[0]) || !blockable(p, n->outputs[0]))
        return MIEN_OK;
    if (n->op == MIEN__OP_ReduceMean && (mien__op_axes_mask(n, 4, true, &mask, NULL) || mask != 0xc))
        return MIEN_OK;
    *ret_taken = true;
    return step_of(p, n, run_global_avg, n->inputs, 1, MIEN__BLOCKED, n->outputs[0], MIEN__BLOCKED, "global_avg", &s);
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
    if (!has_blocked(p, n->inputs[0]) || !blockable(p, n->outputs[0]) || mien__node_int(n, MIEN__ATTR_MODE, 0) != 0)
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
    const mien_status st =
        step_of(p, n, run_upsample, n->inputs, 1, MIEN__BLOCKED, n->outputs[0], MIEN__BLOCKED, "upsample", &s);
    if (st)
        return st;
    s->u.e.ih = (int)x->dims[2];
    s->u.e.iw = (int)x->dims[3];
    s->u.e.fh = (int)(y->dims[2] / x->dims[2]);
    s->u.e.fw = (int)(y->dims[3] / x->dims[3]);
    return MIEN_OK;
}

/* ---- moving data ---- */

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

static mien_status lower_concat(mien__planner *p, const mien__node *n, bool *ret_taken)
{
    int axis = 0;
    bool any = false;
    uint32_t slot = 0;
    mien__step *s = NULL;
    mien_status st = MIEN_OK;
    const mien__tensor *y = &p->v[n->outputs[0]].t;
    if (!blockable(p, n->outputs[0]) || mien__op_axis(n, mien__node_int(n, MIEN__ATTR_AXIS, 0), y->rank, &axis, NULL) ||
        axis != 1)
        return MIEN_OK;
    for (uint32_t i = 0; i < n->n_inputs; i++) {
        any = any || has_blocked(p, n->inputs[i]);
        if (!blockable(p, n->inputs[i]) || (i + 1 < n->n_inputs && p->v[n->inputs[i]].t.dims[1] % p->k->block))
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

/* Split of channels: nothing moves. Of one picture at whole blocks, the parts are views; else whoever reads a part
 * takes its channels out of the whole. */
static mien_status lower_split(mien__planner *p, const mien__node *n, bool *ret_taken)
{
    int axis = 0, from = 0;
    const mien__tensor *x = &p->v[n->inputs[0]].t;
    size_t at = 0;
    bool whole = x->dims[0] == 1;
    if (!has_blocked(p, n->inputs[0]) ||
        mien__op_axis(n, mien__node_int(n, MIEN__ATTR_AXIS, 0), x->rank, &axis, NULL) || axis != 1)
        return MIEN_OK;
    for (uint32_t i = 0; i < n->n_outputs; i++) {
        if (!blockable(p, n->outputs[i]))
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
        const mien_status st =
            mien__plan_view(p, n->outputs[i], MIEN__BLOCKED, p->v[n->inputs[0]].slot[MIEN__BLOCKED], at, &slot);
        if (st)
            return st;
        at += mien__plan_bytes(p, &v->t, MIEN__BLOCKED);
    }
    return MIEN_OK;
}

/* Channels [c_from, c_from + c) of a blocked tensor; `st_c` and `st_p` are the steps of the output from channel to
 * channel and from pixel to pixel. */
static void take_channels(const mien__step *s, size_t st_c, size_t st_p)
{
    const size_t b = (size_t)s->k->block, hw = (size_t)s->u.e.hw, count = (size_t)s->u.e.c, from = (size_t)s->u.e.c_from;
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
    const mien_status st =
        step_of(p, NULL, run_part_to_plain, &whole, 1, MIEN__BLOCKED, v, MIEN__PLAIN, "part_to_plain", &s);
    if (st)
        return st;
    s->u.e.c = (int)p->v[v].t.dims[1];
    s->u.e.c_from = p->v[v].c_from;
    return MIEN_OK;
}

static mien_status lower_transpose(mien__planner *p, const mien__node *n, bool *ret_taken)
{
    int perm[MIEN_MAX_RANK];
    const mien__pvalue *v = &p->v[n->inputs[0]];
    const mien__tensor *x = &v->t;
    const bool part = v->part_of != (uint32_t)MIEN__NO_VALUE;
    const uint32_t from = part ? v->part_of : n->inputs[0];
    mien__step *s = NULL;
    if ((!part && !has_blocked(p, n->inputs[0])) || !mien__transpose_perm(n, 4, perm))
        return MIEN_OK;
    const bool nhwc = perm[0] == 0 && perm[1] == 2 && perm[2] == 3 && perm[3] == 1;
    const bool hwnc = perm[0] == 2 && perm[1] == 3 && perm[2] == 0 && perm[3] == 1 && x->dims[0] == 1;
    if (!nhwc && !hwnc)
        return MIEN_OK;
    *ret_taken = true;
    const mien_status st =
        step_of(p, n, run_to_nhwc, &from, 1, MIEN__BLOCKED, n->outputs[0], MIEN__PLAIN, "to_nhwc", &s);
    if (st)
        return st;
    s->u.e.c = (int)x->dims[1];
    s->u.e.c_from = v->c_from;
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
        return lower_concat(p, n, ret_taken);
    case MIEN__OP_Split:
        return lower_split(p, n, ret_taken);
    case MIEN__OP_Transpose:
        return lower_transpose(p, n, ret_taken);
    default:
        return lower_activation(p, n, ret_taken);
    }
}
