/* Every allocation of ours fails in turn: reading and writing a video, following faces through it. What
 * FFmpeg allocates it takes from the system. */
#include "anomaly.h"
#include <mien/track.h>
#include <mien/video.h>
#include <unistd.h>

static char folder[] = "/tmp/mien-anomaly-video-XXXXXX";
static char path[80];

static mien_status write_video(void *ctx, mien_error *err)
{
    (void)ctx;
    static uint8_t pixels[48 * 64 * 3];
    const mien_image_view v = { pixels, 64, 48, 64 * 3 };
    mien_video_writer *w = NULL;
    mien_status status = mien_video_writer_new(path, "mpeg4", 64, 48, 25, &w, err);
    for (int i = 0; i < 3 && status == MIEN_OK; i++)
        status = mien_video_writer_add(w, v, 40 * i, err);
    if (status == MIEN_OK)
        status = mien_video_writer_finish(w, err);
    mien_video_writer_free(w);
    return status;
}

static mien_status read_video(void *ctx, mien_error *err)
{
    mien_video *v = NULL;
    mien_video_opts opts = MIEN_VIDEO_OPTS_INIT;
    opts.realtime = *(const int *)ctx;
    mien_status status = mien_video_open(MIEN_VIDEO_FILE, path, &opts, &v, err);
    mien_video_frame f = { { (const uint8_t *)path } };
    while (status == MIEN_OK && f.image.data)
        status = mien_video_next(v, &f, err);
    mien_video_free(v);
    return status;
}

static void write_then_read(void **state)
{
    (void)state;
    static const int as_fast_as_it_goes = 0, in_real_time = 1;
    anomaly_run("write a video", write_video, NULL);
    anomaly_run("read a video", read_video, (void *)(uintptr_t)&as_fast_as_it_goes);
    anomaly_run("read a video in real time", read_video, (void *)(uintptr_t)&in_real_time);
}

static mien_status look(void *user, const mien_face *face, float *ret_vec, double *ret_quality,
                        mien_error *err)
{
    (void)user;
    (void)face;
    (void)err;
    memset(ret_vec, 0, 8 * sizeof *ret_vec);
    ret_vec[1] = 1;
    *ret_quality = 1;
    return MIEN_OK;
}

static mien_status follow(void *ctx, mien_error *err)
{
    (void)ctx;
    static const mien_face face = {
        10, 10, 60, 60, 0.9f, { { 25, 25 }, { 45, 25 }, { 35, 36 }, { 27, 46 }, { 43, 46 } }
    };
    mien_tracker *t = NULL;
    mien_track_opts o;
    mien_track_opts_init(&o);
    o.dim = 8;
    o.look = look;
    mien_status status = mien_tracker_new(&o, &t, err);
    for (int i = 0; i < 20 && status == MIEN_OK; i++)
        status = mien_tracker_step(t, 40 * i, &face, 1, err);
    mien_tracker_free(t);
    return status;
}

static void track(void **state)
{
    (void)state;
    anomaly_run("track", follow, NULL);
}

int main(void)
{
    int available = 0;
    (void)mien_video_describe(&available);
    if (!available || !mkdtemp(folder))
        return 77;
    snprintf(path, sizeof path, "%s/a.mp4", folder);
    const struct CMUnitTest tests[] = { cmocka_unit_test(write_then_read), cmocka_unit_test(track) };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    rmdir(folder);
    return failed;
}
