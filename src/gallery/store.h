/* Between store.c, which opens connections, and create.c, which makes files. */
#ifndef MIEN_SRC_GALLERY_STORE_H
#define MIEN_SRC_GALLERY_STORE_H

#include "gallery/gallery.h"

/* Open a connection with everything that protects us from the file and the file from us. */
mien_status mien__store_connect(mien_gallery *g, const char *path, int flags, mien_error *err);
/* Make `path` as a new gallery; E_EXISTS when something is there. Whole or not at all. */
mien_status mien__store_create(const char *path, const mien_gallery_opts *opts, mien_error *err);
/* A handle without connection: shared part for `path`, not yet filled. */
mien_status mien__handle_new(const char *path, unsigned busy_ms, const char *actor, mien_gallery **ret,
                             mien_error *err);

#endif
