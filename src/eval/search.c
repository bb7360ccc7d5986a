/* Open-set identification from the outcome of each search (ISO/IEC 19795-1:2021, 1:N measures; Grother, Ngan,
 * Hanaoka, NISTIR 8271).
 *
 * A probe is put as a pair: mated ones with the score of the right person where that is the first candidate,
 * else with the least; non-mated ones with the score of whoever came first. Then FPIR is an FMR and FNIR an
 * FNMR, and thresholds, resamples and intervals are those of verification. A probe weighs as the person it
 * shows.
 */
#include "eval/draws.h"
#include <math.h>
#include <string.h>

static const double fpirs[MIEN_EVAL_FPIRS] = { 1e-1, 3e-2, 1e-2, 1e-3 };

enum {
    FPIR,
    FNIR,
    AT,
    CURVE = AT + MIEN_EVAL_FPIRS,
    RANK = CURVE + MIEN_EVAL_DET,
    N_FIGURES = RANK + MIEN_EVAL_RANKS
};

typedef struct searching {
    const mien_eval_probe *probes;
    mien__epairs p;
    double threshold;
} searching;

static double curve_fpir(int i)
{
    return 1e-3 * pow(500, (double)i / (MIEN_EVAL_DET - 1));
}

static double fnir_at(const searching *s, const mien__weighing *w, double fpir)
{
    return mien__weighted_fnmr_at(&s->p, w, mien__weighted_threshold(&s->p, w, fpir));
}

static void figures(void *ctx, mien__weighing *const *weighings, double *v)
{
    const searching *const s = ctx;
    const mien__weighing *const w = weighings[0];
    double hits[MIEN_EVAL_RANKS + 1] = { 0 };
    v[FPIR] = mien__weighted_fmr_at(&s->p, w, s->threshold);
    v[FNIR] = mien__weighted_fnmr_at(&s->p, w, s->threshold);
    for (int i = 0; i < MIEN_EVAL_FPIRS + MIEN_EVAL_DET; i++)
        v[AT + i] = w->nonmated[0]
                        ? fnir_at(s, w, i < MIEN_EVAL_FPIRS ? fpirs[i] : curve_fpir(i - MIEN_EVAL_FPIRS))
                        : NAN;
    for (size_t i = 0; i < s->p.n_mated; i++) {
        const mien_eval_probe *const probe = &s->probes[s->p.mated[i].row];
        if (!probe->failed && probe->rank >= 1 && probe->rank <= MIEN_EVAL_RANKS)
            hits[probe->rank] += (double)mien__epair_weight(&s->p.mated[i], w->weight);
    }
    for (int i = 0; i < MIEN_EVAL_RANKS; i++) {
        hits[i + 1] += hits[i];
        v[RANK + i] = w->mated[0] ? hits[i + 1] / (double)w->mated[0] : NAN;
    }
}

/* ---- probes as pairs ---- */

static mien_status check(const mien_eval_probe *v, size_t n, const mien_eval_search_opts *o, const void *ret,
                         mien_error *err)
{
    if (!v || !ret)
        return mien__fail(err, MIEN_E_ARG, "evaluation: a pointer is NULL");
    if (o->resamples < 0 || o->resamples > 100000)
        return mien__fail(err, MIEN_E_ARG, "evaluation: %d resamples, must be 0..100000", o->resamples);
    if (n > MIEN_EVAL_MAX_ROWS)
        return mien__fail(err, MIEN_E_LIMIT, "evaluation: more than %d probes", MIEN_EVAL_MAX_ROWS);
    for (size_t i = 0; i < n; i++)
        if (v[i].mated && !v[i].failed && v[i].rank == 1 && !isfinite(v[i].top))
            return mien__fail(err, MIEN_E_EVAL_DATA, "evaluation: probe %zu has a candidate without a score",
                              i);
    return MIEN_OK;
}

static double score_of(const mien_eval_probe *p)
{
    const bool counts = !p->failed && isfinite(p->top) && (!p->mated || p->rank == 1);
    return counts ? p->top : -HUGE_VAL;
}

/* Number the people: those without a name after those with one. */
static mien_status number_people(const mien_eval_probe *v, size_t n, uint32_t *unit, size_t *ret_units,
                                 mien_error *err)
{
    mien__names names = { 0 };
    mien_status st = MIEN_OK;
    for (size_t i = 0; i < n && !st; i++)
        st = mien__names_add(&names, v[i].person, &unit[i], err);
    uint32_t next = (uint32_t)names.n;
    for (size_t i = 0; i < n; i++)
        unit[i] = unit[i] ? unit[i] - 1 : next++;
    *ret_units = next;
    mien__names_clear(&names);
    return st;
}

static mien_status as_pairs(const mien_eval_probe *v, size_t n, mien__epairs *ret, mien_error *err)
{
    mien__epairs p = { 0 };
    uint32_t *const unit = mien_alloc_array(n, sizeof *unit);
    p.mated = mien_alloc_array(n, sizeof *p.mated);
    p.nonmated = mien_alloc_array(n, sizeof *p.nonmated);
    mien_status st = unit && p.mated && p.nonmated ? number_people(v, n, unit, &p.n_units, err)
                                                   : mien__nomem(err, n * sizeof *p.mated);
    for (size_t i = 0; i < n && !st; i++)
        *(v[i].mated ? &p.mated[p.n_mated++] : &p.nonmated[p.n_nonmated++]) =
            (mien__epair){ score_of(&v[i]), unit[i], (uint32_t)p.n_units, (uint32_t)i };
    mien_free(unit);
    if (!st && (!p.n_mated || !p.n_nonmated))
        st = mien__fail(err, MIEN_E_EVAL_DATA,
                        "open-set evaluation needs both kinds of probes: %zu mated, %zu non-mated", p.n_mated,
                        p.n_nonmated);
    if (st) {
        mien__epairs_clear(&p);
        return st;
    }
    p.by_people = p.n_units < n;
    mien__epairs_sort(&p);
    *ret = p;
    return st;
}

/* ---- the summary ---- */

static mien_eval_rate rate(const searching *s, mien__draws *d, size_t i, size_t n)
{
    if (!isfinite(d->estimate[i]))
        return (mien_eval_rate){ 0, 0, 1 };
    if (!s->p.by_people || !d->n)
        return mien__rate_of((uint64_t)llround(d->estimate[i] * (double)n), n);
    return mien__open_ended(mien__draws_interval(d, i), n < s->p.n_units ? n : s->p.n_units);
}

static void histogram(const mien__epair *v, size_t n, const mien_eval_search_summary *r, uint64_t *bins)
{
    for (size_t i = 0; i < n; i++) {
        const double at = (v[i].score - r->score_lo) / (r->score_hi - r->score_lo) * MIEN_EVAL_BINS;
        if (at >= 0)
            bins[at >= MIEN_EVAL_BINS ? MIEN_EVAL_BINS - 1 : (int)at]++;
    }
}

static void histograms(const mien__epairs *p, mien_eval_search_summary *r)
{
    double lo = HUGE_VAL, hi = -HUGE_VAL;
    for (size_t i = 0; i < p->n_mated + p->n_nonmated; i++) {
        const double v = i < p->n_mated ? p->mated[i].score : p->nonmated[i - p->n_mated].score;
        lo = isfinite(v) ? fmin(lo, v) : lo;
        hi = isfinite(v) ? fmax(hi, v) : hi;
    }
    if (!isfinite(lo))
        lo = hi = 0;
    r->score_lo = lo;
    r->score_hi = hi - lo > 1e-12 * fmax(fabs(hi), 1) ? hi : lo + fmax(fabs(lo), 1) * 1e-3;
    histogram(p->mated, p->n_mated, r, r->hist_mated);
    histogram(p->nonmated, p->n_nonmated, r, r->hist_nonmated);
}

static bool supported(const mien__epairs *p, double fpir)
{
    return (double)p->n_nonmated >= 3 / fpir * (1 - 1e-12);
}

static void choose_threshold(searching *s, const mien__weighing *w, double given, double *ret_chosen)
{
    *ret_chosen = 0;
    s->threshold = given;
    if (isfinite(given))
        return;
    *ret_chosen = supported(&s->p, fpirs[2]) ? fpirs[2] : supported(&s->p, fpirs[1]) ? fpirs[1] : fpirs[0];
    s->threshold = mien__weighted_threshold(&s->p, w, *ret_chosen);
}

static void fill(const searching *s, const mien__weighing *w, mien__draws *d, mien_eval_search_summary *r)
{
    const mien__epairs *const p = &s->p;
    r->fpir = rate(s, d, FPIR, p->n_nonmated);
    r->fnir = rate(s, d, FNIR, p->n_mated);
    for (int i = 0; i < MIEN_EVAL_FPIRS; i++)
        r->at[i] = (mien_eval_at_fpir){ fpirs[i], mien__weighted_threshold(p, w, fpirs[i]),
                                        rate(s, d, (size_t)(AT + i), p->n_mated), supported(p, fpirs[i]) };
    for (int i = 0; i < MIEN_EVAL_DET; i++) {
        r->curve_fpir[i] = curve_fpir(i);
        r->curve_fnir[i] = rate(s, d, (size_t)(CURVE + i), p->n_mated);
        if (curve_fpir(i) * (double)p->n_nonmated < 1)
            r->curve_fnir[i] = (mien_eval_rate){ NAN, NAN, NAN };
    }
    for (int i = 0; i < MIEN_EVAL_RANKS; i++)
        r->rank[i] = rate(s, d, (size_t)(RANK + i), p->n_mated);
    histograms(p, r);
}

mien_status mien_eval_search(const mien_eval_probe *probes, size_t n, const mien_eval_search_opts *opts,
                             mien_eval_search_summary *ret, mien_error *err)
{
    mien_eval_search_opts given = MIEN_EVAL_SEARCH_OPTS_INIT;
    MIEN__EVAL_TAKE(given, opts);
    const mien_eval_search_opts *const o = &given;
    mien_status st = check(probes, n, o, ret, err);
    if (st)
        return st;
    searching s = { .probes = probes };
    mien__weighing w = { 0 };
    mien__draws d = { .sets = { &s.p }, .seed = o->seed, .fn = figures, .ctx = &s, .n_figures = N_FIGURES };
    st = as_pairs(probes, n, &s.p, err);
    if (!st)
        st = mien__weighing_new(&s.p, &w, err);
    if (st)
        goto done;
    mien_eval_search_summary r = { .n_mated = s.p.n_mated,
                                   .n_nonmated = s.p.n_nonmated,
                                   .n_people = s.p.n_units,
                                   .n_enrolled = o->n_enrolled,
                                   .by_people = s.p.by_people,
                                   .seed = o->seed };
    for (size_t i = 0; i < n; i++)
        if (probes[i].failed)
            *(probes[i].mated ? &r.n_failed_mated : &r.n_failed_nonmated) += 1;
    mien__weigh(&s.p, 0, -1, &w);
    choose_threshold(&s, &w, o->threshold, &r.chosen_fpir);
    d.n = s.p.by_people ? mien__draws_count((double)n, o->resamples) : 0;
    st = mien__draws_run(&d, o->threads, err);
    if (st)
        goto done;
    r.threshold = s.threshold;
    r.resamples = (int)d.n;
    fill(&s, &w, &d, &r);
    *ret = r;
done:
    mien__draws_clear(&d);
    mien__weighing_clear(&w);
    mien__epairs_clear(&s.p);
    return st;
}
