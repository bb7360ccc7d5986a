/* CompreFace's REST interface over our galleries: its errors, similarity, recognition, detection and verification
 * (subjects and faces: compat_people.c).
 * docs/compreface.md lists what differs. A similarity keeps that server's shape, (tanh((c0 - d) c1) + 1) / 2
 * over the Euclidean distance d of unit vectors, with c0 the distance at our calibrated threshold, so that
 * 0.5 is where the decision turns; below it a subject is only named to keys that ask for "nearest subject
 * always".
 */
#include "compat.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PREDICTIONS = 50 };
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
    const mien_search_size size = mien_search_size_of(&info);
    if (size.n_people && mien_curve_decide(curve, -1, &size, 0.01, &d, &err) == MIEN_OK)
        *ret = d.threshold;
    return true;
}

/* ---- a face as they write it ---- */

bool compat_read_wishes(api_call *c, wishes *w)
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
bool compat_see_some(api_call *c, const char *field, const wishes *w, seen *ret)
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
                                  json_pack("{s:o,s:o}", "subject", compat_name_of(g, found[i].person), "similarity",
                                            rounded(familiar(found[i].similarity, threshold), 5)));
    return list;
}

static void run_recognize(api_call *c)
{
    wishes w;
    seen s = { 0 };
    double threshold = 0;
    mien_gallery *g = NULL;
    if (!compat_read_wishes(c, &w) || !may_have_embeddings(c, &w) || !(g = collection_of(c)) ||
        !search_threshold(c, g, &threshold) || !compat_see_some(c, "file", &w, &s))
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
    if (!compat_read_wishes(c, &w) || !may_have_embeddings(c, &w) || !compat_see_some(c, "file", &w, &s))
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
    if (!compat_image_param(c, 0, &id) || !compat_read_wishes(c, &w) || !(g = collection_of(c)) ||
        !compat_see_some(c, "file", &w, &s))
        return;
    if (!(stored = calloc(dim, sizeof *stored)) || mien_gallery_face_template(g, id, stored, &err) ||
        !(what = compat_described(g, id))) {
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
    if (!compat_read_wishes(c, &w) || !compat_see_some(c, "source_image", &w, &a))
        return;
    if (!compat_see_some(c, "target_image", &w, &b) || !(va = seen_embed(c, &a, 0)))
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
    if (!vec || !compat_read_wishes(c, &w) || !(g = collection_of(c)) || !search_threshold(c, g, &threshold))
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
    if (one && compat_image_param(c, 0, &id) && (g = collection_of(c))) {
        if (mien_gallery_face_template(g, id, one, &err))
            api_fail(c, 404, "NOT_FOUND", "Image with id %s not found", c->params[0]);
        else
            answer_similarities(c, one, json_object_get(c->json, "embeddings"));
    }
    free_vec(c, one);
}

const api_route api_compat[] = {
    { "POST", COMPAT_RECOGNITION "/recognize", API_COMPAT, KEY_RECOGNISE, HTTP_HEAVY, API_MAX_BODY, run_recognize },
    { "POST", COMPAT_RECOGNITION "/faces/{image_id}/verify", API_COMPAT, KEY_RECOGNISE, HTTP_HEAVY, API_MAX_BODY,
      run_verify_face },
    { "POST", COMPAT_RECOGNITION "/embeddings/recognize", API_COMPAT, KEY_RECOGNISE, HTTP_LIGHT, COMPAT_SMALL,
      run_recognize_embeddings },
    { "POST", COMPAT_RECOGNITION "/embeddings/faces/{image_id}/verify", API_COMPAT, KEY_RECOGNISE, HTTP_LIGHT, COMPAT_SMALL,
      run_verify_face_embeddings },
    { "POST", "/api/v1/detection/detect", API_COMPAT, KEY_RECOGNISE, HTTP_HEAVY, API_MAX_BODY,
      run_detect },
    { "POST", "/api/v1/verification/verify", API_COMPAT, KEY_RECOGNISE, HTTP_HEAVY, API_MAX_BODY,
      run_verify_two },
    { "POST", "/api/v1/verification/embeddings/verify", API_COMPAT, KEY_RECOGNISE, HTTP_LIGHT, COMPAT_SMALL,
      run_verify_embeddings },
    { 0 },
};
