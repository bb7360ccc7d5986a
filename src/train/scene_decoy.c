/* Decoys: what must not be taken for a face.
 *
 * Heads whose face is scrambled (its blocks moved by a cyclic permutation, none left
 * in place, half of them turned over) or wiped away
 * (replaced by a few of its own mean colours, blended), so that hair, neck and skin alone are no evidence;
 * plain ellipses of skin; surfaces and pieces of other pictures in the shapes that faces are pasted in, so
 * that neither the shape nor its soft edge is.
 */
#include "train/scene_parts.h"
#include <math.h>
#include <string.h>

enum { MIN_GRID = 4, MAX_GRID = 6 };

/* A head cut out of its pyramid level, px of its own. */
typedef struct head {
    mien_image *image;
    int x, y;   /* of its first px in the level */
    double px;  /* source px per px of the level */
    int fx, fy; /* the face within the head */
    int fw, fh;
} head;

static mien_status cut_head(const mien__pyramid *p, const mien_face *f, double scale, head *ret,
                            mien_error *err)
{
    const int k = mien__pyramid_level(p, scale);
    const mien_image_view v = p->level[k];
    const double px = (double)(1 << k) / p->scale, w = f->x1 - f->x0, h = f->y1 - f->y0;
    const int x0 = (int)fmax(0, (f->x0 - 0.6 * w) / px), y0 = (int)fmax(0, (f->y0 - 0.6 * h) / px);
    const int x1 = (int)fmin(v.width, (f->x1 + 0.6 * w) / px), y1 = (int)fmin(v.height, (f->y1 + h) / px);
    const mien_status st = mien_image_crop(v, x0, y0, x1 - x0, y1 - y0, &ret->image, err);
    if (st)
        return st;
    ret->x = x0;
    ret->y = y0;
    ret->px = px;
    ret->fx = (int)fmax(0, f->x0 / px - x0);
    ret->fy = (int)fmax(0, f->y0 / px - y0);
    ret->fw = (int)fmin(x1 - x0, f->x1 / px - x0) - ret->fx;
    ret->fh = (int)fmin(y1 - y0, f->y1 / px - y0) - ret->fy;
    return MIEN_OK;
}

/* Sattolo 1986: a random permutation that is one cycle. */
static void one_cycle(mien__rng *r, int n, int *ret)
{
    for (int i = 0; i < n; i++)
        ret[i] = i;
    for (int i = n - 1; i > 0; i--) {
        const int j = (int)mien__dice_below(r, (size_t)i), t = ret[i];
        ret[i] = ret[j];
        ret[j] = t;
    }
}

static mien_status scramble(mien__rng *r, const head *h, mien_error *err)
{
    const int g = MIN_GRID + (int)mien__dice_below(r, MAX_GRID - MIN_GRID + 1), bw = h->fw / g,
              bh = h->fh / g;
    int from[MAX_GRID * MAX_GRID];
    mien_image *copy = NULL;
    one_cycle(r, g * g, from);
    if (bw < 1 || bh < 1)
        return MIEN_OK;
    const mien_status st =
        mien_image_crop(mien_image_view_of(h->image), h->fx, h->fy, h->fw, h->fh, &copy, err);
    if (st)
        return st;
    const mien_image_view src = mien_image_view_of(copy), dst = mien_image_view_of(h->image);
    uint8_t *const px = mien_image_pixels(h->image);
    for (int i = 0; i < g * g; i++) {
        const bool upside_down = mien__dice_chance(r, 0.5);
        for (int y = 0; y < bh; y++) {
            const int dx = h->fx + i % g * bw, dy = h->fy + i / g * bh + y;
            const int sx = from[i] % g * bw, sy = from[i] / g * bh + (upside_down ? bh - 1 - y : y);
            memcpy(px + (size_t)dy * dst.stride_bytes + 3 * (size_t)dx,
                   src.data + (size_t)sy * src.stride_bytes + 3 * (size_t)sx, 3 * (size_t)bw);
        }
    }
    mien_image_free(copy);
    return MIEN_OK;
}

/* Lay `over` on the face through an ellipse that fades at its rim. */
static void cover_face(const head *h, mien_image_view over)
{
    const mien_image_view dst = mien_image_view_of(h->image);
    uint8_t *const px = mien_image_pixels(h->image);
    for (int y = 0; y < h->fh; y++)
        for (int x = 0; x < h->fw; x++) {
            const double u = (x + 0.5) / h->fw * 2 - 1, v = (y + 0.5) / h->fh * 2 - 1;
            const double a = fmin(1, (1 - sqrt(u * u + v * v)) * 4);
            uint8_t *const to = px + (size_t)(h->fy + y) * dst.stride_bytes + 3 * (size_t)(h->fx + x);
            const uint8_t *const from = over.data + (size_t)y * over.stride_bytes + 3 * (size_t)x;
            for (int i = 0; i < 3 && a > 0; i++)
                to[i] = (uint8_t)lrint(to[i] + (from[i] - to[i]) * a);
        }
}

static mien_status wipe(mien__rng *r, const head *h, mien_error *err)
{
    mien_image *face = NULL, *few = NULL, *smooth = NULL;
    const int n = 1 + (int)mien__dice_below(r, 2);
    mien_status st = mien_image_crop(mien_image_view_of(h->image), h->fx, h->fy, h->fw, h->fh, &face, err);
    if (!st)
        st = mien_image_resize(mien_image_view_of(face), n, n, &few, err);
    if (!st)
        st = mien_image_resize(mien_image_view_of(few), h->fw, h->fh, &smooth, err);
    if (!st)
        cover_face(h, mien_image_view_of(smooth));
    mien_image_free(smooth);
    mien_image_free(few);
    mien_image_free(face);
    return st;
}

/* A head that has lost its face. */
static mien_status add_faceless(mien__scene_maker *m, double x, double y, double width, mien_error *err)
{
    size_t index;
    const mien__pyramid *p = NULL;
    head h = { 0 };
    mien_status st = mien__scene_pick(m, m->set->faces, m->set->n_faces, &index, &p, err);
    if (st)
        return st;
    const mien__scene_source *const s = &m->set->v[index];
    const mien_face *const f = s->faces;
    const double scale = fmin(width / (f->x1 - f->x0), m->o.max_enlarge * p->scale);
    if (s->n_faces > 1) /* the others would be real faces without a label */
        return MIEN_OK;
    st = cut_head(p, f, scale, &h, err);
    if (st)
        return st;
    if (h.fw >= 8 && h.fh >= 8)
        st = mien__dice_chance(&m->rng, 0.6) ? scramble(&m->rng, &h, err) : wipe(&m->rng, &h, err);
    const double angle = mien__scene_angle(m, false), c = cos(angle) * scale, n = sin(angle) * scale;
    const mien_image_view v = mien_image_view_of(h.image);
    const mien__pyramid one = { { v }, 1, 1 / h.px };
    const double cx = (h.fx + h.fw / 2.0) * h.px, cy = (h.fy + h.fh / 2.0) * h.px;
    const mien_affine map = { { c, -n, x - c * cx + n * cy, n, c, y - n * cx - c * cy } };
    const double wide = mien__dice_between(&m->rng, 1.1, 1.9);
    const mien__scene_shape shape = { cx,
                                      cy,
                                      h.fw * h.px / 2 * wide,
                                      h.fh * h.px / 2 * wide,
                                      mien__dice_between(&m->rng, 0.05, 0.3),
                                      mien__dice_chance(&m->rng, 0.6) };
    mien__canvas_area a;
    if (!st && h.fw >= 8 && h.fh >= 8 && mien__shape_area(&shape, &map, &m->canvas, &a)) {
        st = mien__canvas_warp(&m->canvas, &one, &map, &a, err);
        if (!st)
            mien__canvas_lay(&m->canvas, &a, &map, &shape, v.width * h.px, v.height * h.px);
    }
    mien_image_free(h.image);
    return st;
}

mien_status mien__scene_add_decoy(mien__scene_maker *m, double x, double y, double width, mien_error *err)
{
    mien__rng *const r = &m->rng;
    const double kind = mien__rng_unit(r);
    if (kind < 0.45)
        return add_faceless(m, x, y, width, err);
    const double angle = mien__scene_angle(m, false), c = cos(angle), s = sin(angle);
    const mien_affine map = { { c, -s, x, s, c, y } };
    const mien__scene_shape shape = { 0,
                                      0,
                                      width / 2,
                                      width / 2 * mien__dice_between(r, 0.8, 1.7),
                                      mien__dice_between(r, 0, 0.3),
                                      kind < 0.65 || mien__dice_chance(r, 0.5) };
    mien__canvas_area a;
    if (!mien__shape_area(&shape, &map, &m->canvas, &a))
        return MIEN_OK;
    if (kind < 0.65) {
        mien__texture_skin(r, m->canvas.patch, a.x1 - a.x0, a.y1 - a.y0);
    } else {
        const mien_status st = mien__scene_surface(m, &a, err);
        if (st)
            return st;
    }
    mien__canvas_lay(&m->canvas, &a, &map, &shape, 0, 0);
    return MIEN_OK;
}
