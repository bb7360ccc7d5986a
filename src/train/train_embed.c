/* Training an embedder: crops from the loader; losses by distillation, by a classification head, or by
 * triplets, and any sum of distillation with one of the latter; validation on crops kept in memory, by people
 * where they are labelled, else by how well the targets are met.
 */
#include "train/train_embed.h"
#include "train/arch.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Frozen embeddings of augmented crops: what `tune head` learns from. */
typedef struct frozen {
    const mien_model *model;
    float *rows; /* [n_train][VARIANTS][dim] */
    size_t *order, epoch_of_order;
    bool ordered;
} frozen;

enum { VARIANTS = 8 }; /* augmented crops per picture that a frozen embedding is made of */

struct mien__embed_task {
    const mien_train_opts *o;
    const mien__run_data *data;
    const mien_model_info *info;
    mien__task task;
    mien__loader *loader;
    mien__batch batch;
    uint64_t next_step; /* of the loader */
    int side, dim;
    float *targets, *val_targets, *batch_targets;
    mien__hints *hints;
    const char **taps;
    const float **forced; /* the hints' values, one per tap */
    size_t n_taps;
    mien__net *net;
    int32_t *classes; /* label to class of the head, -1 for people of validation */
    int n_classes;
    int32_t *batch_classes;
    mien__param head;
    float *head_w, *head_g, *d_part;
    void *scratch;
    uint8_t *val_rgb;
    int32_t *val_labels;
    size_t n_val;
    bool labelled;
    mien__validation validation;
    const mien__validation *shown; /* &validation once measured */
    unsigned threads;
    frozen frozen; /* .rows NULL unless only a layer behind the embedding is trained */
};

/* ---- batches ---- */

static void put_target(mien__embed_task *t, int i, size_t sample, int32_t label)
{
    if (t->targets)
        memcpy(t->batch_targets + (size_t)i * (size_t)t->dim, t->targets + sample * (size_t)t->dim,
               (size_t)t->dim * sizeof(float));
    t->batch_classes[i] = label >= 0 && t->classes ? t->classes[label] : label;
}

/* A permutation of the training samples from (seed, epoch): Fisher, Yates. */
static void shuffle(mien__embed_task *t, uint64_t epoch)
{
    mien__rng rng;
    if (t->frozen.ordered && t->frozen.epoch_of_order == epoch)
        return;
    mien__augment_stream(t->o->seed, epoch, UINT64_MAX, &rng);
    for (size_t i = 0; i < t->data->n_train; i++)
        t->frozen.order[i] = i;
    for (size_t i = t->data->n_train; i > 1; i--) {
        const size_t j = (size_t)(mien__rng_unit(&rng) * (double)i), x = t->frozen.order[i - 1];
        t->frozen.order[i - 1] = t->frozen.order[j];
        t->frozen.order[j] = x;
    }
    t->frozen.ordered = true;
    t->frozen.epoch_of_order = epoch;
}

static mien_status fill_frozen(void *ctx, uint64_t step, float *input, mien_error *err)
{
    mien__embed_task *t = ctx;
    const uint64_t epoch = step / t->task.steps_per_epoch, within = step % t->task.steps_per_epoch;
    (void)err;
    shuffle(t, epoch);
    t->batch.n = t->o->batch;
    for (int i = 0; i < t->o->batch; i++) {
        const size_t at = t->frozen.order[(within * (uint64_t)t->o->batch + (uint64_t)i) % t->data->n_train];
        mien__rng rng;
        mien__augment_stream(t->o->seed, epoch, at, &rng);
        const size_t variant = (size_t)(mien__rng_unit(&rng) * VARIANTS);
        memcpy(input + (size_t)i * (size_t)t->dim,
               t->frozen.rows + (at * VARIANTS + variant) * (size_t)t->dim, (size_t)t->dim * sizeof *input);
        put_target(t, i, t->data->train[at], t->data->set->samples[t->data->train[at]].label);
    }
    return MIEN_OK;
}

static mien_status fill(void *ctx, uint64_t step, float *input, mien_error *err)
{
    mien__embed_task *t = ctx;
    const uint64_t per = t->task.steps_per_epoch;
    mien_status st = MIEN_OK;
    if (step != t->next_step && (st = mien__loader_seek(t->loader, step / per, step % per, err)))
        return st;
    if ((st = mien__loader_next(t->loader, &t->batch, err)))
        return st;
    t->next_step = step + 1;
    mien__planes_from_rgb(t->info, t->batch.rgb, t->batch.n, t->side, t->side, input, NULL);
    for (int i = 0; i < t->batch.n; i++)
        put_target(t, i, t->batch.samples[i], t->batch.labels[i]);
    if (t->hints && !(st = mien__hints_run(t->hints, t->batch.rgb, err)) && t->net)
        mien__hints_force(t->hints, t->net, (double)step < t->o->blockwise_epochs * (double)per, t->forced);
    return st;
}

/* ---- losses ---- */

static void add_scaled(float *to, const float *from, size_t n, float factor)
{
    for (size_t i = 0; i < n; i++)
        to[i] += factor * from[i];
}

static double label_loss(mien__embed_task *t, const mien__net_tap *e, mien__net *net, mien__parts *parts)
{
    const int n = t->batch.n;
    double loss = 0.0;
    if (t->o->loss == MIEN_LOSS_TRIPLET) {
        int triplets = 0;
        loss = mien__loss_triplet(e->data, t->batch_classes, n, t->dim, t->o->margin > 0 ? t->o->margin : 0.2,
                                  t->d_part, &triplets, t->scratch);
        mien__parts_add(parts, "triplets", triplets);
    } else {
        int correct = 0;
        const bool arc = t->o->loss == MIEN_LOSS_ARCFACE;
        const mien__head_opts head = { .kind = t->o->loss == MIEN_LOSS_SOFTMAX ? MIEN__HEAD_SOFTMAX
                                               : arc                           ? MIEN__HEAD_ARCFACE
                                                                               : MIEN__HEAD_COSFACE,
                                       .scale = t->o->scale > 0 ? t->o->scale : 64.0,
                                       .margin = t->o->margin > 0 ? t->o->margin
                                                 : arc            ? 0.5
                                                                  : 0.35 };
        loss =
            mien__loss_head(&head, e->data, t->head_w, t->batch_classes, n, t->n_classes, t->dim, t->d_part,
                            t->head_g, &correct, t->scratch, mien__train_kernels_get(), mien__net_pool(net));
        mien__parts_add(parts, "train_accuracy", (double)correct / n);
    }
    add_scaled(e->grad, t->d_part, e->count, 1.0f);
    mien__parts_add(parts, "loss_label", loss);
    return loss;
}

static double distil_loss(mien__embed_task *t, const mien__net_tap *e, mien__parts *parts)
{
    const int n = t->batch.n;
    double loss = 0.0;
    if (t->o->w_embed > 0) {
        const double cosine = mien__loss_cosine(e->data, t->batch_targets, n, t->dim, t->d_part);
        add_scaled(e->grad, t->d_part, e->count, (float)t->o->w_embed);
        mien__parts_add(parts, "loss_cosine", cosine);
        loss += t->o->w_embed * cosine;
    }
    if (t->o->w_relation > 0) {
        const double r =
            mien__loss_relational(e->data, t->dim, t->batch_targets, t->dim, n, t->d_part, t->scratch);
        add_scaled(e->grad, t->d_part, e->count, (float)t->o->w_relation);
        mien__parts_add(parts, "loss_relation", r);
        loss += t->o->w_relation * r;
    }
    return loss;
}

static mien_status loss(void *ctx, mien__net *net, double *ret_loss, mien__parts *ret_parts, mien_error *err)
{
    mien__embed_task *t = ctx;
    const mien__net_tap *e = mien__net_tap_at(net, 0);
    memset(e->grad, 0, e->count * sizeof *e->grad);
    *ret_loss = 0.0;
    if (t->o->loss != MIEN_LOSS_DISTILL)
        *ret_loss += label_loss(t, e, net, ret_parts);
    if (t->targets)
        *ret_loss += distil_loss(t, e, ret_parts);
    return mien__hints_loss(t->hints, net, t->o->w_hint, ret_loss, ret_parts, err);
}

/* ---- validation ---- */

enum { VAL_BATCH = 64 };

/* Embeddings of the crops kept for validation. */
static mien_status embed_val(mien__embed_task *t, const mien_model *model, float *ret, mien_error *err)
{
    mien_embed_opts o = MIEN_EMBED_OPTS_INIT;
    mien_embedder *embedder = NULL;
    mien_image_view views[VAL_BATCH];
    const size_t bytes = (size_t)t->side * (size_t)t->side * 3;
    const size_t len = (size_t)mien_model_info_of(model)->embedding_len;
    o.threads = t->threads;
    mien_status st = mien_embedder_new(model, &o, &embedder, err);
    for (size_t i = 0; !st && i < t->n_val; i += VAL_BATCH) {
        const size_t n = t->n_val - i < VAL_BATCH ? t->n_val - i : VAL_BATCH;
        for (size_t j = 0; j < n; j++)
            views[j] =
                (mien_image_view){ t->val_rgb + (i + j) * bytes, t->side, t->side, (size_t)t->side * 3 };
        st = mien_embed_crops(embedder, views, n, ret + i * len, err);
    }
    mien_embedder_free(embedder);
    return st;
}

static mien__validate_opts validate_opts(void)
{
    mien__validate_opts vo = MIEN__VALIDATE_OPTS_INIT;
    vo.resamples = 200; /* during a run; the final comparison takes more */
    return vo;
}

static mien_status validate(void *ctx, const mien_model *model, mien__parts *ret_parts, double *ret_score,
                            mien_error *err)
{
    mien__embed_task *t = ctx;
    const size_t dim = (size_t)t->dim;
    float *e = mien_alloc_array(t->n_val * dim, sizeof *e);
    mien_status st = e ? embed_val(t, model, e, err) : mien__nomem(err, t->n_val * dim * sizeof *e);
    if (!st && t->val_targets) {
        double sum = 0.0;
        for (size_t i = 0; i < t->n_val; i++)
            sum += mien_cosine(e + i * dim, t->val_targets + i * dim, dim);
        *ret_score = sum / (double)t->n_val;
        mien__parts_add(ret_parts, "target_cosine", *ret_score);
    }
    if (!st && t->labelled) {
        const mien__validate_opts vo = validate_opts();
        mien__validation_clear(&t->validation);
        t->shown = NULL;
        st = mien__validate(e, t->val_labels, t->n_val, t->dim, &vo, &t->validation, err);
        if (!st) {
            t->shown = &t->validation;
            *ret_score = 1.0 - t->validation.open.at[0].fnmr.value;
            mien__parts_add(ret_parts, "tar_at_far_1e-2", *ret_score);
        }
    }
    mien_free(e);
    return st;
}

mien__val_crops mien__embed_task_val(const mien__embed_task *t)
{
    const mien__dataset *d = t->data->val_set ? t->data->val_set : t->data->set;
    return (mien__val_crops){ t->val_rgb, t->val_labels, d->people, t->n_val, d->n_people, t->side };
}

mien_status mien__embed_task_embed(mien__embed_task *t, const mien_model *model, float *ret, mien_error *err)
{
    return embed_val(t, model, ret, err);
}

bool mien__embed_task_labelled(const mien__embed_task *t)
{
    return t->labelled;
}

/* ---- opening ---- */

static mien_status open_loader(mien__embed_task *t, mien_error *err)
{
    mien__loader_opts lo = { .set = t->data->set,
                             .indices = t->data->train,
                             .n_indices = t->data->n_train,
                             .side = t->side,
                             .batch = t->o->batch,
                             .shuffle = true,
                             .drop_last = true,
                             .seed = t->o->seed,
                             .threads = 1,
                             .ahead = 4,
                             .cache_bytes = (size_t)1 << 30 };
    memcpy(lo.template5, t->info->landmarks, sizeof lo.template5);
    lo.augment = mien__augment_default;
    if (t->o->loss == MIEN_LOSS_TRIPLET)
        lo.per_person = 4;
    mien_status st = t->o->augment ? mien__augment_parse(t->o->augment, &lo.augment, err) : MIEN_OK;
    if (!st)
        st = mien__loader_new(&lo, &t->loader, err);
    return st;
}

/* Embed VARIANTS crops of each training picture, the first one plain. */
typedef struct frozen_worker {
    mien_embedder *embedder;
    uint8_t *rgb;
    mien_status st;
    mien_error err;
} frozen_worker;

typedef struct frozen_ctx {
    mien__embed_task *t;
    const mien__augment *augment;
    frozen_worker *workers;
    size_t first;
} frozen_ctx;

static void freeze_one(void *ctx, size_t task, unsigned worker)
{
    const frozen_ctx *x = ctx;
    mien__embed_task *t = x->t;
    frozen_worker *w = &x->workers[worker];
    const size_t at = x->first + task, bytes = (size_t)t->side * (size_t)t->side * 3;
    const size_t sample = t->data->train[at];
    mien_image_view views[VARIANTS];
    mien_image *image = NULL;
    mien__sample s;
    if (w->st)
        return;
    mien_status st =
        mien__sample_load(&t->data->set->samples[sample], t->info->landmarks, &image, &s, &w->err);
    for (size_t v = 0; !st && v < VARIANTS; v++) {
        mien__rng rng;
        mien__augment_stream(t->o->seed, v, sample, &rng);
        st = mien__sample_crop(&s, mien_image_view_of(image), t->info->landmarks, t->side,
                               v ? x->augment : NULL, &rng, w->rgb + v * bytes, &w->err);
        views[v] = (mien_image_view){ w->rgb + v * bytes, t->side, t->side, (size_t)t->side * 3 };
    }
    mien_image_free(image);
    if (!st)
        st = mien_embed_crops(w->embedder, views, VARIANTS, t->frozen.rows + at * VARIANTS * (size_t)t->dim,
                              &w->err);
    if (st == MIEN_E_NOMEM)
        w->st = st;
}

static mien_status freeze_all(mien__embed_task *t, const mien__augment *augment, mien__pool *pool,
                              mien_error *err)
{
    const unsigned n = mien__pool_threads(pool);
    const mien_embed_opts eo = MIEN_EMBED_OPTS_INIT;
    frozen_ctx x = { .t = t, .augment = augment, .workers = mien_alloc_array_zero(n, sizeof *x.workers) };
    mien_status st = x.workers ? MIEN_OK : mien__nomem(err, n * sizeof *x.workers);
    for (unsigned i = 0; !st && i < n; i++) {
        x.workers[i].rgb = mien_alloc_array(VARIANTS, (size_t)t->side * (size_t)t->side * 3);
        st = x.workers[i].rgb ? mien_embedder_new(t->frozen.model, &eo, &x.workers[i].embedder, err)
                              : mien__nomem(err, VARIANTS);
    }
    for (x.first = 0; !st && x.first < t->data->n_train; x.first += 64) {
        const size_t left = t->data->n_train - x.first;
        const mien_train_state state = { .phase = "embedding",
                                         .done = x.first,
                                         .total = t->data->n_train,
                                         .loss = NAN,
                                         .score = NAN,
                                         .seconds_left = NAN };
        mien__pool_run(pool, freeze_one, &x, left < 64 ? left : 64);
        for (unsigned i = 0; !st && i < n; i++)
            if (x.workers[i].st) {
                st = x.workers[i].st;
                if (err)
                    *err = x.workers[i].err;
            }
        if (!st && t->o->progress && t->o->progress(&state, t->o->user))
            st = mien__fail(err, MIEN_E_INTERRUPTED, "stopped while embedding pictures");
    }
    for (unsigned i = 0; x.workers && i < n; i++) {
        mien_embedder_free(x.workers[i].embedder);
        mien_free(x.workers[i].rgb);
    }
    mien_free(x.workers);
    return st;
}

static mien_status open_frozen(mien__embed_task *t, const mien_model *start, mien_error *err)
{
    mien__augment augment = mien__augment_default;
    mien__pool *pool = NULL;
    const size_t n = t->data->n_train;
    t->frozen.model = start;
    t->frozen.rows = mien_alloc_array_zero(n * VARIANTS + 1, (size_t)t->dim * sizeof(float));
    t->frozen.order = mien_alloc_array_zero(n + 1, sizeof *t->frozen.order);
    if (!t->frozen.rows || !t->frozen.order)
        return mien__nomem(err, n * VARIANTS * (size_t)t->dim * sizeof(float));
    mien_status st = t->o->augment ? mien__augment_parse(t->o->augment, &augment, err) : MIEN_OK;
    if (!st && !(st = mien__pool_new(&pool, t->o->threads, err)))
        st = freeze_all(t, &augment, pool, err);
    mien__pool_free(pool);
    return st;
}

/* The trained layer put behind the frozen network. */
static mien_status finish_frozen(void *ctx, mien__graph **g, mien_error *err)
{
    const mien__embed_task *t = ctx;
    mien__graph *whole = NULL;
    mien_status st = mien__graph_copy(mien__model_graph(t->frozen.model), &whole, err);
    if (!st && !(st = mien__arch_append_layer(whole, *g, err))) {
        mien__graph_free(*g);
        *g = whole;
        whole = NULL;
    }
    mien__graph_free(whole);
    return st;
}

bool mien__tune_head(const mien_train_opts *o)
{
    return o->model && o->tune && strcmp(o->tune, "head") == 0;
}

static const mien__dataset *val_set(const mien__embed_task *t)
{
    return t->data->val_set ? t->data->val_set : t->data->set;
}

/* Crops, labels and targets of validation. */
static mien_status open_validation(mien__embed_task *t, mien_error *err)
{
    enum { MAX_VAL = 6000 };
    const mien__dataset *d = val_set(t);
    const size_t bytes = (size_t)t->side * (size_t)t->side * 3,
                 n = t->data->n_val < MAX_VAL ? t->data->n_val : MAX_VAL;
    t->val_rgb = mien_alloc_array_zero(n + 1, bytes);
    t->val_labels = mien_alloc_array_zero(n + 1, sizeof *t->val_labels);
    if (!t->val_rgb || !t->val_labels)
        return mien__nomem(err, n * bytes);
    int32_t previous = -1;
    for (size_t i = 0; i < n; i++) {
        mien_image *image = NULL;
        mien__sample s;
        uint8_t *rgb = t->val_rgb + t->n_val * bytes;
        mien_error local = MIEN_ERROR_INIT;
        mien_status st =
            mien__sample_load(&d->samples[t->data->val[i]], t->info->landmarks, &image, &s, &local);
        if (!st)
            st = mien__sample_crop(&s, mien_image_view_of(image), t->info->landmarks, t->side, NULL, NULL,
                                   rgb, &local);
        mien_image_free(image);
        if (st == MIEN_E_NOMEM)
            return mien__nomem(err, bytes);
        if (st)
            continue;
        const int32_t label = d->samples[t->data->val[i]].label;
        t->labelled = t->labelled || (label >= 0 && label == previous);
        previous = label;
        t->data->val[t->n_val] = t->data->val[i];
        t->val_labels[t->n_val++] = label;
    }
    return t->n_val ? MIEN_OK : mien__fail(err, MIEN_E_EVAL_DATA, "no picture is left for validation");
}

static mien_status open_targets(mien__embed_task *t, mien_error *err)
{
    const mien_train_opts *o = t->o;
    char path[4096];
    const size_t dim = (size_t)t->dim;
    if (!o->n_teachers || (o->w_embed <= 0 && o->w_relation <= 0))
        return MIEN_OK;
    snprintf(path, sizeof path, "%s/targets.bin", o->dir);
    mien_status st = mien__targets_make(t->data->set, o->teachers, o->n_teachers, t->dim, path, o->threads,
                                        o->progress, o->user, &t->targets, err);
    if (!st && !(t->batch_targets = mien_alloc_array_zero((size_t)o->batch * dim, sizeof(float))))
        return mien__nomem(err, (size_t)o->batch * dim * sizeof(float));
    if (st || t->data->val_set)
        return st;
    if (!(t->val_targets = mien_alloc_array_zero(t->n_val + 1, dim * sizeof(float))))
        return mien__nomem(err, t->n_val * dim * sizeof(float));
    for (size_t i = 0; i < t->n_val; i++)
        memcpy(t->val_targets + i * dim, t->targets + t->data->val[i] * dim, dim * sizeof(float));
    return MIEN_OK;
}

static mien_status open_hints(mien__embed_task *t, mien_error *err)
{
    const mien_train_opts *o = t->o;
    if (!o->n_hints)
        return MIEN_OK;
    if (!o->n_teachers)
        return mien__fail(err, MIEN_E_ARG, "hints need a teacher");
    const mien_status st = mien__hints_new(o->teachers[0], o->hints, o->n_hints, o->batch, t->side, t->side,
                                           t->threads, &t->hints, err);
    if (st)
        return st;
    t->forced = mien_alloc_array_zero(o->n_hints, sizeof *t->forced);
    if (!t->forced || !(t->taps = mien_alloc_array_zero(o->n_hints, sizeof *t->taps)))
        return mien__nomem(err, o->n_hints * sizeof *t->taps);
    for (t->n_taps = 0; t->n_taps < o->n_hints; t->n_taps++)
        t->taps[t->n_taps] = mien__hints_student(t->hints, t->n_taps);
    return MIEN_OK;
}

/* Class centres start at the people's mean embeddings where a model is tuned, else at random. */
static mien_status open_head(mien__embed_task *t, const mien_model *start, mien_error *err)
{
    const mien__dataset *d = t->data->set;
    const size_t dim = (size_t)t->dim;
    float *e = NULL;
    mien_status st = MIEN_OK;
    t->classes = mien_alloc_array_zero(d->n_people + 1, sizeof *t->classes);
    if (!t->classes)
        return mien__nomem(err, d->n_people * sizeof *t->classes);
    for (size_t i = 0; i < d->n_people; i++)
        t->classes[i] = -1;
    for (size_t i = 0; i < t->data->n_train; i++) {
        const int32_t label = d->samples[t->data->train[i]].label;
        if (label >= 0 && t->classes[label] < 0)
            t->classes[label] = t->n_classes++;
    }
    if (t->n_classes < 2)
        return mien__fail(err, MIEN_E_EVAL_DATA,
                          "learning to tell people apart needs at least two people with pictures "
                          "to train on, here are %d",
                          t->n_classes);
    const size_t count = (size_t)t->n_classes * dim;
    t->head_w = mien_alloc_array_zero(count, sizeof *t->head_w);
    t->head_g = mien_alloc_array_zero(count, sizeof *t->head_g);
    if (!t->head_w || !t->head_g)
        return mien__nomem(err, count * sizeof *t->head_w);
    mien__rng rng;
    mien__rng_seed(&rng, t->o->seed ^ 0x6865616475u);
    for (size_t i = 0; i < count; i++)
        t->head_w[i] = (float)(mien__rng_unit(&rng) - 0.5) * 0.1f;
    if (start && !(e = mien_alloc_array(d->n * dim, sizeof *e)))
        return mien__nomem(err, d->n * dim * sizeof *e);
    if (start)
        st = mien__embed_dataset(d, start, false, t->o->threads, t->o->progress, t->o->user, e, err);
    for (size_t i = 0; start && !st && i < t->data->n_train; i++) {
        const size_t at = t->data->train[i];
        if (d->samples[at].label >= 0)
            add_scaled(t->head_w + (size_t)t->classes[d->samples[at].label] * dim, e + at * dim, dim, 1.0f);
    }
    mien_free(e);
    t->head = (mien__param){ .name = "head",
                             .value = t->head_w,
                             .grad = t->head_g,
                             .count = count,
                             .trainable = true,
                             .decay = true,
                             .lr_scale = 1.0f };
    t->task.extra = &t->head;
    t->task.n_extra = 1;
    return st;
}

static mien_status open_scratch(mien__embed_task *t, mien_error *err)
{
    const int n = t->o->batch;
    size_t bytes = mien__loss_relational_scratch(n, t->dim), other = mien__loss_triplet_scratch(n, t->dim);
    bytes = bytes > other ? bytes : other;
    other = t->n_classes ? mien__loss_head_scratch(n, t->n_classes, t->dim, mien__train_kernels_get()) : 0;
    bytes = bytes > other ? bytes : other;
    t->scratch = mien_alloc(bytes);
    t->d_part = mien_alloc_array_zero((size_t)n * (size_t)t->dim, sizeof *t->d_part);
    t->batch_classes = mien_alloc_array_zero((size_t)n, sizeof *t->batch_classes);
    return t->scratch && t->d_part && t->batch_classes ? MIEN_OK : mien__nomem(err, bytes);
}

mien_status mien__embed_task_new(const mien_train_opts *o, const mien__run_data *data,
                                 const mien_model_info *info, const mien_model *start, mien__embed_task **ret,
                                 mien_error *err)
{
    mien__embed_task *t = mien_alloc_zero(sizeof *t);
    mien_status st = t ? MIEN_OK : mien__nomem(err, sizeof *t);
    if (st)
        return st;
    t->o = o;
    t->data = data;
    t->info = info;
    t->side = info->input_width;
    t->dim = info->embedding_len;
    t->threads = o->threads;
    if (info->task != MIEN_TASK_EMBED || info->crop != MIEN_CROP_SIMILARITY ||
        info->input_width != info->input_height || info->normalize != MIEN_NORM_MEAN_SCALE) {
        st = mien__fail(err, MIEN_E_MODEL_TASK,
                        "training takes embedders of square crops aligned by landmarks");
        goto done;
    }
    if ((st = open_loader(t, err)) || (st = open_validation(t, err)) || (st = open_targets(t, err)) ||
        (st = open_hints(t, err)) || (mien__tune_head(o) && (st = open_frozen(t, start, err))))
        goto done;
    const bool head = o->loss != MIEN_LOSS_DISTILL && o->loss != MIEN_LOSS_TRIPLET;
    if ((head && (st = open_head(t, start, err))) || (st = open_scratch(t, err)))
        goto done;
    if (o->loss == MIEN_LOSS_DISTILL && !t->targets && !t->n_taps) {
        st = mien__fail(err, MIEN_E_ARG, "there is nothing to learn from: distillation needs a teacher");
        goto done;
    }
    t->task.ctx = t;
    t->task.batch = o->batch;
    t->task.steps_per_epoch = mien__loader_steps_per_epoch(t->loader);
    t->task.fill = t->frozen.rows ? fill_frozen : fill;
    t->task.finish = t->frozen.rows ? finish_frozen : NULL;
    t->task.loss = loss;
    t->task.validate = t->labelled || t->val_targets ? validate : NULL;
    t->task.validation = &t->shown;
    t->task.info = info;
    *ret = t;
    t = NULL;
done:
    mien__embed_task_free(t);
    return st;
}

void mien__embed_task_free(mien__embed_task *t)
{
    if (!t)
        return;
    mien__loader_free(t->loader);
    mien_free(t->frozen.rows);
    mien_free(t->frozen.order);
    mien__hints_free(t->hints);
    mien__validation_clear(&t->validation);
    mien_free(t->targets);
    mien_free(t->val_targets);
    mien_free(t->batch_targets);
    mien_free(t->taps);
    mien_free(t->forced);
    mien_free(t->classes);
    mien_free(t->batch_classes);
    mien_free(t->head_w);
    mien_free(t->head_g);
    mien_free(t->d_part);
    mien_free(t->scratch);
    mien_free(t->val_rgb);
    mien_free(t->val_labels);
    mien_free(t);
}

const char *const *mien__embed_task_taps(const mien__embed_task *t, size_t *ret_n)
{
    *ret_n = t->n_taps;
    return t->taps;
}

void mien__embed_task_attach(mien__embed_task *t, mien__net *net)
{
    t->net = net;
}

const mien__task *mien__embed_task_of(mien__embed_task *t)
{
    return &t->task;
}
