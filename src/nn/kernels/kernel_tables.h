/* The tables that may be built in; which ones are is known to table.c by architecture. */
#ifndef MIEN_SRC_NN_KERNEL_TABLES_H
#define MIEN_SRC_NN_KERNEL_TABLES_H

#include "nn/kernels/kernels.h"

extern const mien__kernels mien__kernels_sse2, mien__kernels_avx2, mien__kernels_avx512, mien__kernels_neon;

#endif
