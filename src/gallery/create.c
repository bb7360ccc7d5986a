/* Making a gallery: under another name in the same folder, then linked to its own, so that there is a whole
 * gallery or none, and of two programs that make one at the same time the second is told.
 */
#include "gallery/store.h"
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static mien_status add_gallery_row(mien_gallery *g, const mien_gallery_opts *opts, const char *model,
                                   const mien__kdf *kdf, mien_error *err)
{
    const mien_model_info *const info = mien_model_info_of(opts->embedder);
    const char *const purpose = opts->purpose ? opts->purpose : "";
    mien__buf sealed;
    char name[64];
    mien__buf_init(&sealed, MIEN__BLOB_MAX);
    snprintf(name, sizeof name, "%s", info->name);
    mien_status st = mien__seal(g, g->shared->keys->meta, (mien__place){ MIEN__KIND_PURPOSE, 0, 0 }, purpose,
                                strlen(purpose), &sealed, err);
    if (!st)
        st = mien__sql_run(g, MIEN__SQL_GALLERY_ADD, err, "bittibiiibb", g->shared->id, sizeof g->shared->id,
                           mien__clock_ms(), model, name, (int64_t)info->embedding_len,
                           sealed.data ? (const void *)sealed.data : "", sealed.size, (int64_t)kdf->kind,
                           kdf->ops, kdf->memory_bytes, kdf->salt, sizeof kdf->salt, kdf->secret,
                           kdf->secret_bytes);
    mien__buf_wipe(&sealed);
    return st;
}

static mien_status fill(mien_gallery *g, const mien_gallery_opts *opts, mien_error *err)
{
    mien__shared *const s = g->shared;
    char model[65];
    uint8_t tag[MIEN__DIGEST_BYTES];
    mien__kdf kdf = { 0 };
    mien__state *const state = &g->state;
    mien_status st = mien_model_fingerprint(opts->embedder, model, err);
    if (st || (st = mien__keys_new(&s->keys, err)))
        return st;
    randombytes_buf(s->id, sizeof s->id);
    if ((st = mien__keys_wrap(s->keys, s->id, opts->passphrase, opts->key, opts->key_bytes, &kdf, err)))
        return st;
    s->encrypted = kdf.kind != 0;
    mien__audit_tag(g, state, tag);
    char app[64];
    snprintf(app, sizeof app, "pragma application_id = %d; begin", (int)MIEN__GALLERY_APP_ID);
    if ((st = mien__db_exec(g, "pragma journal_mode = wal", err)) || (st = mien__db_exec(g, app, err)) ||
        (st = mien__schema_migrate(g, 0, err)) || (st = add_gallery_row(g, opts, model, &kdf, err)) ||
        (st = mien__sql_run(g, MIEN__SQL_STATE_ADD, err, "bb", state->audit_head, sizeof state->audit_head,
                            tag, sizeof tag)) ||
        (st = mien__db_exec(g, "commit", err)) || (st = mien__write_begin(g, err)))
        goto done;
    st = mien__write_end(g, mien__audit_append(g, "create", 0, "{}", err), err);
    if (!st) {
        /* the WAL does not move with the file: everything has to be in it */
        const int rc = sqlite3_wal_checkpoint_v2(g->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
        st = rc == SQLITE_OK ? MIEN_OK : mien__db_fail(g, rc, "make", err);
    }
done:
    sodium_memzero(&kdf, sizeof kdf);
    return st;
}

static void unlink_with(const char *path, const char *suffix)
{
    char *const name = sqlite3_mprintf("%s%s", path, suffix);
    if (name)
        (void)unlink(name);
    sqlite3_free(name);
}

static mien_status check_new(const char *path, const mien_gallery_opts *opts, mien_error *err)
{
    const mien_model_info *const info = mien_model_info_of(opts->embedder);
    if (!info || info->task != MIEN_TASK_EMBED)
        return mien__fail(err, MIEN_E_ARG, "a new gallery is made for an embedder");
    if (info->embedding_len < 1 || info->embedding_len > MIEN__DIM_MAX)
        return mien__fail(err, MIEN_E_LIMIT,
                          "the embedder's templates have %d numbers, a gallery takes up to %d",
                          info->embedding_len, MIEN__DIM_MAX);
    if (opts->purpose && (strlen(opts->purpose) >= 512 || !mien__utf8_ok(opts->purpose)))
        return mien__fail(err, MIEN_E_ARG, "the purpose of a gallery is UTF-8 of at most 511 bytes");
    if (access(path, F_OK) == 0)
        return mien__fail(err, MIEN_E_EXISTS, "%.160s exists already", path);
    return MIEN_OK;
}

mien_status mien__store_create(const char *path, const mien_gallery_opts *opts, mien_error *err)
{
    mien_gallery *g = NULL;
    mien_status st = check_new(path, opts, err);
    char *const temporary = sqlite3_mprintf("%s.new.XXXXXX", path);
    if (!st && !temporary)
        st = mien__nomem(err, strlen(path));
    if (st)
        goto done;
    const int fd = mkstemp(temporary); /* for its owner alone */
    if (fd < 0) {
        st = mien__fail(err, MIEN_E_IO, "cannot make %.160s: %s", path, strerror(errno));
        goto done;
    }
    close(fd);
    st = mien__handle_new(temporary, opts->busy_ms, opts->actor, &g, err);
    if (!st) {
        g->writable = true;
        st = mien__store_connect(g, temporary, SQLITE_OPEN_READWRITE, err);
    }
    if (!st)
        st = fill(g, opts, err);
    mien_gallery_free(g); /* the last connection empties the WAL into the file */
    if (!st)
        st = mien__publish(temporary, path, err);
    unlink_with(temporary, "-wal");
    unlink_with(temporary, "-shm");
    if (st)
        (void)unlink(temporary);
done:
    sqlite3_free(temporary);
    return st;
}
