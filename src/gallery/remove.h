/* Removing people, one or many, and the proof. */
#ifndef MIEN_SRC_GALLERY_REMOVE_H
#define MIEN_SRC_GALLERY_REMOVE_H

#include "gallery/gallery.h"
#include "gallery/scrub.h"

/* Within a write: remember what has to be gone. face 0: all of the person and the person itself. */
mien_status mien__trace(mien_gallery *g, mien__scrub *s, const mien__record *r, int64_t face,
                        mien_error *err);

/* What is left to do after removals were committed: empty the WAL, clear the index, search. Never fails: says
 * through the receipts what could not be shown. */
void mien__remove_finish(mien_gallery *g, mien__scrub *s, const int64_t *gone, mien_receipt *receipts,
                         size_t n);

#endif
