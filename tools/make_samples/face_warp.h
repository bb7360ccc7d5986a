/* Carrying pictures of faces from shape to shape, and matching their skin. */
#ifndef SAMPLES_FACE_WARP_H
#define SAMPLES_FACE_WARP_H

#include "shape.h"

/* A part of a square picture. */
typedef struct part {
    int x, y, w, h;
} part;

/* The way to one shape, in a part of a picture of side px. With `whole` the head's outline and the picture's
 * border are carried too; without, only the face is meant. */
typedef struct face_way {
    spline *through;
    int side, whole;
} face_way;
face_way face_way_new(const shape *to, int side, part of, int whole);
void face_way_free(face_way *w);

/* A picture of that side with its marks brought to the wanted shape: the part of it. */
canvas face_carry(const face_way *w, const canvas *photo, const shape *marks);

/* Multiply colours so that the mean over the mask becomes that of `like`; all of one size. */
void face_match_colour(canvas *a, const canvas *like, const canvas *mask);

#endif
