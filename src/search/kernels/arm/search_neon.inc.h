/* NEON, with (MIEN__SDOT) or without the dot product instructions of Armv8.2. */
#include "search/kernels/search_kernels.h"
#include <arm_neon.h>

static inline int8x16_t codes16(const uint8_t *p)
{
    return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(p), vdupq_n_u8(128)));
}

static inline int8x16_t query4(const int8_t *q)
{
    int32_t four;
    __builtin_memcpy(&four, q, sizeof four);
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
}

static void dots_group(const uint8_t *codes, size_t steps, const int8_t *q, int32_t *ret)
{
#ifdef MIEN__SDOT
    int32x4_t acc[4] = { vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0) };
    for (size_t s = 0; s < steps; s++) {
        const int8x16_t b = query4(q + 4 * s);
        for (int i = 0; i < 4; i++)
            acc[i] = vdotq_s32(acc[i], codes16(codes + s * 64 + i * 16), b);
    }
    for (int i = 0; i < 4; i++)
        vst1q_s32(ret + 4 * i, acc[i]);
#else
    /* two sums per template */
    int32x4_t lo[4], hi[4];
    for (int i = 0; i < 4; i++)
        lo[i] = hi[i] = vdupq_n_s32(0);
    for (size_t s = 0; s < steps; s++) {
        const int8x16_t b = query4(q + 4 * s);
        for (int i = 0; i < 4; i++) {
            const int8x16_t x = codes16(codes + s * 64 + i * 16);
            lo[i] = vpadalq_s16(lo[i], vmull_s8(vget_low_s8(x), vget_low_s8(b)));
            hi[i] = vpadalq_s16(hi[i], vmull_high_s8(x, b));
        }
    }
    for (int i = 0; i < 4; i++)
        vst1q_s32(ret + 4 * i, vpaddq_s32(lo[i], hi[i]));
#endif
}

static void dots(const uint8_t *codes, size_t groups, size_t steps, const int8_t *q, size_t q_stride,
                 size_t n_q, const int32_t *start, int32_t ret[][MIEN__TILE])
{
    (void)start; /* the codes are signed again */
    for (size_t g = 0; g < groups; g++) {
        for (size_t k = 0; k < n_q; k++)
            dots_group(codes + g * steps * 64, steps, q + k * q_stride, ret[k] + g * MIEN__GROUP);
    }
}

static uint64_t reach(const int32_t *sums, const float *scale, const float *err, float t, float a, float thr)
{
    static const uint32_t weights[4] = { 1, 2, 4, 8 };
    uint64_t bits = 0;
    for (size_t i = 0; i < MIEN__TILE; i += 4) {
        const float32x4_t x = vmulq_f32(vcvtq_f32_s32(vld1q_s32(sums + i)), vld1q_f32(scale + i));
        const float32x4_t y = vmulq_f32(x, vdupq_n_f32(t));
        const float32x4_t z = vmulq_f32(vdupq_n_f32(a), vld1q_f32(err + i));
        const uint32x4_t pass = vcgeq_f32(vaddq_f32(y, z), vdupq_n_f32(thr));
        bits |= (uint64_t)vaddvq_u32(vandq_u32(pass, vld1q_u32(weights))) << i;
    }
    return bits;
}

/* 16 templates; two tables' sums fit a byte four times over, as in search_avx512.c */
static uint64_t signs_quarter(const uint8_t *plane, size_t bytes, const uint8_t (*lut)[16], bool add,
                              unsigned thr, uint16_t *sums)
{
    static const uint16_t weights[8] = { 1, 2, 4, 8, 16, 32, 64, 128 };
    uint16x8_t lo = vdupq_n_u16(0), hi = vdupq_n_u16(0);
    for (size_t b = 0; b < bytes; b += 2) {
        const uint8x16_t v = vld1q_u8(plane + b * 64), w = vld1q_u8(plane + b * 64 + 64);
        const uint8x16_t f = vaddq_u8(vqtbl1q_u8(vld1q_u8(lut[2 * b]), vandq_u8(v, vdupq_n_u8(15))),
                                      vqtbl1q_u8(vld1q_u8(lut[2 * b + 1]), vshrq_n_u8(v, 4)));
        const uint8x16_t g = vaddq_u8(vqtbl1q_u8(vld1q_u8(lut[2 * b + 2]), vandq_u8(w, vdupq_n_u8(15))),
                                      vqtbl1q_u8(vld1q_u8(lut[2 * b + 3]), vshrq_n_u8(w, 4)));
        const uint8x16_t four = vaddq_u8(f, g);
        lo = vaddw_u8(lo, vget_low_u8(four));
        hi = vaddw_high_u8(hi, four);
    }
    if (add) {
        lo = vaddq_u16(lo, vld1q_u16(sums));
        hi = vaddq_u16(hi, vld1q_u16(sums + 8));
    }
    vst1q_u16(sums, lo);
    vst1q_u16(sums + 8, hi);
    if (thr > 65535)
        return 0;
    const uint16x8_t t = vdupq_n_u16((uint16_t)thr), weight = vld1q_u16(weights);
    return vaddvq_u16(vandq_u16(vcgeq_u16(lo, t), weight)) |
           (uint64_t)vaddvq_u16(vandq_u16(vcgeq_u16(hi, t), weight)) << 8;
}

static uint64_t signs(const uint8_t *plane, size_t bytes, const uint8_t (*lut)[16], bool add, unsigned thr,
                      uint16_t *sums)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < 4; i++)
        bits |= signs_quarter(plane + 16 * i, bytes, lut, add, thr, sums + 16 * i) << (16 * i);
    return bits;
}

static void crc32c(const uint8_t *data, size_t bytes_each, uint32_t seed, uint32_t ret[8])
{
    mien__search_scalar.crc32c(data, bytes_each, seed, ret);
}
