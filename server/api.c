/* From a request to its route and back (see api.h): who asks, whether they may, the body, the answer's frame.
 *
 * Order of the checks in begin(), cheapest first: the Host (DNS rebinding), the rate of the address, the route, the key, the rate
 * of the key, its scope, the session's origin and CSRF token. Which paths exist is no secret: the server describes them.
 */
#include "api.h"
#include "server_parts.h"
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char type_json[] = "application/json";

static bool is_compat(const api_route *route)
{
    return route->access == API_COMPAT || route->access == API_LINK;
}

/* ---- answers ---- */

static void guard_headers(http_reply *y, bool cacheable)
{
    http_reply_header(y, "X-Content-Type-Options", "nosniff");
    http_reply_header(y, "Referrer-Policy", "no-referrer");
    http_reply_header(y, "Cross-Origin-Resource-Policy", "same-origin");
    if (!cacheable)
        http_reply_header(y, "Cache-Control", "no-store");
}

static void reply_json(http_reply *y, int status, json_t *body)
{
    char *text = body ? json_dumps(body, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(body);
    if (text)
        http_reply_take(y, status, type_json, text, strlen(text), free);
    else
        http_reply_take(y, 500, type_json, (void *)(uintptr_t) "{}", 2, NULL);
}

void api_ok(api_call *c, int status, json_t *body)
{
    if (status == 204) {
        json_decref(body);
        http_reply_take(c->reply, 204, NULL, NULL, 0, NULL);
        return;
    }
    reply_json(c->reply, status, body);
}

static json_t *error_body(const http_request *r, const char *code, const char *message, json_t *details)
{
    return json_pack("{s:{s:s,s:o?,s:o?},s:s}", "error", "code", code, "message",
                     json_stringn_nocheck(message, strlen(message)), "details",
                     details ? details : json_object(), "request_id", http_id(r));
}

void api_fail_with(api_call *c, int status, const char *code, json_t *details, const char *fmt, ...)
{
    char message[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    if (!http_is_utf8(message))
        snprintf(message, sizeof message, "the request cannot be served");
    if (c->route && is_compat(c->route)) {
        json_decref(details);
        compat_fail(c, status, code, message);
        return;
    }
    reply_json(c->reply, status, error_body(c->http, code, message, details));
}

const char *api_code(mien_status status, int *ret_http)
{
    static const struct {
        mien_status status;
        int http;
        const char *code;
    } list[] = {
        { MIEN_E_ARG, 400, "BAD_ARGUMENT" },
        { MIEN_E_NOT_FOUND, 404, "NOT_FOUND" },
        { MIEN_E_LIMIT, 413, "TOO_LARGE" },
        { MIEN_E_IMAGE_FORMAT, 422, "NOT_A_PICTURE" },
        { MIEN_E_IMAGE_CORRUPT, 422, "DAMAGED_PICTURE" },
        { MIEN_E_IMAGE_CODEC, 422, "FORMAT_NOT_AVAILABLE" },
        { MIEN_E_NO_FACE, 422, "NO_FACE" },
        { MIEN_E_EXISTS, 409, "EXISTS" },
        { MIEN_E_GALLERY_KEY, 503, "GALLERY_LOCKED" },
        { MIEN_E_GALLERY_MODEL, 409, "OTHER_MODEL" },
        { MIEN_E_GALLERY_BUSY, 503, "GALLERY_BUSY" },
        { MIEN_E_EVAL_DATA, 422, "DATA_UNUSABLE" },
        { MIEN_E_UNSUPPORTED, 501, "NOT_SUPPORTED" },
        { MIEN_E_IO, 507, "STORAGE" },
        { MIEN_E_INTERRUPTED, 409, "STOPPED" },
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (list[i].status == status) {
            *ret_http = list[i].http;
            return list[i].code;
        }
    *ret_http = 500;
    return "INTERNAL";
}

void api_fail_status(api_call *c, const mien_error *err)
{
    int status = 500;
    const char *code = api_code(err->status, &status);
    api_fail(c, status, code, "%s", status == 500 ? mien_status_text(err->status) : err->message);
}

/* ---- arguments ---- */

static const char *field_text(api_call *c, const char *name)
{
    const multipart_part *p = c->form ? multipart_find(c->form, name) : NULL;
    if (!p || p->is_file || memchr(p->data, 0, p->bytes))
        return NULL;
    /* fields lie in the body, unended: keep an ended copy with the call */
    json_t *copy = json_stringn((const char *)p->data, p->bytes);
    if (!copy)
        return NULL;
    if (!c->json)
        c->json = json_object();
    json_object_set_new(c->json, name, copy);
    return json_string_value(copy);
}

const char *api_text(api_call *c, const char *name)
{
    const char *s = http_query(c->http, name);
    if (s)
        return s;
    const json_t *v = json_object_get(c->json, name);
    return json_is_string(v) ? json_string_value(v) : field_text(c, name);
}

bool api_arg_int(api_call *c, const char *name, int64_t least, int64_t most, int64_t fallback, int64_t *ret)
{
    const json_t *v = json_object_get(c->json, name);
    const char *s = json_is_integer(v) && !http_query(c->http, name) ? NULL : api_text(c, name);
    char *end = NULL;
    *ret = fallback;
    if (!s && !json_is_integer(v)) {
        if (!v || json_is_null(v))
            return true;
    } else {
        *ret = s ? strtoll(s, &end, 10) : json_integer_value(v);
        if ((!s || (*s && !*end)) && *ret >= least && *ret <= most)
            return true;
    }
    api_fail(c, 400, "BAD_ARGUMENT", "%s is a whole number from %lld to %lld", name, (long long)least,
             (long long)most);
    return false;
}

bool api_arg_real(api_call *c, const char *name, double least, double most, double fallback, double *ret)
{
    const json_t *v = json_object_get(c->json, name);
    const char *s = json_is_number(v) && !http_query(c->http, name) ? NULL : api_text(c, name);
    char *end = NULL;
    *ret = fallback;
    if (!s && !json_is_number(v)) {
        if (!v || json_is_null(v))
            return true;
    } else {
        *ret = s ? strtod(s, &end) : json_number_value(v);
        if ((!s || (*s && !*end)) && *ret >= least && *ret <= most)
            return true;
    }
    api_fail(c, 400, "BAD_ARGUMENT", "%s is a number from %g to %g", name, least, most);
    return false;
}

bool api_param_id(api_call *c, int index, int64_t *ret)
{
    char *end = NULL;
    const char *s = c->params[index];
    *ret = s ? strtoll(s, &end, 10) : 0;
    if (*ret > 0 && end && !*end)
        return true;
    api_fail(c, 404, "NOT_FOUND", "there is no such thing");
    return false;
}

bool api_own_collection(api_call *c, const char *name)
{
    if (c->key.collection[0] && strcmp(c->key.collection, name) != 0) {
        api_fail(c, 403, "NOT_ALLOWED", "this key belongs to another collection");
        return false;
    }
    snprintf(c->collection, sizeof c->collection, "%s", name);
    return true;
}

/* ---- who may ---- */

static bool host_is_known(const api_server *s, const char *host)
{
    char name[256];
    const char *end = host[0] == '[' ? strchr(host, ']') : strchr(host, ':');
    const size_t n = end ? (size_t)(end - host) + (host[0] == '[') : strlen(host);
    if (n == 0 || n >= sizeof name)
        return false;
    memcpy(name, host, n);
    name[n] = 0;
    for (size_t i = 0; i < s->n_hosts; i++)
        if (!strcasecmp(name, s->hosts[i]))
            return true;
    return false;
}

/* A page's request says where the page came from; only our own may use a session. */
static bool origin_is_ours(const api_server *s, const http_request *r)
{
    const char *origin = http_header(r, "Origin"), *site = http_header(r, "Sec-Fetch-Site");
    if (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
        return false;
    if (!origin)
        return true;
    const char *host = strstr(origin, "://");
    const char *asked = http_header(r, "Host");
    return host && asked && host_is_known(s, host + 3) && !strcmp(host + 3, asked);
}

static const char *token_of(const api_call *c)
{
    const char *bearer = http_header(c->http, "Authorization");
    if (c->route->access == API_LINK)
        return c->params[0];
    if (!is_compat(c->route) && bearer && !strncasecmp(bearer, "Bearer ", 7))
        return bearer + 7;
    return http_header(c->http, "x-api-key");
}

static bool changes(const http_request *r)
{
    const http_method m = http_method_of(r);
    return m != HTTP_GET && m != HTTP_HEAD && m != HTTP_OPTIONS;
}

/* Who asks; false: answered. */
static bool authenticate(api_call *c)
{
    char cookie[KEY_TOKEN_BYTES];
    const char *token = token_of(c);
    bool ok = false;
    if (token) {
        ok = keys_check(c->server->keys, token, &c->key);
    } else if (!is_compat(c->route) &&
               http_cookie(c->http, SESSION_COOKIE, cookie, sizeof cookie)) {
        ok = c->has_session = session_check(c->server->keys, cookie, &c->key);
        if (ok && changes(c->http)) {
            const char *csrf = http_header(c->http, "X-CSRF-Token");
            if (!origin_is_ours(c->server, c->http) || !csrf || strlen(csrf) != strlen(c->key.csrf) ||
                sodium_memcmp(csrf, c->key.csrf, strlen(csrf)) != 0) {
                api_fail(c, 403, "CSRF", "the session's token is missing or wrong: load the page again");
                return false;
            }
        }
    }
    if (!ok) {
        http_reply_header(c->reply, "WWW-Authenticate", "Bearer realm=\"mien\"");
        api_fail(c, 401, "NO_KEY", token ? "the key is unknown, expired or revoked" : "a key is needed");
    }
    return ok;
}

static bool within_rate(api_call *c, const char *kind, const char *who)
{
    char name[128];
    double wait = 0;
    snprintf(name, sizeof name, "%s %s", kind, who);
    if (rate_take(c->server->rates, name, http_now_ms(), &wait))
        return true;
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%d", (int)wait + 1);
    http_reply_header(c->reply, "Retry-After", seconds);
    api_fail(c, 429, "TOO_MANY_REQUESTS", "too many requests from this %s", kind);
    return false;
}

static void choose_collection(api_call *c)
{
    const char *name = http_query(c->http, "collection");
    if (!name)
        name = c->key.id && c->key.collection[0] ? c->key.collection : "default";
    snprintf(c->collection, sizeof c->collection, "%s", name);
}

static bool may(api_call *c)
{
    char id[24];
    if (c->route->access == API_OPEN)
        return true;
    if (!authenticate(c))
        return false;
    choose_collection(c); /* the key's own is known only now */
    snprintf(id, sizeof id, "%lld", (long long)c->key.id);
    if (!within_rate(c, "key", id))
        return false;
    if (!key_allows(&c->key, c->route->scope, c->key.collection[0] ? c->collection : NULL)) {
        char words[64];
        key_scopes_text(c->route->scope, words, sizeof words);
        api_fail(c, 403, "NOT_ALLOWED", "this key may not do that here: it takes the scope '%s'", words);
        return false;
    }
    return true;
}

/* ---- the way in ---- */

static api_call *call_of(api_server *s, http_request *r, http_reply *y)
{
    api_call *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->server = s;
    c->http = r;
    c->reply = y;
    return c;
}

static bool find(api_call *c)
{
    bool known;
    char allow[96];
    c->route = api_find_route(http_method_name(http_method_of(c->http)), http_path(c->http), c, &known, allow,
                              sizeof allow);
    if (c->route)
        return true;
    if (known) {
        http_reply_header(c->reply, "Allow", allow);
        api_fail(c, 405, "METHOD", "this path knows %s", allow);
    } else {
        api_fail(c, 404, "NOT_FOUND", "there is nothing at this path");
    }
    return false;
}

/* Everything that is decided from the head. */
static bool admit(api_call *c)
{
    const char *host = http_header(c->http, "Host");
    if (host && !host_is_known(c->server, host)) {
        api_fail(c, 421, "UNKNOWN_HOST", "this server does not answer for that host (see --host)");
        return false;
    }
    if (!within_rate(c, "address", http_peer(c->http)) || !find(c))
        return false;
    choose_collection(c);
    return may(c);
}

http_lane api_begin(void *ctx, http_request *r, size_t *ret_max, http_reply *y)
{
    api_call *c = call_of(ctx, r, y);
    if (!c) {
        http_reply_take(y, 503, type_json, (void *)(uintptr_t) "{}", 2, NULL);
        return HTTP_REFUSED;
    }
    http_set_user(r, c);
    if (!admit(c)) {
        guard_headers(y, false);
        return HTTP_REFUSED;
    }
    *ret_max = c->route->max_body;
    return c->route->lane;
}

/* ---- the body ---- */

static bool starts(const char *type, const char *with)
{
    const size_t n = strlen(with);
    return type && !strncasecmp(type, with, n) && (type[n] == 0 || type[n] == ';' || type[n] == ' ');
}

static bool read_body(api_call *c)
{
    size_t n = 0;
    const char *fault = NULL, *type = http_header(c->http, "Content-Type");
    const uint8_t *body = http_body(c->http, &n);
    if (n == 0 || starts(type, "application/octet-stream") || (type && !strncasecmp(type, "image/", 6)))
        return true;
    if (starts(type, "multipart/form-data")) {
        if (!(c->form = malloc(sizeof *c->form))) {
            api_fail(c, 503, "NO_MEMORY", "out of memory");
            return false;
        }
        if (multipart_parse(type, body, n, c->form, &fault))
            return true;
    } else if (starts(type, type_json)) {
        /* pictures as base64 make long texts: the route's bound is the bound */
        if ((c->json = api_json_parse(body, n, c->route->max_body, &fault)))
            return true;
    } else {
        api_fail(c, 415, "CONTENT_TYPE", "a body is application/json, multipart/form-data or a picture");
        return false;
    }
    api_fail(c, 400, "MALFORMED_BODY", "%s", fault);
    return false;
}

/* ---- repeated writes ---- */

static void what_hash(api_call *c, uint8_t ret[32])
{
    crypto_generichash_state h;
    size_t n = 0;
    const uint8_t *body = http_body(c->http, &n);
    const char *const parts[] = { c->route->method, http_path(c->http), c->collection };
    crypto_generichash_init(&h, NULL, 0, 32);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        crypto_generichash_update(&h, (const uint8_t *)parts[i], strlen(parts[i]) + 1);
    crypto_generichash_update(&h, body, n);
    crypto_generichash_final(&h, ret, 32);
}

/* true: go on; false: answered from memory, or refused. */
static bool first_time(api_call *c)
{
    const char *name = http_header(c->http, "Idempotency-Key");
    uint8_t what[32];
    char *body = NULL;
    int status = 0;
    if (!name || !changes(c->http) || !c->key.id)
        return true;
    if (strlen(name) >= sizeof c->once) {
        api_fail(c, 400, "BAD_ARGUMENT", "an Idempotency-Key has at most %zu characters", sizeof c->once - 1);
        return false;
    }
    what_hash(c, what);
    switch (once_begin(c->server->keys, c->key.id, name, what, &status, &body)) {
    case ONCE_NEW:
        snprintf(c->once, sizeof c->once, "%s", name);
        return true;
    case ONCE_DONE:
        http_reply_header(c->reply, "Idempotent-Replay", "true");
        http_reply_take(c->reply, status, type_json, body, strlen(body), free);
        return false;
    case ONCE_RUNNING:
        api_fail(c, 409, "IN_PROGRESS", "the first request with this Idempotency-Key is still running");
        return false;
    case ONCE_OTHER:
        api_fail(c, 422, "IDEMPOTENCY_KEY_REUSED", "this Idempotency-Key belongs to another request");
        return false;
    case ONCE_FAULT:
        break;
    }
    api_fail(c, 503, "STORAGE", "the answer could not be remembered, so nothing was done");
    return false;
}

/* ---- the way out ---- */

void api_handle(void *ctx, http_lane lane, unsigned worker, http_request *r, http_reply *y)
{
    api_server *s = ctx;
    api_call *c = http_user(r);
    (void)y;
    c->kit = server_kit(s, lane, worker);
    if (read_body(c) && first_time(c)) {
        c->route->run(c);
        if (c->once[0]) {
            /* what may succeed when tried again is not remembered */
            const int status = http_reply_status(c->reply);
            size_t n = 0;
            const char *text = http_reply_text(c->reply, &n);
            once_end(s->keys, c->key.id, c->once, status < 500 && status != 429 ? status : 0, text, n);
        }
    }
    guard_headers(c->reply, c->route->access == API_OPEN && http_method_of(r) == HTTP_GET);
    http_reply_header(c->reply, "X-Request-Id", http_id(r));
}

void api_fault(void *ctx, http_request *r, int status, const char *what, http_reply *y)
{
    const char *code = status == 413   ? "TOO_LARGE"
                       : status == 429 ? "BUSY"
                       : status == 431 ? "HEAD_TOO_LARGE"
                       : status >= 500 ? "INTERNAL"
                                       : "MALFORMED_REQUEST";
    (void)ctx;
    reply_json(y, status, error_body(r, code, what, NULL));
    guard_headers(y, false);
}

void api_end(void *ctx, http_request *r, const http_reply *y)
{
    api_server *s = ctx;
    api_call *c = http_user(r);
    if (!c)
        return;
    metrics_count(s, c->route, http_reply_status(y), http_age_ms(r));
    json_decref(c->json);
    free(c->form);
    free(c);
}
