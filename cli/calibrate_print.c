/* A calibration for people and as JSON. */
#include "calibrate.h"
#include "json.h"
#include <math.h>
#include <string.h>

static void print_size(const calibrate_job *job)
{
    static const uint64_t sizes[] = { 10, 100, 1000, 10000 };
    puts("\nin a search for one of N people, at which 1 stranger in 100 is taken for somebody:");
    for (size_t i = 0; i < CLI_COUNTOF(sizes); i++) {
        mien_estimate one, five;
        mien_search_size size = { sizes[i], 1 };
        mien_error err = MIEN_ERROR_INIT;
        if (mien_curve_search_threshold(job->curve, &size, 0.01, &one, &err)) {
            printf("  N = %-6llu not supported by these pictures\n", (unsigned long long)sizes[i]);
            return;
        }
        size.pictures = 5;
        printf("  N = %-6llu threshold %.4f", (unsigned long long)sizes[i], one.value);
        if (mien_curve_search_threshold(job->curve, &size, 0.01, &five, &err) == MIEN_OK)
            printf(" with one picture each, %.4f with five", five.value);
        puts("");
    }
}

void calibrate_print_text(const calibrate_job *job)
{
    const mien_curve_info *c = mien_curve_info_of(job->curve);
    const mien_curve_point *p = &job->point;
    char words[48];
    printf("people      %llu, %llu pictures (%zu without a face, %zu unusable)\n",
           (unsigned long long)c->n_people, (unsigned long long)c->n_pictures, job->n_no_face, job->n_bad);
    printf("compared    %llu pairs of strangers, worth %.0f independent ones; %llu pairs of one person\n",
           (unsigned long long)c->n_nonmated, c->n_independent, (unsigned long long)c->n_mated);
    mien_rate_words(&p->fmr, words, sizeof words);
    printf("threshold   %.4f (95 %%: %.4f to %.4f)\n", job->threshold.value, job->threshold.lo,
           job->threshold.hi);
    printf("false match %.3g (95 %%: %.2g to %.2g): %s strangers would look this alike\n", p->fmr.value,
           p->fmr.lo, p->fmr.hi, words);
    if (p->fnmr.value >= 0)
        printf("missed      %.1f %% of pairs of one person (95 %%: %.1f to %.1f)\n", 100 * p->fnmr.value,
               100 * p->fnmr.lo, 100 * p->fnmr.hi);
    printf("\n%10s  %9s  %-22s  %s\n", "FMR", "threshold", "95 % of the rate",
           c->n_mated ? "FNMR (95 %)" : "");
    for (size_t i = 0; i < c->n_points; i++) {
        const mien_curve_point *q = &c->points[i];
        printf("%10.2g  %9.4f  %-9.2g to %-9.2g", q->fmr.value, q->threshold, q->fmr.lo, q->fmr.hi);
        if (q->fnmr.value >= 0)
            printf("  %.2f %% (%.2f to %.2f)", 100 * q->fnmr.value, 100 * q->fnmr.lo, 100 * q->fnmr.hi);
        puts("");
    }
    print_size(job);
}

static json_t *estimate_json(const mien_estimate *e)
{
    return e->value < 0 ? json_null()
                        : json_pack("{s:f,s:[f,f]}", "value", e->value, "interval95", e->lo, e->hi);
}

void calibrate_print_json(const calibrate_job *job, const char *curve)
{
    json_t *page = json_object();
    cli_json_set(page, "people", json_integer((json_int_t)mien_curve_info_of(job->curve)->n_people));
    cli_json_set(page, "pictures", json_integer((json_int_t)mien_curve_info_of(job->curve)->n_pictures));
    cli_json_set(page, "failures_to_detect", json_integer((json_int_t)job->n_no_face));
    cli_json_set(page, "bad_files", json_integer((json_int_t)job->n_bad));
    cli_json_set(page, "threshold", estimate_json(&job->threshold));
    cli_json_set(page, "fmr", estimate_json(&job->point.fmr));
    cli_json_set(page, "fnmr", estimate_json(&job->point.fnmr));
    cli_json_set(page, "calibration", json_loads(curve, 0, NULL));
    cli_json_page(stdout, page);
}
