/* Splits by person.
 *
 * A person's side follows from SHA-256(seed, name) alone, read as a fraction of 2^64: people who join later
 * change nobody else's. A picture without a person is its own person, under its name in the set.
 */
#include "train/data.h"
#include <string.h>

static uint64_t hash_of(const mien__dataset *d, const mien__sample *s, uint64_t seed)
{
    const char *const name = s->label >= 0 ? d->people[s->label] : s->name;
    const size_t len = strlen(name);
    /* a digest of the name first, so that the text has one length */
    uint8_t text[8 + 1 + 32], digest[32];
    for (int i = 0; i < 8; i++)
        text[i] = (uint8_t)(seed >> (8 * i));
    text[8] = s->label >= 0;
    mien__sha256(name, len, text + 9);
    mien__sha256(text, sizeof text, digest);
    uint64_t h = 0;
    for (int i = 0; i < 8; i++)
        h |= (uint64_t)digest[i] << (8 * i);
    return h;
}

/* The hash below which people are validated, moved so that neither side is empty. */
static uint64_t border(const mien__dataset *d, const uint64_t *hashes, double fraction)
{
    uint64_t limit = (uint64_t)(fraction * 18446744073709549568.0), least = UINT64_MAX, most = 0;
    bool given[2] = { false, false };
    for (size_t i = 0; i < d->n; i++) {
        if (d->samples[i].part != MIEN__PART_NONE) {
            given[0] |= d->samples[i].part == MIEN__PART_TRAIN;
            given[1] |= d->samples[i].part == MIEN__PART_VAL;
            continue;
        }
        least = hashes[i] < least ? hashes[i] : least;
        most = hashes[i] > most ? hashes[i] : most;
    }
    if (given[1] && !given[0])
        return 0; /* the CSV chose who validates: the rest trains */
    if (fraction > 0 && !given[1] && least < most) {
        limit = limit <= least ? least + 1 : limit;
        limit = limit > most && !given[0] ? most : limit;
    }
    return fraction > 0 ? limit : 0;
}

/* People with pictures on both sides are what a CSV may ask for, yet rarely means. */
static void warn_of_shared(const mien__dataset *d, const size_t *train, size_t n_train, const size_t *val,
                           size_t n_val, uint8_t *seen)
{
    size_t n = 0;
    memset(seen, 0, d->n_people);
    for (size_t i = 0; i < n_train; i++)
        if (d->samples[train[i]].label >= 0)
            seen[d->samples[train[i]].label] = 1;
    for (size_t i = 0; i < n_val; i++) {
        const int32_t label = d->samples[val[i]].label;
        if (label >= 0 && seen[label] == 1) {
            seen[label] = 2;
            n++;
        }
    }
    if (n > 0)
        mien__log(MIEN_LOG_WARN, "%zu people stand on both sides of the split that the CSV gives", n);
}

mien_status mien__dataset_split(const mien__dataset *d, double val_fraction, uint64_t seed, size_t *train,
                                size_t *ret_n_train, size_t *val, size_t *ret_n_val, mien_error *err)
{
    if (!(val_fraction >= 0 && val_fraction < 1))
        return mien__fail(err, MIEN_E_ARG, "a fraction of %g to validation, must be in [0, 1)", val_fraction);
    uint64_t *const hashes = mien_alloc_array(d->n + 1, sizeof *hashes);
    uint8_t *const seen = mien_alloc(d->n_people + 1);
    if (!hashes || !seen) {
        mien_free(hashes);
        mien_free(seen);
        return mien__nomem(err, d->n * sizeof *hashes);
    }
    for (size_t i = 0; i < d->n; i++)
        hashes[i] = hash_of(d, &d->samples[i], seed);
    const uint64_t limit = border(d, hashes, val_fraction);
    size_t n_train = 0, n_val = 0;
    for (size_t i = 0; i < d->n; i++) {
        const mien__part part = d->samples[i].part;
        if (part == MIEN__PART_VAL || (part == MIEN__PART_NONE && hashes[i] < limit))
            val[n_val++] = i;
        else if (part != MIEN__PART_TEST)
            train[n_train++] = i;
    }
    warn_of_shared(d, train, n_train, val, n_val, seen);
    *ret_n_train = n_train;
    *ret_n_val = n_val;
    mien_free(hashes);
    mien_free(seen);
    return MIEN_OK;
}
