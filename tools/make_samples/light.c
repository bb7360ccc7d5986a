/* Relighting. The studio's light is even and frontal, so a photograph is nearly what every part reflects;
 * Lambert's law over the generic head of person.h, with a body below it, gives how much light from one side
 * would reach each part. Linear light is taken as the 2.2th power of a value. */
#include "light.h"
#include "person.h"
#include <math.h>
#include <stdlib.h>

enum { MAP = 150 }; /* px of the map of light: shading is smooth */

static const float GAMMA = 2.2f;

/* Height of head and body, units as in head_depth(). */
static float depth(float x, float y)
{
    const float body = 0.9f * sqrtf(fmaxf(0, 1 - x * x / (2.6f * 2.6f))) * smooth_step(1.5f, 2.6f, y);
    const float neck =
        0.75f * sqrtf(fmaxf(0, 1 - x * x)) * (1 - smooth_step(2.0f, 2.6f, y)) * smooth_step(0, 1, y) - 0.2f;
    /* wider than the head is: hair has no edge that light would find */
    return fmaxf(fmaxf(head_depth(0.78f * x, y), neck), body);
}

/* Light at each px of a map of the whole picture, 1 where the surface faces the camera. */
static canvas shading(const shape *marks, light how)
{
    const float unit = hypotf(marks->p[1][0] - marks->p[0][0], marks->p[1][1] - marks->p[0][1]);
    const float cx = (marks->p[0][0] + marks->p[1][0]) / 2, cy = (marks->p[0][1] + marks->p[1][1]) / 2;
    const float px = (float)SIDE / MAP / unit, depth_of_field = 0.8f;
    canvas z = canvas_new(MAP, MAP, 1), shade = canvas_new(MAP, MAP, 1);
    for (int y = 0; y < MAP; y++)
        for (int x = 0; x < MAP; x++)
            *canvas_at(&z, x, y) =
                depth(((float)x + 0.5f) * px - cx / unit, ((float)y + 0.5f) * px - cy / unit);
    canvas_blur(&z, 0.07f / px);
    const float up = depth_of_field,
                norm = sqrtf(how.from_x * how.from_x + how.from_y * how.from_y + up * up);
    for (int y = 1; y + 1 < MAP; y++)
        for (int x = 1; x + 1 < MAP; x++) {
            const float gx = (*canvas_at(&z, x + 1, y) - *canvas_at(&z, x - 1, y)) / (2 * px);
            const float gy = (*canvas_at(&z, x, y + 1) - *canvas_at(&z, x, y - 1)) / (2 * px);
            const float len = sqrtf(gx * gx + gy * gy + 1);
            const float lambert = fmaxf(0, (-gx * how.from_x + gy * how.from_y + up) / (len * norm));
            *canvas_at(&shade, x, y) = 1 - how.strength + how.strength * lambert * norm / up;
        }
    for (int i = 0; i < MAP; i++) {
        *canvas_at(&shade, i, 0) = *canvas_at(&shade, i, 1);
        *canvas_at(&shade, i, MAP - 1) = *canvas_at(&shade, i, MAP - 2);
        *canvas_at(&shade, 0, i) = *canvas_at(&shade, 1, i);
        *canvas_at(&shade, MAP - 1, i) = *canvas_at(&shade, MAP - 2, i);
    }
    canvas_blur(&shade, 0.12f / px);
    canvas_free(&z);
    return shade;
}

/* Factors of the gamma-coded colours. */
static void gains(light how, float *ret)
{
    const float e = powf(how.exposure, 1 / GAMMA);
    ret[0] = e * (1 + how.warmth);
    ret[1] = e;
    ret[2] = e * (1 - 1.2f * how.warmth);
}

/* Bright values are bent towards white instead of cut. */
static float shoulder(float v)
{
    return v < 0.8f ? v : 1 - 0.2f * expf(-(v - 0.8f) / 0.2f);
}

void light_person(canvas *figure, const shape *marks, light how)
{
    canvas map = shading(marks, how), shade = canvas_resize(&map, figure->w, figure->h);
    float g[3];
    gains(how, g);
    for (size_t i = 0; i < (size_t)figure->w * (size_t)figure->h; i++) {
        const float s = powf(fmaxf(shade.p[i], 0.02f), 1 / GAMMA);
        for (size_t k = 0; k < 3; k++)
            figure->p[i * 4 + k] = shoulder(figure->p[i * 4 + k] * s * g[k]);
    }
    canvas_free(&shade);
    canvas_free(&map);
}

void light_scene(canvas *scene, light how)
{
    float g[3];
    gains(how, g);
    for (size_t i = 0; i < (size_t)scene->w * (size_t)scene->h; i++)
        for (size_t k = 0; k < 3; k++)
            scene->p[i * 3 + k] = shoulder(scene->p[i * 3 + k] * g[k]);
}

/* Keep of a mask what is joined to the picture's lower border. */
static void keep_from_below(canvas *mask)
{
    const int w = mask->w, h = mask->h;
    uint8_t *seen = take_memory((size_t)w * (size_t)h, 1);
    int *stack = take_memory((size_t)w * (size_t)h * 4, sizeof *stack), n = 0;
    for (int x = 0; x < w; x++)
        stack[n++] = (h - 1) * w + x;
    while (n > 0) {
        const int at = stack[--n], x = at % w, y = at / w;
        if (seen[at] || mask->p[at] < 0.5f)
            continue;
        seen[at] = 1;
        for (int dy = -1; dy <= 1; dy++)
            for (int dx = -1; dx <= 1; dx++)
                if (dx * dx + dy * dy == 1 && x + dx >= 0 && x + dx < w && y + dy >= 0 && y + dy < h)
                    stack[n++] = (y + dy) * w + x + dx;
    }
    for (int i = 0; i < w * h; i++)
        mask->p[i] = seen[i];
    free(stack);
    free(seen);
}

void dye_clothes(canvas *figure, const shape *marks, const float *colour)
{
    const float unit = hypotf(marks->p[1][0] - marks->p[0][0], marks->p[1][1] - marks->p[0][1]);
    const float chin = marks->p[129][1];
    canvas soft = canvas_copy(figure), mask = canvas_new(figure->w, figure->h, 1);
    canvas_blur(&soft, 2); /* colour is coarse in a JPEG */
    for (int y = 0; y < figure->h; y++)
        for (int x = 0; x < figure->w; x++) {
            const float *p = canvas_at(&soft, x, y);
            const float red =
                (p[0] - p[2]) / (p[0] + 0.05f); /* skin of every tone has it, white cloth has not */
            *canvas_at(&mask, x, y) = (1 - smooth_step(0.05f, 0.11f, red)) * smooth_step(0.25f, 0.45f, p[1]) *
                                      smooth_step(chin, chin + 0.3f * unit, (float)y);
        }
    canvas_blur(&mask, 2); /* no way through a strand of hair */
    keep_from_below(&mask);
    canvas_blur(&mask, 3);
    for (int y = 0; y < figure->h; y++)
        for (int x = 0; x < figure->w; x++) {
            float *p = canvas_at(figure, x, y);
            const float in = smooth_step(0.3f, 0.7f, *canvas_at(&mask, x, y)), u = (float)x / unit,
                        v = (float)y / unit;
            /* white cloth is near the end of the scale: stretch its folds, and let a weave be guessed */
            const float folds = powf(fmaxf(p[1], 0.05f) / 0.93f, 1.2f) *
                                (1 + 0.05f * fractal2(1.3f * u, 0.8f * v, 3, 11)) *
                                (1 + 0.04f * fractal2(40 * u, 40 * v, 2, 12));
            for (int k = 0; k < 3; k++)
                p[k] *= 1 - in * (1 - colour[k] * folds);
        }
    canvas_free(&mask);
    canvas_free(&soft);
}
