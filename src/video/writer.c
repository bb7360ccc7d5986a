/* Writing MP4: RGB to YUV 4:2:0, the encoder, the container, whole or not at all.
 *
 * Times are milliseconds, and so is the time base: frames need not come at a steady rate. The container needs
 * to seek back to its head at the end, so it is written to a temporary file beside the target through two
 * functions of ours, and renamed when the last byte is on the disk.
 */
#include "video/av.h"

#if MIEN_HAVE_FFMPEG

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <stdlib.h>

enum { IO_BYTES = 1 << 16 };

struct mien_video_writer {
    const mien__av *av;
    char *path, *temp;
    int fd;
    AVIOContext *io;
    AVFormatContext *format;
    AVCodecContext *encoder;
    AVStream *stream;
    AVFrame *frame;
    AVPacket *packet;
    struct SwsContext *sws;
    int64_t last_ms;
    bool headed, closed;
};

static int write_bytes(void *user, uint8_t *data, int bytes)
{
    const mien_video_writer *const w = user;
    for (int done = 0; done < bytes;) {
        const ssize_t n = write(w->fd, data + done, (size_t)(bytes - done));
        if (n < 0 && errno != EINTR)
            return AVERROR(errno);
        done += n > 0 ? (int)n : 0;
    }
    return bytes;
}

static int64_t seek_bytes(void *user, int64_t offset, int whence)
{
    const mien_video_writer *const w = user;
    struct stat st;
    if (whence & AVSEEK_SIZE)
        return fstat(w->fd, &st) == 0 ? (int64_t)st.st_size : AVERROR(errno);
    const off_t at = lseek(w->fd, (off_t)offset, whence & ~AVSEEK_FORCE);
    return at >= 0 ? (int64_t)at : AVERROR(errno);
}

static mien_status fail(const mien_video_writer *w, int code, mien_error *err)
{
    char text[AV_ERROR_MAX_STRING_SIZE];
    return mien__fail(err, code == AVERROR(ENOMEM) ? MIEN_E_NOMEM : MIEN_E_IO, "cannot write %s: %s", w->path,
                      mien__av_text(code, text, sizeof text));
}

static const AVCodec *find_encoder(const mien__av *av, const char *codec)
{
    static const char *const h264[] = { "libx264", "libopenh264" };
    const AVCodec *found = NULL;
    if (!codec || !strcmp(codec, "h264")) {
        for (size_t i = 0; i < MIEN_COUNTOF(h264) && !found; i++)
            found = av->avcodec_find_encoder_by_name(h264[i]);
    }
    if (!found && (!codec || !strcmp(codec, "mpeg4")))
        found = av->avcodec_find_encoder_by_name("mpeg4");
    if (!found && codec && !strcmp(codec, "mjpeg"))
        found = av->avcodec_find_encoder_by_name("mjpeg");
    return found;
}

static mien_status open_encoder(mien_video_writer *w, const AVCodec *codec, int width, int height, double fps,
                                mien_error *err)
{
    AVDictionary *options = NULL;
    w->encoder = w->av->avcodec_alloc_context3(codec);
    if (!w->encoder)
        return mien__nomem(err, sizeof *w->encoder);
    AVCodecContext *const e = w->encoder;
    e->width = width;
    e->height = height;
    e->time_base = (AVRational){ 1, 1000 };
    e->framerate = (AVRational){ (int)(fps * 1000 + 0.5), 1000 };
    e->pix_fmt = codec->id == AV_CODEC_ID_MJPEG ? AV_PIX_FMT_YUVJ420P : AV_PIX_FMT_YUV420P;
    e->colorspace = height >= 720 ? AVCOL_SPC_BT709 : AVCOL_SPC_SMPTE170M;
    e->color_range = codec->id == AV_CODEC_ID_MJPEG ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
    e->gop_size = 60;
    e->thread_count = 1;
    e->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    bool ok = true;
    if (codec->id == AV_CODEC_ID_H264) {
        ok = w->av->av_dict_set(&options, "preset", "veryfast", 0) >= 0 &&
             w->av->av_dict_set(&options, "crf", "23", 0) >= 0;
        e->max_b_frames = 0;
    } else {
        e->flags |= AV_CODEC_FLAG_QSCALE; /* steady quality, fine enough to read the text that is drawn */
        e->global_quality = 3 * FF_QP2LAMBDA;
    }
    const int code = ok ? w->av->avcodec_open2(e, codec, &options) : AVERROR(ENOMEM);
    w->av->av_dict_free(&options);
    return code < 0 ? fail(w, code, err) : MIEN_OK;
}

static mien_status open_temp(mien_video_writer *w, mien_error *err)
{
    static const char suffix[] = ".XXXXXX";
    const size_t len = strlen(w->path);
    w->temp = mien_alloc(len + sizeof suffix);
    if (!w->temp)
        return mien__nomem(err, len);
    memcpy(w->temp, w->path, len);
    memcpy(w->temp + len, suffix, sizeof suffix);
    w->fd = mkstemp(w->temp);
    if (w->fd >= 0)
        return MIEN_OK;
    mien_free(w->temp); /* nothing to remove */
    w->temp = NULL;
    return mien__fail(err, MIEN_E_IO, "cannot write %s: %s", w->path, strerror(errno));
}

static mien_status open_container(mien_video_writer *w, mien_error *err)
{
    int code = w->av->avformat_alloc_output_context2(&w->format, NULL, "mp4", NULL);
    if (code < 0)
        return fail(w, code, err);
    uint8_t *const buffer = w->av->av_malloc(IO_BYTES);
    if (buffer)
        w->io = w->av->avio_alloc_context(buffer, IO_BYTES, 1, w, NULL, write_bytes, seek_bytes);
    if (!w->io) {
        w->av->av_free(buffer);
        return mien__nomem(err, IO_BYTES);
    }
    w->format->pb = w->io;
    w->format->flags |= AVFMT_FLAG_CUSTOM_IO;
    w->stream = w->av->avformat_new_stream(w->format, NULL);
    if (!w->stream)
        return mien__nomem(err, sizeof *w->stream);
    w->stream->time_base = w->encoder->time_base;
    w->stream->avg_frame_rate = w->encoder->framerate;
    code = w->av->avcodec_parameters_from_context(w->stream->codecpar, w->encoder);
    if (code >= 0)
        code = w->av->avformat_write_header(w->format, NULL);
    w->headed = code >= 0;
    return code < 0 ? fail(w, code, err) : MIEN_OK;
}

static mien_status make_frame(mien_video_writer *w, mien_error *err)
{
    w->packet = w->av->av_packet_alloc();
    w->frame = w->av->av_frame_alloc();
    if (!w->packet || !w->frame)
        return mien__nomem(err, sizeof *w->frame);
    w->frame->format = w->encoder->pix_fmt;
    w->frame->width = w->encoder->width;
    w->frame->height = w->encoder->height;
    w->frame->quality = w->encoder->global_quality;
    const int code = w->av->av_frame_get_buffer(w->frame, 0);
    return code < 0 ? fail(w, code, err) : MIEN_OK;
}

mien_status mien_video_writer_new(const char *path, const char *codec, int width, int height, double fps,
                                  mien_video_writer **ret, mien_error *err)
{
    if (!path || !ret || width < 2 || height < 2 || width > 16384 || height > 16384 ||
        !(fps > 0 && fps <= 1000))
        return mien__fail(err, MIEN_E_ARG,
                          "writing a video: no path, or a size or frame rate that cannot be");
    const mien__av *const av = mien__av_get();
    int available = 0;
    if (!av)
        return mien__fail(err, MIEN_E_VIDEO_CODEC, "cannot write videos: %s",
                          mien_video_describe(&available));
    const AVCodec *const encoder = find_encoder(av, codec);
    if (!encoder)
        return mien__fail(err, MIEN_E_VIDEO_CODEC, "this FFmpeg cannot write %.20s video",
                          codec ? codec : "MPEG-4");
    mien_video_writer *const w = mien_alloc_zero(sizeof *w);
    if (!w)
        return mien__nomem(err, sizeof *w);
    w->av = av;
    w->fd = -1;
    w->last_ms = INT64_MIN;
    w->path = mien_strdup(path);
    mien_status status = w->path ? MIEN_OK : mien__nomem(err, strlen(path));
    if (status == MIEN_OK)
        status = open_temp(w, err);
    if (status == MIEN_OK)
        status = open_encoder(w, encoder, width & ~1, height & ~1, fps, err);
    if (status == MIEN_OK)
        status = make_frame(w, err);
    if (status == MIEN_OK)
        status = open_container(w, err);
    if (status != MIEN_OK)
        mien_video_writer_free(w);
    else
        *ret = w;
    return status;
}

/* Send a frame, or NULL for the end, and write what the encoder has ready. */
static mien_status encode(mien_video_writer *w, const AVFrame *frame, mien_error *err)
{
    int code = w->av->avcodec_send_frame(w->encoder, frame);
    while (code >= 0) {
        code = w->av->avcodec_receive_packet(w->encoder, w->packet);
        if (code == AVERROR(EAGAIN) || code == AVERROR_EOF)
            return MIEN_OK;
        if (code < 0)
            break;
        w->av->av_packet_rescale_ts(w->packet, w->encoder->time_base, w->stream->time_base);
        w->packet->stream_index = w->stream->index;
        code = w->av->av_interleaved_write_frame(w->format, w->packet);
    }
    return fail(w, code, err);
}

mien_status mien_video_writer_add(mien_video_writer *w, mien_image_view image, int64_t media_ms,
                                  mien_error *err)
{
    if (!w || w->closed || !image.data || image.width < 2 || image.height < 2 ||
        image.stride_bytes < 3 * (size_t)image.width || image.stride_bytes > INT32_MAX)
        return mien__fail(err, MIEN_E_ARG, "writing a video: no frame, or the file is ended");
    if (media_ms <= w->last_ms)
        return MIEN_OK;
    const bool same = (image.width & ~1) == w->frame->width && (image.height & ~1) == w->frame->height;
    const int width = same ? w->frame->width : image.width, height = same ? w->frame->height : image.height;
    const int code = w->av->av_frame_make_writable(w->frame);
    if (code < 0)
        return fail(w, code, err);
    w->sws = w->av->sws_getCachedContext(w->sws, width, height, AV_PIX_FMT_RGB24, w->frame->width,
                                         w->frame->height, w->frame->format, SWS_BILINEAR, NULL, NULL, NULL);
    if (!w->sws)
        return mien__nomem(err, 0);
    const int matrix = w->encoder->colorspace == AVCOL_SPC_BT709 ? SWS_CS_ITU709 : SWS_CS_ITU601;
    (void)w->av->sws_setColorspaceDetails(w->sws, w->av->sws_getCoefficients(SWS_CS_ITU601), 1,
                                          w->av->sws_getCoefficients(matrix),
                                          w->encoder->color_range == AVCOL_RANGE_JPEG, 0, 1 << 16, 1 << 16);
    const uint8_t *const planes[4] = { image.data };
    const int strides[4] = { (int)image.stride_bytes };
    (void)w->av->sws_scale(w->sws, planes, strides, 0, height, w->frame->data, w->frame->linesize);
    w->frame->pts = media_ms;
    const mien_status status = encode(w, w->frame, err);
    if (status == MIEN_OK)
        w->last_ms = media_ms;
    return status;
}

mien_status mien_video_writer_finish(mien_video_writer *w, mien_error *err)
{
    if (!w || w->closed)
        return mien__fail(err, MIEN_E_ARG, "writing a video: the file is ended");
    w->closed = true;
    mien_status status = encode(w, NULL, err);
    if (status != MIEN_OK)
        return status;
    const int code = w->av->av_write_trailer(w->format);
    w->headed = false;
    if (code < 0 || w->io->error < 0)
        return fail(w, code < 0 ? code : w->io->error, err);
    const mode_t mask = umask(0); /* mkstemp gives 0600; the file gets what open() would have given */
    umask(mask);
    const bool ok = fchmod(w->fd, 0666 & ~mask) == 0 && fsync(w->fd) == 0 && close(w->fd) == 0;
    w->fd = -1;
    if (!ok || rename(w->temp, w->path) != 0)
        return mien__fail(err, MIEN_E_IO, "cannot write %s: %s", w->path, strerror(errno));
    mien_free(w->temp);
    w->temp = NULL;
    return MIEN_OK;
}

void mien_video_writer_free(mien_video_writer *w)
{
    if (!w)
        return;
    if (w->headed)
        (void)w->av->av_write_trailer(w->format); /* frees what the muxer holds */
    w->av->avcodec_free_context(&w->encoder);
    w->av->av_frame_free(&w->frame);
    w->av->av_packet_free(&w->packet);
    if (w->sws)
        w->av->sws_freeContext(w->sws);
    w->av->avformat_free_context(w->format);
    if (w->io)
        w->av->av_free(w->io->buffer);
    w->av->avio_context_free(&w->io);
    if (w->fd >= 0)
        close(w->fd);
    if (w->temp)
        unlink(w->temp);
    mien_free(w->temp);
    mien_free(w->path);
    mien_free(w);
}

#endif
