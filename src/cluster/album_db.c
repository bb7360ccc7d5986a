/* The album's file: opening it, its schema, and statements with bound values.
 *
 * The file is not trusted: no extensions, views or triggers, cells checked for size, and a schema that is
 * ours word for word or none. WAL with synchronous=FULL keeps every finished call through a power cut;
 * secure_delete overwrites what is removed, and the log is emptied after a removal, for it holds copies.
 */
#include "cluster/album.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

enum { APPLICATION_ID = 0x4d69416c, VERSION = 2, BUSY_MS = 10000, MAX_DIM = 8192, MAX_BLOB = 4 << 20 };

static const char *const schema[] = {
    "CREATE TABLE about(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    "CREATE TABLE picture(id INTEGER PRIMARY KEY AUTOINCREMENT, path BLOB NOT NULL UNIQUE, bytes INTEGER NOT "
    "NULL, "
    "time_ns INTEGER NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL) STRICT",
    "CREATE TABLE people(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, kept INTEGER NOT NULL) "
    "STRICT",
    "CREATE UNIQUE INDEX people_name ON people(name) WHERE name <> ''",
    "CREATE TABLE face(id INTEGER PRIMARY KEY AUTOINCREMENT, picture INTEGER NOT NULL REFERENCES picture ON "
    "DELETE "
    "CASCADE, person INTEGER REFERENCES people ON DELETE SET NULL, shape BLOB NOT NULL, quality REAL NOT "
    "NULL, "
    "similarity REAL NOT NULL, confidence REAL NOT NULL, shown INTEGER NOT NULL) STRICT",
    "CREATE INDEX face_picture ON face(picture)",
    "CREATE INDEX face_person ON face(person)",
    "CREATE TABLE template(face INTEGER PRIMARY KEY REFERENCES face ON DELETE CASCADE, vec BLOB NOT NULL) "
    "STRICT",
    "CREATE TABLE refusal(face INTEGER NOT NULL REFERENCES face ON DELETE CASCADE, person INTEGER NOT NULL "
    "REFERENCES "
    "people ON DELETE CASCADE, PRIMARY KEY(face, person)) STRICT, WITHOUT ROWID",
    "CREATE INDEX refusal_person ON refusal(person)",
    "CREATE TABLE undo(seq INTEGER PRIMARY KEY, step INTEGER NOT NULL, kind INTEGER NOT NULL, a INTEGER NOT "
    "NULL, b "
    "INTEGER NOT NULL, text TEXT NOT NULL) STRICT",
    /* since version 2 */
    "CREATE TABLE crop(face INTEGER PRIMARY KEY REFERENCES face ON DELETE CASCADE, data BLOB NOT NULL) "
    "STRICT",
    "CREATE TABLE measured(face INTEGER PRIMARY KEY REFERENCES face ON DELETE CASCADE, quality BLOB NOT "
    "NULL) "
    "STRICT",
};
enum { NEW_IN_2 = 2 }; /* the last so many */

/* ---- errors ---- */

mien_status mien__album_fail(const mien_album *a, int rc, mien_error *err)
{
    const mien_status st = mien__sqlite_status(rc);
    const char *const what = st == MIEN_E_GALLERY_BUSY      ? "another program is writing to this album"
                             : st == MIEN_E_GALLERY_FORMAT  ? "not an album"
                             : st == MIEN_E_GALLERY_CORRUPT ? "this album is damaged"
                             : st == MIEN_E_LIMIT           ? "a value is too large"
                                                            : sqlite3_errstr(rc & 0xff);
    return st == MIEN_E_NOMEM ? mien__nomem(err, 0) : mien__fail(err, st, "%s: %s", a->path, what);
}

/* ---- statements ---- */

static mien_status query(mien_album *a, mien_error *err, sqlite3_stmt **ret, const char *sql,
                         const char *kinds, va_list ap)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(a->db, sql, -1, &s, NULL);
    if (rc == SQLITE_OK)
        rc = mien__sqlite_bind(s, true, kinds, ap);
    if (rc != SQLITE_OK) {
        const mien_status st = mien__album_fail(a, rc, err);
        sqlite3_finalize(s);
        return st;
    }
    *ret = s;
    return MIEN_OK;
}

mien_status mien__album_query(mien_album *a, mien_error *err, sqlite3_stmt **ret, const char *sql,
                              const char *kinds, ...)
{
    va_list ap;
    va_start(ap, kinds);
    const mien_status st = query(a, err, ret, sql, kinds, ap);
    va_end(ap);
    return st;
}

mien_status mien__album_next(mien_album *a, sqlite3_stmt *s, bool *ret, mien_error *err)
{
    const int rc = sqlite3_step(s);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return mien__album_fail(a, rc, err);
    *ret = rc == SQLITE_ROW;
    return MIEN_OK;
}

mien_status mien__album_run(mien_album *a, mien_error *err, const char *sql, const char *kinds, ...)
{
    sqlite3_stmt *s = NULL;
    va_list ap;
    va_start(ap, kinds);
    mien_status st = query(a, err, &s, sql, kinds, ap);
    va_end(ap);
    for (bool row = true; row && !st;)
        st = mien__album_next(a, s, &row, err);
    sqlite3_finalize(s);
    return st;
}

mien_status mien__album_int(mien_album *a, mien_error *err, int64_t *ret, const char *sql, const char *kinds,
                            ...)
{
    sqlite3_stmt *s = NULL;
    va_list ap;
    va_start(ap, kinds);
    mien_status st = query(a, err, &s, sql, kinds, ap);
    va_end(ap);
    bool row = false;
    if (!st)
        st = mien__album_next(a, s, &row, err);
    if (!st && row)
        *ret = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return st;
}

mien_status mien__album_begin(mien_album *a, mien_error *err)
{
    return mien__album_run(a, err, "BEGIN IMMEDIATE", "");
}

mien_status mien__album_end(mien_album *a, mien_status st, mien_error *err)
{
    if (!st)
        st = mien__album_run(a, err, "COMMIT", "");
    if (st)
        (void)sqlite3_exec(a->db, "ROLLBACK", NULL, NULL, NULL);
    return st;
}

void mien__album_settle(mien_album *a)
{
    (void)sqlite3_wal_checkpoint_v2(a->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
}

/* ---- opening ---- */

/* Made empty and for its owner alone, before SQLite would make it for everybody. */
static mien_status make_private(const mien_album *a, mien_error *err)
{
    const int fd = open(a->path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 && errno != EEXIST)
        return mien__fail(err, MIEN_E_IO, "cannot make %s: %s", a->path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return MIEN_OK;
}

static mien_status make_schema(mien_album *a, const char *model, mien_error *err)
{
    mien_status st = MIEN_OK;
    for (size_t i = 0; i < MIEN_COUNTOF(schema) && !st; i++)
        st = mien__album_run(a, err, schema[i], "");
    if (!st)
        st = mien__album_run(a, err, "INSERT INTO about VALUES('model', ?)", "t", model);
    if (!st)
        st = mien__album_run(a, err, "INSERT INTO about VALUES('dim', ?)", "i", (int64_t)a->dim);
    if (!st)
        st = mien__album_run(a, err, "PRAGMA application_id = 1298743660", "");
    if (!st)
        st = mien__album_run(a, err, "PRAGMA user_version = 2", "");
    return st;
}

/* Version 1 kept no small pictures of faces, and nothing that was measured on them. */
static mien_status migrate(mien_album *a, mien_error *err)
{
    int64_t id = 0, version = 0;
    mien_status st = mien__album_int(a, err, &id, "PRAGMA application_id", "");
    if (!st)
        st = mien__album_int(a, err, &version, "PRAGMA user_version", "");
    if (st || id != APPLICATION_ID || version != 1)
        return st;
    for (size_t i = MIEN_COUNTOF(schema) - NEW_IN_2; i < MIEN_COUNTOF(schema) && !st; i++)
        st = mien__album_run(a, err, schema[i], "");
    return st ? st : mien__album_run(a, err, "PRAGMA user_version = 2", "");
}

/* Every statement of the schema must be there, and no other. */
static mien_status check_schema(mien_album *a, mien_error *err)
{
    int64_t id = 0, version = 0, n = 0;
    mien_status st = mien__album_int(a, err, &id, "PRAGMA application_id", "");
    if (!st)
        st = mien__album_int(a, err, &version, "PRAGMA user_version", "");
    if (!st && id != APPLICATION_ID)
        return mien__fail(err, MIEN_E_GALLERY_FORMAT, "%s: not an album", a->path);
    if (!st && version != VERSION)
        return mien__fail(err, MIEN_E_GALLERY_FORMAT, "%s: album of version %lld, this program knows %d",
                          a->path, (long long)version, VERSION);
    if (!st)
        st = mien__album_int(
            a, err, &n, "SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite!_%' ESCAPE '!'", "");
    int64_t found = 0;
    for (size_t i = 0; i < MIEN_COUNTOF(schema) && !st; i++)
        st = mien__album_int(
            a, err, &found,
            "SELECT ? + count(*) FROM sqlite_schema WHERE sql = ? AND name NOT LIKE 'sqlite!_%' "
            "ESCAPE '!'",
            "it", found, schema[i]);
    if (!st && (n != (int64_t)MIEN_COUNTOF(schema) || found != n))
        return mien__fail(err, MIEN_E_GALLERY_FORMAT, "%s: not the tables of an album", a->path);
    return st;
}

static mien_status check_model(mien_album *a, const char *model, mien_error *err)
{
    int64_t same = 0;
    const mien_status st =
        mien__album_int(a, err, &same,
                        "SELECT (SELECT value FROM about WHERE key = 'model') = ? AND (SELECT value "
                        "FROM about WHERE key = 'dim') = CAST(? AS TEXT)",
                        "ti", model, (int64_t)a->dim);
    if (!st && !same)
        return mien__fail(err, MIEN_E_GALLERY_MODEL, "%s: this album was made with another model", a->path);
    return st;
}

static mien_status connect(mien_album *a, const char *path, const char *model, mien_error *err)
{
    static const char pragmas[] =
        "PRAGMA page_size = 8192; PRAGMA secure_delete = ON; PRAGMA cell_size_check = ON;"
        "PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY; PRAGMA journal_mode = WAL;"
        "PRAGMA synchronous = FULL";
    mien_status st = path ? make_private(a, err) : MIEN_OK;
    if (st)
        return st;
    int rc = sqlite3_open_v2(path ? path : ":memory:", &a->db,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (rc == SQLITE_OK)
        rc = mien__sqlite_guard(a->db, MAX_BLOB, BUSY_MS);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(a->db, pragmas, NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return mien__album_fail(a, rc, err);
    int64_t n = 0, version = 0;
    st = mien__album_int(a, err, &version, "PRAGMA user_version", "");
    if (!st) /* only making and migrating write: an album in which somebody groups faces can be opened and
                read */
        st = version < VERSION ? mien__album_begin(a, err) : mien__album_run(a, err, "BEGIN", "");
    if (st)
        return st;
    st = mien__album_int(a, err, &n, "SELECT count(*) FROM sqlite_schema", "");
    if (!st && n == 0)
        st = make_schema(a, model, err);
    if (!st)
        st = migrate(a, err);
    if (!st)
        st = check_schema(a, err);
    if (!st)
        st = check_model(a, model, err);
    return mien__album_end(a, st, err);
}

mien_status mien_album_open(const char *path, const char *model, size_t dim, mien_album **ret,
                            mien_error *err)
{
    if (!model || !ret || dim < 1 || dim > MAX_DIM)
        return mien__fail(err, MIEN_E_ARG, "album: a pointer is NULL, or vectors are not of 1..%d numbers",
                          MAX_DIM);
    mien_album *const a = mien_alloc_zero(sizeof *a);
    if (!a)
        return mien__nomem(err, sizeof *a);
    a->dim = dim;
    a->path = mien_strdup(path ? path : "album in memory");
    const mien_status st = a->path ? connect(a, path, model, err) : mien__nomem(err, 0);
    if (st) {
        mien_album_free(a);
        return st;
    }
    *ret = a;
    return MIEN_OK;
}

void mien_album_free(mien_album *album)
{
    if (!album)
        return;
    sqlite3_close(album->db);
    mien_free(album->path);
    mien_free(album);
}

mien_status mien__album_group_exists(mien_album *a, int64_t group, mien_error *err)
{
    int64_t n = 0;
    const mien_status st =
        mien__album_int(a, err, &n, "SELECT count(*) FROM people WHERE id = ?", "i", group);
    if (!st && n == 0)
        return mien__fail(err, MIEN_E_NOT_FOUND, "%s: no group %lld", a->path, (long long)group);
    return st;
}
