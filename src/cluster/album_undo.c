/* Taking corrections back.
 *
 * A correction is a step: rows that say what was so before, in the order in which it was changed. To take it
 * back they are applied from the last to the first. Rows name faces and groups by number; what has gone in
 * the meantime is passed over. Values are data, never statements: the file is not trusted.
 */
#include "cluster/album.h"
#include <string.h>

mien_status mien__undo_step(mien_album *a, const char *what, mien_error *err)
{
    const mien_status st = mien__album_run(
        a, err, "INSERT INTO undo SELECT NULL, 1 + coalesce(max(step), 0), 0, 0, 0, ? FROM undo", "t", what);
    if (st)
        return st;
    return mien__album_run(a, err, "DELETE FROM undo WHERE step <= (SELECT max(step) FROM undo) - ?", "i",
                           (int64_t)MIEN_ALBUM_UNDO_STEPS);
}

mien_status mien__undo_note(mien_album *a, mien__undo_kind kind, int64_t x, int64_t y, const char *text,
                            mien_error *err)
{
    return mien__album_run(a, err, "INSERT INTO undo SELECT NULL, max(step), ?, ?, ?, ? FROM undo", "iiit",
                           (int64_t)kind, x, y, text);
}

static mien_status apply(mien_album *a, int64_t kind, int64_t x, int64_t y, const char *text, mien_error *err)
{
    switch (kind) {
    case MIEN__UNDO_STEP:
        return MIEN_OK;
    case MIEN__UNDO_FACE:
        return mien__album_run(
            a, err, "UPDATE face SET person = (SELECT id FROM people WHERE id = ?) WHERE id = ?", "ii", y, x);
    case MIEN__UNDO_NAME:
        return mien__album_run(a, err,
                               "UPDATE people SET name = ?1 WHERE id = ?2 AND (?1 = '' OR NOT EXISTS (SELECT "
                               "1 FROM people WHERE name = "
                               "?1))",
                               "ti", text, x);
    case MIEN__UNDO_MADE:
        return mien__album_run(a, err, "DELETE FROM people WHERE id = ?", "i", x);
    case MIEN__UNDO_GONE:
        return mien__album_run(a, err,
                               "INSERT OR IGNORE INTO people SELECT ?1, CASE WHEN EXISTS (SELECT 1 FROM "
                               "people WHERE name = ?2) THEN '' "
                               "ELSE ?2 END, 1",
                               "it", x, text);
    case MIEN__UNDO_REFUSED:
        return mien__album_run(a, err, "DELETE FROM refusal WHERE face = ? AND person = ?", "ii", x, y);
    case MIEN__UNDO_ADMITTED:
        return mien__album_run(
            a, err,
            "INSERT OR IGNORE INTO refusal SELECT face.id, people.id FROM face, people WHERE face.id = ? AND "
            "people.id = ?",
            "ii", x, y);
    default:
        return mien__fail(err, MIEN_E_GALLERY_CORRUPT, "%s: this album is damaged: unknown step to take back",
                          a->path);
    }
}

static mien_status apply_step(mien_album *a, int64_t step, char *what, size_t capacity, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    mien_status st = mien__album_query(
        a, err, &s, "SELECT kind, a, b, text FROM undo WHERE step = ? ORDER BY seq DESC", "i", step);
    for (bool row = false; !st;) {
        st = mien__album_next(a, s, &row, err);
        if (st || !row)
            break;
        const int64_t kind = sqlite3_column_int64(s, 0);
        const char *const text = (const char *)sqlite3_column_text(s, 3);
        if (!text) {
            st = mien__album_fail(a, SQLITE_NOMEM, err);
            break;
        }
        if (kind == MIEN__UNDO_STEP && what && capacity) {
            const size_t n = strnlen(text, capacity - 1);
            memcpy(what, text, n);
            what[n] = '\0';
        }
        st = apply(a, kind, sqlite3_column_int64(s, 1), sqlite3_column_int64(s, 2), text, err);
    }
    sqlite3_finalize(s);
    return st;
}

mien_status mien_album_undo(mien_album *album, char *ret_what, size_t capacity, mien_error *err)
{
    if (!album)
        return mien__fail(err, MIEN_E_ARG, "album: a pointer is NULL");
    int64_t step = 0;
    char what[128] = "";
    mien_status st = mien__album_begin(album, err);
    if (st)
        return st;
    st = mien__album_int(album, err, &step, "SELECT coalesce(max(step), 0) FROM undo", "");
    if (!st && step == 0)
        st = mien__fail(err, MIEN_E_NOT_FOUND, "%s: nothing to take back", album->path);
    if (!st)
        st = apply_step(album, step, what, sizeof what, err);
    if (!st)
        st = mien__album_run(album, err, "DELETE FROM undo WHERE step = ?", "i", step);
    st = mien__album_end(album, st, err);
    if (!st && ret_what && capacity) {
        const size_t n = strnlen(what, capacity - 1);
        memcpy(ret_what, what, n);
        ret_what[n] = '\0';
    }
    return st;
}

mien_status mien_album_undo_next(mien_album *album, char *ret_what, size_t capacity, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    if (!album || !ret_what || !capacity)
        return mien__fail(err, MIEN_E_ARG, "album: a pointer is NULL");
    ret_what[0] = '\0';
    mien_status st = mien__album_query(
        album, err, &s,
        "SELECT text FROM undo WHERE kind = 0 AND step = (SELECT max(step) FROM undo) LIMIT 1", "");
    if (!st)
        st = mien__album_next(album, s, &row, err);
    if (!st && !row)
        st = mien__fail(err, MIEN_E_NOT_FOUND, "%s: nothing to take back", album->path);
    const char *const text = st ? NULL : (const char *)sqlite3_column_text(s, 0);
    if (!st && !text)
        st = mien__album_fail(album, SQLITE_NOMEM, err);
    if (!st) {
        const size_t n = strnlen(text, capacity - 1);
        memcpy(ret_what, text, n);
        ret_what[n] = '\0';
    }
    sqlite3_finalize(s);
    return st;
}
