/* Figures of an evaluation as JSON, and back: docs/eval.md has the fields.
 *
 * Scores are kept as three texts, an item per pair with a blank between, so that a result of a million pairs
 * stays readable by any program in one line each: "mated" 1 or 0, "score" (`-` where the pair could not be
 * compared), and "people" two numbers with a hyphen, whom no name can be read from. `names` is a digest of
 * the pairs' names: two results can be compared pair by pair when it is the same. No number is NaN or
 * infinite: null stands there.
 */
#include "eval_page.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_KEPT = 1000000, DIGITS = 12 };

static json_t *number(double v)
{
    return cli_json_round(v, DIGITS);
}

static json_t *count(uint64_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *interval(mien_eval_rate r)
{
    json_t *v = json_array();
    cli_json_append(v, number(r.lo));
    cli_json_append(v, number(r.hi));
    return v;
}

static void set_rate(json_t *to, const char *name, mien_eval_rate r)
{
    char key[64];
    cli_json_set(to, name, number(r.value));
    snprintf(key, sizeof key, "%s_interval95", name);
    cli_json_set(to, key, interval(r));
}

/* ---- parts ---- */

static json_t *at_fmr(const mien_eval_summary *s)
{
    json_t *list = json_array();
    for (int i = 0; i < MIEN_EVAL_FMRS; i++) {
        const mien_eval_at_fmr *at = &s->at[i];
        if (at->fmr * (double)s->n_nonmated < 1)
            continue;
        json_t *item = json_object();
        cli_json_set(item, "fmr", json_real(at->fmr));
        cli_json_set(item, "supported", json_boolean(at->supported));
        cli_json_set(item, "threshold", number(at->threshold));
        set_rate(item, "fnmr", at->fnmr);
        cli_json_set(item, "fnmr_with_failures", number(at->fnmr_failed));
        cli_json_append(list, item);
    }
    return list;
}

/* True accept rates as earlier versions had them. */
static void set_tar(json_t *page, const mien_eval_summary *s)
{
    json_t *tar = json_object(), *intervals = json_object();
    for (int i = 1; i <= 2; i++) {
        const mien_eval_rate r = s->at[i].fnmr;
        const mien_eval_rate turned = { 1 - r.value, 1 - r.hi, 1 - r.lo };
        json_t *item = json_object();
        cli_json_set(tar, eval_fmr_names[i], number(turned.value));
        cli_json_set(item, "value", number(turned.value));
        cli_json_set(item, "interval95", interval(turned));
        cli_json_set(intervals, eval_fmr_names[i], item);
    }
    cli_json_set(page, "tar", tar);
    cli_json_set(page, "tar_interval", intervals);
}

static json_t *decided(const eval_page *page, const mien_eval_summary *s)
{
    const mien_eval_decided *d = &s->decided;
    json_t *v = json_object();
    cli_json_set(v, "threshold", number(d->threshold));
    cli_json_set(v, "chosen_on_these_pairs", json_boolean(d->chosen_fmr > 0 || d->chosen_fmr < 0));
    cli_json_set(v, "source",
                 cli_json_text(d->chosen_fmr > 0      ? "these pairs, at an FMR"
                               : d->chosen_fmr < 0    ? "these pairs, at the EER"
                               : page->threshold_from ? page->threshold_from
                                                      : "given"));
    if (d->chosen_fmr > 0)
        cli_json_set(v, "chosen_fmr", json_real(d->chosen_fmr));
    cli_json_set(v, "tp", count(d->tp));
    cli_json_set(v, "fp", count(d->fp));
    cli_json_set(v, "fn", count(d->fn));
    cli_json_set(v, "tn", count(d->tn));
    set_rate(v, "fmr", d->fmr);
    set_rate(v, "fnmr", d->fnmr);
    set_rate(v, "accuracy", d->accuracy);
    set_rate(v, "precision", d->precision);
    set_rate(v, "recall", d->recall);
    set_rate(v, "f1", d->f1);
    return v;
}

static json_t *groups(const mien_eval_summary *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->n_groups; i++) {
        const mien_eval_group *g = &s->groups[i];
        json_t *item = json_object();
        cli_json_set(item, "column", cli_json_text(g->column));
        cli_json_set(item, "value", cli_json_text(g->value));
        cli_json_set(item, "mated", count(g->n_mated));
        cli_json_set(item, "nonmated", count(g->n_nonmated));
        cli_json_set(item, "failed", count(g->n_failed));
        if (g->n_people)
            cli_json_set(item, "people", count(g->n_people));
        if (g->n_nonmated)
            set_rate(item, "fmr", g->fmr);
        if (g->n_mated)
            set_rate(item, "fnmr", g->fnmr);
        cli_json_append(list, item);
    }
    return list;
}

static json_t *worst(const eval_page *page, const size_t *rows, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        const mien_eval_row r = mien_eval_table_row(page->table, rows[i]);
        json_t *item = json_object();
        cli_json_set(item, "pair", count(rows[i] + 1));
        cli_json_set(item, "score", number(r.score));
        const char *a = r.item_a ? r.item_a : r.person_a, *b = r.item_b ? r.item_b : r.person_b;
        if (a)
            cli_json_set(item, "a", cli_json_text(a));
        if (b)
            cli_json_set(item, "b", cli_json_text(b));
        cli_json_append(list, item);
    }
    return list;
}

static json_t *curves(const mien_eval_summary *s)
{
    json_t *v = json_object(), *bins[2] = { json_array(), json_array() }, *det = json_array();
    for (int i = 0; i < MIEN_EVAL_BINS; i++) {
        cli_json_append(bins[0], count(s->hist_mated[i]));
        cli_json_append(bins[1], count(s->hist_nonmated[i]));
    }
    for (int i = 0; i < MIEN_EVAL_DET; i++) {
        if (isnan(s->det_fnmr[i].value))
            continue;
        json_t *point = json_object();
        cli_json_set(point, "fmr", number(s->det_fmr[i]));
        set_rate(point, "fnmr", s->det_fnmr[i]);
        cli_json_append(det, point);
    }
    cli_json_set(v, "score_lo", number(s->score_lo));
    cli_json_set(v, "score_hi", number(s->score_hi));
    cli_json_set(v, "mated", bins[0]);
    cli_json_set(v, "nonmated", bins[1]);
    cli_json_set(v, "det", det);
    return v;
}

/* ---- the pairs themselves ---- */

static uint64_t digest_text(uint64_t h, const char *s) /* FNV-1a, a zero byte between */
{
    for (; s && *s; s++)
        h = (h ^ (unsigned char)*s) * 1099511628211u;
    return h * 1099511628211u;
}

/* People are numbered as they come. */
typedef struct numbers {
    const char **names;
    size_t n, n_slots, *slots;
} numbers;

static size_t number_of(numbers *t, const char *name)
{
    size_t slot = (size_t)digest_text(14695981039346656037u, name) & (t->n_slots - 1);
    for (; t->slots[slot]; slot = (slot + 1) & (t->n_slots - 1))
        if (!strcmp(t->names[t->slots[slot] - 1], name))
            return t->slots[slot];
    t->names[t->n] = name;
    return t->slots[slot] = ++t->n;
}

static void keep_pairs(const eval_page *page, json_t *to)
{
    const size_t n = mien_eval_table_rows(page->table);
    if (n > MAX_KEPT)
        return;
    numbers t = { cli_alloc(2 * n, sizeof *t.names), 0, 1024, NULL };
    while (t.n_slots < 4 * n)
        t.n_slots *= 2;
    t.slots = cli_alloc(t.n_slots, sizeof *t.slots);
    char *mated = cli_alloc(2 * n + 1, 1), *score = cli_alloc(32 * n + 1, 1),
         *people = cli_alloc(44 * n + 1, 1);
    char *s = score, *p = people;
    bool all_known = true, named = false;
    uint64_t digest = 14695981039346656037u;
    for (size_t i = 0; i < n; i++) {
        const mien_eval_row r = mien_eval_table_row(page->table, i);
        mated[2 * i] = r.mated ? '1' : '0';
        mated[2 * i + 1] = i + 1 < n ? ' ' : '\0';
        s += r.failed ? snprintf(s, 32, "- ") : snprintf(s, 32, "%.9g ", r.score);
        all_known = all_known && r.person_a && r.person_b;
        named = named || r.person_a || r.item_a;
        if (all_known)
            p += snprintf(p, 44, "%zu-%zu ", number_of(&t, r.person_a), number_of(&t, r.person_b));
        digest = digest_text(digest_text(digest, r.person_a), r.person_b);
        digest = digest_text(digest_text(digest, r.item_a), r.item_b);
    }
    json_t *kept = json_object();
    if (s > score)
        s[-1] = '\0';
    if (all_known && p > people)
        p[-1] = '\0';
    cli_json_set(kept, "mated", cli_json_text(mated));
    cli_json_set(kept, "score", cli_json_text(score));
    if (all_known)
        cli_json_set(kept, "people", cli_json_text(people));
    if (named) {
        char hex[32];
        snprintf(hex, sizeof hex, "fnv1a:%016llx", (unsigned long long)digest);
        cli_json_set(kept, "names", cli_json_text(hex));
    }
    cli_json_set(to, "scores", kept);
    free(people), free(score), free(mated), free(t.slots), free(t.names);
}

/* ---- the whole ---- */

/* Accuracy, precision, recall, F1 in front: of the folds where the protocol has some, else at the threshold.
 */
static void set_front(json_t *v, const mien_eval_summary *s)
{
    const bool folds = s->folds > 0;
    const mien_eval_decided *d = &s->decided;
    cli_json_set(v, "accuracy", number(folds ? s->fold_accuracy : d->accuracy.value));
    if (folds)
        cli_json_set(v, "accuracy_std", number(s->fold_accuracy_std));
    cli_json_set(v, "accuracy_from",
                 cli_json_text(s->folds > 1                                      ? "folds"
                               : folds || d->chosen_fmr > 0 || d->chosen_fmr < 0 ? "same pairs"
                                                                                 : "threshold"));
    cli_json_set(v, "precision", number(folds ? s->fold_precision : d->precision.value));
    cli_json_set(v, "recall", number(folds ? s->fold_recall : d->recall.value));
    cli_json_set(v, "f1", number(folds ? s->fold_f1 : d->f1.value));
    cli_json_set(v, "threshold", number(folds ? s->fold_threshold : d->threshold));
    cli_json_set(v, "folds", count(folds ? s->folds : 1));
}

json_t *eval_json(const eval_page *page)
{
    const mien_eval_summary *s = mien_evaluation_summary(page->evaluation);
    json_t *v = json_object();
    cli_json_set(v, "format", cli_json_text("mien-eval"));
    cli_json_set(v, "version", json_integer(1));
    cli_json_set(v, "kind", cli_json_text(page->kind));
    cli_json_set(v, "data", cli_json_text(page->data));
    if (page->matcher)
        cli_json_set(v, "model", cli_json_text(page->matcher));
    if (page->fingerprint)
        cli_json_set(v, "fingerprint", cli_json_text(page->fingerprint));
    set_front(v, s);
    set_rate(v, "auc", s->auc);
    set_rate(v, "eer", s->eer);
    cli_json_set(v, "eer_threshold", number(s->eer_threshold));
    set_tar(v, s);
    cli_json_set(v, "fnmr_at_fmr", at_fmr(s));
    cli_json_set(v, "at_threshold", decided(page, s));
    cli_json_set(v, "pairs", count(mien_eval_table_rows(page->table)));
    cli_json_set(v, "mated", count(s->n_mated));
    cli_json_set(v, "nonmated", count(s->n_nonmated));
    cli_json_set(v, "failed_pairs", count(s->n_failed_mated + s->n_failed_nonmated));
    cli_json_set(v, "failed_mated", count(s->n_failed_mated));
    cli_json_set(v, "failed_nonmated", count(s->n_failed_nonmated));
    if (page->total_nonmated) {
        cli_json_set(v, "total_mated", count(page->total_mated));
        cli_json_set(v, "total_nonmated", count(page->total_nonmated));
    }
    cli_json_set(v, "people", s->n_people ? count(s->n_people) : json_null());
    cli_json_set(v, "intervals",
                 cli_json_text(s->n_people ? "bootstrap over people" : "pairs as independent"));
    cli_json_set(v, "resamples", json_integer(s->resamples));
    cli_json_set(v, "seed", count(s->seed));
    cli_json_set(v, "lower_is_alike", json_boolean(s->lower));
    cli_json_set(v, "bad_rows", count(page->n_bad_rows));
    if (page->n_images) {
        cli_json_set(v, "images", count(page->n_images));
        cli_json_set(v, "failures_to_detect", count(page->n_no_face));
        cli_json_set(v, "bad_files", count(page->n_bad));
        cli_json_set(v, "fta", number((double)(page->n_no_face + page->n_bad) / (double)page->n_images));
    }
    cli_json_set(v, "groups", groups(s));
    cli_json_set(v, "false_matches", worst(page, s->false_matches, s->n_false_matches));
    cli_json_set(v, "false_nonmatches", worst(page, s->false_nonmatches, s->n_false_nonmatches));
    cli_json_set(v, "curves", curves(s));
    keep_pairs(page, v);
    cli_json_set(v, "seconds", cli_json_round(page->seconds, 2));
    return v;
}
