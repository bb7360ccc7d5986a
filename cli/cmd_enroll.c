/* mien enroll: pictures of named people into a gallery.
 *
 * Pictures are read and embedded side by side; what passes the gate goes into the gallery in batches, each
 * one transaction. A line that says "enrolled" is printed when the batch is on the disk, so what was
 * acknowledged stays, whatever comes after it.
 */
#include "enroll.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const cli_option options[] = {
    { .name = "folder",
      .kind = CLI_TEXT,
      .offset = offsetof(enroll_opts, folder),
      .value = "DIR",
      .hint = CLI_DIRS,
      .brief = "a folder per person, or pictures named after them",
      .more = "Folders in DIR are people, their pictures are found at any depth. Pictures that lie in DIR "
              "itself are named "
              "after the person: `Ada Lovelace.jpg`, `ada_2.jpg` and `ada (3).jpg` are of Ada Lovelace, ada "
              "and ada." },
    { .name = "force",
      .kind = CLI_FLAG,
      .offset = offsetof(enroll_opts, force),
      .brief = "enrol against every reason but DO_NOT_ENROL",
      .more = "Of several faces the largest is taken, or the one that --pick says." },
    { .name = "pick",
      .kind = CLI_CHOICE,
      .offset = offsetof(enroll_opts, pick),
      .value = "one|largest|central",
      .def = "one",
      .brief = "which face of a picture",
      .more = "one: refuse pictures with another face at least half as large as the largest; smaller ones "
              "are bystanders." },
    { .name = "keep-images",
      .kind = CLI_FLAG,
      .offset = offsetof(enroll_opts, keep_images),
      .brief = "keep the pictures in the gallery",
      .more = "Needed to move to another model (`mien gallery migrate`). Location and other metadata are "
              "left out; of a "
              "picture with other faces only the person's surroundings are kept. Without it no picture is "
              "kept." },
    { .name = "purpose",
      .kind = CLI_TEXT,
      .offset = offsetof(enroll_opts, consent.purpose),
      .value = "TEXT",
      .hint = CLI_NOTHING,
      .brief = "what for: recorded with each person" },
    { .name = "basis",
      .kind = CLI_TEXT,
      .offset = offsetof(enroll_opts, consent.basis),
      .value = "TEXT",
      .hint = CLI_NOTHING,
      .brief = "on what legal basis: consent, contract, ..." },
    { .name = "expires",
      .kind = CLI_TEXT,
      .offset = offsetof(enroll_opts, consent.expires),
      .value = "WHEN",
      .hint = CLI_NOTHING,
      .brief = "2027-12-31, 90d, 12w, 2y or never",
      .more = "From then on the person is never matched; `mien gallery expire` removes who is over." },
    { .name = "note",
      .kind = CLI_TEXT,
      .offset = offsetof(enroll_opts, note),
      .value = "TEXT",
      .hint = CLI_NOTHING,
      .rare = 1,
      .brief = "a note on new people" },
    { .name = "fpir",
      .kind = CLI_REAL,
      .offset = offsetof(enroll_opts, fpir),
      .value = "RATE",
      .def = "0.01",
      .min = 1e-6,
      .max = 0.5,
      .rare = 1,
      .brief = "how often a new person may be taken for one who is there",
      .more =
          "Sets the similarity from which LOOKS_LIKE_ANOTHER_PERSON is said; it rises with the gallery." },
    { .name = "format",
      .letter = 'f',
      .kind = CLI_CHOICE,
      .offset = offsetof(enroll_opts, format),
      .value = "text|json",
      .def = "text",
      .brief = "how to print",
      .more = "json: gallery, images (path, name, status enrolled|already|refused, reason, text, advice, "
              "person, face, "
              "quality, ...) and summary." },
    { .name = "model",
      .letter = 'm',
      .kind = CLI_TEXT,
      .offset = offsetof(enroll_opts, model),
      .value = "M",
      .hint = CLI_MODELS,
      .rare = 1,
      .brief = "model that embeds: name or path",
      .more = "A gallery takes templates of one model only." },
    { 0 },
};

/* "ada_2.jpg" -> "ada": a number at the end that is set off from the name counts pictures. */
static char *name_of_file(const char *base)
{
    const char *dot = cli_extension(base);
    size_t len = (size_t)(dot - base), cut = len;
    if (cut && base[cut - 1] == ')')
        cut--;
    const size_t digits_end = cut;
    while (cut && isdigit((unsigned char)base[cut - 1]))
        cut--;
    if (cut < digits_end && cut && strchr(" _-.(", base[cut - 1])) {
        while (cut && strchr(" _-.(", base[cut - 1]))
            cut--;
        if (cut)
            len = cut;
    }
    return cli_format("%.*s", (int)len, base);
}

static char *name_of(const cli_file *file)
{
    const char *rel = file->path + file->rel;
    const char *slash = strchr(rel, '/');
    return slash ? cli_format("%.*s", (int)(slash - rel), rel) : name_of_file(rel);
}

/* Collect the pictures and for whom they are. */
static int make_jobs(enroll_run *run, cli_files *files, int argc, char **argv)
{
    const enroll_opts *opts = run->opts;
    char *folder = (char *)(uintptr_t)opts->folder;
    if (opts->folder && argc)
        return cli_usage(&cli_verb_enroll, "--folder says who and where: one argument too many: '%s'",
                         argv[0]);
    if (!opts->folder && argc < 2)
        return cli_usage(&cli_verb_enroll, "wanted: NAME IMAGE..., or --folder DIR");
    if (opts->folder && !cli_is_dir(folder)) {
        cli_say_path(folder, "not a folder");
        return CLI_INPUT;
    }
    cli_files_collect(files, opts->folder ? 1 : argc - 1, opts->folder ? &folder : argv + 1);
    run->jobs = cli_alloc(files->n, sizeof *run->jobs);
    run->n_jobs = files->n;
    for (size_t i = 0; i < files->n; i++)
        run->jobs[i] = (enroll_job){ files->items[i].path,
                                     opts->folder ? name_of(&files->items[i]) : cli_strdup(argv[0]) };
    return files->exit_code;
}

static int enroll_all(enroll_run *run, const cli_models *models)
{
    const enroll_opts *opts = run->opts;
    const cli_gallery_how how = { .mode = MIEN_GALLERY_OPEN_OR_CREATE, .embedder = models->embed };
    cli_kits kits = { NULL, NULL, 0 };
    mien_curve *curve = NULL;
    int rc = cli_gallery_open(&opts->base, run->path, &how, &run->gallery);
    if (rc == CLI_YES)
        rc = cli_curve_of(run->gallery, models->embed, &curve);
    if (rc == CLI_YES)
        rc = cli_kits_new(&kits, models, &opts->base.common, run->n_jobs, false);
    if (rc == CLI_YES) {
        run->curve = curve;
        run->dim = (size_t)mien_model_info_of(models->embed)->embedding_len;
        if (!curve)
            cli_say("this model has no calibration: people are not compared with each other");
        enroll_print_begin(run);
        cli_run_ordered(run->n_jobs, kits.n, kits.workers, enroll_work, enroll_done, run, "pictures",
                        opts->base.common.quiet);
        enroll_flush(run);
        enroll_print_end(run);
        rc = run->exit_code;
    }
    cli_kits_free(&kits);
    mien_curve_free(curve);
    mien_gallery_free(run->gallery);
    free(run->pending);
    return rc;
}

static int run(void *p, int argc, char **argv)
{
    const enroll_opts *opts = p;
    cli_files files = { NULL, 0, 0, CLI_YES };
    cli_models models = { NULL, NULL };
    enroll_run r = { .opts = opts, .path = opts->base.gallery, .first = true };
    if (!opts->base.gallery)
        return cli_usage(&cli_verb_enroll, "wanted: --gallery G");
    int rc = cli_consent_of(&cli_verb_enroll, &opts->consent, &r.consent, &r.has_consent);
    if (rc == CLI_YES)
        rc = make_jobs(&r, &files, argc, argv);
    r.exit_code = rc;
    if (rc != CLI_USAGE && r.n_jobs) {
        rc = cli_models_load(&models, true, opts->base.common.detector, true, opts->model);
        if (rc == CLI_YES)
            rc = enroll_all(&r, &models);
    }
    for (size_t i = 0; i < r.n_jobs; i++)
        free(r.jobs[i].name);
    free(r.jobs);
    cli_models_free(&models);
    cli_files_free(&files);
    return rc;
}

static const cli_example examples[] = {
    { "enrol a person with two pictures",
      "mien enroll -g office.gallery 'Ada Lovelace' ada-1.jpg ada-2.jpg" },
    { "enrol everybody: a folder per person", "mien enroll --gallery office.gallery --folder people/" },
    { "with consent for a year",
      "mien enroll -g office.gallery --folder people/ --purpose 'door' --basis consent --expires 1y" },
    { "into a gallery that nobody reads without the passphrase",
      "mien enroll --gallery office.gallery --passphrase --folder people/" },
    { "see which pictures were refused and why",
      "mien enroll -g office.gallery --folder people/ -f json | jq -r '.images[] | select(.reason) | [.path, "
      ".reason] | @tsv'" },
    { NULL, NULL },
};

const cli_verb cli_verb_enroll = {
    .name = "enroll",
    .operands = "-g G NAME IMAGE|DIR... | -g G --folder DIR",
    .brief = "add people to a gallery, from pictures of them",
    .about = "Finds the face in each picture, judges whether the picture is good enough to know the person "
             "again, and adds its "
             "template to the gallery, which is made when there is none. Several pictures of a person make "
             "the person easier to "
             "know; a bad one among them is left out of what is searched with.\n\n"
             "A picture is refused with a reason: NO_FACE, MANY_FACES, TOO_SMALL, TOO_DARK, TOO_BRIGHT, "
             "TOO_BLURRED, TOO_TURNED, "
             "CUT_OFF, LOOKS_LIKE_ANOTHER_PERSON of the gallery, UNLIKE_THE_PERSON it is said to show, "
             "DO_NOT_ENROL. One that is "
             "there already is passed over. --force enrols against all but the last.\n\n"
             "What a line says is enrolled is on the disk. After Ctrl-C, run it again: what is there already "
             "is not "
             "enrolled twice.",
    .exits = "0 every picture is enrolled, 1 some refused, 2 usage, 3 a bad file or gallery, 4 no model",
    .tables = { cli_gallery_options, options, cli_key_options, cli_detector_options, cli_detect_options,
                cli_input_options },
    .examples = examples,
    .opts_bytes = sizeof(enroll_opts),
    .hint = CLI_FILES,
    .run = run,
};
