/* Shapes of 189 points, the statistical model of them, and warps that carry one shape onto another. */
#ifndef SAMPLES_SHAPE_H
#define SAMPLES_SHAPE_H

#include "canvas.h"

enum { N_POINTS = 189, N_MODES = 40, MAX_PEOPLE = 128 };

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

/* Principal components of the people's face points after Procrustes alignment (Cootes et al. 1995). */
typedef struct shape_model {
    shape mean; /* eyes 1 apart, centred */
    shape modes[N_MODES];
    float sigma[N_MODES]; /* standard deviation along each mode */
    float typical;        /* mean Mahalanobis length of a person's coefficients */
} shape_model;
void shape_model_fit(const shape *people, int n, shape_model *ret);
void shape_model_project(const shape_model *m, const shape *s, float *ret_coef);
/* The shape of coefficients scaled to `length` times the typical one. */
shape shape_model_make(const shape_model *m, const float *coef, float length);

/* For each px of a w x h target, where its colour comes from: thin-plate spline through n pairs of points. */
typedef struct warp {
    canvas field; /* 2 channels, every WARP_STEP px */
    int w, h;
} warp;
warp warp_new(const float (*to)[2], const float (*from)[2], int n, int w, int h);
void warp_free(warp *f);
canvas warp_apply(const warp *f, const canvas *src);

#endif
