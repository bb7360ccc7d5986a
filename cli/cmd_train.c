/* mien train, mien finetune: networks from nothing by distillation or on labelled people; models tuned on
 * one's own people. Both fill one mien_train_opts and differ in what they start from and in their defaults.
 */
#include "kit.h"
#include "meta.h"
#include "train_options.h"
#include <errno.h>
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_LIST = 64 };

/* ---- progress ---- */

typedef struct shown {
    bool quiet, bar;
    char phase[32];
    double last_line_ms;
} shown;

static void plain_line(const mien_train_state *s)
{
    if (isfinite(s->loss))
        cli_say("%s: step %llu of %llu, epoch %d of %d, loss %.4f, score %.4f, %.0f images/s, %.0f min left",
                s->phase, (unsigned long long)s->done, (unsigned long long)s->total, s->epoch, s->epochs,
                s->loss, s->score, s->images_per_s, s->seconds_left / 60.0);
    else
        cli_say("%s: %llu of %llu", s->phase, (unsigned long long)s->done, (unsigned long long)s->total);
}

static int progress(const mien_train_state *s, void *user)
{
    shown *v = user;
    const double now = cli_now_ms();
    if (strcmp(v->phase, s->phase) != 0) {
        if (v->bar)
            cli_progress_end();
        snprintf(v->phase, sizeof v->phase, "%s", s->phase);
        cli_progress_begin(s->phase, s->total, v->quiet);
        v->bar = true;
    }
    cli_progress_set_total(s->total);
    cli_progress_step(s->done);
    if (!v->quiet && now - v->last_line_ms > 30000.0) {
        if (v->last_line_ms > 0)
            plain_line(s);
        v->last_line_ms = now;
    }
    return cli_stopped();
}

/* ---- running ---- */

/* Split "a,b,c" in place. */
static size_t split_list(char *text, const char *ret[MAX_LIST])
{
    size_t n = 0;
    for (char *at = text; at && *at && n < MAX_LIST;) {
        char *comma = strchr(at, ',');
        ret[n++] = at;
        if (comma)
            *comma++ = '\0';
        at = comma;
    }
    return n;
}

/* What the library logs of pictures left out and rows passed over. */
static void log_line(mien_log_level level, const char *message, void *user)
{
    (void)user;
    if (level <= MIEN_LOG_WARN)
        cli_say("%s", message);
}

/* In a run what cannot be read is the data, seen before; what fails later is its folder. */
static int fail_run(const mien_error *err)
{
    const int rc = cli_fail(err);
    return err->status == MIEN_E_ARG ? CLI_USAGE : err->status == MIEN_E_IO ? CLI_INTERNAL : rc;
}

/* Faults that would show only after hours. */
static int check_files(const cli_train_opts *o, const char *data)
{
    const char *const to = o->preview ? o->preview : o->out, *const slash = strrchr(to, '/');
    char *folder = slash ? cli_strdup(to) : cli_strdup(".");
    mien_model_info scratch = { 0 };
    cli_meta meta = { 0 };
    int rc = CLI_YES;
    if (slash)
        folder[slash == to ? 1 : slash - to] = '\0';
    if (access(data, R_OK) != 0) {
        cli_say_path(data, "%s", strerror(errno));
        rc = CLI_INPUT;
    } else if (access(folder, W_OK | X_OK) != 0) {
        cli_say_path(to, "cannot be written: %s", strerror(errno));
        rc = CLI_INTERNAL;
    } else if (o->meta)
        rc = cli_meta_read(&meta, o->meta, &scratch);
    cli_meta_free(&meta);
    free(folder);
    return rc;
}

/* The model file that an earlier start of this run was writing when it was killed: PATH.tmp. and six letters.
 */
static void drop_unfinished(const char *path)
{
    static const char mark[] = ".tmp.";
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const size_t n = strlen(name);
    char *folder = slash ? cli_format("%.*s", (int)(slash - path + 1), path) : cli_strdup(".");
    DIR *const dir = opendir(folder);
    for (const struct dirent *e = NULL; dir && (e = readdir(dir)) != NULL;)
        if (strncmp(e->d_name, name, n) == 0 && strncmp(e->d_name + n, mark, sizeof mark - 1) == 0 &&
            strlen(e->d_name + n) == sizeof mark - 1 + 6)
            (void)unlinkat(dirfd(dir), e->d_name, 0);
    if (dir)
        closedir(dir);
    free(folder);
}

static int save(const cli_train_opts *o, mien_model *model, const char *dir)
{
    mien_error err = MIEN_ERROR_INIT;
    cli_meta meta = { 0 };
    mien_model_info info = *mien_model_info_of(model);
    int rc = CLI_YES;
    if (o->resume)
        drop_unfinished(o->out);
    if (o->name)
        info.name = o->name;
    if (o->meta)
        rc = cli_meta_read(&meta, o->meta, &info);
    if (rc == CLI_YES && mien_model_set_info(model, &info, &err) != MIEN_OK)
        rc = cli_fail(&err);
    if (rc == CLI_YES && mien_model_save(model, o->out, &err) != MIEN_OK)
        rc = cli_worse(cli_fail_path(o->out, &err), CLI_INTERNAL);
    if (rc != CLI_YES)
        cli_say("nothing is lost: the same command with --resume ends at once and writes the model (run "
                "folder %s)",
                dir);
    cli_meta_free(&meta);
    return rc;
}

static void report_result(const cli_train_opts *o, const mien_train_result *r, const char *dir, bool written)
{
    printf("%llu steps in %.0f s, %zu pictures of training and %zu of validation, %zu people, %zu pictures "
           "left out, %zu near "
           "duplicates\n",
           (unsigned long long)r->steps, r->seconds, r->n_train, r->n_val, r->n_people, r->n_left_out,
           r->n_duplicates);
    fputs(r->summary, stdout);
    if (isfinite(r->score))
        printf("validation score %.4f%s\n", r->score,
               r->stopped_early ? " (stopped early: nothing better came)" : "");
    if (written)
        printf("run folder %s, model %s\n", dir, o->out);
    else
        printf("run folder %s\n", dir);
}

static int draw_preview(const cli_train_opts *o, const mien_train_opts *t)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_image *sheet = NULL;
    mien_status st = mien_train_preview(t, 8, 10, &sheet, &err);
    if (st == MIEN_OK)
        st = mien_image_save(mien_image_view_of(sheet), o->preview, 92, &err);
    mien_image_free(sheet);
    return st == MIEN_OK ? CLI_YES : fail_run(&err);
}

static int run_training(const cli_train_opts *o, mien_train_opts *t, const char *dir)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_model *model = NULL;
    mien_train_result result;
    shown v = { .quiet = o->common.quiet != 0 };
    t->progress = progress;
    t->user = &v;
    const mien_status st = mien_train(t, &model, &result, &err);
    if (v.bar)
        cli_progress_end();
    if (st != MIEN_OK)
        return fail_run(&err);
    int rc = CLI_YES;
    if (t->model && !t->force && result.better <= 0) {
        printf("the tuned model was not shown to be better on held-out people: %s is not written (--force "
               "writes it)\n",
               o->out);
        rc = CLI_NO;
    } else
        rc = save(o, model, dir);
    mien_model_free(model);
    if (rc <= CLI_NO)
        report_result(o, &result, dir, rc == CLI_YES);
    if (rc == CLI_YES && t->model)
        puts("the old thresholds do not hold for a tuned model and are not in it: fit new ones before "
             "deciding with it");
    return rc;
}

/* `start` NULL: a new network. */
static int run_common(const cli_train_opts *o, const cli_verb *verb, const char *data,
                      const mien_model *start)
{
    mien_train_opts t;
    mien_model *teachers[MAX_LIST] = { NULL };
    const char *teacher_names[MAX_LIST], *hints[MAX_LIST];
    char *teacher_text = o->teachers ? cli_strdup(o->teachers) : NULL,
         *hint_text = o->hints ? cli_strdup(o->hints) : NULL;
    cli_models models = { NULL, NULL };
    mien_error err = MIEN_ERROR_INIT;
    const size_t n = split_list(teacher_text, teacher_names);
    char *dir = o->run_dir ? cli_strdup(o->run_dir) : cli_format("%s.run", o->out ? o->out : "train");
    int rc = !o->out && !o->preview ? cli_usage(verb, "wanted: --out FILE") : CLI_YES;
    if (rc == CLI_YES)
        rc = check_files(o, data);
    mien_set_log(log_line, NULL);
    mien_train_opts_init(&t);
    cli_train_fill(o, &t);
    t.data = data;
    t.dir = dir;
    t.tune = o->tune;
    t.model = start;
    t.arch = start ? NULL : o->arch;
    t.hints = hints;
    t.n_hints = split_list(hint_text, hints);
    for (size_t i = 0; rc == CLI_YES && i < n; i++)
        if (mien_model_load(teacher_names[i], &teachers[i], &err) != MIEN_OK)
            rc = cli_worse(cli_fail(&err), CLI_MODEL);
    t.teachers = (const mien_model *const *)teachers;
    t.n_teachers = n;
    if (start && !n) {
        t.teachers = &start;
        t.n_teachers = 1;
    }
    if (rc == CLI_YES && !o->aligned)
        rc = cli_models_load(&models, true, o->common.detector, false, NULL);
    t.detector = models.detect;
    if (rc == CLI_YES)
        rc = o->preview ? draw_preview(o, &t) : run_training(o, &t, dir);
    for (size_t i = 0; i < n; i++)
        mien_model_free(teachers[i]);
    cli_models_free(&models);
    mien_set_log(NULL, NULL);
    free(teacher_text);
    free(hint_text);
    free(dir);
    return rc;
}

static int run_train(void *p, int argc, char **argv)
{
    (void)argc;
    return run_common(p, &cli_verb_train, argv[0], NULL);
}

static int run_finetune(void *p, int argc, char **argv)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_model *model = NULL;
    (void)argc;
    if (mien_model_load(argv[0], &model, &err) != MIEN_OK)
        return cli_worse(cli_fail(&err), CLI_MODEL);
    const int rc = run_common(p, &cli_verb_finetune, argv[1], model);
    mien_model_free(model);
    return rc;
}

static const cli_example train_examples[] = {
    { "a small embedder that follows a large one",
      "mien train faces/ --teacher mobilefacenet --out mine.mien" },
    { "on people of one's own, from nothing",
      "mien train people/ --loss arcface --epochs 30 --out mine.mien" },
    { "see how crops are varied", "mien train people/ --preview sheet.png" },
    { "go on after an interruption", "mien train faces/ --teacher mobilefacenet --out mine.mien --resume" },
    { NULL, NULL },
};

static const cli_example tune_examples[] = {
    { "on one's own people", "mien finetune mobilefacenet people/ --out mine.mien" },
    { "for distant faces",
      "mien finetune mobilefacenet people/ --augment default,lowres=16-32:0.7 --out far.mien" },
    { "only a layer behind the embedding",
      "mien finetune mobilefacenet people/ --tune head --out mine.mien" },
    { NULL, NULL },
};

const cli_verb cli_verb_train = {
    .name = "train",
    .operands = "DATA",
    .brief = "train a network: by following teachers, or on labelled people",
    .about = "DATA is a folder with a folder per person, a CSV (path, person, split), a list of pictures, or "
             "a folder of "
             "pictures without names. Faces are found once and remembered in the run folder. People are "
             "split between "
             "training and validation by name, never by picture, and near duplicates across the split are "
             "left out.\n\n"
             "The run folder keeps a checkpoint, a log of JSON lines and a report; after an interruption "
             "--resume goes on "
             "and ends with the same weights as a run that was left alone.",
    .exits = "0 a model was written, 2 usage or other settings than the run to resume, 3 unusable data, 4 no "
             "model, 5 a "
             "fault: no number in the loss, no room on the disk",
    .tables = { cli_train_new_options, cli_train_shared_options, cli_detector_options, cli_input_options },
    .examples = train_examples,
    .opts_bytes = sizeof(cli_train_opts),
    .min_operands = 1,
    .max_operands = 1,
    .hint = CLI_FILES,
    .run = run_train,
};

const cli_verb cli_verb_finetune = {
    .name = "finetune",
    .operands = "MODEL DATA",
    .brief = "tune an embedder on one's own people, and say whether it got better",
    .about = "DATA is a folder with a folder per person, or a CSV (path, person, split). The tuned model is "
             "compared with "
             "the one it came from on people that were held out; when it is not shown to be better, nothing "
             "is written "
             "without --force.",
    .exits = "0 a better model was written, 1 it was not shown to be better, 2 usage, 3 unusable data, 4 no "
             "model, 5 a fault",
    .tables = { cli_train_tune_options, cli_train_shared_options, cli_detector_options, cli_input_options },
    .examples = tune_examples,
    .opts_bytes = sizeof(cli_train_opts),
    .min_operands = 2,
    .max_operands = 2,
    .hint = CLI_FILES,
    .run = run_finetune,
};
