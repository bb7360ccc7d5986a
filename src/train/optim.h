/* Optimisers, schedules, averaging and clipping over a list of parameters.
 *
 * Plain float arrays, updated in index order; state is allocated once. The state is part of a checkpoint.
 */
#ifndef MIEN_SRC_TRAIN_OPTIM_H
#define MIEN_SRC_TRAIN_OPTIM_H

#include "base/base.h"

/* One parameter tensor: name, value and gradient are lent by the network and outlive the optimiser. What is
 * not trainable needs no gradient and is averaged only: running statistics belong in the list. */
typedef struct mien__param {
    const char *name;
    float *value, *grad;
    size_t count;
    bool trainable;
    bool decay;     /* weight decay applies: weights yes; biases, normalisation and slopes no */
    float lr_scale; /* multiplies the learning rate; 1 unless layers are tuned apart */
} mien__param;

typedef enum mien__optim_kind { MIEN__SGD, MIEN__ADAMW } mien__optim_kind;
typedef struct mien__optim_opts {
    mien__optim_kind kind;
    double momentum;          /* SGD: 0.9, Nesterov off */
    double beta1, beta2, eps; /* AdamW (Loshchilov 2019): 0.9, 0.999, 1e-8 */
    double weight_decay;      /* decoupled for AdamW, added to the gradient for SGD */
    double clip_norm;         /* global gradient norm above which gradients are scaled down; 0: off */
    double ema;               /* decay of the weight average; 0: off. Warmed up: min(ema, (1+t)/(10+t)) */
} mien__optim_opts;

typedef struct mien__optim mien__optim;
mien_status mien__optim_new(const mien__optim_opts *o, const mien__param *params, size_t n, mien__optim **ret,
                            mien_error *err);
void mien__optim_free(mien__optim *o);
/* One step with learning rate lr. Returns the gradient norm before clipping; NaN or infinity leaves
 * everything as it was, and the caller decides. */
double mien__optim_step(mien__optim *o, double lr);
/* Exchange the parameters with their average (call twice to come back: no step and no items in between).
 * Nothing when ema is 0. */
void mien__optim_swap_ema(mien__optim *o);
uint64_t mien__optim_steps(const mien__optim *o);

/* Linear warm-up over `warmup` steps, then half a cosine down to `floor` times base at `total`. step from 0.
 */
double mien__lr_at(double base, uint64_t step, uint64_t warmup, uint64_t total, double floor);

/* ---- checkpoint: the whole state of a run in one file, written whole or not at all, checked by a SHA-256
 * trailer when read; magic, version, limits before allocation. ---- */
typedef struct mien__ckpt_item {
    char name[128];
    void *data;
    size_t bytes;
} mien__ckpt_item;
/* Write items (name, bytes) in order. */
mien_status mien__ckpt_write(const char *path, const mien__ckpt_item *items, size_t n, mien_error *err);
/* Read back into the items' own memory: names and sizes must be the same, in the same order; E_DIGEST,
 * E_MODEL_CORRUPT otherwise, E_NOT_FOUND and E_IO from the file. On failure the items' memory is untouched.
 */
mien_status mien__ckpt_read(const char *path, const mien__ckpt_item *items, size_t n, mien_error *err);
/* Read the first item alone, whatever else the file holds: it says whose the rest is. */
mien_status mien__ckpt_read_first(const char *path, const mien__ckpt_item *item, mien_error *err);
/* List an optimiser's state as items (steps, moments, average); returns the count; items NULL: only counts.
 */
size_t mien__optim_items(mien__optim *o, mien__ckpt_item *items, size_t capacity);

#endif
