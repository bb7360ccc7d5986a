/* The order of an epoch as a function: which sample stands at a place is computed, never stored, so that a
 * resumed run and any number of loader threads see the same.
 *
 * Permutations are a balanced Feistel network over the smallest even number of bits, at least six, that
 * holds n, walked until the result is below n (Black, Rogaway, "Ciphers with arbitrary finite domains",
 * 2002): at most four times on average from n = 17 on. Each round is a multiply-xorshift of half the bits
 * with a round key; so small a network needs many rounds to be even, and with twelve no unevenness shows over
 * 200,000 keys.
 *
 * Batches of people: an epoch walks through the people in passes; each pass is a permutation of them cut into
 * whole batches, so nobody stands twice in a batch, and every person's pictures are permuted anew per pass.
 */
#include "train/loader.h"
#include <stdlib.h>

enum { ROUNDS = 12, MIN_HALF_BITS = 3, MAX_ATTEMPTS = 64, MAX_OWN_ATTEMPTS = 8 };

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)

static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* One key from several, for streams that share nothing. */
static uint64_t key_of(uint64_t seed, uint64_t a, uint64_t b)
{
    return mix(mix(mix(seed + GOLDEN) ^ a) + GOLDEN + b);
}

uint64_t mien__permute(uint64_t key, uint64_t n, uint64_t i)
{
    mien_assert(i < n);
    unsigned half = MIN_HALF_BITS;
    while (half < 32 && n > UINT64_C(1) << (2 * half))
        half++;
    const uint64_t mask = (UINT64_C(1) << half) - 1;
    do {
        uint64_t left = i >> half, right = i & mask;
        for (uint64_t round = 0; round < ROUNDS; round++) {
            const uint64_t next = left ^ (mix(right + mix(key + round * GOLDEN)) & mask);
            left = right;
            right = next;
        }
        i = left << half | right;
    } while (i >= n);
    return i;
}

/* ---- people ---- */

static int by_label(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Group the labelled samples of the split by person, in the split's order. */
static mien_status group(mien__order *r, const mien__dataset *set, mien_error *err)
{
    uint64_t *const keys = mien_alloc_array(r->n, sizeof *keys); /* label and place, for a sort */
    r->by_person = mien_alloc_array(r->n, sizeof *r->by_person);
    r->person_start = mien_alloc_array(r->n + 1, sizeof *r->person_start);
    if (!keys || !r->by_person || !r->person_start) {
        mien_free(keys);
        return mien__nomem(err, r->n * sizeof *keys);
    }
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        const int32_t label = set->samples[r->indices[i]].label;
        if (label >= 0)
            keys[n++] = (uint64_t)label << 32 | i;
    }
    if (n > 1)
        qsort(keys, n, sizeof *keys, by_label);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || keys[i] >> 32 != keys[i - 1] >> 32)
            r->person_start[r->n_people++] = i;
        r->by_person[i] = r->indices[keys[i] & UINT32_MAX];
    }
    r->person_start[r->n_people] = n;
    mien_free(keys);
    if (r->n_people < 2)
        return mien__fail(err, MIEN_E_EVAL_DATA, "batches of people need at least two people, there are %zu",
                          r->n_people);
    const size_t fit = (size_t)(r->batch / r->per_person);
    r->people_per_batch = (int)(fit < r->n_people ? fit : r->n_people);
    return MIEN_OK;
}

mien_status mien__order_init(const mien__loader_opts *o, mien__order *ret, mien_error *err)
{
    if (o->n_indices < 1 || o->n_indices > UINT32_MAX)
        return mien__fail(err, MIEN_E_EVAL_DATA, "a loader over %zu pictures, must be 1..%u", o->n_indices,
                          UINT32_MAX);
    for (size_t i = 0; i < o->n_indices; i++)
        if (o->indices[i] >= o->set->n)
            return mien__fail(err, MIEN_E_ARG, "loader: index %zu of %zu pictures", o->indices[i], o->set->n);
    mien__order r = {
        .indices = o->indices,
        .n = o->n_indices,
        .seed = o->seed,
        .batch = o->batch,
        .shuffle = o->shuffle,
        .drop_last = o->drop_last && o->n_indices >= (size_t)o->batch,
        .per_person = o->per_person > 1 ? o->per_person : 0,
    };
    if (r.per_person > 0 && r.batch / r.per_person < 1)
        return mien__fail(err, MIEN_E_ARG, "loader: a batch of %d cannot hold %d pictures per person",
                          r.batch, r.per_person);
    const mien_status st = r.per_person ? group(&r, o->set, err) : MIEN_OK;
    if (st) {
        mien__order_free(&r);
        return st;
    }
    *ret = r;
    return MIEN_OK;
}

void mien__order_free(mien__order *r)
{
    mien_free(r->by_person);
    mien_free(r->person_start);
    *r = (mien__order){ 0 };
}

size_t mien__order_steps(const mien__order *r)
{
    if (!r->per_person)
        return r->drop_last ? r->n / (size_t)r->batch : (r->n - 1) / (size_t)r->batch + 1;
    /* so many that an epoch shows as many pictures as there are */
    const size_t len = (size_t)r->people_per_batch * (size_t)r->per_person;
    const size_t steps = r->person_start[r->n_people] / len;
    return steps ? steps : 1;
}

int mien__order_batch_len(const mien__order *r, uint64_t step)
{
    if (r->per_person)
        return r->people_per_batch * r->per_person;
    const size_t left = r->n - (size_t)step * (size_t)r->batch;
    return left < (size_t)r->batch ? (int)left : r->batch;
}

static size_t plain_sample(const mien__order *r, uint64_t epoch, uint64_t place)
{
    const uint64_t at = r->shuffle ? mien__permute(key_of(r->seed, epoch, 0), r->n, place) : place;
    return r->indices[at];
}

static size_t person_sample(const mien__order *r, uint64_t epoch, uint64_t step, int i, unsigned attempt)
{
    const uint64_t per_batch = (uint64_t)r->people_per_batch, batches = r->n_people / per_batch;
    const uint64_t pass = step / batches;
    const uint64_t place = step % batches * per_batch + (uint64_t)(i / r->per_person);
    uint64_t person = mien__permute(key_of(r->seed, epoch, 1 + pass), r->n_people, place);
    uint64_t n = r->person_start[person + 1] - r->person_start[person];
    uint64_t turn = (uint64_t)(i % r->per_person);
    if (attempt > 0 && attempt <= n && attempt <= MAX_OWN_ATTEMPTS) {
        turn +=
            (uint64_t)r->per_person + attempt - 1; /* a picture that is not in the batch, if there is one */
    } else if (attempt > 0) {                      /* nothing of this person can be read: others stand in */
        person = (person + attempt) % r->n_people;
        n = r->person_start[person + 1] - r->person_start[person];
    }
    const uint64_t key = key_of(r->seed ^ 0x70657273, epoch, key_of(pass, person, 0));
    return r->by_person[r->person_start[person] + mien__permute(key, n, turn % n)];
}

size_t mien__order_sample(const mien__order *r, uint64_t epoch, uint64_t step, int i, unsigned attempt)
{
    if (r->per_person)
        return person_sample(r, epoch, step, i, attempt);
    const uint64_t place = step * (uint64_t)r->batch + (uint64_t)i;
    if (attempt == 0)
        return plain_sample(r, epoch, place);
    /* from the other end of the epoch, so that neighbours that fail together find others */
    return plain_sample(r, epoch, (place + r->n / 2 + attempt) % r->n);
}

unsigned mien__order_attempts(const mien__order *r)
{
    return r->n < MAX_ATTEMPTS ? (unsigned)r->n + 1 + MAX_OWN_ATTEMPTS : MAX_ATTEMPTS;
}
