/* Depthwise convolution (one filter per channel), activation and residual fused.
 *
 * Channels are vector lanes; a run of DW_R outputs of a row shares each loaded source vector among the taps
 * of that row where kernel width and stride are known (3 and 5, stride 1 and 2, no dilation). Columns whose
 * taps leave the picture go one by one with the taps that exist. Taps are summed row by row, left to right,
 * in every path. Rows go by two where that pays. A 2x2 maximum behind the convolution is taken from two rows
 * in scratch, which stay near: the large tensor between is never written.
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

enum { DW_MAX_ROWS = 16 };       /* of a kernel */
enum { DW_TASK_TAPS = 1 << 18 }; /* vector operations of one task, about 60 us */

static bool depthwise_plan(const mien__conv *c, mien__conv_plan *p)
{
    if (c->groups != c->ic || c->ic != c->oc || c->src_plain || !post_supported(&c->post) ||
        (c->pre_affine && conv_is_padded(c)) || c->kh > DW_MAX_ROWS)
        return false;
    p->algo = ALGO_DEPTHWISE;
    p->kernel = VF_KERNEL("depthwise");
    p->packed_bytes = (conv_head_floats(c) + (size_t)c->kh * c->kw * div_up(c->oc, VB) * VB) * sizeof(float);
    p->scratch_bytes = c->pool ? p->threads * 2 * (size_t)c->ow * VB * sizeof(float) : 0;
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

typedef struct dw_ctx dw_ctx;
typedef struct dw_row dw_row;
typedef void (*dw_span_fn)(const dw_ctx *x, const dw_row *r);

struct dw_ctx {
    const mien__conv *c;
    dw_span_fn span;
    bool by_two; /* dw_span_two applies */
    conv_head head;
    post_ctx post;
    const float *src, *res;
    float *dst, *scratch;
    int rows, chunks; /* rows per task, tasks per plane */
    int x0, x1;       /* output columns whose taps all exist */
};

struct dw_row {
    const float *row[DW_MAX_ROWS]; /* source rows of the tap rows that exist, from column -pl on */
    const float *w;                /* weights of the first existing tap row */
    int kys;                       /* tap rows that exist */
    vf bias, slope, slope2;
    const float *res;
    float *dst;
};

VF_INLINE void dw_store(const dw_ctx *x, const dw_row *r, int col, vf v)
{
    const float *const res = x->post.residual ? r->res + (ptrdiff_t)col * VB : NULL;
    vf_store(r->dst + (ptrdiff_t)col * VB, post_full(&x->post, v, r->slope, res, r->slope2));
}

/* one output of taps [kx0, kx1) of each row; K is the kernel's width */
VF_INLINE void dw_taps(const dw_ctx *x, const dw_row *r, int col, const int kx0, const int kx1, const int K)
{
    const mien__conv *const c = x->c;
    vf acc = r->bias;
    for (int ky = 0; ky < r->kys; ky++) {
        const float *const s = r->row[ky] + (ptrdiff_t)col * c->sw * VB;
        for (int kx = kx0; kx < kx1; kx++)
            acc = vf_fma(vf_load(s + (ptrdiff_t)kx * c->dw * VB), vf_load(r->w + (ky * K + kx) * VB), acc);
    }
    dw_store(x, r, col, acc);
}

/* any kernel, one output, with the taps that exist */
static void dw_one(const dw_ctx *x, const dw_row *r, int col)
{
    const mien__conv *const c = x->c;
    const int sx = col * c->sw - c->pl;
    const int kx0 = sx < 0 ? min_i(c->kw, div_up(-sx, c->dw)) : 0;
    const int kx1 = sx >= c->iw ? kx0 : max_i(kx0, min_i(c->kw, (c->iw - 1 - sx) / c->dw + 1));
    if (c->kw == 3 && kx0 == 1 && kx1 == 3) /* the two that every padded 3x3 has */
        dw_taps(x, r, col, 1, 3, 3);
    else if (c->kw == 3 && kx0 == 0 && kx1 == 2)
        dw_taps(x, r, col, 0, 2, 3);
    else
        dw_taps(x, r, col, kx0, kx1, c->kw);
}

/* N outputs from column col on, all taps inside; all but x, r and col are constants */
VF_INLINE void dw_run(const dw_ctx *x, const dw_row *r, int col, const int N, const int K, const int S,
                      const bool CLAMP)
{
    const float *w = r->w;
    vf acc[DW_R];
    /* the row after the next: the hardware's prefetch leaves half of the bandwidth of large batches unused */
    const float *const ahead = r->row[0] + (ptrdiff_t)col * S * VB;
    const ptrdiff_t step = (ptrdiff_t)x->c->iw * VB;
    for (int row = 0; row < S; row++) {
        VF_UNROLL for (int i = 0; i < N * S; i += 16 / VB) vf_prefetch(ahead + (K + 1 + row) * step + i * VB);
    }
    VF_UNROLL for (int i = 0; i < N; i++) acc[i] = r->bias;
    for (int ky = 0; ky < r->kys; ky++, w += K * VB) {
        const float *const s = r->row[ky] + (ptrdiff_t)col * S * VB;
        VF_UNROLL for (int j = 0; j < (N - 1) * S + K; j++) /* each source vector to the outputs it reaches */
        {
            vf v = vf_load(s + j * VB);
            VF_HOLD(v);
            VF_UNROLL for (int kx = 0; kx < K; kx++)
            {
                const int i = (j - kx) / S;
                if (j >= kx && (j - kx) % S == 0 && i < N)
                    acc[i] = vf_fma(v, vf_load(w + kx * VB), acc[i]);
            }
        }
    }
    if (CLAMP) {
        const vf lo = vf_set1(x->post.lo), hi = vf_set1(x->post.hi);
        float *const d = r->dst + (ptrdiff_t)col * VB;
        VF_UNROLL for (int i = 0; i < N; i++) vf_store(d + i * VB, vf_min(hi, vf_max(lo, acc[i])));
    } else {
        VF_UNROLL for (int i = 0; i < N; i++) dw_store(x, r, col + i, acc[i]);
    }
}

VF_INLINE void dw_span(const dw_ctx *x, const dw_row *r, const int K, const int S, const bool CLAMP)
{
    int col = x->x0;
    for (; col + DW_R <= x->x1; col += DW_R)
        dw_run(x, r, col, DW_R, K, S, CLAMP);
    if (DW_R > 4 && col + 4 <= x->x1) {
        dw_run(x, r, col, 4, K, S, CLAMP);
        col += 4;
    }
    for (; col + 2 <= x->x1; col += 2)
        dw_run(x, r, col, 2, K, S, CLAMP);
    for (; col < x->x1; col++)
        dw_run(x, r, col, 1, K, S, CLAMP);
}

/* two rows of a 3x3 of stride 1 at once: each source vector to the up to six sums it belongs to. More sums in
 * flight than one row offers hide the latency of the multiply-add. */
VF_INLINE void dw_run_two(const dw_ctx *x, const dw_row *top, const dw_row *low, int col, const int N)
{
    const float *const row[4] = { top->row[0], top->row[1], top->row[2], low->row[2] };
    vf acc[2][DW_R];
    VF_UNROLL for (int i = 0; i < N; i++) acc[0][i] = acc[1][i] = top->bias;
    VF_UNROLL for (int y = 0; y < 4; y++)
    {
        const float *const s = row[y] + (ptrdiff_t)col * VB;
        VF_UNROLL for (int j = 0; j < N + 2; j++)
        {
            vf v = vf_load(s + j * VB);
            VF_HOLD(v);
            VF_UNROLL for (int kx = 0; kx < 3; kx++)
            {
                if (y < 3 && j >= kx && j - kx < N)
                    acc[0][j - kx] = vf_fma(v, vf_load(top->w + (y * 3 + kx) * VB), acc[0][j - kx]);
                if (y > 0 && j >= kx && j - kx < N)
                    acc[1][j - kx] = vf_fma(v, vf_load(top->w + (y * 3 - 3 + kx) * VB), acc[1][j - kx]);
            }
        }
    }
    const vf lo = vf_set1(x->post.lo), hi = vf_set1(x->post.hi);
    float *const d0 = top->dst + (ptrdiff_t)col * VB, *const d1 = low->dst + (ptrdiff_t)col * VB;
    VF_UNROLL for (int i = 0; i < N; i++) vf_store(d0 + i * VB, vf_min(hi, vf_max(lo, acc[0][i])));
    VF_UNROLL for (int i = 0; i < N; i++) vf_store(d1 + i * VB, vf_min(hi, vf_max(lo, acc[1][i])));
}

static void dw_span_two(const dw_ctx *x, const dw_row *top, const dw_row *low)
{
    int col = x->x0;
    for (; col + DW_R <= x->x1; col += DW_R)
        dw_run_two(x, top, low, col, DW_R);
    if (DW_R > 4 && col + 4 <= x->x1) {
        dw_run_two(x, top, low, col, 4);
        col += 4;
    }
    for (; col + 2 <= x->x1; col += 2)
        dw_run_two(x, top, low, col, 2);
    for (; col < x->x1; col++)
        dw_run_two(x, top, low, col, 1);
}

#define DW_SPAN(k, s)                                               \
    static void dw_span_##k##_##s(const dw_ctx *x, const dw_row *r) \
    {                                                               \
        if (x->post.clamp && !x->post.residual)                     \
            dw_span(x, r, k, s, true);                              \
        else                                                        \
            dw_span(x, r, k, s, false);                             \
    }
DW_SPAN(3, 1)
DW_SPAN(3, 2)
DW_SPAN(5, 1)
DW_SPAN(5, 2)

static void dw_span_any(const dw_ctx *x, const dw_row *r)
{
    for (int col = x->x0; col < x->x1; col++)
        dw_one(x, r, col);
}

static dw_span_fn dw_span_of(const mien__conv *c)
{
    switch (c->dw == 1 && (c->sw == 1 || c->sw == 2) ? c->kw * 10 + c->sw : 0) {
    case 31:
        return dw_span_3_1;
    case 32:
        return dw_span_3_2;
    case 51:
        return dw_span_5_1;
    case 52:
        return dw_span_5_2;
    default:
        return dw_span_any;
    }
}

/* the tap rows of output row y that lie in the picture: [*ret_first, return value) */
static int dw_tap_rows(const mien__conv *c, int y, int *ret_first)
{
    const int top = y * c->sh - c->pt;
    *ret_first = top < 0 ? min_i(c->kh, div_up(-top, c->dh)) : 0;
    return top >= c->ih ? *ret_first : max_i(*ret_first, min_i(c->kh, (c->ih - 1 - top) / c->dh + 1));
}

/* row pointers, weights and residual of output row y of one plane (block of channels of an image) */
static void dw_aim(const dw_ctx *x, ptrdiff_t plane, int y, dw_row *r)
{
    const mien__conv *const c = x->c;
    int ky0 = 0;
    const int ky1 = dw_tap_rows(c, y, &ky0), top = y * c->sh - c->pt;
    const float *const src = x->src + plane * c->ih * c->iw * VB;
    for (int ky = ky0; ky < ky1; ky++)
        r->row[ky - ky0] = src + ((ptrdiff_t)(top + ky * c->dh) * c->iw - c->pl) * VB;
    r->kys = ky1 - ky0;
    r->w = x->head.w + ((plane % div_up(c->oc, VB)) * c->kh + ky0) * c->kw * VB;
    r->res = x->res ? x->res + (plane * c->oh + y) * c->ow * VB : NULL;
}

/* n (1 or 2) output rows, edges too */
static void dw_lines(const dw_ctx *x, const dw_row r[2], int n)
{
    for (int i = 0; i < n; i++) {
        for (int col = 0; col < x->x0; col++)
            dw_one(x, &r[i], col);
        for (int col = x->x1; col < x->c->ow; col++)
            dw_one(x, &r[i], col);
    }
    if (n == 2 && x->by_two && r[0].kys == 3 && r[1].kys == 3) {
        dw_span_two(x, &r[0], &r[1]);
        return;
    }
    for (int i = 0; i < n; i++)
        x->span(x, &r[i]);
}

/* the largest of each 2x2 of two rows */
static void dw_pool(const float *rows, int width, float *dst)
{
    const float *const low = rows + (ptrdiff_t)width * VB;
    for (int i = 0; i < width / 2; i++) {
        const float *const a = rows + (ptrdiff_t)i * 2 * VB, *const b = low + (ptrdiff_t)i * 2 * VB;
        vf_store(dst + (ptrdiff_t)i * VB,
                 vf_max(vf_max(vf_load(a), vf_load(a + VB)), vf_max(vf_load(b), vf_load(b + VB))));
    }
}

static void dw_task(void *ctx, size_t task, unsigned worker)
{
    const dw_ctx *const x = ctx;
    const mien__conv *const c = x->c;
    const int chunk = (int)(task % (size_t)x->chunks), cbs = div_up(c->oc, VB);
    const ptrdiff_t plane = (ptrdiff_t)(task / (size_t)x->chunks), cb = plane % cbs;
    const dw_row blank = { .bias = vf_load(x->head.bias + cb * VB),
                           .slope = vf_load(x->head.slope + cb * VB),
                           .slope2 = vf_load(x->head.slope2 + cb * VB) };
    dw_row r[2] = { blank, blank };
    float *const rows = x->scratch + worker * 2 * (size_t)c->ow * VB;
    const int oh = c->pool ? c->oh / 2 * 2 : c->oh, end = min_i(oh, (chunk + 1) * x->rows);
    for (int y = chunk * x->rows, n = 0; y < end; y += n) {
        n = min_i(2, end - y);
        for (int i = 0; i < n; i++) {
            dw_aim(x, plane, y + i, &r[i]);
            r[i].dst =
                c->pool ? rows + (ptrdiff_t)i * c->ow * VB : x->dst + (plane * c->oh + y + i) * c->ow * VB;
        }
        dw_lines(x, r, n);
        if (c->pool)
            dw_pool(rows, c->ow, x->dst + (plane * (c->oh / 2) + y / 2) * (c->ow / 2) * VB);
    }
}

static void depthwise_run(const mien__conv_plan *p, const void *packed, const float *src,
                          const float *residual, float *dst, void *scratch, mien__pool *pool)
{
    const mien__conv *const c = &p->c;
    dw_ctx x = { .c = c,
                 .span = dw_span_of(c),
                 .head = conv_head_at(c, packed),
                 .post = post_make(&c->post),
                 .src = src,
                 .res = residual,
                 .dst = dst,
                 .scratch = scratch };
    const int room = c->iw + c->pl - (c->kw - 1) * c->dw - 1; /* last column start that fits */
    x.by_two = c->kh == 3 && c->kw == 3 && c->sh == 1 && c->sw == 1 && c->dh == 1 && c->dw == 1 &&
               x.post.clamp && !x.post.residual;
    x.x0 = min_i(c->ow, div_up(c->pl, c->sw));
    x.x1 = room < 0 ? x.x0 : max_i(x.x0, min_i(c->ow, room / c->sw + 1));
    x.rows = max_i(2, min_i(c->oh, DW_TASK_TAPS / (c->ow * c->kh * c->kw))) & ~1; /* two at a time */
    x.chunks = div_up(c->oh, x.rows);
    mien__pool_run(pool, dw_task, &x, (size_t)c->n * div_up(c->oc, VB) * x.chunks);
}

#endif
