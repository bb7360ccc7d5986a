/* The embedder over a small random network: batches, mirror average, unit length, no allocation in steady
 * state. */
#include "nn_fixtures.h"
#include <mien/face.h>

enum { SIDE = 16, LEN = 24, N = 19 };

static uint8_t pixels[N][SIDE * SIDE * 3];
static mien_image_view crops[N];

static mien_model *embedder_model(void)
{
    net t;
    net_open(&t);
    mien__node *n = NULL;
    const uint32_t x = net_value(&t, MIEN__F32, 4, DIMS(-1, 3, SIDE, SIDE), NULL);
    t.inputs[t.n_in++] = x;
    uint32_t y = net_op1(&t, MIEN__OP_Relu, net_conv(&t, x, 3, 8, 3, 2, 1, 1));
    y = net_conv(&t, y, 8, LEN, 8, 1, 0, 1); /* a kernel over the whole: tells left from right */
    y = net_op(&t, MIEN__OP_Flatten, y, MIEN__NO_VALUE, MIEN__NO_VALUE, &n);
    assert_true(mien__node_set_int(t.g, n, MIEN__ATTR_AXIS, 1));
    net_output(&t, y);
    mien_model *m = net_model(&t, true);
    mien_model_info info = *mien_model_info_of(m);
    info.task = MIEN_TASK_EMBED;
    info.input_width = info.input_height = SIDE;
    info.embedding_len = LEN;
    info.crop = MIEN_CROP_SIMILARITY;
    for (int i = 0; i < 3; i++) {
        info.mean[i] = 127.5f;
        info.scale[i] = 1 / 128.0f;
    }
    for (int i = 0; i < MIEN_LANDMARKS; i++) {
        info.landmarks[i][0] = (float)(3 + 2 * i);
        info.landmarks[i][1] = (float)(5 + i * i);
    }
    assert_int_equal(mien_model_set_info(m, &info, NULL), MIEN_OK);
    return m;
}

static void make_crops(void)
{
    mien__rng r;
    mien__rng_seed(&r, 9);
    for (int i = 0; i < N; i++) {
        for (size_t k = 0; k < sizeof pixels[i]; k++)
            pixels[i][k] = (uint8_t)mien__rng_u64(&r);
        crops[i] = (mien_image_view){ pixels[i], SIDE, SIDE, SIDE * 3 };
    }
}

static void run(const mien_model *m, int flip, unsigned threads, size_t step, float out[N][LEN])
{
    mien_embed_opts o = MIEN_EMBED_OPTS_INIT;
    mien_embedder *e = NULL;
    mien_error err = MIEN_ERROR_INIT;
    o.flip = flip;
    o.threads = threads;
    assert_int_equal(mien_embedder_new(m, &o, &e, NULL), MIEN_OK);
    for (size_t i = 0; i < N; i += step)
        if (mien_embed_crops(e, crops + i, i + step < N ? step : N - i, out[i], &err))
            fail_msg("%s", err.message);
    mien_embedder_free(e);
}

static void embed_batches_and_threads_give_the_same_bytes(void **state)
{
    (void)state;
    static float one[N][LEN], many[N][LEN];
    make_crops();
    mien_model *m = embedder_model();
    for (int flip = 0; flip < 2; flip++) {
        run(m, flip, 1, 1, one);
        for (size_t step = 2; step <= N; step += step == 2 ? 6 : 11) {
            run(m, flip, 1 + (unsigned)step % 2, step, many);
            assert_memory_equal(one, many, sizeof one);
        }
        for (int i = 0; i < N; i++) {
            double norm = 0;
            for (int k = 0; k < LEN; k++)
                norm += (double)one[i][k] * one[i][k];
            assert_true(fabs(norm - 1) < 1e-6);
        }
    }
    mien_model_free(m);
}

/* With the average over the mirror image, a crop and its mirror image have one vector. */
static void embed_flip_cannot_tell_mirrors_apart(void **state)
{
    (void)state;
    static uint8_t mirrored[SIDE * SIDE * 3];
    make_crops();
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            memcpy(mirrored + (y * SIDE + x) * 3, pixels[0] + (y * SIDE + SIDE - 1 - x) * 3, 3);
    const mien_image_view pair[2] = { crops[0], { mirrored, SIDE, SIDE, SIDE * 3 } };
    mien_model *m = embedder_model();
    for (int flip = 0; flip < 2; flip++) {
        mien_embed_opts o = MIEN_EMBED_OPTS_INIT;
        o.flip = flip;
        mien_embedder *e = NULL;
        float v[2][LEN];
        assert_int_equal(mien_embedder_new(m, &o, &e, NULL), MIEN_OK);
        assert_int_equal(mien_embed_crops(e, pair, 2, v[0], NULL), MIEN_OK);
        const double s = mien_cosine(v[0], v[1], LEN);
        assert_true(flip ? s > 0.999999 : s < 0.99);
        mien_embedder_free(e);
    }
    mien_model_free(m);
}

static void embed_second_run_allocates_nothing(void **state)
{
    (void)state;
    static float out[N][LEN];
    make_crops();
    mien_model *m = embedder_model();
    mien_embedder *e = NULL;
    mien_face f = { 0, 0, SIDE, SIDE, 1, { { 0 } } };
    memcpy(f.landmarks, mien_model_info_of(m)->landmarks, sizeof f.landmarks);
    assert_int_equal(mien_embedder_new(m, NULL, &e, NULL), MIEN_OK);
    uint64_t before = 0;
    for (int round = 0; round < 2; round++) {
        before = mien__alloc_count();
        assert_int_equal(mien_embed_crops(e, crops, N, out[0], NULL), MIEN_OK);
        assert_int_equal(mien_embed_face(e, crops[3], &f, out[0], NULL), MIEN_OK);
    }
    assert_int_equal(mien__alloc_count(), before);
    assert_true(mien_cosine(out[0], out[3], LEN) > 0.999999); /* landmarks on the template: the crop itself */
    mien_embedder_free(e);
    mien_model_free(m);
}

static void embed_bad_calls_are_refused(void **state)
{
    (void)state;
    make_crops();
    mien_model *m = embedder_model();
    mien_embedder *e = NULL;
    float v[LEN];
    const mien_image_view none = { 0 };
    assert_int_equal(mien_embedder_new(NULL, NULL, &e, NULL), MIEN_E_ARG);
    assert_int_equal(mien_embedder_new(m, NULL, &e, NULL), MIEN_OK);
    assert_int_equal(mien_embed_crops(e, &none, 1, v, NULL), MIEN_E_ARG);
    assert_int_equal(mien_embed_crops(e, NULL, 0, NULL, NULL), MIEN_OK);
    assert_int_equal(mien_embed_face(e, crops[0], NULL, v, NULL), MIEN_E_ARG);
    mien_detector *d = NULL;
    assert_int_equal(mien_detector_new(m, NULL, &d, NULL), MIEN_E_MODEL_TASK);
    mien_embedder_free(e);
    mien_embedder_free(NULL);
    mien_detector_free(NULL);
    mien_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(embed_batches_and_threads_give_the_same_bytes),
        cmocka_unit_test(embed_flip_cannot_tell_mirrors_apart),
        cmocka_unit_test(embed_second_run_allocates_nothing),
        cmocka_unit_test(embed_bad_calls_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
