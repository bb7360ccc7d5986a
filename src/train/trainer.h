/* The training loop, whatever is trained: batches in, loss and gradients, optimiser, validation, checkpoints,
 * log.
 *
 * What is specific to embedders or detectors is a task: it fills the input, turns outputs into gradients, and
 * judges a model. The loop is deterministic: a task's batch depends on the step's number alone, so a run that
 * was interrupted and resumed ends with the same weights as one that was not.
 */
#ifndef MIEN_SRC_TRAIN_TRAINER_H
#define MIEN_SRC_TRAIN_TRAINER_H

#include "train/net.h"
#include "train/validate.h"
#include <mien/train.h>

enum { MIEN__TRAIN_PARTS = 12 };

/* Named numbers: the parts of a loss, the figures of a validation. */
typedef struct mien__parts {
    const char *name[MIEN__TRAIN_PARTS];
    double value[MIEN__TRAIN_PARTS];
    int n;
} mien__parts;
void mien__parts_add(mien__parts *p, const char *name, double value);

typedef struct mien__task {
    void *ctx;
    int batch;
    uint64_t steps_per_epoch;
    mien__param *extra; /* parameters that are trained beside the network's: a classification head */
    size_t n_extra;
    /* Fill the input of one step. */
    mien_status (*fill)(void *ctx, uint64_t step, float *input, mien_error *err);
    /* From outputs and taps to the loss, its parts, and the gradients of taps and extra parameters. */
    mien_status (*loss)(void *ctx, mien__net *net, double *ret_loss, mien__parts *ret_parts, mien_error *err);
    /* Judge a model: figures, and the one score (higher is better) that early stopping watches. */
    mien_status (*validate)(void *ctx, const mien_model *model, mien__parts *ret_parts, double *ret_score,
                            mien_error *err);
    const mien__validation *const
        *validation; /* what the last validate() measured in full; NULL, or of NULL: nothing */
    /* What a model of this task says of itself; finish changes or replaces the graph
     * before it is saved (NULL: nothing). */
    const mien_model_info *info;
    mien_status (*finish)(void *ctx, mien__graph **g, mien_error *err);
} mien__task;

typedef struct mien__loop_opts {
    mien__optim_opts optim;
    double lr, floor;
    int epochs;
    uint64_t warmup_steps;
    int accumulate;      /* batches per step of the optimiser */
    int validate_epochs; /* validate after so many epochs */
    int patience;        /* stop when so many validations bring nothing better; 0: never */
    double checkpoint_s; /* seconds between checkpoints; one is written after each epoch as well */
    const char *dir;     /* checkpoint.bin, log.jsonl, best.mien */
    bool resume;
    const char *fingerprint; /* of the configuration: a checkpoint of another one is refused unless forced */
    bool force;
    uint64_t max_steps;      /* 0: epochs decide */
    mien_train_progress_fn progress;
    void *user;
} mien__loop_opts;

typedef struct mien__loop_result {
    uint64_t steps, best_step;
    double best_score, last_loss;
    bool stopped_early, interrupted;
    double seconds;
} mien__loop_result;

/* Train `net` on `task`; *ret_best is the best model by validation (the last one when nothing was validated).
 * E_INTERRUPTED when progress asked to stop: the checkpoint is in place. E_TRAIN when the loss is not a
 * number for ten steps in a row: the last good checkpoint stays. */
mien_status mien__train_loop(mien__net *net, const mien__task *task, const mien__loop_opts *o,
                             mien_model **ret_best, mien__loop_result *ret, mien_error *err);

/* A model of the present (averaged) weights. */
mien_status mien__train_model(mien__net *net, const mien__task *task, mien_model **ret, mien_error *err);

#endif
