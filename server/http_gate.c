/* The gate (see http_gate.h). Between the network and the parser stands a pair of local sockets per
 * connection, and a thread that carries bytes across: what comes in is decrypted where TLS is on and walks
 * through the framing check (http_frame.c); what goes out is passed as it is. A badly framed request never
 * reaches the parser: the first of a connection is answered with 400 by the gate itself, later ones end the
 * connection. The extra copy costs microseconds, and the parser needs to be trusted with well-formed input
 * only.
 *
 * The thread ends when either side has closed and everything is delivered, or at once on a fault. Deadlines
 * are the watchdog's (http_watch.c): it shuts the parser's end, which ends the thread. Only a client that
 * does not read what lies in the sockets' buffers is the gate's own to see: a piece must be taken within
 * write_ms.
 */
#include "http_gate.h"
#include "http_frame.h"
#include "http_parts.h"
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* what is read at once: a picture comes in few pieces, each of which wakes the parser's thread */
enum { UP_PIECE = 65536, DOWN_PIECE = 16384, STACK_BYTES = 128 * 1024, LINGER_MS = 2000 };

typedef struct gate_conn {
    struct gate_conn *next, *before;
    http_gate *gate;
    int out, in; /* the network's socket, the parser's */
    struct sockaddr_storage address;
    socklen_t address_bytes;
    gnutls_session_t tls;
    http_frame frame;
    uint8_t up[UP_PIECE], down[DOWN_PIECE];
    size_t up_at, up_n, down_at, down_n;
    double down_since_ms;  /* when the piece in `down` came */
    bool up_end, down_end; /* nothing more will come from the network, from the parser */
} gate_conn;

struct http_gate {
    http_gate_opts opts;
    int wake[2];
    pthread_t thread;
    bool running;
    pthread_mutex_t lock;
    pthread_cond_t empty;
    gate_conn *first;
    http_gate_figures figures;
    gnutls_certificate_credentials_t credentials;
};

/* ---- the two sides; >0 bytes, 0 end, -1 try later, -2 fault ---- */

static int of_errno(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? -1 : -2;
}

static int read_out(gate_conn *c, void *to, size_t n)
{
    if (c->tls) {
        const ssize_t k = gnutls_record_recv(c->tls, to, n);
        return k >= 0 ? (int)k : k == GNUTLS_E_AGAIN || k == GNUTLS_E_INTERRUPTED ? -1 : -2;
    }
    const ssize_t k = recv(c->out, to, n, 0);
    return k >= 0 ? (int)k : of_errno();
}

static int write_out(gate_conn *c, const void *from, size_t n)
{
    if (c->tls) {
        const ssize_t k = gnutls_record_send(c->tls, from, n);
        return k >= 0 ? (int)k : k == GNUTLS_E_AGAIN || k == GNUTLS_E_INTERRUPTED ? -1 : -2;
    }
    const ssize_t k = send(c->out, from, n, MSG_NOSIGNAL);
    return k >= 0 ? (int)k : of_errno();
}

static void say_bad(gate_conn *c)
{
    char text[512], body[256];
    const bool large =
        c->frame.fault && (strstr(c->frame.fault, "too large") || strstr(c->frame.fault, "too many"));
    const int n =
        snprintf(body, sizeof body, "{\"error\":{\"code\":\"MALFORMED_REQUEST\",\"message\":\"%s\"}}",
                 c->frame.fault ? c->frame.fault : "");
    const int all = snprintf(
        text, sizeof text,
        "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
        large ? "431 Request Header Fields Too Large" : "400 Bad Request", n, body);
    (void)write_out(c, text, (size_t)all);
}

/* ---- carrying ---- */

static bool carry_up(gate_conn *c)
{
    if (!c->up_n && !c->up_end) {
        const int k = read_out(c, c->up, UP_PIECE);
        if (k == -2)
            return false;
        if (k == 0)
            c->up_end = true;
        if (k > 0) {
            c->up_at = 0;
            c->up_n = http_frame_feed(&c->frame, c->up, (size_t)k);
            if (c->frame.state == FRAME_BAD && c->frame.requests == 0) {
                say_bad(c);
                return false;
            }
            if (c->frame.state == FRAME_BAD)
                c->up_end = true;
        }
    }
    if (c->up_n) {
        const ssize_t k = send(c->in, c->up + c->up_at, c->up_n, MSG_NOSIGNAL);
        if (k < 0 && of_errno() == -2) /* the parser has closed, on an answer that is still to be carried down */
            c->up_n = 0, c->up_end = true;
        if (k > 0)
            c->up_at += (size_t)k, c->up_n -= (size_t)k;
    }
    if (!c->up_n && c->up_end)
        shutdown(c->in, SHUT_WR);
    return true;
}

static bool carry_down(gate_conn *c)
{
    if (!c->down_n && !c->down_end) {
        const ssize_t k = recv(c->in, c->down, DOWN_PIECE, 0);
        if (k == 0 || (k < 0 && of_errno() == -2))
            c->down_end = true;
        if (k > 0)
            c->down_at = 0, c->down_n = (size_t)k, c->down_since_ms = http_now_ms();
    }
    if (c->down_n) {
        const int k = write_out(c, c->down + c->down_at, c->down_n);
        if (k == -2)
            return false;
        if (k > 0)
            c->down_at += (size_t)k, c->down_n -= (size_t)k;
    }
    return c->down_n || !c->down_end;
}

static bool wait_for(gate_conn *c)
{
    struct pollfd p[2] = { { c->out, 0, 0 }, { c->in, 0, 0 } };
    if (c->tls && !c->up_n && !c->up_end && gnutls_record_check_pending(c->tls))
        return true;
    p[0].events = (short)((!c->up_n && !c->up_end ? POLLIN : 0) | (c->down_n ? POLLOUT : 0));
    p[1].events = (short)((!c->down_n && !c->down_end ? POLLIN : 0) | (c->up_n ? POLLOUT : 0));
    if (!p[0].events)
        p[0].fd = -1;
    if (!p[1].events)
        p[1].fd = -1;
    const double left = c->down_since_ms + c->gate->opts.write_ms - http_now_ms();
    if (c->down_n && left <= 0)
        return false;
    return poll(p, 2, c->down_n ? (int)left + 1 : -1) >= 0 || errno == EINTR;
}

static bool handshake(gate_conn *c)
{
    const http_gate *g = c->gate;
    if (!g->credentials)
        return true;
    if (gnutls_init(&c->tls, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0)
        return false;
    gnutls_set_default_priority(c->tls);
    gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, g->credentials);
    gnutls_transport_set_int(c->tls, c->out);
    const double until = http_now_ms() + g->opts.handshake_ms;
    for (;;) {
        const int rc = gnutls_handshake(c->tls);
        if (rc == GNUTLS_E_SUCCESS)
            return true;
        if (rc < 0 && gnutls_error_is_fatal(rc))
            return false;
        const double left = until - http_now_ms();
        struct pollfd p = { c->out, gnutls_record_get_direction(c->tls) ? POLLOUT : POLLIN, 0 };
        if (left <= 0 || poll(&p, 1, (int)left + 1) <= 0)
            return false;
    }
}

static void forget(gate_conn *c)
{
    http_gate *g = c->gate;
    if (c->tls)
        gnutls_deinit(c->tls);
    pthread_mutex_lock(&g->lock);
    close(c->out); /* under the lock: http_gate_free() looks at these numbers */
    if (c->in >= 0)
        close(c->in);
    if (c->before)
        c->before->next = c->next;
    else
        g->first = c->next;
    if (c->next)
        c->next->before = c->before;
    g->figures.open--;
    g->figures.refused_framing += c->frame.state == FRAME_BAD;
    if (!g->first)
        pthread_cond_broadcast(&g->empty);
    pthread_mutex_unlock(&g->lock);
    free(c);
}

/* Read what the other side still sends, for a moment: closing on bytes that were not read resets the connection, and with it
 * goes the answer that says why a body was not wanted (RFC 9112, section 9.6). */
static void linger(gate_conn *c)
{
    const double until = http_now_ms() + LINGER_MS;
    shutdown(c->out, SHUT_WR);
    for (double left = LINGER_MS; left > 0; left = until - http_now_ms()) {
        struct pollfd p = { c->out, POLLIN, 0 };
        if (poll(&p, 1, (int)left + 1) <= 0 || recv(c->out, c->up, sizeof c->up, 0) <= 0)
            return;
    }
}

static void *run(void *ctx)
{
    gate_conn *c = ctx;
    int pair[2];
    if (!handshake(c) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair)) {
        forget(c);
        return NULL;
    }
    c->in = pair[0];
    if (!c->gate->opts.pass(c->gate->opts.ctx, pair[1], (struct sockaddr *)&c->address, c->address_bytes)) {
        forget(c);
        return NULL;
    }
    while (wait_for(c) && carry_up(c) && carry_down(c))
        ;
    if (c->tls)
        gnutls_bye(c->tls, GNUTLS_SHUT_WR);
    linger(c);
    forget(c);
    return NULL;
}

/* ---- accepting ---- */

static bool same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    if (a->ss_family != b->ss_family)
        return false;
    if (a->ss_family == AF_INET)
        return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
               ((const struct sockaddr_in *)b)->sin_addr.s_addr;
    if (a->ss_family == AF_INET6) /* a network of 64 bits is one client */
        return !memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
                       &((const struct sockaddr_in6 *)b)->sin6_addr, 8);
    return false;
}

static bool has_room(http_gate *g, const gate_conn *c)
{
    unsigned same = 0;
    pthread_mutex_lock(&g->lock);
    for (const gate_conn *o = g->first; o; o = o->next)
        same += same_host(&o->address, &c->address);
    const bool room = g->figures.open < g->opts.connections && same < g->opts.per_address;
    g->figures.refused_full += !room;
    pthread_mutex_unlock(&g->lock);
    return room;
}

static void accept_one(http_gate *g)
{
    static const char full[] = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: "
                               "0\r\nConnection: close\r\n\r\n";
    const int one = 1;
    pthread_attr_t attr;
    pthread_t thread;
    gate_conn *c = calloc(1, sizeof *c);
    if (!c)
        return;
    c->gate = g;
    c->in = -1;
    c->address_bytes = sizeof c->address;
    c->out = accept4(g->opts.listener, (struct sockaddr *)&c->address, &c->address_bytes,
                     SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (c->out < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            usleep(50000);
        free(c);
        return;
    }
    setsockopt(c->out, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    http_frame_init(&c->frame, g->opts.max_head, g->opts.max_headers);
    if (!has_room(g, c)) {
        if (!g->credentials)
            (void)!send(c->out, full, sizeof full - 1, MSG_NOSIGNAL);
        close(c->out);
        free(c);
        return;
    }
    pthread_mutex_lock(&g->lock);
    if ((c->next = g->first))
        g->first->before = c;
    g->first = c;
    g->figures.open++;
    g->figures.accepted++;
    pthread_mutex_unlock(&g->lock);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    if (pthread_create(&thread, &attr, run, c))
        forget(c);
    pthread_attr_destroy(&attr);
}

static void *accept_all(void *ctx)
{
    http_gate *g = ctx;
    for (;;) {
        struct pollfd p[2] = { { g->opts.listener, POLLIN, 0 }, { g->wake[0], POLLIN, 0 } };
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return NULL;
        if (p[1].revents)
            return NULL;
        if (p[0].revents)
            accept_one(g);
    }
}

static bool open_tls(http_gate *g, char *fault, size_t capacity)
{
    if (!g->opts.tls_cert)
        return true;
    const gnutls_datum_t cert = { (unsigned char *)(uintptr_t)g->opts.tls_cert,
                                  (unsigned)strlen(g->opts.tls_cert) };
    const gnutls_datum_t key = { (unsigned char *)(uintptr_t)g->opts.tls_key,
                                 (unsigned)strlen(g->opts.tls_key) };
    int rc = gnutls_certificate_allocate_credentials(&g->credentials);
    if (rc >= 0)
        rc = gnutls_certificate_set_x509_key_mem(g->credentials, &cert, &key, GNUTLS_X509_FMT_PEM);
    if (rc < 0)
        snprintf(fault, capacity, "certificate and key: %s", gnutls_strerror(rc));
    return rc >= 0;
}

http_gate *http_gate_start(const http_gate_opts *opts, char *fault, size_t capacity)
{
    http_gate *g = calloc(1, sizeof *g);
    snprintf(fault, capacity, "out of memory");
    if (!g) {
        close(opts->listener);
        return NULL;
    }
    g->opts = *opts;
    g->wake[0] = g->wake[1] = -1;
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->empty, NULL);
    if (!open_tls(g, fault, capacity) || pipe2(g->wake, O_CLOEXEC) ||
        pthread_create(&g->thread, NULL, accept_all, g)) {
        http_gate_free(g);
        return NULL;
    }
    g->running = true;
    return g;
}

void http_gate_close(http_gate *g)
{
    if (!g)
        return;
    if (g->running) {
        (void)!write(g->wake[1], "x", 1);
        pthread_join(g->thread, NULL);
        g->running = false;
    }
    if (g->opts.listener >= 0)
        close(g->opts.listener);
    g->opts.listener = -1;
}

void http_gate_free(http_gate *g)
{
    if (!g)
        return;
    http_gate_close(g);
    pthread_mutex_lock(&g->lock);
    for (gate_conn *c = g->first; c; c = c->next)
        shutdown(c->out, SHUT_RD);
    while (g->first)
        pthread_cond_wait(&g->empty, &g->lock);
    pthread_mutex_unlock(&g->lock);
    if (g->wake[0] >= 0)
        close(g->wake[0]), close(g->wake[1]);
    if (g->credentials)
        gnutls_certificate_free_credentials(g->credentials);
    pthread_cond_destroy(&g->empty);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

void http_gate_figures_of(http_gate *g, http_gate_figures *ret)
{
    pthread_mutex_lock(&g->lock);
    *ret = g->figures;
    pthread_mutex_unlock(&g->lock);
}
