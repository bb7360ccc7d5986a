/* The gradient of dense convolution weights: d_w[o][i][tap] = sum over pixels of d_dst[o] src[i].
 *
 * For one tap this is an outer product per pixel, summed: DW_I input lanes (broadcast) x DW_O vectors of
 * output channels stay in registers while a piece of pixels passes. A piece is some rows of a picture, or a
 * few small pictures, about DW_PX pixels, so that its d_dst vectors stay in the first cache under all input
 * lanes and taps; the next piece is fetched meanwhile, a bit per pixel (a fifth off the time of large
 * pictures). Each split of the pieces has a sum of its own, [ocb][icb][tap][lane][VB]; splits are added up in
 * order and turned to plain at the end. Small weights are cut into splits of pixels, large ones into groups
 * of output channels (a sum per split would not fit a cache), by shape alone.
 *
 * A first layer reads plain rows: its "input lanes" are the ic*kh*kw taps, as offsets into a band of the
 * padded picture, which each split copies into scratch of its own.
 */
#ifndef MIEN_SRC_TRAIN_DW_DENSE_INC_H
#define MIEN_SRC_TRAIN_DW_DENSE_INC_H

#include "train/kernels/train_common.inc.h"

/* accumulators, DW_O vectors and a broadcast fit the registers; enough of them to hide the latency */
#if defined(MIEN__VEC_AVX512)
enum { DW_I = 8, DW_O = 2, DW_TAPS = 9 };
#elif defined(MIEN__VEC_SSE2)
enum { DW_I = 2, DW_O = 2, DW_TAPS = 2 };
#else
enum { DW_I = 4, DW_O = 2, DW_TAPS = 4 };
#endif

enum {
    DW_PX = 200,           /* pixels of a piece */
    DW_SUMS = 1 << 20,     /* bytes of all sums that splits may take */
    DW_MAX_FIRST = 4 * 64, /* taps of a first layer */
};

typedef struct dw_geom {
    int taps, ocbs, icbs;
    int rows, row_pieces;   /* output rows of a piece, pieces of a picture */
    int images;             /* pictures of a piece; 1 where row_pieces > 1 */
    int pieces, splits;     /* of the batch */
    int pairs, groups;      /* DW_O-tuples of output blocks of a task, tasks of a split */
    int streams;            /* first layer: taps, rounded up to whole sweeps */
    int band_rows, band_w;  /* first layer: the padded band of a piece */
    size_t sum, band, part; /* floats of one sum, one band, both */
} dw_geom;

static dw_geom dw_geometry(const mien__conv *c)
{
    dw_geom g = { .taps = c->kh * c->kw, .ocbs = div_up(c->oc, VB), .icbs = div_up(c->ic, VB) };
    g.rows = min_i(c->oh, max_i(1, DW_PX / c->ow));
    g.row_pieces = div_up(c->oh, g.rows);
    g.rows = div_up(c->oh, g.row_pieces);
    g.images = g.row_pieces > 1 || c->src_plain ? 1 : max_i(1, min_i(c->n, DW_PX / (c->oh * c->ow)));
    g.pieces = div_up(c->n, g.images) * g.row_pieces;
    if (c->src_plain) {
        g.streams = div_up(c->ic * g.taps, DW_TAPS) * DW_TAPS;
        g.band_rows = (g.rows - 1) * c->sh + (c->kh - 1) * c->dh + 1;
        g.band_w = (c->ow - 1) * c->sw + (c->kw - 1) * c->dw + 1;
        g.sum = (size_t)g.ocbs * g.streams * VB;
        g.band = ((size_t)c->ic * g.band_rows * g.band_w + VB - 1) / VB * VB;
    } else {
        g.sum = (size_t)g.ocbs * g.icbs * g.taps * VB * VB;
    }
    g.part = g.sum + g.band;
    const int pairs = div_up(g.ocbs, DW_O);
    const size_t fit = DW_SUMS / (g.sum * sizeof(float));
    g.splits = max_i(1, min_i(g.pieces, fit < TASKS ? (int)fit : TASKS));
    g.groups = c->src_plain ? 1 : min_i(pairs, div_up(TASKS, g.splits));
    g.pairs = div_up(pairs, g.groups);
    g.groups = div_up(pairs, g.pairs);
    return g;
}

static bool dw_dense_can(const mien__conv *c)
{
    return c->groups == 1 && (!c->src_plain || c->ic * c->kh * c->kw <= DW_MAX_FIRST);
}

typedef struct dw_ctx {
    const mien__conv *c;
    dw_geom g;
    const float *src, *d_dst;
    float *d_w, *scratch;
    ptrdiff_t off[DW_MAX_FIRST + DW_TAPS]; /* first layer */
} dw_ctx;

/* pixels that one sweep adds up: `images` x `rows` x `cols` */
typedef struct dw_sweep {
    const float *src, *d;
    ptrdiff_t src_px, src_row, src_image, d_row, d_image, d_ocb;
    int cols, rows, images;
    const ptrdiff_t *off; /* first layer: where its DW_TAPS lanes lie */
    float *sum;           /* [I][VB], the next output block sum_ocb further on */
    ptrdiff_t sum_ocb;
    const float *ahead; /* fetched meanwhile, ahead_px floats per pixel */
    ptrdiff_t ahead_px, ahead_image;
} dw_sweep;

VF_INLINE void dw_outer(const dw_sweep *s, const int I, const int O, const bool FIRST)
{
    enum { MAX_I = DW_TAPS > DW_I ? DW_TAPS : DW_I };
    vf acc[MAX_I][DW_O];
    ptrdiff_t off[MAX_I];
    VF_UNROLL for (int i = 0; i < I; i++)
    {
        off[i] = FIRST ? s->off[i] : i;
        VF_UNROLL for (int o = 0; o < O; o++) acc[i][o] = vf_zero();
    }
    const ptrdiff_t px = s->src_px, ocb = s->d_ocb, ahead_px = s->ahead_px;
    for (int n = 0; n < s->images; n++) {
        const float *ahead = s->ahead + n * s->ahead_image;
        for (int y = 0; y < s->rows; y++) {
            const float *p = s->src + n * s->src_image + y * s->src_row;
            const float *d = s->d + n * s->d_image + y * s->d_row;
            for (const float *const end = d + (ptrdiff_t)s->cols * VB; d < end;
                 d += VB, p += px, ahead += ahead_px) {
                vf_prefetch(ahead);
                vf dv[DW_O];
                VF_UNROLL for (int o = 0; o < O; o++) dv[o] = vf_load(d + o * ocb);
                VF_UNROLL for (int i = 0; i < I; i++)
                {
                    const vf x = vf_set1(p[off[i]]);
                    VF_UNROLL for (int o = 0; o < O; o++) acc[i][o] = vf_fma(x, dv[o], acc[i][o]);
                }
            }
        }
    }
    VF_UNROLL for (int o = 0; o < O; o++)
    {
        float *const t = s->sum + o * s->sum_ocb;
        VF_UNROLL for (int i = 0; i < I; i++) vf_store(t + i * VB, vf_add(vf_load(t + i * VB), acc[i][o]));
    }
}

static void dw_outer_1(const dw_sweep *s)
{
    dw_outer(s, DW_I, 1, false);
}
static void dw_outer_2(const dw_sweep *s)
{
    dw_outer(s, DW_I, DW_O, false);
}
static void dw_first_1(const dw_sweep *s)
{
    dw_outer(s, DW_TAPS, 1, true);
}
static void dw_first_2(const dw_sweep *s)
{
    dw_outer(s, DW_TAPS, DW_O, true);
}

/* Outputs [*first, *end) of `len` whose source index i*s - pad + tap lies in [0, in). */
static void dw_range(int len, int in, int s, int pad, int tap, int *first, int *end)
{
    const int last = in - 1 + pad - tap;
    *first = min_i(len, div_up(max_i(0, pad - tap), s));
    *end = last < 0 ? *first : max_i(*first, min_i(len, last / s + 1));
}

typedef struct dw_piece {
    int image, images, y0, y1;
    ptrdiff_t next_src, next_d; /* floats to the same place in the piece after this one */
} dw_piece;

static dw_piece dw_piece_at(const dw_ctx *x, int i)
{
    const mien__conv *const c = x->c;
    const dw_geom *const g = &x->g;
    dw_piece p = { .image = i / g->row_pieces * g->images, .y0 = i % g->row_pieces * g->rows };
    const int images = (i + 1) / g->row_pieces * g->images - p.image,
              rows = (i + 1) % g->row_pieces * g->rows - p.y0;
    p.images = min_i(g->images, c->n - p.image);
    p.y1 = min_i(c->oh, p.y0 + g->rows);
    p.next_src = ((ptrdiff_t)images * g->icbs * c->ih + (ptrdiff_t)rows * c->sh) * c->iw * VB;
    p.next_d = ((ptrdiff_t)images * g->ocbs * c->oh + rows) * c->ow * VB;
    return p;
}

/* What sweep `now` of the `sweeps` of a pair of output blocks fetches of the next piece: all sweeps together
 * the pair's own d_dst, and its share of src. */
static void dw_look_ahead(const dw_ctx *x, const dw_piece *p, int ocb, int now, int sweeps, dw_sweep *s)
{
    const mien__conv *const c = x->c;
    const dw_geom *const g = &x->g;
    const int pairs = div_up(g->ocbs, DW_O), pair = ocb / DW_O, own = min_i(DW_O, g->ocbs - ocb);
    const int shared = div_up(max_i(0, g->icbs - pair), pairs), per = div_up(sweeps, own + shared);
    const int chunk = now / per, part = now % per;
    const bool src = chunk >= own;
    const ptrdiff_t plane = src ? (ptrdiff_t)c->ih * c->iw * VB : (ptrdiff_t)c->oh * c->ow * VB;
    if (src) {
        const int icb = min_i(g->icbs - 1, pair + (chunk - own) * pairs);
        s->ahead = x->src + (p->image * (ptrdiff_t)g->icbs + icb) * plane +
                   (ptrdiff_t)p->y0 * c->sh * c->iw * VB + p->next_src;
    } else {
        s->ahead = x->d_dst + (p->image * (ptrdiff_t)g->ocbs + ocb + chunk) * plane +
                   (ptrdiff_t)p->y0 * c->ow * VB + p->next_d;
    }
    s->ahead_px = div_up(VB * (src ? c->sh * c->sw : 1), per);
    s->ahead_image = src ? s->src_image : s->d_image;
    s->ahead += part * s->ahead_px * s->cols * s->rows;
}

/* one tap of one pair of output blocks and one input block over a piece */
static void dw_tap(const dw_ctx *x, const dw_piece *p, int ocb, int icb, int tap, float *sum)
{
    const mien__conv *const c = x->c;
    const dw_geom *const g = &x->g;
    const int ky = tap / c->kw * c->dh, kx = tap % c->kw * c->dw;
    int ya, yb, xa, xb;
    dw_range(c->oh, c->ih, c->sh, c->pt, ky, &ya, &yb);
    dw_range(c->ow, c->iw, c->sw, c->pl, kx, &xa, &xb);
    ya = max_i(ya, p->y0), yb = min_i(yb, p->y1);
    if (ya >= yb || xa >= xb)
        return;
    const ptrdiff_t in = (ptrdiff_t)c->ih * c->iw * VB, out = (ptrdiff_t)c->oh * c->ow * VB;
    dw_sweep s = { .src_px = (ptrdiff_t)c->sw * VB,
                   .src_row = (ptrdiff_t)c->sh * c->iw * VB,
                   .src_image = g->icbs * in,
                   .d_row = (ptrdiff_t)c->ow * VB,
                   .d_image = g->ocbs * out,
                   .d_ocb = out,
                   .cols = xb - xa,
                   .rows = yb - ya,
                   .images = p->images,
                   .sum_ocb = (ptrdiff_t)g->icbs * g->taps * VB * VB };
    s.src = x->src + (p->image * (ptrdiff_t)g->icbs + icb) * in +
            ((ptrdiff_t)(ya * c->sh - c->pt + ky) * c->iw + xa * c->sw - c->pl + kx) * VB;
    s.d = x->d_dst + (p->image * (ptrdiff_t)g->ocbs + ocb) * out + ((ptrdiff_t)ya * c->ow + xa) * VB;
    if (s.cols * s.src_px == s.src_row && s.cols == c->ow) /* rows follow each other without a gap */
        s.cols *= s.rows, s.rows = 1;
    const int lanes = min_i(VB, c->ic - icb * VB), sweeps = div_up(min_i(VB, c->ic), DW_I);
    for (int i = 0; i < lanes; i += DW_I, s.src += DW_I) {
        s.sum = sum + (((ptrdiff_t)ocb * g->icbs + icb) * g->taps + tap) * VB * VB + i * VB;
        dw_look_ahead(x, p, ocb, (icb * g->taps + tap) * sweeps + i / DW_I, g->icbs * g->taps * sweeps, &s);
        (ocb + 1 < g->ocbs ? dw_outer_2 : dw_outer_1)(&s);
    }
}

static void dw_dense_task(void *ctx, size_t task, unsigned worker)
{
    const dw_ctx *const x = ctx;
    const dw_geom *const g = &x->g;
    const int split = (int)task / g->groups, group = (int)task % g->groups;
    const int ocb0 = group * g->pairs * DW_O, ocb1 = min_i(g->ocbs, ocb0 + g->pairs * DW_O);
    float *const sum = x->scratch + split * g->part;
    const size_t per_ocb = g->sum / g->ocbs;
    (void)worker;
    memset(sum + ocb0 * per_ocb, 0, (ocb1 - ocb0) * per_ocb * sizeof *sum);
    const int end = (int)((int64_t)g->pieces * (split + 1) / g->splits);
    for (int i = (int)((int64_t)g->pieces * split / g->splits); i < end; i++) {
        const dw_piece p = dw_piece_at(x, i);
        for (int ocb = ocb0; ocb < ocb1; ocb += DW_O)
            for (int icb = 0; icb < g->icbs; icb++)
                for (int t = 0; t < g->taps; t++)
                    dw_tap(x, &p, ocb, icb, t, sum);
    }
}

/* the sum of all splits into the first's place */
static void dw_add_splits(const dw_ctx *x, size_t at, size_t floats)
{
    float *const to = x->scratch + at;
    for (int s = 1; s < x->g.splits; s++) {
        const float *const from = to + s * x->g.part;
        for (size_t i = 0; i < floats; i += VB)
            vf_store(to + i, vf_add(vf_load(to + i), vf_load(from + i)));
    }
}

static void dw_dense_finish(void *ctx, size_t task, unsigned worker)
{
    const dw_ctx *const x = ctx;
    const dw_geom *const g = &x->g;
    const int ocb = (int)task / g->icbs, icb = (int)task % g->icbs, lanes = min_i(VB, x->c->ic - icb * VB);
    const size_t floats = (size_t)g->taps * VB * VB, at = task * floats;
    (void)worker;
    dw_add_splits(x, at, floats);
    for (int v = 0; v < min_i(VB, x->c->oc - ocb * VB); v++) {
        float *const w = x->d_w + ((size_t)(ocb * VB + v) * x->c->ic + icb * VB) * g->taps;
        const float *const sum = x->scratch + at + v;
        for (int i = 0; i < lanes; i++)
            for (int t = 0; t < g->taps; t++)
                w[i * g->taps + t] = sum[(t * VB + i) * VB];
    }
}

/* ---- first layer ---- */

/* source rows of output rows [y0, ...) with zeros around them */
static void dw_first_band(const dw_ctx *x, int image, int y0, float *band)
{
    const mien__conv *const c = x->c;
    const dw_geom *const g = &x->g;
    const int left = min_i(c->pl, g->band_w), cols = max_i(0, min_i(c->iw, g->band_w - left));
    for (int i = 0; i < c->ic; i++)
        for (int r = 0; r < g->band_rows; r++, band += g->band_w) {
            const int y = y0 * c->sh - c->pt + r;
            memset(band, 0, (size_t)g->band_w * sizeof *band);
            if (y >= 0 && y < c->ih)
                memcpy(band + left, x->src + (((size_t)image * c->ic + i) * c->ih + y) * c->iw,
                       (size_t)cols * sizeof *band);
        }
}

static void dw_first_task(void *ctx, size_t split, unsigned worker)
{
    const dw_ctx *const x = ctx;
    const mien__conv *const c = x->c;
    const dw_geom *const g = &x->g;
    float *const sum = x->scratch + split * g->part, *const band = sum + g->sum;
    const ptrdiff_t out = (ptrdiff_t)c->oh * c->ow * VB;
    (void)worker;
    memset(sum, 0, g->sum * sizeof *sum);
    const int end = (int)((int64_t)g->pieces * (int)(split + 1) / g->splits);
    for (int i = (int)((int64_t)g->pieces * (int)split / g->splits); i < end; i++) {
        const dw_piece p = dw_piece_at(x, i);
        dw_first_band(x, p.image, p.y0, band);
        dw_sweep s = { .src = band,
                       .src_px = c->sw,
                       .src_row = (ptrdiff_t)c->sh * g->band_w,
                       .d_row = (ptrdiff_t)c->ow * VB,
                       .d_ocb = out,
                       .cols = c->ow,
                       .rows = p.y1 - p.y0,
                       .images = 1,
                       .sum_ocb = (ptrdiff_t)g->streams * VB };
        for (int ocb = 0; ocb < g->ocbs; ocb += DW_O) {
            s.d = x->d_dst + (p.image * (ptrdiff_t)g->ocbs + ocb) * out + (ptrdiff_t)p.y0 * c->ow * VB;
            for (int t = 0; t < g->streams; t += DW_TAPS) {
                s.off = x->off + t;
                s.sum = sum + ((ptrdiff_t)ocb * g->streams + t) * VB;
                const int sweep = t / DW_TAPS; /* one fetches the first block ahead, the next the second */
                s.ahead = sweep < DW_O ? s.d + p.next_d + sweep * out : band;
                s.ahead_px = sweep < DW_O ? VB : 0;
                (ocb + 1 < g->ocbs ? dw_first_2 : dw_first_1)(&s);
            }
        }
    }
}

static void dw_first(dw_ctx *x, mien__pool *pool)
{
    const mien__conv *const c = x->c;
    const dw_geom *const g = &x->g;
    const int taps = c->ic * g->taps;
    for (int t = 0; t < taps; t++) {
        const int i = t / g->taps, ky = t % g->taps / c->kw * c->dh, kx = t % c->kw * c->dw;
        x->off[t] = ((ptrdiff_t)i * g->band_rows + ky) * g->band_w + kx;
    }
    mien__pool_run(pool, dw_first_task, x, (size_t)g->splits);
    dw_add_splits(x, 0, g->sum);
    for (int o = 0; o < c->oc; o++)
        for (int t = 0; t < taps; t++)
            x->d_w[o * taps + t] = x->scratch[((size_t)(o / VB) * g->streams + t) * VB + o % VB];
}

static size_t dw_dense_scratch(const mien__conv *c)
{
    const dw_geom g = dw_geometry(c);
    return (size_t)g.splits * g.part * sizeof(float);
}

static void dw_dense(const mien__conv *c, const float *src, const float *d_dst, float *d_w, void *scratch,
                     mien__pool *pool)
{
    dw_ctx x = { .c = c, .g = dw_geometry(c), .src = src, .d_dst = d_dst, .d_w = d_w, .scratch = scratch };
    if (c->src_plain) {
        dw_first(&x, pool);
        return;
    }
    mien__pool_run(pool, dw_dense_task, &x, (size_t)x.g.splits * x.g.groups);
    mien__pool_run(pool, dw_dense_finish, &x, (size_t)x.g.ocbs * x.g.icbs);
}

#endif
