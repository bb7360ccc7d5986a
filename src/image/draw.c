/* Drawing boxes and dots: antialiased shapes with a dark rim, so that they are seen on any background.
 *
 * A shape is its signed distance d in px at a pixel's centre (negative inside). The coverage of a pixel is
 * clamp(1/2 - d, 0, 1); the rim is the same shape grown by its width, laid down first. Blending is in the
 * stored 8-bit values. Coordinates are cut to a range in which doubles are exact to far less than a px.
 */
#include "image/codec.h"
#include "image/draw.h"
#include <math.h>

typedef struct span {
    int lo, hi; /* [lo, hi) */
} span;

void mien__blend(uint8_t *px, mien_color color, float alpha)
{
    if (alpha <= 0)
        return;
    alpha = alpha > 1 ? 1 : alpha;
    for (int c = 0; c < 3; c++) {
        const float v = (float)(color >> (16 - 8 * c) & 0xff);
        px[c] = (uint8_t)((float)px[c] + (v - (float)px[c]) * alpha + 0.5f);
    }
}

static float coverage(double d)
{
    return (float)(d <= -0.5 ? 1 : (d >= 0.5 ? 0 : 0.5 - d));
}

double mien__box_distance(double x, double y, double half_w, double half_h, double radius)
{
    const double qx = fabs(x) - half_w + radius, qy = fabs(y) - half_h + radius;
    const double outside = hypot(qx > 0 ? qx : 0, qy > 0 ? qy : 0);
    const double inside = qx > qy ? qx : qy;
    return outside + (inside < 0 ? inside : 0) - radius;
}

static void paint(uint8_t *px, double d, double rim, mien_color color)
{
    enum { RIM_COLOR = 0x101010 };
    if (d >= rim + 0.5)
        return;
    mien__blend(px, RIM_COLOR, 0.75f * coverage(d - rim));
    mien__blend(px, color, coverage(d));
}

/* The whole pixels that [lo, hi] touches, cut to 0..n. */
static span touched(double lo, double hi, int n)
{
    const double a = floor(lo), b = ceil(hi);
    return (span){ a < 0 ? 0 : (a > n ? n : (int)a), b < 0 ? 0 : (b > n ? n : (int)b) };
}

static double cut(double v)
{
    const double most = 1e7;
    return v < -most ? -most : (v > most ? most : v);
}

static double rim_of(double width)
{
    return width * 0.35 < 1 ? 1 : width * 0.35;
}

void mien_image_draw_box(mien_image *image, float x0, float y0, float x1, float y1, float thickness,
                         mien_color color)
{
    if (!image || !isfinite(x0) || !isfinite(y0) || !isfinite(x1) || !isfinite(y1) || !isfinite(thickness) ||
        thickness <= 0)
        return;
    const double half_w = fabs(cut(x1) - cut(x0)) / 2, half_h = fabs(cut(y1) - cut(y0)) / 2;
    const double cx = (cut(x0) + cut(x1)) / 2, cy = (cut(y0) + cut(y1)) / 2, half_t = cut(thickness) / 2;
    const double rim = rim_of(thickness), reach = half_t + rim + 1;
    double radius = 2 * thickness;
    radius = radius > half_w ? half_w : radius;
    radius = radius > half_h ? half_h : radius;
    const span ys = touched(cy - half_h - reach, cy + half_h + reach, image->height);
    const span xs = touched(cx - half_w - reach, cx + half_w + reach, image->width);
    /* Rows clear of the horizontal edges need only the two vertical edges' columns. */
    const double inner = radius + reach;
    const span left = touched(cx - half_w - reach, cx - half_w + inner, image->width);
    const span right = touched(cx + half_w - inner, cx + half_w + reach, image->width);
    for (int y = ys.lo; y < ys.hi; y++) {
        uint8_t *const row = image->pixels + 3 * (size_t)image->width * (size_t)y;
        const double dy = y + 0.5 - cy;
        const bool middle = fabs(dy) < half_h - inner && left.hi < right.lo;
        for (int x = xs.lo; x < xs.hi; x++) {
            if (middle && x == left.hi)
                x = right.lo;
            if (x >= xs.hi)
                break;
            const double d = mien__box_distance(x + 0.5 - cx, dy, half_w, half_h, radius);
            paint(row + 3 * (size_t)x, fabs(d) - half_t, rim, color);
        }
    }
}

void mien_image_draw_dot(mien_image *image, float x, float y, float radius, mien_color color)
{
    if (!image || !isfinite(x) || !isfinite(y) || !isfinite(radius) || radius <= 0)
        return;
    const double rim = rim_of(radius), reach = cut(radius) + rim + 1;
    const span ys = touched(cut(y) - reach, cut(y) + reach, image->height);
    const span xs = touched(cut(x) - reach, cut(x) + reach, image->width);
    for (int j = ys.lo; j < ys.hi; j++) {
        uint8_t *const row = image->pixels + 3 * (size_t)image->width * (size_t)j;
        for (int i = xs.lo; i < xs.hi; i++)
            paint(row + 3 * (size_t)i, hypot(i + 0.5 - cut(x), j + 0.5 - cut(y)) - cut(radius), rim, color);
    }
}
