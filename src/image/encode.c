/* Writing pictures: to memory by format name, to a file by the name's ending. */
#include "image/codec.h"
#include <string.h>

enum { QUALITY_DEFAULT = 92 };
static const size_t max_encoded_bytes = (size_t)1 << 31;

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool same_word(const char *a, const char *b)
{
    while (*a && lower(*a) == *b)
        a++, b++;
    return *a == '\0' && *b == '\0';
}

static mien_status encode(mien_image_view image, bool png, int quality, mien__buf *ret, mien_error *err)
{
    if (!image.data || image.width <= 0 || image.height <= 0 || image.stride_bytes < 3 * (size_t)image.width)
        return mien__fail(err, MIEN_E_ARG, "encode: no picture given");
    if (quality < 0 || quality > 100)
        return mien__fail(err, MIEN_E_ARG, "JPEG quality %d is outside 1..100 (0: the default, %d)", quality,
                          QUALITY_DEFAULT);
    mien__buf_init(ret, max_encoded_bytes);
    return png ? mien__png_encode(image, ret, err)
               : mien__jpeg_encode(image, quality == 0 ? QUALITY_DEFAULT : quality, ret, err);
}

mien_status mien_image_encode(mien_image_view image, const char *format, int quality, uint8_t **ret_data,
                              size_t *ret_size, mien_error *err)
{
    if (!format || !ret_data || !ret_size)
        return mien__fail(err, MIEN_E_ARG, "encode: no format or place for the result given");
    const bool png = same_word(format, "png");
    if (!png && !same_word(format, "jpeg") && !same_word(format, "jpg"))
        return mien__fail(err, MIEN_E_ARG, "cannot write pictures as \"%s\", only jpeg or png", format);
    mien__buf buf = { 0 };
    const mien_status status = encode(image, png, quality, &buf, err);
    if (status != MIEN_OK) {
        mien__buf_free(&buf);
        return status;
    }
    *ret_data = buf.data;
    *ret_size = buf.size;
    return MIEN_OK;
}

void mien_image_data_free(uint8_t *data)
{
    mien_free(data);
}

mien_status mien_image_save(mien_image_view image, const char *path, int quality, mien_error *err)
{
    if (!path)
        return mien__fail(err, MIEN_E_ARG, "no file name given to save a picture");
    const char *const slash = strrchr(path, '/');
    const char *const dot = strrchr(slash ? slash : path, '.');
    const bool png = dot && same_word(dot, ".png");
    if (!png && (!dot || (!same_word(dot, ".jpg") && !same_word(dot, ".jpeg"))))
        return mien__fail(err, MIEN_E_ARG, "%s: a picture's name must end in .jpg, .jpeg or .png", path);
    mien__buf buf = { 0 };
    mien_status status = encode(image, png, quality, &buf, err);
    if (status == MIEN_OK)
        status = mien__file_write_atomic(path, buf.data, buf.size, err);
    mien__buf_free(&buf);
    return status;
}
