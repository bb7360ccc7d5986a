/* What drawing shapes and drawing text share. */
#ifndef MIEN_SRC_IMAGE_DRAW_H
#define MIEN_SRC_IMAGE_DRAW_H

#include "base/base.h"
#include <mien/image.h>

/* Lay `color` over one pixel, alpha in [0, 1]. */
void mien__blend(uint8_t *px, mien_color color, float alpha);

/* Signed distance in px from (x, y) to a box around the origin with rounded corners. */
double mien__box_distance(double x, double y, double half_w, double half_h, double radius);

/* Lend the typeface inside the library (TrueType); NULL when it was built without one. */
const uint8_t *mien__font(size_t *ret_bytes);

#endif
