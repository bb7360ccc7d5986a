/* Pictures of floats for the sample maker: 1, 3 or 4 interleaved channels, gamma-coded values, 0 black and 1
 * white. A failing allocation or file ends the program: nothing here has a caller that could do better. */
#ifndef SAMPLES_CANVAS_H
#define SAMPLES_CANVAS_H

#include <mien/image.h>
#include <stddef.h>
#include <stdint.h>

typedef struct canvas {
    int w, h, c;
    float *p; /* [h][w][c] */
} canvas;

_Noreturn void die(const char *what, const char *detail);
void *take_memory(size_t n, size_t size); /* zeroed */

canvas canvas_new(int w, int h, int c);
canvas canvas_copy(const canvas *a);
void canvas_free(canvas *a); /* leaves it empty */

/* A picture file scaled to side x side px. */
canvas canvas_load(const char *path, int side);
/* Rounded to 8 bits; without alpha. */
mien_image *canvas_image(const canvas *a);
/* The same, written as JPEG or PNG by its ending. */
void canvas_save(const canvas *a, const char *path, int quality);

static inline float *canvas_at(const canvas *a, int x, int y)
{
    return a->p + ((size_t)y * (size_t)a->w + (size_t)x) * (size_t)a->c;
}

static inline float clamp01(float v)
{
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

static inline float smooth_step(float from, float to, float v)
{
    const float t = clamp01((v - from) / (to - from));
    return t * t * (3 - 2 * t);
}

/* All channels at (x, y) in px, pixel centres at + 0.5; outside, the border's value holds. */
void canvas_bilinear(const canvas *a, float x, float y, float *ret);
void canvas_bicubic(const canvas *a, float x, float y, float *ret); /* Catmull-Rom */

void canvas_blur(canvas *a, float sigma_px); /* Gaussian, borders repeated */
canvas canvas_resize(const canvas *a, int w, int h);
canvas canvas_cut(const canvas *a, int x, int y, int w, int h);

/* Random numbers: splitmix64, the same on every machine. */
typedef struct dice {
    uint64_t state;
} dice;
uint64_t dice_next(dice *d);
float dice_range(dice *d, float lo, float hi);
float dice_normal(dice *d);
/* Lattice noise of a point in [-1, 1], smooth; octaves halve in size and strength. */
float noise2(float x, float y, uint32_t seed);
float fractal2(float x, float y, int octaves, uint32_t seed);

#endif
