/* What the picture codecs share: the codec table's entry, the canvas a codec fills, limits, EXIF.
 *
 * To add a codec: write codec_NAME.c with one `mien__codec` in it and name it in the table of decode.c. A
 * codec reads the header, calls mien__check_size() and only then mien__canvas_open(); it never allocates by
 * sizes the file claims before that. It stores pixels as they lie in the file and leaves the orientation to
 * the caller.
 */
#ifndef MIEN_SRC_IMAGE_CODEC_H
#define MIEN_SRC_IMAGE_CODEC_H

#include "base/base.h"
#include <mien/image.h>

struct mien_image {
    int width, height;
    int scale;       /* 1, 2, 4, 8: by how much reading shrank it */
    uint8_t *pixels; /* rows of 3 * width bytes without padding */
};

/* Where a codec puts its pixels: memory of our own, or a fixed piece shared with another process. */
typedef struct mien__canvas {
    uint8_t *pixels; /* rows of 3 * width bytes, R G B; set by mien__canvas_open() */
    int width, height;
    int scale;       /* 1, 2, 4 or 8; set by the codec */
    int orientation; /* EXIF 1..8; set by the codec */
    uint8_t *fixed;  /* not NULL: open() hands this out instead of allocating */
    size_t fixed_bytes;
} mien__canvas;

typedef struct mien__codec {
    const char *name; /* "jpeg" */
    bool confined;    /* decoded only in the confined worker */
    bool (*is_mine)(const uint8_t *data, size_t size);
    /* NULL when this build lacks the library. */
    mien_status (*decode)(const uint8_t *data, size_t size, const mien_image_opts *opts, mien__canvas *canvas,
                          mien_error *err);
    /* Load what decode() needs, once; NULL when nothing is to be loaded. Confined codecs only. */
    bool (*load)(void);
    /* "jpeg (libjpeg-turbo 2.1.5)"; a static string. */
    const char *(*describe)(void);
} mien__codec;

extern const mien__codec mien__codec_jpeg, mien__codec_png, mien__codec_webp, mien__codec_heif;

/* Lend codec 0, 1, ...; NULL past the end. */
const mien__codec *mien__codec_at(size_t index);

/* Make room for width x height pixels (contents undefined); E_NOMEM, E_LIMIT when the fixed piece is too
 * small. */
mien_status mien__canvas_open(mien__canvas *canvas, int width, int height, mien_error *err);
void mien__canvas_free(mien__canvas *canvas);

/* E_LIMIT when a picture of that size passes the limits, E_IMAGE_CORRUPT when a side is 0. */
mien_status mien__check_size(const mien_image_opts *opts, uint64_t width, uint64_t height, mien_error *err);

/* Decode by `codec` in this process into `canvas`, then nothing else: no orientation. */
mien_status mien__codec_run(const mien__codec *codec, const uint8_t *data, size_t size,
                            const mien_image_opts *opts, mien__canvas *canvas, mien_error *err);

/* Turn a canvas into an upright picture; takes the canvas's memory when it is its own. */
mien_status mien__canvas_to_image(mien__canvas *canvas, mien_image **ret, mien_error *err);

/* Copy width x height pixels so that the picture with that EXIF orientation stands upright. For orientations
 * 5..8 the copy is height x width. `dst` must not overlap `src`; rows are without padding. */
void mien__orient(const uint8_t *src, int width, int height, int orientation, uint8_t *dst);

/* Read the orientation from a TIFF structure ("II*\0..." or "MM\0*..."), as EXIF blocks hold it; 1 when there
 * is none or it is damaged. Never reads outside data[0..size). */
int mien__exif_orientation(const uint8_t *tiff, size_t size);

/* Write `n` pixels of R G B A onto white: dst = (c a + 255 (255 - a)) / 255, rounded. */
void mien__flatten_row(const uint8_t *rgba, size_t n, uint8_t *dst);

/* Encoders; *ret is appended to. */
mien_status mien__jpeg_encode(mien_image_view image, int quality, mien__buf *ret, mien_error *err);
mien_status mien__png_encode(mien_image_view image, mien__buf *ret, mien_error *err);

/* Decode in a confined worker (sandbox.c); the canvas is upright-free as from mien__codec_run(). */
mien_status mien__sandbox_decode(const mien__codec *codec, const uint8_t *data, size_t size,
                                 const mien_image_opts *opts, mien_image **ret, mien_error *err);
/* Whether a confined codec could be loaded in its worker. */
bool mien__sandbox_has(const mien__codec *codec);

#endif
