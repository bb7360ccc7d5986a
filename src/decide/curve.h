/* The inside of a curve, shared by the files of this folder. */
#ifndef MIEN_SRC_DECIDE_CURVE_H
#define MIEN_SRC_DECIDE_CURVE_H

#include "base/base.h"
#include <mien/decide.h>

struct mien_curve {
    mien_operating_point points[MIEN_MAX_OPERATING_POINTS]; /* ascending fmr, falling threshold; n >= 2 */
    size_t n_points;
    double spread;       /* in [0, 1): share of a score's variance that lies with the person; see search.c */
    double fusion_mated; /* mean cosine of two pictures of one person; 0: not known */
    double fusion_other; /* how alike two pictures of one person score against a stranger; see search.c */
};

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

#endif
