/* JPEG through libjpeg-turbo's jpeglib interface. libjpeg reports errors by a callback that must not return,
 * so that setjmp is needed; it stays within this file (and codec_png.c, for the same reason).
 *
 * Before libjpeg sees the data, a walk over the markers counts the scans (a small progressive file may hold
 * thousands, each costing a pass over the picture: refused by the limit) and finds the EXIF block. libjpeg's
 * own count is watched as well, in case the two disagree about damaged data. Reading is strict: a file that
 * ends early or whose entropy-coded data is damaged is E_IMAGE_CORRUPT, since half a face is no evidence.
 *
 * CMYK: Adobe's files hold inverted values (255 = no ink), others plain ones; R = (255 - C)(255 - K) / 255.
 * Colour profiles are ignored.
 */
#include "image/codec.h"
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <jpeglib.h>
#include <jerror.h>

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

/* ---- errors ---- */

typedef struct failure {
    struct jpeg_error_mgr mgr; /* first: libjpeg hands back a pointer to it */
    jmp_buf jump;
    mien_status status;
    char text[JMSG_LENGTH_MAX];
    int max_scans; /* 0: not watched */
} failure;

static void on_error(j_common_ptr info)
{
    failure *const f = (failure *)info->err;
    if (f->status == MIEN_OK)
        f->status = info->err->msg_code == JERR_OUT_OF_MEMORY ? MIEN_E_NOMEM : MIEN_E_IMAGE_CORRUPT;
    info->err->format_message(info, f->text);
    longjmp(f->jump, 1);
}

/* Warnings that mean that pixels are missing or made up count as errors; the others are harmless. */
static void on_message(j_common_ptr info, int level)
{
    if (level >= 0)
        return;
    switch (info->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
        on_error(info);
        break;
    default:
        info->err->num_warnings++;
    }
}

static void on_output(j_common_ptr info)
{
    (void)info; /* the library never prints */
}

static void on_progress(j_common_ptr info)
{
    failure *const f = (failure *)info->err;
    if (!info->is_decompressor || f->max_scans <= 0)
        return;
    if (((j_decompress_ptr)info)->input_scan_number > f->max_scans) {
        f->status = MIEN_E_LIMIT;
        on_error(info);
    }
}

static void failure_init(failure *f, int max_scans)
{
    memset(f, 0, sizeof *f);
    jpeg_std_error(&f->mgr);
    f->mgr.error_exit = on_error;
    f->mgr.emit_message = on_message;
    f->mgr.output_message = on_output;
    f->max_scans = max_scans;
}

static mien_status failure_report(const failure *f, const char *what, mien_error *err)
{
    if (f->status == MIEN_E_LIMIT)
        return mien__fail(err, f->status, "JPEG has more scans than the limit of %d", f->max_scans);
    return mien__fail(err, f->status == MIEN_OK ? MIEN_E_IMAGE_CORRUPT : f->status, "%s: %s", what, f->text);
}

/* ---- the walk ---- */

typedef struct walk {
    int scans;
    int orientation;
} walk;

/* Return the position of the marker that ends the entropy-coded data beginning at `at`. */
static size_t skip_entropy(const uint8_t *data, size_t size, size_t at)
{
    while (at + 1 < size) {
        const uint8_t *const ff = memchr(data + at, 0xff, size - 1 - at);
        if (!ff)
            return size;
        at = (size_t)(ff - data);
        const uint8_t next = data[at + 1];
        if (next != 0x00 && next != 0xff && !(next >= 0xd0 && next <= 0xd7))
            return at;
        at += next == 0xff ? 1 : 2;
    }
    return size;
}

static void walk_markers(const uint8_t *data, size_t size, int max_scans, walk *ret)
{
    static const uint8_t exif[6] = "Exif\0";
    *ret = (walk){ 0, 1 };
    bool seen_exif = false;
    size_t at = 2;
    while (at + 4 <= size) {
        if (data[at] != 0xff || data[at + 1] == 0xff || data[at + 1] == 0x00) {
            at++; /* fill bytes, or rubbish between segments, which libjpeg skips too */
            continue;
        }
        const uint8_t marker = data[at + 1];
        at += 2;
        if (marker == 0xd9)
            return;
        if (marker == 0x01 || (marker >= 0xd0 && marker <= 0xd8))
            continue;
        const size_t length = (size_t)data[at] << 8 | data[at + 1];
        if (length < 2 || length > size - at)
            return;
        if (marker == 0xe1 && !seen_exif && length >= 8 && memcmp(data + at + 2, exif, 6) == 0) {
            ret->orientation = mien__exif_orientation(data + at + 8, length - 8);
            seen_exif = true;
        }
        at += length;
        if (marker != 0xda)
            continue;
        if (++ret->scans > max_scans)
            return;
        at = skip_entropy(data, size, at);
    }
}

/* ---- decoding ---- */

typedef struct decoder {
    struct jpeg_decompress_struct info;
    struct jpeg_progress_mgr progress;
    failure fail;
    uint8_t *row; /* one row of C M Y K; NULL when libjpeg gives R G B */
} decoder;

static void cmyk_row(const uint8_t *src, size_t n, bool inverted, uint8_t *dst)
{
    const uint8_t flip = inverted ? 0 : 255;
    for (size_t i = 0; i < n; i++, src += 4, dst += 3) {
        const unsigned k = src[3] ^ flip;
        for (int c = 0; c < 3; c++)
            dst[c] = (uint8_t)(((src[c] ^ flip) * k + 127) / 255);
    }
}

/* The largest of 1, 2, 4, 8 that leaves the shorter side at least min_side px. */
static unsigned choose_scale(unsigned width, unsigned height, int min_side)
{
    const unsigned shorter = width < height ? width : height;
    unsigned scale = 1;
    while (min_side > 0 && scale < 8 && (shorter + 2 * scale - 1) / (2 * scale) >= (unsigned)min_side)
        scale *= 2;
    return scale;
}

static mien_status begin(decoder *d, const mien_image_opts *opts, mien__canvas *canvas, mien_error *err)
{
    struct jpeg_decompress_struct *const info = &d->info;
    jpeg_read_header(info, TRUE);
    mien_status status = mien__check_size(opts, info->image_width, info->image_height, err);
    if (status != MIEN_OK)
        return status;
    /* Coefficients of a progressive picture: 2 bytes for each of at most 4 components, and room to spare. */
    info->mem->max_memory_to_use = (long)(opts->max_pixels < 1u << 26 ? 1u << 30 : opts->max_pixels * 16);
    info->scale_num = 1;
    info->scale_denom = choose_scale(info->image_width, info->image_height, opts->min_short_side);
    const bool cmyk = info->jpeg_color_space == JCS_CMYK || info->jpeg_color_space == JCS_YCCK;
    info->out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(info);
    canvas->scale = (int)info->scale_denom;
    if (cmyk) {
        d->row = mien_alloc_array(info->output_width, 4);
        if (!d->row)
            return mien__nomem(err, 4 * (size_t)info->output_width);
    }
    return mien__canvas_open(canvas, (int)info->output_width, (int)info->output_height, err);
}

/* Everything that may jump; `d` and `canvas` belong to the caller and so survive the jump. */
static mien_status decode_guarded(decoder *d, const uint8_t *data, size_t size, const mien_image_opts *opts,
                                  mien__canvas *canvas, mien_error *err)
{
    if (setjmp(d->fail.jump))
        return failure_report(&d->fail, "damaged JPEG", err);
    jpeg_create_decompress(&d->info);
    d->info.progress = &d->progress;
    jpeg_mem_src(&d->info, data, (unsigned long)size);
    const mien_status status = begin(d, opts, canvas, err);
    if (status != MIEN_OK)
        return status;
    const size_t n = (size_t)canvas->width;
    while (d->info.output_scanline < d->info.output_height) {
        uint8_t *const dst = canvas->pixels + (size_t)d->info.output_scanline * 3 * n;
        JSAMPROW row = d->row ? d->row : dst;
        jpeg_read_scanlines(&d->info, &row, 1);
        if (d->row)
            cmyk_row(d->row, n, d->info.saw_Adobe_marker, dst);
    }
    jpeg_finish_decompress(&d->info);
    return MIEN_OK;
}

static mien_status decode(const uint8_t *data, size_t size, const mien_image_opts *opts, mien__canvas *canvas,
                          mien_error *err)
{
    walk seen;
    walk_markers(data, size, opts->max_jpeg_scans, &seen);
    if (seen.scans > opts->max_jpeg_scans)
        return mien__fail(err, MIEN_E_LIMIT, "JPEG has more scans than the limit of %d",
                          opts->max_jpeg_scans);
    decoder *const d = mien_alloc_zero(sizeof *d);
    if (!d)
        return mien__nomem(err, sizeof *d);
    failure_init(&d->fail, opts->max_jpeg_scans);
    d->info.err = &d->fail.mgr;
    d->progress.progress_monitor = on_progress;
    canvas->orientation = seen.orientation;
    const mien_status status = decode_guarded(d, data, size, opts, canvas, err);
    jpeg_destroy_decompress(&d->info);
    mien_free(d->row);
    mien_free(d);
    return status;
}

/* ---- encoding ---- */

typedef struct encoder {
    struct jpeg_compress_struct info;
    struct jpeg_destination_mgr dst;
    failure fail;
    mien__buf *out;
    mien_error *err;
    uint8_t block[16384];
} encoder;

static void flush_block(j_compress_ptr info, size_t n)
{
    encoder *const e = info->client_data;
    e->fail.status = mien__buf_append(e->out, e->block, n, e->err);
    if (e->fail.status != MIEN_OK)
        longjmp(e->fail.jump, 1);
    e->dst.next_output_byte = e->block;
    e->dst.free_in_buffer = sizeof e->block;
}

static void dst_init(j_compress_ptr info)
{
    encoder *const e = info->client_data;
    e->dst.next_output_byte = e->block;
    e->dst.free_in_buffer = sizeof e->block;
}

static boolean dst_full(j_compress_ptr info)
{
    encoder *const e = info->client_data;
    flush_block(info, sizeof e->block); /* libjpeg: the whole block is full, whatever free_in_buffer says */
    return TRUE;
}

static void dst_end(j_compress_ptr info)
{
    encoder *const e = info->client_data;
    flush_block(info, sizeof e->block - e->dst.free_in_buffer);
}

static mien_status encode_guarded(encoder *e, mien_image_view image, int quality, mien_error *err)
{
    if (setjmp(e->fail.jump)) {
        if (e->fail.text[0] == '\0')
            return e->fail.status; /* the buffer has reported it */
        return failure_report(&e->fail, "cannot encode JPEG", err);
    }
    struct jpeg_compress_struct *const info = &e->info;
    jpeg_create_compress(info);
    info->client_data = e;
    e->dst.init_destination = dst_init;
    e->dst.empty_output_buffer = dst_full;
    e->dst.term_destination = dst_end;
    info->dest = &e->dst;
    info->image_width = (JDIMENSION)image.width;
    info->image_height = (JDIMENSION)image.height;
    info->input_components = 3;
    info->in_color_space = JCS_RGB;
    jpeg_set_defaults(info);
    jpeg_set_quality(info, quality, TRUE);
    if (quality >= 90) /* full colour resolution, so that drawn lines stay crisp */
        info->comp_info[0].h_samp_factor = info->comp_info[0].v_samp_factor = 1;
    jpeg_start_compress(info, TRUE);
    while (info->next_scanline < info->image_height) {
        JSAMPROW row = (JSAMPROW)(uintptr_t)(image.data + (size_t)info->next_scanline * image.stride_bytes);
        jpeg_write_scanlines(info, &row, 1);
    }
    jpeg_finish_compress(info);
    return MIEN_OK;
}

mien_status mien__jpeg_encode(mien_image_view image, int quality, mien__buf *ret, mien_error *err)
{
    encoder *const e = mien_alloc_zero(sizeof *e);
    if (!e)
        return mien__nomem(err, sizeof *e);
    failure_init(&e->fail, 0);
    e->info.err = &e->fail.mgr;
    e->out = ret;
    e->err = err;
    const mien_status status = encode_guarded(e, image, quality, err);
    jpeg_destroy_compress(&e->info);
    mien_free(e);
    return status;
}

/* ---- table entry ---- */

static bool is_mine(const uint8_t *data, size_t size)
{
    return size >= 3 && data[0] == 0xff && data[1] == 0xd8 && data[2] == 0xff;
}

static const char *describe(void)
{
#if defined(LIBJPEG_TURBO_VERSION)
    return "jpeg (libjpeg-turbo " TEXT(LIBJPEG_TURBO_VERSION) ")";
#else
    return "jpeg (libjpeg " TEXT(JPEG_LIB_VERSION) ")";
#endif
}

const mien__codec mien__codec_jpeg = { "jpeg", false, is_mine, decode, NULL, describe };
