/* Metadata out of pictures: any bytes; what is kept must be no longer than what came and a block of
 * orientation, and stripping twice must change nothing more. */
#include "image/strip.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mien__buf once, twice;
    mien__buf_init(&once, (size_t)1 << 24);
    mien__buf_init(&twice, (size_t)1 << 24);
    if (mien__image_strip(data, size, &once, NULL) == MIEN_OK) {
        if (once.size > size + 64)
            abort();
        if (mien__image_strip(once.data, once.size, &twice, NULL) != MIEN_OK || twice.size != once.size ||
            memcmp(once.data, twice.data, once.size) != 0)
            abort();
    }
    mien__buf_free(&once);
    mien__buf_free(&twice);
    return 0;
}
