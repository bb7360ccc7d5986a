/* What the verbs of evaluation share: options, and the figures as text, CSV, JSON or a page. */
#ifndef MIEN_CLI_EVAL_PAGE_H
#define MIEN_CLI_EVAL_PAGE_H

#include "json.h"
#include "kit.h"

/* The first member of each verb's options struct. */
typedef struct eval_common {
    cli_common common; /* first */
    const char *html, *title;
    double threshold;
    int format, resamples, seed, worst;
    const char *roc;
} eval_common;
extern const cli_option eval_output_options[]; /* format, html, title, threshold, resamples, ... */
extern const cli_option eval_plain_options[];  /* threads and quiet, for verbs that read no picture */

/* One evaluation and what is said about it. */
typedef struct eval_page {
    const eval_common *opts;
    const char *kind;    /* "pairs", "folder", "scores" */
    const char *data;    /* what was measured, as it was named on the command line */
    const char *matcher; /* NULL: unknown */
    const char *fingerprint;
    const char *threshold_from; /* where a given threshold comes from; NULL: chosen on the pairs, or typed */
    const mien_eval_table *table;
    const mien_evaluation *evaluation;
    size_t n_images, n_no_face, n_bad; /* pictures; n_images 0: the scores came from elsewhere */
    size_t n_bad_rows;
    uint64_t total_mated, total_nonmated; /* pairs there would be; 0: all were taken */
    const mien_eval_picture *crops;       /* of the worst errors; NULL: none */
    double seconds;
} eval_page;

/* Measure the table at the threshold given, or `threshold`. Reports; returns the exit code. */
int eval_measure(eval_page *page, double threshold, mien_evaluation **ret);
/* Print as the options say and write the page when asked to. */
int eval_show(const eval_page *page);
/* The whole of it where no pictures are wanted: measure and show. */
int eval_finish(eval_page *page, double threshold);

/* Read the scores that a JSON result holds. `ret_threshold`: NaN when there is none. Reports. */
int eval_read_json(const char *path, mien_eval_table **ret, double *ret_threshold, char **ret_name);

/* Skipped rows of a CSV file, for `bad_row` of its options: the first ten are said. */
typedef struct eval_bad_rows {
    const char *path;
    size_t n;
} eval_bad_rows;
void eval_bad_row(size_t line, const char *why, void *user);
void eval_bad_rows_end(const eval_bad_rows *bad); /* say how many more there were */

/* Parts: one per format. */
void eval_print_text(const eval_page *page, FILE *f);
void eval_print_csv(const eval_page *page, FILE *f);
int eval_write_html(const eval_page *page);

/* "fnmr_at_fmr_1e-3" and the like. */
extern const char *const eval_fmr_names[MIEN_EVAL_FMRS];

#endif
