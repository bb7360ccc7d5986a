/* What the detector is made of: decoders of network outputs, suppression of doubles, the plan of passes over
 * a picture. Private; the public part is in <mien/face.h>.
 *
 * Decoders and suppression work on numbers alone; only detector.c runs networks.
 */
#ifndef MIEN_SRC_DETECT_H
#define MIEN_SRC_DETECT_H

#include "base/base.h"
#include <mien/face.h>

enum {
    MIEN__DET_LEVELS = 3,            /* strides 8, 16, 32 */
    MIEN__DET_MAX_STRIDE = 32,       /* network sides are multiples of this */
    MIEN__DET_MAX_CANDIDATES = 4096, /* the best ones of a pass that suppression looks at */
};

/* ---- a growable list of faces ---- */
typedef struct mien__face_list {
    mien_face *v;
    size_t n, cap;
} mien__face_list;

mien_status mien__face_list_push(mien__face_list *l, const mien_face *f, mien_error *err);
/* Best first; the order is total: score, then larger box, then upper, then left. */
void mien__face_list_sort(mien__face_list *l);
/* Drop the faces among the first `n` that lie with their centre in a better and at least twice as large face
 * of the rest: parts of a large face that look like small ones. Changes the order. */
void mien__face_list_drop_parts(mien__face_list *l, size_t n);
/* Greedy non-maximum suppression: sorts, keeps the best `max_n` (0: all), then each face whose intersection
 * over union with every kept one is at most max_iou. */
void mien__face_list_suppress(mien__face_list *l, float max_iou, size_t max_n);
float mien__iou(const mien_face *a, const mien_face *b);

/* ---- decoders ---- */
/* One stride's outputs: rows = cells * anchors, row-major by cell. */
typedef struct mien__det_level {
    int stride, cols, rows;
    const float *score;      /* [cells * anchors] */
    const float *objectness; /* same, or NULL */
    const float *box;        /* [cells * anchors][4] */
    const float *landmarks;  /* [cells * anchors][10] */
} mien__det_level;

typedef struct mien__decoder {
    const char *name; /* as in mien_model_info.decoder */
    int anchors;
    bool objectness;
    float min_score;                /* by default: above what pictures without faces reach */
    float min_face_px, max_face_px; /* reliable at network scale, where the model's description is silent */
    /* Decode one row into network px. `score` is set already. */
    void (*decode)(const mien__det_level *l, int cell, size_t row, mien_face *f);
    float (*score)(const mien__det_level *l, size_t row);
} mien__decoder;

const mien__decoder *mien__decoder_find(const char *name); /* NULL when unknown */

/* Find the outputs of each level among `outputs`: by name (cls_8, obj_8, bbox_8, kps_8, ...), else by shape
 * (rows that a stride gives; 1, 4 or 10 columns; scores before objectness). E_MODEL_SHAPE names what is
 * missing. */
mien_status mien__decoder_bind(const mien__decoder *d, const mien_tensor_view *outputs, size_t n, int net_w,
                               int net_h, mien__det_level ret[MIEN__DET_LEVELS], mien_error *err);

/* How network px become picture px, and which faces count. */
typedef struct mien__det_frame {
    double sx, sy, ox, oy;                     /* picture = net * s + o */
    double keep_x0, keep_y0, keep_x1, keep_y1; /* box centres outside (picture px) belong to another tile */
    float min_score, min_side_px;
} mien__det_frame;

/* Append the faces of a level that reach the frame's bounds; scores that are not numbers count as none. */
mien_status mien__decode_level(const mien__decoder *d, const mien__det_level *level,
                               const mien__det_frame *frame, mien__face_list *out, mien_error *err);

/* ---- passes over a picture ---- */
typedef struct mien__det_limits {
    int fixed_w, fixed_h;           /* the network's input, 0 where free */
    float min_face_px, max_face_px; /* reliable at network scale */
} mien__det_limits;

/* The picture resized to full_w x full_h and covered by nx x ny tiles of net_w x net_h. */
typedef struct mien__det_pass {
    int full_w, full_h, net_w, net_h, nx, ny;
} mien__det_pass;

void mien__plan_main(const mien__det_limits *l, const mien_detect_opts *o, int w, int h, mien__det_pass *ret);
/* The largest face, in px of the resized picture, that a pass finds reliably. */
float mien__pass_max_face(const mien__det_limits *l, const mien__det_pass *p);
/* False when the main pass finds the largest faces already. */
bool mien__plan_coarse(const mien__det_limits *l, const mien_detect_opts *o, const mien__det_pass *main_pass,
                       int w, int h, mien__det_pass *ret);
/* First px of tile i of n along a side. */
int mien__tile_start(int full, int tile, int n, int i);

#endif
