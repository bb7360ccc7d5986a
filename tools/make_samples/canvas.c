/* Pictures of floats: reading, writing, sampling, Gaussian blur (separable, exact kernel of 3 sigma), random
 * numbers and lattice noise (Perlin 1985: values at integer points, blended by a quintic). */
#include "canvas.h"
#include <math.h>
#include <mien/mien.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void die(const char *what, const char *detail)
{
    fprintf(stderr, "make_samples: %s%s%s\n", what, detail ? ": " : "", detail ? detail : "");
    exit(1);
}

void *take_memory(size_t n, size_t size)
{
    void *p = calloc(n, size);
    if (!p)
        die("out of memory", NULL);
    return p;
}

canvas canvas_new(int w, int h, int c)
{
    return (canvas){ w, h, c, take_memory((size_t)w * (size_t)h * (size_t)c, sizeof(float)) };
}

canvas canvas_copy(const canvas *a)
{
    canvas b = canvas_new(a->w, a->h, a->c);
    memcpy(b.p, a->p, (size_t)a->w * (size_t)a->h * (size_t)a->c * sizeof(float));
    return b;
}

void canvas_free(canvas *a)
{
    free(a->p);
    *a = (canvas){ 0, 0, 0, NULL };
}

canvas canvas_load(const char *path, int side)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_image *img = NULL, *small = NULL;
    if (mien_image_load(path, NULL, &img, &err) ||
        mien_image_resize(mien_image_view_of(img), side, side, &small, &err))
        die(path, err.message);
    const mien_image_view v = mien_image_view_of(small);
    canvas a = canvas_new(side, side, 3);
    for (int y = 0; y < side; y++)
        for (int i = 0; i < side * 3; i++)
            canvas_at(&a, 0, y)[i] = (float)v.data[(size_t)y * v.stride_bytes + (size_t)i] / 255;
    mien_image_free(small);
    mien_image_free(img);
    return a;
}

mien_image *canvas_image(const canvas *a)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_image *img = NULL;
    if (mien_image_new(a->w, a->h, NULL, 0, &img, &err))
        die("picture", err.message);
    const size_t stride = mien_image_view_of(img).stride_bytes;
    for (int y = 0; y < a->h; y++)
        for (int x = 0; x < a->w; x++)
            for (int k = 0; k < 3; k++) {
                const float v = canvas_at(a, x, y)[a->c < 3 ? 0 : k];
                mien_image_pixels(img)[(size_t)y * stride + (size_t)x * 3 + (size_t)k] =
                    (uint8_t)(clamp01(v) * 255 + 0.5f);
            }
    return img;
}

void canvas_save(const canvas *a, const char *path, int quality)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_image *img = canvas_image(a);
    if (mien_image_save(mien_image_view_of(img), path, quality, &err))
        die(path, err.message);
    mien_image_free(img);
}

static int border(int i, int n)
{
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

void canvas_bilinear(const canvas *a, float x, float y, float *ret)
{
    const float fx = floorf(x - 0.5f), fy = floorf(y - 0.5f), tx = x - 0.5f - fx, ty = y - 0.5f - fy;
    const int x0 = border((int)fx, a->w), x1 = border((int)fx + 1, a->w);
    const int y0 = border((int)fy, a->h), y1 = border((int)fy + 1, a->h);
    for (int k = 0; k < a->c; k++) {
        const float top = canvas_at(a, x0, y0)[k] * (1 - tx) + canvas_at(a, x1, y0)[k] * tx;
        const float low = canvas_at(a, x0, y1)[k] * (1 - tx) + canvas_at(a, x1, y1)[k] * tx;
        ret[k] = top * (1 - ty) + low * ty;
    }
}

static void cubic_weights(float t, float *w)
{
    w[0] = ((-0.5f * t + 1) * t - 0.5f) * t;
    w[1] = (1.5f * t - 2.5f) * t * t + 1;
    w[2] = ((-1.5f * t + 2) * t + 0.5f) * t;
    w[3] = (0.5f * t - 0.5f) * t * t;
}

void canvas_bicubic(const canvas *a, float x, float y, float *ret)
{
    const float fx = floorf(x - 0.5f), fy = floorf(y - 0.5f);
    const int x0 = (int)fx - 1, y0 = (int)fy - 1, c = a->c;
    int at[4];
    float wx[4], wy[4];
    cubic_weights(x - 0.5f - fx, wx);
    cubic_weights(y - 0.5f - fy, wy);
    for (int i = 0; i < 4; i++)
        at[i] = border(x0 + i, a->w) * c;
    for (int k = 0; k < c; k++)
        ret[k] = 0;
    for (int j = 0; j < 4; j++) {
        const float *row = canvas_at(a, 0, border(y0 + j, a->h));
        for (int k = 0; k < c; k++)
            ret[k] += wy[j] * (wx[0] * row[at[0] + k] + wx[1] * row[at[1] + k] + wx[2] * row[at[2] + k] +
                               wx[3] * row[at[3] + k]);
    }
}

/* Every row of a, and then every column, under the kernel; both passes add whole rows, which the compiler
 * vectorises. */
static void convolve(canvas *a, const float *kernel, int r)
{
    const int c = a->c, row = a->w * c;
    float *wide = take_memory((size_t)(row + 2 * r * c), sizeof *wide);
    canvas from = canvas_new(a->w, a->h, c);
    for (int y = 0; y < a->h; y++) {
        const float *src = canvas_at(a, 0, y);
        float *dst = canvas_at(&from, 0, y);
        for (int i = -r * c; i < row + r * c; i++)
            wide[i + r * c] = src[border(i < 0 ? -((c - 1 - i) / c) : i / c, a->w) * c + ((i % c) + c) % c];
        for (int k = 0; k <= 2 * r; k++)
            for (int i = 0; i < row; i++)
                dst[i] += kernel[k] * wide[i + k * c];
    }
    for (int y = 0; y < a->h; y++) {
        float *dst = canvas_at(a, 0, y);
        memset(dst, 0, (size_t)row * sizeof *dst);
        for (int k = -r; k <= r; k++) {
            const float *src = canvas_at(&from, 0, border(y + k, a->h));
            for (int i = 0; i < row; i++)
                dst[i] += kernel[k + r] * src[i];
        }
    }
    canvas_free(&from);
    free(wide);
}

void canvas_blur(canvas *a, float sigma_px)
{
    if (sigma_px < 0.2f)
        return;
    if (sigma_px > 8) { /* a small copy is as good, and quick */
        canvas half = canvas_resize(a, (a->w + 1) / 2, (a->h + 1) / 2);
        canvas_blur(&half, sigma_px / 2);
        canvas whole = canvas_resize(&half, a->w, a->h);
        canvas_free(&half);
        canvas_free(a);
        *a = whole;
        return;
    }
    const int r = (int)ceilf(3 * sigma_px);
    float kernel[2 * 24 + 1], sum = 0;
    for (int k = -r; k <= r; k++)
        sum += kernel[k + r] = expf(-0.5f * (float)(k * k) / (sigma_px * sigma_px));
    for (int k = 0; k <= 2 * r; k++)
        kernel[k] /= sum;
    convolve(a, kernel, r);
}

canvas canvas_resize(const canvas *a, int w, int h)
{
    canvas b = canvas_new(w, h, a->c);
    const float sx = (float)a->w / (float)w, sy = (float)a->h / (float)h;
    canvas soft = canvas_copy(a);
    if (sx > 1.01f)
        canvas_blur(&soft, 0.45f * sqrtf(sx * sx - 1));
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            canvas_bilinear(&soft, ((float)x + 0.5f) * sx, ((float)y + 0.5f) * sy, canvas_at(&b, x, y));
    canvas_free(&soft);
    return b;
}

canvas canvas_cut(const canvas *a, int x, int y, int w, int h)
{
    canvas b = canvas_new(w, h, a->c);
    for (int i = 0; i < h; i++)
        memcpy(canvas_at(&b, 0, i), canvas_at(a, x, y + i), (size_t)(w * a->c) * sizeof(float));
    return b;
}

uint64_t dice_next(dice *d)
{
    uint64_t z = d->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

float dice_range(dice *d, float lo, float hi)
{
    return lo + (hi - lo) * (float)(dice_next(d) >> 40) / 16777216.0f;
}

float dice_normal(
    dice *d) /* sum of twelve: close enough, and free of logarithms that differ between libraries */
{
    float s = -6;
    for (int i = 0; i < 12; i++)
        s += dice_range(d, 0, 1);
    return s;
}

static float lattice(int x, int y, uint32_t seed)
{
    uint32_t h = (uint32_t)x * 0x9e3779b1u ^ (uint32_t)y * 0x85ebca77u ^ seed * 0xc2b2ae3du;
    h = (h ^ (h >> 15)) * 0x2c1b3c6du;
    h = (h ^ (h >> 12)) * 0x297a2d39u;
    h ^= h >> 15;
    return (float)(h >> 8) / 8388608.0f - 1;
}

float noise2(float x, float y, uint32_t seed)
{
    const float fx = floorf(x), fy = floorf(y);
    const int ix = (int)fx, iy = (int)fy;
    const float u = x - fx, v = y - fy;
    const float tx = u * u * u * (u * (u * 6 - 15) + 10), ty = v * v * v * (v * (v * 6 - 15) + 10);
    const float top = lattice(ix, iy, seed) * (1 - tx) + lattice(ix + 1, iy, seed) * tx;
    const float low = lattice(ix, iy + 1, seed) * (1 - tx) + lattice(ix + 1, iy + 1, seed) * tx;
    return top * (1 - ty) + low * ty;
}

float fractal2(float x, float y, int octaves, uint32_t seed)
{
    float sum = 0, gain = 1, norm = 0;
    for (int i = 0; i < octaves; i++) {
        sum += gain * noise2(x, y, seed + (uint32_t)i * 101u);
        norm += gain;
        gain *= 0.5f;
        const float u = 1.6f * x - 1.2f * y + 13.7f; /* turned, so that the lattices do not line up */
        y = 1.2f * x + 1.6f * y + 7.3f;
        x = u;
    }
    return sum / norm;
}
