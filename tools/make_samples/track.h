/* Finding a person's template in a second picture of the same person. */
#ifndef SAMPLES_TRACK_H
#define SAMPLES_TRACK_H

#include "shape.h"

/* The points of `s`, marked in `from`, carried to `to`. */
shape track_shape(const canvas *from, const shape *s, const canvas *to);

#endif
