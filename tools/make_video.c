/* Makes a video of pictures, to try `mien watch` with: each is shown for a while, slowly moved, turned and
 * enlarged, as a hand-held camera would. Used by the tests of the command line, with the people of samples/,
 * who do not exist.
 *
 *   tool_make_video OUT.mp4 WIDTH HEIGHT FPS SECONDS SCENE...
 *
 * A scene is a picture, several side by side (a.jpg,b.jpg), or `-`: nothing, a grey wall. SECONDS are those
 * of each scene.
 */
#include <math.h>
#include <mien/mien.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_COLUMNS = 8 };

typedef struct scene {
    mien_image *pictures[MAX_COLUMNS];
    int n;
} scene;

static void die(const mien_error *err)
{
    fprintf(stderr, "make_video: %s\n", err->message);
    exit(1);
}

static void load(scene *s, char *names)
{
    mien_error err = MIEN_ERROR_INIT;
    *s = (scene){ .n = 0 };
    if (!strcmp(names, "-"))
        return;
    for (char *rest = names; rest && s->n < MAX_COLUMNS; s->n++) {
        char *comma = strchr(rest, ',');
        if (comma)
            *comma = '\0';
        if (mien_image_load(rest, NULL, &s->pictures[s->n], &err) != MIEN_OK)
            die(&err);
        rest = comma ? comma + 1 : NULL;
    }
}

/* A picture into its column, `t` from 0 to 1 through the scene. */
static void paint(mien_image *frame, mien_image_view picture, int x0, int width, int height, double t)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_image *part = NULL;
    const double fit = fmin((double)width / picture.width, (double)height / picture.height);
    const double zoom = fit * (1 + 0.12 * t), turn = 0.06 * sin(6.28 * t);
    const double c = zoom * cos(turn), s = zoom * sin(turn), cx = picture.width / 2.0,
                 cy = picture.height / 2.0;
    const double to_x = width / 2.0 + 0.04 * width * sin(9 * t),
                 to_y = height / 2.0 + 0.03 * height * cos(7 * t);
    const mien_affine m = { { c, -s, to_x - c * cx + s * cy, s, c, to_y - s * cx - c * cy } };
    if (mien_warp(picture, &m, width, height, &part, &err) != MIEN_OK)
        die(&err);
    const mien_image_view v = mien_image_view_of(part), f = mien_image_view_of(frame);
    for (int y = 0; y < height; y++)
        memcpy(mien_image_pixels(frame) + (size_t)y * f.stride_bytes + 3 * (size_t)x0,
               v.data + (size_t)y * v.stride_bytes, 3 * (size_t)width);
    mien_image_free(part);
}

int main(int argc, char **argv)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_video_writer *writer = NULL;
    if (argc < 7) {
        fprintf(stderr, "usage: %s OUT.mp4 WIDTH HEIGHT FPS SECONDS SCENE...\n", argv[0]);
        return 2;
    }
    const int width = atoi(argv[2]), height = atoi(argv[3]);
    const double fps = atof(argv[4]);
    const int frames = (int)(atof(argv[5]) * fps + 0.5);
    if (mien_video_writer_new(argv[1], "mpeg4", width, height, fps, &writer, &err) != MIEN_OK)
        die(&err);
    for (int i = 6, k = 0; i < argc; i++) {
        scene s;
        load(&s, argv[i]);
        for (int j = 0; j < frames; j++, k++) {
            mien_image *frame = NULL;
            if (mien_image_new(width, height, NULL, 0, &frame, &err) != MIEN_OK)
                die(&err);
            memset(mien_image_pixels(frame), 110, 3 * (size_t)width * (size_t)height);
            for (int p = 0; p < s.n; p++)
                paint(frame, mien_image_view_of(s.pictures[p]), p * (width / s.n), width / s.n, height,
                      (double)j / frames);
            if (mien_video_writer_add(writer, mien_image_view_of(frame), (int64_t)(k * 1000 / fps + 0.5),
                                      &err) != MIEN_OK)
                die(&err);
            mien_image_free(frame);
        }
        for (int p = 0; p < s.n; p++)
            mien_image_free(s.pictures[p]);
    }
    if (mien_video_writer_finish(writer, &err) != MIEN_OK)
        die(&err);
    mien_video_writer_free(writer);
    return 0;
}
