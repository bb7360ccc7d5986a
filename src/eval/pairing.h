/* Pairs between rows, and rates over them with people as weights. Private. */
#ifndef MIEN_SRC_EVAL_PAIRING_H
#define MIEN_SRC_EVAL_PAIRING_H

#include "base/base.h"

/* Labelled rows ordered by person, each person's in the order of the rows. */
typedef struct mien__people {
    size_t n_rows, n; /* rows with a label; people */
    uint32_t *rows;   /* [n_rows] */
    uint32_t *of;     /* [n_rows] person of rows[i], 0..n-1 */
    uint32_t *first;  /* [n + 1] where each person begins in rows */
    int32_t *labels;  /* [n] */
} mien__people;
mien_status mien__people_new(const int32_t *labels, size_t n, mien__people *ret, mien_error *err);
void mien__people_clear(mien__people *p);

typedef struct mien__vpair {
    double score;
    uint32_t a, b; /* places in mien__people.rows; people once scored */
} mien__vpair;

typedef struct mien__vpairs {
    mien__vpair *mated, *nonmated;
    size_t n_mated, n_nonmated, total_mated, total_nonmated;
} mien__vpairs;
/* Choose the pairs; E_EVAL_DATA when either kind is missing. */
mien_status mien__vpairs_new(const mien__people *p, size_t max_pairs, uint64_t seed, mien__vpairs *ret,
                             mien_error *err);
/* Copy `from` with scores of e, sorted by ascending score, a and b turned into people. */
mien_status mien__vpairs_score(const mien__vpairs *from, const mien__people *p, const float *e, int dim,
                               mien__vpairs *ret, mien_error *err);
void mien__vpairs_clear(mien__vpairs *v);

/* FNMR at a false accept rate when person i counts weight[i] times: a mated pair as often as its person, a
 * non-mated pair the product. Thresholds as mien__threshold_for() finds them; weights of 1 give its results.
 * Returns false when no mated or no non-mated weight is left. */
bool mien__weighted_fnmr(const mien__vpairs *v, const uint32_t *weight, double far, double *ret_threshold,
                         double *ret_fnmr);

#endif
