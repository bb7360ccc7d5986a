/* Which anchor points stand for which face: SimOTA (Ge et al., "YOLOX: Exceeding YOLO Series in 2021",
 * section 2.1), as YuNet is trained (Wu, Peng, Yu 2023, section 3.3).
 *
 * Candidates for a face are the points in its box or within 2.5 strides of its centre, points at the middle
 * of their cells. A candidate costs
 *     BCE(sqrt(cls obj), 1) + 3 (-log IoU) + 1e5 [not both in the box and near the centre];
 * the face takes its k cheapest, k being the sum of its ten best overlaps, at least 1. A point wanted by two
 * faces goes to the one it is cheaper for. Ties go to the earlier point and the earlier face.
 *
 * Ignored faces take part in nothing; they only mark the free points in their boxes or within a stride of
 * their centres. Points that could have been candidates are told from true background.
 */
#include "train/detect_parts.h"
#include <string.h>

enum { TOP = 10 };
static const double centre_strides = 2.5, iou_weight = 3, outside_cost = 1e5;

/* The best candidates of one face so far. */
typedef struct shortlist {
    double iou[TOP];  /* descending */
    double cost[TOP]; /* ascending */
    int point[TOP];   /* of cost */
    int n;
} shortlist;

static void insert(shortlist *l, double iou, double cost, int point)
{
    int at = l->n < TOP ? l->n : TOP - 1;
    if (l->n < TOP || iou > l->iou[TOP - 1]) {
        int i = at;
        for (; i > 0 && l->iou[i - 1] < iou; i--)
            l->iou[i] = l->iou[i - 1];
        l->iou[i] = iou;
    }
    if (l->n < TOP || cost < l->cost[TOP - 1]) {
        for (; at > 0 && l->cost[at - 1] > cost; at--) {
            l->cost[at] = l->cost[at - 1];
            l->point[at] = l->point[at - 1];
        }
        l->cost[at] = cost;
        l->point[at] = point;
    }
    l->n += l->n < TOP;
}

static double score_cost(const mien__det_maps *m, const mien__det_grid *g, int cell)
{
    const float cls = m->map[g->map[MIEN__DET_CLS]][mien__det_at(g, MIEN__DET_CLS, cell)];
    const float obj = m->map[g->map[MIEN__DET_OBJ]][mien__det_at(g, MIEN__DET_OBJ, cell)];
    return (mien__softplus(-(double)cls) + mien__softplus(-(double)obj)) / 2;
}

static bool in_box(const mien__det_box *b, double x, double y)
{
    return fabs(x - b->cx) < b->w / 2 && fabs(y - b->cy) < b->h / 2;
}

/* Cells whose middle may lie within `reach` px of `at`: [ret_lo, ret_hi). */
static void cell_range(double at, double reach, int stride, int n, int *ret_lo, int *ret_hi)
{
    const double lo = floor((at - reach) / stride - 0.5), hi = ceil((at + reach) / stride + 0.5);
    *ret_lo = lo < 0 ? 0 : lo > n ? n : (int)lo;
    *ret_hi = hi < 0 ? 0 : hi > n ? n : (int)hi;
}

static void look_at_level(const mien__det_maps *m, const mien__det_grid *g, const mien__det_box *truth,
                          int first, shortlist *l)
{
    const double s = g->stride, near = centre_strides * s;
    int x0, x1, y0, y1;
    cell_range(truth->cx, fmax(truth->w / 2, near), g->stride, g->cols, &x0, &x1);
    cell_range(truth->cy, fmax(truth->h / 2, near), g->stride, g->cells / g->cols, &y0, &y1);
    for (int row = y0; row < y1; row++)
        for (int col = x0; col < x1; col++) {
            const double x = (col + 0.5) * s, y = (row + 0.5) * s;
            const bool boxed = in_box(truth, x, y);
            const bool central = fabs(x - truth->cx) < near && fabs(y - truth->cy) < near;
            if (!boxed && !central)
                continue;
            const int cell = row * g->cols + col;
            const mien__det_box b = mien__det_box_at(m, g, cell);
            const double iou = mien__det_iou(&b, truth);
            const double cost =
                score_cost(m, g, cell) - iou_weight * log(iou + 1e-8) + (boxed && central ? 0 : outside_cost);
            if (isfinite(cost))
                insert(l, iou, cost, first + cell);
        }
}

/* Mark the free points in a box or within `strides` of its centre. */
static void mark(const mien__det_grid *g, const mien__det_box *b, double strides, int first, int16_t mark_as,
                 int16_t *target)
{
    const double s = g->stride, rx = fmax(b->w / 2, strides * s), ry = fmax(b->h / 2, strides * s);
    const mien__det_box area = { b->cx, b->cy, 2 * rx, 2 * ry };
    int x0, x1, y0, y1;
    cell_range(b->cx, rx, g->stride, g->cols, &x0, &x1);
    cell_range(b->cy, ry, g->stride, g->cells / g->cols, &y0, &y1);
    for (int row = y0; row < y1; row++)
        for (int col = x0; col < x1; col++) {
            int16_t *const t = &target[first + row * g->cols + col];
            if (*t < 0 && *t != MIEN__ANCHOR_IGNORED && in_box(&area, (col + 0.5) * s, (row + 0.5) * s))
                *t = mark_as;
        }
}

static void mark_all(const mien__det_maps *student, const mien__truth *truths, size_t n, int16_t *target)
{
    for (size_t t = 0; t < n; t++) {
        const mien__det_box box = mien__det_box_of(&truths[t].face);
        const bool ignore = truths[t].ignore;
        for (int level = 0, first = 0; level < MIEN__DET_LEVELS; level++) {
            const mien__det_grid g = mien__det_grid_of(student->width, student->height, 0, level);
            mark(&g, &box, ignore ? 1 : centre_strides, first,
                 ignore ? MIEN__ANCHOR_IGNORED : MIEN__ANCHOR_NEAR, target);
            first += g.cells;
        }
    }
}

static shortlist find_candidates(const mien__det_maps *student, int image, const mien_face *face)
{
    shortlist l = { .n = 0 };
    const mien__det_box box = mien__det_box_of(face);
    for (int level = 0, first = 0; level < MIEN__DET_LEVELS; level++) {
        const mien__det_grid g = mien__det_grid_of(student->width, student->height, image, level);
        look_at_level(student, &g, &box, first, &l);
        first += g.cells;
    }
    return l;
}

int mien__det_assign(const mien__det_maps *student, int image, const mien__truth *truths, size_t n,
                     int16_t *ret_target, float *cost)
{
    const size_t points = mien__det_anchors(student->width, student->height);
    mien_assert(n <= INT16_MAX);
    for (size_t i = 0; i < points; i++)
        ret_target[i] = MIEN__ANCHOR_NONE;
    for (size_t t = 0; t < n; t++) {
        if (truths[t].ignore)
            continue;
        const shortlist l = find_candidates(student, image, &truths[t].face);
        double sum = 0;
        for (int i = 0; i < l.n; i++)
            sum += l.iou[i];
        const int k = sum < 1 ? 1 : (int)(sum + 1e-6);
        for (int i = 0; i < k && i < l.n; i++) {
            const int p = l.point[i];
            if (ret_target[p] >= 0 && cost[p] <= (float)l.cost[i])
                continue;
            ret_target[p] = (int16_t)t;
            cost[p] = (float)l.cost[i];
        }
    }
    int positives = 0;
    for (size_t i = 0; i < points; i++)
        positives += ret_target[i] >= 0;
    mark_all(student, truths, n, ret_target);
    return positives;
}
