/* The smiling pictures have no templates, so those of the neutral ones are carried over by dense
 * registration.
 *
 * Both pictures are of one person under one light; what differs is the expression and a small movement of the
 * head. Two features are matched: brightness made free of shading (less its local mean, over its local
 * deviation) and redness, which outlines lips and brows even where teeth appear. From coarse to fine: a
 * search for the best shift, then Lucas-Kanade steps (1981) in Gaussian windows, each followed by smoothing
 * of the flow. */
#include "track.h"
#include <math.h>

enum { SEARCH = 14 }; /* px of the coarsest level */

static canvas features(const canvas *rgb, int side)
{
    canvas small = canvas_resize(rgb, side, side), mean = canvas_new(side, side, 1),
           f = canvas_new(side, side, 2);
    const size_t n = (size_t)side * (size_t)side;
    for (size_t i = 0; i < n; i++) {
        const float *p = small.p + i * 3;
        f.p[i * 2] = mean.p[i] = 0.3f * p[0] + 0.59f * p[1] + 0.11f * p[2];
        f.p[i * 2 + 1] = (p[0] - p[1]) / (p[0] + p[1] + 0.05f);
    }
    const float window = 9;
    canvas_blur(&mean, window);
    canvas var = canvas_new(side, side, 1);
    for (size_t i = 0; i < n; i++) {
        f.p[i * 2] -= mean.p[i];
        var.p[i] = f.p[i * 2] * f.p[i * 2];
    }
    canvas_blur(&var, window);
    for (size_t i = 0; i < n; i++) {
        f.p[i * 2] /= sqrtf(var.p[i]) + 0.02f;
        f.p[i * 2 + 1] *= 8;
    }
    canvas_free(&var);
    canvas_free(&mean);
    canvas_free(&small);
    return f;
}

/* The whole-pixel shift under which the middle of the faces is most alike. */
static void best_shift(const canvas *a, const canvas *b, const shape *s, float scale, float *ret)
{
    float best = 1e30f;
    const int x0 = (int)(s->p[71][0] * scale), x1 = (int)(s->p[82][0] * scale);
    const int y0 = (int)(s->p[73][1] * scale), y1 = (int)(s->p[65][1] * scale);
    for (int dy = -SEARCH; dy <= SEARCH; dy++)
        for (int dx = -SEARCH; dx <= SEARCH; dx++) {
            float sum = 0;
            for (int y = y0; y < y1; y++)
                for (int x = x0; x < x1; x++) {
                    const int u = x + dx, v = y + dy;
                    if (u < 0 || v < 0 || u >= b->w || v >= b->h)
                        continue;
                    for (int k = 0; k < 2; k++)
                        sum += fabsf(canvas_at(a, x, y)[k] - canvas_at(b, u, v)[k]);
                }
            if (sum < best) {
                best = sum;
                ret[0] = (float)dx;
                ret[1] = (float)dy;
            }
        }
}

static void step(const canvas *a, const canvas *b, canvas *flow, float window)
{
    const int w = a->w, h = a->h;
    canvas warped = canvas_new(w, h, 2), sums = canvas_new(w, h, 5);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            const float *u = canvas_at(flow, x, y);
            canvas_bilinear(b, (float)x + 0.5f + u[0], (float)y + 0.5f + u[1], canvas_at(&warped, x, y));
        }
    for (int y = 1; y + 1 < h; y++)
        for (int x = 1; x + 1 < w; x++)
            for (int k = 0; k < 2; k++) {
                const float gx = (canvas_at(a, x + 1, y)[k] - canvas_at(a, x - 1, y)[k] +
                                  canvas_at(&warped, x + 1, y)[k] - canvas_at(&warped, x - 1, y)[k]) /
                                 4;
                const float gy = (canvas_at(a, x, y + 1)[k] - canvas_at(a, x, y - 1)[k] +
                                  canvas_at(&warped, x, y + 1)[k] - canvas_at(&warped, x, y - 1)[k]) /
                                 4;
                const float d = canvas_at(a, x, y)[k] - canvas_at(&warped, x, y)[k];
                const float trust = 1 / (1 + d * d); /* teeth match nothing: let them say less */
                float *s = canvas_at(&sums, x, y);
                s[0] += trust * gx * gx;
                s[1] += trust * gx * gy;
                s[2] += trust * gy * gy;
                s[3] += trust * gx * d;
                s[4] += trust * gy * d;
            }
    canvas_blur(&sums, window);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            const float *s = canvas_at(&sums, x, y);
            const float a0 = s[0] + 0.01f, c0 = s[2] + 0.01f, det = a0 * c0 - s[1] * s[1];
            const float du = (c0 * s[3] - s[1] * s[4]) / det, dv = (a0 * s[4] - s[1] * s[3]) / det;
            canvas_at(flow, x, y)[0] += fminf(1, fmaxf(-1, du));
            canvas_at(flow, x, y)[1] += fminf(1, fmaxf(-1, dv));
        }
    canvas_blur(flow, 1.2f);
    canvas_free(&sums);
    canvas_free(&warped);
}

shape track_shape(const canvas *from, const shape *s, const canvas *to)
{
    static const int sides[] = { 112, 224, 448 };
    const int n = (int)(sizeof sides / sizeof sides[0]);
    canvas flow = canvas_new(sides[0], sides[0], 2);
    for (int level = 0; level < n; level++) {
        const int side = sides[level];
        canvas a = features(from, side), b = features(to, side);
        if (level == 0) {
            float shift[2] = { 0, 0 };
            best_shift(&a, &b, s, (float)side / (float)from->w, shift);
            for (size_t i = 0; i < (size_t)side * (size_t)side * 2; i++)
                flow.p[i] = shift[i % 2];
        } else {
            canvas fine = canvas_resize(&flow, side, side);
            for (size_t i = 0; i < (size_t)side * (size_t)side * 2; i++)
                fine.p[i] *= (float)side / (float)flow.w;
            canvas_free(&flow);
            flow = fine;
        }
        for (int i = 0; i < 12; i++)
            step(&a, &b, &flow, level == 0 ? 2.5f : 4);
        canvas_free(&b);
        canvas_free(&a);
    }
    shape r = *s;
    const float scale = (float)flow.w / (float)from->w;
    for (int i = 0; i < N_POINTS; i++) {
        float u[2];
        canvas_bilinear(&flow, s->p[i][0] * scale, s->p[i][1] * scale, u);
        r.p[i][0] += u[0] / scale;
        r.p[i][1] += u[1] / scale;
    }
    canvas_free(&flow);
    return r;
}
