/* The whole training table for one instruction set; included once by each x86/ and arm/train_kernels_*.c. */
#include "train/kernels/act_backward.inc.h"
#include "train/kernels/conv_dx.inc.h"
#include "train/kernels/dw_dense.inc.h"
#include "train/kernels/dw_depthwise.inc.h"
#include "train/kernels/norm_backward.inc.h"
#include "train/kernels/spatial_backward.inc.h"
#include "train/kernels/train_gemm.inc.h"

static bool conv_dw_can(const mien__conv *c)
{
    return !c->pre_affine && (dw_depthwise_can(c) || dw_dense_can(c));
}

static size_t conv_dw_scratch(const mien__conv *c)
{
    return dw_depthwise_can(c) ? dw_depthwise_scratch(c) : dw_dense_scratch(c);
}

static void conv_dw(const mien__conv *c, const float *src, const float *d_dst, float *d_w, float *d_bias,
                    void *scratch, mien__pool *pool)
{
    if (dw_depthwise_can(c))
        dw_depthwise(c, src, d_dst, d_w, scratch, pool);
    else
        dw_dense(c, src, d_dst, d_w, scratch, pool);
    if (d_bias)
        channel_sums(c->n, c->oc, c->oh * c->ow, d_dst, d_bias, pool);
}

const mien__train_kernels VF_NAME(mien__train_kernels) = {
    .name = VF_LEVEL,
    .block = VB,
    .conv_dw_can = conv_dw_can,
    .conv_dw_scratch = conv_dw_scratch,
    .conv_dw = conv_dw,
    .conv_dx_plan = conv_dx_plan,
    .conv_dx_pack = conv_dx_pack,
    .conv_dx_run = conv_dx_run,
    .bn_stats = bn_stats,
    .bn_act_backward = bn_act_backward,
    .act_can = act_can,
    .act_backward = act_backward,
    .maxpool_backward = maxpool_backward,
    .upsample_backward = upsample_backward,
    .global_avg_backward = global_avg_backward,
    .scale_channels_backward = scale_channels_backward,
    .accumulate = accumulate,
    .gemm_scratch = gemm_scratch,
    .gemm = gemm,
};
