/* Fitting and keeping; see calibrate.h. */
#include "calibrate.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The curve between its points, rates by rate and misses by neighbour. */
static mien_status choose(calibrate_job *job, double target, mien_error *err)
{
    const mien_curve_info *info = mien_curve_info_of(job->curve);
    const double rate = target > 0 ? target : info->points[0].fmr.value;
    const mien_status st = mien_curve_threshold(job->curve, rate, &job->threshold, err);
    if (st)
        return st;
    size_t i = 0; /* misses grow with the threshold: those of the stricter point are no less */
    while (i + 1 < info->n_points && info->points[i + 1].threshold >= job->threshold.value - 1e-9)
        i++;
    job->point = info->points[i];
    job->point.threshold = job->threshold.value;
    return mien_curve_fmr(job->curve, job->threshold.value, &job->point.fmr, err);
}

static int write_file(const char *path, const char *text)
{
    cli_out out;
    const int rc = cli_out_open(&out, path);
    if (rc != CLI_YES)
        return rc;
    fputs(text, out.f);
    return cli_out_commit(&out);
}

/* Written first, printed last: what is printed has been kept. */
static int keep(const calibrate_job *job)
{
    mien_error err = MIEN_ERROR_INIT;
    char *text = NULL;
    if (mien_curve_to_json(job->curve, &text, &err) != MIEN_OK)
        return cli_fail(&err);
    int rc = CLI_YES;
    if (job->keep && mien_curve_to_gallery(job->curve, job->keep, &err) != MIEN_OK)
        rc = cli_fail_path(job->keep_path, &err);
    if (rc == CLI_YES && job->out)
        rc = write_file(job->out, text);
    if (rc == CLI_YES && job->json)
        calibrate_print_json(job, text);
    else if (rc == CLI_YES)
        calibrate_print_text(job);
    mien_curve_text_free(text);
    return rc;
}

static int fit(calibrate_job *job)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_curve_fit_opts fo = MIEN_CURVE_FIT_OPTS_INIT;
    mien_curve *base = NULL;
    char fingerprint[65], date[16] = "";
    const time_t now = time(NULL);
    struct tm tm;
    if (gmtime_r(&now, &tm))
        strftime(date, sizeof date, "%Y-%m-%d", &tm);
    if (mien_model_fingerprint(job->model, fingerprint, &err) != MIEN_OK)
        return cli_fail(&err);
    mien_status st = mien_curve_of_model(job->model, &base, &err);
    if (st && st != MIEN_E_NOT_FOUND)
        return cli_fail(&err);
    fo.model = fingerprint;
    fo.protocol = job->protocol;
    fo.date = date;
    fo.base = base;
    fo.target_fmr = job->target > 0 ? job->target : 0;
    st = mien_curve_fit(job->vecs, job->people, job->n, job->dim, &fo, &job->curve, &err);
    if (!st)
        st = choose(job, fo.target_fmr, &err);
    mien_curve_free(base);
    return st ? cli_fail_path(job->data, &err) : CLI_YES;
}

int calibrate_run(calibrate_job *job)
{
    int rc = CLI_INPUT;
    if (job->n == 0)
        cli_say_path(job->data, "no template to calibrate on");
    else
        rc = fit(job);
    if (rc == CLI_YES)
        rc = keep(job);
    if (job->vecs)
        explicit_bzero(job->vecs, job->n * job->dim * sizeof *job->vecs);
    free(job->vecs);
    free(job->people);
    mien_curve_free(job->curve);
    job->vecs = NULL;
    job->people = NULL;
    job->curve = NULL;
    return rc;
}
