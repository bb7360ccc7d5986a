/* JPEG: colour spaces, orientation, scaling, damage, bombs. */
#include "image_fixtures.h"

static void jpeg_baseline_and_progressive_give_the_scene(void **state)
{
    (void)state;
    for (int progressive = 0; progressive < 2; progressive++) {
        blob b = jpeg_scene(53, 37, progressive);
        mien_image *const image = decode_expect(&b, NULL, MIEN_OK);
        expect_scene(image, 53, 37, 4);
        assert_int_equal(mien_image_scale(image), 1);
        mien_image_free(image);
        blob_free(&b);
    }
}

static void jpeg_one_pixel_is_read(void **state)
{
    (void)state;
    blob b = jpeg_scene(1, 1, false);
    mien_image *const image = decode_expect(&b, NULL, MIEN_OK);
    expect_scene(image, 1, 1, 3);
    mien_image_free(image);
    blob_free(&b);
}

static void jpeg_grey_gives_equal_channels(void **state)
{
    (void)state;
    uint8_t px[20 * 10];
    for (int i = 0; i < 200; i++)
        px[i] = (uint8_t)(i + 20);
    blob b = jpeg_make(&(jpeg_spec){ .width = 20, .height = 10, .components = 1 }, px);
    mien_image *const image = decode_expect(&b, NULL, MIEN_OK);
    const uint8_t *const got = mien_image_pixels(image);
    for (int i = 0; i < 200; i++) {
        assert_in_range(got[3 * i], px[i] - 3, px[i] + 3);
        assert_int_equal(got[3 * i], got[3 * i + 1]);
        assert_int_equal(got[3 * i], got[3 * i + 2]);
    }
    mien_image_free(image);
    blob_free(&b);
}

/* Ink values: cyan, magenta, yellow, black in 0..255, 255 = full ink. */
static void check_cmyk(bool ycck, bool no_adobe, bool inverted)
{
    static const int inks[4][4] = { { 0, 0, 0, 0 }, { 255, 0, 0, 0 }, { 40, 80, 160, 60 }, { 0, 0, 0, 255 } };
    for (int k = 0; k < 4; k++) {
        uint8_t px[16 * 16 * 4];
        for (int i = 0; i < 16 * 16 * 4; i++)
            px[i] = (uint8_t)(inverted ? 255 - inks[k][i % 4] : inks[k][i % 4]);
        blob b = jpeg_make(
            &(jpeg_spec){ .width = 16, .height = 16, .components = 4, .ycck = ycck, .no_adobe = no_adobe },
            px);
        mien_image *const image = decode_expect(&b, NULL, MIEN_OK);
        const uint8_t *const got = mien_image_pixels(image);
        for (int c = 0; c < 3; c++) {
            const int want = (255 - inks[k][c]) * (255 - inks[k][3]) / 255;
            if (abs(got[3 * 100 + c] - want) > 4)
                fail_msg("ink %d channel %d: %d, want %d", k, c, got[3 * 100 + c], want);
        }
        mien_image_free(image);
        blob_free(&b);
    }
}

static void jpeg_cmyk_adobe_is_inverted(void **state)
{
    (void)state;
    check_cmyk(false, false, true);
}

static void jpeg_cmyk_plain_is_not_inverted(void **state)
{
    (void)state;
    check_cmyk(false, true, false);
}

static void jpeg_ycck_is_read(void **state)
{
    (void)state;
    check_cmyk(true, false, true);
}

/* Where the scene's pixel (x, y) lies in a file of that orientation, from the standard's words for row 0 /
 * column 0. */
static void stored_place(int o, int w, int h, int x, int y, int *col, int *row)
{
    switch (o) {
    case 1:
        *row = y, *col = x;
        break; /* top, left */
    case 2:
        *row = y, *col = w - 1 - x;
        break; /* top, right */
    case 3:
        *row = h - 1 - y, *col = w - 1 - x;
        break; /* bottom, right */
    case 4:
        *row = h - 1 - y, *col = x;
        break; /* bottom, left */
    case 5:
        *row = x, *col = y;
        break; /* left, top */
    case 6:
        *row = w - 1 - x, *col = y;
        break; /* right, top */
    case 7:
        *row = w - 1 - x, *col = h - 1 - y;
        break; /* right, bottom */
    default:
        *row = x, *col = h - 1 - y;
        break; /* left, bottom */
    }
}

static void jpeg_all_orientations_stand_upright(void **state)
{
    (void)state;
    enum { W = 43, H = 29 };
    for (int o = 1; o <= 8; o++) {
        for (int big = 0; big < 2; big++) {
            uint8_t *const px = malloc(3 * W * H);
            assert_non_null(px);
            const int w = o >= 5 ? H : W, h = o >= 5 ? W : H;
            for (int y = 0; y < H; y++) {
                for (int x = 0; x < W; x++) {
                    int col = 0, row = 0;
                    stored_place(o, W, H, x, y, &col, &row);
                    scene_pixel(W, H, x, y, px + 3 * (row * w + col));
                }
            }
            blob b = jpeg_make(&(jpeg_spec){ .width = w, .height = h, .components = 3 }, px);
            blob tiff = exif_make(big, (unsigned)o);
            jpeg_add_exif(&b, &tiff);
            mien_image *const image = decode_expect(&b, NULL, MIEN_OK);
            expect_scene(image, W, H, 6);
            mien_image_free(image);
            blob_free(&tiff);
            blob_free(&b);
            free(px);
        }
    }
}

static void jpeg_scaled_decode_keeps_the_short_side(void **state)
{
    (void)state;
    static const int cases[][3] = { { 0, 1, 600 },   { 601, 1, 600 }, { 600, 1, 600 },
                                    { 301, 1, 600 }, { 300, 2, 300 }, { 151, 2, 300 },
                                    { 150, 4, 150 }, { 75, 8, 75 },   { 1, 8, 75 } };
    blob b = jpeg_scene(800, 600, false);
    for (size_t k = 0; k < MIEN_COUNTOF(cases); k++) {
        mien_image_opts opts = MIEN_IMAGE_OPTS_INIT;
        opts.min_short_side = cases[k][0];
        mien_image *const image = decode_expect(&b, &opts, MIEN_OK);
        assert_int_equal(mien_image_scale(image), cases[k][1]);
        assert_int_equal(mien_image_view_of(image).height, cases[k][2]);
        expect_scene(image, 800 / cases[k][1], cases[k][2], 6);
        mien_image_free(image);
    }
    blob_free(&b);
}

static void jpeg_cut_anywhere_is_refused(void **state)
{
    (void)state;
    for (int progressive = 0; progressive < 2; progressive++) {
        blob b = jpeg_scene(64, 48, progressive);
        const size_t whole = b.size;
        for (size_t n = 0; n < whole; n += n < 700 ? 1 : 7) {
            blob cut = { 0 }; /* a block of its own, so that reading past the end is seen by the sanitizer */
            blob_put(&cut, b.data, n);
            mien_image *image = NULL;
            const mien_status s = mien_image_decode(cut.data, cut.size, NULL, &image, NULL);
            assert_int_equal(s, n < 3 ? MIEN_E_IMAGE_FORMAT : MIEN_E_IMAGE_CORRUPT);
            assert_null(image);
            blob_free(&cut);
        }
        blob_free(&b);
    }
}

static void jpeg_flipped_bytes_never_crash(void **state)
{
    (void)state;
    blob b = jpeg_scene(40, 30, true);
    mien__rng rng;
    mien__rng_seed(&rng, 7);
    for (int k = 0; k < 3000; k++) {
        const size_t at = mien__rng_u64(&rng) % b.size;
        const uint8_t old = b.data[at];
        b.data[at] = (uint8_t)mien__rng_u64(&rng);
        mien_image *image = NULL;
        mien_image_opts opts = MIEN_IMAGE_OPTS_INIT;
        opts.max_pixels = 1000000;
        if (mien_image_decode(b.data, b.size, &opts, &image, NULL) == MIEN_OK)
            mien_image_free(image);
        b.data[at] = old;
    }
    blob_free(&b);
}

static void jpeg_huge_header_is_refused_without_memory(void **state)
{
    (void)state;
    for (int progressive = 0; progressive < 2; progressive++) {
        blob b = jpeg_scene(16, 16, progressive);
        jpeg_claim(&b, progressive ? 0xc2 : 0xc0, 40000, 40000);
        meter m;
        meter_start(&m, 0);
        mien_error err = MIEN_ERROR_INIT;
        mien_image *image = NULL;
        assert_int_equal(mien_image_decode(b.data, b.size, NULL, &image, &err), MIEN_E_LIMIT);
        meter_stop();
        assert_non_null(strstr(err.message, "40000 x 40000"));
        assert_non_null(strstr(err.message, "30000"));
        assert_true(m.peak_bytes < 100000);
        assert_int_equal(m.live, 0);
        jpeg_claim(&b, progressive ? 0xc2 : 0xc0, 20000, 20000);
        assert_int_equal(mien_image_decode(b.data, b.size, NULL, &image, &err), MIEN_E_LIMIT);
        assert_non_null(strstr(err.message, "120000000"));
        blob_free(&b);
    }
}

static void jpeg_two_thousand_scans_are_refused_fast(void **state)
{
    (void)state;
    blob b = jpeg_scene(256, 256, true), bomb = { 0 };
    jpeg_claim(&b, 0xc2, 6000, 6000);
    const size_t sos = jpeg_find(&b, 0xda);
    const size_t head = 2 + ((size_t)b.data[sos + 2] << 8 | b.data[sos + 3]);
    blob_put(&bomb, b.data, sos);
    for (int i = 0; i < 2000; i++) {
        blob_put(&bomb, b.data + sos, head);
        blob_put(&bomb, "\x00\xff\x00", 3);
    }
    blob_put(&bomb, "\xff\xd9", 2);
    mien_error err = MIEN_ERROR_INIT;
    mien_image *image = NULL;
    const double start = mien__now_ms();
    assert_int_equal(mien_image_decode(bomb.data, bomb.size, NULL, &image, &err), MIEN_E_LIMIT);
    assert_true(mien__now_ms() - start < 300);
    assert_non_null(strstr(err.message, "64"));
    blob_free(&bomb);
    blob_free(&b);
}

static void jpeg_scan_limit_is_settable(void **state)
{
    (void)state;
    blob b = jpeg_scene(40, 40, true); /* libjpeg's simple progression has 10 scans */
    mien_image_opts opts = MIEN_IMAGE_OPTS_INIT;
    opts.max_jpeg_scans = 10;
    mien_image_free(decode_expect(&b, &opts, MIEN_OK));
    opts.max_jpeg_scans = 9;
    assert_null(decode_expect(&b, &opts, MIEN_E_LIMIT));
    blob_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jpeg_baseline_and_progressive_give_the_scene),
        cmocka_unit_test(jpeg_one_pixel_is_read),
        cmocka_unit_test(jpeg_grey_gives_equal_channels),
        cmocka_unit_test(jpeg_cmyk_adobe_is_inverted),
        cmocka_unit_test(jpeg_cmyk_plain_is_not_inverted),
        cmocka_unit_test(jpeg_ycck_is_read),
        cmocka_unit_test(jpeg_all_orientations_stand_upright),
        cmocka_unit_test(jpeg_scaled_decode_keeps_the_short_side),
        cmocka_unit_test(jpeg_cut_anywhere_is_refused),
        cmocka_unit_test(jpeg_flipped_bytes_never_crash),
        cmocka_unit_test(jpeg_huge_header_is_refused_without_memory),
        cmocka_unit_test(jpeg_two_thousand_scans_are_refused_fast),
        cmocka_unit_test(jpeg_scan_limit_is_settable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
