/* Fuzz target: the public way, from bytes of any kind to a resized, written picture. */
#include "base/base.h"
#include <mien/image.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mien_image_opts opts = MIEN_IMAGE_OPTS_INIT;
    opts.max_pixels = 1 << 16;
    opts.max_side = 1024;
    opts.max_jpeg_scans = 12;
    mien_image *image = NULL, *small = NULL;
    mien_error err = MIEN_ERROR_INIT;
    /* HEIC would go to its worker process, which the fuzzer cannot see into. */
    if (size >= 8 && data[4] == 'f' && data[5] == 't' && data[6] == 'y' && data[7] == 'p')
        return 0;
    if (mien_image_decode(data, size, &opts, &image, &err) != MIEN_OK)
        return 0;
    const mien_image_view v = mien_image_view_of(image);
    if (v.width < 1 || v.height < 1 || (uint64_t)v.width * (uint64_t)v.height > opts.max_pixels)
        abort();
    if (mien_image_resize(v, 1 + data[size - 1] % 64, 1 + data[size / 2] % 64, &small, &err) == MIEN_OK) {
        uint8_t *out = NULL;
        size_t n = 0;
        mien_image_draw_dot(small, (float)(data[0] % 64), 3, 2, 0xff0000);
        if (mien_image_encode(mien_image_view_of(small), size & 1 ? "png" : "jpeg", 0, &out, &n, &err) ==
            MIEN_OK)
            mien_image_data_free(out);
    }
    mien_image_free(small);
    mien_image_free(image);
    return 0;
}
