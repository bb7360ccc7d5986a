/* CompreFace's subjects and faces over our galleries: subjects are people, saved images are faces. A person of ours has a face, so a
 * subject without one is a name in a text of the gallery until its first face comes. */
#include "compat.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PAGE = 1000 };

/* ---- identifiers: our numbers in the shape of theirs ---- */

static void id_text(int64_t id, char ret[40])
{
    snprintf(ret, 40, "00000000-0000-4000-8000-%012llx", (unsigned long long)id);
}

static int64_t id_of(const char *text)
{
    static const char head[] = "00000000-0000-4000-8000-";
    char *end = NULL;
    if (strncmp(text, head, sizeof head - 1) != 0)
        return 0;
    const long long id = strtoll(text + sizeof head - 1, &end, 16);
    return end && !*end ? id : 0;
}

bool compat_image_param(api_call *c, int index, int64_t *ret)
{
    *ret = id_of(c->params[index]);
    if (*ret > 0)
        return true;
    api_fail(c, 404, "NOT_FOUND", "Image with id %s not found", c->params[index]);
    return false;
}

/* ---- subjects ---- */

static int add_name(void *user, const mien_person *p)
{
    json_array_append_new(user, json_string(p->name));
    return 0;
}

static int keep_name(void *user, const mien_person *p)
{
    json_t **name = user;
    *name = json_string(p->name);
    return 0;
}

/* New reference; "" when the person has just gone. */
json_t *compat_name_of(mien_gallery *g, int64_t person)
{
    json_t *name = NULL;
    if (mien_gallery_person(g, person, keep_name, &name, NULL) || !name)
        name = json_string("");
    return name;
}

static bool find_subject(api_call *c, mien_gallery *g, const char *name, int64_t *ret)
{
    mien_error err = MIEN_ERROR_INIT;
    if (!mien_gallery_find(g, name, ret, &err))
        return true;
    if (err.status == MIEN_E_NOT_FOUND)
        api_fail(c, 404, "NOT_FOUND", "Subject %s not found", name);
    else
        api_fail_status(c, &err);
    return false;
}

/* Our people have a face; a subject that has none yet is a name in a text of the gallery until its first face
 * comes. */
static json_t *faceless(mien_gallery *g)
{
    char *text = NULL;
    json_t *names = mien_gallery_text(g, "compreface.subjects", &text, NULL) == MIEN_OK
                        ? json_loads(text, 0, NULL)
                        : NULL;
    mien_text_free(text);
    if (json_is_array(names))
        return names;
    json_decref(names);
    return json_array();
}

static bool is_faceless(mien_gallery *g, const char *name)
{
    json_t *names = faceless(g);
    bool found = false;
    for (size_t i = 0; !found && i < json_array_size(names); i++)
        found = !strcmp(json_string_value(json_array_get(names, i)), name);
    json_decref(names);
    return found;
}

/* Add or drop one; the rest stays. */
static mien_status set_faceless(mien_gallery *g, const char *name, bool there, bool *ret_was, mien_error *err)
{
    json_t *names = faceless(g);
    *ret_was = false;
    for (size_t i = json_array_size(names); i-- > 0;)
        if (!strcmp(json_string_value(json_array_get(names, i)), name)) {
            *ret_was = true;
            json_array_remove(names, i);
        }
    mien_status st = MIEN_OK;
    if (there || *ret_was) {
        if (there)
            json_array_append_new(names, json_string(name));
        char *text = json_dumps(names, JSON_COMPACT);
        st = text ? mien_gallery_set_text(g, "compreface.subjects", text, err) : MIEN_E_NOMEM;
        free(text);
    }
    json_decref(names);
    return st;
}

static void run_subjects(api_call *c)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_gallery *g = collection_of(c);
    json_t *list = json_array();
    if (g && mien_gallery_people(g, NULL, 0, 0, add_name, list, &err)) {
        api_fail_status(c, &err);
    } else if (g) {
        json_t *more = faceless(g);
        json_array_extend(list, more);
        json_decref(more);
        api_ok(c, 200, json_pack("{s:O}", "subjects", list));
    }
    json_decref(list);
}

static void run_add_subject(api_call *c)
{
    int64_t id = 0;
    bool was = false;
    mien_error err = MIEN_ERROR_INIT;
    const char *name = api_text(c, "subject");
    mien_gallery *g = collection_of(c);
    if (!g)
        return;
    if (!name || !*name || strlen(name) > 1000)
        api_fail(c, 400, "BAD_ARGUMENT", "subject is missing or too long");
    else if (mien_gallery_find(g, name, &id, NULL) == MIEN_OK || is_faceless(g, name))
        api_fail(c, 400, "EXISTS", "Subject %s already exists", name);
    else if (set_faceless(g, name, true, &was, &err))
        api_fail_status(c, &err);
    else
        api_ok(c, 201, json_pack("{s:s}", "subject", name));
}

static int add_id(void *user, const mien_person *p)
{
    json_array_append_new(user, json_integer(p->id));
    return 0;
}

static void run_delete_subjects(api_call *c)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_receipt receipt;
    size_t n = 0;
    mien_gallery *g = collection_of(c);
    json_t *ids = json_array();
    if (!g)
        goto done;
    json_t *names = faceless(g);
    const size_t n_names = json_array_size(names);
    json_decref(names);
    mien_status st = mien_gallery_people(g, NULL, 0, 0, add_id, ids, &err);
    if (!st && n_names && !(st = mien_gallery_set_text(g, "compreface.subjects", "[]", &err)))
        n = n_names;
    for (size_t i = 0; !st && i < json_array_size(ids); i++)
        if (!(st = mien_gallery_remove(g, json_integer_value(json_array_get(ids, i)), 0, &receipt, &err)))
            n++;
    if (st)
        api_fail_status(c, &err);
    else
        api_ok(c, 200, json_pack("{s:I}", "deleted", (json_int_t)n));
done:
    json_decref(ids);
}

static void run_rename_subject(api_call *c)
{
    int64_t from = 0, into = 0;
    mien_error err = MIEN_ERROR_INIT;
    const char *name = api_text(c, "subject");
    bool was = false;
    mien_gallery *g = collection_of(c);
    if (!g)
        return;
    if (!name || !*name) {
        api_fail(c, 400, "BAD_ARGUMENT", "subject is missing");
        return;
    }
    bool moved = false;
    if (set_faceless(g, c->params[0], false, &moved, &err) ||
        (moved && set_faceless(g, name, true, &was, &err))) {
        api_fail_status(c, &err);
        return;
    }
    if (moved) {
        api_ok(c, 200, json_pack("{s:b}", "updated", 1));
        return;
    }
    if (!find_subject(c, g, c->params[0], &from))
        return;
    const bool exists = mien_gallery_find(g, name, &into, NULL) == MIEN_OK && into != from;
    if (exists ? mien_gallery_merge(g, into, from, &err) : mien_gallery_edit(g, from, name, NULL, NULL, &err))
        api_fail_status(c, &err);
    else
        api_ok(c, 200, json_pack("{s:b}", "updated", 1));
}

static void run_delete_subject(api_call *c)
{
    int64_t id = 0;
    mien_receipt receipt;
    mien_error err = MIEN_ERROR_INIT;
    bool was = false;
    mien_gallery *g = collection_of(c);
    if (!g)
        return;
    if (set_faceless(g, c->params[0], false, &was, &err)) {
        api_fail_status(c, &err);
        return;
    }
    if (was) {
        api_ok(c, 200, json_pack("{s:s}", "subject", c->params[0]));
        return;
    }
    if (!find_subject(c, g, c->params[0], &id))
        return;
    if (mien_gallery_remove(g, id, 0, &receipt, &err))
        api_fail_status(c, &err);
    else
        api_ok(c, 200, json_pack("{s:s}", "subject", c->params[0]));
}

/* ---- faces ---- */

static void run_add_face(api_call *c)
{
    wishes w;
    seen s = { 0 };
    mien_enrolment item = MIEN_ENROLMENT_INIT;
    mien_enrolled got;
    mien_error err = MIEN_ERROR_INIT;
    float *vec = NULL;
    char id[40];
    const char *name = api_text(c, "subject");
    mien_gallery *g = NULL;
    if (!compat_read_wishes(c, &w) || !(g = collection_of(c)))
        return;
    if (!name || !*name) {
        api_fail(c, 400, "BAD_ARGUMENT", "subject is missing");
        return;
    }
    if (!compat_see_some(c, "file", &w, &s))
        return;
    if (s.n > 1) {
        api_fail(c, 400, "MANY_FACES", "Found more than one face in the given image");
        goto done;
    }
    if (!(vec = seen_embed(c, &s, 0)))
        goto done;
    item.name = name;
    item.vec = vec;
    item.face = seen_face(&s, 0);
    item.source = s.name;
    item.force = 1; /* that interface has no gate: what it is given it takes, but for the do-not-enrol list */
    item.image = s.data;
    item.image_bytes = s.bytes;
    mien_consent consent = { "", "", keys_now_ms(), 0 };
    if (collection_expiry(g, name, &consent))
        item.consent = &consent;
    if (seen_quality(&s, 0, &item.quality, &err) || mien_gallery_enrol(g, &item, 1, &got, &err)) {
        api_fail_status(c, &err);
    } else if (got.reason) {
        api_fail(c, 400, mien_reason_name(got.reason), "%s", mien_reason_text(got.reason));
    } else {
        bool was = false;
        id_text(got.face, id);
        if (set_faceless(g, name, false, &was,
                         &err)) /* a name listed twice is no reason to fail an enrolment */
            err = (mien_error)MIEN_ERROR_INIT;
        api_ok(c, 201, json_pack("{s:s,s:s}", "image_id", id, "subject", name));
    }
done:
    free_vec(c, vec);
    seen_free(&s);
}

typedef struct face_list {
    json_t *all;
    const char *name;
} face_list;

static int list_face(void *user, const mien_gallery_face *f)
{
    face_list *l = user;
    char id[40];
    id_text(f->id, id);
    json_array_append_new(l->all, json_pack("{s:s,s:s}", "image_id", id, "subject", l->name));
    return 0;
}

typedef struct people_list {
    json_t *ids, *names;
} people_list;

static int add_both(void *user, const mien_person *p)
{
    people_list *l = user;
    json_array_append_new(l->ids, json_integer(p->id));
    json_array_append_new(l->names, json_string(p->name));
    return 0;
}

/* All faces, or one subject's, in order; NULL: answered. */
static json_t *all_faces(api_call *c, mien_gallery *g, const char *subject)
{
    people_list people = { json_array(), json_array() };
    mien_error err = MIEN_ERROR_INIT;
    json_t *all = json_array();
    int64_t only = 0;
    mien_status st = MIEN_OK;
    if (subject && mien_gallery_find(g, subject, &only, NULL) == MIEN_OK)
        st = mien_gallery_person(g, only, add_both, &people, &err);
    else if (!subject)
        st = mien_gallery_people(g, NULL, 0, 0, add_both, &people, &err);
    for (size_t i = 0; !st && i < json_array_size(people.ids); i++) {
        face_list l = { all, json_string_value(json_array_get(people.names, i)) };
        st = mien_gallery_faces(g, json_integer_value(json_array_get(people.ids, i)), list_face, &l, &err);
    }
    json_decref(people.ids);
    json_decref(people.names);
    if (!st)
        return all;
    json_decref(all);
    api_fail_status(c, &err);
    return NULL;
}

static void run_faces(api_call *c)
{
    int64_t page = 0, size = 0;
    mien_gallery *g = NULL;
    json_t *all = NULL;
    if (!api_arg_int(c, "page", 0, 1000000000, 0, &page) || !api_arg_int(c, "size", 1, MAX_PAGE, 20, &size) ||
        !(g = collection_of(c)) || !(all = all_faces(c, g, api_text(c, "subject"))))
        return;
    const int64_t total = (int64_t)json_array_size(all);
    json_t *part = json_array();
    for (int64_t i = page * size; i < total && i < (page + 1) * size; i++)
        json_array_append(part, json_array_get(all, (size_t)i));
    api_ok(c, 200,
           json_pack("{s:o,s:I,s:I,s:I,s:I}", "faces", part, "page_number", (json_int_t)page, "page_size",
                     (json_int_t)size, "total_pages", (json_int_t)((total + size - 1) / size),
                     "total_elements", (json_int_t)total));
    json_decref(all);
}

/* Remove faces of a list of {"image_id","subject"}; a person whose last face goes, goes too. false: answered.
 */
static bool remove_faces(api_call *c, mien_gallery *g, const json_t *list)
{
    mien_receipt receipt;
    mien_error err = MIEN_ERROR_INIT;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_object_get(json_array_get(list, i), "image_id"));
        if (mien_gallery_remove_face(g, text ? id_of(text) : 0, &receipt, &err)) {
            api_fail_status(c, &err);
            return false;
        }
    }
    return true;
}

static void run_delete_faces(api_call *c)
{
    mien_gallery *g = collection_of(c);
    json_t *all = g ? all_faces(c, g, api_text(c, "subject")) : NULL;
    if (all && remove_faces(c, g, all))
        api_ok(c, 200, json_pack("{s:I}", "deleted", (json_int_t)json_array_size(all)));
    json_decref(all);
}

typedef struct owner {
    int64_t face, person;
} owner;

static int find_owner(void *user, const mien_gallery_face *f)
{
    owner *o = user;
    if (f->id == o->face)
        o->person = f->person;
    return o->person != 0;
}

/* {"image_id","subject"} of a face; NULL when there is none. */
json_t *compat_described(mien_gallery *g, int64_t face)
{
    char id[40];
    json_t *ids = json_array();
    owner o = { face, 0 };
    if (mien_gallery_people(g, NULL, 0, 0, add_id, ids, NULL) == MIEN_OK)
        for (size_t i = 0; !o.person && i < json_array_size(ids); i++)
            if (mien_gallery_faces(g, json_integer_value(json_array_get(ids, i)), find_owner, &o, NULL))
                break;
    json_decref(ids);
    id_text(face, id);
    return o.person ? json_pack("{s:s,s:o}", "image_id", id, "subject", compat_name_of(g, o.person)) : NULL;
}

static void run_delete_face(api_call *c)
{
    int64_t id = 0;
    mien_receipt receipt;
    mien_error err = MIEN_ERROR_INIT;
    mien_gallery *g = NULL;
    if (!compat_image_param(c, 0, &id) || !(g = collection_of(c)))
        return;
    json_t *what = compat_described(g, id);
    if (!what || mien_gallery_remove_face(g, id, &receipt, &err)) {
        api_fail(c, 404, "NOT_FOUND", "Image with id %s not found", c->params[0]);
        json_decref(what);
    } else {
        api_ok(c, 200, what);
    }
}

/* The body is a bare array of ids. */
static void run_delete_list(api_call *c)
{
    mien_gallery *g = collection_of(c);
    if (!g)
        return;
    if (!json_is_array(c->json)) {
        api_fail(c, 400, "BAD_ARGUMENT", "a list of image ids is expected");
        return;
    }
    json_t *gone = json_array();
    for (size_t i = 0; i < json_array_size(c->json); i++) {
        mien_receipt receipt;
        const char *text = json_string_value(json_array_get(c->json, i));
        const int64_t id = text ? id_of(text) : 0;
        json_t *what = id ? compat_described(g, id) : NULL;
        if (what && mien_gallery_remove_face(g, id, &receipt, NULL) == MIEN_OK)
            json_array_append(gone, what);
        json_decref(what);
    }
    api_ok(c, 200, gone);
}

static void answer_image(api_call *c, int param)
{
    int64_t id = 0;
    uint8_t *data = NULL;
    size_t n = 0;
    mien_error err = MIEN_ERROR_INIT;
    mien_gallery *g = NULL;
    if (!compat_image_param(c, param, &id) || !(g = collection_of(c)))
        return;
    if (mien_gallery_image(g, id, &data, &n, &err)) {
        api_fail_status(c, &err);
        return;
    }
    http_reply_copy(c->reply, 200, n > 4 && !memcmp(data, "\x89PNG", 4) ? "image/png" : "image/jpeg", data,
                    n);
    mien_image_data_free(data);
}

static void run_face_image(api_call *c)
{
    answer_image(c, 0);
}

static void run_static_image(api_call *c)
{
    answer_image(c, 1);
}

const api_route api_compat_people[] = {
    { "GET", COMPAT_RECOGNITION "/subjects", API_COMPAT, KEY_READ, HTTP_LIGHT, 0, run_subjects },
    { "POST", COMPAT_RECOGNITION "/subjects", API_COMPAT, KEY_ENROL, HTTP_LIGHT, COMPAT_SMALL, run_add_subject },
    { "DELETE", COMPAT_RECOGNITION "/subjects", API_COMPAT, KEY_ENROL, HTTP_LIGHT, COMPAT_SMALL, run_delete_subjects },
    { "PUT", COMPAT_RECOGNITION "/subjects/{subject}", API_COMPAT, KEY_ENROL, HTTP_LIGHT, COMPAT_SMALL, run_rename_subject },
    { "DELETE", COMPAT_RECOGNITION "/subjects/{subject}", API_COMPAT, KEY_ENROL, HTTP_LIGHT, COMPAT_SMALL, run_delete_subject },
    { "POST", COMPAT_RECOGNITION "/faces", API_COMPAT, KEY_ENROL, HTTP_HEAVY, API_MAX_BODY, run_add_face },
    { "GET", COMPAT_RECOGNITION "/faces", API_COMPAT, KEY_READ, HTTP_LIGHT, 0, run_faces },
    { "DELETE", COMPAT_RECOGNITION "/faces", API_COMPAT, KEY_ENROL, HTTP_LIGHT, COMPAT_SMALL, run_delete_faces },
    { "POST", COMPAT_RECOGNITION "/faces/delete", API_COMPAT, KEY_ENROL, HTTP_LIGHT, COMPAT_SMALL, run_delete_list },
    { "DELETE", COMPAT_RECOGNITION "/faces/{image_id}", API_COMPAT, KEY_ENROL, HTTP_LIGHT, COMPAT_SMALL, run_delete_face },
    { "GET", COMPAT_RECOGNITION "/faces/{image_id}/img", API_COMPAT, KEY_READ, HTTP_LIGHT, 0, run_face_image },
    { "GET", "/api/v1/static/{api_key}/images/{image_id}", API_LINK, KEY_READ, HTTP_LIGHT, 0,
      run_static_image },
    { 0 },
};
