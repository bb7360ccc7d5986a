/* A search index: made, changed, described. Scanning is in scan.c and search.c, the file in index_file.c.
 *
 * A change prepares everything first (memory, code, rotation) and then writes one place under its block's
 * lock, so that it happens whole or not at all and holds searches up for less than a microsecond.
 */
#include "search/index.h"
#include "search/scan.h"
#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

mien_status mien__index_check_opts(const mien_index_opts *opts, mien_error *err)
{
    if (opts->struct_size != sizeof *opts)
        return mien__fail(err, MIEN_E_ARG, "index options of %zu bytes, not %zu", opts->struct_size,
                          sizeof *opts);
    if (opts->dim < 1 || opts->dim > MIEN_INDEX_MAX_DIM)
        return mien__fail(err, MIEN_E_ARG, "dimension %zu is not in 1..%d", opts->dim, MIEN_INDEX_MAX_DIM);
    if (!(opts->coded_floor >= 0.1 && opts->coded_floor < 1))
        return mien__fail(err, MIEN_E_ARG, "coded_floor %g is not in [0.1, 1)", opts->coded_floor);
    if (opts->coded > MIEN_INDEX_CODED_ALWAYS)
        return mien__fail(err, MIEN_E_ARG, "no such way of coding");
    return MIEN_OK;
}

mien_status mien_index_new(const mien_index_opts *opts, mien_index **ret, mien_error *err)
{
    if (!opts || !ret)
        return mien__fail(err, MIEN_E_ARG, "NULL argument");
    mien_status status = mien__index_check_opts(opts, err);
    if (status != MIEN_OK)
        return status;
    if (sodium_init() < 0)
        return mien__fail(err, MIEN_E_INTERNAL, "libsodium does not start");
    mien_index *const ix = mien_alloc_zero(sizeof *ix);
    if (!ix)
        return mien__nomem(err, sizeof *ix);
    ix->opts = *opts;
    ix->opts.key = NULL;
    ix->sealed = opts->key != NULL;
    ix->kernels = mien__search_kernels_get();
    ix->fd = -1;
    mien__index_layout_of(opts->dim, &ix->layout);
    if (ix->sealed)
        (void)mlock(ix, sizeof *ix);
    mien__index_keys(opts, &ix->keys);
    pthread_mutex_init(&ix->pool_lock, NULL);
    pthread_mutex_init(&ix->writer, NULL);
    pthread_mutex_init(&ix->scratch_lock, NULL);
    atomic_init(&ix->all_locked, true);
    status = mien__rotation_new(&ix->rotation, &ix->layout, ix->keys.rotation, err);
    if (status == MIEN_OK && opts->threads != 1)
        status = mien__pool_new(&ix->pool, opts->threads, err);
    if (status != MIEN_OK) {
        mien_index_free(ix);
        return status;
    }
    *ret = ix;
    return MIEN_OK;
}

void mien_index_free(mien_index *ix)
{
    if (!ix)
        return;
    mien__pool_free(ix->pool);
    mien__scratch_free_all(ix);
    mien__index_free_blocks(ix);
    mien__slots_free(ix);
    mien__rotation_free(&ix->rotation);
    if (ix->file)
        munmap(ix->file, ix->file_bytes);
    if (ix->fd >= 0)
        close(ix->fd);
    pthread_mutex_destroy(&ix->pool_lock);
    pthread_mutex_destroy(&ix->writer);
    pthread_mutex_destroy(&ix->scratch_lock);
    if (ix->sealed)
        (void)munlock(ix, sizeof *ix);
    mien_free_secret(ix, sizeof *ix);
}

/* ---- changes; the writer's lock is held ---- */

typedef struct item {
    uint64_t id, person;
    const float *vec;
    int8_t *code; /* [dim_padded] */
    float *y;     /* [sign_dim] */
    float scale, error;
} item;

static void write_place(mien_index *ix, mien__block *b, size_t place, const item *it)
{
    const mien__index_layout *const l = &ix->layout;
    pthread_rwlock_wrlock(&b->lock);
    mien__code_put(l, b->codes, place, it->code);
    if (b->signs)
        mien__signs_put(l, b->signs, place, it->y);
    if (b->floats)
        memcpy(b->floats + place * l->dim, it->vec, l->dim * sizeof *it->vec);
    b->ids[place] = it->id;
    b->persons[place] = it->person;
    b->scale[place] = it->scale;
    b->error[place] = it->error;
    if (place >= b->used)
        b->used = place + 1;
    pthread_rwlock_unlock(&b->lock);
}

static void clear_place(mien_index *ix, mien__block *b, size_t place)
{
    const mien__index_layout *const l = &ix->layout;
    pthread_rwlock_wrlock(&b->lock);
    b->error[place] = -INFINITY;
    mien__code_clear(l, b->codes, place);
    if (b->signs)
        mien__signs_clear(l, b->signs, place);
    if (b->floats)
        sodium_memzero(b->floats + place * l->dim, l->dim * sizeof(float));
    b->ids[place] = b->persons[place] = 0;
    b->scale[place] = 0;
    pthread_rwlock_unlock(&b->lock);
}

/* A place for one more: a free one, or one at the end, with a new block where the last is full. */
static mien_status take_place(mien_index *ix, uint32_t *ret, mien_error *err)
{
    if (ix->n_free) {
        *ret = ix->free_slots[--ix->n_free];
        return MIEN_OK;
    }
    const size_t slots = mien__index_slots(ix);
    if (slots == atomic_load(&ix->n_blocks) * MIEN__BLOCK) {
        const mien_status status = mien__index_add_block(ix, NULL, mien__index_is_coded(ix), 0, err);
        if (status != MIEN_OK)
            return status;
    }
    *ret = (uint32_t)slots;
    return MIEN_OK;
}

/* Give one block that lacks them its sign codes, so that no single call pays for all of an index that has
 * just become large. */
static mien_status code_some(mien_index *ix, mien_error *err)
{
    if (!mien__index_is_coded(ix))
        return MIEN_OK;
    while (ix->next_uncoded < atomic_load(&ix->n_blocks)) {
        const bool done = mien__index_block(ix, ix->next_uncoded)->signs != NULL;
        const mien_status status = done ? MIEN_OK : mien__block_code(ix, ix->next_uncoded, err);
        if (status != MIEN_OK)
            return status;
        ix->next_uncoded++;
        if (!done)
            break;
    }
    return MIEN_OK;
}

static mien_status add_locked(mien_index *ix, item *it, mien_error *err)
{
    mien_status status = mien__slots_ready(ix, err);
    if (status == MIEN_OK)
        status = mien__slots_reserve(ix, 1, err);
    if (status == MIEN_OK)
        status = code_some(ix, err);
    if (status != MIEN_OK)
        return status;
    uint32_t slot = mien__slots_find(ix, it->id);
    const bool replace = slot != MIEN__NO_SLOT;
    if (!replace && (status = take_place(ix, &slot, err)) != MIEN_OK)
        return status;
    mien__block *const b = mien__index_block(ix, slot / MIEN__BLOCK);
    if (b->signs)
        mien__index_rotated(ix, it->code, it->scale, it->y);
    write_place(ix, b, slot % MIEN__BLOCK, it);
    if (!replace) {
        mien__slots_insert(ix, slot);
        atomic_fetch_add(&ix->n, 1);
    }
    atomic_fetch_add(&ix->changes, 1);
    return MIEN_OK;
}

mien_status mien_index_add(mien_index *ix, uint64_t id, uint64_t person, const float *vec, mien_error *err)
{
    if (!ix || !vec)
        return mien__fail(err, MIEN_E_ARG, "NULL argument");
    const mien__index_layout *const l = &ix->layout;
    mien_status status = mien__index_check_vec(vec, l->dim, "template", err);
    if (status != MIEN_OK)
        return status;
    item it = { .id = id, .person = person, .vec = vec };
    const size_t code_bytes = l->dim_padded, y_bytes = l->sign_dim * sizeof *it.y;
    uint8_t *const work = mien_alloc(y_bytes + code_bytes);
    if (!work)
        return mien__nomem(err, y_bytes + code_bytes);
    it.y = (float *)(void *)work;
    it.code = (int8_t *)work + y_bytes;
    mien__quantize(vec, l->dim, l->dim_padded, it.code, &it.scale, &it.error);
    pthread_mutex_lock(&ix->writer);
    status = add_locked(ix, &it, err);
    pthread_mutex_unlock(&ix->writer);
    mien_free_secret(work, y_bytes + code_bytes);
    return status;
}

static void remove_slot(mien_index *ix, uint32_t slot)
{
    mien__block *const b = mien__index_block(ix, slot / MIEN__BLOCK);
    mien__slots_remove(ix, b->ids[slot % MIEN__BLOCK]);
    clear_place(ix, b, slot % MIEN__BLOCK);
    mien__slots_release(ix, slot);
    atomic_fetch_sub(&ix->n, 1);
    atomic_fetch_add(&ix->changes, 1);
}

/* The writer's lock, the map, and room to free one place. */
static mien_status begin(mien_index *ix, mien_error *err)
{
    if (!ix)
        return mien__fail(err, MIEN_E_ARG, "NULL argument");
    pthread_mutex_lock(&ix->writer);
    mien_status status = mien__slots_ready(ix, err);
    if (status == MIEN_OK)
        status = mien__slots_reserve(ix, 1, err);
    if (status != MIEN_OK)
        pthread_mutex_unlock(&ix->writer);
    return status;
}

static mien_status not_found(mien_error *err)
{
    return mien__fail(err, MIEN_E_NOT_FOUND, "the index has no such template");
}

mien_status mien_index_remove(mien_index *ix, uint64_t id, mien_error *err)
{
    mien_status status = begin(ix, err);
    if (status != MIEN_OK)
        return status;
    const uint32_t slot = mien__slots_find(ix, id);
    if (slot == MIEN__NO_SLOT)
        status = not_found(err);
    else
        remove_slot(ix, slot);
    pthread_mutex_unlock(&ix->writer);
    return status;
}

static bool is_persons(const mien_index *ix, size_t slot, uint64_t person)
{
    const mien__block *const b = mien__index_block(ix, slot / MIEN__BLOCK);
    return b->persons[slot % MIEN__BLOCK] == person && b->error[slot % MIEN__BLOCK] >= 0;
}

mien_status mien_index_remove_person(mien_index *ix, uint64_t person, size_t *ret_n, mien_error *err)
{
    mien_status status = begin(ix, err);
    if (status != MIEN_OK)
        return status;
    size_t n = 0;
    const size_t slots = mien__index_slots(ix);
    for (size_t s = 0; s < slots; s++)
        n += is_persons(ix, s, person);
    status = mien__slots_reserve(ix, n, err);
    for (size_t s = 0; s < slots && status == MIEN_OK; s++) {
        if (is_persons(ix, s, person))
            remove_slot(ix, (uint32_t)s);
    }
    pthread_mutex_unlock(&ix->writer);
    if (status == MIEN_OK && ret_n)
        *ret_n = n;
    return status;
}

mien_status mien_index_set_person(mien_index *ix, uint64_t id, uint64_t person, mien_error *err)
{
    mien_status status = begin(ix, err);
    if (status != MIEN_OK)
        return status;
    const uint32_t slot = mien__slots_find(ix, id);
    if (slot == MIEN__NO_SLOT) {
        status = not_found(err);
    } else {
        mien__block *const b = mien__index_block(ix, slot / MIEN__BLOCK);
        pthread_rwlock_wrlock(&b->lock);
        b->persons[slot % MIEN__BLOCK] = person;
        pthread_rwlock_unlock(&b->lock);
        atomic_fetch_add(&ix->changes, 1);
    }
    pthread_mutex_unlock(&ix->writer);
    return status;
}

mien_status mien_index_find(mien_index *ix, uint64_t id, uint64_t *ret_person, mien_error *err)
{
    mien_status status = begin(ix, err);
    if (status != MIEN_OK)
        return status;
    const uint32_t slot = mien__slots_find(ix, id);
    if (slot == MIEN__NO_SLOT)
        status = not_found(err);
    else if (ret_person)
        *ret_person = mien__index_block(ix, slot / MIEN__BLOCK)->persons[slot % MIEN__BLOCK];
    pthread_mutex_unlock(&ix->writer);
    return status;
}

uint64_t mien_index_seq(const mien_index *ix)
{
    return atomic_load(&ix->seq);
}

void mien_index_set_seq(mien_index *ix, uint64_t seq)
{
    atomic_store(&ix->seq, seq);
}

void mien_index_info_of(mien_index *ix, mien_index_info *ret)
{
    const mien__index_layout *const l = &ix->layout;
    pthread_mutex_lock(&ix->writer);
    *ret = (mien_index_info){
        .n = atomic_load(&ix->n),
        .n_slots = mien__index_slots(ix),
        .dim = l->dim,
        .changes = atomic_load(&ix->changes),
        .memory_bytes = ix->map_cap * sizeof *ix->map + ix->free_cap * sizeof *ix->free_slots,
        .sealed = ix->sealed,
        .locked = ix->sealed && atomic_load(&ix->all_locked),
        .coded = mien__index_is_coded(ix),
        .unsure = atomic_load(&ix->unsure),
        .kernel = ix->kernels->name,
    };
    const size_t n = atomic_load(&ix->n_blocks);
    for (size_t i = 0; i < n; i++) {
        const mien__block *const b = mien__index_block(ix, i);
        ret->n_coded += b->signs ? b->used : 0;
        ret->memory_bytes += b->own_signs ? b->own_signs->bytes : 0;
        ret->memory_bytes += b->own_floats ? b->own_floats->bytes : 0;
        ret->memory_bytes += b->own ? b->own->bytes : l->plain_bytes;
    }
    pthread_mutex_unlock(&ix->writer);
}
