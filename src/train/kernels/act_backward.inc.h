/* Activations backward: d_x = d_y act'(x), and the slope's gradient of PReLU, sum of d_y x where x <= 0.
 *
 * Kinks take the derivative of the side below (0 for RELU, the slope for PRELU and LEAKY; 0 at both ends of
 * CLIP and HSIGMOID). The smooth kinds use the vector functions of the forward pass.
 */
#ifndef MIEN_SRC_TRAIN_ACT_BACKWARD_INC_H
#define MIEN_SRC_TRAIN_ACT_BACKWARD_INC_H

#include "nn/kernels/vmath.inc.h"
#include "train/kernels/train_common.inc.h"

static bool act_can(mien__act act)
{
    return act >= MIEN__ACT_NONE && act <= MIEN__ACT_GELU;
}

/* 1 where lo < x < hi, else 0 */
VF_INLINE vf act_inside(vf x, vf lo, vf hi)
{
    return vf_sel_lt(lo, x, vf_sel_lt(x, hi, vf_set1(1.0f), vf_zero()), vf_zero());
}

/* GELU': Phi(x) + x phi(x) */
VF_INLINE vf act_gelu_slope(vf x)
{
    const vf half = vf_set1(0.5f), z = vf_mul(x, vf_set1(0.70710678118654752f));
    const vf cdf = vf_fma(half, vf_erf(z), half);
    const vf pdf = vf_mul(vf_set1(0.39894228040143268f), vf_exp(vf_mul(vf_set1(-0.5f), vf_mul(x, x))));
    return vf_fma(x, pdf, cdf);
}

VF_INLINE vf act_slope(const mien__act act, vf x, vf alpha, vf beta, vf slope)
{
    const vf zero = vf_zero(), one = vf_set1(1.0f);
    switch (act) {
    case MIEN__ACT_RELU:
        return vf_sel_lt(zero, x, one, zero);
    case MIEN__ACT_LEAKY:
        return vf_sel_lt(zero, x, one, alpha);
    case MIEN__ACT_PRELU:
        return vf_sel_lt(zero, x, one, slope);
    case MIEN__ACT_CLIP:
        return act_inside(x, alpha, beta);
    case MIEN__ACT_SIGMOID: {
        const vf s = vf_sigmoid(x);
        return vf_mul(s, vf_sub(one, s));
    }
    case MIEN__ACT_TANH: {
        const vf t = vf_tanh(x);
        return vf_fnma(t, t, one);
    }
    case MIEN__ACT_HSIGMOID:
        return vf_mul(alpha, act_inside(vf_fma(x, alpha, beta), zero, one));
    case MIEN__ACT_HSWISH: { /* x (x + 3) / 6 between -3 and 3 */
        const vf three = vf_set1(3.0f), mid = vf_fma(x, vf_set1(1.0f / 3), vf_set1(0.5f));
        return vf_sel_lt(vf_set1(-3.0f), x, vf_sel_lt(x, three, mid, one), zero);
    }
    case MIEN__ACT_SWISH: {
        const vf s = vf_sigmoid(x);
        return vf_mul(s, vf_fma(x, vf_sub(one, s), one));
    }
    case MIEN__ACT_GELU:
        return act_gelu_slope(x);
    default:
        return one;
    }
}

typedef struct act_ctx {
    chan_runs r;
    int cb0;
    mien__act act;
    float alpha, beta;
    const float *slope, *x, *d_y;
    float *d_x;
    int channels;
    double part[2 * TASKS][VB];
} act_ctx;

VF_INLINE void act_run(const act_ctx *x, int cb, const chan_run *a, double *sum, const mien__act ACT)
{
    const vf alpha = vf_set1(x->alpha), beta = vf_set1(x->beta);
    vf slope = vf_zero(), g = vf_zero();
    if (ACT == MIEN__ACT_PRELU && x->slope)
        slope = vf_load_part(x->slope + cb * VB, (size_t)min_i(VB, x->channels - cb * VB));
    for (int n = 0; n < a->images; n++) {
        const size_t at = a->at + n * a->step;
        for (int i = 0; i < a->px; i++) {
            const size_t o = at + (size_t)i * VB;
            const vf v = vf_load(x->x + o), dy = vf_load(x->d_y + o);
            vf_store(x->d_x + o, vf_mul(dy, act_slope(ACT, v, alpha, beta, slope)));
            if (ACT == MIEN__ACT_PRELU)
                g = vf_fma(dy, vf_min(v, vf_zero()), g);
        }
    }
    if (ACT == MIEN__ACT_PRELU)
        add_to_double(sum, g);
}

static void act_run_other(const act_ctx *x, int cb, const chan_run *a, double *sum)
{
    act_run(x, cb, a, sum, x->act);
}
static void act_run_relu(const act_ctx *x, int cb, const chan_run *a, double *sum)
{
    act_run(x, cb, a, sum, MIEN__ACT_RELU);
}
static void act_run_prelu(const act_ctx *x, int cb, const chan_run *a, double *sum)
{
    act_run(x, cb, a, sum, MIEN__ACT_PRELU);
}

static void act_task(void *ctx, size_t task, unsigned worker)
{
    act_ctx *const x = ctx;
    const int cb = x->cb0 + (int)task / x->r.splits, split = (int)task % x->r.splits;
    double sum[VB] = { 0 };
    (void)worker;
    for (int run = chan_split_at(&x->r, split); run < chan_split_at(&x->r, split + 1); run++) {
        const chan_run a = chan_run_at(&x->r, cb, run);
        if (x->act == MIEN__ACT_PRELU)
            act_run_prelu(x, cb, &a, sum);
        else if (x->act == MIEN__ACT_RELU)
            act_run_relu(x, cb, &a, sum);
        else
            act_run_other(x, cb, &a, sum);
    }
    memcpy(x->part[task], sum, sizeof sum);
}

static void act_backward(int n, int c, int hw, mien__act act, float alpha, float beta, const float *slope,
                         const float *x, const float *d_y, float *d_x, float *d_slope, mien__pool *pool)
{
    act_ctx t = { .r = chan_runs_of(n, c, hw), .act = act, .alpha = alpha, .beta = beta, .slope = slope };
    t.x = x, t.d_y = d_y, t.d_x = d_x, t.channels = c;
    const int group = 2 * TASKS / t.r.splits;
    for (t.cb0 = 0; t.cb0 < t.r.cbs; t.cb0 += group) {
        const int cbs = min_i(group, t.r.cbs - t.cb0);
        mien__pool_run(pool, act_task, &t, (size_t)cbs * t.r.splits);
        for (int ch = t.cb0 * VB; d_slope && ch < min_i(c, (t.cb0 + cbs) * VB); ch++) {
            double sum = 0;
            for (int k = 0; k < t.r.splits; k++)
                sum += t.part[(ch / VB - t.cb0) * t.r.splits + k][ch % VB];
            d_slope[ch] = (float)sum;
        }
    }
}

#endif
