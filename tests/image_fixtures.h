/* Pictures made in the test itself: encoders over libjpeg, libpng and libwebp, EXIF blocks, chunk surgery,
 * and an allocator that counts and fails.
 */
#ifndef MIEN_TESTS_IMAGE_FIXTURES_H
#define MIEN_TESTS_IMAGE_FIXTURES_H

#include "base/base.h"
#include <mien/image.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>
#include <jpeglib.h>
#include <png.h>

typedef struct blob {
    uint8_t *data;
    size_t size, capacity;
} blob;

static inline void blob_put(blob *b, const void *data, size_t n)
{
    if (b->size + n > b->capacity) {
        b->capacity = (b->size + n) * 2 + 256;
        b->data = realloc(b->data, b->capacity);
        assert_non_null(b->data);
    }
    if (n > 0)
        memcpy(b->data + b->size, data, n);
    b->size += n;
}

static inline void blob_put_be(blob *b, uint32_t v, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--)
        blob_put(b, &(uint8_t){ (uint8_t)(v >> (8 * i)) }, 1);
}

static inline void blob_put_le(blob *b, uint32_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        blob_put(b, &(uint8_t){ (uint8_t)(v >> (8 * i)) }, 1);
}

/* Put bytes in at a place. */
static inline void blob_insert(blob *b, size_t at, const void *data, size_t n)
{
    blob_put(b, data, n);
    memmove(b->data + at + n, b->data + at, b->size - n - at);
    memcpy(b->data + at, data, n);
}

static inline void blob_free(blob *b)
{
    free(b->data);
    *b = (blob){ 0 };
}

/* A smooth picture whose corners differ, so that every turn and mirror is seen. */
static inline void scene_pixel(int width, int height, int x, int y, uint8_t rgb[3])
{
    rgb[0] = (uint8_t)(20 + 200 * x / (width > 1 ? width - 1 : 1));
    rgb[1] = (uint8_t)(30 + 190 * y / (height > 1 ? height - 1 : 1));
    rgb[2] = (uint8_t)(x * 2 < width ? 60 : 150);
}

static inline uint8_t *scene(int width, int height)
{
    uint8_t *const p = malloc(3 * (size_t)width * (size_t)height);
    assert_non_null(p);
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++)
            scene_pixel(width, height, x, y, p + 3 * ((size_t)y * (size_t)width + (size_t)x));
    }
    return p;
}

/* ---- EXIF ---- */

/* A TIFF structure with some other entries around the orientation. */
static inline blob exif_make(bool big, unsigned orientation)
{
    blob b = { 0 };
    void (*const put)(blob *, uint32_t, int) = big ? blob_put_be : blob_put_le;
    blob_put(&b, big ? "MM" : "II", 2);
    put(&b, 42, 2);
    put(&b, 8, 4);
    put(&b, 3, 2);
    static const uint16_t tags[3] = { 0x0100, 0x0112, 0x0128 };
    for (int i = 0; i < 3; i++) {
        put(&b, tags[i], 2);
        put(&b, 3, 2);
        put(&b, 1, 4);
        put(&b, i == 1 ? orientation : 2, 2);
        put(&b, 0, 2);
    }
    put(&b, 0, 4);
    return b;
}

/* ---- JPEG ---- */

typedef struct jpeg_spec {
    int width, height;
    int components; /* 1 grey, 3 colour, 4 CMYK */
    bool ycck;      /* 4: YCCK, always with Adobe's marker */
    bool no_adobe;  /* 4: plain CMYK without the marker */
    bool progressive;
    int quality; /* 0: 100 */
} jpeg_spec;

/* Encode rows of `components` bytes a pixel. */
static inline blob jpeg_make(const jpeg_spec *spec, const uint8_t *pixels)
{
    struct jpeg_compress_struct info;
    struct jpeg_error_mgr errors;
    unsigned char *out = NULL;
    unsigned long size = 0;
    info.err = jpeg_std_error(&errors);
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, &out, &size);
    info.image_width = (JDIMENSION)spec->width;
    info.image_height = (JDIMENSION)spec->height;
    info.input_components = spec->components;
    info.in_color_space =
        spec->components == 1 ? JCS_GRAYSCALE : (spec->components == 3 ? JCS_RGB : JCS_CMYK);
    jpeg_set_defaults(&info);
    if (spec->components == 4) {
        jpeg_set_colorspace(&info, spec->ycck ? JCS_YCCK : JCS_CMYK);
        if (spec->no_adobe)
            info.write_Adobe_marker = FALSE;
    }
    jpeg_set_quality(&info, spec->quality ? spec->quality : 100, TRUE);
    for (int i = 0; i < info.num_components; i++)
        info.comp_info[i].h_samp_factor = info.comp_info[i].v_samp_factor = 1;
    if (spec->progressive)
        jpeg_simple_progression(&info);
    jpeg_start_compress(&info, TRUE);
    while (info.next_scanline < info.image_height) {
        JSAMPROW row = (JSAMPROW)(uintptr_t)(pixels + (size_t)info.next_scanline * (size_t)spec->width *
                                                          (size_t)spec->components);
        jpeg_write_scanlines(&info, &row, 1);
    }
    jpeg_finish_compress(&info);
    jpeg_destroy_compress(&info);
    blob b = { 0 };
    blob_put(&b, out, size);
    free(out);
    return b;
}

static inline blob jpeg_scene(int width, int height, bool progressive)
{
    uint8_t *const px = scene(width, height);
    const blob b = jpeg_make(
        &(jpeg_spec){ .width = width, .height = height, .components = 3, .progressive = progressive }, px);
    free(px);
    return b;
}

/* Find a marker's 0xff by walking from the start; the caller knows that it is there. */
static inline size_t jpeg_find(const blob *b, uint8_t marker)
{
    for (size_t at = 2; at + 4 <= b->size; at += 2 + ((size_t)b->data[at + 2] << 8 | b->data[at + 3])) {
        if (b->data[at + 1] == marker)
            return at;
    }
    fail_msg("marker %02x not found", marker);
    return 0;
}

static inline void jpeg_add_exif(blob *b, const blob *tiff)
{
    blob seg = { 0 };
    blob_put(&seg, "\xff\xe1", 2);
    blob_put_be(&seg, (uint32_t)(2 + 6 + tiff->size), 2);
    blob_put(&seg, "Exif\0\0", 6);
    blob_put(&seg, tiff->data, tiff->size);
    blob_insert(b, 2, seg.data, seg.size);
    blob_free(&seg);
}

/* ---- PNG ---- */

typedef struct png_spec {
    int width, height;
    int type, depth; /* PNG_COLOR_TYPE_* */
    bool interlaced;
    bool trns;
    size_t text_bytes; /* a zTXt chunk that unfolds to so much */
} png_spec;

static inline void png_to_blob(png_structp png, png_bytep data, size_t n)
{
    blob_put(png_get_io_ptr(png), data, n);
}

static inline void png_no_flush(png_structp png)
{
    (void)png;
}

static inline size_t png_row_bytes(const png_spec *s)
{
    const int channels = s->type == PNG_COLOR_TYPE_RGB          ? 3
                         : s->type == PNG_COLOR_TYPE_RGB_ALPHA  ? 4
                         : s->type == PNG_COLOR_TYPE_GRAY_ALPHA ? 2
                                                                : 1;
    return ((size_t)s->width * (size_t)channels * (size_t)s->depth + 7) / 8;
}

/* A palette entry of the test's palette. */
static inline png_color palette_at(int i)
{
    return (png_color){ (png_byte)(i * 37), (png_byte)(255 - i * 11), (png_byte)(i * 91 + 5) };
}

static inline png_byte palette_alpha_at(int i)
{
    return (png_byte)(i * 50);
}

/* `rows`: packed PNG samples. tRNS: grey and RGB: the first pixel's value is transparent; palette: 5 alphas.
 */
static inline blob png_make(const png_spec *s, const uint8_t *rows, const png_color_16 *key)
{
    blob b = { 0 };
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    assert_non_null(info);
    if (setjmp(png_jmpbuf(png)))
        fail_msg("libpng refused to write");
    png_set_write_fn(png, &b, png_to_blob, png_no_flush);
    png_set_IHDR(png, info, (png_uint_32)s->width, (png_uint_32)s->height, s->depth, s->type,
                 s->interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, 0, 0);
    if (s->type == PNG_COLOR_TYPE_PALETTE) {
        png_color colors[256];
        png_byte alphas[256];
        const int n = 1 << s->depth;
        for (int i = 0; i < n; i++) {
            colors[i] = palette_at(i);
            alphas[i] = palette_alpha_at(i);
        }
        png_set_PLTE(png, info, colors, n);
        if (s->trns)
            png_set_tRNS(png, info, alphas, n < 5 ? n : 5, NULL);
    } else if (s->trns) {
        png_set_tRNS(png, info, NULL, 0, key);
    }
    char *text = NULL;
    if (s->text_bytes > 0) {
        text = malloc(s->text_bytes + 1);
        assert_non_null(text);
        memset(text, 'A', s->text_bytes);
        text[s->text_bytes] = '\0';
        png_text t = { .compression = PNG_TEXT_COMPRESSION_zTXt,
                       .key = (char *)(uintptr_t) "Comment",
                       .text = text,
                       .text_length = s->text_bytes };
        png_set_text(png, info, &t, 1);
    }
    png_write_info(png, info);
    const int passes = png_set_interlace_handling(png);
    const size_t n = png_row_bytes(s);
    for (int pass = 0; pass < passes; pass++) {
        for (int y = 0; y < s->height; y++)
            png_write_row(png, rows + n * (size_t)y);
    }
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    free(text);
    return b;
}

static inline blob png_scene(int width, int height)
{
    uint8_t *const px = scene(width, height);
    const blob b = png_make(
        &(png_spec){ .width = width, .height = height, .type = PNG_COLOR_TYPE_RGB, .depth = 8 }, px, NULL);
    free(px);
    return b;
}

static inline uint32_t png_crc(const uint8_t *p, size_t n)
{
    uint32_t c = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        c ^= p[i];
        for (int k = 0; k < 8; k++)
            c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
    }
    return ~c;
}

static inline void png_add_chunk(blob *b, size_t at, const char *type, const void *data, size_t n)
{
    blob c = { 0 };
    blob_put_be(&c, (uint32_t)n, 4);
    blob_put(&c, type, 4);
    blob_put(&c, data, n);
    blob_put_be(&c, png_crc(c.data + 4, n + 4), 4);
    blob_insert(b, at, c.data, c.size);
    blob_free(&c);
}

enum { PNG_AFTER_IHDR = 33 };

/* Make a PNG's header claim another size. */
static inline void png_claim(blob *b, uint32_t width, uint32_t height)
{
    blob c = { 0 };
    blob_put_be(&c, width, 4);
    blob_put_be(&c, height, 4);
    memcpy(b->data + 16, c.data, 8);
    c.size = 0;
    blob_put_be(&c, png_crc(b->data + 12, 17), 4);
    memcpy(b->data + 29, c.data, 4);
    blob_free(&c);
}

/* Make a JPEG's header claim another size; `sof` is 0xc0 or 0xc2. */
static inline void jpeg_claim(blob *b, uint8_t sof, unsigned width, unsigned height)
{
    uint8_t *const p = b->data + jpeg_find(b, sof) + 5;
    p[0] = (uint8_t)(height >> 8);
    p[1] = (uint8_t)height;
    p[2] = (uint8_t)(width >> 8);
    p[3] = (uint8_t)width;
}

/* ---- an allocator that counts, and fails on demand ---- */

typedef struct meter {
    size_t live, bytes, peak_bytes, calls;
    size_t fail_at; /* the call that fails, from 1; 0 none */
} meter;

static inline void *meter_alloc(size_t bytes, size_t align, void *user)
{
    meter *const m = user;
    void *raw = NULL;
    if (++m->calls == m->fail_at || posix_memalign(&raw, align, bytes + align) != 0)
        return NULL;
    memcpy(raw, &bytes, sizeof bytes);
    m->live++;
    m->bytes += bytes;
    m->peak_bytes = m->bytes > m->peak_bytes ? m->bytes : m->peak_bytes;
    return (uint8_t *)raw + align;
}

static inline void meter_free(void *ptr, void *user)
{
    meter *const m = user;
    uint8_t *const raw = (uint8_t *)ptr - 64;
    size_t bytes = 0;
    memcpy(&bytes, raw, sizeof bytes);
    m->live--;
    m->bytes -= bytes;
    free(raw);
}

static inline void meter_start(meter *m, size_t fail_at)
{
    *m = (meter){ .fail_at = fail_at };
    const mien_allocator a = { meter_alloc, meter_free, m };
    mien_set_allocator(&a);
}

static inline void meter_stop(void)
{
    mien_set_allocator(NULL);
}

/* ---- checks ---- */

/* Decode and expect a status; on success the picture is returned. */
static inline mien_image *decode_expect(const blob *b, const mien_image_opts *opts, mien_status want)
{
    mien_image *image = NULL;
    mien_error err = MIEN_ERROR_INIT;
    const mien_status got = mien_image_decode(b->data, b->size, opts, &image, &err);
    if (got != want)
        fail_msg("%s (%s), want %s", mien_status_name(got), got ? err.message : "", mien_status_name(want));
    if (got != MIEN_OK) {
        assert_null(image);
        assert_int_equal(err.status, got);
        assert_true(strlen(err.message) > 0);
    }
    return image;
}

/* Expect the scene, each value within `bound`. */
static inline void expect_scene(const mien_image *image, int width, int height, int bound)
{
    const mien_image_view v = mien_image_view_of(image);
    assert_int_equal(v.width, width);
    assert_int_equal(v.height, height);
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            uint8_t want[3];
            scene_pixel(width, height, x, y, want);
            const uint8_t *const got = v.data + (size_t)y * v.stride_bytes + 3 * (size_t)x;
            for (int c = 0; c < 3; c++) {
                if (abs(got[c] - want[c]) > bound)
                    fail_msg("pixel %d,%d channel %d is %d, want %d", x, y, c, got[c], want[c]);
            }
        }
    }
}

#endif
