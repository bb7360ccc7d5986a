/* The calibration of a collection: which curve is in force, keeping one that a job fitted, going back to the model's
 * own. */
#include "api_calibration.h"
#include "jobs.h"
#include "see.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { SMALL = 1 << 20, MAX_BINS = 1000, DIGEST_HEX = 65 };

/* ---- the scores behind a calibration ---- */

/* A text of the gallery beside the one that holds the curve. It names the curve by its digest: what another program
 * has calibrated since has no scores. */
static const char scores_key[] = "calibration_scores";

static bool digest_of(const mien_curve *curve, char ret[DIGEST_HEX])
{
    uint8_t digest[32];
    char *text = NULL;
    if (mien_curve_to_json(curve, &text, NULL))
        return false;
    crypto_generichash(digest, sizeof digest, (const uint8_t *)text, strlen(text), NULL, 0);
    sodium_bin2hex(ret, DIGEST_HEX, digest, sizeof digest);
    mien_curve_text_free(text);
    return true;
}

static mien_status keep_scores(mien_gallery *g, const mien_curve *curve, const json_t *scores, mien_error *err)
{
    char digest[DIGEST_HEX];
    json_t *v = json_is_object(scores) && digest_of(curve, digest) ? json_copy((json_t *)scores) : NULL;
    if (v)
        json_object_set_new(v, "curve", json_string(digest));
    char *text = v ? json_dumps(v, JSON_COMPACT) : NULL;
    const mien_status st = text ? mien_gallery_set_text(g, scores_key, text, err) : MIEN_OK;
    free(text);
    json_decref(v);
    return st;
}

static bool counts_ok(const json_t *list)
{
    size_t i;
    const json_t *n;
    json_array_foreach(list, i, n)
        if (!json_is_integer(n) || json_integer_value(n) < 0)
            return false;
    return json_array_size(list) > 0 && json_array_size(list) <= MAX_BINS;
}

/* null where there are none of this curve. */
static json_t *scores_of(mien_gallery *g, const mien_curve *curve)
{
    char *text = NULL, digest[DIGEST_HEX];
    if (mien_gallery_text(g, scores_key, &text, NULL))
        return json_null();
    json_t *v = json_loads(text, JSON_REJECT_DUPLICATES, NULL), *ret = NULL;
    const char *of = json_string_value(json_object_get(v, "curve"));
    mien_text_free(text);
    if (of && digest_of(curve, digest) && !strcmp(of, digest) && counts_ok(json_object_get(v, "mated")) &&
        counts_ok(json_object_get(v, "nonmated")) && json_is_number(json_object_get(v, "lo")) &&
        json_is_number(json_object_get(v, "hi")))
        ret = json_pack("{s:O,s:O,s:O,s:O}", "lo", json_object_get(v, "lo"), "hi", json_object_get(v, "hi"), "mated",
                        json_object_get(v, "mated"), "nonmated", json_object_get(v, "nonmated"));
    json_decref(v);
    return ret ? ret : json_null();
}

/* ---- as JSON ---- */

static json_t *rate_json(const mien_estimate *e)
{
    return e->value < 0 ? json_null() : estimate_json(e);
}

json_t *calibration_json(const mien_curve *curve, bool own)
{
    const mien_curve_info *i = mien_curve_info_of(curve);
    json_t *points = json_array();
    for (size_t k = 0; k < i->n_points; k++)
        json_array_append_new(points, json_pack("{s:o,s:o,s:o}", "threshold", rounded(i->points[k].threshold, 6),
                                                "fmr", rate_json(&i->points[k].fmr), "fnmr",
                                                rate_json(&i->points[k].fnmr)));
    return json_pack("{s:b,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:o,s:o}", "own", own, "model", i->model, "protocol",
                     i->protocol, "date", i->date, "people", (json_int_t)i->n_people, "pictures",
                     (json_int_t)i->n_pictures, "mated", (json_int_t)i->n_mated, "nonmated",
                     (json_int_t)i->n_nonmated, "independent", rounded(i->n_independent, 1), "points", points);
}

/* The curve in force, with the threshold at the model's default rate and the one of a search. */
static void answer(api_call *c, mien_gallery *g, int status)
{
    const mien_curve *curve = collection_curve(c);
    const double fmr = mien_model_info_of(c->server->embed)->default_fmr;
    mien_gallery_info info;
    mien_search_decision d;
    mien_estimate t;
    mien_error err = MIEN_ERROR_INIT;
    mien_status st = mien_gallery_info_of(g, &info, &err);
    const mien_search_size size = st ? (mien_search_size){ 0, 1 } : mien_search_size_of(&info);
    if (!st)
        st = mien_curve_decide(curve, -1, &size, 0.01, &d, &err);
    if (st) {
        api_fail_status(c, &err);
        return;
    }
    const bool own = curve_is_own(c->server, curve), known = mien_curve_threshold(curve, fmr, &t, NULL) == MIEN_OK;
    json_t *j = calibration_json(curve, own);
    json_object_set_new(j, "collection", json_string(c->collection));
    json_object_set_new(j, "scores", own ? scores_of(g, curve) : json_null());
    json_object_set_new(j, "default_fmr", json_real(fmr));
    json_object_set_new(j, "threshold", known ? estimate_json(&t) : json_null());
    json_object_set_new(j, "search",
                        size.n_people ? json_pack("{s:I,s:f,s:o,s:o,s:b}", "people", (json_int_t)size.n_people,
                                                  "pictures", size.pictures, "threshold", rounded(d.threshold, 6),
                                                  "fpir", estimate_json(&d.fpir), "promised", d.promised)
                                      : json_null());
    api_ok(c, status, j);
}

static void run_show(api_call *c)
{
    mien_gallery *g = NULL;
    if (api_own_collection(c, c->params[0]) && (g = collection_of(c)))
        answer(c, g, 200);
}

/* ---- changing it ---- */

/* The result of a job that fitted a curve, and the curve; NULL: answered. */
static json_t *fitted(api_call *c, mien_curve **ret)
{
    const char *id = api_text(c, "job");
    mien_error err = MIEN_ERROR_INIT;
    if (!id) {
        api_fail(c, 400, "BAD_ARGUMENT", "job is the id of a job that calibrated");
        return NULL;
    }
    json_t *result = job_result(c, id, "calibrate");
    char *text = result ? json_dumps(json_object_get(result, "calibration"), 0) : NULL;
    if (result && !text)
        api_fail(c, 503, "NO_MEMORY", "out of memory");
    else if (result && mien_curve_of_json(text, strlen(text), ret, &err))
        api_fail_status(c, &err);
    free(text);
    if (*ret)
        return result;
    json_decref(result);
    return NULL;
}

/* NULL: back to the model's own. */
static void change(api_call *c, mien_gallery *g, const mien_curve *curve)
{
    mien_error err = MIEN_ERROR_INIT;
    if (collection_calibrate(c, g, curve, &err)) {
        api_fail_status(c, &err);
        return;
    }
    events_say(c->server, c->collection, "calibrated", json_pack("{s:b}", "own", curve != NULL));
    answer(c, g, 200);
}

static void run_keep(api_call *c)
{
    mien_gallery *g = NULL;
    mien_curve *curve = NULL;
    mien_error err = MIEN_ERROR_INIT;
    json_t *result = NULL;
    if (!api_own_collection(c, c->params[0]) || !(g = collection_of(c)) || !(result = fitted(c, &curve)))
        return;
    if (keep_scores(g, curve, json_object_get(result, "scores"), &err))
        api_fail_status(c, &err);
    else
        change(c, g, curve);
    json_decref(result);
    mien_curve_free(curve);
}

static void run_forget(api_call *c)
{
    mien_gallery *g = NULL;
    mien_error err = MIEN_ERROR_INIT;
    char *text = NULL;
    if (!api_own_collection(c, c->params[0]) || !(g = collection_of(c)))
        return;
    if (!mien_gallery_text(g, scores_key, &text, NULL) && mien_gallery_set_text(g, scores_key, NULL, &err))
        api_fail_status(c, &err);
    else
        change(c, g, NULL);
    mien_text_free(text);
}

const api_route api_calibration[] = {
    { "GET", "/v1/collections/{name}/calibration", API_KEY, KEY_READ, HTTP_LIGHT, 0, run_show },
    { "POST", "/v1/collections/{name}/calibration", API_KEY, KEY_ADMIN, HTTP_LIGHT, SMALL, run_keep },
    { "DELETE", "/v1/collections/{name}/calibration", API_KEY, KEY_ADMIN, HTTP_LIGHT, SMALL, run_forget },
    { 0 },
};
