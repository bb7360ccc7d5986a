/* Merging the heads of detectors: convolutions of one tensor that differ only in their weights become one.
 *
 * Heads have few channels (1, 4, 10 ...), and a kernel computes whole blocks of them, so several heads in one
 * convolution cost what one did. Taken where every head ends in a Transpose (channels last), directly or
 * through a depthwise convolution of its own, which is merged likewise. A Split hands out the parts; the
 * planner reads them where they lie. Each output is the same sum as before.
 */
#include "nn/simplify.h"
#include <string.h>

enum { MAX_SIBLINGS = 16, MAX_CHANNELS = 64 };

typedef struct siblings {
    uint32_t n;
    uint32_t conv[MAX_SIBLINGS], depthwise[MAX_SIBLINGS]; /* nodes; depthwise only when `deep` */
    int64_t channels[MAX_SIBLINGS], total;
    bool deep;
} siblings;

static bool same_attr(const mien__node *a, const mien__node *b, mien__attr_key key)
{
    const mien__attr *x = mien__node_attr(a, key), *y = mien__node_attr(b, key);
    if (!x || !y)
        return x == y;
    return x->n == y->n && !x->is_float && !y->is_float && memcmp(x->v.i, y->v.i, x->n * sizeof *x->v.i) == 0;
}

/* Constant weights and bias, and everything but them alike. */
static bool alike(const mien__simp *s, const mien__node *a, const mien__node *b)
{
    const mien__value *wa = &s->g->values[a->inputs[1]], *wb = &s->g->values[b->inputs[1]];
    int64_t n = 0;
    if (!mien__simp_const(s, b->inputs[1], &n) || wa->rank != 4 || wb->rank != 4 ||
        memcmp(&wa->dims[1], &wb->dims[1], 3 * sizeof wa->dims[0]) != 0)
        return false;
    if (b->n_inputs > 2 && b->inputs[2] != (uint32_t)MIEN__NO_VALUE &&
        (!mien__simp_const(s, b->inputs[2], &n) || n != wb->dims[0]))
        return false;
    return same_attr(a, b, MIEN__ATTR_KERNEL) && same_attr(a, b, MIEN__ATTR_STRIDE) &&
           same_attr(a, b, MIEN__ATTR_PAD) && same_attr(a, b, MIEN__ATTR_DILATION);
}

/* Is v read by Transpose nodes only (and by Shape)? */
static bool ends_in_transpose(const mien__simp *s, uint32_t v)
{
    bool any = false;
    if (s->uses[v] >= 1u << 20)
        return false;
    for (uint32_t i = 0; i < s->g->n_nodes; i++)
        for (uint32_t j = 0; j < s->g->nodes[i].n_inputs; j++)
            if (s->g->nodes[i].inputs[j] == v) {
                if (s->g->nodes[i].op != MIEN__OP_Transpose && s->g->nodes[i].op != MIEN__OP_Shape)
                    return false;
                any = any || s->g->nodes[i].op == MIEN__OP_Transpose;
            }
    return any;
}

/* The depthwise convolution that alone reads v, or NULL. */
static const mien__node *depthwise_behind(const mien__simp *s, uint32_t v, int64_t channels)
{
    const mien__node *d = mien__simp_sole_user(s, v, MIEN__OP_Conv);
    if (!d || d->inputs[0] != v || mien__node_int(d, MIEN__ATTR_GROUP, 1) != channels)
        return NULL;
    const mien__value *w = &s->g->values[d->inputs[1]];
    return w->rank == 4 && w->dims[0] == channels && w->dims[1] == 1 && ends_in_transpose(s, d->outputs[0])
               ? d
               : NULL;
}

/* Collect the siblings of conv `first`. */
static bool collect(const mien__simp *s, uint32_t first, siblings *ret)
{
    const mien__node *a = &s->g->nodes[first];
    *ret = (siblings){ 0 };
    for (uint32_t i = first; i < s->g->n_nodes && ret->n < MAX_SIBLINGS; i++) {
        const mien__node *b = &s->g->nodes[i];
        if (b->op != MIEN__OP_Conv || b->inputs[0] != a->inputs[0] ||
            mien__node_int(b, MIEN__ATTR_GROUP, 1) != 1 || !alike(s, a, b))
            continue;
        const int64_t channels = s->g->values[b->inputs[1]].dims[0];
        const mien__node *d = depthwise_behind(s, b->outputs[0], channels);
        const bool deep = d != NULL;
        if (channels < 1 || channels > MAX_CHANNELS || (!deep && !ends_in_transpose(s, b->outputs[0])) ||
            (ret->n && deep != ret->deep) ||
            (deep && !alike(s, ret->n ? &s->g->nodes[ret->depthwise[0]] : d, d)))
            continue;
        ret->deep = deep;
        ret->conv[ret->n] = i;
        ret->depthwise[ret->n] = deep ? (uint32_t)(d - s->g->nodes) : 0;
        ret->channels[ret->n++] = channels;
        ret->total += channels;
    }
    return ret->n > 1 && ret->conv[0] == first;
}

/* One convolution with the weights of all; its output is a new value. */
static mien_status merge(mien__simp *s, const uint32_t *nodes, const siblings *sib, uint32_t input,
                         bool depthwise, uint32_t *ret_out)
{
    const mien__node first = s->g->nodes[nodes[0]];
    const mien__value wv = s->g->values[first.inputs[1]];
    const int64_t per = wv.dims[1] * wv.dims[2] * wv.dims[3];
    const int64_t dims[4] = { sib->total, wv.dims[1], wv.dims[2], wv.dims[3] };
    float *w = NULL, *bias = NULL;
    uint32_t w_index = 0, bias_index = 0;
    mien__node *made = NULL;
    mien_status st = mien__simp_new_const(s, first.name, 4, dims, &w, &w_index);
    if (st || (st = mien__simp_new_const(s, first.name, 1, &sib->total, &bias, &bias_index)))
        return st;
    for (uint32_t i = 0; i < sib->n; i++) {
        const mien__node *n = &s->g->nodes[nodes[i]];
        int64_t count = 0;
        memcpy(w, mien__simp_const(s, n->inputs[1], &count), (size_t)(sib->channels[i] * per) * sizeof *w);
        w += sib->channels[i] * per;
        if (n->n_inputs > 2 && n->inputs[2] != (uint32_t)MIEN__NO_VALUE)
            memcpy(bias, mien__simp_const(s, n->inputs[2], &count), (size_t)sib->channels[i] * sizeof *bias);
        bias += sib->channels[i];
    }
    const uint32_t inputs[3] = { input, w_index, bias_index };
    if (!mien__graph_add_value(s->g, first.name, MIEN__F32, -1, NULL, NULL, ret_out) ||
        !mien__graph_add_node(s->g, MIEN__OP_Conv, first.name, inputs, 3, ret_out, 1, &made))
        return mien__nomem(s->err, sizeof *made);
    bool ok = true;
    for (uint32_t i = 0; ok && i < first.n_attrs; i++)
        ok = first.attrs[i].is_float ||
             mien__node_set_ints(s->g, made, first.attrs[i].key, first.attrs[i].v.i, first.attrs[i].n);
    ok = ok && mien__node_set_int(s->g, made, MIEN__ATTR_GROUP, depthwise ? sib->total : 1);
    return ok ? MIEN_OK : mien__nomem(s->err, sizeof *made);
}

static mien_status rewrite(mien__simp *s, const siblings *sib)
{
    uint32_t out = 0, parts[MAX_SIBLINGS];
    mien__node *split = NULL;
    mien_status st = merge(s, sib->conv, sib, s->g->nodes[sib->conv[0]].inputs[0], false, &out);
    if (!st && sib->deep)
        st = merge(s, sib->depthwise, sib, out, true, &out);
    if (st)
        return st;
    for (uint32_t i = 0; i < sib->n; i++) {
        parts[i] = s->g->nodes[sib->deep ? sib->depthwise[i] : sib->conv[i]].outputs[0];
        mien__simp_remove(s, &s->g->nodes[sib->conv[i]]);
        if (sib->deep)
            mien__simp_remove(s, &s->g->nodes[sib->depthwise[i]]);
    }
    const char *name = s->g->nodes[sib->conv[0]].name;
    if (!mien__graph_add_node(s->g, MIEN__OP_Split, name, &out, 1, parts, sib->n, &split) ||
        !mien__node_set_int(s->g, split, MIEN__ATTR_AXIS, 1) ||
        !mien__node_set_ints(s->g, split, MIEN__ATTR_SPLIT, sib->channels, sib->n))
        return mien__nomem(s->err, sizeof *split);
    return mien__simp_index(s);
}

mien_status mien__simp_merge_siblings(mien__simp *s)
{
    mien_status st = mien__simp_index(s);
    const uint32_t n = s->g->n_nodes; /* merged ones are appended and need no second look */
    for (uint32_t i = 0; !st && i < n; i++) {
        siblings sib;
        const mien__node *a = &s->g->nodes[i];
        if (a->op == MIEN__OP_Conv && s->uses[a->inputs[0]] > 1 &&
            mien__node_int(a, MIEN__ATTR_GROUP, 1) == 1 && collect(s, i, &sib))
            st = rewrite(s, &sib);
    }
    return st;
}
