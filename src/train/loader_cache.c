/* Decoded pictures by sample. The cache fills up and never lets go: an epoch touches each picture once in
 * random order, where the pictures one keeps are as good as any, and what is handed out needs no counting.
 */
#include "train/loader.h"
#include <pthread.h>

struct mien__picture_cache {
    pthread_mutex_t lock;
    size_t n, bytes, max_bytes;
    mien__kept v[];
};

mien_status mien__picture_cache_new(size_t n_samples, size_t max_bytes, mien__picture_cache **ret,
                                    mien_error *err)
{
    size_t bytes = 0;
    mien__picture_cache *c = NULL;
    if (mien_mul_ok(n_samples, sizeof(mien__kept), &bytes) && mien_add_ok(bytes, sizeof *c, &bytes))
        c = mien_alloc_zero(bytes);
    if (!c)
        return mien__nomem(err, bytes);
    pthread_mutex_init(&c->lock, NULL);
    c->n = n_samples;
    c->max_bytes = max_bytes;
    *ret = c;
    return MIEN_OK;
}

void mien__picture_cache_free(mien__picture_cache *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n; i++)
        mien_image_free(c->v[i].image);
    pthread_mutex_destroy(&c->lock);
    mien_free(c);
}

bool mien__picture_cache_get(mien__picture_cache *c, size_t sample, mien__kept *ret)
{
    pthread_mutex_lock(&c->lock);
    const mien__kept k = c->v[sample];
    pthread_mutex_unlock(&c->lock);
    if (k.image)
        *ret = k;
    return k.image != NULL;
}

bool mien__picture_cache_put(mien__picture_cache *c, size_t sample, const mien__kept *kept)
{
    const mien_image_view v = mien_image_view_of(kept->image);
    const size_t bytes = v.stride_bytes * (size_t)v.height;
    pthread_mutex_lock(&c->lock);
    const bool take = !c->v[sample].image && bytes <= c->max_bytes - c->bytes;
    if (take) {
        c->v[sample] = *kept;
        c->bytes += bytes;
    }
    pthread_mutex_unlock(&c->lock);
    return take;
}
