/* The search index of a gallery in memory: a mien_index of the people's templates, shared by the handles of a
 * process.
 *
 * The file is the truth. Before each search the sequence of the last change is compared with the one that the
 * index reflects; the people named in the change feed since then are read anew, or everything where the feed
 * no longer reaches back so far. A handle within a write searches what was committed before.
 */
#include "gallery/finder.h"
#include <sodium.h>
#include <string.h>
#include <unistd.h>

enum { EXPIRING_MAX = 1 << 26 };

/* ---- making ---- */

char *mien__finder_path(const mien_gallery *g)
{
    return sqlite3_mprintf("%s-index", g->shared->path);
}

mien_status mien__finder_options(const mien_gallery *g, mien_index_opts *ret, mien_error *err)
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
    char *const path = mien__finder_path(g);
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
    mien_status st = mien__finder_options(g, &f->opts, err);
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
    char *const path = mien__finder_path(g);
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

size_t mien__expiring_from(const mien__finder *f, int64_t person)
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
    const size_t at = mien__expiring_from(f, person);
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
    int64_t before = 0;
    float vec[MIEN__DIM_MAX];
    mien_index *fresh = NULL;
    mien_status st = mien_index_new(&f->opts, &fresh, err);
    if (st)
        return st;
    mien_index_free(f->index);
    f->index = fresh;
    f->n = 0;
    st = mien__sql_open(g, MIEN__SQL_TEMPLATE_ALL, &s, err, "");
    while (!st && !(st = mien__sql_row(g, s, &row, err)) && row) {
        const int64_t person = sqlite3_column_int64(s, 0);
        if (!(st = mien__sql_ascending(g, before, person, err)))
            st = take_row(g, f, s, person, 1, vec, err);
        before = person;
    }
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
mien_status mien__finder_hold(mien_gallery *g, mien_error *err)
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

void mien__finder_release(mien_gallery *g)
{
    pthread_rwlock_unlock(&g->shared->finder->lock);
    mien__read_end(g);
}

mien_status mien__finder_refresh(mien_gallery *g, mien_error *err)
{
    const mien_status st = mien__finder_hold(g, err);
    if (!st)
        mien__finder_release(g);
    return st;
}

/* A damaged saved index is found only when its blocks are used. */
mien_status mien__finder_begin_anew(mien_gallery *g, mien_error *err)
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
