/* Searching: scan, drop what cannot be among the best, compare the rest in float64.
 *
 * The candidates of a query are taken from the greatest upper bound down, a few at a time; the k-th best
 * exact similarity found so far ends it as soon as no upper bound is left that reaches it. Where templates
 * vanished from the store under the search, they may have raised the bar for others: then the query is
 * scanned once more without them.
 */
#include "search/scan.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_RESCANS = 16 };

/* ---- the k best hits ---- */

static int by_rank(const void *pa, const void *pb)
{
    const mien_hit *const a = pa, *const b = pb;
    if (a->similarity != b->similarity)
        return a->similarity > b->similarity ? -1 : 1;
    if (a->person != b->person)
        return a->person < b->person ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

typedef struct best {
    size_t k, n, worst; /* worst: where it is */
    bool by_person;
    mien_hit *hits;
} best;

static void find_worst(best *b)
{
    b->worst = 0;
    for (size_t i = 1; i < b->n; i++) {
        if (by_rank(&b->hits[i], &b->hits[b->worst]) > 0)
            b->worst = i;
    }
}

static void best_offer(best *b, const mien_hit *hit)
{
    if (b->n == b->k && by_rank(hit, &b->hits[b->worst]) >= 0)
        return;
    size_t at = b->n;
    for (size_t i = 0; b->by_person && i < b->n; i++) {
        if (b->hits[i].person == hit->person)
            at = i;
    }
    if (at < b->n) {
        if (by_rank(hit, &b->hits[at]) < 0)
            b->hits[at] = *hit;
    } else if (b->n < b->k) {
        b->hits[b->n++] = *hit;
    } else {
        b->hits[b->worst] = *hit;
    }
    find_worst(b);
}

/* Whether one of at most this similarity could still come in; equals could by their ids. */
static bool best_open(const best *b, double most)
{
    return b->n < b->k || most >= b->hits[b->worst].similarity;
}

/* ---- candidates ---- */

static int by_upper(const void *pa, const void *pb)
{
    const mien__cand *const a = pa, *const b = pb;
    const double ua = a->approx + a->half, ub = b->approx + b->half;
    if (ua != ub)
        return ua > ub ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

/* All workers' candidates of a query that the k-th best lower bound leaves, in order. */
static mien_status gather(mien__scratch *s, size_t qi, mien_error *err)
{
    size_t total = 0;
    mien__marks_reset(&s->merged, s->opts->top_k);
    for (size_t w = 0; w < s->workers; w++)
        total += s->lanes[w * MIEN__QUERIES + qi].cands.n;
    s->all.n = 0;
    const mien_status status = mien__cands_reserve(&s->all, total, err);
    if (status != MIEN_OK)
        return status;
    for (size_t w = 0; w < s->workers; w++) {
        const mien__cands *const c = &s->lanes[w * MIEN__QUERIES + qi].cands;
        for (size_t i = 0; i < c->n; i++)
            mien__marks_offer(&s->merged, s->opts->by_person ? c->p[i].person : c->p[i].id,
                              c->p[i].approx - c->p[i].half);
    }
    const mien__marks *const m = &s->merged;
    const double bar = m->n == m->k ? m->value[m->least] : -INFINITY;
    for (size_t w = 0; w < s->workers; w++) {
        const mien__cands *const c = &s->lanes[w * MIEN__QUERIES + qi].cands;
        for (size_t i = 0; i < c->n; i++) {
            if (c->p[i].approx + c->p[i].half >= bar)
                s->all.p[s->all.n++] = c->p[i];
        }
    }
    if (s->all.n > 1)
        qsort(s->all.p, s->all.n, sizeof *s->all.p, by_upper);
    return MIEN_OK;
}

/* The templates that the index keeps itself; NaN for one that has just gone. */
static void kept_floats(mien_index *ix, const mien__cand *c, size_t n, float *ret_vecs)
{
    const size_t dim = ix->layout.dim;
    for (size_t i = 0; i < n; i++) {
        mien__block *const b = mien__index_block(ix, c[i].slot / MIEN__BLOCK);
        const size_t place = c[i].slot % MIEN__BLOCK;
        pthread_rwlock_rdlock(&b->lock);
        if (b->error[place] >= 0 && b->ids[place] == c[i].id)
            memcpy(ret_vecs + i * dim, b->floats + place * dim, dim * sizeof *ret_vecs);
        else
            ret_vecs[i * dim] = NAN;
        pthread_rwlock_unlock(&b->lock);
    }
}

static mien_status note_gone(mien__scratch *s, uint64_t id, mien_error *err)
{
    if (s->n_gone == s->gone_cap) {
        const size_t cap = s->gone_cap ? 2 * s->gone_cap : 64;
        uint64_t *const p = mien_grow_array(s->gone, s->n_gone, cap, sizeof *p);
        if (!p)
            return mien__nomem(err, cap * sizeof *p);
        s->gone = p;
        s->gone_cap = cap;
    }
    s->gone[s->n_gone++] = id;
    return MIEN_OK;
}

/* Compare n candidates exactly. *ret_gone: one was not there. */
static mien_status compare_some(mien__scratch *s, const mien__query *q, const mien__cand *c, size_t n,
                                best *b, bool *ret_gone, mien_error *err)
{
    const size_t dim = s->dim;
    mien_status status = MIEN_OK;
    for (size_t i = 0; i < n; i++)
        s->ids[i] = c[i].id;
    if (s->opts->fetch)
        status = s->opts->fetch(s->opts->fetch_user, s->ids, n, s->vecs, err);
    else
        kept_floats(s->ix, c, n, s->vecs);
    for (size_t i = 0; i < n && status == MIEN_OK; i++) {
        const float *const x = s->vecs + i * dim;
        if (isnan(x[0])) {
            *ret_gone = true;
            status = note_gone(s, c[i].id, err);
            continue;
        }
        const double sim = mien__dot_f64(q->vec, x, dim);
        best_offer(b, &(mien_hit){ c[i].id, c[i].person, sim, sim, sim });
    }
    return status;
}

static mien_status finish(mien__scratch *s, size_t qi, best *b, bool *ret_gone, mien_error *err)
{
    mien_status status = gather(s, qi, err);
    if (status != MIEN_OK)
        return status;
    const bool exact = s->opts->fetch || s->ix->opts.keep_floats;
    const mien__cand *const c = s->all.p;
    size_t i = 0, n = 0;
    for (; i < s->all.n && status == MIEN_OK; i += n) {
        if (!exact) {
            n = 1;
            best_offer(b, &(mien_hit){ c[i].id, c[i].person, c[i].approx, c[i].approx - c[i].half,
                                       c[i].approx + c[i].half });
            continue;
        }
        /* k at first, then as many as there seem to be */
        const size_t most = i == 0 && s->opts->top_k < MIEN__FETCH ? s->opts->top_k : MIEN__FETCH;
        for (n = 0; n < most && i + n < s->all.n && best_open(b, c[i + n].approx + c[i + n].half); n++)
            ;
        if (n == 0)
            break;
        status = compare_some(s, &s->query[qi], c + i, n, b, ret_gone, err);
    }
    if (b->n > 1)
        qsort(b->hits, b->n, sizeof *b->hits, by_rank);
    return status;
}

/* Whether what was dropped for the sake of templates that are gone could have been among the best. */
static bool lost_some(const mien__scratch *s, size_t qi, const best *b)
{
    const mien__marks *const m = &s->merged;
    double bar = atomic_load(&s->query[qi].bar);
    if (m->n == m->k && m->value[m->least] > bar)
        bar = m->value[m->least];
    return bar > (b->n < b->k ? MIEN__NO_BAR : b->hits[b->n - 1].similarity);
}

static mien_status search_batch(mien_index *ix, mien__scratch *s, const float *queries, size_t n,
                                const mien_search_opts *opts, mien_hit *ret_hits, size_t *ret_n,
                                bool *ret_again, mien_error *err)
{
    mien__scan_prepare(s, ix, queries, n, opts);
    mien_status status = mien__scan_run(s, err);
    for (size_t i = 0; i < n && status == MIEN_OK; i++) {
        bool gone = false;
        best b = { opts->top_k, 0, 0, opts->by_person != 0, ret_hits + i * opts->top_k };
        status = finish(s, i, &b, &gone, err);
        ret_n[i] = b.n;
        if (status == MIEN_OK && gone && lost_some(s, i, &b)) {
            *ret_again = true;
            break;
        }
    }
    return status;
}

static mien_status check_search(const mien_index *ix, const float *queries, size_t n,
                                const mien_search_opts *opts, const mien_hit *ret_hits, const size_t *ret_n,
                                mien_error *err)
{
    if (!ix || !opts || (n && (!queries || !ret_hits || !ret_n)))
        return mien__fail(err, MIEN_E_ARG, "NULL argument");
    if (opts->struct_size != sizeof *opts)
        return mien__fail(err, MIEN_E_ARG, "search options of %zu bytes, not %zu", opts->struct_size,
                          sizeof *opts);
    if (opts->top_k < 1 || opts->top_k > MIEN_INDEX_MAX_TOP_K)
        return mien__fail(err, MIEN_E_ARG, "top_k %zu is not in 1..%d", opts->top_k, MIEN_INDEX_MAX_TOP_K);
    for (size_t i = 0; i < n; i++) {
        const mien_status status =
            mien__index_check_vec(queries + i * ix->layout.dim, ix->layout.dim, "query", err);
        if (status != MIEN_OK)
            return status;
    }
    if (atomic_load(&ix->unsure))
        return mien__fail(err, MIEN_E_INDEX_UNSURE, "the index has failed its self-test");
    return MIEN_OK;
}

mien_status mien__index_search(mien_index *ix, const float *queries, size_t n, const mien_search_opts *opts,
                               mien_hit *ret_hits, size_t *ret_n, mien_error *err)
{
    mien__scratch *s = NULL;
    mien_status status = mien__scratch_take(ix, opts->top_k, n, &s, err);
    if (status != MIEN_OK)
        return status;
    const size_t k = opts->top_k;
    for (size_t at = 0; at < n && status == MIEN_OK; at += MIEN__QUERIES) {
        const size_t some = n - at < MIEN__QUERIES ? n - at : MIEN__QUERIES;
        bool again = true;
        for (int i = 0; i < MOST_RESCANS && again && status == MIEN_OK; i++) {
            again = false;
            status = search_batch(ix, s, queries + at * ix->layout.dim, some, opts, s->found + at * k,
                                  s->counts + at, &again, err);
        }
        if (status == MIEN_OK && again)
            status =
                mien__fail(err, MIEN_E_INDEX_UNSURE, "the store kept losing templates during the search");
    }
    for (size_t i = 0; i < n && status == MIEN_OK; i++) { /* handed over only when all of them are there */
        memcpy(ret_hits + i * k, s->found + i * k, s->counts[i] * sizeof *ret_hits);
        ret_n[i] = s->counts[i];
    }
    mien__scratch_give(ix, s);
    return status;
}

mien_status mien_index_search(mien_index *ix, const float *queries, size_t n, const mien_search_opts *opts,
                              mien_hit *ret_hits, size_t *ret_n, mien_error *err)
{
    const mien_status status = check_search(ix, queries, n, opts, ret_hits, ret_n, err);
    return status == MIEN_OK && n ? mien__index_search(ix, queries, n, opts, ret_hits, ret_n, err) : status;
}
