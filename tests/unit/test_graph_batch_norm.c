/* Networks that hold BatchNorm nodes, as training leaves them: simplified they are what an importer would
 * have made, as they are they run all the same, from a file too.
 */
#include "../nn_fixtures.h"
#include "nn/mien_file.h"

enum { SIDE = 20, LEN = 7 };

/* y = BatchNorm(x), channels c, variances in [0.5, 1.5) */
static uint32_t norm(net *t, uint32_t x, int64_t c, double eps)
{
    mien__node *n = NULL;
    const uint32_t out = net_value(t, MIEN__F32, -1, NULL, NULL);
    float var[32];
    assert_true(c <= 32);
    for (int64_t i = 0; i < c; i++)
        var[i] = 0.5f + (float)mien__rng_unit(&t->rng);
    const uint32_t in[5] = { x, net_weights(t, 1, &c), net_weights(t, 1, &c), net_weights(t, 1, &c),
                             net_const(t, 1, &c, var) };
    assert_true(mien__graph_add_node(t->g, MIEN__OP_BatchNorm, "bn", in, 5, &out, 1, &n));
    if (eps > 0.0)
        assert_true(mien__node_set_float(t->g, n, MIEN__ATTR_EPSILON, eps));
    return out;
}

/* Behind convolutions with and without a bias, in front of a padded one, behind a fully connected layer. */
static mien_model *make_net(bool with_norm, bool simplify)
{
    net t;
    net_open(&t);
    uint32_t x = net_conv(&t, NET_INPUT(&t, 1, 3, SIDE, SIDE), 3, 16, 3, 2, 1, 1);
    x = with_norm ? norm(&t, x, 16, 1e-3) : x;
    x = net_op2(&t, MIEN__OP_PRelu, x, NET_WEIGHTS(&t, 16));
    uint32_t y = net_op2(&t, MIEN__OP_Conv, x, NET_WEIGHTS(&t, 16, 16, 1, 1));
    y = net_op1(&t, MIEN__OP_Relu, with_norm ? norm(&t, y, 16, 0.0) : y);
    y = net_op2(&t, MIEN__OP_Add, x, y);
    y = with_norm ? norm(&t, y, 16, 0.0)
                  : net_op(&t, MIEN__OP_Affine, y, NET_WEIGHTS(&t, 16), NET_WEIGHTS(&t, 16), NULL);
    y = net_conv(&t, y, 16, 8, 3, 1, 1, 1);
    y = net_op1(&t, MIEN__OP_Flatten, net_op1(&t, MIEN__OP_GlobalAvgPool, y));
    y = net_op(&t, MIEN__OP_Gemm, y, NET_WEIGHTS(&t, LEN, 8), NET_WEIGHTS(&t, LEN), NULL);
    net_output(&t, with_norm ? norm(&t, y, LEN, 0.0) : y);
    return net_model(&t, simplify);
}

static uint32_t count(const mien_model *m, mien__op op)
{
    const mien__graph *g = mien__model_graph(m);
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->n_nodes; i++)
        n += g->nodes[i].op == op;
    return n;
}

/* Two pictures through a session; *ret_layers its steps. */
static void run(const mien_model *m, float ret[2 * LEN], size_t *ret_layers)
{
    mien_session *s = NULL;
    float *in = NULL;
    mien_tensor_view v;
    mien_layer_info layer;
    const mien_tensor_view shape = net_shape(4, DIMS(2, 3, SIDE, SIDE));
    assert_int_equal(mien_session_new(m, NULL, &s, NULL), MIEN_OK);
    assert_int_equal(mien_session_prepare(s, 1, &shape, &in, NULL), MIEN_OK);
    net_fill(in, 2 * 3 * SIDE * SIDE, 11);
    assert_int_equal(mien_session_run(s, NULL), MIEN_OK);
    assert_int_equal(mien_session_output(s, 0, &v, NULL), MIEN_OK);
    assert_int_equal(mien__elems(v.rank, v.dims), 2 * LEN);
    memcpy(ret, v.data, 2 * LEN * sizeof *ret);
    *ret_layers = 0;
    while (mien_session_layer(s, *ret_layers, &layer, NULL) == MIEN_OK)
        ++*ret_layers;
    mien_session_free(s);
}

static void simplify_batch_norm_folds_as_an_affine_does(void **state)
{
    mien_model *m = make_net(true, true), *without = make_net(false, true);
    float a[2 * LEN], b[2 * LEN];
    size_t layers = 0, want = 0;
    (void)state;
    assert_int_equal(count(m, MIEN__OP_BatchNorm), 0);
    assert_int_equal(count(m, MIEN__OP_Affine), 1); /* in front of padding it must stay */
    assert_int_equal(mien__model_graph(m)->n_nodes, mien__model_graph(without)->n_nodes);
    run(m, a, &layers);
    run(without, b, &want);
    assert_int_equal(layers, want); /* it costs nothing */
    mien_model_free(without);
    mien_model_free(m);
}

/* Values of order 1 through four layers of at most 144 terms: 1e-4 is some hundred roundings. */
static void session_batch_norm_runs_unsimplified_from_a_file(void **state)
{
    mien_model *m = make_net(true, false), *simple = make_net(true, true), *back = NULL;
    const mien_model_info info = mien__model_info_empty();
    float a[2 * LEN], b[2 * LEN];
    size_t layers = 0;
    mien__buf file;
    (void)state;
    mien__buf_init(&file, 1 << 24);
    assert_int_equal(mien__file_write(mien__model_graph(m), &info, MIEN_STORE_EXACT, &file, NULL), MIEN_OK);
    assert_int_equal(mien_model_load_memory(file.data, file.size, &back, NULL), MIEN_OK);
    assert_int_equal(count(back, MIEN__OP_BatchNorm), 4); /* training finds them again */
    run(back, a, &layers);
    run(simple, b, &layers);
    for (int i = 0; i < 2 * LEN; i++)
        if (!(fabsf(a[i] - b[i]) <= 1e-4f))
            fail_msg("seed %u: %d is %g, simplified %g", NET_SEED, i, a[i], b[i]);
    mien_model_free(back);
    mien__buf_free(&file);
    mien_model_free(simple);
    mien_model_free(m);
}

/* Parameters that a network computes cannot be folded; wrong ones are named when it is planned. */
static void simplify_batch_norm_leaves_what_it_cannot_fold(void **state)
{
    static const int64_t lengths[] = { 3, 4, 1 };
    (void)state;
    for (size_t i = 0; i < MIEN_COUNTOF(lengths); i++)
        for (int computed = 0; computed < 2; computed++) {
            net t;
            mien__plan *p = NULL;
            mien_error err = MIEN_ERROR_INIT;
            net_open(&t);
            const uint32_t x = NET_INPUT(&t, 2, 3, 4, 4), out = net_value(&t, MIEN__F32, -1, NULL, NULL);
            uint32_t in[5] = { x, NET_WEIGHTS(&t, 3), NET_WEIGHTS(&t, 3), NET_WEIGHTS(&t, 3), 0 };
            in[4] = net_weights(&t, 1, &lengths[i]);
            if (computed)
                in[1] = net_input(&t, 1, &lengths[i]);
            assert_true(mien__graph_add_node(t.g, MIEN__OP_BatchNorm, "bn", in, 5, &out, 1, NULL));
            net_output(&t, out);
            mien_model *m = net_model(&t, true);
            const mien_tensor_view shapes[2] = { net_shape(4, DIMS(2, 3, 4, 4)), net_shape(1, &lengths[i]) };
            const bool right = lengths[i] == 3;
            assert_int_equal(count(m, MIEN__OP_BatchNorm), computed || !right);
            assert_int_equal(mien__plan_new(m, mien__kernels_get(), 1, shapes, &p, &err),
                             right ? MIEN_OK : MIEN_E_MODEL_SHAPE);
            mien__plan_free(p);
            mien_model_free(m);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simplify_batch_norm_folds_as_an_affine_does),
        cmocka_unit_test(session_batch_norm_runs_unsimplified_from_a_file),
        cmocka_unit_test(simplify_batch_norm_leaves_what_it_cannot_fold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
