/* Albums: pictures and faces in and out. The rest is in album_db.c, album_group.c, album_edit.c, album_undo.c
 * and album_list.c.
 */
#include "cluster/album.h"
#include <math.h>
#include <string.h>

enum { MAX_CROP = 1 << 20 };
static const double NORM_TOLERANCE = 1e-3;

static mien_status check_picture(const mien_album *a, const mien_album_picture *p, mien_error *err)
{
    if (!a || !p || !p->path || !p->path[0])
        return mien__fail(err, MIEN_E_ARG, "album: a pointer is NULL, or a picture has no path");
    return MIEN_OK;
}

static mien_status check_face(const mien_album *a, const mien_album_new_face *f, size_t i, mien_error *err)
{
    const float *const points = &f->face.landmarks[0][0];
    double sum = 0,
           shape = (double)f->face.x0 + f->face.y0 + f->face.x1 + f->face.y1 + f->face.score + f->quality;
    for (size_t k = 0; k < (size_t)2 * MIEN_LANDMARKS; k++)
        shape += points[k];
    for (size_t k = 0; f->vec && k < a->dim; k++)
        sum += (double)f->vec[k] * f->vec[k];
    if (!isfinite(shape) || !(fabs(sqrt(sum) - 1) <= NORM_TOLERANCE))
        return mien__fail(err, MIEN_E_ARG, "album: face %zu is not finite, or its vector not of unit length",
                          i);
    if (f->crop_bytes > MAX_CROP || !f->crop != !f->crop_bytes)
        return mien__fail(err, MIEN_E_LIMIT, "album: the picture kept of face %zu is empty or too large", i);
    return MIEN_OK;
}

mien_status mien_album_has(mien_album *album, const mien_album_picture *picture, int *ret_has,
                           mien_error *err)
{
    int64_t n = 0;
    mien_status st = check_picture(album, picture, err);
    if (!st && !ret_has)
        st = mien__fail(err, MIEN_E_ARG, "album: a pointer is NULL");
    if (!st)
        st = mien__album_int(album, err, &n,
                             "SELECT count(*) FROM picture WHERE path = ? AND bytes = ? AND time_ns = ?",
                             "bii", picture->path, strlen(picture->path), picture->bytes, picture->time_ns);
    if (!st)
        *ret_has = n > 0;
    return st;
}

static mien_status add_face(mien_album *a, int64_t picture, const mien_album_new_face *f, mien_error *err)
{
    mien_status st = mien__album_run(a, err, "INSERT INTO face VALUES(NULL, ?, NULL, ?, ?, 0, 0, 0)", "ibr",
                                     picture, (const void *)&f->face, sizeof f->face, (double)f->quality);
    const int64_t id = sqlite3_last_insert_rowid(a->db);
    if (!st)
        st = mien__album_run(a, err, "INSERT INTO template VALUES(?, ?)", "ib", id, (const void *)f->vec,
                             a->dim * sizeof *f->vec);
    if (!st && f->crop)
        st = mien__album_run(a, err, "INSERT INTO crop VALUES(?, ?)", "ib", id, (const void *)f->crop,
                             f->crop_bytes);
    if (!st && f->measured)
        st = mien__album_run(a, err, "INSERT INTO measured VALUES(?, ?)", "ib", id, (const void *)f->measured,
                             sizeof *f->measured);
    return st;
}

/* *ret_was: whether there was one. */
static mien_status drop(mien_album *a, const char *path, bool *ret_was, mien_error *err)
{
    const mien_status st =
        mien__album_run(a, err, "DELETE FROM picture WHERE path = ?", "b", path, strlen(path));
    *ret_was = !st && sqlite3_changes64(a->db) > 0;
    return st;
}

mien_status mien_album_add(mien_album *album, const mien_album_picture *picture,
                           const mien_album_new_face *faces, size_t n, mien_error *err)
{
    bool was = false;
    mien_status st = check_picture(album, picture, err);
    if (!st && n && !faces)
        st = mien__fail(err, MIEN_E_ARG, "album: a pointer is NULL");
    for (size_t i = 0; i < n && !st; i++)
        st = check_face(album, &faces[i], i, err);
    if (!st)
        st = mien__album_begin(album, err);
    if (st)
        return st;
    st = drop(album, picture->path, &was, err);
    if (!st)
        st = mien__album_run(album, err, "INSERT INTO picture VALUES(NULL, ?, ?, ?, ?, ?)", "biiii",
                             picture->path, strlen(picture->path), picture->bytes, picture->time_ns,
                             (int64_t)picture->width, (int64_t)picture->height);
    const int64_t id = sqlite3_last_insert_rowid(album->db);
    for (size_t i = 0; i < n && !st; i++)
        st = add_face(album, id, &faces[i], err);
    st = mien__album_end(album, st, err);
    if (!st && was)
        mien__album_settle(album);
    return st;
}

mien_status mien_album_remove(mien_album *album, const char *path, mien_error *err)
{
    bool was = false;
    if (!album || !path)
        return mien__fail(err, MIEN_E_ARG, "album: a pointer is NULL");
    mien_status st = mien__album_begin(album, err);
    if (st)
        return st;
    st = drop(album, path, &was, err);
    if (!st && !was)
        st = mien__fail(err, MIEN_E_NOT_FOUND, "%s: no such picture in this album", album->path);
    st = mien__album_end(album, st, err);
    if (!st)
        mien__album_settle(album);
    return st;
}

/* One blob of a face, copied: into `ret` when it must have a size of its own, else into new memory. */
static mien_status blob_of(mien_album *a, const char *sql, int64_t face, void *ret, size_t bytes,
                           uint8_t **ret_data, size_t *ret_bytes, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    mien_status st = mien__album_query(a, err, &s, sql, "i", face);
    if (!st)
        st = mien__album_next(a, s, &row, err);
    if (!st && !row)
        st = mien__fail(err, MIEN_E_NOT_FOUND, "%s: the face %lld has none", a->path, (long long)face);
    const void *const data = !st ? sqlite3_column_blob(s, 0) : NULL;
    const size_t n = data ? (size_t)sqlite3_column_bytes(s, 0) : 0;
    if (!st && (n == 0 || (ret && n != bytes)))
        st = mien__album_fail(a, SQLITE_CORRUPT, err);
    if (!st && !ret) {
        ret = *ret_data = mien_alloc(n);
        *ret_bytes = n;
    }
    if (!st && ret)
        memcpy(ret, data, n);
    else if (!st)
        st = mien__nomem(err, n);
    sqlite3_finalize(s);
    return st;
}

mien_status mien_album_vector(mien_album *album, int64_t face, float *ret, mien_error *err)
{
    if (!album || !ret)
        return mien__fail(err, MIEN_E_ARG, "album: a pointer is NULL");
    return blob_of(album, "SELECT vec FROM template WHERE face = ?", face, ret, album->dim * sizeof *ret,
                   NULL, NULL, err);
}

mien_status mien_album_crop(mien_album *album, int64_t face, uint8_t **ret_data, size_t *ret_bytes,
                            mien_error *err)
{
    if (!album || !ret_data || !ret_bytes)
        return mien__fail(err, MIEN_E_ARG, "album: a pointer is NULL");
    return blob_of(album, "SELECT data FROM crop WHERE face = ?", face, NULL, 0, ret_data, ret_bytes, err);
}

mien_status mien_album_quality(mien_album *album, int64_t face, mien_quality *ret, mien_error *err)
{
    if (!album || !ret)
        return mien__fail(err, MIEN_E_ARG, "album: a pointer is NULL");
    return blob_of(album, "SELECT quality FROM measured WHERE face = ?", face, ret, sizeof *ret, NULL, NULL,
                   err);
}

mien_status mien_album_pictures(mien_album *album, mien_album_picture_fn fn, void *user, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    if (!album || !fn)
        return mien__fail(err, MIEN_E_ARG, "album: a pointer is NULL");
    mien_status st = mien__album_query(album, err, &s,
                                       "SELECT CAST(path AS TEXT), bytes, time_ns, width, height, (SELECT "
                                       "count(*) FROM face WHERE picture = "
                                       "p.id) FROM picture p ORDER BY path",
                                       "");
    for (bool row = false; !st;) {
        st = mien__album_next(album, s, &row, err);
        if (st || !row)
            break;
        const mien_album_picture p = { (const char *)sqlite3_column_text(s, 0), sqlite3_column_int64(s, 1),
                                       sqlite3_column_int64(s, 2), sqlite3_column_int(s, 3),
                                       sqlite3_column_int(s, 4) };
        if (!p.path)
            st = mien__nomem(err, 0);
        else if (fn(user, &p, (size_t)sqlite3_column_int64(s, 5)))
            break;
    }
    sqlite3_finalize(s);
    return st;
}

mien_status mien_album_count(mien_album *album, size_t *ret_faces, size_t *ret_free, mien_error *err)
{
    int64_t faces = 0, loose = 0;
    if (!album || !ret_faces || !ret_free)
        return mien__fail(err, MIEN_E_ARG, "album: a pointer is NULL");
    mien_status st = mien__album_int(album, err, &faces, "SELECT count(*) FROM face", "");
    if (!st)
        st = mien__album_int(album, err, &loose, "SELECT count(*) FROM face WHERE person IS NULL", "");
    if (!st) {
        *ret_faces = (size_t)faces;
        *ret_free = (size_t)loose;
    }
    return st;
}
