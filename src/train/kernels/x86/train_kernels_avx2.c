/* The training kernels for AVX2: the shared sources on this instruction set's vectors. */
#define MIEN__VEC_AVX2
#include "train/kernels/train_kernels.inc.h"
