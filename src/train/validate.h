/* Validation of an embedder on held-out people: what a trainer prints, logs and decides by.
 *
 * Pure functions over arrays. Rows are unit-length embeddings, labels are people; rows with a label below 0
 * are left out. The unit that is resampled for every bootstrap interval is the person, because pairs and
 * pictures of one person depend on each other (Bolle, Ratha, Pankanti 2004, "Error analysis of pattern
 * recognition systems: the subsets bootstrap"). Results depend on the arrays, the options and nothing else:
 * not on the number of threads.
 */
#ifndef MIEN_SRC_TRAIN_VALIDATE_H
#define MIEN_SRC_TRAIN_VALIDATE_H

#include "base/base.h"
#include "report/text.h"
#include <mien/eval.h>

enum {
    MIEN__VAL_FARS = 2,            /* 1e-2 and 1e-3 */
    MIEN__VAL_BINS = 80,           /* of the score histograms, over [-1, 1] */
    MIEN__VAL_DET = 37,            /* points of the DET curve */
    MIEN__VAL_CONFUSIONS = 20,     /* most frequent confusions kept */
    MIEN__VAL_MATRIX_PEOPLE = 50,  /* up to so many people the whole confusion matrix is kept */
    MIEN__VAL_MIN_PEOPLE = 6,      /* fewer cannot show a difference, see mien__compare() */
    MIEN__VAL_MAX_ROWS = 1 << 22,  /* embeddings */
    MIEN__VAL_MAX_PAIRS = 1 << 22, /* of each kind */
    MIEN__VAL_MAX_RESAMPLES = 100000,
};

typedef struct mien__validate_opts {
    size_t max_pairs; /* mated and non-mated each: all when they are fewer, else a stratified sample of so
                         many */
    int resamples;    /* of the bootstrap */
    int folds;        /* of people, for pair verification; 0: none, else 2..100 */
    uint64_t seed;
    mien__pool *pool; /* may be NULL */
} mien__validate_opts;
#define MIEN__VALIDATE_OPTS_INIT \
    {                            \
        200000, 1000, 5, 1, NULL \
    }

/* Error rate at a false accept rate. TAR = 1 - FNMR. */
typedef struct mien__val_rate {
    double far, threshold;
    mien_eval_rate fnmr; /* bootstrap over people */
    bool supported;      /* false: fewer than 3 / far non-mated pairs, the rate is not to be trusted */
} mien__val_rate;

typedef struct mien__val_open {
    size_t n_people, n_pictures; /* with a label */
    size_t n_mated_people;       /* with two pictures or more */
    size_t n_mated, n_nonmated;  /* pairs compared */
    size_t total_mated, total_nonmated;
    mien__val_rate at[MIEN__VAL_FARS];
    double auc, eer;
    size_t folds; /* of the pair verification; 0: it was not done, and the next five are 0 */
    double pair_accuracy, pair_accuracy_std, pair_precision, pair_recall, pair_f1;
    uint64_t hist_mated[MIEN__VAL_BINS], hist_nonmated[MIEN__VAL_BINS];
    double det_fmr[MIEN__VAL_DET];  /* 1e-4 .. 0.4, evenly in the logarithm */
    double det_fnmr[MIEN__VAL_DET]; /* NaN where one pair in n is more than the FMR */
} mien__val_open;

typedef struct mien__val_confusion {
    int32_t actual, predicted; /* labels */
    uint32_t count;
} mien__val_confusion;

/* The closed set: the centroid of the first half (rounded down) of each person's pictures, in the order of
 * the rows, against the others. People with one picture take no part. Precision, recall and F1 are means over
 * people; the precision of a person nobody was taken for is 0. */
typedef struct mien__val_closed {
    bool done; /* false: fewer than two people with two pictures; all else is 0 */
    size_t n_people, n_enrolled, n_probes, n_right, n_left_out; /* n_left_out: people with one picture */
    mien_eval_rate accuracy;                                    /* Clopper-Pearson */
    mien_eval_rate precision, recall, f1;                       /* bootstrap over people */
    mien__val_confusion top[MIEN__VAL_CONFUSIONS];              /* most frequent first */
    size_t n_top, n_wrong_kinds; /* n_wrong_kinds: distinct confusions in all */
    int32_t matrix_labels[MIEN__VAL_MATRIX_PEOPLE];
    uint32_t *matrix; /* [n_people][n_people] actual x predicted; NULL when there are more people */
} mien__val_closed;

typedef struct mien__validation {
    mien__val_open open;
    mien__val_closed closed;
} mien__validation;

/** Measure embeddings e [n][dim].
 *  @return E_ARG; E_LIMIT; E_EVAL_DATA when there are no mated or no non-mated pairs, or a value is not
 * finite
 *  @ownership `ret` is to be given to mien__validation_clear() */
mien_status mien__validate(const float *e, const int32_t *labels, size_t n, int dim,
                           const mien__validate_opts *o, mien__validation *ret, mien_error *err);
void mien__validation_clear(mien__validation *v);

typedef enum mien__verdict { MIEN__NOT_SHOWN, MIEN__BETTER, MIEN__WORSE } mien__verdict;

/* Of two models on the same rows. */
typedef struct mien__comparison {
    double fnmr_before, fnmr_after; /* at FAR 1e-2, each at the threshold of its own non-mated scores */
    mien_eval_rate difference;      /* after - before, paired bootstrap over people */
    size_t n_people, n_mated_people;
    mien__verdict verdict;
} mien__comparison;

/** Ask whether `after` is better than `before` on these people: the same pairs are scored by both, and both
 *  are resampled together, thresholds and all. Better when the whole interval lies below 0, worse above.
 *  With fewer than MIEN__VAL_MIN_PEOPLE people having mated pairs nothing can be shown at this level: even
 *  if all improve, a sign test leaves 2^-5 > 2.5 %. */
mien_status mien__compare(const float *before, int dim_before, const float *after, int dim_after,
                          const int32_t *labels, size_t n, const mien__validate_opts *o,
                          mien__comparison *ret, mien_error *err);
/* "better", "not shown to be better", "worse". */
const char *mien__verdict_name(mien__verdict v);
/* The verdict as a sentence with its numbers. */
void mien__verdict_sentence(const mien__comparison *c, mien__text *t);

/* A value for people, with its interval: "12.3 % [10.1, 14.8]". Rates as percentages. */
void mien__rate_text(mien_eval_rate r, mien__text *t);

/* The rows of a before/after table: the name of row 0, 1, ... (NULL: no more) and its value. */
const char *mien__validation_row(int row);
void mien__validation_cell(const mien__validation *v, int row, mien__text *t);

/** Print both as a table in plain text. `before` and `c` may be NULL. */
mien_status mien__validation_table(const mien__validation *before, const mien__validation *after,
                                   const mien__comparison *c, mien__buf *ret, mien_error *err);
/* Append as one JSON object on one line. `names` by label may be NULL: labels are printed alone. */
void mien__validation_json(const mien__validation *v, const char *const *names, size_t n_names,
                           mien__text *t);
void mien__comparison_json(const mien__comparison *c, mien__text *t);

#endif
