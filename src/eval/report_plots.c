/* Plots and the table of groups of a verification's page. */
#include "eval/report.h"
#include "report/numbers.h"
#include "report/plot.h"
#include <math.h>
#include <string.h>

enum { ROC_POINTS = 120 };

void mien__eval_histogram(mien__text *t, const uint64_t *mated, const uint64_t *nonmated, double lo,
                          double hi, double mark, const char *mated_name, const char *nonmated_name)
{
    double x[MIEN_EVAL_BINS], y[2][MIEN_EVAL_BINS], sum[2] = { 0, 0 };
    for (int i = 0; i < MIEN_EVAL_BINS; i++) {
        sum[0] += (double)mated[i];
        sum[1] += (double)nonmated[i];
    }
    for (int i = 0; i < MIEN_EVAL_BINS; i++) {
        x[i] = lo + (i + 0.5) * (hi - lo) / MIEN_EVAL_BINS;
        y[0][i] = sum[0] > 0 ? (double)mated[i] / sum[0] : 0;
        y[1][i] = sum[1] > 0 ? (double)nonmated[i] / sum[1] : 0;
    }
    const mien__plot p = {
        .id = "scores",
        .title = "Scores",
        .x_name = "score",
        .y_name = "share of each kind, %",
        .x_factor = 1,
        .y_factor = 100,
        .y_from_zero = true,
        .x_mark = &mark,
        .mark_name = "threshold",
        .n_curves = 2,
        .curves = { { .name = nonmated_name,
                      .style = "nonmated",
                      .x = x,
                      .y = y[1],
                      .n = MIEN_EVAL_BINS,
                      .fill = true },
                    { .name = mated_name,
                      .style = "mated",
                      .x = x,
                      .y = y[0],
                      .n = MIEN_EVAL_BINS,
                      .fill = true } },
    };
    mien__plot_svg(&p, t);
}

static void det(mien__text *t, const mien_eval_summary *s)
{
    double y[3][MIEN_EVAL_DET];
    for (int i = 0; i < MIEN_EVAL_DET; i++) {
        y[0][i] = s->det_fnmr[i].value;
        y[1][i] =
            fmax(s->det_fnmr[i].lo, s->det_fnmr[i].value / 50); /* a bound of 0 has no place on a log axis */
        y[2][i] = s->det_fnmr[i].hi;
    }
    const mien__plot p = {
        .id = "det",
        .title = "Detection error trade-off",
        .x_name = "FMR, %",
        .y_name = "FNMR, %",
        .x_scale = MIEN__LOG,
        .y_scale = MIEN__LOG,
        .x_factor = 100,
        .y_factor = 100,
        .x_mark = s->decided.fmr.value > 0 ? &s->decided.fmr.value : NULL,
        .mark_name = "at the threshold",
        .n_curves = 1,
        .curves = { { .name = "FNMR",
                      .style = "c0",
                      .x = s->det_fmr,
                      .y = y[0],
                      .lo = y[1],
                      .hi = y[2],
                      .n = MIEN_EVAL_DET,
                      .hover = true } },
    };
    mien__plot_svg(&p, t);
}

/* Of the whole ROC the points that a plot with a logarithmic axis can show apart. */
static size_t thin(const mien_eval_roc_point *v, size_t n, double *x, double *y)
{
    size_t m = 0;
    double last_x = 0, last_y = -1;
    for (size_t i = 0; i < n && m < ROC_POINTS; i++) {
        const bool apart = v[i].fmr > last_x * 1.12 || v[i].tmr > last_y + 0.02 || i + 1 == n;
        if (!(v[i].fmr > 0) || !apart)
            continue;
        x[m] = last_x = v[i].fmr;
        y[m++] = last_y = v[i].tmr;
    }
    return m;
}

static void roc(mien__text *t, const mien_evaluation *e)
{
    double x[ROC_POINTS], y[ROC_POINTS];
    mien_eval_roc_point *v = NULL;
    size_t n = 0;
    const mien_status st = mien_eval_roc(e->table, &v, &n, t->err);
    if (st) {
        t->status = t->status ? t->status : st;
        return;
    }
    const mien__plot p = {
        .id = "roc",
        .title = "Receiver operating characteristic",
        .x_name = "FMR, %",
        .y_name = "1 - FNMR, %",
        .x_scale = MIEN__LOG,
        .x_factor = 100,
        .y_factor = 100,
        .x_mark = e->s.decided.fmr.value > 0 ? &e->s.decided.fmr.value : NULL,
        .mark_name = "at the threshold",
        .n_curves = 1,
        .curves = { { .name = "TMR", .style = "c0", .x = x, .y = y, .n = thin(v, n, x, y), .hover = true } },
    };
    mien__plot_svg(&p, t);
    mien_eval_roc_free(v);
}

/* Both error rates over the threshold, as the histograms' bins have them. */
static void rates(mien__text *t, const mien_eval_summary *s)
{
    double x[MIEN_EVAL_BINS], y[2][MIEN_EVAL_BINS];
    uint64_t below[2] = { 0, 0 };
    for (int i = 0; i < MIEN_EVAL_BINS; i++) { /* at the lower edge of each bin */
        const double mated = (double)below[0] / (double)s->n_mated;
        const double nonmated = (double)below[1] / (double)s->n_nonmated;
        x[i] = s->score_lo + i * (s->score_hi - s->score_lo) / MIEN_EVAL_BINS;
        y[0][i] = s->lower ? nonmated : 1 - nonmated;
        y[1][i] = s->lower ? 1 - mated : mated;
        below[0] += s->hist_mated[i];
        below[1] += s->hist_nonmated[i];
    }
    const mien__plot p = {
        .id = "rates",
        .title = "Error rates over the threshold",
        .x_name = "threshold",
        .y_name = "%",
        .x_factor = 1,
        .y_factor = 100,
        .y_scale = MIEN__LOG,
        .x_mark = &s->decided.threshold,
        .mark_name = "threshold",
        .n_curves = 2,
        .curves = { { .name = "FMR",
                      .style = "nonmated",
                      .x = x,
                      .y = y[0],
                      .n = MIEN_EVAL_BINS,
                      .hover = true },
                    { .name = "FNMR",
                      .style = "mated",
                      .x = x,
                      .y = y[1],
                      .n = MIEN_EVAL_BINS,
                      .hover = true } },
    };
    mien__plot_svg(&p, t);
}

void mien__eval_plots(mien__text *t, const mien_evaluation *e)
{
    const mien_eval_summary *const s = &e->s;
    mien__text_fmt(t, "<section><h2>Curves</h2>\n<div class=\"grid\">\n");
    mien__eval_histogram(t, s->hist_mated, s->hist_nonmated, s->score_lo, s->score_hi, s->decided.threshold,
                         "one person", "two people");
    rates(t, s);
    det(t, s);
    roc(t, e);
    mien__text_fmt(t, "</div>\n<p class=\"soft note\">Bands are 95 %% intervals.</p></section>\n");
}

/* ---- groups ---- */

/* Value and interval over a common scale. */
static void rate_cell(mien__text *t, mien_eval_rate r, size_t n, double scale, const char *style)
{
    enum { WIDTH = 120 };
    if (!n) {
        mien__text_fmt(t, "<td class=\"rate soft\">no pair</td>");
        return;
    }
    const double hi = fmin(r.hi / scale, 1), lo = fmin(r.lo / scale, 1), at = fmin(r.value / scale, 1);
    mien__text_fmt(t, "<td class=\"rate\">");
    mien__text_percent(t, r.value);
    mien__text_fmt(
        t,
        " <span class=\"ci\">%.3g to %.3g</span><svg viewBox=\"0 0 %d 14\" preserveAspectRatio=\"none\" "
        "aria-hidden=\"true\" class=\"%s\"><line class=\"base\" x1=\"4\" x2=\"%d\" y1=\"7\" y2=\"7\"/>"
        "<line class=\"whisker\" x1=\"%.1f\" x2=\"%.1f\" y1=\"7\" y2=\"7\"/><rect class=\"dot\" "
        "x=\"%.1f\" y=\"2\" width=\"2\" height=\"10\"/></svg></td>",
        100 * r.lo, 100 * r.hi, (int)WIDTH, style, WIDTH - 4, 4 + lo * (WIDTH - 8), 4 + hi * (WIDTH - 8),
        3 + at * (WIDTH - 8));
}

void mien__eval_groups(mien__text *t, const mien_eval_summary *s)
{
    if (!s->n_groups)
        return;
    mien__text_fmt(
        t,
        "<section><h2>By group</h2>\n<p class=\"soft\">At the one threshold of %.4g. A group whose false "
        "match rate lies far above the others' is exposed to more mistaken identities.</p>\n",
        s->decided.threshold);
    for (size_t i = 0; i < s->n_groups;) {
        size_t end = i;
        double fmr = 1e-9, fnmr = 1e-9;
        for (; end < s->n_groups && strcmp(s->groups[end].column, s->groups[i].column) == 0; end++) {
            fmr = s->groups[end].n_nonmated ? fmax(fmr, s->groups[end].fmr.hi) : fmr;
            fnmr = s->groups[end].n_mated ? fmax(fnmr, s->groups[end].fnmr.hi) : fnmr;
        }
        mien__text_fmt(t,
                       "<div class=\"scroll\"><table class=\"figures groups\"><thead><tr><th scope=\"col\">");
        mien__text_html(t, s->groups[i].column);
        mien__text_fmt(
            t, "</th><th scope=\"col\" class=\"n\">Mated</th><th scope=\"col\" class=\"n\">Non-mated</th>"
               "<th scope=\"col\" class=\"rate\">FMR, 95 %% interval</th><th scope=\"col\" "
               "class=\"rate\">FNMR, 95 %% interval</th></tr>"
               "</thead><tbody>\n");
        for (; i < end; i++) {
            const mien_eval_group *const g = &s->groups[i];
            mien__text_fmt(t, "<tr><th scope=\"row\">");
            mien__text_html(t, g->value);
            mien__text_fmt(t, "</th><td class=\"n\">");
            mien__text_count(t, g->n_mated);
            mien__text_fmt(t, "</td><td class=\"n\">");
            mien__text_count(t, g->n_nonmated);
            mien__text_fmt(t, "</td>");
            rate_cell(t, g->fmr, g->n_nonmated, fmr, "nonmated");
            rate_cell(t, g->fnmr, g->n_mated, fnmr, "mated");
            mien__text_fmt(t, "</tr>\n");
        }
        mien__text_fmt(t, "</tbody></table></div>\n");
    }
    mien__text_fmt(t, "</section>\n");
}
