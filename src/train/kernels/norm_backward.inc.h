/* Batch normalisation: statistics, and the backward of norm and activation in one.
 *
 * Statistics: within a run the sums of x - k and (x - k)^2 with k the run's first pixel (no cancellation when
 * the mean is large), runs and splits combined in double after Chan, Golub, LeVeque 1983.
 *
 * Backward, with z = gamma (x - mean) inv_std + beta, dz = d_y act'(z), m = n hw (Ioffe, Szegedy 2015):
 *   d_beta = sum dz,  d_gamma = inv_std sum dz (x - mean),  d_slope = sum of d_y z where z <= 0,
 *   d_x = gamma inv_std (dz - d_beta / m - (x - mean) inv_std d_gamma / m).
 * Two passes over x and d_y. A channel block that fits the second cache is done by one task, both passes;
 * else a few blocks at a time go through both, so that the second pass finds them in the last cache.
 */
#ifndef MIEN_SRC_TRAIN_NORM_BACKWARD_INC_H
#define MIEN_SRC_TRAIN_NORM_BACKWARD_INC_H

#include "train/kernels/train_common.inc.h"

enum { BN_L2 = 1 << 20, BN_L3 = 12 << 20 };

/* ---- statistics ---- */
typedef struct moments {
    double count, mean[VB], m2[VB];
} moments;

static void moments_add(moments *t, double count, const double *mean, const double *m2)
{
    const double total = t->count + count, share = count / total, both = t->count * share;
    for (int l = 0; l < VB; l++) {
        const double d = mean[l] - t->mean[l];
        t->mean[l] += d * share;
        t->m2[l] += m2[l] + d * d * both;
    }
    t->count = total;
}

typedef struct stats_ctx {
    chan_runs r;
    int cb0;
    const float *x;
    moments part[2 * TASKS];
} stats_ctx;

static void stats_run(const float *x, const chan_run *a, moments *t)
{
    const vf k = vf_load(x + a->at);
    vf s[2] = { vf_zero(), vf_zero() }, q[2] = { vf_zero(), vf_zero() };
    for (int n = 0; n < a->images; n++) {
        const float *p = x + a->at + n * a->step;
        int i = 0;
        for (; i + 2 <= a->px; i += 2, p += 2 * VB) {
            VF_UNROLL for (int j = 0; j < 2; j++)
            {
                const vf d = vf_sub(vf_load(p + j * VB), k);
                s[j] = vf_add(s[j], d);
                q[j] = vf_fma(d, d, q[j]);
            }
        }
        if (i < a->px) {
            const vf d = vf_sub(vf_load(p), k);
            s[0] = vf_add(s[0], d);
            q[0] = vf_fma(d, d, q[0]);
        }
    }
    float fk[VB], fs[VB], fq[VB];
    double mean[VB], m2[VB];
    const double count = (double)a->images * a->px, inverse = 1 / count;
    vf_store(fk, k), vf_store(fs, vf_add(s[0], s[1])), vf_store(fq, vf_add(q[0], q[1]));
    for (int l = 0; l < VB; l++) {
        const double d = fs[l] * inverse, v = fq[l] - fs[l] * d;
        mean[l] = fk[l] + d;
        m2[l] = v > 0 ? v : 0;
    }
    moments_add(t, count, mean, m2);
}

static void stats_task(void *ctx, size_t task, unsigned worker)
{
    stats_ctx *const s = ctx;
    const int cb = s->cb0 + (int)task / s->r.splits, split = (int)task % s->r.splits;
    moments t = { 0 };
    (void)worker;
    for (int run = chan_split_at(&s->r, split); run < chan_split_at(&s->r, split + 1); run++) {
        const chan_run a = chan_run_at(&s->r, cb, run);
        stats_run(s->x, &a, &t);
    }
    s->part[task] = t;
}

static void bn_stats(int n, int c, int hw, const float *x, float *ret_mean, float *ret_var, mien__pool *pool)
{
    stats_ctx s = { .r = chan_runs_of(n, c, hw), .x = x };
    const int group = 2 * TASKS / s.r.splits;
    for (s.cb0 = 0; s.cb0 < s.r.cbs; s.cb0 += group) {
        const int cbs = min_i(group, s.r.cbs - s.cb0);
        mien__pool_run(pool, stats_task, &s, (size_t)cbs * s.r.splits);
        for (int cb = 0; cb < cbs; cb++) {
            moments *const t = &s.part[cb * s.r.splits];
            for (int k = 1; k < s.r.splits; k++)
                moments_add(t, t[k].count, t[k].mean, t[k].m2);
            const int ch = (s.cb0 + cb) * VB;
            for (int l = 0; l < min_i(VB, c - ch); l++) {
                ret_mean[ch + l] = (float)t->mean[l];
                ret_var[ch + l] = (float)(t->m2[l] / t->count);
            }
        }
    }
}

/* ---- backward ---- */
typedef struct bn_sums {
    double dz[VB], dz_x[VB], slope[VB];
} bn_sums;

typedef struct bn_coef { /* d_x = a dz - b - c (x - mean) */
    float a[VB], b[VB], c[VB];
} bn_coef;

typedef struct bn_ctx {
    const mien__bn_act *p;
    chan_runs r;
    int cb0;
    const float *x, *d_y;
    float *d_x, *d_gamma, *d_beta, *d_slope;
    bn_sums part[2 * TASKS];
    bn_coef coef[2 * TASKS];
} bn_ctx;

typedef struct bn_vecs {
    vf mean, scale, beta, slope, lo, hi;
} bn_vecs;

static bn_vecs bn_vecs_at(const mien__bn_act *p, int cb)
{
    const int ch = cb * VB;
    return (bn_vecs){ .mean = vf_load(p->mean + ch),
                      .scale = vf_mul(vf_load(p->gamma + ch), vf_load(p->inv_std + ch)),
                      .beta = vf_load(p->beta + ch),
                      .slope = p->act == MIEN__ACT_PRELU ? vf_load(p->slope + ch) : vf_zero(),
                      .lo = vf_set1(p->alpha),
                      .hi = vf_set1(p->limit) };
}

/* d_y act'(z) */
VF_INLINE vf bn_dz(const int ACT, const bn_vecs *v, vf z, vf dy)
{
    const vf zero = vf_zero();
    if (ACT == MIEN__ACT_RELU)
        return vf_sel_lt(zero, z, dy, zero);
    if (ACT == MIEN__ACT_PRELU)
        return vf_sel_lt(zero, z, dy, vf_mul(dy, v->slope));
    if (ACT == MIEN__ACT_CLIP)
        return vf_sel_lt(v->lo, z, vf_sel_lt(z, v->hi, dy, zero), zero);
    return dy;
}

VF_INLINE void bn_reduce_run(const bn_ctx *x, const bn_vecs *v, const chan_run *a, bn_sums *t, const int ACT)
{
    vf s[2], q[2], g[2];
    VF_UNROLL for (int j = 0; j < 2; j++) s[j] = q[j] = g[j] = vf_zero();
    for (int n = 0; n < a->images; n++) {
        const float *p = x->x + a->at + n * a->step, *d = x->d_y + a->at + n * a->step;
        for (int i = 0; i < a->px; i += 2, p += 2 * VB, d += 2 * VB) {
            VF_UNROLL for (int j = 0; j < 2; j++)
            {
                if (j && i + 1 == a->px)
                    break;
                const vf dy = vf_load(d + j * VB), xc = vf_sub(vf_load(p + j * VB), v->mean);
                const vf z = vf_fma(xc, v->scale, v->beta), dz = bn_dz(ACT, v, z, dy);
                s[j] = vf_add(s[j], dz);
                q[j] = vf_fma(dz, xc, q[j]);
                if (ACT == MIEN__ACT_PRELU)
                    g[j] = vf_fma(dy, vf_min(z, vf_zero()), g[j]);
            }
        }
    }
    add_to_double(t->dz, vf_add(s[0], s[1]));
    add_to_double(t->dz_x, vf_add(q[0], q[1]));
    if (ACT == MIEN__ACT_PRELU)
        add_to_double(t->slope, vf_add(g[0], g[1]));
}

VF_INLINE void bn_apply_run(const bn_ctx *x, const bn_vecs *v, const chan_run *a, const bn_coef *k,
                            const int ACT)
{
    const vf ka = vf_load(k->a), kb = vf_load(k->b), kc = vf_load(k->c);
    for (int n = 0; n < a->images; n++) {
        const size_t at = a->at + n * a->step;
        const float *const p = x->x + at, *const d = x->d_y + at;
        float *const o = x->d_x + at;
        for (int i = 0; i < a->px; i++) {
            const vf xc = vf_sub(vf_load(p + (size_t)i * VB), v->mean);
            const vf z = vf_fma(xc, v->scale, v->beta);
            const vf dz = bn_dz(ACT, v, z, vf_load(d + (size_t)i * VB));
            vf_store(o + (size_t)i * VB, vf_fnma(xc, kc, vf_sub(vf_mul(ka, dz), kb)));
        }
    }
}

#define BN_DEF(name, act)                                                                               \
    static void bn_reduce_##name(const bn_ctx *x, const bn_vecs *v, const chan_run *a, bn_sums *t)      \
    {                                                                                                   \
        bn_reduce_run(x, v, a, t, act);                                                                 \
    }                                                                                                   \
    static void bn_apply_##name(const bn_ctx *x, const bn_vecs *v, const chan_run *a, const bn_coef *k) \
    {                                                                                                   \
        bn_apply_run(x, v, a, k, act);                                                                  \
    }
BN_DEF(none, MIEN__ACT_NONE)
BN_DEF(relu, MIEN__ACT_RELU)
BN_DEF(prelu, MIEN__ACT_PRELU)
BN_DEF(clip, MIEN__ACT_CLIP)

/* all runs of one split of one channel block */
static void bn_reduce(const bn_ctx *x, int cb, int split, bn_sums *ret)
{
    const bn_vecs v = bn_vecs_at(x->p, cb);
    memset(ret, 0, sizeof *ret);
    for (int run = chan_split_at(&x->r, split); run < chan_split_at(&x->r, split + 1); run++) {
        const chan_run a = chan_run_at(&x->r, cb, run);
        if (x->p->act == MIEN__ACT_PRELU)
            bn_reduce_prelu(x, &v, &a, ret);
        else if (x->p->act == MIEN__ACT_RELU)
            bn_reduce_relu(x, &v, &a, ret);
        else if (x->p->act == MIEN__ACT_CLIP)
            bn_reduce_clip(x, &v, &a, ret);
        else
            bn_reduce_none(x, &v, &a, ret);
    }
}

static void bn_apply(const bn_ctx *x, int cb, int split, const bn_coef *k)
{
    const bn_vecs v = bn_vecs_at(x->p, cb);
    for (int run = chan_split_at(&x->r, split); run < chan_split_at(&x->r, split + 1); run++) {
        const chan_run a = chan_run_at(&x->r, cb, run);
        if (x->p->act == MIEN__ACT_PRELU)
            bn_apply_prelu(x, &v, &a, k);
        else if (x->p->act == MIEN__ACT_RELU)
            bn_apply_relu(x, &v, &a, k);
        else if (x->p->act == MIEN__ACT_CLIP)
            bn_apply_clip(x, &v, &a, k);
        else
            bn_apply_none(x, &v, &a, k);
    }
}

/* the sums of all splits to the parameters' gradients and the coefficients of d_x */
static void bn_combine(const bn_ctx *x, int cb, bn_sums *t, bn_coef *k)
{
    const mien__bn_act *const p = x->p;
    const double m = (double)p->n * p->hw;
    for (int s = 1; s < x->r.splits; s++)
        for (int l = 0; l < VB; l++) {
            t->dz[l] += t[s].dz[l];
            t->dz_x[l] += t[s].dz_x[l];
            t->slope[l] += t[s].slope[l];
        }
    for (int l = 0; l < VB; l++) {
        const int ch = cb * VB + l;
        if (ch >= p->c) { /* d_x is zero there, whatever the lanes hold */
            k->a[l] = k->b[l] = k->c[l] = 0;
            continue;
        }
        const double is = p->inv_std[ch], a = p->gamma[ch] * is, d_gamma = t->dz_x[l] * is;
        k->a[l] = (float)a;
        k->b[l] = (float)(a * t->dz[l] / m);
        k->c[l] = (float)(a * is * d_gamma / m);
        x->d_gamma[ch] = (float)d_gamma;
        x->d_beta[ch] = (float)t->dz[l];
        if (x->d_slope)
            x->d_slope[ch] = (float)t->slope[l];
    }
}

static void bn_whole_task(void *ctx, size_t cb, unsigned worker)
{
    const bn_ctx *const x = ctx;
    bn_sums t[2 * TASKS];
    bn_coef k;
    (void)worker;
    for (int s = 0; s < x->r.splits; s++)
        bn_reduce(x, (int)cb, s, &t[s]);
    bn_combine(x, (int)cb, t, &k);
    for (int s = 0; s < x->r.splits; s++)
        bn_apply(x, (int)cb, s, &k);
}

static void bn_reduce_task(void *ctx, size_t task, unsigned worker)
{
    bn_ctx *const x = ctx;
    (void)worker;
    bn_reduce(x, x->cb0 + (int)task / x->r.splits, (int)task % x->r.splits, &x->part[task]);
}

static void bn_apply_task(void *ctx, size_t task, unsigned worker)
{
    const bn_ctx *const x = ctx;
    const int cb = (int)task / x->r.splits;
    (void)worker;
    bn_apply(x, x->cb0 + cb, (int)task % x->r.splits, &x->coef[cb]);
}

static void bn_act_backward(const mien__bn_act *p, const float *x, const float *d_y, float *d_x,
                            float *d_gamma, float *d_beta, float *d_slope, mien__pool *pool)
{
    bn_ctx t = { .p = p, .r = chan_runs_of(p->n, p->c, p->hw), .x = x, .d_y = d_y, .d_x = d_x };
    t.d_gamma = d_gamma, t.d_beta = d_beta, t.d_slope = d_slope;
    const double bytes = 2.0 * p->n * p->hw * VB * sizeof(float); /* of a channel block */
    if (bytes <= BN_L2 && t.r.cbs >= TASKS / 2) {
        mien__pool_run(pool, bn_whole_task, &t, (size_t)t.r.cbs);
        return;
    }
    if (bytes > BN_L3 / TASKS) /* few blocks at a time: more splits of each */
        t.r.splits = min_i(t.r.runs, TASKS);
    const int group = max_i(1, min_i(2 * TASKS / t.r.splits, (int)(BN_L3 / bytes)));
    for (t.cb0 = 0; t.cb0 < t.r.cbs; t.cb0 += group) {
        const int cbs = min_i(group, t.r.cbs - t.cb0);
        const size_t tasks = (size_t)cbs * t.r.splits;
        mien__pool_run(pool, bn_reduce_task, &t, tasks);
        for (int cb = 0; cb < cbs; cb++)
            bn_combine(&t, t.cb0 + cb, &t.part[cb * t.r.splits], &t.coef[cb]);
        mien__pool_run(pool, bn_apply_task, &t, tasks);
    }
}

#endif
