/* Losses of training: values by hand, gradients against central differences of the same formulas written
 * anew in double, and what must not change them.
 */
#include "base/base.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "train/loss.h"

enum { N = 7, K = 5, DIM = 19, T_DIM = 11, MOST = 512, SCRATCH = 1 << 16 };

static _Alignas(64) char scratch[SCRATCH];
static const int32_t labels[N] = { 0, 3, -1, 4, 3, 0, 1 };

static void fill(float *x, int n, uint64_t seed)
{
    mien__rng r;
    mien__rng_seed(&r, seed);
    for (int i = 0; i < n; i++)
        x[i] = (float)(2.0 * mien__rng_unit(&r) - 1.0);
}

/* One loss as a function of one array, in double. */
typedef struct problem {
    double (*of)(const struct problem *p, const double *x);
    const float *other; /* centres, embeddings or targets */
    const int32_t *labels;
    int n, k, dim;
    mien__head_opts head;
    double margin;
} problem;

/* Gradient and value agree within `bound` of the greatest gradient and of the value. */
static void check(const problem *p, const float *x, int count, double loss, const float *d, double bound)
{
    static const double h = 1e-5;
    double at[MOST], most = 0.0;
    assert_true(count <= MOST);
    for (int i = 0; i < count; i++)
        at[i] = (double)x[i];
    const double want_loss = p->of(p, at);
    if (!(fabs(loss - want_loss) <= bound * (1.0 + fabs(want_loss))))
        fail_msg("loss %.9g, wanted %.9g", loss, want_loss);
    for (int i = 0; i < count; i++)
        most = fmax(most, fabs((double)d[i]));
    assert_true(most > 1e-4);
    for (int i = 0; i < count; i++) {
        at[i] = (double)x[i] + h;
        const double up = p->of(p, at);
        at[i] = (double)x[i] - h;
        const double want = (up - p->of(p, at)) / (2.0 * h);
        at[i] = (double)x[i];
        if (!(fabs((double)d[i] - want) <= bound * most))
            fail_msg("gradient %d is %.9g, wanted %.9g (greatest %g)", i, (double)d[i], want, most);
    }
}

static double dot(const double *a, const double *b, int n)
{
    double s = 0.0;
    for (int i = 0; i < n; i++)
        s += a[i] * b[i];
    return s;
}

static double cosine(const double *a, const double *b, int n)
{
    return dot(a, b, n) / sqrt(dot(a, a, n) * dot(b, b, n));
}

static double cross_entropy(const double *z, int label, int k, double eps)
{
    double sum = 0.0, loss = 0.0;
    for (int j = 0; j < k; j++)
        sum += exp(z[j]);
    for (int j = 0; j < k; j++)
        loss -= ((j == label ? 1.0 - eps : 0.0) + eps / k) * (z[j] - log(sum));
    return loss;
}

/* ---- softmax ---- */

static double softmax_of(const problem *p, const double *x)
{
    double loss = 0.0;
    int counted = 0;
    for (int i = 0; i < p->n; i++)
        if (p->labels[i] >= 0) {
            loss += cross_entropy(x + i * p->k, p->labels[i], p->k, p->head.smoothing);
            counted++;
        }
    return loss / counted;
}

static void softmax_by_hand(void **state)
{
    (void)state;
    static const int32_t zero = 0, one = 1;
    float d[2];
    assert_true(fabs(mien__loss_softmax((const float[]){ 0, 0 }, &zero, 1, 2, 0, d) - log(2)) < 1e-12);
    assert_true(fabsf(d[0] + 0.5f) < 1e-7f && fabsf(d[1] - 0.5f) < 1e-7f);
    /* p = 1/4, 3/4; smoothing 0.2: q = 0.1, 0.9 */
    const float z[2] = { 0, logf(3) };
    const double want = -(0.1 * log(0.25) + 0.9 * log(0.75));
    assert_true(fabs(mien__loss_softmax(z, &one, 1, 2, 0.2, d) - want) < 1e-7);
    assert_true(fabsf(d[0] - 0.15f) < 1e-6f && fabsf(d[1] + 0.15f) < 1e-6f);
}

static void softmax_gradient_is_the_difference(void **state)
{
    (void)state;
    for (int smooth = 0; smooth < 2; smooth++) {
        float z[N * K], d[N * K];
        problem p = { softmax_of, NULL, labels, N, K, 0, { .smoothing = 0.1 * smooth }, 0 };
        fill(z, N * K, 1);
        const double loss = mien__loss_softmax(z, labels, N, K, 0.1 * smooth, d);
        check(&p, z, N * K, loss, d, 1e-6);
        assert_memory_equal(d + 2 * K, ((float[K]){ 0 }), K * sizeof *d);
        assert_true(mien__loss_softmax(z, labels, N, K, 0.1 * smooth, z) == loss); /* in place */
        assert_memory_equal(z, d, sizeof d);
    }
}

static void softmax_large_logits_stay_finite(void **state)
{
    (void)state;
    static const int32_t zero = 0;
    float d[2];
    assert_true(fabs(mien__loss_softmax((const float[]){ 1e4f, 1e4f }, &zero, 1, 2, 0, d) - log(2)) < 1e-12);
    assert_true(fabs(mien__loss_softmax((const float[]){ -1e30f, 1e30f }, &zero, 1, 2, 0, d) / 2e30 - 1) <
                1e-6);
    assert_true(d[0] == -1.0f && d[1] == 1.0f);
    assert_true(mien__loss_softmax((const float[]){ 1e30f, -1e30f }, &zero, 1, 2, 0, d) == 0.0);
    assert_true(d[0] == 0.0f && d[1] == 0.0f);
    assert_true(isnan(mien__loss_softmax((const float[]){ 1, NAN }, &zero, 1, 2, 0, d)));
}

static void every_loss_without_labels_is_zero(void **state)
{
    (void)state;
    static const int32_t none[N] = { -1, -1, -1, -1, -1, -1, -1 };
    static const float zeros[N * DIM];
    const mien__head_opts o = { MIEN__HEAD_ARCFACE, 64, 0.5, 0 };
    float e[N * DIM], w[K * DIM], d[N * DIM], d_w[K * DIM];
    int count = -1;
    fill(e, N * DIM, 2);
    fill(w, K * DIM, 3);
    assert_true(mien__loss_softmax(e, none, N, DIM, 0.1, d) == 0.0);
    assert_memory_equal(d, zeros, sizeof d);
    assert_true(mien__loss_head(&o, e, w, none, N, K, DIM, d, d_w, &count, scratch, NULL, NULL) == 0.0);
    assert_int_equal(count, 0);
    for (int i = 0; i < N * DIM; i++)
        assert_true(d[i] == 0.0f && (i >= K * DIM || d_w[i] == 0.0f));
    count = -1;
    assert_true(mien__loss_triplet(e, none, N, DIM, 0.2, d, &count, scratch) == 0.0);
    assert_int_equal(count, 0);
}

/* ---- heads ---- */

static double head_loss(const problem *p, const double *e, const double *w)
{
    double loss = 0.0, z[K];
    int counted = 0;
    for (int i = 0; i < p->n; i++) {
        const int y = p->labels[i];
        if (y < 0)
            continue;
        for (int j = 0; j < p->k; j++) {
            const double *ei = e + i * p->dim, *wj = w + j * p->dim;
            z[j] = p->head.kind == MIEN__HEAD_SOFTMAX ? dot(ei, wj, p->dim) : cosine(ei, wj, p->dim);
        }
        if (p->head.kind == MIEN__HEAD_ARCFACE) {
            const double theta = acos(z[y]), m = p->head.margin;
            z[y] = theta + m < acos(-1.0) ? cos(theta + m) : z[y] - m * sin(m);
        } else if (p->head.kind == MIEN__HEAD_COSFACE) {
            z[y] -= p->head.margin;
        }
        for (int j = 0; j < p->k && p->head.kind != MIEN__HEAD_SOFTMAX; j++)
            z[j] *= p->head.scale;
        loss += cross_entropy(z, y, p->k, p->head.smoothing);
        counted++;
    }
    return loss / counted;
}

static double head_of_e(const problem *p, const double *e)
{
    double w[K * DIM];
    for (int i = 0; i < p->k * p->dim; i++)
        w[i] = (double)p->other[i];
    return head_loss(p, e, w);
}

static double head_of_w(const problem *p, const double *w)
{
    double e[N * DIM];
    for (int i = 0; i < p->n * p->dim; i++)
        e[i] = (double)p->other[i];
    return head_loss(p, e, w);
}

static const mien__head_opts heads[] = {
    { MIEN__HEAD_SOFTMAX, 1, 0, 0 },    { MIEN__HEAD_SOFTMAX, 1, 0, 0.1 },
    { MIEN__HEAD_ARCFACE, 8, 0.5, 0 },  { MIEN__HEAD_ARCFACE, 64, 0.5, 0.1 },
    { MIEN__HEAD_COSFACE, 8, 0.35, 0 }, { MIEN__HEAD_COSFACE, 64, 0.35, 0 },
    { MIEN__HEAD_ARCFACE, 8, 2.0, 0 }, /* a margin that sends rows past pi */
};

static void head_gradients_are_the_differences(void **state)
{
    (void)state;
    float e[N * DIM], w[K * DIM], d_e[N * DIM], d_w[K * DIM];
    fill(e, N * DIM, 4);
    fill(w, K * DIM, 5);
    assert_true(mien__loss_head_scratch(N, K, DIM, NULL) <= SCRATCH);
    for (size_t i = 0; i < MIEN_COUNTOF(heads); i++) {
        int correct = 0;
        problem p = { head_of_e, w, labels, N, K, DIM, heads[i], 0 };
        const double loss =
            mien__loss_head(&heads[i], e, w, labels, N, K, DIM, d_e, d_w, &correct, scratch, NULL, NULL);
        check(&p, e, N * DIM, loss, d_e, 2e-5);
        p.of = head_of_w;
        p.other = e;
        check(&p, w, K * DIM, loss, d_w, 2e-5);
    }
}

static void head_by_hand(void **state)
{
    (void)state;
    static const int32_t zero = 0;
    const float w[4] = { 1, 0, 0, 3 }, same[2] = { 7, 0 }, opposite[2] = { -2, 0 };
    const mien__head_opts arc = { MIEN__HEAD_ARCFACE, 2, 0.5, 0 },
                          cosine_head = { MIEN__HEAD_COSFACE, 2, 0.35, 0 };
    float d_e[2], d_w[4];
    int right = 0;
    double loss = mien__loss_head(&arc, same, w, &zero, 1, 2, 2, d_e, d_w, &right, scratch, NULL, NULL);
    assert_true(fabs(loss - log1p(exp(-2 * cos(0.5)))) < 1e-7 && right == 1);
    loss = mien__loss_head(&cosine_head, same, w, &zero, 1, 2, 2, d_e, d_w, &right, scratch, NULL, NULL);
    assert_true(fabs(loss - log1p(exp(-2 * 0.65))) < 1e-7 && right == 1);
    loss = mien__loss_head(&arc, opposite, w, &zero, 1, 2, 2, d_e, d_w, &right, scratch, NULL, NULL);
    assert_true(fabs(loss - log1p(exp(2 * (1 + 0.5 * sin(0.5))))) < 1e-6 && right == 0);
}

static void head_arcface_logit_falls_with_the_angle(void **state)
{
    (void)state;
    static const int32_t zero = 0;
    const mien__head_opts arc = { MIEN__HEAD_ARCFACE, 4, 0.5, 0 };
    const float w[6] = { 1, 0, 0, 0, 0, 1 };
    double last = 0.0;
    for (int i = 0; i <= 180; i++) {
        const double a = i * acos(-1.0) / 180;
        const float e[3] = { (float)cos(a), (float)sin(a), 0 };
        float d_e[3], d_w[6];
        int right = 0;
        const double loss =
            mien__loss_head(&arc, e, w, &zero, 1, 2, 3, d_e, d_w, &right, scratch, NULL, NULL);
        assert_true(loss > last);
        for (int j = 0; j < 3; j++)
            assert_true(isfinite(d_e[j]));
        last = loss;
    }
}

static void head_without_margin_is_softmax_of_scaled_cosines(void **state)
{
    (void)state;
    float e[N * DIM], w[K * DIM], z[N * K], d_z[N * K], d_e[N * DIM], d_w[K * DIM];
    double de[N * DIM], dw[K * DIM];
    fill(e, N * DIM, 6);
    fill(w, K * DIM, 7);
    for (int i = 0; i < N * DIM; i++)
        de[i] = (double)e[i];
    for (int i = 0; i < K * DIM; i++)
        dw[i] = (double)w[i];
    int best = 0, correct = 0;
    for (int i = 0; i < N; i++) {
        int top = 0;
        for (int j = 0; j < K; j++) {
            z[i * K + j] = (float)(16 * cosine(de + i * DIM, dw + j * DIM, DIM));
            top = z[i * K + j] > z[i * K + top] ? j : top;
        }
        best += top == labels[i];
    }
    const double want = mien__loss_softmax(z, labels, N, K, 0.1, d_z);
    for (int kind = MIEN__HEAD_ARCFACE; kind <= MIEN__HEAD_COSFACE; kind++) {
        const mien__head_opts o = { (mien__head)kind, 16, 0, 0.1 };
        const double got =
            mien__loss_head(&o, e, w, labels, N, K, DIM, d_e, d_w, &correct, scratch, NULL, NULL);
        assert_true(fabs(got - want) < 1e-6);
        assert_int_equal(correct, best);
        /* the gradient of a cosine stands upright on its embedding */
        for (int i = 0; i < N; i++) {
            double along = 0.0;
            for (int j = 0; j < DIM; j++)
                along += de[i * DIM + j] * (double)d_e[i * DIM + j];
            assert_true(fabs(along) < 1e-6);
        }
    }
}

/* A table with only the product: by the book, and its scratch is written to. */
static size_t book_scratch(int m, int n, int k)
{
    return (size_t)(m + n + k);
}

static void book_gemm(int m, int n, int k, const float *a, int lda, bool ta, const float *b, int ldb, bool tb,
                      float *c, int ldc, bool add, void *work, mien__pool *pool)
{
    (void)pool;
    memset(work, 0xff, book_scratch(m, n, k));
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            float s = add ? c[i * ldc + j] : 0;
            for (int q = 0; q < k; q++)
                s += (ta ? a[q * lda + i] : a[i * lda + q]) * (tb ? b[j * ldb + q] : b[q * ldb + j]);
            c[i * ldc + j] = s;
        }
}

static void head_with_kernels_or_threads_gives_the_same(void **state)
{
    (void)state;
    enum { ROWS = 70, CLASSES = 45, LEN = 130 };
    static float e[ROWS * LEN], w[CLASSES * LEN], d_e[3][ROWS * LEN], d_w[3][CLASSES * LEN];
    static int32_t some[ROWS];
    const mien__train_kernels kernels = { .gemm_scratch = book_scratch, .gemm = book_gemm };
    mien__pool *pool = NULL;
    fill(e, ROWS * LEN, 8);
    fill(w, CLASSES * LEN, 9);
    for (int i = 0; i < ROWS; i++)
        some[i] = i * 7 % CLASSES - (i % 9 == 0 ? CLASSES : 0);
    assert_int_equal(mien__pool_new(&pool, 3, NULL), MIEN_OK);
    for (size_t i = 0; i < MIEN_COUNTOF(heads); i++) {
        double loss[3];
        int correct[3];
        for (int way = 0; way < 3; way++) {
            const mien__train_kernels *const table = way == 2 ? &kernels : NULL;
            /* a block of its exact size, so that a sanitizer sees what passes it */
            void *const work = mien_alloc(mien__loss_head_scratch(ROWS, CLASSES, LEN, table));
            loss[way] = mien__loss_head(&heads[i], e, w, some, ROWS, CLASSES, LEN, d_e[way], d_w[way],
                                        &correct[way], work, table, way == 1 ? pool : NULL);
            mien_free(work);
        }
        assert_memory_equal(d_e[0], d_e[1], sizeof d_e[0]);
        assert_memory_equal(d_w[0], d_w[1], sizeof d_w[0]);
        assert_memory_equal(&loss[0], &loss[1], sizeof loss[0]);
        assert_true(fabs(loss[0] - loss[2]) < 1e-5 * (1 + loss[0]) && correct[0] == correct[2]);
        for (int j = 0; j < ROWS * LEN; j++)
            assert_true(fabs((double)(d_e[0][j] - d_e[2][j])) < 1e-4);
        for (int j = 0; j < CLASSES * LEN; j++)
            assert_true(fabs((double)(d_w[0][j] - d_w[2][j])) < 1e-4);
    }
    mien__pool_free(pool);
}

/* ---- triplets ---- */

static double triplet_of(const problem *p, const double *x)
{
    double loss = 0.0;
    int pairs = 0;
    for (int a = 0; a < p->n; a++)
        for (int b = 0; b < p->n; b++) {
            if (a == b || p->labels[a] < 0 || p->labels[a] != p->labels[b])
                continue;
            double near_far = 1e9, far_near = -1.0;
            const double d_ab = 2 - 2 * cosine(x + a * p->dim, x + b * p->dim, p->dim);
            for (int j = 0; j < p->n; j++) {
                if (p->labels[j] < 0 || p->labels[j] == p->labels[a])
                    continue;
                const double d = 2 - 2 * cosine(x + a * p->dim, x + j * p->dim, p->dim);
                if (d > d_ab)
                    near_far = fmin(near_far, d);
                else
                    far_near = fmax(far_near, d);
            }
            loss += fmax(0.0, d_ab - (near_far < 1e9 ? near_far : far_near) + p->margin);
            pairs++;
        }
    return loss / pairs;
}

static void triplet_gradient_is_the_difference(void **state)
{
    (void)state;
    static const int32_t people[N] = { 0, 1, 0, -1, 1, 2, 0 };
    float e[N * DIM], d[N * DIM];
    assert_true(mien__loss_triplet_scratch(N, DIM) <= SCRATCH);
    for (int m = 1; m <= 4; m++) {
        const problem p = { triplet_of, NULL, people, N, 0, DIM, { 0 }, 0.2 * m };
        int n = 0;
        fill(e, N * DIM, 10);
        const double loss = mien__loss_triplet(e, people, N, DIM, p.margin, d, &n, scratch);
        check(&p, e, N * DIM, loss, d, 1e-5);
        assert_true(n > 0 && n <= 8);
    }
}

static void at_degrees(float *e, const double *degrees, int n)
{
    for (int i = 0; i < n; i++) {
        e[2 * i] = (float)(3 * cos(degrees[i] * acos(-1.0) / 180));
        e[2 * i + 1] = (float)(3 * sin(degrees[i] * acos(-1.0) / 180));
    }
}

static void triplet_takes_the_semi_hard_negative(void **state)
{
    (void)state;
    static const int32_t who[5] = { 0, 0, 1, 2, 3 };
    const double rad = acos(-1.0) / 180;
    float e[10], d[10];
    int n = 0;
    /* from 0: 20 is nearer than the positive at 30, 35 is semi-hard; from 30 the next past 30 degrees is 90,
     * outside the margin */
    at_degrees(e, (const double[]){ 0, 30, 20, 35, 90 }, 5);
    double loss = mien__loss_triplet(e, who, 5, 2, 0.2, d, &n, scratch);
    assert_true(fabs(loss - 0.5 * (2 * cos(35 * rad) - 2 * cos(30 * rad) + 0.2)) < 1e-6);
    assert_int_equal(n, 1);
    /* every negative is nearer than the positive: the farthest of them, from 0 and from 90 */
    at_degrees(e, (const double[]){ 0, 90, 20, 30, 60 }, 5);
    loss = mien__loss_triplet(e, who, 5, 2, 0.2, d, &n, scratch);
    assert_true(fabs(loss - 0.5 * (2 * cos(60 * rad) + 0.2 + 2 * cos(70 * rad) + 0.2)) < 1e-6);
    assert_int_equal(n, 2);
    /* nobody else: no triplet */
    loss = mien__loss_triplet(e, (const int32_t[]){ 0, 0, 0, 0, -1 }, 5, 2, 0.2, d, &n, scratch);
    assert_true(loss == 0.0 && n == 0 && d[0] == 0.0f && d[3] == 0.0f);
}

/* ---- distillation ---- */

static double cosine_of(const problem *p, const double *x)
{
    double loss = 0.0, t[DIM];
    for (int i = 0; i < p->n; i++) {
        for (int j = 0; j < p->dim; j++)
            t[j] = (double)p->other[i * p->dim + j];
        loss += 1 - dot(x + i * p->dim, t, p->dim) / sqrt(dot(x + i * p->dim, x + i * p->dim, p->dim));
    }
    return loss / p->n;
}

static void unit_rows(float *t, int n, int dim)
{
    for (int i = 0; i < n; i++) {
        double s = 0.0;
        for (int j = 0; j < dim; j++)
            s += (double)t[i * dim + j] * (double)t[i * dim + j];
        for (int j = 0; j < dim; j++)
            t[i * dim + j] = (float)((double)t[i * dim + j] / sqrt(s));
    }
}

static void cosine_gradient_is_the_difference(void **state)
{
    (void)state;
    float e[N * DIM], t[N * DIM], d[N * DIM];
    fill(e, N * DIM, 11);
    fill(t, N * DIM, 12);
    unit_rows(t, N, DIM);
    const problem p = { cosine_of, t, NULL, N, 0, DIM, { 0 }, 0 };
    check(&p, e, N * DIM, mien__loss_cosine(e, t, N, DIM, d), d, 2e-6);
    for (int i = 0; i < N * DIM; i++)
        e[i] = 5 * t[i];
    assert_true(fabs(mien__loss_cosine(e, t, N, DIM, d)) < 1e-6); /* length does not matter */
    assert_true(fabs(mien__loss_cosine((const float[]){ 0, 4 }, (const float[]){ 0.6f, 0.8f }, 1, 2, d) -
                     0.2) < 1e-7);
    assert_true(fabsf(d[0] + 0.15f) < 1e-7f && fabsf(d[1]) < 1e-7f);
}

static double relational_of(const problem *p, const double *x)
{
    double loss = 0.0, t[N * T_DIM];
    for (int i = 0; i < p->n * T_DIM; i++)
        t[i] = (double)p->other[i];
    for (int i = 0; i < p->n; i++)
        for (int j = i + 1; j < p->n; j++) {
            const double off =
                cosine(x + i * p->dim, x + j * p->dim, p->dim) - cosine(t + i * T_DIM, t + j * T_DIM, T_DIM);
            loss += off * off / (p->n * (p->n - 1) / 2.0);
        }
    return loss;
}

static void relational_gradient_is_the_difference(void **state)
{
    (void)state;
    float e[N * DIM], t[N * T_DIM], d[N * DIM];
    fill(e, N * DIM, 13);
    fill(t, N * T_DIM, 14);
    assert_true(mien__loss_relational_scratch(N, DIM) <= SCRATCH);
    const problem p = { relational_of, t, NULL, N, 0, DIM, { 0 }, 0 };
    check(&p, e, N * DIM, mien__loss_relational(e, DIM, t, T_DIM, N, d, scratch), d, 2e-6);
    assert_true(mien__loss_relational(e, DIM, e, DIM, N, d, scratch) < 1e-12);
    assert_true(mien__loss_relational(e, DIM, t, T_DIM, 1, d, scratch) == 0.0 && d[0] == 0.0f);
}

static double hint_of(const problem *p, const double *x)
{
    double error = 0.0, square = 0.0;
    for (int i = 0; i < p->n; i++) {
        error += (x[i] - (double)p->other[i]) * (x[i] - (double)p->other[i]);
        square += (double)p->other[i] * (double)p->other[i];
    }
    return error / square;
}

static void hint_gradient_is_the_difference(void **state)
{
    (void)state;
    float x[101], t[101], d[101];
    fill(x, 101, 15);
    fill(t, 101, 16);
    const problem p = { hint_of, t, NULL, 101, 0, 0, { 0 }, 0 };
    check(&p, x, 101, mien__loss_hint(x, t, 101, 1.0, false, d), d, 1e-6);
    memset(x, 0, sizeof x);
    assert_true(fabs(mien__loss_hint(x, t, 101, 1.0, false, d) - 1.0) < 1e-12);
    assert_true(mien__loss_hint((const float[]){ 2, 0 }, (const float[]){ 0, 0 }, 2, 1.0, false, d) == 2.0);
    assert_true(d[0] == 2.0f && d[1] == 0.0f);
    assert_true(mien__loss_hint((const float[]){ 2, 0 }, (const float[]){ 0, 0 }, 2, 0.5, true, d) == 2.0);
    assert_true(d[0] == 3.0f && d[1] == 0.0f);
}

static void zero_rows_give_no_nan(void **state)
{
    (void)state;
    static const float zeros[N * DIM];
    float e[N * DIM], t[N * DIM], w[K * DIM], d[N * DIM], d_w[K * DIM];
    int n = 0;
    fill(e, N * DIM, 17);
    fill(t, N * DIM, 18);
    fill(w, K * DIM, 19);
    memset(e + 3 * DIM, 0, DIM * sizeof *e);
    memset(w, 0, DIM * sizeof *w);
    for (int way = 0; way < 10; way++) {
        const float *const x = way < 5 ? e : zeros;
        double loss = 0.0;
        memset(d_w, 0, sizeof d_w);
        if (way % 5 == 0)
            loss = mien__loss_cosine(x, t, N, DIM, d);
        else if (way % 5 == 1)
            loss = mien__loss_relational(x, DIM, zeros, T_DIM, N, d, scratch);
        else if (way % 5 == 2)
            loss = mien__loss_triplet(x, labels, N, DIM, 0.2, d, &n, scratch);
        else
            loss = mien__loss_head(&heads[way % 5], x, w, labels, N, K, DIM, d, d_w, &n, scratch, NULL, NULL);
        assert_true(isfinite(loss));
        for (int i = 0; i < N * DIM; i++)
            assert_true(isfinite(d[i]) && isfinite(d_w[i % (K * DIM)]));
        for (int j = 0; j < DIM; j++)
            assert_true(d[3 * DIM + j] == 0.0f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(softmax_by_hand),
        cmocka_unit_test(softmax_gradient_is_the_difference),
        cmocka_unit_test(softmax_large_logits_stay_finite),
        cmocka_unit_test(every_loss_without_labels_is_zero),
        cmocka_unit_test(head_gradients_are_the_differences),
        cmocka_unit_test(head_by_hand),
        cmocka_unit_test(head_arcface_logit_falls_with_the_angle),
        cmocka_unit_test(head_without_margin_is_softmax_of_scaled_cosines),
        cmocka_unit_test(head_with_kernels_or_threads_gives_the_same),
        cmocka_unit_test(triplet_gradient_is_the_difference),
        cmocka_unit_test(triplet_takes_the_semi_hard_negative),
        cmocka_unit_test(cosine_gradient_is_the_difference),
        cmocka_unit_test(relational_gradient_is_the_difference),
        cmocka_unit_test(hint_gradient_is_the_difference),
        cmocka_unit_test(zero_rows_give_no_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
