/* Which pairs are compared, and error rates over them.
 *
 * Rows are ordered by person, so the mated partners of place i are the places up to the end of its person,
 * the non-mated ones all places behind; both are one range per place, and the pairs of a kind are numbered
 * by walking the places. When there are more than wanted, the numbers 0..T-1 are cut into as many strata of
 * (nearly) equal length and one pair is drawn from each: no pair twice, every person in proportion, one pass.
 *
 * Weights: a bootstrap over people that draws person p m_p times counts a pair of p with itself m_p times
 * and a pair of p and q m_p m_q times (Owen 2007, "The pigeonhole bootstrap": both sides of a pair vary).
 */
#include "eval/pairing.h"
#include <mien/eval.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- people ---- */

typedef struct labelled {
    int32_t label;
    uint32_t row;
} labelled;

static int by_label(const void *a, const void *b)
{
    const labelled *x = a, *y = b;
    if (x->label != y->label)
        return x->label < y->label ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

void mien__people_clear(mien__people *p)
{
    mien_free(p->rows);
    mien_free(p->of);
    mien_free(p->first);
    mien_free(p->labels);
    *p = (mien__people){ 0 };
}

mien_status mien__people_new(const int32_t *labels, size_t n, mien__people *ret, mien_error *err)
{
    mien_status st = MIEN_OK;
    mien__people p = { 0 };
    labelled *const sorted = mien_alloc_array(n, sizeof *sorted);
    p.rows = mien_alloc_array(n, sizeof *p.rows);
    p.of = mien_alloc_array(n, sizeof *p.of);
    p.first = mien_alloc_array(n + 1, sizeof *p.first);
    p.labels = mien_alloc_array(n, sizeof *p.labels);
    if (!sorted || !p.rows || !p.of || !p.first || !p.labels) {
        st = mien__nomem(err, n * sizeof *sorted);
        goto done;
    }
    for (size_t i = 0; i < n; i++)
        if (labels[i] >= 0)
            sorted[p.n_rows++] = (labelled){ labels[i], (uint32_t)i };
    qsort(sorted, p.n_rows, sizeof *sorted, by_label);
    for (size_t i = 0; i < p.n_rows; i++) {
        if (i == 0 || sorted[i].label != sorted[i - 1].label) {
            p.labels[p.n] = sorted[i].label;
            p.first[p.n++] = (uint32_t)i;
        }
        p.rows[i] = sorted[i].row;
        p.of[i] = (uint32_t)(p.n - 1);
    }
    p.first[p.n] = (uint32_t)p.n_rows;
    *ret = p;
    p = (mien__people){ 0 };
done:
    mien__people_clear(&p);
    mien_free(sorted);
    return st;
}

/* ---- pairs ---- */

/* Partners of place i: [*lo, *hi). */
static void partners(const mien__people *p, size_t i, bool mated, size_t *lo, size_t *hi)
{
    const size_t end = p->first[p->of[i] + 1];
    *lo = mated ? i + 1 : end;
    *hi = mated ? end : p->n_rows;
}

static uint64_t count_pairs(const mien__people *p, bool mated)
{
    uint64_t total = 0;
    for (size_t i = 0; i < p->n_rows; i++) {
        size_t lo, hi;
        partners(p, i, mated, &lo, &hi);
        total += hi - lo;
    }
    return total;
}

/* `m` of `total` pairs into v. */
static void choose(const mien__people *p, bool mated, uint64_t total, size_t m, mien__rng *rng,
                   mien__vpair *v)
{
    const uint64_t length = total / m, longer = total % m;
    uint64_t before = 0; /* pairs of the places before i */
    size_t i = 0, lo, hi;
    partners(p, 0, mated, &lo, &hi);
    for (size_t s = 0; s < m; s++) {
        const uint64_t begin = length * s + (s < longer ? s : longer);
        const uint64_t number = begin + mien__rng_u64(rng) % (length + (s < longer));
        while (number - before >= hi - lo) {
            before += hi - lo;
            partners(p, ++i, mated, &lo, &hi);
        }
        v[s] = (mien__vpair){ 0, (uint32_t)i, (uint32_t)(lo + (number - before)) };
    }
}

void mien__vpairs_clear(mien__vpairs *v)
{
    mien_free(v->mated);
    mien_free(v->nonmated);
    *v = (mien__vpairs){ 0 };
}

mien_status mien__vpairs_new(const mien__people *p, size_t max_pairs, uint64_t seed, mien__vpairs *ret,
                             mien_error *err)
{
    const uint64_t mated = count_pairs(p, true), nonmated = count_pairs(p, false);
    if (mated == 0 || nonmated == 0)
        return mien__fail(
            err, MIEN_E_EVAL_DATA,
            "evaluation needs two people and one of them twice: %zu pictures of %zu people give "
            "%llu mated and %llu non-mated pairs",
            p->n_rows, p->n, (unsigned long long)mated, (unsigned long long)nonmated);
    mien__vpairs v = {
        NULL,  NULL,    mated < max_pairs ? mated : max_pairs, nonmated < max_pairs ? nonmated : max_pairs,
        mated, nonmated
    };
    v.mated = mien_alloc_array(v.n_mated, sizeof *v.mated);
    v.nonmated = mien_alloc_array(v.n_nonmated, sizeof *v.nonmated);
    if (!v.mated || !v.nonmated) {
        const mien_status st = mien__nomem(err, (v.n_mated + v.n_nonmated) * sizeof *v.mated);
        mien__vpairs_clear(&v);
        return st;
    }
    mien__rng rng;
    mien__rng_seed(&rng, seed);
    choose(p, true, mated, v.n_mated, &rng, v.mated);
    choose(p, false, nonmated, v.n_nonmated, &rng, v.nonmated);
    *ret = v;
    return MIEN_OK;
}

static int by_score(const void *a, const void *b)
{
    const mien__vpair *x = a, *y = b;
    if (x->score < y->score || x->score > y->score)
        return x->score < y->score ? -1 : 1;
    if (x->a != y->a)
        return x->a < y->a ? -1 : 1;
    return (x->b > y->b) - (x->b < y->b);
}

/* False when a score is not finite. */
static bool score(const mien__vpair *from, size_t n, const mien__people *p, const float *e, int dim,
                  mien__vpair *to)
{
    bool finite = true;
    for (size_t i = 0; i < n; i++) {
        const float *const x = e + (size_t)p->rows[from[i].a] * (size_t)dim;
        const float *const y = e + (size_t)p->rows[from[i].b] * (size_t)dim;
        double sum = 0;
        for (int k = 0; k < dim; k++)
            sum += (double)x[k] * (double)y[k];
        finite = finite && isfinite(sum);
        to[i] = (mien__vpair){ sum, p->of[from[i].a], p->of[from[i].b] };
    }
    if (finite)
        qsort(to, n, sizeof *to, by_score);
    return finite;
}

mien_status mien__vpairs_score(const mien__vpairs *from, const mien__people *p, const float *e, int dim,
                               mien__vpairs *ret, mien_error *err)
{
    mien_status st = MIEN_OK;
    mien__vpairs v = *from;
    v.mated = mien_alloc_array(v.n_mated, sizeof *v.mated);
    v.nonmated = mien_alloc_array(v.n_nonmated, sizeof *v.nonmated);
    if (!v.mated || !v.nonmated) {
        st = mien__nomem(err, (v.n_mated + v.n_nonmated) * sizeof *v.mated);
    } else if (!score(from->mated, v.n_mated, p, e, dim, v.mated) ||
               !score(from->nonmated, v.n_nonmated, p, e, dim, v.nonmated)) {
        st = mien__fail(err, MIEN_E_EVAL_DATA, "validation: an embedding holds a value that is not finite");
    } else {
        *ret = v;
        return st;
    }
    mien__vpairs_clear(&v);
    return st;
}

/* ---- rates ---- */

/* Walk down from the greatest score; scores that are equal pass or fail together. */
static double threshold(const mien__vpair *v, size_t n, const uint32_t *weight, uint64_t allowed)
{
    uint64_t passed = 0;
    double above = 0; /* the lowest score that passes */
    bool any = false;
    for (size_t end = n; end > 0;) {
        size_t begin = end;
        uint64_t here = 0;
        do {
            begin--;
            here += (uint64_t)weight[v[begin].a] * weight[v[begin].b];
        } while (begin > 0 && v[begin - 1].score >= v[end - 1].score);
        if (here > 0) {
            const double at = v[begin].score;
            if (passed + here > allowed) {
                const double mid = at + (above - at) / 2;
                return !any ? nextafter(at, HUGE_VAL) : (mid > at ? mid : above);
            }
            passed += here;
            above = at;
            any = true;
        }
        end = begin;
    }
    return above;
}

bool mien__weighted_fnmr(const mien__vpairs *v, const uint32_t *weight, double far, double *ret_threshold,
                         double *ret_fnmr)
{
    uint64_t nonmated = 0, mated = 0, missed = 0;
    for (size_t i = 0; i < v->n_nonmated; i++)
        nonmated += (uint64_t)weight[v->nonmated[i].a] * weight[v->nonmated[i].b];
    if (nonmated == 0)
        return false;
    const double t =
        threshold(v->nonmated, v->n_nonmated, weight, (uint64_t)floor(far * (double)nonmated + 1e-9));
    for (size_t i = 0; i < v->n_mated; i++) {
        mated += weight[v->mated[i].a];
        missed += v->mated[i].score < t ? weight[v->mated[i].a] : 0;
    }
    if (mated == 0)
        return false;
    *ret_threshold = t;
    *ret_fnmr = (double)missed / (double)mated;
    return true;
}

/* ---- the public choice ---- */

mien_status mien_eval_choose_pairs(const int32_t *people, size_t n, size_t max_pairs, uint64_t seed,
                                   mien_eval_choice **ret, size_t *ret_mated, size_t *ret_nonmated,
                                   uint64_t *ret_total, mien_error *err)
{
    if (!people || !ret || !ret_mated || !ret_nonmated)
        return mien__fail(err, MIEN_E_ARG, "evaluation: a pointer is NULL");
    if (n >= UINT32_MAX || max_pairs < 1 || max_pairs > MIEN_EVAL_MAX_ROWS)
        return mien__fail(err, MIEN_E_LIMIT, "evaluation: %zu pairs of %zu pictures; at most %d pairs",
                          max_pairs, n, MIEN_EVAL_MAX_ROWS);
    mien__people p = { 0 };
    mien__vpairs v = { 0 };
    mien_eval_choice *c = NULL;
    mien_status st = mien__people_new(people, n, &p, err);
    if (!st)
        st = mien__vpairs_new(&p, max_pairs, seed, &v, err);
    if (st)
        goto done;
    c = mien_alloc_array(v.n_mated + v.n_nonmated, sizeof *c);
    if (!c) {
        st = mien__nomem(err, (v.n_mated + v.n_nonmated) * sizeof *c);
        goto done;
    }
    for (size_t i = 0; i < v.n_mated + v.n_nonmated; i++) {
        const mien__vpair *const q = i < v.n_mated ? &v.mated[i] : &v.nonmated[i - v.n_mated];
        c[i] = (mien_eval_choice){ p.rows[q->a], p.rows[q->b] };
    }
    *ret = c;
    *ret_mated = v.n_mated;
    *ret_nonmated = v.n_nonmated;
    if (ret_total) {
        ret_total[0] = v.total_mated;
        ret_total[1] = v.total_nonmated;
    }
done:
    mien__vpairs_clear(&v);
    mien__people_clear(&p);
    return st;
}

void mien_eval_choices_free(mien_eval_choice *choices)
{
    mien_free(choices);
}
