/* The confined worker is Linux only. */
#include "image/codec.h"

mien_status mien__sandbox_decode(const mien__codec *codec, const uint8_t *data, size_t size,
                                 const mien_image_opts *opts, mien_image **ret, mien_error *err)
{
    (void)codec, (void)data, (void)size, (void)opts, (void)ret;
    return mien__fail(err, MIEN_E_UNSUPPORTED, "decoding in a confined worker is not available here");
}

bool mien__sandbox_has(const mien__codec *codec)
{
    (void)codec;
    return false;
}
