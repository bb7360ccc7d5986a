/* Times single layers: the convolutions and matrix products of the networks the project is built for, one
 * shape a line, in ms and GFLOP/s (counted as direct convolution) against the machine's own peak of fused
 * multiply-adds.
 *
 * usage: kernels [level] [threads] [only]   level = avx512, avx2, sse2, neon; only = part of a shape's name
 */
#include "nn/kernels/kernels.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct shape {
    const char *name;
    int times, ic, hw, oc, k, s, groups; /* times: in the network */
    bool plain, pre, res;
    int w; /* width where it is not hw */
} shape;

static const shape shapes[] = {
    { "iresnet50 first", 1, 3, 112, 64, 3, 1, 1, true, false, false, 0 },
    { "iresnet50 64@112", 1, 64, 112, 64, 3, 1, 1, false, true, false, 0 },
    { "iresnet50 64@112/2", 1, 64, 112, 64, 3, 2, 1, false, false, true, 0 },
    { "iresnet50 64@112 1x1/2", 1, 64, 112, 64, 1, 2, 1, false, false, false, 0 },
    { "iresnet50 64@56", 2, 64, 56, 64, 3, 1, 1, false, true, false, 0 },
    { "iresnet50 64@56 res", 2, 64, 56, 64, 3, 1, 1, false, false, true, 0 },
    { "iresnet50 64-128@56", 1, 64, 56, 128, 3, 1, 1, false, true, false, 0 },
    { "iresnet50 128@56/2", 1, 128, 56, 128, 3, 2, 1, false, false, true, 0 },
    { "iresnet50 64-128 1x1/2", 1, 64, 56, 128, 1, 2, 1, false, false, false, 0 },
    { "iresnet50 128@28", 3, 128, 28, 128, 3, 1, 1, false, true, false, 0 },
    { "iresnet50 128@28 res", 3, 128, 28, 128, 3, 1, 1, false, false, true, 0 },
    { "iresnet50 128-256@28", 1, 128, 28, 256, 3, 1, 1, false, true, false, 0 },
    { "iresnet50 256@28/2", 1, 256, 28, 256, 3, 2, 1, false, false, true, 0 },
    { "iresnet50 128-256 1x1/2", 1, 128, 28, 256, 1, 2, 1, false, false, false, 0 },
    { "iresnet50 256@14", 13, 256, 14, 256, 3, 1, 1, false, true, false, 0 },
    { "iresnet50 256@14 res", 13, 256, 14, 256, 3, 1, 1, false, false, true, 0 },
    { "iresnet50 256-512@14", 1, 256, 14, 512, 3, 1, 1, false, true, false, 0 },
    { "iresnet50 512@14/2", 1, 512, 14, 512, 3, 2, 1, false, false, true, 0 },
    { "iresnet50 256-512 1x1/2", 1, 256, 14, 512, 1, 2, 1, false, false, false, 0 },
    { "iresnet50 512@7", 2, 512, 7, 512, 3, 1, 1, false, true, false, 0 },
    { "iresnet50 512@7 res", 2, 512, 7, 512, 3, 1, 1, false, false, true, 0 },
    { "mobilefacenet first/2", 1, 3, 112, 64, 3, 2, 1, true, false, false, 0 },
    { "mobilefacenet dw 64@56", 1, 64, 56, 64, 3, 1, 64, false, false, false, 0 },
    { "mobilefacenet 64-128@56", 1, 64, 56, 128, 1, 1, 1, false, false, false, 0 },
    { "mobilefacenet dw 128@56/2", 1, 128, 56, 128, 3, 2, 128, false, false, false, 0 },
    { "mobilefacenet 64-128@28", 5, 64, 28, 128, 1, 1, 1, false, false, false, 0 },
    { "mobilefacenet dw 128@28", 4, 128, 28, 128, 3, 1, 128, false, false, false, 0 },
    { "mobilefacenet 128-64@28", 5, 128, 28, 64, 1, 1, 1, false, false, true, 0 },
    { "mobilefacenet 128-256@14", 8, 128, 14, 256, 1, 1, 1, false, false, false, 0 },
    { "mobilefacenet dw 256@14", 6, 256, 14, 256, 3, 1, 256, false, false, false, 0 },
    { "mobilefacenet 256-128@14", 8, 256, 14, 128, 1, 1, 1, false, false, true, 0 },
    { "mobilefacenet 128-512@7", 1, 128, 7, 512, 1, 1, 1, false, false, false, 0 },
    { "mobilefacenet dw 512@7 7x7", 1, 512, 7, 512, 7, 1, 512, false, false, false, 0 },
    { "yunet first/2", 1, 3, 480, 16, 3, 2, 1, true, false, false, 640 },
    { "yunet 16@240x320", 1, 16, 240, 16, 1, 1, 1, false, false, false, 320 },
    { "yunet dw 16@240x320", 1, 16, 240, 16, 3, 1, 16, false, false, false, 320 },
    { "yunet 16-32@120x160", 1, 16, 120, 32, 1, 1, 1, false, false, false, 160 },
    { "yunet 64@60x80", 4, 64, 60, 64, 1, 1, 1, false, false, false, 80 },
    { "yunet dw 64@60x80", 4, 64, 60, 64, 3, 1, 64, false, false, false, 80 },
    { "scrfd 28@320", 1, 28, 320, 28, 3, 1, 1, false, false, false, 0 },
    { "scrfd 56@160 ", 2, 56, 160, 56, 3, 1, 1, false, false, false, 0 },
    { "scrfd 88@80", 2, 88, 80, 88, 3, 1, 1, false, false, false, 0 },
    { "scrfd 224@20", 2, 224, 20, 224, 3, 1, 1, false, false, false, 0 },
};

static float *numbers(size_t n)
{
    float *const p = mien_alloc_array_zero(n + 1, sizeof *p);
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

enum { ROUNDS = 15, STREAM_BYTES = 96 << 20 };

/* median ms; between runs the caches are left as a network leaves them: weights are cold when `times` is
 * large */
static double time_shape(const mien__kernels *k, const shape *s, unsigned threads, mien__pool *pool,
                         const char **kernel)
{
    const int w = s->w ? s->w : s->hw, pad = s->k == 7 || s->k == 1 ? 0 : s->k / 2;
    mien__conv c = { .n = 1,
                     .ic = s->ic,
                     .ih = s->hw,
                     .iw = w,
                     .oc = s->oc,
                     .kh = s->k,
                     .kw = s->k,
                     .sh = s->s,
                     .sw = s->s,
                     .dh = 1,
                     .dw = 1,
                     .pt = pad,
                     .pl = pad,
                     .pb = pad,
                     .pr = pad,
                     .groups = s->groups,
                     .src_plain = s->plain,
                     .pre_affine = s->pre };
    c.oh = (s->hw + 2 * pad - s->k) / s->s + 1, c.ow = (w + 2 * pad - s->k) / s->s + 1;
    c.post.act = s->res ? MIEN__ACT_NONE : MIEN__ACT_PRELU, c.post.residual = s->res;
    mien__conv_plan p;
    if (!k->conv_plan(&c, threads, &p))
        return -1;
    *kernel = p.kernel;
    const int b = k->block, icp = (s->ic + b - 1) / b * b, ocp = (s->oc + b - 1) / b * b;
    float *const weights = numbers((size_t)s->oc * (s->ic / s->groups) * s->k * s->k);
    float *const vec = numbers(4 * (size_t)(icp + ocp)), *const src = numbers((size_t)icp * s->hw * w);
    float *const res = numbers((size_t)ocp * c.oh * c.ow), *const dst = numbers((size_t)ocp * c.oh * c.ow);
    /* as many copies of the weights as it takes to keep them out of the cache between uses */
    const size_t copies = p.packed_bytes > (1 << 20) ? 1 + STREAM_BYTES / p.packed_bytes : 1;
    const size_t step = (p.packed_bytes + 63) / 64 * 64;
    char *const packed = mien_alloc(step * copies);
    void *const scratch = mien_alloc(p.scratch_bytes);
    const mien__conv_weights cw = { weights, vec, vec, vec, vec, vec };
    for (size_t i = 0; i < copies; i++)
        if (i == 0)
            k->conv_pack(&p, &cw, packed);
        else
            memcpy(packed + i * step, packed, p.packed_bytes);
    double t[ROUNDS];
    size_t which = 0;
    int reps = 1;
    for (int round = -1; round < ROUNDS; round++) {
        const double t0 = mien__now_ms();
        for (int r = 0; r < reps; r++)
            k->conv_run(&p, packed + which++ % copies * step, src, res, dst, scratch, pool);
        const double ms = mien__now_ms() - t0;
        if (round < 0)
            reps = ms < 2 ? (int)(2 / (ms + 1e-4)) + 1 : 1;
        else
            t[round] = ms / reps;
    }
    qsort(t, ROUNDS, sizeof *t, by_value);
    mien_free(weights), mien_free(vec), mien_free(src), mien_free(res), mien_free(dst);
    mien_free(packed), mien_free(scratch);
    return t[ROUNDS / 2];
}

/* a pointwise layer that lives in the first two caches comes as near to the peak as code of ours does */
static double peak_gflops(const mien__kernels *k, mien__pool *pool)
{
    const shape s = { "", 1, 256, 28, 64, 1, 1, 1, false, false, false, 0 };
    const char *kernel;
    double best = 0;
    for (int i = 0; i < 3; i++) {
        const double g = 2.0 * 256 * 64 * 28 * 28 / time_shape(k, &s, 1, pool, &kernel) / 1e6;
        best = g > best ? g : best;
    }
    return best;
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
    const mien__kernels *k = mien__kernels_get();
    for (size_t i = 0; argc > 1 && i < MIEN_COUNTOF(levels); i++)
        if (!strcmp(argv[1], levels[i].name))
            k = mien__kernels_for(levels[i].level);
    if (!k) {
        fprintf(stderr, "this processor has no such level\n");
        return 1;
    }
    int64_t threads = 1;
    if (argc > 2 && (!mien__parse_i64(argv[2], &threads) || threads < 1 || threads > 64))
        return 2;
    mien__pool *pool = NULL;
    if (mien__pool_new(&pool, (unsigned)threads, NULL))
        return 1;
    printf("%s, %lld threads; hot pointwise layer, one thread: %.1f GFLOP/s\n", k->name, (long long)threads,
           peak_gflops(k, NULL));
    double total[2] = { 0, 0 };
    for (size_t i = 0; i < MIEN_COUNTOF(shapes); i++) {
        const shape *const s = &shapes[i];
        const char *kernel = "none";
        if (argc > 3 && !strstr(s->name, argv[3]))
            continue;
        const double ms = time_shape(k, s, (unsigned)threads, pool, &kernel);
        const int w = s->w ? s->w : s->hw, out = s->k == 7 ? 1 : (s->hw / s->s) * (w / s->s);
        const double flop = 2.0 * s->ic / s->groups * s->oc * s->k * s->k * out;
        printf("%-28s %2d x %8.4f ms %7.1f GFLOP/s  %s\n", s->name, s->times, ms, flop / ms / 1e6, kernel);
        if (!strncmp(s->name, "iresnet50", 9))
            total[0] += ms * s->times;
        if (!strncmp(s->name, "mobilefacenet", 13))
            total[1] += ms * s->times;
    }
    printf("sum of iresnet50's convolutions %.2f ms, mobilefacenet's %.3f ms\n", total[0], total[1]);
    mien__pool_free(pool);
    return 0;
}
