/* Figures for Prometheus: requests by route and status class, a histogram of times, queues, connections. No
 * label holds anything that a caller chose. */
#include "server_parts.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROUTES = 128, BUCKETS = 9 };
static const double edges_ms[BUCKETS] = { 1, 3, 10, 30, 100, 300, 1000, 3000, 10000 };

struct metrics {
    pthread_mutex_t lock;
    struct {
        const api_route *route; /* NULL: refused before it had one */
        uint64_t by_class[6];
    } routes[MAX_ROUTES];
    size_t n;
    uint64_t buckets[BUCKETS + 1], count;
    double sum_ms;
};

metrics *metrics_new(void)
{
    metrics *m = calloc(1, sizeof *m);
    if (m)
        pthread_mutex_init(&m->lock, NULL);
    return m;
}

void metrics_free(metrics *m)
{
    if (m)
        pthread_mutex_destroy(&m->lock);
    free(m);
}

void metrics_count(api_server *s, const api_route *route, int status, double ms)
{
    metrics *m = s->metrics;
    size_t i = 0, b = 0;
    pthread_mutex_lock(&m->lock);
    while (i < m->n && m->routes[i].route != route)
        i++;
    if (i == m->n && m->n < MAX_ROUTES)
        m->routes[m->n++].route = route;
    if (i < m->n && status >= 100 && status < 600)
        m->routes[i].by_class[status / 100]++;
    while (b < BUCKETS && ms > edges_ms[b])
        b++;
    m->buckets[b]++;
    m->count++;
    m->sum_ms += ms;
    pthread_mutex_unlock(&m->lock);
}

typedef struct text {
    char *data;
    size_t n, capacity;
} text;

static void say(text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(text *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    if (t->n < t->capacity) {
        const int k = vsnprintf(t->data + t->n, t->capacity - t->n, fmt, args);
        t->n += k > 0 ? (size_t)k : 0;
    }
    va_end(args);
}

char *metrics_text(api_server *s)
{
    metrics *m = s->metrics;
    http_figures f;
    text t = { malloc(65536), 0, 65536 };
    if (!t.data)
        return NULL;
    http_figures_of(s->http, &f);
    say(&t, "# TYPE mien_requests_total counter\n");
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->n; i++)
        for (int k = 1; k < 6; k++)
            if (m->routes[i].by_class[k])
                say(&t, "mien_requests_total{method=\"%s\",route=\"%s\",status=\"%dxx\"} %llu\n",
                    m->routes[i].route ? m->routes[i].route->method : "",
                    m->routes[i].route ? m->routes[i].route->pattern : "", k,
                    (unsigned long long)m->routes[i].by_class[k]);
    say(&t, "# TYPE mien_request_seconds histogram\n");
    uint64_t below = 0;
    for (int b = 0; b < BUCKETS; b++) {
        below += m->buckets[b];
        say(&t, "mien_request_seconds_bucket{le=\"%g\"} %llu\n", edges_ms[b] / 1000,
            (unsigned long long)below);
    }
    say(&t,
        "mien_request_seconds_bucket{le=\"+Inf\"} %llu\nmien_request_seconds_sum "
        "%.6f\nmien_request_seconds_count %llu\n",
        (unsigned long long)m->count, m->sum_ms / 1000, (unsigned long long)m->count);
    pthread_mutex_unlock(&m->lock);
    say(&t,
        "# TYPE mien_connections gauge\nmien_connections %u\n# TYPE mien_waiting "
        "gauge\nmien_waiting{lane=\"heavy\"} %u\n"
        "mien_waiting{lane=\"light\"} %u\n# TYPE mien_running gauge\nmien_running{lane=\"heavy\"} "
        "%u\nmien_running{lane=\"light\"} %u\n"
        "# TYPE mien_refused_busy_total counter\nmien_refused_busy_total %llu\n# TYPE "
        "mien_refused_malformed_total counter\n"
        "mien_refused_malformed_total %llu\n# TYPE mien_cut_off_total counter\nmien_cut_off_total %llu\n",
        f.connections, f.waiting_heavy, f.waiting_light, f.running_heavy, f.running_light,
        (unsigned long long)f.refused_busy, (unsigned long long)f.refused_malformed,
        (unsigned long long)f.cut_off);
    return t.data;
}
