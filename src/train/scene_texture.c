/* Surfaces made by numbers: plain, gradient, smooth noise, checker, stripes, rows of signs like print.
 *
 * Noise is value noise in octaves (Ebert et al., Texturing and Modeling, ch. 2): random values on a lattice,
 * blended bilinearly, each octave half as coarse and half as strong. The lattice is a hash of its place, so
 * nothing is stored.
 */
#include "train/scene_parts.h"
#include <math.h>

enum { MAX_LATTICE = 4096 / 4 + 3, OCTAVES = 3 };

typedef struct colours {
    float a[3], b[3];
} colours;

static colours random_colours(mien__rng *r)
{
    colours c;
    const double contrast = mien__dice_between(r, 0.1, 1), base = mien__dice_between(r, 0, 255);
    const double colour = mien__dice_between(r, 0, 120);
    for (int i = 0; i < 3; i++) {
        const double v = base + (mien__rng_unit(r) - 0.5) * colour;
        c.a[i] = (float)(v < 0 ? 0 : v > 255 ? 255 : v);
        c.b[i] = (float)(c.a[i] + (mien__rng_unit(r) * 255 - c.a[i]) * contrast);
    }
    return c;
}

static void put(uint8_t *px, const colours *c, float t)
{
    for (int i = 0; i < 3; i++) {
        const float v = c->a[i] + (c->b[i] - c->a[i]) * t;
        px[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v + 0.5f);
    }
}

static uint8_t lattice(uint64_t seed, int x, int y)
{
    uint64_t h = seed ^ ((uint64_t)(uint32_t)x << 32 | (uint32_t)y);
    h = (h ^ h >> 31) * 0x9e3779b97f4a7c15u;
    h = (h ^ h >> 29) * 0xbf58476d1ce4e5b9u;
    return (uint8_t)(h >> 56);
}

/* One octave's values along row y, weighted and added. */
static void add_octave(uint64_t seed, float cell, float weight, int y, int width, float *sum)
{
    uint8_t top[MAX_LATTICE], bottom[MAX_LATTICE];
    const float v = ((float)y + 0.5f) / cell;
    const int j = (int)v, n = (int)((float)width / cell) + 2;
    const float fy = v - (float)j, unit = weight / 255;
    for (int i = 0; i < n && i < MAX_LATTICE; i++) {
        top[i] = lattice(seed, i, j);
        bottom[i] = lattice(seed, i, j + 1);
    }
    for (int x = 0; x < width; x++) {
        const float u = ((float)x + 0.5f) / cell;
        const int i = (int)u;
        const float fx = u - (float)i;
        const float a = (float)top[i] + ((float)top[i + 1] - (float)top[i]) * fx;
        const float b = (float)bottom[i] + ((float)bottom[i + 1] - (float)bottom[i]) * fx;
        sum[x] += (a + (b - a) * fy) * unit;
    }
}

static void noise_fill(mien__rng *r, const colours *c, double coarsest, uint8_t *rgb, int width, int height)
{
    float sum[4096];
    const uint64_t seed = mien__rng_u64(r);
    mien_assert(width <= 4096);
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++)
            sum[x] = -0.2f;
        double cell = coarsest;
        float weight = 0.8f;
        for (int k = 0; k < OCTAVES && cell >= 4; k++, cell /= 2, weight /= 2)
            add_octave(seed + (uint64_t)k, (float)cell, weight, y, width, sum);
        for (int x = 0; x < width; x++, rgb += 3)
            put(rgb, c, sum[x] < 0 ? 0 : sum[x] > 1 ? 1 : sum[x]);
    }
}

static void gradient_fill(mien__rng *r, const colours *c, uint8_t *rgb, int width, int height)
{
    const double angle = mien__dice_between(r, 0, 6.283185307179586);
    const double size = fabs(cos(angle)) * width + fabs(sin(angle)) * height;
    const float dx = (float)(cos(angle) / size), dy = (float)(sin(angle) / size);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++, rgb += 3)
            put(rgb, c, 0.5f + ((float)x - (float)width / 2) * dx + ((float)y - (float)height / 2) * dy);
}

/* Checker when `both`, else stripes; turned by any angle. */
static void checker_fill(mien__rng *r, const colours *c, bool both, uint8_t *rgb, int width, int height)
{
    const double angle = mien__dice_between(r, 0, 6.283185307179586);
    const double cell = mien__dice_log(r, 3, 3 + (width + height) / 8.0);
    const float dx = (float)(cos(angle) / cell), dy = (float)(sin(angle) / cell);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++, rgb += 3) {
            const float u = (float)x * dx + (float)y * dy, v = (float)y * dx - (float)x * dy;
            const int odd = ((int)floorf(u) + (both ? (int)floorf(v) : 0)) & 1;
            put(rgb, c, odd ? 1.0f : 0.0f);
        }
}

/* One sign of 3 x 5 squares: random, yet with strokes as letters have. */
static uint32_t random_sign(mien__rng *r)
{
    static const uint32_t strokes[] = {
        0x1249, 0x4924, 0x2492, 0x7, 0x1c0, 0x7000, 0x3, 0x6000, 0x124, 0x48
    };
    uint32_t sign = 0;
    for (int k = 0; k < 3; k++)
        sign |= strokes[mien__dice_below(r, MIEN_COUNTOF(strokes))];
    return sign;
}

static void print_fill(mien__rng *r, const colours *c, uint8_t *rgb, int width, int height)
{
    const int dot = 1 + (int)mien__dice_below(r, width / 40 < 6 ? (size_t)(width / 40) + 1 : 6);
    const double gaps = mien__dice_between(r, 0.05, 0.3);
    uint8_t *p = rgb;
    for (int i = 0; i < width * height; i++, p += 3)
        put(p, c, 0);
    for (int y = dot; y + 5 * dot < height; y += 8 * dot)
        for (int x = dot; x + 3 * dot < width; x += 4 * dot) {
            if (mien__dice_chance(r, gaps))
                continue;
            const uint32_t sign = random_sign(r);
            for (int v = 0; v < 5 * dot; v++)
                for (int u = 0; u < 3 * dot; u++)
                    if (sign >> (v / dot * 3 + u / dot) & 1)
                        put(rgb + 3 * ((size_t)(y + v) * (size_t)width + (size_t)(x + u)), c, 1);
        }
}

void mien__texture_any(mien__rng *r, uint8_t *rgb, int width, int height)
{
    const colours c = random_colours(r);
    const double kind = mien__rng_unit(r), side = width > height ? width : height;
    if (kind < 0.25)
        gradient_fill(r, &c, rgb, width, height);
    else if (kind < 0.70)
        noise_fill(r, &c, mien__dice_log(r, 6, 6 + side / 2), rgb, width, height);
    else if (kind < 0.80)
        checker_fill(r, &c, true, rgb, width, height);
    else if (kind < 0.88)
        checker_fill(r, &c, false, rgb, width, height);
    else
        print_fill(r, &c, rgb, width, height);
}

void mien__texture_skin(mien__rng *r, uint8_t *rgb, int width, int height)
{
    static const float light[3] = { 245, 212, 190 }, dark[3] = { 72, 44, 32 };
    const float t = (float)mien__rng_unit(r), shade = (float)mien__dice_between(r, 0.55, 0.95);
    colours c;
    for (int i = 0; i < 3; i++) {
        c.a[i] = light[i] + (dark[i] - light[i]) * t + (float)mien__dice_between(r, -15, 15);
        c.b[i] = c.a[i] * shade;
    }
    if (mien__dice_chance(r, 0.5))
        gradient_fill(r, &c, rgb, width, height);
    else
        noise_fill(r, &c, 8 + (width + height) / 4.0, rgb, width, height);
}
