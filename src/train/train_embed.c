/* Training an embedder: crops from the loader; losses by distillation, by a classification head, or by
 * triplets, and any sum of distillation with one of the latter; validation on crops kept in memory, by people
 * where they are labelled, else by how well the targets are met.
 */
#include "train/train_embed_parts.h"
#include <math.h>
#include <string.h>

/* ---- batches ---- */

void mien__embed_put_target(mien__embed_task *t, int i, size_t sample, int32_t label)
{
    if (t->targets)
        memcpy(t->batch_targets + (size_t)i * (size_t)t->dim, t->targets + sample * (size_t)t->dim,
               (size_t)t->dim * sizeof(float));
    t->batch_classes[i] = label >= 0 && t->classes ? t->classes[label] : label;
}

mien_status mien__embed_fill(void *ctx, uint64_t step, float *input, mien_error *err)
{
    mien__embed_task *t = ctx;
    const uint64_t per = t->task.steps_per_epoch;
    mien_status st = MIEN_OK;
    if (step != t->next_step && (st = mien__loader_seek(t->loader, step / per, step % per, err)))
        return st;
    if ((st = mien__loader_next(t->loader, &t->batch, err)))
        return st;
    t->next_step = step + 1;
    mien__planes_from_rgb(t->info, t->batch.rgb, t->o->batch, t->side, t->side, input, NULL);
    for (int i = 0; i < t->batch.n; i++)
        mien__embed_put_target(t, i, t->batch.samples[i], t->batch.labels[i]);
    if (t->hints && !(st = mien__hints_run(t->hints, t->batch.rgb, err)) && t->net)
        mien__hints_force(t->hints, t->net, (double)step < t->o->blockwise_epochs * (double)per, t->forced);
    return st;
}

/* ---- losses ---- */

void mien__embed_add_scaled(float *to, const float *from, size_t n, float factor)
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
    mien__embed_add_scaled(e->grad, t->d_part, e->count, 1.0f);
    mien__parts_add(parts, "loss_label", loss);
    return loss;
}

static double distil_loss(mien__embed_task *t, const mien__net_tap *e, mien__parts *parts)
{
    const int n = t->batch.n;
    double loss = 0.0;
    if (t->o->w_embed > 0) {
        const double cosine = mien__loss_cosine(e->data, t->batch_targets, n, t->dim, t->d_part);
        mien__embed_add_scaled(e->grad, t->d_part, e->count, (float)t->o->w_embed);
        mien__parts_add(parts, "loss_cosine", cosine);
        loss += t->o->w_embed * cosine;
    }
    if (t->o->w_relation > 0) {
        const double r =
            mien__loss_relational(e->data, t->dim, t->batch_targets, t->dim, n, t->d_part, t->scratch);
        mien__embed_add_scaled(e->grad, t->d_part, e->count, (float)t->o->w_relation);
        mien__parts_add(parts, "loss_relation", r);
        loss += t->o->w_relation * r;
    }
    return loss;
}

mien_status mien__embed_loss(void *ctx, mien__net *net, double *ret_loss, mien__parts *ret_parts,
                             mien_error *err)
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

mien_status mien__embed_validate(void *ctx, const mien_model *model, mien__parts *ret_parts,
                                 double *ret_score, mien_error *err)
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

/* ---- life ---- */

bool mien__tune_head(const mien_train_opts *o)
{
    return o->model && o->tune && strcmp(o->tune, "head") == 0;
}

void mien__embed_task_free(mien__embed_task *t)
{
    if (!t)
        return;
    mien__loader_free(t->loader);
    mien__frozen_free(t->frozen);
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
