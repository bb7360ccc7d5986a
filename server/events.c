/* Events for those who listen (server-sent events): enrolments, changes, removals, recognitions, jobs. The
 * newest are kept in a ring; a listener that falls behind skips ahead and is told so. Events name people by
 * number, never by name, and hold no template and no picture. A listener is served
 * as long as its key holds.
 */
#include "see.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RING = 256, EVENT_BYTES = 1024, ALIVE_MS = 15000 };

typedef struct event {
    uint64_t number;
    char collection[KEY_COLLECTION_BYTES];
    char text[EVENT_BYTES]; /* one SSE block */
    size_t n;
} event;

struct events {
    pthread_mutex_t lock;
    uint64_t last;
    event ring[RING];
};

typedef struct listener {
    events *events;
    keys *keys;
    int64_t key;
    uint64_t seen;
    double spoke_ms;
    char collection[KEY_COLLECTION_BYTES]; /* "": all */
} listener;

events *events_new(void)
{
    events *e = calloc(1, sizeof *e);
    if (e)
        pthread_mutex_init(&e->lock, NULL);
    return e;
}

void events_free(events *e)
{
    if (e)
        pthread_mutex_destroy(&e->lock);
    free(e);
}

void events_say(api_server *s, const char *collection, const char *type, json_t *data)
{
    events *e = s->events;
    json_object_set_new(data, "time_ms", json_integer(keys_now_ms()));
    json_object_set_new(data, "collection", json_string(collection));
    char *text = json_dumps(data, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(data);
    if (!text)
        return;
    pthread_mutex_lock(&e->lock);
    event *slot = &e->ring[++e->last % RING];
    const int n = snprintf(slot->text, sizeof slot->text, "id: %llu\nevent: %s\ndata: %s\n\n",
                           (unsigned long long)e->last, type, text);
    slot->number = e->last;
    snprintf(slot->collection, sizeof slot->collection, "%s", collection);
    slot->n = n > 0 && (size_t)n < sizeof slot->text ? (size_t)n : 0;
    pthread_mutex_unlock(&e->lock);
    free(text);
    http_wake_streams(s->http);
}

static long next(void *ctx, char *to, size_t capacity)
{
    listener *l = ctx;
    events *e = l->events;
    const double now = http_now_ms();
    long n = 0;
    if (!keys_hold(l->keys, l->key))
        return -1;
    pthread_mutex_lock(&e->lock);
    if (e->last - l->seen > RING)
        l->seen = e->last - RING;
    while (n == 0 && l->seen < e->last) {
        const event *at = &e->ring[++l->seen % RING];
        if (at->n && at->n <= capacity && (!l->collection[0] || !strcmp(l->collection, at->collection))) {
            memcpy(to, at->text, at->n);
            n = (long)at->n;
        }
    }
    pthread_mutex_unlock(&e->lock);
    if (n == 0 && now - l->spoke_ms > ALIVE_MS && capacity > 16) {
        memcpy(to, ": alive\n\n", 9);
        n = 9;
    }
    if (n)
        l->spoke_ms = now;
    return n;
}

static void run_events(api_call *c)
{
    listener *l = calloc(1, sizeof *l);
    const char *last = http_header(c->http, "Last-Event-ID");
    if (!l) {
        api_fail(c, 503, "NO_MEMORY", "out of memory");
        return;
    }
    l->events = c->server->events;
    l->keys = c->server->keys;
    l->key = c->key.id;
    snprintf(l->collection, sizeof l->collection, "%s", c->key.collection);
    pthread_mutex_lock(&l->events->lock);
    l->seen = l->events->last;
    if (last && strtoull(last, NULL, 10) <= l->seen)
        l->seen = strtoull(last, NULL, 10);
    pthread_mutex_unlock(&l->events->lock);
    http_reply_stream(c->reply, 200, "text/event-stream", (http_stream){ next, free, l });
}

const api_route api_events[] = {
    { "GET", "/v1/events", API_KEY, KEY_READ, HTTP_LIGHT, 0, run_events },
    { 0 },
};
