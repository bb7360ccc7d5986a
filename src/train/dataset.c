/* Reading a data set: list the pictures, find each one's face, number the people.
 *
 * A picture whose name, size and time stand in the index is taken from there; the others are opened and
 * searched, piece by piece over a pool with a detector per thread. Between pieces the caller hears of the
 * progress, faults are logged, and now and then the index is written, so that little is lost when a long
 * search is cut short. Aligned pictures go the same way without a detector: they are only opened.
 */
#include "train/data_read.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    PIECE = 64,            /* pictures per thread between two calls of progress() */
    DETECT_SIDE_PX = 1024, /* larger pictures are searched shrunk: a training face fills more of them */
    READ_SIDE_PX = 768,    /* JPEGs may be read shrunk to this shorter side */
    TEMPLATE_SIDE_PX = 112,
    FINDER_VERSION = 1, /* part of the index's key: grows when faces are found otherwise than before */
};
static const double index_every_ms = 20000;
static const size_t max_index_bytes = (size_t)1 << 31;

typedef enum state { UNSEEN, KNOWN, UNREADABLE, FATAL } state;

typedef struct reader {
    const mien__data_opts *o;
    mien__entries entries;
    mien__found *found; /* [entries.n] */
    uint8_t *states;    /* [entries.n] state */
    size_t *todo;       /* indices to search */
    size_t n_todo, n_done;
    mien_detector **detectors; /* one per thread */
    unsigned threads;
    mien__pool *pool;
    mien_error *errors; /* [piece] */
    size_t piece;
    uint8_t key[32];
} reader;

/* ---- one picture ---- */

static mien_status find_face(mien_detector *detector, const mien_image *image, mien__found *ret,
                             mien_error *err)
{
    const mien_image_view v = mien_image_view_of(image);
    const float scale = (float)mien_image_scale(image);
    const mien_face *faces = NULL;
    size_t n = 0;
    const mien_status st = mien_detect(detector, v, &faces, &n, err);
    if (st)
        return st;
    const size_t k = mien_face_pick(faces, n, v.width, v.height, MIEN_PICK_CENTRAL);
    ret->face = k < n;
    for (int i = 0; ret->face && i < MIEN_LANDMARKS; i++)
        for (int c = 0; c < 2; c++)
            ret->landmarks[i][c] = faces[k].landmarks[i][c] * scale;
    mien_affine m;
    if (ret->face && mien_fit_similarity(ret->landmarks, mien__template_112, MIEN_LANDMARKS, &m, NULL))
        ret->face = false; /* points that coincide are no face */
    return MIEN_OK;
}

static void template_face(mien__found *ret)
{
    ret->face = true;
    for (int i = 0; i < MIEN_LANDMARKS; i++) {
        ret->landmarks[i][0] = mien__template_112[i][0] * (float)ret->width / TEMPLATE_SIDE_PX;
        ret->landmarks[i][1] = mien__template_112[i][1] * (float)ret->height / TEMPLATE_SIDE_PX;
    }
}

static mien_status search(const reader *r, size_t i, unsigned worker, mien_error *err)
{
    mien_image_opts opts = MIEN_IMAGE_OPTS_INIT;
    opts.min_short_side = r->o->aligned ? 0 : READ_SIDE_PX;
    mien_image *image = NULL;
    mien_status st = mien_image_load(r->entries.v[i].path, &opts, &image, err);
    if (st)
        return st;
    mien__found *const f = &r->found[i];
    const mien_image_view v = mien_image_view_of(image);
    f->width = v.width * mien_image_scale(image);
    f->height = v.height * mien_image_scale(image);
    if (r->o->aligned)
        template_face(f);
    else
        st = find_face(r->detectors[worker], image, f, err);
    mien_image_free(image);
    return st;
}

static void search_task(void *ctx, size_t task, unsigned worker)
{
    const reader *const r = ctx;
    const size_t i = r->todo[r->n_done + task];
    r->errors[task] = (mien_error)MIEN_ERROR_INIT;
    const mien_status st = search(r, i, worker, &r->errors[task]);
    r->states[i] = st == MIEN_OK ? KNOWN : st == MIEN_E_NOMEM || st == MIEN_E_INTERNAL ? FATAL : UNREADABLE;
}

/* ---- the index ---- */

static void make_key(const mien__data_opts *o, uint8_t ret[32])
{
    uint8_t text[256] = { FINDER_VERSION };
    const mien_model_info *const info = o->aligned ? NULL : mien_model_info_of(o->detector);
    const char *const id = !info ? "aligned" : info->sha256 && info->sha256[0] ? info->sha256 : info->name;
    const size_t n = strlen(id);
    memcpy(text + 1, id, n < sizeof text - 1 ? n : sizeof text - 1);
    mien__sha256(text, sizeof text, ret);
}

static void look_up(reader *r, const mien__index *x)
{
    for (size_t i = 0; i < r->entries.n; i++) {
        const mien__entry *const e = &r->entries.v[i];
        mien__found *const f = &r->found[i];
        f->name = e->name;
        struct stat s;
        if (stat(e->path, &s) == 0) {
            f->size_bytes = (int64_t)s.st_size;
            f->mtime_ns = (int64_t)s.st_mtim.tv_sec * 1000000000 + s.st_mtim.tv_nsec;
            const mien__found *const known = mien__index_find(x, e->name);
            if (known && known->size_bytes == f->size_bytes && known->mtime_ns == f->mtime_ns) {
                *f = *known;
                f->name = e->name;
                r->states[i] = KNOWN;
                continue;
            }
        }
        r->todo[r->n_todo++] = i;
    }
}

/* An index that is missing, damaged or of another detector costs time, nothing else. */
static void use_index(reader *r)
{
    mien__file_map m = { 0 };
    mien__index x = { 0 };
    mien_error why = MIEN_ERROR_INIT;
    const char *const path = r->o->index_path;
    if (path) {
        mien_status st = mien__file_read(&m, path, max_index_bytes, &why);
        if (!st)
            st = mien__index_parse(m.data, m.size, r->key, &x, &why);
        if (st && st != MIEN_E_NOT_FOUND)
            mien__log(MIEN_LOG_INFO, "%s is made anew: %s", path, why.message);
    }
    look_up(r, &x);
    mien__index_free(&x);
    mien__file_map_close(&m);
}

/* It is a cache: that it cannot be written is said, and no reason to stop. */
static mien_status write_index(const reader *r, mien_error *err)
{
    if (!r->o->index_path)
        return MIEN_OK;
    mien__found *const known = mien_alloc_array(r->entries.n, sizeof *known);
    if (!known)
        return mien__nomem(err, r->entries.n * sizeof *known);
    mien_error why = MIEN_ERROR_INIT;
    size_t n = 0;
    for (size_t i = 0; i < r->entries.n; i++)
        if (r->states[i] == KNOWN)
            known[n++] = r->found[i];
    mien__buf buf = { 0 };
    mien_status st = mien__index_format(known, n, r->key, &buf, &why);
    if (!st)
        st = mien__file_write_atomic(r->o->index_path, buf.data, buf.size, &why);
    if (st)
        mien__log(MIEN_LOG_WARN, "the index of faces is not kept: %s", why.message);
    mien__buf_free(&buf);
    mien_free(known);
    return MIEN_OK;
}

/* ---- the search ---- */

static mien_status start_search(reader *r, mien_error *err)
{
    mien_status st = mien__pool_new(&r->pool, r->o->threads, err);
    if (st)
        return st;
    r->threads = mien__pool_threads(r->pool);
    r->piece = (size_t)PIECE * r->threads;
    r->errors = mien_alloc_array(r->piece, sizeof *r->errors);
    r->detectors = mien_alloc_array_zero(r->threads, sizeof *r->detectors);
    if (!r->errors || !r->detectors)
        return mien__nomem(err, r->piece * sizeof *r->errors);
    mien_detect_opts opts = MIEN_DETECT_OPTS_INIT;
    opts.min_size_px = 0;
    opts.max_side = DETECT_SIDE_PX;
    for (unsigned i = 0; i < r->threads && !st && !r->o->aligned; i++)
        st = mien_detector_new(r->o->detector, &opts, &r->detectors[i], err);
    return st;
}

/* Log what a piece could not read; the error that stops everything, if there is one. */
static mien_status settle_piece(reader *r, size_t n, mien_error *err)
{
    for (size_t k = 0; k < n; k++) {
        const size_t i = r->todo[r->n_done + k];
        if (r->states[i] == FATAL) {
            if (err)
                *err = r->errors[k];
            return r->errors[k].status;
        }
        if (r->states[i] == UNREADABLE)
            mien__log(MIEN_LOG_WARN, "%s is left out: %s", r->entries.v[i].path, r->errors[k].message);
        else if (!r->found[i].face)
            mien__log(MIEN_LOG_INFO, "%s is left out: no face found", r->entries.v[i].path);
    }
    r->n_done += n;
    return MIEN_OK;
}

static bool told_to_stop(const reader *r)
{
    const size_t known = r->entries.n - r->n_todo;
    return r->o->progress && r->o->progress(known + r->n_done, r->entries.n, r->o->user) != 0;
}

static mien_status search_all(reader *r, mien_error *err)
{
    mien_status st = r->n_todo ? start_search(r, err) : MIEN_OK;
    bool stop = !st && told_to_stop(r);
    double written = mien__now_ms();
    while (!st && !stop && r->n_done < r->n_todo) {
        const size_t left = r->n_todo - r->n_done, n = left < r->piece ? left : r->piece;
        mien__pool_run(r->pool, search_task, r, n);
        st = settle_piece(r, n, err);
        stop = !st && told_to_stop(r);
        if (!st && mien__now_ms() - written > index_every_ms) {
            st = write_index(r, err);
            written = mien__now_ms();
        }
    }
    if (!st && r->n_done > 0)
        st = write_index(r, err);
    if (!st && stop)
        st = mien__fail(err, MIEN_E_INTERRUPTED, "stopped after %zu of %zu pictures",
                        r->entries.n - r->n_todo + r->n_done, r->entries.n);
    return st;
}

/* ---- the set ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of those who have a picture left, each once, sorted. */
static void collect_people(const reader *r, mien__dataset *d)
{
    for (size_t i = 0; i < r->entries.n; i++)
        if (r->states[i] == KNOWN && r->found[i].face && r->entries.v[i].person)
            d->people[d->n_people++] = r->entries.v[i].person;
    if (d->n_people == 0)
        return;
    qsort(d->people, d->n_people, sizeof *d->people, by_text);
    size_t n = 1;
    for (size_t i = 1; i < d->n_people; i++)
        if (strcmp(d->people[n - 1], d->people[i]) != 0)
            d->people[n++] = d->people[i];
    d->n_people = n;
}

static int32_t label_of(const mien__dataset *d, const char *person)
{
    const char **const at =
        person ? bsearch(&person, d->people, d->n_people, sizeof *d->people, by_text) : NULL;
    return at ? (int32_t)(at - d->people) : -1;
}

static void fill(const reader *r, mien__dataset *d)
{
    collect_people(r, d);
    for (size_t i = 0; i < r->entries.n; i++) {
        const mien__entry *const e = &r->entries.v[i];
        const mien__found *const f = &r->found[i];
        if (r->states[i] != KNOWN || !f->face) {
            *(r->states[i] == KNOWN ? &d->n_no_face : &d->n_unreadable) += 1;
            continue;
        }
        mien__sample *const s = &d->samples[d->n++];
        *s = (mien__sample){ .path = e->path,
                             .name = e->name,
                             .label = label_of(d, e->person),
                             .width = f->width,
                             .height = f->height,
                             .part = e->part,
                             .aligned = r->o->aligned };
        memcpy(s->landmarks, f->landmarks, sizeof s->landmarks);
    }
}

static mien_status make_set(reader *r, const char *path, mien__dataset **ret, mien_error *err)
{
    const size_t n = r->entries.n ? r->entries.n : 1;
    mien__dataset *const d = mien_alloc_zero(sizeof *d);
    if (!d)
        return mien__nomem(err, sizeof *d);
    d->samples = mien_alloc_array(n, sizeof *d->samples);
    d->people = mien_alloc_array(n, sizeof *d->people);
    d->n_bad_rows = r->entries.n_bad_rows;
    mien_status st = MIEN_OK;
    if (!d->samples || !d->people)
        st = mien__nomem(err, n * sizeof *d->samples);
    else
        fill(r, d);
    if (!st && d->n == 0)
        st = mien__fail(err, MIEN_E_EVAL_DATA,
                        "%s: no picture with a face (%zu pictures: %zu unreadable, %zu without a face)", path,
                        r->entries.n, d->n_unreadable, d->n_no_face);
    if (st) {
        mien__dataset_free(d);
        return st;
    }
    d->arena = r->entries.arena; /* the strings go over to the set */
    r->entries.arena = NULL;
    *ret = d;
    return MIEN_OK;
}

static void reader_free(reader *r)
{
    for (unsigned i = 0; r->detectors && i < r->threads; i++)
        mien_detector_free(r->detectors[i]);
    mien_free(r->detectors);
    mien_free(r->errors);
    mien__pool_free(r->pool);
    mien_free(r->todo);
    mien_free(r->states);
    mien_free(r->found);
    mien__entries_free(&r->entries);
}

mien_status mien__dataset_read(const char *path, const mien__data_opts *o, mien__dataset **ret,
                               mien_error *err)
{
    if (!o->aligned && !o->detector)
        return mien__fail(err, MIEN_E_ARG, "data set %s: pictures that are not aligned need a detector",
                          path);
    reader r = { .o = o };
    mien_status st = mien__entries_read(path, &r.entries, err);
    if (st)
        return st;
    if (o->max_images > 0 && r.entries.n > o->max_images)
        r.entries.n = o->max_images;
    const size_t n = r.entries.n ? r.entries.n : 1;
    r.found = mien_alloc_array_zero(n, sizeof *r.found);
    r.states = mien_alloc_zero(n);
    r.todo = mien_alloc_array(n, sizeof *r.todo);
    if (!r.found || !r.states || !r.todo) {
        st = mien__nomem(err, n * sizeof *r.found);
        goto done;
    }
    make_key(o, r.key);
    use_index(&r);
    st = search_all(&r, err);
    if (!st)
        st = make_set(&r, path, ret, err);
done:
    reader_free(&r);
    return st;
}

void mien__dataset_free(mien__dataset *d)
{
    if (!d)
        return;
    mien_free(d->samples);
    mien_free(d->people);
    mien__arena_free(d->arena);
    mien_free(d);
}
