/* 3x3 convolution at stride 1 by Winograd F(m x m, 3 x 3), m = 2, 3 or 4 (winograd_transforms.inc.h).
 *
 * Output is cut into m x m tiles, numbered through all images of the batch. Per chunk of tiles: transform the
 * input into V[k][icb][tile] (k = 0 .. (m+2)^2 - 1), then per group of UKR_C output blocks multiply by the
 * micro-kernel into M[k][c][tile] and transform back, with bias, activation and residual on the way to
 * memory.
 *
 * Two ways to share work: where the transformed weights fit the second cache, workers take whole chunks
 * ("own": V per worker); else all workers share one large chunk, so that weights are read once ("shared": V
 * common, tasks are output groups). m is chosen by a cost model of measured constants; neither threads nor
 * the batch enter it, so that they do not show in the result.
 *
 * Weights: head, then [group][k][ic][UKR_C*VB].
 */
#ifndef MIEN_SRC_NN_KERNELS_CONV_WINOGRAD_INC_H
#define MIEN_SRC_NN_KERNELS_CONV_WINOGRAD_INC_H

#include "nn/kernels/conv_common.inc.h"
#include "nn/kernels/winograd_transforms.inc.h"

#define WINO_BYTES_PER_CYCLE 6.5 /* weights past the second cache, one core */

enum {
    WINO_OWN_WEIGHTS = 1100 << 10, /* bytes of U up to which chunks are taken whole */
    WINO_OWN_V = 520 << 10,        /* bytes of V per worker then */
    WINO_SHARED_V = 4 << 20,       /* bytes of V when shared */
    WINO_MIN_CHUNKS = 8,           /* so that a few workers share evenly */
    WINO_PAD = 16,                 /* floats between slabs, against cache sets meeting */
    WINO_IN_TILES = 16,            /* tiles of one task of the input transform */
};

typedef struct wino_geom {
    int m, t, th, tw; /* tile, m + 2, tiles per image */
    int tiles, chunk, chunks;
    bool own;
    int icbs, ocbs, groups;
    int sub, subs;             /* tiles per task of a shared chunk, tasks per group */
    size_t vk, mk;             /* floats from k to k + 1 */
    size_t v_floats, m_floats; /* of one V, one M */
} wino_geom;

static wino_geom wino_geometry(const mien__conv *c, int m)
{
    wino_geom g = { .m = m, .t = m + 2, .th = div_up(c->oh, m), .tw = div_up(c->ow, m) };
    g.icbs = div_up(c->ic, VB), g.ocbs = div_up(c->oc, VB);
    g.groups = div_up(g.ocbs, UKR_C);
    g.tiles = c->n * g.th * g.tw;
    const size_t tt = (size_t)g.t * g.t, tile_bytes = tt * g.icbs * VB * sizeof(float);
    g.own = tt * c->ic * g.ocbs * VB * sizeof(float) <= WINO_OWN_WEIGHTS;
    const int room = max_i(UKR_R, (int)((g.own ? WINO_OWN_V : WINO_SHARED_V) / tile_bytes));
    g.chunks = div_up(g.tiles, room);
    if (g.own && g.chunks < WINO_MIN_CHUNKS)
        g.chunks = min_i(WINO_MIN_CHUNKS, div_up(g.tiles, UKR_R));
    if (g.own && g.chunks < 4) {
        g.own = false;
        g.chunks = 1;
    }
    g.chunk = div_up(g.tiles, g.chunks);
    g.chunks = div_up(g.tiles, g.chunk);
    g.subs = g.own ? 1 : max_i(1, min_i(div_up(WINO_MIN_CHUNKS, g.groups), g.chunk / UKR_R));
    g.sub = div_up(g.chunk, g.subs);
    g.subs = div_up(g.chunk, g.sub);
    g.vk = (size_t)g.icbs * g.chunk * VB + WINO_PAD;
    g.mk = (size_t)UKR_C * g.sub * VB + WINO_PAD;
    g.v_floats = tt * g.vk;
    g.m_floats = tt * g.mk;
    return g;
}

/* Cycles of F(m) on one image, or of the direct kernel for m = 1. */
static double wino_cost(const mien__conv *c, int m)
{
    const double ocbs = div_up(c->oc, VB), icbs = div_up(c->ic, VB);
    const double tt = m == 1 ? 9 : (m + 2) * (m + 2);
    const double tiles = m == 1 ? (double)c->oh * c->ow : (double)div_up(c->oh, m) * div_up(c->ow, m);
    const double fma = tt * tiles * c->ic * ocbs / 2 * VF_REGS * 1.1;
    const double bytes = tt * c->ic * ocbs * VB * sizeof(float);
    const double mem = bytes > (1 << 20) ? bytes / WINO_BYTES_PER_CYCLE : 0;
    const double transform = m == 1 ? 0 : tiles * VF_REGS * tt * (icbs * 3.0 + ocbs * 2.6);
    return (fma > mem ? fma : mem) + transform;
}

static int wino_choose(const mien__conv *c)
{
    int best = 1;
    for (int m = 2; m <= WINO_MAX_M; m++)
        if (wino_cost(c, m) < wino_cost(c, best))
            best = m;
    return best;
}

static bool winograd_plan(const mien__conv *c, mien__conv_plan *p)
{
    if (c->groups != 1 || c->src_plain || c->kh != 3 || c->kw != 3 || c->sh != 1 || c->sw != 1 ||
        c->dh != 1 || c->dw != 1 || !post_supported(&c->post))
        return false;
    const int m = wino_choose(c);
    if (m == 1)
        return false;
    const wino_geom g = wino_geometry(c, m);
    p->algo = ALGO_WINOGRAD;
    p->tune[0] = m;
    p->kernel = m == 2   ? VF_KERNEL("winograd2x2")
                : m == 3 ? VF_KERNEL("winograd3x3")
                         : VF_KERNEL("winograd4x4");
    p->packed_bytes =
        (conv_head_floats(c) + (size_t)g.t * g.t * c->ic * g.groups * UKR_C * VB) * sizeof(float);
    p->scratch_bytes = ((g.own ? p->threads : 1) * g.v_floats + p->threads * g.m_floats) * sizeof(float);
    return true;
}

static void winograd_pack(const mien__conv_plan *p, const mien__conv_weights *w, void *packed)
{
    const mien__conv *const c = &p->c;
    const wino_geom g = wino_geometry(c, p->tune[0]);
    const int tt = g.t * g.t;
    conv_pack_head(c, w, false, packed);
    float *const base = (float *)packed + conv_head_floats(c);
    for (int group = 0; group < g.groups; group++) {
        const int width = min_i(UKR_C, g.ocbs - group * UKR_C) * VB;
        float *const d = base + (size_t)group * tt * c->ic * UKR_C * VB;
        for (int i = 0; i < c->ic; i++)
            for (int v0 = 0; v0 < width; v0 += VB) {
                double w9[9][VB] = { 0 };
                const int o0 = group * UKR_C * VB + v0;
                for (int v = 0; v < min_i(VB, c->oc - o0); v++)
                    for (int t = 0; t < 9; t++)
                        w9[t][v] = w->w[((size_t)(o0 + v) * c->ic + i) * 9 + t];
                wino_filter(g.m, w9, d + (size_t)i * width + v0, (size_t)c->ic * width);
            }
    }
}

typedef struct wino_ctx {
    const mien__conv *c;
    wino_geom g;
    conv_head head;
    post_ctx post;
    const float *src, *res;
    float *dst, *v, *mm;
    int first, count; /* tiles of the shared chunk in work */
} wino_ctx;

VF_INLINE void wino_in_tile(const int M, const float *s, ptrdiff_t row, float *v, size_t vk)
{
    const int T = M + 2;
    vf tmp[WINO_MAX_T][WINO_MAX_T];
    VF_UNROLL for (int x = 0; x < T; x++)
    {
        vf d[WINO_MAX_T], r[WINO_MAX_T];
        VF_UNROLL for (int y = 0; y < T; y++) d[y] = vf_load(s + y * row + x * VB);
        wino_in_1d(M, d, r);
        VF_UNROLL for (int y = 0; y < T; y++) tmp[y][x] = r[y];
    }
    VF_UNROLL for (int y = 0; y < T; y++)
    {
        vf r[WINO_MAX_T];
        wino_in_1d(M, tmp[y], r);
        VF_UNROLL for (int x = 0; x < T; x++) vf_store(v + (size_t)(y * T + x) * vk, r[x]);
    }
}

/* a tile at the border, or with an affine in front: gathered with zeros outside */
static void wino_gather(const wino_ctx *x, const float *plane, int icb, int y0, int x0, float *patch)
{
    const mien__conv *const c = x->c;
    const int t = x->g.t;
    const bool affine_on = c->pre_affine;
    const vf a = vf_load(x->head.pre_scale + icb * VB), b = vf_load(x->head.pre_shift + icb * VB);
    for (int y = 0; y < t; y++)
        for (int i = 0; i < t; i++) {
            const int sy = y0 + y, sx = x0 + i;
            vf v = vf_zero();
            if (sy >= 0 && sy < c->ih && sx >= 0 && sx < c->iw) {
                v = vf_load(plane + ((ptrdiff_t)sy * c->iw + sx) * VB);
                if (affine_on)
                    v = vf_fma(v, a, b);
            }
            vf_store(patch + (y * t + i) * VB, v);
        }
}

/* tiles [first, first + count) of one input block into V, at tile `at` of the chunk */
VF_INLINE void wino_input(const wino_ctx *x, const int M, int icb, int first, int count, int at, float *v)
{
    const mien__conv *const c = x->c;
    const wino_geom *const g = &x->g;
    const int T = M + 2, per_image = g->th * g->tw;
    float patch[WINO_MAX_T * WINO_MAX_T * VB];
    float *d = v + ((size_t)icb * g->chunk + at) * VB;
    for (int i = 0; i < count; i++, d += VB) {
        const int tile = first + i, n = tile / per_image, ty = tile % per_image / g->tw;
        const int y0 = ty * M - c->pt, x0 = (tile % per_image - ty * g->tw) * M - c->pl;
        const float *const plane = x->src + ((ptrdiff_t)n * g->icbs + icb) * c->ih * c->iw * VB;
        if (!c->pre_affine && y0 >= 0 && x0 >= 0 && y0 + T <= c->ih && x0 + T <= c->iw) {
            wino_in_tile(M, plane + ((ptrdiff_t)y0 * c->iw + x0) * VB, (ptrdiff_t)c->iw * VB, d, g->vk);
        } else {
            wino_gather(x, plane, icb, y0, x0, patch);
            wino_in_tile(M, patch, T * VB, d, g->vk);
        }
    }
}

/* tile `at` of M back to pixels of output block ocb */
VF_INLINE void wino_out_tile(const wino_ctx *x, const int M, const float *mp, int tile, int ocb)
{
    const mien__conv *const c = x->c;
    const wino_geom *const g = &x->g;
    const int T = M + 2, per_image = g->th * g->tw, n = tile / per_image, in = tile % per_image;
    const int y0 = in / g->tw * M, x0 = in % g->tw * M, rows = min_i(M, c->oh - y0),
              cols = min_i(M, c->ow - x0);
    const ptrdiff_t at = ((((ptrdiff_t)n * g->ocbs + ocb) * c->oh + y0) * c->ow + x0) * VB;
    const vf bias = vf_load(x->head.bias + ocb * VB), slope = vf_load(x->head.slope + ocb * VB);
    const vf slope2 = vf_load(x->head.slope2 + ocb * VB);
    vf tmp[WINO_MAX_M][WINO_MAX_T];
    VF_UNROLL for (int i = 0; i < T; i++)
    {
        vf d[WINO_MAX_T], r[WINO_MAX_M];
        VF_UNROLL for (int y = 0; y < T; y++) d[y] = vf_load(mp + (size_t)(y * T + i) * g->mk);
        wino_out_1d(M, d, r);
        VF_UNROLL for (int y = 0; y < M; y++) tmp[y][i] = r[y];
    }
    VF_UNROLL for (int y = 0; y < M; y++)
    {
        vf r[WINO_MAX_M];
        if (y >= rows)
            break;
        wino_out_1d(M, tmp[y], r);
        VF_UNROLL for (int i = 0; i < M; i++)
        {
            const ptrdiff_t o = at + ((ptrdiff_t)y * c->ow + i) * VB;
            if (i < cols)
                vf_store(x->dst + o, post_full(&x->post, vf_add(r[i], bias), slope,
                                               x->post.residual ? x->res + o : NULL, slope2));
        }
    }
}

/* one group of output blocks for tiles [at, at + count) of a chunk that starts at tile `first` */
VF_INLINE void wino_multiply(const wino_ctx *x, const int M, int group, int first, int at, int count,
                             const float *v, float *mm)
{
    static const ptrdiff_t no_tap[1] = { 0 };
    const wino_geom *const g = &x->g;
    const int vecs = min_i(UKR_C, g->ocbs - group * UKR_C), blocks = ukr_blocks(count, vecs),
              tt = (M + 2) * (M + 2);
    const size_t ic = (size_t)x->c->ic;
    ukr_args u = { .icb_stride = (ptrdiff_t)g->chunk * VB,
                   .tap = no_tap,
                   .taps = 1,
                   .icbs = g->icbs,
                   .lanes_last = x->c->ic - (g->icbs - 1) * VB,
                   .raw = true,
                   .dst_ocb = (ptrdiff_t)g->sub * VB };
    const float *w = x->head.w + (size_t)group * tt * ic * UKR_C * VB;
    for (int k = 0; k < tt; k++, w += ic * vecs * VB) {
        u.w = w;
        u.src = v + k * g->vk + (size_t)at * VB;
        u.dst = mm + k * g->mk;
        for (int b = 0; b < blocks; b++) {
            const int n = ukr_cut(count, blocks, b);
            ukr_table[n][vecs - 1](&u);
            u.src += n * VB;
            u.dst += n * VB;
        }
    }
    for (int c = 0; c < vecs; c++)
        for (int i = 0; i < count; i++)
            wino_out_tile(x, M, mm + ((size_t)c * g->sub + i) * VB, first + at + i, group * UKR_C + c);
}

#define WINO_DEF(m)                                                                                \
    static void wino_input_##m(const wino_ctx *x, int icb, int first, int count, int at, float *v) \
    {                                                                                              \
        wino_input(x, m, icb, first, count, at, v);                                                \
    }                                                                                              \
    static void wino_multiply_##m(const wino_ctx *x, int group, int first, int at, int count,      \
                                  const float *v, float *mm)                                       \
    {                                                                                              \
        wino_multiply(x, m, group, first, at, count, v, mm);                                       \
    }
WINO_DEF(2)
WINO_DEF(3)
WINO_DEF(4)

typedef void (*wino_input_fn)(const wino_ctx *, int, int, int, int, float *);
typedef void (*wino_multiply_fn)(const wino_ctx *, int, int, int, int, const float *, float *);
static const wino_input_fn wino_input_of[] = { [2] = wino_input_2, [3] = wino_input_3, [4] = wino_input_4 };
static const wino_multiply_fn wino_multiply_of[] = {
    [2] = wino_multiply_2, [3] = wino_multiply_3, [4] = wino_multiply_4
};

static void wino_own_task(void *ctx, size_t task, unsigned worker)
{
    const wino_ctx *const x = ctx;
    const wino_geom *const g = &x->g;
    float *const v = x->v + worker * g->v_floats, *const mm = x->mm + worker * g->m_floats;
    const int first = (int)task * g->chunk, count = min_i(g->chunk, g->tiles - first);
    for (int icb = 0; icb < g->icbs; icb++)
        wino_input_of[g->m](x, icb, first, count, 0, v);
    for (int group = 0; group < g->groups; group++)
        wino_multiply_of[g->m](x, group, first, 0, count, v, mm);
}

static void wino_shared_input_task(void *ctx, size_t task, unsigned worker)
{
    const wino_ctx *const x = ctx;
    const int parts = div_up(x->count, WINO_IN_TILES), at = (int)(task % (size_t)parts) * WINO_IN_TILES;
    (void)worker;
    wino_input_of[x->g.m](x, (int)(task / (size_t)parts), x->first + at, min_i(WINO_IN_TILES, x->count - at),
                          at, x->v);
}

static void wino_shared_multiply_task(void *ctx, size_t task, unsigned worker)
{
    const wino_ctx *const x = ctx;
    const wino_geom *const g = &x->g;
    const int subs = div_up(x->count, g->sub), at = (int)(task % (size_t)subs) * g->sub;
    wino_multiply_of[g->m](x, (int)(task / (size_t)subs), x->first, at, min_i(g->sub, x->count - at), x->v,
                           x->mm + worker * g->m_floats);
}

static void winograd_run(const mien__conv_plan *p, const void *packed, const float *src,
                         const float *residual, float *dst, void *scratch, mien__pool *pool)
{
    const mien__conv *const c = &p->c;
    wino_ctx x = { .c = c,
                   .g = wino_geometry(c, p->tune[0]),
                   .head = conv_head_at(c, packed),
                   .post = post_make(&c->post),
                   .src = src,
                   .res = residual,
                   .dst = dst,
                   .v = scratch };
    const wino_geom *const g = &x.g;
    x.mm = x.v + (g->own ? p->threads : 1) * g->v_floats;
    if (g->own) {
        mien__pool_run(pool, wino_own_task, &x, (size_t)g->chunks);
        return;
    }
    for (x.first = 0; x.first < g->tiles; x.first += g->chunk) {
        x.count = min_i(g->chunk, g->tiles - x.first);
        mien__pool_run(pool, wino_shared_input_task, &x, (size_t)g->icbs * div_up(x.count, WINO_IN_TILES));
        mien__pool_run(pool, wino_shared_multiply_task, &x, (size_t)g->groups * div_up(x.count, g->sub));
    }
}

#endif
