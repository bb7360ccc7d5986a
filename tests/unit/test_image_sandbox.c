/* The confined worker: same pixels as without it, deaths cost one picture, forbidden calls kill, memory is
 * bounded. Skipped where the system cannot confine a process. */
#include "image_fixtures.h"
#include "image/codec.h"
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <dlfcn.h>
#if defined(MIEN_HAVE_HEIF)
#include <libheif/heif.h>
#endif

static const mien_image_opts confined_opts = {
    sizeof(mien_image_opts), (size_t)100 << 20, 120000000u, 30000, 64, 0, 1
};

static void expect_same(const mien_image *a, const mien_image *b)
{
    const mien_image_view v = mien_image_view_of(a), w = mien_image_view_of(b);
    assert_int_equal(v.width, w.width);
    assert_int_equal(v.height, w.height);
    assert_int_equal(mien_image_scale(a), mien_image_scale(b));
    assert_memory_equal(v.data, w.data, v.stride_bytes * (size_t)v.height);
}

static void sandbox_gives_the_same_pixels(void **state)
{
    (void)state;
    blob files[3] = { jpeg_scene(300, 200, true), png_scene(64, 33), jpeg_scene(2400, 1800, false) };
    blob tiff = exif_make(true, 7);
    jpeg_add_exif(&files[0], &tiff);
    for (int round = 0; round < 3; round++) {
        for (int k = 0; k < 3; k++) {
            mien_image_opts plain = MIEN_IMAGE_OPTS_INIT, confined = confined_opts;
            plain.min_short_side = confined.min_short_side = round == 2 ? 100 : 0;
            mien_image *const a = decode_expect(&files[k], &plain, MIEN_OK);
            mien_image *const b = decode_expect(&files[k], &confined, MIEN_OK);
            expect_same(a, b);
            mien_image_free(b);
            mien_image_free(a);
        }
    }
    blob_free(&tiff);
    for (int k = 0; k < 3; k++)
        blob_free(&files[k]);
}

static void sandbox_gives_the_same_errors(void **state)
{
    (void)state;
    blob files[4] = { jpeg_scene(64, 48, false), png_scene(64, 33), jpeg_scene(64, 48, false),
                      png_scene(64, 33) };
    files[0].size /= 2;
    files[1].size /= 2;
    jpeg_claim(&files[2], 0xc0, 40000, 40000);
    png_claim(&files[3], 20000, 20000);
    for (int k = 0; k < 4; k++) {
        mien_image *image = NULL;
        mien_error a = MIEN_ERROR_INIT, b = MIEN_ERROR_INIT;
        const mien_status want = mien_image_decode(files[k].data, files[k].size, NULL, &image, &a);
        assert_int_not_equal(want, MIEN_OK);
        assert_int_equal(mien_image_decode(files[k].data, files[k].size, &confined_opts, &image, &b), want);
        assert_string_equal(a.message, b.message);
        assert_null(image);
        blob_free(&files[k]);
    }
}

/* ---- codecs that misbehave: what is in the picture's first byte ---- */

static bool evil_is_mine(const uint8_t *data, size_t size)
{
    (void)data, (void)size;
    return true;
}

static mien_status evil_decode(const uint8_t *data, size_t size, const mien_image_opts *opts,
                               mien__canvas *canvas, mien_error *err)
{
    (void)size, (void)opts;
    switch (data[0]) {
    case 'o':
        return open("/etc/passwd", O_RDONLY) >= 0 ? MIEN_OK : MIEN_E_IO;
    case 's':
        return socket(AF_UNIX, SOCK_STREAM, 0) >= 0 ? MIEN_OK : MIEN_E_IO;
    case 'k':
        return kill(getppid(), 0) == 0 ? MIEN_OK : MIEN_E_IO;
    case 'f':
        return fork() >= 0 ? MIEN_OK : MIEN_E_IO;
    case 'w':
        return write(4, "x", 1) == 1 ? MIEN_OK : MIEN_E_IO;
    case 'a':
        abort();
    case 'x':
        _exit(0);
    case 'm': { /* more memory than any picture needs */
        static void *volatile hold;
        for (int i = 0; i < 64; i++) {
            hold = malloc((size_t)256 << 20);
            if (!hold)
                return mien__fail(err, MIEN_E_NOMEM, "refused after %d blocks", i);
        }
        return MIEN_OK;
    }
    case 'n': /* nonsense */
        canvas->width = 0x7fffffff;
        canvas->height = 0x7fffffff;
        canvas->pixels = NULL;
        return MIEN_OK;
    case 'r':
        canvas->orientation = 99;
        return mien__canvas_open(canvas, 4, 4, err);
    case 't':
        return (mien_status)12345;
    default:
        return mien__canvas_open(canvas, 2, 2, err);
    }
}

static const char *evil_name(void)
{
    return "evil";
}

static const mien__codec evil = { "evil", true, evil_is_mine, evil_decode, NULL, evil_name };

static mien_status run_evil(char what, mien_error *err)
{
    mien_image *image = NULL;
    const uint8_t data[1] = { (uint8_t)what };
    const mien_status s = mien__sandbox_decode(&evil, data, 1, &confined_opts, &image, err);
    mien_image_free(image);
    return s;
}

static void forbidden_calls_cost_one_picture(void **state)
{
    (void)state;
    for (const char *what = "oskfw"; *what; what++) {
        mien_error err = MIEN_ERROR_INIT;
        const mien_status s = run_evil(*what, &err);
        if (s != MIEN_E_IMAGE_CORRUPT || !strstr(err.message, "must not"))
            fail_msg("call '%c': %s %s", *what, mien_status_name(s), err.message);
        assert_int_equal(run_evil('-', NULL), MIEN_OK); /* a fresh worker */
    }
}

static void crashes_and_nonsense_cost_one_picture(void **state)
{
    (void)state;
    for (const char *what = "axnrt"; *what; what++) {
        mien_error err = MIEN_ERROR_INIT;
        const mien_status s = run_evil(*what, &err);
        if (s != MIEN_E_IMAGE_CORRUPT)
            fail_msg("fault '%c': %s %s", *what, mien_status_name(s), err.message);
        assert_int_equal(run_evil('-', NULL), MIEN_OK);
    }
}

static void memory_is_bounded(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* the sanitizer's allocator ends the process instead of returning NULL */
#endif
    mien_error err = MIEN_ERROR_INIT;
    assert_int_equal(run_evil('m', &err), MIEN_E_NOMEM);
    assert_int_equal(run_evil('-', NULL), MIEN_OK);
}

static void no_file_of_the_host_reaches_the_worker(void **state)
{
    (void)state;
    /* A pipe's reading end sees its end as soon as we close ours: no worker made meanwhile holds another. */
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    (void)run_evil('a', NULL);
    assert_int_equal(run_evil('-', NULL), MIEN_OK);
    close(ends[1]);
    char c;
    assert_int_equal(read(ends[0], &c, 1), 0);
    close(ends[0]);
}

/* ---- the host's side ---- */

static void host_fork_gets_its_own_worker(void **state)
{
    (void)state;
    assert_int_equal(run_evil('-', NULL), MIEN_OK);
    const pid_t pid = fork();
    if (pid == 0)
        _exit(run_evil('-', NULL) == MIEN_OK && run_evil('a', NULL) == MIEN_E_IMAGE_CORRUPT ? 0 : 1);
    int how = -1;
    assert_int_equal(waitpid(pid, &how, 0), pid);
    assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    assert_int_equal(run_evil('-', NULL), MIEN_OK);
}

typedef struct crowd {
    blob file;
    const mien_image *want;
    atomic_int bad;
} crowd;

static void *crowd_main(void *arg)
{
    crowd *const c = arg;
    for (int i = 0; i < 20; i++) {
        mien_image *image = NULL;
        if (mien_image_decode(c->file.data, c->file.size, &confined_opts, &image, NULL) != MIEN_OK ||
            memcmp(mien_image_view_of(image).data, mien_image_view_of(c->want).data, 3 * 300 * 200) != 0)
            atomic_fetch_add(&c->bad, 1);
        mien_image_free(image);
    }
    return NULL;
}

static void threads_share_the_workers(void **state)
{
    (void)state;
    crowd c = { .file = jpeg_scene(300, 200, false) };
    mien_image *const want = decode_expect(&c.file, NULL, MIEN_OK);
    c.want = want;
    pthread_t t[6];
    for (int i = 0; i < 6; i++)
        assert_int_equal(pthread_create(&t[i], NULL, crowd_main, &c), 0);
    for (int i = 0; i < 6; i++)
        pthread_join(t[i], NULL);
    assert_int_equal(c.bad, 0);
    mien_image_free(want);
    blob_free(&c.file);
}

static void failing_allocations_leave_a_working_sandbox(void **state)
{
    (void)state;
    blob b = jpeg_scene(64, 48, false);
    for (size_t n = 1; n < 100; n++) {
        meter m;
        mien_image *image = NULL;
        meter_start(&m, n);
        const mien_status s = mien_image_decode(b.data, b.size, &confined_opts, &image, NULL);
        mien_image_free(image);
        meter_stop();
        assert_int_equal(m.live, 0);
        if (s == MIEN_OK) {
            assert_true(n > 1);
            blob_free(&b);
            return;
        }
        assert_int_equal(s, MIEN_E_NOMEM);
    }
    fail_msg("never succeeded");
}

/* ---- HEIC ---- */

#if defined(MIEN_HAVE_HEIF)
static struct heif_error to_blob(struct heif_context *c, const void *data, size_t n, void *user)
{
    (void)c;
    blob_put(user, data, n);
    return (struct heif_error){ heif_error_Ok, heif_suberror_Unspecified, "" };
}

/* Encode the scene by libheif, found at run time; false when it cannot. */
static bool heic_encode(int width, int height, blob *ret)
{
    void *const so = dlopen("libheif.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!so)
        return false;
#define FN(name)                  \
    __typeof__(&(name)) p_##name; \
    *(void **)&p_##name = dlsym(so, #name);
    FN(heif_context_alloc)
    FN(heif_context_get_encoder_for_format)
    FN(heif_encoder_set_lossy_quality)
    FN(heif_image_create)
    FN(heif_image_add_plane)
    FN(heif_image_get_plane)
    FN(heif_context_encode_image)
    FN(heif_context_write)
    FN(heif_image_release)
    FN(heif_encoder_release)
    FN(heif_context_free)
#undef FN
    struct heif_context *const context = p_heif_context_alloc();
    struct heif_encoder *encoder = NULL;
    if (p_heif_context_get_encoder_for_format(context, heif_compression_HEVC, &encoder).code !=
        heif_error_Ok) {
        p_heif_context_free(context);
        return false;
    }
    struct heif_image *image = NULL;
    assert_int_equal(
        p_heif_image_create(width, height, heif_colorspace_RGB, heif_chroma_interleaved_RGB, &image).code,
        heif_error_Ok);
    assert_int_equal(p_heif_image_add_plane(image, heif_channel_interleaved, width, height, 8).code,
                     heif_error_Ok);
    int stride = 0;
    uint8_t *const px = p_heif_image_get_plane(image, heif_channel_interleaved, &stride);
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++)
            scene_pixel(width, height, x, y, px + (size_t)y * (size_t)stride + 3 * (size_t)x);
    }
    (void)p_heif_encoder_set_lossy_quality(encoder, 95);
    assert_int_equal(p_heif_context_encode_image(context, image, encoder, NULL, NULL).code, heif_error_Ok);
    struct heif_writer writer = { 1, to_blob };
    assert_int_equal(p_heif_context_write(context, &writer, ret).code, heif_error_Ok);
    p_heif_image_release(image);
    p_heif_encoder_release(encoder);
    p_heif_context_free(context);
    return true;
}

/* The same in a child, so that libheif never enters this process. */
static bool heic_scene(int width, int height, blob *ret)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        blob b = { 0 };
        const bool good = heic_encode(width, height, &b) && b.size < 60000 &&
                          write(ends[1], b.data, b.size) == (ssize_t)b.size;
        _exit(good ? 0 : 1);
    }
    close(ends[1]);
    char part[4096];
    for (ssize_t n; (n = read(ends[0], part, sizeof part)) > 0;)
        blob_put(ret, part, (size_t)n);
    close(ends[0]);
    int how = -1;
    assert_int_equal(waitpid(pid, &how, 0), pid);
    return WIFEXITED(how) && WEXITSTATUS(how) == 0;
}

static void heic_is_read_in_the_worker(void **state)
{
    (void)state;
#if defined(__SANITIZE_THREAD__)
    skip(); /* the thread sanitizer's runtime makes a forbidden call when a decoder starts a thread */
#endif
    blob b = { 0 };
    if (!mien__sandbox_has(&mien__codec_heif) || !heic_scene(96, 64, &b)) {
        blob_free(&b);
        skip();
    }
    for (int round = 0; round < 2; round++) {
        mien_image *const image = decode_expect(&b, NULL, MIEN_OK);
        expect_scene(image, 96, 64, 60); /* lossy, colour at half resolution across a sharp edge */
        mien_image_free(image);
        mien_image_opts opts = MIEN_IMAGE_OPTS_INIT;
        opts.max_side = 95;
        assert_null(decode_expect(&b, &opts, MIEN_E_LIMIT));
        for (size_t n = 12; n < b.size; n += 97) {
            blob cut = { 0 };
            blob_put(&cut, b.data, n);
            mien_image *out = NULL;
            if (mien_image_decode(cut.data, n, NULL, &out, NULL) == MIEN_OK)
                mien_image_free(out); /* libheif may show what there is */
            blob_free(&cut);
        }
    }
    assert_null(dlopen("libheif.so.1", RTLD_NOW | RTLD_NOLOAD)); /* this process never held it */
    blob_free(&b);
}
#endif

/* Whether some child of this process may run on that processor alone. */
static bool a_child_is_kept_on(int cpu)
{
    DIR *d = opendir("/proc");
    bool found = false;
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[300], line[512] = "";
        snprintf(path, sizeof path, "/proc/%.16s/stat", e->d_name);
        const long pid = strtol(e->d_name, NULL, 10);
        FILE *f = pid > 0 ? fopen(path, "r") : NULL;
        const bool read_it = f && fgets(line, sizeof line, f);
        if (f)
            fclose(f);
        const char *name_end = read_it ? strrchr(line, ')') : NULL; /* ") S PARENT" */
        cpu_set_t may;
        if (name_end && strlen(name_end) > 4 && strtol(name_end + 4, NULL, 10) == getpid() &&
            !sched_getaffinity((pid_t)pid, sizeof may, &may))
            found = found || (CPU_COUNT(&may) == 1 && CPU_ISSET(cpu, &may));
    }
    if (d)
        closedir(d);
    return found;
}

static void worker_follows_its_caller(void **state)
{
    (void)state;
    cpu_set_t before, one;
    blob b = jpeg_scene(64, 48, false);
    int seen = 0;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    for (int cpu = 0; cpu < CPU_SETSIZE && seen < 2; cpu++) {
        if (!CPU_ISSET(cpu, &before))
            continue;
        seen++;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
        mien_image_free(decode_expect(&b, &confined_opts, MIEN_OK));
        assert_true(a_child_is_kept_on(cpu));
    }
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    blob_free(&b);
}

static void worker_is_not_left_behind(void **state)
{
    (void)state;
    /* Deaths so far were waited for: only living workers are children now. */
    int how = 0;
    assert_int_equal(waitpid(-1, &how, WNOHANG), 0);
}

int main(void)
{
    mien_error err = MIEN_ERROR_INIT;
    if (run_evil('-', &err) == MIEN_E_UNSUPPORTED)
        return 77;
    const struct CMUnitTest tests[] = {
#if defined(MIEN_HAVE_HEIF)
        cmocka_unit_test(heic_is_read_in_the_worker),
#endif
        cmocka_unit_test(sandbox_gives_the_same_pixels),
        cmocka_unit_test(sandbox_gives_the_same_errors),
        cmocka_unit_test(forbidden_calls_cost_one_picture),
        cmocka_unit_test(crashes_and_nonsense_cost_one_picture),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(no_file_of_the_host_reaches_the_worker),
        cmocka_unit_test(host_fork_gets_its_own_worker),
        cmocka_unit_test(threads_share_the_workers),
        cmocka_unit_test(failing_allocations_leave_a_working_sandbox),
        cmocka_unit_test(worker_follows_its_caller),
        cmocka_unit_test(worker_is_not_left_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
