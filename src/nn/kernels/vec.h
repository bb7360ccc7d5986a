/* One vector type for every instruction set: `vf` holds VB floats, the channel block of that table.
 *
 * A kernel source (*.inc.h) is written once on these names and compiled once per ISA by a file that defines
 * one of MIEN__VEC_SSE2, _AVX2, _AVX512, _NEON first. Where the block is wider than the register (SSE2, NEON:
 * 8 floats in two registers) `vf` is a small struct that the compiler keeps in registers. UKR_R x UKR_C is
 * the register block of the matrix micro-kernel: rows (pixels) x vectors of output channels, chosen so that
 * accumulators, UKR_C weights and one broadcast fit the register file (16 on x86 up to AVX2, 32 on AVX-512
 * and NEON).
 *
 * vf_fma is fused where the ISA has it, else multiply and add; a table is consistent with itself, tables
 * agree within rounding.
 */
#ifndef MIEN_SRC_NN_KERNELS_VEC_H
#define MIEN_SRC_NN_KERNELS_VEC_H

#include <stdint.h>
#include <string.h>

#define VF_INLINE static inline __attribute__((always_inline, unused))
#define VF_UNROLL _Pragma("GCC unroll 32")

/* Ties a loaded vector to its register: left alone, the compiler folds the load into every use (measured: a
 * third off depthwise layers). Nothing where a vector is more than one register. */
#define VF_HOLD(v) (void)(v)

#if defined(MIEN__VEC_AVX512)
#include <immintrin.h>
#undef VF_HOLD
#define VF_HOLD(v) __asm__("" : "+v"(v))
#define VB 16
#define UKR_R 14
#define UKR_C 2
#define VF_NAME(x) x##_avx512
#define VF_LEVEL "avx512"
#define VF_REGS 1
typedef __m512 vf;
VF_INLINE vf vf_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
VF_INLINE void vf_store(float *p, vf a)
{
    _mm512_storeu_ps(p, a);
}
VF_INLINE vf vf_set1(float x)
{
    return _mm512_set1_ps(x);
}
VF_INLINE vf vf_zero(void)
{
    return _mm512_setzero_ps();
}
VF_INLINE vf vf_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}
VF_INLINE vf vf_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}
VF_INLINE vf vf_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}
VF_INLINE vf vf_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}
VF_INLINE vf vf_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
} /* a*b + c */
VF_INLINE vf vf_fnma(vf a, vf b, vf c)
{
    return _mm512_fnmadd_ps(a, b, c);
} /* c - a*b */
VF_INLINE vf vf_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
} /* b when either is NaN */
VF_INLINE vf vf_min(vf a, vf b)
{
    return _mm512_min_ps(a, b);
}
VF_INLINE vf vf_neg_mul(vf x, vf slope) /* x < 0 ? x*slope : x */
{
    return _mm512_mask_mul_ps(x, _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ), x, slope);
}
VF_INLINE vf vf_sel_lt(vf a, vf b, vf x, vf y) /* a < b ? x : y */
{
    return _mm512_mask_mov_ps(y, _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), x);
}
VF_INLINE vf vf_abs(vf a)
{
    return _mm512_abs_ps(a);
}
VF_INLINE vf vf_copysign(vf mag, vf sgn)
{
    const __m512 m = _mm512_castsi512_ps(_mm512_set1_epi32((int)0x80000000u));
    return _mm512_or_ps(_mm512_andnot_ps(m, mag), _mm512_and_ps(m, sgn));
}
VF_INLINE vf vf_round(vf a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
VF_INLINE vf vf_pow2(vf n) /* 2^n for whole n in [-126, 127] */
{
    return _mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127)), 23));
}

#elif defined(MIEN__VEC_AVX2)
#include <immintrin.h>
#undef VF_HOLD
#define VF_HOLD(v) __asm__("" : "+x"(v))
#define VB 8
#define UKR_R 6
#define UKR_C 2
#define VF_NAME(x) x##_avx2
#define VF_LEVEL "avx2"
#define VF_REGS 1
typedef __m256 vf;
VF_INLINE vf vf_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
VF_INLINE void vf_store(float *p, vf a)
{
    _mm256_storeu_ps(p, a);
}
VF_INLINE vf vf_set1(float x)
{
    return _mm256_set1_ps(x);
}
VF_INLINE vf vf_zero(void)
{
    return _mm256_setzero_ps();
}
VF_INLINE vf vf_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}
VF_INLINE vf vf_sub(vf a, vf b)
{
    return _mm256_sub_ps(a, b);
}
VF_INLINE vf vf_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}
VF_INLINE vf vf_div(vf a, vf b)
{
    return _mm256_div_ps(a, b);
}
VF_INLINE vf vf_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}
VF_INLINE vf vf_fnma(vf a, vf b, vf c)
{
    return _mm256_fnmadd_ps(a, b, c);
}
VF_INLINE vf vf_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}
VF_INLINE vf vf_min(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}
VF_INLINE vf vf_sel_lt(vf a, vf b, vf x, vf y)
{
    return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}
VF_INLINE vf vf_neg_mul(vf x, vf slope)
{
    return _mm256_blendv_ps(x, _mm256_mul_ps(x, slope), x); /* by the sign bit: -0 * slope is a zero too */
}
VF_INLINE vf vf_abs(vf a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}
VF_INLINE vf vf_copysign(vf mag, vf sgn)
{
    const __m256 m = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_andnot_ps(m, mag), _mm256_and_ps(m, sgn));
}
VF_INLINE vf vf_round(vf a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
VF_INLINE vf vf_pow2(vf n)
{
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23));
}

#elif defined(MIEN__VEC_SSE2)
#include <emmintrin.h>
#define VB 8
#define UKR_R 3
#define UKR_C 2
#define VF_NAME(x) x##_sse2
#define VF_LEVEL "sse2"
#define VF_REGS 2
typedef struct vf {
    __m128 a, b;
} vf;
#define VF_1(f, x) ((vf){ f((x).a), f((x).b) })
#define VF_2(f, x, y) ((vf){ f((x).a, (y).a), f((x).b, (y).b) })
VF_INLINE vf vf_load(const float *p)
{
    return (vf){ _mm_loadu_ps(p), _mm_loadu_ps(p + 4) };
}
VF_INLINE void vf_store(float *p, vf x)
{
    _mm_storeu_ps(p, x.a);
    _mm_storeu_ps(p + 4, x.b);
}
VF_INLINE vf vf_set1(float x)
{
    return (vf){ _mm_set1_ps(x), _mm_set1_ps(x) };
}
VF_INLINE vf vf_zero(void)
{
    return (vf){ _mm_setzero_ps(), _mm_setzero_ps() };
}
VF_INLINE vf vf_add(vf x, vf y)
{
    return VF_2(_mm_add_ps, x, y);
}
VF_INLINE vf vf_sub(vf x, vf y)
{
    return VF_2(_mm_sub_ps, x, y);
}
VF_INLINE vf vf_mul(vf x, vf y)
{
    return VF_2(_mm_mul_ps, x, y);
}
VF_INLINE vf vf_div(vf x, vf y)
{
    return VF_2(_mm_div_ps, x, y);
}
VF_INLINE vf vf_fma(vf x, vf y, vf z)
{
    return vf_add(vf_mul(x, y), z);
}
VF_INLINE vf vf_fnma(vf x, vf y, vf z)
{
    return vf_sub(z, vf_mul(x, y));
}
VF_INLINE vf vf_max(vf x, vf y)
{
    return VF_2(_mm_max_ps, x, y);
}
VF_INLINE vf vf_min(vf x, vf y)
{
    return VF_2(_mm_min_ps, x, y);
}
VF_INLINE __m128 vf__sel(__m128 m, __m128 x, __m128 y)
{
    return _mm_or_ps(_mm_and_ps(m, x), _mm_andnot_ps(m, y));
}
VF_INLINE vf vf_sel_lt(vf a, vf b, vf x, vf y)
{
    return (vf){ vf__sel(_mm_cmplt_ps(a.a, b.a), x.a, y.a), vf__sel(_mm_cmplt_ps(a.b, b.b), x.b, y.b) };
}
VF_INLINE vf vf_neg_mul(vf x, vf slope)
{
    return vf_sel_lt(x, vf_zero(), vf_mul(x, slope), x);
}
VF_INLINE vf vf_abs(vf x)
{
    const vf m = vf_set1(-0.0f);
    return VF_2(_mm_andnot_ps, m, x);
}
VF_INLINE vf vf_copysign(vf mag, vf sgn)
{
    const vf m = vf_set1(-0.0f), g = VF_2(_mm_andnot_ps, m, mag), s = VF_2(_mm_and_ps, m, sgn);
    return VF_2(_mm_or_ps, g, s);
}
VF_INLINE vf vf_round(vf x) /* |x| < 2^31 */
{
    return (vf){ _mm_cvtepi32_ps(_mm_cvtps_epi32(x.a)), _mm_cvtepi32_ps(_mm_cvtps_epi32(x.b)) };
}
VF_INLINE __m128 vf__pow2(__m128 n)
{
    return _mm_castsi128_ps(_mm_slli_epi32(_mm_add_epi32(_mm_cvtps_epi32(n), _mm_set1_epi32(127)), 23));
}
VF_INLINE vf vf_pow2(vf n)
{
    return VF_1(vf__pow2, n);
}

#elif defined(MIEN__VEC_NEON)
#include <arm_neon.h>
#define VB 8
#define UKR_R 6
#define UKR_C 2
#define VF_NAME(x) x##_neon
#define VF_LEVEL "neon"
#define VF_REGS 2
typedef struct vf {
    float32x4_t a, b;
} vf;
#define VF_1(f, x) ((vf){ f((x).a), f((x).b) })
#define VF_2(f, x, y) ((vf){ f((x).a, (y).a), f((x).b, (y).b) })
VF_INLINE vf vf_load(const float *p)
{
    return (vf){ vld1q_f32(p), vld1q_f32(p + 4) };
}
VF_INLINE void vf_store(float *p, vf x)
{
    vst1q_f32(p, x.a);
    vst1q_f32(p + 4, x.b);
}
VF_INLINE vf vf_set1(float x)
{
    return (vf){ vdupq_n_f32(x), vdupq_n_f32(x) };
}
VF_INLINE vf vf_zero(void)
{
    return vf_set1(0.0f);
}
VF_INLINE vf vf_add(vf x, vf y)
{
    return VF_2(vaddq_f32, x, y);
}
VF_INLINE vf vf_sub(vf x, vf y)
{
    return VF_2(vsubq_f32, x, y);
}
VF_INLINE vf vf_mul(vf x, vf y)
{
    return VF_2(vmulq_f32, x, y);
}
VF_INLINE vf vf_div(vf x, vf y)
{
    return VF_2(vdivq_f32, x, y);
}
VF_INLINE vf vf_fma(vf x, vf y, vf z)
{
    return (vf){ vfmaq_f32(z.a, x.a, y.a), vfmaq_f32(z.b, x.b, y.b) };
}
VF_INLINE vf vf_fnma(vf x, vf y, vf z)
{
    return (vf){ vfmsq_f32(z.a, x.a, y.a), vfmsq_f32(z.b, x.b, y.b) };
}
VF_INLINE vf vf_sel_lt(vf a, vf b, vf x, vf y)
{
    return (vf){ vbslq_f32(vcltq_f32(a.a, b.a), x.a, y.a), vbslq_f32(vcltq_f32(a.b, b.b), x.b, y.b) };
}
VF_INLINE vf vf_max(vf x, vf y)
{
    return vf_sel_lt(y, x, x, y);
} /* b when either is NaN, as on x86 */
VF_INLINE vf vf_min(vf x, vf y)
{
    return vf_sel_lt(x, y, x, y);
}
VF_INLINE vf vf_neg_mul(vf x, vf slope)
{
    return vf_sel_lt(x, vf_zero(), vf_mul(x, slope), x);
}
VF_INLINE vf vf_abs(vf x)
{
    return VF_1(vabsq_f32, x);
}
VF_INLINE float32x4_t vf__copysign(float32x4_t mag, float32x4_t sgn)
{
    return vbslq_f32(vdupq_n_u32(0x80000000u), sgn, mag);
}
VF_INLINE vf vf_copysign(vf mag, vf sgn)
{
    return VF_2(vf__copysign, mag, sgn);
}
VF_INLINE vf vf_round(vf x)
{
    return VF_1(vrndnq_f32, x);
}
VF_INLINE float32x4_t vf__pow2(float32x4_t n)
{
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127)), 23));
}
VF_INLINE vf vf_pow2(vf n)
{
    return VF_1(vf__pow2, n);
}
#else
#error "define MIEN__VEC_SSE2, MIEN__VEC_AVX2, MIEN__VEC_AVX512 or MIEN__VEC_NEON before including vec.h"
#endif

#define VF_KERNEL(x) x "/" VF_LEVEL

/* n < VB floats; the rest reads as zero and is not touched in memory */
VF_INLINE vf vf_load_part(const float *p, size_t n)
{
    float t[VB] = { 0 };
    memcpy(t, p, n * sizeof *p);
    return vf_load(t);
}
VF_INLINE void vf_store_part(float *p, vf a, size_t n)
{
    float t[VB];
    vf_store(t, a);
    memcpy(p, t, n * sizeof *p);
}
VF_INLINE void vf_prefetch(const float *p) /* into the second cache */
{
    __builtin_prefetch(p, 0, 2);
}
VF_INLINE void vf_prefetch_near(const float *p) /* into the first */
{
    __builtin_prefetch(p, 0, 3);
}

#endif
