/* Calls on albums: the groups that the faces of a set fell into, and what a person corrects about them. Each correction is a
 * transaction of its own in the set's album and can be taken back. Groups come by pages with a few faces each, so that the
 * answer about a large album stays small; the faces of one group have pages of their own.
 */
#include "album.h"
#include "see.h"
#include <string.h>

enum {
    SMALL = 1 << 20,
    PAGE = 200,
    MAX_PAGE = 5000,
    FACES = 1,
    MAX_ANSWER = 5000, /* faces of one answer */
    MAX_SPLIT = 5000
};

void album_fail(api_call *c, const mien_error *err)
{
    if (err->status == MIEN_E_NOT_FOUND)
        api_fail(c, 404, "NOT_FOUND", "there is no such group or face in this album");
    else if (err->status == MIEN_E_GALLERY_BUSY)
        api_fail(c, 503, "ALBUM_BUSY", "the album is being grouped: try again when that is done");
    else
        api_fail_status(c, err);
}

const mien_album_group_info *album_group_of(const mien_album_list *list, int64_t group)
{
    for (size_t i = 0; i < list->n_groups; i++)
        if (list->groups[i].id == group)
            return &list->groups[i];
    return NULL;
}

/* ---- JSON ---- */

/* The first face of a group stands for it: after a correction nobody else may. */
static json_t *face_json(const mien_album_face *f, bool first)
{
    return json_pack("{s:I,s:s,s:{s:o,s:o,s:o,s:o},s:o,s:o,s:o,s:b}", "id", (json_int_t)f->id, "path", f->path,
                     "box", "x0", rounded((double)f->face.x0, 1), "y0", rounded((double)f->face.y0, 1), "x1",
                     rounded((double)f->face.x1, 1), "y1", rounded((double)f->face.y1, 1), "quality",
                     rounded((double)f->quality, 3), "similarity", rounded((double)f->similarity, 3), "confidence",
                     rounded((double)f->confidence, 3), "representative", first);
}

static json_t *faces_json(const mien_album_list *list, size_t first, size_t skip, size_t n, bool grouped)
{
    json_t *faces = json_array();
    for (size_t i = skip; i < skip + n; i++)
        json_array_append_new(faces, face_json(&list->faces[first + i], grouped && i == 0));
    return faces;
}

static json_t *group_json(const mien_album_list *list, const mien_album_group_info *g, size_t most)
{
    return json_pack("{s:I,s:s,s:I,s:o}", "id", (json_int_t)g->id, "name", g->name, "n_faces", (json_int_t)g->n,
                     "faces", faces_json(list, g->first, 0, g->n < most ? g->n : most, true));
}

static size_t n_grouped(const mien_album_list *list)
{
    size_t n = 0;
    for (size_t i = 0; i < list->n_groups; i++)
        n += list->groups[i].n;
    return n;
}

/* ---- reading ---- */

static mien_album_list *list_of(api_call *c, mien_album *album)
{
    mien_album_list *list = NULL;
    mien_error err = MIEN_ERROR_INIT;
    if (mien_album_list_new(album, &list, &err))
        album_fail(c, &err);
    return list;
}

/* Where the page begins; n_groups + 1: answered. */
static size_t group_after(api_call *c, const mien_album_list *list, int64_t after)
{
    const mien_album_group_info *last = album_group_of(list, after);
    if (after == 0 || last)
        return last ? (size_t)(last - list->groups) + 1 : 0;
    api_fail(c, 404, "NOT_FOUND", "the group to go on after is gone: start from the first");
    return list->n_groups + 1;
}

static json_t *undo_json(mien_album *album)
{
    char what[128];
    return mien_album_undo_next(album, what, sizeof what, NULL) ? json_null() : json_string(what);
}

static void run_album(api_call *c)
{
    int64_t limit = 0, after = 0, most = 0;
    mien_album *album = NULL;
    mien_album_list *list = NULL;
    if (!api_arg_int(c, "limit", 1, MAX_PAGE, PAGE, &limit) || !api_arg_int(c, "after", 0, INT64_MAX, 0, &after) ||
        !api_arg_int(c, "faces", 0, MAX_ANSWER, FACES, &most) || !(album = set_of(c, NULL)))
        return;
    if (!(list = list_of(c, album)))
        goto done;
    const size_t first = group_after(c, list, after);
    if (first > list->n_groups)
        goto done;
    json_t *groups = json_array();
    size_t i = first, faces = 0;
    for (; i < list->n_groups && i - first < (size_t)limit; i++) {
        const size_t shown = list->groups[i].n < (size_t)most ? list->groups[i].n : (size_t)most;
        if (i > first && faces + shown > MAX_ANSWER)
            break;
        faces += shown;
        json_array_append_new(groups, group_json(list, &list->groups[i], (size_t)most));
    }
    json_t *next = i < list->n_groups && i > first ? json_integer(list->groups[i - 1].id) : json_null();
    api_ok(c, 200,
           json_pack("{s:o,s:o,s:I,s:I,s:I,s:o}", "groups", groups, "next", next, "n_groups",
                     (json_int_t)list->n_groups, "n_faces", (json_int_t)list->n_faces, "n_ungrouped",
                     (json_int_t)(list->n_faces - n_grouped(list)), "undo", undo_json(album)));
done:
    mien_album_list_free(list);
    mien_album_free(album);
}

typedef struct span {
    const char *name;
    int64_t id; /* 0: faces of no group */
    size_t first, n;
} span;

/* A page of the faces of one group, or of those of none; `after` counts faces: a group's order is its own. */
static void answer_faces(api_call *c, const mien_album_list *list, span s)
{
    int64_t limit = 0, skip = 0;
    if (!api_arg_int(c, "limit", 1, MAX_ANSWER, PAGE, &limit) ||
        !api_arg_int(c, "after", 0, INT32_MAX, 0, &skip))
        return;
    const size_t from = (size_t)skip < s.n ? (size_t)skip : s.n;
    const size_t n = s.n - from < (size_t)limit ? s.n - from : (size_t)limit;
    json_t *next = from + n < s.n ? json_integer((json_int_t)(from + n)) : json_null();
    json_t *faces = faces_json(list, s.first, from, n, s.id != 0);
    if (s.id)
        api_ok(c, 200,
               json_pack("{s:I,s:s,s:I,s:o,s:o}", "id", (json_int_t)s.id, "name", s.name, "n_faces", (json_int_t)s.n,
                         "faces", faces, "next", next));
    else
        api_ok(c, 200, json_pack("{s:I,s:o,s:o}", "n_faces", (json_int_t)s.n, "faces", faces, "next", next));
}

static void run_group(api_call *c)
{
    int64_t id = 0;
    mien_album *album = NULL;
    if (!api_param_id(c, 1, &id) || !(album = set_of(c, NULL)))
        return;
    mien_album_list *list = list_of(c, album);
    const mien_album_group_info *g = list ? album_group_of(list, id) : NULL;
    if (g)
        answer_faces(c, list, (span){ g->name, id, g->first, g->n });
    else if (list)
        api_fail(c, 404, "NOT_FOUND", "there is no such group in this album: it may have been merged");
    mien_album_list_free(list);
    mien_album_free(album);
}

static void run_ungrouped(api_call *c)
{
    mien_album *album = set_of(c, NULL);
    mien_album_list *list = album ? list_of(c, album) : NULL;
    if (list) {
        const size_t n = n_grouped(list);
        answer_faces(c, list, (span){ "", 0, n, list->n_faces - n });
    }
    mien_album_list_free(list);
    mien_album_free(album);
}

/* ---- correcting ---- */

/* A group as it is now; one that a correction emptied is gone, and is answered without faces. */
static void answer_group(api_call *c, mien_album *album, int64_t id, int status)
{
    mien_album_list *list = list_of(c, album);
    const mien_album_group_info *g = list ? album_group_of(list, id) : NULL;
    const mien_album_group_info gone = { id, "", 0, 0 };
    if (list)
        api_ok(c, status, group_json(list, g ? g : &gone, FACES));
    mien_album_list_free(list);
}

static void run_name(api_call *c)
{
    int64_t id = 0, other = 0;
    mien_album *album = NULL;
    mien_error err = MIEN_ERROR_INIT;
    const char *name = api_text(c, "name");
    if (!name) {
        api_fail(c, 400, "BAD_ARGUMENT", "to name a group: {\"name\":\"Ann\"}; an empty name takes it away");
        return;
    }
    if (!api_param_id(c, 1, &id) || !(album = set_of(c, NULL)))
        return;
    const mien_status st = mien_album_name(album, id, name, &err);
    if (st == MIEN_E_EXISTS && !mien_album_find(album, name, &other, NULL))
        api_fail_with(c, 409, "EXISTS", json_pack("{s:I}", "group", (json_int_t)other),
                      "another group has this name: merge the two");
    else if (st)
        album_fail(c, &err);
    else
        answer_group(c, album, id, 200);
    mien_album_free(album);
}

static void run_merge(api_call *c)
{
    int64_t into = 0, from = 0;
    mien_album *album = NULL;
    mien_error err = MIEN_ERROR_INIT;
    if (!api_param_id(c, 1, &into) || !api_arg_int(c, "from", 1, INT64_MAX, 0, &from))
        return;
    if (from == 0 || from == into) {
        api_fail(c, 400, "BAD_ARGUMENT", "to merge: {\"from\":number of another group}");
        return;
    }
    if (!(album = set_of(c, NULL)))
        return;
    if (mien_album_merge(album, into, from, &err))
        album_fail(c, &err);
    else
        answer_group(c, album, into, 200);
    mien_album_free(album);
}

/* The call's faces; 0: answered. */
static size_t read_faces(api_call *c, int64_t ret[MAX_SPLIT])
{
    const json_t *faces = json_object_get(c->json, "faces");
    const size_t n = json_array_size(faces);
    bool ok = n > 0 && n <= MAX_SPLIT;
    for (size_t i = 0; ok && i < n; i++) {
        const json_t *v = json_array_get(faces, i);
        ok = json_is_integer(v);
        ret[i] = json_integer_value(v);
    }
    if (ok)
        return n;
    api_fail(c, 400, "BAD_ARGUMENT", "faces is a list of 1 to %d numbers of faces", MAX_SPLIT);
    return 0;
}

static void run_give(api_call *c)
{
    int64_t id = 0, faces[MAX_SPLIT];
    mien_album *album = NULL;
    mien_error err = MIEN_ERROR_INIT;
    size_t n = 0;
    if (!api_param_id(c, 1, &id) || !(n = read_faces(c, faces)) || !(album = set_of(c, NULL)))
        return;
    if (mien_album_give(album, id, faces, n, &err))
        album_fail(c, &err);
    else
        answer_group(c, album, id, 200);
    mien_album_free(album);
}

static void run_not(api_call *c)
{
    int64_t id = 0, face = 0;
    mien_album *album = NULL;
    mien_error err = MIEN_ERROR_INIT;
    if (!api_param_id(c, 1, &id) || !api_arg_int(c, "face", 1, INT64_MAX, 0, &face))
        return;
    if (face == 0) {
        api_fail(c, 400, "BAD_ARGUMENT", "to say that a face is somebody else: {\"face\":number}");
        return;
    }
    if (!(album = set_of(c, NULL)))
        return;
    if (mien_album_not(album, face, id, &err))
        album_fail(c, &err);
    else
        answer_group(c, album, id, 200);
    mien_album_free(album);
}

static void run_split(api_call *c)
{
    int64_t made = 0, faces[MAX_SPLIT];
    mien_album *album = NULL;
    mien_error err = MIEN_ERROR_INIT;
    const size_t n = read_faces(c, faces);
    if (!n || !(album = set_of(c, NULL)))
        return;
    if (mien_album_split(album, faces, n, &made, &err))
        album_fail(c, &err);
    else
        answer_group(c, album, made, 201);
    mien_album_free(album);
}

static void run_undo(api_call *c)
{
    char what[128];
    mien_error err = MIEN_ERROR_INIT;
    mien_album *album = set_of(c, NULL);
    if (!album)
        return;
    const mien_status st = mien_album_undo(album, what, sizeof what, &err);
    if (st == MIEN_E_NOT_FOUND)
        api_fail(c, 404, "NOT_FOUND", "there is nothing to take back");
    else if (st)
        album_fail(c, &err);
    else
        api_ok(c, 200, json_pack("{s:s,s:o}", "undone", what, "undo", undo_json(album)));
    mien_album_free(album);
}

#define SET "/v1/sets/{set}"
#define GROUP SET "/groups/{group}"
const api_route api_album[] = {
    { "POST", "/v1/cluster", API_KEY, KEY_ENROL, HTTP_LIGHT, SMALL, album_run_cluster },
    { "GET", SET "/album", API_KEY, KEY_ENROL, HTTP_LIGHT, 0, run_album },
    { "GET", SET "/ungrouped", API_KEY, KEY_ENROL, HTTP_LIGHT, 0, run_ungrouped },
    { "POST", SET "/split", API_KEY, KEY_ENROL, HTTP_LIGHT, SMALL, run_split },
    { "POST", SET "/undo", API_KEY, KEY_ENROL, HTTP_LIGHT, SMALL, run_undo },
    { "GET", GROUP, API_KEY, KEY_ENROL, HTTP_LIGHT, 0, run_group },
    { "PATCH", GROUP, API_KEY, KEY_ENROL, HTTP_LIGHT, SMALL, run_name },
    { "POST", GROUP "/merge", API_KEY, KEY_ENROL, HTTP_LIGHT, SMALL, run_merge },
    { "POST", GROUP "/faces", API_KEY, KEY_ENROL, HTTP_LIGHT, SMALL, run_give },
    { "POST", GROUP "/not", API_KEY, KEY_ENROL, HTTP_LIGHT, SMALL, run_not },
    { "POST", GROUP "/enrol", API_KEY, KEY_ENROL, HTTP_HEAVY, SMALL, album_run_enrol },
    { 0 },
};
