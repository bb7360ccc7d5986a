/* POST /v1/sets/{set}/groups/{group}/enrol: a group of an album becomes a person of a collection, by the gallery's own
 * enrolment: the best faces of the group, at most ENROL_MOST, under the bounds that pictures sent to POST /v1/people are under.
 *
 * A set keeps vector, quality and crop of each face, but no picture. So the gate is asked with the quality measured when the
 * picture was there; to notice a face again, the digest of its crop is noted, as that of a picture's file is elsewhere; and
 * keep_images keeps the crop, with the face's points where they lie in it.
 */
#include "album.h"
#include "enrol.h"
#include "see.h"
#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

typedef struct item {
    const mien_album_face *from;
    mien_face in_crop;
    mien_quality quality;
    float *vec;
    uint8_t *crop;
    size_t crop_bytes;
    uint8_t digest[32];
    mien_reason reason;
} item;

typedef struct chosen {
    item *items;
    size_t n, n_all; /* n_all: of the group */
} chosen;

static int by_quality(const void *a, const void *b)
{
    const item *p = a, *q = b;
    const int order = (p->from->quality < q->from->quality) - (p->from->quality > q->from->quality);
    return order ? order : (p->from->id > q->from->id) - (p->from->id < q->from->id);
}

static void chosen_free(const api_call *c, chosen *k)
{
    for (size_t i = 0; k->items && i < k->n; i++) {
        free_vec(c, k->items[i].vec);
        mien_image_data_free(k->items[i].crop);
    }
    free(k->items);
}

/* ---- the faces ---- */

/* Where box and points of a face lie in its crop, which was cut by this very fit. */
static mien_status map_face(const mien_model_info *info, const mien_face *from, mien_face *ret, mien_error *err)
{
    mien_affine m;
    const mien_status st = mien_fit_similarity(from->landmarks, info->landmarks, MIEN_LANDMARKS, &m, err);
    if (st)
        return st;
    const float xs[2] = { from->x0, from->x1 }, ys[2] = { from->y0, from->y1 };
    *ret = (mien_face){ (float)info->input_width, (float)info->input_height, 0, 0, from->score, { { 0 } } };
    for (int i = 0; i < 4; i++) {
        const double x = (double)xs[i & 1], y = (double)ys[i >> 1];
        const float u = (float)(m.m[0] * x + m.m[1] * y + m.m[2]), v = (float)(m.m[3] * x + m.m[4] * y + m.m[5]);
        ret->x0 = fmaxf(0, fminf(ret->x0, u)), ret->x1 = fminf((float)info->input_width, fmaxf(ret->x1, u));
        ret->y0 = fmaxf(0, fminf(ret->y0, v)), ret->y1 = fminf((float)info->input_height, fmaxf(ret->y1, v));
    }
    for (int i = 0; i < MIEN_LANDMARKS; i++) {
        const double x = (double)from->landmarks[i][0], y = (double)from->landmarks[i][1];
        ret->landmarks[i][0] = (float)(m.m[0] * x + m.m[1] * y + m.m[2]);
        ret->landmarks[i][1] = (float)(m.m[3] * x + m.m[4] * y + m.m[5]);
    }
    return MIEN_OK;
}

static mien_status read_item(api_call *c, mien_album *album, const enrol_plan *plan, item *it, mien_error *err)
{
    const mien_model_info *info = mien_model_info_of(c->server->embed);
    const int64_t id = it->from->id;
    if (!(it->vec = calloc((size_t)info->embedding_len, sizeof *it->vec)))
        return *err = (mien_error){ .status = MIEN_E_NOMEM, .message = "out of memory" }, MIEN_E_NOMEM;
    mien_status st = mien_album_vector(album, id, it->vec, err);
    if (!st)
        st = mien_album_quality(album, id, &it->quality, err);
    if (!st)
        st = mien_album_crop(album, id, &it->crop, &it->crop_bytes, err);
    if (!st && plan->keep)
        st = map_face(info, &it->from->face, &it->in_crop, err);
    if (st)
        return st;
    crypto_generichash(it->digest, sizeof it->digest, it->crop, it->crop_bytes, NULL, 0);
    it->reason = plan->force ? MIEN_REASON_NONE : mien_quality_reason(&it->quality, NULL);
    return MIEN_OK;
}

/* The best faces of a group with all that is kept of them. */
static mien_status choose(api_call *c, mien_album *album, const mien_album_list *list, const mien_album_group_info *g,
                          const enrol_plan *plan, chosen *ret, mien_error *err)
{
    item *all = calloc(g->n + 1, sizeof *all);
    if (!all)
        return *err = (mien_error){ .status = MIEN_E_NOMEM, .message = "out of memory" }, MIEN_E_NOMEM;
    for (size_t i = 0; i < g->n; i++)
        all[i].from = &list->faces[g->first + i];
    qsort(all, g->n, sizeof *all, by_quality);
    *ret = (chosen){ all, g->n < ENROL_MOST ? g->n : ENROL_MOST, g->n };
    mien_status st = MIEN_OK;
    for (size_t i = 0; i < ret->n && !st; i++)
        st = read_item(c, album, plan, &all[i], err);
    return st;
}

/* ---- enrolling ---- */

static mien_status enrol_all(api_call *c, mien_gallery *g, const enrol_plan *plan, const chosen *k, mien_enrolled *outcomes,
                             mien_error *err)
{
    mien_enrolment items[ENROL_MOST];
    mien_enrolled got[ENROL_MOST];
    size_t at[ENROL_MOST], m = 0;
    double other = 2, unlike = -2;
    mien_status st = enrol_bounds(c, g, k->n, &other, &unlike, err);
    for (size_t i = 0; i < k->n && !st; i++) {
        const item *it = &k->items[i];
        outcomes[i] = (mien_enrolled){ .reason = it->reason };
        if (it->reason)
            continue;
        items[m] = (mien_enrolment)MIEN_ENROLMENT_INIT;
        items[m].name = plan->name;
        items[m].vec = it->vec;
        items[m].face = plan->keep ? it->in_crop : it->from->face;
        items[m].quality = it->quality;
        items[m].source = it->from->path;
        items[m].image = plan->keep ? it->crop : NULL;
        items[m].image_bytes = plan->keep ? it->crop_bytes : 0;
        items[m].image_digest = it->digest;
        items[m].consent = plan->has_consent ? &plan->consent : NULL;
        items[m].other_threshold = other;
        items[m].unlike_threshold = unlike;
        items[m].force = plan->force;
        at[m++] = i;
    }
    if (!st && m)
        st = mien_gallery_enrol(g, items, m, got, err);
    for (size_t i = 0; !st && i < m; i++)
        outcomes[at[i]] = got[i];
    return st;
}

static json_t *outcome_json(const item *it, const mien_enrolled *e)
{
    json_t *one = enrol_outcome_json(it->from->path, e);
    json_object_set_new(one, "album_face", json_integer(it->from->id));
    json_object_set_new(one, "quality", quality_json(&it->quality));
    return one;
}

static void answer(api_call *c, const chosen *k, const mien_enrolled *outcomes)
{
    json_t *list = json_array();
    int64_t person = 0;
    size_t enrolled = 0;
    for (size_t i = 0; i < k->n; i++) {
        json_array_append_new(list, outcome_json(&k->items[i], &outcomes[i]));
        if (!outcomes[i].reason)
            enrolled++, person = outcomes[i].person;
    }
    if (enrolled == 0) {
        api_fail_with(c, 422, mien_reason_name(outcomes[0].reason), json_pack("{s:o}", "pictures", list),
                      "nothing was enrolled: %s", mien_reason_text(outcomes[0].reason));
        return;
    }
    events_say(c->server, c->collection, "enrolled",
               json_pack("{s:I,s:I}", "person", (json_int_t)person, "faces", (json_int_t)enrolled));
    api_ok(c, 201,
           json_pack("{s:I,s:I,s:I,s:o}", "person", (json_int_t)person, "enrolled", (json_int_t)enrolled, "left_out",
                     (json_int_t)(k->n_all - k->n), "pictures", list));
}

/* By name: the call's, else the group's. */
static bool name_ok(api_call *c, const mien_album_group_info *g, enrol_plan *plan)
{
    plan->name = api_text(c, "name");
    if (!plan->name || !plan->name[0])
        plan->name = g->name;
    if (plan->name[0])
        return true;
    api_fail(c, 400, "BAD_ARGUMENT", "a name is missing: this group has none");
    return false;
}

static void enrol_group(api_call *c, mien_album *album, const mien_album_list *list, const mien_album_group_info *g)
{
    enrol_plan plan = { 0 };
    chosen k = { NULL, 0, 0 };
    mien_enrolled outcomes[ENROL_MOST] = { { 0 } };
    mien_error err = MIEN_ERROR_INIT;
    mien_gallery *gallery = NULL;
    if (!enrol_read_plan(c, &plan) || !name_ok(c, g, &plan))
        return;
    if (plan.keep && mien_model_info_of(c->server->embed)->crop != MIEN_CROP_SIMILARITY) {
        api_fail(c, 501, "NOT_SUPPORTED", "crops of this model cannot be kept as pictures: enrol without keep_images");
        return;
    }
    if (g->n == 0) {
        api_fail(c, 422, "NO_FACE", "this group has no faces any more");
        return;
    }
    if (!(gallery = collection_of(c)))
        return;
    enrol_end(c, gallery, &plan);
    if (choose(c, album, list, g, &plan, &k, &err) || enrol_all(c, gallery, &plan, &k, outcomes, &err))
        api_fail_status(c, &err);
    else
        answer(c, &k, outcomes);
    chosen_free(c, &k);
}

void album_run_enrol(api_call *c)
{
    int64_t id = 0;
    mien_album *album = NULL;
    mien_album_list *list = NULL;
    mien_error err = MIEN_ERROR_INIT;
    if (!api_param_id(c, 1, &id) || !(album = set_of(c, NULL)))
        return;
    if (mien_album_list_new(album, &list, &err)) {
        album_fail(c, &err);
    } else {
        const mien_album_group_info *g = album_group_of(list, id);
        if (g)
            enrol_group(c, album, list, g);
        else
            api_fail(c, 404, "NOT_FOUND", "there is no such group in this album: it may have been merged");
    }
    mien_album_list_free(list);
    mien_album_free(album);
}
