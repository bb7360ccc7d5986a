/* The scan's kernels for AVX2 with AVX-VNNI. */
#define MIEN__AVXVNNI
#include "search/kernels/x86/search_avx2.inc.h"

const mien__search_kernels mien__search_avxvnni = { "avxvnni", dots, reach, signs, crc32c };
