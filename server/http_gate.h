/* The gate: accepts connections, ends TLS, and lets only strictly framed requests through to the parser. */
#ifndef MIEN_SERVER_HTTP_GATE_H
#define MIEN_SERVER_HTTP_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

typedef struct http_gate http_gate;

typedef struct http_gate_opts {
    int listener;                   /* taken */
    const char *tls_cert, *tls_key; /* PEM texts; NULL: plain */
    size_t max_head;
    unsigned max_headers, connections, per_address, handshake_ms, write_ms;
    /* Give the inner end of a new connection to the parser; false: refused, the gate closes it. */
    bool (*pass)(void *ctx, int fd, const struct sockaddr *address, socklen_t bytes);
    void *ctx;
} http_gate_opts;

typedef struct http_gate_figures {
    uint64_t accepted, refused_full, refused_framing;
    unsigned open;
} http_gate_figures;

http_gate *http_gate_start(const http_gate_opts *opts, char *ret_fault, size_t capacity);
/* Stop accepting; connections go on. */
void http_gate_close(http_gate *g);
/* Wait until every connection has ended, which is when the parser closes its ends; then free. */
void http_gate_free(http_gate *g);
void http_gate_figures_of(http_gate *g, http_gate_figures *ret);

#endif
