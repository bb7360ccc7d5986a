/* Faces of labelled pictures, their quality and templates: what the parts of tools/quality.c share. */
#ifndef TOOL_QUALITY_SHOTS_H
#define TOOL_QUALITY_SHOTS_H

#include <mien/mien.h>

typedef struct shot {
    char *path;
    int person; /* by folder */
    mien_face face;
    mien_quality quality;
    float *vec;
} shot;

typedef struct shots {
    shot *items;
    size_t n, capacity, faceless;
    int people;
    size_t dim;
    double threshold; /* of the embedder's default false match rate */
    mien_model *detect, *embed;
    mien_detector *detector;
    mien_embedder *embedder;
} shots;

/* Open the built-in models; find and measure the most central face of each picture below `dir`, folder per person or none. Ends the program with a message when something fails. */
void shots_open(shots *s);
void shots_read(shots *s, const char *dir);
void shots_free(shots *s);
/* The picture of a shot, read again. */
mien_image *shot_picture(const shot *item);
/* The next picture of the same person, or NULL. */
const shot *shot_mate(const shots *s, size_t index);
void fail(const mien_error *err);
double median(double *values, size_t n); /* sorts */

/* A damaged copy of a picture; `face` becomes the place in it. */
typedef struct damage {
    const char *kind; /* "blur" sigma in px where the eyes are 35 px apart; "eyes" distance of the eyes in px;
                         "gain" factor on the values with noise of 2/255; "noise" sigma of 255 */
    double level;
} damage;
mien_image *damage_apply(const damage *what, mien_image_view image, mien_face *face);

int degrade_main(shots *s, int every);
int reject_main(shots *s);
int gate_main(shots *s, const char *labels, const char *column);

#endif
