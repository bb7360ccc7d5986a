/* Figures as JSON: what they hold, what is left out, and what becomes of texts and numbers that JSON has no
 * place for. */
#include <mien/eval.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

static const char csv[] =
    "score,mated,person_a,person_b,a,b\n.9,1,ann,ann,ann/1,ann/2\n.8,1,bob,bob,bob/1,bob/2\n"
    ".7,0,ann,bob,ann/1,bob/\xff\n,0,ann,bob,ann/2,bob/1\n.2,0,bob,ann,bob/1,ann/1\n";

typedef struct measured {
    mien_eval_table *table;
    mien_evaluation *e;
} measured;

static measured measure(const char *text)
{
    measured m = { NULL, NULL };
    mien_eval_opts o = MIEN_EVAL_OPTS_INIT;
    o.threshold = 0.5;
    o.resamples = 50;
    assert_int_equal(mien_eval_table_parse(text, strlen(text), NULL, &m.table, NULL, NULL), MIEN_OK);
    assert_int_equal(mien_eval_measure(m.table, &o, &m.e, NULL), MIEN_OK);
    return m;
}

static void done(measured *m)
{
    mien_evaluation_free(m->e);
    mien_eval_table_free(m->table);
}

static json_t *figures(const measured *m, const mien_eval_json_opts *o)
{
    char *text = NULL;
    mien_error err = MIEN_ERROR_INIT;
    assert_int_equal(mien_evaluation_json(m->e, o, &text, &err), MIEN_OK);
    assert_int_equal(text[strlen(text) - 1], '\n');
    json_t *v = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(v);
    mien_eval_text_free(text);
    return v;
}

static const char *text_at(const json_t *v, const char *key)
{
    return json_string_value(json_object_get(v, key));
}

static double number_at(const json_t *v, const char *key)
{
    assert_true(json_is_number(json_object_get(v, key)));
    return json_number_value(json_object_get(v, key));
}

static void evaluation_json_holds_the_figures(void **state)
{
    (void)state;
    measured m = measure(csv);
    mien_eval_json_opts o = MIEN_EVAL_JSON_OPTS_INIT;
    o.kind = "folder";
    o.data = "people";
    o.threshold_from = "somewhere";
    o.n_images = 5;
    o.n_no_face = 1;
    json_t *v = figures(&m, &o);
    const mien_eval_summary *s = mien_evaluation_summary(m.e);
    assert_string_equal(text_at(v, "format"), "mien-eval");
    assert_string_equal(text_at(v, "kind"), "folder");
    assert_null(json_object_get(v, "model"));
    assert_int_equal((int)number_at(v, "pairs"), 5);
    assert_int_equal((int)number_at(v, "failed_nonmated"), 1);
    assert_true(fabs(number_at(v, "auc") - s->auc.value) < 1e-11);
    assert_true(fabs(number_at(v, "fta") - 0.2) < 1e-11);
    const json_t *at = json_object_get(v, "at_threshold"), *kept = json_object_get(v, "scores");
    assert_string_equal(text_at(at, "source"), "somewhere");
    assert_int_equal((int)number_at(at, "fp"), 1);
    assert_string_equal(text_at(kept, "mated"), "1 1 0 0 0");
    assert_string_equal(text_at(kept, "score"), "0.9 0.8 0.7 - 0.2");
    assert_string_equal(text_at(kept, "people"), "1-1 2-2 1-2 1-2 2-1");
    const json_t *worst = json_array_get(json_object_get(v, "false_matches"), 0);
    assert_int_equal((int)number_at(worst, "pair"), 3);
    assert_string_equal(text_at(worst, "b"), "bob/\xef\xbf\xbd"); /* a byte that is not UTF-8 */
    json_decref(v);
    done(&m);
}

static void evaluation_json_without_scores_leaves_them_out(void **state)
{
    (void)state;
    measured m = measure(csv);
    mien_eval_json_opts o = MIEN_EVAL_JSON_OPTS_INIT;
    o.without_scores = 1;
    json_t *v = figures(&m, &o);
    assert_null(json_object_get(v, "scores"));
    assert_string_equal(text_at(v, "kind"), "scores");
    assert_null(json_object_get(v, "images"));
    json_decref(v);
    done(&m);
}

static void evaluation_json_without_people_numbers_nobody(void **state)
{
    (void)state;
    measured m = measure("score,mated\n.9,1\n.1,0\n");
    json_t *v = figures(&m, NULL);
    const json_t *kept = json_object_get(v, "scores");
    assert_string_equal(text_at(kept, "score"), "0.9 0.1");
    assert_null(json_object_get(kept, "people"));
    assert_null(json_object_get(kept, "names"));
    assert_true(json_is_null(json_object_get(v, "people")));
    json_decref(v);
    done(&m);
}

static void search_json_holds_the_figures(void **state)
{
    (void)state;
    static const mien_eval_probe v[] = {
        { 1, 0, 0.9, 1, NULL }, { 1, 0, 0.4, 2, NULL }, { 0, 0, 0.6, 0, NULL }, { 0, 0, 0.2, 0, NULL }
    };
    mien_eval_search_opts so = MIEN_EVAL_SEARCH_OPTS_INIT;
    mien_eval_search_summary s;
    mien_eval_search_json_opts o = MIEN_EVAL_SEARCH_JSON_OPTS_INIT;
    const mien_eval_rate expected = { 0.01, 0.005, 0.02 };
    char *text = NULL;
    so.threshold = 0.5;
    assert_int_equal(mien_eval_search(v, 4, &so, &s, NULL), MIEN_OK);
    assert_int_equal(mien_eval_search_json(&s, &o, &text, NULL), MIEN_OK);
    json_t *plain = json_loads(text, 0, NULL);
    mien_eval_text_free(text);
    assert_null(json_object_get(plain, "curves"));
    assert_true(json_is_null(json_object_get(plain, "fpir_expected")));
    assert_true(json_is_null(json_object_get(plain, "fpir_asked")));
    assert_true(fabs(number_at(plain, "fpir") - 0.5) < 1e-6);
    assert_int_equal(json_array_size(json_object_get(plain, "cmc")), MIEN_EVAL_RANKS);
    json_decref(plain);

    o.curves = 1;
    o.expected = &expected;
    o.fpir_asked = 0.01;
    o.promised = 1;
    assert_int_equal(mien_eval_search_json(&s, &o, &text, NULL), MIEN_OK);
    json_t *whole = json_loads(text, 0, NULL);
    mien_eval_text_free(text);
    const json_t *curves = json_object_get(whole, "curves");
    size_t i;
    json_int_t sum = 0;
    const json_t *n;
    json_array_foreach(json_object_get(curves, "nonmated"), i, n) sum += json_integer_value(n);
    assert_int_equal(sum, 2);
    assert_true(json_is_true(json_object_get(whole, "fpir_promised")));
    assert_true(json_is_true(json_object_get(whole, "fpir_agrees")) == (s.fpir.lo <= expected.hi));
    json_decref(whole);
}

static void json_of_nothing_is_refused(void **state)
{
    (void)state;
    measured m = measure(csv);
    char *text = NULL;
    assert_int_equal(mien_evaluation_json(NULL, NULL, &text, NULL), MIEN_E_ARG);
    assert_int_equal(mien_evaluation_json(m.e, NULL, NULL, NULL), MIEN_E_ARG);
    assert_int_equal(mien_eval_search_json(NULL, NULL, &text, NULL), MIEN_E_ARG);
    assert_null(text);
    mien_eval_text_free(NULL);
    done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evaluation_json_holds_the_figures),
        cmocka_unit_test(evaluation_json_without_scores_leaves_them_out),
        cmocka_unit_test(evaluation_json_without_people_numbers_nobody),
        cmocka_unit_test(search_json_holds_the_figures),
        cmocka_unit_test(json_of_nothing_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
