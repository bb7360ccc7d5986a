/* The training kernels for SSE2: the shared sources on this instruction set's vectors. */
#define MIEN__VEC_SSE2
#include "train/kernels/train_kernels.inc.h"
