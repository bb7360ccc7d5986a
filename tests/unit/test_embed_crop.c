/* Crops and their planes: template and margin cuts, standardisation, mirror. */
#include "embed/embed.h"
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

static const mien_model_info arc = {
    .name = "test",
    .task = MIEN_TASK_EMBED,
    .input_width = 112,
    .input_height = 112,
    .crop = MIEN_CROP_SIMILARITY,
    .mean = { 1, 2, 3 },
    .scale = { 1, 1, 1 },
    .landmarks = { { 38.2946f, 51.6963f },
                   { 73.5318f, 51.5014f },
                   { 56.0252f, 71.7366f },
                   { 41.5493f, 92.3655f },
                   { 70.7299f, 92.2041f } },
};

static uint8_t picture[200 * 200 * 3];
static const mien_image_view view = { picture, 200, 200, 600 };

/* A smooth picture whose colour tells the place: red = x, green = y. */
static void paint(void)
{
    for (int y = 0; y < 200; y++)
        for (int x = 0; x < 200; x++) {
            uint8_t *p = picture + (y * 200 + x) * 3;
            p[0] = (uint8_t)x;
            p[1] = (uint8_t)y;
            p[2] = 77;
        }
}

static void crop_template_puts_landmarks_in_place(void **state)
{
    (void)state;
    paint();
    mien_face f = { 0 };
    for (int i = 0; i < 5; i++) { /* the template turned by 90 degrees, 1.25 times as large, moved */
        f.landmarks[i][0] = 160 - 1.25f * arc.landmarks[i][1];
        f.landmarks[i][1] = 30 + 1.25f * arc.landmarks[i][0];
    }
    uint8_t crop[112 * 112 * 3];
    mien__resampler r = { 0 };
    assert_int_equal(mien__crop_face(&arc, view, &f, &r, crop, 112, 112, NULL), MIEN_OK);
    for (int i = 0; i < 5; i++) {
        const int x = (int)arc.landmarks[i][0], y = (int)arc.landmarks[i][1];
        const uint8_t *p = crop + (y * 112 + x) * 3;
        const double want_x = 160 - 1.25 * (y + 0.5) - 0.5, want_y = 30 + 1.25 * (x + 0.5) - 0.5;
        assert_true(fabs(p[0] - want_x) <= 1 && fabs(p[1] - want_y) <= 1);
        assert_int_equal(p[2], 77);
    }
    mien__resampler_free(&r);
}

static void crop_margin_takes_the_grown_box(void **state)
{
    (void)state;
    paint();
    mien_model_info info = arc;
    info.crop = MIEN_CROP_MARGIN;
    info.crop_margin = 0.5f;
    const mien_face f = { .x0 = 60, .y0 = 80, .x1 = 100, .y1 = 100 }; /* longer side 40: 10 px on each side */
    uint8_t crop[60 * 40 * 3];
    mien__resampler r = { 0 };
    assert_int_equal(mien__crop_face(&info, view, &f, &r, crop, 60, 40, NULL), MIEN_OK);
    assert_int_equal(crop[0], 50);
    assert_int_equal(crop[1], 70);
    assert_int_equal(crop[59 * 3], 109);
    assert_int_equal(crop[39 * 60 * 3 + 1], 109);
    const mien_face corner = { .x0 = -30, .y0 = -30, .x1 = 20, .y1 = 20 };
    assert_int_equal(mien__crop_face(&info, view, &corner, &r, crop, 60, 40, NULL), MIEN_OK);
    const mien_face outside = { .x0 = 300, .y0 = 300, .x1 = 320, .y1 = 320 };
    assert_int_equal(mien__crop_face(&info, view, &outside, &r, crop, 60, 40, NULL), MIEN_E_ARG);
    const mien_face far = { .x0 = -1e30f, .y0 = 0, .x1 = 1e30f, .y1 = 1e30f };
    (void)mien__crop_face(&info, view, &far, &r, crop, 60, 40, NULL);
    mien__resampler_free(&r);
}

static void crop_hopeless_faces_are_refused(void **state)
{
    (void)state;
    mien_face f = { 0 };
    uint8_t crop[112 * 112 * 3];
    mien__resampler r = { 0 };
    assert_int_equal(mien__crop_face(&arc, view, &f, &r, crop, 112, 112, NULL),
                     MIEN_E_ARG); /* all points equal */
    f.landmarks[2][0] = NAN;
    assert_int_equal(mien__crop_face(&arc, view, &f, &r, crop, 112, 112, NULL), MIEN_E_ARG);
    assert_int_equal(mien__crop_face(&arc, (mien_image_view){ 0 }, &f, &r, crop, 112, 112, NULL), MIEN_E_ARG);
    mien__resampler_free(&r);
}

static void planes_standardised_have_mean_0_and_deviation_1(void **state)
{
    (void)state;
    uint8_t crop[8 * 8 * 3];
    float planes[8 * 8 * 3];
    for (int i = 0; i < 192; i++)
        crop[i] = (uint8_t)(i * 37);
    mien_model_info info = arc;
    info.normalize = MIEN_NORM_STANDARDIZE;
    mien__crop_to_planes(&info, crop, 8, 8, false, planes);
    double sum = 0, sum2 = 0;
    for (int i = 0; i < 192; i++) {
        sum += planes[i];
        sum2 += (double)planes[i] * planes[i];
    }
    assert_true(fabs(sum / 192) < 1e-5 && fabs(sum2 / 192 - 1) < 1e-5);
    memset(crop, 9, sizeof crop); /* a flat picture: no division by zero */
    mien__crop_to_planes(&info, crop, 8, 8, false, planes);
    for (int i = 0; i < 192; i++)
        assert_true(planes[i] == 0);
}

static void planes_mirror_and_colour_order(void **state)
{
    (void)state;
    static const uint8_t crop[2 * 3] = { 10, 20, 30, 40, 50, 60 };
    float p[6];
    mien_model_info info = arc;
    mien__crop_to_planes(&info, crop, 2, 1, true, p);
    assert_true(p[0] == 39 && p[1] == 9 && p[2] == 48 && p[5] == 27);
    info.color_order = MIEN_BGR;
    mien__crop_to_planes(&info, crop, 2, 1, false, p);
    assert_true(p[0] == 29 && p[2] == 18 && p[4] == 7);
}

static void resize_into_fits_or_copies(void **state)
{
    (void)state;
    paint();
    uint8_t out[100 * 100 * 3];
    mien__resampler r = { 0 };
    assert_int_equal(mien__resize_into(&r, view, out, 100, 100, NULL), MIEN_OK);
    assert_true(abs(out[(50 * 100 + 20) * 3] - 40) <= 1 && abs(out[(99 * 100 + 20) * 3 + 1] - 198) <= 1);
    const mien_image_view part = { picture, 100, 100, 600 };
    assert_int_equal(mien__resize_into(&r, part, out, 100, 100, NULL), MIEN_OK);
    for (int y = 0; y < 100; y++)
        assert_memory_equal(out + y * 300, picture + y * 600, 300);
    mien__resampler_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crop_template_puts_landmarks_in_place),
        cmocka_unit_test(crop_margin_takes_the_grown_box),
        cmocka_unit_test(crop_hopeless_faces_are_refused),
        cmocka_unit_test(planes_standardised_have_mean_0_and_deviation_1),
        cmocka_unit_test(planes_mirror_and_colour_order),
        cmocka_unit_test(resize_into_fits_or_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
