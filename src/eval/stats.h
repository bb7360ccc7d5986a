/* The statistics behind evaluation. Private; see <mien/eval.h>. */
#ifndef MIEN_SRC_EVAL_STATS_H
#define MIEN_SRC_EVAL_STATS_H

#include "base/base.h"
#include <mien/eval.h>

/* ln Gamma(x) for x > 0, relative error below 1e-13. */
double mien__ln_gamma(double x);
/* Regularised incomplete beta function I_x(a, b), a, b > 0, x in [0, 1]. */
double mien__beta_inc(double a, double b, double x);
/* The x with I_x(a, b) = p. */
double mien__beta_quantile(double a, double b, double p);
/* Two-sided 95 % Clopper-Pearson interval of a proportion of k in n; n = 0 gives [0, 1] around 0. */
mien_eval_rate mien__rate_of(uint64_t k, uint64_t n);

/* Draw n of n people with replacement: resample number `k` of `seed`. weight [n]. */
void mien__resample(uint64_t seed, uint64_t k, size_t n, uint32_t *weight);
/* 95 % percentile interval; sorts v. n >= 1. */
mien_eval_rate mien__interval_of(double value, double *v, size_t n);
/* An interval of no width claims too much where no error (or no success) was seen: its open side becomes the
 * Clopper-Pearson bound of as many independent trials as there are people. */
mien_eval_rate mien__open_ended(mien_eval_rate r, size_t n_people);

/* Sort ascending. */
void mien__sort_f64(double *v, size_t n);
/* Count the items of an ascending list that are at least t. */
size_t mien__count_at_least(const double *ascending, size_t n, double t);
/* The lowest threshold t at which at most `allowed` items are >= t: midway between the items that it parts,
 * or just above the greatest item. n >= 1. */
double mien__threshold_for(const double *ascending, size_t n, size_t allowed);

/* Area under the ROC = P(mated > non-mated) + P(equal) / 2 (Mann, Whitney 1947). Ascending lists. */
double mien__auc(const double *mated, size_t n_mated, const double *nonmated, size_t n_nonmated);
/* Equal error rate: where FMR and FNMR cross, linear between the operating points around the crossing. */
double mien__eer(const double *mated, size_t n_mated, const double *nonmated, size_t n_nonmated);

#endif
