/* The training kernels for AVX-512: the shared sources on this instruction set's vectors. */
#define MIEN__VEC_AVX512
#include "train/kernels/train_kernels.inc.h"
