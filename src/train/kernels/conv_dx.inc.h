/* The gradient of a convolution's input.
 *
 * Stride 1: a convolution of d_dst with the kernel turned by 180 degrees and its channels exchanged, padded
 * by (k-1)d - p: the forward table's kernels do it, Winograd included. Stride s: the rows and columns of
 * d_src fall into s x s phases; each is a stride-1 convolution of d_dst with every s-th tap (no
 * multiplication by inserted zeros), written to scratch for a few pictures at a time and interleaved from
 * there. Depthwise at a stride: the same phases, gathered directly. Depthwise over a whole picture (one
 * output): a product.
 *
 * Row y of d_src is in phase a = (y + p) mod s; with y = y0 + s j it sums d_dst[base + j - m] w[a + s m] over
 * m, base = (y0 + p - a) / s; turned: a convolution padded by M - 1 - base, M the taps of the phase.
 */
#ifndef MIEN_SRC_TRAIN_CONV_DX_INC_H
#define MIEN_SRC_TRAIN_CONV_DX_INC_H

#include "nn/kernels/kernel_tables.h"
#include "train/kernels/train_common.inc.h"

enum { DX_TURNED = 1, DX_PHASES, DX_GATHER, DX_WHOLE };
enum { DX_MAX_STRIDE = 4, DX_MAX_TAPS = 512, DX_SCRATCH = 2 << 20, DX_ALIGN = 64 };

static const mien__kernels *dx_forward(void)
{
    return &VF_NAME(mien__kernels);
}

static size_t dx_round(size_t bytes)
{
    return (bytes + DX_ALIGN - 1) / DX_ALIGN * DX_ALIGN;
}

/* one axis of one phase */
typedef struct dx_axis {
    int first, len; /* rows y0 + s j, j < len */
    int taps, base; /* taps a + s m; d_dst row base + j - m */
} dx_axis;

static dx_axis dx_phase(int a, int in, int k, int s, int p)
{
    dx_axis r = { .first = ((a - p) % s + s) % s };
    r.len = r.first < in ? div_up(in - r.first, s) : 0;
    r.taps = a < k ? div_up(k - a, s) : 0;
    r.base = (r.first + p - a) / s;
    return r;
}

/* The convolution that makes phase (a, b) of n pictures; false where the phase has no pixels or no taps. */
static bool dx_phase_conv(const mien__conv *c, int a, int b, int n, mien__conv *ret)
{
    const dx_axis y = dx_phase(a, c->ih, c->kh, c->sh, c->pt), x = dx_phase(b, c->iw, c->kw, c->sw, c->pl);
    if (!y.len || !x.len || !y.taps || !x.taps)
        return false;
    *ret =
        (mien__conv){ .n = n, .ic = c->oc, .ih = c->oh, .iw = c->ow, .oc = c->ic, .oh = y.len, .ow = x.len };
    ret->kh = y.taps, ret->kw = x.taps, ret->groups = 1;
    ret->sh = ret->sw = ret->dh = ret->dw = 1;
    ret->pt = y.taps - 1 - y.base, ret->pl = x.taps - 1 - x.base;
    ret->pb = max_i(0, ret->oh + ret->kh - 1 - ret->pt - ret->ih);
    ret->pr = max_i(0, ret->ow + ret->kw - 1 - ret->pl - ret->iw);
    return true;
}

static int dx_images(const mien__conv *c)
{
    const double bytes = (double)div_up(c->ic, VB) * VB * c->ih * c->iw * sizeof(float);
    return max_i(1, min_i(c->n, (int)(DX_SCRATCH / bytes)));
}

/* floats of all phases of n pictures: those of d_src */
static size_t dx_phase_floats(const mien__conv *c, int n)
{
    return (size_t)n * div_up(c->ic, VB) * c->ih * c->iw * VB;
}

static bool dx_plan_phases(const mien__conv *c, unsigned threads, mien__conv_dx_plan *p)
{
    const int images = dx_images(c), rest = c->n % images;
    size_t packed = 0, scratch = 0;
    if (c->sh > DX_MAX_STRIDE || c->sw > DX_MAX_STRIDE || c->dh != 1 || c->dw != 1)
        return false;
    for (int a = 0; a < c->sh; a++)
        for (int b = 0; b < c->sw; b++) {
            mien__conv f;
            mien__conv_plan q;
            if (!dx_phase_conv(c, a, b, images, &f))
                continue;
            if (!dx_forward()->conv_plan(&f, threads, &q))
                return false;
            packed += dx_round(q.packed_bytes);
            scratch = q.scratch_bytes > scratch ? q.scratch_bytes : scratch;
            f.n = rest;
            if (rest && !dx_forward()->conv_plan(&f, threads, &q))
                return false;
            scratch = q.scratch_bytes > scratch ? q.scratch_bytes : scratch;
        }
    p->algo = DX_PHASES;
    p->conv.threads = threads;
    p->packed_bytes = packed + (size_t)c->oc * c->ic * c->kh * c->kw * sizeof(float);
    p->scratch_bytes = dx_round(dx_phase_floats(c, images) * sizeof(float)) + scratch;
    return true;
}

static bool dx_plan_turned(const mien__conv *c, unsigned threads, mien__conv_dx_plan *p)
{
    mien__conv f = *c;
    f.ic = c->oc, f.oc = c->ic, f.ih = c->oh, f.iw = c->ow, f.oh = c->ih, f.ow = c->iw;
    f.pt = (c->kh - 1) * c->dh - c->pt, f.pl = (c->kw - 1) * c->dw - c->pl;
    f.pb = max_i(0, (c->kh - 1) * c->dh - c->pb), f.pr = max_i(0, (c->kw - 1) * c->dw - c->pr);
    f.post = (mien__post){ 0 };
    if (!dx_forward()->conv_plan(&f, threads, &p->conv))
        return false;
    p->algo = DX_TURNED;
    p->packed_bytes =
        dx_round(p->conv.packed_bytes) + (size_t)c->oc * (c->ic / c->groups) * c->kh * c->kw * sizeof(float);
    p->scratch_bytes = p->conv.scratch_bytes;
    return true;
}

static bool conv_dx_plan(const mien__conv *c, unsigned threads, mien__conv_dx_plan *ret)
{
    const bool depthwise = c->groups == c->ic && c->ic == c->oc;
    mien__conv_dx_plan p = { .c = *c };
    threads = threads ? threads : 1;
    if (c->src_plain || c->pre_affine || (c->groups != 1 && !depthwise) || c->kh * c->kw > DX_MAX_TAPS)
        return false;
    const bool whole = c->oh == 1 && c->ow == 1 && c->dh == 1 && c->dw == 1 && c->kh == c->ih &&
                       c->kw == c->iw && c->pt == 0 && c->pl == 0;
    const bool strided = c->sh > 1 || c->sw > 1;
    if (depthwise && (whole || strided)) {
        if (!whole && (c->dh != 1 || c->dw != 1 || c->sh > DX_MAX_STRIDE || c->sw > DX_MAX_STRIDE))
            return false;
        p.algo = whole ? DX_WHOLE : DX_GATHER;
        p.packed_bytes = (size_t)div_up(c->ic, VB) * c->kh * c->kw * VB * sizeof(float);
    } else if (strided ? !dx_plan_phases(c, threads, &p) : !dx_plan_turned(c, threads, &p)) {
        return false;
    }
    *ret = p;
    return true;
}

/* ---- packing ---- */

/* dst[i][o][m] = src[o][i][taps of a phase, turned]: a, b the first tap, sh, sw from tap to tap. Small
 * squares of channels stay in the first cache. */
static void dx_turn(const mien__conv *c, int a, int b, int sh, int sw, const float *w, float *dst)
{
    const int kh = div_up(c->kh - a, sh), kw = div_up(c->kw - b, sw), taps = c->kh * c->kw, sub = kh * kw;
    int from[DX_MAX_TAPS];
    for (int m = 0; m < sub; m++)
        from[m] = (a + (kh - 1 - m / kw) * sh) * c->kw + b + (kw - 1 - m % kw) * sw;
    for (int i0 = 0; i0 < c->ic; i0 += VB)
        for (int o = 0; o < c->oc; o++) {
            const int end = min_i(c->ic, i0 + VB);
            const float *s = w + ((size_t)o * c->ic + i0) * taps;
            float *d = dst + ((size_t)i0 * c->oc + o) * sub;
            for (int i = i0; i < end; i++, s += taps, d += (size_t)c->oc * sub)
                for (int m = 0; m < sub; m++)
                    d[m] = s[from[m]];
        }
}

static void dx_pack_turned(const mien__conv_dx_plan *p, const float *w, void *packed)
{
    const mien__conv *const c = &p->c;
    const int taps = c->kh * c->kw;
    float *const turned = (float *)(void *)((char *)packed + dx_round(p->conv.packed_bytes));
    if (c->groups == 1) {
        dx_turn(c, 0, 0, 1, 1, w, turned);
    } else {
        for (int o = 0; o < c->oc; o++)
            for (int t = 0; t < taps; t++)
                turned[o * taps + t] = w[o * taps + taps - 1 - t];
    }
    const mien__conv_weights cw = { .w = turned };
    dx_forward()->conv_pack(&p->conv, &cw, packed);
}

static void dx_pack_phases(const mien__conv_dx_plan *p, const float *w, void *packed)
{
    const mien__conv *const c = &p->c;
    const size_t turned_bytes = (size_t)c->oc * c->ic * c->kh * c->kw * sizeof(float);
    char *at = packed;
    float *const turned = (float *)(void *)(at + p->packed_bytes - turned_bytes);
    const mien__conv_weights cw = { .w = turned };
    for (int a = 0; a < c->sh; a++)
        for (int b = 0; b < c->sw; b++) {
            mien__conv f;
            mien__conv_plan q;
            if (!dx_phase_conv(c, a, b, dx_images(c), &f) ||
                !dx_forward()->conv_plan(&f, p->conv.threads, &q))
                continue;
            dx_turn(c, a, b, c->sh, c->sw, w, turned);
            dx_forward()->conv_pack(&q, &cw, at);
            at += dx_round(q.packed_bytes);
        }
}

static void dx_pack_depthwise(const mien__conv *c, const float *w, float *d)
{
    const int taps = c->kh * c->kw;
    for (int ch = 0; ch < div_up(c->ic, VB) * VB; ch += VB)
        for (int t = 0; t < taps; t++)
            for (int v = 0; v < VB; v++)
                *d++ = ch + v < c->ic ? w[(ch + v) * taps + t] : 0.0f;
}

static void conv_dx_pack(const mien__conv_dx_plan *p, const float *w, void *packed)
{
    if (p->algo == DX_TURNED)
        dx_pack_turned(p, w, packed);
    else if (p->algo == DX_PHASES)
        dx_pack_phases(p, w, packed);
    else
        dx_pack_depthwise(&p->c, w, packed);
}

/* ---- running ---- */
typedef struct dx_ctx {
    const mien__conv *c;
    const float *w, *d_dst;
    float *d_src;
    bool add;
    const float *phase[DX_MAX_STRIDE][DX_MAX_STRIDE]; /* [n][icb][len][len][VB]; NULL: zeros */
} dx_ctx;

/* one channel block of one picture: its rows from the phases */
static void dx_interleave_task(void *ctx, size_t plane, unsigned worker)
{
    const dx_ctx *const x = ctx;
    const mien__conv *const c = x->c;
    float *const dst = x->d_src + plane * c->ih * c->iw * VB;
    (void)worker;
    for (int a = 0; a < c->sh; a++)
        for (int b = 0; b < c->sw; b++) {
            const dx_axis y = dx_phase(a, c->ih, c->kh, c->sh, c->pt);
            const dx_axis h = dx_phase(b, c->iw, c->kw, c->sw, c->pl);
            const float *s = x->phase[a][b] ? x->phase[a][b] + plane * y.len * h.len * VB : NULL;
            if (!s && x->add)
                continue;
            for (int j = 0; j < y.len; j++) {
                float *d = dst + ((ptrdiff_t)(y.first + j * c->sh) * c->iw + h.first) * VB;
                for (int i = 0; i < h.len; i++, d += (ptrdiff_t)c->sw * VB) {
                    vf v = s ? vf_load(s + ((ptrdiff_t)j * h.len + i) * VB) : vf_zero();
                    if (x->add)
                        v = vf_add(v, vf_load(d));
                    vf_store(d, v);
                }
            }
        }
}

static void dx_run_phases(const mien__conv_dx_plan *p, const void *packed, dx_ctx *x, void *scratch,
                          mien__pool *pool)
{
    const mien__conv *const c = &p->c;
    const int step = dx_images(c);
    const float *const d_dst = x->d_dst;
    float *const d_src = x->d_src;
    void *const inner = (char *)scratch + dx_round(dx_phase_floats(c, step) * sizeof(float));
    for (int n = 0; n < c->n; n += step) {
        const int images = min_i(step, c->n - n);
        const char *at = packed;
        float *to = scratch;
        for (int a = 0; a < c->sh; a++)
            for (int b = 0; b < c->sw; b++) {
                mien__conv f;
                mien__conv_plan q;
                x->phase[a][b] = NULL;
                if (!dx_phase_conv(c, a, b, images, &f) || !dx_forward()->conv_plan(&f, p->conv.threads, &q))
                    continue;
                dx_forward()->conv_run(&q, at, d_dst + (size_t)n * div_up(c->oc, VB) * c->oh * c->ow * VB,
                                       NULL, to, inner, pool);
                x->phase[a][b] = to;
                at += dx_round(q.packed_bytes);
                to += (size_t)images * div_up(c->ic, VB) * f.oh * f.ow * VB;
            }
        x->d_src = d_src + dx_phase_floats(c, n);
        mien__pool_run(pool, dx_interleave_task, x, (size_t)images * div_up(c->ic, VB));
    }
}

/* one pixel by the taps that exist */
static vf dx_pixel(const dx_ctx *x, const float *w, const float *d, int y, int col, vf acc)
{
    const mien__conv *const c = x->c;
    for (int ky = (y + c->pt) % c->sh; ky < c->kh; ky += c->sh) {
        const int oy = (y + c->pt - ky) / c->sh;
        if (y + c->pt < ky || oy >= c->oh)
            continue;
        for (int kx = (col + c->pl) % c->sw; kx < c->kw; kx += c->sw) {
            const int ox = (col + c->pl - kx) / c->sw;
            if (col + c->pl >= kx && ox < c->ow)
                acc = vf_fma(vf_load(d + ((ptrdiff_t)oy * c->ow + ox) * VB),
                             vf_load(w + (ky * c->kw + kx) * VB), acc);
        }
    }
    return acc;
}

/* pixels of a row at a stride, all taps inside: dst[i] (+)= sum of d[off[t] + i] w[t], T of them */
VF_INLINE void dx_span(const float *d, const ptrdiff_t *off, const vf *w, int len, ptrdiff_t step, bool add,
                       float *dst, const int T)
{
    for (int i = 0; i < len; i++, d += VB, dst += step) {
        vf acc = add ? vf_load(dst) : vf_zero();
        VF_UNROLL for (int t = 0; t < T; t++) acc = vf_fma(vf_load(d + off[t]), w[t], acc);
        vf_store(dst, acc);
    }
}

/* columns [j0, j1) of a phase of row y, one by one */
static void dx_pixels(const dx_ctx *x, const float *w, const float *d, int y, dx_axis h, int j0, int j1,
                      float *row)
{
    for (int j = j0; j < j1; j++) {
        const int col = h.first + j * x->c->sw;
        float *const to = row + (ptrdiff_t)col * VB;
        vf_store(to, dx_pixel(x, w, d, y, col, x->add ? vf_load(to) : vf_zero()));
    }
}

/* columns of phase b of row y */
static void dx_gather_row(const dx_ctx *x, const float *w, const float *d, int y, int b, float *row)
{
    enum { MAX_T = 4 };
    const mien__conv *const c = x->c;
    const dx_axis h = dx_phase(b, c->iw, c->kw, c->sw, c->pl);
    const ptrdiff_t step = (ptrdiff_t)c->sw * VB;
    ptrdiff_t off[MAX_T];
    vf wv[MAX_T];
    int taps = 0;
    for (int ky = (y + c->pt) % c->sh; ky < c->kh && ky <= y + c->pt; ky += c->sh) {
        const int oy = (y + c->pt - ky) / c->sh;
        for (int m = 0; oy < c->oh && m < h.taps; m++, taps++)
            if (taps < MAX_T) {
                off[taps] = ((ptrdiff_t)oy * c->ow + h.base - m) * VB;
                wv[taps] = vf_load(w + (ky * c->kw + b + m * c->sw) * VB);
            }
    }
    /* columns whose taps are all inside */
    int j0 = min_i(h.len, max_i(0, h.taps - 1 - h.base)), j1 = max_i(j0, min_i(h.len, c->ow - h.base));
    if (taps < 1 || taps > MAX_T)
        j0 = j1 = h.len;
    float *const to = row + (h.first + (ptrdiff_t)j0 * c->sw) * VB;
    dx_pixels(x, w, d, y, h, 0, j0, row);
    d += (ptrdiff_t)j0 * VB;
    if (taps == 1)
        dx_span(d, off, wv, j1 - j0, step, x->add, to, 1);
    else if (taps == 2)
        dx_span(d, off, wv, j1 - j0, step, x->add, to, 2);
    else if (taps == 3)
        dx_span(d, off, wv, j1 - j0, step, x->add, to, 3);
    else if (taps == MAX_T)
        dx_span(d, off, wv, j1 - j0, step, x->add, to, MAX_T);
    dx_pixels(x, w, d - (ptrdiff_t)j0 * VB, y, h, j1, h.len, row);
}

static void dx_gather_task(void *ctx, size_t plane, unsigned worker)
{
    const dx_ctx *const x = ctx;
    const mien__conv *const c = x->c;
    const float *const w = x->w + plane % (size_t)div_up(c->ic, VB) * c->kh * c->kw * VB;
    const float *const d = x->d_dst + plane * c->oh * c->ow * VB;
    float *const dst = x->d_src + plane * c->ih * c->iw * VB;
    (void)worker;
    for (int y = 0; y < c->ih; y++)
        for (int b = 0; b < c->sw; b++)
            dx_gather_row(x, w, d, y, b, dst + (ptrdiff_t)y * c->iw * VB);
}

static void dx_whole_task(void *ctx, size_t plane, unsigned worker)
{
    const dx_ctx *const x = ctx;
    const size_t taps = (size_t)x->c->kh * x->c->kw;
    const float *const w = x->w + plane % (size_t)div_up(x->c->ic, VB) * taps * VB;
    const vf d = vf_load(x->d_dst + plane * VB);
    float *const dst = x->d_src + plane * taps * VB;
    (void)worker;
    for (size_t t = 0; t < taps * VB; t += VB) {
        const vf v = vf_mul(d, vf_load(w + t));
        vf_store(dst + t, x->add ? vf_add(v, vf_load(dst + t)) : v);
    }
}

static void conv_dx_run(const mien__conv_dx_plan *p, const void *packed, const float *d_dst, bool add,
                        float *d_src, void *scratch, mien__pool *pool)
{
    const mien__conv *const c = &p->c;
    dx_ctx x = { .c = c, .w = packed, .d_dst = d_dst, .d_src = d_src, .add = add };
    const size_t planes = (size_t)c->n * div_up(c->ic, VB);
    if (p->algo == DX_TURNED) {
        mien__conv_plan q = p->conv;
        q.c.post.residual = add;
        dx_forward()->conv_run(&q, packed, d_dst, add ? d_src : NULL, d_src, scratch, pool);
    } else if (p->algo == DX_PHASES) {
        dx_run_phases(p, packed, &x, scratch, pool);
    } else {
        mien__pool_run(pool, p->algo == DX_WHOLE ? dx_whole_task : dx_gather_task, &x, planes);
    }
}

#endif
