/* The kernel table for AVX2: the shared sources on this instruction set's vectors. */
#define MIEN__VEC_AVX2
#include "nn/kernels/kernels.inc.h"
