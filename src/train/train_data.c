/* The data of a run: read, split by person, near duplicates across the split found and reported.
 *
 * A picture of validation that nearly equals one of training would flatter every figure, so it is taken out
 * of the validation side and counted.
 */
#include "train/train_embed.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct relay {
    mien_train_progress_fn progress;
    void *user;
} relay;

static int finding(size_t done, size_t total, void *user)
{
    const relay *r = user;
    const mien_train_state state = {
        .phase = "finding faces", .done = done, .total = total, .loss = NAN, .score = NAN, .seconds_left = NAN
    };
    return r->progress ? r->progress(&state, r->user) : 0;
}

static mien_status read_set(const mien_train_opts *o, const char *path, const char *dir, const char *index,
                            mien__dataset **ret, mien_error *err)
{
    char index_path[4096];
    relay r = { o->progress, o->user };
    snprintf(index_path, sizeof index_path, "%s/%s", dir ? dir : ".", index);
    const mien__data_opts d = { .aligned = o->aligned != 0,
                                .detector = o->detector,
                                .index_path = dir ? index_path : NULL,
                                .threads = o->threads,
                                .max_images = o->max_images,
                                .progress = finding,
                                .user = &r };
    return mien__dataset_read(path, &d, ret, err);
}

typedef struct duplicates {
    bool *drop; /* by sample */
    size_t n;
    const mien__dataset *set;
} duplicates;

static void found_duplicate(size_t a, size_t b, int bits, void *user)
{
    duplicates *d = user;
    if (d->drop[b])
        return;
    d->drop[b] = true;
    if (d->n++ < 20)
        mien__log(MIEN_LOG_WARN, "left out of validation: %s nearly equals %s (%d of 64 bits differ)",
                  d->set->samples[b].path, d->set->samples[a].path, bits);
}

static mien_status drop_duplicates(const mien_train_opts *o, mien__run_data *d, mien_error *err)
{
    enum { MAX_BITS = 3 };
    duplicates found = { .set = d->set, .drop = mien_alloc_array_zero(d->set->n + 1, sizeof *found.drop) };
    if (!found.drop)
        return mien__nomem(err, d->set->n);
    const mien_status st = mien__dataset_duplicates(d->set, d->train, d->n_train, d->val, d->n_val, MAX_BITS,
                                                    o->threads, found_duplicate, &found, err);
    size_t kept = 0;
    for (size_t i = 0; !st && i < d->n_val; i++)
        if (!found.drop[d->val[i]])
            d->val[kept++] = d->val[i];
    if (!st) {
        d->n_val = kept;
        d->n_duplicates = found.n;
    }
    mien_free(found.drop);
    return st;
}

mien_status mien__run_data_open(const mien_train_opts *o, const char *dir, mien__run_data *ret,
                                mien_error *err)
{
    mien__run_data d = { 0 };
    size_t n = 0;
    mien_status st = read_set(o, o->data, dir, "faces.index", &d.set, err);
    if (st)
        return st;
    if (o->val_data && (st = read_set(o, o->val_data, dir, "faces-val.index", &d.val_set, err)))
        goto done;
    n = d.val_set && d.val_set->n > d.set->n ? d.val_set->n : d.set->n;
    d.train = mien_alloc_array_zero(n + 1, sizeof *d.train);
    d.val = mien_alloc_array_zero(n + 1, sizeof *d.val);
    if (!d.train || !d.val) {
        st = mien__nomem(err, n * sizeof *d.val);
        goto done;
    }
    if (d.val_set) {
        d.n_train = d.set->n;
        d.n_val = d.val_set->n;
        for (size_t i = 0; i < n; i++)
            d.train[i] = d.val[i] = i;
    } else if ((st = mien__dataset_split(d.set, o->val_fraction, o->seed, d.train, &d.n_train, d.val,
                                         &d.n_val, err)) ||
               (st = drop_duplicates(o, &d, err)))
        goto done;
    d.n_people = d.set->n_people;
    *ret = d;
    return MIEN_OK;
done:
    mien__run_data_close(&d);
    return st;
}

void mien__run_data_close(mien__run_data *d)
{
    mien__dataset_free(d->set);
    mien__dataset_free(d->val_set);
    mien_free(d->train);
    mien_free(d->val);
    *d = (mien__run_data){ 0 };
}
