/* The public face of reading, and the thread of a live source.
 *
 * A live source, and a file that is played in real time, is decoded by a thread without pause, whether its
 * frames are wanted or not: the decoder needs every packet, and a camera's queue would only grow old. Between
 * the thread and the caller stands a mailbox for one frame. A frame that finds the box full replaces the
 * older one, and that is all that is ever dropped. Converting to RGB is left to the caller's thread, so that
 * only frames that are taken cost it.
 */
#include "video/source.h"
#include <string.h>

#if MIEN_HAVE_FFMPEG

#include <pthread.h>
#include <stdio.h>
#include <time.h>

enum { WAIT_MS = 50 }; /* how long a wait goes without asking to stop */

/* A frame on its way. */
typedef struct parcel {
    AVFrame *frame;
    int64_t media_ms, wall_ms;
    uint64_t number;
} parcel;

struct mien_video {
    mien__source source;
    mien__converter converter;
    parcel front; /* the caller's */
    bool ended;
    mien_video_opts asked; /* as the caller gave them */
    mien_video_info info;

    bool threaded;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    parcel mail; /* full: a frame that was not taken yet */
    bool full, over, quit;
    uint64_t dropped;
    mien_status status; /* why the thread ended */
    mien_error err;
};

static int64_t wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct timespec after(double ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    const int64_t ns = t.tv_nsec + (int64_t)(ms * 1e6);
    t.tv_sec += (time_t)(ns / 1000000000);
    t.tv_nsec = (long)(ns % 1000000000);
    return t;
}

/* ---- the thread ---- */

/* Wait until a file's frame is due; false when the source is given up meanwhile. */
static bool wait_until(mien_video *v, double due_ms)
{
    pthread_mutex_lock(&v->mutex);
    for (double left; !v->quit && (left = due_ms - mien__now_ms()) > 0;) {
        const struct timespec t = after(left);
        pthread_cond_timedwait(&v->changed, &v->mutex, &t);
    }
    const bool go_on = !v->quit;
    pthread_mutex_unlock(&v->mutex);
    return go_on;
}

static void post(mien_video *v, parcel *p)
{
    pthread_mutex_lock(&v->mutex);
    if (v->full) {
        v->dropped++;
        v->source.av->av_frame_unref(v->mail.frame);
    }
    v->source.av->av_frame_move_ref(v->mail.frame, p->frame);
    v->mail.media_ms = p->media_ms;
    v->mail.wall_ms = p->wall_ms;
    v->mail.number = p->number;
    v->full = true;
    pthread_cond_broadcast(&v->changed);
    pthread_mutex_unlock(&v->mutex);
}

static mien_status read_all(mien_video *v, parcel *p, mien_error *err)
{
    const double start_ms = mien__now_ms();
    bool end = false;
    for (;;) {
        const mien_status status = mien__source_next(&v->source, p->frame, &p->media_ms, &end, err);
        if (status != MIEN_OK || end)
            return status;
        if (v->source.opts.realtime && !wait_until(v, start_ms + (double)p->media_ms))
            return MIEN_OK;
        p->wall_ms = wall_ms();
        p->number = v->source.n_frames - 1;
        post(v, p);
    }
}

static void *thread_main(void *arg)
{
    mien_video *const v = arg;
    mien_error err = MIEN_ERROR_INIT;
    parcel p = { .frame = v->source.av->av_frame_alloc() };
    const mien_status status = p.frame ? read_all(v, &p, &err) : mien__nomem(&err, 0);
    v->source.av->av_frame_free(&p.frame);
    pthread_mutex_lock(&v->mutex);
    v->over = true;
    v->status = status;
    v->err = err;
    pthread_cond_broadcast(&v->changed);
    pthread_mutex_unlock(&v->mutex);
    return NULL;
}

/* Asked by the source wherever it waits. */
static int stop(void *user)
{
    mien_video *const v = user;
    if (v->asked.stop && v->asked.stop(v->asked.user))
        return 1;
    if (!v->threaded)
        return 0;
    pthread_mutex_lock(&v->mutex);
    const bool quit = v->quit;
    pthread_mutex_unlock(&v->mutex);
    return quit;
}

static mien_status start_thread(mien_video *v, mien_error *err)
{
    pthread_condattr_t attr;
    pthread_mutex_init(&v->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&v->changed, &attr);
    pthread_condattr_destroy(&attr);
    v->threaded = true;
    if (pthread_create(&v->thread, NULL, thread_main, v) == 0)
        return MIEN_OK;
    v->threaded = false;
    pthread_cond_destroy(&v->changed);
    pthread_mutex_destroy(&v->mutex);
    return mien__fail(err, MIEN_E_NOMEM, "no thread can be made for a video");
}

static void stop_thread(mien_video *v)
{
    if (!v->threaded)
        return;
    pthread_mutex_lock(&v->mutex);
    v->quit = true;
    pthread_cond_broadcast(&v->changed);
    pthread_mutex_unlock(&v->mutex);
    pthread_join(v->thread, NULL);
    pthread_cond_destroy(&v->changed);
    pthread_mutex_destroy(&v->mutex);
    v->threaded = false;
}

/* ---- public ---- */

static void describe(mien_video *v)
{
    const mien__source *const s = &v->source;
    AVStream *const stream = s->format->streams[s->stream];
    const AVRational rate = s->av->av_guess_frame_rate(s->format, stream, NULL);
    const char *const name = s->format->iformat->name;
    v->info = (mien_video_info){ .live = s->live || s->opts.realtime };
    mien__converted_size(s, stream->codecpar->width, stream->codecpar->height,
                         stream->codecpar->sample_aspect_ratio, &v->info.width, &v->info.height);
    if (rate.num > 0 && rate.den > 0 && av_q2d(rate) <= 1000)
        v->info.fps = av_q2d(rate);
    if (!s->live && s->format->duration > 0)
        v->info.duration_ms = s->format->duration / (AV_TIME_BASE / 1000);
    snprintf(v->info.format, sizeof v->info.format, "%.*s", (int)strcspn(name, ","), name);
    snprintf(v->info.codec, sizeof v->info.codec, "%s", s->av->avcodec_get_name(stream->codecpar->codec_id));
}

static mien_status open_any(mien_video_kind kind, const char *where, const void *data, size_t size,
                            const mien_video_opts *opts, mien_video **ret, mien_error *err)
{
    static const mien_video_opts defaults = MIEN_VIDEO_OPTS_INIT;
    const mien_video_opts o = opts ? *opts : defaults;
    if (o.max_side < 1 || o.max_side > 65535 || o.max_pixels < 1 || o.fit_side < 0 || o.timeout_ms < 1 ||
        o.width < 0 || o.height < 0 || o.fps < 0 || o.threads > 64)
        return mien__fail(err, MIEN_E_ARG, "video: an option is out of its range");
    mien_video *const v = mien_alloc_zero(sizeof *v);
    if (!v)
        return mien__nomem(err, sizeof *v);
    v->asked = o;
    mien_video_opts inner = o;
    inner.stop = stop;
    inner.user = v;
    inner.realtime = o.realtime && kind == MIEN_VIDEO_FILE;
    inner.threads = o.threads ? o.threads : 1;
    mien_status status = mien__source_open(&v->source, kind, where, data, size, &inner, err);
    if (status != MIEN_OK)
        goto done;
    describe(v);
    v->front.frame = v->source.av->av_frame_alloc();
    v->mail.frame = v->source.av->av_frame_alloc();
    if (!v->front.frame || !v->mail.frame)
        status = mien__nomem(err, sizeof *v->front.frame);
    else if (v->info.live)
        status = start_thread(v, err);
done:
    if (status != MIEN_OK)
        mien_video_free(v);
    else
        *ret = v;
    return status;
}

mien_status mien_video_open(mien_video_kind kind, const char *source, const mien_video_opts *opts,
                            mien_video **ret, mien_error *err)
{
    if (!source || !ret || (int)kind < MIEN_VIDEO_FILE || kind > MIEN_VIDEO_RTSP)
        return mien__fail(err, MIEN_E_ARG, "video: no source or place for the result given");
    return open_any(kind, source, NULL, 0, opts, ret, err);
}

mien_status mien_video_open_memory(const void *data, size_t size, const mien_video_opts *opts,
                                   mien_video **ret, mien_error *err)
{
    if (!data || !ret || size > INT64_MAX)
        return mien__fail(err, MIEN_E_ARG, "video: no bytes or place for the result given");
    return open_any(MIEN_VIDEO_FILE, "video in memory", data, size, opts, ret, err);
}

void mien_video_free(mien_video *v)
{
    if (!v)
        return;
    const mien__av *const av = v->source.av;
    stop_thread(v);
    if (av) {
        av->av_frame_free(&v->front.frame);
        av->av_frame_free(&v->mail.frame);
        mien__converter_free(&v->converter, av);
    }
    mien__source_close(&v->source);
    mien_free(v);
}

mien_video_info mien_video_info_of(const mien_video *video)
{
    return video ? video->info : (mien_video_info){ 0 };
}

/* Take the parcel out of the mailbox, waiting for it. *ret_end: there will be none. */
static mien_status take_mail(mien_video *v, uint64_t *ret_dropped, bool *ret_end, mien_error *err)
{
    mien_status status = MIEN_OK;
    pthread_mutex_lock(&v->mutex);
    while (!v->full && !v->over && status == MIEN_OK) {
        const struct timespec t = after(WAIT_MS);
        pthread_cond_timedwait(&v->changed, &v->mutex, &t);
        if (v->asked.stop && v->asked.stop(v->asked.user))
            status = mien__fail(err, MIEN_E_INTERRUPTED, "%s: stopped", v->source.name);
    }
    if (status == MIEN_OK && v->full) {
        v->source.av->av_frame_unref(v->front.frame);
        v->source.av->av_frame_move_ref(v->front.frame, v->mail.frame);
        v->front.media_ms = v->mail.media_ms;
        v->front.wall_ms = v->mail.wall_ms;
        v->front.number = v->mail.number;
        v->full = false;
    } else if (status == MIEN_OK) {
        *ret_end = true;
        status = v->status;
        if (err && status != MIEN_OK)
            *err = v->err;
    }
    *ret_dropped = v->dropped;
    pthread_mutex_unlock(&v->mutex);
    return status;
}

static mien_status take_here(mien_video *v, bool *ret_end, mien_error *err)
{
    const mien_status status =
        mien__source_next(&v->source, v->front.frame, &v->front.media_ms, ret_end, err);
    v->front.wall_ms = wall_ms();
    v->front.number = v->source.n_frames - (v->source.n_frames > 0);
    return status;
}

mien_status mien_video_next(mien_video *video, mien_video_frame *ret_frame, mien_error *err)
{
    if (!video || !ret_frame)
        return mien__fail(err, MIEN_E_ARG, "video: no source or place for the frame given");
    mien_video_frame f = { 0 };
    bool end = video->ended;
    mien_status status = MIEN_OK;
    if (!end)
        status = video->threaded ? take_mail(video, &f.dropped, &end, err) : take_here(video, &end, err);
    if (status == MIEN_OK && !end)
        status = mien__convert(&video->converter, &video->source, video->front.frame, &f.image, err);
    video->ended = end || status != MIEN_OK;
    if (status != MIEN_OK)
        return status;
    f.media_ms = video->front.media_ms;
    f.wall_ms = video->front.wall_ms;
    f.number = video->front.number;
    *ret_frame = f;
    return MIEN_OK;
}

#else

static mien_status none(mien_error *err)
{
    int available = 0;
    return mien__fail(err, MIEN_E_VIDEO_CODEC, "cannot read or write videos: %s",
                      mien_video_describe(&available));
}

mien_status mien_video_open(mien_video_kind kind, const char *source, const mien_video_opts *opts,
                            mien_video **ret, mien_error *err)
{
    (void)kind, (void)source, (void)opts, (void)ret;
    return none(err);
}

mien_status mien_video_open_memory(const void *data, size_t size, const mien_video_opts *opts,
                                   mien_video **ret, mien_error *err)
{
    (void)data, (void)size, (void)opts, (void)ret;
    return none(err);
}

void mien_video_free(mien_video *video)
{
    (void)video;
}

mien_video_info mien_video_info_of(const mien_video *video)
{
    (void)video;
    return (mien_video_info){ 0 };
}

mien_status mien_video_next(mien_video *video, mien_video_frame *ret_frame, mien_error *err)
{
    (void)video, (void)ret_frame;
    return none(err);
}

mien_status mien_video_writer_new(const char *path, const char *codec, int width, int height, double fps,
                                  mien_video_writer **ret, mien_error *err)
{
    (void)path, (void)codec, (void)width, (void)height, (void)fps, (void)ret;
    return none(err);
}

mien_status mien_video_writer_add(mien_video_writer *writer, mien_image_view image, int64_t media_ms,
                                  mien_error *err)
{
    (void)writer, (void)image, (void)media_ms;
    return none(err);
}

mien_status mien_video_writer_finish(mien_video_writer *writer, mien_error *err)
{
    (void)writer;
    return none(err);
}

void mien_video_writer_free(mien_video_writer *writer)
{
    (void)writer;
}

#endif
