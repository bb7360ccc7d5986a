/* AVX2, with (MIEN__AVXVNNI) or without vpdpbusd; without, vpmaddubsw takes the magnitudes of the code as its
 * unsigned operand and the query with the code's signs as the other: 2 * 127 * 127 fits its 16 bits, where
 * code plus 128 would not.
 */
#include "search/kernels/search_kernels.h"
#include <immintrin.h>

enum { ROWS = 3 }; /* queries in registers: two sums each */

static inline __m256i load(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

static inline void store(void *p, __m256i v)
{
    _mm256_storeu_si256((__m256i *)p, v);
}

static inline __m256i query4(const int8_t *q)
{
    int32_t four;
    __builtin_memcpy(&four, q, sizeof four);
    return _mm256_set1_epi32(four);
}

#ifdef MIEN__AVXVNNI
typedef __m256i operand;
static inline operand prepare(__m256i codes)
{
    return codes;
}
static inline __m256i multiply(__m256i acc, operand x, __m256i q)
{
    return _mm256_dpbusd_avx_epi32(acc, x, q);
}
#define START(k) start[k]
#else
typedef struct operand {
    __m256i code, magnitude;
} operand;
static inline operand prepare(__m256i codes)
{
    const __m256i c = _mm256_xor_si256(codes, _mm256_set1_epi8(-128));
    return (operand){ c, _mm256_abs_epi8(c) };
}
/* A free place is -128, whose magnitude is 128: 2 * 128 * 127 still fits. */
static inline __m256i multiply(__m256i acc, operand x, __m256i q)
{
    const __m256i pairs = _mm256_maddubs_epi16(x.magnitude, _mm256_sign_epi8(q, x.code));
    return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
#define START(k) 0
#endif

static inline __attribute__((always_inline)) void dots_block(const uint8_t *codes, size_t steps,
                                                             const int8_t *q, size_t q_stride,
                                                             const int32_t *start, int32_t ret[][MIEN__TILE],
                                                             size_t at, const size_t Q)
{
    (void)start;
    __m256i acc[ROWS][2];
#pragma GCC unroll 4
    for (size_t k = 0; k < Q; k++)
        acc[k][0] = acc[k][1] = _mm256_set1_epi32(START(k));
    for (size_t s = 0; s < steps; s++) {
        const operand x = prepare(load(codes + s * 64)), y = prepare(load(codes + s * 64 + 32));
#pragma GCC unroll 4
        for (size_t k = 0; k < Q; k++) {
            const __m256i b = query4(q + k * q_stride + 4 * s);
            acc[k][0] = multiply(acc[k][0], x, b);
            acc[k][1] = multiply(acc[k][1], y, b);
        }
    }
#pragma GCC unroll 4
    for (size_t k = 0; k < Q; k++) {
        store(ret[k] + at, acc[k][0]);
        store(ret[k] + at + 8, acc[k][1]);
    }
}

static void dots(const uint8_t *codes, size_t groups, size_t steps, const int8_t *q, size_t q_stride,
                 size_t n_q, const int32_t *start, int32_t ret[][MIEN__TILE])
{
    for (size_t g = 0; g < groups; g++, codes += steps * 64) {
        for (size_t k = 0; k < n_q; k += ROWS) {
            const int8_t *const rows = q + k * q_stride;
            switch (n_q - k) {
            case 1:
                dots_block(codes, steps, rows, q_stride, start + k, ret + k, g * MIEN__GROUP, 1);
                break;
            case 2:
                dots_block(codes, steps, rows, q_stride, start + k, ret + k, g * MIEN__GROUP, 2);
                break;
            default:
                dots_block(codes, steps, rows, q_stride, start + k, ret + k, g * MIEN__GROUP, ROWS);
                break;
            }
        }
    }
}

static uint64_t reach(const int32_t *sums, const float *scale, const float *err, float t, float a, float thr)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < MIEN__TILE; i += 8) {
        const __m256 x = _mm256_mul_ps(_mm256_cvtepi32_ps(load(sums + i)), _mm256_loadu_ps(scale + i));
        const __m256 y = _mm256_mul_ps(x, _mm256_set1_ps(t));
        const __m256 z = _mm256_mul_ps(_mm256_set1_ps(a), _mm256_loadu_ps(err + i));
        const __m256 pass = _mm256_cmp_ps(_mm256_add_ps(y, z), _mm256_set1_ps(thr), _CMP_GE_OQ);
        bits |= (uint64_t)(unsigned)_mm256_movemask_ps(pass) << i;
    }
    return bits;
}

static inline __m256i lookup(const uint8_t *lut, __m256i index)
{
    const __m128i table = _mm_loadu_si128((const __m128i *)(const void *)lut);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), index);
}

/* 32 templates; sums as in search_avx512.c */
static uint32_t signs_half(const uint8_t *plane, size_t bytes, const uint8_t (*lut)[16], bool add,
                           unsigned thr, uint16_t *sums)
{
    const __m256i nibble = _mm256_set1_epi8(15);
    __m256i mixed = _mm256_setzero_si256(), odd = _mm256_setzero_si256();
    for (size_t b = 0; b < bytes; b += 2) {
        const __m256i v = load(plane + b * 64), w = load(plane + b * 64 + 64);
        const __m256i f =
            _mm256_add_epi8(lookup(lut[2 * b], _mm256_and_si256(v, nibble)),
                            lookup(lut[2 * b + 1], _mm256_and_si256(_mm256_srli_epi16(v, 4), nibble)));
        const __m256i g =
            _mm256_add_epi8(lookup(lut[2 * b + 2], _mm256_and_si256(w, nibble)),
                            lookup(lut[2 * b + 3], _mm256_and_si256(_mm256_srli_epi16(w, 4), nibble)));
        const __m256i four = _mm256_add_epi8(f, g);
        mixed = _mm256_add_epi16(mixed, four);
        odd = _mm256_add_epi16(odd, _mm256_srli_epi16(four, 8));
    }
    const __m256i even = _mm256_sub_epi16(mixed, _mm256_slli_epi16(odd, 8));
    const __m256i lo = _mm256_unpacklo_epi16(even, odd), hi = _mm256_unpackhi_epi16(even, odd);
    __m256i a = _mm256_permute2x128_si256(lo, hi, 0x20), b = _mm256_permute2x128_si256(lo, hi, 0x31);
    if (add) {
        a = _mm256_add_epi16(a, load(sums));
        b = _mm256_add_epi16(b, load(sums + 16));
    }
    store(sums, a);
    store(sums + 16, b);
    if (thr > 65535)
        return 0;
    const __m256i t = _mm256_set1_epi16((short)thr);
    const __m256i pass_a = _mm256_cmpeq_epi16(_mm256_max_epu16(a, t), a),
                  pass_b = _mm256_cmpeq_epi16(_mm256_max_epu16(b, t), b);
    /* words to bytes: packing interleaves the 128-bit halves, the permutation undoes it */
    const __m256i pass = _mm256_permute4x64_epi64(_mm256_packs_epi16(pass_a, pass_b), 0xd8);
    return (uint32_t)_mm256_movemask_epi8(pass);
}

static uint64_t signs(const uint8_t *plane, size_t bytes, const uint8_t (*lut)[16], bool add, unsigned thr,
                      uint16_t *sums)
{
    const uint64_t lo = signs_half(plane, bytes, lut, add, thr, sums);
    return lo | (uint64_t)signs_half(plane + 32, bytes, lut, add, thr, sums + 32) << 32;
}

static void crc32c(const uint8_t *data, size_t bytes_each, uint32_t seed, uint32_t ret[8])
{
    uint64_t crc[8];
    for (size_t k = 0; k < 8; k++)
        crc[k] = seed;
    for (size_t i = 0; i < bytes_each; i += 8) {
#pragma GCC unroll 8
        for (size_t k = 0; k < 8; k++) {
            uint64_t v;
            __builtin_memcpy(&v, data + k * bytes_each + i, sizeof v);
            crc[k] = _mm_crc32_u64(crc[k], v);
        }
    }
    for (size_t k = 0; k < 8; k++)
        ret[k] = (uint32_t)crc[k];
}
