/* Labels of people, from CSV: people numbered as mien__names numbers them, values kept once each. */
#include "base/csv.h"
#include "eval/table.h"
#include <string.h>
#include <strings.h>

struct mien_eval_labels {
    mien__names people, values;
    char *columns[MIEN_EVAL_MAX_COLUMNS];
    size_t n_columns;
    uint32_t *v; /* [capacity][n_columns] numbers of values, by person */
    size_t capacity;
};

void mien_eval_labels_free(mien_eval_labels *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->n_columns; i++)
        mien_free(l->columns[i]);
    mien__names_clear(&l->people);
    mien__names_clear(&l->values);
    mien_free(l->v);
    mien_free(l);
}

static bool names_people(const char *column)
{
    static const char *const known[] = {
        "person", "name", "identity", "id", "subject", "people", "person_id"
    };
    for (size_t i = 0; i < MIEN_COUNTOF(known); i++)
        if (strcasecmp(column, known[i]) == 0)
            return true;
    return false;
}

/* The first row; *ret_person is the field of people. */
static mien_status take_columns(mien_eval_labels *l, const mien__csv_row *row, size_t *ret_person,
                                mien_error *err)
{
    *ret_person = row->n;
    for (size_t i = 0; i < row->n; i++) {
        if (*ret_person == row->n && names_people(row->fields[i])) {
            *ret_person = i;
            continue;
        }
        if (l->n_columns == MIEN_EVAL_MAX_COLUMNS)
            return mien__fail(err, MIEN_E_LIMIT, "more than %d columns of labels", MIEN_EVAL_MAX_COLUMNS);
        char *const name = mien_strdup(row->fields[i]);
        if (!name)
            return mien__nomem(err, strlen(row->fields[i]));
        l->columns[l->n_columns++] = name;
    }
    if (*ret_person == row->n || l->n_columns == 0)
        return mien__fail(err, MIEN_E_EVAL_DATA,
                          "the first row names no column of people (person, name, id), or no other column");
    return MIEN_OK;
}

static mien_status take_person(mien_eval_labels *l, const mien__csv_row *row, size_t person,
                               const char **ret_why, mien_error *err)
{
    const size_t before = l->people.n;
    uint32_t number = 0;
    mien_status st = mien__names_add(&l->people, row->fields[person], &number, err);
    if (st)
        return st;
    *ret_why = !number                 ? "the person is missing"
               : l->people.n == before ? "a second row of this person"
                                       : NULL;
    if (*ret_why)
        return MIEN_OK;
    if (l->people.n > l->capacity) {
        const size_t capacity = l->capacity ? 2 * l->capacity : 256;
        uint32_t *const v = mien_grow_array(l->v, l->capacity, capacity, l->n_columns * sizeof *v);
        if (!v)
            return mien__nomem(err, capacity * l->n_columns * sizeof *v);
        l->v = v;
        l->capacity = capacity;
    }
    for (size_t i = 0, to = 0; i < row->n && !st; i++)
        if (i != person)
            st = mien__names_add(&l->values, row->fields[i], &l->v[before * l->n_columns + to++], err);
    return st;
}

static mien_status read_all(mien_eval_labels *l, mien__csv csv, const mien_eval_csv_opts *o,
                            mien__csv_row *row, mien_error *err)
{
    size_t person = 0, n_fields = 0;
    mien_status st = MIEN_OK;
    for (mien__csv_got got; !st && (got = mien__csv_next(&csv, row)) != MIEN__CSV_END;) {
        const char *why = got == MIEN__CSV_BAD             ? row->fault
                          : n_fields && row->n != n_fields ? "it has not as many fields as the first row"
                                                           : NULL;
        if (!why && !n_fields) {
            n_fields = row->n;
            st = take_columns(l, row, &person, err);
        } else if (!why) {
            st = take_person(l, row, person, &why, err);
        }
        if (why && o->bad_row)
            o->bad_row(row->line, why, o->user);
    }
    if (!st && !l->people.n)
        st = mien__fail(err, MIEN_E_EVAL_DATA, "no person is labelled");
    return st;
}

mien_status mien_eval_labels_read(const char *path, const mien_eval_csv_opts *opts, mien_eval_labels **ret,
                                  mien_error *err)
{
    mien_eval_csv_opts given = MIEN_EVAL_CSV_OPTS_INIT;
    MIEN__EVAL_TAKE(given, opts);
    const mien_eval_csv_opts *const o = &given;
    if (!path || !ret)
        return mien__fail(err, MIEN_E_ARG, "evaluation: a pointer is NULL");
    mien__file_map map = { 0 };
    mien_error fault = MIEN_ERROR_INIT;
    mien_status st = mien__file_map_open(&map, path, (size_t)1 << 30, err);
    if (st)
        return st;
    mien_eval_labels *const l = mien_alloc_zero(sizeof *l);
    mien__csv_row *const row = mien_alloc(sizeof *row);
    st = l && row ? read_all(l, (mien__csv){ (const char *)map.data, map.size, 0, 1 }, o, row, &fault)
                  : mien__nomem(&fault, sizeof *row);
    mien__file_map_close(&map);
    mien_free(row);
    if (st) {
        mien_eval_labels_free(l);
        return mien__fail(err, st, "%s: %s", path, fault.message);
    }
    *ret = l;
    return MIEN_OK;
}

size_t mien_eval_labels_columns(const mien_eval_labels *l, const char *const **ret_names)
{
    if (ret_names)
        *ret_names = l ? (const char *const *)l->columns : NULL;
    return l ? l->n_columns : 0;
}

void mien_eval_labels_of(const mien_eval_labels *l, const char *person_a, const char *person_b,
                         const char **ret)
{
    const uint32_t a = mien__names_find(&l->people, person_a), b = mien__names_find(&l->people, person_b);
    for (size_t i = 0; i < l->n_columns; i++) {
        const uint32_t x = a ? l->v[(a - 1) * l->n_columns + i] : 0,
                       y = b ? l->v[(b - 1) * l->n_columns + i] : 0;
        ret[i] = x == y ? mien__names_at(&l->values, x) : NULL;
    }
}
