/* The inside of a curve, shared by the files of this folder. */
#ifndef MIEN_SRC_DECIDE_CURVE_H
#define MIEN_SRC_DECIDE_CURVE_H

#include "base/base.h"
#include <mien/decide.h>

enum {
    MIEN__CURVE_PEOPLE = 4000,
    MIEN__CURVE_TRIALS = 10000000,
    MIEN__CURVE_TEXT = 4096, /* bytes of each text of the description */
};

struct mien_curve {
    mien_curve_info info;                           /* points and texts are the ones below */
    mien_curve_point points[MIEN_MAX_CURVE_POINTS]; /* n >= 2 */
    char *texts[3];                                 /* model, protocol, date; owned */
};

/* A curve without points: texts copied, numbers zero. */
mien_status mien__curve_new(const char *model, const char *protocol, const char *date, mien_curve **ret,
                            mien_error *err);
/* Whether the points are a curve: at least two, rates in [1e-15, 1) ascending, thresholds finite and falling,
 * each rate inside its interval. */
bool mien__curve_points_ok(const mien_curve_point *p, size_t n);

enum { MIEN__CURVE_VALUE, MIEN__CURVE_LO, MIEN__CURVE_HI };

/* The rate at a similarity by the value or an end of its interval, linear in log(rate) between points;
 * *ret_bound as mien_estimate's. */
double mien__curve_rate(const mien_curve *curve, int which, double similarity, int *ret_bound);
/* How much farther out a stranger's score lies against a template of `pictures` pictures: >= 1. */
double mien__curve_fusion(const mien_curve *curve, double pictures);
/* Squared coefficient of variation, over people, of the rate at which strangers are taken for them. */
double mien__curve_variation(const mien_curve *curve, double fmr);
/* z with P(N(0, 1) > z) = p, p in (0, 1). */
double mien__normal_upper(double p);

/* ---- fitting ---- */

/* The rates that tables are made of: 0.2 downward, six a decade. Rate 0, 1, ...; 0 past the end. */
double mien__curve_rate_at(size_t index);
/* Half-open tail above u: rate p_u (1 + xi (t - u) / sigma)^(-1 / xi). */
typedef struct mien__tail {
    double u, p_u, xi, sigma;
} mien__tail;
/* Fit to the m highest of descending scores, u the next one; false when they do not vary. */
bool mien__tail_fit(const mien_curve_trial *descending, size_t m, size_t n, mien__tail *ret);
double mien__tail_threshold(const mien__tail *tail, double rate);
/* The interval of a rate over comparisons worth `effective` independent ones, of `people` people. */
mien_estimate mien__rate_interval(double rate, double effective, size_t people);

/* Put points, sizes and n_independent into `curve`; trials are sorted by it. */
mien_status mien__curve_fit_points(mien_curve *curve, mien_curve_trial *trials, size_t n, double target_fmr,
                                   mien_error *err);

/* Templates with dense people 0..n_people-1, in the order of people. */
typedef struct mien__cohort {
    const float *vecs;
    const size_t *rows;     /* [n] of vecs */
    const uint32_t *person; /* [n] */
    size_t n, dim, n_people;
} mien__cohort;
/* Measure spread and fusion; what the cohort is too small for stays untouched. */
mien_status mien__curve_fit_cohort(mien_curve_info *info, const mien__cohort *cohort, mien_error *err);

#endif
