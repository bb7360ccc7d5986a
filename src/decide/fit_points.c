/* The points of a curve from scored comparisons.
 *
 * Comparisons that share a person depend on each other, so n of them are worth fewer. With e_ab the matches
 * above a threshold between the people a and b less those expected, the variance of the number of matches is
 *
 *     V = sum over all pairs of (a, b), (c, d) that share a person of e_ab e_cd
 *       = sum_a (sum_b e_ab)^2 - sum_(a<b) e_ab^2
 *
 * (Fafchamps, Gubert 2007; Aronow, Samii, Assenova 2015, eq. 3), and n_eff = p (1 - p) n^2 / V independent
 * comparisons would vary as much. Resampling people says the same where people differ much, but three times
 * the variance where matches are rare and independent, as they are in the tail: a pair's weight is a product
 * of two random numbers then. test_decide_fit.c counts how often the intervals hold the truth.
 *
 * Rates are taken from the top down while three matches are expected among n_eff (rule of three: Hanley,
 * Lippman-Hand 1983); n_eff is measured where at least ten matches are, and kept below. From 1 in 100
 * downward (or from where a hundred effective matches are) thresholds come from the tail's distribution,
 * before from the scores.
 */
#include "decide/curve.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_MATCHES = 10, TAIL_MATCHES = 100 };

typedef struct sweep {
    const mien_curve_trial *trials; /* non-mated, descending */
    size_t n, at, n_people;
    uint32_t *pairs, *hits;      /* [n_people (n_people - 1) / 2] comparisons and matches of two people */
    double *own_pairs, *own;     /* [n_people] the same per person */
    double hits2, cross, pairs2; /* sums over pairs of people: hits^2, hits * pairs, pairs^2 */
} sweep;

static size_t dyad(uint32_t a, uint32_t b)
{
    const size_t hi = a > b ? a : b, lo = a > b ? b : a;
    return hi * (hi - 1) / 2 + lo;
}

static void sweep_close(sweep *s)
{
    mien_free(s->pairs);
    mien_free(s->hits);
    mien_free(s->own_pairs);
    mien_free(s->own);
}

static mien_status sweep_open(sweep *s, const mien_curve_trial *trials, size_t n, size_t n_people,
                              mien_error *err)
{
    const size_t dyads = n_people * (n_people - 1) / 2;
    *s = (sweep){ .trials = trials, .n = n, .n_people = n_people };
    s->pairs = mien_alloc_array_zero(dyads, sizeof *s->pairs);
    s->hits = mien_alloc_array_zero(dyads, sizeof *s->hits);
    s->own_pairs = mien_alloc_array_zero(n_people, sizeof *s->own_pairs);
    s->own = mien_alloc_array_zero(n_people, sizeof *s->own);
    if (!s->pairs || !s->hits || !s->own_pairs || !s->own) {
        sweep_close(s);
        return mien__nomem(err, dyads * sizeof *s->pairs);
    }
    for (size_t i = 0; i < n; i++) {
        s->pairs2 += 2.0 * s->pairs[dyad(trials[i].a, trials[i].b)]++ + 1;
        s->own_pairs[trials[i].a]++;
        s->own_pairs[trials[i].b]++;
    }
    return MIEN_OK;
}

/* Count the matches among the `to` highest; returns what all comparisons are worth at that rate. */
static double sweep_to(sweep *s, size_t to)
{
    for (; s->at < to; s->at++) {
        const mien_curve_trial *t = &s->trials[s->at];
        const size_t d = dyad(t->a, t->b);
        s->hits2 += 2.0 * s->hits[d]++ + 1;
        s->cross += s->pairs[d];
        s->own[t->a]++;
        s->own[t->b]++;
    }
    const double n = (double)s->n, p = (double)to / n;
    const double alone = s->hits2 - 2 * p * s->cross + p * p * s->pairs2;
    double together = -alone;
    for (size_t i = 0; i < s->n_people; i++) {
        const double e = s->own[i] - p * s->own_pairs[i];
        together += e * e;
    }
    const double v = together > alone ? together : alone, worth = p * (1 - p) * n * n / v;
    return worth < n ? worth : n;
}

/* The lowest threshold that at most `allowed` of the descending scores reach. */
static double threshold_of(const mien_curve_trial *t, size_t n, size_t allowed)
{
    while (allowed > 0 && allowed < n && !(t[allowed - 1].score > t[allowed].score))
        allowed--;
    if (allowed == 0)
        return (double)t[0].score + 1e-6 * (1 + fabs((double)t[0].score));
    if (allowed == n)
        return (double)t[n - 1].score;
    return ((double)t[allowed - 1].score + (double)t[allowed].score) / 2;
}

static double rate_of(const mien_curve_trial *t, size_t n, double threshold)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;
        if ((double)t[mid].score >= threshold)
            lo = mid + 1;
        else
            hi = mid;
    }
    return (double)lo / (double)n;
}

/* How many rates the comparisons support, and what they are worth at each. */
static size_t support(sweep *s, double *ret_worth)
{
    size_t n = 0, first = 0; /* rates fall with the index, matches are counted from the lowest rate */
    while (n < MIEN_MAX_CURVE_POINTS && mien__curve_rate_at(n) * (double)s->n >= 3)
        n++;
    for (size_t i = n; i-- > 0;)
        ret_worth[i] = sweep_to(s, (size_t)floor(mien__curve_rate_at(i) * (double)s->n + 1e-9));
    for (; first < n; first++) {
        const double matches = mien__curve_rate_at(first) * (double)s->n;
        if (first && matches < LEAST_MATCHES && ret_worth[first] > ret_worth[first - 1])
            ret_worth[first] = ret_worth[first - 1];
        if (mien__curve_rate_at(first) * ret_worth[first] < 3)
            break;
    }
    return first;
}

static bool tail_of(const sweep *s, const double *worth, size_t n_rates, mien__tail *ret)
{
    for (size_t i = n_rates; i-- > 0;) {
        const double rate = mien__curve_rate_at(i);
        if (rate >= 0.01 * (1 - 1e-9) && rate <= 0.1 * (1 + 1e-9) && rate * worth[i] >= TAIL_MATCHES)
            return mien__tail_fit(s->trials, (size_t)floor(rate * (double)s->n + 1e-9), s->n, ret);
    }
    return false;
}

static void put_points(mien_curve *curve, const sweep *s, const double *worth, size_t n_rates)
{
    mien__tail tail = { 0 };
    const bool smooth = tail_of(s, worth, n_rates, &tail);
    size_t n = 0;
    for (size_t i = n_rates; i-- > 0;) {
        const double rate = mien__curve_rate_at(i);
        mien_curve_point p = { 0, mien__rate_interval(rate, worth[i], s->n_people), { -1, 0, 1, 0 } };
        p.threshold = smooth && rate <= tail.p_u
                          ? mien__tail_threshold(&tail, rate)
                          : threshold_of(s->trials, s->n, (size_t)(rate * (double)s->n));
        const double seen = rate_of(s->trials, s->n, p.threshold);
        p.fmr.lo = seen < p.fmr.lo ? seen : p.fmr.lo; /* where the tail's shape and the scores disagree */
        p.fmr.hi = seen > p.fmr.hi ? seen : p.fmr.hi;
        if (n == 0 || p.threshold < curve->points[n - 1].threshold)
            curve->points[n++] = p;
    }
    curve->info.n_points = n;
    curve->info.n_independent = n_rates ? worth[n_rates - 1] : 0;
}

/* False non-match rates; mated comparisons of one person stand together. */
static mien_status put_misses(mien_curve *curve, const mien_curve_trial *mated, size_t n, size_t n_people,
                              mien_error *err)
{
    double *sums = mien_alloc_array_zero(n_people, 2 * sizeof *sums);
    if (!sums)
        return mien__nomem(err, n_people * 2 * sizeof *sums);
    double *all = sums, *missed = sums + n_people;
    for (size_t i = 0; i < n; i++)
        all[mated[i].a]++;
    size_t people = 0;
    for (size_t i = 0; i < n_people; i++)
        people += all[i] > 0;
    for (size_t k = 0; k < curve->info.n_points && n > 0; k++) {
        size_t count = 0;
        double v = 0;
        memset(missed, 0, n_people * sizeof *missed);
        for (size_t i = 0; i < n; i++) {
            if ((double)mated[i].score < curve->points[k].threshold) {
                missed[mated[i].a]++;
                count++;
            }
        }
        const double rate = (double)count / (double)n;
        for (size_t i = 0; i < n_people; i++)
            v += (missed[i] - rate * all[i]) * (missed[i] - rate * all[i]);
        const double worth = v > 0 ? rate * (1 - rate) * (double)n * (double)n / v : (double)people;
        curve->points[k].fnmr = mien__rate_interval(rate, worth < (double)n ? worth : (double)n, people);
    }
    mien_free(sums);
    return MIEN_OK;
}

/* Non-mated before mated, each descending; equal scores in a fixed order. */
static int by_kind_and_score(const void *x, const void *y)
{
    const mien_curve_trial *p = x, *q = y;
    const int mp = p->a == p->b, mq = q->a == q->b;
    if (mp != mq)
        return mp - mq;
    if (p->score < q->score || p->score > q->score)
        return p->score < q->score ? 1 : -1;
    return p->a != q->a ? (p->a < q->a ? -1 : 1) : p->b != q->b ? (p->b < q->b ? -1 : 1) : 0;
}

static mien_status refuse(const mien_curve *curve, size_t n, size_t n_people, double target, mien_error *err)
{
    const double worth = curve->info.n_independent;
    const size_t points = curve->info.n_points;
    if (points < 2)
        return mien__fail(
            err, MIEN_E_EVAL_DATA,
            "%zu comparisons between %zu people are too few for a curve: even 1 in 7 needs some "
            "twenty that are independent",
            n, n_people);
    return mien__fail(
        err, MIEN_E_EVAL_DATA,
        "a false match rate of %g needs 3/%g = %.0f independent comparisons of different people; "
        "the %zu here between %zu people are worth %.0f: the best claim is %g",
        target, target, ceil(3 / target - 1e-9), n, n_people, floor(worth), curve->points[0].fmr.value);
}

mien_status mien__curve_fit_points(mien_curve *curve, mien_curve_trial *trials, size_t n, double target_fmr,
                                   mien_error *err)
{
    const size_t n_people = (size_t)curve->info.n_people;
    double worth[MIEN_MAX_CURVE_POINTS] = { 0 };
    sweep s = { 0 };
    qsort(trials, n, sizeof *trials, by_kind_and_score);
    size_t n_non = 0;
    while (n_non < n && trials[n_non].a != trials[n_non].b)
        n_non++;
    curve->info.n_nonmated = n_non;
    curve->info.n_mated = n - n_non;
    mien_status st = sweep_open(&s, trials, n_non, n_people, err);
    if (st)
        return st;
    put_points(curve, &s, worth, support(&s, worth));
    sweep_close(&s);
    if (curve->info.n_points < 2 || (target_fmr > 0 && target_fmr < curve->points[0].fmr.value * (1 - 1e-9)))
        return refuse(curve, n_non, n_people, target_fmr, err);
    return put_misses(curve, trials + n_non, n - n_non, n_people, err);
}
