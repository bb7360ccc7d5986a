/* SQLite as a gallery uses it: statements prepared once, parameters bound in one call, transactions that
 * carry the state row, SQLite's codes as our statuses.
 *
 * Writes begin IMMEDIATE, so that only the beginning waits for another writer (the busy handler, bounded by
 * busy_ms) and nothing after it can be refused; a read never waits in WAL mode.
 */
#include "gallery/gallery.h"
#include "sqlite/sqlite.h"
#include <stdarg.h>
#include <string.h>
#include <time.h>

static const char *const sql_text[MIEN__SQL_COUNT] = {
#define TEXT(name, text) text,
    MIEN__SQL_LIST(TEXT)
#undef TEXT
};

enum { CHANGES_KEPT = 100000 };

int64_t mien__clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- failures ---- */

mien_status mien__db_fail(const mien_gallery *g, int rc, const char *what, mien_error *err)
{
    const char *const path = g->shared ? g->shared->path : "";
    const mien_status st = mien__sqlite_status(rc);
    if (st == MIEN_E_NOMEM)
        return mien__fail(err, st, "out of memory in the database of %.120s", path);
    if (st == MIEN_E_GALLERY_BUSY)
        return mien__fail(err, st, "%.120s has been in use by another program for too long; try again", path);
    return mien__fail(err, st, "cannot %s %.120s: %s (%d)", what, path, sqlite3_errstr(rc), rc);
}

static mien_status step_fail(mien_gallery *g, int rc, mien_error *err)
{
    return mien__db_fail(g, rc, g->in_write ? "change" : "read", err);
}

mien_status mien__db_exec(const mien_gallery *g, const char *sql, mien_error *err)
{
    const int rc = sqlite3_exec(g->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? MIEN_OK : mien__db_fail(g, sqlite3_extended_errcode(g->db), "use", err);
}

/* ---- statements ---- */

/* The kept statement, or a fresh one while that is being stepped by a caller further up. */
static int take(mien_gallery *g, mien__sql id, sqlite3_stmt **ret)
{
    if (g->stmts[id] && !sqlite3_stmt_busy(g->stmts[id])) {
        *ret = g->stmts[id];
        return SQLITE_OK;
    }
    sqlite3_stmt *fresh = NULL;
    const int rc = sqlite3_prepare_v3(g->db, sql_text[id], -1, g->stmts[id] ? 0 : SQLITE_PREPARE_PERSISTENT,
                                      &fresh, NULL);
    if (rc == SQLITE_OK && !g->stmts[id])
        g->stmts[id] = fresh;
    *ret = fresh;
    return rc;
}

static mien_status open_va(mien_gallery *g, mien__sql id, sqlite3_stmt **ret, mien_error *err,
                           const char *types, va_list ap)
{
    sqlite3_stmt *stmt = NULL;
    int rc = take(g, id, &stmt);
    if (rc == SQLITE_OK)
        rc = mien__sqlite_bind(stmt, false, types, ap);
    if (rc != SQLITE_OK) {
        const mien_status st = step_fail(g, rc == SQLITE_TOOBIG ? rc : sqlite3_extended_errcode(g->db), err);
        mien__sql_end(g, stmt);
        return st;
    }
    *ret = stmt;
    return MIEN_OK;
}

mien_status mien__sql_open(mien_gallery *g, mien__sql id, sqlite3_stmt **ret, mien_error *err,
                           const char *types, ...)
{
    va_list ap;
    va_start(ap, types);
    const mien_status st = open_va(g, id, ret, err, types, ap);
    va_end(ap);
    return st;
}

mien_status mien__sql_row(mien_gallery *g, sqlite3_stmt *stmt, bool *ret_row, mien_error *err)
{
    const int rc = sqlite3_step(stmt);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return step_fail(g, sqlite3_extended_errcode(g->db), err);
    *ret_row = rc == SQLITE_ROW;
    return MIEN_OK;
}

mien_status mien__sql_ascending(const mien_gallery *g, int64_t before, int64_t number, mien_error *err)
{
    if (number > before)
        return MIEN_OK;
    return mien__fail(err, MIEN_E_GALLERY_CORRUPT, "the rows of %.120s are out of order (%lld after %lld)",
                      g->shared->path, (long long)number, (long long)before);
}

void mien__sql_end(mien_gallery *g, sqlite3_stmt *stmt)
{
    if (!stmt)
        return;
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
    for (int i = 0; i < MIEN__SQL_COUNT; i++)
        if (g->stmts[i] == stmt)
            return;
    sqlite3_finalize(stmt);
}

mien_status mien__sql_run(mien_gallery *g, mien__sql id, mien_error *err, const char *types, ...)
{
    sqlite3_stmt *stmt = NULL;
    bool row = true;
    va_list ap;
    va_start(ap, types);
    mien_status st = open_va(g, id, &stmt, err, types, ap);
    va_end(ap);
    while (!st && row)
        st = mien__sql_row(g, stmt, &row, err);
    mien__sql_end(g, stmt);
    return st;
}

mien_status mien__sql_number(mien_gallery *g, mien__sql id, int64_t fallback, int64_t *ret, mien_error *err,
                             const char *types, ...)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    va_list ap;
    va_start(ap, types);
    mien_status st = open_va(g, id, &stmt, err, types, ap);
    va_end(ap);
    if (!st)
        st = mien__sql_row(g, stmt, &row, err);
    if (!st)
        *ret = row && sqlite3_column_type(stmt, 0) != SQLITE_NULL ? sqlite3_column_int64(stmt, 0) : fallback;
    mien__sql_end(g, stmt);
    return st;
}

/* ---- transactions ---- */

/* A snapshot whose end failed for want of memory must not be taken for a fresh one. */
static mien_status end_leftover(mien_gallery *g, mien_error *err)
{
    if (g->readers > 0 || g->in_write || sqlite3_get_autocommit(g->db))
        return MIEN_OK;
    return mien__sql_run(g, MIEN__SQL_ROLLBACK, err, "");
}

mien_status mien__read_begin(mien_gallery *g, mien_error *err)
{
    mien_status st = end_leftover(g, err);
    if (!st && sqlite3_get_autocommit(g->db))
        st = mien__sql_run(g, MIEN__SQL_BEGIN_READ, err, "");
    g->readers += !st;
    return st;
}

void mien__read_end(mien_gallery *g)
{
    if (--g->readers == 0 && !g->in_write && !sqlite3_get_autocommit(g->db))
        (void)mien__sql_run(g, MIEN__SQL_COMMIT, NULL, "");
}

mien_status mien__state_read(mien_gallery *g, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    mien__state *const state = &g->state;
    uint8_t tag[MIEN__DIGEST_BYTES];
    mien_status st = mien__sql_open(g, MIEN__SQL_STATE_GET, &s, err, "");
    if (!st)
        st = mien__sql_row(g, s, &row, err);
    if (st)
        goto done;
    if (!row || sqlite3_column_bytes(s, 6) != MIEN__DIGEST_BYTES ||
        sqlite3_column_bytes(s, 7) != MIEN__DIGEST_BYTES) {
        st = mien__fail(err, MIEN_E_GALLERY_CORRUPT, "%.120s has no valid state row", g->shared->path);
        goto done;
    }
    int64_t *const numbers[] = { &state->sequence, &state->changed_ms, &state->n_people,
                                 &state->n_faces,  &state->n_images,   &state->audit_entries };
    for (size_t i = 0; i < MIEN_COUNTOF(numbers); i++)
        *numbers[i] = sqlite3_column_int64(s, (int)i);
    memcpy(state->audit_head, sqlite3_column_blob(s, 6), MIEN__DIGEST_BYTES);
    mien__audit_tag(g, state, tag);
    if (memcmp(tag, sqlite3_column_blob(s, 7), sizeof tag) != 0)
        st = mien__fail(err, MIEN_E_GALLERY_CORRUPT, "the state row of %.120s was changed from outside",
                        g->shared->path);
done:
    mien__sql_end(g, s);
    return st;
}

mien_status mien__write_begin(mien_gallery *g, mien_error *err)
{
    if (!g->writable)
        return mien__fail(err, MIEN_E_ARG, "%.120s was opened for reading", g->shared->path);
    if (g->in_write || g->readers > 0)
        return mien__fail(err, MIEN_E_ARG, "a change or a walk of %.120s is under way on this handle",
                          g->shared->path);
    mien_status st = end_leftover(g, err);
    if (st || (st = mien__sql_run(g, MIEN__SQL_BEGIN_WRITE, err, "")))
        return st;
    g->in_write = true;
    if ((st = mien__state_read(g, err)))
        return mien__write_end(g, st, err);
    return MIEN_OK;
}

static mien_status write_state(mien_gallery *g, mien_error *err)
{
    mien__state *const s = &g->state;
    uint8_t tag[MIEN__DIGEST_BYTES];
    s->changed_ms = mien__clock_ms();
    mien__audit_tag(g, s, tag);
    const mien_status st = mien__sql_run(g, MIEN__SQL_STATE_SET, err, "iiiiiibb", s->sequence, s->changed_ms,
                                         s->n_people, s->n_faces, s->n_images, s->audit_entries,
                                         s->audit_head, sizeof s->audit_head, tag, sizeof tag);
    return st ? st : mien__sql_run(g, MIEN__SQL_CHANGE_PRUNE, err, "i", s->sequence - (int64_t)CHANGES_KEPT);
}

mien_status mien__write_end(mien_gallery *g, mien_status st, mien_error *err)
{
    if (!st)
        st = write_state(g, err);
    if (!st)
        st = mien__sql_run(g, MIEN__SQL_COMMIT, err, "");
    g->wrote = g->wrote || !st;
    if (st && !sqlite3_get_autocommit(g->db))
        (void)mien__sql_run(g, MIEN__SQL_ROLLBACK, NULL, "");
    g->in_write = false;
    return st;
}

mien_status mien__touch(mien_gallery *g, int64_t person, int64_t *ret_stamp, mien_error *err)
{
    mien_assert(g->in_write);
    const mien_status st = mien__sql_run(g, MIEN__SQL_CHANGE_ADD, err, "ii", g->state.sequence + 1, person);
    if (st)
        return st;
    g->state.sequence++;
    if (ret_stamp)
        *ret_stamp = g->state.sequence;
    return MIEN_OK;
}
