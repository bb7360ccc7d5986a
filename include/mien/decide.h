/* Decisions with a stated error rate: how alike two faces are, how often strangers are as alike, and from
 * where on a face counts as known.
 *
 * A curve says, for a similarity, which fraction of strangers reaches it: the false match rate of one
 * comparison (FMR), and, for a gallery of n people, the fraction of strangers that would be taken for
 * somebody in it (false positive identification rate, FPIR; ISO/IEC 19795-1). It comes from a model's own
 * calibration or is fitted on labelled pictures, and says nothing that its people are too few to support.
 *
 * Threads: a mien_curve is read-only after it is made and may be shared.
 */
#ifndef MIEN_DECIDE_H
#define MIEN_DECIDE_H

#include <mien/model.h>

MIEN_BEGIN_DECLS

/* ---- one comparison, by the model's own table ---- */

/** Cosine similarity in [-1, 1] of two vectors, accumulated in double; 0 when either is zero. */
MIEN_API double mien_cosine(const float *a, const float *b, size_t len);

/** Euclidean distance of the unit vectors behind a cosine: sqrt(2 - 2 s). */
MIEN_API double mien_distance_of(double cosine);

/** A decision between two faces and what it stands on. */
typedef struct mien_decision {
    double similarity;   /**< cosine, higher is more alike */
    double distance;     /**< Euclidean between unit vectors */
    double threshold;    /**< cosine at or above which faces count as the same person */
    double fmr;          /**< false match rate of that threshold; 0 when not calibrated */
    double score_fmr;    /**< fraction of non-mated pairs scoring at least `similarity` */
    int score_fmr_bound; /**< as mien_model_fmr()'s ret_bound */
    int same;            /**< 1 or 0 */
} mien_decision;

/** Decide whether a similarity means the same person, at `fmr` (0: the model's default).
 *  @return MIEN_OK; E_NOT_FOUND when the model has no calibration for that rate */
MIEN_API MIEN_MUST_USE mien_status mien_decide(const mien_model *model, double similarity, double fmr,
                                               mien_decision *ret, mien_error *err);

/* ---- curves ---- */

typedef struct mien_curve mien_curve;

/** A rate, or a threshold, with its 95 % interval. */
typedef struct mien_estimate {
    double value, lo, hi;
    int bound; /**< 0; -1: the truth is lower than `value`, +1: higher: what the data support ends there */
} mien_estimate;

/** One point of a curve. */
typedef struct mien_curve_point {
    double threshold;        /**< cosine */
    mien_estimate fmr, fnmr; /**< of non-mated and mated comparisons there; fnmr.value < 0: not measured */
} mien_curve_point;

enum { MIEN_MAX_CURVE_POINTS = 64 };

/** What a curve stands on. Strings are never NULL; lifetime of the curve. */
typedef struct mien_curve_info {
    const char *model;    /**< what the templates came from: a fingerprint or name; "" */
    const char *protocol; /**< how and on what it was fitted; "" */
    const char *date;     /**< ISO 8601; "" */
    uint64_t n_people, n_pictures;
    uint64_t n_mated, n_nonmated; /**< comparisons */
    double n_independent;         /**< independent comparisons that the non-mated ones are worth at the lowest
                                       rate; 0: not known */
    double spread; /**< share of a score's variance that lies with the person, [0, 1); 0: not known */
    double fusion_mated, fusion_other; /**< how fused templates score, docs/decide.md; 0: not known */
    const mien_curve_point *points;    /**< ascending fmr, falling threshold */
    size_t n_points;
} mien_curve_info;

/** Make a curve of a model's own calibration.
 *  @return MIEN_OK; E_NOT_FOUND when the model is not calibrated; E_MODEL_TASK; E_NOMEM
 *  @ownership free with mien_curve_free(); the model need not outlive it */
MIEN_API MIEN_MUST_USE mien_status mien_curve_of_model(const mien_model *model, mien_curve **ret,
                                                       mien_error *err);
MIEN_API void mien_curve_free(mien_curve *curve);

typedef struct mien_curve_fit_opts {
    size_t struct_size;
    const char *model, *protocol, *date; /**< for the curve's description; copied; NULL: "" */
    double target_fmr; /**< refuse when the data do not support this rate; 0: whatever they support */
    const mien_curve
        *base; /**< where spread and fusion are taken from when the data are too few to tell; NULL */
} mien_curve_fit_opts;

#define MIEN_CURVE_FIT_OPTS_INIT                               \
    {                                                          \
        sizeof(mien_curve_fit_opts), NULL, NULL, NULL, 0, NULL \
    }

/** Fit a curve on templates of labelled pictures: every two pictures of different people are a non-mated
 *  comparison, every two of one person a mated one.
 *  Rates: empirical, and in the tail a generalised Pareto distribution (peaks over a threshold, fitted by
 *  probability-weighted moments: Hosking, Wallis 1987). Intervals: comparisons that share a person depend on
 *  each other; their variance is the one robust to that (Aronow, Samii, Assenova 2015), made an effective
 * number of comparisons for Clopper and Pearson's interval (Korn, Graubard 1998). A rate is supported when
 * three of its matches are expected among that effective number (rule of three). Of very large sets an even
 * choice of 4,000 people and ten million comparisons is used.
 *  @param vecs    [n][dim], unit L2 norm
 *  @param people  [n]: equal numbers, one person
 *  @return MIEN_OK; E_EVAL_DATA: too few people, or too few for opts->target_fmr (the message says what they
 *          support); E_ARG, E_NOMEM
 *  @threads any.  @cost about a second per million comparisons */
MIEN_API MIEN_MUST_USE mien_status mien_curve_fit(const float *vecs, const uint32_t *people, size_t n,
                                                  size_t dim, const mien_curve_fit_opts *opts,
                                                  mien_curve **ret, mien_error *err);

/** One comparison's score and whose pictures were compared; a == b: mated. */
typedef struct mien_curve_trial {
    float score; /**< cosine, or any score that is higher for what is more alike */
    uint32_t a, b;
} mien_curve_trial;

/** Fit a curve on scores alone, as of another matcher. Spread and fusion are those of opts->base.
 *  @param n  at most 10,000,000, of at most 4,000 people: else E_LIMIT */
MIEN_API MIEN_MUST_USE mien_status mien_curve_fit_scores(const mien_curve_trial *trials, size_t n,
                                                         const mien_curve_fit_opts *opts, mien_curve **ret,
                                                         mien_error *err);

/** Lend what the curve stands on. */
MIEN_API const mien_curve_info *mien_curve_info_of(const mien_curve *curve);

/** Write a curve as JSON text, as it is kept with a gallery.
 *  @ownership *ret_text is freed with mien_curve_text_free() */
MIEN_API MIEN_MUST_USE mien_status mien_curve_to_json(const mien_curve *curve, char **ret_text,
                                                      mien_error *err);
MIEN_API void mien_curve_text_free(char *text);

/** Read JSON text that mien_curve_to_json() wrote; whatever else is refused.
 *  @return MIEN_OK; E_EVAL_DATA (not a curve), E_LIMIT (above 256 KB), E_NOMEM */
MIEN_API MIEN_MUST_USE mien_status mien_curve_of_json(const char *text, size_t bytes, mien_curve **ret,
                                                      mien_error *err);

struct mien_gallery; /* <mien/gallery.h> */

/** Make the curve that holds for a gallery: the one kept with it, where it was fitted on templates of the
 * same model; else the model's own.
 *  @param model  the gallery's embedder
 *  @return MIEN_OK; what mien_curve_of_model() and mien_gallery_text() return; E_EVAL_DATA: what is kept is
 * no curve */
MIEN_API MIEN_MUST_USE mien_status mien_curve_of_gallery(struct mien_gallery *gallery,
                                                         const mien_model *model, mien_curve **ret,
                                                         mien_error *err);

/** Keep a curve with a gallery, as its text "calibration". Its model must be the gallery's (fingerprint). */
MIEN_API MIEN_MUST_USE mien_status mien_curve_to_gallery(const mien_curve *curve,
                                                         struct mien_gallery *gallery, mien_error *err);

/** Estimate which fraction of strangers scores at least `similarity` in one comparison. */
MIEN_API MIEN_MUST_USE mien_status mien_curve_fmr(const mien_curve *curve, double similarity,
                                                  mien_estimate *ret, mien_error *err);

/** Look up the threshold of a false match rate.
 *  @return MIEN_OK; E_EVAL_DATA when the data do not support the rate (the message says what they do) */
MIEN_API MIEN_MUST_USE mien_status mien_curve_threshold(const mien_curve *curve, double fmr,
                                                        mien_estimate *ret, mien_error *err);

/** What a search goes through. */
typedef struct mien_search_size {
    uint64_t n_people; /**< with a template in the gallery, 1..1e9 */
    double pictures; /**< mean number of pictures behind a person's template, 1..1000: n_faces / n_people of a
                          gallery. A template fused from several is nearer to strangers too, by some
                          hundredths: docs/decide.md */
} mien_search_size;

struct mien_gallery_info; /* <mien/gallery.h> */

/** What a search of a gallery goes through: its people but those expired, who are never matched, and the mean
 *  number of their pictures. */
MIEN_API mien_search_size mien_search_size_of(const struct mien_gallery_info *info);

/** Estimate which fraction of strangers would find somebody at or above `similarity`.
 *  Method: a stranger p is taken for one of n with 1 - (1 - F_p)^n, where F_p, how easily strangers resemble
 *  p, differs from stranger to stranger as the curve's spread says; docs/decide.md derives and measures it.
 *  The interval is that of a gallery of this size: it holds the curve's own and the chance of who is in it.
 */
MIEN_API MIEN_MUST_USE mien_status mien_curve_search_fpir(const mien_curve *curve, double similarity,
                                                          const mien_search_size *size, mien_estimate *ret,
                                                          mien_error *err);

/** Look up the threshold that keeps a search at a false positive identification rate.
 *  @return MIEN_OK; E_EVAL_DATA when the data do not support that rate at that size (the message says the
 *          lowest they do) */
MIEN_API MIEN_MUST_USE mien_status mien_curve_search_threshold(const mien_curve *curve,
                                                               const mien_search_size *size, double fpir,
                                                               mien_estimate *ret, mien_error *err);

/* ---- a search's decision ---- */

/** Whether the best candidate of a search is the person, and what that stands on. */
typedef struct mien_search_decision {
    int known;          /**< 1: similarity >= threshold; 0: unknown */
    double similarity;  /**< of the best candidate; -1 when there is none */
    double threshold;   /**< that held */
    mien_estimate fpir; /**< of that threshold at this gallery size */
    int promised;       /**< 1: fpir.value is the rate asked for; 0: the data do not support so low a rate at
                             this size, the strictest threshold that they do support was taken, and
                             fpir says what that stands for */
    mien_estimate score_fpir; /**< fraction of strangers who would be taken for somebody, were the threshold
                                   at the candidate's similarity */
    mien_estimate score_fmr;  /**< fraction of strangers as alike as that in one comparison */
    mien_search_size size;
} mien_search_decision;

/** Decide about the best candidate of a search.
 *  @param similarity  of the best candidate; -1 when the search gave none
 *  @param size        NULL or n_people 0: an empty gallery, nobody is known
 *  @param fpir        the rate wanted, in (0, 1)
 *  @return MIEN_OK; E_ARG.  A rate that the data do not support is no error: see `promised` */
MIEN_API MIEN_MUST_USE mien_status mien_curve_decide(const mien_curve *curve, double similarity,
                                                     const mien_search_size *size, double fpir,
                                                     mien_search_decision *ret, mien_error *err);

/** The same at a threshold that the caller sets; fpir says what it stands for, promised is 1. */
MIEN_API MIEN_MUST_USE mien_status mien_curve_decide_at(const mien_curve *curve, double similarity,
                                                        const mien_search_size *size, double threshold,
                                                        mien_search_decision *ret, mien_error *err);

/** Say a rate for people, to two figures: "about 1 in 180,000", "fewer than 1 in 330,000", "more than 1 in
 * 5".
 *  @param ret  [capacity], always ended; 48 bytes are enough */
MIEN_API void mien_rate_words(const mien_estimate *rate, char *ret, size_t capacity);

/** Say what a search's decision stands on, without a name: "about 1 in 180 strangers would be taken for one
 * of these 120 people at this similarity".
 *  @param ret  [capacity], always ended; 256 bytes are enough */
MIEN_API void mien_search_words(const mien_search_decision *decision, char *ret, size_t capacity);

/** The two cosines that an enrolment is judged by (mien_enrolment): from `ret_other` on another person of
 *  the gallery looks the same, at the rate `fpir` for its size; below `ret_unlike`, which one pair of
 *  strangers in twenty reaches, a picture is not of the person it is said to be of.
 *  @param ret_unlike  -2 where the data do not support that rate
 *  @return MIEN_OK; E_ARG */
MIEN_API MIEN_MUST_USE mien_status mien_curve_enrolment(const mien_curve *curve, const mien_search_size *size,
                                                        double fpir, double *ret_other, double *ret_unlike,
                                                        mien_error *err);

MIEN_END_DECLS

#endif
