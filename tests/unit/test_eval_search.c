/* Open-set identification and comparisons, against values by hand and known answers. */
#include "eval/stats.h"
#include <mien/eval.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

static void close_to(double got, double want, double bound)
{
    if (!(fabs(got - want) <= bound))
        fail_msg("got %.17g, want %.17g within %g", got, want, bound);
}

/* ---- searches ---- */

static void search_counts_as_the_standard_says(void **state)
{
    (void)state;
    static const mien_eval_probe v[] = {
        { 1, 0, 0.9, 1, NULL },       /* found */
        { 1, 0, 0.4, 1, NULL },       /* right, but below the threshold */
        { 1, 0, 0.8, 2, NULL },       /* somebody else came first */
        { 1, 1, 0, 0, NULL },         /* no template: missed */
        { 1, 0, -HUGE_VAL, 0, NULL }, /* no candidate */
        { 0, 0, 0.6, 0, NULL },       /* a stranger named */
        { 0, 0, 0.3, 0, NULL },       { 0, 0, 0.2, 0, NULL },
        { 0, 1, 0.95, 0, NULL }, /* no template: nobody named */
    };
    mien_eval_search_opts o = MIEN_EVAL_SEARCH_OPTS_INIT;
    mien_eval_search_summary s;
    o.threshold = 0.5;
    o.n_enrolled = 5;
    assert_int_equal(mien_eval_search(v, MIEN_COUNTOF(v), &o, &s, NULL), MIEN_OK);
    assert_int_equal(s.n_mated, 5);
    assert_int_equal(s.n_nonmated, 4);
    assert_int_equal(s.n_failed_mated, 1);
    assert_int_equal(s.n_failed_nonmated, 1);
    assert_false(s.by_people);
    close_to(s.fpir.value, 0.25, 0);
    close_to(s.fpir.lo, mien__rate_of(1, 4).lo, 0);
    close_to(s.fpir.hi, mien__rate_of(1, 4).hi, 0);
    close_to(s.fnir.value, 0.8, 1e-15);
    close_to(s.rank[0].value, 0.4, 1e-15);
    close_to(s.rank[1].value, 0.6, 1e-15);
    close_to(s.rank[MIEN_EVAL_RANKS - 1].value, 0.6, 1e-15);
    assert_int_equal(s.hist_mated[MIEN_EVAL_BINS - 1], 1);
    /* no stranger may be named: the threshold lies midway between 0.6 and nothing above it */
    assert_true(s.at[0].threshold > 0.6 && s.at[0].threshold < 0.61);
    close_to(s.at[0].fnir.value, 0.8, 1e-15);
}

static void search_probes_of_one_person_are_drawn_together(void **state)
{
    (void)state;
    enum { PEOPLE = 30, EACH = 20, STRANGERS = 100 };
    mien_eval_probe v[PEOPLE * EACH + STRANGERS];
    char names[PEOPLE][8];
    size_t n = 0;
    for (int p = 0; p < PEOPLE; p++) {
        snprintf(names[p], sizeof names[p], "p%d", p);
        for (int i = 0; i < EACH; i++)
            v[n++] = (mien_eval_probe){ 1, 0, p < 6 ? 0.2 : 0.9, 1, names[p] };
    }
    for (int i = 0; i < STRANGERS; i++)
        v[n++] = (mien_eval_probe){ 0, 0, i / 200.0, 0, NULL };
    mien_eval_search_opts o = MIEN_EVAL_SEARCH_OPTS_INIT;
    mien_eval_search_summary one, seven;
    o.threshold = 0.45;
    o.threads = 1;
    assert_int_equal(mien_eval_search(v, n, &o, &one, NULL), MIEN_OK);
    o.threads = 7;
    assert_int_equal(mien_eval_search(v, n, &o, &seven, NULL), MIEN_OK);
    assert_memory_equal(&one.fnir, &seven.fnir, sizeof one.fnir);
    assert_memory_equal(one.rank, seven.rank, sizeof one.rank);
    assert_true(one.by_people);
    assert_int_equal(one.n_people, PEOPLE + STRANGERS);
    close_to(one.fnir.value, 0.2, 1e-15);
    close_to(one.fnir.hi, 0.2 + 1.96 * sqrt(0.2 * 0.8 / PEOPLE), 0.05); /* 30 people, not 600 probes */
    close_to(one.fpir.value, 0.1, 1e-15);
}

static void search_without_strangers_is_refused(void **state)
{
    (void)state;
    static const mien_eval_probe mated = { 1, 0, 0.9, 1, NULL }, odd = { 1, 0, NAN, 1, NULL };
    mien_eval_search_summary s;
    assert_int_equal(mien_eval_search(&mated, 1, NULL, &s, NULL), MIEN_E_EVAL_DATA);
    assert_int_equal(mien_eval_search(&odd, 1, NULL, &s, NULL), MIEN_E_EVAL_DATA);
    assert_int_equal(mien_eval_search(NULL, 1, NULL, &s, NULL), MIEN_E_ARG);
}

/* ---- comparisons ---- */

/* Scores of people with a difficulty of their own; `gain` is added to mated pairs. */
static mien_eval_table *people_table(uint64_t seed, double gain, double noise, int people, const char *item)
{
    mien_eval_table *t = NULL;
    mien__rng rng, own;
    assert_int_equal(mien_eval_table_new(NULL, &t, NULL), MIEN_OK);
    mien__rng_seed(&rng, 1);
    mien__rng_seed(&own, seed);
    for (int p = 0; p < people; p++) {
        const double hard = 0.6 * mien__rng_unit(&rng);
        for (int i = 0; i < 20; i++) {
            char a[16], b[16];
            snprintf(a, sizeof a, "%d", p);
            snprintf(b, sizeof b, "%d", (p + 1 + i) % people);
            const double m = 0.9 - hard + 0.2 * mien__rng_unit(&rng) + gain + noise * mien__rng_unit(&own);
            const double n = 0.6 * mien__rng_unit(&rng) + noise * mien__rng_unit(&own);
            const mien_eval_row rows[] = { { m, 1, 0, -1, a, a, item, item, NULL },
                                           { n, 0, 0, -1, a, b, item, item, NULL } };
            assert_int_equal(mien_eval_table_add(t, &rows[0], NULL), MIEN_OK);
            assert_int_equal(mien_eval_table_add(t, &rows[1], NULL), MIEN_OK);
        }
    }
    return t;
}

static const mien_eval_difference *find(const mien_eval_comparison *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->v[i].name, name) == 0)
            return &c->v[i];
    fail_msg("no %s", name);
    return NULL;
}

/* A small gain, the same for all: pair by pair it shows, between two samples it drowns. */
static void compare_paired_shows_what_two_samples_hide(void **state)
{
    (void)state;
    mien_eval_table *a = people_table(2, 0, 0.005, 60, "same"), *b = people_table(3, 0.03, 0.005, 60, "same");
    mien_eval_table *other = people_table(3, 0.03, 0.005, 60, "other");
    mien_eval_comparison c;
    assert_int_equal(mien_eval_compare(a, b, NAN, NAN, NULL, &c, NULL), MIEN_OK);
    assert_int_equal(c.paired, 1);
    assert_int_equal(c.n_people, 60);
    assert_int_equal(find(&c, "fnmr_at_fmr_1e-1")->shown, 1);
    assert_true(find(&c, "auc")->difference.lo > 0);
    assert_true(c.only_b > c.only_a && c.mcnemar_p < 0.05);
    assert_int_equal(mien_eval_compare(a, other, NAN, NAN, NULL, &c, NULL), MIEN_OK);
    assert_int_equal(c.paired, 0);
    assert_int_equal(find(&c, "fnmr_at_fmr_1e-1")->shown, 0);
    assert_int_equal(mien_eval_compare(b, a, NAN, NAN, NULL, &c, NULL), MIEN_OK);
    assert_int_equal(find(&c, "fnmr_at_fmr_1e-1")->shown, -1);
    mien_eval_table_free(a);
    mien_eval_table_free(b);
    mien_eval_table_free(other);
}

static void compare_with_itself_shows_nothing(void **state)
{
    (void)state;
    mien_eval_table *a = people_table(2, 0, 0.01, 40, NULL), *b = people_table(9, 0, 0.01, 40, NULL);
    mien_eval_comparison c;
    assert_int_equal(mien_eval_compare(a, a, 0.5, 0.5, NULL, &c, NULL), MIEN_OK);
    for (size_t i = 0; i < c.n; i++)
        assert_true(c.v[i].difference.lo >= 0 && c.v[i].difference.hi <= 0 && c.v[i].shown == 0);
    assert_true(c.mcnemar_p >= 1);
    assert_int_equal(mien_eval_compare(a, b, 0.5, 0.5, NULL, &c, NULL), MIEN_OK);
    for (size_t i = 0; i < c.n; i++)
        assert_int_equal(c.v[i].shown, 0);
    mien_eval_table_free(a);
    mien_eval_table_free(b);
}

/* A matcher that gives up on its hard pairs does not win. */
static void compare_failures_count_against_whoever_fails(void **state)
{
    (void)state;
    mien_eval_table *a = people_table(2, 0, 0, 40, NULL), *b = NULL;
    assert_int_equal(mien_eval_table_new(NULL, &b, NULL), MIEN_OK);
    for (size_t i = 0; i < mien_eval_table_rows(a); i++) {
        mien_eval_row r = mien_eval_table_row(a, i);
        r.failed = r.mated && r.score < 0.6;
        assert_int_equal(mien_eval_table_add(b, &r, NULL), MIEN_OK);
    }
    mien_eval_comparison c;
    assert_int_equal(mien_eval_compare(a, b, 0.5, 0.5, NULL, &c, NULL), MIEN_OK);
    assert_int_equal(c.paired, 1);
    assert_true(find(&c, "accuracy")->difference.value < 0);
    assert_true(find(&c, "fnmr_at_fmr_1e-1")->difference.value >= 0);
    mien_eval_table_free(a);
    mien_eval_table_free(b);
}

/* 2 (C(9, 0) + C(9, 1)) / 2^9 for 1 against 8. */
static void compare_mcnemar_is_exact(void **state)
{
    (void)state;
    mien_eval_table *t[2] = { NULL, NULL };
    for (int k = 0; k < 2; k++) {
        assert_int_equal(mien_eval_table_new(NULL, &t[k], NULL), MIEN_OK);
        for (int i = 0; i < 40; i++) {
            const int mated = i % 2;
            double score = mated ? 0.9 : 0.1;
            if ((k == 0 && i < 8) || (k == 1 && i == 20))
                score = 1 - score; /* wrong */
            const mien_eval_row r = { score, mated, 0, -1, NULL, NULL, NULL, NULL, NULL };
            assert_int_equal(mien_eval_table_add(t[k], &r, NULL), MIEN_OK);
        }
    }
    mien_eval_comparison c;
    assert_int_equal(mien_eval_compare(t[0], t[1], 0.5, 0.5, NULL, &c, NULL), MIEN_OK);
    assert_int_equal(c.paired, 2);
    assert_int_equal(c.n_people, 0);
    assert_int_equal(c.only_a, 1);
    assert_int_equal(c.only_b, 8);
    close_to(c.mcnemar_p, 2 * 10.0 / 512, 1e-12);
    mien_eval_table_free(t[0]);
    mien_eval_table_free(t[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(search_counts_as_the_standard_says),
        cmocka_unit_test(search_probes_of_one_person_are_drawn_together),
        cmocka_unit_test(search_without_strangers_is_refused),
        cmocka_unit_test(compare_paired_shows_what_two_samples_hide),
        cmocka_unit_test(compare_with_itself_shows_nothing),
        cmocka_unit_test(compare_failures_count_against_whoever_fails),
        cmocka_unit_test(compare_mcnemar_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
