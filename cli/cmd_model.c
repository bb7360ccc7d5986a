/* mien model import, list, info, verify: the networks at hand and what they say of themselves. */
#include "meta.h"
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- import ---- */

typedef struct import_opts {
    const char *out, *name, *meta, *calibration;
    int task, store;
} import_opts;

static const cli_option import_options[] = {
    { .name = "out",
      .letter = 'o',
      .kind = CLI_TEXT,
      .offset = offsetof(import_opts, out),
      .value = "FILE",
      .hint = CLI_FILES,
      .brief = "file to write; by default NAME.mien here" },
    { .name = "name",
      .letter = 'n',
      .kind = CLI_TEXT,
      .offset = offsetof(import_opts, name),
      .value = "NAME",
      .brief = "name of the model" },
    { .name = "task",
      .kind = CLI_CHOICE,
      .offset = offsetof(import_opts, task),
      .value = "auto|detect|embed|landmark|other",
      .def = "auto",
      .brief = "what it is for" },
    { .name = "meta",
      .kind = CLI_TEXT,
      .offset = offsetof(import_opts, meta),
      .value = "FILE",
      .hint = CLI_FILES,
      .brief = "JSON with properties to set",
      .more =
          "The keys are those that `mien model info --format json` prints: mean, scale, color_order, "
          "normalize (mean_scale, standardize), crop (similarity, margin), landmarks, points, licence and "
          "so on. What is left out stays as known." },
    { .name = "calibration",
      .kind = CLI_TEXT,
      .offset = offsetof(import_opts, calibration),
      .value = "FILE",
      .hint = CLI_FILES,
      .brief = "thresholds, as `mien calibrate --out` writes them",
      .more = "They must have been fitted on this model's templates. --meta is read after it." },
    { .name = "store",
      .kind = CLI_CHOICE,
      .offset = offsetof(import_opts, store),
      .value = "exact|f16",
      .def = "exact",
      .brief = "weights as they are, or as half floats",
      .more = "f16 halves the file and rounds each weight to 11 bits; biases, slopes and what half floats "
              "cannot hold stay as they are." },
    { 0 },
};

static int save_model(const import_opts *opts, mien_model *model)
{
    mien_error err = MIEN_ERROR_INIT;
    const mien_model_info *info = mien_model_info_of(model);
    if (!opts->out && (!info->name[0] || strchr(info->name, '/')))
        return cli_usage(&cli_verb_model_import, "this model has no name: wanted --name or --out");
    char *path = opts->out ? cli_strdup(opts->out) : cli_format("%s.mien", info->name);
    int rc = CLI_YES;
    if (mien_model_save_as(model, path, opts->store ? MIEN_STORE_F16 : MIEN_STORE_EXACT, &err) != MIEN_OK) {
        cli_fail_path(path, &err);
        rc = CLI_INTERNAL;
    } else {
        cli_plain_text(stdout, path);
        printf(": %s, %s, %.2f million weights\n", info->name[0] ? info->name : "unnamed",
               cli_task_name(info->task), (double)info->n_params / 1e6);
    }
    free(path);
    return rc;
}

/* Thresholds belong to one model's scores. */
static int calibrate(const char *path, const mien_model *model, cli_meta *meta, mien_model_info *info)
{
    char fingerprint[65];
    mien_error err = MIEN_ERROR_INIT;
    const int rc = cli_meta_calibration(meta, path, info);
    if (rc != CLI_YES)
        return rc;
    if (mien_model_fingerprint(model, fingerprint, &err) != MIEN_OK)
        return cli_fail(&err);
    if (strcmp(fingerprint, mien_curve_info_of(meta->curve)->model) == 0)
        return CLI_YES;
    cli_say_path(path, "fitted on another model's templates");
    return CLI_INPUT;
}

static int run_import(void *p, int argc, char **argv)
{
    const import_opts *opts = p;
    mien_model *model = NULL;
    mien_error err = MIEN_ERROR_INIT;
    cli_meta meta = { 0 };
    (void)argc;
    const bool is_mien = cli_has_extension(argv[0], ".mien");
    if ((is_mien ? mien_model_load(argv[0], &model, &err) : mien_model_import(argv[0], NULL, &model, &err)) !=
        MIEN_OK)
        return cli_fail_path(argv[0], &err);
    mien_model_info info = *mien_model_info_of(model);
    if (opts->name)
        info.name = opts->name;
    if (opts->task)
        info.task = opts->task == 1   ? MIEN_TASK_DETECT
                    : opts->task == 2 ? MIEN_TASK_EMBED
                    : opts->task == 3 ? MIEN_TASK_LANDMARK
                                      : MIEN_TASK_OTHER;
    int rc = opts->calibration ? calibrate(opts->calibration, model, &meta, &info) : CLI_YES;
    if (rc == CLI_YES && opts->meta)
        rc = cli_meta_read(&meta, opts->meta, &info);
    if (rc == CLI_YES && (opts->name || opts->task || opts->meta || opts->calibration) &&
        mien_model_set_info(model, &info, &err) != MIEN_OK)
        rc = cli_fail_path(opts->meta ? opts->meta : argv[0], &err);
    if (rc == CLI_YES)
        rc = save_model(opts, model);
    cli_meta_free(&meta);
    mien_model_free(model);
    return rc;
}

static const cli_example import_examples[] = {
    { "make a known network start faster", "mien model import mobilefacenet_foamliu.onnx" },
    { "bring a network of one's own",
      "mien model import net.onnx --name mine --task embed --meta mine.json" },
    { "take an OpenVINO network (its .bin lies beside it)",
      "mien model import face-reidentification-retail-0095.xml" },
    { "halve a model that was trained here, and say whose it is",
      "mien model import trained.mien --store f16 --meta mine.json --out small.mien" },
    { NULL, NULL },
};

const cli_verb cli_verb_model_import = {
    .name = "model import",
    .operands = "FILE.onnx|FILE.xml|FILE.mien",
    .brief = "make a .mien file of a network, or rewrite one",
    .about =
        "Reads and checks an ONNX or OpenVINO network, folds constants and batch normalisation, and writes "
        "one file with the "
        "weights and all that is known of the model: how pictures are prepared for it, its licence, what it "
        "was trained on, its thresholds. Files that the registry knows (by SHA-256) bring this with them; "
        "for others --meta says it. A .mien file is read as it is, to write it anew with other properties or "
        "stored otherwise.",
    .exits = "0 done, 2 usage, 3 no such file, 4 not a network that can be used",
    .tables = { import_options },
    .examples = import_examples,
    .opts_bytes = sizeof(import_opts),
    .min_operands = 1,
    .max_operands = 1,
    .run = run_import,
};

/* ---- list ---- */

typedef struct list_opts {
    int format;
} list_opts;

static const cli_option list_options[] = {
    { .name = "format",
      .letter = 'f',
      .kind = CLI_CHOICE,
      .offset = offsetof(list_opts, format),
      .value = "text|json|names",
      .def = "text",
      .brief = "how to print" },
    { 0 },
};

/* One row of the list: of the registry, or of a built-in model's own description. */
typedef struct list_row {
    const char *name, *use, *description, *licence, *training_data, *url, *sha256;
    mien_task task;
    const char *state; /* "built in", "here", "missing" */
    const char *path;  /* where it is a file here */
} list_row;

static json_t *row_json(const list_row *r)
{
    json_t *item = json_object();
    cli_json_set(item, "name", cli_json_text(r->name));
    cli_json_set(item, "task", json_string(cli_task_name(r->task)));
    cli_json_set(item, "use", cli_json_text(r->use));
    cli_json_set(item, "state", json_string(r->state));
    cli_json_set(item, "description", cli_json_text(r->description));
    cli_json_set(item, "licence", cli_json_text(r->licence));
    cli_json_set(item, "training_data", cli_json_text(r->training_data));
    cli_json_set(item, "url", cli_json_text(r->url));
    cli_json_set(item, "sha256", cli_json_text(r->sha256));
    cli_json_set(item, "path", r->path ? cli_json_text(r->path) : json_null());
    return item;
}

static void put_row(const list_opts *opts, const list_row *r, json_t *list)
{
    if (opts->format == 1)
        cli_json_append(list, row_json(r));
    else if (opts->format == 2)
        puts(r->name);
    else
        printf("%s\n  %s; %s, %s\n  %s\n", r->name, r->description, r->use, r->licence,
               r->path                       ? r->path
               : strcmp(r->state, "missing") ? r->state
               : r->url[0]                   ? "not here; mien model pull gets it"
                                             : "not here, and not offered for download");
}

static int put_builtin(const list_opts *opts, const char *name, json_t *list)
{
    mien_model *model = NULL;
    mien_error err = MIEN_ERROR_INIT;
    if (mien_model_load(name, &model, &err) != MIEN_OK)
        return cli_fail_path(name, &err);
    const mien_model_info *info = mien_model_info_of(model);
    const list_row row = { .name = name,
                           .use = "default",
                           .description = info->description,
                           .licence = info->licence,
                           .training_data = info->training_data,
                           .url = "",
                           .sha256 = info->sha256,
                           .task = info->task,
                           .state = "built in" };
    put_row(opts, &row, list);
    mien_model_free(model);
    return CLI_YES;
}

static void put_known(const list_opts *opts, const mien_registry_entry *e, json_t *list)
{
    char path[PATH_MAX];
    const bool here = mien_registry_locate(e->name, path, sizeof path, NULL) == MIEN_OK;
    const list_row row = { .name = e->name,
                           .use = e->use,
                           .description = e->description,
                           .licence = e->licence,
                           .training_data = e->training_data,
                           .url = e->url,
                           .sha256 = e->sha256,
                           .task = e->task,
                           .state = here ? "here" : "missing",
                           .path = here ? path : NULL };
    put_row(opts, &row, list);
}

static int run_list(void *p, int argc, char **argv)
{
    const list_opts *opts = p;
    const mien_registry_entry *e = NULL;
    const char *name = NULL;
    json_t *list = json_array();
    int rc = CLI_YES;
    (void)argc;
    (void)argv;
    for (size_t i = 0; (name = mien_builtin_at(i)) != NULL; i++)
        rc = cli_worse(rc, put_builtin(opts, name, list));
    for (size_t i = 0; (e = mien_registry_at(i)) != NULL; i++)
        put_known(opts, e, list);
    if (opts->format == 1) {
        json_t *page = json_object();
        cli_json_set(page, "models", list);
        cli_json_page(stdout, page);
    } else {
        json_decref(list);
    }
    return rc;
}

static const cli_example list_examples[] = {
    { "see what is known and what is here", "mien model list" },
    { NULL, NULL },
};

const cli_verb cli_verb_model_list = {
    .name = "model list",
    .operands = "",
    .brief = "list the known models and where they lie",
    .about =
        "Prints each known model with its use (`default`: built in and taken when none is named; "
        "`alternative`: taken by its name; `reference`: for comparison only), its licence, and the file that "
        "would be read.",
    .exits = "0 done",
    .tables = { list_options },
    .examples = list_examples,
    .opts_bytes = sizeof(list_opts),
    .hint = CLI_NOTHING,
    .run = run_list,
};

/* ---- info ---- */

static const cli_option info_options[] = {
    { .name = "format",
      .letter = 'f',
      .kind = CLI_CHOICE,
      .offset = offsetof(list_opts, format),
      .value = "text|json",
      .def = "text",
      .brief = "how to print" },
    { 0 },
};

static void print_text_field(const char *label, const char *text)
{
    if (!text[0])
        return;
    printf("%-14s", label);
    cli_plain_text(stdout, text);
    puts("");
}

/* 1, 2 and 5 of each decade. */
static bool is_round(double rate)
{
    const double lead = rate / pow(10, floor(log10(rate) + 1e-9));
    return fabs(lead - 1) < 1e-6 || fabs(lead - 2) < 1e-6 || fabs(lead - 5) < 1e-6;
}

/* Of a fine table the ends, the default and the round rates; JSON has all. */
static void print_points(const mien_model_info *info)
{
    for (size_t i = 0; i < info->n_points; i++) {
        const mien_operating_point *p = &info->points[i];
        const bool is_default = fabs(p->fmr - info->default_fmr) <= 1e-4 * info->default_fmr;
        if (i && i + 1 < info->n_points && !is_default && !is_round(p->fmr))
            continue;
        printf("%-14s%.4f at FMR %g (95 %%: %.2g to %.2g)%s\n", i ? "" : "thresholds", p->threshold, p->fmr,
               p->fmr_lo, p->fmr_hi, is_default ? ", default" : "");
    }
}

static void print_info(const mien_model_info *info)
{
    print_text_field("name", info->name);
    print_text_field("what", info->description);
    print_text_field("task", cli_task_name(info->task));
    print_text_field("licence", info->licence);
    print_text_field("trained on", info->training_data);
    print_text_field("source", info->source);
    print_text_field("sha256", info->sha256);
    if (info->input_width)
        printf("%-14s%dx%d %s\n", "input", info->input_width, info->input_height,
               info->color_order == MIEN_BGR ? "BGR" : "RGB");
    else
        printf("%-14sany size, multiples of %d px, %s\n", "input", info->input_multiple,
               info->color_order == MIEN_BGR ? "BGR" : "RGB");
    printf("%-14s%.2f million\n", "weights", (double)info->n_params / 1e6);
    if (info->task == MIEN_TASK_EMBED)
        printf("%-14s%d floats\n", "embedding", info->embedding_len);
    if (info->task == MIEN_TASK_EMBED && !info->n_points)
        puts("thresholds    none: not calibrated");
    print_points(info);
    print_text_field("calibrated", info->protocol);
    if (info->n_people)
        printf("%-14s%llu people; spread %.3f, templates of two pictures reach %.3f times as far\n",
               "for searches", (unsigned long long)info->n_people, info->spread,
               info->fusion_mated > 0 ? sqrt((1 + info->fusion_other) / (1 + info->fusion_mated)) : 1.0);
}

static int run_info(void *p, int argc, char **argv)
{
    const list_opts *opts = p;
    int rc = CLI_YES;
    for (int i = 0; i < argc; i++) {
        mien_model *model = NULL;
        mien_error err = MIEN_ERROR_INIT;
        if (mien_model_load(argv[i], &model, &err) != MIEN_OK) {
            rc = cli_worse(rc, cli_fail_path(argv[i], &err));
            continue;
        }
        if (opts->format == 1)
            cli_json_page(stdout, cli_meta_json(mien_model_info_of(model)));
        else
            print_info(mien_model_info_of(model));
        if (opts->format == 0 && i + 1 < argc)
            puts("");
        mien_model_free(model);
    }
    return rc;
}

static const cli_example info_examples[] = {
    { "read a model's licence and thresholds", "mien model info mobilefacenet" },
    { NULL, NULL },
};

const cli_verb cli_verb_model_info = {
    .name = "model info",
    .operands = "MODEL...",
    .brief = "print what a model says of itself",
    .about =
        "Licence, training data, input, and the thresholds with the false match rates they were calibrated "
        "for.",
    .exits = "0 done, 3 no such file, 4 not a model",
    .tables = { info_options },
    .examples = info_examples,
    .opts_bytes = sizeof(list_opts),
    .min_operands = 1,
    .hint = CLI_MODELS,
    .run = run_info,
};

/* ---- verify ---- */

static int run_verify(void *p, int argc, char **argv)
{
    int rc = CLI_YES;
    (void)p;
    for (int i = 0; i < argc; i++) {
        mien_error err = MIEN_ERROR_INIT;
        if (mien_model_verify(argv[i], &err) != MIEN_OK) {
            rc = cli_worse(rc, cli_fail_path(argv[i], &err));
            continue;
        }
        cli_plain_text(stdout, argv[i]);
        puts(": whole and unchanged");
    }
    return rc;
}

static const cli_example verify_examples[] = {
    { "check a file after copying it", "mien model verify mobilefacenet.mien" },
    { "check what is built in", "mien model verify mien-face-embed mien-face-detect" },
    { NULL, NULL },
};

const cli_verb cli_verb_model_verify = {
    .name = "model verify",
    .operands = "MODEL...",
    .brief = "check that a model is whole and unchanged",
    .about = "Checks the structure of a .mien file, or of a built-in model, and the SHA-256 at its end. This "
             "finds "
             "damage; it does not say who made the file.",
    .exits = "0 each is whole, 3 no such file, 4 damaged",
    .examples = verify_examples,
    .min_operands = 1,
    .hint = CLI_MODELS,
    .run = run_verify,
};
