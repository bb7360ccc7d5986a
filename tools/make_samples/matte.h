/* Separating a person from the studio's plain background. */
#ifndef SAMPLES_MATTE_H
#define SAMPLES_MATTE_H

#include "shape.h"

/* Colour of the person alone and how much of each px it covers: 4 channels R, G, B (not multiplied), alpha.
 */
canvas matte_person(const canvas *photo, const shape *marks);

#endif
