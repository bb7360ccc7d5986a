/* The orientation out of an EXIF block, and nothing else of it.
 *
 * TIFF 6.0 section 2: byte order "II" or "MM", 42, offset of the first directory; the directory is a count
 * and entries of 12 bytes (tag, type, count, value). Only that first directory is read, at most 65,535
 * entries, no offset is followed from an entry; so the work is bounded by `size`.
 */
#include "image/codec.h"

static uint32_t read_int(const uint8_t *p, int bytes, bool big)
{
    uint32_t v = 0;
    for (int i = 0; i < bytes; i++)
        v = v << 8 | p[big ? i : bytes - 1 - i];
    return v;
}

int mien__exif_orientation(const uint8_t *tiff, size_t size)
{
    enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, TYPE_LONG = 4, ENTRY_BYTES = 12 };
    if (size < 8 || tiff[0] != tiff[1] || (tiff[0] != 'I' && tiff[0] != 'M'))
        return 1;
    const bool big = tiff[0] == 'M';
    if (read_int(tiff + 2, 2, big) != 42)
        return 1;
    const size_t ifd = read_int(tiff + 4, 4, big);
    if (ifd < 8 || ifd > size - 2)
        return 1;
    const size_t n = read_int(tiff + ifd, 2, big);
    size_t at = ifd + 2;
    for (size_t i = 0; i < n && size - at >= ENTRY_BYTES; i++, at += ENTRY_BYTES) {
        if (read_int(tiff + at, 2, big) != TAG_ORIENTATION)
            continue;
        const uint32_t type = read_int(tiff + at + 2, 2, big);
        if (read_int(tiff + at + 4, 4, big) != 1 || (type != TYPE_SHORT && type != TYPE_LONG))
            return 1;
        const uint32_t value = read_int(tiff + at + 8, type == TYPE_SHORT ? 2 : 4, big);
        return value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}
