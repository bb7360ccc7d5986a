/* mien train, mien finetune: networks from nothing by distillation or on labelled people; models tuned on
 * one's own people. Both fill one mien_train_opts and differ in what they start from and in their defaults.
 */
#include "kit.h"
#include "meta.h"
#include <math.h>
#include <mien/train.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LIST = 64 };

typedef struct train_opts {
    cli_common common; /* first */
    const char *out, *run_dir, *arch, *val, *teachers, *hints, *augment, *preview, *name, *meta, *tune,
        *backgrounds;
    int aligned, loss, epochs, batch, accumulate, optimizer, patience, validate, seed, resume, force,
        pictures, max_images, max_steps;
    double lr, lr_floor, warmup, weight_decay, momentum, clip, ema, scale, margin, val_fraction, w_embed,
        w_relation, w_hint, blockwise;
} train_opts;

#define TEXT(field, name_, value_, brief_) \
    .name = name_, .kind = CLI_TEXT, .offset = offsetof(train_opts, field), .value = value_, .brief = brief_
#define NUMBER(field, name_, def_, min_, max_, brief_)                                                \
    .name = name_, .kind = CLI_INT, .offset = offsetof(train_opts, field), .value = "N", .def = def_, \
    .min = min_, .max = max_, .brief = brief_
#define REAL(field, name_, def_, min_, max_, brief_)                                                   \
    .name = name_, .kind = CLI_REAL, .offset = offsetof(train_opts, field), .value = "X", .def = def_, \
    .min = min_, .max = max_, .brief = brief_
#define FLAG(field, name_, brief_) \
    .name = name_, .kind = CLI_FLAG, .offset = offsetof(train_opts, field), .brief = brief_

static const cli_option new_options[] = {
    { TEXT(arch, "arch", "A", "network: mobilefacenet[:embed=N,width=X] or yunet"), .def = "mobilefacenet",
      .more = "mobilefacenet is an embedder of 112x112 crops (Chen 2018); embed is the embedding's length "
              "(256), width "
              "scales the channels. yunet is a face detector with five landmarks (Wu 2023)." },
    { TEXT(teachers, "teacher", "M[,M]", "models to follow (distillation)"), .hint = CLI_MODELS },
    { TEXT(hints, "hints", "S=T,...", "inner values of the first teacher to follow"), .rare = 1,
      .more = "Each pair names a value of the new network and one of the teacher of the same shape." },
    { REAL(blockwise, "blockwise", "0", 0, 100000, "first epochs in which parts between hints learn apart"),
      .rare = 1,
      .more = "Each stretch of the network between two hints then gets the teacher's value as its input and "
              "sends no gradient "
              "further back, which is much faster than learning from end to end." },
    { TEXT(backgrounds, "backgrounds", "DIR", "detectors: pictures without faces"), .hint = CLI_DIRS },
    { .name = "loss",
      .kind = CLI_CHOICE,
      .offset = offsetof(train_opts, loss),
      .value = "distill|softmax|arcface|cosface|triplet",
      .def = "distill",
      .brief = "what is minimised",
      .more = "distill follows the teachers and needs no names; the others learn to tell the people of the "
              "folders apart." },
    { NUMBER(epochs, "epochs", "10", 1, 100000, "passes over the pictures") },
    { REAL(lr, "lr", "0.001", 1e-9, 10, "learning rate after warm-up") },
    { 0 },
};

static const cli_option tune_options[] = {
    { TEXT(tune, "tune", "WHAT", "what is tuned: head, last:N or all"), .def = "all",
      .more = "head puts a small linear layer behind the embedding and trains that alone, in seconds; last:N "
              "trains the "
              "last N layers; all trains every weight." },
    { TEXT(teachers, "teacher", "M[,M]", "models to stay near to; by default the model itself"),
      .hint = CLI_MODELS },
    { .name = "loss",
      .kind = CLI_CHOICE,
      .offset = offsetof(train_opts, loss),
      .value = "distill|softmax|arcface|cosface|triplet",
      .def = "arcface",
      .brief = "what is minimised, beside staying near the teacher" },
    { NUMBER(epochs, "epochs", "8", 1, 100000, "passes over the pictures") },
    { REAL(lr, "lr", "0.0005", 1e-9, 10, "learning rate after warm-up") },
    { FLAG(force, "force", "write the model although it was not shown to be better") },
    { 0 },
};

static const cli_option shared_options[] = {
    { TEXT(out, "out", "FILE", "model to write (.mien)"), .letter = 'o', .hint = CLI_FILES },
    { TEXT(run_dir, "run", "DIR", "run folder: checkpoint, log, report; by default OUT.run"),
      .hint = CLI_DIRS },
    { FLAG(resume, "resume", "go on from the run folder's checkpoint") },
    { FLAG(aligned, "aligned", "pictures are aligned crops already") },
    { TEXT(val, "val", "DATA", "people to validate on; by default a part of DATA is split off"),
      .hint = CLI_FILES },
    { REAL(val_fraction, "val-fraction", "0.1", 0.001, 0.9, "share of people split off for validation") },
    { TEXT(augment, "augment", "SPEC", "how crops are varied, for instance flip=0.5,rotate=10"),
      .more = "A list of name=amount[:probability]: flip, rotate (degrees), scale, shift, crop, brightness, "
              "contrast, "
              "saturation, hue, grey, blur (px), noise, jpeg (lowest quality), lowres (A-B px), occlude. The "
              "words "
              "none and default may stand first." },
    { TEXT(preview, "preview", "FILE", "draw a sheet of varied crops (.png, .jpg) and stop"),
      .hint = CLI_FILES },
    { NUMBER(batch, "batch", "32", 2, 4096, "pictures per step") },
    { NUMBER(accumulate, "accumulate", "1", 1, 1024, "batches per step of the optimiser"), .rare = 1 },
    { .name = "optimizer",
      .kind = CLI_CHOICE,
      .offset = offsetof(train_opts, optimizer),
      .value = "adamw|sgd",
      .def = "adamw",
      .rare = 1,
      .brief = "AdamW (Loshchilov 2019) or SGD with momentum" },
    { REAL(weight_decay, "weight-decay", "0.0001", 0, 10, "pull of weights towards zero"), .rare = 1 },
    { REAL(momentum, "momentum", "0.9", 0, 0.9999, "of SGD"), .rare = 1 },
    { REAL(warmup, "warmup", "0.2", 0, 1000, "epochs of rising learning rate"), .rare = 1 },
    { REAL(lr_floor, "lr-floor", "0.01", 0, 1, "last learning rate as a part of --lr"), .rare = 1 },
    { REAL(clip, "clip", "5", 0, 1e9, "greatest gradient norm; 0: any"), .rare = 1 },
    { REAL(ema, "ema", "0.999", 0, 0.99999,
           "decay of the weight average that is validated and saved; 0: none"),
      .rare = 1 },
    { REAL(scale, "scale", "0", 0, 1000, "of ArcFace and CosFace; 0: 64"), .rare = 1 },
    { REAL(margin, "margin", "0", 0, 3, "of the loss; 0: the paper's"), .rare = 1 },
    { REAL(w_embed, "w-embed", "1", 0, 1e6, "weight of following the teachers' embeddings"), .rare = 1 },
    { REAL(w_relation, "w-relation", "0", 0, 1e6, "weight of following their cosines between pictures"),
      .rare = 1 },
    { REAL(w_hint, "w-hint", "1", 0, 1e6, "weight of the hints"), .rare = 1 },
    { NUMBER(validate, "validate", "1", 0, 100000, "epochs between validations"), .rare = 1 },
    { NUMBER(patience, "patience", "0", 0, 100000, "stop after so many validations without gain; 0: never") },
    { NUMBER(seed, "seed", "1", 0, 2147483647, "of everything random") },
    { NUMBER(max_images, "max-images", "0", 0, 2147483647, "use so many pictures; 0: all"), .rare = 1 },
    { NUMBER(max_steps, "max-steps", "0", 0, 2147483647, "stop after so many steps; 0: epochs decide"),
      .rare = 1 },
    { FLAG(pictures, "pictures", "show crops of the worst errors in the report"), .rare = 1,
      .more = "Without it no picture leaves the folder it is in." },
    { TEXT(name, "name", "NAME", "name of the model"), .rare = 1 },
    { TEXT(meta, "meta", "FILE", "JSON with properties of the model: licence, training_data, ..."),
      .hint = CLI_FILES, .rare = 1 },
    { 0 },
};

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

static void fill_opts(const train_opts *o, mien_train_opts *t)
{
    t->val_data = o->val;
    t->val_fraction = o->val_fraction;
    t->aligned = o->aligned;
    t->loss = (mien_train_loss)o->loss;
    t->w_embed = o->w_embed;
    t->w_relation = o->w_relation;
    t->w_hint = o->w_hint;
    t->blockwise_epochs = o->blockwise;
    t->augment = o->augment;
    t->backgrounds = o->backgrounds;
    t->epochs = o->epochs;
    t->batch = o->batch;
    t->accumulate = o->accumulate;
    t->lr = o->lr;
    t->lr_floor = o->lr_floor;
    t->warmup_epochs = o->warmup;
    t->weight_decay = o->weight_decay;
    t->momentum = o->momentum;
    t->clip_norm = o->clip;
    t->ema = o->ema;
    t->sgd = o->optimizer == 1;
    t->scale = o->scale;
    t->margin = o->margin;
    t->patience = o->patience;
    t->validate_epochs = o->validate;
    t->seed = (uint64_t)o->seed;
    t->max_images = (size_t)o->max_images;
    t->max_steps = (uint64_t)o->max_steps;
    t->threads = (unsigned)o->common.threads;
    t->resume = o->resume;
    t->force = o->force;
    t->error_pictures = o->pictures;
}

static int save(const train_opts *o, mien_model *model)
{
    mien_error err = MIEN_ERROR_INIT;
    cli_meta meta = { 0 };
    mien_model_info info = *mien_model_info_of(model);
    int rc = CLI_YES;
    if (o->name)
        info.name = o->name;
    if (o->meta)
        rc = cli_meta_read(&meta, o->meta, &info);
    if (rc == CLI_YES && mien_model_set_info(model, &info, &err) != MIEN_OK)
        rc = cli_fail(&err);
    if (rc == CLI_YES && mien_model_save(model, o->out, &err) != MIEN_OK)
        rc = cli_worse(cli_fail_path(o->out, &err), CLI_INTERNAL);
    cli_meta_free(&meta);
    return rc;
}

static int report_result(const train_opts *o, const mien_train_result *r, const char *dir)
{
    printf("%llu steps in %.0f s, %zu pictures of training and %zu of validation, %zu people, %zu pictures "
           "left out, %zu "
           "near duplicates\n",
           (unsigned long long)r->steps, r->seconds, r->n_train, r->n_val, r->n_people, r->n_left_out,
           r->n_duplicates);
    fputs(r->summary, stdout);
    if (isfinite(r->score))
        printf("validation score %.4f%s\n", r->score,
               r->stopped_early ? " (stopped early: nothing better came)" : "");
    printf("run folder %s, model %s\n", dir, o->out);
    return CLI_YES;
}

static int draw_preview(const train_opts *o, const mien_train_opts *t)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_image *sheet = NULL;
    mien_status st = mien_train_preview(t, 8, 10, &sheet, &err);
    if (st == MIEN_OK)
        st = mien_image_save(mien_image_view_of(sheet), o->preview, 92, &err);
    mien_image_free(sheet);
    return st == MIEN_OK ? CLI_YES : cli_fail(&err);
}

static int run_training(const train_opts *o, mien_train_opts *t, const char *dir)
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
        return cli_fail(&err);
    int rc = CLI_YES;
    if (t->model && !t->force && result.better <= 0) {
        printf("the tuned model was not shown to be better on held-out people: %s is not written (--force "
               "writes it)\n",
               o->out);
        rc = CLI_NO;
    } else
        rc = save(o, model);
    mien_model_free(model);
    return rc <= CLI_NO ? cli_worse(rc, report_result(o, &result, dir)) : rc;
}

/* `start` NULL: a new network. */
static int run_common(const train_opts *o, const cli_verb *verb, const char *data, const mien_model *start)
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
    mien_train_opts_init(&t);
    fill_opts(o, &t);
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
    .exits = "0 a model was written, 2 usage, 3 unusable data, 4 no model, 5 a fault",
    .tables = { new_options, shared_options, cli_detector_options, cli_input_options },
    .examples = train_examples,
    .opts_bytes = sizeof(train_opts),
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
    .tables = { tune_options, shared_options, cli_detector_options, cli_input_options },
    .examples = tune_examples,
    .opts_bytes = sizeof(train_opts),
    .min_operands = 2,
    .max_operands = 2,
    .hint = CLI_FILES,
    .run = run_finetune,
};
