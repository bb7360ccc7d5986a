/* Validation, the log of a run, the report, a step and the loop with each of their allocations failing. */
#include "anomaly/anomaly.h"
#include "nn/mien_file.h"
#include "train/report.h"
#include "train/trainer.h"
#include <math.h>
#include <mien/train.h>
#include <unistd.h>

enum { PEOPLE = 8, EACH = 4, N = PEOPLE * EACH, DIM = 8 };
static float rows[2][N][DIM];
static int32_t labels[N];

static void make_rows(void)
{
    mien__rng r;
    mien__rng_seed(&r, 1);
    for (int m = 0; m < 2; m++)
        for (int i = 0; i < N; i++) {
            double sum = 0;
            for (int k = 0; k < DIM; k++) {
                rows[m][i][k] = (float)(mien__rng_unit(&r) - 0.5 + (k == i / EACH));
                sum += (double)rows[m][i][k] * (double)rows[m][i][k];
            }
            for (int k = 0; k < DIM; k++)
                rows[m][i][k] = (float)(rows[m][i][k] / sqrt(sum));
            labels[i] = i / EACH;
        }
}

static mien_status validate_and_compare(void *ctx, mien_error *err)
{
    (void)ctx;
    mien__validate_opts o = MIEN__VALIDATE_OPTS_INIT;
    mien__validation v = { 0 };
    mien__comparison c;
    mien__buf table = { 0 };
    o.resamples = 5;
    o.folds = 2;
    mien_status st = mien__validate(rows[0][0], labels, N, DIM, &o, &v, err);
    if (!st)
        st = mien__compare(rows[0][0], DIM, rows[1][0], DIM, labels, N, &o, &c, err);
    if (!st)
        st = mien__validation_table(&v, &v, &c, &table, err);
    mien__buf_free(&table);
    mien__validation_clear(&v);
    return st;
}

static mien_status write_and_read_log(void *ctx, mien_error *err)
{
    const char *const path = ctx;
    static const mien__runlog_value values[] = { { "loss", 2 }, { "lr", 0.1 } };
    mien__runlog *l = NULL;
    mien__runlog_data d = { 0 };
    const uint64_t from = 50;
    mien_status st = mien__runlog_open(path, NULL, &l, err);
    for (uint64_t s = 0; !st && s < 100; s++) {
        const mien__runlog_record r = { s, 0, values, 2, NULL, NULL };
        st = mien__runlog_write(l, &r, err);
    }
    mien__runlog_close(l);
    l = NULL;
    if (!st)
        st = mien__runlog_open(path, &from, &l, err);
    mien__runlog_close(l);
    if (!st)
        st = mien__runlog_read(path, &d, err);
    mien__runlog_data_clear(&d);
    return st;
}

static mien_status bench(void *ctx, mien_error *err)
{
    (void)ctx;
    mien_train_bench_opts o = MIEN_TRAIN_BENCH_OPTS_INIT;
    mien_train_bench_result r;
    o.arch = "mobilefacenet:embed=16,width=0.1";
    o.batch = 2;
    o.threads = 1;
    o.runs = 1;
    return mien_train_bench(&o, &r, err);
}

/* ---- the loop, on one product of four numbers ---- */

static mien_status loop_fill(void *ctx, uint64_t step, float *input, mien_error *err)
{
    (void)ctx;
    (void)err;
    for (int i = 0; i < 2 * 4; i++)
        input[i] = (float)((step + (uint64_t)i) % 5) - 2.0f;
    return MIEN_OK;
}

static mien_status loop_loss(void *ctx, mien__net *n, double *ret_loss, mien__parts *parts, mien_error *err)
{
    const mien__net_tap *tap = mien__net_tap_at(n, 0);
    (void)ctx;
    (void)err;
    *ret_loss = 0;
    for (size_t i = 0; i < tap->count; i++) {
        tap->grad[i] = tap->data[i] - 1.0f;
        *ret_loss += 0.5 * (double)tap->grad[i] * (double)tap->grad[i];
    }
    mien__parts_add(parts, "part", 1);
    return MIEN_OK;
}

static mien_status loop_validate(void *ctx, const mien_model *model, mien__parts *parts, double *ret_score,
                                 mien_error *err)
{
    (void)ctx;
    (void)model;
    (void)parts;
    (void)err;
    *ret_score = 1;
    return MIEN_OK;
}

static mien_status tiny_graph(mien__graph **ret, mien_error *err)
{
    static const int64_t in_dims[] = { -1, 4, 1, 1 }, w_dims[] = { 2, 4, 1, 1 }, out_dims[] = { -1, 2, 1, 1 };
    mien__graph *g = mien__graph_new();
    uint32_t x = 0, w = 0, y = 0;
    mien__node *node = NULL;
    float *weights = g ? mien__arena_alloc_array(g->arena, 8, sizeof *weights) : NULL;
    for (int i = 0; weights && i < 8; i++)
        weights[i] = 0.1f * (float)(i - 3);
    if (!weights || !mien__graph_add_value(g, "x", MIEN__F32, 4, in_dims, NULL, &x) ||
        !mien__graph_add_value(g, "w", MIEN__F32, 4, w_dims, weights, &w) ||
        !mien__graph_add_value(g, "y", MIEN__F32, 4, out_dims, NULL, &y) ||
        !mien__graph_add_node(g, MIEN__OP_Conv, "conv", (const uint32_t[]){ x, w }, 2, &y, 1, &node) ||
        !mien__graph_set_io(g, &x, 1, &y, 1)) {
        mien__graph_free(g);
        return mien__nomem(err, 64);
    }
    *ret = g;
    return MIEN_OK;
}

static mien_status run_loop(const char *dir, bool resume, mien_error *err)
{
    mien__graph *g = NULL;
    mien__net *net = NULL;
    mien_model *model = NULL;
    mien__loop_result result;
    const mien_model_info info = mien__model_info_empty();
    const mien__net_opts no = { .batch = 2, .threads = 1 };
    const mien__task task = { .batch = 2,
                              .steps_per_epoch = 4,
                              .fill = loop_fill,
                              .loss = loop_loss,
                              .validate = loop_validate,
                              .info = &info };
    const mien__loop_opts lo = {
        .optim = { .kind = MIEN__ADAMW, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .ema = 0.9 },
        .lr = 0.1,
        .epochs = 1,
        .accumulate = 2,
        .validate_epochs = 1,
        .dir = dir,
        .resume = resume
    };
    mien_status st = tiny_graph(&g, err);
    if (!st)
        st = mien__net_new(g, &no, &net, err);
    if (!st)
        st = mien__train_loop(net, &task, &lo, &model, &result, err);
    mien_model_free(model);
    mien__net_free(net);
    mien__graph_free(g);
    return st;
}

static mien_status loop_from_start(void *ctx, mien_error *err)
{
    return run_loop(ctx, false, err);
}

static mien_status loop_resumed(void *ctx, mien_error *err)
{
    return run_loop(ctx, true, err);
}

static void loop_survives_failing_allocations(void **state)
{
    (void)state;
    char dir[] = "/tmp/mien_anomaly_loop.XXXXXX", path[64];
    static const char *const files[] = { "checkpoint.bin", "log.jsonl", "best.mien" };
    assert_non_null(mkdtemp(dir));
    anomaly_run("loop of training", loop_from_start, dir);
    anomaly_run("loop of training, resumed", loop_resumed, dir);
    for (size_t i = 0; i < MIEN_COUNTOF(files); i++) {
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(dir), 0); /* nothing else is left in it */
}

static mien_status report(void *ctx, mien_error *err)
{
    mien__buf page = { 0 };
    const mien_status st = mien__report_html(ctx, &page, err);
    assert_true((st == MIEN_OK) == (page.data != NULL));
    mien__buf_free(&page);
    return st;
}

static void validation_survives_failing_allocations(void **state)
{
    (void)state;
    make_rows();
    anomaly_run("validate, compare, table", validate_and_compare, NULL);
}

static void log_survives_failing_allocations(void **state)
{
    (void)state;
    char path[] = "/tmp/mien_anomaly_log.XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    anomaly_run("log of a run", write_and_read_log, path);
    unlink(path);
}

static void report_survives_failing_allocations(void **state)
{
    (void)state;
    mien__validate_opts o = MIEN__VALIDATE_OPTS_INIT;
    mien__validation v;
    mien__comparison c;
    make_rows();
    o.resamples = 5;
    o.folds = 2;
    assert_int_equal(mien__validate(rows[0][0], labels, N, DIM, &o, &v, NULL), MIEN_OK);
    assert_int_equal(mien__compare(rows[0][0], DIM, rows[1][0], DIM, labels, N, &o, &c, NULL), MIEN_OK);
    mien__report r = { .title = "Run", .before = &v, .after = &v, .comparison = &c };
    anomaly_run("report", report, &r);
    mien__validation_clear(&v);
}

static void bench_survives_failing_allocations(void **state)
{
    (void)state;
    anomaly_run("bench of training", bench, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(validation_survives_failing_allocations),
        cmocka_unit_test(log_survives_failing_allocations),
        cmocka_unit_test(report_survives_failing_allocations),
        cmocka_unit_test(bench_survives_failing_allocations),
        cmocka_unit_test(loop_survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
