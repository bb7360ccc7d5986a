/* Building graphs (graph_check.c checks them).
 *
 * Everything lives in the graph's arena; arrays grow by doubling (the old copy stays in the arena until the
 * graph is freed). Names come from untrusted files and end up in messages, so control characters in them are
 * replaced.
 */
#include "nn/graph.h"
#include <string.h>

#define GRAPH_ARENA_MAX ((size_t)6 << 30)
enum { NAME_MAX_BYTES = 512 };

mien__graph *mien__graph_new(void)
{
    mien__arena *arena = mien__arena_new(GRAPH_ARENA_MAX);
    if (!arena)
        return NULL;
    mien__graph *g = mien__arena_alloc_array(arena, 1, sizeof *g);
    if (!g) {
        mien__arena_free(arena);
        return NULL;
    }
    g->arena = arena;
    return g;
}

void mien__graph_free(mien__graph *g)
{
    if (g)
        mien__arena_free(g->arena);
}

/* Copy a name, at most NAME_MAX_BYTES, control characters replaced. */
static const char *copy_name(mien__graph *g, const char *name)
{
    size_t n = 0;
    while (name && n < NAME_MAX_BYTES && name[n])
        n++;
    char *copy = mien__arena_strndup(g->arena, name ? name : "", n);
    for (size_t i = 0; copy && i < n; i++)
        if ((unsigned char)copy[i] < 0x20 || copy[i] == 0x7f)
            copy[i] = '?';
    return copy;
}

/* Make room for one more item in a doubling array. */
static bool reserve(mien__arena *a, void **items, uint32_t n, uint32_t *cap, size_t item_bytes,
                    uint32_t limit)
{
    if (n >= limit)
        return false;
    if (n < *cap)
        return true;
    const uint32_t wanted = *cap ? *cap * 2 : 64;
    void *grown = mien__arena_alloc_array(a, wanted, item_bytes);
    if (!grown)
        return false;
    if (n)
        memcpy(grown, *items, n * item_bytes);
    *items = grown;
    *cap = wanted;
    return true;
}

bool mien__graph_add_value(mien__graph *g, const char *name, mien__dtype dtype, int rank, const int64_t *dims,
                           const void *data, uint32_t *ret)
{
    void *items = g->values;
    if (rank < -1 || rank > MIEN_MAX_RANK)
        return false;
    if (!reserve(g->arena, &items, g->n_values, &g->cap_values, sizeof *g->values, MIEN__MAX_VALUES))
        return false;
    g->values = items;
    mien__value *v = &g->values[g->n_values];
    memset(v, 0, sizeof *v);
    v->name = copy_name(g, name);
    if (!v->name)
        return false;
    v->dtype = dtype;
    v->rank = rank;
    for (int i = 0; i < rank; i++)
        v->dims[i] = dims[i];
    v->data = data;
    *ret = g->n_values++;
    return true;
}

static uint32_t *copy_indices(mien__graph *g, const uint32_t *src, uint32_t n)
{
    uint32_t *copy = mien__arena_alloc_array(g->arena, n ? n : 1, sizeof *copy);
    if (copy && n)
        memcpy(copy, src, n * sizeof *copy);
    return copy;
}

bool mien__graph_add_node(mien__graph *g, mien__op op, const char *name, const uint32_t *inputs,
                          uint32_t n_inputs, const uint32_t *outputs, uint32_t n_outputs, mien__node **ret)
{
    void *items = g->nodes;
    if (n_inputs > MIEN__MAX_NODE_EDGES || n_outputs > MIEN__MAX_NODE_EDGES)
        return false;
    if (!reserve(g->arena, &items, g->n_nodes, &g->cap_nodes, sizeof *g->nodes, MIEN__MAX_NODES))
        return false;
    g->nodes = items;
    mien__node *n = &g->nodes[g->n_nodes];
    memset(n, 0, sizeof *n);
    n->op = op;
    if ((!name || !*name) && n_outputs && outputs[0] < g->n_values)
        name = g->values[outputs[0]].name; /* messages must be able to name every node */
    n->name = copy_name(g, name);
    n->inputs = copy_indices(g, inputs, n_inputs);
    n->outputs = copy_indices(g, outputs, n_outputs);
    if (!n->name || !n->inputs || !n->outputs)
        return false;
    n->n_inputs = n_inputs;
    n->n_outputs = n_outputs;
    g->n_nodes++;
    if (ret)
        *ret = n;
    return true;
}

/* Find the attribute or append an empty one. */
static mien__attr *attr_slot(mien__graph *g, mien__node *n, mien__attr_key key)
{
    for (uint32_t i = 0; i < n->n_attrs; i++)
        if (n->attrs[i].key == key)
            return &n->attrs[i];
    mien__attr *grown = mien__arena_alloc_array(g->arena, n->n_attrs + 1, sizeof *grown);
    if (!grown)
        return NULL;
    if (n->n_attrs)
        memcpy(grown, n->attrs, n->n_attrs * sizeof *grown);
    n->attrs = grown;
    n->attrs[n->n_attrs].key = key;
    return &n->attrs[n->n_attrs++];
}

bool mien__node_set_ints(mien__graph *g, mien__node *n, mien__attr_key key, const int64_t *v, uint32_t count)
{
    int64_t *copy = mien__arena_alloc_array(g->arena, count ? count : 1, sizeof *copy);
    mien__attr *a = copy ? attr_slot(g, n, key) : NULL;
    if (!a)
        return false;
    if (count)
        memcpy(copy, v, count * sizeof *copy);
    a->is_float = false;
    a->n = count;
    a->v.i = copy;
    return true;
}

bool mien__node_set_int(mien__graph *g, mien__node *n, mien__attr_key key, int64_t v)
{
    return mien__node_set_ints(g, n, key, &v, 1);
}

bool mien__node_set_floats(mien__graph *g, mien__node *n, mien__attr_key key, const double *v, uint32_t count)
{
    double *copy = mien__arena_alloc_array(g->arena, count ? count : 1, sizeof *copy);
    mien__attr *a = copy ? attr_slot(g, n, key) : NULL;
    if (!a)
        return false;
    if (count)
        memcpy(copy, v, count * sizeof *copy);
    a->is_float = true;
    a->n = count;
    a->v.f = copy;
    return true;
}

bool mien__node_set_float(mien__graph *g, mien__node *n, mien__attr_key key, double v)
{
    return mien__node_set_floats(g, n, key, &v, 1);
}

bool mien__graph_set_io(mien__graph *g, const uint32_t *in, uint32_t n_in, const uint32_t *out,
                        uint32_t n_out)
{
    if (n_in > MIEN__MAX_NODE_EDGES || n_out > MIEN__MAX_NODE_EDGES)
        return false;
    uint32_t *in_copy = copy_indices(g, in, n_in), *out_copy = copy_indices(g, out, n_out);
    if (!in_copy || !out_copy)
        return false;
    g->inputs = in_copy;
    g->outputs = out_copy;
    g->n_inputs = n_in;
    g->n_outputs = n_out;
    return true;
}

const mien__attr *mien__node_attr(const mien__node *n, mien__attr_key key)
{
    for (uint32_t i = 0; i < n->n_attrs; i++)
        if (n->attrs[i].key == key)
            return &n->attrs[i];
    return NULL;
}

int64_t mien__node_int(const mien__node *n, mien__attr_key key, int64_t fallback)
{
    const mien__attr *a = mien__node_attr(n, key);
    return a && a->n && !a->is_float ? a->v.i[0] : fallback;
}

double mien__node_float(const mien__node *n, mien__attr_key key, double fallback)
{
    const mien__attr *a = mien__node_attr(n, key);
    if (!a || !a->n)
        return fallback;
    return a->is_float ? a->v.f[0] : (double)a->v.i[0];
}

static const struct {
    const char *name;
    mien__op op;
} op_names[] = {
#define OP_NAME_ROW(name, id) { #name, MIEN__OP_##name },
    MIEN__OP_LIST(OP_NAME_ROW)
#undef OP_NAME_ROW
};

const char *mien__op_name(mien__op op)
{
    for (size_t i = 0; i < MIEN_COUNTOF(op_names); i++)
        if (op_names[i].op == op)
            return op_names[i].name;
    return "unknown";
}

mien__op mien__op_by_name(const char *name)
{
    for (size_t i = 0; i < MIEN_COUNTOF(op_names); i++)
        if (strcmp(op_names[i].name, name) == 0)
            return op_names[i].op;
    return MIEN__OP_NONE;
}

int64_t mien__elems(int rank, const int64_t *dims)
{
    int64_t n = 1;
    bool empty = false;
    if (rank < 0 || rank > MIEN_MAX_RANK)
        return -1;
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0)
            return -1;
        if (dims[i] == 0)
            empty = true;
        else if (n > MIEN__MAX_TENSOR_ELEMS / dims[i])
            return -1;
        else
            n *= dims[i];
    }
    return empty ? 0 : n;
}

int64_t mien__value_elems(const mien__value *v)
{
    return mien__elems(v->rank, v->dims);
}
