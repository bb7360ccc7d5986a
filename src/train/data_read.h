/* What reading a data set is made of: the list of pictures, the index of found faces. Private to
 * training data; no part but dataset.c runs a network. */
#ifndef MIEN_SRC_TRAIN_DATA_READ_H
#define MIEN_SRC_TRAIN_DATA_READ_H

#include "base/csv.h"
#include "train/data.h"

/* ---- the list of pictures ---- */
typedef struct mien__entry {
    const char *path;   /* to open */
    const char *name;   /* from the set's folder on */
    const char *person; /* NULL: unlabelled */
    mien__part part;
} mien__entry;

typedef struct mien__entries {
    mien__entry *v; /* by name, no name twice */
    size_t n, capacity, n_bad_rows;
    mien__arena *arena; /* owns the strings */
} mien__entries;

/* List a folder, .csv or .txt, without opening a picture; may come out empty. E_NOT_FOUND, E_IO, E_LIMIT. */
mien_status mien__entries_read(const char *path, mien__entries *ret, mien_error *err);
void mien__entries_free(mien__entries *e); /* frees what it holds, not `e` */

/* ---- the index of found faces ---- */
typedef struct mien__found {
    const char *name;
    int64_t size_bytes, mtime_ns; /* of the file the face was found in */
    int32_t width, height;        /* px */
    bool face;
    float landmarks[MIEN_LANDMARKS][2]; /* when face */
} mien__found;

typedef struct mien__index {
    mien__found *v; /* by name, no name twice */
    size_t n;
} mien__index;

/* Parse an index file; names are lent by `data`. E_EVAL_DATA when it is none, of another version or made
 * with another `key`; E_DIGEST when its checksum does not match. */
mien_status mien__index_parse(const uint8_t *data, size_t size, const uint8_t key[32], mien__index *ret,
                              mien_error *err);
const mien__found *mien__index_find(const mien__index *x, const char *name); /* NULL when it has none */
void mien__index_free(mien__index *x);                                       /* frees what it holds */

/* Append the file's bytes to *ret; `v` by name, no name twice. */
mien_status mien__index_format(const mien__found *v, size_t n, const uint8_t key[32], mien__buf *ret,
                               mien_error *err);

#endif
