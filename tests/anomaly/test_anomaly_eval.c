/* Evaluation with each of its allocations failing: tables, CSV, labels, measuring, comparing, searching,
 * pages. */
#include "anomaly/anomaly.h"
#include "eval/report.h"
#include <unistd.h>

static const char csv[] = "score,mated,person_a,person_b,fold,sex,age\n"
                          ".9,1,ann,ann,0,f,1\n.8,1,bob,bob,0,m,2\n.7,0,ann,bob,0,,1\n,0,ann,bob,0,,1\n"
                          ".6,1,cy,cy,1,f,1\n.2,0,ann,cy,1,f,2\n.3,0,bob,cy,1,,2\nx,1,ann,ann,1,f,2\n";

static mien_status measure_and_report(void *ctx, mien_error *err)
{
    mien_eval_table *t = NULL;
    mien_evaluation *e = NULL;
    mien__buf page = { 0 };
    char *text = NULL;
    mien_eval_roc_point *roc = NULL;
    mien_eval_opts o = MIEN_EVAL_OPTS_INIT;
    const mien_eval_report_opts r = MIEN_EVAL_REPORT_OPTS_INIT;
    size_t n = 0, bad = 0;
    (void)ctx;
    o.resamples = 3;
    o.threads = 1;
    mien_status st = mien_eval_table_parse(csv, strlen(csv), NULL, &t, &bad, err);
    if (!st)
        st = mien_eval_measure(t, &o, &e, err);
    if (!st)
        st = mien_eval_roc(t, &roc, &n, err);
    if (!st)
        st = mien__eval_html(e, &r, &page, err);
    if (!st)
        st = mien_evaluation_json(e, NULL, &text, err);
    mien_eval_text_free(text);
    mien__buf_free(&page);
    mien_eval_roc_free(roc);
    mien_evaluation_free(e);
    mien_eval_table_free(t);
    return st;
}

static mien_status compare_and_search(void *ctx, mien_error *err)
{
    static const mien_eval_probe v[] = {
        { 1, 0, 0.9, 1, "a" }, { 1, 0, 0.4, 2, "a" }, { 0, 0, 0.6, 0, "b" }, { 0, 1, 0, 0, NULL }
    };
    mien_eval_table *a = NULL, *b = NULL;
    mien_eval_comparison c;
    mien_eval_search_summary s;
    mien__buf page = { 0 };
    char *text = NULL;
    mien_eval_opts o = MIEN_EVAL_OPTS_INIT;
    mien_eval_search_opts so = MIEN_EVAL_SEARCH_OPTS_INIT;
    const mien_eval_report_opts r = MIEN_EVAL_REPORT_OPTS_INIT;
    (void)ctx;
    o.resamples = so.resamples = 3;
    o.threads = so.threads = 1;
    mien_status st = mien_eval_table_parse(csv, strlen(csv), NULL, &a, NULL, err);
    if (!st)
        st = mien_eval_table_parse(csv, strlen(csv) - 60, NULL, &b, NULL, err);
    if (!st)
        st = mien_eval_compare(a, b, MIEN_EVAL_NONE, 0.5, &o, &c, err);
    if (!st)
        st = mien_eval_search(v, MIEN_COUNTOF(v), &so, &s, err);
    if (!st)
        st = mien__eval_search_html(&s, &r, &page, err);
    if (!st)
        st = mien_eval_search_json(&s, NULL, &text, err);
    mien_eval_text_free(text);
    mien__buf_free(&page);
    mien_eval_table_free(a);
    mien_eval_table_free(b);
    return st;
}

static mien_status label_and_choose(void *ctx, mien_error *err)
{
    static const int32_t people[] = { 0, 0, 1, 1, 2, -1, 0 };
    mien_eval_labels *l = NULL;
    mien_eval_choice *v = NULL;
    size_t mated = 0, nonmated = 0;
    const char *values[2];
    mien_status st = mien_eval_labels_read(ctx, NULL, &l, err);
    if (!st) {
        mien_eval_labels_of(l, "ann", "bob", values);
        st = mien_eval_choose_pairs(people, 7, 3, 1, &v, &mated, &nonmated, NULL, err);
    }
    mien_eval_choices_free(v);
    mien_eval_labels_free(l);
    return st;
}

static void evaluation_survives_each_failing_allocation(void **state)
{
    (void)state;
    anomaly_run("measure and report", measure_and_report, NULL);
    anomaly_run("compare and search", compare_and_search, NULL);
}

static void labels_survive_each_failing_allocation(void **state)
{
    (void)state;
    char path[] = "/tmp/mien-labels-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    static const char text[] = "person,sex,age\nann,f,1\nbob,m,2\nann,f,3\n";
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    anomaly_run("labels and choice", label_and_choose, path);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evaluation_survives_each_failing_allocation),
        cmocka_unit_test(labels_survive_each_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
