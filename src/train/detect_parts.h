/* What the detector's loss files share: walking over anchor points and reading maps at them. */
#ifndef MIEN_SRC_TRAIN_DETECT_PARTS_H
#define MIEN_SRC_TRAIN_DETECT_PARTS_H

#include "train/detect_loss.h"
#include <math.h>

/* One stride of one picture: where its values begin in each kind of map, and how far channels lie apart. */
typedef struct mien__det_grid {
    int stride, cols, cells;
    size_t plane;    /* floats between channels */
    size_t first[4]; /* of this picture, by kind */
    int map[4];      /* by kind */
} mien__det_grid;

static inline mien__det_grid mien__det_grid_of(int width, int height, int image, int level)
{
    const int stride = 8 << level;
    mien__det_grid g = { .stride = stride, .cols = width / stride };
    g.cells = g.cols * (height / stride);
    g.plane = (size_t)g.cells;
    for (int k = 0; k < 4; k++) {
        g.map[k] = mien__det_map_index((mien__det_kind)k, level);
        g.first[k] = (size_t)image * (size_t)mien__det_map_channels((mien__det_kind)k) * g.plane;
    }
    return g;
}

/* Index of channel 0 of a kind at a cell; the next channel lies g->plane further. */
static inline size_t mien__det_at(const mien__det_grid *g, mien__det_kind kind, int cell)
{
    return g->first[kind] + (size_t)cell;
}

/* Sides are cut to e^8 strides: beyond, a wild network would overflow. */
static inline double mien__det_side(double log_side, int stride)
{
    return exp(log_side > 8 ? 8 : log_side) * stride;
}

static inline mien__det_box mien__det_box_at(const mien__det_maps *m, const mien__det_grid *g, int cell)
{
    const float *const b = m->map[g->map[MIEN__DET_BOX]] + mien__det_at(g, MIEN__DET_BOX, cell);
    const int s = g->stride;
    return (mien__det_box){ (cell % g->cols + (double)b[0]) * s, (cell / g->cols + (double)b[g->plane]) * s,
                            mien__det_side((double)b[2 * g->plane], s),
                            mien__det_side((double)b[3 * g->plane], s) };
}

static inline mien__det_box mien__det_box_of(const mien_face *f)
{
    return (mien__det_box){ ((double)f->x0 + f->x1) / 2, ((double)f->y0 + f->y1) / 2, (double)f->x1 - f->x0,
                            (double)f->y1 - f->y0 };
}

/* log(1 + e^z) without overflow */
static inline double mien__softplus(double z)
{
    return z > 0 ? z + log1p(exp(-z)) : log1p(exp(z));
}

static inline double mien__sigmoid(double z)
{
    return z >= 0 ? 1 / (1 + exp(-z)) : exp(z) / (1 + exp(z));
}

#endif
