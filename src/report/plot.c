/* Line plots: axes with round ticks, curves, bands, fills.
 *
 * A plot is drawn on a canvas of WIDTH x HEIGHT units that the page scales to its column, so its letters
 * stay readable on a phone. Ticks: the step of 1, 2 or 5 times a power of ten that gives at most
 * TICKS of them (Heckbert 1990, "Nice numbers for graph labels"); powers of ten on logarithmic axes, with
 * 2 and 5 between when the range is short. A curve of many points is shown by at most MAX_POINTS means
 * over equal shares of its points.
 */
#include "report/plot.h"
#include <math.h>
#include <string.h>

enum { WIDTH = 440, HEIGHT = 250, LEFT = 48, RIGHT = 12, TOP = 10, BOTTOM = 40, TICKS = 6, MAX_POINTS = 220 };

typedef struct axis {
    double lo, hi; /* in shown values; logarithms on a logarithmic axis */
    double step;
    mien__scale scale;
    bool any;
} axis;

static bool shown(double v, mien__scale scale)
{
    return isfinite(v) && (scale == MIEN__LINEAR || v > 0);
}

static void include(axis *a, double v)
{
    if (!shown(v, a->scale))
        return;
    if (a->scale == MIEN__LOG)
        v = log10(v);
    a->lo = a->any ? fmin(a->lo, v) : v;
    a->hi = a->any ? fmax(a->hi, v) : v;
    a->any = true;
}

static double nice(double range, int ticks)
{
    const double raw = range / ticks, base = pow(10, floor(log10(raw))), f = raw / base;
    return base * (f <= 1 ? 1 : f <= 2 ? 2 : f <= 5 ? 5 : 10);
}

static void round_out(axis *a, bool tight)
{
    if (a->scale == MIEN__LOG) {
        a->lo = tight ? a->lo : floor(a->lo * 4) / 4;
        a->hi = tight ? a->hi : ceil(a->hi * 4) / 4;
        if (a->hi - a->lo < 0.5)
            a->hi = a->lo + 0.5;
        a->step = ceil((a->hi - a->lo) / TICKS);
        return;
    }
    if (!(a->hi - a->lo > 1e-12 * fmax(fabs(a->hi), 1e-9))) {
        const double pad = fabs(a->hi) > 0 ? fabs(a->hi) * 0.1 : 1;
        a->lo -= a->lo > 0 || a->lo < 0 ? pad : 0;
        a->hi += pad;
    }
    a->step = nice(a->hi - a->lo, TICKS);
    if (!tight) {
        a->lo = floor(a->lo / a->step + 1e-9) * a->step;
        a->hi = ceil(a->hi / a->step - 1e-9) * a->step;
    }
}

static double place(const axis *a, double v)
{
    v = a->scale == MIEN__LOG ? log10(v) : v;
    return (v - a->lo) / (a->hi - a->lo);
}

static double to_x(const axis *a, double v)
{
    return LEFT + place(a, v) * (WIDTH - LEFT - RIGHT);
}

static double to_y(const axis *a, double v)
{
    const double at = place(a, v);
    return HEIGHT - BOTTOM - (at < 0 ? 0 : at > 1 ? 1 : at) * (HEIGHT - TOP - BOTTOM);
}

/* ---- axes ---- */

static void tick_text(double v, mien__text *t)
{
    const double size = fabs(v);
    if (size > 0 && (size >= 1e6 || size < 1e-3))
        mien__text_fmt(t, "%.2g", v);
    else if (size >= 1e4)
        mien__text_fmt(t, "%.4gk", v / 1000);
    else
        mien__text_fmt(t, "%.6g", v);
}

static void tick(const axis *a, double v, bool vertical, mien__text *t)
{
    const double at = vertical ? to_y(a, v) : to_x(a, v);
    if (vertical) {
        mien__text_fmt(t, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", (int)LEFT,
                       WIDTH - RIGHT, at, at);
        mien__text_fmt(t, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">", LEFT - 6, at + 3.5);
    } else {
        mien__text_fmt(t, "<line class=\"axis\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>", at, at,
                       HEIGHT - BOTTOM, HEIGHT - BOTTOM + 4);
        mien__text_fmt(t, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">", at, HEIGHT - BOTTOM + 16);
    }
    tick_text(v, t);
    mien__text_fmt(t, "</text>\n");
}

static void ticks(const axis *a, bool vertical, mien__text *t)
{
    if (a->scale == MIEN__LINEAR) {
        const double first = ceil(a->lo / a->step - 1e-9);
        for (int i = 0; i <= 2 * TICKS && (first + i) * a->step <= a->hi + 1e-9 * a->step; i++)
            tick(a, (first + i) * a->step, vertical, t);
        return;
    }
    static const double between[] = { 1, 2, 5 };
    const size_t n = a->hi - a->lo < 2.6 ? 3 : 1;
    for (int d = (int)floor(a->lo); d <= (int)ceil(a->hi); d += (int)a->step)
        for (size_t i = 0; i < n; i++) {
            const double v = d + log10(between[i]);
            if (v >= a->lo - 1e-9 && v <= a->hi + 1e-9)
                tick(a, pow(10, d) * between[i], vertical, t);
        }
}

static void frame(const mien__plot *p, const axis *x, const axis *y, mien__text *t)
{
    ticks(y, true, t);
    ticks(x, false, t);
    mien__text_fmt(t, "<line class=\"axis\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>", (int)LEFT,
                   WIDTH - RIGHT, HEIGHT - BOTTOM, HEIGHT - BOTTOM);
    mien__text_fmt(t, "<text class=\"name\" x=\"%d\" y=\"%d\" text-anchor=\"end\">", WIDTH - RIGHT,
                   HEIGHT - 6);
    mien__text_html(t, p->x_name);
    mien__text_fmt(t, "</text>\n");
}

/* ---- curves ---- */

typedef struct point {
    double x, y, lo, hi;
    bool gap;
} point;

/* Point k of the curve as it is drawn. */
static point point_of(const mien__plot *p, const mien__curve *c, size_t k, size_t n_drawn)
{
    const size_t begin = k * c->n / n_drawn, end = (k + 1) * c->n / n_drawn;
    point sum = { 0 };
    size_t n = 0;
    for (size_t i = begin; i < end; i++) {
        if (!shown(c->x[i] * p->x_factor, p->x_scale) || !shown(c->y[i] * p->y_factor, p->y_scale))
            continue;
        sum.x += c->x[i] * p->x_factor;
        sum.y += c->y[i] * p->y_factor;
        sum.lo += c->lo ? c->lo[i] * p->y_factor : 0;
        sum.hi += c->hi ? c->hi[i] * p->y_factor : 0;
        n++;
    }
    const double d = n ? (double)n : 1;
    return (point){ sum.x / d, sum.y / d, sum.lo / d, sum.hi / d, n == 0 };
}

static size_t drawn(const mien__curve *c)
{
    return c->mean && c->n > MAX_POINTS ? MAX_POINTS : c->n;
}

static void band(const mien__plot *p, const mien__curve *c, const axis *x, const axis *y, mien__text *t)
{
    mien__text_fmt(t, "<path class=\"band %s\" d=\"", c->style);
    const size_t n = drawn(c);
    size_t put = 0;
    for (size_t i = 0; i < 2 * n; i++) {
        const point a = point_of(p, c, i < n ? i : 2 * n - 1 - i, n);
        const double v = i < n ? a.hi : a.lo;
        if (!a.gap && shown(v, p->y_scale))
            mien__text_fmt(t, "%c%.1f %.1f", put++ ? 'L' : 'M', to_x(x, a.x), to_y(y, v));
    }
    mien__text_fmt(t, "%s\"/>\n", put ? "Z" : "");
}

static void fill(const mien__plot *p, const mien__curve *c, const axis *x, const axis *y, mien__text *t)
{
    const size_t n = drawn(c);
    mien__text_fmt(t, "<path class=\"fill %s\" d=\"M%.1f %d", c->style, to_x(x, point_of(p, c, 0, n).x),
                   HEIGHT - BOTTOM);
    for (size_t i = 0; i < n; i++) {
        const point a = point_of(p, c, i, n);
        if (!a.gap)
            mien__text_fmt(t, "L%.1f %.1f", to_x(x, a.x), to_y(y, a.y));
    }
    mien__text_fmt(t, "L%.1f %dZ\"/>\n", to_x(x, point_of(p, c, n - 1, n).x), HEIGHT - BOTTOM);
}

static void curve(const mien__plot *p, const mien__curve *c, const axis *x, const axis *y, mien__text *t)
{
    if (c->lo && c->hi)
        band(p, c, x, y, t);
    if (c->fill)
        fill(p, c, x, y, t);
    const size_t n = drawn(c);
    bool pen = false;
    mien__text_fmt(t, "<path class=\"line %s\" d=\"", c->style);
    for (size_t i = 0; i < n; i++) {
        const point a = point_of(p, c, i, n);
        if (!a.gap)
            mien__text_fmt(t, "%c%.1f %.1f", pen ? 'L' : 'M', to_x(x, a.x), to_y(y, a.y));
        pen = !a.gap;
    }
    mien__text_fmt(t, "\"/>\n");
    for (size_t i = 0; c->dots && i < n; i++) {
        const point a = point_of(p, c, i, n);
        if (!a.gap)
            mien__text_fmt(t, "<circle class=\"dot %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\"/>\n", c->style,
                           to_x(x, a.x), to_y(y, a.y));
    }
}

/* Targets for the pointer, over all curves; the browser shows their titles, no script is needed. */
static void hover(const mien__plot *p, const mien__curve *c, const axis *x, const axis *y, mien__text *t)
{
    for (size_t i = 0; i < c->n; i++) {
        const point a = point_of(p, c, i, c->n);
        if (a.gap)
            continue;
        mien__text_fmt(t, "<circle class=\"hit\" cx=\"%.1f\" cy=\"%.1f\" r=\"7\"><title>", to_x(x, a.x),
                       to_y(y, a.y));
        mien__text_html(t, c->name);
        mien__text_fmt(t, ": %.3g at %.3g", a.y, a.x);
        if (c->lo && c->hi)
            mien__text_fmt(t, " [%.3g, %.3g]", a.lo, a.hi);
        mien__text_fmt(t, "</title></circle>\n");
    }
}

/* ---- the figure ---- */

static void description(const mien__plot *p, mien__text *t)
{
    for (size_t k = 0; k < p->n_curves; k++) {
        const mien__curve *const c = &p->curves[k];
        if (c->n == 0)
            continue;
        const point a = point_of(p, c, 0, drawn(c)), b = point_of(p, c, drawn(c) - 1, drawn(c));
        mien__text_html(t, c->name);
        if (a.gap || b.gap)
            mien__text_fmt(t, ". ");
        else
            mien__text_fmt(t, ": from %.4g to %.4g. ", a.y, b.y);
    }
}

static void caption(const mien__plot *p, mien__text *t)
{
    mien__text_fmt(t, "<figcaption><strong>");
    mien__text_html(t, p->title);
    mien__text_fmt(t, "</strong> <span class=\"unit\">");
    mien__text_html(t, p->y_name);
    mien__text_fmt(t, "</span>");
    if (p->n_curves > 1) {
        mien__text_fmt(t, "<span class=\"legend\">");
        for (size_t k = 0; k < p->n_curves; k++) {
            mien__text_fmt(t, "<span class=\"key %s\">", p->curves[k].style);
            mien__text_html(t, p->curves[k].name);
            mien__text_fmt(t, "</span> ");
        }
        mien__text_fmt(t, "</span>");
    }
    mien__text_fmt(t, "</figcaption>\n");
}

static void mark(const mien__plot *p, const axis *x, mien__text *t)
{
    const double at = to_x(x, *p->x_mark * p->x_factor);
    if (!(at >= LEFT && at <= WIDTH - RIGHT))
        return;
    const bool left = at > (LEFT + WIDTH) / 2.0;
    mien__text_fmt(t, "<line class=\"mark\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>", at, at, (int)TOP,
                   HEIGHT - BOTTOM);
    mien__text_fmt(t, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">", at + (left ? -5 : 5), TOP + 9,
                   left ? "end" : "start");
    mien__text_html(t, p->mark_name);
    mien__text_fmt(t, "</text>\n");
}

static bool scale_axes(const mien__plot *p, axis *x, axis *y)
{
    *x = (axis){ .scale = p->x_scale };
    *y = (axis){ .scale = p->y_scale };
    for (size_t k = 0; k < p->n_curves; k++) {
        const mien__curve *const c = &p->curves[k];
        const size_t n = drawn(c);
        for (size_t i = 0; i < n; i++) {
            const point a = point_of(p, c, i, n);
            if (a.gap)
                continue;
            include(x, a.x);
            include(y, a.y);
            if (c->lo && c->hi) {
                include(y, a.lo);
                include(y, a.hi);
            }
        }
    }
    if (!x->any || !y->any)
        return false;
    if (p->y_from_zero)
        include(y, 0);
    round_out(x, true);
    round_out(y, false);
    return true;
}

void mien__plot_svg(const mien__plot *p, mien__text *t)
{
    axis x, y;
    if (!scale_axes(p, &x, &y))
        return;
    mien__text_fmt(t, "<figure>");
    caption(p, t);
    mien__text_fmt(
        t, "<svg role=\"img\" viewBox=\"0 0 %d %d\" aria-labelledby=\"%s-t %s-d\"><title id=\"%s-t\">",
        (int)WIDTH, (int)HEIGHT, p->id, p->id, p->id);
    mien__text_html(t, p->title);
    mien__text_fmt(t, "</title><desc id=\"%s-d\">", p->id);
    description(p, t);
    mien__text_fmt(t, "</desc>\n");
    frame(p, &x, &y, t);
    for (size_t k = 0; k < p->n_curves; k++)
        if (p->curves[k].n > 0)
            curve(p, &p->curves[k], &x, &y, t);
    if (p->x_mark)
        mark(p, &x, t);
    for (size_t k = 0; k < p->n_curves; k++)
        if (p->curves[k].hover)
            hover(p, &p->curves[k], &x, &y, t);
    mien__text_fmt(t, "</svg></figure>\n");
}
