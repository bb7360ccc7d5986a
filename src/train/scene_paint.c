/* Layers laid on the canvas through soft-edged shapes.
 *
 * A layer is a patch of px and a shape in the layer's own frame. For each px of the canvas the inverse map
 * gives its place in that frame, and with it the normalised distance d from the shape's centre (1 at the
 * rim); alpha = smoothstep((1 - d) / feather). An edge is at least one and a half px of the canvas wide, so
 * that no staircase tells a pasted face from a photographed one. A layer owns the px it covers by more than
 * half; from that map the visible share of every face is counted in the end.
 */
#include "train/scene_parts.h"
#include <math.h>
#include <string.h>

double mien__dice_between(mien__rng *r, double lo, double hi)
{
    return lo + (hi - lo) * mien__rng_unit(r);
}

double mien__dice_log(mien__rng *r, double lo, double hi)
{
    return lo * pow(hi / lo, mien__rng_unit(r));
}

/* Twelve summed uniforms would do; four, scaled, have the shape that is wanted and no tails. */
double mien__dice_normal(mien__rng *r)
{
    double sum = -2;
    for (int i = 0; i < 4; i++)
        sum += mien__rng_unit(r);
    return sum * 1.7320508075688772;
}

bool mien__dice_chance(mien__rng *r, double p)
{
    return mien__rng_unit(r) < p;
}

size_t mien__dice_below(mien__rng *r, size_t n)
{
    return (size_t)(mien__rng_unit(r) * (double)n);
}

static int cut_to(double v, int n)
{
    return v < 0 ? 0 : v > n ? n : (int)v;
}

bool mien__shape_area(const mien__scene_shape *s, const mien_affine *to_scene, const mien__scene_canvas *c,
                      mien__canvas_area *ret)
{
    const double *const m = to_scene->m;
    double x, y;
    mien__affine_apply(to_scene, s->cx, s->cy, &x, &y);
    const double ax = m[0] * s->rx, bx = m[1] * s->ry, ay = m[3] * s->rx, by = m[4] * s->ry;
    const double hx = s->ellipse ? hypot(ax, bx) : fabs(ax) + fabs(bx);
    const double hy = s->ellipse ? hypot(ay, by) : fabs(ay) + fabs(by);
    *ret = (mien__canvas_area){
        cut_to(floor(x - hx), c->width),
        cut_to(floor(y - hy), c->height),
        cut_to(ceil(x + hx), c->width),
        cut_to(ceil(y + hy), c->height),
    };
    return ret->x0 < ret->x1 && ret->y0 < ret->y1;
}

int mien__pyramid_level(const mien__pyramid *p, double scale)
{
    int k = 0;
    for (double s = scale / p->scale; k + 1 < p->n && s <= 0.5; k++)
        s *= 2;
    return k;
}

mien_status mien__canvas_warp(const mien__scene_canvas *c, const mien__pyramid *p,
                              const mien_affine *to_scene, const mien__canvas_area *a, mien_error *err)
{
    const double scale = mien__affine_scale(to_scene);
    const int k = mien__pyramid_level(p, scale);
    const double level_px = (double)(1 << k) / p->scale; /* source px per px of the level */
    mien_affine map = *to_scene;
    map.m[0] *= level_px;
    map.m[1] *= level_px;
    map.m[3] *= level_px;
    map.m[4] *= level_px;
    map.m[2] -= a->x0;
    map.m[5] -= a->y0;
    const int width = a->x1 - a->x0, taps = scale * level_px < 0.75 ? 2 : 1;
    return mien__warp_into(p->level[k], &map, taps, width, a->y1 - a->y0, c->patch, 3 * (size_t)width, err);
}

/* Share of a layer at (u, v) of its frame. */
typedef struct mask {
    double cx, cy, ix, iy; /* centre, reciprocal half sides */
    double soft;           /* reciprocal feather */
    double frame_w, frame_h, frame_soft;
    bool ellipse;
} mask;

static mask make_mask(const mien__scene_shape *s, const mien_affine *to_scene, double frame_w, double frame_h)
{
    const double least = 1.5 / mien__affine_scale(to_scene), r = s->rx < s->ry ? s->rx : s->ry;
    double feather = s->feather > least / r ? s->feather : least / r;
    feather = feather < 1 ? feather : 1;
    return (mask){ s->cx,   s->cy,   1 / s->rx,         1 / s->ry, 1 / feather,
                   frame_w, frame_h, 1 / (feather * r), s->ellipse };
}

static float mask_at(const mask *k, double u, double v)
{
    const double x = fabs(u - k->cx) * k->ix, y = fabs(v - k->cy) * k->iy;
    const double d = k->ellipse ? sqrt(x * x + y * y) : x > y ? x : y;
    double a = (1 - d) * k->soft;
    if (k->frame_w > 0) {
        const double h = u < k->frame_w - u ? u : k->frame_w - u, w = v < k->frame_h - v ? v : k->frame_h - v;
        const double edge = (h < w ? h : w) * k->frame_soft;
        a = a < edge ? a : edge;
    }
    if (a <= 0)
        return 0;
    if (a >= 1)
        return 1;
    return (float)(a * a * (3 - 2 * a));
}

static void blend_px(uint8_t *to, const uint8_t *from, float alpha)
{
    for (int i = 0; i < 3; i++)
        to[i] = (uint8_t)((float)to[i] + ((float)from[i] - (float)to[i]) * alpha + 0.5f);
}

uint16_t mien__canvas_lay(mien__scene_canvas *c, const mien__canvas_area *a, const mien_affine *to_scene,
                          const mien__scene_shape *s, double frame_w, double frame_h)
{
    mien_affine inverse;
    const uint16_t number = ++c->n_layers;
    if (!mien__affine_invert(to_scene, &inverse))
        return number;
    const mask k = make_mask(s, to_scene, frame_w, frame_h);
    const uint8_t *from = c->patch;
    for (int y = a->y0; y < a->y1; y++) {
        double u, v;
        mien__affine_apply(&inverse, a->x0 + 0.5, y + 0.5, &u, &v);
        const size_t first = (size_t)y * (size_t)c->width + (size_t)a->x0;
        uint8_t *to = c->rgb + 3 * first;
        uint16_t *owner = c->owner + first;
        for (int x = a->x0; x < a->x1; x++, from += 3, to += 3, owner++) {
            const float alpha = mask_at(&k, u, v);
            u += inverse.m[0];
            v += inverse.m[3];
            if (alpha >= 1)
                memcpy(to, from, 3);
            else if (alpha > 0)
                blend_px(to, from, alpha);
            if (alpha > 0.5f)
                *owner = number;
        }
    }
    return number;
}
