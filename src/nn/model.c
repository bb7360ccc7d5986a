/* The model object: a graph, its description, the bytes both may point into, and the packed weights that its
 * sessions share. Loading by path or name, importing, saving, verifying.
 */
#include "nn/fingerprint.h"
#include "nn/mien_file.h"
#include "registry/registry.h"
#include <ctype.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SOURCE_MAX ((size_t)2 << 30) /* ONNX, XML and weights files */
#define INFO_ARENA_MAX ((size_t)4 << 20)
enum { PATH_BYTES = 4096 };

/* One piece of packed weights. */
typedef struct packed_item {
    struct packed_item *next;
    uint64_t key;
    size_t bytes;
    void *data;
} packed_item;

/* Kept apart so that a const model can have one. */
typedef struct pack_cache {
    pthread_mutex_t lock;
    packed_item *buckets[256];
    char fingerprint[MIEN__FINGERPRINT_HEX]; /* "" until asked for */
} pack_cache;

struct mien_model {
    mien__graph *graph;
    mien__arena *info_arena;
    mien_model_info info;
    mien__file_map map; /* what constants point into; empty otherwise */
    bool has_map;
    pack_cache *packed;
};

/* ---- making and freeing ---- */

/* Weights that nodes read (one read by several counts for each). */
static uint64_t count_params(const mien__graph *g)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < g->n_nodes; i++)
        for (uint32_t j = 0; j < g->nodes[i].n_inputs; j++) {
            const uint32_t v = g->nodes[i].inputs[j];
            if (v != (uint32_t)MIEN__NO_VALUE && g->values[v].data && g->values[v].dtype == MIEN__F32)
                n += (uint64_t)mien__value_elems(&g->values[v]);
        }
    return n;
}

void mien_model_free(mien_model *model)
{
    if (!model)
        return;
    for (size_t i = 0; model->packed && i < MIEN_COUNTOF(model->packed->buckets); i++)
        for (packed_item *p = model->packed->buckets[i], *next = NULL; p; p = next) {
            next = p->next;
            mien_free(p->data);
            mien_free(p);
        }
    if (model->packed)
        pthread_mutex_destroy(&model->packed->lock);
    mien_free(model->packed);
    mien__graph_free(model->graph);
    mien__arena_free(model->info_arena);
    if (model->has_map)
        mien__file_map_close(&model->map);
    mien_free(model);
}

mien_status mien__model_from_graph(mien__graph *g, const mien_model_info *info, mien_model **ret,
                                   mien_error *err)
{
    mien_model *m = mien_alloc_zero(sizeof *m);
    if (!m) {
        mien__graph_free(g);
        return mien__nomem(err, sizeof *m);
    }
    m->graph = g;
    m->packed = mien_alloc_zero(sizeof *m->packed);
    if (!m->packed || pthread_mutex_init(&m->packed->lock, NULL) != 0) {
        mien_free(m->packed);
        m->packed = NULL;
        mien_model_free(m);
        return mien__nomem(err, sizeof *m->packed);
    }
    const mien_model_info empty = mien__model_info_empty();
    const mien_status st = mien_model_set_info(m, info ? info : &empty, err);
    if (st) {
        mien_model_free(m);
        return st;
    }
    *ret = m;
    return MIEN_OK;
}

const mien__graph *mien__model_graph(const mien_model *m)
{
    return m->graph;
}

const mien_model_info *mien_model_info_of(const mien_model *model)
{
    return model ? &model->info : NULL;
}

mien_status mien_model_set_info(mien_model *model, const mien_model_info *info, mien_error *err)
{
    mien_model_info copy;
    if (!model || !info)
        return mien__fail(err, MIEN_E_ARG, "model or description is NULL");
    mien__arena *arena = mien__arena_new(INFO_ARENA_MAX);
    if (!arena)
        return mien__nomem(err, sizeof copy);
    const mien_status st = mien__model_info_copy(arena, info, &copy, err);
    if (st) {
        mien__arena_free(arena);
        return st;
    }
    copy.n_params = count_params(model->graph);
    copy.file_bytes = model->info.file_bytes;
    mien__arena_free(model->info_arena);
    model->info_arena = arena;
    model->info = copy;
    model->packed->fingerprint[0] = '\0'; /* the preprocessing may have changed */
    return MIEN_OK;
}

mien_status mien_model_fingerprint(const mien_model *model, char *ret_hex, mien_error *err)
{
    if (!model || !ret_hex)
        return mien__fail(err, MIEN_E_ARG, "model or result is NULL");
    pack_cache *const cache = model->packed;
    pthread_mutex_lock(&cache->lock);
    if (!cache->fingerprint[0])
        mien__fingerprint(model->graph, &model->info, cache->fingerprint);
    memcpy(ret_hex, cache->fingerprint, sizeof cache->fingerprint);
    pthread_mutex_unlock(&cache->lock);
    return MIEN_OK;
}

mien_status mien__model_packed(const mien_model *m, uint64_t key, size_t bytes, mien__pack_fn pack, void *ctx,
                               const void **ret, mien_error *err)
{
    mien_status st = MIEN_OK;
    packed_item **bucket = &m->packed->buckets[key % MIEN_COUNTOF(m->packed->buckets)];
    pthread_mutex_lock(&m->packed->lock);
    packed_item *p = *bucket;
    while (p && (p->key != key || p->bytes != bytes))
        p = p->next;
    if (!p) {
        p = mien_alloc_zero(sizeof *p);
        void *data = p ? mien_alloc(bytes) : NULL;
        if (!data) {
            mien_free(p);
            st = mien__nomem(err, bytes);
            goto done;
        }
        pack(ctx, data);
        *p = (packed_item){ *bucket, key, bytes, data };
        *bucket = p;
    }
    *ret = p->data;
done:
    pthread_mutex_unlock(&m->packed->lock);
    return st;
}

/* ---- reading ---- */

/* Read .mien bytes; on success the model owns `map` when one is given. */
static mien_status from_bytes(const void *data, size_t size, const mien__file_map *map, mien_model **ret,
                              mien_error *err)
{
    mien__graph *g = NULL;
    mien_model_info info;
    mien_status st = mien__file_parse(data, size, &g, &info, err);
    if (st || (st = mien__model_from_graph(g, &info, ret, err)))
        return st;
    (*ret)->info.file_bytes = size;
    if (map) {
        (*ret)->map = *map;
        (*ret)->has_map = true;
    }
    return MIEN_OK;
}

mien_status mien_model_load_memory(const void *data, size_t size, mien_model **ret_model, mien_error *err)
{
    if (!data || !ret_model)
        return mien__fail(err, MIEN_E_ARG, "data or result is NULL");
    return from_bytes(data, size, NULL, ret_model, err);
}

static bool ends_with(const char *s, const char *suffix)
{
    const size_t n = strlen(s), k = strlen(suffix);
    return n >= k && strcasecmp(s + n - k, suffix) == 0;
}

static mien_status load_mien(const char *path, mien_model **ret, mien_error *err)
{
    mien__file_map map;
    mien_status st = mien__file_map_open(&map, path, MIEN__FILE_MAX, err);
    if (st)
        return st;
    st = map.size ? from_bytes(map.data, map.size, &map, ret, err)
                  : mien__fail(err, MIEN_E_MODEL_FORMAT, "%.200s is empty", path);
    if (st)
        mien__file_map_close(&map);
    return st;
}

/* What a path or a name stands for: a built-in model, or else a path (in `buf` for a name). */
static mien_status resolve(const char *path_or_name, char buf[PATH_BYTES], const char **ret_path,
                           const mien__builtin **ret_builtin, mien_error *err)
{
    const char *const s = path_or_name;
    const bool is_path =
        strchr(s, '/') || ends_with(s, ".mien") || ends_with(s, ".onnx") || ends_with(s, ".xml");
    *ret_builtin = is_path ? NULL : mien__builtin_find(s);
    *ret_path = is_path ? s : buf;
    return is_path || *ret_builtin ? MIEN_OK : mien_registry_locate(s, buf, PATH_BYTES, err);
}

mien_status mien_model_load(const char *path_or_name, mien_model **ret_model, mien_error *err)
{
    char buf[PATH_BYTES];
    const char *path = NULL;
    const mien__builtin *b = NULL;
    if (!path_or_name || !*path_or_name || !ret_model)
        return mien__fail(err, MIEN_E_ARG, "model name or result is NULL");
    const mien_status st = resolve(path_or_name, buf, &path, &b, err);
    if (st)
        return st;
    if (b)
        return mien_model_load_memory(b->data, (size_t)(b->end - b->data), ret_model, err);
    if (ends_with(path, ".onnx") || ends_with(path, ".xml"))
        return mien_model_import(path, NULL, ret_model, err);
    return load_mien(path, ret_model, err);
}

/* ---- importing ---- */

/* The weights beside model.xml: model.bin. */
static bool bin_path_of(const char *xml, char *ret, size_t capacity)
{
    const size_t n = strlen(xml) - strlen(".xml");
    const int k = snprintf(ret, capacity, "%.*s.bin", (int)n, xml);
    return k > 0 && (size_t)k < capacity;
}

static mien_status read_source(const char *path, mien__file_map *src, mien__file_map *bin, mien__graph **ret,
                               mien_error *err)
{
    char bin_path[PATH_BYTES];
    mien_status st = mien__file_map_open(src, path, SOURCE_MAX, err);
    if (st)
        return st;
    if (src->size == 0)
        return mien__fail(err, MIEN_E_MODEL_FORMAT, "%.200s is empty", path);
    if (!ends_with(path, ".xml"))
        return mien__onnx_read(src->data, src->size, ret, err);
    if (!bin_path_of(path, bin_path, sizeof bin_path))
        return mien__fail(err, MIEN_E_LIMIT, "the path %.200s is too long", path);
    if ((st = mien__file_map_open(bin, bin_path, SOURCE_MAX, err)))
        return st;
    return mien__ir_read(src->data, src->size, bin->data, bin->size, ret, err);
}

/* File name without folder and suffix, for models nobody has described. */
static const char *stem_of(const char *path, char *buf, size_t capacity)
{
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    const char *dot = strrchr(base, '.');
    snprintf(buf, capacity, "%.*s", (int)(dot && dot != base ? dot - base : (ptrdiff_t)strlen(base)), base);
    return buf;
}

static void describe(const char *path, const char *sha256, const mien__graph *g, char *stem,
                     size_t stem_bytes, mien_model_info *ret)
{
    if (!mien__registry_describe(sha256, ret)) {
        *ret = mien__model_info_empty();
        ret->name = stem_of(path, stem, stem_bytes);
        const mien__value *in = g->n_inputs ? &g->values[g->inputs[0]] : NULL;
        if (in && in->rank == 4 && in->dims[2] > 0 && in->dims[3] > 0 && in->dims[2] <= 65536 &&
            in->dims[3] <= 65536) {
            ret->input_height = (int)in->dims[2];
            ret->input_width = (int)in->dims[3];
        }
    }
    ret->sha256 = sha256;
}

mien_status mien_model_import(const char *path, const mien_model_info *info, mien_model **ret_model,
                              mien_error *err)
{
    mien__file_map src = { 0 }, bin = { 0 };
    mien__graph *g = NULL;
    char sha256[65], stem[256];
    mien_model_info described;
    if (!path || !ret_model)
        return mien__fail(err, MIEN_E_ARG, "path or result is NULL");
    mien_status st = read_source(path, &src, &bin, &g, err);
    if (st || (st = mien__graph_check(g, err)) || (st = mien__graph_simplify(g, err)))
        goto done;
    if (!info) {
        mien__sha256_hex(src.data, src.size, sha256);
        describe(path, sha256, g, stem, sizeof stem, &described);
        info = &described;
    }
    mien_model *m = NULL;
    st = mien__model_from_graph(g, info, &m, err);
    g = NULL;
    if (st)
        goto done;
    m->info.file_bytes = src.size + bin.size;
    *ret_model = m;
done:
    mien__graph_free(g);
    mien__file_map_close(&bin);
    mien__file_map_close(&src);
    return st;
}

/* ---- writing ---- */

mien_status mien_model_save(const mien_model *model, const char *path, mien_error *err)
{
    return mien_model_save_as(model, path, MIEN_STORE_EXACT, err);
}

mien_status mien_model_save_as(const mien_model *model, const char *path, mien_store store, mien_error *err)
{
    mien__buf buf;
    if (!model || !path || (store != MIEN_STORE_EXACT && store != MIEN_STORE_F16))
        return mien__fail(err, MIEN_E_ARG, "model or path is NULL, or no such way to store tensors");
    mien__buf_init(&buf, MIEN__FILE_MAX);
    mien_status st = mien__file_write(model->graph, &model->info, store, &buf, err);
    if (!st)
        st = mien__file_write_atomic(path, buf.data, buf.size, err);
    mien__buf_free(&buf);
    return st;
}

mien_status mien_model_verify(const char *path_or_name, mien_error *err)
{
    char buf[PATH_BYTES];
    const char *path = NULL;
    const mien__builtin *b = NULL;
    mien__file_map map;
    if (!path_or_name)
        return mien__fail(err, MIEN_E_ARG, "path or name is NULL");
    mien_status st = resolve(path_or_name, buf, &path, &b, err);
    if (st)
        return st;
    if (b)
        return mien__file_verify(b->data, (size_t)(b->end - b->data), err);
    if ((st = mien__file_map_open(&map, path, MIEN__FILE_MAX, err)))
        return st;
    st = mien__file_verify(map.data, map.size, err);
    mien__file_map_close(&map);
    return st;
}
