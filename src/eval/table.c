/* Tables of compared pairs: rows in one array, texts kept once and numbered.
 *
 * Names are found by open addressing over FNV-1a hashes, at most half full. The labels of a column are
 * numbered apart, so that a label is one byte; a column with more values than a grouping can have is
 * dropped as soon as it shows, so that a column of file names costs nothing.
 */
#include "eval/table.h"
#include <math.h>
#include <string.h>

enum { MAX_NAME_BYTES = 1 << 15, MAX_FOLDS = 1000 };
static const size_t max_arena_bytes = (size_t)1 << 32;

/* ---- names ---- */

static uint64_t hash_of(const char *s)
{
    uint64_t h = 14695981039346656037u;
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 1099511628211u;
    return h ^ h >> 29;
}

static size_t slot_of(const mien__names *names, const char *text)
{
    size_t slot = (size_t)hash_of(text) & (names->n_slots - 1);
    while (names->slots[slot] && strcmp(names->v[names->slots[slot] - 1], text) != 0)
        slot = (slot + 1) & (names->n_slots - 1);
    return slot;
}

/* Room for one more. */
static mien_status grow_names(mien__names *names, mien_error *err)
{
    if (!names->arena)
        names->arena = mien__arena_new(max_arena_bytes);
    if (!names->arena)
        return mien__nomem(err, 1);
    if (names->n == names->capacity) {
        const size_t capacity = names->capacity ? 2 * names->capacity : 64;
        const char **const v = mien_grow_array(names->v, names->n, capacity, sizeof *v);
        if (!v)
            return mien__nomem(err, capacity * sizeof *v);
        names->v = v;
        names->capacity = capacity;
    }
    if (2 * (names->n + 1) <= names->n_slots)
        return MIEN_OK;
    const size_t n_slots = names->n_slots ? 2 * names->n_slots : 128;
    uint32_t *const slots = mien_alloc_array_zero(n_slots, sizeof *slots);
    if (!slots)
        return mien__nomem(err, n_slots * sizeof *slots);
    mien_free(names->slots);
    names->slots = slots;
    names->n_slots = n_slots;
    for (size_t i = 0; i < names->n; i++)
        names->slots[slot_of(names, names->v[i])] = (uint32_t)(i + 1);
    return MIEN_OK;
}

mien_status mien__names_add(mien__names *names, const char *text, uint32_t *ret, mien_error *err)
{
    if (!text || !*text) {
        *ret = 0;
        return MIEN_OK;
    }
    const size_t len = strnlen(text, MAX_NAME_BYTES);
    if (len == MAX_NAME_BYTES || names->n >= 2 * (size_t)MIEN_EVAL_MAX_ROWS)
        return mien__fail(err, MIEN_E_LIMIT, "evaluation: a name is too long, or there are too many");
    const mien_status st = grow_names(names, err);
    if (st)
        return st;
    const size_t slot = slot_of(names, text);
    if (!names->slots[slot]) {
        const char *const copy = mien__arena_strndup(names->arena, text, len);
        if (!copy)
            return mien__nomem(err, len + 1);
        names->v[names->n++] = copy;
        names->slots[slot] = (uint32_t)names->n;
    }
    *ret = names->slots[slot];
    return MIEN_OK;
}

uint32_t mien__names_find(const mien__names *names, const char *text)
{
    return text && *text && names->n ? names->slots[slot_of(names, text)] : 0;
}

const char *mien__names_at(const mien__names *names, uint32_t number)
{
    return number ? names->v[number - 1] : NULL;
}

void mien__names_clear(mien__names *names)
{
    mien__arena_free(names->arena);
    mien_free((void *)names->v);
    mien_free(names->slots);
    *names = (mien__names){ 0 };
}

/* ---- tables ---- */

mien_status mien_eval_table_new(const mien_eval_table_opts *opts, mien_eval_table **ret, mien_error *err)
{
    mien_eval_table_opts given = MIEN_EVAL_TABLE_OPTS_INIT;
    MIEN__EVAL_TAKE(given, opts);
    const mien_eval_table_opts *const o = &given;
    if (!ret || (o->n_columns && !o->columns))
        return mien__fail(err, MIEN_E_ARG, "evaluation: a pointer is NULL");
    if (o->n_columns > MIEN_EVAL_MAX_COLUMNS)
        return mien__fail(err, MIEN_E_LIMIT, "evaluation: %zu columns of labels, at most %d", o->n_columns,
                          MIEN_EVAL_MAX_COLUMNS);
    mien_eval_table *const t = mien_alloc_zero(sizeof *t);
    if (!t)
        return mien__nomem(err, sizeof *t);
    t->lower = o->lower != 0;
    for (; t->n_columns < o->n_columns; t->n_columns++) {
        const char *const name = o->columns[t->n_columns];
        char **const to = &t->columns[t->n_columns].name;
        *to = name ? mien_strdup(name) : NULL;
        if (!*to) {
            mien_eval_table_free(t);
            return name ? mien__nomem(err, strlen(name))
                        : mien__fail(err, MIEN_E_ARG, "evaluation: a column has no name");
        }
    }
    *ret = t;
    return MIEN_OK;
}

void mien_eval_table_free(mien_eval_table *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n_columns; i++) {
        mien_free(t->columns[i].name);
        mien__names_clear(&t->columns[i].values);
    }
    mien__names_clear(&t->people);
    mien__names_clear(&t->items);
    mien_free(t->rows);
    mien_free(t->labels);
    mien_free(t);
}

static mien_status check_row(const mien_eval_table *t, const mien_eval_row *r, mien_error *err)
{
    if (!t || !r)
        return mien__fail(err, MIEN_E_ARG, "evaluation: a pointer is NULL");
    if (r->fold < -1 || r->fold >= MAX_FOLDS)
        return mien__fail(err, MIEN_E_EVAL_DATA, "fold %d is not in 0..%d", r->fold, MAX_FOLDS - 1);
    if (!r->failed && !(fabs(r->score) <= MIEN__EVAL_MAX_SCORE))
        return mien__fail(err, MIEN_E_EVAL_DATA, "the score is not finite, or absurdly large");
    if (r->person_a && r->person_b && *r->person_a && *r->person_b &&
        (strcmp(r->person_a, r->person_b) == 0) != (r->mated != 0))
        return mien__fail(err, MIEN_E_EVAL_DATA, "%s",
                          r->mated ? "mated, yet of two people" : "non-mated, yet of one person");
    if (t->n >= MIEN_EVAL_MAX_ROWS)
        return mien__fail(err, MIEN_E_LIMIT, "evaluation: more than %d pairs", MIEN_EVAL_MAX_ROWS);
    return MIEN_OK;
}

static mien_status grow_rows(mien_eval_table *t, mien_error *err)
{
    if (t->n < t->capacity)
        return MIEN_OK;
    const size_t capacity = t->capacity ? 2 * t->capacity : 256;
    mien__eval_row *const rows = mien_grow_array(t->rows, t->n, capacity, sizeof *rows);
    if (!rows)
        return mien__nomem(err, capacity * sizeof *rows);
    t->rows = rows;
    if (t->n_columns) {
        uint8_t *const labels = mien_grow_array(t->labels, t->n, capacity, t->n_columns);
        if (!labels)
            return mien__nomem(err, capacity * t->n_columns);
        t->labels = labels;
    }
    t->capacity = capacity;
    return MIEN_OK;
}

static mien_status add_label(mien__eval_column *c, const char *text, uint8_t *ret, mien_error *err)
{
    uint32_t number = 0;
    const mien_status st = c->dropped ? MIEN_OK : mien__names_add(&c->values, text, &number, err);
    if (st)
        return st;
    if (number > MIEN_EVAL_MAX_VALUES) {
        mien__names_clear(&c->values);
        c->dropped = true;
        number = 0;
    }
    *ret = (uint8_t)number;
    return MIEN_OK;
}

mien_status mien_eval_table_add(mien_eval_table *t, const mien_eval_row *r, mien_error *err)
{
    mien_status st = check_row(t, r, err);
    if (!st)
        st = grow_rows(t, err);
    if (st)
        return st;
    mien__eval_row row = { .fold = (int16_t)r->fold, .mated = r->mated != 0, .failed = r->failed != 0 };
    row.score = r->failed ? 0 : mien__eval_shown(t, r->score);
    const char *const person[2] = { r->person_a, r->person_b }, *const item[2] = { r->item_a, r->item_b };
    for (int i = 0; i < 2 && !st; i++) {
        st = mien__names_add(&t->people, person[i], &row.person[i], err);
        if (!st)
            st = mien__names_add(&t->items, item[i], &row.item[i], err);
    }
    if (row.mated && !row.person[0] != !row.person[1]) /* one name says both */
        row.person[0] = row.person[1] = row.person[0] ? row.person[0] : row.person[1];
    for (size_t i = 0; i < t->n_columns && !st; i++)
        st = add_label(&t->columns[i], r->labels ? r->labels[i] : NULL, &t->labels[t->n * t->n_columns + i],
                       err);
    if (!st)
        t->rows[t->n++] = row;
    return st;
}

size_t mien_eval_table_rows(const mien_eval_table *t)
{
    return t ? t->n : 0;
}

int mien_eval_table_lower(const mien_eval_table *t)
{
    return t && t->lower;
}

mien_eval_row mien_eval_table_row(const mien_eval_table *t, size_t row)
{
    if (!t || row >= t->n)
        return (mien_eval_row){ .failed = 1, .fold = -1 };
    const mien__eval_row *const r = &t->rows[row];
    return (mien_eval_row){ r->failed ? 0 : mien__eval_shown(t, r->score),
                            r->mated,
                            r->failed,
                            r->fold,
                            mien__names_at(&t->people, r->person[0]),
                            mien__names_at(&t->people, r->person[1]),
                            mien__names_at(&t->items, r->item[0]),
                            mien__names_at(&t->items, r->item[1]),
                            NULL };
}

const char *mien_eval_table_column(const mien_eval_table *t, size_t column, int *ret_dropped)
{
    if (!t || column >= t->n_columns)
        return NULL;
    if (ret_dropped)
        *ret_dropped = t->columns[column].dropped;
    return t->columns[column].name;
}

const char *mien_eval_table_label(const mien_eval_table *t, size_t row, size_t column)
{
    if (!t || row >= t->n || column >= t->n_columns || t->columns[column].dropped)
        return NULL;
    return mien__names_at(&t->columns[column].values, t->labels[row * t->n_columns + column]);
}
