/* mien_train_bench(): what it counts and calls, how it stops, what it refuses. Times themselves are left to
 * chance. */
#include "base/base.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include <mien/train.h>
#include "train/arch.h"
#include "train/net_plan.h"
#include "nn/mien_file.h"

#define SMALL "mobilefacenet:embed=16,width=0.1"

typedef struct seen {
    int first, last, calls, stop_at;
    double layers_ms, convs;
    size_t n_layers;
} seen;

static int count_run(int run, double ms, void *user)
{
    seen *s = user;
    assert_true(ms > 0);
    if (!s->calls++)
        s->first = run;
    s->last = run;
    return s->calls == s->stop_at;
}

static void add_layer(const mien_train_layer *layer, void *user)
{
    seen *s = user;
    assert_true(layer->name && *layer->op && *layer->kernel);
    assert_true(layer->forward_ms >= 0 && layer->backward_ms >= 0);
    s->n_layers++;
    s->convs += strcmp(layer->op, "Conv") == 0;
    s->layers_ms += layer->forward_ms + layer->backward_ms;
}

static mien_train_bench_opts small(seen *s)
{
    mien_train_bench_opts o = MIEN_TRAIN_BENCH_OPTS_INIT;
    o.arch = SMALL;
    o.batch = 2;
    o.threads = 1;
    o.runs = 3;
    o.run = count_run;
    o.user = s;
    return o;
}

static void bench_counts_runs_and_weights(void **state)
{
    (void)state;
    seen s = { 0 };
    mien_train_bench_opts o = small(&s);
    mien_train_bench_result r = { 0 };
    size_t n = 0, weights = 0;
    assert_int_equal(mien_train_bench(&o, &r, NULL), MIEN_OK);
    assert_int_equal(s.calls, 6);
    assert_int_equal(s.first, -3);
    assert_int_equal(s.last, 2);
    assert_int_equal(r.runs, 3);
    assert_true(r.height_px == 112 && r.width_px == 112);
    assert_true(r.min_ms > 0 && r.min_ms <= r.step_ms);
    assert_true(r.images_per_s > 1999.9 / r.step_ms && r.images_per_s < 2000.1 / r.step_ms);
    assert_true(r.forward_ms > 0 && r.backward_ms > 0 && r.optimiser_ms > 0);

    mien__graph *g = NULL;
    mien__net *net = NULL;
    mien_model_info info = mien__model_info_empty();
    const mien__net_opts no = { .batch = 2, .threads = 1, .batch_stats = true };
    assert_int_equal(mien__arch_build(SMALL, 1, &g, &info, NULL), MIEN_OK);
    assert_int_equal(mien__net_new(g, &no, &net, NULL), MIEN_OK);
    const mien__param *const params = mien__net_params(net, &n);
    for (size_t i = 0; i < n; i++)
        weights += params[i].count;
    assert_int_equal(r.n_weights, weights);
    mien__net_free(net);
    mien__graph_free(g);
}

static void bench_of_layers_has_every_operator(void **state)
{
    (void)state;
    seen s = { 0 };
    mien_train_bench_opts o = small(&s);
    mien_train_bench_result r = { 0 };
    o.layer = add_layer;
    assert_int_equal(mien_train_bench(&o, &r, NULL), MIEN_OK);
    assert_true(s.convs == 50); /* two of the stem, three of each of 15 blocks, three of the head */
    assert_true(s.n_layers > 100 && s.layers_ms > 0);
}

static void bench_of_a_detector_takes_a_side(void **state)
{
    (void)state;
    seen s = { 0 };
    mien_train_bench_opts o = small(&s);
    mien_train_bench_result r = { 0 };
    o.arch = "yunet";
    o.side_px = 64;
    o.runs = 1;
    assert_int_equal(mien_train_bench(&o, &r, NULL), MIEN_OK);
    assert_true(r.height_px == 64 && r.width_px == 64);
}

static void bench_stopped_or_refused_leaves_the_result(void **state)
{
    (void)state;
    seen s = { .stop_at = 4 };
    const mien_train_bench_opts good = small(&s);
    mien_train_bench_opts o = good;
    mien_train_bench_result r = { .runs = 77 };
    mien_error err = MIEN_ERROR_INIT;
    assert_int_equal(mien_train_bench(&o, &r, &err), MIEN_E_INTERRUPTED);
    assert_int_equal(s.calls, 4);
    o.batch = 1;
    assert_int_equal(mien_train_bench(&o, &r, NULL), MIEN_E_ARG);
    o = good;
    o.runs = 0;
    assert_int_equal(mien_train_bench(&o, &r, NULL), MIEN_E_ARG);
    o = good;
    o.arch = "resnet";
    assert_int_equal(mien_train_bench(&o, &r, NULL), MIEN_E_ARG);
    o = good;
    o.side_px = -1;
    assert_int_equal(mien_train_bench(&o, &r, NULL), MIEN_E_ARG);
    o = good;
    o.struct_size--;
    assert_int_equal(mien_train_bench(&o, &r, NULL), MIEN_E_ARG);
    assert_int_equal(mien_train_bench(NULL, &r, NULL), MIEN_E_ARG);
    assert_int_equal(mien_train_bench(&good, NULL, NULL), MIEN_E_ARG);
    assert_int_equal(s.calls, 4);
    assert_int_equal(r.runs, 77);
}

/* Plans hold scratch per worker; planned for 0 threads, a pool of several wrote over each other's. */
static void net_of_all_processors_plans_for_its_pool(void **state)
{
    (void)state;
    mien__graph *g = NULL;
    mien__net *net = NULL;
    mien_model_info info = mien__model_info_empty();
    const mien__net_opts no = { .batch = 2, .threads = 0, .batch_stats = true };
    assert_int_equal(mien__arch_build(SMALL, 1, &g, &info, NULL), MIEN_OK);
    assert_int_equal(mien__net_new(g, &no, &net, NULL), MIEN_OK);
    assert_int_equal(net->o.threads, mien__pool_threads(mien__net_pool(net)));
    mien__net_free(net);
    mien__graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bench_counts_runs_and_weights),
        cmocka_unit_test(bench_of_layers_has_every_operator),
        cmocka_unit_test(bench_of_a_detector_takes_a_side),
        cmocka_unit_test(bench_stopped_or_refused_leaves_the_result),
        cmocka_unit_test(net_of_all_processors_plans_for_its_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
