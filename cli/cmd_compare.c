/* mien compare: are two pictures of the same person? Prints the decision with what it stands on.
 *
 * By default the largest face of each picture; with --all every face of A with every face of B, and the most
 * alike pair decides.
 */
#include "compare.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const cli_option options[] = {
    { .name = "format",
      .letter = 'f',
      .kind = CLI_CHOICE,
      .offset = offsetof(compare_opts, format),
      .value = "text|json",
      .def = "text",
      .brief = "how to print",
      .more = "json: same, similarity, distance, threshold, fmr, score_fmr (fraction of strangers as alike "
              "as this) and images, each with path, box, landmarks and score." },
    { .name = "fmr",
      .kind = CLI_REAL,
      .offset = offsetof(compare_opts, fmr),
      .value = "RATE",
      .min = 1e-9,
      .max = 0.5,
      .brief = "decide at this false match rate, not the model's",
      .more = "1e-3 lets one of a thousand pairs of strangers pass. Rates that the model was not "
              "calibrated for are refused." },
    { .name = "threshold",
      .kind = CLI_REAL,
      .offset = offsetof(compare_opts, threshold),
      .value = "S",
      .min = -1,
      .max = 1,
      .rare = 1,
      .brief = "decide at this similarity instead",
      .more = "For models without a calibration of their own." },
    { .name = "all",
      .kind = CLI_FLAG,
      .offset = offsetof(compare_opts, all),
      .brief = "every face of A with every face of B, as a matrix" },
    { .name = "aligned",
      .letter = 'a',
      .kind = CLI_FLAG,
      .offset = offsetof(compare_opts, aligned),
      .brief = "pictures are crops already: find no faces" },
    { .name = "flip",
      .kind = CLI_FLAG,
      .offset = offsetof(compare_opts, flip),
      .rare = 1,
      .brief = "average with the mirrored crop: a little better, twice the time" },
    { .name = "draw",
      .letter = 'd',
      .kind = CLI_TEXT,
      .offset = offsetof(compare_opts, draw),
      .value = "OUT",
      .hint = CLI_FILES,
      .brief = "write both pictures side by side with the decision" },
    { .name = "model",
      .letter = 'm',
      .kind = CLI_TEXT,
      .offset = offsetof(compare_opts, model),
      .value = "M",
      .hint = CLI_MODELS,
      .brief = "model that embeds: name or path" },
    { 0 },
};

static mien_status see_side(const compare_opts *opts, cli_kit *kit, compare_side *side, size_t dim,
                            mien_error *err)
{
    mien_status st = MIEN_OK;
    if (opts->aligned) {
        st = cli_load(&opts->common, side->path, 0, &side->seen.image, err);
        if (st != MIEN_OK)
            return st;
        const mien_image_view view = mien_image_view_of(side->seen.image);
        side->n = 1;
        side->vecs = cli_alloc(dim, sizeof(float));
        return mien_embed_crops(kit->embedder, &view, 1, side->vecs, err);
    }
    st = opts->all ? cli_see(kit, side->path, &side->seen, err)
                   : cli_see_largest(kit, side->path, &side->seen, err);
    if (st != MIEN_OK)
        return st;
    cli_sort_by_size(side->seen.faces, side->seen.n);
    side->n = opts->all || !side->seen.n ? side->seen.n : 1;
    side->vecs = cli_alloc(side->n * dim, sizeof(float));
    for (size_t i = 0; i < side->n && st == MIEN_OK; i++)
        st = mien_embed_face(kit->embedder, mien_image_view_of(side->seen.image), &side->seen.faces[i],
                             side->vecs + i * dim, err);
    return st;
}

/* Fill in the decision; CLI_MODEL when the model has no threshold to decide by. */
static int decide(const compare_opts *opts, const mien_model *model, compare_result *r)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_decision *d = &r->decision;
    if (isnan(opts->threshold)) {
        const mien_status st = mien_decide(model, r->best, isnan(opts->fmr) ? 0 : opts->fmr, d, &err);
        if (st == MIEN_OK) {
            r->calibrated = d->fmr > 0;
            r->decided = true;
            return CLI_YES;
        }
        *d = (mien_decision){ .similarity = r->best, .distance = mien_distance_of(r->best) };
        cli_say("%s", cli_error_text(NULL, &err));
        return CLI_MODEL;
    }
    *d = (mien_decision){ .similarity = r->best,
                          .distance = mien_distance_of(r->best),
                          .threshold = opts->threshold,
                          .same = r->best >= opts->threshold };
    r->decided = true;
    int bound = 0;
    double fmr = 0;
    r->calibrated = mien_model_fmr(model, opts->threshold, &fmr, &bound, NULL) == MIEN_OK &&
                    mien_model_fmr(model, r->best, &d->score_fmr, &d->score_fmr_bound, NULL) == MIEN_OK;
    d->fmr = r->calibrated ? fmr : 0;
    return CLI_YES;
}

static void find_best(compare_result *r, size_t dim)
{
    const compare_side *a = &r->sides[0], *b = &r->sides[1];
    r->matrix = cli_alloc(a->n * b->n, sizeof *r->matrix);
    r->best = -2;
    for (size_t i = 0; i < a->n; i++) {
        for (size_t j = 0; j < b->n; j++) {
            const double s = mien_cosine(a->vecs + i * dim, b->vecs + j * dim, dim);
            r->matrix[i * b->n + j] = s;
            if (s > r->best)
                r->best = s, r->best_a = i, r->best_b = j;
        }
    }
}

static int compare(const compare_opts *opts, cli_kit *kit, const mien_model *model, compare_result *r)
{
    const size_t dim = (size_t)mien_model_info_of(model)->embedding_len;
    int rc = CLI_YES;
    for (int i = 0; i < 2 && !cli_stopped(); i++) {
        compare_side *side = &r->sides[i];
        const mien_status st = see_side(opts, kit, side, dim, &side->err);
        if (st != MIEN_OK) {
            side->failed = true;
            rc = cli_worse(rc, cli_fail_path(side->path, &side->err));
        } else if (!side->n) {
            cli_say_path(side->path, "no face found");
            rc = cli_worse(rc, CLI_NO);
        }
    }
    if (rc != CLI_YES || cli_stopped())
        return rc;
    find_best(r, dim);
    rc = decide(opts, model, r);
    if (rc == CLI_YES && !r->decision.same)
        rc = CLI_NO;
    return rc;
}

static int run(void *p, int argc, char **argv)
{
    const compare_opts *opts = p;
    cli_models models = { NULL, NULL };
    cli_kits kits = { NULL, NULL, 0 };
    compare_result r = { .sides = { { .path = argv[0] }, { .path = argv[1] } } };
    (void)argc;
    if (!isnan(opts->fmr) && !isnan(opts->threshold))
        return cli_usage(&cli_verb_compare, "--fmr and --threshold exclude each other");
    cli_common common = opts->common;
    if (!common.threads)
        common.threads = 1; /* starting threads costs more than two faces bring in */
    int rc = cli_models_load(&models, !opts->aligned, opts->common.detector, true, opts->model);
    if (rc == CLI_YES)
        rc = cli_kits_new(&kits, &models, &common, 1, opts->flip);
    if (rc == CLI_YES) {
        rc = compare(opts, &kits.items[0], models.embed, &r);
        if (opts->format == 1)
            compare_print_json(opts, &r);
        else
            compare_print_text(opts, &r);
        if (opts->draw && !r.sides[0].failed && !r.sides[1].failed && compare_draw(opts, &r) != CLI_YES)
            rc = CLI_INTERNAL;
    }
    for (int i = 0; i < 2; i++) {
        cli_seen_free(&r.sides[i].seen);
        free(r.sides[i].vecs);
    }
    free(r.matrix);
    cli_kits_free(&kits);
    cli_models_free(&models);
    return rc;
}

static const cli_example examples[] = {
    { "ask whether two photographs show the same person", "mien compare anna-2019.jpg anna-2024.jpg" },
    { "let a script ask", "if mien compare a.jpg b.jpg >/dev/null; then echo same; fi" },
    { "be stricter: one stranger in a hundred thousand", "mien compare a.jpg b.jpg --fmr 1e-5" },
    { "find a person in a group", "mien compare anna.jpg party.jpg --all --draw found.jpg" },
    { NULL, NULL },
};

const cli_verb cli_verb_compare = {
    .name = "compare",
    .operands = "A B",
    .brief = "say whether two pictures show the same person",
    .about =
        "Takes the largest face of each picture, compares them and decides. The threshold belongs to the "
        "model and the false match rate (FMR) to the threshold; both are printed with the decision, and "
        "so is how many strangers would look as alike as these two. `different` is said when the "
        "evidence is not enough: it is not proof that they are two people.",
    .exits = "0 same person, 1 different or no face, 2 usage, 3 a bad file, 4 no model",
    .tables = { options, cli_detector_options, cli_detect_options, cli_input_options },
    .examples = examples,
    .opts_bytes = sizeof(compare_opts),
    .min_operands = 2,
    .max_operands = 2,
    .run = run,
};
