/* Frames with boxes and names drawn in: an MP4, or a folder of JPEG files numbered as the frames are. */
#include "watch.h"
#include <stdlib.h>
#include <string.h>

int watch_draw_open(watch_draw *draw, const char *path, double fps)
{
    *draw = (watch_draw){ .path = path, .fps = fps > 0 ? fps : 25 };
    if (!path || cli_has_extension(path, ".mp4"))
        return CLI_YES;
    draw->folder = true;
    return cli_make_dirs(path);
}

static void draw_track(mien_image *image, watch_people *people, const mien_track *k)
{
    static const mien_color known = 0x40ff60, unknown = 0xff9040, undecided = 0xd0d0d0;
    const char *const name = watch_people_name(people, k->person);
    char text[96];
    if (k->state == MIEN_TRACK_KNOWN)
        snprintf(text, sizeof text, "%.80s %.2f", name ? name : "?", k->similarity);
    else
        snprintf(text, sizeof text, k->state == MIEN_TRACK_UNKNOWN && people->n ? "unknown" : "%d",
                 (int)k->id);
    cli_draw_face(image, &k->face,
                  k->state == MIEN_TRACK_KNOWN                  ? known
                  : k->state == MIEN_TRACK_UNKNOWN && people->n ? unknown
                                                                : undecided,
                  text);
}

mien_status watch_draw_frame(watch_draw *draw, watch_people *people, const mien_video_frame *frame,
                             const mien_track *tracks, size_t n, mien_error *err)
{
    mien_image *image = NULL;
    if (!draw->path)
        return MIEN_OK;
    const mien_image_view v = frame->image;
    mien_status st = mien_image_new(v.width, v.height, v.data, v.stride_bytes, &image, err);
    if (st != MIEN_OK)
        return st;
    for (size_t i = 0; i < n; i++)
        draw_track(image, people, &tracks[i]);
    if (draw->folder) {
        char *name = cli_format("%06llu.jpg", (unsigned long long)frame->number);
        char *path = cli_join(draw->path, name);
        st = mien_image_save(mien_image_view_of(image), path, 0, err);
        free(path);
        free(name);
    } else {
        if (!draw->writer)
            st = mien_video_writer_new(draw->path, NULL, v.width, v.height, draw->fps, &draw->writer, err);
        if (st == MIEN_OK)
            st = mien_video_writer_add(draw->writer, mien_image_view_of(image), frame->media_ms, err);
    }
    mien_image_free(image);
    return st;
}

int watch_draw_close(watch_draw *draw, bool keep)
{
    mien_error err = MIEN_ERROR_INIT;
    int rc = CLI_YES;
    if (draw->writer && keep && mien_video_writer_finish(draw->writer, &err) != MIEN_OK) {
        cli_fail_path(draw->path, &err);
        rc = CLI_INTERNAL;
    }
    mien_video_writer_free(draw->writer);
    draw->writer = NULL;
    return rc;
}
