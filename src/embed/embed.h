/* Cutting and preparing face crops. Private; the public part is in <mien/face.h>. */
#ifndef MIEN_SRC_EMBED_H
#define MIEN_SRC_EMBED_H

#include "base/base.h"
#include "geom/geom.h"
#include <mien/face.h>

/* The size of the crops an embedder takes; E_MODEL_TASK, E_MODEL_SHAPE. */
mien_status mien__crop_size(const mien_model_info *info, int *ret_w, int *ret_h, mien_error *err);

/* Cut the crop that `info` asks for into `dst` (width * 3 bytes a row). `r` holds scratch for margin crops.
 */
mien_status mien__crop_face(const mien_model_info *info, mien_image_view image, const mien_face *face,
                            mien__resampler *r, uint8_t *dst, int width, int height, mien_error *err);

/* Resize a view into `dst` (width * 3 bytes a row); a copy when the size fits already. */
mien_status mien__resize_into(mien__resampler *r, mien_image_view src, uint8_t *dst, int width, int height,
                              mien_error *err);

/* Turn a crop into the network's planes: colour order, normalisation, optionally mirrored. */
void mien__crop_to_planes(const mien_model_info *info, const uint8_t *crop, int width, int height,
                          bool mirror, float *planes);

#endif
