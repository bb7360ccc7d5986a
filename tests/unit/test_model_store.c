/* Models stored with half-float weights: what is rounded, by how much, and what is left as it is. */
#include "../nn_fixtures.h"
#include "nn/mien_file.h"
#include <stdio.h>
#include <unistd.h>

enum { IN = 96, OUT = 64 };

/* Four layers of OUT x IN or OUT x OUT weights, each scaled by its own factor (or with one value that is not
 * finite), with biases. */
static mien_model *make_model(const float scale[4])
{
    net t;
    net_open(&t);
    uint32_t x = NET_INPUT(&t, 1, IN);
    for (int i = 0; i < 4; i++) {
        const uint32_t w = NET_WEIGHTS(&t, OUT, i ? OUT : IN), b = NET_WEIGHTS(&t, OUT);
        float *data = (float *)t.g->values[w].data; /* the fixture's own arena */
        for (int64_t k = 0; k < mien__value_elems(&t.g->values[w]); k++)
            data[k] *= isfinite(scale[i]) ? scale[i] : 1.0f;
        if (!isfinite(scale[i]))
            data[5] = scale[i]; /* one value among others */
        x = net_op(&t, MIEN__OP_Gemm, x, w, b, NULL);
    }
    net_output(&t, x);
    return net_model(&t, false);
}

static mien__buf bytes_of(const mien_model *m, mien_store store)
{
    mien__buf b;
    mien__buf_init(&b, 1 << 24);
    assert_int_equal(mien__file_write(mien__model_graph(m), mien_model_info_of(m), store, &b, NULL), MIEN_OK);
    return b;
}

static const mien__value *input_of(const mien_model *m, uint32_t node, int input)
{
    const mien__graph *g = mien__model_graph(m);
    return &g->values[g->nodes[node].inputs[input]];
}

static void save_f16_weights_are_nearest_halves_and_biases_exact(void **state)
{
    mien_model *m = make_model((const float[]){ 1, 1, 1, 1 }), *back = NULL;
    (void)state;
    mien__buf exact = bytes_of(m, MIEN_STORE_EXACT), half = bytes_of(m, MIEN_STORE_F16);
    const size_t weights = OUT * IN + 3 * OUT * OUT;
    assert_int_equal(exact.size - half.size, 2 * weights);
    assert_int_equal(mien__file_verify(half.data, half.size, NULL), MIEN_OK);
    assert_int_equal(mien_model_load_memory(half.data, half.size, &back, NULL), MIEN_OK);
    for (uint32_t node = 0; node < 4; node++) {
        const mien__value *w = input_of(m, node, 1), *b = input_of(m, node, 2);
        const float *was = w->data, *is = input_of(back, node, 1)->data;
        for (int64_t i = 0; i < mien__value_elems(w); i++)
            assert_true(is[i] == mien__half_to_float(mien__float_to_half(was[i])));
        assert_memory_equal(b->data, input_of(back, node, 2)->data, OUT * sizeof(float));
    }
    /* what has been rounded once is written the same from then on, by either way */
    mien__buf again = bytes_of(back, MIEN_STORE_F16), kept = bytes_of(back, MIEN_STORE_EXACT);
    assert_true(again.size == half.size && kept.size == half.size);
    assert_memory_equal(again.data, half.data, half.size);
    assert_memory_equal(kept.data, half.data, half.size);
    mien_model_free(back);
    mien__buf_free(&again);
    mien__buf_free(&kept);
    mien__buf_free(&exact);
    mien__buf_free(&half);
    mien_model_free(m);
}

static void save_f16_what_halves_cannot_hold_stays(void **state)
{
    /* too large; wholly subnormal; one infinity; fine */
    mien_model *m = make_model((const float[]){ 1e7f, 1e-6f, INFINITY, 1 }), *back = NULL;
    (void)state;
    mien__buf half = bytes_of(m, MIEN_STORE_F16);
    assert_int_equal(mien_model_load_memory(half.data, half.size, &back, NULL), MIEN_OK);
    for (uint32_t node = 0; node < 4; node++) {
        const mien__value *w = input_of(m, node, 1);
        const size_t bytes = (size_t)mien__value_elems(w) * sizeof(float);
        assert_int_equal(memcmp(w->data, input_of(back, node, 1)->data, bytes) == 0, node < 3);
    }
    mien_model_free(back);
    mien__buf_free(&half);
    mien_model_free(m);
}

static void save_as_writes_a_file_and_checks_its_arguments(void **state)
{
    char path[] = "/tmp/mien_test_XXXXXX", name[64];
    mien_model *m = make_model((const float[]){ 1, 1, 1, 1 }), *back = NULL;
    (void)state;
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    (void)snprintf(name, sizeof name, "%s.mien", path);
    assert_int_equal(mien_model_save_as(m, name, (mien_store)7, NULL), MIEN_E_ARG);
    assert_int_equal(mien_model_save_as(m, NULL, MIEN_STORE_F16, NULL), MIEN_E_ARG);
    assert_int_not_equal(access(name, F_OK), 0);
    assert_int_equal(mien_model_save_as(m, name, MIEN_STORE_F16, NULL), MIEN_OK);
    assert_int_equal(mien_model_verify(name, NULL), MIEN_OK);
    assert_int_equal(mien_model_load(name, &back, NULL), MIEN_OK);
    assert_true(mien_model_info_of(back)->n_params == mien_model_info_of(m)->n_params);
    mien_model_free(back);
    mien_model_free(m);
    unlink(name);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(save_f16_weights_are_nearest_halves_and_biases_exact),
        cmocka_unit_test(save_f16_what_halves_cannot_hold_stays),
        cmocka_unit_test(save_as_writes_a_file_and_checks_its_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
