/* SQLite as every store of the library uses it: a connection that trusts no file, values bound by one word,
 * SQLite's codes as our statuses. What a store does with it is its own. Private. */
#ifndef MIEN_SRC_SQLITE_SQLITE_H
#define MIEN_SRC_SQLITE_SQLITE_H

#include "base/base.h"
#include <sqlite3.h>
#include <stdarg.h>

/* The status that a code stands for; never MIEN_OK. */
mien_status mien__sqlite_status(int rc);

/* Shut out what a file from elsewhere could do with a connection: extensions, ATTACH, views, triggers, long
 * expressions; values of more than max_bytes. Writers wait for each other up to busy_ms. Returns SQLite's
 * code. */
int mien__sqlite_guard(sqlite3 *db, size_t max_bytes, unsigned busy_ms);

/* Bind one value for each letter of `kinds`: i int64_t, r double, t const char *, b const void * and size_t
 * (NULL: null), n nothing (null). `copy`: the values need not live as long as the statement runs. Returns
 * SQLite's code. */
int mien__sqlite_bind(sqlite3_stmt *stmt, bool copy, const char *kinds, va_list ap);

#endif
