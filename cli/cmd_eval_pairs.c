/* mien eval pairs: verification accuracy on the pairs of a file.
 *
 * "10\t300": ten folds, each 300 matched then 300 mismatched pairs; "500": one fold. A matched line is NAME I
 * J, a mismatched one NAME I OTHER J; the pictures are NAME/NAME_0001.jpg. Or CSV with columns a, b, same.
 * Each picture is embedded once.
 */
#include "eval_embed.h"
#include "pairs.h"
#include "labelled.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct pairs_opts {
    eval_faces faces; /* first */
    const char *pairs, *images, *scores;
} pairs_opts;

static const cli_option options[] = {
    { .name = "pairs",
      .letter = 'p',
      .kind = CLI_TEXT,
      .offset = offsetof(pairs_opts, pairs),
      .value = "FILE",
      .hint = CLI_FILES,
      .brief = "pairs: LFW format, or CSV with columns a, b, same (required)",
      .more =
          "LFW: a first line `10 300` means ten folds of 300 matched and 300 mismatched pairs each, `500` "
          "one "
          "fold. CSV: a row of names, among them two of pictures (a, b) and one that tells (same); person_a, "
          "person_b, fold may be there; any other column groups the pairs." },
    { .name = "images",
      .letter = 'i',
      .kind = CLI_TEXT,
      .offset = offsetof(pairs_opts, images),
      .value = "DIR",
      .hint = CLI_DIRS,
      .brief = "folder with NAME/NAME_0001.jpg, or what the CSV names (required)" },
    { .name = "scores",
      .kind = CLI_TEXT,
      .offset = offsetof(pairs_opts, scores),
      .value = "FILE",
      .hint = CLI_FILES,
      .brief = "write each pair's score as CSV" },
    { 0 },
};

static int write_scores(const char *path, const mien_eval_table *t)
{
    cli_out out;
    int rc = cli_out_open(&out, path);
    if (rc != CLI_YES)
        return rc;
    fputs("a,b,mated,fold,score,person_a,person_b\n", out.f);
    for (size_t i = 0; i < mien_eval_table_rows(t); i++) {
        const mien_eval_row r = mien_eval_table_row(t, i);
        cli_csv_text(out.f, r.item_a);
        fputc(',', out.f);
        cli_csv_text(out.f, r.item_b);
        fprintf(out.f, ",%d,", r.mated);
        if (r.fold >= 0)
            fprintf(out.f, "%d", r.fold);
        fputc(',', out.f);
        if (!r.failed)
            fprintf(out.f, "%.9g", r.score);
        fputc(',', out.f);
        cli_csv_text(out.f, r.person_a ? r.person_a : "");
        fputc(',', out.f);
        cli_csv_text(out.f, r.person_b ? r.person_b : "");
        fputc('\n', out.f);
    }
    return cli_out_commit(&out);
}

/* ---- the table ---- */

/* Columns to group by: those of the labels, else those of the pairs' CSV. */
typedef struct grouping {
    const mien_eval_labels *labels;
    const char *names[MIEN_EVAL_MAX_COLUMNS], *values[MIEN_EVAL_MAX_COLUMNS];
    size_t n;
} grouping;

static void columns_of(grouping *g, const mien_eval_labels *labels, const pairs_file *pairs)
{
    const char *const *names = NULL;
    *g = (grouping){ .labels = labels };
    if (labels) {
        g->n = mien_eval_labels_columns(labels, &names);
        memcpy(g->names, names, g->n * sizeof *names);
        return;
    }
    while (pairs->csv && mien_eval_table_column(pairs->csv, g->n, NULL)) {
        g->names[g->n] = mien_eval_table_column(pairs->csv, g->n, NULL);
        g->n++;
    }
}

static int make_table(const pairs_file *pairs, const labelled_set *set, const mien_eval_labels *labels,
                      mien_eval_table **ret)
{
    grouping g;
    mien_error err = MIEN_ERROR_INIT;
    mien_eval_table_opts opts = MIEN_EVAL_TABLE_OPTS_INIT;
    columns_of(&g, labels, pairs);
    opts.columns = g.names;
    opts.n_columns = g.n;
    mien_status st = mien_eval_table_new(&opts, ret, &err);
    for (size_t i = 0; i < pairs->n && st == MIEN_OK; i++) {
        const pairs_item *p = &pairs->items[i];
        const pairs_image *a = &pairs->images[p->a], *b = &pairs->images[p->b];
        mien_eval_row row = { .mated = p->mated,
                              .fold = p->fold,
                              .person_a = a->person,
                              .person_b = b->person,
                              .item_a = a->path + a->rel,
                              .item_b = b->path + b->rel,
                              .labels = g.values };
        row.failed = set->states[p->a] != LABELLED_EMBEDDED || set->states[p->b] != LABELLED_EMBEDDED;
        if (!row.failed)
            row.score = mien_cosine(set->vecs + p->a * set->dim, set->vecs + p->b * set->dim, set->dim);
        for (size_t k = 0; k < g.n && !labels; k++)
            g.values[k] = mien_eval_table_label(pairs->csv, i, k);
        if (labels)
            mien_eval_labels_of(labels, row.person_a, row.person_b, g.values);
        st = mien_eval_table_add(*ret, &row, &err);
    }
    return st == MIEN_OK ? CLI_YES : cli_fail(&err);
}

/* ---- the run ---- */

typedef struct pairs_run {
    const pairs_opts *opts;
    pairs_file pairs;
    labelled_set set; /* its files are the pairs' pictures */
    mien_eval_labels *labels;
    cli_models models;
    cli_kits kits;
    double start;
} pairs_run;

static const char *path_of(const void *ctx, size_t row, int which)
{
    const pairs_file *p = ctx;
    return p->images[which ? p->items[row].b : p->items[row].a].path;
}

static int report(pairs_run *r, const mien_eval_table *table)
{
    const pairs_opts *opts = r->opts;
    char fingerprint[65], *from = NULL;
    double threshold = NAN;
    mien_error err = MIEN_ERROR_INIT;
    mien_evaluation *e = NULL;
    mien_eval_picture *crops = NULL;
    int rc = eval_model_threshold(r->models.embed, opts->faces.fmr, &threshold, &from);
    if (rc == CLI_YES && mien_model_fingerprint(r->models.embed, fingerprint, &err) != MIEN_OK)
        rc = cli_fail(&err);
    eval_page page = { .opts = &opts->faces.eval,
                       .kind = "pairs",
                       .data = opts->pairs,
                       .matcher = mien_model_info_of(r->models.embed)->name,
                       .fingerprint = fingerprint,
                       .threshold_from = from,
                       .table = table,
                       .n_images = r->set.files.n,
                       .n_no_face = r->set.n_no_face,
                       .n_bad = r->set.n_bad,
                       .n_bad_rows = r->pairs.n_bad_rows };
    if (rc == CLI_YES)
        rc = eval_measure(&page, threshold, &e);
    page.seconds = (cli_now_ms() - r->start) / 1e3;
    if (rc == CLI_YES && opts->faces.pictures && opts->faces.eval.html)
        page.crops = crops =
            eval_crops(e, &r->kits.items[0], r->models.embed, opts->faces.aligned, path_of, &r->pairs);
    if (rc == CLI_YES)
        rc = eval_show(&page);
    if (e)
        eval_crops_free(crops, e);
    mien_evaluation_free(e);
    free(from);
    return rc;
}

/* The pictures of the pairs as the set that labelled_embed() works on. */
static void take_pictures(pairs_run *r)
{
    const size_t n = r->pairs.n_images;
    r->set.files.items = cli_alloc(n, sizeof *r->set.files.items);
    r->set.states = cli_alloc(n, sizeof *r->set.states);
    for (; r->set.files.n < n; r->set.files.n++)
        r->set.files.items[r->set.files.n] = (cli_file){ cli_strdup(r->pairs.images[r->set.files.n].path),
                                                         r->pairs.images[r->set.files.n].rel };
}

static int measure(pairs_run *r)
{
    const pairs_opts *opts = r->opts;
    mien_eval_table *table = NULL;
    take_pictures(r);
    labelled_embed(&r->set, &r->kits, (size_t)mien_model_info_of(r->models.embed)->embedding_len,
                   opts->faces.aligned, opts->faces.eval.common.quiet);
    if (cli_stopped())
        return CLI_YES;
    int rc = make_table(&r->pairs, &r->set, r->labels, &table);
    if (rc == CLI_YES)
        rc = report(r, table);
    if (rc == CLI_YES && opts->scores)
        rc = write_scores(opts->scores, table);
    mien_eval_table_free(table);
    return cli_worse(rc, r->set.n_bad ? CLI_INPUT : CLI_YES);
}

static int run(void *p, int argc, char **argv)
{
    const pairs_opts *opts = p;
    (void)argc;
    (void)argv;
    if (!opts->pairs || !opts->images)
        return cli_usage(&cli_verb_eval_pairs, "wanted: --pairs FILE and --images DIR");
    if (opts->faces.pictures && !opts->faces.eval.html)
        return cli_usage(&cli_verb_eval_pairs, "--pictures goes with --html");
    if (!isnan(opts->faces.fmr) && !isnan(opts->faces.eval.threshold))
        return cli_usage(&cli_verb_eval_pairs, "--fmr and --threshold exclude each other");
    pairs_run r = { .opts = opts, .start = cli_now_ms() };
    int rc = opts->faces.labels ? eval_read_labels(opts->faces.labels, &r.labels) : CLI_YES;
    if (rc == CLI_YES)
        rc = pairs_read(&r.pairs, opts->pairs, opts->images);
    if (rc == CLI_YES)
        rc = cli_models_load(&r.models, !opts->faces.aligned, opts->faces.eval.common.detector, true,
                             opts->faces.model);
    if (rc == CLI_YES)
        rc = cli_kits_new(&r.kits, &r.models, &opts->faces.eval.common, r.pairs.n_images, opts->faces.flip);
    if (rc == CLI_YES)
        rc = measure(&r);
    labelled_free(&r.set);
    cli_kits_free(&r.kits);
    cli_models_free(&r.models);
    pairs_free(&r.pairs);
    mien_eval_labels_free(r.labels);
    return rc;
}

static const cli_example examples[] = {
    { "measure a model on aligned crops", "mien eval pairs --pairs pairs.txt --images crops --aligned" },
    { "measure the whole way from photographs",
      "mien eval pairs --pairs pairs.txt --images lfw --model mobilefacenet" },
    { "a report with the faces of the worst errors",
      "mien eval pairs -p pairs.txt -i lfw --html report.html --pictures" },
    { NULL, NULL },
};

const cli_verb cli_verb_eval_pairs = {
    .name = "eval pairs",
    .operands = "",
    .brief = "measure accuracy on pairs (LFW format or CSV)",
    .about =
        "Embeds each picture once and scores the pairs. FNMR is the fraction of mated pairs that are missed "
        "where "
        "1e-1, 1e-2, ... of the non-mated ones are accepted; AUC and EER as usual. With folds, accuracy is "
        "that of "
        "each fold at the threshold of the others. Decisions are judged at the model's own calibrated "
        "threshold, "
        "not at one tuned on these pairs. Intervals come from a bootstrap over people. In pictures with "
        "several faces "
        "the one near the middle counts. Pairs with a picture without a face count as `different` in the "
        "accuracy and are left out of the rest; so that nobody wins by giving up.",
    .exits = "0 measured, 2 usage, 3 a bad file, 4 no model",
    .tables = { options, eval_faces_options, eval_output_options, cli_detector_options, cli_detect_options,
                cli_input_options },
    .examples = examples,
    .opts_bytes = sizeof(pairs_opts),
    .hint = CLI_NOTHING,
    .run = run,
};
