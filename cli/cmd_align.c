/* mien align: upright crops of the faces, as an embedder wants them. */
#include "kit.h"
#include <stdlib.h>
#include <string.h>

typedef struct align_opts {
    cli_common common; /* first */
    const char *out, *model;
    int largest;
} align_opts;

static const cli_option options[] = {
    { .name = "out",
      .letter = 'o',
      .kind = CLI_TEXT,
      .offset = offsetof(align_opts, out),
      .value = "DIR",
      .hint = CLI_DIRS,
      .brief = "folder for the crops (required)",
      .more = "Names are kept: DIR/NAME.jpg for the largest face, DIR/NAME_face2.jpg and so on for further "
              "ones; pictures of a folder keep their place below it. Formats that cannot be written become "
              "PNG." },
    { .name = "model",
      .letter = 'm',
      .kind = CLI_TEXT,
      .offset = offsetof(align_opts, model),
      .value = "M",
      .hint = CLI_MODELS,
      .brief = "model the crops are for: size and template" },
    { .name = "largest",
      .kind = CLI_FLAG,
      .offset = offsetof(align_opts, largest),
      .brief = "only the largest face of each picture" },
    { 0 },
};

typedef struct align_run {
    const align_opts *opts;
    const cli_files *files;
    const mien_model *model;
    size_t n_crops, n_faceless;
    int exit_code;
} align_run;

typedef struct align_result {
    mien_status status; /* of the picture */
    mien_error err;
    size_t n_faces, n_written;
    char *bad_path; /* a crop that could not be made or written */
    mien_error bad;
} align_result;

static char *crop_path(const align_run *run, const cli_file *file, size_t index)
{
    const char *rel = file->path + file->rel;
    const char *ext = cli_extension(rel);
    const bool known =
        cli_has_extension(rel, ".jpg") || cli_has_extension(rel, ".jpeg") || cli_has_extension(rel, ".png");
    char number[32] = "";
    if (index)
        snprintf(number, sizeof number, "_face%zu", index + 1);
    char *name = cli_format("%.*s%s%s", (int)(ext - rel), rel, number, known ? ext : ".png");
    char *path = cli_join(run->opts->out, name);
    free(name);
    return path;
}

static mien_status write_crop(const align_run *run, const cli_seen *seen, size_t index, char *path,
                              mien_error *err)
{
    mien_image *crop = NULL;
    char *slash = strrchr(path, '/');
    *slash = '\0';
    const int made = cli_make_dirs(path);
    *slash = '/';
    if (made != CLI_YES) {
        err->status = MIEN_E_IO;
        return MIEN_E_IO;
    }
    mien_status st = mien_align(run->model, mien_image_view_of(seen->image), &seen->faces[index], &crop, err);
    if (st == MIEN_OK)
        st = mien_image_save(mien_image_view_of(crop), path, 97, err);
    mien_image_free(crop);
    return st;
}

static void *work(void *ctx, void *worker, size_t item)
{
    align_run *run = ctx;
    const cli_file *file = &run->files->items[item];
    align_result *r = cli_alloc(1, sizeof *r);
    cli_seen seen = { 0 };
    r->status = run->opts->largest ? cli_see_largest(worker, file->path, &seen, &r->err)
                                   : cli_see(worker, file->path, &seen, &r->err);
    if (r->status != MIEN_OK)
        return r;
    cli_sort_by_size(seen.faces, seen.n);
    r->n_faces = seen.n;
    const size_t n = run->opts->largest && seen.n > 1 ? 1 : seen.n;
    for (size_t i = 0; i < n && !r->bad_path; i++) {
        char *path = crop_path(run, file, i);
        if (write_crop(run, &seen, i, path, &r->bad) == MIEN_OK) {
            r->n_written++;
            free(path);
        } else {
            r->bad_path = path;
        }
    }
    cli_seen_free(&seen);
    return r;
}

static void done(void *ctx, size_t item, void *result)
{
    align_run *run = ctx;
    align_result *r = result;
    const char *path = run->files->items[item].path;
    if (r->status != MIEN_OK)
        run->exit_code = cli_worse(run->exit_code, cli_fail_path(path, &r->err));
    else if (!r->n_faces)
        cli_say_path(path, "no face found");
    if (r->bad_path) {
        if (r->bad.message[0])
            cli_fail_path(r->bad_path, &r->bad);
        run->exit_code = cli_worse(run->exit_code, CLI_INTERNAL);
    }
    run->n_faceless += r->status == MIEN_OK && !r->n_faces;
    run->n_crops += r->n_written;
    free(r->bad_path);
    free(r);
}

static int run(void *p, int argc, char **argv)
{
    const align_opts *opts = p;
    cli_models models = { NULL, NULL };
    cli_kits kits = { NULL, NULL, 0 };
    cli_files files;
    if (!opts->out)
        return cli_usage(&cli_verb_align, "wanted: --out DIR");
    cli_files_collect(&files, argc, argv);
    int rc = files.exit_code;
    if (files.n) {
        rc = cli_models_load(&models, true, opts->common.detector, true, opts->model);
        if (rc == CLI_YES)
            rc = cli_kits_new(&kits, &models, &opts->common, files.n, false);
        if (rc == CLI_YES) {
            align_run r = { opts, &files, models.embed, 0, 0, files.exit_code };
            cli_run_ordered(files.n, kits.n, kits.workers, work, done, &r, "images", opts->common.quiet);
            printf("%zu crop%s of %zu picture%s in ", r.n_crops, r.n_crops == 1 ? "" : "s", files.n,
                   files.n == 1 ? "" : "s");
            cli_plain_text(stdout, opts->out);
            puts("");
            rc = cli_worse(r.exit_code, r.n_crops ? CLI_YES : CLI_NO);
        }
    }
    cli_kits_free(&kits);
    cli_models_free(&models);
    cli_files_free(&files);
    return rc;
}

static const cli_example examples[] = {
    { "cut the faces of a folder", "mien align ~/Pictures/team --out crops" },
    { "one crop per picture", "mien align *.jpg --largest --out crops" },
    { NULL, NULL },
};

const cli_verb cli_verb_align = {
    .name = "align",
    .operands = "IMAGE|DIR...",
    .brief = "cut out faces, upright and to the size a model wants",
    .about = "Finds faces, fits a similarity (rotation, scale, shift) from their five landmarks to the "
             "template of the model, and writes the crops: 112x112 px with the usual models. Such crops are "
             "what the other verbs take with --aligned.",
    .exits = "0 a crop was written, 1 no face, 2 usage, 3 a bad file, 4 no model",
    .tables = { options, cli_detector_options, cli_detect_options, cli_input_options },
    .examples = examples,
    .opts_bytes = sizeof(align_opts),
    .min_operands = 1,
    .run = run,
};
