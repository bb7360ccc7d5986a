/* The loop: see trainer.h.
 *
 * State that decides what comes next (step, best score, patience, parameters, running averages, optimiser) is
 * written to one checkpoint, whole or not at all; the best model lies beside it as a model file of its own.
 * Steps are counted in updates of the optimiser; with accumulation each takes several batches.
 *
 * A step whose loss or gradient is no finite number changes nothing: the optimiser leaves the weights alone,
 * and the running averages that its forward pass has moved are put back. While the last step was such a one
 * nothing is validated or checkpointed, so that what lies on the disk is from before the trouble.
 *
 * A wish to stop is granted once all that belongs to the step is done, the validation at an epoch's end
 * included: a resumed run goes on with the next step and would never make up for it.
 */
#include "train/trainer_parts.h"
#include <math.h>
#include <string.h>

enum { BAD_STEPS = 10 };

void mien__parts_add(mien__parts *p, const char *name, double value)
{
    if (p->n == MIEN__TRAIN_PARTS)
        return;
    p->name[p->n] = name;
    p->value[p->n++] = value;
}

mien_status mien__train_model(mien__net *net, const mien__task *task, mien_model **ret, mien_error *err)
{
    mien__graph *g = NULL;
    mien_status st = mien__graph_copy(mien__net_graph(net), &g, err);
    if (st)
        return st;
    if ((task->finish && (st = task->finish(task->ctx, &g, err))) || (st = mien__graph_check(g, err)) ||
        (st = mien__graph_simplify(g, err))) {
        mien__graph_free(g);
        return st;
    }
    return mien__model_from_graph(g, task->info, ret, err); /* takes g */
}

/* ---- one step ---- */

static void add_to_sums(mien__loop *l, bool first)
{
    for (size_t i = 0; i < l->n_params; i++) {
        const mien__param *p = &l->params[i];
        for (size_t j = 0; p->trainable && j < p->count; j++)
            l->sums[i][j] = first ? p->grad[j] : l->sums[i][j] + p->grad[j];
    }
}

static void take_sums(mien__loop *l, float factor)
{
    for (size_t i = 0; i < l->n_params; i++) {
        const mien__param *p = &l->params[i];
        for (size_t j = 0; p->trainable && j < p->count; j++)
            p->grad[j] = l->sums[i][j] * factor;
    }
}

static void keep_buffers(mien__loop *l, bool put_back)
{
    float *kept = l->kept_buffers;
    for (size_t i = l->first_buffer; i < l->first_buffer + l->n_buffers; i++) {
        const mien__param *p = &l->params[i];
        memcpy(put_back ? p->value : kept, put_back ? kept : p->value, p->count * sizeof *kept);
        kept += p->count;
    }
}

static mien_status one_step(mien__loop *l, double lr, double *ret_loss, double *ret_norm, mien__parts *parts,
                            mien_error *err)
{
    const int batches = l->o->accumulate > 1 ? l->o->accumulate : 1;
    float *input = mien__net_input(l->net, NULL);
    mien_status st = MIEN_OK;
    *ret_loss = 0.0;
    keep_buffers(l, false);
    for (int b = 0; b < batches; b++) {
        double loss = 0.0;
        *parts = (mien__parts){ .n = 0 };
        if ((st = l->task->fill(l->task->ctx, l->s.step * (uint64_t)batches + (uint64_t)b, input, err)))
            return st;
        mien__net_forward(l->net);
        if ((st = l->task->loss(l->task->ctx, l->net, &loss, parts, err)))
            return st;
        mien__net_backward(l->net);
        *ret_loss += loss / batches;
        if (batches > 1)
            add_to_sums(l, b == 0);
    }
    if (batches > 1)
        take_sums(l, 1.0f / (float)batches);
    *ret_norm = isfinite(*ret_loss) ? mien__optim_step(l->optim, lr) : NAN;
    if (!isfinite(*ret_norm))
        keep_buffers(l, true);
    mien__net_changed(l->net);
    return MIEN_OK;
}

static double best_score(const mien__loop *l)
{
    return l->s.validated ? l->s.best_score : NAN;
}

static bool report(mien__loop *l, const char *phase, double lr)
{
    const double now = mien__now_ms();
    if (now - l->window_start > 2000.0 && l->s.step > l->window_step) {
        l->rate = (double)(l->s.step - l->window_step) / (now - l->window_start) * 1000.0;
        l->window_start = now;
        l->window_step = l->s.step;
    }
    const double batch = (double)l->task->batch * (l->o->accumulate > 1 ? l->o->accumulate : 1);
    const mien_train_state state = {
        .phase = phase,
        .done = l->s.step,
        .total = l->total_steps,
        .epoch = l->s.step < l->total_steps ? (int)(l->s.step / l->epoch_steps) + 1 : l->o->epochs,
        .epochs = l->o->epochs,
        .loss = l->s.loss_average,
        .score = l->score,
        .validations = l->validations,
        .lr = lr,
        .images_per_s = l->rate * batch,
        .seconds_left = l->rate > 0 ? (double)(l->total_steps - l->s.step) / l->rate : NAN
    };
    return l->o->progress && l->o->progress(&state, l->o->user) != 0;
}

/* One line of the log: named figures in front, parts behind. */
static mien_status log_line(mien__loop *l, const mien__parts *front, const mien__parts *parts,
                            const mien__validation *validation, mien_error *err)
{
    mien__runlog_value values[2 * MIEN__TRAIN_PARTS];
    size_t n = 0;
    for (int i = 0; i < front->n; i++)
        values[n++] = (mien__runlog_value){ front->name[i], front->value[i] };
    for (int i = 0; i < parts->n; i++)
        values[n++] = (mien__runlog_value){ parts->name[i], parts->value[i] };
    const mien__runlog_record r = { .step = l->s.step,
                                    .epoch = l->s.step / l->epoch_steps,
                                    .values = values,
                                    .n_values = n,
                                    .validation = validation };
    return mien__runlog_write(l->log, &r, err);
}

static mien_status log_step(mien__loop *l, double loss, double norm, double lr, const mien__parts *parts,
                            mien_error *err)
{
    mien__parts front = { .n = 0 };
    mien__parts_add(&front, "loss", loss);
    mien__parts_add(&front, "lr", lr);
    mien__parts_add(&front, "grad_norm", norm);
    mien__parts_add(&front, "images_s",
                    l->rate * l->task->batch * (l->o->accumulate > 1 ? l->o->accumulate : 1));
    return log_line(l, &front, parts, NULL, err);
}

/* ---- validation ---- */

static mien_status validate(mien__loop *l, mien_error *err)
{
    char path[MIEN__LOOP_PATH_BYTES];
    mien_model *model = NULL;
    mien__parts front = { .n = 0 }, parts = { .n = 0 };
    double score = 0.0;
    mien__optim_swap_ema(l->optim);
    mien_status st = mien__train_model(l->net, l->task, &model, err);
    mien__optim_swap_ema(l->optim);
    if (st || (st = l->task->validate(l->task->ctx, model, &parts, &score, err)))
        goto done;
    mien__parts_add(&front, "score", score);
    if ((st = log_line(l, &front, &parts, l->task->validation ? *l->task->validation : NULL, err)))
        goto done;
    l->score = score;
    l->validations++;
    l->s.since_best++;
    if (!l->s.validated || score > l->s.best_score || isnan(l->s.best_score)) {
        if ((st = mien__loop_path(l, "best.mien", path, err)) || (st = mien_model_save(model, path, err)))
            goto done;
        l->s.best_score = score;
        l->s.best_step = l->s.step;
        l->s.since_best = 0;
        mien_model_free(l->best);
        l->best = model;
        model = NULL;
    }
    l->s.validated = 1;
done:
    mien_model_free(model);
    return st;
}

/* After an epoch: validation when it is due, a checkpoint. */
static mien_status end_epoch(mien__loop *l, bool *ret_stop, mien_error *err)
{
    const uint64_t epoch = l->s.step / l->epoch_steps;
    const bool last = l->s.step >= l->total_steps;
    mien_status st = MIEN_OK;
    if (l->task->validate && (last || (l->s.step % l->epoch_steps == 0 && l->o->validate_epochs > 0 &&
                                       epoch % (uint64_t)l->o->validate_epochs == 0))) {
        report(l, "validating", 0.0);
        if ((st = validate(l, err)))
            return st;
        report(l, "validating", 0.0); /* with its score: after the last epoch nothing else would tell it */
        *ret_stop = l->o->patience > 0 && l->s.since_best >= l->o->patience;
    }
    return mien__loop_save(l, err);
}

static mien_status no_number(const mien__loop *l, mien_error *err)
{
    return mien__fail(err, MIEN_E_TRAIN,
                      "the loss was not a number in %d steps in a row (step %llu): lower --lr, or clip "
                      "gradients; the last checkpoint is kept",
                      l->bad, (unsigned long long)l->s.step);
}

static mien_status step_and_record(mien__loop *l, mien_error *err)
{
    const uint64_t every = l->epoch_steps > 400 ? 20 : l->epoch_steps > 40 ? 5 : 1;
    const double lr = mien__lr_at(l->o->lr, l->s.step, l->o->warmup_steps, l->total_steps, l->o->floor);
    double loss = 0.0, norm = 0.0;
    mien__parts parts = { .n = 0 };
    mien_status st = one_step(l, lr, &loss, &norm, &parts, err);
    if (st)
        return st;
    l->s.step++;
    if (isfinite(norm)) {
        l->bad = 0;
        l->s.loss_average = isfinite(l->s.loss_average) ? 0.98 * l->s.loss_average + 0.02 * loss : loss;
    } else if (++l->bad >= BAD_STEPS)
        return no_number(l, err);
    if (l->s.step % every == 0 && (st = log_step(l, loss, norm, lr, &parts, err)))
        return st;
    l->asked = report(l, "training", lr);
    return MIEN_OK;
}

static mien_status run(mien__loop *l, mien__loop_result *ret, mien_error *err)
{
    bool stop = l->o->patience > 0 && l->s.since_best >= l->o->patience;
    mien_status st = MIEN_OK;
    while (!st && !stop && !l->asked && l->s.step < l->total_steps) {
        const mien_status stepped = step_and_record(l, err);
        if (stepped)
            return stepped;
        if (l->bad > 0)
            continue;
        if (l->s.step % l->epoch_steps == 0 || l->s.step == l->total_steps)
            st = end_epoch(l, &stop, err);
        else if (l->asked || (l->o->checkpoint_s > 0 &&
                              mien__now_ms() - l->last_checkpoint > l->o->checkpoint_s * 1000.0))
            st = mien__loop_save(l, err);
    }
    ret->stopped_early = stop;
    if (st)
        return st;
    if (l->asked) {
        ret->interrupted = true;
        return mien__fail(err, MIEN_E_INTERRUPTED, "stopped at step %llu; --resume goes on",
                          (unsigned long long)l->s.step);
    }
    return l->bad > 0 ? no_number(l, err) : MIEN_OK;
}

mien_status mien__train_loop(mien__net *net, const mien__task *task, const mien__loop_opts *o,
                             mien_model **ret_best, mien__loop_result *ret, mien_error *err)
{
    mien__loop l = { .net = net, .task = task, .o = o };
    mien_status st = mien__loop_open(&l, err);
    *ret = (mien__loop_result){ 0 };
    if (!st)
        st = run(&l, ret, err);
    ret->steps = l.s.step;
    ret->best_step = l.s.best_step;
    ret->best_score = best_score(&l);
    ret->last_loss = l.s.loss_average;
    ret->seconds = l.s.seconds;
    if (!st && !l.best) {
        mien__optim_swap_ema(l.optim);
        st = mien__train_model(net, task, &l.best, err);
        mien__optim_swap_ema(l.optim);
    }
    if (!st) {
        *ret_best = l.best;
        l.best = NULL;
    }
    mien__loop_close(&l);
    return st;
}
