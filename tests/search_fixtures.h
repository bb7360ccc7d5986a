/* What the tests of the search share: unit vectors at random, a store that fetches, and the plain float64
 * answer. */
#ifndef MIEN_TESTS_SEARCH_FIXTURES_H
#define MIEN_TESTS_SEARCH_FIXTURES_H

#include "base/base.h"
#include <mien/search.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

typedef struct sf_store {
    size_t n, dim;
    float *vecs; /* [n][dim]; id = 10 + 3 * row */
    uint64_t *persons;
    bool *gone;
} sf_store;

static inline uint64_t sf_id(size_t row)
{
    return 10 + 3 * (uint64_t)row;
}

static inline float sf_normal(mien__rng *r)
{
    double s = 0;
    for (int i = 0; i < 4; i++)
        s += mien__rng_unit(r) - 0.5;
    return (float)s;
}

static inline void sf_unit(float *v, size_t dim)
{
    double s = 0;
    for (size_t i = 0; i < dim; i++)
        s += (double)v[i] * v[i];
    for (size_t i = 0; i < dim; i++)
        v[i] = (float)(v[i] / sqrt(s));
}

static inline void sf_random(mien__rng *r, float *v, size_t dim)
{
    for (size_t i = 0; i < dim; i++)
        v[i] = sf_normal(r) + 1e-3f;
    sf_unit(v, dim);
}

/* A unit vector whose cosine to v is c. */
static inline void sf_mate(mien__rng *r, const float *v, size_t dim, double c, float *ret)
{
    double dot = 0, s = 0;
    for (size_t i = 0; i < dim; i++)
        ret[i] = sf_normal(r);
    for (size_t i = 0; i < dim; i++)
        dot += (double)ret[i] * v[i];
    for (size_t i = 0; i < dim; i++) {
        ret[i] = (float)(ret[i] - dot * v[i]);
        s += (double)ret[i] * ret[i];
    }
    for (size_t i = 0; i < dim; i++)
        ret[i] = (float)(c * v[i] + sqrt((1 - c * c) / s) * ret[i]);
    sf_unit(ret, dim);
}

/* n templates of n / per_person people, those of a person near each other */
static inline sf_store sf_store_new(uint64_t seed, size_t n, size_t dim, size_t per_person)
{
    mien__rng r;
    mien__rng_seed(&r, seed);
    sf_store s = { n, dim, malloc((n + 1) * dim * sizeof(float)), malloc((n + 1) * sizeof(uint64_t)),
                   calloc(n + 1, sizeof(bool)) };
    assert_true(s.vecs && s.persons && s.gone);
    for (size_t i = 0; i < n; i++) {
        float *const v = s.vecs + i * dim;
        s.persons[i] = 1000 - i / per_person % 700; /* descending, so that ties by id and by person differ */
        if (i % per_person == 0 || dim == 1)
            sf_random(&r, v, dim);
        else
            sf_mate(&r, v - (i % per_person) * dim, dim, 0.7, v);
    }
    return s;
}

static inline void sf_store_free(sf_store *s)
{
    free(s->vecs);
    free(s->persons);
    free(s->gone);
}

static inline mien_status sf_fetch(void *user, const uint64_t *ids, size_t n, float *ret_vecs,
                                   mien_error *err)
{
    const sf_store *const s = user;
    (void)err;
    for (size_t i = 0; i < n; i++) {
        const size_t row = (size_t)((ids[i] - 10) / 3);
        assert_true(row < s->n && sf_id(row) == ids[i]);
        if (s->gone[row])
            ret_vecs[i * s->dim] = NAN;
        else
            memcpy(ret_vecs + i * s->dim, s->vecs + row * s->dim, s->dim * sizeof *ret_vecs);
    }
    return MIEN_OK;
}

static inline int sf_rank(const void *pa, const void *pb)
{
    const mien_hit *const a = pa, *const b = pb;
    if (a->similarity != b->similarity)
        return a->similarity > b->similarity ? -1 : 1;
    if (a->person != b->person)
        return a->person < b->person ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

/* The answer by comparing with everything. */
static inline size_t sf_plain(const sf_store *s, const float *query, size_t k, bool by_person, mien_hit *ret)
{
    mien_hit *const all = malloc((s->n + 1) * sizeof *all);
    assert_non_null(all);
    size_t n = 0, found = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (s->gone[i])
            continue;
        double sum = 0;
        for (size_t d = 0; d < s->dim; d++)
            sum += (double)query[d] * s->vecs[i * s->dim + d];
        all[n++] = (mien_hit){ sf_id(i), s->persons[i], sum, sum, sum };
    }
    qsort(all, n, sizeof *all, sf_rank);
    for (size_t i = 0; i < n && found < k; i++) {
        bool seen = false;
        for (size_t j = 0; j < found && by_person; j++)
            seen = seen || ret[j].person == all[i].person;
        if (!seen)
            ret[found++] = all[i];
    }
    free(all);
    return found;
}

static inline void sf_add_all(mien_index *ix, const sf_store *s)
{
    mien_error err = MIEN_ERROR_INIT;
    for (size_t i = 0; i < s->n; i++) {
        if (!s->gone[i] && mien_index_add(ix, sf_id(i), s->persons[i], s->vecs + i * s->dim, &err) != MIEN_OK)
            fail_msg("%s", err.message);
    }
}

/* Search n queries and hold every hit against the plain answer. */
static inline void sf_check(mien_index *ix, sf_store *s, const float *queries, size_t n, size_t k,
                            bool by_person, bool fetch)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_search_opts o = MIEN_SEARCH_OPTS_INIT;
    o.top_k = k;
    o.by_person = by_person;
    o.fetch = fetch ? sf_fetch : NULL;
    o.fetch_user = s;
    mien_hit *const hits = calloc(n * k, sizeof *hits), *const want = calloc(k, sizeof *want);
    size_t *const counts = calloc(n, sizeof *counts);
    assert_true(hits && want && counts);
    if (mien_index_search(ix, queries, n, &o, hits, counts, &err) != MIEN_OK)
        fail_msg("%s", err.message);
    for (size_t q = 0; q < n; q++) {
        const size_t n_want = sf_plain(s, queries + q * s->dim, k, by_person, want);
        assert_int_equal(counts[q], n_want);
        for (size_t i = 0; i < n_want; i++) {
            const mien_hit *const h = &hits[q * k + i];
            if (h->id != want[i].id || h->person != want[i].person || h->similarity != want[i].similarity)
                fail_msg("query %zu hit %zu: id %llu %.17g, want id %llu %.17g", q, i,
                         (unsigned long long)h->id, h->similarity, (unsigned long long)want[i].id,
                         want[i].similarity);
        }
    }
    free(hits);
    free(want);
    free(counts);
}

#endif
