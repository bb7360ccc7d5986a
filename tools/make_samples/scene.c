/* Surroundings out of focus: plain shapes, blurred, as a lens at full opening would show them. Random numbers
 * are drawn one to a statement: the order inside an expression is the compiler's choice. */
#include "scene.h"
#include <math.h>

typedef struct colour {
    float c[3];
} colour;

static colour rgb(float r, float g, float b)
{
    return (colour){ { r, g, b } };
}

static colour mix(colour a, colour b, float t)
{
    for (int k = 0; k < 3; k++)
        a.c[k] += t * (b.c[k] - a.c[k]);
    return a;
}

static void lay(float *p, colour c, float alpha)
{
    for (int k = 0; k < 3; k++)
        p[k] += alpha * (c.c[k] - p[k]);
}

static void gradient(canvas *a, colour top, colour low)
{
    for (int y = 0; y < a->h; y++)
        for (int x = 0; x < a->w; x++)
            lay(canvas_at(a, x, y), mix(top, low, (float)y / (float)a->h), 1);
}

static void box(canvas *a, float x0, float y0, float x1, float y1, colour c, float alpha)
{
    for (int y = (int)fmaxf(0, y0); y < a->h && (float)y < y1; y++)
        for (int x = (int)fmaxf(0, x0); x < a->w && (float)x < x1; x++)
            lay(canvas_at(a, x, y), c, alpha);
}

/* A point of light out of focus: a disc, brighter towards its rim. */
static void disc(canvas *a, float cx, float cy, float r, colour c, float alpha)
{
    for (int y = (int)fmaxf(0, cy - r - 1); y < a->h && (float)y < cy + r + 1; y++)
        for (int x = (int)fmaxf(0, cx - r - 1); x < a->w && (float)x < cx + r + 1; x++) {
            const float d = hypotf((float)x + 0.5f - cx, (float)y + 0.5f - cy);
            lay(canvas_at(a, x, y), c, alpha * clamp01(r - d + 0.5f) * (0.75f + 0.25f * d / r));
        }
}

static void wall(canvas *a, float unit, dice *d)
{
    static const float tones[][3] = { { 0.80f, 0.77f, 0.71f }, { 0.62f, 0.68f, 0.72f },
                                      { 0.74f, 0.70f, 0.68f }, { 0.55f, 0.60f, 0.55f },
                                      { 0.83f, 0.82f, 0.80f }, { 0.66f, 0.58f, 0.52f } };
    const float *t = tones[dice_next(d) % 6];
    const float lx = dice_range(d, -0.5f, 1.5f) * (float)a->w, ly = dice_range(d, -0.4f, 0.5f) * (float)a->h;
    const uint32_t seed = (uint32_t)dice_next(d);
    for (int y = 0; y < a->h; y++)
        for (int x = 0; x < a->w; x++) {
            const float far = hypotf((float)x - lx, (float)y - ly) / (float)a->w;
            const float v =
                1.1f - 0.35f * far + 0.02f * fractal2((float)x / unit * 3, (float)y / unit * 3, 4, seed);
            lay(canvas_at(a, x, y), rgb(t[0] * v, t[1] * v, t[2] * v), 1);
        }
}

static void shelf(canvas *a, float x0, float x1, float y0, float y1, float unit, dice *d)
{
    box(a, x0, y0, x1, y1, rgb(0.32f, 0.24f, 0.18f), 1);
    for (float y = y0 + 0.1f * unit; y + 0.9f * unit < y1; y += 1.15f * unit)
        for (float x = x0 + 0.1f * unit; x < x1 - 0.2f * unit;) {
            const float w = dice_range(d, 0.1f, 0.28f) * unit, low = dice_range(d, 0, 0.3f) * unit;
            const float red = dice_range(d, 0.1f, 0.8f), green = dice_range(d, 0.1f, 0.6f),
                        blue = dice_range(d, 0.1f, 0.6f);
            const colour c = mix(rgb(0.6f, 0.55f, 0.45f), rgb(red, green, blue), 0.4f);
            box(a, x, y + low, x + w, y + 1.05f * unit, c, 1);
            x += w + 0.02f * unit;
        }
}

static void room(canvas *a, float unit, dice *d)
{
    const float w = (float)a->w, h = (float)a->h, warm = dice_range(d, -0.04f, 0.08f);
    gradient(a, rgb(0.74f + warm, 0.70f, 0.64f - warm), rgb(0.56f + warm, 0.52f, 0.48f - warm));
    const int left = (int)(dice_next(d) % 2);
    const float x0 = left ? dice_range(d, -0.1f, 0.05f) * w : dice_range(d, 0.62f, 0.72f) * w;
    const float x1 = x0 + dice_range(d, 0.28f, 0.4f) * w;
    box(a, x0, 0.02f * h, x1, 0.62f * h, rgb(0.9f, 0.88f, 0.84f), 1);
    for (int i = 0; i < 4; i++) { /* panes of a window */
        const float px = x0 + 0.03f * w + (float)(i % 2) * (x1 - x0) / 2,
                    py = 0.05f * h + (float)(i / 2) * 0.29f * h;
        box(a, px, py, px + (x1 - x0) / 2 - 0.05f * w, py + 0.25f * h, rgb(0.93f, 0.96f, 1.0f), 1);
    }
    shelf(a, left ? 0.66f * w : -0.05f * w, left ? 1.05f * w : 0.34f * w, dice_range(d, 0.05f, 0.3f) * h, h,
          unit, d);
    box(a, 0, 0.88f * h, w, h, rgb(0.4f, 0.33f, 0.27f), 0.9f);
    canvas_blur(a, 0.13f * unit);
    const float lamp_x = dice_range(d, 0.3f, 0.7f) * w, lamp_y = dice_range(d, 0, 0.2f) * h;
    disc(a, lamp_x, lamp_y, 0.35f * unit, rgb(1, 0.9f, 0.7f), 0.6f);
    canvas_blur(a, 0.05f * unit);
}

static void garden(canvas *a, float unit, dice *d)
{
    const uint32_t seed = (uint32_t)dice_next(d);
    const float horizon = dice_range(d, 0.55f, 0.75f);
    const colour sky = mix(rgb(0.78f, 0.86f, 0.95f), rgb(0.95f, 0.93f, 0.86f), dice_range(d, 0, 1));
    for (int y = 0; y < a->h; y++)
        for (int x = 0; x < a->w; x++) {
            const float u = (float)x / unit, v = (float)y / unit, t = (float)y / (float)a->h;
            const float leaf = fractal2(u * 0.9f, v * 0.9f, 4, seed),
                        big = fractal2(u * 0.3f, v * 0.3f, 2, seed + 7);
            const colour green =
                mix(rgb(0.13f, 0.22f, 0.10f), rgb(0.48f, 0.58f, 0.26f), clamp01(0.5f + 1.1f * leaf));
            const colour grass =
                mix(rgb(0.30f, 0.42f, 0.17f), rgb(0.55f, 0.60f, 0.30f), clamp01(0.5f + 0.8f * leaf));
            const float open = smooth_step(0.05f, 0.3f, big + 0.5f - t * 0.9f);
            lay(canvas_at(a, x, y), t > horizon + 0.05f * big ? grass : mix(green, sky, open), 1);
        }
    canvas_blur(a, 0.1f * unit);
    for (int i = 0; i < 40; i++) {
        const float x = dice_range(d, 0, 1) * (float)a->w, y = dice_range(d, 0, horizon) * (float)a->h;
        const float r = dice_range(d, 0.08f, 0.2f) * unit, tone = dice_range(d, 0, 1),
                    alpha = dice_range(d, 0.08f, 0.35f);
        disc(a, x, y, r, mix(sky, rgb(0.8f, 0.85f, 0.5f), tone), alpha);
    }
    canvas_blur(a, 0.03f * unit);
}

static void evening(canvas *a, float unit, dice *d)
{
    gradient(a, rgb(0.10f, 0.11f, 0.17f), rgb(0.21f, 0.17f, 0.16f));
    for (int i = 0; i < 12; i++) { /* houses */
        const float x = dice_range(d, -0.1f, 1) * (float)a->w, tone = dice_range(d, 0.08f, 0.22f);
        const float y = dice_range(d, 0, 0.5f) * (float)a->h, w = dice_range(d, 0.5f, 1.6f) * unit;
        box(a, x, y, x + w, (float)a->h, rgb(tone * 1.1f, tone, tone), 0.8f);
    }
    canvas_blur(a, 0.15f * unit);
    for (int i = 0; i < 60; i++) {
        static const float lamps[][3] = {
            { 1, 0.78f, 0.45f }, { 1, 0.9f, 0.7f }, { 0.95f, 0.45f, 0.35f }, { 0.6f, 0.8f, 1 }
        };
        const float *c = lamps[dice_next(d) % 4];
        const float x = dice_range(d, 0, 1) * (float)a->w, y = dice_range(d, 0.05f, 0.8f) * (float)a->h;
        const float r = dice_range(d, 0.1f, 0.22f) * unit, alpha = dice_range(d, 0.15f, 0.6f);
        disc(a, x, y, r, rgb(c[0], c[1], c[2]), alpha);
    }
    canvas_blur(a, 0.025f * unit);
}

canvas scene_behind(place_kind kind, int w, int h, float unit, dice *d)
{
    canvas a = canvas_new(w, h, 3);
    if (kind == PLACE_ROOM)
        room(&a, unit, d);
    else if (kind == PLACE_GARDEN)
        garden(&a, unit, d);
    else if (kind == PLACE_EVENING)
        evening(&a, unit, d);
    else
        wall(&a, unit, d);
    return a;
}

/* ---- the sea before sunset ---- */

static const float SUN_X = 0.35f, SUN_Y = 0.075f; /* direction: sideways, up */

/* The sky's colour in a direction: sideways and up, as slopes. */
static colour sky_at(float x, float up, uint32_t seed)
{
    const float t = clamp01(up / 0.7f), near_sun = hypotf(x - SUN_X, (up - SUN_Y) * 1.3f);
    colour c = mix(rgb(0.98f, 0.72f, 0.42f), rgb(0.30f, 0.42f, 0.62f), smooth_step(0, 0.75f, sqrtf(t)));
    c = mix(c, rgb(1, 0.90f, 0.66f), 0.85f * expf(-near_sun * near_sun / 0.05f));
    c = mix(c, rgb(1, 0.98f, 0.90f), smooth_step(0.040f, 0.032f, near_sun));
    /* clouds lie on a plane overhead, so they draw together towards the horizon */
    const float far = 1 / (up + 0.12f), thick = fractal2(x * far * 1.1f + 3, far * 1.4f, 6, seed);
    const float below = fractal2(x * far * 1.1f + 3, (far + 0.12f) * 1.4f, 6, seed);
    const float cover = smooth_step(0.02f, 0.4f, thick) * smooth_step(0.01f, 0.12f, up);
    const float lit = clamp01(0.5f + 2.2f * (below - thick) + 0.3f * expf(-near_sun * 3));
    return mix(c, mix(rgb(0.42f, 0.36f, 0.42f), rgb(1, 0.80f, 0.60f), lit), 0.85f * cover);
}

/* Slope of the water towards the viewer and sideways, at a point of its plane seen from `far` away. */
static void waves_at(float x, float z, float far, uint32_t seed, float *ret_toward, float *ret_side)
{
    const float e = 0.02f + 0.01f * far;
    const float here = fractal2(x * 1.3f, z * 2.6f, 6, seed),
                on = fractal2(x * 1.3f, (z + e) * 2.6f, 6, seed);
    const float beside = fractal2((x + e) * 1.3f, z * 2.6f, 6, seed);
    *ret_toward = 0.16f * (on - here) / e;
    *ret_side = 0.10f * (beside - here) / e;
}

canvas scene_sea(int w, int h, uint32_t seed)
{
    enum { ACROSS = 2, SAMPLES = ACROSS * ACROSS };
    canvas a = canvas_new(w, h, 3);
    const float horizon = 0.56f;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            for (int k = 0; k < SAMPLES; k++) {
                const float px = (float)x + ((float)(k % ACROSS) + 0.5f) / ACROSS;
                const float py = (float)y + ((float)(k / ACROSS) + 0.5f) / ACROSS;
                const float u = (px - 0.5f * (float)w) / (float)h, v = py / (float)h - horizon;
                colour c;
                if (v < 0) {
                    c = sky_at(u, -v, seed);
                } else {
                    const float far = 0.5f / (v + 0.004f);
                    float toward, side;
                    waves_at(u * far, far, far, seed + 50, &toward, &side);
                    const float calm = 1 / (1 + 0.04f * far); /* far waves are smaller than a px */
                    const float up = fabsf(v + 2 * toward * calm) + 0.02f, tilt = u + 2 * side * calm;
                    const float mirror = 0.12f + 0.80f * expf(-5 * fmaxf(0, v + toward * calm));
                    c = mix(rgb(0.04f, 0.11f, 0.14f), sky_at(tilt, up, seed), mirror);
                    c = mix(c, sky_at(u, 0.01f, seed), 0.6f * smooth_step(0.05f, 0, v));
                }
                for (int i = 0; i < 3; i++)
                    canvas_at(&a, x, y)[i] += c.c[i] / SAMPLES;
            }
    return a;
}
