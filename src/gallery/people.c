/* Walking people, finding one, and what there is to say of the gallery as a whole.
 *
 * Rows are read in batches and no statement stays open while the caller's function runs: it may call this
 * gallery again, and no snapshot is held that would keep the WAL from being emptied after a removal.
 */
#include "gallery/gallery.h"
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { BATCH = 64 };

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool contains(const char *text, const char *part)
{
    for (; *text; text++) {
        size_t i = 0;
        while (part[i] && lower(text[i]) == lower(part[i]))
            i++;
        if (!part[i])
            return true;
    }
    return !*part;
}

static mien_status read_batch(mien_gallery *g, int64_t *after, const char *match, mien__record *batch,
                              size_t limit, size_t *ret_n, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    size_t n = 0;
    bool row = true;
    const int64_t now = mien__clock_ms();
    mien_status st = mien__sql_open(g, MIEN__SQL_PERSON_AFTER, &s, err, "i", *after);
    while (!st && n < limit && !(st = mien__sql_row(g, s, &row, err)) && row) {
        if ((st = mien__sql_ascending(g, *after, sqlite3_column_int64(s, 0), err)) ||
            (st = mien__record_read(g, s, now, &batch[n], err)))
            break;
        *after = batch[n].person.id;
        if (match && !contains(batch[n].name, match))
            mien__record_free(&batch[n]);
        else
            n++;
    }
    mien__sql_end(g, s);
    if (st)
        while (n > 0)
            mien__record_free(&batch[--n]);
    *ret_n = n;
    return st;
}

mien_status mien_gallery_people(mien_gallery *gallery, const char *match, int64_t after, size_t limit,
                                mien_person_fn fn, void *user, mien_error *err)
{
    if (!gallery || !fn)
        return mien__fail(err, MIEN_E_ARG, "gallery or callback is NULL");
    mien__record *const batch = mien_alloc_array(BATCH, sizeof *batch);
    if (!batch)
        return mien__nomem(err, BATCH * sizeof *batch);
    mien_status st = MIEN_OK;
    size_t done = 0, n = BATCH, want = BATCH;
    bool stop = false;
    while (!stop && n == want && (limit == 0 || done < limit)) {
        want = limit && limit - done < BATCH ? limit - done : BATCH;
        if ((st = read_batch(gallery, &after, match, batch, want, &n, err)))
            break;
        for (size_t i = 0; i < n; i++) {
            stop = stop || fn(user, &batch[i].person) != 0;
            mien__record_free(&batch[i]);
        }
        done += n;
    }
    mien_free(batch);
    return st;
}

mien_status mien_gallery_person(mien_gallery *gallery, int64_t person, mien_person_fn fn, void *user,
                                mien_error *err)
{
    mien__record r;
    if (!gallery || !fn)
        return mien__fail(err, MIEN_E_ARG, "gallery or callback is NULL");
    const mien_status st = mien__record_load(gallery, person, &r, err);
    if (st)
        return st;
    (void)fn(user, &r.person);
    mien__record_free(&r);
    return MIEN_OK;
}

mien_status mien_gallery_find(mien_gallery *gallery, const char *name, int64_t *ret_person, mien_error *err)
{
    int64_t id = 0;
    if (!gallery || !name || !ret_person)
        return mien__fail(err, MIEN_E_ARG, "gallery, name or result is NULL");
    const mien_status st = mien__name_find(gallery, name, &id, err);
    if (st)
        return st;
    if (id == 0) /* the name stays out of the message: messages end up in logs */
        return mien__fail(err, MIEN_E_NOT_FOUND, "%.160s has nobody of that name", gallery->shared->path);
    *ret_person = id;
    return MIEN_OK;
}

/* ---- the gallery as a whole ---- */

static uint64_t bytes_of(const char *path)
{
    static const char *const suffixes[] = { "", "-wal", "-index" };
    uint64_t sum = 0;
    for (size_t i = 0; i < MIEN_COUNTOF(suffixes); i++) {
        struct stat info;
        char *const name = sqlite3_mprintf("%s%s", path, suffixes[i]);
        if (name && stat(name, &info) == 0)
            sum += (uint64_t)info.st_size;
        sqlite3_free(name);
    }
    return sum;
}

static mien_status describe(mien_gallery *g, mien_gallery_info *ret, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    char *purpose = NULL;
    size_t purpose_bytes = 0;
    mien_status st = mien__sql_open(g, MIEN__SQL_GALLERY_GET, &s, err, "");
    if (!st)
        st = mien__sql_row(g, s, &row, err);
    if (!st && !row)
        st = mien__fail(err, MIEN_E_GALLERY_CORRUPT, "%.160s has no description", g->shared->path);
    if (!st)
        st = mien__unseal(g, g->shared->keys->meta, (mien__place){ MIEN__KIND_PURPOSE, 0, 0 },
                          sqlite3_column_blob(s, 5), (size_t)sqlite3_column_bytes(s, 5), &purpose,
                          &purpose_bytes, err);
    if (!st) {
        const char *const model = (const char *)sqlite3_column_text(s, 2), *const name = (const char *)
                                                                               sqlite3_column_text(s, 3);
        ret->created_ms = sqlite3_column_int64(s, 1);
        snprintf(ret->model, sizeof ret->model, "%s", model ? model : "");
        snprintf(ret->model_name, sizeof ret->model_name, "%s", name ? name : "");
        snprintf(ret->purpose, sizeof ret->purpose, "%s", purpose);
    }
    mien__sql_end(g, s);
    mien_free_secret(purpose, purpose_bytes + 1);
    return st;
}

static mien_status count(mien_gallery *g, mien_gallery_info *ret, mien_error *err)
{
    int64_t expired = 0, refused = 0;
    mien_status st = mien__state_read(g, err);
    if (!st)
        st = mien__sql_number(g, MIEN__SQL_EXPIRED_COUNT, 0, &expired, err, "i", mien__clock_ms());
    if (!st)
        st = mien__sql_number(g, MIEN__SQL_REFUSED_COUNT, 0, &refused, err, "");
    if (st)
        return st;
    const mien__state *const s = &g->state;
    ret->sequence = (uint64_t)s->sequence;
    ret->changed_ms = s->changed_ms;
    ret->n_people = (size_t)s->n_people;
    ret->n_faces = (size_t)s->n_faces;
    ret->n_images = (size_t)s->n_images;
    ret->n_expired = (size_t)expired;
    ret->n_do_not_enrol = (size_t)refused;
    ret->audit_entries = (uint64_t)s->audit_entries;
    sodium_bin2hex(ret->audit_head, sizeof ret->audit_head, s->audit_head, sizeof s->audit_head);
    return MIEN_OK;
}

mien_status mien_gallery_info_of(mien_gallery *gallery, mien_gallery_info *ret, mien_error *err)
{
    mien_gallery_info info = { .version = mien__schema_version() };
    if (!gallery || !ret)
        return mien__fail(err, MIEN_E_ARG, "gallery or result is NULL");
    mien_status st = mien__read_begin(gallery, err);
    if (st)
        return st;
    if (!(st = describe(gallery, &info, err)) && !(st = count(gallery, &info, err))) {
        sodium_bin2hex(info.id, sizeof info.id, gallery->shared->id, MIEN__ID_BYTES);
        info.encrypted = gallery->shared->encrypted;
        info.dim = gallery->shared->dim;
        info.file_bytes = bytes_of(gallery->shared->path);
        *ret = info;
    }
    mien__read_end(gallery);
    return st;
}
