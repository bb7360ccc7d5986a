/* The trainable network: fast steps against the references, gradients against differences, what is trained
 * and what is not, models made of it, determinism.
 */
#include "nn/mien_file.h"
#include "train/arch.h"
#include "train/net.h"
#include <mien/face.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SEED 20260611u

typedef struct setup {
    const char *arch;
    int batch, side;
    unsigned threads;
    bool batch_stats;
    int last;
} setup;

static mien__graph *build(const char *arch, mien_model_info *info)
{
    mien__graph *g = NULL;
    mien_error err = MIEN_ERROR_INIT;
    *info = mien__model_info_empty();
    if (mien__arch_build(arch, SEED, &g, info, &err))
        fail_msg("%s", err.message);
    return g;
}

/* A network with random input and random gradients at its outputs. */
static mien__net *open_net(const mien__graph *g, setup s)
{
    const mien__net_opts o = { .batch = s.batch,
                               .width = s.side,
                               .height = s.side,
                               .threads = s.threads,
                               .batch_stats = s.batch_stats,
                               .bn_momentum = 0.1,
                               .last = s.last };
    mien__net *n = NULL;
    mien_error err = MIEN_ERROR_INIT;
    mien__rng rng;
    size_t count = 0;
    if (mien__net_new(g, &o, &n, &err))
        fail_msg("%s", err.message);
    mien__rng_seed(&rng, SEED);
    float *in = mien__net_input(n, &count);
    for (size_t i = 0; i < count; i++)
        in[i] = (float)(2.0 * mien__rng_unit(&rng) - 1.0);
    for (size_t t = 0; t < mien__net_n_taps(n); t++)
        for (size_t i = 0; i < mien__net_tap_at(n, t)->count; i++)
            mien__net_tap_at(n, t)->grad[i] = (float)(2.0 * mien__rng_unit(&rng) - 1.0);
    return n;
}

/* Sum over the outputs of value times gradient, the scalar whose gradient the backward pass gives. */
static double objective(mien__net *n)
{
    double sum = 0.0;
    mien__net_changed(n);
    mien__net_forward(n);
    for (size_t t = 0; t < mien__net_n_taps(n); t++) {
        const mien__net_tap *tap = mien__net_tap_at(n, t);
        for (size_t i = 0; i < tap->count; i++)
            sum += (double)tap->data[i] * tap->grad[i];
    }
    return sum;
}

static double norm(const float *v, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += (double)v[i] * v[i];
    return sqrt(sum);
}

/* Relative distance of two networks' gradients over all parameters. */
static double gradient_distance(mien__net *a, mien__net *b)
{
    size_t n = 0, m = 0;
    const mien__param *p = mien__net_params(a, &n), *q = mien__net_params(b, &m);
    double difference = 0.0, size = 0.0;
    assert_int_equal(n, m);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < p[i].count; j++) {
            difference += pow((double)p[i].grad[j] - q[i].grad[j], 2.0);
            size += pow(q[i].grad[j], 2.0);
        }
    assert_true(size > 0.0);
    return sqrt(difference / size);
}

static void run(mien__net *n)
{
    mien__net_forward(n);
    mien__net_backward(n);
}

/* ---- against the references ---- */

static void fast_steps_give_the_references_gradients(void **state)
{
    static const setup setups[] = {
        { "mobilefacenet:embed=24,width=0.25", 3, 112, 2, true, 0 },
        { "yunet", 2, 96, 2, true, 0 },
        { "yunet", 1, 64, 1, false, 0 },
        { "yunet:norm=0", 2, 96, 2, true, 0 },
    };
    const mien__cpu_level level = mien__cpu();
    (void)state;
    for (size_t i = 0; i < MIEN_COUNTOF(setups); i++) {
        mien_model_info info;
        mien__graph *g = build(setups[i].arch, &info);
        mien__net *fast = open_net(g, setups[i]);
        run(fast);
        mien__cpu_force(MIEN__CPU_SCALAR);
        mien__net *reference = open_net(g, setups[i]);
        run(reference);
        mien__cpu_force(level);
        /* rounding turns a few slopes of rectifiers around: far less than a wrong kernel would */
        assert_true(gradient_distance(fast, reference) < 1e-2);
        mien__net_free(fast);
        mien__net_free(reference);
        mien__graph_free(g);
    }
}

static void gradients_agree_with_differences(void **state)
{
    static const setup s = { "mobilefacenet:embed=16,width=0.25", 8, 112, 1, true, 0 };
    mien_model_info info;
    mien__graph *g = build(s.arch, &info);
    mien__net *n = open_net(g, s);
    mien__rng rng;
    size_t count = 0;
    mien__param *p = mien__net_params(n, &count);
    (void)state;
    run(n);
    mien__rng_seed(&rng, SEED + 1);
    /* along random directions of whole tensors, where float rounding is small beside the change */
    for (size_t k = 0; k < 12; k++) {
        const size_t at = (size_t)(mien__rng_unit(&rng) * (double)count);
        double slope = 0.0, change[2];
        const double size = norm(p[at].grad, p[at].count), h = 1e-3 * norm(p[at].value, p[at].count);
        if (size < 1e-2 || h == 0.0)
            continue; /* a shift in front of a normalisation: no gradient but noise */
        float *kept = malloc(p[at].count * sizeof *kept);
        memcpy(kept, p[at].value, p[at].count * sizeof *kept);
        for (int side = 0; side < 2; side++) {
            for (size_t j = 0; j < p[at].count; j++)
                p[at].value[j] = kept[j] + (float)((side ? 1 : -1) * h * p[at].grad[j] / size);
            change[side] = objective(n);
        }
        memcpy(p[at].value, kept, p[at].count * sizeof *kept);
        free(kept);
        slope = (change[1] - change[0]) / (2.0 * h);
        if (fabs(slope - size) > 0.08 * size)
            fail_msg("%s: difference %g, gradient %g (seed %u)", p[at].name, slope, size, SEED);
    }
    mien__net_free(n);
    mien__graph_free(g);
}

/* ---- what is trained ---- */

static void last_n_leaves_the_rest_alone(void **state)
{
    static const setup s = { "mobilefacenet:embed=16,width=0.25", 2, 112, 1, false, 2 };
    mien_model_info info;
    mien__graph *g = build(s.arch, &info);
    mien__net *n = open_net(g, s);
    size_t count = 0, trained = 0;
    const mien__param *p = mien__net_params(n, &count);
    (void)state;
    run(n);
    for (size_t i = 0; i < count; i++) {
        trained += p[i].trainable;
        assert_true(p[i].trainable == (strncmp(p[i].name, "head.embed", 10) == 0));
        if (!p[i].trainable)
            assert_true(norm(p[i].grad, p[i].count) == 0.0);
        else
            assert_true(norm(p[i].grad, p[i].count) > 0.0);
    }
    assert_int_equal(trained, 3); /* the last convolution, scale and shift of the normalisation behind it */
    mien__net_free(n);
    mien__graph_free(g);
}

static void taps_are_seen_and_fed(void **state)
{
    const char *taps[] = { "block1.sum", "head.global.bn" }, *missing[] = { "nothing" };
    mien_model_info info;
    mien__graph *g = build("mobilefacenet:embed=16,width=0.25", &info);
    mien__net_opts o = {
        .batch = 2, .threads = 1, .batch_stats = true, .bn_momentum = 0.1, .taps = taps, .n_taps = 2
    };
    mien__net *n = NULL;
    size_t count = 0;
    mien_error err = MIEN_ERROR_INIT;
    (void)state;
    assert_int_equal(mien__net_new(g, &o, &n, NULL), MIEN_OK);
    assert_int_equal(mien__net_n_taps(n), 3);
    const mien__net_tap *t = mien__net_tap_at(n, 1);
    assert_string_equal(t->name, "block1.sum");
    assert_int_equal(t->dims[1] * t->dims[2] * t->dims[3] * t->dims[0], t->count);
    for (size_t i = 0; i < t->count; i++)
        t->grad[i] = (float)(i % 7) - 3.0f;
    float *in = mien__net_input(n, &count);
    for (size_t i = 0; i < count; i++)
        in[i] = sinf((float)(i * i % 1013));
    run(n);
    /* only what lies before the tap learns: the output's own gradient is zero */
    const mien__param *p = mien__net_params(n, &count);
    for (size_t i = 0; i < count; i++) {
        const bool before = strncmp(p[i].name, "stem", 4) == 0 || strncmp(p[i].name, "block0.", 7) == 0 ||
                            strncmp(p[i].name, "block1.", 7) == 0;
        if (!before)
            assert_true(norm(p[i].grad, p[i].count) == 0.0);
        else if (strstr(p[i].name, "conv.w") && norm(p[i].grad, p[i].count) == 0.0)
            fail_msg("%s has no gradient", p[i].name);
    }
    mien__net_free(n);
    n = NULL;
    o.taps = missing;
    assert_int_equal(mien__net_new(g, &o, &n, &err), MIEN_E_NOT_FOUND);
    assert_null(n);
    mien__graph_free(g);
}

static void running_averages_follow_the_batch(void **state)
{
    static const setup s = { "mobilefacenet:embed=16,width=0.25", 4, 112, 1, true, 0 };
    mien_model_info info;
    mien__graph *g = build(s.arch, &info);
    mien__net *n = open_net(g, s);
    size_t count = 0;
    const mien__param *b = mien__net_buffers(n, &count);
    (void)state;
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++)
        assert_true(b[i].grad == NULL);
    mien__net_forward(n);
    const float first = b[0].value[0], var = b[1].value[0];
    assert_true(first != 0.0f && var != 1.0f);
    for (int i = 0; i < 200; i++)
        mien__net_forward(n); /* the same batch: the averages end at its statistics */
    const float settled = b[0].value[0];
    assert_true(fabsf(first - 0.1f * settled) < 1e-3f * fabsf(settled) + 1e-6f);
    mien__net_free(n);
    mien__graph_free(g);
}

/* ---- models ---- */

static void model_computes_what_the_network_does(void **state)
{
    static const setup s = { "mobilefacenet:embed=16,width=0.25", 1, 112, 1, false, 0 };
    mien_model_info info;
    mien__graph *g = build(s.arch, &info);
    mien__net *n = open_net(g, s);
    mien_model *m = NULL;
    mien_session *session = NULL;
    float *in = NULL;
    size_t count = 0;
    mien_tensor_view shape = { .rank = 4, .dims = { 1, 3, 112, 112 } }, out;
    (void)state;
    info.name = "test";
    mien__net_forward(n);
    assert_int_equal(mien__net_model(n, &info, &m, NULL), MIEN_OK);
    assert_int_equal(mien_session_new(m, NULL, &session, NULL), MIEN_OK);
    assert_int_equal(mien_session_prepare(session, 1, &shape, &in, NULL), MIEN_OK);
    memcpy(in, mien__net_input(n, &count), (size_t)3 * 112 * 112 * sizeof *in);
    assert_int_equal(mien_session_run(session, NULL), MIEN_OK);
    assert_int_equal(mien_session_output(session, 0, &out, NULL), MIEN_OK);
    const mien__net_tap *t = mien__net_tap_at(n, 0);
    const double size = norm(t->data, t->count);
    for (size_t i = 0; i < t->count; i++)
        assert_true(fabs(out.data[i] - t->data[i]) < 1e-4 * size);
    mien_session_free(session);
    mien_model_free(m);
    mien__net_free(n);
    mien__graph_free(g);
}

static void finished_yunet_is_a_detector(void **state)
{
    mien_model_info info;
    mien__graph *g = build("yunet", &info);
    mien_model *m = NULL;
    mien_detector *d = NULL;
    mien_image *black = NULL;
    const mien_face *faces = NULL;
    size_t n = 0;
    uint64_t weights = 0;
    (void)state;
    for (uint32_t i = 0; i < g->n_values; i++)
        if (g->values[i].data && g->values[i].dtype == MIEN__F32)
            weights += (uint64_t)mien__value_elems(&g->values[i]);
    assert_true(weights < 120000);
    assert_int_equal(mien__arch_yunet_finish(g, NULL), MIEN_OK);
    assert_int_equal(mien__graph_check(g, NULL), MIEN_OK);
    assert_int_equal(mien__graph_simplify(g, NULL), MIEN_OK);
    info.name = "test";
    assert_int_equal(mien__model_from_graph(g, &info, &m, NULL), MIEN_OK); /* takes g */
    assert_int_equal(mien_detector_new(m, NULL, &d, NULL), MIEN_OK);
    assert_int_equal(mien_image_new(320, 240, NULL, 0, &black, NULL), MIEN_OK);
    assert_int_equal(mien_detect(d, mien_image_view_of(black), &faces, &n, NULL), MIEN_OK);
    mien_image_free(black);
    mien_detector_free(d);
    mien_model_free(m);
}

/* What a YuNet with folded normalisation computes must be in reach: a bias behind every convolution, black as
 * zero. */
static void yunet_without_norm_has_every_bias(void **state)
{
    mien_model_info info;
    mien__graph *g = build("yunet:norm=0", &info);
    unsigned convolutions = 0;
    (void)state;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        assert_int_not_equal(g->nodes[i].op, MIEN__OP_BatchNorm);
        if (g->nodes[i].op != MIEN__OP_Conv)
            continue;
        convolutions++;
        assert_int_equal(g->nodes[i].n_inputs, 3);
    }
    assert_int_equal(convolutions, 1 + 2 * (17 + 12));
    for (int i = 0; i < 3; i++)
        assert_true(info.mean[i] == 0.0f);
    mien__graph_free(g);
}

static void appended_layer_starts_as_the_identity(void **state)
{
    mien_model_info info;
    mien__graph *g = build("mobilefacenet:embed=16,width=0.25", &info), *layer = NULL;
    const uint32_t before = g->outputs[0];
    (void)state;
    assert_int_equal(mien__arch_layer(16, &layer, NULL), MIEN_OK);
    assert_int_equal(mien__arch_append_layer(g, layer, NULL), MIEN_OK);
    assert_int_equal(mien__graph_check(g, NULL), MIEN_OK);
    assert_true(g->outputs[0] != before);
    const mien__node *last = NULL;
    for (uint32_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].outputs[0] == g->outputs[0])
            last = &g->nodes[i];
    assert_non_null(last);
    const float *w = g->values[last->inputs[1]].data;
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 16; j++)
            assert_true(w[i * 16 + j] == (i == j ? 1.0f : 0.0f));
    mien__graph_free(layer);
    mien__graph_free(g);
}

static void descriptions_are_checked(void **state)
{
    static const char *const wrong[] = { "resnet",
                                         "mobilefacenet:embed=4",
                                         "mobilefacenet:width=9",
                                         "mobilefacenet:depth=3",
                                         "mobilefacenet:embed",
                                         "yunet:embed=16",
                                         "yunet:norm=2",
                                         "yunet:norm=0.5",
                                         "mobilefacenet:norm=0",
                                         "" };
    mien_model_info info = mien__model_info_empty();
    (void)state;
    for (size_t i = 0; i < MIEN_COUNTOF(wrong); i++) {
        mien__graph *g = NULL;
        mien_error err = MIEN_ERROR_INIT;
        assert_int_equal(mien__arch_build(wrong[i], 1, &g, &info, &err), MIEN_E_ARG);
        assert_null(g);
        assert_true(err.message[0] != 0);
    }
}

/* ---- determinism ---- */

static void threads_give_the_same_bytes(void **state)
{
    static const unsigned threads[] = { 1, 2, 7 };
    (void)state;
    for (size_t a = 0; a < 2; a++) {
        mien_model_info info;
        mien__graph *g = build(a ? "yunet" : "mobilefacenet:embed=24,width=0.25", &info);
        mien__net *first = NULL;
        for (size_t i = 0; i < MIEN_COUNTOF(threads); i++) {
            size_t count = 0;
            mien__net *n = open_net(g, (setup){ "", 3, a ? 64 : 112, threads[i], true, 0 });
            run(n);
            const mien__param *p = mien__net_params(n, &count);
            const mien__param *q = first ? mien__net_params(first, &count) : p;
            for (size_t j = 0; j < count; j++)
                assert_memory_equal(p[j].grad, q[j].grad, p[j].count * sizeof(float));
            if (first)
                mien__net_free(n);
            else
                first = n;
        }
        mien__net_free(first);
        mien__graph_free(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fast_steps_give_the_references_gradients),
        cmocka_unit_test(gradients_agree_with_differences),
        cmocka_unit_test(last_n_leaves_the_rest_alone),
        cmocka_unit_test(taps_are_seen_and_fed),
        cmocka_unit_test(running_averages_follow_the_batch),
        cmocka_unit_test(model_computes_what_the_network_does),
        cmocka_unit_test(finished_yunet_is_a_detector),
        cmocka_unit_test(yunet_without_norm_has_every_bias),
        cmocka_unit_test(appended_layer_starts_as_the_identity),
        cmocka_unit_test(descriptions_are_checked),
        cmocka_unit_test(threads_give_the_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
