/* Adding faces: each is judged against the gate's reasons that need the gallery, then added; then every
 * person touched gets its template anew, one change and one entry of the audit chain. All in one transaction.
 *
 * A face is compared with the people of the gallery through the search index, which knows what was committed,
 * and with those touched earlier in the same call one by one. Faces of a new person are held against each
 * other first (enrol_new.c).
 */
#include "gallery/gallery.h"
#include "image/strip.h"
#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* A person that this call has touched. */
typedef struct touched {
    int64_t id;
    size_t faces;
    bool made, consent;
    float *vec; /* of the last face added in this call */
} touched;

typedef struct batch {
    mien_gallery *g;
    int64_t now_ms;
    touched *people;
    size_t n, capacity;
} batch;

/* ---- checks before the transaction ---- */

static mien_status check_item(const mien_gallery *g, const mien_enrolment *e, mien_error *err)
{
    mien_status st = MIEN_OK;
    if (e->struct_size != sizeof *e)
        return mien__fail(err, MIEN_E_ARG, "an enrolment without MIEN_ENROLMENT_INIT");
    if (e->person < 0 || (e->person > 0 && e->name))
        return mien__fail(err, MIEN_E_ARG, "an enrolment goes by name or by person");
    if (e->person == 0 && (st = mien__name_check(e->name, err)))
        return st;
    if ((e->image == NULL) != (e->image_bytes == 0) || e->image_bytes > MIEN__IMAGE_MAX)
        return mien__fail(err, MIEN_E_LIMIT, "a kept picture has at most %d MB", MIEN__IMAGE_MAX >> 20);
    if (e->note && (st = mien__text_check("note", e->note, MIEN__NOTE_MAX, err)))
        return st;
    if (e->source && strlen(e->source) > MIEN__SOURCE_MAX)
        return mien__fail(err, MIEN_E_LIMIT, "a face's source has at most %d bytes", MIEN__SOURCE_MAX);
    if ((st = mien__consent_check(e->consent, err)))
        return st;
    return mien__vec_check(e->vec, g->shared->dim, err);
}

/* ---- who was touched ---- */

static touched *find_touched(const batch *b, int64_t person)
{
    for (size_t i = b->n; i-- > 0;)
        if (b->people[i].id == person)
            return &b->people[i];
    return NULL;
}

static mien_status touch(batch *b, int64_t person, bool made, touched **ret, mien_error *err)
{
    const size_t bytes = (size_t)b->g->shared->dim * sizeof(float);
    if (b->n == b->capacity) {
        const size_t more = b->capacity ? 2 * b->capacity : 16;
        touched *const grown = mien_grow_array(b->people, b->n, more, sizeof *grown);
        if (!grown)
            return mien__nomem(err, more * sizeof *grown);
        b->people = grown;
        b->capacity = more;
    }
    float *const vec = mien_alloc(bytes);
    if (!vec)
        return mien__nomem(err, bytes);
    *ret = &b->people[b->n++];
    **ret = (touched){ .id = person, .made = made, .vec = vec };
    return MIEN_OK;
}

static void batch_free(batch *b)
{
    for (size_t i = 0; i < b->n; i++)
        mien_free_secret(b->people[i].vec, (size_t)b->g->shared->dim * sizeof(float));
    mien_free(b->people);
}

/* ---- reasons against a face ---- */

static mien_status judge_twice(batch *b, const mien_enrolment *e, int64_t person, mien_enrolled *ret,
                               mien_error *err)
{
    uint8_t picture[MIEN__LOOKUP_BYTES];
    int64_t face = 0;
    if (!e->image_digest || person == 0)
        return MIEN_OK;
    mien__lookup(b->g, MIEN__KIND_IMAGE, e->image_digest, MIEN__DIGEST_BYTES, picture);
    const mien_status st =
        mien__sql_number(b->g, MIEN__SQL_FACE_PICTURE, 0, &face, err, "bi", picture, sizeof picture, person);
    if (!st && face != 0)
        *ret = (mien_enrolled){ .person = person, .face = face, .reason = MIEN_REASON_DUPLICATE_IMAGE };
    return st;
}

static mien_status judge_unlike(batch *b, const mien_enrolment *e, int64_t person, mien_enrolled *ret,
                                mien_error *err)
{
    const int dim = b->g->shared->dim;
    float vec[MIEN__DIM_MAX];
    if (e->unlike_threshold <= -1.0 || person == 0)
        return MIEN_OK;
    const mien_status st = mien__template_load(b->g, person, vec, err);
    if (st)
        return st == MIEN_E_NOT_FOUND ? MIEN_OK : st; /* nothing to be unlike of */
    const double similarity = mien_cosine(e->vec, vec, (size_t)dim);
    sodium_memzero(vec, (size_t)dim * sizeof *vec);
    if (similarity < e->unlike_threshold)
        *ret = (mien_enrolled){ .person = person,
                                .reason = MIEN_REASON_UNLIKE_THE_PERSON,
                                .similarity = similarity };
    return MIEN_OK;
}

static mien_status judge_other(batch *b, const mien_enrolment *e, int64_t person, mien_enrolled *ret,
                               mien_error *err)
{
    mien_candidate found[2], best = { 0, -2.0 };
    size_t n = 0;
    if (e->other_threshold > 1.0)
        return MIEN_OK;
    if (!b->g->shared->finder)
        return mien__fail(err, MIEN_E_ARG, "%.160s was opened without its search index", b->g->shared->path);
    const mien_status st = mien__finder_search(b->g, e->vec, 1, 2, found, &n, err);
    if (st)
        return st;
    for (size_t i = 0; i < n; i++)
        if (found[i].person != person && found[i].similarity > best.similarity)
            best = found[i];
    for (size_t i = 0; i < b->n; i++) {
        const double s = mien_cosine(e->vec, b->people[i].vec, (size_t)b->g->shared->dim);
        if (b->people[i].id != person && s > best.similarity)
            best = (mien_candidate){ b->people[i].id, s };
    }
    if (best.person != 0 && best.similarity >= e->other_threshold)
        *ret = (mien_enrolled){ .person = person,
                                .reason = MIEN_REASON_LOOKS_LIKE_ANOTHER_PERSON,
                                .other = best.person,
                                .similarity = best.similarity };
    return MIEN_OK;
}

static mien_status judge(batch *b, const mien_enrolment *e, int64_t person, mien_enrolled *ret,
                         mien_error *err)
{
    bool refused = false;
    mien_status st = mien__refused(b->g, e->name, e->vec, &refused, err);
    if (st || refused) {
        *ret = (mien_enrolled){ .reason = refused ? MIEN_REASON_DO_NOT_ENROL : MIEN_REASON_NONE };
        return st;
    }
    if (e->force)
        return MIEN_OK;
    if ((st = judge_twice(b, e, person, ret, err)) || ret->reason ||
        (st = judge_unlike(b, e, person, ret, err)) || ret->reason)
        return st;
    return judge_other(b, e, person, ret, err);
}

/* ---- adding ---- */

/* File names are bytes; what is not UTF-8 of them becomes '?', as exports are. */
static size_t clean_source(const char *source, char ret[MIEN__SOURCE_MAX + 1])
{
    size_t n = 0;
    for (const char *s = source ? source : ""; *s && n < MIEN__SOURCE_MAX;) {
        const size_t len = mien__utf8_length(s);
        if (len == 0 || n + len > MIEN__SOURCE_MAX) {
            ret[n++] = '?';
            s++;
        } else {
            memcpy(ret + n, s, len);
            n += len;
            s += len;
        }
    }
    ret[n] = '\0';
    return n;
}

static mien_status add_image(mien_gallery *g, const uint8_t *key, int64_t person, int64_t face,
                             const mien_enrolment *e, mien_error *err)
{
    uint8_t digest[MIEN__LOOKUP_BYTES];
    mien__buf plain, b;
    mien__buf_init(&plain, MIEN__IMAGE_MAX);
    mien__buf_init(&b, MIEN__BLOB_MAX);
    mien_status st = mien__image_strip(e->image, e->image_bytes, &plain, err);
    if (!st)
        st = mien__seal(g, key, (mien__place){ MIEN__KIND_IMAGE, person, face }, plain.data, plain.size, &b,
                        err);
    if (!st) {
        mien__lookup(g, MIEN__KIND_IMAGE, plain.data, plain.size, digest);
        st = mien__sql_run(g, MIEN__SQL_IMAGE_ADD, err, "ibb", face, digest, sizeof digest, b.data, b.size);
    }
    mien__buf_wipe(&plain);
    mien__buf_wipe(&b);
    return st;
}

mien_status mien__face_add(mien_gallery *g, const uint8_t *key, int64_t person, const mien_enrolment *e,
                           int64_t now_ms, int64_t *ret, mien_error *err)
{
    const int dim = g->shared->dim;
    uint16_t halves[MIEN__DIM_MAX];
    uint8_t shape[MIEN__SHAPE_FLOATS * sizeof(float)], picture[MIEN__LOOKUP_BYTES];
    char source[MIEN__SOURCE_MAX + 1];
    mien__buf sealed, sealed_source;
    int64_t face = 0;
    mien__buf_init(&sealed, MIEN__BLOB_MAX);
    mien__buf_init(&sealed_source, MIEN__BLOB_MAX);
    mien_status st = mien__sql_number(g, MIEN__SQL_FACE_NEXT, 1, &face, err, "");
    if (st)
        goto done;
    mien__halves_of(e->vec, dim, halves);
    mien__shape_pack(&e->face, &e->quality, shape);
    const size_t source_bytes = clean_source(e->source, source);
    if (e->image_digest)
        mien__lookup(g, MIEN__KIND_IMAGE, e->image_digest, MIEN__DIGEST_BYTES, picture);
    if ((st = mien__seal(g, key, (mien__place){ MIEN__KIND_FACE, person, face }, halves,
                         (size_t)dim * sizeof *halves, &sealed, err)) ||
        (st = mien__seal(g, key, (mien__place){ MIEN__KIND_SOURCE, person, face }, source, source_bytes,
                         &sealed_source, err)) ||
        (st = mien__sql_run(g, MIEN__SQL_FACE_ADD, err, "iibbbbi", face, person, shape, sizeof shape,
                            sealed_source.data ? (const void *)sealed_source.data : "", sealed_source.size,
                            sealed.data, sealed.size, e->image_digest ? picture : NULL, sizeof picture,
                            now_ms)))
        goto done;
    g->state.n_faces++;
    if (e->image && !(st = add_image(g, key, person, face, e, err)))
        g->state.n_images++;
    *ret = face;
done:
    sodium_memzero(halves, (size_t)dim * sizeof *halves);
    mien__buf_wipe(&sealed);
    mien__buf_wipe(&sealed_source);
    return st;
}

/* The person to enrol: an existing one or, for a name that nobody has, 0. */
static mien_status resolve(batch *b, const mien_enrolment *e, int64_t *ret, mien_error *err)
{
    int64_t there = 0;
    if (!e->person)
        return mien__name_find(b->g, e->name, ret, err);
    const mien_status st = mien__sql_number(b->g, MIEN__SQL_PERSON_THERE, 0, &there, err, "i", e->person);
    if (!st && !there)
        return mien__fail(err, MIEN_E_NOT_FOUND, "%.120s has no person %lld", b->g->shared->path,
                          (long long)e->person);
    *ret = e->person;
    return st;
}

/* An existing person is seen again, and takes a consent that comes with the picture. */
static mien_status renew(batch *b, const mien_enrolment *e, int64_t person, const uint8_t *key,
                         mien_error *err)
{
    const mien_status st = mien__sql_run(b->g, MIEN__SQL_PERSON_SEEN, err, "ii", person, b->now_ms);
    return st || !e->consent ? st : mien__consent_set(b->g, person, key, e->consent, err);
}

static mien_status enrol_one(batch *b, const mien_enrolment *e, mien_enrolled *ret, mien_error *err)
{
    mien_gallery *const g = b->g;
    uint8_t key[MIEN__KEY_BYTES] = { 0 };
    int64_t person = 0, face = 0;
    *ret = (mien_enrolled){ 0 };
    mien_status st = resolve(b, e, &person, err);
    if (st || (st = judge(b, e, person, ret, err)) || ret->reason)
        return st;
    const bool made = person == 0;
    if (made) {
        const mien__new_person p = { 0, e->name, e->note, e->consent, b->now_ms };
        st = mien__person_add(g, &p, &person, key, err);
    } else if (!(st = mien__person_key(g, person, key, err))) {
        st = renew(b, e, person, key, err);
    }
    if (!st)
        st = mien__face_add(g, key, person, e, b->now_ms, &face, err);
    sodium_memzero(key, sizeof key);
    touched *t = st ? NULL : find_touched(b, person);
    if (!st && !t)
        st = touch(b, person, made, &t, err);
    if (st)
        return st;
    t->faces++;
    t->consent = t->consent || e->consent;
    memcpy(t->vec, e->vec, (size_t)g->shared->dim * sizeof *t->vec);
    *ret = (mien_enrolled){ .person = person, .face = face, .new_person = made };
    return MIEN_OK;
}

static mien_status settle(batch *b, mien_error *err)
{
    mien_status st = MIEN_OK;
    for (size_t i = 0; i < b->n && !st; i++) {
        char detail[96];
        const touched *const t = &b->people[i];
        snprintf(detail, sizeof detail, "{\"faces\":%zu,\"new\":%s,\"consent\":%s}", t->faces,
                 t->made ? "true" : "false", t->consent ? "true" : "false");
        if (!(st = mien__fuse_person(b->g, t->id, b->now_ms, NULL, err)))
            st = mien__audit_append(b->g, "enrol", t->id, detail, err);
    }
    return st;
}

mien_status mien_gallery_enrol(mien_gallery *gallery, const mien_enrolment *items, size_t n,
                               mien_enrolled *ret, mien_error *err)
{
    if (!gallery || (n > 0 && (!items || !ret)))
        return mien__fail(err, MIEN_E_ARG, "gallery, items or results are missing");
    if (!gallery->shared->has_embedder)
        return mien__fail(err, MIEN_E_GALLERY_MODEL, "%.160s was opened without its embedder",
                          gallery->shared->path);
    mien_status st = MIEN_OK;
    for (size_t i = 0; i < n && !st; i++)
        st = check_item(gallery, &items[i], err);
    mien_enrolled *const results = st ? NULL : mien_alloc_array_zero(n, sizeof *results);
    if (!st && !results)
        st = mien__nomem(err, n * sizeof *results);
    if (st)
        return st;
    batch b = { .g = gallery, .now_ms = mien__clock_ms() };
    if (!(st = mien__write_begin(gallery, err))) {
        st = mien__model_check(gallery, err);
        if (!st && gallery->shared->finder)
            st = mien__finder_refresh(gallery, err);
        if (!st)
            st = mien__enrol_new(gallery, items, n, results, err);
        for (size_t i = 0; i < n && !st; i++)
            if (!results[i].reason)
                st = enrol_one(&b, &items[i], &results[i], err);
        if (!st)
            st = settle(&b, err);
        st = mien__write_end(gallery, st, err);
    }
    if (!st && n > 0)
        memcpy(ret, results, n * sizeof *ret);
    batch_free(&b);
    mien_free(results);
    return st;
}
