/* Optimisers over a list of parameters.
 *
 *   SGD    g' = g + wd w;  m = momentum m + g';  w -= lr m          (Polyak 1964)
 *   AdamW  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  w -= lr wd w;
 *          w -= lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)  (Loshchilov 2019, algorithm 2)
 *   EMA    a += (1 - d) (w - a),  d = min(ema, (1 + t) / (10 + t))  with t = 1 at the first step
 *
 * Values and state are float, each element's update is computed in double and rounded once, so that small
 * steps are not lost before they must be. The global norm is taken first; a NaN or infinity anywhere in the
 * gradients shows in it, and then nothing is changed. Clipping is a factor on the gradients as they are
 * read: the arrays themselves stay. The average covers every parameter of the list, trainable or not: one
 * that never changes equals its average, and running statistics have to be averaged with the weights they
 * belong to.
 */
#include "train/optim.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Squares of gradients are kept in float: what does not fit there counts as infinite. */
#define MAX_NORM 1e18

struct mien__optim {
    mien__optim_opts opts;
    mien__param *params;
    float **m, **v, **ema; /* [n], into state; NULL where there is none */
    float *state;
    size_t n;
    uint64_t steps;
    bool swapped;
};

static bool in_range(double x, double lo, double below)
{
    return x >= lo && x < below;
}

static mien_status check_opts(const mien__optim_opts *o, mien_error *err)
{
    if (o->kind != MIEN__SGD && o->kind != MIEN__ADAMW)
        return mien__fail(err, MIEN_E_ARG, "no optimiser has the number %d", (int)o->kind);
    if (o->kind == MIEN__SGD && !in_range(o->momentum, 0.0, 1.0))
        return mien__fail(err, MIEN_E_ARG, "momentum must be in [0, 1), not %g", o->momentum);
    if (o->kind == MIEN__ADAMW &&
        !(in_range(o->beta1, 0.0, 1.0) && in_range(o->beta2, 0.0, 1.0) && in_range(o->eps, 0.0, 1.0)))
        return mien__fail(err, MIEN_E_ARG, "beta1, beta2 and eps must be in [0, 1), not %g, %g, %g", o->beta1,
                          o->beta2, o->eps);
    if (!in_range(o->weight_decay, 0.0, HUGE_VAL) || !in_range(o->clip_norm, 0.0, HUGE_VAL))
        return mien__fail(err, MIEN_E_ARG, "weight decay and clipping must be >= 0, not %g and %g",
                          o->weight_decay, o->clip_norm);
    if (!in_range(o->ema, 0.0, 1.0))
        return mien__fail(err, MIEN_E_ARG, "the decay of the average must be in [0, 1), not %g", o->ema);
    return MIEN_OK;
}

/* Floats of state that parameter p needs. */
static size_t moments_of(const mien__optim_opts *o, const mien__param *p)
{
    return !p->trainable ? 0 : o->kind == MIEN__ADAMW ? 2 : 1;
}

static bool count_state(const mien__optim_opts *o, const mien__param *params, size_t n, size_t *ret)
{
    size_t total = 0, floats = 0;
    for (size_t i = 0; i < n; i++)
        if (!mien_mul_ok(params[i].count, moments_of(o, &params[i]) + (o->ema > 0.0), &floats) ||
            !mien_add_ok(total, floats, &total))
            return false;
    *ret = total;
    return true;
}

static void cut_state(mien__optim *o)
{
    float *at = o->state;
    for (size_t i = 0; i < o->n; i++) {
        const mien__param *const p = &o->params[i];
        const size_t moments = moments_of(&o->opts, p);
        if (moments > 0) {
            o->m[i] = at;
            at += p->count;
        }
        if (moments > 1) {
            o->v[i] = at;
            at += p->count;
        }
        if (o->opts.ema > 0.0) {
            o->ema[i] = at;
            memcpy(at, p->value, p->count * sizeof *at);
            at += p->count;
        }
    }
}

mien_status mien__optim_new(const mien__optim_opts *opts, const mien__param *params, size_t n,
                            mien__optim **ret, mien_error *err)
{
    mien_status status = check_opts(opts, err);
    if (status != MIEN_OK)
        return status;
    size_t floats = 0;
    if (!count_state(opts, params, n, &floats))
        return mien__fail(err, MIEN_E_LIMIT, "the optimiser's state is larger than memory can be");
    mien__optim *const o = mien_alloc_zero(sizeof *o);
    if (!o)
        return mien__nomem(err, sizeof *o);
    o->opts = *opts;
    o->n = n;
    o->params = mien_alloc_array(n, sizeof *o->params);
    o->m = mien_alloc_array_zero(n, sizeof *o->m);
    o->v = mien_alloc_array_zero(n, sizeof *o->v);
    o->ema = mien_alloc_array_zero(n, sizeof *o->ema);
    o->state = mien_alloc_array_zero(floats, sizeof *o->state);
    if (!o->params || !o->m || !o->v || !o->ema || !o->state) {
        status = mien__nomem(err, floats * sizeof *o->state);
        goto done;
    }
    if (n > 0)
        memcpy(o->params, params, n * sizeof *params);
    cut_state(o);
    *ret = o;
done:
    if (status != MIEN_OK)
        mien__optim_free(o);
    return status;
}

void mien__optim_free(mien__optim *o)
{
    if (!o)
        return;
    mien_free(o->state);
    mien_free(o->ema);
    mien_free(o->v);
    mien_free(o->m);
    mien_free(o->params);
    mien_free(o);
}

uint64_t mien__optim_steps(const mien__optim *o)
{
    return o->steps;
}

/* ---- one step ---- */

static double sum_of_squares(const float *x, size_t n)
{
    enum { LANES = 8 };
    double s[LANES] = { 0 }, sum = 0.0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            s[j] += (double)x[i + j] * (double)x[i + j];
    for (size_t j = 0; i + j < n; j++)
        s[j] += (double)x[i + j] * (double)x[i + j];
    for (int j = 0; j < LANES; j++)
        sum += s[j];
    return sum;
}

static double gradient_norm(const mien__optim *o)
{
    double sum = 0.0;
    for (size_t i = 0; i < o->n; i++)
        if (o->params[i].trainable)
            sum += sum_of_squares(o->params[i].grad, o->params[i].count);
    return sqrt(sum);
}

static void step_sgd(const mien__optim_opts *o, const mien__param *p, double lr, double factor, float *m)
{
    const double decay = p->decay ? o->weight_decay : 0.0, momentum = o->momentum;
    for (size_t i = 0; i < p->count; i++) {
        const double w = (double)p->value[i], g = factor * (double)p->grad[i] + decay * w;
        const double mi = momentum * (double)m[i] + g;
        m[i] = (float)mi;
        p->value[i] = (float)(w - lr * mi);
    }
}

static void step_adamw(const mien__optim_opts *o, const mien__param *p, double lr, double factor, double t,
                       float *m, float *v)
{
    const double keep = p->decay ? 1.0 - lr * o->weight_decay : 1.0, eps = o->eps;
    const double b1 = o->beta1, b2 = o->beta2;
    const double fix_m = lr / (1.0 - pow(b1, t)), fix_v = 1.0 / (1.0 - pow(b2, t));
    for (size_t i = 0; i < p->count; i++) {
        const double g = factor * (double)p->grad[i];
        const double mi = b1 * (double)m[i] + (1.0 - b1) * g, vi = b2 * (double)v[i] + (1.0 - b2) * g * g;
        const double below = sqrt(vi * fix_v) + eps;
        m[i] = (float)mi;
        v[i] = (float)vi;
        /* eps = 0 and no gradient so far: 0 / 0, and nothing to do */
        p->value[i] = (float)(keep * (double)p->value[i] - (below > 0.0 ? fix_m * mi / below : 0.0));
    }
}

static void average(mien__optim *o)
{
    const double t = (double)o->steps, warm = (1.0 + t) / (10.0 + t);
    const double take = 1.0 - (warm < o->opts.ema ? warm : o->opts.ema);
    for (size_t i = 0; i < o->n; i++) {
        const float *const w = o->params[i].value;
        float *const a = o->ema[i];
        for (size_t j = 0; j < o->params[i].count; j++)
            a[j] = (float)((double)a[j] + take * ((double)w[j] - (double)a[j]));
    }
}

double mien__optim_step(mien__optim *o, double lr)
{
    mien_assert(!o->swapped && isfinite(lr));
    const double norm = gradient_norm(o);
    if (!isfinite(norm))
        return norm;
    const double clip = o->opts.clip_norm, factor = clip > 0.0 && norm > clip ? clip / norm : 1.0;
    if (norm * factor > MAX_NORM)
        return HUGE_VAL;
    o->steps++;
    for (size_t i = 0; i < o->n; i++) {
        const mien__param *const p = &o->params[i];
        const double rate = lr * (double)p->lr_scale;
        if (!p->trainable)
            continue;
        if (o->opts.kind == MIEN__SGD)
            step_sgd(&o->opts, p, rate, factor, o->m[i]);
        else
            step_adamw(&o->opts, p, rate, factor, (double)o->steps, o->m[i], o->v[i]);
    }
    if (o->opts.ema > 0.0)
        average(o);
    return norm;
}

void mien__optim_swap_ema(mien__optim *o)
{
    if (!(o->opts.ema > 0.0))
        return;
    for (size_t i = 0; i < o->n; i++) {
        float *const w = o->params[i].value, *const a = o->ema[i];
        for (size_t j = 0; j < o->params[i].count; j++) {
            const float keep = w[j];
            w[j] = a[j];
            a[j] = keep;
        }
    }
    o->swapped = !o->swapped;
}

/* ---- schedule ---- */

double mien__lr_at(double base, uint64_t step, uint64_t warmup, uint64_t total, double floor)
{
    static const double pi = 3.14159265358979323846;
    if (step < warmup)
        return base * ((double)step + 1.0) / (double)warmup;
    if (step >= total)
        return base * floor;
    const double done = (double)(step - warmup) / (double)(total - warmup);
    return base * (floor + (1.0 - floor) * 0.5 * (1.0 + cos(pi * done)));
}

/* ---- state as items of a checkpoint ---- */

static void put_item(mien__ckpt_item *items, size_t capacity, size_t *n, const char *kind, size_t index,
                     const char *name, void *data, size_t bytes)
{
    if (items && *n < capacity) {
        mien__ckpt_item *const it = &items[*n];
        memset(it->name, 0, sizeof it->name);
        /* the number keeps names apart that differ only past the end */
        (void)snprintf(it->name, sizeof it->name, "%s.%zu.%s", kind, index, name ? name : "");
        it->data = data;
        it->bytes = bytes;
    }
    ++*n;
}

size_t mien__optim_items(mien__optim *o, mien__ckpt_item *items, size_t capacity)
{
    mien_assert(!o->swapped);
    size_t n = 0;
    put_item(items, capacity, &n, "optim", 0, "steps", &o->steps, sizeof o->steps);
    for (size_t i = 0; i < o->n; i++) {
        const mien__param *const p = &o->params[i];
        const size_t bytes = p->count * sizeof(float);
        if (o->m[i])
            put_item(items, capacity, &n, "m", i, p->name, o->m[i], bytes);
        if (o->v[i])
            put_item(items, capacity, &n, "v", i, p->name, o->v[i], bytes);
        if (o->ema[i])
            put_item(items, capacity, &n, "ema", i, p->name, o->ema[i], bytes);
    }
    return n;
}
