/* Checking a gallery: does SQLite find the file in order, do the counts agree with the rows, does everything
 * sealed open, is every template a unit vector, is every fused template what its faces make, is the audit
 * chain whole, and does the search find what the file holds.
 *
 * All within one snapshot. A fault is told and the check goes on; the first is the error.
 */
#include "gallery/journal.h"
#include <math.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct check {
    mien_gallery *g;
    mien_fault_fn fn;
    void *user;
    mien_gallery_progress progress;
    void *progress_user;
    uint64_t done, total;
    mien_error first; /* status OK: no fault yet */
} check;

static void fault(check *c, const char *fmt, ...) MIEN_PRINTF(2, 3);
static void fault(check *c, const char *fmt, ...)
{
    char text[MIEN_ERROR_MESSAGE_BYTES];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!c->first.status)
        (void)mien__fail(&c->first, MIEN_E_GALLERY_CORRUPT, "%s", text);
    if (c->fn)
        c->fn(c->user, text);
}

/* A damaged item is a fault and the check goes on; anything else ends it. */
static mien_status take(check *c, mien_status st, const mien_error *e, mien_error *err)
{
    if (st == MIEN_OK)
        return MIEN_OK;
    if (st != MIEN_E_GALLERY_CORRUPT && st != MIEN_E_LIMIT) {
        if (err)
            *err = *e;
        return st;
    }
    fault(c, "%s", e->message);
    return MIEN_OK;
}

/* ---- SQLite ---- */

/* A page that could not be read for want of memory or for a disk's fault is reported among the damages, with
 * SQLite's code: that is no damage. */
static mien_status unreadable(check *c, const char *text, mien_error *err)
{
    static const char mark[] = "error code=";
    const char *at = text ? strstr(text, mark) : NULL;
    int code = 0;
    if (!at)
        return MIEN_OK;
    for (at += sizeof mark - 1; *at >= '0' && *at <= '9' && code < 100000; at++)
        code = code * 10 + (*at - '0');
    mien_error e = MIEN_ERROR_INIT;
    const mien_status st = mien__db_fail(c->g, code, "check", &e);
    if (st == MIEN_E_GALLERY_CORRUPT)
        return MIEN_OK;
    if (err)
        *err = e;
    return st;
}

static mien_status check_rows_of(check *c, const char *sql, const char *what, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(c->g->db, sql, -1, &s, NULL);
    while (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        const char *const text = (const char *)sqlite3_column_text(s, 0);
        const mien_status st = text ? unreadable(c, text, err) : mien__nomem(err, 1);
        if (st) {
            sqlite3_finalize(s);
            return st;
        }
        if (strcmp(text, "ok") != 0)
            fault(c, "%s: %.180s", what, text);
        rc = SQLITE_OK;
    }
    sqlite3_finalize(s);
    if (rc == SQLITE_DONE)
        return MIEN_OK;
    mien_error e = MIEN_ERROR_INIT;
    return take(c, mien__db_fail(c->g, rc, "check", &e), &e, err);
}

static mien_status check_counts(check *c, mien_error *err)
{
    const mien__state *const s = &c->g->state;
    const struct {
        mien__sql sql;
        int64_t stated;
        const char *what;
    } counts[] = { { MIEN__SQL_COUNT_PEOPLE, s->n_people, "people" },
                   { MIEN__SQL_COUNT_FACES, s->n_faces, "faces" },
                   { MIEN__SQL_COUNT_IMAGES, s->n_images, "pictures" } };
    for (size_t i = 0; i < MIEN_COUNTOF(counts); i++) {
        int64_t n = 0;
        const mien_status st = mien__sql_number(c->g, counts[i].sql, 0, &n, err, "");
        if (st)
            return st;
        if (n != counts[i].stated)
            fault(c, "%lld %s are there, %lld should be", (long long)n, counts[i].what,
                  (long long)counts[i].stated);
    }
    return MIEN_OK;
}

/* ---- people ---- */

static mien_status check_template(check *c, int64_t person, const mien__face_set *set, float *vec,
                                  double *scratch, mien_error *err)
{
    mien_error e = MIEN_ERROR_INIT;
    const int dim = c->g->shared->dim;
    float *const stored = vec, *const fused = vec + dim;
    const mien_status st = mien__template_load(c->g, person, stored, &e);
    if (set->n == 0) {
        if (st != MIEN_E_NOT_FOUND)
            fault(c, "person %lld has a template but no faces", (long long)person);
        return MIEN_OK;
    }
    if (st == MIEN_E_NOT_FOUND)
        fault(c, "%s", e.message);
    if (st)
        return st == MIEN_E_NOT_FOUND ? MIEN_OK : take(c, st, &e, err);
    mien__fuse(set->vecs, set->weights, set->n, dim, scratch, fused, set->outlier, set->fit);
    if (!(mien_cosine(stored, fused, (size_t)dim) > 0.9999))
        fault(c, "the template of person %lld is not what its faces make", (long long)person);
    return MIEN_OK;
}

static mien_status check_images(check *c, const mien__record *r, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = true;
    mien_status st = mien__sql_open(c->g, MIEN__SQL_IMAGE_FACES, &s, err, "i", r->person.id);
    while (!st && !(st = mien__sql_row(c->g, s, &row, err)) && row) {
        mien_error e = MIEN_ERROR_INIT;
        uint8_t *data = NULL;
        size_t bytes = 0;
        const mien_status got = mien_gallery_image(c->g, sqlite3_column_int64(s, 0), &data, &bytes, &e);
        if (!got)
            mien_free_secret(data, bytes + 1);
        st = take(c, got, &e, err);
    }
    mien__sql_end(c->g, s);
    return st;
}

static void check_units(check *c, const mien__face_set *set)
{
    const size_t dim = (size_t)c->g->shared->dim;
    for (size_t i = 0; i < set->n; i++) {
        double norm = 0.0;
        for (size_t d = 0; d < dim; d++)
            norm += (double)set->vecs[i * dim + d] * (double)set->vecs[i * dim + d];
        if (!(fabs(norm - 1.0) < 1e-3))
            fault(c, "the template of face %lld is not a unit vector", (long long)set->ids[i]);
    }
}

static int no_face(void *user, const mien_gallery_face *face)
{
    (void)user;
    (void)face;
    return 0;
}

static mien_status check_person(check *c, sqlite3_stmt *row, float *vec, double *scratch, mien_error *err)
{
    mien_error e = MIEN_ERROR_INIT;
    mien__record r = { 0 };
    mien__face_set set = { 0 };
    int64_t there = 0;
    const int64_t person = sqlite3_column_int64(row, 0);
    mien_status st = mien__record_read(c->g, row, mien__clock_ms(), &r, &e);
    if (st)
        return take(c, st, &e, err);
    if (!(st = mien__name_find(c->g, r.name, &there, err)) && there != person)
        fault(c, "person %lld is not found by its name", (long long)person);
    if (!st && !(st = take(c, mien_gallery_faces(c->g, person, no_face, NULL, &e), &e, err)))
        st = take(c, mien__face_set_load(c->g, person, r.key, &set, &e), &e, err);
    if (!st && e.status == MIEN_OK) {
        if (set.n != r.person.n_faces)
            fault(c, "person %lld has %zu faces and should have %zu", (long long)person, set.n,
                  r.person.n_faces);
        check_units(c, &set);
        st = check_template(c, person, &set, vec, scratch, err);
    }
    if (!st)
        st = check_images(c, &r, err);
    c->done += 1 + set.n;
    mien__face_set_free(&set, c->g->shared->dim);
    mien__record_free(&r);
    if (!st && c->progress && c->progress(c->progress_user, c->done, c->total) != 0)
        st = mien__fail(err, MIEN_E_INTERRUPTED, "the check was stopped");
    return st;
}

static mien_status check_people(check *c, mien_error *err)
{
    const size_t dim = (size_t)c->g->shared->dim;
    sqlite3_stmt *s = NULL;
    bool row = true;
    int64_t before = 0;
    float *const vec = mien_alloc_array(2 * dim, sizeof *vec);
    double *const scratch = mien_alloc_array(2 * dim, sizeof *scratch);
    mien_status st = vec && scratch ? MIEN_OK : mien__nomem(err, 2 * dim * sizeof *scratch);
    if (!st)
        st = mien__sql_open(c->g, MIEN__SQL_PERSON_AFTER, &s, err, "i", (int64_t)0);
    while (!st && !(st = mien__sql_row(c->g, s, &row, err)) && row)
        if (!(st = mien__sql_ascending(c->g, before, sqlite3_column_int64(s, 0), err))) {
            before = sqlite3_column_int64(s, 0);
            st = check_person(c, s, vec, scratch, err);
        }
    mien__sql_end(c->g, s);
    mien_free_secret(vec, 2 * dim * sizeof *vec);
    mien_free_secret(scratch, 2 * dim * sizeof *scratch);
    return st;
}

/* ---- what belongs to no person ---- */

static mien_status check_texts(check *c, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = true;
    mien_status st = mien__sql_open(c->g, MIEN__SQL_TEXT_ALL, &s, err, "");
    while (!st && !(st = mien__sql_row(c->g, s, &row, err)) && row) {
        mien_error e = MIEN_ERROR_INIT;
        char *text = NULL;
        const char *const key = (const char *)sqlite3_column_text(s, 0);
        st = take(c, mien_gallery_text(c->g, key ? key : "", &text, &e), &e, err);
        mien_text_free(text);
    }
    mien__sql_end(c->g, s);
    return st;
}

static mien_status check_rest(check *c, mien_error *err)
{
    mien_error e = MIEN_ERROR_INIT;
    mien__undo u = { 0 };
    float probe[MIEN__DIM_MAX] = { 1.0f };
    bool refused = false;
    mien_gallery_info info;
    mien_status st = take(c, mien_gallery_info_of(c->g, &info, &e), &e, err);
    if (st || (st = check_texts(c, err)))
        return st;
    st = mien__journal_last(c->g, &u, &e);
    if (!st)
        mien__undo_free(&u);
    if ((st = take(c, st == MIEN_E_NOT_FOUND ? MIEN_OK : st, &e, err)))
        return st;
    return take(c, mien__refused(c->g, NULL, probe, &refused, &e), &e, err); /* opens every code */
}

/* ---- the whole ---- */

static mien_status run(check *c, mien_error *err)
{
    mien_error e = MIEN_ERROR_INIT;
    mien_status st = take(c, mien__state_read(c->g, &e), &e, err);
    if (st)
        return st;
    c->total = (uint64_t)(c->g->state.n_people + c->g->state.n_faces);
    if ((st = check_rows_of(c, "pragma integrity_check(20)", "database", err)) ||
        (st = check_rows_of(
             c, "select 'a row of ' || \"table\" || ' refers to none' from pragma_foreign_key_check",
             "database", err)) ||
        (st = check_counts(c, err)))
        return st;
    e = (mien_error)MIEN_ERROR_INIT;
    st = mien__audit_verify(c->g, c->fn, c->user, &e);
    if (st && st != MIEN_E_GALLERY_CORRUPT) {
        if (err)
            *err = e;
        return st;
    }
    if (st && !c->first.status)
        c->first = e; /* told already */
    if ((st = check_people(c, err)) || (st = check_rest(c, err)) || !c->g->shared->finder)
        return st;
    e = (mien_error)MIEN_ERROR_INIT;
    return take(c, mien__finder_verify(c->g, &e), &e, err);
}

mien_status mien_gallery_verify(mien_gallery *gallery, mien_fault_fn fn, void *user,
                                mien_gallery_progress progress, void *progress_user, mien_error *err)
{
    check c = { gallery, fn, user, progress, progress_user, 0, 0, MIEN_ERROR_INIT };
    if (!gallery)
        return mien__fail(err, MIEN_E_ARG, "gallery is NULL");
    mien_status st = mien__read_begin(gallery, err);
    if (st)
        return st;
    st = run(&c, err);
    mien__read_end(gallery);
    if (!st && c.first.status) {
        if (err)
            *err = c.first;
        st = c.first.status;
    }
    return st;
}
