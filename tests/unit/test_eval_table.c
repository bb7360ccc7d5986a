/* Tables and the CSV files they are read from: names of columns, bad rows by line, hostile input. */
#include "base/base.h"
#include <mien/eval.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

typedef struct seen {
    size_t lines[16], n;
    char why[16][64];
} seen;

static void note(size_t line, const char *why, void *user)
{
    seen *s = user;
    if (s->n < 16) {
        s->lines[s->n] = line;
        snprintf(s->why[s->n], sizeof s->why[0], "%s", why);
    }
    s->n++;
}

static mien_status parse(const char *csv, int direction, mien_eval_table **ret, seen *s, mien_error *err)
{
    mien_eval_csv_opts o = MIEN_EVAL_CSV_OPTS_INIT;
    size_t bad = 0;
    o.direction = direction;
    o.bad_row = note;
    o.user = s;
    const mien_status st = mien_eval_table_parse(csv, strlen(csv), &o, ret, &bad, err);
    if (st == MIEN_OK)
        assert_int_equal(bad, s->n);
    return st;
}

static void csv_of_pairs_need_not_tell_when_allowed(void **state)
{
    (void)state;
    static const char untold[] = "a,b,fold\nx/1,x/2,1\nx/1,,2\n", told[] = "a,b,same\nx/1,x/2,1\nx/1,y/1,0\n";
    mien_eval_csv_opts o = MIEN_EVAL_CSV_OPTS_INIT;
    mien_eval_table *t = NULL;
    size_t bad = 0;
    o.pairs_only = 1;
    assert_int_equal(mien_eval_table_parse(untold, strlen(untold), &o, &t, &bad, NULL), MIEN_E_EVAL_DATA);
    o.pairs_only = 2;
    assert_int_equal(mien_eval_table_parse(untold, strlen(untold), &o, &t, &bad, NULL), MIEN_OK);
    assert_int_equal(mien_eval_table_rows(t), 1);
    assert_int_equal(bad, 1);
    assert_int_equal(mien_eval_table_row(t, 0).mated, 0);
    assert_int_equal(mien_eval_table_row(t, 0).failed, 1);
    assert_int_equal(mien_eval_table_row(t, 0).fold, 1);
    mien_eval_table_free(t);
    assert_int_equal(mien_eval_table_parse(told, strlen(told), &o, &t, &bad, NULL), MIEN_OK);
    assert_int_equal(mien_eval_table_row(t, 0).mated, 1);
    mien_eval_table_free(t);
}

static void csv_column_names_are_tolerant(void **state)
{
    (void)state;
    static const char *const heads[] = { "score,mated\n1,1\n0,0\n",
                                         "\xef\xbb\xbfSimilarity , Is-Same\r\n1,true\r\n0,False\r\n",
                                         "label,\"Cosine\"\ngenuine,1\nimpostor,0\n",
                                         "Score,Person A,person_b\n1,x,x\n0,x,y\n",
                                         "1,1\n0,0\n",
                                         "score,y_true\n1,1\n0,-1\n",
                                         "score,target\n1,target\n0,nontarget\n",
                                         "match score,score,match\nx,1,1.0\ny,0,0.0\n" };
    for (size_t i = 0; i < MIEN_COUNTOF(heads); i++) {
        seen s = { 0 };
        mien_eval_table *t = NULL;
        mien_error err = MIEN_ERROR_INIT;
        if (parse(heads[i], 0, &t, &s, &err) != MIEN_OK)
            fail_msg("head %zu: %s", i, err.message);
        assert_int_equal(mien_eval_table_rows(t), 2);
        assert_int_equal(mien_eval_table_row(t, 0).mated, 1);
        assert_int_equal(mien_eval_table_row(t, 1).mated, 0);
        assert_true(mien_eval_table_row(t, 0).score > 0.5);
        assert_false(mien_eval_table_lower(t));
        mien_eval_table_free(t);
    }
}

static void csv_direction_follows_name_and_option(void **state)
{
    (void)state;
    static const struct {
        const char *csv;
        int direction, lower;
    } v[] = { { "distance,same\n1,1\n0,0\n", 0, 1 },
              { "distance,same\n1,1\n0,0\n", 1, 0 },
              { "score,same\n1,1\n0,0\n", -1, 1 },
              { "distance,score,same\n1,1,1\n0,0,0\n", 0, 0 } };
    for (size_t i = 0; i < MIEN_COUNTOF(v); i++) {
        seen s = { 0 };
        mien_eval_table *t = NULL;
        assert_int_equal(parse(v[i].csv, v[i].direction, &t, &s, NULL), MIEN_OK);
        assert_int_equal(mien_eval_table_lower(t), v[i].lower);
        assert_true(mien_eval_table_row(t, 0).score >= 1); /* shown in its own scale */
        mien_eval_table_free(t);
    }
}

static void csv_bad_rows_are_skipped_by_line(void **state)
{
    (void)state;
    static const char csv[] = "score,mated,person_a,person_b,fold,sex\n"
                              "0.5,1,a,a,0,f\n"
                              "x,1,a,a,0,f\n"         /* 3 */
                              "nan,0,a,b,0,f\n"       /* 4 */
                              "1e999,0,a,b,0,f\n"     /* 5 */
                              "0.5,maybe,a,b,0,f\n"   /* 6 */
                              "0.5,1,a,b,0,f\n"       /* 7 */
                              "0.5,0,a,a,0,f\n"       /* 8 */
                              "0.5,0,a\n"             /* 9 */
                              "0.5,0,a,b,-2,f\n"      /* 10 */
                              "0.5,0,a,b,1000,f\n"    /* 11 */
                              "0.5,0,\"a,b,0,f\n"     /* 12: the quote never closes */
                              "0.1,0,a,b,9,m,extra\n" /* 13 */
                              ",0,a,b,9,\n"
                              "0.2,no,a,b,9,m\n";
    static const size_t lines[] = { 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13 };
    seen s = { 0 };
    mien_eval_table *t = NULL;
    assert_int_equal(parse(csv, 0, &t, &s, NULL), MIEN_OK);
    assert_int_equal(s.n, MIEN_COUNTOF(lines));
    for (size_t i = 0; i < s.n; i++)
        assert_int_equal(s.lines[i], lines[i]);
    assert_string_equal(s.why[4], "mated, yet of two people");
    assert_string_equal(s.why[5], "non-mated, yet of one person");
    assert_int_equal(mien_eval_table_rows(t), 3);
    assert_true(mien_eval_table_row(t, 1).failed);
    assert_int_equal(mien_eval_table_row(t, 2).fold, 9);
    assert_string_equal(mien_eval_table_column(t, 0, NULL), "sex");
    assert_null(mien_eval_table_column(t, 1, NULL));
    assert_string_equal(mien_eval_table_label(t, 2, 0), "m");
    assert_null(mien_eval_table_label(t, 1, 0));
    mien_eval_table_free(t);
}

static void csv_unusable_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *csv, *says;
    } v[] = { { "", "no row" },
              { "\n\n", "no row" },
              { "a,b,c\n1,2,3\n", "no column of scores" },
              { "score,colour\n1,red\n", "mated from non-mated" },
              { "score,person_a\n1,x\n", "mated from non-mated" },
              { "score,mated\n", "no usable row" },
              { "score,mated\nx,1\ny,0\n", "no usable row; 2 were skipped" } };
    for (size_t i = 0; i < MIEN_COUNTOF(v); i++) {
        seen s = { 0 };
        mien_eval_table *t = NULL;
        mien_error err = MIEN_ERROR_INIT;
        assert_int_equal(parse(v[i].csv, 0, &t, &s, &err), MIEN_E_EVAL_DATA);
        assert_null(t);
        if (!strstr(err.message, v[i].says))
            fail_msg("case %zu: '%s'", i, err.message);
    }
}

static void column_with_many_values_is_dropped(void **state)
{
    (void)state;
    static const char *const columns[] = { "file", "sex" };
    mien_eval_table_opts o = MIEN_EVAL_TABLE_OPTS_INIT;
    mien_eval_table *t = NULL;
    int dropped = 0;
    o.columns = columns;
    o.n_columns = 2;
    assert_int_equal(mien_eval_table_new(&o, &t, NULL), MIEN_OK);
    for (int i = 0; i < 200; i++) {
        char file[16];
        snprintf(file, sizeof file, "f%d", i);
        const char *const labels[] = { file, i % 2 ? "f" : "m" };
        const mien_eval_row r = { i, i % 2, 0, -1, NULL, NULL, NULL, NULL, labels };
        assert_int_equal(mien_eval_table_add(t, &r, NULL), MIEN_OK);
    }
    assert_string_equal(mien_eval_table_column(t, 0, &dropped), "file");
    assert_true(dropped);
    assert_null(mien_eval_table_label(t, 150, 0));
    assert_string_equal(mien_eval_table_column(t, 1, &dropped), "sex");
    assert_false(dropped);
    assert_string_equal(mien_eval_table_label(t, 150, 1), "m");
    mien_eval_table_free(t);
}

static void names_of_many_people_are_kept_apart(void **state)
{
    (void)state;
    enum { N = 5000 };
    mien_eval_table *t = NULL;
    assert_int_equal(mien_eval_table_new(NULL, &t, NULL), MIEN_OK);
    for (int i = 0; i < N; i++) {
        char a[32], b[32];
        snprintf(a, sizeof a, "person %d", i % 1999);
        snprintf(b, sizeof b, "other %d", i);
        const mien_eval_row r = { i, 0, 0, -1, a, b, b, a, NULL };
        assert_int_equal(mien_eval_table_add(t, &r, NULL), MIEN_OK);
    }
    for (int i = 0; i < N; i++) {
        char a[32], b[32];
        snprintf(a, sizeof a, "person %d", i % 1999);
        snprintf(b, sizeof b, "other %d", i);
        const mien_eval_row r = mien_eval_table_row(t, (size_t)i);
        assert_string_equal(r.person_a, a);
        assert_string_equal(r.item_a, b);
        assert_string_equal(r.item_b, a);
    }
    mien_eval_table_free(t);
}

static void labels_pair_has_what_both_share(void **state)
{
    (void)state;
    const char *const path = "test_eval_labels.csv";
    FILE *f = fopen(path, "wb");
    fputs("sex,Person,country\nf,ann,DE\nm,bob,DE\nf,cy,\nf,ann,FR\nx\n", f);
    fclose(f);
    seen s = { 0 };
    mien_eval_csv_opts o = MIEN_EVAL_CSV_OPTS_INIT;
    mien_eval_labels *l = NULL;
    const char *const *names = NULL;
    const char *v[2];
    o.bad_row = note;
    o.user = &s;
    assert_int_equal(mien_eval_labels_read(path, &o, &l, NULL), MIEN_OK);
    remove(path);
    assert_int_equal(s.n, 2);
    assert_int_equal(s.lines[0], 5);
    assert_int_equal(s.lines[1], 6);
    assert_int_equal(mien_eval_labels_columns(l, &names), 2);
    assert_string_equal(names[1], "country");
    mien_eval_labels_of(l, "ann", "ann", v);
    assert_string_equal(v[0], "f");
    assert_string_equal(v[1], "DE");
    mien_eval_labels_of(l, "ann", "bob", v);
    assert_null(v[0]);
    assert_string_equal(v[1], "DE");
    mien_eval_labels_of(l, "ann", "cy", v);
    assert_string_equal(v[0], "f");
    assert_null(v[1]);
    mien_eval_labels_of(l, "nobody", NULL, v);
    assert_null(v[0]);
    mien_eval_labels_free(l);
}

static void choices_have_every_pair_once(void **state)
{
    (void)state;
    static const int32_t people[] = { 0, 1, 0, 2, -1, 1 };
    mien_eval_choice *v = NULL;
    size_t mated = 0, nonmated = 0;
    uint64_t total[2] = { 0, 0 };
    assert_int_equal(mien_eval_choose_pairs(people, 6, 100, 1, &v, &mated, &nonmated, total, NULL), MIEN_OK);
    assert_int_equal(mated, 2);
    assert_int_equal(nonmated, 8);
    assert_int_equal(total[0], 2);
    assert_int_equal(total[1], 8);
    bool met[6][6] = { { false } };
    for (size_t i = 0; i < mated + nonmated; i++) {
        assert_int_equal(people[v[i].a] == people[v[i].b], i < mated);
        assert_true(people[v[i].a] >= 0 && people[v[i].b] >= 0);
        assert_false(met[v[i].a][v[i].b] || met[v[i].b][v[i].a]);
        met[v[i].a][v[i].b] = true;
    }
    mien_eval_choices_free(v);
    v = NULL;
    assert_int_equal(mien_eval_choose_pairs(people, 6, 3, 1, &v, &mated, &nonmated, total, NULL), MIEN_OK);
    assert_int_equal(nonmated, 3);
    assert_int_equal(total[1], 8);
    mien_eval_choices_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_column_names_are_tolerant),
        cmocka_unit_test(csv_of_pairs_need_not_tell_when_allowed),
        cmocka_unit_test(csv_direction_follows_name_and_option),
        cmocka_unit_test(csv_bad_rows_are_skipped_by_line),
        cmocka_unit_test(csv_unusable_is_refused),
        cmocka_unit_test(column_with_many_values_is_dropped),
        cmocka_unit_test(names_of_many_people_are_kept_apart),
        cmocka_unit_test(labels_pair_has_what_both_share),
        cmocka_unit_test(choices_have_every_pair_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
