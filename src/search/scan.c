/* The scan of all blocks for a batch of queries.
 *
 * A task is a block; workers take them as they come. Every query has a bar, a lower bound of its k-th best
 * similarity that rises as the scan goes on; a template whose upper bound reaches the bar is kept with its
 * bounds. Where the bar stands when a template is met depends on chance, whether it is kept when it matters
 * does not: the bar never rises above the true k-th best, and what lies below it is dropped again at the end.
 * So the answer is the same for any number of threads.
 *
 * Within a block, a tile of 64 templates (32 KB at 512 dimensions) stays in the first cache while all queries
 * pass over it, six at a time.
 */
#include "search/scan.h"
#include <math.h>
#include <string.h>

/* Rounding of the float test and of float64 sums. */
#define SLACK 2e-6

/* A tile's first plane is read in less time than memory takes to answer: ask for it this many bytes before.
 */
enum { SIGNS_AHEAD = 8192 };

void mien__scan_prepare(mien__scratch *s, mien_index *ix, const float *queries, size_t n,
                        const mien_search_opts *opts)
{
    const mien__index_layout *const l = &ix->layout;
    s->ix = ix;
    s->opts = opts;
    s->n_queries = n;
    s->coded = !opts->scan_all && mien__index_is_coded(ix);
    for (size_t i = 0; i < n; i++) {
        mien__query *const q = &s->query[i];
        float error = 0;
        q->vec = queries + i * l->dim;
        mien__quantize(q->vec, l->dim, l->dim_padded, q->code, &q->t, &error);
        int32_t sum = 0;
        for (size_t d = 0; d < l->dim; d++)
            sum += q->code[d];
        q->start = -128 * sum;
        /* both lengths are at most 1.001 */
        q->a = 1.001 + error;
        q->b = 1.001 * error + 1e-9;
        q->b_and_slack = (float)(q->b + SLACK);
        if (s->coded) {
            float *const y = s->vecs; /* not in use yet */
            memcpy(y, q->vec, l->dim * sizeof *y);
            memset(y + l->dim, 0, (l->sign_dim - l->dim) * sizeof *y);
            mien__rotate(&ix->rotation, y);
            mien__sign_query_set(l, y, ix->opts.coded_floor, &q->signs);
        }
    }
}

static void scan_failed(mien__scratch *s, mien_status status, const mien_error *error)
{
    int ok = MIEN_OK;
    pthread_mutex_lock(&s->error_lock);
    if (atomic_compare_exchange_strong(&s->status, &ok, (int)status))
        s->error = *error;
    pthread_mutex_unlock(&s->error_lock);
}

static void raise_bar(mien__query *q, double value)
{
    const float f = nextafterf((float)value, -INFINITY);
    float now = atomic_load_explicit(&q->bar, memory_order_relaxed);
    while (now < f && !atomic_compare_exchange_weak(&q->bar, &now, f))
        ;
}

/* Room for one more: what has fallen below the bar makes it, else memory does. */
static bool make_room(mien__scratch *s, mien__cands *c, double bar)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (c->p[i].approx + c->p[i].half >= bar)
            c->p[kept++] = c->p[i];
    }
    c->n = kept;
    if (2 * kept <= c->cap && c->cap)
        return true;
    mien_error error = MIEN_ERROR_INIT;
    const mien_status status = mien__cands_reserve(c, 2 * kept + 256, &error);
    if (status != MIEN_OK)
        scan_failed(s, status, &error);
    return status == MIEN_OK;
}

static bool is_gone(const mien__scratch *s, uint64_t id)
{
    for (size_t i = 0; i < s->n_gone; i++) {
        if (s->gone[i] == id)
            return true;
    }
    return false;
}

static bool keep(mien__scratch *s, size_t worker, size_t qi, const mien__block *b, size_t block, size_t place,
                 int32_t sum)
{
    mien__query *const q = &s->query[qi];
    mien__lane *const lane = &s->lanes[worker * MIEN__QUERIES + qi];
    mien__cand c = { b->ids[place], b->persons[place], (double)sum * b->scale[place] * q->t,
                     q->a * b->error[place] + q->b, (uint32_t)(block * MIEN__BLOCK + place) };
    const double bar = atomic_load_explicit(&q->bar, memory_order_relaxed);
    if (!(c.approx + c.half >= bar) || is_gone(s, c.id))
        return true;
    if (b->in_file) { /* another process may be erasing it right now */
        int8_t code[MIEN_INDEX_MAX_DIM];
        if (!mien__code_get(&s->ix->layout, b->codes, place, code))
            return true;
    }
    if (s->opts->admit && !s->opts->admit(s->opts->admit_user, c.person))
        return true;
    if (lane->cands.n == lane->cands.cap && !make_room(s, &lane->cands, bar))
        return false;
    lane->cands.p[lane->cands.n++] = c;
    if (mien__marks_offer(&lane->marks, s->opts->by_person ? c.person : c.id, c.approx - c.half))
        raise_bar(q, lane->marks.value[lane->marks.least]);
    return true;
}

static float bar_of(const mien__query *q)
{
    return atomic_load_explicit(&q->bar, memory_order_relaxed) - q->b_and_slack;
}

/* Into the second cache: the first has its tile. Past the end of a block is allowed. */
static void prefetch(const uint8_t *p, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64)
        __builtin_prefetch(p + i, 0, 2);
}

/* All of a tile's templates against all queries. */
static bool scan_tile(mien__scratch *s, size_t worker, const mien__block *b, size_t block, size_t tile)
{
    const mien__index_layout *const l = &s->ix->layout;
    const mien__search_kernels *const k = s->ix->kernels;
    const size_t at = tile * MIEN__TILE;
    int32_t sums[MIEN__DOT_QUERIES][MIEN__TILE];
    for (size_t i = 0; i < s->n_queries; i += MIEN__DOT_QUERIES) {
        const size_t n = s->n_queries - i < MIEN__DOT_QUERIES ? s->n_queries - i : MIEN__DOT_QUERIES;
        int32_t start[MIEN__DOT_QUERIES];
        for (size_t j = 0; j < n; j++)
            start[j] = s->query[i + j].start;
        if (s->n_queries > MIEN__DOT_QUERIES) /* a share of the next tile */
            prefetch(b->codes + (tile + 1) * l->tile_bytes + i * l->tile_bytes / s->n_queries,
                     n * l->tile_bytes / s->n_queries);
        k->dots(b->codes + tile * l->tile_bytes, MIEN__TILE_GROUPS, l->steps, s->query[i].code, l->dim_padded,
                n, start, sums);
        for (size_t j = 0; j < n; j++) {
            const mien__query *const q = &s->query[i + j];
            uint64_t bits = k->reach(sums[j], b->scale + at, b->error + at, q->t, (float)q->a, bar_of(q));
            for (; bits; bits &= bits - 1) {
                const size_t p = (size_t)__builtin_ctzll(bits);
                if (!keep(s, worker, i + j, b, block, at + p, sums[j][p]))
                    return false;
            }
        }
    }
    return true;
}

/* The same by sign codes: only those that pass both planes are multiplied out. */
static bool scan_coded_tile(mien__scratch *s, size_t worker, const mien__block *b, size_t block, size_t tile)
{
    const mien__index_layout *const l = &s->ix->layout;
    const mien__search_kernels *const k = s->ix->kernels;
    const uint8_t *const first = mien__sign_tile(l, b->signs, 0, tile), *const second = mien__sign_tile(
                                                                            l, b->signs, 1, tile);
    prefetch(first + SIGNS_AHEAD, l->sign_tile_bytes);
    uint16_t passed[MIEN__TILE];
    int32_t sums[1][MIEN__TILE];
    for (size_t i = 0; i < s->n_queries; i++) {
        const mien__query *const q = &s->query[i];
        uint64_t bits = k->signs(first, l->sign_bytes, q->signs.lut, false, q->signs.thr[0], passed);
        if (!bits)
            continue;
        bits &=
            k->signs(second, l->sign_bytes, q->signs.lut + 2 * l->sign_bytes, true, q->signs.thr[1], passed);
        for (size_t multiplied = MIEN__TILE; bits; bits &= bits - 1) {
            const size_t p = (size_t)__builtin_ctzll(bits), g = p / MIEN__GROUP;
            if (g != multiplied) {
                const uint8_t *const codes = b->codes + tile * l->tile_bytes + g * l->steps * 64;
                k->dots(codes, 1, l->steps, q->code, l->dim_padded, 1, &q->start, sums);
                multiplied = g;
            }
            if (!keep(s, worker, i, b, block, tile * MIEN__TILE + p, sums[0][p % MIEN__GROUP]))
                return false;
        }
    }
    return true;
}

static void scan_block(void *ctx, size_t block, unsigned worker)
{
    mien__scratch *const s = ctx;
    mien__block *const b = mien__index_block(s->ix, block);
    if (atomic_load(&s->status) != MIEN_OK)
        return;
    mien_error error = MIEN_ERROR_INIT;
    const mien_status status = mien__block_ready(s->ix, block, &error);
    if (status != MIEN_OK) {
        scan_failed(s, status, &error);
        return;
    }
    pthread_rwlock_rdlock(&b->lock);
    const size_t tiles = (b->used + MIEN__TILE - 1) / MIEN__TILE;
    const bool coded = s->coded && b->signs;
    bool ok = true;
    for (size_t t = 0; t < tiles && ok; t++)
        ok = coded ? scan_coded_tile(s, worker, b, block, t) : scan_tile(s, worker, b, block, t);
    pthread_rwlock_unlock(&b->lock);
}

mien_status mien__scan_run(mien__scratch *s, mien_error *err)
{
    atomic_store(&s->status, MIEN_OK);
    for (size_t i = 0; i < s->n_queries; i++)
        atomic_store(&s->query[i].bar, (float)MIEN__NO_BAR);
    for (size_t i = 0; i < s->workers * MIEN__QUERIES; i++) {
        mien__marks_reset(&s->lanes[i].marks, s->opts->top_k);
        s->lanes[i].cands.n = 0;
    }
    const size_t blocks = atomic_load(&s->ix->n_blocks);
    /* One search has the pool; another that comes meanwhile runs on its own thread. */
    const bool pooled = s->ix->pool && pthread_mutex_trylock(&s->ix->pool_lock) == 0;
    mien__pool_run(pooled ? s->ix->pool : NULL, scan_block, s, blocks);
    if (pooled)
        pthread_mutex_unlock(&s->ix->pool_lock);
    const mien_status status = (mien_status)atomic_load(&s->status);
    if (status != MIEN_OK && err)
        *err = s->error;
    return status;
}
