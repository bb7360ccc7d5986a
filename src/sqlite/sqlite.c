/* See sqlite.h. */
#include "sqlite/sqlite.h"

mien_status mien__sqlite_status(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: /* a race for the WAL, lost many times */
        return MIEN_E_GALLERY_BUSY;
    case SQLITE_NOMEM:
        return MIEN_E_NOMEM;
    case SQLITE_INTERRUPT:
        return MIEN_E_INTERRUPTED;
    case SQLITE_NOTADB:
        return MIEN_E_GALLERY_FORMAT;
    case SQLITE_TOOBIG:
        return MIEN_E_LIMIT;
    case SQLITE_FULL:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_NOLFS:
        return MIEN_E_IO;
    case SQLITE_IOERR:
        return rc == SQLITE_IOERR_NOMEM ? MIEN_E_NOMEM : MIEN_E_IO;
    default: /* CORRUPT, and what only a damaged file can lead to: constraints, schema, types */
        return MIEN_E_GALLERY_CORRUPT;
    }
}

int mien__sqlite_guard(sqlite3 *db, size_t max_bytes, unsigned busy_ms)
{
    static const struct {
        int id, value;
    } limits[] = {
        { SQLITE_LIMIT_SQL_LENGTH, 65536 }, { SQLITE_LIMIT_COLUMN, 64 },
        { SQLITE_LIMIT_EXPR_DEPTH, 64 },    { SQLITE_LIMIT_COMPOUND_SELECT, 4 },
        { SQLITE_LIMIT_VDBE_OP, 25000 },    { SQLITE_LIMIT_FUNCTION_ARG, 8 },
        { SQLITE_LIMIT_ATTACHED, 0 },       { SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 100 },
        { SQLITE_LIMIT_TRIGGER_DEPTH, 8 }, /* deletions that foreign keys pass on count, too */
        { SQLITE_LIMIT_WORKER_THREADS, 0 },
    };
    static const struct {
        int op, value;
    } switches[] = { { SQLITE_DBCONFIG_DEFENSIVE, 1 },
                     { SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0 },
                     { SQLITE_DBCONFIG_ENABLE_TRIGGER, 0 },
                     { SQLITE_DBCONFIG_ENABLE_VIEW, 0 },
                     { SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0 },
                     { SQLITE_DBCONFIG_ENABLE_FKEY, 1 },
                     { SQLITE_DBCONFIG_DQS_DDL, 0 },
                     { SQLITE_DBCONFIG_DQS_DML, 0 } };
    int rc = sqlite3_extended_result_codes(db, 1);
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, (int)max_bytes);
    for (size_t i = 0; i < MIEN_COUNTOF(limits); i++)
        sqlite3_limit(db, limits[i].id, limits[i].value);
    for (size_t i = 0; i < MIEN_COUNTOF(switches) && rc == SQLITE_OK; i++)
        rc = sqlite3_db_config(db, switches[i].op, switches[i].value, NULL);
    return rc == SQLITE_OK ? sqlite3_busy_timeout(db, (int)busy_ms) : rc;
}

int mien__sqlite_bind(sqlite3_stmt *s, bool copy, const char *kinds, va_list ap)
{
    const sqlite3_destructor_type how = copy ? SQLITE_TRANSIENT : SQLITE_STATIC;
    int rc = SQLITE_OK;
    for (int i = 1; *kinds && rc == SQLITE_OK; kinds++, i++) {
        switch (*kinds) {
        case 'i':
            rc = sqlite3_bind_int64(s, i, va_arg(ap, int64_t));
            break;
        case 'r':
            rc = sqlite3_bind_double(s, i, va_arg(ap, double));
            break;
        case 't':
            rc = sqlite3_bind_text(s, i, va_arg(ap, const char *), -1, how);
            break;
        case 'n':
            break;
        default: {
            mien_assert(*kinds == 'b');
            const void *const data = va_arg(ap, const void *);
            const size_t bytes = va_arg(ap, size_t);
            if (data)
                rc =
                    bytes == 0 ? sqlite3_bind_zeroblob(s, i, 0) : sqlite3_bind_blob64(s, i, data, bytes, how);
        }
        }
    }
    return rc;
}
