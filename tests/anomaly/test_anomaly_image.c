/* Every call on pictures with each of its allocations failing. */
#include "anomaly/anomaly.h"
#include <mien/face.h>
#include <unistd.h>
#if defined(MIEN_HAVE_WEBP)
#include <webp/encode.h>
#endif

typedef struct blob {
    const void *data;
    size_t size;
    mien_image_opts opts;
} blob;

enum { W = 61, H = 47 };
static uint8_t pixels[H][W][3];

static mien_image_view view(void)
{
    return (mien_image_view){ &pixels[0][0][0], W, H, sizeof pixels[0] };
}

static mien_status decode(void *ctx, mien_error *err)
{
    const blob *const b = ctx;
    mien_image *image = NULL;
    const mien_status status = mien_image_decode(b->data, b->size, &b->opts, &image, err);
    assert_true((status == MIEN_OK) == (image != NULL));
    mien_image_free(image);
    return status;
}

static void decode_format(const char *format)
{
    uint8_t *data = NULL;
    size_t size = 0;
    assert_int_equal(mien_image_encode(view(), format, 0, &data, &size, NULL), MIEN_OK);
    blob b = { data, size, MIEN_IMAGE_OPTS_INIT };
    anomaly_run(format, decode, &b);
    b.opts.min_short_side = 10;
    anomaly_run("decode at a scale", decode, &b);
    mien_image_data_free(data);
}

static void decode_jpeg_and_png(void **state)
{
    (void)state;
    decode_format("jpeg");
    decode_format("png");
}

static void decode_webp(void **state)
{
    (void)state;
#if defined(MIEN_HAVE_WEBP)
    uint8_t *data = NULL;
    const size_t size = WebPEncodeRGB(&pixels[0][0][0], W, H, (int)sizeof pixels[0], 80, &data);
    assert_true(size > 0);
    blob b = { data, size, MIEN_IMAGE_OPTS_INIT };
    anomaly_run("webp", decode, &b);
    WebPFree(data);
#else
    skip();
#endif
}

static void decode_in_worker(void **state)
{
    (void)state;
    uint8_t *data = NULL;
    size_t size = 0;
    assert_int_equal(mien_image_encode(view(), "jpeg", 0, &data, &size, NULL), MIEN_OK);
    blob b = { data, size, MIEN_IMAGE_OPTS_INIT };
    b.opts.sandbox = 1;
    mien_image *image = NULL;
    if (mien_image_decode(data, size, &b.opts, &image, NULL) == MIEN_OK) /* else: no sandbox on this system */
        anomaly_run("sandbox", decode, &b);
    mien_image_free(image);
    mien_image_data_free(data);
}

static mien_status encode(void *ctx, mien_error *err)
{
    uint8_t *data = NULL;
    size_t size = 0;
    const mien_status status = mien_image_encode(view(), ctx, 0, &data, &size, err);
    mien_image_data_free(data);
    return status;
}

static void encode_formats(void **state)
{
    (void)state;
    anomaly_run("encode jpeg", encode, "jpeg");
    anomaly_run("encode png", encode, "png");
}

static mien_status save_and_load(void *ctx, mien_error *err)
{
    mien_image *image = NULL;
    mien_status status = mien_image_save(view(), ctx, 0, err);
    if (status == MIEN_OK)
        status = mien_image_load(ctx, NULL, &image, err);
    mien_image_free(image);
    return status;
}

static void save_then_load(void **state)
{
    (void)state;
    char dir[] = "/tmp/mien-anomaly-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/a.png", dir);
    anomaly_run("save and load", save_and_load, path);
    unlink(path);
    assert_int_equal(rmdir(dir), 0); /* no temporary is left */
}

static mien_status make_and_change(void *ctx, mien_error *err)
{
    (void)ctx;
    mien_image *a = NULL, *b = NULL, *c = NULL;
    mien_status status = mien_image_new(W, H, &pixels[0][0][0], sizeof pixels[0], &a, err);
    if (status == MIEN_OK)
        status = mien_image_resize(mien_image_view_of(a), 20, 90, &b, err);
    if (status == MIEN_OK)
        status = mien_image_crop(mien_image_view_of(b), -5, 10, 20, 30, &c, err);
    if (status == MIEN_OK) {
        mien_image_draw_box(c, 1, 1, 12, 20, 2, 0xff0000);
        mien_image_draw_dot(c, 5, 5, 3, 0x00ff00);
    }
    mien_image_free(c);
    mien_image_free(b);
    mien_image_free(a);
    return status;
}

static mien_status draw_text(void *ctx, mien_error *err)
{
    (void)ctx;
    mien_image *a = NULL;
    mien_status status = mien_image_new(200, 60, NULL, 0, &a, err);
    if (status == MIEN_OK)
        status = mien_image_draw_text(a, 5, 50, 20, 0xffffff, "\xc3\x84nne 0.93", err);
    mien_image_free(a);
    return status;
}

static void new_resize_crop_draw(void **state)
{
    (void)state;
    anomaly_run("new, resize, crop, draw", make_and_change, NULL);
    mien_image *probe = NULL;
    assert_int_equal(mien_image_new(200, 60, NULL, 0, &probe, NULL), MIEN_OK);
    const mien_status text = mien_image_draw_text(probe, 5, 50, 20, 0xffffff, "x", NULL);
    mien_image_free(probe);
    if (text == MIEN_OK) /* else: no FreeType or no font here */
        anomaly_run("draw text", draw_text, NULL);
}

static mien_status warp(void *ctx, mien_error *err)
{
    (void)ctx;
    static const float from[5][2] = { { 20, 15 }, { 40, 15 }, { 30, 25 }, { 22, 35 }, { 38, 35 } };
    static const float to[5][2] = { { 38, 51 }, { 73, 51 }, { 56, 71 }, { 41, 92 }, { 70, 92 } };
    mien_affine m;
    mien_image *crop = NULL;
    mien_status status = mien_fit_similarity(from, to, 5, &m, err);
    if (status == MIEN_OK)
        status = mien_warp(view(), &m, 112, 112, &crop, err);
    mien_image_free(crop);
    return status;
}

static void fit_and_warp(void **state)
{
    (void)state;
    anomaly_run("fit and warp", warp, NULL);
}

static int draw_pixels(void **state)
{
    (void)state;
    for (int y = 0; y < H; y++) {
        for (int x = 0; x < W; x++) {
            pixels[y][x][0] = (uint8_t)(4 * x);
            pixels[y][x][1] = (uint8_t)(5 * y);
            pixels[y][x][2] = (uint8_t)(x * y);
        }
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decode_jpeg_and_png), cmocka_unit_test(decode_webp),
        cmocka_unit_test(decode_in_worker),    cmocka_unit_test(encode_formats),
        cmocka_unit_test(save_then_load),      cmocka_unit_test(new_resize_crop_draw),
        cmocka_unit_test(fit_and_warp),
    };
    return cmocka_run_group_tests(tests, draw_pixels, NULL);
}
