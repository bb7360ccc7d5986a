/* The people the statistical model knows: shape and small picture of each, in groups. */
#ifndef SAMPLES_PEOPLE_H
#define SAMPLES_PEOPLE_H

#include "shape.h"

enum { SIDE = 900, SMALL = 225 }; /* px of a work picture; of the model's textures */

typedef struct person {
    int id, female, origin; /* origin: self-reported ethnicity, numbered as met */
    shape marks;            /* in px of a work picture */
    shape aligned;          /* in the model's frame */
    canvas small;           /* neutral picture, SMALL px */
} person;

typedef struct people {
    person *all;
    int n;
    shape mean; /* of all: the model's frame, pupils at (-0.5, 0) and (0.5, 0) */
} people;

/* Read the London Set: `folder` holds neutral_front/, `info` is london_info.csv. */
void people_read(const char *folder, const char *info, people *ret);
void people_free(people *p);
const person *people_find(const people *p, int id);

/* Draw a new person of the sex and origin of `like`: what weight each of the people has in it; they add up
 * to 1. */
void people_draw(const people *p, const person *like, dice *d, float *ret_weights);

/* A step away from one of the people, or from another new person of the sex and origin of `like`. */
void people_step_away(const people *p, int id, float *weights);
void people_step_away_from(const people *p, const person *like, const float *other, float *weights);

/* The weighted sum of shapes, in the model's frame. */
shape people_shape(const people *p, const float *weights);
/* The weighted sum of pictures warped to `to` (px of a work picture), each person's skin matched to `like`
 * over `mask` (SMALL px, like the result). */
canvas people_texture(const people *p, const float *weights, const shape *to, const canvas *like,
                      const canvas *mask);

#endif
