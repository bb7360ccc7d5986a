/* Metadata out of pictures that are kept: where they were taken, with what, by whom, thumbnails of what was
 * cropped.
 *
 * JPEG (ITU-T T.81, annex B): segments up to the first scan are copied, without comments and without
 * application segments other than JFIF (APP0), colour profiles (APP2 "ICC_PROFILE") and Adobe's colour
 * transform (APP14); an orientation other than upright returns as an EXIF block of that one number. From the
 * first scan on the bytes are copied up to the end of image; what follows it (motion photos, trailers) is
 * left out. PNG (ISO/IEC 15948, 5): chunks that decoding needs and those of colour are copied, eXIf is
 * replaced likewise; all else is left out.
 */
#include "image/strip.h"
#include "image/codec.h"
#include <string.h>

/* TIFF, big-endian, one directory with one entry: orientation, SHORT, 1 value. */
enum { TIFF_BYTES = 26, TIFF_VALUE = 19 };
static const uint8_t tiff_template[TIFF_BYTES] = { 'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0,
                                                   3,   0,   0, 0,  1, 0, 0, 0, 0, 0, 0, 0,    0 };

static mien_status corrupt(mien_error *err, const char *what)
{
    return mien__fail(err, MIEN_E_IMAGE_CORRUPT, "the picture to be kept cannot be followed: %s", what);
}

/* ---- JPEG ---- */

enum {
    SOI = 0xd8,
    EOI = 0xd9,
    SOS = 0xda,
    APP0 = 0xe0,
    APP1 = 0xe1,
    APP2 = 0xe2,
    APP14 = 0xee,
    APP15 = 0xef,
    COM = 0xfe
};

static bool starts(const uint8_t *data, size_t n, const char *text, size_t text_bytes)
{
    return n >= text_bytes && memcmp(data, text, text_bytes) == 0;
}

static bool keep_segment(int marker, const uint8_t *body, size_t n)
{
    if (marker == COM)
        return false;
    if (marker < APP0 || marker > APP15)
        return true;
    return (marker == APP0 && starts(body, n, "JFIF", 5)) ||
           (marker == APP2 && starts(body, n, "ICC_PROFILE", 12)) ||
           (marker == APP14 && starts(body, n, "Adobe", 5));
}

static mien_status put_jpeg_orientation(int orientation, mien__buf *ret, mien_error *err)
{
    uint8_t segment[4 + 6 + TIFF_BYTES] = { 0xff, APP1, 0, 2 + 6 + TIFF_BYTES, 'E', 'x', 'i', 'f', 0, 0 };
    memcpy(segment + 10, tiff_template, TIFF_BYTES);
    segment[10 + TIFF_VALUE] = (uint8_t)orientation;
    return orientation == 1 ? MIEN_OK : mien__buf_append(ret, segment, sizeof segment, err);
}

/* Where the image ends: after the first EOI in the scans, else where the file does. Within a scan FF is
 * followed by 00, a restart marker or the marker of a segment, which has a length to be skipped. */
static size_t end_of_scans(const uint8_t *d, size_t at, size_t size)
{
    while (at + 1 < size) {
        const uint8_t *const ff = memchr(d + at, 0xff, size - 1 - at);
        if (!ff)
            return size;
        at = (size_t)(ff - d);
        const int marker = d[at + 1];
        if (marker == EOI)
            return at + 2;
        at += marker == 0xff ? 1 : 2;
        const bool plain = marker == 0 || marker == 0xff || marker == 1 || (marker >= 0xd0 && marker <= 0xd7);
        if (!plain && size - at >= 2)
            at += (size_t)d[at] << 8 | d[at + 1];
    }
    return size;
}

/* The orientation that decoding would apply: that of the first EXIF block. */
static int jpeg_orientation(const uint8_t *d, size_t size)
{
    for (size_t at = 2; size - at >= 4 && d[at] == 0xff;) {
        const size_t n = (size_t)d[at + 2] << 8 | d[at + 3];
        if (d[at + 1] == 0xff) {
            at++;
            continue;
        }
        if (d[at + 1] == SOS || n < 2 || n > size - at - 2)
            break;
        if (d[at + 1] == APP1 && starts(d + at + 4, n - 2, "Exif\0", 6))
            return mien__exif_orientation(d + at + 10, n - 8);
        at += 2 + n;
    }
    return 1;
}

static mien_status strip_jpeg(const uint8_t *d, size_t size, mien__buf *ret, mien_error *err)
{
    const int orientation = jpeg_orientation(d, size);
    bool told = false;
    mien_status st = mien__buf_append(ret, d, 2, err);
    size_t at = 2;
    while (!st) {
        if (size - at < 4 || d[at] != 0xff)
            return corrupt(err, "no marker where one must be");
        const int marker = d[at + 1];
        if (marker == 0xff) { /* fill */
            at++;
            continue;
        }
        const size_t n = (size_t)d[at + 2] << 8 | d[at + 3];
        if (n < 2 || n > size - at - 2)
            return corrupt(err, "a segment reaches past its end");
        if (!told && marker != APP0) { /* JFIF comes first where it is */
            st = put_jpeg_orientation(orientation, ret, err);
            told = true;
        }
        if (marker == SOS)
            break;
        if (!st && keep_segment(marker, d + at + 4, n - 2))
            st = mien__buf_append(ret, d + at, n + 2, err);
        at += n + 2;
    }
    return st ? st
              : mien__buf_append(ret, d + at,
                                 end_of_scans(d, at + 2 + ((size_t)d[at + 2] << 8 | d[at + 3]), size) - at,
                                 err);
}

/* ---- PNG ---- */

static const char png_magic[] = "\x89PNG\r\n\x1a\n";

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* CRC-32 of ISO 3309, bit by bit: it covers 30 bytes. */
static uint32_t crc32_of(const uint8_t *d, size_t n)
{
    uint32_t c = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        c ^= d[i];
        for (int k = 0; k < 8; k++)
            c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
    }
    return ~c;
}

static mien_status put_png_orientation(int orientation, mien__buf *ret, mien_error *err)
{
    uint8_t chunk[4 + 4 + TIFF_BYTES + 4] = { 0, 0, 0, TIFF_BYTES, 'e', 'X', 'I', 'f' };
    memcpy(chunk + 8, tiff_template, TIFF_BYTES);
    chunk[8 + TIFF_VALUE] = (uint8_t)orientation;
    const uint32_t crc = crc32_of(chunk + 4, 4 + TIFF_BYTES);
    for (int i = 0; i < 4; i++)
        chunk[8 + TIFF_BYTES + i] = (uint8_t)(crc >> (24 - 8 * i));
    return orientation == 1 ? MIEN_OK : mien__buf_append(ret, chunk, sizeof chunk, err);
}

static bool keep_chunk(const uint8_t type[4])
{
    static const char kept[][5] = { "IHDR", "PLTE", "IDAT", "IEND", "tRNS", "cHRM",
                                    "gAMA", "iCCP", "sBIT", "sRGB", "pHYs" };
    for (size_t i = 0; i < MIEN_COUNTOF(kept); i++)
        if (memcmp(type, kept[i], 4) == 0)
            return true;
    return false;
}

static mien_status strip_png(const uint8_t *d, size_t size, mien__buf *ret, mien_error *err)
{
    mien_status st = mien__buf_append(ret, d, 8, err);
    size_t at = 8;
    bool told = false;
    while (!st) {
        if (size - at < 12)
            return corrupt(err, "it ends before IEND");
        const size_t n = be32(d + at);
        const uint8_t *const type = d + at + 4;
        if (n > size - at - 12)
            return corrupt(err, "a chunk reaches past its end");
        if (memcmp(type, "eXIf", 4) == 0 && !told) {
            st = put_png_orientation(mien__exif_orientation(d + at + 8, n), ret, err);
            told = true;
        } else if (keep_chunk(type)) {
            st = mien__buf_append(ret, d + at, n + 12, err);
        }
        at += n + 12;
        if (memcmp(type, "IEND", 4) == 0)
            break;
    }
    return st;
}

mien_status mien__image_strip(const void *data, size_t size, mien__buf *ret, mien_error *err)
{
    const uint8_t *const d = data;
    if (size >= 4 && d[0] == 0xff && d[1] == SOI)
        return strip_jpeg(d, size, ret, err);
    if (size >= 8 && memcmp(d, png_magic, 8) == 0)
        return strip_png(d, size, ret, err);
    return mien__fail(err, MIEN_E_IMAGE_FORMAT, "only JPEG and PNG pictures are kept");
}
