/* A model's fingerprint: BLAKE2b-256 over everything its outputs depend on, in a form that no file format
 * shares, so that a model has one fingerprint whether it was imported, saved, or stored in half floats
 * exactly.
 *
 * Hashed, numbers little-endian: a tag with the version of this form; the preprocessing; per node, in the
 * graph's order, its operator, attributes and inputs; per input where it comes from or, for a constant, type,
 * shape and elements. Names are left out. BLAKE2b because some 16 MB are hashed when a gallery is opened.
 */
#include "nn/fingerprint.h"
#include <sodium.h>
#include <string.h>

typedef struct hasher {
    crypto_generichash_state state;
} hasher;

static void put(hasher *h, const void *data, size_t bytes)
{
    crypto_generichash_update(&h->state, data, bytes);
}

static void put_u64(hasher *h, uint64_t v)
{
    uint8_t b[8];
    for (int i = 0; i < 8; i++)
        b[i] = (uint8_t)(v >> (8 * i));
    put(h, b, sizeof b);
}

static void put_f64(hasher *h, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_u64(h, bits);
}

static void put_preprocessing(hasher *h, const mien_model_info *info)
{
    put_u64(h, (uint64_t)info->task);
    put_u64(h, (uint64_t)info->input_width);
    put_u64(h, (uint64_t)info->input_height);
    put_u64(h, (uint64_t)info->color_order);
    put_u64(h, (uint64_t)info->normalize);
    for (int c = 0; c < 3; c++) {
        put_f64(h, (double)info->mean[c]);
        put_f64(h, (double)info->scale[c]);
    }
    put_u64(h, (uint64_t)info->crop);
    put_f64(h, (double)info->crop_margin);
    for (int i = 0; i < MIEN_LANDMARKS; i++) {
        put_f64(h, (double)info->landmarks[i][0]);
        put_f64(h, (double)info->landmarks[i][1]);
    }
    put_u64(h, (uint64_t)info->embedding_len);
}

static void put_value(hasher *h, const mien__graph *g, uint32_t index)
{
    if (index == (uint32_t)MIEN__NO_VALUE) {
        put_u64(h, UINT64_MAX);
        return;
    }
    const mien__value *const v = &g->values[index];
    if (!v->data)
        return;
    put_u64(h, (uint64_t)v->dtype);
    put_u64(h, (uint64_t)(int64_t)v->rank);
    for (int d = 0; d < v->rank; d++)
        put_u64(h, (uint64_t)v->dims[d]);
    const int64_t n = mien__value_elems(v);
    if (n > 0)
        put(h, v->data, (size_t)n * (v->dtype == MIEN__I64 ? sizeof(int64_t) : sizeof(float)));
}

/* Where a value that is not constant comes from: node and output, or input of the graph. Found by walking, as
 * the writer may number values anew; graphs have a few hundred nodes. */
static uint64_t origin_of(const mien__graph *g, uint32_t value)
{
    for (uint32_t i = 0; i < g->n_inputs; i++)
        if (g->inputs[i] == value)
            return i;
    for (uint32_t i = 0; i < g->n_nodes; i++)
        for (uint32_t j = 0; j < g->nodes[i].n_outputs; j++)
            if (g->nodes[i].outputs[j] == value)
                return ((uint64_t)i + 1) << 32 | j;
    return UINT64_MAX - 1;
}

static void put_edge(hasher *h, const mien__graph *g, uint32_t value)
{
    put_value(h, g, value);
    if (value != (uint32_t)MIEN__NO_VALUE && !g->values[value].data)
        put_u64(h, origin_of(g, value));
}

static void put_node(hasher *h, const mien__graph *g, const mien__node *node)
{
    put_u64(h, (uint64_t)node->op);
    put_u64(h, node->n_attrs);
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        const mien__attr *const a = &node->attrs[i];
        put_u64(h, (uint64_t)a->key);
        put_u64(h, (uint64_t)a->is_float << 32 | a->n);
        for (uint32_t j = 0; j < a->n; j++) {
            if (a->is_float)
                put_f64(h, a->v.f[j]);
            else
                put_u64(h, (uint64_t)a->v.i[j]);
        }
    }
    put_u64(h, (uint64_t)node->n_inputs << 32 | node->n_outputs);
    for (uint32_t i = 0; i < node->n_inputs; i++)
        put_edge(h, g, node->inputs[i]);
}

void mien__fingerprint(const mien__graph *g, const mien_model_info *info, char ret_hex[MIEN__FINGERPRINT_HEX])
{
    static const char tag[] = "mien fingerprint 1";
    uint8_t digest[32];
    hasher h;
    crypto_generichash_init(&h.state, NULL, 0, sizeof digest);
    put(&h, tag, sizeof tag);
    put_preprocessing(&h, info);
    put_u64(&h, g->n_nodes);
    for (uint32_t i = 0; i < g->n_nodes; i++)
        put_node(&h, g, &g->nodes[i]);
    for (uint32_t i = 0; i < g->n_outputs; i++)
        put_edge(&h, g, g->outputs[i]);
    crypto_generichash_final(&h.state, digest, sizeof digest);
    sodium_bin2hex(ret_hex, MIEN__FINGERPRINT_HEX, digest, sizeof digest);
}
