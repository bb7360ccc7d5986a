/* The figures of a table: point estimates, and intervals by the bootstrap over people.
 *
 * Every figure is a number of one list (`layout of a resample` below), computed by one function from weighted
 * pairs: with weights of 1 it is the estimate, with the weights of a resample one draw. Draws are tasks of
 * the pool, each with random numbers of its own, so any number of threads gives the same. Where people are
 * unknown, rates at a threshold get the exact interval of independent trials instead (Clopper, Pearson 1934).
 */
#include "eval/draws.h"
#include "eval/measure.h"
#include <math.h>

static const double fmrs[MIEN_EVAL_FMRS] = { 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6 };

enum { MAX_RESAMPLES = 100000 };

/* ---- layout of a resample ---- */
enum {
    AUC,
    EER,
    FMR,
    FNMR,
    ACCURACY,
    PRECISION,
    RECALL,
    F1,
    AT_FMR,
    DET = AT_FMR + MIEN_EVAL_FMRS,
    GROUPS = DET + MIEN_EVAL_DET, /* then FMR and FNMR of each group */
};

static double det_fmr(int i)
{
    return 1e-6 * pow(5e5, (double)i / (MIEN_EVAL_DET - 1));
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : NAN;
}

static void figures(void *ctx, mien__weighing *const *weighings, double *v)
{
    const mien__measuring *const m = ctx;
    const mien__weighing *const w = weighings[0];
    const mien__confusion c = mien__weighted_confusion(&m->pairs, w, m->threshold);
    v[AUC] = mien__weighted_auc(&m->pairs, w);
    v[EER] = mien__weighted_eer(&m->pairs, w, NULL);
    v[FMR] = mien__weighted_fmr_at(&m->pairs, w, m->threshold);
    v[FNMR] = mien__weighted_fnmr_at(&m->pairs, w, m->threshold);
    v[ACCURACY] = ratio(c.tp + c.tn, c.tp + c.tn + c.fp + c.fn);
    v[PRECISION] = ratio(c.tp, c.tp + c.fp);
    v[RECALL] = ratio(c.tp, c.tp + c.fn);
    v[F1] = ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn);
    for (int i = 0; i < MIEN_EVAL_FMRS + MIEN_EVAL_DET; i++) {
        const double fmr = i < MIEN_EVAL_FMRS ? fmrs[i] : det_fmr(i - MIEN_EVAL_FMRS);
        v[AT_FMR + i] = !w->nonmated[0] ? NAN
                                        : mien__weighted_fnmr_at(&m->pairs, w,
                                                                 mien__weighted_threshold(&m->pairs, w, fmr));
    }
    mien__group_figures(&m->groups, w->weight, v + GROUPS);
}

/* ---- the summary ---- */

/* A rate over n pairs of so many people; exact where the pairs are the units. */
static mien_eval_rate rate(mien__draws *d, size_t i, size_t n, size_t people)
{
    const double value = d->estimate[i];
    if (!n || !isfinite(value))
        return (mien_eval_rate){ 0, 0, 1 };
    if (!d->sets[0]->by_people || !d->n)
        return mien__rate_of((uint64_t)llround(value * (double)n), n);
    return mien__open_ended(mien__draws_interval(d, i), people);
}

static void fill_rates(const mien__measuring *m, mien__draws *d, mien_eval_summary *s)
{
    const mien__epairs *const p = &m->pairs;
    const size_t people = p->by_people ? p->n_units : p->n_mated;
    mien_eval_decided *const c = &s->decided;
    s->auc = mien__open_ended(mien__draws_interval(d, AUC), people);
    s->eer = mien__open_ended(mien__draws_interval(d, EER), people);
    c->fmr = rate(d, FMR, p->n_nonmated, people);
    c->fnmr = rate(d, FNMR, p->n_mated, p->n_mated_people);
    c->accuracy = rate(d, ACCURACY, (size_t)(c->tp + c->fp + c->fn + c->tn), people);
    c->precision = rate(d, PRECISION, (size_t)(c->tp + c->fp), p->n_mated_people);
    c->recall = rate(d, RECALL, (size_t)(c->tp + c->fn), p->n_mated_people);
    c->f1 = mien__open_ended(mien__draws_interval(d, F1), people);
    for (int i = 0; i < MIEN_EVAL_FMRS; i++)
        s->at[i].fnmr = rate(d, (size_t)(AT_FMR + i), p->n_mated, p->n_mated_people);
    for (int i = 0; i < MIEN_EVAL_DET; i++) {
        s->det_fmr[i] = det_fmr(i);
        s->det_fnmr[i] = rate(d, (size_t)(DET + i), p->n_mated, p->n_mated_people);
        if (det_fmr(i) * (double)p->n_nonmated < 1)
            s->det_fnmr[i] = (mien_eval_rate){ NAN, NAN, NAN };
    }
    for (size_t i = 0; i < m->groups.n; i++) {
        mien_eval_group *const g = &m->groups.shown[i];
        g->fmr = rate(d, GROUPS + 2 * i, g->n_nonmated, g->n_people);
        g->fnmr = rate(d, GROUPS + 2 * i + 1, g->n_mated, g->n_people);
    }
}

static void fill_points(const mien__measuring *m, const mien__weighing *w, mien_eval_summary *s)
{
    const mien__epairs *const p = &m->pairs;
    const mien_eval_table *const t = m->table;
    for (int i = 0; i < MIEN_EVAL_FMRS; i++) {
        const double at = mien__weighted_threshold(p, w, fmrs[i]);
        const double misses = (double)mien__epair_lower(p->mated, p->n_mated, at);
        s->at[i].fmr = fmrs[i];
        s->at[i].threshold = mien__eval_shown(t, at);
        s->at[i].fnmr_failed =
            (misses + (double)p->n_failed_mated) / (double)(p->n_mated + p->n_failed_mated);
        s->at[i].supported = (double)p->n_nonmated >= 3 / fmrs[i] * (1 - 1e-12);
    }
    double eer_threshold = 0;
    (void)mien__weighted_eer(p, w, &eer_threshold);
    s->eer_threshold = mien__eval_shown(t, eer_threshold);
    const mien__confusion c = mien__weighted_confusion(p, w, m->threshold);
    s->decided.threshold = mien__eval_shown(t, m->threshold);
    s->decided.chosen_fmr = m->chosen_fmr;
    s->decided.tp = (uint64_t)c.tp;
    s->decided.fp = (uint64_t)c.fp;
    s->decided.fn = (uint64_t)c.fn;
    s->decided.tn = (uint64_t)c.tn;
}

/* The threshold to decide by where none was given: at the smallest common FMR that the pairs support. */
static void choose_threshold(mien__measuring *m, const mien__weighing *w, double given)
{
    m->chosen_fmr = 0;
    if (isfinite(given)) {
        m->threshold = mien__eval_shown(m->table, given);
        return;
    }
    for (int i = 2; i >= 0; i--) /* 1e-3 down to 1e-1 */
        if ((double)m->pairs.n_nonmated >= 3 / fmrs[i] * (1 - 1e-12)) {
            m->chosen_fmr = fmrs[i];
            m->threshold = mien__weighted_threshold(&m->pairs, w, fmrs[i]);
            return;
        }
    m->chosen_fmr = -1;
    (void)mien__weighted_eer(&m->pairs, w, &m->threshold);
}

static mien_status check(const mien_eval_table *t, const mien_eval_opts *o, const void *ret, mien_error *err)
{
    if (!t || !ret)
        return mien__fail(err, MIEN_E_ARG, "evaluation: a pointer is NULL");
    if (o->resamples < 0 || o->resamples > MAX_RESAMPLES)
        return mien__fail(err, MIEN_E_ARG, "evaluation: %d resamples, must be 0..%d", o->resamples,
                          MAX_RESAMPLES);
    if (o->n_worst > MIEN_EVAL_MAX_WORST)
        return mien__fail(err, MIEN_E_ARG, "evaluation: %zu errors to keep, at most %d", o->n_worst,
                          MIEN_EVAL_MAX_WORST);
    return MIEN_OK;
}

static mien_status measure(mien_evaluation *e, const mien_eval_opts *o, mien_error *err)
{
    mien__measuring m = { .table = e->table };
    mien__weighing w = { 0 };
    mien__draws d = { .sets = { &m.pairs }, .seed = o->seed, .fn = figures, .ctx = &m };
    mien_status st = mien__epairs_new(m.table, false, &m.pairs, err);
    if (!st)
        st = mien__weighing_new(&m.pairs, &w, err);
    if (st)
        goto done;
    mien__weigh(&m.pairs, 0, -1, &w);
    choose_threshold(&m, &w, o->threshold);
    st = mien__groups_new(&m.pairs, m.table, m.threshold, &m.groups, err);
    if (st)
        goto done;
    d.n_figures = GROUPS + 2 * m.groups.n;
    d.n = mien__draws_count((double)m.table->n * (2 + (double)m.table->n_columns) / 2, o->resamples);
    st = mien__draws_run(&d, o->threads, err);
    if (st)
        goto done;
    e->s = (mien_eval_summary){
        .n_mated = m.pairs.n_mated,
        .n_nonmated = m.pairs.n_nonmated,
        .n_failed_mated = m.pairs.n_failed_mated,
        .n_failed_nonmated = m.pairs.n_failed_nonmated,
        .n_people = m.pairs.by_people ? m.pairs.n_units : 0,
        .n_mated_people = m.pairs.n_mated_people,
        .lower = m.table->lower,
        .resamples = (int)d.n,
        .seed = o->seed,
    };
    fill_points(&m, &w, &e->s);
    fill_rates(&m, &d, &e->s);
    mien__fill_histograms(&m, &e->s);
    st = mien__fill_folds(m.table, &e->s, err);
    if (!st)
        st = mien__fill_worst(&m, o->n_worst, e, err);
    e->s.groups = e->groups = m.groups.shown;
    e->s.n_groups = m.groups.n;
    m.groups.shown = NULL;
done:
    mien__groups_clear(&m.groups);
    mien__draws_clear(&d);
    mien__weighing_clear(&w);
    mien__epairs_clear(&m.pairs);
    return st;
}

mien_status mien_eval_measure(const mien_eval_table *table, const mien_eval_opts *opts, mien_evaluation **ret,
                              mien_error *err)
{
    mien_eval_opts given = MIEN_EVAL_OPTS_INIT;
    MIEN__EVAL_TAKE(given, opts);
    const mien_eval_opts *const o = &given;
    mien_status st = check(table, o, ret, err);
    if (st)
        return st;
    mien_evaluation *const e = mien_alloc_zero(sizeof *e);
    if (!e)
        return mien__nomem(err, sizeof *e);
    e->table = table;
    st = measure(e, o, err);
    if (st)
        mien_evaluation_free(e);
    else
        *ret = e;
    return st;
}

void mien_evaluation_free(mien_evaluation *e)
{
    if (!e)
        return;
    mien_free(e->groups);
    mien_free(e->worst);
    mien_free(e);
}

const mien_eval_summary *mien_evaluation_summary(const mien_evaluation *e)
{
    return e ? &e->s : NULL;
}

mien_eval_rate mien_eval_proportion(uint64_t k, uint64_t n)
{
    return mien__rate_of(k < n ? k : n, n);
}
