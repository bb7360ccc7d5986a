/* Every other entry of every kernel table against the same in double: fully connected, layouts, pooling,
 * averages, affine, two operands, gates, upsampling, activations, pixels to planes. Counts 0..65 and larger,
 * guard pages, threads 1, 2 and 7 with the same bytes.
 *
 * Bounds: sums of k terms k eps sum |a||b|; activations 16 eps of the value (8 ulp), gelu 64 eps (1 + x^2/8).
 */
#include "kernel_test.h"

static mien__pool *pools[3]; /* none, 2, 7 */

static void check(const mien__kernels *k, const char *what, int trial, double got, double want, double bound)
{
    if (!(fabs(got - want) <= bound))
        fail_msg("%s %s: seed %llu trial %d: got %.9g, want %.9g, bound %.3g", k->name, what,
                 (unsigned long long)kt_seed, trial, got, want, bound);
}

static void same(const mien__kernels *k, const char *what, const float *a, const float *b, size_t n)
{
    if (memcmp(a, b, n * sizeof *a))
        fail_msg("%s %s: other bytes with other threads", k->name, what);
}

#define EACH_LEVEL(k)                                       \
    for (size_t l_ = 0; l_ < MIEN_COUNTOF(kt_levels); l_++) \
        for (const mien__kernels *k = mien__kernels_for(kt_levels[l_]); k; k = NULL)

static void fc_matches_reference(void **state)
{
    (void)state;
    EACH_LEVEL(t)
    {
        kt_start(7001);
        for (int trial = 0; trial < 60; trial++) {
            const int n = kt_int(1, 9), m = kt_int(1, trial % 4 ? 65 : 300),
                      k = kt_int(1, trial % 5 ? 65 : 3000);
            const size_t mk = (size_t)m * k, nm = (size_t)n * m, nk = (size_t)n * k;
            const bool prelu = kt_int(0, 1), biased = kt_int(0, 3) > 0;
            kt_buf w = kt_alloc(mk), b = kt_alloc((size_t)m), s = kt_alloc((size_t)m), src = kt_alloc(nk);
            kt_buf packed = kt_alloc(t->fc_packed_bytes(m, k) / sizeof(float)), dst[3];
            kt_fill(&w, mk), kt_fill(&b, (size_t)m), kt_fill(&s, (size_t)m), kt_fill(&src, nk);
            const mien__post post = { .act = prelu ? MIEN__ACT_PRELU : MIEN__ACT_NONE };
            t->fc_pack(m, k, w.p, biased ? b.p : NULL, packed.p);
            for (int p = 0; p < 3; p++) {
                dst[p] = kt_alloc(nm);
                t->fc_run(n, m, k, packed.p, prelu ? s.p : NULL, &post, src.p, dst[p].p, pools[p]);
                same(t, "fc", dst[0].p, dst[p].p, nm);
            }
            for (int i = 0; i < n; i++)
                for (int o = 0; o < m; o++) {
                    double sum = biased ? b.p[o] : 0, mag = fabs(sum);
                    for (int j = 0; j < k; j++) {
                        const double x = (double)w.p[(size_t)o * k + j] * src.p[(size_t)i * k + j];
                        sum += x, mag += fabs(x);
                    }
                    check(t, "fc", trial, dst[0].p[(size_t)i * m + o], sum < 0 && prelu ? sum * s.p[o] : sum,
                          2 * (k + 2) * KT_EPS * mag);
                }
            /* a row alone gives the bytes it gives in the batch */
            t->fc_run(1, m, k, packed.p, prelu ? s.p : NULL, &post, src.p + nk - k, dst[1].p, NULL);
            same(t, "fc row", dst[0].p + nm - m, dst[1].p, (size_t)m);
            for (int p = 0; p < 3; p++)
                kt_free(&dst[p]);
            kt_free(&w), kt_free(&b), kt_free(&s), kt_free(&src), kt_free(&packed);
        }
    }
}

static void layouts_round_trip(void **state)
{
    (void)state;
    EACH_LEVEL(t)
    {
        kt_start(7002);
        for (int trial = 0; trial < 60; trial++) {
            const int n = kt_int(1, 3), c = kt_int(1, 65), hw = kt_int(1, trial % 8 ? 65 : 700);
            const size_t plain = (size_t)n * c * hw, blocked = kt_blocked(t, n, c, hw);
            kt_buf a = kt_alloc(plain), b[3], back[3];
            kt_fill(&a, plain);
            for (int p = 0; p < 3; p++) {
                b[p] = kt_alloc(blocked), back[p] = kt_alloc(plain);
                t->to_blocked(n, c, hw, a.p, b[p].p, pools[p]);
                t->to_plain(n, c, hw, b[p].p, back[p].p, pools[p]);
                same(t, "to_blocked", b[0].p, b[p].p, blocked);
                same(t, "to_plain", a.p, back[p].p, plain);
            }
            for (int i = 0; i < n * c * hw; i++)
                check(t, "to_blocked", trial, b[0].p[kt_at(t, c, hw, i / (c * hw), i / hw % c, i % hw)],
                      a.p[i], 0);
            for (int p = 0; p < 3; p++)
                kt_free(&b[p]), kt_free(&back[p]);
            kt_free(&a);
        }
    }
}

static void pool_want(const mien__pool2d *p, const float *plane, int y, int x, double *want, double *bound)
{
    double best = -INFINITY, sum = 0, mag = 0;
    int count = 0, declared = 0;
    for (int i = y * p->sh - p->pt; i < y * p->sh - p->pt + p->kh; i++)
        for (int j = x * p->sw - p->pl; j < x * p->sw - p->pl + p->kw; j++) {
            declared += i < p->ih + p->pb && j < p->iw + p->pr;
            if (i < 0 || j < 0 || i >= p->ih || j >= p->iw)
                continue;
            const double v = plane[i * p->iw + j];
            best = fmax(best, v), sum += v, mag += fabs(v), count++;
        }
    *want = p->is_max ? best : sum / (p->count_pad ? declared : count);
    *bound = p->is_max ? 0 : 2 * (count + 2) * KT_EPS * mag / (p->count_pad ? declared : count);
}

static void pools_match_reference(void **state)
{
    (void)state;
    EACH_LEVEL(t)
    {
        kt_start(7003);
        for (int trial = 0; trial < 80; trial++) {
            mien__pool2d p = { .n = kt_int(1, 3),
                               .c = kt_int(1, 40),
                               .ih = kt_int(3, 30),
                               .iw = kt_int(3, 30),
                               .kh = kt_int(1, 3),
                               .kw = kt_int(1, 3),
                               .sh = kt_int(1, 3),
                               .sw = kt_int(1, 3),
                               .is_max = kt_int(0, 1),
                               .count_pad = kt_int(0, 1) };
            p.pt = kt_int(0, p.kh - 1), p.pb = kt_int(0, p.kh - 1);
            p.pl = kt_int(0, p.kw - 1), p.pr = kt_int(0, p.kw - 1);
            p.oh = (p.ih + p.pt + p.pb - p.kh) / p.sh + 1, p.ow = (p.iw + p.pl + p.pr - p.kw) / p.sw + 1;
            const int ihw = p.ih * p.iw, ohw = p.oh * p.ow;
            const size_t plain = (size_t)p.n * p.c * ihw, in = kt_blocked(t, p.n, p.c, ihw);
            const size_t out = kt_blocked(t, p.n, p.c, ohw), one = kt_blocked(t, p.n, p.c, 1);
            kt_buf a = kt_alloc(plain), b = kt_alloc(in), dst[3], avg[3];
            kt_fill(&a, plain);
            kt_block(t, p.n, p.c, ihw, a.p, b.p);
            for (int q = 0; q < 3; q++) {
                dst[q] = kt_alloc(out), avg[q] = kt_alloc(one);
                t->pool2d(&p, b.p, dst[q].p, pools[q]);
                t->global_avg(p.n, p.c, ihw, b.p, avg[q].p, pools[q]);
                same(t, "pool2d", dst[0].p, dst[q].p, out);
                same(t, "global_avg", avg[0].p, avg[q].p, one);
            }
            for (int i = 0; i < p.n * p.c; i++) {
                const float *const plane = a.p + (size_t)i * ihw;
                double want, bound, mag = 0, sum = 0;
                for (int o = 0; o < ohw; o++) {
                    pool_want(&p, plane, o / p.ow, o % p.ow, &want, &bound);
                    check(t, "pool2d", trial, dst[0].p[kt_at(t, p.c, ohw, i / p.c, i % p.c, o)], want, bound);
                }
                for (int o = 0; o < ihw; o++)
                    sum += plane[o], mag += fabs(plane[o]);
                check(t, "global_avg", trial, avg[0].p[kt_at(t, p.c, 1, i / p.c, i % p.c, 0)], sum / ihw,
                      2 * (ihw + 2) * KT_EPS * mag / ihw);
            }
            for (int q = 0; q < 3; q++)
                kt_free(&dst[q]), kt_free(&avg[q]);
            kt_free(&a), kt_free(&b);
        }
    }
}

static void channel_kernels_match_reference(void **state)
{
    (void)state;
    EACH_LEVEL(t)
    {
        kt_start(7004);
        for (int trial = 0; trial < 60; trial++) {
            const int n = kt_int(1, 3), c = kt_int(1, 65), ih = kt_int(1, 40),
                      iw = kt_int(1, trial % 9 ? 20 : 90);
            const int fh = kt_int(1, 3), fw = kt_int(1, 3), hw = ih * iw, uhw = hw * fh * fw;
            const size_t plain = (size_t)n * c * hw, in = kt_blocked(t, n, c, hw),
                         up = kt_blocked(t, n, c, uhw);
            const size_t chans = kt_blocked(t, 1, c, 1), gates = kt_blocked(t, n, c, 1);
            kt_buf a = kt_alloc(plain), b = kt_alloc(in), s = kt_alloc(chans), f = kt_alloc(chans);
            kt_buf sl = kt_alloc(chans), g = kt_alloc(gates), d[3], e[3], u[3];
            kt_fill(&a, plain), kt_fill(&s, chans), kt_fill(&f, chans), kt_fill(&sl, chans),
                kt_fill(&g, gates);
            kt_block(t, n, c, hw, a.p, b.p);
            const bool unscaled = kt_int(0, 3) == 0;
            const mien__post post = { .act = MIEN__ACT_PRELU };
            for (int p = 0; p < 3; p++) {
                d[p] = kt_alloc(in), e[p] = kt_alloc(in), u[p] = kt_alloc(up);
                t->affine(n, c, hw, unscaled ? NULL : s.p, f.p, &post, sl.p, b.p, d[p].p, pools[p]);
                t->scale_channels(n, c, hw, b.p, g.p, e[p].p, pools[p]);
                t->upsample_nearest(n, c, ih, iw, fh, fw, b.p, u[p].p, pools[p]);
                same(t, "affine", d[0].p, d[p].p, in);
                same(t, "scale_channels", e[0].p, e[p].p, in);
                same(t, "upsample", u[0].p, u[p].p, up);
            }
            for (int i = 0; i < n * c * hw; i++) {
                const int img = i / (c * hw), ch = i / hw % c, px = i % hw;
                const size_t at = kt_at(t, c, hw, img, ch, px);
                const double x = (double)a.p[i] * (unscaled ? 1 : s.p[ch]), y = x + f.p[ch];
                check(t, "affine", trial, d[0].p[at], y < 0 ? y * sl.p[ch] : y,
                      4 * KT_EPS * (fabs(x) + fabs(f.p[ch])));
                const double z = (double)a.p[i] * g.p[kt_at(t, c, 1, img, ch, 0)];
                check(t, "scale_channels", trial, e[0].p[at], z, 2 * KT_EPS * fabs(z));
            }
            for (int i = 0; i < n * c * uhw; i += 3) {
                const int px = i % uhw, y = px / (iw * fw) / fh, x = px % (iw * fw) / fw;
                check(t, "upsample", trial, u[0].p[kt_at(t, c, uhw, i / (c * uhw), i / uhw % c, px)],
                      a.p[(size_t)(i / uhw) * hw + y * iw + x], 0);
            }
            for (int p = 0; p < 3; p++)
                kt_free(&d[p]), kt_free(&e[p]), kt_free(&u[p]);
            kt_free(&a), kt_free(&b), kt_free(&s), kt_free(&f), kt_free(&sl), kt_free(&g);
        }
    }
}

static void binary_matches_reference(void **state)
{
    static const int ops[] = { MIEN__OP_Add, MIEN__OP_Sub, MIEN__OP_Mul,
                               MIEN__OP_Div, MIEN__OP_Max, MIEN__OP_Min };
    (void)state;
    EACH_LEVEL(t)
    {
        kt_start(7005);
        for (int trial = 0; trial < 6 * 80; trial++) {
            const int op = ops[trial % 6];
            const size_t n = trial / 6 < 66 ? (size_t)(trial / 6) : (size_t)kt_int(8000, 40000);
            kt_buf a = kt_alloc(n), b = kt_alloc(n), d[3];
            kt_fill(&a, n), kt_fill(&b, n);
            const mien__post post = { .act = trial & 1 ? MIEN__ACT_RELU : MIEN__ACT_NONE };
            for (int p = 0; p < 3; p++) {
                d[p] = kt_alloc(n);
                t->binary(op, n, a.p, b.p, d[p].p, &post, pools[p]);
                same(t, "binary", d[0].p, d[p].p, n);
            }
            for (size_t i = 0; i < n; i++) {
                const double x = a.p[i], y = b.p[i];
                double want = op == MIEN__OP_Add   ? x + y
                              : op == MIEN__OP_Sub ? x - y
                              : op == MIEN__OP_Mul ? x * y
                              : op == MIEN__OP_Div ? x / y
                              : op == MIEN__OP_Max ? fmax(x, y)
                                                   : fmin(x, y);
                if (post.act == MIEN__ACT_RELU)
                    want = fmax(0, want);
                check(t, "binary", trial, d[0].p[i], want, 2 * KT_EPS * fabs(want));
            }
            for (int p = 0; p < 3; p++)
                kt_free(&d[p]);
            kt_free(&a), kt_free(&b);
        }
    }
}

static void activations_match_reference(void **state)
{
    enum { N = 20011 };
    (void)state;
    EACH_LEVEL(t)
    {
        kt_start(7006);
        kt_buf a = kt_alloc(N), d[3];
        for (int i = 0; i < N; i++)
            a.p[i] = i % 3 == 0 ? kt_float() * 100 : i % 3 == 1 ? kt_float() * 8 : kt_float() * 1e-3f;
        a.p[0] = 0, a.p[1] = 3e38f, a.p[2] = -3e38f, a.p[3] = 1e-38f, a.p[4] = 88.5f, a.p[5] = -88.5f;
        for (int p = 0; p < 3; p++)
            d[p] = kt_alloc(N);
        for (int act = MIEN__ACT_NONE; act <= MIEN__ACT_GELU; act++) {
            if (act == MIEN__ACT_PRELU)
                continue;
            const float alpha = act == MIEN__ACT_CLIP ? -0.5f : 0.2f, beta = 0.5f;
            for (int p = 0; p < 3; p++) {
                t->activate((mien__act)act, alpha, beta, N, a.p, d[p].p, pools[p]);
                same(t, "activate", d[0].p, d[p].p, N);
            }
            for (int i = 0; i < N; i++) {
                const double want = kt_act((mien__act)act, alpha, beta, 1, a.p[i]);
                const double x = fmin(100, fabs(a.p[i]));
                /* the piecewise linear ones cancel near their corners; exp multiplies the error of its
                 * argument x^2/2; far tails end at the smallest normal */
                const double slack = act == MIEN__ACT_HSWISH     ? 4 * KT_EPS * x
                                     : act == MIEN__ACT_HSIGMOID ? 8 * KT_EPS
                                                                 : 0;
                const double ulps = act == MIEN__ACT_GELU ? 64 * (1 + x * x / 8) : 16;
                check(t, "activate", act * 100000 + i, d[0].p[i], want,
                      ulps * KT_EPS * fabs(want) + slack + 2e-37);
            }
        }
        for (size_t n = 0; n < 66; n++) {
            kt_buf s = kt_alloc(n), o = kt_alloc(n);
            memcpy(s.p, a.p + 10, n * sizeof(float));
            t->activate(MIEN__ACT_SIGMOID, 0, 0, n, s.p, o.p, NULL);
            t->activate(MIEN__ACT_SIGMOID, 0, 0, N, a.p, d[0].p, NULL);
            same(t, "activate tail", o.p, d[0].p + 10, n);
            kt_free(&s), kt_free(&o);
        }
        for (int p = 0; p < 3; p++)
            kt_free(&d[p]);
        kt_free(&a);
    }
}

static void rgb8_to_planes_matches_reference(void **state)
{
    (void)state;
    const float mean[3] = { 127.5f, 100.25f, 3 }, scale[3] = { 1 / 127.5f, 0.5f, 2 };
    EACH_LEVEL(t)
    {
        kt_start(7007);
        for (int trial = 0; trial < 60; trial++) {
            const int w = kt_int(1, 40), h = kt_int(1, 40), dw = kt_int(1, 48), dh = kt_int(1, 48);
            const size_t stride = (size_t)w * 3 + (size_t)kt_int(0, 5);
            const bool swap = kt_int(0, 1);
            kt_buf d = kt_alloc((size_t)3 * dw * dh);
            uint8_t *const px = malloc(stride * h);
            for (size_t i = 0; i < stride * h; i++)
                px[i] = (uint8_t)kt_int(0, 255);
            t->rgb8_to_planes(px, w, h, stride, swap, mean, scale, d.p, dw, dh);
            for (int i = 0; i < 3 * dw * dh; i++) {
                const int c = i / (dw * dh), y = i / dw % dh, x = i % dw;
                const double v = x < w && y < h ? px[(size_t)y * stride + 3 * x + (swap ? 2 - c : c)] : 0;
                const double want = (v - mean[c]) * scale[c];
                check(t, "rgb8_to_planes", trial, d.p[i], want, 4 * KT_EPS * fabs(want));
            }
            free(px);
            kt_free(&d);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fc_matches_reference),
        cmocka_unit_test(layouts_round_trip),
        cmocka_unit_test(pools_match_reference),
        cmocka_unit_test(channel_kernels_match_reference),
        cmocka_unit_test(binary_matches_reference),
        cmocka_unit_test(activations_match_reference),
        cmocka_unit_test(rgb8_to_planes_matches_reference),
    };
    if (mien__pool_new(&pools[1], 2, NULL) || mien__pool_new(&pools[2], 7, NULL))
        return 1;
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mien__pool_free(pools[1]);
    mien__pool_free(pools[2]);
    return failed;
}
