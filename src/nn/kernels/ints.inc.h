/* The small arithmetic of sizes that every kernel needs. */
#ifndef MIEN_SRC_NN_KERNELS_INTS_INC_H
#define MIEN_SRC_NN_KERNELS_INTS_INC_H

static inline int div_up(int a, int b)
{
    return (a + b - 1) / b;
}
static inline int min_i(int a, int b)
{
    return a < b ? a : b;
}
static inline int max_i(int a, int b)
{
    return a > b ? a : b;
}

#endif
