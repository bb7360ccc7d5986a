/* Checking graphs from untrusted files, and sorting their nodes.
 *
 * The topological sort is a depth-first walk in file order, without recursion: a graph that is sorted already
 * keeps its order.
 */
#include "nn/graph.h"
#include "nn/ops.h"
#include <string.h>

enum { NO_NODE = UINT32_MAX, FROM_OUTSIDE = UINT32_MAX - 1 };

static mien_status check_values(const mien__graph *g, mien_error *err)
{
    for (uint32_t i = 0; i < g->n_values; i++) {
        const mien__value *v = &g->values[i];
        bool bad =
            v->rank < -1 || v->rank > MIEN_MAX_RANK || (v->dtype != MIEN__F32 && v->dtype != MIEN__I64);
        for (int d = 0; !bad && d < v->rank; d++)
            bad = v->dims[d] < -1;
        if (bad || (v->data && mien__value_elems(v) < 0))
            return mien__fail(err, MIEN_E_MODEL_CORRUPT, "tensor '%.80s' has an invalid type or shape",
                              v->name);
    }
    return MIEN_OK;
}

/* Mark constants and graph inputs; E_MODEL_CORRUPT when an input is named twice or carries data. */
static mien_status check_inputs(const mien__graph *g, uint32_t *producer, mien_error *err)
{
    for (uint32_t i = 0; i < g->n_values; i++)
        producer[i] = g->values[i].data ? FROM_OUTSIDE : NO_NODE;
    for (uint32_t i = 0; i < g->n_inputs; i++) {
        const uint32_t v = g->inputs[i];
        if (v >= g->n_values || producer[v] != NO_NODE)
            return mien__fail(err, MIEN_E_MODEL_CORRUPT, "network input %u is not a free tensor",
                              (unsigned)i);
        if (g->values[v].dtype != MIEN__F32)
            return mien__fail(err, MIEN_E_MODEL_OP, "network input '%.80s' is not float32",
                              g->values[v].name);
        producer[v] = FROM_OUTSIDE;
    }
    return MIEN_OK;
}

static mien_status check_node(const mien__graph *g, uint32_t index, uint32_t *producer, mien_error *err)
{
    const mien__node *n = &g->nodes[index];
    const mien__op_def *def = mien__op_def_of(n->op);
    if (!def)
        return mien__fail(err, MIEN_E_MODEL_OP, "node '%.80s': operator number %d is not known", n->name,
                          (int)n->op);
    if (n->n_inputs < (uint32_t)def->min_inputs || n->n_inputs > (uint32_t)def->max_inputs ||
        n->n_outputs < (uint32_t)def->min_outputs || n->n_outputs > (uint32_t)def->max_outputs)
        return mien__fail(err, MIEN_E_MODEL_OP, "node '%.80s' (%s) has %u inputs and %u outputs", n->name,
                          mien__op_name(n->op), (unsigned)n->n_inputs, (unsigned)n->n_outputs);
    for (uint32_t i = 0; i < n->n_inputs; i++) {
        const uint32_t v = n->inputs[i];
        if (v == (uint32_t)MIEN__NO_VALUE && i >= (uint32_t)def->min_inputs)
            continue;
        if (v >= g->n_values)
            return mien__fail(err, MIEN_E_MODEL_CORRUPT, "node '%.80s' (%s): input %u does not exist",
                              n->name, mien__op_name(n->op), (unsigned)i);
    }
    for (uint32_t i = 0; i < n->n_outputs; i++) {
        const uint32_t v = n->outputs[i];
        if (v >= g->n_values)
            return mien__fail(err, MIEN_E_MODEL_CORRUPT, "node '%.80s' (%s): output %u does not exist",
                              n->name, mien__op_name(n->op), (unsigned)i);
        if (producer[v] != NO_NODE)
            return mien__fail(err, MIEN_E_MODEL_CORRUPT, "node '%.80s' (%s): tensor '%.80s' is made twice",
                              n->name, mien__op_name(n->op), g->values[v].name);
        producer[v] = index;
    }
    return MIEN_OK;
}

/* Every tensor read must be made by somebody. */
static mien_status check_sources(const mien__graph *g, const uint32_t *producer, mien_error *err)
{
    for (uint32_t i = 0; i < g->n_nodes; i++)
        for (uint32_t j = 0; j < g->nodes[i].n_inputs; j++) {
            const uint32_t v = g->nodes[i].inputs[j];
            if (v != (uint32_t)MIEN__NO_VALUE && producer[v] == NO_NODE)
                return mien__fail(err, MIEN_E_MODEL_CORRUPT,
                                  "node '%.80s' (%s): nothing makes its input '%.80s'", g->nodes[i].name,
                                  mien__op_name(g->nodes[i].op), g->values[v].name);
        }
    if (g->n_outputs == 0)
        return mien__fail(err, MIEN_E_MODEL_CORRUPT, "the network has no output");
    for (uint32_t i = 0; i < g->n_outputs; i++)
        if (g->outputs[i] >= g->n_values || producer[g->outputs[i]] == NO_NODE)
            return mien__fail(err, MIEN_E_MODEL_CORRUPT, "nothing makes network output %u", (unsigned)i);
    return MIEN_OK;
}

/* Depth-first, inputs before nodes. state: 0 new, 1 on the stack, 2 placed. */
static mien_status sort_nodes(const mien__graph *g, const uint32_t *producer, uint8_t *state, uint32_t *stack,
                              uint32_t *next, uint32_t *order, mien_error *err)
{
    uint32_t placed = 0;
    for (uint32_t root = 0; root < g->n_nodes; root++) {
        uint32_t depth = 0;
        if (state[root])
            continue;
        stack[depth++] = root;
        state[root] = 1;
        while (depth) {
            const uint32_t at = stack[depth - 1];
            const mien__node *n = &g->nodes[at];
            if (next[at] == n->n_inputs) {
                state[at] = 2;
                order[placed++] = at;
                depth--;
                continue;
            }
            const uint32_t v = n->inputs[next[at]++];
            const uint32_t from = v == (uint32_t)MIEN__NO_VALUE ? FROM_OUTSIDE : producer[v];
            if (from >= g->n_nodes || state[from] == 2)
                continue;
            if (state[from] == 1)
                return mien__fail(err, MIEN_E_MODEL_CORRUPT, "node '%.80s' (%s) depends on itself (cycle)",
                                  g->nodes[from].name, mien__op_name(g->nodes[from].op));
            state[from] = 1;
            stack[depth++] = from;
        }
    }
    return MIEN_OK;
}

mien_status mien__graph_check(mien__graph *g, mien_error *err)
{
    mien_status st = MIEN_OK;
    const size_t n = g->n_nodes;
    uint32_t *producer = mien_alloc_array(g->n_values + (size_t)1, sizeof *producer);
    uint32_t *work = mien_alloc_array_zero(n + 1, 3 * sizeof *work);
    uint8_t *state = mien_alloc_zero(n + 1);
    mien__node *sorted = mien_alloc_array(n + 1, sizeof *sorted);

    if (!producer || !work || !state || !sorted) {
        st = mien__nomem(err, n * sizeof *sorted);
        goto done;
    }
    if ((st = check_values(g, err)) || (st = check_inputs(g, producer, err)))
        goto done;
    for (uint32_t i = 0; i < n; i++)
        if ((st = check_node(g, i, producer, err)))
            goto done;
    if ((st = check_sources(g, producer, err)))
        goto done;
    uint32_t *order = work + 2 * n;
    if ((st = sort_nodes(g, producer, state, work, work + n, order, err)))
        goto done;
    for (size_t i = 0; i < n; i++)
        sorted[i] = g->nodes[order[i]];
    if (n)
        memcpy(g->nodes, sorted, n * sizeof *sorted);
done:
    mien_free(sorted);
    mien_free(state);
    mien_free(work);
    mien_free(producer);
    return st;
}
