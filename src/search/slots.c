/* Places by id: a hash table of place numbers, whose keys are looked up in the blocks (4 bytes a template at
 * a load of a half), and the list of free places. Only writers need them, so they are made by the first one:
 * opening an index to search it costs no pass over the ids.
 */
#include "search/index.h"
#include <string.h>

enum { GONE = 0xfffffffeu, SMALLEST = 64 };

static uint64_t hash(uint64_t id)
{
    id ^= id >> 31; /* splitmix64's finish (Steele, Lea, Flood 2014) */
    id *= 0x7fb5d329728ea185u;
    id ^= id >> 27;
    id *= 0x81dadef4bc2dd44du;
    return id ^ id >> 33;
}

static uint64_t id_at(const mien_index *ix, uint32_t slot)
{
    return mien__index_block(ix, slot / MIEN__BLOCK)->ids[slot % MIEN__BLOCK];
}

/* Another process may have erased the place in the file meanwhile. */
static bool taken(const mien_index *ix, uint32_t slot)
{
    return mien__index_block(ix, slot / MIEN__BLOCK)->error[slot % MIEN__BLOCK] >= 0;
}

static void put(const mien_index *ix, uint32_t *map, size_t cap, uint32_t slot)
{
    size_t i = hash(id_at(ix, slot)) & (cap - 1);
    while (map[i] != MIEN__NO_SLOT && map[i] != GONE)
        i = (i + 1) & (cap - 1);
    map[i] = slot;
}

/* A table of cap places with what the old one holds. */
static mien_status resize(mien_index *ix, size_t cap, mien_error *err)
{
    uint32_t *const map = mien_alloc_array(cap, sizeof *map);
    if (!map)
        return mien__nomem(err, cap * sizeof *map);
    memset(map, 0xff, cap * sizeof *map);
    size_t used = 0;
    for (size_t i = 0; i < ix->map_cap; i++) {
        if (ix->map[i] < GONE) {
            put(ix, map, cap, ix->map[i]);
            used++;
        }
    }
    mien_free(ix->map);
    ix->map = map;
    ix->map_cap = cap;
    ix->map_used = used;
    return MIEN_OK;
}

static mien_status reserve_free(mien_index *ix, size_t n, mien_error *err)
{
    if (n <= ix->free_cap)
        return MIEN_OK;
    const size_t cap = n < SMALLEST ? SMALLEST : 2 * n;
    uint32_t *const p = mien_grow_array(ix->free_slots, ix->n_free, cap, sizeof *p);
    if (!p)
        return mien__nomem(err, cap * sizeof *p);
    ix->free_slots = p;
    ix->free_cap = cap;
    return MIEN_OK;
}

mien_status mien__slots_reserve(mien_index *ix, size_t n_free, mien_error *err)
{
    if (2 * (ix->map_used + 1) > ix->map_cap) {
        const size_t live = atomic_load(&ix->n); /* mostly marks of removed ones: the same size will do */
        const mien_status status =
            resize(ix, 4 * (live + 1) > ix->map_cap ? 2 * ix->map_cap : ix->map_cap, err);
        if (status != MIEN_OK)
            return status;
    }
    return reserve_free(ix, ix->n_free + n_free, err);
}

mien_status mien__slots_ready(mien_index *ix, mien_error *err)
{
    if (ix->map)
        return MIEN_OK;
    const size_t slots = mien__index_slots(ix);
    size_t cap = SMALLEST, free_places = 0, live = 0;
    while (cap < 2 * (slots + 1))
        cap *= 2;
    mien_status status = MIEN_OK;
    for (size_t b = 0; b < atomic_load(&ix->n_blocks) && status == MIEN_OK; b++)
        status = mien__block_ready(ix, b, err);
    for (size_t s = 0; s < slots && status == MIEN_OK; s++)
        free_places += !taken(ix, (uint32_t)s);
    if (status == MIEN_OK)
        status = reserve_free(ix, free_places + 1, err);
    if (status == MIEN_OK)
        status = resize(ix, cap, err);
    if (status != MIEN_OK)
        return status;
    for (size_t s = slots; s-- > 0;) { /* from the back, so that the first free place is taken first */
        if (taken(ix, (uint32_t)s)) {
            put(ix, ix->map, cap, (uint32_t)s);
            live++;
        } else {
            ix->free_slots[ix->n_free++] = (uint32_t)s;
        }
    }
    ix->map_used = live;
    atomic_store(&ix->n, live);
    return MIEN_OK;
}

static size_t find(const mien_index *ix, uint64_t id)
{
    size_t i = hash(id) & (ix->map_cap - 1);
    while (ix->map[i] != MIEN__NO_SLOT) {
        if (ix->map[i] != GONE && id_at(ix, ix->map[i]) == id && taken(ix, ix->map[i]))
            return i;
        i = (i + 1) & (ix->map_cap - 1);
    }
    return SIZE_MAX;
}

uint32_t mien__slots_find(const mien_index *ix, uint64_t id)
{
    const size_t i = find(ix, id);
    return i == SIZE_MAX ? MIEN__NO_SLOT : ix->map[i];
}

void mien__slots_insert(mien_index *ix, uint32_t slot)
{
    put(ix, ix->map, ix->map_cap, slot);
    ix->map_used++;
}

void mien__slots_remove(mien_index *ix, uint64_t id)
{
    const size_t i = find(ix, id);
    if (i != SIZE_MAX)
        ix->map[i] = GONE;
}

void mien__slots_release(mien_index *ix, uint32_t slot)
{
    ix->free_slots[ix->n_free++] = slot;
}

void mien__slots_free(mien_index *ix)
{
    mien_free(ix->map);
    mien_free(ix->free_slots);
}
