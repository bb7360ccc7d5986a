/* The training kernels beside convolutions, every table against sums in double: batch normalisation,
 * activations, pooling, up-sampling, averages, gates, the matrix product. Odd sizes, channel tails, pad lanes
 * of 1e30, guard pages, the same bytes for any number of threads.
 */
#include "kernel_test.h"
#include "train/kernels/train_kernels.h"

static mien__pool *pools[3]; /* 1, 2 and 7 threads */

static kt_buf from_plain(const mien__kernels *k, int n, int c, int hw, const float *plain)
{
    kt_buf b = kt_alloc(kt_blocked(k, n, c, hw));
    kt_block(k, n, c, hw, plain, b.p);
    return b;
}

static kt_buf plain_of(size_t n)
{
    kt_buf b = kt_alloc(n);
    kt_fill(&b, n);
    return b;
}

/* [ceil(c/B)*B] with zeros past c */
static kt_buf channels_of(const mien__kernels *k, int c, const float *plain)
{
    const size_t n = kt_blocked(k, 1, c, 1);
    kt_buf b = kt_alloc(n);
    memset(b.p, 0, n * sizeof(float));
    memcpy(b.p, plain, (size_t)c * sizeof(float));
    return b;
}

static void near(const char *what, const mien__train_kernels *tk, double got, double want, double bound)
{
    if (!(fabs(got - want) <= bound))
        fail_msg("%s %s: seed %llu: got %.9g, want %.9g, bound %.3g", tk->name, what,
                 (unsigned long long)kt_seed, got, want, bound);
}

static void same(const char *what, kt_buf *first, const float *got, size_t n, int pool)
{
    if (pool == 0) {
        *first = kt_alloc(n);
        memcpy(first->p, got, n * sizeof(float));
        return;
    }
    if (memcmp(first->p, got, n * sizeof(float)))
        fail_msg("%s: other bytes with pool %d, seed %llu", what, pool, (unsigned long long)kt_seed);
}

static void all_finite(const float *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_true(isfinite(p[i]));
}

typedef void (*level_fn)(const mien__train_kernels *tk, const mien__kernels *k, int n, int c, int h, int w);

/* fn at every level, on shapes from one pixel to several runs and more blocks than a group holds */
static void each_level(uint64_t seed, level_fn fn)
{
    static const int shapes[][4] = {
        { 1, 1, 1, 1 },   { 3, 17, 5, 7 },  { 2, 40, 33, 41 }, { 37, 9, 3, 3 },
        { 5, 130, 7, 7 }, { 2, 570, 2, 3 }, { 1, 8, 70, 71 },  { 33, 16, 6, 6 }
    };
    kt_start(seed);
    for (size_t i = 0; i < MIEN_COUNTOF(shapes); i++)
        for (size_t l = 0; l < MIEN_COUNTOF(kt_levels); l++) {
            const mien__kernels *const k = mien__kernels_for(kt_levels[l]);
            const mien__train_kernels *const tk = mien__train_kernels_for(kt_levels[l]);
            if (tk)
                fn(tk, k, shapes[i][0], shapes[i][1], shapes[i][2], shapes[i][3]);
        }
}

/* ---- batch normalisation ---- */
static void stats(const mien__train_kernels *tk, const mien__kernels *k, int n, int c, int h, int w)
{
    const int hw = h * w;
    const size_t all = (size_t)n * c * hw;
    kt_buf plain = plain_of(all), first = { 0 };
    for (size_t i = 0; i < all; i++)
        plain.p[i] += 1000.0f * (float)((i / hw) % c % 3); /* far from zero against the spread */
    kt_buf x = from_plain(k, n, c, hw, plain.p);
    for (int p = 0; p < 3; p++) {
        kt_buf out = kt_alloc(2 * (size_t)c);
        tk->bn_stats(n, c, hw, x.p, out.p, out.p + c, pools[p]);
        same("bn_stats", &first, out.p, 2 * (size_t)c, p);
        for (int ch = 0; p == 0 && ch < c; ch++) {
            double mean = 0, var = 0;
            for (int i = 0; i < n * hw; i++)
                mean += plain.p[((size_t)(i / hw) * c + ch) * hw + i % hw];
            mean /= n * hw;
            for (int i = 0; i < n * hw; i++) {
                const double d = plain.p[((size_t)(i / hw) * c + ch) * hw + i % hw] - mean;
                var += d * d;
            }
            var /= n * hw;
            near("mean", tk, out.p[ch], mean, 2 * KT_EPS * fabs(mean) + 600 * KT_EPS);
            near("variance", tk, out.p[c + ch], var, 600 * KT_EPS * 4);
        }
        kt_free(&out);
    }
    kt_free(&plain), kt_free(&x), kt_free(&first);
}

static void bn_stats_match_reference(void **state)
{
    (void)state;
    each_level(41, stats);
}

typedef struct bn_want {
    double *d_x, d_gamma[600], d_beta[600], d_slope[600];
} bn_want;

static void bn_reference(const mien__bn_act *p, const float *x, const float *d_y, bn_want *t)
{
    const double m = (double)p->n * p->hw;
    for (int ch = 0; ch < p->c; ch++) {
        double sum[3] = { 0 };
        for (int pass = 0; pass < 2; pass++)
            for (int i = 0; i < p->n * p->hw; i++) {
                const size_t at = ((size_t)(i / p->hw) * p->c + ch) * p->hw + i % p->hw;
                const double xh = (x[at] - (double)p->mean[ch]) * p->inv_std[ch];
                const double z = p->gamma[ch] * xh + p->beta[ch];
                double g = 1;
                if (p->act == MIEN__ACT_RELU)
                    g = z > 0;
                else if (p->act == MIEN__ACT_PRELU)
                    g = z > 0 ? 1 : p->slope[ch];
                else if (p->act == MIEN__ACT_CLIP)
                    g = z > p->alpha && z < p->limit;
                const double dz = d_y[at] * g;
                if (pass)
                    t->d_x[at] = p->gamma[ch] * (double)p->inv_std[ch] * (dz - sum[0] / m - xh * sum[1] / m);
                else
                    sum[0] += dz, sum[1] += dz * xh, sum[2] += z < 0 ? d_y[at] * z : 0;
            }
        t->d_beta[ch] = sum[0], t->d_gamma[ch] = sum[1], t->d_slope[ch] = sum[2];
    }
}

/* the plain tensors of one case; no z so near a kink that rounding picks the side */
static void bn_make(mien__bn_act *p, kt_buf v[5], const kt_buf *x)
{
    for (int ch = 0; ch < p->c; ch++) {
        v[1].p[ch] = 1.5f + v[1].p[ch] * 0.5f;                                  /* inv_std */
        v[2].p[ch] = (v[2].p[ch] < 0 ? -1.0f : 1.0f) * (0.5f + v[0].p[ch] / 4); /* gamma */
        for (int i = 0; i < p->n * p->hw; i++) {
            float *const at = &x->p[((size_t)(i / p->hw) * p->c + ch) * p->hw + i % p->hw];
            for (;; *at += 0.003f) {
                const double z = v[2].p[ch] * (*at - (double)v[0].p[ch]) * v[1].p[ch] + v[3].p[ch];
                if (fabs(z) > 1e-4 && fabs(z - p->alpha) > 1e-4 && fabs(z - p->limit) > 1e-4)
                    break;
            }
        }
    }
}

static void bn_check(const mien__train_kernels *tk, const mien__kernels *k, const mien__bn_act *p,
                     const mien__bn_act *blocked, const float *x, const float *d_y)
{
    static bn_want want;
    const size_t all = (size_t)p->n * p->c * p->hw, size = kt_blocked(k, p->n, p->c, p->hw);
    const double m = (double)p->n * p->hw, sums = (600 + 4) * KT_EPS * m * 8;
    kt_buf xb = from_plain(k, p->n, p->c, p->hw, x), first = { 0 }, first_g = { 0 };
    want.d_x = calloc(all, sizeof *want.d_x);
    bn_reference(p, x, d_y, &want);
    for (int pool = 0; pool < 3; pool++) {
        kt_buf dy = from_plain(k, p->n, p->c, p->hw, d_y), other = kt_alloc(size),
               g = kt_alloc(3 * (size_t)p->c);
        float *const d_x = pool == 1 ? dy.p : other.p; /* in place, too */
        memset(g.p, 0, 3 * (size_t)p->c * sizeof(float));
        tk->bn_act_backward(blocked, xb.p, dy.p, d_x, g.p, g.p + p->c,
                            p->act == MIEN__ACT_PRELU ? g.p + 2 * p->c : NULL, pools[pool]);
        all_finite(d_x, size);
        same("bn d_x", &first, d_x, size, pool);
        same("bn sums", &first_g, g.p, 3 * (size_t)p->c, pool);
        for (size_t i = 0; pool == 0 && i < all; i++) {
            const int ch = (int)(i / p->hw) % p->c;
            near("d_x", tk, d_x[kt_at(k, p->c, p->hw, (int)(i / p->hw) / p->c, ch, (int)(i % p->hw))],
                 want.d_x[i], (600 + 16) * KT_EPS * 40);
        }
        for (int ch = 0; pool == 0 && ch < p->c; ch++) {
            near("d_gamma", tk, g.p[ch], want.d_gamma[ch], sums);
            near("d_beta", tk, g.p[p->c + ch], want.d_beta[ch], sums);
            if (p->act == MIEN__ACT_PRELU)
                near("d_slope", tk, g.p[2 * p->c + ch], want.d_slope[ch], sums);
        }
        kt_free(&dy), kt_free(&other), kt_free(&g);
    }
    free(want.d_x);
    kt_free(&xb), kt_free(&first), kt_free(&first_g);
}

static void bn_backward(const mien__train_kernels *tk, const mien__kernels *k, int n, int c, int h, int w)
{
    static const mien__act acts[] = { MIEN__ACT_NONE, MIEN__ACT_RELU, MIEN__ACT_PRELU, MIEN__ACT_CLIP };
    for (size_t a = 0; a < MIEN_COUNTOF(acts); a++) {
        mien__bn_act p = { .n = n, .c = c, .hw = h * w, .act = acts[a], .alpha = 0.0f, .limit = 0.5f };
        kt_buf x = plain_of((size_t)n * c * h * w), d_y = plain_of((size_t)n * c * h * w), v[5], b[5];
        for (int i = 0; i < 5; i++)
            v[i] = plain_of((size_t)c);
        bn_make(&p, v, &x);
        for (int i = 0; i < 5; i++)
            b[i] = channels_of(k, c, v[i].p);
        mien__bn_act q = p;
        p.mean = v[0].p, p.inv_std = v[1].p, p.gamma = v[2].p, p.beta = v[3].p, p.slope = v[4].p;
        q.mean = b[0].p, q.inv_std = b[1].p, q.gamma = b[2].p, q.beta = b[3].p, q.slope = b[4].p;
        bn_check(tk, k, &p, &q, x.p, d_y.p);
        for (int i = 0; i < 5; i++)
            kt_free(&v[i]), kt_free(&b[i]);
        kt_free(&x), kt_free(&d_y);
    }
}

static void bn_act_backward_matches_reference(void **state)
{
    (void)state;
    each_level(42, bn_backward);
}

/* ---- activations ---- */
static double slope_of(mien__act act, double a, double b, double s, double x)
{
    const double e = 1e-5; /* away from kinks the kinds are smooth enough for this */
    return (kt_act(act, a, b, s, x + e) - kt_act(act, a, b, s, x - e)) / (2 * e);
}

static bool near_kink(mien__act act, double x)
{
    const double at[] = { 0, -0.25, 0.5, -3, 3, -2.5, 2.5 };
    (void)act;
    for (size_t i = 0; i < MIEN_COUNTOF(at); i++)
        if (fabs(x - at[i]) < 1e-3)
            return true;
    return false;
}

static void act_one(const mien__train_kernels *tk, const mien__kernels *k, int n, int c, int hw,
                    mien__act act)
{
    const float alpha = act == MIEN__ACT_CLIP ? -0.25f : 0.2f, beta = 0.5f;
    const size_t all = (size_t)n * c * hw, size = kt_blocked(k, n, c, hw);
    kt_buf plain = plain_of(all), d_y = plain_of(all), slope = plain_of((size_t)c), first = { 0 },
           sums = { 0 };
    for (size_t i = 0; i < all; i++)
        for (plain.p[i] *= 4; near_kink(act, plain.p[i]);)
            plain.p[i] += 0.002f;
    kt_buf x = from_plain(k, n, c, hw, plain.p);
    for (int pool = 0; pool < 3; pool++) {
        kt_buf dy = from_plain(k, n, c, hw, d_y.p), other = kt_alloc(size), ds = kt_alloc((size_t)c);
        float *const d_x = pool == 1 ? dy.p : other.p;
        const bool prelu = act == MIEN__ACT_PRELU;
        memset(ds.p, 0, (size_t)c * sizeof(float));
        tk->act_backward(n, c, hw, act, alpha, beta, prelu ? slope.p : NULL, x.p, dy.p, d_x,
                         prelu ? ds.p : NULL, pools[pool]);
        same("act d_x", &first, d_x, size, pool);
        same("act d_slope", &sums, ds.p, (size_t)c, pool);
        for (int ch = 0; pool == 0 && ch < c; ch++) {
            double want_slope = 0;
            for (int i = 0; i < n * hw; i++) {
                const size_t at = ((size_t)(i / hw) * c + ch) * hw + i % hw;
                const double want = d_y.p[at] * slope_of(act, alpha, beta, slope.p[ch], plain.p[at]);
                near("act", tk, d_x[kt_at(k, c, hw, i / hw, ch, i % hw)], want, 4e-6);
                want_slope += plain.p[at] < 0 ? (double)d_y.p[at] * plain.p[at] : 0;
            }
            if (prelu)
                near("act slope", tk, ds.p[ch], want_slope, 600 * KT_EPS * 4.0 * n * hw);
        }
        kt_free(&dy), kt_free(&other), kt_free(&ds);
    }
    kt_free(&plain), kt_free(&d_y), kt_free(&slope), kt_free(&x), kt_free(&first), kt_free(&sums);
}

static void act_all(const mien__train_kernels *tk, const mien__kernels *k, int n, int c, int h, int w)
{
    for (mien__act act = MIEN__ACT_NONE; act <= MIEN__ACT_GELU; act++) {
        assert_true(tk->act_can(act));
        act_one(tk, k, n, c, h * w, act);
    }
}

static void act_backward_matches_differences(void **state)
{
    (void)state;
    each_level(43, act_all);
}

/* ---- pooling and its like ---- */
static void maxpool(const mien__train_kernels *tk, const mien__kernels *k, int n, int c, int h, int w)
{
    mien__pool2d p = { .n = n, .c = c, .ih = h, .iw = w, .is_max = true };
    p.kh = kt_int(1, h < 3 ? h : 3), p.kw = kt_int(1, w < 3 ? w : 3), p.sh = kt_int(1, 2),
    p.sw = kt_int(1, 2);
    p.pt = p.pb = p.kh / 2, p.pl = p.pr = p.kw / 2;
    p.oh = (h + 2 * p.pt - p.kh) / p.sh + 1, p.ow = (w + 2 * p.pl - p.kw) / p.sw + 1;
    const size_t in = (size_t)n * c * h * w, out = (size_t)n * c * p.oh * p.ow,
                 size = kt_blocked(k, n, c, h * w);
    kt_buf src = plain_of(in), d = plain_of(out), first = { 0 };
    double *const want = calloc(in, sizeof *want);
    for (size_t i = 0; i < in; i++)
        src.p[i] = roundf(src.p[i] * 3); /* equal elements: the first takes it */
    for (size_t i = 0; i < out; i++) {
        const int y = (int)(i / p.ow) % p.oh * p.sh - p.pt, x = (int)(i % p.ow) * p.sw - p.pl;
        const size_t plane = i / ((size_t)p.oh * p.ow) * h * w;
        size_t best = in;
        for (int a = y < 0 ? 0 : y; a < h && a < y + p.kh; a++)
            for (int b = x < 0 ? 0 : x; b < w && b < x + p.kw; b++)
                if (best == in || src.p[plane + (size_t)a * w + b] > src.p[best])
                    best = plane + (size_t)a * w + b;
        want[best] += d.p[i];
    }
    kt_buf sb = from_plain(k, n, c, h * w, src.p), db = from_plain(k, n, c, p.oh * p.ow, d.p),
           m = kt_alloc(kt_blocked(k, n, c, p.oh * p.ow)), got = kt_alloc(size);
    k->pool2d(&p, sb.p, m.p, NULL);
    for (int pool = 0; pool < 3; pool++) {
        tk->maxpool_backward(&p, sb.p, m.p, db.p, got.p, pools[pool]);
        same("maxpool", &first, got.p, size, pool);
    }
    all_finite(got.p, size);
    for (size_t i = 0; i < in; i++)
        near("maxpool", tk,
             got.p[kt_at(k, c, h * w, (int)(i / (h * w)) / c, (int)(i / (h * w)) % c, (int)(i % (h * w)))],
             want[i], 9 * KT_EPS * 9);
    free(want);
    kt_free(&src), kt_free(&d), kt_free(&sb), kt_free(&db), kt_free(&m), kt_free(&got), kt_free(&first);
}

static void maxpool_backward_matches_reference(void **state)
{
    (void)state;
    each_level(44, maxpool);
}

static void upsample(const mien__train_kernels *tk, const mien__kernels *k, int n, int c, int h, int w)
{
    const int fh = kt_int(1, 3), fw = kt_int(1, 3), big = h * fh * w * fw, hw = h * w;
    const size_t size = kt_blocked(k, n, c, hw);
    kt_buf d = plain_of((size_t)n * c * big), db = from_plain(k, n, c, big, d.p), got = kt_alloc(size),
           first = { 0 };
    for (int pool = 0; pool < 3; pool++) {
        tk->upsample_backward(n, c, h, w, fh, fw, db.p, got.p, pools[pool]);
        same("upsample", &first, got.p, size, pool);
    }
    for (int pl = 0; pl < n * c; pl++)
        for (int i = 0; i < hw; i++) {
            double want = 0;
            for (int a = 0; a < fh; a++)
                for (int b = 0; b < fw; b++)
                    want += d.p[(size_t)pl * big + (size_t)(i / w * fh + a) * w * fw + i % w * fw + b];
            near("upsample", tk, got.p[kt_at(k, c, hw, pl / c, pl % c, i)], want, 9 * KT_EPS * 9);
        }
    kt_free(&d), kt_free(&db), kt_free(&got), kt_free(&first);
}

static void upsample_backward_matches_reference(void **state)
{
    (void)state;
    each_level(45, upsample);
}

static void channel_kinds(const mien__train_kernels *tk, const mien__kernels *k, int n, int c, int h, int w)
{
    const int hw = h * w;
    const size_t all = (size_t)n * c * hw, size = kt_blocked(k, n, c, hw), ones = kt_blocked(k, n, c, 1);
    kt_buf src = plain_of(all), d = plain_of(all), gate = plain_of((size_t)n * c), first[4] = { 0 };
    kt_buf sb = from_plain(k, n, c, hw, src.p), db = from_plain(k, n, c, hw, d.p),
           gb = from_plain(k, n, c, 1, gate.p);
    kt_buf avg = kt_alloc(size), d_src = kt_alloc(size), d_gate = kt_alloc(ones), sum = kt_alloc(size);
    for (size_t i = 0; i < size; i++) /* finite lanes, small enough to multiply */
        sb.p[i] = fabsf(sb.p[i]) > 2 ? 0 : sb.p[i], db.p[i] = fabsf(db.p[i]) > 2 ? 0 : db.p[i];
    for (int pool = 0; pool < 3; pool++) {
        tk->global_avg_backward(n, c, hw, gb.p, avg.p, pools[pool]);
        tk->scale_channels_backward(n, c, hw, sb.p, gb.p, db.p, d_src.p, d_gate.p, pools[pool]);
        memcpy(sum.p, sb.p, size * sizeof(float));
        tk->accumulate(size, db.p, sum.p, pools[pool]);
        same("global average", &first[0], avg.p, size, pool);
        same("gate", &first[1], d_src.p, size, pool);
        same("gate's own", &first[2], d_gate.p, ones, pool);
        same("sum", &first[3], sum.p, size, pool);
    }
    for (int pl = 0; pl < n * c; pl++) {
        double want = 0;
        for (int i = 0; i < hw; i++) {
            const size_t p = (size_t)pl * hw + i, b = kt_at(k, c, hw, pl / c, pl % c, i);
            near("global average", tk, avg.p[b], gate.p[pl] / (double)hw, 2 * KT_EPS);
            near("gate d_src", tk, d_src.p[b], (double)d.p[p] * gate.p[pl], 2 * KT_EPS);
            near("sum", tk, sum.p[b], (double)src.p[p] + d.p[p], 2 * KT_EPS);
            want += (double)d.p[p] * src.p[p];
        }
        near("gate d_gate", tk, d_gate.p[kt_at(k, c, 1, pl / c, pl % c, 0)], want, 530 * KT_EPS * hw);
    }
    for (int i = 0; i < 4; i++)
        kt_free(&first[i]);
    kt_free(&src), kt_free(&d), kt_free(&gate), kt_free(&sb), kt_free(&db), kt_free(&gb), kt_free(&avg);
    kt_free(&d_src), kt_free(&d_gate), kt_free(&sum);
}

static void channel_kernels_match_reference(void **state)
{
    (void)state;
    each_level(46, channel_kinds);
}

/* ---- the matrix product ---- */
static void gemm_one(const mien__train_kernels *tk, int m, int n, int k, int how)
{
    const bool ta = how & 1, tb = how & 2, add = how & 4;
    const int lda = (ta ? m : k) + kt_int(0, 3), ldb = (tb ? k : n) + kt_int(0, 3), ldc = n + kt_int(0, 3);
    kt_buf a = plain_of((size_t)lda * (ta ? k - 1 : m - 1) + (ta ? m : k)),
           b = plain_of((size_t)ldb * (tb ? n - 1 : k - 1) + (tb ? k : n)), first = { 0 };
    const size_t cs = (size_t)ldc * (m - 1) + n;
    kt_buf c0 = plain_of(cs), c = kt_alloc(cs);
    for (int pool = 0; pool < 3; pool++) {
        kt_buf scratch = kt_alloc(tk->gemm_scratch(m, n, k) / sizeof(float));
        memcpy(c.p, c0.p, cs * sizeof(float));
        tk->gemm(m, n, k, a.p, lda, ta, b.p, ldb, tb, c.p, ldc, add, scratch.p, pools[pool]);
        same("gemm", &first, c.p, cs, pool);
        kt_free(&scratch);
    }
    for (int i = 0; i < m; i++)
        for (int j = 0; j < ldc && (size_t)i * ldc + j < cs; j++) {
            double want = add || j >= n ? c0.p[i * ldc + j] : 0, mag = fabs(want);
            for (int l = 0; l < k && j < n; l++) {
                const double t =
                    (double)a.p[ta ? l * lda + i : i * lda + l] * b.p[tb ? j * ldb + l : l * ldb + j];
                want += t, mag += fabs(t);
            }
            near("gemm", tk, c.p[i * ldc + j], want, (k + 4) * KT_EPS * mag);
        }
    kt_free(&a), kt_free(&b), kt_free(&c0), kt_free(&c), kt_free(&first);
}

static void gemm_matches_reference(void **state)
{
    static const int sizes[][3] = { { 1, 1, 1 },     { 3, 5, 7 },      { 32, 65, 17 },
                                    { 65, 33, 300 }, { 14, 32, 256 },  { 1, 100, 9 },
                                    { 100, 1, 257 }, { 97, 210, 513 }, { 29, 64, 3 } };
    (void)state;
    kt_start(47);
    for (size_t l = 0; l < MIEN_COUNTOF(kt_levels); l++) {
        const mien__train_kernels *const tk = mien__train_kernels_for(kt_levels[l]);
        for (size_t i = 0; tk && i < MIEN_COUNTOF(sizes); i++)
            for (int how = 0; how < 8; how++)
                gemm_one(tk, sizes[i][0], sizes[i][1], sizes[i][2], how);
    }
}

static void table_follows_the_forward_table(void **state)
{
    (void)state;
    const mien__kernels *const k = mien__kernels_get();
    const mien__train_kernels *const tk = mien__train_kernels_get();
    assert_int_equal(!k, !tk);
    if (tk) {
        assert_string_equal(tk->name, k->name);
        assert_int_equal(tk->block, k->block);
    }
    assert_null(mien__train_kernels_for(MIEN__CPU_SCALAR));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bn_stats_match_reference),
        cmocka_unit_test(bn_act_backward_matches_reference),
        cmocka_unit_test(act_backward_matches_differences),
        cmocka_unit_test(maxpool_backward_matches_reference),
        cmocka_unit_test(upsample_backward_matches_reference),
        cmocka_unit_test(channel_kernels_match_reference),
        cmocka_unit_test(gemm_matches_reference),
        cmocka_unit_test(table_follows_the_forward_table),
    };
    if (mien__pool_new(&pools[0], 1, NULL) || mien__pool_new(&pools[1], 2, NULL) ||
        mien__pool_new(&pools[2], 7, NULL))
        return 1;
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (int i = 0; i < 3; i++)
        mien__pool_free(pools[i]);
    return failed;
}
