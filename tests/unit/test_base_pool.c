/* The thread pool: every task once, any number of them, nested runs in place, same result for any thread
 * count. */
#include "base/base.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdatomic.h>
#include <string.h>

enum { MAX_TASKS = 10000, MAX_WORKERS = 8 };

typedef struct job {
    atomic_uint seen[MAX_TASKS];
    double out[MAX_TASKS];
    unsigned n_workers;
    atomic_uint bad_worker;
} job;

static job the_job;

static void work(void *ctx, size_t task, unsigned worker)
{
    job *const j = ctx;
    atomic_fetch_add(&j->seen[task], 1);
    if (worker >= j->n_workers)
        atomic_fetch_add(&j->bad_worker, 1);
    double x = (double)task; /* uneven tasks */
    for (size_t i = 0; i < task % 37; i++)
        x = x * 1.0000001 + 1.0 / (double)(i + 1);
    j->out[task] = x;
}

static void run_and_check(mien__pool *p, size_t n)
{
    memset(&the_job, 0, sizeof the_job);
    the_job.n_workers = mien__pool_threads(p);
    mien__pool_run(p, work, &the_job, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(atomic_load(&the_job.seen[i]), 1);
    for (size_t i = n; i < MAX_TASKS; i++)
        assert_int_equal(atomic_load(&the_job.seen[i]), 0);
    assert_int_equal(atomic_load(&the_job.bad_worker), 0);
}

static void run_gives_every_task_once(void **state)
{
    (void)state;
    static const unsigned threads[] = { 1, 2, 3, 8 };
    static const size_t sizes[] = { 0, 1, 2, 3, 7, 8, 9, 64, 1000, MAX_TASKS };
    run_and_check(NULL, 10);
    for (size_t t = 0; t < MIEN_COUNTOF(threads); t++) {
        mien__pool *p = NULL;
        assert_int_equal(mien__pool_new(&p, threads[t], NULL), MIEN_OK);
        assert_int_equal(mien__pool_threads(p), threads[t]);
        for (size_t i = 0; i < MIEN_COUNTOF(sizes); i++)
            run_and_check(p, sizes[i]);
        mien__pool_free(p);
    }
}

static void run_same_bytes_for_any_thread_count(void **state)
{
    (void)state;
    static double first[MAX_TASKS];
    for (unsigned t = 1; t <= MAX_WORKERS; t++) {
        mien__pool *p = NULL;
        assert_int_equal(mien__pool_new(&p, t, NULL), MIEN_OK);
        run_and_check(p, MAX_TASKS);
        if (t == 1)
            memcpy(first, the_job.out, sizeof first);
        assert_memory_equal(first, the_job.out, sizeof first);
        mien__pool_free(p);
    }
}

static void run_many_short_runs_lose_nothing(void **state)
{
    (void)state;
    mien__pool *p = NULL;
    assert_int_equal(mien__pool_new(&p, 4, NULL), MIEN_OK);
    memset(&the_job, 0, sizeof the_job);
    the_job.n_workers = 4;
    for (unsigned r = 1; r <= 3000; r++) {
        mien__pool_run(p, work, &the_job, 5);
        for (int i = 0; i < 5; i++)
            assert_int_equal(atomic_load(&the_job.seen[i]), r);
    }
    mien__pool_free(p);
}

typedef struct nest {
    mien__pool *pool;
    atomic_uint n, wrong_worker;
} nest;

typedef struct inner {
    nest *of;
    unsigned worker;
} inner;

static void inner_work(void *ctx, size_t task, unsigned worker)
{
    (void)task;
    inner *const i = ctx;
    if (worker != i->worker)
        atomic_fetch_add(&i->of->wrong_worker, 1);
    atomic_fetch_add(&i->of->n, 1);
}

static void outer_work(void *ctx, size_t task, unsigned worker)
{
    (void)task;
    inner i = { ctx, worker };
    mien__pool_run(i.of->pool, inner_work, &i, 13);
}

static void run_nested_is_done_by_the_same_worker(void **state)
{
    (void)state;
    for (unsigned t = 1; t <= 4; t++) {
        nest n = { 0 };
        assert_int_equal(mien__pool_new(&n.pool, t, NULL), MIEN_OK);
        mien__pool_run(n.pool, outer_work, &n, 50);
        assert_int_equal(atomic_load(&n.n), 50 * 13);
        assert_int_equal(atomic_load(&n.wrong_worker), 0);
        mien__pool_free(n.pool);
    }
}

static void new_refuses_absurd_counts(void **state)
{
    (void)state;
    mien__pool *p = NULL;
    mien_error err = MIEN_ERROR_INIT;
    assert_int_equal(mien__pool_new(&p, 100000, &err), MIEN_E_LIMIT);
    assert_null(p);
    assert_non_null(strstr(err.message, "100000"));
    mien__pool_free(NULL);
    assert_int_equal(mien__pool_new(&p, 0, &err), MIEN_OK);
    assert_int_equal(mien__pool_threads(p), mien_cpu_count());
    mien__pool_free(p);
    assert_int_equal(mien__pool_threads(NULL), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_gives_every_task_once),
        cmocka_unit_test(run_same_bytes_for_any_thread_count),
        cmocka_unit_test(run_many_short_runs_lose_nothing),
        cmocka_unit_test(run_nested_is_done_by_the_same_worker),
        cmocka_unit_test(new_refuses_absurd_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
