/* What the files of the HTTP layer share. Nothing else includes this. */
#ifndef MIEN_SERVER_HTTP_PARTS_H
#define MIEN_SERVER_HTTP_PARTS_H

#include "http.h"
#include <microhttpd.h>
#include <pthread.h>

enum { HTTP_MAX_ARGS = 64, HTTP_MAX_REPLY_HEADERS = 24, HTTP_TARGET_BYTES = 8192 };

/* ---- a connection, under the watchdog ---- */
typedef enum http_phase {
    HTTP_IDLE,
    HTTP_HEAD_READ,
    HTTP_BODY_READ,
    HTTP_WORK,
    HTTP_WRITE,
    HTTP_STREAMING
} http_phase;

typedef struct http_conn {
    struct http_conn *next, *before;
    int fd;
    http_phase phase;
    double since_ms;
    char peer[64];
} http_conn;

typedef struct http_watch {
    void (*tick)(void *ctx); /* every few seconds, without the lock */
    void *ctx;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool running, stop;
    http_conn *first;
    unsigned n;
    uint64_t cut_off;
    unsigned limit_ms[HTTP_STREAMING + 1]; /* per phase; 0: none */
} http_watch;

bool http_watch_start(http_watch *w);
void http_watch_stop(http_watch *w);
http_conn *http_watch_add(http_watch *w, int fd, const char *peer);
void http_watch_remove(http_watch *w, http_conn *c);
void http_watch_phase(http_watch *w, http_conn *c, http_phase phase);

/* ---- where it listens ---- */
typedef struct http_listening {
    char address[160];
    char *unix_path;
} http_listening;
/* A listening socket, or -1 and one sentence. */
int http_listen(const char *where, http_listening *ret, char *ret_fault, size_t capacity);
void http_listen_end(http_listening *l);

/* ---- a request ---- */
typedef enum http_state { HTTP_NEW, HTTP_COLLECTING, HTTP_QUEUED, HTTP_DONE, HTTP_SENT } http_state;

typedef struct http_arg {
    const char *name, *value;
} http_arg;

struct http_reply {
    int status;
    const char *type; /* copied into type_text */
    char type_text[96];
    uint8_t *data;
    size_t bytes;
    void (*free_fn)(void *);
    http_stream stream;
    bool streams, close;
    unsigned n_headers;
    char *names[HTTP_MAX_REPLY_HEADERS], *values[HTTP_MAX_REPLY_HEADERS];
};

struct http_request {
    http_server *server;
    struct MHD_Connection *mhd;
    http_conn *conn;
    http_request *next; /* in a queue */
    http_state state;
    http_lane lane;
    http_method method;
    char id[17];
    double born_ms;
    char *target; /* as it came; path and arguments point into a decoded copy */
    char *decoded;
    const char *path;
    http_arg args[HTTP_MAX_ARGS];
    unsigned n_args;
    uint8_t *body;
    size_t body_bytes, body_capacity, body_max;
    bool ended;
    void *user;
    http_reply reply;
};

/* ---- audit of a head: the status to refuse it with, 0 when it is in order; *ret_what says why ---- */
int http_audit(http_request *r, const char *method, const char *version, unsigned max_headers,
               const char **ret_what);
/* Decode the target into path and arguments; false when it is malformed. */
bool http_target_parse(http_request *r);
void http_reply_clear(http_reply *y);

/* ---- the lanes ---- */
typedef struct http_queue {
    pthread_mutex_t lock;
    pthread_cond_t wake, idle;
    http_request *first, **last;
    unsigned waiting, running, max, n_threads;
    bool stop;
    http_server *server;
    http_lane lane;
    pthread_t *threads;
} http_queue;

bool http_queue_start(http_queue *q, http_server *s, http_lane lane, unsigned threads, unsigned max);
/* False when full or stopping. */
bool http_queue_push(http_queue *q, http_request *r);
/* Wait until nothing waits or runs, at most ms. */
bool http_queue_drain(http_queue *q, unsigned ms);
void http_queue_stop(http_queue *q);

/* Called by a worker: handle and give back to the network thread. */
void http_run(http_server *s, http_lane lane, unsigned worker, http_request *r);

#endif
