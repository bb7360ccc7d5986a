/* What measuring a table is made of. Private; see measure.c. */
#ifndef MIEN_SRC_EVAL_MEASURE_H
#define MIEN_SRC_EVAL_MEASURE_H

#include "eval/weighted.h"

struct mien_evaluation {
    const mien_eval_table *table; /* the caller's; outlives */
    mien_eval_summary s;
    mien_eval_group *groups;
    size_t *worst; /* [2][n_worst] */
};

/* Pairs of each group that a label makes, at one threshold. */
typedef struct mien__groups {
    mien_eval_group *shown; /* [n] */
    uint32_t *first;        /* [2 n + 1] where each group's mated, then non-mated pairs begin */
    uint32_t *pairs[2];     /* units; in the first the highest bit tells an error */
    size_t n;
} mien__groups;

typedef struct mien__measuring {
    const mien_eval_table *table;
    mien__epairs pairs;
    mien__groups groups;
    double threshold, chosen_fmr; /* in the rows' scale: higher is more alike */
} mien__measuring;

mien_status mien__groups_new(const mien__epairs *p, const mien_eval_table *t, double threshold,
                             mien__groups *ret, mien_error *err);
void mien__groups_clear(mien__groups *g);
/* FMR and FNMR of each group; NaN without weight. */
void mien__group_figures(const mien__groups *g, const uint32_t *weight, double *ret);

void mien__fill_histograms(const mien__measuring *m, mien_eval_summary *s);
mien_status mien__fill_folds(const mien_eval_table *t, mien_eval_summary *s, mien_error *err);
mien_status mien__fill_worst(const mien__measuring *m, size_t n, mien_evaluation *e, mien_error *err);

#endif
