/* Splits by person, and pictures that are nearly the same on both sides of one.
 *
 * A person's side follows from SHA-256(seed, name) alone, read as a fraction of 2^64: people who join later
 * change nobody else's. A picture without a person is its own person, under its name in the set.
 *
 * Near duplicates: the difference hash (Krawetz, "Kind of Like That", 2013) of the aligned crop: shrunk to
 * 9 x 8 grey values, one bit for each neighbouring pair in a row. All aligned faces share their coarse
 * layout, so only small distances mean the same picture.
 */
#include "train/data.h"
#include <mien/image.h>
#include <math.h>
#include <string.h>

enum { HASH_SIDE_PX = 112, HASH_W = 9, HASH_H = 8 };

/* ---- splits ---- */

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

/* ---- near duplicates ---- */

typedef struct hasher {
    const mien__dataset *d;
    const size_t *a, *b;
    size_t na;
    uint64_t *hashes; /* of a, then of b */
    uint8_t *states;  /* 0: no hash, 1: hash, 2: no memory */
} hasher;

static mien_status hash_crop(const uint8_t *rgb, uint64_t *ret, mien_error *err)
{
    const mien_image_view crop = { rgb, HASH_SIDE_PX, HASH_SIDE_PX, HASH_SIDE_PX * 3 };
    mien_image *small = NULL;
    const mien_status st = mien_image_resize(crop, HASH_W, HASH_H, &small, err);
    if (st)
        return st;
    const uint8_t *p = mien_image_view_of(small).data;
    uint64_t h = 0;
    for (int y = 0; y < HASH_H; y++) {
        int grey[HASH_W];
        for (int x = 0; x < HASH_W; x++, p += 3)
            grey[x] = 299 * p[0] + 587 * p[1] + 114 * p[2];
        for (int x = 0; x + 1 < HASH_W; x++)
            h = h << 1 | (grey[x] < grey[x + 1]);
    }
    mien_image_free(small);
    *ret = h;
    return MIEN_OK;
}

static void hash_task(void *ctx, size_t task, unsigned worker)
{
    (void)worker;
    hasher *const h = ctx;
    const size_t i = task < h->na ? h->a[task] : h->b[task - h->na];
    const size_t bytes = (size_t)HASH_SIDE_PX * HASH_SIDE_PX * 3;
    uint8_t *const rgb = mien_alloc(bytes);
    mien_image *image = NULL;
    mien__sample seen;
    mien_status st =
        rgb ? mien__sample_load(&h->d->samples[i], mien__template_112, &image, &seen, NULL) : MIEN_E_NOMEM;
    if (!st)
        st = mien__sample_crop(&seen, mien_image_view_of(image), mien__template_112, HASH_SIDE_PX, NULL, NULL,
                               rgb, NULL);
    if (!st)
        st = hash_crop(rgb, &h->hashes[task], NULL);
    h->states[task] = st == MIEN_OK ? 1 : st == MIEN_E_NOMEM ? 2 : 0;
    mien_image_free(image);
    mien_free(rgb);
}

static int count_bits(uint64_t v)
{
    v -= v >> 1 & 0x5555555555555555u;
    v = (v & 0x3333333333333333u) + (v >> 2 & 0x3333333333333333u);
    v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (int)(v * 0x0101010101010101u >> 56);
}

static void compare_all(const hasher *h, size_t nb, int max_bits, mien__dup_found found, void *user)
{
    for (size_t i = 0; i < h->na; i++) {
        for (size_t k = 0; k < nb && h->states[i] == 1; k++) {
            const int bits = count_bits(h->hashes[i] ^ h->hashes[h->na + k]);
            if (bits <= max_bits && h->states[h->na + k] == 1 && h->a[i] != h->b[k])
                found(h->a[i], h->b[k], bits, user);
        }
    }
}

mien_status mien__dataset_duplicates(const mien__dataset *d, const size_t *a, size_t na, const size_t *b,
                                     size_t nb, int max_bits, unsigned threads, mien__dup_found found,
                                     void *user, mien_error *err)
{
    const size_t n = na + nb;
    mien__pool *pool = NULL;
    hasher h = { d, a, b, na, mien_alloc_array(n, sizeof(uint64_t)), mien_alloc(n) };
    mien_status st =
        h.hashes && h.states ? mien__pool_new(&pool, threads, err) : mien__nomem(err, n * sizeof(uint64_t));
    if (st)
        goto done;
    mien__pool_run(pool, hash_task, &h, n);
    for (size_t i = 0; i < n && !st; i++)
        if (h.states[i] == 2)
            st = mien__nomem(err, (size_t)HASH_SIDE_PX * HASH_SIDE_PX * 3);
    if (!st)
        compare_all(&h, nb, max_bits, found, user);
done:
    mien__pool_free(pool);
    mien_free(h.states);
    mien_free(h.hashes);
    return st;
}
