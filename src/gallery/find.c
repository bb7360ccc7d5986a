/* Searching: an exact scan over the people's templates in memory, float32 products summed in double.
 *
 * Shared by the handles of a process under a lock: searches read, refreshing writes. The file is the truth:
 * before each search the sequence of its last change is compared with the one that memory reflects, and the
 * people named in the change feed since then are read anew, or everything where the feed no longer reaches
 * back so far. A handle within a write does not refresh: what it sees is not committed yet.
 */
#include "gallery/gallery.h"
#include <pthread.h>
#include <sodium.h>
#include <string.h>

typedef struct slot {
    int64_t person, expires_ms;
    float *vec; /* NULL: removed */
} slot;

struct mien__finder {
    pthread_rwlock_t lock;
    int dim;
    int64_t sequence; /* -1: nothing loaded */
    size_t n, capacity;
    slot *slots; /* ascending by person */
};

mien_status mien__finder_new(int dim, mien__finder **ret, mien_error *err)
{
    mien__finder *const f = mien_alloc_zero(sizeof *f);
    if (!f || pthread_rwlock_init(&f->lock, NULL) != 0) {
        mien_free(f);
        return mien__nomem(err, sizeof *f);
    }
    f->dim = dim;
    f->sequence = -1;
    *ret = f;
    return MIEN_OK;
}

static void forget(mien__finder *f, slot *s)
{
    mien_free_secret(s->vec, (size_t)f->dim * sizeof *s->vec);
    s->vec = NULL;
}

static void clear(mien__finder *f)
{
    for (size_t i = 0; i < f->n; i++)
        forget(f, &f->slots[i]);
    f->n = 0;
}

void mien__finder_free(mien__finder *f)
{
    if (!f)
        return;
    clear(f);
    mien_free(f->slots);
    pthread_rwlock_destroy(&f->lock);
    mien_free(f);
}

/* First slot whose person is not below. */
static size_t lower_bound(const mien__finder *f, int64_t person)
{
    size_t lo = 0, hi = f->n;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (f->slots[mid].person < person)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static mien_status put(mien__finder *f, int64_t person, int64_t expires_ms, const float *vec, mien_error *err)
{
    const size_t bytes = (size_t)f->dim * sizeof *vec, at = lower_bound(f, person);
    float *const copy = mien_alloc(bytes);
    if (!copy)
        return mien__nomem(err, bytes);
    memcpy(copy, vec, bytes);
    if (at < f->n && f->slots[at].person == person) {
        forget(f, &f->slots[at]);
        f->slots[at] = (slot){ person, expires_ms, copy };
        return MIEN_OK;
    }
    if (f->n == f->capacity) {
        const size_t more = f->capacity ? 2 * f->capacity : 64;
        slot *const grown = mien_grow_array(f->slots, f->n, more, sizeof *grown);
        if (!grown) {
            mien_free_secret(copy, bytes);
            return mien__nomem(err, more * sizeof *grown);
        }
        f->slots = grown;
        f->capacity = more;
    }
    memmove(f->slots + at + 1, f->slots + at, (f->n - at) * sizeof *f->slots);
    f->slots[at] = (slot){ person, expires_ms, copy };
    f->n++;
    return MIEN_OK;
}

/* ---- refreshing ---- */

static mien_status open_row(mien_gallery *g, sqlite3_stmt *row, int first, int64_t person, float *ret,
                            mien_error *err)
{
    const int dim = g->shared->dim;
    uint8_t key[MIEN__KEY_BYTES];
    uint16_t halves[MIEN__DIM_MAX];
    mien_status st = mien__unwrap_person(g, person, sqlite3_column_blob(row, first),
                                         (size_t)sqlite3_column_bytes(row, first), key, err);
    if (!st)
        st = mien__unseal_into(
            g, key, (mien__place){ MIEN__KIND_TEMPLATE, person, 0 }, sqlite3_column_blob(row, first + 1),
            (size_t)sqlite3_column_bytes(row, first + 1), halves, (size_t)dim * sizeof *halves, err);
    if (!st)
        mien__vec_of(halves, dim, ret);
    sodium_memzero(key, sizeof key);
    sodium_memzero(halves, (size_t)dim * sizeof *halves);
    return st;
}

static mien_status load_all(mien_gallery *g, mien__finder *f, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = true;
    float vec[MIEN__DIM_MAX];
    clear(f);
    mien_status st = mien__sql_open(g, MIEN__SQL_TEMPLATE_ALL, &s, err, "");
    while (!st && !(st = mien__sql_row(g, s, &row, err)) && row) {
        const int64_t person = sqlite3_column_int64(s, 0);
        if (!(st = open_row(g, s, 1, person, vec, err)))
            st = put(f, person, sqlite3_column_int64(s, 3), vec, err);
    }
    mien__sql_end(g, s);
    sodium_memzero(vec, (size_t)f->dim * sizeof *vec);
    return st;
}

static mien_status load_one(mien_gallery *g, mien__finder *f, int64_t person, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    float vec[MIEN__DIM_MAX];
    const size_t at = lower_bound(f, person);
    if (at < f->n && f->slots[at].person == person)
        forget(f, &f->slots[at]);
    mien_status st = mien__sql_open(g, MIEN__SQL_TEMPLATE_GET, &s, err, "i", person);
    if (!st)
        st = mien__sql_row(g, s, &row, err);
    if (!st && row && !(st = open_row(g, s, 0, person, vec, err)))
        st = put(f, person, sqlite3_column_int64(s, 2), vec, err);
    mien__sql_end(g, s);
    sodium_memzero(vec, (size_t)f->dim * sizeof *vec);
    return st;
}

static mien_status load_changes(mien_gallery *g, mien__finder *f, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = true;
    mien_status st = mien__sql_open(g, MIEN__SQL_CHANGE_SINCE, &s, err, "i", f->sequence);
    while (!st && !(st = mien__sql_row(g, s, &row, err)) && row)
        st = load_one(g, f, sqlite3_column_int64(s, 0), err);
    mien__sql_end(g, s);
    return st;
}

/* Another process may have given the gallery to another embedder. */
mien_status mien__model_check(mien_gallery *g, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    mien_status st = mien__sql_open(g, MIEN__SQL_GALLERY_MODEL, &s, err, "");
    if (!st)
        st = mien__sql_row(g, s, &row, err);
    if (!st) {
        const char *const model = row ? (const char *)sqlite3_column_text(s, 0) : NULL;
        if (!model || strcmp(model, g->shared->model) != 0)
            st = mien__fail(err, MIEN_E_GALLERY_MODEL, "%.160s was moved to another model; open it anew",
                            g->shared->path);
    }
    mien__sql_end(g, s);
    return st;
}

static mien_status refresh_locked(mien_gallery *g, mien__finder *f, int64_t sequence, mien_error *err)
{
    int64_t first = 0;
    mien_status st = mien__model_check(g, err);
    if (st || (st = mien__sql_number(g, MIEN__SQL_CHANGE_FIRST, INT64_MAX, &first, err, "")))
        return st;
    const bool reaches = f->sequence >= 0 && (first <= f->sequence + 1);
    st = reaches ? load_changes(g, f, err) : load_all(g, f, err);
    f->sequence = st ? -1 : sequence; /* half applied: begin anew next time */
    return st;
}

mien_status mien__finder_refresh(mien_gallery *g, mien_error *err)
{
    mien__finder *const f = g->shared->finder;
    int64_t sequence = 0;
    mien_status st = mien__read_begin(g, err);
    if (st)
        return st;
    st = mien__sql_number(g, MIEN__SQL_SEQUENCE, 0, &sequence, err, "");
    pthread_rwlock_rdlock(&f->lock);
    const bool behind = f->sequence < sequence;
    pthread_rwlock_unlock(&f->lock);
    if (!st && behind) {
        pthread_rwlock_wrlock(&f->lock);
        if (f->sequence < sequence)
            st = refresh_locked(g, f, sequence, err);
        pthread_rwlock_unlock(&f->lock);
    }
    mien__read_end(g);
    return st;
}

/* ---- searching ---- */

static double dot(const float *a, const float *b, int dim)
{
    double sum = 0.0;
    for (int i = 0; i < dim; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* Insert into the list of the best, which is ordered by similarity, equals by id. */
static size_t offer(mien_candidate *best, size_t n, size_t k, mien_candidate c)
{
    if (n == k && !(c.similarity > best[n - 1].similarity))
        return n; /* people come in ascending order: an equal has the higher id */
    size_t at = n < k ? n : k - 1;
    for (; at > 0 && best[at - 1].similarity < c.similarity; at--)
        best[at] = best[at - 1];
    best[at] = c;
    return n < k ? n + 1 : k;
}

mien_status mien__finder_search(mien_gallery *g, const float *probes, size_t n, size_t top_k,
                                mien_candidate *ret, size_t *ret_n, mien_error *err)
{
    mien__finder *const f = g->shared->finder;
    const int64_t now = mien__clock_ms();
    const size_t dim = (size_t)f->dim;
    (void)err;
    pthread_rwlock_rdlock(&f->lock);
    for (size_t p = 0; p < n; p++) {
        ret_n[p] = 0;
        for (size_t i = 0; i < f->n; i++) {
            const slot *const s = &f->slots[i];
            if (!s->vec || (s->expires_ms > 0 && s->expires_ms <= now))
                continue;
            const mien_candidate c = { s->person, dot(probes + p * dim, s->vec, f->dim) };
            ret_n[p] = offer(ret + p * top_k, ret_n[p], top_k, c);
        }
    }
    pthread_rwlock_unlock(&f->lock);
    return MIEN_OK;
}

mien_status mien_gallery_search(mien_gallery *gallery, const float *probes, size_t n, size_t top_k,
                                mien_candidate *ret, size_t *ret_n, mien_error *err)
{
    size_t cells = 0;
    if (!gallery || (n > 0 && (!probes || !ret || !ret_n)) || top_k == 0 || !mien_mul_ok(n, top_k, &cells))
        return mien__fail(err, MIEN_E_ARG, "gallery, probes or results are missing");
    if (!gallery->shared->has_embedder)
        return mien__fail(err, MIEN_E_GALLERY_MODEL, "%.160s was opened without its embedder",
                          gallery->shared->path);
    if (!gallery->shared->finder)
        return mien__fail(err, MIEN_E_ARG, "%.160s was opened without its search index",
                          gallery->shared->path);
    mien_status st = MIEN_OK;
    for (size_t i = 0; i < n && !st; i++)
        st = mien__vec_check(probes + i * (size_t)gallery->shared->dim, gallery->shared->dim, err);
    if (!st && !gallery->in_write)
        st = mien__finder_refresh(gallery, err);
    return st ? st : mien__finder_search(gallery, probes, n, top_k, ret, ret_n, err);
}
