/* The tables that may be built in; which ones are is known to train_table.c by architecture. */
#ifndef MIEN_SRC_TRAIN_TABLES_H
#define MIEN_SRC_TRAIN_TABLES_H

#include "train/kernels/train_kernels.h"

extern const mien__train_kernels mien__train_kernels_sse2, mien__train_kernels_avx2,
    mien__train_kernels_avx512, mien__train_kernels_neon;

#endif
