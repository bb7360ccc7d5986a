/* The tables, and how a file of an older version becomes one of the newest.
 *
 * A version is a row of `migrations`: the statements that lead to it from the one before. Making a gallery
 * runs all of them; opening an older one to write runs the missing ones in one transaction. A file of a newer
 * version is refused. After that the schema of the file must be, byte for byte, what the migrations make in
 * an empty database: a file from elsewhere could hold triggers or views that change what our statements do.
 */
#include "gallery/gallery.h"
#include <string.h>

/* clang-format off */
static const char version_1[] =
    "create table gallery (one INTEGER PRIMARY KEY CHECK (one = 1), id BLOB NOT NULL, created_ms INTEGER NOT NULL, "
        "model TEXT NOT NULL, model_name TEXT NOT NULL, dim INTEGER NOT NULL, purpose BLOB NOT NULL, "
        "kdf INTEGER NOT NULL, kdf_ops INTEGER NOT NULL, kdf_memory INTEGER NOT NULL, salt BLOB NOT NULL, "
        "secret BLOB NOT NULL) STRICT;"
    "create table state (one INTEGER PRIMARY KEY CHECK (one = 1), sequence INTEGER NOT NULL, "
        "changed_ms INTEGER NOT NULL, n_people INTEGER NOT NULL, n_faces INTEGER NOT NULL, n_images INTEGER NOT NULL, "
        "audit_entries INTEGER NOT NULL, audit_head BLOB NOT NULL, audit_tag BLOB NOT NULL) STRICT;"
    /* the digest `lookup` lies before the name, so that a search for leftovers can tell short names apart */
    "create table person (id INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB, lookup BLOB NOT NULL UNIQUE, "
        "name BLOB NOT NULL, note BLOB NOT NULL, consent BLOB NOT NULL, given_ms INTEGER NOT NULL, "
        "expires_ms INTEGER NOT NULL, created_ms INTEGER NOT NULL, changed_ms INTEGER NOT NULL, "
        "seen_ms INTEGER NOT NULL, n_faces INTEGER NOT NULL, n_images INTEGER NOT NULL, "
        "stamp INTEGER NOT NULL) STRICT;"
    "create index person_expires on person (expires_ms) where expires_ms > 0;"
    "create table template (person INTEGER PRIMARY KEY REFERENCES person (id), halves BLOB NOT NULL) STRICT;"
    "create table face (id INTEGER PRIMARY KEY AUTOINCREMENT, person INTEGER NOT NULL REFERENCES person (id), "
        "shape BLOB NOT NULL, source BLOB NOT NULL, halves BLOB NOT NULL, picture BLOB, created_ms INTEGER NOT NULL, "
        "outlier INTEGER NOT NULL, fit REAL NOT NULL) STRICT;"
    "create index face_person on face (person);"
    "create index face_picture on face (picture) where picture is not null;"
    "create table image (face INTEGER PRIMARY KEY REFERENCES face (id), digest BLOB NOT NULL, "
        "data BLOB NOT NULL) STRICT;"
    "create index image_digest on image (digest);"
    "create table change (sequence INTEGER PRIMARY KEY, person INTEGER NOT NULL) STRICT;"
    "create table audit (number INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, action TEXT NOT NULL, "
        "subject BLOB NOT NULL, body BLOB NOT NULL, hash BLOB NOT NULL) STRICT;"
    "create table text (key TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;"
    "create table do_not_enrol (id INTEGER PRIMARY KEY, lookup BLOB NOT NULL, code BLOB NOT NULL, "
        "added_ms INTEGER NOT NULL) STRICT;"
    "create index do_not_enrol_lookup on do_not_enrol (lookup);";
/* the journal of renames, merges and splits */
static const char version_2[] =
    "create table journal (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, person INTEGER NOT NULL, "
        "other INTEGER NOT NULL, person_stamp INTEGER NOT NULL, other_stamp INTEGER NOT NULL, time_ms INTEGER NOT NULL, "
        "data BLOB NOT NULL) STRICT;"
    "create index journal_person on journal (person);"
    "create index journal_other on journal (other);";
/* clang-format on */

static const char *const migrations[] = { version_1, version_2 };

int mien__schema_version(void)
{
    return (int)MIEN_COUNTOF(migrations);
}

static int apply(sqlite3 *db, int from, int to)
{
    int rc = SQLITE_OK;
    for (int v = from; v < to && rc == SQLITE_OK; v++)
        rc = sqlite3_exec(db, migrations[v], NULL, NULL, NULL);
    return rc;
}

mien_status mien__schema_migrate(mien_gallery *g, int from, mien_error *err)
{
    const int to = mien__schema_version();
    char *const pragma = sqlite3_mprintf("pragma user_version = %d", to);
    if (!pragma)
        return mien__db_fail(g, SQLITE_NOMEM, "make", err);
    int rc = apply(g->db, from, to);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(g->db, pragma, NULL, NULL, NULL);
    sqlite3_free(pragma);
    return rc == SQLITE_OK ? MIEN_OK : mien__db_fail(g, sqlite3_extended_errcode(g->db), "make", err);
}

/* Every object with its text, in one order. */
static int next_object(sqlite3_stmt *s, const char **ret_name, const char **ret_sql)
{
    const int rc = sqlite3_step(s);
    *ret_name = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(s, 0) : NULL;
    *ret_sql = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(s, 1) : NULL;
    return rc;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static mien_status compare(const mien_gallery *g, sqlite3_stmt *ours, sqlite3_stmt *theirs, mien_error *err)
{
    for (;;) {
        const char *name[2], *sql[2];
        const int a = next_object(ours, &name[0], &sql[0]), b = next_object(theirs, &name[1], &sql[1]);
        if (a != SQLITE_ROW && a != SQLITE_DONE)
            return mien__db_fail(g, a, "check", err);
        if (b != SQLITE_ROW && b != SQLITE_DONE)
            return mien__db_fail(g, b, "read", err);
        if (a != b || !same_text(name[0], name[1]) || !same_text(sql[0], sql[1]))
            return mien__fail(err, MIEN_E_GALLERY_CORRUPT, "the tables of %.120s are not those of a gallery",
                              g->shared->path);
        if (a == SQLITE_DONE)
            return MIEN_OK;
    }
}

mien_status mien__schema_check(mien_gallery *g, int version, mien_error *err)
{
    /* sqlite_stat* would come from ANALYZE, which nobody runs here */
    static const char query[] =
        "select type || ' ' || name || ' ' || tbl_name, sql from sqlite_schema order by 1";
    sqlite3 *fresh = NULL;
    sqlite3_stmt *ours = NULL, *theirs = NULL;
    mien_status st = MIEN_OK;
    int rc = sqlite3_open_v2(":memory:", &fresh,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK)
        rc = apply(fresh, 0, version);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(fresh, query, -1, &ours, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(g->db, query, -1, &theirs, NULL);
    st = rc == SQLITE_OK ? compare(g, ours, theirs, err) : mien__db_fail(g, rc, "check", err);
    sqlite3_finalize(ours);
    sqlite3_finalize(theirs);
    sqlite3_close(fresh);
    return st;
}
