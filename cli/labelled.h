/* Pictures of labelled people: a folder per person, one template a picture. Shared by calibrate and eval. */
#ifndef MIEN_CLI_LABELLED_H
#define MIEN_CLI_LABELLED_H

#include "kit.h"

typedef enum labelled_state { LABELLED_EMBEDDED, LABELLED_NO_FACE, LABELLED_BAD } labelled_state;

typedef struct labelled_set {
    cli_files files;
    uint32_t *person; /* [files.n] index into names */
    char **names;     /* of people, in order; of pictures outside folders, where these are taken: their own */
    size_t n_people;
    size_t dim;
    float *vecs;            /* [files.n][dim]; zeroed where there is none */
    labelled_state *states; /* [files.n] */
    size_t n_embedded, n_no_face, n_bad;
} labelled_set;

/* Collect the pictures of a folder. labelled: DIR/NAME/... is a picture of NAME, pictures directly in DIR are
 * passed over; else every picture shows somebody else. Reports; returns the exit code, set is freed on a
 * fault. */
int labelled_read(labelled_set *set, const char *dir, bool labelled);
/* Embed each: the most central face, or, aligned, the whole picture. Faults of pictures are reported and
 * counted. Stops early on Ctrl-C. */
void labelled_embed(labelled_set *set, cli_kits *kits, size_t dim, bool aligned, bool quiet);
/* Copy what was embedded, without gaps: vecs [n_embedded][dim] and people [n_embedded], both freed by the
 * caller. */
void labelled_pack(const labelled_set *set, float **ret_vecs, uint32_t **ret_people);
void labelled_free(labelled_set *set);

#endif
