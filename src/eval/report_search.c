/* The page of an open-set identification. */
#include "eval/report.h"
#include "report/numbers.h"

static void search_head(mien__text *t, const mien_eval_search_summary *s, const mien_eval_report_opts *o)
{
    mien__text_fmt(t, "<div class=\"verdict\"><p class=\"lead\">At the threshold of %.4g, ", s->threshold);
    mien__text_one_in(t, s->fpir.value, s->n_nonmated);
    mien__text_fmt(t, " strangers %s for somebody in the gallery%s",
                   s->fpir.value > 0 ? "is taken" : "are taken", s->n_enrolled ? " of " : "");
    if (s->n_enrolled) {
        mien__text_count(t, s->n_enrolled);
        mien__text_fmt(t, " people");
    }
    mien__text_fmt(t, ", and ");
    mien__text_percent(t, s->fnir.value);
    mien__text_fmt(t, " of the searches for somebody in it fail.</p><p class=\"soft\">");
    if (s->chosen_fpir > 0)
        mien__text_fmt(
            t,
            "The threshold was chosen on these probes, at an FPIR of %g %%: figures that depend on it "
            "flatter.",
            100 * s->chosen_fpir);
    else {
        mien__text_fmt(t, "The threshold %s", o->threshold_from ? "comes from " : "was given");
        mien__text_html(t, o->threshold_from ? o->threshold_from : "");
        mien__text_fmt(t, ".");
    }
    mien__text_fmt(t, "</p></div>\n<dl class=\"tiles\">\n");
    mien__eval_tile(t, "FPIR", s->fpir.value);
    mien__eval_tile(t, "FNIR", s->fnir.value);
    mien__eval_tile(t, "Rank 1", s->rank[0].value);
    mien__text_fmt(t, "</dl>\n");
}

static void search_table(mien__text *t, const mien_eval_search_summary *s)
{
    static const int ranks[] = { 1, 5, 10, 20 };
    bool unsupported = false;
    mien__text_fmt(
        t, "<section><h2>Figures</h2>\n<div class=\"columns\"><div class=\"scroll\"><table "
           "class=\"figures\"><caption>FPIR: strangers for whom somebody is named. FNIR: people in the "
           "gallery who are not named.</caption><thead><tr><th scope=\"col\">Measure</th><th scope=\"col\" "
           "class=\"n\">Value and 95 %% interval</th><th scope=\"col\" class=\"n\">Threshold</th></tr>"
           "</thead><tbody>\n<tr><th scope=\"row\">FPIR</th>");
    mien__eval_cell(t, s->fpir);
    mien__text_fmt(t, "<td class=\"n\">%.4g</td></tr>\n<tr><th scope=\"row\">FNIR</th>", s->threshold);
    mien__eval_cell(t, s->fnir);
    mien__text_fmt(t, "<td class=\"n\">%.4g</td></tr>\n", s->threshold);
    for (int i = 0; i < MIEN_EVAL_FPIRS; i++) {
        const mien_eval_at_fpir *const at = &s->at[i];
        if (at->fpir * (double)s->n_nonmated < 1)
            continue;
        mien__text_fmt(t, "<tr><th scope=\"row\">FNIR at FPIR %g %%%s</th>", 100 * at->fpir,
                       at->supported ? "" : " *");
        mien__eval_cell(t, at->fnir);
        mien__text_fmt(t, "<td class=\"n\">%.4g</td></tr>\n", at->threshold);
        unsupported = unsupported || !at->supported;
    }
    mien__text_fmt(
        t, "</tbody></table></div>\n<div class=\"scroll\"><table class=\"figures\"><caption>The right "
           "person within the first so many candidates, whatever the score.</caption><thead><tr><th "
           "scope=\"col\">Rank</th><th scope=\"col\" class=\"n\">Value and 95 %% interval</th></tr></thead>"
           "<tbody>\n");
    for (size_t i = 0; i < MIEN_COUNTOF(ranks); i++) {
        mien__text_fmt(t, "<tr><th scope=\"row\">within %d</th>", ranks[i]);
        mien__eval_cell(t, s->rank[ranks[i] - 1]);
        mien__text_fmt(t, "</tr>\n");
    }
    mien__text_fmt(t, "</tbody></table></div></div>\n%s</section>\n",
                   unsupported ? "<p class=\"soft note\">* Too few non-mated probes for this rate (rule of "
                                 "three).</p>\n"
                               : "");
}

static void search_plots(mien__text *t, const mien_eval_search_summary *s)
{
    double x[MIEN_EVAL_DET], y[3][MIEN_EVAL_DET], rank[MIEN_EVAL_RANKS], cmc[3][MIEN_EVAL_RANKS];
    for (int i = 0; i < MIEN_EVAL_DET; i++) {
        x[i] = s->curve_fpir[i];
        y[0][i] = s->curve_fnir[i].value;
        y[1][i] = s->curve_fnir[i].lo;
        y[2][i] = s->curve_fnir[i].hi;
    }
    for (int i = 0; i < MIEN_EVAL_RANKS; i++) {
        rank[i] = i + 1;
        cmc[0][i] = s->rank[i].value;
        cmc[1][i] = s->rank[i].lo;
        cmc[2][i] = s->rank[i].hi;
    }
    mien__text_fmt(t, "<section><h2>Curves</h2>\n<div class=\"grid\">\n");
    mien__eval_histogram(t, s->hist_mated, s->hist_nonmated, s->score_lo, s->score_hi, s->threshold,
                         "right person, at rank 1", "stranger's best candidate");
    const mien__plot det = { .id = "fnir",
                             .title = "FNIR over FPIR",
                             .x_name = "FPIR, %",
                             .y_name = "FNIR, %",
                             .x_scale = MIEN__LOG,
                             .y_from_zero = true,
                             .x_factor = 100,
                             .y_factor = 100,
                             .x_mark = s->fpir.value > 0 ? &s->fpir.value : NULL,
                             .mark_name = "at the threshold",
                             .n_curves = 1,
                             .curves = { { .name = "FNIR",
                                           .style = "c0",
                                           .x = x,
                                           .y = y[0],
                                           .lo = y[1],
                                           .hi = y[2],
                                           .n = MIEN_EVAL_DET,
                                           .hover = true } } };
    mien__plot_svg(&det, t);
    const mien__plot plot = { .id = "cmc",
                              .title = "Cumulative match characteristic",
                              .x_name = "rank",
                              .y_name = "found within the rank, %",
                              .x_factor = 1,
                              .y_factor = 100,
                              .n_curves = 1,
                              .curves = { { .name = "found",
                                            .style = "c0",
                                            .x = rank,
                                            .y = cmc[0],
                                            .lo = cmc[1],
                                            .hi = cmc[2],
                                            .n = MIEN_EVAL_RANKS,
                                            .dots = true,
                                            .hover = true } } };
    mien__plot_svg(&plot, t);
    mien__text_fmt(t, "</div></section>\n");
}

static void search_method(mien__text *t, const mien_eval_search_summary *s)
{
    mien__text_fmt(t, "<section><h2>How it was measured</h2>\n<p>");
    mien__text_count(t, s->n_mated);
    mien__text_fmt(t, " searches for people in the gallery and ");
    mien__text_count(t, s->n_nonmated);
    mien__text_fmt(t, " for strangers, of ");
    mien__text_count(t, s->n_people);
    mien__text_fmt(
        t,
        " people; no template could be made of %zu and %zu of them, which count as searches without a "
        "candidate. Terms are those of ISO/IEC 19795-1.</p>\n<p>%s</p></section>\n",
        s->n_failed_mated, s->n_failed_nonmated,
        s->by_people ? "Intervals hold 95 % and come from a bootstrap over the people of the probes; the "
                       "gallery is taken as given."
                     : "Each probe shows another person: intervals are those of Clopper and Pearson, 95 %; "
                       "the gallery is taken as given.");
}

mien_status mien__eval_search_html(const mien_eval_search_summary *s, const mien_eval_report_opts *o,
                                   mien__buf *ret, mien_error *err)
{
    const mien_status st = mien__eval_page_check(s, o, ret, err);
    if (st)
        return st;
    mien__text t;
    mien__text_init(&t, MIEN__PAGE_MAX_BYTES, err);
    mien__eval_page_begin(&t, o, "Identification");
    search_head(&t, s, o);
    search_table(&t, s);
    search_plots(&t, s);
    search_method(&t, s);
    mien__eval_page_entries(&t, o);
    mien__page_end(&t);
    return mien__text_take(&t, ret);
}

mien_status mien_eval_search_report(const mien_eval_search_summary *summary,
                                    const mien_eval_report_opts *opts, const char *path, mien_error *err)
{
    mien_eval_report_opts given = MIEN_EVAL_REPORT_OPTS_INIT;
    mien__buf page = { 0 };
    MIEN__EVAL_TAKE(given, opts);
    return mien__eval_page_write(mien__eval_search_html(summary, &given, &page, err), &page, path, err);
}
