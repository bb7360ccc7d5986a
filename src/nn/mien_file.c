/* Reading `.mien` files; the format is described in mien_file.h.
 *
 * The bytes are hostile until shown otherwise: every read goes through a cursor with a sticky fault, every
 * offset and count is checked against what is left before anything is allocated for it, and the graph goes
 * through mien__graph_check() at the end. Tensors are used where they lie; only F16 and misaligned ones are
 * copied.
 */
#include "nn/mien_file.h"
#include <string.h>

typedef struct cursor {
    const uint8_t *data;
    size_t size, at;
    bool bad;
} cursor;

static const uint8_t *take(cursor *c, size_t n)
{
    if (c->bad || n > c->size - c->at) {
        c->bad = true;
        return NULL;
    }
    c->at += n;
    return c->data + c->at - n;
}

static uint64_t take_uint(cursor *c, int bytes)
{
    const uint8_t *p = take(c, (size_t)bytes);
    uint64_t v = 0;
    for (int i = 0; p && i < bytes; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static double take_f64(cursor *c)
{
    const uint64_t bits = take_uint(c, 8);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* What reading needs throughout. */
typedef struct reader {
    const uint8_t *data;
    size_t size;
    cursor meta, graph, table, tensors;
    uint32_t n_tensors;
    mien__arena *arena; /* the graph's, where there is a graph */
    mien__graph *g;
    mien_error *err;
} reader;

static mien_status corrupt(const reader *r, const char *what)
{
    return mien__fail(r->err, MIEN_E_MODEL_CORRUPT, "damaged model file: %s", what);
}

/* A name: length and bytes, copied so that it ends in zero. NULL: damaged or out of memory (see ret). */
static mien_status take_name(reader *r, const char **ret)
{
    const size_t n = (size_t)take_uint(&r->graph, 2);
    const uint8_t *p = take(&r->graph, n);
    if (!p)
        return corrupt(r, "a name is cut off");
    *ret = mien__arena_strndup(r->arena, (const char *)p, n);
    return *ret ? MIEN_OK : mien__nomem(r->err, n);
}

/* ---- header ---- */

static mien_status read_header(reader *r)
{
    cursor h = { r->data, r->size < MIEN__FILE_HEADER ? r->size : MIEN__FILE_HEADER, 0, false };
    cursor *const section[4] = { &r->meta, &r->graph, &r->table, &r->tensors };
    const uint8_t *magic = take(&h, 8);
    if (!magic || memcmp(magic, MIEN__FILE_MAGIC, 8) != 0)
        return mien__fail(r->err, MIEN_E_MODEL_FORMAT, "not a .mien file");
    const uint64_t version = take_uint(&h, 4);
    if (!h.bad && version != MIEN__FILE_VERSION)
        return mien__fail(r->err, MIEN_E_MODEL_FORMAT, "model file version %u, this program reads %d",
                          (unsigned)version, MIEN__FILE_VERSION);
    take_uint(&h, 4);
    const uint64_t bytes = take_uint(&h, 8);
    if (h.bad || bytes != r->size || r->size < MIEN__FILE_HEADER + MIEN__FILE_TRAILER)
        return corrupt(r, "its length is not what its header says");
    const uint64_t end = bytes - MIEN__FILE_TRAILER;
    for (int i = 0; i < 4; i++) {
        const uint64_t offset = take_uint(&h, 8), n = take_uint(&h, 8);
        if (h.bad || offset < MIEN__FILE_HEADER || offset > end || n > end - offset)
            return corrupt(r, "a section lies outside the file");
        *section[i] = (cursor){ r->data + offset, (size_t)n, 0, false };
    }
    r->n_tensors = (uint32_t)(r->table.size / MIEN__FILE_TABLE_ROW > MIEN__MAX_VALUES
                                  ? MIEN__MAX_VALUES
                                  : r->table.size / MIEN__FILE_TABLE_ROW);
    return MIEN_OK;
}

/* ---- meta ---- */

static void set_number(mien_model_info *info, const mien__field *f, uint32_t i, double v)
{
    char *at = (char *)info + f->offset;
    if (!(v >= f->lo && v <= f->hi))
        v = f->lo; /* keeps the conversions defined; the copy's check reports it first */
    switch (f->type) {
    case MIEN__FIELD_INT:
        ((int *)(void *)at)[i] = (int)v;
        break;
    case MIEN__FIELD_U64:
        ((uint64_t *)(void *)at)[i] = (uint64_t)v;
        break;
    case MIEN__FIELD_F32:
        ((float *)(void *)at)[i] = (float)v;
        break;
    default:
        ((double *)(void *)at)[i] = v;
    }
}

static mien_status read_field(reader *r, mien_model_info *info, const mien__field *f, unsigned kind, cursor c)
{
    if (f->type == MIEN__FIELD_TEXT) {
        if (kind != MIEN__META_TEXT || c.size > MIEN__TEXT_MAX || memchr(c.data, 0, c.size))
            return corrupt(r, "a text of its description");
        char *text = mien__arena_strndup(r->arena, (const char *)c.data, c.size);
        if (!text)
            return mien__nomem(r->err, c.size);
        memcpy((char *)info + f->offset, &text, sizeof text);
        return MIEN_OK;
    }
    if (kind != MIEN__META_F64 || c.size != f->n * 8)
        return corrupt(r, "a number of its description");
    for (uint32_t i = 0; i < f->n; i++) {
        const double v = take_f64(&c);
        if (!(v >= f->lo && v <= f->hi))
            return corrupt(r, "a number of its description is out of range");
        set_number(info, f, i, v);
    }
    return MIEN_OK;
}

static mien_status read_points(reader *r, mien_model_info *info, unsigned kind, cursor c)
{
    const size_t n = c.size / 32;
    if (kind != MIEN__META_F64 || c.size % 32 || n > MIEN_MAX_OPERATING_POINTS)
        return corrupt(r, "its calibration table");
    mien_operating_point *p = mien__arena_alloc_array(r->arena, n + 1, sizeof *p);
    if (!p)
        return mien__nomem(r->err, n * sizeof *p);
    for (size_t i = 0; i < n; i++) {
        p[i].fmr = take_f64(&c);
        p[i].threshold = take_f64(&c);
        p[i].fmr_lo = take_f64(&c);
        p[i].fmr_hi = take_f64(&c);
    }
    info->points = p;
    info->n_points = n;
    return MIEN_OK;
}

static mien_status read_meta(reader *r, mien_model_info *ret)
{
    mien_model_info info = mien__model_info_empty();
    cursor *c = &r->meta;
    while (c->at < c->size) {
        const unsigned key = (unsigned)take_uint(c, 2), kind = (unsigned)take_uint(c, 2);
        const size_t n = (size_t)take_uint(c, 4);
        const uint8_t *p = take(c, n);
        const mien__field *f = NULL;
        mien_status st = MIEN_OK;
        if (!p)
            return corrupt(r, "its description is cut off");
        const cursor payload = { p, n, 0, false };
        if (key == MIEN__META_POINTS)
            st = read_points(r, &info, kind, payload);
        for (size_t i = 0; !st && (f = mien__model_field(i)) != NULL; i++)
            if (f->key == key)
                st = read_field(r, &info, f, kind, payload);
        if (st)
            return st;
        const size_t pad = (8 - c->at % 8) % 8;
        c->at += pad < c->size - c->at ? pad : c->size - c->at;
    }
    mien_error ignored = MIEN_ERROR_INIT;
    const mien_status st = mien__model_info_copy(r->arena, &info, ret, &ignored);
    if (st == MIEN_E_NOMEM)
        return mien__nomem(r->err, sizeof info);
    return st ? corrupt(r, "its description contradicts itself") : MIEN_OK;
}

/* ---- tensors ---- */

/* Lend or copy tensor `index` as `n` elements of `dtype`. */
static mien_status read_tensor(reader *r, uint32_t index, mien__dtype dtype, int64_t n, const void **ret)
{
    cursor row = { r->table.data, r->table.size, (size_t)index * MIEN__FILE_TABLE_ROW, false };
    if (index >= r->n_tensors || n < 0)
        return corrupt(r, "a tensor does not exist");
    const uint64_t offset = take_uint(&row, 8), bytes = take_uint(&row, 8), stored = take_uint(&row, 4);
    const size_t item = stored == MIEN__F16 ? 2 : stored == MIEN__I64 ? 8 : 4;
    const bool type_fits = stored == (uint64_t)dtype || (stored == MIEN__F16 && dtype == MIEN__F32);
    if (row.bad || !type_fits || offset > r->tensors.size || bytes > r->tensors.size - offset ||
        bytes != (uint64_t)n * item)
        return corrupt(r, "a tensor lies outside the file");
    const uint8_t *p = r->tensors.data + offset;
    if (stored != MIEN__F16 && (uintptr_t)p % item == 0) {
        *ret = p;
        return MIEN_OK;
    }
    const size_t wide = dtype == MIEN__I64 ? 8 : 4;
    void *copy = mien__arena_alloc_array(r->arena, (size_t)n + 1, wide);
    if (!copy)
        return mien__nomem(r->err, (size_t)n * wide);
    if (stored != MIEN__F16)
        memcpy(copy, p, (size_t)bytes);
    else
        mien__halves_to_floats(p, (size_t)n, copy);
    *ret = copy;
    return MIEN_OK;
}

/* ---- graph ---- */

static mien_status read_value(reader *r)
{
    const char *name = NULL;
    const void *data = NULL;
    int64_t dims[MIEN_MAX_RANK];
    uint32_t index = 0;
    mien_status st = take_name(r, &name);
    if (st)
        return st;
    const unsigned dtype = (unsigned)take_uint(&r->graph, 1);
    const int rank = (int)take_uint(&r->graph, 1) - 1;
    if (rank > MIEN_MAX_RANK || (dtype != MIEN__F32 && dtype != MIEN__I64))
        return corrupt(r, "a tensor's type or rank");
    for (int d = 0; d < rank; d++)
        dims[d] = (int64_t)take_uint(&r->graph, 8);
    const uint32_t tensor = (uint32_t)take_uint(&r->graph, 4);
    if (r->graph.bad)
        return corrupt(r, "its graph is cut off");
    if (tensor != (uint32_t)MIEN__NO_VALUE &&
        (st = read_tensor(r, tensor, (mien__dtype)dtype, mien__elems(rank, dims), &data)))
        return st;
    return mien__graph_add_value(r->g, name, (mien__dtype)dtype, rank, dims, data, &index)
               ? MIEN_OK
               : mien__nomem(r->err, sizeof(mien__value));
}

/* Read n indices; the memory is the graph's. */
static mien_status read_indices(reader *r, uint32_t n, uint32_t **ret)
{
    if (n > (r->graph.size - r->graph.at) / 4 || n > MIEN__MAX_NODE_EDGES)
        return corrupt(r, "a list of tensors is cut off");
    uint32_t *idx = mien__arena_alloc_array(r->arena, n + (size_t)1, sizeof *idx);
    if (!idx)
        return mien__nomem(r->err, n * sizeof *idx);
    for (uint32_t i = 0; i < n; i++)
        idx[i] = (uint32_t)take_uint(&r->graph, 4);
    *ret = idx;
    return MIEN_OK;
}

static mien_status read_attr(reader *r, mien__node *node)
{
    const unsigned key = (unsigned)take_uint(&r->graph, 2), is_float = (unsigned)take_uint(&r->graph, 1);
    const uint32_t n = (uint32_t)take_uint(&r->graph, 4);
    if (r->graph.bad || is_float > 1 || n > (r->graph.size - r->graph.at) / 8)
        return corrupt(r, "an attribute is cut off");
    int64_t *v = mien__arena_alloc_array(r->arena, n + (size_t)1, sizeof *v);
    if (!v)
        return mien__nomem(r->err, n * sizeof *v);
    for (uint32_t i = 0; i < n; i++)
        v[i] = (int64_t)take_uint(&r->graph, 8);
    bool ok = true;
    if (is_float) {
        double *f = mien__arena_alloc_array(r->arena, n + (size_t)1, sizeof *f);
        if (f)
            memcpy(f, v, n * sizeof *f);
        ok = f && mien__node_set_floats(r->g, node, (mien__attr_key)key, f, n);
    } else {
        ok = mien__node_set_ints(r->g, node, (mien__attr_key)key, v, n);
    }
    return ok ? MIEN_OK : mien__nomem(r->err, n * sizeof *v);
}

static mien_status read_node(reader *r)
{
    enum { MAX_ATTRS = 64 };
    const unsigned op = (unsigned)take_uint(&r->graph, 2);
    const char *name = NULL;
    uint32_t *in = NULL, *out = NULL;
    mien__node *node = NULL;
    mien_status st = take_name(r, &name);
    if (st)
        return st;
    const uint32_t n_in = (uint32_t)take_uint(&r->graph, 2), n_out = (uint32_t)take_uint(&r->graph, 2);
    const uint32_t n_attrs = (uint32_t)take_uint(&r->graph, 2);
    if (r->graph.bad || n_attrs > MAX_ATTRS)
        return corrupt(r, "a node is cut off");
    if ((st = read_indices(r, n_in, &in)) || (st = read_indices(r, n_out, &out)))
        return st;
    if (!mien__graph_add_node(r->g, (mien__op)op, name, in, n_in, out, n_out, &node))
        return mien__nomem(r->err, sizeof *node);
    for (uint32_t i = 0; !st && i < n_attrs; i++)
        st = read_attr(r, node);
    return st;
}

static mien_status read_graph(reader *r)
{
    cursor *c = &r->graph;
    const uint64_t n_values = take_uint(c, 4), n_nodes = take_uint(c, 4);
    const uint32_t n_in = (uint32_t)take_uint(c, 4), n_out = (uint32_t)take_uint(c, 4);
    uint32_t *in = NULL, *out = NULL;
    mien_status st = MIEN_OK;
    if (c->bad || n_values > MIEN__MAX_VALUES || n_nodes > MIEN__MAX_NODES)
        return corrupt(r, "its graph is cut off or too large");
    for (uint64_t i = 0; !st && i < n_values; i++)
        st = read_value(r);
    for (uint64_t i = 0; !st && i < n_nodes; i++)
        st = read_node(r);
    if (st || (st = read_indices(r, n_in, &in)) || (st = read_indices(r, n_out, &out)))
        return st;
    if (!mien__graph_set_io(r->g, in, n_in, out, n_out))
        return mien__nomem(r->err, sizeof *in);
    return mien__graph_check(r->g, r->err);
}

mien_status mien__file_parse(const uint8_t *data, size_t size, mien__graph **ret, mien_model_info *ret_info,
                             mien_error *err)
{
    reader r = { .data = data, .size = size, .err = err };
    mien_model_info info = mien__model_info_empty();
    mien_status st = read_header(&r);
    if (st)
        return st;
    r.g = mien__graph_new();
    if (!r.g)
        return mien__nomem(err, sizeof *r.g);
    r.arena = r.g->arena;
    if ((st = read_meta(&r, &info)) || (st = read_graph(&r)))
        goto done;
    *ret = r.g;
    *ret_info = info;
    r.g = NULL;
done:
    mien__graph_free(r.g);
    return st;
}

mien_status mien__file_describe(const uint8_t *data, size_t size, mien__arena *arena,
                                mien_model_info *ret_info, mien_error *err)
{
    reader r = { .data = data, .size = size, .arena = arena, .err = err };
    const mien_status st = read_header(&r);
    return st ? st : read_meta(&r, ret_info);
}

mien_status mien__file_verify(const uint8_t *data, size_t size, mien_error *err)
{
    uint8_t digest[MIEN__FILE_TRAILER];
    mien__graph *g = NULL;
    mien_model_info info;
    const reader probe = { .data = data, .size = size, .err = err };
    reader r = probe;
    mien_status st = read_header(&r);
    if (st)
        return st;
    mien__sha256(data, size - MIEN__FILE_TRAILER, digest);
    if (memcmp(digest, data + size - MIEN__FILE_TRAILER, sizeof digest) != 0)
        return mien__fail(err, MIEN_E_DIGEST,
                          "the model file's checksum does not match: it has been changed");
    st = mien__file_parse(data, size, &g, &info, err);
    mien__graph_free(g);
    return st;
}
