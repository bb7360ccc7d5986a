/* A copy while others read and write: SQLite's backup of one snapshot, into another name, then given its own.
 *
 * The snapshot is held for as long as the copy takes; writers go on, and only the emptying of the WAL waits.
 * The copy holds the people of the moment it was begun; whoever removes somebody later has to think of
 * backups too.
 */
#include "gallery/gallery.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAGES_PER_STEP = 256 };

static mien_status copy(mien_gallery *g, sqlite3 *to, mien_gallery_progress progress, void *user,
                        mien_error *err)
{
    sqlite3_backup *const b = sqlite3_backup_init(to, "main", g->db, "main");
    mien_status st = MIEN_OK;
    int rc = SQLITE_OK;
    if (!b)
        return mien__db_fail(g, sqlite3_extended_errcode(to), "copy", err);
    while (!st && rc == SQLITE_OK) {
        rc = sqlite3_backup_step(b, PAGES_PER_STEP);
        if (rc != SQLITE_OK && rc != SQLITE_DONE)
            break;
        const int total = sqlite3_backup_pagecount(b), left = sqlite3_backup_remaining(b);
        if (progress && progress(user, (uint64_t)(total - left), (uint64_t)total) != 0)
            st = mien__fail(err, MIEN_E_INTERRUPTED, "the backup was stopped");
    }
    if (!st && rc != SQLITE_DONE)
        st = mien__db_fail(g, rc, "copy", err);
    rc = sqlite3_backup_finish(b);
    if (!st && rc != SQLITE_OK)
        st = mien__db_fail(g, rc, "copy", err);
    return st;
}

static mien_status copy_to(mien_gallery *g, const char *path, mien_gallery_progress progress, void *user,
                           mien_error *err)
{
    sqlite3 *to = NULL;
    int rc =
        sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (rc == SQLITE_OK) /* a file nobody else knows needs no journal; it is written through once, below */
        rc = sqlite3_exec(to, "pragma journal_mode = off; pragma synchronous = full; pragma page_size = 8192",
                          NULL, NULL, NULL);
    mien_status st = rc == SQLITE_OK ? mien__read_begin(g, err) : mien__db_fail(g, rc, "copy", err);
    if (!st) {
        /* one snapshot from the first page to the last */
        int64_t sequence = 0;
        st = mien__sql_number(g, MIEN__SQL_SEQUENCE, 0, &sequence, err, "");
        if (!st)
            st = copy(g, to, progress, user, err);
        mien__read_end(g);
    }
    sqlite3_close(to);
    return st;
}

mien_status mien__publish(const char *from, const char *to, mien_error *err)
{
    if (link(from, to) == 0) {
        (void)unlink(from);
    } else if (errno == EEXIST) {
        return mien__fail(err, MIEN_E_EXISTS, "%.160s exists already", to);
    } else if (access(to, F_OK) == 0 || rename(from, to) != 0) { /* a file system without hard links */
        return mien__fail(err, access(to, F_OK) == 0 ? MIEN_E_EXISTS : MIEN_E_IO, "cannot make %.160s: %s",
                          to, strerror(errno));
    }
    return mien__file_sync_folder(to, err);
}

mien_status mien_gallery_backup(mien_gallery *gallery, const char *path, mien_gallery_progress progress,
                                void *user, mien_error *err)
{
    mien_status st = MIEN_OK;
    if (!gallery || !path || !path[0])
        return mien__fail(err, MIEN_E_ARG, "gallery or path is missing");
    if (access(path, F_OK) == 0)
        return mien__fail(err, MIEN_E_EXISTS, "%.160s exists already", path);
    char *const temporary = sqlite3_mprintf("%s.new.XXXXXX", path);
    const int fd = temporary ? mkstemp(temporary) : -1;
    if (fd < 0) {
        st = temporary ? mien__fail(err, MIEN_E_IO, "cannot make %.160s: %s", path, strerror(errno))
                       : mien__nomem(err, strlen(path));
        sqlite3_free(temporary);
        return st;
    }
    close(fd);
    st = copy_to(gallery, temporary, progress, user, err);
    if (!st)
        st = mien__publish(temporary, path, err);
    if (!st && gallery->writable && !(st = mien__write_begin(gallery, err)))
        st = mien__write_end(gallery, mien__audit_append(gallery, "backup", 0, "{}", err), err);
    if (st)
        (void)unlink(temporary);
    sqlite3_free(temporary);
    return st;
}
