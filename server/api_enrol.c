/* Enrolling: pictures of a call are looked at, judged against the gallery and taken as faces of a person; what the call says about
 * consent is read here for every file that needs it (enrol.h).
 */
#include "enrol.h"
#include "see.h"
#include <sodium.h>
#include <stdlib.h>

/* ---- consent ---- */

bool enrol_consent(api_call *c, mien_consent *ret, bool *ret_any)
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
    static const char *const names[ENROL_MOST] = { "file",   "file1",  "file2",  "file3",  "file4",
                                                     "file5",  "file6",  "file7",  "file8",  "file9",
                                                     "file10", "file11", "file12", "file13", "file14",
                                                     "file15", "file16", "file17", "file18", "file19" };
    size_t n = 0;
    *ret = calloc(ENROL_MOST, sizeof **ret);
    for (int i = 0; *ret && i < ENROL_MOST; i++)
        if (see_has(c, names[i]))
            (*ret)[n++].field = names[i];
    return n;
}

mien_status enrol_bounds(api_call *c, mien_gallery *g, size_t n, double *ret_other, double *ret_unlike,
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

json_t *enrol_outcome_json(const char *name, const mien_enrolled *e)
{
    json_t *one =
        json_pack("{s:s,s:b,s:s,s:s}", "picture", name, "enrolled", e->reason == MIEN_REASON_NONE,
                  "reason", mien_reason_name(e->reason), "text", mien_reason_text(e->reason));
    if (e->reason == MIEN_REASON_NONE)
        json_object_set_new(one, "id", json_integer(e->face));
    if (e->other) {
        json_object_set_new(one, "other_person", json_integer(e->other));
        json_object_set_new(one, "similarity", rounded(e->similarity, 3));
    }
    return one;
}

static json_t *outcome_json(const picture *p, const mien_enrolled *e)
{
    json_t *one = enrol_outcome_json(p->field, e);
    if (p->seen.n) {
        json_object_set_new(one, "face", seen_json(&p->seen, 0));
        json_object_set_new(one, "quality", quality_json(&p->quality));
    }
    return one;
}

bool enrol_read_plan(api_call *c, enrol_plan *plan)
{
    int64_t force = 0, keep = 0;
    if (!enrol_consent(c, &plan->consent, &plan->has_consent) || !api_arg_int(c, "force", 0, 1, 0, &force) ||
        !api_arg_int(c, "keep_images", 0, 1, 0, &keep))
        return false;
    plan->force = force;
    plan->keep = keep;
    return true;
}

/* Whether the call names a day, or 0 for never: the collection's own then does not hold. */
static bool says_expiry(api_call *c)
{
    const json_t *k = json_object_get(c->json, "consent");
    return json_is_integer(json_object_get(k ? k : c->json, "expires_ms")) || (!k && api_text(c, "expires_ms"));
}

void enrol_end(api_call *c, mien_gallery *g, enrol_plan *plan)
{
    if (plan->name && !says_expiry(c) && collection_expiry(g, plan->name, &plan->consent))
        plan->has_consent = true;
}

/* Enrol what passed; outcomes for all in order. */
static mien_status enrol_all(api_call *c, mien_gallery *g, const enrol_plan *plan, picture *all, size_t n,
                             mien_enrolled *outcomes, mien_error *err)
{
    mien_enrolment items[ENROL_MOST];
    mien_enrolled got[ENROL_MOST];
    size_t at[ENROL_MOST], m = 0;
    double other = 2, unlike = -2;
    mien_status st = enrol_bounds(c, g, n, &other, &unlike, err);
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
    mien_enrolled outcomes[ENROL_MOST];
    mien_error err = MIEN_ERROR_INIT;
    if (!enrol_read_plan(c, plan) || !(g = collection_of(c)))
        return;
    enrol_end(c, g, plan);
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

const api_route api_enrol[] = {
    { "POST", "/v1/people", API_KEY, KEY_ENROL, HTTP_HEAVY, API_MAX_BODY, run_enrol },
    { "POST", "/v1/people/{person}/faces", API_KEY, KEY_ENROL, HTTP_HEAVY, API_MAX_BODY,
      run_enrol_more },
    { 0 },
};
