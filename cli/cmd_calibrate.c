/* mien calibrate: thresholds with a stated error rate, from one's own labelled pictures.
 *
 * A folder per person; every two pictures are compared (mien_curve_fit()). What the pictures are too few for
 * is refused, with what could be claimed instead. The curve is printed, written to a file, kept with a
 * gallery.
 */
#include "json.h"
#include "labelled.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct calibrate_opts {
    cli_common common; /* first */
    const char *data, *model, *gallery, *out, *key_file;
    double target;
    int aligned, format;
} calibrate_opts;

static const cli_option options[] = {
    { .name = "data",
      .letter = 'd',
      .kind = CLI_TEXT,
      .offset = offsetof(calibrate_opts, data),
      .value = "DIR",
      .hint = CLI_DIRS,
      .brief = "pictures, a folder per person (required)",
      .more =
          "People and pictures like those that will be compared later: a rate is worth what it was measured "
          "on. Without two pictures of anybody there are thresholds, but nobody knows how many mates they "
          "miss." },
    { .name = "target-fmr",
      .kind = CLI_REAL,
      .offset = offsetof(calibrate_opts, target),
      .value = "X",
      .min = 1e-12,
      .max = 0.2,
      .brief = "false match rate wanted, such as 1e-4",
      .more =
          "The fraction of strangers taken for the same person in one comparison. Refused when the pictures "
          "do not support it: three matches must be expected among as many independent comparisons as they "
          "are worth. Without it the strictest rate that they support is taken." },
    { .name = "gallery",
      .letter = 'g',
      .kind = CLI_TEXT,
      .offset = offsetof(calibrate_opts, gallery),
      .value = "G",
      .hint = CLI_FILES,
      .brief = "keep the calibration with this gallery",
      .more = "`mien identify` goes by it from then on. The gallery's model must be the one used here." },
    { .name = "key-file",
      .kind = CLI_TEXT,
      .offset = offsetof(calibrate_opts, key_file),
      .value = "FILE",
      .hint = CLI_FILES,
      .rare = 1,
      .brief = "key of an encrypted gallery",
      .more = "Or a passphrase in the environment variable MIEN_PASSPHRASE." },
    { .name = "out",
      .letter = 'o',
      .kind = CLI_TEXT,
      .offset = offsetof(calibrate_opts, out),
      .value = "FILE",
      .hint = CLI_FILES,
      .brief = "write the calibration as JSON" },
    { .name = "model",
      .letter = 'm',
      .kind = CLI_TEXT,
      .offset = offsetof(calibrate_opts, model),
      .value = "M",
      .hint = CLI_MODELS,
      .brief = "model that embeds: name or path" },
    { .name = "aligned",
      .letter = 'a',
      .kind = CLI_FLAG,
      .offset = offsetof(calibrate_opts, aligned),
      .brief = "pictures are crops already: find no faces" },
    { .name = "format",
      .letter = 'f',
      .kind = CLI_CHOICE,
      .offset = offsetof(calibrate_opts, format),
      .value = "text|json",
      .def = "text",
      .brief = "how to print" },
    { 0 },
};

typedef struct calibrate_run {
    const calibrate_opts *opts;
    const labelled_set *set;
    mien_curve *curve;
    mien_curve_point point; /* chosen */
    mien_estimate threshold;
} calibrate_run;

/* The curve between its points, rates by rate and misses by neighbour. */
static mien_status choose(calibrate_run *run, double target, mien_error *err)
{
    const mien_curve_info *info = mien_curve_info_of(run->curve);
    const double rate = target > 0 ? target : info->points[0].fmr.value;
    const mien_status st = mien_curve_threshold(run->curve, rate, &run->threshold, err);
    if (st)
        return st;
    size_t i = 0; /* misses grow with the threshold: those of the stricter point are no less */
    while (i + 1 < info->n_points && info->points[i + 1].threshold >= run->threshold.value - 1e-9)
        i++;
    run->point = info->points[i];
    run->point.threshold = run->threshold.value;
    return mien_curve_fmr(run->curve, run->threshold.value, &run->point.fmr, err);
}

static void print_size(const calibrate_run *run)
{
    static const uint64_t sizes[] = { 10, 100, 1000, 10000 };
    puts("\nin a search for one of N people, at which 1 stranger in 100 is taken for somebody:");
    for (size_t i = 0; i < CLI_COUNTOF(sizes); i++) {
        mien_estimate one, five;
        mien_search_size size = { sizes[i], 1 };
        mien_error err = MIEN_ERROR_INIT;
        if (mien_curve_search_threshold(run->curve, &size, 0.01, &one, &err)) {
            printf("  N = %-6llu not supported by these pictures\n", (unsigned long long)sizes[i]);
            return;
        }
        size.pictures = 5;
        printf("  N = %-6llu threshold %.4f", (unsigned long long)sizes[i], one.value);
        if (mien_curve_search_threshold(run->curve, &size, 0.01, &five, &err) == MIEN_OK)
            printf(" with one picture each, %.4f with five", five.value);
        puts("");
    }
}

static void print_text(const calibrate_run *run)
{
    const mien_curve_info *c = mien_curve_info_of(run->curve);
    const mien_curve_point *p = &run->point;
    char words[48];
    printf("people      %llu, %llu pictures (%zu without a face, %zu unusable)\n",
           (unsigned long long)c->n_people, (unsigned long long)c->n_pictures, run->set->n_no_face,
           run->set->n_bad);
    printf("compared    %llu pairs of strangers, worth %.0f independent ones; %llu pairs of one person\n",
           (unsigned long long)c->n_nonmated, c->n_independent, (unsigned long long)c->n_mated);
    mien_rate_words(&p->fmr, words, sizeof words);
    printf("threshold   %.4f (95 %%: %.4f to %.4f)\n", run->threshold.value, run->threshold.lo,
           run->threshold.hi);
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
    print_size(run);
}

static json_t *estimate_json(const mien_estimate *e)
{
    return e->value < 0 ? json_null()
                        : json_pack("{s:f,s:[f,f]}", "value", e->value, "interval95", e->lo, e->hi);
}

static void print_json(const calibrate_run *run, const char *curve)
{
    json_t *page = json_object();
    cli_json_set(page, "people", json_integer((json_int_t)mien_curve_info_of(run->curve)->n_people));
    cli_json_set(page, "pictures", json_integer((json_int_t)mien_curve_info_of(run->curve)->n_pictures));
    cli_json_set(page, "failures_to_detect", json_integer((json_int_t)run->set->n_no_face));
    cli_json_set(page, "bad_files", json_integer((json_int_t)run->set->n_bad));
    cli_json_set(page, "threshold", estimate_json(&run->threshold));
    cli_json_set(page, "fmr", estimate_json(&run->point.fmr));
    cli_json_set(page, "fnmr", estimate_json(&run->point.fnmr));
    cli_json_set(page, "calibration", json_loads(curve, 0, NULL));
    cli_json_page(stdout, page);
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

static int keep(const calibrate_run *run, mien_gallery *gallery)
{
    mien_error err = MIEN_ERROR_INIT;
    char *text = NULL;
    if (mien_curve_to_json(run->curve, &text, &err) != MIEN_OK)
        return cli_fail(&err);
    int rc = CLI_YES;
    if (gallery && mien_curve_to_gallery(run->curve, gallery, &err) != MIEN_OK)
        rc = cli_fail_path(run->opts->gallery, &err);
    if (rc == CLI_YES && run->opts->out)
        rc = write_file(run->opts->out, text);
    if (rc == CLI_YES && run->opts->format == 1)
        print_json(run, text);
    else if (rc == CLI_YES)
        print_text(run);
    mien_curve_text_free(text);
    return rc;
}

static int fit(calibrate_run *run, const mien_model *model, mien_gallery *gallery)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_curve_fit_opts fo = MIEN_CURVE_FIT_OPTS_INIT;
    mien_curve *base = NULL;
    float *vecs = NULL;
    uint32_t *people = NULL;
    char fingerprint[65], date[16] = "";
    const time_t now = time(NULL);
    struct tm tm;
    if (gmtime_r(&now, &tm))
        strftime(date, sizeof date, "%Y-%m-%d", &tm);
    if (mien_model_fingerprint(model, fingerprint, &err) != MIEN_OK)
        return cli_fail(&err);
    mien_status st = mien_curve_of_model(model, &base, &err);
    if (st && st != MIEN_E_NOT_FOUND)
        return cli_fail(&err);
    char *protocol = cli_format("own pictures: every two of %zu, %s; mien %s", run->set->n_embedded,
                                run->opts->aligned ? "aligned crops" : "most central face", mien_version());
    fo.model = fingerprint;
    fo.protocol = protocol;
    fo.date = date;
    fo.base = base;
    fo.target_fmr = run->opts->target > 0 ? run->opts->target : 0;
    labelled_pack(run->set, &vecs, &people);
    st = mien_curve_fit(vecs, people, run->set->n_embedded, run->set->dim, &fo, &run->curve, &err);
    if (!st)
        st = choose(run, fo.target_fmr, &err);
    const int rc = st ? cli_fail_path(run->opts->data, &err) : keep(run, gallery);
    explicit_bzero(vecs, run->set->n_embedded * run->set->dim * sizeof *vecs);
    free(vecs);
    free(people);
    free(protocol);
    mien_curve_free(base);
    mien_curve_free(run->curve);
    return rc;
}

static int run(void *p, int argc, char **argv)
{
    const calibrate_opts *opts = p;
    cli_models models = { NULL, NULL };
    cli_kits kits = { NULL, NULL, 0 };
    labelled_set set;
    (void)argc;
    (void)argv;
    if (!opts->data)
        return cli_usage(&cli_verb_calibrate, "wanted: --data DIR");
    int rc = labelled_read(&set, opts->data, true);
    if (rc != CLI_YES)
        return rc;
    rc = cli_models_load(&models, !opts->aligned, opts->common.detector, true, opts->model);
    if (rc == CLI_YES)
        rc = cli_kits_new(&kits, &models, &opts->common, set.files.n, false);
    mien_gallery *gallery = NULL;
    if (rc == CLI_YES && opts->gallery) /* before the work: a wrong key shows at once */
        rc = labelled_gallery_open(opts->gallery, opts->key_file, MIEN_GALLERY_WRITE, models.embed, &gallery);
    if (rc == CLI_YES) {
        labelled_embed(&set, &kits, (size_t)mien_model_info_of(models.embed)->embedding_len, opts->aligned,
                       opts->common.quiet);
        calibrate_run r = { .opts = opts, .set = &set };
        if (!cli_stopped() && !set.n_embedded) {
            cli_say_path(opts->data, "no face in any picture");
            rc = CLI_INPUT;
        } else if (!cli_stopped()) {
            rc = fit(&r, models.embed, gallery);
        }
        rc = cli_worse(rc, set.n_bad ? CLI_INPUT : CLI_YES);
    }
    mien_gallery_free(gallery);
    cli_kits_free(&kits);
    cli_models_free(&models);
    labelled_free(&set);
    return rc;
}

static const cli_example examples[] = {
    { "which threshold for 1 false match in 1,000 on my own people?",
      "mien calibrate --data people --target-fmr 1e-3" },
    { "have a gallery go by it", "mien calibrate --data people --gallery staff.mg" },
    { NULL, NULL },
};

const cli_verb cli_verb_calibrate = {
    .name = "calibrate",
    .operands = "",
    .brief = "fit thresholds with a stated error rate to your own people",
    .about =
        "Compares every two pictures of a folder of people and says from which similarity on how many "
        "strangers "
        "are taken for each other, with 95 % intervals that count people, not pairs, and how many pairs of "
        "one person are missed there. A rate that the pictures do not support is refused: the answer says "
        "what "
        "they do support.\n\n"
        "Every model has a calibration of its own; this one replaces it for the people it was made for.",
    .exits = "0 calibrated, 2 usage, 3 too few pictures or a bad file, 4 no model",
    .tables = { options, cli_detector_options, cli_detect_options, cli_input_options },
    .examples = examples,
    .opts_bytes = sizeof(calibrate_opts),
    .hint = CLI_NOTHING,
    .run = run,
};
