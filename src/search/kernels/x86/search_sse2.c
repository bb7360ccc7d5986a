/* The scan's kernels for SSE2: bytes are widened to words for pmaddwd, which leaves two sums per template.
 * The byte shuffle came with SSSE3; sums over sign codes are the reference's.
 */
#include "search/kernels/search_kernels.h"
#include <emmintrin.h>

static inline __m128i load(const void *p)
{
    return _mm_loadu_si128((const __m128i *)p);
}

static void dots_group(const uint8_t *codes, size_t steps, const int8_t *q, int32_t start, int32_t *ret)
{
    const __m128i zero = _mm_setzero_si128();
    __m128i acc[8] = { zero, zero, zero, zero, zero, zero, zero, zero };
    for (size_t s = 0; s < steps; s++) {
        int32_t four;
        __builtin_memcpy(&four, q + 4 * s, sizeof four);
        const __m128i bytes = _mm_set1_epi32(four);
        const __m128i b = _mm_srai_epi16(_mm_unpacklo_epi8(bytes, bytes), 8);
        for (int i = 0; i < 4; i++) {
            const __m128i x = load(codes + s * 64 + i * 16);
            acc[2 * i] = _mm_add_epi32(acc[2 * i], _mm_madd_epi16(_mm_unpacklo_epi8(x, zero), b));
            acc[2 * i + 1] = _mm_add_epi32(acc[2 * i + 1], _mm_madd_epi16(_mm_unpackhi_epi8(x, zero), b));
        }
    }
    for (int i = 0; i < 4; i++) {
        const __m128 lo = _mm_castsi128_ps(acc[2 * i]), hi = _mm_castsi128_ps(acc[2 * i + 1]);
        const __m128i evens = _mm_castps_si128(_mm_shuffle_ps(lo, hi, _MM_SHUFFLE(2, 0, 2, 0))),
                      odds = _mm_castps_si128(_mm_shuffle_ps(lo, hi, _MM_SHUFFLE(3, 1, 3, 1)));
        _mm_storeu_si128((__m128i *)(void *)(ret + 4 * i),
                         _mm_add_epi32(_mm_add_epi32(evens, odds), _mm_set1_epi32(start)));
    }
}

static void dots(const uint8_t *codes, size_t groups, size_t steps, const int8_t *q, size_t q_stride,
                 size_t n_q, const int32_t *start, int32_t ret[][MIEN__TILE])
{
    for (size_t g = 0; g < groups; g++) {
        for (size_t k = 0; k < n_q; k++)
            dots_group(codes + g * steps * 64, steps, q + k * q_stride, start[k], ret[k] + g * MIEN__GROUP);
    }
}

static uint64_t reach(const int32_t *sums, const float *scale, const float *err, float t, float a, float thr)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < MIEN__TILE; i += 4) {
        const __m128 x = _mm_mul_ps(_mm_cvtepi32_ps(load(sums + i)), _mm_loadu_ps(scale + i));
        const __m128 y = _mm_mul_ps(x, _mm_set1_ps(t));
        const __m128 z = _mm_mul_ps(_mm_set1_ps(a), _mm_loadu_ps(err + i));
        const __m128 pass = _mm_cmpge_ps(_mm_add_ps(y, z), _mm_set1_ps(thr));
        bits |= (uint64_t)(unsigned)_mm_movemask_ps(pass) << i;
    }
    return bits;
}

static uint64_t signs(const uint8_t *plane, size_t bytes, const uint8_t (*lut)[16], bool add, unsigned thr,
                      uint16_t *sums)
{
    return mien__search_scalar.signs(plane, bytes, lut, add, thr, sums);
}

static void crc32c(const uint8_t *data, size_t bytes_each, uint32_t seed, uint32_t ret[8])
{
    mien__search_scalar.crc32c(data, bytes_each, seed, ret);
}

const mien__search_kernels mien__search_sse2 = { "sse2", dots, reach, signs, crc32c };
