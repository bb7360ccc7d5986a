/* Fruit on a table: distance functions, sphere tracing (Hart 1996), one window as an area light with sampled
 * shadows, a lens with some depth of field. RAYS rays a px, placed by the dice. */
#include "scene.h"
#include <math.h>

enum { RAYS = 20, MARCH = 90 };

typedef struct vec {
    float x, y, z;
} vec;

typedef enum thing { TABLE, BACK, ORANGE_A, ORANGE_B, APPLE, BOTTLE, BOWL, N_THINGS } thing;

static vec add(vec a, vec b, float t)
{
    return (vec){ a.x + t * b.x, a.y + t * b.y, a.z + t * b.z };
}

static float dot(vec a, vec b)
{
    return a.x * b.x + a.y * b.y + a.z * b.z;
}

static vec unit(vec a)
{
    return add((vec){ 0, 0, 0 }, a, 1 / sqrtf(dot(a, a)));
}

static float orange(vec p, vec c, float r)
{
    const vec d = add(p, c, -1);
    const float len = sqrtf(dot(d, d));
    if (len > 1.2f * r)
        return len - r;
    const float a = atan2f(d.z, d.x), b = acosf(fmaxf(-1, fminf(1, d.y / len)));
    return len - r + 0.006f * noise2(a * 16, b * 16, 4);
}

static float apple(vec p, vec c, float r)
{
    const vec d = add(p, c, -1);
    const float across = sqrtf(d.x * d.x + d.z * d.z) - 0.32f * r,
                stem = hypotf(d.x - 0.08f * d.y, d.z) - 0.018f;
    const float body = hypotf(fmaxf(across, -0.5f * r), d.y * (1 + 0.12f * d.y / r)) - 0.7f * r;
    return fminf(body * 0.8f, fmaxf(stem, fabsf(d.y - 0.75f * r) - 0.35f * r));
}

/* Turned on a lathe: the outline's radius at each height. */
static float bottle(vec p)
{
    const float across = hypotf(p.x + 0.75f, p.z + 0.55f), neck = smooth_step(1.35f, 1.75f, p.y);
    const float r = 0.40f + (0.13f - 0.40f) * neck + 0.03f * smooth_step(2.28f, 2.31f, p.y);
    return fmaxf((across - r) * 0.7f, fabsf(p.y - 1.2f) - 1.2f);
}

static float bowl(vec p)
{
    const vec c = { 0.95f, 0.95f, -0.9f };
    const vec d = add(p, c, -1);
    const float len = sqrtf(dot(d, d));
    const float shell = fmaxf(fabsf(len - 0.9f) - 0.035f, d.y + 0.05f);
    return fminf(shell, fmaxf(hypotf(d.x, d.z) - 0.4f, fabsf(p.y - 0.05f) - 0.06f));
}

static float nearest(vec p, thing *ret)
{
    const float all[N_THINGS] = {
        p.y,
        p.z + 4,
        orange(p, (vec){ 0.1f, 0.47f, 0.35f }, 0.47f),
        orange(p, (vec){ 0.95f, 1.05f, -0.85f }, 0.5f),
        apple(p, (vec){ -0.75f, 0.42f, 0.7f }, 0.6f),
        bottle(p),
        bowl(p),
    };
    int best = 0;
    for (int i = 1; i < N_THINGS; i++)
        if (all[i] < all[best])
            best = i;
    *ret = (thing)best;
    return all[best];
}

/* Distance along the ray, or a negative number. */
static float march(vec from, vec dir, float limit, thing *ret)
{
    float t = 0.01f;
    for (int i = 0; i < MARCH && t < limit; i++) {
        const float d = nearest(add(from, dir, t), ret);
        if (d < 0.0015f)
            return t;
        t += d;
    }
    return -1;
}

static vec normal(vec p)
{
    const float e = 0.004f;
    thing skip;
    return unit(
        (vec){ nearest(add(p, (vec){ 1, 0, 0 }, e), &skip) - nearest(add(p, (vec){ 1, 0, 0 }, -e), &skip),
               nearest(add(p, (vec){ 0, 1, 0 }, e), &skip) - nearest(add(p, (vec){ 0, 1, 0 }, -e), &skip),
               nearest(add(p, (vec){ 0, 0, 1 }, e), &skip) - nearest(add(p, (vec){ 0, 0, 1 }, -e), &skip) });
}

/* Reflectance in linear light; *ret_gloss how strongly the window is mirrored. */
static vec paint(thing what, vec p, uint32_t seed, float *ret_gloss)
{
    *ret_gloss = 0.1f;
    switch (what) {
    case TABLE: {
        const float plank = floorf(p.z * 1.1f + 40), along = p.x * 0.7f + 13.1f * plank;
        const float ring = fractal2(along, p.z * 9, 5, seed + (uint32_t)plank);
        const float seam = smooth_step(0.47f, 0.5f, fabsf(p.z * 1.1f + 40 - plank - 0.5f));
        const float v = (0.75f + 0.35f * ring + 0.1f * noise2(plank, 0.5f, seed)) * (1 - 0.6f * seam);
        *ret_gloss = 0.12f;
        return (vec){ 0.36f * v, 0.20f * v, 0.10f * v };
    }
    case BACK: {
        const float v = 0.9f + 0.1f * fractal2(p.x * 2, p.y * 2, 4, seed + 3);
        return (vec){ 0.26f * v, 0.33f * v, 0.36f * v };
    }
    case ORANGE_A:
    case ORANGE_B: {
        const float v = 1 + 0.15f * fractal2(p.x * 5, p.y * 5 + p.z * 5, 3, seed + 5);
        *ret_gloss = 0.25f;
        return (vec){ 0.85f * v, 0.30f * v, 0.025f };
    }
    case APPLE: {
        const float stripe = fractal2(atan2f(p.z - 0.7f, p.x + 0.75f) * 7, p.y * 1.2f, 4, seed + 7);
        const float red = smooth_step(-0.35f, 0.3f, stripe + 0.35f * (p.x + 0.75f) + 0.2f);
        *ret_gloss = p.y > 0.78f && hypotf(p.x + 0.75f, p.z - 0.7f) < 0.06f ? 0 : 0.5f;
        if (*ret_gloss < 0.1f)
            return (vec){ 0.12f, 0.07f, 0.03f };
        return (vec){ 0.5f + 0.05f * red, 0.36f - 0.33f * red, 0.07f - 0.04f * red };
    }
    case BOTTLE:
        *ret_gloss = 0.9f;
        return (vec){ 0.012f, 0.05f, 0.022f };
    default:
        *ret_gloss = 0.35f;
        return (vec){ 0.62f, 0.62f, 0.58f };
    }
}

static vec shade(vec eye, vec dir, uint32_t seed, dice *d)
{
    thing what = BACK, skip;
    const float t = march(eye, dir, 30, &what);
    if (t < 0)
        return (vec){ 0.1f, 0.12f, 0.13f };
    const vec p = add(eye, dir, t), n = normal(p);
    const float jx = dice_range(d, -0.9f, 0.9f), jy = dice_range(d, -1.1f, 1.1f),
                jz = dice_range(d, -0.9f, 0.9f);
    const vec lamp = { -5 + jx, 5 + jy, 4 + jz };
    const vec to = add(lamp, p, -1), l = unit(to);
    const float far = sqrtf(dot(to, to)), lambert = fmaxf(0, dot(n, l));
    float gloss, lit = 0;
    if (lambert > 0 && march(add(p, n, 0.01f), l, far, &skip) < 0)
        lit = lambert * 62 / (far * far);
    /* what the room gives back: more from above, less in corners */
    const float open = clamp01(0.25f + nearest(add(p, n, 0.35f), &skip) / 0.35f * 0.75f);
    const float ambient = 0.32f * open * (0.65f + 0.35f * n.y);
    const vec c = paint(what, p, seed, &gloss), mirror = add(dir, n, -2 * dot(dir, n));
    const vec window = unit((vec){ -5 - p.x, 5 - p.y, 4 - p.z });
    const float spot = gloss * smooth_step(0.975f, 0.99f, dot(mirror, window)) * (lit > 0 ? 1.2f : 0.1f);
    const float rim = gloss * 0.25f * powf(1 - fmaxf(0, -dot(dir, n)), 4);
    return (vec){ c.x * (lit + ambient) + spot + rim * 0.5f, c.y * (lit + ambient) + spot + rim * 0.55f,
                  c.z * (lit * 0.93f + ambient * 1.1f) + spot + rim * 0.6f };
}

canvas scene_table(int w, int h, uint32_t seed)
{
    canvas a = canvas_new(w, h, 3);
    dice d = { seed };
    const vec at = { 0.05f, 0.72f, 0 }, eye = { 0.7f, 2.3f, 6.2f };
    const vec front = unit(add(at, eye, -1)), right = unit((vec){ -front.z, 0, front.x });
    const vec up = { right.y * front.z - right.z * front.y, right.z * front.x - right.x * front.z,
                     right.x * front.y - right.y * front.x };
    const float focus = 6.1f, lens = 0.05f;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            vec sum = { 0, 0, 0 };
            for (int k = 0; k < RAYS; k++) {
                const float u = ((float)x + dice_range(&d, 0, 1) - 0.5f * (float)w) / (float)h * 0.62f;
                const float v = -((float)y + dice_range(&d, 0, 1) - 0.5f * (float)h) / (float)h * 0.62f;
                const vec sharp = add(eye, add(add(front, right, u), up, v), focus);
                const float lx = lens * dice_range(&d, -1, 1), ly = lens * dice_range(&d, -1, 1);
                const vec o = add(add(eye, right, lx), up, ly);
                sum = add(sum, shade(o, unit(add(sharp, o, -1)), seed, &d), 1.0f / RAYS);
            }
            const float c[3] = { sum.x, sum.y, sum.z };
            for (int k = 0; k < 3; k++)
                canvas_at(&a, x, y)[k] = powf(1 - expf(-1.5f * c[k]), 1 / 2.2f);
        }
    return a;
}
