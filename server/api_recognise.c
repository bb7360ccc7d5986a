/* Pictures in, faces and decisions out: detect, compare, embed, identify, verify. Nothing is kept. */
#include "see.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_TOP = 50, MAX_FACES = 1000 };

/* Scores for those who do not administer are coarse: a fine one would let a caller climb towards a template.
 */
static json_t *score_json(const api_call *c, double similarity)
{
    return rounded(similarity, key_allows(&c->key, KEY_ADMIN, c->collection) ? 6 : 3);
}

/* ---- POST /v1/detect ---- */

static void run_detect(api_call *c)
{
    int64_t most = 0;
    seen s;
    if (!api_arg_int(c, "limit", 0, MAX_FACES, 0, &most) || !see(c, "file", most, &s))
        return;
    json_t *faces = json_array();
    for (size_t i = 0; i < s.n; i++) {
        json_t *face = seen_json(&s, i);
        mien_quality q;
        if (seen_quality(&s, i, &q, NULL) == MIEN_OK) {
            json_object_set_new(face, "quality", quality_json(&q));
            json_object_set_new(face, "reason", json_string(mien_reason_name(mien_quality_reason(&q, NULL))));
        }
        json_array_append_new(faces, face);
    }
    const mien_image_view v = mien_image_view_of(s.image);
    api_ok(
        c, 200,
        json_pack("{s:o,s:i,s:i}", "faces", faces, "width", v.width * s.scale, "height", v.height * s.scale));
    seen_free(&s);
}

/* ---- POST /v1/compare ---- */

/* The crop that the network saw, as a data address. */
static json_t *crop_json(api_call *c, const seen *s)
{
    mien_image *crop = NULL;
    uint8_t *data = NULL;
    size_t n = 0;
    json_t *ret = NULL;
    if (mien_align(c->server->embed, mien_image_view_of(s->image), &s->faces[0], &crop, NULL) == MIEN_OK &&
        mien_image_encode(mien_image_view_of(crop), "jpeg", 90, &data, &n, NULL) == MIEN_OK)
        ret = data_address("image/jpeg", data, n);
    mien_image_data_free(data);
    mien_image_free(crop);
    return ret ? ret : json_null();
}

static json_t *decision_json(api_call *c, const mien_decision *d)
{
    char words[64];
    const mien_estimate e = {
        .value = d->score_fmr, .lo = d->score_fmr, .hi = d->score_fmr, .bound = d->score_fmr_bound
    };
    mien_rate_words(&e, words, sizeof words);
    return json_pack("{s:b,s:o,s:o,s:f,s:f,s:s}", "same", d->same, "similarity", score_json(c, d->similarity),
                     "threshold", rounded(d->threshold, 6), "fmr", d->fmr, "score_fmr", d->score_fmr, "words",
                     words);
}

/* By the collection's own calibration, where it has one that supports the rate; else by the model's table. */
static mien_status decide_pair(api_call *c, double similarity, double fmr, mien_decision *ret, mien_error *err)
{
    const mien_model *model = c->server->embed;
    const mien_curve *curve = collection_curve(c);
    const double rate = fmr > 0 ? fmr : mien_model_info_of(model)->default_fmr;
    mien_estimate threshold, here;
    if (!curve_is_own(c->server, curve) || mien_curve_threshold(curve, rate, &threshold, NULL) ||
        mien_curve_fmr(curve, similarity, &here, NULL))
        return mien_decide(model, similarity, fmr, ret, err);
    *ret = (mien_decision){ .similarity = similarity,
                            .distance = mien_distance_of(similarity),
                            .threshold = threshold.value,
                            .fmr = rate,
                            .score_fmr = here.value,
                            .score_fmr_bound = here.bound,
                            .same = similarity >= threshold.value };
    return MIEN_OK;
}

static bool one_face(api_call *c, const char *field, seen *ret)
{
    if (!see(c, field, 0, ret))
        return false;
    if (ret->n)
        return true;
    api_fail_with(c, 422, "NO_FACE", json_pack("{s:s}", "picture", field), "no face was found in '%s'",
                  field);
    seen_free(ret);
    return false;
}

static void run_compare(api_call *c)
{
    seen s[2] = { { 0 }, { 0 } };
    float *vec[2] = { NULL, NULL };
    double fmr = 0;
    mien_decision d;
    mien_error err = MIEN_ERROR_INIT;
    if (!api_arg_real(c, "fmr", 0, 0.5, 0, &fmr) || !one_face(c, "a", &s[0]) || !one_face(c, "b", &s[1]) ||
        !(vec[0] = seen_embed(c, &s[0], 0)) || !(vec[1] = seen_embed(c, &s[1], 0)))
        goto done;
    const size_t dim = (size_t)mien_model_info_of(c->server->embed)->embedding_len;
    if (decide_pair(c, mien_cosine(vec[0], vec[1], dim), fmr, &d, &err)) {
        api_fail_status(c, &err);
        goto done;
    }
    json_t *body = decision_json(c, &d);
    for (int i = 0; i < 2; i++) {
        json_t *side = seen_json(&s[i], 0);
        json_object_set_new(side, "faces_found", json_integer((json_int_t)s[i].n));
        if (c->has_session)
            json_object_set_new(side, "crop", crop_json(c, &s[i]));
        json_object_set_new(body, i ? "b" : "a", side);
    }
    api_ok(c, 200, body);
done:
    for (int i = 0; i < 2; i++) {
        seen_free(&s[i]);
        free_vec(c, vec[i]);
    }
}

/* ---- POST /v1/embed: templates leave the server only for keys that administer ---- */

static void run_embed(api_call *c)
{
    seen s;
    const size_t dim = (size_t)mien_model_info_of(c->server->embed)->embedding_len;
    if (!see(c, "file", 64, &s))
        return;
    json_t *faces = json_array();
    for (size_t i = 0; i < s.n; i++) {
        float *vec = seen_embed(c, &s, i);
        if (!vec) {
            json_decref(faces);
            seen_free(&s);
            return;
        }
        json_t *face = seen_json(&s, i), *list = json_array();
        for (size_t k = 0; k < dim; k++)
            json_array_append_new(list, json_real((double)vec[k]));
        json_object_set_new(face, "embedding", list);
        json_array_append_new(faces, face);
        free_vec(c, vec);
    }
    const mien_model_info *info = mien_model_info_of(c->server->embed);
    char print[65];
    if (mien_model_fingerprint(c->server->embed, print, NULL))
        print[0] = 0;
    api_ok(c, 200, json_pack("{s:o,s:s,s:s}", "faces", faces, "model", info->name, "fingerprint", print));
    seen_free(&s);
}

/* ---- POST /v1/identify ---- */

typedef struct search {
    mien_gallery *gallery;
    const mien_curve *curve;
    mien_search_size size;
    double fpir, threshold; /* threshold 2: by fpir */
    size_t top;
} search;

static int take_name(void *user, const mien_person *p)
{
    json_t *entry = user;
    json_object_set_new(entry, "name", json_string(p->name));
    return 0;
}

static bool open_search(api_call *c, search *s)
{
    mien_gallery_info info;
    mien_error err = MIEN_ERROR_INIT;
    int64_t top = 1;
    if (!api_arg_int(c, "top", 1, MAX_TOP, 1, &top) || !api_arg_real(c, "fpir", 1e-9, 0.5, 0.01, &s->fpir) ||
        !api_arg_real(c, "threshold", -1, 1, 2, &s->threshold) || !(s->gallery = collection_of(c)))
        return false;
    s->top = (size_t)top;
    s->curve = collection_curve(c);
    if (mien_gallery_info_of(s->gallery, &info, &err)) {
        api_fail_status(c, &err);
        return false;
    }
    s->size = mien_search_size_of(&info);
    return true;
}

static bool decide(const search *s, double similarity, mien_search_decision *ret, mien_error *err)
{
    return !(s->threshold <= 1 ? mien_curve_decide_at(s->curve, similarity, &s->size, s->threshold, ret, err)
                               : mien_curve_decide(s->curve, similarity, &s->size, s->fpir, ret, err));
}

/* One face's answer; NULL: answered with a fault. */
static json_t *identify_one(api_call *c, const search *s, const float *vec)
{
    mien_candidate found[MAX_TOP];
    mien_search_decision d;
    mien_error err = MIEN_ERROR_INIT;
    size_t n = 0;
    char words[256];
    if (mien_gallery_search(s->gallery, vec, 1, s->top, found, &n, &err) ||
        !decide(s, n ? found[0].similarity : -1, &d, &err)) {
        api_fail_status(c, &err);
        return NULL;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *entry = json_pack("{s:I,s:o}", "person", (json_int_t)found[i].person, "similarity",
                                  score_json(c, found[i].similarity));
        if (mien_gallery_person(s->gallery, found[i].person, take_name, entry, &err)) {
            json_decref(entry); /* removed between the search and now */
            continue;
        }
        json_array_append_new(list, entry);
    }
    const json_t *best = json_array_get(list, 0);
    if (d.known && best && mien_gallery_seen(s->gallery, found[0].person, &err))
        err = (mien_error)MIEN_ERROR_INIT; /* a note, not worth failing an answer for */
    if (best || !d.known)
        events_say(c->server, c->collection, d.known ? "recognised" : "unknown",
                   json_pack("{s:o,s:o}", "person", d.known ? json_integer(found[0].person) : json_null(),
                             "similarity", n ? score_json(c, found[0].similarity) : json_null()));
    mien_search_words(&d, words, sizeof words);
    json_t *person = d.known && best ? json_deep_copy(best) : json_null();
    return json_pack("{s:b,s:o,s:o,s:o,s:o,s:b,s:s}", "known", d.known && best, "person", person,
                     "candidates", list, "threshold", rounded(d.threshold, 6), "fpir", estimate_json(&d.fpir),
                     "promised", d.promised, "words", words);
}

static void run_identify(api_call *c)
{
    search find = { 0 };
    seen s;
    int64_t most = 0;
    if (!api_arg_int(c, "limit", 0, MAX_FACES, 0, &most) || !open_search(c, &find) ||
        !see(c, "file", most, &s))
        return;
    json_t *faces = json_array();
    for (size_t i = 0; faces && i < s.n; i++) {
        float *vec = seen_embed(c, &s, i);
        json_t *answer = vec ? identify_one(c, &find, vec) : NULL;
        free_vec(c, vec);
        if (!answer) {
            json_decref(faces);
            seen_free(&s);
            return;
        }
        json_t *face = seen_json(&s, i);
        json_object_update(face, answer);
        json_decref(answer);
        json_array_append_new(faces, face);
    }
    const mien_image_view v = mien_image_view_of(s.image);
    api_ok(c, 200,
           json_pack("{s:o,s:I,s:i,s:i}", "faces", faces, "people", (json_int_t)find.size.n_people, "width",
                     v.width * s.scale, "height", v.height * s.scale));
    seen_free(&s);
}

/* ---- POST /v1/people/{person}/verify ---- */

static void run_verify(api_call *c)
{
    mien_gallery *g = NULL;
    seen s = { 0 };
    mien_decision d;
    mien_error err = MIEN_ERROR_INIT;
    int64_t person = 0;
    double fmr = 0;
    const size_t dim = (size_t)mien_model_info_of(c->server->embed)->embedding_len;
    float *probe = NULL, *template = NULL;
    if (!api_param_id(c, 0, &person) || !api_arg_real(c, "fmr", 0, 0.5, 0, &fmr) || !(g = collection_of(c)) ||
        !one_face(c, "file", &s) || !(probe = seen_embed(c, &s, 0)))
        goto done;
    if (!(template = calloc(dim, sizeof *template))) {
        api_fail(c, 503, "NO_MEMORY", "out of memory");
        goto done;
    }
    if (mien_gallery_template(g, person, template, &err) ||
        decide_pair(c, mien_cosine(probe, template, dim), fmr, &d, &err)) {
        api_fail_status(c, &err);
        goto done;
    }
    json_t *body = decision_json(c, &d);
    json_object_set_new(body, "face", seen_json(&s, 0));
    json_object_set_new(body, "person", json_integer(person));
    api_ok(c, 200, body);
done:
    free_vec(c, probe);
    free_vec(c, template);
    seen_free(&s);
}

const api_route api_recognise[] = {
    { "POST", "/v1/detect", API_KEY, KEY_RECOGNISE, HTTP_HEAVY, API_MAX_BODY, run_detect },
    { "POST", "/v1/compare", API_KEY, KEY_RECOGNISE, HTTP_HEAVY, API_MAX_BODY, run_compare },
    { "POST", "/v1/embed", API_KEY, KEY_ADMIN, HTTP_HEAVY, API_MAX_BODY, run_embed },
    { "POST", "/v1/identify", API_KEY, KEY_RECOGNISE, HTTP_HEAVY, API_MAX_BODY, run_identify },
    { "POST", "/v1/people/{person}/verify", API_KEY, KEY_RECOGNISE, HTTP_HEAVY, API_MAX_BODY,
      run_verify },
    { 0 },
};
