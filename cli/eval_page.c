/* Measures a table and hands the figures to the printer asked for; see eval_page.h. */
#include "eval_page.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

const cli_option eval_output_options[] = {
    { .name = "format",
      .letter = 'f',
      .kind = CLI_CHOICE,
      .offset = offsetof(eval_common, format),
      .value = "text|json|csv",
      .def = "text",
      .brief = "how to print",
      .more = "json also holds the curves and each pair's score, so that `mien eval compare` can resample "
              "the pairs "
              "(docs/eval.md has the fields); csv is a row per figure: name, value, interval." },
    { .name = "html",
      .kind = CLI_TEXT,
      .offset = offsetof(eval_common, html),
      .value = "FILE",
      .hint = CLI_FILES,
      .brief = "write a report: one page that needs nothing else" },
    { .name = "title",
      .kind = CLI_TEXT,
      .offset = offsetof(eval_common, title),
      .value = "TEXT",
      .rare = 1,
      .brief = "the report's title" },
    { .name = "threshold",
      .kind = CLI_REAL,
      .offset = offsetof(eval_common, threshold),
      .value = "T",
      .min = -1e300,
      .max = 1e300,
      .brief = "decide at this score" },
    { .name = "roc",
      .kind = CLI_TEXT,
      .offset = offsetof(eval_common, roc),
      .value = "FILE",
      .hint = CLI_FILES,
      .rare = 1,
      .brief = "write every point of the ROC as CSV" },
    { .name = "worst",
      .kind = CLI_INT,
      .offset = offsetof(eval_common, worst),
      .value = "N",
      .def = "12",
      .min = 0,
      .max = MIEN_EVAL_MAX_WORST,
      .rare = 1,
      .brief = "errors of each kind to list" },
    { .name = "resamples",
      .kind = CLI_INT,
      .offset = offsetof(eval_common, resamples),
      .value = "N",
      .def = "1000",
      .min = 0,
      .max = 100000,
      .rare = 1,
      .brief = "resamples behind the intervals",
      .more =
          "Of tables of more than some 300,000 pairs fewer are taken (200 at least); how many is printed." },
    { .name = "seed",
      .kind = CLI_INT,
      .offset = offsetof(eval_common, seed),
      .value = "N",
      .def = "1",
      .min = 0,
      .max = 2147483647,
      .rare = 1,
      .brief = "seed of what is drawn" },
    { 0 },
};

const cli_option eval_plain_options[] = {
    { .name = "threads",
      .letter = 't',
      .kind = CLI_INT,
      .offset = offsetof(eval_common, common.threads),
      .value = "N",
      .def = "0",
      .min = 0,
      .max = 256,
      .rare = 1,
      .brief = "threads; 0: all processors",
      .more = "Results do not depend on their number." },
    { .name = "quiet",
      .letter = 'q',
      .kind = CLI_FLAG,
      .offset = offsetof(eval_common, common.quiet),
      .brief = "no progress" },
    { 0 },
};

const char *const eval_fmr_names[MIEN_EVAL_FMRS] = { "1e-1", "1e-2", "1e-3", "1e-4", "1e-5", "1e-6" };

int eval_measure(eval_page *page, double threshold, mien_evaluation **ret)
{
    const eval_common *o = page->opts;
    mien_eval_opts opts = MIEN_EVAL_OPTS_INIT;
    mien_error err = MIEN_ERROR_INIT;
    opts.threshold = isnan(o->threshold) ? threshold : o->threshold;
    opts.resamples = o->resamples;
    opts.seed = (uint64_t)o->seed;
    opts.threads = (unsigned)o->common.threads;
    opts.n_worst = (size_t)o->worst;
    if (!isnan(o->threshold))
        page->threshold_from = NULL;
    if (mien_eval_measure(page->table, &opts, ret, &err) != MIEN_OK)
        return cli_fail_path(page->data, &err);
    page->evaluation = *ret;
    return CLI_YES;
}

static int write_roc(const eval_page *page)
{
    cli_out out;
    mien_error err = MIEN_ERROR_INIT;
    mien_eval_roc_point *v = NULL;
    size_t n = 0;
    if (mien_eval_roc(page->table, &v, &n, &err) != MIEN_OK)
        return cli_fail(&err);
    int rc = cli_out_open(&out, page->opts->roc);
    if (rc == CLI_YES) {
        fputs("threshold,fmr,tmr\n", out.f);
        for (size_t i = 0; i < n; i++) {
            if (isfinite(v[i].threshold))
                fprintf(out.f, "%.17g", v[i].threshold);
            fprintf(out.f, ",%.17g,%.17g\n", v[i].fmr, v[i].tmr);
        }
        rc = cli_out_commit(&out);
    }
    mien_eval_roc_free(v);
    return rc;
}

static int print_json(const eval_page *page)
{
    mien_eval_json_opts o = MIEN_EVAL_JSON_OPTS_INIT;
    mien_error err = MIEN_ERROR_INIT;
    char *text = NULL;
    o.kind = page->kind;
    o.data = page->data;
    o.matcher = page->matcher;
    o.fingerprint = page->fingerprint;
    o.threshold_from = page->threshold_from;
    o.n_images = page->n_images;
    o.n_no_face = page->n_no_face;
    o.n_bad = page->n_bad;
    o.n_bad_rows = page->n_bad_rows;
    o.total_mated = page->total_mated;
    o.total_nonmated = page->total_nonmated;
    o.seconds = page->seconds;
    if (mien_evaluation_json(page->evaluation, &o, &text, &err) != MIEN_OK)
        return cli_fail(&err);
    fputs(text, stdout);
    mien_eval_text_free(text);
    return CLI_YES;
}

int eval_show(const eval_page *page)
{
    int rc = CLI_YES;
    if (page->opts->html)
        rc = eval_write_html(page);
    if (rc == CLI_YES && page->opts->roc)
        rc = write_roc(page);
    if (rc != CLI_YES)
        return rc;
    if (page->opts->format == 1)
        rc = print_json(page);
    else if (page->opts->format == 2)
        eval_print_csv(page, stdout);
    else
        eval_print_text(page, stdout);
    return rc;
}

int eval_finish(eval_page *page, double threshold)
{
    mien_evaluation *e = NULL;
    int rc = eval_measure(page, threshold, &e);
    if (rc == CLI_YES)
        rc = eval_show(page);
    mien_evaluation_free(e);
    return rc;
}

enum { SHOWN_ROWS = 10 };

void eval_bad_row(size_t line, const char *why, void *user)
{
    eval_bad_rows *bad = user;
    if (bad->n++ < SHOWN_ROWS)
        cli_say_path(bad->path, "line %zu skipped: %s", line, why);
}

void eval_bad_rows_end(const eval_bad_rows *bad)
{
    if (bad->n > SHOWN_ROWS)
        cli_say_path(bad->path, "%zu more rows skipped", bad->n - SHOWN_ROWS);
}

/* ---- the page ---- */

static void entry(mien_eval_entry *v, size_t *n, const char *key, char *value)
{
    v[*n] = (mien_eval_entry){ key, value };
    *n += 1;
}

int eval_write_html(const eval_page *page)
{
    enum { MAX = 12 };
    mien_eval_entry v[MAX];
    size_t n = 0;
    entry(v, &n, "Data", cli_strdup(page->data));
    entry(v, &n, "Command", cli_strdup(cli_command));
    if (page->n_images)
        entry(v, &n, "Pictures",
              cli_format("%zu; no face found in %zu, not usable: %zu", page->n_images, page->n_no_face,
                         page->n_bad));
    if (page->total_nonmated)
        entry(v, &n, "Pairs there are",
              cli_format(
                  "%llu mated, %llu non-mated; of each kind a stratified sample was compared where there "
                  "were too many",
                  (unsigned long long)page->total_mated, (unsigned long long)page->total_nonmated));
    if (page->n_bad_rows)
        entry(v, &n, "Rows skipped", cli_format("%zu", page->n_bad_rows));
    if (page->matcher)
        entry(v, &n, "Model", cli_strdup(page->matcher));
    if (page->fingerprint)
        entry(v, &n, "Its fingerprint", cli_strdup(page->fingerprint));
    mien_eval_report_opts o = MIEN_EVAL_REPORT_OPTS_INIT;
    mien_error err = MIEN_ERROR_INIT;
    o.title = page->opts->title;
    o.matcher = page->matcher;
    o.threshold_from = page->threshold_from;
    o.entries = v;
    o.n_entries = n;
    o.pictures = page->crops;
    const mien_status st = mien_eval_report(page->evaluation, &o, page->opts->html, &err);
    for (size_t i = 0; i < n; i++)
        free((char *)v[i].value);
    return st == MIEN_OK ? CLI_YES : cli_fail(&err);
}
