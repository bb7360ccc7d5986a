/* Videos written and read back, turned, refused, dropped, stopped. Frames are drawn: a square wandering over
 * grey. */
#include "base/base.h"
#include <arpa/inet.h>
#include <mien/video.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

enum { W = 160, H = 96, N = 12, STEP_MS = 40, SIDE = 24 };

static char folder[] = "/tmp/mien-video-XXXXXX";
static char path[64];

typedef struct bytes {
    uint8_t *data;
    size_t size;
} bytes;

/* Frame i: red square at (8 i, 30) on grey, on a dark strip at the top. */
static mien_image *draw(int i)
{
    mien_image *image = NULL;
    assert_int_equal(mien_image_new(W, H, NULL, 0, &image, NULL), MIEN_OK);
    uint8_t *const px = mien_image_pixels(image);
    for (int y = 0; y < H; y++) {
        for (int x = 0; x < W; x++) {
            const bool in = x >= 8 * i && x < 8 * i + SIDE && y >= 30 && y < 30 + SIDE;
            const uint8_t grey = y < 16 ? 20 : 140;
            uint8_t *const p = px + 3 * ((size_t)y * W + (size_t)x);
            p[0] = in ? 220 : grey, p[1] = in ? 30 : grey, p[2] = in ? 30 : grey;
        }
    }
    return image;
}

static void write_video(const char *codec)
{
    mien_video_writer *w = NULL;
    unlink(path);
    assert_int_equal(mien_video_writer_new(path, codec, W, H, 25, &w, NULL), MIEN_OK);
    assert_int_not_equal(access(path, F_OK), 0); /* not seen before it is whole */
    for (int i = 0; i < N; i++) {
        mien_image *const image = draw(i);
        assert_int_equal(mien_video_writer_add(w, mien_image_view_of(image), i * STEP_MS, NULL), MIEN_OK);
        assert_int_equal(mien_video_writer_add(w, mien_image_view_of(image), i * STEP_MS, NULL),
                         MIEN_OK); /* left out */
        mien_image_free(image);
    }
    assert_int_equal(mien_video_writer_finish(w, NULL), MIEN_OK);
    mien_video_writer_free(w);
}

static bytes slurp(void)
{
    bytes b = { NULL, 0 };
    FILE *const f = fopen(path, "rb");
    assert_non_null(f);
    b.data = malloc(1 << 20);
    b.size = fread(b.data, 1, 1 << 20, f);
    fclose(f);
    return b;
}

static void spill(const void *data, size_t size)
{
    FILE *const f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    fclose(f);
}

/* Centre of the red pixels, and their number. */
static int red_centre(mien_image_view v, double *ret_x, double *ret_y)
{
    int n = 0;
    *ret_x = *ret_y = 0;
    for (int y = 0; y < v.height; y++) {
        for (int x = 0; x < v.width; x++) {
            const uint8_t *const p = v.data + (size_t)y * v.stride_bytes + 3 * (size_t)x;
            if (p[0] > 150 && p[1] < 100) {
                *ret_x += x + 0.5, *ret_y += y + 0.5;
                n++;
            }
        }
    }
    *ret_x /= n ? n : 1, *ret_y /= n ? n : 1;
    return n;
}

static void check_codec(const char *codec)
{
    mien_video *v = NULL;
    mien_error err = MIEN_ERROR_INIT;
    mien_video_frame f;
    write_video(codec);
    if (mien_video_open(MIEN_VIDEO_FILE, path, NULL, &v, &err) != MIEN_OK)
        fail_msg("%s", err.message);
    const mien_video_info info = mien_video_info_of(v);
    assert_int_equal(info.width, W);
    assert_int_equal(info.height, H);
    assert_true(info.fps > 24 && info.fps < 28); /* the container's mean of 12 frames in 0.44 s or 0.48 s */
    assert_true(info.duration_ms >= (N - 1) * STEP_MS && info.duration_ms <= (N + 1) * STEP_MS);
    assert_int_equal(info.live, 0);
    assert_string_equal(info.format, "mov");
    for (int i = 0; i < N; i++) {
        double x, y;
        assert_int_equal(mien_video_next(v, &f, NULL), MIEN_OK);
        assert_non_null(f.image.data);
        assert_int_equal(f.image.width, W);
        assert_int_equal(f.image.height, H);
        assert_int_equal(f.media_ms, i * STEP_MS);
        assert_int_equal(f.number, i);
        assert_int_equal(f.dropped, 0);
        const int n = red_centre(f.image, &x, &y);
        assert_in_range(n, SIDE * SIDE * 7 / 10, SIDE * SIDE * 13 / 10);
        assert_true(x > 8 * i + SIDE / 2 - 2 && x < 8 * i + SIDE / 2 + 2 && y > 40 && y < 44);
        const uint8_t *const grey = f.image.data + (size_t)(H - 8) * f.image.stride_bytes + 3 * (W - 8);
        for (int c = 0; c < 3; c++) /* range and matrix as written: 140 stays 140 */
            assert_in_range(grey[c], 134, 146);
    }
    for (int again = 0; again < 2; again++) {
        assert_int_equal(mien_video_next(v, &f, NULL), MIEN_OK);
        assert_null(f.image.data);
    }
    mien_video_free(v);
}

static void video_next_of_each_codec_gives_the_frames(void **state)
{
    (void)state;
    check_codec("mpeg4");
    check_codec("mjpeg");
    check_codec(NULL); /* H.264 where there is an encoder */
}

static void video_open_memory_gives_the_same_bytes_as_the_file(void **state)
{
    (void)state;
    mien_video *a = NULL, *b = NULL;
    write_video("mpeg4");
    const bytes file = slurp();
    assert_int_equal(mien_video_open(MIEN_VIDEO_FILE, path, NULL, &a, NULL), MIEN_OK);
    assert_int_equal(mien_video_open_memory(file.data, file.size, NULL, &b, NULL), MIEN_OK);
    for (int i = 0; i <= N; i++) {
        mien_video_frame x, y;
        assert_int_equal(mien_video_next(a, &x, NULL), MIEN_OK);
        assert_int_equal(mien_video_next(b, &y, NULL), MIEN_OK);
        assert_int_equal(!x.image.data, i == N);
        for (int row = 0; x.image.data && row < H; row++)
            assert_memory_equal(x.image.data + (size_t)row * x.image.stride_bytes,
                                y.image.data + (size_t)row * y.image.stride_bytes, 3 * W);
    }
    mien_video_free(a);
    mien_video_free(b);
    free(file.data);
}

static uint8_t *find_box(const bytes *file, const char *name)
{
    for (size_t i = 0; i + 4 <= file->size; i++) {
        if (!memcmp(file->data + i, name, 4))
            return file->data + i + 4;
    }
    return NULL;
}

static void put_be(uint8_t *to, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* The matrix of tkhd version 0 lies 40 bytes behind the name, the size behind it (ISO/IEC 14496-12, 8.3.2).
 */
static void turn(const bytes *file, int a, int b, int c, int d)
{
    uint8_t *const m = find_box(file, "tkhd") + 40;
    put_be(m, (uint32_t)a << 16), put_be(m + 4, (uint32_t)b << 16);
    put_be(m + 12, (uint32_t)c << 16), put_be(m + 16, (uint32_t)d << 16);
}

static void video_next_of_a_turned_camera_gives_upright_frames(void **state)
{
    (void)state;
    static const struct {
        int a, b, c, d;
        bool tall;
        double x, y; /* where the centre of the first frame's square (12, 42) goes */
    } cases[] = {
        { 1, 0, 0, 1, false, 12, 42 },
        { 0, 1, -1, 0, true, H - 42, 12 },
        { -1, 0, 0, -1, false, W - 12, H - 42 },
        { 0, -1, 1, 0, true, 42, W - 12 },
        { -1, 0, 0, 1, false, W - 12, 42 },
        { 1, 0, 0, -1, false, 12, H - 42 },
        { 0, 1, 1, 0, true, 42, 12 },
        { 0, -1, -1, 0, true, H - 42, W - 12 },
    };
    write_video("mpeg4");
    const bytes file = slurp();
    for (size_t i = 0; i < MIEN_COUNTOF(cases); i++) {
        mien_video *v = NULL;
        mien_video_frame f;
        double x, y;
        turn(&file, cases[i].a, cases[i].b, cases[i].c, cases[i].d);
        assert_int_equal(mien_video_open_memory(file.data, file.size, NULL, &v, NULL), MIEN_OK);
        assert_int_equal(mien_video_info_of(v).width, cases[i].tall ? H : W);
        assert_int_equal(mien_video_next(v, &f, NULL), MIEN_OK);
        assert_int_equal(f.image.width, cases[i].tall ? H : W);
        assert_int_equal(f.image.height, cases[i].tall ? W : H);
        assert_true(red_centre(f.image, &x, &y) > 0);
        if (!(x > cases[i].x - 2 && x < cases[i].x + 2 && y > cases[i].y - 2 && y < cases[i].y + 2))
            fail_msg("case %zu: the square is at %g, %g", i, x, y);
        mien_video_free(v);
    }
    free(file.data);
}

static void video_next_with_fit_side_gives_small_frames(void **state)
{
    (void)state;
    mien_video *v = NULL;
    mien_video_frame f;
    double x, y;
    mien_video_opts opts = MIEN_VIDEO_OPTS_INIT;
    opts.fit_side = W / 2;
    write_video("mpeg4");
    assert_int_equal(mien_video_open(MIEN_VIDEO_FILE, path, &opts, &v, NULL), MIEN_OK);
    assert_int_equal(mien_video_next(v, &f, NULL), MIEN_OK);
    assert_int_equal(f.image.width, W / 2);
    assert_int_equal(f.image.height, H / 2);
    assert_true(red_centre(f.image, &x, &y) > 0 && x > 5 && x < 7 && y > 20 && y < 22);
    mien_video_free(v);
}

/* ---- what is refused ---- */

static mien_status open_status(const mien_video_opts *opts)
{
    mien_video *v = NULL;
    mien_error err = MIEN_ERROR_INIT;
    const mien_status status = mien_video_open(MIEN_VIDEO_FILE, path, opts, &v, &err);
    if (status != MIEN_OK) {
        assert_null(v);
        assert_int_equal(err.status, status);
        assert_true(err.message[0] != '\0');
    }
    mien_video_free(v);
    return status;
}

static void video_open_of_what_is_no_video_returns_its_status(void **state)
{
    (void)state;
    static const char playlist[] =
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n";
    static const char concat[] = "ffconcat version 1.0\nfile '/etc/passwd'\n";
    char text[4096];
    unlink(path);
    assert_int_equal(open_status(NULL), MIEN_E_NOT_FOUND);
    spill("", 0);
    assert_int_equal(open_status(NULL), MIEN_E_VIDEO_FORMAT);
    memset(text, 'x', sizeof text);
    spill(text, sizeof text);
    assert_int_equal(open_status(NULL), MIEN_E_VIDEO_FORMAT);
    spill(playlist, sizeof playlist - 1);
    assert_int_equal(open_status(NULL), MIEN_E_VIDEO_FORMAT);
    spill(concat, sizeof concat - 1);
    assert_int_equal(open_status(NULL), MIEN_E_VIDEO_FORMAT);
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(open_status(NULL), MIEN_E_IO);
    rmdir(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(open_status(NULL), MIEN_E_IO);
    unlink(path);
}

static void video_open_of_a_size_over_the_limit_returns_limit(void **state)
{
    (void)state;
    mien_video_opts opts = MIEN_VIDEO_OPTS_INIT;
    write_video("mjpeg"); /* the container says the size */
    opts.max_side = W - 1;
    assert_int_equal(open_status(&opts), MIEN_E_LIMIT);
    opts.max_side = 8192;
    opts.max_pixels = W * H - 1;
    assert_int_equal(open_status(&opts), MIEN_E_LIMIT);
    opts.max_pixels = W * H;
    assert_int_equal(open_status(&opts), MIEN_OK);
    /* a header that claims 65535 x 65535: the sample entry's size, 24 bytes behind its name
     * (14496-12, 12.1.3) */
    const bytes file = slurp();
    uint8_t *const entry = find_box(&file, "mp4v") ? find_box(&file, "mp4v") : find_box(&file, "jpeg");
    assert_non_null(entry);
    memset(entry + 24, 0xff, 4);
    spill(file.data, file.size);
    assert_int_not_equal(open_status(NULL), MIEN_E_NOMEM);
    free(file.data);
    write_video("mpeg4"); /* only its frames do */
    opts.max_pixels = W * H - 1;
    assert_int_equal(open_status(&opts), MIEN_E_VIDEO_CORRUPT);
}

static void video_next_of_a_cut_file_ends(void **state)
{
    (void)state;
    write_video("mjpeg"); /* the index is at the end: cut it off and nothing is left; cut data and some is */
    const bytes file = slurp();
    for (size_t size = 0; size < file.size; size += file.size / 37 + 1) {
        mien_video *v = NULL;
        if (mien_video_open_memory(file.data, size, NULL, &v, NULL) != MIEN_OK)
            continue;
        mien_video_frame f = { { 0 } };
        int n = 0;
        do
            n++;
        while (mien_video_next(v, &f, NULL) == MIEN_OK && f.image.data);
        assert_true(n <= N + 1);
        mien_video_free(v);
    }
    /* bytes turned inside the frames: whatever comes out, it ends and stays inside memory */
    mien__rng rng;
    mien__rng_seed(&rng, 7);
    for (int round = 0; round < 20; round++) {
        mien_video *v = NULL;
        uint8_t *const copy = malloc(file.size);
        memcpy(copy, file.data, file.size);
        for (int k = 0; k < 30; k++)
            copy[mien__rng_u64(&rng) % file.size] ^= (uint8_t)(1 + mien__rng_u64(&rng) % 255);
        if (mien_video_open_memory(copy, file.size, NULL, &v, NULL) == MIEN_OK) {
            mien_video_frame f = { { 0 } };
            int n = 0;
            while (mien_video_next(v, &f, NULL) == MIEN_OK && f.image.data)
                n++;
            assert_true(n < 5000);
            mien_video_free(v);
        }
        free(copy);
    }
    free(file.data);
}

static void video_open_with_bad_arguments_returns_arg(void **state)
{
    (void)state;
    mien_video *v = NULL;
    mien_video_writer *w = NULL;
    mien_video_opts opts = MIEN_VIDEO_OPTS_INIT;
    opts.max_side = 0;
    assert_int_equal(mien_video_open(MIEN_VIDEO_FILE, NULL, NULL, &v, NULL), MIEN_E_ARG);
    assert_int_equal(mien_video_open((mien_video_kind)9, path, NULL, &v, NULL), MIEN_E_ARG);
    assert_int_equal(mien_video_open(MIEN_VIDEO_FILE, path, &opts, &v, NULL), MIEN_E_ARG);
    assert_int_equal(mien_video_open(MIEN_VIDEO_RTSP, "http://127.0.0.1/", NULL, &v, NULL), MIEN_E_ARG);
    assert_int_equal(mien_video_writer_new(path, NULL, 0, 9, 25, &w, NULL), MIEN_E_ARG);
    assert_int_equal(mien_video_writer_new(path, "h263", 64, 64, 25, &w, NULL), MIEN_E_VIDEO_CODEC);
    assert_int_equal(mien_video_writer_new("/nowhere/a.mp4", NULL, 64, 64, 25, &w, NULL), MIEN_E_IO);
    assert_null(v);
    assert_null(w);
}

static void video_writer_free_before_finish_leaves_no_file(void **state)
{
    (void)state;
    mien_video_writer *w = NULL;
    unlink(path);
    assert_int_equal(mien_video_writer_new(path, "mpeg4", W, H, 25, &w, NULL), MIEN_OK);
    mien_image *const image = draw(0);
    assert_int_equal(mien_video_writer_add(w, mien_image_view_of(image), 0, NULL), MIEN_OK);
    mien_image_free(image);
    mien_video_writer_free(w);
    assert_int_equal(rmdir(folder), 0); /* nothing is left in it */
    assert_int_equal(mkdir(folder, 0700), 0);
}

/* ---- in real time ---- */

static void video_next_in_real_time_drops_and_counts(void **state)
{
    (void)state;
    mien_video *v = NULL;
    mien_video_frame f = { { 0 } };
    mien_video_opts opts = MIEN_VIDEO_OPTS_INIT;
    opts.realtime = 1;
    write_video("mpeg4");
    assert_int_equal(mien_video_open(MIEN_VIDEO_FILE, path, &opts, &v, NULL), MIEN_OK);
    assert_int_equal(mien_video_info_of(v).live, 1);
    uint64_t taken = 0, dropped = 0;
    int64_t last = -1;
    for (;; usleep(5 * STEP_MS * 1000)) { /* five times too slow */
        assert_int_equal(mien_video_next(v, &f, NULL), MIEN_OK);
        if (!f.image.data)
            break;
        assert_true(f.media_ms > last);
        last = f.media_ms;
        dropped = f.dropped;
        taken++;
        assert_true(f.number + 1 >= taken + dropped); /* each frame so far is taken, dropped, or in the box */
    }
    assert_int_equal(f.dropped + taken, N);
    assert_true(f.dropped >= 3);
    assert_int_equal(last, (N - 1) * STEP_MS); /* the newest stays */
    mien_video_free(v);
    assert_int_equal(mien_video_open(MIEN_VIDEO_FILE, path, &opts, &v, NULL), MIEN_OK);
    mien_video_free(v); /* the thread is ended while it waits */
}

static int always(void *user)
{
    return *(const int *)user;
}

static void video_next_when_stopped_returns_interrupted(void **state)
{
    (void)state;
    int stop = 0;
    mien_video *v = NULL;
    mien_video_frame f;
    mien_video_opts opts = MIEN_VIDEO_OPTS_INIT;
    opts.stop = always;
    opts.user = &stop;
    write_video("mpeg4");
    assert_int_equal(mien_video_open(MIEN_VIDEO_FILE, path, &opts, &v, NULL), MIEN_OK);
    stop = 1;
    assert_int_equal(mien_video_next(v, &f, NULL), MIEN_E_INTERRUPTED);
    mien_video_free(v);
    assert_int_equal(open_status(&opts), MIEN_E_INTERRUPTED);
}

static void video_open_of_a_silent_server_times_out(void **state)
{
    (void)state;
    mien_video *v = NULL;
    mien_error err = MIEN_ERROR_INIT;
    mien_video_opts opts = MIEN_VIDEO_OPTS_INIT;
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    const int server = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(server >= 0 && bind(server, (struct sockaddr *)&at, len) == 0 && listen(server, 4) == 0);
    assert_int_equal(getsockname(server, (struct sockaddr *)&at, &len), 0);
    char url[80];
    snprintf(url, sizeof url, "rtsp://user:secret@127.0.0.1:%d/a", ntohs(at.sin_port));
    opts.timeout_ms = 300;
    const double start_ms = mien__now_ms();
    assert_int_equal(mien_video_open(MIEN_VIDEO_RTSP, url, &opts, &v, &err), MIEN_E_IO);
    assert_true(mien__now_ms() - start_ms < 5000);
    assert_null(strstr(err.message, "secret"));
    assert_non_null(strstr(err.message, "no answer within 300 ms"));
    close(server);
}

static void video_open_of_a_missing_camera_says_so(void **state)
{
    (void)state;
    mien_video *v = NULL;
    mien_error err = MIEN_ERROR_INIT;
    const mien_status status = mien_video_open(MIEN_VIDEO_CAMERA, "987", NULL, &v, &err);
    assert_true(status == MIEN_E_NOT_FOUND || status == MIEN_E_VIDEO_CODEC);
    assert_true(mien_video_open(MIEN_VIDEO_CAMERA, "/etc/passwd", NULL, &v, NULL) != MIEN_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(video_next_of_each_codec_gives_the_frames),
        cmocka_unit_test(video_open_memory_gives_the_same_bytes_as_the_file),
        cmocka_unit_test(video_next_of_a_turned_camera_gives_upright_frames),
        cmocka_unit_test(video_next_with_fit_side_gives_small_frames),
        cmocka_unit_test(video_open_of_what_is_no_video_returns_its_status),
        cmocka_unit_test(video_open_of_a_size_over_the_limit_returns_limit),
        cmocka_unit_test(video_next_of_a_cut_file_ends),
        cmocka_unit_test(video_open_with_bad_arguments_returns_arg),
        cmocka_unit_test(video_writer_free_before_finish_leaves_no_file),
        cmocka_unit_test(video_next_in_real_time_drops_and_counts),
        cmocka_unit_test(video_next_when_stopped_returns_interrupted),
        cmocka_unit_test(video_open_of_a_silent_server_times_out),
        cmocka_unit_test(video_open_of_a_missing_camera_says_so),
    };
    int available = 0;
    const char *const what = mien_video_describe(&available);
    if (!available) {
        printf("skipped: %s\n", what);
        return 77;
    }
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/a.mp4", folder);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    rmdir(folder);
    return failed;
}
