/* Verification over pairs: k-fold accuracy (Huang, Ramesh, Berg, Learned-Miller, "Labeled Faces in the Wild",
 * 2007, section 5: threshold from the other folds), true accept rates at false accept rates, AUC, EER.
 *
 * Choice of a threshold among equally accurate ones: the middle of the widest gap between neighbouring scores
 * that attains the maximum (the lower one when two are as wide); it depends on the scores only, not on their
 * order. With one fold the threshold comes from the same pairs.
 */
#include "eval/stats.h"
#include <math.h>
#include <stdlib.h>

enum { MAX_FOLDS = 1000 };

typedef struct scored {
    double score;
    int mated, fold;
} scored;

typedef struct counts {
    size_t tp, fp, fn, tn;
} counts;

static int by_score(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    if (x->score < y->score || x->score > y->score)
        return x->score < y->score ? -1 : 1;
    return (x->mated > y->mated) - (x->mated < y->mated);
}

static mien_status check(const mien_eval_pair *pairs, size_t n, int n_folds, mien_eval_result *ret,
                         mien_error *err)
{
    if (!pairs || !ret)
        return mien__fail(err, MIEN_E_ARG, "evaluation: a pointer is NULL");
    if (n_folds < 1 || n_folds > MAX_FOLDS)
        return mien__fail(err, MIEN_E_ARG, "evaluation: %d folds, must be 1..%d", n_folds, MAX_FOLDS);
    for (size_t i = 0; i < n; i++) {
        if (pairs[i].fold < 0 || pairs[i].fold >= n_folds)
            return mien__fail(err, MIEN_E_ARG, "evaluation: pair %zu is in fold %d of %d", i, pairs[i].fold,
                              n_folds);
        if (!pairs[i].failed && !isfinite(pairs[i].score))
            return mien__fail(err, MIEN_E_EVAL_DATA, "evaluation: the score of pair %zu is not finite", i);
    }
    return MIEN_OK;
}

/* Best threshold over the pairs outside `held_out` (-1: over all). Accepting everything is one of the
 * choices, accepting nothing the last. */
static double best_threshold(const scored *v, size_t n, int held_out)
{
    long right = 0; /* relative count of right decisions; starts with all accepted */
    long best = 0;
    double best_t = v[0].score, best_gap = 0, last = v[0].score;
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        if (v[i].fold == held_out)
            continue;
        const double gap = any ? v[i].score - last : 0;
        if (!any || (gap > 0 && (right > best || (right == best && gap > best_gap)))) {
            best = any ? right : 0;
            best_gap = gap;
            best_t = any ? last + gap / 2 : v[i].score;
            if (any && best_t <= last)
                best_t = v[i].score;
        }
        any = true;
        last = v[i].score;
        right += v[i].mated ? -1 : 1;
    }
    return right > best ? nextafter(last, HUGE_VAL) : best_t;
}

static void fold_accuracy(const scored *v, size_t n, const mien_eval_pair *pairs, size_t n_pairs, int n_folds,
                          mien_eval_result *r)
{
    counts all = { 0 };
    double sum = 0, sum2 = 0, sum_t = 0;
    int used = 0;
    for (int f = 0; f < n_folds; f++) {
        const double t = best_threshold(v, n, n_folds == 1 ? -1 : f);
        counts c = { 0 };
        for (size_t i = 0; i < n_pairs; i++) {
            if (pairs[i].fold != f)
                continue;
            const bool same = !pairs[i].failed && pairs[i].score >= t;
            if (pairs[i].mated)
                *(same ? &c.tp : &c.fn) += 1;
            else
                *(same ? &c.fp : &c.tn) += 1;
        }
        const size_t size = c.tp + c.fp + c.fn + c.tn;
        if (size == 0)
            continue;
        const double acc = (double)(c.tp + c.tn) / (double)size;
        sum += acc;
        sum2 += acc * acc;
        sum_t += t;
        used++;
        all = (counts){ all.tp + c.tp, all.fp + c.fp, all.fn + c.fn, all.tn + c.tn };
    }
    const double var = sum2 / used - (sum / used) * (sum / used);
    r->accuracy = sum / used;
    r->accuracy_std = var > 0 ? sqrt(var) : 0;
    r->threshold = sum_t / used;
    const double tp = (double)all.tp;
    r->precision = all.tp + all.fp ? tp / (double)(all.tp + all.fp) : 0;
    r->recall = all.tp + all.fn ? tp / (double)(all.tp + all.fn) : 0;
    r->f1 = all.tp ? 2 * tp / (2 * tp + (double)(all.fp + all.fn)) : 0;
}

static mien_eval_rate tar_at(double far, const double *mated, size_t n_mated, const double *nonmated,
                             size_t n_nonmated)
{
    const double t =
        mien__threshold_for(nonmated, n_nonmated, (size_t)floor(far * (double)n_nonmated + 1e-9));
    return mien__rate_of(mien__count_at_least(mated, n_mated, t), n_mated);
}

mien_status mien_eval_pairs(const mien_eval_pair *pairs, size_t n, int n_folds, mien_eval_result *ret,
                            mien_error *err)
{
    mien_status st = check(pairs, n, n_folds, ret, err);
    if (st)
        return st;
    scored *sorted = mien_alloc_array(n, sizeof *sorted);
    double *mated = mien_alloc_array(n, sizeof *mated);
    double *nonmated = mien_alloc_array(n, sizeof *nonmated);
    mien_eval_result r = { 0 };
    if (!sorted || !mated || !nonmated) {
        st = mien__nomem(err, n * sizeof *sorted);
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        if (pairs[i].failed) {
            r.n_failed++;
            continue;
        }
        sorted[r.n_mated + r.n_nonmated] = (scored){ pairs[i].score, pairs[i].mated != 0, pairs[i].fold };
        *(pairs[i].mated ? &r.n_mated : &r.n_nonmated) += 1;
    }
    if (r.n_mated == 0 || r.n_nonmated == 0) {
        st = mien__fail(err, MIEN_E_EVAL_DATA,
                        "evaluation needs both kinds of pairs: %zu mated, %zu non-mated", r.n_mated,
                        r.n_nonmated);
        goto done;
    }
    const size_t n_ok = r.n_mated + r.n_nonmated;
    qsort(sorted, n_ok, sizeof *sorted, by_score);
    for (size_t i = 0, a = 0, b = 0; i < n_ok; i++)
        *(sorted[i].mated ? &mated[a++] : &nonmated[b++]) = sorted[i].score;
    fold_accuracy(sorted, n_ok, pairs, n, n_folds, &r);
    r.tar_at_far_1e2 = tar_at(1e-2, mated, r.n_mated, nonmated, r.n_nonmated);
    r.tar_at_far_1e3 = tar_at(1e-3, mated, r.n_mated, nonmated, r.n_nonmated);
    r.auc = mien__auc(mated, r.n_mated, nonmated, r.n_nonmated);
    r.eer = mien__eer(mated, r.n_mated, nonmated, r.n_nonmated);
    *ret = r;
done:
    mien_free(nonmated);
    mien_free(mated);
    mien_free(sorted);
    return st;
}
