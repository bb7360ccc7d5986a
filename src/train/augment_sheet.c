/* A sheet of crops to look at before training: a row per sample, plain first, augmented versions after it. */
#include "train/augment.h"
#include <string.h>

enum { GAP_PX = 4, MAX_CELLS = 100, MAX_SHEET_SIDE_PX = 16384, EMPTY = 200 };

/* Where a cell's first pixel lies. */
static uint8_t *cell_at(mien_image *sheet, int side, int row, int col)
{
    const size_t x = GAP_PX + (size_t)col * (size_t)(side + GAP_PX);
    const size_t y = GAP_PX + (size_t)row * (size_t)(side + GAP_PX);
    return mien_image_pixels(sheet) + y * mien_image_view_of(sheet).stride_bytes + x * 3;
}

static void put_cell(mien_image *sheet, int side, int row, int col, const uint8_t *rgb)
{
    const size_t bytes = (size_t)side * 3;
    uint8_t *p = cell_at(sheet, side, row, col);
    for (int y = 0; y < side; y++, p += mien_image_view_of(sheet).stride_bytes)
        memcpy(p, rgb + (size_t)y * bytes, bytes);
}

static mien_status draw_row(mien_image *sheet, const mien__dataset *d, size_t index, const mien__augment *a,
                            const float template5[MIEN_LANDMARKS][2], int side, int row, int cols,
                            uint64_t seed, uint8_t *rgb, mien_error *err)
{
    mien_image *image = NULL;
    mien__sample seen;
    mien_error why = MIEN_ERROR_INIT;
    mien_status st = mien__sample_load(&d->samples[index], template5, &image, &seen, &why);
    for (int col = 0; col < cols && !st; col++) {
        mien__rng rng;
        mien__augment_stream(seed, (uint64_t)col, index, &rng);
        st = mien__sample_crop(&seen, mien_image_view_of(image), template5, side, col ? a : NULL, &rng, rgb,
                               &why);
        if (!st)
            put_cell(sheet, side, row, col, rgb);
    }
    mien_image_free(image);
    if (st == MIEN_E_NOMEM) {
        if (err)
            *err = why;
        return st;
    }
    if (st) {
        mien__log(MIEN_LOG_WARN, "%s is not on the sheet: %s", d->samples[index].path, why.message);
        memset(rgb, EMPTY, (size_t)side * (size_t)side * 3);
        for (int col = 0; col < cols; col++)
            put_cell(sheet, side, row, col, rgb);
    }
    return MIEN_OK;
}

mien_status mien__augment_sheet(const mien__dataset *d, const size_t *idx, size_t n, const mien__augment *a,
                                const float template5[MIEN_LANDMARKS][2], int side, int rows, int cols,
                                uint64_t seed, mien_image **ret, mien_error *err)
{
    rows = (size_t)(rows > 0 ? rows : 0) > n ? (int)n : rows;
    if (rows < 1 || cols < 1 || rows > MAX_CELLS || cols > MAX_CELLS || side < 1 ||
        side > MAX_SHEET_SIDE_PX / (rows > cols ? rows : cols) - GAP_PX)
        return mien__fail(err, MIEN_E_ARG, "a sheet of %d x %d crops of %d px: at most %d px a side, and %d",
                          cols, rows, side, MAX_SHEET_SIDE_PX, MAX_CELLS);
    mien_status st = mien__augment_check(a, err);
    if (st)
        return st;
    const size_t bytes = (size_t)side * (size_t)side * 3;
    mien_image *sheet = NULL;
    uint8_t *const rgb = mien_alloc(bytes);
    st = rgb ? mien_image_new(cols * (side + GAP_PX) + GAP_PX, rows * (side + GAP_PX) + GAP_PX, NULL, 0,
                              &sheet, err)
             : mien__nomem(err, bytes);
    if (!st) {
        const mien_image_view v = mien_image_view_of(sheet);
        memset(mien_image_pixels(sheet), 255, v.stride_bytes * (size_t)v.height);
    }
    for (int row = 0; row < rows && !st; row++)
        st = draw_row(sheet, d, idx[row], a, template5, side, row, cols, seed, rgb, err);
    if (!st) {
        *ret = sheet;
        sheet = NULL;
    }
    mien_image_free(sheet);
    mien_free(rgb);
    return st;
}
