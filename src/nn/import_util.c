/* Building graphs from files: see import_util.h. */
#include "nn/import_util.h"
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { FIRST_SLOTS = 1024 };

bool mien__import_begin(mien__import *imp, size_t scratch_max_bytes, mien_error *err)
{
    memset(imp, 0, sizeof *imp);
    imp->err = err;
    imp->budget = MIEN__IMPORT_BUDGET_ELEMS;
    imp->n_slots = FIRST_SLOTS;
    randombytes_buf(imp->hash_key, sizeof imp->hash_key);
    imp->g = mien__graph_new();
    imp->scratch = mien__arena_new(scratch_max_bytes);
    imp->slots = mien_alloc_array_zero(imp->n_slots, sizeof *imp->slots);
    if (imp->g && imp->scratch && imp->slots)
        return true;
    (void)mien__import_nomem(imp);
    mien__import_end(imp);
    return false;
}

void mien__import_end(mien__import *imp)
{
    mien_free(imp->shapes);
    mien_free(imp->slots);
    mien__arena_free(imp->scratch);
    mien__graph_free(imp->g);
    imp->shapes = NULL;
    imp->slots = NULL;
    imp->scratch = NULL;
    imp->g = NULL;
}

/* ---- errors ---- */

mien_status mien__import_fail_at(mien__import *imp, mien_status code, const char *file, int line,
                                 const char *fmt, ...)
{
    if (imp->status != MIEN_OK)
        return imp->status;
    char text[160], name[64];
    va_list ap;
    va_start(ap, fmt);
    const int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0)
        text[0] = '\0';
    (void)snprintf(name, sizeof name, "%s", imp->node_name ? imp->node_name : "");
    for (char *p = name; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    if (imp->node_op)
        (void)mien__fail_at(imp->err, code, file, line, "node '%s' (%.32s): %s", name, imp->node_op, text);
    else
        (void)mien__fail_at(imp->err, code, file, line, "%s", text);
    imp->status = code;
    return code;
}

mien_status mien__import_nomem(mien__import *imp)
{
    if (imp->status == MIEN_OK)
        imp->status = mien__fail(imp->err, MIEN_E_NOMEM, "out of memory while importing a model");
    return imp->status;
}

bool mien__import_spend(mien__import *imp, int64_t n)
{
    if (imp->status != MIEN_OK)
        return false;
    if (n < 0 || n > imp->budget) {
        (void)mien__import_fail(imp, MIEN_E_LIMIT, "the model's constants pass %lld elements",
                                (long long)MIEN__IMPORT_BUDGET_ELEMS);
        return false;
    }
    imp->budget -= n;
    return true;
}

/* ---- names (open addressing, SipHash so that no file can choose collisions) ---- */

static mien__name_slot *find_slot(const mien__import *imp, mien__name_slot *slots, uint32_t n_slots,
                                  const char *name)
{
    uint64_t hash = 0;
    (void)crypto_shorthash((unsigned char *)&hash, (const unsigned char *)name, strlen(name), imp->hash_key);
    uint32_t i = (uint32_t)hash & (n_slots - 1);
    while (slots[i].name && strcmp(slots[i].name, name) != 0)
        i = (i + 1) & (n_slots - 1);
    return &slots[i];
}

static bool grow_names(mien__import *imp)
{
    const uint32_t n = imp->n_slots * 2;
    mien__name_slot *const slots = mien_alloc_array_zero(n, sizeof *slots);
    if (!slots)
        return false;
    for (uint32_t i = 0; i < imp->n_slots; i++)
        if (imp->slots[i].name)
            *find_slot(imp, slots, n, imp->slots[i].name) = imp->slots[i];
    mien_free(imp->slots);
    imp->slots = slots;
    imp->n_slots = n;
    return true;
}

/* Add a value to the graph and its row to `shapes`. */
uint32_t mien__import_add_value(mien__import *imp, const char *name)
{
    uint32_t v = MIEN__NO_VALUE;
    if (imp->status != MIEN_OK)
        return v;
    const uint32_t n = imp->g->n_values;
    if (n >= MIEN__MAX_VALUES) {
        (void)mien__import_fail(imp, MIEN_E_LIMIT, "the model has more than %d values",
                                (int)MIEN__MAX_VALUES);
        return v;
    }
    if (n == imp->cap_shapes) {
        const uint32_t cap = n ? n * 2 : 256;
        mien__import_shape *const grown = mien_grow_array(imp->shapes, n, cap, sizeof *grown);
        if (!grown) {
            (void)mien__import_nomem(imp);
            return v;
        }
        imp->shapes = grown;
        imp->cap_shapes = cap;
    }
    memset(&imp->shapes[n], 0, sizeof imp->shapes[n]);
    imp->shapes[n].t.rank = -1;
    imp->shapes[n].t.dtype = MIEN__F32;
    if (!mien__graph_add_value(imp->g, name ? name : "", MIEN__F32, -1, NULL, NULL, &v)) {
        (void)mien__import_nomem(imp);
        return MIEN__NO_VALUE;
    }
    return v;
}

uint32_t mien__import_value(mien__import *imp, const char *name)
{
    if (imp->status != MIEN_OK || !name || !name[0])
        return MIEN__NO_VALUE;
    if (imp->n_names * 2 >= imp->n_slots && !grow_names(imp)) {
        (void)mien__import_nomem(imp);
        return MIEN__NO_VALUE;
    }
    mien__name_slot *const slot = find_slot(imp, imp->slots, imp->n_slots, name);
    if (slot->name)
        return slot->value;
    const uint32_t v = mien__import_add_value(imp, name);
    if (v != MIEN__NO_VALUE) {
        slot->name = name;
        slot->value = v;
        imp->n_names++;
    }
    return v;
}

void mien__import_define(mien__import *imp, uint32_t value)
{
    if (imp->status != MIEN_OK || value == MIEN__NO_VALUE)
        return;
    if (imp->shapes[value].defined)
        (void)mien__import_fail(imp, MIEN_E_MODEL_CORRUPT, "'%.64s' is produced twice",
                                imp->g->values[value].name);
    else
        imp->shapes[value].defined = true;
}

void mien__import_set_shape(mien__import *imp, uint32_t v, mien__dtype dtype, int rank, const int64_t *dims)
{
    mien__value *const value = &imp->g->values[v];
    mien__tensor *const t = &imp->shapes[v].t;
    value->dtype = t->dtype = dtype;
    value->rank = t->rank = rank;
    for (int i = 0; i < rank; i++)
        value->dims[i] = t->dims[i] = dims[i];
}

void mien__import_set_input(mien__import *imp, uint32_t v, mien__dtype dtype, int rank, const int64_t *dims)
{
    if (imp->status != MIEN_OK || v == MIEN__NO_VALUE)
        return;
    mien__import_set_shape(imp, v, dtype, rank, dims);
    for (int i = 0; i < rank; i++)
        if (dims[i] < 0)
            imp->shapes[v].t.rank = -1;
}

uint32_t mien__import_input(mien__import *imp, const char *name, mien__dtype dtype, int rank,
                            const int64_t *dims)
{
    const uint32_t v = mien__import_value(imp, name);
    mien__import_define(imp, v);
    mien__import_set_input(imp, v, dtype, rank, dims);
    return imp->status == MIEN_OK ? v : MIEN__NO_VALUE;
}

/* ---- constants ---- */

uint32_t mien__import_const(mien__import *imp, uint32_t value, mien__dtype dtype, int rank,
                            const int64_t *dims, void **ret_data)
{
    if (imp->status != MIEN_OK)
        return MIEN__NO_VALUE;
    const int64_t n = mien__elems(rank, dims);
    if (n < 0) {
        (void)mien__import_fail(imp, MIEN_E_LIMIT, "a constant is too large");
        return MIEN__NO_VALUE;
    }
    if (value == MIEN__NO_VALUE)
        value = mien__import_add_value(imp, imp->node_name);
    if (!mien__import_spend(imp, n) || value == MIEN__NO_VALUE)
        return MIEN__NO_VALUE;
    void *const data = mien__arena_alloc(imp->g->arena, (size_t)(n ? n : 1) * (dtype == MIEN__I64 ? 8 : 4));
    if (!data) {
        (void)mien__import_nomem(imp);
        return MIEN__NO_VALUE;
    }
    mien__import_set_shape(imp, value, dtype, rank, dims);
    imp->shapes[value].t.data = data;
    imp->shapes[value].defined = true;
    imp->g->values[value].data = data;
    *ret_data = data;
    return value;
}

uint32_t mien__import_const_view(mien__import *imp, uint32_t of, uint32_t value, int rank,
                                 const int64_t *dims)
{
    if (imp->status != MIEN_OK)
        return MIEN__NO_VALUE;
    if (value == MIEN__NO_VALUE)
        value = mien__import_add_value(imp, imp->node_name);
    if (value == MIEN__NO_VALUE)
        return value;
    mien__import_set_shape(imp, value, imp->g->values[of].dtype, rank, dims);
    imp->g->values[value].data = imp->g->values[of].data;
    imp->shapes[value].t.data = imp->shapes[of].t.data;
    imp->shapes[value].defined = true;
    return value;
}

uint32_t mien__import_scalar(mien__import *imp, float v)
{
    void *data = NULL;
    const uint32_t value = mien__import_const(imp, MIEN__NO_VALUE, MIEN__F32, 0, NULL, &data);
    if (data)
        *(float *)data = v;
    return value;
}

uint32_t mien__import_i64s(mien__import *imp, const int64_t *v, uint32_t n)
{
    void *data = NULL;
    const int64_t dim = n;
    const uint32_t value = mien__import_const(imp, MIEN__NO_VALUE, MIEN__I64, 1, &dim, &data);
    if (data && n)
        memcpy(data, v, n * sizeof *v);
    return value;
}

bool mien__import_is_const(const mien__import *imp, uint32_t value)
{
    return imp->status == MIEN_OK && value != MIEN__NO_VALUE && imp->g->values[value].data != NULL;
}

static const void *const_data(mien__import *imp, uint32_t value, mien__dtype dtype, const char *what,
                              int64_t *ret_n)
{
    *ret_n = 0;
    if (imp->status != MIEN_OK)
        return NULL;
    if (!mien__import_is_const(imp, value) || imp->g->values[value].dtype != dtype) {
        (void)mien__import_fail(imp, MIEN_E_MODEL_OP, "%s must be a constant of %s", what,
                                dtype == MIEN__I64 ? "integers" : "floats");
        return NULL;
    }
    *ret_n = mien__value_elems(&imp->g->values[value]);
    return imp->g->values[value].data;
}

const float *mien__import_f32(mien__import *imp, uint32_t value, const char *what, int64_t *ret_n)
{
    return const_data(imp, value, MIEN__F32, what, ret_n);
}

const int64_t *mien__import_i64(mien__import *imp, uint32_t value, const char *what, int64_t *ret_n)
{
    return const_data(imp, value, MIEN__I64, what, ret_n);
}

const mien__tensor *mien__import_shape_of(const mien__import *imp, uint32_t value)
{
    if (imp->status != MIEN_OK || value == MIEN__NO_VALUE || imp->shapes[value].t.rank < 0)
        return NULL;
    return &imp->shapes[value].t;
}
