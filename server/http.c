/* The glue to libmicrohttpd: from its callbacks to requests, lanes and answers (see http.h). Connections come
 * from the gate (http_gate.c), which has ended TLS and refuses what is not strictly framed.
 *
 * One network thread (epoll). A request's life in its callbacks: start() with the request line; serve() when
 * the head is complete, then with each piece of the body, then once more when all is there, where it is
 * suspended and queued; a worker fills the reply and resumes it; serve() a last time sends the reply;
 * completed() ends it. A request refused before its body was read closes the connection after the answer, as
 * what follows cannot be trusted.
 */
#include "http_gate.h"
#include "http_parts.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

/* A body that is made while it is sent. */
typedef struct streaming {
    struct streaming *next;
    http_server *server;
    struct MHD_Connection *mhd;
    http_stream stream;
    bool asleep; /* suspended: it had nothing to send */
} streaming;

struct http_server {
    http_opts opts;
    http_app app;
    struct MHD_Daemon *daemon;
    http_watch watch;
    http_queue heavy, light;
    http_gate *gate;
    http_listening listening;
    uint64_t id_base;
    atomic_uint_fast64_t requests, busy, malformed;
    atomic_bool stopping;
    pthread_mutex_t streams_lock;
    streaming *streams;
};

/* ---- what a request says ---- */

const char *http_method_name(http_method method)
{
    static const char *const names[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" };
    return method >= 0 && method < HTTP_METHODS ? names[method] : "";
}

http_method http_method_of(const http_request *r)
{
    return r->method;
}

const char *http_path(const http_request *r)
{
    return r->path ? r->path : "";
}

const char *http_query(const http_request *r, const char *name)
{
    for (unsigned i = 0; i < r->n_args; i++)
        if (!strcmp(r->args[i].name, name))
            return r->args[i].value;
    return NULL;
}

const char *http_header(const http_request *r, const char *name)
{
    return MHD_lookup_connection_value(r->mhd, MHD_HEADER_KIND, name);
}

bool http_cookie(const http_request *r, const char *name, char *ret, size_t capacity)
{
    const char *s = http_header(r, "Cookie");
    const size_t n = strlen(name);
    while (s && *s) {
        s += strspn(s, " ;");
        const size_t pair = strcspn(s, ";");
        if (pair > n && s[n] == '=' && !strncmp(s, name, n)) {
            if (pair - n - 1 >= capacity)
                return false;
            memcpy(ret, s + n + 1, pair - n - 1);
            ret[pair - n - 1] = 0;
            return true;
        }
        s += pair;
    }
    return false;
}

const uint8_t *http_body(const http_request *r, size_t *ret_bytes)
{
    *ret_bytes = r->body_bytes;
    return r->body;
}

const char *http_peer(const http_request *r)
{
    return r->conn ? r->conn->peer : "";
}

const char *http_id(const http_request *r)
{
    return r->id;
}

double http_age_ms(const http_request *r)
{
    return http_now_ms() - r->born_ms;
}

void http_set_user(http_request *r, void *user)
{
    r->user = user;
}

void *http_user(const http_request *r)
{
    return r->user;
}

/* ---- connections ---- */

static http_conn *conn_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *i = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return i ? i->socket_context : NULL;
}

static void peer_text(struct MHD_Connection *mhd, char *ret, size_t capacity)
{
    const union MHD_ConnectionInfo *i = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *a = i ? i->client_addr : NULL;
    snprintf(ret, capacity, "unix");
    if (a && a->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)a)->sin_addr, ret, (socklen_t)capacity);
    else if (a && a->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)a)->sin6_addr, ret, (socklen_t)capacity);
}

static void connected(void *ctx, struct MHD_Connection *mhd, void **socket_ctx,
                      enum MHD_ConnectionNotificationCode what)
{
    http_server *s = ctx;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        http_watch_remove(&s->watch, *socket_ctx);
        *socket_ctx = NULL;
        return;
    }
    char peer[64];
    const union MHD_ConnectionInfo *fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    peer_text(mhd, peer, sizeof peer);
    if (fd)
        *socket_ctx = http_watch_add(&s->watch, fd->connect_fd, peer);
}

/* The request line is there: everything of this request hangs on what is returned. */
static void *start(void *ctx, const char *target, struct MHD_Connection *mhd)
{
    http_server *s = ctx;
    http_request *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->server = s;
    r->mhd = mhd;
    r->conn = conn_of(mhd);
    r->target = strdup(target);
    snprintf(r->id, sizeof r->id, "%016llx",
             (unsigned long long)(s->id_base + atomic_fetch_add(&s->requests, 1)));
    http_watch_phase(&s->watch, r->conn, HTTP_HEAD_READ);
    return r;
}

static void completed(void *ctx, struct MHD_Connection *mhd, void **request,
                      enum MHD_RequestTerminationCode why)
{
    http_server *s = ctx;
    http_request *r = *request;
    (void)mhd;
    (void)why;
    *request = NULL;
    if (!r)
        return;
    http_watch_phase(&s->watch, r->conn, HTTP_IDLE);
    if (r->ended)
        s->app.end(s->app.ctx, r, &r->reply);
    http_reply_clear(&r->reply);
    free(r->body);
    free(r->decoded);
    free(r->target);
    free(r);
}

/* ---- answers ---- */

static ssize_t next_of_stream(void *ctx, uint64_t at, char *to, size_t capacity)
{
    streaming *t = ctx;
    http_server *s = t->server;
    (void)at;
    /* the lock is held over question and suspension, so that a wake between them is not lost */
    pthread_mutex_lock(&s->streams_lock);
    const long n = atomic_load(&s->stopping) ? -1 : t->stream.next(t->stream.ctx, to, capacity);
    if (n == 0) {
        t->asleep = true;
        MHD_suspend_connection(t->mhd);
    }
    pthread_mutex_unlock(&s->streams_lock);
    return n < 0 ? MHD_CONTENT_READER_END_OF_STREAM : n;
}

static void end_of_stream(void *ctx)
{
    streaming *t = ctx;
    http_server *s = t->server;
    pthread_mutex_lock(&s->streams_lock);
    for (streaming **at = &s->streams; *at; at = &(*at)->next)
        if (*at == t) {
            *at = t->next;
            break;
        }
    pthread_mutex_unlock(&s->streams_lock);
    if (t->stream.end)
        t->stream.end(t->stream.ctx);
    free(t);
}

void http_wake_streams(http_server *s)
{
    pthread_mutex_lock(&s->streams_lock);
    for (streaming *t = s->streams; t; t = t->next)
        if (t->asleep) {
            t->asleep = false;
            MHD_resume_connection(t->mhd);
        }
    pthread_mutex_unlock(&s->streams_lock);
}

static void tick(void *ctx)
{
    http_wake_streams(ctx);
}

bool http_stopping(const http_server *s)
{
    return atomic_load(&s->stopping);
}

static struct MHD_Response *response_of(http_server *s, http_request *r)
{
    http_reply *y = &r->reply;
    if (!y->streams) {
        struct MHD_Response *m = MHD_create_response_from_buffer_with_free_callback(
            y->bytes, y->data ? (void *)y->data : (void *)"", y->free_fn && y->data ? y->free_fn : NULL);
        if (m)
            y->data = NULL, y->free_fn = NULL; /* theirs now */
        return m;
    }
    streaming *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    *t = (streaming){ NULL, s, r->mhd, y->stream, false };
    struct MHD_Response *m =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 8192, next_of_stream, t, end_of_stream);
    if (!m) {
        free(t);
        return NULL;
    }
    y->streams = false;
    pthread_mutex_lock(&s->streams_lock);
    t->next = s->streams;
    s->streams = t;
    pthread_mutex_unlock(&s->streams_lock);
    return m;
}

static enum MHD_Result send_reply(http_server *s, http_request *r)
{
    http_reply *y = &r->reply;
    const bool streams = y->streams;
    struct MHD_Response *m = response_of(s, r);
    if (!m)
        return MHD_NO;
    if (y->type_text[0])
        MHD_add_response_header(m, "Content-Type", y->type_text);
    for (unsigned i = 0; i < y->n_headers; i++)
        MHD_add_response_header(m, y->names[i], y->values[i]);
    if (y->close || atomic_load(&s->stopping))
        MHD_add_response_header(m, "Connection", "close");
    http_watch_phase(&s->watch, r->conn, streams ? HTTP_STREAMING : HTTP_WRITE);
    r->state = HTTP_SENT;
    const enum MHD_Result ok = MHD_queue_response(r->mhd, (unsigned)y->status, m);
    MHD_destroy_response(m);
    return ok;
}

static enum MHD_Result refuse(http_server *s, http_request *r, int status, const char *what)
{
    r->reply.status = status;
    s->app.fault(s->app.ctx, r, status, what, &r->reply);
    r->reply.close = true;
    return send_reply(s, r);
}

void http_run(http_server *s, http_lane lane, unsigned worker, http_request *r)
{
    s->app.handle(s->app.ctx, lane, worker, r, &r->reply);
    if (!r->reply.status)
        s->app.fault(s->app.ctx, r, 500, "no answer", &r->reply);
    r->state = HTTP_DONE;
    MHD_resume_connection(r->mhd);
}

/* ---- the walk of a request ---- */

static enum MHD_Result head_is_there(http_server *s, http_request *r, const char *method, const char *version)
{
    const char *what = NULL;
    size_t max_body = 0;
    r->born_ms = http_now_ms();
    const int fault = r->target ? http_audit(r, method, version, s->opts.max_headers, &what) : 500;
    if (fault) {
        atomic_fetch_add(&s->malformed, 1);
        return refuse(s, r, fault, what ? what : "out of memory");
    }
    const char *length = http_header(r, "Content-Length");
    const bool has_body = length ? strcmp(length, "0") != 0 : http_header(r, "Transfer-Encoding") != NULL;
    r->ended = true;
    r->lane = s->app.begin(s->app.ctx, r, &max_body, &r->reply);
    if (r->lane == HTTP_REFUSED) {
        r->reply.close = r->reply.close || has_body;
        return send_reply(s, r);
    }
    if (length && strtoull(length, NULL, 10) > max_body)
        return refuse(s, r, 413, "the body is too large");
    r->body_max = max_body;
    r->state = HTTP_COLLECTING;
    http_watch_phase(&s->watch, r->conn, HTTP_BODY_READ);
    return MHD_YES;
}

static enum MHD_Result piece_is_there(http_request *r, const char *data, size_t *bytes)
{
    if (r->state == HTTP_SENT) { /* refused: the rest is thrown away until the connection closes */
        *bytes = 0;
        return MHD_YES;
    }
    if (*bytes > r->body_max - r->body_bytes)
        return MHD_NO; /* no answer can be sent in the middle of a body: the connection is closed */
    if (r->body_bytes + *bytes > r->body_capacity) {
        size_t capacity = r->body_capacity ? r->body_capacity * 2 : 65536;
        const char *length = http_header(r, "Content-Length");
        if (length && strtoull(length, NULL, 10) <= r->body_max)
            capacity = (size_t)strtoull(length, NULL, 10);
        if (capacity < r->body_bytes + *bytes)
            capacity = r->body_bytes + *bytes;
        uint8_t *grown = realloc(r->body, capacity);
        if (!grown)
            return MHD_NO;
        r->body = grown;
        r->body_capacity = capacity;
    }
    memcpy(r->body + r->body_bytes, data, *bytes);
    r->body_bytes += *bytes;
    *bytes = 0;
    return MHD_YES;
}

static enum MHD_Result body_is_there(http_server *s, http_request *r)
{
    http_queue *q = r->lane == HTTP_HEAVY ? &s->heavy : &s->light;
    r->state = HTTP_QUEUED;
    http_watch_phase(&s->watch, r->conn, HTTP_WORK);
    MHD_suspend_connection(r->mhd);
    if (http_queue_push(q, r))
        return MHD_YES;
    atomic_fetch_add(&s->busy, 1);
    http_reply_header(&r->reply, "Retry-After", "1");
    s->app.fault(s->app.ctx, r, 429, "too many requests wait already", &r->reply);
    r->state = HTTP_DONE;
    MHD_resume_connection(r->mhd);
    return MHD_YES;
}

static enum MHD_Result serve(void *ctx, struct MHD_Connection *mhd, const char *url, const char *method,
                             const char *version, const char *data, size_t *bytes, void **request)
{
    http_server *s = ctx;
    http_request *r = *request;
    (void)mhd;
    (void)url;
    if (!r)
        return MHD_NO;
    switch (r->state) {
    case HTTP_NEW:
        return head_is_there(s, r, method, version);
    case HTTP_DONE:
        return send_reply(s, r);
    case HTTP_COLLECTING:
        return *bytes ? piece_is_there(r, data, bytes) : body_is_there(s, r);
    case HTTP_QUEUED:
    case HTTP_SENT:
        break;
    }
    if (*bytes)
        *bytes = 0;
    return MHD_YES;
}

/* Targets are decoded by http_target_parse() alone. */
static size_t leave_escapes(void *ctx, struct MHD_Connection *mhd, char *text)
{
    (void)ctx;
    (void)mhd;
    return strlen(text);
}

static void no_log(void *ctx, const char *format, va_list args)
{
    (void)ctx;
    (void)format;
    (void)args;
}

/* ---- start and stop ---- */

static struct MHD_Daemon *start_daemon(http_server *s)
{
    const unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET |
                           MHD_USE_ERROR_LOG | MHD_USE_TURBO;
    return MHD_start_daemon(flags, 0, NULL, NULL, serve, s, MHD_OPTION_EXTERNAL_LOGGER, no_log, NULL,
                            MHD_OPTION_NOTIFY_CONNECTION, connected, s, MHD_OPTION_URI_LOG_CALLBACK, start, s,
                            MHD_OPTION_NOTIFY_COMPLETED, completed, s, MHD_OPTION_UNESCAPE_CALLBACK,
                            leave_escapes, NULL, MHD_OPTION_STRICT_FOR_CLIENT, 1,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, s->opts.head_bytes + 16384,
                            MHD_OPTION_CONNECTION_LIMIT, s->opts.connections + 8,
                            MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
}

static bool pass(void *ctx, int fd, const struct sockaddr *address, socklen_t bytes)
{
    http_server *s = ctx;
    return MHD_add_connection(s->daemon, fd, address, bytes) == MHD_YES; /* closes fd when it is not */
}

static void set_limits(http_server *s)
{
    s->watch.limit_ms[HTTP_IDLE] = s->opts.idle_ms;
    s->watch.limit_ms[HTTP_HEAD_READ] = s->opts.head_ms;
    s->watch.limit_ms[HTTP_BODY_READ] = s->opts.body_ms;
    s->watch.limit_ms[HTTP_WRITE] = s->opts.write_ms;
}

http_server *http_start(const http_opts *opts, const http_app *app, char *fault, size_t capacity)
{
    http_server *s = calloc(1, sizeof *s);
    snprintf(fault, capacity, "out of memory");
    if (!s)
        return NULL;
    s->opts = *opts;
    s->app = *app;
    s->id_base = ((uint64_t)getpid() << 40) ^ ((uint64_t)http_now_ms() << 16);
    set_limits(s);
    pthread_mutex_init(&s->streams_lock, NULL);
    s->watch.tick = tick;
    s->watch.ctx = s;
    http_gate_opts go = { .tls_cert = opts->tls_cert,
                          .tls_key = opts->tls_key,
                          .max_head = opts->head_bytes,
                          .max_headers = opts->max_headers,
                          .connections = opts->connections,
                          .per_address = opts->per_address,
                          .handshake_ms = opts->head_ms,
                          .write_ms = opts->write_ms,
                          .pass = pass,
                          .ctx = s };
    go.listener = http_listen(opts->listen, &s->listening, fault, capacity);
    if (go.listener < 0) {
        free(s);
        return NULL;
    }
    const bool ready = http_watch_start(&s->watch) &&
                       http_queue_start(&s->heavy, s, HTTP_HEAVY, opts->heavy, opts->queue_heavy) &&
                       http_queue_start(&s->light, s, HTTP_LIGHT, opts->light, opts->queue_light) &&
                       (s->daemon = start_daemon(s)) != NULL;
    if (!ready) {
        snprintf(fault, capacity, "the server cannot start its threads");
        close(go.listener);
    }
    if (!ready || !(s->gate = http_gate_start(&go, fault, capacity))) {
        http_stop(s, 0);
        return NULL;
    }
    return s;
}

const char *http_address(const http_server *s)
{
    return s->listening.address;
}

void http_stop(http_server *s, unsigned grace_ms)
{
    if (!s)
        return;
    atomic_store(&s->stopping, true);
    if (s->daemon) {
        const double until = http_now_ms() + grace_ms;
        http_gate_close(s->gate);
        http_queue_drain(&s->heavy, grace_ms);
        const double left = until - http_now_ms();
        http_queue_drain(&s->light, left > 0 ? (unsigned)left : 0);
    }
    /* what still waits is handled before its threads end: the library must not hold suspended connections */
    http_queue_stop(&s->heavy);
    http_queue_stop(&s->light);
    if (s->daemon) {
        http_wake_streams(s);
        MHD_stop_daemon(s->daemon);
    }
    http_gate_free(s->gate);
    http_watch_stop(&s->watch);
    pthread_mutex_destroy(&s->streams_lock);
    http_listen_end(&s->listening);
    free(s);
}

void http_figures_of(http_server *s, http_figures *ret)
{
    *ret = (http_figures){ .requests = atomic_load(&s->requests),
                           .refused_busy = atomic_load(&s->busy),
                           .refused_malformed = atomic_load(&s->malformed) };
    http_gate_figures g = { 0 };
    http_gate_figures_of(s->gate, &g);
    ret->connections = g.open;
    ret->accepted = g.accepted;
    ret->refused_malformed += g.refused_framing;
    ret->refused_busy += g.refused_full;
    pthread_mutex_lock(&s->watch.lock);
    ret->cut_off = s->watch.cut_off;
    pthread_mutex_unlock(&s->watch.lock);
    http_queue *const queues[2] = { &s->heavy, &s->light };
    for (int i = 0; i < 2; i++) {
        pthread_mutex_lock(&queues[i]->lock);
        *(i ? &ret->waiting_light : &ret->waiting_heavy) = queues[i]->waiting;
        *(i ? &ret->running_light : &ret->running_heavy) = queues[i]->running;
        pthread_mutex_unlock(&queues[i]->lock);
    }
}
