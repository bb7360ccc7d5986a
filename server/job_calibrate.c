/* Fitting a calibration to the people of a set, as a job: what thresholds would hold, beside those that do. It is kept
 * with a collection only when somebody says so (api_calibration.c). */
#include "api_calibration.h"
#include "job_eval.h"
#include "see.h"
#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const double rates[] = { 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6 };
static const double FPIR = 0.01;

/* ---- templates ---- */

/* Templates without gaps, one a picture of a person's folder. */
typedef struct pack {
    float *vecs;
    uint32_t *people;
    size_t n, dim;
} pack;

static mien_status pack_new(const set_people *p, pack *ret, mien_error *err)
{
    *ret = (pack){ calloc(p->n, p->dim * sizeof *ret->vecs), calloc(p->n, sizeof *ret->people), 0, p->dim };
    if (!ret->vecs || !ret->people)
        return eval_fail(err, MIEN_E_NOMEM, "out of memory");
    for (size_t i = 0; i < p->n; i++) {
        if (!p->pictures[i].face || p->pictures[i].person < 0)
            continue;
        memcpy(ret->vecs + ret->n * p->dim, p->vecs + i * p->dim, p->dim * sizeof *p->vecs);
        ret->people[ret->n++] = (uint32_t)p->pictures[i].person;
    }
    return ret->n ? MIEN_OK
                  : eval_fail(err, MIEN_E_EVAL_DATA,
                              "the set has no face in a person's folder: a picture's path is PERSON/FILE");
}

static void pack_free(pack *k)
{
    if (k->vecs)
        sodium_memzero(k->vecs, k->n * k->dim * sizeof *k->vecs);
    free(k->vecs);
    free(k->people);
}

/* ---- how scores are spread ---- */

enum { BINS = 75, MAX_PAIRS = 200000 };
static const double SCORE_LO = -0.5, SCORE_HI = 1;

static json_t *counts_json(const uint64_t *counts)
{
    json_t *list = json_array();
    for (int i = 0; i < BINS; i++)
        json_array_append_new(list, json_integer((json_int_t)counts[i]));
    return list;
}

/* Histograms of both kinds of pairs, of more than MAX_PAIRS a sample; what lies outside is counted at the ends. null:
 * there are no pairs of one person. */
static json_t *scores_json(const pack *k)
{
    uint64_t counts[2][BINS] = { { 0 }, { 0 } };
    int32_t *people = calloc(k->n, sizeof *people);
    mien_eval_choice *pairs = NULL;
    size_t n[2] = { 0, 0 };
    for (size_t i = 0; people && i < k->n; i++)
        people[i] = (int32_t)k->people[i];
    const bool any =
        people && !mien_eval_choose_pairs(people, k->n, MAX_PAIRS, 1, &pairs, &n[0], &n[1], NULL, NULL);
    for (size_t i = 0; any && i < n[0] + n[1]; i++) {
        const double s = mien_cosine(k->vecs + pairs[i].a * k->dim, k->vecs + pairs[i].b * k->dim, k->dim);
        const double at = (s - SCORE_LO) / (SCORE_HI - SCORE_LO) * BINS;
        counts[i >= n[0]][at < 0 ? 0 : at >= BINS ? BINS - 1 : (int)at]++;
    }
    mien_eval_choices_free(pairs);
    free(people);
    return any ? json_pack("{s:f,s:f,s:o,s:o}", "lo", SCORE_LO, "hi", SCORE_HI, "mated", counts_json(counts[0]),
                           "nonmated", counts_json(counts[1]))
               : json_null();
}

/* ---- fitting ---- */

static mien_status fit(job *j, const eval_set *set, mien_curve **ret, json_t **ret_scores, mien_error *err)
{
    const api_server *s = job_server(j);
    mien_curve_fit_opts o = MIEN_CURVE_FIT_OPTS_INIT;
    char fingerprint[65], protocol[SET_NAME_BYTES + 64], date[16] = "";
    const time_t now = time(NULL);
    struct tm tm;
    pack k = { 0 };
    if (gmtime_r(&now, &tm))
        strftime(date, sizeof date, "%Y-%m-%d", &tm);
    snprintf(protocol, sizeof protocol, "own pictures%s%s, most central face", set->info.name[0] ? ", " : "",
             set->info.name);
    mien_status st = mien_model_fingerprint(s->embed, fingerprint, err);
    if (!st)
        st = pack_new(&set->people, &k, err);
    o.model = fingerprint;
    o.protocol = protocol;
    o.date = date;
    o.base = s->curve;
    o.target_fmr = eval_real_arg(j, "fmr", 0);
    job_say(j, "comparing all pictures", 0, 0, NULL);
    if (!st)
        st = mien_curve_fit(k.vecs, k.people, k.n, k.dim, &o, ret, err);
    if (!st)
        st = eval_go_on(j, err);
    if (!st)
        *ret_scores = scores_json(&k);
    pack_free(&k);
    return st;
}

/* ---- what would change ---- */

static json_t *threshold_json(const mien_curve *curve, double fmr)
{
    mien_estimate t;
    return mien_curve_threshold(curve, fmr, &t, NULL) ? json_null() : estimate_json(&t);
}

static json_t *thresholds_json(const mien_curve *before, const mien_curve *now)
{
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        json_array_append_new(list, json_pack("{s:f,s:o,s:o}", "fmr", rates[i], "before",
                                              threshold_json(before, rates[i]), "now", threshold_json(now, rates[i])));
    return list;
}

static json_t *search_json(const mien_curve *curve, const mien_search_size *size)
{
    mien_estimate t;
    return mien_curve_search_threshold(curve, size, FPIR, &t, NULL) ? json_null() : estimate_json(&t);
}

/* In a search: of the collection as it is, and of greater ones. */
static json_t *searches_json(const mien_curve *before, const mien_curve *now, const mien_search_size *own)
{
    static const uint64_t sizes[] = { 10, 100, 1000, 10000, 100000 };
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes + 1; i++) {
        const mien_search_size size = i ? (mien_search_size){ sizes[i - 1], own->pictures } : *own;
        if (size.n_people == 0)
            continue;
        json_array_append_new(list, json_pack("{s:I,s:f,s:b,s:f,s:o,s:o}", "people", (json_int_t)size.n_people,
                                              "pictures", size.pictures, "collection", i == 0, "fpir", FPIR, "before",
                                              search_json(before, &size), "now", search_json(now, &size)));
    }
    return list;
}

/* What the threshold that holds lets through among these people. */
static json_t *in_force_json(const api_server *s, const mien_curve *before, const mien_curve *now)
{
    const double fmr = mien_model_info_of(s->embed)->default_fmr;
    mien_estimate t, here;
    if (mien_curve_threshold(before, fmr, &t, NULL) || mien_curve_fmr(now, t.value, &here, NULL))
        return json_null();
    return json_pack("{s:f,s:f,s:o}", "threshold", t.value, "fmr", fmr, "fmr_here", estimate_json(&here));
}

/* An empty size where the collection cannot be opened: its rows are left out. */
static mien_search_size size_of(job *j)
{
    mien_gallery *g = NULL;
    mien_gallery_info info;
    mien_search_size size = { 0, 1 };
    if (!collection_open(job_server(j), job_collection(j), "evaluation", &g, NULL) &&
        !mien_gallery_info_of(g, &info, NULL))
        size = mien_search_size_of(&info);
    mien_gallery_free(g);
    return size;
}

mien_status job_calibrate(job *j, json_t **ret, mien_error *err)
{
    api_server *s = job_server(j);
    eval_set set;
    mien_curve *now = NULL;
    json_t *scores = NULL;
    char *text = NULL;
    mien_status st = eval_set_open(j, &set, err);
    if (st)
        return st;
    st = fit(j, &set, &now, &scores, err);
    if (!st)
        st = mien_curve_to_json(now, &text, err);
    if (!st)
        st = eval_offer(j, "calibration.json", text, err);
    if (!st) {
        const mien_curve *before = collection_curve_of(s, job_collection(j));
        const mien_search_size size = size_of(j);
        *ret = json_pack("{s:s,s:s,s:b,s:o,s:o,s:o,s:o,s:o,s:O,s:o}", "collection", job_collection(j), "set", set.info.id,
                         "before_own", curve_is_own(s, before), "curve", calibration_json(now, true), "thresholds",
                         thresholds_json(before, now), "searches", searches_json(before, now, &size), "in_force",
                         in_force_json(s, before, now), "no_face", eval_no_face(&set), "scores", scores,
                         "calibration", json_loads(text, 0, NULL));
    }
    json_decref(scores);
    mien_curve_text_free(text);
    mien_curve_free(now);
    eval_set_close(&set);
    return st;
}
