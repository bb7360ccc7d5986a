/* What lies behind a scene: never a face.
 *
 * Crops of pictures without faces; strips of face pictures beside, above and below all their faces (hair,
 * necks, clothes, rooms: what a detector must tell from a face); surfaces made by numbers; mosaics of these.
 */
#include "train/scene_parts.h"
#include <math.h>
#include <string.h>

typedef struct box {
    double x0, y0, x1, y1;
} box;

/* Show the rectangle `from` of a source in area `a` of the canvas's patch. */
static mien_status show(mien__scene_maker *m, const mien__pyramid *p, const box *from,
                        const mien__canvas_area *a, mien_error *err)
{
    const bool mirror = mien__dice_chance(&m->rng, 0.5);
    const double sx = (a->x1 - a->x0) / (from->x1 - from->x0), sy = (a->y1 - a->y0) / (from->y1 - from->y0);
    mien_affine map = { { sx, 0, a->x0 - from->x0 * sx, 0, sy, a->y0 - from->y0 * sy } };
    if (mirror) {
        map.m[0] = -sx;
        map.m[2] = a->x1 + from->x0 * sx;
    }
    return mien__canvas_warp(&m->canvas, p, &map, a, err);
}

/* A random part of `whole`, of the area's proportions give or take a fifth. */
static box random_part(mien__rng *r, const box *whole, const mien__canvas_area *a)
{
    const double w = whole->x1 - whole->x0, h = whole->y1 - whole->y0;
    const double ratio = (double)(a->x1 - a->x0) / (a->y1 - a->y0) * mien__dice_between(r, 0.8, 1.25);
    const double share = mien__dice_log(r, 0.3, 1);
    double pw = (w < h * ratio ? w : h * ratio) * share, ph = pw / ratio;
    pw = pw < 2 ? 2 : pw;
    ph = ph < 2 ? 2 : ph;
    const double x = whole->x0 + (w - pw) * mien__rng_unit(r), y = whole->y0 + (h - ph) * mien__rng_unit(r);
    return (box){ x, y, x + pw, y + ph };
}

static box inside_of(const mien__pyramid *p)
{
    /* a px less at each side: what lies beyond the picture is black */
    const double w = p->level[0].width / p->scale, h = p->level[0].height / p->scale, px = 1 / p->scale;
    return (box){ px, px, w - px, h - px };
}

/* Repeat the patch, width x height px, to fill `a`, every other copy mirrored so that edges meet. */
static void tile_patch(mien__scene_maker *m, int width, int height, const mien__canvas_area *a)
{
    const int full_w = a->x1 - a->x0, full_h = a->y1 - a->y0;
    uint8_t *to = m->scratch;
    for (int y = 0; y < full_h; y++) {
        const int v = y % height, row = y / height % 2 ? height - 1 - v : v;
        for (int x = 0; x < full_w; x++, to += 3) {
            const int u = x % width, column = x / width % 2 ? width - 1 - u : u;
            memcpy(to, m->canvas.patch + 3 * ((size_t)row * (size_t)width + (size_t)column), 3);
        }
    }
    memcpy(m->canvas.patch, m->scratch, 3 * (size_t)full_w * (size_t)full_h);
}

/* A strip is often small: half of the time it is repeated, not enlarged. */
static mien_status show_strip(mien__scene_maker *m, const mien__pyramid *p, const box *strip,
                              const mien__canvas_area *a, mien_error *err)
{
    const int n = mien__dice_chance(&m->rng, 0.5) ? 2 + (int)mien__dice_below(&m->rng, 4) : 1;
    const int width = (a->x1 - a->x0 + n - 1) / n, height = (a->y1 - a->y0 + n - 1) / n;
    const mien__canvas_area first = { a->x0, a->y0, a->x0 + width, a->y0 + height };
    const box part = random_part(&m->rng, strip, &first);
    const mien_status st = show(m, p, &part, &first, err);
    if (!st && n > 1)
        tile_patch(m, width, height, a);
    return st;
}

static mien_status show_picture(mien__scene_maker *m, const mien__canvas_area *a, mien_error *err)
{
    size_t index;
    const mien__pyramid *p = NULL;
    mien_status st = mien__scene_pick(m, m->set->backgrounds, m->set->n_backgrounds, &index, &p, err);
    if (st)
        return st;
    const box whole = inside_of(p), part = random_part(&m->rng, &whole, a);
    return show(m, p, &part, a, err);
}

/* The largest strip beside, above or below everything that could be taken for part of a face; false when
 * none is 16 px wide. */
static bool free_strip(const mien__scene_source *s, const mien__pyramid *p, box *ret)
{
    const box whole = inside_of(p);
    box f = { whole.x1, whole.y1, whole.x0, whole.y0 };
    for (size_t i = 0; i < s->n_faces; i++) {
        const mien_face *const e = &s->faces[i];
        const double w = e->x1 - e->x0, h = e->y1 - e->y0;
        f.x0 = fmin(f.x0, e->x0 - 0.05 * w);
        f.x1 = fmax(f.x1, e->x1 + 0.05 * w);
        f.y0 = fmin(f.y0, e->y0 - 0.05 * h);
        f.y1 = fmax(f.y1, e->y1 + 0.05 * h);
    }
    const box strips[4] = {
        { whole.x0, whole.y0, f.x0, whole.y1 },
        { f.x1, whole.y0, whole.x1, whole.y1 },
        { whole.x0, whole.y0, whole.x1, f.y0 },
        { whole.x0, f.y1, whole.x1, whole.y1 },
    };
    double most = 0;
    for (int i = 0; i < 4; i++) {
        const double w = strips[i].x1 - strips[i].x0, h = strips[i].y1 - strips[i].y0;
        if (w >= 16 && h >= 16 && w * h > most) {
            most = w * h;
            *ret = strips[i];
        }
    }
    return most > 0;
}

static mien_status show_surroundings(mien__scene_maker *m, const mien__canvas_area *a, mien_error *err)
{
    for (int attempt = 0; attempt < 4; attempt++) {
        size_t index;
        const mien__pyramid *p = NULL;
        box strip;
        mien_status st = mien__scene_pick(m, m->set->faces, m->set->n_faces, &index, &p, err);
        if (st)
            return st;
        if (!free_strip(&m->set->v[index], p, &strip))
            continue;
        return show_strip(m, p, &strip, a, err);
    }
    mien__texture_any(&m->rng, m->canvas.patch, a->x1 - a->x0, a->y1 - a->y0);
    return MIEN_OK;
}

mien_status mien__scene_surface(mien__scene_maker *m, const mien__canvas_area *a, mien_error *err)
{
    const double kind = mien__rng_unit(&m->rng);
    if (kind < 0.55 && m->set->n_backgrounds > 0)
        return show_picture(m, a, err);
    if (kind < 0.80)
        return show_surroundings(m, a, err);
    mien__texture_any(&m->rng, m->canvas.patch, a->x1 - a->x0, a->y1 - a->y0);
    return MIEN_OK;
}

static void copy_patch(mien__scene_canvas *c, const mien__canvas_area *a)
{
    const size_t row = 3 * (size_t)(a->x1 - a->x0);
    for (int y = a->y0; y < a->y1; y++)
        memcpy(c->rgb + 3 * ((size_t)y * (size_t)c->width + (size_t)a->x0),
               c->patch + (size_t)(y - a->y0) * row, row);
}

/* Where a side is cut into n pieces: uneven, none smaller than a third of an even one. */
static void cut_side(mien__rng *r, int length, int n, int ret[5])
{
    ret[0] = 0;
    ret[n] = length;
    for (int i = 1; i < n; i++)
        ret[i] = (int)(length * (i + mien__dice_between(r, -0.33, 0.33)) / n);
}

mien_status mien__scene_backdrop(mien__scene_maker *m, mien_error *err)
{
    mien__scene_canvas *const c = &m->canvas;
    int nx = 1, ny = 1, xs[5], ys[5];
    if (mien__dice_chance(&m->rng, 0.2)) {
        nx = 1 + (int)mien__dice_below(&m->rng, 4);
        ny = 1 + (int)mien__dice_below(&m->rng, 3);
    }
    cut_side(&m->rng, c->width, nx, xs);
    cut_side(&m->rng, c->height, ny, ys);
    for (int i = 0; i < nx * ny; i++) {
        const mien__canvas_area a = { xs[i % nx], ys[i / nx], xs[i % nx + 1], ys[i / nx + 1] };
        const mien_status st = mien__scene_surface(m, &a, err);
        if (st)
            return st;
        copy_patch(c, &a);
    }
    memset(c->owner, 0, (size_t)c->width * (size_t)c->height * sizeof *c->owner);
    c->n_layers = 0;
    return MIEN_OK;
}
