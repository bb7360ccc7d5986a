/* What is known of a training picture: the faces in it. Made by the scene composer, read by the losses and
 * the evaluation.
 */
#ifndef MIEN_SRC_TRAIN_TRUTH_H
#define MIEN_SRC_TRAIN_TRUTH_H

#include "base/base.h"
#include <mien/face.h>

typedef struct mien__truth {
    mien_face face; /* px of the picture; the box may reach over its border; score 1 */
    float visible;  /* share of the face (the ellipse in its box) that is seen */
    bool ignore;    /* too hidden or too small to ask for, too much a face to punish: neither face nor
                       background */
} mien__truth;

#endif
