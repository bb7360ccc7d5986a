/* Simplifying a graph: constants folded through the references, identities dropped, batch normalisation and
 * per-channel arithmetic folded into weights (simplify_affine.c), spelt-out functions recognised
 * (simplify_patterns.c), dead nodes removed. Passes repeat until nothing changes, at most MAX_ROUNDS times;
 * at the end sibling convolutions are merged (simplify_siblings.c).
 *
 * Network outputs keep their names: a replaced output value hands its name to the one that takes its place.
 */
#include "nn/simplify.h"
#include <float.h>
#include <math.h>
#include <string.h>

enum { MAX_ROUNDS = 8, EXTRA_INPUTS = 8 };
/* A folded constant may be at most this large, or as large as twice what went into it. */
#define FOLD_MAX_ELEMS ((int64_t)1 << 20)

/* ---- helpers of all passes ---- */

mien_status mien__simp_index(mien__simp *s)
{
    mien__graph *g = s->g;
    if (g->n_values > s->n_alloc) {
        const uint32_t want = g->n_values + g->n_values / 2 + 64;
        mien_free(s->producer);
        s->producer = mien_alloc_array(want, 3 * sizeof *s->producer);
        s->n_alloc = s->producer ? want : 0;
        if (!s->producer)
            return mien__nomem(s->err, want * sizeof *s->producer);
    }
    s->uses = s->producer + s->n_alloc;
    s->user = s->uses + s->n_alloc;
    for (uint32_t i = 0; i < g->n_values; i++) {
        s->producer[i] = s->user[i] = MIEN__NOBODY;
        s->uses[i] = 0;
    }
    for (uint32_t i = 0; i < g->n_outputs; i++)
        s->uses[g->outputs[i]] += 1 << 20; /* never a sole reader */
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const mien__node *n = &g->nodes[i];
        if (n->op == MIEN__OP_NONE)
            continue;
        for (uint32_t j = 0; j < n->n_outputs; j++)
            s->producer[n->outputs[j]] = i;
        for (uint32_t j = 0; j < n->n_inputs; j++)
            if (n->inputs[j] != (uint32_t)MIEN__NO_VALUE) {
                s->uses[n->inputs[j]]++;
                s->user[n->inputs[j]] = i;
            }
    }
    return MIEN_OK;
}

mien__node *mien__simp_made_by(const mien__simp *s, uint32_t v, mien__op op)
{
    if (v == (uint32_t)MIEN__NO_VALUE || s->producer[v] == MIEN__NOBODY)
        return NULL;
    mien__node *n = &s->g->nodes[s->producer[v]];
    return n->op != MIEN__OP_NONE && (op == MIEN__OP_NONE || n->op == op) ? n : NULL;
}

mien__node *mien__simp_sole_user(const mien__simp *s, uint32_t v, mien__op op)
{
    if (s->uses[v] != 1)
        return NULL;
    mien__node *n = &s->g->nodes[s->user[v]];
    return n->op != MIEN__OP_NONE && (op == MIEN__OP_NONE || n->op == op) ? n : NULL;
}

void mien__simp_replace(mien__simp *s, uint32_t from, uint32_t to)
{
    mien__graph *g = s->g;
    for (uint32_t i = 0; i < g->n_nodes; i++)
        for (uint32_t j = 0; g->nodes[i].op != MIEN__OP_NONE && j < g->nodes[i].n_inputs; j++)
            if (g->nodes[i].inputs[j] == from)
                g->nodes[i].inputs[j] = to;
    for (uint32_t i = 0; i < g->n_outputs; i++)
        if (g->outputs[i] == from) {
            g->outputs[i] = to;
            g->values[to].name = g->values[from].name;
        }
    s->changed = true;
}

void mien__simp_remove(mien__simp *s, mien__node *n)
{
    n->op = MIEN__OP_NONE;
    s->changed = true;
}

const float *mien__simp_const(const mien__simp *s, uint32_t v, int64_t *ret_n)
{
    if (v == (uint32_t)MIEN__NO_VALUE)
        return NULL;
    const mien__value *x = &s->g->values[v];
    *ret_n = mien__value_elems(x);
    return x->dtype == MIEN__F32 && *ret_n > 0 ? x->data : NULL;
}

bool mien__simp_is_number(const mien__simp *s, uint32_t v, double want)
{
    int64_t n = 0;
    const float *x = mien__simp_const(s, v, &n);
    return x && n == 1 && fabs((double)x[0] - want) <= 1e-6 * fabs(want);
}

mien_status mien__simp_new_const(mien__simp *s, const char *name, int rank, const int64_t *dims,
                                 float **ret_data, uint32_t *ret)
{
    const int64_t n = mien__elems(rank, dims);
    float *data = n < 0 ? NULL : mien__arena_alloc_array(s->g->arena, (size_t)n + 1, sizeof *data);
    if (!data || !mien__graph_add_value(s->g, name, MIEN__F32, rank, dims, data, ret))
        return mien__nomem(s->err, (size_t)n * sizeof *data);
    *ret_data = data;
    return mien__simp_index(s);
}

/* ---- constants ---- */

static bool all_const(const mien__graph *g, const mien__node *n, int64_t *ret_elems)
{
    *ret_elems = 0;
    for (uint32_t i = 0; i < n->n_inputs; i++) {
        if (n->inputs[i] == (uint32_t)MIEN__NO_VALUE)
            continue;
        const mien__value *v = &g->values[n->inputs[i]];
        if (!v->data)
            return false;
        *ret_elems += mien__value_elems(v);
    }
    /* these multiply work rather than move data: left to run, whatever a file says */
    return n->op != MIEN__OP_Conv && n->op != MIEN__OP_Gemm && n->op != MIEN__OP_MatMul &&
           n->op != MIEN__OP_MaxPool && n->op != MIEN__OP_AvgPool;
}

static void tensor_of(const mien__value *v, mien__tensor *ret)
{
    ret->dtype = v->dtype;
    ret->rank = v->rank;
    memcpy(ret->dims, v->dims, sizeof ret->dims);
    ret->data = (void *)(uintptr_t)v->data;
}

static mien_status fold_node(mien__simp *s, mien__node *n, int64_t in_elems, mien__tensor *in,
                             const mien__tensor **ptrs, mien__tensor *out)
{
    const mien__op_def *def = mien__op_def_of(n->op);
    memset(ptrs, 0, (n->n_inputs + EXTRA_INPUTS) * sizeof *ptrs);
    memset(out, 0, n->n_outputs * sizeof *out);
    for (uint32_t i = 0; i < n->n_inputs; i++)
        if (n->inputs[i] != (uint32_t)MIEN__NO_VALUE) {
            tensor_of(&s->g->values[n->inputs[i]], &in[i]);
            ptrs[i] = &in[i];
        }
    const mien_status st = def->infer(n, ptrs, out, s->err);
    if (st)
        return st;
    for (uint32_t i = 0; i < n->n_outputs; i++) {
        const int64_t elems = mien__elems(out[i].rank, out[i].dims);
        if (elems > FOLD_MAX_ELEMS && elems > 2 * in_elems)
            return MIEN_OK; /* stays a node */
        out[i].data =
            mien__arena_alloc_array(s->g->arena, (size_t)elems + 1, out[i].dtype == MIEN__I64 ? 8 : 4);
        if (!out[i].data)
            return mien__nomem(s->err, (size_t)elems * 8);
    }
    def->forward(n, ptrs, out);
    for (uint32_t i = 0; i < n->n_outputs; i++) {
        mien__value *v = &s->g->values[n->outputs[i]];
        v->dtype = out[i].dtype;
        v->rank = out[i].rank;
        memcpy(v->dims, out[i].dims, sizeof v->dims);
        v->data = out[i].data;
    }
    mien__simp_remove(s, n);
    return MIEN_OK;
}

static mien_status fold_constants(mien__simp *s)
{
    mien_status st = MIEN_OK;
    uint32_t edges = 1;
    for (uint32_t i = 0; i < s->g->n_nodes; i++) {
        const mien__node *n = &s->g->nodes[i];
        edges = n->n_inputs > edges ? n->n_inputs : edges;
        edges = n->n_outputs > edges ? n->n_outputs : edges;
    }
    mien__tensor *in = mien_alloc_array(edges, 2 * sizeof *in);
    const mien__tensor **ptrs = mien_alloc_array(edges + (size_t)EXTRA_INPUTS, sizeof *ptrs);
    if (!in || !ptrs) {
        st = mien__nomem(s->err, edges * 2 * sizeof *in);
        goto done;
    }
    for (uint32_t i = 0; !st && i < s->g->n_nodes; i++) {
        mien__node *n = &s->g->nodes[i];
        int64_t elems = 0;
        if (n->op != MIEN__OP_NONE && all_const(s->g, n, &elems))
            st = fold_node(s, n, elems, in, ptrs, in + edges);
    }
done:
    mien_free(ptrs);
    mien_free(in);
    return st;
}

/* ---- small rewrites ---- */

/* Drop an Identity: readers take its input; a network output takes over the input's place. */
static void drop_identity(mien__simp *s, mien__node *n)
{
    const uint32_t from = n->outputs[0], to = n->inputs[0];
    const bool is_output = s->uses[from] >= 1u << 20;
    const bool fixed_name = s->producer[to] == MIEN__NOBODY || s->uses[to] >= 1u << 20;
    if (is_output && fixed_name)
        return; /* an input or another output keeps its own name: the view costs nothing */
    mien__simp_replace(s, from, to);
    mien__simp_remove(s, n);
}

static mien_status small_rewrites(mien__simp *s)
{
    for (uint32_t i = 0; i < s->g->n_nodes; i++) {
        mien__node *n = &s->g->nodes[i];
        mien_status st = MIEN_OK;
        if (n->op == MIEN__OP_Identity) {
            drop_identity(s, n);
            st = mien__simp_index(s);
        } else if (n->op == MIEN__OP_Clip &&
                   !(fabs(mien__node_float(n, MIEN__ATTR_MIN, -(double)FLT_MAX)) > 0.0) &&
                   mien__node_float(n, MIEN__ATTR_MAX, (double)FLT_MAX) >= (double)FLT_MAX) {
            n->op = MIEN__OP_Relu;
            n->n_attrs = 0;
        }
        if (st)
            return st;
    }
    return MIEN_OK;
}

/* ---- dead code ---- */

static void compact(mien__graph *g)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].op != MIEN__OP_NONE)
            g->nodes[kept++] = g->nodes[i];
    g->n_nodes = kept;
}

static mien_status remove_dead(mien__simp *s)
{
    mien__graph *g = s->g;
    uint8_t *live = mien_alloc_zero(g->n_values + (size_t)1);
    if (!live)
        return mien__nomem(s->err, g->n_values);
    for (uint32_t i = 0; i < g->n_outputs; i++)
        live[g->outputs[i]] = 1;
    for (uint32_t i = g->n_nodes; i-- > 0;) {
        mien__node *n = &g->nodes[i];
        bool needed = false;
        if (n->op == MIEN__OP_NONE)
            continue;
        for (uint32_t j = 0; j < n->n_outputs; j++)
            needed = needed || live[n->outputs[j]];
        if (!needed) {
            mien__simp_remove(s, n);
            continue;
        }
        for (uint32_t j = 0; j < n->n_inputs; j++)
            if (n->inputs[j] != (uint32_t)MIEN__NO_VALUE)
                live[n->inputs[j]] = 1;
    }
    mien_free(live);
    compact(g);
    return MIEN_OK;
}

mien_status mien__graph_simplify(mien__graph *g, mien_error *err)
{
    mien__simp s = { .g = g, .err = err };
    mien_status st = MIEN_OK;
    for (int round = 0; !st && round < MAX_ROUNDS; round++) {
        s.changed = false;
        if ((st = fold_constants(&s)) || (st = mien__simp_index(&s)) || (st = small_rewrites(&s)) ||
            (st = mien__simp_index(&s)) || (st = mien__simp_patterns(&s)) || (st = mien__simp_index(&s)) ||
            (st = mien__simp_fold_affine(&s)) || (st = remove_dead(&s)) || (st = mien__graph_check(g, err)))
            break;
        if (!s.changed)
            break;
    }
    if (!st && !(st = mien__simp_merge_siblings(&s))) {
        compact(g);
        st = mien__graph_check(g, err); /* sorts the merged nodes into place */
    }
    mien_free(s.producer);
    return st;
}
