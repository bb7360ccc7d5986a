/* `.mien` files: round trip, every truncation, flipped bits, descriptions and thresholds. */
#include "../nn_fixtures.h"
#include "nn/mien_file.h"
#include <stdio.h>
#include <unistd.h>

static mien_operating_point points[] = { { 1e-4, 0.5, 5e-5, 2e-4 },
                                         { 1e-3, 0.4, 8e-4, 2e-3 },
                                         { 1e-2, 0.3, 9e-3, 1.1e-2 } };

static mien_model_info full_info(void)
{
    mien_model_info info = mien__model_info_empty();
    info.name = "tiny";
    info.description = "a network for tests";
    info.licence = "Apache-2.0";
    info.training_data = "none";
    info.source = "tests";
    info.decoder = "yunet";
    info.sha256 = "00ff";
    info.protocol = "by hand";
    info.task = MIEN_TASK_EMBED;
    info.input_width = 112;
    info.input_height = 96;
    info.input_multiple = 32;
    info.color_order = MIEN_BGR;
    info.normalize = MIEN_NORM_STANDARDIZE;
    info.crop = MIEN_CROP_MARGIN;
    info.crop_margin = 0.25f;
    info.embedding_len = 5;
    info.default_fmr = 1e-3;
    info.points = points;
    info.n_points = MIEN_COUNTOF(points);
    info.n_mated = 123456789012u;
    info.n_nonmated = 77;
    info.min_face_px = 10.5f;
    info.max_face_frac = 0.9f;
    for (int i = 0; i < 3; i++) {
        info.mean[i] = 127.5f + (float)i;
        info.scale[i] = 0.0078125f;
    }
    for (int i = 0; i < MIEN_LANDMARKS; i++)
        info.landmarks[i][0] = (float)i + 0.1f, info.landmarks[i][1] = (float)i - 0.7f;
    return info;
}

/* A conv whose weights are halves exactly, one whose are not, an i64 constant. */
static mien_model *make_model(void)
{
    net t;
    float halves[4 * 3 * 3 * 3];
    const mien_model_info info = full_info();
    net_open(&t);
    const uint32_t x = NET_INPUT(&t, 1, 3, 8, 8);
    for (size_t i = 0; i < MIEN_COUNTOF(halves); i++)
        halves[i] = ((float)(i % 17) - 8.0f) / 16.0f;
    uint32_t y = net_op2(&t, MIEN__OP_Conv, x, net_const(&t, 4, DIMS(4, 3, 3, 3), halves));
    y = net_op2(&t, MIEN__OP_Reshape, net_op1(&t, MIEN__OP_Relu, y), NET_I64(&t, 1, 144));
    net_output(&t, net_op2(&t, MIEN__OP_Gemm, y, NET_WEIGHTS(&t, 5, 144)));
    mien_model *m = net_model(&t, true);
    assert_int_equal(mien_model_set_info(m, &info, NULL), MIEN_OK);
    return m;
}

static void run_model(const mien_model *m, float ret[5])
{
    mien_session *s = NULL;
    float *in = NULL;
    mien_tensor_view v;
    const mien_tensor_view shape = net_shape(4, DIMS(1, 3, 8, 8));
    assert_int_equal(mien_session_new(m, NULL, &s, NULL), MIEN_OK);
    assert_int_equal(mien_session_prepare(s, 1, &shape, &in, NULL), MIEN_OK);
    net_fill(in, 3 * 8 * 8, 3);
    assert_int_equal(mien_session_run(s, NULL), MIEN_OK);
    assert_int_equal(mien_session_output(s, 0, &v, NULL), MIEN_OK);
    memcpy(ret, v.data, 5 * sizeof *ret);
    mien_session_free(s);
}

static mien__buf bytes_of(const mien_model *m)
{
    mien__buf b;
    mien__buf_init(&b, 1 << 24);
    assert_int_equal(
        mien__file_write(mien__model_graph(m), mien_model_info_of(m), MIEN_STORE_EXACT, &b, NULL), MIEN_OK);
    return b;
}

static void model_save_and_load_keeps_everything(void **state)
{
    char path[] = "/tmp/mien_test_XXXXXX";
    char name[64];
    mien_model *m = make_model(), *back = NULL;
    float want[5], got[5];
    const mien_model_info info = full_info();
    (void)state;
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    snprintf(name, sizeof name, "%s.mien", path);
    assert_int_equal(mien_model_save(m, name, NULL), MIEN_OK);
    assert_int_equal(mien_model_verify(name, NULL), MIEN_OK);
    assert_int_equal(mien_model_load(name, &back, NULL), MIEN_OK);
    const mien_model_info *b = mien_model_info_of(back);
    assert_string_equal(b->name, info.name);
    assert_string_equal(b->training_data, info.training_data);
    assert_string_equal(b->protocol, info.protocol);
    assert_string_equal(b->decoder, info.decoder);
    assert_int_equal(b->task, info.task);
    assert_int_equal(b->input_width, 112);
    assert_int_equal(b->input_multiple, 32);
    assert_true(b->n_mated == info.n_mated);
    assert_memory_equal(b->mean, info.mean, sizeof info.mean);
    assert_memory_equal(b->landmarks, info.landmarks, sizeof info.landmarks);
    assert_memory_equal(b->points, points, sizeof points);
    assert_true(b->n_params == mien_model_info_of(m)->n_params && b->n_params == 4 * 27 + 5 * 144);
    assert_true(b->file_bytes > 0);
    run_model(m, want);
    run_model(back, got);
    assert_memory_equal(want, got, sizeof want);
    mien_model_free(back);
    mien_model_free(m);
    unlink(name);
    unlink(path);
}

/* A copy of exactly n bytes, so that a sanitizer sees any read past it. */
static mien_status load_copy(const uint8_t *data, size_t n, bool run)
{
    uint8_t *copy = malloc(n ? n : 1);
    mien_model *m = NULL;
    float out[5];
    assert_non_null(copy);
    memcpy(copy, data, n);
    const mien_status st = mien_model_load_memory(copy, n, &m, NULL);
    if (!st && run)
        run_model(m, out);
    mien_model_free(m);
    free(copy);
    return st;
}

static void model_truncated_anywhere_returns_error(void **state)
{
    mien_model *m = make_model();
    mien__buf b = bytes_of(m);
    (void)state;
    assert_int_equal(load_copy(b.data, b.size, true), MIEN_OK);
    for (size_t n = 0; n < b.size; n++)
        assert_int_not_equal(load_copy(b.data, n, false), MIEN_OK);
    mien__buf_free(&b);
    mien_model_free(m);
}

static void model_flipped_bit_never_crashes_and_fails_verify(void **state)
{
    mien_model *m = make_model();
    mien__buf b = bytes_of(m);
    (void)state;
    assert_int_equal(mien__file_verify(b.data, b.size, NULL), MIEN_OK);
    for (size_t i = 0; i < b.size; i++) {
        b.data[i] ^= (uint8_t)(1u << (i % 8));
        (void)load_copy(b.data, b.size, false);
        if (i % 16 == 0)
            assert_int_not_equal(mien__file_verify(b.data, b.size, NULL), MIEN_OK);
        b.data[i] ^= (uint8_t)(1u << (i % 8));
    }
    assert_int_equal(mien__file_verify(b.data, b.size, NULL), MIEN_OK);
    mien__buf_free(&b);
    mien_model_free(m);
}

static void model_load_misaligned_memory_works(void **state)
{
    mien_model *m = make_model(), *back = NULL;
    mien__buf b = bytes_of(m);
    float want[5], got[5];
    (void)state;
    uint8_t *shifted = malloc(b.size + 1);
    assert_non_null(shifted);
    memcpy(shifted + 1, b.data, b.size);
    assert_int_equal(mien_model_load_memory(shifted + 1, b.size, &back, NULL), MIEN_OK);
    run_model(m, want);
    run_model(back, got);
    assert_memory_equal(want, got, sizeof want);
    mien_model_free(back);
    free(shifted);
    mien__buf_free(&b);
    mien_model_free(m);
}

static void model_threshold_interpolates_in_log_fmr(void **state)
{
    mien_model *m = make_model();
    double v = 0.0;
    int bound = 9;
    (void)state;
    assert_int_equal(mien_model_threshold(m, 1e-3, &v, NULL), MIEN_OK);
    assert_true(fabs(v - 0.4) < 1e-12);
    assert_int_equal(mien_model_threshold(m, sqrt(1e-3 * 1e-2), &v, NULL), MIEN_OK);
    assert_true(fabs(v - 0.35) < 1e-12);
    assert_int_equal(mien_model_threshold(m, 1e-5, &v, NULL), MIEN_E_NOT_FOUND);
    assert_int_equal(mien_model_threshold(m, 0.5, &v, NULL), MIEN_E_NOT_FOUND);
    assert_int_equal(mien_model_fmr(m, 0.45, &v, &bound, NULL), MIEN_OK);
    assert_true(fabs(v - sqrt(1e-4 * 1e-3)) < 1e-12 && bound == 0);
    assert_int_equal(mien_model_fmr(m, 0.9, &v, &bound, NULL), MIEN_OK);
    assert_true(fabs(v - 1e-4) < 1e-12 && bound == -1);
    assert_int_equal(mien_model_fmr(m, 0.1, &v, &bound, NULL), MIEN_OK);
    assert_true(fabs(v - 1e-2) < 1e-12 && bound == 1);
    mien_model_free(m);
}

static void model_set_info_out_of_range_keeps_old(void **state)
{
    mien_model *m = make_model();
    mien_model_info info = full_info();
    mien_operating_point twisted[2] = { points[1], points[0] };
    (void)state;
    info.input_width = -5;
    assert_int_equal(mien_model_set_info(m, &info, NULL), MIEN_E_ARG);
    info = full_info();
    info.mean[1] = NAN;
    assert_int_equal(mien_model_set_info(m, &info, NULL), MIEN_E_ARG);
    info = full_info();
    info.points = twisted;
    info.n_points = 2;
    assert_int_equal(mien_model_set_info(m, &info, NULL), MIEN_E_ARG);
    assert_string_equal(mien_model_info_of(m)->name, "tiny");
    mien_model_free(m);
}

static void model_load_missing_or_foreign_returns_error(void **state)
{
    mien_model *m = NULL;
    mien_error err = MIEN_ERROR_INIT;
    (void)state;
    assert_int_equal(mien_model_load("/nonexistent/x.mien", &m, &err), MIEN_E_NOT_FOUND);
    assert_int_equal(mien_model_load_memory("not a model", 11, &m, &err), MIEN_E_MODEL_FORMAT);
    assert_int_equal(mien_model_load("", &m, &err), MIEN_E_ARG);
    assert_null(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(model_save_and_load_keeps_everything),
        cmocka_unit_test(model_truncated_anywhere_returns_error),
        cmocka_unit_test(model_flipped_bit_never_crashes_and_fails_verify),
        cmocka_unit_test(model_load_misaligned_memory_works),
        cmocka_unit_test(model_threshold_interpolates_in_log_fmr),
        cmocka_unit_test(model_set_info_out_of_range_keeps_old),
        cmocka_unit_test(model_load_missing_or_foreign_returns_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
