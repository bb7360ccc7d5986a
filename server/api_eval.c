/* Measuring and calibrating on people of one's own: the calls that hand the work in (see job_eval.h). */
#include "job_eval.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PAIRS = 1000000, PAIRS = 200000, SMALL = 1 << 20 };

/* A text of the body, as a form's file too; lent. NULL: none. */
static const char *long_text(api_call *c, const char *name, size_t *ret_bytes, const char **ret_file)
{
    const multipart_part *p = c->form ? multipart_find(c->form, name) : NULL;
    const json_t *v = json_object_get(c->json, name);
    *ret_file = p ? p->file : "";
    *ret_bytes = p ? p->bytes : json_string_length(v);
    return p ? (const char *)p->data : json_string_value(v);
}

static bool flag(api_call *c, const char *name)
{
    const char *text = api_text(c, name);
    return json_is_true(json_object_get(c->json, name)) || (text && (!strcmp(text, "1") || !strcmp(text, "true")));
}

/* One of the words, the first where there is none; NULL: answered. */
static const char *word(api_call *c, const char *name, const char *first, const char *second)
{
    const char *text = api_text(c, name);
    if (!text || !*text || !strcmp(text, first))
        return first;
    if (!strcmp(text, second))
        return second;
    api_fail(c, 400, "BAD_ARGUMENT", "%s is '%s' or '%s'", name, first, second);
    return NULL;
}

/* The set that the call names, as a new object of arguments; NULL: answered. */
static json_t *set_args(api_call *c)
{
    const char *id = api_text(c, "set");
    set_info info;
    if (!id || !*id)
        api_fail(c, 400, "BAD_ARGUMENT", "set is missing: the id of a set of pictures (POST /v1/sets)");
    else if (!set_find(c->server, &c->key, id, &info))
        api_fail(c, 404, "NOT_FOUND", "there is no such set, or its time is over");
    else
        return json_pack("{s:s,s:s,s:s}", "set", info.id, "name", info.name, "collection", c->collection);
    return NULL;
}

/* A collection that is not there is said at once, not when the job runs. */
static bool has_collection(api_call *c)
{
    return collection_of(c) != NULL;
}

/* ---- POST /v1/eval ---- */

static void take_scores(api_call *c, const char *text, size_t bytes, const char *file)
{
    const char *direction = api_text(c, "direction"), *matcher = api_text(c, "matcher");
    double threshold = NAN;
    if (direction && *direction && !(direction = word(c, "direction", "higher", "lower")))
        return;
    if (!api_arg_real(c, "threshold", -1e300, 1e300, NAN, &threshold))
        return;
    json_t *args = json_pack("{s:s,s:s}", "mode", "scores", "name", *file ? file : "scores");
    if (direction && *direction)
        json_object_set_new(args, "direction", json_string(direction));
    if (matcher && *matcher)
        json_object_set_new(args, "matcher", json_string(matcher));
    if (isfinite(threshold))
        json_object_set_new(args, "threshold", json_real(threshold));
    job_take_with(c, "eval", job_scores, args, text, bytes);
}

static void take_searches(api_call *c)
{
    double fpir = 0;
    const char *against = word(c, "against", "set", "collection");
    json_t *args = NULL;
    if (!against || !api_arg_real(c, "fpir", 1e-9, 0.5, 0.01, &fpir) || !has_collection(c) || !(args = set_args(c)))
        return;
    json_object_set_new(args, "mode", json_string("identify"));
    json_object_set_new(args, "against", json_string(against));
    json_object_set_new(args, "fpir", json_real(fpir));
    job_take(c, "eval", job_identify, args);
}

static void take_pairs(api_call *c)
{
    int64_t max_pairs = PAIRS;
    double fmr = 0;
    size_t bytes = 0;
    const char *file = "", *pairs = long_text(c, "pairs", &bytes, &file);
    json_t *args = NULL;
    if (!api_arg_int(c, "max_pairs", 1, MAX_PAIRS, PAIRS, &max_pairs) ||
        !api_arg_real(c, "fmr", 1e-9, 0.5, 0, &fmr) || !has_collection(c) || !(args = set_args(c)))
        return;
    json_object_set_new(args, "mode", json_string("verify"));
    json_object_set_new(args, "max_pairs", json_integer(max_pairs));
    json_object_set_new(args, "pictures", json_boolean(flag(c, "pictures")));
    if (fmr > 0)
        json_object_set_new(args, "fmr", json_real(fmr));
    if (pairs && bytes)
        json_object_set_new(args, "pairs", json_string(*file ? file : "pairs"));
    job_take_with(c, "eval", job_verify, args, bytes ? pairs : NULL, bytes);
}

static void run_eval(api_call *c)
{
    size_t bytes = 0;
    const char *file = "", *scores = long_text(c, "scores", &bytes, &file), *mode = NULL;
    if (scores)
        take_scores(c, scores, bytes, file);
    else if ((mode = word(c, "mode", "verify", "identify"))) {
        if (!strcmp(mode, "identify"))
            take_searches(c);
        else
            take_pairs(c);
    }
}

/* ---- POST /v1/calibrate ---- */

static void run_calibrate(api_call *c)
{
    double fmr = 0;
    json_t *args = NULL;
    if (!api_arg_real(c, "fmr", 1e-12, 0.2, 0, &fmr) || !has_collection(c) || !(args = set_args(c)))
        return;
    if (fmr > 0)
        json_object_set_new(args, "fmr", json_real(fmr));
    job_take(c, "calibrate", job_calibrate, args);
}

const api_route api_eval[] = {
    { "POST", "/v1/eval", API_KEY, KEY_ADMIN, HTTP_LIGHT, API_MAX_BODY, run_eval },
    { "POST", "/v1/calibrate", API_KEY, KEY_ADMIN, HTTP_LIGHT, SMALL, run_calibrate },
    { 0 },
};
