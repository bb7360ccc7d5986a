/* The matrix product of training, C (+)= op(A) op(B), plain row-major tensors of any size.
 *
 * Both factors are packed once: A in panels of rows, [panel][k][rows], B in panels of GEMM_N columns,
 * [panel][k][GEMM_N], zeros past the edge. A task is a tile of a few panels of each; it runs over k in steps
 * of GEMM_K, a panel of B staying in the first cache under the panels of A, C being added to from step to
 * step. Rows are cut into equal panels of at most UKR_R, so that 32 rows cost no more than 32. After Goto,
 * van de Geijn 2008, "Anatomy of high-performance matrix multiplication".
 */
#ifndef MIEN_SRC_TRAIN_GEMM_INC_H
#define MIEN_SRC_TRAIN_GEMM_INC_H

#include "train/kernels/train_common.inc.h"

enum { GEMM_N = UKR_C * VB, GEMM_K = 256, GEMM_TILE = 6 };

typedef struct gemm_ctx {
    int m, n, k;
    const float *a, *b;
    int lda, ldb, ldc;
    bool ta, tb, add;
    float *c, *pa, *pb;
    int rows, m_panels, n_panels; /* rows of a panel of A */
} gemm_ctx;

static gemm_ctx gemm_shape(int m, int n, int k)
{
    gemm_ctx g = { .m = m, .n = n, .k = k };
    g.rows = div_up(m, div_up(m, UKR_R));
    g.m_panels = div_up(m, g.rows);
    g.n_panels = div_up(n, GEMM_N);
    return g;
}

static size_t gemm_scratch(int m, int n, int k)
{
    const gemm_ctx g = gemm_shape(m, n, k);
    return ((size_t)g.m_panels * g.rows + (size_t)g.n_panels * GEMM_N) * k * sizeof(float) + 64;
}

/* [k][width] from `len` lines of k values (the rest zeros); `across` when the k values of a line lie ld apart
 */
VF_INLINE void gemm_pack(const float *s, int ld, bool across, int len, int width, int k, float *d)
{
    enum { SQUARE = 16 };
    if (across) {
        for (int i = 0; i < k; i++, d += width, s += ld) {
            memcpy(d, s, (size_t)len * sizeof *d);
            memset(d + len, 0, (size_t)(width - len) * sizeof *d);
        }
        return;
    }
    for (int i0 = 0; i0 < k; i0 += SQUARE)
        for (int v = 0; v < width; v++)
            for (int i = i0; i < min_i(k, i0 + SQUARE); i++)
                d[(size_t)i * width + v] = v < len ? s[(size_t)v * ld + i] : 0.0f;
}

static void gemm_pack_task(void *ctx, size_t task, unsigned worker)
{
    const gemm_ctx *const g = ctx;
    (void)worker;
    if (task < (size_t)g->m_panels) {
        const int i = (int)task * g->rows;
        gemm_pack(g->a + (g->ta ? (size_t)i : (size_t)i * g->lda), g->lda, g->ta, min_i(g->rows, g->m - i),
                  g->rows, g->k, g->pa + (size_t)i * g->k);
    } else {
        const int j = (int)(task - g->m_panels) * GEMM_N;
        gemm_pack(g->b + (g->tb ? (size_t)j * g->ldb : (size_t)j), g->ldb, !g->tb, min_i(GEMM_N, g->n - j),
                  GEMM_N, g->k, g->pb + (size_t)j * g->k);
    }
}

typedef struct gemm_args {
    const float *a, *b;
    float *c;
    int k, ldc, rows, cols; /* of C; rows may be short in the last panel */
    bool add;
} gemm_args;

VF_INLINE void gemm_body(const gemm_args *g, const int R)
{
    vf acc[UKR_R][UKR_C];
    const float *a = g->a, *b = g->b;
    VF_UNROLL for (int r = 0; r < R; r++)
    {
        VF_UNROLL for (int c = 0; c < UKR_C; c++) acc[r][c] = vf_zero();
    }
    for (int i = 0; i < g->k; i++, a += R, b += GEMM_N) {
        vf bv[UKR_C];
        VF_UNROLL for (int c = 0; c < UKR_C; c++) bv[c] = vf_load(b + c * VB);
        VF_UNROLL for (int r = 0; r < R; r++)
        {
            const vf x = vf_set1(a[r]);
            VF_UNROLL for (int c = 0; c < UKR_C; c++) acc[r][c] = vf_fma(x, bv[c], acc[r][c]);
        }
    }
    VF_UNROLL for (int r = 0; r < R; r++)
    {
        if (r >= g->rows)
            break;
        VF_UNROLL for (int c = 0; c < UKR_C; c++)
        {
            float *const t = g->c + (ptrdiff_t)r * g->ldc + c * VB;
            const int len = min_i(VB, g->cols - c * VB);
            if (len == VB)
                vf_store(t, g->add ? vf_add(vf_load(t), acc[r][c]) : acc[r][c]);
            else if (len > 0)
                vf_store_part(t, g->add ? vf_add(vf_load_part(t, (size_t)len), acc[r][c]) : acc[r][c],
                              (size_t)len);
        }
    }
}

#define GEMM_DEF(r)                          \
    static void gemm_##r(const gemm_args *g) \
    {                                        \
        gemm_body(g, r);                     \
    }
#define GEMM_AT(r) [r] = gemm_##r,
#define GEMM_ROWS_3(X) X(1) X(2) X(3)
#define GEMM_ROWS_6(X) GEMM_ROWS_3(X) X(4) X(5) X(6)
#define GEMM_ROWS_14(X) GEMM_ROWS_6(X) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#if UKR_R == 14
#define GEMM_ROWS GEMM_ROWS_14
#elif UKR_R == 6
#define GEMM_ROWS GEMM_ROWS_6
#else
#define GEMM_ROWS GEMM_ROWS_3
#endif
GEMM_ROWS(GEMM_DEF)
static void (*const gemm_of[UKR_R + 1])(const gemm_args *) = { GEMM_ROWS(GEMM_AT) };

static void gemm_tile_task(void *ctx, size_t task, unsigned worker)
{
    const gemm_ctx *const g = ctx;
    const int tiles_m = div_up(g->m_panels, GEMM_TILE);
    const int i0 = (int)(task % (size_t)tiles_m) * GEMM_TILE, j0 = (int)(task / (size_t)tiles_m) * GEMM_TILE;
    const int i1 = min_i(g->m_panels, i0 + GEMM_TILE), j1 = min_i(g->n_panels, j0 + GEMM_TILE);
    (void)worker;
    for (int k0 = 0; k0 < g->k; k0 += GEMM_K)
        for (int j = j0; j < j1; j++)
            for (int i = i0; i < i1; i++) {
                const gemm_args u = { .a = g->pa + (size_t)i * g->rows * g->k + (size_t)k0 * g->rows,
                                      .b = g->pb + (size_t)j * GEMM_N * g->k + (size_t)k0 * GEMM_N,
                                      .c = g->c + (size_t)i * g->rows * g->ldc + (size_t)j * GEMM_N,
                                      .k = min_i(GEMM_K, g->k - k0),
                                      .ldc = g->ldc,
                                      .rows = min_i(g->rows, g->m - i * g->rows),
                                      .cols = g->n - j * GEMM_N,
                                      .add = g->add || k0 > 0 };
                gemm_of[g->rows](&u);
            }
}

static void gemm(int m, int n, int k, const float *a, int lda, bool ta, const float *b, int ldb, bool tb,
                 float *c, int ldc, bool add, void *scratch, mien__pool *pool)
{
    if (m <= 0 || n <= 0)
        return;
    gemm_ctx g = gemm_shape(m, n, k);
    g.a = a, g.lda = lda, g.ta = ta, g.b = b, g.ldb = ldb, g.tb = tb;
    g.c = c, g.ldc = ldc, g.add = add, g.pa = scratch;
    g.pb = g.pa + ((size_t)g.m_panels * g.rows * k + VB - 1) / VB * VB;
    mien__pool_run(pool, gemm_pack_task, &g, (size_t)g.m_panels + g.n_panels);
    mien__pool_run(pool, gemm_tile_task, &g,
                   (size_t)div_up(g.m_panels, GEMM_TILE) * div_up(g.n_panels, GEMM_TILE));
}

#endif
