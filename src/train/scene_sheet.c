/* A sheet of scenes with what is known of them drawn in, for eyes. */
#include "train/scene_parts.h"
#include <string.h>

enum { GAP_PX = 4, FACE_COLOR = 0x40e040, IGNORE_COLOR = 0xf0d020, LANDMARK_COLOR = 0x40c0ff };

static void draw_truths(mien_image *image, const mien__truth *t, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const mien_face *const f = &t[i].face;
        mien_image_draw_box(image, f->x0, f->y0, f->x1, f->y1, 1, t[i].ignore ? IGNORE_COLOR : FACE_COLOR);
        const float r = (f->x1 - f->x0) / 40 < 1 ? 1 : (f->x1 - f->x0) / 40;
        for (int k = 0; k < MIEN_LANDMARKS && !t[i].ignore; k++)
            mien_image_draw_dot(image, f->landmarks[k][0], f->landmarks[k][1], r, LANDMARK_COLOR);
    }
}

mien_status mien__scene_sheet(mien__scene_maker *m, uint64_t first, int columns, int rows, mien_image **ret,
                              mien_error *err)
{
    const int w = m->o.width, h = m->o.height;
    if (columns < 1 || rows < 1 || columns > 64 || rows > 64)
        return mien__fail(err, MIEN_E_ARG, "a sheet of %d x %d scenes; 1..64 each way", columns, rows);
    const size_t row_bytes = 3 * (size_t)w;
    mien_image *sheet = NULL, *one = NULL;
    uint8_t *const rgb = mien_alloc_array((size_t)h, row_bytes);
    mien__truth *const truths = mien_alloc_array(MIEN__SCENE_MAX_TRUTHS, sizeof *truths);
    mien_status st = rgb && truths ? MIEN_OK : mien__nomem(err, row_bytes * (size_t)h);
    if (!st)
        st = mien_image_new(columns * (w + GAP_PX) - GAP_PX, rows * (h + GAP_PX) - GAP_PX, NULL, 0, &sheet,
                            err);
    for (int i = 0; i < columns * rows && !st; i++) {
        size_t n = 0;
        st = mien__scene_make(m, first + (uint64_t)i, rgb, truths, &n, err);
        if (!st)
            st = mien_image_new(w, h, rgb, row_bytes, &one, err);
        if (st)
            break;
        draw_truths(one, truths, n);
        const size_t stride = mien_image_view_of(sheet).stride_bytes;
        uint8_t *const to = mien_image_pixels(sheet) + (size_t)(i / columns * (h + GAP_PX)) * stride +
                            3 * (size_t)(i % columns * (w + GAP_PX));
        for (int y = 0; y < h; y++)
            memcpy(to + (size_t)y * stride, mien_image_view_of(one).data + (size_t)y * row_bytes, row_bytes);
        mien_image_free(one);
        one = NULL;
    }
    if (!st) {
        *ret = sheet;
        sheet = NULL;
    }
    mien_image_free(sheet);
    mien_free(truths);
    mien_free(rgb);
    return st;
}
