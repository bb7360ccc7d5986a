/* mien bench model, mien bench pipeline: how fast this machine is, as JSON or text.
 *
 * Times are wall clock, medians over the runs after warm-up. The input of `bench model` is a fixed
 * pseudo-random picture; values do not matter to the time, but zeros and denormals would.
 */
#include "json.h"
#include "kit.h"
#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *values, size_t n)
{
    if (!n)
        return 0;
    qsort(values, n, sizeof *values, by_value);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* ---- model ---- */

typedef struct model_opts {
    int threads, batch, runs, layers, format;
    cli_size size;
} model_opts;

static const cli_option model_options[] = {
    { .name = "threads",
      .letter = 't',
      .kind = CLI_INT,
      .offset = offsetof(model_opts, threads),
      .value = "N",
      .def = "1",
      .min = 0,
      .max = 256,
      .brief = "threads; 0: all processors" },
    { .name = "batch",
      .letter = 'b',
      .kind = CLI_INT,
      .offset = offsetof(model_opts, batch),
      .value = "N",
      .def = "1",
      .min = 1,
      .max = 256,
      .brief = "pictures per run" },
    { .name = "size",
      .letter = 's',
      .kind = CLI_SIZE,
      .offset = offsetof(model_opts, size),
      .value = "WxH",
      .brief = "input size, where the model leaves it free (then 640x480)" },
    { .name = "runs",
      .letter = 'r',
      .kind = CLI_INT,
      .offset = offsetof(model_opts, runs),
      .value = "N",
      .def = "30",
      .min = 1,
      .max = 100000,
      .brief = "timed runs" },
    { .name = "layers",
      .letter = 'l',
      .kind = CLI_FLAG,
      .offset = offsetof(model_opts, layers),
      .brief = "each step with its kernel and its time" },
    { .name = "format",
      .letter = 'f',
      .kind = CLI_CHOICE,
      .offset = offsetof(model_opts, format),
      .value = "json|text",
      .def = "json",
      .brief = "how to print" },
    { 0 },
};

typedef struct model_bench {
    const char *name;
    mien_session *session;
    mien_tensor_view shape; /* of the first input */
    size_t n_inputs;
    double median_ms, min_ms;
} model_bench;

static void fill(float *to, const mien_tensor_view *shape)
{
    int64_t n = 1;
    uint32_t x = 2463534242u; /* xorshift32 (Marsaglia 2003) */
    for (int i = 0; i < shape->rank; i++)
        n *= shape->dims[i];
    for (int64_t i = 0; i < n; i++) {
        x ^= x << 13, x ^= x >> 17, x ^= x << 5;
        to[i] = (float)(x >> 8) * (2.0f / 16777216.0f) - 1.0f;
    }
}

/* Settle free dimensions: batch, channels, height, width. */
static void settle(const model_opts *opts, mien_tensor_view *shape)
{
    const int64_t free_dims[4] = { opts->batch, 3, opts->size.height ? opts->size.height : 480,
                                   opts->size.width ? opts->size.width : 640 };
    const int64_t asked[4] = { opts->batch > 1 ? opts->batch : 0, 0, opts->size.height, opts->size.width };
    for (int i = 0; i < shape->rank; i++) {
        const int k = shape->rank == 4 ? i : 0;
        if (shape->dims[i] < 1)
            shape->dims[i] = shape->rank == 4 ? free_dims[k] : i == 0 ? opts->batch : 1;
        else if (shape->rank == 4 && asked[k])
            shape->dims[i] = asked[k];
    }
}

static mien_status prepare(const model_opts *opts, model_bench *b, mien_error *err)
{
    enum { MAX_INPUTS = 8 };
    mien_tensor_view shapes[MAX_INPUTS];
    float *inputs[MAX_INPUTS];
    b->n_inputs = mien_session_n_inputs(b->session);
    if (b->n_inputs > MAX_INPUTS) {
        err->status = MIEN_E_UNSUPPORTED;
        snprintf(err->message, sizeof err->message, "%zu inputs, at most %d are benched", b->n_inputs,
                 MAX_INPUTS);
        return MIEN_E_MODEL_SHAPE;
    }
    for (size_t i = 0; i < b->n_inputs; i++) {
        const mien_status st = mien_session_input(b->session, i, &shapes[i], err);
        if (st != MIEN_OK)
            return st;
        settle(opts, &shapes[i]);
    }
    const mien_status st = mien_session_prepare(b->session, b->n_inputs, shapes, inputs, err);
    if (st != MIEN_OK)
        return st;
    for (size_t i = 0; i < b->n_inputs; i++)
        fill(inputs[i], &shapes[i]);
    b->shape = shapes[0];
    return MIEN_OK;
}

static mien_status time_runs(const model_opts *opts, model_bench *b, mien_error *err)
{
    double *ms = cli_alloc((size_t)opts->runs, sizeof *ms);
    mien_status st = MIEN_OK;
    size_t n = 0;
    for (int i = 0; i < 3 && st == MIEN_OK; i++)
        st = mien_session_run(b->session, err);
    cli_progress_begin("runs", (uint64_t)opts->runs, false);
    while (st == MIEN_OK && n < (size_t)opts->runs && !cli_stopped()) {
        const double start = cli_now_ms();
        st = mien_session_run(b->session, err);
        ms[n++] = cli_now_ms() - start;
        cli_progress_step(n);
    }
    cli_progress_end();
    b->median_ms = median(ms, n);
    b->min_ms = n ? ms[0] : 0;
    free(ms);
    return st;
}

static json_t *layers_json(const model_bench *b)
{
    json_t *list = json_array();
    mien_layer_info layer;
    for (size_t i = 0; mien_session_layer(b->session, i, &layer, NULL) == MIEN_OK; i++) {
        json_t *item = json_object();
        cli_json_set(item, "name", cli_json_text(layer.name));
        cli_json_set(item, "op", cli_json_text(layer.op));
        cli_json_set(item, "kernel", cli_json_text(layer.kernel));
        cli_json_set(item, "ms", cli_json_round(layer.ms, 4));
        cli_json_set(item, "mmac", cli_json_round(layer.mmac, 3));
        cli_json_append(list, item);
    }
    return list;
}

static void print_layers(const model_bench *b)
{
    mien_layer_info layer;
    printf("\n%9s %9s %7s  %-28s %-28s %s\n", "ms", "Mmac", "Gmac/s", "kernel", "op", "name");
    for (size_t i = 0; mien_session_layer(b->session, i, &layer, NULL) == MIEN_OK; i++)
        printf("%9.4f %9.3f %7.1f  %-28s %-28s %s\n", layer.ms, layer.mmac,
               layer.ms > 0 ? layer.mmac / layer.ms : 0, layer.kernel, layer.op, layer.name);
}

static void print_model(const model_opts *opts, const model_bench *b)
{
    const unsigned threads = opts->threads ? (unsigned)opts->threads : mien_cpu_count();
    const double per_second = b->median_ms > 0 ? 1e3 * opts->batch / b->median_ms : 0;
    char shape[128] = "";
    json_t *dims = json_array();
    for (int i = 0; i < b->shape.rank; i++) {
        const size_t len = strlen(shape);
        snprintf(shape + len, sizeof shape - len, "%s%lld", i ? "x" : "", (long long)b->shape.dims[i]);
        cli_json_append(dims, json_integer((json_int_t)b->shape.dims[i]));
    }
    if (opts->format == 1) {
        json_decref(dims);
        printf("%s %s, %u thread%s, %s: median %.3f ms, best %.3f ms, %.1f images/s; arena %.1f MB, weights "
               "%.1f MB\n",
               b->name, shape, threads, threads == 1 ? "" : "s", mien_cpu_level(), b->median_ms, b->min_ms,
               per_second, (double)mien_session_arena_bytes(b->session) / 1e6,
               (double)mien_session_weight_bytes(b->session) / 1e6);
        if (opts->layers)
            print_layers(b);
        return;
    }
    json_t *page = json_object();
    cli_json_set(page, "model", cli_json_text(b->name));
    cli_json_set(page, "input", dims);
    cli_json_set(page, "cpu_level", json_string(mien_cpu_level()));
    cli_json_set(page, "threads", json_integer(threads));
    cli_json_set(page, "batch", json_integer(opts->batch));
    cli_json_set(page, "runs", json_integer(opts->runs));
    cli_json_set(page, "median_ms", cli_json_round(b->median_ms, 4));
    cli_json_set(page, "min_ms", cli_json_round(b->min_ms, 4));
    cli_json_set(page, "images_per_second", cli_json_round(per_second, 2));
    cli_json_set(page, "arena_bytes", json_integer((json_int_t)mien_session_arena_bytes(b->session)));
    cli_json_set(page, "weight_bytes", json_integer((json_int_t)mien_session_weight_bytes(b->session)));
    if (opts->layers)
        cli_json_set(page, "layers", layers_json(b));
    cli_json_page(stdout, page);
}

static int run_model(void *p, int argc, char **argv)
{
    const model_opts *opts = p;
    mien_model *model = NULL;
    model_bench b = { 0 };
    mien_error err = MIEN_ERROR_INIT;
    mien_session_opts session_opts = MIEN_SESSION_OPTS_INIT;
    session_opts.threads = (unsigned)opts->threads;
    (void)argc;
    mien_status st = mien_model_load(argv[0], &model, &err);
    if (st == MIEN_OK)
        st = mien_session_new(model, &session_opts, &b.session, &err);
    if (st == MIEN_OK)
        st = prepare(opts, &b, &err);
    if (st == MIEN_OK)
        st = time_runs(opts, &b, &err);
    if (st == MIEN_OK && opts->layers && !cli_stopped())
        st = mien_session_profile(b.session, opts->runs < 20 ? opts->runs : 20, &err);
    int rc = CLI_YES;
    if (st != MIEN_OK) {
        rc = cli_fail_path(argv[0], &err);
    } else if (!cli_stopped()) {
        b.name = mien_model_info_of(model)->name;
        if (!b.name[0])
            b.name = argv[0];
        print_model(opts, &b);
    }
    mien_session_free(b.session);
    mien_model_free(model);
    return rc;
}

static const cli_example model_examples[] = {
    { "time an embedder on two threads", "mien bench model mobilefacenet --threads 2" },
    { "see where the time goes", "mien bench model yunet_n_dynamic --size 640x480 --layers --format text" },
    { NULL, NULL },
};

const cli_verb cli_verb_bench_model = {
    .name = "bench model",
    .operands = "MODEL",
    .brief = "time one network",
    .about =
        "Runs the network on a fixed pseudo-random input and prints the median time, after three runs of "
        "warm-up. Nothing else should run meanwhile.",
    .exits = "0 done, 3 no such file, 4 not a model or a size it does not take",
    .tables = { model_options },
    .examples = model_examples,
    .opts_bytes = sizeof(model_opts),
    .min_operands = 1,
    .max_operands = 1,
    .hint = CLI_MODELS,
    .run = run_model,
};

/* ---- pipeline ---- */

typedef struct pipeline_opts {
    cli_common common; /* first */
    const char *model;
    int format;
} pipeline_opts;

static const cli_option pipeline_options[] = {
    { .name = "model",
      .letter = 'm',
      .kind = CLI_TEXT,
      .offset = offsetof(pipeline_opts, model),
      .value = "M",
      .hint = CLI_MODELS,
      .brief = "model that embeds: name or path" },
    { .name = "format",
      .letter = 'f',
      .kind = CLI_CHOICE,
      .offset = offsetof(pipeline_opts, format),
      .value = "json|text",
      .def = "json",
      .brief = "how to print" },
    { 0 },
};

enum { DECODE, DETECT, ALIGN, EMBED, TOTAL, N_STAGES };
static const char *const stage_names[N_STAGES] = { "decode", "detect", "align", "embed", "total" };

typedef struct pipeline_run {
    const cli_files *files;
    const mien_model *embed;
    size_t n_images, n_faces;
    double *ms[N_STAGES]; /* per image */
    int exit_code;
} pipeline_run;

typedef struct pipeline_result {
    mien_status status;
    mien_error err;
    double ms[N_STAGES];
    size_t n_faces;
} pipeline_result;

static mien_status embed_faces(pipeline_run *run, cli_kit *kit, mien_image_view view, const mien_face *faces,
                               size_t n, float *vec, pipeline_result *r)
{
    mien_status st = MIEN_OK;
    for (size_t i = 0; i < n && st == MIEN_OK; i++) {
        mien_image *crop = NULL;
        const double start = cli_now_ms();
        st = mien_align(run->embed, view, &faces[i], &crop, &r->err);
        const double aligned = cli_now_ms();
        if (st == MIEN_OK) {
            const mien_image_view crop_view = mien_image_view_of(crop);
            st = mien_embed_crops(kit->embedder, &crop_view, 1, vec, &r->err);
        }
        r->ms[ALIGN] += aligned - start;
        r->ms[EMBED] += cli_now_ms() - aligned;
        mien_image_free(crop);
    }
    return st;
}

static void *work(void *ctx, void *worker, size_t item)
{
    pipeline_run *run = ctx;
    cli_kit *kit = worker;
    pipeline_result *r = cli_alloc(1, sizeof *r);
    mien_image *image = NULL;
    const mien_face *faces = NULL;
    float *vec = cli_alloc((size_t)mien_model_info_of(run->embed)->embedding_len, sizeof *vec);
    const double start = cli_now_ms();
    r->status = cli_load(kit->common, run->files->items[item].path, 0, &image, &r->err);
    const double decoded = cli_now_ms();
    if (r->status == MIEN_OK)
        r->status = mien_detect(kit->detector, mien_image_view_of(image), &faces, &r->n_faces, &r->err);
    const double detected = cli_now_ms();
    if (r->status == MIEN_OK)
        r->status = embed_faces(run, kit, mien_image_view_of(image), faces, r->n_faces, vec, r);
    r->ms[DECODE] = decoded - start;
    r->ms[DETECT] = detected - decoded;
    r->ms[TOTAL] = cli_now_ms() - start;
    mien_image_free(image);
    free(vec);
    return r;
}

static void done(void *ctx, size_t item, void *result)
{
    pipeline_run *run = ctx;
    pipeline_result *r = result;
    if (r->status != MIEN_OK) {
        run->exit_code = cli_worse(run->exit_code, cli_fail_path(run->files->items[item].path, &r->err));
    } else {
        for (int k = 0; k < N_STAGES; k++)
            run->ms[k][run->n_images] = r->ms[k];
        run->n_images++;
        run->n_faces += r->n_faces;
    }
    free(r);
}

static void print_pipeline(const pipeline_opts *opts, pipeline_run *run, unsigned threads, double seconds)
{
    double medians[N_STAGES];
    for (int k = 0; k < N_STAGES; k++)
        medians[k] = median(run->ms[k], run->n_images);
    const double per_second = seconds > 0 ? (double)run->n_images / seconds : 0;
    if (opts->format == 1) {
        printf("%zu images, %zu faces, %u thread%s: %.1f images/s\nmedian ms per image:", run->n_images,
               run->n_faces, threads, threads == 1 ? "" : "s", per_second);
        for (int k = 0; k < N_STAGES; k++)
            printf(" %s %.2f%s", stage_names[k], medians[k], k + 1 < N_STAGES ? "," : "\n");
        return;
    }
    json_t *page = json_object(), *stages = json_object();
    for (int k = 0; k < TOTAL; k++)
        cli_json_set(stages, stage_names[k], cli_json_round(medians[k], 3));
    cli_json_set(page, "images", json_integer((json_int_t)run->n_images));
    cli_json_set(page, "faces", json_integer((json_int_t)run->n_faces));
    cli_json_set(page, "threads", json_integer(threads));
    cli_json_set(page, "cpu_level", json_string(mien_cpu_level()));
    cli_json_set(page, "median_ms", cli_json_round(medians[TOTAL], 3));
    cli_json_set(page, "stage_median_ms", stages);
    cli_json_set(page, "images_per_second", cli_json_round(per_second, 2));
    cli_json_set(page, "seconds", cli_json_round(seconds, 3));
    cli_json_page(stdout, page);
}

static int run_pipeline(void *p, int argc, char **argv)
{
    const pipeline_opts *opts = p;
    cli_models models = { NULL, NULL };
    cli_kits kits = { NULL, NULL, 0 };
    cli_files files;
    cli_files_collect(&files, argc, argv);
    int rc =
        files.n ? cli_models_load(&models, true, opts->common.detector, true, opts->model) : files.exit_code;
    if (rc == CLI_YES && files.n)
        rc = cli_kits_new(&kits, &models, &opts->common, files.n, false);
    if (rc == CLI_YES && files.n) {
        pipeline_run r = { .files = &files, .embed = models.embed, .exit_code = files.exit_code };
        for (int k = 0; k < N_STAGES; k++)
            r.ms[k] = cli_alloc(files.n, sizeof(double));
        const double start = cli_now_ms();
        cli_run_ordered(files.n, kits.n, kits.workers, work, done, &r, "images", opts->common.quiet);
        if (!cli_stopped())
            print_pipeline(opts, &r, kits.n, (cli_now_ms() - start) / 1e3);
        for (int k = 0; k < N_STAGES; k++)
            free(r.ms[k]);
        rc = cli_worse(r.exit_code, r.n_images ? CLI_YES : CLI_NO);
    }
    cli_kits_free(&kits);
    cli_models_free(&models);
    cli_files_free(&files);
    return rc;
}

static const cli_example pipeline_examples[] = {
    { "see how long a folder of photographs would take", "mien bench pipeline ~/Pictures --threads 1" },
    { NULL, NULL },
};

const cli_verb cli_verb_bench_pipeline = {
    .name = "bench pipeline",
    .operands = "IMAGE|DIR...",
    .brief = "time reading, finding and embedding the faces of pictures",
    .about =
        "Does the whole way for each picture and every face in it, and prints the median time of each stage, "
        "and pictures per second of wall clock over all threads.",
    .exits = "0 done, 1 no picture could be used, 3 a bad file, 4 no model",
    .tables = { pipeline_options, cli_detector_options, cli_detect_options, cli_input_options },
    .examples = pipeline_examples,
    .opts_bytes = sizeof(pipeline_opts),
    .min_operands = 1,
    .run = run_pipeline,
};
