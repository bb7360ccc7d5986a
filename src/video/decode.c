/* Packets to frames. Damaged packets and frames are skipped, as a player does; only when thousands of packets
 * in a row give no frame is the video given up. A frame's time is its best-effort time stamp from the first
 * frame on, held so that it never falls; a frame without one follows the last by the frame rate.
 */
#include "video/source.h"

#if MIEN_HAVE_FFMPEG

enum { MAX_BARREN = 4000, DEFAULT_FRAME_MS = 40 };
/* Time stamps beyond some three thousand centuries are noise; within, differences cannot overflow. */
static const int64_t max_stamp_ms = (int64_t)1 << 53;

static int64_t media_time(mien__source *s, const AVFrame *frame)
{
    const AVStream *const stream = s->format->streams[s->stream];
    const AVRational ms = { 1, 1000 };
    int64_t t = frame->best_effort_timestamp;
    if (t != AV_NOPTS_VALUE && stream->time_base.num > 0 && stream->time_base.den > 0) {
        t = s->av->av_rescale_q(t, stream->time_base, ms);
        t = t > max_stamp_ms ? max_stamp_ms : t < -max_stamp_ms ? -max_stamp_ms : t;
        if (s->last_ms < 0)
            s->first_ms = t;
        t -= s->first_ms;
    } else {
        const AVRational rate = stream->avg_frame_rate;
        const int step = rate.num > 0 && rate.den > 0 ? (int)(1000.0 / av_q2d(rate) + 0.5) : DEFAULT_FRAME_MS;
        t = s->last_ms < 0 ? 0 : s->last_ms + (step < 1 ? 1 : step > 10000 ? 10000 : step);
    }
    if (t < s->last_ms)
        t = s->last_ms;
    s->last_ms = t < 0 ? 0 : t;
    return s->last_ms;
}

static mien_status read_failed(const mien__source *s, int code, mien_error *err)
{
    char text[AV_ERROR_MAX_STRING_SIZE];
    if (s->timed_out)
        return mien__fail(err, MIEN_E_IO, "%s: no frame within %d ms", s->name, s->opts.timeout_ms);
    if (code == AVERROR_EXIT)
        return mien__fail(err, MIEN_E_INTERRUPTED, "%s: stopped", s->name);
    return mien__fail(err, mien__av_status(code, MIEN_E_IO), "%s: cannot read on: %s", s->name,
                      mien__av_text(code, text, sizeof text));
}

/* Give the decoder its next packet of the stream, or the news that there is none. */
static mien_status feed(mien__source *s, mien_error *err)
{
    int code = 0;
    if (++s->barren > MAX_BARREN)
        return mien__fail(err, MIEN_E_VIDEO_CORRUPT, "%s: %d packets without a usable frame", s->name,
                          MAX_BARREN);
    if (s->opts.stop && s->opts.stop(s->opts.user))
        return mien__fail(err, MIEN_E_INTERRUPTED, "%s: stopped", s->name);
    code = s->av->av_read_frame(s->format, s->packet);
    if (code == AVERROR(EAGAIN))
        return MIEN_OK;
    if (code == AVERROR_EXIT || (code < 0 && s->live))
        return read_failed(s, code, err);
    if (code == AVERROR(ENOMEM))
        return mien__nomem(err, 0);
    if (code < 0) { /* the end of a file, or where its damage begins */
        s->draining = true;
        (void)s->av->avcodec_send_packet(s->decoder, NULL);
        return MIEN_OK;
    }
    if (s->packet->stream_index == s->stream)
        code = s->av->avcodec_send_packet(s->decoder, s->packet);
    s->av->av_packet_unref(s->packet);
    return code == AVERROR(ENOMEM) ? mien__nomem(err, 0) : MIEN_OK;
}

mien_status mien__source_next(mien__source *s, AVFrame *frame, int64_t *ret_media_ms, bool *ret_end,
                              mien_error *err)
{
    *ret_end = false;
    if (s->live)
        s->deadline_ms = mien__now_ms() + s->opts.timeout_ms;
    for (;;) {
        const int code = s->av->avcodec_receive_frame(s->decoder, frame);
        if (code == 0)
            break;
        if (code == AVERROR(ENOMEM))
            return mien__nomem(err, 0);
        if (s->draining && (code == AVERROR_EOF || ++s->barren > MAX_BARREN)) {
            *ret_end = true;
            return MIEN_OK;
        }
        if (s->draining)
            continue;
        const mien_status status = feed(s, err);
        if (status != MIEN_OK)
            return status;
    }
    s->barren = 0;
    s->n_frames++;
    *ret_media_ms = media_time(s, frame);
    const mien_status status = mien__source_check_size(s, frame->width, frame->height, err);
    if (status != MIEN_OK)
        s->av->av_frame_unref(frame);
    return status;
}

#endif
