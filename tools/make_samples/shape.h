/* Shapes of 189 points, and warps that carry one shape onto another. */
#ifndef SAMPLES_SHAPE_H
#define SAMPLES_SHAPE_H

#include "canvas.h"

enum { N_POINTS = 189, MAX_PEOPLE = 128 };

typedef struct shape {
    float p[N_POINTS][2];
} shape;

/* What a point is for. */
enum {
    POINT_FACE = 1,   /* eyes, brows, nose, outer lips, cheeks, jaw: what tells people apart */
    POINT_STABLE = 2, /* hardly moved by expression: corners of the eyes, bridge of the nose */
    POINT_OUTLINE = 4 /* ears, hair, neck */
};
int point_kind(int i);

/* A Psychomorph template (.tem); coordinates times `scale`. */
shape shape_read(const char *path, float scale);

/* Rotation, scale and shift: x' = a x - b y + tx, y' = b x + a y + ty. */
typedef struct similarity {
    float a, b, tx, ty;
} similarity;
/* Least squares over the points that have a bit of `kinds`. */
similarity similarity_fit(const shape *from, const shape *to, int kinds);
shape similarity_apply(similarity m, const shape *s);

/* Thin-plate spline warps into one shape: `spline` is what they share, `warp` says for each px of the w x h
 * target where its colour comes from. */
typedef struct spline spline;
spline *spline_new(const float (*to)[2], int n, int w, int h);
void spline_free(spline *s);

typedef struct warp {
    canvas field; /* 2 channels, every few px */
    int w, h;
} warp;
warp warp_new(const spline *s, const float (*from)[2]); /* as many points as `to` had */
void warp_free(warp *f);
canvas warp_apply(const warp *f, const canvas *src);

#endif
