/* What the convolution kernels share: the head of packed weights and small arithmetic.
 *
 * Packed weights start with vectors of padded length: bias, slope, slope2 [ocp], pre_scale, pre_shift [icp].
 */
#ifndef MIEN_SRC_NN_KERNELS_CONV_COMMON_INC_H
#define MIEN_SRC_NN_KERNELS_CONV_COMMON_INC_H

#include "nn/kernels/ints.inc.h"
#include "nn/kernels/ukr.inc.h"

enum { ALGO_DIRECT = 1, ALGO_DEPTHWISE, ALGO_WINOGRAD };

typedef struct conv_head {
    const float *bias, *slope, *slope2, *pre_scale, *pre_shift, *w;
} conv_head;

static size_t conv_head_floats(const mien__conv *c)
{
    return 3 * (size_t)div_up(c->oc, VB) * VB + 2 * (size_t)div_up(c->ic, VB) * VB;
}

static conv_head conv_head_at(const mien__conv *c, const void *packed)
{
    const size_t ocp = (size_t)div_up(c->oc, VB) * VB, icp = (size_t)div_up(c->ic, VB) * VB;
    const float *const p = packed;
    return (conv_head){ p, p + ocp, p + 2 * ocp, p + 3 * ocp, p + 3 * ocp + icp, p + 3 * ocp + 2 * icp };
}

/* true when some output reads outside the picture */
static bool conv_is_padded(const mien__conv *c)
{
    return c->pt > 0 || c->pl > 0 || (c->oh - 1) * c->sh + (c->kh - 1) * c->dh + 1 - c->pt > c->ih ||
           (c->ow - 1) * c->sw + (c->kw - 1) * c->dw + 1 - c->pl > c->iw;
}

/* An affine in front of an unpadded convolution is folded: w' = w scale, bias' = bias + sum w shift. */
static void conv_pack_head(const mien__conv *c, const mien__conv_weights *w, bool fold, float *packed)
{
    const int ocp = div_up(c->oc, VB) * VB, icp = div_up(c->ic, VB) * VB;
    const int per_oc = c->ic / c->groups * c->kh * c->kw, taps = c->kh * c->kw;
    memset(packed, 0, conv_head_floats(c) * sizeof *packed);
    for (int o = 0; o < ocp; o++) {
        const bool in = o < c->oc;
        double b = in && w->bias ? w->bias[o] : 0.0;
        if (in && fold)
            for (int k = 0; k < per_oc; k++) {
                const int ch = c->groups == 1 ? k / taps : o;
                b += (double)w->w[(size_t)o * per_oc + k] * (w->pre_shift ? w->pre_shift[ch] : 0.0f);
            }
        packed[o] = (float)b;
        packed[ocp + o] = c->post.act == MIEN__ACT_PRELU && in && w->slope ? w->slope[o]
                          : c->post.act == MIEN__ACT_LEAKY                 ? c->post.alpha
                                                                           : 1.0f;
        packed[2 * ocp + o] = c->post.act2 == MIEN__ACT_PRELU && in && w->slope2 ? w->slope2[o] : 1.0f;
    }
    for (int i = 0; c->pre_affine && i < c->ic; i++) {
        packed[3 * ocp + i] = w->pre_scale ? w->pre_scale[i] : 1.0f;
        packed[3 * ocp + icp + i] = w->pre_shift ? w->pre_shift[i] : 0.0f;
    }
}

#endif
