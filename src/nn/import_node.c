/* Nodes of a graph under construction: shape rules run and constants computed as soon as their inputs are
 * known, and the check of the whole at the end. See import_util.h.
 */
#include "nn/import_util.h"
#include <string.h>

enum { MAX_KNOWN_ELEMS = 4096 };

mien__draft mien__draft_of(mien__op op, const uint32_t *in, uint32_t n_in)
{
    mien__draft d;
    memset(&d, 0, sizeof d);
    d.op = op;
    d.in = in;
    d.n_in = n_in;
    return d;
}

void mien__draft_ints(mien__draft *d, mien__attr_key key, const int64_t *v, size_t n)
{
    mien_assert(d->n_attrs < MIEN_COUNTOF(d->attrs));
    d->attrs[d->n_attrs++] = (mien__attr){ .key = key, .is_float = false, .n = (uint32_t)n, .v.i = v };
}

/* Scalars are held by the draft; emit points the attributes at them, so that drafts may be copied. */
void mien__draft_int(mien__draft *d, mien__attr_key key, int64_t v)
{
    mien_assert(d->n_ints < MIEN_COUNTOF(d->ints));
    d->ints[d->n_ints++] = v;
    mien__draft_ints(d, key, NULL, 1);
}

void mien__draft_float(mien__draft *d, mien__attr_key key, double v)
{
    mien_assert(d->n_attrs < MIEN_COUNTOF(d->attrs) && d->n_floats < MIEN_COUNTOF(d->floats));
    d->floats[d->n_floats++] = v;
    d->attrs[d->n_attrs++] = (mien__attr){ .key = key, .is_float = true, .n = 1, .v.f = NULL };
}

/* Operators whose cost is far above their element count are left to the simplifier. */
static bool may_fold(mien__op op)
{
    return op != MIEN__OP_Conv && op != MIEN__OP_Gemm && op != MIEN__OP_MatMul && op != MIEN__OP_MaxPool &&
           op != MIEN__OP_AvgPool;
}

/* Elements that the node reads and writes; -1 when one is too large. */
static int64_t work_of(const mien__tensor *const *in, uint32_t n_in, const mien__tensor *out, uint32_t n_out)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < n_in + n_out; i++) {
        const mien__tensor *const t = i < n_in ? in[i] : &out[i - n_in];
        const int64_t n = t ? mien__elems(t->rank, t->dims) : 0;
        if (n < 0 || n > MIEN__IMPORT_BUDGET_ELEMS)
            return -1;
        sum += n;
    }
    return sum;
}

/* Compute the node's outputs: into constants when `fold`, else only as known contents of shapes. */
static bool compute(mien__import *imp, const mien__op_def *def, const mien__node *node,
                    const mien__tensor *const *in, mien__tensor *out, bool fold)
{
    const int64_t work = work_of(in, node->n_inputs, out, node->n_outputs);
    if (work < 0 || work > imp->budget / 2)
        return false;
    imp->budget -= work;
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        const int64_t n = mien__elems(out[i].rank, out[i].dims);
        const size_t bytes = (size_t)(n ? n : 1) * (out[i].dtype == MIEN__I64 ? 8 : 4);
        out[i].data = mien__arena_alloc(fold ? imp->g->arena : imp->scratch, bytes);
        if (!out[i].data) {
            (void)mien__import_nomem(imp);
            return false;
        }
    }
    def->forward(node, in, out);
    return true;
}

/* Is everything that the node reads a constant / known under the declared sizes? */
static bool all_inputs(const mien__import *imp, const mien__node *node, bool constant)
{
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const uint32_t v = node->inputs[i];
        if (v != MIEN__NO_VALUE &&
            !(constant ? imp->g->values[v].data != NULL : imp->shapes[v].t.data != NULL))
            return false;
    }
    return true;
}

/* Run the shape rule where all input shapes are known. True: the node was folded away. */
static bool infer(mien__import *imp, const mien__node *node)
{
    const mien__op_def *const def = mien__op_def_of(node->op);
    if (!def || (int)node->n_inputs < def->min_inputs || (int)node->n_inputs > def->max_inputs ||
        (int)node->n_outputs < def->min_outputs || (int)node->n_outputs > def->max_outputs)
        return false; /* mien__graph_check() says so */
    const mien__tensor **const in =
        mien__arena_alloc_array(imp->scratch, (size_t)node->n_inputs + 8, sizeof *in);
    mien__tensor *const out = mien__arena_alloc_array(imp->scratch, node->n_outputs, sizeof *out);
    if (!in || !out) {
        (void)mien__import_nomem(imp);
        return false;
    }
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const uint32_t v = node->inputs[i];
        if (v == MIEN__NO_VALUE && (int)i < def->min_inputs)
            return false;
        if (v == MIEN__NO_VALUE)
            continue;
        if (imp->shapes[v].t.rank < 0)
            return false;
        in[i] = &imp->shapes[v].t;
    }
    mien_error err = MIEN_ERROR_INIT;
    const mien_status status = def->infer(node, in, out, &err);
    if (status != MIEN_OK) {
        if (imp->err)
            *imp->err = err;
        imp->status = status;
        return false;
    }
    const bool fold = all_inputs(imp, node, true) && may_fold(node->op);
    const bool known = node->n_outputs == 1 && out[0].dtype == MIEN__I64 &&
                       mien__elems(out[0].rank, out[0].dims) <= MAX_KNOWN_ELEMS &&
                       (node->op == MIEN__OP_Shape || all_inputs(imp, node, false));
    const bool done = (fold || known) && compute(imp, def, node, in, out, fold);
    for (uint32_t i = 0; i < node->n_outputs && imp->status == MIEN_OK; i++) {
        const uint32_t v = node->outputs[i];
        imp->shapes[v].t = out[i];
        imp->g->values[v].dtype = out[i].dtype;
        if (done && fold) {
            mien__import_set_shape(imp, v, out[i].dtype, out[i].rank, out[i].dims);
            imp->g->values[v].data = out[i].data;
        }
    }
    return done && fold;
}

/* Type of the outputs where no shape rule could be run. */
static mien__dtype guess_dtype(const mien__import *imp, const mien__node *node)
{
    switch (node->op) {
    case MIEN__OP_Shape:
        return MIEN__I64;
    case MIEN__OP_Cast:
        return (mien__dtype)mien__node_int(node, MIEN__ATTR_TO, MIEN__F32);
    case MIEN__OP_ConstantOfShape: {
        const mien__attr *const a = mien__node_attr(node, MIEN__ATTR_VALUE);
        return a && !a->is_float ? MIEN__I64 : MIEN__F32;
    }
    default:
        break;
    }
    return node->n_inputs && node->inputs[0] != MIEN__NO_VALUE ? imp->g->values[node->inputs[0]].dtype
                                                               : MIEN__F32;
}

void mien__import_emit(mien__import *imp, const mien__draft *d, uint32_t *outs, uint32_t n_outs)
{
    for (uint32_t i = 0; i < n_outs; i++)
        if (outs[i] == MIEN__NO_VALUE &&
            (outs[i] = mien__import_add_value(imp, imp->node_name)) != MIEN__NO_VALUE)
            imp->shapes[outs[i]].defined = true;
    if (imp->status != MIEN_OK)
        return;
    mien__attr attrs[MIEN_COUNTOF(d->attrs)];
    uint32_t n_ints = 0, n_floats = 0;
    for (uint32_t i = 0; i < d->n_attrs; i++) {
        attrs[i] = d->attrs[i];
        if (attrs[i].is_float)
            attrs[i].v.f = &d->floats[n_floats++];
        else if (!attrs[i].v.i && attrs[i].n)
            attrs[i].v.i = &d->ints[n_ints++];
    }
    mien__node node = { .op = d->op,
                        .name = imp->node_name ? imp->node_name : "",
                        .n_inputs = d->n_in,
                        .n_outputs = n_outs,
                        .n_attrs = d->n_attrs,
                        .outputs = outs,
                        .attrs = attrs };
    uint32_t *const in = mien__arena_alloc_array(imp->scratch, (size_t)d->n_in + 1, sizeof *in);
    if (!in) {
        (void)mien__import_nomem(imp);
        return;
    }
    if (d->n_in)
        memcpy(in, d->in, d->n_in * sizeof *in);
    node.inputs = in;
    if (d->op == MIEN__OP_Identity && d->n_in == 1 && n_outs == 1 && mien__import_is_const(imp, in[0])) {
        const mien__value src = imp->g->values[in[0]];
        (void)mien__import_const_view(imp, in[0], outs[0], src.rank, src.dims);
        return;
    }
    if (infer(imp, &node) || imp->status != MIEN_OK)
        return;
    for (uint32_t i = 0; i < n_outs; i++)
        if (imp->shapes[outs[i]].t.rank < 0)
            imp->g->values[outs[i]].dtype = imp->shapes[outs[i]].t.dtype = guess_dtype(imp, &node);
    mien__node *added = NULL;
    bool ok = mien__graph_add_node(imp->g, d->op, node.name, in, d->n_in, outs, n_outs, &added);
    for (uint32_t i = 0; ok && i < d->n_attrs; i++)
        ok = attrs[i].is_float ? mien__node_set_floats(imp->g, added, attrs[i].key, attrs[i].v.f, attrs[i].n)
                               : mien__node_set_ints(imp->g, added, attrs[i].key, attrs[i].v.i, attrs[i].n);
    if (!ok && imp->g->n_nodes >= MIEN__MAX_NODES)
        (void)mien__import_fail(imp, MIEN_E_LIMIT, "the model has more than %d nodes", (int)MIEN__MAX_NODES);
    else if (!ok)
        (void)mien__import_nomem(imp);
}

uint32_t mien__import_emit1(mien__import *imp, const mien__draft *d, uint32_t out)
{
    mien__import_emit(imp, d, &out, 1);
    return imp->status == MIEN_OK ? out : MIEN__NO_VALUE;
}

uint32_t mien__import_op1(mien__import *imp, mien__op op, uint32_t a, uint32_t out)
{
    const mien__draft d = mien__draft_of(op, &a, 1);
    return mien__import_emit1(imp, &d, out);
}

uint32_t mien__import_op2(mien__import *imp, mien__op op, uint32_t a, uint32_t b, uint32_t out)
{
    const uint32_t in[2] = { a, b };
    const mien__draft d = mien__draft_of(op, in, 2);
    return mien__import_emit1(imp, &d, out);
}

static void mark_produced(const mien__graph *g, const uint32_t *in, uint32_t n_in, bool *produced)
{
    for (uint32_t i = 0; i < g->n_values; i++)
        produced[i] = g->values[i].data != NULL;
    for (uint32_t i = 0; i < n_in; i++)
        if (in[i] != MIEN__NO_VALUE)
            produced[in[i]] = true;
    for (uint32_t n = 0; n < g->n_nodes; n++)
        for (uint32_t i = 0; i < g->nodes[n].n_outputs; i++)
            if (g->nodes[n].outputs[i] != MIEN__NO_VALUE)
                produced[g->nodes[n].outputs[i]] = true;
}

mien_status mien__import_finish(mien__import *imp, const uint32_t *in, uint32_t n_in, const uint32_t *out,
                                uint32_t n_out, mien__graph **ret)
{
    imp->node_op = NULL;
    bool *const produced =
        mien__arena_alloc_array(imp->scratch, (size_t)imp->g->n_values + 1, sizeof *produced);
    if (!produced)
        return mien__import_nomem(imp);
    mark_produced(imp->g, in, n_in, produced);
    for (uint32_t n = 0; n < imp->g->n_nodes && imp->status == MIEN_OK; n++) {
        const mien__node *const node = &imp->g->nodes[n];
        for (uint32_t i = 0; i < node->n_inputs && imp->status == MIEN_OK; i++)
            if (node->inputs[i] != MIEN__NO_VALUE && !produced[node->inputs[i]])
                (void)mien__import_fail(imp, MIEN_E_MODEL_CORRUPT,
                                        "node '%.64s' (%s) reads '%.40s', which nothing produces", node->name,
                                        mien__op_name(node->op), imp->g->values[node->inputs[i]].name);
    }
    for (uint32_t i = 0; i < n_out && imp->status == MIEN_OK; i++)
        if (out[i] == MIEN__NO_VALUE || !produced[out[i]])
            (void)mien__import_fail(imp, MIEN_E_MODEL_CORRUPT, "output '%.64s' is produced by nothing",
                                    out[i] == MIEN__NO_VALUE ? "" : imp->g->values[out[i]].name);
    if (imp->status == MIEN_OK && !mien__graph_set_io(imp->g, in, n_in, out, n_out))
        (void)mien__import_nomem(imp);
    if (imp->status == MIEN_OK)
        imp->status = mien__graph_check(imp->g, imp->err);
    if (imp->status == MIEN_OK) {
        *ret = imp->g;
        imp->g = NULL;
    }
    return imp->status;
}
