/* The public side of training: options, the kinds of runs, their results. */
#include "nn/mien_file.h"
#include "train/arch.h"
#include "train/train_detect.h"
#include "train/train_embed.h"
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void mien_train_opts_init(mien_train_opts *opts)
{
    *opts = (mien_train_opts){ .struct_size = sizeof *opts,
                               .val_fraction = 0.1,
                               .tune = "all",
                               .w_embed = 1.0,
                               .w_hint = 1.0,
                               .w_truth = 1.0,
                               .w_landmark = 1.0,
                               .epochs = 10,
                               .batch = 32,
                               .accumulate = 1,
                               .lr = 1e-3,
                               .lr_floor = 0.01,
                               .warmup_epochs = 0.2,
                               .weight_decay = 1e-4,
                               .momentum = 0.9,
                               .clip_norm = 5.0,
                               .ema = 0.999,
                               .validate_epochs = 1,
                               .checkpoint_s = 120,
                               .seed = 1,
                               .threads = 0 };
}

/* Numbers that must be finite and not below zero, whatever else is asked of them. */
static mien_status check_numbers(const mien_train_opts *o, mien_error *err)
{
    const struct {
        const char *name;
        double value, below;
    } numbers[] = {
        { "blockwise epochs", o->blockwise_epochs, 1e6 },
        { "weight of embeddings", o->w_embed, 1e9 },
        { "weight of relations", o->w_relation, 1e9 },
        { "weight of hints", o->w_hint, 1e9 },
        { "weight of the truth", o->w_truth, 1e9 },
        { "weight of landmarks", o->w_landmark, 1e9 },
        { "lowest learning rate", o->lr_floor, 1.0 + 1e-12 },
        { "warm-up", o->warmup_epochs, 1e6 },
        { "weight decay", o->weight_decay, 1e3 },
        { "momentum", o->momentum, 1.0 },
        { "greatest gradient norm", o->clip_norm, 1e12 },
        { "weight average", o->ema, 1.0 },
        { "scale", o->scale, 1e6 },
        { "margin", o->margin, 1e3 },
        { "seconds between checkpoints", o->checkpoint_s, 1e9 },
    };
    for (size_t i = 0; i < MIEN_COUNTOF(numbers); i++)
        if (!(numbers[i].value >= 0 && numbers[i].value < numbers[i].below))
            return mien__fail(err, MIEN_E_ARG, "%s: %g is out of range", numbers[i].name, numbers[i].value);
    return MIEN_OK;
}

static mien_status check_opts(const mien_train_opts *o, mien_error *err)
{
    if (!o || o->struct_size < sizeof *o)
        return mien__fail(err, MIEN_E_ARG, "options are NULL or of another version");
    if (!o->data || !o->dir)
        return mien__fail(err, MIEN_E_ARG, "a run needs data and a folder");
    if (!o->arch == !o->model)
        return mien__fail(err, MIEN_E_ARG, "a run starts either from an architecture or from a model");
    if (!o->aligned && !o->detector && !(o->arch && strncmp(o->arch, "yunet", 5) == 0))
        return mien__fail(err, MIEN_E_ARG, "pictures that are not aligned need a detector");
    if (o->batch < 2 || o->batch > 4096 || o->epochs < 1 || o->epochs > 100000 || o->accumulate < 1 ||
        o->accumulate > 1024)
        return mien__fail(err, MIEN_E_ARG, "batch %d, epochs %d or accumulation %d out of range", o->batch,
                          o->epochs, o->accumulate);
    if ((int)o->loss < MIEN_LOSS_DISTILL || (int)o->loss > MIEN_LOSS_TRIPLET)
        return mien__fail(err, MIEN_E_ARG, "there is no loss %d", (int)o->loss);
    if (!(o->lr > 0) || !(o->lr < 100) || !(o->val_fraction > 0) || !(o->val_fraction < 1))
        return mien__fail(err, MIEN_E_ARG, "learning rate %g or share of validation %g out of range", o->lr,
                          o->val_fraction);
    const mien_status st = check_numbers(o, err);
    if (st)
        return st;
    mien__augment parsed; /* before hours of looking for faces */
    return o->augment ? mien__augment_parse(o->augment, &parsed, err) : MIEN_OK;
}

/* Files that were being written when an earlier run was killed, by the names that mien__file_write_parts()
 * gives them. */
static void drop_unfinished(const char *path)
{
    static const char *const finished[] = { "checkpoint.bin",  "best.mien",   "faces.index",
                                            "faces-val.index", "targets.bin", "report.html" };
    static const char mark[] = ".tmp.";
    DIR *const dir = opendir(path);
    for (const struct dirent *e = NULL; dir && (e = readdir(dir)) != NULL;)
        for (size_t i = 0; i < MIEN_COUNTOF(finished); i++) {
            const size_t n = strlen(finished[i]);
            if (strncmp(e->d_name, finished[i], n) == 0 &&
                strncmp(e->d_name + n, mark, sizeof mark - 1) == 0 &&
                strlen(e->d_name + n) == sizeof mark - 1 + 6)
                (void)unlinkat(dirfd(dir), e->d_name, 0);
        }
    if (dir)
        closedir(dir);
}

static mien_status make_dir(const char *path, mien_error *err)
{
    struct stat s;
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        return mien__fail(err, MIEN_E_IO, "cannot make the folder '%.150s': %s", path, strerror(errno));
    if (stat(path, &s) != 0 || !S_ISDIR(s.st_mode))
        return mien__fail(err, MIEN_E_IO, "the run folder '%.150s' is no folder", path);
    drop_unfinished(path);
    return MIEN_OK;
}

/* What decides the course of a run, hashed, so that a checkpoint is not resumed with other settings. Its
 * length is not in it: a run may be resumed with more epochs, and the learning rate then follows the longer
 * schedule. */
static void fingerprint(const mien_train_opts *o, char ret[65])
{
    char text[4096];
    int at = snprintf(text, sizeof text,
                      "%.500s|%.500s|%.200s|%.64s|%.30s|%d|%d|%d|%g|%g|%g|%g|%g|%g|%g|%d|%g|%g|%llu|%zu|",
                      o->data, o->val_data ? o->val_data : "", o->arch ? o->arch : "",
                      o->model ? mien_model_info_of(o->model)->sha256 : "", o->tune ? o->tune : "",
                      (int)o->loss, o->batch, o->accumulate, o->lr, o->lr_floor, o->warmup_epochs,
                      o->weight_decay, o->momentum, o->clip_norm, o->ema, o->sgd, o->scale, o->margin,
                      (unsigned long long)o->seed, o->max_images);
    at += snprintf(text + at, sizeof text - (size_t)at, "%g|%g|%g|%g|%g|%g|%.500s|%zu|", o->w_embed,
                   o->w_relation, o->w_hint, o->w_truth, o->w_landmark, o->val_fraction,
                   o->augment ? o->augment : "", o->n_hints);
    for (size_t i = 0; i < o->n_teachers && at < (int)sizeof text - 80; i++)
        at += snprintf(text + at, sizeof text - (size_t)at, "%.64s|",
                       mien_model_info_of(o->teachers[i])->sha256);
    mien__sha256_hex(text, strlen(text), ret);
}

static mien_status parse_tune(const char *tune, int *ret_last, mien_error *err)
{
    int64_t n = 0;
    *ret_last = 0;
    if (!tune || strcmp(tune, "all") == 0 || strcmp(tune, "head") == 0)
        return MIEN_OK;
    if (strncmp(tune, "last:", 5) != 0 || !mien__parse_i64(tune + 5, &n) || n < 1 || n > 10000)
        return mien__fail(err, MIEN_E_ARG, "what is tuned is 'head', 'last:N' or 'all', not '%.40s'", tune);
    *ret_last = (int)n;
    return MIEN_OK;
}

static mien__loop_opts loop_opts(const mien_train_opts *o, const mien__task *task, const char *print)
{
    const uint64_t per_epoch = task->steps_per_epoch / (uint64_t)o->accumulate;
    return (mien__loop_opts){ .optim = { .kind = o->sgd ? MIEN__SGD : MIEN__ADAMW,
                                         .momentum = o->momentum,
                                         .beta1 = 0.9,
                                         .beta2 = 0.999,
                                         .eps = 1e-8,
                                         .weight_decay = o->weight_decay,
                                         .clip_norm = o->clip_norm,
                                         .ema = o->ema },
                              .lr = o->lr,
                              .floor = o->lr_floor,
                              .epochs = o->epochs,
                              .warmup_steps =
                                  (uint64_t)(o->warmup_epochs * (double)(per_epoch ? per_epoch : 1)),
                              .accumulate = o->accumulate,
                              .validate_epochs = o->validate_epochs,
                              .patience = o->patience,
                              .checkpoint_s = o->checkpoint_s,
                              .dir = o->dir,
                              .resume = o->resume != 0,
                              .fingerprint = print,
                              .force = o->force != 0,
                              .max_steps = o->max_steps,
                              .progress = o->progress,
                              .user = o->user };
}

/* The graph to train and its description; the caller frees *ret_graph when *ret_owned. */
static mien_status start_graph(const mien_train_opts *o, mien__graph **ret_owned,
                               const mien__graph **ret_graph, mien_model_info *ret_info, mien_error *err)
{
    *ret_info = mien__model_info_empty();
    if (o->model) {
        *ret_info = *mien_model_info_of(o->model);
        *ret_graph = mien__model_graph(o->model);
        return MIEN_OK;
    }
    const mien_status st = mien__arch_build(o->arch, o->seed, ret_owned, ret_info, err);
    ret_info->name = "trained";
    *ret_graph = *ret_owned;
    return st;
}

/* A tuned model scores otherwise than the one it came from: thresholds and digest of that one do not hold. */
static mien_status forget_calibration(mien_model *m, mien_error *err)
{
    mien_model_info info = *mien_model_info_of(m);
    info.points = NULL;
    info.n_points = 0;
    info.default_fmr = 0.0;
    info.n_mated = info.n_nonmated = 0;
    info.protocol = "";
    info.sha256 = "";
    return mien_model_set_info(m, &info, err);
}

static mien_status train_embedder(const mien_train_opts *o, const mien__graph *g, const mien_model_info *info,
                                  mien_model **ret_model, mien_train_result *ret, mien_error *err)
{
    mien__run_data data = { 0 };
    mien__embed_task *task = NULL;
    mien__net *net = NULL;
    mien__graph *layer = NULL;
    mien_model *best = NULL;
    mien_train_result told;
    mien__loop_result result;
    char print[65];
    mien__net_opts no = {
        .batch = o->batch, .threads = o->threads, .batch_stats = !o->model, .bn_momentum = 0.1
    };
    mien_status st = parse_tune(o->tune, &no.last, err);
    if (st || (st = mien__run_data_open(o, o->dir, &data, err)) ||
        (st = mien__embed_task_new(o, &data, info, o->model, &task, err)))
        goto done;
    if (mien__tune_head(o) && (st = mien__arch_layer(info->embedding_len, &layer, err)))
        goto done;
    no.taps = mien__embed_task_taps(task, &no.n_taps);
    no.forced = o->blockwise_epochs > 0 && o->n_hints > 0;
    if ((st = mien__net_new(layer ? layer : g, &no, &net, err)))
        goto done;
    if (no.forced)
        mien__embed_task_attach(task, net);
    fingerprint(o, print);
    const mien__loop_opts lo = loop_opts(o, mien__embed_task_of(task), print);
    if ((st = mien__train_loop(net, mien__embed_task_of(task), &lo, &best, &result, err)))
        goto done;
    told = (mien_train_result){ .steps = result.steps,
                                .seconds = result.seconds,
                                .loss = result.last_loss,
                                .score = result.best_score,
                                .stopped_early = result.stopped_early,
                                .n_train = data.n_train,
                                .n_val = data.n_val,
                                .n_people = data.n_people,
                                .n_left_out = data.set->n_unreadable + data.set->n_no_face,
                                .n_duplicates = data.n_duplicates };
    if (o->model && (st = forget_calibration(best, err)))
        goto done;
    if ((st = mien__train_conclude(o, task, &data, o->model, best, &told, err)))
        goto done;
    *ret = told;
    *ret_model = best;
    best = NULL;
done:
    mien_model_free(best);
    mien__graph_free(layer);
    mien__net_free(net);
    mien__embed_task_free(task);
    mien__run_data_close(&data);
    return st;
}

static mien_status train_detector(const mien_train_opts *o, const mien__graph *g, const mien_model_info *info,
                                  mien_model **ret_model, mien_train_result *ret, mien_error *err)
{
    mien__detect_task *task = NULL;
    mien__net *net = NULL;
    mien__loop_result result;
    char print[65];
    mien__net_opts no = { .batch = o->batch, .threads = o->threads, .batch_stats = true, .bn_momentum = 0.1 };
    mien_status st = mien__detect_task_new(o, info, &task, err);
    if (st)
        return st;
    no.width = no.height = mien__detect_task_side(task);
    no.taps = mien__detect_task_taps(task, &no.n_taps);
    no.forced = o->blockwise_epochs > 0 && o->n_hints > 0;
    if ((st = mien__net_new(g, &no, &net, err)))
        goto done;
    if (no.forced)
        mien__detect_task_attach(task, net);
    fingerprint(o, print);
    const mien__loop_opts lo = loop_opts(o, mien__detect_task_of(task), print);
    if ((st = mien__train_loop(net, mien__detect_task_of(task), &lo, ret_model, &result, err)))
        goto done;
    *ret = (mien_train_result){ .steps = result.steps,
                                .seconds = result.seconds,
                                .loss = result.last_loss,
                                .score = result.best_score,
                                .stopped_early = result.stopped_early,
                                .n_train = mien__detect_task_pictures(task) };
done:
    mien__net_free(net);
    mien__detect_task_free(task);
    return st;
}

mien_status mien_train(const mien_train_opts *opts, mien_model **ret_model, mien_train_result *ret_result,
                       mien_error *err)
{
    mien__graph *owned = NULL;
    const mien__graph *g = NULL;
    mien_model_info info;
    mien_status st = check_opts(opts, err);
    if (st || !ret_model || !ret_result)
        return st ? st : mien__fail(err, MIEN_E_ARG, "model or result is NULL");
    if ((st = make_dir(opts->dir, err)) || (st = start_graph(opts, &owned, &g, &info, err)))
        return st;
    if (info.task == MIEN_TASK_DETECT && opts->model)
        st = mien__fail(err, MIEN_E_MODEL_TASK, "detectors are trained from an architecture, not tuned");
    else
        st = (info.task == MIEN_TASK_DETECT ? train_detector : train_embedder)(opts, g, &info, ret_model,
                                                                               ret_result, err);
    mien__graph_free(owned);
    return st;
}

mien_status mien_train_preview(const mien_train_opts *opts, int rows, int columns, mien_image **ret_image,
                               mien_error *err)
{
    mien__graph *owned = NULL;
    const mien__graph *g = NULL;
    mien_model_info info;
    mien__run_data data = { 0 };
    mien__augment a = mien__augment_default;
    mien_status st = check_opts(opts, err);
    if (st || !ret_image)
        return st ? st : mien__fail(err, MIEN_E_ARG, "image is NULL");
    if ((opts->augment && (st = mien__augment_parse(opts->augment, &a, err))) ||
        (st = start_graph(opts, &owned, &g, &info, err)))
        goto done;
    if (info.task == MIEN_TASK_DETECT) {
        mien__detect_task *task = NULL;
        if (!(st = mien__detect_task_new(opts, &info, &task, err)))
            st = mien__detect_task_sheet(task, rows, columns, ret_image, err);
        mien__detect_task_free(task);
        goto done;
    }
    if ((st = mien__run_data_open(opts, NULL, &data, err)))
        goto done;
    st = mien__augment_sheet(data.set, data.train, data.n_train, &a, info.landmarks, info.input_width, rows,
                             columns, opts->seed, ret_image, err);
done:
    mien__run_data_close(&data);
    mien__graph_free(owned);
    return st;
}
