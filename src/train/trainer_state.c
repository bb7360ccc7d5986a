/* The state of a run: gathered when it opens, written to its checkpoint, read back when it is resumed.
 *
 * What a checkpoint holds: the settings' fingerprint, the counters, every parameter and running average, the
 * optimiser's moments and averages. The best model so far is a file of its own (best.mien) and is saved
 * before the checkpoint that counts on it; a run killed between the two finds a best model from its future,
 * which it will make once more, the same.
 */
#include "train/trainer_parts.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

mien_status mien__loop_path(const mien__loop *l, const char *name, char ret[MIEN__LOOP_PATH_BYTES],
                            mien_error *err)
{
    const int n = snprintf(ret, MIEN__LOOP_PATH_BYTES, "%s/%s", l->o->dir, name);
    return n > 0 && n < MIEN__LOOP_PATH_BYTES
               ? MIEN_OK
               : mien__fail(err, MIEN_E_LIMIT, "the run folder's path is too long");
}

/* ---- checkpoint ---- */

static void name_item(mien__ckpt_item *item, const char *prefix, const char *name, size_t at, void *data,
                      size_t bytes)
{
    snprintf(item->name, sizeof item->name, "%s%zu.%.80s", prefix, at, name);
    item->data = data;
    item->bytes = bytes;
}

static mien_status list_items(mien__loop *l, mien_error *err)
{
    size_t at = 0;
    const size_t n_optim = mien__optim_items(l->optim, NULL, 0), n = 2 + l->n_params + n_optim;
    l->items = mien_alloc_array_zero(n, sizeof *l->items);
    if (!l->items)
        return mien__nomem(err, n * sizeof *l->items);
    name_item(&l->items[at++], "fingerprint", "", 0, l->fingerprint, sizeof l->fingerprint);
    name_item(&l->items[at++], "state", "", 0, &l->s, sizeof l->s);
    for (size_t i = 0; i < l->n_params; i++)
        name_item(&l->items[at++], "p", l->params[i].name, i, l->params[i].value,
                  l->params[i].count * sizeof(float));
    at += mien__optim_items(l->optim, l->items + at, n_optim);
    l->n_items = at;
    return MIEN_OK;
}

mien_status mien__loop_save(mien__loop *l, mien_error *err)
{
    char path[MIEN__LOOP_PATH_BYTES];
    mien_status st = mien__loop_path(l, "checkpoint.bin", path, err);
    l->s.seconds += (mien__now_ms() - l->started) / 1000.0;
    l->started = mien__now_ms();
    if (!st)
        st = mien__ckpt_write(path, l->items, l->n_items, err);
    l->last_checkpoint = mien__now_ms();
    return st;
}

static mien_status read_checkpoint(mien__loop *l, mien_error *err)
{
    char path[MIEN__LOOP_PATH_BYTES], wanted[sizeof l->fingerprint];
    mien_status st = mien__loop_path(l, "checkpoint.bin", path, err);
    memcpy(wanted, l->fingerprint, sizeof wanted);
    if (st)
        return st;
    if (access(path, F_OK) != 0)
        return mien__fail(err, MIEN_E_NOT_FOUND,
                          "there is no checkpoint in '%.120s' to resume from: start without --resume",
                          l->o->dir);
    /* settings first: other ones often mean other arrays too, and are what can be mended */
    if ((st = mien__ckpt_read_first(path, l->items, err)))
        return st;
    if (memcmp(wanted, l->fingerprint, sizeof wanted) != 0 && !l->o->force)
        return mien__fail(
            err, MIEN_E_ARG,
            "the run in '%.120s' was begun with other settings: use the same ones to resume it, "
            "--force to go on with these, or another folder",
            l->o->dir);
    if ((st = mien__ckpt_read(path, l->items, l->n_items, err)))
        return st;
    memcpy(l->fingerprint, wanted, sizeof wanted);
    if (l->s.best_step && !(st = mien__loop_path(l, "best.mien", path, err)))
        st = mien_model_load(path, &l->best, err);
    mien__net_changed(l->net);
    return st;
}

/* ---- opening ---- */

static mien_status gather_params(mien__loop *l, mien_error *err)
{
    size_t own = 0, n_buffers = 0, floats = 0;
    const mien__param *net = mien__net_params(l->net, &own), *buffers = mien__net_buffers(l->net, &n_buffers);
    l->n_params = own + n_buffers + l->task->n_extra;
    l->params = mien_alloc_array_zero(l->n_params + 1, sizeof *l->params);
    l->sums = mien_alloc_array_zero(l->n_params + 1, sizeof *l->sums);
    if (!l->params || !l->sums)
        return mien__nomem(err, l->n_params * sizeof *l->params);
    memcpy(l->params, net, own * sizeof *net);
    if (n_buffers) /* running averages: never stepped, but averaged like the weights */
        memcpy(l->params + own, buffers, n_buffers * sizeof *buffers);
    l->first_buffer = own;
    l->n_buffers = n_buffers;
    for (size_t i = 0; i < n_buffers; i++)
        floats += buffers[i].count;
    if (!(l->kept_buffers = mien_alloc_array(floats + 1, sizeof *l->kept_buffers)))
        return mien__nomem(err, floats * sizeof *l->kept_buffers);
    if (l->task->n_extra)
        memcpy(l->params + own + n_buffers, l->task->extra, l->task->n_extra * sizeof *l->params);
    for (size_t i = 0; l->o->accumulate > 1 && i < l->n_params; i++)
        if (l->params[i].trainable &&
            !(l->sums[i] = mien_alloc_array_zero(l->params[i].count, sizeof *l->sums[i])))
            return mien__nomem(err, l->params[i].count * sizeof *l->sums[i]);
    return MIEN_OK;
}

mien_status mien__loop_open(mien__loop *l, mien_error *err)
{
    char path[MIEN__LOOP_PATH_BYTES];
    mien_status st = gather_params(l, err);
    const uint64_t per = (uint64_t)(l->o->accumulate > 1 ? l->o->accumulate : 1);
    l->epoch_steps = l->task->steps_per_epoch / per ? l->task->steps_per_epoch / per : 1;
    l->total_steps = l->epoch_steps * (uint64_t)l->o->epochs;
    if (l->o->max_steps && l->o->max_steps < l->total_steps)
        l->total_steps = l->o->max_steps;
    l->s = (mien__loop_state){ .best_score = -INFINITY, .loss_average = NAN };
    snprintf(l->fingerprint, sizeof l->fingerprint, "%.64s", l->o->fingerprint ? l->o->fingerprint : "");
    if (st || (st = mien__optim_new(&l->o->optim, l->params, l->n_params, &l->optim, err)) ||
        (st = list_items(l, err)) || (st = mien__loop_path(l, "log.jsonl", path, err)))
        return st;
    if (l->o->resume && (st = read_checkpoint(l, err)))
        return st;
    l->score = l->s.validated ? l->s.best_score : NAN; /* resumed: the best of before stands for the last */
    st = mien__runlog_open(path, l->o->resume ? &l->s.step : NULL, &l->log, err);
    l->started = l->last_checkpoint = l->window_start = mien__now_ms();
    l->window_step = l->s.step;
    return st;
}

void mien__loop_close(mien__loop *l)
{
    for (size_t i = 0; l->sums && i < l->n_params; i++)
        mien_free(l->sums[i]);
    mien_free(l->sums);
    mien_free(l->kept_buffers);
    mien_free(l->params);
    mien_free(l->items);
    mien__optim_free(l->optim);
    mien__runlog_close(l->log);
    mien_model_free(l->best);
}
