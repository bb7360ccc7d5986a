/* Which kernels scan: the CPU's level, capped by MIEN_CPU, and what it has beyond the level. */
#include "search/kernels/search_kernels.h"
#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#ifndef HWCAP_ASIMDDP
#define HWCAP_ASIMDDP (1 << 20)
#endif
#endif

static const struct {
    mien__cpu_level level;
    const mien__search_kernels *kernels;
} tables[] = {
    { MIEN__CPU_SCALAR, &mien__search_scalar },
#if defined(__x86_64__)
    { MIEN__CPU_SSE2, &mien__search_sse2 },     { MIEN__CPU_AVX2, &mien__search_avx2 },
    { MIEN__CPU_AVX2, &mien__search_avxvnni },  { MIEN__CPU_AVX512, &mien__search_avx512 },
#elif defined(__aarch64__)
    { MIEN__CPU_NEON, &mien__search_neon },
    { MIEN__CPU_NEON, &mien__search_sdot },
#endif
};

static bool has_extension(const mien__search_kernels *k)
{
#if defined(__x86_64__)
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (k == &mien__search_avxvnni) /* clang 14 does not know its name: leaf 7.1, EAX bit 4 */
        return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 16);
    if (k == &mien__search_avx512)
        return __builtin_cpu_supports("avx512vnni");
#elif defined(__aarch64__)
    if (k == &mien__search_sdot)
        return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#endif
    (void)k;
    return true;
}

static const mien__search_kernels *best_of(mien__cpu_level level)
{
    const mien__search_kernels *best = &mien__search_scalar;
    for (size_t i = 0; i < MIEN_COUNTOF(tables); i++) {
        if (tables[i].level <= level && has_extension(tables[i].kernels))
            best = tables[i].kernels;
    }
    return best;
}

const mien__search_kernels *mien__search_kernels_get(void)
{
    return best_of(mien__cpu());
}

const mien__search_kernels *mien__search_kernels_nth(size_t n)
{
    for (size_t i = 0; i < MIEN_COUNTOF(tables); i++) {
        if (tables[i].level <= mien__cpu_detected() && has_extension(tables[i].kernels) && n-- == 0)
            return tables[i].kernels;
    }
    return NULL;
}
