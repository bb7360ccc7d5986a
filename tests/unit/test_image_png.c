/* PNG: every colour type, depth and interlacing against a plain reference; damage; bombs. */
#include "image_fixtures.h"

static unsigned sample_at(const uint8_t *row, int depth, size_t i)
{
    if (depth == 16)
        return (unsigned)row[2 * i] << 8 | row[2 * i + 1];
    if (depth == 8)
        return row[i];
    const size_t bit = i * (size_t)depth;
    return (unsigned)row[bit / 8] >> (8 - depth - (int)(bit % 8)) & ((1u << depth) - 1);
}

/* The value as 0..255, rounded. */
static int as_8bit(unsigned v, int depth)
{
    const unsigned most = (1u << depth) - 1;
    return (int)((v * 255u + most / 2) / most);
}

/* What pixel (x, y) must be: colour over white. */
static void reference(const png_spec *s, const uint8_t *row, int x, const png_color_16 *key, int want[3])
{
    int alpha = 255;
    unsigned v[4] = { 0 };
    const size_t i = (size_t)x;
    switch (s->type) {
    case PNG_COLOR_TYPE_GRAY:
    case PNG_COLOR_TYPE_GRAY_ALPHA: {
        const bool with_alpha = s->type == PNG_COLOR_TYPE_GRAY_ALPHA;
        v[0] = sample_at(row, s->depth, with_alpha ? 2 * i : i);
        want[0] = want[1] = want[2] = as_8bit(v[0], s->depth);
        if (with_alpha)
            alpha = as_8bit(sample_at(row, s->depth, 2 * i + 1), s->depth);
        else if (s->trns && v[0] == key->gray)
            alpha = 0;
        break;
    }
    case PNG_COLOR_TYPE_PALETTE: {
        v[0] = sample_at(row, s->depth, i);
        const png_color c = palette_at((int)v[0]);
        want[0] = c.red, want[1] = c.green, want[2] = c.blue;
        if (s->trns && v[0] < 5)
            alpha = palette_alpha_at((int)v[0]);
        break;
    }
    default: {
        const size_t n = s->type == PNG_COLOR_TYPE_RGB_ALPHA ? 4 : 3;
        for (size_t c = 0; c < n; c++)
            v[c] = sample_at(row, s->depth, n * i + c);
        for (int c = 0; c < 3; c++)
            want[c] = as_8bit(v[c], s->depth);
        if (n == 4)
            alpha = as_8bit(v[3], s->depth);
        else if (s->trns && v[0] == key->red && v[1] == key->green && v[2] == key->blue)
            alpha = 0;
    }
    }
    for (int c = 0; c < 3; c++)
        want[c] = (want[c] * alpha + 255 * (255 - alpha) + 127) / 255;
}

static void check_spec(const png_spec *s, uint64_t seed)
{
    const size_t n = png_row_bytes(s);
    uint8_t *const rows = malloc(n * (size_t)s->height);
    assert_non_null(rows);
    mien__rng rng;
    mien__rng_seed(&rng, seed);
    for (size_t i = 0; i < n * (size_t)s->height; i++)
        rows[i] = (uint8_t)mien__rng_u64(&rng);
    png_color_16 key = { 0 };
    key.gray = (png_uint_16)sample_at(rows, s->depth, 0);
    key.red = (png_uint_16)sample_at(rows, s->depth, 0);
    if (s->type == PNG_COLOR_TYPE_RGB) {
        key.green = (png_uint_16)sample_at(rows, s->depth, 1);
        key.blue = (png_uint_16)sample_at(rows, s->depth, 2);
    }
    blob b = png_make(s, rows, &key);
    mien_image *const image = decode_expect(&b, NULL, MIEN_OK);
    const mien_image_view v = mien_image_view_of(image);
    assert_int_equal(v.width, s->width);
    assert_int_equal(v.height, s->height);
    for (int y = 0; y < s->height; y++) {
        for (int x = 0; x < s->width; x++) {
            int want[3];
            reference(s, rows + n * (size_t)y, x, &key, want);
            const uint8_t *const got = v.data + (size_t)y * v.stride_bytes + 3 * (size_t)x;
            for (int c = 0; c < 3; c++) {
                if (abs(got[c] - want[c]) > (s->depth == 16 ? 1 : 0))
                    fail_msg("type %d depth %d interlaced %d tRNS %d: %d,%d channel %d is %d, want %d",
                             s->type, s->depth, s->interlaced, s->trns, x, y, c, got[c], want[c]);
            }
        }
    }
    mien_image_free(image);
    blob_free(&b);
    free(rows);
}

static void png_every_type_matches_the_reference(void **state)
{
    (void)state;
    static const struct {
        int type, depth;
        bool trns;
    } kinds[] = {
        { PNG_COLOR_TYPE_GRAY, 1, true },         { PNG_COLOR_TYPE_GRAY, 2, true },
        { PNG_COLOR_TYPE_GRAY, 4, true },         { PNG_COLOR_TYPE_GRAY, 8, true },
        { PNG_COLOR_TYPE_GRAY, 16, true },        { PNG_COLOR_TYPE_GRAY_ALPHA, 8, false },
        { PNG_COLOR_TYPE_GRAY_ALPHA, 16, false }, { PNG_COLOR_TYPE_PALETTE, 1, true },
        { PNG_COLOR_TYPE_PALETTE, 2, true },      { PNG_COLOR_TYPE_PALETTE, 4, true },
        { PNG_COLOR_TYPE_PALETTE, 8, true },      { PNG_COLOR_TYPE_RGB, 8, true },
        { PNG_COLOR_TYPE_RGB, 16, true },         { PNG_COLOR_TYPE_RGB_ALPHA, 8, false },
        { PNG_COLOR_TYPE_RGB_ALPHA, 16, false },
    };
    static const int sizes[][2] = { { 1, 1 }, { 17, 9 }, { 64, 33 }, { 3, 40 } };
    for (size_t k = 0; k < MIEN_COUNTOF(kinds); k++) {
        for (size_t z = 0; z < MIEN_COUNTOF(sizes); z++) {
            for (int bits = 0; bits < 4; bits++) {
                const png_spec s = { .width = sizes[z][0],
                                     .height = sizes[z][1],
                                     .type = kinds[k].type,
                                     .depth = kinds[k].depth,
                                     .interlaced = bits & 1,
                                     .trns = (bits & 2) && kinds[k].trns };
                check_spec(&s, 1 + k * 100 + z * 10);
            }
        }
    }
}

static void png_exif_chunk_turns_the_picture(void **state)
{
    (void)state;
    blob b = png_scene(20, 10);
    blob tiff = exif_make(true, 6);
    png_add_chunk(&b, PNG_AFTER_IHDR, "eXIf", tiff.data, tiff.size);
    mien_image *const image = decode_expect(&b, NULL, MIEN_OK);
    const mien_image_view v = mien_image_view_of(image);
    assert_int_equal(v.width, 10);
    assert_int_equal(v.height, 20);
    uint8_t want[3];
    scene_pixel(20, 10, 0, 9,
                want); /* a quarter turn clockwise: the lower left corner comes to the upper left */
    assert_memory_equal(v.data, want, 3);
    mien_image_free(image);
    blob_free(&tiff);
    blob_free(&b);
}

static void png_cut_anywhere_is_refused(void **state)
{
    (void)state;
    blob b = png_scene(30, 20);
    for (size_t n = 0; n < b.size; n++) {
        blob cut = { 0 };
        blob_put(&cut, b.data, n);
        mien_image *image = NULL;
        const mien_status s = mien_image_decode(cut.data, cut.size, NULL, &image, NULL);
        assert_int_equal(s, n < 8 ? MIEN_E_IMAGE_FORMAT : MIEN_E_IMAGE_CORRUPT);
        assert_null(image);
        blob_free(&cut);
    }
    blob_free(&b);
}

static void png_flipped_bytes_never_crash(void **state)
{
    (void)state;
    blob b = png_scene(30, 20);
    for (size_t at = 8; at < b.size; at++) {
        mien_image *image = NULL;
        b.data[at] ^= 0x55;
        if (mien_image_decode(b.data, b.size, NULL, &image, NULL) == MIEN_OK)
            mien_image_free(image);
        b.data[at] ^= 0x55;
    }
    blob_free(&b);
}

static void png_huge_header_is_refused_without_memory(void **state)
{
    (void)state;
    static const uint32_t sizes[][2] = {
        { 40000, 40000 }, { 0x7fffffff, 0x7fffffff }, { 1, 0x7fffffff }, { 30001, 1 }, { 20000, 20000 }
    };
    for (size_t k = 0; k < MIEN_COUNTOF(sizes); k++) {
        blob b = png_scene(16, 16);
        png_claim(&b, sizes[k][0], sizes[k][1]);
        meter m;
        meter_start(&m, 0);
        mien_image *image = NULL;
        mien_error err = MIEN_ERROR_INIT;
        const mien_status s = mien_image_decode(b.data, b.size, NULL, &image, &err);
        meter_stop();
        if (s != MIEN_E_LIMIT)
            fail_msg("%u x %u: %s %s", sizes[k][0], sizes[k][1], mien_status_name(s), err.message);
        assert_true(m.peak_bytes < 100000);
        assert_int_equal(m.live, 0);
        blob_free(&b);
    }
}

static void png_header_of_zero_is_corrupt(void **state)
{
    (void)state;
    blob b = png_scene(16, 16);
    png_claim(&b, 0, 16);
    assert_null(decode_expect(&b, NULL, MIEN_E_IMAGE_CORRUPT));
    blob_free(&b);
}

static void png_text_bomb_is_dropped_unread(void **state)
{
    (void)state;
    uint8_t *const px = scene(16, 16);
    blob b = png_make(&(png_spec){ .width = 16,
                                   .height = 16,
                                   .type = PNG_COLOR_TYPE_RGB,
                                   .depth = 8,
                                   .text_bytes = (size_t)30 << 20 },
                      px, NULL);
    assert_true(b.size < 100000);
    meter m;
    meter_start(&m, 0);
    mien_image *const image = decode_expect(&b, NULL, MIEN_OK);
    assert_true(m.peak_bytes < 200000);
    expect_scene(image, 16, 16, 0);
    mien_image_free(image);
    assert_int_equal(m.live, 0);
    meter_stop();
    blob_free(&b);
    free(px);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(png_every_type_matches_the_reference),
        cmocka_unit_test(png_exif_chunk_turns_the_picture),
        cmocka_unit_test(png_cut_anywhere_is_refused),
        cmocka_unit_test(png_flipped_bytes_never_crash),
        cmocka_unit_test(png_huge_header_is_refused_without_memory),
        cmocka_unit_test(png_header_of_zero_is_corrupt),
        cmocka_unit_test(png_text_bomb_is_dropped_unread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
