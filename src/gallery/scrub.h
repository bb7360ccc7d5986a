/* The search for bytes that should be gone. */
#ifndef MIEN_SRC_GALLERY_SCRUB_H
#define MIEN_SRC_GALLERY_SCRUB_H

#include "gallery/gallery.h"

typedef struct mien__scrub mien__scrub;

mien__scrub *mien__scrub_new(void); /* NULL when memory is short */
void mien__scrub_free(mien__scrub *s);

/* Look for any MIEN__SCRUB_RUN bytes in a row of these. */
mien_status mien__scrub_add(mien__scrub *s, const void *data, size_t bytes, mien_error *err);
/* Look for bytes from..to of these, as a whole. */
mien_status mien__scrub_add_whole(mien__scrub *s, const void *data, size_t bytes, mien_error *err);
/* Look for samples of something large, one in every 2 KB. */
mien_status mien__scrub_add_large(mien__scrub *s, const void *data, size_t bytes, mien_error *err);
/* Look for a text wherever it stands; texts that are too short to mean anything are left out. */
mien_status mien__scrub_add_text(mien__scrub *s, const char *text, mien_error *err);
/* Does what the gallery still holds for others account for the texts? */
bool mien__scrub_texts_explained(mien_gallery *g, const mien__scrub *s);

enum { MIEN__SCRUB_RUN = 15 };

/* What was found. */
typedef struct mien__scrub_result {
    uint64_t bytes; /* searched */
    bool found;     /* runs or wholes */
    bool text;      /* a text */
    size_t needle;  /* which was found first */
} mien__scrub_result;
/* A needle that was found, and searching without it. */
const void *mien__scrub_needle(const mien__scrub *s, size_t index, size_t *ret_bytes);
void mien__scrub_drop(mien__scrub *s, size_t index);
/* Search the files of the gallery: database, WAL, shared memory, search index. */
mien_status mien__scrub_run(mien_gallery *g, mien__scrub *s, mien__scrub_result *ret, mien_error *err);

#endif
