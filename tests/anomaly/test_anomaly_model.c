/* Every call on models, sessions, embedders, detectors and evaluation with each of its allocations failing.
 *
 * A small embedder is built in memory; imports and the detector use ../shared where it is there.
 */
#include "anomaly/anomaly.h"
#include "nn/graph.h"
#include <mien/mien.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIDE = 16, CHANNELS = 8, LEN = 4 };

static char dir[64], path[128], copy_path[128];
static mien_model_info tiny_info;
static float conv_w[CHANNELS][3][3][3], conv_b[CHANNELS], slope[CHANNELS], fc_w[LEN][CHANNELS], fc_b[LEN];
static uint8_t pixels[64][64][3];

static mien_image_view crop_view(void)
{
    return (mien_image_view){ &pixels[0][0][0], SIDE, SIDE, sizeof pixels[0] };
}

/* Conv 3x3 -> PRelu -> mean over the picture -> fully connected. */
static bool add_network(mien__graph *g)
{
    const int64_t x_dims[] = { -1, 3, SIDE, SIDE }, w_dims[] = { CHANNELS, 3, 3, 3 }, c_dims[] = { CHANNELS };
    const int64_t fc_dims[] = { LEN, CHANNELS }, b_dims[] = { LEN };
    uint32_t x = 0, w = 0, b = 0, s = 0, fw = 0, fb = 0, v[5] = { 0 };
    bool ok = mien__graph_add_value(g, "x", MIEN__F32, 4, x_dims, NULL, &x) &&
              mien__graph_add_value(g, "w", MIEN__F32, 4, w_dims, conv_w, &w) &&
              mien__graph_add_value(g, "b", MIEN__F32, 1, c_dims, conv_b, &b) &&
              mien__graph_add_value(g, "s", MIEN__F32, 1, c_dims, slope, &s) &&
              mien__graph_add_value(g, "fw", MIEN__F32, 2, fc_dims, fc_w, &fw) &&
              mien__graph_add_value(g, "fb", MIEN__F32, 1, b_dims, fc_b, &fb);
    static const char *const names[] = { "v0", "v1", "v2", "v3", "v4" };
    for (int i = 0; i < 5 && ok; i++)
        ok = mien__graph_add_value(g, names[i], MIEN__F32, -1, NULL, NULL, &v[i]);
    static const int64_t pad[] = { 1, 1, 1, 1 };
    mien__node *node = NULL;
    ok = ok && mien__graph_add_node(g, MIEN__OP_Conv, "conv", (uint32_t[]){ x, w, b }, 3, &v[0], 1, &node) &&
         mien__node_set_ints(g, node, MIEN__ATTR_PAD, pad, 4) &&
         mien__graph_add_node(g, MIEN__OP_PRelu, "act", (uint32_t[]){ v[0], s }, 2, &v[1], 1, NULL) &&
         mien__graph_add_node(g, MIEN__OP_GlobalAvgPool, "pool", &v[1], 1, &v[2], 1, NULL) &&
         mien__graph_add_node(g, MIEN__OP_Flatten, "flat", &v[2], 1, &v[3], 1, NULL) &&
         mien__graph_add_node(g, MIEN__OP_Gemm, "fc", (uint32_t[]){ v[3], fw, fb }, 3, &v[4], 1, NULL);
    return ok && mien__graph_set_io(g, &x, 1, &v[4], 1);
}

static mien_status make_model(mien_model **ret, mien_error *err)
{
    mien__graph *const g = mien__graph_new();
    if (!g || !add_network(g)) {
        mien__graph_free(g);
        return mien__nomem(err, 0);
    }
    mien_status status = mien__graph_check(g, err);
    if (status == MIEN_OK)
        status = mien__graph_simplify(g, err);
    if (status != MIEN_OK) {
        mien__graph_free(g);
        return status;
    }
    return mien__model_from_graph(g, &tiny_info, ret, err);
}

static mien_status save(void *ctx, mien_error *err)
{
    (void)ctx;
    mien_model *m = NULL;
    mien_status status = make_model(&m, err);
    if (status == MIEN_OK)
        status = mien_model_save(m, copy_path, err);
    if (status == MIEN_OK)
        status = mien_model_verify(copy_path, err);
    mien_model_free(m);
    return status;
}

static mien_status load_and_describe(void *ctx, mien_error *err)
{
    (void)ctx;
    mien_model *m = NULL;
    mien_model_info info = tiny_info;
    double x = 0;
    mien_decision d;
    mien_status status = mien_model_load(path, &m, err);
    info.description = "changed";
    if (status == MIEN_OK)
        status = mien_model_set_info(m, &info, err);
    if (status == MIEN_OK)
        status = mien_model_threshold(m, 0.01, &x, err);
    if (status == MIEN_OK)
        status = mien_decide(m, 0.5, 0, &d, err);
    mien_model_free(m);
    return status;
}

static mien_status load_defaults(void *ctx, mien_error *err)
{
    mien_status status = MIEN_OK;
    (void)ctx;
    for (int task = MIEN_TASK_DETECT; task <= MIEN_TASK_EMBED && !status; task++) {
        mien_model *m = NULL;
        status = mien_model_load_default((mien_task)task, &m, err);
        mien_model_free(m);
    }
    return status;
}

typedef struct bytes {
    void *data;
    size_t size;
} bytes;

static mien_status load_memory(void *ctx, mien_error *err)
{
    const bytes *const b = ctx;
    mien_model *m = NULL;
    const mien_status status = mien_model_load_memory(b->data, b->size, &m, err);
    mien_model_free(m);
    return status;
}

static mien_status run_session(void *ctx, mien_error *err)
{
    const mien_session_opts opts = { sizeof opts, *(const unsigned *)ctx };
    mien_model *m = NULL;
    mien_session *s = NULL;
    mien_status status = mien_model_load(path, &m, err);
    if (status == MIEN_OK)
        status = mien_session_new(m, &opts, &s, err);
    for (int n = 1; n <= 3 && status == MIEN_OK; n++) {
        const mien_tensor_view shape = { "x", NULL, 4, { n, 3, SIDE, SIDE } };
        float *in = NULL;
        mien_tensor_view out;
        mien_layer_info layer;
        status = mien_session_prepare(s, 1, &shape, &in, err);
        if (status != MIEN_OK)
            break;
        memset(in, 0, sizeof *in * (size_t)n * 3 * SIDE * SIDE);
        status = mien_session_run(s, err);
        if (status == MIEN_OK)
            status = mien_session_output(s, 0, &out, err);
        if (status == MIEN_OK)
            status = mien_session_profile(s, 2, err);
        if (status == MIEN_OK)
            status = mien_session_layer(s, 0, &layer, err);
    }
    mien_session_free(s);
    mien_model_free(m);
    return status;
}

/* A failed prepare leaves the earlier plan in use. */
static mien_status prepare_again(void *ctx, mien_error *err)
{
    mien_session *const s = ctx;
    const mien_tensor_view two = { "x", NULL, 4, { 2, 3, SIDE, SIDE } },
                           one = { "x", NULL, 4, { 1, 3, SIDE, SIDE } };
    float *in = NULL;
    const mien_status status = mien_session_prepare(s, 1, &two, &in, err);
    if (status != MIEN_OK) {
        float *old = NULL;
        mien_tensor_view out;
        const long fail_at = anomaly_heap.fail_at;
        anomaly_heap.fail_at = 0;
        const long before = atomic_load(&anomaly_heap.calls);
        assert_int_equal(mien_session_prepare(s, 1, &one, &old, NULL), MIEN_OK);
        assert_int_equal(atomic_load(&anomaly_heap.calls), before); /* the plan is still there */
        assert_int_equal(mien_session_run(s, NULL), MIEN_OK);
        assert_int_equal(mien_session_output(s, 0, &out, NULL), MIEN_OK);
        anomaly_heap.fail_at = fail_at;
    }
    return status;
}

static mien_status plan_stays(void *ctx, mien_error *err)
{
    (void)ctx;
    /* the model and first plan are made without faults */
    const long fail_at = anomaly_heap.fail_at;
    const mien_tensor_view one = { "x", NULL, 4, { 1, 3, SIDE, SIDE } };
    mien_model *m = NULL;
    mien_session *s = NULL;
    float *in = NULL;
    anomaly_heap.fail_at = 0;
    assert_int_equal(mien_model_load(path, &m, NULL), MIEN_OK);
    assert_int_equal(mien_session_new(m, NULL, &s, NULL), MIEN_OK);
    assert_int_equal(mien_session_prepare(s, 1, &one, &in, NULL), MIEN_OK);
    memset(in, 0, sizeof *in * 3 * SIDE * SIDE);
    anomaly_heap.fail_at = fail_at ? fail_at + atomic_load(&anomaly_heap.calls) : 0;
    const mien_status status = prepare_again(s, err);
    anomaly_heap.fail_at = 0;
    mien_session_free(s);
    mien_model_free(m);
    return status;
}

static mien_status embed(void *ctx, mien_error *err)
{
    (void)ctx;
    mien_embed_opts opts = MIEN_EMBED_OPTS_INIT;
    mien_model *m = NULL;
    mien_embedder *e = NULL;
    mien_image *crop = NULL;
    mien_image_view views[11];
    float vecs[11][LEN];
    const mien_face face = { 5,  5,    55,
                             60, 0.9f, { { 20, 22 }, { 42, 22 }, { 31, 34 }, { 23, 46 }, { 40, 46 } } };
    const mien_image_view whole = { &pixels[0][0][0], 64, 64, sizeof pixels[0] };
    opts.flip = 1;
    for (int i = 0; i < 11; i++)
        views[i] = crop_view();
    views[10] = whole; /* another size: resized */
    mien_status status = mien_model_load(path, &m, err);
    if (status == MIEN_OK)
        status = mien_embedder_new(m, &opts, &e, err);
    if (status == MIEN_OK)
        status = mien_embed_crops(e, views, 11, &vecs[0][0], err);
    if (status == MIEN_OK)
        status = mien_embed_face(e, whole, &face, vecs[0], err);
    if (status == MIEN_OK)
        status = mien_align(m, whole, &face, &crop, err);
    mien_image_free(crop);
    mien_embedder_free(e);
    mien_model_free(m);
    return status;
}

static mien_status import(void *ctx, mien_error *err)
{
    mien_model *m = NULL;
    const mien_status status = mien_model_import(ctx, NULL, &m, err);
    mien_model_free(m);
    return status;
}

static mien_status detect(void *ctx, mien_error *err)
{
    mien_detect_opts opts = MIEN_DETECT_OPTS_INIT;
    mien_model *m = NULL;
    mien_detector *d = NULL;
    const mien_face *faces = NULL;
    size_t n = 0;
    const mien_image_view view = { &pixels[0][0][0], 64, 64, sizeof pixels[0] };
    opts.min_score = 0;
    opts.max_side = 64;
    mien_status status = mien_model_load(ctx, &m, err);
    if (status == MIEN_OK)
        status = mien_detector_new(m, &opts, &d, err);
    if (status == MIEN_OK)
        status = mien_detect(d, view, &faces, &n, err);
    mien_detector_free(d);
    mien_model_free(m);
    return status;
}

static mien_status evaluate(void *ctx, mien_error *err)
{
    (void)ctx;
    mien_eval_pair pairs[200];
    double nonmated[400];
    static const double fmrs[] = { 0.01, 0.1 };
    mien_operating_point points[2];
    mien_eval_result result;
    for (int i = 0; i < 200; i++)
        pairs[i] = (mien_eval_pair){ (i % 2 ? 0.6 : 0.1) + 0.001 * i, i % 2, i / 20, i == 7 };
    for (int i = 0; i < 400; i++)
        nonmated[i] = 0.001 * i;
    mien_status status = mien_eval_pairs(pairs, 200, 10, &result, err);
    if (status == MIEN_OK)
        status = mien_eval_calibrate(nonmated, 400, fmrs, 2, points, err);
    return status;
}

/* ---- the cases ---- */

static void models_are_saved_and_loaded(void **state)
{
    (void)state;
    anomaly_run("make, save, verify", save, NULL);
    assert_int_equal(unlink(copy_path), 0);
    anomaly_run("load, describe, decide", load_and_describe, NULL);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    bytes b = { NULL, (size_t)st.st_size };
    assert_int_equal(posix_memalign(&b.data, 64, b.size), 0);
    FILE *const f = fopen(path, "rb");
    assert_int_equal(fread(b.data, 1, b.size, f), b.size);
    fclose(f);
    anomaly_run("load from memory", load_memory, &b);
    free(b.data);
    if (mien_builtin_at(0))
        anomaly_run("load what is built in", load_defaults, NULL);
}

static void sessions_run(void **state)
{
    (void)state;
    unsigned threads = 1;
    anomaly_run("session", run_session, &threads);
    threads = 3;
    anomaly_run("session of 3 threads", run_session, &threads);
    anomaly_run("session keeps its plan", plan_stays, NULL);
}

static void embedders_embed(void **state)
{
    (void)state;
    anomaly_run("embedder", embed, NULL);
}

static void evaluation(void **state)
{
    (void)state;
    anomaly_run("evaluation", evaluate, NULL);
}

static void import_if_there(const char *file)
{
    char name[512];
    (void)snprintf(name, sizeof name, MIEN_SHARED "/models/%s", file);
    if (access(name, R_OK) == 0)
        anomaly_run_steps(file, import, name, 40);
    else
        printf("SKIP: no %s\n", name);
}

static void models_are_imported(void **state)
{
    (void)state;
    import_if_there("yunet_n_dynamic.onnx");
    import_if_there("omz/landmarks-regression-retail-0009.xml");
}

static void detectors_detect(void **state)
{
    (void)state;
    static const char onnx[] = MIEN_SHARED "/models/yunet_n_dynamic.onnx";
    if (access(onnx, R_OK) != 0)
        skip();
    mien_model *m = NULL;
    assert_int_equal(mien_model_import(onnx, NULL, &m, NULL), MIEN_OK);
    assert_int_equal(mien_model_save(m, copy_path, NULL), MIEN_OK);
    mien_model_free(m);
    anomaly_run_steps("detector", detect, copy_path, 40);
    unlink(copy_path);
}

static void fill(float *v, size_t n, mien__rng *rng)
{
    for (size_t i = 0; i < n; i++)
        v[i] = (float)(mien__rng_unit(rng) - 0.5);
}

static int make_tiny_model(void **state)
{
    (void)state;
    mien__rng rng;
    mien__rng_seed(&rng, 11);
    fill(&conv_w[0][0][0][0], sizeof conv_w / sizeof(float), &rng);
    fill(conv_b, CHANNELS, &rng);
    fill(slope, CHANNELS, &rng);
    fill(&fc_w[0][0], LEN * CHANNELS, &rng);
    fill(fc_b, LEN, &rng);
    for (size_t i = 0; i < sizeof pixels; i++)
        (&pixels[0][0][0])[i] = (uint8_t)mien__rng_u64(&rng);
    static const mien_operating_point points[] = { { 0.001, 0.5, 0.0005, 0.002 },
                                                   { 0.01, 0.4, 0.008, 0.012 } };
    tiny_info = (mien_model_info){
        .name = "tiny",
        .description = "",
        .licence = "CC0-1.0",
        .training_data = "random",
        .source = "",
        .decoder = "",
        .sha256 = "",
        .task = MIEN_TASK_EMBED,
        .input_width = SIDE,
        .input_height = SIDE,
        .input_multiple = 1,
        .scale = { 1, 1, 1 },
        .crop = MIEN_CROP_SIMILARITY,
        .landmarks = { { 5, 6 }, { 11, 6 }, { 8, 9 }, { 6, 12 }, { 10, 12 } },
        .embedding_len = LEN,
        .default_fmr = 0.001,
        .points = points,
        .n_points = 2,
        .n_mated = 100,
        .n_nonmated = 10000,
        .protocol = "made up",
    };
    strcpy(dir, "/tmp/mien-anomaly-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    (void)snprintf(path, sizeof path, "%s/tiny.mien", dir);
    (void)snprintf(copy_path, sizeof copy_path, "%s/copy.mien", dir);
    mien_model *m = NULL;
    mien_error err = MIEN_ERROR_INIT;
    mien_status status = make_model(&m, &err);
    if (status == MIEN_OK)
        status = mien_model_save(m, path, &err);
    mien_model_free(m);
    if (status != MIEN_OK)
        printf("%s\n", err.message);
    return status == MIEN_OK ? 0 : -1;
}

static int clean_up(void **state)
{
    (void)state;
    unlink(path);
    unlink(copy_path);
    return rmdir(dir); /* fails when a temporary was left */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models_are_saved_and_loaded),
        cmocka_unit_test(sessions_run),
        cmocka_unit_test(embedders_embed),
        cmocka_unit_test(evaluation),
        cmocka_unit_test(models_are_imported),
        cmocka_unit_test(detectors_detect),
    };
    return cmocka_run_group_tests(tests, make_tiny_model, clean_up);
}
