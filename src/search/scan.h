/* A scan: a batch of queries against every block, giving for each query the templates that could be among its
 * k best. Private to the search.
 */
#ifndef MIEN_SRC_SEARCH_SCAN_H
#define MIEN_SRC_SEARCH_SCAN_H

#include "search/index.h"

/* One that could be among the best: its similarity lies in approx +- half. */
typedef struct mien__cand {
    uint64_t id, person;
    double approx, half;
    uint32_t slot;
} mien__cand;

typedef struct mien__cands {
    mien__cand *p;
    size_t n, cap;
} mien__cands;

/* The k greatest values, of different people or whatever `who` tells apart; the least of them once there are
 * k. */
typedef struct mien__marks {
    size_t k, n, least; /* least: where it is */
    uint64_t *who;      /* [k] */
    double *value;      /* [k] */
} mien__marks;

/* A query as it is scanned with. */
typedef struct mien__query {
    const float *vec;
    int8_t *code;
    int32_t start; /* -128 * sum of code */
    float t;       /* scale of code */
    double a, b;   /* |q.x - q'.x'| <= a * error(x) + b */
    mien__sign_query signs;
    float b_and_slack; /* b and what rounding may add */
    _Atomic float bar; /* a lower bound of the k-th best similarity */
} mien__query;

/* What one worker has gathered for one query. */
typedef struct mien__lane {
    mien__marks marks;
    mien__cands cands;
} mien__lane;

typedef struct mien__scratch {
    struct mien__scratch *next;
    size_t dim, k, workers;
    mien__query query[MIEN__QUERIES];
    size_t n_queries;
    int8_t *codes;
    uint8_t *luts;
    mien__lane *lanes; /* [workers][MIEN__QUERIES] */
    uint64_t *mark_who;
    double *mark_value; /* of all lanes and of `merged` */
    mien__marks merged;
    mien__cands all;
    float *vecs; /* what was fetched, [MIEN__FETCH][dim]; before that a rotated query */
    size_t vecs_len;
    uint64_t *ids;
    mien_hit *found; /* [n_found][k] */
    size_t *counts;  /* [n_found] */
    size_t n_found;
    uint64_t *gone; /* ids that the store has no more, seen in this search */
    size_t n_gone, gone_cap;
    /* of the scan under way */
    mien_index *ix;
    const mien_search_opts *opts;
    bool coded;
    atomic_int status;
    pthread_mutex_t error_lock;
    mien_error error;
} mien__scratch;

enum { MIEN__FETCH = 64 };
#define MIEN__NO_BAR (-3.0) /* below every similarity, above what a free place comes to */

/* From the index's store of them, or new: for k hits of n queries and the pool's workers. */
mien_status mien__scratch_take(mien_index *ix, size_t k, size_t n, mien__scratch **ret, mien_error *err);
void mien__scratch_give(mien_index *ix, mien__scratch *s);
void mien__scratch_free_all(mien_index *ix);
mien_status mien__cands_reserve(mien__cands *c, size_t n, mien_error *err);

void mien__marks_reset(mien__marks *m, size_t k);
/* Offer a value; true when the least of the k rose. */
bool mien__marks_offer(mien__marks *m, uint64_t who, double value);

/* Make queries ready: [n][dim], n <= MIEN__QUERIES. */
void mien__scan_prepare(mien__scratch *s, mien_index *ix, const float *queries, size_t n,
                        const mien_search_opts *opts);
/* Scan. Afterwards s->lanes hold the candidates. */
mien_status mien__scan_run(mien__scratch *s, mien_error *err);

/* mien_index_search() without the check of its arguments and of `unsure`. */
mien_status mien__index_search(mien_index *ix, const float *queries, size_t n, const mien_search_opts *opts,
                               mien_hit *ret_hits, size_t *ret_n, mien_error *err);

#endif
