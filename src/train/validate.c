/* Validation: the open set with its bootstrap, pair verification by folds of people, and the comparison of
 * two models; see validate.h.
 */
#include "train/validate_parts.h"
#include "eval/stats.h"
#include <math.h>
#include <string.h>

enum { REDRAWS = 100 };
static const double fars[MIEN__VAL_FARS] = { 1e-2, 1e-3 };

static mien_status check_rows(const float *e, const int32_t *labels, size_t n, int dim, mien_error *err)
{
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (int k = 0; labels[i] >= 0 && k < dim; k++)
            sum += (double)e[i * (size_t)dim + (size_t)k] * (double)e[i * (size_t)dim + (size_t)k];
        if (labels[i] >= 0 && !(fabs(sum - 1) < 1e-2))
            return mien__fail(err, MIEN_E_EVAL_DATA,
                              "validation: embedding %zu has the length %g, must be finite and 1", i,
                              sqrt(sum));
    }
    return MIEN_OK;
}

static mien_status check(const float *e, const int32_t *labels, size_t n, int dim,
                         const mien__validate_opts *o, const void *ret, mien_error *err)
{
    if (!e || !labels || !o || !ret)
        return mien__fail(err, MIEN_E_ARG, "validation: a pointer is NULL");
    if (dim < 1 || dim > 1 << 16)
        return mien__fail(err, MIEN_E_ARG, "validation: embeddings of length %d, must be 1..65536", dim);
    if (n > MIEN__VAL_MAX_ROWS || o->max_pairs < 1 || o->max_pairs > MIEN__VAL_MAX_PAIRS)
        return mien__fail(err, MIEN_E_LIMIT,
                          "validation: %zu rows and %zu pairs asked, the limits are %d and %d", n,
                          o->max_pairs, MIEN__VAL_MAX_ROWS, MIEN__VAL_MAX_PAIRS);
    if (o->resamples < 1 || o->resamples > MIEN__VAL_MAX_RESAMPLES)
        return mien__fail(err, MIEN_E_ARG, "validation: %d resamples, must be 1..%d", o->resamples,
                          MIEN__VAL_MAX_RESAMPLES);
    if (o->folds != 0 && (o->folds < 2 || o->folds > 100))
        return mien__fail(err, MIEN_E_ARG, "validation: %d folds, must be 0 or 2..100", o->folds);
    return check_rows(e, labels, n, dim, err);
}

/* ---- bootstrap over people ---- */

typedef struct boot {
    const mien__vpairs *models[2]; /* the second for a comparison, or NULL */
    size_t n_people;
    uint64_t seed;
    size_t n_fars, n;
    uint32_t *weights; /* [workers][n_people] */
    double *fnmr;      /* [2][n_fars][n] */
} boot;

static void boot_clear(boot *b)
{
    mien_free(b->weights);
    mien_free(b->fnmr);
}

/* A resample without mated or non-mated pairs says nothing and is drawn again; after REDRAWS tries, which
 * only a handful of people can need, the sample itself stands in. */
static void boot_one(void *ctx, size_t k, unsigned worker)
{
    const boot *const b = ctx;
    uint32_t *const weight = b->weights + (size_t)worker * b->n_people;
    for (uint64_t draw = 0;; draw++) {
        mien__resample(b->seed, k + draw * MIEN__VAL_MAX_RESAMPLES, b->n_people, weight);
        if (draw == REDRAWS)
            for (size_t i = 0; i < b->n_people; i++)
                weight[i] = 1;
        bool ok = true;
        for (size_t m = 0; m < 2 && b->models[m]; m++)
            for (size_t f = 0; f < b->n_fars; f++) {
                double t;
                ok = ok && mien__weighted_fnmr(b->models[m], weight, fars[f], &t,
                                               &b->fnmr[(m * b->n_fars + f) * b->n + k]);
            }
        if (ok || draw == REDRAWS)
            return;
    }
}

static mien_status boot_run(boot *b, const mien__validate_opts *o, mien_error *err)
{
    size_t cells = 0;
    b->n = (size_t)o->resamples;
    if (mien_mul_ok(mien__pool_threads(o->pool), b->n_people, &cells))
        b->weights = mien_alloc_array(cells, sizeof *b->weights);
    b->fnmr = mien_alloc_array_zero(2 * b->n_fars * b->n, sizeof *b->fnmr);
    if (!b->weights || !b->fnmr)
        return mien__nomem(err, cells * sizeof *b->weights);
    mien__pool_run(o->pool, boot_one, b, b->n);
    return MIEN_OK;
}

/* ---- the open set ---- */

static size_t mated_people(const mien__people *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++)
        n += p->first[i + 1] - p->first[i] >= 2;
    return n;
}

static mien_status ones(size_t n, uint32_t **ret, mien_error *err)
{
    *ret = mien_alloc_array(n, sizeof **ret);
    if (!*ret)
        return mien__nomem(err, n * sizeof **ret);
    for (size_t i = 0; i < n; i++)
        (*ret)[i] = 1;
    return MIEN_OK;
}

static mien_status error_rates(const mien__people *p, const mien__vpairs *v, const mien__validate_opts *o,
                               mien__val_open *r, mien_error *err)
{
    boot b = { .models = { v, NULL }, .n_people = p->n, .seed = o->seed, .n_fars = MIEN__VAL_FARS };
    uint32_t *weight = NULL;
    mien_status st = ones(p->n, &weight, err);
    if (!st)
        st = boot_run(&b, o, err);
    for (size_t f = 0; !st && f < MIEN__VAL_FARS; f++) {
        mien__val_rate *const at = &r->at[f];
        double fnmr = 0;
        at->far = fars[f];
        at->supported = (double)v->n_nonmated >= 3 / fars[f] * (1 - 1e-12);
        (void)mien__weighted_fnmr(v, weight, fars[f], &at->threshold, &fnmr);
        at->fnmr = mien__open_ended(mien__interval_of(fnmr, b.fnmr + f * b.n, b.n), r->n_mated_people);
    }
    boot_clear(&b);
    mien_free(weight);
    return st;
}

static void histogram(const double *v, size_t n, uint64_t *bins)
{
    for (size_t i = 0; i < n; i++) {
        const double at = (v[i] + 1) / 2 * MIEN__VAL_BINS;
        bins[at < 0 ? 0 : at >= MIEN__VAL_BINS ? MIEN__VAL_BINS - 1 : (int)at]++;
    }
}

/* AUC, EER, histograms and DET from plain lists of scores. */
static mien_status curves(const mien__vpairs *v, mien__val_open *r, mien_error *err)
{
    double *const mated = mien_alloc_array(v->n_mated, sizeof *mated);
    double *const nonmated = mien_alloc_array(v->n_nonmated, sizeof *nonmated);
    if (!mated || !nonmated) {
        mien_free(mated);
        mien_free(nonmated);
        return mien__nomem(err, (v->n_mated + v->n_nonmated) * sizeof *mated);
    }
    for (size_t i = 0; i < v->n_mated; i++)
        mated[i] = v->mated[i].score;
    for (size_t i = 0; i < v->n_nonmated; i++)
        nonmated[i] = v->nonmated[i].score;
    r->auc = mien__auc(mated, v->n_mated, nonmated, v->n_nonmated);
    r->eer = mien__eer(mated, v->n_mated, nonmated, v->n_nonmated);
    histogram(mated, v->n_mated, r->hist_mated);
    histogram(nonmated, v->n_nonmated, r->hist_nonmated);
    for (int i = 0; i < MIEN__VAL_DET; i++) {
        const double fmr = 1e-4 * pow(4000, (double)i / (MIEN__VAL_DET - 1));
        const size_t allowed = (size_t)floor(fmr * (double)v->n_nonmated + 1e-9);
        const double t = mien__threshold_for(nonmated, v->n_nonmated, allowed);
        const size_t hits = mien__count_at_least(mated, v->n_mated, t);
        r->det_fmr[i] = fmr;
        r->det_fnmr[i] = allowed > 0 ? 1 - (double)hits / (double)v->n_mated : NAN;
    }
    mien_free(mated);
    mien_free(nonmated);
    return MIEN_OK;
}

/* Verification over pairs inside a fold of people: mated and non-mated in equal number, the threshold from
 * the other folds (mien_eval_pairs). Left undone when some fold lacks either kind. */
static mien_status verify_folds(const mien__people *p, const mien__vpairs *v, const mien__validate_opts *o,
                                mien__val_open *r, mien_error *err)
{
    size_t mated[100] = { 0 }, nonmated[100] = { 0 }, n = 0;
    mien_status st = MIEN_OK;
    int *const fold = mien_alloc_array(p->n, sizeof *fold);
    mien_eval_pair *const pairs = mien_alloc_array(2 * v->n_mated, sizeof *pairs);
    if (!fold || !pairs) {
        st = mien__nomem(err, 2 * v->n_mated * sizeof *pairs);
        goto done;
    }
    for (size_t i = 0; i < p->n; i++) { /* by the label, so that adding people moves nobody */
        mien__rng rng;
        mien__rng_seed(&rng, o->seed ^ ((uint64_t)p->labels[i] << 32));
        fold[i] = (int)(mien__rng_u64(&rng) % (uint64_t)o->folds);
    }
    for (size_t i = 0; i < v->n_mated; i++, n++) {
        const int f = fold[v->mated[i].a];
        mated[f]++;
        pairs[n] = (mien_eval_pair){ v->mated[i].score, 1, f, 0 };
    }
    /* Scores are in order: an even spread over a fold's pairs takes the same share of every score. */
    for (size_t i = 0; i < v->n_nonmated; i++)
        nonmated[fold[v->nonmated[i].a]] += fold[v->nonmated[i].a] == fold[v->nonmated[i].b];
    for (int f = 0; f < o->folds; f++)
        if (mated[f] == 0 || nonmated[f] == 0)
            goto done;
    size_t credit[100] = { 0 };
    for (size_t i = 0; i < v->n_nonmated; i++) {
        const int f = fold[v->nonmated[i].a];
        if (fold[v->nonmated[i].b] != f)
            continue;
        credit[f] += mated[f] < nonmated[f] ? mated[f] : nonmated[f];
        if (credit[f] >= nonmated[f]) {
            credit[f] -= nonmated[f];
            pairs[n++] = (mien_eval_pair){ v->nonmated[i].score, 0, f, 0 };
        }
    }
    mien_eval_result res;
    st = mien_eval_pairs(pairs, n, o->folds, &res, err);
    if (st)
        goto done;
    r->folds = (size_t)o->folds;
    r->pair_accuracy = res.accuracy;
    r->pair_accuracy_std = res.accuracy_std;
    r->pair_precision = res.precision;
    r->pair_recall = res.recall;
    r->pair_f1 = res.f1;
done:
    mien_free(pairs);
    mien_free(fold);
    return st;
}

static mien_status validate_open(const mien__people *p, const float *e, int dim, const mien__validate_opts *o,
                                 mien__val_open *ret, mien_error *err)
{
    mien__vpairs chosen = { 0 }, v = { 0 };
    mien__val_open r = { .n_people = p->n, .n_pictures = p->n_rows, .n_mated_people = mated_people(p) };
    mien_status st = mien__vpairs_new(p, o->max_pairs, o->seed, &chosen, err);
    if (!st)
        st = mien__vpairs_score(&chosen, p, e, dim, &v, err);
    r.n_mated = v.n_mated;
    r.n_nonmated = v.n_nonmated;
    r.total_mated = v.total_mated;
    r.total_nonmated = v.total_nonmated;
    if (!st)
        st = error_rates(p, &v, o, &r, err);
    if (!st)
        st = curves(&v, &r, err);
    if (!st && o->folds)
        st = verify_folds(p, &v, o, &r, err);
    if (!st)
        *ret = r;
    mien__vpairs_clear(&chosen);
    mien__vpairs_clear(&v);
    return st;
}

mien_status mien__validate(const float *e, const int32_t *labels, size_t n, int dim,
                           const mien__validate_opts *o, mien__validation *ret, mien_error *err)
{
    mien_status st = check(e, labels, n, dim, o, ret, err);
    if (st)
        return st;
    mien__people p = { 0 };
    mien__validation v = { 0 };
    st = mien__people_new(labels, n, &p, err);
    if (!st)
        st = validate_open(&p, e, dim, o, &v.open, err);
    if (!st)
        st = mien__validate_closed(&p, e, dim, o, &v.closed, err);
    if (!st)
        *ret = v;
    mien__people_clear(&p);
    return st;
}

void mien__validation_clear(mien__validation *v)
{
    mien_free(v->closed.matrix);
    *v = (mien__validation){ 0 };
}

/* ---- comparison ---- */

static mien_status differ(const mien__people *p, const mien__vpairs *before, const mien__vpairs *after,
                          const mien__validate_opts *o, mien__comparison *r, mien_error *err)
{
    boot b = { .models = { before, after }, .n_people = p->n, .seed = o->seed, .n_fars = 1 };
    uint32_t *weight = NULL;
    double t;
    mien_status st = ones(p->n, &weight, err);
    if (!st)
        st = boot_run(&b, o, err);
    if (!st) {
        (void)mien__weighted_fnmr(before, weight, fars[0], &t, &r->fnmr_before);
        (void)mien__weighted_fnmr(after, weight, fars[0], &t, &r->fnmr_after);
        for (size_t k = 0; k < b.n; k++)
            b.fnmr[k] = b.fnmr[b.n + k] - b.fnmr[k];
        r->difference = mien__interval_of(r->fnmr_after - r->fnmr_before, b.fnmr, b.n);
        if (r->n_mated_people >= MIEN__VAL_MIN_PEOPLE && r->difference.hi < 0)
            r->verdict = MIEN__BETTER;
        else if (r->n_mated_people >= MIEN__VAL_MIN_PEOPLE && r->difference.lo > 0)
            r->verdict = MIEN__WORSE;
    }
    boot_clear(&b);
    mien_free(weight);
    return st;
}

mien_status mien__compare(const float *before, int dim_before, const float *after, int dim_after,
                          const int32_t *labels, size_t n, const mien__validate_opts *o,
                          mien__comparison *ret, mien_error *err)
{
    mien_status st = check(before, labels, n, dim_before, o, ret, err);
    if (!st)
        st = check(after, labels, n, dim_after, o, ret, err);
    if (st)
        return st;
    mien__people p = { 0 };
    mien__vpairs chosen = { 0 }, scored[2] = { { 0 }, { 0 } };
    mien__comparison r = { 0 };
    st = mien__people_new(labels, n, &p, err);
    if (!st)
        st = mien__vpairs_new(&p, o->max_pairs, o->seed, &chosen, err);
    if (!st)
        st = mien__vpairs_score(&chosen, &p, before, dim_before, &scored[0], err);
    if (!st)
        st = mien__vpairs_score(&chosen, &p, after, dim_after, &scored[1], err);
    if (!st) {
        r.n_people = p.n;
        r.n_mated_people = mated_people(&p);
        st = differ(&p, &scored[0], &scored[1], o, &r, err);
    }
    if (!st)
        *ret = r;
    mien__vpairs_clear(&scored[0]);
    mien__vpairs_clear(&scored[1]);
    mien__vpairs_clear(&chosen);
    mien__people_clear(&p);
    return st;
}
