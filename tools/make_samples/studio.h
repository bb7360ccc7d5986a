/* From a person and a place to the file of a photograph. */
#ifndef SAMPLES_STUDIO_H
#define SAMPLES_STUDIO_H

#include "light.h"
#include "person.h"
#include "scene.h"

/* What the camera takes in: `tall` distances between the eyes, of a picture w x h px around the face. */
typedef struct frame {
    int w, h;
    float tall, aside,
        roll;             /* aside: the face left (-) or right of the middle, in the same unit; roll in rad */
    float blur_px, noise; /* of the finished picture; noise as a standard deviation of values in [0, 1] */
    int quality;          /* of the JPEG */
} frame;

typedef struct shot {
    pose pose;
    light light;
    place_kind place;
    frame frame;
} shot;

/* Photograph someone in `clothes`, and write the picture. */
void studio_portrait(const identity *who, const float *clothes, const shot *s, dice *d, const char *path);

/* Add someone to a larger picture: the middle between the eyes at (x, y), these `eyes` px apart. */
void studio_add(canvas *scene, const identity *who, const float *clothes, pose how, light light, float x,
                float y, float eyes);

/* Noise of the sensor, then the file. */
void studio_finish(canvas *picture, const frame *f, dice *d, const char *path);

#endif
