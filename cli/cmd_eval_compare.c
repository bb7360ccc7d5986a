/* mien eval compare: is B better than A? From two JSON results of mien eval. */
#include "eval_page.h"
#include <stdlib.h>

typedef struct eval_compare_opts {
    cli_common common; /* first */
    int format, resamples, seed;
} eval_compare_opts;

static const cli_option options[] = {
    { .name = "format",
      .letter = 'f',
      .kind = CLI_CHOICE,
      .offset = offsetof(eval_compare_opts, format),
      .value = "text|json|csv",
      .def = "text",
      .brief = "how to print" },
    { .name = "resamples",
      .kind = CLI_INT,
      .offset = offsetof(eval_compare_opts, resamples),
      .value = "N",
      .def = "1000",
      .min = 100,
      .max = 100000,
      .rare = 1,
      .brief = "resamples behind the intervals" },
    { .name = "seed",
      .kind = CLI_INT,
      .offset = offsetof(eval_compare_opts, seed),
      .value = "N",
      .def = "1",
      .min = 0,
      .max = 2147483647,
      .rare = 1,
      .brief = "seed of what is drawn" },
    { 0 },
};

/* ---- printing ---- */

static const char *verdict(int shown)
{
    return shown > 0 ? "B is better" : shown < 0 ? "B is worse" : "no difference shown";
}

/* What the whole shows: one direction, or none, or both. */
static const char *conclusion(const mien_eval_comparison *c)
{
    bool better = false, worse = false;
    for (size_t i = 0; i < c->n; i++) {
        better = better || c->v[i].shown > 0;
        worse = worse || c->v[i].shown < 0;
    }
    return better && worse ? "mixed: B is better by some figures and worse by others"
           : better        ? "B is shown to be better by at least one figure, and worse by none"
           : worse         ? "B is shown to be worse by at least one figure, and better by none"
                           : "no difference is shown: the data do not tell A and B apart";
}

static void print_text(const mien_eval_comparison *c, const char *a, const char *b)
{
    printf("A  %s\nB  %s\n\n", a, b);
    if (c->paired)
        printf("the same %zu pairs, resampled together%s", c->n_pairs_a,
               c->paired == 2 ? " (nothing names them; their order and labels agree)" : "");
    else
        printf("different pairs: %zu of A, %zu of B, resampled apart", c->n_pairs_a, c->n_pairs_b);
    if (c->n_people)
        printf("; by people (%zu)\n\n", c->n_people);
    else
        fputs("; people are unknown, so pairs are taken as independent\n\n", stdout);
    printf("%-18s %10s %10s %10s   %s\n", "", "A", "B", "B - A", "95 % of B - A");
    for (size_t i = 0; i < c->n; i++) {
        const mien_eval_difference *d = &c->v[i];
        printf("%-18s %9.4f%% %9.4f%% %+9.4f%%   %+.4f to %+.4f   %s\n", d->name, 100 * d->a, 100 * d->b,
               100 * d->difference.value, 100 * d->difference.lo, 100 * d->difference.hi, verdict(d->shown));
    }
    if (c->paired)
        printf("\ndecisions right by A alone %llu, by B alone %llu (exact McNemar test, pairs as "
               "independent: p = "
               "%.3g)\n",
               (unsigned long long)c->only_a, (unsigned long long)c->only_b, c->mcnemar_p);
    printf("\n%s\n", conclusion(c));
}

static void print_csv(const mien_eval_comparison *c)
{
    puts("measure,a,b,difference,lo,hi,shown");
    for (size_t i = 0; i < c->n; i++) {
        const mien_eval_difference *d = &c->v[i];
        printf("%s,%.12g,%.12g,%.12g,%.6g,%.6g,%d\n", d->name, d->a, d->b, d->difference.value,
               d->difference.lo, d->difference.hi, d->shown);
    }
}

static void print_json(const mien_eval_comparison *c, const char *a, const char *b)
{
    json_t *page = json_object(), *list = json_array();
    cli_json_set(page, "format", cli_json_text("mien-eval-comparison"));
    cli_json_set(page, "version", json_integer(1));
    cli_json_set(page, "a", cli_json_text(a));
    cli_json_set(page, "b", cli_json_text(b));
    cli_json_set(page, "paired", json_boolean(c->paired));
    cli_json_set(page, "pairs_a", json_integer((json_int_t)c->n_pairs_a));
    cli_json_set(page, "pairs_b", json_integer((json_int_t)c->n_pairs_b));
    cli_json_set(page, "people", c->n_people ? json_integer((json_int_t)c->n_people) : json_null());
    for (size_t i = 0; i < c->n; i++) {
        const mien_eval_difference *d = &c->v[i];
        json_t *item = json_object(), *interval = json_array();
        cli_json_append(interval, cli_json_round(d->difference.lo, 12));
        cli_json_append(interval, cli_json_round(d->difference.hi, 12));
        cli_json_set(item, "measure", cli_json_text(d->name));
        cli_json_set(item, "a", cli_json_round(d->a, 12));
        cli_json_set(item, "b", cli_json_round(d->b, 12));
        cli_json_set(item, "difference", cli_json_round(d->difference.value, 12));
        cli_json_set(item, "difference_interval95", interval);
        cli_json_set(item, "shown", cli_json_text(d->shown > 0 ? "better" : d->shown < 0 ? "worse" : "no"));
        cli_json_append(list, item);
    }
    cli_json_set(page, "measures", list);
    if (c->paired) {
        json_t *m = json_object();
        cli_json_set(m, "only_a", json_integer((json_int_t)c->only_a));
        cli_json_set(m, "only_b", json_integer((json_int_t)c->only_b));
        cli_json_set(m, "p", cli_json_round(c->mcnemar_p, 12));
        cli_json_set(page, "mcnemar", m);
    }
    cli_json_set(page, "conclusion", cli_json_text(conclusion(c)));
    cli_json_exact(stdout, page);
}

static int run(void *p, int argc, char **argv)
{
    const eval_compare_opts *o = p;
    mien_eval_table *tables[2] = { NULL, NULL };
    char *names[2] = { NULL, NULL };
    double thresholds[2] = { 0, 0 };
    int rc = CLI_YES;
    (void)argc;
    for (int i = 0; i < 2 && rc == CLI_YES; i++)
        rc = eval_read_json(argv[i], &tables[i], &thresholds[i], &names[i]);
    if (rc == CLI_YES) {
        mien_eval_comparison c;
        mien_error err = MIEN_ERROR_INIT;
        mien_eval_opts opts = MIEN_EVAL_OPTS_INIT;
        opts.resamples = o->resamples;
        opts.seed = (uint64_t)o->seed;
        opts.threads = (unsigned)o->common.threads;
        if (mien_eval_compare(tables[0], tables[1], thresholds[0], thresholds[1], &opts, &c, &err) != MIEN_OK)
            rc = cli_fail(&err);
        else if (o->format == 1)
            print_json(&c, names[0], names[1]);
        else if (o->format == 2)
            print_csv(&c);
        else
            print_text(&c, names[0], names[1]);
    }
    for (int i = 0; i < 2; i++) {
        mien_eval_table_free(tables[i]);
        free(names[i]);
    }
    return rc;
}

static const cli_example examples[] = {
    { "is the new model better on the same pairs?", "mien eval compare old.json new.json" },
    { "how the two came about", "mien eval pairs -p p.txt -i lfw -m old -f json > old.json" },
    { NULL, NULL },
};

const cli_verb cli_verb_eval_compare = {
    .name = "eval compare",
    .operands = "A.json B.json",
    .brief = "say whether one result is better than another",
    .about =
        "Takes two results of `mien eval pairs`, `folder` or `scores` written with --format json. Where they "
        "hold the "
        "same pairs, both are resampled together, which finds differences that the intervals of each alone "
        "would "
        "hide; else apart. Pairs that could not be compared count as `different`, so that giving up on hard "
        "pictures does not win. A difference is said to be shown only where its whole 95 % interval lies on "
        "one "
        "side of 0. With several figures one may do so by chance: look at the one that was chosen "
        "beforehand.",
    .exits = "0 compared, 2 usage, 3 a file cannot be used",
    .tables = { options, eval_plain_options },
    .examples = examples,
    .opts_bytes = sizeof(eval_compare_opts),
    .min_operands = 2,
    .max_operands = 2,
    .hint = CLI_FILES,
    .run = run,
};
