/* The contact sheet of `mien cluster`: a row per group, its name or number and its size, then its faces, the
 * representative first. Faces that are none too sure have a frame.
 *
 * Each face is cut from its picture again, with room around it, by the similarity that takes its box to the
 * tile. A picture that cannot be read any more leaves its tile empty.
 */
#include "cluster.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    TILE_PX = 112,
    GAP_PX = 8,
    MARGIN_PX = 28,
    TITLE_PX = 34,
    ROW_PX = TITLE_PX + TILE_PX + 22,
    COLUMNS = 10,
    MAX_ROWS = 150, /* a JPEG is at most 65,500 px high; people do not scroll that far either */
    WIDTH_PX = 2 * MARGIN_PX + COLUMNS * (TILE_PX + GAP_PX) - GAP_PX,
    HEAD_PX = 64,
};

static const mien_color PAPER = 0x16191d, EMPTY = 0x262b31, TEXT = 0xf2f4f6, SOFT = 0x9aa5b1,
                        UNSURE = 0xf0a030;
static const double ROOM = 1.5, SURE = 0.5; /* tile side in box sides; confidence */

static void fill(mien_image *sheet, int x0, int y0, int w, int h, mien_color color)
{
    const size_t stride = mien_image_view_of(sheet).stride_bytes;
    uint8_t *const pixels = mien_image_pixels(sheet);
    for (int y = y0; y < y0 + h; y++) {
        uint8_t *p = pixels + (size_t)y * stride + (size_t)x0 * 3;
        for (int x = 0; x < w; x++, p += 3) {
            p[0] = (uint8_t)(color >> 16);
            p[1] = (uint8_t)(color >> 8);
            p[2] = (uint8_t)color;
        }
    }
}

/* Without FreeType the sheet has no text; everything else is there. */
static void write_text(mien_image *sheet, float x, float y, float px, mien_color color, const char *text)
{
    if (mien_image_draw_text(sheet, x, y, px, color, text, NULL) != MIEN_OK)
        return;
}

/* ---- tiles ---- */

/* A stretch of `side` around `centre`, moved to lie within 0..`size` if it fits. */
static double start_of(double centre, double side, double size)
{
    const double at = centre - side / 2;
    return at < 0 ? 0 : at + side > size ? size - side : at;
}

static mien_status cut(const mien_image *picture, const mien_album_face *f, mien_image **ret, mien_error *err)
{
    const mien_image_view view = mien_image_view_of(picture);
    const double scale = mien_image_scale(picture);
    const double w = (double)(f->face.x1 - f->face.x0) / scale, h = (double)(f->face.y1 - f->face.y0) / scale;
    const double side = fmin(ROOM * fmax(fmax(w, h), 1), fmin(view.width, view.height)), k = TILE_PX / side;
    const double x = start_of((double)(f->face.x0 + f->face.x1) / (2 * scale), side, view.width);
    const double y = start_of((double)(f->face.y0 + f->face.y1) / (2 * scale), side, view.height);
    const mien_affine to_tile = { { k, 0, -x * k, 0, k, -y * k } };
    return mien_warp(view, &to_tile, TILE_PX, TILE_PX, ret, err);
}

/* The last picture read: faces of one picture often stand in one call after another. */
typedef struct reader {
    const cli_common *common;
    const char *path;
    mien_image *picture; /* NULL: could not be read */
} reader;

static const mien_image *read_picture(reader *r, const char *path)
{
    enum { SHORT_SIDE_PX = 1200 };
    if (r->path && !strcmp(r->path, path))
        return r->picture;
    mien_image_free(r->picture);
    r->picture = NULL;
    r->path = path;
    mien_error err = MIEN_ERROR_INIT;
    if (cli_load(r->common, path, SHORT_SIDE_PX, &r->picture, &err) != MIEN_OK)
        cli_say_path(path, "not on the sheet: %s", cli_error_text(path, &err));
    return r->picture;
}

static void draw_tile(mien_image *sheet, reader *r, const mien_album_face *f, int x, int y)
{
    fill(sheet, x, y, TILE_PX, TILE_PX, EMPTY);
    const mien_image *const picture = read_picture(r, f->path);
    mien_image *tile = NULL;
    mien_error err = MIEN_ERROR_INIT;
    if (!picture || cut(picture, f, &tile, &err) != MIEN_OK)
        return;
    const mien_image_view from = mien_image_view_of(tile), to = mien_image_view_of(sheet);
    for (int row = 0; row < TILE_PX; row++)
        memcpy(mien_image_pixels(sheet) + (size_t)(y + row) * to.stride_bytes + (size_t)x * 3,
               from.data + (size_t)row * from.stride_bytes, (size_t)TILE_PX * 3);
    mien_image_free(tile);
    if (f->group && (double)f->confidence < SURE)
        mien_image_draw_box(sheet, (float)x + 2, (float)y + 2, (float)(x + TILE_PX - 2),
                            (float)(y + TILE_PX - 2), 2.5f, UNSURE);
}

static void draw_row(mien_image *sheet, reader *r, const char *title, const char *detail,
                     const mien_album_face *faces, size_t n, int y)
{
    const size_t shown = n > COLUMNS ? COLUMNS - 1 : n;
    write_text(sheet, MARGIN_PX, (float)(y + TITLE_PX - 6), 21, TEXT, title);
    write_text(sheet, WIDTH_PX - MARGIN_PX - 110, (float)(y + TITLE_PX - 6), 16, SOFT, detail);
    for (size_t i = 0; i < shown && !cli_stopped(); i++)
        draw_tile(sheet, r, &faces[i], MARGIN_PX + (int)i * (TILE_PX + GAP_PX), y + TITLE_PX);
    if (shown == n)
        return;
    char more[32];
    const int x = MARGIN_PX + (int)shown * (TILE_PX + GAP_PX);
    snprintf(more, sizeof more, "+ %zu", n - shown);
    fill(sheet, x, y + TITLE_PX, TILE_PX, TILE_PX, EMPTY);
    write_text(sheet, (float)(x + 26), (float)(y + TITLE_PX + TILE_PX / 2 + 14), 24, SOFT, more);
}

/* ---- the whole ---- */

static void draw_head(mien_image *sheet, const mien_album_list *list, size_t rows)
{
    size_t loose = 0;
    for (size_t i = 0; i < list->n_faces; i++)
        loose += !list->faces[i].group;
    char *text = cli_format("%zu people, %zu faces", list->n_groups, list->n_faces - loose);
    write_text(sheet, MARGIN_PX, HEAD_PX - 12, 28, TEXT, text);
    free(text);
    text = rows < list->n_groups ? cli_format("the %zu largest groups", rows)
                                 : cli_format("%zu faces of no group", loose);
    write_text(sheet, WIDTH_PX - MARGIN_PX - 190, HEAD_PX - 12, 16, SOFT, text);
    free(text);
}

static void draw_sheet(mien_image *sheet, const cli_common *common, const mien_album_list *list, size_t rows)
{
    reader r = { common, NULL, NULL };
    draw_head(sheet, list, rows);
    cli_progress_begin("groups", rows, common->quiet);
    for (size_t g = 0; g < rows && !cli_stopped(); g++) {
        const mien_album_group_info *const info = &list->groups[g];
        char *title = info->name[0] ? cli_strdup(info->name) : cli_format("Group %lld", (long long)info->id);
        char *detail = cli_format("%zu face%s", info->n, info->n == 1 ? "" : "s");
        draw_row(sheet, &r, title, detail, list->faces + info->first, info->n, HEAD_PX + (int)g * ROW_PX);
        free(title);
        free(detail);
        cli_progress_step(g + 1);
    }
    cli_progress_end();
    mien_image_free(r.picture);
}

int cli_cluster_sheet(const cli_common *common, const mien_album_list *list, const char *path)
{
    const size_t rows = list->n_groups < MAX_ROWS ? list->n_groups : MAX_ROWS;
    const int height = HEAD_PX + (int)rows * ROW_PX + MARGIN_PX / 2;
    mien_image *sheet = NULL;
    mien_error err = MIEN_ERROR_INIT;
    if (mien_image_new(WIDTH_PX, height, NULL, 0, &sheet, &err) != MIEN_OK)
        return cli_fail(&err);
    fill(sheet, 0, 0, WIDTH_PX, height, PAPER);
    draw_sheet(sheet, common, list, rows);
    int rc = CLI_YES;
    if (!cli_stopped() && mien_image_save(mien_image_view_of(sheet), path, 92, &err) != MIEN_OK) {
        cli_fail_path(path, &err);
        rc = CLI_INTERNAL;
    }
    mien_image_free(sheet);
    return rc;
}
