/* Opening a video: bytes, container, stream, decoder.
 *
 * Containers and codecs are written by strangers, so each step is bounded before it is made: a list of
 * demuxers and one of decoders that may be used at all, probing by bytes and time, streams by number, frames
 * by pixels (told to the decoder too, which checks before it allocates). A file is read through two functions
 * of ours over one descriptor; the library gets no protocol to open anything else with, so that a playlist or
 * a reference inside a file leads nowhere. RTSP may use its transports and nothing more. What waits, asks
 * interrupted().
 */
#include "video/source.h"

#if MIEN_HAVE_FFMPEG

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { IO_BYTES = 1 << 16, PROBE_BYTES = 4 << 20, PROBE_S = 4, MAX_STREAMS = 64 };

static const char file_formats[] =
    "mov,matroska,avi,mpegts,mpeg,flv,nut,ogg,h264,hevc,mjpeg,m4v,ivf,mpegvideo";
static const char stream_formats[] = "rtsp,mpegts";
static const char stream_protocols[] = "tcp,tls,udp,rtp,srtp";
/* Names of decoders, for those that the library opens itself while it probes. */
static const char decoders[] =
    "h264,hevc,vp8,libvpx,vp9,libvpx-vp9,av1,libdav1d,libaom-av1,mpeg1video,mpeg2video,mpegvideo,"
    "mpeg4,mjpeg,theora,rawvideo";

static bool codec_allowed(enum AVCodecID id)
{
    static const enum AVCodecID allowed[] = {
        AV_CODEC_ID_H264,  AV_CODEC_ID_HEVC,       AV_CODEC_ID_VP8,        AV_CODEC_ID_VP9,
        AV_CODEC_ID_AV1,   AV_CODEC_ID_MPEG1VIDEO, AV_CODEC_ID_MPEG2VIDEO, AV_CODEC_ID_MPEG4,
        AV_CODEC_ID_MJPEG, AV_CODEC_ID_THEORA,     AV_CODEC_ID_RAWVIDEO,
    };
    for (size_t i = 0; i < MIEN_COUNTOF(allowed); i++) {
        if (allowed[i] == id)
            return true;
    }
    return false;
}

/* ---- waiting ---- */

static int interrupted(void *user)
{
    mien__source *const s = user;
    if (s->opts.stop && s->opts.stop(s->opts.user))
        return 1;
    if (s->deadline_ms > 0 && mien__now_ms() > s->deadline_ms)
        s->timed_out = true;
    return s->timed_out;
}

static mien_status fail(const mien__source *s, int code, mien_status other, const char *what, mien_error *err)
{
    char text[AV_ERROR_MAX_STRING_SIZE];
    if (s->timed_out)
        return mien__fail(err, MIEN_E_IO, "%s: %s: no answer within %d ms", s->name, what,
                          s->opts.timeout_ms);
    const mien_status status = mien__av_status(code, other);
    if (status == MIEN_E_INTERRUPTED)
        return mien__fail(err, status, "%s: stopped", s->name);
    return mien__fail(err, status, "%s: %s: %s", s->name, what, mien__av_text(code, text, sizeof text));
}

/* ---- bytes ---- */

static int read_bytes(void *user, uint8_t *to, int capacity)
{
    mien__source *const s = user;
    mien__video_bytes *const b = &s->bytes;
    if (interrupted(s))
        return AVERROR_EXIT;
    if (b->fd >= 0) {
        ssize_t n = 0;
        do
            n = read(b->fd, to, (size_t)capacity);
        while (n < 0 && errno == EINTR);
        return n > 0 ? (int)n : n == 0 ? AVERROR_EOF : AVERROR(errno);
    }
    const int64_t left = b->size - b->at, n = left < capacity ? left : capacity;
    if (n <= 0)
        return AVERROR_EOF;
    memcpy(to, b->data + b->at, (size_t)n);
    b->at += n;
    return (int)n;
}

static int64_t seek_bytes(void *user, int64_t offset, int whence)
{
    mien__source *const s = user;
    mien__video_bytes *const b = &s->bytes;
    struct stat st;
    if (whence & AVSEEK_SIZE)
        return b->fd < 0 ? b->size : fstat(b->fd, &st) == 0 ? (int64_t)st.st_size : AVERROR(errno);
    whence &= ~AVSEEK_FORCE;
    if (b->fd >= 0) {
        const off_t at = lseek(b->fd, (off_t)offset, whence);
        return at >= 0 ? (int64_t)at : AVERROR(errno);
    }
    const int64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? b->at : b->size;
    if (offset < -base || offset > b->size - base)
        return AVERROR(EINVAL);
    return b->at = base + offset;
}

/* In place of the library's own opening of further files. */
static int refuse_open(AVFormatContext *format, AVIOContext **ret, const char *url, int flags,
                       AVDictionary **options)
{
    (void)format;
    (void)url;
    (void)flags;
    (void)options;
    *ret = NULL;
    return AVERROR(EACCES);
}

static mien_status open_bytes(mien__source *s, const char *path, mien_error *err)
{
    struct stat st;
    if (!s->bytes.data) {
        s->bytes.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (s->bytes.fd < 0)
            return mien__fail(err, errno == ENOENT ? MIEN_E_NOT_FOUND : MIEN_E_IO, "cannot open %s: %s", path,
                              strerror(errno));
        if (fstat(s->bytes.fd, &st) != 0 || !S_ISREG(st.st_mode))
            return mien__fail(err, MIEN_E_IO, "cannot open %s: not a regular file", path);
    }
    uint8_t *const buffer = s->av->av_malloc(IO_BYTES);
    if (buffer)
        s->io = s->av->avio_alloc_context(buffer, IO_BYTES, 0, s, read_bytes, NULL, seek_bytes);
    if (!s->io) {
        s->av->av_free(buffer);
        return mien__nomem(err, IO_BYTES);
    }
    s->format->pb = s->io;
    s->format->io_open = refuse_open;
    return MIEN_OK;
}

/* ---- container ---- */

static bool set(const mien__source *s, AVDictionary **options, const char *key, const char *value)
{
    return s->av->av_dict_set(options, key, value, 0) >= 0;
}

static bool set_camera(const mien__source *s, AVDictionary **options)
{
    char text[32];
    bool ok = true;
    if (s->opts.width > 0 && s->opts.height > 0) {
        snprintf(text, sizeof text, "%dx%d", s->opts.width, s->opts.height);
        ok = set(s, options, "video_size", text);
    }
    if (s->opts.fps > 0) {
        snprintf(text, sizeof text, "%d", s->opts.fps);
        ok = ok && set(s, options, "framerate", text);
    }
    return ok;
}

static mien_status open_container(mien__source *s, mien_video_kind kind, const char *url, mien_error *err)
{
    AVDictionary *options = NULL;
    const AVInputFormat *demuxer = NULL;
    bool ok = true;
    if (kind == MIEN_VIDEO_FILE) {
        ok = set(s, &options, "format_whitelist", file_formats) &&
             set(s, &options, "protocol_whitelist", "none");
    } else if (kind == MIEN_VIDEO_RTSP) {
        demuxer = s->av->av_find_input_format("rtsp");
        ok = set(s, &options, "format_whitelist", stream_formats) &&
             set(s, &options, "protocol_whitelist", stream_protocols) &&
             set(s, &options, "rtsp_transport", "tcp") && set(s, &options, "allowed_media_types", "video");
    } else {
        demuxer = s->av->av_find_input_format("video4linux2");
        ok = set_camera(s, &options);
    }
    ok = ok && set(s, &options, "codec_whitelist", decoders);
    mien_status status = MIEN_OK;
    if (!ok)
        status = mien__nomem(err, 64);
    else if (kind != MIEN_VIDEO_FILE && !demuxer)
        status = mien__fail(err, MIEN_E_VIDEO_CODEC, "%s: this FFmpeg cannot read such a source", s->name);
    if (status == MIEN_OK) {
        const int code =
            s->av->avformat_open_input(&s->format, url, demuxer, &options); /* frees on failure */
        if (code < 0)
            status =
                fail(s, code, kind == MIEN_VIDEO_FILE ? MIEN_E_VIDEO_FORMAT : MIEN_E_IO, "cannot open", err);
    }
    s->av->av_dict_free(&options);
    return status;
}

mien_status mien__source_check_size(const mien__source *s, int width, int height, mien_error *err)
{
    if (width <= 0 || height <= 0)
        return mien__fail(err, MIEN_E_VIDEO_CORRUPT,
                          "%s: its beginning has no frame of a size within %llu px, %d a side", s->name,
                          (unsigned long long)s->opts.max_pixels, s->opts.max_side);
    if (width > s->opts.max_side || height > s->opts.max_side ||
        (uint64_t)width * (uint64_t)height > s->opts.max_pixels)
        return mien__fail(err, MIEN_E_LIMIT, "%s: frames of %d x %d px pass the limit of %llu px, %d a side",
                          s->name, width, height, (unsigned long long)s->opts.max_pixels, s->opts.max_side);
    return MIEN_OK;
}

/* Look into the streams with a decoder that knows the limit on pixels. */
static mien_status probe(mien__source *s, mien_error *err)
{
    const unsigned n = s->format->nb_streams; /* at most MAX_STREAMS */
    AVDictionary *options[MAX_STREAMS] = { NULL };
    char pixels[32];
    bool ok = true;
    mien_status status = MIEN_OK;
    snprintf(pixels, sizeof pixels, "%llu", (unsigned long long)s->opts.max_pixels);
    for (unsigned i = 0; i < n && status == MIEN_OK;
         i++) { /* what the container says of the size, if it does */
        const AVCodecParameters *const p = s->format->streams[i]->codecpar;
        if (p->codec_type == AVMEDIA_TYPE_VIDEO && (p->width > 0 || p->height > 0))
            status = mien__source_check_size(s, p->width, p->height, err);
    }
    if (status != MIEN_OK)
        return status;
    for (unsigned i = 0; i < n && i < MAX_STREAMS; i++) {
        if (s->format->streams[i]->codecpar->codec_type != AVMEDIA_TYPE_VIDEO)
            s->format->streams[i]->discard = AVDISCARD_ALL;
        ok = ok && set(s, &options[i], "max_pixels", pixels) && set(s, &options[i], "threads", "1");
    }
    const int code =
        ok && n <= MAX_STREAMS ? s->av->avformat_find_stream_info(s->format, options) : AVERROR(ENOMEM);
    for (unsigned i = 0; i < n && i < MAX_STREAMS; i++)
        s->av->av_dict_free(&options[i]);
    return code < 0 ? fail(s, code, MIEN_E_VIDEO_CORRUPT, "cannot read the streams", err) : MIEN_OK;
}

/* ---- stream and decoder ---- */

/* The EXIF orientation that does what a display matrix does: x' = a x + c y, y' = b x + d y, signs alone. */
static int orientation_of(const int32_t *m)
{
    const int64_t a = m[0], b = m[1], c = m[3], d = m[4];
    if ((a < 0 ? -a : a) + (d < 0 ? -d : d) >= (b < 0 ? -b : b) + (c < 0 ? -c : c))
        return a >= 0 ? (d >= 0 ? 1 : 4) : (d >= 0 ? 2 : 3);
    return c >= 0 ? (b >= 0 ? 5 : 8) : (b >= 0 ? 6 : 7);
}

static int stream_orientation(const mien__source *s, const AVStream *stream)
{
    const uint8_t *data = NULL;
    size_t bytes = 0;
#if LIBAVFORMAT_VERSION_MAJOR < 61
    if (s->av->side_data)
        data = s->av->side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &bytes);
#else
    for (int i = 0; i < stream->codecpar->nb_coded_side_data; i++) {
        if (stream->codecpar->coded_side_data[i].type == AV_PKT_DATA_DISPLAYMATRIX) {
            data = stream->codecpar->coded_side_data[i].data;
            bytes = stream->codecpar->coded_side_data[i].size;
        }
    }
#endif
    (void)s;
    int32_t matrix[9];
    if (!data || bytes < sizeof matrix)
        return 1;
    memcpy(matrix, data, sizeof matrix);
    return orientation_of(matrix);
}

static mien_status open_decoder(mien__source *s, const AVStream *stream, mien_error *err)
{
    const AVCodecParameters *const p = stream->codecpar;
    const AVCodec *const codec = codec_allowed(p->codec_id) ? s->av->avcodec_find_decoder(p->codec_id) : NULL;
    if (!codec)
        return mien__fail(err, MIEN_E_VIDEO_CODEC, "%s: no decoder for %s video", s->name,
                          s->av->avcodec_get_name(p->codec_id));
    const mien_status status = mien__source_check_size(s, p->width, p->height, err);
    if (status != MIEN_OK)
        return status;
    s->decoder = s->av->avcodec_alloc_context3(codec);
    s->packet = s->av->av_packet_alloc();
    if (!s->decoder || !s->packet)
        return mien__nomem(err, sizeof *s->decoder);
    int code = s->av->avcodec_parameters_to_context(s->decoder, p);
    s->decoder->pkt_timebase = stream->time_base;
    s->decoder->max_pixels = (int64_t)s->opts.max_pixels;
    s->decoder->thread_count = (int)s->opts.threads;
    if (s->live) { /* frame threads would hold back as many frames */
        s->decoder->thread_type = FF_THREAD_SLICE;
        s->decoder->flags |= AV_CODEC_FLAG_LOW_DELAY;
    }
    if (code >= 0)
        code = s->av->avcodec_open2(s->decoder, codec, NULL);
    return code < 0 ? fail(s, code, MIEN_E_VIDEO_CORRUPT, "cannot open the decoder", err) : MIEN_OK;
}

static mien_status open_stream(mien__source *s, mien_error *err)
{
    mien_status status = probe(s, err);
    if (status != MIEN_OK)
        return status;
    s->stream = s->av->av_find_best_stream(s->format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    if (s->stream < 0)
        return mien__fail(err, MIEN_E_VIDEO_FORMAT, "%s: there is no video in it", s->name);
    const AVStream *const stream = s->format->streams[s->stream];
    status = open_decoder(s, stream, err);
    if (status != MIEN_OK)
        return status;
    for (unsigned i = 0; i < s->format->nb_streams; i++) {
        if ((int)i != s->stream)
            s->format->streams[i]->discard = AVDISCARD_ALL;
    }
    s->orientation = stream_orientation(s, stream);
    return MIEN_OK;
}

/* A name for messages: an address without user and password. */
static char *public_name(const char *where)
{
    const char *const host = strstr(where, "://");
    const char *const path = host ? strchr(host + 3, '/') : NULL;
    const char *at = NULL;
    for (const char *p = host ? host + 3 : ""; *p && p != path; p++) {
        if (*p == '@')
            at = p;
    }
    if (!at)
        return mien_strdup(where);
    const size_t scheme = (size_t)(host + 3 - where), rest = strlen(at + 1) + 1;
    char *const name = mien_alloc(scheme + rest);
    if (name) {
        memcpy(name, where, scheme);
        memcpy(name + scheme, at + 1, rest);
    }
    return name;
}

static mien_status device_of(const char *where, char *ret, size_t capacity, mien_error *err)
{
    int64_t number = 0;
    int n = 0;
    if (!mien__av_cameras())
        return mien__fail(err, MIEN_E_VIDEO_CODEC, "cameras need libavdevice, which is not here");
    if (mien__parse_i64(where, &number) && number >= 0 && number < 1000)
        n = snprintf(ret, capacity, "/dev/video%d", (int)number);
    else
        n = snprintf(ret, capacity, "%s", where);
    if (n < 0 || (size_t)n >= capacity || strncmp(ret, "/dev/", 5) != 0)
        return mien__fail(err, MIEN_E_ARG, "camera %.80s: neither a number nor a device", where);
    return MIEN_OK;
}

mien_status mien__source_open(mien__source *s, mien_video_kind kind, const char *where, const void *data,
                              size_t size, const mien_video_opts *opts, mien_error *err)
{
    char device[256];
    mien_status status = MIEN_OK;
    *s =
        (mien__source){ .av = mien__av_get(), .opts = *opts, .live = kind != MIEN_VIDEO_FILE, .last_ms = -1 };
    s->bytes = (mien__video_bytes){ -1, data, (int64_t)size, 0 };
    if (!s->av) {
        int available = 0;
        return mien__fail(err, MIEN_E_VIDEO_CODEC, "cannot read videos: %s", mien_video_describe(&available));
    }
    s->name = public_name(where);
    s->format = s->av->avformat_alloc_context();
    if (!s->name || !s->format) {
        status = mien__nomem(err, sizeof *s->format);
        goto done;
    }
    s->format->interrupt_callback = (AVIOInterruptCB){ interrupted, s };
    s->format->probesize = PROBE_BYTES;
    s->format->format_probesize = 1 << 20;
    s->format->max_analyze_duration = (int64_t)PROBE_S * AV_TIME_BASE;
    s->format->max_streams = MAX_STREAMS;
    s->format->flags |= AVFMT_FLAG_NOBUFFER * s->live;
    if (s->live)
        s->deadline_ms = mien__now_ms() + s->opts.timeout_ms;
    if (kind == MIEN_VIDEO_FILE)
        status = open_bytes(s, where, err);
    else if (kind == MIEN_VIDEO_CAMERA)
        status = device_of(where, device, sizeof device, err);
    else if (strncmp(where, "rtsp://", 7) != 0 && strncmp(where, "rtsps://", 8) != 0)
        status = mien__fail(err, MIEN_E_ARG, "%.80s is not an rtsp:// or rtsps:// address", s->name);
    if (status == MIEN_OK)
        status = open_container(s, kind,
                                kind == MIEN_VIDEO_FILE     ? ""
                                : kind == MIEN_VIDEO_CAMERA ? device
                                                            : where,
                                err);
    if (status == MIEN_OK)
        status = open_stream(s, err);
done:
    if (status != MIEN_OK)
        mien__source_close(s);
    return status;
}

void mien__source_close(mien__source *s)
{
    if (!s->av)
        return;
    s->av->avcodec_free_context(&s->decoder);
    s->av->av_packet_free(&s->packet);
    if (s->format && s->format->iformat)
        s->av->avformat_close_input(&s->format);
    s->av->avformat_free_context(s->format); /* one that was never opened */
    if (s->io)
        s->av->av_free(s->io->buffer);
    s->av->avio_context_free(&s->io);
    if (s->bytes.fd >= 0)
        close(s->bytes.fd);
    mien_free(s->name);
    *s = (mien__source){ .bytes = { .fd = -1 } };
}

#endif
