/* Open-set identification measured as a job: pictures of a set are searched for among people, and among others.
 *
 * Against "set": every second person of those with two pictures and more is enrolled with the first half of them, and
 * searched for with the rest; all others are strangers. Nobody is in both roles. Against "collection": pictures of
 * people whose name somebody in the collection has are searched for there, the others are strangers to it. A picture
 * without a face returns nobody: a miss for an enrolled person, no false positive for a stranger; both count. The
 * threshold is the calibration's for the rate asked for at this size, not one chosen on these pictures.
 */
#include "job_eval.h"
#include "see.h"
#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { CANDIDATES = 20, SAY_EVERY = 32, MAX_WORST = 12, REPORT_TEXT = 128 };

/* Somebody who is searched for. */
typedef struct enrolled {
    char *name;
    int64_t id; /* person of the collection, or face of the set that shows whom it is */
} enrolled;

/* One picture searched with. */
typedef struct probe {
    uint32_t picture;
    size_t right; /* place of the right person; n_people: a stranger */
    size_t who;   /* of the best candidate; n_people: none */
} probe;

typedef struct identify {
    job *job;
    eval_set set;
    mien_gallery *gallery; /* NULL: people of the set */
    enrolled *people;
    size_t n_people, capacity, n_pictures;
    float *templates; /* [n_people][dim] of people of the set */
    probe *probes;
    mien_eval_probe *outcomes;
    size_t n_probes;
    mien_search_decision decision;
} identify;

/* ---- people of the set ---- */

static mien_status no_memory(mien_error *err)
{
    return eval_fail(err, MIEN_E_NOMEM, "out of memory");
}

static bool add_person(identify *d, const char *name, int64_t id)
{
    if (d->n_people == d->capacity) {
        const size_t more = d->capacity ? 2 * d->capacity : 256;
        enrolled *people = realloc(d->people, more * sizeof *people);
        if (!people)
            return false;
        d->people = people;
        d->capacity = more;
    }
    char *copy = strdup(name);
    if (copy)
        d->people[d->n_people++] = (enrolled){ copy, id };
    return copy;
}

/* The unit mean of pictures [first, last) that show a face. */
static void mean_of(const set_people *p, size_t first, size_t last, float *to)
{
    double length = 0;
    for (size_t i = first; i < last; i++)
        for (size_t k = 0; k < p->dim; k++)
            to[k] += p->vecs[i * p->dim + k];
    for (size_t k = 0; k < p->dim; k++)
        length += (double)to[k] * (double)to[k];
    for (size_t k = 0; k < p->dim && length > 0; k++)
        to[k] = (float)((double)to[k] / sqrt(length));
}

static void add_probe(identify *d, size_t picture, size_t right)
{
    d->probes[d->n_probes++] = (probe){ (uint32_t)picture, right, SIZE_MAX };
}

/* Enrol the first half of a person's pictures that show a face, search with the others. */
static bool enrol_half(identify *d, size_t first, size_t last, size_t n_faces)
{
    const set_people *p = &d->set.people;
    const size_t right = d->n_people;
    size_t taken = 0, i = first;
    int64_t shown = 0;
    for (; i < last && taken < (n_faces + 1) / 2; i++) {
        taken += p->pictures[i].face != 0;
        if (!shown)
            shown = p->pictures[i].face;
        if (!p->pictures[i].face)
            add_probe(d, i, right); /* nobody could be enrolled with it; it is searched with in vain */
    }
    if (!add_person(d, p->names[p->pictures[first].person], shown))
        return false;
    mean_of(p, first, i, d->templates + right * p->dim);
    d->n_pictures += taken;
    for (; i < last; i++)
        add_probe(d, i, right);
    return true;
}

static mien_status part_set(identify *d, mien_error *err)
{
    const set_people *p = &d->set.people;
    size_t two = 0;
    if (!(d->templates = calloc(p->n_people + 1, p->dim * sizeof *d->templates)))
        return no_memory(err);
    for (size_t first = 0, last; first < p->n; first = last) {
        size_t n_faces = 0;
        const int32_t person = p->pictures[first].person;
        for (last = first; last < p->n && p->pictures[last].person == person; last++)
            n_faces += p->pictures[last].face != 0;
        if (person < 0)
            continue;
        if (n_faces >= 2 && two++ % 2 == 0) {
            if (!enrol_half(d, first, last, n_faces))
                return no_memory(err);
            continue;
        }
        for (size_t i = first; i < last; i++)
            add_probe(d, i, SIZE_MAX);
    }
    return MIEN_OK;
}

/* ---- people of the collection ---- */

typedef struct walk {
    identify *d;
    bool short_of_memory;
} walk;

static int take_person(void *user, const mien_person *person)
{
    walk *w = user;
    if (person->expired)
        return 0;
    if (!add_person(w->d, person->name, person->id))
        return w->short_of_memory = true;
    w->d->n_pictures += person->n_faces;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const enrolled *p = a, *q = b;
    return strcmp(p->name, q->name);
}

static mien_status part_collection(identify *d, mien_error *err)
{
    const set_people *p = &d->set.people;
    char actor[64];
    walk w = { d, false };
    snprintf(actor, sizeof actor, "key %lld evaluation", (long long)job_key(d->job)->id);
    mien_status st = collection_open(job_server(d->job), job_collection(d->job), actor, &d->gallery, err);
    if (!st)
        st = mien_gallery_people(d->gallery, NULL, 0, 0, take_person, &w, err);
    if (!st && w.short_of_memory)
        st = no_memory(err);
    if (st || d->n_people == 0)
        return st;
    qsort(d->people, d->n_people, sizeof *d->people, by_name);
    for (size_t i = 0; i < p->n; i++) {
        if (p->pictures[i].person < 0)
            continue;
        const enrolled name = { p->names[p->pictures[i].person], 0 };
        const enrolled *found = bsearch(&name, d->people, d->n_people, sizeof name, by_name);
        add_probe(d, i, found ? (size_t)(found - d->people) : SIZE_MAX);
    }
    return MIEN_OK;
}

/* ---- searching ---- */

static void search_set(const identify *d, const float *vec, probe *q, mien_eval_probe *ret)
{
    const size_t dim = d->set.people.dim;
    const bool mated = q->right < d->n_people;
    const double own = mated ? mien_cosine(vec, d->templates + q->right * dim, dim) : 0;
    ret->rank = mated;
    for (size_t i = 0; i < d->n_people; i++) {
        const double s = mien_cosine(vec, d->templates + i * dim, dim);
        if (s > ret->top) {
            ret->top = s;
            q->who = i;
        }
        ret->rank += mated && i != q->right && s > own;
    }
}

static mien_status search_collection(const identify *d, const float *vec, probe *q, mien_eval_probe *ret,
                                     mien_error *err)
{
    mien_candidate c[CANDIDATES];
    size_t n = 0;
    const mien_status st = mien_gallery_search(d->gallery, vec, 1, CANDIDATES, c, &n, err);
    if (st || !n)
        return st;
    ret->top = c[0].similarity;
    for (size_t i = 0; i < d->n_people; i++)
        if (d->people[i].id == c[0].person)
            q->who = i;
    for (size_t i = 0; q->right < d->n_people && i < n && !ret->rank; i++)
        if (c[i].person == d->people[q->right].id)
            ret->rank = (uint32_t)i + 1;
    return st;
}

static mien_status search_all(identify *d, mien_error *err)
{
    const set_people *p = &d->set.people;
    mien_status st = MIEN_OK;
    for (size_t i = 0; i < d->n_probes && !st; i++) {
        probe *q = &d->probes[i];
        const set_picture *picture = &p->pictures[q->picture];
        mien_eval_probe *to = &d->outcomes[i];
        *to = (mien_eval_probe){ .mated = q->right < d->n_people,
                                 .failed = !picture->face,
                                 .top = -INFINITY,
                                 .person = p->names[picture->person] };
        const float *vec = p->vecs + q->picture * p->dim;
        if (!to->failed && d->gallery)
            st = search_collection(d, vec, q, to, err);
        else if (!to->failed)
            search_set(d, vec, q, to);
        if (!st && i % SAY_EVERY == 0) {
            job_say(d->job, "searching", i, d->n_probes, NULL);
            st = eval_go_on(d->job, err);
        }
    }
    return st;
}

/* ---- what came of it ---- */

static bool is_false_positive(const identify *d, size_t i)
{
    return !d->outcomes[i].mated && d->outcomes[i].top >= d->decision.threshold;
}

static bool is_miss(const identify *d, size_t i)
{
    const mien_eval_probe *o = &d->outcomes[i];
    return o->mated && !o->failed && !(o->rank == 1 && o->top >= d->decision.threshold);
}

typedef struct error_at {
    double score;
    size_t probe;
} error_at;

static int by_score(const void *a, const void *b)
{
    const error_at *p = a, *q = b;
    return (p->score < q->score) - (p->score > q->score);
}

static json_t *whom(const identify *d, size_t place)
{
    if (place >= d->n_people)
        return json_null();
    return json_pack("{s:s,s:o,s:o}", "name", d->people[place].name, "face",
                     d->gallery ? json_null() : json_integer(d->people[place].id), "person",
                     d->gallery ? json_integer(d->people[place].id) : json_null());
}

/* The errors of a kind, most alike first. NULL: out of memory. */
static json_t *worst(const identify *d, bool (*is)(const identify *, size_t))
{
    error_at *all = calloc(d->n_probes + 1, sizeof *all);
    json_t *list = json_array();
    size_t n = 0;
    for (size_t i = 0; all && i < d->n_probes; i++)
        if (is(d, i))
            all[n++] = (error_at){ d->outcomes[i].top, i };
    if (all)
        qsort(all, n, sizeof *all, by_score);
    for (size_t i = 0; i < n && i < MAX_WORST; i++) {
        const probe *q = &d->probes[all[i].probe];
        const set_picture *picture = &d->set.people.pictures[q->picture];
        json_array_append_new(list, json_pack("{s:s,s:I,s:o,s:I,s:o,s:o}", "path", picture->path, "face",
                                              (json_int_t)picture->face, "score", rounded(all[i].score, 6), "rank",
                                              (json_int_t)d->outcomes[all[i].probe].rank, "found", whom(d, q->who),
                                              "right", whom(d, q->right)));
    }
    free(all);
    return list;
}

static mien_status decide(identify *d, mien_error *err)
{
    const mien_search_size size = { d->n_people, d->n_people ? (double)d->n_pictures / (double)d->n_people : 1 };
    if (d->n_people == 0)
        return eval_fail(err, MIEN_E_EVAL_DATA,
                         d->gallery ? "nobody is in the collection"
                                    : "no person of the set has two pictures with a face: nobody could be enrolled");
    return mien_curve_decide(collection_curve_of(job_server(d->job), job_collection(d->job)), -1, &size,
                             eval_real_arg(d->job, "fpir", 0.01), &d->decision, err);
}

static mien_status report(const identify *d, const mien_eval_search_summary *e, mien_error *err)
{
    char path[FOLDER_PATH_BYTES], people[REPORT_TEXT], probes[REPORT_TEXT], expected[REPORT_TEXT];
    mien_eval_report_opts o = MIEN_EVAL_REPORT_OPTS_INIT;
    const mien_estimate *f = &d->decision.fpir;
    snprintf(people, sizeof people, "%zu, %zu pictures", d->n_people, d->n_pictures);
    snprintf(probes, sizeof probes, "%zu of them, %zu strangers", e->n_mated, e->n_nonmated);
    snprintf(expected, sizeof expected, "%.3g (95 %%: %.2g to %.2g)", f->value, f->lo, f->hi);
    const mien_eval_entry entries[] = { { "gallery", people },
                                        { "probes", probes },
                                        { "FPIR by the calibration", expected } };
    o.title = "Identification";
    o.matcher = mien_model_info_of(job_server(d->job)->embed)->name;
    o.threshold_from = "the calibration, for the FPIR asked for";
    o.entries = entries;
    o.n_entries = sizeof entries / sizeof *entries;
    mien_status st = eval_path(d->job, "report.html", path, err);
    if (!st)
        st = mien_eval_search_report(e, &o, path, err);
    if (!st)
        job_offer(d->job, "report.html", "text/html");
    return st;
}

static mien_status result(const identify *d, const mien_eval_search_summary *e, json_t **ret, mien_error *err)
{
    mien_eval_search_json_opts o = MIEN_EVAL_SEARCH_JSON_OPTS_INIT;
    const mien_estimate *f = &d->decision.fpir;
    const mien_eval_rate expected = { f->value, f->lo, f->hi };
    char *text = NULL;
    o.matcher = mien_model_info_of(job_server(d->job)->embed)->name;
    o.fpir_asked = eval_real_arg(d->job, "fpir", 0.01);
    o.promised = d->decision.promised;
    o.expected = &expected;
    o.n_people = d->n_people;
    o.n_pictures = d->n_pictures;
    o.curves = 1;
    mien_status st = mien_eval_search_json(e, &o, &text, err);
    if (!st)
        st = eval_offer(d->job, "figures.json", text, err);
    json_t *j = st ? NULL : json_loads(text, 0, NULL);
    mien_eval_text_free(text);
    if (st)
        return st;
    if (!j)
        return no_memory(err);
    json_object_set_new(j, "mode", json_string("identify"));
    json_object_set_new(j, "against", json_string(d->gallery ? "collection" : "set"));
    json_object_set_new(j, "set", json_string(d->set.info.id));
    json_object_set_new(j, "false_positives", worst(d, is_false_positive));
    json_object_set_new(j, "misses", worst(d, is_miss));
    json_object_set_new(j, "no_face", eval_no_face(&d->set));
    *ret = j;
    return MIEN_OK;
}

static mien_status measure(identify *d, json_t **ret, mien_error *err)
{
    mien_eval_search_opts o = MIEN_EVAL_SEARCH_OPTS_INIT;
    mien_eval_search_summary *e = calloc(1, sizeof *e);
    o.threshold = d->decision.threshold;
    o.n_enrolled = d->n_people;
    o.threads = 1; /* recognition goes on beside it */
    job_say(d->job, "measuring", 0, 0, NULL);
    mien_status st = e ? mien_eval_search(d->outcomes, d->n_probes, &o, e, err) : no_memory(err);
    if (!st)
        st = report(d, e, err);
    if (!st)
        st = result(d, e, ret, err);
    free(e);
    return st;
}

static void clear(identify *d)
{
    if (d->templates)
        sodium_memzero(d->templates, d->set.people.n_people * d->set.people.dim * sizeof *d->templates);
    free(d->templates);
    for (size_t i = 0; i < d->n_people; i++)
        free(d->people[i].name);
    free(d->people);
    free(d->probes);
    free(d->outcomes);
    mien_gallery_free(d->gallery);
    eval_set_close(&d->set);
}

mien_status job_identify(job *j, json_t **ret, mien_error *err)
{
    identify d = { .job = j };
    const char *against = eval_text_arg(j, "against");
    mien_status st = eval_set_open(j, &d.set, err);
    if (!st && (!(d.probes = calloc(d.set.people.n, sizeof *d.probes)) ||
                !(d.outcomes = calloc(d.set.people.n, sizeof *d.outcomes))))
        st = no_memory(err);
    if (!st)
        st = against && !strcmp(against, "collection") ? part_collection(&d, err) : part_set(&d, err);
    if (!st)
        st = decide(&d, err);
    if (!st)
        st = search_all(&d, err);
    if (!st)
        st = eval_go_on(j, err);
    if (!st)
        st = measure(&d, ret, err);
    clear(&d);
    return st;
}
