/* Moving a gallery to another embedder: templates of one mean nothing to the other, so every face is embedded
 * anew from its kept picture. One transaction: a reader sees the old gallery or the new.
 *
 * A face without a kept picture cannot come along and is left behind if others of its person can; a person of
 * whom no picture is kept is told, and removed only when the caller says so. The do-not-enrol list keeps its
 * names; the coarse forms of templates go, for the same reason.
 */
#include "gallery/gallery.h"
#include <sodium.h>
#include <stdio.h>
#include <string.h>

typedef struct mover {
    mien_gallery *g;
    const mien_model *embedder;
    mien_reembed_fn embed;
    void *embed_user;
    int drop;
    mien_fault_fn fn;
    void *user;
    mien_gallery_progress progress;
    void *progress_user;
    int new_dim;
    size_t lost, faces_left, faces, people;
    uint64_t total;
} mover;

static mien_status new_template(mover *m, int64_t person, int64_t face, const uint8_t *key, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    uint8_t *image = NULL;
    size_t bytes = 0;
    mien_face where = { 0 };
    mien_quality quality;
    float vec[MIEN__DIM_MAX];
    uint16_t halves[MIEN__DIM_MAX];
    mien__buf b;
    mien__buf_init(&b, MIEN__BLOB_MAX);
    mien_status st = mien__sql_open(m->g, MIEN__SQL_FACE_GET, &s, err, "i", face);
    if (!st)
        st = mien__sql_row(m->g, s, &row, err);
    if (!st && (!row || sqlite3_column_bytes(s, 2) != MIEN__SHAPE_FLOATS * (int)sizeof(float)))
        st = mien__fail(err, MIEN_E_GALLERY_CORRUPT, "face %lld is damaged", (long long)face);
    if (!st)
        mien__shape_unpack(sqlite3_column_blob(s, 2), &where, &quality);
    mien__sql_end(m->g, s);
    if (st || (st = mien_gallery_image(m->g, face, &image, &bytes, err)))
        return st;
    if (!(st = m->embed(m->embed_user, image, bytes, &where, vec, err)) &&
        !(st = mien__vec_check(vec, m->new_dim, err))) {
        mien__halves_of(vec, m->new_dim, halves);
        st = mien__seal(m->g, key, (mien__place){ MIEN__KIND_FACE, person, face }, halves,
                        (size_t)m->new_dim * sizeof *halves, &b, err);
        if (!st)
            st = mien__sql_run(m->g, MIEN__SQL_FACE_NEW_HALVES, err, "ib", face, b.data, b.size);
    }
    mien_free_secret(image, bytes + 1);
    sodium_memzero(vec, sizeof vec);
    sodium_memzero(halves, sizeof halves);
    mien__buf_wipe(&b);
    return st;
}

static mien_status move_faces(mover *m, int64_t person, const uint8_t *key, size_t *ret_kept, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = true;
    size_t kept = 0;
    mien_status st = mien__sql_open(m->g, MIEN__SQL_FACE_SET, &s, err, "i", person);
    while (!st && !(st = mien__sql_row(m->g, s, &row, err)) && row) {
        const int64_t face = sqlite3_column_int64(s, 0);
        if (sqlite3_column_int64(s, 3)) {
            st = new_template(m, person, face, key, err);
            kept++;
        } else if (!(st = mien__sql_run(m->g, MIEN__SQL_FACE_DELETE, err, "i", face))) {
            m->g->state.n_faces--;
            m->faces_left++;
        }
        m->faces++;
        if (!st && m->progress && m->progress(m->progress_user, m->faces, m->total) != 0)
            st = mien__fail(err, MIEN_E_INTERRUPTED, "the move to another model was stopped");
    }
    mien__sql_end(m->g, s);
    *ret_kept = kept;
    return st;
}

static mien_status drop_person(mover *m, int64_t person, mien_error *err)
{
    static const mien__sql deletes[] = { MIEN__SQL_TEMPLATE_DELETE, MIEN__SQL_JOURNAL_PURGE,
                                         MIEN__SQL_PERSON_DELETE };
    mien_status st = MIEN_OK;
    for (size_t i = 0; i < MIEN_COUNTOF(deletes) && !st; i++)
        st = mien__sql_run(m->g, deletes[i], err, "i", person);
    if (!st && !(st = mien__touch(m->g, person, NULL, err)))
        st = mien__audit_append(m->g, "remove", person, "{\"reason\":\"no picture for the new model\"}", err);
    m->g->state.n_people--;
    return st;
}

static mien_status look_for_lost(mover *m, int64_t person, mien_error *err)
{
    mien__record r;
    int64_t images = 0;
    mien_status st = mien__record_load(m->g, person, &r, err);
    if (st)
        return st;
    st = mien__sql_number(m->g, MIEN__SQL_IMAGE_COUNT, 0, &images, err, "i", person);
    if (!st && images == 0 && r.person.n_faces > 0) {
        mien_error text = MIEN_ERROR_INIT;
        (void)mien__fail(&text, MIEN_E_NOT_FOUND, "no picture is kept of person %lld, \"%.180s\"",
                         (long long)person, r.name);
        if (m->fn)
            m->fn(m->user, text.message);
        m->lost++;
    }
    mien__record_free(&r);
    return st;
}

static mien_status move_person(mover *m, int64_t person, mien_error *err)
{
    uint8_t key[MIEN__KEY_BYTES];
    size_t kept = 0;
    int64_t faces = 0;
    mien_status st = mien__person_key(m->g, person, key, err);
    if (!st)
        st = mien__sql_number(m->g, MIEN__SQL_FACE_COUNT, 0, &faces, err, "i", person);
    if (!st)
        st = move_faces(m, person, key, &kept, err);
    if (!st && faces > 0 && kept == 0)
        st = drop_person(m, person, err);
    m->people += !st && kept > 0;
    sodium_memzero(key, sizeof key);
    return st;
}

static mien_status each_person(mover *m, mien_status (*fn)(mover *, int64_t, mien_error *), mien_error *err)
{
    int64_t after = 0, next = 0;
    mien_status st = MIEN_OK;
    while (!st && !(st = mien__sql_number(m->g, MIEN__SQL_PERSON_NEXT_ID, 0, &next, err, "i", after)) &&
           next > 0) {
        if (!(st = mien__sql_ascending(m->g, after, next, err)))
            st = fn(m, next, err);
        after = next;
    }
    return st;
}

static mien_status fuse_one(mover *m, int64_t person, mien_error *err)
{
    return mien__fuse_person(m->g, person, mien__clock_ms(), NULL, err);
}

static mien_status move(mover *m, const char *fingerprint, mien_error *err)
{
    mien_gallery *const g = m->g;
    const mien_model_info *const info = mien_model_info_of(m->embedder);
    char name[64], detail[160];
    m->total = (uint64_t)g->state.n_faces;
    mien_status st = each_person(m, look_for_lost, err);
    if (!st && m->lost > 0 && !m->drop)
        st = mien__fail(err, MIEN_E_NOT_FOUND, "no picture is kept of %zu people: they would be lost",
                        m->lost);
    if (st || (st = each_person(m, move_person, err)))
        return st;
    snprintf(name, sizeof name, "%s", info->name);
    snprintf(detail, sizeof detail, "{\"people\":%zu,\"people_lost\":%zu,\"faces_lost\":%zu}", m->people,
             m->lost, m->faces_left);
    const int old_dim = g->shared->dim;
    g->shared->dim = m->new_dim;
    if ((st = each_person(m, fuse_one, err)) ||
        (st = mien__sql_run(g, MIEN__SQL_REFUSED_NO_CODES, err, "")) ||
        (st = mien__sql_run(g, MIEN__SQL_GALLERY_MOVE, err, "tti", fingerprint, name, (int64_t)m->new_dim)) ||
        (st = mien__audit_append(g, "migrate", 0, detail, err)))
        g->shared->dim = old_dim;
    return st;
}

mien_status mien_gallery_migrate(mien_gallery *gallery, const mien_model *embedder, mien_reembed_fn embed,
                                 void *embed_user, int drop, mien_fault_fn fn, void *user,
                                 mien_gallery_progress progress, void *progress_user, mien_error *err)
{
    const mien_model_info *const info = mien_model_info_of(embedder);
    mover m = { gallery,       embedder, embed, embed_user, drop != 0, fn, user, progress,
                progress_user, 0,        0,     0,          0,         0,  0 };
    char fingerprint[65];
    if (!gallery || !info || !embed || info->task != MIEN_TASK_EMBED || info->embedding_len < 1 ||
        info->embedding_len > MIEN__DIM_MAX)
        return mien__fail(err, MIEN_E_ARG, "gallery, embedder or the function that embeds is missing");
    if (atomic_load(&gallery->shared->refs) != 1)
        return mien__fail(err, MIEN_E_ARG,
                          "other handles of this process share the gallery: free them first");
    m.new_dim = info->embedding_len;
    mien_status st = mien_model_fingerprint(embedder, fingerprint, err);
    if (st || (st = mien__write_begin(gallery, err)))
        return st;
    const int old_dim = gallery->shared->dim;
    st = mien__write_end(gallery, move(&m, fingerprint, err), err);
    if (st) {
        gallery->shared->dim = old_dim;
        return st;
    }
    /* the old templates stand in the WAL and the index until they are emptied */
    if (sqlite3_wal_checkpoint_v2(gallery->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) != SQLITE_OK)
        mien__log(MIEN_LOG_WARN,
                  "the gallery was moved, but other programs kept the write-ahead log from being emptied");
    memcpy(gallery->shared->model, fingerprint, sizeof gallery->shared->model);
    mien__embedder_note(gallery->shared, embedder);
    return mien__finder_reset(gallery, err);
}
