/* A decoded frame as an upright RGB picture: one pass of libswscale turns colours, shrinks and makes pixels
 * square; frames of turned cameras are then turned by the code that serves EXIF.
 *
 * Matrix and range are those that the frame names; unnamed ones are BT.709 from 720 lines on and BT.601
 * below, limited range, as players take them (ITU-R BT.601-7, BT.709-6).
 */
#include "video/source.h"

#if MIEN_HAVE_FFMPEG

#include "image/codec.h"
#include <string.h>

enum { ROW_ALIGN = 64, SLACK = 256 }; /* its fast paths write whole vectors past the end of a row */

static bool is_turned(const mien__source *s)
{
    return s->orientation >= 5;
}

/* Size before turning. */
static void coded_size(const mien__source *s, int width, int height, AVRational aspect, int *ret_width,
                       int *ret_height)
{
    double w = width, h = height;
    if (aspect.num > 0 && aspect.den > 0 && av_q2d(aspect) >= 0.25 && av_q2d(aspect) <= 4.0) {
        if (av_q2d(aspect) > 1) /* grow neither side: limits hold for what was decoded */
            h /= av_q2d(aspect);
        else
            w *= av_q2d(aspect);
    }
    const double side = w > h ? w : h;
    if (s->opts.fit_side > 0 && side > s->opts.fit_side) {
        w *= s->opts.fit_side / side;
        h *= s->opts.fit_side / side;
    }
    *ret_width = w < 1 ? 1 : (int)(w + 0.5);
    *ret_height = h < 1 ? 1 : (int)(h + 0.5);
}

void mien__converted_size(const mien__source *s, int width, int height, AVRational aspect, int *ret_width,
                          int *ret_height)
{
    if (is_turned(s))
        coded_size(s, width, height, aspect, ret_height, ret_width);
    else
        coded_size(s, width, height, aspect, ret_width, ret_height);
}

static mien_status make_room(mien__converter *c, size_t stride, int height, bool turned, mien_error *err)
{
    size_t bytes = 0;
    if (!mien_mul_ok(stride, (size_t)height, &bytes) || !mien_add_ok(bytes, SLACK, &bytes))
        return mien__nomem(err, SIZE_MAX);
    if (bytes > c->bytes || (turned && !c->turned)) {
        mien_free(c->pixels);
        mien_free(c->turned);
        c->bytes = 0;
        c->turned = NULL;
        c->pixels = mien_alloc(bytes);
        if (turned)
            c->turned = mien_alloc(bytes);
        if (!c->pixels || (turned && !c->turned))
            return mien__nomem(err, bytes);
        c->bytes = bytes;
    }
    return MIEN_OK;
}

static bool full_range(const AVFrame *f)
{
    if (f->color_range != AVCOL_RANGE_UNSPECIFIED)
        return f->color_range == AVCOL_RANGE_JPEG;
    return f->format == AV_PIX_FMT_YUVJ420P || f->format == AV_PIX_FMT_YUVJ422P ||
           f->format == AV_PIX_FMT_YUVJ444P || f->format == AV_PIX_FMT_YUVJ440P;
}

static void set_colors(const mien__converter *c, const mien__av *av, const AVFrame *f)
{
    enum { ONE = 1 << 16 };
    int matrix = f->colorspace;
    if (matrix == AVCOL_SPC_UNSPECIFIED || matrix == AVCOL_SPC_RESERVED || matrix == AVCOL_SPC_RGB)
        matrix = f->height >= 720 ? SWS_CS_ITU709 : SWS_CS_ITU601;
    (void)av->sws_setColorspaceDetails(c->sws, av->sws_getCoefficients(matrix), full_range(f),
                                       av->sws_getCoefficients(SWS_CS_ITU601), 1, 0, ONE, ONE);
}

mien_status mien__convert(mien__converter *c, const mien__source *s, const AVFrame *frame,
                          mien_image_view *ret, mien_error *err)
{
    int width = 0, height = 0;
    coded_size(s, frame->width, frame->height, frame->sample_aspect_ratio, &width, &height);
    const size_t row = 3 * (size_t)width, stride = (row + ROW_ALIGN - 1) / ROW_ALIGN * ROW_ALIGN;
    mien_status status = make_room(c, stride, height, s->orientation != 1, err);
    if (status != MIEN_OK)
        return status;
    const int how = frame->width > 2 * width ? SWS_AREA : SWS_BILINEAR;
    c->sws = s->av->sws_getCachedContext(c->sws, frame->width, frame->height, frame->format, width, height,
                                         AV_PIX_FMT_RGB24, how, NULL, NULL, NULL);
    if (!c->sws)
        return mien__fail(err, MIEN_E_VIDEO_CODEC, "%s: frames in a colour format that cannot be converted",
                          s->name);
    set_colors(c, s->av, frame);
    uint8_t *const planes[4] = { c->pixels };
    const int strides[4] = { (int)stride };
    if (s->av->sws_scale(c->sws, (const uint8_t *const *)frame->data, frame->linesize, 0, frame->height,
                         planes, strides) != height)
        return mien__fail(err, MIEN_E_VIDEO_CORRUPT, "%s: a frame could not be converted", s->name);
    *ret = (mien_image_view){ c->pixels, width, height, stride };
    if (s->orientation == 1)
        return MIEN_OK;
    for (int y = 1; y < height; y++)
        memmove(c->pixels + (size_t)y * row, c->pixels + (size_t)y * stride, row);
    mien__orient(c->pixels, width, height, s->orientation, c->turned);
    *ret = is_turned(s) ? (mien_image_view){ c->turned, height, width, 3 * (size_t)height }
                        : (mien_image_view){ c->turned, width, height, row };
    return MIEN_OK;
}

void mien__converter_free(mien__converter *c, const mien__av *av)
{
    if (c->sws)
        av->sws_freeContext(c->sws);
    mien_free(c->pixels);
    mien_free(c->turned);
    *c = (mien__converter){ 0 };
}

#endif
