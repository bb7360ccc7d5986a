/* Searching, over a mien_index of the people's templates: exact, and shared by the handles of a process.
 *
 * The file is the truth. Before each search the sequence of the last change is compared with the one that the
 * index reflects; the people named in the change feed since then are read anew, or everything where the feed
 * no longer reaches back so far. Expiry is looked up at the moment of the search. A handle within a write
 * searches what was committed before.
 *
 * Beside the gallery lies the index as a file, so that opening does not read every template. It may be
 * missing, old, damaged or of another gallery: then it is built anew. It is saved when a handle that may
 * write is closed and enough has changed, under the gallery's write lock, so that no removal happens
 * meanwhile; a removal erases the person from the saved file in place, or removes the file where that fails.
 */
#include "gallery/gallery.h"
#include <mien/search.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

enum { SAVE_MIN = 64, EXPIRING_MAX = 1 << 26, CHECK_SAMPLES = 256 };

/* Somebody whose consent ends. */
typedef struct expiring {
    int64_t person, at_ms;
} expiring;

struct mien__finder {
    pthread_rwlock_t lock; /* held alone while the index is brought up to date */
    mien_index *index;
    mien_index_opts opts;
    bool loaded;
    size_t n, capacity;
    expiring *expiring; /* ascending by person */
};

/* ---- making ---- */

static char *index_path(const mien_gallery *g)
{
    return sqlite3_mprintf("%s-index", g->shared->path);
}

static mien_status options_of(const mien_gallery *g, mien_index_opts *ret, mien_error *err)
{
    static const mien_index_opts defaults = MIEN_INDEX_OPTS_INIT;
    const mien__shared *const s = g->shared;
    size_t bytes = 0;
    *ret = defaults;
    ret->dim = (size_t)s->dim;
    ret->threads = s->threads;
    ret->key = s->encrypted ? s->keys->index : NULL;
    memcpy(ret->gallery, s->id, sizeof ret->gallery);
    if (sodium_hex2bin(ret->model, sizeof ret->model, s->model, strlen(s->model), NULL, &bytes, NULL) != 0 ||
        bytes != sizeof ret->model)
        return mien__fail(err, MIEN_E_GALLERY_CORRUPT, "%.160s does not say which model it is of", s->path);
    return MIEN_OK;
}

/* The saved index, or an empty one whose sequence is 0. */
static mien_status open_index(const mien_gallery *g, const mien_index_opts *opts, mien_index **ret,
                              mien_error *err)
{
    char *const path = index_path(g);
    if (!path)
        return mien__nomem(err, strlen(g->shared->path));
    mien_error e = MIEN_ERROR_INIT;
    const mien_status st = mien_index_open(path, opts, ret, &e);
    if (st && st != MIEN_E_NOT_FOUND)
        mien__log(MIEN_LOG_INFO, "the search index is built anew: %s", e.message);
    sqlite3_free(path);
    return st ? mien_index_new(opts, ret, err) : MIEN_OK;
}

mien_status mien__finder_new(mien_gallery *g, mien_error *err)
{
    mien__finder *const f = mien_alloc_zero(sizeof *f);
    if (!f)
        return mien__nomem(err, sizeof *f);
    mien_status st = options_of(g, &f->opts, err);
    if (!st)
        st = open_index(g, &f->opts, &f->index, err);
    if (!st && pthread_rwlock_init(&f->lock, NULL) != 0)
        st = mien__nomem(err, sizeof f->lock);
    if (st) {
        mien_index_free(f->index);
        mien_free(f);
        return st;
    }
    g->shared->finder = f;
    return MIEN_OK;
}

void mien__finder_free(mien__finder *f)
{
    if (!f)
        return;
    mien_index_free(f->index);
    mien_free(f->expiring);
    pthread_rwlock_destroy(&f->lock);
    mien_free(f);
}

mien_status mien__finder_reset(mien_gallery *g, mien_error *err)
{
    mien__finder *const f = g->shared->finder;
    char *const path = index_path(g);
    if (path)
        (void)unlink(path);
    sqlite3_free(path);
    if (!f)
        return MIEN_OK;
    g->shared->finder = NULL;
    mien__finder_free(f);
    return mien__finder_new(g, err);
}

/* ---- who expires ---- */

static size_t lower_bound(const mien__finder *f, int64_t person)
{
    size_t lo = 0, hi = f->n;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (f->expiring[mid].person < person)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static mien_status set_expiry(mien__finder *f, int64_t person, int64_t at_ms, mien_error *err)
{
    const size_t at = lower_bound(f, person);
    const bool there = at < f->n && f->expiring[at].person == person;
    if (at_ms == 0) {
        if (there)
            memmove(f->expiring + at, f->expiring + at + 1, (--f->n - at) * sizeof *f->expiring);
        return MIEN_OK;
    }
    if (there) {
        f->expiring[at].at_ms = at_ms;
        return MIEN_OK;
    }
    if (f->n == f->capacity) {
        const size_t more = f->capacity ? 2 * f->capacity : 64;
        expiring *const grown =
            more <= EXPIRING_MAX ? mien_grow_array(f->expiring, f->n, more, sizeof *grown) : NULL;
        if (!grown)
            return mien__nomem(err, more * sizeof *grown);
        f->expiring = grown;
        f->capacity = more;
    }
    memmove(f->expiring + at + 1, f->expiring + at, (f->n++ - at) * sizeof *f->expiring);
    f->expiring[at] = (expiring){ person, at_ms };
    return MIEN_OK;
}

/* What a search asks per person in question. */
typedef struct moment {
    const mien__finder *f;
    int64_t now_ms;
} moment;

static int admit(void *user, uint64_t person)
{
    const moment *const m = user;
    const size_t at = lower_bound(m->f, (int64_t)person);
    return !(at < m->f->n && m->f->expiring[at].person == (int64_t)person &&
             m->f->expiring[at].at_ms <= m->now_ms);
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

static mien_status take_row(mien_gallery *g, mien__finder *f, sqlite3_stmt *row, int64_t person, int first,
                            float *vec, mien_error *err)
{
    mien_status st = open_row(g, row, first, person, vec, err);
    if (!st)
        st = mien_index_add(f->index, (uint64_t)person, (uint64_t)person, vec, err);
    return st ? st : set_expiry(f, person, sqlite3_column_int64(row, first + 2), err);
}

/* From nothing, into an index of its own, which then takes the place of the old. */
static mien_status load_all(mien_gallery *g, mien__finder *f, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = true;
    float vec[MIEN__DIM_MAX];
    mien_index *fresh = NULL;
    mien_status st = mien_index_new(&f->opts, &fresh, err);
    if (st)
        return st;
    mien_index_free(f->index);
    f->index = fresh;
    f->n = 0;
    st = mien__sql_open(g, MIEN__SQL_TEMPLATE_ALL, &s, err, "");
    while (!st && !(st = mien__sql_row(g, s, &row, err)) && row)
        st = take_row(g, f, s, sqlite3_column_int64(s, 0), 1, vec, err);
    mien__sql_end(g, s);
    sodium_memzero(vec, (size_t)g->shared->dim * sizeof *vec);
    return st;
}

static mien_status load_one(mien_gallery *g, mien__finder *f, int64_t person, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    float vec[MIEN__DIM_MAX];
    mien_status st = mien__sql_open(g, MIEN__SQL_TEMPLATE_GET, &s, err, "i", person);
    if (!st)
        st = mien__sql_row(g, s, &row, err);
    if (!st && row) {
        st = take_row(g, f, s, person, 0, vec, err);
    } else if (!st) {
        st = mien_index_remove(f->index, (uint64_t)person, err);
        if (st == MIEN_E_NOT_FOUND)
            st = MIEN_OK;
        if (!st)
            st = set_expiry(f, person, 0, err);
    }
    mien__sql_end(g, s);
    sodium_memzero(vec, (size_t)g->shared->dim * sizeof *vec);
    return st;
}

static mien_status load_changes(mien_gallery *g, mien__finder *f, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = true;
    mien_status st =
        mien__sql_open(g, MIEN__SQL_CHANGE_SINCE, &s, err, "i", (int64_t)mien_index_seq(f->index));
    while (!st && !(st = mien__sql_row(g, s, &row, err)) && row)
        st = load_one(g, f, sqlite3_column_int64(s, 0), err);
    mien__sql_end(g, s);
    return st;
}

/* The index from a file does not know who expires. */
static mien_status load_expiring(mien_gallery *g, mien__finder *f, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = true;
    f->n = 0;
    mien_status st = mien__sql_open(g, MIEN__SQL_EXPIRING, &s, err, "");
    while (!st && !(st = mien__sql_row(g, s, &row, err)) && row)
        st = set_expiry(f, sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1), err);
    mien__sql_end(g, s);
    return st;
}

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

static mien_status bring_up(mien_gallery *g, mien__finder *f, uint64_t sequence, mien_error *err)
{
    int64_t first = 0;
    mien_status st = mien__model_check(g, err);
    if (st || (st = mien__sql_number(g, MIEN__SQL_CHANGE_FIRST, INT64_MAX, &first, err, "")))
        return st;
    const uint64_t have = mien_index_seq(f->index);
    /* a sequence beyond the gallery's: the gallery was put back as it was earlier */
    const bool follows = have > 0 && have <= sequence && ((uint64_t)first <= have + 1 || have == sequence);
    if (follows) {
        st = f->loaded ? MIEN_OK : load_expiring(g, f, err);
        if (!st)
            st = load_changes(g, f, err);
    }
    if (!follows || st == MIEN_E_INDEX_CORRUPT) /* the saved file turned out damaged */
        st = load_all(g, f, err);
    f->loaded = !st;
    mien_index_set_seq(f->index, st ? 0 : sequence); /* half applied: begin anew next time */
    return st;
}

/* Begin a snapshot and hold the index shared, both of one sequence: what is fetched during a search is then
 * what the index was made of. Ended by release(). */
static mien_status hold(mien_gallery *g, mien_error *err)
{
    mien__finder *const f = g->shared->finder;
    for (;;) {
        int64_t sequence = 0;
        mien_status st = mien__read_begin(g, err);
        if (st)
            return st;
        st = mien__sql_number(g, MIEN__SQL_SEQUENCE, 0, &sequence, err, "");
        pthread_rwlock_rdlock(&f->lock);
        if (!st && f->loaded && mien_index_seq(f->index) == (uint64_t)sequence)
            return MIEN_OK;
        const bool ahead = f->loaded && mien_index_seq(f->index) > (uint64_t)sequence;
        pthread_rwlock_unlock(&f->lock);
        /* ahead: another handle has seen a later snapshot; so does the next one here */
        if (!st && !(ahead && g->readers == 1 && !g->in_write)) {
            pthread_rwlock_wrlock(&f->lock);
            if (!f->loaded || mien_index_seq(f->index) != (uint64_t)sequence)
                st = bring_up(g, f, (uint64_t)sequence, err);
            pthread_rwlock_unlock(&f->lock);
        }
        mien__read_end(g);
        if (st)
            return st;
    }
}

static void release(mien_gallery *g)
{
    pthread_rwlock_unlock(&g->shared->finder->lock);
    mien__read_end(g);
}

mien_status mien__finder_refresh(mien_gallery *g, mien_error *err)
{
    const mien_status st = hold(g, err);
    if (!st)
        release(g);
    return st;
}

/* A damaged saved index is found only when its blocks are used. */
static mien_status begin_anew(mien_gallery *g, mien_error *err)
{
    mien__finder *const f = g->shared->finder;
    mien_index *fresh = NULL;
    const mien_status st = mien_index_new(&f->opts, &fresh, err);
    if (st)
        return st;
    pthread_rwlock_wrlock(&f->lock);
    mien_index_free(f->index);
    f->index = fresh;
    f->loaded = false;
    pthread_rwlock_unlock(&f->lock);
    return MIEN_OK;
}

/* ---- the saved file ---- */

void mien__finder_save(mien_gallery *g)
{
    mien_index_info info;
    char *path = NULL;
    mien__finder *const f = g->wrote ? g->shared->finder : NULL;
    if (!f || !g->shared->has_embedder)
        return;
    /* under the write lock: nobody removes anybody while it is written, and it is of the very last change */
    if (mien__sql_run(g, MIEN__SQL_BEGIN_WRITE, NULL, "") != MIEN_OK)
        return;
    if (mien__finder_refresh(g, NULL) == MIEN_OK) {
        mien_index_info_of(f->index, &info);
        const bool much = info.changes >= SAVE_MIN && info.changes >= info.n / 64;
        if (much && (path = index_path(g)) && mien_index_sync(f->index, path, NULL) != MIEN_OK)
            mien__log(MIEN_LOG_WARN,
                      "the search index could not be saved; it is built anew when it is needed");
    }
    (void)mien__sql_run(g, MIEN__SQL_ROLLBACK, NULL, "");
    sqlite3_free(path);
}

/* Under the write lock: whoever was given back meanwhile (a merge undone) must not be taken out of a newer
 * file. */
static bool erase_locked(mien_gallery *g, const char *path, const int64_t *people, size_t n)
{
    mien_index_opts opts;
    size_t kept = 0;
    uint64_t *const ids = mien_alloc_array(n, sizeof *ids);
    bool ok = ids != NULL;
    for (size_t i = 0; i < n && ok; i++) {
        int64_t there = 0;
        ok = mien__sql_number(g, MIEN__SQL_PERSON_THERE, 0, &there, NULL, "i", people[i]) == MIEN_OK;
        if (!there)
            ids[kept++] = (uint64_t)people[i];
    }
    ok = ok && options_of(g, &opts, NULL) == MIEN_OK &&
         (kept == 0 || mien_index_erase(path, &opts, ids, kept, NULL) == MIEN_OK);
    mien_free(ids);
    return ok;
}

bool mien__finder_erase(mien_gallery *g, const int64_t *people, size_t n)
{
    char *const path = index_path(g);
    if (!path)
        return false;
    bool gone = access(path, F_OK) != 0 && errno == ENOENT;
    if (!gone && mien__sql_run(g, MIEN__SQL_BEGIN_WRITE, NULL, "") == MIEN_OK) {
        gone = erase_locked(g, path, people, n);
        (void)mien__sql_run(g, MIEN__SQL_ROLLBACK, NULL, "");
    }
    gone = gone || unlink(path) == 0; /* it can always be built anew */
    sqlite3_free(path);
    return gone;
}

/* ---- searching ---- */

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
    enum { TOGETHER = 256 };
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
    mien_status st = hold(g, err);
    if (!st) {
        for (size_t at = 0; at < n && !st; at += TOGETHER)
            st = search_some(g, probes + at * dim, n - at < TOGETHER ? n - at : TOGETHER, &opts, hits,
                             ret + at * top_k, ret_n + at, err);
        release(g);
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
    if (st == MIEN_E_INDEX_CORRUPT && !(st = begin_anew(gallery, err)))
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
    mien_status st = hold(g, err);
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
    release(g);
    return st == MIEN_E_INDEX_CORRUPT || st == MIEN_E_INDEX_UNSURE
               ? mien__fail(err, MIEN_E_GALLERY_CORRUPT,
                            "the search index is damaged or fails its self-test: remove %.120s-index",
                            g->shared->path)
               : st;
}
