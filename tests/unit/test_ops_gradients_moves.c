/* Gradients of the operators that pool, reduce and move. See gradients.h for the method. */
#include "../gradients.h"

static void pools_any_geometry_agree_with_differences(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        grad_case t;
        grad_open(&t, seed);
        const int64_t kh = grad_pick(&t, 1, 3), kw = grad_pick(&t, 1, 3);
        GRAD_INPUT(&t, GRAD_APART, grad_pick(&t, 1, 2), grad_pick(&t, 1, 3), grad_pick(&t, 5, 9),
                   grad_pick(&t, 5, 9));
        grad_op(&t, seed % 3 ? MIEN__OP_AvgPool : MIEN__OP_MaxPool, 1);
        GRAD_INTS(&t, KERNEL, kh, kw);
        GRAD_INTS(&t, STRIDE, grad_pick(&t, 1, 3), grad_pick(&t, 1, 3));
        GRAD_INTS(&t, DILATION, grad_pick(&t, 1, 2), grad_pick(&t, 1, 2));
        GRAD_INTS(&t, PAD, grad_pick(&t, 0, kh - 1), grad_pick(&t, 0, kw - 1), grad_pick(&t, 0, kh - 1),
                  grad_pick(&t, 0, kw - 1));
        GRAD_INTS(&t, CEIL, grad_pick(&t, 0, 1));
        GRAD_INTS(&t, COUNT_PAD, grad_pick(&t, 0, 1));
        grad_check(&t);
    }
}

static void global_pools_and_reductions_agree_with_differences(void **state)
{
    static const mien__op ops[] = { MIEN__OP_GlobalAvgPool, MIEN__OP_GlobalMaxPool, MIEN__OP_ReduceMean,
                                    MIEN__OP_ReduceSum,     MIEN__OP_ReduceMax,     MIEN__OP_ReduceL2 };
    (void)state;
    for (size_t k = 0; k < MIEN_COUNTOF(ops); k++)
        for (int axes = 0; axes < (k < 2 ? 1 : 4); axes++)
            for (int keep = 0; keep < 2; keep++) {
                grad_case t;
                grad_open(&t, 100 + k);
                GRAD_INPUT(&t, GRAD_APART, 2, 3, 4, 2);
                grad_op(&t, ops[k], 1);
                GRAD_INTS(&t, KEEPDIMS, keep);
                if (axes == 1)
                    GRAD_INTS(&t, AXES, 2, 3);
                if (axes == 2)
                    GRAD_INTS(&t, AXES, 0, -1);
                if (axes == 3)
                    GRAD_INTS(&t, AXES, 1);
                grad_check(&t);
            }
}

static void maxima_ties_go_to_the_first(void **state)
{
    static const double x[4] = { 1.0, 2.0, 2.0, 0.0 }, want[4] = { 0.0, 1.0, 0.0, 0.0 };
    static const mien__op ops[] = { MIEN__OP_MaxPool, MIEN__OP_GlobalMaxPool, MIEN__OP_ReduceMax };
    (void)state;
    for (size_t k = 0; k < MIEN_COUNTOF(ops); k++) {
        grad_case t;
        grad_open(&t, 200);
        memcpy(GRAD_INPUT(&t, GRAD_ANY, 1, 1, 2, 2), x, sizeof x);
        grad_op(&t, ops[k], 1);
        GRAD_INTS(&t, KERNEL, 2, 2);
        grad_expect(&t, want);
    }
}

static void zero_norm_has_no_gradient(void **state)
{
    static const double want[3] = { 0.0, 0.0, 0.0 };
    grad_case t;
    (void)state;
    grad_open(&t, 210);
    memset(GRAD_INPUT(&t, GRAD_ANY, 3), 0, sizeof want);
    grad_op(&t, MIEN__OP_ReduceL2, 1);
    grad_expect(&t, want);
}

static void concat_agrees_with_differences(void **state)
{
    (void)state;
    for (int axis = -1; axis < 3; axis++) {
        grad_case t;
        grad_open(&t, 300);
        for (int64_t i = 0; i < 3; i++) {
            int64_t dims[3] = { 2, 3, 2 };
            dims[axis < 0 ? 2 : axis] = i + 1;
            grad_input(&t, GRAD_ANY, 3, dims);
        }
        grad_op(&t, MIEN__OP_Concat, 1);
        GRAD_INTS(&t, AXIS, axis);
        grad_check(&t);
    }
}

static void split_parts_without_a_gradient_count_as_zero(void **state)
{
    (void)state;
    for (int axis = 0; axis < 3; axis++)
        for (uint32_t without = 0; without < 4; without++) {
            grad_case t;
            grad_open(&t, 310);
            GRAD_INPUT(&t, GRAD_ANY, 4, 4, 4);
            grad_op(&t, MIEN__OP_Split, 3);
            GRAD_INTS(&t, AXIS, axis);
            if (axis)
                GRAD_INTS(&t, SPLIT, 1, 0, 3);
            grad_run(&t);
            if (without < 3)
                t.d_ptrs[without] = NULL;
            grad_compare(&t);
            grad_close_case(&t);
        }
}

static void slice_agrees_with_differences(void **state)
{
    static const struct {
        int n;
        int64_t starts[3], ends[3], axes[3], steps[3];
    } cases[] = {
        { 1, { 1 }, { 3 }, { 0 }, { 1 } },
        { 2, { 0, -1 }, { 100, -100 }, { 1, 2 }, { 2, -1 } },
        { 3, { 3, 2, 4 }, { 0, 3, 0 }, { 0, -2, -1 }, { -2, INT64_C(1) << 40, -3 } },
        { 1, { 2 }, { 2 }, { 1 }, { 1 } }, /* nothing */
    };
    (void)state;
    for (size_t i = 0; i < MIEN_COUNTOF(cases); i++) {
        grad_case t;
        grad_open(&t, 400 + i);
        GRAD_INPUT(&t, GRAD_ANY, 4, 3, 5);
        grad_i64(&t, cases[i].n, cases[i].starts);
        grad_i64(&t, cases[i].n, cases[i].ends);
        grad_i64(&t, cases[i].n, cases[i].axes);
        grad_i64(&t, cases[i].n, cases[i].steps);
        grad_op(&t, MIEN__OP_Slice, 1);
        grad_check(&t);
    }
}

static void views_agree_with_differences(void **state)
{
    static const mien__op ops[] = { MIEN__OP_Reshape,   MIEN__OP_Flatten,  MIEN__OP_Squeeze,
                                    MIEN__OP_Unsqueeze, MIEN__OP_Identity, MIEN__OP_Cast };
    (void)state;
    for (size_t i = 0; i < MIEN_COUNTOF(ops); i++) {
        grad_case t;
        grad_open(&t, 500 + i);
        GRAD_INPUT(&t, GRAD_ANY, 1, 3, 4);
        if (ops[i] == MIEN__OP_Reshape)
            GRAD_I64(&t, 2, -1);
        grad_op(&t, ops[i], 1);
        if (ops[i] != MIEN__OP_Flatten)
            GRAD_INTS(&t, AXES, 0);
        GRAD_INTS(&t, TO, MIEN__F32);
        grad_check(&t);
    }
}

static void transpose_agrees_with_differences(void **state)
{
    static const int64_t perms[][4] = { { 0, 2, 3, 1 }, { 3, 2, 1, 0 }, { 1, 0, 3, 2 }, { 2, 3, 0, 1 } };
    grad_case t;
    (void)state;
    for (size_t i = 0; i < MIEN_COUNTOF(perms); i++) {
        grad_open(&t, 600 + i);
        GRAD_INPUT(&t, GRAD_ANY, 2, 3, 4, 2);
        grad_op(&t, MIEN__OP_Transpose, 1);
        assert_true(mien__node_set_ints(t.g, t.node, MIEN__ATTR_PERM, perms[i], 4));
        grad_check(&t);
    }
    grad_open(&t, 610);
    GRAD_INPUT(&t, GRAD_ANY, 2, 3, 4);
    grad_op(&t, MIEN__OP_Transpose, 1);
    grad_check(&t);
}

static void pad_agrees_with_differences(void **state)
{
    static const int64_t pads[][6] = {
        { 0, 1, 2, 1, 0, 1 }, { 1, 0, -1, 0, -1, -1 }, { 0, 0, -3, 2, 0, 1 }, { -1, -2, 0, -1, 0, 0 }
    };
    (void)state;
    for (size_t i = 0; i < MIEN_COUNTOF(pads); i++) {
        grad_case t;
        grad_open(&t, 700 + i);
        GRAD_INPUT(&t, GRAD_ANY, 2, 3, 4);
        grad_op(&t, MIEN__OP_Pad, 1);
        assert_true(mien__node_set_ints(t.g, t.node, MIEN__ATTR_PAD, pads[i], 6));
        GRAD_FLOAT(&t, VALUE, 0.5);
        grad_check(&t);
    }
}

static void resize_every_mode_agrees_with_differences(void **state)
{
    static const double scales[][4] = {
        { 1, 1, 2, 2 }, { 1, 1, 0.6, 1.7 }, { 1, 1, 3, 0.4 }, { 1, 1, 0.2, 1 }
    };
    (void)state;
    for (size_t i = 0; i < MIEN_COUNTOF(scales); i++)
        for (int mode = 0; mode < 2; mode++)
            for (int coord = 0; coord < 4; coord++)
                for (int round = 0; round < (mode ? 1 : 4); round++) {
                    grad_case t;
                    grad_open(&t, 800 + i);
                    GRAD_INPUT(&t, GRAD_ANY, 2, 2, 5, 4);
                    memcpy(GRAD_INPUT(&t, GRAD_CONSTANT, 4), scales[i], sizeof scales[i]);
                    grad_op(&t, MIEN__OP_Resize, 1);
                    GRAD_INTS(&t, MODE, mode);
                    GRAD_INTS(&t, COORD, coord);
                    GRAD_INTS(&t, ROUND, round);
                    grad_check(&t);
                }
}

static void resize_to_sizes_agrees_with_differences(void **state)
{
    (void)state;
    for (int mode = 0; mode < 2; mode++) {
        grad_case t;
        grad_open(&t, 850);
        GRAD_INPUT(&t, GRAD_ANY, 1, 3, 4, 5);
        GRAD_I64(&t, 1, 3, 7, 3);
        grad_op(&t, MIEN__OP_Resize, 1);
        GRAD_INTS(&t, MODE, mode);
        GRAD_INTS(&t, SIZES, 1);
        grad_check(&t);
    }
}

static void expand_and_gather_repeats_add_up(void **state)
{
    grad_case t;
    (void)state;
    grad_open(&t, 900);
    GRAD_INPUT(&t, GRAD_ANY, 3, 1, 2);
    GRAD_I64(&t, 2, 1, 4, 2);
    grad_op(&t, MIEN__OP_Expand, 1);
    grad_check(&t);
    for (int axis = 0; axis < 3; axis++) {
        grad_open(&t, 910);
        GRAD_INPUT(&t, GRAD_ANY, 3, 4, 3);
        GRAD_I64(&t, 2, 0, -1, 2, 2);
        grad_op(&t, MIEN__OP_Gather, 1);
        GRAD_INTS(&t, AXIS, axis);
        grad_check(&t);
    }
}

static void depth_to_space_agrees_with_differences(void **state)
{
    (void)state;
    for (int mode = 0; mode < 2; mode++)
        for (int64_t block = 1; block <= 3; block++) {
            grad_case t;
            grad_open(&t, 950);
            GRAD_INPUT(&t, GRAD_ANY, 2, 2 * block * block, 2, 3);
            grad_op(&t, MIEN__OP_DepthToSpace, 1);
            GRAD_INTS(&t, BLOCK, block);
            GRAD_INTS(&t, MODE, mode);
            grad_check(&t);
        }
}

static void every_operator_but_three_has_a_gradient(void **state)
{
    static const mien__op all[] = {
#define OP(name, id) MIEN__OP_##name,
        MIEN__OP_LIST(OP)
#undef OP
    };
    (void)state;
    for (size_t i = 0; i < MIEN_COUNTOF(all); i++) {
        const bool none =
            all[i] == MIEN__OP_Shape || all[i] == MIEN__OP_ConstantOfShape || all[i] == MIEN__OP_Range;
        assert_non_null(mien__op_def_of(all[i]));
        if ((mien__op_def_of(all[i])->backward == NULL) != none)
            fail_msg("%s", mien__op_name(all[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pools_any_geometry_agree_with_differences),
        cmocka_unit_test(global_pools_and_reductions_agree_with_differences),
        cmocka_unit_test(maxima_ties_go_to_the_first),
        cmocka_unit_test(zero_norm_has_no_gradient),
        cmocka_unit_test(concat_agrees_with_differences),
        cmocka_unit_test(split_parts_without_a_gradient_count_as_zero),
        cmocka_unit_test(slice_agrees_with_differences),
        cmocka_unit_test(views_agree_with_differences),
        cmocka_unit_test(transpose_agrees_with_differences),
        cmocka_unit_test(pad_agrees_with_differences),
        cmocka_unit_test(resize_every_mode_agrees_with_differences),
        cmocka_unit_test(resize_to_sizes_agrees_with_differences),
        cmocka_unit_test(expand_and_gather_repeats_add_up),
        cmocka_unit_test(depth_to_space_agrees_with_differences),
        cmocka_unit_test(every_operator_but_three_has_a_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
