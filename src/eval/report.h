/* The pages of evaluations: their parts. Private; see report.c. */
#ifndef MIEN_SRC_EVAL_REPORT_H
#define MIEN_SRC_EVAL_REPORT_H

#include "eval/measure.h"
#include "report/page.h"
#include "report/plot.h"

/* The pages as bytes; mien_eval_report() and mien_eval_search_report() write them to files. */
mien_status mien__eval_html(const mien_evaluation *e, const mien_eval_report_opts *o, mien__buf *ret,
                            mien_error *err);
mien_status mien__eval_search_html(const mien_eval_search_summary *s, const mien_eval_report_opts *o,
                                   mien__buf *ret, mien_error *err);

/* "value [lo, hi]" as a cell of a table of figures. */
void mien__eval_cell(mien__text *t, mien_eval_rate r);
void mien__eval_row_of(mien__text *t, const char *name, mien_eval_rate r);
void mien__eval_tile(mien__text *t, const char *name, double rate);
/* Score histograms of two kinds, shares of each; `mark` a threshold. */
void mien__eval_histogram(mien__text *t, const uint64_t *mated, const uint64_t *nonmated, double lo,
                          double hi, double mark, const char *mated_name, const char *nonmated_name);

/* What both kinds of page begin and end with. */
mien_status mien__eval_page_check(const void *subject, const mien_eval_report_opts *o, const void *ret,
                                  mien_error *err);
/* Title (`what` where none is given) and matcher. */
void mien__eval_page_begin(mien__text *t, const mien_eval_report_opts *o, const char *what);
void mien__eval_page_entries(mien__text *t, const mien_eval_report_opts *o);
/* Write `page` unless `st` is a failure; frees it either way. */
mien_status mien__eval_page_write(mien_status st, mien__buf *page, const char *path, mien_error *err);

void mien__eval_plots(mien__text *t, const mien_evaluation *e);
void mien__eval_groups(mien__text *t, const mien_eval_summary *s);

#endif
