/* Multipart bodies: what clients send, and what nobody should. */
#include "multipart.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define TYPE "multipart/form-data; boundary=AaB03x"
#define D "Content-Disposition: form-data; "

static multipart m;
static const char *fault;

static bool parse(const char *type, const char *body)
{
    /* an exact copy, so that a read past the end is seen */
    const size_t n = strlen(body);
    uint8_t *copy = malloc(n ? n : 1);
    memcpy(copy, body, n);
    const bool ok = multipart_parse(type, copy, n, &m, &fault);
    free(copy);
    return ok;
}

static void parts_of_a_browser_are_found(void **state)
{
    static const char body[] = "--AaB03x\r\n" D "name=\"subject\"\r\n\r\nAda \r\nLovelace\r\n"
                               "--AaB03x\r\n" D "name=\"file\"; filename=\"C:\\\\x/a \\\"b%22.jpg\"\r\n"
                               "Content-Type: image/jpeg\r\n\r\n\xff\xd8--AaB03\r\n-x\r\n"
                               "--AaB03x\r\n" D "name=\"empty\"\r\n\r\n\r\n--AaB03x--\r\n";
    (void)state;
    assert_true(multipart_is(TYPE));
    assert_true(multipart_is("Multipart/Form-Data; charset=utf-8; Boundary=\"a b\""));
    assert_true(multipart_parse(TYPE, (const uint8_t *)body, sizeof body - 1, &m, &fault));
    assert_int_equal(m.n, 3);
    const multipart_part *p = multipart_find(&m, "subject");
    assert_int_equal(p->bytes, 14);
    assert_memory_equal(p->data, "Ada \r\nLovelace", 14);
    assert_false(p->is_file);
    p = multipart_find(&m, "file");
    assert_true(p->is_file);
    assert_string_equal(p->file, "a \"b\".jpg");
    assert_int_equal(p->bytes, 13);
    assert_int_equal(multipart_find(&m, "empty")->bytes, 0);
    assert_null(multipart_find(&m, "none"));
}

static void malformed_bodies_are_refused(void **state)
{
    static const char *const bodies[] = {
        "",
        "--AaB03x",
        "--AaB03x--x",
        "preamble\r\n--AaB03x\r\n" D "name=\"a\"\r\n\r\nx\r\n--AaB03x--",
        "--AaB03x\r\n" D "name=\"a\"\r\n\r\nx",
        "--AaB03x\r\n" D "name=\"a\"\r\n\r\nx\r\n--AaB03x",
        "--AaB03x\r\n" D "name=\"a\"\r\n\r\nx\r\n--AaB03x--\r\nmore",
        "--AaB03x\n" D "name=\"a\"\n\nx\n--AaB03x--",
        "--AaB03x\r\nContent-Type: a\r\n\r\nx\r\n--AaB03x--",
        "--AaB03x\r\n" D "filename=\"a\"\r\n\r\nx\r\n--AaB03x--",
        "--AaB03x\r\n" D "name=a\r\n\r\nx\r\n--AaB03x--",
        "--AaB03x\r\n" D "name=\"a\r\n\r\nx\r\n--AaB03x--",
        "--AaB03x\r\n" D "name=\"a\"; name=\"b\"\r\n\r\nx\r\n--AaB03x--",
        "--AaB03x\r\n" D "name=\"a\"\r\n" D "name=\"b\"\r\n\r\nx\r\n--AaB03x--",
        "--AaB03x\r\n" D "name=\"a\"\r\nContent-Transfer-Encoding: base64\r\n\r\nx\r\n--AaB03x--",
        "--AaB03x\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\nx\r\n--AaB03x--",
        "--AaB03x\r\n" D "name=\"a\x01\"\r\n\r\nx\r\n--AaB03x--",
    };
    static const char *const types[] = { NULL,
                                         "",
                                         "text/plain",
                                         "multipart/form-data",
                                         "multipart/form-data; boundary=",
                                         "multipart/form-data; boundary=\"a",
                                         "multipart/form-data; boundary=a\"b",
                                         "multipart/form-databoundary=a" };
    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        if (parse(TYPE, bodies[i]))
            fail_msg("taken: %s", bodies[i]);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        assert_false(multipart_is(types[i]));
}

static void too_much_is_refused(void **state)
{
    char *body = malloc(1 << 20), *to = body;
    (void)state;
    for (int i = 0; i <= MULTIPART_MAX_PARTS; i++)
        to += sprintf(to, "--AaB03x\r\n" D "name=\"a%d\"\r\n\r\nx\r\n", i);
    strcpy(to, "--AaB03x--");
    assert_false(parse(TYPE, body));
    assert_string_equal(fault, "too many parts");
    to = body + sprintf(body, "--AaB03x\r\n" D "name=\"");
    memset(to, 'n', MULTIPART_MAX_NAME);
    strcpy(to + MULTIPART_MAX_NAME, "\"\r\n\r\nx\r\n--AaB03x--");
    assert_false(parse(TYPE, body));
    to = body + sprintf(body, "--AaB03x\r\nX: ");
    memset(to, 'n', 1 << 16);
    strcpy(to + (1 << 16), "\r\n\r\nx\r\n--AaB03x--");
    assert_false(parse(TYPE, body));
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_of_a_browser_are_found),
        cmocka_unit_test(malformed_bodies_are_refused),
        cmocka_unit_test(too_much_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
