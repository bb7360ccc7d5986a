/* HTTP/1.1 for the server: libmicrohttpd with strictness, deadlines, bounds and a queue of our own.
 *
 * Every request walks the same way: the network thread audits its head (http_audit.c) and asks the program's
 * begin() who may go on and with how large a body; the body is collected up to that; then the request waits
 * in one of two bounded queues, for the heavy workers (pictures, networks) or the light ones (everything
 * else), and a worker's thread calls handle(). A full queue answers 429 at once. A watchdog (http_watch.c)
 * ends connections that take longer than the deadline of their phase, whatever they trickle.
 */
#ifndef MIEN_SERVER_HTTP_H
#define MIEN_SERVER_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct http_server http_server;
typedef struct http_request http_request;
typedef struct http_reply http_reply;

typedef enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_METHODS
} http_method;

/* ---- what a request says; all lent until end() ---- */
http_method http_method_of(const http_request *r);
const char *http_method_name(http_method method);
/* Percent-decoded, valid UTF-8, begins with '/', without control characters, empty or dot segments. */
const char *http_path(const http_request *r);
/* First value of a query argument, decoded; NULL when absent, "" when it has none. */
const char *http_query(const http_request *r, const char *name);
/* A header's value, name without regard to case; NULL when absent. */
const char *http_header(const http_request *r, const char *name);
/* A cookie's value into ret; false when absent or too long. */
bool http_cookie(const http_request *r, const char *name, char *ret, size_t capacity);
const uint8_t *http_body(const http_request *r, size_t *ret_bytes);
/* The address of the other side without its port; "unix" on a Unix socket. */
const char *http_peer(const http_request *r);
/* A number that no other request of this process has, as 16 hex digits. */
const char *http_id(const http_request *r);
/* Milliseconds since its head was complete. */
double http_age_ms(const http_request *r);
/* The program's own, set in begin(), NULL before. */
void http_set_user(http_request *r, void *user);
void *http_user(const http_request *r);

/* Whether a text is valid UTF-8. */
bool http_is_utf8(const char *text);
/* Milliseconds of a clock that only goes forward. */
double http_now_ms(void);

/* ---- what is answered ---- */
/* Body copied; the last call wins. */
void http_reply_copy(http_reply *y, int status, const char *type, const void *data, size_t bytes);
/* Body taken: free_fn(data) when it was sent; NULL: static. */
void http_reply_take(http_reply *y, int status, const char *type, void *data, size_t bytes,
                     void (*free_fn)(void *));
/* Body made while it is sent: next() copies up to `capacity` bytes and returns their number, 0 to be asked
 * again in a moment, -1 at the end. It runs on the network thread and must not block. end() is called once in
 * any case. */
typedef struct http_stream {
    long (*next)(void *ctx, char *ret, size_t capacity);
    void (*end)(void *ctx);
    void *ctx;
} http_stream;
void http_reply_stream(http_reply *y, int status, const char *type, http_stream stream);
/* Add a header. A value with control characters is refused: false, nothing added. */
bool http_reply_header(http_reply *y, const char *name, const char *value);
int http_reply_status(const http_reply *y);
/* The body as text when it is one (it may hold NULs and need not be ended where it is none). */
const char *http_reply_text(const http_reply *y, size_t *ret_bytes);
/* Close the connection after this answer. */
void http_reply_close(http_reply *y);

/* ---- the program behind ---- */
typedef enum http_lane { HTTP_REFUSED, HTTP_LIGHT, HTTP_HEAVY } http_lane;

typedef struct http_app {
    void *ctx;
    /* The head is there; network thread, must not block. Sets the greatest body that is read. HTTP_REFUSED:
     * the reply is filled and the body is not read. */
    http_lane (*begin)(void *ctx, http_request *r, size_t *ret_max_body, http_reply *y);
    /* The body is there; `worker` counts the threads of its lane from 0. */
    void (*handle)(void *ctx, http_lane lane, unsigned worker, http_request *r, http_reply *y);
    /* A fault before begin() or between: too large, too many, malformed. Fills a body for the status. */
    void (*fault)(void *ctx, http_request *r, int status, const char *what, http_reply *y);
    /* Everything of this request is over, also when it was cut off. */
    void (*end)(void *ctx, http_request *r, const http_reply *y);
} http_app;

typedef struct http_opts {
    const char *listen;                /* "127.0.0.1:8080", "[::1]:0", "unix:/run/mien.sock" */
    const char *tls_cert, *tls_key;    /* PEM texts; NULL: plain */
    unsigned heavy, light;             /* threads of each lane */
    unsigned queue_heavy, queue_light; /* waiting requests; more are answered with 429 */
    unsigned connections, per_address;
    unsigned idle_ms, head_ms, body_ms, write_ms; /* deadlines of the phases */
    size_t head_bytes;                            /* of request line and headers */
    unsigned max_headers;
} http_opts;

#define HTTP_OPTS_INIT                                                                              \
    {                                                                                               \
        "127.0.0.1:8080", NULL, NULL, 1, 2, 16, 64, 256, 64, 30000, 10000, 60000, 60000, 32768, 100 \
    }

/* Listen and serve. On failure NULL and one sentence in ret_fault. */
http_server *http_start(const http_opts *opts, const http_app *app, char *ret_fault, size_t capacity);
/* The address in use, "127.0.0.1:41234"; lent. */
const char *http_address(const http_server *s);
/* Stop accepting, let what runs and waits finish for at most grace_ms, then close. */
void http_stop(http_server *s, unsigned grace_ms);

/* Ask the streams that had nothing to send again; any thread. The watchdog does it every few seconds too. */
void http_wake_streams(http_server *s);
/* Whether the server is being stopped: streams end then. */
bool http_stopping(const http_server *s);

typedef struct http_figures {
    unsigned connections, waiting_heavy, waiting_light, running_heavy, running_light;
    uint64_t accepted, requests, refused_busy, refused_malformed, cut_off;
} http_figures;
void http_figures_of(http_server *s, http_figures *ret);

#endif
