/* The kernel table for AVX512: the shared sources on this instruction set's vectors. */
#define MIEN__VEC_AVX512
#include "nn/kernels/kernels.inc.h"
