/* Loader threads: each makes whole batches, ahead of the trainer, into a ring of buffers.
 *
 * Batches are numbered from the start of training: number = epoch * steps + step, and stand in slot number
 * mod slots. A thread claims the next number while its slot is free, fills the slot outside the lock and
 * marks it ready; next() waits for the slot of the number it hands out and frees the one handed out before.
 * What a batch holds follows from its number alone, so neither the count of threads nor their timing shows.
 * A thread that cannot fill a batch leaves the reason in the slot, and next() returns it.
 */
#include "train/loader.h"
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { DEFAULT_AHEAD = 4, MAX_AHEAD = 1024, MAX_BATCH = 1 << 16, MAX_THREADS = 256, MAX_SIDE_PX = 2048 };

typedef struct slot {
    uint8_t *rgb;
    int32_t *labels;
    size_t *samples;
    int n;
    bool ready;
    mien_status status;
    mien_error error;
} slot;

struct mien__loader {
    mien__loader_opts o;
    mien__order order;
    mien__picture_cache *cache; /* NULL: none */
    bool augments;
    uint64_t steps;
    slot *slots;
    unsigned n_slots;

    pthread_mutex_t lock;
    pthread_cond_t work, done;      /* threads wait for work; next() and seek() wait for done */
    uint64_t next_made, next_given; /* numbers to be claimed and handed out next */
    bool lent;                      /* the batch before next_given is in the trainer's hands */
    unsigned busy;                  /* threads filling a slot */
    atomic_bool stop, hurry;        /* hurry: what is being filled will be thrown away */
    atomic_size_t replaced;
    unsigned n_started;
    pthread_t threads[];
};

/* ---- one sample ---- */

static mien_status picture_of(mien__loader *l, size_t index, mien__kept *ret, bool *ret_owned,
                              mien_error *err)
{
    *ret_owned = false;
    if (l->cache && mien__picture_cache_get(l->cache, index, ret))
        return MIEN_OK;
    const mien_status st = mien__sample_load(&l->o.set->samples[index], (const float(*)[2])l->o.template5,
                                             &ret->image, &ret->sample, err);
    if (st)
        return st;
    *ret_owned = !l->cache || !mien__picture_cache_put(l->cache, index, ret);
    return MIEN_OK;
}

static mien_status cut(mien__loader *l, size_t index, uint64_t epoch, uint64_t turn, uint8_t *rgb,
                       mien_error *err)
{
    mien__kept k = { 0 };
    bool owned = false;
    mien_status st = picture_of(l, index, &k, &owned, err);
    if (st)
        return st;
    mien__rng rng;
    mien__augment_stream(l->o.seed ^ turn, epoch, index, &rng);
    st = mien__sample_crop(&k.sample, mien_image_view_of(k.image), (const float(*)[2])l->o.template5,
                           l->o.side, l->augments ? &l->o.augment : NULL, &rng, rgb, err);
    if (owned)
        mien_image_free(k.image);
    return st;
}

/* Faults of the machine end the batch; faults of a picture let another one stand in. */
static bool is_fatal(mien_status st)
{
    return st == MIEN_E_NOMEM || st == MIEN_E_INTERNAL;
}

static mien_status fill_place(mien__loader *l, slot *s, uint64_t epoch, uint64_t step, int i)
{
    const size_t bytes = (size_t)l->o.side * (size_t)l->o.side * 3;
    const unsigned attempts = mien__order_attempts(&l->order);
    /* people's pictures may stand more than once in an epoch, and shall differ */
    const uint64_t turn = l->order.per_person ? step * (uint64_t)l->o.batch + (uint64_t)i + 1 : 0;
    mien_error err = MIEN_ERROR_INIT;
    for (unsigned a = 0; a < attempts; a++) {
        const size_t index = mien__order_sample(&l->order, epoch, step, i, a);
        const mien__sample *const sample = &l->o.set->samples[index];
        const mien_status st = cut(l, index, epoch, turn, s->rgb + (size_t)i * bytes, &err);
        if (st == MIEN_OK) {
            s->labels[i] = sample->label;
            s->samples[i] = index;
            return MIEN_OK;
        }
        if (is_fatal(st)) {
            s->error = err;
            return st;
        }
        mien__log(MIEN_LOG_WARN, "%s is replaced by another picture: %s", sample->path, err.message);
        atomic_fetch_add(&l->replaced, 1);
    }
    return mien__fail(&s->error, MIEN_E_EVAL_DATA,
                      "%u pictures in a row cannot be read, the last because: %s", attempts, err.message);
}

static void fill_slot(mien__loader *l, slot *s, uint64_t number)
{
    const uint64_t epoch = number / l->steps, step = number % l->steps;
    s->n = mien__order_batch_len(&l->order, step);
    s->status = MIEN_OK;
    s->error = (mien_error)MIEN_ERROR_INIT;
    for (int i = 0; i < s->n && !s->status && !atomic_load(&l->hurry); i++)
        s->status = fill_place(l, s, epoch, step, i);
    const size_t bytes = (size_t)l->o.side * (size_t)l->o.side * 3;
    for (int i = s->n; i < l->o.batch && !s->status; i++) /* see mien__batch */
        memcpy(s->rgb + (size_t)i * bytes, s->rgb + (size_t)(i - s->n) * bytes, bytes);
}

/* ---- threads ---- */

static bool has_room(const mien__loader *l)
{
    const uint64_t oldest = l->next_given - (l->lent ? 1 : 0);
    return !atomic_load(&l->hurry) && l->next_made - oldest < l->n_slots;
}

static void *loader_main(void *arg)
{
    mien__loader *const l = arg;
    pthread_mutex_lock(&l->lock);
    for (;;) {
        while (!atomic_load(&l->stop) && !has_room(l))
            pthread_cond_wait(&l->work, &l->lock);
        if (atomic_load(&l->stop))
            break;
        const uint64_t number = l->next_made++;
        slot *const s = &l->slots[number % l->n_slots];
        l->busy++;
        pthread_mutex_unlock(&l->lock);
        fill_slot(l, s, number);
        pthread_mutex_lock(&l->lock);
        s->ready = true;
        l->busy--;
        pthread_cond_broadcast(&l->done);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

/* ---- life ---- */

static mien_status check_opts(const mien__loader_opts *o, mien_error *err)
{
    if (!o->set || !o->indices)
        return mien__fail(err, MIEN_E_ARG, "loader: a pointer is NULL");
    if (o->batch < 1 || o->batch > MAX_BATCH)
        return mien__fail(err, MIEN_E_ARG, "loader: batches of %d, must be 1..%d", o->batch, MAX_BATCH);
    if (o->side < 1 || o->side > MAX_SIDE_PX)
        return mien__fail(err, MIEN_E_ARG, "loader: crops of %d px, must be 1..%d", o->side, MAX_SIDE_PX);
    if (o->threads > MAX_THREADS || o->ahead < 0 || o->ahead > MAX_AHEAD)
        return mien__fail(err, MIEN_E_ARG, "loader: %u threads (at most %d), %d batches ahead (0..%d)",
                          o->threads, MAX_THREADS, o->ahead, MAX_AHEAD);
    return mien__augment_check(&o->augment, err);
}

static mien_status make_slots(mien__loader *l, mien_error *err)
{
    const size_t batch = (size_t)l->o.batch, image = (size_t)l->o.side * (size_t)l->o.side * 3;
    l->n_slots = (unsigned)(l->o.ahead ? l->o.ahead : DEFAULT_AHEAD) + 1; /* one is in the trainer's hands */
    l->slots = mien_alloc_array_zero(l->n_slots, sizeof *l->slots);
    if (!l->slots)
        return mien__nomem(err, l->n_slots * sizeof *l->slots);
    for (unsigned i = 0; i < l->n_slots; i++) {
        slot *const s = &l->slots[i];
        s->rgb = mien_alloc_array(batch, image);
        s->labels = mien_alloc_array(batch, sizeof *s->labels);
        s->samples = mien_alloc_array(batch, sizeof *s->samples);
        if (!s->rgb || !s->labels || !s->samples)
            return mien__nomem(err, batch * image);
    }
    return MIEN_OK;
}

static mien_status start_threads(mien__loader *l, unsigned threads, mien_error *err)
{
    for (; l->n_started < threads; l->n_started++)
        if (pthread_create(&l->threads[l->n_started], NULL, loader_main, l) != 0)
            return mien__fail(err, MIEN_E_NOMEM, "cannot start loader thread %u of %u", l->n_started + 1,
                              threads);
    return MIEN_OK;
}

mien_status mien__loader_new(const mien__loader_opts *o, mien__loader **ret, mien_error *err)
{
    mien_status st = check_opts(o, err);
    if (st)
        return st;
    const unsigned threads = o->threads ? o->threads : 1;
    const size_t bytes = sizeof(mien__loader) + threads * sizeof(pthread_t);
    mien__loader *const l = mien_alloc_zero(bytes);
    if (!l)
        return mien__nomem(err, bytes);
    l->o = *o;
    l->augments = memcmp(&o->augment, &mien__augment_none, sizeof o->augment) != 0;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->done, NULL);
    st = mien__order_init(o, &l->order, err);
    if (!st && o->cache_bytes > 0)
        st = mien__picture_cache_new(o->set->n, o->cache_bytes, &l->cache, err);
    if (!st)
        st = make_slots(l, err);
    if (!st) {
        l->steps = mien__order_steps(&l->order);
        st = start_threads(l, threads, err);
    }
    if (st) {
        mien__loader_free(l);
        return st;
    }
    *ret = l;
    return MIEN_OK;
}

void mien__loader_free(mien__loader *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    atomic_store(&l->stop, true);
    atomic_store(&l->hurry, true);
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    for (unsigned i = 0; i < l->n_started; i++)
        pthread_join(l->threads[i], NULL);
    for (unsigned i = 0; l->slots && i < l->n_slots; i++) {
        mien_free(l->slots[i].rgb);
        mien_free(l->slots[i].labels);
        mien_free(l->slots[i].samples);
    }
    mien_free(l->slots);
    mien__picture_cache_free(l->cache);
    mien__order_free(&l->order);
    pthread_cond_destroy(&l->done);
    pthread_cond_destroy(&l->work);
    pthread_mutex_destroy(&l->lock);
    mien_free(l);
}

/* ---- use ---- */

mien_status mien__loader_next(mien__loader *l, mien__batch *ret, mien_error *err)
{
    pthread_mutex_lock(&l->lock);
    if (l->lent) {
        l->slots[(l->next_given - 1) % l->n_slots].ready = false;
        l->lent = false;
        pthread_cond_broadcast(&l->work);
    }
    const uint64_t number = l->next_given;
    const slot *const s = &l->slots[number % l->n_slots];
    while (!s->ready)
        pthread_cond_wait(&l->done, &l->lock);
    const mien_status st = s->status;
    if (st == MIEN_OK) {
        l->next_given++;
        l->lent = true;
    }
    pthread_mutex_unlock(&l->lock);
    if (st) { /* stays as it is: asking again gives the same, seek() starts anew */
        if (err)
            *err = s->error;
        return st;
    }
    *ret = (mien__batch){ s->n, s->rgb, s->labels, s->samples, number / l->steps, number % l->steps };
    return MIEN_OK;
}

mien_status mien__loader_seek(mien__loader *l, uint64_t epoch, uint64_t step, mien_error *err)
{
    if (step >= l->steps || epoch > UINT64_MAX / l->steps - 2)
        return mien__fail(err, MIEN_E_ARG, "loader: step %llu of epoch %llu, an epoch has %llu",
                          (unsigned long long)step, (unsigned long long)epoch, (unsigned long long)l->steps);
    pthread_mutex_lock(&l->lock);
    atomic_store(&l->hurry, true);
    while (l->busy > 0)
        pthread_cond_wait(&l->done, &l->lock);
    for (unsigned i = 0; i < l->n_slots; i++)
        l->slots[i].ready = false;
    l->next_made = l->next_given = epoch * l->steps + step;
    l->lent = false;
    atomic_store(&l->hurry, false);
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    return MIEN_OK;
}

size_t mien__loader_steps_per_epoch(const mien__loader *l)
{
    return (size_t)l->steps;
}

size_t mien__loader_replaced(mien__loader *l)
{
    return atomic_load(&l->replaced);
}
