/* The watchdog: each connection is in a phase since some moment, and a thread shuts the socket of whoever has
 * been in one for longer than its deadline. The library's own time-out counts from the last byte, so a client
 * that sends one byte a second could keep a connection for ever; this counts from the phase's beginning.
 *
 * A socket is only shut here, never closed: the library closes it, after taking the connection off this list
 * under the same lock, so that a number used anew is never shut by mistake.
 */
#include "http_parts.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

double http_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void *watch(void *ctx)
{
    http_watch *w = ctx;
    unsigned turn = 0;
    pthread_mutex_lock(&w->lock);
    while (!w->stop) {
        if (w->tick && ++turn % 25 == 0) {
            pthread_mutex_unlock(&w->lock);
            w->tick(w->ctx);
            pthread_mutex_lock(&w->lock);
        }
        const double now = http_now_ms();
        for (http_conn *c = w->first; c; c = c->next) {
            const unsigned limit = w->limit_ms[c->phase];
            if (limit && c->fd >= 0 && now - c->since_ms > limit) {
                shutdown(c->fd, SHUT_RDWR);
                c->fd = -1;
                w->cut_off++;
            }
        }
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += 200000000;
        if (until.tv_nsec >= 1000000000)
            until.tv_sec++, until.tv_nsec -= 1000000000;
        pthread_cond_timedwait(&w->wake, &w->lock, &until);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

bool http_watch_start(http_watch *w)
{
    pthread_condattr_t monotonic;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return w->running = pthread_create(&w->thread, NULL, watch, w) == 0;
}

void http_watch_stop(http_watch *w)
{
    if (!w->running)
        return;
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    w->running = false;
}

http_conn *http_watch_add(http_watch *w, int fd, const char *peer)
{
    http_conn *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->fd = fd;
    c->since_ms = http_now_ms();
    snprintf(c->peer, sizeof c->peer, "%s", peer);
    pthread_mutex_lock(&w->lock);
    c->next = w->first;
    if (w->first)
        w->first->before = c;
    w->first = c;
    w->n++;
    pthread_mutex_unlock(&w->lock);
    return c;
}

void http_watch_remove(http_watch *w, http_conn *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&w->lock);
    if (c->before)
        c->before->next = c->next;
    else
        w->first = c->next;
    if (c->next)
        c->next->before = c->before;
    w->n--;
    pthread_mutex_unlock(&w->lock);
    free(c);
}

void http_watch_phase(http_watch *w, http_conn *c, http_phase phase)
{
    if (!c)
        return;
    pthread_mutex_lock(&w->lock);
    c->phase = phase;
    c->since_ms = http_now_ms();
    pthread_mutex_unlock(&w->lock);
}
