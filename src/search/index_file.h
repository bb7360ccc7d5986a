/* The file of an index. All numbers little-endian.
 *
 *      0  "mienidx\n"
 *      8  u32 version, u32 flags (1 sealed, 2 with sign codes), u32 dimension, u32 places per block (4096)
 *     24  u32 blocks, u32 reserved, u64 bytes of the file, u64 templates, u64 sequence number of the store
 *     56  fingerprint of the model [32], identity of the gallery [16], which key [16]
 *    120  BLAKE2b-256 over the header up to here and the table; keyed when sealed [32]
 *   4096  table, 64 bytes per block: u32 places in use, u32 templates, u64 generation (counts rewritings),
 * then plain: eight CRC-32C, of the block's eighths      sealed: nonce [24], tag [16] blocks, each at a
 * multiple of 4096, as in memory; sealed: XChaCha20-Poly1305 of that, associated data: gallery, number of the
 * block, first 16 bytes of its table entry
 *
 * Header and table are checked when the file is opened, a plain block when it is first used. The digest is
 * over the table, so blocks cannot be taken from an older state of the file; that the whole file is not an
 * older one, the sequence number tells, which the caller compares with the store.
 */
#ifndef MIEN_SRC_SEARCH_INDEX_FILE_H
#define MIEN_SRC_SEARCH_INDEX_FILE_H

#include "search/index.h"

enum {
    MIEN__IDX_VERSION = 1,
    MIEN__IDX_HEADER = 4096,
    MIEN__IDX_DIGEST_AT = 120,
    MIEN__IDX_ENTRY = 64,
    MIEN__IDX_SEALED = 1,
    MIEN__IDX_CODED = 2
};

typedef struct mien__idx_entry {
    uint32_t used, live;
    uint64_t generation;
    uint32_t sums[MIEN__SUM_LANES];
    uint8_t nonce[24], tag[16];
} mien__idx_entry;

typedef struct mien__idx_head {
    bool sealed, coded;
    size_t n_blocks, n;
    uint64_t seq, file_bytes;
    size_t data_at, block_bytes;
} mien__idx_head;

void mien__idx_entry_get(const uint8_t *p, bool sealed, mien__idx_entry *ret);
void mien__idx_entry_put(uint8_t *p, bool sealed, const mien__idx_entry *e);
size_t mien__idx_data_at(size_t n_blocks);
/* head [MIEN__IDX_HEADER] from what it says; the table follows it. */
void mien__idx_head_put(uint8_t *head, const mien__idx_head *h, const mien_index_opts *opts,
                        const mien__idx_keys *keys);
void mien__idx_digest(const uint8_t *head, size_t n_blocks, const mien__idx_keys *keys, uint8_t ret[32]);
/* How many blocks a header says there are, unchecked, but no more than there can be. */
size_t mien__idx_blocks_claimed(const uint8_t *head);
/* Read and check header and table at the start of a file of `size` bytes; table bytes past
 * mien__idx_data_at() of what is claimed are not touched. */
mien_status mien__idx_head_get(const uint8_t *file, size_t size, const char *path,
                               const mien_index_opts *opts, const mien__idx_keys *keys, mien__idx_head *ret,
                               mien_error *err);

/* A block's checksums into its entry, and whether it has those. */
void mien__idx_sum(const mien__search_kernels *k, const uint8_t *block, size_t bytes, mien__idx_entry *e);
bool mien__idx_sum_ok(const mien__search_kernels *k, const uint8_t *block, size_t bytes,
                      const mien__idx_entry *e);
/* Seal block -> dst (which may be block) with a fresh nonce; unseal. */
void mien__idx_seal(const mien__idx_keys *keys, const uint8_t gallery[16], size_t number,
                    const uint8_t *block, size_t bytes, uint8_t *dst, mien__idx_entry *e);
bool mien__idx_unseal(const mien__idx_keys *keys, const uint8_t gallery[16], size_t number,
                      const uint8_t *src, size_t bytes, uint8_t *dst, const mien__idx_entry *e);

/* Open a regular file and lock it (LOCK_SH, LOCK_EX); when it was replaced meanwhile, the one in its place.
 */
mien_status mien__idx_open_locked(const char *path, int flags, int how, int *ret_fd, size_t *ret_size,
                                  mien_error *err);

#endif
