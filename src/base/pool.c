/* The thread pool: n tasks handed out by an atomic counter to the caller and its helpers.
 *
 * Which worker runs a task is left to chance; what a task computes must not depend on it, so results are
 * the same for any number of threads. Workers spin briefly before they sleep, because network layers
 * follow each other within microseconds. A run started inside a task of the same pool is done by that worker
 * alone.
 */
#include "base/base.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sched.h>

enum { MAX_THREADS = 256, SPINS = 4000 };

typedef struct worker {
    struct mien__pool *pool;
    unsigned index;
    pthread_t thread;
} worker;

struct mien__pool {
    unsigned n_threads; /* with the caller */
    unsigned n_started;
    pthread_mutex_t lock;
    pthread_cond_t wake, idle;
    mien__pool_fn fn;
    void *ctx;
    size_t n_tasks;
    atomic_size_t next;
    atomic_uint generation; /* grows by one per run */
    atomic_uint running;    /* helpers that have not finished this generation */
    atomic_bool stop;
    worker workers[];
};

static void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Which pool this thread is working for, and as which worker: a run inside a task is done in place. */
static _Thread_local struct {
    const mien__pool *pool;
    unsigned index;
} inside;

static void run_tasks(mien__pool *p, unsigned index)
{
    const mien__pool *const outer_pool = inside.pool;
    const unsigned outer_index = inside.index;
    inside.pool = p;
    inside.index = index;
    for (;;) {
        const size_t task = atomic_fetch_add(&p->next, 1);
        if (task >= p->n_tasks)
            break;
        p->fn(p->ctx, task, index);
    }
    inside.pool = outer_pool;
    inside.index = outer_index;
}

static void *worker_main(void *arg)
{
    worker *const w = arg;
    mien__pool *const p = w->pool;
    unsigned seen = 0;
    for (;;) {
        for (int i = 0; i < SPINS && atomic_load(&p->generation) == seen && !atomic_load(&p->stop); i++)
            pause_cpu();
        if (atomic_load(&p->generation) == seen && !atomic_load(&p->stop)) {
            pthread_mutex_lock(&p->lock);
            while (atomic_load(&p->generation) == seen && !atomic_load(&p->stop))
                pthread_cond_wait(&p->wake, &p->lock);
            pthread_mutex_unlock(&p->lock);
        }
        if (atomic_load(&p->stop))
            return NULL;
        seen = atomic_load(&p->generation);
        run_tasks(p, w->index);
        if (atomic_fetch_sub(&p->running, 1) == 1) {
            pthread_mutex_lock(&p->lock);
            pthread_cond_signal(&p->idle);
            pthread_mutex_unlock(&p->lock);
        }
    }
}

mien_status mien__pool_new(mien__pool **ret, unsigned threads, mien_error *err)
{
    if (threads == 0)
        threads = mien_cpu_count();
    if (threads > MAX_THREADS)
        return mien__fail(err, MIEN_E_LIMIT, "%u threads asked for, the limit is %d", threads, MAX_THREADS);
    const size_t bytes = sizeof(mien__pool) + threads * sizeof(worker);
    mien__pool *const p = mien_alloc_zero(bytes);
    if (!p)
        return mien__nomem(err, bytes);
    p->n_threads = threads;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->idle, NULL);
    for (unsigned i = 1; i < threads; i++) {
        p->workers[i].pool = p;
        p->workers[i].index = i;
        if (pthread_create(&p->workers[i].thread, NULL, worker_main, &p->workers[i]) != 0) {
            mien__pool_free(p);
            return mien__fail(err, MIEN_E_NOMEM, "cannot start thread %u of %u", i + 1, threads);
        }
        p->n_started++;
    }
    *ret = p;
    return MIEN_OK;
}

unsigned mien__pool_threads(const mien__pool *p)
{
    return p ? p->n_threads : 1;
}

void mien__pool_run(mien__pool *p, mien__pool_fn fn, void *ctx, size_t n)
{
    const bool nested = p && inside.pool == p;
    if (!p || p->n_threads <= 1 || n <= 1 || nested) {
        for (size_t i = 0; i < n; i++)
            fn(ctx, i, nested ? inside.index : 0);
        return;
    }
    p->fn = fn;
    p->ctx = ctx;
    p->n_tasks = n;
    atomic_store(&p->next, 0);
    atomic_store(&p->running, p->n_started);
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->generation, 1);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    run_tasks(p, 0);
    for (int i = 0; i < SPINS && atomic_load(&p->running) > 0; i++)
        pause_cpu();
    if (atomic_load(&p->running) > 0) {
        pthread_mutex_lock(&p->lock);
        while (atomic_load(&p->running) > 0)
            pthread_cond_wait(&p->idle, &p->lock);
        pthread_mutex_unlock(&p->lock);
    }
}

void mien__pool_free(mien__pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->stop, true);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 1; i <= p->n_started; i++)
        pthread_join(p->workers[i].thread, NULL);
    pthread_cond_destroy(&p->idle);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    mien_free(p);
}
