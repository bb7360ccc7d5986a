/* WebP: lossless, alpha, animation (first frame), EXIF, damage, limits. Skipped in a build without libwebp.
 */
#include "image_fixtures.h"

#if defined(MIEN_HAVE_WEBP)
#include <webp/encode.h>

/* Encode losslessly; `rgba` rows of 4 bytes a pixel. Exact: colours under alpha 0 are kept, too. */
static blob webp_make(int width, int height, const uint8_t *rgba)
{
    uint8_t *out = NULL;
    const size_t n = WebPEncodeLosslessRGBA(rgba, width, height, 4 * width, &out);
    assert_true(n > 0);
    blob b = { 0 };
    blob_put(&b, out, n);
    WebPFree(out);
    return b;
}

static blob webp_scene(int width, int height, int alpha)
{
    uint8_t *const px = malloc(4 * (size_t)width * (size_t)height);
    assert_non_null(px);
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            uint8_t *const p = px + 4 * ((size_t)y * (size_t)width + (size_t)x);
            scene_pixel(width, height, x, y, p);
            p[3] = (uint8_t)alpha;
        }
    }
    const blob b = webp_make(width, height, px);
    free(px);
    return b;
}

/* Wrap still files into an extended container: flags, canvas, then chunks that the caller appends. */
static blob webp_extended(uint8_t flags, uint32_t width, uint32_t height)
{
    blob b = { 0 };
    blob_put(&b, "RIFF\0\0\0\0WEBPVP8X", 16);
    blob_put_le(&b, 10, 4);
    blob_put_le(&b, flags, 4);
    blob_put_le(&b, width - 1, 3);
    blob_put_le(&b, height - 1, 3);
    return b;
}

static void webp_chunk(blob *b, const char *type, const void *data, size_t n)
{
    blob_put(b, type, 4);
    blob_put_le(b, (uint32_t)n, 4);
    blob_put(b, data, n);
    if (n & 1)
        blob_put(b, "", 1);
}

static void webp_seal(blob *b)
{
    blob n = { 0 };
    blob_put_le(&n, (uint32_t)(b->size - 8), 4);
    memcpy(b->data + 4, n.data, 4);
    blob_free(&n);
}

static blob webp_animation(uint32_t width, uint32_t height, int x, int y, int fw, int fh)
{
    static const uint8_t anim[6] = { 0, 0, 0, 255, 0, 0 };
    blob b = webp_extended(0x02, width, height);
    webp_chunk(&b, "ANIM", anim, sizeof anim);
    for (int k = 0; k < 2; k++) {
        blob still = webp_scene(fw, fh, 255), frame = { 0 };
        if (k == 1) /* another second frame */
            blob_free(&still), still = webp_scene(fw, fh, 100);
        blob_put_le(&frame, (uint32_t)x / 2, 3);
        blob_put_le(&frame, (uint32_t)y / 2, 3);
        blob_put_le(&frame, (uint32_t)fw - 1, 3);
        blob_put_le(&frame, (uint32_t)fh - 1, 3);
        blob_put_le(&frame, 100, 3);
        blob_put_le(&frame, 0, 1);
        blob_put(&frame, still.data + 12, still.size - 12);
        webp_chunk(&b, "ANMF", frame.data, frame.size);
        blob_free(&frame);
        blob_free(&still);
    }
    webp_seal(&b);
    return b;
}

static void webp_lossless_gives_the_scene(void **state)
{
    (void)state;
    static const int sizes[][2] = { { 1, 1 }, { 31, 17 }, { 64, 64 } };
    for (size_t k = 0; k < MIEN_COUNTOF(sizes); k++) {
        blob b = webp_scene(sizes[k][0], sizes[k][1], 255);
        mien_image *const image = decode_expect(&b, NULL, MIEN_OK);
        expect_scene(image, sizes[k][0], sizes[k][1], 0);
        mien_image_free(image);
        blob_free(&b);
    }
}

static void webp_alpha_is_laid_on_white(void **state)
{
    (void)state;
    blob b = webp_scene(31, 17, 102);
    mien_image *const image = decode_expect(&b, NULL, MIEN_OK);
    const uint8_t *const got = mien_image_pixels(image);
    for (int i = 0; i < 31 * 17; i++) {
        uint8_t px[3];
        scene_pixel(31, 17, i % 31, i / 31, px);
        for (int c = 0; c < 3; c++)
            assert_int_equal(got[3 * i + c], (px[c] * 102 + 255 * 153 + 127) / 255);
    }
    mien_image_free(image);
    blob_free(&b);
}

static void webp_animation_gives_the_first_frame(void **state)
{
    (void)state;
    blob b = webp_animation(40, 30, 0, 0, 40, 30);
    mien_image *const image = decode_expect(&b, NULL, MIEN_OK);
    expect_scene(image, 40, 30, 0);
    mien_image_free(image);
    blob_free(&b);
}

static void webp_part_frame_lies_on_white(void **state)
{
    (void)state;
    blob b = webp_animation(40, 30, 10, 4, 20, 16);
    mien_image *const image = decode_expect(&b, NULL, MIEN_OK);
    mien_image *part = NULL;
    assert_int_equal(mien_image_crop(mien_image_view_of(image), 10, 4, 20, 16, &part, NULL), MIEN_OK);
    expect_scene(part, 20, 16, 0);
    assert_int_equal(mien_image_pixels(image)[0], 255);
    assert_int_equal(mien_image_pixels(image)[3 * (4 * 40 + 9)], 255);
    mien_image_free(part);
    mien_image_free(image);
    blob_free(&b);
}

static void webp_exif_turns_the_picture(void **state)
{
    (void)state;
    for (int prefix = 0; prefix < 2; prefix++) {
        blob still = webp_scene(20, 10, 255), tiff = exif_make(false, 8), b = webp_extended(0x08, 20, 10);
        if (prefix)
            blob_insert(&tiff, 0, "Exif\0\0", 6);
        blob_put(&b, still.data + 12, still.size - 12);
        webp_chunk(&b, "EXIF", tiff.data, tiff.size);
        webp_seal(&b);
        mien_image *const image = decode_expect(&b, NULL, MIEN_OK);
        assert_int_equal(mien_image_view_of(image).width, 10);
        uint8_t want[3];
        scene_pixel(20, 10, 19, 0,
                    want); /* a quarter turn against the clock: upper right comes to upper left */
        assert_memory_equal(mien_image_pixels(image), want, 3);
        mien_image_free(image);
        blob_free(&b);
        blob_free(&tiff);
        blob_free(&still);
    }
}

static void webp_cut_anywhere_is_refused(void **state)
{
    (void)state;
    for (int animated = 0; animated < 2; animated++) {
        blob b = animated ? webp_animation(30, 20, 0, 0, 30, 20) : webp_scene(30, 20, 77);
        for (size_t n = 0; n < b.size - 1; n++) {
            blob cut = { 0 };
            mien_image *image = NULL;
            blob_put(&cut, b.data, n);
            const mien_status s = mien_image_decode(cut.data, cut.size, NULL, &image, NULL);
            if (s == MIEN_OK || (n >= 12 && s != MIEN_E_IMAGE_CORRUPT))
                fail_msg("cut at %zu of %zu: %s", n, b.size, mien_status_name(s));
            blob_free(&cut);
        }
        blob_free(&b);
    }
}

static void webp_large_canvas_is_refused_without_memory(void **state)
{
    (void)state;
    blob b = webp_animation(16000000, 3, 0, 0, 2, 2);
    meter m;
    meter_start(&m, 0);
    assert_null(decode_expect(&b, NULL, MIEN_E_LIMIT));
    meter_stop();
    assert_true(m.peak_bytes < 100000);
    blob_free(&b);
    b = webp_scene(64, 64, 255);
    mien_image_opts opts = MIEN_IMAGE_OPTS_INIT;
    opts.max_side = 63;
    assert_null(decode_expect(&b, &opts, MIEN_E_LIMIT));
    blob_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(webp_lossless_gives_the_scene),
        cmocka_unit_test(webp_alpha_is_laid_on_white),
        cmocka_unit_test(webp_animation_gives_the_first_frame),
        cmocka_unit_test(webp_part_frame_lies_on_white),
        cmocka_unit_test(webp_exif_turns_the_picture),
        cmocka_unit_test(webp_cut_anywhere_is_refused),
        cmocka_unit_test(webp_large_canvas_is_refused_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
    return 77;
}

#endif
