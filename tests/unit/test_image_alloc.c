/* Every picture call survives each failing allocation: E_NOMEM, nothing written, nothing leaked. */
#include "image_fixtures.h"

static uint8_t *pixels;
static mien_image *picture;
static blob files[6];

typedef mien_status (*attempt)(int variant);

static mien_status try_decode(int variant)
{
    mien_image *image = NULL;
    const mien_status s = mien_image_decode(files[variant].data, files[variant].size, NULL, &image, NULL);
    assert_true((image != NULL) == (s == MIEN_OK));
    mien_image_free(image);
    return s;
}

static mien_status try_new(int variant)
{
    mien_image *image = NULL;
    const mien_status s = mien_image_new(20, 20, variant ? pixels : NULL, 60, &image, NULL);
    assert_true((image != NULL) == (s == MIEN_OK));
    mien_image_free(image);
    return s;
}

static mien_status try_resize(int variant)
{
    mien_image *image = NULL;
    const mien_status s =
        mien_image_resize(mien_image_view_of(picture), variant ? 11 : 90, variant ? 7 : 70, &image, NULL);
    assert_true((image != NULL) == (s == MIEN_OK));
    mien_image_free(image);
    return s;
}

static mien_status try_crop(int variant)
{
    mien_image *image = NULL;
    const mien_status s = mien_image_crop(mien_image_view_of(picture), variant, 2, 9, 9, &image, NULL);
    assert_true((image != NULL) == (s == MIEN_OK));
    mien_image_free(image);
    return s;
}

static mien_status try_encode(int variant)
{
    uint8_t *data = NULL;
    size_t size = 0;
    const mien_status s =
        mien_image_encode(mien_image_view_of(picture), variant ? "png" : "jpeg", 0, &data, &size, NULL);
    assert_true((data != NULL) == (s == MIEN_OK));
    mien_image_data_free(data);
    return s;
}

static mien_status try_text(int variant)
{
    (void)variant;
    return mien_image_draw_text(picture, 3, 30, 12, 0xffffff, "AV \xc3\xa4", NULL);
}

static void each_failing_allocation(attempt fn, int variant)
{
    for (size_t n = 1; n < 5000; n++) {
        meter m;
        meter_start(&m, n);
        const mien_status s = fn(variant);
        meter_stop();
        if (m.live != 0)
            fail_msg("variant %d, allocation %zu: %zu blocks leaked", variant, n, m.live);
        if (s == MIEN_E_UNSUPPORTED || (s == MIEN_OK && m.calls < n))
            return; /* as many as there are have failed */
        if (s != MIEN_OK && s != MIEN_E_NOMEM)
            fail_msg("variant %d, allocation %zu: %s", variant, n, mien_status_name(s));
    }
    fail_msg("never succeeded");
}

static void decode_every_codec(void **state)
{
    (void)state;
    for (int k = 0; k < 6; k++)
        each_failing_allocation(try_decode, k);
}

static void make_resize_crop_encode_draw(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        each_failing_allocation(try_new, k);
        each_failing_allocation(try_resize, k);
        each_failing_allocation(try_crop, k);
        each_failing_allocation(try_encode, k);
        each_failing_allocation(try_text, k);
    }
}

int main(void)
{
    pixels = scene(64, 48);
    if (mien_image_new(64, 48, pixels, 192, &picture, NULL) != MIEN_OK)
        return 1;
    blob tiff = exif_make(true, 6);
    files[0] = jpeg_scene(64, 48, false);
    files[1] = jpeg_scene(64, 48, true);
    jpeg_add_exif(&files[1], &tiff);
    files[2] = jpeg_make(&(jpeg_spec){ .width = 16, .height = 12, .components = 4 }, pixels);
    files[3] = png_scene(64, 48);
    files[4] = png_make(
        &(png_spec){
            .width = 32, .height = 24, .type = PNG_COLOR_TYPE_RGB_ALPHA, .depth = 8, .interlaced = true },
        pixels, NULL);
    files[5] = png_make(
        &(png_spec){ .width = 64, .height = 48, .type = PNG_COLOR_TYPE_PALETTE, .depth = 8, .trns = true },
        pixels, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decode_every_codec),
        cmocka_unit_test(make_resize_crop_encode_draw),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (int k = 0; k < 6; k++)
        blob_free(&files[k]);
    blob_free(&tiff);
    mien_image_free(picture);
    free(pixels);
    return failed;
}
