/* Putting people into places and taking the picture: compositing, framing, blur, sensor noise, JPEG. */
#include "studio.h"
#include <math.h>

static float eye_distance(const shape *s, float *ret_x, float *ret_y)
{
    *ret_x = (s->p[0][0] + s->p[1][0]) / 2;
    *ret_y = (s->p[0][1] + s->p[1][1]) / 2;
    return hypotf(s->p[1][0] - s->p[0][0], s->p[1][1] - s->p[0][1]);
}

static canvas dressed(const identity *who, const float *clothes, pose how, light l, shape *ret_marks)
{
    canvas a = identity_draw(who, how, ret_marks);
    dye_clothes(&a, ret_marks, clothes);
    light_person(&a, ret_marks, l);
    return a;
}

/* person over scene, of one size */
static void put_over(canvas *scene, const canvas *a)
{
    for (size_t i = 0; i < (size_t)scene->w * (size_t)scene->h; i++) {
        const float alpha = clamp01(a->p[i * 4 + 3]);
        for (size_t k = 0; k < 3; k++)
            scene->p[i * 3 + k] += alpha * (a->p[i * 4 + k] - scene->p[i * 3 + k]);
    }
}

/* Cut the framed part out of a work picture; it is made smaller where it would reach over the border. */
static canvas take(const canvas *scene, const shape *marks, const frame *f)
{
    float cx, cy;
    const float unit = eye_distance(marks, &cx, &cy), aspect = (float)f->w / (float)f->h;
    float tall = f->tall * unit;
    cy += 0.10f * tall;
    cx -= f->aside * unit;
    const float turned = fabsf(sinf(f->roll)), low = 0.94f * (float)scene->h; /* below, shoulders end */
    const float room_y = fminf(cy, low - cy) / (0.5f + 0.5f * aspect * turned);
    const float room_x = fminf(cx, (float)scene->w - cx) / (0.5f * aspect + 0.5f * turned);
    tall = fminf(tall, fminf(room_x, room_y));
    const float px = tall / (float)f->h, c = cosf(f->roll) * px, s = sinf(f->roll) * px;
    canvas soft = canvas_copy(scene), r = canvas_new(f->w, f->h, 3);
    const float sigma = px > 1 ? 0.45f * sqrtf(px * px - 1) : 0;
    canvas_blur(&soft, sqrtf(sigma * sigma + f->blur_px * f->blur_px * px * px));
    for (int y = 0; y < f->h; y++)
        for (int x = 0; x < f->w; x++) {
            const float u = (float)x + 0.5f - 0.5f * (float)f->w, v = (float)y + 0.5f - 0.5f * (float)f->h;
            canvas_bicubic(&soft, cx + c * u + s * v, cy - s * u + c * v, canvas_at(&r, x, y));
        }
    canvas_free(&soft);
    return r;
}

void studio_finish(canvas *picture, const frame *f, dice *d, const char *path)
{
    const size_t n = (size_t)picture->w * (size_t)picture->h;
    canvas grain = canvas_new(picture->w, picture->h, 3);
    for (size_t i = 0; i < n; i++) {
        const float grey = dice_normal(d);
        for (size_t k = 0; k < 3; k++)
            grain.p[i * 3 + k] = f->noise * (0.8f * grey + 0.6f * dice_normal(d));
    }
    canvas_blur(&grain, 0.5f);
    for (size_t i = 0; i < n * 3; i++)
        picture->p[i] += 1.6f * grain.p[i] * (1.2f - picture->p[i]);
    canvas_free(&grain);
    canvas_save(picture, path, f->quality);
}

void studio_portrait(const identity *who, const float *clothes, const shot *s, dice *d, const char *path)
{
    shape marks;
    float x, y;
    canvas a = dressed(who, clothes, s->pose, s->light, &marks);
    canvas scene = scene_behind(s->place, SIDE, SIDE, eye_distance(&marks, &x, &y), d);
    light_scene(&scene, s->light);
    put_over(&scene, &a);
    canvas picture = take(&scene, &marks, &s->frame);
    studio_finish(&picture, &s->frame, d, path);
    canvas_free(&picture);
    canvas_free(&scene);
    canvas_free(&a);
}

void studio_add(canvas *scene, const identity *who, const float *clothes, pose how, light l, float x, float y,
                float eyes)
{
    shape marks;
    float cx, cy;
    canvas a = dressed(who, clothes, how, l, &marks);
    const float px = eye_distance(&marks, &cx, &cy) / eyes;
    if (px > 1)
        canvas_blur(&a, 0.45f * sqrtf(px * px - 1));
    for (int v = 0; v < scene->h; v++)
        for (int u = 0; u < scene->w; u++) {
            const float sx = cx + ((float)u + 0.5f - x) * px, sy = cy + ((float)v + 0.5f - y) * px;
            float p[4];
            if (sx < 0 || sy < 0 || sx >= SIDE || sy >= SIDE)
                continue;
            canvas_bilinear(&a, sx, sy, p);
            for (int k = 0; k < 3; k++)
                canvas_at(scene, u, v)[k] += clamp01(p[3]) * (p[k] - canvas_at(scene, u, v)[k]);
        }
    canvas_free(&a);
}
