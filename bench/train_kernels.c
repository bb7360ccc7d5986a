/* Times the backward kernels at the shapes of a MobileFaceNet-class training step (112x112, batch 32) and of
 * a YuNet-class one: per shape the gradient of the weights and of the input, the packing that each step needs
 * again (forward's and this one's), in ms and GFLOP/s; norm and activation in ms and GB/s of what they must
 * touch (x, d_y, d_x once); the matrix product. Last, the sum over the network. The fastest of ROUNDS runs
 * counts; with one thread its processor time, which other programs disturb less.
 *
 * usage: train_kernels [level] [threads] [batch] [only]
 */
#include "train/kernels/train_kernels.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct shape {
    const char *name;
    int times, ic, hw, oc, k, s, pad, groups; /* times: in the network */
    bool plain;
} shape;

static const shape shapes[] = {
    { "first 3-64@112/2", 1, 3, 112, 64, 3, 2, 1, 1, true },
    { "dw 64@56", 1, 64, 56, 64, 3, 1, 1, 64, false },
    { "64-128@56", 1, 64, 56, 128, 1, 1, 0, 1, false },
    { "dw 128@56/2", 1, 128, 56, 128, 3, 2, 1, 128, false },
    { "128-64@28", 5, 128, 28, 64, 1, 1, 0, 1, false },
    { "64-128@28", 4, 64, 28, 128, 1, 1, 0, 1, false },
    { "dw 128@28", 4, 128, 28, 128, 3, 1, 1, 128, false },
    { "64-256@28", 1, 64, 28, 256, 1, 1, 0, 1, false },
    { "dw 256@28/2", 1, 256, 28, 256, 3, 2, 1, 256, false },
    { "256-128@14", 7, 256, 14, 128, 1, 1, 0, 1, false },
    { "128-256@14", 6, 128, 14, 256, 1, 1, 0, 1, false },
    { "dw 256@14", 6, 256, 14, 256, 3, 1, 1, 256, false },
    { "128-512@14", 1, 128, 14, 512, 1, 1, 0, 1, false },
    { "dw 512@14/2", 1, 512, 14, 512, 3, 2, 1, 512, false },
    { "512-128@7", 1, 512, 7, 128, 1, 1, 0, 1, false },
    { "128-256@7", 2, 128, 7, 256, 1, 1, 0, 1, false },
    { "dw 256@7", 2, 256, 7, 256, 3, 1, 1, 256, false },
    { "256-128@7", 2, 256, 7, 128, 1, 1, 0, 1, false },
    { "128-512@7", 1, 128, 7, 512, 1, 1, 0, 1, false },
    { "dw 512@7 7x7", 1, 512, 7, 512, 7, 1, 0, 512, false },
    { "512-512@1", 1, 512, 1, 512, 1, 1, 0, 1, false },
    { "other: 3x3 64@56", 0, 64, 56, 64, 3, 1, 1, 1, false },
    { "other: 3x3 64-128@56/2", 0, 64, 56, 128, 3, 2, 1, 1, false },
    { "other: 1x1 64-128@56/2", 0, 64, 56, 128, 1, 2, 0, 1, false },
    { "other: 3x3 256@14", 0, 256, 14, 256, 3, 1, 1, 1, false },
    { "other: 3x3 512@7", 0, 512, 7, 512, 3, 1, 1, 1, false },
    { "yunet first 3-16@320/2", 0, 3, 320, 16, 3, 2, 1, 1, true },
    { "yunet 16@160", 0, 16, 160, 16, 1, 1, 0, 1, false },
    { "yunet dw 16@160", 0, 16, 160, 16, 3, 1, 1, 16, false },
    { "yunet 16-32@80", 0, 16, 80, 32, 1, 1, 0, 1, false },
    { "yunet 64@40", 0, 64, 40, 64, 1, 1, 0, 1, false },
    { "yunet dw 64@40", 0, 64, 40, 64, 3, 1, 1, 64, false },
    { "yunet 64-10@40", 0, 64, 40, 10, 1, 1, 0, 1, false },
};

typedef struct norm_shape {
    int times, c, hw;
    mien__act act;
} norm_shape;

static const norm_shape norms[] = {
    { 2, 64, 56, MIEN__ACT_PRELU }, { 1, 128, 56, MIEN__ACT_PRELU }, { 9, 128, 28, MIEN__ACT_PRELU },
    { 5, 64, 28, MIEN__ACT_NONE },  { 1, 256, 28, MIEN__ACT_PRELU }, { 12, 256, 14, MIEN__ACT_PRELU },
    { 7, 128, 14, MIEN__ACT_NONE }, { 1, 512, 14, MIEN__ACT_PRELU }, { 4, 256, 7, MIEN__ACT_PRELU },
    { 3, 128, 7, MIEN__ACT_NONE },  { 2, 512, 7, MIEN__ACT_PRELU },
};

enum { ROUNDS = 12 };

static float *numbers(size_t n)
{
    float *const p = mien_alloc_array_zero(n + 16, sizeof *p);
    mien__rng r;
    mien__rng_seed(&r, n);
    for (size_t i = 0; p && i < n; i++)
        p[i] = (float)(2 * mien__rng_unit(&r) - 1) * 0.1f;
    return p;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* what is timed: one of these over the same operands */
typedef struct job {
    const mien__kernels *k;
    const mien__train_kernels *tk;
    mien__pool *pool;
    mien__conv c;
    mien__conv_plan fwd;
    mien__conv_dx_plan dx;
    float *w, *src, *dst, *d_w;
    void *packed, *dx_packed, *scratch;
    mien__bn_act bn;
    int m;
} job;

static double clock_ms(const job *j)
{
    struct timespec t;
    if (mien__pool_threads(j->pool) > 1)
        return mien__now_ms();
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static double best_ms(const job *j, void (*fn)(const job *))
{
    double t[ROUNDS];
    int reps = 1;
    for (int round = -1; round < ROUNDS; round++) {
        const double t0 = clock_ms(j);
        for (int r = 0; r < reps; r++)
            fn(j);
        const double ms = clock_ms(j) - t0;
        if (round < 0)
            reps = ms < 2 ? (int)(2 / (ms + 1e-4)) + 1 : 1;
        else
            t[round] = ms / reps;
    }
    qsort(t, ROUNDS, sizeof *t, by_value);
    return t[0];
}

static void run_forward(const job *j)
{
    j->k->conv_run(&j->fwd, j->packed, j->src, NULL, j->dst, j->scratch, j->pool);
}
static void run_dw(const job *j)
{
    j->tk->conv_dw(&j->c, j->src, j->dst, j->d_w, NULL, j->scratch, j->pool);
}
static void run_dx(const job *j)
{
    j->tk->conv_dx_run(&j->dx, j->dx_packed, j->dst, false, j->src, j->scratch, j->pool);
}
static void run_pack(const job *j)
{
    const mien__conv_weights w = { .w = j->w };
    j->k->conv_pack(&j->fwd, &w, j->packed);
}
static void run_dx_pack(const job *j)
{
    j->tk->conv_dx_pack(&j->dx, j->w, j->dx_packed);
}
static void run_stats(const job *j)
{
    j->tk->bn_stats(j->bn.n, j->bn.c, j->bn.hw, j->src, j->d_w, j->d_w + 4096, j->pool);
}
static void run_bn(const job *j)
{
    j->tk->bn_act_backward(&j->bn, j->src, j->dst, j->dst, j->d_w, j->d_w + 4096,
                           j->bn.act == MIEN__ACT_PRELU ? j->d_w + 8192 : NULL, j->pool);
}
static void run_act(const job *j)
{
    j->tk->act_backward(j->bn.n, j->bn.c, j->bn.hw, MIEN__ACT_PRELU, 0, 0, j->bn.slope, j->src, j->dst,
                        j->dst, j->d_w, j->pool);
}
static void run_gemm(const job *j)
{
    j->tk->gemm(j->m, j->m, j->m, j->src, j->m, false, j->w, j->m, true, j->dst, j->m, false, j->scratch,
                j->pool);
}

typedef struct sums {
    double forward, dw, dx, pack, norm;
} sums;

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static void time_shape(job *j, const shape *s, int batch, unsigned threads, sums *t)
{
    mien__conv *const c = &j->c;
    *c =
        (mien__conv){ .n = batch, .ic = s->ic, .ih = s->hw, .iw = s->hw, .oc = s->oc, .src_plain = s->plain };
    c->kh = c->kw = s->k, c->sh = c->sw = s->s, c->dh = c->dw = 1, c->groups = s->groups;
    c->pt = c->pl = c->pb = c->pr = s->pad;
    c->oh = c->ow = (s->hw + 2 * s->pad - s->k) / s->s + 1;
    if (!j->k->conv_plan(c, threads, &j->fwd) || (!s->plain && !j->tk->conv_dx_plan(c, threads, &j->dx))) {
        printf("%-26s not supported\n", s->name);
        return;
    }
    const size_t b = (size_t)j->k->block, ws = (size_t)s->oc * (s->ic / s->groups) * s->k * s->k;
    const size_t in = (size_t)batch * (s->ic + b - 1) / b * b * s->hw * s->hw;
    const size_t out = (size_t)batch * (s->oc + b - 1) / b * b * c->oh * c->ow;
    j->w = numbers(ws), j->src = numbers(in + b * s->hw * s->hw * batch),
    j->dst = numbers(out + b * c->oh * c->ow * batch);
    j->d_w = numbers(ws);
    j->packed = mien_alloc(j->fwd.packed_bytes), j->dx_packed = mien_alloc(s->plain ? 0 : j->dx.packed_bytes);
    j->scratch = mien_alloc(
        larger(larger(j->fwd.scratch_bytes, j->tk->conv_dw_scratch(c)), s->plain ? 0 : j->dx.scratch_bytes));
    const double flop = 2.0 * batch * c->oh * c->ow * (double)ws, pack = best_ms(j, run_pack);
    const double fwd = best_ms(j, run_forward), dw = best_ms(j, run_dw);
    const double dx_pack = s->plain ? 0 : (run_dx_pack(j), best_ms(j, run_dx_pack));
    const double dx = s->plain ? 0 : best_ms(j, run_dx);
    const double touched = 4.0 * (s->groups > 1 ? in + out : 0) / 1e6; /* depthwise is bound by memory */
    printf("%-26s %d x forward %7.3f ms %5.0f | dw %7.3f ms %5.0f | dx %7.3f ms %5.0f | pack %.3f + %.3f ms",
           s->name, s->times, fwd, flop / fwd / 1e6, dw, flop / dw / 1e6, dx, dx > 0 ? flop / dx / 1e6 : 0,
           pack, dx_pack);
    if (touched > 0)
        printf(" | GB/s %.1f %.1f %.1f", touched / fwd, touched / dw, touched / dx);
    printf("\n");
    t->forward += s->times * fwd, t->dw += s->times * dw, t->dx += s->times * dx;
    t->pack += s->times * (pack + dx_pack);
    mien_free(j->w), mien_free(j->src), mien_free(j->dst), mien_free(j->d_w);
    mien_free(j->packed), mien_free(j->dx_packed), mien_free(j->scratch);
}

static void time_norm(job *j, const norm_shape *s, int batch, sums *t)
{
    const size_t all = (size_t)batch * s->c * s->hw * s->hw;
    float *const one = numbers(4096);
    j->src = numbers(all), j->dst = numbers(all), j->d_w = numbers(3 * 4096);
    j->bn = (mien__bn_act){ .n = batch, .c = s->c, .hw = s->hw * s->hw, .act = s->act };
    j->bn.mean = j->bn.inv_std = j->bn.gamma = j->bn.beta = j->bn.slope = one;
    const double stats = best_ms(j, run_stats), bn = best_ms(j, run_bn), act = best_ms(j, run_act);
    printf("norm %3d@%2d %-5s            %2d x stats %7.3f ms %5.1f GB/s | backward %7.3f ms %5.1f GB/s | "
           "prelu alone %7.3f ms %5.1f GB/s\n",
           s->c, s->hw, s->act ? "prelu" : "", s->times, stats, 4e-6 * (double)all / stats, bn,
           12e-6 * (double)all / bn, act, 12e-6 * (double)all / act);
    t->norm += s->times * (stats + bn);
    mien_free(j->src), mien_free(j->dst), mien_free(j->d_w), mien_free(one);
}

static void time_gemm(job *j, int m)
{
    const size_t all = (size_t)m * m;
    j->m = m, j->src = numbers(all), j->w = numbers(all), j->dst = numbers(all);
    j->scratch = mien_alloc(j->tk->gemm_scratch(m, m, m));
    const double ms = best_ms(j, run_gemm);
    printf("gemm %4d %8.3f ms %7.1f GFLOP/s\n", m, ms, 2e-6 * (double)all * m / ms);
    mien_free(j->src), mien_free(j->w), mien_free(j->dst), mien_free(j->scratch);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        mien__cpu_level level;
    } levels[] = { { "avx512", MIEN__CPU_AVX512 },
                   { "avx2", MIEN__CPU_AVX2 },
                   { "sse2", MIEN__CPU_SSE2 },
                   { "neon", MIEN__CPU_NEON } };
    job j = { .k = mien__kernels_get(), .tk = mien__train_kernels_get() };
    int64_t threads = 1, batch = 32;
    for (size_t i = 0; argc > 1 && i < MIEN_COUNTOF(levels); i++)
        if (!strcmp(argv[1], levels[i].name))
            j.k = mien__kernels_for(levels[i].level), j.tk = mien__train_kernels_for(levels[i].level);
    if (!j.k || !j.tk) {
        fprintf(stderr, "this processor has no such level\n");
        return 1;
    }
    if ((argc > 2 && (!mien__parse_i64(argv[2], &threads) || threads < 1 || threads > 64)) ||
        (argc > 3 && (!mien__parse_i64(argv[3], &batch) || batch < 1 || batch > 1024)))
        return 2;
    if (mien__pool_new(&j.pool, (unsigned)threads, NULL))
        return 1;
    const char *const only = argc > 4 ? argv[4] : "";
    printf("%s, %lld threads, batch %lld\n", j.k->name, (long long)threads, (long long)batch);
    sums t = { 0 };
    for (size_t i = 0; i < MIEN_COUNTOF(shapes); i++)
        if (strstr(shapes[i].name, only))
            time_shape(&j, &shapes[i], (int)batch, (unsigned)threads, &t);
    for (size_t i = 0; strstr("norm", only) && i < MIEN_COUNTOF(norms); i++)
        time_norm(&j, &norms[i], (int)batch, &t);
    for (int m = 64; strstr("gemm", only) && m <= 1024; m *= 2)
        time_gemm(&j, m);
    printf("mobilefacenet: forward %.1f ms, d_w %.1f ms, d_src %.1f ms, packing %.2f ms, norm %.1f ms\n",
           t.forward, t.dw, t.dx, t.pack, t.norm);
    mien__pool_free(j.pool);
    return 0;
}
