/* Starting and stopping: models, workers' tools, keys, collections, then the HTTP layer; in reverse to stop.
 *
 * A public address without TLS is refused unless a proxy is said to stand in front: keys and faces would
 * cross the network in the clear. The first run makes one key that may do everything, prints it once, and
 * stores its hash.
 */
#include "folders.h"
#include "jobs.h"
#include "sets.h"
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

kit *server_kit(api_server *s, http_lane lane, unsigned worker)
{
    return lane == HTTP_HEAVY ? &s->heavy[worker] : &s->light[worker];
}

/* ---- where it may listen ---- */

static bool is_local(const char *where)
{
    return !strncmp(where, "unix:", 5) || !strncmp(where, "127.", 4) || !strncmp(where, "localhost:", 10) ||
           !strncmp(where, "[::1]:", 6);
}

static bool add_host(api_server *s, const char *name, size_t n)
{
    if (s->n_hosts == SERVER_MAX_HOSTS || !(s->hosts[s->n_hosts] = strndup(name, n)))
        return false;
    s->n_hosts++;
    return true;
}

/* The names that Host may say: loopback's, the address listened on, and what --host adds. */
static bool list_hosts(api_server *s)
{
    static const char *const local[] = { "localhost", "127.0.0.1", "[::1]" };
    const char *end = strrchr(s->opts.listen, ':');
    bool ok = true;
    for (size_t i = 0; i < sizeof local / sizeof *local; i++)
        ok = ok && add_host(s, local[i], strlen(local[i]));
    if (end && strncmp(s->opts.listen, "unix:", 5) != 0)
        ok = ok && add_host(s, s->opts.listen, (size_t)(end - s->opts.listen));
    for (const char *h = s->opts.hosts; ok && h && *h; h += strcspn(h, ","), h += *h == ',')
        ok = add_host(s, h, strcspn(h, ","));
    return ok;
}

/* ---- files ---- */

static char *read_text(const char *path, char *fault, size_t capacity)
{
    size_t n = 0;
    char *text = (char *)file_read(path, 65536, &n);
    if (text && n)
        return text;
    snprintf(fault, capacity, "%.160s: %s", path, text ? "empty" : strerror(errno));
    free(text);
    return NULL;
}

static keys *open_keys(const char *data, char *fault, size_t capacity)
{
    char path[600];
    snprintf(path, sizeof path, "%s/server.db", data);
    return folder_make(data, fault, capacity) ? keys_open(path, fault, capacity) : NULL;
}

/* ---- tools ---- */

static mien_status load(const char *name, mien_task task, mien_model **ret, mien_error *err)
{
    return name ? mien_model_load(name, ret, err) : mien_model_load_default(task, ret, err);
}

static mien_status open_kits(api_server *s, mien_error *err)
{
    mien_detect_opts d = MIEN_DETECT_OPTS_INIT;
    mien_embed_opts e = MIEN_EMBED_OPTS_INIT;
    mien_status st = load(s->opts.detector, MIEN_TASK_DETECT, &s->detect, err);
    if (!st)
        st = load(s->opts.model, MIEN_TASK_EMBED, &s->embed, err);
    double threshold;
    if (!st) /* no threshold, no decision: an uncalibrated model does not serve */
        st = mien_curve_of_model(s->embed, &s->curve, err);
    if (!st)
        st = mien_model_threshold(s->embed, mien_model_info_of(s->embed)->default_fmr, &threshold, err);
    s->heavy = calloc(s->n_heavy, sizeof *s->heavy);
    s->light = calloc(s->n_light, sizeof *s->light);
    if (!st && (!s->heavy || !s->light)) {
        st = err->status = MIEN_E_NOMEM;
        snprintf(err->message, sizeof err->message, "out of memory");
    }
    for (unsigned i = 0; !st && i < s->n_heavy; i++)
        if (!(st = mien_detector_new(s->detect, &d, &s->heavy[i].detector, err)))
            st = mien_embedder_new(s->embed, &e, &s->heavy[i].embedder, err);
    return st;
}

static bool first_key(api_server *s, char ret_admin[80], char *fault, size_t capacity)
{
    const key_info what = { .name = "first admin key", .scopes = KEY_ALL };
    int64_t id = 0;
    ret_admin[0] = 0;
    if (keys_count(s->keys, KEY_ADMIN) > 0)
        return true;
    if (keys_make(s->keys, &what, ret_admin, &id))
        return true;
    snprintf(fault, capacity, "the first key could not be stored in %.160s", s->opts.data);
    return false;
}

/* ---- start and stop ---- */

static bool start_http(api_server *s, char *fault, size_t capacity)
{
    const http_app app = { s, api_begin, api_handle, api_fault, api_end };
    http_opts o = HTTP_OPTS_INIT;
    char *cert = NULL, *key = NULL;
    bool ok = true;
    if (s->opts.tls_cert)
        ok = (cert = read_text(s->opts.tls_cert, fault, capacity)) &&
             (key = read_text(s->opts.tls_key, fault, capacity));
    o.listen = s->opts.listen;
    o.tls_cert = cert;
    o.tls_key = key;
    o.heavy = s->n_heavy;
    o.light = s->n_light;
    o.queue_heavy = s->opts.queue;
    o.connections = s->opts.connections;
    o.per_address = s->opts.per_address;
    if (ok)
        ok = (s->http = http_start(&o, &app, fault, capacity)) != NULL;
    if (key)
        sodium_memzero(key, strlen(key));
    free(key);
    free(cert);
    return ok;
}

api_server *server_start(const server_opts *opts, char ret_admin[80], char *fault, size_t capacity)
{
    mien_error err = MIEN_ERROR_INIT;
    if (!is_local(opts->listen) && !opts->tls_cert && !opts->behind_proxy) {
        snprintf(fault, capacity,
                 "%.100s is reached from outside: give --tls-cert and --tls-key, or --behind-proxy where a "
                 "proxy ends TLS",
                 opts->listen);
        return NULL;
    }
    api_server *s = calloc(1, sizeof *s);
    snprintf(fault, capacity, "out of memory");
    if (!s)
        return NULL;
    s->opts = *opts;
    s->n_heavy = opts->workers;
    s->n_light = 2;
    s->started_ms = http_now_ms();
    pthread_mutex_init(&s->enter.lock, NULL);
    bool ok = list_hosts(s) && (s->rates = rate_new(opts->rate, opts->burst)) &&
              (s->metrics = metrics_new()) && (s->events = events_new());
    ok = ok && (s->keys = open_keys(opts->data, fault, capacity)) && collections_open(s, fault, capacity) &&
         sets_open(s, fault, capacity);
    if (ok && open_kits(s, &err)) {
        snprintf(fault, capacity, "%s", err.message);
        ok = false;
    }
    ok = ok && collections_unlock(s, fault, capacity);
    if (ok)
        train_work_clean(s);
    ok = ok && first_key(s, ret_admin, fault, capacity) && jobs_start(s, fault, capacity) &&
         start_http(s, fault, capacity);
    if (ok)
        return s;
    server_stop(s, 0);
    return NULL;
}

const char *server_address(const api_server *s)
{
    return http_address(s->http);
}

void server_stop(api_server *s, unsigned grace_ms)
{
    if (!s)
        return;
    jobs_hush(s);
    http_stop(s->http, grace_ms);
    jobs_stop(s);
    for (unsigned i = 0; s->heavy && i < s->n_heavy; i++)
        kit_close(&s->heavy[i]);
    for (unsigned i = 0; s->light && i < s->n_light; i++)
        kit_close(&s->light[i]);
    free(s->heavy);
    free(s->light);
    collections_close(s);
    mien_curve_free(s->curve);
    mien_model_free(s->embed);
    mien_model_free(s->detect);
    keys_close(s->keys);
    metrics_free(s->metrics);
    events_free(s->events);
    rate_free(s->rates);
    for (size_t i = 0; i < s->n_hosts; i++)
        free(s->hosts[i]);
    pthread_mutex_destroy(&s->enter.lock);
    free(s);
}

bool server_make_key(const char *data, const server_key *asked, char ret_token[80], char *fault,
                     size_t capacity)
{
    key_info what = { .scopes = key_scopes_of(asked->scopes),
                      .expires_ms = asked->expires_ms,
                      .nearest = asked->nearest };
    int64_t id = 0;
    if (!what.scopes) {
        snprintf(fault, capacity, "scopes are read, recognise, enrol, admin, parted by commas, not '%.60s'",
                 asked->scopes);
        return false;
    }
    const size_t n = asked->adopt ? strlen(asked->adopt) : 0;
    if (asked->adopt && (n < 16 || n >= KEY_TOKEN_BYTES || !strncmp(asked->adopt, "mien_", 5))) {
        snprintf(fault, capacity, "a token to adopt has 16 to %d characters and is not one of mien's",
                 KEY_TOKEN_BYTES - 1);
        return false;
    }
    snprintf(what.name, sizeof what.name, "%s", asked->name);
    snprintf(what.collection, sizeof what.collection, "%s", asked->collection ? asked->collection : "");
    keys *k = open_keys(data, fault, capacity);
    const bool ok =
        k && (n ? keys_adopt(k, &what, asked->adopt, &id) : keys_make(k, &what, ret_token, &id));
    if (k && !ok)
        snprintf(fault, capacity,
                 n ? "the token is there already, or could not be stored in %.160s"
                   : "the key could not be stored in %.160s",
                 data);
    else if (ok && n)
        snprintf(ret_token, 80, "%s", asked->adopt);
    keys_close(k);
    return ok;
}
