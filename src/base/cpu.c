/* CPU level: what the hardware has, capped by MIEN_CPU (scalar, sse2, avx2, avx512, neon) or by a test. */
#include "base/base.h"
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    mien__cpu_level level;
} names[] = {
    { "scalar", MIEN__CPU_SCALAR }, { "sse2", MIEN__CPU_SSE2 }, { "avx2", MIEN__CPU_AVX2 },
    { "avx512", MIEN__CPU_AVX512 }, { "neon", MIEN__CPU_NEON },
};

mien__cpu_level mien__cpu_detected(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return MIEN__CPU_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return MIEN__CPU_AVX2;
    return MIEN__CPU_SSE2;
#elif defined(__aarch64__)
    return MIEN__CPU_NEON;
#else
    return MIEN__CPU_SCALAR;
#endif
}

static mien__cpu_level capped(void)
{
    const mien__cpu_level have = mien__cpu_detected();
    const char *const want = getenv("MIEN_CPU");
    if (!want)
        return have;
    for (size_t i = 0; i < MIEN_COUNTOF(names); i++) {
        if (strcmp(want, names[i].name) == 0)
            return names[i].level < have ? names[i].level : have;
    }
    return have;
}

/* On Arm the only levels are scalar and neon: a mask meant for x86 means scalar there. */
static mien__cpu_level on_this_arch(mien__cpu_level level)
{
#if defined(__aarch64__)
    return level == MIEN__CPU_NEON ? level : MIEN__CPU_SCALAR;
#else
    return level;
#endif
}

static atomic_int cached = -1;

mien__cpu_level mien__cpu(void)
{
    int level = atomic_load(&cached);
    if (level < 0) {
        level = (int)on_this_arch(capped());
        atomic_store(&cached, level);
    }
    return (mien__cpu_level)level;
}

void mien__cpu_force(mien__cpu_level level)
{
    const mien__cpu_level have = mien__cpu_detected();
    atomic_store(&cached, (int)on_this_arch(level < have ? level : have));
}

const char *mien_cpu_level(void)
{
    return names[mien__cpu()].name;
}

unsigned mien_cpu_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    const int n = CPU_COUNT(&set);
    return n > 0 ? (unsigned)n : 1;
}
