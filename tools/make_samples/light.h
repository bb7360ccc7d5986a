/* Light and colour. */
#ifndef SAMPLES_LIGHT_H
#define SAMPLES_LIGHT_H

#include "shape.h"

typedef struct light {
    float from_x, from_y; /* where it comes from: -1 viewer's left, below, to 1 viewer's right, above */
    float strength;       /* 0 the studio's even light, 1 a single lamp */
    float warmth;         /* -0.15 bluish to 0.15 orange */
    float exposure;       /* factor of linear light */
} light;

/* Light a figure, R G B alpha, whose marks are known. */
void light_person(canvas *figure, const shape *marks, light how);
/* Warmth and exposure alone, for what stands around. */
void light_scene(canvas *scene, light how);
/* Dye white clothes below the chin. */
void dye_clothes(canvas *figure, const shape *marks, const float *colour);

#endif
