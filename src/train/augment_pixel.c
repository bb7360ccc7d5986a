/* The photometric parts of augmentation, on a crop in place.
 *
 * Colour and noise are in integers, so their bytes are the same on every machine: colour is one 3 x 3 matrix
 * in Q12 (saturation: Haeberli, "Matrix operations for image processing", 1993, luminance weights of
 * ITU-R BT.601) with an offset; noise is the sum of four random bytes, which comes near enough to a Gaussian
 * (excess kurtosis -0.3) at a fraction of the price, most of it common to the channels as a camera's is. Blur
 * is a separable kernel in Q15 of radius 3 sigma.
 */
#include "train/augment.h"
#include <math.h>
#include <mien/image.h>
#include <string.h>

enum { TONE_BITS = 12, BLUR_BITS = 15, MAX_BLUR_RADIUS = 64, NOISE_BITS = 20 };

static uint8_t to_byte(int32_t v)
{
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* ---- colour ---- */

static void mean_of(const mien__crop *c, double ret[3])
{
    const size_t n = (size_t)c->side * (size_t)c->side;
    uint64_t sum[3] = { 0 };
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < 3; k++)
            sum[k] += c->rgb[3 * i + (size_t)k];
    for (int k = 0; k < 3; k++)
        ret[k] = (double)sum[k] / (double)n;
}

void mien__pixel_tone(const mien__crop *c, const mien__tone *t)
{
    static const double luma[3] = { 0.299, 0.587, 0.114 };
    double mean[3], grey = 0;
    mean_of(c, mean);
    for (int k = 0; k < 3; k++)
        grey += luma[k] * t->balance[k] * mean[k];
    int32_t m[3][3];
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++) {
            const double mix = (1 - t->saturation) * luma[k] + (i == k ? t->saturation : 0);
            m[i][k] = (int32_t)lrint(t->contrast * mix * t->balance[k] * (1 << TONE_BITS));
        }
    const double offset = grey * (1 - t->contrast) + 255 * t->brightness;
    const int32_t add = (int32_t)lrint((offset + 0.5) * (1 << TONE_BITS));
    const size_t n = (size_t)c->side * (size_t)c->side * 3;
    for (uint8_t *p = c->rgb; p < c->rgb + n; p += 3) {
        const int32_t r = p[0], g = p[1], b = p[2];
        for (int i = 0; i < 3; i++) {
            const int32_t v = m[i][0] * r + m[i][1] * g + m[i][2] * b + add;
            p[i] = v < 0 ? 0 : to_byte(v >> TONE_BITS);
        }
    }
}

/* ---- something in front of the face ---- */

void mien__pixel_occlude(const mien__crop *c, int x, int y, int w, int h, bool noisy, mien__rng *rng)
{
    const uint8_t grey = (uint8_t)(mien__rng_u64(rng) >> 56);
    for (int row = y; row < y + h; row++) {
        uint8_t *const p = c->rgb + ((size_t)row * (size_t)c->side + (size_t)x) * 3;
        for (size_t i = 0; i < (size_t)w * 3; i++)
            p[i] = noisy ? (uint8_t)(mien__rng_u64(rng) >> 56) : grey;
    }
}

/* ---- blur ---- */

/* Weights of the centre and one side that sum to one with the other side. */
static int kernel(double sigma, int32_t *w)
{
    const int radius = sigma > MAX_BLUR_RADIUS / 3.0 ? MAX_BLUR_RADIUS : (int)ceil(3 * sigma);
    double g[MAX_BLUR_RADIUS + 1], sum = 0;
    for (int i = 0; i <= radius; i++) {
        g[i] = exp(-0.5 * i * i / (sigma * sigma));
        sum += i ? 2 * g[i] : g[i];
    }
    int32_t rest = 1 << BLUR_BITS;
    for (int i = radius; i >= 1; i--) {
        w[i] = (int32_t)lrint(g[i] / sum * (1 << BLUR_BITS));
        rest -= 2 * w[i];
    }
    w[0] = rest;
    return radius;
}

/* dst[i] = sum of w over src at i +- k * step; src has `radius` steps of margin on both sides. */
static void convolve(const uint8_t *src, ptrdiff_t step, const int32_t *w, int radius, size_t n, int32_t *sum,
                     uint8_t *dst)
{
    for (size_t i = 0; i < n; i++)
        sum[i] = w[0] * src[i] + (1 << (BLUR_BITS - 1));
    for (int k = 1; k <= radius; k++) {
        const uint8_t *const a = src - k * step, *const b = src + k * step;
        for (size_t i = 0; i < n; i++)
            sum[i] += w[k] * (a[i] + b[i]);
    }
    for (size_t i = 0; i < n; i++)
        dst[i] = (uint8_t)(sum[i] >> BLUR_BITS);
}

static void blur_rows(const mien__crop *c, const int32_t *w, int radius, uint8_t *padded, int32_t *sum)
{
    const size_t row = (size_t)c->side * 3, margin = (size_t)radius * 3;
    for (int y = 0; y < c->side; y++) {
        uint8_t *const p = c->rgb + (size_t)y * row;
        for (size_t i = 0; i < margin; i += 3) {
            memcpy(padded + i, p, 3);
            memcpy(padded + margin + row + i, p + row - 3, 3);
        }
        memcpy(padded + margin, p, row);
        convolve(padded + margin, 3, w, radius, row, sum, p);
    }
}

static void blur_columns(const mien__crop *c, const int32_t *w, int radius, uint8_t *padded, int32_t *sum)
{
    const size_t row = (size_t)c->side * 3;
    for (int y = -radius; y < c->side + radius; y++) {
        const int from = y < 0 ? 0 : y < c->side ? y : c->side - 1;
        memcpy(padded + (size_t)(y + radius) * row, c->rgb + (size_t)from * row, row);
    }
    for (int y = 0; y < c->side; y++)
        convolve(padded + (size_t)(y + radius) * row, (ptrdiff_t)row, w, radius, row, sum,
                 c->rgb + (size_t)y * row);
}

mien_status mien__pixel_blur(const mien__crop *c, double sigma, mien_error *err)
{
    if (!(sigma > 0.2)) /* narrower than a pixel: nothing to be seen */
        return MIEN_OK;
    int32_t w[MAX_BLUR_RADIUS + 1];
    const int radius = kernel(sigma, w);
    const size_t row = (size_t)c->side * 3, rows = (size_t)c->side + 2 * (size_t)radius;
    const size_t bytes =
        rows * row + row * sizeof(int32_t); /* rows * row >= row + 6 radius, what a row asks */
    int32_t *const sum = mien_alloc(bytes);
    if (!sum)
        return mien__nomem(err, bytes);
    uint8_t *const padded = (uint8_t *)(sum + row);
    blur_rows(c, w, radius, padded, sum);
    blur_columns(c, w, radius, padded, sum);
    mien_free(sum);
    return MIEN_OK;
}

/* ---- sensor and file ---- */

/* Four random bytes of `bits` summed, about zero: variance 4 (256^2 - 1) / 12. */
static int32_t bell(uint64_t bits)
{
    return (int32_t)((bits & 255) + (bits >> 8 & 255) + (bits >> 16 & 255) + (bits >> 24 & 255)) - 510;
}

void mien__pixel_noise(uint8_t *rgb, size_t n_px, double sigma, mien__rng *rng)
{
    /* a channel is one part common to the three and half a part of its own: variance 5/4 */
    const double unit = sqrt(1.25 * 4 * 65535.0 / 12);
    const int32_t gain = (int32_t)lrint(sigma * 255 / unit * (1 << NOISE_BITS));
    for (size_t i = 0; i < n_px; i++, rgb += 3) {
        const uint64_t a = mien__rng_u64(rng), b = mien__rng_u64(rng);
        const int32_t common = 2 * bell(a), own[3] = { bell(a >> 32), bell(b), bell(b >> 32) };
        for (int c = 0; c < 3; c++) {
            const int64_t d = ((int64_t)(common + own[c]) * gain + (1 << NOISE_BITS)) >> (NOISE_BITS + 1);
            rgb[c] = to_byte(rgb[c] + (int32_t)d);
        }
    }
}

static mien_status through_jpeg(uint8_t *rgb, int px, int quality, mien_error *err)
{
    const mien_image_view view = { rgb, px, px, (size_t)px * 3 };
    uint8_t *data = NULL;
    size_t size = 0;
    mien_image *back = NULL;
    mien_status st = mien_image_encode(view, "jpeg", quality, &data, &size, err);
    if (st == MIEN_OK)
        st = mien_image_decode(data, size, NULL, &back, err);
    if (st == MIEN_OK)
        memcpy(rgb, mien_image_view_of(back).data, (size_t)px * (size_t)px * 3);
    mien_image_free(back);
    mien_image_data_free(data);
    return st;
}

static mien_status sensor(uint8_t *rgb, int px, double noise, int quality, mien__rng *rng, mien_error *err)
{
    if (noise > 0)
        mien__pixel_noise(rgb, (size_t)px * (size_t)px, noise, rng);
    return quality > 0 ? through_jpeg(rgb, px, quality, err) : MIEN_OK;
}

mien_status mien__pixel_capture(const mien__crop *c, int px, double noise, int quality, mien__rng *rng,
                                mien_error *err)
{
    if (px >= c->side)
        return sensor(c->rgb, c->side, noise, quality, rng, err);
    const mien_image_view full = { c->rgb, c->side, c->side, (size_t)c->side * 3 };
    mien_image *small = NULL, *large = NULL;
    mien_status st = mien_image_resize(full, px, px, &small, err);
    if (st == MIEN_OK)
        st = sensor(mien_image_pixels(small), px, noise, quality, rng, err);
    if (st == MIEN_OK)
        st = mien_image_resize(mien_image_view_of(small), c->side, c->side, &large, err);
    if (st == MIEN_OK)
        memcpy(c->rgb, mien_image_view_of(large).data, (size_t)c->side * (size_t)c->side * 3);
    mien_image_free(small);
    mien_image_free(large);
    return st;
}
