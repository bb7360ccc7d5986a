/* The options of `mien train` and `mien finetune`. */
#ifndef MIEN_CLI_TRAIN_OPTIONS_H
#define MIEN_CLI_TRAIN_OPTIONS_H

#include "kit.h"
#include <mien/train.h>

typedef struct cli_train_opts {
    cli_common common; /* first */
    const char *out, *run_dir, *arch, *val, *teachers, *hints, *augment, *preview, *name, *meta, *tune,
        *backgrounds;
    int aligned, loss, epochs, batch, accumulate, optimizer, patience, validate, seed, resume, force,
        pictures, max_images, max_steps;
    double lr, lr_floor, warmup, weight_decay, momentum, clip, ema, scale, margin, val_fraction, w_embed,
        w_relation, w_hint, w_truth, w_landmark, blockwise;
} cli_train_opts;

/* Of train alone, of finetune alone, of both. */
extern const cli_option cli_train_new_options[], cli_train_tune_options[], cli_train_shared_options[];

/* Everything but models, data and folders. */
void cli_train_fill(const cli_train_opts *o, mien_train_opts *ret);

#endif
