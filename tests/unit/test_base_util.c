/* Status names, numbers in text, SHA-256, random numbers, log, and the CPU mask. */
#include "base/base.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void status_names_and_texts_are_complete(void **state)
{
    (void)state;
    assert_string_equal(mien_status_name(MIEN_OK), "OK");
    assert_string_equal(mien_status_name(MIEN_E_NOMEM), "E_NOMEM");
    assert_string_equal(mien_status_text(MIEN_E_NO_FACE), "no face found");
    assert_string_equal(mien_status_name((mien_status)12345), "E_UNKNOWN");
    assert_true(mien_status_text((mien_status)12345)[0] != '\0');
    static const int values[] = {
#define VALUE(name, value, text) value,
        MIEN_STATUS_LIST(VALUE)
#undef VALUE
    };
    for (size_t i = 1; i < MIEN_COUNTOF(values); i++)
        assert_true(values[i] < values[i - 1]); /* negative, each once */
    assert_string_equal(mien_version(), MIEN_VERSION);
}

static void fail_records_cuts_and_accepts_null(void **state)
{
    (void)state;
    char longest[600];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    mien_error err = MIEN_ERROR_INIT;
    assert_int_equal(mien__fail(&err, MIEN_E_LIMIT, "%s", longest), MIEN_E_LIMIT);
    assert_int_equal(err.status, MIEN_E_LIMIT);
    assert_int_equal(strlen(err.message), MIEN_ERROR_MESSAGE_BYTES - 1);
    assert_true(err.line > 0 && strstr(err.file, "test_base_util.c") != NULL);
    assert_int_equal(mien__fail(NULL, MIEN_E_IO, "%d", 1), MIEN_E_IO);
}

static void parse_i64_reads_whole_strings_only(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } cases[] = {
        { "0", true, 0 },
        { "-0", true, 0 },
        { "+7", true, 7 },
        { "0000123", true, 123 },
        { "9223372036854775807", true, INT64_MAX },
        { "-9223372036854775808", true, INT64_MIN },
        { "9223372036854775808", false, 0 },
        { "-9223372036854775809", false, 0 },
        { "99999999999999999999999", false, 0 },
        { "", false, 0 },
        { "-", false, 0 },
        { "+-1", false, 0 },
        { " 1", false, 0 },
        { "1 ", false, 0 },
        { "0x10", false, 0 },
        { "1.0", false, 0 },
        { "1e3", false, 0 },
        { "\xd9\xa1", false, 0 }, /* Arabic digit one */
    };
    for (size_t i = 0; i < MIEN_COUNTOF(cases); i++) {
        int64_t v = 42;
        assert_int_equal(mien__parse_i64(cases[i].text, &v), cases[i].ok);
        assert_true(v == (cases[i].ok ? cases[i].value : 42));
    }
}

static void parse_f64_odd_input(void **state)
{
    (void)state;
    static const char *const good[] = { "0",
                                        "-0",
                                        "1",
                                        "-1.5",
                                        "+2.25",
                                        "1.",
                                        ".5",
                                        "1e3",
                                        "1E-3",
                                        "1e+3",
                                        "0.1",
                                        "3.14159265358979",
                                        "1e308",
                                        "1e-308",
                                        "12345678901234567890",
                                        "0.000000000000000000001",
                                        "0e999",
                                        "123e-2",
                                        "4.9e-300" };
    for (size_t i = 0; i < MIEN_COUNTOF(good); i++) {
        double v = NAN;
        const double want = strtod(good[i], NULL);
        assert_true(mien__parse_f64(good[i], &v));
        assert_true(fabs(v - want) <= 4 * 0x1p-53 * fabs(want));
    }
    static const char *const bad[] = { "",
                                       ".",
                                       "-",
                                       "e5",
                                       "1e",
                                       "1e+",
                                       "1.2.3",
                                       "1,5",
                                       " 1",
                                       "1 ",
                                       "nan",
                                       "inf",
                                       "-inf",
                                       "1e999",
                                       "0x1p3",
                                       "1f",
                                       "--1",
                                       "1e5.0",
                                       "1e99999999999999999999" };
    for (size_t i = 0; i < MIEN_COUNTOF(bad); i++) {
        double v = 42;
        assert_false(mien__parse_f64(bad[i], &v));
        assert_true(v == 42);
    }
}

static void parse_f64_ignores_the_locale(void **state)
{
    (void)state;
    static const char *const commas[] = { "de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "fr_FR" };
    for (size_t i = 0; i < MIEN_COUNTOF(commas); i++) {
        if (setlocale(LC_NUMERIC, commas[i]))
            break;
    }
    double v = 0;
    assert_true(mien__parse_f64("0.5", &v) && v == 0.5);
    assert_false(mien__parse_f64("0,5", &v));
    setlocale(LC_NUMERIC, "C");
}

/* FIPS 180-4 examples and the empty string. */
static void sha256_standard_vectors(void **state)
{
    (void)state;
    char hex[65];
    mien__sha256_hex("", 0, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    mien__sha256_hex("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    static const char two[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    mien__sha256_hex(two, sizeof two - 1, hex);
    assert_string_equal(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    char *const million = malloc(1000000);
    memset(million, 'a', 1000000);
    mien__sha256_hex(million, 1000000, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million);
}

/* An independent xoshiro256** from a state of 1, 2, 3, 4 (the authors' test), and the sequence of a seed. */
static void rng_matches_the_published_sequence(void **state)
{
    (void)state;
    mien__rng r = { { 1, 2, 3, 4 } };
    static const uint64_t want[] = { 11520, 0, 1509978240, 1215971899390074240 };
    for (size_t i = 0; i < MIEN_COUNTOF(want); i++)
        assert_true(mien__rng_u64(&r) == want[i]);
    mien__rng_seed(&r, 0); /* splitmix64 from 0 */
    assert_true(r.s[0] == 0xe220a8397b1dcdafu && r.s[1] == 0x6e789e6aa1b965f4u);
    double sum = 0, lo = 1, hi = 0;
    for (int i = 0; i < 100000; i++) {
        const double u = mien__rng_unit(&r);
        sum += u;
        lo = u < lo ? u : lo;
        hi = u > hi ? u : hi;
    }
    assert_true(lo >= 0 && hi < 1);
    assert_true(fabs(sum / 1e5 - 0.5) < 0.005); /* 5 sigma of a uniform mean is 0.0046 */
}

static char last_line[600];

static void keep_line(mien_log_level level, const char *message, void *user)
{
    assert_ptr_equal(user, last_line);
    (void)snprintf(last_line, sizeof last_line, "%d %s", (int)level, message);
}

static void log_goes_to_the_callback_only(void **state)
{
    (void)state;
    mien__log(MIEN_LOG_WARN, "nobody listens %d", 1);
    mien_set_log(keep_line, last_line);
    mien__log(MIEN_LOG_WARN, "layer %d", 7);
    assert_string_equal(last_line, "1 layer 7");
    mien_set_log(NULL, NULL);
    mien__log(MIEN_LOG_WARN, "nobody listens");
    assert_string_equal(last_line, "1 layer 7");
}

/* What mien_cpu_level() says in a process that starts with MIEN_CPU=mask. */
static void level_under(const char *mask, char ret[16])
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        if (mask)
            setenv("MIEN_CPU", mask, 1);
        else
            unsetenv("MIEN_CPU");
        const char *const name = mien_cpu_level();
        _exit(write(ends[1], name, strlen(name) + 1) > 0 ? 0 : 1);
    }
    assert_true(read(ends[0], ret, 16) > 0);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(ends[0]);
    close(ends[1]);
}

static void cpu_mask_caps_and_never_raises(void **state)
{
    (void)state;
    char best[16], got[16];
    level_under(NULL, best);
    level_under("scalar", got);
    assert_string_equal(got, "scalar");
    level_under("nonsense", got);
    assert_string_equal(got, best);
    level_under("avx512", got); /* more than there may be: what there is, at most (scalar on Arm) */
    if (mien__cpu_detected() != MIEN__CPU_NEON)
        assert_string_equal(got, best);
#if defined(__x86_64__)
    level_under("sse2", got);
    assert_string_equal(got, "sse2");
    level_under("neon", got);
    assert_string_equal(got, best);
#endif
    assert_true(mien_cpu_count() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpu_mask_caps_and_never_raises), /* first: the level is cached */
        cmocka_unit_test(status_names_and_texts_are_complete),
        cmocka_unit_test(fail_records_cuts_and_accepts_null),
        cmocka_unit_test(parse_i64_reads_whole_strings_only),
        cmocka_unit_test(parse_f64_odd_input),
        cmocka_unit_test(parse_f64_ignores_the_locale),
        cmocka_unit_test(sha256_standard_vectors),
        cmocka_unit_test(rng_matches_the_published_sequence),
        cmocka_unit_test(log_goes_to_the_callback_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
