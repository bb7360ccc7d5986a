/* Fuzz target: the index of found faces. The checksum is put right first, so that what it covers is reached.
 */
#include "train/data_read.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KEY_AT = 12, KEY_BYTES = 32, DIGEST_BYTES = 32 };

/* What was read must be in order and found again, and written it must be the same bytes. */
static void check(const mien__index *x, const uint8_t *key, const uint8_t *file, size_t size)
{
    for (size_t i = 0; i < x->n; i++)
        if (mien__index_find(x, x->v[i].name) != &x->v[i] || x->v[i].width < 1 || x->v[i].height < 1)
            abort();
    mien__buf again = { 0 };
    if (mien__index_format(x->v, x->n, key, &again, NULL) != MIEN_OK)
        return;
    if (again.size != size || memcmp(again.data, file, size) != 0)
        abort();
    mien__buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t key[KEY_BYTES] = { 0 };
    mien_error err = MIEN_ERROR_INIT;
    mien__index x = { 0 };
    uint8_t *const file = mien_alloc(size + DIGEST_BYTES);
    if (!file)
        return 0;
    if (size)
        memcpy(file, data, size);
    if (size >= KEY_AT + KEY_BYTES)
        memcpy(key, data + KEY_AT, sizeof key);
    mien__sha256(file, size, file + size);
    /* the input bare, as a damaged file is, and with a right checksum */
    if (mien__index_parse(data, size, key, &x, &err) == MIEN_OK) {
        check(&x, key, data, size);
        mien__index_free(&x);
    }
    if (mien__index_parse(file, size + DIGEST_BYTES, key, &x, &err) == MIEN_OK) {
        check(&x, key, file, size + DIGEST_BYTES);
        mien__index_free(&x);
    } else if (x.v || !err.message[0]) {
        abort(); /* outputs only on success; every refusal says why */
    }
    mien_free(file);
    return 0;
}
