/* Reading ONNX files (opsets 7 to 21): messages through protobuf-c, nodes through the table of onnx_ops.c.
 *
 * The parser's memory is one bounded arena, so that a small file cannot ask for much: messages of two bytes
 * take some hundred bytes of memory each, hence the factor. Initializers become constants, Constant nodes
 * next (they may stand anywhere), then every other node in file order. Dimensions without a value are free
 * (-1).
 */
#include "nn/onnx_read.h"
#include <string.h>

#define ONNX_MAX_BYTES ((size_t)2 << 30) /* protobuf's own limit */
enum { ONNX_MEMORY_FACTOR = 24, ONNX_MEMORY_BASE = 8 << 20, ONNX_MIN_OPSET = 7, ONNX_MAX_OPSET = 21 };

typedef struct parser_memory {
    mien__arena *arena;
    bool failed;
} parser_memory;

static void *parser_alloc(void *ctx, size_t bytes)
{
    parser_memory *const m = ctx;
    void *const ptr = mien__arena_alloc(m->arena, bytes);
    m->failed = m->failed || !ptr;
    return ptr;
}

static void parser_free(void *ctx, void *ptr)
{
    (void)ctx;
    (void)ptr; /* the arena goes as a whole */
}

/* ---- inputs and outputs ---- */

/* Shape of a declared input: free dimensions -1. */
static uint32_t declare_input(mien__import *imp, const MienOnnx__ValueInfo *v)
{
    const MienOnnx__TypeTensor *const type = v->type ? v->type->tensor_type : NULL;
    const char *const name = v->name ? v->name : "";
    int64_t dims[MIEN_MAX_RANK] = { 0 };
    if (!type || !name[0] || mien__onnx_dtype(type->elem_type) == 0) {
        (void)mien__import_fail(imp, MIEN_E_UNSUPPORTED, "input '%.64s' is not a tensor of numbers", name);
        return MIEN__NO_VALUE;
    }
    const size_t rank = type->shape ? type->shape->n_dim : 0;
    if (!type->shape || rank > MIEN_MAX_RANK) {
        (void)mien__import_fail(imp, MIEN_E_MODEL_SHAPE, "input '%.64s' has %zu dimensions, wanted 0 to %d",
                                name, rank, (int)MIEN_MAX_RANK);
        return MIEN__NO_VALUE;
    }
    for (size_t i = 0; i < rank; i++) {
        const MienOnnx__Dimension *const d = type->shape->dim[i];
        dims[i] = d->has_dim_value && d->dim_value != 0 ? d->dim_value : -1;
        if (dims[i] < -1) {
            (void)mien__import_fail(imp, MIEN_E_MODEL_CORRUPT, "input '%.64s' has a size of %lld", name,
                                    (long long)dims[i]);
            return MIEN__NO_VALUE;
        }
    }
    return mien__import_input(imp, name, mien__onnx_dtype(type->elem_type), (int)rank, dims);
}

/* Inputs that are not initializers too (files before IR version 4 list those as inputs). */
static uint32_t read_inputs(mien__import *imp, const MienOnnx__Graph *graph, uint32_t *ret)
{
    uint32_t n = 0;
    for (size_t i = 0; i < graph->n_input && imp->status == MIEN_OK; i++) {
        const char *const name = graph->input[i]->name;
        if (mien__import_is_const(imp, mien__import_value(imp, name)))
            continue;
        ret[n++] = declare_input(imp, graph->input[i]);
    }
    if (imp->status == MIEN_OK && n == 0)
        (void)mien__import_fail(imp, MIEN_E_MODEL_CORRUPT, "the network has no input");
    return n;
}

static void read_initializers(mien__import *imp, const MienOnnx__Graph *graph)
{
    if (graph->n_sparse_initializer)
        (void)mien__import_fail(imp, MIEN_E_UNSUPPORTED, "sparse initializers are not supported");
    for (size_t i = 0; i < graph->n_initializer && imp->status == MIEN_OK; i++) {
        const MienOnnx__Tensor *const t = graph->initializer[i];
        const uint32_t v = mien__import_value(imp, t->name);
        if (imp->status == MIEN_OK && v == MIEN__NO_VALUE)
            (void)mien__import_fail(imp, MIEN_E_MODEL_CORRUPT, "initializer %zu has no name", i);
        mien__import_define(imp, v);
        (void)mien__onnx_tensor(imp, t, v);
    }
}

/* ---- nodes ---- */

static bool known_domain(const char *domain)
{
    return !domain || !domain[0] || strcmp(domain, "ai.onnx") == 0 || strcmp(domain, "com.microsoft") == 0;
}

/* Look up the node's operands and map it. */
static void map_node(mien__import *imp, const MienOnnx__Node *pb, int64_t opset)
{
    const char *const op = pb->op_type ? pb->op_type : "";
    imp->node_op = op;
    imp->node_name = pb->name && pb->name[0] ? pb->name : pb->n_output ? pb->output[0] : "";
    const mien__onnx_map map = known_domain(pb->domain) ? mien__onnx_map_of(op) : NULL;
    if (!map) {
        (void)mien__import_fail(imp, MIEN_E_MODEL_OP, "operator not supported%s%.40s",
                                pb->domain && pb->domain[0] ? ", domain " : "", pb->domain ? pb->domain : "");
        return;
    }
    if (pb->n_input > MIEN__MAX_NODE_EDGES || pb->n_output > MIEN__MAX_NODE_EDGES || pb->n_output == 0) {
        (void)mien__import_fail(imp, MIEN_E_LIMIT, "%zu inputs and %zu outputs, the limit is %d", pb->n_input,
                                pb->n_output, (int)MIEN__MAX_NODE_EDGES);
        return;
    }
    mien__onnx_node n = { imp, pb, opset, NULL, NULL, (uint32_t)pb->n_input, (uint32_t)pb->n_output };
    n.in = mien__arena_alloc_array(imp->scratch, pb->n_input + 1, sizeof *n.in);
    n.out = mien__arena_alloc_array(imp->scratch, pb->n_output + 1, sizeof *n.out);
    if (!n.in || !n.out) {
        (void)mien__import_nomem(imp);
        return;
    }
    for (size_t i = 0; i < pb->n_input; i++)
        n.in[i] = mien__import_value(imp, pb->input[i]);
    for (size_t i = 0; i < pb->n_output; i++) {
        n.out[i] = mien__import_value(imp, pb->output[i]);
        mien__import_define(imp, n.out[i]);
    }
    if (imp->status == MIEN_OK && n.out[0] == MIEN__NO_VALUE)
        (void)mien__import_fail(imp, MIEN_E_MODEL_CORRUPT, "the first output has no name");
    if (imp->status == MIEN_OK)
        map(&n);
}

static bool is_constant(const MienOnnx__Node *pb)
{
    return pb->op_type && strcmp(pb->op_type, "Constant") == 0;
}

static void map_nodes(mien__import *imp, const MienOnnx__Graph *graph, int64_t opset)
{
    if (graph->n_node > MIEN__MAX_NODES)
        (void)mien__import_fail(imp, MIEN_E_LIMIT, "the model has %zu nodes, the limit is %d", graph->n_node,
                                (int)MIEN__MAX_NODES);
    for (int constants = 1; constants >= 0; constants--)
        for (size_t i = 0; i < graph->n_node && imp->status == MIEN_OK; i++)
            if (is_constant(graph->node[i]) == (constants == 1))
                map_node(imp, graph->node[i], opset);
    imp->node_op = imp->node_name = NULL;
}

static void read_opset(mien__import *imp, const MienOnnx__Model *model, int64_t *ret)
{
    *ret = 0;
    for (size_t i = 0; i < model->n_opset_import; i++) {
        const MienOnnx__OperatorSetId *const o = model->opset_import[i];
        if (!o->domain || !o->domain[0] || strcmp(o->domain, "ai.onnx") == 0)
            *ret = o->version > *ret ? o->version : *ret;
    }
    if (*ret < ONNX_MIN_OPSET)
        (void)mien__import_fail(imp, MIEN_E_UNSUPPORTED, "ONNX operator set %lld is older than %d",
                                (long long)*ret, (int)ONNX_MIN_OPSET);
    else if (*ret > ONNX_MAX_OPSET)
        mien__log(MIEN_LOG_WARN, "ONNX operator set %lld is newer than %d, the newest known", (long long)*ret,
                  (int)ONNX_MAX_OPSET);
}

static mien_status read_graph(mien__import *imp, const MienOnnx__Model *model, mien__graph **ret)
{
    const MienOnnx__Graph *const graph = model->graph;
    int64_t opset = 0;
    read_opset(imp, model, &opset);
    if (graph->n_input > MIEN__MAX_VALUES || graph->n_output > MIEN__MAX_NODE_EDGES)
        return mien__import_fail(imp, MIEN_E_LIMIT, "the model has %zu inputs and %zu outputs",
                                 graph->n_input, graph->n_output);
    if (imp->status == MIEN_OK && graph->n_output == 0)
        return mien__import_fail(imp, MIEN_E_MODEL_CORRUPT, "the network has no output");
    uint32_t *const in = mien__arena_alloc_array(imp->scratch, graph->n_input + 1, sizeof *in);
    uint32_t *const out = mien__arena_alloc_array(imp->scratch, graph->n_output + 1, sizeof *out);
    if (!in || !out)
        return mien__import_nomem(imp);
    read_initializers(imp, graph);
    const uint32_t n_in = read_inputs(imp, graph, in);
    map_nodes(imp, graph, opset);
    for (size_t i = 0; i < graph->n_output; i++)
        out[i] = mien__import_value(imp, graph->output[i]->name);
    return mien__import_finish(imp, in, n_in, out, (uint32_t)graph->n_output, ret);
}

mien_status mien__onnx_read(const uint8_t *data, size_t size, mien__graph **ret, mien_error *err)
{
    mien_status status = MIEN_OK;
    mien__import imp = { 0 };
    parser_memory memory = { NULL, false };
    ProtobufCAllocator allocator = { parser_alloc, parser_free, &memory };
    if (size > ONNX_MAX_BYTES)
        return mien__fail(err, MIEN_E_LIMIT, "the ONNX file has %zu bytes, the limit is %zu", size,
                          ONNX_MAX_BYTES);
    memory.arena = mien__arena_new(size * ONNX_MEMORY_FACTOR + ONNX_MEMORY_BASE);
    if (!memory.arena)
        return mien__nomem(err, sizeof allocator);
    if (!mien__import_begin(&imp, size * ONNX_MEMORY_FACTOR + ONNX_MEMORY_BASE, err)) {
        status = imp.status;
        goto done;
    }
    const MienOnnx__Model *const model = mien_onnx__model__unpack(&allocator, size, data);
    if (!model && memory.failed)
        status = mien__fail(err, MIEN_E_NOMEM, "out of memory while reading an ONNX file of %zu bytes", size);
    else if (!model)
        status = mien__fail(err, MIEN_E_MODEL_CORRUPT, "not an ONNX file, or cut short");
    else if (!model->graph)
        status = mien__fail(err, MIEN_E_MODEL_FORMAT, "the ONNX file holds no network");
    else
        status = read_graph(&imp, model, ret);
done:
    mien__import_end(&imp);
    mien__arena_free(memory.arena);
    return status;
}
