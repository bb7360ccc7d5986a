/* Laplacian pyramid blending (Burt and Adelson 1983) of the donors' pictures, and the masks for it: polygons through marks,
 * blurred. */
#include "pyramid.h"
#include <math.h>

enum { LEVELS = 7, MAX_CORNERS = 40 };

/* How much of each level, finest first, is the mix of the donors instead of the one whose place it is. */
static const float mixed[LEVELS] = { 0, 0.1f, 0.4f, 0.55f, 0.65f, 0.75f, 0.75f };

typedef struct polygon {
    float p[MAX_CORNERS][2];
    int n;
} polygon;

static void add_mark(polygon *g, const shape *s, int i, float up)
{
    g->p[g->n][0] = s->p[i][0];
    g->p[g->n++][1] = s->p[i][1] - up;
}

/* 1 inside, by the even-odd rule, then blurred. */
static canvas fill(const polygon *g, int side, float blur)
{
    canvas a = canvas_new(side, side, 1);
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) {
            const float px = (float)x + 0.5f, py = (float)y + 0.5f;
            int in = 0;
            for (int i = 0, j = g->n - 1; i < g->n; j = i++)
                if ((g->p[i][1] > py) != (g->p[j][1] > py) &&
                    px < (g->p[j][0] - g->p[i][0]) * (py - g->p[i][1]) / (g->p[j][1] - g->p[i][1]) + g->p[i][0])
                    in = !in;
            *canvas_at(&a, x, y) = (float)in;
        }
    canvas_blur(&a, blur);
    return a;
}

/* Draw a polygon's corners towards its middle. */
static void shrink(polygon *g, float by)
{
    float cx = 0, cy = 0;
    for (int i = 0; i < g->n; i++) {
        cx += g->p[i][0] / (float)g->n;
        cy += g->p[i][1] / (float)g->n;
    }
    for (int i = 0; i < g->n; i++) {
        g->p[i][0] += by * (cx - g->p[i][0]);
        g->p[i][1] += by * (cy - g->p[i][1]);
    }
}

face_masks face_masks_new(const shape *s, int side)
{
    static const int brows[] = { 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82 };
    static const int below_eyes[] = { 49, 48, 47, 57, 51, 46, 45, 44 };
    static const int jaw[] = { 112, 113, 114, 133, 132, 131, 130, 129, 128, 127, 126, 125, 111, 110, 109 };
    static const int lower[] = { 111, 158, 64, 170, 172, 69, 161, 114, 133, 132, 131, 130, 129, 128, 127, 126, 125 };
    const float unit = hypotf(s->p[1][0] - s->p[0][0], s->p[1][1] - s->p[0][1]);
    polygon face = { .n = 0 }, eyes = { .n = 0 }, mouth = { .n = 0 };
    for (size_t i = 0; i < sizeof brows / sizeof brows[0]; i++) {
        add_mark(&face, s, brows[i], 0.2f * unit);
        add_mark(&eyes, s, brows[i], 0.2f * unit);
    }
    for (size_t i = 0; i < sizeof below_eyes / sizeof below_eyes[0]; i++)
        add_mark(&eyes, s, below_eyes[i], 0);
    for (size_t i = 0; i < sizeof jaw / sizeof jaw[0]; i++)
        add_mark(&face, s, jaw[i], 0);
    for (size_t i = 0; i < sizeof lower / sizeof lower[0]; i++)
        add_mark(&mouth, s, lower[i], 0);
    shrink(&face, 0.06f);
    canvas f = fill(&face, side, 0.07f * unit), e = fill(&eyes, side, 0.07f * unit), m = fill(&mouth, side, 0.07f * unit);
    face_masks r;
    for (int k = 0; k < N_DONORS; k++)
        r.part[k] = canvas_new(side, side, 1);
    for (size_t i = 0; i < (size_t)side * (size_t)side; i++) {
        const float all = f.p[i], both = e.p[i] + m.p[i], fit = both > 1 ? 1 / both : 1;
        r.part[DONOR_HEAD].p[i] = 1 - all;
        r.part[DONOR_EYES].p[i] = all * e.p[i] * fit;
        r.part[DONOR_MOUTH].p[i] = all * m.p[i] * fit;
        r.part[DONOR_NOSE].p[i] = all * (1 - both * fit);
    }
    canvas_free(&m);
    canvas_free(&e);
    canvas_free(&f);
    return r;
}

void face_masks_free(face_masks *m)
{
    for (int k = 0; k < N_DONORS; k++)
        canvas_free(&m->part[k]);
}

/* a (replaced by its half-size copy) -> what the halving lost. */
static canvas peel(canvas *a)
{
    canvas small = canvas_resize(a, (a->w + 1) / 2, (a->h + 1) / 2), back = canvas_resize(&small, a->w, a->h);
    const size_t n = (size_t)a->w * (size_t)a->h * (size_t)a->c;
    for (size_t i = 0; i < n; i++)
        back.p[i] = a->p[i] - back.p[i];
    canvas_free(a);
    *a = small;
    return back;
}

/* The weighted sum of one level; masks are of its size. */
static canvas blend_level(const canvas *parts, const canvas *masks, float mix)
{
    canvas r = canvas_new(parts[0].w, parts[0].h, 3);
    for (size_t i = 0; i < (size_t)r.w * (size_t)r.h; i++) {
        const float face = 1 - masks[DONOR_HEAD].p[i];
        for (int d = 0; d < N_DONORS; d++) {
            const float own = masks[d].p[i], even = d == DONOR_HEAD ? 1 - face + face / N_DONORS : face / N_DONORS;
            const float w = (1 - mix) * own + mix * even;
            for (size_t k = 0; k < 3; k++)
                r.p[i * 3 + k] += w * parts[d].p[i * (size_t)parts[d].c + k];
        }
    }
    return r;
}

canvas pyramid_blend(const canvas *parts, const face_masks *masks)
{
    canvas a[N_DONORS], m[N_DONORS], levels[LEVELS];
    for (int d = 0; d < N_DONORS; d++) {
        a[d] = canvas_copy(&parts[d]);
        m[d] = canvas_copy(&masks->part[d]);
    }
    for (int l = 0; l < LEVELS; l++) {
        canvas fine[N_DONORS];
        for (int d = 0; d < N_DONORS; d++)
            fine[d] = l + 1 < LEVELS ? peel(&a[d]) : canvas_copy(&a[d]);
        levels[l] = blend_level(fine, m, mixed[l]);
        for (int d = 0; d < N_DONORS; d++) {
            canvas_free(&fine[d]);
            canvas small = canvas_resize(&m[d], (m[d].w + 1) / 2, (m[d].h + 1) / 2);
            canvas_free(&m[d]);
            m[d] = small;
        }
    }
    canvas sum = levels[LEVELS - 1];
    for (int l = LEVELS - 2; l >= 0; l--) {
        canvas up = canvas_resize(&sum, levels[l].w, levels[l].h);
        for (size_t i = 0; i < (size_t)up.w * (size_t)up.h * 3; i++)
            up.p[i] += levels[l].p[i];
        canvas_free(&sum);
        canvas_free(&levels[l]);
        sum = up;
    }
    canvas r = canvas_new(sum.w, sum.h, 4);
    for (size_t i = 0; i < (size_t)r.w * (size_t)r.h; i++) {
        for (size_t k = 0; k < 3; k++)
            r.p[i * 4 + k] = clamp01(sum.p[i * 3 + k]);
        r.p[i * 4 + 3] = parts[DONOR_HEAD].p[i * 4 + 3];
    }
    canvas_free(&sum);
    for (int d = 0; d < N_DONORS; d++) {
        canvas_free(&a[d]);
        canvas_free(&m[d]);
    }
    return r;
}
