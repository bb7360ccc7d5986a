/* People and their faces: listing, editing, merging, splitting, removing. Every change is the
 * gallery's own transaction and an entry of its audit chain, under the name of the key that asked. */
#include "enrol.h"
#include "see.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 50, MAX_PAGE = 500 };

/* ---- JSON ---- */

json_t *time_json(int64_t ms)
{
    return ms ? json_integer(ms) : json_null();
}

static json_t *consent_json(const mien_consent *k)
{
    return json_pack("{s:s,s:s,s:o,s:o}", "purpose", k->purpose ? k->purpose : "", "basis",
                     k->basis ? k->basis : "", "given_ms", time_json(k->given_ms), "expires_ms",
                     time_json(k->expires_ms));
}

json_t *person_json(const mien_person *p)
{
    return json_pack("{s:I,s:s,s:s,s:I,s:I,s:o,s:o,s:o,s:b,s:o}", "id", (json_int_t)p->id, "name", p->name,
                     "note", p->note, "faces", (json_int_t)p->n_faces, "images", (json_int_t)p->n_images,
                     "created_ms", time_json(p->created_ms), "changed_ms", time_json(p->changed_ms),
                     "seen_ms", time_json(p->seen_ms), "expired", p->expired, "consent",
                     consent_json(&p->consent));
}

static json_t *face_json(const mien_gallery_face *f)
{
    return json_pack("{s:I,s:I,s:s,s:o,s:b,s:b,s:o,s:o}", "id", (json_int_t)f->id, "person",
                     (json_int_t)f->person, "source", f->source, "created_ms", time_json(f->created_ms),
                     "has_image", f->has_image, "outlier", f->outlier, "fit", rounded(f->fit, 3), "quality",
                     quality_json(&f->quality));
}

static int add_person(void *user, const mien_person *p)
{
    json_array_append_new(user, person_json(p));
    return 0;
}

static int add_face(void *user, const mien_gallery_face *f)
{
    json_array_append_new(user, face_json(f));
    return 0;
}

/* A weak ETag of the gallery's state: any change makes a new one. */
static bool not_modified(api_call *c, mien_gallery *g)
{
    mien_gallery_info info;
    char tag[80];
    if (mien_gallery_info_of(g, &info, NULL))
        return false;
    snprintf(tag, sizeof tag, "W/\"%.12s-%llu\"", info.id, (unsigned long long)info.sequence);
    http_reply_header(c->reply, "ETag", tag);
    const char *known = http_header(c->http, "If-None-Match");
    if (!known || strcmp(known, tag) != 0)
        return false;
    http_reply_take(c->reply, 304, NULL, NULL, 0, NULL);
    return true;
}

/* ---- reading ---- */

static void run_list(api_call *c)
{
    int64_t limit = PAGE, after = 0;
    mien_error err = MIEN_ERROR_INIT;
    mien_gallery *g = NULL;
    const char *match = http_query(c->http, "match");
    if (!api_arg_int(c, "limit", 1, MAX_PAGE, PAGE, &limit) ||
        !api_arg_int(c, "after", 0, INT64_MAX, 0, &after) || !(g = collection_of(c)) || not_modified(c, g))
        return;
    json_t *list = json_array();
    if (mien_gallery_people(g, match, after, (size_t)limit, add_person, list, &err)) {
        json_decref(list);
        api_fail_status(c, &err);
        return;
    }
    const json_t *last = json_array_get(list, json_array_size(list) - 1);
    json_t *next =
        json_array_size(list) == (size_t)limit ? json_incref(json_object_get(last, "id")) : json_null();
    api_ok(c, 200, json_pack("{s:o,s:o}", "people", list, "next", next));
}

static void answer_person(api_call *c, mien_gallery *g, int64_t id, int status)
{
    mien_error err = MIEN_ERROR_INIT;
    json_t *one = json_array(), *faces = json_array();
    if (mien_gallery_person(g, id, add_person, one, &err) ||
        mien_gallery_faces(g, id, add_face, faces, &err)) {
        json_decref(faces);
        api_fail_status(c, &err);
    } else {
        json_t *person = json_incref(json_array_get(one, 0));
        json_object_set_new(person, "face_list", faces);
        api_ok(c, status, person);
    }
    json_decref(one);
}

static void run_show(api_call *c)
{
    int64_t id = 0;
    mien_gallery *g = NULL;
    if (api_param_id(c, 0, &id) && (g = collection_of(c)) && !not_modified(c, g))
        answer_person(c, g, id, 200);
}

static void run_image(api_call *c)
{
    int64_t id = 0;
    mien_gallery *g = NULL;
    uint8_t *data = NULL;
    size_t n = 0;
    mien_error err = MIEN_ERROR_INIT;
    if (!api_param_id(c, 0, &id) || !(g = collection_of(c)))
        return;
    if (mien_gallery_image(g, id, &data, &n, &err)) {
        api_fail_status(c, &err);
        return;
    }
    const bool png = n > 4 && !memcmp(data, "\x89PNG", 4);
    http_reply_copy(c->reply, 200, png ? "image/png" : "image/jpeg", data, n);
    mien_image_data_free(data);
}

/* ---- changing ---- */

static void run_edit(api_call *c)
{
    int64_t id = 0;
    mien_gallery *g = NULL;
    mien_consent consent;
    bool any = false;
    mien_error err = MIEN_ERROR_INIT;
    if (!api_param_id(c, 0, &id) || !enrol_consent(c, &consent, &any) || !(g = collection_of(c)))
        return;
    if (mien_gallery_edit(g, id, api_text(c, "name"), api_text(c, "note"), any ? &consent : NULL, &err))
        api_fail_status(c, &err);
    else {
        events_say(c->server, c->collection, "changed", json_pack("{s:I}", "person", (json_int_t)id));
        answer_person(c, g, id, 200);
    }
}

static void run_merge(api_call *c)
{
    int64_t into = 0, from = 0;
    mien_gallery *g = NULL;
    mien_error err = MIEN_ERROR_INIT;
    if (!api_param_id(c, 0, &into) || !api_arg_int(c, "from", 1, INT64_MAX, 0, &from) ||
        !(g = collection_of(c)))
        return;
    if (mien_gallery_merge(g, into, from, &err))
        api_fail_status(c, &err);
    else {
        events_say(c->server, c->collection, "merged",
                   json_pack("{s:I,s:I}", "person", (json_int_t)into, "from", (json_int_t)from));
        answer_person(c, g, into, 200);
    }
}

static void run_split(api_call *c)
{
    int64_t id = 0, made = 0, ids[MAX_PAGE];
    mien_gallery *g = NULL;
    mien_error err = MIEN_ERROR_INIT;
    const char *name = api_text(c, "name");
    const json_t *faces = json_object_get(c->json, "faces");
    const size_t n = json_array_size(faces);
    if (!api_param_id(c, 0, &id))
        return;
    if (!name || n == 0 || n > MAX_PAGE) {
        api_fail(c, 400, "BAD_ARGUMENT", "to split: {\"faces\":[ids],\"name\":\"new name\"}");
        return;
    }
    for (size_t i = 0; i < n; i++)
        ids[i] = json_integer_value(json_array_get(faces, i));
    if (!(g = collection_of(c)))
        return;
    if (mien_gallery_split(g, id, ids, n, name, &made, &err))
        api_fail_status(c, &err);
    else {
        events_say(c->server, c->collection, "split",
                   json_pack("{s:I,s:I}", "person", (json_int_t)made, "from", (json_int_t)id));
        answer_person(c, g, made, 201);
    }
}

static void run_undo(api_call *c)
{
    char what[256];
    mien_gallery *g = collection_of(c);
    mien_error err = MIEN_ERROR_INIT;
    if (!g)
        return;
    if (mien_gallery_undo(g, what, sizeof what, &err))
        api_fail_status(c, &err);
    else
        api_ok(c, 200, json_pack("{s:s}", "undone", what));
}

/* ---- removing ---- */

static void answer_receipt(api_call *c, const mien_receipt *r)
{
    char text[2048];
    mien_error err = MIEN_ERROR_INIT;
    if (mien_receipt_json(r, text, sizeof text, &err))
        api_fail_status(c, &err);
    else
        api_ok(c, 200, json_pack("{s:o}", "receipt", json_loads(text, 0, NULL)));
}

static void run_remove(api_call *c)
{
    int64_t id = 0, never = 0;
    mien_gallery *g = NULL;
    mien_receipt receipt;
    mien_error err = MIEN_ERROR_INIT;
    if (!api_param_id(c, 0, &id) || !api_arg_int(c, "do_not_enrol", 0, 1, 0, &never) ||
        !(g = collection_of(c)))
        return;
    if (mien_gallery_remove(g, id, (int)never, &receipt, &err))
        api_fail_status(c, &err);
    else {
        events_say(c->server, c->collection, "removed", json_pack("{s:I}", "person", (json_int_t)id));
        answer_receipt(c, &receipt);
    }
}

static void run_remove_face(api_call *c)
{
    int64_t id = 0;
    mien_gallery *g = NULL;
    mien_receipt receipt;
    mien_error err = MIEN_ERROR_INIT;
    if (!api_param_id(c, 0, &id) || !(g = collection_of(c)))
        return;
    if (mien_gallery_remove_face(g, id, &receipt, &err))
        api_fail_status(c, &err);
    else {
        events_say(c->server, c->collection, "face_removed", json_pack("{s:I}", "face", (json_int_t)id));
        answer_receipt(c, &receipt);
    }
}

static int add_receipt(void *user, const mien_receipt *r)
{
    char text[2048];
    if (mien_receipt_json(r, text, sizeof text, NULL) == MIEN_OK)
        json_array_append_new(user, json_loads(text, 0, NULL));
    return 0;
}

static void run_expire(api_call *c)
{
    size_t n = 0;
    mien_error err = MIEN_ERROR_INIT;
    mien_gallery *g = collection_of(c);
    json_t *list = json_array();
    if (g && mien_gallery_expire(g, add_receipt, list, &n, &err))
        api_fail_status(c, &err);
    else if (g)
        api_ok(c, 200, json_pack("{s:I,s:O}", "removed", (json_int_t)n, "receipts", list));
    json_decref(list);
}

enum { SMALL = 1 << 20 };
const api_route api_people[] = {
    { "GET", "/v1/people", API_KEY, KEY_READ, HTTP_LIGHT, 0, run_list },
    { "POST", "/v1/people/undo", API_KEY, KEY_ENROL, HTTP_LIGHT, SMALL, run_undo },
    { "POST", "/v1/people/expire", API_KEY, KEY_ADMIN, HTTP_LIGHT, SMALL, run_expire },
    { "GET", "/v1/people/{person}", API_KEY, KEY_READ, HTTP_LIGHT, 0, run_show },
    { "PATCH", "/v1/people/{person}", API_KEY, KEY_ENROL, HTTP_LIGHT, SMALL, run_edit },
    { "DELETE", "/v1/people/{person}", API_KEY, KEY_ENROL, HTTP_LIGHT, SMALL, run_remove },
    { "POST", "/v1/people/{person}/merge", API_KEY, KEY_ENROL, HTTP_LIGHT, SMALL, run_merge },
    { "POST", "/v1/people/{person}/split", API_KEY, KEY_ENROL, HTTP_LIGHT, SMALL, run_split },
    { "DELETE", "/v1/faces/{face}", API_KEY, KEY_ENROL, HTTP_LIGHT, SMALL, run_remove_face },
    { "GET", "/v1/faces/{face}/image", API_KEY, KEY_READ, HTTP_LIGHT, 0, run_image },
    { 0 },
};
