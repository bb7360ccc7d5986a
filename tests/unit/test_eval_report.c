/* The pages of evaluations: well-formed, self-contained, every text escaped, the figures in them, pictures
 * only when handed in. MIEN_REPORT_OUT=FILE keeps the page of the full case, to be looked at in a browser. */
#include "eval/report.h"
#include <expat.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

static const char odd[] = "<b>O'Neil & \"S\xff\"</b>";

static mien_eval_table *table(void)
{
    static const char *const columns[] = { "<i>sex</i>" };
    mien_eval_table_opts o = MIEN_EVAL_TABLE_OPTS_INIT;
    mien_eval_table *t = NULL;
    mien__rng rng;
    o.columns = columns;
    o.n_columns = 1;
    assert_int_equal(mien_eval_table_new(&o, &t, NULL), MIEN_OK);
    mien__rng_seed(&rng, 4);
    for (int i = 0; i < 4000; i++) {
        char a[64], b[64];
        const int mated = i % 4 == 0, p = (int)(mien__rng_u64(&rng) % 50);
        snprintf(a, sizeof a, "%s %d", odd, p);
        snprintf(b, sizeof b, "%s %d", odd, (p + !mated * (1 + i % 49)) % 50);
        const char *const labels[] = { p % 2 ? "f & m" : "<m>" };
        const double u = mien__rng_unit(&rng) + mien__rng_unit(&rng);
        const mien_eval_row r = { u / 2 + 0.5 * mated, mated, i % 500 == 1, -1, a, b, NULL, NULL, labels };
        assert_int_equal(mien_eval_table_add(t, &r, NULL), MIEN_OK);
    }
    return t;
}

/* Attributes that would make a browser ask for something. */
static void XMLCALL element(void *user, const XML_Char *name, const XML_Char **attribute)
{
    if (strcmp(name, "script") == 0 || strcmp(name, "link") == 0 || strcmp(name, "b") == 0 ||
        strcmp(name, "i") == 0)
        *(const char **)user = "an element that must not be there";
    for (; *attribute; attribute += 2)
        if ((strcmp(attribute[0], "src") == 0 && strncmp(attribute[1], "data:", 5) != 0) ||
            strcmp(attribute[0], "href") == 0 || strncmp(attribute[0], "on", 2) == 0)
            *(const char **)user = "an attribute that must not be there";
}

static char *well_formed(mien__buf *page)
{
    const char *fault = NULL;
    const XML_Parser parser = XML_ParserCreate(NULL);
    XML_SetUserData(parser, (void *)&fault);
    XML_SetStartElementHandler(parser, element);
    if (XML_Parse(parser, (const char *)page->data, (int)page->size, 1) != XML_STATUS_OK)
        fail_msg("line %lu: %s", (unsigned long)XML_GetCurrentLineNumber(parser),
                 XML_ErrorString(XML_GetErrorCode(parser)));
    XML_ParserFree(parser);
    if (fault)
        fail_msg("%s", fault);
    const char *const out = getenv("MIEN_REPORT_OUT");
    FILE *const f = out ? fopen(out, "wb") : NULL;
    if (f) {
        fwrite(page->data, 1, page->size, f);
        fclose(f);
    }
    char *const text = malloc(page->size + 1);
    memcpy(text, page->data, page->size);
    text[page->size] = '\0';
    mien__buf_free(page);
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "inf "));
    return text;
}

static void contains(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("the page lacks '%s'", part);
}

static void report_of_pairs_is_whole(void **state)
{
    (void)state;
    static const mien_eval_entry entries[] = { { "Command", odd }, { "Data", NULL } };
    static const uint8_t jpeg[] = { 0xff, 0xd8, 0xff, 0xe0, 1, 2 };
    mien_eval_table *t = table();
    mien_evaluation *e = NULL;
    mien__buf page = { 0 };
    mien_eval_opts m = MIEN_EVAL_OPTS_INIT;
    mien_eval_report_opts o = MIEN_EVAL_REPORT_OPTS_INIT;
    m.resamples = 200;
    m.threshold = 0.8;
    m.n_worst = 3;
    assert_int_equal(mien_eval_measure(t, &m, &e, NULL), MIEN_OK);
    o.title = o.matcher = o.threshold_from = odd;
    o.entries = entries;
    o.n_entries = 2;
    assert_int_equal(mien__eval_html(e, &o, &page, NULL), MIEN_OK);
    char *text = well_formed(&page);
    contains(text, "At the threshold of 0.8, ");
    contains(text, "bootstrap over people");
    contains(text, "O&#39;Neil");
    contains(text, "Detection error trade-off");
    contains(text, "f &amp; m");
    contains(text, "Worst errors");
    assert_null(strstr(text, "<img"));
    free(text);
    mien_eval_picture pictures[12] = { { NULL, 0 } };
    for (int i = 0; i < 11; i++)
        pictures[i] = (mien_eval_picture){ jpeg, sizeof jpeg };
    o.pictures = pictures;
    assert_int_equal(mien__eval_html(e, &o, &page, NULL), MIEN_OK);
    text = well_formed(&page);
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, "<img")) != NULL; p++)
        n++;
    assert_int_equal(n, 11);
    contains(text, "pictures of people");
    free(text);
    pictures[0].bytes = 2; /* no JPEG */
    assert_int_equal(mien__eval_html(e, &o, &page, NULL), MIEN_E_ARG);
    assert_int_equal(mien_eval_report(e, NULL, NULL, NULL), MIEN_E_ARG);
    mien_evaluation_free(e);
    mien_eval_table_free(t);
}

/* Nothing to plot on a logarithmic axis, no error to show: still a page. */
static void report_of_perfect_scores_is_whole(void **state)
{
    (void)state;
    static const char csv[] = "score,mated\n1,1\n1,1\n0,0\n0,0\n";
    mien_eval_table *t = NULL;
    mien_evaluation *e = NULL;
    mien__buf page = { 0 };
    const mien_eval_report_opts o = MIEN_EVAL_REPORT_OPTS_INIT;
    assert_int_equal(mien_eval_table_parse(csv, strlen(csv), NULL, &t, NULL, NULL), MIEN_OK);
    assert_int_equal(mien_eval_measure(t, NULL, &e, NULL), MIEN_OK);
    assert_int_equal(mien__eval_html(e, &o, &page, NULL), MIEN_OK);
    char *text = well_formed(&page);
    contains(text, "none of 2 pairs of strangers are taken");
    contains(text, "taken as independent");
    free(text);
    mien_evaluation_free(e);
    mien_eval_table_free(t);
}

static void report_of_searches_is_whole(void **state)
{
    (void)state;
    mien_eval_probe v[500];
    mien_eval_search_summary s;
    mien__buf page = { 0 };
    mien_eval_report_opts o = MIEN_EVAL_REPORT_OPTS_INIT;
    for (int i = 0; i < 500; i++)
        v[i] = (mien_eval_probe){ i < 200, i % 50 == 0, i < 200 ? 0.4 + i / 500.0 : i / 1000.0,
                                  i < 200 ? 1u + (unsigned)(i % 20 == 3) : 0, NULL };
    assert_int_equal(mien_eval_search(v, 500, NULL, &s, NULL), MIEN_OK);
    o.title = odd;
    assert_int_equal(mien__eval_search_html(&s, &o, &page, NULL), MIEN_OK);
    char *text = well_formed(&page);
    contains(text, "FNIR at FPIR 1 %");
    contains(text, "Cumulative match characteristic");
    contains(text, "Clopper and Pearson");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(report_of_perfect_scores_is_whole),
        cmocka_unit_test(report_of_searches_is_whole),
        cmocka_unit_test(report_of_pairs_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
