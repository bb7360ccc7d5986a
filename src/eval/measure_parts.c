/* Histograms, folds, worst errors and the whole ROC of a table. */
#include "eval/measure.h"
#include <math.h>

/* ---- histograms ---- */

static void histogram(const mien_eval_table *t, const mien__epair *v, size_t n, double lo, double hi,
                      uint64_t *bins)
{
    for (size_t i = 0; i < n; i++) {
        const double at = (mien__eval_shown(t, v[i].score) - lo) / (hi - lo) * MIEN_EVAL_BINS;
        bins[at < 0 ? 0 : at >= MIEN_EVAL_BINS ? MIEN_EVAL_BINS - 1 : (int)at]++;
    }
}

void mien__fill_histograms(const mien__measuring *m, mien_eval_summary *s)
{
    const mien__epairs *const p = &m->pairs;
    const double least = fmin(p->mated[0].score, p->nonmated[0].score);
    const double most = fmax(p->mated[p->n_mated - 1].score, p->nonmated[p->n_nonmated - 1].score);
    const double a = mien__eval_shown(m->table, least), b = mien__eval_shown(m->table, most);
    s->score_lo = fmin(a, b);
    s->score_hi = fmax(a, b);
    if (!(s->score_hi - s->score_lo > 1e-12 * fmax(fabs(s->score_hi), 1)))
        s->score_hi = s->score_lo + fmax(fabs(s->score_lo), 1) * 1e-3;
    histogram(m->table, p->mated, p->n_mated, s->score_lo, s->score_hi, s->hist_mated);
    histogram(m->table, p->nonmated, p->n_nonmated, s->score_lo, s->score_hi, s->hist_nonmated);
}

/* ---- folds ---- */

mien_status mien__fill_folds(const mien_eval_table *t, mien_eval_summary *s, mien_error *err)
{
    int folds = 0;
    for (size_t i = 0; i < t->n; i++) {
        if (t->rows[i].fold < 0)
            return MIEN_OK; /* a protocol gives each pair a fold */
        folds = t->rows[i].fold >= folds ? t->rows[i].fold + 1 : folds;
    }
    if (folds < 1)
        return MIEN_OK;
    mien_eval_pair *const pairs = mien_alloc_array(t->n, sizeof *pairs);
    if (!pairs)
        return mien__nomem(err, t->n * sizeof *pairs);
    for (size_t i = 0; i < t->n; i++) {
        const mien__eval_row *const r = &t->rows[i];
        pairs[i] = (mien_eval_pair){ r->score, r->mated, r->fold, r->failed };
    }
    mien_eval_result r;
    const mien_status st = mien_eval_pairs(pairs, t->n, folds, &r, err);
    mien_free(pairs);
    if (st)
        return st;
    s->folds = (size_t)folds;
    s->fold_accuracy = r.accuracy;
    s->fold_accuracy_std = r.accuracy_std;
    s->fold_threshold = mien__eval_shown(t, r.threshold);
    s->fold_precision = r.precision;
    s->fold_recall = r.recall;
    s->fold_f1 = r.f1;
    return MIEN_OK;
}

/* ---- worst errors ---- */

mien_status mien__fill_worst(const mien__measuring *m, size_t n, mien_evaluation *e, mien_error *err)
{
    const mien__epairs *const p = &m->pairs;
    e->worst = mien_alloc_array(2 * n, sizeof *e->worst);
    if (!e->worst)
        return mien__nomem(err, 2 * n * sizeof *e->worst);
    mien_eval_summary *const s = &e->s;
    for (size_t i = p->n_nonmated; i-- > 0 && s->n_false_matches < n && p->nonmated[i].score >= m->threshold;)
        e->worst[s->n_false_matches++] = p->nonmated[i].row;
    for (size_t i = 0; i < p->n_mated && s->n_false_nonmatches < n && p->mated[i].score < m->threshold; i++)
        e->worst[n + s->n_false_nonmatches++] = p->mated[i].row;
    s->false_matches = e->worst;
    s->false_nonmatches = e->worst + n;
    return MIEN_OK;
}

/* ---- ROC ---- */

mien_status mien_eval_roc(const mien_eval_table *table, mien_eval_roc_point **ret, size_t *ret_n,
                          mien_error *err)
{
    if (!table || !ret || !ret_n)
        return mien__fail(err, MIEN_E_ARG, "evaluation: a pointer is NULL");
    mien__epairs p = { 0 };
    mien_status st = mien__epairs_new(table, false, &p, err);
    if (st)
        return st;
    mien_eval_roc_point *const v = mien_alloc_array(p.n_mated + p.n_nonmated + 1, sizeof *v);
    if (!v) {
        st = mien__nomem(err, (p.n_mated + p.n_nonmated) * sizeof *v);
        goto done;
    }
    size_t n = 0, i = p.n_mated, j = p.n_nonmated;
    v[n++] = (mien_eval_roc_point){ table->lower ? -HUGE_VAL : HUGE_VAL, 0, 0 };
    while (i > 0 || j > 0) {
        const double t = j == 0 || (i > 0 && p.mated[i - 1].score > p.nonmated[j - 1].score)
                             ? p.mated[i - 1].score
                             : p.nonmated[j - 1].score;
        while (i > 0 && p.mated[i - 1].score >= t)
            i--;
        while (j > 0 && p.nonmated[j - 1].score >= t)
            j--;
        v[n++] = (mien_eval_roc_point){ mien__eval_shown(table, t),
                                        (double)(p.n_nonmated - j) / (double)p.n_nonmated,
                                        (double)(p.n_mated - i) / (double)p.n_mated };
    }
    *ret = v;
    *ret_n = n;
done:
    mien__epairs_clear(&p);
    return st;
}

void mien_eval_roc_free(mien_eval_roc_point *points)
{
    mien_free(points);
}
