/* Blocks: how one is laid out, made, given sign codes, freed. */
#include "search/index.h"
#include <math.h>
#include <string.h>

enum { CODED_AUTO_ABOVE = 1000000, CODED_AUTO_DIM = 256, PAGE = 4096, LEAST_SIGNS = 512 };

static size_t to_page(size_t bytes)
{
    return (bytes + PAGE - 1) / PAGE * PAGE;
}

void mien__index_layout_of(size_t dim, mien__index_layout *ret)
{
    mien__index_layout l = { .dim = dim, .dim_padded = (dim + 15) / 16 * 16 };
    l.steps = l.dim_padded / 4;
    l.tile_bytes = MIEN__TILE * l.dim_padded;
    for (l.rotation_dim = 64; l.rotation_dim < dim;)
        l.rotation_dim *= 2;
    l.sign_dim = l.rotation_dim < LEAST_SIGNS ? LEAST_SIGNS : l.rotation_dim;
    l.sign_bytes = l.sign_dim / 8 / MIEN__SIGN_PLANES;
    l.sign_tile_bytes = l.sign_bytes * MIEN__TILE;
    l.sign_block_bytes = MIEN__SIGN_PLANES * MIEN__BLOCK_TILES * l.sign_tile_bytes;
    l.id_at = MIEN__BLOCK_TILES * l.tile_bytes;
    l.person_at = l.id_at + MIEN__BLOCK * sizeof(uint64_t);
    l.scale_at = l.person_at + MIEN__BLOCK * sizeof(uint64_t);
    l.error_at = l.scale_at + MIEN__BLOCK * sizeof(float);
    l.signs_at = l.error_at + MIEN__BLOCK * sizeof(float);
    l.plain_bytes = to_page(l.signs_at);
    l.coded_bytes = to_page(l.signs_at + l.sign_block_bytes);
    *ret = l;
}

size_t mien__index_slots(const mien_index *ix)
{
    const size_t n = atomic_load(&ix->n_blocks);
    return n ? (n - 1) * MIEN__BLOCK + mien__index_block(ix, n - 1)->used : 0;
}

bool mien__index_is_coded(const mien_index *ix)
{
    switch (ix->opts.coded) {
    case MIEN_INDEX_CODED_ALWAYS:
        return true;
    case MIEN_INDEX_CODED_NEVER:
        return false;
    case MIEN_INDEX_CODED_AUTO:
        break;
    }
    return ix->layout.dim >= CODED_AUTO_DIM && atomic_load(&ix->n) > CODED_AUTO_ABOVE;
}

static void place_parts(const mien__index_layout *l, mien__block *b, uint8_t *mem, bool coded)
{
    b->codes = mem;
    b->ids = (uint64_t *)(void *)(mem + l->id_at);
    b->persons = (uint64_t *)(void *)(mem + l->person_at);
    b->scale = (float *)(void *)(mem + l->scale_at);
    b->error = (float *)(void *)(mem + l->error_at);
    b->signs = coded ? mem + l->signs_at : NULL;
}

static void block_free(mien__block *b)
{
    mien__pages_free(b->own);
    mien__pages_free(b->own_signs);
    mien__pages_free(b->own_floats);
    pthread_rwlock_destroy(&b->lock);
}

mien_status mien__index_add_block(mien_index *ix, uint8_t *mem, bool coded, size_t used, mien_error *err)
{
    const mien__index_layout *const l = &ix->layout;
    const size_t at = atomic_load(&ix->n_blocks);
    if (at >= MIEN__MAX_BLOCKS)
        return mien__fail(err, MIEN_E_LIMIT, "an index has room for %zu templates",
                          (size_t)MIEN__MAX_BLOCKS * MIEN__BLOCK);
    mien__block **const row = &ix->dir[at / MIEN__DIR];
    if (!*row && !(*row = mien_alloc_array_zero(MIEN__DIR, sizeof **row)))
        return mien__nomem(err, MIEN__DIR * sizeof **row);
    mien__block *const b = &(*row)[at % MIEN__DIR];
    *b = (mien__block){ .in_file = mem != NULL, .used = used };
    pthread_rwlock_init(&b->lock, NULL);
    if (!mem) {
        const size_t bytes = coded ? l->coded_bytes : l->plain_bytes;
        if (!(b->own = mien__pages_new(bytes, ix->sealed))) {
            block_free(b);
            return mien__nomem(err, bytes);
        }
        mem = b->own->p;
    }
    place_parts(l, b, mem, coded);
    if (b->own) {
        for (size_t i = 0; i < MIEN__BLOCK; i++)
            b->error[i] = -INFINITY;
        if (!b->own->locked)
            atomic_store(&ix->all_locked, false);
    }
    if (ix->opts.keep_floats) {
        const size_t bytes = MIEN__BLOCK * l->dim * sizeof(float);
        if (!(b->own_floats = mien__pages_new(bytes, ix->sealed))) {
            block_free(b);
            return mien__nomem(err, bytes);
        }
        b->floats = b->own_floats->p;
    }
    atomic_init(&b->state, b->in_file ? MIEN__BLOCK_UNREAD : MIEN__BLOCK_GOOD);
    atomic_store(&ix->n_blocks, at + 1);
    return MIEN_OK;
}

void mien__index_free_blocks(mien_index *ix)
{
    const size_t n = atomic_load(&ix->n_blocks);
    for (size_t i = 0; i < n; i++)
        block_free(mien__index_block(ix, i));
    for (size_t i = 0; i < MIEN__DIR; i++)
        mien_free(ix->dir[i]);
}

void mien__index_rotated(const mien_index *ix, const int8_t *code, float scale, float *y)
{
    for (size_t i = 0; i < ix->layout.dim; i++)
        y[i] = scale * (float)code[i];
    for (size_t i = ix->layout.dim; i < ix->layout.sign_dim; i++)
        y[i] = 0;
    mien__rotate(&ix->rotation, y);
}

mien_status mien__block_code(mien_index *ix, size_t at, mien_error *err)
{
    const mien__index_layout *const l = &ix->layout;
    mien__block *const b = mien__index_block(ix, at);
    const mien_status status = mien__block_ready(ix, at, err);
    if (status != MIEN_OK || b->signs)
        return status;
    const size_t bytes = l->sign_block_bytes;
    mien__pages *const pages = mien__pages_new(bytes, ix->sealed);
    float *const y = mien_alloc_array(l->sign_dim, sizeof *y);
    int8_t *const code = mien_alloc(l->dim_padded);
    if (!pages || !y || !code) {
        mien__pages_free(pages);
        mien_free(y);
        mien_free(code);
        return mien__nomem(err, bytes);
    }
    for (size_t i = 0; i < b->used; i++) { /* the writer is here: nobody else changes a place */
        if (b->error[i] >= 0 && mien__code_get(l, b->codes, i, code)) {
            mien__index_rotated(ix, code, b->scale[i], y);
            mien__signs_put(l, pages->p, i, y);
        }
    }
    pthread_rwlock_wrlock(&b->lock);
    b->own_signs = pages;
    b->signs = pages->p;
    pthread_rwlock_unlock(&b->lock);
    if (!pages->locked)
        atomic_store(&ix->all_locked, false);
    mien_free_secret(y, l->sign_dim * sizeof *y);
    mien_free_secret(code, l->dim_padded);
    return MIEN_OK;
}
