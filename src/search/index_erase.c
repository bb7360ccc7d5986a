/* Erasing templates in a saved file: each block that has one is read, checked, cleared and written back, then
 * the table and its digest, all under the file's lock; then through to the disk.
 */
#include "search/index_file.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

typedef struct eraser {
    const char *path;
    const mien_index_opts *opts;
    const uint64_t *ids; /* ascending */
    size_t n_ids;
    mien__idx_keys keys;
    mien__index_layout layout;
    mien__idx_head head;
    int fd;
    uint8_t *table; /* header and table */
    uint8_t *block;
} eraser;

static mien_status read_at(const eraser *e, uint8_t *p, size_t bytes, uint64_t at, mien_error *err)
{
    while (bytes > 0) {
        const ssize_t n = pread(e->fd, p, bytes, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return mien__fail(err, MIEN_E_IO, "cannot read %s: %s", e->path,
                              n < 0 ? strerror(errno) : "it became shorter");
        p += n;
        at += (uint64_t)n;
        bytes -= (size_t)n;
    }
    return MIEN_OK;
}

static mien_status write_at(const eraser *e, const uint8_t *p, size_t bytes, uint64_t at, mien_error *err)
{
    while (bytes > 0) {
        const ssize_t n = pwrite(e->fd, p, bytes, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return mien__fail(err, MIEN_E_IO, "cannot write %s: %s", e->path, strerror(errno));
        p += n;
        at += (uint64_t)n;
        bytes -= (size_t)n;
    }
    return MIEN_OK;
}

static int by_value(const void *pa, const void *pb)
{
    const uint64_t a = *(const uint64_t *)pa, b = *(const uint64_t *)pb;
    return a < b ? -1 : a > b;
}

/* Clear the wanted places of the block at hand; how many there were. */
static uint32_t clear_places(const eraser *e, uint32_t used)
{
    const mien__index_layout *const l = &e->layout;
    uint64_t *const ids = (uint64_t *)(void *)(e->block + l->id_at), *const persons =
                                                                         (uint64_t *)(void *)(e->block +
                                                                                              l->person_at);
    float *const scale = (float *)(void *)(e->block + l->scale_at), *const error =
                                                                        (float *)(void *)(e->block +
                                                                                          l->error_at);
    uint32_t n = 0;
    for (size_t i = 0; i < used; i++) {
        if (!(error[i] >= 0) || !bsearch(&ids[i], e->ids, e->n_ids, sizeof *e->ids, by_value))
            continue;
        mien__code_clear(l, e->block, i);
        if (e->head.coded)
            mien__signs_clear(l, e->block + l->signs_at, i);
        ids[i] = persons[i] = 0;
        scale[i] = 0;
        error[i] = -INFINITY;
        n++;
    }
    return n;
}

static mien_status erase_block(eraser *e, size_t b, const mien__search_kernels *k, mien_error *err)
{
    const size_t bytes = e->head.block_bytes;
    const uint64_t at = e->head.data_at + (uint64_t)b * bytes;
    uint8_t *const entry_at = e->table + MIEN__IDX_HEADER + b * MIEN__IDX_ENTRY;
    mien__idx_entry entry;
    mien__idx_entry_get(entry_at, e->head.sealed, &entry);
    mien_status status = read_at(e, e->block, bytes, at, err);
    if (status != MIEN_OK)
        return status;
    const bool good = e->head.sealed
                          ? mien__idx_unseal(&e->keys, e->opts->gallery, b, e->block, bytes, e->block, &entry)
                          : mien__idx_sum_ok(k, e->block, bytes, &entry);
    if (!good)
        return mien__fail(err, MIEN_E_INDEX_CORRUPT, "block %zu of %s is damaged", b, e->path);
    const uint32_t n = clear_places(e, entry.used);
    if (n == 0)
        return MIEN_OK;
    entry.live -= n > entry.live ? entry.live : n;
    entry.generation++;
    e->head.n -= n > e->head.n ? e->head.n : n;
    if (e->head.sealed)
        mien__idx_seal(&e->keys, e->opts->gallery, b, e->block, bytes, e->block, &entry);
    else
        mien__idx_sum(k, e->block, bytes, &entry);
    mien__idx_entry_put(entry_at, e->head.sealed, &entry);
    return write_at(e, e->block, bytes, at, err);
}

static mien_status erase_all(eraser *e, mien_error *err)
{
    const mien__search_kernels *const k = mien__search_kernels_get();
    const size_t n_before = e->head.n;
    mien_status status = MIEN_OK;
    for (size_t b = 0; b < e->head.n_blocks && status == MIEN_OK; b++)
        status = erase_block(e, b, k, err);
    if (status != MIEN_OK || e->head.n == n_before)
        return status;
    mien__idx_head_put(e->table, &e->head, e->opts, &e->keys);
    status = write_at(e, e->table, e->head.data_at, 0, err);
    if (status == MIEN_OK && fdatasync(e->fd) != 0)
        status = mien__fail(err, MIEN_E_IO, "cannot write %s: %s", e->path, strerror(errno));
    return status;
}

/* Read and check header and table, get memory for a block. */
static mien_status prepare(eraser *e, size_t size, mien_error *err)
{
    uint8_t start[MIEN__IDX_HEADER];
    if (size < sizeof start)
        return mien__fail(err, MIEN_E_INDEX_FORMAT, "%s is not a search index", e->path);
    mien_status status = read_at(e, start, sizeof start, 0, err);
    if (status != MIEN_OK)
        return status;
    /* how long the table is says the header, which is checked with it: no more than the file has */
    size_t bytes = mien__idx_data_at(mien__idx_blocks_claimed(start));
    bytes = bytes < size ? bytes : size;
    e->table = mien_alloc(bytes);
    if (!e->table)
        return mien__nomem(err, bytes);
    status = read_at(e, e->table, bytes, 0, err);
    if (status == MIEN_OK)
        status = mien__idx_head_get(e->table, size, e->path, e->opts, &e->keys, &e->head, err);
    if (status == MIEN_OK && !(e->block = mien_alloc(e->head.block_bytes)))
        status = mien__nomem(err, e->head.block_bytes);
    return status;
}

mien_status mien_index_erase(const char *path, const mien_index_opts *opts, const uint64_t *ids, size_t n,
                             mien_error *err)
{
    if (!path || !opts || (n && !ids))
        return mien__fail(err, MIEN_E_ARG, "NULL argument");
    mien_status status = mien__index_check_opts(opts, err);
    if (status != MIEN_OK || n == 0)
        return status;
    eraser e = { .path = path, .opts = opts, .n_ids = n, .fd = -1 };
    size_t size = 0;
    uint64_t *const sorted = mien_alloc_array(n, sizeof *sorted);
    if (!sorted)
        return mien__nomem(err, n * sizeof *sorted);
    memcpy(sorted, ids, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_value);
    e.ids = sorted;
    mien__index_keys(opts, &e.keys);
    mien__index_layout_of(opts->dim, &e.layout);
    mien_error open_error = MIEN_ERROR_INIT;
    status = mien__idx_open_locked(path, O_RDWR, LOCK_EX, &e.fd, &size, &open_error);
    if (status == MIEN_OK)
        status = prepare(&e, size, err);
    else if (status != MIEN_E_NOT_FOUND && err)
        *err = open_error;
    if (status == MIEN_OK)
        status = erase_all(&e, err);
    if (e.fd >= 0)
        close(e.fd); /* and unlocks */
    if (e.block)
        mien_free_secret(e.block, e.head.block_bytes);
    mien_free(e.table);
    mien_free(sorted);
    sodium_memzero(&e.keys, sizeof e.keys);
    return status == MIEN_E_NOT_FOUND ? MIEN_OK : status;
}
