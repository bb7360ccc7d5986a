/* Carrying pictures of faces from shape to shape: which points a warp goes through. */
#include "face_warp.h"

enum { EDGE_POINTS = 32 };

static int collect(const shape *s, int side, int whole, float (*ret)[2])
{
    int n = 0;
    for (int i = 0; i < N_POINTS; i++)
        if (point_kind(i) & (whole ? POINT_FACE | POINT_OUTLINE : POINT_FACE)) {
            ret[n][0] = s->p[i][0];
            ret[n++][1] = s->p[i][1];
        }
    for (int i = 0; i < EDGE_POINTS / 4 && whole; i++) {
        const float w = (float)side, t = (float)i / (EDGE_POINTS / 4 - 1) * w;
        const float edge[4][2] = { { t, 0 }, { t, w }, { 0, t }, { w, t } };
        for (int e = 0; e < 4; e++, n++)
            for (int k = 0; k < 2; k++)
                ret[n][k] = edge[e][k];
    }
    return n;
}

face_way face_way_new(const shape *to, int side, part of, int whole)
{
    float p[N_POINTS + EDGE_POINTS][2];
    const int n = collect(to, side, whole, p);
    for (int i = 0; i < n; i++) {
        p[i][0] -= (float)of.x;
        p[i][1] -= (float)of.y;
    }
    return (face_way){ spline_new((const float(*)[2])p, n, of.w, of.h), side, whole };
}

void face_way_free(face_way *w)
{
    spline_free(w->through);
}

canvas face_carry(const face_way *w, const canvas *photo, const shape *marks)
{
    float p[N_POINTS + EDGE_POINTS][2];
    collect(marks, w->side, w->whole, p);
    warp f = warp_new(w->through, (const float(*)[2])p);
    canvas r = warp_apply(&f, photo);
    warp_free(&f);
    return r;
}

void face_match_colour(canvas *a, const canvas *like, const canvas *mask)
{
    double own[3] = { 0 }, want[3] = { 0 };
    const size_t n = (size_t)a->w * (size_t)a->h;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < 3; k++) {
            own[k] += (double)mask->p[i] * (double)a->p[i * (size_t)a->c + k];
            want[k] += (double)mask->p[i] * (double)like->p[i * (size_t)like->c + k];
        }
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < 3; k++)
            a->p[i * (size_t)a->c + k] *= (float)(want[k] / own[k]);
}
