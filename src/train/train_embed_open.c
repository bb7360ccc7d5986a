/* Opening an embedder's task: the loader, crops of validation, targets, hints, the classification head.
 *
 * Nothing here is written but the teachers' embeddings (targets.bin, a cache). What can be found wrong with
 * the data for the loss that is asked is found here, before the first step.
 */
#include "train/train_embed_parts.h"
#include <stdio.h>
#include <string.h>

/* Number the people who are trained on: what telling them apart needs is said before anything else is. */
static mien_status number_people(mien__embed_task *t, mien_error *err)
{
    const mien__dataset *d = t->data->set;
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
    return MIEN_OK;
}

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

static const mien__dataset *val_set(const mien__embed_task *t)
{
    return t->data->val_set ? t->data->val_set : t->data->set;
}

/* Can people be told apart in validation? That takes two of them, and one with two pictures. */
static mien_status look_at_people(mien__embed_task *t, size_t n_people, mien_error *err)
{
    uint8_t *seen = mien_alloc_zero(n_people + 1);
    size_t people = 0;
    bool twice = false;
    if (!seen)
        return mien__nomem(err, n_people);
    for (size_t i = 0; i < t->n_val; i++) {
        const int32_t label = t->val_labels[i];
        if (label < 0)
            continue;
        twice = twice || seen[label];
        people += !seen[label];
        seen[label] = 1;
    }
    mien_free(seen);
    t->labelled = people >= 2 && twice;
    if (people > 0 && !t->labelled)
        mien__log(MIEN_LOG_WARN,
                  "validation has %zu %s and %zu pictures: two people, and one of them twice, are needed to "
                  "measure anything; hold out more people, or give others",
                  people, people == 1 ? "person" : "people", t->n_val);
    return MIEN_OK;
}

static mien_status nothing_left(const mien__run_data *d, mien_error *err)
{
    if (d->n_val + d->n_duplicates == 0)
        return mien__fail(err, MIEN_E_EVAL_DATA,
                          "nothing can be held out for validation: all %zu pictures are of one person; give "
                          "validation data of its own",
                          d->n_train);
    return mien__fail(err, MIEN_E_EVAL_DATA,
                      "no picture is left for validation: of %zu, %zu nearly equal one of training and %zu "
                      "cannot be read",
                      d->n_val + d->n_duplicates, d->n_duplicates, d->n_val);
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
    for (size_t i = 0; i < n; i++) {
        mien_image *image = NULL;
        mien__sample s;
        const mien__sample *sample = &d->samples[t->data->val[i]];
        uint8_t *rgb = t->val_rgb + t->n_val * bytes;
        mien_error local = MIEN_ERROR_INIT;
        mien_status st = mien__sample_load(sample, t->info->landmarks, &image, &s, &local);
        if (!st)
            st = mien__sample_crop(&s, mien_image_view_of(image), t->info->landmarks, t->side, NULL, NULL,
                                   rgb, &local);
        mien_image_free(image);
        if (st == MIEN_E_NOMEM)
            return mien__nomem(err, bytes);
        if (st) {
            mien__log(MIEN_LOG_WARN, "%s is left out of validation: %s", sample->path, local.message);
            continue;
        }
        t->data->val[t->n_val] = t->data->val[i];
        t->val_labels[t->n_val++] = sample->label;
    }
    if (!t->n_val)
        return nothing_left(t->data, err);
    return look_at_people(t, d->n_people, err);
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
            mien__embed_add_scaled(t->head_w + (size_t)t->classes[d->samples[at].label] * dim, e + at * dim,
                                   dim, 1.0f);
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
    other = t->head_w ? mien__loss_head_scratch(n, t->n_classes, t->dim, mien__train_kernels_get()) : 0;
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
    if ((o->loss != MIEN_LOSS_DISTILL && (st = number_people(t, err))) || (st = open_loader(t, err)) ||
        (st = open_validation(t, err)) || (st = open_targets(t, err)) || (st = open_hints(t, err)) ||
        (mien__tune_head(o) && (st = mien__frozen_new(t, start, &t->frozen, err))))
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
    t->task.fill = t->frozen ? mien__frozen_fill : mien__embed_fill;
    t->task.finish = t->frozen ? mien__frozen_finish : NULL;
    t->task.loss = mien__embed_loss;
    t->task.validate = t->labelled || t->val_targets ? mien__embed_validate : NULL;
    t->task.validation = &t->shown;
    t->task.info = info;
    *ret = t;
    t = NULL;
done:
    mien__embed_task_free(t);
    return st;
}
