/* What an album holds, as one object: three arrays and the texts they point to, all in one arena. */
#include "cluster/album.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_LIST_BYTES = INT32_MAX };

typedef struct list {
    mien_album_list pub; /* first */
    mien__arena *arena;
    mien_album_group_info *groups;
    mien_album_face *faces;
} list;

static const char *text_at(list *l, sqlite3_stmt *s, int column)
{
    const void *const data = sqlite3_column_blob(s, column);
    const int n = sqlite3_column_bytes(s, column);
    return data ? mien__arena_strndup(l->arena, data, (size_t)n) : mien__arena_strndup(l->arena, "", 0);
}

static mien_status read_groups(mien_album *a, list *l, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    mien_status st = mien__album_query(
        a, err, &s,
        "SELECT p.id, count(f.id) AS n, p.name FROM people p LEFT JOIN face f ON f.person = "
        "p.id GROUP BY p.id HAVING n > 0 OR p.name <> '' ORDER BY n DESC, p.id",
        "");
    size_t first = 0;
    for (bool row = false; !st;) {
        st = mien__album_next(a, s, &row, err);
        if (st || !row)
            break;
        mien_album_group_info *const g = &l->groups[l->pub.n_groups++];
        *g = (mien_album_group_info){ sqlite3_column_int64(s, 0), text_at(l, s, 2), first,
                                      (size_t)sqlite3_column_int64(s, 1) };
        if (!g->name)
            st = mien__nomem(err, 0);
        first += g->n;
    }
    sqlite3_finalize(s);
    return st;
}

static mien_status read_faces(mien_album *a, list *l, size_t capacity, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    mien_status st = mien__album_query(
        a, err, &s,
        "SELECT f.id, coalesce(f.person, 0), f.shape, f.quality, f.similarity, f.confidence, f.shown, i.path "
        "FROM face f JOIN picture i ON i.id = f.picture LEFT JOIN (SELECT person AS g, count(*) AS n FROM "
        "face GROUP BY "
        "person) c ON c.g = f.person ORDER BY f.person IS NULL, c.n DESC, f.person, f.shown DESC, "
        "f.confidence DESC, "
        "f.id",
        "");
    for (bool row = false; !st && l->pub.n_faces <= capacity;) {
        st = mien__album_next(a, s, &row, err);
        if (st || !row)
            break;
        if (l->pub.n_faces == capacity || sqlite3_column_bytes(s, 2) != (int)sizeof(mien_face)) {
            st = mien__album_fail(a, SQLITE_CORRUPT, err);
            break;
        }
        mien_album_face *const f = &l->faces[l->pub.n_faces++];
        const void *const shape = sqlite3_column_blob(s, 2);
        *f = (mien_album_face){ .id = sqlite3_column_int64(s, 0), .group = sqlite3_column_int64(s, 1) };
        f->quality = (float)sqlite3_column_double(s, 3);
        f->similarity = (float)sqlite3_column_double(s, 4);
        f->confidence = (float)sqlite3_column_double(s, 5);
        f->representative = sqlite3_column_int(s, 6) != 0;
        f->path = text_at(l, s, 7);
        if (!shape || !f->path)
            st = mien__nomem(err, 0);
        else
            memcpy(&f->face, shape, sizeof f->face);
    }
    sqlite3_finalize(s);
    return st;
}

static mien_status fill(mien_album *a, list *l, mien_error *err)
{
    int64_t n_groups = 0, n_faces = 0;
    mien_status st = mien__album_int(a, err, &n_groups, "SELECT count(*) FROM people", "");
    if (!st)
        st = mien__album_int(a, err, &n_faces, "SELECT count(*) FROM face", "");
    if (st)
        return st;
    l->groups = mien__arena_alloc_array(l->arena, (size_t)n_groups + 1, sizeof *l->groups);
    l->faces = mien__arena_alloc_array(l->arena, (size_t)n_faces + 1, sizeof *l->faces);
    if (!l->groups || !l->faces)
        return mien__nomem(err, (size_t)n_faces * sizeof *l->faces);
    l->pub.groups = l->groups;
    l->pub.faces = l->faces;
    st = read_groups(a, l, err);
    return st ? st : read_faces(a, l, (size_t)n_faces, err);
}

mien_status mien_album_list_new(mien_album *album, mien_album_list **ret, mien_error *err)
{
    if (!album || !ret)
        return mien__fail(err, MIEN_E_ARG, "album: a pointer is NULL");
    list *const l = mien_alloc_zero(sizeof *l);
    if (!l)
        return mien__nomem(err, sizeof *l);
    l->arena = mien__arena_new(MAX_LIST_BYTES);
    mien_status st = l->arena ? mien__album_run(album, err, "BEGIN", "") : mien__nomem(err, 0);
    if (!st) /* one state for all the queries */
        st = mien__album_end(album, fill(album, l, err), err);
    if (st) {
        mien_album_list_free(&l->pub);
        return st;
    }
    *ret = &l->pub;
    return MIEN_OK;
}

void mien_album_list_free(mien_album_list *pub)
{
    if (!pub)
        return;
    list *const l = (list *)(void *)pub;
    mien__arena_free(l->arena);
    mien_free(l);
}

mien_status mien_album_find(mien_album *album, const char *group, int64_t *ret, mien_error *err)
{
    if (!album || !group || !ret)
        return mien__fail(err, MIEN_E_ARG, "album: a pointer is NULL");
    int64_t id = 0, number = 0;
    mien_status st = MIEN_OK;
    if (group[0])
        st = mien__album_int(album, err, &id, "SELECT id FROM people WHERE name = ?", "t", group);
    if (!st && !id && mien__parse_i64(group, &number))
        st = mien__album_int(album, err, &id, "SELECT id FROM people WHERE id = ?", "i", number);
    if (!st && !id)
        return mien__fail(err, MIEN_E_NOT_FOUND, "%s: no group of this name or number", album->path);
    if (!st)
        *ret = id;
    return st;
}
