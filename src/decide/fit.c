/* Fitting a curve: choose comparisons, score them, and hand them on.
 *
 * Every two pictures are compared once. A set whose comparisons would exceed MIEN__CURVE_TRIALS is thinned
 * evenly: first people to MIEN__CURVE_PEOPLE, then pictures per person. Whoever is left out is left out by
 * place in the list alone, so the result is the same every time.
 */
#include "decide/curve.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    uint32_t person;
    size_t row;
} entry;

static int by_person(const void *x, const void *y)
{
    const entry *p = x, *q = y;
    return p->person != q->person ? (p->person < q->person ? -1 : 1) : p->row < q->row ? -1 : p->row > q->row;
}

/* Keep `most` of the people, evenly chosen, and of each at most `pictures`. Entries are sorted by person;
 * the people kept are numbered from 0. Returns how many entries remain. */
static size_t thin(entry *e, size_t n, size_t n_people, size_t most, size_t pictures, size_t *ret_people)
{
    size_t kept = 0, person = 0, people = 0;
    for (size_t i = 0; i < n; person++) {
        size_t end = i;
        while (end < n && e[end].person == e[i].person)
            end++;
        const size_t mine = end - i, take = mine < pictures ? mine : pictures;
        /* person j is kept when floor(j most / all) moves on at it */
        const bool keep = n_people <= most || (person + 1) * most / n_people > person * most / n_people;
        for (size_t k = 0; keep && k < take; k++)
            e[kept++] = (entry){ (uint32_t)people, e[i + k * mine / take].row };
        people += keep;
        i = end;
    }
    *ret_people = people;
    return kept;
}

static size_t count_people(const entry *e, size_t n)
{
    size_t people = 0;
    for (size_t i = 0; i < n; i++)
        people += i == 0 || e[i].person != e[i - 1].person;
    return people;
}

/* The most pictures per person with which the comparisons fit. */
static size_t picture_limit(const entry *e, size_t n, size_t n_people, size_t most)
{
    for (size_t limit = n;; limit = limit > 64 ? limit / 2 : limit - 1) {
        double total = 0;
        for (size_t i = 0; i < n;) {
            size_t end = i;
            while (end < n && e[end].person == e[i].person)
                end++;
            total += (double)(end - i < limit ? end - i : limit);
            i = end;
        }
        if (n_people > most)
            total *= (double)most / (double)n_people;
        if (limit <= 1 || total * (total - 1) / 2 <= MIEN__CURVE_TRIALS)
            return limit;
    }
}

/* A cosine of unit vectors. */
static float score_of(const float *a, const float *b, size_t dim)
{
    double sum = 0;
    for (size_t i = 0; i < dim; i++)
        sum += (double)a[i] * (double)b[i];
    return (float)sum;
}

static mien_status check(const float *vecs, const uint32_t *people, size_t n, size_t dim, mien_error *err)
{
    if (!vecs || !people)
        return mien__fail(err, MIEN_E_ARG, "calibration: a pointer is NULL");
    if (n < 1 || dim < 1 || dim > 1 << 16)
        return mien__fail(err, MIEN_E_ARG, "calibration: %zu templates of %zu numbers", n, dim);
    for (size_t i = 0; i < n; i++) {
        const double length = (double)score_of(vecs + i * dim, vecs + i * dim, dim);
        if (!(fabs(length - 1) < 1e-3))
            return mien__fail(err, MIEN_E_EVAL_DATA, "calibration: template %zu is not of unit length", i);
    }
    return MIEN_OK;
}

static mien_status fit_cohort(mien_curve *curve, const mien__cohort *c, double target_fmr, mien_error *err)
{
    const size_t n_trials = c->n * (c->n - 1) / 2;
    mien_curve_trial *trials = mien_alloc_array(n_trials ? n_trials : 1, sizeof *trials);
    if (!trials)
        return mien__nomem(err, n_trials * sizeof *trials);
    size_t at = 0;
    for (size_t i = 0; i < c->n; i++)
        for (size_t j = 0; j < i; j++)
            trials[at++] = (mien_curve_trial){ score_of(c->vecs + c->rows[i] * c->dim,
                                                        c->vecs + c->rows[j] * c->dim, c->dim),
                                               c->person[j], c->person[i] };
    curve->info.n_people = c->n_people;
    curve->info.n_pictures = c->n;
    mien_status st = mien__curve_fit_points(curve, trials, n_trials, target_fmr, err);
    mien_free(trials);
    if (!st)
        st = mien__curve_fit_cohort(&curve->info, c, err);
    return st;
}

/* A curve with the options' texts and what the base knows of searches. */
static mien_status start(const mien_curve_fit_opts *opts, mien_curve **ret, mien_error *err)
{
    static const mien_curve_fit_opts none = MIEN_CURVE_FIT_OPTS_INIT;
    const mien_curve_fit_opts *o = opts ? opts : &none;
    if (o->struct_size != sizeof *o)
        return mien__fail(err, MIEN_E_ARG, "calibration: options of %zu bytes", o->struct_size);
    if (!(o->target_fmr >= 0 && o->target_fmr < 1))
        return mien__fail(err, MIEN_E_ARG, "calibration: a false match rate of %g is not in (0, 1)",
                          o->target_fmr);
    const mien_status st = mien__curve_new(o->model, o->protocol, o->date, ret, err);
    if (!st && o->base) {
        (*ret)->info.spread = o->base->info.spread;
        (*ret)->info.fusion_mated = o->base->info.fusion_mated;
        (*ret)->info.fusion_other = o->base->info.fusion_other;
    }
    return st;
}

mien_status mien_curve_fit(const float *vecs, const uint32_t *people, size_t n, size_t dim,
                           const mien_curve_fit_opts *opts, mien_curve **ret, mien_error *err)
{
    mien_status st =
        ret ? check(vecs, people, n, dim, err) : mien__fail(err, MIEN_E_ARG, "calibration: ret is NULL");
    mien_curve *curve = NULL;
    entry *entries = NULL;
    size_t *rows = NULL;
    uint32_t *person = NULL;
    if (!st)
        st = start(opts, &curve, err);
    if (st)
        goto done;
    entries = mien_alloc_array(n, sizeof *entries);
    rows = mien_alloc_array(n, sizeof *rows);
    person = mien_alloc_array(n, sizeof *person);
    if (!entries || !rows || !person) {
        st = mien__nomem(err, n * sizeof *entries);
        goto done;
    }
    for (size_t i = 0; i < n; i++)
        entries[i] = (entry){ people[i], i };
    qsort(entries, n, sizeof *entries, by_person);
    const size_t all = count_people(entries, n);
    if (all < 2) {
        st = mien__fail(err, MIEN_E_EVAL_DATA, "calibration: pictures of one person alone have no strangers");
        goto done;
    }
    mien__cohort c = { vecs, rows, person, 0, dim, 0 };
    const size_t pictures = picture_limit(entries, n, all, MIEN__CURVE_PEOPLE);
    c.n = thin(entries, n, all, MIEN__CURVE_PEOPLE, pictures, &c.n_people);
    for (size_t i = 0; i < c.n; i++) {
        rows[i] = entries[i].row;
        person[i] = entries[i].person;
    }
    st = fit_cohort(curve, &c, opts ? opts->target_fmr : 0, err);
    if (!st) {
        *ret = curve;
        curve = NULL;
    }
done:
    mien_free(person);
    mien_free(rows);
    mien_free(entries);
    mien_curve_free(curve);
    return st;
}

static int by_u32(const void *x, const void *y)
{
    const uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    return a < b ? -1 : a > b;
}

/* Number the people of trials from 0. */
static mien_status number_people(mien_curve_trial *t, size_t n, size_t *ret_people, mien_error *err)
{
    uint32_t *ids = mien_alloc_array(2 * n, sizeof *ids);
    if (!ids)
        return mien__nomem(err, 2 * n * sizeof *ids);
    size_t people = 0;
    for (size_t i = 0; i < n; i++) {
        ids[2 * i] = t[i].a;
        ids[2 * i + 1] = t[i].b;
    }
    qsort(ids, 2 * n, sizeof *ids, by_u32);
    for (size_t i = 0; i < 2 * n; i++)
        if (i == 0 || ids[i] != ids[people - 1])
            ids[people++] = ids[i];
    for (size_t i = 0; i < n; i++) {
        t[i].a = (uint32_t)((uint32_t *)bsearch(&t[i].a, ids, people, sizeof *ids, by_u32) - ids);
        t[i].b = (uint32_t)((uint32_t *)bsearch(&t[i].b, ids, people, sizeof *ids, by_u32) - ids);
    }
    mien_free(ids);
    *ret_people = people;
    return people <= MIEN__CURVE_PEOPLE ? MIEN_OK
                                        : mien__fail(err, MIEN_E_LIMIT, "calibration: %zu people, at most %d",
                                                     people, MIEN__CURVE_PEOPLE);
}

mien_status mien_curve_fit_scores(const mien_curve_trial *trials, size_t n, const mien_curve_fit_opts *opts,
                                  mien_curve **ret, mien_error *err)
{
    if (!trials || !ret)
        return mien__fail(err, MIEN_E_ARG, "calibration: a pointer is NULL");
    if (n < 1 || n > MIEN__CURVE_TRIALS)
        return mien__fail(err, n ? MIEN_E_LIMIT : MIEN_E_EVAL_DATA, "calibration: %zu scores, must be 1..%d",
                          n, MIEN__CURVE_TRIALS);
    for (size_t i = 0; i < n; i++)
        if (!isfinite(trials[i].score))
            return mien__fail(err, MIEN_E_EVAL_DATA, "calibration: score %zu is not finite", i);
    mien_curve *curve = NULL;
    size_t people = 0;
    mien_curve_trial *mine = mien_alloc_array(n, sizeof *mine);
    if (!mine)
        return mien__nomem(err, n * sizeof *mine);
    memcpy(mine, trials, n * sizeof *mine);
    mien_status st = number_people(mine, n, &people, err);
    if (!st && people < 2)
        st = mien__fail(err, MIEN_E_EVAL_DATA, "calibration: scores of one person alone have no strangers");
    if (!st)
        st = start(opts, &curve, err);
    if (!st) {
        curve->info.n_people = people;
        st = mien__curve_fit_points(curve, mine, n, opts ? opts->target_fmr : 0, err);
    }
    mien_free(mine);
    if (st)
        mien_curve_free(curve);
    else
        *ret = curve;
    return st;
}
