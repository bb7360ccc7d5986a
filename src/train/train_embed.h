/* The task of training an embedder: see trainer.h for what a task is. */
#ifndef MIEN_SRC_TRAIN_EMBED_H
#define MIEN_SRC_TRAIN_EMBED_H

#include "train/data.h"
#include "train/loss.h"
#include "train/hints.h"
#include "train/targets.h"
#include "train/trainer.h"

/* Only a layer behind the embedding is trained. */
bool mien__tune_head(const mien_train_opts *o);

/* People and pictures of a run, read once. */
typedef struct mien__run_data {
    mien__dataset *set, *val_set; /* val_set NULL: validation pictures are of set */
    size_t *train, *val;          /* indices into set, and into val_set or set */
    size_t n_train, n_val, n_people, n_duplicates;
} mien__run_data;
mien_status mien__run_data_open(const mien_train_opts *o, const char *dir, mien__run_data *ret,
                                mien_error *err);
void mien__run_data_close(mien__run_data *d);

typedef struct mien__embed_task mien__embed_task;
/* `info` describes the network (kept by pointer); `start` is the model tuned from, NULL for a new one. */
mien_status mien__embed_task_new(const mien_train_opts *o, const mien__run_data *data,
                                 const mien_model_info *info, const mien_model *start, mien__embed_task **ret,
                                 mien_error *err);
void mien__embed_task_free(mien__embed_task *t);
/* Names of the values to tap, for the network's options. */
const char *const *mien__embed_task_taps(const mien__embed_task *t, size_t *ret_n);
/* Tell the task the network, when its taps are to be forced in the first epochs. */
void mien__embed_task_attach(mien__embed_task *t, mien__net *net);
/* The task as the loop sees it; lives as long as t. */
const mien__task *mien__embed_task_of(mien__embed_task *t);
bool mien__embed_task_labelled(const mien__embed_task *t); /* validation has people with two pictures */

/* Crops of validation, for judging models at the end. */
typedef struct mien__val_crops {
    const uint8_t *rgb; /* [n][side][side][3] */
    const int32_t *labels;
    const char *const *people; /* names by label */
    size_t n, n_people;
    int side;
} mien__val_crops;
mien__val_crops mien__embed_task_val(const mien__embed_task *t);
/* Embeddings of those crops: ret [n][length of the model's embedding]. */
mien_status mien__embed_task_embed(mien__embed_task *t, const mien_model *model, float *ret, mien_error *err);

/* At the end of a run: measure the model tuned from (NULL for a new one) and the new one, fill the verdict
 * and the summary of the result, and write report.html into the run folder. */
mien_status mien__train_conclude(const mien_train_opts *o, mien__embed_task *t, const mien__run_data *data,
                                 const mien_model *before, const mien_model *after, mien_train_result *ret,
                                 mien_error *err);

#endif
