/* Grouping: people of synthetic vectors are found, constraints hold, nothing depends on order or threads. */
#include "base/base.h"
#include <mien/cluster.h>
#include <mien/model.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { DIM = 64, PEOPLE = 30, EACH = 8, N = PEOPLE * EACH };

static float vecs[N][DIM];
static int32_t people[N];

static void normalise(float *v)
{
    double sum = 0;
    for (int i = 0; i < DIM; i++)
        sum += (double)v[i] * v[i];
    for (int i = 0; i < DIM; i++)
        v[i] = (float)(v[i] / sqrt(sum));
}

/* Pictures of a person have a cosine of about 1 / (1 + spread^2) to each other. */
static void make_people(double spread, uint64_t seed)
{
    mien__rng rng;
    mien__rng_seed(&rng, seed);
    for (int p = 0; p < PEOPLE; p++) {
        double centre[DIM];
        for (int i = 0; i < DIM; i++)
            centre[i] = mien__rng_unit(&rng) + mien__rng_unit(&rng) - 1;
        for (int k = 0; k < EACH; k++) {
            float *const v = vecs[p * EACH + k];
            for (int i = 0; i < DIM; i++)
                v[i] = (float)(centre[i] + spread * (mien__rng_unit(&rng) + mien__rng_unit(&rng) - 1));
            normalise(v);
            people[p * EACH + k] = p;
        }
    }
}

static int setup(void **state)
{
    (void)state;
    make_people(0.6, 7);
    return 0;
}

static mien_cluster_opts opts_of(void)
{
    mien_cluster_opts o = MIEN_CLUSTER_OPTS_INIT;
    o.link = 0.45;
    o.pair = 0.55;
    return o;
}

static int32_t run(const mien_cluster_input *in, const mien_cluster_opts *o, mien_cluster_face *ret)
{
    mien_error err = MIEN_ERROR_INIT;
    int32_t n = 0;
    if (mien_cluster(in, o, ret, &n, &err) != MIEN_OK)
        fail_msg("%s", err.message);
    return n;
}

static void cluster_people_apart_are_found(void **state)
{
    (void)state;
    mien_cluster_face r[N];
    const mien_cluster_opts o = opts_of();
    const mien_cluster_input in = { &vecs[0][0], N, DIM };
    assert_int_equal(run(&in, &o, r), PEOPLE);
    for (int i = 0; i < N; i++) {
        int shown = 0;
        assert_int_equal(r[i].group, r[i / EACH * EACH].group);
        assert_true(r[i].confidence > 0.9f && r[i].similarity > 0.55f);
        for (int k = 0; k < EACH; k++)
            shown += r[i / EACH * EACH + k].representative;
        assert_int_equal(shown, 1);
    }
}

static void cluster_permuted_input_same_groups(void **state)
{
    (void)state;
    static float shuffled[N][DIM];
    int order[N];
    mien_cluster_face a[N], b[N];
    make_people(1.15, 11); /* hard: some faces stand between people */
    const mien_cluster_opts o = opts_of();
    const mien_cluster_input in = { &vecs[0][0], N, DIM }, again = { &shuffled[0][0], N, DIM };
    const int32_t n = run(&in, &o, a);
    for (int i = 0; i < N; i++)
        order[i] = (i * 89 + 41) % N; /* 89 and 240 have no factor in common */
    for (int i = 0; i < N; i++)
        memcpy(shuffled[i], vecs[order[i]], sizeof shuffled[i]);
    assert_int_equal(run(&again, &o, b), n);
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < N; k++)
            assert_int_equal(b[i].group >= 0 && b[i].group == b[k].group,
                             a[order[i]].group >= 0 && a[order[i]].group == a[order[k]].group);
        assert_memory_equal(&b[i].confidence, &a[order[i]].confidence, sizeof(float));
    }
    setup(NULL);
}

static void cluster_threads_same_bytes(void **state)
{
    (void)state;
    mien_cluster_face a[N], b[N];
    make_people(1.15, 13);
    mien_cluster_opts o = opts_of();
    const mien_cluster_input in = { &vecs[0][0], N, DIM };
    run(&in, &o, a);
    for (unsigned threads = 2; threads <= 7; threads += 5) {
        memset(b, 0, sizeof b);
        o.threads = threads;
        run(&in, &o, b);
        for (int i = 0; i < N; i++) {
            assert_int_equal(a[i].group, b[i].group);
            assert_memory_equal(&a[i].confidence, &b[i].confidence, sizeof(float));
        }
    }
    setup(NULL);
}

static void cluster_two_faces_of_a_picture_are_apart(void **state)
{
    (void)state;
    uint64_t pictures[N];
    mien_cluster_face r[N];
    for (int i = 0; i < N; i++)
        pictures[i] = 1 + (uint64_t)(i / 2); /* pairs of pictures of one person */
    const mien_cluster_opts o = opts_of();
    const mien_cluster_input in = { &vecs[0][0], N, DIM, pictures };
    run(&in, &o, r);
    for (int i = 0; i < N; i += 2)
        assert_true(r[i].group == MIEN_CLUSTER_NONE || r[i].group != r[i + 1].group);
}

static void cluster_one_picture_of_all_no_group(void **state)
{
    (void)state;
    uint64_t pictures[N];
    mien_cluster_face r[N];
    for (int i = 0; i < N; i++)
        pictures[i] = 9;
    const mien_cluster_opts o = opts_of();
    const mien_cluster_input in = { &vecs[0][0], N, DIM, pictures };
    assert_int_equal(run(&in, &o, r), 0);
    for (int i = 0; i < N; i++)
        assert_int_equal(r[i].group, MIEN_CLUSTER_NONE);
}

static void cluster_fixed_groups_stay_and_are_joined(void **state)
{
    (void)state;
    int32_t fixed[N];
    mien_cluster_face r[N];
    for (int i = 0; i < N; i++)
        fixed[i] = MIEN_CLUSTER_NONE;
    fixed[0] = 5;        /* a face of person 0 */
    fixed[EACH] = 2;     /* of person 1 */
    fixed[2 * EACH] = 2; /* person 2 said to be person 1 */
    fixed[3 * EACH] = 0; /* two groups of person 3: never merged */
    fixed[3 * EACH + 1] = 1;
    const mien_cluster_opts o = opts_of();
    const mien_cluster_input in = { &vecs[0][0], N, DIM, NULL, NULL, fixed };
    run(&in, &o, r);
    for (int i = 0; i < N; i++) {
        if (fixed[i] >= 0)
            assert_int_equal(r[i].group, fixed[i]);
    }
    for (int i = 1; i < EACH; i++)
        assert_int_equal(r[i].group, 5);
    for (int i = 4 * EACH; i < N; i++)
        assert_true(r[i].group > 5);
}

static void cluster_refused_group_is_not_joined(void **state)
{
    (void)state;
    int32_t fixed[N];
    mien_cluster_face r[N];
    for (int i = 0; i < N; i++)
        fixed[i] = i < 4 ? 0 : MIEN_CLUSTER_NONE;
    const mien_cluster_not nots[] = { { 5, 0 }, { 6, 0 } };
    const mien_cluster_opts o = opts_of();
    const mien_cluster_input in = { &vecs[0][0], N, DIM, NULL, NULL, fixed, nots, 2 };
    run(&in, &o, r);
    assert_int_equal(r[4].group, 0);
    assert_int_not_equal(r[5].group, 0);
    assert_int_not_equal(r[6].group, 0);
}

static void cluster_first_group_numbers_the_new(void **state)
{
    (void)state;
    mien_cluster_face r[N];
    mien_cluster_opts o = opts_of();
    o.first_group = 100;
    const mien_cluster_input in = { &vecs[0][0], N, DIM };
    assert_int_equal(run(&in, &o, r), 100 + PEOPLE);
    for (int i = 0; i < N; i++)
        assert_true(r[i].group >= 100);
}

static void cluster_small_inputs(void **state)
{
    (void)state;
    mien_cluster_face r[2];
    const mien_cluster_opts o = opts_of();
    mien_cluster_input in = { &vecs[0][0], 0, DIM };
    assert_int_equal(run(&in, &o, r), 0);
    in.n = 1;
    assert_int_equal(run(&in, &o, r), 0);
    assert_int_equal(r[0].group, MIEN_CLUSTER_NONE);
    in.n = 2;
    assert_int_equal(run(&in, &o, r), 1);
    assert_int_equal(r[0].group, 0);
    assert_int_equal(r[1].group, 0);
}

static void cluster_all_equal_one_group(void **state)
{
    (void)state;
    static float same[N][DIM];
    mien_cluster_face r[N];
    for (int i = 0; i < N; i++)
        memcpy(same[i], vecs[0], sizeof same[i]);
    mien_cluster_opts o = opts_of();
    o.neighbours = 4;
    const mien_cluster_input in = { &same[0][0], N, DIM };
    run(&in, &o, r);
    for (int i = 0; i < N; i++)
        assert_true(r[i].group >= 0 && r[i].similarity > 0.999f);
}

static void cluster_bad_input_returns_arg(void **state)
{
    (void)state;
    static float bad[2][DIM];
    mien_error err = MIEN_ERROR_INIT;
    mien_cluster_face r[2] = { { 77, 0, 0, 0 }, { 77, 0, 0, 0 } };
    mien_cluster_opts o = opts_of();
    mien_cluster_input in = { &bad[0][0], 2, DIM };
    memcpy(bad, vecs, sizeof bad);
    const float whole = bad[1][3];
    const float faults[] = { NAN, INFINITY, 5 };
    for (size_t i = 0; i < MIEN_COUNTOF(faults); i++) {
        bad[1][3] = faults[i];
        assert_int_equal(mien_cluster(&in, &o, r, NULL, &err), MIEN_E_ARG);
    }
    bad[1][3] = whole;
    const int32_t fixed[2] = { -2, 0 };
    in.fixed = fixed;
    assert_int_equal(mien_cluster(&in, &o, r, NULL, &err), MIEN_E_ARG);
    in.fixed = NULL;
    const mien_cluster_not nots[] = { { 2, 0 } };
    in.nots = nots;
    in.n_nots = 1;
    assert_int_equal(mien_cluster(&in, &o, r, NULL, &err), MIEN_E_ARG);
    in.n_nots = 0;
    o.link = 0.6; /* over pair */
    assert_int_equal(mien_cluster(&in, &o, r, NULL, &err), MIEN_E_ARG);
    const mien_cluster_opts unset = MIEN_CLUSTER_OPTS_INIT; /* thresholds have no default */
    assert_int_equal(mien_cluster(&in, &unset, r, NULL, &err), MIEN_E_ARG);
    in.n = (size_t)MIEN_CLUSTER_MAX_FACES + 1;
    o = opts_of();
    assert_int_equal(mien_cluster(&in, &o, r, NULL, &err), MIEN_E_LIMIT);
    assert_int_equal(r[0].group, 77);
}

static int stop(uint64_t done, uint64_t total, void *user)
{
    (void)user;
    return done <= total;
}

static void cluster_stopped_returns_interrupted(void **state)
{
    (void)state;
    mien_cluster_face r[N];
    mien_error err = MIEN_ERROR_INIT;
    mien_cluster_opts o = opts_of();
    o.progress = stop;
    r[0].group = 77;
    const mien_cluster_input in = { &vecs[0][0], N, DIM };
    assert_int_equal(mien_cluster(&in, &o, r, NULL, &err), MIEN_E_INTERRUPTED);
    assert_int_equal(r[0].group, 77);
}

/* By hand: groups {a a b} {b} {c}, people a a | b b | c. */
static void score_known_table(void **state)
{
    (void)state;
    const int32_t groups[] = { 0, 0, 0, 1, MIEN_CLUSTER_NONE }, truth[] = { 0, 0, 1, 1, 2 };
    mien_cluster_scores s;
    mien_error err = MIEN_ERROR_INIT;
    assert_int_equal(mien_cluster_score(groups, truth, 5, &s, &err), MIEN_OK);
    assert_int_equal(s.n_people, 3);
    assert_int_equal(s.n_groups, 3);
    assert_float_equal(s.b_precision, (2.0 / 3 + 2.0 / 3 + 1.0 / 3 + 1 + 1) / 5, 1e-12);
    assert_float_equal(s.b_recall, (1 + 1 + 0.5 + 0.5 + 1) / 5, 1e-12);
    assert_float_equal(s.pair_precision, 1.0 / 3, 1e-12);
    assert_float_equal(s.pair_recall, 1.0 / 2, 1e-12);
    assert_float_equal(s.pair_f1, 2 * (1.0 / 3) * 0.5 / (1.0 / 3 + 0.5), 1e-12);
    assert_int_equal(mien_cluster_score(groups, truth, 0, &s, &err), MIEN_E_EVAL_DATA);
}

static void thresholds_follow_the_size(void **state)
{
    (void)state;
    mien_model *m = NULL;
    mien_error err = MIEN_ERROR_INIT;
    double link = 0, pair = 0, link_many = 0, pair_many = 0;
    if (mien_model_load_default(MIEN_TASK_EMBED, &m, &err) != MIEN_OK)
        skip();
    assert_int_equal(mien_cluster_thresholds(m, 100, 0, 0, &link, &pair, &err), MIEN_OK);
    assert_int_equal(mien_cluster_thresholds(m, 1000000, 0, 0, &link_many, &pair_many, &err), MIEN_OK);
    assert_true(link < pair && pair < pair_many);
    assert_true(link <= link_many && link_many >= link);
    assert_int_equal(mien_cluster_thresholds(m, 100, 1e-30, 0, &link, &pair, &err), MIEN_E_NOT_FOUND);
    mien_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cluster_people_apart_are_found),
        cmocka_unit_test(cluster_permuted_input_same_groups),
        cmocka_unit_test(cluster_threads_same_bytes),
        cmocka_unit_test(cluster_two_faces_of_a_picture_are_apart),
        cmocka_unit_test(cluster_one_picture_of_all_no_group),
        cmocka_unit_test(cluster_fixed_groups_stay_and_are_joined),
        cmocka_unit_test(cluster_refused_group_is_not_joined),
        cmocka_unit_test(cluster_first_group_numbers_the_new),
        cmocka_unit_test(cluster_small_inputs),
        cmocka_unit_test(cluster_all_equal_one_group),
        cmocka_unit_test(cluster_bad_input_returns_arg),
        cmocka_unit_test(cluster_stopped_returns_interrupted),
        cmocka_unit_test(score_known_table),
        cmocka_unit_test(thresholds_follow_the_size),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
