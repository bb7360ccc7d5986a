/* A run of the loop while it lasts: what trainer.c steps and trainer_state.c opens, saves and restores. */
#ifndef MIEN_SRC_TRAIN_TRAINER_PARTS_H
#define MIEN_SRC_TRAIN_TRAINER_PARTS_H

#include "train/runlog.h"
#include "train/trainer.h"

enum { MIEN__LOOP_PATH_BYTES = 4096 };

/* What a checkpoint keeps beside arrays. */
typedef struct mien__loop_state {
    uint64_t step, best_step;
    double best_score, loss_average, seconds;
    int32_t since_best, validated;
} mien__loop_state;

typedef struct mien__loop {
    mien__net *net;
    const mien__task *task;
    const mien__loop_opts *o;
    mien__optim *optim;
    mien__param *params;                      /* the network's and the task's */
    size_t n_params, first_buffer, n_buffers; /* running averages stand in the middle */
    float *kept_buffers;                      /* as they were before the step */
    float **sums; /* accumulated gradients, one per parameter; NULL without accumulation */
    mien__ckpt_item *items;
    size_t n_items;
    char fingerprint[65];
    mien__loop_state s;
    uint64_t total_steps, epoch_steps;
    mien_model *best;
    mien__runlog *log;
    double started, last_checkpoint, window_start, rate;
    double score; /* of the last validation; NaN before the first */
    uint64_t validations;
    uint64_t window_step;
    int bad;    /* steps in a row without a finite loss */
    bool asked; /* progress wants the run to stop */
} mien__loop;

/* Everything ready for the first step, or, resumed, for the step after the checkpoint's. Half-open on
 * failure: close it in any case. */
mien_status mien__loop_open(mien__loop *l, mien_error *err);
void mien__loop_close(mien__loop *l);
mien_status mien__loop_save(mien__loop *l, mien_error *err); /* checkpoint.bin */
/* A file of the run folder. */
mien_status mien__loop_path(const mien__loop *l, const char *name, char ret[MIEN__LOOP_PATH_BYTES],
                            mien_error *err);

#endif
