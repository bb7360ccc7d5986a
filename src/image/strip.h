/* Pictures as files, without what a file says beside the picture. */
#ifndef MIEN_SRC_IMAGE_STRIP_H
#define MIEN_SRC_IMAGE_STRIP_H

#include "base/base.h"

/* Append to `ret` (initialised by the caller) a JPEG or PNG without its metadata; pixels and orientation stay
 * as they are. E_IMAGE_FORMAT for other formats, E_IMAGE_CORRUPT where the structure cannot be followed. */
mien_status mien__image_strip(const void *data, size_t size, mien__buf *ret, mien_error *err);

#endif
