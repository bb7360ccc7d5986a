/* Between finder.c, which keeps the search index up to date, finder_file.c, which saves it, and find.c, which
 * searches.
 */
#ifndef MIEN_SRC_GALLERY_FINDER_H
#define MIEN_SRC_GALLERY_FINDER_H

#include "gallery/gallery.h"
#include <mien/search.h>
#include <pthread.h>

/* Somebody whose consent ends. */
typedef struct expiring {
    int64_t person, at_ms;
} expiring;

struct mien__finder {
    pthread_rwlock_t lock; /* held alone while the index is brought up to date */
    mien_index *index;
    mien_index_opts opts;
    bool loaded;
    size_t n, capacity;
    expiring *expiring; /* ascending by person */
};

/* First of the expiring whose person is not below. */
size_t mien__expiring_from(const mien__finder *f, int64_t person);

/* Begin a snapshot and hold the index shared, both of one sequence: what is fetched during a search is then
 * what the index was made of. Ended by mien__finder_release(). */
mien_status mien__finder_hold(mien_gallery *g, mien_error *err);
void mien__finder_release(mien_gallery *g);
/* Throw away what was loaded: the saved file turned out damaged. */
mien_status mien__finder_begin_anew(mien_gallery *g, mien_error *err);

/* "G-index"; sqlite3_free() it. */
char *mien__finder_path(const mien_gallery *g);
mien_status mien__finder_options(const mien_gallery *g, mien_index_opts *ret, mien_error *err);

#endif
