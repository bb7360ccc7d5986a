/* Quality: poses of a projected head are found again, each damage lowers its component and ends in its
 * reason, and good pictures pass the gate. */
#include "quality/measure.h"
#include <mien/mien.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 300 };

static const double head[MIEN_LANDMARKS][3] = {
    { -.5, 0, 0 }, { .5, 0, 0 }, { 0, .577, -.536 }, { -.438, 1.009, 0 }, { .438, 1.009, 0 },
};

/* Nod by pitch, turn by yaw, tilt by roll, scale and shift; see pose.c. */
static mien_face face_at(double yaw, double pitch, double roll, double eyes_px, double x, double y)
{
    mien_face f = { .score = 1 };
    const double rad = 3.14159265358979323846 / 180;
    float x0 = 1e9f, y0 = 1e9f, x1 = -1e9f, y1 = -1e9f;
    yaw *= -rad, pitch *= rad, roll *= rad;
    for (int i = 0; i < MIEN_LANDMARKS; i++) {
        const double py = head[i][1] * cos(pitch) - head[i][2] * sin(pitch);
        const double pz = head[i][1] * sin(pitch) + head[i][2] * cos(pitch);
        const double px = head[i][0] * cos(yaw) + pz * sin(yaw);
        const float u = (float)(x + eyes_px * (px * cos(roll) - py * sin(roll)));
        const float v = (float)(y + eyes_px * (px * sin(roll) + py * cos(roll)));
        f.landmarks[i][0] = u;
        f.landmarks[i][1] = v;
        x0 = fminf(x0, u), x1 = fmaxf(x1, u), y0 = fminf(y0, v), y1 = fmaxf(y1, v);
    }
    const float grow = (float)eyes_px * 0.4f;
    f.x0 = x0 - grow, f.x1 = x1 + grow, f.y0 = y0 - grow, f.y1 = y1 + grow;
    return f;
}

static void pose_of_projected_head_is_found_again(void **state)
{
    (void)state;
    for (int yaw = -70; yaw <= 70; yaw += 14) {
        for (int pitch = -40; pitch <= 40; pitch += 10) {
            for (int roll = -170; roll < 180; roll += 34) {
                float y = 0, p = 0, r = 0;
                const mien_face f = face_at(yaw, pitch, roll, 47, 300, 200);
                assert_true(mien__pose_of(f.landmarks, &y, &p, &r));
                if (fabs(y - yaw) > 0.5 || fabs(p - pitch) > 0.5 || fabs(r - roll) > 0.5)
                    fail_msg("yaw %d pitch %d roll %d came back as %.2f %.2f %.2f", yaw, pitch, roll,
                             (double)y, (double)p, (double)r);
            }
        }
    }
}

static void pose_turned_to_the_subjects_left_is_positive(void **state)
{
    (void)state;
    mien_face f = face_at(0, 0, 0, 50, 100, 100);
    float yaw = 0, pitch = 0, roll = 0;
    f.landmarks[2][0] += 10; /* the nose towards the viewer's right, which is the subject's left */
    assert_true(mien__pose_of(f.landmarks, &yaw, &pitch, &roll));
    assert_true(yaw > 10);
    f = face_at(0, 0, 0, 50, 100, 100);
    f.landmarks[2][1] += 10; /* the nose lower: looking down */
    assert_true(mien__pose_of(f.landmarks, &yaw, &pitch, &roll));
    assert_true(pitch > 10);
}

/* ---- pictures ---- */

static uint8_t picture[SIDE * SIDE * 3], worse[SIDE * SIDE * 3];
static const mien_image_view good = { picture, SIDE, SIDE, SIDE * 3 };
static const mien_image_view bad = { worse, SIDE, SIDE, SIDE * 3 };

/* Random tones in cells of 8 px upon stronger ones in cells of 40 px: structure of two scales, as a face has.
 */
static void paint(void)
{
    enum { CELLS = SIDE / 8 + 1 };
    mien__rng rng;
    int fine[CELLS * CELLS], coarse[CELLS * CELLS];
    mien__rng_seed(&rng, 7);
    for (int i = 0; i < CELLS * CELLS; i++) {
        fine[i] = (int)(mien__rng_u64(&rng) % 60);
        coarse[i] = (int)(mien__rng_u64(&rng) % 90);
    }
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            memset(picture + (y * SIDE + x) * 3,
                   50 + fine[y / 8 * CELLS + x / 8] + coarse[y / 40 * CELLS + x / 40], 3);
}

static void blur_once(uint8_t *px)
{
    static uint8_t copy[sizeof picture];
    memcpy(copy, px, sizeof copy);
    for (int y = 1; y < SIDE - 1; y++)
        for (int x = 3; x < SIDE * 3 - 3; x++) {
            const uint8_t *p = copy + y * SIDE * 3 + x;
            int sum = 0;
            for (int dy = -1; dy <= 1; dy++)
                for (int dx = -1; dx <= 1; dx++)
                    sum += p[dy * SIDE * 3 + 3 * dx];
            px[y * SIDE * 3 + x] = (uint8_t)((sum + 4) / 9);
        }
}

static mien_quality measure(mien_image_view view, const mien_face *face)
{
    mien_quality q;
    mien_error err = MIEN_ERROR_INIT;
    if (mien_quality_measure(view, face, &q, &err))
        fail_msg("%s", err.message);
    return q;
}

static mien_face middle(void)
{
    return face_at(0, 0, 0, 70, 150, 110);
}

static void measure_good_face_passes(void **state)
{
    (void)state;
    paint();
    const mien_face f = middle();
    const mien_quality q = measure(good, &f);
    assert_true(fabsf(q.eye_distance_px - 70) < 0.01f);
    assert_true(fabsf(q.yaw_deg) < 0.5f && fabsf(q.pitch_deg) < 0.5f && fabsf(q.roll_deg) < 0.5f);
    assert_true(q.inside >= 1.0f && q.score > 0.9f);
    assert_int_equal(mien_quality_reason(&q, NULL), MIEN_REASON_NONE);
}

static void measure_blur_lowers_sharpness_until_refused(void **state)
{
    (void)state;
    paint();
    const mien_face f = middle();
    mien_quality last = measure(good, &f), q = last;
    memcpy(worse, picture, sizeof worse);
    for (int i = 0; i < 60; i++) {
        for (int k = 0; k < 4; k++)
            blur_once(worse);
        q = measure(bad, &f);
        if (!(q.sharpness < last.sharpness && q.score <= last.score))
            fail_msg("%d: sharpness %.4f after %.4f, score %.4f after %.4f", i, (double)q.sharpness,
                     (double)last.sharpness, (double)q.score, (double)last.score);
        assert_true(fabsf(q.brightness - last.brightness) < 0.02f);
        if (mien_quality_reason(&q, NULL))
            break;
        last = q;
    }
    assert_int_equal(mien_quality_reason(&q, NULL), MIEN_REASON_TOO_BLURRED);
}

static void measure_noise_is_no_sharpness(void **state)
{
    (void)state;
    paint();
    const mien_face f = middle();
    mien__rng rng;
    mien__rng_seed(&rng, 3);
    memcpy(worse, picture, sizeof worse);
    for (int k = 0; k < 40; k++)
        blur_once(worse);
    const mien_quality blurred = measure(bad, &f);
    for (size_t i = 0; i < sizeof worse; i++)
        worse[i] = (uint8_t)(worse[i] + mien__rng_u64(&rng) % 25 - 12);
    const mien_quality noisy = measure(bad, &f);
    assert_true(noisy.sharpness < blurred.sharpness + 0.1f);
    /* contrast halved changes nothing: a ratio of energies */
    for (size_t i = 0; i < sizeof worse; i++)
        worse[i] = (uint8_t)(picture[i] / 2 + 64);
    const mien_quality sharp = measure(good, &f), flat = measure(bad, &f);
    assert_true(fabsf(flat.sharpness - sharp.sharpness) < 0.02f && flat.contrast < 0.6f * sharp.contrast);
}

static void scale_values(double gain)
{
    for (size_t i = 0; i < sizeof worse; i++)
        worse[i] = (uint8_t)fmin(255, picture[i] * gain + 0.5);
}

static void measure_light_ends_in_its_reason(void **state)
{
    (void)state;
    static const double darker[] = { 0.7, 0.4, 0.2, 0.1 }, brighter[] = { 1.5, 2, 2.5, 4 };
    paint();
    const mien_face f = middle();
    mien_quality last = measure(good, &f), q = last;
    for (size_t i = 0; i < MIEN_COUNTOF(darker); i++) {
        scale_values(darker[i]);
        q = measure(bad, &f);
        assert_true(q.brightness < last.brightness && q.underexposed >= last.underexposed);
        last = q;
    }
    assert_int_equal(mien_quality_reason(&q, NULL), MIEN_REASON_TOO_DARK);
    last = measure(good, &f);
    for (size_t i = 0; i < MIEN_COUNTOF(brighter); i++) {
        scale_values(brighter[i]);
        q = measure(bad, &f);
        assert_true(q.brightness > last.brightness && q.overexposed >= last.overexposed &&
                    q.score <= last.score);
        last = q;
    }
    assert_int_equal(mien_quality_reason(&q, NULL), MIEN_REASON_TOO_BRIGHT);
}

static void measure_place_and_size_end_in_their_reasons(void **state)
{
    (void)state;
    paint();
    mien_face f = face_at(0, 0, 0, 10, 150, 110);
    mien_quality q = measure(good, &f);
    assert_int_equal(mien_quality_reason(&q, NULL), MIEN_REASON_TOO_SMALL);
    f = face_at(60, 0, 0, 70, 150, 110);
    q = measure(good, &f);
    assert_int_equal(mien_quality_reason(&q, NULL), MIEN_REASON_TOO_TURNED);
    assert_true(fabsf(q.eye_distance_px - 70) < 0.5f); /* as if it were not turned */
    f = face_at(0, 0, 0, 70, 20, 110);                 /* the right half is outside the picture */
    q = measure(good, &f);
    assert_true(q.inside > 0.5f && q.inside < 0.7f);
    assert_int_equal(mien_quality_reason(&q, NULL), MIEN_REASON_CUT_OFF);
    f = face_at(0, 0, 0, 70, -500, 110); /* all of it */
    q = measure(good, &f);
    assert_true(q.inside <= 0.0f);
}

static void gate_bounds_are_the_callers(void **state)
{
    (void)state;
    paint();
    const mien_face f = middle();
    const mien_quality q = measure(good, &f);
    mien_quality_gate gate;
    mien_quality_gate_init(&gate);
    assert_int_equal(gate.struct_size, sizeof gate);
    gate.min_eye_distance_px = 71;
    assert_int_equal(mien_quality_reason(&q, &gate), MIEN_REASON_TOO_SMALL);
    gate.struct_size = sizeof gate.struct_size; /* of a caller that knows no bound: the defaults hold */
    assert_int_equal(mien_quality_reason(&q, &gate), MIEN_REASON_NONE);
    mien_quality not_a_number = q;
    not_a_number.sharpness = NAN;
    assert_int_equal(mien_quality_reason(&not_a_number, NULL), MIEN_REASON_TOO_BLURRED);
}

static void reasons_have_names_and_texts(void **state)
{
    (void)state;
    assert_string_equal(mien_reason_name(MIEN_REASON_TOO_SMALL), "TOO_SMALL");
    assert_string_equal(mien_reason_text(MIEN_REASON_NO_FACE), "no face found");
    for (int r = 0; r < MIEN_REASON_COUNT; r++)
        assert_true(mien_reason_name((mien_reason)r)[0] && mien_reason_text((mien_reason)r)[0]);
    assert_string_equal(mien_reason_name((mien_reason)-1), "UNKNOWN");
    assert_string_equal(mien_reason_name(MIEN_REASON_COUNT), "UNKNOWN");
}

static void measure_useless_arguments_return_arg(void **state)
{
    (void)state;
    paint();
    mien_face f = middle();
    mien_quality q = { .score = 5 };
    const mien_image_view none = { NULL, 10, 10, 30 };
    assert_int_equal(mien_quality_measure(good, NULL, &q, NULL), MIEN_E_ARG);
    assert_int_equal(mien_quality_measure(good, &f, NULL, NULL), MIEN_E_ARG);
    assert_int_equal(mien_quality_measure(none, &f, &q, NULL), MIEN_E_ARG);
    f.landmarks[3][1] = INFINITY;
    assert_int_equal(mien_quality_measure(good, &f, &q, NULL), MIEN_E_ARG);
    for (int i = 0; i < MIEN_LANDMARKS; i++) /* one point */
        f.landmarks[i][0] = f.landmarks[i][1] = 50;
    assert_int_equal(mien_quality_measure(good, &f, &q, NULL), MIEN_E_ARG);
    for (int i = 0; i < MIEN_LANDMARKS; i++) { /* anything else must come back, whatever it says */
        f.landmarks[i][0] = (float)(50 + 10 * i);
        f.landmarks[i][1] = (float)(50 + 10 * i);
    }
    const mien_status st = mien_quality_measure(good, &f, &q, NULL);
    assert_true(st == MIEN_OK || st == MIEN_E_ARG);
}

static int failing;

static void *failing_alloc(size_t bytes, size_t align, void *user)
{
    (void)user;
    return failing ? NULL : aligned_alloc(align, (bytes + align - 1) / align * align);
}

static void plain_free(void *ptr, void *user)
{
    (void)user;
    free(ptr);
}

static void measure_without_memory_leaves_the_result(void **state)
{
    (void)state;
    const mien_allocator a = { failing_alloc, plain_free, NULL };
    paint();
    const mien_face f = middle();
    mien_quality q = { .score = 5 };
    mien_set_allocator(&a);
    failing = 1;
    assert_int_equal(mien_quality_measure(good, &f, &q, NULL), MIEN_E_NOMEM);
    failing = 0;
    mien_set_allocator(NULL);
    assert_true(q.score >= 5);
}

static void gate_lets_the_samples_pass(void **state)
{
    (void)state;
    mien_model *model = NULL;
    mien_detector *detector = NULL;
    if (mien_model_load_default(MIEN_TASK_DETECT, &model, NULL) ||
        mien_detector_new(model, NULL, &detector, NULL)) {
        mien_model_free(model);
        skip();
    }
    for (int i = 0; i < 48; i++) {
        char path[1024];
        mien_image *image = NULL;
        const mien_face *faces = NULL;
        size_t n = 0;
        (void)snprintf(path, sizeof path, MIEN_SAMPLES "/person-%02d/%d.jpg", i / 4 + 1, i % 4 + 1);
        assert_int_equal(mien_image_load(path, NULL, &image, NULL), MIEN_OK);
        assert_int_equal(mien_detect(detector, mien_image_view_of(image), &faces, &n, NULL), MIEN_OK);
        assert_int_equal(n, 1);
        const mien_quality q = measure(mien_image_view_of(image), &faces[0]);
        if (mien_quality_reason(&q, NULL))
            fail_msg("%s: %s", path, mien_reason_name(mien_quality_reason(&q, NULL)));
        mien_image_free(image);
    }
    mien_detector_free(detector);
    mien_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pose_of_projected_head_is_found_again),
        cmocka_unit_test(pose_turned_to_the_subjects_left_is_positive),
        cmocka_unit_test(measure_good_face_passes),
        cmocka_unit_test(measure_blur_lowers_sharpness_until_refused),
        cmocka_unit_test(measure_noise_is_no_sharpness),
        cmocka_unit_test(measure_light_ends_in_its_reason),
        cmocka_unit_test(measure_place_and_size_end_in_their_reasons),
        cmocka_unit_test(gate_bounds_are_the_callers),
        cmocka_unit_test(reasons_have_names_and_texts),
        cmocka_unit_test(measure_useless_arguments_return_arg),
        cmocka_unit_test(measure_without_memory_leaves_the_result),
        cmocka_unit_test(gate_lets_the_samples_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
