/* mien_train_bench(): the time of a training step.
 *
 * A run is what the loop of trainer.c does for one batch that is ready in memory: pack the changed weights,
 * forward with batch statistics, loss, backward, AdamW; no reading of pictures, no averaging of weights.
 * Pictures are uniform in
 * [-1, 1); each output follows a fixed random direction (mien__loss_cosine), so that the weights move as in a
 * distillation and stay finite. Reported are medians over the runs after WARM_UP, of the whole and of each
 * part for itself.
 */
#include "nn/mien_file.h"
#include "train/arch.h"
#include "train/loss.h"
#include "train/net.h"
#include <math.h>
#include <mien/train.h>
#include <stdlib.h>

enum { WARM_UP = 3, FREE_SIDE_PX = 320, MAX_BATCH = 4096, MAX_RUNS = 100000, MAX_SIDE_PX = 4096 };
enum { FORWARD, LOSS, BACKWARD, OPTIMISER, STEP, PARTS };

typedef struct bench {
    const mien_train_bench_opts *o;
    mien__graph *g;
    mien__net *net;
    mien__optim *optim;
    float **targets;   /* per output, unit rows */
    double *ms[PARTS]; /* [runs] */
    double *layers;    /* [steps][2][runs] when operators are timed */
    size_t n_layers;
} bench;

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Sorts. */
static double median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, by_value);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static void fill(mien__rng *rng, float *to, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = (float)(2.0 * mien__rng_unit(rng) - 1.0);
}

/* ---- making one ---- */

static mien_status check_opts(const mien_train_bench_opts *o, mien_error *err)
{
    if (!o || o->struct_size < sizeof *o || !o->arch)
        return mien__fail(err, MIEN_E_ARG, "options are NULL, of another version or without an architecture");
    if (o->batch < 2 || o->batch > MAX_BATCH || o->runs < 1 || o->runs > MAX_RUNS)
        return mien__fail(err, MIEN_E_ARG, "batch %d or runs %d out of range: 2 to %d, 1 to %d", o->batch,
                          o->runs, MAX_BATCH, MAX_RUNS);
    if (o->side_px < 0 || o->side_px > MAX_SIDE_PX)
        return mien__fail(err, MIEN_E_ARG, "side %d out of range: at most %d", o->side_px, MAX_SIDE_PX);
    return MIEN_OK;
}

static mien_status open_targets(bench *b, mien__rng *rng, mien_error *err)
{
    const size_t n = mien__net_n_taps(b->net), rows = (size_t)b->o->batch;
    if (!(b->targets = mien_alloc_array_zero(n, sizeof *b->targets)))
        return mien__nomem(err, n * sizeof *b->targets);
    for (size_t i = 0; i < n; i++) {
        const size_t count = mien__net_tap_at(b->net, i)->count, dim = count / rows;
        float *const t = b->targets[i] = mien_alloc_array(count, sizeof *t);
        if (!t)
            return mien__nomem(err, count * sizeof *t);
        fill(rng, t, count);
        for (size_t r = 0; r < rows; r++) {
            double norm = 0.0;
            for (size_t p = 0; p < dim; p++)
                norm += (double)t[r * dim + p] * (double)t[r * dim + p];
            for (size_t p = 0; p < dim; p++)
                t[r * dim + p] = (float)((double)t[r * dim + p] / sqrt(norm));
        }
    }
    return MIEN_OK;
}

static mien_status open_times(bench *b, mien_error *err)
{
    const size_t runs = (size_t)b->o->runs;
    mien__net_step_info info;
    for (int i = 0; i < PARTS; i++)
        if (!(b->ms[i] = mien_alloc_array_zero(runs, sizeof *b->ms[i])))
            return mien__nomem(err, runs * sizeof *b->ms[i]);
    if (!b->o->layer)
        return MIEN_OK;
    mien__net_time(b->net, true);
    while (mien__net_step_at(b->net, b->n_layers, &info))
        b->n_layers++;
    b->layers = mien_alloc_array_zero(2 * b->n_layers * runs, sizeof *b->layers);
    return b->layers ? MIEN_OK : mien__nomem(err, 2 * b->n_layers * runs * sizeof *b->layers);
}

static mien_status bench_open(bench *b, mien_error *err)
{
    const mien_train_bench_opts *const o = b->o;
    const int side = o->side_px ? o->side_px : FREE_SIDE_PX;
    const mien__optim_opts optim = {
        .kind = MIEN__ADAMW, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 1e-4
    };
    const mien__net_opts no = { .batch = o->batch,
                                .height = side,
                                .width = side,
                                .threads = o->threads,
                                .batch_stats = true,
                                .bn_momentum = 0.1 };
    mien_model_info info = mien__model_info_empty();
    mien__rng rng;
    size_t n = 0, n_params = 0;
    mien_status st = mien__arch_build(o->arch, 1, &b->g, &info, err);
    if (st || (st = mien__net_new(b->g, &no, &b->net, err)))
        return st;
    mien__param *const params = mien__net_params(b->net, &n_params);
    if ((st = mien__optim_new(&optim, params, n_params, &b->optim, err)))
        return st;
    mien__rng_seed(&rng, 1);
    float *const input = mien__net_input(b->net, &n);
    fill(&rng, input, n);
    return (st = open_targets(b, &rng, err)) ? st : open_times(b, err);
}

static void bench_close(bench *b)
{
    for (size_t i = 0; b->targets && i < mien__net_n_taps(b->net); i++)
        mien_free(b->targets[i]);
    mien_free(b->targets);
    for (int i = 0; i < PARTS; i++)
        mien_free(b->ms[i]);
    mien_free(b->layers);
    mien__optim_free(b->optim);
    mien__net_free(b->net);
    mien__graph_free(b->g);
}

/* ---- running ---- */

static void run_once(const bench *b, double ms[PARTS])
{
    double at[PARTS] = { mien__now_ms() };
    mien__net_forward(b->net);
    at[LOSS] = mien__now_ms();
    for (size_t i = 0; i < mien__net_n_taps(b->net); i++) {
        const mien__net_tap *const t = mien__net_tap_at(b->net, i);
        mien__loss_cosine(t->data, b->targets[i], b->o->batch, (int)(t->count / (size_t)b->o->batch),
                          t->grad);
    }
    at[BACKWARD] = mien__now_ms();
    mien__net_backward(b->net);
    at[OPTIMISER] = mien__now_ms();
    mien__optim_step(b->optim, 1e-3);
    mien__net_changed(b->net);
    at[STEP] = mien__now_ms();
    for (int i = 0; i < STEP; i++)
        ms[i] = at[i + 1] - at[i];
    ms[STEP] = at[STEP] - at[FORWARD];
}

static void keep_layers(const bench *b, size_t run)
{
    const size_t runs = (size_t)b->o->runs;
    mien__net_step_info info;
    for (size_t i = 0; i < b->n_layers && mien__net_step_at(b->net, i, &info); i++) {
        b->layers[2 * i * runs + run] = info.forward_ms;
        b->layers[(2 * i + 1) * runs + run] = info.backward_ms;
    }
}

static mien_status run_all(const bench *b, mien_error *err)
{
    double ms[PARTS];
    for (int run = -WARM_UP; run < b->o->runs; run++) {
        run_once(b, ms);
        if (run >= 0) {
            for (int i = 0; i < PARTS; i++)
                b->ms[i][run] = ms[i];
            keep_layers(b, (size_t)run);
        }
        if (b->o->run && b->o->run(run, ms[STEP], b->o->user))
            return mien__fail(err, MIEN_E_INTERRUPTED, "stopped after %d of %d runs", run < 0 ? 0 : run + 1,
                              b->o->runs);
    }
    return MIEN_OK;
}

static void tell_layers(const bench *b)
{
    const size_t runs = (size_t)b->o->runs;
    mien__net_step_info info;
    for (size_t i = 0; i < b->n_layers && mien__net_step_at(b->net, i, &info); i++) {
        const mien_train_layer layer = { .name = info.name,
                                         .op = info.op,
                                         .kernel = info.kernel,
                                         .forward_ms = median(b->layers + 2 * i * runs, runs),
                                         .backward_ms = median(b->layers + (2 * i + 1) * runs, runs) };
        b->o->layer(&layer, b->o->user);
    }
}

static mien_train_bench_result result_of(const bench *b)
{
    const size_t runs = (size_t)b->o->runs;
    mien_train_bench_result r = { .runs = b->o->runs };
    size_t n = 0;
    const mien__param *const params = mien__net_params(b->net, &n);
    for (size_t i = 0; i < n; i++)
        r.n_weights += params[i].trainable ? params[i].count : 0;
    r.forward_ms = median(b->ms[FORWARD], runs);
    r.loss_ms = median(b->ms[LOSS], runs);
    r.backward_ms = median(b->ms[BACKWARD], runs);
    r.optimiser_ms = median(b->ms[OPTIMISER], runs);
    r.step_ms = median(b->ms[STEP], runs);
    r.min_ms = b->ms[STEP][0];
    r.images_per_s = r.step_ms > 0 ? 1e3 * b->o->batch / r.step_ms : 0.0;
    const mien__value *const in = &b->g->values[b->g->inputs[0]];
    const int64_t side = b->o->side_px ? b->o->side_px : FREE_SIDE_PX;
    r.height_px = (int)(in->dims[2] > 0 ? in->dims[2] : side);
    r.width_px = (int)(in->dims[3] > 0 ? in->dims[3] : side);
    return r;
}

mien_status mien_train_bench(const mien_train_bench_opts *opts, mien_train_bench_result *ret_result,
                             mien_error *err)
{
    bench b = { .o = opts };
    mien_status st = check_opts(opts, err);
    if (st)
        return st;
    if (!ret_result)
        return mien__fail(err, MIEN_E_ARG, "nowhere to put the result");
    if (!(st = bench_open(&b, err)) && !(st = run_all(&b, err))) {
        if (opts->layer)
            tell_layers(&b);
        *ret_result = result_of(&b);
    }
    bench_close(&b);
    return st;
}
