/* The file of a search index on arbitrary bytes: as they are, and with the digest and checksums made good, so
 * that what lies in the blocks is reached. What opens is searched, changed, tested and erased in.
 *
 * The input is the first bytes of the header and of the table, then what fills the blocks over and over; the
 * rest of a file that is 160 KB at the least is made here.
 */
#include "search/index_file.h"
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DIM = 4, HEADER = 160, MOST_BLOCKS = 2 };

static mien_index_opts opts(void)
{
    mien_index_opts o = MIEN_INDEX_OPTS_INIT;
    o.dim = DIM;
    return o;
}

static void use(mien_index *ix)
{
    static const float q[DIM] = { 0.5f, 0.5f, -0.5f, 0.5f };
    mien_error err = MIEN_ERROR_INIT;
    mien_search_opts s = MIEN_SEARCH_OPTS_INIT;
    mien_hit hits[3];
    size_t n = 0;
    s.top_k = 3;
    for (int all = 0; all < 2; all++) {
        s.scan_all = all;
        if (mien_index_search(ix, q, 1, &s, hits, &n, &err) == MIEN_OK) {
            for (size_t i = 0; i < n; i++) {
                if (!(hits[i].lo <= hits[i].hi))
                    __builtin_trap();
            }
        }
    }
    if (mien_index_add(ix, 77, 7, q, &err) == MIEN_OK && mien_index_find(ix, 77, NULL, &err) != MIEN_OK)
        __builtin_trap();
    (void)!mien_index_remove_person(ix, 0, NULL, &err);
    (void)!mien_index_check(ix, 3, NULL, NULL, &err);
}

static void give(const uint8_t *file, size_t size)
{
    char path[64];
    mien_error err = MIEN_ERROR_INIT;
    const mien_index_opts o = opts();
    mien_index *ix = NULL;
    const int fd = memfd_create("index", MFD_CLOEXEC);
    if (fd < 0 || write(fd, file, size) != (ssize_t)size)
        __builtin_trap();
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (mien_index_open(path, &o, &ix, &err) == MIEN_OK) {
        use(ix);
        mien_index_free(ix);
        static const uint64_t ids[] = { 0, 1, 2 };
        (void)!mien_index_erase(path, &o, ids, 3, &err);
    } else if (ix || !err.message[0]) {
        __builtin_trap();
    }
    close(fd);
}

/* Checksums and digest for what is there. */
static void make_good(uint8_t *file, size_t n_blocks, size_t block_bytes)
{
    const mien_index_opts o = opts();
    mien__idx_keys keys;
    mien__index_keys(&o, &keys);
    for (size_t b = 0; b < n_blocks; b++) {
        uint8_t *const at = file + MIEN__IDX_HEADER + b * MIEN__IDX_ENTRY;
        mien__idx_entry e;
        mien__idx_entry_get(at, false, &e);
        mien__idx_sum(&mien__search_scalar, file + mien__idx_data_at(n_blocks) + b * block_bytes, block_bytes,
                      &e);
        mien__idx_entry_put(at, false, &e);
    }
    mien__idx_digest(file, n_blocks, &keys, file + MIEN__IDX_DIGEST_AT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mien__index_layout l;
    mien__index_layout_of(DIM, &l);
    if (size < HEADER) {
        give(data, size);
        return 0;
    }
    size_t n_blocks = mien__idx_blocks_claimed(data);
    n_blocks = n_blocks < MOST_BLOCKS ? n_blocks : MOST_BLOCKS;
    const size_t block_bytes = data[12] & MIEN__IDX_CODED ? l.coded_bytes : l.plain_bytes;
    const size_t data_at = mien__idx_data_at(n_blocks), bytes = data_at + n_blocks * block_bytes;
    uint8_t *const file = mien_alloc_zero(bytes);
    if (!file)
        return 0;
    memcpy(file, data, HEADER);
    data += HEADER, size -= HEADER;
    const size_t table = size < n_blocks * MIEN__IDX_ENTRY ? size : n_blocks * MIEN__IDX_ENTRY;
    memcpy(file + MIEN__IDX_HEADER, data, table);
    data += table, size -= table;
    for (size_t b = 0; b < n_blocks;
         b++) { /* ids, people, scales, errors, from the front; free places behind */
        uint8_t *const block = file + data_at + b * block_bytes;
        for (size_t i = 0; i < MIEN__BLOCK; i++)
            memcpy(block + l.error_at + i * sizeof(float), &(float){ -INFINITY }, sizeof(float));
        const size_t items = size / 32 < MIEN__BLOCK ? size / 32 : MIEN__BLOCK;
        for (size_t i = 0; i < items; i++) {
            const uint8_t *const it = data + 32 * i;
            memcpy(block + l.id_at + i * 8, it, 8);
            memcpy(block + l.person_at + i * 8, it + 8, 8);
            memcpy(block + l.scale_at + i * 4, it + 16, 4);
            memcpy(block + l.error_at + i * 4, it + 20, 4);
            memcpy(block + i % MIEN__GROUP * 4 + i / MIEN__GROUP * l.steps * 64, it + 24, 4);
        }
    }
    give(file, bytes);
    make_good(file, n_blocks, block_bytes);
    give(file, bytes);
    mien_free(file);
    return 0;
}
