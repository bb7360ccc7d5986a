/* Each operator's reference against values worked out by hand (or in double next to it). */
#include "../nn_fixtures.h"

#define F(...) ((const float[]){ __VA_ARGS__ })
#define N(...) ((int64_t)(sizeof(F(__VA_ARGS__)) / sizeof(float)))

/* Run a one-input network on `x` by references and compare; every bound here is a few float roundings. */
static void expect(net *t, const float *x, int rank, const int64_t *dims, const float *want, int64_t n,
                   float bound)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_model *m = net_model(t, false);
    mien__plan *p = NULL;
    const mien_tensor_view shape = net_shape(rank, dims);
    if (mien__plan_new(m, NULL, 1, &shape, &p, &err))
        fail_msg("%s", err.message);
    memcpy(p->slots[p->input_slots[0]].t.data, x, (size_t)mien__elems(rank, dims) * sizeof *x);
    mien__plan_run(p, NULL);
    const mien__tensor *out = &p->slots[p->output_slots[0]].t;
    assert_int_equal(mien__elems(out->rank, out->dims), n);
    for (int64_t i = 0; i < n; i++)
        if (!(fabsf(((const float *)out->data)[i] - want[i]) <= bound))
            fail_msg("element %d is %g, wanted %g", (int)i, ((const float *)out->data)[i], want[i]);
    mien__plan_free(p);
    mien_model_free(m);
}

#define EXPECT(t, x, dims, bound, ...) \
    expect((t), (x), (int)(sizeof(dims) / sizeof(int64_t)), (dims), F(__VA_ARGS__), N(__VA_ARGS__), (bound))

static uint32_t open_input(net *t, int rank)
{
    net_open(t);
    return net_input(t, rank, DIMS(-1, -1, -1, -1, -1, -1, -1, -1));
}

static void unary_known_points_give_known_values(void **state)
{
    static const struct {
        mien__op op;
        float want[4];
    } cases[] = {
        { MIEN__OP_Relu, { 0, 0, 1, 4 } },
        { MIEN__OP_LeakyRelu, { -0.02f, 0, 1, 4 } },
        { MIEN__OP_Sigmoid, { 0.11920292f, 0.5f, 0.73105858f, 0.98201379f } },
        { MIEN__OP_Tanh, { -0.96402758f, 0, 0.76159416f, 0.9993293f } },
        { MIEN__OP_HardSigmoid, { 0.1f, 0.5f, 0.7f, 1.0f } },
        { MIEN__OP_HardSwish, { -0.33333333f, 0, 0.66666667f, 4 } },
        { MIEN__OP_Gelu, { -0.04550026f, 0, 0.84134475f, 3.99987331f } },
        { MIEN__OP_Erf, { -0.99532227f, 0, 0.84270079f, 1 } },
        { MIEN__OP_Exp, { 0.13533528f, 1, 2.71828183f, 54.5981500f } },
        { MIEN__OP_Neg, { 2, 0, -1, -4 } },
        { MIEN__OP_Abs, { 2, 0, 1, 4 } },
        { MIEN__OP_Elu, { -0.86466472f, 0, 1, 4 } },
        { MIEN__OP_Softplus, { 0.12692801f, 0.69314718f, 1.31326169f, 4.01814993f } },
    };
    (void)state;
    for (size_t i = 0; i < MIEN_COUNTOF(cases); i++) {
        net t;
        const uint32_t x = open_input(&t, 1);
        net_output(&t, net_op1(&t, cases[i].op, x));
        expect(&t, F(-2, 0, 1, 4), 1, DIMS(4), cases[i].want, 4, 1e-5f);
    }
}

static void conv_hand_values_with_padding_stride_groups(void **state)
{
    static const int64_t dims[] = { 1, 1, 3, 3 }, two[] = { 1, 2, 2, 2 };
    net t;
    mien__node *n = NULL;
    (void)state;
    uint32_t x = open_input(&t, 4);
    uint32_t w = net_const(&t, 4, DIMS(1, 1, 2, 2), F(1, 2, 3, 4)), b = net_const(&t, 1, DIMS(1), F(10));
    net_output(&t, net_op(&t, MIEN__OP_Conv, x, w, b, &n));
    assert_true(mien__node_set_ints(t.g, n, MIEN__ATTR_STRIDE, DIMS(2, 2), 2));
    assert_true(mien__node_set_ints(t.g, n, MIEN__ATTR_PAD, DIMS(1, 1, 0, 0), 4));
    EXPECT(&t, F(1, 2, 3, 4, 5, 6, 7, 8, 9), dims, 0.0f, 14, 28, 46, 87);
    x = open_input(&t, 4); /* depthwise, two channels */
    w = net_const(&t, 4, DIMS(2, 1, 1, 1), F(2, -1));
    net_output(&t, net_op(&t, MIEN__OP_Conv, x, w, MIEN__NO_VALUE, &n));
    assert_true(mien__node_set_int(t.g, n, MIEN__ATTR_GROUP, 2));
    EXPECT(&t, F(1, 2, 3, 4, 5, 6, 7, 8), two, 0.0f, 2, 4, 6, 8, -5, -6, -7, -8);
    x = open_input(&t, 4); /* dilation 2 */
    w = net_const(&t, 4, DIMS(1, 1, 2, 2), F(1, 2, 3, 4));
    net_output(&t, net_op(&t, MIEN__OP_Conv, x, w, MIEN__NO_VALUE, &n));
    assert_true(mien__node_set_ints(t.g, n, MIEN__ATTR_DILATION, DIMS(2, 2), 2));
    EXPECT(&t, F(1, 2, 3, 4, 5, 6, 7, 8, 9), dims, 0.0f, 1 + 6 + 21 + 36);
}

static void dense_hand_values(void **state)
{
    static const int64_t dims[] = { 2, 2 }, batch[] = { 2, 1, 2 };
    net t;
    (void)state;
    uint32_t x = open_input(&t, 2);
    net_output(&t, net_op(&t, MIEN__OP_Gemm, x, net_const(&t, 2, DIMS(3, 2), F(1, 2, 3, 4, 5, 6)),
                          net_const(&t, 1, DIMS(3), F(1, 0, -1)), NULL));
    EXPECT(&t, F(1, 1, 2, 0), dims, 0.0f, 4, 7, 10, 3, 6, 9);
    x = open_input(&t, 3); /* [2,1,2] x [2,2] broadcasts */
    net_output(&t, net_op2(&t, MIEN__OP_MatMul, x, net_const(&t, 2, DIMS(2, 2), F(1, 2, 3, 4))));
    EXPECT(&t, F(1, 1, 2, 0), batch, 0.0f, 4, 6, 2, 4);
    x = open_input(&t, 2);
    net_output(&t, net_op(&t, MIEN__OP_Affine, x, net_const(&t, 1, DIMS(2), F(2, 3)),
                          net_const(&t, 1, DIMS(2), F(0, 1)), NULL));
    EXPECT(&t, F(1, 1, 2, 0), dims, 0.0f, 2, 4, 4, 1);
    x = open_input(&t, 2);
    net_output(&t, net_op2(&t, MIEN__OP_PRelu, x, net_const(&t, 1, DIMS(2), F(0.5f, 0.25f))));
    EXPECT(&t, F(-1, -1, 2, -4), dims, 0.0f, -0.5f, -0.25f, 2, -1);
}

/* scale 2, 3; shift 0, 1; mean 1, -1; var 3, 0 with EPSILON 1: inv 1/2, 1 */
static void batch_norm_hand_values(void **state)
{
    static const int64_t dims[] = { 2, 2 };
    net t;
    mien__node *n = NULL;
    (void)state;
    const uint32_t x = open_input(&t, 2), y = net_value(&t, MIEN__F32, -1, NULL, NULL);
    const uint32_t in[5] = { x, net_const(&t, 1, DIMS(2), F(2, 3)), net_const(&t, 1, DIMS(2), F(0, 1)),
                             net_const(&t, 1, DIMS(2), F(1, -1)), net_const(&t, 1, DIMS(2), F(3, 0)) };
    assert_true(mien__graph_add_node(t.g, MIEN__OP_BatchNorm, "bn", in, 5, &y, 1, &n));
    assert_true(mien__node_set_float(t.g, n, MIEN__ATTR_EPSILON, 1.0));
    net_output(&t, y);
    EXPECT(&t, F(1, 1, 3, 0), dims, 0.0f, 0, 7, 2, 4);
}

/* The gradients as the library is built, in float: test_ops_gradients checks them all in double. */
static void conv_backward_hand_values_add_up(void **state)
{
    net t;
    mien__node *n = NULL;
    float x[3] = { 1, 2, 3 }, w[2] = { 10, 20 }, y[2] = { 0 }, d_y[2] = { 1, 2 };
    float d_x[3] = { 100, 100, 100 }, d_w[2] = { 100, 100 }, d_b[1] = { 100 };
    mien__tensor tx = { MIEN__F32, 4, { 1, 1, 1, 3 }, x }, tw = { MIEN__F32, 4, { 1, 1, 1, 2 }, w };
    mien__tensor out = { MIEN__F32, 4, { 1, 1, 1, 2 }, y }, gx = tx, gw = tw, gy = out;
    mien__tensor gb = { MIEN__F32, 1, { 1 }, d_b };
    (void)state;
    open_input(&t, 4);
    net_op(&t, MIEN__OP_Conv, t.inputs[0], NET_WEIGHTS(&t, 1, 1, 1, 2), NET_WEIGHTS(&t, 1), &n);
    gx.data = d_x;
    gw.data = d_w;
    gy.data = d_y;
    const mien__tensor *const in[3] = { &tx, &tw, &gb }, *const d_out[1] = { &gy };
    mien__tensor *const d_in[3] = { &gx, &gw, &gb };
    mien__op_def_of(MIEN__OP_Conv)->backward(n, in, &out, d_out, d_in);
    assert_true(d_x[0] == 110 && d_x[1] == 140 && d_x[2] == 140);
    assert_true(d_w[0] == 105 && d_w[1] == 108 && d_b[0] == 103);
    mien__graph_free(t.g);
}

static void binary_broadcasts_as_numpy(void **state)
{
    static const int64_t dims[] = { 2, 1, 3 };
    net t;
    (void)state;
    uint32_t x = open_input(&t, 3);
    net_output(&t, net_op2(&t, MIEN__OP_Add, x, net_const(&t, 2, DIMS(2, 1), F(10, 20))));
    EXPECT(&t, F(1, 2, 3, 4, 5, 6), dims, 0.0f, 11, 12, 13, 21, 22, 23, 14, 15, 16, 24, 25, 26);
    x = open_input(&t, 3);
    net_output(&t, net_op2(&t, MIEN__OP_Sub, net_const(&t, 0, NULL, F(1)), x));
    EXPECT(&t, F(1, 2, 3, 4, 5, 6), dims, 0.0f, 0, -1, -2, -3, -4, -5);
    x = open_input(&t, 3);
    net_output(&t, net_op2(&t, MIEN__OP_Pow, x, net_const(&t, 0, NULL, F(2))));
    EXPECT(&t, F(1, 2, 3, 4, 5, 6), dims, 1e-5f, 1, 4, 9, 16, 25, 36);
    x = open_input(&t, 3);
    net_output(&t, net_op2(&t, MIEN__OP_Max, x, net_const(&t, 1, DIMS(3), F(2, 2, 9))));
    EXPECT(&t, F(1, 2, 3, 4, 5, 6), dims, 0.0f, 2, 2, 9, 4, 5, 9);
}

static uint32_t pool_node(net *t, mien__op op, bool ceil, bool count_pad, int64_t pad)
{
    mien__node *n = NULL;
    const uint32_t out = net_op(t, op, open_input(t, 4), MIEN__NO_VALUE, MIEN__NO_VALUE, &n);
    assert_true(mien__node_set_ints(t->g, n, MIEN__ATTR_KERNEL, DIMS(2, 2), 2));
    assert_true(mien__node_set_ints(t->g, n, MIEN__ATTR_STRIDE, DIMS(2, 2), 2));
    assert_true(mien__node_set_ints(t->g, n, MIEN__ATTR_PAD, DIMS(pad, pad, pad, pad), 4));
    assert_true(mien__node_set_int(t->g, n, MIEN__ATTR_CEIL, ceil));
    assert_true(mien__node_set_int(t->g, n, MIEN__ATTR_COUNT_PAD, count_pad));
    return out;
}

static void pool_ceil_and_padding_count_as_onnx_runtime(void **state)
{
    static const int64_t dims[] = { 1, 1, 3, 3 };
    const float *x = F(1, 2, 3, 4, 5, 6, 7, 8, 9);
    net t;
    uint32_t y = pool_node(&t, MIEN__OP_MaxPool, false, false, 0);
    (void)state;
    net_output(&t, y);
    EXPECT(&t, x, dims, 0.0f, 5);
    y = pool_node(&t, MIEN__OP_MaxPool, true, false, 0);
    net_output(&t, y);
    EXPECT(&t, x, dims, 0.0f, 5, 6, 8, 9);
    y = pool_node(&t, MIEN__OP_AvgPool, true, false, 0);
    net_output(&t, y);
    EXPECT(&t, x, dims, 1e-6f, 3, 4.5f, 7.5f, 9);
    y = pool_node(&t, MIEN__OP_AvgPool, false, true, 1);
    net_output(&t, y);
    EXPECT(&t, x, dims, 1e-6f, 0.25f, 1.25f, 2.75f, 7);
    y = pool_node(&t, MIEN__OP_AvgPool, false, false, 1);
    net_output(&t, y);
    EXPECT(&t, x, dims, 1e-6f, 1, 2.5f, 5.5f, 7);
}

static void reductions_and_norms_hand_values(void **state)
{
    static const int64_t dims[] = { 2, 2 }, image[] = { 1, 1, 1, 4 };
    const float *x = F(3, 4, -1, 1);
    net t;
    mien__node *n = NULL;
    (void)state;
    static const struct {
        mien__op op;
        float want[2];
    } rows[] = { { MIEN__OP_ReduceMean, { 3.5f, 0 } },
                 { MIEN__OP_ReduceSum, { 7, 0 } },
                 { MIEN__OP_ReduceMax, { 4, 1 } },
                 { MIEN__OP_ReduceL2, { 5, 1.41421356f } } };
    for (size_t i = 0; i < MIEN_COUNTOF(rows); i++) {
        uint32_t y = open_input(&t, 2);
        y = net_op(&t, rows[i].op, y, MIEN__NO_VALUE, MIEN__NO_VALUE, &n);
        assert_true(mien__node_set_int(t.g, n, MIEN__ATTR_AXES, -1));
        net_output(&t, y);
        expect(&t, x, 2, dims, rows[i].want, 2, 1e-6f);
    }
    uint32_t y = open_input(&t, 2);
    net_output(&t, net_op1(&t, MIEN__OP_Softmax, y));
    EXPECT(&t, x, dims, 1e-6f, 0.26894142f, 0.73105858f, 0.11920292f, 0.88079708f);
    y = open_input(&t, 2);
    net_output(&t, net_op1(&t, MIEN__OP_L2Normalize, y));
    EXPECT(&t, x, dims, 1e-6f, 0.6f, 0.8f, -0.70710678f, 0.70710678f);
    y = open_input(&t, 2);
    net_output(&t, net_op(&t, MIEN__OP_LayerNorm, y, net_const(&t, 1, DIMS(2), F(2, 1)),
                          net_const(&t, 1, DIMS(2), F(0, 5)), NULL));
    EXPECT(&t, x, dims, 1e-4f, -2, 6, -2, 6);
    y = open_input(&t, 4);
    net_output(&t, net_op(&t, MIEN__OP_InstanceNorm, y, net_const(&t, 1, DIMS(1), F(1)),
                          net_const(&t, 1, DIMS(1), F(1)), NULL));
    EXPECT(&t, F(1, 1, 3, 3), image, 1e-4f, 0, 0, 2, 2);
}

static void moving_data_hand_values(void **state)
{
    static const int64_t dims[] = { 2, 3 }, image[] = { 1, 1, 2, 2 }, deep[] = { 1, 4, 1, 2 };
    const float *x = F(1, 2, 3, 4, 5, 6);
    net t;
    mien__node *n = NULL;
    (void)state;
    uint32_t y = open_input(&t, 2);
    net_output(&t, net_op1(&t, MIEN__OP_Transpose, y));
    EXPECT(&t, x, dims, 0.0f, 1, 4, 2, 5, 3, 6);
    y = open_input(&t, 2);
    y = net_op(&t, MIEN__OP_Concat, y, y, net_const(&t, 2, DIMS(2, 1), F(7, 8)), &n);
    assert_true(mien__node_set_int(t.g, n, MIEN__ATTR_AXIS, -1));
    net_output(&t, y);
    EXPECT(&t, x, dims, 0.0f, 1, 2, 3, 1, 2, 3, 7, 4, 5, 6, 4, 5, 6, 8);
    y = open_input(&t, 2); /* x[::-1, 1:] through starts, ends, axes, steps */
    const uint32_t in[5] = { y, NET_I64(&t, -1, 1), NET_I64(&t, INT64_MIN, INT64_MAX), NET_I64(&t, 0, 1),
                             NET_I64(&t, -1, 1) };
    uint32_t out = net_value(&t, MIEN__F32, -1, NULL, NULL);
    assert_true(mien__graph_add_node(t.g, MIEN__OP_Slice, "slice", in, 5, &out, 1, NULL));
    net_output(&t, out);
    EXPECT(&t, x, dims, 0.0f, 5, 6, 2, 3);
    y = open_input(&t, 2);
    y = net_op(&t, MIEN__OP_Pad, y, MIEN__NO_VALUE, MIEN__NO_VALUE, &n);
    assert_true(mien__node_set_ints(t.g, n, MIEN__ATTR_PAD, DIMS(0, 1, 1, -1), 4));
    assert_true(mien__node_set_float(t.g, n, MIEN__ATTR_VALUE, 9.0));
    net_output(&t, y);
    EXPECT(&t, x, dims, 0.0f, 9, 1, 2, 9, 4, 5, 9, 9, 9);
    y = open_input(&t, 2);
    y = net_op(&t, MIEN__OP_Gather, y, NET_I64(&t, -1, 0), MIEN__NO_VALUE, &n);
    assert_true(mien__node_set_int(t.g, n, MIEN__ATTR_AXIS, 1));
    net_output(&t, y);
    EXPECT(&t, x, dims, 0.0f, 3, 1, 6, 4);
    y = open_input(&t, 4);
    y = net_op(&t, MIEN__OP_Resize, y, net_const(&t, 1, DIMS(4), F(1, 1, 1, 2)), MIEN__NO_VALUE, &n);
    assert_true(mien__node_set_int(t.g, n, MIEN__ATTR_MODE, 1));
    net_output(&t, y);
    EXPECT(&t, F(1, 2, 3, 4), image, 1e-6f, 1, 1.25f, 1.75f, 2, 3, 3.25f, 3.75f, 4);
    y = open_input(&t, 4);
    y = net_op(&t, MIEN__OP_DepthToSpace, y, MIEN__NO_VALUE, MIEN__NO_VALUE, &n);
    assert_true(mien__node_set_int(t.g, n, MIEN__ATTR_BLOCK, 2));
    net_output(&t, y);
    EXPECT(&t, F(1, 2, 3, 4, 5, 6, 7, 8), deep, 0.0f, 1, 3, 2, 4, 5, 7, 6, 8);
}

/* Reshape by the input's own shape: Shape, Gather, Mul and Concat fold when the plan is made. */
static void shape_arithmetic_folds_at_plan_time(void **state)
{
    static const int64_t dims[] = { 2, 3 };
    net t;
    (void)state;
    const uint32_t x = open_input(&t, 2);
    uint32_t rows = net_op2(&t, MIEN__OP_Gather, net_op1(&t, MIEN__OP_Shape, x), NET_I64(&t, 1));
    rows = net_op2(&t, MIEN__OP_Mul, rows, NET_I64(&t, 2));
    net_output(&t, net_op2(&t, MIEN__OP_Reshape, x, rows));
    EXPECT(&t, F(1, 2, 3, 4, 5, 6), dims, 0.0f, 1, 2, 3, 4, 5, 6);
}

static void simplify_spelt_out_functions_are_recognised(void **state)
{
    net t;
    (void)state;
    const uint32_t x = open_input(&t, 2);
    uint32_t e =
        net_op1(&t, MIEN__OP_Erf, net_op2(&t, MIEN__OP_Div, x, net_const(&t, 0, NULL, F(1.41421356f))));
    e = net_op2(&t, MIEN__OP_Mul, x, net_op2(&t, MIEN__OP_Add, e, net_const(&t, 0, NULL, F(1))));
    e = net_op2(&t, MIEN__OP_Mul, e, net_const(&t, 0, NULL, F(0.5f)));
    net_output(&t, net_op1(&t, MIEN__OP_Identity, net_op1(&t, MIEN__OP_Identity, e)));
    mien_model *m = net_model(&t, true);
    assert_int_equal(mien__model_graph(m)->n_nodes, 1);
    assert_int_equal(mien__model_graph(m)->nodes[0].op, MIEN__OP_Gelu);
    mien_model_free(m);
}

static void simplify_batch_norm_folds_into_conv(void **state)
{
    net t;
    (void)state;
    net_open(&t);
    uint32_t y = net_conv(&t, NET_INPUT(&t, 1, 4, 8, 8), 4, 6, 3, 1, 1, 1);
    y = net_op(&t, MIEN__OP_Affine, y, NET_WEIGHTS(&t, 6), NET_WEIGHTS(&t, 6), NULL);
    net_output(&t, net_op2(&t, MIEN__OP_Mul, y, net_const(&t, 3, DIMS(6, 1, 1), F(1, 2, 3, 4, 5, 6))));
    mien_model *m = net_model(&t, true);
    assert_int_equal(mien__model_graph(m)->n_nodes, 1);
    assert_int_equal(mien__model_graph(m)->nodes[0].op, MIEN__OP_Conv);
    mien_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unary_known_points_give_known_values),
        cmocka_unit_test(conv_hand_values_with_padding_stride_groups),
        cmocka_unit_test(dense_hand_values),
        cmocka_unit_test(batch_norm_hand_values),
        cmocka_unit_test(conv_backward_hand_values_add_up),
        cmocka_unit_test(binary_broadcasts_as_numpy),
        cmocka_unit_test(pool_ceil_and_padding_count_as_onnx_runtime),
        cmocka_unit_test(reductions_and_norms_hand_values),
        cmocka_unit_test(moving_data_hand_values),
        cmocka_unit_test(shape_arithmetic_folds_at_plan_time),
        cmocka_unit_test(simplify_spelt_out_functions_are_recognised),
        cmocka_unit_test(simplify_batch_norm_folds_into_conv),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
