/* People who do not exist: a shape from the statistical model, a texture from several donors. */
#ifndef SAMPLES_PERSON_H
#define SAMPLES_PERSON_H

#include "shape.h"

enum { SIDE = 900, N_DONORS = 4 }; /* px of a work picture; donors of one identity */

/* What each donor gives the fine detail of; the coarse is shared. */
enum { DONOR_HEAD = 0, DONOR_EYES = 1, DONOR_NOSE = 2, DONOR_MOUTH = 3 };

typedef struct donor {
    canvas photo[2]; /* neutral, smiling */
    shape marks[2];
} donor;

typedef struct identity {
    donor donors[N_DONORS];
    shape own;   /* neutral, in the model's frame */
    shape smile; /* what smiling adds to it */
} identity;

/* How one picture shows the person. */
typedef struct pose {
    int smiling;      /* which of the donors' pictures the texture comes from */
    float expression; /* how much of the smile's shape: 1 with smiling, else about 0 to 0.3 */
    float yaw, pitch; /* rad; positive: the subject looks to the viewer's right, down */
} pose;

/* Read donors `ids` of the London Set in `folder`, and give them a shape of their own.
 * `length`: distance from the mean face, 1 as far as people are. */
void identity_new(const char *folder, const int *ids, const shape_model *model, dice *d, float length, identity *ret);
void identity_free(identity *p);

/* The person on a transparent ground, SIDE x SIDE px, R G B alpha; *ret_marks where the template's points are. */
canvas identity_draw(const identity *p, pose how, shape *ret_marks);

/* Height over the plane of the ears, in distances between the eyes, of a point of the head given in the same unit
 * from the middle between the eyes (x to the viewer's right, y down). */
float head_depth(float x, float y);

#endif
