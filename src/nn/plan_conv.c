/* Lowering of convolutions and fully connected layers, with what can be fused into them.
 *
 * Behind a convolution: activation, then an Add of a tensor that exists already, then a second activation,
 * then a maximum of each 2x2, as far as each value has no other reader. In front: an Affine (batch
 * normalisation before a padded convolution). When the kernel table refuses, fusions are taken back one by
 * one.
 */
#include "nn/plan.h"
#include "nn/lower.h"
#include "nn/ops/op_table.h"
#include "nn/ops/op_util.h"
#include <stdio.h>
#include <string.h>

enum { MAX_STAGES = 4 }; /* activation, residual, second activation, pooling */

/* What may be fused behind an operation; stage i is the state after i fusions. */
typedef struct fusion {
    int n;
    uint32_t node[MAX_STAGES + 1]; /* absorbed nodes, in order */
    uint32_t out[MAX_STAGES + 1];  /* value made after each stage */
    mien__post post[MAX_STAGES + 1];
    const float *slope[MAX_STAGES + 1], *slope2[MAX_STAGES + 1];
    uint32_t residual;
    int pool_at; /* the stage that pools; 0 where none does */
} fusion;

/* A per-channel PRelu or an elementwise activation; slopes in *ret_slope. */
static bool activation_of(const mien__planner *p, const mien__node *n, int64_t channels, mien__act *ret_act,
                          float *ret_alpha, float *ret_beta, const float **ret_slope)
{
    *ret_slope = NULL;
    if (n->op != MIEN__OP_PRelu)
        return mien__act_of(n, ret_act, ret_alpha, ret_beta);
    const float *slope = mien__plan_const_f32(p, n->inputs[1]);
    const int64_t count = mien__tensor_elems(&p->v[n->inputs[1]].t);
    if (!slope || (count != 1 && count != channels))
        return false;
    *ret_act = count == 1 ? MIEN__ACT_LEAKY : MIEN__ACT_PRELU;
    *ret_alpha = count == 1 ? slope[0] : 0.0f;
    *ret_beta = 0.0f;
    *ret_slope = count == 1 ? NULL : slope;
    return true;
}

static bool same_dims(const mien__tensor *a, const mien__tensor *b)
{
    return a->rank == b->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]) == 0;
}

/* Follow the sole readers of `out`. */
static void find_fusions(const mien__planner *p, uint32_t out, int64_t channels, bool residuals, fusion *f)
{
    mien__act act = MIEN__ACT_NONE;
    float alpha = 0.0f, beta = 0.0f;
    const float *slope = NULL;
    *f = (fusion){ .residual = MIEN__NO_VALUE };
    f->out[0] = out;
    uint32_t user = mien__plan_sole_user(p, out);
    if (user == MIEN__NO_NODE)
        return;
    const mien__node *n = &p->g->nodes[user];
    if (n->inputs[0] == out && activation_of(p, n, channels, &act, &alpha, &beta, &slope)) {
        f->post[1] = (mien__post){ .act = act, .alpha = alpha, .beta = beta };
        f->slope[1] = slope;
        f->n = 1;
        f->node[0] = user;
        f->out[1] = n->outputs[0];
    }
    user = residuals ? mien__plan_sole_user(p, f->out[f->n]) : MIEN__NO_NODE;
    if (user == MIEN__NO_NODE || p->g->nodes[user].op != MIEN__OP_Add)
        return;
    n = &p->g->nodes[user];
    const uint32_t other = n->inputs[0] == f->out[f->n] ? n->inputs[1] : n->inputs[0];
    if (!same_dims(&p->v[other].t, &p->v[out].t) || p->v[other].t.data || !mien__plan_ready(p, other))
        return;
    const int at = f->n++;
    f->post[at + 1] = f->post[at];
    f->post[at + 1].residual = true;
    f->slope[at + 1] = f->slope[at];
    f->node[at] = user;
    f->out[at + 1] = n->outputs[0];
    f->residual = other;
    user = mien__plan_sole_user(p, f->out[f->n]);
    if (user == MIEN__NO_NODE)
        return;
    n = &p->g->nodes[user];
    if (n->inputs[0] != f->out[f->n] || !activation_of(p, n, channels, &act, &alpha, &beta, &slope) ||
        (act != MIEN__ACT_RELU && act != MIEN__ACT_PRELU))
        return;
    f->post[f->n + 1] = f->post[f->n];
    f->post[f->n + 1].act2 = act;
    f->slope[f->n + 1] = f->slope[f->n];
    f->slope2[f->n + 1] = slope;
    f->node[f->n] = user;
    f->out[f->n + 1] = n->outputs[0];
    f->n++;
}

/* A 2x2 maximum at stride 2 behind everything else; a last odd row or column is dropped. */
static void find_pool(const mien__planner *p, fusion *f)
{
    const uint32_t user = mien__plan_sole_user(p, f->out[f->n]);
    if (user == MIEN__NO_NODE || p->g->nodes[user].op != MIEN__OP_MaxPool)
        return;
    const mien__node *n = &p->g->nodes[user];
    const mien__window w = mien__op_window_checked(n, 0, 0);
    const mien__tensor *x = &p->v[f->out[f->n]].t, *y = &p->v[n->outputs[0]].t;
    if (w.kh != 2 || w.kw != 2 || w.sh != 2 || w.sw != 2 || w.dh != 1 || w.dw != 1 || w.pt || w.pl ||
        y->dims[2] != x->dims[2] / 2 || y->dims[3] != x->dims[3] / 2)
        return;
    const int at = f->n++;
    f->post[at + 1] = f->post[at];
    f->slope[at + 1] = f->slope[at];
    f->slope2[at + 1] = f->slope2[at];
    f->node[at] = user;
    f->out[at + 1] = n->outputs[0];
    f->pool_at = at + 1;
}

/* "Affine+Conv+PRelu+Add" */
static const char *fused_name(mien__planner *p, bool affine, const mien__node *n, const fusion *f, int stages)
{
    char text[128];
    int at = snprintf(text, sizeof text, "%s%s", affine ? "Affine+" : "", mien__op_name(n->op));
    for (int i = 0; i < stages && at > 0 && at < (int)sizeof text; i++)
        at += snprintf(text + at, sizeof text - (size_t)at, "+%s", mien__op_name(p->g->nodes[f->node[i]].op));
    return mien__arena_strndup(p->plan->meta, text, strlen(text));
}

/* FNV-1a over what decides how weights are packed. */
static uint64_t hash_bytes(uint64_t h, const void *data, size_t n)
{
    const uint8_t *b = data;
    for (size_t i = 0; i < n; i++)
        h = (h ^ b[i]) * 1099511628211u;
    return h;
}

static uint64_t hash_ints(const int *v, size_t n)
{
    return hash_bytes(14695981039346656037u, v, n * sizeof *v);
}

typedef struct conv_pack_ctx {
    const mien__kernels *k;
    const mien__conv_plan *plan;
    const mien__conv_weights *w;
} conv_pack_ctx;

static void pack_conv(void *ctx, void *dst)
{
    const conv_pack_ctx *c = ctx;
    c->k->conv_pack(c->plan, c->w, dst);
}

/* The node as the table wants it; false where a tensor has no blocked form. */
static bool describe_conv(const mien__planner *p, const mien__node *n, mien__conv *ret)
{
    const mien__tensor *x = &p->v[n->inputs[0]].t, *w = &p->v[n->inputs[1]].t, *y = &p->v[n->outputs[0]].t;
    if (!mien__plan_bytes(p, x, MIEN__BLOCKED) || !mien__plan_bytes(p, y, MIEN__BLOCKED))
        return false;
    mien__conv_of(n, x, w, y, ret);
    return true;
}

/* Find the most fused form the table takes. */
static bool choose(const mien__planner *p, const mien__conv *base, const fusion *f, bool affine,
                   mien__conv_plan *ret, int *ret_stages, bool *ret_affine)
{
    for (int pre = affine ? 1 : 0; pre >= 0; pre--)
        for (int stage = f->n; stage >= 0; stage--) {
            mien__conv c = *base;
            c.post = f->post[stage];
            c.pool = stage > 0 && stage == f->pool_at;
            c.pre_affine = pre != 0;
            if (p->k->conv_plan(&c, p->threads, ret)) {
                *ret_stages = stage;
                *ret_affine = pre != 0;
                return true;
            }
        }
    return false;
}

static mien_status bind_weights(mien__planner *p, uint32_t node, mien__step *s, const mien__conv_weights *w)
{
    const mien__conv_plan *cp = &s->u.conv;
    const conv_pack_ctx ctx = { p->k, cp, w };
    int id[18] = { (int)node,
                   cp->algo,
                   (int)(cp->packed_bytes & 0x7fffffff),
                   cp->c.pre_affine,
                   cp->c.src_plain,
                   (int)cp->c.post.act,
                   (int)cp->c.post.act2,
                   p->k->block,
                   cp->c.post.residual };
    memcpy(id + 9, cp->tune, sizeof cp->tune);
    s->packed_bytes = cp->packed_bytes;
    s->scratch_bytes = cp->scratch_bytes;
    return mien__model_packed(p->model, hash_ints(id, MIEN_COUNTOF(id)), cp->packed_bytes, pack_conv,
                              (void *)(uintptr_t)&ctx, &s->packed, p->err);
}

static void run_conv(const mien__step *s, mien__pool *pool)
{
    s->k->conv_run(&s->u.conv, s->packed, s->src[0]->data, s->src[1] ? s->src[1]->data : NULL, s->dst->data,
                   s->scratch, pool);
}

mien_status mien__plan_lower_conv(mien__planner *p, uint32_t node, bool *ret_taken)
{
    const mien__node *n = &p->g->nodes[node];
    mien__conv base;
    mien__conv_plan cp;
    fusion f;
    int stages = 0;
    bool affine = false;
    uint32_t src = n->inputs[0], src_slot = 0, res_slot = MIEN__NO_SLOT, out_slot = 0;
    const uint32_t bias_in = n->n_inputs > 2 ? n->inputs[2] : (uint32_t)MIEN__NO_VALUE;
    mien__conv_weights w = { .w = mien__plan_const_f32(p, n->inputs[1]),
                             .bias = mien__plan_const_f32(p, bias_in) };
    mien_status st = MIEN_OK;
    if (!w.w || (bias_in != (uint32_t)MIEN__NO_VALUE && !w.bias) || !describe_conv(p, n, &base))
        return MIEN_OK;
    const mien__pvalue *x = &p->v[src];
    const bool blocked = x->slot[MIEN__BLOCKED] != MIEN__NO_SLOT;
    const uint32_t pending =
        x->slot[MIEN__PLAIN] == MIEN__NO_SLOT && !blocked ? x->pending_affine : MIEN__NO_NODE;
    base.src_plain = base.ic <= 4 && base.groups == 1 && !blocked && pending == MIEN__NO_NODE;
    find_fusions(p, n->outputs[0], base.oc, true, &f);
    find_pool(p, &f);
    if (!choose(p, &base, &f, pending != MIEN__NO_NODE, &cp, &stages, &affine)) {
        if (!base.src_plain)
            return MIEN_OK;
        base.src_plain = false;
        if (!choose(p, &base, &f, false, &cp, &stages, &affine))
            return MIEN_OK;
    }
    if (affine) {
        const mien__node *a = &p->g->nodes[pending];
        src = a->inputs[0];
        w.pre_scale = mien__plan_const_f32(p, a->inputs[1]);
        w.pre_shift = mien__plan_const_f32(p, a->inputs[2]);
    }
    w.slope = f.slope[stages];
    w.slope2 = f.slope2[stages];
    if ((st = mien__plan_need(p, src, base.src_plain ? MIEN__PLAIN : MIEN__BLOCKED, &src_slot)) ||
        (cp.c.post.residual && (st = mien__plan_need(p, f.residual, MIEN__BLOCKED, &res_slot))) ||
        (st = mien__plan_slot(p, f.out[stages], MIEN__BLOCKED, &out_slot)))
        return st;
    mien__step *s = NULL;
    if ((st = mien__plan_step(p, n, run_conv, 2, 1, &s)))
        return st;
    s->in[0] = src_slot;
    s->in[1] = res_slot;
    s->out[0] = out_slot;
    s->u.conv = cp;
    s->kernel = cp.kernel;
    s->mmac =
        (double)cp.c.n * cp.c.oc * cp.c.oh * cp.c.ow * (cp.c.ic / cp.c.groups) * cp.c.kh * cp.c.kw * 1e-6;
    s->op = fused_name(p, affine, n, &f, stages);
    for (int i = 0; i < stages; i++)
        p->done[f.node[i]] = true;
    *ret_taken = true;
    return s->op ? bind_weights(p, node, s, &w) : mien__nomem(p->err, 128);
}

/* ---- fully connected ---- */

typedef struct fc_pack_ctx {
    const mien__kernels *k;
    int m, kk;
    const float *w, *bias;
} fc_pack_ctx;

static void pack_fc(void *ctx, void *dst)
{
    const fc_pack_ctx *c = ctx;
    c->k->fc_pack(c->m, c->kk, c->w, c->bias, dst);
}

static void run_fc(const mien__step *s, mien__pool *pool)
{
    s->k->fc_run(s->u.fc.n, s->u.fc.m, s->u.fc.k, s->packed, s->slope, &s->u.fc.post, s->src[0]->data,
                 s->dst->data, pool);
}

/* A MatMul's weights are [k][m]; packing wants [m][k]. The memory is the plan's. */
static const float *transposed(mien__planner *p, const float *w, int64_t k, int64_t m)
{
    float *t = mien_alloc_array((size_t)(k * m), sizeof *t);
    for (int64_t i = 0; t && i < k; i++)
        for (int64_t j = 0; j < m; j++)
            t[j * k + i] = w[i * m + j];
    (void)p;
    return t;
}

/* MatMul followed by the Add of a vector: a bias. */
static const float *bias_behind(const mien__planner *p, uint32_t *out, int64_t m, uint32_t *ret_node)
{
    const uint32_t user = mien__plan_sole_user(p, *out);
    if (user == MIEN__NO_NODE || p->g->nodes[user].op != MIEN__OP_Add)
        return NULL;
    const mien__node *n = &p->g->nodes[user];
    const uint32_t other = n->inputs[0] == *out ? n->inputs[1] : n->inputs[0];
    const float *bias = mien__plan_const_f32(p, other);
    if (!bias || p->v[other].t.rank != 1 || p->v[other].t.dims[0] != m)
        return NULL;
    *out = n->outputs[0];
    *ret_node = user;
    return bias;
}

mien_status mien__plan_lower_fc(mien__planner *p, uint32_t node, bool *ret_taken)
{
    const mien__node *n = &p->g->nodes[node];
    const bool gemm = n->op == MIEN__OP_Gemm;
    const mien__tensor *wt = &p->v[n->inputs[1]].t;
    const uint32_t bias_in = gemm && n->n_inputs > 2 ? n->inputs[2] : (uint32_t)MIEN__NO_VALUE;
    const float *w = mien__plan_const_f32(p, n->inputs[1]), *bias = mien__plan_const_f32(p, bias_in),
                *own = NULL;
    uint32_t out = n->outputs[0], bias_node = MIEN__NO_NODE, in_slot = 0, out_slot = 0;
    mien_status st = MIEN_OK;
    fusion f;
    if (!w || wt->rank != 2 || (bias_in != (uint32_t)MIEN__NO_VALUE && !bias))
        return MIEN_OK;
    const int64_t k = gemm ? wt->dims[1] : wt->dims[0], m = gemm ? wt->dims[0] : wt->dims[1];
    const int64_t rows = mien__tensor_elems(&p->v[out].t) / (m > 0 ? m : 1);
    if (k < 1 || m < 1 || k > INT32_MAX / 2 || m > INT32_MAX / 2 || rows < 1 || rows > INT32_MAX / 2)
        return MIEN_OK;
    if (!gemm)
        bias = bias_behind(p, &out, m, &bias_node);
    find_fusions(p, out, p->v[out].t.rank == 2 ? m : -1, false, &f);
    if ((st = mien__plan_need(p, n->inputs[0], MIEN__PLAIN, &in_slot)) ||
        (st = mien__plan_slot(p, f.out[f.n], MIEN__PLAIN, &out_slot)))
        return st;
    mien__step *s = NULL;
    if ((st = mien__plan_step(p, n, run_fc, 1, 1, &s)))
        return st;
    s->in[0] = in_slot;
    s->out[0] = out_slot;
    s->u.fc.n = (int)rows;
    s->u.fc.m = (int)m;
    s->u.fc.k = (int)k;
    s->u.fc.post = f.post[f.n];
    s->slope = f.slope[f.n];
    s->mmac = (double)rows * (double)m * (double)k * 1e-6;
    s->op = fused_name(p, false, n, &f, f.n);
    s->kernel = mien__plan_kernel_name(p, "fc");
    if (!s->op || !s->kernel || (!gemm && !(own = transposed(p, w, k, m))))
        return mien__nomem(p->err, (size_t)(k * m) * sizeof *own);
    const int id[4] = { (int)node, p->k->block, -1, bias != NULL };
    const fc_pack_ctx ctx = { p->k, (int)m, (int)k, own ? own : w, bias };
    s->packed_bytes = p->k->fc_packed_bytes((int)m, (int)k);
    st = mien__model_packed(p->model, hash_ints(id, MIEN_COUNTOF(id)), s->packed_bytes, pack_fc,
                            (void *)(uintptr_t)&ctx, &s->packed, p->err);
    mien_free((void *)(uintptr_t)own);
    for (int i = 0; i < f.n; i++)
        p->done[f.node[i]] = true;
    if (bias_node != MIEN__NO_NODE)
        p->done[bias_node] = true;
    *ret_taken = true;
    return st;
}

/* ---- per-channel constants ---- */

typedef struct channels_ctx {
    const float *src;
    int64_t n, channels, padded;
} channels_ctx;

static void pack_channels(void *ctx, void *dst)
{
    const channels_ctx *c = ctx;
    float *d = dst;
    for (int64_t i = 0; i < c->padded; i++)
        d[i] = i < c->channels ? c->src[c->n == 1 ? 0 : i] : 0.0f;
}

mien_status mien__plan_channels(mien__planner *p, uint32_t v, int64_t channels, const float **ret)
{
    const int64_t b = p->k->block, padded = (channels + b - 1) / b * b;
    const channels_ctx ctx = { mien__plan_const_f32(p, v), mien__tensor_elems(&p->v[v].t), channels, padded };
    const int id[4] = { (int)v, p->k->block, -2, (int)channels };
    const void *data = NULL;
    const mien_status st =
        mien__model_packed(p->model, hash_ints(id, MIEN_COUNTOF(id)), (size_t)padded * sizeof(float),
                           pack_channels, (void *)(uintptr_t)&ctx, &data, p->err);
    *ret = data;
    return st;
}
