/* Fuzz target: the EXIF orientation reader on a bare TIFF structure. */
#include "image/codec.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int orientation = mien__exif_orientation(data, size);
    if (orientation < 1 || orientation > 8)
        abort();
    return 0;
}
