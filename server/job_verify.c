/* Verification measured as a job: the people of a set against each other, the pairs of a list, or scores of any matcher.
 *
 * A set's pairs are all there are, or of each kind a sample (mien_eval_choose_pairs). Decided is at the threshold in
 * force, the collection's own calibration or the model's: one chosen on the same people would flatter. A picture
 * without a face is a failure to acquire: its pairs are decided "different" and left out of FMR and FNMR.
 */
#include "job_eval.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PAIRS = 200000, SAY_EVERY = 4096, REPORT_TEXT = 256 };

/* One pair of pictures of the set. */
typedef struct pair {
    uint32_t a, b;
    int mated, fold;
} pair;

typedef struct verify {
    job *job;
    eval_set set;
    pair *pairs;
    size_t n;
    uint64_t total[2]; /* mated and non-mated there would be; 0: all were taken */
    eval_noted_rows bad;
    mien_eval_table *table;
    mien_evaluation *evaluation;
    double threshold;
    char from[REPORT_TEXT]; /* where it comes from; "" */
    double start_ms;
} verify;

/* ---- which pairs ---- */

static mien_status take_all(verify *v, mien_error *err)
{
    const set_people *p = &v->set.people;
    int32_t *people = calloc(p->n, sizeof *people);
    mien_eval_choice *choices = NULL;
    size_t n[2] = { 0, 0 };
    if (!people)
        return eval_fail(err, MIEN_E_NOMEM, "out of memory");
    for (size_t i = 0; i < p->n; i++)
        people[i] = p->pictures[i].person;
    mien_status st = mien_eval_choose_pairs(people, p->n, eval_count_arg(v->job, "max_pairs", MAX_PAIRS), 1, &choices,
                                            &n[0], &n[1], v->total, err);
    free(people);
    if (!st && !(v->pairs = calloc(n[0] + n[1], sizeof *v->pairs)))
        st = eval_fail(err, MIEN_E_NOMEM, "out of memory");
    for (size_t i = 0; !st && i < n[0] + n[1]; i++)
        v->pairs[v->n++] = (pair){ choices[i].a, choices[i].b, i < n[0], -1 };
    mien_eval_choices_free(choices);
    return st;
}

static void miss(verify *v, const char *path)
{
    char why[REPORT_TEXT];
    snprintf(why, sizeof why, "%.180s is no picture of the set", path);
    eval_note_row(0, why, &v->bad);
}

/* A list that does not tell mated from non-mated goes by the folders. */
static bool tells(const mien_eval_table *t)
{
    for (size_t i = 0; i < mien_eval_table_rows(t); i++)
        if (mien_eval_table_row(t, i).mated)
            return true;
    return false;
}

static void take_rows(verify *v, const mien_eval_table *t)
{
    const set_people *p = &v->set.people;
    const bool told = tells(t);
    for (size_t i = 0; i < mien_eval_table_rows(t); i++) {
        const mien_eval_row r = mien_eval_table_row(t, i);
        const size_t a = eval_set_find(&v->set, r.item_a), b = eval_set_find(&v->set, r.item_b);
        if (a == p->n || b == p->n) {
            miss(v, a == p->n ? r.item_a : r.item_b);
            continue;
        }
        const int32_t x = p->pictures[a].person, y = p->pictures[b].person;
        v->pairs[v->n++] = (pair){ (uint32_t)a, (uint32_t)b, told ? r.mated : x >= 0 && x == y, r.fold };
    }
}

static mien_status take_list(verify *v, mien_error *err)
{
    size_t bytes = 0;
    const char *text = job_input(v->job, &bytes);
    mien_eval_csv_opts o = MIEN_EVAL_CSV_OPTS_INIT;
    mien_eval_table *list = NULL;
    o.pairs_only = 2;
    o.bad_row = eval_note_row;
    o.user = &v->bad;
    mien_status st = mien_eval_table_parse(text, bytes, &o, &list, NULL, err);
    if (!st && !(v->pairs = calloc(mien_eval_table_rows(list), sizeof *v->pairs)))
        st = eval_fail(err, MIEN_E_NOMEM, "out of memory");
    if (!st)
        take_rows(v, list);
    mien_eval_table_free(list);
    if (!st && v->n == 0)
        st = eval_fail(err, MIEN_E_EVAL_DATA, "no pair of the list is of pictures of the set: a path is PERSON/FILE, as sent");
    return st;
}

/* ---- the table ---- */

static const char *name_of(const set_people *p, size_t picture)
{
    return p->pictures[picture].person < 0 ? NULL : p->names[p->pictures[picture].person];
}

static mien_status compare(verify *v, mien_error *err)
{
    const set_people *p = &v->set.people;
    mien_status st = mien_eval_table_new(NULL, &v->table, err);
    for (size_t i = 0; i < v->n && !st; i++) {
        const pair *q = &v->pairs[i];
        mien_eval_row row = { .mated = q->mated,
                              .fold = q->fold,
                              .person_a = name_of(p, q->a),
                              .person_b = name_of(p, q->b),
                              .item_a = p->pictures[q->a].path,
                              .item_b = p->pictures[q->b].path };
        row.failed = !p->pictures[q->a].face || !p->pictures[q->b].face;
        if (!row.failed)
            row.score = mien_cosine(p->vecs + q->a * p->dim, p->vecs + q->b * p->dim, p->dim);
        if (row.person_a && row.person_b && !strcmp(row.person_a, row.person_b) != !!q->mated)
            row.person_a = row.person_b = NULL; /* the list knows better than the folders */
        st = mien_eval_table_add(v->table, &row, err);
        if (!st && i % SAY_EVERY == 0) {
            job_say(v->job, "comparing pairs", i, v->n, NULL);
            st = eval_go_on(v->job, err);
        }
    }
    return st;
}

/* ---- deciding and measuring ---- */

/* The threshold in force for the rate asked for, as decisions between two pictures take it (decide_pair() in
 * api_recognise.c); none where the model has none and no rate was asked for. */
static mien_status choose_threshold(verify *v, mien_error *err)
{
    api_server *s = job_server(v->job);
    const mien_model_info *info = mien_model_info_of(s->embed);
    const char *collection = job_collection(v->job);
    const mien_curve *curve = collection_curve_of(s, collection);
    const double asked = eval_real_arg(v->job, "fmr", 0), fmr = asked > 0 ? asked : info->default_fmr;
    mien_estimate t;
    v->threshold = NAN;
    if (curve_is_own(s, curve) && !mien_curve_threshold(curve, fmr, &t, NULL)) {
        v->threshold = t.value;
        snprintf(v->from, sizeof v->from, "the calibration of the collection %s, at an FMR of %g", collection, fmr);
        return MIEN_OK;
    }
    const mien_status st = mien_model_threshold(s->embed, fmr, &v->threshold, err);
    if (!st)
        snprintf(v->from, sizeof v->from, "the calibration of the model %s, at an FMR of %g", info->name, fmr);
    else
        v->threshold = NAN;
    return st && asked > 0 ? st : MIEN_OK;
}

static mien_status measure(verify *v, mien_error *err)
{
    mien_eval_opts o = MIEN_EVAL_OPTS_INIT;
    o.threshold = v->threshold;
    o.threads = 1; /* recognition goes on beside it */
    job_say(v->job, "measuring", 0, 0, NULL);
    const mien_status st = mien_eval_measure(v->table, &o, &v->evaluation, err);
    return st ? st : eval_go_on(v->job, err);
}

/* ---- the report ---- */

/* The two pictures of a row. */
static void pictures_of(const verify *v, size_t row, const set_picture *ret[2])
{
    ret[0] = &v->set.people.pictures[v->pairs[row].a];
    ret[1] = &v->set.people.pictures[v->pairs[row].b];
}

/* Crops of the worst errors; a missing one is left out. */
static mien_eval_picture *crops_new(const verify *v)
{
    const mien_eval_summary *s = mien_evaluation_summary(v->evaluation);
    const size_t n = s->n_false_matches + s->n_false_nonmatches;
    mien_eval_picture *crops = calloc(2 * n + 1, sizeof *crops);
    for (size_t i = 0; crops && i < 2 * n; i++) {
        const set_picture *two[2];
        const size_t k = i / 2;
        uint8_t *data = NULL;
        pictures_of(v, k < s->n_false_matches ? s->false_matches[k] : s->false_nonmatches[k - s->n_false_matches],
                    two);
        if (!mien_album_crop(v->set.album, two[i % 2]->face, &data, &crops[i].bytes, NULL))
            crops[i].jpeg = data;
    }
    return crops;
}

static void crops_free(mien_eval_picture *crops, const verify *v)
{
    const mien_eval_summary *s = mien_evaluation_summary(v->evaluation);
    for (size_t i = 0; crops && i < 2 * (s->n_false_matches + s->n_false_nonmatches); i++)
        mien_image_data_free((uint8_t *)(uintptr_t)crops[i].jpeg);
    free(crops);
}

static mien_status report(const verify *v, const mien_eval_json_opts *told, mien_error *err)
{
    char path[FOLDER_PATH_BYTES], pictures[REPORT_TEXT], pairs[REPORT_TEXT];
    mien_eval_report_opts o = MIEN_EVAL_REPORT_OPTS_INIT;
    mien_eval_entry entries[5];
    size_t n = 0;
    entries[n++] = (mien_eval_entry){ "Data", told->data };
    snprintf(pictures, sizeof pictures, "%zu; no face found in %zu", told->n_images, told->n_no_face);
    if (told->n_images)
        entries[n++] = (mien_eval_entry){ "Pictures", pictures };
    snprintf(pairs, sizeof pairs,
             "%llu mated, %llu non-mated; of each kind a stratified sample was compared where there were too many",
             (unsigned long long)told->total_mated, (unsigned long long)told->total_nonmated);
    if (told->total_nonmated)
        entries[n++] = (mien_eval_entry){ "Pairs there are", pairs };
    if (told->matcher)
        entries[n++] = (mien_eval_entry){ "Model", told->matcher };
    if (told->fingerprint)
        entries[n++] = (mien_eval_entry){ "Its fingerprint", told->fingerprint };
    o.matcher = told->matcher;
    o.threshold_from = told->threshold_from;
    o.entries = entries;
    o.n_entries = n;
    mien_status st = eval_path(v->job, "report.html", path, err);
    if (st)
        return st;
    job_say(v->job, "writing the report", 0, 0, NULL);
    mien_eval_picture *crops =
        v->pairs && json_is_true(json_object_get(job_args(v->job), "pictures")) ? crops_new(v) : NULL;
    o.pictures = crops;
    st = mien_eval_report(v->evaluation, &o, path, err);
    crops_free(crops, v);
    if (!st)
        job_offer(v->job, "report.html", "text/html");
    return st;
}

/* ---- the result ---- */

/* Which faces of the set a row of the worst errors shows. */
static void add_faces(const verify *v, json_t *list)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        const set_picture *two[2];
        pictures_of(v, (size_t)json_integer_value(json_object_get(item, "pair")) - 1, two);
        json_object_set_new(item, "face_a", json_integer(two[0]->face));
        json_object_set_new(item, "face_b", json_integer(two[1]->face));
    }
}

static mien_status result(verify *v, mien_eval_json_opts *told, json_t **ret, mien_error *err)
{
    char *text = NULL;
    told->seconds = (http_now_ms() - v->start_ms) / 1e3;
    mien_status st = mien_evaluation_json(v->evaluation, told, &text, err);
    if (!st)
        st = eval_offer(v->job, "figures.json", text, err);
    mien_eval_text_free(text);
    text = NULL;
    told->without_scores = 1; /* they are in the file: what the page asks for stays small */
    if (!st)
        st = mien_evaluation_json(v->evaluation, told, &text, err);
    json_t *j = st ? NULL : json_loads(text, 0, NULL);
    mien_eval_text_free(text);
    if (!st && !j)
        st = eval_fail(err, MIEN_E_NOMEM, "out of memory");
    if (!st && v->pairs) {
        add_faces(v, json_object_get(j, "false_matches"));
        add_faces(v, json_object_get(j, "false_nonmatches"));
        json_object_set_new(j, "set", json_string(v->set.info.id));
        json_object_set_new(j, "no_face", eval_no_face(&v->set));
    }
    if (!st) {
        json_object_set_new(j, "mode", json_string(v->pairs ? "verify" : "scores"));
        json_object_set(j, "bad_row_list", v->bad.list);
        *ret = j;
    }
    return st;
}

static mien_status finish(verify *v, mien_eval_json_opts *told, json_t **ret, mien_error *err)
{
    told->threshold_from = v->from[0] ? v->from : NULL;
    told->n_bad_rows = v->bad.n;
    mien_status st = measure(v, err);
    if (!st)
        st = report(v, told, err);
    return st ? st : result(v, told, ret, err);
}

static void verify_clear(verify *v)
{
    mien_evaluation_free(v->evaluation);
    mien_eval_table_free(v->table);
    json_decref(v->bad.list);
    free(v->pairs);
    eval_set_close(&v->set);
}

mien_status job_verify(job *j, json_t **ret, mien_error *err)
{
    size_t bytes = 0;
    char fingerprint[65];
    const bool list = job_input(j, &bytes) != NULL;
    verify v = { .job = j, .bad = { 0, json_array() }, .start_ms = http_now_ms() };
    const mien_model *model = job_server(j)->embed;
    mien_eval_json_opts told = MIEN_EVAL_JSON_OPTS_INIT;
    mien_status st = mien_model_fingerprint(model, fingerprint, err);
    if (!st)
        st = eval_set_open(j, &v.set, err);
    if (!st)
        st = list ? take_list(&v, err) : take_all(&v, err);
    if (!st)
        st = choose_threshold(&v, err);
    if (!st)
        st = compare(&v, err);
    if (!st) {
        told.kind = list ? "pairs" : "folder";
        told.data = v.set.info.name;
        told.matcher = mien_model_info_of(model)->name;
        told.fingerprint = fingerprint;
        told.n_images = v.set.people.n;
        told.n_no_face = v.set.people.n_no_face;
        told.total_mated = v.total[0];
        told.total_nonmated = v.total[1];
        st = finish(&v, &told, ret, err);
    }
    verify_clear(&v);
    return st;
}

mien_status job_scores(job *j, json_t **ret, mien_error *err)
{
    size_t bytes = 0;
    const char *text = job_input(j, &bytes), *direction = eval_text_arg(j, "direction");
    verify v = { .job = j, .bad = { 0, json_array() }, .start_ms = http_now_ms() };
    mien_eval_csv_opts o = MIEN_EVAL_CSV_OPTS_INIT;
    mien_eval_json_opts told = MIEN_EVAL_JSON_OPTS_INIT;
    o.direction = !direction ? 0 : !strcmp(direction, "lower") ? -1 : 1;
    o.bad_row = eval_note_row;
    o.user = &v.bad;
    v.threshold = eval_real_arg(j, "threshold", NAN);
    job_say(j, "reading the scores", 0, 0, NULL);
    mien_status st = mien_eval_table_parse(text, bytes, &o, &v.table, NULL, err);
    if (!st) {
        told.kind = "scores";
        told.data = eval_text_arg(j, "name");
        told.matcher = eval_text_arg(j, "matcher");
        st = finish(&v, &told, ret, err);
    }
    verify_clear(&v);
    return st;
}
