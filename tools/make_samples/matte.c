/* Difference matting against a known background.
 *
 * The studio's wall is smooth, so a quadratic in x and y fitted to the picture's upper border gives its colour everywhere.
 * What differs from it is person; white shirts differ little, so px are background only when they look like the
 * wall and are joined to the border through px that do. Along the edge alpha follows the difference, and the
 * colour of the person alone is solved from photo = alpha * person + (1 - alpha) * wall (Smith and Blinn 1996). */
#include "matte.h"
#include <math.h>
#include <stdlib.h>

enum { TERMS = 6 };

static void terms_at(const canvas *a, int x, int y, double *t)
{
    const double u = (double)x / a->w - 0.5, v = (double)y / a->h - 0.5;
    const double all[TERMS] = { 1, u, v, u * u, u * v, v * v };
    for (int i = 0; i < TERMS; i++)
        t[i] = all[i];
}

static void solve_terms(double (*m)[TERMS + 1])
{
    for (int c = 0; c < TERMS; c++)
        for (int r = 0; r < TERMS; r++) {
            if (r == c)
                continue;
            const double f = m[r][c] / m[c][c];
            for (int k = c; k <= TERMS; k++)
                m[r][k] -= f * m[c][k];
        }
}

/* The wall's colour at every px; px that the last fit calls person are left out of the next. */
static canvas fit_wall(const canvas *a)
{
    canvas wall = canvas_copy(a);
    for (int round = 0; round < 4; round++)
        for (int k = 0; k < 3; k++) {
            double m[TERMS][TERMS + 1] = { { 0 } }, t[TERMS];
            for (int y = 0; y < a->h * 7 / 10; y += 3)
                for (int x = 0; x < a->w; x += 3) {
                    const int rim = y < a->h / 12 || x < a->w / 12 || x >= a->w - a->w / 12;
                    const float off = fabsf(canvas_at(a, x, y)[k] - canvas_at(&wall, x, y)[k]);
                    if (round == 0 ? !rim : off > 0.03f)
                        continue;
                    terms_at(a, x, y, t);
                    for (int i = 0; i < TERMS; i++) {
                        for (int j = 0; j < TERMS; j++)
                            m[i][j] += t[i] * t[j];
                        m[i][TERMS] += t[i] * (double)canvas_at(a, x, y)[k];
                    }
                }
            solve_terms(m);
            for (int y = 0; y < a->h; y++)
                for (int x = 0; x < a->w; x++) {
                    double s = 0;
                    terms_at(a, x, y, t);
                    for (int i = 0; i < TERMS; i++)
                        s += t[i] * m[i][TERMS] / m[i][i];
                    canvas_at(&wall, x, y)[k] = (float)s;
                }
        }
    return wall;
}

/* White shirts are nearer to the wall than anything else, so low in the picture less is forgiven. */
static int looks_like_wall(const canvas *diff, int x, int y)
{
    return *canvas_at(diff, x, y) < (y < diff->h * 13 / 20 ? 0.055f : 0.04f);
}

/* 1 where the wall shows: px unlike it stop a flood that comes from the border. */
static uint8_t *flood_wall(const canvas *diff)
{
    const int w = diff->w, h = diff->h;
    uint8_t *seen = take_memory((size_t)w * (size_t)h, 1);
    int *stack = take_memory((size_t)w * (size_t)h, sizeof *stack), n = 0;
    for (int y = 0; y < h * 7 / 10; y++)
        for (int x = 0; x < w; x++)
            if ((y == 0 || x == 0 || x == w - 1) && looks_like_wall(diff, x, y)) {
                seen[y * w + x] = 1;
                stack[n++] = y * w + x;
            }
    while (n > 0) {
        const int at = stack[--n], x = at % w, y = at / w;
        static const int dx[] = { 1, -1, 0, 0 }, dy[] = { 0, 0, 1, -1 };
        for (int i = 0; i < 4; i++) {
            const int u = x + dx[i], v = y + dy[i];
            if (u < 0 || v < 0 || u >= w || v >= h || seen[v * w + u] || !looks_like_wall(diff, u, v))
                continue;
            seen[v * w + u] = 1;
            stack[n++] = v * w + u;
        }
    }
    free(stack);
    return seen;
}

/* The greatest value within r px, rows then columns. */
static void spread_maximum(canvas *a, int r)
{
    for (int pass = 0; pass < 2; pass++) {
        canvas from = canvas_copy(a);
        for (int y = 0; y < a->h; y++)
            for (int x = 0; x < a->w; x++) {
                float best = 0;
                for (int k = -r; k <= r; k++) {
                    const int u = pass ? x : x + k, v = pass ? y + k : y;
                    if (u >= 0 && v >= 0 && u < a->w && v < a->h)
                        best = fmaxf(best, *canvas_at(&from, u, v));
                }
                *canvas_at(a, x, y) = best;
            }
        canvas_free(&from);
    }
}

/* Alpha along the edge: how far the px has gone from the wall to what the person looks like just inside. */
static canvas edge_alpha(const canvas *diff, const uint8_t *is_wall)
{
    const size_t n = (size_t)diff->w * (size_t)diff->h;
    canvas inside = canvas_new(diff->w, diff->h, 1), full = canvas_copy(diff);
    for (size_t i = 0; i < n; i++)
        inside.p[i] = is_wall[i] ? 0 : 1;
    canvas_blur(&inside, 4);
    spread_maximum(&full, 6);
    canvas_blur(&full, 3);
    for (size_t i = 0; i < n; i++) {
        const float by_colour = smooth_step(0.08f, 0.85f, diff->p[i] / fmaxf(full.p[i], 0.05f));
        const float deep = smooth_step(0.7f, 0.999f, inside.p[i]), near = smooth_step(0.02f, 0.3f, inside.p[i]);
        inside.p[i] = fmaxf(deep, by_colour * near);
    }
    canvas_free(&full);
    return inside;
}

canvas matte_person(const canvas *photo)
{
    const size_t n = (size_t)photo->w * (size_t)photo->h;
    canvas wall = fit_wall(photo), diff = canvas_new(photo->w, photo->h, 1), r = canvas_new(photo->w, photo->h, 4);
    for (size_t i = 0; i < n; i++) {
        float d = 0;
        for (size_t k = 0; k < 3; k++) {
            const float e = photo->p[i * 3 + k] - wall.p[i * 3 + k];
            d += e * e;
        }
        diff.p[i] = sqrtf(d);
    }
    canvas_blur(&diff, 0.6f);
    uint8_t *is_wall = flood_wall(&diff);
    canvas alpha = edge_alpha(&diff, is_wall);
    for (size_t i = 0; i < n; i++) {
        const float a = alpha.p[i];
        r.p[i * 4 + 3] = a;
        for (size_t k = 0; k < 3; k++) {
            const float p = photo->p[i * 3 + k];
            r.p[i * 4 + k] = clamp01(a > 0.05f ? (p - (1 - a) * wall.p[i * 3 + k]) / a : p);
        }
    }
    canvas_free(&alpha);
    free(is_wall);
    canvas_free(&diff);
    canvas_free(&wall);
    return r;
}
