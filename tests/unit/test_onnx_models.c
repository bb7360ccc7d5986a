/* The ONNX files of ../shared/models are read; skipped where they are not at hand. */
#include "nn/graph.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static mien__graph *read_model(const char *name)
{
    char path[512];
    mien__file_map map = { 0 };
    mien__graph *g = NULL;
    mien_error err = MIEN_ERROR_INIT;
    (void)snprintf(path, sizeof path, "%s/models/%s", MIEN_SHARED, name);
    assert_int_equal(mien__file_map_open(&map, path, 1u << 28, &err), MIEN_OK);
    if (mien__onnx_read(map.data, map.size, &g, &err) != MIEN_OK)
        fail_msg("%s: %s", name, err.message);
    mien__file_map_close(&map);
    return g;
}

static size_t count_op(const mien__graph *g, mien__op op)
{
    size_t n = 0;
    for (uint32_t i = 0; i < g->n_nodes; i++)
        n += g->nodes[i].op == op;
    return n;
}

static void yunet_dynamic_has_free_sizes(void **state)
{
    (void)state;
    mien__graph *const g = read_model("yunet_n_dynamic.onnx");
    assert_int_equal(g->n_inputs, 1);
    assert_int_equal(g->n_outputs, 12);
    const mien__value *const x = &g->values[g->inputs[0]];
    assert_int_equal(x->rank, 4);
    assert_true(x->dims[0] == -1 && x->dims[1] == 3 && x->dims[2] == -1 && x->dims[3] == -1);
    assert_int_equal(count_op(g, MIEN__OP_Conv), 59);
    mien__graph_free(g);
}

static void scrfd_outputs_and_clip_bounds(void **state)
{
    (void)state;
    mien__graph *g = read_model("scrfd_2.5g_bnkps.onnx");
    assert_int_equal(g->n_outputs, 9);
    assert_int_equal(count_op(g, MIEN__OP_AvgPool), 3);
    mien__graph_free(g);
    g = read_model("mobilefacenet_foamliu.onnx");
    assert_int_equal(count_op(g, MIEN__OP_Clip), 32);
    for (uint32_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].op == MIEN__OP_Clip) { /* bounds are constant inputs in opset 18 */
            assert_true(mien__node_float(&g->nodes[i], MIEN__ATTR_MIN, -1.0) < 0.5);
            assert_true(mien__node_float(&g->nodes[i], MIEN__ATTR_MAX, -1.0) > 5.5);
        }
    mien__graph_free(g);
}

int main(void)
{
    if (access(MIEN_SHARED "/models/yunet_n_dynamic.onnx", R_OK) != 0)
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yunet_dynamic_has_free_sizes),
        cmocka_unit_test(scrfd_outputs_and_clip_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
