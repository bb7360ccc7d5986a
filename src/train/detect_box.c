/* Overlap of boxes and the EIoU loss (Zhang et al., "Focal and Efficient IOU Loss for Accurate Bounding Box
 * Regression", 2021, eq. 5):
 *     L = 1 - IoU + |c - c'|^2 / (cw^2 + ch^2) + (w - w')^2 / cw^2 + (h - h')^2 / ch^2,
 * cw, ch the sides of the smallest box around both. Unlike IoU alone it pulls boxes that do not touch. The
 * gradient is complete, that of cw and ch included.
 */
#include "train/detect_parts.h"

/* One axis of both boxes: ends, overlap, span, and how these change with the predicted ends. */
typedef struct axis {
    double size, truth_size, apart; /* sides, centre distance */
    double overlap, span;
    double d_overlap[2], d_span[2]; /* by the lower and the upper end */
} axis;

static axis make_axis(double c, double size, double truth_c, double truth_size)
{
    const double lo = c - size / 2, hi = c + size / 2;
    const double t_lo = truth_c - truth_size / 2, t_hi = truth_c + truth_size / 2;
    axis a = { .size = size, .truth_size = truth_size, .apart = c - truth_c };
    a.overlap = (hi < t_hi ? hi : t_hi) - (lo > t_lo ? lo : t_lo);
    a.span = (hi > t_hi ? hi : t_hi) - (lo < t_lo ? lo : t_lo);
    a.d_overlap[0] = lo > t_lo ? -1 : 0;
    a.d_overlap[1] = hi < t_hi ? 1 : 0;
    a.d_span[0] = lo < t_lo ? -1 : 0;
    a.d_span[1] = hi > t_hi ? 1 : 0;
    return a;
}

double mien__det_iou(const mien__det_box *a, const mien__det_box *b)
{
    const axis x = make_axis(a->cx, a->w, b->cx, b->w), y = make_axis(a->cy, a->h, b->cy, b->h);
    if (!(x.overlap > 0) || !(y.overlap > 0))
        return 0;
    const double shared = x.overlap * y.overlap;
    return shared / (a->w * a->h + b->w * b->h - shared);
}

/* Gradient of the loss by the two ends of axis x, the other axis being y. */
static void by_ends(const axis *x, const axis *y, double shared, double whole, double far2, double d[2])
{
    const double span2 = x->span * x->span, off = x->size - x->truth_size;
    const double diagonal2 = span2 + y->span * y->span;
    for (int e = 0; e < 2; e++) {
        const double sign = e ? 1 : -1;
        const double d_shared = shared > 0 ? x->d_overlap[e] * y->overlap : 0;
        const double d_whole = sign * y->size - d_shared;
        d[e] = -(d_shared * whole - shared * d_whole) / (whole * whole);
        d[e] += x->apart / diagonal2 - far2 / (diagonal2 * diagonal2) * 2 * x->span * x->d_span[e];
        d[e] += 2 * off * sign / span2 - 2 * off * off / (span2 * x->span) * x->d_span[e];
    }
}

double mien__det_eiou(const mien__det_box *pred, const mien__det_box *truth, double d[4])
{
    const axis x = make_axis(pred->cx, pred->w, truth->cx, truth->w);
    const axis y = make_axis(pred->cy, pred->h, truth->cy, truth->h);
    const double shared = x.overlap > 0 && y.overlap > 0 ? x.overlap * y.overlap : 0;
    const double whole = pred->w * pred->h + truth->w * truth->h - shared;
    const double far2 = x.apart * x.apart + y.apart * y.apart;
    const double dw = pred->w - truth->w, dh = pred->h - truth->h;
    double dx[2], dy[2];
    by_ends(&x, &y, shared, whole, far2, dx);
    by_ends(&y, &x, shared, whole, far2, dy);
    d[0] = dx[0] + dx[1];
    d[1] = dy[0] + dy[1];
    d[2] = (dx[1] - dx[0]) / 2;
    d[3] = (dy[1] - dy[0]) / 2;
    return 1 - shared / whole + far2 / (x.span * x.span + y.span * y.span) + dw * dw / (x.span * x.span) +
           dh * dh / (y.span * y.span);
}
