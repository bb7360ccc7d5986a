/* The scan's kernels for 64-bit Arm. */
#include "search/kernels/arm/search_neon.inc.h"

const mien__search_kernels mien__search_neon = { "neon", dots, reach, signs, crc32c };
