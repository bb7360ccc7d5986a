/* Laplacian pyramid blending (Burt and Adelson 1983) of the donors' pictures, and the masks for it: polygons
 * through marks, blurred. */
#include "pyramid.h"
#include <math.h>

enum { LEVELS = 7, MAX_CORNERS = 40 };

/* How much of each level, finest first, is the model's instead of the donors'. */
static const float mixed[LEVELS] = { 0, 0, 0.75f, 0.95f, 0.95f, 0.95f, 0.95f };

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
static canvas fill(const polygon *g, part of, float blur)
{
    canvas a = canvas_new(of.w, of.h, 1);
    for (int y = 0; y < of.h; y++)
        for (int x = 0; x < of.w; x++) {
            const float px = (float)(x + of.x) + 0.5f, py = (float)(y + of.y) + 0.5f;
            int in = 0;
            for (int i = 0, j = g->n - 1; i < g->n; j = i++)
                if ((g->p[i][1] > py) != (g->p[j][1] > py) &&
                    px < (g->p[j][0] - g->p[i][0]) * (py - g->p[i][1]) / (g->p[j][1] - g->p[i][1]) +
                             g->p[i][0])
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

face_masks face_masks_new(const shape *s, part of)
{
    static const int brows[] = { 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82 };
    static const int below_eyes[] = { 49, 48, 47, 57, 51, 46, 45, 44 };
    static const int jaw[] = { 112, 113, 114, 133, 132, 131, 130, 129, 128, 127, 126, 125, 111, 110, 109 };
    static const int lower[] = { 111, 158, 64,  170, 172, 69,  161, 114, 133,
                                 132, 131, 130, 129, 128, 127, 126, 125 };
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
    canvas f = fill(&face, of, 0.07f * unit), e = fill(&eyes, of, 0.07f * unit),
           m = fill(&mouth, of, 0.07f * unit);
    face_masks r;
    for (int k = 0; k < N_DONORS; k++)
        r.part[k] = canvas_new(of.w, of.h, 1);
    for (size_t i = 0; i < (size_t)of.w * (size_t)of.h; i++) {
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

typedef struct pyramid {
    canvas level[LEVELS];
} pyramid;

static pyramid pyramid_new(const canvas *a)
{
    pyramid r;
    canvas rest = canvas_copy(a);
    for (int l = 0; l + 1 < LEVELS; l++) {
        canvas small = canvas_resize(&rest, (rest.w + 1) / 2, (rest.h + 1) / 2);
        r.level[l] = canvas_resize(&small, rest.w, rest.h);
        const size_t n = (size_t)rest.w * (size_t)rest.h * (size_t)rest.c;
        for (size_t i = 0; i < n; i++)
            r.level[l].p[i] = rest.p[i] - r.level[l].p[i];
        canvas_free(&rest);
        rest = small;
    }
    r.level[LEVELS - 1] = rest;
    return r;
}

static void pyramid_free(pyramid *p)
{
    for (int l = 0; l < LEVELS; l++)
        canvas_free(&p->level[l]);
}

/* sum.rgb += weight * mask * a.rgb, level by level. */
static void add_masked(pyramid *sum, const canvas *a, const canvas *mask, const float *weights)
{
    pyramid p = pyramid_new(a);
    canvas m = canvas_copy(mask);
    for (int l = 0; l < LEVELS; l++) {
        canvas *to = &sum->level[l];
        for (size_t i = 0; i < (size_t)to->w * (size_t)to->h; i++)
            for (size_t k = 0; k < 3; k++)
                to->p[i * 3 + k] += weights[l] * m.p[i] * p.level[l].p[i * (size_t)a->c + k];
        canvas half = canvas_resize(&m, (m.w + 1) / 2, (m.h + 1) / 2);
        canvas_free(&m);
        m = half;
    }
    canvas_free(&m);
    pyramid_free(&p);
}

static canvas collapse(const pyramid *p)
{
    canvas sum = canvas_copy(&p->level[LEVELS - 1]);
    for (int l = LEVELS - 2; l >= 0; l--) {
        const canvas *fine = &p->level[l];
        canvas up = canvas_resize(&sum, fine->w, fine->h);
        for (size_t i = 0; i < (size_t)up.w * (size_t)up.h * (size_t)up.c; i++)
            up.p[i] += fine->p[i];
        canvas_free(&sum);
        sum = up;
    }
    return sum;
}

canvas pyramid_blend(const canvas *shown, const canvas *calm, const canvas *skin, const face_masks *masks)
{
    const int w = skin->w, h = skin->h;
    const size_t n = (size_t)w * (size_t)h;
    float ones[LEVELS], minus[LEVELS];
    canvas zero = canvas_new(w, h, 3), face = canvas_new(w, h, 1);
    pyramid sum = pyramid_new(&zero);
    for (int l = 0; l < LEVELS; l++) {
        ones[l] = 1;
        minus[l] = -mixed[l];
    }
    for (size_t i = 0; i < n; i++)
        face.p[i] = 1 - masks->part[DONOR_HEAD].p[i];
    for (int d = 0; d < N_DONORS; d++) {
        add_masked(&sum, &shown[d], &masks->part[d], ones);
        if (d != DONOR_HEAD)
            add_masked(&sum, &calm[d], &masks->part[d], minus);
    }
    add_masked(&sum, skin, &face, mixed);
    canvas r = collapse(&sum);
    pyramid_free(&sum);
    canvas_free(&face);
    canvas_free(&zero);
    return r;
}
