/* Fully connected layer: y[n][m] = post(b + x[n][k] w[m][k]). Bound by reading the weights once.
 *
 * Weights lie as groups of FC_C output vectors, [group][k][FC_C*VB] (the last group may be narrower): one
 * stream per task. Up to FC_R rows of the batch share a pass. Sums run in chunks of FC_K terms, added up in
 * order, which keeps the rounding error of long rows (k = 25088) near that of one chunk.
 */
#ifndef MIEN_SRC_NN_KERNELS_FC_INC_H
#define MIEN_SRC_NN_KERNELS_FC_INC_H

#include "nn/kernels/conv_common.inc.h"

enum { FC_C = 4, FC_K = 256, FC_PACK = 32 };
#if UKR_R >= 14
enum { FC_R = 4 };
#else
enum { FC_R = 2 };
#endif

static size_t fc_packed_bytes(int m, int k)
{
    return (size_t)div_up(m, VB) * VB * ((size_t)k + 1) * sizeof(float);
}

static void fc_pack(int m, int k, const float *w, const float *bias, void *packed)
{
    const int mbs = div_up(m, VB);
    float *d = packed;
    for (int o = 0; o < mbs * VB; o++)
        *d++ = o < m && bias ? bias[o] : 0.0f;
    for (int mb = 0; mb < mbs; mb += FC_C) {
        const int o0 = mb * VB, width = min_i(FC_C, mbs - mb) * VB;
        for (int i0 = 0; i0 < k; i0 += FC_PACK) /* squares that stay in the first cache */
            for (int v = 0; v < width; v++)
                for (int i = i0; i < min_i(k, i0 + FC_PACK); i++)
                    d[(size_t)i * width + v] = o0 + v < m ? w[(size_t)(o0 + v) * k + i] : 0.0f;
        d += (size_t)k * width;
    }
}

typedef struct fc_ctx {
    int n, m, k;
    const float *bias, *w, *slope, *src;
    float *dst;
    post_ctx post;
} fc_ctx;

VF_INLINE void fc_body(const fc_ctx *x, int row, int mb, const int R, const int C)
{
    const float *w = x->w + (size_t)mb * VB * x->k;
    const float *const src = x->src + (size_t)row * x->k;
    const size_t k = (size_t)x->k;
    vf sum[FC_R][FC_C];
    for (int r = 0; r < R; r++)
        for (int c = 0; c < C; c++)
            sum[r][c] = vf_load(x->bias + (mb + c) * VB);
    for (size_t i0 = 0; i0 < k; i0 += FC_K) {
        const size_t end = i0 + FC_K < k ? i0 + FC_K : k;
        vf acc[FC_R][FC_C];
        VF_UNROLL for (int r = 0; r < R; r++)
        {
            VF_UNROLL for (int c = 0; c < C; c++) acc[r][c] = vf_zero();
        }
        for (size_t i = i0; i < end; i++, w += C * VB) {
            vf_prefetch(w + 2048);
            if (C > 2 && VB > 8)
                vf_prefetch(w + 2048 + 2 * VB);
            VF_UNROLL for (int r = 0; r < R; r++)
            {
                const vf s = vf_set1(src[r * k + i]);
                VF_UNROLL for (int c = 0; c < C; c++) acc[r][c] = vf_fma(s, vf_load(w + c * VB), acc[r][c]);
            }
        }
        VF_UNROLL for (int r = 0; r < R; r++)
        {
            VF_UNROLL for (int c = 0; c < C; c++) sum[r][c] = vf_add(sum[r][c], acc[r][c]);
        }
    }
    for (int c = 0; c < C; c++) {
        const int o = (mb + c) * VB, len = min_i(VB, x->m - o);
        vf slope = vf_set1(x->post.slope);
        if (x->post.act == MIEN__ACT_PRELU && x->slope)
            slope = vf_load_part(x->slope + o, (size_t)len);
        for (int r = 0; r < R; r++)
            vf_store_part(x->dst + (size_t)(row + r) * x->m + o, post_act(&x->post, sum[r][c], slope),
                          (size_t)len);
    }
}

#define FC_DEF(c)                                     \
    static void fc_group_##c(const fc_ctx *x, int mb) \
    {                                                 \
        int row = 0;                                  \
        for (; row + FC_R <= x->n; row += FC_R)       \
            fc_body(x, row, mb, FC_R, c);             \
        for (; row < x->n; row++)                     \
            fc_body(x, row, mb, 1, c);                \
    }
FC_DEF(1)
FC_DEF(2)
FC_DEF(3)
FC_DEF(4)

static void fc_task(void *ctx, size_t task, unsigned worker)
{
    static void (*const by_width[FC_C])(const fc_ctx *, int) = { fc_group_1, fc_group_2, fc_group_3,
                                                                 fc_group_4 };
    const fc_ctx *const x = ctx;
    const int mb = (int)task * FC_C;
    (void)worker;
    by_width[min_i(FC_C, div_up(x->m, VB) - mb) - 1](x, mb);
}

static void fc_run(int n, int m, int k, const void *packed, const float *slope, const mien__post *post,
                   const float *src, float *dst, mien__pool *pool)
{
    const mien__post none = { 0 };
    fc_ctx x = { n,
                 m,
                 k,
                 packed,
                 (const float *)packed + (size_t)div_up(m, VB) * VB,
                 slope,
                 src,
                 dst,
                 post_make(post ? post : &none) };
    mien__pool_run(pool, fc_task, &x, (size_t)div_up(m, VB * FC_C));
}

#endif
