/* The matrix micro-kernel under every dense convolution: R pixels x C vectors of output channels stay in
 * registers while the sum over input channels and kernel taps runs, weights streaming in the order they are
 * read.
 *
 *   dst[c][r] = post(bias[c] + sum over icb, tap, lane of w[icb][tap][lane][c] * src[icb][tap offset +
 * r][lane])
 *
 * The order of the sum does not depend on R or C, so how pixels are grouped never shows in the result. Pixels
 * lie one block apart (one float apart in a plain source, or two: "other"): callers arrange for that by
 * copying strided or padded inputs. A dual kernel takes its second half of pixels `seg` floats further on
 * (two short rows of a small picture). After Georganas et al. 2018, "Anatomy of high-performance deep
 * learning convolutions on SIMD architectures".
 */
#ifndef MIEN_SRC_NN_KERNELS_UKR_INC_H
#define MIEN_SRC_NN_KERNELS_UKR_INC_H

#include "nn/kernels/post.inc.h"

/* pixels of a block of one vector, which leaves registers free */
#define UKR_MOST (2 * UKR_R)

typedef struct ukr_args {
    const float *src;
    ptrdiff_t seg, icb_stride;
    const ptrdiff_t *tap;
    int taps, icbs, lanes_last; /* lanes of the last input block that carry channels */
    const float *w;
    bool raw; /* store the bare sums */
    const float *bias, *slope, *slope2;
    const post_ctx *post;
    const float *res; /* at the place of dst */
    float *dst;
    ptrdiff_t dst_ocb, dst_seg;
} ukr_args;

typedef void (*ukr_fn)(const ukr_args *u);

/* everything else: over the block just written */
static void ukr_post(const ukr_args *u, int rows, int vecs, int first)
{
    for (int c = 0; c < vecs; c++) {
        const vf slope = vf_load(u->slope + c * VB), slope2 = vf_load(u->slope2 + c * VB);
        for (int r = 0; r < rows; r++) {
            const ptrdiff_t at = c * u->dst_ocb + (r < first ? r * VB : u->dst_seg + (r - first) * VB);
            vf_store(u->dst + at, post_full(u->post, vf_load(u->dst + at), slope,
                                            u->post->residual ? u->res + at : NULL, slope2));
        }
    }
}

/* floats from the weight in use to the one fetched into the second cache: weights of large layers come from
 * memory once per call, and the hardware's own prefetch stops at pages (measured: a quarter off IResNet-50)
 */
enum { UKR_AHEAD = 2048 };

/* one step of the sum for all R x C; p2 = source of the second half */
#define UKR_STEP(l)                                                                         \
    do {                                                                                    \
        vf wv[UKR_C];                                                                       \
        VF_UNROLL for (int c = 0; c < C; c++) wv[c] = vf_load(w + ((l)*C + c) * VB);        \
        if (PS >= VB)                                                                       \
            vf_prefetch(w + (l)*C * VB + UKR_AHEAD);                                        \
        if (PS >= VB && C * VB > 16)                                                        \
            vf_prefetch(w + (l)*C * VB + UKR_AHEAD + 16);                                   \
        VF_UNROLL for (int r = 0; r < R; r++)                                               \
        {                                                                                   \
            const vf x = vf_set1(r < FIRST ? p[r * PS + (l)] : p2[(r - FIRST) * PS + (l)]); \
            VF_UNROLL for (int c = 0; c < C; c++) acc[r][c] = vf_fma(x, wv[c], acc[r][c]);  \
        }                                                                                   \
    } while (0)

/* `value` of acc[r][c] to its place, `at`; slope is the channels' */
#define UKR_STORE(value)                                                                          \
    VF_UNROLL for (int c = 0; c < C; c++)                                                         \
    {                                                                                             \
        const vf slope = vf_load(u->slope + c * VB);                                              \
        (void)slope;                                                                              \
        VF_UNROLL for (int r = 0; r < R; r++)                                                     \
        {                                                                                         \
            const ptrdiff_t at = c * dst_ocb + (r < FIRST ? r * VB : dst_seg + (r - FIRST) * VB); \
            vf_store(dst + at, value);                                                            \
        }                                                                                         \
    }

VF_INLINE void ukr_body(const ukr_args *u, const int R, const int C, const int FIRST, const int PS)
{
    vf acc[UKR_MOST][UKR_C];
    const float *w = u->w;
    VF_UNROLL for (int c = 0; c < C; c++)
    {
        const vf b = u->raw ? vf_zero() : vf_load(u->bias + c * VB);
        VF_UNROLL for (int r = 0; r < R; r++) acc[r][c] = b;
    }
    for (int ib = 0; ib < u->icbs; ib++) {
        const int lanes = PS < VB ? 1 : ib + 1 < u->icbs ? VB : u->lanes_last;
        for (int t = 0; t < u->taps; t++) {
            const float *p = u->src + ib * u->icb_stride + u->tap[t], *p2 = p + u->seg;
            if (PS < VB) {
                UKR_STEP(0);
                w += C * VB;
                continue;
            }
            const float *next = p + R * VB; /* the pixels of the block to come, a line at a time */
            int l = 0;
            for (; l + 4 <= lanes; l += 4, p += 4, p2 += 4, w += 4 * C * VB, next += 4 * VB) {
                VF_UNROLL for (int i = 0; i < 4 * VB; i += 16) vf_prefetch_near(next + i);
                UKR_STEP(0);
                UKR_STEP(1);
                UKR_STEP(2);
                UKR_STEP(3);
            }
            for (; l < lanes; l++, p++, p2++, w += C * VB)
                UKR_STEP(0);
        }
    }
    const post_ctx *const post = u->post;
    float *const dst = u->dst;
    const ptrdiff_t dst_ocb = u->dst_ocb, dst_seg = u->dst_seg;
    if (u->raw) {
        UKR_STORE(acc[r][c]);
    } else if (post->clamp && post->residual) {
        const float *const res = u->res;
        const vf lo = vf_set1(post->lo), hi = vf_set1(post->hi);
        UKR_STORE(vf_add(vf_min(hi, vf_max(lo, acc[r][c])), vf_load(res + at)));
    } else if (post->clamp) {
        const vf lo = vf_set1(post->lo), hi = vf_set1(post->hi);
        UKR_STORE(vf_min(hi, vf_max(lo, acc[r][c])));
    } else if (!post->residual && !post->transcend) {
        const vf lo = vf_set1(post->lo), hi = vf_set1(post->hi);
        UKR_STORE(vf_neg_mul(vf_min(hi, vf_max(lo, acc[r][c])), slope));
    } else if (!post->transcend) { /* in registers: the residual may be the output */
        const float *const res = u->res;
        const vf lo = vf_set1(post->lo), hi = vf_set1(post->hi), lo2 = vf_set1(post->lo2);
        UKR_STORE(vf_neg_mul(
            vf_max(lo2, vf_add(vf_neg_mul(vf_min(hi, vf_max(lo, acc[r][c])), slope), vf_load(res + at))),
            vf_load(u->slope2 + c * VB)));
    } else {
        UKR_STORE(acc[r][c]);
        ukr_post(u, R, C, FIRST);
    }
}

#define UKR_ROWS_3(X) X(1) X(2) X(3)
#define UKR_ROWS_6(X) UKR_ROWS_3(X) X(4) X(5) X(6)
#define UKR_ROWS_7(X) UKR_ROWS_6(X) X(7)
#define UKR_ROWS_14(X) UKR_ROWS_7(X) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#if UKR_R == 14
#define UKR_ROWS UKR_ROWS_14
#define UKR_WIDE(X) X(15) X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28)
#define UKR_HALF UKR_ROWS_7
#elif UKR_R == 6
#define UKR_ROWS UKR_ROWS_6
#define UKR_WIDE(X) X(7) X(8) X(9) X(10) X(11) X(12)
#define UKR_HALF UKR_ROWS_3
#elif UKR_R == 3
#define UKR_ROWS UKR_ROWS_3
#define UKR_WIDE(X) X(4) X(5) X(6)
#define UKR_HALF(X) X(1)
#endif

#define UKR_DEF_ONE(r)                               \
    static void ukr_##r##x1(const ukr_args *u)       \
    {                                                \
        ukr_body(u, r, 1, r, VB);                    \
    }                                                \
    static void ukr_plain_##r##x1(const ukr_args *u) \
    {                                                \
        ukr_body(u, r, 1, r, 1);                     \
    }                                                \
    static void ukr_other_##r##x1(const ukr_args *u) \
    {                                                \
        ukr_body(u, r, 1, r, 2);                     \
    }
#define UKR_DEF_TWO(r)                               \
    static void ukr_##r##x2(const ukr_args *u)       \
    {                                                \
        ukr_body(u, r, 2, r, VB);                    \
    }                                                \
    static void ukr_plain_##r##x2(const ukr_args *u) \
    {                                                \
        ukr_body(u, r, 2, r, 1);                     \
    }                                                \
    static void ukr_other_##r##x2(const ukr_args *u) \
    {                                                \
        ukr_body(u, r, 2, r, 2);                     \
    }
#define UKR_DEF_DUAL(r)                             \
    static void ukr_dual_##r##x1(const ukr_args *u) \
    {                                               \
        ukr_body(u, 2 * r, 1, r, VB);               \
    }                                               \
    static void ukr_dual_##r##x2(const ukr_args *u) \
    {                                               \
        ukr_body(u, 2 * r, 2, r, VB);               \
    }
UKR_ROWS(UKR_DEF_ONE)
UKR_ROWS(UKR_DEF_TWO)
UKR_WIDE(UKR_DEF_ONE)
UKR_HALF(UKR_DEF_DUAL)

/* tables by pixels and vectors; more than UKR_R pixels only for one vector */
#define UKR_AT(r) [r] = { ukr_##r##x1, ukr_##r##x2 },
#define UKR_AT_PLAIN(r) [r] = { ukr_plain_##r##x1, ukr_plain_##r##x2 },
#define UKR_AT_OTHER(r) [r] = { ukr_other_##r##x1, ukr_other_##r##x2 },
#define UKR_AT_DUAL(r) [r] = { ukr_dual_##r##x1, ukr_dual_##r##x2 },
#define UKR_AT_WIDE(r) [r] = { ukr_##r##x1, NULL },
#define UKR_AT_WIDE_PLAIN(r) [r] = { ukr_plain_##r##x1, NULL },
#define UKR_AT_WIDE_OTHER(r) [r] = { ukr_other_##r##x1, NULL },
static const ukr_fn ukr_table[UKR_MOST + 1][UKR_C] = { UKR_ROWS(UKR_AT) UKR_WIDE(UKR_AT_WIDE) };
static const ukr_fn ukr_table_plain[UKR_MOST + 1][UKR_C] = { UKR_ROWS(UKR_AT_PLAIN)
                                                                 UKR_WIDE(UKR_AT_WIDE_PLAIN) };
static const ukr_fn ukr_table_other[UKR_MOST + 1][UKR_C] = { UKR_ROWS(UKR_AT_OTHER)
                                                                 UKR_WIDE(UKR_AT_WIDE_OTHER) };
static const ukr_fn ukr_table_dual[UKR_R / 2 + 1][UKR_C] = { UKR_HALF(UKR_AT_DUAL) };

/* The i-th of the blocks that cut `len` pixels into as few and as equal pieces as possible. */
static int ukr_cut(int len, int blocks, int i)
{
    return len / blocks + (i < len % blocks);
}
static int ukr_blocks(int len, int vecs)
{
    const int most = vecs == 1 ? UKR_MOST : UKR_R;
    return (len + most - 1) / most;
}

#endif
