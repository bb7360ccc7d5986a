/* Folding per-channel scale and shift into weights.
 *
 * Batch normalisation with constant statistics becomes an Affine first. Affine and Mul / Add / Sub / Div by a
 * constant per channel are one thing: y = a[c] x
 * + b[c]. Behind a Conv or Gemm that nobody else reads they go into its weights; in front of a Conv without
 * padding as well; two in a row become one; a lone one over a value whose channels are known becomes an
 * Affine node, which the planner can fuse. In front of a padded Conv it must stay: the padding is zero after
 * it, not before.
 */
#include "nn/ops/batch_norm/batch_norm.h"
#include "nn/simplify.h"
#include <math.h>
#include <string.h>

enum { TRACE_DEPTH = 64 };

/* y = a[c] x + b[c]; n is 1 (same for every channel) or the channels. NULL a: 1, NULL b: 0. */
typedef struct affine {
    const float *a, *b;
    int64_t n_a, n_b;
    bool inverse_a, negative_b; /* Div and Sub */
    uint32_t x;                 /* what it is applied to */
    int const_rank;
} affine;

static float scale_at(const affine *f, int64_t c)
{
    const float v = f->a ? f->a[f->n_a == 1 ? 0 : c] : 1.0f;
    return f->inverse_a ? 1.0f / v : v;
}

static float shift_at(const affine *f, int64_t c)
{
    const float v = f->b ? f->b[f->n_b == 1 ? 0 : c] : 0.0f;
    return f->negative_b ? -v : v;
}

/* Constant of shape [], [1..], [C,1,1] or [1,C,1,1]: one value per channel of a rank-4 tensor (or [1,C]/[C]
 * when `matrix`). */
static bool per_channel(const mien__value *v, bool matrix)
{
    const int64_t n = mien__value_elems(v);
    if (n == 1)
        return v->rank <= (matrix ? 2 : 4);
    if (matrix)
        return v->rank >= 1 && v->rank <= 2 && v->dims[v->rank - 1] == n;
    return (v->rank == 3 && v->dims[0] == n) || (v->rank == 4 && v->dims[1] == n);
}

/* Read a node as an affine map. */
static bool as_affine(const mien__simp *s, const mien__node *n, bool matrix, affine *ret)
{
    int64_t k = 0;
    *ret = (affine){ .x = n->inputs[0] };
    if (n->op == MIEN__OP_Affine) {
        ret->a = mien__simp_const(s, n->inputs[1], &ret->n_a);
        ret->b = mien__simp_const(s, n->inputs[2], &ret->n_b);
        return ret->a && ret->b;
    }
    if (n->op != MIEN__OP_Mul && n->op != MIEN__OP_Add && n->op != MIEN__OP_Sub && n->op != MIEN__OP_Div)
        return false;
    uint32_t arg = n->inputs[1];
    if ((n->op == MIEN__OP_Mul || n->op == MIEN__OP_Add) && mien__simp_const(s, n->inputs[0], &k)) {
        arg = n->inputs[0];
        ret->x = n->inputs[1];
    }
    const float *data = mien__simp_const(s, arg, &k);
    if (!data || s->g->values[ret->x].data || !per_channel(&s->g->values[arg], matrix))
        return false;
    ret->const_rank = s->g->values[arg].rank;
    if (n->op == MIEN__OP_Mul || n->op == MIEN__OP_Div) {
        ret->a = data;
        ret->n_a = k;
        ret->inverse_a = n->op == MIEN__OP_Div;
    } else {
        ret->b = data;
        ret->n_b = k;
        ret->negative_b = n->op == MIEN__OP_Sub;
    }
    return true;
}

static bool fits(const affine *f, int64_t channels)
{
    return (!f->a || f->n_a == 1 || f->n_a == channels) && (!f->b || f->n_b == 1 || f->n_b == channels);
}

/* Channels of a rank-4 value as far as the graph tells, else -1. */
static int64_t channels_of(const mien__simp *s, uint32_t v, int depth)
{
    const mien__value *x = &s->g->values[v];
    const mien__node *n = mien__simp_made_by(s, v, MIEN__OP_NONE);
    if (!n)
        return x->rank == 4 ? x->dims[1] : -1;
    if (depth > TRACE_DEPTH)
        return -1;
    switch (n->op) {
    case MIEN__OP_Conv:
        return s->g->values[n->inputs[1]].rank == 4 ? s->g->values[n->inputs[1]].dims[0] : -1;
    case MIEN__OP_Add: {
        const int64_t a = channels_of(s, n->inputs[0], depth + 1);
        return a > 1 && a == channels_of(s, n->inputs[1], depth + TRACE_DEPTH / 8) ? a : -1;
    }
    case MIEN__OP_Affine:
    case MIEN__OP_PRelu:
    case MIEN__OP_Relu:
    case MIEN__OP_Clip:
    case MIEN__OP_LeakyRelu:
    case MIEN__OP_Sigmoid:
    case MIEN__OP_HardSwish:
    case MIEN__OP_MaxPool:
    case MIEN__OP_AvgPool:
    case MIEN__OP_GlobalAvgPool:
    case MIEN__OP_Resize:
        return channels_of(s, n->inputs[0], depth + 1);
    default:
        return -1;
    }
}

/* Put y = a x + b behind Conv or Gemm `c` into its weights. */
static mien_status fold_behind(mien__simp *s, mien__node *c, const affine *f)
{
    int64_t n_w = 0, n_bias = 0;
    float *new_w = NULL, *new_bias = NULL;
    uint32_t w_index = 0, bias_index = 0;
    const mien__value wv = s->g->values[c->inputs[1]];
    const float *w = mien__simp_const(s, c->inputs[1], &n_w);
    const uint32_t bias_in = c->n_inputs > 2 ? c->inputs[2] : (uint32_t)MIEN__NO_VALUE;
    const float *bias = mien__simp_const(s, bias_in, &n_bias);
    const int64_t m = wv.dims[0], per = n_w / m;
    mien_status st = mien__simp_new_const(s, wv.name, wv.rank, wv.dims, &new_w, &w_index);
    if (st || (st = mien__simp_new_const(s, c->name, 1, &m, &new_bias, &bias_index)))
        return st;
    for (int64_t o = 0; o < m; o++) {
        for (int64_t i = 0; i < per; i++)
            new_w[o * per + i] = w[o * per + i] * scale_at(f, o);
        new_bias[o] = (bias ? bias[o] : 0.0f) * scale_at(f, o) + shift_at(f, o);
    }
    const uint32_t inputs[3] = { c->inputs[0], w_index, bias_index };
    uint32_t *list = mien__arena_alloc_array(s->g->arena, 3, sizeof *list);
    if (!list)
        return mien__nomem(s->err, sizeof inputs);
    for (int i = 0; i < 3; i++)
        list[i] = inputs[i];
    c->inputs = list;
    c->n_inputs = 3;
    return MIEN_OK;
}

/* Put y = a x + b in front of the unpadded Conv `c` into its weights. */
static mien_status fold_front(mien__simp *s, mien__node *c, const affine *f)
{
    int64_t n_w = 0, n_bias = 0;
    float *new_w = NULL, *new_bias = NULL;
    uint32_t w_index = 0, bias_index = 0;
    const mien__value wv = s->g->values[c->inputs[1]];
    const float *w = mien__simp_const(s, c->inputs[1], &n_w);
    const uint32_t bias_in = c->n_inputs > 2 ? c->inputs[2] : (uint32_t)MIEN__NO_VALUE;
    const float *bias = mien__simp_const(s, bias_in, &n_bias);
    const int64_t m = wv.dims[0], ic = wv.dims[1], k = wv.dims[2] * wv.dims[3];
    const int64_t per_group = m / mien__node_int(c, MIEN__ATTR_GROUP, 1);
    mien_status st = mien__simp_new_const(s, wv.name, wv.rank, wv.dims, &new_w, &w_index);
    if (st || (st = mien__simp_new_const(s, c->name, 1, &m, &new_bias, &bias_index)))
        return st;
    for (int64_t o = 0; o < m; o++) {
        double sum = bias ? bias[o] : 0.0;
        for (int64_t i = 0; i < ic; i++)
            for (int64_t j = 0; j < k; j++) {
                const int64_t at = (o * ic + i) * k + j, channel = o / per_group * ic + i;
                sum += (double)w[at] * shift_at(f, channel);
                new_w[at] = w[at] * scale_at(f, channel);
            }
        new_bias[o] = (float)sum;
    }
    uint32_t *list = mien__arena_alloc_array(s->g->arena, 3, sizeof *list);
    if (!list)
        return mien__nomem(s->err, 3 * sizeof *list);
    list[0] = f->x;
    list[1] = w_index;
    list[2] = bias_index;
    c->inputs = list;
    c->n_inputs = 3;
    return MIEN_OK;
}

static bool weights_const(const mien__simp *s, const mien__node *c)
{
    int64_t n = 0;
    const mien__value *w = &s->g->values[c->inputs[1]];
    if (!mien__simp_const(s, c->inputs[1], &n) || w->rank < 2 || (c->op == MIEN__OP_Conv && w->rank != 4) ||
        w->dims[0] < 1)
        return false;
    const int64_t groups = mien__node_int(c, MIEN__ATTR_GROUP, 1);
    if (groups < 1 || w->dims[0] % groups)
        return false;
    if (c->n_inputs < 3 || c->inputs[2] == (uint32_t)MIEN__NO_VALUE)
        return true;
    return mien__simp_const(s, c->inputs[2], &n) && n == w->dims[0];
}

static bool unpadded(const mien__node *c)
{
    const mien__attr *a = mien__node_attr(c, MIEN__ATTR_PAD);
    for (uint32_t i = 0; a && i < a->n; i++)
        if (a->is_float || a->v.i[i] != 0)
            return false;
    return true;
}

/* Make two Affine nodes in a row, or a lone arithmetic node, one Affine node. */
static mien_status make_affine(mien__simp *s, mien__node *n, const affine *f, const affine *before,
                               int64_t channels)
{
    float *a = NULL, *b = NULL;
    uint32_t a_index = 0, b_index = 0;
    mien_status st = mien__simp_new_const(s, n->name, 1, &channels, &a, &a_index);
    if (st || (st = mien__simp_new_const(s, n->name, 1, &channels, &b, &b_index)))
        return st;
    for (int64_t c = 0; c < channels; c++) {
        const float a0 = before ? scale_at(before, c) : 1.0f, b0 = before ? shift_at(before, c) : 0.0f;
        a[c] = scale_at(f, c) * a0;
        b[c] = scale_at(f, c) * b0 + shift_at(f, c);
    }
    uint32_t *list = mien__arena_alloc_array(s->g->arena, 3, sizeof *list);
    if (!list)
        return mien__nomem(s->err, 3 * sizeof *list);
    list[0] = before ? before->x : f->x;
    list[1] = a_index;
    list[2] = b_index;
    n->op = MIEN__OP_Affine;
    n->inputs = list;
    n->n_inputs = 3;
    n->n_attrs = 0;
    s->changed = true;
    return MIEN_OK;
}

static mien_status visit(mien__simp *s, mien__node *n)
{
    affine f, before;
    mien_status st = MIEN_OK;
    /* behind Gemm: channels are the columns */
    mien__node *c = as_affine(s, n, true, &f) ? mien__simp_made_by(s, f.x, MIEN__OP_Gemm) : NULL;
    if (!c && as_affine(s, n, false, &f))
        c = mien__simp_made_by(s, f.x, MIEN__OP_Conv);
    else if (!c)
        return MIEN_OK;
    if (c && s->uses[f.x] == 1 && weights_const(s, c) && fits(&f, s->g->values[c->inputs[1]].dims[0])) {
        if ((st = fold_behind(s, c, &f)))
            return st;
        const uint32_t out = n->outputs[0];
        mien__simp_replace(s, out, f.x);
        mien__simp_remove(s, n);
        return mien__simp_index(s);
    }
    const int64_t channels = n->op == MIEN__OP_Affine ? f.n_a : channels_of(s, f.x, 0);
    if (channels < 1 || !fits(&f, channels) || (n->op != MIEN__OP_Affine && channels_of(s, f.x, 0) < 1))
        return MIEN_OK;
    c = mien__simp_sole_user(s, n->outputs[0], MIEN__OP_Conv);
    if (c && c->inputs[0] == n->outputs[0] && unpadded(c) && weights_const(s, c) &&
        s->g->values[c->inputs[1]].dims[1] * mien__node_int(c, MIEN__ATTR_GROUP, 1) == channels) {
        if ((st = fold_front(s, c, &f)))
            return st;
        mien__simp_remove(s, n);
        return mien__simp_index(s);
    }
    mien__node *b = mien__simp_made_by(s, f.x, MIEN__OP_Affine);
    if (b && s->uses[f.x] == 1 && as_affine(s, b, false, &before) && before.n_a == channels &&
        fits(&before, channels)) {
        mien__simp_remove(s, b);
        st = make_affine(s, n, &f, &before, channels);
        return st ? st : mien__simp_index(s);
    }
    if (n->op != MIEN__OP_Affine) {
        st = make_affine(s, n, &f, NULL, channels);
        return st ? st : mien__simp_index(s);
    }
    return MIEN_OK;
}

/* BatchNorm with constant parameters of one length becomes an Affine; any other is left to run. */
static mien_status lower_batch_norm(mien__simp *s, mien__node *n)
{
    const float *p[4];
    int64_t channels = 0, count = 0;
    float *a = NULL, *b = NULL;
    uint32_t list[3] = { n->inputs[0], 0, 0 };
    const double eps = mien__node_float(n, MIEN__ATTR_EPSILON, MIEN__BATCH_NORM_EPSILON);
    for (int i = 0; i < 4; i++) {
        p[i] = mien__simp_const(s, n->inputs[1 + i], i ? &count : &channels);
        if (!p[i] || (i && count != channels))
            return MIEN_OK;
    }
    mien_status st = mien__simp_new_const(s, n->name, 1, &channels, &a, &list[1]);
    if (st || (st = mien__simp_new_const(s, n->name, 1, &channels, &b, &list[2])))
        return st;
    for (int64_t c = 0; c < channels; c++)
        mien__batch_norm_affine(p[0][c], p[1][c], p[2][c], p[3][c], eps, &a[c], &b[c]);
    memcpy(n->inputs, list, sizeof list); /* the node's own array: five long */
    n->n_inputs = 3;
    n->op = MIEN__OP_Affine;
    n->n_attrs = 0;
    s->changed = true;
    return mien__simp_index(s);
}

mien_status mien__simp_fold_affine(mien__simp *s)
{
    mien_status st = MIEN_OK;
    for (uint32_t i = 0; !st && i < s->g->n_nodes; i++)
        if (s->g->nodes[i].op == MIEN__OP_BatchNorm)
            st = lower_batch_norm(s, &s->g->nodes[i]);
    for (uint32_t i = 0; !st && i < s->g->n_nodes; i++)
        if (s->g->nodes[i].op != MIEN__OP_NONE)
            st = visit(s, &s->g->nodes[i]);
    return st;
}
