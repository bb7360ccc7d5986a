/* Damage: blur, distance, darkness, overexposure and noise, done to a copy of a picture; see shots.h. */
#include "shots.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state = 88172645463325252u;

/* A normal number: the sum of twelve uniform ones (xorshift64, Marsaglia 2003). */
static double normal(void)
{
    double sum = -6;
    for (int i = 0; i < 12; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        sum += (double)(state >> 11) / 9007199254740992.0;
    }
    return sum;
}

static uint8_t to_byte(double v)
{
    return v < 0 ? 0 : v > 255 ? 255 : (uint8_t)(v + 0.5);
}

/* One axis of a Gaussian blur; `step` from px to px along it, `n` of them, border repeated. */
static void blur_line(uint8_t *line, int n, size_t step, const double *kernel, int radius, double *copy)
{
    for (int c = 0; c < 3; c++) {
        for (int i = 0; i < n; i++)
            copy[i] = line[(size_t)i * step + (size_t)c];
        for (int i = 0; i < n; i++) {
            double sum = 0;
            for (int k = -radius; k <= radius; k++) {
                const int at = i + k < 0 ? 0 : i + k >= n ? n - 1 : i + k;
                sum += kernel[k + radius] * copy[at];
            }
            line[(size_t)i * step + (size_t)c] = to_byte(sum);
        }
    }
}

static void blur(mien_image *image, double sigma)
{
    const mien_image_view v = mien_image_view_of(image);
    uint8_t *px = mien_image_pixels(image);
    const int radius = (int)ceil(3 * sigma), longest = v.width > v.height ? v.width : v.height;
    double *kernel = calloc((size_t)(2 * radius + 1 + longest), sizeof *kernel), sum = 0;
    if (!kernel)
        exit(5);
    for (int k = -radius; k <= radius; k++)
        sum += kernel[k + radius] = exp(-k * k / (2 * sigma * sigma));
    for (int k = 0; k <= 2 * radius; k++)
        kernel[k] /= sum;
    double *copy = kernel + 2 * radius + 1;
    for (int y = 0; y < v.height; y++)
        blur_line(px + (size_t)y * v.stride_bytes, v.width, 3, kernel, radius, copy);
    for (int x = 0; x < v.width; x++)
        blur_line(px + (size_t)x * 3, v.height, v.stride_bytes, kernel, radius, copy);
    free(kernel);
}

static void change_values(mien_image *image, double gain, double sigma)
{
    const mien_image_view v = mien_image_view_of(image);
    uint8_t *px = mien_image_pixels(image);
    for (int y = 0; y < v.height; y++)
        for (int x = 0; x < 3 * v.width; x++) {
            uint8_t *p = px + (size_t)y * v.stride_bytes + (size_t)x;
            *p = to_byte(*p * gain + sigma * normal());
        }
}

static double eye_distance(const mien_face *f)
{
    return hypot(f->landmarks[1][0] - f->landmarks[0][0], f->landmarks[1][1] - f->landmarks[0][1]);
}

static mien_image *shrink(mien_image_view v, double eyes_px, mien_face *face)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_image *image = NULL;
    const double factor = eyes_px / eye_distance(face);
    const int w = (int)(v.width * factor + 0.5), h = (int)(v.height * factor + 0.5);
    if (mien_image_resize(v, w < 1 ? 1 : w, h < 1 ? 1 : h, &image, &err))
        fail(&err);
    const float fx = (float)w / (float)v.width, fy = (float)h / (float)v.height;
    face->x0 *= fx, face->x1 *= fx, face->y0 *= fy, face->y1 *= fy;
    for (int i = 0; i < MIEN_LANDMARKS; i++)
        face->landmarks[i][0] *= fx, face->landmarks[i][1] *= fy;
    return image;
}

mien_image *damage_apply(const damage *what, mien_image_view v, mien_face *face)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_image *image = NULL;
    if (!strcmp(what->kind, "eyes"))
        return shrink(v, what->level, face);
    if (mien_image_new(v.width, v.height, v.data, v.stride_bytes, &image, &err))
        fail(&err);
    if (!strcmp(what->kind, "blur") && what->level > 0)
        blur(image, what->level * eye_distance(face) / 35.2);
    else if (!strcmp(what->kind, "gain"))
        change_values(image, what->level, 2);
    else if (!strcmp(what->kind, "noise"))
        change_values(image, 1, what->level);
    return image;
}
