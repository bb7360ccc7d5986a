/* The scan's kernels for AVX2. */
#include "search/kernels/x86/search_avx2.inc.h"

const mien__search_kernels mien__search_avx2 = { "avx2", dots, reach, signs, crc32c };
