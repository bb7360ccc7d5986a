/* Vector exp, sigmoid, tanh, erf and the activations built on them, relative error a few 1e-7.
 *
 * exp: x = n ln2 + r with ln2 in two parts (Cody, Waite 1980), exp(r) by its Taylor polynomial of degree 7 on
 * |r| <= ln2/2 (remainder 5e-9), 2^n by two factors so that results down to the smallest normal are right.
 * sigmoid: e = exp(-|x|); x >= 0: 1/(1+e), x < 0: e/(1+e), no cancellation. tanh: below 0.625 the minimax of
 * Cephes (Moshier), above 1 - 2/(exp(2|x|)+1). erf and its complement: see vf_erf.
 */
#ifndef MIEN_SRC_NN_KERNELS_VMATH_INC_H
#define MIEN_SRC_NN_KERNELS_VMATH_INC_H

#include "nn/kernels/vec.h"

VF_INLINE vf vf_exp(vf x)
{
    x = vf_min(vf_set1(89.0f), vf_max(vf_set1(-104.0f), x)); /* constant first: NaN stays NaN */
    const vf n = vf_round(vf_mul(x, vf_set1(1.44269504088896341f)));
    vf r = vf_fnma(n, vf_set1(0.693359375f), x);
    r = vf_fnma(n, vf_set1(-2.12194440e-4f), r);
    vf p = vf_set1(1.0f / 5040);
    p = vf_fma(p, r, vf_set1(1.0f / 720));
    p = vf_fma(p, r, vf_set1(1.0f / 120));
    p = vf_fma(p, r, vf_set1(1.0f / 24));
    p = vf_fma(p, r, vf_set1(1.0f / 6));
    p = vf_fma(p, r, vf_set1(0.5f));
    p = vf_fma(vf_mul(p, r), r, vf_add(r, vf_set1(1.0f)));
    const vf h = vf_round(vf_mul(n, vf_set1(0.5f)));
    return vf_mul(vf_mul(p, vf_pow2(h)), vf_pow2(vf_sub(n, h)));
}

VF_INLINE vf vf_sigmoid(vf x)
{
    const vf one = vf_set1(1.0f), e = vf_exp(vf_sub(vf_zero(), vf_abs(x)));
    return vf_div(vf_sel_lt(x, vf_zero(), e, one), vf_add(one, e));
}

VF_INLINE vf vf_tanh(vf x)
{
    const vf one = vf_set1(1.0f), a = vf_abs(x), s = vf_mul(x, x);
    vf p = vf_set1(-5.70498872745e-3f);
    p = vf_fma(p, s, vf_set1(2.06390887954e-2f));
    p = vf_fma(p, s, vf_set1(-5.37397155531e-2f));
    p = vf_fma(p, s, vf_set1(1.33314422036e-1f));
    p = vf_fma(p, s, vf_set1(-3.33332819422e-1f));
    const vf small = vf_fma(vf_mul(p, s), x, x);
    const vf big = vf_sub(one, vf_div(vf_set1(2.0f), vf_add(vf_exp(vf_add(a, a)), one)));
    return vf_sel_lt(a, vf_set1(0.625f), small, vf_copysign(big, x));
}

/* erf: |x| < 1: x times its Maclaurin series to x^22; above: 1 - t exp(-x^2) P(t), t = 1/(1 + x/2), with the
 * Chebyshev fit of Numerical Recipes (Press et al. 1992, 6.2) erfc = t exp(-x^2 + P(t)), relative
 * error 1.2e-7. */
VF_INLINE vf vf_erf(vf x)
{
    static const float c[11] = { 1.128379167095513f,    -0.376126389031838f,   0.112837916709551f,
                                 -0.0268661706451313f,  5.22397762544218e-3f,  -8.54832702345085e-4f,
                                 1.20553329817897e-4f,  -1.49256503584063e-5f, 1.64621143658892e-6f,
                                 -1.63658446912349e-7f, 1.48071928158792e-8f };
    static const float d[10] = { -1.26551223f, 1.00002368f,  0.37409196f, 0.09678418f,  -0.18628806f,
                                 0.27886807f,  -1.13520398f, 1.48851587f, -0.82215223f, 0.17087277f };
    const vf one = vf_set1(1.0f), a = vf_abs(x), s = vf_mul(x, x);
    vf p = vf_set1(c[10]), q = vf_set1(d[9]);
    const vf t = vf_div(one, vf_fma(a, vf_set1(0.5f), one));
    for (int i = 9; i >= 0; i--)
        p = vf_fma(p, s, vf_set1(c[i]));
    for (int i = 8; i >= 0; i--)
        q = vf_fma(q, t, vf_set1(d[i]));
    const vf big = vf_fnma(t, vf_exp(vf_sub(q, s)), one);
    return vf_sel_lt(a, one, vf_mul(p, x), vf_copysign(big, x));
}

/* 0.5 x (1 + erf(x/sqrt2)); for x < -1 by erfc so that the tail keeps its relative accuracy */
VF_INLINE vf vf_gelu(vf x)
{
    static const float d[10] = { -1.26551223f, 1.00002368f,  0.37409196f, 0.09678418f,  -0.18628806f,
                                 0.27886807f,  -1.13520398f, 1.48851587f, -0.82215223f, 0.17087277f };
    const vf one = vf_set1(1.0f), half = vf_set1(0.5f), z = vf_mul(x, vf_set1(0.70710678118654752f));
    const vf a = vf_abs(z), t = vf_div(one, vf_fma(a, half, one));
    vf q = vf_set1(d[9]);
    for (int i = 8; i >= 0; i--)
        q = vf_fma(q, t, vf_set1(d[i]));
    const vf erfc = vf_mul(t, vf_exp(vf_fnma(a, a, q)));
    const vf cdf2 = vf_sel_lt(z, vf_set1(-1.0f), erfc, vf_add(one, vf_erf(z)));
    return vf_mul(vf_mul(half, x), cdf2);
}

#endif
