/* Adding pictures level by level. */
#ifndef SAMPLES_PYRAMID_H
#define SAMPLES_PYRAMID_H

#include "face_warp.h"
#include "person.h"

/* Soft masks that add up to 1 at every px, one for each donor: the head's is all outside the face. */
typedef struct face_masks {
    canvas part[N_DONORS];
} face_masks;
face_masks face_masks_new(const shape *marks, part of);
void face_masks_free(face_masks *m);

/* The donors' parts, with the coarse levels of the face moved to `skin`: level by level
 *     sum of mask * shown + mix * (skin - sum of mask * calm),
 * `calm` being the neutral pictures of the donors (the same as `shown` unless those smile). Alpha is the
 * head's. */
canvas pyramid_blend(const canvas *shown, const canvas *calm, const canvas *skin, const face_masks *masks);

#endif
