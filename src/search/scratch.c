/* The working memory of searches, kept by the index between them, so that a search that was done before
 * allocates nothing.
 */
#include "search/scan.h"
#include <sodium.h>

static void scratch_free(mien__scratch *s, const mien_index *ix)
{
    for (size_t i = 0; s->lanes && i < s->workers * MIEN__QUERIES; i++)
        mien_free(s->lanes[i].cands.p);
    if (s->codes)
        mien_free_secret(s->codes, MIEN__QUERIES * ix->layout.dim_padded);
    if (s->luts)
        mien_free_secret(s->luts, MIEN__QUERIES * mien__sign_query_bytes(&ix->layout));
    if (s->vecs)
        mien_free_secret(s->vecs, s->vecs_len * sizeof *s->vecs);
    mien_free(s->lanes);
    mien_free(s->mark_who);
    mien_free(s->mark_value);
    mien_free(s->all.p);
    mien_free(s->ids);
    mien_free(s->found);
    mien_free(s->counts);
    mien_free(s->gone);
    pthread_mutex_destroy(&s->error_lock);
    mien_free(s);
}

void mien__scratch_free_all(mien_index *ix)
{
    while (ix->scratch) {
        mien__scratch *const s = ix->scratch;
        ix->scratch = s->next;
        scratch_free(s, ix);
    }
}

static bool scratch_fill(mien__scratch *s, const mien_index *ix)
{
    const size_t dim = ix->layout.dim, lanes = s->workers * MIEN__QUERIES, marks = (lanes + 1) * s->k;
    const size_t lut_bytes = mien__sign_query_bytes(&ix->layout);
    s->vecs_len = MIEN__FETCH * dim > ix->layout.sign_dim ? MIEN__FETCH * dim : ix->layout.sign_dim;
    s->codes = mien_alloc(MIEN__QUERIES * ix->layout.dim_padded);
    s->luts = mien_alloc(MIEN__QUERIES * lut_bytes);
    s->lanes = mien_alloc_array_zero(lanes, sizeof *s->lanes);
    s->mark_who = mien_alloc_array(marks, sizeof *s->mark_who);
    s->mark_value = mien_alloc_array(marks, sizeof *s->mark_value);
    s->vecs = mien_alloc_array(s->vecs_len, sizeof *s->vecs);
    s->ids = mien_alloc_array(MIEN__FETCH, sizeof *s->ids);
    if (!s->codes || !s->luts || !s->lanes || !s->mark_who || !s->mark_value || !s->vecs || !s->ids)
        return false;
    for (size_t i = 0; i <= lanes; i++) {
        mien__marks *const m = i < lanes ? &s->lanes[i].marks : &s->merged;
        *m = (mien__marks){ 0, 0, 0, s->mark_who + i * s->k, s->mark_value + i * s->k };
    }
    for (size_t i = 0; i < MIEN__QUERIES; i++) {
        s->query[i].code = s->codes + i * ix->layout.dim_padded;
        s->query[i].signs.lut = (uint8_t(*)[16])(void *)(s->luts + i * lut_bytes);
    }
    return true;
}

/* Room for the results of n queries. */
static mien_status reserve_found(mien__scratch *s, size_t n, mien_error *err)
{
    size_t hits = 0;
    if (n <= s->n_found)
        return MIEN_OK;
    if (!mien_mul_ok(n, s->k, &hits))
        return mien__fail(err, MIEN_E_LIMIT, "%zu queries for %zu hits are too many", n, s->k);
    mien_free(s->found);
    mien_free(s->counts);
    s->n_found = 0;
    s->found = mien_alloc_array(hits, sizeof *s->found);
    s->counts = mien_alloc_array(n, sizeof *s->counts);
    if (!s->found || !s->counts)
        return mien__nomem(err, hits);
    s->n_found = n;
    return MIEN_OK;
}

mien_status mien__scratch_take(mien_index *ix, size_t k, size_t n, mien__scratch **ret, mien_error *err)
{
    pthread_mutex_lock(&ix->scratch_lock);
    mien__scratch *s = ix->scratch;
    if (s)
        ix->scratch = s->next;
    pthread_mutex_unlock(&ix->scratch_lock);
    if (s && s->k < k) { /* made for fewer hits */
        scratch_free(s, ix);
        s = NULL;
    }
    if (!s) {
        if (!(s = mien_alloc_zero(sizeof *s)))
            return mien__nomem(err, sizeof *s);
        pthread_mutex_init(&s->error_lock, NULL);
        s->dim = ix->layout.dim;
        s->k = k;
        s->workers = mien__pool_threads(ix->pool);
        if (!scratch_fill(s, ix)) {
            scratch_free(s, ix);
            return mien__nomem(err, MIEN__QUERIES * k * sizeof(double));
        }
    }
    const mien_status status = reserve_found(s, n, err);
    if (status != MIEN_OK) {
        scratch_free(s, ix);
        return status;
    }
    s->n_gone = 0;
    *ret = s;
    return MIEN_OK;
}

void mien__scratch_give(mien_index *ix, mien__scratch *s)
{
    const size_t dim_padded = ix->layout.dim_padded;
    sodium_memzero(s->codes, MIEN__QUERIES * dim_padded);
    sodium_memzero(s->vecs, s->vecs_len * sizeof *s->vecs);
    pthread_mutex_lock(&ix->scratch_lock);
    s->next = ix->scratch;
    ix->scratch = s;
    pthread_mutex_unlock(&ix->scratch_lock);
}

mien_status mien__cands_reserve(mien__cands *c, size_t n, mien_error *err)
{
    if (n <= c->cap)
        return MIEN_OK;
    size_t cap = c->cap ? c->cap : 256;
    while (cap < n)
        cap *= 2;
    mien__cand *const p = mien_grow_array(c->p, c->n, cap, sizeof *p);
    if (!p)
        return mien__nomem(err, cap * sizeof *p);
    c->p = p;
    c->cap = cap;
    return MIEN_OK;
}

void mien__marks_reset(mien__marks *m, size_t k)
{
    m->k = k;
    m->n = m->least = 0;
}

static void find_least(mien__marks *m)
{
    m->least = 0;
    for (size_t i = 1; i < m->n; i++) {
        if (m->value[i] < m->value[m->least])
            m->least = i;
    }
}

bool mien__marks_offer(mien__marks *m, uint64_t who, double value)
{
    const bool full = m->n == m->k;
    if (full && value <= m->value[m->least])
        return false;
    size_t at = 0;
    while (at < m->n && m->who[at] != who)
        at++;
    if (at < m->n) {
        if (value <= m->value[at])
            return false;
        m->value[at] = value;
        if (!full || at != m->least)
            return false;
    } else if (full) {
        m->who[m->least] = who;
        m->value[m->least] = value;
    } else {
        m->who[m->n] = who;
        m->value[m->n++] = value;
        if (m->n < m->k)
            return false;
    }
    find_least(m);
    return true;
}
