/* Decoders: from a network's output rows to faces.
 *
 * YuNet (Wu, Peng, Yu, "YuNet: A Tiny Millisecond-level Face Detector", MIR 2023; one anchor point per cell
 * at (column, row) * stride): score sqrt(cls * obj); centre (p + d) * stride, sides exp(d) * stride,
 * landmarks (p + d) * stride. SCRFD (Guo, Deng, Lattas, Zafeiriou, "Sample and Computation Redistribution for
 * Efficient Face Detection", ICLR 2022; two anchors per cell at the same point): distances left, top, right,
 * bottom and landmark offsets, all times the stride, from (column, row) * stride.
 */
#include "detect/detect.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static float unit(float v)
{
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

static float yunet_score(const mien__det_level *l, size_t row)
{
    return sqrtf(unit(l->score[row]) * unit(l->objectness[row]));
}

static void yunet_decode(const mien__det_level *l, int cell, size_t row, mien_face *f)
{
    const float s = (float)l->stride, px = (float)(cell % l->cols), py = (float)(cell / l->cols);
    const float *b = l->box + row * 4, *k = l->landmarks + row * 10;
    const float cx = (px + b[0]) * s, cy = (py + b[1]) * s;
    const float hw = expf(b[2]) * s / 2, hh = expf(b[3]) * s / 2;
    f->x0 = cx - hw;
    f->y0 = cy - hh;
    f->x1 = cx + hw;
    f->y1 = cy + hh;
    for (int i = 0; i < MIEN_LANDMARKS; i++) {
        f->landmarks[i][0] = (px + k[2 * i]) * s;
        f->landmarks[i][1] = (py + k[2 * i + 1]) * s;
    }
}

static float scrfd_score(const mien__det_level *l, size_t row)
{
    return unit(l->score[row]);
}

static void scrfd_decode(const mien__det_level *l, int cell, size_t row, mien_face *f)
{
    const float s = (float)l->stride, px = (float)(cell % l->cols) * s, py = (float)(cell / l->cols) * s;
    const float *b = l->box + row * 4, *k = l->landmarks + row * 10;
    f->x0 = px - b[0] * s;
    f->y0 = py - b[1] * s;
    f->x1 = px + b[2] * s;
    f->y1 = py + b[3] * s;
    for (int i = 0; i < MIEN_LANDMARKS; i++) {
        f->landmarks[i][0] = px + k[2 * i] * s;
        f->landmarks[i][1] = py + k[2 * i + 1] * s;
    }
}

const mien__decoder *mien__decoder_find(const char *name)
{
    static const mien__decoder all[] = {
        { "yunet", 1, true, 0.65f, 14, 480, yunet_decode, yunet_score },
        { "scrfd", 2, false, 0.5f, 14, 240, scrfd_decode, scrfd_score },
    };
    for (size_t i = 0; i < MIEN_COUNTOF(all); i++)
        if (strcmp(all[i].name, name) == 0)
            return &all[i];
    return NULL;
}

/* True when the tensor is `rows` x `columns` whatever axes of one stand around or within. */
static bool has_shape(const mien_tensor_view *t, int64_t rows, int columns)
{
    int64_t elems = 1;
    for (int i = 0; i < t->rank; i++) {
        if (t->dims[i] < 1 || t->dims[i] > rows * columns)
            return false;
        elems *= t->dims[i];
        if (elems > rows * columns)
            return false;
    }
    if (elems != rows * columns || t->rank < 1)
        return false;
    return columns == 1 || t->dims[t->rank - 1] == columns;
}

/* The nth output of that shape, or the one of that name. */
static const float *find_output(const mien_tensor_view *o, size_t n, const char *kind, int stride,
                                int64_t rows, int columns, int nth)
{
    char name[32];
    snprintf(name, sizeof name, "%s_%d", kind, stride);
    for (size_t i = 0; i < n; i++)
        if (strcmp(o[i].name, name) == 0)
            return has_shape(&o[i], rows, columns) ? o[i].data : NULL;
    for (size_t i = 0; i < n; i++)
        if (has_shape(&o[i], rows, columns) && nth-- == 0)
            return o[i].data;
    return NULL;
}

mien_status mien__decoder_bind(const mien__decoder *d, const mien_tensor_view *outputs, size_t n, int net_w,
                               int net_h, mien__det_level ret[MIEN__DET_LEVELS], mien_error *err)
{
    for (int i = 0; i < MIEN__DET_LEVELS; i++) {
        mien__det_level l = { .stride = 8 << i };
        l.cols = net_w / l.stride;
        l.rows = net_h / l.stride;
        const int64_t rows = (int64_t)l.cols * l.rows * d->anchors;
        l.score = find_output(outputs, n, "cls", l.stride, rows, 1, 0);
        l.objectness = d->objectness ? find_output(outputs, n, "obj", l.stride, rows, 1, 1) : NULL;
        l.box = find_output(outputs, n, "bbox", l.stride, rows, 4, 0);
        l.landmarks = find_output(outputs, n, "kps", l.stride, rows, 10, 0);
        if (!l.score || !l.box || !l.landmarks || (d->objectness && !l.objectness))
            return mien__fail(err, MIEN_E_MODEL_SHAPE,
                              "%s detector: no %s output of %lld rows for stride %d (input %d x %d px)",
                              d->name,
                              !l.score       ? "score"
                              : !l.box       ? "box"
                              : !l.landmarks ? "landmark"
                                             : "objectness",
                              (long long)rows, l.stride, net_w, net_h);
        ret[i] = l;
    }
    return MIEN_OK;
}

static bool to_picture(const mien__det_frame *fr, mien_face *f)
{
    f->x0 = (float)(f->x0 * fr->sx + fr->ox);
    f->x1 = (float)(f->x1 * fr->sx + fr->ox);
    f->y0 = (float)(f->y0 * fr->sy + fr->oy);
    f->y1 = (float)(f->y1 * fr->sy + fr->oy);
    float far = fmaxf(fmaxf(fabsf(f->x0), fabsf(f->x1)), fmaxf(fabsf(f->y0), fabsf(f->y1)));
    bool ok = isfinite(f->x0 + f->x1 + f->y0 + f->y1);
    for (int i = 0; i < MIEN_LANDMARKS; i++) {
        float *p = f->landmarks[i];
        p[0] = (float)(p[0] * fr->sx + fr->ox);
        p[1] = (float)(p[1] * fr->sy + fr->oy);
        ok = ok && isfinite(p[0] + p[1]);
        far = fmaxf(far, fmaxf(fabsf(p[0]), fabsf(p[1])));
    }
    return ok && far < 1e6f;
}

mien_status mien__decode_level(const mien__decoder *d, const mien__det_level *l, const mien__det_frame *fr,
                               mien__face_list *out, mien_error *err)
{
    const int cells = l->cols * l->rows;
    for (int cell = 0; cell < cells; cell++) {
        for (int a = 0; a < d->anchors; a++) {
            const size_t row = (size_t)cell * (size_t)d->anchors + (size_t)a;
            const float score = d->score(l, row);
            if (!(score >= fr->min_score))
                continue;
            mien_face f = { .score = score };
            d->decode(l, cell, row, &f);
            if (!to_picture(fr, &f))
                continue;
            const float w = f.x1 - f.x0, h = f.y1 - f.y0;
            const double cx = ((double)f.x0 + f.x1) / 2, cy = ((double)f.y0 + f.y1) / 2;
            if (!(w > 0) || !(h > 0) || (w < h ? w : h) < fr->min_side_px)
                continue;
            if (cx < fr->keep_x0 || cx >= fr->keep_x1 || cy < fr->keep_y0 || cy >= fr->keep_y1)
                continue;
            const mien_status st = mien__face_list_push(out, &f, err);
            if (st)
                return st;
        }
    }
    return MIEN_OK;
}
