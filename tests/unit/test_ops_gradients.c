/* Gradients of the operators that compute: convolution, products, activations, arithmetic, normalisation. See
 * gradients.h for the method. */
#include "../gradients.h"
#include "nn/ops/batch_norm/batch_norm.h"

static void conv_any_geometry_agrees_with_differences(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        grad_case t;
        grad_open(&t, seed);
        const int64_t groups = grad_pick(&t, 1, 3), ic = grad_pick(&t, 1, 2),
                      oc = groups * grad_pick(&t, 1, 2);
        const int64_t kh = grad_pick(&t, 1, 3), kw = grad_pick(&t, 1, 3);
        GRAD_INPUT(&t, GRAD_ANY, grad_pick(&t, 1, 2), groups * ic, grad_pick(&t, 5, 8), grad_pick(&t, 5, 8));
        GRAD_INPUT(&t, GRAD_ANY, oc, ic, kh, kw);
        if (seed % 2)
            GRAD_INPUT(&t, GRAD_ANY, oc);
        grad_op(&t, MIEN__OP_Conv, 1);
        GRAD_INTS(&t, GROUP, groups);
        GRAD_INTS(&t, STRIDE, grad_pick(&t, 1, 3), grad_pick(&t, 1, 3));
        GRAD_INTS(&t, DILATION, grad_pick(&t, 1, 2), grad_pick(&t, 1, 2));
        GRAD_INTS(&t, PAD, grad_pick(&t, 0, 3), grad_pick(&t, 0, 3), grad_pick(&t, 0, 3),
                  grad_pick(&t, 0, 3));
        grad_check(&t);
    }
}

static void products_agree_with_differences(void **state)
{
    static const struct {
        int ra, rb;
        int64_t a[4], b[4];
    } shapes[] = {
        { 2, 2, { 3, 4 }, { 4, 2 } },          { 3, 2, { 2, 3, 4 }, { 4, 5 } },
        { 2, 3, { 3, 4 }, { 2, 4, 1 } },       { 4, 4, { 2, 1, 3, 2 }, { 1, 3, 2, 4 } },
        { 3, 4, { 3, 1, 5 }, { 2, 1, 5, 2 } },
    };
    grad_case t;
    (void)state;
    for (int bias = 0; bias < 2; bias++) {
        grad_open(&t, 50);
        GRAD_INPUT(&t, GRAD_ANY, 3, 5);
        GRAD_INPUT(&t, GRAD_ANY, 4, 5);
        if (bias)
            GRAD_INPUT(&t, GRAD_ANY, 4);
        grad_op(&t, MIEN__OP_Gemm, 1);
        grad_check(&t);
    }
    for (size_t i = 0; i < MIEN_COUNTOF(shapes); i++) {
        grad_open(&t, 60 + i);
        grad_input(&t, GRAD_ANY, shapes[i].ra, shapes[i].a);
        grad_input(&t, GRAD_ANY, shapes[i].rb, shapes[i].b);
        grad_op(&t, MIEN__OP_MatMul, 1);
        grad_check(&t);
    }
}

static void unary_agree_with_differences(void **state)
{
    static const struct {
        mien__op op;
        grad_kind kind;
    } cases[] = {
        { MIEN__OP_Relu, GRAD_APART },        { MIEN__OP_LeakyRelu, GRAD_APART },
        { MIEN__OP_Sigmoid, GRAD_APART },     { MIEN__OP_Tanh, GRAD_APART },
        { MIEN__OP_HardSigmoid, GRAD_APART }, { MIEN__OP_HardSwish, GRAD_APART },
        { MIEN__OP_Gelu, GRAD_APART },        { MIEN__OP_Erf, GRAD_APART },
        { MIEN__OP_Clip, GRAD_APART },        { MIEN__OP_Exp, GRAD_APART },
        { MIEN__OP_Sqrt, GRAD_POSITIVE },     { MIEN__OP_Neg, GRAD_APART },
        { MIEN__OP_Abs, GRAD_APART },         { MIEN__OP_Reciprocal, GRAD_POSITIVE },
        { MIEN__OP_Log, GRAD_POSITIVE },      { MIEN__OP_Elu, GRAD_APART },
        { MIEN__OP_Softplus, GRAD_APART },
    };
    (void)state;
    for (size_t i = 0; i < MIEN_COUNTOF(cases); i++)
        for (int own = 0; own < 2; own++) { /* the defaults; parameters of their own */
            grad_case t;
            grad_open(&t, 100 + i);
            GRAD_INPUT(&t, cases[i].kind, 3, 31);
            grad_op(&t, cases[i].op, 1);
            if (own) {
                GRAD_FLOAT(&t, ALPHA, 0.3);
                GRAD_FLOAT(&t, BETA, 0.4);
                GRAD_FLOAT(&t, MIN, -0.7);
                GRAD_FLOAT(&t, MAX, 1.1);
            }
            grad_check(&t);
        }
}

static void binary_broadcasts_agree_with_differences(void **state)
{
    static const struct {
        int ra, rb;
        int64_t a[4], b[4];
    } shapes[] = {
        { 2, 2, { 3, 4 }, { 3, 4 } },
        { 4, 4, { 2, 3, 2, 5 }, { 2, 3, 1, 1 } }, /* a gate per channel */
        { 4, 3, { 2, 3, 2, 2 }, { 3, 1, 1 } },
        { 1, 3, { 4 }, { 2, 3, 4 } },
        { 3, 3, { 3, 1, 4 }, { 1, 5, 1 } }, /* both */
        { 0, 2, { 0 }, { 2, 3 } },
        { 3, 0, { 2, 1, 3 }, { 0 } },
        { 0, 0, { 0 }, { 0 } },
    };
    static const mien__op ops[] = { MIEN__OP_Add, MIEN__OP_Sub, MIEN__OP_Mul, MIEN__OP_Div, MIEN__OP_Pow };
    grad_case t;
    (void)state;
    for (size_t k = 0; k < MIEN_COUNTOF(ops); k++)
        for (size_t i = 0; i < MIEN_COUNTOF(shapes); i++) {
            grad_open(&t, 200 + 10 * k + i);
            grad_input(&t, GRAD_POSITIVE, shapes[i].ra, shapes[i].a);
            grad_input(&t, GRAD_POSITIVE, shapes[i].rb, shapes[i].b);
            grad_op(&t, ops[k], 1);
            grad_check(&t);
        }
    for (size_t i = 0; i < MIEN_COUNTOF(shapes); i++)
        for (int max = 0; max < 2; max++) { /* no ties: one side lies between the other's values */
            grad_open(&t, 300 + i);
            grad_input(&t, GRAD_APART, shapes[i].ra, shapes[i].a);
            double *b = grad_input(&t, GRAD_APART, shapes[i].rb, shapes[i].b);
            for (int64_t j = 0; j < grad_elems(&t.in[1]); j++)
                b[j] += 0.05;
            grad_op(&t, max ? MIEN__OP_Max : MIEN__OP_Min, 1);
            grad_check(&t);
        }
}

static void pow_whole_exponents_of_negative_bases_agree(void **state)
{
    grad_case t;
    (void)state;
    grad_open(&t, 400);
    GRAD_INPUT(&t, GRAD_APART, 7);
    grad_input(&t, GRAD_CONSTANT, 0, NULL)[0] = 2.0;
    grad_op(&t, MIEN__OP_Pow, 1);
    grad_check(&t);
}

static void channel_operators_agree_with_differences(void **state)
{
    static const int64_t shapes[][4] = { { 2, 3, 4, 5 }, { 1, 4, 1, 1 }, { 3, 2, 2, 3 } };
    static const struct {
        mien__op op;
        int n_in; /* x and arrays per channel */
        grad_kind last;
    } cases[] = {
        { MIEN__OP_Affine, 3, GRAD_ANY },
        { MIEN__OP_BatchNorm, 5, GRAD_POSITIVE },
        { MIEN__OP_PRelu, 2, GRAD_ANY },
        { MIEN__OP_InstanceNorm, 3, GRAD_ANY },
    };
    (void)state;
    for (size_t k = 0; k < MIEN_COUNTOF(cases); k++)
        for (size_t i = 0; i < MIEN_COUNTOF(shapes); i++)
            for (int rank = 2; rank <= 4; rank++) {
                grad_case t;
                if (cases[k].op == MIEN__OP_InstanceNorm && rank < 3)
                    continue;
                grad_open(&t, 500 + 10 * k + i);
                grad_input(&t, GRAD_APART, rank, shapes[i]);
                for (int a = 1; a < cases[k].n_in; a++)
                    GRAD_INPUT(&t, a == cases[k].n_in - 1 ? cases[k].last : GRAD_ANY, shapes[i][1]);
                grad_op(&t, cases[k].op, 1);
                GRAD_FLOAT(&t, EPSILON, 0.1);
                grad_check(&t);
            }
}

static void prelu_one_slope_for_all_agrees(void **state)
{
    (void)state;
    for (int rank = 0; rank < 2; rank++) {
        grad_case t;
        grad_open(&t, 600);
        GRAD_INPUT(&t, GRAD_APART, 2, 3, 4);
        grad_input(&t, GRAD_ANY, rank, DIMS(1));
        grad_op(&t, MIEN__OP_PRelu, 1);
        grad_check(&t);
    }
}

static void norms_and_softmax_agree_with_differences(void **state)
{
    grad_case t;
    (void)state;
    for (int axis = -1; axis < 3; axis++) {
        grad_open(&t, 700);
        GRAD_INPUT(&t, GRAD_ANY, 2, 4, 3);
        grad_op(&t, MIEN__OP_Softmax, 1);
        GRAD_INTS(&t, AXIS, axis);
        grad_check(&t);
        for (int shift = 0; shift < 2; shift++) {
            grad_open(&t, 710);
            GRAD_INPUT(&t, GRAD_ANY, 2, 4, 3);
            const int64_t n = axis == 0 ? 24 : axis == 1 ? 12 : 3;
            GRAD_INPUT(&t, GRAD_ANY, n);
            if (shift)
                GRAD_INPUT(&t, GRAD_ANY, n);
            grad_op(&t, MIEN__OP_LayerNorm, 1);
            GRAD_INTS(&t, AXIS, axis);
            GRAD_FLOAT(&t, EPSILON, 0.01);
            grad_check(&t);
        }
    }
    for (int which = 0; which < 4; which++) { /* below EPSILON the divisor does not move */
        grad_open(&t, 720);
        GRAD_INPUT(&t, GRAD_ANY, 2, 4, 3);
        grad_op(&t, MIEN__OP_L2Normalize, 1);
        if (which == 1)
            GRAD_INTS(&t, AXES, -1);
        if (which == 2)
            GRAD_INTS(&t, AXES, 0, 2);
        GRAD_FLOAT(&t, EPSILON, which == 3 ? 10.0 : 1e-12);
        grad_check(&t);
    }
}

/* The training form of batch normalisation: its own statistics depend on x. */
typedef struct bn_case {
    mien__tensor x;
    double *scale, *shift, *y, *d_y, mean[4], var[4];
} bn_case;

static double bn_loss(void *ctx)
{
    bn_case *b = ctx;
    double sum = 0.0;
    mien__batch_norm_train_forward(&b->x, b->scale, b->shift, 0.01, b->y, b->mean, b->var);
    for (int64_t i = 0; i < grad_elems(&b->x); i++)
        sum += b->d_y[i] * b->y[i];
    return sum;
}

static void batch_norm_training_form_agrees_with_differences(void **state)
{
    static const int64_t shapes[][4] = { { 3, 4, 2, 5 }, { 5, 3, 1, 1 }, { 1, 2, 3, 3 } };
    (void)state;
    for (size_t i = 0; i < MIEN_COUNTOF(shapes); i++) {
        grad_case t;
        bn_case b;
        grad_open(&t, 800 + i);
        const int64_t c = shapes[i][1];
        grad_input(&t, GRAD_ANY, i == 1 ? 2 : 4, shapes[i]);
        b.x = t.in[0];
        const int64_t n = grad_elems(&b.x);
        b.scale = GRAD_INPUT(&t, GRAD_ANY, c);
        b.shift = GRAD_INPUT(&t, GRAD_ANY, c);
        b.d_y = GRAD_INPUT(&t, GRAD_ANY, n);
        b.y = grad_numbers(&t, n);
        double *d[3] = { grad_numbers(&t, n), grad_numbers(&t, c), grad_numbers(&t, c) };
        double *const of[3] = { b.x.data, b.scale, b.shift };
        for (int k = 0; k < 3; k++)
            for (int64_t j = 0; j < (k ? c : n); j++)
                d[k][j] = 3.0; /* it adds */
        bn_loss(&b);
        mien__batch_norm_train_backward(&b.x, b.scale, b.mean, b.var, 0.01, b.d_y, d[0], NULL, NULL);
        mien__batch_norm_train_backward(&b.x, b.scale, b.mean, b.var, 0.01, b.d_y, NULL, d[1], d[2]);
        for (int k = 0; k < 3; k++)
            for (int64_t j = 0; j < (k ? c : n); j++) {
                const double want = 3.0 + grad_difference(of[k] + j, bn_loss, &b);
                if (!grad_close(d[k][j], want))
                    fail_msg("seed %u: gradient %d at %d is %.12g, wanted %.12g", (unsigned)t.seed, k, (int)j,
                             d[k][j], want);
            }
        grad_close_case(&t);
    }
}

/* With the batch's statistics as inputs, the operator gives what the training form gave. */
static void batch_norm_both_forms_agree_on_the_batch(void **state)
{
    grad_case t;
    double mean[3], var[3];
    (void)state;
    grad_open(&t, 850);
    GRAD_INPUT(&t, GRAD_ANY, 2, 3, 4, 2);
    double *scale = GRAD_INPUT(&t, GRAD_ANY, 3), *shift = GRAD_INPUT(&t, GRAD_ANY, 3);
    double *y = grad_numbers(&t, 48);
    mien__batch_norm_train_forward(&t.in[0], scale, shift, 1e-5, y, mean, var);
    memcpy(GRAD_INPUT(&t, GRAD_ANY, 3), mean, sizeof mean);
    memcpy(GRAD_INPUT(&t, GRAD_ANY, 3), var, sizeof var);
    grad_op(&t, MIEN__OP_BatchNorm, 1);
    grad_run(&t);
    for (int i = 0; i < 48; i++)
        assert_true(fabs(((const double *)t.out[0].data)[i] - y[i]) <= 1e-12);
    grad_close_case(&t);
}

static void kinks_hold_the_side_they_name(void **state)
{
    static const struct {
        mien__op op;
        double at[3], want[3];
    } cases[] = {
        { MIEN__OP_Relu, { 0.0, -1.0, 1.0 }, { 0.0, 0.0, 3.0 } },
        { MIEN__OP_LeakyRelu, { 0.0, -1.0, 1.0 }, { 1.0, 0.02, 3.0 } },
        { MIEN__OP_Abs, { 0.0, -1.0, 1.0 }, { 0.0, -2.0, 3.0 } },
        { MIEN__OP_Clip, { -1.0, 1.0, 0.5 }, { 0.0, 0.0, 3.0 } },
        { MIEN__OP_HardSigmoid, { -2.5, 2.5, 0.0 }, { 0.0, 0.0, 0.6 } },
        { MIEN__OP_HardSwish, { -3.0, 3.0, 0.0 }, { 0.0, 2.0, 1.5 } },
        { MIEN__OP_Elu, { 0.0, 0.0, 1.0 }, { 1.0, 2.0, 3.0 } },
    };
    static const double tie[3] = { 0.0, 2.0, 0.0 };
    grad_case t;
    (void)state;
    for (size_t i = 0; i < MIEN_COUNTOF(cases); i++) {
        grad_open(&t, 900 + i);
        memcpy(GRAD_INPUT(&t, GRAD_ANY, 3), cases[i].at, sizeof cases[i].at);
        grad_op(&t, cases[i].op, 1);
        GRAD_FLOAT(&t, MIN, -1.0);
        GRAD_FLOAT(&t, MAX, 1.0);
        grad_expect(&t, cases[i].want);
    }
    grad_open(&t, 950); /* max(x, 0) is Relu, at zero too */
    memcpy(GRAD_INPUT(&t, GRAD_ANY, 3), ((const double[]){ 0.0, 1.0, -1.0 }), 3 * sizeof(double));
    grad_input(&t, GRAD_CONSTANT, 0, NULL)[0] = 0.0;
    grad_op(&t, MIEN__OP_Max, 1);
    grad_expect(&t, tie);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv_any_geometry_agrees_with_differences),
        cmocka_unit_test(products_agree_with_differences),
        cmocka_unit_test(unary_agree_with_differences),
        cmocka_unit_test(binary_broadcasts_agree_with_differences),
        cmocka_unit_test(pow_whole_exponents_of_negative_bases_agree),
        cmocka_unit_test(channel_operators_agree_with_differences),
        cmocka_unit_test(prelu_one_slope_for_all_agrees),
        cmocka_unit_test(norms_and_softmax_agree_with_differences),
        cmocka_unit_test(batch_norm_training_form_agrees_with_differences),
        cmocka_unit_test(batch_norm_both_forms_agree_on_the_batch),
        cmocka_unit_test(kinks_hold_the_side_they_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
