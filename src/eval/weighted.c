/* Rates over weighted pairs.
 *
 * Pairs are sorted once. A resample gives each unit a weight; sums of the pairs' weights from each place to
 * the end make every rate at a threshold a binary search, and AUC and EER a merge of the two lists. A mated
 * pair weighs as its person, a pair of two people the product of both (Owen 2007): unit b of a mated pair is
 * therefore one that always weighs 1. Where people are unknown each pair is a unit of its own.
 */
#include "eval/weighted.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- pairs ---- */

static int by_score(const void *a, const void *b)
{
    const mien__epair *x = a, *y = b;
    if (x->score < y->score || x->score > y->score)
        return x->score < y->score ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

void mien__epairs_sort(mien__epairs *p)
{
    qsort(p->mated, p->n_mated, sizeof *p->mated, by_score);
    qsort(p->nonmated, p->n_nonmated, sizeof *p->nonmated, by_score);
}

static bool all_known(const mien_eval_table *t)
{
    for (size_t i = 0; i < t->n; i++)
        if (!t->rows[i].person[0] || !t->rows[i].person[1])
            return false;
    return true;
}

static mien_status count(const mien_eval_table *t, mien__epairs *p, mien_error *err)
{
    for (size_t i = 0; i < t->n; i++) {
        const mien__eval_row *const r = &t->rows[i];
        *(r->failed ? (r->mated ? &p->n_failed_mated : &p->n_failed_nonmated)
                    : (r->mated ? &p->n_mated : &p->n_nonmated)) += 1;
    }
    if (!p->n_mated || !p->n_nonmated)
        return mien__fail(err, MIEN_E_EVAL_DATA,
                          "evaluation needs both kinds of pairs: %zu mated, %zu non-mated", p->n_mated,
                          p->n_nonmated);
    return MIEN_OK;
}

static mien_status count_mated_people(const mien_eval_table *t, mien__epairs *p, mien_error *err)
{
    bool *const seen = mien_alloc_array_zero(p->n_units, sizeof *seen);
    if (!seen)
        return mien__nomem(err, p->n_units);
    for (size_t i = 0; i < t->n; i++) {
        const mien__eval_row *const r = &t->rows[i];
        if (r->mated && !r->failed && !seen[r->person[0] - 1]) {
            seen[r->person[0] - 1] = true;
            p->n_mated_people++;
        }
    }
    mien_free(seen);
    return MIEN_OK;
}

static mien__epair pair_of(const mien_eval_table *t, const mien__epairs *p, size_t i)
{
    const mien__eval_row *const r = &t->rows[i];
    mien__epair e = { r->failed ? -HUGE_VAL : r->score, (uint32_t)i, (uint32_t)p->n_units, (uint32_t)i };
    if (p->by_people) {
        e.a = r->person[0] - 1;
        e.b = r->mated ? (uint32_t)p->n_units : r->person[1] - 1;
    }
    return e;
}

mien_status mien__epairs_new(const mien_eval_table *t, bool failed_last, mien__epairs *ret, mien_error *err)
{
    mien__epairs p = { .by_people = all_known(t) };
    p.n_units = p.by_people ? t->people.n : t->n;
    mien_status st = count(t, &p, err);
    if (st)
        return st;
    const size_t n_mated = p.n_mated + p.n_failed_mated, n_nonmated = p.n_nonmated + p.n_failed_nonmated;
    p.mated = mien_alloc_array(n_mated, sizeof *p.mated);
    p.nonmated = mien_alloc_array(n_nonmated, sizeof *p.nonmated);
    if (!p.mated || !p.nonmated)
        st = mien__nomem(err, t->n * sizeof *p.mated);
    if (!st && p.by_people)
        st = count_mated_people(t, &p, err);
    if (st) {
        mien__epairs_clear(&p);
        return st;
    }
    size_t at[2][2] = { { 0, p.n_nonmated }, { 0, p.n_mated } };
    for (size_t i = 0; i < t->n; i++) {
        const mien__eval_row *const r = &t->rows[i];
        (r->mated ? p.mated : p.nonmated)[at[r->mated][r->failed]++] = pair_of(t, &p, i);
    }
    if (failed_last) {
        p.n_mated = n_mated;
        p.n_nonmated = n_nonmated;
        p.n_failed_mated = p.n_failed_nonmated = 0;
    }
    mien__epairs_sort(&p);
    *ret = p;
    return MIEN_OK;
}

void mien__epairs_clear(mien__epairs *p)
{
    mien_free(p->mated);
    mien_free(p->nonmated);
    *p = (mien__epairs){ 0 };
}

size_t mien__epair_lower(const mien__epair *v, size_t n, double t)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (v[mid].score < t)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* ---- weights ---- */

mien_status mien__weighing_new(const mien__epairs *p, mien__weighing *ret, mien_error *err)
{
    mien__weighing w = { mien_alloc_array(p->n_units + 1, sizeof *w.weight),
                         mien_alloc_array(p->n_mated + 1, sizeof *w.mated),
                         mien_alloc_array(p->n_nonmated + 1, sizeof *w.nonmated), 0, 0 };
    if (!w.weight || !w.mated || !w.nonmated) {
        mien__weighing_clear(&w);
        return mien__nomem(err, (p->n_mated + p->n_nonmated) * sizeof *w.mated);
    }
    *ret = w;
    return MIEN_OK;
}

void mien__weighing_clear(mien__weighing *w)
{
    mien_free(w->weight);
    mien_free(w->mated);
    mien_free(w->nonmated);
    *w = (mien__weighing){ 0 };
}

static void sum_up(const mien__epair *v, size_t n, const uint32_t *weight, uint64_t *ret)
{
    ret[n] = 0;
    for (size_t i = n; i-- > 0;)
        ret[i] = ret[i + 1] + mien__epair_weight(&v[i], weight);
}

static uint64_t sum_of(const mien__epair *v, size_t n, const uint32_t *weight)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += mien__epair_weight(&v[i], weight);
    return sum;
}

void mien__weigh(const mien__epairs *p, uint64_t seed, int64_t k, mien__weighing *w)
{
    if (k < 0)
        for (size_t i = 0; i < p->n_units; i++)
            w->weight[i] = 1;
    else
        mien__resample(seed, (uint64_t)k, p->n_units, w->weight);
    w->weight[p->n_units] = 1;
    sum_up(p->mated, p->n_mated, w->weight, w->mated);
    sum_up(p->nonmated, p->n_nonmated, w->weight, w->nonmated);
    w->failed_mated = sum_of(p->mated + p->n_mated, p->n_failed_mated, w->weight);
    w->failed_nonmated = sum_of(p->nonmated + p->n_nonmated, p->n_failed_nonmated, w->weight);
}

/* ---- rates ---- */

double mien__weighted_auc(const mien__epairs *p, const mien__weighing *w)
{
    if (!w->mated[0] || !w->nonmated[0])
        return NAN;
    double wins = 0;
    size_t less = 0, not_more = 0;
    for (size_t i = 0; i < p->n_mated; i++) {
        const double s = p->mated[i].score;
        while (less < p->n_nonmated && p->nonmated[less].score < s)
            less++;
        if (not_more < less)
            not_more = less;
        while (not_more < p->n_nonmated && p->nonmated[not_more].score <= s)
            not_more++;
        const uint64_t all = w->nonmated[0], here = w->mated[i] - w->mated[i + 1];
        wins +=
            (double)here * ((double)(all - w->nonmated[less]) + (double)(all - w->nonmated[not_more])) / 2;
    }
    return wins / ((double)w->mated[0] * (double)w->nonmated[0]);
}

/* Lowest score above t of both lists, from places i and j on; t where there is none. */
static double next_score(const mien__epairs *p, size_t i, size_t j, double t)
{
    double next = HUGE_VAL;
    if (i < p->n_mated)
        next = p->mated[i].score;
    if (j < p->n_nonmated && p->nonmated[j].score < next)
        next = p->nonmated[j].score;
    return isfinite(next) ? next : t;
}

static double midway(double below, double above)
{
    const double mid = isfinite(below) ? below + (above - below) / 2 : above;
    return mid > below ? mid : above;
}

/* As mien__eer(): the threshold is raised through every score; between the last two operating points the
 * rates are taken as linear. The threshold told is one at which the rates are nearest to each other, midway
 * between scores. */
double mien__weighted_eer(const mien__epairs *p, const mien__weighing *w, double *ret_threshold)
{
    if (!w->mated[0] || !w->nonmated[0])
        return NAN;
    double fmr = 1, fnmr = 0, last = -HUGE_VAL;
    size_t i = 0, j = 0;
    while (i < p->n_mated || j < p->n_nonmated) {
        const double t = next_score(p, i, j, -HUGE_VAL);
        while (i < p->n_mated && p->mated[i].score <= t)
            i++;
        while (j < p->n_nonmated && p->nonmated[j].score <= t)
            j++;
        const double fmr2 = (double)w->nonmated[j] / (double)w->nonmated[0];
        const double fnmr2 = 1 - (double)w->mated[i] / (double)w->mated[0];
        if (fnmr2 >= fmr2) {
            const double gap = fmr - fnmr, gap2 = fmr2 - fnmr2; /* gap > 0 >= gap2 */
            const double s = gap / (gap - gap2);
            if (ret_threshold)
                *ret_threshold = gap <= -gap2 ? midway(last, t) : midway(t, next_score(p, i, j, t));
            return fmr + s * (fmr2 - fmr);
        }
        fmr = fmr2;
        fnmr = fnmr2;
        last = t;
    }
    return fmr;
}

double mien__weighted_threshold(const mien__epairs *p, const mien__weighing *w, double fmr)
{
    const mien__epair *const v = p->nonmated;
    const size_t n = p->n_nonmated;
    const uint64_t allowed = (uint64_t)floor(fmr * (double)w->nonmated[0] + 1e-9);
    if (allowed >= w->nonmated[0])
        return v[0].score;
    size_t lo = 0, hi = n; /* first place whose weight to the end is allowed */
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (w->nonmated[mid] > allowed)
            lo = mid + 1;
        else
            hi = mid;
    }
    const double below = v[lo - 1].score; /* it weighs something: not allowed, nor are its equals */
    while (lo < n && (v[lo].score <= below || w->nonmated[lo] == w->nonmated[lo + 1]))
        lo++;
    if (lo == n)
        return nextafter(below, HUGE_VAL);
    const double mid = below + (v[lo].score - below) / 2; /* NaN below which all have failed */
    return mid > below ? mid : v[lo].score;
}

double mien__weighted_fmr_at(const mien__epairs *p, const mien__weighing *w, double threshold)
{
    const size_t i = mien__epair_lower(p->nonmated, p->n_nonmated, threshold);
    return w->nonmated[0] ? (double)w->nonmated[i] / (double)w->nonmated[0] : NAN;
}

double mien__weighted_fnmr_at(const mien__epairs *p, const mien__weighing *w, double threshold)
{
    const size_t i = mien__epair_lower(p->mated, p->n_mated, threshold);
    return w->mated[0] ? (double)(w->mated[0] - w->mated[i]) / (double)w->mated[0] : NAN;
}

mien__confusion mien__weighted_confusion(const mien__epairs *p, const mien__weighing *w, double threshold)
{
    const uint64_t tp = w->mated[mien__epair_lower(p->mated, p->n_mated, threshold)];
    const uint64_t fp = w->nonmated[mien__epair_lower(p->nonmated, p->n_nonmated, threshold)];
    return (mien__confusion){ (double)tp, (double)fp, (double)(w->mated[0] - tp + w->failed_mated),
                              (double)(w->nonmated[0] - fp + w->failed_nonmated) };
}
