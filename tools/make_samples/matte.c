/* Difference matting against a known background.
 *
 * The studio's wall is smooth, so a cubic in x and y fitted to the picture's rim, and then to all that looks
 * like it, gives its colour everywhere. What differs from it is person; white shirts differ little, so px are
 * background only when they look like the wall and are joined to the border, or, around the head where there
 * is no shirt, have its hue. Along the edge alpha follows the difference (Smith and Blinn 1996); the colour
 * there comes from just inside the person, so that hair lit by the wall does not glow in the dark. */
#include "matte.h"
#include <math.h>
#include <stdlib.h>

enum { TERMS = 10 };

static void terms_at(const canvas *a, int x, int y, double *t)
{
    const double u = (double)x / a->w - 0.5, v = (double)y / a->h - 0.5;
    const double all[TERMS] = { 1, u, v, u * u, u * v, v * v, u * u * u, u * u * v, u * v * v, v * v * v };
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
    for (int round = 0; round < 6; round++)
        for (int k = 0; k < 3; k++) {
            double m[TERMS][TERMS + 1] = { { 0 } }, t[TERMS];
            for (int y = 0; y < a->h * 17 / 20; y += 3)
                for (int x = 0; x < a->w; x += 3) {
                    const int rim = y < a->h / 12 || x < a->w / 12 || x >= a->w - a->w / 12;
                    const int shirt = round == 0 && y > a->h * 13 / 20;
                    const float off = fabsf(canvas_at(a, x, y)[k] - canvas_at(&wall, x, y)[k]);
                    if (shirt || (round == 0 ? !rim : off > 0.03f))
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

/* Gaps between strands of hair: wall that no way from the border leads to. Face, ears and neck are not looked
 * at. */
static int is_gap(const canvas *photo, const canvas *wall, const shape *s, int x, int y)
{
    const float unit = s->p[1][0] - s->p[0][0], cx = (s->p[0][0] + s->p[1][0]) / 2,
                cy = (s->p[0][1] + s->p[1][1]) / 2;
    const float u = ((float)x - cx) / unit, v = ((float)y - cy) / unit, chin = (s->p[129][1] - cy) / unit;
    const float right = (s->p[115][0] - cx) / unit - 0.05f, left = (s->p[121][0] - cx) / unit + 0.05f;
    if (v > chin + 0.1f || v < -0.6f ||
        (v < chin && u > right && u < left && (v < 0.75f || fabsf(u) < 0.75f)) ||
        (v >= chin && fabsf(u) < 0.65f))
        return 0;
    const float *p = canvas_at(photo, x, y), *q = canvas_at(wall, x, y);
    const float hue = (p[0] - p[2]) - (q[0] - q[2]), grey = p[1] - q[1];
    return fabsf(hue) < 0.05f && grey > -0.16f && grey < 0.1f;
}

/* 1 where the wall shows: px unlike it stop a flood that comes from the border. */
static uint8_t *flood_wall(const canvas *diff, const canvas *photo, const canvas *wall, const shape *marks)
{
    const int w = diff->w, h = diff->h;
    uint8_t *seen = take_memory((size_t)w * (size_t)h, 1);
    int *stack = take_memory((size_t)w * (size_t)h, sizeof *stack), n = 0;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            const int rim = y < h * 7 / 10 && (y == 0 || x == 0 || x == w - 1) && looks_like_wall(diff, x, y);
            if (rim || is_gap(photo, wall, marks, x, y)) {
                seen[y * w + x] = 1;
                stack[n++] = y * w + x;
            }
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
        const float deep = smooth_step(0.7f, 0.999f, inside.p[i]),
                    near = smooth_step(0.02f, 0.3f, inside.p[i]);
        inside.p[i] = fmaxf(deep, by_colour * near);
    }
    canvas_free(&full);
    return inside;
}

/* Bits that hang on nothing are dirt: keep what is joined, through px that cover more than half, to the
 * middle of the picture's lower border. */
static void drop_islands(canvas *alpha)
{
    const int w = alpha->w, h = alpha->h;
    canvas keep = canvas_new(w, h, 1);
    int *stack = take_memory((size_t)w * (size_t)h * 4 + 1, sizeof *stack), n = 0;
    stack[n++] = (h - 1) * w + w / 2;
    while (n > 0) {
        const int at = stack[--n], x = at % w, y = at / w;
        if (keep.p[at] > 0 || alpha->p[at] < 0.5f)
            continue;
        keep.p[at] = 1;
        for (int dy = -1; dy <= 1; dy++)
            for (int dx = -1; dx <= 1; dx++)
                if (dx * dx + dy * dy == 1 && x + dx >= 0 && x + dx < w && y + dy >= 0 && y + dy < h)
                    stack[n++] = (y + dy) * w + x + dx;
    }
    free(stack);
    canvas_blur(&keep, 2);
    for (size_t i = 0; i < (size_t)w * (size_t)h; i++)
        alpha->p[i] *= smooth_step(0.01f, 0.2f, keep.p[i]);
    canvas_free(&keep);
}

/* What the person looks like just inside the edge, everywhere near it. */
static canvas inner_colour(const canvas *photo, const canvas *alpha)
{
    const size_t n = (size_t)photo->w * (size_t)photo->h;
    canvas deep = canvas_copy(alpha), sum = canvas_new(photo->w, photo->h, 4);
    for (size_t i = 0; i < n; i++)
        deep.p[i] = alpha->p[i] > 0.99f;
    canvas_blur(&deep, 2);
    for (size_t i = 0; i < n; i++) {
        const float w = smooth_step(0.85f, 1, deep.p[i]) + 1e-5f * alpha->p[i] + 1e-9f;
        for (size_t k = 0; k < 3; k++)
            sum.p[i * 4 + k] = w * photo->p[i * 3 + k];
        sum.p[i * 4 + 3] = w;
    }
    canvas_blur(&sum, 5);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < 3; k++)
            sum.p[i * 4 + k] /= sum.p[i * 4 + 3];
    for (size_t i = 0; i < n; i++) /* how much of the edge's own colour to keep */
        sum.p[i * 4 + 3] = smooth_step(0.75f, 1, deep.p[i]);
    canvas_free(&deep);
    return sum;
}

canvas matte_person(const canvas *photo, const shape *marks)
{
    const size_t n = (size_t)photo->w * (size_t)photo->h;
    canvas wall = fit_wall(photo), diff = canvas_new(photo->w, photo->h, 1),
           r = canvas_new(photo->w, photo->h, 4);
    for (size_t i = 0; i < n; i++) {
        float d = 0;
        for (size_t k = 0; k < 3; k++) {
            const float e = photo->p[i * 3 + k] - wall.p[i * 3 + k];
            d += e * e;
        }
        diff.p[i] = sqrtf(d);
    }
    canvas_blur(&diff, 0.6f);
    uint8_t *is_wall = flood_wall(&diff, photo, &wall, marks);
    canvas alpha = edge_alpha(&diff, is_wall);
    drop_islands(&alpha);
    canvas inner = inner_colour(photo, &alpha);
    for (size_t i = 0; i < n; i++) {
        const float a = alpha.p[i], keep = inner.p[i * 4 + 3];
        r.p[i * 4 + 3] = a;
        for (size_t k = 0; k < 3; k++) {
            const float p = photo->p[i * 3 + k], in = inner.p[i * 4 + k];
            const float own = clamp01(a > 0.05f ? (p - (1 - a) * wall.p[i * 3 + k]) / a : p);
            r.p[i * 4 + k] = own > in ? in + fmaxf(keep, 0.15f) * (own - in) : own;
        }
    }
    canvas_free(&inner);
    canvas_free(&alpha);
    free(is_wall);
    canvas_free(&diff);
    canvas_free(&wall);
    return r;
}
