/* What came of an evaluation of searches, for people, as JSON, as CSV and as a page. */
#include "eval_identify.h"
#include "json.h"
#include <math.h>
#include <stdlib.h>

static void set_rate(json_t *page, const char *name, const mien_eval_rate *rate)
{
    char key[32];
    cli_json_set(page, name, cli_json_round(rate->value, 6));
    snprintf(key, sizeof key, "%s_lo", name);
    cli_json_set(page, key, cli_json_round(rate->lo, 6));
    snprintf(key, sizeof key, "%s_hi", name);
    cli_json_set(page, key, cli_json_round(rate->hi, 6));
}

static json_t *curve_json(const mien_eval_search_summary *e)
{
    json_t *list = json_array();
    for (int i = 0; i < MIEN_EVAL_FPIRS; i++) {
        const mien_eval_at_fpir *a = &e->at[i];
        json_t *item = json_object();
        cli_json_set(item, "fpir", json_real(a->fpir));
        cli_json_set(item, "threshold", cli_json_round(a->threshold, 6));
        set_rate(item, "fnir", &a->fnir);
        cli_json_set(item, "supported", json_boolean(a->supported));
        cli_json_append(list, item);
    }
    return list;
}

/* Whether what was measured and what the calibration expects agree within their intervals. */
static bool agrees(const eval_identify_run *r, const mien_eval_search_summary *e)
{
    return e->fpir.lo <= r->expected.hi && e->fpir.hi >= r->expected.lo;
}

void eval_identify_print_json(const eval_identify_run *r, const mien_eval_search_summary *e)
{
    json_t *page = json_object(), *cmc = json_array();
    cli_json_set(page, "model", cli_json_text(mien_model_info_of(r->models.embed)->name));
    set_rate(page, "fpir", &e->fpir);
    set_rate(page, "fnir", &e->fnir);
    set_rate(page, "rank1", &e->rank[0]);
    cli_json_set(page, "threshold", cli_json_round(r->threshold, 6));
    cli_json_set(page, "fpir_asked", isnan(r->opts->threshold) ? json_real(r->opts->fpir) : json_null());
    cli_json_set(page, "fpir_promised", json_boolean(r->promised && isnan(r->opts->threshold)));
    cli_json_set(page, "fpir_expected", r->curve ? cli_json_round(r->expected.value, 6) : json_null());
    cli_json_set(page, "fpir_expected_lo", r->curve ? cli_json_round(r->expected.lo, 6) : json_null());
    cli_json_set(page, "fpir_expected_hi", r->curve ? cli_json_round(r->expected.hi, 6) : json_null());
    cli_json_set(page, "fpir_agrees", r->curve ? json_boolean(agrees(r, e)) : json_null());
    cli_json_set(page, "people", json_integer((json_int_t)r->gallery.n_people));
    cli_json_set(page, "pictures", json_integer((json_int_t)r->gallery.n_pictures));
    cli_json_set(page, "mated", json_integer((json_int_t)e->n_mated));
    cli_json_set(page, "nonmated", json_integer((json_int_t)e->n_nonmated));
    cli_json_set(page, "failed_mated", json_integer((json_int_t)e->n_failed_mated));
    cli_json_set(page, "failed_nonmated", json_integer((json_int_t)e->n_failed_nonmated));
    cli_json_set(page, "left_out", json_integer((json_int_t)r->n_left_out));
    cli_json_set(page, "intervals", json_string(e->by_people ? "bootstrap over people" : "Clopper-Pearson"));
    for (int i = 0; i < MIEN_EVAL_RANKS; i++)
        cli_json_append(cmc, cli_json_round(e->rank[i].value, 6));
    cli_json_set(page, "cmc", cmc);
    cli_json_set(page, "fnir_at_fpir", curve_json(e));
    cli_json_page(stdout, page);
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
