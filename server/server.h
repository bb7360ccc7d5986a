/* The server as a program sees it: options, start, stop. `mien serve` is the only caller. */
#ifndef MIEN_SERVER_SERVER_H
#define MIEN_SERVER_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct api_server api_server;

typedef struct server_opts {
    const char *listen;             /* "127.0.0.1:8080" */
    const char *tls_cert, *tls_key; /* files, PEM */
    const char *data;               /* folder of keys and collections */
    const char *gallery;            /* file of the collection "default"; NULL: in the data folder */
    const char *model, *detector;   /* names or files; NULL: the built-in ones */
    const char *passphrase;         /* of encrypted galleries; lent until server_stop(), like the key */
    const void *key;
    size_t key_bytes;
    /* Asked at start when a gallery takes a passphrase and neither that nor a key was given; lent until server_stop(). NULL: there
     * is none, the server does not start. */
    const char *(*ask)(void *ctx, const char *gallery);
    void *ask_ctx;
    const char *hosts; /* further names in Host and Origin, parted by commas; NULL */
    unsigned workers, queue, connections, per_address;
    double rate, burst; /* requests a second per key and per address, and how many at once */
    uint64_t max_pixels;
    bool behind_proxy; /* plain HTTP on a public address is meant */
    bool sandbox;      /* decode pictures in a confined process */
} server_opts;

/* Start. NULL and one sentence on failure. *ret_admin: the first run's admin token, to be shown once; ""
 * later. */
api_server *server_start(const server_opts *opts, char ret_admin[80], char *ret_fault, size_t capacity);
const char *server_address(const api_server *s);
/* A code that signs the page in, once and within a minute, for the one who started the server: with it as
 * "#enter=CODE" behind the address nobody types a key. It stands for the oldest key that may do everything. false when
 * there is none. */
enum { SERVER_CODE_BYTES = 44 };
bool server_enter_code(api_server *s, char ret_code[SERVER_CODE_BYTES]);
/* Finish what runs, at most grace_ms, and free. */
void server_stop(api_server *s, unsigned grace_ms);

typedef struct server_key {
    const char *name, *scopes;
    const char *collection; /* NULL: all */
    const char *adopt;      /* a token that clients have already; NULL: a new one */
    int64_t expires_ms;     /* 0: never */
    bool nearest;           /* CompreFace calls name the nearest subject, however far */
} server_key;

/* Make a key in the data folder of a server that may be running; the token is shown once. */
bool server_make_key(const char *data, const server_key *what, char ret_token[80], char *ret_fault,
                     size_t capacity);

#endif
