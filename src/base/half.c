/* Half floats (IEEE 754 binary16): one at a time by the definition, and rows of them for model files.
 *
 * Every half is a float, so widening is exact. A row is widened without a branch, so that compilers vectorise
 * it: exponent and mantissa are moved to their places in a float and the exponent's bias is corrected by
 * adding 112 to it. What is left are infinities and NaN (exponent 31: 112 more make it 255) and subnormal
 * halves, which as m * 2^-24 are (2^-14 + m * 2^-24) - 2^-14, both exact and neither operand subnormal, so
 * that a caller's flush-to-zero mode changes nothing.
 */
#include "base/base.h"
#include <string.h>

float mien__half_to_float(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    uint32_t exponent = (h >> 10) & 0x1fu, mantissa = h & 0x3ffu, bits = 0;
    if (exponent == 0x1f) {
        bits = sign | 0x7f800000u | (mantissa << 13);
    } else if (exponent != 0) {
        bits = sign | ((exponent + 112) << 23) | (mantissa << 13);
    } else if (mantissa != 0) {
        exponent = 113;
        while (!(mantissa & 0x400u)) {
            mantissa <<= 1;
            exponent--;
        }
        bits = sign | (exponent << 23) | ((mantissa & 0x3ffu) << 13);
    } else {
        bits = sign;
    }
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

uint16_t mien__float_to_half(float f)
{
    uint32_t x;
    memcpy(&x, &f, sizeof x);
    const uint16_t sign = (uint16_t)((x >> 16) & 0x8000u);
    x &= 0x7fffffffu;
    if (x > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u);
    if (x >= 0x477ff000u) /* rounds to 65520 or more */
        return (uint16_t)(sign | 0x7c00u);
    uint32_t shift = 13, mantissa = x;
    if (x < 0x38800000u) { /* subnormal half: restore the hidden bit and shift further */
        const uint32_t exponent = x >> 23;
        if (exponent < 101)
            return sign;
        shift = 126 - exponent;
        mantissa = (x & 0x7fffffu) | 0x800000u;
    } else {
        mantissa = x - 0x38000000u;
    }
    const uint32_t half = 1u << (shift - 1);
    const uint32_t odd = (mantissa >> shift) & 1u;
    return (uint16_t)(sign | ((mantissa + half - 1 + odd) >> shift));
}

void mien__halves_to_floats(const void *src, size_t n, float *dst)
{
    const uint32_t bias = 112u << 23, top = 31u << 23;
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, (const uint8_t *)src + 2 * i, sizeof h);
        const uint32_t moved = (uint32_t)(h & 0x7fffu) << 13, exponent = moved & top;
        const uint32_t lifted = moved + (1u << 23) + bias;
        float small;
        memcpy(&small, &lifted, sizeof small);
        small -= 0x1p-14f;
        uint32_t small_bits;
        memcpy(&small_bits, &small, sizeof small_bits);
        uint32_t bits = moved + bias + (exponent == top ? bias : 0);
        bits = exponent ? bits : small_bits;
        bits |= (uint32_t)(h & 0x8000u) << 16;
        memcpy(dst + i, &bits, sizeof bits);
    }
}
