/* Cosine, distance, and verdicts by a model's calibration. */
#include "nn_fixtures.h"
#include <mien/face.h>

static const mien_operating_point points[] = { { 1e-4, 0.5, 5e-5, 2e-4 },
                                               { 1e-3, 0.4, 9e-4, 1.1e-3 },
                                               { 1e-2, 0.2, 9e-3, 1.1e-2 } };

static mien_model *model_with(mien_task task, size_t n_points, double default_fmr)
{
    net t;
    net_open(&t);
    net_output(&t, net_op1(&t, MIEN__OP_Relu, NET_INPUT(&t, 1, 3, 4, 4)));
    mien_model *m = net_model(&t, false);
    mien_model_info info = *mien_model_info_of(m);
    mien_error err = MIEN_ERROR_INIT;
    info.task = task;
    info.points = n_points ? points : NULL;
    info.n_points = n_points;
    info.default_fmr = default_fmr;
    info.embedding_len = 48;
    if (mien_model_set_info(m, &info, &err))
        fail_msg("%s", err.message);
    return m;
}

static void cosine_and_distance(void **state)
{
    (void)state;
    static const float a[3] = { 1, 2, 2 }, b[3] = { -2, -4, -4 }, c[3] = { 2, -1, 0 }, zero[3] = { 0 };
    assert_true(mien_cosine(a, a, 3) == 1 && mien_cosine(a, b, 3) == -1 && mien_cosine(a, c, 3) == 0);
    assert_true(mien_cosine(a, zero, 3) == 0);
    assert_true(mien_distance_of(1) == 0 && mien_distance_of(-1) == 2 && mien_distance_of(1 + 1e-12) == 0);
    assert_true(fabs(mien_distance_of(0.5) - 1) < 1e-15);
}

static void decide_uses_the_models_points(void **state)
{
    (void)state;
    mien_model *m = model_with(MIEN_TASK_EMBED, 3, 1e-3);
    mien_decision d;
    assert_int_equal(mien_decide(m, 0.4, 0, &d, NULL), MIEN_OK); /* at the threshold: same */
    assert_true(d.same && d.threshold == 0.4 && d.fmr == 1e-3 && d.similarity == 0.4);
    assert_true(fabs(d.score_fmr - 1e-3) < 1e-9 && d.score_fmr_bound == 0);
    assert_int_equal(mien_decide(m, 0.45, 1e-4, &d, NULL), MIEN_OK);
    assert_true(!d.same && d.threshold == 0.5 && d.score_fmr > 1e-4 && d.score_fmr < 1e-3);
    assert_int_equal(mien_decide(m, 0.9, 0, &d, NULL), MIEN_OK);
    assert_true(d.same && d.score_fmr == 1e-4 && d.score_fmr_bound == -1);
    assert_int_equal(mien_decide(m, -0.3, 0, &d, NULL), MIEN_OK);
    assert_true(!d.same && d.score_fmr == 1e-2 && d.score_fmr_bound == 1);
    mien_model_free(m);
}

static void decide_without_calibration_is_refused(void **state)
{
    (void)state;
    mien_model *m = model_with(MIEN_TASK_EMBED, 0, 0);
    mien_decision d = { .similarity = -7 };
    assert_int_equal(mien_decide(m, 0.9, 0, &d, NULL), MIEN_E_NOT_FOUND);
    assert_int_equal(mien_decide(m, 0.9, 1e-3, &d, NULL), MIEN_E_NOT_FOUND);
    mien_model_free(m);
    m = model_with(MIEN_TASK_EMBED, 3, 1e-3);
    assert_int_equal(mien_decide(m, 0.9, 1e-9, &d, NULL), MIEN_E_NOT_FOUND); /* beyond the table: no guess */
    assert_int_equal(mien_decide(m, NAN, 0, &d, NULL), MIEN_E_ARG);
    assert_int_equal(mien_decide(m, 0.9, 1, &d, NULL), MIEN_E_ARG);
    assert_int_equal(mien_decide(NULL, 0.9, 0, &d, NULL), MIEN_E_ARG);
    mien_model_free(m);
    m = model_with(MIEN_TASK_DETECT, 0, 0);
    assert_int_equal(mien_decide(m, 0.9, 0, &d, NULL), MIEN_E_MODEL_TASK);
    assert_true(d.similarity == -7);
    mien_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cosine_and_distance),
        cmocka_unit_test(decide_uses_the_models_points),
        cmocka_unit_test(decide_without_calibration_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
