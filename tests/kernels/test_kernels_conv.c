/* Every convolution kernel of every table against a sum in double: random shapes with channel tails, strides,
 * dilations, padding, fused work; buffers end at a guard page; pad lanes hold 1e30; the same bytes for any
 * number of threads and for an image alone and in a batch.
 *
 * Bounds: a sum of k terms in float errs by at most k eps sum |w||x|; Winograd F(m,3) by WINO[m] eps k max|w|
 * max|x|, the constants of its transforms. Activations have slopes below 2.
 */
#include "kernel_test.h"

typedef struct conv_case {
    mien__conv c;
    float *w, *bias, *slope, *slope2, *pre_scale, *pre_shift, *src, *res; /* plain */
    double *want, *bound;
} conv_case;

static float *random_floats(size_t n, float scale)
{
    float *const p = malloc((n ? n : 1) * sizeof *p);
    for (size_t i = 0; i < n; i++)
        p[i] = kt_float() * scale;
    return p;
}

static void reference(conv_case *t)
{
    const mien__conv *const c = &t->c;
    const int icg = c->ic / c->groups, ocg = c->oc / c->groups;
    const size_t outs = (size_t)c->n * c->oc * c->oh * c->ow;
    t->want = malloc(outs * sizeof *t->want);
    t->bound = malloc(outs * sizeof *t->bound);
    const size_t k = (size_t)icg * c->kh * c->kw;
    size_t at = 0;
    for (int n = 0; n < c->n; n++)
        for (int o = 0; o < c->oc; o++)
            for (int y = 0; y < c->oh; y++)
                for (int x = 0; x < c->ow; x++, at++) {
                    double sum = t->bias ? t->bias[o] : 0, mag = fabs(sum);
                    for (int i = 0; i < icg; i++)
                        for (int ky = 0; ky < c->kh; ky++)
                            for (int kx = 0; kx < c->kw; kx++) {
                                const int sy = y * c->sh - c->pt + ky * c->dh,
                                          sx = x * c->sw - c->pl + kx * c->dw;
                                const int ch = o / ocg * icg + i;
                                if (sy < 0 || sx < 0 || sy >= c->ih || sx >= c->iw)
                                    continue;
                                double v = t->src[(((size_t)n * c->ic + ch) * c->ih + sy) * c->iw + sx],
                                       a = fabs(v);
                                if (c->pre_affine) {
                                    a = a * fabs(t->pre_scale[ch]) + fabs(t->pre_shift[ch]);
                                    v = v * t->pre_scale[ch] + t->pre_shift[ch];
                                }
                                const double w = t->w[(((size_t)o * icg + i) * c->kh + ky) * c->kw + kx];
                                sum += w * v;
                                mag += fabs(w) * a;
                            }
                    t->bound[at] = 2 * ((double)k + 12) * KT_EPS * mag;
                    double r =
                        kt_act(c->post.act, c->post.alpha, c->post.beta, t->slope ? t->slope[o] : 1, sum);
                    t->bound[at] += 8 * KT_EPS * fabs(r);
                    if (c->post.residual) {
                        r += t->res[at];
                        t->bound[at] += 4 * KT_EPS * (fabs(r) + fabs(t->res[at]));
                        r = kt_act(c->post.act2, 0, 0, t->slope2 ? t->slope2[o] : 1, r);
                    }
                    t->want[at] = r;
                }
}

/* pixels of the result: a 2x2 maximum halves both sides */
static int result_h(const mien__conv *c)
{
    return c->pool ? c->oh / 2 : c->oh;
}

static int result_w(const mien__conv *c)
{
    return c->pool ? c->ow / 2 : c->ow;
}

/* The largest of each 2x2 of `want`, with the largest bound of the four, in place. */
static void pool_reference(conv_case *t)
{
    const mien__conv *const c = &t->c;
    const int w = result_w(c), hw = result_h(c) * w;
    for (size_t plane = 0; plane < (size_t)c->n * c->oc; plane++)
        for (int i = 0; i < hw; i++) {
            double want = -INFINITY, bound = 0;
            for (int j = 0; j < 4; j++) {
                const size_t at = (plane * c->oh + i / w * 2 + j / 2) * c->ow + i % w * 2 + j % 2;
                want = fmax(want, t->want[at]);
                bound = fmax(bound, t->bound[at]);
            }
            t->want[plane * hw + i] = want;
            t->bound[plane * hw + i] = bound;
        }
}

static int out_size(int in, int k, int s, int d, int p0, int p1)
{
    return (in + p0 + p1 - (k - 1) * d - 1) / s + 1;
}

enum { KIND_DENSE, KIND_POINTWISE, KIND_FIRST, KIND_DEPTHWISE, KIND_DEPTHWISE3, KIND_THREE, KIND_BIG, KINDS };

static bool make_case(conv_case *t, int kind)
{
    static const mien__act acts[] = {
        MIEN__ACT_NONE,  MIEN__ACT_RELU,    MIEN__ACT_PRELU,    MIEN__ACT_PRELU,
        MIEN__ACT_LEAKY, MIEN__ACT_SIGMOID, MIEN__ACT_HSWISH,   MIEN__ACT_CLIP,
        MIEN__ACT_SWISH, MIEN__ACT_TANH,    MIEN__ACT_HSIGMOID, MIEN__ACT_GELU
    };
    memset(t, 0, sizeof *t);
    mien__conv *const c = &t->c;
    *c = (mien__conv){ .n = kt_int(1, 3),
                       .ic = kt_int(1, 65),
                       .ih = kt_int(1, 33),
                       .iw = kt_int(1, 65),
                       .oc = kt_int(1, 65),
                       .kh = kt_int(1, 5),
                       .kw = kt_int(1, 5),
                       .sh = kt_int(1, 3),
                       .sw = kt_int(1, 3),
                       .dh = kt_int(1, 2),
                       .dw = kt_int(1, 2),
                       .groups = 1 };
    if (kind == KIND_POINTWISE)
        c->kh = c->kw = 1;
    if (kind == KIND_FIRST)
        c->ic = kt_int(1, 4), c->src_plain = true;
    if (kind == KIND_DEPTHWISE) {
        c->groups = c->oc = c->ic;
        if (kt_int(0, 2)) {
            c->kh = c->kw = kt_int(0, 1) ? 3 : 5;
            c->dh = c->dw = 1;
            c->sh = c->sw = kt_int(1, 2);
        } else if (kt_int(0, 1)) {
            c->kh = c->kw = 7;
            c->dh = c->dw = 1;
        }
    }
    if (kind == KIND_DEPTHWISE3) {
        c->groups = c->oc = c->ic;
        c->kh = c->kw = 3;
        c->sh = c->sw = c->dh = c->dw = 1;
    }
    if (kind == KIND_THREE || kind == KIND_BIG) {
        c->kh = c->kw = 3;
        c->sh = c->sw = c->dh = c->dw = 1;
    }
    if (kind == KIND_BIG)
        c->n = 1 + kt_int(0, 1), c->ic = kt_int(60, 130), c->oc = kt_int(60, 130),
        c->iw = c->ih = kt_int(6, 15);
    c->pt = kt_int(0, (c->kh - 1) * c->dh), c->pb = kt_int(0, (c->kh - 1) * c->dh);
    c->pl = kt_int(0, (c->kw - 1) * c->dw), c->pr = kt_int(0, (c->kw - 1) * c->dw);
    if (kt_int(0, 2) == 0)
        c->pt = c->pl = c->pb = c->pr = 0;
    if (c->ih + c->pt + c->pb < (c->kh - 1) * c->dh + 1 || c->iw + c->pl + c->pr < (c->kw - 1) * c->dw + 1)
        return false;
    c->oh = out_size(c->ih, c->kh, c->sh, c->dh, c->pt, c->pb);
    c->ow = out_size(c->iw, c->kw, c->sw, c->dw, c->pl, c->pr);
    c->post.act = acts[kt_int(0, 11)];
    if (kind == KIND_DEPTHWISE3 && kt_int(0, 3))
        c->post.act = kt_int(0, 1) ? MIEN__ACT_RELU : kt_int(0, 1) ? MIEN__ACT_CLIP : MIEN__ACT_NONE;
    c->pool = c->groups > 1 && c->groups == c->oc && c->oh > 1 && c->ow > 1 && kt_int(0, 1);
    c->post.alpha = c->post.act == MIEN__ACT_CLIP ? -0.25f : 0.2f;
    c->post.beta = 0.5f;
    c->post.residual = kt_int(0, 2) == 0;
    if (c->post.residual)
        c->post.act2 = kt_int(0, 1) ? MIEN__ACT_NONE : kt_int(0, 1) ? MIEN__ACT_RELU : MIEN__ACT_PRELU;
    c->pre_affine = kt_int(0, 3) == 0;
    const size_t outs = (size_t)c->n * c->oc * c->oh * c->ow;
    t->w = random_floats((size_t)c->oc * (c->ic / c->groups) * c->kh * c->kw, 0.25f);
    t->bias = kt_int(0, 2) ? random_floats((size_t)c->oc, 1) : NULL;
    t->slope = c->post.act == MIEN__ACT_PRELU ? random_floats((size_t)c->oc, 1) : NULL;
    t->slope2 = c->post.act2 == MIEN__ACT_PRELU ? random_floats((size_t)c->oc, 1) : NULL;
    t->pre_scale = c->pre_affine ? random_floats((size_t)c->ic, 2) : NULL;
    t->pre_shift = c->pre_affine ? random_floats((size_t)c->ic, 1) : NULL;
    t->src = random_floats((size_t)c->n * c->ic * c->ih * c->iw, 1);
    t->res = c->post.residual ? random_floats(outs, 1) : NULL;
    return true;
}

static void drop_case(conv_case *t)
{
    free(t->w), free(t->bias), free(t->slope), free(t->slope2), free(t->pre_scale), free(t->pre_shift);
    free(t->src), free(t->res), free(t->want), free(t->bound);
}

static void describe(const conv_case *t, const mien__kernels *k, const char *kernel, int trial)
{
    const mien__conv *const c = &t->c;
    fprintf(stderr,
            "%s %s: seed %llu trial %d n %d ic %d %dx%d oc %d %dx%d k %dx%d s %d,%d d %d,%d p %d,%d,%d,%d "
            "g %d act %d res %d act2 %d pre %d pool %d\n",
            k->name, kernel, (unsigned long long)kt_seed, trial, c->n, c->ic, c->ih, c->iw, c->oc, c->oh,
            c->ow, c->kh, c->kw, c->sh, c->sw, c->dh, c->dw, c->pt, c->pl, c->pb, c->pr, c->groups,
            c->post.act, c->post.residual, c->post.act2, c->pre_affine, c->pool);
}

/* Winograd's own bound, on every output alike */
static double winograd_bound(const conv_case *t, const char *kernel)
{
    const mien__conv *const c = &t->c;
    const int m = !strncmp(kernel, "winograd2", 9)   ? 2
                  : !strncmp(kernel, "winograd3", 9) ? 3
                  : !strncmp(kernel, "winograd4", 9) ? 4
                                                     : 0;
    static const double factor[] = { 0, 0, 4, 12, 12 };
    double scale = 1, shift = 0;
    for (int i = 0; c->pre_affine && i < c->ic; i++)
        scale = fmax(scale, fabs(t->pre_scale[i])), shift = fmax(shift, fabs(t->pre_shift[i]));
    return factor[m] * KT_EPS * 9 * c->ic * 0.25 * (scale + shift);
}

static void run_once(const mien__kernels *k, const conv_case *t, const mien__conv_plan *plan,
                     const float *src, const float *res, float *dst, mien__pool *pool)
{
    kt_buf packed = kt_alloc(plan->packed_bytes / sizeof(float)),
           scratch = kt_alloc(plan->scratch_bytes / sizeof(float));
    const mien__conv_weights w = { t->w, t->bias, t->slope, t->slope2, t->pre_scale, t->pre_shift };
    assert_int_equal(plan->packed_bytes % sizeof(float), 0);
    assert_int_equal(plan->scratch_bytes % sizeof(float), 0);
    k->conv_pack(plan, &w, packed.p);
    k->conv_run(plan, packed.p, src, res, dst, scratch.p, pool);
    kt_free(&packed);
    kt_free(&scratch);
}

static mien__pool *pools[2];

static void check_level(const mien__kernels *k, const conv_case *t, int trial, int *ran)
{
    const mien__conv *const c = &t->c;
    mien__conv_plan plan;
    if (!k->conv_plan(c, 1, &plan))
        return;
    ++*ran;
    const int ihw = c->ih * c->iw, ohw = result_h(c) * result_w(c), rhw = c->oh * c->ow;
    const size_t in = c->src_plain ? (size_t)c->n * c->ic * ihw : kt_blocked(k, c->n, c->ic, ihw);
    const size_t out = kt_blocked(k, c->n, c->oc, ohw);
    kt_buf src = kt_alloc(in), dst = kt_alloc(out), dst2 = kt_alloc(out);
    const size_t residual = kt_blocked(k, c->n, c->oc, rhw);
    kt_buf res = kt_alloc(residual);
    if (c->src_plain)
        memcpy(src.p, t->src, in * sizeof(float));
    else
        kt_block(k, c->n, c->ic, ihw, t->src, src.p);
    if (c->post.residual)
        kt_block(k, c->n, c->oc, rhw, t->res, res.p);
    run_once(k, t, &plan, src.p, c->post.residual ? res.p : NULL, dst.p, NULL);
    const double extra = winograd_bound(t, plan.kernel);
    size_t at = 0;
    for (int n = 0; n < c->n; n++)
        for (int o = 0; o < c->oc; o++)
            for (int i = 0; i < ohw; i++, at++) {
                const double got = dst.p[kt_at(k, c->oc, ohw, n, o, i)];
                if (!(fabs(got - t->want[at]) <= t->bound[at] + extra)) {
                    describe(t, k, plan.kernel, trial);
                    fail_msg("image %d channel %d pixel %d: got %.9g, want %.9g, bound %.3g", n, o, i, got,
                             t->want[at], t->bound[at] + extra);
                }
            }
    for (size_t i = 0; i < out; i++)
        assert_true(isfinite(dst.p[i]));
    for (unsigned p = 0; p < 2; p++) {
        mien__conv_plan plan2;
        assert_true(k->conv_plan(c, p ? 7 : 2, &plan2));
        run_once(k, t, &plan2, src.p, c->post.residual ? res.p : NULL, dst2.p, pools[p]);
        if (memcmp(dst.p, dst2.p, out * sizeof(float))) {
            describe(t, k, plan.kernel, trial);
            fail_msg("other bytes with %d threads", p ? 7 : 2);
        }
    }
    if (c->post.residual && !c->pool &&
        !(c->post.act >= MIEN__ACT_SIGMOID && c->post.act != MIEN__ACT_CLIP)) {
        memcpy(dst2.p, res.p, out * sizeof(float));
        run_once(k, t, &plan, src.p, dst2.p, dst2.p, NULL);
        if (memcmp(dst.p, dst2.p, out * sizeof(float))) {
            describe(t, k, plan.kernel, trial);
            fail_msg("other bytes when the residual is the output");
        }
    }
    if (c->n > 1) {
        conv_case one = *t;
        one.c.n = 1;
        const int last = c->n - 1;
        assert_true(k->conv_plan(&one.c, 1, &plan));
        run_once(k, &one, &plan, src.p + last * (in / c->n),
                 c->post.residual ? res.p + last * (residual / c->n) : NULL, dst2.p, NULL);
        if (memcmp(dst.p + last * (out / c->n), dst2.p, out / c->n * sizeof(float))) {
            describe(t, k, plan.kernel, trial);
            fail_msg("an image alone gives other bytes than in a batch");
        }
    }
    kt_free(&src), kt_free(&dst), kt_free(&dst2), kt_free(&res);
}

static void check_kind(int kind, int trials)
{
    int ran = 0, wanted = 0;
    kt_start(20240 + (uint64_t)kind);
    for (int trial = 0; trial < trials; trial++) {
        conv_case t;
        if (!make_case(&t, kind))
            continue;
        reference(&t);
        if (t.c.pool)
            pool_reference(&t);
        wanted++;
        for (size_t l = 0; l < MIEN_COUNTOF(kt_levels); l++) {
            const mien__kernels *const k = mien__kernels_for(kt_levels[l]);
            if (k)
                check_level(k, &t, trial, &ran);
            else
                ran++;
        }
        drop_case(&t);
    }
    assert_true(ran >= wanted * 2); /* tables decline few of these */
}

static void conv_dense_matches_reference(void **state)
{
    (void)state;
    check_kind(KIND_DENSE, 60);
}
static void conv_pointwise_matches_reference(void **state)
{
    (void)state;
    check_kind(KIND_POINTWISE, 80);
}
static void conv_first_layer_matches_reference(void **state)
{
    (void)state;
    check_kind(KIND_FIRST, 60);
}
static void conv_depthwise_matches_reference(void **state)
{
    (void)state;
    check_kind(KIND_DEPTHWISE, 100);
}
static void conv_depthwise_3x3_matches_reference(void **state)
{
    (void)state;
    check_kind(KIND_DEPTHWISE3, 100);
}
static void conv_3x3_matches_reference(void **state)
{
    (void)state;
    check_kind(KIND_THREE, 60);
}
static void conv_3x3_many_channels_matches_reference(void **state)
{
    (void)state;
    check_kind(KIND_BIG, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv_dense_matches_reference),
        cmocka_unit_test(conv_pointwise_matches_reference),
        cmocka_unit_test(conv_first_layer_matches_reference),
        cmocka_unit_test(conv_depthwise_matches_reference),
        cmocka_unit_test(conv_depthwise_3x3_matches_reference),
        cmocka_unit_test(conv_3x3_matches_reference),
        cmocka_unit_test(conv_3x3_many_channels_matches_reference),
    };
    if (mien__pool_new(&pools[0], 2, NULL) || mien__pool_new(&pools[1], 7, NULL))
        return 1;
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mien__pool_free(pools[0]);
    mien__pool_free(pools[1]);
    return failed;
}
