/* What light, a camera and a file format do to a picture: brightness, contrast, gamma and colour balance (one
 * table per channel), saturation, a shadow across the frame, blur, noise, JPEG; each with a probability, all
 * from one stream.
 */
#include "image/codec.h"
#include "train/scene_parts.h"
#include <math.h>
#include <string.h>

static uint8_t to_byte(double v)
{
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v + 0.5);
}

static void fill_tables(double gamma, double contrast, double shift, const double gain[3],
                        uint8_t ret[3][256])
{
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 256; i++)
            ret[c][i] = to_byte(((pow(i / 255.0, gamma) - 0.5) * contrast + 0.5 + shift) * 255 * gain[c]);
}

void mien__photo_tables(mien__rng *r, double strength, uint8_t ret[3][256])
{
    const double gamma = exp(mien__dice_normal(r) * 0.2 * strength);
    const double contrast = exp(mien__dice_normal(r) * 0.2 * strength);
    const double shift = mien__dice_normal(r) * 0.08 * strength;
    double gain[3];
    for (int c = 0; c < 3; c++)
        gain[c] = 1 + mien__dice_normal(r) * 0.06 * strength;
    fill_tables(gamma, contrast, shift, gain, ret);
}

/* A dim room: dark, of little contrast, and of one colour. */
static void dim_tables(mien__rng *r, double strength, uint8_t ret[3][256])
{
    const double light = 1 - strength * mien__dice_between(r, 0.3, 0.8);
    const double warm = mien__dice_normal(r) * 0.15 * strength;
    const double gain[3] = { light * (1 + warm), light, light * (1 - warm) };
    fill_tables(1 + 0.4 * strength, 1, 0, gain, ret);
}

void mien__photo_apply_tables(uint8_t tables[3][256], uint8_t *rgb, size_t n_px)
{
    for (size_t i = 0; i < n_px; i++, rgb += 3)
        for (int c = 0; c < 3; c++)
            rgb[c] = tables[c][rgb[c]];
}

/* Towards grey (0) or away from it (above 256), in 256ths. */
static void saturate(uint8_t *rgb, size_t n_px, int amount)
{
    for (size_t i = 0; i < n_px; i++, rgb += 3) {
        const int grey = (77 * rgb[0] + 150 * rgb[1] + 29 * rgb[2]) >> 8;
        for (int c = 0; c < 3; c++) {
            const int v = grey + (((rgb[c] - grey) * amount) >> 8);
            rgb[c] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
        }
    }
}

/* Light falls off along one direction. */
static void shadow(mien__rng *r, double strength, uint8_t *rgb, int width, int height)
{
    const double angle = mien__dice_between(r, 0, 6.283185307179586);
    const double depth = mien__dice_between(r, 0.2, 0.7) * strength;
    const double size = fabs(cos(angle)) * width + fabs(sin(angle)) * height;
    const int dx = (int)lrint(65536 * depth * cos(angle) / size);
    for (int y = 0; y < height; y++) {
        const double t = 0.5 + (-width / 2.0 * cos(angle) + (y - height / 2.0) * sin(angle)) / size;
        int light = (int)lrint(65536 * (1 - depth * t));
        for (int x = 0; x < width; x++, rgb += 3, light -= dx)
            for (int c = 0; c < 3; c++)
                rgb[c] = (uint8_t)((rgb[c] * light) >> 16);
    }
}

/* One pass of a kernel of 2 * radius + 1 taps in 256ths over n samples `step` apart; edges repeated. */
enum { MAX_RADIUS = 6 };

static void blur_rows(const uint8_t *src, uint8_t *dst, int width, int height, const int *k, int radius)
{
    const size_t row = 3 * (size_t)width;
    for (int y = 0; y < height; y++, src += row, dst += row)
        for (int x = 0; x < width; x++) {
            int sum[3] = { 128, 128, 128 };
            for (int t = -radius; t <= radius; t++) {
                const int i = x + t < 0 ? 0 : x + t >= width ? width - 1 : x + t;
                for (int c = 0; c < 3; c++)
                    sum[c] += k[t + radius] * src[3 * i + c];
            }
            for (int c = 0; c < 3; c++)
                dst[3 * x + c] = (uint8_t)(sum[c] >> 8);
        }
}

static void blur_columns(const uint8_t *src, uint8_t *dst, int width, int height, const int *k, int radius)
{
    const size_t row = 3 * (size_t)width;
    uint16_t sum[3 * 4096];
    for (int y = 0; y < height; y++, dst += row) {
        for (size_t i = 0; i < row; i++)
            sum[i] = 128;
        for (int t = -radius; t <= radius; t++) {
            const int j = y + t < 0 ? 0 : y + t >= height ? height - 1 : y + t;
            const uint8_t *const from = src + (size_t)j * row;
            const uint16_t w = (uint16_t)k[t + radius];
            for (size_t i = 0; i < row; i++)
                sum[i] = (uint16_t)(sum[i] + w * from[i]);
        }
        for (size_t i = 0; i < row; i++)
            dst[i] = (uint8_t)(sum[i] >> 8);
    }
}

static void blur(uint8_t *rgb, int width, int height, double sigma, uint8_t *scratch)
{
    int k[2 * MAX_RADIUS + 1], total = 0;
    int radius = (int)ceil(2.5 * sigma);
    radius = radius > MAX_RADIUS ? MAX_RADIUS : radius;
    double sum = 0;
    for (int t = -radius; t <= radius; t++)
        sum += exp(-t * t / (2 * sigma * sigma));
    for (int t = -radius; t <= radius; t++)
        total += k[t + radius] = (int)(256 * exp(-t * t / (2 * sigma * sigma)) / sum);
    k[radius] += 256 - total;
    blur_rows(rgb, scratch, width, height, k, radius);
    blur_columns(scratch, rgb, width, height, k, radius);
}

/* Sum of four bytes of the stream: near normal, deviation 147.8. */
static void grain(mien__rng *r, uint8_t *rgb, size_t n, double sigma)
{
    const int scale = (int)lrint(sigma / 147.8 * 65536);
    for (size_t i = 0; i + 1 < n; i += 2) {
        const uint64_t bits = mien__rng_u64(r),
                       pairs = (bits & 0x00ff00ff00ff00ffu) + (bits >> 8 & 0x00ff00ff00ff00ffu);
        const int a = (int)(pairs & 0xffff) + (int)(pairs >> 16 & 0xffff) - 510;
        const int b = (int)(pairs >> 32 & 0xffff) + (int)(pairs >> 48) - 510;
        const int u = rgb[i] + ((a * scale) >> 16), v = rgb[i + 1] + ((b * scale) >> 16);
        rgb[i] = (uint8_t)(u < 0 ? 0 : u > 255 ? 255 : u);
        rgb[i + 1] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
}

static mien_status compress(uint8_t *rgb, int width, int height, int quality, mien_error *err)
{
    const size_t row = 3 * (size_t)width;
    const mien_image_view view = { rgb, width, height, row };
    mien_image *image = NULL;
    mien__buf file;
    mien__buf_init(&file, (size_t)256 << 20);
    mien_status st = mien__jpeg_encode(view, quality, &file, err);
    if (!st)
        st = mien_image_decode(file.data, file.size, NULL, &image, err);
    if (!st)
        memcpy(rgb, mien_image_view_of(image).data, row * (size_t)height);
    mien_image_free(image);
    mien__buf_free(&file);
    return st;
}

mien_status mien__photo_apply(mien__rng *r, double strength, uint8_t *rgb, int width, int height,
                              uint8_t *scratch, mien_error *err)
{
    const size_t n_px = (size_t)width * (size_t)height;
    uint8_t tables[3][256];
    const double dim = mien__rng_unit(r), colour = mien__rng_unit(r);
    if (dim < 0.08) {
        dim_tables(r, strength, tables);
        mien__photo_apply_tables(tables, rgb, n_px);
    } else if (dim < 0.7) {
        mien__photo_tables(r, strength, tables);
        mien__photo_apply_tables(tables, rgb, n_px);
    }
    if (colour < 0.07)
        saturate(rgb, n_px, (int)(256 * (1 - strength)));
    else if (colour < 0.4)
        saturate(rgb, n_px, (int)(256 * (1 + mien__dice_between(r, -0.7, 0.4) * strength)));
    if (mien__dice_chance(r, 0.15))
        shadow(r, strength, rgb, width, height);
    if (mien__dice_chance(r, 0.2 * strength))
        blur(rgb, width, height, mien__dice_between(r, 0.4, 0.4 + 1.4 * strength), scratch);
    if (mien__dice_chance(r, 0.25 * strength))
        grain(r, rgb, 3 * n_px, mien__dice_between(r, 1, 1 + 15 * strength) * (dim < 0.08 ? 1.5 : 1));
    if (mien__dice_chance(r, 0.3 * strength))
        return compress(rgb, width, height, 95 - (int)mien__dice_below(r, 1 + (size_t)(70 * strength)), err);
    return MIEN_OK;
}
