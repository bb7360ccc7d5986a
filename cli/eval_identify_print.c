/* What came of an evaluation of searches, for people, as JSON, as CSV and as a page. */
#include "eval_identify.h"
#include <math.h>
#include <stdlib.h>

/* Whether what was measured and what the calibration expects agree within their intervals. */
static bool agrees(const eval_identify_run *r, const mien_eval_search_summary *e)
{
    return e->fpir.lo <= r->expected.hi && e->fpir.hi >= r->expected.lo;
}

int eval_identify_print_json(const eval_identify_run *r, const mien_eval_search_summary *e)
{
    mien_eval_search_json_opts o = MIEN_EVAL_SEARCH_JSON_OPTS_INIT;
    mien_error err = MIEN_ERROR_INIT;
    char *text = NULL;
    const mien_eval_rate expected = { r->expected.value, r->expected.lo, r->expected.hi };
    o.matcher = mien_model_info_of(r->models.embed)->name;
    o.fpir_asked = isnan(r->opts->threshold) ? r->opts->fpir : NAN;
    o.promised = r->promised;
    o.expected = r->curve ? &expected : NULL;
    o.n_people = r->gallery.n_people;
    o.n_pictures = r->gallery.n_pictures;
    o.n_left_out = r->n_left_out;
    if (mien_eval_search_json(e, &o, &text, &err) != MIEN_OK)
        return cli_fail(&err);
    fputs(text, stdout);
    mien_eval_text_free(text);
    return CLI_YES;
}

static void print_rate(const char *name, const mien_eval_rate *rate, const char *what)
{
    printf("%-11s %.2f %% (95 %%: %.2f to %.2f)  %s\n", name, 100 * rate->value, 100 * rate->lo,
           100 * rate->hi, what);
}

void eval_identify_print_text(const eval_identify_run *r, const mien_eval_search_summary *e)
{
    printf("gallery     %zu people, %zu pictures\n", r->gallery.n_people, r->gallery.n_pictures);
    printf("probes      %zu of them (no template: %zu), %zu strangers (no template: %zu)\n", e->n_mated,
           e->n_failed_mated, e->n_nonmated, e->n_failed_nonmated);
    printf("threshold   %.4f", r->threshold);
    if (r->curve)
        printf(", where the calibration expects an FPIR of %.2f %% (95 %%: %.2f to %.2f)",
               100 * r->expected.value, 100 * r->expected.lo, 100 * r->expected.hi);
    puts("");
    print_rate("FPIR", &e->fpir, "strangers taken for somebody");
    print_rate("FNIR", &e->fnir, "enrolled people not recognised");
    print_rate("rank 1", &e->rank[0], "enrolled people most like themselves, whatever the threshold");
    if (r->curve)
        printf("calibration %s\n", agrees(r, e) ? "agrees with what was measured, within the intervals"
                                   : e->fpir.value < r->expected.value
                                       ? "expects more false positives than were measured"
                                       : "expects fewer false positives than were measured: "
                                         "fit one to such people (mien calibrate)");
    puts("\nwith thresholds chosen on these pictures, for comparison:");
    for (int i = 0; i < MIEN_EVAL_FPIRS; i++)
        if (e->at[i].supported)
            printf("  FNIR %.2f %% (95 %%: %.2f to %.2f) at FPIR %g, threshold %.4f\n",
                   100 * e->at[i].fnir.value, 100 * e->at[i].fnir.lo, 100 * e->at[i].fnir.hi, e->at[i].fpir,
                   e->at[i].threshold);
}

void eval_identify_print_csv(const eval_identify_run *r, const mien_eval_search_summary *e)
{
    puts("measure,value,lo,hi");
    printf("fpir,%.6f,%.6f,%.6f\n", e->fpir.value, e->fpir.lo, e->fpir.hi);
    printf("fnir,%.6f,%.6f,%.6f\n", e->fnir.value, e->fnir.lo, e->fnir.hi);
    printf("rank1,%.6f,%.6f,%.6f\n", e->rank[0].value, e->rank[0].lo, e->rank[0].hi);
    printf("threshold,%.6f,,\n", r->threshold);
    if (r->curve)
        printf("fpir_expected,%.6f,%.6f,%.6f\n", r->expected.value, r->expected.lo, r->expected.hi);
    printf("people,%zu,,\nmated,%zu,,\nnonmated,%zu,,\n", r->gallery.n_people, e->n_mated, e->n_nonmated);
}

int eval_identify_write_page(const eval_identify_run *r, const mien_eval_search_summary *e)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_eval_report_opts ro = MIEN_EVAL_REPORT_OPTS_INIT;
    char *people = cli_format("%zu, %zu pictures", r->gallery.n_people, r->gallery.n_pictures);
    char *probes = cli_format("%zu of them, %zu strangers", e->n_mated, e->n_nonmated);
    char *expected =
        cli_format("%.3g (95 %%: %.2g to %.2g)", r->expected.value, r->expected.lo, r->expected.hi);
    const mien_eval_entry entries[] = {
        { "gallery", people },
        { "probes", probes },
        { "FPIR by the calibration", r->curve ? expected : "not calibrated" },
        { "calibration", r->curve ? mien_curve_info_of(r->curve)->protocol : "none" },
    };
    ro.title = "Identification";
    ro.matcher = mien_model_info_of(r->models.embed)->name;
    ro.threshold_from = isnan(r->opts->threshold) ? "the calibration, for the FPIR asked for" : "given";
    ro.entries = entries;
    ro.n_entries = CLI_COUNTOF(entries);
    int rc = CLI_YES;
    if (mien_eval_search_report(e, &ro, r->opts->html, &err) != MIEN_OK) {
        cli_fail_path(r->opts->html, &err);
        rc = CLI_INTERNAL;
    }
    free(people);
    free(probes);
    free(expected);
    return rc;
}
