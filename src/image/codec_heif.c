/* HEIC pictures (ISO/IEC 23008-12); recognised by their brand. */
#include "image/codec.h"
#include <string.h>

static bool is_mine(const uint8_t *data, size_t size)
{
    static const char *const brands[] = { "heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1" };
    if (size < 12 || memcmp(data + 4, "ftyp", 4) != 0)
        return false;
    for (size_t i = 0; i < MIEN_COUNTOF(brands); i++) {
        if (memcmp(data + 8, brands[i], 4) == 0)
            return true;
    }
    return false;
}

static const char *describe(void)
{
    return "heic (built without libheif)";
}

const mien__codec mien__codec_heif = { "heic", true, is_mine, NULL, NULL, describe };
