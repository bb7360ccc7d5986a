/* One linear layer behind an embedding: what `tune head` trains.
 *
 * y = W x without a bias: a bias would move all embeddings together, which cosines do not want.
 */
#include "train/arch.h"
#include <string.h>

mien_status mien__arch_layer(int dim, mien__graph **ret, mien_error *err)
{
    mien__graph *g = mien__graph_new();
    const int64_t in_dims[4] = { -1, dim, 1, 1 }, w_dims[2] = { dim, dim };
    uint32_t v[4] = { 0 };
    mien__node *n = NULL;
    float *w = g ? mien__arena_alloc_array(g->arena, (size_t)dim * (size_t)dim, sizeof *w) : NULL;
    if (!w) {
        mien__graph_free(g);
        return mien__nomem(err, (size_t)dim * (size_t)dim * sizeof(float));
    }
    for (int i = 0; i < dim; i++)
        w[(size_t)i * (size_t)dim + (size_t)i] = 1.0f;
    const bool ok = mien__graph_add_value(g, "frozen", MIEN__F32, 4, in_dims, NULL, &v[0]) &&
                    mien__graph_add_value(g, "flat", MIEN__F32, -1, NULL, NULL, &v[1]) &&
                    mien__graph_add_node(g, MIEN__OP_Flatten, "flat", &v[0], 1, &v[1], 1, &n) &&
                    mien__node_set_int(g, n, MIEN__ATTR_AXIS, 1) &&
                    mien__graph_add_value(g, "tuned.w", MIEN__F32, 2, w_dims, w, &v[2]) &&
                    mien__graph_add_value(g, "tuned", MIEN__F32, -1, NULL, NULL, &v[3]) &&
                    mien__graph_add_node(g, MIEN__OP_Gemm, "tuned", &v[1], 2, &v[3], 1, &n) &&
                    mien__graph_set_io(g, &v[0], 1, &v[3], 1);
    if (!ok) {
        mien__graph_free(g);
        return mien__nomem(err, sizeof *g);
    }
    *ret = g;
    return MIEN_OK;
}

mien_status mien__arch_append_layer(mien__graph *g, const mien__graph *layer, mien_error *err)
{
    const mien__value *w = NULL;
    uint32_t in[2] = { g->outputs[0], 0 }, out = 0;
    mien__node *n = NULL;
    for (uint32_t i = 0; i < layer->n_nodes; i++)
        if (layer->nodes[i].op == MIEN__OP_Gemm)
            w = &layer->values[layer->nodes[i].inputs[1]];
    mien_assert(w && w->data);
    const size_t bytes = (size_t)mien__value_elems(w) * sizeof(float);
    void *copy = mien__arena_alloc(g->arena, bytes);
    if (!copy)
        return mien__nomem(err, bytes);
    memcpy(copy, w->data, bytes);
    if (!mien__graph_add_value(g, "tuned.w", MIEN__F32, 2, w->dims, copy, &in[1]) ||
        !mien__graph_add_value(g, "tuned", MIEN__F32, -1, NULL, NULL, &out) ||
        !mien__graph_add_node(g, MIEN__OP_Gemm, "tuned", in, 2, &out, 1, &n) ||
        !mien__graph_set_io(g, g->inputs, g->n_inputs, &out, 1))
        return mien__nomem(err, bytes);
    return MIEN_OK;
}
