/* Searches of a gallery that is a file or a folder, and what `mien eval identify` says of them. */
#ifndef MIEN_CLI_EVAL_IDENTIFY_H
#define MIEN_CLI_EVAL_IDENTIFY_H

#include "galleries.h"
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
int eval_gallery_open(eval_gallery *ret, const cli_gallery_common *base, const mien_model *embedder,
                      cli_kits *kits, bool aligned);
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

/* ---- one run of the verb ---- */

typedef struct eval_identify_opts {
    cli_gallery_common base; /* first */
    const char *mated, *nonmated, *model, *calibration, *scores, *html;
    double fpir, threshold;
    int aligned, format;
} eval_identify_opts;

typedef struct eval_identify_run {
    const eval_identify_opts *opts;
    cli_models models;
    cli_kits kits;
    eval_gallery gallery;
    labelled_set mated, nonmated;
    mien_curve *curve; /* NULL where a threshold was given and there is none */
    double threshold;
    mien_estimate expected; /* FPIR by the calibration */
    int promised;
    mien_eval_probe *probes;
    eval_hit *hits;
    size_t n_probes, n_left_out; /* pictures of people who are not in the gallery */
} eval_identify_run;

void eval_identify_print_text(const eval_identify_run *r, const mien_eval_search_summary *e);
int eval_identify_print_json(const eval_identify_run *r, const mien_eval_search_summary *e);
void eval_identify_print_csv(const eval_identify_run *r, const mien_eval_search_summary *e);
int eval_identify_write_page(const eval_identify_run *r, const mien_eval_search_summary *e);

#endif
