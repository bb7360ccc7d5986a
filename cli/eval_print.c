/* Figures of an evaluation as text for people and as CSV. */
#include "eval_page.h"
#include <stdlib.h>
#include <string.h>

/* ---- text ---- */

static void rate(FILE *f, const char *name, mien_eval_rate r)
{
    fprintf(f, "  %-22s %8.4g %%   95 %%: %.4g to %.4g\n", name, 100 * r.value, 100 * r.lo, 100 * r.hi);
}

static void text_head(const eval_page *page, FILE *f)
{
    const mien_eval_summary *s = mien_evaluation_summary(page->evaluation);
    if (page->matcher)
        fprintf(f, "model       %s\n", page->matcher);
    if (page->n_images)
        fprintf(f, "pictures    %zu; no face found in %zu, unusable %zu\n", page->n_images, page->n_no_face,
                page->n_bad);
    fprintf(f, "pairs       %zu mated, %zu non-mated", s->n_mated, s->n_nonmated);
    if (page->total_nonmated)
        fprintf(f, " of %llu and %llu", (unsigned long long)page->total_mated,
                (unsigned long long)page->total_nonmated);
    fprintf(f, "; not compared %zu and %zu\n", s->n_failed_mated, s->n_failed_nonmated);
    if (s->n_people)
        fprintf(f, "people      %zu; intervals by a bootstrap over people, %d resamples, seed %llu\n",
                s->n_people, s->resamples, (unsigned long long)s->seed);
    else
        fprintf(f, "people      unknown: pairs are taken as independent, which makes intervals too narrow\n");
    if (page->n_bad_rows)
        fprintf(f, "skipped     %zu row%s\n", page->n_bad_rows, page->n_bad_rows == 1 ? "" : "s");
}

static void text_threshold(const eval_page *page, const mien_eval_summary *s, FILE *f)
{
    const mien_eval_decided *d = &s->decided;
    fprintf(f, "\ndecisions at a threshold of %.4g ", d->threshold);
    if (d->chosen_fmr > 0)
        fprintf(f, "(chosen on these pairs at FMR %g: flatters)\n", d->chosen_fmr);
    else if (d->chosen_fmr < 0)
        fputs("(chosen on these pairs at the EER: flatters)\n", f);
    else
        fprintf(f, "(%s)\n", page->threshold_from ? page->threshold_from : "given");
    rate(f, "FMR", d->fmr);
    rate(f, "FNMR", d->fnmr);
    rate(f, "accuracy", d->accuracy);
    rate(f, "precision", d->precision);
    rate(f, "recall", d->recall);
    rate(f, "F1", d->f1);
}

static void text_groups(const mien_eval_summary *s, FILE *f)
{
    for (size_t i = 0; i < s->n_groups; i++) {
        const mien_eval_group *g = &s->groups[i];
        if (i == 0 || strcmp(g->column, s->groups[i - 1].column) != 0) {
            fputs("\nby ", f);
            cli_plain_text(f, g->column);
            fputs(", at the same threshold (value, 95 % interval, pairs)\n", f);
        }
        fputs("  ", f);
        cli_plain_text(f, g->value);
        fputs("\n", f);
        if (g->n_nonmated)
            fprintf(f, "    FMR  %8.4g %%   %.4g to %.4g   %zu\n", 100 * g->fmr.value, 100 * g->fmr.lo,
                    100 * g->fmr.hi, g->n_nonmated);
        if (g->n_mated)
            fprintf(f, "    FNMR %8.4g %%   %.4g to %.4g   %zu\n", 100 * g->fnmr.value, 100 * g->fnmr.lo,
                    100 * g->fnmr.hi, g->n_mated);
    }
}

void eval_print_text(const eval_page *page, FILE *f)
{
    const mien_eval_summary *s = mien_evaluation_summary(page->evaluation);
    text_head(page, f);
    if (s->folds > 1)
        fprintf(f, "accuracy    %.2f %% +- %.2f over %zu folds (threshold from the other folds, mean %.4g)\n",
                100 * s->fold_accuracy, 100 * s->fold_accuracy_std, s->folds, s->fold_threshold);
    else if (s->folds)
        fprintf(f, "accuracy    %.2f %% at %.4g, the best threshold on these very pairs: flatters\n",
                100 * s->fold_accuracy, s->fold_threshold);
    fputs("\nFNMR\n", f);
    for (int i = 0; i < MIEN_EVAL_FMRS; i++) {
        char name[32];
        if (s->at[i].fmr * (double)s->n_nonmated < 1)
            continue;
        snprintf(name, sizeof name, "at FMR %s%s", eval_fmr_names[i], s->at[i].supported ? "" : " *");
        rate(f, name, s->at[i].fnmr);
    }
    rate(f, "equal error rate", s->eer);
    fprintf(f, "  %-22s %.6f     95 %%: %.6f to %.6f\n", "area under the ROC", s->auc.value, s->auc.lo,
            s->auc.hi);
    if (s->at[MIEN_EVAL_FMRS - 1].fmr * (double)s->n_nonmated < 3)
        fputs("  * fewer than 3 / FMR non-mated pairs: not to be trusted\n", f);
    text_threshold(page, s, f);
    text_groups(s, f);
    fprintf(f, "\nseconds     %.1f\n", page->seconds);
}

/* ---- CSV ---- */

static void row(FILE *f, const char *name, double v)
{
    fprintf(f, "%s,%.12g,,\n", name, v);
}

static void interval_row(FILE *f, const char *name, mien_eval_rate r)
{
    fprintf(f, "%s,%.12g,%.6g,%.6g\n", name, r.value, r.lo, r.hi);
}

static void group_rows(const mien_eval_summary *s, FILE *f)
{
    for (size_t i = 0; i < s->n_groups; i++)
        for (int k = 0; k < 2; k++) {
            const mien_eval_group *g = &s->groups[i];
            const mien_eval_rate r = k ? g->fnmr : g->fmr;
            if (!(k ? g->n_mated : g->n_nonmated))
                continue;
            char *name = cli_format("%s[%s=%s]", k ? "fnmr" : "fmr", g->column, g->value);
            cli_csv_text(f, name);
            fprintf(f, ",%.12g,%.6g,%.6g\n", r.value, r.lo, r.hi);
            free(name);
        }
}

void eval_print_csv(const eval_page *page, FILE *f)
{
    const mien_eval_summary *s = mien_evaluation_summary(page->evaluation);
    const mien_eval_decided *d = &s->decided;
    fputs("measure,value,lo,hi\n", f);
    row(f, "mated", (double)s->n_mated);
    row(f, "nonmated", (double)s->n_nonmated);
    row(f, "failed_mated", (double)s->n_failed_mated);
    row(f, "failed_nonmated", (double)s->n_failed_nonmated);
    interval_row(f, "auc", s->auc);
    interval_row(f, "eer", s->eer);
    for (int i = 0; i < MIEN_EVAL_FMRS; i++) {
        char name[32];
        if (s->at[i].fmr * (double)s->n_nonmated < 1)
            continue;
        snprintf(name, sizeof name, "fnmr_at_fmr_%s", eval_fmr_names[i]);
        interval_row(f, name, s->at[i].fnmr);
    }
    if (s->folds) {
        row(f, "fold_accuracy", s->fold_accuracy);
        row(f, "fold_accuracy_std", s->fold_accuracy_std);
    }
    row(f, "threshold", d->threshold);
    interval_row(f, "fmr", d->fmr);
    interval_row(f, "fnmr", d->fnmr);
    interval_row(f, "accuracy", d->accuracy);
    interval_row(f, "precision", d->precision);
    interval_row(f, "recall", d->recall);
    interval_row(f, "f1", d->f1);
    group_rows(s, f);
}
