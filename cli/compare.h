/* The parts of `mien compare`: what was seen and decided, and how it is printed and drawn. */
#ifndef MIEN_CLI_COMPARE_H
#define MIEN_CLI_COMPARE_H

#include "json.h"
#include "kit.h"

typedef struct compare_opts {
    cli_common common; /* first */
    int format, all, aligned, flip;
    double fmr, threshold; /* NaN: not given */
    const char *draw, *model;
} compare_opts;

typedef struct compare_side {
    const char *path;
    cli_seen seen;
    size_t n;    /* faces compared: 0, 1, or with --all every one */
    float *vecs; /* [n][dim] */
    bool failed;
    mien_error err;
} compare_side;

typedef struct compare_result {
    compare_side sides[2];
    double *matrix; /* [sides[0].n][sides[1].n] similarities; NULL when a face is missing */
    double best;
    size_t best_a, best_b;
    mien_decision decision;
    bool decided, calibrated;
} compare_result;

void compare_print_text(const compare_opts *opts, const compare_result *r);
void compare_print_json(const compare_opts *opts, const compare_result *r);
/* Draws into the pictures of `r`. Returns the exit code. */
int compare_draw(const compare_opts *opts, compare_result *r);

#endif
