/* Two matchers on the same pairs, or on two samples.
 *
 * The same pairs: both tables are resampled with the same weights, so that what makes a pair hard for both
 * drops out of the difference (paired bootstrap: Efron, Tibshirani 1993, chapter 8), thresholds found anew in
 * each resample. Two samples: each is resampled by itself, and the differences of draw k are those of
 * independent figures. Pairs that could not be compared count as the least alike: a matcher does not win by
 * giving up on hard pairs. Decisions are compared by the exact McNemar test (McNemar 1947; two-sided binomial
 * of the discordant pairs).
 */
#include "eval/draws.h"
#include <math.h>
#include <string.h>

enum { AUC, EER, ACCURACY, AT_FMR, N_FIGURES = AT_FMR + MIEN_EVAL_FMRS };

static const struct {
    const char *name;
    int better;
} figures[N_FIGURES] = {
    { "auc", 1 },
    { "eer", -1 },
    { "accuracy", 1 },
    { "fnmr_at_fmr_1e-1", -1 },
    { "fnmr_at_fmr_1e-2", -1 },
    { "fnmr_at_fmr_1e-3", -1 },
    { "fnmr_at_fmr_1e-4", -1 },
    { "fnmr_at_fmr_1e-5", -1 },
    { "fnmr_at_fmr_1e-6", -1 },
};
static const double fmrs[MIEN_EVAL_FMRS] = { 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6 };

typedef struct comparing {
    mien__epairs p[2];
    double threshold[2]; /* NaN: at the common FMR, found in each resample */
    double fmr;          /* the smallest that both support */
} comparing;

static double threshold_of(const comparing *c, int i, const mien__weighing *w)
{
    return isfinite(c->threshold[i]) ? c->threshold[i] : mien__weighted_threshold(&c->p[i], w, c->fmr);
}

/* Of each table, one after the other. */
static void both(void *ctx, mien__weighing *const *weighings, double *v)
{
    const comparing *const c = ctx;
    for (int i = 0; i < 2; i++, v += N_FIGURES) {
        const mien__weighing *const w = weighings[i];
        for (int k = 0; k < N_FIGURES; k++)
            v[k] = NAN;
        if (!w->mated[0] || !w->nonmated[0])
            continue;
        const mien__confusion m = mien__weighted_confusion(&c->p[i], w, threshold_of(c, i, w));
        v[AUC] = mien__weighted_auc(&c->p[i], w);
        v[EER] = mien__weighted_eer(&c->p[i], w, NULL);
        v[ACCURACY] = (m.tp + m.tn) / (m.tp + m.tn + m.fp + m.fn);
        for (int k = 0; k < MIEN_EVAL_FMRS; k++)
            v[AT_FMR + k] =
                mien__weighted_fnmr_at(&c->p[i], w, mien__weighted_threshold(&c->p[i], w, fmrs[k]));
    }
}

static bool same_name(const mien__names *a, uint32_t x, const mien__names *b, uint32_t y)
{
    return !x == !y && (!x || strcmp(mien__names_at(a, x), mien__names_at(b, y)) == 0);
}

/* 0: not the same pairs in the same order; 1: they are, by name; 2: nothing names them, but order and labels
 * agree. */
static int same_pairs(const mien_eval_table *a, const mien_eval_table *b)
{
    bool named = false;
    if (a->n != b->n)
        return 0;
    for (size_t i = 0; i < a->n; i++) {
        const mien__eval_row *const x = &a->rows[i], *const y = &b->rows[i];
        if (x->mated != y->mated)
            return 0;
        named = named || x->person[0] || x->item[0];
        for (int k = 0; k < 2; k++)
            if (!same_name(&a->people, x->person[k], &b->people, y->person[k]) ||
                !same_name(&a->items, x->item[k], &b->items, y->item[k]))
                return 0;
    }
    return named ? 1 : 2;
}

/* Two-sided: twice the smaller tail of a fair coin. P(X <= k) of n is I_1/2(n - k, k + 1). */
static double mcnemar(uint64_t only_a, uint64_t only_b)
{
    const double n = (double)(only_a + only_b), k = (double)(only_a < only_b ? only_a : only_b);
    return only_a == only_b ? 1 : fmin(1, 2 * mien__beta_inc(n - k, k + 1, 0.5));
}

static void discordant(const mien_eval_table *a, const mien_eval_table *b, const double *threshold,
                       mien_eval_comparison *r)
{
    for (size_t i = 0; i < a->n; i++) {
        const mien__eval_row *const x = &a->rows[i], *const y = &b->rows[i];
        const bool right_a = (!x->failed && x->score >= threshold[0]) == (x->mated != 0);
        const bool right_b = (!y->failed && y->score >= threshold[1]) == (y->mated != 0);
        r->only_a += right_a && !right_b;
        r->only_b += right_b && !right_a;
    }
    r->mcnemar_p = mcnemar(r->only_a, r->only_b);
}

static void fill(const comparing *c, mien__draws *d, mien_eval_comparison *r)
{
    for (int k = 0; k < N_FIGURES; k++) {
        double least = HUGE_VAL;
        for (int i = 0; i < 2; i++)
            least = fmin(least, (double)c->p[i].n_nonmated);
        if (k >= AT_FMR && least < 3 / fmrs[k - AT_FMR] * (1 - 1e-12))
            continue; /* rule of three */
        double *const x = d->v + (size_t)k * d->n, *const y = d->v + (size_t)(N_FIGURES + k) * d->n;
        for (size_t i = 0; i < d->n; i++)
            x[i] = y[i] - x[i];
        mien_eval_difference *const to = &r->v[r->n++];
        *to = (mien_eval_difference){ figures[k].name, figures[k].better,
                                      d->estimate[k],  d->estimate[N_FIGURES + k],
                                      { 0, 0, 0 },     0 };
        d->estimate[k] = to->b - to->a;
        to->difference = d->n ? mien__draws_interval(d, (size_t)k) : (mien_eval_rate){ to->b - to->a, -1, 1 };
        to->shown = to->difference.lo > 0 ? to->better : to->difference.hi < 0 ? -to->better : 0;
    }
}

/* With fewer people a resample cannot show what a sign test of as many could not. */
enum { MIN_PEOPLE = 6 };

static void withhold(mien_eval_comparison *r, size_t n_mated_people)
{
    for (size_t i = 0; r->n_people && n_mated_people < MIN_PEOPLE && i < r->n; i++)
        r->v[i].shown = 0;
}

mien_status mien_eval_compare(const mien_eval_table *a, const mien_eval_table *b, double threshold_a,
                              double threshold_b, const mien_eval_opts *opts, mien_eval_comparison *ret,
                              mien_error *err)
{
    mien_eval_opts given = MIEN_EVAL_OPTS_INIT;
    MIEN__EVAL_TAKE(given, opts);
    const mien_eval_opts *const o = &given;
    if (!a || !b || !ret)
        return mien__fail(err, MIEN_E_ARG, "evaluation: a pointer is NULL");
    if (o->resamples < 0 || o->resamples > 100000)
        return mien__fail(err, MIEN_E_ARG, "evaluation: %d resamples, must be 0..100000", o->resamples);
    comparing c = { .threshold = { mien__eval_shown(a, threshold_a), mien__eval_shown(b, threshold_b) },
                    .fmr = 1e-1 };
    mien_eval_comparison r = {
        .paired = same_pairs(a, b), .n_pairs_a = a->n, .n_pairs_b = b->n, .mcnemar_p = 1
    };
    mien__draws d = { .sets = { &c.p[0], &c.p[1] },
                      .together = r.paired,
                      .seed = o->seed,
                      .fn = both,
                      .ctx = &c,
                      .n_figures = 2 * N_FIGURES };
    mien_status st = mien__epairs_new(a, true, &c.p[0], err);
    if (!st)
        st = mien__epairs_new(b, true, &c.p[1], err);
    if (st)
        goto done;
    const size_t least = c.p[0].n_nonmated < c.p[1].n_nonmated ? c.p[0].n_nonmated : c.p[1].n_nonmated;
    for (int i = 1; i < MIEN_EVAL_FMRS && (double)least >= 3 / fmrs[i] * (1 - 1e-12) && i < 3; i++)
        c.fmr = fmrs[i];
    d.n = mien__draws_count((double)a->n + (double)b->n, o->resamples);
    st = mien__draws_run(&d, o->threads, err);
    if (st)
        goto done;
    if (r.paired) {
        mien__weighing *const w = d.w; /* of the first worker: weighed alike once more */
        double threshold[2];
        for (int i = 0; i < 2; i++) {
            mien__weigh(&c.p[i], 0, -1, &w[i]);
            threshold[i] = threshold_of(&c, i, &w[i]);
        }
        discordant(a, b, threshold, &r);
    }
    r.n_people = c.p[0].by_people && c.p[1].by_people ? c.p[0].n_units : 0;
    fill(&c, &d, &r);
    withhold(&r,
             c.p[0].n_mated_people < c.p[1].n_mated_people ? c.p[0].n_mated_people : c.p[1].n_mated_people);
    *ret = r;
done:
    mien__draws_clear(&d);
    mien__epairs_clear(&c.p[0]);
    mien__epairs_clear(&c.p[1]);
    return st;
}
