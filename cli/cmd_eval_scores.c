/* mien eval scores: judges the scores of any matcher, from CSV. */
#include "eval_page.h"

typedef struct scores_opts {
    eval_common eval; /* first */
    const char *matcher;
    int higher, lower;
} scores_opts;

static const cli_option options[] = {
    { .name = "higher",
      .kind = CLI_FLAG,
      .offset = offsetof(scores_opts, higher),
      .brief = "higher scores are more alike, whatever the column is called" },
    { .name = "lower",
      .kind = CLI_FLAG,
      .offset = offsetof(scores_opts, lower),
      .brief = "lower scores are more alike: distances" },
    { .name = "matcher",
      .kind = CLI_TEXT,
      .offset = offsetof(scores_opts, matcher),
      .value = "NAME",
      .brief = "what made the scores, for the report" },
    { 0 },
};

static void name_columns(const mien_eval_table *t)
{
    int dropped = 0;
    for (size_t i = 0; mien_eval_table_column(t, i, &dropped); i++)
        if (dropped)
            cli_say("column '%s' has more than %d values: no grouping by it",
                    mien_eval_table_column(t, i, NULL), (int)MIEN_EVAL_MAX_VALUES);
}

static int run(void *p, int argc, char **argv)
{
    const scores_opts *opts = p;
    (void)argc;
    if (opts->higher && opts->lower)
        return cli_usage(&cli_verb_eval_scores, "--higher and --lower exclude each other");
    const double start = cli_now_ms();
    eval_bad_rows bad = { argv[0], 0 };
    mien_eval_csv_opts csv = MIEN_EVAL_CSV_OPTS_INIT;
    mien_error err = MIEN_ERROR_INIT;
    mien_eval_table *table = NULL;
    size_t n_bad = 0;
    csv.direction = opts->higher ? 1 : opts->lower ? -1 : 0;
    csv.bad_row = eval_bad_row;
    csv.user = &bad;
    const mien_status st = mien_eval_table_read(argv[0], &csv, &table, &n_bad, &err);
    eval_bad_rows_end(&bad);
    if (st != MIEN_OK)
        return cli_fail_path(argv[0], &err);
    name_columns(table);
    eval_page page = { .opts = &opts->eval,
                       .kind = "scores",
                       .data = argv[0],
                       .matcher = opts->matcher,
                       .table = table,
                       .n_bad_rows = n_bad,
                       .seconds = (cli_now_ms() - start) / 1e3 };
    mien_evaluation *e = NULL;
    int rc = eval_measure(&page, MIEN_EVAL_NONE, &e);
    page.seconds = (cli_now_ms() - start) / 1e3;
    if (rc == CLI_YES)
        rc = eval_show(&page);
    mien_evaluation_free(e);
    mien_eval_table_free(table);
    return rc;
}

static const cli_example examples[] = {
    { "judge another matcher's scores", "mien eval scores scores.csv --html report.html" },
    { "distances, at its own threshold", "mien eval scores distances.csv --lower --threshold 0.6" },
    { "keep the result to compare with another", "mien eval scores a.csv -f json > a.json" },
    { NULL, NULL },
};

const cli_verb cli_verb_eval_scores = {
    .name = "eval scores",
    .operands = "FILE.csv",
    .brief = "measure accuracy from scores, of any matcher",
    .about = "Reads a CSV file whose first row names the columns: `score` (or similarity, distance, ...), "
             "and what tells "
             "pairs of one person from pairs of two: `mated` (or label, same, genuine, ...: 1/0, yes/no, "
             "genuine/impostor) or `person_a` and `person_b`. `fold`, and `a` and `b` for the pictures, may "
             "be there; any "
             "other column groups the pairs. An empty score is a pair that could not be compared.\n\n"
             "Prints FNMR at fixed FMRs, EER, AUC, accuracy over folds where there are some, and the "
             "decisions at one "
             "threshold. With people, intervals come from a bootstrap over people; without them pairs are "
             "taken as "
             "independent. Rows that cannot be used are reported by their line and skipped.",
    .exits = "0 measured, 2 usage, 3 the file cannot be used",
    .tables = { options, eval_output_options, eval_plain_options },
    .examples = examples,
    .opts_bytes = sizeof(scores_opts),
    .min_operands = 1,
    .max_operands = 1,
    .hint = CLI_FILES,
    .run = run,
};
