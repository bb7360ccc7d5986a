/* The log of a run: what is written comes back, whatever interrupted the writing. */
#include "train/runlog.h"
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <setjmp.h>
#include <cmocka.h>

static char path[64];

static int set_up(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/mien_runlog.XXXXXX");
    const int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

static void append(const char *text)
{
    const int fd = open(path, O_WRONLY | O_APPEND);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static mien_status write_step(mien__runlog *l, uint64_t step)
{
    const mien__runlog_value v[] = { { "loss", 10 - 0.01 * (double)step },
                                     { "lr", 1e-3 / (double)(step + 1) },
                                     { "grad_norm", step == 3 ? NAN : 2.5 } };
    const mien__runlog_record r = { step, step / 100, v, MIEN_COUNTOF(v), NULL, NULL };
    return mien__runlog_write(l, &r, NULL);
}

static void written_figures_come_back(void **state)
{
    (void)state;
    mien__runlog *l = NULL;
    mien__validation v;
    memset(&v, 0, sizeof v);
    v.open.at[0].fnmr = (mien_eval_rate){ 0.25, 0.125, 0.5 };
    assert_int_equal(mien__runlog_open(path, NULL, &l, NULL), MIEN_OK);
    for (uint64_t s = 0; s < 200; s++)
        assert_int_equal(write_step(l, s), MIEN_OK);
    const mien__runlog_record r = { 200, 2, NULL, 0, &v, "best \"so far\"\n" };
    assert_int_equal(mien__runlog_write(l, &r, NULL), MIEN_OK);
    mien__runlog_close(l);

    mien__runlog_data d;
    assert_int_equal(mien__runlog_read(path, &d, NULL), MIEN_OK);
    assert_int_equal(d.n_lines, 201);
    assert_int_equal(d.n_bad, 0);
    const mien__series *const loss = mien__runlog_find(&d, "loss");
    assert_int_equal(loss->n, 200);
    for (size_t i = 0; i < 200; i++) {
        assert_true(fabs(loss->steps[i] - (double)i) <= 0);
        assert_true(fabs(loss->values[i] - (10 - 0.01 * (double)i)) < 1e-8 * 10);
    }
    assert_int_equal(mien__runlog_find(&d, "grad_norm")->n, 199); /* NaN is null, no figure */
    const mien__series *const lo = mien__runlog_find(&d, "validation.open.far_1e-2.fnmr.lo");
    assert_int_equal(lo->n, 1);
    assert_true(fabs(lo->values[0] - 0.125) <= 0);
    assert_null(mien__runlog_find(&d, "note"));
    mien__runlog_data_clear(&d);
}

/* A checkpoint of step 5, a log that went on to 9 and broke off in line 10. */
static void resume_cuts_later_steps_and_the_partial_line(void **state)
{
    (void)state;
    mien__runlog *l = NULL;
    assert_int_equal(mien__runlog_open(path, NULL, &l, NULL), MIEN_OK);
    for (uint64_t s = 0; s < 10; s++)
        assert_int_equal(write_step(l, s), MIEN_OK);
    mien__runlog_close(l);
    append("{\"step\":10,\"epo");
    mien__runlog_data d;
    assert_int_equal(mien__runlog_read(path, &d, NULL), MIEN_OK);
    assert_int_equal(d.n_lines, 10);
    mien__runlog_data_clear(&d);

    const uint64_t from = 5;
    assert_int_equal(mien__runlog_open(path, &from, &l, NULL), MIEN_OK);
    assert_int_equal(write_step(l, 6), MIEN_OK);
    mien__runlog_close(l);
    assert_int_equal(mien__runlog_read(path, &d, NULL), MIEN_OK);
    assert_int_equal(d.n_bad, 0);
    assert_int_equal(d.n_lines, 7);
    const mien__series *const loss = mien__runlog_find(&d, "loss");
    for (size_t i = 0; i < 7; i++)
        assert_true(fabs(loss->steps[i] - (double)i) <= 0);
    mien__runlog_data_clear(&d);

    assert_int_equal(mien__runlog_open(path, NULL, &l, NULL), MIEN_OK); /* begin anew */
    mien__runlog_close(l);
    assert_int_equal(mien__runlog_read(path, &d, NULL), MIEN_OK);
    assert_int_equal(d.n_lines, 0);
    mien__runlog_data_clear(&d);
}

/* Kill a writer at some moment, ten times; every line that was returned from must be there. */
static void killed_writer_leaves_whole_lines(void **state)
{
    (void)state;
    uint64_t last = 0;
    for (int run = 0; run < 10; run++) {
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            mien__runlog *l = NULL;
            if (mien__runlog_open(path, run ? &last : NULL, &l, NULL))
                _exit(1);
            for (uint64_t s = last + 1;; s++)
                if (write_step(l, s) || write(fds[1], &s, sizeof s) != sizeof s)
                    _exit(1);
        }
        close(fds[1]);
        uint64_t s = 0;
        for (int i = 0; i < 20 + 13 * run; i++)
            assert_int_equal(read(fds[0], &s, sizeof s), sizeof s);
        kill(child, SIGKILL);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        while (read(fds[0], &s, sizeof s) == sizeof s)
            ;
        close(fds[0]);
        last = s;
        mien__runlog_data d;
        assert_int_equal(mien__runlog_read(path, &d, NULL), MIEN_OK);
        assert_int_equal(d.n_bad, 0);
        assert_in_range(d.n_lines, last, last + 1);
        mien__runlog_data_clear(&d);
    }
}

static void full_disk_keeps_whole_lines(void **state)
{
    (void)state;
    mien__runlog *l = NULL;
    mien_error err = MIEN_ERROR_INIT;
    struct rlimit was, small;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    small = (struct rlimit){ 1000, was.rlim_max };
    assert_int_equal(mien__runlog_open(path, NULL, &l, NULL), MIEN_OK);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    uint64_t s = 0;
    while (s < 100 && write_step(l, s) == MIEN_OK)
        s++;
    const mien__runlog_record r = {
        s, 0, NULL, 0, NULL, "a long note of more than a few bytes, so that this cannot fit any more"
    };
    assert_int_equal(mien__runlog_write(l, &r, &err), MIEN_E_IO);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_in_range(s, 5, 50);
    assert_non_null(strstr(err.message, path));
    assert_int_equal(write_step(l, s), MIEN_OK); /* there is room again */
    mien__runlog_close(l);
    mien__runlog_data d;
    assert_int_equal(mien__runlog_read(path, &d, NULL), MIEN_OK);
    assert_int_equal(d.n_bad, 0);
    assert_int_equal(d.n_lines, s + 1);
    mien__runlog_data_clear(&d);
}

static void parse_counts_bad_lines_and_takes_the_later_step(void **state)
{
    (void)state;
    static const char text[] = "{\"config\":{\"seed\":1}}\n"
                               "{\"step\":1,\"a\":1,\"deep\":{\"b\":[5,{\"c\":6}],\"d\":7}}\n"
                               "{\"step\":2,\"a\":2}\r\n"
                               "{\"step\":3 \"a\":9}\n"
                               "{\"step\":4,\"a\":9} tail\n"
                               "{\"step\":2,\"a\":3,\"e\":\"x\",\"f\":null,\"g\":true}\n"
                               "{\"step\":9,\"a\":9";
    mien__runlog_data d;
    assert_int_equal(mien__runlog_parse(text, sizeof text - 1, &d, NULL), MIEN_OK);
    assert_int_equal(d.n_lines, 3);
    assert_int_equal(d.n_bad, 2);
    assert_int_equal(d.n, 2);
    const mien__series *const a = mien__runlog_find(&d, "a");
    assert_int_equal(a->n, 2);
    assert_true(fabs(a->values[1] - 3) <= 0);
    assert_int_equal(mien__runlog_find(&d, "deep.d")->n, 1);
    mien__runlog_data_clear(&d);
}

static void scan_refuses_deep_nesting_and_too_many_figures(void **state)
{
    (void)state;
    static mien__runlog_line line;
    static char text[1 << 20];
    assert_false(mien__runlog_scan(text, 0, &line));
    memset(text, '[', sizeof text);
    memcpy(text, "{\"a\":", 5);
    assert_false(mien__runlog_scan(text, sizeof text, &line));
    size_t n = 0;
    for (int i = 0; i <= MIEN__RUNLOG_MAX_SERIES; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%c\"k%d\":1", i ? ',' : '{', i);
    text[n++] = '}';
    assert_false(mien__runlog_scan(text, n, &line));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(written_figures_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(resume_cuts_later_steps_and_the_partial_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(killed_writer_leaves_whole_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(full_disk_keeps_whole_lines, set_up, tear_down),
        cmocka_unit_test(parse_counts_bad_lines_and_takes_the_later_step),
        cmocka_unit_test(scan_refuses_deep_nesting_and_too_many_figures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
