/* The kernels' definition, in plain C. */
#include "search/kernels/search_kernels.h"

static void dots(const uint8_t *codes, size_t groups, size_t steps, const int8_t *q, size_t q_stride,
                 size_t n_q, const int32_t *start, int32_t ret[][MIEN__TILE])
{
    (void)start;
    for (size_t k = 0; k < n_q; k++) {
        for (size_t i = 0; i < groups * MIEN__GROUP; i++) {
            const uint8_t *const c = codes + (i / MIEN__GROUP) * steps * 64 + (i % MIEN__GROUP) * 4;
            int32_t sum = 0;
            for (size_t s = 0; s < steps; s++) {
                for (size_t d = 0; d < 4; d++)
                    sum += ((int32_t)c[s * 64 + d] - 128) * q[k * q_stride + 4 * s + d];
            }
            ret[k][i] = sum;
        }
    }
}

static uint64_t reach(const int32_t *sums, const float *scale, const float *err, float t, float a, float thr)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < MIEN__TILE; i++) {
        const float x = (float)sums[i] * scale[i];
        const float y = x * t;
        const float z = a * err[i];
        bits |= (uint64_t)(y + z >= thr) << i;
    }
    return bits;
}

static uint64_t signs(const uint8_t *plane, size_t bytes, const uint8_t (*lut)[16], bool add, unsigned thr,
                      uint16_t *sums)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < MIEN__TILE; i++) {
        unsigned sum = add ? sums[i] : 0;
        for (size_t b = 0; b < bytes; b++) {
            const uint8_t v = plane[b * MIEN__TILE + i];
            sum += lut[2 * b][v & 15] + lut[2 * b + 1][v >> 4];
        }
        sums[i] = (uint16_t)sum;
        bits |= (uint64_t)(sums[i] >= thr) << i;
    }
    return bits;
}

/* Byte by byte through a table of the 256 remainders of the reflected polynomial 0x82f63b78. */
static void crc32c(const uint8_t *data, size_t bytes_each, uint32_t seed, uint32_t ret[8])
{
    uint32_t table[256];
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t v = i;
        for (int bit = 0; bit < 8; bit++)
            v = v >> 1 ^ (v & 1 ? 0x82f63b78u : 0);
        table[i] = v;
    }
    uint32_t crc[8];
    for (size_t k = 0; k < 8; k++)
        crc[k] = seed;
    for (size_t i = 0; i < bytes_each; i++) {
        for (size_t k = 0; k < 8; k++) /* eight chains at once */
            crc[k] = crc[k] >> 8 ^ table[(crc[k] ^ data[k * bytes_each + i]) & 255];
    }
    for (size_t k = 0; k < 8; k++)
        ret[k] = crc[k];
}

const mien__search_kernels mien__search_scalar = { "scalar", dots, reach, signs, crc32c };
