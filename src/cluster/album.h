/* Albums from inside: the connection and its small language. Private; see <mien/album.h>. */
#ifndef MIEN_SRC_CLUSTER_ALBUM_H
#define MIEN_SRC_CLUSTER_ALBUM_H

#include "base/base.h"
#include "sqlite/sqlite.h"
#include <mien/album.h>

struct mien_album {
    sqlite3 *db;
    char *path; /* for messages */
    size_t dim;
};

/* Say what SQLite complains of; never with bound values: they may be names. */
mien_status mien__album_fail(const mien_album *a, int rc, mien_error *err);

/* Prepare and bind, as mien__sqlite_bind() has it; values are copied. */
mien_status mien__album_query(mien_album *a, mien_error *err, sqlite3_stmt **ret, const char *sql,
                              const char *kinds, ...);
/* The next row; false in *ret at the end. */
mien_status mien__album_next(mien_album *a, sqlite3_stmt *s, bool *ret, mien_error *err);
/* Prepare, bind, run to its end. */
mien_status mien__album_run(mien_album *a, mien_error *err, const char *sql, const char *kinds, ...);
/* The first column of the first row; `ret` keeps its value when there is no row. */
mien_status mien__album_int(mien_album *a, mien_error *err, int64_t *ret, const char *sql, const char *kinds,
                            ...);

/* A transaction: begin, and end by `st`: commit or, when it failed, roll back. Returns the status to pass on.
 */
mien_status mien__album_begin(mien_album *a, mien_error *err);
mien_status mien__album_end(mien_album *a, mien_status st, mien_error *err);
/* Move what the write-ahead log holds into the file and empty it: deleted vectors are then gone from both. */
void mien__album_settle(mien_album *a);

/* E_NOT_FOUND when there is no such group. */
mien_status mien__album_group_exists(mien_album *a, int64_t group, mien_error *err);

/* ---- the undo history (album_undo.c) ---- */
typedef enum mien__undo_kind {
    MIEN__UNDO_STEP = 0,     /* text: what the step was */
    MIEN__UNDO_FACE = 1,     /* face a was in group b (0: none) */
    MIEN__UNDO_NAME = 2,     /* group a had the name `text` */
    MIEN__UNDO_MADE = 3,     /* group a was made */
    MIEN__UNDO_GONE = 4,     /* group a, named `text`, was removed */
    MIEN__UNDO_REFUSED = 5,  /* face a was forbidden to join group b */
    MIEN__UNDO_ADMITTED = 6, /* and allowed again */
} mien__undo_kind;
/* Begin a step: what follows belongs to it. Forgets steps beyond MIEN_ALBUM_UNDO_STEPS. */
mien_status mien__undo_step(mien_album *a, const char *what, mien_error *err);
mien_status mien__undo_note(mien_album *a, mien__undo_kind kind, int64_t x, int64_t y, const char *text,
                            mien_error *err);

#endif
