/* Fuzz target: the WebP codec on its own; does nothing in a build without libwebp. */
#include "fuzz_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_codec(&mien__codec_webp, data, size);
    return 0;
}
