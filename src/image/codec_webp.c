/* WebP through libwebp and its demuxer: lossy, lossless, alpha laid on white; of an animation the first
 * frame.
 *
 * The demuxer reads the container (canvas size, frames, EXIF) without decoding; limits are checked on what it
 * says and again on the frame itself. Decoding goes straight into the canvas unless there is alpha or the
 * frame covers only part of the animation's canvas.
 */
#include "image/codec.h"
#include <string.h>

static bool is_mine(const uint8_t *data, size_t size)
{
    return size >= 12 && memcmp(data, "RIFF", 4) == 0 && memcmp(data + 8, "WEBP", 4) == 0;
}

#if defined(MIEN_HAVE_WEBP)
#include <webp/decode.h>
#include <webp/demux.h>

/* Decode one frame's bitstream into RGBA or RGB rows of our own memory. */
static mien_status decode_frame(const uint8_t *data, size_t size, WEBP_CSP_MODE mode, uint8_t *dst,
                                size_t stride, size_t bytes, mien_error *err)
{
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config))
        return mien__fail(err, MIEN_E_IMAGE_CODEC, "libwebp's version does not fit its headers");
    config.output.colorspace = mode;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = dst;
    config.output.u.RGBA.stride = (int)stride;
    config.output.u.RGBA.size = bytes;
    const VP8StatusCode code = WebPDecode(data, size, &config);
    WebPFreeDecBuffer(&config.output);
    if (code == VP8_STATUS_OUT_OF_MEMORY)
        return mien__fail(err, MIEN_E_NOMEM, "out of memory in a WebP");
    if (code != VP8_STATUS_OK)
        return mien__fail(err, MIEN_E_IMAGE_CORRUPT, "damaged WebP: %s",
                          code == VP8_STATUS_NOT_ENOUGH_DATA ? "the file ends early"
                                                             : "the data cannot be decoded");
    return MIEN_OK;
}

/* Decode with alpha through a buffer and lay it on the canvas, which is white where the frame is not. */
static mien_status decode_blended(const WebPIterator *frame, mien__canvas *canvas, mien_error *err)
{
    const size_t stride = 4 * (size_t)frame->width, row = 3 * (size_t)canvas->width;
    size_t bytes = 0;
    uint8_t *const rgba = mien_mul_ok(stride, (size_t)frame->height, &bytes) ? mien_alloc(bytes) : NULL;
    if (!rgba)
        return mien__nomem(err, bytes);
    const mien_status status =
        decode_frame(frame->fragment.bytes, frame->fragment.size, MODE_RGBA, rgba, stride, bytes, err);
    if (status == MIEN_OK) {
        memset(canvas->pixels, 255, row * (size_t)canvas->height);
        uint8_t *dst = canvas->pixels + (size_t)frame->y_offset * row + 3 * (size_t)frame->x_offset;
        for (int y = 0; y < frame->height; y++, dst += row)
            mien__flatten_row(rgba + (size_t)y * stride, (size_t)frame->width, dst);
    }
    mien_free(rgba);
    return status;
}

static mien_status decode_first(const WebPDemuxer *demux, const WebPIterator *frame,
                                const mien_image_opts *opts, mien__canvas *canvas, mien_error *err)
{
    const uint32_t width = WebPDemuxGetI(demux, WEBP_FF_CANVAS_WIDTH);
    const uint32_t height = WebPDemuxGetI(demux, WEBP_FF_CANVAS_HEIGHT);
    mien_status status = mien__check_size(opts, width, height, err);
    if (status != MIEN_OK)
        return status;
    WebPBitstreamFeatures features;
    if (WebPGetFeatures(frame->fragment.bytes, frame->fragment.size, &features) != VP8_STATUS_OK ||
        !frame->complete || features.width != frame->width || features.height != frame->height ||
        frame->width <= 0 || frame->height <= 0 || frame->x_offset < 0 || frame->y_offset < 0 ||
        (uint64_t)frame->x_offset + (uint64_t)frame->width > width ||
        (uint64_t)frame->y_offset + (uint64_t)frame->height > height)
        return mien__fail(err, MIEN_E_IMAGE_CORRUPT, "damaged WebP: the frame is incomplete or does not fit");
    status = mien__canvas_open(canvas, (int)width, (int)height, err);
    if (status != MIEN_OK)
        return status;
    if (features.has_alpha || (uint32_t)frame->width != width || (uint32_t)frame->height != height)
        return decode_blended(frame, canvas, err);
    return decode_frame(frame->fragment.bytes, frame->fragment.size, MODE_RGB, canvas->pixels,
                        3 * (size_t)width, 3 * (size_t)width * height, err);
}

static int find_orientation(const WebPDemuxer *demux)
{
    static const uint8_t prefix[6] = "Exif\0"; /* some writers keep JPEG's prefix */
    WebPChunkIterator chunk;
    int orientation = 1;
    if (WebPDemuxGetChunk(demux, "EXIF", 1, &chunk)) {
        const uint8_t *const p = chunk.chunk.bytes;
        const size_t n = chunk.chunk.size;
        const size_t skip = n >= 6 && memcmp(p, prefix, 6) == 0 ? 6 : 0;
        orientation = mien__exif_orientation(p + skip, n - skip);
        WebPDemuxReleaseChunkIterator(&chunk);
    }
    return orientation;
}

static mien_status decode(const uint8_t *data, size_t size, const mien_image_opts *opts, mien__canvas *canvas,
                          mien_error *err)
{
    const WebPData all = { data, size };
    WebPDemuxer *const demux = WebPDemux(&all);
    if (!demux)
        return mien__fail(err, MIEN_E_IMAGE_CORRUPT,
                          "damaged WebP: the file ends early or its parts do not fit");
    WebPIterator frame;
    mien_status status = MIEN_OK;
    if (!WebPDemuxGetFrame(demux, 1, &frame)) {
        status = mien__fail(err, MIEN_E_IMAGE_CORRUPT, "damaged WebP: there is no frame");
    } else {
        canvas->orientation = find_orientation(demux);
        status = decode_first(demux, &frame, opts, canvas, err);
        WebPDemuxReleaseIterator(&frame);
    }
    WebPDemuxDelete(demux);
    return status;
}

static const char *describe(void)
{
    return "webp (libwebp " MIEN_WEBP_VERSION ")";
}

const mien__codec mien__codec_webp = { "webp", false, is_mine, decode, NULL, describe };

#else

static const char *describe(void)
{
    return "webp (built without libwebp)";
}

const mien__codec mien__codec_webp = { "webp", false, is_mine, NULL, NULL, describe };

#endif
