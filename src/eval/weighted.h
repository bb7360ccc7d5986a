/* Compared pairs sorted by score, and every rate over them when people (or pairs) are weighted: what the
 * point estimate (weights of 1) and each resample of the bootstrap share. Private; see weighted.c. */
#ifndef MIEN_SRC_EVAL_WEIGHTED_H
#define MIEN_SRC_EVAL_WEIGHTED_H

#include "eval/stats.h"
#include "eval/table.h"

typedef struct mien__epair {
    double score;
    uint32_t a, b; /* units whose weights multiply; b is the unit of weight 1 in mated pairs */
    uint32_t row;
} mien__epair;

/* Pairs of a table by ascending score; failed ones apart, or as the least alike of all. */
typedef struct mien__epairs {
    mien__epair *mated, *nonmated; /* the failed follow the [n_*] others */
    size_t n_mated, n_nonmated, n_failed_mated, n_failed_nonmated;
    size_t n_units; /* people, or pairs where people are unknown */
    bool by_people;
    size_t n_mated_people;
} mien__epairs;
/* `failed_last`: failed pairs are counted as compared, with a score of -infinity. E_EVAL_DATA when either
 * kind is missing. */
mien_status mien__epairs_new(const mien_eval_table *t, bool failed_last, mien__epairs *ret, mien_error *err);
void mien__epairs_sort(mien__epairs *p); /* by ascending score, then row */
void mien__epairs_clear(mien__epairs *p);

/* Weights and their sums: one per thread. */
typedef struct mien__weighing {
    uint32_t *weight;           /* [n_units + 1], the last is 1 */
    uint64_t *mated, *nonmated; /* [n + 1] weight of the pairs from i on */
    uint64_t failed_mated, failed_nonmated;
} mien__weighing;
mien_status mien__weighing_new(const mien__epairs *p, mien__weighing *ret, mien_error *err);
void mien__weighing_clear(mien__weighing *w);
/* Weights of 1 (k < 0), or those of resample k; then the sums. */
void mien__weigh(const mien__epairs *p, uint64_t seed, int64_t k, mien__weighing *w);

/* All below: NaN where a kind of pair has no weight. */
double mien__weighted_auc(const mien__epairs *p, const mien__weighing *w);
double mien__weighted_eer(const mien__epairs *p, const mien__weighing *w, double *ret_threshold);
/* Threshold at which the FMR is at most `fmr`, as mien__threshold_for() has it. */
double mien__weighted_threshold(const mien__epairs *p, const mien__weighing *w, double fmr);
double mien__weighted_fmr_at(const mien__epairs *p, const mien__weighing *w, double threshold);
double mien__weighted_fnmr_at(const mien__epairs *p, const mien__weighing *w, double threshold);
/* Failed pairs count as "different". */
typedef struct mien__confusion {
    double tp, fp, fn, tn;
} mien__confusion;
mien__confusion mien__weighted_confusion(const mien__epairs *p, const mien__weighing *w, double threshold);

/* First place with a score of at least t, above t. */
size_t mien__epair_lower(const mien__epair *v, size_t n, double t);

static inline uint64_t mien__epair_weight(const mien__epair *v, const uint32_t *weight)
{
    return (uint64_t)weight[v->a] * weight[v->b];
}

#endif
