/* Reading a picture: limits, kind by the first bytes, the table of codecs, and the way from canvas to
 * picture.
 *
 * New codecs are named in the table below. Kinds that are recognised only to be refused are in `refused`.
 */
#include "image/codec.h"
#include <string.h>

static const mien__codec *const codecs[] = {
    &mien__codec_jpeg,
    &mien__codec_png,
    &mien__codec_webp,
    &mien__codec_heif,
};

/* Kinds that mien knows by sight and does not read. */
static const struct {
    size_t at;
    uint8_t n;
    const char *magic, *kind;
} refused[] = {
    { 0, 4, "GIF8", "a GIF" },
    { 0, 2, "BM", "a BMP" },
    { 0, 4, "II*\0", "a TIFF or camera raw file" },
    { 0, 4, "MM\0*", "a TIFF or camera raw file" },
    { 0, 4, "II+\0", "a BigTIFF" },
    { 0, 4, "8BPS", "a Photoshop file" },
    { 0, 4, "\0\0\1\0", "a Windows icon" },
    { 0, 4, "qoif", "a QOI picture" },
    { 0, 2, "\xff\x0a", "a JPEG XL picture" },
    { 0, 12, "\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture" },
    { 0, 12, "\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture" },
    { 4, 8, "ftypavif", "an AVIF picture" },
    { 4, 4, "ftyp", "an MP4 or QuickTime video" },
    { 0, 4, "RIFF", "a RIFF file (video or sound)" },
    { 0, 4, "\x1a\x45\xdf\xa3", "a Matroska or WebM video" },
    { 0, 5, "%PDF-", "a PDF" },
    { 0, 4, "PK\3\4", "a ZIP archive" },
    { 0, 2, "\x1f\x8b", "a gzip file" },
    { 0, 4,
      "\x7f"
      "ELF",
      "a program" },
    { 0, 2, "P6", "a PNM picture" },
    { 0, 2, "P5", "a PNM picture" },
};

const mien__codec *mien__codec_at(size_t index)
{
    return index < MIEN_COUNTOF(codecs) ? codecs[index] : NULL;
}

const char *mien_image_format_at(size_t index, int *ret_available)
{
    const mien__codec *const codec = mien__codec_at(index);
    if (!codec)
        return NULL;
    if (ret_available)
        *ret_available = codec->decode && (!codec->confined || mien__sandbox_has(codec));
    return codec->describe();
}

/* ---- canvas ---- */

mien_status mien__check_size(const mien_image_opts *opts, uint64_t width, uint64_t height, mien_error *err)
{
    if (width == 0 || height == 0)
        return mien__fail(err, MIEN_E_IMAGE_CORRUPT, "the picture has a side of 0 px");
    if (width > (uint64_t)opts->max_side || height > (uint64_t)opts->max_side)
        return mien__fail(err, MIEN_E_LIMIT, "the picture has %llu x %llu px, the limit is %d px a side",
                          (unsigned long long)width, (unsigned long long)height, opts->max_side);
    if (width * height > opts->max_pixels)
        return mien__fail(err, MIEN_E_LIMIT, "the picture has %llu x %llu = %llu px, the limit is %llu px",
                          (unsigned long long)width, (unsigned long long)height,
                          (unsigned long long)(width * height), (unsigned long long)opts->max_pixels);
    return MIEN_OK;
}

mien_status mien__canvas_open(mien__canvas *canvas, int width, int height, mien_error *err)
{
    size_t bytes = 0;
    if (!mien_mul_ok(3 * (size_t)width, (size_t)height, &bytes))
        return mien__nomem(err, SIZE_MAX);
    if (canvas->fixed && bytes > canvas->fixed_bytes)
        return mien__fail(err, MIEN_E_LIMIT, "the picture takes %zu bytes, the limit is %zu", bytes,
                          canvas->fixed_bytes);
    canvas->pixels = canvas->fixed ? canvas->fixed : mien_alloc(bytes);
    if (!canvas->pixels)
        return mien__nomem(err, bytes);
    canvas->width = width;
    canvas->height = height;
    return MIEN_OK;
}

void mien__canvas_free(mien__canvas *canvas)
{
    if (!canvas->fixed)
        mien_free(canvas->pixels);
    canvas->pixels = NULL;
}

mien_status mien__canvas_to_image(mien__canvas *canvas, mien_image **ret, mien_error *err)
{
    const int width = canvas->orientation >= 5 ? canvas->height : canvas->width;
    const int height = canvas->orientation >= 5 ? canvas->width : canvas->height;
    mien_image *const image = mien_alloc(sizeof *image);
    if (!image)
        return mien__nomem(err, sizeof *image);
    *image = (mien_image){ width, height, canvas->scale, NULL };
    if (!canvas->fixed && canvas->orientation <= 1) {
        image->pixels = canvas->pixels;
        canvas->pixels = NULL;
    } else {
        const size_t bytes = 3 * (size_t)width * (size_t)height;
        image->pixels = mien_alloc(bytes);
        if (!image->pixels) {
            mien_free(image);
            return mien__nomem(err, bytes);
        }
        mien__orient(canvas->pixels, canvas->width, canvas->height, canvas->orientation, image->pixels);
    }
    *ret = image;
    return MIEN_OK;
}

mien_status mien__codec_run(const mien__codec *codec, const uint8_t *data, size_t size,
                            const mien_image_opts *opts, mien__canvas *canvas, mien_error *err)
{
    canvas->scale = 1;
    canvas->orientation = 1;
    return codec->decode(data, size, opts, canvas, err);
}

/* ---- kinds ---- */

static bool looks_like_text(const uint8_t *data, size_t size)
{
    const size_t n = size < 512 ? size : 512;
    for (size_t i = 0; i < n; i++) {
        if (data[i] < 0x20 && data[i] != '\t' && data[i] != '\n' && data[i] != '\r' && data[i] != '\f')
            return false;
    }
    return n > 0;
}

static mien_status find_codec(const uint8_t *data, size_t size, const mien__codec **ret, mien_error *err)
{
    if (size == 0)
        return mien__fail(err, MIEN_E_IMAGE_FORMAT, "empty: there is no picture in 0 bytes");
    for (size_t i = 0; i < MIEN_COUNTOF(codecs); i++) {
        if (!codecs[i]->is_mine(data, size))
            continue;
        if (!codecs[i]->decode)
            return mien__fail(err, MIEN_E_IMAGE_CODEC, "this build of mien cannot read %s pictures",
                              codecs[i]->name);
        *ret = codecs[i];
        return MIEN_OK;
    }
    const char *kind = NULL;
    for (size_t i = 0; i < MIEN_COUNTOF(refused) && !kind; i++) {
        if (size >= refused[i].at + refused[i].n &&
            memcmp(data + refused[i].at, refused[i].magic, refused[i].n) == 0)
            kind = refused[i].kind;
    }
    if (!kind && looks_like_text(data, size))
        kind = "text";
    if (kind)
        return mien__fail(err, MIEN_E_IMAGE_FORMAT, "%s, not a picture mien reads (JPEG, PNG, WebP, HEIC)",
                          kind);
    return mien__fail(err, MIEN_E_IMAGE_FORMAT, "not a picture mien reads (JPEG, PNG, WebP, HEIC)");
}

/* ---- public entry ---- */

static mien_status take_opts(const mien_image_opts *opts, mien_image_opts *ret, mien_error *err)
{
    *ret = (mien_image_opts)MIEN_IMAGE_OPTS_INIT;
    if (!opts)
        return MIEN_OK;
    if (opts->struct_size < sizeof opts->struct_size || opts->struct_size > sizeof *ret)
        return mien__fail(err, MIEN_E_ARG, "image options of %zu bytes; use MIEN_IMAGE_OPTS_INIT",
                          opts->struct_size);
    memcpy(ret, opts, opts->struct_size);
    if (ret->max_side <= 0 || ret->max_side > 1 << 20 || ret->max_pixels == 0 ||
        ret->max_pixels > UINT64_C(1) << 40 || ret->max_jpeg_scans <= 0 || ret->min_short_side < 0)
        return mien__fail(err, MIEN_E_ARG, "image options out of range");
    return MIEN_OK;
}

static mien_status decode_checked(const uint8_t *data, size_t size, const mien_image_opts *opts,
                                  mien_image **ret, mien_error *err)
{
    const mien__codec *codec = NULL;
    mien_status status = find_codec(data, size, &codec, err);
    if (status != MIEN_OK)
        return status;
    if (codec->confined || opts->sandbox)
        return mien__sandbox_decode(codec, data, size, opts, ret, err);
    mien__canvas canvas = { 0 };
    status = mien__codec_run(codec, data, size, opts, &canvas, err);
    if (status == MIEN_OK)
        status = mien__canvas_to_image(&canvas, ret, err);
    mien__canvas_free(&canvas);
    return status;
}

mien_status mien_image_decode(const void *data, size_t size, const mien_image_opts *opts,
                              mien_image **ret_image, mien_error *err)
{
    mien_image_opts o;
    const mien_status status = take_opts(opts, &o, err);
    if (status != MIEN_OK)
        return status;
    if (!ret_image || (!data && size > 0))
        return mien__fail(err, MIEN_E_ARG, "no picture data given");
    if (size > o.max_bytes)
        return mien__fail(err, MIEN_E_LIMIT, "the picture has %zu bytes, the limit is %zu", size,
                          o.max_bytes);
    return decode_checked(data, size, &o, ret_image, err);
}

/* Put the file's name (its end, when it is long) before what went wrong with its content. */
static void name_file(const char *path, mien_error *err)
{
    enum { NAME_MAX_BYTES = 120 };
    char text[MIEN_ERROR_MESSAGE_BYTES];
    if (!err)
        return;
    memcpy(text, err->message, sizeof text);
    text[sizeof text - 1] = '\0';
    const size_t n = strlen(path);
    const bool cut = n > NAME_MAX_BYTES;
    (void)mien__fail_at(err, err->status, err->file, err->line, "%s%s: %s", cut ? "..." : "",
                        cut ? path + n - NAME_MAX_BYTES : path, text);
}

mien_status mien_image_load(const char *path, const mien_image_opts *opts, mien_image **ret_image,
                            mien_error *err)
{
    mien_image_opts o;
    mien_status status = take_opts(opts, &o, err);
    if (status != MIEN_OK)
        return status;
    if (!path || !ret_image)
        return mien__fail(err, MIEN_E_ARG, "no picture file given");
    /* Read, not mapped: a file cut short by another process while a codec reads it must not end this one. */
    mien__file_map file = { 0 };
    status = mien__file_read(&file, path, o.max_bytes, err);
    if (status != MIEN_OK)
        return status;
    status = decode_checked(file.data, file.size, &o, ret_image, err);
    if (status != MIEN_OK)
        name_file(path, err);
    mien__file_map_close(&file);
    return status;
}
