/* Pictures in memory: reading (JPEG, PNG, WebP, HEIC), writing (JPEG, PNG), resizing, drawing.
 *
 * A picture is always upright (EXIF orientation applied) 8-bit RGB. Limits are checked from the
 * header before anything is allocated. Pixel (x, y) covers [x, x+1) x [y, y+1); its centre is at
 * (x + 0.5, y + 0.5); coordinates of boxes and landmarks are in that continuous frame.
 */
#ifndef MIEN_IMAGE_H
#define MIEN_IMAGE_H

#include <mien/status.h>
#include <stddef.h>
#include <stdint.h>

MIEN_BEGIN_DECLS

/** An upright 8-bit RGB picture. Immutable once shared; writing to it needs one owner. */
typedef struct mien_image mien_image;

/** A lent view of pixels: row y starts at data + y * stride_bytes; 3 bytes R, G, B per pixel. */
typedef struct mien_image_view {
    const uint8_t *data;
    int width, height;   /**< px */
    size_t stride_bytes; /**< at least 3 * width */
} mien_image_view;

/** What reading may cost. */
typedef struct mien_image_opts {
    size_t struct_size;
    size_t max_bytes;    /**< of the file; default 100 MiB */
    uint64_t max_pixels; /**< width * height; default 120,000,000 */
    int max_side;        /**< px; default 30,000 */
    int max_jpeg_scans;  /**< start-of-scan markers; default 64 */
    int min_short_side;  /**< 0: full size. Else a JPEG may be decoded at 1/2, 1/4 or 1/8 size as long
                              as its shorter side stays at least this many px; see
                              mien_image_scale() */
    int sandbox;         /**< 1: decode in a confined worker process (Linux); default 0.
                              HEIC is always decoded there. */
} mien_image_opts;

#define MIEN_IMAGE_OPTS_INIT                                                    \
    {                                                                           \
        sizeof(mien_image_opts), (size_t)100 << 20, 120000000u, 30000, 64, 0, 0 \
    }

/** Read a picture file; the format comes from its first bytes, never from its name.
 *  @param opts  NULL for the defaults
 *  @return MIEN_OK; E_NOT_FOUND, E_IO, E_LIMIT, E_IMAGE_FORMAT, E_IMAGE_CORRUPT, E_IMAGE_CODEC, E_NOMEM;
 *          E_UNSUPPORTED when the sandbox is asked for where a process cannot be confined
 *  @ownership the caller frees *ret_image with mien_image_free().  @threads any */
MIEN_API MIEN_MUST_USE mien_status mien_image_load(const char *path, const mien_image_opts *opts,
                                                   mien_image **ret_image, mien_error *err);

/** Read a picture from memory; as mien_image_load(). `data` is not kept. */
MIEN_API MIEN_MUST_USE mien_status mien_image_decode(const void *data, size_t size,
                                                     const mien_image_opts *opts, mien_image **ret_image,
                                                     mien_error *err);

/** Make a picture from pixels (copied), or a black one when `pixels` is NULL. */
MIEN_API MIEN_MUST_USE mien_status mien_image_new(int width, int height, const uint8_t *pixels,
                                                  size_t stride_bytes, mien_image **ret_image,
                                                  mien_error *err);

MIEN_API void mien_image_free(mien_image *image);

/** Lend the pixels; valid until the picture is freed. */
MIEN_API mien_image_view mien_image_view_of(const mien_image *image);

/** Lend the pixels for writing, same layout. */
MIEN_API uint8_t *mien_image_pixels(mien_image *image);

/** Factor by which reading shrank the picture: 1, 2, 4 or 8; coordinates * scale = original px. */
MIEN_API int mien_image_scale(const mien_image *image);

/** Resize with bilinear sampling at pixel centres; area averaging when shrinking by more than 2. */
MIEN_API MIEN_MUST_USE mien_status mien_image_resize(mien_image_view src, int width, int height,
                                                     mien_image **ret_image, mien_error *err);

/** Copy a rectangle, clipped to the picture; E_ARG when nothing is left. */
MIEN_API MIEN_MUST_USE mien_status mien_image_crop(mien_image_view src, int x, int y, int width, int height,
                                                   mien_image **ret_image, mien_error *err);

/** Write as JPEG (.jpg, .jpeg; quality 1..100, 0 = 92) or PNG (.png) by the name's ending, whole or
 *  not at all. */
MIEN_API MIEN_MUST_USE mien_status mien_image_save(mien_image_view image, const char *path, int quality,
                                                   mien_error *err);

/** Encode to memory: format "jpeg" or "png"; *ret_data is freed with mien_image_data_free(). */
MIEN_API MIEN_MUST_USE mien_status mien_image_encode(mien_image_view image, const char *format, int quality,
                                                     uint8_t **ret_data, size_t *ret_size, mien_error *err);
MIEN_API void mien_image_data_free(uint8_t *data);

/** Describe the picture formats of this build and machine.
 *  @param index  0, 1, ... until NULL is returned
 *  @return static string such as "jpeg (libjpeg-turbo 2.1.5)" ; *ret_available 0 or 1 */
MIEN_API const char *mien_image_format_at(size_t index, int *ret_available);

/** Colour, 0xRRGGBB. */
typedef uint32_t mien_color;

/** Draw a rectangle outline with a dark rim, so that it is seen on any background.
 *  @param thickness  px; clipped at the borders */
MIEN_API void mien_image_draw_box(mien_image *image, float x0, float y0, float x1, float y1, float thickness,
                                  mien_color color);

/** Draw an antialiased filled dot with a dark rim. */
MIEN_API void mien_image_draw_dot(mien_image *image, float x, float y, float radius, mien_color color);

/** Draw one line of UTF-8 text on a dark translucent plate; (x, y) is the plate's lower-left corner,
 *  moved so that the plate stays inside the picture.
 *  @return MIEN_OK; E_UNSUPPORTED when built without FreeType; E_NOMEM */
MIEN_API MIEN_MUST_USE mien_status mien_image_draw_text(mien_image *image, float x, float y, float height_px,
                                                        mien_color color, const char *text, mien_error *err);

MIEN_END_DECLS

#endif
