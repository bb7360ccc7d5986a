/* Many items on several threads, results taken in order. Workers draw the next item from a counter and
 * put the result into a ring; the caller's thread empties the ring in order. The ring bounds how far the
 * workers may run ahead, and so the memory. One thread: no thread is made.
 */
#include "cli.h"
#include <pthread.h>
#include <stdlib.h>

typedef struct ring {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    void **results;
    bool *ready;
    size_t size, next, taken, n;
    bool stop;
    cli_work_fn work;
    void *ctx;
} ring;

typedef struct thread_arg {
    ring *r;
    void *worker;
} thread_arg;

static void *thread_main(void *p)
{
    const thread_arg *arg = p;
    ring *r = arg->r;
    pthread_mutex_lock(&r->mutex);
    for (;;) {
        while (!r->stop && r->next < r->n && r->next >= r->taken + r->size)
            pthread_cond_wait(&r->changed, &r->mutex);
        if (r->stop || r->next >= r->n)
            break;
        const size_t item = r->next++;
        pthread_mutex_unlock(&r->mutex);
        void *result = r->work(r->ctx, arg->worker, item);
        pthread_mutex_lock(&r->mutex);
        r->results[item % r->size] = result;
        r->ready[item % r->size] = true;
        pthread_cond_broadcast(&r->changed);
    }
    pthread_mutex_unlock(&r->mutex);
    return NULL;
}

static void run_here(size_t n, void *worker, cli_work_fn work, cli_done_fn done, void *ctx)
{
    for (size_t i = 0; i < n && !cli_stopped(); i++) {
        done(ctx, i, work(ctx, worker, i));
        cli_progress_step(i + 1);
    }
}

/* Hand results on in order; after Ctrl-C only those that are being worked on. */
static void take_results(ring *r, cli_done_fn done)
{
    pthread_mutex_lock(&r->mutex);
    while (r->taken < (r->stop ? r->next : r->n)) {
        const size_t slot = r->taken % r->size;
        if (cli_stopped() && !r->stop) {
            r->stop = true;
            pthread_cond_broadcast(&r->changed);
        }
        if (!r->ready[slot]) {
            if (r->taken >= r->next && r->stop)
                break;
            pthread_cond_wait(&r->changed, &r->mutex);
            continue;
        }
        void *result = r->results[slot];
        r->ready[slot] = false;
        const size_t item = r->taken++;
        pthread_cond_broadcast(&r->changed);
        pthread_mutex_unlock(&r->mutex);
        done(r->ctx, item, result);
        cli_progress_step(item + 1);
        pthread_mutex_lock(&r->mutex);
    }
    r->stop = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->mutex);
}

static unsigned start_threads(ring *r, unsigned n, pthread_t *threads, thread_arg *args, void **workers)
{
    unsigned started = 0;
    for (; started < n; started++) {
        args[started] = (thread_arg){ r, workers[started] };
        if (pthread_create(&threads[started], NULL, thread_main, &args[started]) != 0)
            break;
    }
    return started;
}

void cli_run_ordered(size_t n, unsigned threads, void **workers, cli_work_fn work, cli_done_fn done,
                     void *ctx, const char *unit, bool quiet)
{
    cli_progress_begin(unit, n, quiet);
    if (threads > n)
        threads = (unsigned)n;
    if (threads <= 1) {
        run_here(n, workers[0], work, done, ctx);
        cli_progress_end();
        return;
    }
    ring r = { PTHREAD_MUTEX_INITIALIZER,
               PTHREAD_COND_INITIALIZER,
               NULL,
               NULL,
               4 * (size_t)threads,
               0,
               0,
               n,
               false,
               work,
               ctx };
    r.results = cli_alloc(r.size, sizeof *r.results);
    r.ready = cli_alloc(r.size, sizeof *r.ready);
    pthread_t *ids = cli_alloc(threads, sizeof *ids);
    thread_arg *args = cli_alloc(threads, sizeof *args);
    const unsigned started = start_threads(&r, threads, ids, args, workers);
    if (started == 0) {
        run_here(n, workers[0], work, done, ctx);
    } else {
        take_results(&r, done);
        for (unsigned i = 0; i < started; i++)
            pthread_join(ids[i], NULL);
    }
    free(args);
    free(ids);
    free(r.ready);
    free(r.results);
    cli_progress_end();
}
