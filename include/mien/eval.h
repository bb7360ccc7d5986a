/* Measuring verification (1:1) from scores and labels, in the terms of ISO/IEC 19795-1.
 *
 * Knows nothing of pictures: callers hand in scores. Higher score = more alike.
 */
#ifndef MIEN_EVAL_H
#define MIEN_EVAL_H

#include <mien/status.h>
#include <stddef.h>
#include <stdint.h>

MIEN_BEGIN_DECLS

/** One compared pair. */
typedef struct mien_eval_pair {
    double score; /**< ignored where failed */
    int mated;    /**< 1 same person, 0 different people */
    int fold;     /**< 0..n_folds-1 */
    int failed;   /**< 1: a face was not found (failure to acquire) */
} mien_eval_pair;

typedef struct mien_eval_rate {
    double value, lo, hi; /**< with 95 % Clopper-Pearson interval */
} mien_eval_rate;

typedef struct mien_eval_result {
    size_t n_mated, n_nonmated, n_failed; /**< pairs; failed ones are counted in n_failed alone */
    double accuracy, accuracy_std;        /**< k-fold: threshold chosen on the other folds (LFW, Huang 2007);
                                               failed pairs count as decided "different" */
    double threshold;                     /**< mean of the folds' thresholds */
    double precision, recall, f1;         /**< at those thresholds, over all folds */
    mien_eval_rate tar_at_far_1e2, tar_at_far_1e3;
    double auc, eer;
} mien_eval_result;

/** Measure; E_EVAL_DATA when either class is empty or holds a non-finite score. */
MIEN_API MIEN_MUST_USE mien_status mien_eval_pairs(const mien_eval_pair *pairs, size_t n, int n_folds,
                                                   mien_eval_result *ret, mien_error *err);

/** Fit the calibration table from non-mated scores: for each fmr of `fmrs` (ascending) the threshold and the
 *  Clopper-Pearson interval. E_EVAL_DATA when n < 3 / fmr for some fmr (rule of three: Hanley 1983). */
struct mien_operating_point;
MIEN_API MIEN_MUST_USE mien_status mien_eval_calibrate(const double *nonmated, size_t n, const double *fmrs,
                                                       size_t n_fmrs, struct mien_operating_point *ret_points,
                                                       mien_error *err);

MIEN_END_DECLS

#endif
