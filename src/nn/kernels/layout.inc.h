/* Between layouts and sizes: plain to blocked and back, pooling, global average, nearest upsampling, and
 * pixels to planes. A task is one channel block of one image, or a band of rows.
 */
#ifndef MIEN_SRC_NN_KERNELS_LAYOUT_INC_H
#define MIEN_SRC_NN_KERNELS_LAYOUT_INC_H

#include "nn/kernels/conv_common.inc.h"

typedef struct layout_ctx {
    int c, cbs, hw;
    const float *src;
    float *dst;
    const mien__pool2d *pool;
    int ih, iw, fh, fw;
} layout_ctx;

/* Pixels go in runs small enough that the lines of all lanes stay in the first cache. */
enum { LAYOUT_RUN = 64 };

static void to_blocked_task(void *ctx, size_t task, unsigned worker)
{
    const layout_ctx *const x = ctx;
    (void)worker;
    const int cb = (int)(task % (size_t)x->cbs), lanes = min_i(VB, x->c - cb * VB);
    const size_t n = task / (size_t)x->cbs, hw = (size_t)x->hw;
    const float *const s = x->src + (n * x->c + (size_t)cb * VB) * hw;
    float *const d = x->dst + task * hw * VB;
    for (size_t i0 = 0; i0 < hw; i0 += LAYOUT_RUN) {
        const size_t end = i0 + LAYOUT_RUN < hw ? i0 + LAYOUT_RUN : hw;
        for (int l = 0; l < VB; l++)
            for (size_t i = i0; i < end; i++)
                d[i * VB + l] = l < lanes ? s[l * hw + i] : 0.0f;
    }
}

static void to_plain_task(void *ctx, size_t task, unsigned worker)
{
    const layout_ctx *const x = ctx;
    (void)worker;
    const int cb = (int)(task % (size_t)x->cbs), lanes = min_i(VB, x->c - cb * VB);
    const size_t n = task / (size_t)x->cbs, hw = (size_t)x->hw;
    const float *const s = x->src + task * hw * VB;
    float *const d = x->dst + (n * x->c + (size_t)cb * VB) * hw;
    for (size_t i0 = 0; i0 < hw; i0 += LAYOUT_RUN) {
        const size_t end = i0 + LAYOUT_RUN < hw ? i0 + LAYOUT_RUN : hw;
        for (int l = 0; l < lanes; l++)
            for (size_t i = i0; i < end; i++)
                d[l * hw + i] = s[i * VB + l];
    }
}

static void to_blocked(int n, int c, int hw, const float *src, float *dst, mien__pool *pool)
{
    layout_ctx x = { .c = c, .cbs = div_up(c, VB), .hw = hw, .src = src, .dst = dst };
    mien__pool_run(pool, to_blocked_task, &x, (size_t)n * x.cbs);
}

static void to_plain(int n, int c, int hw, const float *src, float *dst, mien__pool *pool)
{
    layout_ctx x = { .c = c, .cbs = div_up(c, VB), .hw = hw, .src = src, .dst = dst };
    mien__pool_run(pool, to_plain_task, &x, (size_t)n * x.cbs);
}

static void pool_task(void *ctx, size_t task, unsigned worker)
{
    const layout_ctx *const x = ctx;
    const mien__pool2d *const p = x->pool;
    (void)worker;
    const float *const src = x->src + task * p->ih * p->iw * VB;
    float *d = x->dst + task * p->oh * p->ow * VB;
    for (int y = 0; y < p->oh; y++)
        for (int o = 0; o < p->ow; o++, d += VB) {
            const int y0 = max_i(0, y * p->sh - p->pt), y1 = min_i(p->ih, y * p->sh - p->pt + p->kh);
            const int x0 = max_i(0, o * p->sw - p->pl), x1 = min_i(p->iw, o * p->sw - p->pl + p->kw);
            /* a window that hangs over the declared padding (ceil mode) counts only what is declared */
            const int ph = min_i(y * p->sh - p->pt + p->kh, p->ih + p->pb) - (y * p->sh - p->pt);
            const int pw = min_i(o * p->sw - p->pl + p->kw, p->iw + p->pr) - (o * p->sw - p->pl);
            if (p->is_max && p->kh == 2 && p->kw == 2 && y1 - y0 == 2 && x1 - x0 == 2) {
                const float *const s = src + ((size_t)y0 * p->iw + x0) * VB, *const t =
                                                                                 s + (size_t)p->iw * VB;
                vf_store(d, vf_max(vf_max(vf_load(s), vf_load(s + VB)), vf_max(vf_load(t), vf_load(t + VB))));
                continue;
            }
            vf acc = vf_set1(p->is_max ? -INFINITY : 0.0f);
            for (int i = y0; i < y1; i++)
                for (int j = x0; j < x1; j++) {
                    const vf v = vf_load(src + ((size_t)i * p->iw + j) * VB);
                    acc = p->is_max ? vf_max(acc, v) : vf_add(acc, v);
                }
            if (!p->is_max)
                acc = vf_div(acc, vf_set1((float)max_i(1, p->count_pad ? ph * pw : (y1 - y0) * (x1 - x0))));
            vf_store(d, acc);
        }
}

static void pool2d(const mien__pool2d *p, const float *src, float *dst, mien__pool *pool)
{
    layout_ctx x = { .src = src, .dst = dst, .pool = p };
    mien__pool_run(pool, pool_task, &x, (size_t)p->n * div_up(p->c, VB));
}

/* sums in runs of 256 pixels, which are then added up in order */
static void global_avg_task(void *ctx, size_t task, unsigned worker)
{
    const layout_ctx *const x = ctx;
    (void)worker;
    const float *const s = x->src + task * x->hw * VB;
    vf sum = vf_zero();
    for (int i = 0; i < x->hw;) {
        vf run = vf_zero();
        for (const int end = min_i(x->hw, i + 256); i < end; i++)
            run = vf_add(run, vf_load(s + (size_t)i * VB));
        sum = vf_add(sum, run);
    }
    vf_store(x->dst + task * VB, vf_div(sum, vf_set1((float)x->hw)));
}

static void global_avg(int n, int c, int hw, const float *src, float *dst, mien__pool *pool)
{
    layout_ctx x = { .hw = hw, .src = src, .dst = dst };
    mien__pool_run(pool, global_avg_task, &x, (size_t)n * div_up(c, VB));
}

static void upsample_task(void *ctx, size_t task, unsigned worker)
{
    const layout_ctx *const x = ctx;
    (void)worker;
    const float *s = x->src + task * x->ih * x->iw * VB;
    const size_t row = (size_t)x->iw * x->fw * VB;
    float *d = x->dst + task * x->ih * x->fh * row;
    for (int y = 0; y < x->ih; y++, s += (size_t)x->iw * VB) {
        float *o = d;
        for (int i = 0; i < x->iw; i++) {
            const vf v = vf_load(s + (size_t)i * VB);
            for (int f = 0; f < x->fw; f++, o += VB)
                vf_store(o, v);
        }
        for (int f = 1; f < x->fh; f++)
            memcpy(d + f * row, d, row * sizeof *d);
        d += x->fh * row;
    }
}

static void upsample_nearest(int n, int c, int ih, int iw, int fh, int fw, const float *src, float *dst,
                             mien__pool *pool)
{
    layout_ctx x = { .src = src, .dst = dst, .ih = ih, .iw = iw, .fh = fh, .fw = fw };
    mien__pool_run(pool, upsample_task, &x, (size_t)n * div_up(c, VB));
}

/* Pixels past the picture are black: the value of 0 after mean and scale. A larger picture is cut. */
static void rgb8_to_planes(const uint8_t *src, int w, int h, size_t stride_bytes, bool swap,
                           const float mean[3], const float scale[3], float *dst, int dst_w, int dst_h)
{
    const size_t plane = (size_t)dst_w * dst_h;
    const int cols = min_i(w, dst_w);
    for (int c = 0; c < 3; c++) {
        float lut[256];
        for (int v = 0; v < 256; v++)
            lut[v] = ((float)v - mean[c]) * scale[c];
        for (int y = 0; y < dst_h; y++) {
            const uint8_t *const s = src + (size_t)y * stride_bytes + (swap ? 2 - c : c);
            float *const d = dst + c * plane + (size_t)y * dst_w;
            const int n = y < h ? cols : 0;
            for (int i = 0; i < n; i++)
                d[i] = lut[s[3 * i]];
            for (int i = n; i < dst_w; i++)
                d[i] = lut[0];
        }
    }
}

#endif
