/* Validation of a detector in training: against the truth of its scenes, and against a teacher. Skipped
 * without a built-in detector or samples. */
#include "train/detect_val.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PEOPLE = 4, SIDE = 160 };

/* Portraits of people who do not exist, the detector's faces in them. */
static mien__scene_set *new_set(const mien_model *m)
{
    mien__scene_set *set = NULL;
    mien_detector *d = NULL;
    assert_int_equal(mien__scene_set_new(&set, NULL), MIEN_OK);
    assert_int_equal(mien_detector_new(m, NULL, &d, NULL), MIEN_OK);
    for (int i = 1; i <= PEOPLE; i++) {
        char path[1024];
        const mien_face *faces = NULL;
        size_t n = 0;
        mien_image *img = NULL;
        (void)snprintf(path, sizeof path, MIEN_SAMPLES "/person-%02d/1.jpg", i);
        if (mien_image_load(path, NULL, &img, NULL))
            skip();
        assert_int_equal(mien_detect(d, mien_image_view_of(img), &faces, &n, NULL), MIEN_OK);
        const mien__scene_source s = { .path = path, .faces = faces, .n_faces = n };
        assert_int_equal(n, 1);
        assert_int_equal(mien__scene_set_add(set, &s, NULL), MIEN_OK);
        mien_image_free(img);
    }
    mien_detector_free(d);
    return set;
}

static double measure(const mien__scene_set *set, const mien_model *asked, const mien_model *m,
                      mien__parts *p)
{
    mien__det_val *v = NULL;
    double score = 0.0;
    mien_error err = MIEN_ERROR_INIT;
    p->n = 0;
    if (mien__det_val_new(set, 1, SIDE, asked, 1, &v, &err) || mien__det_val_measure(v, m, p, &score, &err))
        fail_msg("%s", err.message);
    mien__det_val_free(v);
    return score;
}

static void det_val_of_the_teacher_itself_is_perfect(void **state)
{
    mien_model *m = NULL;
    mien__parts p;
    (void)state;
    if (mien_model_load("mien-face-detect", &m, NULL))
        skip();
    mien__scene_set *set = new_set(m);
    assert_true(measure(set, m, m, &p) >= 1.0);
    assert_int_equal(p.n, 3);
    assert_string_equal(p.name[0], "recall");
    assert_true(p.value[0] >= 1.0 && p.value[1] >= 1.0 && p.value[2] <= 0.0);
    /* composed anew, turned and small, the same faces are not all found, nor quite where they were */
    const double by_truth = measure(set, NULL, m, &p);
    assert_true(by_truth > 0.2 && by_truth < 0.99);
    assert_true(p.value[2] > 0.005);
    mien__scene_set_free(set);
    mien_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(det_val_of_the_teacher_itself_is_perfect) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
