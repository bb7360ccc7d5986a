/* Measuring tables: hand-computed values, brute force over weighted pairs, the same for any number of
 * threads. */
#include "eval/draws.h"
#include "eval/measure.h"
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>

static void close_to(double got, double want, double bound)
{
    if (!(fabs(got - want) <= bound))
        fail_msg("got %.17g, want %.17g within %g", got, want, bound);
}

static mien_eval_table *table_of(const char *csv)
{
    mien_eval_table *t = NULL;
    mien_error err = MIEN_ERROR_INIT;
    if (mien_eval_table_parse(csv, strlen(csv), NULL, &t, NULL, &err) != MIEN_OK)
        fail_msg("%s", err.message);
    return t;
}

static mien_evaluation *measure(const mien_eval_table *t, double threshold, int resamples, unsigned threads)
{
    mien_evaluation *e = NULL;
    mien_eval_opts o = MIEN_EVAL_OPTS_INIT;
    mien_error err = MIEN_ERROR_INIT;
    o.threshold = threshold;
    o.resamples = resamples;
    o.threads = threads;
    if (mien_eval_measure(t, &o, &e, &err) != MIEN_OK)
        fail_msg("%s", err.message);
    return e;
}

/* Mated 0.9 0.8 0.4 0.3, non-mated 0.7 0.4 0.2 0.1: of the 16 comparisons 4 + 4 + (2 + 1/2) + 2 are won.
 * Raised through the scores: after 0.3 FMR is 2/4 and FNMR 1/4, after 0.4 they are 1/4 and 2/4: they cross at
 * 3/8. */
static void measure_small_table_gives_values_by_hand(void **state)
{
    (void)state;
    mien_eval_table *t = table_of("score,mated\n.9,1\n.8,1\n.4,1\n.3,1\n.7,0\n.4,0\n.2,0\n.1,0\n,1\n,0\n");
    mien_evaluation *e = measure(t, 0.4, 200, 1);
    const mien_eval_summary *s = mien_evaluation_summary(e);
    assert_int_equal(s->n_mated, 4);
    assert_int_equal(s->n_nonmated, 4);
    assert_int_equal(s->n_failed_mated, 1);
    assert_int_equal(s->n_failed_nonmated, 1);
    assert_int_equal(s->n_people, 0);
    close_to(s->auc.value, 12.5 / 16, 1e-15);
    close_to(s->eer.value, 3.0 / 8, 1e-15);
    close_to(s->eer_threshold, 0.35, 1e-15);
    const mien_eval_decided *d = &s->decided; /* 0.4 itself is accepted */
    assert_int_equal(d->tp, 3);
    assert_int_equal(d->fp, 2);
    assert_int_equal(d->fn, 2);
    assert_int_equal(d->tn, 3);
    assert_true(d->chosen_fmr >= 0 && d->chosen_fmr <= 0);
    close_to(d->fmr.value, 0.5, 0);
    close_to(d->fnmr.value, 0.25, 0);
    close_to(d->accuracy.value, 0.6, 1e-15);
    close_to(d->precision.value, 0.6, 1e-15);
    close_to(d->recall.value, 0.6, 1e-15);
    close_to(d->f1.value, 0.6, 1e-15);
    close_to(d->fmr.hi, mien__rate_of(2, 4).hi, 0); /* people unknown: Clopper-Pearson */
    close_to(s->at[0].fnmr.value, 0.5, 0);          /* no non-mated pair may pass: 0.7 < t < 0.8 */
    close_to(s->at[0].threshold, 0.7 + 1e-16, 1e-15);
    close_to(s->at[0].fnmr_failed, 3.0 / 5, 1e-15);
    assert_false(s->at[0].supported);
    assert_int_equal(s->n_false_matches, 2);
    assert_int_equal(s->false_matches[0], 4);
    assert_int_equal(s->n_false_nonmatches, 1);
    assert_int_equal(s->false_nonmatches[0], 3);
    mien_evaluation_free(e);
    mien_eval_table_free(t);
}

/* The same pairs as distances. */
static void measure_lower_mirrors_higher(void **state)
{
    (void)state;
    mien_eval_table *a = table_of("score,mated\n.9,1\n.8,1\n.4,1\n.3,1\n.7,0\n.4,0\n.2,0\n.1,0\n");
    mien_eval_table *b = table_of("distance,mated\n.1,1\n.2,1\n.6,1\n.7,1\n.3,0\n.6,0\n.8,0\n.9,0\n");
    mien_evaluation *x = measure(a, NAN, 200, 1), *y = measure(b, NAN, 200, 1);
    const mien_eval_summary *s = mien_evaluation_summary(x), *r = mien_evaluation_summary(y);
    assert_false(s->lower);
    assert_true(r->lower);
    close_to(r->auc.value, s->auc.value, 1e-15);
    close_to(r->eer.value, s->eer.value, 1e-15);
    close_to(r->eer_threshold, 1 - s->eer_threshold, 1e-15);
    close_to(r->decided.threshold, 1 - s->decided.threshold, 1e-15);
    assert_int_equal(r->decided.tp, s->decided.tp);
    assert_int_equal(r->decided.fp, s->decided.fp);
    assert_true(s->decided.chosen_fmr < 0); /* four pairs support no rate */
    for (int i = 0; i < MIEN_EVAL_FMRS; i++)
        close_to(r->at[i].fnmr.value, s->at[i].fnmr.value, 0);
    mien_evaluation_free(x);
    mien_evaluation_free(y);
    mien_eval_table_free(a);
    mien_eval_table_free(b);
}

/* A random table of people, scores on a coarse grid so that many are equal. */
static mien_eval_table *random_table(uint64_t seed, size_t n, unsigned people, int columns)
{
    static const char *const names[] = { "group", "age" }, *const values[] = { "x", "y", "z" };
    mien_eval_table_opts o = MIEN_EVAL_TABLE_OPTS_INIT;
    mien_eval_table *t = NULL;
    mien__rng rng;
    o.columns = names;
    o.n_columns = (size_t)columns;
    assert_int_equal(mien_eval_table_new(&o, &t, NULL), MIEN_OK);
    mien__rng_seed(&rng, seed);
    for (size_t i = 0; i < n; i++) {
        char a[16], b[16];
        const unsigned p = (unsigned)(mien__rng_u64(&rng) % people);
        const int mated = mien__rng_u64(&rng) % 3 == 0;
        const unsigned q = mated ? p : (p + 1 + (unsigned)(mien__rng_u64(&rng) % (people - 1))) % people;
        snprintf(a, sizeof a, "p%u", p);
        snprintf(b, sizeof b, "p%u", q);
        const char *const labels[] = { values[p % 3], values[(p + q) % 2] };
        const double score = floor((mien__rng_unit(&rng) + 0.6 * mated) * 20) / 20;
        const mien_eval_row row = {
            score, mated, mien__rng_u64(&rng) % 40 == 0, -1, a, b, NULL, NULL, labels
        };
        assert_int_equal(mien_eval_table_add(t, &row, NULL), MIEN_OK);
    }
    return t;
}

/* Rates of a resample, by repeating each pair as often as it weighs. */
static void weighted_rates_equal_brute_force(void **state)
{
    (void)state;
    mien_eval_table *t = random_table(7, 400, 25, 0);
    mien__epairs p = { 0 };
    mien__weighing w = { 0 };
    assert_int_equal(mien__epairs_new(t, false, &p, NULL), MIEN_OK);
    assert_true(p.by_people);
    assert_int_equal(mien__weighing_new(&p, &w, NULL), MIEN_OK);
    for (int64_t k = -1; k < 20; k++) {
        double mated[4096], nonmated[8192];
        size_t n = 0, m = 0;
        mien__weigh(&p, 3, k, &w);
        for (size_t i = 0; i < p.n_mated; i++)
            for (uint64_t c = mien__epair_weight(&p.mated[i], w.weight); c > 0; c--)
                mated[n++] = p.mated[i].score;
        for (size_t i = 0; i < p.n_nonmated; i++)
            for (uint64_t c = mien__epair_weight(&p.nonmated[i], w.weight); c > 0; c--)
                nonmated[m++] = p.nonmated[i].score;
        assert_true(n < MIEN_COUNTOF(mated) && m < MIEN_COUNTOF(nonmated));
        double wins = 0;
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < m; j++)
                wins += mated[i] > nonmated[j] ? 1 : mated[i] < nonmated[j] ? 0 : 0.5;
        close_to(mien__weighted_auc(&p, &w), wins / ((double)n * (double)m), 1e-12);
        close_to(mien__weighted_eer(&p, &w, NULL), mien__eer(mated, n, nonmated, m), 1e-12);
        static const double fmrs[] = { 0.3, 0.1, 0.03, 0.01, 0.001 };
        for (size_t i = 0; i < MIEN_COUNTOF(fmrs); i++) {
            const size_t allowed = (size_t)floor(fmrs[i] * (double)m + 1e-9);
            const double at = mien__threshold_for(nonmated, m, allowed);
            close_to(mien__weighted_threshold(&p, &w, fmrs[i]), at, 1e-15);
            close_to(mien__weighted_fnmr_at(&p, &w, at),
                     (double)(n - mien__count_at_least(mated, n, at)) / (double)n, 1e-15);
            close_to(mien__weighted_fmr_at(&p, &w, at),
                     (double)mien__count_at_least(nonmated, m, at) / (double)m, 1e-15);
        }
    }
    mien__weighing_clear(&w);
    mien__epairs_clear(&p);
    mien_eval_table_free(t);
}

static void measure_threads_give_same_bytes(void **state)
{
    (void)state;
    mien_eval_table *t = random_table(1, 3000, 60, 2);
    mien_evaluation *one = measure(t, NAN, 300, 1), *seven = measure(t, NAN, 300, 7);
    mien_eval_summary a = *mien_evaluation_summary(one), b = *mien_evaluation_summary(seven);
    assert_int_equal(a.n_groups, 5);
    for (size_t i = 0; i < a.n_groups; i++) {
        assert_string_equal(a.groups[i].value, b.groups[i].value);
        assert_memory_equal(&a.groups[i].fmr, &b.groups[i].fmr, sizeof a.groups[i].fmr);
        assert_memory_equal(&a.groups[i].fnmr, &b.groups[i].fnmr, sizeof a.groups[i].fnmr);
    }
    assert_memory_equal(&a.auc, &b.auc, sizeof a.auc);
    assert_memory_equal(&a.eer, &b.eer, sizeof a.eer);
    assert_memory_equal(a.at, b.at, sizeof a.at);
    assert_memory_equal(&a.decided, &b.decided, sizeof a.decided);
    assert_memory_equal(a.det_fnmr, b.det_fnmr, sizeof a.det_fnmr);
    mien_evaluation_free(one);
    mien_evaluation_free(seven);
    mien_eval_table_free(t);
}

/* A group's rates are those of a table of its rows alone at the same threshold. */
static void measure_group_equals_table_of_its_rows(void **state)
{
    (void)state;
    mien_eval_table *all = random_table(5, 2000, 40, 2), *part = NULL;
    assert_int_equal(mien_eval_table_new(NULL, &part, NULL), MIEN_OK);
    for (size_t i = 0; i < mien_eval_table_rows(all); i++) {
        const mien_eval_row r = mien_eval_table_row(all, i);
        if (strcmp(mien_eval_table_label(all, i, 0), "y") == 0)
            assert_int_equal(mien_eval_table_add(part, &r, NULL), MIEN_OK);
    }
    mien_evaluation *a = measure(all, 0.7, 0, 1), *b = measure(part, 0.7, 0, 1);
    const mien_eval_summary *s = mien_evaluation_summary(a), *r = mien_evaluation_summary(b);
    const mien_eval_group *g = NULL;
    for (size_t i = 0; i < s->n_groups; i++)
        if (strcmp(s->groups[i].column, "group") == 0 && strcmp(s->groups[i].value, "y") == 0)
            g = &s->groups[i];
    assert_non_null(g);
    assert_int_equal(g->n_mated, r->n_mated);
    assert_int_equal(g->n_nonmated, r->n_nonmated);
    assert_int_equal(g->n_failed, r->n_failed_mated + r->n_failed_nonmated);
    close_to(g->fmr.value, r->decided.fmr.value, 1e-15);
    close_to(g->fnmr.value, r->decided.fnmr.value, 1e-15);
    mien_evaluation_free(a);
    mien_evaluation_free(b);
    mien_eval_table_free(all);
    mien_eval_table_free(part);
}

/* Each person's pairs all share one outcome: intervals over people are then those of 40 trials, not of 4,000.
 */
static void measure_interval_counts_people_not_pairs(void **state)
{
    (void)state;
    mien_eval_table *t = NULL;
    assert_int_equal(mien_eval_table_new(NULL, &t, NULL), MIEN_OK);
    for (int p = 0; p < 40; p++)
        for (int i = 0; i < 100; i++) {
            char a[16], b[16];
            snprintf(a, sizeof a, "%d", p);
            snprintf(b, sizeof b, "%d", (p + 1 + i % 39) % 40);
            const mien_eval_row m = { p < 8 ? 0.1 : 0.9, 1, 0, -1, a, a, NULL, NULL, NULL };
            const mien_eval_row n = { 0.0, 0, 0, -1, a, b, NULL, NULL, NULL };
            assert_int_equal(mien_eval_table_add(t, &m, NULL), MIEN_OK);
            assert_int_equal(mien_eval_table_add(t, &n, NULL), MIEN_OK);
        }
    mien_evaluation *e = measure(t, 0.5, 1000, 2);
    const mien_eval_summary *s = mien_evaluation_summary(e);
    close_to(s->decided.fnmr.value, 0.2, 1e-15);
    close_to(s->decided.fnmr.lo, 0.2 - 1.96 * sqrt(0.2 * 0.8 / 40), 0.03);
    close_to(s->decided.fnmr.hi, 0.2 + 1.96 * sqrt(0.2 * 0.8 / 40), 0.03);
    /* no false match at all: bounded by what as many people could show */
    close_to(s->decided.fmr.hi, mien__rate_of(0, 40).hi, 1e-15);
    mien_evaluation_free(e);
    mien_eval_table_free(t);
}

static void measure_folds_follow_the_protocol(void **state)
{
    (void)state;
    mien_eval_table *t = table_of("score,mated,fold\n.9,1,0\n.8,1,0\n.1,0,0\n.6,0,0\n"
                                  ".5,1,1\n.4,1,1\n.1,0,1\n.2,0,1\n"); /* as in test_eval_pairs */
    mien_evaluation *e = measure(t, NAN, 0, 1);
    const mien_eval_summary *s = mien_evaluation_summary(e);
    assert_int_equal(s->folds, 2);
    close_to(s->fold_accuracy, (0.75 + 0.5) / 2, 1e-12);
    close_to(s->fold_accuracy_std, 0.125, 1e-12);
    close_to(s->fold_threshold, 0.5, 1e-12);
    mien_evaluation_free(e);
    mien_eval_table_free(t);
}

/* One fold: the best threshold on the same pairs, said to be so; no fold at all: none is made up. */
static void measure_one_fold_chooses_on_itself(void **state)
{
    (void)state;
    mien_eval_table *t = table_of("score,mated,fold\n.9,1,0\n.2,1,0\n.1,0,0\n.3,0,0\n");
    mien_eval_table *u = table_of("score,mated,fold\n.9,1,0\n.2,1,0\n.1,0,0\n.3,0,\n");
    mien_evaluation *e = measure(t, NAN, 0, 1), *f = measure(u, NAN, 0, 1);
    assert_int_equal(mien_evaluation_summary(e)->folds, 1);
    close_to(mien_evaluation_summary(e)->fold_accuracy, 0.75, 1e-12);
    close_to(mien_evaluation_summary(e)->fold_threshold, 0.6, 1e-12);
    assert_int_equal(mien_evaluation_summary(f)->folds, 0);
    mien_evaluation_free(e);
    mien_evaluation_free(f);
    mien_eval_table_free(t);
    mien_eval_table_free(u);
}

static void roc_has_every_operating_point(void **state)
{
    (void)state;
    mien_eval_table *t = table_of("score,mated\n.9,1\n.5,1\n.5,0\n.2,0\n");
    mien_eval_roc_point *v = NULL;
    size_t n = 0;
    assert_int_equal(mien_eval_roc(t, &v, &n, NULL), MIEN_OK);
    static const double want[][2] = { { 0, 0 }, { 0, 0.5 }, { 0.5, 1 }, { 1, 1 } };
    assert_int_equal(n, 4);
    for (size_t i = 0; i < n; i++) {
        close_to(v[i].fmr, want[i][0], 0);
        close_to(v[i].tmr, want[i][1], 0);
    }
    mien_eval_roc_free(v);
    mien_eval_table_free(t);
}

static void measure_without_both_kinds_is_refused(void **state)
{
    (void)state;
    mien_eval_table *t = table_of("score,mated\n.9,1\n,0\n");
    mien_evaluation *e = NULL;
    mien_error err = MIEN_ERROR_INIT;
    assert_int_equal(mien_eval_measure(t, NULL, &e, &err), MIEN_E_EVAL_DATA);
    assert_null(e);
    assert_non_null(strstr(err.message, "1 mated, 0 non-mated"));
    mien_eval_table_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(measure_small_table_gives_values_by_hand),
        cmocka_unit_test(measure_lower_mirrors_higher),
        cmocka_unit_test(weighted_rates_equal_brute_force),
        cmocka_unit_test(measure_threads_give_same_bytes),
        cmocka_unit_test(measure_group_equals_table_of_its_rows),
        cmocka_unit_test(measure_interval_counts_people_not_pairs),
        cmocka_unit_test(measure_folds_follow_the_protocol),
        cmocka_unit_test(measure_one_fold_chooses_on_itself),
        cmocka_unit_test(roc_has_every_operating_point),
        cmocka_unit_test(measure_without_both_kinds_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
