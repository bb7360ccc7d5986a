/* The training kernels for 64-bit Arm's NEON: the shared sources on this instruction set's vectors. */
#define MIEN__VEC_NEON
#include "train/kernels/train_kernels.inc.h"
