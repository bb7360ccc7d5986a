/* The kernels of a scan: integer dot products, the test of upper bounds, sums over sign codes.
 *
 * A tile is MIEN__TILE templates. Codes of a tile are four groups of 16 templates; a group is [step][16][4]
 * bytes, step = dimension / 4: what a broadcast of four bytes of the query is multiplied with lies together,
 * and 16 sums come out without adding across lanes. A code byte is the signed value plus 128 (1..255),
 * because vpdpbusd wants one unsigned operand; a free place is all zeros.
 *
 * Sums are integers, so every table gives the reference's bits. The test of upper bounds is done in single
 * operations in a stated order, so that its bits are the same too.
 */
#ifndef MIEN_SRC_SEARCH_KERNELS_H
#define MIEN_SRC_SEARCH_KERNELS_H

#include "base/base.h"

enum { MIEN__TILE = 64, MIEN__GROUP = 16, MIEN__TILE_GROUPS = 4, MIEN__DOT_QUERIES = 6 };

typedef struct mien__search_kernels {
    const char *name;

    /* ret[q][g * 16 + i] = sum over d of (code - 128) * query for `groups` <= 4 groups and n_q <=
     * MIEN__DOT_QUERIES queries; codes 1..255 or 0, queries -127..127, start[q] = -128 * sum of the query.
     * q points to n_q rows of 4 * steps bytes, q_stride apart; steps is a multiple of 4. No alignment is
     * asked for. */
    void (*dots)(const uint8_t *codes, size_t groups, size_t steps, const int8_t *q, size_t q_stride,
                 size_t n_q, const int32_t *start, int32_t ret[][MIEN__TILE]);

    /* Bit i: (float)sums[i] * scale[i] * t + a * err[i] >= thr, operations from left to right, each rounded.
     */
    uint64_t (*reach)(const int32_t *sums, const float *scale, const float *err, float t, float a, float thr);

    /* sums[i] (+)= sum over b of lut[2b][low nibble] + lut[2b+1][high nibble] of byte b of template i, for
     * the tile's plane [bytes][64]; lut entries <= 63; bytes even and <= 256. Bit i: sums[i] >= thr. */
    uint64_t (*signs)(const uint8_t *plane, size_t bytes, const uint8_t (*lut)[16], bool add, unsigned thr,
                      uint16_t *sums);

    /* CRC-32C (Castagnoli; as in RFC 3720, without the final inversion) of 8 stretches that follow each
     * other, each from `seed`; bytes_each is a multiple of 8. */
    void (*crc32c)(const uint8_t *data, size_t bytes_each, uint32_t seed, uint32_t ret[8]);
} mien__search_kernels;

const mien__search_kernels *mien__search_kernels_get(void);
/* The n-th table that this machine can run, the reference first; NULL after the last. For tests. */
const mien__search_kernels *mien__search_kernels_nth(size_t n);

extern const mien__search_kernels mien__search_scalar;
#if defined(__x86_64__)
extern const mien__search_kernels mien__search_sse2, mien__search_avx2, mien__search_avxvnni,
    mien__search_avx512;
#elif defined(__aarch64__)
extern const mien__search_kernels mien__search_neon, mien__search_sdot;
#endif

#endif
