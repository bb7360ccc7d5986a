/* Recognising functions that exporters spell out.
 *
 *   Gelu         x * (erf(x / sqrt 2) + 1) * 1/2, the factors in any order (Hendrycks 2016)
 *   HardSwish    x * HardSigmoid(x; 1/6, 1/2), or x * Clip(x + 3; 0, 6) / 6 (Howard 2019)
 *   LayerNorm    d = x - mean(x); d / sqrt(mean(d^2) + eps) [* scale [+ shift]] over the last axis
 *   L2Normalize  x / [Clip or Max](ReduceL2(x)) [through Expand]
 *
 * A pattern is taken only when its inner values have no other reader, so that removing them loses nothing.
 */
#include "nn/simplify.h"
#include <math.h>
#include <stddef.h>

/* The input of a two-input node that is not `v`; NO_VALUE when v is not among them. */
static uint32_t other(const mien__node *n, uint32_t v)
{
    return n->inputs[0] == v ? n->inputs[1] : n->inputs[1] == v ? n->inputs[0] : (uint32_t)MIEN__NO_VALUE;
}

/* Turn node `last` into `op` with the given inputs. */
static mien_status become(mien__simp *s, mien__node *last, mien__op op, const uint32_t *inputs, uint32_t n)
{
    uint32_t *list = mien__arena_alloc_array(s->g->arena, n, sizeof *list);
    if (!list)
        return mien__nomem(s->err, n * sizeof *list);
    for (uint32_t i = 0; i < n; i++)
        list[i] = inputs[i];
    last->op = op;
    last->inputs = list;
    last->n_inputs = n;
    last->n_attrs = 0;
    s->changed = true;
    return MIEN_OK;
}

/* Is v = x * factor, or x / (1 / factor)? *ret_x gets x. */
static bool is_scaled(const mien__simp *s, uint32_t v, double factor, uint32_t *ret_x)
{
    const mien__node *n = mien__simp_made_by(s, v, MIEN__OP_NONE);
    if (!n || s->uses[v] != 1)
        return false;
    if (n->op == MIEN__OP_Div && mien__simp_is_number(s, n->inputs[1], 1.0 / factor)) {
        *ret_x = n->inputs[0];
        return true;
    }
    for (int i = 0; n->op == MIEN__OP_Mul && i < 2; i++)
        if (mien__simp_is_number(s, n->inputs[1 - i], factor)) {
            *ret_x = n->inputs[i];
            return true;
        }
    return false;
}

/* Match from the Erf. */
static mien_status match_gelu(mien__simp *s, const mien__node *erf)
{
    uint32_t x = 0, half = 0;
    if (!is_scaled(s, erf->inputs[0], sqrt(0.5), &x))
        return MIEN_OK;
    mien__node *add = mien__simp_sole_user(s, erf->outputs[0], MIEN__OP_Add);
    if (!add || !mien__simp_is_number(s, other(add, erf->outputs[0]), 1.0))
        return MIEN_OK;
    mien__node *mul = mien__simp_sole_user(s, add->outputs[0], MIEN__OP_Mul);
    if (!mul)
        return MIEN_OK;
    const uint32_t factor = other(mul, add->outputs[0]);
    if (is_scaled(s, factor, 0.5, &half) && half == x) /* (x / 2) (erf + 1) */
        return become(s, mul, MIEN__OP_Gelu, &x, 1);
    mien__node *last = mien__simp_sole_user(s, mul->outputs[0], MIEN__OP_Mul);
    if (!last)
        return MIEN_OK;
    const uint32_t end = other(last, mul->outputs[0]);
    if ((factor == x && mien__simp_is_number(s, end, 0.5)) ||
        (mien__simp_is_number(s, factor, 0.5) && end == x))
        return become(s, last, MIEN__OP_Gelu, &x, 1);
    return MIEN_OK;
}

static bool about(double a, double b)
{
    return fabs(a - b) < 1e-4;
}

/* Match from the multiplication by x. */
static mien_status match_hard_swish(mien__simp *s, mien__node *mul)
{
    for (int i = 0; i < 2; i++) {
        const uint32_t x = mul->inputs[i], gate = mul->inputs[1 - i];
        const mien__node *g = mien__simp_made_by(s, gate, MIEN__OP_NONE);
        uint32_t clipped = gate;
        if (!g || s->uses[gate] != 1)
            continue;
        if (g->op == MIEN__OP_HardSigmoid && g->inputs[0] == x &&
            about(mien__node_float(g, MIEN__ATTR_ALPHA, 0.2), 1.0 / 6.0) &&
            about(mien__node_float(g, MIEN__ATTR_BETA, 0.5), 0.5))
            return become(s, mul, MIEN__OP_HardSwish, &x, 1);
        const bool scaled = is_scaled(s, gate, 1.0 / 6.0, &clipped);
        const mien__node *clip = mien__simp_made_by(s, clipped, MIEN__OP_Clip);
        if (!clip || s->uses[clipped] != 1 || !about(mien__node_float(clip, MIEN__ATTR_MIN, -1), 0.0) ||
            !about(mien__node_float(clip, MIEN__ATTR_MAX, -1), 6.0))
            continue;
        const mien__node *add = mien__simp_made_by(s, clip->inputs[0], MIEN__OP_Add);
        if (!add || s->uses[clip->inputs[0]] != 1 || !mien__simp_is_number(s, other(add, x), 3.0))
            continue;
        if (scaled)
            return become(s, mul, MIEN__OP_HardSwish, &x, 1);
        mien__node *last = mien__simp_sole_user(s, mul->outputs[0], MIEN__OP_NONE);
        uint32_t product = 0;
        if (last && is_scaled(s, last->outputs[0], 1.0 / 6.0, &product) && product == mul->outputs[0])
            return become(s, last, MIEN__OP_HardSwish, &x, 1);
    }
    return MIEN_OK;
}

/* Is `n` a mean over the last axis alone, keeping it? Only -1 says so without knowing the rank. */
static bool last_axis_mean(const mien__node *n)
{
    const mien__attr *a = mien__node_attr(n, MIEN__ATTR_AXES);
    return n && n->op == MIEN__OP_ReduceMean && a && !a->is_float && a->n == 1 && a->v.i[0] == -1 &&
           mien__node_int(n, MIEN__ATTR_KEEPDIMS, 1) == 1;
}

static bool is_vector(const mien__simp *s, uint32_t v)
{
    int64_t n = 0;
    return mien__simp_const(s, v, &n) && s->g->values[v].rank == 1;
}

/* sqrt(mean(d^2) + eps) with every inner value read once: gives d and eps. */
static bool is_deviation(const mien__simp *s, uint32_t v, uint32_t *ret_d, double *ret_eps)
{
    const mien__node *root = mien__simp_made_by(s, v, MIEN__OP_Sqrt);
    const mien__node *add =
        root && s->uses[v] == 1 ? mien__simp_made_by(s, root->inputs[0], MIEN__OP_Add) : NULL;
    int64_t n = 0;
    for (int i = 0; add && i < 2; i++) {
        const float *eps = mien__simp_const(s, add->inputs[1 - i], &n);
        const mien__node *mean = mien__simp_made_by(s, add->inputs[i], MIEN__OP_ReduceMean);
        if (!eps || n != 1 || !mean || !last_axis_mean(mean) || s->uses[mean->outputs[0]] != 1)
            continue;
        const mien__node *sq = mien__simp_made_by(s, mean->inputs[0], MIEN__OP_NONE);
        if (!sq || s->uses[sq->outputs[0]] != 1)
            continue;
        const bool squared = (sq->op == MIEN__OP_Pow && mien__simp_is_number(s, sq->inputs[1], 2.0)) ||
                             (sq->op == MIEN__OP_Mul && sq->inputs[0] == sq->inputs[1]);
        if (!squared)
            continue;
        *ret_d = sq->inputs[0];
        *ret_eps = eps[0];
        return true;
    }
    return false;
}

/* Match from the division. */
static mien_status match_layer_norm(mien__simp *s, mien__node *div)
{
    uint32_t d = 0;
    double eps = 0.0;
    if (!is_deviation(s, div->inputs[1], &d, &eps) || d != div->inputs[0])
        return MIEN_OK;
    const mien__node *sub = mien__simp_made_by(s, d, MIEN__OP_Sub);
    const mien__node *mean = sub ? mien__simp_made_by(s, sub->inputs[1], MIEN__OP_ReduceMean) : NULL;
    if (!mean || !last_axis_mean(mean) || mean->inputs[0] != sub->inputs[0])
        return MIEN_OK;
    mien__node *mul = mien__simp_sole_user(s, div->outputs[0], MIEN__OP_Mul);
    if (!mul || !is_vector(s, other(mul, div->outputs[0])))
        return MIEN_OK;
    uint32_t inputs[3] = { sub->inputs[0], other(mul, div->outputs[0]), (uint32_t)MIEN__NO_VALUE };
    mien__node *last = mul, *add = mien__simp_sole_user(s, mul->outputs[0], MIEN__OP_Add);
    if (add && is_vector(s, other(add, mul->outputs[0]))) {
        inputs[2] = other(add, mul->outputs[0]);
        last = add;
    }
    const mien_status st =
        become(s, last, MIEN__OP_LayerNorm, inputs, inputs[2] == (uint32_t)MIEN__NO_VALUE ? 2 : 3);
    if (st)
        return st;
    return mien__node_set_int(s->g, last, MIEN__ATTR_AXIS, -1) &&
                   mien__node_set_float(s->g, last, MIEN__ATTR_EPSILON, eps)
               ? MIEN_OK
               : mien__nomem(s->err, sizeof eps);
}

/* Match from the division: x / clip(ReduceL2(x)). */
static mien_status match_l2_normalize(mien__simp *s, mien__node *div)
{
    uint32_t v = div->inputs[1];
    double eps = 0.0;
    const mien__node *n = mien__simp_made_by(s, v, MIEN__OP_Expand);
    if (n && s->uses[v] == 1)
        v = n->inputs[0];
    n = mien__simp_made_by(s, v, MIEN__OP_Clip);
    if (n && s->uses[v] == 1 && mien__node_float(n, MIEN__ATTR_MAX, 3e38) >= 3e38) {
        eps = mien__node_float(n, MIEN__ATTR_MIN, 0.0);
        v = n->inputs[0];
    }
    n = mien__simp_made_by(s, v, MIEN__OP_ReduceL2);
    const mien__attr *axes = n ? mien__node_attr(n, MIEN__ATTR_AXES) : NULL;
    if (!n || s->uses[v] != 1 || n->inputs[0] != div->inputs[0] || !axes || axes->is_float || axes->n == 0 ||
        mien__node_int(n, MIEN__ATTR_KEEPDIMS, 1) != 1 || eps < 0.0)
        return MIEN_OK;
    const uint32_t x = div->inputs[0], count = axes->n;
    const int64_t *list = axes->v.i;
    const mien_status st = become(s, div, MIEN__OP_L2Normalize, &x, 1);
    if (st)
        return st;
    return mien__node_set_ints(s->g, div, MIEN__ATTR_AXES, list, count) &&
                   mien__node_set_float(s->g, div, MIEN__ATTR_EPSILON, eps)
               ? MIEN_OK
               : mien__nomem(s->err, sizeof eps);
}

mien_status mien__simp_patterns(mien__simp *s)
{
    for (uint32_t i = 0; i < s->g->n_nodes; i++) {
        mien__node *n = &s->g->nodes[i];
        const bool before = s->changed;
        mien_status st = MIEN_OK;
        s->changed = false;
        if (n->op == MIEN__OP_Erf)
            st = match_gelu(s, n);
        else if (n->op == MIEN__OP_Mul)
            st = match_hard_swish(s, n);
        else if (n->op == MIEN__OP_Div && !(st = match_layer_norm(s, n)) && n->op == MIEN__OP_Div)
            st = match_l2_normalize(s, n);
        if (!st && s->changed)
            st = mien__simp_index(s);
        s->changed = s->changed || before;
        if (st)
            return st;
    }
    return MIEN_OK;
}
