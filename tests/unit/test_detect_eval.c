/* Detections against reference faces: matching, counts, landmark errors. */
#include "train/detect_eval.h"
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

/* A face of side 40 px at (x, y), eyes 20 px apart, every landmark moved by `off` px to the right. */
static mien_face face(float x, float y, float score, float off)
{
    mien_face f = { x,      y,     x + 40,
                    y + 40, score, { { x + 10, y + 15 }, { x + 30, y + 15 }, { x + 20, y + 25 } } };
    f.landmarks[3][0] = x + 12;
    f.landmarks[4][0] = x + 28;
    f.landmarks[3][1] = f.landmarks[4][1] = y + 32;
    for (int i = 0; i < MIEN_LANDMARKS; i++)
        f.landmarks[i][0] += off;
    return f;
}

static mien__truth truth(float x, float y, bool ignore)
{
    return (mien__truth){ face(x, y, 1, 0), 1, ignore };
}

static mien__det_figures figures_of(const mien_face *f, size_t n, const mien__truth *t, size_t n_t)
{
    mien__det_eval *e = NULL;
    mien__det_figures r;
    assert_int_equal(mien__det_eval_new(0.5f, 0.5f, &e, NULL), MIEN_OK);
    assert_int_equal(mien__det_eval_add(e, f, n, t, n_t, NULL), MIEN_OK);
    mien__det_eval_figures(e, &r);
    mien__det_eval_free(e);
    return r;
}

static void eval_counts_hits_misses_and_false_alarms(void **state)
{
    (void)state;
    const mien__truth t[] = { truth(0, 0, false), truth(100, 0, false), truth(200, 0, false) };
    const mien_face f[] = {
        face(2, 0, 0.9f, 0),   /* hit */
        face(100, 3, 0.6f, 0), /* hit */
        face(200, 0, 0.4f, 0), /* under the score */
        face(300, 0, 0.8f, 0), /* nothing there */
        face(4, 0, 0.7f, 0),   /* second one on the first face */
    };
    const mien__det_figures r = figures_of(f, 5, t, 3);
    assert_int_equal(r.references, 3);
    assert_int_equal(r.detections, 4);
    assert_int_equal(r.matched, 2);
    assert_true(fabs(r.recall - 2.0 / 3) < 1e-12 && fabs(r.precision - 0.5) < 1e-12);
}

static void eval_best_score_takes_the_face_it_overlaps_most(void **state)
{
    (void)state;
    /* the better detection overlaps both faces; it must take the nearer, leaving the other to the worse */
    const mien__truth t[] = { truth(0, 0, false), truth(12, 0, false) };
    const mien_face f[] = { face(0, 0, 0.7f, 0), face(10, 0, 0.9f, 0) };
    assert_int_equal(figures_of(f, 2, t, 2).matched, 2);
}

static void eval_detection_on_an_ignored_face_counts_neither_way(void **state)
{
    (void)state;
    const mien__truth t[] = { truth(0, 0, true), truth(100, 0, false) };
    const mien_face f[] = { face(0, 0, 0.9f, 0), face(1, 0, 0.8f, 0), face(100, 0, 0.9f, 0) };
    const mien__det_figures r = figures_of(f, 3, t, 2);
    assert_int_equal(r.references, 1);
    assert_int_equal(r.detections, 1);
    assert_int_equal(r.matched, 1);
}

static void eval_overlap_of_less_than_half_is_no_match(void **state)
{
    (void)state;
    const mien__truth t = truth(0, 0, false);
    const mien_face near = face(13, 0, 0.9f, 0), far = face(14, 0, 0.9f, 0); /* IoU 27/53, 26/54 */
    assert_int_equal(figures_of(&near, 1, &t, 1).matched, 1);
    assert_int_equal(figures_of(&far, 1, &t, 1).matched, 0);
}

static void eval_landmark_errors_are_shares_of_the_eyes_distance(void **state)
{
    (void)state;
    enum { N = 40 };
    mien__det_eval *e = NULL;
    assert_int_equal(mien__det_eval_new(0.5f, 0.5f, &e, NULL), MIEN_OK);
    for (int i = 0; i < N; i++) { /* errors of 1, 2, .. 40 fiftieths of 20 px, in no order */
        const mien_face f = face(0, 0, 0.9f, 0.4f * (float)((i * 7) % N + 1));
        const mien__truth t = truth(0, 0, false);
        assert_int_equal(mien__det_eval_add(e, &f, 1, &t, 1, NULL), MIEN_OK);
    }
    mien__truth profile = truth(0, 0, false);
    profile.face.landmarks[1][0] = profile.face.landmarks[0][0] + 1;
    const mien_face f = face(0, 0, 0.9f, 0);
    assert_int_equal(mien__det_eval_add(e, &f, 1, &profile, 1, NULL), MIEN_OK);
    mien__det_figures r;
    mien__det_eval_figures(e, &r);
    mien__det_eval_free(e);
    assert_int_equal(r.pictures, N + 1);
    assert_int_equal(r.matched, N + 1);
    assert_int_equal(r.landmarked, N);
    assert_true(fabs(r.kps_mean - 20.5 * 0.02) < 1e-5);
    assert_true(fabs(r.kps_median - 20 * 0.02) < 1e-5);
    assert_true(fabs(r.kps_p95 - 38 * 0.02) < 1e-5);
}

static void eval_of_nothing_is_perfect_and_bad_overlap_is_refused(void **state)
{
    (void)state;
    const mien__det_figures r = figures_of(NULL, 0, NULL, 0);
    assert_true(r.recall >= 1 && r.precision >= 1);
    assert_int_equal(r.pictures, 1);
    mien__det_eval *e = NULL;
    assert_int_equal(mien__det_eval_new(0.5f, 0, &e, NULL), MIEN_E_ARG);
    assert_int_equal(mien__det_eval_new(0.5f, NAN, &e, NULL), MIEN_E_ARG);
    assert_null(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eval_counts_hits_misses_and_false_alarms),
        cmocka_unit_test(eval_best_score_takes_the_face_it_overlaps_most),
        cmocka_unit_test(eval_detection_on_an_ignored_face_counts_neither_way),
        cmocka_unit_test(eval_overlap_of_less_than_half_is_no_match),
        cmocka_unit_test(eval_landmark_errors_are_shares_of_the_eyes_distance),
        cmocka_unit_test(eval_of_nothing_is_perfect_and_bad_overlap_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
