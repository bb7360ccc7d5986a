/* mien gallery export, import, migrate: people out of a gallery, into one, and over to another model. */
#include "galleries.h"
#include <stdlib.h>
#include <string.h>

static const cli_gallery_how changing = { .mode = MIEN_GALLERY_WRITE };

static void print_fault(void *user, const char *fault)
{
    (void)user;
    cli_line_lock();
    cli_plain_text(stdout, fault);
    puts("");
    cli_line_unlock();
}

/* ---- export ---- */

typedef struct export_opts {
    cli_gallery_common base; /* first */
    int templates, images;
} export_opts;

static const cli_option export_options[] = {
    { .name = "templates",
      .kind = CLI_FLAG,
      .offset = offsetof(export_opts, templates),
      .brief = "with templates: treat the file like photographs" },
    { .name = "images",
      .kind = CLI_FLAG,
      .offset = offsetof(export_opts, images),
      .brief = "with the kept pictures" },
    { 0 },
};

static int run_export(void *p, int argc, char **argv)
{
    const export_opts *opts = p;
    const char *path = NULL;
    mien_gallery *gallery = NULL;
    mien_error err = MIEN_ERROR_INIT;
    mien_status st = MIEN_OK;
    mien_export_opts how = MIEN_EXPORT_OPTS_INIT;
    how.templates = opts->templates;
    how.images = opts->images;
    int rc = cli_gallery_begin(&cli_verb_gallery_export, &opts->base, &changing, 1, 2, &argc, &argv, &path,
                               &gallery);
    if (rc == CLI_YES && argc == 2)
        rc = cli_person_find(gallery, argv[1], &how.person);
    if (rc == CLI_YES) {
        cli_progress_begin("people", 0, false);
        st = mien_gallery_export(gallery, argv[0], &how, cli_gallery_progress, NULL, &err);
        cli_progress_end();
        rc = st == MIEN_OK ? CLI_YES : cli_fail_path(argv[0], &err);
    }
    if (rc == CLI_YES) {
        cli_plain_text(stdout, argv[0]);
        puts(": written");
    }
    mien_gallery_free(gallery);
    return rc;
}

static const cli_example export_examples[] = {
    { "give a person all that is kept of them (subject access)",
      "mien gallery export office.gallery ada.jsonl Ada --images" },
    { "write everything, to be imported elsewhere",
      "mien gallery export office.gallery all.jsonl --templates --images" },
    { NULL, NULL },
};

const cli_verb cli_verb_gallery_export = {
    .name = "gallery export",
    .operands = "G OUT.jsonl [NAME|#ID]",
    .brief = "write people as JSON lines: one person or all",
    .about = "A first line about the gallery, then a person a line with faces and consent. The file is not "
             "encrypted, whatever "
             "the gallery is. The export is noted in the audit chain.",
    .exits = "0 written, 1 nobody of that name, 2 usage, 3 the gallery cannot be opened or OUT not written",
    .tables = { cli_gallery_options, export_options, cli_key_options },
    .examples = export_examples,
    .opts_bytes = sizeof(export_opts),
    .hint = CLI_FILES,
    .run = run_export,
};

/* ---- import ---- */

typedef struct model_opts {
    cli_gallery_common base; /* first */
    const char *model;
    int drop;
} model_opts;

static const cli_option model_options[] = {
    { .name = "model",
      .letter = 'm',
      .kind = CLI_TEXT,
      .offset = offsetof(model_opts, model),
      .value = "M",
      .hint = CLI_MODELS,
      .brief = "model of the templates: name or path" },
    { 0 },
};

static int run_import(void *p, int argc, char **argv)
{
    const model_opts *opts = p;
    const char *path = NULL;
    mien_gallery *gallery = NULL;
    cli_models models = { NULL, NULL };
    mien_error err = MIEN_ERROR_INIT;
    size_t people = 0, faces = 0;
    int rc = cli_gallery_operand(&cli_verb_gallery_import, &opts->base, 1, 1, &argc, &argv, &path);
    if (rc == CLI_YES)
        rc = cli_models_load(&models, false, NULL, true, opts->model);
    const cli_gallery_how how = { .mode = MIEN_GALLERY_OPEN_OR_CREATE, .embedder = models.embed };
    if (rc == CLI_YES)
        rc = cli_gallery_open(&opts->base, path, &how, &gallery);
    if (rc == CLI_YES &&
        mien_gallery_import(gallery, argv[0], print_fault, NULL, &people, &faces, &err) != MIEN_OK)
        rc = cli_fail_path(argv[0], &err);
    if (rc == CLI_YES)
        printf("%zu %s and %zu %s added\n", people, people == 1 ? "person" : "people", faces,
               faces == 1 ? "face" : "faces");
    mien_gallery_free(gallery);
    cli_models_free(&models);
    return cli_worse(rc, people || faces ? CLI_YES : CLI_NO);
}

static const cli_example import_examples[] = {
    { "bring people from another gallery", "mien gallery import office.gallery all.jsonl" },
    { NULL, NULL },
};

const cli_verb cli_verb_gallery_import = {
    .name = "gallery import",
    .operands = "G FILE.jsonl",
    .brief = "add the people of an export",
    .about = "Takes what `mien gallery export --templates` wrote with the same model. Lines that do not fit "
             "are named and "
             "passed over. The gallery is made when there is none.",
    .exits =
        "0 people were added, 1 nobody, 2 usage, 3 a file that cannot be used, 4 no model or another one",
    .tables = { cli_gallery_options, model_options, cli_key_options },
    .examples = import_examples,
    .opts_bytes = sizeof(model_opts),
    .hint = CLI_FILES,
    .run = run_import,
};

/* ---- migrate ---- */

static const cli_option migrate_options[] = {
    { .name = "model",
      .letter = 'm',
      .kind = CLI_TEXT,
      .offset = offsetof(model_opts, model),
      .value = "M",
      .hint = CLI_MODELS,
      .brief = "the new model: name or path" },
    { .name = "drop",
      .kind = CLI_FLAG,
      .offset = offsetof(model_opts, drop),
      .brief = "remove people of whom no picture is kept" },
    { 0 },
};

static mien_status reembed(void *user, const void *image, size_t bytes, const mien_face *face, float *ret_vec,
                           mien_error *err)
{
    mien_image *picture = NULL;
    mien_status st = mien_image_decode(image, bytes, NULL, &picture, err);
    if (st == MIEN_OK)
        st = mien_embed_face(user, mien_image_view_of(picture), face, ret_vec, err);
    mien_image_free(picture);
    return st;
}

static int run_migrate(void *p, int argc, char **argv)
{
    const model_opts *opts = p;
    const char *path = NULL;
    mien_gallery *gallery = NULL;
    mien_embedder *embedder = NULL;
    cli_models models = { NULL, NULL };
    mien_error err = MIEN_ERROR_INIT;
    mien_embed_opts how = MIEN_EMBED_OPTS_INIT;
    how.threads = mien_cpu_count();
    int rc = cli_gallery_begin(&cli_verb_gallery_migrate, &opts->base, &changing, 0, CLI_NO_MORE, &argc,
                               &argv, &path, &gallery);
    if (rc == CLI_YES)
        rc = cli_models_load(&models, false, NULL, true, opts->model);
    if (rc == CLI_YES && mien_embedder_new(models.embed, &how, &embedder, &err) != MIEN_OK)
        rc = cli_fail(&err);
    if (rc == CLI_YES) {
        cli_progress_begin("faces", 0, false);
        const mien_status st = mien_gallery_migrate(gallery, models.embed, reembed, embedder, opts->drop,
                                                    print_fault, NULL, cli_gallery_progress, NULL, &err);
        cli_progress_end();
        if (st != MIEN_OK)
            rc = cli_fail_path(path, &err);
        if (st == MIEN_E_NOT_FOUND)
            cli_say("enrol these people anew, or remove them with --drop; nothing was changed");
    }
    if (rc == CLI_YES) {
        cli_plain_text(stdout, path);
        printf(": now holds templates of %s\n", mien_model_info_of(models.embed)->name);
    }
    mien_embedder_free(embedder);
    mien_gallery_free(gallery);
    cli_models_free(&models);
    return rc;
}

static const cli_example migrate_examples[] = {
    { "move a gallery to the model of this program", "mien gallery migrate office.gallery" },
    { "to a model of one's own", "mien gallery migrate office.gallery --model mine.mien" },
    { NULL, NULL },
};

const cli_verb cli_verb_gallery_migrate = {
    .name = "gallery migrate",
    .operands = "G",
    .brief = "give a gallery to another model",
    .about = "Templates of two models cannot be compared. Every face whose picture was kept (`mien enroll "
             "--keep-images`) is "
             "embedded anew, in one transaction: all or nothing. People without a kept picture are listed, "
             "and with --drop "
             "removed.",
    .exits = "0 done, 2 usage, 3 somebody has no kept picture, or the gallery cannot be opened, 4 no model",
    .tables = { cli_gallery_options, migrate_options, cli_key_options },
    .examples = migrate_examples,
    .opts_bytes = sizeof(model_opts),
    .hint = CLI_FILES,
    .run = run_migrate,
};
