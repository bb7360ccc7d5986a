/* People who do not exist: shape and coarse texture from the statistical model, fine detail from several
 * donors. */
#ifndef SAMPLES_PERSON_H
#define SAMPLES_PERSON_H

#include "people.h"

/* What each donor gives the fine detail of. */
enum { DONOR_HEAD = 0, DONOR_EYES = 1, DONOR_NOSE = 2, DONOR_MOUTH = 3, N_DONORS = 4 };

typedef struct donor {
    canvas photo[2]; /* neutral, smiling; the head's cut out, with alpha */
    shape marks[2];
} donor;

typedef struct identity {
    donor donors[N_DONORS];
    shape own;   /* neutral, in the model's frame */
    shape smile; /* what smiling adds to it */
    shape marks; /* neutral and unturned, in px of a work picture */
    canvas skin; /* the model's texture, there */
} identity;

/* How one picture shows the person. */
typedef struct pose {
    int smiling;      /* which of the donors' pictures the detail comes from */
    float expression; /* how much of the smile's shape: about 1 with smiling, else 0 to 0.3 */
    float yaw, pitch; /* rad; positive: the subject looks to the viewer's right, down */
} pose;

/* Read the donors, numbers of the London Set in `folder`; then give them a face: the weights that people have
 * in it, as often as wanted. */
void identity_read(const char *folder, const people *model, const int *donors, identity *ret);
void identity_face(identity *p, const people *model, const float *weights);
void identity_free(identity *p);

/* The person on a transparent ground, SIDE x SIDE px, R G B alpha; *ret_marks where the template's points
 * are. */
canvas identity_draw(const identity *p, pose how, shape *ret_marks);

/* Height over the plane of the ears, in distances between the eyes, of a point of the head given in the same
 * unit from the middle between the eyes (x to the viewer's right, y down). */
float head_depth(float x, float y);

#endif
