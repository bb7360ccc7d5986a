/* Opening and closing galleries.
 *
 * A file is not trusted: extensions, ATTACH, views and triggers from
 * elsewhere are shut out (defensive mode, untrusted schema, a schema that must be ours); cells are checked
 * for size; nothing is mapped, as a file that shrinks would end the process. Temporary tables stay in memory:
 * names must not reach /tmp. The rollback is a WAL with synchronous=FULL: with NORMAL, a power cut takes back
 * commits that were acknowledged. secure_delete overwrites what is deleted.
 */
#include "gallery/store.h"
#include "sqlite/sqlite.h"
#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* For an embedder without calibration: high, as a false match would keep somebody out. */
#define UNCALIBRATED 0.6

/* ---- the connection ---- */

/* SQLite's code. */
static int connect(mien_gallery *g, const char *path, int flags)
{
    static const char pragmas[] =
        "pragma page_size = 8192; pragma secure_delete = on; pragma synchronous = full;"
        "pragma cell_size_check = on; pragma mmap_size = 0; pragma temp_store = memory;"
        "pragma cache_size = -16384;";
    const bool read_only = flags & SQLITE_OPEN_READONLY;
    int rc = sqlite3_open_v2(path, &g->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (rc == SQLITE_OK)
        rc = mien__sqlite_guard(g->db, MIEN__BLOB_MAX, g->shared->busy_ms);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(g->db, pragmas, NULL, NULL, NULL);
    if (rc == SQLITE_OK && read_only)
        rc = sqlite3_exec(g->db, "pragma query_only = on", NULL, NULL, NULL);
    return rc;
}

mien_status mien__store_connect(mien_gallery *g, const char *path, int flags, mien_error *err)
{
    const int rc = connect(g, path, flags);
    return rc == SQLITE_OK ? MIEN_OK : mien__db_fail(g, rc, "open", err);
}

/* By name, not by opening it: closing a descriptor of our own would drop the locks that SQLite holds on the
 * file for other handles of this process (POSIX locks belong to process and file). */
static mien_status look_at(const char *path, mien_error *err)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return mien__fail(err, errno == ENOENT || errno == ENOTDIR ? MIEN_E_NOT_FOUND : MIEN_E_IO,
                          "cannot open the gallery %.160s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return mien__fail(err, MIEN_E_GALLERY_FORMAT, "%.160s is not a file", path);
    return MIEN_OK;
}

/* ---- handles ---- */

static void shared_unref(mien__shared *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) > 1)
        return;
    mien__finder_free(s->finder);
    mien__keys_free(s->keys);
    mien_free(s->path);
    mien_free(s);
}

mien_status mien__handle_new(const char *path, unsigned busy_ms, const char *actor, mien_gallery **ret,
                             mien_error *err)
{
    mien_gallery *const g = mien_alloc_zero(sizeof *g);
    mien__shared *const s = mien_alloc_zero(sizeof *s);
    if (g)
        g->shared = s;
    if (s) {
        atomic_init(&s->refs, 1);
        s->path = mien_strdup(path);
        s->busy_ms = busy_ms;
    }
    if (g)
        g->actor = mien_strdup(actor ? actor : "");
    if (!g || !s || !s->path || !g->actor) {
        if (!g)
            shared_unref(s);
        mien_gallery_free(g);
        return mien__nomem(err, sizeof *g + sizeof *s);
    }
    *ret = g;
    return MIEN_OK;
}

void mien_gallery_free(mien_gallery *gallery)
{
    if (!gallery)
        return;
    mien__finder_save(gallery);
    for (int i = 0; i < MIEN__SQL_COUNT; i++)
        sqlite3_finalize(gallery->stmts[i]);
    sqlite3_close(gallery->db);
    shared_unref(gallery->shared);
    mien_free(gallery->actor);
    mien_free(gallery);
}

/* ---- opening ---- */

static int64_t pragma_number(const mien_gallery *g, const char *sql, int *ret_rc)
{
    sqlite3_stmt *s = NULL;
    int64_t v = 0;
    *ret_rc = sqlite3_prepare_v2(g->db, sql, -1, &s, NULL);
    if (*ret_rc == SQLITE_OK && (*ret_rc = sqlite3_step(s)) == SQLITE_ROW) {
        v = sqlite3_column_int64(s, 0);
        *ret_rc = SQLITE_OK;
    }
    sqlite3_finalize(s);
    return v;
}

/* Is the file one of ours, as far as its header goes? */
static mien_status check_header(const mien_gallery *g, mien_error *err)
{
    int rc = SQLITE_OK;
    const int64_t app = pragma_number(g, "pragma application_id", &rc);
    const int64_t page = rc == SQLITE_OK ? pragma_number(g, "pragma page_size", &rc) : 0;
    if (rc != SQLITE_OK && rc != SQLITE_NOTADB)
        return mien__db_fail(g, rc, "open", err);
    if (rc == SQLITE_NOTADB)
        return mien__fail(err, MIEN_E_GALLERY_FORMAT, "%.160s is not a gallery", g->shared->path);
    if (app != MIEN__GALLERY_APP_ID)
        return mien__fail(err, MIEN_E_GALLERY_FORMAT,
                          "%.160s is not a gallery but a database of another program", g->shared->path);
    if (page != MIEN__GALLERY_PAGE_BYTES)
        return mien__fail(err, MIEN_E_GALLERY_CORRUPT, "the header of %.160s is damaged", g->shared->path);
    return MIEN_OK;
}

/* May the file be read as one that does not change? Its medium or folder cannot be written, and no WAL holds
 * more than it does. A name with a sign that means something in a URI would need escapes. */
static bool immutable(const char *path, int rc)
{
    char *const wal = sqlite3_mprintf("%s-wal", path);
    const bool denied = (rc & 0xff) == SQLITE_CANTOPEN || (rc & 0xff) == SQLITE_READONLY;
    const bool yes = denied && wal && access(wal, F_OK) != 0 && !strpbrk(path, "?#%");
    sqlite3_free(wal);
    return yes;
}

/* Connect. On a medium that cannot be written, where no WAL can be made either, the file is all there is. */
static mien_status connect_existing(mien_gallery *g, bool writable, mien_error *err)
{
    const char *const path = g->shared->path;
    int rc = connect(g, path, writable ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY);
    if (rc == SQLITE_OK)
        (void)pragma_number(g, "pragma user_version", &rc);
    if (!writable && immutable(path, rc)) {
        char *const uri = sqlite3_mprintf("file:%s?immutable=1", path);
        sqlite3_close(g->db);
        g->db = NULL;
        g->immutable = true;
        rc = uri ? connect(g, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI) : SQLITE_NOMEM;
        sqlite3_free(uri);
    }
    if (rc != SQLITE_OK && rc != SQLITE_NOTADB)
        return mien__db_fail(g, rc, "open", err);
    const mien_status st = check_header(g, err);
    /* a file that somebody took out of WAL mode returns to it */
    return st || !writable ? st : mien__db_exec(g, "pragma journal_mode = wal", err);
}

static mien_status settle_version(mien_gallery *g, mien_error *err)
{
    const int newest = mien__schema_version();
    int rc = SQLITE_OK;
    int64_t version = pragma_number(g, "pragma user_version", &rc);
    if (rc != SQLITE_OK)
        return mien__db_fail(g, rc, "read", err);
    if (version > newest)
        return mien__fail(
            err, MIEN_E_GALLERY_FORMAT,
            "%.120s was made by a newer version of this program (%lld; this one reads up to %d)",
            g->shared->path, (long long)version, newest);
    if (version < 1)
        return mien__fail(err, MIEN_E_GALLERY_CORRUPT, "%.160s says it has version %lld", g->shared->path,
                          (long long)version);
    mien_status st = mien__schema_check(g, (int)version, err);
    if (st || version == newest)
        return st;
    if (!g->writable)
        return mien__fail(err, MIEN_E_GALLERY_FORMAT,
                          "%.120s is of version %lld: open it for writing once to bring it to %d",
                          g->shared->path, (long long)version, newest);
    if ((st = mien__sql_run(g, MIEN__SQL_BEGIN_WRITE, err, "")))
        return st;
    version = pragma_number(g, "pragma user_version", &rc); /* another may have been quicker */
    st = rc != SQLITE_OK ? mien__db_fail(g, rc, "read", err) : MIEN_OK;
    if (!st && version < newest)
        st = mien__schema_migrate(g, (int)version, err);
    if (!st)
        st = mien__sql_run(g, MIEN__SQL_COMMIT, err, "");
    if (st && !sqlite3_get_autocommit(g->db))
        (void)mien__sql_run(g, MIEN__SQL_ROLLBACK, NULL, "");
    return st;
}

static bool copy_column(sqlite3_stmt *s, int column, void *ret, size_t bytes)
{
    if ((size_t)sqlite3_column_bytes(s, column) != bytes)
        return false;
    memcpy(ret, sqlite3_column_blob(s, column), bytes);
    return true;
}

void mien__embedder_note(mien__shared *s, const mien_model *embedder)
{
    const double fmr = mien_model_info_of(embedder)->default_fmr;
    s->has_embedder = true;
    if (mien_model_threshold(embedder, fmr, &s->same_threshold, NULL) != MIEN_OK)
        s->same_threshold = UNCALIBRATED;
}

static mien_status check_model(mien_gallery *g, const mien_model *embedder, const char *model,
                               const char *name, mien_error *err)
{
    char hex[65];
    if (!embedder)
        return MIEN_OK;
    const mien_status st = mien_model_fingerprint(embedder, hex, err);
    if (st)
        return st;
    if (strcmp(hex, model) != 0)
        return mien__fail(err, MIEN_E_GALLERY_MODEL,
                          "%.80s was made for the model %.40s (%.8s), not for %.40s (%.8s); 'mien gallery "
                          "migrate' can move it",
                          g->shared->path, name, model, mien_model_info_of(embedder)->name, hex);
    g->shared->has_embedder = true;
    if (mien_model_threshold(embedder, mien_model_info_of(embedder)->default_fmr, &g->shared->same_threshold,
                             NULL) != MIEN_OK)
        g->shared->same_threshold = UNCALIBRATED;
    return MIEN_OK;
}

/* Read the row `gallery`: id, model, keys. */
static mien_status unlock(mien_gallery *g, const mien_gallery_opts *opts, mien_error *err)
{
    mien__shared *const s = g->shared;
    sqlite3_stmt *row = NULL;
    bool there = false;
    mien__kdf kdf = { 0 };
    mien_status st = mien__sql_open(g, MIEN__SQL_GALLERY_GET, &row, err, "");
    if (st || (st = mien__sql_row(g, row, &there, err)))
        goto done;
    const char *const model = there ? (const char *)sqlite3_column_text(row, 2) : NULL;
    const char *const name = there ? (const char *)sqlite3_column_text(row, 3) : NULL;
    const int64_t dim = there ? sqlite3_column_int64(row, 4) : 0;
    kdf.secret_bytes = there ? (size_t)sqlite3_column_bytes(row, 10) : 0;
    if (!there || !model || strlen(model) != 64 || !name || dim < 1 || dim > MIEN__DIM_MAX ||
        !copy_column(row, 0, s->id, sizeof s->id) || !copy_column(row, 9, kdf.salt, sizeof kdf.salt) ||
        kdf.secret_bytes > sizeof kdf.secret || !copy_column(row, 10, kdf.secret, kdf.secret_bytes)) {
        st = mien__fail(err, MIEN_E_GALLERY_CORRUPT, "%.160s has no valid description", s->path);
        goto done;
    }
    kdf.kind = (int)sqlite3_column_int64(row, 6);
    kdf.ops = sqlite3_column_int64(row, 7);
    kdf.memory_bytes = sqlite3_column_int64(row, 8);
    s->dim = (int)dim;
    memcpy(s->model, model, sizeof s->model);
    if ((st = check_model(g, opts->embedder, model, name, err)))
        goto done;
    s->encrypted = kdf.kind != 0;
    st = mien__keys_unwrap(&kdf, s->id, opts->passphrase, opts->key, opts->key_bytes, &s->keys, err);
done:
    mien__sql_end(g, row);
    sodium_memzero(&kdf, sizeof kdf);
    return st;
}

static mien_status open_existing(const char *path, const mien_gallery_opts *opts, mien_gallery **ret,
                                 mien_error *err)
{
    mien_gallery *g = NULL;
    mien_status st = look_at(path, err);
    if (st || (st = mien__handle_new(path, opts->busy_ms, opts->actor, &g, err)))
        return st;
    g->writable = opts->mode != MIEN_GALLERY_READ;
    g->shared->threads = opts->threads;
    if ((st = connect_existing(g, g->writable, err)) || (st = settle_version(g, err)) ||
        (st = unlock(g, opts, err)))
        goto done;
    if (!opts->no_index)
        st = mien__finder_new(g, err);
done:
    if (st) {
        mien_gallery_free(g);
        return st;
    }
    *ret = g;
    return MIEN_OK;
}

static mien_status check_opts(const char *path, const mien_gallery_opts *opts, mien_error *err)
{
    if (opts->struct_size != sizeof *opts || opts->mode < MIEN_GALLERY_READ ||
        opts->mode > MIEN_GALLERY_OPEN_OR_CREATE)
        return mien__fail(err, MIEN_E_ARG,
                          "options of a gallery without MIEN_GALLERY_OPTS_INIT, or no such mode");
    if (!path[0] || strlen(path) > 3000)
        return mien__fail(err, MIEN_E_ARG, "the path of a gallery has 1 to 3000 bytes");
    if (opts->actor && strlen(opts->actor) > MIEN__NAME_MAX)
        return mien__fail(err, MIEN_E_ARG, "the actor's name has more than %d bytes", MIEN__NAME_MAX);
    if (opts->busy_ms > 3600000)
        return mien__fail(err, MIEN_E_ARG, "waiting for another writer for more than an hour");
    return MIEN_OK;
}

mien_status mien_gallery_open(const char *path, const mien_gallery_opts *opts, mien_gallery **ret,
                              mien_error *err)
{
    static const mien_gallery_opts defaults = MIEN_GALLERY_OPTS_INIT;
    if (!path || !ret)
        return mien__fail(err, MIEN_E_ARG, "path or result is NULL");
    if (!opts)
        opts = &defaults;
    mien_status st = check_opts(path, opts, err);
    if (st)
        return st;
    if (sodium_init() < 0)
        return mien__fail(err, MIEN_E_INTERNAL, "libsodium cannot be initialised");
    if (opts->mode == MIEN_GALLERY_CREATE ||
        (opts->mode == MIEN_GALLERY_OPEN_OR_CREATE && access(path, F_OK) != 0)) {
        st = mien__store_create(path, opts, err);
        if (st && !(st == MIEN_E_EXISTS && opts->mode == MIEN_GALLERY_OPEN_OR_CREATE))
            return st;
    }
    return open_existing(path, opts, ret, err);
}

mien_status mien_gallery_open_beside(const mien_gallery *other, const char *actor, mien_gallery **ret,
                                     mien_error *err)
{
    if (!other || !ret)
        return mien__fail(err, MIEN_E_ARG, "gallery or result is NULL");
    if (actor && strlen(actor) > MIEN__NAME_MAX)
        return mien__fail(err, MIEN_E_ARG, "the actor's name has more than %d bytes", MIEN__NAME_MAX);
    mien_gallery *const g = mien_alloc_zero(sizeof *g);
    if (!g)
        return mien__nomem(err, sizeof *g);
    g->shared = other->shared;
    atomic_fetch_add(&g->shared->refs, 1);
    g->actor = mien_strdup(actor ? actor : other->actor);
    mien_status st = g->actor ? MIEN_OK : mien__nomem(err, 1);
    if (!st)
        st = connect_existing(g, other->writable, err);
    g->writable = other->writable;
    if (st) {
        mien_gallery_free(g);
        return st;
    }
    *ret = g;
    return MIEN_OK;
}

mien_status mien_gallery_set_actor(mien_gallery *gallery, const char *actor, mien_error *err)
{
    if (!gallery || !actor || strlen(actor) > MIEN__NAME_MAX)
        return mien__fail(err, MIEN_E_ARG, "gallery or actor is NULL, or more than %d bytes", MIEN__NAME_MAX);
    char *const copy = mien_strdup(actor);
    if (!copy)
        return mien__nomem(err, strlen(actor) + 1);
    mien_free(gallery->actor);
    gallery->actor = copy;
    return MIEN_OK;
}
