/* Who is near whom: the k nearest faces of each face, all pairs looked at.
 *
 * A graph index would be quicker and lose the very neighbours that matter: face vectors are close to
 * orthogonal, the worst case for it. So all cosines are computed, as products of blocks of faces by the fully
 * connected kernel of the CPU's table: the faces are packed once in blocks that stay in the second cache, and
 * a task takes a block of rows past all of them. Only what reaches `least` and the row's k best is kept:
 * memory grows with n k, not n^2.
 *
 * Each product is a sum in one fixed order whatever block it falls into, and equal for (i, j) and (j, i);
 * ties go to the lower index. So links depend on neither threads nor blocks.
 */
#include "cluster/cluster.h"
#include "nn/kernels/kernels.h"
#include <string.h>

enum { ROWS = 64, COLUMNS = 512, TASKS_PER_THREAD = 4 }; /* between two words about progress */

typedef struct near {
    float similarity;
    uint32_t to;
} near;

typedef struct search {
    const mien__faces *f;
    const mien__kernels *kernels; /* NULL: by plain loops */
    size_t k, n_blocks, packed_bytes, first_task;
    float least;
    uint8_t *packed;
    float *products; /* [workers][ROWS][COLUMNS] */
    near *found;     /* [n][k], a heap with the worst in front */
    uint32_t *n_found;
} search;

static bool worse(near a, near b)
{
    return a.similarity < b.similarity || (a.similarity <= b.similarity && a.to > b.to);
}

static void sift_down(near *heap, size_t n, size_t at)
{
    const near x = heap[at];
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && worse(heap[child + 1], heap[child]))
            child++;
        if (!worse(heap[child], x))
            break;
        heap[at] = heap[child];
    }
    heap[at] = x;
}

static void keep(near *heap, uint32_t *n, size_t k, near x)
{
    if (*n < k) {
        size_t at = (*n)++;
        for (; at && worse(x, heap[(at - 1) / 2]); at = (at - 1) / 2)
            heap[at] = heap[(at - 1) / 2];
        heap[at] = x;
    } else if (worse(heap[0], x)) {
        heap[0] = x;
        sift_down(heap, k, 0);
    }
}

static void multiply(const search *s, size_t row, size_t n_rows, size_t block, size_t n_columns, float *dst)
{
    const size_t dim = s->f->dim;
    const float *const rows = s->f->vecs + row * dim;
    if (s->kernels) {
        s->kernels->fc_run((int)n_rows, (int)n_columns, (int)dim, s->packed + block * s->packed_bytes, NULL,
                           NULL, rows, dst, NULL);
        return;
    }
    const float *const columns = s->f->vecs + block * COLUMNS * dim;
    for (size_t r = 0; r < n_rows; r++) {
        for (size_t c = 0; c < n_columns; c++) {
            float sum = 0;
            for (size_t i = 0; i < dim; i++)
                sum += rows[r * dim + i] * columns[c * dim + i];
            dst[r * n_columns + c] = sum;
        }
    }
}

static void search_rows(void *ctx, size_t task, unsigned worker)
{
    const search *const s = ctx;
    const mien__faces *const f = s->f;
    float *const products = s->products + (size_t)worker * ROWS * COLUMNS;
    const size_t row = (s->first_task + task) * ROWS;
    const size_t n_rows = f->n - row < ROWS ? f->n - row : ROWS;
    for (size_t block = 0; block < s->n_blocks; block++) {
        const size_t column = block * COLUMNS;
        const size_t n_columns = f->n - column < COLUMNS ? f->n - column : COLUMNS;
        multiply(s, row, n_rows, block, n_columns, products);
        for (size_t r = 0; r < n_rows; r++) {
            const size_t i = row + r;
            const float *const p = products + r * n_columns;
            for (size_t c = 0; c < n_columns; c++) {
                const size_t j = column + c;
                if (p[c] < s->least || i == j || (f->pictures[i] && f->pictures[i] == f->pictures[j]))
                    continue;
                keep(s->found + i * s->k, &s->n_found[i], s->k, (near){ p[c], (uint32_t)j });
            }
        }
    }
}

static mien_status search_open(search *s, const mien__faces *f, int k, float least, unsigned workers,
                               mien_error *err)
{
    *s = (search){ .f = f, .kernels = mien__kernels_get(), .least = least };
    s->k = (size_t)k < f->n ? (size_t)k : f->n;
    s->n_blocks = (f->n + COLUMNS - 1) / COLUMNS;
    if (s->kernels)
        s->packed_bytes = (s->kernels->fc_packed_bytes(COLUMNS, (int)f->dim) + 63) / 64 * 64;
    size_t cells = 0;
    if (!mien_mul_ok(f->n, s->k, &cells))
        return mien__nomem(err, f->n);
    s->packed = mien_alloc_array(s->n_blocks, s->packed_bytes);
    s->products = mien_alloc_array((size_t)workers * ROWS * COLUMNS, sizeof *s->products);
    s->found = mien_alloc_array(cells, sizeof *s->found);
    s->n_found = mien_alloc_array_zero(f->n, sizeof *s->n_found);
    if (!s->packed || !s->products || !s->found || !s->n_found)
        return mien__nomem(err, cells * sizeof *s->found);
    for (size_t block = 0; s->kernels && block < s->n_blocks; block++) {
        const size_t left = f->n - block * COLUMNS;
        s->kernels->fc_pack((int)(left < COLUMNS ? left : COLUMNS), (int)f->dim,
                            f->vecs + block * COLUMNS * f->dim, NULL, s->packed + block * s->packed_bytes);
    }
    return MIEN_OK;
}

static void search_close(search *s)
{
    if (s->packed)
        mien_free_secret(s->packed, s->n_blocks * s->packed_bytes); /* templates */
    mien_free(s->products);
    mien_free(s->found);
    mien_free(s->n_found);
}

static bool has(const search *s, uint32_t i, uint32_t j)
{
    for (uint32_t q = 0; q < s->n_found[i]; q++) {
        if (s->found[i * s->k + q].to == j)
            return true;
    }
    return false;
}

/* Every link in both directions. Faces are gone through in ascending order, so each list is ascending. */
static mien_status make_symmetric(const search *s, mien__links *ret, mien_error *err)
{
    const size_t n = s->f->n;
    size_t *const at = mien_alloc_array_zero(n + 1, sizeof *at);
    mien_status st = at ? MIEN_OK : mien__nomem(err, n);
    for (uint32_t i = 0; i < n && !st; i++) {
        at[i] += s->n_found[i];
        for (uint32_t q = 0; q < s->n_found[i]; q++) {
            const uint32_t j = s->found[i * s->k + q].to;
            at[j] += !has(s, j, i);
        }
    }
    mien__links l = { mien_alloc_array(n + 1, sizeof *l.start), NULL, NULL };
    size_t total = 0;
    for (size_t i = 0; i < n && !st && l.start; i++) {
        l.start[i] = total;
        total += at[i];
        at[i] = l.start[i];
    }
    l.to = mien_alloc_array(total, sizeof *l.to);
    l.similarity = mien_alloc_array(total, sizeof *l.similarity);
    if (!st && (!l.start || !l.to || !l.similarity))
        st = mien__nomem(err, total * sizeof *l.to);
    if (st) {
        mien_free(at);
        mien__links_free(&l);
        return st;
    }
    l.start[n] = total;
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t q = 0; q < s->n_found[i]; q++) {
            const near x = s->found[i * s->k + q];
            const bool mutual = has(s, x.to, i);
            l.to[at[x.to]] = i; /* i's name into each neighbour's list */
            l.similarity[at[x.to]++] = x.similarity;
            if (!mutual) {
                l.to[at[i]] = x.to;
                l.similarity[at[i]++] = x.similarity;
            }
        }
    }
    mien_free(at);
    *ret = l;
    return MIEN_OK;
}

typedef struct link {
    uint32_t to;
    float similarity;
} link;

static void sort_list(mien__links *l, size_t i)
{
    /* insertion: a list is a merge of ascending runs and short */
    for (size_t a = l->start[i] + 1; a < l->start[i + 1]; a++) {
        const link x = { l->to[a], l->similarity[a] };
        size_t b = a;
        for (; b > l->start[i] && l->to[b - 1] > x.to; b--) {
            l->to[b] = l->to[b - 1];
            l->similarity[b] = l->similarity[b - 1];
        }
        l->to[b] = x.to;
        l->similarity[b] = x.similarity;
    }
}

mien_status mien__links_find(const mien__faces *f, int k, float least, mien__pool *pool,
                             mien_cluster_progress_fn progress, void *user, mien__links *ret, mien_error *err)
{
    search s;
    mien__links links = { NULL, NULL, NULL };
    mien_status st = search_open(&s, f, k, least, mien__pool_threads(pool), err);
    const size_t n_tasks = (f->n + ROWS - 1) / ROWS;
    const size_t step = (size_t)mien__pool_threads(pool) * TASKS_PER_THREAD;
    for (; s.first_task < n_tasks && !st; s.first_task += step) {
        const size_t left = n_tasks - s.first_task;
        mien__pool_run(pool, search_rows, &s, left < step ? left : step);
        const size_t done = (s.first_task + step) * ROWS;
        if (progress && progress(done < f->n ? done : f->n, f->n, user))
            st = mien__fail(err, MIEN_E_INTERRUPTED, "grouping was stopped");
    }
    if (!st)
        st = make_symmetric(&s, &links, err);
    for (size_t i = 0; i < f->n && !st; i++)
        sort_list(&links, i);
    search_close(&s);
    if (!st)
        *ret = links;
    return st;
}

void mien__links_free(mien__links *links)
{
    mien_free(links->start);
    mien_free(links->to);
    mien_free(links->similarity);
    *links = (mien__links){ NULL, NULL, NULL };
}
