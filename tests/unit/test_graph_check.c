/* Graphs as hostile files may build them: every fault is an error that names the node. */
#include "../nn_fixtures.h"

static mien_status check(net *t, mien_error *err)
{
    assert_true(mien__graph_set_io(t->g, t->inputs, t->n_in, t->outputs, t->n_out));
    return mien__graph_check(t->g, err);
}

static void graph_check_unsorted_nodes_are_sorted(void **state)
{
    net t;
    uint32_t mid = 0, out = 0;
    (void)state;
    net_open(&t);
    const uint32_t x = NET_INPUT(&t, 1, 4);
    mid = net_value(&t, MIEN__F32, -1, NULL, NULL);
    out = net_value(&t, MIEN__F32, -1, NULL, NULL);
    assert_true(mien__graph_add_node(t.g, MIEN__OP_Relu, "second", &mid, 1, &out, 1, NULL));
    assert_true(mien__graph_add_node(t.g, MIEN__OP_Neg, "first", &x, 1, &mid, 1, NULL));
    net_output(&t, out);
    assert_int_equal(check(&t, NULL), MIEN_OK);
    assert_string_equal(t.g->nodes[0].name, "first");
    mien__graph_free(t.g);
}

static void graph_check_cycle_names_node(void **state)
{
    net t;
    mien_error err = MIEN_ERROR_INIT;
    (void)state;
    net_open(&t);
    const uint32_t x = NET_INPUT(&t, 1, 4);
    const uint32_t a = net_value(&t, MIEN__F32, -1, NULL, NULL), b = net_value(&t, MIEN__F32, -1, NULL, NULL);
    const uint32_t in_a[2] = { x, b };
    assert_true(mien__graph_add_node(t.g, MIEN__OP_Add, "loop_add", in_a, 2, &a, 1, NULL));
    assert_true(mien__graph_add_node(t.g, MIEN__OP_Relu, "loop_relu", &a, 1, &b, 1, NULL));
    net_output(&t, b);
    assert_int_equal(check(&t, &err), MIEN_E_MODEL_CORRUPT);
    assert_non_null(strstr(err.message, "loop_"));
    assert_non_null(strstr(err.message, "cycle"));
    mien__graph_free(t.g);
}

static void graph_check_unknown_operator_returns_op(void **state)
{
    net t;
    mien_error err = MIEN_ERROR_INIT;
    (void)state;
    net_open(&t);
    const uint32_t x = NET_INPUT(&t, 1, 4), out = net_value(&t, MIEN__F32, -1, NULL, NULL);
    assert_true(mien__graph_add_node(t.g, (mien__op)5000, "strange\n", &x, 1, &out, 1, NULL));
    net_output(&t, out);
    assert_int_equal(check(&t, &err), MIEN_E_MODEL_OP);
    assert_non_null(strstr(err.message, "strange?")); /* control characters never reach a terminal */
    mien__graph_free(t.g);
}

static void graph_check_wrong_arity_returns_op(void **state)
{
    net t;
    (void)state;
    net_open(&t);
    const uint32_t x = NET_INPUT(&t, 1, 4);
    net_output(&t, net_op1(&t, MIEN__OP_Add, x));
    assert_int_equal(check(&t, NULL), MIEN_E_MODEL_OP);
    mien__graph_free(t.g);
}

static void graph_check_value_made_twice_returns_corrupt(void **state)
{
    net t;
    (void)state;
    net_open(&t);
    const uint32_t x = NET_INPUT(&t, 1, 4), out = net_op1(&t, MIEN__OP_Relu, x);
    assert_true(mien__graph_add_node(t.g, MIEN__OP_Neg, "again", &x, 1, &out, 1, NULL));
    net_output(&t, out);
    assert_int_equal(check(&t, NULL), MIEN_E_MODEL_CORRUPT);
    mien__graph_free(t.g);
}

static void graph_check_missing_source_or_index_returns_corrupt(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        net t;
        net_open(&t);
        NET_INPUT(&t, 1, 4);
        const uint32_t orphan = k ? 77777 : net_value(&t, MIEN__F32, -1, NULL, NULL);
        net_output(&t, net_op1(&t, MIEN__OP_Relu, orphan));
        assert_int_equal(check(&t, NULL), MIEN_E_MODEL_CORRUPT);
        mien__graph_free(t.g);
    }
}

static void elems_overflow_or_free_returns_minus_one(void **state)
{
    (void)state;
    assert_int_equal(mien__elems(3, DIMS(2, 3, 4)), 24);
    assert_int_equal(mien__elems(0, NULL), 1);
    assert_int_equal(mien__elems(2, DIMS(0, 5)), 0);
    assert_int_equal(mien__elems(2, DIMS(-1, 5)), -1);
    assert_int_equal(mien__elems(4, DIMS(1 << 20, 1 << 20, 1 << 20, 1 << 20)), -1);
    assert_int_equal(mien__elems(2, DIMS(INT64_MAX, INT64_MAX)), -1);
}

/* Shapes that do not fit are found when planning, with the node's name. */
static void plan_of(net *t, mien_status want, int rank, const int64_t *dims)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_model *m = net_model(t, false);
    const mien_tensor_view shape = net_shape(rank, dims);
    mien__plan *plan = NULL;
    assert_int_equal(mien__plan_new(m, NULL, 1, &shape, &plan, &err), want);
    assert_non_null(strstr(err.message, "node 'v"));
    mien_model_free(m);
}

static void plan_wrong_channels_names_node(void **state)
{
    net t;
    (void)state;
    net_open(&t);
    const uint32_t x = NET_INPUT(&t, -1, -1, -1, -1);
    net_output(&t, net_conv(&t, x, 8, 8, 3, 1, 1, 1));
    plan_of(&t, MIEN_E_MODEL_SHAPE, 4, DIMS(1, 7, 9, 9));
}

static void plan_wrong_rank_names_node(void **state)
{
    net t;
    (void)state;
    net_open(&t);
    const uint32_t x = NET_INPUT(&t, -1, -1);
    net_output(&t, net_conv(&t, x, 8, 8, 3, 1, 1, 1));
    plan_of(&t, MIEN_E_MODEL_SHAPE, 2, DIMS(1, 8));
}

static void plan_overflowing_size_returns_limit(void **state)
{
    net t;
    (void)state;
    net_open(&t);
    const uint32_t x = NET_INPUT(&t, 1, 2);
    net_output(&t, net_op2(&t, MIEN__OP_Expand, x, NET_I64(&t, 1 << 20, 1 << 20, 2)));
    plan_of(&t, MIEN_E_LIMIT, 2, DIMS(1, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(graph_check_unsorted_nodes_are_sorted),
        cmocka_unit_test(graph_check_cycle_names_node),
        cmocka_unit_test(graph_check_unknown_operator_returns_op),
        cmocka_unit_test(graph_check_wrong_arity_returns_op),
        cmocka_unit_test(graph_check_value_made_twice_returns_corrupt),
        cmocka_unit_test(graph_check_missing_source_or_index_returns_corrupt),
        cmocka_unit_test(elems_overflow_or_free_returns_minus_one),
        cmocka_unit_test(plan_wrong_channels_names_node),
        cmocka_unit_test(plan_wrong_rank_names_node),
        cmocka_unit_test(plan_overflowing_size_returns_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
