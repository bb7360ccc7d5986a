/* A lane: a bounded queue of requests and the threads that take them, first come first served. */
#include "http_parts.h"
#include <stdlib.h>
#include <time.h>

typedef struct http_worker {
    http_queue *queue;
    unsigned index;
} http_worker;

static void *work(void *ctx)
{
    const http_worker me = *(http_worker *)ctx;
    http_queue *q = me.queue;
    free(ctx);
    pthread_mutex_lock(&q->lock);
    for (;;) {
        while (!q->first && !q->stop)
            pthread_cond_wait(&q->wake, &q->lock);
        http_request *r = q->first;
        if (!r)
            break;
        if (!(q->first = r->next))
            q->last = &q->first;
        q->waiting--;
        q->running++;
        pthread_mutex_unlock(&q->lock);
        http_run(q->server, q->lane, me.index, r);
        pthread_mutex_lock(&q->lock);
        q->running--;
        if (!q->running && !q->waiting)
            pthread_cond_broadcast(&q->idle);
    }
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

bool http_queue_start(http_queue *q, http_server *s, http_lane lane, unsigned threads, unsigned max)
{
    pthread_condattr_t monotonic;
    *q = (http_queue){ .max = max, .server = s, .lane = lane };
    q->last = &q->first;
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->wake, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&q->idle, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (!(q->threads = calloc(threads, sizeof *q->threads)))
        return false;
    for (; q->n_threads < threads; q->n_threads++) {
        http_worker *w = malloc(sizeof *w);
        if (!w)
            return false;
        *w = (http_worker){ q, q->n_threads };
        if (pthread_create(&q->threads[q->n_threads], NULL, work, w)) {
            free(w);
            return false;
        }
    }
    return true;
}

bool http_queue_push(http_queue *q, http_request *r)
{
    pthread_mutex_lock(&q->lock);
    const bool room = q->waiting < q->max && !q->stop;
    if (room) {
        r->next = NULL;
        *q->last = r;
        q->last = &r->next;
        q->waiting++;
        pthread_cond_signal(&q->wake);
    }
    pthread_mutex_unlock(&q->lock);
    return room;
}

bool http_queue_drain(http_queue *q, unsigned ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000)
        until.tv_sec++, until.tv_nsec -= 1000000000;
    pthread_mutex_lock(&q->lock);
    int rc = 0;
    while ((q->waiting || q->running) && !rc)
        rc = pthread_cond_timedwait(&q->idle, &q->lock, &until);
    const bool empty = !q->waiting && !q->running;
    pthread_mutex_unlock(&q->lock);
    return empty;
}

void http_queue_stop(http_queue *q)
{
    if (!q->last)
        return;
    pthread_mutex_lock(&q->lock);
    q->stop = true;
    pthread_cond_broadcast(&q->wake);
    pthread_mutex_unlock(&q->lock);
    for (unsigned i = 0; i < q->n_threads; i++)
        pthread_join(q->threads[i], NULL);
    free(q->threads);
    pthread_cond_destroy(&q->idle);
    pthread_cond_destroy(&q->wake);
    pthread_mutex_destroy(&q->lock);
    q->last = NULL;
}
