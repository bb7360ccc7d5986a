/* Fails the n-th allocation of a piece of work, n = 1.. until it succeeds, once and from then on.
 *
 * After each try nothing may be left allocated, the status must be E_NOMEM (or, where a single failure can be
 * got around, success), and a failure must have written its error. Included by one test file each.
 */
#ifndef MIEN_TESTS_ANOMALY_H
#define MIEN_TESTS_ANOMALY_H

#include "base/base.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The work: makes what it needs, frees it, returns the first status that is not OK. */
typedef mien_status (*anomaly_fn)(void *ctx, mien_error *err);

static struct {
    atomic_long live, calls;
    long fail_at; /* calls count from 1; 0: never */
    bool keep;    /* fail from then on */
} anomaly_heap;

static void *anomaly_alloc(size_t bytes, size_t align, void *user)
{
    (void)user;
    const long call = atomic_fetch_add(&anomaly_heap.calls, 1) + 1;
    if (anomaly_heap.fail_at &&
        (call == anomaly_heap.fail_at || (anomaly_heap.keep && call > anomaly_heap.fail_at)))
        return NULL;
    void *ptr = NULL;
    if (posix_memalign(&ptr, align, bytes) != 0)
        return NULL;
    memset(ptr, 0xa5, bytes > 65536 ? 65536 : bytes); /* nobody may count on zeros */
    atomic_fetch_add(&anomaly_heap.live, 1);
    return ptr;
}

static void anomaly_free(void *ptr, void *user)
{
    (void)user;
    atomic_fetch_sub(&anomaly_heap.live, 1);
    free(ptr);
}

static mien_status anomaly_try(const char *name, anomaly_fn fn, void *ctx, long fail_at, bool keep)
{
    static const mien_allocator hook = { anomaly_alloc, anomaly_free, NULL };
    mien_error err = MIEN_ERROR_INIT;
    atomic_store(&anomaly_heap.live, 0);
    atomic_store(&anomaly_heap.calls, 0);
    anomaly_heap.fail_at = fail_at;
    anomaly_heap.keep = keep;
    mien_set_allocator(&hook);
    const mien_status status = fn(ctx, &err);
    mien_set_allocator(NULL);
    if (atomic_load(&anomaly_heap.live) != 0)
        fail_msg("%s: allocation %ld failing%s: %ld blocks are left", name, fail_at,
                 keep ? " from then on" : "", atomic_load(&anomaly_heap.live));
    if (status != MIEN_OK && (err.status != status || !err.message[0]))
        fail_msg("%s: allocation %ld failing: status %s, but the error says %s '%s'", name, fail_at,
                 mien_status_name(status), mien_status_name(err.status), err.message);
    return status;
}

/* Every n up to `every`, then in growing steps: a large model has thousands of allocations of the same kind.
 */
static void anomaly_run_steps(const char *name, anomaly_fn fn, void *ctx, long every)
{
    const mien_status plain = anomaly_try(name, fn, ctx, 0, false);
    if (plain != MIEN_OK)
        fail_msg("%s: fails without any fault: %s", name, mien_status_name(plain));
    const long total = atomic_load(&anomaly_heap.calls);
    long tries = 0, survived = 0;
    for (int keep = 0; keep <= 1; keep++) {
        for (long n = 1; n <= total; n = n < every ? n + 1 : n + n / 16 + 1) {
            const mien_status status = anomaly_try(name, fn, ctx, n, keep);
            if (status != MIEN_OK && status != MIEN_E_NOMEM)
                fail_msg("%s: allocation %ld of %ld failing%s gives %s", name, n, total,
                         keep ? " from then on" : "", mien_status_name(status));
            survived += status == MIEN_OK; /* got around it: leave to the reader of the log */
            tries++;
        }
    }
    printf("%s: %ld allocations, %ld faults injected, %ld survived without notice\n", name, total, tries,
           survived);
}

static inline void anomaly_run(const char *name, anomaly_fn fn, void *ctx)
{
    anomaly_run_steps(name, fn, ctx, 100000);
}

#endif
