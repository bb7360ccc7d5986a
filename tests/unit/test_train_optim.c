/* Optimisers against the formulas written anew in double over many steps; what must stay as it was; the
 * average; the schedule; state carried over a checkpoint's items.
 */
#include "base/base.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "train/optim.h"

enum { A = 37, B = 11, STEPS = 50 };

/* Three parameters: weights with decay, a bias without at half the rate, one that is not trained. */
typedef struct net {
    float w[A + B], fixed[3], g[A + B], d_fixed[3]; /* a, then b */
    mien__param params[3];
} net;

static void net_fill(float *x, int n, mien__rng *r, double range)
{
    for (int i = 0; i < n; i++)
        x[i] = (float)(range * (2.0 * mien__rng_unit(r) - 1.0));
}

static void net_open(net *t)
{
    mien__rng r;
    memset(t, 0, sizeof *t);
    mien__rng_seed(&r, 1);
    net_fill(t->w, A + B, &r, 0.5);
    net_fill(t->fixed, 3, &r, 0.5);
    t->params[0] = (mien__param){ "a", t->w, t->g, A, true, true, 1.0f };
    t->params[1] = (mien__param){ "fixed", t->fixed, t->d_fixed, 3, false, true, 1.0f };
    t->params[2] = (mien__param){ "b", t->w + A, t->g + A, B, true, false, 0.5f };
}

/* Fresh gradients for a step; those of the frozen parameter must never matter. */
static void net_gradients(net *t, int step)
{
    mien__rng r;
    mien__rng_seed(&r, 100 + (uint64_t)step);
    net_fill(t->g, A + B, &r, 2.0);
    for (int i = 0; i < 3; i++)
        t->d_fixed[i] = NAN;
}

static double rate(int step)
{
    return 1e-2 / (1 + 0.1 * step);
}

/* ---- the reference ---- */

typedef struct reference {
    double w[A + B], m[A + B], v[A + B], ema[A + B];
} reference;

static void reference_open(reference *f, const net *t)
{
    memset(f, 0, sizeof *f);
    for (int i = 0; i < A + B; i++)
        f->w[i] = f->ema[i] = (double)t->w[i];
}

static void reference_step(reference *f, const mien__optim_opts *o, const net *t, double lr, int step)
{
    double norm = 0.0, g[A + B];
    for (int i = 0; i < A + B; i++) {
        g[i] = (double)t->g[i];
        norm += g[i] * g[i];
    }
    norm = sqrt(norm);
    for (int i = 0; i < A + B; i++) {
        const double r = i < A ? lr : 0.5 * lr, wd = i < A ? o->weight_decay : 0.0;
        if (o->clip_norm > 0.0 && norm > o->clip_norm)
            g[i] *= o->clip_norm / norm;
        if (o->kind == MIEN__SGD) {
            f->m[i] = o->momentum * f->m[i] + g[i] + wd * f->w[i];
            f->w[i] -= r * f->m[i];
        } else {
            f->m[i] = o->beta1 * f->m[i] + (1 - o->beta1) * g[i];
            f->v[i] = o->beta2 * f->v[i] + (1 - o->beta2) * g[i] * g[i];
            const double mh = f->m[i] / (1 - pow(o->beta1, step)), vh = f->v[i] / (1 - pow(o->beta2, step));
            f->w[i] -= r * wd * f->w[i] + r * mh / (sqrt(vh) + o->eps);
        }
        const double d = fmin(o->ema, (1.0 + step) / (10.0 + step));
        f->ema[i] = d * f->ema[i] + (1 - d) * f->w[i];
    }
}

static const mien__optim_opts kinds[] = {
    { MIEN__ADAMW, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.05, .ema = 0.9 },
    { MIEN__ADAMW, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .weight_decay = 0.5, .clip_norm = 3 },
    { MIEN__SGD, .momentum = 0.9, .weight_decay = 0.05, .ema = 0.99 },
    { MIEN__SGD, .momentum = 0, .weight_decay = 0.5, .clip_norm = 3 },
};

static void assert_weights(const net *t, const double *want)
{
    for (int i = 0; i < A + B; i++) {
        const double got = (double)t->w[i];
        if (!(fabs(got - want[i]) < 1e-6))
            fail_msg("weight %d is %.9g, wanted %.9g", i, got, want[i]);
    }
}

static void step_follows_the_reference(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < MIEN_COUNTOF(kinds); kind++) {
        net t;
        reference f;
        mien__optim *o = NULL;
        float fixed[3];
        net_open(&t);
        reference_open(&f, &t);
        memcpy(fixed, t.fixed, sizeof fixed);
        assert_int_equal(mien__optim_new(&kinds[kind], t.params, 3, &o, NULL), MIEN_OK);
        for (int step = 1; step <= STEPS; step++) {
            net_gradients(&t, step);
            const net before = t;
            assert_true(mien__optim_step(o, rate(step)) > 3.0);
            assert_memory_equal(before.g, t.g, sizeof t.g); /* clipping leaves the gradients */
            reference_step(&f, &kinds[kind], &t, rate(step), step);
            assert_weights(&t, f.w);
        }
        assert_memory_equal(fixed, t.fixed, sizeof fixed);
        assert_int_equal(mien__optim_steps(o), STEPS);
        mien__optim_swap_ema(o);
        assert_weights(&t, kinds[kind].ema > 0.0 ? f.ema : f.w);
        assert_memory_equal(fixed, t.fixed, sizeof fixed);
        mien__optim_swap_ema(o);
        assert_weights(&t, f.w);
        mien__optim_free(o);
    }
}

static void step_by_hand(void **state)
{
    (void)state;
    float w[2] = { 1, 1 }, g[2] = { 3, 4 };
    const mien__param p = { "w", w, g, 2, true, true, 1 };
    const mien__optim_opts adam = { MIEN__ADAMW, .beta1 = 0.9, .beta2 = 0.999, .eps = 0,
                                    .weight_decay = 0.1 };
    const mien__optim_opts sgd = { MIEN__SGD, .momentum = 0.5, .clip_norm = 2.5 };
    mien__optim *o = NULL;
    assert_int_equal(mien__optim_new(&adam, &p, 1, &o, NULL), MIEN_OK);
    assert_true(mien__optim_step(o, 0.1) == 5.0); /* the first step is lr in size, whatever the gradient */
    assert_true(fabsf(w[0] - 0.89f) < 1e-6f && fabsf(w[1] - 0.89f) < 1e-6f);
    mien__optim_free(o);
    w[0] = w[1] = 1;
    assert_int_equal(mien__optim_new(&sgd, &p, 1, &o, NULL), MIEN_OK);
    assert_true(mien__optim_step(o, 0.1) == 5.0); /* clipped to 1.5, 2 */
    assert_true(fabsf(w[0] - 0.85f) < 1e-6f && fabsf(w[1] - 0.8f) < 1e-6f);
    assert_true(mien__optim_step(o, 0.1) == 5.0); /* momentum: 2.25, 3 */
    assert_true(fabsf(w[0] - 0.625f) < 1e-6f && fabsf(w[1] - 0.5f) < 1e-6f);
    mien__optim_free(o);
}

/* Every byte of the state, as a checkpoint would hold it. */
static size_t copy_state(mien__optim *o, uint8_t *to)
{
    mien__ckpt_item items[16];
    const size_t n = mien__optim_items(o, items, 16);
    size_t at = 0;
    assert_true(n <= 16);
    for (size_t i = 0; i < n; i++) {
        memcpy(to + at, items[i].data, items[i].bytes);
        at += items[i].bytes;
    }
    return at;
}

static void step_on_bad_gradient_changes_nothing(void **state)
{
    (void)state;
    static const float bad[] = { NAN, INFINITY, -INFINITY, 1e30f };
    for (size_t kind = 0; kind < MIEN_COUNTOF(kinds); kind++)
        for (size_t i = 0; i < MIEN_COUNTOF(bad); i++) {
            net t;
            mien__optim *o = NULL;
            static uint8_t before[4096], after[4096];
            if (isfinite(bad[i]) && kinds[kind].clip_norm > 0.0)
                continue; /* clipping makes it harmless */
            net_open(&t);
            assert_int_equal(mien__optim_new(&kinds[kind], t.params, 3, &o, NULL), MIEN_OK);
            net_gradients(&t, 1);
            assert_true(isfinite(mien__optim_step(o, 0.01)));
            net_gradients(&t, 2);
            t.g[A + B - 1] = bad[i];
            const net keep = t;
            const size_t bytes = copy_state(o, before);
            assert_false(isfinite(mien__optim_step(o, 0.01)));
            assert_memory_equal(keep.w, t.w, sizeof t.w);
            assert_int_equal(copy_state(o, after), bytes);
            assert_memory_equal(before, after, bytes);
            net_gradients(&t, 2);
            assert_true(isfinite(mien__optim_step(o, 0.01)) && mien__optim_steps(o) == 2);
            mien__optim_free(o);
        }
}

static void average_covers_what_is_not_trained(void **state)
{
    (void)state;
    net t;
    mien__optim *o = NULL;
    net_open(&t);
    t.params[1].grad = NULL; /* running statistics have none */
    t.fixed[0] = 0;
    assert_int_equal(mien__optim_new(&kinds[0], t.params, 3, &o, NULL), MIEN_OK);
    net_gradients(&t, 1);
    t.fixed[0] = 11;
    (void)mien__optim_step(o, 0.01);
    mien__optim_swap_ema(o);
    assert_true(fabsf(t.fixed[0] - 9.0f) < 1e-6f); /* d = 2/11 at the first step */
    mien__optim_swap_ema(o);
    assert_true(t.fixed[0] == 11.0f);
    mien__optim_free(o);
}

static void items_carry_a_run_over(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < MIEN_COUNTOF(kinds); kind++) {
        net t, u;
        mien__optim *o = NULL, *p = NULL;
        mien__ckpt_item from[16], to[16];
        net_open(&t);
        net_open(&u);
        assert_int_equal(mien__optim_new(&kinds[kind], t.params, 3, &o, NULL), MIEN_OK);
        assert_int_equal(mien__optim_new(&kinds[kind], u.params, 3, &p, NULL), MIEN_OK);
        for (int step = 1; step <= 5; step++) {
            net_gradients(&t, step);
            (void)mien__optim_step(o, 0.01);
        }
        const size_t n = mien__optim_items(o, NULL, 0);
        assert_int_equal(mien__optim_items(o, from, 16), n);
        assert_int_equal(mien__optim_items(p, to, 16), n);
        assert_int_equal(n, 1 + (kinds[kind].kind == MIEN__ADAMW ? 4 : 2) + (kinds[kind].ema > 0.0 ? 3 : 0));
        for (size_t i = 0; i < n; i++) {
            assert_string_equal(from[i].name, to[i].name);
            assert_int_equal(from[i].bytes, to[i].bytes);
            memcpy(to[i].data, from[i].data, from[i].bytes);
            for (size_t j = 0; j < i; j++)
                assert_string_not_equal(from[i].name, from[j].name);
        }
        memcpy(u.w, t.w, sizeof t.w);
        net_gradients(&t, 6);
        net_gradients(&u, 6);
        (void)mien__optim_step(o, 0.01);
        (void)mien__optim_step(p, 0.01);
        assert_memory_equal(t.w, u.w, sizeof t.w);
        assert_int_equal(mien__optim_steps(p), 6);
        mien__optim_free(o);
        mien__optim_free(p);
    }
}

static void new_refuses_what_makes_no_sense(void **state)
{
    (void)state;
    net t;
    net_open(&t);
    for (int i = 0; i < 8; i++) {
        mien__optim_opts o = kinds[i == 5 ? 2 : 0];
        mien__optim *ret = NULL;
        mien_error err = MIEN_ERROR_INIT;
        double *const which[] = { &o.beta1,     &o.beta2,    &o.eps, &o.weight_decay,
                                  &o.clip_norm, &o.momentum, &o.ema };
        if (i < 7)
            *which[i] = i % 2 ? -0.1 : (double)NAN;
        else
            o.kind = (mien__optim_kind)9;
        assert_int_equal(mien__optim_new(&o, t.params, 3, &ret, &err), MIEN_E_ARG);
        assert_null(ret);
        assert_true(err.message[0]);
    }
    mien__optim_free(NULL);
}

static int budget;

static void *short_alloc(size_t bytes, size_t align, void *user)
{
    (void)user;
    void *ptr = NULL;
    return budget-- > 0 && posix_memalign(&ptr, align, bytes) == 0 ? ptr : NULL;
}

static void plain_free(void *ptr, void *user)
{
    (void)user;
    free(ptr);
}

static void new_out_of_memory_says_so(void **state)
{
    (void)state;
    const mien_allocator hook = { short_alloc, plain_free, NULL };
    net t;
    mien__optim *o = NULL;
    net_open(&t);
    mien_set_allocator(&hook);
    int n = 0;
    for (; n < 20 && !o; n++) {
        budget = n;
        const mien_status st = mien__optim_new(&kinds[0], t.params, 3, &o, NULL);
        assert_int_equal(st, o ? MIEN_OK : MIEN_E_NOMEM);
    }
    assert_true(o && n > 3);
    mien__optim_free(o);
    mien_set_allocator(NULL);
    t.params[0].count = SIZE_MAX / 2;
    assert_int_equal(mien__optim_new(&kinds[0], t.params, 3, &o, NULL), MIEN_E_LIMIT);
}

static void lr_warms_up_and_falls_by_half_a_cosine(void **state)
{
    (void)state;
    assert_true(fabs(mien__lr_at(2, 0, 10, 110, 0.1) - 0.2) < 1e-12);
    assert_true(fabs(mien__lr_at(2, 9, 10, 110, 0.1) - 2) < 1e-12);
    assert_true(fabs(mien__lr_at(2, 10, 10, 110, 0.1) - 2) < 1e-12);
    assert_true(fabs(mien__lr_at(2, 60, 10, 110, 0.1) - 1.1) < 1e-12);
    assert_true(fabs(mien__lr_at(2, 110, 10, 110, 0.1) - 0.2) < 1e-12);
    assert_true(fabs(mien__lr_at(2, 99999, 10, 110, 0.1) - 0.2) < 1e-12);
    assert_true(fabs(mien__lr_at(2, 0, 0, 10, 0) - 2) < 1e-12);
    assert_true(fabs(mien__lr_at(2, 3, 5, 5, 0) - 1.6) < 1e-12 && mien__lr_at(2, 5, 5, 5, 0) == 0.0);
    for (uint64_t s = 10; s < 120; s++)
        assert_true(mien__lr_at(2, s + 1, 10, 110, 0.1) <= mien__lr_at(2, s, 10, 110, 0.1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(step_follows_the_reference),
        cmocka_unit_test(step_by_hand),
        cmocka_unit_test(step_on_bad_gradient_changes_nothing),
        cmocka_unit_test(average_covers_what_is_not_trained),
        cmocka_unit_test(items_carry_a_run_over),
        cmocka_unit_test(new_refuses_what_makes_no_sense),
        cmocka_unit_test(new_out_of_memory_says_so),
        cmocka_unit_test(lr_warms_up_and_falls_by_half_a_cosine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
