/* Copies of graphs, and models made of a network's present weights.
 *
 * A copy has an arena of its own and shares nothing with the original. For a model the weights are copied
 * too, so the network can train on while the model is in use; the copy is simplified, which folds batch
 * normalisation.
 */
#include "train/net_plan.h"
#include <string.h>

static mien_status copy_value(mien__graph *to, const mien__value *v, mien_error *err)
{
    void *data = NULL;
    if (v->data) {
        size_t bytes = 0;
        const int64_t n = mien__value_elems(v);
        if (n < 0 || !mien_mul_ok((size_t)n, v->dtype == MIEN__I64 ? 8 : 4, &bytes))
            return mien__fail(err, MIEN_E_LIMIT, "constant '%.80s' is too large", v->name);
        data = mien__arena_alloc(to->arena, bytes + 1);
        if (!data)
            return mien__nomem(err, bytes);
        memcpy(data, v->data, bytes);
    }
    uint32_t at = 0;
    return mien__graph_add_value(to, v->name, v->dtype, v->rank, v->dims, data, &at) ? MIEN_OK
                                                                                     : mien__nomem(err, 0);
}

static mien_status copy_node(mien__graph *to, const mien__node *n, mien_error *err)
{
    mien__node *made = NULL;
    if (!mien__graph_add_node(to, n->op, n->name, n->inputs, n->n_inputs, n->outputs, n->n_outputs, &made))
        return mien__nomem(err, sizeof *n);
    for (uint32_t i = 0; i < n->n_attrs; i++) {
        const mien__attr *a = &n->attrs[i];
        if (a->is_float ? !mien__node_set_floats(to, made, a->key, a->v.f, a->n)
                        : !mien__node_set_ints(to, made, a->key, a->v.i, a->n))
            return mien__nomem(err, a->n * sizeof(double));
    }
    return MIEN_OK;
}

mien_status mien__graph_copy(const mien__graph *g, mien__graph **ret, mien_error *err)
{
    mien__graph *to = mien__graph_new();
    mien_status st = to ? MIEN_OK : mien__nomem(err, sizeof *g);
    for (uint32_t i = 0; !st && i < g->n_values; i++)
        st = copy_value(to, &g->values[i], err);
    for (uint32_t i = 0; !st && i < g->n_nodes; i++)
        st = copy_node(to, &g->nodes[i], err);
    if (!st && !mien__graph_set_io(to, g->inputs, g->n_inputs, g->outputs, g->n_outputs))
        st = mien__nomem(err, 0);
    if (st) {
        mien__graph_free(to);
        return st;
    }
    *ret = to;
    return MIEN_OK;
}

const mien__graph *mien__net_graph(const mien__net *n)
{
    return n->g;
}

mien_status mien__net_model(const mien__net *n, const mien_model_info *info, mien_model **ret,
                            mien_error *err)
{
    mien__graph *g = NULL;
    mien_status st = mien__graph_copy(n->g, &g, err);
    if (st)
        return st;
    if ((st = mien__graph_simplify(g, err))) {
        mien__graph_free(g);
        return st;
    }
    return mien__model_from_graph(g, info, ret, err); /* takes g */
}
