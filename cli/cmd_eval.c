/* mien eval pairs: verification accuracy on a pairs file in the format of Labeled Faces in the Wild.
 *
 * "10\t300": ten folds, each 300 matched then 300 mismatched pairs; "500": one fold. A matched line is NAME I
 * J, a mismatched one NAME I OTHER J; the pictures are NAME/NAME_0001.jpg. Each picture is embedded once.
 */
#include "json.h"
#include "kit.h"
#include "pairs.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct eval_opts {
    cli_common common; /* first */
    const char *pairs, *images, *model, *scores;
    int aligned, flip, format;
} eval_opts;

static const cli_option options[] = {
    { .name = "pairs",
      .letter = 'p',
      .kind = CLI_TEXT,
      .offset = offsetof(eval_opts, pairs),
      .value = "FILE",
      .hint = CLI_FILES,
      .brief = "pairs file, LFW format (required)",
      .more = "A first line `10 300` means ten folds of 300 matched and 300 mismatched pairs each, `500` one "
              "fold. With one fold the threshold is chosen on the same pairs, which flatters." },
    { .name = "images",
      .letter = 'i',
      .kind = CLI_TEXT,
      .offset = offsetof(eval_opts, images),
      .value = "DIR",
      .hint = CLI_DIRS,
      .brief = "folder with NAME/NAME_0001.jpg (required)" },
    { .name = "aligned",
      .letter = 'a',
      .kind = CLI_FLAG,
      .offset = offsetof(eval_opts, aligned),
      .brief = "pictures are crops already: find no faces" },
    { .name = "flip",
      .kind = CLI_FLAG,
      .offset = offsetof(eval_opts, flip),
      .brief = "average with the mirrored crop" },
    { .name = "format",
      .letter = 'f',
      .kind = CLI_CHOICE,
      .offset = offsetof(eval_opts, format),
      .value = "text|json",
      .def = "text",
      .brief = "how to print" },
    { .name = "scores",
      .kind = CLI_TEXT,
      .offset = offsetof(eval_opts, scores),
      .value = "FILE",
      .hint = CLI_FILES,
      .brief = "write each pair's score as CSV" },
    { .name = "model",
      .letter = 'm',
      .kind = CLI_TEXT,
      .offset = offsetof(eval_opts, model),
      .value = "M",
      .hint = CLI_MODELS,
      .brief = "model that embeds: name or path" },
    { 0 },
};

typedef struct eval_run {
    const eval_opts *opts;
    const pairs_file *pairs;
    size_t dim, n_no_face, n_bad;
    float *vecs;   /* [n_images][dim] */
    char *present; /* [n_images] 1: embedded */
} eval_run;

typedef struct eval_result {
    mien_status status;
    mien_error err;
} eval_result;

/* The face nearest to the middle, weighed by its size: labelled pictures are centred on their person. */
static size_t central_face(const cli_seen *seen)
{
    size_t best = 0;
    double best_value = -INFINITY;
    for (size_t i = 0; i < seen->n; i++) {
        const mien_face f = cli_seen_face(seen, i);
        const double dx = (double)(f.x0 + f.x1) / 2 - seen->width / 2.0;
        const double dy = (double)(f.y0 + f.y1) / 2 - seen->height / 2.0;
        const double value = (double)((f.x1 - f.x0) * (f.y1 - f.y0)) - 2 * (dx * dx + dy * dy);
        if (value > best_value)
            best_value = value, best = i;
    }
    return best;
}

static mien_status embed_one(eval_run *run, cli_kit *kit, size_t item, mien_error *err)
{
    float *vec = run->vecs + item * run->dim;
    const char *path = run->pairs->images[item];
    if (run->opts->aligned) {
        mien_image *image = NULL;
        mien_status st = cli_load(&run->opts->common, path, 0, &image, err);
        if (st != MIEN_OK)
            return st;
        const mien_image_view view = mien_image_view_of(image);
        st = mien_embed_crops(kit->embedder, &view, 1, vec, err);
        mien_image_free(image);
        return st;
    }
    cli_seen seen = { 0 };
    mien_status st = cli_see(kit, path, &seen, err);
    if (st != MIEN_OK)
        return st;
    st = seen.n ? mien_embed_face(kit->embedder, mien_image_view_of(seen.image),
                                  &seen.faces[central_face(&seen)], vec, err)
                : MIEN_E_NO_FACE;
    cli_seen_free(&seen);
    return st;
}

static void *work(void *ctx, void *worker, size_t item)
{
    eval_run *run = ctx;
    eval_result *r = cli_alloc(1, sizeof *r);
    r->status = embed_one(run, worker, item, &r->err);
    return r;
}

static void done(void *ctx, size_t item, void *result)
{
    eval_run *run = ctx;
    eval_result *r = result;
    run->present[item] = r->status == MIEN_OK;
    if (r->status == MIEN_E_NO_FACE) {
        run->n_no_face++;
        cli_say_path(run->pairs->images[item], "no face found");
    } else if (r->status != MIEN_OK) {
        run->n_bad++;
        cli_fail_path(run->pairs->images[item], &r->err);
    }
    free(r);
}

static int write_scores(const eval_run *run, const mien_eval_pair *scored)
{
    cli_out out;
    int rc = cli_out_open(&out, run->opts->scores);
    if (rc != CLI_YES)
        return rc;
    fputs("a,b,mated,fold,score\n", out.f);
    for (size_t i = 0; i < run->pairs->n; i++) {
        cli_csv_text(out.f, run->pairs->images[run->pairs->items[i].a]);
        fputc(',', out.f);
        cli_csv_text(out.f, run->pairs->images[run->pairs->items[i].b]);
        fprintf(out.f, ",%d,%d,", scored[i].mated, scored[i].fold);
        if (!scored[i].failed)
            fprintf(out.f, "%.6f", scored[i].score);
        fputc('\n', out.f);
    }
    return cli_out_commit(&out);
}

static json_t *rate_json(const mien_eval_rate *rate)
{
    json_t *interval = json_array();
    json_t *item = json_object();
    cli_json_append(interval, cli_json_round(rate->lo, 5));
    cli_json_append(interval, cli_json_round(rate->hi, 5));
    cli_json_set(item, "value", cli_json_round(rate->value, 5));
    cli_json_set(item, "interval95", interval);
    return item;
}

static void print_json(const eval_run *run, const mien_eval_result *e, const char *model, double seconds)
{
    json_t *page = json_object(), *tar = json_object(), *intervals = json_object();
    cli_json_set(page, "model", cli_json_text(model));
    cli_json_set(page, "accuracy", cli_json_round(e->accuracy, 5));
    cli_json_set(page, "accuracy_std", cli_json_round(e->accuracy_std, 5));
    cli_json_set(tar, "1e-2", cli_json_round(e->tar_at_far_1e2.value, 5));
    cli_json_set(tar, "1e-3", cli_json_round(e->tar_at_far_1e3.value, 5));
    cli_json_set(page, "tar", tar);
    cli_json_set(intervals, "1e-2", rate_json(&e->tar_at_far_1e2));
    cli_json_set(intervals, "1e-3", rate_json(&e->tar_at_far_1e3));
    cli_json_set(page, "tar_interval", intervals);
    cli_json_set(page, "auc", cli_json_round(e->auc, 6));
    cli_json_set(page, "eer", cli_json_round(e->eer, 5));
    cli_json_set(page, "threshold", cli_json_round(e->threshold, 6));
    cli_json_set(page, "folds", json_integer(run->pairs->folds));
    cli_json_set(page, "pairs", json_integer((json_int_t)run->pairs->n));
    cli_json_set(page, "images", json_integer((json_int_t)run->pairs->n_images));
    cli_json_set(page, "failures_to_detect", json_integer((json_int_t)run->n_no_face));
    cli_json_set(page, "bad_files", json_integer((json_int_t)run->n_bad));
    cli_json_set(page, "failed_pairs", json_integer((json_int_t)e->n_failed));
    cli_json_set(page, "seconds", cli_json_round(seconds, 2));
    cli_json_page(stdout, page);
}

static void print_text(const eval_run *run, const mien_eval_result *e, const char *model, double seconds)
{
    const mien_eval_rate *a = &e->tar_at_far_1e2, *b = &e->tar_at_far_1e3;
    printf("model       %s\n", model);
    printf("pairs       %zu of %zu pictures, %d fold%s\n", run->pairs->n, run->pairs->n_images,
           run->pairs->folds, run->pairs->folds == 1 ? " (threshold chosen on the same pairs)" : "s");
    printf("accuracy    %.2f %% +- %.2f (threshold %.3f)\n", 100 * e->accuracy, 100 * e->accuracy_std,
           e->threshold);
    printf("tar         %.2f %% at FAR 1e-2 (95 %%: %.2f to %.2f)\n", 100 * a->value, 100 * a->lo,
           100 * a->hi);
    printf("            %.2f %% at FAR 1e-3 (95 %%: %.2f to %.2f)\n", 100 * b->value, 100 * b->lo,
           100 * b->hi);
    printf("auc         %.5f\neer         %.2f %%\n", e->auc, 100 * e->eer);
    printf("no face in  %zu picture%s; unusable files: %zu; pairs lost: %zu\n", run->n_no_face,
           run->n_no_face == 1 ? "" : "s", run->n_bad, e->n_failed);
    printf("seconds     %.1f\n", seconds);
}

static int measure(eval_run *run, const char *model, double start)
{
    const pairs_file *pairs = run->pairs;
    mien_eval_pair *scored = cli_alloc(pairs->n, sizeof *scored);
    mien_eval_result result;
    mien_error err = MIEN_ERROR_INIT;
    for (size_t i = 0; i < pairs->n; i++) {
        const pairs_item *p = &pairs->items[i];
        scored[i] = (mien_eval_pair){ .mated = p->mated, .fold = p->fold };
        scored[i].failed = !run->present[p->a] || !run->present[p->b];
        if (!scored[i].failed)
            scored[i].score = mien_cosine(run->vecs + p->a * run->dim, run->vecs + p->b * run->dim, run->dim);
    }
    int rc = CLI_YES;
    if (mien_eval_pairs(scored, pairs->n, pairs->folds, &result, &err) != MIEN_OK)
        rc = cli_fail_path(run->opts->pairs, &err);
    else if (run->opts->format == 1)
        print_json(run, &result, model, (cli_now_ms() - start) / 1e3);
    else
        print_text(run, &result, model, (cli_now_ms() - start) / 1e3);
    if (rc == CLI_YES && run->opts->scores)
        rc = write_scores(run, scored);
    free(scored);
    return cli_worse(rc, run->n_bad ? CLI_INPUT : CLI_YES);
}

static int run(void *p, int argc, char **argv)
{
    const eval_opts *opts = p;
    (void)argc;
    (void)argv;
    if (!opts->pairs || !opts->images)
        return cli_usage(&cli_verb_eval_pairs, "wanted: --pairs FILE and --images DIR");
    const double start = cli_now_ms();
    cli_models models = { NULL, NULL };
    cli_kits kits = { NULL, NULL, 0 };
    pairs_file pairs;
    int rc = pairs_read(&pairs, opts->pairs, opts->images);
    if (rc != CLI_YES)
        return rc;
    rc = cli_models_load(&models, !opts->aligned, opts->common.detector, true, opts->model);
    if (rc == CLI_YES)
        rc = cli_kits_new(&kits, &models, &opts->common, pairs.n_images, opts->flip);
    if (rc == CLI_YES) {
        eval_run r = { .opts = opts, .pairs = &pairs };
        r.dim = (size_t)mien_model_info_of(models.embed)->embedding_len;
        r.vecs = cli_alloc(pairs.n_images * r.dim, sizeof(float));
        r.present = cli_alloc(pairs.n_images, 1);
        cli_run_ordered(pairs.n_images, kits.n, kits.workers, work, done, &r, "images", opts->common.quiet);
        if (!cli_stopped())
            rc = measure(&r, mien_model_info_of(models.embed)->name, start);
        free(r.vecs);
        free(r.present);
    }
    cli_kits_free(&kits);
    cli_models_free(&models);
    pairs_free(&pairs);
    return rc;
}

static const cli_example examples[] = {
    { "measure a model on aligned crops", "mien eval pairs --pairs pairs.txt --images crops --aligned" },
    { "measure the whole way from photographs",
      "mien eval pairs --pairs pairs.txt --images lfw --model mobilefacenet" },
    { NULL, NULL },
};

const cli_verb cli_verb_eval_pairs = {
    .name = "eval pairs",
    .operands = "",
    .brief = "measure accuracy on pairs (LFW format)",
    .about =
        "Embeds each picture once and scores the pairs. Accuracy is k-fold: the threshold of each fold is "
        "chosen on the others. TAR is the fraction of matched pairs accepted where 1e-2 or 1e-3 of the "
        "mismatched ones are; with 95 % intervals. AUC and EER as usual. In pictures with several faces "
        "the one near the middle counts. Pairs with a picture without a face count as `different` in the "
        "accuracy and are left out of the rest; so that nobody wins by giving up.",
    .exits = "0 measured, 2 usage, 3 a bad file, 4 no model",
    .tables = { options, cli_detector_options, cli_detect_options, cli_input_options },
    .examples = examples,
    .opts_bytes = sizeof(eval_opts),
    .hint = CLI_NOTHING,
    .run = run,
};
