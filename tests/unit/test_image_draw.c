/* Drawing: colours where they belong, rims on any background, nothing outside, odd arguments survived. */
#include "image_fixtures.h"
#include <math.h>

static mien_image *plain(int width, int height, uint8_t value)
{
    mien_image *image = NULL;
    assert_int_equal(mien_image_new(width, height, NULL, 0, &image, NULL), MIEN_OK);
    memset(mien_image_pixels(image), value, 3 * (size_t)width * (size_t)height);
    return image;
}

static const uint8_t *at(const mien_image *image, int x, int y)
{
    const mien_image_view v = mien_image_view_of(image);
    return v.data + (size_t)y * v.stride_bytes + 3 * (size_t)x;
}

static bool is_color(const uint8_t *p, mien_color c)
{
    return p[0] == (c >> 16 & 255) && p[1] == (c >> 8 & 255) && p[2] == (c & 255);
}

static void box_is_outline_with_rim_only(void **state)
{
    (void)state;
    const mien_color color = 0x3ddc84;
    for (int value = 0; value <= 255; value += 255) {
        mien_image *const image = plain(100, 80, (uint8_t)value);
        mien_image_draw_box(image, 20, 20, 80, 60, 4, color);
        /* Edges run along x = 20, 80 and y = 20, 60, 2 px to both sides. */
        assert_true(is_color(at(image, 50, 19), color));
        assert_true(is_color(at(image, 50, 20), color));
        assert_true(is_color(at(image, 50, 59), color));
        assert_true(is_color(at(image, 19, 40), color));
        assert_true(is_color(at(image, 79, 40), color));
        const uint8_t inside = at(image, 50, 40)[0], outside = at(image, 5, 5)[0];
        assert_int_equal(inside, value);
        assert_int_equal(outside, value);
        assert_true(at(image, 50, 17)[0] < 128); /* the rim is dark on white, too */
        assert_true(at(image, 50, 22)[0] < 128);
        mien_image_free(image);
    }
}

static void box_is_symmetric_and_order_free(void **state)
{
    (void)state;
    mien_image *const a = plain(60, 60, 200), *const b = plain(60, 60, 200);
    mien_image_draw_box(a, 12.5f, 12.5f, 47.5f, 47.5f, 3, 0xff0000);
    mien_image_draw_box(b, 47.5f, 47.5f, 12.5f, 12.5f, 3, 0xff0000);
    assert_memory_equal(mien_image_pixels(a), mien_image_pixels(b), 3 * 60 * 60);
    for (int y = 0; y < 60; y++) {
        for (int x = 0; x < 60; x++) {
            assert_memory_equal(at(a, x, y), at(a, 59 - x, y), 3);
            assert_memory_equal(at(a, x, y), at(a, y, x), 3);
        }
    }
    mien_image_free(a);
    mien_image_free(b);
}

static void box_rows_skipped_equal_rows_drawn(void **state)
{
    (void)state;
    /* A tall box's middle rows take the short way; turned on its side, the same shape takes the long one. */
    mien_image *const tall = plain(64, 200, 90), *const wide = plain(200, 64, 90);
    mien_image_draw_box(tall, 10.25f, 8.75f, 50.5f, 190.125f, 5, 0x4080c0);
    mien_image_draw_box(wide, 8.75f, 10.25f, 190.125f, 50.5f, 5, 0x4080c0);
    for (int y = 0; y < 200; y++) {
        for (int x = 0; x < 64; x++)
            assert_memory_equal(at(tall, x, y), at(wide, y, x), 3);
    }
    mien_image_free(tall);
    mien_image_free(wide);
}

static void dot_covers_its_area(void **state)
{
    (void)state;
    mien_image *const image = plain(60, 60, 0);
    const float radius = 12.3f;
    mien_image_draw_dot(image, 30.2f, 29.7f, radius, 0xff0000);
    double sum = 0;
    for (int i = 0; i < 60 * 60; i++)
        sum += mien_image_pixels(image)[3 * i] / 255.0;
    /* The rim adds a little: it is (16, 16, 16) at three quarters on black. */
    const double area = 3.14159265 * radius * radius, grown = radius * 1.35;
    const double rim = (3.14159265 * grown * grown - area) * 12 / 255;
    assert_true(fabs(sum - area - rim) < 0.02 * area);
    mien_image_free(image);
}

static void shapes_beyond_the_border_and_odd_numbers_are_survived(void **state)
{
    (void)state;
    static const float values[] = {
        -1e30f, -1e7f, -1, 0, 0.5f, 15, 31, 1e7f, 1e30f, NAN, INFINITY, -INFINITY
    };
    mien_image *const image = plain(31, 17, 128);
    const size_t n = MIEN_COUNTOF(values);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            mien_image_draw_box(image, values[i], values[j], values[j], values[i], values[(i + j) % n],
                                0xffffff);
            mien_image_draw_box(image, values[i], 3, values[j], 9, 2, 0xffffff);
            mien_image_draw_dot(image, values[i], values[j], values[(i * j) % n], 0xffffff);
            const mien_status s =
                mien_image_draw_text(image, values[i], values[j], values[(i + 1) % n], 0, "x", NULL);
            assert_true(s == MIEN_OK || s == MIEN_E_ARG || s == MIEN_E_UNSUPPORTED);
        }
    }
    mien_image_draw_box(NULL, 0, 0, 5, 5, 1, 0);
    mien_image_draw_dot(NULL, 0, 0, 5, 0);
    mien_image_free(image);
}

/* Columns and rows that differ from `value`: left, top, right, bottom (exclusive); false when nothing was
 * drawn. */
static bool drawn_extent(const mien_image *image, int value, int ret[4])
{
    const mien_image_view v = mien_image_view_of(image);
    ret[0] = v.width, ret[1] = v.height, ret[2] = ret[3] = 0;
    for (int y = 0; y < v.height; y++) {
        for (int x = 0; x < v.width; x++) {
            if (at(image, x, y)[0] == value && at(image, x, y)[1] == value)
                continue;
            ret[0] = x < ret[0] ? x : ret[0];
            ret[1] = y < ret[1] ? y : ret[1];
            ret[2] = x >= ret[2] ? x + 1 : ret[2];
            ret[3] = y >= ret[3] ? y + 1 : ret[3];
        }
    }
    return ret[2] > ret[0];
}

static void text_lies_where_asked_and_stays_inside(void **state)
{
    (void)state;
    mien_image *const image = plain(300, 200, 250);
    mien_error err = MIEN_ERROR_INIT;
    const mien_status s = mien_image_draw_text(image, 40, 100, 20, 0xffffff, "Ana 0.87", &err);
    if (s == MIEN_E_UNSUPPORTED) {
        mien_image_free(image);
        skip();
    }
    assert_int_equal(s, MIEN_OK);
    int e[4];
    assert_true(drawn_extent(image, 250, e));
    assert_int_equal(e[0], 40);
    assert_int_equal(e[3], 100);
    assert_in_range(e[3] - e[1], 24, 30);
    assert_in_range(e[2] - e[0], 80, 120);
    int bright = 0, dark = 0;
    for (int y = e[1]; y < e[3]; y++) {
        for (int x = e[0]; x < e[2]; x++) {
            bright += at(image, x, y)[0] > 200;
            dark += at(image, x, y)[0] < 80;
        }
    }
    assert_true(bright > 100);      /* letters */
    assert_true(dark > 5 * bright); /* on a plate */
    mien_image_free(image);
    static const float corners[][2] = { { -50, -50 }, { 1000, 1000 }, { -50, 1000 }, { 1000, -50 } };
    for (int k = 0; k < 4; k++) {
        mien_image *const small = plain(120, 60, 250);
        assert_int_equal(
            mien_image_draw_text(small, corners[k][0], corners[k][1], 20, 0xffffff, "edge", NULL), MIEN_OK);
        assert_true(drawn_extent(small, 250, e));
        assert_true(e[2] - e[0] > 40 && e[3] - e[1] > 22); /* all of the plate is there */
        mien_image_free(small);
    }
}

static void text_too_wide_is_set_smaller(void **state)
{
    (void)state;
    mien_image *const image = plain(300, 100, 250);
    const mien_status s =
        mien_image_draw_text(image, 0, 90, 40, 0xffffff, "a line that is far too long at this size", NULL);
    if (s == MIEN_OK) {
        int e[4];
        assert_true(drawn_extent(image, 250, e));
        assert_in_range(e[2] - e[0], 250, 300);
        assert_true(e[3] - e[1] < 25);
    }
    mien_image_free(image);
}

static void text_of_any_bytes_is_survived(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "\xff\xfe",
        "\xc3",
        "\xe2\x82",
        "\xf0\x9f\x98",
        "\xf4\x90\x80\x80",
        "\xed\xa0\x80",
        "a\tb\n",
        "\xc0\x80",
        "漢字 ひらがな",
        "العربية",
        "😀",
        "Ώ ﬁ",
    };
    for (size_t k = 0; k < MIEN_COUNTOF(texts); k++) {
        mien_image *const image = plain(200, 60, 250);
        const mien_status s = mien_image_draw_text(image, 5, 50, 18, 0xffffff, texts[k], NULL);
        assert_true(s == MIEN_OK || s == MIEN_E_UNSUPPORTED);
        int e[4];
        if (s == MIEN_OK)
            assert_int_equal(drawn_extent(image, 250, e),
                             texts[k][0] != '\0'); /* a box for what the face lacks */
        mien_image_free(image);
    }
    mien_image *const tiny = plain(1, 1, 250);
    const mien_status s = mien_image_draw_text(tiny, 0, 0, 18, 0xffffff, "x", NULL);
    assert_true(s == MIEN_OK || s == MIEN_E_UNSUPPORTED);
    mien_image_free(tiny);
    assert_int_equal(mien_image_draw_text(NULL, 0, 0, 18, 0, "x", NULL), MIEN_E_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(box_is_outline_with_rim_only),
        cmocka_unit_test(box_is_symmetric_and_order_free),
        cmocka_unit_test(box_rows_skipped_equal_rows_drawn),
        cmocka_unit_test(dot_covers_its_area),
        cmocka_unit_test(shapes_beyond_the_border_and_odd_numbers_are_survived),
        cmocka_unit_test(text_lies_where_asked_and_stays_inside),
        cmocka_unit_test(text_too_wide_is_set_smaller),
        cmocka_unit_test(text_of_any_bytes_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
