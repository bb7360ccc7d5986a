/* Drawing a line of text through FreeType, on a dark translucent plate.
 *
 * The typeface is the one inside the library. The line is measured first and set smaller when it is wider
 * than the picture; then the plate is laid and the glyphs over it, positioned to 1/64 px with the face's
 * kerning. What the typeface lacks shows as its box. Text that is not valid UTF-8 shows U+FFFD for each bad
 * byte. FreeType's memory comes from mien_alloc; a library object is made per call, since FreeType's may not
 * be shared between threads.
 */
#include "image/codec.h"
#include "image/draw.h"
#include <math.h>
#include <string.h>

#if defined(MIEN_HAVE_FREETYPE)
#include <ft2build.h>
#include FT_FREETYPE_H
#include FT_MODULE_H
#include FT_OUTLINE_H

enum { HEIGHT_MIN_PX = 7, HEIGHT_MAX_PX = 2000, TEXT_MAX_BYTES = 1024 };

/* ---- UTF-8 (RFC 3629) ---- */

static uint32_t next_char(const char **text)
{
    static const uint32_t least[4] = { 0, 0x80, 0x800, 0x10000 };
    const uint8_t *const p = (const uint8_t *)*text;
    const int more = p[0] < 0x80 ? 0 : (p[0] >= 0xf0 ? 3 : (p[0] >= 0xe0 ? 2 : 1));
    uint32_t c = more == 0 ? p[0] : p[0] & (0x3fu >> more);
    bool good = p[0] < 0x80 || (p[0] >= 0xc2 && p[0] <= 0xf4);
    for (int i = 1; good && i <= more; i++) {
        good = (p[i] & 0xc0) == 0x80; /* false at the terminating zero, too */
        c = c << 6 | (p[i] & 0x3fu);
    }
    good = good && c >= least[more] && c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff);
    *text += good ? more + 1 : 1;
    if (!good)
        return 0xfffd;
    return c < 0x20 || c == 0x7f ? ' ' : c;
}

/* ---- FreeType ---- */

static void *ft_alloc(FT_Memory memory, long bytes)
{
    (void)memory;
    return bytes > 0 ? mien_alloc((size_t)bytes) : NULL;
}

static void ft_free(FT_Memory memory, void *ptr)
{
    (void)memory;
    mien_free(ptr);
}

static void *ft_realloc(FT_Memory memory, long old_bytes, long new_bytes, void *old)
{
    void *const ptr = ft_alloc(memory, new_bytes);
    if (ptr && old) {
        memcpy(ptr, old, (size_t)(old_bytes < new_bytes ? old_bytes : new_bytes));
        mien_free(old);
    }
    return ptr;
}

typedef struct pen {
    FT_Face face;
    FT_UInt last;
    double x; /* px from the line's start */
} pen;

/* Load the glyph of `c` after what the pen has written: pen.x is moved by kerning; false when memory is
 * short. */
static bool pen_load(pen *p, uint32_t c)
{
    const FT_UInt glyph = FT_Get_Char_Index(p->face, c);
    FT_Vector kern = { 0, 0 };
    if (p->last && glyph && FT_Get_Kerning(p->face, p->last, glyph, FT_KERNING_UNFITTED, &kern) == 0)
        p->x += (double)kern.x / 64;
    p->last = glyph;
    return FT_Load_Glyph(p->face, glyph, FT_LOAD_TARGET_LIGHT | FT_LOAD_NO_BITMAP) == 0;
}

static void pen_advance(pen *p)
{
    p->x += (double)p->face->glyph->linearHoriAdvance / 65536;
}

static bool measure(FT_Face face, const char *text, double *ret_width)
{
    pen p = { face, 0, 0 };
    for (const char *t = text; *t && t - text < TEXT_MAX_BYTES;) {
        if (!pen_load(&p, next_char(&t)))
            return false;
        pen_advance(&p);
    }
    *ret_width = p.x;
    return true;
}

static void put_bitmap(mien_image *image, const FT_Bitmap *b, int x0, int y0, mien_color color)
{
    for (int y = 0; y < (int)b->rows; y++) {
        if (y0 + y < 0 || y0 + y >= image->height)
            continue;
        const uint8_t *const src = b->buffer + (ptrdiff_t)y * b->pitch;
        uint8_t *const row = image->pixels + 3 * (size_t)image->width * (size_t)(y0 + y);
        for (int x = 0; x < (int)b->width; x++) {
            if (x0 + x >= 0 && x0 + x < image->width)
                mien__blend(row + 3 * (size_t)(x0 + x), color, (float)src[x] / 255.0f);
        }
    }
}

static bool put_line(mien_image *image, FT_Face face, double x, double baseline, mien_color color,
                     const char *text)
{
    pen p = { face, 0, 0 };
    for (const char *t = text; *t && t - text < TEXT_MAX_BYTES && x + p.x < image->width;) {
        if (!pen_load(&p, next_char(&t)))
            return false;
        const double at = floor(x + p.x);
        FT_Outline_Translate(&face->glyph->outline, lround((x + p.x - at) * 64), 0);
        if (FT_Render_Glyph(face->glyph, FT_RENDER_MODE_NORMAL) != 0)
            return false;
        put_bitmap(image, &face->glyph->bitmap, (int)at + face->glyph->bitmap_left,
                   (int)lround(baseline) - face->glyph->bitmap_top, color);
        pen_advance(&p);
    }
    return true;
}

static void put_plate(mien_image *image, double x0, double y0, double width, double height)
{
    enum { PLATE_COLOR = 0x141414 };
    const double radius = height * 0.18;
    const int y1 = (int)fmin(ceil(y0 + height), image->height),
              x1 = (int)fmin(ceil(x0 + width), image->width);
    for (int y = y0 > 0 ? (int)y0 : 0; y < y1; y++) {
        uint8_t *const row = image->pixels + 3 * (size_t)image->width * (size_t)y;
        for (int x = x0 > 0 ? (int)x0 : 0; x < x1; x++) {
            const double d = mien__box_distance(x + 0.5 - x0 - width / 2, y + 0.5 - y0 - height / 2,
                                                width / 2, height / 2, radius);
            mien__blend(row + 3 * (size_t)x, PLATE_COLOR, (float)(0.8 * fmin(fmax(0.5 - d, 0), 1)));
        }
    }
}

/* Set the face's size so that the line with its margins fits the picture's width; false when memory is short.
 */
static bool fit_size(FT_Face face, const char *text, int max_width, double *height, double *ret_width)
{
    for (int attempt = 0;; attempt++) {
        if (FT_Set_Char_Size(face, 0, lround(*height * 64), 72, 72) != 0 || !measure(face, text, ret_width))
            return false;
        const double full = *ret_width + *height * 0.6;
        if (full <= max_width || *height <= HEIGHT_MIN_PX || attempt == 2)
            return true;
        *height = fmax(HEIGHT_MIN_PX, *height * max_width / full * 0.99);
    }
}

static bool draw_line(mien_image *image, FT_Face face, double x, double y, double height, mien_color color,
                      const char *text)
{
    double width = 0;
    if (!fit_size(face, text, image->width, &height, &width))
        return false;
    const double margin = height * 0.3, plate_h = round(height * 1.36), plate_w = ceil(width + 2 * margin);
    double left = round(x), top = round(y) - plate_h;
    left = fmax(0, fmin(left, image->width - plate_w));
    top = fmax(0, fmin(top, image->height - plate_h));
    put_plate(image, left, top, plate_w, plate_h);
    return put_line(image, face, left + margin, top + height * 1.03, color, text);
}

mien_status mien_image_draw_text(mien_image *image, float x, float y, float height_px, mien_color color,
                                 const char *text, mien_error *err)
{
    if (!image || !text || !isfinite(x) || !isfinite(y) || !isfinite(height_px) || fabsf(x) > 1e7f ||
        fabsf(y) > 1e7f || height_px <= 0 || height_px > HEIGHT_MAX_PX)
        return mien__fail(err, MIEN_E_ARG, "draw text: no picture or text, or numbers out of range");
    size_t bytes = 0;
    const uint8_t *const font = mien__font(&bytes);
    if (!font)
        return mien__fail(err, MIEN_E_UNSUPPORTED, "this build of mien has no typeface to draw text with");
    if (*text == '\0')
        return MIEN_OK;
    struct FT_MemoryRec_ memory = { NULL, ft_alloc, ft_free, ft_realloc };
    FT_Library library = NULL;
    FT_Face face = NULL;
    bool good = FT_New_Library(&memory, &library) == 0;
    if (good) {
        FT_Add_Default_Modules(library);
        good =
            FT_New_Memory_Face(library, font, (FT_Long)bytes, 0, &face) == 0 &&
            draw_line(image, face, (double)x, (double)y, fmax(HEIGHT_MIN_PX, (double)height_px), color, text);
    }
    if (face)
        FT_Done_Face(face);
    if (library)
        FT_Done_Library(library);
    return good ? MIEN_OK : mien__fail(err, MIEN_E_NOMEM, "out of memory drawing text");
}

#else

mien_status mien_image_draw_text(mien_image *image, float x, float y, float height_px, mien_color color,
                                 const char *text, mien_error *err)
{
    (void)image, (void)x, (void)y, (void)height_px, (void)color, (void)text;
    return mien__fail(err, MIEN_E_UNSUPPORTED, "this build of mien has no FreeType to draw text with");
}

#endif
