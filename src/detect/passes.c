/* The plan of passes over a picture.
 *
 * Main pass: the picture at scale f <= 1 so that its longer side is at most max_side; where the smallest face
 * asked for would then fall under what the network finds reliably, f is raised until it does not (at most 1),
 * and what passes max_side is cut into tiles that overlap by TILE_OVERLAP_PX. A face belongs to the tile in
 * whose part (up to the middle of the overlap) its centre lies, so it is seen whole up to that size and
 * counted once. Coarse pass: the whole picture once more, so small that a face filling it is COARSE_FACE_PX;
 * needed only when faces could be larger than what the main pass finds reliably. It costs about
 * COARSE_FACE_PX^2 pixels.
 */
#include "detect/detect.h"
#include <math.h>

enum { TILE_OVERLAP_PX = 256, COARSE_FACE_PX = 160 };

static int round_up(int v)
{
    const int s = MIEN__DET_MAX_STRIDE;
    return (v + s - 1) / s * s;
}

static int scaled(int side, double f)
{
    const long v = lrint(side * f);
    return v < 1 ? 1 : (int)v;
}

static void set_full(mien__det_pass *p, int w, int h, double f)
{
    p->full_w = scaled(w, f);
    p->full_h = scaled(h, f);
}

/* Tiles along one side: how many of `tile` px cover `full` px. */
static int tiles_for(int full, int tile)
{
    if (full <= tile)
        return 1;
    const int overlap = TILE_OVERLAP_PX < tile / 2 ? TILE_OVERLAP_PX : tile / 2;
    return 1 + (full - tile + (tile - overlap) - 1) / (tile - overlap);
}

/* The smallest side with which n tiles cover `full` px and overlap enough. */
static int tile_side(int full, int n, int max_side)
{
    const int side = round_up((full + (n - 1) * TILE_OVERLAP_PX + n - 1) / n);
    return side < max_side ? side : max_side;
}

int mien__tile_start(int full, int tile, int n, int i)
{
    return n == 1 ? 0 : (int)((int64_t)(full - tile) * i / (n - 1));
}

static double main_scale(const mien__det_limits *l, const mien_detect_opts *o, int w, int h, int max_w,
                         int max_h)
{
    double f = fmin(1, fmin((double)max_w / w, (double)max_h / h));
    if (o->min_size_px > 0)
        f = fmax(f, fmin(1, (double)l->min_face_px / o->min_size_px));
    return f;
}

void mien__plan_main(const mien__det_limits *l, const mien_detect_opts *o, int w, int h, mien__det_pass *ret)
{
    const int side = o->max_side / MIEN__DET_MAX_STRIDE * MIEN__DET_MAX_STRIDE;
    const int max_w = l->fixed_w ? l->fixed_w : side, max_h = l->fixed_h ? l->fixed_h : side;
    mien__det_pass p = { 0 };
    set_full(&p, w, h, main_scale(l, o, w, h, max_w, max_h));
    p.nx = tiles_for(p.full_w, max_w);
    p.ny = tiles_for(p.full_h, max_h);
    p.net_w = l->fixed_w ? l->fixed_w : tile_side(p.full_w, p.nx, max_w);
    p.net_h = l->fixed_h ? l->fixed_h : tile_side(p.full_h, p.ny, max_h);
    *ret = p;
}

float mien__pass_max_face(const mien__det_limits *l, const mien__det_pass *p)
{
    return p->nx > 1 || p->ny > 1 ? fminf(l->max_face_px, TILE_OVERLAP_PX) : l->max_face_px;
}

bool mien__plan_coarse(const mien__det_limits *l, const mien_detect_opts *o, const mien__det_pass *main_pass,
                       int w, int h, mien__det_pass *ret)
{
    if (!o->two_scale)
        return false;
    const int shorter = main_pass->full_w < main_pass->full_h ? main_pass->full_w : main_pass->full_h;
    if ((float)shorter <= mien__pass_max_face(l, main_pass))
        return false;
    mien__det_pass p = { .nx = 1, .ny = 1 };
    double f = (double)COARSE_FACE_PX / (w < h ? w : h);
    if (l->fixed_w)
        f = fmin(f, (double)l->fixed_w / w);
    if (l->fixed_h)
        f = fmin(f, (double)l->fixed_h / h);
    f = fmin(f, 2048.0 / (w > h ? w : h));
    set_full(&p, w, h, f);
    p.net_w = l->fixed_w ? l->fixed_w : round_up(p.full_w);
    p.net_h = l->fixed_h ? l->fixed_h : round_up(p.full_h);
    *ret = p;
    return true;
}
