/* Faces laid into a scene: cut out of their pictures, turned, scaled, mirrored, tinted.
 *
 * A face's box is carried over as the ellipse in it: the turned ellipse's upright bounding box has half sides
 * sqrt((m0 a)^2 + (m1 b)^2), sqrt((m3 a)^2 + (m4 b)^2); the turned box's corners would give a box too large.
 * A mirrored face has its left and right landmarks exchanged, so that they stay the subject's.
 */
#include "train/scene_parts.h"
#include <math.h>

static const double quarter_turn = 1.5707963267948966;

double mien__scene_angle(mien__scene_maker *m, bool calm)
{
    mien__rng *const r = &m->rng;
    const double kind = mien__rng_unit(r), tilt = m->o.tilt;
    const double slight = mien__dice_normal(r) * 0.12 * tilt;
    if (calm || kind >= 0.24)
        return slight;
    if (kind < 0.20)
        return mien__dice_between(r, -quarter_turn / 2, quarter_turn / 2) * tilt;
    if (tilt < 0.5)
        return slight;
    return slight + quarter_turn * (kind < 0.23 ? (mien__dice_chance(r, 0.5) ? 1 : -1) : 2);
}

mien__cut mien__scene_cut(mien__scene_maker *m)
{
    const double kind = mien__rng_unit(&m->rng);
    return kind < 0.30   ? MIEN__CUT_WHOLE
           : kind < 0.60 ? MIEN__CUT_HEAD
           : kind < 0.85 ? MIEN__CUT_BUST
                         : MIEN__CUT_BOX;
}

/* Any face of the picture that is not much smaller than its largest. */
static const mien_face *choose_face(mien__rng *r, const mien__scene_source *s)
{
    float widest = 0;
    for (size_t i = 0; i < s->n_faces; i++)
        widest = fmaxf(widest, s->faces[i].x1 - s->faces[i].x0);
    const mien_face *chosen = s->faces;
    size_t n = 0;
    for (size_t i = 0; i < s->n_faces; i++)
        if (s->faces[i].x1 - s->faces[i].x0 >= 0.4f * widest && mien__dice_below(r, ++n) == 0)
            chosen = &s->faces[i];
    return chosen;
}

static mien__scene_shape make_shape(mien__rng *r, mien__cut cut, const mien_face *f, double w, double h)
{
    const double cx = (f->x0 + f->x1) / 2, cy = (f->y0 + f->y1) / 2;
    const double rx = (f->x1 - f->x0) / 2, ry = (f->y1 - f->y0) / 2;
    switch (cut) {
    case MIEN__CUT_HEAD: {
        const double wide = mien__dice_between(r, 1.15, 1.5);
        return (mien__scene_shape){ cx,
                                    cy - 0.08 * ry,
                                    rx * wide,
                                    ry * wide * mien__dice_between(r, 1, 1.1),
                                    mien__dice_between(r, 0.05, 0.3),
                                    true };
    }
    case MIEN__CUT_BUST: {
        const double top = cy - ry * mien__dice_between(r, 1.2, 1.7);
        const double bottom = cy + ry * mien__dice_between(r, 1.4, 3.5);
        return (mien__scene_shape){ cx,
                                    (top + bottom) / 2,
                                    rx * mien__dice_between(r, 1.3, 2.2),
                                    (bottom - top) / 2,
                                    mien__dice_between(r, 0.02, 0.2),
                                    mien__dice_chance(r, 0.3) };
    }
    case MIEN__CUT_BOX:
        return (mien__scene_shape){ cx,
                                    cy,
                                    rx * mien__dice_between(r, 1.05, 1.6),
                                    ry * mien__dice_between(r, 1.05, 1.6),
                                    mien__dice_between(r, 0, 0.1),
                                    false };
    case MIEN__CUT_WHOLE:
        break;
    }
    return (mien__scene_shape){
        w / 2, h / 2, w / 2, h / 2, mien__dice_chance(r, 0.5) ? 0 : mien__dice_between(r, 0, 0.25), false
    };
}

/* Scale about the face's centre, mirror, turn, move. */
static mien_affine make_map(mien__rng *r, const mien__placing *p, const mien_face *f, double scale)
{
    const double cx = (f->x0 + f->x1) / 2, cy = (f->y0 + f->y1) / 2;
    const double sx = mien__dice_chance(r, 0.5) ? -scale : scale;
    const double sy = scale * mien__dice_between(r, 0.94, 1.06);
    const double c = cos(p->angle_rad), s = sin(p->angle_rad);
    mien_affine a = { { c * sx, -s * sy, 0, s * sx, c * sy, 0 } };
    a.m[2] = p->x - a.m[0] * cx - a.m[1] * cy;
    a.m[5] = p->y - a.m[3] * cx - a.m[4] * cy;
    return a;
}

static mien_face map_face(const mien_affine *a, const mien_face *f)
{
    static const int mirrored[MIEN_LANDMARKS] = { 1, 0, 2, 4, 3 };
    const bool mirror = a->m[0] * a->m[4] - a->m[1] * a->m[3] < 0;
    const double rx = (f->x1 - f->x0) / 2, ry = (f->y1 - f->y0) / 2;
    const double hx = hypot(a->m[0] * rx, a->m[1] * ry), hy = hypot(a->m[3] * rx, a->m[4] * ry);
    double x, y;
    mien__affine_apply(a, (f->x0 + f->x1) / 2, (f->y0 + f->y1) / 2, &x, &y);
    mien_face out = { (float)(x - hx), (float)(y - hy), (float)(x + hx), (float)(y + hy), 1, { { 0 } } };
    for (int i = 0; i < MIEN_LANDMARKS; i++) {
        const float *const from = f->landmarks[i];
        float *const to = out.landmarks[mirror ? mirrored[i] : i];
        mien__affine_apply(a, from[0], from[1], &x, &y);
        to[0] = (float)x;
        to[1] = (float)y;
    }
    return out;
}

static void record(mien__scene_maker *m, const mien_face *f, uint16_t layer)
{
    if (f->x1 <= 0 || f->y1 <= 0 || f->x0 >= (float)m->o.width || f->y0 >= (float)m->o.height ||
        m->n_faces == MIEN__SCENE_MAX_TRUTHS)
        return;
    m->layers[m->n_faces] = layer;
    m->faces[m->n_faces++] = *f;
}

static bool cut_area(mien__canvas_area *a, const mien__canvas_area *clip)
{
    if (clip) {
        a->x0 = a->x0 > clip->x0 ? a->x0 : clip->x0;
        a->y0 = a->y0 > clip->y0 ? a->y0 : clip->y0;
        a->x1 = a->x1 < clip->x1 ? a->x1 : clip->x1;
        a->y1 = a->y1 < clip->y1 ? a->y1 : clip->y1;
    }
    return a->x0 < a->x1 && a->y0 < a->y1;
}

mien_status mien__scene_add_face(mien__scene_maker *m, const mien__placing *place, mien_error *err)
{
    size_t index;
    const mien__pyramid *p = NULL;
    mien_status st = mien__scene_pick(m, m->set->faces, m->set->n_faces, &index, &p, err);
    if (st)
        return st;
    const mien__scene_source *const s = &m->set->v[index];
    const mien_face *const f = choose_face(&m->rng, s);
    const double w = p->level[0].width / p->scale, h = p->level[0].height / p->scale;
    const double scale = fmin(place->width / (f->x1 - f->x0), m->o.max_enlarge * p->scale);
    const mien__scene_shape shape = make_shape(&m->rng, place->cut, f, w, h);
    const mien_affine map = make_map(&m->rng, place, f, scale);
    uint8_t tables[3][256];
    mien__photo_tables(&m->rng, 0.6 * m->o.light, tables);
    mien__canvas_area a;
    if (!mien__shape_area(&shape, &map, &m->canvas, &a) || !cut_area(&a, place->clip))
        return MIEN_OK;
    st = mien__canvas_warp(&m->canvas, p, &map, &a, err);
    if (st)
        return st;
    mien__photo_apply_tables(tables, m->canvas.patch, (size_t)(a.x1 - a.x0) * (size_t)(a.y1 - a.y0));
    const uint16_t layer = mien__canvas_lay(&m->canvas, &a, &map, &shape, w, h);
    for (size_t i = 0; i < s->n_faces; i++) {
        const mien_face placed = map_face(&map, &s->faces[i]);
        record(m, &placed, layer);
    }
    return MIEN_OK;
}
