/* Token buckets: each caller has `burst` tokens that come back at `per_second`; a request takes one. The
 * table is of fixed size: a new caller takes the place, among a few, of the one that has been quiet for
 * longest, so that a flood of new addresses costs no memory. */
#include "api.h"
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 4096, WAYS = 8 };

typedef struct bucket {
    uint64_t who; /* keyed hash; 0: free */
    double tokens, at_ms;
} bucket;

struct rate_table {
    double per_ms, burst;
    uint8_t key[crypto_shorthash_KEYBYTES];
    pthread_mutex_t lock;
    bucket slots[SLOTS];
};

rate_table *rate_new(double per_second, double burst)
{
    rate_table *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->per_ms = per_second / 1000;
    t->burst = burst;
    crypto_shorthash_keygen(t->key);
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

void rate_free(rate_table *t)
{
    if (!t)
        return;
    pthread_mutex_destroy(&t->lock);
    free(t);
}

static bucket *slot_of(rate_table *t, uint64_t who, double now)
{
    bucket *const row = &t->slots[who % (SLOTS / WAYS) * WAYS], *oldest = row;
    for (int i = 0; i < WAYS; i++) {
        if (row[i].who == who)
            return &row[i];
        if (row[i].at_ms < oldest->at_ms)
            oldest = &row[i];
    }
    *oldest = (bucket){ who, t->burst, now };
    return oldest;
}

bool rate_take(rate_table *t, const char *who, double now, double *ret_wait_s)
{
    uint64_t hash = 0;
    crypto_shorthash((uint8_t *)&hash, (const uint8_t *)who, strlen(who), t->key);
    pthread_mutex_lock(&t->lock);
    bucket *b = slot_of(t, hash | 1, now);
    b->tokens += (now - b->at_ms) * t->per_ms;
    if (b->tokens > t->burst)
        b->tokens = t->burst;
    b->at_ms = now;
    const bool ok = b->tokens >= 1;
    if (ok)
        b->tokens -= 1;
    *ret_wait_s = ok ? 0 : (1 - b->tokens) / t->per_ms / 1000;
    pthread_mutex_unlock(&t->lock);
    return ok;
}
