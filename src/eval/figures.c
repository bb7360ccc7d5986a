/* Figures of an evaluation as JSON: docs/eval.md has the fields.
 *
 * Scores are kept as three texts, an item per pair with a blank between, so that a result of a million pairs
 * stays readable by any program in one line each: "mated" 1 or 0, "score" (`-` where the pair could not be
 * compared), and "people" two numbers with a hyphen, whom no name can be read from. `names` is a digest of
 * the pairs' names: two results can be compared pair by pair when it is the same. No number is NaN or
 * infinite: null stands there.
 */
#include "eval/figures.h"
#include "eval/measure.h"
#include "report/text.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { MAX_KEPT = 1000000, DIGITS = 12, SIGNIFICANT = 15, MAX_BYTES = 1 << 28 };

/* "fnmr_at_fmr_1e-3" and the like. */
static const char *const fmr_names[MIEN_EVAL_FMRS] = { "1e-1", "1e-2", "1e-3", "1e-4", "1e-5", "1e-6" };

typedef struct page {
    mien__figures f; /* first */
    const mien_evaluation *evaluation;
    const mien_eval_json_opts *opts;
} page;

static void put(page *p, json_t *object, const char *key, json_t *value)
{
    mien__figures_set(&p->f, object, key, value);
}

static json_t *number(double v)
{
    return mien__figures_round(v, DIGITS);
}

static json_t *interval(page *p, mien_eval_rate r)
{
    json_t *v = json_array();
    mien__figures_append(&p->f, v, number(r.lo));
    mien__figures_append(&p->f, v, number(r.hi));
    return v;
}

static void set_rate(page *p, json_t *to, const char *name, mien_eval_rate r)
{
    char key[64];
    put(p, to, name, number(r.value));
    snprintf(key, sizeof key, "%s_interval95", name);
    put(p, to, key, interval(p, r));
}

/* ---- parts ---- */

static json_t *at_fmr(page *p, const mien_eval_summary *s)
{
    json_t *list = json_array();
    for (int i = 0; i < MIEN_EVAL_FMRS; i++) {
        const mien_eval_at_fmr *at = &s->at[i];
        if (at->fmr * (double)s->n_nonmated < 1)
            continue;
        json_t *item = json_object();
        put(p, item, "fmr", json_real(at->fmr));
        put(p, item, "supported", json_boolean(at->supported));
        put(p, item, "threshold", number(at->threshold));
        set_rate(p, item, "fnmr", at->fnmr);
        put(p, item, "fnmr_with_failures", number(at->fnmr_failed));
        mien__figures_append(&p->f, list, item);
    }
    return list;
}

/* True accept rates as earlier versions had them. */
static void set_tar(page *p, json_t *to, const mien_eval_summary *s)
{
    json_t *tar = json_object(), *intervals = json_object();
    for (int i = 1; i <= 2; i++) {
        const mien_eval_rate r = s->at[i].fnmr;
        const mien_eval_rate turned = { 1 - r.value, 1 - r.hi, 1 - r.lo };
        json_t *item = json_object();
        put(p, tar, fmr_names[i], number(turned.value));
        put(p, item, "value", number(turned.value));
        put(p, item, "interval95", interval(p, turned));
        put(p, intervals, fmr_names[i], item);
    }
    put(p, to, "tar", tar);
    put(p, to, "tar_interval", intervals);
}

static json_t *decided(page *p, const mien_eval_summary *s)
{
    const mien_eval_decided *d = &s->decided;
    json_t *v = json_object();
    put(p, v, "threshold", number(d->threshold));
    put(p, v, "chosen_on_these_pairs", json_boolean(d->chosen_fmr > 0 || d->chosen_fmr < 0));
    put(p, v, "source",
        mien__figures_text(d->chosen_fmr > 0         ? "these pairs, at an FMR"
                           : d->chosen_fmr < 0       ? "these pairs, at the EER"
                           : p->opts->threshold_from ? p->opts->threshold_from
                                                     : "given"));
    if (d->chosen_fmr > 0)
        put(p, v, "chosen_fmr", json_real(d->chosen_fmr));
    put(p, v, "tp", mien__figures_count(d->tp));
    put(p, v, "fp", mien__figures_count(d->fp));
    put(p, v, "fn", mien__figures_count(d->fn));
    put(p, v, "tn", mien__figures_count(d->tn));
    set_rate(p, v, "fmr", d->fmr);
    set_rate(p, v, "fnmr", d->fnmr);
    set_rate(p, v, "accuracy", d->accuracy);
    set_rate(p, v, "precision", d->precision);
    set_rate(p, v, "recall", d->recall);
    set_rate(p, v, "f1", d->f1);
    return v;
}

static json_t *groups(page *p, const mien_eval_summary *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->n_groups; i++) {
        const mien_eval_group *g = &s->groups[i];
        json_t *item = json_object();
        put(p, item, "column", mien__figures_text(g->column));
        put(p, item, "value", mien__figures_text(g->value));
        put(p, item, "mated", mien__figures_count(g->n_mated));
        put(p, item, "nonmated", mien__figures_count(g->n_nonmated));
        put(p, item, "failed", mien__figures_count(g->n_failed));
        if (g->n_people)
            put(p, item, "people", mien__figures_count(g->n_people));
        if (g->n_nonmated)
            set_rate(p, item, "fmr", g->fmr);
        if (g->n_mated)
            set_rate(p, item, "fnmr", g->fnmr);
        mien__figures_append(&p->f, list, item);
    }
    return list;
}

static json_t *worst(page *p, const size_t *rows, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        const mien_eval_row r = mien_eval_table_row(p->evaluation->table, rows[i]);
        json_t *item = json_object();
        put(p, item, "pair", mien__figures_count(rows[i] + 1));
        put(p, item, "score", number(r.score));
        const char *a = r.item_a ? r.item_a : r.person_a, *b = r.item_b ? r.item_b : r.person_b;
        if (a)
            put(p, item, "a", mien__figures_text(a));
        if (b)
            put(p, item, "b", mien__figures_text(b));
        mien__figures_append(&p->f, list, item);
    }
    return list;
}

static json_t *curves(page *p, const mien_eval_summary *s)
{
    json_t *v = json_object(), *bins[2] = { json_array(), json_array() }, *det = json_array();
    for (int i = 0; i < MIEN_EVAL_BINS; i++) {
        mien__figures_append(&p->f, bins[0], mien__figures_count(s->hist_mated[i]));
        mien__figures_append(&p->f, bins[1], mien__figures_count(s->hist_nonmated[i]));
    }
    for (int i = 0; i < MIEN_EVAL_DET; i++) {
        if (isnan(s->det_fnmr[i].value))
            continue;
        json_t *point = json_object();
        put(p, point, "fmr", number(s->det_fmr[i]));
        set_rate(p, point, "fnmr", s->det_fnmr[i]);
        mien__figures_append(&p->f, det, point);
    }
    put(p, v, "score_lo", number(s->score_lo));
    put(p, v, "score_hi", number(s->score_hi));
    put(p, v, "mated", bins[0]);
    put(p, v, "nonmated", bins[1]);
    put(p, v, "det", det);
    return v;
}

/* ---- the pairs themselves ---- */

#define FNV_BASIS 14695981039346656037u

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
    size_t slot = (size_t)digest_text(FNV_BASIS, name) & (t->n_slots - 1);
    for (; t->slots[slot]; slot = (slot + 1) & (t->n_slots - 1))
        if (!strcmp(t->names[t->slots[slot] - 1], name))
            return t->slots[slot];
    t->names[t->n] = name;
    return t->slots[slot] = ++t->n;
}

/* Texts of numbers with a blank between. */
typedef struct kept {
    mien__text mated, score, people;
    numbers t;
    bool all_known, named;
    uint64_t digest;
} kept;

static void keep_pair(kept *k, const mien_eval_row *r, bool first)
{
    const char *blank = first ? "" : " ";
    mien__text_fmt(&k->mated, "%s%d", blank, r->mated ? 1 : 0);
    if (r->failed)
        mien__text_fmt(&k->score, "%s-", blank);
    else
        mien__text_fmt(&k->score, "%s%.9g", blank, r->score);
    k->all_known = k->all_known && r->person_a && r->person_b;
    k->named = k->named || r->person_a || r->item_a;
    if (k->all_known) {
        const size_t a = number_of(&k->t, r->person_a), b = number_of(&k->t, r->person_b);
        mien__text_fmt(&k->people, "%s%zu-%zu", blank, a, b);
    }
    k->digest = digest_text(digest_text(k->digest, r->person_a), r->person_b);
    k->digest = digest_text(digest_text(k->digest, r->item_a), r->item_b);
}

static json_t *text_of(const mien__text *t)
{
    return t->status ? NULL : json_stringn(t->buf.size ? (const char *)t->buf.data : "", t->buf.size);
}

static json_t *kept_json(page *p, const kept *k)
{
    json_t *v = json_object();
    put(p, v, "mated", text_of(&k->mated));
    put(p, v, "score", text_of(&k->score));
    if (k->all_known)
        put(p, v, "people", text_of(&k->people));
    if (k->named) {
        char hex[32];
        snprintf(hex, sizeof hex, "fnv1a:%016" PRIx64, k->digest);
        put(p, v, "names", json_string(hex));
    }
    return v;
}

static void keep_pairs(page *p, json_t *to)
{
    const size_t n = mien_eval_table_rows(p->evaluation->table);
    if (n > MAX_KEPT || p->opts->without_scores)
        return;
    kept k = { .t = { NULL, 0, 1024, NULL }, .all_known = true, .digest = FNV_BASIS };
    while (k.t.n_slots < 4 * n)
        k.t.n_slots *= 2;
    k.t.names = mien_alloc_array(2 * n, sizeof *k.t.names);
    k.t.slots = mien_alloc_array_zero(k.t.n_slots, sizeof *k.t.slots);
    mien__text_init(&k.mated, MAX_BYTES, NULL);
    mien__text_init(&k.score, MAX_BYTES, NULL);
    mien__text_init(&k.people, MAX_BYTES, NULL);
    for (size_t i = 0; i < n && k.t.names && k.t.slots; i++) {
        const mien_eval_row r = mien_eval_table_row(p->evaluation->table, i);
        keep_pair(&k, &r, i == 0);
    }
    put(p, to, "scores", k.t.names && k.t.slots ? kept_json(p, &k) : NULL);
    mien__text_free(&k.mated);
    mien__text_free(&k.score);
    mien__text_free(&k.people);
    mien_free(k.t.slots);
    mien_free(k.t.names);
}

/* ---- the whole ---- */

/* Accuracy, precision, recall, F1 in front: of the folds where the protocol has some, else at the threshold.
 */
static void set_front(page *p, json_t *v, const mien_eval_summary *s)
{
    const bool folds = s->folds > 0;
    const mien_eval_decided *d = &s->decided;
    put(p, v, "accuracy", number(folds ? s->fold_accuracy : d->accuracy.value));
    if (folds)
        put(p, v, "accuracy_std", number(s->fold_accuracy_std));
    put(p, v, "accuracy_from",
        mien__figures_text(s->folds > 1                                      ? "folds"
                           : folds || d->chosen_fmr > 0 || d->chosen_fmr < 0 ? "same pairs"
                                                                             : "threshold"));
    put(p, v, "precision", number(folds ? s->fold_precision : d->precision.value));
    put(p, v, "recall", number(folds ? s->fold_recall : d->recall.value));
    put(p, v, "f1", number(folds ? s->fold_f1 : d->f1.value));
    put(p, v, "threshold", number(folds ? s->fold_threshold : d->threshold));
    put(p, v, "folds", mien__figures_count(folds ? s->folds : 1));
}

/* What was measured, and on how much. */
static void set_data(page *p, json_t *v, const mien_eval_summary *s)
{
    const mien_eval_json_opts *o = p->opts;
    put(p, v, "pairs", mien__figures_count(mien_eval_table_rows(p->evaluation->table)));
    put(p, v, "mated", mien__figures_count(s->n_mated));
    put(p, v, "nonmated", mien__figures_count(s->n_nonmated));
    put(p, v, "failed_pairs", mien__figures_count(s->n_failed_mated + s->n_failed_nonmated));
    put(p, v, "failed_mated", mien__figures_count(s->n_failed_mated));
    put(p, v, "failed_nonmated", mien__figures_count(s->n_failed_nonmated));
    if (o->total_nonmated) {
        put(p, v, "total_mated", mien__figures_count(o->total_mated));
        put(p, v, "total_nonmated", mien__figures_count(o->total_nonmated));
    }
    put(p, v, "people", s->n_people ? mien__figures_count(s->n_people) : json_null());
    put(p, v, "intervals",
        mien__figures_text(s->n_people ? "bootstrap over people" : "pairs as independent"));
    put(p, v, "resamples", json_integer(s->resamples));
    put(p, v, "seed", mien__figures_count(s->seed));
    put(p, v, "lower_is_alike", json_boolean(s->lower));
    put(p, v, "bad_rows", mien__figures_count(o->n_bad_rows));
    if (o->n_images) {
        put(p, v, "images", mien__figures_count(o->n_images));
        put(p, v, "failures_to_detect", mien__figures_count(o->n_no_face));
        put(p, v, "bad_files", mien__figures_count(o->n_bad));
        put(p, v, "fta", number((double)(o->n_no_face + o->n_bad) / (double)o->n_images));
    }
}

static json_t *figures(page *p)
{
    const mien_eval_summary *s = &p->evaluation->s;
    const mien_eval_json_opts *o = p->opts;
    json_t *v = json_object();
    put(p, v, "format", mien__figures_text("mien-eval"));
    put(p, v, "version", json_integer(1));
    put(p, v, "kind", mien__figures_text(o->kind));
    put(p, v, "data", mien__figures_text(o->data));
    if (o->matcher)
        put(p, v, "model", mien__figures_text(o->matcher));
    if (o->fingerprint)
        put(p, v, "fingerprint", mien__figures_text(o->fingerprint));
    set_front(p, v, s);
    set_rate(p, v, "auc", s->auc);
    set_rate(p, v, "eer", s->eer);
    put(p, v, "eer_threshold", number(s->eer_threshold));
    set_tar(p, v, s);
    put(p, v, "fnmr_at_fmr", at_fmr(p, s));
    put(p, v, "at_threshold", decided(p, s));
    set_data(p, v, s);
    put(p, v, "groups", groups(p, s));
    put(p, v, "false_matches", worst(p, s->false_matches, s->n_false_matches));
    put(p, v, "false_nonmatches", worst(p, s->false_nonmatches, s->n_false_nonmatches));
    put(p, v, "curves", curves(p, s));
    keep_pairs(p, v);
    put(p, v, "seconds", mien__figures_round(o->seconds, 2));
    return v;
}

mien_status mien_evaluation_json(const mien_evaluation *evaluation, const mien_eval_json_opts *opts,
                                 char **ret_text, mien_error *err)
{
    mien_eval_json_opts o = MIEN_EVAL_JSON_OPTS_INIT;
    if (!evaluation || !ret_text)
        return mien__fail(err, MIEN_E_ARG, "figures: a pointer is NULL");
    MIEN__EVAL_TAKE(o, opts);
    o.kind = o.kind ? o.kind : "scores";
    o.data = o.data ? o.data : "";
    page p = { .evaluation = evaluation, .opts = &o };
    json_t *v = figures(&p);
    if (p.f.failed) {
        json_decref(v);
        v = NULL;
    }
    return mien__figures_dump(v, 2, SIGNIFICANT, MAX_BYTES, ret_text, err);
}

void mien_eval_text_free(char *text)
{
    mien_free(text);
}
