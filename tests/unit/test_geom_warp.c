/* Warping and resampling against slow definitions in double. */
#include "geom/geom.h"
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

enum { W = 37, H = 29 };

static void noise(uint8_t *p, size_t n, uint64_t seed)
{
    mien__rng rng;
    mien__rng_seed(&rng, seed);
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)mien__rng_u64(&rng);
}

static double pixel(mien_image_view v, long x, long y, int c)
{
    if (x < 0 || y < 0 || x >= v.width || y >= v.height)
        return 0;
    return v.data[(size_t)y * v.stride_bytes + (size_t)x * 3 + (size_t)c];
}

static double bilinear(mien_image_view v, double u, double w, int c)
{
    const double x = floor(u), y = floor(w), fx = u - x, fy = w - y;
    return pixel(v, (long)x, (long)y, c) * (1 - fx) * (1 - fy) +
           pixel(v, (long)x + 1, (long)y, c) * fx * (1 - fy) +
           pixel(v, (long)x, (long)y + 1, c) * (1 - fx) * fy +
           pixel(v, (long)x + 1, (long)y + 1, c) * fx * fy;
}

static void warp_random_maps_match_definition(void **state)
{
    (void)state;
    uint8_t px[H * (W * 3 + 5)], out[23 * 19 * 3];
    noise(px, sizeof px, 5);
    const mien_image_view v = { px, W, H, W * 3 + 5 };
    mien__rng rng;
    mien__rng_seed(&rng, 17);
    for (int round = 0; round < 60; round++) {
        const double angle = 6.28 * mien__rng_unit(&rng), s = 0.3 + 2 * mien__rng_unit(&rng);
        const mien_affine m = { { s * cos(angle), -s * sin(angle), 30 * mien__rng_unit(&rng) - 10,
                                  s * sin(angle), s * cos(angle), 30 * mien__rng_unit(&rng) - 10 } };
        mien_affine inv;
        assert_true(mien__affine_invert(&m, &inv));
        assert_int_equal(mien__warp_into(v, &m, 1, 23, 19, out, 23 * 3, NULL), MIEN_OK);
        for (int y = 0; y < 19; y++) {
            for (int x = 0; x < 23; x++) {
                double u, w;
                mien__affine_apply(&inv, x + 0.5, y + 0.5, &u, &w);
                for (int c = 0; c < 3; c++) {
                    const double want = bilinear(v, u - 0.5, w - 0.5, c);
                    /* weights are cut to 10 bits: at most 255 * 2 * 2^-10 off, and half a level of rounding
                     */
                    if (!(fabs(want - out[(y * 23 + x) * 3 + c]) <= 1.05))
                        fail_msg("round %d (%d, %d): got %d, want %f", round, x, y, out[(y * 23 + x) * 3 + c],
                                 want);
                }
            }
        }
    }
}

static void warp_identity_copies(void **state)
{
    (void)state;
    uint8_t px[H * W * 3], out[H * W * 3];
    noise(px, sizeof px, 6);
    const mien_image_view v = { px, W, H, W * 3 };
    const mien_affine id = { { 1, 0, 0, 0, 1, 0 } };
    assert_int_equal(mien__warp_into(v, &id, 1, W, H, out, W * 3, NULL), MIEN_OK);
    assert_memory_equal(px, out, sizeof px);
}

static void warp_outside_is_black(void **state)
{
    (void)state;
    uint8_t px[4 * 4 * 3], out[8 * 8 * 3];
    memset(px, 255, sizeof px);
    memset(out, 7, sizeof out);
    const mien_image_view v = { px, 4, 4, 12 };
    const mien_affine shift = { { 1, 0, 2, 0, 1, 2 } };
    assert_int_equal(mien__warp_into(v, &shift, 1, 8, 8, out, 24, NULL), MIEN_OK);
    for (int y = 0; y < 8; y++)
        for (int x = 0; x < 8; x++)
            assert_int_equal(out[(y * 8 + x) * 3], x >= 2 && x < 6 && y >= 2 && y < 6 ? 255 : 0);
}

static void warp_many_taps_average_the_footprint(void **state)
{
    (void)state;
    uint8_t px[64 * 64 * 3], out[8 * 8 * 3]; /* single-pixel checkers vanish when shrunk */
    for (int i = 0; i < 64 * 64; i++)
        memset(px + 3 * i, ((i % 64) ^ (i / 64)) & 1 ? 255 : 0, 3);
    const mien_image_view v = { px, 64, 64, 192 };
    const mien_affine eighth = { { 0.125, 0, 0.03, 0, 0.125, 0.01 } };
    assert_int_equal(mien__warp_into(v, &eighth, 4, 8, 8, out, 24, NULL), MIEN_OK);
    for (int y = 1; y < 7; y++)
        for (int x = 1; x < 7; x++)
            assert_in_range(out[(y * 8 + x) * 3], 100, 155);
}

static void warp_wild_maps_are_refused(void **state)
{
    (void)state;
    uint8_t px[12] = { 0 }, out[12];
    const mien_image_view v = { px, 2, 2, 6 };
    const mien_affine flat = { { 1, 1, 0, 1, 1, 0 } }, far = { { 1e-12, 0, 0, 0, 1e-12, 0 } };
    const mien_affine nan_map = { { NAN, 0, 0, 0, 1, 0 } };
    assert_int_equal(mien__warp_into(v, &flat, 1, 2, 2, out, 6, NULL), MIEN_E_ARG);
    assert_int_equal(mien__warp_into(v, &far, 1, 2, 2, out, 6, NULL), MIEN_E_ARG);
    assert_int_equal(mien__warp_into(v, &nan_map, 1, 2, 2, out, 6, NULL), MIEN_E_ARG);
    mien_image *img = NULL;
    assert_int_equal(mien_warp(v, &flat, 2, 2, &img, NULL), MIEN_E_ARG);
    assert_int_equal(mien_warp(v, NULL, 2, 2, &img, NULL), MIEN_E_ARG);
    assert_int_equal(mien_warp((mien_image_view){ 0 }, &flat, 2, 2, &img, NULL), MIEN_E_ARG);
    assert_null(img);
}

/* ---- resampling ---- */

typedef struct sink {
    uint8_t *px;
    int width;
} sink;

static void store(void *ctx, int y, const uint8_t *row, int width)
{
    const sink *s = ctx;
    memcpy(s->px + (size_t)y * (size_t)s->width * 3, row, (size_t)width * 3);
}

static double triangle_weight_sum(mien_image_view v, double cx, double cy, double rx, double ry, int c)
{
    double sum = 0, total = 0;
    for (int y = 0; y < v.height; y++) {
        for (int x = 0; x < v.width; x++) {
            const double wx = 1 - fabs(x + 0.5 - cx) / rx, wy = 1 - fabs(y + 0.5 - cy) / ry;
            if (wx > 0 && wy > 0) {
                sum += wx * wy * pixel(v, x, y, c);
                total += wx * wy;
            }
        }
    }
    return sum / total;
}

static void resample_sizes_match_definition(void **state)
{
    (void)state;
    uint8_t px[H * W * 3], row[100 * 3];
    noise(px, sizeof px, 7);
    const mien_image_view v = { px, W, H, W * 3 };
    static const int sizes[][2] = { { 1, 1 },   { 5, 29 },  { 37, 3 },  { 18, 14 }, { 36, 28 },
                                    { 74, 58 }, { 38, 30 }, { 100, 1 }, { 2, 100 }, { 12, 7 } };
    mien__resampler r = { 0 };
    for (size_t k = 0; k < MIEN_COUNTOF(sizes); k++) {
        const int w = sizes[k][0], h = sizes[k][1];
        uint8_t *out = mien_alloc((size_t)w * (size_t)h * 3);
        sink s = { out, w };
        const mien__resize_part part = { w, h, 0, 0, w, h };
        assert_int_equal(mien__resample_rows(&r, v, &part, row, store, &s, NULL), MIEN_OK);
        const double fx = (double)W / w, fy = (double)H / h;
        for (int y = 0; y < h; y++) {
            for (int x = 0; x < w; x++) {
                const double want = triangle_weight_sum(v, (x + 0.5) * fx, (y + 0.5) * fy, fx > 1 ? fx : 1,
                                                        fy > 1 ? fy : 1, 1);
                /* two roundings to a level */
                if (!(fabs(want - out[(y * w + x) * 3 + 1]) <= 1.1))
                    fail_msg("%d x %d at (%d, %d): got %d, want %f", w, h, x, y, out[(y * w + x) * 3 + 1],
                             want);
            }
        }
        mien_free(out);
    }
    mien__resampler_free(&r);
}

static void resample_part_equals_cut_of_whole(void **state)
{
    (void)state;
    uint8_t px[H * W * 3], row[80 * 3], whole[20 * 16 * 3], part[7 * 9 * 3];
    noise(px, sizeof px, 8);
    const mien_image_view v = { px, W, H, W * 3 };
    mien__resampler r = { 0 };
    sink s = { whole, 20 };
    assert_int_equal(
        mien__resample_rows(&r, v, &(mien__resize_part){ 20, 16, 0, 0, 20, 16 }, row, store, &s, NULL),
        MIEN_OK);
    s = (sink){ part, 7 };
    assert_int_equal(
        mien__resample_rows(&r, v, &(mien__resize_part){ 20, 16, 11, 5, 7, 9 }, row, store, &s, NULL),
        MIEN_OK);
    for (int y = 0; y < 9; y++)
        assert_memory_equal(part + y * 21, whole + ((y + 5) * 20 + 11) * 3, 21);
    const uint64_t before = mien__alloc_count();
    assert_int_equal(
        mien__resample_rows(&r, v, &(mien__resize_part){ 20, 16, 11, 5, 7, 9 }, row, store, &s, NULL),
        MIEN_OK);
    assert_int_equal(mien__alloc_count(), before);
    assert_int_equal(
        mien__resample_rows(&r, v, &(mien__resize_part){ 20, 16, 14, 5, 7, 9 }, row, store, &s, NULL),
        MIEN_E_ARG);
    mien__resampler_free(&r);
}

static void planes_swap_and_normalise(void **state)
{
    (void)state;
    const uint8_t row[6] = { 10, 20, 30, 40, 50, 60 };
    const float mean[3] = { 1, 2, 3 }, scale[3] = { 0.5f, 1, 2 };
    float a[2], b[2], c[2];
    mien__row_to_planes(row, 2, false, mean, scale, a, b, c);
    assert_true(a[0] == 4.5f && b[0] == 18 && c[0] == 54 && a[1] == 19.5f);
    mien__row_to_planes(row, 2, true, mean, scale, a, b, c);
    assert_true(a[0] == 14.5f && b[0] == 18 && c[0] == 14 && c[1] == 74);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(warp_random_maps_match_definition),
        cmocka_unit_test(warp_identity_copies),
        cmocka_unit_test(warp_outside_is_black),
        cmocka_unit_test(warp_many_taps_average_the_footprint),
        cmocka_unit_test(warp_wild_maps_are_refused),
        cmocka_unit_test(resample_sizes_match_definition),
        cmocka_unit_test(resample_part_equals_cut_of_whole),
        cmocka_unit_test(planes_swap_and_normalise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
