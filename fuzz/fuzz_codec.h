/* What the picture fuzz targets share: one codec on one input, under limits that keep a run short. */
#ifndef MIEN_FUZZ_CODEC_H
#define MIEN_FUZZ_CODEC_H

#include "image/codec.h"

/* The input's last byte chooses a scaled decode, so that those paths are reached. */
static inline void fuzz_codec(const mien__codec *codec, const uint8_t *data, size_t size)
{
    mien_image_opts opts = MIEN_IMAGE_OPTS_INIT;
    opts.max_pixels = 1 << 18;
    opts.max_side = 4096;
    opts.max_jpeg_scans = 12;
    opts.min_short_side = size > 0 ? data[size - 1] & 15 : 0;
    if (!codec->decode || !codec->is_mine(data, size))
        return;
    mien__canvas canvas = { 0 };
    mien_image *image = NULL;
    mien_error err = MIEN_ERROR_INIT;
    mien_status status = mien__codec_run(codec, data, size, &opts, &canvas, &err);
    if (status == MIEN_OK)
        status = mien__canvas_to_image(&canvas, &image, &err);
    mien__canvas_free(&canvas);
    mien_image_free(image);
}

#endif
