/* Curves of a model: rates, thresholds, searches, decisions, words, text. */
#include "decide/curve.h"
#include "nn_fixtures.h"

static const mien_operating_point points[] = {
    { 1e-5, 0.55, 4e-6, 2e-5 },   { 1e-4, 0.48, 6e-5, 1.5e-4 }, { 1e-3, 0.40, 8e-4, 1.2e-3 },
    { 1e-2, 0.30, 9e-3, 1.1e-2 }, { 1e-1, 0.17, 0.09, 0.11 },
};

static mien_model *model_with(mien_task task, size_t n_points, double spread, double mated, double other)
{
    net t;
    net_open(&t);
    net_output(&t, net_op1(&t, MIEN__OP_Relu, NET_INPUT(&t, 1, 3, 4, 4)));
    mien_model *m = net_model(&t, false);
    mien_model_info info = *mien_model_info_of(m);
    mien_error err = MIEN_ERROR_INIT;
    info.name = "toy";
    info.task = task;
    info.points = n_points ? points : NULL;
    info.n_points = n_points;
    info.embedding_len = 48;
    info.n_people = 77;
    info.spread = spread;
    info.fusion_mated = mated;
    info.fusion_other = other;
    if (mien_model_set_info(m, &info, &err))
        fail_msg("%s", err.message);
    return m;
}

static mien_curve *curve_with(double spread, double mated, double other)
{
    mien_model *m = model_with(MIEN_TASK_EMBED, MIEN_COUNTOF(points), spread, mated, other);
    mien_curve *c = NULL;
    mien_error err = MIEN_ERROR_INIT;
    if (mien_curve_of_model(m, &c, &err))
        fail_msg("%s", err.message);
    mien_model_free(m); /* the curve does not need it */
    return c;
}

static void near_to(double got, double want, double relative)
{
    if (!(fabs(got - want) <= relative * fabs(want)))
        fail_msg("got %.12g, want %.12g", got, want);
}

static void curve_of_model_needs_a_calibrated_embedder(void **state)
{
    (void)state;
    mien_curve *c = NULL;
    mien_model *m = model_with(MIEN_TASK_EMBED, 0, 0, 0, 0);
    assert_int_equal(mien_curve_of_model(m, &c, NULL), MIEN_E_NOT_FOUND);
    mien_model_free(m);
    m = model_with(MIEN_TASK_DETECT, 0, 0, 0, 0);
    assert_int_equal(mien_curve_of_model(m, &c, NULL), MIEN_E_MODEL_TASK);
    assert_int_equal(mien_curve_of_model(m, NULL, NULL), MIEN_E_ARG);
    mien_model_free(m);
    assert_null(c);
    c = curve_with(0.1, 0.6, 0.7);
    assert_int_equal(mien_curve_info_of(c)->n_people, 77);
    assert_int_equal(mien_curve_info_of(c)->n_points, 5);
    assert_string_equal(mien_curve_info_of(c)->model, "toy");
    assert_true(mien_curve_info_of(c)->points[0].fnmr.value < 0);
    mien_curve_free(c);
    mien_curve_free(NULL);
}

static void fmr_is_linear_in_its_logarithm_and_bounded_at_the_ends(void **state)
{
    (void)state;
    mien_curve *c = curve_with(0, 0, 0);
    mien_estimate e;
    assert_int_equal(mien_curve_fmr(c, 0.48, &e, NULL), MIEN_OK);
    near_to(e.value, 1e-4, 1e-9);
    near_to(e.lo, 6e-5, 1e-9);
    near_to(e.hi, 1.5e-4, 1e-9);
    assert_int_equal(mien_curve_fmr(c, 0.44, &e, NULL), MIEN_OK);
    near_to(e.value, sqrt(1e-4 * 1e-3), 1e-9);
    assert_int_equal(mien_curve_fmr(c, 0.7, &e, NULL), MIEN_OK);
    assert_true(e.bound == -1 && e.value == 1e-5 && e.lo == 0 && e.hi == 2e-5);
    assert_int_equal(mien_curve_fmr(c, 0.1, &e, NULL), MIEN_OK);
    assert_true(e.bound == 1 && e.value == 1e-1 && e.hi == 1);
    e.value = 7;
    assert_int_equal(mien_curve_fmr(c, NAN, &e, NULL), MIEN_E_ARG);
    assert_true(e.value == 7);
    mien_curve_free(c);
}

static void threshold_inverts_the_rate_and_refuses_what_is_not_supported(void **state)
{
    (void)state;
    mien_curve *c = curve_with(0, 0, 0);
    mien_estimate t, e;
    mien_error err = MIEN_ERROR_INIT;
    static const double rates[] = { 1e-5, 3e-5, 1e-4, 7e-4, 1e-3, 0.05, 0.1 };
    for (size_t i = 0; i < MIEN_COUNTOF(rates); i++) {
        assert_int_equal(mien_curve_threshold(c, rates[i], &t, &err), MIEN_OK);
        assert_true(t.lo <= t.value && t.value <= t.hi);
        assert_int_equal(mien_curve_fmr(c, t.value, &e, NULL), MIEN_OK);
        near_to(e.value, rates[i], 1e-6);
    }
    assert_int_equal(mien_curve_threshold(c, 1e-6, &t, &err), MIEN_E_EVAL_DATA);
    assert_non_null(strstr(err.message, "the best claim is 1e-05, at threshold 0.5500"));
    assert_int_equal(mien_curve_threshold(c, 0.5, &t, &err), MIEN_E_EVAL_DATA);
    assert_int_equal(mien_curve_threshold(c, 0, &t, &err), MIEN_E_ARG);
    assert_int_equal(mien_curve_threshold(c, NAN, &t, &err), MIEN_E_ARG);
    mien_curve_free(c);
}

static void normal_upper_is_the_normal_quantile(void **state)
{
    (void)state;
    near_to(mien__normal_upper(0.025), 1.959963984540054, 1e-12);
    near_to(mien__normal_upper(0.975), -1.959963984540054, 1e-12);
    near_to(mien__normal_upper(1e-6), 4.753424308822899, 1e-12);
    near_to(mien__normal_upper(1e-15), 7.941345326170998, 1e-10);
    assert_true(fabs(mien__normal_upper(0.5)) < 1e-12);
}

static void search_of_independent_people_is_the_textbook_formula(void **state)
{
    (void)state;
    mien_curve *c = curve_with(0, 0, 0);
    mien_estimate e;
    static const uint64_t sizes[] = { 1, 10, 1000, 1000000000 };
    for (size_t i = 0; i < MIEN_COUNTOF(sizes); i++) {
        const mien_search_size size = { sizes[i], 1 };
        assert_int_equal(mien_curve_search_fpir(c, 0.48, &size, &e, NULL), MIEN_OK);
        near_to(e.value, 1 - pow(1 - 1e-4, (double)sizes[i]), 1e-6);
        assert_true(e.lo <= e.value && e.value <= e.hi);
    }
    mien_curve_free(c);
}

/* Ends of intervals that reach 1, enormous galleries and extreme spreads stay rates. */
static void search_of_odd_curves_stays_within_0_and_1(void **state)
{
    (void)state;
    static const char text[] = "{\"format\":\"mien-curve-1\",\"model\":\"\",\"protocol\":\"\",\"date\":\"\","
                               "\"people\":2,\"pictures\":3,"
                               "\"mated\":1,\"nonmated\":2,\"independent\":2.0,\"spread\":0.9,\"fusion_"
                               "mated\":0.1,\"fusion_other\":1,"
                               "\"points\":[{\"threshold\":0.5,\"fmr\":[1e-15,0,1],\"fnmr\":null},"
                               "{\"threshold\":0.3,\"fmr\":[0.4,0,1],\"fnmr\":null},{\"threshold\":0.2,"
                               "\"fmr\":[0.999,0.5,1],\"fnmr\":null}]}";
    mien_curve *c = NULL;
    mien_estimate e;
    assert_int_equal(mien_curve_of_json(text, sizeof text - 1, &c, NULL), MIEN_OK);
    for (uint64_t n = 1; n <= 1000000000; n *= 10) {
        for (int s = -10; s <= 40; s++) {
            const mien_search_size size = { n, 1 + (double)(n % 7) };
            assert_int_equal(mien_curve_search_fpir(c, s / 20.0, &size, &e, NULL), MIEN_OK);
            if (!(e.value >= 0 && e.value <= 1 && e.lo <= e.value && e.value <= e.hi && e.hi <= 1))
                fail_msg("n %llu, similarity %g: %g in [%g, %g]", (unsigned long long)n, s / 20.0, e.value,
                         e.lo, e.hi);
        }
    }
    mien_curve_free(c);
}

/* E 1 - (1 - F)^n over a Beta distribution, by the midpoint rule in the distribution's own variable u = F^a.
 */
static double found_by_sum(double mean, double variation, double n)
{
    const double sum = (1 - mean) / (variation * mean) - 1, a = mean * sum, b = sum - a;
    double top = 0, all = 0;
    enum { STEPS = 400000 };
    for (int i = 0; i < STEPS; i++) {
        const double f = pow((i + 0.5) / STEPS, 1 / a), w = pow(1 - f, b - 1);
        all += w;
        top += w * (1 - pow(1 - f, n));
    }
    return top / all;
}

static void search_of_unequal_people_is_the_beta_mixture(void **state)
{
    (void)state;
    mien_curve *even = curve_with(0, 0, 0), *uneven = curve_with(0.08, 0, 0);
    const double z = mien__normal_upper(1e-3), v = exp(0.08 * z * z) - 1;
    near_to(mien__curve_variation(uneven, 1e-3), v, 1e-9);
    mien_estimate a, b;
    static const uint64_t sizes[] = { 1, 30, 300, 3000 };
    for (size_t i = 0; i < MIEN_COUNTOF(sizes); i++) {
        const mien_search_size size = { sizes[i], 1 };
        assert_int_equal(mien_curve_search_fpir(uneven, 0.40, &size, &b, NULL), MIEN_OK);
        near_to(b.value, found_by_sum(1e-3, v, (double)sizes[i]), 1e-3);
        assert_int_equal(mien_curve_search_fpir(even, 0.40, &size, &a, NULL), MIEN_OK);
        assert_true(sizes[i] == 1 ? fabs(a.value - b.value) < 1e-9 : b.value < a.value);
        assert_true(b.hi / b.value > a.hi / a.value); /* who is in the gallery matters then */
    }
    mien_curve_free(even);
    mien_curve_free(uneven);
}

static void search_threshold_rises_with_the_gallery_and_inverts_the_rate(void **state)
{
    (void)state;
    mien_curve *c = curve_with(0.08, 0.6, 0.7);
    mien_estimate t, e;
    mien_error err = MIEN_ERROR_INIT;
    double last = 0;
    for (uint64_t n = 1; n <= 1000; n *= 10) {
        const mien_search_size size = { n, 3 };
        assert_int_equal(mien_curve_search_threshold(c, &size, 0.02, &t, &err), MIEN_OK);
        assert_true(t.value > last && t.lo <= t.value && t.value <= t.hi);
        last = t.value;
        assert_int_equal(mien_curve_search_fpir(c, t.value, &size, &e, NULL), MIEN_OK);
        near_to(e.value, 0.02, 1e-4);
    }
    const mien_search_size large = { 100000, 3 }, none = { 0, 3 }, odd = { 5, 0.5 };
    assert_int_equal(mien_curve_search_threshold(c, &large, 0.02, &t, &err), MIEN_E_EVAL_DATA);
    assert_non_null(strstr(err.message, "100000 people"));
    assert_int_equal(mien_curve_search_threshold(c, &none, 0.02, &t, &err), MIEN_E_ARG);
    assert_int_equal(mien_curve_search_threshold(c, &odd, 0.02, &t, &err), MIEN_E_ARG);
    assert_int_equal(mien_curve_search_threshold(c, &large, 1, &t, &err), MIEN_E_ARG);
    mien_curve_free(c);
}

static void fused_templates_are_read_farther_out(void **state)
{
    (void)state;
    mien_curve *c = curve_with(0, 0.6, 0.7), *plain = curve_with(0, 0, 0);
    near_to(mien__curve_fusion(c, 1), 1, 1e-12);
    near_to(mien__curve_fusion(c, 2), sqrt(0.85 / 0.8), 1e-12);
    near_to(mien__curve_fusion(c, 1000), sqrt(0.7003 / 0.6004), 1e-12);
    near_to(mien__curve_fusion(plain, 9), 1, 1e-12);
    const mien_search_size two = { 1, 2 };
    mien_estimate e;
    assert_int_equal(mien_curve_search_fpir(c, 0.48 * sqrt(0.85 / 0.8), &two, &e, NULL), MIEN_OK);
    near_to(e.value, 1e-4, 1e-9);
    mien_curve_free(c);
    mien_curve_free(plain);
}

static void decide_says_known_unknown_and_what_it_could_not_promise(void **state)
{
    (void)state;
    mien_curve *c = curve_with(0, 0, 0);
    mien_search_decision d, same;
    const mien_search_size hundred = { 100, 1 }, million = { 1000000, 1 }, none = { 0, 1 };
    assert_int_equal(mien_curve_decide(c, 0.5, &hundred, 0.01, &d, NULL), MIEN_OK);
    assert_true(d.known && d.promised && d.similarity == 0.5 && d.threshold < 0.5 && d.threshold > 0.47);
    near_to(d.fpir.value, 0.01, 1e-4);
    assert_true(d.score_fpir.value < 0.01 && d.score_fmr.value < 1e-4 && d.size.n_people == 100);
    assert_int_equal(mien_curve_decide_at(c, 0.5, &hundred, d.threshold, &same, NULL), MIEN_OK);
    assert_true(same.known && same.promised && fabs(same.fpir.value - d.fpir.value) < 1e-12);
    assert_int_equal(mien_curve_decide(c, 0.3, &hundred, 0.01, &d, NULL), MIEN_OK);
    assert_true(!d.known);
    assert_int_equal(mien_curve_decide(c, -1, &hundred, 0.01, &d, NULL), MIEN_OK);
    assert_true(!d.known && d.score_fpir.bound == 1);
    assert_int_equal(mien_curve_decide(c, 0.9, &million, 0.01, &d, NULL),
                     MIEN_OK); /* ten false matches a search */
    assert_true(d.known && !d.promised && d.threshold == 0.55 && d.fpir.value > 0.99);
    assert_int_equal(mien_curve_decide(c, 0.9, &none, 0.01, &d, NULL), MIEN_OK);
    assert_true(!d.known && d.size.n_people == 0);
    assert_int_equal(mien_curve_decide(c, 0.9, NULL, 0.01, &d, NULL), MIEN_OK);
    assert_true(!d.known);
    assert_int_equal(mien_curve_decide(c, NAN, &hundred, 0.01, &d, NULL), MIEN_E_ARG);
    assert_int_equal(mien_curve_decide(c, 0.5, &hundred, 0, &d, NULL), MIEN_E_ARG);
    assert_int_equal(mien_curve_decide_at(c, 0.5, &hundred, INFINITY, &d, NULL), MIEN_E_ARG);
    mien_curve_free(c);
}

static void words_of(double value, int bound, const char *want)
{
    char text[48];
    const mien_estimate e = { value, 0, 1, bound };
    mien_rate_words(&e, text, sizeof text);
    assert_string_equal(text, want);
}

static void rates_in_words_keep_two_figures(void **state)
{
    (void)state;
    words_of(1.0 / 181818, 0, "about 1 in 180,000");
    words_of(1.0 / 185001, 0, "about 1 in 190,000");
    words_of(1.0 / 99.4, 0, "about 1 in 99");
    words_of(1.0 / 99.6, 0, "about 1 in 100");
    words_of(1.0 / 996, 0, "about 1 in 1,000");
    words_of(1.0 / 9949, 0, "about 1 in 9,900");
    words_of(1.0 / 9951, 0, "about 1 in 10,000");
    words_of(0.5, 0, "about 1 in 2");
    words_of(0.6, 0, "about 1 in 2");
    words_of(0.7, 0, "most");
    words_of(1e-5, -1, "fewer than 1 in 100,000");
    words_of(0.2, 1, "more than 1 in 5");
    words_of(0.96, 0, "nearly all");
    words_of(0, 0, "fewer than 1 in 1,000,000,000");
    words_of(1e-9, 0, "about 1 in 1,000,000,000");
    char small[9];
    const mien_estimate e = { 1e-3, 0, 1, 0 };
    mien_rate_words(&e, small, sizeof small);
    assert_string_equal(small, "about 1 ");
    mien_rate_words(NULL, small, 0);
}

static void decisions_in_words_name_nobody(void **state)
{
    (void)state;
    mien_curve *c = curve_with(0, 0, 0);
    mien_search_decision d;
    char text[256];
    const mien_search_size many = { 120, 1 }, one = { 1, 1 };
    assert_int_equal(mien_curve_decide(c, 0.48, &many, 0.01, &d, NULL), MIEN_OK);
    mien_search_words(&d, text, sizeof text);
    assert_string_equal(text, "about 1 in 84 strangers would be taken for one of these 120 people at this "
                              "similarity");
    assert_int_equal(mien_curve_decide(c, 0.6, &one, 0.01, &d, NULL), MIEN_OK);
    mien_search_words(&d, text, sizeof text);
    assert_string_equal(text, "fewer than 1 in 100,000 strangers would be taken for this one person at this "
                              "similarity");
    assert_int_equal(mien_curve_decide(c, 0.6, NULL, 0.01, &d, NULL), MIEN_OK);
    mien_search_words(&d, text, sizeof text);
    assert_string_equal(text, "nobody is enrolled");
    mien_curve_free(c);
}

static void json_returns_the_same_curve(void **state)
{
    (void)state;
    mien_curve *c = curve_with(0.08, 0.6, 0.7), *back = NULL;
    char *text = NULL, *again = NULL;
    mien_error err = MIEN_ERROR_INIT;
    assert_int_equal(mien_curve_to_json(c, &text, &err), MIEN_OK);
    if (mien_curve_of_json(text, strlen(text), &back, &err))
        fail_msg("%s in %s", err.message, text);
    assert_int_equal(mien_curve_to_json(back, &again, &err), MIEN_OK);
    assert_string_equal(text, again);
    assert_true(mien_curve_info_of(back)->points[2].threshold == 0.40);
    assert_true(mien_curve_info_of(back)->points[2].fnmr.value < 0 &&
                mien_curve_info_of(back)->spread == 0.08);
    mien_curve_text_free(text);
    mien_curve_text_free(again);
    mien_curve_free(c);
    mien_curve_free(back);
}

#define HEAD                                                                                                 \
    "{\"format\":\"mien-curve-1\",\"model\":\"\",\"protocol\":\"\",\"date\":\"\",\"people\":2,\"pictures\":" \
    "3,"                                                                                                     \
    "\"mated\":1,\"nonmated\":2,\"independent\":2.0,\"spread\":0,\"fusion_mated\":0,\"fusion_other\":0,"     \
    "\"points\":"
#define POINT(t, f) "{\"threshold\":" t ",\"fmr\":[" f ",0,1],\"fnmr\":null}"

static void json_that_is_no_curve_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "nonsense",
        HEAD "[]}",
        HEAD "[" POINT("0.5", "0.001") "]}",                              /* one point is no curve */
        HEAD "[" POINT("0.4", "0.001") "," POINT("0.5", "0.01") "]}",     /* thresholds rise */
        HEAD "[" POINT("0.5", "0.01") "," POINT("0.4", "0.001") "]}",     /* rates fall */
        HEAD "[" POINT("0.5", "0") "," POINT("0.4", "0.001") "]}",        /* a rate of 0 */
        HEAD "[" POINT("0.5", "0.001") "," POINT("\"0.4\"", "0.01") "]}", /* a text for a number */
        HEAD "[" POINT("1e7", "0.001") "," POINT("0.4", "0.01") "]}",
        HEAD "[" POINT("0.5", "0.001") "," POINT("0.4", "0.01") "],\"more\":1}",
        HEAD "[" POINT("0.5", "0.001") "," POINT("0.4", "0.01") "],\"people\":2}",
        HEAD "7}",
    };
    mien_curve *c = NULL;
    for (size_t i = 0; i < MIEN_COUNTOF(bad); i++)
        if (mien_curve_of_json(bad[i], strlen(bad[i]), &c, NULL) != MIEN_E_EVAL_DATA)
            fail_msg("accepted or other status: %s", bad[i]);
    assert_int_equal(mien_curve_of_json("{}", 1 << 20, &c, NULL), MIEN_E_LIMIT);
    assert_null(c);
    static const char good[] = HEAD "[" POINT("0.5", "0.001") "," POINT("0.4", "0.01") "]}";
    assert_int_equal(mien_curve_of_json(good, strlen(good), &c, NULL), MIEN_OK);
    mien_curve_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(curve_of_model_needs_a_calibrated_embedder),
        cmocka_unit_test(fmr_is_linear_in_its_logarithm_and_bounded_at_the_ends),
        cmocka_unit_test(threshold_inverts_the_rate_and_refuses_what_is_not_supported),
        cmocka_unit_test(normal_upper_is_the_normal_quantile),
        cmocka_unit_test(search_of_independent_people_is_the_textbook_formula),
        cmocka_unit_test(search_of_odd_curves_stays_within_0_and_1),
        cmocka_unit_test(search_of_unequal_people_is_the_beta_mixture),
        cmocka_unit_test(search_threshold_rises_with_the_gallery_and_inverts_the_rate),
        cmocka_unit_test(fused_templates_are_read_farther_out),
        cmocka_unit_test(decide_says_known_unknown_and_what_it_could_not_promise),
        cmocka_unit_test(rates_in_words_keep_two_figures),
        cmocka_unit_test(decisions_in_words_name_nobody),
        cmocka_unit_test(json_returns_the_same_curve),
        cmocka_unit_test(json_that_is_no_curve_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
