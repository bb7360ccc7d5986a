/* The parts of `mien identify`: who is in a picture, and print. */
#ifndef MIEN_CLI_IDENTIFY_H
#define MIEN_CLI_IDENTIFY_H

#include "galleries.h"

typedef struct identify_opts {
    cli_gallery_common base; /* first */
    int format, top, seen, flip;
    const char *draw, *model;
    double fpir, threshold;
} identify_opts;

enum { IDENTIFY_TEXT, IDENTIFY_JSON, IDENTIFY_CSV };

/* One face and what was decided about it. */
typedef struct identify_face {
    mien_face face; /* px of the file */
    mien_quality quality;
    mien_reason reason; /* of the gate: a bad picture proves little */
    mien_search_decision decision;
    mien_candidate *candidates; /* [n_candidates], most alike first */
    char **names;               /* of the candidates */
    size_t n_candidates;
} identify_face;

typedef struct identify_result {
    mien_status status;
    mien_error err;
    cli_seen seen;
    float *vecs; /* [seen.n][dim] */
    identify_face *faces;
} identify_result;

typedef struct identify_run {
    const identify_opts *opts;
    const char *path; /* of the gallery */
    mien_gallery *gallery;
    const mien_curve *curve; /* NULL: not calibrated */
    mien_gallery_info info;
    const cli_files *files;
    size_t dim, n_faces, n_known;
    bool draw_into_dir, first;
    int exit_code;
} identify_run;

void identify_print_begin(const identify_run *run);
void identify_print_result(identify_run *run, const char *path, const identify_result *r);
void identify_print_end(const identify_run *run);
/* Draw names on the picture; green for people who are known. */
void identify_draw(const identify_run *run, identify_result *r);

#endif
