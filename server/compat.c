/* CompreFace's REST interface over our galleries: subjects are people, saved images are faces.
 * docs/compreface.md lists what differs. A similarity keeps that server's shape, (tanh((c0 - d) c1) + 1) / 2
 * over the Euclidean distance d of unit vectors, with c0 the distance at our calibrated threshold, so that
 * 0.5 is where the decision turns; below it a subject is only named to keys that ask for "nearest subject
 * always".
 */
#include "see.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PREDICTIONS = 50, SMALL = 1 << 20, MAX_PAGE = 1000 };
/* steepness of the curve for embeddings of this kind (that of its mobilefacenet) */
static const double steepness = 5.552089201;

void compat_fail(api_call *c, int status, const char *code, const char *message)
{
    static const struct {
        const char *code, *message;
        int number;
    } known[] = {
        { "NO_FACE", "No face is found in the given image", 28 },
        { "MANY_FACES", "Found more than one face in the given image", 31 },
        { "NO_KEY", NULL, 10 },
        { "NOT_FOUND", NULL, 11 },
        { "NOT_A_PICTURE", NULL, 21 },
        { "FORMAT_NOT_AVAILABLE", NULL, 21 },
        { "BAD_ARGUMENT", NULL, 26 },
        { "NOT_ALLOWED", NULL, 32 },
        { "NO_PICTURE", NULL, 33 },
    };
    int number = 0; /* their "undefined" */
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(code, known[i].code)) {
            number = known[i].number;
            if (known[i].message)
                message = known[i].message;
        }
    api_ok(c, status == 422 ? 400 : status, json_pack("{s:s,s:i}", "message", message, "code", number));
}

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

static bool image_param(api_call *c, int index, int64_t *ret)
{
    *ret = id_of(c->params[index]);
    if (*ret > 0)
        return true;
    api_fail(c, 404, "NOT_FOUND", "Image with id %s not found", c->params[index]);
    return false;
}

/* ---- similarity ---- */

static double threshold_of(api_call *c)
{
    double t = 0; /* always found: an uncalibrated model does not serve */
    const mien_model *m = c->server->embed;
    return mien_model_threshold(m, mien_model_info_of(m)->default_fmr, &t, NULL) ? 1 : t;
}

static double familiar(double cosine, double threshold)
{
    return (tanh((mien_distance_of(threshold) - mien_distance_of(cosine)) * steepness) + 1) / 2;
}

/* The cosine from which on a search in this gallery names somebody. */
static bool search_threshold(api_call *c, mien_gallery *g, double *ret)
{
    mien_gallery_info info;
    mien_search_decision d;
    mien_error err = MIEN_ERROR_INIT;
    const mien_curve *curve = collection_curve(c);
    *ret = threshold_of(c);
    if (mien_gallery_info_of(g, &info, &err)) {
        api_fail_status(c, &err);
        return false;
    }
    const double pictures = info.n_people ? (double)info.n_faces / (double)info.n_people : 1;
    const mien_search_size size = { info.n_people, pictures < 1 ? 1 : pictures };
    if (curve && info.n_people && mien_curve_decide(curve, -1, &size, 0.01, &d, &err) == MIEN_OK)
        *ret = d.threshold;
    return true;
}

/* ---- a face as they write it ---- */

typedef struct wishes {
    int64_t limit, predictions, status;
    double probability;
    bool landmarks, embedding, pose;
} wishes;

static bool read_wishes(api_call *c, wishes *w)
{
    const char *plugins = api_text(c, "face_plugins"), *status = api_text(c, "status");
    *w = (wishes){ 0 };
    if (!api_arg_int(c, "limit", 0, 1000, 0, &w->limit) ||
        !api_arg_int(c, "prediction_count", 1, MAX_PREDICTIONS, 1, &w->predictions) ||
        !api_arg_real(c, "det_prob_threshold", 0, 1, 0, &w->probability))
        return false;
    w->status = status && !strcmp(status, "true");
    w->landmarks = plugins && strstr(plugins, "landmarks");
    w->embedding = plugins && strstr(plugins, "calculator");
    w->pose = plugins && strstr(plugins, "pose");
    return true;
}

static json_t *box_json(const seen *s, size_t i)
{
    const mien_face f = seen_face(s, i);
    return json_pack("{s:f,s:i,s:i,s:i,s:i}", "probability", (double)f.score, "x_max", (int)lrintf(f.x1),
                     "y_max", (int)lrintf(f.y1), "x_min", (int)lrintf(f.x0), "y_min", (int)lrintf(f.y0));
}

static void add_plugins(api_call *c, json_t *face, const seen *s, size_t i, const wishes *w, const float *vec)
{
    const mien_face f = seen_face(s, i);
    mien_quality q;
    if (w->landmarks) {
        json_t *marks = json_array();
        for (int k = 0; k < MIEN_LANDMARKS; k++)
            json_array_append_new(
                marks, json_pack("[i,i]", (int)lrintf(f.landmarks[k][0]), (int)lrintf(f.landmarks[k][1])));
        json_object_set_new(face, "landmarks", marks);
    }
    if (w->pose && seen_quality(s, i, &q, NULL) == MIEN_OK)
        json_object_set_new(face, "pose",
                            json_pack("{s:f,s:f,s:f}", "pitch", (double)q.pitch_deg, "roll",
                                      (double)q.roll_deg, "yaw", (double)q.yaw_deg));
    if (w->embedding && vec) {
        json_t *list = json_array();
        for (int k = 0; k < mien_model_info_of(c->server->embed)->embedding_len; k++)
            json_array_append_new(list, json_real((double)vec[k]));
        json_object_set_new(face, "embedding", list);
    }
    if (w->status)
        json_object_set_new(face, "execution_time",
                            json_pack("{s:i,s:i}", "detector", (int)http_age_ms(c->http), "calculator", 0));
}

static void answer_result(api_call *c, json_t *result, const wishes *w)
{
    json_t *body = json_pack("{s:o}", "result", result);
    if (w->status)
        json_object_set_new(body, "plugins_versions",
                            json_pack("{s:s,s:s}", "detector", mien_model_info_of(c->server->detect)->name,
                                      "calculator", mien_model_info_of(c->server->embed)->name));
    api_ok(c, 200, body);
}

/* See a picture; none of its faces is their error 28. */
static bool see_some(api_call *c, const char *field, const wishes *w, seen *ret)
{
    if (!see(c, field, w->limit, ret))
        return false;
    size_t n = 0;
    for (size_t i = 0; i < ret->n; i++)
        if ((double)ret->faces[i].score >= w->probability)
            ret->faces[n++] = ret->faces[i];
    ret->n = n;
    if (n)
        return true;
    api_fail(c, 400, "NO_FACE", "No face is found in the given image");
    seen_free(ret);
    return false;
}

/* Templates leave only for keys that may do everything here too. */
static bool may_have_embeddings(api_call *c, const wishes *w)
{
    if (!w->embedding || key_allows(&c->key, KEY_ADMIN, c->collection))
        return true;
    api_fail(c, 403, "NOT_ALLOWED", "the calculator plugin takes a key with the scope admin");
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
static json_t *name_of(mien_gallery *g, int64_t person)
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
    if (!read_wishes(c, &w) || !(g = collection_of(c)))
        return;
    if (!name || !*name) {
        api_fail(c, 400, "BAD_ARGUMENT", "subject is missing");
        return;
    }
    if (!see_some(c, "file", &w, &s))
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
static json_t *described(mien_gallery *g, int64_t face)
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
    return o.person ? json_pack("{s:s,s:o}", "image_id", id, "subject", name_of(g, o.person)) : NULL;
}

static void run_delete_face(api_call *c)
{
    int64_t id = 0;
    mien_receipt receipt;
    mien_error err = MIEN_ERROR_INIT;
    mien_gallery *g = NULL;
    if (!image_param(c, 0, &id) || !(g = collection_of(c)))
        return;
    json_t *what = described(g, id);
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
        json_t *what = id ? described(g, id) : NULL;
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
    if (!image_param(c, param, &id) || !(g = collection_of(c)))
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

/* ---- recognising ---- */

/* The subjects of one face. NULL: answered. */
static json_t *subjects_of(api_call *c, mien_gallery *g, const float *vec, const wishes *w, double threshold)
{
    mien_candidate found[MAX_PREDICTIONS];
    mien_error err = MIEN_ERROR_INIT;
    size_t n = 0;
    if (mien_gallery_search(g, vec, 1, (size_t)w->predictions, found, &n, &err)) {
        api_fail_status(c, &err);
        return NULL;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        if (c->key.nearest || found[i].similarity >= threshold)
            json_array_append_new(list,
                                  json_pack("{s:o,s:o}", "subject", name_of(g, found[i].person), "similarity",
                                            rounded(familiar(found[i].similarity, threshold), 5)));
    return list;
}

static void run_recognize(api_call *c)
{
    wishes w;
    seen s = { 0 };
    double threshold = 0;
    mien_gallery *g = NULL;
    if (!read_wishes(c, &w) || !may_have_embeddings(c, &w) || !(g = collection_of(c)) ||
        !search_threshold(c, g, &threshold) || !see_some(c, "file", &w, &s))
        return;
    json_t *result = json_array();
    for (size_t i = 0; i < s.n; i++) {
        float *vec = seen_embed(c, &s, i);
        json_t *subjects = vec ? subjects_of(c, g, vec, &w, threshold) : NULL;
        if (!subjects) {
            free_vec(c, vec);
            json_decref(result);
            seen_free(&s);
            return;
        }
        json_t *face = json_pack("{s:o,s:o}", "box", box_json(&s, i), "subjects", subjects);
        add_plugins(c, face, &s, i, &w, vec);
        free_vec(c, vec);
        json_array_append_new(result, face);
    }
    answer_result(c, result, &w);
    seen_free(&s);
}

static void run_detect(api_call *c)
{
    wishes w;
    seen s = { 0 };
    if (!read_wishes(c, &w) || !may_have_embeddings(c, &w) || !see_some(c, "file", &w, &s))
        return;
    json_t *result = json_array();
    for (size_t i = 0; i < s.n; i++) {
        float *vec = w.embedding ? seen_embed(c, &s, i) : NULL;
        json_t *face = json_pack("{s:o}", "box", box_json(&s, i));
        add_plugins(c, face, &s, i, &w, vec);
        free_vec(c, vec);
        json_array_append_new(result, face);
    }
    if (!http_reply_status(c->reply))
        answer_result(c, result, &w);
    else
        json_decref(result);
    seen_free(&s);
}

static void run_verify_face(api_call *c)
{
    wishes w;
    seen s = { 0 };
    int64_t id = 0;
    mien_error err = MIEN_ERROR_INIT;
    mien_gallery *g = NULL;
    const size_t dim = (size_t)mien_model_info_of(c->server->embed)->embedding_len;
    float *stored = NULL;
    json_t *what = NULL, *result = NULL;
    if (!image_param(c, 0, &id) || !read_wishes(c, &w) || !(g = collection_of(c)) ||
        !see_some(c, "file", &w, &s))
        return;
    if (!(stored = calloc(dim, sizeof *stored)) || mien_gallery_face_template(g, id, stored, &err) ||
        !(what = described(g, id))) {
        api_fail(c, 404, "NOT_FOUND", "Image with id %s not found", c->params[0]);
        goto done;
    }
    result = json_array();
    for (size_t i = 0; i < s.n; i++) {
        float *vec = seen_embed(c, &s, i);
        if (!vec)
            goto done;
        json_array_append_new(
            result,
            json_pack("{s:o,s:O,s:o}", "box", box_json(&s, i), "subject", json_object_get(what, "subject"),
                      "similarity", rounded(familiar(mien_cosine(vec, stored, dim), threshold_of(c)), 5)));
        free_vec(c, vec);
    }
    answer_result(c, json_incref(result), &w);
done:
    json_decref(result);
    json_decref(what);
    free_vec(c, stored);
    seen_free(&s);
}

static void run_verify_two(api_call *c)
{
    wishes w;
    seen a = { 0 }, b = { 0 };
    float *va = NULL;
    json_t *matches = NULL;
    const size_t dim = (size_t)mien_model_info_of(c->server->embed)->embedding_len;
    if (!read_wishes(c, &w) || !see_some(c, "source_image", &w, &a))
        return;
    if (!see_some(c, "target_image", &w, &b) || !(va = seen_embed(c, &a, 0)))
        goto done;
    matches = json_array();
    for (size_t i = 0; i < b.n; i++) {
        float *vb = seen_embed(c, &b, i);
        if (!vb)
            goto done;
        json_t *face = json_pack("{s:o,s:o}", "box", box_json(&b, i), "similarity",
                                 rounded(familiar(mien_cosine(va, vb, dim), threshold_of(c)), 5));
        add_plugins(c, face, &b, i, &w, NULL);
        free_vec(c, vb);
        json_array_append_new(matches, face);
    }
    json_t *source = json_pack("{s:o}", "box", box_json(&a, 0));
    add_plugins(c, source, &a, 0, &w, NULL);
    answer_result(c, json_pack("[{s:o,s:O}]", "source_image_face", source, "face_matches", matches), &w);
done:
    json_decref(matches);
    free_vec(c, va);
    seen_free(&a);
    seen_free(&b);
}

/* ---- embeddings ---- */

/* Read one embedding as a unit vector. false: answered. */
static bool read_vec(api_call *c, const json_t *list, float *ret)
{
    const size_t dim = (size_t)mien_model_info_of(c->server->embed)->embedding_len;
    double norm = 0;
    if (json_array_size(list) == dim)
        for (size_t k = 0; k < dim; k++) {
            const double v = json_number_value(json_array_get(list, k));
            ret[k] = (float)v;
            norm += v * v;
        }
    if (!(norm > 0) || !isfinite(norm)) {
        api_fail(c, 400, "BAD_ARGUMENT", "an embedding is a list of %zu numbers", dim);
        return false;
    }
    for (size_t k = 0; k < dim; k++)
        ret[k] = (float)((double)ret[k] / sqrt(norm));
    return true;
}

static void run_recognize_embeddings(api_call *c)
{
    wishes w;
    double threshold = 0;
    mien_gallery *g = NULL;
    const json_t *list = json_object_get(c->json, "embeddings");
    float *vec = calloc((size_t)mien_model_info_of(c->server->embed)->embedding_len, sizeof *vec);
    if (!vec || !read_wishes(c, &w) || !(g = collection_of(c)) || !search_threshold(c, g, &threshold))
        goto done;
    json_t *result = json_array();
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *subjects = NULL;
        if (!read_vec(c, json_array_get(list, i), vec) ||
            !(subjects = subjects_of(c, g, vec, &w, threshold))) {
            json_decref(result);
            goto done;
        }
        json_array_append_new(
            result, json_pack("{s:O,s:o}", "embedding", json_array_get(list, i), "similarities", subjects));
    }
    api_ok(c, 200, json_pack("{s:o}", "result", result));
done:
    free_vec(c, vec);
}

/* Compare each of a list with one vector. */
static void answer_similarities(api_call *c, const float *one, const json_t *list)
{
    const size_t dim = (size_t)mien_model_info_of(c->server->embed)->embedding_len;
    float *vec = calloc(dim, sizeof *vec);
    json_t *result = json_array();
    for (size_t i = 0; vec && i < json_array_size(list); i++) {
        if (!read_vec(c, json_array_get(list, i), vec))
            goto done;
        json_array_append_new(result,
                              json_pack("{s:O,s:o}", "embedding", json_array_get(list, i), "similarity",
                                        rounded(familiar(mien_cosine(one, vec, dim), threshold_of(c)), 5)));
    }
    api_ok(c, 200, json_pack("{s:O}", "result", result));
done:
    json_decref(result);
    free_vec(c, vec);
}

static void run_verify_embeddings(api_call *c)
{
    float *one = calloc((size_t)mien_model_info_of(c->server->embed)->embedding_len, sizeof *one);
    if (one && read_vec(c, json_object_get(c->json, "source"), one))
        answer_similarities(c, one, json_object_get(c->json, "targets"));
    free_vec(c, one);
}

static void run_verify_face_embeddings(api_call *c)
{
    int64_t id = 0;
    mien_error err = MIEN_ERROR_INIT;
    mien_gallery *g = NULL;
    float *one = calloc((size_t)mien_model_info_of(c->server->embed)->embedding_len, sizeof *one);
    if (one && image_param(c, 0, &id) && (g = collection_of(c))) {
        if (mien_gallery_face_template(g, id, one, &err))
            api_fail(c, 404, "NOT_FOUND", "Image with id %s not found", c->params[0]);
        else
            answer_similarities(c, one, json_object_get(c->json, "embeddings"));
    }
    free_vec(c, one);
}

#define R "/api/v1/recognition"
const api_route api_compat[] = {
    { "GET", R "/subjects", API_COMPAT, KEY_READ, HTTP_LIGHT, 0, 200, run_subjects },
    { "POST", R "/subjects", API_COMPAT, KEY_ENROL, HTTP_LIGHT, SMALL, 201, run_add_subject },
    { "DELETE", R "/subjects", API_COMPAT, KEY_ENROL, HTTP_LIGHT, SMALL, 200, run_delete_subjects },
    { "PUT", R "/subjects/{subject}", API_COMPAT, KEY_ENROL, HTTP_LIGHT, SMALL, 200, run_rename_subject },
    { "DELETE", R "/subjects/{subject}", API_COMPAT, KEY_ENROL, HTTP_LIGHT, SMALL, 200, run_delete_subject },
    { "POST", R "/faces", API_COMPAT, KEY_ENROL, HTTP_HEAVY, API_MAX_BODY, 201, run_add_face },
    { "GET", R "/faces", API_COMPAT, KEY_READ, HTTP_LIGHT, 0, 200, run_faces },
    { "DELETE", R "/faces", API_COMPAT, KEY_ENROL, HTTP_LIGHT, SMALL, 200, run_delete_faces },
    { "POST", R "/faces/delete", API_COMPAT, KEY_ENROL, HTTP_LIGHT, SMALL, 200, run_delete_list },
    { "DELETE", R "/faces/{image_id}", API_COMPAT, KEY_ENROL, HTTP_LIGHT, SMALL, 200, run_delete_face },
    { "GET", R "/faces/{image_id}/img", API_COMPAT, KEY_READ, HTTP_LIGHT, 0, 200, run_face_image },
    { "GET", "/api/v1/static/{api_key}/images/{image_id}", API_LINK, KEY_READ, HTTP_LIGHT, 0, 200,
      run_static_image },
    { "POST", R "/recognize", API_COMPAT, KEY_RECOGNISE, HTTP_HEAVY, API_MAX_BODY, 200, run_recognize },
    { "POST", R "/faces/{image_id}/verify", API_COMPAT, KEY_RECOGNISE, HTTP_HEAVY, API_MAX_BODY, 200,
      run_verify_face },
    { "POST", R "/embeddings/recognize", API_COMPAT, KEY_RECOGNISE, HTTP_LIGHT, SMALL, 200,
      run_recognize_embeddings },
    { "POST", R "/embeddings/faces/{image_id}/verify", API_COMPAT, KEY_RECOGNISE, HTTP_LIGHT, SMALL, 200,
      run_verify_face_embeddings },
    { "POST", "/api/v1/detection/detect", API_COMPAT, KEY_RECOGNISE, HTTP_HEAVY, API_MAX_BODY, 200,
      run_detect },
    { "POST", "/api/v1/verification/verify", API_COMPAT, KEY_RECOGNISE, HTTP_HEAVY, API_MAX_BODY, 200,
      run_verify_two },
    { "POST", "/api/v1/verification/embeddings/verify", API_COMPAT, KEY_RECOGNISE, HTTP_LIGHT, SMALL, 200,
      run_verify_embeddings },
    { 0 },
};
