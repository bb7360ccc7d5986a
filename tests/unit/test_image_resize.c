/* Resizing, cropping and making pictures: constants stay, edges fall where they should, values follow a
 * double reference, bad arguments are refused. */
#include "base/base.h"
#include <mien/image.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

static mien_image *noise(int width, int height, uint64_t seed)
{
    mien_image *image = NULL;
    assert_int_equal(mien_image_new(width, height, NULL, 0, &image, NULL), MIEN_OK);
    uint8_t *const p = mien_image_pixels(image);
    mien__rng rng;
    mien__rng_seed(&rng, seed);
    for (size_t i = 0; i < 3 * (size_t)width * (size_t)height; i++)
        p[i] = (uint8_t)mien__rng_u64(&rng);
    return image;
}

/* Weight of source index i for output o along one axis, by the definition in resize.c. */
static double weight(int in, int out, int o, int i)
{
    const double ratio = (double)in / out;
    if (ratio > 2) {
        const double lo = fmax(o * ratio, i), hi = fmin((o + 1) * ratio, i + 1);
        return hi > lo ? (hi - lo) / ratio : 0;
    }
    double s = (o + 0.5) * ratio - 0.5;
    s = fmin(fmax(s, 0), in - 1);
    return fmax(0, 1 - fabs(s - i));
}

static double reference(mien_image_view v, int width, int height, int x, int y, int c)
{
    double sum = 0;
    for (int j = 0; j < v.height; j++) {
        const double wy = weight(v.height, height, y, j);
        if (wy == 0)
            continue;
        for (int i = 0; i < v.width; i++)
            sum += wy * weight(v.width, width, x, i) *
                   v.data[(size_t)j * v.stride_bytes + 3 * (size_t)i + (size_t)c];
    }
    return sum;
}

static void resize_all_ratios_follow_the_reference(void **state)
{
    (void)state;
    static const int sizes[][4] = { { 7, 5, 13, 21 }, { 40, 30, 20, 15 }, { 40, 30, 17, 11 },
                                    { 40, 30, 3, 2 }, { 100, 3, 7, 9 },   { 1, 1, 4, 4 },
                                    { 5, 1, 1, 5 },   { 64, 48, 63, 47 }, { 33, 90, 33, 1 },
                                    { 9, 9, 9, 4 },   { 300, 2, 1, 1 } };
    for (size_t k = 0; k < MIEN_COUNTOF(sizes); k++) {
        const int *const s = sizes[k];
        mien_image *const src = noise(s[0], s[1], k + 1);
        mien_image *dst = NULL;
        assert_int_equal(mien_image_resize(mien_image_view_of(src), s[2], s[3], &dst, NULL), MIEN_OK);
        const mien_image_view v = mien_image_view_of(dst);
        assert_int_equal(v.width, s[2]);
        assert_int_equal(v.height, s[3]);
        for (int y = 0; y < s[3]; y++) {
            for (int x = 0; x < s[2]; x++) {
                for (int c = 0; c < 3; c++) {
                    const double want = reference(mien_image_view_of(src), s[2], s[3], x, y, c);
                    const double got = v.data[(size_t)y * v.stride_bytes + 3 * (size_t)x + (size_t)c];
                    if (fabs(got - want) > 0.6)
                        fail_msg("%dx%d -> %dx%d at %d,%d: %g, want %g", s[0], s[1], s[2], s[3], x, y, got,
                                 want);
                }
            }
        }
        mien_image_free(dst);
        mien_image_free(src);
    }
}

static void resize_constant_stays_constant(void **state)
{
    (void)state;
    for (int value = 0; value < 256; value += 5) {
        mien_image *src = NULL, *dst = NULL;
        assert_int_equal(mien_image_new(61, 37, NULL, 0, &src, NULL), MIEN_OK);
        memset(mien_image_pixels(src), value, 3 * 61 * 37);
        const int sizes[][2] = { { 200, 90 }, { 40, 30 }, { 7, 5 }, { 1, 1 } };
        for (size_t k = 0; k < 4; k++) {
            assert_int_equal(mien_image_resize(mien_image_view_of(src), sizes[k][0], sizes[k][1], &dst, NULL),
                             MIEN_OK);
            const uint8_t *const p = mien_image_pixels(dst);
            for (int i = 0; i < 3 * sizes[k][0] * sizes[k][1]; i++)
                assert_int_equal(p[i], value);
            mien_image_free(dst);
        }
        mien_image_free(src);
    }
}

static void resize_reads_strided_views(void **state)
{
    (void)state;
    mien_image *const src = noise(50, 40, 9);
    mien_image *part = NULL, *a = NULL, *b = NULL;
    mien_image_view v = mien_image_view_of(src);
    v.data += 10 * v.stride_bytes + 3 * 7;
    v.width = 20;
    v.height = 11;
    assert_int_equal(mien_image_crop(mien_image_view_of(src), 7, 10, 20, 11, &part, NULL), MIEN_OK);
    assert_int_equal(mien_image_resize(v, 9, 17, &a, NULL), MIEN_OK);
    assert_int_equal(mien_image_resize(mien_image_view_of(part), 9, 17, &b, NULL), MIEN_OK);
    assert_memory_equal(mien_image_pixels(a), mien_image_pixels(b), 3 * 9 * 17);
    mien_image_free(a);
    mien_image_free(b);
    mien_image_free(part);
    mien_image_free(src);
}

static void crop_beyond_the_border_is_clipped(void **state)
{
    (void)state;
    mien_image *const src = noise(10, 8, 3);
    mien_image *dst = NULL;
    assert_int_equal(mien_image_crop(mien_image_view_of(src), -5, 6, 8, 100, &dst, NULL), MIEN_OK);
    const mien_image_view v = mien_image_view_of(dst), s = mien_image_view_of(src);
    assert_int_equal(v.width, 3);
    assert_int_equal(v.height, 2);
    assert_memory_equal(v.data, s.data + 6 * s.stride_bytes, 9);
    assert_memory_equal(v.data + v.stride_bytes, s.data + 7 * s.stride_bytes, 9);
    mien_image_free(dst);
    mien_image_free(src);
}

static void crop_outside_returns_arg(void **state)
{
    (void)state;
    mien_image *const src = noise(10, 8, 3);
    mien_image *dst = NULL;
    const mien_image_view v = mien_image_view_of(src);
    assert_int_equal(mien_image_crop(v, 10, 0, 5, 5, &dst, NULL), MIEN_E_ARG);
    assert_int_equal(mien_image_crop(v, 0, -5, 5, 5, &dst, NULL), MIEN_E_ARG);
    assert_int_equal(mien_image_crop(v, 0, 0, 0, 5, &dst, NULL), MIEN_E_ARG);
    assert_int_equal(mien_image_crop(v, 2147483647, 0, 2147483647, 5, &dst, NULL), MIEN_E_ARG);
    assert_null(dst);
    mien_image_free(src);
}

static void bad_arguments_return_arg(void **state)
{
    (void)state;
    mien_image *image = NULL;
    const uint8_t px[12] = { 0 };
    const mien_image_view none = { NULL, 0, 0, 0 }, narrow = { px, 2, 2, 5 };
    assert_int_equal(mien_image_new(0, 5, NULL, 0, &image, NULL), MIEN_E_ARG);
    assert_int_equal(mien_image_new(5, -1, NULL, 0, &image, NULL), MIEN_E_ARG);
    assert_int_equal(mien_image_new(2, 2, px, 5, &image, NULL), MIEN_E_ARG);
    assert_int_equal(mien_image_resize(none, 3, 3, &image, NULL), MIEN_E_ARG);
    assert_int_equal(mien_image_resize(narrow, 3, 3, &image, NULL), MIEN_E_ARG);
    assert_int_equal(mien_image_resize((mien_image_view){ px, 2, 2, 6 }, 0, 3, &image, NULL), MIEN_E_ARG);
    assert_null(image);
    mien_image_free(NULL);
    assert_null(mien_image_view_of(NULL).data);
    assert_null(mien_image_pixels(NULL));
    assert_int_equal(mien_image_scale(NULL), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resize_all_ratios_follow_the_reference),
        cmocka_unit_test(resize_constant_stays_constant),
        cmocka_unit_test(resize_reads_strided_views),
        cmocka_unit_test(crop_beyond_the_border_is_clipped),
        cmocka_unit_test(crop_outside_returns_arg),
        cmocka_unit_test(bad_arguments_return_arg),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
