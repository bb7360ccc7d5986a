/* mien eval folder: verification accuracy on labelled pictures, a folder per person.
 *
 * All pairs are compared, or of each kind a sample (library: strata of equal length, every person in
 * proportion). The decisions are judged at the model's calibrated threshold: one tuned on the same people
 * would flatter.
 */
#include "eval_embed.h"
#include "labelled.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct folder_opts {
    eval_faces faces; /* first */
    int max_pairs;
} folder_opts;

static const cli_option options[] = {
    { .name = "max-pairs",
      .kind = CLI_INT,
      .offset = offsetof(folder_opts, max_pairs),
      .value = "N",
      .def = "200000",
      .min = 1,
      .max = MIEN_EVAL_MAX_ROWS / 2,
      .brief = "compare at most so many pairs of each kind",
      .more = "Of more a sample is drawn with --seed: no pair twice, every person in proportion." },
    { 0 },
};

typedef struct folder_run {
    const folder_opts *opts;
    const char *dir;
    labelled_set set;
    mien_eval_labels *labels;
    cli_models models;
    cli_kits kits;
    mien_eval_choice *pairs;
    size_t n_mated, n_nonmated;
    uint64_t total[2];
    double start;
} folder_run;

/* Pairs among all pictures, those without a template included: they are failures to acquire. */
static int choose(folder_run *r)
{
    mien_error err = MIEN_ERROR_INIT;
    int32_t *people = cli_alloc(r->set.files.n, sizeof *people);
    for (size_t i = 0; i < r->set.files.n; i++)
        people[i] = (int32_t)r->set.person[i];
    const mien_status st = mien_eval_choose_pairs(people, r->set.files.n, (size_t)r->opts->max_pairs,
                                                  (uint64_t)r->opts->faces.eval.seed, &r->pairs, &r->n_mated,
                                                  &r->n_nonmated, r->total, &err);
    free(people);
    return st == MIEN_OK ? CLI_YES : cli_fail_path(r->dir, &err);
}

static int make_table(const folder_run *r, mien_eval_table **ret)
{
    const labelled_set *set = &r->set;
    const char *values[MIEN_EVAL_MAX_COLUMNS];
    mien_error err = MIEN_ERROR_INIT;
    mien_eval_table_opts opts = MIEN_EVAL_TABLE_OPTS_INIT;
    opts.n_columns = mien_eval_labels_columns(r->labels, &opts.columns);
    mien_status st = mien_eval_table_new(&opts, ret, &err);
    for (size_t i = 0; i < r->n_mated + r->n_nonmated && st == MIEN_OK; i++) {
        const size_t a = r->pairs[i].a, b = r->pairs[i].b;
        const cli_file *fa = &set->files.items[a], *fb = &set->files.items[b];
        mien_eval_row row = { .mated = i < r->n_mated,
                              .fold = -1,
                              .person_a = set->names[set->person[a]],
                              .person_b = set->names[set->person[b]],
                              .item_a = fa->path + fa->rel,
                              .item_b = fb->path + fb->rel,
                              .labels = values };
        row.failed = set->states[a] != LABELLED_EMBEDDED || set->states[b] != LABELLED_EMBEDDED;
        if (!row.failed)
            row.score = mien_cosine(set->vecs + a * set->dim, set->vecs + b * set->dim, set->dim);
        if (r->labels)
            mien_eval_labels_of(r->labels, row.person_a, row.person_b, values);
        st = mien_eval_table_add(*ret, &row, &err);
    }
    return st == MIEN_OK ? CLI_YES : cli_fail(&err);
}

static const char *path_of(const void *ctx, size_t row, int which)
{
    const folder_run *r = ctx;
    return r->set.files.items[which ? r->pairs[row].b : r->pairs[row].a].path;
}

static int report(folder_run *r, const mien_eval_table *table)
{
    const folder_opts *opts = r->opts;
    char fingerprint[65], *from = NULL;
    double threshold = NAN;
    mien_error err = MIEN_ERROR_INIT;
    mien_evaluation *e = NULL;
    mien_eval_picture *crops = NULL;
    int rc = eval_model_threshold(r->models.embed, opts->faces.fmr, &threshold, &from);
    if (rc == CLI_YES && mien_model_fingerprint(r->models.embed, fingerprint, &err) != MIEN_OK)
        rc = cli_fail(&err);
    eval_page page = { .opts = &opts->faces.eval,
                       .kind = "folder",
                       .data = r->dir,
                       .matcher = mien_model_info_of(r->models.embed)->name,
                       .fingerprint = fingerprint,
                       .threshold_from = from,
                       .table = table,
                       .n_images = r->set.files.n,
                       .n_no_face = r->set.n_no_face,
                       .n_bad = r->set.n_bad,
                       .total_mated = r->total[0],
                       .total_nonmated = r->total[1] };
    if (rc == CLI_YES)
        rc = eval_measure(&page, threshold, &e);
    page.seconds = (cli_now_ms() - r->start) / 1e3;
    if (rc == CLI_YES && opts->faces.pictures && opts->faces.eval.html)
        page.crops = crops =
            eval_crops(e, &r->kits.items[0], r->models.embed, opts->faces.aligned, path_of, r);
    if (rc == CLI_YES)
        rc = eval_show(&page);
    if (e)
        eval_crops_free(crops, e);
    mien_evaluation_free(e);
    free(from);
    return rc;
}

static int measure(folder_run *r)
{
    mien_eval_table *table = NULL;
    labelled_embed(&r->set, &r->kits, (size_t)mien_model_info_of(r->models.embed)->embedding_len,
                   r->opts->faces.aligned, r->opts->faces.eval.common.quiet);
    if (cli_stopped())
        return CLI_YES;
    int rc = choose(r);
    if (rc == CLI_YES)
        rc = make_table(r, &table);
    if (rc == CLI_YES)
        rc = report(r, table);
    mien_eval_table_free(table);
    return cli_worse(rc, r->set.n_bad ? CLI_INPUT : CLI_YES);
}

static int run(void *p, int argc, char **argv)
{
    const folder_opts *opts = p;
    (void)argc;
    if (opts->faces.pictures && !opts->faces.eval.html)
        return cli_usage(&cli_verb_eval_folder, "--pictures goes with --html");
    if (!isnan(opts->faces.fmr) && !isnan(opts->faces.eval.threshold))
        return cli_usage(&cli_verb_eval_folder, "--fmr and --threshold exclude each other");
    folder_run r = { .opts = opts, .dir = argv[0], .start = cli_now_ms() };
    int rc = opts->faces.labels ? eval_read_labels(opts->faces.labels, &r.labels) : CLI_YES;
    if (rc == CLI_YES)
        rc = labelled_read(&r.set, argv[0], true);
    if (rc == CLI_YES)
        rc = cli_models_load(&r.models, !opts->faces.aligned, opts->faces.eval.common.detector, true,
                             opts->faces.model);
    if (rc == CLI_YES)
        rc = cli_kits_new(&r.kits, &r.models, &opts->faces.eval.common, r.set.files.n, opts->faces.flip);
    if (rc == CLI_YES)
        rc = measure(&r);
    mien_eval_choices_free(r.pairs);
    labelled_free(&r.set);
    cli_kits_free(&r.kits);
    cli_models_free(&r.models);
    mien_eval_labels_free(r.labels);
    return rc;
}

static const cli_example examples[] = {
    { "how good is it on our people?", "mien eval folder people --html report.html" },
    { "the same, by group", "mien eval folder people --labels people.csv -f json" },
    { NULL, NULL },
};

const cli_verb cli_verb_eval_folder = {
    .name = "eval folder",
    .operands = "DIR",
    .brief = "measure accuracy on one's own people",
    .about =
        "DIR has a folder per person. Embeds each picture once, compares all pairs (or a sample) and prints "
        "error rates "
        "with intervals, and the decisions as accuracy, precision, recall and F1 at the model's calibrated "
        "threshold, which these pictures had no part in. Pictures without a face are failures to acquire: "
        "their "
        "pairs are decided `different`, and left out of FMR and FNMR.",
    .exits = "0 measured, 2 usage, 3 a bad file, 4 no model",
    .tables = { options, eval_faces_options, eval_output_options, cli_detector_options, cli_detect_options,
                cli_input_options },
    .examples = examples,
    .opts_bytes = sizeof(folder_opts),
    .min_operands = 1,
    .max_operands = 1,
    .hint = CLI_DIRS,
    .run = run,
};
