/* mien eval identify: open-set identification judged on people of the gallery and on strangers.
 *
 * Terms of ISO/IEC 19795-1. FPIR: the fraction of strangers' pictures for which somebody is returned at the
 * threshold. FNIR: the fraction of enrolled people's pictures whose person is not returned first at it. A
 * picture in which no face is found returns nobody: a miss for an enrolled person, no false positive for a
 * stranger; both count. The threshold is the calibration's for the FPIR asked for, not one chosen on these
 * pictures.
 */
#include "eval_identify.h"
#include "meta.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const cli_option options[] = {
    { .name = "gallery",
      .letter = 'g',
      .kind = CLI_TEXT,
      .offset = offsetof(eval_identify_opts, base.gallery),
      .value = "G|DIR",
      .hint = CLI_FILES,
      .brief = "gallery, or a folder per person (required)" },
    { .name = "mated",
      .kind = CLI_TEXT,
      .offset = offsetof(eval_identify_opts, mated),
      .value = "DIR",
      .hint = CLI_DIRS,
      .brief = "more pictures of its people (required)",
      .more = "A folder per person; the folders have the names that people have in the gallery." },
    { .name = "nonmated",
      .kind = CLI_TEXT,
      .offset = offsetof(eval_identify_opts, nonmated),
      .value = "DIR",
      .hint = CLI_DIRS,
      .brief = "pictures of strangers (required)",
      .more = "Those in one folder show one stranger, others each another." },
    { .name = "fpir",
      .kind = CLI_REAL,
      .offset = offsetof(eval_identify_opts, fpir),
      .value = "X",
      .def = "0.01",
      .min = 1e-9,
      .max = 0.99,
      .brief = "false positive identification rate asked for",
      .more =
          "The threshold is the one that the calibration gives for it at this gallery size; the figures say "
          "what came of it." },
    { .name = "threshold",
      .kind = CLI_REAL,
      .offset = offsetof(eval_identify_opts, threshold),
      .value = "T",
      .min = -1,
      .max = 1,
      .brief = "similarity from which on somebody is known, instead" },
    { .name = "calibration",
      .kind = CLI_TEXT,
      .offset = offsetof(eval_identify_opts, calibration),
      .value = "FILE",
      .hint = CLI_FILES,
      .rare = 1,
      .brief = "take the threshold from this, as `mien calibrate --out` wrote it",
      .more = "Without it: what is kept with the gallery, else the model's own." },
    { .name = "format",
      .letter = 'f',
      .kind = CLI_CHOICE,
      .offset = offsetof(eval_identify_opts, format),
      .value = "text|json|csv",
      .def = "text",
      .brief = "how to print" },
    { .name = "html",
      .kind = CLI_TEXT,
      .offset = offsetof(eval_identify_opts, html),
      .value = "FILE",
      .hint = CLI_FILES,
      .brief = "write a page with figures and curves" },
    { .name = "scores",
      .kind = CLI_TEXT,
      .offset = offsetof(eval_identify_opts, scores),
      .value = "FILE",
      .hint = CLI_FILES,
      .rare = 1,
      .brief = "write each search as CSV; it names people" },
    { .name = "model",
      .letter = 'm',
      .kind = CLI_TEXT,
      .offset = offsetof(eval_identify_opts, model),
      .value = "M",
      .hint = CLI_MODELS,
      .brief = "model that embeds: name or path" },
    { .name = "aligned",
      .letter = 'a',
      .kind = CLI_FLAG,
      .offset = offsetof(eval_identify_opts, aligned),
      .rare = 1,
      .brief = "pictures are crops already: find no faces" },
    { 0 },
};

static int load_curve(eval_identify_run *r)
{
    mien_error err = MIEN_ERROR_INIT;
    if (r->opts->calibration)
        return cli_curve_read(r->opts->calibration, &r->curve);
    const mien_status st = r->gallery.store
                               ? mien_curve_of_gallery(r->gallery.store, r->models.embed, &r->curve, &err)
                               : mien_curve_of_model(r->models.embed, &r->curve, &err);
    if (st == MIEN_E_NOT_FOUND && !isnan(r->opts->threshold))
        return CLI_YES;
    return st ? cli_fail(&err) : CLI_YES;
}

static int choose_threshold(eval_identify_run *r)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_search_decision d;
    const mien_search_size size = { r->gallery.n_people,
                                    (double)r->gallery.n_pictures / (double)r->gallery.n_people };
    const int rc = load_curve(r);
    if (rc != CLI_YES)
        return rc;
    r->threshold = r->opts->threshold;
    r->expected = (mien_estimate){ -1, 0, 1, 0 };
    r->promised = 1;
    if (!r->curve)
        return CLI_YES;
    const mien_status st = isnan(r->opts->threshold)
                               ? mien_curve_decide(r->curve, 0, &size, r->opts->fpir, &d, &err)
                               : mien_curve_decide_at(r->curve, 0, &size, r->opts->threshold, &d, &err);
    if (st)
        return cli_fail(&err);
    r->threshold = d.threshold;
    r->expected = d.fpir;
    r->promised = d.promised;
    if (!d.promised)
        cli_say(
            "the calibration does not support an FPIR of %g among %zu people: the threshold is that of its "
            "lowest, %.2g",
            r->opts->fpir, r->gallery.n_people, d.fpir.value);
    return CLI_YES;
}

static int search_set(eval_identify_run *r, const labelled_set *set, bool mated)
{
    mien_error err = MIEN_ERROR_INIT;
    for (size_t i = 0; i < set->files.n; i++) {
        const char *name = set->names[set->person[i]];
        const size_t right = mated ? eval_gallery_find(&r->gallery, name) : r->gallery.n_people;
        eval_hit hit = { -INFINITY, r->gallery.n_people, 0 };
        if (mated && right == r->gallery.n_people) {
            if (i == 0 || set->person[i] != set->person[i - 1])
                cli_say_path(set->files.items[i].path, "nobody of that name is in the gallery: left out");
            r->n_left_out++;
            continue;
        }
        const bool failed = set->states[i] != LABELLED_EMBEDDED;
        if (!failed && eval_gallery_search(&r->gallery, set->vecs + i * set->dim, right, &hit, &err))
            return cli_fail(&err);
        r->hits[r->n_probes] = hit;
        r->probes[r->n_probes++] = (mien_eval_probe){
            .mated = mated, .failed = failed, .top = hit.top, .rank = hit.rank, .person = name
        };
    }
    return CLI_YES;
}

/* Probes stand in the order of the sets. */
static int write_scores(const eval_identify_run *r)
{
    cli_out out;
    int rc = cli_out_open(&out, r->opts->scores);
    if (rc != CLI_YES)
        return rc;
    fputs("path,mated,failed,best,similarity,rank\n", out.f);
    size_t at = 0;
    const labelled_set *const sets[2] = { &r->mated, &r->nonmated };
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < sets[k]->files.n; i++) {
            if (k == 0 &&
                eval_gallery_find(&r->gallery, sets[k]->names[sets[k]->person[i]]) == r->gallery.n_people)
                continue;
            const mien_eval_probe *p = &r->probes[at];
            const eval_hit *h = &r->hits[at++];
            cli_csv_text(out.f, sets[k]->files.items[i].path);
            fprintf(out.f, ",%d,%d,", p->mated, p->failed);
            if (h->who < r->gallery.n_people) {
                cli_csv_text(out.f, r->gallery.names[h->who]);
                fprintf(out.f, ",%.6f,%u\n", h->top, (unsigned)h->rank);
            } else {
                fputs(",,0\n", out.f);
            }
        }
    }
    return cli_out_commit(&out);
}

static int measure(eval_identify_run *r)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_eval_search_opts so = MIEN_EVAL_SEARCH_OPTS_INIT;
    mien_eval_search_summary *e = cli_alloc(1, sizeof *e);
    so.threshold = r->threshold;
    so.n_enrolled = r->gallery.n_people;
    int rc = CLI_YES;
    if (mien_eval_search(r->probes, r->n_probes, &so, e, &err) != MIEN_OK)
        rc = cli_fail(&err);
    if (rc == CLI_YES && r->opts->scores)
        rc = write_scores(r);
    if (rc == CLI_YES && r->opts->html)
        rc = eval_identify_write_page(r, e);
    if (rc == CLI_YES && r->opts->format == 1)
        rc = eval_identify_print_json(r, e);
    else if (rc == CLI_YES && r->opts->format == 2)
        eval_identify_print_csv(r, e);
    else if (rc == CLI_YES)
        eval_identify_print_text(r, e);
    free(e);
    return rc;
}

static int judge(eval_identify_run *r)
{
    const eval_identify_opts *o = r->opts;
    int rc = labelled_read(&r->mated, o->mated, true);
    if (rc == CLI_YES)
        rc = labelled_read(&r->nonmated, o->nonmated, false);
    if (rc == CLI_YES)
        rc = cli_models_load(&r->models, !o->aligned, o->base.common.detector, true, o->model);
    if (rc == CLI_YES)
        rc = cli_kits_new(&r->kits, &r->models, &o->base.common, r->mated.files.n + r->nonmated.files.n,
                          false);
    if (rc == CLI_YES)
        rc = eval_gallery_open(&r->gallery, &o->base, r->models.embed, &r->kits, o->aligned);
    if (rc == CLI_YES && !cli_stopped())
        rc = choose_threshold(r);
    if (rc != CLI_YES || cli_stopped())
        return rc;
    labelled_embed(&r->mated, &r->kits, r->gallery.dim, o->aligned, o->base.common.quiet);
    labelled_embed(&r->nonmated, &r->kits, r->gallery.dim, o->aligned, o->base.common.quiet);
    if (cli_stopped())
        return rc;
    r->probes = cli_alloc(r->mated.files.n + r->nonmated.files.n, sizeof *r->probes);
    r->hits = cli_alloc(r->mated.files.n + r->nonmated.files.n, sizeof *r->hits);
    rc = search_set(r, &r->mated, true);
    if (rc == CLI_YES)
        rc = search_set(r, &r->nonmated, false);
    if (rc == CLI_YES)
        rc = measure(r);
    const size_t bad = r->mated.n_bad + r->nonmated.n_bad + r->gallery.people.n_bad;
    return cli_worse(rc, bad ? CLI_INPUT : CLI_YES);
}

static int run(void *p, int argc, char **argv)
{
    eval_identify_run r = { .opts = p };
    (void)argc;
    (void)argv;
    if (!r.opts->base.gallery || !r.opts->mated || !r.opts->nonmated)
        return cli_usage(&cli_verb_eval_identify, "wanted: --gallery G, --mated DIR and --nonmated DIR");
    const int rc = judge(&r);
    free(r.probes);
    free(r.hits);
    mien_curve_free(r.curve);
    eval_gallery_free(&r.gallery);
    labelled_free(&r.mated);
    labelled_free(&r.nonmated);
    cli_kits_free(&r.kits);
    cli_models_free(&r.models);
    return rc;
}

static const cli_example examples[] = {
    { "how many strangers does my gallery take for somebody, and whom does it miss?",
      "mien eval identify -g staff.mg --mated more --nonmated strangers" },
    { "without a gallery: enrol a folder for the measurement alone",
      "mien eval identify --gallery enrolled --mated probes --nonmated strangers --fpir 0.001 -f json" },
    { NULL, NULL },
};

const cli_verb cli_verb_eval_identify = {
    .name = "eval identify",
    .operands = "",
    .brief = "measure identification in a gallery, with strangers",
    .about =
        "Searches a gallery for further pictures of its people and for strangers, at the threshold that the "
        "calibration gives for the false positive identification rate (FPIR) asked for. FPIR is the fraction "
        "of "
        "strangers taken for somebody, FNIR the fraction of pictures of enrolled people whose person is not "
        "returned first at or above the threshold; rank 1 leaves the threshold out. Pictures without a face "
        "count: as misses and as strangers not recognised (ISO/IEC 19795-1). In pictures with several faces "
        "the "
        "most central one counts. Intervals are 95 %, by people where some have several pictures.",
    .exits = "0 measured, 2 usage, 3 a bad file, 4 no model",
    .tables = { options, cli_key_options, cli_detector_options, cli_detect_options, cli_input_options },
    .examples = examples,
    .opts_bytes = sizeof(eval_identify_opts),
    .hint = CLI_NOTHING,
    .run = run,
};
