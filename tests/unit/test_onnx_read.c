/* ONNX reading: small files packed here with protobuf-c, and what hostile ones get told. */
#include "nn/graph.h"
#include "onnx.pb-c.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- a file under construction: input x[1][2][4][4], output y ---- */

enum { MAX_ITEMS = 8 };

typedef struct file {
    MienOnnx__Model model;
    MienOnnx__Graph graph;
    MienOnnx__OperatorSetId opset, *opset_list[1];
    MienOnnx__ValueInfo in, out, *in_list[1], *out_list[1];
    MienOnnx__Type type;
    MienOnnx__TypeTensor tensor_type;
    MienOnnx__TensorShape shape;
    MienOnnx__Dimension dim[4], *dim_list[4];
    MienOnnx__Node node[MAX_ITEMS], *node_list[MAX_ITEMS];
    char *in_names[MAX_ITEMS][4], *out_names[MAX_ITEMS][1];
    MienOnnx__Attribute attr[MAX_ITEMS], *attr_list[MAX_ITEMS];
    MienOnnx__Tensor init[MAX_ITEMS], *init_list[MAX_ITEMS];
    int64_t dims[MAX_ITEMS][4];
} file;

static void begin(file *f, int64_t opset)
{
    static const int64_t sizes[4] = { 1, 2, 4, 4 };
    memset(f, 0, sizeof *f);
    mien_onnx__model__init(&f->model);
    mien_onnx__graph__init(&f->graph);
    mien_onnx__operator_set_id__init(&f->opset);
    mien_onnx__value_info__init(&f->in);
    mien_onnx__value_info__init(&f->out);
    mien_onnx__type__init(&f->type);
    mien_onnx__type_tensor__init(&f->tensor_type);
    mien_onnx__tensor_shape__init(&f->shape);
    f->model.graph = &f->graph;
    f->model.n_opset_import = 1;
    f->opset_list[0] = &f->opset;
    f->model.opset_import = f->opset_list;
    f->opset.has_version = 1;
    f->opset.version = opset;
    for (int i = 0; i < 4; i++) {
        mien_onnx__dimension__init(&f->dim[i]);
        f->dim[i].has_dim_value = 1;
        f->dim[i].dim_value = sizes[i];
        f->dim_list[i] = &f->dim[i];
    }
    f->shape.n_dim = 4;
    f->shape.dim = f->dim_list;
    f->tensor_type.has_elem_type = 1;
    f->tensor_type.elem_type = 1;
    f->tensor_type.shape = &f->shape;
    f->type.tensor_type = &f->tensor_type;
    f->in.name = "x";
    f->in.type = &f->type;
    f->out.name = "y";
    f->in_list[0] = &f->in;
    f->out_list[0] = &f->out;
    f->graph.n_input = f->graph.n_output = 1;
    f->graph.input = f->in_list;
    f->graph.output = f->out_list;
    f->graph.node = f->node_list;
    f->graph.initializer = f->init_list;
}

static MienOnnx__Node *add_node(file *f, char *op, char *a, char *b, char *out)
{
    const size_t i = f->graph.n_node++;
    MienOnnx__Node *const n = &f->node[i];
    mien_onnx__node__init(n);
    n->op_type = op;
    n->name = "bad_node";
    f->in_names[i][0] = a;
    f->in_names[i][1] = b;
    f->out_names[i][0] = out;
    n->input = f->in_names[i];
    n->n_input = b ? 2 : 1;
    n->output = f->out_names[i];
    n->n_output = 1;
    f->node_list[i] = n;
    return n;
}

static MienOnnx__Attribute *add_attr(file *f, MienOnnx__Node *n, size_t slot, char *name)
{
    mien_onnx__attribute__init(&f->attr[slot]);
    f->attr[slot].name = name;
    f->attr_list[slot] = &f->attr[slot];
    n->attribute = &f->attr_list[slot];
    n->n_attribute = 1;
    return &f->attr[slot];
}

/* raw_data of `bytes` bytes */
static MienOnnx__Tensor *add_init(file *f, char *name, int32_t type, int64_t d0, int64_t d1, const void *raw,
                                  size_t bytes)
{
    const size_t i = f->graph.n_initializer++;
    MienOnnx__Tensor *const t = &f->init[i];
    mien_onnx__tensor__init(t);
    t->name = name;
    t->has_data_type = 1;
    t->data_type = type;
    f->dims[i][0] = d0;
    f->dims[i][1] = d1;
    t->dims = f->dims[i];
    t->n_dims = 2;
    t->has_raw_data = raw != NULL;
    t->raw_data.data = (uint8_t *)(uintptr_t)raw;
    t->raw_data.len = bytes;
    f->init_list[i] = t;
    return t;
}

static uint8_t *pack(file *f, size_t *ret_size)
{
    *ret_size = mien_onnx__model__get_packed_size(&f->model);
    uint8_t *const bytes = malloc(*ret_size + 1);
    assert_non_null(bytes);
    (void)mien_onnx__model__pack(&f->model, bytes);
    return bytes;
}

static mien_status read_file(file *f, mien__graph **ret, mien_error *err)
{
    size_t size = 0;
    uint8_t *const bytes = pack(f, &size);
    const mien_status status = mien__onnx_read(bytes, size, ret, err);
    free(bytes);
    return status;
}

static void expect(file *f, mien_status wanted, const char *in_message)
{
    mien__graph *g = NULL;
    mien_error err = MIEN_ERROR_INIT;
    const mien_status status = read_file(f, &g, &err);
    if (status != wanted || !strstr(err.message, in_message))
        fail_msg("wanted %s with '%s', got %s: %s", mien_status_name(wanted), in_message,
                 mien_status_name(status), err.message);
    assert_null(g);
}

/* ---- refusals ---- */

static void unknown_operator_names_the_node(void **state)
{
    (void)state;
    file f;
    begin(&f, 13);
    add_node(&f, "Frobnicate", "x", NULL, "y");
    expect(&f, MIEN_E_MODEL_OP, "bad_node");
}

static void cycle_and_missing_producers_are_refused(void **state)
{
    (void)state;
    file f;
    begin(&f, 13);
    add_node(&f, "Add", "x", "b", "a");
    add_node(&f, "Add", "a", "x", "b");
    add_node(&f, "Relu", "b", NULL, "y");
    expect(&f, MIEN_E_MODEL_CORRUPT, "bad_node");
    begin(&f, 13);
    add_node(&f, "Add", "x", "ghost", "y");
    expect(&f, MIEN_E_MODEL_CORRUPT, "ghost");
    begin(&f, 13);
    add_node(&f, "Relu", "x", NULL, "y");
    add_node(&f, "Relu", "x", NULL, "y");
    expect(&f, MIEN_E_MODEL_CORRUPT, "twice");
    begin(&f, 13);
    add_node(&f, "Relu", "x", NULL, "z");
    expect(&f, MIEN_E_MODEL_CORRUPT, "y");
    begin(&f, 13);
    add_node(&f, "Relu", "x", NULL, "x"); /* produces its own input */
    expect(&f, MIEN_E_MODEL_CORRUPT, "twice");
}

static void tensors_must_match_their_shape(void **state)
{
    (void)state;
    static const float four[4] = { 1, 2, 3, 4 };
    static const struct {
        int64_t d0, d1;
        size_t bytes;
        int32_t type;
        mien_status wanted;
    } cases[] = {
        { 2, 2, 15, 1, MIEN_E_MODEL_CORRUPT },
        { 2, 3, 16, 1, MIEN_E_MODEL_CORRUPT },
        { 2, 1, 16, 1, MIEN_E_MODEL_CORRUPT },
        { -2, -2, 16, 1, MIEN_E_MODEL_CORRUPT },
        { 2, -2, 16, 1, MIEN_E_MODEL_CORRUPT },
        { INT64_MAX, INT64_MAX, 16, 1, MIEN_E_LIMIT },
        { (int64_t)1 << 32, (int64_t)1 << 32, 0, 1, MIEN_E_LIMIT },
        { 2, 2, 16, 8, MIEN_E_UNSUPPORTED },
        { 2, 2, 16, 99, MIEN_E_UNSUPPORTED },
        { 2, 2, 16, 10, MIEN_E_MODEL_CORRUPT },
    };
    for (size_t i = 0; i < MIEN_COUNTOF(cases); i++) {
        file f;
        begin(&f, 13);
        add_init(&f, "weights", cases[i].type, cases[i].d0, cases[i].d1, four, cases[i].bytes);
        add_node(&f, "Add", "x", "weights", "y");
        expect(&f, cases[i].wanted, "weights");
    }
}

static void external_data_and_subgraphs_are_refused(void **state)
{
    (void)state;
    static const float four[4] = { 1, 2, 3, 4 };
    file f;
    begin(&f, 13);
    MienOnnx__Tensor *const t = add_init(&f, "far", 1, 2, 2, four, sizeof four);
    t->has_data_location = 1;
    t->data_location = 1;
    add_node(&f, "Add", "x", "far", "y");
    expect(&f, MIEN_E_UNSUPPORTED, "another file");
    begin(&f, 13);
    MienOnnx__Node *const loop = add_node(&f, "Loop", "x", NULL, "y");
    MienOnnx__Attribute *const body = add_attr(&f, loop, 0, "body");
    body->has_g = 1;
    body->g.data = (uint8_t *)(uintptr_t) "\x0a\x00";
    body->g.len = 2;
    expect(&f, MIEN_E_MODEL_OP, "Loop");
    begin(&f, 3);
    add_node(&f, "Relu", "x", NULL, "y");
    expect(&f, MIEN_E_UNSUPPORTED, "operator set 3");
}

static void shapes_that_do_not_fit_name_the_node(void **state)
{
    (void)state;
    static const float w[9] = { 0 };
    file f;
    begin(&f, 13);
    add_init(&f, "w", 1, 3, 3, w, sizeof w);
    add_node(&f, "Conv", "x", "w", "y");
    expect(&f, MIEN_E_MODEL_OP, "bad_node");
    begin(&f, 13);
    add_init(&f, "w", 1, 3, 3, w, sizeof w);
    add_node(&f, "Add", "x", "w", "y");
    expect(&f, MIEN_E_MODEL_SHAPE, "bad_node");
    begin(&f, 13);
    f.dim[2].dim_value = -7;
    add_node(&f, "Relu", "x", NULL, "y");
    expect(&f, MIEN_E_MODEL_CORRUPT, "-7");
}

static void huge_counts_hit_a_limit_not_memory(void **state)
{
    (void)state;
    static const int64_t shape[2] = { 1 << 15, 1 << 16 }; /* 2^31 elements out of 16 bytes */
    file f;
    begin(&f, 13);
    MienOnnx__Tensor *const t = add_init(&f, "s", 7, 2, 1, shape, sizeof shape);
    t->n_dims = 1;
    add_node(&f, "ConstantOfShape", "s", NULL, "c");
    add_node(&f, "Relu", "x", NULL, "y");
    mien__graph *g = NULL;
    mien_error err = MIEN_ERROR_INIT;
    if (read_file(&f, &g, &err) == MIEN_OK) /* left to the planner, which has limits of its own */
        mien__graph_free(g);
    else
        assert_true(err.status == MIEN_E_LIMIT || err.status == MIEN_E_MODEL_SHAPE);
}

static void truncated_anywhere_is_survived(void **state)
{
    (void)state;
    static const float four[4] = { 1, 2, 3, 4 };
    file f;
    size_t size = 0, refused = 0;
    begin(&f, 13);
    add_init(&f, "w", 1, 1, 4, four, sizeof four);
    add_node(&f, "Add", "x", "w", "z");
    add_node(&f, "Relu", "z", NULL, "y");
    uint8_t *const bytes = pack(&f, &size);
    for (size_t n = 0; n <= size; n++) {
        uint8_t *const cut = malloc(n ? n : 1);
        mien__graph *g = NULL;
        mien_error err = MIEN_ERROR_INIT;
        assert_non_null(cut);
        memcpy(cut, bytes, n);
        if (mien__onnx_read(cut, n, &g, &err) == MIEN_OK) {
            mien__graph_free(g);
        } else {
            assert_null(g);
            assert_true(err.message[0]);
            refused++;
        }
        free(cut);
    }
    assert_int_equal(refused, size); /* only the whole file is read */
    free(bytes);
}

/* ---- what is read is right ---- */

static void clip_bounds_are_read_in_both_forms(void **state)
{
    (void)state;
    static const float bounds[2] = { -1.0f, 6.0f };
    mien__graph *g = NULL;
    file f;
    begin(&f, 9);
    MienOnnx__Attribute *const a = add_attr(&f, add_node(&f, "Clip", "x", NULL, "y"), 0, "max");
    a->has_f = 1;
    a->f = 6.0f;
    assert_int_equal(read_file(&f, &g, NULL), MIEN_OK);
    assert_true(mien__node_float(&g->nodes[0], MIEN__ATTR_MAX, 0.0) > 5.9);
    assert_true(mien__node_float(&g->nodes[0], MIEN__ATTR_MIN, 0.0) < -1e38);
    mien__graph_free(g);
    begin(&f, 13);
    add_init(&f, "lo", 1, 1, 1, &bounds[0], 4)->n_dims = 0;
    add_init(&f, "hi", 1, 1, 1, &bounds[1], 4)->n_dims = 0;
    MienOnnx__Node *const n = add_node(&f, "Clip", "x", "lo", "y");
    f.in_names[0][2] = "hi";
    n->n_input = 3;
    assert_int_equal(read_file(&f, &g, NULL), MIEN_OK);
    assert_int_equal(g->nodes[0].op, MIEN__OP_Clip);
    assert_true(fabs(mien__node_float(&g->nodes[0], MIEN__ATTR_MIN, 0.0) + 1.0) < 1e-6);
    assert_true(fabs(mien__node_float(&g->nodes[0], MIEN__ATTR_MAX, 0.0) - 6.0) < 1e-6);
    mien__graph_free(g);
}

static void halves_and_small_integers_are_widened(void **state)
{
    (void)state;
    static const uint16_t halves[2] = { 0x3c00, 0xc000 }; /* 1, -2 */
    static const int8_t bytes[2] = { -3, 5 };
    mien__graph *g = NULL;
    file f;
    begin(&f, 13);
    add_init(&f, "h", 10, 1, 1, halves, 2);
    add_init(&f, "h2", 10, 1, 2, halves, 4);
    add_init(&f, "i", 3, 1, 2, bytes, 2);
    add_node(&f, "Add", "x", "h", "y");
    assert_int_equal(read_file(&f, &g, NULL), MIEN_OK);
    int seen = 0;
    for (uint32_t i = 0; i < g->n_values; i++) {
        const mien__value *const v = &g->values[i];
        if (strcmp(v->name, "h2") == 0) {
            const float *const d = v->data;
            assert_true(d[0] > 0.999f && d[0] < 1.001f && d[1] > -2.001f && d[1] < -1.999f);
            seen++;
        } else if (strcmp(v->name, "i") == 0) {
            assert_int_equal(((const int64_t *)v->data)[0], -3);
            assert_int_equal(((const int64_t *)v->data)[1], 5);
            seen++;
        }
    }
    assert_int_equal(seen, 2);
    mien__graph_free(g);
}

/* ---- every failing allocation ---- */

typedef struct failing {
    long left, live;
} failing;

static void *failing_alloc(size_t bytes, size_t align, void *user)
{
    failing *const f = user;
    void *ptr = NULL;
    if (f->left-- <= 0 || posix_memalign(&ptr, align, bytes) != 0)
        return NULL;
    f->live++;
    return ptr;
}

static void failing_free(void *ptr, void *user)
{
    ((failing *)user)->live--;
    free(ptr);
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    static const float w[36] = { 1 };
    file f;
    size_t size = 0;
    begin(&f, 13);
    MienOnnx__Tensor *const t = add_init(&f, "w", 1, 2, 2, w, 2 * 2 * 9 * 4);
    t->n_dims = 4;
    f.dims[0][2] = f.dims[0][3] = 3;
    add_node(&f, "Conv", "x", "w", "z");
    add_node(&f, "Relu", "z", NULL, "y");
    uint8_t *const bytes = pack(&f, &size);
    mien_status status = MIEN_E_NOMEM;
    for (long n = 0; status != MIEN_OK; n++) {
        failing hook = { n, 0 };
        const mien_allocator allocator = { failing_alloc, failing_free, &hook };
        mien__graph *g = NULL;
        mien_error err = MIEN_ERROR_INIT;
        assert_true(n < 10000);
        mien_set_allocator(&allocator);
        status = mien__onnx_read(bytes, size, &g, &err);
        if (status == MIEN_OK)
            mien__graph_free(g);
        mien_set_allocator(NULL);
        assert_true(status == MIEN_OK || (status == MIEN_E_NOMEM && !g && err.message[0]));
        assert_int_equal(hook.live, 0);
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_operator_names_the_node),
        cmocka_unit_test(cycle_and_missing_producers_are_refused),
        cmocka_unit_test(tensors_must_match_their_shape),
        cmocka_unit_test(external_data_and_subgraphs_are_refused),
        cmocka_unit_test(shapes_that_do_not_fit_name_the_node),
        cmocka_unit_test(huge_counts_hit_a_limit_not_memory),
        cmocka_unit_test(truncated_anywhere_is_survived),
        cmocka_unit_test(clip_bounds_are_read_in_both_forms),
        cmocka_unit_test(halves_and_small_integers_are_widened),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
