/* The page of a verification: the sentence that says it all, key figures, the table, and the sections of the
 * other files. What is said of how it was measured follows from the summary, so that no page can claim what
 * was not done. */
#include "eval/report.h"
#include "report/numbers.h"
#include <math.h>
#include <string.h>

void mien__eval_cell(mien__text *t, mien_eval_rate r)
{
    mien__text_fmt(t, "<td class=\"n\">");
    mien__text_percent(t, r.value);
    mien__text_fmt(t, " <span class=\"ci\">");
    if (r.hi > r.lo)
        mien__text_fmt(t, "%.3g to %.3g", 100 * r.lo, 100 * r.hi);
    mien__text_fmt(t, "</span></td>");
}

void mien__eval_row_of(mien__text *t, const char *name, mien_eval_rate r)
{
    mien__text_fmt(t, "<tr><th scope=\"row\">%s</th>", name);
    mien__eval_cell(t, r);
    mien__text_fmt(t, "</tr>\n");
}

void mien__eval_tile(mien__text *t, const char *name, double rate)
{
    mien__text_fmt(t, "<div><dt>%s</dt><dd><span class=\"big\">", name);
    mien__text_percent(t, rate);
    mien__text_fmt(t, "</span></dd></div>\n");
}

/* ---- head ---- */

static void threshold_source(mien__text *t, const mien_eval_summary *s, const char *from)
{
    const mien_eval_decided *const d = &s->decided;
    if (d->chosen_fmr > 0)
        mien__text_fmt(t,
                       "The threshold was chosen on these pairs, at a false match rate of %g %%: figures "
                       "that depend on it flatter.",
                       100 * d->chosen_fmr);
    else if (d->chosen_fmr < 0)
        mien__text_fmt(t,
                       "The threshold was chosen on these pairs, where both error rates are equal: figures "
                       "that depend on it flatter.");
    else if (from)
        mien__text_fmt(t, "The threshold comes from ");
    else
        mien__text_fmt(t, "The threshold was given.");
    if (d->chosen_fmr >= 0 && d->chosen_fmr <= 0 && from) {
        mien__text_html(t, from);
        mien__text_fmt(t, ".");
    }
}

static void headline(mien__text *t, const mien_eval_summary *s, const mien_eval_report_opts *o)
{
    const mien_eval_decided *const d = &s->decided;
    mien__text_fmt(t, "<div class=\"verdict\"><p class=\"lead\">At the threshold of %.4g, ", d->threshold);
    mien__text_one_in(t, d->fmr.value, s->n_nonmated);
    mien__text_fmt(t, " pairs of strangers %s for one person, and ",
                   d->fmr.value > 0 ? "is taken" : "are taken");
    mien__text_percent(t, d->fnmr.value);
    mien__text_fmt(t, " of the pairs of one person are missed.</p><p class=\"soft\">");
    threshold_source(t, s, o->threshold_from);
    if (s->folds > 1) {
        mien__text_fmt(t, " Over %zu folds, each judged by the threshold of the others, ", s->folds);
        mien__text_percent(t, s->fold_accuracy);
        mien__text_fmt(t, " of the decisions are right.");
    }
    mien__text_fmt(t, "</p></div>\n");
}

static const mien_eval_at_fmr *strictest(const mien_eval_summary *s, double limit)
{
    const mien_eval_at_fmr *best = &s->at[0];
    for (int i = 1; i < MIEN_EVAL_FMRS; i++)
        if (s->at[i].supported && s->at[i].fmr >= limit * (1 - 1e-9))
            best = &s->at[i];
    return best;
}

static void tiles(mien__text *t, const mien_eval_summary *s)
{
    const mien_eval_at_fmr *const at = strictest(s, 1e-3);
    static const char *const names[] = { "FNMR at FMR 10 %", "FNMR at FMR 1 %", "FNMR at FMR 0.1 %" };
    mien__text_fmt(t, "<dl class=\"tiles\">\n");
    mien__eval_tile(t, names[at - s->at], at->fnmr.value);
    mien__eval_tile(t, "Equal error rate", s->eer.value);
    mien__text_fmt(t, "<div><dt>Area under the ROC</dt><dd><span class=\"big\">%.4f</span></dd></div>\n",
                   s->auc.value);
    if (s->folds > 1)
        mien__eval_tile(t, "Accuracy over folds", s->fold_accuracy);
    else
        mien__eval_tile(t, "Accuracy at the threshold", s->decided.accuracy.value);
    mien__text_fmt(t, "</dl>\n");
}

/* ---- the table ---- */

static void at_row(mien__text *t, const mien_eval_at_fmr *at)
{
    mien__text_fmt(t, "<tr><th scope=\"row\">FNMR at FMR %g %%%s</th>", 100 * at->fmr,
                   at->supported ? "" : " *");
    mien__eval_cell(t, at->fnmr);
    mien__text_fmt(t, "<td class=\"n\">%.4g</td></tr>\n", at->threshold);
}

static void table(mien__text *t, const mien_eval_summary *s)
{
    const mien_eval_decided *const d = &s->decided;
    bool unsupported = false;
    mien__text_fmt(
        t,
        "<section><h2>Figures</h2>\n<div class=\"columns\"><div class=\"scroll\">"
        "<table class=\"figures\"><caption>%s</caption><thead><tr><th scope=\"col\">Error rates</th>"
        "<th scope=\"col\" class=\"n\">Value and 95 %% interval</th>"
        "<th scope=\"col\" class=\"n\">Threshold</th></tr></thead><tbody>\n",
        "FMR: strangers taken for one person. FNMR: one person not recognised.");
    for (int i = 0; i < MIEN_EVAL_FMRS; i++) {
        if (s->at[i].fmr * (double)s->n_nonmated < 1)
            continue; /* less than one pair: there is nothing to say */
        at_row(t, &s->at[i]);
        unsupported = unsupported || !s->at[i].supported;
    }
    mien__text_fmt(t, "<tr><th scope=\"row\">Equal error rate</th>");
    mien__eval_cell(t, s->eer);
    mien__text_fmt(t, "<td class=\"n\">%.4g</td></tr>\n<tr><th scope=\"row\">Area under the ROC</th>",
                   s->eer_threshold);
    mien__text_fmt(t, "<td class=\"n\">%.4f <span class=\"ci\">%.4f to %.4f</span></td>", s->auc.value,
                   s->auc.lo, s->auc.hi);
    mien__text_fmt(
        t,
        "<td></td></tr>\n</tbody></table></div>\n<div class=\"scroll\"><table class=\"figures\">"
        "<caption>Pairs that could not be compared are decided &#8220;different&#8221; in accuracy, "
        "precision, recall and F1.</caption><thead><tr><th scope=\"col\">Decisions at %.4g</th>"
        "<th scope=\"col\" class=\"n\">Value and 95 %% interval</th></tr></thead><tbody>\n",
        d->threshold);
    mien__eval_row_of(t, "False match rate", d->fmr);
    mien__eval_row_of(t, "False non-match rate", d->fnmr);
    mien__eval_row_of(t, "Accuracy", d->accuracy);
    mien__eval_row_of(t, "Precision", d->precision);
    mien__eval_row_of(t, "Recall", d->recall);
    mien__eval_row_of(t, "F1", d->f1);
    mien__text_fmt(t, "</tbody></table></div></div>\n");
    if (unsupported)
        mien__text_fmt(
            t, "<p class=\"soft note\">* Too few non-mated pairs for this rate (rule of three: at least "
               "3 divided by the rate).</p>\n");
    mien__text_fmt(t, "</section>\n");
}

/* ---- errors ---- */

static void errors(mien__text *t, const mien_evaluation *e, const mien_eval_report_opts *o)
{
    mien__report_example v[2 * MIEN_EVAL_MAX_WORST];
    const mien_eval_summary *const s = &e->s;
    size_t n = 0;
    for (int mated = 0; mated < 2; mated++) {
        const size_t *const rows = mated ? s->false_nonmatches : s->false_matches;
        const size_t count = mated ? s->n_false_nonmatches : s->n_false_matches;
        for (size_t i = 0; i < count; i++, n++) {
            const mien_eval_row r = mien_eval_table_row(e->table, rows[i]);
            v[n] = (mien__report_example){ .mated = mated != 0,
                                           .score = r.score,
                                           .threshold = s->decided.threshold };
            v[n].name_a = r.item_a ? r.item_a : r.person_a;
            v[n].name_b = r.item_b ? r.item_b : r.person_b;
            if (o->pictures) {
                v[n].jpeg_a = o->pictures[2 * n].jpeg;
                v[n].bytes_a = o->pictures[2 * n].bytes;
                v[n].jpeg_b = o->pictures[2 * n + 1].jpeg;
                v[n].bytes_b = o->pictures[2 * n + 1].bytes;
            }
        }
    }
    if (!t->status)
        t->status = mien__page_check_examples(v, n, t->err);
    mien__page_examples("Worst errors",
                        o->pictures
                            ? "The decisions that are furthest off: labels may be wrong, too. This page "
                              "holds pictures of people: treat it as such."
                            : "The decisions that are furthest off: labels may be wrong, too.",
                        v, n, t);
}

/* ---- how it was measured ---- */

static void method(mien__text *t, const mien_eval_summary *s)
{
    mien__text_fmt(t, "<section><h2>How it was measured</h2>\n<p>");
    mien__text_count(t, s->n_mated);
    mien__text_fmt(t, " mated and ");
    mien__text_count(t, s->n_nonmated);
    mien__text_fmt(t, " non-mated pairs");
    if (s->n_people) {
        mien__text_fmt(t, " of ");
        mien__text_count(t, s->n_people);
        mien__text_fmt(t, " people");
    }
    mien__text_fmt(t, " were compared; ");
    mien__text_count(t, s->n_failed_mated + s->n_failed_nonmated);
    mien__text_fmt(
        t,
        " more could not be (failure to acquire: %zu mated, %zu non-mated). A pair is accepted when its "
        "score is at or %s the threshold. Terms are those of ISO/IEC 19795-1.</p>\n<p>",
        s->n_failed_mated, s->n_failed_nonmated, s->lower ? "below" : "above");
    if (s->n_people && s->resamples)
        mien__text_fmt(
            t,
            "Intervals hold 95 %% and come from a bootstrap over people, not pairs: %d resamples, seed "
            "%llu. A pair of strangers counts as the product of its two people (Owen 2007), which is "
            "on the wide side.</p>\n",
            s->resamples, (unsigned long long)s->seed);
    else
        mien__text_fmt(
            t,
            "Whom the pairs show is not known, so they are taken as independent (Clopper and Pearson; "
            "for AUC, EER and F1 %d resamples of pairs): where people occur in several pairs, the true "
            "intervals are wider.</p>\n",
            s->resamples);
    mien__text_fmt(t, "</section>\n");
}

mien_status mien__eval_page_check(const void *subject, const mien_eval_report_opts *o, const void *ret,
                                  mien_error *err)
{
    if (!subject || !ret || (o->n_entries && !o->entries))
        return mien__fail(err, MIEN_E_ARG, "report: a pointer is NULL");
    return MIEN_OK;
}

void mien__eval_page_entries(mien__text *t, const mien_eval_report_opts *o)
{
    if (o->n_entries == 0)
        return;
    mien__text_fmt(t, "<section><h2>Data and commands</h2>\n<table class=\"pair\"><tbody>\n");
    for (size_t i = 0; i < o->n_entries; i++) {
        const mien_eval_entry *const e = &o->entries[i];
        mien__text_fmt(t, "<tr><th scope=\"row\">");
        mien__text_html(t, e->key ? e->key : "");
        mien__text_fmt(t, "</th><td%s>",
                       e->key && strcmp(e->key, "Command") == 0 ? " class=\"command\"" : "");
        mien__text_html(t, e->value ? e->value : "");
        mien__text_fmt(t, "</td></tr>\n");
    }
    mien__text_fmt(t, "</tbody></table></section>\n");
}

void mien__eval_page_begin(mien__text *t, const mien_eval_report_opts *o, const char *what)
{
    mien__page_begin(o->title ? o->title : what, "Evaluation report", t);
    if (!o->matcher)
        return;
    mien__text_fmt(t, "<p class=\"soft\">Matcher: ");
    mien__text_html(t, o->matcher);
    mien__text_fmt(t, "</p>\n");
}

mien_status mien__eval_html(const mien_evaluation *e, const mien_eval_report_opts *o, mien__buf *ret,
                            mien_error *err)
{
    const mien_status st = mien__eval_page_check(e, o, ret, err);
    if (st)
        return st;
    mien__text t;
    mien__text_init(&t, MIEN__PAGE_MAX_BYTES, err);
    mien__eval_page_begin(&t, o, "Evaluation");
    headline(&t, &e->s, o);
    tiles(&t, &e->s);
    table(&t, &e->s);
    mien__eval_plots(&t, e);
    mien__eval_groups(&t, &e->s);
    errors(&t, e, o);
    method(&t, &e->s);
    mien__eval_page_entries(&t, o);
    mien__page_end(&t);
    return mien__text_take(&t, ret);
}

mien_status mien__eval_page_write(mien_status st, mien__buf *page, const char *path, mien_error *err)
{
    if (!st)
        st = path ? mien__file_write_atomic(path, page->data, page->size, err)
                  : mien__fail(err, MIEN_E_ARG, "report: the path is NULL");
    mien__buf_free(page);
    return st;
}

mien_status mien_eval_report(const mien_evaluation *evaluation, const mien_eval_report_opts *opts,
                             const char *path, mien_error *err)
{
    mien_eval_report_opts given = MIEN_EVAL_REPORT_OPTS_INIT;
    mien__buf page = { 0 };
    MIEN__EVAL_TAKE(given, opts);
    return mien__eval_page_write(mien__eval_html(evaluation, &given, &page, err), &page, path, err);
}
