/* mien bench train: how fast this machine trains, as JSON or text. The library takes the times; here they are
 * printed. */
#include "json.h"
#include "kit.h"
#include <mien/train.h>
#include <stdlib.h>

typedef struct train_opts {
    const char *arch;
    int threads, batch, size, runs, layers, format;
} train_opts;

static const cli_option train_options[] = {
    { .name = "arch",
      .letter = 'a',
      .kind = CLI_TEXT,
      .offset = offsetof(train_opts, arch),
      .value = "A",
      .def = "mobilefacenet",
      .brief = "network, as of mien train" },
    { .name = "batch",
      .letter = 'b',
      .kind = CLI_INT,
      .offset = offsetof(train_opts, batch),
      .value = "N",
      .def = "32",
      .min = 2,
      .max = 4096,
      .brief = "pictures per step" },
    { .name = "threads",
      .letter = 't',
      .kind = CLI_INT,
      .offset = offsetof(train_opts, threads),
      .value = "N",
      .def = "2",
      .min = 0,
      .max = 256,
      .brief = "threads; 0: all processors" },
    { .name = "size",
      .letter = 's',
      .kind = CLI_INT,
      .offset = offsetof(train_opts, size),
      .value = "PX",
      .def = "320",
      .min = 32,
      .max = 4096,
      .brief = "side of the input, where the network leaves it free" },
    { .name = "runs",
      .letter = 'r',
      .kind = CLI_INT,
      .offset = offsetof(train_opts, runs),
      .value = "N",
      .def = "20",
      .min = 1,
      .max = 100000,
      .brief = "timed steps" },
    { .name = "layers",
      .letter = 'l',
      .kind = CLI_FLAG,
      .offset = offsetof(train_opts, layers),
      .brief = "each operator with its kernel and its times" },
    { .name = "format",
      .letter = 'f',
      .kind = CLI_CHOICE,
      .offset = offsetof(train_opts, format),
      .value = "json|text",
      .def = "json",
      .brief = "how to print" },
    { 0 },
};

typedef struct train_layers {
    mien_train_layer *items; /* strings are copies */
    size_t n, capacity;
} train_layers;

static void keep_layer(const mien_train_layer *layer, void *user)
{
    train_layers *list = user;
    if (list->n == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 64;
        list->items = cli_grow(list->items, list->capacity, sizeof *list->items);
    }
    mien_train_layer *const to = &list->items[list->n++];
    *to = *layer;
    to->name = cli_strdup(layer->name);
    to->op = cli_strdup(layer->op);
    to->kernel = cli_strdup(layer->kernel);
}

static void free_layers(train_layers *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free((void *)(uintptr_t)list->items[i].name);
        free((void *)(uintptr_t)list->items[i].op);
        free((void *)(uintptr_t)list->items[i].kernel);
    }
    free(list->items);
}

static int after_run(int run, double ms, void *user)
{
    (void)ms, (void)user;
    cli_progress_step(run < 0 ? 0 : (uint64_t)run + 1);
    return cli_stopped();
}

static void print_train(const train_opts *opts, const mien_train_bench_result *r, const train_layers *layers)
{
    const unsigned threads = opts->threads ? (unsigned)opts->threads : mien_cpu_count();
    if (opts->format == 1) {
        printf("%s %dx3x%dx%d, %u thread%s, %s: median %.2f ms, best %.2f ms, %.1f images/s; forward %.2f, "
               "loss %.2f, "
               "backward %.2f, optimiser %.2f ms\n",
               opts->arch, opts->batch, r->height_px, r->width_px, threads, threads == 1 ? "" : "s",
               mien_cpu_level(), r->step_ms, r->min_ms, r->images_per_s, r->forward_ms, r->loss_ms,
               r->backward_ms, r->optimiser_ms);
        if (layers->n)
            printf("\n%9s %9s  %-28s %-20s %s\n", "forward", "backward", "kernel", "op", "name");
        for (size_t i = 0; i < layers->n; i++)
            printf("%9.3f %9.3f  %-28s %-20s %s\n", layers->items[i].forward_ms, layers->items[i].backward_ms,
                   layers->items[i].kernel, layers->items[i].op, layers->items[i].name);
        return;
    }
    json_t *page = json_object(), *list = opts->layers ? json_array() : NULL;
    cli_json_set(page, "arch", cli_json_text(opts->arch));
    cli_json_set(page, "input", json_pack("[iiii]", opts->batch, 3, r->height_px, r->width_px));
    cli_json_set(page, "weights", json_integer((json_int_t)r->n_weights));
    cli_json_set(page, "cpu_level", json_string(mien_cpu_level()));
    cli_json_set(page, "threads", json_integer(threads));
    cli_json_set(page, "batch", json_integer(opts->batch));
    cli_json_set(page, "runs", json_integer(r->runs));
    cli_json_set(page, "median_ms", cli_json_round(r->step_ms, 4));
    cli_json_set(page, "min_ms", cli_json_round(r->min_ms, 4));
    cli_json_set(page, "forward_ms", cli_json_round(r->forward_ms, 4));
    cli_json_set(page, "loss_ms", cli_json_round(r->loss_ms, 4));
    cli_json_set(page, "backward_ms", cli_json_round(r->backward_ms, 4));
    cli_json_set(page, "optimiser_ms", cli_json_round(r->optimiser_ms, 4));
    cli_json_set(page, "images_per_second", cli_json_round(r->images_per_s, 2));
    for (size_t i = 0; list && i < layers->n; i++) {
        json_t *item = json_object();
        cli_json_set(item, "name", cli_json_text(layers->items[i].name));
        cli_json_set(item, "op", cli_json_text(layers->items[i].op));
        cli_json_set(item, "kernel", cli_json_text(layers->items[i].kernel));
        cli_json_set(item, "forward_ms", cli_json_round(layers->items[i].forward_ms, 4));
        cli_json_set(item, "backward_ms", cli_json_round(layers->items[i].backward_ms, 4));
        cli_json_append(list, item);
    }
    if (list)
        cli_json_set(page, "layers", list);
    cli_json_page(stdout, page);
}

static int run_train(void *p, int argc, char **argv)
{
    const train_opts *opts = p;
    train_layers layers = { NULL, 0, 0 };
    mien_train_bench_opts bench = MIEN_TRAIN_BENCH_OPTS_INIT;
    mien_train_bench_result result;
    mien_error err = MIEN_ERROR_INIT;
    (void)argc, (void)argv;
    bench.arch = opts->arch;
    bench.batch = opts->batch;
    bench.threads = (unsigned)opts->threads;
    bench.side_px = opts->size;
    bench.runs = opts->runs;
    bench.run = after_run;
    bench.layer = opts->layers ? keep_layer : NULL;
    bench.user = &layers;
    cli_progress_begin("steps", (uint64_t)opts->runs, false);
    const mien_status st = mien_train_bench(&bench, &result, &err);
    cli_progress_end();
    int rc = CLI_YES;
    if (st == MIEN_OK)
        print_train(opts, &result, &layers);
    else if (!cli_stopped())
        rc = st == MIEN_E_ARG ? cli_usage(&cli_verb_bench_train, "%s", err.message) : cli_fail(&err);
    free_layers(&layers);
    return rc;
}

static const cli_example train_examples[] = {
    { "pictures per second of training an embedder on all processors", "mien bench train --threads 0" },
    { "see where the time of a detector's step goes",
      "mien bench train --arch yunet --layers --format text" },
    { NULL, NULL },
};

const cli_verb cli_verb_bench_train = {
    .name = "bench train",
    .operands = "",
    .brief = "time one step of training",
    .about = "Trains the network on one batch of random pictures, forward, loss, backward and AdamW, and "
             "prints the median "
             "times, after three steps of warm-up. With --layers each operator is timed; a fused one has the "
             "name of its first.",
    .exits = "0 done, 2 usage: no such network",
    .tables = { train_options },
    .examples = train_examples,
    .opts_bytes = sizeof(train_opts),
    .run = run_train,
};
