/* Faces: their rows, their templates, their pictures. */
#include "gallery/gallery.h"
#include <sodium.h>
#include <string.h>

enum { BATCH = 64 };

/* columns of MIEN__FACE_COLUMNS */
enum { C_ID, C_PERSON, C_SHAPE, C_SOURCE, C_CREATED, C_OUTLIER, C_FIT, C_IMAGE };

/* ---- box, landmarks and quality: MIEN__SHAPE_FLOATS floats in a fixed order, little-endian ---- */

typedef struct shape {
    float v[MIEN__SHAPE_FLOATS];
} shape;
_Static_assert(sizeof(shape) == MIEN__SHAPE_FLOATS * sizeof(float), "packed");

void mien__shape_pack(const mien_face *f, const mien_quality *q, uint8_t *ret)
{
    shape s = { { f->x0, f->y0, f->x1, f->y1, f->score } };
    float *at = s.v + 5;
    for (int i = 0; i < MIEN_LANDMARKS; i++) {
        *at++ = f->landmarks[i][0];
        *at++ = f->landmarks[i][1];
    }
    const float quality[] = { q->eye_distance_px, q->yaw_deg,    q->pitch_deg, q->roll_deg,
                              q->sharpness,       q->brightness, q->contrast,  q->overexposed,
                              q->underexposed,    q->inside,     q->score };
    memcpy(at, quality, sizeof quality);
    memcpy(ret, &s, sizeof s);
}

void mien__shape_unpack(const uint8_t *data, mien_face *f, mien_quality *q)
{
    shape s;
    memcpy(&s, data, sizeof s);
    *f = (mien_face){ s.v[0], s.v[1], s.v[2], s.v[3], s.v[4], { { 0 } } };
    memcpy(f->landmarks, s.v + 5, sizeof f->landmarks);
    const float *const v = s.v + 5 + 2 * MIEN_LANDMARKS;
    *q = (mien_quality){ .eye_distance_px = v[0],
                         .yaw_deg = v[1],
                         .pitch_deg = v[2],
                         .roll_deg = v[3],
                         .sharpness = v[4],
                         .brightness = v[5],
                         .contrast = v[6],
                         .overexposed = v[7],
                         .underexposed = v[8],
                         .inside = v[9],
                         .score = v[10] };
}

/* ---- walking ---- */

typedef struct item {
    mien_gallery_face face;
    char *source;
    size_t source_bytes;
} item;

static void item_free(item *it)
{
    mien_free_secret(it->source, it->source_bytes + 1);
    it->source = NULL;
}

static mien_status read_face(mien_gallery *g, sqlite3_stmt *row, const uint8_t *key, item *ret,
                             mien_error *err)
{
    item it = { .face.id = sqlite3_column_int64(row, C_ID),
                .face.person = sqlite3_column_int64(row, C_PERSON) };
    if (sqlite3_column_bytes(row, C_SHAPE) != (int)sizeof(shape))
        return mien__fail(err, MIEN_E_GALLERY_CORRUPT, "face %lld of %.120s is damaged",
                          (long long)it.face.id, g->shared->path);
    mien__shape_unpack(sqlite3_column_blob(row, C_SHAPE), &it.face.face, &it.face.quality);
    it.face.created_ms = sqlite3_column_int64(row, C_CREATED);
    it.face.outlier = sqlite3_column_int64(row, C_OUTLIER) != 0;
    it.face.fit = sqlite3_column_double(row, C_FIT);
    it.face.has_image = sqlite3_column_int64(row, C_IMAGE) != 0;
    const mien__place place = { MIEN__KIND_SOURCE, it.face.person, it.face.id };
    const mien_status st =
        mien__unseal(g, key, place, sqlite3_column_blob(row, C_SOURCE),
                     (size_t)sqlite3_column_bytes(row, C_SOURCE), &it.source, &it.source_bytes, err);
    if (st)
        return st;
    it.face.source = it.source;
    *ret = it;
    return MIEN_OK;
}

static mien_status read_batch(mien_gallery *g, int64_t person, int64_t after, item *batch, size_t *ret_n,
                              mien_error *err)
{
    sqlite3_stmt *s = NULL;
    uint8_t key[MIEN__KEY_BYTES];
    size_t n = 0;
    bool row = true;
    mien_status st = mien__person_key(g, person, key, err);
    if (!st)
        st = mien__sql_open(g, MIEN__SQL_FACE_AFTER, &s, err, "ii", person, after);
    while (!st && n < BATCH && !(st = mien__sql_row(g, s, &row, err)) && row)
        if (!(st = mien__sql_ascending(g, after, sqlite3_column_int64(s, C_ID), err)) &&
            !(st = read_face(g, s, key, &batch[n], err)))
            after = batch[n++].face.id;
    mien__sql_end(g, s);
    sodium_memzero(key, sizeof key);
    if (st)
        while (n > 0)
            item_free(&batch[--n]);
    *ret_n = n;
    return st;
}

mien_status mien_gallery_faces(mien_gallery *gallery, int64_t person, mien_face_fn fn, void *user,
                               mien_error *err)
{
    if (!gallery || !fn)
        return mien__fail(err, MIEN_E_ARG, "gallery or callback is NULL");
    item *const batch = mien_alloc_array(BATCH, sizeof *batch);
    if (!batch)
        return mien__nomem(err, BATCH * sizeof *batch);
    mien_status st = MIEN_OK;
    int64_t after = 0;
    size_t n = BATCH;
    bool stop = false;
    while (!stop && n == BATCH) {
        if ((st = read_batch(gallery, person, after, batch, &n, err)))
            break;
        for (size_t i = 0; i < n; i++) {
            after = batch[i].face.id;
            stop = stop || fn(user, &batch[i].face) != 0;
            item_free(&batch[i]);
        }
    }
    mien_free(batch);
    return st;
}

/* ---- templates ---- */

mien_status mien_gallery_template(mien_gallery *gallery, int64_t person, float *ret_vec, mien_error *err)
{
    if (!gallery || !ret_vec)
        return mien__fail(err, MIEN_E_ARG, "gallery or result is NULL");
    return mien__template_load(gallery, person, ret_vec, err);
}

static mien_status no_face(const mien_gallery *g, int64_t face, mien_error *err)
{
    return mien__fail(err, MIEN_E_NOT_FOUND, "%.120s has no face %lld", g->shared->path, (long long)face);
}

static mien_status open_halves(mien_gallery *g, const uint8_t *key, int64_t person, int64_t face,
                               sqlite3_stmt *row, int column, float *ret, mien_error *err)
{
    const int dim = g->shared->dim;
    uint16_t halves[MIEN__DIM_MAX];
    const mien_status st = mien__unseal_into(
        g, key, (mien__place){ MIEN__KIND_FACE, person, face }, sqlite3_column_blob(row, column),
        (size_t)sqlite3_column_bytes(row, column), halves, (size_t)dim * sizeof *halves, err);
    if (!st)
        mien__vec_of(halves, dim, ret);
    sodium_memzero(halves, (size_t)dim * sizeof *halves);
    return st;
}

mien_status mien_gallery_face_template(mien_gallery *gallery, int64_t face, float *ret_vec, mien_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    uint8_t key[MIEN__KEY_BYTES];
    if (!gallery || !ret_vec)
        return mien__fail(err, MIEN_E_ARG, "gallery or result is NULL");
    mien_status st = mien__sql_open(gallery, MIEN__SQL_FACE_HALVES, &s, err, "i", face);
    if (!st)
        st = mien__sql_row(gallery, s, &row, err);
    if (!st && !row)
        st = no_face(gallery, face, err);
    if (st)
        goto done;
    const int64_t person = sqlite3_column_int64(s, 0);
    if (!(st = mien__person_key(gallery, person, key, err)))
        st = open_halves(gallery, key, person, face, s, 1, ret_vec, err);
done:
    mien__sql_end(gallery, s);
    sodium_memzero(key, sizeof key);
    return st;
}

/* ---- all of a person ---- */

void mien__face_set_free(mien__face_set *set, int dim)
{
    mien_free_secret(set->vecs, set->n * (size_t)dim * sizeof(float));
    mien_free(set->ids);
    mien_free(set->weights);
    mien_free(set->fit);
    mien_free(set->outlier);
    *set = (mien__face_set){ 0 };
}

static mien_status set_alloc(mien__face_set *set, size_t n, int dim, mien_error *err)
{
    size_t floats = 0;
    if (mien_mul_ok(n, (size_t)dim, &floats)) {
        set->vecs = mien_alloc_array(floats, sizeof(float));
        set->ids = mien_alloc_array(n, sizeof *set->ids);
        set->weights = mien_alloc_array(n, sizeof *set->weights);
        set->fit = mien_alloc_array(n, sizeof *set->fit);
        set->outlier = mien_alloc_array_zero(n, 1);
    }
    if (set->vecs && set->ids && set->weights && set->fit && set->outlier)
        return MIEN_OK;
    mien__face_set_free(set, dim);
    return mien__nomem(err, n * (size_t)dim * sizeof(float));
}

mien_status mien__face_set_load(mien_gallery *g, int64_t person, const uint8_t *key, mien__face_set *ret,
                                mien_error *err)
{
    const int dim = g->shared->dim;
    mien__face_set set = { 0 };
    sqlite3_stmt *s = NULL;
    bool row = true;
    int64_t count = 0;
    size_t n = 0;
    mien_status st = mien__sql_number(g, MIEN__SQL_FACE_COUNT, 0, &count, err, "i", person);
    if (!st && count > MIEN__FACES_MAX)
        st = mien__fail(err, MIEN_E_LIMIT, "person %lld has %lld faces, the limit is %d", (long long)person,
                        (long long)count, MIEN__FACES_MAX);
    if (st || (count > 0 && (st = set_alloc(&set, (size_t)count, dim, err))))
        return st;
    set.n = (size_t)count;
    st = mien__sql_open(g, MIEN__SQL_FACE_SET, &s, err, "i", person);
    while (!st && !(st = mien__sql_row(g, s, &row, err)) && row && n < set.n) {
        mien_face face;
        mien_quality quality = { 0 };
        set.ids[n] = sqlite3_column_int64(s, 0);
        if (sqlite3_column_bytes(s, 2) == (int)sizeof(shape))
            mien__shape_unpack(sqlite3_column_blob(s, 2), &face, &quality);
        set.weights[n] = quality.score;
        st = open_halves(g, key, person, set.ids[n], s, 1, set.vecs + n * (size_t)dim, err);
        n++;
    }
    mien__sql_end(g, s);
    if (st) {
        mien__face_set_free(&set, dim);
        return st;
    }
    *ret = set;
    return MIEN_OK;
}

/* ---- pictures ---- */

mien_status mien_gallery_image(mien_gallery *gallery, int64_t face, uint8_t **ret_data, size_t *ret_size,
                               mien_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    uint8_t key[MIEN__KEY_BYTES];
    char *data = NULL;
    if (!gallery || !ret_data || !ret_size)
        return mien__fail(err, MIEN_E_ARG, "gallery or result is NULL");
    mien_status st = mien__sql_open(gallery, MIEN__SQL_IMAGE_GET, &s, err, "i", face);
    if (!st)
        st = mien__sql_row(gallery, s, &row, err);
    if (!st && !row)
        st = mien__fail(err, MIEN_E_NOT_FOUND, "no picture of face %lld is kept in %.120s", (long long)face,
                        gallery->shared->path);
    if (st)
        goto done;
    const int64_t person = sqlite3_column_int64(s, 0);
    if (!(st = mien__person_key(gallery, person, key, err)))
        st =
            mien__unseal(gallery, key, (mien__place){ MIEN__KIND_IMAGE, person, face },
                         sqlite3_column_blob(s, 1), (size_t)sqlite3_column_bytes(s, 1), &data, ret_size, err);
    if (!st)
        *ret_data = (uint8_t *)data;
done:
    mien__sql_end(gallery, s);
    sodium_memzero(key, sizeof key);
    return st;
}
