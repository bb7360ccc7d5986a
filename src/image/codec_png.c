/* PNG through libpng: every colour type, depth and interlacing, as 8-bit RGB; alpha laid on white.
 *
 * All ancillary chunks but tRNS are dropped unread, so that a compressed text or profile cannot unfold; the
 * picture's size is checked by our limits before libpng allocates anything by it. eXIf's orientation is found
 * by a walk of our own. Gamma and profiles are ignored. libpng's memory comes from mien_alloc.
 */
#include "image/codec.h"
#include <png.h>
#include <setjmp.h>
#include <string.h>

enum { CHUNK_MALLOC_MAX_BYTES = 1 << 20 };

typedef struct state {
    png_structp png;
    png_infop info;
    png_infop end;
    const uint8_t *data; /* decoding: what is left */
    size_t size;
    mien__buf *out; /* encoding */
    mien_status status;
    mien_error *err;
    uint8_t *rgba; /* one row, or the whole picture when it is interlaced */
    bool memory_short;
} state;

static void on_error(png_structp png, png_const_charp text)
{
    state *const s = png_get_error_ptr(png);
    if (s->status == MIEN_OK)
        s->status = s->memory_short ? mien__fail(s->err, MIEN_E_NOMEM, "out of memory in a PNG")
                                    : mien__fail(s->err, MIEN_E_IMAGE_CORRUPT, "damaged PNG: %s",
                                                 text ? text : "unknown error");
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png, (void)text; /* libpng's warnings concern what we drop */
}

static png_voidp on_alloc(png_structp png, png_alloc_size_t bytes)
{
    state *const s = png_get_mem_ptr(png);
    void *const ptr = mien_alloc(bytes);
    if (!ptr)
        s->memory_short = true;
    return ptr;
}

static void on_free(png_structp png, png_voidp ptr)
{
    (void)png;
    mien_free(ptr);
}

/* ---- decoding ---- */

static void on_read(png_structp png, png_bytep dst, size_t n)
{
    state *const s = png_get_io_ptr(png);
    if (n > s->size)
        png_error(png, "the file ends early");
    memcpy(dst, s->data, n);
    s->data += n;
    s->size -= n;
}

static uint32_t read_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int find_orientation(const uint8_t *data, size_t size)
{
    for (size_t at = 8; size - at >= 12;) {
        const size_t length = read_be32(data + at);
        if (length > size - at - 12)
            return 1;
        if (memcmp(data + at + 4, "eXIf", 4) == 0)
            return mien__exif_orientation(data + at + 8, length);
        at += 12 + length;
    }
    return 1;
}

void mien__flatten_row(const uint8_t *rgba, size_t n, uint8_t *dst)
{
    for (size_t i = 0; i < n; i++, rgba += 4, dst += 3) {
        const unsigned a = rgba[3], white = 255 * (255 - a) + 127;
        for (int c = 0; c < 3; c++)
            dst[c] = (uint8_t)((rgba[c] * a + white) / 255);
    }
}

/* Read the header, check it, ask for 8-bit RGB or RGBA and open the canvas. */
static mien_status begin(state *s, const mien_image_opts *opts, mien__canvas *canvas, bool *ret_alpha,
                         int *ret_passes)
{
    png_set_user_limits(s->png, 0x7fffffff, 0x7fffffff); /* ours are checked below and say more */
    png_set_chunk_malloc_max(s->png, CHUNK_MALLOC_MAX_BYTES);
    png_set_keep_unknown_chunks(s->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_read_fn(s->png, s, on_read);
    png_read_info(s->png, s->info);
    const png_uint_32 width = png_get_image_width(s->png, s->info);
    const png_uint_32 height = png_get_image_height(s->png, s->info);
    const mien_status status = mien__check_size(opts, width, height, s->err);
    if (status != MIEN_OK)
        return status;
    const int type = png_get_color_type(s->png, s->info);
    const bool alpha =
        (type & PNG_COLOR_MASK_ALPHA) != 0 || png_get_valid(s->png, s->info, PNG_INFO_tRNS) != 0;
    png_set_expand(s->png);
    png_set_scale_16(s->png);
    if (!(type & PNG_COLOR_MASK_COLOR))
        png_set_gray_to_rgb(s->png);
    *ret_passes = png_set_interlace_handling(s->png);
    png_read_update_info(s->png, s->info);
    if (png_get_rowbytes(s->png, s->info) != (size_t)width * (alpha ? 4 : 3))
        return mien__fail(s->err, MIEN_E_IMAGE_CORRUPT, "damaged PNG: rows of an unexpected size");
    if (alpha) {
        size_t bytes = 0;
        if (mien_mul_ok((size_t)width * 4, *ret_passes > 1 ? height : 1, &bytes))
            s->rgba = mien_alloc(bytes);
        if (!s->rgba)
            return mien__nomem(s->err, bytes);
    }
    *ret_alpha = alpha;
    return mien__canvas_open(canvas, (int)width, (int)height, s->err);
}

static mien_status decode_guarded(state *s, const mien_image_opts *opts, mien__canvas *canvas)
{
    if (setjmp(png_jmpbuf(s->png)))
        return s->status;
    bool alpha = false;
    int passes = 1;
    const mien_status status = begin(s, opts, canvas, &alpha, &passes);
    if (status != MIEN_OK)
        return status;
    const size_t n = (size_t)canvas->width;
    for (int pass = 0; pass < passes; pass++) {
        for (int y = 0; y < canvas->height; y++) {
            uint8_t *const dst = canvas->pixels + (size_t)y * 3 * n;
            uint8_t *const row = !alpha ? dst : s->rgba + (passes > 1 ? (size_t)y * 4 * n : 0);
            png_read_row(s->png, row, NULL);
            if (alpha && pass == passes - 1)
                mien__flatten_row(row, n, dst);
        }
    }
    png_read_end(s->png, s->end);
    return MIEN_OK;
}

static mien_status decode(const uint8_t *data, size_t size, const mien_image_opts *opts, mien__canvas *canvas,
                          mien_error *err)
{
    state s = { .data = data, .size = size, .err = err };
    mien_status status = MIEN_OK;
    canvas->orientation = find_orientation(data, size);
    s.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &s, on_error, on_warning, &s, on_alloc, on_free);
    if (s.png)
        s.info = png_create_info_struct(s.png);
    if (s.info)
        s.end = png_create_info_struct(s.png);
    if (!s.end)
        status = mien__fail(err, MIEN_E_NOMEM, "out of memory opening a PNG");
    else
        status = decode_guarded(&s, opts, canvas);
    if (s.png)
        png_destroy_read_struct(&s.png, &s.info, &s.end);
    mien_free(s.rgba);
    return status;
}

/* ---- encoding ---- */

static void on_write(png_structp png, png_bytep src, size_t n)
{
    state *const s = png_get_io_ptr(png);
    s->status = mien__buf_append(s->out, src, n, s->err);
    if (s->status != MIEN_OK)
        png_error(png, "cannot write");
}

static void on_flush(png_structp png)
{
    (void)png;
}

static mien_status encode_guarded(state *s, mien_image_view image)
{
    if (setjmp(png_jmpbuf(s->png)))
        return s->status;
    png_set_write_fn(s->png, s, on_write, on_flush);
    png_set_IHDR(s->png, s->info, (png_uint_32)image.width, (png_uint_32)image.height, 8, PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_compression_level(s->png, 2); /* a quarter of level 6's time for a tenth more bytes */
    png_set_filter(s->png, 0, PNG_FILTER_SUB | PNG_FILTER_UP | PNG_FILTER_PAETH);
    png_write_info(s->png, s->info);
    for (int y = 0; y < image.height; y++)
        png_write_row(s->png, image.data + (size_t)y * image.stride_bytes);
    png_write_end(s->png, s->info);
    return MIEN_OK;
}

mien_status mien__png_encode(mien_image_view image, mien__buf *ret, mien_error *err)
{
    state s = { .out = ret, .err = err };
    mien_status status = MIEN_OK;
    s.png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, &s, on_error, on_warning, &s, on_alloc, on_free);
    if (s.png)
        s.info = png_create_info_struct(s.png);
    if (!s.info)
        status = mien__fail(err, MIEN_E_NOMEM, "out of memory opening a PNG");
    else
        status = encode_guarded(&s, image);
    if (s.png)
        png_destroy_write_struct(&s.png, &s.info);
    return status;
}

/* ---- table entry ---- */

static bool is_mine(const uint8_t *data, size_t size)
{
    return size >= 8 && png_sig_cmp(data, 0, 8) == 0;
}

static const char *describe(void)
{
    return "png (libpng " PNG_LIBPNG_VER_STRING ")";
}

const mien__codec mien__codec_png = { "png", false, is_mine, decode, NULL, describe };
