/* The whole table for one instruction set; included once by each x86/kernels_*.c and arm/kernels_*.c. */
#include "nn/kernels/conv_depthwise.inc.h"
#include "nn/kernels/conv_direct.inc.h"
#include "nn/kernels/conv_winograd.inc.h"
#include "nn/kernels/elementwise.inc.h"
#include "nn/kernels/fc.inc.h"
#include "nn/kernels/kernel_tables.h"
#include "nn/kernels/layout.inc.h"

static bool conv_plan(const mien__conv *c, unsigned threads, mien__conv_plan *ret)
{
    mien__conv_plan p = { .c = *c, .threads = threads ? threads : 1 };
    if (c->n <= 0 || c->oh <= 0 || c->ow <= 0 || c->ic <= 0 || c->oc <= 0 || c->pt < 0 || c->pl < 0)
        return false;
    if (c->pool && (c->oh < 2 || c->ow < 2))
        return false;
    if (!depthwise_plan(c, &p) && (c->pool || (!winograd_plan(c, &p) && !direct_plan(c, &p))))
        return false;
    *ret = p;
    return true;
}

static void conv_pack(const mien__conv_plan *p, const mien__conv_weights *w, void *packed)
{
    if (p->algo == ALGO_DEPTHWISE)
        depthwise_pack(p, w, packed);
    else if (p->algo == ALGO_WINOGRAD)
        winograd_pack(p, w, packed);
    else
        direct_pack(p, w, packed);
}

static void conv_run(const mien__conv_plan *p, const void *packed, const float *src, const float *residual,
                     float *dst, void *scratch, mien__pool *pool)
{
    if (p->algo == ALGO_DEPTHWISE)
        depthwise_run(p, packed, src, residual, dst, scratch, pool);
    else if (p->algo == ALGO_WINOGRAD)
        winograd_run(p, packed, src, residual, dst, scratch, pool);
    else
        direct_run(p, packed, src, residual, dst, scratch, pool);
}

const mien__kernels VF_NAME(mien__kernels) = {
    .name = VF_LEVEL,
    .block = VB,
    .conv_plan = conv_plan,
    .conv_pack = conv_pack,
    .conv_run = conv_run,
    .fc_packed_bytes = fc_packed_bytes,
    .fc_pack = fc_pack,
    .fc_run = fc_run,
    .to_blocked = to_blocked,
    .to_plain = to_plain,
    .pool2d = pool2d,
    .global_avg = global_avg,
    .affine = affine,
    .binary = binary,
    .scale_channels = scale_channels,
    .upsample_nearest = upsample_nearest,
    .activate = activate,
    .rgb8_to_planes = rgb8_to_planes,
};
