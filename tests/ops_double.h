/* Makes `float` mean `double`. The build puts this in front of every operator to compile them a second time,
 * so that gradients can be held against central differences without float's rounding in the way. Everything
 * shared with the rest of the library is included before the word changes its meaning: graph and tensors hold
 * no float by value, only behind void pointers. */
#ifndef MIEN_TESTS_OPS_DOUBLE_H
#define MIEN_TESTS_OPS_DOUBLE_H

#include "nn/ops.h"
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define float double
#define ceilf ceil
#define erff erf
#define expf exp
#define expm1f expm1
#define fabsf fabs
#define floorf floor
#define log1pf log1p
#define logf log
#define powf pow
#define sqrtf sqrt
#define tanhf tanh

#endif
