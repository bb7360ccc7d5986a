/* Which table of training kernels runs: always the one of the forward table's level, so that both see the
 * same channel block.
 */
#include "train/kernels/train_tables.h"

const mien__train_kernels *mien__train_kernels_for(mien__cpu_level level)
{
#if defined(__x86_64__)
    if (level == MIEN__CPU_NEON || level > mien__cpu_detected())
        return NULL;
    switch (level) {
    case MIEN__CPU_SSE2:
        return &mien__train_kernels_sse2;
    case MIEN__CPU_AVX2:
        return &mien__train_kernels_avx2;
    case MIEN__CPU_AVX512:
        return &mien__train_kernels_avx512;
    default:
        return NULL;
    }
#elif defined(__aarch64__)
    return level == MIEN__CPU_NEON && mien__cpu_detected() == MIEN__CPU_NEON ? &mien__train_kernels_neon
                                                                             : NULL;
#else
    (void)level;
    return NULL;
#endif
}

const mien__train_kernels *mien__train_kernels_get(void)
{
    return mien__train_kernels_for(mien__cpu());
}
