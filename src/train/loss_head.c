/* Classification heads: softmax cross entropy over the products of embeddings and class centres.
 *
 *   softmax  z_j = e . w_j
 *   ArcFace  z_y = s cos(theta_y + m), z_j = s cos theta_j                 (Deng 2019, eq. 3)
 *   CosFace  z_y = s (cos theta_y - m), z_j = s cos theta_j                (Wang 2018, eq. 4)
 *
 * theta_j is the angle between e and w_j. Past theta_y + m = pi the cosine would rise again; there the usual
 * continuation cos theta_y - m sin m keeps ArcFace's logit falling in theta (with a step down where they
 * meet). Its derivative by the cosine, cos m + cos theta sin m / sin theta, has a pole at theta = 0, where
 * the tangent part of the gradient vanishes: sin theta is held above 1e-3 there, the rounding of a float
 * cosine.
 *
 * Three matrix products: cosines U V^T, gradients G V and G^T U, with U, V the unit rows of e and w; each
 * gradient then goes back through its normalisation. Without kernels the products are scalar loops in
 * double. Rows are tasks of the pool; each leaves its loss in its own place, summed in order at the end.
 */
#include "train/loss.h"
#include "train/loss_rows.h"
#include <math.h>
#include <string.h>

enum { TILE = 64, ROWS_PER_TASK = 32 };

/* Byte offsets into scratch. */
typedef struct layout {
    size_t logits, unit_e, unit_w, inv_e, inv_w, loss, correct, gemm, total;
} layout;

typedef struct head {
    const mien__head_opts *o;
    const int32_t *labels;
    int n, k, dim;
    const float *e, *w; /* unit rows when angular */
    float *logits;
    double *loss;
    unsigned char *correct;
    double weight, cos_m, sin_m;
    void *gemm;
    const mien__train_kernels *kernels;
    mien__pool *pool;
} head;

static size_t greater(size_t a, size_t b)
{
    return a > b ? a : b;
}

static layout lay_out(int n, int k, int dim, const mien__train_kernels *kernels)
{
    layout l = { 0 };
    l.unit_e = l.logits + mien__loss_piece((size_t)n * k, sizeof(float));
    l.unit_w = l.unit_e + mien__loss_piece((size_t)n * dim, sizeof(float));
    l.inv_e = l.unit_w + mien__loss_piece((size_t)k * dim, sizeof(float));
    l.inv_w = l.inv_e + mien__loss_piece((size_t)n, sizeof(double));
    l.loss = l.inv_w + mien__loss_piece((size_t)k, sizeof(double));
    l.correct = l.loss + mien__loss_piece((size_t)n, sizeof(double));
    l.gemm = l.correct + mien__loss_piece((size_t)n, 1);
    l.total = l.gemm;
    if (kernels)
        l.total += greater(greater(kernels->gemm_scratch(n, k, dim), kernels->gemm_scratch(n, dim, k)),
                           kernels->gemm_scratch(k, dim, n));
    return l;
}

size_t mien__loss_head_scratch(int n, int k, int dim, const mien__train_kernels *kernels)
{
    return lay_out(n, k, dim, kernels).total;
}

/* ---- rows of e and w: to unit length and back, in parallel ---- */

typedef struct rows {
    const float *x;
    float *unit, *d; /* d NULL: forward */
    double *inv;
    int n, dim;
} rows;

static void rows_task(void *ctx, size_t task, unsigned worker)
{
    const rows *const r = ctx;
    (void)worker;
    const int from = (int)task * ROWS_PER_TASK;
    const int to = r->n - from < ROWS_PER_TASK ? r->n : from + ROWS_PER_TASK;
    for (int i = from; i < to; i++) {
        const size_t at = (size_t)i * r->dim;
        if (r->d)
            mien__row_back(r->unit + at, r->inv[i], r->dim, r->d + at);
        else
            mien__row_normalise(r->x + at, r->dim, r->unit + at, &r->inv[i]);
    }
}

static void run_rows(rows r, mien__pool *pool)
{
    mien__pool_run(pool, rows_task, &r, ((size_t)r.n + ROWS_PER_TASK - 1) / ROWS_PER_TASK);
}

/* ---- products: C[m][n] = A B over k; A is a[i * row + p * col] ---- */

typedef struct product {
    int m, n, k;
    const float *a;
    int row, col;
    const float *b; /* [k][n], or [n][k] when tb */
    bool tb;
    float *c;
} product;

static void product_task(void *ctx, size_t task, unsigned worker)
{
    const product *const p = ctx;
    const float *const a = p->a + task * (size_t)p->row;
    float *const c = p->c + task * (size_t)p->n;
    (void)worker;
    if (p->tb) {
        for (int j = 0; j < p->n; j++)
            c[j] = (float)mien__row_dot(a, p->b + (size_t)j * p->k, p->k);
        return;
    }
    for (int from = 0; from < p->n; from += TILE) {
        const int width = p->n - from < TILE ? p->n - from : TILE;
        double sum[TILE] = { 0 };
        for (int q = 0; q < p->k; q++) {
            const double x = (double)a[(size_t)q * (size_t)p->col];
            const float *const b = p->b + (size_t)q * p->n + from;
            for (int j = 0; j < width; j++)
                sum[j] += x * (double)b[j];
        }
        for (int j = 0; j < width; j++)
            c[from + j] = (float)sum[j];
    }
}

static void multiply(const head *h, product p)
{
    const bool ta = p.col != 1;
    if (h->kernels)
        h->kernels->gemm(p.m, p.n, p.k, p.a, ta ? p.col : p.row, ta, p.b, p.tb ? p.k : p.n, p.tb, p.c, p.n,
                         false, h->gemm, h->pool);
    else
        mien__pool_run(h->pool, product_task, &p, (size_t)p.m);
}

/* ---- one row of logits ---- */

/* The cosine with its margin, and its derivative. */
static double with_margin(const head *h, double c, double *ret_slope)
{
    *ret_slope = 1.0;
    if (h->o->kind == MIEN__HEAD_COSFACE)
        return c - h->o->margin;
    c = c > 1.0 ? 1.0 : c < -1.0 ? -1.0 : c;
    if (c <= -h->cos_m) /* theta + m >= pi */
        return c - h->o->margin * h->sin_m;
    const double s = sqrt(1.0 - c * c);
    *ret_slope = h->cos_m + c * h->sin_m / (s > 1e-3 ? s : 1e-3);
    return c * h->cos_m - s * h->sin_m;
}

static bool beats_all(const float *z, int label, int k)
{
    for (int j = 0; j < k; j++)
        if (j != label && !(z[j] < z[label]))
            return false;
    return true;
}

/* Logits of one row become the gradient of what they were made from. */
static void logits_task(void *ctx, size_t i, unsigned worker)
{
    const head *const h = ctx;
    const int label = h->labels[i], k = h->k;
    float *const z = h->logits + i * (size_t)k;
    double slope = 1.0;
    (void)worker;
    h->loss[i] = 0.0;
    h->correct[i] = 0;
    if (label < 0) {
        memset(z, 0, (size_t)k * sizeof *z);
        return;
    }
    h->correct[i] = beats_all(z, label, k);
    const bool angular = h->o->kind != MIEN__HEAD_SOFTMAX;
    if (angular) {
        const float scale = (float)h->o->scale;
        const double at_label = h->o->scale * with_margin(h, (double)z[label], &slope);
        for (int j = 0; j < k; j++)
            z[j] *= scale;
        z[label] = (float)at_label;
    }
    h->loss[i] =
        mien__softmax_row(z, label, k, h->o->smoothing, h->weight * (angular ? h->o->scale : 1.0), z);
    z[label] = (float)((double)z[label] * slope);
}

double mien__loss_head(const mien__head_opts *o, const float *e, const float *w, const int32_t *labels, int n,
                       int k, int dim, float *d_e, float *d_w, int *ret_correct, void *scratch,
                       const mien__train_kernels *kernels, mien__pool *pool)
{
    char *const base = scratch;
    const layout l = lay_out(n, k, dim, kernels);
    float *const unit_e = (float *)(void *)(base + l.unit_e), *const unit_w =
                                                                  (float *)(void *)(base + l.unit_w);
    double *const inv_e = (double *)(void *)(base + l.inv_e), *const inv_w =
                                                                  (double *)(void *)(base + l.inv_w);
    const bool angular = o->kind != MIEN__HEAD_SOFTMAX;
    const int counted = mien__labelled_rows(labels, n);
    head h = {
        .o = o, .labels = labels, .n = n, .k = k, .dim = dim, .e = e, .w = w, .kernels = kernels, .pool = pool
    };
    h.logits = (float *)(void *)(base + l.logits);
    h.loss = (double *)(void *)(base + l.loss);
    h.correct = (unsigned char *)base + l.correct;
    h.gemm = base + l.gemm;
    h.weight = counted > 0 ? 1.0 / counted : 0.0;
    h.cos_m = cos(o->margin);
    h.sin_m = sin(o->margin);
    if (angular) {
        run_rows((rows){ e, unit_e, NULL, inv_e, n, dim }, pool);
        run_rows((rows){ w, unit_w, NULL, inv_w, k, dim }, pool);
        h.e = unit_e;
        h.w = unit_w;
    }
    multiply(&h, (product){ n, k, dim, h.e, dim, 1, h.w, true, h.logits });
    mien__pool_run(pool, logits_task, &h, (size_t)n);
    multiply(&h, (product){ n, dim, k, h.logits, k, 1, h.w, false, d_e });
    multiply(&h, (product){ k, dim, n, h.logits, 1, k, h.e, false, d_w });
    if (angular) {
        run_rows((rows){ e, unit_e, d_e, inv_e, n, dim }, pool);
        run_rows((rows){ w, unit_w, d_w, inv_w, k, dim }, pool);
    }
    double loss = 0.0;
    *ret_correct = 0;
    for (int i = 0; i < n; i++) {
        loss += h.loss[i];
        *ret_correct += h.correct[i];
    }
    return loss * h.weight;
}
