/* Corrections: names, "not this person", merging and splitting. Each is one transaction and one step of the
 * undo history (album_undo.c), and keeps its groups from being dissolved when the album is grouped anew.
 */
#include "cluster/album.h"
#include <stdio.h>
#include <string.h>

static mien_status keep(mien_album *a, int64_t group, mien_error *err)
{
    return mien__album_run(a, err, "UPDATE people SET kept = 1 WHERE id = ?", "i", group);
}

/* The present group of a face, 0 for none; E_NOT_FOUND when there is no such face. */
static mien_status group_of(mien_album *a, int64_t face, int64_t *ret, mien_error *err)
{
    int64_t group = -1;
    const mien_status st =
        mien__album_int(a, err, &group, "SELECT coalesce(person, 0) FROM face WHERE id = ?", "i", face);
    if (!st && group < 0)
        return mien__fail(err, MIEN_E_NOT_FOUND, "%s: no face %lld", a->path, (long long)face);
    *ret = group;
    return st;
}

/* Move a face, noting where it was; group 0: to none. */
static mien_status move(mien_album *a, int64_t face, int64_t from, int64_t to, mien_error *err)
{
    mien_status st = mien__undo_note(a, MIEN__UNDO_FACE, face, from, "", err);
    if (!st)
        st = mien__album_run(a, err, "UPDATE face SET person = nullif(?, 0), shown = 0 WHERE id = ?", "ii",
                             to, face);
    return st;
}

static mien_status refuse(mien_album *a, int64_t face, int64_t group, mien_error *err)
{
    int64_t there = 0;
    mien_status st = mien__album_int(
        a, err, &there, "SELECT count(*) FROM refusal WHERE face = ? AND person = ?", "ii", face, group);
    if (st || there)
        return st;
    st = mien__undo_note(a, MIEN__UNDO_REFUSED, face, group, "", err);
    if (!st)
        st = mien__album_run(a, err, "INSERT INTO refusal VALUES(?, ?)", "ii", face, group);
    return st;
}

static mien_status begin_step(mien_album *a, const char *what, mien_error *err)
{
    if (!a)
        return mien__fail(err, MIEN_E_ARG, "album: a pointer is NULL");
    mien_status st = mien__album_begin(a, err);
    if (st)
        return st;
    st = mien__undo_step(a, what, err);
    return st ? mien__album_end(a, st, err) : MIEN_OK;
}

/* ---- names ---- */

static mien_status check_name(const char *name, mien_error *err)
{
    if (!name)
        return mien__fail(err, MIEN_E_ARG, "album: a pointer is NULL");
    if (strlen(name) > MIEN_ALBUM_NAME_BYTES)
        return mien__fail(err, MIEN_E_LIMIT, "a name of %zu bytes, at most %d", strlen(name),
                          MIEN_ALBUM_NAME_BYTES);
    return MIEN_OK;
}

static mien_status rename_group(mien_album *a, int64_t group, const char *name, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    int64_t other = 0;
    mien_status st = mien__album_int(
        a, err, &other, "SELECT id FROM people WHERE name = ? AND name <> '' AND id <> ?", "ti", name, group);
    if (!st && other)
        return mien__fail(err, MIEN_E_EXISTS, "%s: group %lld has this name: merge the two", a->path,
                          (long long)other);
    if (!st)
        st = mien__album_query(a, err, &s, "SELECT name FROM people WHERE id = ?", "i", group);
    if (!st)
        st = mien__album_next(a, s, &row, err);
    if (!st && !row)
        st = mien__fail(err, MIEN_E_NOT_FOUND, "%s: no group %lld", a->path, (long long)group);
    const char *const old = st ? NULL : (const char *)sqlite3_column_text(s, 0);
    if (!st)
        st = old ? mien__undo_note(a, MIEN__UNDO_NAME, group, 0, old, err)
                 : mien__album_fail(a, SQLITE_NOMEM, err);
    sqlite3_finalize(s);
    if (!st)
        st = mien__album_run(a, err, "UPDATE people SET name = ?, kept = 1 WHERE id = ?", "ti", name, group);
    return st;
}

mien_status mien_album_name(mien_album *album, int64_t group, const char *name, mien_error *err)
{
    char what[96];
    mien_status st = check_name(name, err);
    if (st)
        return st;
    snprintf(what, sizeof what, "name of group %lld", (long long)group);
    st = begin_step(album, what, err);
    return st ? st : mien__album_end(album, rename_group(album, group, name, err), err);
}

/* ---- not this person ---- */

static mien_status not_this(mien_album *a, int64_t face, int64_t group, mien_error *err)
{
    int64_t now = 0;
    mien_status st = group_of(a, face, &now, err);
    if (!st)
        st = mien__album_group_exists(a, group, err);
    if (!st)
        st = keep(a, group, err);
    if (!st)
        st = refuse(a, face, group, err);
    if (!st && now == group)
        st = move(a, face, now, 0, err);
    return st;
}

mien_status mien_album_not(mien_album *album, int64_t face, int64_t group, mien_error *err)
{
    char what[96];
    snprintf(what, sizeof what, "face %lld is not group %lld", (long long)face, (long long)group);
    const mien_status st = begin_step(album, what, err);
    return st ? st : mien__album_end(album, not_this(album, face, group, err), err);
}

/* ---- merge and split ---- */

/* Run for each row of a query of (face, group): collected first, as the calls change what is asked for. */
typedef mien_status (*pair_fn)(mien_album *a, int64_t face, int64_t group, int64_t extra, mien_error *err);

static mien_status for_each(mien_album *a, const char *sql, int64_t x, int64_t y, pair_fn fn, int64_t extra,
                            mien_error *err)
{
    enum { ROW = 2 };
    mien__buf rows;
    mien__buf_init(&rows, SIZE_MAX / 2);
    sqlite3_stmt *s = NULL;
    mien_status st = mien__album_query(a, err, &s, sql, "ii", x, y);
    for (bool row = false; !st;) {
        st = mien__album_next(a, s, &row, err);
        if (st || !row)
            break;
        const int64_t pair[ROW] = { sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1) };
        st = mien__buf_append(&rows, pair, sizeof pair, err);
    }
    sqlite3_finalize(s);
    for (size_t i = 0; i < rows.size && !st; i += ROW * sizeof(int64_t)) {
        int64_t pair[ROW];
        memcpy(pair, rows.data + i, sizeof pair);
        st = fn(a, pair[0], pair[1], extra, err);
    }
    mien__buf_free(&rows);
    return st;
}

static mien_status admit(mien_album *a, int64_t face, int64_t group, int64_t extra, mien_error *err)
{
    (void)extra;
    const mien_status st = mien__undo_note(a, MIEN__UNDO_ADMITTED, face, group, "", err);
    return st ? st
              : mien__album_run(a, err, "DELETE FROM refusal WHERE face = ? AND person = ?", "ii", face,
                                group);
}

static mien_status refuse_other(mien_album *a, int64_t face, int64_t group, int64_t into, mien_error *err)
{
    (void)group;
    return refuse(a, face, into, err);
}

static mien_status move_to(mien_album *a, int64_t face, int64_t group, int64_t into, mien_error *err)
{
    return move(a, face, group, into, err);
}

/* The order matters to taking it back: the group must stand again before its faces and refusals return. */
static mien_status end_group(mien_album *a, int64_t from, int64_t into, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    mien_status st = mien__album_query(
        a, err, &s, "SELECT f.name, i.name = '' FROM people f, people i WHERE f.id = ? AND i.id = ?", "ii",
        from, into);
    if (!st)
        st = mien__album_next(a, s, &row, err);
    const char *const text = !st && row ? (const char *)sqlite3_column_text(s, 0) : NULL;
    char *const name = text ? mien_strdup(text) : NULL;
    const bool nameless = text && sqlite3_column_int(s, 1) != 0;
    sqlite3_finalize(s);
    if (!st && !name)
        st = mien__nomem(err, 0);
    if (!st)
        st = mien__undo_note(a, MIEN__UNDO_GONE, from, 0, name, err);
    if (!st)
        st = mien__album_run(a, err, "DELETE FROM people WHERE id = ?", "i", from);
    if (!st && nameless && name[0])
        st = rename_group(a, into, name, err);
    mien_free(name);
    return st;
}

static mien_status merge(mien_album *a, int64_t into, int64_t from, mien_error *err)
{
    mien_status st = mien__album_group_exists(a, into, err);
    if (!st)
        st = mien__album_group_exists(a, from, err);
    if (!st && into == from)
        st = mien__fail(err, MIEN_E_ARG, "%s: a group cannot be merged with itself", a->path);
    if (!st)
        st = keep(a, into, err);
    if (!st) /* whoever refuses one of the two refuses the whole, but for those who are in it */
        st = for_each(
            a,
            "SELECT r.face, r.person FROM refusal r JOIN face f ON f.id = r.face WHERE r.person = ?1 AND "
            "coalesce(f.person, 0) NOT IN (?1, ?2)",
            from, into, refuse_other, into, err);
    if (!st)
        st = for_each(
            a,
            "SELECT r.face, r.person FROM refusal r JOIN face f ON f.id = r.face WHERE r.person = ?1 OR "
            "(r.person = ?2 AND f.person = ?1)",
            from, into, admit, 0, err);
    if (!st)
        st = for_each(a, "SELECT id, person FROM face WHERE person = ?1 AND ?2", from, 1, move_to, into, err);
    return st ? st : end_group(a, from, into, err);
}

mien_status mien_album_merge(mien_album *album, int64_t into, int64_t from, mien_error *err)
{
    char what[96];
    snprintf(what, sizeof what, "merge of group %lld into %lld", (long long)from, (long long)into);
    const mien_status st = begin_step(album, what, err);
    return st ? st : mien__album_end(album, merge(album, into, from, err), err);
}

static mien_status split(mien_album *a, const int64_t *faces, size_t n, int64_t *ret, mien_error *err)
{
    mien_status st = mien__album_run(a, err, "INSERT INTO people VALUES(NULL, '', 1)", "");
    const int64_t group = sqlite3_last_insert_rowid(a->db);
    if (!st)
        st = mien__undo_note(a, MIEN__UNDO_MADE, group, 0, "", err);
    for (size_t i = 0; i < n && !st; i++) {
        int64_t now = 0;
        st = group_of(a, faces[i], &now, err);
        if (st || now == group)
            continue; /* named twice */
        if (now)
            st = refuse(a, faces[i], now, err);
        if (!st && now)
            st = keep(a, now, err);
        if (!st)
            st = move(a, faces[i], now, group, err);
    }
    *ret = group;
    return st;
}

mien_status mien_album_split(mien_album *album, const int64_t *faces, size_t n, int64_t *ret_group,
                             mien_error *err)
{
    char what[96];
    int64_t group = 0;
    if (!faces || !n)
        return mien__fail(err, MIEN_E_ARG, "album: no faces to part");
    snprintf(what, sizeof what, "a group of %zu face%s", n, n == 1 ? "" : "s");
    mien_status st = begin_step(album, what, err);
    if (!st)
        st = mien__album_end(album, split(album, faces, n, &group, err), err);
    if (!st && ret_group)
        *ret_group = group;
    return st;
}

/* ---- these are that person ---- */

static mien_status give(mien_album *a, int64_t group, const int64_t *faces, size_t n, mien_error *err)
{
    mien_status st = mien__album_group_exists(a, group, err);
    if (!st)
        st = keep(a, group, err);
    for (size_t i = 0; i < n && !st; i++) {
        int64_t now = 0, refused = 0;
        st = group_of(a, faces[i], &now, err);
        if (st || now == group)
            continue;
        st = mien__album_int(a, err, &refused, "SELECT count(*) FROM refusal WHERE face = ? AND person = ?",
                             "ii", faces[i], group);
        if (!st && refused)
            st = admit(a, faces[i], group, 0, err);
        if (!st && now)
            st = refuse(a, faces[i], now, err);
        if (!st && now)
            st = keep(a, now, err);
        if (!st)
            st = move(a, faces[i], now, group, err);
    }
    return st;
}

mien_status mien_album_give(mien_album *album, int64_t group, const int64_t *faces, size_t n, mien_error *err)
{
    char what[96];
    if (!faces || !n)
        return mien__fail(err, MIEN_E_ARG, "album: no faces to give");
    snprintf(what, sizeof what, "%zu face%s given to group %lld", n, n == 1 ? "" : "s", (long long)group);
    const mien_status st = begin_step(album, what, err);
    return st ? st : mien__album_end(album, give(album, group, faces, n, err), err);
}
