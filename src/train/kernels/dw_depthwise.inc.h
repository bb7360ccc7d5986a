/* The gradient of depthwise weights: d_w[c][tap] = sum over pixels of d_dst[c] src[c], channels as vector
 * lanes.
 *
 * Kernels of width 3 and 5 at stride 1 and 2: for each tap row, the sums of its kw taps stay in registers, as
 * many sets as pixels go at once, while all rows of a piece pass; neighbouring pixels share source vectors.
 * Other kernels keep their sums in memory: all taps per pixel. A task is a channel block of one split of the
 * pieces (bands of rows); the sums of splits are added up in order.
 */
#ifndef MIEN_SRC_TRAIN_DW_DEPTHWISE_INC_H
#define MIEN_SRC_TRAIN_DW_DEPTHWISE_INC_H

#include "train/kernels/dw_dense.inc.h"

enum { DWD_PX = 512, DWD_K = 5, DWD_N = 4 };

typedef struct dwd_geom {
    int cbs, taps, rows, row_pieces, pieces, splits;
} dwd_geom;

static dwd_geom dwd_geometry(const mien__conv *c)
{
    dwd_geom g = { .cbs = div_up(c->oc, VB), .taps = c->kh * c->kw };
    g.row_pieces = div_up(c->oh * c->ow, DWD_PX);
    g.rows = div_up(c->oh, min_i(c->oh, g.row_pieces));
    g.row_pieces = div_up(c->oh, g.rows);
    g.pieces = c->n * g.row_pieces;
    g.splits = max_i(1, min_i(g.pieces, div_up(TASKS, g.cbs)));
    return g;
}

static bool dw_depthwise_can(const mien__conv *c)
{
    return c->groups == c->ic && c->ic == c->oc && !c->src_plain;
}

static size_t dw_depthwise_scratch(const mien__conv *c)
{
    const dwd_geom g = dwd_geometry(c);
    return (size_t)g.splits * g.cbs * g.taps * VB * sizeof(float);
}

typedef struct dwd_ctx {
    const mien__conv *c;
    dwd_geom g;
    const float *src, *d_dst;
    float *sums;
    int xa, xb; /* columns whose taps all exist */
    void (*sweep)(const struct dwd_ctx *x, const float *s, const float *d, int rows, float *sum);
} dwd_ctx;

/* One tap row over `rows` output rows: s = the source row of the first, column 0; d = d_dst's. */
VF_INLINE void dwd_sweep(const dwd_ctx *x, const float *s, const float *d, int rows, float *sum, const int K,
                         const int S, const int N)
{
    const mien__conv *const c = x->c;
    const ptrdiff_t s_row = (ptrdiff_t)c->sh * c->iw * VB, d_row = (ptrdiff_t)c->ow * VB;
    vf acc[DWD_K][DWD_N];
    VF_UNROLL for (int k = 0; k < K; k++)
    {
        VF_UNROLL for (int i = 0; i < N; i++) acc[k][i] = vf_zero();
    }
    for (int y = 0; y < rows; y++, s += s_row, d += d_row) {
        int col = x->xa;
        const float *p = s + ((ptrdiff_t)col * S - c->pl) * VB;
        for (; col + N <= x->xb; col += N, p += N * S * VB) {
            VF_UNROLL for (int i = 0; i < N; i++)
            {
                const vf dv = vf_load(d + (ptrdiff_t)(col + i) * VB);
                VF_UNROLL for (int k = 0; k < K; k++) acc[k][i] =
                    vf_fma(vf_load(p + (i * S + k) * VB), dv, acc[k][i]);
            }
        }
        for (; col < x->xb; col++, p += S * VB) {
            const vf dv = vf_load(d + (ptrdiff_t)col * VB);
            VF_UNROLL for (int k = 0; k < K; k++) acc[k][0] = vf_fma(vf_load(p + k * VB), dv, acc[k][0]);
        }
        for (col = x->xa ? 0 : x->xb; col < c->ow; col = col + 1 == x->xa ? x->xb : col + 1) {
            const vf dv = vf_load(d + (ptrdiff_t)col * VB);
            VF_UNROLL for (int k = 0; k < K; k++)
            {
                const int sx = col * S - c->pl + k;
                if (sx >= 0 && sx < c->iw)
                    acc[k][0] = vf_fma(vf_load(s + (ptrdiff_t)sx * VB), dv, acc[k][0]);
            }
        }
    }
    VF_UNROLL for (int k = 0; k < K; k++)
    {
        vf t = acc[k][0];
        VF_UNROLL for (int i = 1; i < N; i++) t = vf_add(t, acc[k][i]);
        vf_store(sum + k * VB, vf_add(vf_load(sum + k * VB), t));
    }
}

#define DWD_DEF(k, s, n)                                                                                    \
    static void dwd_sweep_##k##_##s(const dwd_ctx *x, const float *p, const float *d, int rows, float *sum) \
    {                                                                                                       \
        dwd_sweep(x, p, d, rows, sum, k, s, n);                                                             \
    }
DWD_DEF(3, 1, 4)
DWD_DEF(3, 2, 4)
DWD_DEF(5, 1, 2)
DWD_DEF(5, 2, 2)

/* any kernel: the same by single taps, sums in memory */
static void dwd_sweep_any(const dwd_ctx *x, const float *s, const float *d, int rows, float *sum)
{
    const mien__conv *const c = x->c;
    for (int y = 0; y < rows; y++, s += (ptrdiff_t)c->sh * c->iw * VB)
        for (int col = 0; col < c->ow; col++, d += VB) {
            const vf dv = vf_load(d);
            const int left = col * c->sw - c->pl;
            const int k0 = left < 0 ? min_i(c->kw, div_up(-left, c->dw)) : 0;
            const int k1 = left >= c->iw ? k0 : min_i(c->kw, (c->iw - 1 - left) / c->dw + 1);
            for (int k = k0; k < k1; k++)
                vf_store(sum + k * VB,
                         vf_fma(vf_load(s + (ptrdiff_t)(left + k * c->dw) * VB), dv, vf_load(sum + k * VB)));
        }
}

static void dwd_task(void *ctx, size_t task, unsigned worker)
{
    const dwd_ctx *const x = ctx;
    const mien__conv *const c = x->c;
    const dwd_geom *const g = &x->g;
    const int split = (int)task / g->cbs, cb = (int)task % g->cbs;
    float *const sum = x->sums + task * g->taps * VB;
    (void)worker;
    memset(sum, 0, (size_t)g->taps * VB * sizeof *sum);
    const int end = (int)((int64_t)g->pieces * (split + 1) / g->splits);
    for (int p = (int)((int64_t)g->pieces * split / g->splits); p < end; p++) {
        const ptrdiff_t plane = (ptrdiff_t)(p / g->row_pieces) * g->cbs + cb;
        const int y0 = p % g->row_pieces * g->rows, y1 = min_i(c->oh, y0 + g->rows);
        for (int ky = 0; ky < c->kh; ky++) {
            int ya, yb;
            dw_range(c->oh, c->ih, c->sh, c->pt, ky * c->dh, &ya, &yb);
            ya = max_i(ya, y0), yb = min_i(yb, y1);
            if (ya < yb)
                x->sweep(x, x->src + (plane * c->ih + ya * c->sh - c->pt + ky * c->dh) * c->iw * VB,
                         x->d_dst + (plane * c->oh + ya) * c->ow * VB, yb - ya, sum + ky * c->kw * VB);
        }
    }
}

static void dw_depthwise(const mien__conv *c, const float *src, const float *d_dst, float *d_w, void *scratch,
                         mien__pool *pool)
{
    dwd_ctx x = { .c = c, .g = dwd_geometry(c), .src = src, .d_dst = d_dst, .sums = scratch };
    const dwd_geom *const g = &x.g;
    int last; /* the last column's taps all exist up to here */
    dw_range(c->ow, c->iw, c->sw, c->pl, 0, &x.xa, &last);
    dw_range(c->ow, c->iw, c->sw, c->pl, (c->kw - 1) * c->dw, &last, &x.xb);
    x.xb = max_i(x.xa, x.xb);
    switch (c->dw == 1 && (c->sw == 1 || c->sw == 2) ? c->kw * 10 + c->sw : 0) {
    case 31:
        x.sweep = dwd_sweep_3_1;
        break;
    case 32:
        x.sweep = dwd_sweep_3_2;
        break;
    case 51:
        x.sweep = dwd_sweep_5_1;
        break;
    case 52:
        x.sweep = dwd_sweep_5_2;
        break;
    default:
        x.sweep = dwd_sweep_any;
    }
    mien__pool_run(pool, dwd_task, &x, (size_t)g->splits * g->cbs);
    for (int o = 0; o < c->oc; o++)
        for (int t = 0; t < g->taps; t++) {
            float sum = 0;
            for (int s = 0; s < g->splits; s++)
                sum += x.sums[(((size_t)s * g->cbs + o / VB) * g->taps + t) * VB + o % VB];
            d_w[(size_t)o * g->taps + t] = sum;
        }
}

#endif
