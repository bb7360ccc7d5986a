/* The gradients of convolutions of every training table against sums in double: random shapes with channel
 * tails, strides, dilations, padding that differs by side, outputs that leave source rows unread; buffers end
 * at a guard page; pad lanes hold 1e30; the same bytes for any number of threads.
 *
 * Bounds: a sum of k terms in float errs by at most k eps sum |a||b|; Winograd by its constant (see
 * test_kernels_conv.c).
 */
#include "kernel_test.h"
#include "train/kernels/train_kernels.h"

static mien__pool *pools[3]; /* 1, 2 and 7 threads */

typedef struct grad_case {
    mien__conv c;
    float *w, *src, *d_dst, *d_src0; /* plain; d_src0: what is there before an addition */
    double *d_w, *d_w_mag, *d_src, *d_src_mag, *d_bias, *d_bias_mag;
} grad_case;

static float *random_floats(size_t n, float scale)
{
    float *const p = malloc((n ? n : 1) * sizeof *p);
    for (size_t i = 0; i < n; i++)
        p[i] = kt_float() * scale;
    return p;
}

static double *zeros(size_t n)
{
    return calloc(n ? n : 1, sizeof(double));
}

static void reference(grad_case *t)
{
    const mien__conv *const c = &t->c;
    const int icg = c->ic / c->groups, ocg = c->oc / c->groups;
    const size_t ws = (size_t)c->oc * icg * c->kh * c->kw, ins = (size_t)c->n * c->ic * c->ih * c->iw;
    t->d_w = zeros(ws), t->d_w_mag = zeros(ws), t->d_src = zeros(ins), t->d_src_mag = zeros(ins);
    t->d_bias = zeros((size_t)c->oc), t->d_bias_mag = zeros((size_t)c->oc);
    size_t at = 0;
    for (int n = 0; n < c->n; n++)
        for (int o = 0; o < c->oc; o++)
            for (int y = 0; y < c->oh; y++)
                for (int x = 0; x < c->ow; x++, at++) {
                    const double d = t->d_dst[at];
                    t->d_bias[o] += d;
                    t->d_bias_mag[o] += fabs(d);
                    for (int i = 0; i < icg; i++)
                        for (int ky = 0; ky < c->kh; ky++)
                            for (int kx = 0; kx < c->kw; kx++) {
                                const int sy = y * c->sh - c->pt + ky * c->dh,
                                          sx = x * c->sw - c->pl + kx * c->dw;
                                if (sy < 0 || sx < 0 || sy >= c->ih || sx >= c->iw)
                                    continue;
                                const size_t s =
                                    (((size_t)n * c->ic + o / ocg * icg + i) * c->ih + sy) * c->iw + sx;
                                const size_t w = (((size_t)o * icg + i) * c->kh + ky) * c->kw + kx;
                                t->d_w[w] += d * t->src[s];
                                t->d_w_mag[w] += fabs(d * t->src[s]);
                                t->d_src[s] += d * t->w[w];
                                t->d_src_mag[s] += fabs(d * t->w[w]);
                            }
                }
}

enum { KIND_DENSE, KIND_POINTWISE, KIND_FIRST, KIND_DEPTHWISE, KIND_WHOLE, KIND_THREE, KIND_BIG, KIND_ROUND };

static bool make_case(grad_case *t, int kind)
{
    memset(t, 0, sizeof *t);
    mien__conv *const c = &t->c;
    *c = (mien__conv){ .n = kt_int(1, 5),
                       .ic = kt_int(1, 65),
                       .ih = kt_int(1, 20),
                       .iw = kt_int(1, 40),
                       .oc = kt_int(1, 65),
                       .kh = kt_int(1, 5),
                       .kw = kt_int(1, 5),
                       .sh = kt_int(1, 3),
                       .sw = kt_int(1, 3),
                       .dh = 1,
                       .dw = 1,
                       .groups = 1 };
    if (kt_int(0, 3) == 0)
        c->sh = c->sw = 1, c->dh = kt_int(1, 2), c->dw = kt_int(1, 2);
    if (kind == KIND_POINTWISE)
        c->kh = c->kw = 1;
    if (kind == KIND_FIRST)
        c->ic = kt_int(1, 4), c->src_plain = true;
    if (kind == KIND_DEPTHWISE || kind == KIND_WHOLE) {
        c->groups = c->oc = c->ic;
        if (kt_int(0, 2)) {
            c->kh = c->kw = kt_int(0, 1) ? 3 : 5;
            c->dh = c->dw = 1;
            c->sh = c->sw = kt_int(1, 2);
        }
    }
    if (kind == KIND_WHOLE)
        c->kh = c->ih = kt_int(1, 7), c->kw = c->iw = kt_int(1, 7), c->dh = c->dw = 1;
    if (kind == KIND_THREE || kind == KIND_BIG) {
        c->kh = c->kw = 3;
        c->dh = c->dw = 1, c->sh = c->sw = kt_int(1, 2);
    }
    if (kind == KIND_BIG)
        c->n = kt_int(1, 2), c->ic = kt_int(60, 130), c->oc = kt_int(60, 130), c->iw = c->ih = kt_int(6, 15);
    if (kind == KIND_ROUND) { /* whole vectors of channels, many pictures */
        c->n = kt_int(6, 40), c->ic = 16 * kt_int(1, 4), c->oc = 32 * kt_int(1, 3),
        c->iw = c->ih = kt_int(3, 9);
        c->kh = c->kw = kt_int(0, 1) ? 1 : 3, c->sh = c->sw = kt_int(1, 2), c->dh = c->dw = 1;
    }
    c->pt = kt_int(0, (c->kh - 1) * c->dh), c->pb = kt_int(0, (c->kh - 1) * c->dh);
    c->pl = kt_int(0, (c->kw - 1) * c->dw), c->pr = kt_int(0, (c->kw - 1) * c->dw);
    if (kt_int(0, 2) == 0 || kind == KIND_WHOLE)
        c->pt = c->pl = c->pb = c->pr = 0;
    const int rh = c->ih + c->pt + c->pb - (c->kh - 1) * c->dh - 1,
              rw = c->iw + c->pl + c->pr - (c->kw - 1) * c->dw - 1;
    if (rh < 0 || rw < 0)
        return false;
    c->oh = rh / c->sh + 1, c->ow = rw / c->sw + 1;
    t->w = random_floats((size_t)c->oc * (c->ic / c->groups) * c->kh * c->kw, 0.25f);
    t->src = random_floats((size_t)c->n * c->ic * c->ih * c->iw, 1);
    t->d_src0 = random_floats((size_t)c->n * c->ic * c->ih * c->iw, 1);
    t->d_dst = random_floats((size_t)c->n * c->oc * c->oh * c->ow, 1);
    return true;
}

static void drop_case(grad_case *t)
{
    free(t->w), free(t->src), free(t->d_dst), free(t->d_src0), free(t->d_w), free(t->d_w_mag);
    free(t->d_src), free(t->d_src_mag), free(t->d_bias), free(t->d_bias_mag);
}

static void describe(const grad_case *t, const char *level, int trial)
{
    const mien__conv *const c = &t->c;
    fprintf(
        stderr,
        "%s: seed %llu trial %d n %d ic %d %dx%d oc %d %dx%d k %dx%d s %d,%d d %d,%d p %d,%d,%d,%d g %d\n",
        level, (unsigned long long)kt_seed, trial, c->n, c->ic, c->ih, c->iw, c->oc, c->oh, c->ow, c->kh,
        c->kw, c->sh, c->sw, c->dh, c->dw, c->pt, c->pl, c->pb, c->pr, c->groups);
}

static void check_dw(const mien__train_kernels *tk, const mien__kernels *k, const grad_case *t, int trial)
{
    const mien__conv *const c = &t->c;
    const int ihw = c->ih * c->iw, ohw = c->oh * c->ow;
    const size_t in = c->src_plain ? (size_t)c->n * c->ic * ihw : kt_blocked(k, c->n, c->ic, ihw);
    const size_t out = kt_blocked(k, c->n, c->oc, ohw),
                 ws = (size_t)c->oc * (c->ic / c->groups) * c->kh * c->kw;
    assert_true(tk->conv_dw_can(c));
    kt_buf src = kt_alloc(in), d_dst = kt_alloc(out), first = kt_alloc(ws + (size_t)c->oc);
    if (c->src_plain)
        memcpy(src.p, t->src, in * sizeof(float));
    else
        kt_block(k, c->n, c->ic, ihw, t->src, src.p);
    kt_block(k, c->n, c->oc, ohw, t->d_dst, d_dst.p);
    for (int p = 0; p < 3; p++) {
        kt_buf d_w = kt_alloc(ws), d_bias = kt_alloc((size_t)c->oc),
               scratch = kt_alloc(tk->conv_dw_scratch(c) / sizeof(float));
        tk->conv_dw(c, src.p, d_dst.p, d_w.p, p == 1 ? NULL : d_bias.p, scratch.p, pools[p]);
        for (size_t i = 0; p == 0 && i < ws + (size_t)c->oc; i++) {
            const bool b = i >= ws;
            const double got = b ? d_bias.p[i - ws] : d_w.p[i], want = b ? t->d_bias[i - ws] : t->d_w[i];
            const double bound = (c->n * ohw + 16) * KT_EPS * (b ? t->d_bias_mag[i - ws] : t->d_w_mag[i]);
            first.p[i] = (float)got;
            if (!(fabs(got - want) <= bound)) {
                describe(t, tk->name, trial);
                fail_msg("d_w %zu of %zu: got %.9g, want %.9g, bound %.3g", i, ws, got, want, bound);
            }
        }
        if (memcmp(first.p, d_w.p, ws * sizeof(float)) ||
            (p != 1 && memcmp(first.p + ws, d_bias.p, (size_t)c->oc * sizeof(float)))) {
            describe(t, tk->name, trial);
            fail_msg("other d_w with pool %d", p);
        }
        kt_free(&d_w), kt_free(&d_bias), kt_free(&scratch);
    }
    kt_free(&src), kt_free(&d_dst), kt_free(&first);
}

static void check_dx(const mien__train_kernels *tk, const mien__kernels *k, const grad_case *t, int trial,
                     int *ran)
{
    const mien__conv *const c = &t->c;
    const int ihw = c->ih * c->iw, ohw = c->oh * c->ow;
    const size_t in = kt_blocked(k, c->n, c->ic, ihw), out = kt_blocked(k, c->n, c->oc, ohw);
    mien__conv_dx_plan plan;
    if (!tk->conv_dx_plan(c, 1, &plan))
        return;
    ++*ran;
    const bool fast = (plan.conv.kernel && strstr(plan.conv.kernel, "winograd")) || (c->sh > 1 && c->kh > 3);
    const double extra = fast ? 12 * KT_EPS * 9 * c->oc * 0.25 : 0;
    kt_buf d_dst = kt_alloc(out), first = kt_alloc(in);
    kt_block(k, c->n, c->oc, ohw, t->d_dst, d_dst.p);
    for (int add = 0; add < 2; add++)
        for (int p = 0; p < (add == trial % 2 ? 3 : 1); p++) { /* pools for one of the two, by turns */
            assert_true(tk->conv_dx_plan(c, p == 0 ? 1 : p == 1 ? 2 : 7, &plan));
            kt_buf packed = kt_alloc(plan.packed_bytes / sizeof(float)), d_src = kt_alloc(in),
                   scratch = kt_alloc(plan.scratch_bytes / sizeof(float));
            if (add)
                kt_block(k, c->n, c->ic, ihw, t->d_src0, d_src.p);
            tk->conv_dx_pack(&plan, t->w, packed.p);
            tk->conv_dx_run(&plan, packed.p, d_dst.p, add, d_src.p, scratch.p, pools[p]);
            for (size_t i = 0; p == 0 && i < (size_t)c->n * c->ic * ihw; i++) {
                const int n = (int)(i / ((size_t)c->ic * ihw)), ch = (int)(i / ihw) % c->ic,
                          px = (int)(i % ihw);
                const double got = d_src.p[kt_at(k, c->ic, ihw, n, ch, px)], was = add ? t->d_src0[i] : 0,
                             want = t->d_src[i] + was;
                const double terms = (double)c->oc / c->groups * c->kh * c->kw + 12;
                const double bound = terms * KT_EPS * (t->d_src_mag[i] + fabs(was)) + extra;
                if (!(fabs(got - want) <= bound)) {
                    describe(t, tk->name, trial);
                    fail_msg("d_src %d,%d,%d add %d: got %.9g, want %.9g, bound %.3g", n, ch, px, add, got,
                             want, bound);
                }
            }
            for (size_t i = 0; p == 0 && i < in; i++)
                assert_true(isfinite(d_src.p[i]));
            if (p == 0)
                memcpy(first.p, d_src.p, in * sizeof(float));
            else if (memcmp(first.p, d_src.p, in * sizeof(float))) {
                describe(t, tk->name, trial);
                fail_msg("other d_src with pool %d", p);
            }
            kt_free(&packed), kt_free(&d_src), kt_free(&scratch);
        }
    kt_free(&d_dst), kt_free(&first);
}

static void check_kind(int kind, int trials)
{
    int ran = 0, wanted = 0;
    kt_start(33000 + (uint64_t)kind);
    for (int trial = 0; trial < trials; trial++) {
        grad_case t;
        if (!make_case(&t, kind))
            continue;
        reference(&t);
        for (size_t l = 0; l < MIEN_COUNTOF(kt_levels); l++) {
            const mien__kernels *const k = mien__kernels_for(kt_levels[l]);
            const mien__train_kernels *const tk = mien__train_kernels_for(kt_levels[l]);
            assert_int_equal(!k, !tk);
            if (!tk)
                continue;
            assert_int_equal(tk->block, k->block);
            check_dw(tk, k, &t, trial);
            wanted++;
            if (t.c.src_plain)
                ran++;
            else
                check_dx(tk, k, &t, trial, &ran);
        }
        drop_case(&t);
    }
    assert_true(ran >= wanted / 2); /* tables decline few of these: padding that a phase has no room for */
}

static void conv_gradients_dense_match_reference(void **state)
{
    (void)state;
    check_kind(KIND_DENSE, 36);
}
static void conv_gradients_pointwise_match_reference(void **state)
{
    (void)state;
    check_kind(KIND_POINTWISE, 40);
}
static void conv_gradients_first_layer_match_reference(void **state)
{
    (void)state;
    check_kind(KIND_FIRST, 36);
}
static void conv_gradients_depthwise_match_reference(void **state)
{
    (void)state;
    check_kind(KIND_DEPTHWISE, 60);
}
static void conv_gradients_whole_picture_depthwise_match_reference(void **state)
{
    (void)state;
    check_kind(KIND_WHOLE, 20);
}
static void conv_gradients_3x3_match_reference(void **state)
{
    (void)state;
    check_kind(KIND_THREE, 40);
}
static void conv_gradients_many_channels_match_reference(void **state)
{
    (void)state;
    check_kind(KIND_BIG, 12);
}
static void conv_gradients_many_pictures_match_reference(void **state)
{
    (void)state;
    check_kind(KIND_ROUND, 20);
}

/* The shapes that training spends its time on are never declined. */
static void conv_gradients_common_shapes_are_supported(void **state)
{
    static const struct {
        int ic, hw, oc, k, s, p, g;
    } shapes[] = { { 64, 56, 64, 3, 1, 1, 64 }, { 128, 56, 128, 3, 2, 1, 128 }, { 64, 56, 128, 1, 1, 0, 1 },
                   { 128, 28, 64, 1, 1, 0, 1 }, { 512, 7, 512, 7, 1, 0, 512 },  { 64, 112, 64, 3, 2, 1, 1 },
                   { 64, 112, 64, 1, 2, 0, 1 }, { 64, 57, 64, 3, 2, 0, 1 },     { 16, 15, 16, 3, 2, 1, 16 },
                   { 24, 9, 40, 5, 2, 2, 1 },   { 24, 9, 40, 7, 2, 3, 1 },      { 8, 10, 8, 2, 2, 0, 1 },
                   { 512, 14, 512, 3, 1, 1, 1 } };
    (void)state;
    for (size_t l = 0; l < MIEN_COUNTOF(kt_levels); l++) {
        const mien__train_kernels *const tk = mien__train_kernels_for(kt_levels[l]);
        for (size_t i = 0; tk && i < MIEN_COUNTOF(shapes); i++) {
            mien__conv c = { .n = 32, .ic = shapes[i].ic, .ih = shapes[i].hw, .iw = shapes[i].hw };
            c.oc = shapes[i].oc, c.kh = c.kw = shapes[i].k, c.sh = c.sw = shapes[i].s, c.dh = c.dw = 1;
            c.pt = c.pl = c.pb = c.pr = shapes[i].p, c.groups = shapes[i].g;
            c.oh = c.ow = (c.ih + 2 * c.pt - c.kh) / c.sh + 1;
            mien__conv_dx_plan p;
            assert_true(tk->conv_dw_can(&c));
            assert_true(tk->conv_dx_plan(&c, 2, &p));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv_gradients_dense_match_reference),
        cmocka_unit_test(conv_gradients_pointwise_match_reference),
        cmocka_unit_test(conv_gradients_first_layer_match_reference),
        cmocka_unit_test(conv_gradients_depthwise_match_reference),
        cmocka_unit_test(conv_gradients_whole_picture_depthwise_match_reference),
        cmocka_unit_test(conv_gradients_3x3_match_reference),
        cmocka_unit_test(conv_gradients_many_channels_match_reference),
        cmocka_unit_test(conv_gradients_many_pictures_match_reference),
        cmocka_unit_test(conv_gradients_common_shapes_are_supported),
    };
    if (mien__pool_new(&pools[0], 1, NULL) || mien__pool_new(&pools[1], 2, NULL) ||
        mien__pool_new(&pools[2], 7, NULL))
        return 1;
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (int i = 0; i < 3; i++)
        mien__pool_free(pools[i]);
    return failed;
}
