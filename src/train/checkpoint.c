/* Checkpoints: the layout is in checkpoint.h.
 *
 * Writing: header and table are built in memory, the data is hashed and written from where it lies, to a
 * temporary file that takes the old one's place when it is on the disk. Killed at any moment, the old file or
 * the new one is there.
 *
 * Reading: the file is mapped, and nothing is copied before everything is known to fit: magic, version and
 * length first (a file cut short says so), then the digest, then the table against the caller's items (with a
 * good digest a difference means another run, and that is what the message says). Nothing is allocated.
 */
#include "train/checkpoint.h"
#include <string.h>

_Static_assert(sizeof(((mien__ckpt_item *)0)->name) == MIEN__CKPT_NAME, "names are stored as they are");

static void put_uint(uint8_t *at, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t get_uint(const uint8_t *at, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++)
        v |= (uint64_t)at[i] << (8 * i);
    return v;
}

/* Bytes of the file of these items; E_ARG when they cannot be written. */
static mien_status file_bytes(const mien__ckpt_item *items, size_t n, size_t *ret, mien_error *err)
{
    if (n > MIEN__CKPT_MAX_ITEMS)
        return mien__fail(err, MIEN_E_ARG, "a checkpoint of %zu items, the limit is %d", n,
                          (int)MIEN__CKPT_MAX_ITEMS);
    size_t total = MIEN__CKPT_HEADER + n * MIEN__CKPT_ROW + MIEN__CKPT_TRAILER;
    for (size_t i = 0; i < n; i++) {
        if (!memchr(items[i].name, '\0', sizeof items[i].name))
            return mien__fail(err, MIEN_E_ARG, "the name of checkpoint item %zu has no end", i);
        if (!mien_add_ok(total, items[i].bytes, &total) || total > MIEN__CKPT_MAX_BYTES)
            return mien__fail(err, MIEN_E_ARG, "a checkpoint over its limit of %zu bytes at item %s",
                              MIEN__CKPT_MAX_BYTES, items[i].name);
    }
    *ret = total;
    return MIEN_OK;
}

static void put_head(uint8_t *head, const mien__ckpt_item *items, size_t n, size_t total)
{
    memcpy(head, MIEN__CKPT_MAGIC, 8);
    put_uint(head + 8, MIEN__CKPT_VERSION, 4);
    put_uint(head + 12, n, 4);
    put_uint(head + 16, total, 8);
    for (size_t i = 0; i < n; i++) {
        uint8_t *const row = head + MIEN__CKPT_HEADER + i * MIEN__CKPT_ROW;
        memset(row, 0, MIEN__CKPT_NAME);
        memcpy(row, items[i].name, strlen(items[i].name));
        put_uint(row + MIEN__CKPT_NAME, items[i].bytes, 8);
    }
}

mien_status mien__ckpt_write(const char *path, const mien__ckpt_item *items, size_t n, mien_error *err)
{
    uint8_t digest[MIEN__CKPT_TRAILER];
    uint8_t *head = NULL;
    mien__file_part *parts = NULL;
    size_t total = 0;
    mien_status status = file_bytes(items, n, &total, err);
    if (status != MIEN_OK)
        return status;
    const size_t head_bytes = MIEN__CKPT_HEADER + n * MIEN__CKPT_ROW;
    head = mien_alloc(head_bytes);
    parts = mien_alloc_array(n + 2, sizeof *parts);
    if (!head || !parts) {
        status = mien__nomem(err, head_bytes);
        goto done;
    }
    put_head(head, items, n, total);
    parts[0] = (mien__file_part){ head, head_bytes };
    for (size_t i = 0; i < n; i++)
        parts[1 + i] = (mien__file_part){ items[i].data, items[i].bytes };
    mien__sha256_parts(parts, n + 1, digest);
    parts[n + 1] = (mien__file_part){ digest, sizeof digest };
    status = mien__file_write_parts(path, parts, n + 2, err);
done:
    mien_free(parts);
    mien_free(head);
    return status;
}

/* ---- reading ---- */

static mien_status check_frame(const uint8_t *data, size_t size, const char *path, mien_error *err)
{
    uint8_t digest[MIEN__CKPT_TRAILER];
    if (size < MIEN__CKPT_HEADER + MIEN__CKPT_TRAILER || memcmp(data, MIEN__CKPT_MAGIC, 8) != 0)
        return mien__fail(err, MIEN_E_MODEL_CORRUPT, "%s is no checkpoint", path);
    if (get_uint(data + 8, 4) != MIEN__CKPT_VERSION)
        return mien__fail(err, MIEN_E_MODEL_CORRUPT, "%s is a checkpoint of version %u, not %d", path,
                          (unsigned)get_uint(data + 8, 4), (int)MIEN__CKPT_VERSION);
    if (get_uint(data + 16, 8) != size)
        return mien__fail(err, MIEN_E_MODEL_CORRUPT, "%s has %zu bytes and should have %llu", path, size,
                          (unsigned long long)get_uint(data + 16, 8));
    mien__sha256(data, size - MIEN__CKPT_TRAILER, digest);
    if (memcmp(digest, data + size - MIEN__CKPT_TRAILER, sizeof digest) != 0)
        return mien__fail(err, MIEN_E_DIGEST, "the checksum of %s does not match: it is damaged", path);
    return MIEN_OK;
}

/* Row i of the table is this item. */
static mien_status check_row(const uint8_t *data, size_t body, size_t i, const mien__ckpt_item *item,
                             const char *path, mien_error *err)
{
    if (body / MIEN__CKPT_ROW <= i)
        return mien__fail(err, MIEN_E_MODEL_CORRUPT, "the table of %s is cut short", path);
    const uint8_t *const row = data + MIEN__CKPT_HEADER + i * MIEN__CKPT_ROW;
    if (memcmp(row, item->name, strlen(item->name) + 1) != 0)
        return mien__fail(err, MIEN_E_MODEL_CORRUPT, "%s is of another run: item %zu is not %s", path, i,
                          item->name);
    if (get_uint(row + MIEN__CKPT_NAME, 8) != item->bytes)
        return mien__fail(err, MIEN_E_MODEL_CORRUPT, "%s is of another run: %s has %llu bytes, not %zu", path,
                          item->name, (unsigned long long)get_uint(row + MIEN__CKPT_NAME, 8), item->bytes);
    return MIEN_OK;
}

/* The table names exactly the caller's items, and their bytes are what lies between table and trailer. */
static mien_status check_table(const uint8_t *data, size_t size, const char *path,
                               const mien__ckpt_item *items, size_t n, mien_error *err)
{
    size_t total = 0;
    const mien_status status = file_bytes(items, n, &total, err);
    if (status != MIEN_OK)
        return status;
    const uint64_t stored = get_uint(data + 12, 4);
    if (stored != n)
        return mien__fail(err, MIEN_E_MODEL_CORRUPT, "%s is of another run: %llu items, %zu wanted", path,
                          (unsigned long long)stored, n);
    const size_t body = size - MIEN__CKPT_HEADER - MIEN__CKPT_TRAILER;
    for (size_t i = 0; i < n; i++) {
        const mien_status row = check_row(data, body, i, &items[i], path, err);
        if (row != MIEN_OK)
            return row;
    }
    if (total != size)
        return mien__fail(err, MIEN_E_MODEL_CORRUPT, "%s has %zu bytes for items of %zu", path, size, total);
    return MIEN_OK;
}

mien_status mien__ckpt_parse(const uint8_t *data, size_t size, const char *path, const mien__ckpt_item *items,
                             size_t n, mien_error *err)
{
    mien_status status = check_frame(data, size, path, err);
    if (status == MIEN_OK)
        status = check_table(data, size, path, items, n, err);
    if (status != MIEN_OK)
        return status;
    const uint8_t *at = data + MIEN__CKPT_HEADER + n * MIEN__CKPT_ROW;
    for (size_t i = 0; i < n; i++) {
        if (items[i].bytes > 0)
            memcpy(items[i].data, at, items[i].bytes);
        at += items[i].bytes;
    }
    return MIEN_OK;
}

mien_status mien__ckpt_read(const char *path, const mien__ckpt_item *items, size_t n, mien_error *err)
{
    mien__file_map map = { 0 };
    mien_status status = mien__file_map_open(&map, path, MIEN__CKPT_MAX_BYTES, err);
    if (status != MIEN_OK)
        return status;
    status = mien__ckpt_parse(map.data, map.size, path, items, n, err);
    mien__file_map_close(&map);
    return status;
}

mien_status mien__ckpt_read_first(const char *path, const mien__ckpt_item *item, mien_error *err)
{
    mien__file_map map = { 0 };
    mien_status status = mien__file_map_open(&map, path, MIEN__CKPT_MAX_BYTES, err);
    if (status != MIEN_OK)
        return status;
    status = check_frame(map.data, map.size, path, err);
    if (status == MIEN_OK) {
        const size_t body = map.size - MIEN__CKPT_HEADER - MIEN__CKPT_TRAILER;
        const uint64_t table = get_uint(map.data + 12, 4) * MIEN__CKPT_ROW;
        status = check_row(map.data, body, 0, item, path, err);
        if (status == MIEN_OK && (table > body || body - table < item->bytes))
            status = mien__fail(err, MIEN_E_MODEL_CORRUPT, "the table of %s is cut short", path);
        if (status == MIEN_OK)
            memcpy(item->data, map.data + MIEN__CKPT_HEADER + table, item->bytes);
    }
    mien__file_map_close(&map);
    return status;
}
