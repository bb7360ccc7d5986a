/* The scan's kernels for 64-bit Arm with dot products. */
#define MIEN__SDOT
#include "search/kernels/arm/search_neon.inc.h"

const mien__search_kernels mien__search_sdot = { "sdot", dots, reach, signs, crc32c };
