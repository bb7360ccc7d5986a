/* mien calibrate: thresholds with a stated error rate, from one's own labelled pictures.
 *
 * A folder per person; every two pictures are compared (mien_curve_fit()). What the pictures are too few for
 * is refused, with what could be claimed instead. The curve is printed, written to a file, kept with a
 * gallery.
 */
#include "calibrate.h"
#include <stdlib.h>

typedef struct calibrate_opts {
    cli_gallery_common base; /* first */
    const char *data, *model, *out;
    double target;
    int aligned, format;
} calibrate_opts;

static const cli_option options[] = {
    { .name = "data",
      .letter = 'd',
      .kind = CLI_TEXT,
      .offset = offsetof(calibrate_opts, data),
      .value = "DIR",
      .hint = CLI_DIRS,
      .brief = "pictures, a folder per person (required)",
      .more =
          "People and pictures like those that will be compared later: a rate is worth what it was measured "
          "on. Without two pictures of anybody there are thresholds, but nobody knows how many mates they "
          "miss." },
    { .name = "target-fmr",
      .kind = CLI_REAL,
      .offset = offsetof(calibrate_opts, target),
      .value = "X",
      .min = 1e-12,
      .max = 0.2,
      .brief = "false match rate wanted, such as 1e-4",
      .more =
          "The fraction of strangers taken for the same person in one comparison. Refused when the pictures "
          "do not support it: three matches must be expected among as many independent comparisons as they "
          "are worth. Without it the strictest rate that they support is taken." },
    { .name = "gallery",
      .letter = 'g',
      .kind = CLI_TEXT,
      .offset = offsetof(calibrate_opts, base.gallery),
      .value = "G",
      .hint = CLI_FILES,
      .brief = "keep the calibration with this gallery",
      .more = "`mien identify` goes by it from then on. The gallery's model must be the one used here." },
    { .name = "out",
      .letter = 'o',
      .kind = CLI_TEXT,
      .offset = offsetof(calibrate_opts, out),
      .value = "FILE",
      .hint = CLI_FILES,
      .brief = "write the calibration as JSON" },
    { .name = "model",
      .letter = 'm',
      .kind = CLI_TEXT,
      .offset = offsetof(calibrate_opts, model),
      .value = "M",
      .hint = CLI_MODELS,
      .brief = "model that embeds: name or path" },
    { .name = "aligned",
      .letter = 'a',
      .kind = CLI_FLAG,
      .offset = offsetof(calibrate_opts, aligned),
      .brief = "pictures are crops already: find no faces" },
    { .name = "format",
      .letter = 'f',
      .kind = CLI_CHOICE,
      .offset = offsetof(calibrate_opts, format),
      .value = "text|json",
      .def = "text",
      .brief = "how to print" },
    { 0 },
};

static int run(void *p, int argc, char **argv)
{
    const calibrate_opts *opts = p;
    cli_models models = { NULL, NULL };
    cli_kits kits = { NULL, NULL, 0 };
    labelled_set set;
    (void)argc;
    (void)argv;
    if (!opts->data)
        return cli_usage(&cli_verb_calibrate, "wanted: --data DIR");
    int rc = labelled_read(&set, opts->data, true);
    if (rc != CLI_YES)
        return rc;
    rc = cli_models_load(&models, !opts->aligned, opts->base.common.detector, true, opts->model);
    if (rc == CLI_YES)
        rc = cli_kits_new(&kits, &models, &opts->base.common, set.files.n, false);
    mien_gallery *gallery = NULL;
    const cli_gallery_how how = { .mode = MIEN_GALLERY_WRITE, .embedder = models.embed, .no_index = true };
    if (rc == CLI_YES && opts->base.gallery) /* before the work: a wrong key shows at once */
        rc = cli_gallery_open(&opts->base, opts->base.gallery, &how, &gallery);
    if (rc == CLI_YES) {
        labelled_embed(&set, &kits, (size_t)mien_model_info_of(models.embed)->embedding_len, opts->aligned,
                       opts->base.common.quiet);
        char *protocol =
            cli_format("own pictures, %s", opts->aligned ? "aligned crops" : "most central face");
        calibrate_job job = { .data = opts->data,
                              .model = models.embed,
                              .keep = gallery,
                              .keep_path = opts->base.gallery,
                              .out = opts->out,
                              .protocol = protocol,
                              .target = opts->target,
                              .json = opts->format == 1,
                              .n = set.n_embedded,
                              .dim = set.dim,
                              .n_no_face = set.n_no_face,
                              .n_bad = set.n_bad };
        if (!cli_stopped()) {
            labelled_pack(&set, &job.vecs, &job.people);
            rc = calibrate_run(&job);
        }
        free(protocol);
        rc = cli_worse(rc, set.n_bad ? CLI_INPUT : CLI_YES);
    }
    mien_gallery_free(gallery);
    cli_kits_free(&kits);
    cli_models_free(&models);
    labelled_free(&set);
    return rc;
}

static const cli_example examples[] = {
    { "which threshold for 1 false match in 1,000 on my own people?",
      "mien calibrate --data people --target-fmr 1e-3" },
    { "have a gallery go by it", "mien calibrate --data people --gallery staff.mg" },
    { NULL, NULL },
};

const cli_verb cli_verb_calibrate = {
    .name = "calibrate",
    .operands = "",
    .brief = "fit thresholds with a stated error rate to your own people",
    .about =
        "Compares every two pictures of a folder of people and says from which similarity on how many "
        "strangers "
        "are taken for each other, with 95 % intervals that count people, not pairs, and how many pairs of "
        "one person are missed there. A rate that the pictures do not support is refused: the answer says "
        "what "
        "they do support.\n\n"
        "Every model has a calibration of its own; this one replaces it for the people it was made for.",
    .exits = "0 calibrated, 2 usage, 3 too few pictures or a bad file, 4 no model",
    .tables = { options, cli_key_options, cli_detector_options, cli_detect_options, cli_input_options },
    .examples = examples,
    .opts_bytes = sizeof(calibrate_opts),
    .hint = CLI_NOTHING,
    .run = run,
};

/* ---- gallery calibrate ---- */

typedef struct gallery_opts {
    cli_gallery_common base; /* first */
    const char *model, *out;
    double target;
    int format;
} gallery_opts;

static const cli_option gallery_options[] = {
    { .name = "target-fmr",
      .kind = CLI_REAL,
      .offset = offsetof(gallery_opts, target),
      .value = "X",
      .min = 1e-12,
      .max = 0.2,
      .brief = "false match rate wanted, such as 1e-3; refused where the gallery is too small for it" },
    { .name = "out",
      .letter = 'o',
      .kind = CLI_TEXT,
      .offset = offsetof(gallery_opts, out),
      .value = "FILE",
      .hint = CLI_FILES,
      .brief = "write the calibration as JSON" },
    { .name = "model",
      .letter = 'm',
      .kind = CLI_TEXT,
      .offset = offsetof(gallery_opts, model),
      .value = "M",
      .hint = CLI_MODELS,
      .brief = "the gallery's model, when it is not the default: name or path" },
    { .name = "format",
      .letter = 'f',
      .kind = CLI_CHOICE,
      .offset = offsetof(gallery_opts, format),
      .value = "text|json",
      .def = "text",
      .brief = "how to print" },
    { 0 },
};

typedef struct gather {
    mien_gallery *gallery;
    int64_t *people, *faces; /* ids; of faces with their people's place */
    uint32_t *person;
    size_t n_people, n_faces, people_capacity, faces_capacity;
} gather;

static int gather_person(void *user, const mien_person *person)
{
    gather *g = user;
    if (g->n_people == g->people_capacity) {
        g->people_capacity = g->people_capacity ? 2 * g->people_capacity : 256;
        g->people = cli_grow(g->people, g->people_capacity, sizeof *g->people);
    }
    g->people[g->n_people++] = person->id;
    return 0;
}

static int gather_face(void *user, const mien_gallery_face *face)
{
    gather *g = user;
    if (face->outlier) /* perhaps not the person: a pair with it would say nothing */
        return 0;
    if (g->n_faces == g->faces_capacity) {
        g->faces_capacity = g->faces_capacity ? 2 * g->faces_capacity : 256;
        g->faces = cli_grow(g->faces, g->faces_capacity, sizeof *g->faces);
        g->person = cli_grow(g->person, g->faces_capacity, sizeof *g->person);
    }
    g->faces[g->n_faces] = face->id;
    g->person[g->n_faces++] = (uint32_t)(g->n_people - 1);
    return 0;
}

/* Every face's template, outliers left out. */
static mien_status gather_all(gather *g, calibrate_job *job, mien_error *err)
{
    mien_status st = mien_gallery_people(g->gallery, NULL, 0, 0, gather_person, g, err);
    const size_t n_people = g->n_people;
    for (size_t i = 0; !st && i < n_people; i++) {
        g->n_people = i + 1; /* the place that gather_face() notes */
        st = mien_gallery_faces(g->gallery, g->people[i], gather_face, g, err);
    }
    if (st)
        return st;
    job->n = g->n_faces;
    job->vecs = cli_alloc(g->n_faces * job->dim, sizeof *job->vecs);
    job->people = cli_alloc(g->n_faces, sizeof *job->people);
    for (size_t i = 0; !st && i < g->n_faces; i++) {
        job->people[i] = g->person[i];
        st = mien_gallery_face_template(g->gallery, g->faces[i], job->vecs + i * job->dim, err);
    }
    return st;
}

static int run_gallery(void *p, int argc, char **argv)
{
    const gallery_opts *opts = p;
    cli_models models = { NULL, NULL };
    gather g = { 0 };
    mien_error err = MIEN_ERROR_INIT;
    const char *path = NULL;
    int rc =
        cli_gallery_operand(&cli_verb_gallery_calibrate, &opts->base, 0, CLI_NO_MORE, &argc, &argv, &path);
    if (rc == CLI_YES)
        rc = cli_models_load(&models, false, NULL, true, opts->model);
    const cli_gallery_how how = { .mode = MIEN_GALLERY_WRITE, .embedder = models.embed, .no_index = true };
    if (rc == CLI_YES)
        rc = cli_gallery_open(&opts->base, path, &how, &g.gallery);
    if (rc == CLI_YES) {
        calibrate_job job = { .data = path,
                              .model = models.embed,
                              .keep = g.gallery,
                              .keep_path = path,
                              .out = opts->out,
                              .protocol = "the gallery's own people",
                              .target = opts->target,
                              .json = opts->format == 1,
                              .dim = (size_t)mien_model_info_of(models.embed)->embedding_len };
        if (gather_all(&g, &job, &err) != MIEN_OK) {
            free(job.vecs);
            free(job.people);
            rc = cli_fail_path(path, &err);
        } else {
            rc = calibrate_run(&job);
        }
    }
    free(g.people);
    free(g.faces);
    free(g.person);
    mien_gallery_free(g.gallery);
    cli_models_free(&models);
    return rc;
}

static const cli_example gallery_examples[] = {
    { "have a gallery go by its own people", "mien gallery calibrate staff.mg" },
    { NULL, NULL },
};

const cli_verb cli_verb_gallery_calibrate = {
    .name = "gallery calibrate",
    .operands = "G",
    .brief = "fit a gallery's thresholds to its own people",
    .about =
        "What `mien calibrate` does with a folder, with the faces that are enrolled: those of different "
        "people "
        "are pairs of strangers. It is worth it from some two hundred people on; the model's own calibration "
        "stands on more than a small gallery has. Enrolled faces are better pictures than a camera's: where "
        "probes are poorer, calibrate with a folder of such pictures.",
    .exits = "0 calibrated, 2 usage, 3 too few people or a bad gallery, 4 no model",
    .tables = { cli_gallery_options, gallery_options, cli_key_options },
    .examples = gallery_examples,
    .opts_bytes = sizeof(gallery_opts),
    .hint = CLI_FILES,
    .run = run_gallery,
};
