/* Depthwise convolution (one filter per channel), activation and residual fused.
 *
 * Channels are vector lanes; a run of DW_R outputs of a row shares each loaded source vector among the taps
 * of that row where kernel width and stride are known (3 and 5, stride 1 and 2, no dilation). Columns whose
 * taps leave the picture go one by one with the taps that exist. Taps are summed row by row, left to right,
 * in every path.
 *
 * Weights: head, then [channel block][tap][VB].
 */
#ifndef MIEN_SRC_NN_KERNELS_CONV_DEPTHWISE_INC_H
#define MIEN_SRC_NN_KERNELS_CONV_DEPTHWISE_INC_H

#include "nn/kernels/conv_common.inc.h"

#if UKR_R >= 14
#define DW_R 8
#else
#define DW_R 4
#endif

enum { DW_TASK_TAPS = 1 << 18 }; /* vector operations of one task, about 60 us */

static bool depthwise_plan(const mien__conv *c, mien__conv_plan *p)
{
    if (c->groups != c->ic || c->ic != c->oc || c->src_plain || !post_supported(&c->post) ||
        (c->pre_affine && conv_is_padded(c)))
        return false;
    p->algo = ALGO_DEPTHWISE;
    p->kernel = VF_KERNEL("depthwise");
    p->packed_bytes = (conv_head_floats(c) + (size_t)c->kh * c->kw * div_up(c->oc, VB) * VB) * sizeof(float);
    p->scratch_bytes = 0;
    return true;
}

static void depthwise_pack(const mien__conv_plan *p, const mien__conv_weights *w, void *packed)
{
    const mien__conv *const c = &p->c;
    const int taps = c->kh * c->kw;
    conv_pack_head(c, w, c->pre_affine, packed);
    float *d = (float *)packed + conv_head_floats(c);
    for (int b = 0; b < div_up(c->oc, VB); b++)
        for (int t = 0; t < taps; t++)
            for (int v = 0; v < VB; v++) {
                const int o = b * VB + v;
                float x = o < c->oc ? w->w[(size_t)o * taps + t] : 0.0f;
                if (o < c->oc && c->pre_affine && w->pre_scale)
                    x *= w->pre_scale[o];
                *d++ = x;
            }
}

typedef struct dw_ctx {
    const mien__conv *c;
    conv_head head;
    post_ctx post;
    const float *src, *res;
    float *dst;
    int rows, chunks; /* rows per task, tasks per plane */
    int x0, x1;       /* output columns whose taps all exist */
} dw_ctx;

typedef struct dw_row {
    const float *src;   /* source row of the first existing tap row, column 0 */
    ptrdiff_t src_step; /* floats from tap row to tap row */
    const float *w;     /* weights of the first existing tap row */
    int kys;            /* tap rows that exist */
    vf bias, slope, slope2;
    const float *res;
    float *dst;
} dw_row;

VF_INLINE void dw_store(const dw_ctx *x, const dw_row *r, int col, vf v)
{
    vf_store(
        r->dst + (ptrdiff_t)col * VB,
        post_full(&x->post, v, r->slope, x->post.residual ? r->res + (ptrdiff_t)col * VB : NULL, r->slope2));
}

/* any kernel, one output */
static void dw_one(const dw_ctx *x, const dw_row *r, int col)
{
    const mien__conv *const c = x->c;
    vf acc = r->bias;
    for (int ky = 0; ky < r->kys; ky++)
        for (int kx = 0; kx < c->kw; kx++) {
            const int sx = col * c->sw - c->pl + kx * c->dw;
            if (sx >= 0 && sx < c->iw)
                acc = vf_fma(vf_load(r->src + ky * r->src_step + (ptrdiff_t)sx * VB),
                             vf_load(r->w + (ky * c->kw + kx) * VB), acc);
        }
    dw_store(x, r, col, acc);
}

/* N outputs from column col on, all taps inside; K and S are constants where the kernel is specialised */
VF_INLINE void dw_run(const dw_ctx *x, const dw_row *r, int col, const int N, const int K, const int S)
{
    const float *s = r->src + ((ptrdiff_t)col * S - x->c->pl) * VB, *w = r->w;
    vf acc[DW_R];
    /* the row after the next: the hardware's prefetch leaves half of the bandwidth of large batches unused */
    for (int row = 0; row < S; row++) {
        VF_UNROLL for (int i = 0; i < N * S; i += 16 / VB)
            vf_prefetch(s + (K + 1 + row) * r->src_step + i * VB);
    }
    VF_UNROLL for (int i = 0; i < N; i++) acc[i] = r->bias;
    for (int ky = 0; ky < r->kys; ky++, s += r->src_step, w += K * VB) {
        VF_UNROLL for (int kx = 0; kx < K; kx++)
        {
            const vf wv = vf_load(w + kx * VB);
            VF_UNROLL for (int i = 0; i < N; i++) acc[i] = vf_fma(vf_load(s + (i * S + kx) * VB), wv, acc[i]);
        }
    }
    VF_UNROLL for (int i = 0; i < N; i++) dw_store(x, r, col + i, acc[i]);
}

#define DW_SPAN(k, s)                                               \
    static void dw_span_##k##_##s(const dw_ctx *x, const dw_row *r) \
    {                                                               \
        int col = x->x0;                                            \
        for (; col + DW_R <= x->x1; col += DW_R)                    \
            dw_run(x, r, col, DW_R, k, s);                          \
        for (; col + 2 <= x->x1; col += 2)                          \
            dw_run(x, r, col, 2, k, s);                             \
        for (; col < x->x1; col++)                                  \
            dw_run(x, r, col, 1, k, s);                             \
    }
DW_SPAN(3, 1)
DW_SPAN(3, 2)
DW_SPAN(5, 1)
DW_SPAN(5, 2)

static void dw_span(const dw_ctx *x, const dw_row *r)
{
    const mien__conv *const c = x->c;
    const int which = c->dw == 1 && (c->sw == 1 || c->sw == 2) ? c->kw * 10 + c->sw : 0;
    switch (which) {
    case 31:
        dw_span_3_1(x, r);
        break;
    case 32:
        dw_span_3_2(x, r);
        break;
    case 51:
        dw_span_5_1(x, r);
        break;
    case 52:
        dw_span_5_2(x, r);
        break;
    default:
        for (int col = x->x0; col < x->x1; col++)
            dw_one(x, r, col);
    }
}

static void dw_task(void *ctx, size_t task, unsigned worker)
{
    const dw_ctx *const x = ctx;
    const mien__conv *const c = x->c;
    (void)worker;
    const int cbs = div_up(c->oc, VB), chunk = (int)(task % (size_t)x->chunks);
    const size_t plane = task / (size_t)x->chunks;
    const int cb = (int)(plane % (size_t)cbs), taps = c->kh * c->kw;
    const float *const src = x->src + (ptrdiff_t)plane * c->ih * c->iw * VB;
    const float *const w = x->head.w + (ptrdiff_t)cb * taps * VB;
    dw_row r = { .src_step = (ptrdiff_t)c->dh * c->iw * VB,
                 .bias = vf_load(x->head.bias + cb * VB),
                 .slope = vf_load(x->head.slope + cb * VB),
                 .slope2 = vf_load(x->head.slope2 + cb * VB) };
    for (int y = chunk * x->rows; y < min_i(c->oh, (chunk + 1) * x->rows); y++) {
        const int top = y * c->sh - c->pt;
        const int ky0 = top < 0 ? min_i(c->kh, div_up(-top, c->dh)) : 0;
        const int ky1 = top >= c->ih ? ky0 : max_i(ky0, min_i(c->kh, (c->ih - 1 - top) / c->dh + 1));
        const ptrdiff_t at = ((ptrdiff_t)plane * c->oh + y) * c->ow * VB;
        r.kys = ky1 - ky0;
        r.src = src + ((ptrdiff_t)top + (ptrdiff_t)ky0 * c->dh) * c->iw * VB;
        r.w = w + ky0 * c->kw * VB;
        r.dst = x->dst + at;
        r.res = x->res ? x->res + at : NULL;
        for (int col = 0; col < x->x0; col++)
            dw_one(x, &r, col);
        dw_span(x, &r);
        for (int col = x->x1; col < c->ow; col++)
            dw_one(x, &r, col);
    }
}

static void depthwise_run(const mien__conv_plan *p, const void *packed, const float *src,
                          const float *residual, float *dst, void *scratch, mien__pool *pool)
{
    const mien__conv *const c = &p->c;
    (void)scratch;
    dw_ctx x = { .c = c,
                 .head = conv_head_at(c, packed),
                 .post = post_make(&c->post),
                 .src = src,
                 .res = residual,
                 .dst = dst };
    const int room = c->iw + c->pl - (c->kw - 1) * c->dw - 1; /* last column start that fits */
    x.x0 = min_i(c->ow, div_up(c->pl, c->sw));
    x.x1 = room < 0 ? x.x0 : max_i(x.x0, min_i(c->ow, room / c->sw + 1));
    x.rows = max_i(1, min_i(c->oh, DW_TASK_TAPS / (c->ow * c->kh * c->kw)));
    x.chunks = div_up(c->oh, x.rows);
    mien__pool_run(pool, dw_task, &x, (size_t)c->n * div_up(c->oc, VB) * x.chunks);
}

#endif
