/* The bootstrap's loop. The first task weighs all units alike: its figures are the estimates; then comes a
 * task per resample, each with random numbers of its own (resample.c), so results do not depend on the
 * threads. Two sets of pairs are drawn together when they are the same pairs under two matchers, else each
 * with its own seed. */
#include "eval/draws.h"
#include <math.h>
#include <string.h>

/* Visits of pairs by all resamples together: some seconds. */
static const double max_visits = 3e8;
enum { MIN_RESAMPLES = 200 };

size_t mien__draws_count(double visits, int asked)
{
    const double fit = floor(max_visits / fmax(visits, 1));
    const int least = asked < MIN_RESAMPLES ? asked : MIN_RESAMPLES;
    return (size_t)(fit >= asked ? asked : fit > least ? (int)fit : least);
}

static void draw(void *ctx, size_t task, unsigned worker)
{
    mien__draws *const d = ctx;
    const int64_t k = (int64_t)task - 1;
    mien__weighing *w[MIEN__DRAWS_SETS] = { NULL };
    double *const v = d->scratch + worker * d->n_figures;
    for (int i = 0; i < MIEN__DRAWS_SETS && d->sets[i]; i++) {
        w[i] = &d->w[worker * MIEN__DRAWS_SETS + (unsigned)i];
        mien__weigh(d->sets[i], d->together || i == 0 ? d->seed : ~d->seed, k, w[i]);
    }
    d->fn(d->ctx, w, v);
    for (size_t i = 0; i < d->n_figures; i++)
        *(k < 0 ? &d->estimate[i] : &d->v[i * d->n + (size_t)k]) = v[i];
}

static mien_status open_workers(mien__draws *d, mien_error *err)
{
    d->w = mien_alloc_array_zero(d->threads, MIEN__DRAWS_SETS * sizeof *d->w);
    d->scratch = mien_alloc_array(d->threads, d->n_figures * sizeof *d->scratch);
    d->estimate = mien_alloc_array(d->n_figures, sizeof *d->estimate);
    d->v = mien_alloc_array(d->n_figures, (d->n + 1) * sizeof *d->v);
    if (!d->w || !d->scratch || !d->estimate || !d->v)
        return mien__nomem(err, d->n_figures * (d->n + 1) * sizeof *d->v);
    for (unsigned i = 0; i < d->threads * MIEN__DRAWS_SETS; i++) {
        const mien__epairs *const p = d->sets[i % MIEN__DRAWS_SETS];
        const mien_status st = p ? mien__weighing_new(p, &d->w[i], err) : MIEN_OK;
        if (st)
            return st;
    }
    return MIEN_OK;
}

mien_status mien__draws_run(mien__draws *d, unsigned threads, mien_error *err)
{
    mien__pool *pool = NULL;
    mien_status st = mien__pool_new(&pool, threads, err);
    if (st)
        return st;
    d->threads = mien__pool_threads(pool);
    st = open_workers(d, err);
    if (!st)
        mien__pool_run(pool, draw, d, d->n + 1);
    mien__pool_free(pool);
    return st;
}

void mien__draws_clear(mien__draws *d)
{
    for (unsigned i = 0; d->w && i < d->threads * MIEN__DRAWS_SETS; i++)
        mien__weighing_clear(&d->w[i]);
    mien_free(d->w);
    mien_free(d->scratch);
    mien_free(d->estimate);
    mien_free(d->v);
    d->w = NULL;
    d->scratch = d->estimate = d->v = NULL;
}

mien_eval_rate mien__draws_interval(mien__draws *d, size_t i)
{
    double *const v = d->v + i * d->n;
    size_t n = 0;
    for (size_t k = 0; k < d->n; k++)
        if (isfinite(v[k]))
            v[n++] = v[k];
    if (!isfinite(d->estimate[i]))
        return (mien_eval_rate){ 0, 0, 1 };
    return n ? mien__interval_of(d->estimate[i], v, n) : (mien_eval_rate){ d->estimate[i], 0, 1 };
}
