/* Writing `.mien` files; the format is described in mien_file.h. */
#include "nn/mien_file.h"
#include <string.h>

/* Appends with a sticky status, so that a row of puts needs one check at the end. */
typedef struct writer {
    mien__buf *buf;
    mien_status st;
    mien_error *err;
} writer;

static void put(writer *w, const void *data, size_t n)
{
    if (!w->st && n)
        w->st = mien__buf_append(w->buf, data, n, w->err);
}

static void put_uint(writer *w, uint64_t v, int bytes)
{
    uint8_t b[8];
    for (int i = 0; i < bytes; i++)
        b[i] = (uint8_t)(v >> (8 * i));
    put(w, b, (size_t)bytes);
}

static void put_f64(writer *w, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_uint(w, bits, 8);
}

static void put_text(writer *w, const char *text)
{
    const size_t n = strlen(text) < UINT16_MAX ? strlen(text) : UINT16_MAX;
    put_uint(w, n, 2);
    put(w, text, n);
}

static void pad_to(writer *w, size_t align)
{
    static const uint8_t zeros[MIEN__FILE_ALIGN];
    put(w, zeros, (align - w->buf->size % align) % align);
}

/* ---- meta ---- */

static void put_field(writer *w, const mien_model_info *info, const mien__field *f)
{
    const char *at = (const char *)info + f->offset;
    put_uint(w, f->key, 2);
    if (f->type == MIEN__FIELD_TEXT) {
        const char *text = *(const char *const *)(const void *)at;
        put_uint(w, MIEN__META_TEXT, 2);
        put_uint(w, strlen(text), 4);
        put(w, text, strlen(text));
        pad_to(w, 8);
        return;
    }
    put_uint(w, MIEN__META_F64, 2);
    put_uint(w, f->n * 8, 4);
    for (uint32_t i = 0; i < f->n; i++)
        switch (f->type) {
        case MIEN__FIELD_INT:
            put_f64(w, ((const int *)(const void *)at)[i]);
            break;
        case MIEN__FIELD_U64:
            put_f64(w, (double)((const uint64_t *)(const void *)at)[i]);
            break;
        case MIEN__FIELD_F32:
            put_f64(w, (double)((const float *)(const void *)at)[i]);
            break;
        default:
            put_f64(w, ((const double *)(const void *)at)[i]);
        }
}

static void put_meta(writer *w, const mien_model_info *info)
{
    const mien__field *f = NULL;
    for (size_t i = 0; (f = mien__model_field(i)) != NULL; i++)
        put_field(w, info, f);
    put_uint(w, MIEN__META_POINTS, 2);
    put_uint(w, MIEN__META_F64, 2);
    put_uint(w, info->n_points * 32, 4);
    for (size_t i = 0; i < info->n_points; i++) {
        put_f64(w, info->points[i].fmr);
        put_f64(w, info->points[i].threshold);
        put_f64(w, info->points[i].fmr_lo);
        put_f64(w, info->points[i].fmr_hi);
    }
}

/* ---- graph: values nobody refers to are left out, so indices are mapped ---- */

static uint32_t number_values(const mien__graph *g, uint32_t *map)
{
    uint32_t n = 0;
    memset(map, 0, g->n_values * sizeof *map);
    for (uint32_t i = 0; i < g->n_inputs; i++)
        map[g->inputs[i]] = 1;
    for (uint32_t i = 0; i < g->n_outputs; i++)
        map[g->outputs[i]] = 1;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const mien__node *node = &g->nodes[i];
        for (uint32_t j = 0; j < node->n_inputs; j++)
            if (node->inputs[j] != (uint32_t)MIEN__NO_VALUE)
                map[node->inputs[j]] = 1;
        for (uint32_t j = 0; j < node->n_outputs; j++)
            map[node->outputs[j]] = 1;
    }
    for (uint32_t i = 0; i < g->n_values; i++)
        map[i] = map[i] ? n++ : (uint32_t)MIEN__NO_VALUE;
    return n;
}

static void put_indices(writer *w, const uint32_t *idx, uint32_t n, const uint32_t *map)
{
    for (uint32_t i = 0; i < n; i++)
        put_uint(w, idx[i] == (uint32_t)MIEN__NO_VALUE ? idx[i] : map[idx[i]], 4);
}

static void put_node(writer *w, const mien__node *n, const uint32_t *map)
{
    put_uint(w, (uint64_t)n->op, 2);
    put_text(w, n->name);
    put_uint(w, n->n_inputs, 2);
    put_uint(w, n->n_outputs, 2);
    put_uint(w, n->n_attrs, 2);
    put_indices(w, n->inputs, n->n_inputs, map);
    put_indices(w, n->outputs, n->n_outputs, map);
    for (uint32_t i = 0; i < n->n_attrs; i++) {
        const mien__attr *a = &n->attrs[i];
        put_uint(w, (uint64_t)a->key, 2);
        put_uint(w, a->is_float, 1);
        put_uint(w, a->n, 4);
        for (uint32_t j = 0; j < a->n; j++)
            if (a->is_float)
                put_f64(w, a->v.f[j]);
            else
                put_uint(w, (uint64_t)a->v.i[j], 8);
    }
}

static void put_graph(writer *w, const mien__graph *g, uint32_t *map)
{
    uint32_t tensors = 0;
    put_uint(w, number_values(g, map), 4);
    put_uint(w, g->n_nodes, 4);
    put_uint(w, g->n_inputs, 4);
    put_uint(w, g->n_outputs, 4);
    for (uint32_t i = 0; i < g->n_values; i++) {
        const mien__value *v = &g->values[i];
        if (map[i] == (uint32_t)MIEN__NO_VALUE)
            continue;
        put_text(w, v->name);
        put_uint(w, (uint64_t)v->dtype, 1);
        put_uint(w, (uint64_t)(uint8_t)(v->rank + 1), 1); /* 0: not known */
        for (int d = 0; d < v->rank; d++)
            put_uint(w, (uint64_t)v->dims[d], 8);
        put_uint(w, v->data ? tensors++ : (uint32_t)MIEN__NO_VALUE, 4);
    }
    for (uint32_t i = 0; i < g->n_nodes; i++)
        put_node(w, &g->nodes[i], map);
    put_indices(w, g->inputs, g->n_inputs, map);
    put_indices(w, g->outputs, g->n_outputs, map);
}

/* ---- tensors ---- */

enum { HALF_MIN_ELEMS = 64 };

/* Does every value survive storage as a half float? */
static bool fits_half(const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const float back = mien__half_to_float(mien__float_to_half(x[i]));
        if (memcmp(&back, &x[i], sizeof back) != 0)
            return false;
    }
    return true;
}

/* Per-channel data: as many elements as its longest side. */
static bool is_vector(const mien__value *v, int64_t n)
{
    for (int d = 0; d < v->rank; d++)
        if (v->dims[d] == n)
            return true;
    return v->rank == 0;
}

/* May the tensor be rounded? Normal halves lie within 2^-11 of the value. What passes their range becomes
 * infinite and what lies below 2^-14 loses more: a tensor that would lose 2^-10 of its norm stays as it is.
 */
static bool rounds_to_half(const float *x, int64_t n)
{
    double lost = 0.0, all = 0.0;
    for (int64_t i = 0; i < n; i++) {
        const double back = (double)mien__half_to_float(mien__float_to_half(x[i])), d = back - (double)x[i];
        lost += d * d;
        all += (double)x[i] * (double)x[i];
    }
    return lost <= all * 0x1p-20; /* false for infinities and NaN */
}

static bool stored_as_half(const mien__value *v, int64_t n, mien_store store)
{
    if (v->dtype != MIEN__F32 || n < HALF_MIN_ELEMS)
        return false;
    return fits_half(v->data, n) ||
           (store == MIEN_STORE_F16 && !is_vector(v, n) && rounds_to_half(v->data, n));
}

static void put_halves(writer *w, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        put_uint(w, mien__float_to_half(x[i]), 2);
}

static void put_tensors(writer *data, writer *table, const mien__graph *g, const uint32_t *map,
                        mien_store store)
{
    for (uint32_t i = 0; i < g->n_values; i++) {
        const mien__value *v = &g->values[i];
        if (map[i] == (uint32_t)MIEN__NO_VALUE || !v->data)
            continue;
        const int64_t n = mien__value_elems(v);
        const bool half = stored_as_half(v, n, store);
        const size_t item = half ? 2 : v->dtype == MIEN__I64 ? 8 : 4;
        pad_to(data, MIEN__FILE_ALIGN);
        put_uint(table, data->buf->size, 8);
        put_uint(table, (size_t)n * item, 8);
        put_uint(table, half ? MIEN__F16 : (uint64_t)v->dtype, 4);
        put_uint(table, 0, 4);
        if (half)
            put_halves(data, v->data, n);
        else
            put(data, v->data, (size_t)n * item);
    }
}

/* ---- the whole ---- */

static uint64_t aligned(uint64_t v)
{
    return (v + MIEN__FILE_ALIGN - 1) / MIEN__FILE_ALIGN * MIEN__FILE_ALIGN;
}

static void assemble(writer *w, const mien__buf section[4])
{
    uint64_t offset[4], at = MIEN__FILE_HEADER;
    for (int i = 0; i < 4; i++) {
        offset[i] = at;
        at = aligned(at + section[i].size);
    }
    put(w, MIEN__FILE_MAGIC, 8);
    put_uint(w, MIEN__FILE_VERSION, 4);
    put_uint(w, 0, 4);
    put_uint(w, at + MIEN__FILE_TRAILER, 8);
    for (int i = 0; i < 4; i++) {
        put_uint(w, offset[i], 8);
        put_uint(w, section[i].size, 8);
    }
    while (!w->st && w->buf->size < MIEN__FILE_HEADER)
        put_uint(w, 0, 8);
    for (int i = 0; i < 4; i++) {
        put(w, section[i].data, section[i].size);
        pad_to(w, MIEN__FILE_ALIGN);
    }
}

mien_status mien__file_write(const mien__graph *g, const mien_model_info *info, mien_store store,
                             mien__buf *ret, mien_error *err)
{
    mien__buf section[4];
    writer w[4], whole = { ret, MIEN_OK, err };
    mien_status st = MIEN_OK;
    uint32_t *map = mien_alloc_array(g->n_values + (size_t)1, sizeof *map);
    for (int i = 0; i < 4; i++) {
        mien__buf_init(&section[i], MIEN__FILE_MAX);
        w[i] = (writer){ &section[i], MIEN_OK, err };
    }
    if (!map) {
        st = mien__nomem(err, g->n_values * sizeof *map);
        goto done;
    }
    put_meta(&w[0], info);
    put_graph(&w[1], g, map);
    put_tensors(&w[3], &w[2], g, map, store);
    for (int i = 0; i < 4; i++)
        if ((st = w[i].st))
            goto done;
    assemble(&whole, section);
    if (!whole.st) {
        uint8_t digest[MIEN__FILE_TRAILER];
        mien__sha256(ret->data, ret->size, digest);
        put(&whole, digest, sizeof digest);
    }
    st = whole.st;
done:
    for (int i = 0; i < 4; i++)
        mien__buf_free(&section[i]);
    mien_free(map);
    return st;
}
