/* The picture object: made, lent, cropped, freed. Pixels are packed rows of R G B. */
#include "image/codec.h"
#include <string.h>

/* The largest side this library handles at all, whatever the limits say: 3 * side * side must fit in 63 bits
 * and coordinates in float's 24. */
enum { SIDE_MAX = 1 << 20 };

static bool view_ok(mien_image_view v)
{
    return v.data && v.width > 0 && v.height > 0 && v.stride_bytes >= 3 * (size_t)v.width;
}

mien_status mien_image_new(int width, int height, const uint8_t *pixels, size_t stride_bytes,
                           mien_image **ret_image, mien_error *err)
{
    if (!ret_image || width <= 0 || height <= 0 || width > SIDE_MAX || height > SIDE_MAX)
        return mien__fail(err, MIEN_E_ARG, "a picture of %d x %d px cannot be made (1..%d)", width, height,
                          SIDE_MAX);
    const size_t row = 3 * (size_t)width;
    size_t bytes = 0;
    if (pixels && stride_bytes < row)
        return mien__fail(err, MIEN_E_ARG, "rows of %zu bytes are too short for %d px", stride_bytes, width);
    if (!mien_mul_ok(row, (size_t)height, &bytes))
        return mien__nomem(err, SIZE_MAX);
    mien_image *const image = mien_alloc(sizeof *image);
    uint8_t *const copy = image ? mien_alloc(bytes) : NULL;
    if (!copy) {
        mien_free(image);
        return mien__nomem(err, bytes);
    }
    *image = (mien_image){ width, height, 1, copy };
    if (!pixels) {
        memset(copy, 0, bytes);
    } else {
        for (size_t y = 0; y < (size_t)height; y++)
            memcpy(copy + y * row, pixels + y * stride_bytes, row);
    }
    *ret_image = image;
    return MIEN_OK;
}

void mien_image_free(mien_image *image)
{
    if (!image)
        return;
    mien_free(image->pixels);
    mien_free(image);
}

mien_image_view mien_image_view_of(const mien_image *image)
{
    if (!image)
        return (mien_image_view){ NULL, 0, 0, 0 };
    return (mien_image_view){ image->pixels, image->width, image->height, 3 * (size_t)image->width };
}

uint8_t *mien_image_pixels(mien_image *image)
{
    return image ? image->pixels : NULL;
}

int mien_image_scale(const mien_image *image)
{
    return image ? image->scale : 1;
}

mien_status mien_image_crop(mien_image_view src, int x, int y, int width, int height, mien_image **ret_image,
                            mien_error *err)
{
    if (!view_ok(src) || !ret_image)
        return mien__fail(err, MIEN_E_ARG, "crop: no picture given");
    const int64_t x0 = x > 0 ? x : 0, y0 = y > 0 ? y : 0;
    int64_t x1 = (int64_t)x + width, y1 = (int64_t)y + height;
    x1 = x1 < src.width ? x1 : src.width;
    y1 = y1 < src.height ? y1 : src.height;
    if (width <= 0 || height <= 0 || x1 <= x0 || y1 <= y0)
        return mien__fail(err, MIEN_E_ARG,
                          "crop: the rectangle %d x %d px at (%d, %d) lies outside the picture of %d x %d px",
                          width, height, x, y, src.width, src.height);
    const uint8_t *const first = src.data + (size_t)y0 * src.stride_bytes + 3 * (size_t)x0;
    return mien_image_new((int)(x1 - x0), (int)(y1 - y0), first, src.stride_bytes, ret_image, err);
}
