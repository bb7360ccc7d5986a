/* The task of training an embedder: see trainer.h for what a task is. */
#ifndef MIEN_SRC_TRAIN_EMBED_H
#define MIEN_SRC_TRAIN_EMBED_H

#include "train/data.h"
#include "train/loss.h"
#include "train/targets.h"
#include "train/trainer.h"

/* People and pictures of a run, read once. */
typedef struct mien__run_data {
    mien__dataset *set, *val_set; /* val_set NULL: validation pictures are of set */
    size_t *train, *val;          /* indices into set, and into val_set or set */
    size_t n_train, n_val, n_people, n_duplicates;
} mien__run_data;
mien_status mien__run_data_open(const mien_train_opts *o, const char *dir, mien__run_data *ret, mien_error *err);
void mien__run_data_close(mien__run_data *d);

typedef struct mien__embed_task mien__embed_task;
/* `info` describes the network (kept by pointer); `start` is the model tuned from, NULL for a new one. */
mien_status mien__embed_task_new(const mien_train_opts *o, const mien__run_data *data, const mien_model_info *info,
                                 const mien_model *start, mien__embed_task **ret, mien_error *err);
void mien__embed_task_free(mien__embed_task *t);
/* Names of the values to tap, for the network's options. */
const char *const *mien__embed_task_taps(const mien__embed_task *t, size_t *ret_n);
/* The task as the loop sees it; lives as long as t. */
const mien__task *mien__embed_task_of(mien__embed_task *t);
/* What was measured of the model tuned from, and the comparison of a model with it on held-out people. */
mien_status mien__embed_task_compare(mien__embed_task *t, const mien_model *before, const mien_model *after,
                                     mien__validation *ret_before, mien__validation *ret_after,
                                     mien__comparison *ret, mien_error *err);
bool mien__embed_task_labelled(const mien__embed_task *t); /* validation has people with two pictures */

#endif
