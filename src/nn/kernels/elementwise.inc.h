/* Elementwise kernels: affine per channel, two operands, gates, activations. All cut their work into pieces
 * of EW_PIECE vectors; the tail of a piece is padded into a vector, so that every element sees the same
 * arithmetic.
 */
#ifndef MIEN_SRC_NN_KERNELS_ELEMENTWISE_INC_H
#define MIEN_SRC_NN_KERNELS_ELEMENTWISE_INC_H

#include "nn/graph.h"
#include "nn/kernels/conv_common.inc.h"

enum { EW_PIECE = 8192 }; /* floats of one task: 32 KB, a whole number of any vector */

static const mien__post post_none;

/* ---- per channel, on blocked planes; a task is one piece of one plane ---- */
typedef struct planes_ctx {
    int cbs, hw, pieces;
    const float *scale, *shift, *slope, *gate, *src;
    float *dst;
    post_ctx post;
} planes_ctx;

static size_t planes_cut(planes_ctx *x, int n, int c, int hw)
{
    x->cbs = div_up(c, VB), x->hw = hw;
    x->pieces = div_up(hw, EW_PIECE / VB);
    return (size_t)n * x->cbs * x->pieces;
}

static void affine_task(void *ctx, size_t task, unsigned worker)
{
    const planes_ctx *const x = ctx;
    (void)worker;
    const size_t plane = task / (size_t)x->pieces;
    const int first = (int)(task % (size_t)x->pieces) * (EW_PIECE / VB),
              end = min_i(x->hw, first + EW_PIECE / VB);
    const int ch = (int)(plane % (size_t)x->cbs) * VB;
    const vf a = x->scale ? vf_load(x->scale + ch) : vf_set1(1.0f),
             b = x->shift ? vf_load(x->shift + ch) : vf_zero();
    const vf slope =
        x->slope && x->post.act == MIEN__ACT_PRELU ? vf_load(x->slope + ch) : vf_set1(x->post.slope);
    const float *const s = x->src + plane * (size_t)x->hw * VB;
    float *const d = x->dst + plane * (size_t)x->hw * VB;
    for (int i = first; i < end; i++)
        vf_store(d + (size_t)i * VB, post_act(&x->post, vf_fma(vf_load(s + (size_t)i * VB), a, b), slope));
}

static void affine(int n, int c, int hw, const float *scale, const float *shift, const mien__post *post,
                   const float *slope, const float *src, float *dst, mien__pool *pool)
{
    planes_ctx x = { .scale = scale,
                     .shift = shift,
                     .slope = slope,
                     .src = src,
                     .dst = dst,
                     .post = post_make(post ? post : &post_none) };
    mien__pool_run(pool, affine_task, &x, planes_cut(&x, n, c, hw));
}

static void gate_task(void *ctx, size_t task, unsigned worker)
{
    const planes_ctx *const x = ctx;
    (void)worker;
    const size_t plane = task / (size_t)x->pieces;
    const int first = (int)(task % (size_t)x->pieces) * (EW_PIECE / VB),
              end = min_i(x->hw, first + EW_PIECE / VB);
    const vf a = vf_load(x->gate + plane * VB);
    const float *const s = x->src + plane * (size_t)x->hw * VB;
    float *const d = x->dst + plane * (size_t)x->hw * VB;
    for (int i = first; i < end; i++)
        vf_store(d + (size_t)i * VB, vf_mul(vf_load(s + (size_t)i * VB), a));
}

static void scale_channels(int n, int c, int hw, const float *src, const float *gate, float *dst,
                           mien__pool *pool)
{
    planes_ctx x = { .gate = gate, .src = src, .dst = dst };
    mien__pool_run(pool, gate_task, &x, planes_cut(&x, n, c, hw));
}

/* ---- over a run of floats ---- */
typedef struct flat_ctx {
    int op;
    size_t count;
    const float *a, *b;
    float *dst;
    post_ctx post;
} flat_ctx;

VF_INLINE vf binary_op(int op, vf a, vf b)
{
    switch (op) {
    case MIEN__OP_Add:
        return vf_add(a, b);
    case MIEN__OP_Sub:
        return vf_sub(a, b);
    case MIEN__OP_Mul:
        return vf_mul(a, b);
    case MIEN__OP_Div:
        return vf_div(a, b);
    case MIEN__OP_Max:
        return vf_max(a, b);
    default:
        return vf_min(a, b);
    }
}

VF_INLINE void binary_piece(const flat_ctx *x, size_t i, size_t end, const int op)
{
    const vf slope = vf_set1(x->post.slope);
    for (; i + VB <= end; i += VB)
        vf_store(x->dst + i, post_act(&x->post, binary_op(op, vf_load(x->a + i), vf_load(x->b + i)), slope));
    if (i < end) {
        const vf a = vf_load_part(x->a + i, end - i), b = vf_load_part(x->b + i, end - i);
        vf_store_part(x->dst + i, post_act(&x->post, binary_op(op, a, b), slope), end - i);
    }
}

static void binary_task(void *ctx, size_t task, unsigned worker)
{
    const flat_ctx *const x = ctx;
    (void)worker;
    const size_t first = task * EW_PIECE, end = first + EW_PIECE < x->count ? first + EW_PIECE : x->count;
    switch (x->op) {
    case MIEN__OP_Add:
        binary_piece(x, first, end, MIEN__OP_Add);
        break;
    case MIEN__OP_Mul:
        binary_piece(x, first, end, MIEN__OP_Mul);
        break;
    default:
        binary_piece(x, first, end, x->op);
    }
}

static void binary(int op, size_t count, const float *a, const float *b, float *dst, const mien__post *post,
                   mien__pool *pool)
{
    flat_ctx x = { op, count, a, b, dst, post_make(post ? post : &post_none) };
    mien__pool_run(pool, binary_task, &x, (count + EW_PIECE - 1) / EW_PIECE);
}

static void activate_task(void *ctx, size_t task, unsigned worker)
{
    const flat_ctx *const x = ctx;
    (void)worker;
    const size_t end = (task + 1) * EW_PIECE < x->count ? (task + 1) * EW_PIECE : x->count;
    const vf slope = vf_set1(x->post.slope);
    size_t i = task * EW_PIECE;
    for (; i + VB <= end; i += VB)
        vf_store(x->dst + i, post_act(&x->post, vf_load(x->a + i), slope));
    if (i < end)
        vf_store_part(x->dst + i, post_act(&x->post, vf_load_part(x->a + i, end - i), slope), end - i);
}

static void activate(mien__act act, float alpha, float beta, size_t count, const float *src, float *dst,
                     mien__pool *pool)
{
    const mien__post post = { .act = act, .alpha = alpha, .beta = beta };
    flat_ctx x = { 0, count, src, NULL, dst, post_make(&post) };
    mien__pool_run(pool, activate_task, &x, (count + EW_PIECE - 1) / EW_PIECE);
}

#endif
