/* The self-test: the index, as it stands in memory, against plain arithmetic.
 *
 * 1. Every block matches its checksum.
 * 2. A sample of templates spread over all places: each lies within its stated error of what the store has,
 * and a search for it finds it, or one that is as near.
 * 3. Two random queries: every place is multiplied out in float64 from its bytes, without kernels, bars or
 * tiles; a search must have what comes out on top.
 * 4. With sign codes: mates of the sample, made at the floor, are found.
 *
 * Nothing is changed meanwhile: the writer's lock is held. Others may search.
 */
#include "search/scan.h"
#include <math.h>
#include <string.h>

enum { PLAIN_QUERIES = 2, PLAIN_TOP = 10 };

typedef struct sample {
    size_t n;
    uint64_t *ids;
    size_t *slots;
    float *vecs;  /* [n][dim], of length 1 */
    double *self; /* what each is worth to itself, as stored */
} sample;

typedef struct checker {
    mien_index *ix;
    mien_index_fetch fetch;
    void *fetch_user;
    size_t dim;
    int8_t *code; /* of one template */
    float *vec;   /* one vector */
    mien_hit *hits;
    size_t *counts;
    sample s;
    mien__rng rng;
} checker;

static mien_status unsure(mien_error *err, const char *what)
{
    return mien__fail(err, MIEN_E_INDEX_UNSURE, "self-test of the search: %s", what);
}

/* The template of a place as its bytes say; false for a free place. */
static bool get_place(const checker *c, size_t slot, float *ret_vec)
{
    const mien__block *const b = mien__index_block(c->ix, slot / MIEN__BLOCK);
    const size_t place = slot % MIEN__BLOCK;
    if (!(b->error[place] >= 0) || !mien__code_get(&c->ix->layout, b->codes, place, c->code))
        return false;
    for (size_t d = 0; d < c->dim; d++)
        ret_vec[d] = b->scale[place] * (float)c->code[d];
    return true;
}

static void to_length_one(float *v, size_t dim)
{
    const double norm = sqrt(mien__dot_f64(v, v, dim));
    for (size_t d = 0; d < dim; d++)
        v[d] = (float)(v[d] / norm);
}

static void random_unit(checker *c, float *v)
{
    for (size_t d = 0; d < c->dim; d++) /* the sum of four is normal enough */
        v[d] = (float)(mien__rng_unit(&c->rng) + mien__rng_unit(&c->rng) + mien__rng_unit(&c->rng) +
                       mien__rng_unit(&c->rng) - 2 + 1e-6);
    to_length_one(v, c->dim);
}

/* A vector whose cosine to v is cosine. */
static void random_mate(checker *c, const float *v, double cosine, float *ret)
{
    random_unit(c, ret);
    const double dot = mien__dot_f64(ret, v, c->dim), rest = sqrt(fmax(1 - dot * dot, 1e-12));
    const double across = sqrt(1 - cosine * cosine) / rest;
    for (size_t d = 0; d < c->dim; d++)
        ret[d] = (float)(cosine * v[d] + across * (ret[d] - dot * v[d]));
    to_length_one(ret, c->dim);
}

/* One template into the sample: from the store, held against its bytes, or from its bytes. */
static mien_status take_sample(checker *c, size_t slot, mien_error *err)
{
    const mien__block *const b = mien__index_block(c->ix, slot / MIEN__BLOCK);
    const size_t place = slot % MIEN__BLOCK;
    float *const v = c->s.vecs + c->s.n * c->dim;
    const uint64_t id = b->ids[place];
    if (!get_place(c, slot, c->vec))
        return MIEN_OK;
    memcpy(v, c->vec, c->dim * sizeof *v);
    if (c->fetch) {
        const mien_status status = c->fetch(c->fetch_user, &id, 1, v, err);
        if (status != MIEN_OK || isnan(v[0]))
            return status;
        double off = 0;
        for (size_t d = 0; d < c->dim; d++) {
            const double rest = v[d] - (double)b->scale[place] * c->code[d];
            off += rest * rest;
        }
        if (!(sqrt(off) <= b->error[place]))
            return unsure(err, "a template differs from the store's");
    }
    c->s.ids[c->s.n] = id;
    c->s.slots[c->s.n] = slot;
    c->s.self[c->s.n] = mien__dot_f64(v, v, c->dim);
    to_length_one(v, c->dim);
    c->s.n++;
    return MIEN_OK;
}

static mien_status take_samples(checker *c, size_t wanted, mien_error *err)
{
    const size_t slots = mien__index_slots(c->ix), every = slots / wanted + 1;
    mien_status status = MIEN_OK;
    for (size_t s = 0; s < slots && status == MIEN_OK; s += every) /* one of every so many places */
        status = take_sample(c, s + mien__rng_u64(&c->rng) % (slots - s < every ? slots - s : every), err);
    return status;
}

static mien_status finds_itself(checker *c, mien_error *err)
{
    mien_search_opts o = MIEN_SEARCH_OPTS_INIT;
    o.by_person = 0;
    o.scan_all = 1;
    const mien_status status = mien__index_search(c->ix, c->s.vecs, c->s.n, &o, c->hits, c->counts, err);
    for (size_t i = 0; i < c->s.n && status == MIEN_OK; i++) {
        if (c->counts[i] != 1 || (c->hits[i].id != c->s.ids[i] && c->hits[i].hi < sqrt(c->s.self[i]) - 1e-3))
            return unsure(err, "a template does not find itself");
    }
    return status;
}

/* Whether the sign codes of a place let a query through. */
static bool passes(const checker *c, size_t slot, const mien__sign_query *q)
{
    const mien__index_layout *const l = &c->ix->layout;
    const mien__search_kernels *const k = c->ix->kernels;
    const mien__block *const b = mien__index_block(c->ix, slot / MIEN__BLOCK);
    const size_t place = slot % MIEN__BLOCK;
    const uint8_t *const first = mien__sign_tile(l, b->signs, 0, place / MIEN__TILE),
                         *const second = mien__sign_tile(l, b->signs, 1, place / MIEN__TILE);
    uint16_t sums[MIEN__TILE];
    uint64_t bits = k->signs(first, l->sign_bytes, q->lut, false, q->thr[0], sums);
    bits &= k->signs(second, l->sign_bytes, q->lut + 2 * l->sign_bytes, true, q->thr[1], sums);
    return bits >> place % MIEN__TILE & 1;
}

static mien_status keeps_mates(checker *c, mien_error *err)
{
    const double floor = c->ix->opts.coded_floor;
    const size_t lut_bytes = mien__sign_query_bytes(&c->ix->layout), y_len = c->ix->layout.sign_dim;
    uint8_t *const lut = mien_alloc(lut_bytes);
    float *const y = mien_alloc_array(y_len, sizeof *y);
    if (!lut || !y) {
        mien_free(lut);
        mien_free(y);
        return mien__nomem(err, lut_bytes);
    }
    mien__sign_query q = { (uint8_t(*)[16])(void *)lut, { 0 } };
    size_t missed = 0;
    for (size_t i = 0; i < c->s.n; i++) {
        if (!mien__index_block(c->ix, c->s.slots[i] / MIEN__BLOCK)->signs)
            continue;
        random_mate(c, c->s.vecs + i * c->dim, floor, y);
        memset(y + c->dim, 0, (y_len - c->dim) * sizeof *y);
        mien__rotate(&c->ix->rotation, y);
        mien__sign_query_set(&c->ix->layout, y, floor, &q);
        missed += !passes(c, c->s.slots[i], &q);
    }
    mien_free_secret(lut, lut_bytes);
    mien_free_secret(y, y_len * sizeof *y);
    /* one in a thousand may be missed: far more than that is a fault, not chance */
    return missed > 2 + c->s.n / 200 ? unsure(err, "sign codes lose mates") : MIEN_OK;
}

/* Whether a place that is worth `value` to query q agrees with what a search has found. */
static bool agrees(const checker *c, size_t q, uint64_t id, double value, double bound)
{
    const mien_hit *const hits = c->hits + q * PLAIN_TOP;
    for (size_t i = 0; i < c->counts[q]; i++) {
        if (hits[i].id == id)
            return fabs(hits[i].similarity - value) <= bound;
    }
    return c->counts[q] == PLAIN_TOP && value <= hits[PLAIN_TOP - 1].similarity + bound;
}

static mien_status matches_plain_scan(checker *c, mien_error *err)
{
    mien_search_opts o = MIEN_SEARCH_OPTS_INIT;
    float *const queries = c->s.vecs; /* the sample has had its turn */
    double bound[PLAIN_QUERIES];
    o.by_person = 0;
    o.top_k = PLAIN_TOP;
    o.scan_all = 1;
    for (size_t q = 0; q < PLAIN_QUERIES; q++) {
        float scale, error;
        random_unit(c, queries + q * c->dim);
        mien__quantize(queries + q * c->dim, c->dim, c->ix->layout.dim_padded, c->code, &scale, &error);
        bound[q] = 1.02 * error + 1e-6; /* the scan multiplies the query's bytes */
    }
    const mien_status status = mien__index_search(c->ix, queries, PLAIN_QUERIES, &o, c->hits, c->counts, err);
    const size_t slots = mien__index_slots(c->ix);
    for (size_t slot = 0; slot < slots && status == MIEN_OK; slot++) {
        if (!get_place(c, slot, c->vec))
            continue;
        const uint64_t id = mien__index_block(c->ix, slot / MIEN__BLOCK)->ids[slot % MIEN__BLOCK];
        for (size_t q = 0; q < PLAIN_QUERIES; q++) {
            if (!agrees(c, q, id, mien__dot_f64(queries + q * c->dim, c->vec, c->dim), bound[q]))
                return unsure(err, "a search and a plain scan disagree");
        }
    }
    return status;
}

static mien_status run(checker *c, size_t samples, mien_error *err)
{
    mien_status status = mien_index_verify(c->ix, err);
    if (status == MIEN_OK)
        status = take_samples(c, samples, err);
    if (status == MIEN_OK)
        status = finds_itself(c, err);
    if (status == MIEN_OK && mien__index_is_coded(c->ix))
        status = keeps_mates(c, err);
    if (status == MIEN_OK)
        status = matches_plain_scan(c, err);
    return status;
}

mien_status mien_index_check(mien_index *ix, size_t samples, mien_index_fetch fetch, void *fetch_user,
                             mien_error *err)
{
    if (!ix || samples < 1 || samples > 1000000)
        return mien__fail(err, MIEN_E_ARG, "no index, or %zu samples, not 1..1,000,000", samples);
    const size_t dim = ix->layout.dim, room = samples + PLAIN_QUERIES,
                 vecs_bytes = room * dim * sizeof(float);
    const size_t hits = room > PLAIN_QUERIES * PLAIN_TOP ? room : PLAIN_QUERIES * PLAIN_TOP;
    checker c = { .ix = ix, .fetch = fetch, .fetch_user = fetch_user, .dim = dim };
    mien__rng_seed(&c.rng, 20260401);
    c.code = mien_alloc(ix->layout.dim_padded);
    c.vec = mien_alloc_array(dim, sizeof *c.vec);
    c.hits = mien_alloc_array(hits, sizeof *c.hits);
    c.counts = mien_alloc_array(room, sizeof *c.counts);
    c.s.ids = mien_alloc_array(room, sizeof *c.s.ids);
    c.s.slots = mien_alloc_array(room, sizeof *c.s.slots);
    c.s.vecs = mien_alloc_array(room, dim * sizeof *c.s.vecs);
    c.s.self = mien_alloc_array(room, sizeof *c.s.self);
    mien_status status = MIEN_OK;
    if (!c.code || !c.vec || !c.hits || !c.counts || !c.s.ids || !c.s.slots || !c.s.vecs || !c.s.self)
        status = mien__nomem(err, vecs_bytes);
    if (status == MIEN_OK) {
        pthread_mutex_lock(&ix->writer);
        status = run(&c, samples, err);
        pthread_mutex_unlock(&ix->writer);
        if (status == MIEN_OK || status == MIEN_E_INDEX_UNSURE)
            atomic_store(&ix->unsure, status != MIEN_OK);
    }
    if (c.s.vecs)
        mien_free_secret(c.s.vecs, vecs_bytes);
    mien_free(c.code);
    mien_free(c.vec);
    mien_free(c.hits);
    mien_free(c.counts);
    mien_free(c.s.ids);
    mien_free(c.s.slots);
    mien_free(c.s.self);
    return status;
}
