/* Searching a gallery: exact, by the index's bytes first and the stored templates last.
 *
 * Expiry is looked up at the moment of the search: whoever's consent has run out is not admitted, whatever
 * the index says.
 */
#include "gallery/finder.h"
#include <math.h>
#include <string.h>

enum { CHECK_SAMPLES = 256, TOGETHER = 256 };

/* What a search asks per person in question. */
typedef struct moment {
    const mien__finder *f;
    int64_t now_ms;
} moment;

static int admit(void *user, uint64_t person)
{
    const moment *const m = user;
    const size_t at = mien__expiring_from(m->f, (int64_t)person);
    return !(at < m->f->n && m->f->expiring[at].person == (int64_t)person &&
             m->f->expiring[at].at_ms <= m->now_ms);
}

/* Templates as they are in the store, for the exact comparison. */
static mien_status fetch(void *user, const uint64_t *ids, size_t n, float *ret, mien_error *err)
{
    mien_gallery *const g = user;
    const size_t dim = (size_t)g->shared->dim;
    for (size_t i = 0; i < n; i++) {
        const mien_status st = mien__template_load(g, (int64_t)ids[i], ret + i * dim, err);
        if (st == MIEN_E_NOT_FOUND)
            ret[i * dim] = nanf("");
        else if (st)
            return st;
    }
    return MIEN_OK;
}

static mien_status search_some(mien_gallery *g, const float *probes, size_t n, mien_search_opts *opts,
                               mien_hit *hits, mien_candidate *ret, size_t *ret_n, mien_error *err)
{
    mien_status st = mien_index_search(g->shared->finder->index, probes, n, opts, hits, ret_n, err);
    for (size_t i = 0; i < n && !st; i++)
        for (size_t k = 0; k < ret_n[i]; k++) {
            const mien_hit *const h = &hits[i * opts->top_k + k];
            ret[i * opts->top_k + k] = (mien_candidate){ (int64_t)h->person, h->similarity };
        }
    return st;
}

mien_status mien__finder_search(mien_gallery *g, const float *probes, size_t n, size_t top_k,
                                mien_candidate *ret, size_t *ret_n, mien_error *err)
{
    static const mien_search_opts defaults = MIEN_SEARCH_OPTS_INIT;
    mien__finder *const f = g->shared->finder;
    moment now = { f, mien__clock_ms() };
    mien_search_opts opts = defaults;
    opts.top_k = top_k;
    opts.fetch = fetch;
    opts.fetch_user = g;
    opts.admit = admit;
    opts.admit_user = &now;
    size_t cells = 0;
    const size_t dim = (size_t)g->shared->dim;
    mien_hit *const hits = mien_mul_ok(n < TOGETHER ? n : TOGETHER, top_k, &cells)
                               ? mien_alloc_array(cells, sizeof *hits)
                               : NULL;
    if (!hits)
        return mien__nomem(err, cells * sizeof *hits);
    mien_status st = mien__finder_hold(g, err);
    if (!st) {
        for (size_t at = 0; at < n && !st; at += TOGETHER)
            st = search_some(g, probes + at * dim, n - at < TOGETHER ? n - at : TOGETHER, &opts, hits,
                             ret + at * top_k, ret_n + at, err);
        mien__finder_release(g);
    }
    mien_free(hits);
    return st;
}

mien_status mien_gallery_search(mien_gallery *gallery, const float *probes, size_t n, size_t top_k,
                                mien_candidate *ret, size_t *ret_n, mien_error *err)
{
    if (!gallery || (n > 0 && (!probes || !ret || !ret_n)) || top_k == 0 || top_k > MIEN_INDEX_MAX_TOP_K)
        return mien__fail(err, MIEN_E_ARG,
                          "gallery, probes or results are missing, or more than %d people asked for",
                          MIEN_INDEX_MAX_TOP_K);
    if (!gallery->shared->has_embedder)
        return mien__fail(err, MIEN_E_GALLERY_MODEL, "%.160s was opened without its embedder",
                          gallery->shared->path);
    if (!gallery->shared->finder)
        return mien__fail(err, MIEN_E_ARG, "%.160s was opened without its search index",
                          gallery->shared->path);
    mien_status st = MIEN_OK;
    for (size_t i = 0; i < n && !st; i++)
        st = mien__vec_check(probes + i * (size_t)gallery->shared->dim, gallery->shared->dim, err);
    if (st || n == 0)
        return st;
    st = mien__finder_search(gallery, probes, n, top_k, ret, ret_n, err);
    if (st == MIEN_E_INDEX_CORRUPT && !(st = mien__finder_begin_anew(gallery, err)))
        st = mien__finder_search(gallery, probes, n, top_k, ret, ret_n, err);
    return st;
}

/* ---- verifying ---- */

mien_status mien__finder_verify(mien_gallery *g, mien_error *err)
{
    mien__finder *const f = g->shared->finder;
    mien_index_info info;
    sqlite3_stmt *s = NULL;
    bool row = true;
    size_t n = 0;
    mien_status st = mien__finder_hold(g, err);
    if (st)
        return st;
    st = mien__sql_open(g, MIEN__SQL_TEMPLATE_IDS, &s, err, "");
    while (!st && !(st = mien__sql_row(g, s, &row, err)) && row) {
        uint64_t person = 0;
        const int64_t id = sqlite3_column_int64(s, 0);
        st = mien_index_find(f->index, (uint64_t)id, &person, err);
        if (st == MIEN_E_NOT_FOUND || (!st && person != (uint64_t)id))
            st = mien__fail(err, MIEN_E_GALLERY_CORRUPT, "the search index does not have person %lld",
                            (long long)id);
        n++;
    }
    mien__sql_end(g, s);
    mien_index_info_of(f->index, &info);
    if (!st && info.n != n)
        st = mien__fail(err, MIEN_E_GALLERY_CORRUPT, "the search index has %zu people instead of %zu", info.n,
                        n);
    if (!st)
        st = mien_index_check(f->index, CHECK_SAMPLES, fetch, g, err);
    mien__finder_release(g);
    return st == MIEN_E_INDEX_CORRUPT || st == MIEN_E_INDEX_UNSURE
               ? mien__fail(err, MIEN_E_GALLERY_CORRUPT,
                            "the search index is damaged or fails its self-test: remove %.120s-index",
                            g->shared->path)
               : st;
}
