/* The kernel table for SSE2: the shared sources on this instruction set's vectors. */
#define MIEN__VEC_SSE2
#include "nn/kernels/kernels.inc.h"
