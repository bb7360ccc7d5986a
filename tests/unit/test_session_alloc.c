/* Every allocation of loading, planning, running and saving fails once: an error, no leak, and the next try
 * works. */
#include "../nn_fixtures.h"
#include "nn/mien_file.h"

static struct {
    long live, left; /* left: allocations until one fails; negative: never */
} heap;

static void *failing_alloc(size_t bytes, size_t align, void *user)
{
    void *ptr = NULL;
    (void)user;
    if (heap.left == 0 || posix_memalign(&ptr, align, bytes) != 0)
        return NULL;
    if (heap.left > 0)
        heap.left--;
    heap.live++;
    return ptr;
}

static void counting_free(void *ptr, void *user)
{
    (void)user;
    heap.live--;
    free(ptr);
}

static mien_model *make_model(void)
{
    net t;
    mien__node *n = NULL;
    net_open(&t);
    uint32_t x = net_conv(&t, NET_INPUT(&t, 1, 3, 16, 16), 3, 16, 3, 1, 1, 1);
    x = net_op(&t, MIEN__OP_Affine, net_op1(&t, MIEN__OP_Relu, x), NET_WEIGHTS(&t, 16), NET_WEIGHTS(&t, 16),
               NULL);
    x = net_op2(&t, MIEN__OP_PRelu, net_conv(&t, x, 16, 20, 3, 2, 1, 1), NET_WEIGHTS(&t, 20));
    for (int i = 0; i < 2; i++) {
        const uint32_t y = net_op(&t, MIEN__OP_Transpose, net_conv(&t, x, 20, 3 + i, 1, 1, 0, 1),
                                  MIEN__NO_VALUE, MIEN__NO_VALUE, &n);
        assert_true(mien__node_set_ints(t.g, n, MIEN__ATTR_PERM, DIMS(0, 2, 3, 1), 4));
        net_output(&t, y);
    }
    net_output(&t, net_op2(&t, MIEN__OP_MatMul,
                           net_op1(&t, MIEN__OP_Flatten, net_op1(&t, MIEN__OP_GlobalAvgPool, x)),
                           NET_WEIGHTS(&t, 20, 7)));
    return net_model(&t, true);
}

/* The whole walk; *ret_sum tells whether the result is the same each time. */
static mien_status walk(const mien__buf *file, double *ret_sum)
{
    mien_model *m = NULL;
    mien_session *s = NULL;
    float *in = NULL;
    mien_tensor_view v;
    mien__buf out;
    const mien_tensor_view shape = net_shape(4, DIMS(1, 3, 16, 16));
    mien__buf_init(&out, 1 << 24);
    mien_status st = mien_model_load_memory(file->data, file->size, &m, NULL);
    if (st || (st = mien_session_new(m, NULL, &s, NULL)) ||
        (st = mien_session_prepare(s, 1, &shape, &in, NULL)))
        goto done;
    net_fill(in, 3 * 16 * 16, 9);
    if ((st = mien_session_run(s, NULL)) || (st = mien_session_output(s, 2, &v, NULL)) ||
        (st = mien_session_profile(s, 2, NULL)) ||
        (st = mien__file_write(mien__model_graph(m), mien_model_info_of(m), MIEN_STORE_EXACT, &out, NULL)))
        goto done;
    *ret_sum = 0.0;
    for (int i = 0; i < 7; i++)
        *ret_sum += (double)v.data[i] * (i + 1);
done:
    mien__buf_free(&out);
    mien_session_free(s);
    mien_model_free(m);
    return st;
}

static void session_each_failing_allocation_is_survived(void **state)
{
    const mien_allocator hook = { failing_alloc, counting_free, NULL };
    mien_model *m = NULL;
    mien__buf file;
    double want = 0.0, got = 0.0;
    mien_status st = MIEN_E_NOMEM;
    (void)state;
    heap.left = -1;
    mien_set_allocator(&hook);
    m = make_model();
    mien__buf_init(&file, 1 << 24);
    assert_int_equal(
        mien__file_write(mien__model_graph(m), mien_model_info_of(m), MIEN_STORE_EXACT, &file, NULL),
        MIEN_OK);
    mien_model_free(m);
    assert_int_equal(walk(&file, &want), MIEN_OK);
    const long before = heap.live;
    for (long n = 0; st != MIEN_OK; n++) {
        heap.left = n;
        st = walk(&file, &got);
        assert_int_equal(heap.live, before);
        assert_true(st == MIEN_OK || st == MIEN_E_NOMEM);
        assert_true(n < 5000);
    }
    assert_true(memcmp(&want, &got, sizeof want) == 0);
    heap.left = -1;
    mien__buf_free(&file);
    assert_int_equal(heap.live, 0);
    mien_set_allocator(NULL);
}

/* Building and simplifying: the graph may refuse at any point, nothing leaks. */
static void simplify_each_failing_allocation_is_survived(void **state)
{
    const mien_allocator hook = { failing_alloc, counting_free, NULL };
    mien_status st = MIEN_E_NOMEM;
    (void)state;
    mien_set_allocator(&hook);
    for (long n = 0; st != MIEN_OK && n < 2000; n++) {
        net t;
        heap.left = -1;
        net_open(&t);
        uint32_t x = net_conv(&t, NET_INPUT(&t, 1, 3, 8, 8), 3, 8, 3, 1, 1, 1);
        x = net_op(&t, MIEN__OP_Affine, x, NET_WEIGHTS(&t, 8), NET_WEIGHTS(&t, 8), NULL);
        net_output(&t, net_op1(&t, MIEN__OP_Identity,
                               net_op2(&t, MIEN__OP_Mul, x, net_const(&t, 0, NULL, (float[]){ 3 }))));
        assert_true(mien__graph_set_io(t.g, t.inputs, t.n_in, t.outputs, t.n_out));
        heap.left = n;
        st = mien__graph_check(t.g, NULL);
        if (!st)
            st = mien__graph_simplify(t.g, NULL);
        assert_true(st == MIEN_OK || st == MIEN_E_NOMEM);
        mien__graph_free(t.g);
        assert_int_equal(heap.live, 0);
    }
    assert_int_equal(st, MIEN_OK);
    heap.left = -1;
    mien_set_allocator(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(session_each_failing_allocation_is_survived),
        cmocka_unit_test(simplify_each_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
