/* Geometry of pictures: 2-D similarity and affine maps, warping, resampling. Private; the public part
 * (mien_fit_similarity, mien_warp) is in <mien/face.h>.
 *
 * Coordinates are continuous: pixel (x, y) covers [x, x+1) x [y, y+1), its centre is at (x + 0.5, y + 0.5).
 */
#ifndef MIEN_SRC_GEOM_H
#define MIEN_SRC_GEOM_H

#include "base/base.h"
#include <mien/face.h>

enum { MIEN__MAX_SIDE_PX = 1 << 17 };

/* True when the view can be read: a pointer, sides in 1..MIEN__MAX_SIDE_PX, rows that do not overlap. */
bool mien__view_ok(mien_image_view v);

/* Invert an affine map; false when it is singular or not finite. */
bool mien__affine_invert(const mien_affine *a, mien_affine *ret);
/* Mean scale of the map: sqrt(|det|). */
double mien__affine_scale(const mien_affine *a);
void mien__affine_apply(const mien_affine *a, double x, double y, double *ret_x, double *ret_y);

/* The `taps` that keep a warp by this map free of aliasing: 1 where it shrinks by less than 1.5, at most 4.
 */
int mien__warp_taps(const mien_affine *to_crop);

/* Warp into caller's pixels: each output pixel is the mean of `taps` x `taps` (1..8) bilinear samples spread
 * over it, black outside the picture; taps > 1 keeps strong shrinking free of aliasing.
 * E_ARG when the map is singular or sends the crop further than 2^30 px away. Allocates nothing. */
mien_status mien__warp_into(mien_image_view src, const mien_affine *to_crop, int taps, int width, int height,
                            uint8_t *dst, size_t dst_stride_bytes, mien_error *err);
/* The same, the picture mirrored at its borders instead of black around it. */
mien_status mien__warp_mirrored(mien_image_view src, const mien_affine *to_crop, int taps, int width,
                                int height, uint8_t *dst, size_t dst_stride_bytes, mien_error *err);

/* ---- resampling with a triangle filter as wide as the shrinking asks (bilinear when growing) ---- */
typedef struct mien__resampler {
    int32_t *x_start, *y_start; /* first source index of each output column / row */
    uint16_t *x_w, *y_w;        /* [n][taps] Q14 weights that sum to 1 << 14 */
    uint32_t *column_sums;      /* one source row, weighted vertically */
    uint8_t *column;            /* the same, rounded to bytes */
    size_t cap_x, cap_y, cap_xw, cap_yw, cap_sums, cap_column;
} mien__resampler;

void mien__resampler_free(mien__resampler *r); /* frees what it holds, not `r` */

typedef void (*mien__row_fn)(void *ctx, int y, const uint8_t *row, int width);

/* What part of a resized picture is wanted: the source seen as full_w x full_h px, of which the rectangle
 * (x0, y0, w, h) is made. */
typedef struct mien__resize_part {
    int full_w, full_h, x0, y0, w, h;
} mien__resize_part;

/* Make the part row by row, top to bottom, handing each row of w RGB pixels to `fn`. Buffers in `r` grow
 * when needed and are kept. E_ARG, E_NOMEM. */
mien_status mien__resample_rows(mien__resampler *r, mien_image_view src, const mien__resize_part *part,
                                uint8_t *row_buffer, mien__row_fn fn, void *ctx, mien_error *err);

/* Copy one RGB row into three float planes: plane[c][i] = (row[i].c - mean[c]) * scale[c]; `swap` writes
 * blue to plane 0 (mean and scale are in the order of the planes). */
void mien__row_to_planes(const uint8_t *row, int width, bool swap, const float mean[3], const float scale[3],
                         float *p0, float *p1, float *p2);

#endif
