/* Sessions: fast plans against references, bytes that do not depend on threads or batch, no allocation once
 * planned, failures that leave the earlier plan in place.
 */
#include "../nn_fixtures.h"

/* A network with what the planner fuses: first layer, BN in front of a padded convolution, PRelu, residual,
 * depthwise, squeeze-excite, pooling, concatenation of odd and whole blocks, upsampling, heads with channels
 * last, FC. */
static mien_model *make_everything(bool simplify)
{
    net t;
    mien__node *n = NULL;
    net_open(&t);
    uint32_t x = net_conv(&t, NET_INPUT(&t, 1, 3, -1, -1), 3, 16, 3, 2, 1, 1);
    x = net_op2(&t, MIEN__OP_PRelu, x, NET_WEIGHTS(&t, 16));
    uint32_t y = net_op(&t, MIEN__OP_Affine, x, NET_WEIGHTS(&t, 16), NET_WEIGHTS(&t, 16), NULL);
    y = net_op2(&t, MIEN__OP_PRelu, net_conv(&t, y, 16, 16, 3, 1, 1, 1), NET_WEIGHTS(&t, 16));
    y = net_op(&t, MIEN__OP_Affine, net_conv(&t, y, 16, 16, 3, 1, 1, 1), NET_WEIGHTS(&t, 16),
               NET_WEIGHTS(&t, 16), NULL);
    x = net_op1(&t, MIEN__OP_Relu, net_op2(&t, MIEN__OP_Add, y, x));
    y = net_op1(&t, MIEN__OP_HardSwish,
                net_conv(&t, net_conv(&t, x, 16, 24, 1, 1, 0, 1), 24, 24, 5, 1, 2, 24));
    uint32_t gate =
        net_op1(&t, MIEN__OP_Relu, net_conv(&t, net_op1(&t, MIEN__OP_GlobalAvgPool, y), 24, 8, 1, 1, 0, 1));
    gate = net_op1(&t, MIEN__OP_Sigmoid, net_conv(&t, gate, 8, 24, 1, 1, 0, 1));
    y = net_op2(&t, MIEN__OP_Mul, y, gate);
    uint32_t both = net_op(&t, MIEN__OP_Concat, x, y, MIEN__NO_VALUE, &n);
    assert_true(mien__node_set_int(t.g, n, MIEN__ATTR_AXIS, 1));
    uint32_t small = net_op(&t, MIEN__OP_MaxPool, both, MIEN__NO_VALUE, MIEN__NO_VALUE, &n);
    assert_true(mien__node_set_ints(t.g, n, MIEN__ATTR_KERNEL, DIMS(2, 2), 2));
    assert_true(mien__node_set_ints(t.g, n, MIEN__ATTR_STRIDE, DIMS(2, 2), 2));
    small = net_op1(&t, MIEN__OP_Tanh, net_conv(&t, small, 40, 40, 3, 1, 1, 4));
    const uint32_t scales = net_const(&t, 1, DIMS(4), (const float[]){ 1, 1, 2, 2 });
    uint32_t up = net_op(&t, MIEN__OP_Resize, small, scales, MIEN__NO_VALUE, &n);
    assert_true(mien__node_set_int(t.g, n, MIEN__ATTR_COORD, MIEN__COORD_ASYMMETRIC));
    assert_true(mien__node_set_int(t.g, n, MIEN__ATTR_ROUND, MIEN__ROUND_FLOOR));
    both = net_op2(&t, MIEN__OP_Add, both, up);
    for (int i = 0; i < 3; i++) {
        const int64_t c = i == 0 ? 1 : i == 1 ? 4 : 10;
        uint32_t head = net_conv(&t, net_conv(&t, both, 40, c, 1, 1, 0, 1), c, c, 3, 1, 1, c);
        head = net_op(&t, MIEN__OP_Transpose, head, MIEN__NO_VALUE, MIEN__NO_VALUE, &n);
        assert_true(mien__node_set_ints(t.g, n, MIEN__ATTR_PERM, DIMS(0, 2, 3, 1), 4));
        head = net_op2(&t, MIEN__OP_Reshape, head, NET_I64(&t, 0, -1, c));
        net_output(&t, i ? head : net_op1(&t, MIEN__OP_Sigmoid, head));
    }
    uint32_t fc = net_op1(&t, MIEN__OP_Flatten, net_op1(&t, MIEN__OP_GlobalAvgPool, small));
    fc = net_op1(&t, MIEN__OP_Relu,
                 net_op(&t, MIEN__OP_Gemm, fc, NET_WEIGHTS(&t, 21, 40), NET_WEIGHTS(&t, 21), NULL));
    net_output(&t, net_op2(&t, MIEN__OP_MatMul, fc, NET_WEIGHTS(&t, 21, 13)));
    return net_model(&t, simplify);
}

static void run_plan(const mien__plan *p, uint64_t seed)
{
    const mien__slot *in = &p->slots[p->input_slots[0]];
    net_fill(in->t.data, in->bytes / sizeof(float), seed);
    mien__plan_run(p, NULL);
}

static double worst_difference(const mien__plan *a, const mien__plan *b)
{
    double worst = 0.0;
    for (uint32_t o = 0; a->output_slots[o] != MIEN__NO_SLOT; o++) {
        const mien__tensor *x = &a->slots[a->output_slots[o]].t, *y = &b->slots[b->output_slots[o]].t;
        const int64_t n = mien__elems(x->rank, x->dims);
        assert_int_equal(n, mien__elems(y->rank, y->dims));
        for (int64_t i = 0; i < n; i++) {
            const double d = fabs((double)((const float *)x->data)[i] - ((const float *)y->data)[i]);
            worst = d <= worst ? worst : d;
        }
    }
    return worst;
}

/* Every level against the reference of the graph as it was before simplifying. Values are of order 1, sums of
 * at most 360 terms over 12 layers; Winograd's transforms cost some 10 eps each: 2e-4 leaves room for all of
 * it and none for a wrong weight. */
static void plan_fused_every_level_matches_reference(void **state)
{
    static const int64_t sizes[][2] = { { 32, 32 }, { 36, 52 }, { 64, 28 } };
    mien_model *plain = make_everything(false), *simple = make_everything(true);
    (void)state;
    for (size_t i = 0; i < MIEN_COUNTOF(sizes); i++) {
        const mien_tensor_view shape = net_shape(4, DIMS(1, 3, sizes[i][0], sizes[i][1]));
        mien__plan *want = NULL;
        assert_int_equal(mien__plan_new(plain, NULL, 1, &shape, &want, NULL), MIEN_OK);
        run_plan(want, 7 + i);
        for (int level = MIEN__CPU_SCALAR; level <= MIEN__CPU_NEON; level++) {
            const mien__kernels *k = mien__kernels_for((mien__cpu_level)level);
            mien__plan *got = NULL;
            if (level != MIEN__CPU_SCALAR && !k)
                continue;
            assert_int_equal(mien__plan_new(simple, k, 1, &shape, &got, NULL), MIEN_OK);
            run_plan(got, 7 + i);
            const double worst = worst_difference(want, got);
            if (!(worst < 2e-4))
                fail_msg("%s, seed %u: differs by %g", k ? k->name : "scalar", NET_SEED, worst);
            mien__plan_free(got);
        }
        mien__plan_free(want);
    }
    mien_model_free(simple);
    mien_model_free(plain);
}

/* A maximum of each 2x2 behind a depthwise convolution becomes part of it, at odd sizes too; one whose source
 * has another reader does not. */
static void plan_maximum_behind_depthwise_is_one_step(void **state)
{
    (void)state;
    for (int shared = 0; shared < 2; shared++) {
        net t;
        mien__node *n = NULL;
        net_open(&t);
        uint32_t x = net_conv(&t, NET_INPUT(&t, 1, 3, -1, -1), 3, 20, 1, 1, 0, 1);
        x = net_op1(&t, MIEN__OP_Relu, net_conv(&t, x, 20, 20, 3, 1, 1, 20));
        const uint32_t small = net_op(&t, MIEN__OP_MaxPool, x, MIEN__NO_VALUE, MIEN__NO_VALUE, &n);
        assert_true(mien__node_set_ints(t.g, n, MIEN__ATTR_KERNEL, DIMS(2, 2), 2));
        assert_true(mien__node_set_ints(t.g, n, MIEN__ATTR_STRIDE, DIMS(2, 2), 2));
        net_output(&t, small);
        if (shared)
            net_output(&t, x);
        mien_model *m = net_model(&t, true);
        const mien_tensor_view shape = net_shape(4, DIMS(2, 3, 17, 23));
        mien__plan *want = NULL;
        assert_int_equal(mien__plan_new(m, NULL, 1, &shape, &want, NULL), MIEN_OK);
        run_plan(want, 5);
        for (int level = MIEN__CPU_SSE2; level <= MIEN__CPU_NEON; level++) {
            const mien__kernels *k = mien__kernels_for((mien__cpu_level)level);
            mien__plan *got = NULL;
            bool alone = false;
            if (!k)
                continue;
            assert_int_equal(mien__plan_new(m, k, 1, &shape, &got, NULL), MIEN_OK);
            run_plan(got, 5);
            for (uint32_t i = 0; i < got->n_steps; i++)
                alone = alone || !strcmp(got->steps[i].op, "MaxPool");
            assert_int_equal(alone, shared);
            assert_true(worst_difference(want, got) < 1e-5);
            mien__plan_free(got);
        }
        mien__plan_free(want);
        mien_model_free(m);
    }
}

typedef struct outputs {
    uint8_t *bytes;
    size_t n;
} outputs;

/* Run through the public interface; outputs one after the other, each picture of a batch by itself. */
static outputs run_session(const mien_model *m, unsigned threads, int64_t batch, uint64_t first_seed,
                           int64_t picture)
{
    mien_session_opts opts = MIEN_SESSION_OPTS_INIT;
    mien_session *s = NULL;
    float *in = NULL;
    outputs r = { malloc(1 << 22), 0 };
    const mien_tensor_view shape = net_shape(4, DIMS(batch, 3, 48, 40));
    opts.threads = threads;
    assert_non_null(r.bytes);
    assert_int_equal(mien_session_new(m, &opts, &s, NULL), MIEN_OK);
    assert_int_equal(mien_session_prepare(s, 1, &shape, &in, NULL), MIEN_OK);
    for (int64_t i = 0; i < batch; i++)
        net_fill(in + i * 3 * 48 * 40, 3 * 48 * 40, first_seed + (uint64_t)i);
    assert_int_equal(mien_session_run(s, NULL), MIEN_OK);
    for (size_t o = 0; o < mien_session_n_outputs(s); o++) {
        mien_tensor_view v;
        assert_int_equal(mien_session_output(s, o, &v, NULL), MIEN_OK);
        const size_t per = (size_t)(mien__elems(v.rank, v.dims) / batch) * sizeof(float);
        assert_true(r.n + per <= 1 << 22);
        memcpy(r.bytes + r.n, (const char *)v.data + (size_t)picture * per, per);
        r.n += per;
    }
    mien_session_free(s);
    return r;
}

static void session_threads_and_batch_give_same_bytes(void **state)
{
    mien_model *m = make_everything(true);
    (void)state;
    const outputs want = run_session(m, 1, 1, 101, 0);
    const struct {
        unsigned threads;
        int64_t batch, picture;
    } cases[] = { { 1, 1, 0 }, { 2, 1, 0 }, { 7, 1, 0 }, { 1, 3, 1 }, { 2, 4, 2 } };
    for (size_t i = 0; i < MIEN_COUNTOF(cases); i++) {
        const outputs got = run_session(m, cases[i].threads, cases[i].batch, 101 - (uint64_t)cases[i].picture,
                                        cases[i].picture);
        assert_int_equal(got.n, want.n);
        assert_memory_equal(got.bytes, want.bytes, want.n);
        free(got.bytes);
    }
    free(want.bytes);
    mien_model_free(m);
}

static void session_second_run_allocates_nothing(void **state)
{
    mien_model *m = make_everything(true);
    mien_session *s = NULL;
    float *in = NULL, *again = NULL;
    const mien_tensor_view shape = net_shape(4, DIMS(1, 3, 32, 32));
    (void)state;
    assert_int_equal(mien_session_new(m, NULL, &s, NULL), MIEN_OK);
    assert_int_equal(mien_session_prepare(s, 1, &shape, &in, NULL), MIEN_OK);
    net_fill(in, 3 * 32 * 32, 5);
    assert_int_equal(mien_session_run(s, NULL), MIEN_OK);
    const uint64_t before = mien__alloc_count();
    assert_int_equal(mien_session_prepare(s, 1, &shape, &again, NULL), MIEN_OK);
    assert_int_equal(mien_session_run(s, NULL), MIEN_OK);
    assert_int_equal(mien__alloc_count(), before);
    assert_ptr_equal(in, again);
    mien_session_free(s);
    mien_model_free(m);
}

static void session_failed_prepare_keeps_plan(void **state)
{
    mien_model *m = make_everything(true);
    mien_session *s = NULL;
    float *in = NULL, *other = NULL;
    mien_error err = MIEN_ERROR_INIT;
    mien_tensor_view v;
    const mien_tensor_view good = net_shape(4, DIMS(1, 3, 32, 32));
    const mien_tensor_view bad[] = { net_shape(4, DIMS(1, 4, 32, 32)), net_shape(3, DIMS(3, 32, 32)),
                                     net_shape(4, DIMS(1, 3, 0, 32)), net_shape(4, DIMS(1, 3, 34, 32)),
                                     net_shape(4, DIMS(1, 3, INT64_MAX / 2, 32)) };
    (void)state;
    assert_int_equal(mien_session_new(m, NULL, &s, NULL), MIEN_OK);
    assert_int_equal(mien_session_run(s, NULL), MIEN_E_ARG);
    assert_int_equal(mien_session_output(s, 0, &v, NULL), MIEN_E_ARG);
    assert_int_equal(mien_session_prepare(s, 1, &good, &in, NULL), MIEN_OK);
    net_fill(in, 3 * 32 * 32, 5);
    for (size_t i = 0; i < MIEN_COUNTOF(bad); i++) {
        assert_int_not_equal(mien_session_prepare(s, 1, &bad[i], &other, &err), MIEN_OK);
        assert_true(err.message[0] != 0);
    }
    assert_int_equal(mien_session_prepare(s, 2, bad, &other, NULL), MIEN_E_ARG);
    assert_int_equal(mien_session_run(s, NULL), MIEN_OK);
    assert_int_equal(mien_session_output(s, 0, &v, NULL), MIEN_OK);
    assert_int_equal(v.dims[1], 16 * 16);
    assert_int_equal(mien_session_output(s, 99, &v, NULL), MIEN_E_NOT_FOUND);
    mien_session_free(s);
    mien_model_free(m);
}

static void session_layers_name_what_was_fused(void **state)
{
    mien_model *m = make_everything(true);
    mien_session *s = NULL;
    float *in = NULL;
    mien_layer_info layer;
    bool residual = false;
    const mien_tensor_view shape = net_shape(4, DIMS(1, 3, 32, 32));
    (void)state;
    assert_int_equal(mien_session_new(m, NULL, &s, NULL), MIEN_OK);
    assert_int_equal(mien_session_layer(s, 0, &layer, NULL), MIEN_E_NOT_FOUND);
    assert_int_equal(mien_session_prepare(s, 1, &shape, &in, NULL), MIEN_OK);
    assert_int_equal(mien_session_profile(s, 3, NULL), MIEN_OK);
    for (size_t i = 0; mien_session_layer(s, i, &layer, NULL) == MIEN_OK; i++) {
        assert_non_null(layer.kernel);
        assert_true(layer.ms >= 0.0);
        residual = residual || strstr(layer.op, "Conv+Add+Relu") != NULL;
    }
    assert_true(residual || mien__cpu() == MIEN__CPU_SCALAR);
    assert_true(mien_session_arena_bytes(s) > 0);
    mien_session_free(s);
    mien_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan_fused_every_level_matches_reference),
        cmocka_unit_test(plan_maximum_behind_depthwise_is_one_step),
        cmocka_unit_test(session_threads_and_batch_give_same_bytes),
        cmocka_unit_test(session_second_run_allocates_nothing),
        cmocka_unit_test(session_failed_prepare_keeps_plan),
        cmocka_unit_test(session_layers_name_what_was_fused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
