/* What the training kernels share: how the pixels of a channel block are cut into runs, and runs into splits.
 *
 * A sum over a batch is taken in float within a run (about RUN_PX pixels: part of a picture or a few small
 * ones), in double over the runs of a split, and in double over the splits. Runs and splits follow from the
 * shape alone, so that the result does not depend on the pool. A task is one split of one channel block;
 * there are at least TASKS of them where the work allows, for pools of that size.
 */
#ifndef MIEN_SRC_TRAIN_COMMON_INC_H
#define MIEN_SRC_TRAIN_COMMON_INC_H

#include "nn/kernels/ints.inc.h"
#include "nn/kernels/vec.h"
#include "train/kernels/train_tables.h"

enum { TASKS = 16, RUN_PX = 512 };

typedef struct chan_runs {
    int n, cbs, hw;
    int per_image, px; /* runs of a picture, pixels of each */
    int images;        /* pictures of a run; 1 where per_image > 1 */
    int runs, splits;  /* of a channel block */
} chan_runs;

typedef struct chan_run {
    size_t at, step; /* floats to the first pixel, and from picture to picture */
    int images, px;
} chan_run;

static chan_runs chan_runs_of(int n, int c, int hw)
{
    chan_runs r = { .n = n, .cbs = div_up(c, VB), .hw = hw };
    r.per_image = div_up(hw, RUN_PX);
    r.px = div_up(hw, r.per_image);
    r.images = r.per_image > 1 ? 1 : max_i(1, min_i(n, RUN_PX / hw));
    r.runs = r.per_image > 1 ? n * r.per_image : div_up(n, r.images);
    r.splits = max_i(1, min_i(r.runs, div_up(TASKS, r.cbs)));
    return r;
}

static chan_run chan_run_at(const chan_runs *r, int cb, int run)
{
    const size_t plane = (size_t)r->hw * VB, image = (size_t)(run / r->per_image) * (size_t)r->images;
    const int first = run % r->per_image * r->px;
    return (chan_run){ .at = (image * r->cbs + cb) * plane + (size_t)first * VB,
                       .step = (size_t)r->cbs * plane,
                       .images = min_i(r->images, r->n - (int)image),
                       .px = min_i(r->px, r->hw - first) };
}

/* the first run of a split; split + 1 gives its end */
static int chan_split_at(const chan_runs *r, int split)
{
    return (int)((int64_t)r->runs * split / r->splits);
}

/* sum[l] += v[l] */
VF_INLINE void add_to_double(double *sum, vf v)
{
    float t[VB];
    vf_store(t, v);
    for (int l = 0; l < VB; l++)
        sum[l] += t[l];
}

/* ---- d_bias and its like: sums of each channel ---- */
typedef struct sum_ctx {
    chan_runs r;
    int cb0;
    const float *x;
    double part[2 * TASKS][VB];
} sum_ctx;

static void sum_task(void *ctx, size_t task, unsigned worker)
{
    sum_ctx *const s = ctx;
    const int cb = s->cb0 + (int)task / s->r.splits, split = (int)task % s->r.splits;
    (void)worker;
    double sum[VB] = { 0 };
    for (int run = chan_split_at(&s->r, split); run < chan_split_at(&s->r, split + 1); run++) {
        const chan_run a = chan_run_at(&s->r, cb, run);
        vf acc[4] = { vf_zero(), vf_zero(), vf_zero(), vf_zero() };
        for (int n = 0; n < a.images; n++) {
            const float *p = s->x + a.at + n * a.step;
            int i = 0;
            for (; i + 4 <= a.px; i += 4, p += 4 * VB) {
                VF_UNROLL for (int k = 0; k < 4; k++) acc[k] = vf_add(acc[k], vf_load(p + k * VB));
            }
            for (; i < a.px; i++, p += VB)
                acc[0] = vf_add(acc[0], vf_load(p));
        }
        add_to_double(sum, vf_add(vf_add(acc[0], acc[1]), vf_add(acc[2], acc[3])));
    }
    memcpy(s->part[task], sum, sizeof sum);
}

static void channel_sums(int n, int c, int hw, const float *x, float *ret, mien__pool *pool)
{
    sum_ctx s = { .r = chan_runs_of(n, c, hw), .x = x };
    const int group = max_i(1, 2 * TASKS / s.r.splits);
    for (s.cb0 = 0; s.cb0 < s.r.cbs; s.cb0 += group) {
        const int cbs = min_i(group, s.r.cbs - s.cb0);
        mien__pool_run(pool, sum_task, &s, (size_t)cbs * s.r.splits);
        for (int ch = s.cb0 * VB; ch < min_i(c, (s.cb0 + cbs) * VB); ch++) {
            double sum = 0;
            for (int k = 0; k < s.r.splits; k++)
                sum += s.part[(ch / VB - s.cb0) * s.r.splits + k][ch % VB];
            ret[ch] = (float)sum;
        }
    }
}

#endif
