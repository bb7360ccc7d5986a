/* People and their faces: listing, enrolling, editing, merging, splitting, removing. Every change is the
 * gallery's own transaction and an entry of its audit chain, under the name of the key that asked. */
#include "see.h"
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 50, MAX_PAGE = 500, MAX_PICTURES = 20 };

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

/* ---- consent ---- */

/* The consent that the call carries; *ret_any false when it carries none. Texts are lent by the call. */
static bool read_consent(api_call *c, mien_consent *ret, bool *ret_any)
{
    const json_t *k = json_object_get(c->json, "consent");
    *ret = (mien_consent){ "", "", keys_now_ms(), 0 };
    *ret_any = false;
    const char *const names[2] = { "purpose", "basis" };
    const char **const to[2] = { &ret->purpose, &ret->basis };
    for (int i = 0; i < 2; i++) {
        const char *s = k ? json_string_value(json_object_get(k, names[i])) : api_text(c, names[i]);
        if (s)
            *to[i] = s, *ret_any = true;
    }
    const json_t *at = json_object_get(k, "expires_ms");
    if (json_is_integer(at))
        ret->expires_ms = json_integer_value(at), *ret_any = true;
    else if (!k && api_text(c, "expires_ms")) {
        if (!api_arg_int(c, "expires_ms", 0, INT64_MAX / 2, 0, &ret->expires_ms))
            return false;
        *ret_any = true;
    }
    const json_t *given = json_object_get(k, "given_ms");
    if (json_is_integer(given))
        ret->given_ms = json_integer_value(given);
    return true;
}

/* Whether the call names a day, or 0 for never: the collection's own then does not hold. */
static bool says_expiry(api_call *c)
{
    const json_t *k = json_object_get(c->json, "consent");
    return json_is_integer(json_object_get(k ? k : c->json, "expires_ms")) || (!k && api_text(c, "expires_ms"));
}

/* ---- enrolling ---- */

typedef struct picture {
    const char *field;
    seen seen;
    float *vec;
    mien_quality quality;
    uint8_t digest[32];
    mien_reason reason;
} picture;

static void free_pictures(const api_call *c, picture *all, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        seen_free(&all[i].seen);
        free_vec(c, all[i].vec);
    }
    free(all);
}

/* Look at one picture: everything that can be said against it without the gallery. false: answered. */
static bool look(api_call *c, picture *p, bool force)
{
    mien_error err = MIEN_ERROR_INIT;
    if (!see(c, p->field, 0, &p->seen))
        return false;
    crypto_generichash(p->digest, sizeof p->digest, p->seen.data, p->seen.bytes, NULL, 0);
    p->reason = p->seen.n == 0            ? MIEN_REASON_NO_FACE
                : p->seen.n > 1 && !force ? MIEN_REASON_MANY_FACES
                                          : MIEN_REASON_NONE;
    if (p->seen.n == 0)
        return true;
    if (seen_quality(&p->seen, 0, &p->quality, &err)) {
        api_fail_status(c, &err);
        return false;
    }
    if (!p->reason && !force)
        p->reason = mien_quality_reason(&p->quality, NULL);
    return p->reason || (p->vec = seen_embed(c, &p->seen, 0)) != NULL;
}

/* Fields file, file1, file2, ... */
static size_t list_pictures(api_call *c, picture **ret)
{
    static const char *const names[MAX_PICTURES] = { "file",   "file1",  "file2",  "file3",  "file4",
                                                     "file5",  "file6",  "file7",  "file8",  "file9",
                                                     "file10", "file11", "file12", "file13", "file14",
                                                     "file15", "file16", "file17", "file18", "file19" };
    size_t n = 0;
    *ret = calloc(MAX_PICTURES, sizeof **ret);
    for (int i = 0; *ret && i < MAX_PICTURES; i++)
        if (see_has(c, names[i]))
            (*ret)[n++].field = names[i];
    return n;
}

/* What faces are judged by: one stranger in a hundred may look like somebody else of the gallery. */
static mien_status judge_by(api_call *c, mien_gallery *g, size_t n, double *ret_other, double *ret_unlike,
                            mien_error *err)
{
    mien_gallery_info info;
    const mien_status st = mien_gallery_info_of(g, &info, err);
    if (st)
        return st;
    mien_search_size size = mien_search_size_of(&info);
    size.n_people += n; /* at most so many more */
    return mien_curve_enrolment(collection_curve(c), &size, 0.01, ret_other, ret_unlike, err);
}

static json_t *outcome_json(const picture *p, const mien_enrolled *e)
{
    json_t *one =
        json_pack("{s:s,s:b,s:s,s:s}", "picture", p->field, "enrolled", e->reason == MIEN_REASON_NONE,
                  "reason", mien_reason_name(e->reason), "text", mien_reason_text(e->reason));
    if (p->seen.n) {
        json_object_set_new(one, "face", seen_json(&p->seen, 0));
        json_object_set_new(one, "quality", quality_json(&p->quality));
    }
    if (e->reason == MIEN_REASON_NONE)
        json_object_set_new(one, "id", json_integer(e->face));
    if (e->other) {
        json_object_set_new(one, "other_person", json_integer(e->other));
        json_object_set_new(one, "similarity", rounded(e->similarity, 3));
    }
    return one;
}

typedef struct enrol_plan {
    int64_t person; /* 0: by name */
    const char *name;
    mien_consent consent;
    bool has_consent, force, keep;
} enrol_plan;

static bool read_plan(api_call *c, enrol_plan *plan)
{
    int64_t force = 0, keep = 0;
    if (!read_consent(c, &plan->consent, &plan->has_consent) || !api_arg_int(c, "force", 0, 1, 0, &force) ||
        !api_arg_int(c, "keep_images", 0, 1, 0, &keep))
        return false;
    plan->force = force;
    plan->keep = keep;
    return true;
}

/* Enrol what passed; outcomes for all in order. */
static mien_status enrol_all(api_call *c, mien_gallery *g, const enrol_plan *plan, picture *all, size_t n,
                             mien_enrolled *outcomes, mien_error *err)
{
    mien_enrolment items[MAX_PICTURES];
    mien_enrolled got[MAX_PICTURES];
    size_t at[MAX_PICTURES], m = 0;
    double other = 2, unlike = -2;
    mien_status st = judge_by(c, g, n, &other, &unlike, err);
    if (st)
        return st;
    for (size_t i = 0; i < n; i++) {
        outcomes[i] = (mien_enrolled){ .person = plan->person, .reason = all[i].reason };
        if (all[i].reason)
            continue;
        items[m] = (mien_enrolment)MIEN_ENROLMENT_INIT;
        items[m].person = plan->person;
        items[m].name = plan->name;
        items[m].vec = all[i].vec;
        items[m].face = seen_face(&all[i].seen, 0);
        items[m].quality = all[i].quality;
        items[m].source = all[i].seen.name;
        items[m].image = plan->keep ? all[i].seen.data : NULL;
        items[m].image_bytes = plan->keep ? all[i].seen.bytes : 0;
        items[m].image_digest = all[i].digest;
        items[m].consent = plan->has_consent ? &plan->consent : NULL;
        items[m].other_threshold = other;
        items[m].unlike_threshold = unlike;
        items[m].force = plan->force;
        at[m++] = i;
    }
    st = m ? mien_gallery_enrol(g, items, m, got, err) : MIEN_OK;
    for (size_t k = 0; !st && k < m; k++)
        outcomes[at[k]] = got[k];
    return st;
}

static void enrol(api_call *c, enrol_plan *plan)
{
    mien_gallery *g = NULL;
    picture *all = NULL;
    mien_enrolled outcomes[MAX_PICTURES];
    mien_error err = MIEN_ERROR_INIT;
    if (!read_plan(c, plan) || !(g = collection_of(c)))
        return;
    if (plan->name && !says_expiry(c) && collection_expiry(g, plan->name, &plan->consent))
        plan->has_consent = true;
    const size_t n = list_pictures(c, &all);
    size_t enrolled = 0;
    if (n == 0)
        api_fail(c, 400, "NO_PICTURE",
                 "no picture: send the form fields file, file1, ... or JSON members with base64");
    for (size_t i = 0; i < n; i++)
        if (!look(c, &all[i], plan->force))
            goto done;
    if (n == 0)
        goto done;
    if (enrol_all(c, g, plan, all, n, outcomes, &err)) {
        api_fail_status(c, &err);
        goto done;
    }
    json_t *list = json_array();
    int64_t person = plan->person;
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(list, outcome_json(&all[i], &outcomes[i]));
        if (!outcomes[i].reason)
            enrolled++, person = outcomes[i].person;
    }
    if (enrolled == 0)
        api_fail_with(c, 422, mien_reason_name(outcomes[0].reason), json_pack("{s:o}", "pictures", list),
                      "nothing was enrolled: %s", mien_reason_text(outcomes[0].reason));
    else {
        events_say(c->server, c->collection, "enrolled",
                   json_pack("{s:I,s:I}", "person", (json_int_t)person, "faces", (json_int_t)enrolled));
        api_ok(c, 201,
               json_pack("{s:I,s:I,s:o}", "person", (json_int_t)person, "enrolled", (json_int_t)enrolled,
                         "pictures", list));
    }
done:
    free_pictures(c, all, n);
}

static void run_enrol(api_call *c)
{
    enrol_plan plan = { .name = api_text(c, "name") };
    if (!plan.name || !plan.name[0])
        api_fail(c, 400, "BAD_ARGUMENT", "a name is missing");
    else
        enrol(c, &plan);
}

static void run_enrol_more(api_call *c)
{
    enrol_plan plan = { 0 };
    if (api_param_id(c, 0, &plan.person))
        enrol(c, &plan);
}

/* ---- changing ---- */

static void run_edit(api_call *c)
{
    int64_t id = 0;
    mien_gallery *g = NULL;
    mien_consent consent;
    bool any = false;
    mien_error err = MIEN_ERROR_INIT;
    if (!api_param_id(c, 0, &id) || !read_consent(c, &consent, &any) || !(g = collection_of(c)))
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
    { "POST", "/v1/people", API_KEY, KEY_ENROL, HTTP_HEAVY, API_MAX_BODY, run_enrol },
    { "POST", "/v1/people/undo", API_KEY, KEY_ENROL, HTTP_LIGHT, SMALL, run_undo },
    { "POST", "/v1/people/expire", API_KEY, KEY_ADMIN, HTTP_LIGHT, SMALL, run_expire },
    { "GET", "/v1/people/{person}", API_KEY, KEY_READ, HTTP_LIGHT, 0, run_show },
    { "PATCH", "/v1/people/{person}", API_KEY, KEY_ENROL, HTTP_LIGHT, SMALL, run_edit },
    { "DELETE", "/v1/people/{person}", API_KEY, KEY_ENROL, HTTP_LIGHT, SMALL, run_remove },
    { "POST", "/v1/people/{person}/faces", API_KEY, KEY_ENROL, HTTP_HEAVY, API_MAX_BODY,
      run_enrol_more },
    { "POST", "/v1/people/{person}/merge", API_KEY, KEY_ENROL, HTTP_LIGHT, SMALL, run_merge },
    { "POST", "/v1/people/{person}/split", API_KEY, KEY_ENROL, HTTP_LIGHT, SMALL, run_split },
    { "DELETE", "/v1/faces/{face}", API_KEY, KEY_ENROL, HTTP_LIGHT, SMALL, run_remove_face },
    { "GET", "/v1/faces/{face}/image", API_KEY, KEY_READ, HTTP_LIGHT, 0, run_image },
    { 0 },
};
