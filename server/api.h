/* The API: what the files that answer requests share.
 *
 * A request becomes an api_call: begin() (api.c, network thread) finds its route, who asks, whether they may,
 * and how large a body may be; handle() reads the body, runs the route's function on a worker's thread and
 * writes the audit trail of errors. Route functions return with the reply filled by api_ok() or api_fail().
 */
#ifndef MIEN_SERVER_API_H
#define MIEN_SERVER_API_H

#include "http.h"
#include "keys.h"
#include "multipart.h"
#include <jansson.h>
#include <mien/gallery.h>
#include <mien/mien.h>

typedef struct api_server api_server;
typedef struct api_call api_call;
typedef struct kit kit;

enum { API_MAX_PARAMS = 4, API_MAX_BODY = 16 << 20, API_MAX_JSON = 1 << 20, API_MAX_DEPTH = 32 };

/* How a caller proves who they are. */
typedef enum api_access {
    API_OPEN,   /* nobody need: health, the page's files, opening a session */
    API_KEY,    /* a key with the route's scope */
    API_COMPAT, /* a key in x-api-key alone, errors in CompreFace's words */
    API_LINK,   /* the same with the key as the path's first parameter: that server's links to pictures */
} api_access;

typedef struct api_route {
    const char *method, *pattern; /* "/v1/people/{person}" */
    api_access access;
    unsigned scope; /* KEY_* */
    http_lane lane;
    size_t max_body; /* 0: none is taken */
    void (*run)(api_call *c);
} api_route;

struct api_call {
    api_server *server;
    http_request *http;
    http_reply *reply;
    const api_route *route;
    const char *params[API_MAX_PARAMS]; /* of the pattern, in order */
    char param_text[512];
    key_info key; /* id 0 where access is open */
    bool has_session;
    char collection[KEY_COLLECTION_BYTES];
    kit *kit;        /* this worker's tools */
    json_t *json;    /* the body, when it is JSON; owned */
    multipart *form; /* the body, when it is a form; owned */
    char once[128];  /* Idempotency-Key in force; "" */
};

/* ---- answers ---- */
/* Takes `body`. */
void api_ok(api_call *c, int status, json_t *body);
/* {"error":{"code","message","details"},"request_id"}; takes details, may be NULL. */
void api_fail_with(api_call *c, int status, const char *code, json_t *details, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
#define api_fail(c, status, code, ...) api_fail_with(c, status, code, NULL, __VA_ARGS__)
/* The reason code and the HTTP status that a library's status stands for. Static. */
const char *api_code(mien_status status, int *ret_http);
/* The answer that a library error stands for. */
void api_fail_status(api_call *c, const mien_error *err);

/* ---- arguments; on a fault they answer 400 and return false ---- */
bool api_arg_int(api_call *c, const char *name, int64_t least, int64_t most, int64_t fallback, int64_t *ret);
bool api_arg_real(api_call *c, const char *name, double least, double most, double fallback, double *ret);
/* From the query, a form field or the JSON body, in this order; NULL when absent. Lent for the call, at most
 * a body long. */
const char *api_text(api_call *c, const char *name);
bool api_param_id(api_call *c, int index, int64_t *ret);
/* The collection that the path names becomes the call's; false: answered, the key belongs to another one. */
bool api_own_collection(api_call *c, const char *name);

/* ---- routes ---- */
extern const api_route *const api_tables[]; /* each ends with method == NULL; the list with NULL */
/* *ret_known: the path exists with another method; its methods are in ret_allow. */
const api_route *api_find_route(const char *method, const char *path, api_call *ret_params, bool *ret_known,
                                char *ret_allow, size_t capacity);

/* ---- JSON ---- */
/* Parse at most API_MAX_JSON bytes nested at most API_MAX_DEPTH deep, no doubled keys; NULL and a sentence.
 */
json_t *api_json_parse(const uint8_t *text, size_t bytes, size_t max_bytes, const char **ret_fault);

/* ---- limits of rate: token buckets by key and by address ---- */
typedef struct rate_table rate_table;
rate_table *rate_new(double per_second, double burst);
void rate_free(rate_table *t);
/* false: too many; *ret_wait_s until the next is let through. */
bool rate_take(rate_table *t, const char *who, double now_ms, double *ret_wait_s);

#endif
