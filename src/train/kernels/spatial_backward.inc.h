/* Backward of what moves or scales pixels: maximum pooling, nearest up-sampling, global average, gates; and
 * the sum of two gradients. A task is one channel block of one picture.
 */
#ifndef MIEN_SRC_TRAIN_SPATIAL_BACKWARD_INC_H
#define MIEN_SRC_TRAIN_SPATIAL_BACKWARD_INC_H

#include "train/kernels/train_common.inc.h"

typedef struct spatial_ctx {
    const mien__pool2d *pool;
    int hw, ih, iw, fh, fw;
    const float *src, *dst, *gate, *d_dst;
    float *d_src, *d_gate;
    size_t count;
} spatial_ctx;

/* Each window hands its gradient on until an element is no less than the maximum: that one takes it. */
static void maxpool_task(void *ctx, size_t plane, unsigned worker)
{
    const spatial_ctx *const x = ctx;
    const mien__pool2d *const p = x->pool;
    const vf zero = vf_zero();
    const float *const src = x->src + plane * p->ih * p->iw * VB;
    const float *m = x->dst + plane * p->oh * p->ow * VB, *d = x->d_dst + plane * p->oh * p->ow * VB;
    float *const d_src = x->d_src + plane * p->ih * p->iw * VB;
    (void)worker;
    memset(d_src, 0, (size_t)p->ih * p->iw * VB * sizeof *d_src);
    for (int y = 0; y < p->oh; y++)
        for (int o = 0; o < p->ow; o++, m += VB, d += VB) {
            const int y0 = max_i(0, y * p->sh - p->pt), y1 = min_i(p->ih, y * p->sh - p->pt + p->kh);
            const int x0 = max_i(0, o * p->sw - p->pl), x1 = min_i(p->iw, o * p->sw - p->pl + p->kw);
            const vf max = vf_load(m);
            vf left = vf_load(d);
            for (int i = y0; i < y1; i++)
                for (int j = x0; j < x1; j++) {
                    const size_t at = ((size_t)i * p->iw + j) * VB;
                    const vf v = vf_load(src + at);
                    vf_store(d_src + at, vf_add(vf_load(d_src + at), vf_sel_lt(v, max, zero, left)));
                    left = vf_sel_lt(v, max, left, zero);
                }
        }
}

static void maxpool_backward(const mien__pool2d *p, const float *src, const float *dst, const float *d_dst,
                             float *d_src, mien__pool *pool)
{
    spatial_ctx x = { .pool = p, .src = src, .dst = dst, .d_dst = d_dst, .d_src = d_src };
    mien__pool_run(pool, maxpool_task, &x, (size_t)p->n * div_up(p->c, VB));
}

static void upsample_back_task(void *ctx, size_t plane, unsigned worker)
{
    const spatial_ctx *const x = ctx;
    const size_t row = (size_t)x->iw * x->fw * VB;
    const float *d = x->d_dst + plane * x->ih * x->fh * row;
    float *s = x->d_src + plane * x->ih * x->iw * VB;
    (void)worker;
    for (int y = 0; y < x->ih; y++, d += x->fh * row)
        for (int i = 0; i < x->iw; i++, s += VB) {
            vf sum = vf_zero();
            for (int a = 0; a < x->fh; a++)
                for (int b = 0; b < x->fw; b++)
                    sum = vf_add(sum, vf_load(d + a * row + ((size_t)i * x->fw + b) * VB));
            vf_store(s, sum);
        }
}

static void upsample_backward(int n, int c, int ih, int iw, int fh, int fw, const float *d_dst, float *d_src,
                              mien__pool *pool)
{
    spatial_ctx x = { .ih = ih, .iw = iw, .fh = fh, .fw = fw, .d_dst = d_dst, .d_src = d_src };
    mien__pool_run(pool, upsample_back_task, &x, (size_t)n * div_up(c, VB));
}

static void global_avg_back_task(void *ctx, size_t plane, unsigned worker)
{
    const spatial_ctx *const x = ctx;
    const vf v = vf_mul(vf_load(x->d_dst + plane * VB), vf_set1(1.0f / (float)x->hw));
    float *const d = x->d_src + plane * x->hw * VB;
    (void)worker;
    for (int i = 0; i < x->hw; i++)
        vf_store(d + (size_t)i * VB, v);
}

static void global_avg_backward(int n, int c, int hw, const float *d_dst, float *d_src, mien__pool *pool)
{
    spatial_ctx x = { .hw = hw, .d_dst = d_dst, .d_src = d_src };
    mien__pool_run(pool, global_avg_back_task, &x, (size_t)n * div_up(c, VB));
}

static void gate_back_task(void *ctx, size_t plane, unsigned worker)
{
    const spatial_ctx *const x = ctx;
    const vf gate = vf_load(x->gate + plane * VB);
    const size_t at = plane * x->hw * VB;
    vf sum = vf_zero();
    (void)worker;
    for (int i = 0; i < x->hw;) {
        vf run = vf_zero();
        for (const int end = min_i(x->hw, i + RUN_PX); i < end; i++) {
            const vf d = vf_load(x->d_dst + at + (size_t)i * VB);
            run = vf_fma(d, vf_load(x->src + at + (size_t)i * VB), run);
            vf_store(x->d_src + at + (size_t)i * VB, vf_mul(d, gate));
        }
        sum = vf_add(sum, run);
    }
    vf_store(x->d_gate + plane * VB, sum);
}

static void scale_channels_backward(int n, int c, int hw, const float *src, const float *gate,
                                    const float *d_dst, float *d_src, float *d_gate, mien__pool *pool)
{
    spatial_ctx x = { .hw = hw, .src = src, .gate = gate, .d_dst = d_dst, .d_src = d_src, .d_gate = d_gate };
    mien__pool_run(pool, gate_back_task, &x, (size_t)n * div_up(c, VB));
}

enum { ACCUMULATE_PIECE = 16384 };

static void accumulate_task(void *ctx, size_t task, unsigned worker)
{
    const spatial_ctx *const x = ctx;
    const size_t first = task * ACCUMULATE_PIECE;
    const size_t end = first + ACCUMULATE_PIECE < x->count ? first + ACCUMULATE_PIECE : x->count;
    (void)worker;
    for (size_t i = first; i < end; i++)
        x->d_src[i] += x->src[i];
}

static void accumulate(size_t count, const float *src, float *dst, mien__pool *pool)
{
    spatial_ctx x = { .count = count, .src = src, .d_src = dst };
    mien__pool_run(pool, accumulate_task, &x, (count + ACCUMULATE_PIECE - 1) / ACCUMULATE_PIECE);
}

#endif
