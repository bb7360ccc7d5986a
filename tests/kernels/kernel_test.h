/* What the kernel tests share: seeded numbers, buffers that end at a page without access, the list of levels,
 * and the reference in double.
 */
#ifndef MIEN_TESTS_KERNEL_TEST_H
#define MIEN_TESTS_KERNEL_TEST_H

#include "nn/graph.h"
#include "nn/kernels/kernels.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#define KT_EPS 5.9604645e-8 /* half an ulp of 1 */

static mien__rng kt_rng;
static uint64_t kt_seed;

static void kt_start(uint64_t seed)
{
    const char *const s = getenv("MIEN_TEST_SEED");
    int64_t v = 0;
    kt_seed = s && mien__parse_i64(s, &v) ? (uint64_t)v : seed;
    mien__rng_seed(&kt_rng, kt_seed);
}

static int kt_int(int lo, int hi) /* both included */
{
    return lo + (int)(mien__rng_u64(&kt_rng) % (uint64_t)(hi - lo + 1));
}

static float kt_float(void)
{
    return (float)(2 * mien__rng_unit(&kt_rng) - 1);
}

/* n floats whose end is the end of the accessible world; filled with numbers that must not be used */
typedef struct kt_buf {
    float *p;
    void *map;
    size_t map_bytes;
} kt_buf;

static inline kt_buf kt_alloc(size_t n)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = n * sizeof(float);
    const size_t body = (bytes + page - 1) / page * page + page;
    kt_buf b = { NULL, NULL, body + page };
    b.map = mmap(NULL, b.map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(b.map != MAP_FAILED);
    assert_int_equal(mprotect((char *)b.map + body, page, PROT_NONE), 0);
    b.p = (float *)(void *)((char *)b.map + body - bytes);
    for (size_t i = 0; i < n; i++)
        b.p[i] = 1e30f;
    return b;
}

static inline void kt_free(kt_buf *b)
{
    if (b->map)
        munmap(b->map, b->map_bytes);
    b->map = NULL;
}

static inline void kt_fill(kt_buf *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        b->p[i] = kt_float();
}

static const mien__cpu_level kt_levels[] = { MIEN__CPU_SSE2, MIEN__CPU_AVX2, MIEN__CPU_AVX512,
                                             MIEN__CPU_NEON };

static inline size_t kt_blocked(const mien__kernels *k, int n, int c, int hw)
{
    return (size_t)n * (size_t)((c + k->block - 1) / k->block * k->block) * (size_t)hw;
}

static inline size_t kt_at(const mien__kernels *k, int c_total, int hw, int n, int c, int i)
{
    const int cbs = (c_total + k->block - 1) / k->block;
    return (((size_t)n * cbs + c / k->block) * hw + i) * k->block + c % k->block;
}

/* plain -> blocked, pad lanes left as they are */
static inline void kt_block(const mien__kernels *k, int n, int c, int hw, const float *src, float *dst)
{
    for (int b = 0; b < n; b++)
        for (int i = 0; i < c; i++)
            for (int p = 0; p < hw; p++)
                dst[kt_at(k, c, hw, b, i, p)] = src[((size_t)b * c + i) * hw + p];
}

static inline double kt_act(mien__act act, double alpha, double beta, double slope, double x)
{
    switch (act) {
    case MIEN__ACT_NONE:
        return x;
    case MIEN__ACT_RELU:
        return x > 0 ? x : 0;
    case MIEN__ACT_LEAKY:
        return x > 0 ? x : alpha * x;
    case MIEN__ACT_PRELU:
        return x > 0 ? x : slope * x;
    case MIEN__ACT_SIGMOID:
        return 1 / (1 + exp(-x));
    case MIEN__ACT_TANH:
        return tanh(x);
    case MIEN__ACT_HSIGMOID:
        return fmin(1, fmax(0, alpha * x + beta));
    case MIEN__ACT_HSWISH:
        return x * fmin(1, fmax(0, x / 6 + 0.5));
    case MIEN__ACT_CLIP:
        return fmin(beta, fmax(alpha, x));
    case MIEN__ACT_SWISH:
        return x / (1 + exp(-x));
    case MIEN__ACT_GELU:
        return 0.5 * x * erfc(-x / sqrt(2.0));
    }
    return NAN;
}

#endif
