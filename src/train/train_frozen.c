/* `tune head`: embeddings of the frozen network, made once, and batches of them.
 *
 * Each training picture is embedded VARIANTS times, the first time as it is, then augmented; a batch draws
 * pictures by a permutation per epoch and one of their variants at random, both from (seed, epoch), so that a
 * resumed run sees the same. Hours of forward passes become seconds of a matrix product.
 */
#include "train/arch.h"
#include "train/train_embed_parts.h"
#include <math.h>
#include <string.h>

enum { VARIANTS = 8, PIECE = 64 };

struct mien__frozen {
    const mien_model *model;
    float *rows;              /* [n_train][VARIANTS][dim] */
    uint8_t *made;            /* [n_train]: the picture could be read */
    size_t *usable, n_usable; /* places in rows */
    size_t *order;            /* [n_usable], of order_epoch */
    uint64_t order_epoch;
    bool ordered;
};

/* ---- making them ---- */

typedef struct frozen_worker {
    mien_embedder *embedder;
    uint8_t *rgb;
    mien_status st;
    mien_error err;
} frozen_worker;

typedef struct frozen_ctx {
    mien__embed_task *t;
    mien__frozen *f;
    const mien__augment *augment;
    frozen_worker *workers;
    size_t first;
} frozen_ctx;

static mien_status embed_variants(const frozen_ctx *x, frozen_worker *w, size_t at, mien_error *err)
{
    const mien__embed_task *t = x->t;
    const size_t bytes = (size_t)t->side * (size_t)t->side * 3, sample = t->data->train[at];
    mien_image_view views[VARIANTS];
    mien_image *image = NULL;
    mien__sample s;
    mien_status st = mien__sample_load(&t->data->set->samples[sample], t->info->landmarks, &image, &s, err);
    for (size_t v = 0; !st && v < VARIANTS; v++) {
        mien__rng rng;
        mien__augment_stream(t->o->seed, v, sample, &rng);
        st = mien__sample_crop(&s, mien_image_view_of(image), t->info->landmarks, t->side,
                               v ? x->augment : NULL, &rng, w->rgb + v * bytes, err);
        views[v] = (mien_image_view){ w->rgb + v * bytes, t->side, t->side, (size_t)t->side * 3 };
    }
    mien_image_free(image);
    return st ? st
              : mien_embed_crops(w->embedder, views, VARIANTS, x->f->rows + at * VARIANTS * (size_t)t->dim,
                                 err);
}

static void freeze_one(void *ctx, size_t task, unsigned worker)
{
    const frozen_ctx *x = ctx;
    frozen_worker *w = &x->workers[worker];
    const size_t at = x->first + task;
    mien_error why = MIEN_ERROR_INIT;
    if (w->st)
        return;
    const mien_status st = embed_variants(x, w, at, &why);
    x->f->made[at] = !st;
    if (st == MIEN_E_NOMEM || st == MIEN_E_INTERNAL) {
        w->st = st;
        w->err = why;
    } else if (st)
        mien__log(MIEN_LOG_WARN, "%s is left out: %s", x->t->data->set->samples[x->t->data->train[at]].path,
                  why.message);
}

static mien_status worker_fault(const frozen_ctx *x, unsigned n, mien_error *err)
{
    for (unsigned i = 0; i < n; i++)
        if (x->workers[i].st) {
            if (err)
                *err = x->workers[i].err;
            return x->workers[i].st;
        }
    return MIEN_OK;
}

static mien_status open_workers(const frozen_ctx *x, unsigned n, mien_error *err)
{
    const mien_embed_opts eo = MIEN_EMBED_OPTS_INIT;
    const size_t bytes = (size_t)x->t->side * (size_t)x->t->side * 3;
    mien_status st = MIEN_OK;
    for (unsigned i = 0; !st && i < n; i++) {
        frozen_worker *w = &x->workers[i];
        w->rgb = mien_alloc_array(VARIANTS, bytes);
        st = w->rgb ? mien_embedder_new(x->f->model, &eo, &w->embedder, err)
                    : mien__nomem(err, VARIANTS * bytes);
    }
    return st;
}

static mien_status freeze_all(frozen_ctx *x, mien__pool *pool, mien_error *err)
{
    const mien_train_opts *o = x->t->o;
    const unsigned n = mien__pool_threads(pool);
    const size_t total = x->t->data->n_train;
    x->workers = mien_alloc_array_zero(n, sizeof *x->workers);
    mien_status st = x->workers ? open_workers(x, n, err) : mien__nomem(err, n * sizeof *x->workers);
    for (x->first = 0; !st && x->first < total; x->first += PIECE) {
        const size_t left = total - x->first;
        const mien_train_state state = { .phase = "embedding",
                                         .done = x->first,
                                         .total = total,
                                         .loss = NAN,
                                         .score = NAN,
                                         .seconds_left = NAN };
        mien__pool_run(pool, freeze_one, x, left < PIECE ? left : PIECE);
        st = worker_fault(x, n, err);
        if (!st && o->progress && o->progress(&state, o->user))
            st = mien__fail(err, MIEN_E_INTERRUPTED, "stopped while embedding pictures");
    }
    for (unsigned i = 0; x->workers && i < n; i++) {
        mien_embedder_free(x->workers[i].embedder);
        mien_free(x->workers[i].rgb);
    }
    mien_free(x->workers);
    return st;
}

static mien_status list_usable(mien__frozen *f, size_t n, mien_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (f->made[i])
            f->usable[f->n_usable++] = i;
    return f->n_usable ? MIEN_OK
                       : mien__fail(err, MIEN_E_EVAL_DATA, "none of %zu training pictures can be read", n);
}

mien_status mien__frozen_new(mien__embed_task *t, const mien_model *start, mien__frozen **ret,
                             mien_error *err)
{
    mien__augment augment = mien__augment_default;
    mien__pool *pool = NULL;
    const size_t n = t->data->n_train;
    mien__frozen *f = mien_alloc_zero(sizeof *f);
    mien_status st = f ? MIEN_OK : mien__nomem(err, sizeof *f);
    if (st)
        return st;
    f->model = start;
    f->rows = mien_alloc_array(n * VARIANTS + 1, (size_t)t->dim * sizeof *f->rows);
    f->made = mien_alloc_zero(n + 1);
    f->usable = mien_alloc_array(n + 1, sizeof *f->usable);
    f->order = mien_alloc_array(n + 1, sizeof *f->order);
    if (!f->rows || !f->made || !f->usable || !f->order) {
        st = mien__nomem(err, n * VARIANTS * (size_t)t->dim * sizeof *f->rows);
        goto done;
    }
    if ((t->o->augment && (st = mien__augment_parse(t->o->augment, &augment, err))) ||
        (st = mien__pool_new(&pool, t->o->threads, err)))
        goto done;
    frozen_ctx x = { .t = t, .f = f, .augment = &augment };
    if ((st = freeze_all(&x, pool, err)) || (st = list_usable(f, n, err)))
        goto done;
    *ret = f;
    f = NULL;
done:
    mien__pool_free(pool);
    mien__frozen_free(f);
    return st;
}

void mien__frozen_free(mien__frozen *f)
{
    if (!f)
        return;
    mien_free(f->rows);
    mien_free(f->made);
    mien_free(f->usable);
    mien_free(f->order);
    mien_free(f);
}

/* ---- using them ---- */

/* A permutation of the usable pictures from (seed, epoch): Fisher, Yates. */
static void shuffle(mien__frozen *f, uint64_t seed, uint64_t epoch)
{
    mien__rng rng;
    if (f->ordered && f->order_epoch == epoch)
        return;
    mien__augment_stream(seed, epoch, UINT64_MAX, &rng);
    memcpy(f->order, f->usable, f->n_usable * sizeof *f->order);
    for (size_t i = f->n_usable; i > 1; i--) {
        const size_t j = (size_t)(mien__rng_unit(&rng) * (double)i), x = f->order[i - 1];
        f->order[i - 1] = f->order[j];
        f->order[j] = x;
    }
    f->ordered = true;
    f->order_epoch = epoch;
}

mien_status mien__frozen_fill(void *ctx, uint64_t step, float *input, mien_error *err)
{
    mien__embed_task *t = ctx;
    mien__frozen *f = t->frozen;
    const uint64_t epoch = step / t->task.steps_per_epoch, within = step % t->task.steps_per_epoch;
    const size_t dim = (size_t)t->dim;
    (void)err;
    shuffle(f, t->o->seed, epoch);
    t->batch.n = t->o->batch;
    for (int i = 0; i < t->o->batch; i++) {
        const size_t at = f->order[(within * (uint64_t)t->o->batch + (uint64_t)i) % f->n_usable];
        mien__rng rng;
        mien__augment_stream(t->o->seed, epoch, at, &rng);
        const size_t variant = (size_t)(mien__rng_unit(&rng) * VARIANTS);
        memcpy(input + (size_t)i * dim, f->rows + (at * VARIANTS + variant) * dim, dim * sizeof *input);
        mien__embed_put_target(t, i, t->data->train[at], t->data->set->samples[t->data->train[at]].label);
    }
    return MIEN_OK;
}

mien_status mien__frozen_finish(void *ctx, mien__graph **g, mien_error *err)
{
    const mien__embed_task *t = ctx;
    mien__graph *whole = NULL;
    mien_status st = mien__graph_copy(mien__model_graph(t->frozen->model), &whole, err);
    if (!st && !(st = mien__arch_append_layer(whole, *g, err))) {
        mien__graph_free(*g);
        *g = whole;
        whole = NULL;
    }
    mien__graph_free(whole);
    return st;
}
