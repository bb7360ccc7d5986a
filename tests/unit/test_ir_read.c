/* OpenVINO IR: a small network written here, hostile variants of it, and the files of ../shared where at
 * hand. */
#include "nn/graph.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PORT(id) "<port id=\"" #id "\" precision=\"FP32\"><dim>1</dim></port>"
#define LAYER(id, name, type, data, ports)                                                                \
    "<layer id=\"" #id "\" name=\"" name "\" type=\"" type "\" version=\"opset1\">" data "<output>" ports \
    "</output></layer>"
#define EDGE(a, ap, b, bp) \
    "<edge from-layer=\"" #a "\" from-port=\"" #ap "\" to-layer=\"" #b "\" to-port=\"" #bp "\"/>"
#define HEAD "<?xml version=\"1.0\"?><net name=\"n\" version=\"11\"><layers>"
#define INPUT LAYER(0, "in", "Parameter", "<data shape=\"1,1,4,4\" element_type=\"f32\"/>", PORT(0))
#define WEIGHTS \
    LAYER(1, "w", "Const", "<data element_type=\"f16\" shape=\"2,1,3,3\" offset=\"0\" size=\"36\"/>", PORT(0))
#define CONVERT LAYER(2, "c", "Convert", "<data destination_type=\"f32\"/>", PORT(1))
#define CONV                                                                              \
    LAYER(3, "conv", "Convolution",                                                       \
          "<data strides=\"1, 1\" pads_begin=\"1,1\" pads_end=\"1,1\" dilations=\"1,1\" " \
          "auto_pad=\"explicit\"/>",                                                      \
          PORT(2))
#define RESULT LAYER(4, "out", "Result", "", "")
#define EDGES "<edges>" EDGE(0, 0, 3, 0) EDGE(1, 0, 2, 0) EDGE(2, 1, 3, 1) EDGE(3, 2, 4, 0) "</edges>"
#define NET(layers, edges) HEAD layers "</layers>" edges "</net>"

static const uint8_t bin[36];

static mien_status read_text(const char *xml, size_t bin_size, mien__graph **ret, mien_error *err)
{
    return mien__ir_read((const uint8_t *)xml, strlen(xml), bin, bin_size, ret, err);
}

static void expect(const char *xml, mien_status wanted, const char *in_message)
{
    mien__graph *g = NULL;
    mien_error err = MIEN_ERROR_INIT;
    const mien_status status = read_text(xml, sizeof bin, &g, &err);
    if (status != wanted || !strstr(err.message, in_message))
        fail_msg("wanted %s with '%s', got %s: %s", mien_status_name(wanted), in_message,
                 mien_status_name(status), err.message);
    assert_null(g);
}

static void small_network_folds_the_conversion(void **state)
{
    (void)state;
    mien__graph *g = NULL;
    mien_error err = MIEN_ERROR_INIT;
    assert_int_equal(read_text(NET(INPUT WEIGHTS CONVERT CONV RESULT, EDGES), sizeof bin, &g, &err), MIEN_OK);
    assert_int_equal(g->n_nodes, 1);
    assert_int_equal(g->nodes[0].op, MIEN__OP_Conv);
    assert_string_equal(g->values[g->outputs[0]].name, "conv");
    assert_string_equal(g->values[g->inputs[0]].name, "in");
    mien__graph_free(g);
    /* the order of layers does not matter */
    assert_int_equal(read_text(NET(RESULT CONV CONVERT WEIGHTS INPUT, EDGES), sizeof bin, &g, &err), MIEN_OK);
    mien__graph_free(g);
}

static void truncated_anywhere_is_refused(void **state)
{
    (void)state;
    static const char xml[] = NET(INPUT WEIGHTS CONVERT CONV RESULT, EDGES);
    for (size_t n = 0; n < sizeof xml - 1; n++) {
        mien__graph *g = NULL;
        assert_int_not_equal(mien__ir_read((const uint8_t *)xml, n, bin, sizeof bin, &g, NULL), MIEN_OK);
        assert_null(g);
    }
    for (size_t n = 0; n < sizeof bin; n++) {
        mien__graph *g = NULL;
        assert_int_equal(read_text(xml, n, &g, NULL), MIEN_E_MODEL_CORRUPT);
    }
}

static void hostile_files_are_refused_by_name(void **state)
{
    (void)state;
    expect("<!DOCTYPE net [<!ENTITY a \"b\">]>" NET(INPUT, ""), MIEN_E_MODEL_FORMAT, "document type");
    expect("<html/>", MIEN_E_MODEL_FORMAT, "OpenVINO");
    expect("", MIEN_E_MODEL_CORRUPT, "XML");
    expect("<net version=\"7\"><layers/></net>", MIEN_E_UNSUPPORTED, "version 7");
    expect(NET(INPUT LAYER(3, "odd", "Frobnicate", "", PORT(2)) RESULT,
               "<edges>" EDGE(0, 0, 3, 0) EDGE(3, 2, 4, 0) "</edges>"),
           MIEN_E_MODEL_OP, "odd");
    expect(NET(INPUT LAYER(3, "fq", "FakeQuantize", "", PORT(2)) RESULT,
               "<edges>" EDGE(0, 0, 3, 0) EDGE(3, 2, 4, 0) "</edges>"),
           MIEN_E_MODEL_OP, "quantised");
    expect(NET(INPUT LAYER(3, "a", "Add", "", PORT(2)) LAYER(5, "b", "Add", "", PORT(2)) RESULT,
               "<edges>" EDGE(0, 0, 3, 0) EDGE(5, 2, 3, 1) EDGE(3, 2, 5, 0) EDGE(0, 0, 5, 1)
                   EDGE(3, 2, 4, 0) "</edges>"),
           MIEN_E_MODEL_CORRUPT, "depends on itself");
    expect(NET(INPUT INPUT RESULT, "<edges>" EDGE(0, 0, 4, 0) "</edges>"), MIEN_E_MODEL_CORRUPT,
           "two layers");
    expect(NET(INPUT RESULT, "<edges>" EDGE(9, 0, 4, 0) "</edges>"), MIEN_E_MODEL_CORRUPT, "missing");
    expect(NET(INPUT RESULT, "<edges>" EDGE(0, 7, 4, 0) "</edges>"), MIEN_E_MODEL_CORRUPT,
           "produced by nothing");
    expect(NET(LAYER(0, "in", "Parameter", "<data shape=\"1,-5\" element_type=\"f32\"/>", PORT(0)) RESULT,
               "<edges>" EDGE(0, 0, 4, 0) "</edges>"),
           MIEN_E_MODEL_CORRUPT, "in");
    expect(NET(INPUT LAYER(1, "w", "Const",
                           "<data element_type=\"f32\" shape=\"3037000500,3037000500,3037000500\" "
                           "offset=\"0\" size=\"36\"/>",
                           PORT(0)) RESULT,
               "<edges>" EDGE(1, 0, 4, 0) "</edges>"),
           MIEN_E_MODEL_CORRUPT, "'w'");
    expect(NET(INPUT LAYER(1, "w", "Const",
                           "<data element_type=\"f32\" shape=\"9\" offset=\"9223372036854775807\" "
                           "size=\"36\"/>",
                           PORT(0)) RESULT,
               "<edges>" EDGE(1, 0, 4, 0) "</edges>"),
           MIEN_E_MODEL_CORRUPT, "'w'");
}

static void deep_nesting_is_refused(void **state)
{
    (void)state;
    static char xml[1 << 12];
    size_t n = (size_t)snprintf(xml, sizeof xml, "<net version=\"11\">");
    while (n + 8 < sizeof xml)
        n += (size_t)snprintf(xml + n, sizeof xml - n, "<a>");
    expect(xml, MIEN_E_LIMIT, "nested");
}

static void shared_models_are_read(void **state)
{
    (void)state;
    static const char *const names[] = { "face-reidentification-retail-0095",
                                         "landmarks-regression-retail-0009" };
    if (access(MIEN_SHARED "/models/omz/landmarks-regression-retail-0009.xml", R_OK) != 0)
        skip();
    for (size_t i = 0; i < 2; i++) {
        char path[512];
        mien__file_map xml = { 0 }, weights = { 0 };
        mien__graph *g = NULL;
        mien_error err = MIEN_ERROR_INIT;
        (void)snprintf(path, sizeof path, "%s/models/omz/%s.xml", MIEN_SHARED, names[i]);
        assert_int_equal(mien__file_map_open(&xml, path, 1u << 26, &err), MIEN_OK);
        (void)snprintf(path, sizeof path, "%s/models/omz/%s.bin", MIEN_SHARED, names[i]);
        assert_int_equal(mien__file_map_open(&weights, path, 1u << 26, &err), MIEN_OK);
        if (mien__ir_read(xml.data, xml.size, weights.data, weights.size, &g, &err) != MIEN_OK)
            fail_msg("%s", err.message);
        assert_int_equal(g->n_inputs, 1);
        assert_int_equal(g->n_outputs, 1);
        mien__graph_free(g);
        mien__file_map_close(&xml);
        mien__file_map_close(&weights);
    }
}

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
    mien_status status = MIEN_E_NOMEM;
    for (long n = 0; status != MIEN_OK; n++) {
        failing hook = { n, 0 };
        const mien_allocator allocator = { failing_alloc, failing_free, &hook };
        mien__graph *g = NULL;
        mien_error err = MIEN_ERROR_INIT;
        assert_true(n < 10000);
        mien_set_allocator(&allocator);
        status = read_text(NET(INPUT WEIGHTS CONVERT CONV RESULT, EDGES), sizeof bin, &g, &err);
        if (status == MIEN_OK)
            mien__graph_free(g);
        mien_set_allocator(NULL);
        assert_true(status == MIEN_OK || (status == MIEN_E_NOMEM && !g && err.message[0]));
        assert_int_equal(hook.live, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_network_folds_the_conversion),
        cmocka_unit_test(truncated_anywhere_is_refused),
        cmocka_unit_test(hostile_files_are_refused_by_name),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(shared_models_are_read),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
