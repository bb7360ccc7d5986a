/* Checkpoint reader on arbitrary bytes: as they are, and with the digest made good so that the table behind
 * it is reached. Refused bytes leave the items' memory alone, accepted ones fill it.
 */
#include "train/checkpoint.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void give(const uint8_t *data, size_t size)
{
    uint8_t steps[8], weights[20], spare[28];
    memset(steps, 0xa5, sizeof steps);
    memset(weights, 0xa5, sizeof weights);
    memset(spare, 0xa5, sizeof spare);
    const mien__ckpt_item items[3] = { { "steps", steps, sizeof steps },
                                       { "empty", NULL, 0 },
                                       { "w", weights, sizeof weights } };
    mien_error err = MIEN_ERROR_INIT;
    if (mien__ckpt_parse(data, size, "file", items, 3, &err) == MIEN_OK) {
        const uint8_t *const body = data + size - MIEN__CKPT_TRAILER - sizeof spare;
        if (memcmp(body, steps, 8) != 0 || memcmp(body + 8, weights, 20) != 0)
            __builtin_trap();
    } else if (!err.message[0] || memcmp(spare, steps, 8) != 0 || memcmp(spare, weights, 20) != 0) {
        __builtin_trap();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    give(data, size);
    if (size < MIEN__CKPT_TRAILER)
        return 0;
    uint8_t *const copy = mien_alloc(size);
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    mien__sha256(copy, size - MIEN__CKPT_TRAILER, copy + size - MIEN__CKPT_TRAILER);
    give(copy, size);
    mien_free(copy);
    return 0;
}
