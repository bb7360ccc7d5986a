/* Reading OpenVINO IR v10 and v11: layers sorted by their edges, constants from the weights file, the rest
 * through the table of ir_ops.c.
 *
 * A value is known by "layer:port" while importing; in the graph it carries the layer's name. FP16 weights
 * are widened, so that the compression that IR writes as Const + Convert disappears.
 */
#include "nn/ir_read.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IR_MIN_VERSION = 10, IR_MAX_VERSION = 11 };

/* ---- attributes ---- */

const char *mien__ir_str(const mien__ir_node *n, const char *key, const char *fallback)
{
    for (const mien__ir_attr *a = n->layer->attrs; a; a = a->next)
        if (strcmp(a->key, key) == 0)
            return a->value;
    return fallback;
}

bool mien__ir_is(const mien__ir_node *n, const char *key, const char *fallback, const char *value)
{
    return strcmp(mien__ir_str(n, key, fallback), value) == 0;
}

bool mien__ir_true(const mien__ir_node *n, const char *key, bool fallback)
{
    const char *const v = mien__ir_str(n, key, fallback ? "true" : "false");
    return strcmp(v, "true") == 0 || strcmp(v, "1") == 0 || strcmp(v, "True") == 0;
}

int64_t mien__ir_int(const mien__ir_node *n, const char *key, int64_t fallback)
{
    const char *const v = mien__ir_str(n, key, NULL);
    if (v && !mien__parse_i64(v, &fallback))
        (void)mien__import_fail(n->imp, MIEN_E_MODEL_CORRUPT, "%s is not a whole number", key);
    return fallback;
}

double mien__ir_float(const mien__ir_node *n, const char *key, double fallback)
{
    const char *const v = mien__ir_str(n, key, NULL);
    if (v && !mien__parse_f64(v, &fallback))
        (void)mien__import_fail(n->imp, MIEN_E_MODEL_CORRUPT, "%s is not a number", key);
    return fallback;
}

size_t mien__ir_ints(const mien__ir_node *n, const char *key, int64_t *ret, size_t max)
{
    const char *p = mien__ir_str(n, key, "");
    size_t count = 0;
    for (p += strspn(p, ", "); *p; p += strspn(p, ", ")) {
        char text[24];
        const size_t len = strcspn(p, ", ");
        if (len >= sizeof text || count >= max) {
            (void)mien__import_fail(n->imp, MIEN_E_MODEL_CORRUPT, "%s is not a list of at most %zu numbers",
                                    key, max);
            return 0;
        }
        memcpy(text, p, len);
        text[len] = '\0';
        if (strcmp(text, "?") == 0)
            ret[count] = -1;
        else if (!mien__parse_i64(text, &ret[count])) {
            (void)mien__import_fail(n->imp, MIEN_E_MODEL_CORRUPT, "%s is not a list of numbers", key);
            return 0;
        }
        count++;
        p += len;
    }
    return count;
}

mien__dtype mien__ir_dtype(const char *name, size_t *ret_bytes)
{
    static const struct {
        const char *name;
        size_t bytes;
        mien__dtype dtype;
    } types[] = { { "f32", 4, MIEN__F32 },    { "f16", 2, MIEN__F32 }, { "i64", 8, MIEN__I64 },
                  { "i32", 4, MIEN__I64 },    { "u8", 1, MIEN__I64 },  { "i8", 1, MIEN__I64 },
                  { "boolean", 1, MIEN__I64 } };
    for (size_t i = 0; i < MIEN_COUNTOF(types); i++)
        if (strcmp(types[i].name, name) == 0) {
            *ret_bytes = types[i].bytes;
            return types[i].dtype;
        }
    return (mien__dtype)0;
}

uint32_t mien__ir_in(const mien__ir_node *n, uint32_t i)
{
    return i < n->layer->n_in ? n->layer->in[i] : MIEN__NO_VALUE;
}

uint32_t mien__ir_out(const mien__ir_node *n)
{
    return n->layer->n_out ? n->layer->out[0] : MIEN__NO_VALUE;
}

void mien__ir_emit(const mien__ir_node *n, const mien__draft *d)
{
    (void)mien__import_emit1(n->imp, d, mien__ir_out(n));
}

/* ---- layers, edges, order ---- */

static int by_id(const void *a, const void *b)
{
    const int64_t x = (*(mien__ir_layer *const *)a)->id, y = (*(mien__ir_layer *const *)b)->id;
    return x < y ? -1 : x > y;
}

static mien__ir_layer *find_layer(const mien__ir_net *net, int64_t id)
{
    const mien__ir_layer key = { .id = id };
    const mien__ir_layer *const at = &key;
    mien__ir_layer **const found = bsearch(&at, net->sorted, net->n_layers, sizeof *net->sorted, by_id);
    return found ? *found : NULL;
}

static void sort_layers(mien__import *imp, mien__ir_net *net)
{
    uint32_t n = 0;
    net->sorted = mien__arena_alloc_array(net->arena, (size_t)net->n_layers + 1, sizeof(mien__ir_layer *));
    if (!net->sorted) {
        (void)mien__import_nomem(imp);
        return;
    }
    for (mien__ir_layer *l = net->layers; l; l = l->next)
        net->sorted[n++] = l;
    qsort(net->sorted, n, sizeof(mien__ir_layer *), by_id);
    for (uint32_t i = 1; i < n && imp->status == MIEN_OK; i++)
        if (net->sorted[i]->id == net->sorted[i - 1]->id)
            (void)mien__import_fail(imp, MIEN_E_MODEL_CORRUPT, "two layers have the id %lld",
                                    (long long)net->sorted[i]->id);
}

/* Hang each edge on the layer it ends at, in the order of that layer's ports. */
static void attach_edges(mien__import *imp, mien__ir_net *net)
{
    for (mien__ir_edge *e = net->edges, *next = NULL; e && imp->status == MIEN_OK; e = next) {
        mien__ir_layer *const to = find_layer(net, e->to_layer);
        next = e->next;
        if (!to || !find_layer(net, e->from_layer)) {
            (void)mien__import_fail(imp, MIEN_E_MODEL_CORRUPT,
                                    "an edge from layer %lld to layer %lld, which is missing",
                                    (long long)e->from_layer, (long long)e->to_layer);
            return;
        }
        if (++to->n_in > MIEN__MAX_NODE_EDGES) {
            (void)mien__import_fail(imp, MIEN_E_LIMIT, "layer '%.64s' has too many inputs", to->name);
            return;
        }
        mien__ir_edge **at = &to->edges;
        while (*at && (*at)->to_port < e->to_port)
            at = &(*at)->next;
        if (*at && (*at)->to_port == e->to_port) {
            (void)mien__import_fail(imp, MIEN_E_MODEL_CORRUPT, "two edges end at port %lld of layer '%.64s'",
                                    (long long)e->to_port, to->name);
            return;
        }
        e->next = *at;
        *at = e;
    }
}

static uint32_t port_value(mien__import *imp, const mien__ir_net *net, const mien__ir_layer *layer,
                           int64_t port)
{
    char key[48];
    const int len = snprintf(key, sizeof key, "%lld:%lld", (long long)layer->id, (long long)port);
    const char *const kept = mien__arena_strndup(net->arena, key, (size_t)len);
    if (!kept) {
        (void)mien__import_nomem(imp);
        return MIEN__NO_VALUE;
    }
    const uint32_t v = mien__import_value(imp, kept);
    if (v != MIEN__NO_VALUE) {
        char *const name = mien__arena_strndup(imp->g->arena, layer->name, strlen(layer->name));
        for (char *p = name; p && *p; p++)
            *p = (unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p;
        imp->g->values[v].name = name ? name : imp->g->values[v].name;
    }
    return v;
}

/* Values of the layer's ports. */
static void bind_ports(mien__import *imp, const mien__ir_net *net, mien__ir_layer *layer)
{
    uint32_t n = 0;
    layer->in = mien__arena_alloc_array(net->arena, (size_t)layer->n_in + 1, sizeof *layer->in);
    layer->out = mien__arena_alloc_array(net->arena, (size_t)layer->n_out + 1, sizeof *layer->out);
    if (!layer->in || !layer->out) {
        (void)mien__import_nomem(imp);
        return;
    }
    for (const mien__ir_edge *e = layer->edges; e; e = e->next)
        layer->in[n++] = port_value(imp, net, find_layer(net, e->from_layer), e->from_port);
    n = 0;
    for (const mien__ir_port *p = layer->outputs; p; p = p->next) {
        layer->out[n] = port_value(imp, net, layer, p->id);
        mien__import_define(imp, layer->out[n++]);
    }
}

/* ---- mapping ---- */

typedef struct ir_build {
    mien__import *imp;
    mien__ir_net *net;
    const uint8_t *bin;
    size_t bin_size;
    uint32_t in[64], out[64], n_in, n_out;
} ir_build;

static void map_parameter(ir_build *b, const mien__ir_node *n)
{
    int64_t dims[MIEN_MAX_RANK] = { 0 };
    size_t bytes = 0;
    const size_t rank = mien__ir_ints(n, "shape", dims, MIEN_MAX_RANK);
    const mien__dtype dtype = mien__ir_dtype(mien__ir_str(n, "element_type", "f32"), &bytes);
    if (!dtype || n->layer->n_out != 1 || b->n_in >= MIEN_COUNTOF(b->in)) {
        (void)mien__import_fail(b->imp, MIEN_E_UNSUPPORTED, "not an input of numbers");
        return;
    }
    for (size_t i = 0; i < rank; i++)
        if (dims[i] < -1 || dims[i] == 0) {
            (void)mien__import_fail(b->imp, MIEN_E_MODEL_CORRUPT, "a size of %lld", (long long)dims[i]);
            return;
        }
    const uint32_t v = mien__ir_out(n);
    if (b->imp->status != MIEN_OK)
        return;
    mien__import_set_input(b->imp, v, dtype, (int)rank, dims);
    b->in[b->n_in++] = v;
}

static void widen(const uint8_t *src, size_t item, bool is_signed, mien__dtype dtype, void *dst, size_t n)
{
    for (size_t i = 0; i < n; i++, src += item) {
        if (dtype == MIEN__F32) {
            uint16_t half = 0;
            memcpy(&half, src, sizeof half);
            ((float *)dst)[i] = mien__half_to_float(half);
        } else if (item == 1) {
            ((int64_t *)dst)[i] = is_signed ? (int64_t)(int8_t)*src : (int64_t)*src;
        } else {
            int32_t v = 0;
            memcpy(&v, src, sizeof v);
            ((int64_t *)dst)[i] = v;
        }
    }
}

static void map_const(ir_build *b, const mien__ir_node *n)
{
    int64_t dims[MIEN_MAX_RANK] = { 0 };
    size_t item = 0;
    void *data = NULL;
    const char *const type = mien__ir_str(n, "element_type", "");
    const size_t rank = mien__ir_ints(n, "shape", dims, MIEN_MAX_RANK);
    const mien__dtype dtype = mien__ir_dtype(type, &item);
    const int64_t offset = mien__ir_int(n, "offset", -1), size = mien__ir_int(n, "size", -1);
    if (!dtype) {
        (void)mien__import_fail(b->imp, MIEN_E_UNSUPPORTED, "element type '%.16s' is not supported", type);
        return;
    }
    bool negative = false;
    for (size_t i = 0; i < rank; i++)
        negative = negative || dims[i] < 0;
    const int64_t count = negative ? -1 : mien__elems((int)rank, dims);
    if (count < 0 || offset < 0 || size < 0 || size != count * (int64_t)item) {
        (void)mien__import_fail(b->imp, MIEN_E_MODEL_CORRUPT, "the constant's size does not match its shape");
        return;
    }
    if ((uint64_t)offset > b->bin_size || (uint64_t)size > b->bin_size - (uint64_t)offset) {
        (void)mien__import_fail(
            b->imp, MIEN_E_MODEL_CORRUPT, "bytes %llu to %llu of the weights, which have only %zu",
            (unsigned long long)offset, (unsigned long long)offset + (unsigned long long)size, b->bin_size);
        return;
    }
    if (n->layer->n_out != 1 ||
        mien__import_const(b->imp, mien__ir_out(n), dtype, (int)rank, dims, &data) == MIEN__NO_VALUE) {
        (void)mien__import_fail(b->imp, MIEN_E_MODEL_CORRUPT, "the constant has no output");
        return;
    }
    const uint8_t *const src = b->bin + offset;
    if ((dtype == MIEN__F32 && item == 4) || item == 8) {
        if (size)
            memcpy(data, src, (size_t)size);
    } else {
        widen(src, item, strcmp(type, "i8") == 0, dtype, data, (size_t)count);
    }
}

static void map_layer(ir_build *b, mien__ir_layer *layer)
{
    const mien__ir_node n = { b->imp, layer };
    b->imp->node_name = layer->name;
    b->imp->node_op = layer->type;
    bind_ports(b->imp, b->net, layer);
    if (b->imp->status != MIEN_OK)
        return;
    if (strcmp(layer->type, "Parameter") == 0) {
        map_parameter(b, &n);
    } else if (strcmp(layer->type, "Const") == 0) {
        map_const(b, &n);
    } else if (strcmp(layer->type, "Result") == 0) {
        if (layer->n_in != 1 || b->n_out >= MIEN_COUNTOF(b->out))
            (void)mien__import_fail(b->imp, MIEN_E_MODEL_CORRUPT, "%u inputs, wanted 1",
                                    (unsigned)layer->n_in);
        else
            b->out[b->n_out++] = layer->in[0];
    } else if (strcmp(layer->type, "FakeQuantize") == 0) {
        (void)mien__import_fail(b->imp, MIEN_E_MODEL_OP,
                                "quantised networks are not supported; use the FP16 or FP32 file");
    } else {
        const mien__ir_map map = mien__ir_map_of(layer->type);
        if (!map)
            (void)mien__import_fail(b->imp, MIEN_E_MODEL_OP, "operator not supported (%.16s)",
                                    layer->version);
        else if (layer->n_out == 0)
            (void)mien__import_fail(b->imp, MIEN_E_MODEL_CORRUPT, "the layer has no output");
        else
            map(&n);
    }
}

/* Map every layer after those it reads from: depth first with a stack of our own, in order of ids. */
static void map_all(ir_build *b)
{
    mien__ir_net *const net = b->net;
    mien__ir_layer **const stack =
        mien__arena_alloc_array(net->arena, (size_t)net->n_layers + 1, sizeof *stack);
    mien__ir_edge **const next = mien__arena_alloc_array(net->arena, (size_t)net->n_layers + 1, sizeof *next);
    if (!stack || !next) {
        (void)mien__import_nomem(b->imp);
        return;
    }
    for (uint32_t i = 0; i < net->n_layers; i++) {
        uint32_t depth = 0;
        if (net->sorted[i]->state == 0) {
            net->sorted[i]->state = 1;
            stack[0] = net->sorted[i];
            next[0] = stack[0]->edges;
            depth = 1;
        }
        while (depth > 0 && b->imp->status == MIEN_OK) {
            mien__ir_layer *const top = stack[depth - 1];
            if (!next[depth - 1]) {
                map_layer(b, top);
                top->state = 2;
                depth--;
                continue;
            }
            mien__ir_layer *const from = find_layer(net, next[depth - 1]->from_layer);
            next[depth - 1] = next[depth - 1]->next;
            if (from->state == 1) {
                b->imp->node_name = from->name;
                b->imp->node_op = from->type;
                (void)mien__import_fail(b->imp, MIEN_E_MODEL_CORRUPT, "the layer depends on itself");
            } else if (from->state == 0) {
                from->state = 1;
                stack[depth] = from;
                next[depth] = from->edges;
                depth++;
            }
        }
    }
    b->imp->node_name = b->imp->node_op = NULL;
}

mien_status mien__ir_read(const uint8_t *xml, size_t xml_size, const uint8_t *bin, size_t bin_size,
                          mien__graph **ret, mien_error *err)
{
    mien__import imp = { 0 };
    mien__ir_net net = { 0 };
    mien_status status = mien__ir_parse(xml, xml_size, &net, err);
    if (status != MIEN_OK)
        goto done;
    if (!mien__import_begin(&imp, xml_size * 16 + bin_size + (8 << 20), err)) {
        status = imp.status;
        goto done;
    }
    ir_build b = { .imp = &imp, .net = &net, .bin = bin, .bin_size = bin_size };
    if (net.version < IR_MIN_VERSION || net.version > IR_MAX_VERSION)
        (void)mien__import_fail(&imp, MIEN_E_UNSUPPORTED,
                                "OpenVINO IR version %lld; versions %d and %d are read",
                                (long long)net.version, (int)IR_MIN_VERSION, (int)IR_MAX_VERSION);
    if (imp.status == MIEN_OK)
        sort_layers(&imp, &net);
    if (imp.status == MIEN_OK)
        attach_edges(&imp, &net);
    if (imp.status == MIEN_OK)
        map_all(&b);
    if (imp.status == MIEN_OK && (b.n_in == 0 || b.n_out == 0))
        (void)mien__import_fail(&imp, MIEN_E_MODEL_CORRUPT, "the network has no input or no output");
    status =
        imp.status != MIEN_OK ? imp.status : mien__import_finish(&imp, b.in, b.n_in, b.out, b.n_out, ret);
done:
    mien__import_end(&imp);
    mien__arena_free(net.arena);
    return status;
}
