/* What the files of the embedder's task share: its state, the steps the loop calls, and the frozen
 * embeddings.
 */
#ifndef MIEN_SRC_TRAIN_TRAIN_EMBED_PARTS_H
#define MIEN_SRC_TRAIN_TRAIN_EMBED_PARTS_H

#include "train/train_embed.h"

/* Embeddings of augmented crops by the network that is tuned, made once: what `tune head` learns from. */
typedef struct mien__frozen mien__frozen;

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
    mien__frozen *frozen; /* NULL unless only a layer behind the embedding is trained */
};

/* Embed the training pictures of the task with the model it starts from; pictures that cannot be read any
 * more are logged and left out, E_EVAL_DATA when none is left. */
mien_status mien__frozen_new(mien__embed_task *t, const mien_model *start, mien__frozen **ret,
                             mien_error *err);
void mien__frozen_free(mien__frozen *f);
/* fill() and finish() of a task that learns from them: batches of embeddings, and the trained layer put
 * behind the network that made them. */
mien_status mien__frozen_fill(void *ctx, uint64_t step, float *input, mien_error *err);
mien_status mien__frozen_finish(void *ctx, mien__graph **g, mien_error *err);

/* What the loop calls; see mien__task. */
mien_status mien__embed_fill(void *ctx, uint64_t step, float *input, mien_error *err);
mien_status mien__embed_loss(void *ctx, mien__net *net, double *ret_loss, mien__parts *ret_parts,
                             mien_error *err);
mien_status mien__embed_validate(void *ctx, const mien_model *model, mien__parts *ret_parts,
                                 double *ret_score, mien_error *err);

/* Place i of the batch shows this sample of this person. */
void mien__embed_put_target(mien__embed_task *t, int i, size_t sample, int32_t label);
void mien__embed_add_scaled(float *to, const float *from, size_t n, float factor);

#endif
