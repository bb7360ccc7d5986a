/* What the loader is made of: the order of an epoch, and the pictures it keeps. Private to training data. */
#ifndef MIEN_SRC_TRAIN_LOADER_H
#define MIEN_SRC_TRAIN_LOADER_H

#include "train/data.h"

/* ---- order: which sample stands where, computed for any place alone ---- */

/* Where i of 0..n-1 goes in the permutation named by `key`: a bijection. */
uint64_t mien__permute(uint64_t key, uint64_t n, uint64_t i);

typedef struct mien__order {
    const size_t *indices; /* plain: of the split, lent */
    size_t n;
    uint64_t seed;
    int batch;
    bool shuffle, drop_last;
    /* per_person > 1: pictures by person */
    int per_person, people_per_batch;
    size_t *by_person;    /* [n] indices, person after person */
    size_t *person_start; /* [n_people + 1] */
    size_t n_people;
} mien__order;

mien_status mien__order_init(const mien__loader_opts *o, mien__order *ret, mien_error *err);
void mien__order_free(mien__order *r); /* frees what it holds */
size_t mien__order_steps(const mien__order *r);
int mien__order_batch_len(const mien__order *r, uint64_t step);
/* The sample at place i of a batch; attempts > 0 give who stands in when those before cannot be read. */
size_t mien__order_sample(const mien__order *r, uint64_t epoch, uint64_t step, int i, unsigned attempt);
/* After so many attempts every sample had its turn, or enough of them. */
unsigned mien__order_attempts(const mien__order *r);

/* ---- decoded pictures kept up to a number of bytes ---- */
typedef struct mien__kept {
    mien_image *image; /* NULL: not kept */
    mien__sample sample;
} mien__kept;

typedef struct mien__picture_cache mien__picture_cache;
mien_status mien__picture_cache_new(size_t n_samples, size_t max_bytes, mien__picture_cache **ret,
                                    mien_error *err);
void mien__picture_cache_free(mien__picture_cache *c);
/* Look a sample's picture up; what is found stays until the cache goes. */
bool mien__picture_cache_get(mien__picture_cache *c, size_t sample, mien__kept *ret);
/* Offer a picture: true when the cache took it. */
bool mien__picture_cache_put(mien__picture_cache *c, size_t sample, const mien__kept *kept);

#endif
