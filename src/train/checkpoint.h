/* The checkpoint file, for its reader's tests; what the trainer uses is in optim.h.
 *
 * All numbers little-endian, as is the data (only little-endian machines are built for). Layout:
 *   header   magic "MIENCKPT", u32 version 1, u32 items, u64 bytes of the whole file
 *   table    per item: name [128], ended and padded with zeros; u64 bytes
 *   data     the items, one after the other
 *   trailer  SHA-256 of everything before it
 */
#ifndef MIEN_SRC_TRAIN_CHECKPOINT_H
#define MIEN_SRC_TRAIN_CHECKPOINT_H

#include "train/optim.h"

#define MIEN__CKPT_MAGIC "MIENCKPT"
enum {
    MIEN__CKPT_VERSION = 1,
    MIEN__CKPT_HEADER = 24,
    MIEN__CKPT_NAME = 128,
    MIEN__CKPT_ROW = MIEN__CKPT_NAME + 8,
    MIEN__CKPT_TRAILER = 32,
    MIEN__CKPT_MAX_ITEMS = 1 << 16,
};
#define MIEN__CKPT_MAX_BYTES ((size_t)64 << 30)

/* mien__ckpt_read() on bytes in memory; `path` is for the messages. */
mien_status mien__ckpt_parse(const uint8_t *data, size_t size, const char *path, const mien__ckpt_item *items,
                             size_t n, mien_error *err);

#endif
