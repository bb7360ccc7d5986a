/* Validation, the log of a run and the report with each of their allocations failing. */
#include "anomaly/anomaly.h"
#include "train/report.h"
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
