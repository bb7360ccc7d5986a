/* The XML of an OpenVINO IR file, through expat, into lists of layers, ports and edges.
 *
 * Only net/layers/layer (with data and output/port below it) and net/edges/edge are looked at, by depth, so
 * that a nested body (loops) is never taken for the network. A document type declaration stops the parser
 * before any entity can exist; nesting, layers, edges and memory are bounded.
 */
#include "nn/ir_read.h"
#include <expat.h>
#include <sodium.h>
#include <string.h>

enum {
    XML_MAX_DEPTH = 64,
    XML_CHUNK_BYTES = 1 << 20,
    XML_MAX_EDGES = 1 << 19,
    XML_MEMORY_FACTOR = 8,
    XML_MEMORY_BASE = 1 << 20,
    XML_BLOCK_HEADER = 64
};
#define XML_MAX_BYTES ((size_t)256 << 20)

typedef struct xml_state {
    XML_Parser parser;
    mien__ir_net *net;
    mien__ir_layer **layer_end, *layer; /* layer: the one that is open */
    mien__ir_edge **edge_end;
    mien__ir_attr **attr_end;
    mien__ir_port **port_end;
    int depth, skip; /* skip: depth of an element whose content is passed over; 0 none */
    bool in_layers, in_edges, in_output, seen_net;
    mien_status status;
    mien_error *err;
} xml_state;

/* ---- expat's memory: realloc needs the old size, kept in front of the block ---- */

static void *xml_malloc(size_t bytes)
{
    size_t total = 0;
    if (!mien_add_ok(bytes, XML_BLOCK_HEADER, &total))
        return NULL;
    unsigned char *const block = mien_alloc(total);
    if (!block)
        return NULL;
    memcpy(block, &bytes, sizeof bytes);
    return block + XML_BLOCK_HEADER;
}

static void xml_free(void *ptr)
{
    if (ptr)
        mien_free((unsigned char *)ptr - XML_BLOCK_HEADER);
}

static void *xml_realloc(void *ptr, size_t bytes)
{
    size_t old = 0;
    if (!ptr)
        return xml_malloc(bytes);
    memcpy(&old, (unsigned char *)ptr - XML_BLOCK_HEADER, sizeof old);
    void *const grown = xml_malloc(bytes);
    if (!grown)
        return NULL;
    memcpy(grown, ptr, old < bytes ? old : bytes);
    xml_free(ptr);
    return grown;
}

/* ---- handlers ---- */

static void stop(xml_state *s, mien_status status, const char *what)
{
    if (s->status == MIEN_OK)
        s->status = mien__fail(s->err, status, "line %lu of the XML: %s",
                               (unsigned long)XML_GetCurrentLineNumber(s->parser), what);
    (void)XML_StopParser(s->parser, XML_FALSE);
}

static void on_doctype(void *user, const XML_Char *name, const XML_Char *sysid, const XML_Char *pubid,
                       int subset)
{
    (void)name;
    (void)sysid;
    (void)pubid;
    (void)subset;
    stop(user, MIEN_E_MODEL_FORMAT, "document type declarations are refused");
}

static const char *attr_of(const XML_Char **attrs, const char *key)
{
    for (; attrs[0]; attrs += 2)
        if (strcmp(attrs[0], key) == 0)
            return attrs[1];
    return NULL;
}

static bool number_of(xml_state *s, const XML_Char **attrs, const char *key, int64_t *ret)
{
    const char *const text = attr_of(attrs, key);
    if (text && mien__parse_i64(text, ret) && *ret >= 0)
        return true;
    stop(s, MIEN_E_MODEL_CORRUPT, "a number is missing or malformed");
    return false;
}

static const char *keep(xml_state *s, const char *text)
{
    const char *const copy = mien__arena_strndup(s->net->arena, text ? text : "", text ? strlen(text) : 0);
    if (!copy)
        stop(s, MIEN_E_NOMEM, "out of memory");
    return copy;
}

static void *make(xml_state *s, size_t bytes)
{
    void *const item = mien__arena_alloc_array(s->net->arena, 1, bytes);
    if (!item)
        stop(s, MIEN_E_NOMEM, "out of memory");
    return item;
}

static void start_layer(xml_state *s, const XML_Char **attrs)
{
    if (s->net->n_layers >= MIEN__MAX_NODES) {
        stop(s, MIEN_E_LIMIT, "too many layers");
        return;
    }
    mien__ir_layer *const layer = make(s, sizeof *layer);
    if (!layer || !number_of(s, attrs, "id", &layer->id))
        return;
    layer->name = keep(s, attr_of(attrs, "name"));
    layer->type = keep(s, attr_of(attrs, "type"));
    layer->version = keep(s, attr_of(attrs, "version"));
    if (s->status != MIEN_OK)
        return;
    *s->layer_end = layer;
    s->layer_end = &layer->next;
    s->layer = layer;
    s->attr_end = &layer->attrs;
    s->port_end = &layer->outputs;
    s->net->n_layers++;
}

static void start_edge(xml_state *s, const XML_Char **attrs)
{
    if (s->net->n_edges >= XML_MAX_EDGES) {
        stop(s, MIEN_E_LIMIT, "too many edges");
        return;
    }
    mien__ir_edge *const e = make(s, sizeof *e);
    if (!e || !number_of(s, attrs, "from-layer", &e->from_layer) ||
        !number_of(s, attrs, "from-port", &e->from_port) || !number_of(s, attrs, "to-layer", &e->to_layer) ||
        !number_of(s, attrs, "to-port", &e->to_port))
        return;
    *s->edge_end = e;
    s->edge_end = &e->next;
    s->net->n_edges++;
}

static void start_data(xml_state *s, const XML_Char **attrs)
{
    for (; attrs[0] && s->status == MIEN_OK; attrs += 2) {
        mien__ir_attr *const a = make(s, sizeof *a);
        if (!a)
            return;
        a->key = keep(s, attrs[0]);
        a->value = keep(s, attrs[1]);
        *s->attr_end = a;
        s->attr_end = &a->next;
    }
}

static void start_port(xml_state *s, const XML_Char **attrs)
{
    if (s->layer->n_out >= MIEN__MAX_NODE_EDGES) {
        stop(s, MIEN_E_LIMIT, "too many ports");
        return;
    }
    mien__ir_port *const p = make(s, sizeof *p);
    if (!p || !number_of(s, attrs, "id", &p->id))
        return;
    *s->port_end = p;
    s->port_end = &p->next;
    s->layer->n_out++;
}

static void on_start(void *user, const XML_Char *name, const XML_Char **attrs)
{
    xml_state *const s = user;
    const int depth = ++s->depth;
    if (depth > XML_MAX_DEPTH)
        stop(s, MIEN_E_LIMIT, "nested too deeply");
    if (s->status != MIEN_OK || s->skip)
        return;
    if (depth == 1) {
        s->seen_net = strcmp(name, "net") == 0;
        if (!s->seen_net)
            stop(s, MIEN_E_MODEL_FORMAT, "not an OpenVINO network");
        else
            (void)number_of(s, attrs, "version", &s->net->version);
    } else if (depth == 2) {
        s->in_layers = strcmp(name, "layers") == 0;
        s->in_edges = strcmp(name, "edges") == 0;
        s->skip = s->in_layers || s->in_edges ? 0 : depth;
    } else if (depth == 3 && s->in_layers && strcmp(name, "layer") == 0) {
        start_layer(s, attrs);
    } else if (depth == 3 && s->in_edges && strcmp(name, "edge") == 0) {
        start_edge(s, attrs);
    } else if (depth == 4 && s->in_layers && s->layer && strcmp(name, "data") == 0) {
        start_data(s, attrs);
    } else if (depth == 4 && s->in_layers && strcmp(name, "output") == 0) {
        s->in_output = true;
    } else if (depth == 5 && s->in_output && s->layer && strcmp(name, "port") == 0) {
        start_port(s, attrs);
        s->skip = depth;
    } else {
        s->skip = depth;
    }
}

static void on_end(void *user, const XML_Char *name)
{
    xml_state *const s = user;
    (void)name;
    if (s->skip == s->depth)
        s->skip = 0;
    if (s->depth == 4)
        s->in_output = false;
    else if (s->depth == 3)
        s->layer = NULL;
    else if (s->depth == 2)
        s->in_layers = s->in_edges = false;
    s->depth--;
}

mien_status mien__ir_parse(const uint8_t *xml, size_t size, mien__ir_net *net, mien_error *err)
{
    static const XML_Memory_Handling_Suite memory = { xml_malloc, xml_realloc, xml_free };
    xml_state s = { .net = net, .err = err, .layer_end = &net->layers, .edge_end = &net->edges };
    if (size > XML_MAX_BYTES)
        return mien__fail(err, MIEN_E_LIMIT, "the XML has %zu bytes, the limit is %zu", size, XML_MAX_BYTES);
    net->arena = mien__arena_new(size * XML_MEMORY_FACTOR + XML_MEMORY_BASE);
    if (!net->arena)
        return mien__nomem(err, sizeof *net);
    s.parser = XML_ParserCreate_MM(NULL, &memory, NULL);
    if (!s.parser)
        return mien__nomem(err, sizeof s);
    unsigned long salt = 0;
    randombytes_buf(&salt, sizeof salt);
    (void)XML_SetHashSalt(s.parser, salt | 1);
    XML_SetUserData(s.parser, &s);
    XML_SetElementHandler(s.parser, on_start, on_end);
    XML_SetStartDoctypeDeclHandler(s.parser, on_doctype);
    for (size_t at = 0; s.status == MIEN_OK && at <= size;) {
        const size_t n = size - at < XML_CHUNK_BYTES ? size - at : XML_CHUNK_BYTES;
        const bool last = at + n == size;
        if (XML_Parse(s.parser, (const char *)xml + at, (int)n, last) != XML_STATUS_OK &&
            s.status == MIEN_OK) {
            const enum XML_Error code = XML_GetErrorCode(s.parser);
            stop(&s, code == XML_ERROR_NO_MEMORY ? MIEN_E_NOMEM : MIEN_E_MODEL_CORRUPT,
                 XML_ErrorString(code));
        }
        if (last)
            break;
        at += n;
    }
    XML_ParserFree(s.parser);
    return s.status;
}
