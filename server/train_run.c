/* The job "train": crops of the people into a folder of the run's own, mien_train() on them, and what came of
 * it.
 *
 * The folder, DATA/work/ID, holds crops, templates and checkpoints; it goes when the run ends,
 * however it ends, and what a killed server left is removed at the next start. The tuned model and the report
 * stay with the job. Who is held out follows from the seed and the names, so the same people are held out
 * again next time.
 */
#include "see.h"
#include "train_parts.h"
#include <errno.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- folders ---- */

mien_status train_work_new(api_server *s, char ret[FOLDER_PATH_BYTES], mien_error *err)
{
    char work[FOLDER_PATH_BYTES], id[FOLDER_ID_BYTES], fault[256] = "the data folder's path is too long";
    folder_new_id(id);
    if (folder_path(work, s->opts.data, "work") && folder_path(ret, work, id) &&
        folder_make(ret, fault, sizeof fault))
        return MIEN_OK;
    ret[0] = 0;
    return train_fault(err, MIEN_E_IO, "no folder can be made for the crops: %s", fault);
}

void train_work_clean(api_server *s)
{
    char work[FOLDER_PATH_BYTES];
    if (folder_path(work, s->opts.data, "work"))
        folder_remove(work);
}

/* ---- what to learn from ---- */

typedef struct run {
    job *j;
    train_material m;
    char work[FOLDER_PATH_BYTES];
    char **files;   /* by face; NULL: of no use */
    size_t *counts; /* crops by person */
    size_t n_crops, n_twice, n_held, n_unusable;
} run;

static mien_status gather(run *r, mien_error *err)
{
    api_server *s = job_server(r->j);
    char path[FOLDER_PATH_BYTES + 32];
    mien_status st = train_material_list(&r->m, 0, err);
    if (st)
        return st;
    r->files = calloc(r->m.n_faces + 1, sizeof *r->files);
    r->counts = calloc(r->m.n_people + 1, sizeof *r->counts);
    if (!r->files || !r->counts)
        return train_fault(err, MIEN_E_NOMEM, "out of memory");
    for (size_t i = 0; i < r->m.n_faces; i++) {
        if (job_stopped(r->j))
            return train_fault(err, MIEN_E_INTERRUPTED, "stopped");
        job_say(r->j, "gathering", i, r->m.n_faces, NULL);
        snprintf(path, sizeof path, "%s/%06zu.jpg", r->work, i);
        st = train_material_write(s, &r->m, &r->m.faces[i], path, err);
        if (train_material_is_unusable(st)) {
            r->n_unusable++;
            continue;
        }
        if (st)
            return st;
        if (!(r->files[i] = strdup(path + strlen(r->work) + 1)))
            return train_fault(err, MIEN_E_NOMEM, "out of memory");
        r->n_crops++;
        r->n_twice += ++r->counts[r->m.faces[i].person] == 2;
    }
    return train_material_check(r->n_twice, err);
}

typedef struct drawn {
    uint8_t hash[16];
    size_t person;
} drawn;

static int by_hash(const void *a, const void *b)
{
    return memcmp(((const drawn *)a)->hash, ((const drawn *)b)->hash, sizeof((const drawn *)a)->hash);
}

/* Who is held out, of those with two pictures: *ret by person, to be freed. */
static mien_status draw_held_out(run *r, int64_t seed, bool **ret, mien_error *err)
{
    drawn *all = calloc(r->n_twice + 1, sizeof *all);
    bool *held = calloc(r->m.n_people + 1, sizeof *held);
    size_t n = 0;
    if (!all || !held) {
        free(all);
        free(held);
        return train_fault(err, MIEN_E_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < r->m.n_people; i++) {
        const char *name = r->m.people[i].name;
        if (r->counts[i] < 2)
            continue;
        all[n].person = i;
        crypto_generichash(all[n++].hash, sizeof all->hash, (const uint8_t *)name, strlen(name),
                           (const uint8_t[16]){ (uint8_t)seed, (uint8_t)(seed >> 8), (uint8_t)(seed >> 16),
                                                (uint8_t)(seed >> 24) },
                           16);
    }
    qsort(all, n, sizeof *all, by_hash);
    r->n_held = train_held_out(n);
    for (size_t i = 0; i < r->n_held; i++)
        held[all[i].person] = true;
    free(all);
    *ret = held;
    return MIEN_OK;
}

static void put_quoted(FILE *f, const char *text)
{
    putc('"', f);
    for (; *text; text++) {
        if (*text == '"')
            putc('"', f);
        putc(*text, f);
    }
    putc('"', f);
}

/* people.csv: path, person, split. */
static mien_status write_table(run *r, const bool *held, const char *path, mien_error *err)
{
    FILE *f = fopen(path, "wbxe");
    if (f)
        fputs("path,person,split\n", f);
    for (size_t i = 0; f && i < r->m.n_faces; i++) {
        const size_t p = r->m.faces[i].person;
        if (!r->files[i])
            continue;
        fprintf(f, "%s,", r->files[i]);
        put_quoted(f, r->m.people[p].name);
        fprintf(f, ",%s\n", held[p] ? "val" : "train");
    }
    const bool bad = f && ferror(f);
    if (f && fclose(f) == 0 && !bad)
        return MIEN_OK;
    return train_fault(err, MIEN_E_IO, "the list of crops cannot be written: %s", strerror(errno));
}

/* ---- progress ---- */

enum { POINTS = 240, SAY_MS = 400 };

typedef struct point {
    uint64_t step;
    int epoch;
    double value;
} point;

/* Curves that stay short: when one is full every other point goes, and from then on every other is taken. */
typedef struct curve {
    point points[POINTS];
    size_t n;
    uint64_t every, seen;
} curve;

typedef struct watch {
    job *j;
    curve loss, score;
    double said_ms;
    uint64_t validations;
    char phase[24];
} watch;

static void add_point(curve *c, point p)
{
    if (c->seen++ % (c->every ? c->every : 1))
        return;
    if (c->n == POINTS) {
        for (size_t i = 0; 2 * i < c->n; i++)
            c->points[i] = c->points[2 * i];
        c->n /= 2;
        c->every = c->every ? 2 * c->every : 2;
    }
    c->points[c->n++] = p;
}

static json_t *curve_json(const curve *c, const char *name)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->n; i++)
        json_array_append_new(list, json_pack("{s:I,s:i,s:o}", "step", (json_int_t)c->points[i].step, "epoch",
                                              c->points[i].epoch, name, rounded(c->points[i].value, 4)));
    return list;
}

static json_t *history_json(const watch *w)
{
    return json_pack("{s:o,s:o}", "loss", curve_json(&w->loss, "loss"), "score",
                     curve_json(&w->score, "score"));
}

/* In which the step that was last done lies; from 1. */
static int epoch_of(const mien_train_state *s)
{
    return s->done && s->total ? (int)((s->done - 1) * (uint64_t)s->epochs / s->total) + 1 : 1;
}

/* The library's phases in the words of the API; the last validation is followed by the comparison. */
static const char *phase_of(const mien_train_state *s, bool validated)
{
    if (!strcmp(s->phase, "finding faces"))
        return "reading";
    if (!strcmp(s->phase, "validating"))
        return s->done >= s->total && validated ? "comparing" : "validating";
    return strcmp(s->phase, "training") == 0 ? "training" : "embedding";
}

static int progress(const mien_train_state *s, void *user)
{
    watch *w = user;
    const double now = http_now_ms();
    const bool validated = s->validations != w->validations;
    const char *phase = phase_of(s, validated);
    const bool runs = !strcmp(s->phase, "training") || !strcmp(s->phase, "validating");
    const int epoch = runs ? epoch_of(s) : 0;
    if (!strcmp(s->phase, "training") && isfinite(s->loss))
        add_point(&w->loss, (point){ s->done, epoch, s->loss });
    if (validated)
        add_point(&w->score, (point){ s->done, epoch, s->score });
    w->validations = s->validations;
    if (now - w->said_ms > SAY_MS || strcmp(w->phase, phase) != 0) {
        w->said_ms = now;
        snprintf(w->phase, sizeof w->phase, "%s", phase);
        job_say(w->j, phase, s->done, s->total,
                json_pack("{s:i,s:i,s:o,s:o,s:o,s:o,s:o}", "epoch", epoch, "epochs", runs ? s->epochs : 0,
                          "loss", rounded(s->loss, 4), "score", rounded(s->score, 4), "images_per_s",
                          rounded(runs ? s->images_per_s : NAN, 1), "seconds_left",
                          rounded(s->seconds_left, 0), "history", history_json(w)));
    }
    return job_stopped(w->j);
}

/* ---- the run ---- */

static json_t *rate_json(const mien_eval_rate *r)
{
    return json_pack("{s:o,s:o,s:o}", "value", rounded(r->value, 6), "lo", rounded(r->lo, 6), "hi",
                     rounded(r->hi, 6));
}

static json_t *figures_json(const mien_train_figures *f)
{
    return json_pack("{s:o,s:o,s:b,s:b,s:o,s:o,s:o}", "fnmr_at_far_1e2", rate_json(&f->fnmr[0]),
                     "fnmr_at_far_1e3", rate_json(&f->fnmr[1]), "supported_1e2", f->supported[0],
                     "supported_1e3", f->supported[1], "eer", rounded(f->eer, 6), "auc", rounded(f->auc, 6),
                     "accuracy", isfinite(f->accuracy.value) ? rate_json(&f->accuracy) : json_null());
}

static json_t *result_json(const run *r, const mien_train_result *t, const watch *w)
{
    json_t *o =
        json_pack("{s:i,s:s,s:o,s:o,s:o,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "better", t->better, "summary",
                  t->summary, "before", t->measured ? figures_json(&t->before) : json_null(), "after",
                  t->measured ? figures_json(&t->after) : json_null(), "change",
                  t->measured ? rate_json(&t->change) : json_null(), "held_out_people",
                  (json_int_t)t->n_val_people, "held_out_pictures", (json_int_t)t->n_val, "people",
                  (json_int_t)t->n_people, "pictures", (json_int_t)t->n_train, "left_out",
                  (json_int_t)(t->n_left_out + r->n_unusable), "near_duplicates", (json_int_t)t->n_duplicates,
                  "people_without_pictures", (json_int_t)r->m.n_left_people, "steps", (json_int_t)t->steps);
    json_object_set_new(o, "seconds", rounded(t->seconds, 1));
    json_object_set_new(o, "score", rounded(t->score, 4));
    json_object_set_new(o, "history", history_json(w));
    return o;
}

/* The tuned model under a name of its own, and the report, as files of the job. */
static mien_status keep_files(run *r, mien_model *model, mien_error *err)
{
    char from[FOLDER_PATH_BYTES + 32], to[FOLDER_PATH_BYTES + 32], name[128];
    mien_model_info info = *mien_model_info_of(model);
    snprintf(name, sizeof name, "%.100s-tuned", info.name);
    info.name = name;
    snprintf(to, sizeof to, "%s/model.mien", job_folder(r->j));
    mien_status st = mien_model_set_info(model, &info, err);
    if (!st)
        st = mien_model_save(model, to, err);
    if (st)
        return st;
    snprintf(from, sizeof from, "%s/report.html", r->work);
    snprintf(to, sizeof to, "%s/report.html", job_folder(r->j));
    if (rename(from, to))
        return train_fault(err, MIEN_E_IO, "the report cannot be kept: %s", strerror(errno));
    job_offer(r->j, "model.mien", "application/octet-stream");
    job_offer(r->j, "report.html", "text/html; charset=utf-8");
    return MIEN_OK;
}

/* Without a wish of the caller's: 32, and so few that an epoch has some eight steps, but 4. */
static int batch_of(const run *r, const bool *held, int64_t wanted)
{
    size_t n = 0;
    for (size_t i = 0; i < r->m.n_people; i++)
        n += held[i] ? 0 : r->counts[i];
    const size_t eighth = n / 8 < 4 ? 4 : n / 8 > 32 ? 32 : n / 8;
    const size_t batch = wanted ? (size_t)wanted : eighth;
    return (int)(batch > n ? n : batch);
}

static mien_status tune(run *r, json_t **ret, mien_error *err)
{
    const mien_model *start = job_server(r->j)->embed;
    const train_settings settings = train_settings_of(job_args(r->j));
    char table[FOLDER_PATH_BYTES + 32];
    mien_model *model = NULL;
    mien_train_result result;
    mien_train_opts o;
    bool *held = NULL;
    watch *w = calloc(1, sizeof *w);
    snprintf(table, sizeof table, "%s/people.csv", r->work);
    mien_status st =
        w ? draw_held_out(r, settings.seed, &held, err) : train_fault(err, MIEN_E_NOMEM, "out of memory");
    if (st || (st = write_table(r, held, table, err)))
        goto done;
    train_settings_fill(&settings, &o);
    o.batch = batch_of(r, held, settings.batch);
    o.data = table;
    o.dir = r->work;
    o.model = start;
    o.teachers = &start;
    o.n_teachers = 1;
    o.val_fraction = round(100.0 * (double)r->n_held / (double)r->n_twice) / 100.0; /* for the report alone */
    o.progress = progress;
    o.user = w;
    w->j = r->j;
    if ((st = mien_train(&o, &model, &result, err)) || (st = keep_files(r, model, err)))
        goto done;
    *ret = result_json(r, &result, w);
    job_say(r->j, "comparing", result.steps, result.steps, json_object()); /* the curves are in the result */
done:
    if (st == MIEN_E_INTERRUPTED) /* the library's words speak of going on */
        train_fault(err, st, "stopped");
    mien_model_free(model);
    free(held);
    free(w);
    return st;
}

mien_status train_run(job *j, json_t **ret_result, mien_error *err)
{
    api_server *s = job_server(j);
    const json_t *args = job_args(j);
    run *r = calloc(1, sizeof *r);
    mien_status st = r ? MIEN_OK : train_fault(err, MIEN_E_NOMEM, "out of memory");
    if (st)
        return st;
    r->j = j;
    st = train_material_open(s, job_key(j), json_string_value(json_object_get(args, "set")),
                             json_string_value(json_object_get(args, "collection")), &r->m, err);
    if (!st)
        st = train_work_new(s, r->work, err);
    if (!st && !(st = gather(r, err)))
        st = tune(r, ret_result, err);
    if (r->work[0])
        folder_remove(r->work);
    for (size_t i = 0; r->files && i < r->m.n_faces; i++)
        free(r->files[i]);
    free(r->files);
    free(r->counts);
    train_material_close(&r->m);
    free(r);
    return st;
}
