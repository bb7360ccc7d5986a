/* Searches of a gallery that is a file or a folder, for `mien eval identify`. */
#ifndef MIEN_CLI_EVAL_IDENTIFY_H
#define MIEN_CLI_EVAL_IDENTIFY_H

#include "labelled.h"

/* Either kind of gallery. */
typedef struct eval_gallery {
    mien_gallery *store; /* NULL: of a folder */
    labelled_set people; /* of a folder; names are those of the people */
    float *templates;    /* [n_people][dim]; people without a face have none and stand last */
    int64_t *ids;        /* [n_people] of the store, or index into people.names */
    char **names;        /* [n_people]; lent by people.names, or owned */
    size_t n_people, n_pictures, dim;
} eval_gallery;

/* Open a store, or embed a folder per person. Reports; returns the exit code. */
int eval_gallery_open(eval_gallery *ret, const char *path, const char *key_file, const mien_model *embedder,
                      cli_kits *kits, bool aligned, bool quiet);
void eval_gallery_free(eval_gallery *gallery);
/* The place of a name among the people; n_people when it is not there. */
size_t eval_gallery_find(const eval_gallery *gallery, const char *name);

/* Search for one template. `right`: place of the right person, n_people for none. */
typedef struct eval_hit {
    double top;    /* similarity of the best candidate */
    size_t who;    /* its place */
    uint32_t rank; /* of the right person, 0: not among the first or none */
} eval_hit;
mien_status eval_gallery_search(const eval_gallery *gallery, const float *probe, size_t right, eval_hit *ret,
                                mien_error *err);

#endif
