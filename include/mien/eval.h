/* Measuring recognition from scores and labels, in the terms of ISO/IEC 19795-1: verification (1:1) and
 * open-set identification (1:N).
 *
 * Knows nothing of pictures: callers hand in scores. A score is more alike when it is higher, unless a table
 * says the opposite (distances). Intervals are 95 %. Those of tables whose people are known come from a
 * bootstrap over people: a pair counts as often as its person was drawn, or for two people the product (Owen
 * 2007, "The pigeonhole bootstrap"; for pairs of one population Snijders, Borgatti 1999, "Non-parametric
 * standard errors and tests for network statistics"; that pairs are no units to resample: Bolle, Ratha,
 * Pankanti 2004, "Error analysis of pattern recognition systems: the subsets bootstrap"). It is on the wide
 * side for pairs of strangers. Where people are unknown, pairs are taken as independent, and results say so.
 * The same numbers come out for any number of threads.
 */
#ifndef MIEN_EVAL_H
#define MIEN_EVAL_H

#include <mien/status.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>

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

/** Interval of a proportion: k of n independent trials (Clopper, Pearson 1934); n = 0 gives 0 in [0, 1]. */
MIEN_API mien_eval_rate mien_eval_proportion(uint64_t k, uint64_t n);

/* ---- tables of compared pairs ---- */

enum {
    MIEN_EVAL_MAX_COLUMNS = 24, /**< of labels */
    MIEN_EVAL_MAX_VALUES = 64,  /**< different ones in a column; a column with more is no grouping: dropped */
    MIEN_EVAL_MAX_ROWS = 1 << 26,
};

/** Compared pairs with what is known of them. Written by one thread; may then be shared for reading. */
typedef struct mien_eval_table mien_eval_table;

typedef struct mien_eval_table_opts {
    size_t struct_size;
    int lower;                  /**< 1: a lower score is more alike (a distance); default 0 */
    const char *const *columns; /**< names of the columns of labels; copied */
    size_t n_columns;
} mien_eval_table_opts;

#define MIEN_EVAL_TABLE_OPTS_INIT                \
    {                                            \
        sizeof(mien_eval_table_opts), 0, NULL, 0 \
    }

/** One compared pair. Strings are copied when a row is added, lent when it is looked at. */
typedef struct mien_eval_row {
    double score;                    /**< ignored where failed */
    int mated;                       /**< 1 one person, 0 two people */
    int failed;                      /**< 1: not compared, for instance a face was not found */
    int fold;                        /**< 0..999; -1: none */
    const char *person_a, *person_b; /**< NULL: unknown */
    const char *item_a, *item_b;     /**< pictures; NULL: unknown */
    const char *const *labels;       /**< [n_columns], NULL or "" where there is none; NULL: no labels */
} mien_eval_row;

/** Make an empty table; `opts` NULL for the defaults. @return MIEN_OK; E_ARG; E_LIMIT; E_NOMEM */
MIEN_API MIEN_MUST_USE mien_status mien_eval_table_new(const mien_eval_table_opts *opts,
                                                       mien_eval_table **ret, mien_error *err);
MIEN_API void mien_eval_table_free(mien_eval_table *table);

/** Add a row. @return MIEN_OK; E_EVAL_DATA: the score is not finite, or `mated` contradicts the people;
 *  E_ARG; E_LIMIT; E_NOMEM - the table is as it was */
MIEN_API MIEN_MUST_USE mien_status mien_eval_table_add(mien_eval_table *table, const mien_eval_row *row,
                                                       mien_error *err);
MIEN_API size_t mien_eval_table_rows(const mien_eval_table *table);
/** Whether lower scores are more alike. */
MIEN_API int mien_eval_table_lower(const mien_eval_table *table);
/** Look at a row; its labels are NULL (see mien_eval_table_label()). */
MIEN_API mien_eval_row mien_eval_table_row(const mien_eval_table *table, size_t row);
/** Name of label column 0, 1, ...; NULL past the end. *ret_dropped (may be NULL): it has too many values. */
MIEN_API const char *mien_eval_table_column(const mien_eval_table *table, size_t column, int *ret_dropped);
/** A row's label; NULL where there is none or the column was dropped. */
MIEN_API const char *mien_eval_table_label(const mien_eval_table *table, size_t row, size_t column);

typedef struct mien_eval_csv_opts {
    size_t struct_size;
    int direction; /**< 1 higher is more alike, -1 lower, 0 (default): lower where the scores' column is named
                        distance or dist */
    int pairs_only; /**< 1: pairs yet to be compared: two columns of pictures are wanted (a, b, image_a, ...),
                       a score is not, and every row says `failed`; 2: nor need anything tell mated from
                       non-mated: rows then say non-mated */
    uint64_t max_bytes; /**< default 4 GiB */
    /** Told of each row that is skipped: its line, from 1, and why. May be NULL. */
    void (*bad_row)(size_t line, const char *why, void *user);
    void *user;
} mien_eval_csv_opts;

#define MIEN_EVAL_CSV_OPTS_INIT                                         \
    {                                                                   \
        sizeof(mien_eval_csv_opts), 0, 0, (uint64_t)4 << 30, NULL, NULL \
    }

/** Read a table from CSV (RFC 4180), the output of any matcher.
 *  The first row names the columns; capitals, blanks and `_ - .` do not matter. One of scores (score,
 *  similarity, cosine, distance, ...); one that tells mated from non-mated (mated, label, same, genuine,
 * match, target, ... with 1/0, true/false, yes/no, same/different, genuine/impostor, ...) or two of people
 * (person_a, person_b, ...) or both; optionally a fold, two of pictures (a, b, image_a, ...). Any other
 * column holds labels. An empty score is a pair that could not be compared. Two columns without names are
 * score and label. Rows that cannot be used are reported and skipped.
 *  @param ret_bad  rows skipped; may be NULL
 *  @return MIEN_OK; E_EVAL_DATA when there is no such column or no row at all; E_NOT_FOUND, E_IO, E_LIMIT,
 * E_NOMEM
 *  @cost about a second for a million rows */
MIEN_API MIEN_MUST_USE mien_status mien_eval_table_read(const char *path, const mien_eval_csv_opts *opts,
                                                        mien_eval_table **ret, size_t *ret_bad,
                                                        mien_error *err);
/** The same from memory. */
MIEN_API MIEN_MUST_USE mien_status mien_eval_table_parse(const char *data, size_t size,
                                                         const mien_eval_csv_opts *opts,
                                                         mien_eval_table **ret, size_t *ret_bad,
                                                         mien_error *err);

/* ---- labels of people ---- */

/** What is known of people beside their names: a CSV file with a column of people (person, name, identity,
 * id) and columns of labels, a row per person. */
typedef struct mien_eval_labels mien_eval_labels;

/** Read labels. Rows that cannot be used, among them second rows of one person, are told to `opts` and
 * skipped.
 *  @return MIEN_OK; E_EVAL_DATA without a column of people and one of labels, or without a row; E_NOT_FOUND,
 * E_IO, E_LIMIT, E_NOMEM */
MIEN_API MIEN_MUST_USE mien_status mien_eval_labels_read(const char *path, const mien_eval_csv_opts *opts,
                                                         mien_eval_labels **ret, mien_error *err);
MIEN_API void mien_eval_labels_free(mien_eval_labels *labels);
/** Lend the names of the columns. */
MIEN_API size_t mien_eval_labels_columns(const mien_eval_labels *labels, const char *const **ret_names);
/** Labels of a pair: the person's own when both are one, and of two people what they share: the rates of a
 * group are those among its own members.
 *  @param ret  [columns]; NULL where there is none */
MIEN_API void mien_eval_labels_of(const mien_eval_labels *labels, const char *person_a, const char *person_b,
                                  const char **ret);

/* ---- choosing pairs ---- */

/** One chosen pair: indices of pictures, a < b within a person's order. */
typedef struct mien_eval_choice {
    uint32_t a, b;
} mien_eval_choice;

/** Choose pairs among labelled pictures: all of a kind when they are no more than `max_pairs`, else so many
 *  drawn from strata of equal length (no pair twice, every person in proportion).
 *  @param people    [n] person of each picture, from 0; below 0: left out
 *  @param ret       [*ret_mated + *ret_nonmated], mated ones first; the caller gives it to
 * mien_eval_choices_free()
 *  @param ret_total [2] mated and non-mated pairs there are; may be NULL
 *  @return MIEN_OK; E_EVAL_DATA without a pair of each kind; E_ARG; E_LIMIT; E_NOMEM */
MIEN_API MIEN_MUST_USE mien_status mien_eval_choose_pairs(const int32_t *people, size_t n, size_t max_pairs,
                                                          uint64_t seed, mien_eval_choice **ret,
                                                          size_t *ret_mated, size_t *ret_nonmated,
                                                          uint64_t *ret_total, mien_error *err);
MIEN_API void mien_eval_choices_free(mien_eval_choice *choices);

/* ---- verification ---- */

enum {
    MIEN_EVAL_FMRS = 6,  /**< 1e-1, 1e-2, ... 1e-6 */
    MIEN_EVAL_BINS = 80, /**< of the score histograms */
    MIEN_EVAL_DET = 37,  /**< points of the DET curve */
    MIEN_EVAL_MAX_WORST = 100,
};

typedef struct mien_eval_opts {
    size_t struct_size;
    double threshold; /**< to decide by, in the scores' own scale; NaN (default): chosen on these pairs */
    int resamples;    /**< of the bootstrap, default 1000; fewer (200 at least) are taken of large tables;
                           0: no intervals but those of independent trials */
    uint64_t seed;    /**< default 1 */
    unsigned threads; /**< 0 (default): all processors */
    size_t n_worst;   /**< errors of each kind to keep, default 12 */
} mien_eval_opts;

#define MIEN_EVAL_OPTS_INIT                                    \
    {                                                          \
        sizeof(mien_eval_opts), MIEN_EVAL_NONE, 1000, 1, 0, 12 \
    }
/** "No threshold": any value that is not finite serves. */
#define MIEN_EVAL_NONE ((double)NAN)

/** FNMR where the FMR is at most `fmr`: the threshold lies midway between the non-mated scores that it parts.
 */
typedef struct mien_eval_at_fmr {
    double fmr, threshold;
    mien_eval_rate fnmr;
    double fnmr_failed; /**< pairs that could not be compared count as non-matches */
    int supported; /**< 0: fewer than 3 / fmr non-mated pairs (rule of three: Hanley 1983); not to be trusted
                    */
} mien_eval_at_fmr;

/** What one threshold decides. Pairs that could not be compared are decided "different"; fmr and fnmr leave
 *  them out. */
typedef struct mien_eval_decided {
    double threshold;
    double chosen_fmr; /**< 0: the threshold was given; else chosen on these pairs at this FMR, or -1: at the
                            EER. Figures at a threshold chosen on the same pairs flatter. */
    uint64_t tp, fp, fn, tn; /**< failed ones among them */
    mien_eval_rate fmr, fnmr;
    mien_eval_rate accuracy, precision, recall, f1;
} mien_eval_decided;

/** Rates of one value of a label column, at the threshold that decides. */
typedef struct mien_eval_group {
    const char *column, *value;
    size_t n_mated, n_nonmated, n_failed, n_people; /**< n_people 0: unknown */
    mien_eval_rate fmr, fnmr;                       /**< 0 in [0, 1] without pairs */
} mien_eval_group;

typedef struct mien_eval_summary {
    size_t n_mated, n_nonmated;               /**< compared pairs */
    size_t n_failed_mated, n_failed_nonmated; /**< not compared */
    size_t n_people, n_mated_people;          /**< 0: unknown, pairs are taken as independent */
    int lower;                                /**< lower scores are more alike */
    int resamples;                            /**< that were taken */
    uint64_t seed;
    mien_eval_rate auc, eer;
    double eer_threshold;
    mien_eval_at_fmr at[MIEN_EVAL_FMRS];
    mien_eval_decided decided;
    /* k-fold (LFW): 0 folds when some pair has none; with 1 the threshold is chosen on the same pairs, which
     * flatters */
    size_t folds;
    double fold_accuracy, fold_accuracy_std, fold_threshold, fold_precision, fold_recall, fold_f1;
    /* curves */
    double score_lo, score_hi; /**< what the histograms span */
    uint64_t hist_mated[MIEN_EVAL_BINS], hist_nonmated[MIEN_EVAL_BINS];
    double det_fmr[MIEN_EVAL_DET];          /**< evenly in the logarithm; thresholds as in `at` */
    mien_eval_rate det_fnmr[MIEN_EVAL_DET]; /**< NaN where one non-mated pair in n is more than the FMR */
    const mien_eval_group *groups;          /**< by column, then value */
    size_t n_groups;
    /** Rows at which the decision errs most: false matches by falling, false non-matches by rising likeness.
     */
    const size_t *false_matches, *false_nonmatches;
    size_t n_false_matches, n_false_nonmatches;
} mien_eval_summary;

/** The figures of a table. Read-only, may be shared. */
typedef struct mien_evaluation mien_evaluation;

/** Measure a table.
 *  AUC: P(mated > non-mated) + P(equal) / 2 (Mann, Whitney 1947), that is the area under the polygon of the
 * ROC. EER: where that polygon meets FMR = FNMR. Folds: the threshold of each from the others (Huang et al.
 * 2007).
 *  @param table  must outlive the evaluation and stay as it is
 *  @param opts   NULL for the defaults
 *  @return MIEN_OK; E_EVAL_DATA when either kind of pair is missing; E_ARG; E_LIMIT; E_NOMEM */
MIEN_API MIEN_MUST_USE mien_status mien_eval_measure(const mien_eval_table *table, const mien_eval_opts *opts,
                                                     mien_evaluation **ret, mien_error *err);
MIEN_API void mien_evaluation_free(mien_evaluation *evaluation);
/** Lend the figures. */
MIEN_API const mien_eval_summary *mien_evaluation_summary(const mien_evaluation *evaluation);

/** A point of the ROC: rates when pairs at least as alike as `threshold` are accepted. */
typedef struct mien_eval_roc_point {
    double threshold, fmr, tmr;
} mien_eval_roc_point;

/** Every point of the ROC: one per different score from the most alike on, after a first one that accepts
 *  nothing, whose threshold is infinite.
 *  @param ret  the caller gives it to mien_eval_roc_free() */
MIEN_API MIEN_MUST_USE mien_status mien_eval_roc(const mien_eval_table *table, mien_eval_roc_point **ret,
                                                 size_t *ret_n, mien_error *err);
MIEN_API void mien_eval_roc_free(mien_eval_roc_point *points);

/* ---- open-set identification ---- */

enum {
    MIEN_EVAL_FPIRS = 4, /**< 1e-1, 3e-2, 1e-2, 1e-3 */
    MIEN_EVAL_RANKS = 20,
};

/** One search of a gallery. Scores: higher is more alike. */
typedef struct mien_eval_probe {
    int mated;  /**< 1: the person is in the gallery */
    int failed; /**< 1: no template could be made: no candidate, so a mated one is missed (ISO/IEC 19795-1) */
    double top; /**< score of the best candidate; not finite: no candidate */
    uint32_t rank; /**< of the right person among the candidates, from 1; 0: not among them, or not mated */
    const char *person; /**< whom the probe shows, as far as it is known: probes of one person are drawn
                             together; NULL: a person of its own */
} mien_eval_probe;

typedef struct mien_eval_search_opts {
    size_t struct_size;
    double threshold;  /**< in force; NaN (default): chosen on these probes at FPIR 0.01 or the next supported
                          one */
    size_t n_enrolled; /**< people in the gallery */
    int resamples;     /**< default 1000 */
    uint64_t seed;     /**< default 1 */
    unsigned threads;  /**< 0 (default): all processors */
} mien_eval_search_opts;

#define MIEN_EVAL_SEARCH_OPTS_INIT                                   \
    {                                                                \
        sizeof(mien_eval_search_opts), MIEN_EVAL_NONE, 0, 1000, 1, 0 \
    }

/** FNIR where the FPIR is at most `fpir`. */
typedef struct mien_eval_at_fpir {
    double fpir, threshold;
    mien_eval_rate fnir;
    int supported; /**< 0: fewer than 3 / fpir non-mated probes; not to be trusted */
} mien_eval_at_fpir;

/** FPIR: the fraction of non-mated probes with a candidate at or above the threshold. FNIR: the fraction of
 * mated probes whose person is not at rank 1 or below the threshold. Both over all probes, failed ones among
 * them. */
typedef struct mien_eval_search_summary {
    size_t n_mated, n_nonmated;               /**< probes, failed ones among them */
    size_t n_failed_mated, n_failed_nonmated; /**< no template could be made */
    size_t n_people;                          /**< whom the probes show */
    size_t n_enrolled;
    int by_people; /**< 1: some person has several probes, intervals are a bootstrap over people; 0: each
                      probe is a person, intervals of Clopper and Pearson. The gallery is taken as given */
    int resamples;
    uint64_t seed;
    double threshold;
    double chosen_fpir; /**< 0: the threshold was given; else chosen on these probes, which flatters */
    mien_eval_rate fpir, fnir;
    mien_eval_at_fpir at[MIEN_EVAL_FPIRS];
    mien_eval_rate rank[MIEN_EVAL_RANKS]; /**< CMC: the right person within the first 1, 2, ... candidates,
                                               whatever the score */
    double score_lo, score_hi;
    uint64_t hist_mated[MIEN_EVAL_BINS];      /**< of the right person's score where it is at rank 1 */
    uint64_t hist_nonmated[MIEN_EVAL_BINS];   /**< of the best candidate's score */
    double curve_fpir[MIEN_EVAL_DET];         /**< evenly in the logarithm */
    mien_eval_rate curve_fnir[MIEN_EVAL_DET]; /**< NaN where one non-mated probe is more than the FPIR */
} mien_eval_search_summary;

/** Measure searches. @return MIEN_OK; E_EVAL_DATA when either kind of probe is missing, or a mated probe has
 * rank 1 and no score; E_ARG; E_NOMEM */
MIEN_API MIEN_MUST_USE mien_status mien_eval_search(const mien_eval_probe *probes, size_t n,
                                                    const mien_eval_search_opts *opts,
                                                    mien_eval_search_summary *ret, mien_error *err);

/* ---- figures as JSON ---- */

/** What an evaluation's figures are told with. Texts may be NULL. */
typedef struct mien_eval_json_opts {
    size_t struct_size;
    const char *kind;    /**< "pairs", "folder", "scores" (default) */
    const char *data;    /**< what was measured */
    const char *matcher; /**< what made the scores */
    const char *fingerprint;
    const char *threshold_from;           /**< where a given threshold comes from */
    size_t n_images, n_no_face, n_bad;    /**< pictures; n_images 0: the scores came from elsewhere */
    size_t n_bad_rows;                    /**< of a file of scores or pairs */
    uint64_t total_mated, total_nonmated; /**< pairs there would be; 0: all were taken */
    double seconds;
    int without_scores; /**< 1: leave out each pair's score; without them nothing can be compared with it */
} mien_eval_json_opts;

#define MIEN_EVAL_JSON_OPTS_INIT                                                            \
    {                                                                                       \
        sizeof(mien_eval_json_opts), NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, 0.0, 0 \
    }

/** Write an evaluation's figures as JSON text, as `mien eval folder -f json` prints them: docs/eval.md has
 *  the fields. Of at most a million pairs the scores are in it too.
 *  @param opts  NULL for the defaults
 *  @return MIEN_OK; E_ARG; E_LIMIT (over 256 MiB); E_NOMEM
 *  @ownership *ret_text is freed with mien_eval_text_free() */
MIEN_API MIEN_MUST_USE mien_status mien_evaluation_json(const mien_evaluation *evaluation,
                                                        const mien_eval_json_opts *opts, char **ret_text,
                                                        mien_error *err);
MIEN_API void mien_eval_text_free(char *text);

/** What the figures of searches are told with. */
typedef struct mien_eval_search_json_opts {
    size_t struct_size;
    const char *matcher;            /**< NULL: "" */
    double fpir_asked;              /**< NaN (default): a threshold was given */
    int promised;                   /**< 1: the calibration supports that rate at the gallery's size */
    const mien_eval_rate *expected; /**< FPIR that the calibration expects there; NULL: none */
    size_t n_people, n_pictures;    /**< of the gallery */
    size_t n_left_out;              /**< probes of people who are not in it though they are said to be */
    int curves;                     /**< 1: with score histograms and the curve of FNIR over FPIR */
} mien_eval_search_json_opts;

#define MIEN_EVAL_SEARCH_JSON_OPTS_INIT                                               \
    {                                                                                 \
        sizeof(mien_eval_search_json_opts), NULL, MIEN_EVAL_NONE, 0, NULL, 0, 0, 0, 0 \
    }

/** The same for searches, as `mien eval identify -f json` prints them. */
MIEN_API MIEN_MUST_USE mien_status mien_eval_search_json(const mien_eval_search_summary *summary,
                                                         const mien_eval_search_json_opts *opts,
                                                         char **ret_text, mien_error *err);

/* ---- comparing two matchers ---- */

enum { MIEN_EVAL_MAX_DIFFERENCES = 10 };

typedef struct mien_eval_difference {
    const char *name;          /**< "fnmr_at_fmr_1e-3", "eer", "auc", "accuracy"; static string */
    int better;                /**< +1 higher is better, -1 lower is better */
    double a, b;               /**< pairs that could not be compared count as decided "different" */
    mien_eval_rate difference; /**< b - a */
    int shown;                 /**< +1 b is better, -1 worse, 0: the interval holds 0, nothing is shown */
} mien_eval_difference;

typedef struct mien_eval_comparison {
    int paired; /**< 1: the same pairs in the same order, resampled together; 2: so it seems, nothing names
                     them but order and labels agree; 0: two samples */
    size_t n_people; /**< 0: pairs are taken as independent */
    size_t n_pairs_a, n_pairs_b;
    mien_eval_difference v[MIEN_EVAL_MAX_DIFFERENCES];
    size_t n;
    /** Paired decisions, each at its own threshold: right by a alone, by b alone; exact two-sided McNemar
     * test, which takes pairs as independent. p is 1 where not paired. */
    uint64_t only_a, only_b;
    double mcnemar_p;
} mien_eval_comparison;

/** Compare two matchers: paired when both tables hold the same pairs, else as two samples.
 *  @param threshold_a, threshold_b  to decide by; not finite: each at the FMR that both support
 *  @return MIEN_OK; E_EVAL_DATA; E_ARG; E_NOMEM */
MIEN_API MIEN_MUST_USE mien_status mien_eval_compare(const mien_eval_table *a, const mien_eval_table *b,
                                                     double threshold_a, double threshold_b,
                                                     const mien_eval_opts *opts, mien_eval_comparison *ret,
                                                     mien_error *err);

/* ---- reports ---- */

typedef struct mien_eval_entry {
    const char *key, *value;
} mien_eval_entry;

/** A JPEG; NULL: none. */
typedef struct mien_eval_picture {
    const uint8_t *jpeg;
    size_t bytes;
} mien_eval_picture;

typedef struct mien_eval_report_opts {
    size_t struct_size;
    const char *title;   /**< NULL: "Evaluation" */
    const char *matcher; /**< what made the scores; NULL: not said */
    const char
        *threshold_from; /**< where a given threshold comes from: "the model's calibration at FMR 1e-3" */
    const mien_eval_entry *entries; /**< data, protocol, command, fingerprint, ... as they are to be listed */
    size_t n_entries;
    /** Crops of the worst errors: two for each false match, then two for each false non-match, in the order
     * of the summary. NULL: no picture. Faces are personal data: put them in when they are wanted only. */
    const mien_eval_picture *pictures;
} mien_eval_report_opts;

#define MIEN_EVAL_REPORT_OPTS_INIT                                     \
    {                                                                  \
        sizeof(mien_eval_report_opts), NULL, NULL, NULL, NULL, 0, NULL \
    }

/** Write one self-contained HTML page: it asks for nothing, runs no script, follows the reader's light or
 * dark setting. Figures with intervals, score histograms, DET, ROC, groups, the worst errors.
 *  @return MIEN_OK; E_ARG (a picture is no JPEG); E_LIMIT (over 64 MiB); E_IO; E_NOMEM - the file is written
 * whole or not at all */
MIEN_API MIEN_MUST_USE mien_status mien_eval_report(const mien_evaluation *evaluation,
                                                    const mien_eval_report_opts *opts, const char *path,
                                                    mien_error *err);
/** The same for searches: FPIR and FNIR, their curve, CMC, score histograms. `pictures` are not used. */
MIEN_API MIEN_MUST_USE mien_status mien_eval_search_report(const mien_eval_search_summary *summary,
                                                           const mien_eval_report_opts *opts,
                                                           const char *path, mien_error *err);

MIEN_END_DECLS

#endif
