/* mien identify: who of a gallery is in a picture, and who is nobody of it.
 *
 * Pictures are read and their faces embedded side by side; the gallery is searched for all faces of a picture
 * at once, in the order of the pictures. The threshold follows from the rate asked for and the gallery's
 * size.
 */
#include "identify.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const cli_option options[] = {
    { .name = "fpir",
      .kind = CLI_REAL,
      .offset = offsetof(identify_opts, fpir),
      .value = "RATE",
      .def = "0.01",
      .min = 1e-9,
      .max = 0.5,
      .brief = "how many strangers may be taken for somebody",
      .more = "The false positive identification rate: 0.01 lets one stranger in a hundred pass for someone "
              "of the gallery, "
              "however many people it has; the threshold rises with them." },
    { .name = "threshold",
      .kind = CLI_REAL,
      .offset = offsetof(identify_opts, threshold),
      .value = "S",
      .min = -1,
      .max = 1,
      .rare = 1,
      .brief = "decide at this similarity instead",
      .more = "The rate it stands for at this gallery's size is printed." },
    { .name = "top",
      .kind = CLI_INT,
      .offset = offsetof(identify_opts, top),
      .value = "K",
      .def = "0",
      .min = 0,
      .max = 1000,
      .brief = "list the K most alike people of each face" },
    { .name = "format",
      .letter = 'f',
      .kind = CLI_CHOICE,
      .offset = offsetof(identify_opts, format),
      .value = "text|json|csv",
      .def = "text",
      .brief = "how to print",
      .more = "json: gallery, and images with faces (known, name, person, similarity, threshold, fpir, "
              "score_fpir, words, "
              "box, quality, ...); docs/identify.md has the schema. csv: one row per face with a header." },
    { .name = "draw",
      .letter = 'd',
      .kind = CLI_TEXT,
      .offset = offsetof(identify_opts, draw),
      .value = "OUT",
      .hint = CLI_FILES,
      .brief = "write the picture with names on the faces",
      .more = "For one picture a file (.jpg or .png), for several a folder; names are kept." },
    { .name = "seen",
      .kind = CLI_FLAG,
      .offset = offsetof(identify_opts, seen),
      .rare = 1,
      .brief = "note in the gallery when people were seen" },
    { .name = "flip",
      .kind = CLI_FLAG,
      .offset = offsetof(identify_opts, flip),
      .rare = 1,
      .brief = "average with the mirrored crop: a little better, twice the time" },
    { .name = "model",
      .letter = 'm',
      .kind = CLI_TEXT,
      .offset = offsetof(identify_opts, model),
      .value = "M",
      .hint = CLI_MODELS,
      .rare = 1,
      .brief = "model that embeds: the one the gallery was made with" },
    { 0 },
};

/* ---- one picture ---- */

static void *work(void *ctx, void *worker, size_t item)
{
    const identify_run *run = ctx;
    cli_kit *kit = worker;
    identify_result *r = cli_alloc(1, sizeof *r);
    r->status = cli_see(kit, run->files->items[item].path, &r->seen, &r->err);
    r->vecs = cli_alloc(r->seen.n * run->dim, sizeof(float));
    r->faces = cli_alloc(r->seen.n, sizeof *r->faces);
    for (size_t i = 0; i < r->seen.n && r->status == MIEN_OK; i++) {
        const mien_image_view view = mien_image_view_of(r->seen.image);
        identify_face *f = &r->faces[i];
        f->face = cli_seen_face(&r->seen, i);
        r->status = mien_quality_measure(view, &r->seen.faces[i], &f->quality, &r->err);
        if (r->status == MIEN_OK)
            r->status =
                mien_embed_face(kit->embedder, view, &r->seen.faces[i], r->vecs + i * run->dim, &r->err);
        f->quality.eye_distance_px *= (float)r->seen.scale;
        f->reason = mien_quality_reason(&f->quality, NULL);
    }
    if (!run->opts->draw) { /* the results wait in line without their pixels */
        mien_image_free(r->seen.image);
        r->seen.image = NULL;
    }
    return r;
}

static void result_free(identify_result *r)
{
    for (size_t i = 0; i < r->seen.n; i++) {
        for (size_t k = 0; k < r->faces[i].n_candidates; k++)
            free(r->faces[i].names[k]);
        free(r->faces[i].names);
        free(r->faces[i].candidates);
    }
    free(r->faces);
    free(r->vecs);
    cli_seen_free(&r->seen);
    free(r);
}

/* ---- the gallery ---- */

static mien_status decide(const identify_run *run, identify_face *f, mien_error *err)
{
    const double similarity = f->n_candidates ? f->candidates[0].similarity : -1;
    const mien_search_size size = mien_search_size_of(&run->info);
    mien_search_decision *d = &f->decision;
    if (run->curve)
        return isnan(run->opts->threshold)
                   ? mien_curve_decide(run->curve, similarity, &size, run->opts->fpir, d, err)
                   : mien_curve_decide_at(run->curve, similarity, &size, run->opts->threshold, d, err);
    d->similarity = similarity;
    d->threshold = run->opts->threshold;
    d->known = f->n_candidates && similarity >= d->threshold;
    return MIEN_OK;
}

static mien_status identify(identify_run *run, identify_result *r, mien_error *err)
{
    const size_t top = run->opts->top > 0 ? (size_t)run->opts->top : 1;
    mien_candidate *found = cli_alloc(r->seen.n * top, sizeof *found);
    size_t *n_found = cli_alloc(r->seen.n, sizeof *n_found);
    mien_status st = mien_gallery_search(run->gallery, r->vecs, r->seen.n, top, found, n_found, err);
    if (st == MIEN_OK) /* of the very state that was searched */
        st = mien_gallery_info_of(run->gallery, &run->info, err);
    for (size_t i = 0; i < r->seen.n && st == MIEN_OK; i++) {
        identify_face *f = &r->faces[i];
        f->n_candidates = n_found[i];
        f->candidates = cli_alloc(n_found[i], sizeof *f->candidates);
        f->names = cli_alloc(n_found[i], sizeof *f->names);
        for (size_t k = 0; k < n_found[i]; k++) {
            f->candidates[k] = found[i * top + k];
            f->names[k] = cli_person_name(run->gallery, f->candidates[k].person);
        }
        st = decide(run, f, err);
        if (st == MIEN_OK && f->decision.known && run->opts->seen)
            st = mien_gallery_seen(run->gallery, f->candidates[0].person, err);
        run->n_faces++;
        run->n_known += f->decision.known != 0;
    }
    free(found);
    free(n_found);
    return st;
}

static void draw(identify_run *run, const cli_file *file, identify_result *r)
{
    mien_error err = MIEN_ERROR_INIT;
    identify_draw(run, r);
    char *path = run->draw_into_dir ? cli_draw_path(run->opts->draw, file) : cli_strdup(run->opts->draw);
    char *slash = strrchr(path, '/');
    int rc = CLI_YES;
    if (slash && run->draw_into_dir) {
        *slash = '\0';
        rc = cli_make_dirs(path);
        *slash = '/';
    }
    if (rc == CLI_YES && mien_image_save(mien_image_view_of(r->seen.image), path, 0, &err) != MIEN_OK) {
        cli_fail_path(path, &err);
        rc = CLI_INTERNAL;
    }
    run->exit_code = cli_worse(run->exit_code, rc);
    free(path);
}

static void done(void *ctx, size_t item, void *result)
{
    identify_run *run = ctx;
    identify_result *r = result;
    const cli_file *file = &run->files->items[item];
    mien_error err = MIEN_ERROR_INIT;
    if (r->status != MIEN_OK) {
        run->exit_code = cli_worse(run->exit_code, cli_fail_path(file->path, &r->err));
    } else if (identify(run, r, &err) != MIEN_OK) {
        run->exit_code = cli_worse(run->exit_code, cli_fail_path(run->path, &err));
        r->status = err.status;
        r->err = err;
    }
    cli_line_lock();
    identify_print_result(run, file->path, r);
    cli_line_unlock();
    if (r->status == MIEN_OK && run->opts->draw)
        draw(run, file, r);
    result_free(r);
}

/* ---- the verb ---- */

static int identify_all(identify_run *run, const cli_models *models)
{
    const identify_opts *opts = run->opts;
    const cli_gallery_how how = { .mode = opts->seen ? MIEN_GALLERY_WRITE : MIEN_GALLERY_READ,
                                  .embedder = models->embed };
    cli_kits kits = { NULL, NULL, 0 };
    mien_curve *curve = NULL;
    mien_error err = MIEN_ERROR_INIT;
    int rc = cli_gallery_open(&opts->base, run->path, &how, &run->gallery);
    if (rc == CLI_YES && mien_gallery_info_of(run->gallery, &run->info, &err) != MIEN_OK)
        rc = cli_fail_path(run->path, &err);
    if (rc == CLI_YES)
        rc = cli_curve_of(run->gallery, models->embed, &curve);
    run->curve = curve;
    if (rc == CLI_YES && !curve && isnan(opts->threshold)) {
        cli_say("this model is not calibrated: give --threshold, or calibrate it on labelled people (`mien "
                "calibrate`)");
        rc = CLI_MODEL;
    }
    if (rc == CLI_YES)
        rc = cli_kits_new(&kits, models, &opts->base.common, run->files->n, opts->flip);
    if (rc == CLI_YES) {
        run->dim = (size_t)mien_model_info_of(models->embed)->embedding_len;
        if (!run->info.n_people)
            cli_say_path(run->path, "this gallery has no people");
        identify_print_begin(run);
        cli_run_ordered(run->files->n, kits.n, kits.workers, work, done, run, "pictures",
                        opts->base.common.quiet);
        identify_print_end(run);
        rc = cli_worse(run->exit_code, run->n_faces && run->n_known == run->n_faces ? CLI_YES : CLI_NO);
    }
    cli_kits_free(&kits);
    mien_curve_free(curve);
    mien_gallery_free(run->gallery);
    return rc;
}

static int run(void *p, int argc, char **argv)
{
    const identify_opts *opts = p;
    cli_models models = { NULL, NULL };
    cli_files files;
    if (!opts->base.gallery)
        return cli_usage(&cli_verb_identify, "wanted: --gallery G");
    cli_files_collect(&files, argc, argv);
    int rc = files.exit_code;
    identify_run r = {
        .opts = opts, .path = opts->base.gallery, .files = &files, .first = true, .exit_code = rc
    };
    r.draw_into_dir = opts->draw && (argc > 1 || cli_is_dir(argv[0]) || cli_is_dir(opts->draw));
    if (files.n) {
        rc = cli_models_load(&models, true, opts->base.common.detector, true, opts->model);
        if (rc == CLI_YES)
            rc = identify_all(&r, &models);
    }
    cli_models_free(&models);
    cli_files_free(&files);
    return rc;
}

static const cli_example examples[] = {
    { "say who is in a picture", "mien identify --gallery office.gallery party.jpg" },
    { "write the names on the faces", "mien identify --gallery office.gallery party.jpg --draw named.jpg" },
    { "let one stranger in a thousand pass, not one in a hundred",
      "mien identify --gallery office.gallery door.jpg --fpir 0.001" },
    { "list pictures with an unknown face", "mien identify -g office.gallery photos/ -f json | jq -r "
                                            "'.images[] | select(any(.faces[]?; .known | not)) | .path'" },
    { NULL, NULL },
};

const cli_verb cli_verb_identify = {
    .name = "identify",
    .operands = "--gallery G IMAGE|DIR...",
    .brief = "say who of a gallery is in pictures, and who is unknown",
    .about = "Finds every face, searches the gallery for the most alike person, and decides: that person, or "
             "unknown. Printed with "
             "each decision are the similarity, the threshold that held, and how many strangers would be "
             "taken for somebody of "
             "this gallery at that similarity.\n\n"
             "The more people a gallery has, the more strangers resemble one of them. The threshold is "
             "therefore set by the "
             "share of strangers that may pass (--fpir) and rises with the gallery. `unknown` means that the "
             "evidence is not "
             "enough; of a small, blurred or turned face, which is said, that is no proof of absence.",
    .exits = "0 every face is known, 1 an unknown face or none, 2 usage, 3 a bad file or gallery, 4 no model",
    .tables = { cli_gallery_options, options, cli_key_options, cli_detector_options, cli_detect_options,
                cli_input_options },
    .examples = examples,
    .opts_bytes = sizeof(identify_opts),
    .min_operands = 1,
    .run = run,
};
