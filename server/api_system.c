/* The server itself: health, sessions, collections, keys, models, audit chain, figures, description. */
#include "see.h"
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SMALL = 1 << 20, SESSION_MS = 12 * 3600 * 1000 };

/* ---- health ---- */

static void run_health(api_call *c)
{
    api_ok(c, 200,
           json_pack("{s:s,s:s,s:I}", "status", "ok", "version", mien_version(), "uptime_s",
                     (json_int_t)((http_now_ms() - c->server->started_ms) / 1000)));
}

static void run_metrics(api_call *c)
{
    char *text = metrics_text(c->server);
    if (text)
        http_reply_take(c->reply, 200, "text/plain; version=0.0.4", text, strlen(text), free);
    else
        api_fail(c, 503, "NO_MEMORY", "out of memory");
}

/* ---- sessions of the page ---- */

static void set_cookie(api_call *c, const char *token, int64_t seconds)
{
    char text[256];
    snprintf(text, sizeof text, SESSION_COOKIE "=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%lld%s",
             token, (long long)seconds,
             c->server->opts.tls_cert || c->server->opts.behind_proxy ? "; Secure" : "");
    http_reply_header(c->reply, "Set-Cookie", text);
}

static json_t *who_json(const key_info *key, const char *csrf)
{
    char scopes[64];
    key_scopes_text(key->scopes, scopes, sizeof scopes);
    return json_pack("{s:s,s:s,s:s,s:s}", "name", key->name, "scopes", scopes, "collection", key->collection,
                     "csrf", csrf);
}

static void run_login(api_call *c)
{
    char token[KEY_TOKEN_BYTES], csrf[44];
    const char *key = json_string_value(json_object_get(c->json, "key"));
    const char *code = json_string_value(json_object_get(c->json, "enter"));
    if (code)
        c->key.id = enter_take(c->server, code);
    else if (!key || !keys_check(c->server->keys, key, &c->key))
        c->key.id = 0;
    if (!c->key.id) {
        api_fail(c, 401, "NO_KEY",
                 code ? "the code was used, or its minute is over" : "the key is unknown, expired or revoked");
        return;
    }
    if (!session_make(c->server->keys, c->key.id, SESSION_MS, token, csrf) ||
        !session_check(c->server->keys, token, &c->key)) {
        api_fail(c, 503, "STORAGE", "the session could not be stored");
        return;
    }
    set_cookie(c, token, SESSION_MS / 1000);
    sodium_memzero(token, sizeof token);
    api_ok(c, 201, who_json(&c->key, csrf));
}

static void run_who(api_call *c)
{
    api_ok(c, 200, who_json(&c->key, c->key.csrf));
}

static void run_logout(api_call *c)
{
    char cookie[KEY_TOKEN_BYTES];
    if (http_cookie(c->http, SESSION_COOKIE, cookie, sizeof cookie))
        session_end(c->server->keys, cookie);
    set_cookie(c, "", 0);
    api_ok(c, 204, NULL);
}

/* ---- collections ---- */

static void add_collection(void *ctx, const char *name)
{
    json_array_append_new(ctx, json_string(name));
}

static void run_collections(api_call *c)
{
    json_t *all = json_array();
    if (c->key.collection[0])
        json_array_append_new(all, json_string(c->key.collection));
    else
        collections_each(c->server, add_collection, all);
    api_ok(c, 200, json_pack("{s:o}", "collections", all));
}

static json_t *info_json(api_call *c, const mien_gallery_info *i)
{
    json_t *j = json_pack(
        "{s:s,s:s,s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:s,s:s,s:o,s:o,s:I,s:s,s:I,s:s}", "name", c->collection, "id",
        i->id, "encrypted", i->encrypted, "sequence", (json_int_t)i->sequence, "people",
        (json_int_t)i->n_people, "faces", (json_int_t)i->n_faces, "images", (json_int_t)i->n_images,
        "expired", (json_int_t)i->n_expired, "do_not_enrol", (json_int_t)i->n_do_not_enrol, "model",
        i->model_name, "fingerprint", i->model, "created_ms", time_json(i->created_ms), "changed_ms",
        time_json(i->changed_ms), "file_bytes", (json_int_t)i->file_bytes, "purpose", i->purpose,
        "audit_entries", (json_int_t)i->audit_entries, "audit_head", i->audit_head);
    return j;
}

static void answer_collection(api_call *c, int status)
{
    mien_gallery_info info;
    mien_error err = MIEN_ERROR_INIT;
    mien_gallery *g = collection_of(c);
    if (!g)
        return;
    if (mien_gallery_info_of(g, &info, &err))
        api_fail_status(c, &err);
    else {
        json_t *j = info_json(c, &info);
        json_object_set_new(j, "retention_days", json_integer(collection_retention(g)));
        api_ok(c, status, j);
    }
}

static void run_collection(api_call *c)
{
    if (api_own_collection(c, c->params[0]))
        answer_collection(c, 200);
}

static void run_make_collection(api_call *c)
{
    mien_error err = MIEN_ERROR_INIT;
    const char *name = api_text(c, "name"), *purpose = api_text(c, "purpose");
    if (!name)
        api_fail(c, 400, "BAD_ARGUMENT", "a name is missing");
    else if (api_own_collection(c, name)) {
        if (collection_make(c->server, name, purpose ? purpose : "", &err))
            api_fail_status(c, &err);
        else
            answer_collection(c, 201);
    }
}

static void run_edit_collection(api_call *c)
{
    int64_t days = 0;
    mien_error err = MIEN_ERROR_INIT;
    mien_gallery *g = NULL;
    if (!api_own_collection(c, c->params[0]) || !api_arg_int(c, "retention_days", 0, MAX_RETENTION_DAYS, -1, &days) ||
        !(g = collection_of(c)))
        return;
    if (days >= 0 && collection_set_retention(g, days, &err))
        api_fail_status(c, &err);
    else
        answer_collection(c, 200);
}

static void run_remove_collection(api_call *c)
{
    mien_error err = MIEN_ERROR_INIT;
    if (!api_own_collection(c, c->params[0]))
        return;
    if (collection_remove(c->server, c->params[0], &err))
        api_fail_status(c, &err);
    else
        api_ok(c, 204, NULL);
}

/* ---- audit ---- */

static int add_entry(void *user, const mien_audit_entry *e)
{
    json_t *detail = json_loads(e->detail, JSON_DECODE_ANY, NULL);
    json_array_append_new(user, json_pack("{s:I,s:I,s:s,s:s,s:s,s:o,s:s}", "number", (json_int_t)e->number,
                                          "time_ms", (json_int_t)e->time_ms, "actor", e->actor, "action",
                                          e->action, "subject", e->subject, "detail",
                                          detail ? detail : json_string(e->detail), "hash", e->hash));
    return 0;
}

static void run_audit(api_call *c)
{
    int64_t after = 0, limit = 0;
    mien_gallery *g = NULL;
    mien_error err = MIEN_ERROR_INIT;
    if (!api_arg_int(c, "after", 0, INT64_MAX, 0, &after) || !api_arg_int(c, "limit", 1, 1000, 100, &limit) ||
        !(g = collection_of(c)))
        return;
    json_t *list = json_array();
    if (mien_gallery_audit(g, (uint64_t)after, (size_t)limit, add_entry, list, &err)) {
        json_decref(list);
        api_fail_status(c, &err);
    } else {
        api_ok(c, 200, json_pack("{s:o}", "entries", list));
    }
}

/* ---- keys ---- */

static json_t *key_json(const key_info *k)
{
    char scopes[64];
    key_scopes_text(k->scopes, scopes, sizeof scopes);
    return json_pack("{s:I,s:s,s:s,s:s,s:b,s:o,s:o,s:o}", "id", (json_int_t)k->id, "name", k->name, "scopes",
                     scopes, "collection", k->collection, "nearest", k->nearest, "created_ms",
                     time_json(k->created_ms), "expires_ms", time_json(k->expires_ms), "used_ms",
                     time_json(k->used_ms));
}

static void add_key(void *ctx, const key_info *k)
{
    json_array_append_new(ctx, key_json(k));
}

/* Keys are the whole server's: one that belongs to a collection does not administer them. */
static bool administers(api_call *c)
{
    if (!c->key.collection[0])
        return true;
    api_fail(c, 403, "NOT_ALLOWED", "this key belongs to one collection");
    return false;
}

static void run_keys(api_call *c)
{
    json_t *list = json_array();
    if (administers(c) && keys_each(c->server->keys, add_key, list))
        api_ok(c, 200, json_pack("{s:O}", "keys", list));
    else if (!http_reply_status(c->reply))
        api_fail(c, 503, "STORAGE", "the keys could not be read");
    json_decref(list);
}

static void run_make_key(api_call *c)
{
    key_info what = { 0 };
    char token[KEY_TOKEN_BYTES];
    const char *name = api_text(c, "name"), *scopes = api_text(c, "scopes"),
               *owner = api_text(c, "collection");
    if (!administers(c) || !api_arg_int(c, "expires_ms", 0, INT64_MAX / 2, 0, &what.expires_ms))
        return;
    if (c->once[0]) {
        api_fail(c, 400, "BAD_ARGUMENT", "a key's token is shown once and kept nowhere: no Idempotency-Key here");
        return;
    }
    what.scopes = scopes ? key_scopes_of(scopes) : 0;
    what.nearest = json_is_true(json_object_get(c->json, "nearest"));
    if (!name || !*name || strlen(name) >= sizeof what.name || !what.scopes ||
        (owner && strlen(owner) >= sizeof what.collection)) {
        api_fail(c, 400, "BAD_ARGUMENT",
                 "a key has a name and scopes: read, recognise, enrol, admin, parted by commas");
        return;
    }
    snprintf(what.name, sizeof what.name, "%s", name);
    snprintf(what.collection, sizeof what.collection, "%s", owner ? owner : "");
    if (!keys_make(c->server->keys, &what, token, &what.id)) {
        api_fail(c, 503, "STORAGE", "the key could not be stored");
        return;
    }
    what.created_ms = keys_now_ms();
    json_t *j = key_json(&what);
    json_object_set_new(j, "token", json_string(token));
    sodium_memzero(token, sizeof token);
    api_ok(c, 201, j);
}

static void run_revoke_key(api_call *c)
{
    int64_t id = 0;
    if (!administers(c) || !api_param_id(c, 0, &id))
        return;
    if (!keys_revoke(c->server->keys, id)) {
        api_fail(c, 404, "NOT_FOUND", "there is no such key");
        return;
    }
    http_wake_streams(c->server->http); /* those of this key end */
    api_ok(c, 204, NULL);
}

/* ---- models ---- */

/* At which similarity which fraction of strangers is taken for the same person. */
static json_t *calibration_json(const mien_curve *curve)
{
    json_t *list = json_array();
    const mien_curve_info *i = curve ? mien_curve_info_of(curve) : NULL;
    for (size_t k = 0; i && k < i->n_points; k++)
        json_array_append_new(list, json_pack("{s:f,s:o}", "fmr", i->points[k].fmr.value, "threshold",
                                              rounded(i->points[k].threshold, 6)));
    return list;
}

static json_t *model_json(const mien_model *m, const char *use, const mien_curve *curve)
{
    const mien_model_info *i = mien_model_info_of(m);
    char print[65];
    if (mien_model_fingerprint(m, print, NULL))
        print[0] = 0;
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:i,s:f,s:s,s:o}", "name", i->name, "use", use,
                     "description", i->description, "licence", i->licence, "training_data", i->training_data,
                     "source", i->source, "fingerprint", print, "parameters", (json_int_t)i->n_params,
                     "embedding", i->embedding_len, "default_fmr", i->default_fmr, "protocol", i->protocol,
                     "calibration", calibration_json(curve));
}

static void run_models(api_call *c)
{
    json_t *all = json_array();
    json_array_append_new(all, model_json(c->server->detect, "detect", NULL));
    json_array_append_new(all, model_json(c->server->embed, "embed", c->server->curve));
    json_t *known = json_array();
    for (size_t i = 0; mien_registry_at(i); i++) {
        const mien_registry_entry *e = mien_registry_at(i);
        json_array_append_new(known, json_pack("{s:s,s:s,s:s,s:s,s:s}", "name", e->name, "licence",
                                               e->licence, "training_data", e->training_data, "description",
                                               e->description, "use", e->use));
    }
    api_ok(c, 200, json_pack("{s:o,s:o}", "models", all, "known", known));
}

const api_route api_system[] = {
    { "GET", "/v1/health", API_OPEN, 0, HTTP_LIGHT, 0, run_health },
    { "POST", "/v1/session", API_OPEN, 0, HTTP_LIGHT, 4096, run_login },
    { "GET", "/v1/session", API_KEY, 0, HTTP_LIGHT, 0, run_who },
    { "DELETE", "/v1/session", API_KEY, 0, HTTP_LIGHT, 0, run_logout },
    { "GET", "/metrics", API_KEY, KEY_READ, HTTP_LIGHT, 0, run_metrics },
    { "GET", "/v1/collections", API_KEY, KEY_READ, HTTP_LIGHT, 0, run_collections },
    { "POST", "/v1/collections", API_KEY, KEY_ADMIN, HTTP_LIGHT, SMALL, run_make_collection },
    { "GET", "/v1/collections/{name}", API_KEY, KEY_READ, HTTP_LIGHT, 0, run_collection },
    { "PATCH", "/v1/collections/{name}", API_KEY, KEY_ADMIN, HTTP_LIGHT, SMALL, run_edit_collection },
    { "DELETE", "/v1/collections/{name}", API_KEY, KEY_ADMIN, HTTP_LIGHT, SMALL, run_remove_collection },
    { "GET", "/v1/audit", API_KEY, KEY_ADMIN, HTTP_LIGHT, 0, run_audit },
    { "GET", "/v1/keys", API_KEY, KEY_ADMIN, HTTP_LIGHT, 0, run_keys },
    { "POST", "/v1/keys", API_KEY, KEY_ADMIN, HTTP_LIGHT, SMALL, run_make_key },
    { "DELETE", "/v1/keys/{key}", API_KEY, KEY_ADMIN, HTTP_LIGHT, SMALL, run_revoke_key },
    { "GET", "/v1/models", API_KEY, KEY_READ, HTTP_LIGHT, 0, run_models },
    { 0 },
};
