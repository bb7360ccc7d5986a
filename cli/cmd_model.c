/* mien model import, list, info, verify: the networks at hand and what they say of themselves. */
#include "meta.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* ---- import ---- */

typedef struct import_opts {
    const char *out, *name, *meta;
    int task;
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
    if (mien_model_save(model, path, &err) != MIEN_OK) {
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

static int run_import(void *p, int argc, char **argv)
{
    const import_opts *opts = p;
    mien_model *model = NULL;
    mien_error err = MIEN_ERROR_INIT;
    cli_meta meta = { 0 };
    (void)argc;
    if (mien_model_import(argv[0], NULL, &model, &err) != MIEN_OK)
        return cli_fail_path(argv[0], &err);
    mien_model_info info = *mien_model_info_of(model);
    if (opts->name)
        info.name = opts->name;
    if (opts->task)
        info.task = opts->task == 1   ? MIEN_TASK_DETECT
                    : opts->task == 2 ? MIEN_TASK_EMBED
                    : opts->task == 3 ? MIEN_TASK_LANDMARK
                                      : MIEN_TASK_OTHER;
    int rc = opts->meta ? cli_meta_read(&meta, opts->meta, &info) : CLI_YES;
    if (rc == CLI_YES && (opts->name || opts->task || opts->meta) &&
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
    { NULL, NULL },
};

const cli_verb cli_verb_model_import = {
    .name = "model import",
    .operands = "FILE.onnx|FILE.xml",
    .brief = "make a .mien file of an ONNX or OpenVINO network",
    .about =
        "Reads and checks the network, folds constants and batch normalisation, and writes one file with the "
        "weights and all that is known of the model: how pictures are prepared for it, its licence, what it "
        "was trained on, its thresholds. Files that the registry knows (by SHA-256) bring this with them; "
        "for others --meta says it.",
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

static json_t *entry_json(const mien_registry_entry *e, const char *path)
{
    json_t *item = json_object();
    cli_json_set(item, "name", cli_json_text(e->name));
    cli_json_set(item, "task", json_string(cli_task_name(e->task)));
    cli_json_set(item, "use", cli_json_text(e->use));
    cli_json_set(item, "description", cli_json_text(e->description));
    cli_json_set(item, "licence", cli_json_text(e->licence));
    cli_json_set(item, "training_data", cli_json_text(e->training_data));
    cli_json_set(item, "url", cli_json_text(e->url));
    cli_json_set(item, "sha256", cli_json_text(e->sha256));
    cli_json_set(item, "path", path ? cli_json_text(path) : json_null());
    return item;
}

static int run_list(void *p, int argc, char **argv)
{
    const list_opts *opts = p;
    const mien_registry_entry *e = NULL;
    json_t *list = json_array();
    (void)argc;
    (void)argv;
    for (size_t i = 0; (e = mien_registry_at(i)) != NULL; i++) {
        char path[PATH_MAX];
        const bool here = mien_registry_locate(e->name, path, sizeof path, NULL) == MIEN_OK;
        if (opts->format == 1) {
            cli_json_append(list, entry_json(e, here ? path : NULL));
        } else if (opts->format == 2) {
            puts(e->name);
        } else {
            printf("%s\n  %s; %s, %s\n  %s\n", e->name, e->description, e->use, e->licence,
                   here        ? path
                   : e->url[0] ? "not here; mien model pull gets it"
                               : "not here, and not offered for download");
        }
    }
    if (opts->format == 1) {
        json_t *page = json_object();
        cli_json_set(page, "models", list);
        cli_json_page(stdout, page);
    } else {
        json_decref(list);
    }
    return CLI_YES;
}

static const cli_example list_examples[] = {
    { "see what is known and what is here", "mien model list" },
    { NULL, NULL },
};

const cli_verb cli_verb_model_list = {
    .name = "model list",
    .operands = "",
    .brief = "list the known models and where they lie",
    .about = "Prints each known model with its use (`default`: chosen when none is named; `reference`: for "
             "comparison only), its licence, and the file that would be read.",
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
    for (size_t i = 0; i < info->n_points; i++)
        printf("%-14s%.4f at FMR %g (95 %%: %.2g to %.2g)%s\n", i ? "" : "thresholds",
               info->points[i].threshold, info->points[i].fmr, info->points[i].fmr_lo, info->points[i].fmr_hi,
               info->points[i].fmr <= info->default_fmr * 1.0001 &&
                       info->points[i].fmr >= info->default_fmr * 0.9999
                   ? ", default"
                   : "");
    print_text_field("calibrated", info->protocol);
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
        char path[PATH_MAX];
        mien_error err = MIEN_ERROR_INIT;
        const bool is_path = strchr(argv[i], '/') || *cli_extension(argv[i]);
        if (is_path)
            snprintf(path, sizeof path, "%s", argv[i]);
        if ((!is_path && mien_registry_locate(argv[i], path, sizeof path, &err) != MIEN_OK) ||
            mien_model_verify(path, &err) != MIEN_OK) {
            rc = cli_worse(rc, cli_fail_path(argv[i], &err));
            continue;
        }
        cli_plain_text(stdout, path);
        puts(": whole and unchanged");
    }
    return rc;
}

static const cli_example verify_examples[] = {
    { "check a file after copying it", "mien model verify mobilefacenet.mien" },
    { NULL, NULL },
};

const cli_verb cli_verb_model_verify = {
    .name = "model verify",
    .operands = "MODEL.mien...",
    .brief = "check that a .mien file is whole and unchanged",
    .about =
        "Checks the structure of the file and the SHA-256 at its end. This finds damage; it does not say who "
        "made the file.",
    .exits = "0 each is whole, 3 no such file, 4 damaged",
    .examples = verify_examples,
    .min_operands = 1,
    .hint = CLI_MODELS,
    .run = run_verify,
};
