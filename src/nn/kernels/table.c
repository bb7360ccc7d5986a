/* Which kernel table runs: the CPU's level, capped by MIEN_CPU, decides. */
#include "nn/kernels/kernel_tables.h"

const mien__kernels *mien__kernels_for(mien__cpu_level level)
{
#if defined(__x86_64__)
    if (level == MIEN__CPU_NEON || level > mien__cpu_detected())
        return NULL;
    switch (level) {
    case MIEN__CPU_SSE2:
        return &mien__kernels_sse2;
    case MIEN__CPU_AVX2:
        return &mien__kernels_avx2;
    case MIEN__CPU_AVX512:
        return &mien__kernels_avx512;
    default:
        return NULL;
    }
#elif defined(__aarch64__)
    return level == MIEN__CPU_NEON && mien__cpu_detected() == MIEN__CPU_NEON ? &mien__kernels_neon : NULL;
#else
    (void)level;
    return NULL;
#endif
}

const mien__kernels *mien__kernels_get(void)
{
    return mien__kernels_for(mien__cpu());
}
