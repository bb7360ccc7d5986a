/* What happens to an output between accumulator and memory: y = act2(act(x) + residual).
 *
 * NONE, RELU, LEAKY, PRELU and CLIP are one branch-free form, neg_mul(min(hi, max(lo, x)), slope); everything
 * else goes through post_act. Per-channel slopes are vectors of the channel block.
 */
#ifndef MIEN_SRC_NN_KERNELS_POST_INC_H
#define MIEN_SRC_NN_KERNELS_POST_INC_H

#include "nn/kernels/kernels.h"
#include "nn/kernels/vec.h"
#include "nn/kernels/vmath.inc.h"
#include <math.h>

typedef struct post_ctx {
    float lo, hi;   /* clamp before the slope */
    float lo2;      /* clamp after the residual */
    float slope;    /* of the uniform kinds; 1 where there is none */
    bool transcend; /* act is none of the clamp-and-slope kinds */
    bool residual;
    bool clamp; /* no slopes, nothing after the residual: clamp and at most one addition */
    mien__act act, act2;
    float alpha, beta;
} post_ctx;

static bool post_is_simple(mien__act a)
{
    return a == MIEN__ACT_NONE || a == MIEN__ACT_RELU || a == MIEN__ACT_LEAKY || a == MIEN__ACT_PRELU ||
           a == MIEN__ACT_CLIP;
}

static bool post_supported(const mien__post *p)
{
    return p->act2 == MIEN__ACT_NONE || p->act2 == MIEN__ACT_RELU || p->act2 == MIEN__ACT_PRELU;
}

static post_ctx post_make(const mien__post *p)
{
    post_ctx c = { .lo = -INFINITY,
                   .hi = INFINITY,
                   .lo2 = -INFINITY,
                   .slope = 1.0f,
                   .transcend = !post_is_simple(p->act),
                   .residual = p->residual,
                   .act = p->act,
                   .act2 = p->act2,
                   .alpha = p->alpha,
                   .beta = p->beta };
    c.clamp =
        !c.transcend && p->act != MIEN__ACT_LEAKY && p->act != MIEN__ACT_PRELU && p->act2 == MIEN__ACT_NONE;
    if (p->act == MIEN__ACT_RELU)
        c.lo = 0.0f;
    else if (p->act == MIEN__ACT_LEAKY)
        c.slope = p->alpha;
    else if (p->act == MIEN__ACT_CLIP)
        c.lo = p->alpha, c.hi = p->beta;
    if (p->act2 == MIEN__ACT_RELU)
        c.lo2 = 0.0f;
    return c;
}

VF_INLINE vf post_clamp(const post_ctx *c, vf x)
{
    return vf_min(vf_set1(c->hi), vf_max(vf_set1(c->lo), x));
}

VF_INLINE vf post_simple(const post_ctx *c, vf x, vf slope)
{
    return vf_neg_mul(post_clamp(c, x), slope);
}

static vf post_transcend(mien__act act, float alpha, float beta, vf x)
{
    const vf zero = vf_zero(), one = vf_set1(1.0f);
    switch (act) {
    case MIEN__ACT_SIGMOID:
        return vf_sigmoid(x);
    case MIEN__ACT_TANH:
        return vf_tanh(x);
    case MIEN__ACT_SWISH:
        return vf_mul(x, vf_sigmoid(x));
    case MIEN__ACT_GELU:
        return vf_gelu(x);
    case MIEN__ACT_HSIGMOID:
        return vf_min(one, vf_max(zero, vf_add(vf_mul(x, vf_set1(alpha)), vf_set1(beta))));
    case MIEN__ACT_HSWISH:
        return vf_mul(x, vf_min(one, vf_max(zero, vf_add(vf_mul(x, vf_set1(1.0f / 6)), vf_set1(0.5f)))));
    default:
        return x;
    }
}

/* everything but the residual part */
VF_INLINE vf post_act(const post_ctx *c, vf x, vf slope)
{
    return c->transcend ? post_transcend(c->act, c->alpha, c->beta, x) : post_simple(c, x, slope);
}

/* all of it; res is read only when there is a residual */
VF_INLINE vf post_full(const post_ctx *c, vf x, vf slope, const float *res, vf slope2)
{
    x = post_act(c, x, slope);
    if (c->residual)
        x = vf_neg_mul(vf_max(vf_set1(c->lo2), vf_add(x, vf_load(res))), slope2);
    return x;
}

#endif
