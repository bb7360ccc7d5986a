/* Dense convolution of any kernel, stride, dilation and padding, without lowering: the micro-kernel walks
 * kernel taps as offsets into the source.
 *
 * Where the source cannot be read in place (padding, column stride, affine in front) it is first copied to
 * scratch: zero border, and columns of a stride split into phases, so that pixels of one tap lie side by side
 * again; by bands of rows within each task where all weights stay cached, else whole before the first task.
 * 1x1 is the same with one tap and the picture flattened to pseudo-rows. A plain source (first layer) is a
 * source of ic*kh*kw taps of one lane; at a column stride of 1 or 2 it is read in place, and only pixels
 * whose taps leave the picture are computed from a patch with zeros around.
 *
 * Weights: [group of UKR_C output blocks][icb][tap][lane][UKR_C*VB], only lanes that carry channels.
 */
#ifndef MIEN_SRC_NN_KERNELS_CONV_DIRECT_INC_H
#define MIEN_SRC_NN_KERNELS_CONV_DIRECT_INC_H

#include "nn/kernels/conv_common.inc.h"

enum {
    DIRECT_MAX_TAPS = 512,
    DIRECT_COPY_ROWS = 16,      /* rows of one copying task */
    DIRECT_TASK_MACS = 3 << 20, /* work of one task, about 40 us */
    DIRECT_WEIGHTS_IN_L2 =
        640 << 10,            /* bytes; above, a group of outputs keeps its weights while pixels pass */
    DIRECT_SCRATCH = 8 << 20, /* images copied together share this */
};

typedef struct direct_geom {
    bool copy, fold, flat, dual;
    bool patch; /* plain source in place: patches at the borders */
    bool own;   /* each task copies the rows it needs, to its worker's scratch */
    int ps;     /* floats between pixels: VB, or 1 or 2 */
    int planes; /* input blocks, or channels of a plain source */
    int phases, wq, hp, row_step,
        row_mul;                 /* of the copy: column phases, columns per phase, rows, source step */
    ptrdiff_t row, plane, image; /* floats, of what the micro-kernel reads */
    ptrdiff_t patch_row;         /* floats of a patch of UKR_MOST pixels: [ic][kh][patch_row] */
    int rows, row_len;           /* output rows as walked; the last may be short when flat */
    int images;                  /* copied at a time */
    int taps, icbs;              /* as the micro-kernel sees them */
    int groups, chunk, chunks;   /* of output blocks; rows per task; tasks per image (and group) */
    bool outer_groups;
} direct_geom;

static direct_geom direct_geometry(const mien__conv *c)
{
    direct_geom g = { 0 };
    const bool padded = conv_is_padded(c), plain = c->src_plain;
    g.patch = plain && c->sw <= 2;
    g.copy = !g.patch && (padded || c->sw > 1 || (c->sh > 1 && c->kh == 1));
    g.fold = c->pre_affine && !padded;
    g.ps = !plain ? VB : g.patch ? c->sw : 1;
    g.planes = plain ? c->ic : div_up(c->ic, VB);
    if (g.copy) {
        g.row_step = c->kh == 1 ? c->sh : 1;
        g.row_mul = c->kh == 1 ? 1 : c->sh;
        g.hp = c->kh == 1 ? c->oh : (c->oh - 1) * c->sh + (c->kh - 1) * c->dh + 1;
        g.phases = c->kw == 1 ? 1 : c->sw;
        g.wq = c->kw == 1 ? c->ow : div_up((c->ow - 1) * c->sw + (c->kw - 1) * c->dw + 1, c->sw);
    } else {
        g.row_mul = c->sh;
        g.hp = c->ih, g.phases = 1, g.wq = c->iw;
    }
    g.row = (ptrdiff_t)g.phases * g.wq * (plain ? 1 : VB);
    g.flat = c->kh == 1 && c->kw == 1 && !g.patch && (g.copy || c->iw == c->ow);
    g.rows = c->oh, g.row_len = c->ow;
    if (g.flat) {
        g.row_len = min_i(4 * UKR_R, c->oh * c->ow);
        g.rows = div_up(c->oh * c->ow, g.row_len);
    }
    g.dual = !g.flat && !plain && c->ow <= UKR_R / 2 && c->oh > 1;
    g.taps = c->kh * c->kw * (plain ? c->ic : 1);
    g.icbs = plain ? 1 : g.planes;
    g.groups = div_up(div_up(c->oc, VB), UKR_C);
    const size_t bytes = (size_t)c->ic * c->kh * c->kw * c->oc * sizeof(float);
    g.outer_groups = bytes > DIRECT_WEIGHTS_IN_L2;
    const double macs = (double)g.row_len * c->ic * c->kh * c->kw * (g.outer_groups ? UKR_C * VB : c->oc);
    g.chunk = max_i(1, min_i(g.rows, (int)(DIRECT_TASK_MACS / macs)));
    if (g.dual)
        g.chunk += g.chunk & 1;
    g.chunks = div_up(g.rows, g.chunk);
    g.own = g.copy && !g.outer_groups && !g.flat && g.chunks > 1;
    if (g.own)
        g.hp = (g.chunk - 1) * g.row_mul + (c->kh - 1) * c->dh + 1;
    g.plane = g.hp * g.row;
    g.patch_row = (ptrdiff_t)(UKR_MOST - 1) * c->sw + (c->kw - 1) * c->dw + 1;
    g.image = g.planes * g.plane;
    const double image_bytes = (double)g.image * sizeof(float);
    g.images = g.copy && !g.own ? max_i(1, min_i(c->n, (int)(DIRECT_SCRATCH / image_bytes))) : c->n;
    return g;
}

static ptrdiff_t direct_patch_floats(const mien__conv *c, const direct_geom *g)
{
    return c->ic * c->kh * g->patch_row;
}

static bool direct_plan(const mien__conv *c, mien__conv_plan *p)
{
    if (c->groups != 1 || c->kh * c->kw * (c->src_plain ? c->ic : 1) > DIRECT_MAX_TAPS ||
        !post_supported(&c->post) || (c->src_plain && c->pre_affine && conv_is_padded(c)))
        return false;
    const direct_geom g = direct_geometry(c);
    p->algo = ALGO_DIRECT;
    p->kernel = c->src_plain ? VF_KERNEL("first") : g.flat ? VF_KERNEL("pointwise") : VF_KERNEL("direct");
    p->packed_bytes =
        (conv_head_floats(c) + (size_t)c->ic * c->kh * c->kw * g.groups * UKR_C * VB) * sizeof(float);
    p->scratch_bytes = g.copy    ? (g.own ? p->threads : (size_t)g.images) * (size_t)g.image * sizeof(float)
                       : g.patch ? p->threads * (size_t)direct_patch_floats(c, &g) * sizeof(float)
                                 : 0;
    return true;
}

static void direct_pack(const mien__conv_plan *p, const mien__conv_weights *w, void *packed)
{
    const mien__conv *const c = &p->c;
    const direct_geom g = direct_geometry(c);
    conv_pack_head(c, w, g.fold, packed);
    float *d = (float *)packed + conv_head_floats(c);
    const int taps = c->kh * c->kw, ib_len = c->src_plain ? 1 : VB;
    for (int group = 0; group < g.groups; group++) {
        const int vecs = min_i(UKR_C, div_up(c->oc, VB) - group * UKR_C);
        for (int i0 = 0; i0 < c->ic; i0 += ib_len)
            for (int t = 0; t < taps; t++)
                for (int i = i0; i < min_i(i0 + ib_len, c->ic); i++)
                    for (int v = 0; v < vecs * VB; v++) {
                        const int o = group * UKR_C * VB + v;
                        float x = o < c->oc ? w->w[((size_t)o * c->ic + i) * taps + t] : 0.0f;
                        if (g.fold && w->pre_scale)
                            x *= w->pre_scale[i];
                        *d++ = x;
                    }
    }
}

typedef struct direct_run_ctx {
    const mien__conv *c;
    direct_geom g;
    conv_head head;
    post_ctx post;
    const float *src; /* of the first image of this round */
    float *scratch;
    const float *from; /* what the micro-kernel reads: scratch or src */
    ptrdiff_t from_image;
    const float *res;
    float *dst;
    int images;
    ptrdiff_t tap[DIRECT_MAX_TAPS], patch_tap[DIRECT_MAX_TAPS];
} direct_run_ctx;

/* one row of one phase: zeros where outside, affine where inside */
static void direct_copy_row(const direct_run_ctx *x, const float *src, int plane, int phase, float *dst)
{
    const mien__conv *const c = x->c;
    const int wq = x->g.wq, ps = x->g.ps;
    /* column q of the phase is source column q*sw + phase - pl */
    const int first = min_i(wq, max_i(0, div_up(max_i(0, c->pl - phase), c->sw)));
    const int last = c->iw - 1 + c->pl - phase; /* may be negative: nothing inside */
    const int end = last < 0 ? first : max_i(first, min_i(wq, last / c->sw + 1));
    memset(dst, 0, (size_t)first * ps * sizeof *dst);
    memset(dst + (ptrdiff_t)end * ps, 0, (size_t)(wq - end) * ps * sizeof *dst);
    const float *s = src + ((ptrdiff_t)first * c->sw + phase - c->pl) * ps;
    if (ps == 1 && c->sw == 2) { /* a stride the compiler can turn into shuffles */
        float *const d = dst + first;
        for (int q = 0; q < end - first; q++)
            d[q] = s[2 * q];
    } else if (ps == 1) {
        for (int q = first; q < end; q++, s += c->sw)
            dst[q] = *s;
    } else if (c->pre_affine && !x->g.fold) {
        const vf a = vf_load(x->head.pre_scale + plane * VB), b = vf_load(x->head.pre_shift + plane * VB);
        for (int q = first; q < end; q++, s += (ptrdiff_t)c->sw * VB)
            vf_store(dst + (ptrdiff_t)q * VB, vf_fma(vf_load(s), a, b));
    } else {
        for (int q = first; q < end; q++, s += (ptrdiff_t)c->sw * VB)
            vf_store(dst + (ptrdiff_t)q * VB, vf_load(s));
    }
}

/* rows [first, end) of one plane of the padded picture; dst holds row `first` first */
static void direct_copy_rows(const direct_run_ctx *x, int image, int plane, int first, int end, float *dst)
{
    const mien__conv *const c = x->c;
    const direct_geom *const g = &x->g;
    const float *const src = x->src + ((ptrdiff_t)image * g->planes + plane) * c->ih * c->iw * g->ps;
    for (int r = first; r < end; r++) {
        const int y = r * g->row_step - c->pt;
        for (int ph = 0; ph < g->phases; ph++, dst += (ptrdiff_t)g->wq * g->ps) {
            if (y < 0 || y >= c->ih)
                memset(dst, 0, (size_t)g->wq * g->ps * sizeof *dst);
            else
                direct_copy_row(x, src + (ptrdiff_t)y * c->iw * g->ps, plane, ph, dst);
        }
    }
}

static void direct_copy_task(void *ctx, size_t task, unsigned worker)
{
    const direct_run_ctx *const x = ctx;
    const direct_geom *const g = &x->g;
    (void)worker;
    const int chunks = div_up(g->hp, DIRECT_COPY_ROWS),
              first = (int)(task % (size_t)chunks) * DIRECT_COPY_ROWS;
    const int plane = (int)(task / (size_t)chunks) % g->planes,
              image = (int)(task / (size_t)chunks) / g->planes;
    direct_copy_rows(x, image, plane, first, min_i(g->hp, first + DIRECT_COPY_ROWS),
                     x->scratch + image * g->image + plane * g->plane + first * g->row);
}

/* What n pixels from (row, col) on read of a plain source, zeros where it ends. */
static void direct_cut_patch(const direct_run_ctx *x, const float *from, int row, int col, int n,
                             float *patch)
{
    const mien__conv *const c = x->c;
    const int left = col * c->sw - c->pl, width = (n - 1) * c->sw + (c->kw - 1) * c->dw + 1;
    const int first = min_i(width, max_i(0, -left)), end = max_i(first, min_i(width, c->iw - left));
    for (int i = 0; i < c->ic; i++)
        for (int ky = 0; ky < c->kh; ky++, patch += x->g.patch_row) {
            const int y = row * c->sh - c->pt + ky * c->dh;
            memset(patch, 0, (size_t)width * sizeof *patch);
            if (y >= 0 && y < c->ih)
                memcpy(patch + first, from + i * x->g.plane + (ptrdiff_t)y * c->iw + left + first,
                       (size_t)(end - first) * sizeof *patch);
        }
}

/* one row of a plain source that is read in place; u: at its first pixel, but for the source */
static void direct_row_plain(const direct_run_ctx *x, const float *from, int row, int vecs, ukr_args *u,
                             float *patch)
{
    const mien__conv *const c = x->c;
    const ukr_fn *const table = c->sw == 1 ? &ukr_table_plain[0][vecs - 1] : &ukr_table_other[0][vecs - 1];
    const int top = row * c->sh - c->pt, blocks = ukr_blocks(c->ow, vecs);
    const bool inside = top >= 0 && top + (c->kh - 1) * c->dh < c->ih;
    for (int b = 0, col = 0; b < blocks; b++) {
        const int n = ukr_cut(c->ow, blocks, b), left = col * c->sw - c->pl;
        if (inside && left >= 0 && left + (n - 1) * c->sw + (c->kw - 1) * c->dw < c->iw) {
            u->tap = x->tap;
            u->src = from + (ptrdiff_t)top * c->iw + left;
        } else {
            direct_cut_patch(x, from, row, col, n, patch);
            u->tap = x->patch_tap;
            u->src = patch;
        }
        table[n * UKR_C](u);
        u->dst += n * VB;
        if (u->res)
            u->res += n * VB;
        col += n;
    }
}

/* one output row (or pair of rows) of one group of output blocks */
static void direct_row(const direct_run_ctx *x, const float *from, int image, int row, int group,
                       float *patch)
{
    const mien__conv *const c = x->c;
    const direct_geom *const g = &x->g;
    const ptrdiff_t hw = (ptrdiff_t)c->oh * c->ow;
    const int ocbs = div_up(c->oc, VB), vecs = min_i(UKR_C, ocbs - group * UKR_C);
    const ptrdiff_t at = (((ptrdiff_t)image * ocbs + group * UKR_C) * hw + (ptrdiff_t)row * g->row_len) * VB;
    const size_t k = (size_t)c->ic * c->kh * c->kw;
    ukr_args u = { .seg = g->row_mul * g->row,
                   .icb_stride = g->plane,
                   .tap = x->tap,
                   .taps = g->taps,
                   .icbs = g->icbs,
                   .lanes_last = c->ic - (g->icbs - 1) * VB,
                   .post = &x->post,
                   .dst_ocb = hw * VB,
                   .dst_seg = (ptrdiff_t)c->ow * VB };
    const int oc0 = group * UKR_C * VB;
    u.w = x->head.w + (size_t)group * k * UKR_C * VB;
    u.bias = x->head.bias + oc0, u.slope = x->head.slope + oc0, u.slope2 = x->head.slope2 + oc0;
    if (g->patch) {
        u.dst = x->dst + at;
        u.res = x->res ? x->res + at : NULL;
        direct_row_plain(x, from, row, vecs, &u, patch);
        return;
    }
    u.src = from + (g->flat ? (ptrdiff_t)row * g->row_len * g->ps : (ptrdiff_t)row * g->row_mul * g->row);
    u.dst = x->dst + at;
    u.res = x->res ? x->res + at : NULL;
    if (g->dual && row + 1 < c->oh) {
        ukr_table_dual[c->ow][vecs - 1](&u);
        return;
    }
    const int len = g->flat ? min_i(g->row_len, (int)hw - row * g->row_len) : g->row_len,
              blocks = ukr_blocks(len, vecs);
    for (int b = 0; b < blocks; b++) {
        const int n = ukr_cut(len, blocks, b);
        (g->ps == 1 ? ukr_table_plain : ukr_table)[n][vecs - 1](&u);
        u.src += n * g->ps;
        u.dst += n * VB;
        if (u.res)
            u.res += n * VB;
    }
}

static void direct_task(void *ctx, size_t task, unsigned worker)
{
    const direct_run_ctx *const x = ctx;
    const direct_geom *const g = &x->g;
    const size_t per_group = (size_t)x->images * g->chunks;
    const int first = g->outer_groups ? (int)(task / per_group) : 0;
    const int groups = g->outer_groups ? first + 1 : g->groups;
    const int image = (int)(task % per_group) / g->chunks, chunk = (int)(task % per_group) % g->chunks;
    const int row0 = chunk * g->chunk, end = min_i(g->rows, row0 + g->chunk);
    const float *from = x->from + image * x->from_image;
    float *const patch = g->patch ? x->scratch + (ptrdiff_t)worker * direct_patch_floats(x->c, g) : NULL;
    if (g->own) {
        float *const band = x->scratch + worker * (size_t)g->image;
        const int top = row0 * g->row_mul,
                  rows = (end - 1 - row0) * g->row_mul + (x->c->kh - 1) * x->c->dh + 1;
        for (int plane = 0; plane < g->planes; plane++)
            direct_copy_rows(x, image, plane, top, top + rows, band + plane * g->plane);
        from = band - (ptrdiff_t)top * g->row;
    }
    for (int row = row0; row < end; row += g->dual ? 2 : 1)
        for (int group = first; group < groups; group++)
            direct_row(x, from, image, row, group, patch);
}

static void direct_taps(direct_run_ctx *x)
{
    const mien__conv *const c = x->c;
    const direct_geom *const g = &x->g;
    int n = 0;
    for (int i = 0; i < (c->src_plain ? c->ic : 1); i++)
        for (int ky = 0; ky < c->kh; ky++)
            for (int kx = 0; kx < c->kw; kx++) {
                const int col = kx * c->dw;
                const ptrdiff_t q = g->phases > 1 ? (ptrdiff_t)(col % c->sw) * g->wq + col / c->sw : col;
                const ptrdiff_t step = c->src_plain ? 1 : VB;
                x->patch_tap[n] = (i * c->kh + ky) * g->patch_row + col;
                x->tap[n++] = i * g->plane + (ptrdiff_t)ky * c->dh * g->row + q * step;
            }
}

static void direct_run(const mien__conv_plan *p, const void *packed, const float *src, const float *residual,
                       float *dst, void *scratch, mien__pool *pool)
{
    const mien__conv *const c = &p->c;
    direct_run_ctx x = { .c = c,
                         .g = direct_geometry(c),
                         .head = conv_head_at(c, packed),
                         .post = post_make(&c->post),
                         .scratch = scratch };
    direct_taps(&x);
    const direct_geom *const g = &x.g;
    const ptrdiff_t in = (ptrdiff_t)g->planes * c->ih * c->iw * (c->src_plain ? 1 : VB);
    const ptrdiff_t out = (ptrdiff_t)div_up(c->oc, VB) * c->oh * c->ow * VB;
    for (int n = 0; n < c->n; n += g->images) {
        x.images = min_i(g->images, c->n - n);
        x.src = src + n * in;
        x.dst = dst + n * out;
        x.res = residual ? residual + n * out : NULL;
        x.from = g->copy ? x.scratch : x.src;
        x.from_image = g->copy ? g->image : in;
        if (g->copy && !g->own)
            mien__pool_run(pool, direct_copy_task, &x,
                           (size_t)x.images * g->planes * div_up(g->hp, DIRECT_COPY_ROWS));
        mien__pool_run(pool, direct_task, &x,
                       (size_t)x.images * g->chunks * (g->outer_groups ? (size_t)g->groups : 1));
    }
}

#endif
