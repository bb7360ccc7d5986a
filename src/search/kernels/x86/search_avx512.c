/* AVX-512 with VNNI: vpdpbusd multiplies 64 unsigned by 64 signed bytes and adds four at a time, without
 * saturation.
 */
#include "search/kernels/search_kernels.h"
#include <immintrin.h>

static inline __m512i query4(const int8_t *q)
{
    int32_t four;
    __builtin_memcpy(&four, q, sizeof four);
    return _mm512_set1_epi32(four);
}

/* GCC 12 would load the codes again for every query, and loads, not products, would set the pace. */
static inline __m512i in_register(__m512i v)
{
    __asm__("" : "+v"(v));
    return v;
}

/* One query: memory sets the pace, so the codes are read in the order they lie, in four chains. */
static void dots_one(const uint8_t *codes, size_t groups, size_t steps, const int8_t *q, int32_t start,
                     int32_t *ret)
{
    for (size_t g = 0; g < groups; g++, codes += steps * 64) {
        __m512i acc[4] = { _mm512_set1_epi32(start), _mm512_setzero_si512(), _mm512_setzero_si512(),
                           _mm512_setzero_si512() };
        for (size_t s = 0; s < steps; s += 4) {
#pragma GCC unroll 4
            for (size_t u = 0; u < 4; u++)
                acc[u] = _mm512_dpbusd_epi32(acc[u], _mm512_loadu_si512(codes + (s + u) * 64),
                                             query4(q + 4 * (s + u)));
        }
        _mm512_storeu_si512(ret + g * MIEN__GROUP, _mm512_add_epi32(_mm512_add_epi32(acc[0], acc[1]),
                                                                    _mm512_add_epi32(acc[2], acc[3])));
    }
}

/* R groups by Q queries in registers. */
static inline __attribute__((always_inline)) void dots_block(const uint8_t *codes, size_t steps,
                                                             const int8_t *q, size_t q_stride,
                                                             const int32_t *start, int32_t ret[][MIEN__TILE],
                                                             const size_t R, const size_t Q)
{
    __m512i acc[MIEN__DOT_QUERIES][4];
#pragma GCC unroll 6
    for (size_t k = 0; k < Q; k++) {
#pragma GCC unroll 4
        for (size_t r = 0; r < R; r++)
            acc[k][r] = _mm512_set1_epi32(start[k]);
    }
    for (size_t s = 0; s < steps; s++) {
        __m512i x[4];
#pragma GCC unroll 4
        for (size_t r = 0; r < R; r++)
            x[r] = in_register(_mm512_loadu_si512(codes + (r * steps + s) * 64));
#pragma GCC unroll 6
        for (size_t k = 0; k < Q; k++) {
            const __m512i b = query4(q + k * q_stride + 4 * s);
#pragma GCC unroll 4
            for (size_t r = 0; r < R; r++)
                acc[k][r] = _mm512_dpbusd_epi32(acc[k][r], x[r], b);
        }
    }
#pragma GCC unroll 6
    for (size_t k = 0; k < Q; k++) {
#pragma GCC unroll 4
        for (size_t r = 0; r < R; r++)
            _mm512_storeu_si512(ret[k] + r * MIEN__GROUP, acc[k][r]);
    }
}

static void dots(const uint8_t *codes, size_t groups, size_t steps, const int8_t *q, size_t q_stride,
                 size_t n_q, const int32_t *start, int32_t ret[][MIEN__TILE])
{
    if (groups == 4 && n_q > 1) {
        switch (n_q) {
        case 2:
            dots_block(codes, steps, q, q_stride, start, ret, 4, 2);
            break;
        case 3:
            dots_block(codes, steps, q, q_stride, start, ret, 4, 3);
            break;
        case 4:
            dots_block(codes, steps, q, q_stride, start, ret, 4, 4);
            break;
        case 5:
            dots_block(codes, steps, q, q_stride, start, ret, 4, 5);
            break;
        default:
            dots_block(codes, steps, q, q_stride, start, ret, 4, 6);
            break;
        }
        return;
    }
    for (size_t k = 0; k < n_q; k++)
        dots_one(codes, groups, steps, q + k * q_stride, start[k], ret[k]);
}

static uint64_t reach(const int32_t *sums, const float *scale, const float *err, float t, float a, float thr)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < MIEN__TILE; i += 16) {
        const __m512 x =
            _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_loadu_si512(sums + i)), _mm512_loadu_ps(scale + i));
        const __m512 y = _mm512_mul_ps(x, _mm512_set1_ps(t));
        const __m512 z = _mm512_mul_ps(_mm512_set1_ps(a), _mm512_loadu_ps(err + i));
        bits |= (uint64_t)_mm512_cmp_ps_mask(_mm512_add_ps(y, z), _mm512_set1_ps(thr), _CMP_GE_OQ) << i;
    }
    return bits;
}

/* Four lookups are added as bytes (at most 252), then as words: even bytes with a tail of odd ones, which is
 * taken off at the end (André, Kermarrec, Le Scouarnec 2015, "Cache locality is not enough", for the
 * lookups). */
static uint64_t signs(const uint8_t *plane, size_t bytes, const uint8_t (*lut)[16], bool add, unsigned thr,
                      uint16_t *sums)
{
    const __m512i nibble = _mm512_set1_epi8(15);
    __m512i mixed = _mm512_setzero_si512(), odd = _mm512_setzero_si512();
    for (size_t b = 0; b < bytes; b += 2) {
        const __m512i v = _mm512_loadu_si512(plane + b * 64), w = _mm512_loadu_si512(plane + b * 64 + 64);
        const __m128i *const table = (const __m128i *)(const void *)lut[2 * b];
        const __m512i l0 = _mm512_broadcast_i32x4(_mm_loadu_si128(table)),
                      l1 = _mm512_broadcast_i32x4(_mm_loadu_si128(table + 1)),
                      l2 = _mm512_broadcast_i32x4(_mm_loadu_si128(table + 2)),
                      l3 = _mm512_broadcast_i32x4(_mm_loadu_si128(table + 3));
        const __m512i f =
            _mm512_add_epi8(_mm512_shuffle_epi8(l0, _mm512_and_si512(v, nibble)),
                            _mm512_shuffle_epi8(l1, _mm512_and_si512(_mm512_srli_epi16(v, 4), nibble)));
        const __m512i g =
            _mm512_add_epi8(_mm512_shuffle_epi8(l2, _mm512_and_si512(w, nibble)),
                            _mm512_shuffle_epi8(l3, _mm512_and_si512(_mm512_srli_epi16(w, 4), nibble)));
        const __m512i four = _mm512_add_epi8(f, g);
        mixed = _mm512_add_epi16(mixed, four);
        odd = _mm512_add_epi16(odd, _mm512_srli_epi16(four, 8));
    }
    const __m512i even = _mm512_sub_epi16(mixed, _mm512_slli_epi16(odd, 8));
    const __m512i lo = _mm512_unpacklo_epi16(even, odd), hi = _mm512_unpackhi_epi16(even, odd);
    __m512i a = _mm512_permutex2var_epi64(lo, _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0), hi);
    __m512i b = _mm512_permutex2var_epi64(lo, _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4), hi);
    if (add) {
        a = _mm512_add_epi16(a, _mm512_loadu_si512(sums));
        b = _mm512_add_epi16(b, _mm512_loadu_si512(sums + 32));
    }
    _mm512_storeu_si512(sums, a);
    _mm512_storeu_si512(sums + 32, b);
    if (thr > 65535)
        return 0;
    const __m512i t = _mm512_set1_epi16((short)thr);
    return _mm512_cmpge_epu16_mask(a, t) | (uint64_t)_mm512_cmpge_epu16_mask(b, t) << 32;
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

const mien__search_kernels mien__search_avx512 = { "avx512vnni", dots, reach, signs, crc32c };
