/* The text writer: numbers without the locale, escapes, the first failure. */
#include "report/text.h"
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

static void expect(mien__text *t, const char *want)
{
    mien__buf b = { 0 };
    assert_int_equal(mien__text_take(t, &b), MIEN_OK);
    assert_int_equal(mien__buf_append(&b, "", 1, NULL), MIEN_OK);
    assert_string_equal((const char *)b.data, want);
    mien__buf_free(&b);
}

static void fmt_writes_as_printf_does_in_the_c_locale(void **state)
{
    (void)state;
    /* a locale with a comma, where this machine has one */
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8"))
        (void)setlocale(LC_NUMERIC, "fr_FR.UTF-8");
    mien__text t;
    mien__text_init(&t, 1000, NULL);
    mien__text_fmt(&t, "%s|%-5s|%5s|%c|%d|%4d|%zu|%llu|%%", "a", "bc", "de", 'f', -3, 42, (size_t)7,
                   18446744073709551615ull);
    mien__text_fmt(&t, "|%.2f|%8.3f|%.0f|%.3g|%.6g|%.9g", 1234.5678, -0.5, 2.0, 1e-7, 1e20, NAN);
    setlocale(LC_NUMERIC, "C");
    expect(&t, "a|bc   |   de|f|-3|  42|7|18446744073709551615|%|1234.57|  -0.500|2|1e-07|1e+20|nan");
}

static void html_and_json_escape_what_they_must(void **state)
{
    (void)state;
    mien__text t;
    mien__text_init(&t, 1000, NULL);
    mien__text_html(&t, "<script>alert(\"1\" & '2')</script>\x01 Z\xc3\xbcrich \xc3 \xed\xa0\x80");
    expect(&t,
           "&lt;script&gt;alert(&quot;1&quot; &amp; &#39;2&#39;)&lt;/script&gt;\xef\xbf\xbd Z\xc3\xbcrich "
           "\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    mien__text_init(&t, 1000, NULL);
    mien__text_json(&t, "a\"b\\c\n\x1f \xff \xe6\x97\xa5");
    mien__text_json_f64(&t, 0.1, 9);
    mien__text_json_f64(&t, INFINITY, 9);
    expect(&t, "\"a\\\"b\\\\c\\u000a\\u001f \xef\xbf\xbd \xe6\x97\xa5\"0.1null");
}

static void base64_joins_its_chunks(void **state)
{
    (void)state;
    uint8_t data[2000];
    memset(data, 0, sizeof data);
    mien__text t;
    mien__text_init(&t, 10000, NULL);
    mien__text_base64(&t, (const uint8_t *)"Mie", 3);
    mien__text_base64(&t, (const uint8_t *)"n", 1);
    expect(&t, "TWllbg==");
    mien__text_init(&t, 10000, NULL);
    mien__text_base64(&t, data, sizeof data);
    mien__buf b = { 0 };
    assert_int_equal(mien__text_take(&t, &b), MIEN_OK);
    assert_int_equal(b.size, 2668);
    assert_memory_equal(b.data + b.size - 4, "AAA=", 4);
    assert_null(memchr(b.data, '=', b.size - 1));
    mien__buf_free(&b);
}

static void first_failure_stays_and_nothing_is_handed_out(void **state)
{
    (void)state;
    mien__text t;
    mien_error err = MIEN_ERROR_INIT;
    mien__buf b = { NULL, 77, 0, 0 };
    mien__text_init(&t, 8, &err);
    mien__text_fmt(&t, "12345");
    mien__text_fmt(&t, "6789");
    mien__text_fmt(&t, "0");
    assert_int_equal(mien__text_take(&t, &b), MIEN_E_LIMIT);
    assert_int_equal(b.size, 77);
    assert_non_null(strstr(err.message, "8 bytes"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fmt_writes_as_printf_does_in_the_c_locale),
        cmocka_unit_test(html_and_json_escape_what_they_must),
        cmocka_unit_test(base64_joins_its_chunks),
        cmocka_unit_test(first_failure_stays_and_nothing_is_handed_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
