/* The calibration of a collection: which curve is in force, keeping one that a job fitted, going back to the model's
 * own. */
#include "api_calibration.h"
#include "jobs.h"
#include "see.h"
#include <stdlib.h>
#include <string.h>

enum { SMALL = 1 << 20 };

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

/* The curve that a job fitted; NULL: answered. */
static mien_curve *curve_of_job(api_call *c)
{
    const char *id = api_text(c, "job");
    mien_error err = MIEN_ERROR_INIT;
    mien_curve *curve = NULL;
    if (!id) {
        api_fail(c, 400, "BAD_ARGUMENT", "job is the id of a job that calibrated");
        return NULL;
    }
    json_t *result = job_result(c, id, "calibrate");
    if (!result)
        return NULL;
    char *text = json_dumps(json_object_get(result, "calibration"), 0);
    if (!text)
        api_fail(c, 503, "NO_MEMORY", "out of memory");
    else if (mien_curve_of_json(text, strlen(text), &curve, &err))
        api_fail_status(c, &err);
    free(text);
    json_decref(result);
    return curve;
}

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
    if (api_own_collection(c, c->params[0]) && (g = collection_of(c)) && (curve = curve_of_job(c)))
        change(c, g, curve);
    mien_curve_free(curve);
}

static void run_forget(api_call *c)
{
    mien_gallery *g = NULL;
    if (api_own_collection(c, c->params[0]) && (g = collection_of(c)))
        change(c, g, NULL);
}

const api_route api_calibration[] = {
    { "GET", "/v1/collections/{name}/calibration", API_KEY, KEY_READ, HTTP_LIGHT, 0, run_show },
    { "POST", "/v1/collections/{name}/calibration", API_KEY, KEY_ADMIN, HTTP_LIGHT, SMALL, run_keep },
    { "DELETE", "/v1/collections/{name}/calibration", API_KEY, KEY_ADMIN, HTTP_LIGHT, SMALL, run_forget },
    { 0 },
};
