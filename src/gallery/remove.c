/* Removing people so that nothing of them is left, and showing it.
 *
 * In the transaction the rows go: pictures, faces, template, journal, name and, in an encrypted gallery, the
 * key without which the rest means nothing; secure_delete overwrites them with zeros in the pages. Earlier
 * images of those pages stand in the WAL until a checkpoint empties it, which waits for readers, no longer
 * than busy_ms. Then the index is brought up to date and every file is searched for what was removed. Storage
 * below the file system (flash that remaps blocks, snapshots, backups) is beyond this; docs/privacy.md says
 * what follows.
 */
#include "gallery/journal.h"
#include "gallery/remove.h"
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { BATCH = 32, EXPLAIN_MAX = 64 };

/* ---- after the transaction ---- */

/* Did the needle turn up because somebody else has the same bytes? */
static bool explained(mien_gallery *g, mien__sql question, const void *data, size_t bytes)
{
    int64_t still = 0;
    return mien__sql_number(g, question, 0, &still, NULL, "b", data, bytes) == MIEN_OK && still != 0;
}

static bool search(mien_gallery *g, mien__scrub *s, uint64_t *ret_bytes)
{
    mien__scrub_result r = { 0 };
    for (int i = 0; i < EXPLAIN_MAX; i++) {
        size_t bytes = 0;
        if (mien__scrub_run(g, s, &r, NULL) != MIEN_OK)
            return false;
        *ret_bytes = r.bytes;
        if (!r.found)
            break;
        const void *const data = mien__scrub_needle(s, r.needle, &bytes);
        if (g->shared->encrypted || !explained(g, MIEN__SQL_STILL_BYTES, data, bytes))
            return false;
        mien__scrub_drop(s, r.needle);
    }
    return !r.found && (!r.text || mien__scrub_texts_explained(g, s));
}

static bool empty_wal(mien_gallery *g)
{
    int frames = 0, done = 0;
    return sqlite3_wal_checkpoint_v2(g->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, &frames, &done) == SQLITE_OK;
}

void mien__remove_finish(mien_gallery *g, mien__scrub *s, const int64_t *gone, mien_receipt *receipts,
                         size_t n)
{
    uint64_t bytes = 0;
    const bool erased = !gone || mien__finder_erase(g, gone, n);
    const bool emptied = empty_wal(g);
    const bool indexed = !g->shared->finder || mien__finder_refresh(g, NULL) == MIEN_OK;
    const bool clean = search(g, s, &bytes);
    for (size_t i = 0; i < n; i++) {
        receipts[i].bytes_searched = bytes;
        receipts[i].verified = erased && emptied && indexed && clean;
    }
    if (!emptied)
        mien__log(MIEN_LOG_WARN,
                  "a removal is done, but other programs kept the write-ahead log from being emptied: "
                  "it may hold old bytes until they close the gallery");
    else if (!erased || !indexed || !clean)
        mien__log(MIEN_LOG_WARN,
                  "a removal is done, but the search for what was removed did not come out clean");
}

/* ---- the transaction ---- */

static void fill_receipt(const mien_gallery *g, const mien__record *r, int64_t n_faces, int64_t n_images,
                         int do_not_enrol, mien_receipt *ret)
{
    uint8_t subject[MIEN__DIGEST_BYTES];
    mien__subject(g, r->person.id, subject);
    *ret = (mien_receipt){ .time_ms = mien__clock_ms(),
                           .n_faces = (size_t)n_faces,
                           .n_images = (size_t)n_images,
                           .do_not_enrol = do_not_enrol,
                           .audit_entry = (uint64_t)g->state.audit_entries };
    sodium_bin2hex(ret->gallery, sizeof ret->gallery, g->shared->id, MIEN__ID_BYTES);
    sodium_bin2hex(ret->person, sizeof ret->person, subject, sizeof subject);
    sodium_bin2hex(ret->audit_hash, sizeof ret->audit_hash, g->state.audit_head, sizeof g->state.audit_head);
}

static mien_status delete_rows(mien_gallery *g, int64_t person, mien_error *err)
{
    static const mien__sql deletes[] = { MIEN__SQL_IMAGE_DELETE_ALL, MIEN__SQL_FACE_DELETE_ALL,
                                         MIEN__SQL_TEMPLATE_DELETE, MIEN__SQL_JOURNAL_PURGE,
                                         MIEN__SQL_PERSON_DELETE };
    mien_status st = MIEN_OK;
    for (size_t i = 0; i < MIEN_COUNTOF(deletes) && !st; i++)
        st = mien__sql_run(g, deletes[i], err, "i", person);
    return st;
}

static mien_status refuse(mien_gallery *g, const mien__record *r, mien_error *err)
{
    const int dim = g->shared->dim;
    float vec[MIEN__DIM_MAX];
    mien_status st = mien__template_load(g, r->person.id, vec, err);
    if (st && st != MIEN_E_NOT_FOUND)
        return st;
    st = mien__refuse_person(g, r->name, st ? NULL : vec, err);
    sodium_memzero(vec, (size_t)dim * sizeof *vec);
    return st;
}

static mien_status remove_rows(mien_gallery *g, mien__scrub *s, int64_t person, const char *action,
                               int do_not_enrol, mien_receipt *ret, mien_error *err)
{
    mien__record r;
    char detail[96];
    int64_t faces = 0, images = 0;
    mien_status st = mien__record_load(g, person, &r, err);
    if (st)
        return st;
    if ((st = mien__sql_number(g, MIEN__SQL_FACE_COUNT, 0, &faces, err, "i", person)) ||
        (st = mien__sql_number(g, MIEN__SQL_IMAGE_COUNT, 0, &images, err, "i", person)) ||
        (st = mien__trace(g, s, &r, 0, err)) || (st = mien__journal_trace(g, s, person, err)) ||
        (do_not_enrol && (st = refuse(g, &r, err))) || (st = delete_rows(g, person, err)) ||
        (st = mien__touch(g, person, NULL, err)))
        goto done;
    g->state.n_people--;
    g->state.n_faces -= faces;
    g->state.n_images -= images;
    snprintf(detail, sizeof detail, "{\"faces\":%lld,\"images\":%lld,\"do_not_enrol\":%s}", (long long)faces,
             (long long)images, do_not_enrol ? "true" : "false");
    if ((st = mien__audit_append(g, action, person, detail, err)))
        goto done;
    fill_receipt(g, &r, faces, images, do_not_enrol, ret);
    ret->n_templates = (size_t)faces + (faces > 0);
    ret->key_destroyed = g->shared->encrypted;
done:
    mien__record_free(&r);
    return st;
}

mien_status mien_gallery_remove(mien_gallery *gallery, int64_t person, int do_not_enrol, mien_receipt *ret,
                                mien_error *err)
{
    mien_receipt receipt = { 0 };
    if (!gallery || !ret)
        return mien__fail(err, MIEN_E_ARG, "gallery or receipt is NULL");
    mien__scrub *const s = mien__scrub_new();
    mien_status st = s ? mien__write_begin(gallery, err) : mien__nomem(err, sizeof *gallery);
    if (!st)
        st = mien__write_end(
            gallery, remove_rows(gallery, s, person, "remove", do_not_enrol != 0, &receipt, err), err);
    if (!st) {
        mien__remove_finish(gallery, s, &person, &receipt, 1);
        *ret = receipt;
    }
    mien__scrub_free(s);
    return st;
}

/* ---- one face ---- */

static mien_status remove_face_rows(mien_gallery *g, mien__scrub *s, int64_t face, mien_receipt *ret,
                                    mien_error *err)
{
    mien__record r;
    int64_t person = 0, images = 0;
    mien_status st = mien__sql_number(g, MIEN__SQL_FACE_PERSON, 0, &person, err, "i", face);
    if (!st && person == 0)
        st = mien__fail(err, MIEN_E_NOT_FOUND, "%.120s has no face %lld", g->shared->path, (long long)face);
    if (st || (st = mien__record_load(g, person, &r, err)))
        return st;
    if ((st = mien__sql_number(g, MIEN__SQL_IMAGE_OF, 0, &images, err, "i", face)) ||
        (st = mien__trace(g, s, &r, face, err)) ||
        (st = mien__sql_run(g, MIEN__SQL_IMAGE_DELETE, err, "i", face)) ||
        (st = mien__sql_run(g, MIEN__SQL_FACE_DELETE, err, "i", face)))
        goto done;
    g->state.n_faces--;
    g->state.n_images -= images;
    if ((st = mien__fuse_person(g, person, mien__clock_ms(), NULL, err)) ||
        (st =
             mien__audit_append(g, "remove face", person, images ? "{\"images\":1}" : "{\"images\":0}", err)))
        goto done;
    fill_receipt(g, &r, 1, images, 0, ret);
    ret->n_templates = 1;
done:
    mien__record_free(&r);
    return st;
}

mien_status mien_gallery_remove_face(mien_gallery *gallery, int64_t face, mien_receipt *ret, mien_error *err)
{
    mien_receipt receipt = { 0 };
    if (!gallery || !ret)
        return mien__fail(err, MIEN_E_ARG, "gallery or receipt is NULL");
    mien__scrub *const s = mien__scrub_new();
    mien_status st = s ? mien__write_begin(gallery, err) : mien__nomem(err, sizeof *gallery);
    if (!st)
        st = mien__write_end(gallery, remove_face_rows(gallery, s, face, &receipt, err), err);
    if (!st) {
        mien__remove_finish(gallery, s, NULL, &receipt, 1);
        *ret = receipt;
    }
    mien__scrub_free(s);
    return st;
}

/* ---- those whose time has run out ---- */

static mien_status expired_ids(mien_gallery *g, int64_t now, int64_t ret[BATCH], size_t *ret_n,
                               mien_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = true;
    size_t n = 0;
    mien_status st = mien__sql_open(g, MIEN__SQL_EXPIRED, &s, err, "ii", now, (int64_t)BATCH);
    while (!st && n < BATCH && !(st = mien__sql_row(g, s, &row, err)) && row)
        ret[n++] = sqlite3_column_int64(s, 0);
    mien__sql_end(g, s);
    *ret_n = n;
    return st;
}

/* A transaction for up to BATCH people and one search for all of them. */
static mien_status expire_batch(mien_gallery *g, int64_t now, mien_receipt receipts[BATCH], size_t *ret_n,
                                mien_error *err)
{
    int64_t ids[BATCH];
    size_t n = 0;
    mien__scrub *const s = mien__scrub_new();
    mien_status st = s ? mien__write_begin(g, err) : mien__nomem(err, sizeof *g);
    if (!st) {
        st = expired_ids(g, now, ids, &n, err);
        for (size_t i = 0; i < n && !st; i++)
            st = remove_rows(g, s, ids[i], "expire", 0, &receipts[i], err);
        st = mien__write_end(g, st, err);
    }
    if (!st && n > 0)
        mien__remove_finish(g, s, ids, receipts, n);
    mien__scrub_free(s);
    *ret_n = st ? 0 : n;
    return st;
}

mien_status mien_gallery_expire(mien_gallery *gallery, mien_receipt_fn fn, void *user, size_t *ret_n,
                                mien_error *err)
{
    mien_status st = MIEN_OK;
    size_t total = 0, n = BATCH;
    bool stop = false;
    if (!gallery || !ret_n)
        return mien__fail(err, MIEN_E_ARG, "gallery or result is NULL");
    mien_receipt *const receipts = mien_alloc_array(BATCH, sizeof *receipts);
    if (!receipts)
        return mien__nomem(err, BATCH * sizeof *receipts);
    const int64_t now = mien__clock_ms();
    while (n == BATCH && !stop && !(st = expire_batch(gallery, now, receipts, &n, err))) {
        for (size_t i = 0; i < n && fn; i++)
            stop = fn(user, &receipts[i]) != 0 || stop;
        total += n;
    }
    if (!st)
        *ret_n = total;
    mien_free(receipts);
    return st;
}
