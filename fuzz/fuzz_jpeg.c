/* Fuzz target: the JPEG codec on its own. */
#include "fuzz_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_codec(&mien__codec_jpeg, data, size);
    return 0;
}
