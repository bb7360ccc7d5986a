/* The search index as a file beside the gallery, so that opening does not read every template.
 *
 * It is a cache: it may be missing, old, damaged or of another gallery, and is then built anew. It is saved
 * when a handle that has written is closed and enough has changed; a removal erases the person from it in
 * place, or removes the file where that fails. Both happen under the gallery's write lock, so that nothing
 * changes meanwhile.
 */
#include "gallery/finder.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { SAVE_MIN = 64 };

void mien__finder_save(mien_gallery *g)
{
    mien_index_info info;
    char *path = NULL;
    mien__finder *const f = g->wrote ? g->shared->finder : NULL;
    if (!f || !g->shared->has_embedder)
        return;
    /* under the write lock: nobody removes anybody while it is written, and it is of the very last change */
    if (mien__sql_run(g, MIEN__SQL_BEGIN_WRITE, NULL, "") != MIEN_OK)
        return;
    if (mien__finder_refresh(g, NULL) == MIEN_OK) {
        mien_index_info_of(f->index, &info);
        const bool much = info.changes >= SAVE_MIN && info.changes >= info.n / 64;
        if (much && (path = mien__finder_path(g)) && mien_index_sync(f->index, path, NULL) != MIEN_OK)
            mien__log(MIEN_LOG_WARN,
                      "the search index could not be saved; it is built anew when it is needed");
    }
    (void)mien__sql_run(g, MIEN__SQL_ROLLBACK, NULL, "");
    sqlite3_free(path);
}

/* Under the write lock: whoever was given back meanwhile (a merge undone) must not be taken out of a newer
 * file. */
static bool erase_locked(mien_gallery *g, const char *path, const int64_t *people, size_t n)
{
    mien_index_opts opts;
    size_t kept = 0;
    uint64_t *const ids = mien_alloc_array(n, sizeof *ids);
    bool ok = ids != NULL;
    for (size_t i = 0; i < n && ok; i++) {
        int64_t there = 0;
        ok = mien__sql_number(g, MIEN__SQL_PERSON_THERE, 0, &there, NULL, "i", people[i]) == MIEN_OK;
        if (!there)
            ids[kept++] = (uint64_t)people[i];
    }
    ok = ok && mien__finder_options(g, &opts, NULL) == MIEN_OK &&
         (kept == 0 || mien_index_erase(path, &opts, ids, kept, NULL) == MIEN_OK);
    mien_free(ids);
    return ok;
}

bool mien__finder_erase(mien_gallery *g, const int64_t *people, size_t n)
{
    char *const path = mien__finder_path(g);
    if (!path)
        return false;
    bool gone = access(path, F_OK) != 0 && errno == ENOENT;
    if (!gone && mien__sql_run(g, MIEN__SQL_BEGIN_WRITE, NULL, "") == MIEN_OK) {
        gone = erase_locked(g, path, people, n);
        (void)mien__sql_run(g, MIEN__SQL_ROLLBACK, NULL, "");
    }
    gone = gone || unlink(path) == 0; /* it can always be built anew */
    sqlite3_free(path);
    return gone;
}
