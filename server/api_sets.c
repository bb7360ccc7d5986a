/* Calls on sets: making one, sending it pictures, looking at what it holds, removing it. */
#include "see.h"
#include "sets.h"
#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum {
    SMALL = 1 << 20,
    HOURS = 24,
    MAX_HOURS = 720,
    MAX_SETS = 100,      /* of one key */
    MAX_FACES = 200000,  /* of one set */
    MAX_IN_PICTURE = 500,
    MAX_PATH_BYTES = 512,
    PAGE = 500,
    MAX_PAGE = 5000
};

/* ---- JSON ---- */

typedef struct counts {
    size_t pictures, no_face, faces, people;
    char last[MAX_PATH_BYTES];
} counts;

static int count(void *user, const mien_album_picture *p, size_t n_faces)
{
    counts *k = user;
    const size_t len = strcspn(p->path, "/");
    k->pictures++;
    k->faces += n_faces;
    k->no_face += n_faces == 0;
    if (p->path[len] && len < sizeof k->last && (strlen(k->last) != len || strncmp(k->last, p->path, len) != 0)) {
        snprintf(k->last, sizeof k->last, "%.*s", (int)len, p->path);
        k->people++;
    }
    return 0;
}

/* NULL: err. */
static json_t *set_json(mien_album *album, const set_info *i, mien_error *err)
{
    counts k = { 0 };
    if (mien_album_pictures(album, count, &k, err))
        return NULL;
    return json_pack("{s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I}", "id", i->id, "name", i->name, "purpose", i->purpose, "created_ms",
                     (json_int_t)i->created_ms, "expires_ms", (json_int_t)i->expires_ms, "pictures",
                     (json_int_t)k.pictures, "without_face", (json_int_t)k.no_face, "faces", (json_int_t)k.faces,
                     "people", (json_int_t)k.people);
}

static void answer_set(api_call *c, mien_album *album, const set_info *info, int status)
{
    mien_error err = MIEN_ERROR_INIT;
    json_t *j = set_json(album, info, &err);
    if (j)
        api_ok(c, status, j);
    else
        api_fail_status(c, &err);
}

/* ---- sets ---- */

typedef struct listing {
    api_call *call;
    json_t *list;
    size_t own;
} listing;

static void add_set(void *ctx, const char *name, const set_info *info)
{
    listing *l = ctx;
    set_info found;
    mien_album *album = NULL;
    mien_error err = MIEN_ERROR_INIT;
    (void)name;
    if (!info || !set_find(l->call->server, &l->call->key, info->id, &found))
        return;
    l->own += info->key == l->call->key.id;
    if (!l->list || set_open(l->call->server, &l->call->key, info->id, &album, NULL, &err))
        return; /* of another model, or just removed */
    json_t *j = set_json(album, info, &err);
    if (j)
        json_array_append_new(l->list, j);
    mien_album_free(album);
}

static void run_list(api_call *c)
{
    listing l = { c, json_array(), 0 };
    sets_each(c->server, add_set, &l);
    api_ok(c, 200, json_pack("{s:o}", "sets", l.list));
}

static void run_make(api_call *c)
{
    int64_t hours = HOURS;
    set_info info;
    mien_album *album = NULL;
    mien_error err = MIEN_ERROR_INIT;
    const char *name = api_text(c, "name"), *purpose = api_text(c, "purpose");
    listing l = { c, NULL, 0 };
    if (!api_arg_int(c, "hours", 1, MAX_HOURS, HOURS, &hours))
        return;
    if ((name && strlen(name) >= SET_NAME_BYTES) || (purpose && strlen(purpose) >= SET_PURPOSE_BYTES)) {
        api_fail(c, 400, "BAD_ARGUMENT", "a set's name has at most %d bytes, its purpose %d", SET_NAME_BYTES - 1,
                 SET_PURPOSE_BYTES - 1);
        return;
    }
    sets_each(c->server, add_set, &l);
    if (l.own >= MAX_SETS) {
        api_fail(c, 429, "TOO_MANY_SETS", "this key has %d sets: remove some", MAX_SETS);
        return;
    }
    mien_status st = set_make(c->server, &c->key, name ? name : "", purpose ? purpose : "", hours * 3600 * 1000, &info, &err);
    if (!st)
        st = set_open(c->server, &c->key, info.id, &album, NULL, &err);
    if (st)
        api_fail_status(c, &err);
    else
        answer_set(c, album, &info, 201);
    mien_album_free(album);
}

static void run_show(api_call *c)
{
    set_info info;
    mien_album *album = set_of(c, &info);
    if (album)
        answer_set(c, album, &info, 200);
    mien_album_free(album);
}

static void run_remove(api_call *c)
{
    mien_error err = MIEN_ERROR_INIT;
    if (set_remove(c->server, &c->key, c->params[0], &err))
        api_fail_status(c, &err);
    else
        api_ok(c, 204, NULL);
}

/* ---- sending pictures ---- */

/* A name such as "Ann/1.jpg". It never becomes a file's, but is shown and sorted by. */
static bool path_is_plain(const char *path)
{
    const size_t n = strlen(path);
    if (n == 0 || n >= MAX_PATH_BYTES || !http_is_utf8(path))
        return false;
    for (const char *s = path;; s++) {
        const size_t part = strcspn(s, "/");
        if (part == 0 || (s[0] == '.' && (part == 1 || (part == 2 && s[1] == '.'))))
            return false;
        for (size_t i = 0; i < part; i++)
            if ((unsigned char)s[i] < 32 || s[i] == 127)
                return false;
        s += part;
        if (!*s)
            return true;
    }
}

typedef struct face_data {
    float *vec;
    uint8_t *crop;
    mien_quality quality;
} face_data;

/* Everything that is kept of one face. false: answered. */
static bool take_face(api_call *c, const seen *s, size_t i, mien_album_new_face *ret, face_data *data)
{
    mien_image *crop = NULL;
    mien_error err = MIEN_ERROR_INIT;
    const mien_image_view view = mien_image_view_of(s->image);
    if (!(data->vec = seen_embed(c, s, i)))
        return false;
    mien_status st = seen_quality(s, i, &data->quality, &err);
    if (!st)
        st = mien_align(c->server->embed, view, &s->faces[i], &crop, &err);
    if (!st)
        st = mien_image_encode(mien_image_view_of(crop), "jpeg", 92, &data->crop, &ret->crop_bytes, &err);
    mien_image_free(crop);
    if (st) {
        api_fail_status(c, &err);
        return false;
    }
    const bool good = mien_quality_reason(&data->quality, NULL) == MIEN_REASON_NONE;
    ret->face = seen_face(s, i);
    ret->quality = good ? fmaxf(data->quality.score, 1e-3f) : 0;
    ret->vec = data->vec;
    ret->crop = data->crop;
    ret->measured = &data->quality;
    return true;
}

static json_t *taken_json(const seen *s, const face_data *data)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->n; i++) {
        json_t *face = seen_json(s, i);
        json_object_set_new(face, "quality", quality_json(&data[i].quality));
        json_object_set_new(face, "reason",
                            json_string(mien_reason_name(mien_quality_reason(&data[i].quality, NULL))));
        json_array_append_new(list, face);
    }
    return list;
}

static void take_picture(api_call *c, mien_album *album, const char *path, const seen *s)
{
    mien_album_new_face *faces = calloc(s->n + 1, sizeof *faces);
    face_data *data = calloc(s->n + 1, sizeof *data);
    mien_error err = MIEN_ERROR_INIT;
    const mien_image_view view = mien_image_view_of(s->image);
    const mien_album_picture p = { path, (int64_t)s->bytes, 0, view.width * s->scale, view.height * s->scale };
    bool ok = faces && data;
    if (!ok)
        api_fail(c, 503, "NO_MEMORY", "out of memory");
    for (size_t i = 0; ok && i < s->n; i++)
        ok = take_face(c, s, i, &faces[i], &data[i]);
    if (ok && mien_album_add(album, &p, faces, s->n, &err))
        api_fail_status(c, &err);
    else if (ok)
        api_ok(c, 201, json_pack("{s:s,s:i,s:i,s:o}", "path", path, "width", p.width, "height", p.height, "faces",
                                 taken_json(s, data)));
    for (size_t i = 0; data && i < s->n; i++) {
        free_vec(c, data[i].vec);
        mien_image_data_free(data[i].crop);
    }
    free(data);
    free(faces);
}

static void run_send(api_call *c)
{
    seen s;
    size_t faces = 0, loose = 0;
    mien_error err = MIEN_ERROR_INIT;
    const char *path = api_text(c, "path");
    mien_album *album = set_of(c, NULL);
    if (!album)
        return;
    if (mien_album_count(album, &faces, &loose, &err)) {
        api_fail_status(c, &err);
    } else if (faces >= MAX_FACES) {
        api_fail(c, 413, "SET_FULL", "a set holds at most %d faces", MAX_FACES);
    } else if (path && !path_is_plain(path)) {
        api_fail(c, 400, "BAD_ARGUMENT", "path is a picture's name such as 'Ann/1.jpg', at most %d bytes",
                 MAX_PATH_BYTES - 1);
    } else if (see(c, "file", MAX_IN_PICTURE, &s)) {
        if (!path && !path_is_plain(s.name))
            api_fail(c, 400, "BAD_ARGUMENT", "the picture has no name: give path=NAME");
        else
            take_picture(c, album, path ? path : s.name, &s);
        seen_free(&s);
    }
    mien_album_free(album);
}

/* ---- looking ---- */

typedef struct page {
    json_t *list;
    const char *after;
    size_t limit;
} page;

static int add_picture(void *user, const mien_album_picture *p, size_t n_faces)
{
    page *to = user;
    if (to->after && strcmp(p->path, to->after) <= 0)
        return 0;
    json_array_append_new(to->list, json_pack("{s:s,s:i,s:i,s:I}", "path", p->path, "width", p->width, "height",
                                              p->height, "faces", (json_int_t)n_faces));
    return json_array_size(to->list) == to->limit;
}

static void run_pictures(api_call *c)
{
    int64_t limit = PAGE;
    mien_error err = MIEN_ERROR_INIT;
    mien_album *album = NULL;
    if (!api_arg_int(c, "limit", 1, MAX_PAGE, PAGE, &limit) || !(album = set_of(c, NULL)))
        return;
    page p = { json_array(), http_query(c->http, "after"), (size_t)limit };
    if (mien_album_pictures(album, add_picture, &p, &err)) {
        json_decref(p.list);
        api_fail_status(c, &err);
    } else {
        const size_t n = json_array_size(p.list);
        json_t *next = n == p.limit ? json_incref(json_object_get(json_array_get(p.list, n - 1), "path")) : json_null();
        api_ok(c, 200, json_pack("{s:o,s:o}", "pictures", p.list, "next", next));
    }
    mien_album_free(album);
}

static void run_crop(api_call *c)
{
    int64_t face = 0;
    uint8_t *data = NULL;
    size_t n = 0;
    mien_error err = MIEN_ERROR_INIT;
    mien_album *album = NULL;
    if (!api_param_id(c, 1, &face) || !(album = set_of(c, NULL)))
        return;
    if (mien_album_crop(album, face, &data, &n, &err))
        api_fail_status(c, &err);
    else
        http_reply_copy(c->reply, 200, "image/jpeg", data, n);
    mien_image_data_free(data);
    mien_album_free(album);
}

const api_route api_sets[] = {
    { "GET", "/v1/sets", API_KEY, KEY_ENROL, HTTP_LIGHT, 0, run_list },
    { "POST", "/v1/sets", API_KEY, KEY_ENROL, HTTP_LIGHT, SMALL, run_make },
    { "GET", "/v1/sets/{set}", API_KEY, KEY_ENROL, HTTP_LIGHT, 0, run_show },
    { "DELETE", "/v1/sets/{set}", API_KEY, KEY_ENROL, HTTP_LIGHT, SMALL, run_remove },
    { "GET", "/v1/sets/{set}/pictures", API_KEY, KEY_ENROL, HTTP_LIGHT, 0, run_pictures },
    { "POST", "/v1/sets/{set}/pictures", API_KEY, KEY_ENROL, HTTP_HEAVY, API_MAX_BODY, run_send },
    { "GET", "/v1/sets/{set}/faces/{face}", API_KEY, KEY_ENROL, HTTP_LIGHT, 0, run_crop },
    { 0 },
};
