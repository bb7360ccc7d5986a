/* The program under the names face_recognition and face_detection: the arguments and the CSV of the Python
 * tools of these names (ageitgey/face_recognition), so that scripts around them go on working.
 *
 * Their distances come from another network. Here the Euclidean distance d of the unit embeddings is scaled
 * to 0.6 * d / d0, with d0 the distance at the model's calibrated threshold: their default tolerance, 0.6,
 * then is exactly that threshold, and smaller is stricter as before. Warnings go to standard error, so that
 * standard output is CSV alone.
 */
#include "kit.h"
#include <stdlib.h>
#include <string.h>

typedef struct compat_opts {
    cli_common common; /* first */
    int cpus, model, upsample;
    const char *show_distance;
    double tolerance;
} compat_opts;

static const cli_option cpus_options[] = {
    { .name = "cpus",
      .kind = CLI_INT,
      .offset = offsetof(compat_opts, cpus),
      .value = "N",
      .def = "1",
      .min = -1,
      .max = 256,
      .brief = "processors to use; -1: all" },
    { 0 },
};

static const cli_option recognition_options[] = {
    { .name = "tolerance",
      .kind = CLI_REAL,
      .offset = offsetof(compat_opts, tolerance),
      .value = "D",
      .def = "0.6",
      .min = 0,
      .max = 10,
      .brief = "largest distance of the same person" },
    { .name = "show-distance",
      .kind = CLI_TEXT,
      .offset = offsetof(compat_opts, show_distance),
      .value = "BOOL",
      .def = "False",
      .brief = "print the distance too" },
    { 0 },
};

static const cli_option detection_options[] = {
    { .name = "model",
      .kind = CLI_CHOICE,
      .offset = offsetof(compat_opts, model),
      .value = "hog|cnn",
      .def = "hog",
      .brief = "accepted; both are this program's detector" },
    { .name = "upsample",
      .kind = CLI_INT,
      .offset = offsetof(compat_opts, upsample),
      .value = "N",
      .def = "0",
      .min = 0,
      .max = 8,
      .brief = "accepted; small faces are found without it" },
    { 0 },
};

static const cli_verb recognition_verb = {
    .name = "face_recognition",
    .operands = "KNOWN_PEOPLE_FOLDER IMAGE_TO_CHECK",
    .brief = "name the people in pictures: path,name[,distance]",
    .tables = { cpus_options, recognition_options },
    .opts_bytes = sizeof(compat_opts),
    .min_operands = 2,
    .max_operands = 2,
};

static const cli_verb detection_verb = {
    .name = "face_detection",
    .operands = "IMAGE_TO_CHECK",
    .brief = "list the faces of pictures: path,top,right,bottom,left",
    .tables = { cpus_options, detection_options },
    .opts_bytes = sizeof(compat_opts),
    .min_operands = 1,
    .max_operands = 1,
};

typedef struct compat_run {
    const compat_opts *opts;
    const cli_files *files;
    size_t dim;
    /* known people: one vector per file that has a face */
    char **names;
    float *known;
    size_t n_known;
    double at_threshold; /* distance d0 of the unit embeddings */
    bool show_distance, learning;
    int exit_code;
} compat_run;

typedef struct compat_result {
    mien_status status;
    mien_error err;
    cli_seen seen;
    float *vecs; /* [seen.n][dim]; NULL in face_detection */
} compat_result;

static void *work(void *ctx, void *worker, size_t item)
{
    compat_run *run = ctx;
    cli_kit *kit = worker;
    compat_result *r = cli_alloc(1, sizeof *r);
    r->status = cli_see(kit, run->files->items[item].path, &r->seen, &r->err);
    if (r->status == MIEN_OK && kit->embedder) {
        r->vecs = cli_alloc(r->seen.n * run->dim, sizeof(float));
        for (size_t i = 0; i < r->seen.n && r->status == MIEN_OK; i++)
            r->status = mien_embed_face(kit->embedder, mien_image_view_of(r->seen.image), &r->seen.faces[i],
                                        r->vecs + i * run->dim, &r->err);
    }
    mien_image_free(r->seen.image);
    r->seen.image = NULL;
    return r;
}

static void free_result(compat_result *r)
{
    cli_seen_free(&r->seen);
    free(r->vecs);
    free(r);
}

/* A known person: the first face; the name is the file's without its extension. */
static void learn(compat_run *run, const char *path, const compat_result *r)
{
    if (!r->seen.n) {
        cli_say("WARNING: No faces found in %s. Ignoring file.", path);
        return;
    }
    if (r->seen.n > 1)
        cli_say("WARNING: More than one face found in %s. Only considering the first face.", path);
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    const size_t len = (size_t)(cli_extension(base) - base);
    run->names = cli_grow(run->names, run->n_known + 1, sizeof *run->names);
    run->names[run->n_known] = cli_alloc(len + 1, 1);
    memcpy(run->names[run->n_known], base, len);
    run->known = cli_grow(run->known, (run->n_known + 1) * run->dim, sizeof(float));
    memcpy(run->known + run->n_known * run->dim, r->vecs, run->dim * sizeof(float));
    run->n_known++;
}

static void print_name(const compat_run *run, const char *path, const char *name, const double *distance)
{
    cli_csv_text(stdout, path);
    fputc(',', stdout);
    cli_csv_text(stdout, name);
    if (run->show_distance && distance)
        printf(",%.8f", *distance);
    else if (run->show_distance)
        fputs(",None", stdout);
    fputc('\n', stdout);
}

static void recognise(compat_run *run, const char *path, const compat_result *r)
{
    for (size_t i = 0; i < r->seen.n; i++) {
        bool found = false;
        for (size_t k = 0; k < run->n_known; k++) {
            const double s = mien_cosine(r->vecs + i * run->dim, run->known + k * run->dim, run->dim);
            const double distance = 0.6 * mien_distance_of(s) / run->at_threshold;
            if (distance <= run->opts->tolerance) {
                print_name(run, path, run->names[k], &distance);
                found = true;
            }
        }
        if (!found)
            print_name(run, path, "unknown_person", NULL);
    }
    if (!r->seen.n)
        print_name(run, path, "no_persons_found", NULL);
}

static void print_boxes(const char *path, const compat_result *r)
{
    for (size_t i = 0; i < r->seen.n; i++) {
        const mien_face f = cli_seen_face(&r->seen, i);
        /* inside the picture, as their locations are */
        const double left = f.x0 < 0 ? 0 : (double)f.x0, top = f.y0 < 0 ? 0 : (double)f.y0;
        const double right = (double)f.x1 > r->seen.width ? r->seen.width : (double)f.x1;
        const double bottom = (double)f.y1 > r->seen.height ? r->seen.height : (double)f.y1;
        cli_csv_text(stdout, path);
        printf(",%.0f,%.0f,%.0f,%.0f\n", top, right, bottom, left);
    }
}

static void done(void *ctx, size_t item, void *result)
{
    compat_run *run = ctx;
    compat_result *r = result;
    const char *path = run->files->items[item].path;
    if (r->status != MIEN_OK)
        run->exit_code = cli_worse(run->exit_code, cli_fail_path(path, &r->err));
    else if (run->learning)
        learn(run, path, r);
    else if (r->vecs)
        recognise(run, path, r);
    else
        print_boxes(path, r);
    free_result(r);
}

static int go_over(compat_run *run, const cli_models *models, char *operand)
{
    cli_kits kits = { NULL, NULL, 0 };
    cli_files files;
    cli_files_collect(&files, 1, &operand);
    run->files = &files;
    run->exit_code = cli_worse(run->exit_code, files.exit_code);
    int rc = files.n ? cli_kits_new(&kits, models, &run->opts->common, files.n, false) : CLI_YES;
    if (rc == CLI_YES && files.n)
        cli_run_ordered(files.n, kits.n, kits.workers, work, done, run, "images", false);
    cli_kits_free(&kits);
    cli_files_free(&files);
    return rc;
}

/* The tools have none of our options: what those default to, and -1 processors for all. */
static void set_common(compat_opts *opts)
{
    mien_image_opts image = MIEN_IMAGE_OPTS_INIT;
    mien_detect_opts detect = MIEN_DETECT_OPTS_INIT;
    opts->common = (cli_common){ .threads = opts->cpus < 0 ? 0
                                            : opts->cpus   ? opts->cpus
                                                           : 1,
                                 .max_bytes = image.max_bytes,
                                 .max_pixels = image.max_pixels,
                                 .max_side = image.max_side,
                                 .max_scans = image.max_jpeg_scans,
                                 .min_size = detect.min_size_px,
                                 .min_score = (double)detect.min_score };
}

static bool read_bool(const char *s, bool *ret)
{
    static const char *const yes[] = { "True", "true", "TRUE", "1", "yes", "y", "t", "on" };
    static const char *const no[] = { "False", "false", "FALSE", "0", "no", "n", "f", "off" };
    for (size_t i = 0; i < CLI_COUNTOF(yes); i++) {
        if (!strcmp(s, yes[i]) || !strcmp(s, no[i])) {
            *ret = !strcmp(s, yes[i]);
            return true;
        }
    }
    return false;
}

static void tool_help(const cli_verb *verb)
{
    const cli_option *o = NULL;
    printf("Usage: %s [OPTIONS] %s\n\n  %s.\n\nOptions:\n", verb->name, verb->operands, verb->brief);
    for (size_t i = 0; (o = cli_option_at(verb, i)) != NULL; i++)
        printf("  --%-14s %-8s %s (default %s)\n", o->name, o->value, o->brief, o->def);
    printf("  --%-14s %-8s show this message and exit\n", "help", "");
}

static int parse_tool(const cli_verb *verb, int argc, char **argv, compat_opts *opts)
{
    int n = 0;
    cli_program = verb->name;
    for (int i = 0; i < argc; i++) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            tool_help(verb);
            return CLI_YES;
        }
    }
    const int rc = cli_parse(verb, argc, argv, opts, &n);
    set_common(opts);
    return rc;
}

int cli_compat_detection(int argc, char **argv)
{
    compat_opts opts = { .cpus = 1 };
    cli_models models;
    int rc = parse_tool(&detection_verb, argc, argv, &opts);
    if (rc < 0)
        rc = cli_models_load(&models, true, NULL, false, NULL);
    else
        return rc;
    if (rc != CLI_YES)
        return rc;
    compat_run run = { .opts = &opts };
    rc = go_over(&run, &models, argv[0]);
    cli_models_free(&models);
    return cli_worse(rc, run.exit_code);
}

int cli_compat_recognition(int argc, char **argv)
{
    compat_opts opts = { .cpus = 1 };
    cli_models models;
    mien_decision d;
    mien_error err = MIEN_ERROR_INIT;
    int rc = parse_tool(&recognition_verb, argc, argv, &opts);
    if (rc >= 0)
        return rc;
    compat_run run = { .opts = &opts, .learning = true };
    if (!read_bool(opts.show_distance, &run.show_distance))
        return cli_usage(&recognition_verb, "--show-distance wants True or False, not '%s'",
                         opts.show_distance);
    rc = cli_models_load(&models, true, NULL, true, NULL);
    if (rc != CLI_YES)
        return rc;
    run.dim = (size_t)mien_model_info_of(models.embed)->embedding_len;
    if (mien_decide(models.embed, 0, 0, &d, &err) != MIEN_OK) {
        cli_fail(&err);
        rc = CLI_MODEL;
    } else {
        run.at_threshold = mien_distance_of(d.threshold);
        rc = go_over(&run, &models, argv[0]);
        run.learning = false;
        if (rc == CLI_YES && !cli_stopped())
            rc = go_over(&run, &models, argv[1]);
    }
    for (size_t i = 0; i < run.n_known; i++)
        free(run.names[i]);
    free(run.names);
    free(run.known);
    cli_models_free(&models);
    return cli_worse(rc, run.exit_code);
}
