/* Pictures of labelled people: a folder per person, one template a picture. Shared by calibrate and eval. */
#ifndef MIEN_CLI_PEOPLE_H
#define MIEN_CLI_PEOPLE_H

#include "kit.h"

typedef enum people_state { PEOPLE_EMBEDDED, PEOPLE_NO_FACE, PEOPLE_BAD } people_state;

typedef struct people_set {
    cli_files files;
    uint32_t *person; /* [files.n] index into names */
    char **names;     /* of people, in order; NULL when people_read() took each picture for somebody else */
    size_t n_people;
    size_t dim;
    float *vecs;          /* [files.n][dim]; zeroed where there is none */
    people_state *states; /* [files.n] */
    size_t n_embedded, n_no_face, n_bad;
} people_set;

/* Collect the pictures of a folder. labelled: DIR/NAME/... is a picture of NAME, pictures directly in DIR are
 * passed over; else every picture shows somebody else. Reports; returns the exit code, set is freed on a
 * fault. */
int people_read(people_set *set, const char *dir, bool labelled);
/* Embed each: the most central face, or, aligned, the whole picture. Faults of pictures are reported and
 * counted. Stops early on Ctrl-C. */
void people_embed(people_set *set, cli_kits *kits, size_t dim, bool aligned, bool quiet);
/* Copy what was embedded, without gaps: vecs [n_embedded][dim] and people [n_embedded], both freed by the
 * caller. */
void people_pack(const people_set *set, float **ret_vecs, uint32_t **ret_people);
void people_free(people_set *set);

#endif
