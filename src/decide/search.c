/* From one comparison to a search among many people.
 *
 * Templates fused from k pictures. A person's template is the mean of k unit vectors, made unit again. With c
 * the mean cosine between two pictures of one person, that mean has length sqrt(c + (1 - c)/k), and a
 * stranger's score against the template is the mean of his k scores divided by it. With r the correlation of
 * two of these scores, their mean spreads sqrt(r + (1 - r)/k) as far as one of them. So a score against a
 * template of k pictures reaches
 *
 *     g(k) = sqrt((r + (1 - r)/k) / (c + (1 - c)/k))
 *
 * times as far as one between two pictures: the curve of pairs is read at similarity / g(k).
 *
 * Many people. A stranger p is found in a gallery of n with 1 - (1 - F_p)^n, F_p being the rate at which
 * people's templates reach the threshold against p. F_p differs between strangers (Doddington et al. 1998:
 * wolves and lambs), so with the mean F = FMR the FPIR is below 1 - (1 - F)^n. F_p is taken as Beta
 * distributed with mean F and squared coefficient of variation v, for which E (1 - F_p)^n is a ratio of gamma
 * functions (the beta-binomial's zero term). v grows into the tail: when a share q of a score's variance lies
 * with the person, a Gaussian score at z standard deviations gives 1 + v = exp(q z^2), z the normal quantile
 * of F; q is the curve's `spread`, fitted on cohorts.
 *
 * Who is in the gallery varies as strangers do, so a gallery's own rate differs from the mean by sqrt(v / n)
 * relatively; the interval holds that beside the curve's own, added in squares of logarithms.
 */
#include "decide/curve.h"
#include <math.h>

double mien__normal_upper(double p)
{
    if (p > 0.5)
        return -mien__normal_upper(1 - p);
    double z =
        sqrt(-2 * log(2 * p)); /* Newton on the logarithm of the tail, concave: converges from anywhere */
    for (int i = 0; i < 30; i++) {
        const double tail = 0.5 * erfc(z / sqrt(2.0)), density = exp(-z * z / 2) / sqrt(2 * acos(-1.0));
        const double step = (log(tail) - log(p)) * tail / density;
        z += step;
        if (fabs(step) < 1e-13)
            break;
    }
    return z;
}

double mien__curve_fusion(const mien_curve *curve, double pictures)
{
    const double c = curve->info.fusion_mated, r = curve->info.fusion_other, k = pictures > 1 ? pictures : 1;
    if (!(c > 0) || !(r > c))
        return 1;
    return sqrt((r + (1 - r) / k) / (c + (1 - c) / k));
}

/* Half of what a distribution on [0, 1] can have. */
static double most_variation(double fmr)
{
    return (1 - fmr) / fmr / 2;
}

double mien__curve_variation(const mien_curve *curve, double fmr)
{
    if (!(fmr < 0.5) || !(curve->info.spread > 0))
        return 0;
    const double z = mien__normal_upper(fmr);
    const double v = exp(curve->info.spread * z * z) - 1;
    return v < most_variation(fmr) ? v : most_variation(fmr);
}

/* ln of gamma(b + n) gamma(s) / (gamma(b) gamma(s + n)) for b = s (1 - fmr): by Stirling's series where
 * gamma's own logarithms would cancel. */
static double ln_ratio(double b, double s, double fmr, double n)
{
    if (b < 30)
        return lgamma(b + n) - lgamma(b) - (lgamma(s + n) - lgamma(s));
    const double series = 1 / (b + n) - 1 / b - 1 / (s + n) + 1 / s;
    return (b + n - 0.5) * log1p(n / b) - (s + n - 0.5) * log1p(n / s) + n * log1p(-fmr) + series / 12;
}

/* 1 - E (1 - F_p)^n for a mean rate and its squared coefficient of variation. */
static double found(double fmr, double variation, double n)
{
    if (!(fmr < 1))
        return 1;
    const double most = most_variation(fmr), v = variation < most ? variation : most;
    const double sum = (1 - fmr) / (v * fmr) - 1;
    if (!(v > 1e-9) || !(sum < 1e12))
        return -expm1(n * log1p(-fmr));
    const double rate = -expm1(ln_ratio((1 - fmr) * sum, sum, fmr, n));
    return rate > 0 ? rate : 0;
}

static double fpir_at(const mien_curve *curve, const mien_search_size *size, int which, double similarity,
                      int *ret_bound)
{
    const double n = (double)size->n_people, s = similarity / mien__curve_fusion(curve, size->pictures);
    int bound = 0;
    const double value = mien__curve_rate(curve, MIEN__CURVE_VALUE, s, ret_bound);
    const double v = mien__curve_variation(curve, value), mean = found(value, v, n);
    if (which == MIEN__CURVE_VALUE)
        return mean;
    const double end = found(mien__curve_rate(curve, which, s, &bound), v, n);
    if (!(mean > 0))
        return which == MIEN__CURVE_LO ? 0 : end;
    const double own = log(end / mean), other = 1.96 * sqrt(log1p(v / n));
    const double both = sqrt(own * own + other * other);
    const double rate = mean * exp(which == MIEN__CURVE_LO ? -both : both);
    return rate < 1 ? rate : 1;
}

static mien_status check(const mien_curve *curve, const mien_search_size *size, const void *ret,
                         mien_error *err)
{
    if (!curve || !size || !ret)
        return mien__fail(err, MIEN_E_ARG, "curve: a pointer is NULL");
    if (size->n_people < 1 || size->n_people > 1000000000)
        return mien__fail(err, MIEN_E_ARG, "curve: a search among %llu people, must be 1..1e9",
                          (unsigned long long)size->n_people);
    if (!(size->pictures >= 1 && size->pictures <= 1000))
        return mien__fail(err, MIEN_E_ARG, "curve: templates of %g pictures, must be 1..1000",
                          size->pictures);
    return MIEN_OK;
}

mien_status mien_curve_search_fpir(const mien_curve *curve, double similarity, const mien_search_size *size,
                                   mien_estimate *ret, mien_error *err)
{
    const mien_status st = check(curve, size, ret, err);
    if (st)
        return st;
    if (!isfinite(similarity))
        return mien__fail(err, MIEN_E_ARG, "curve: the similarity is not finite");
    mien_estimate e = { 0 };
    e.value = fpir_at(curve, size, MIEN__CURVE_VALUE, similarity, &e.bound);
    e.lo = e.bound < 0 ? 0 : fpir_at(curve, size, MIEN__CURVE_LO, similarity, &e.bound);
    e.hi = e.bound > 0 ? 1 : fpir_at(curve, size, MIEN__CURVE_HI, similarity, &e.bound);
    *ret = e;
    return MIEN_OK;
}

/* The highest threshold in the table's range at which the chosen end of the interval is at least `fpir`. */
static double threshold_at(const mien_curve *curve, const mien_search_size *size, int which, double fpir)
{
    const double g = mien__curve_fusion(curve, size->pictures);
    double lo = g * curve->points[curve->info.n_points - 1].threshold, hi = g * curve->points[0].threshold;
    int bound = 0;
    if (fpir_at(curve, size, which, hi, &bound) >= fpir)
        return hi;
    for (int i = 0; i < 60; i++) {
        const double mid = (lo + hi) / 2;
        if (fpir_at(curve, size, which, mid, &bound) >= fpir)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

mien_status mien_curve_search_threshold(const mien_curve *curve, const mien_search_size *size, double fpir,
                                        mien_estimate *ret, mien_error *err)
{
    const mien_status st = check(curve, size, ret, err);
    if (st)
        return st;
    if (!(fpir > 0 && fpir < 1))
        return mien__fail(err, MIEN_E_ARG,
                          "curve: a false positive identification rate of %g is not in (0, 1)", fpir);
    int bound = 0;
    const double top = mien__curve_fusion(curve, size->pictures) * curve->points[0].threshold;
    const double least = fpir_at(curve, size, MIEN__CURVE_VALUE, top, &bound);
    if (fpir < least * (1 - 1e-9))
        return mien__fail(err, MIEN_E_EVAL_DATA,
                          "among %llu people a false positive identification rate of %g is lower than the "
                          "calibration supports: the best claim is %.2g, at threshold %.4f",
                          (unsigned long long)size->n_people, fpir, least, top);
    *ret = (mien_estimate){ threshold_at(curve, size, MIEN__CURVE_VALUE, fpir),
                            threshold_at(curve, size, MIEN__CURVE_LO, fpir),
                            threshold_at(curve, size, MIEN__CURVE_HI, fpir), 0 };
    return MIEN_OK;
}

static mien_status decide_at(const mien_curve *curve, double similarity, const mien_search_size *size,
                             double threshold, int promised, mien_search_decision *ret, mien_error *err)
{
    mien_search_decision d = { .threshold = threshold, .promised = promised, .size = *size };
    d.similarity = similarity > 1 ? 1 : similarity > -1 ? similarity : -1;
    mien_status st = mien_curve_search_fpir(curve, threshold, size, &d.fpir, err);
    if (!st)
        st = mien_curve_search_fpir(curve, d.similarity, size, &d.score_fpir, err);
    if (!st)
        st = mien_curve_fmr(curve, d.similarity / mien__curve_fusion(curve, size->pictures), &d.score_fmr,
                            err);
    if (st)
        return st;
    d.known = similarity >= threshold;
    *ret = d;
    return MIEN_OK;
}

/* Nobody can be known in an empty gallery; nobody is mistaken there either. */
static mien_search_decision nobody(double threshold)
{
    mien_search_decision d = { .similarity = -1, .threshold = threshold, .promised = 1 };
    d.score_fmr = (mien_estimate){ 1, 1, 1, 0 };
    return d;
}

mien_status mien_curve_decide_at(const mien_curve *curve, double similarity, const mien_search_size *size,
                                 double threshold, mien_search_decision *ret, mien_error *err)
{
    if (!curve || !ret)
        return mien__fail(err, MIEN_E_ARG, "curve: a pointer is NULL");
    if (!isfinite(similarity) || !isfinite(threshold))
        return mien__fail(err, MIEN_E_ARG, "curve: the similarity or the threshold is not finite");
    if (size && size->n_people)
        return decide_at(curve, similarity, size, threshold, 1, ret, err);
    *ret = nobody(threshold);
    return MIEN_OK;
}

mien_status mien_curve_decide(const mien_curve *curve, double similarity, const mien_search_size *size,
                              double fpir, mien_search_decision *ret, mien_error *err)
{
    if (!curve || !ret)
        return mien__fail(err, MIEN_E_ARG, "curve: a pointer is NULL");
    if (!isfinite(similarity))
        return mien__fail(err, MIEN_E_ARG, "curve: the similarity is not finite");
    const mien_search_size one = { 1, 1 };
    const mien_search_size *s = size && size->n_people ? size : &one;
    mien_estimate t = { 0 };
    mien_error reason = MIEN_ERROR_INIT;
    mien_status st = mien_curve_search_threshold(curve, s, fpir, &t, &reason);
    const int promised = !st;
    if (st == MIEN_E_EVAL_DATA) {
        t.value = mien__curve_fusion(curve, s->pictures) * curve->points[0].threshold;
        st = MIEN_OK;
    }
    if (st) {
        if (err)
            *err = reason;
        return st;
    }
    if (s != &one)
        return decide_at(curve, similarity, s, t.value, promised, ret, err);
    *ret = nobody(t.value);
    return MIEN_OK;
}
