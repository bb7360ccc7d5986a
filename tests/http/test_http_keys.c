/* Keys, sessions and remembered answers of the server. */
#include "keys.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

static char path[64];
static time_t jump_s; /* what the wall clock is wrong by */

/* The program's own clock_gettime() takes the C library's place: a wall clock that tests put back and forth.
 */
int clock_gettime(clockid_t clock, struct timespec *ret)
{
    const int rc = (int)syscall(SYS_clock_gettime, clock, ret);
    if (clock == CLOCK_REALTIME)
        ret->tv_sec += jump_s;
    return rc;
}

static keys *opened(void)
{
    char fault[256];
    keys *k = keys_open(path, fault, sizeof fault);
    if (!k)
        fail_msg("%s", fault);
    return k;
}

static int fresh(void **state)
{
    (void)state;
    jump_s = 0;
    snprintf(path, sizeof path, "/tmp/mien-keys-%d.db", (int)getpid());
    unlink(path);
    return 0;
}

static int gone(void **state)
{
    char other[80];
    (void)state;
    unlink(path);
    snprintf(other, sizeof other, "%s-wal", path);
    unlink(other);
    snprintf(other, sizeof other, "%s-shm", path);
    unlink(other);
    return 0;
}

static bool file_holds(const char *name, const char *text)
{
    FILE *f = fopen(name, "rb");
    static char all[1 << 20];
    const size_t n = f ? fread(all, 1, sizeof all, f) : 0;
    if (f)
        fclose(f);
    return n && memmem(all, n, text, strlen(text));
}

static void key_is_found_by_its_token_alone(void **state)
{
    char token[KEY_TOKEN_BYTES], other[KEY_TOKEN_BYTES], wal[80];
    const key_info what = { .name = "camera '); DROP TABLE key;--",
                            .collection = "staff",
                            .scopes = KEY_RECOGNISE };
    key_info got;
    int64_t id = 0, second = 0;
    struct stat st;
    (void)state;
    keys *k = opened();
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(keys_make(k, &what, token, &id));
    assert_true(keys_make(k, &what, other, &second));
    assert_string_not_equal(token, other);
    assert_true(keys_check(k, token, &got));
    assert_int_equal(got.id, id);
    assert_string_equal(got.name, what.name);
    assert_true(key_allows(&got, KEY_RECOGNISE, "staff"));
    assert_false(key_allows(&got, KEY_RECOGNISE, "guests"));
    assert_false(key_allows(&got, KEY_ENROL, "staff"));
    /* every single changed character is noticed */
    for (size_t i = 0; token[i]; i++) {
        const char kept = token[i];
        token[i] = kept == 'A' ? 'B' : 'A';
        assert_false(keys_check(k, token, &got));
        token[i] = kept;
    }
    assert_false(keys_check(k, "", &got));
    assert_false(keys_check(k, "mien_1_", &got));
    /* the secret is nowhere in the files */
    snprintf(wal, sizeof wal, "%s-wal", path);
    assert_false(file_holds(path, strchr(token + 5, '_') + 1));
    assert_false(file_holds(wal, strchr(token + 5, '_') + 1));
    keys_close(k);
    k = opened();
    assert_true(keys_check(k, token, &got));
    assert_true(keys_revoke(k, id));
    assert_false(keys_check(k, token, &got));
    assert_true(keys_check(k, other, &got));
    keys_close(k);
}

static void key_expires_and_adopted_tokens_work(void **state)
{
    char token[KEY_TOKEN_BYTES];
    key_info what = { .name = "old", .scopes = KEY_ADMIN, .expires_ms = keys_now_ms() - 1 }, got;
    int64_t id = 0;
    (void)state;
    keys *k = opened();
    assert_true(keys_make(k, &what, token, &id));
    assert_false(keys_check(k, token, &got));
    what.expires_ms = 0;
    assert_false(keys_adopt(k, &what, "short", &id));
    assert_true(keys_adopt(k, &what, "00000000-0000-0000-0000-000000000002", &id));
    assert_true(keys_check(k, "00000000-0000-0000-0000-000000000002", &got));
    assert_false(keys_check(k, "00000000-0000-0000-0000-000000000003", &got));
    assert_int_equal(keys_count(k, KEY_ADMIN), 2);
    keys_close(k);
}

static void session_stands_for_its_key_until_either_ends(void **state)
{
    char token[KEY_TOKEN_BYTES], cookie[KEY_TOKEN_BYTES], csrf[44];
    const key_info what = { .name = "me", .scopes = KEY_ALL };
    key_info got;
    int64_t id = 0;
    (void)state;
    keys *k = opened();
    assert_true(keys_make(k, &what, token, &id));
    assert_true(session_make(k, id, 60000, cookie, csrf));
    assert_true(session_check(k, cookie, &got));
    assert_string_equal(got.csrf, csrf);
    assert_false(session_check(k, token, &got));
    assert_true(session_end(k, cookie));
    assert_false(session_check(k, cookie, &got));
    assert_true(session_make(k, id, -1, cookie, csrf));
    assert_false(session_check(k, cookie, &got));
    assert_true(session_make(k, id, 60000, cookie, csrf));
    assert_true(keys_revoke(k, id));
    assert_false(session_check(k, cookie, &got));
    keys_close(k);
}

static void repeated_write_gets_the_first_answer(void **state)
{
    uint8_t a[32] = { 1 }, b[32] = { 2 };
    char *body = NULL;
    int status = 0;
    (void)state;
    keys *k = opened();
    assert_int_equal(once_begin(k, 1, "x", a, &status, &body), ONCE_NEW);
    assert_int_equal(once_begin(k, 1, "x", a, &status, &body), ONCE_RUNNING);
    once_end(k, 1, "x", 201, "{}x", 2);
    assert_int_equal(once_begin(k, 1, "x", a, &status, &body), ONCE_DONE);
    assert_int_equal(status, 201);
    assert_string_equal(body, "{}");
    free(body);
    assert_int_equal(once_begin(k, 1, "x", b, &status, &body), ONCE_OTHER);
    assert_int_equal(once_begin(k, 2, "x", b, &status, &body), ONCE_NEW);
    once_end(k, 2, "x", 0, NULL, 0);
    assert_int_equal(once_begin(k, 2, "x", b, &status, &body), ONCE_NEW);
    keys_close(k); /* cut off while running: forgotten at the next start */
    k = opened();
    assert_int_equal(once_begin(k, 2, "x", a, &status, &body), ONCE_NEW);
    keys_close(k);
}

enum { HOUR_S = 3600, YEAR_S = 31536000 };

static void clock_jumps_revive_no_key(void **state)
{
    char token[KEY_TOKEN_BYTES];
    const key_info what = { .name = "brief", .scopes = KEY_READ, .expires_ms = keys_now_ms() + 100 };
    key_info got;
    int64_t id = 0;
    (void)state;
    keys *k = opened();
    assert_true(keys_make(k, &what, token, &id));
    assert_true(keys_check(k, token, &got));
    jump_s = YEAR_S;
    assert_false(keys_check(k, token, &got));
    jump_s = 0; /* put right: it is a date, and it has not come yet */
    assert_true(keys_check(k, token, &got));
    usleep(150000);
    assert_false(keys_check(k, token, &got));
    jump_s = -HOUR_S;
    assert_false(keys_check(k, token, &got));
    keys_close(k);
}

static void clock_jumps_leave_sessions_as_long_as_they_were(void **state)
{
    char token[KEY_TOKEN_BYTES], cookie[KEY_TOKEN_BYTES], brief[KEY_TOKEN_BYTES], csrf[44];
    const key_info what = { .name = "me", .scopes = KEY_ALL };
    key_info got;
    int64_t id = 0;
    (void)state;
    keys *k = opened();
    assert_true(keys_make(k, &what, token, &id));
    assert_true(session_make(k, id, 60000, cookie, csrf));
    assert_true(session_make(k, id, 100, brief, csrf));
    jump_s = YEAR_S;
    assert_true(session_check(k, cookie, &got));
    assert_true(session_check(k, brief, &got));
    usleep(150000);
    jump_s = -HOUR_S;
    assert_true(session_check(k, cookie, &got));
    assert_false(session_check(k, brief, &got));
    keys_close(k);
}

static void clock_jumps_forget_no_answer(void **state)
{
    const uint8_t a[32] = { 1 };
    char *body = NULL;
    int status = 0;
    (void)state;
    keys *k = opened();
    assert_int_equal(once_begin(k, 1, "x", a, &status, &body), ONCE_NEW);
    jump_s = YEAR_S;
    assert_int_equal(once_begin(k, 1, "x", a, &status, &body), ONCE_RUNNING);
    once_end(k, 1, "x", 201, "{}", 2);
    for (int i = 0; i < 2; i++, jump_s = -HOUR_S) {
        assert_int_equal(once_begin(k, 1, "x", a, &status, &body), ONCE_DONE);
        assert_string_equal(body, "{}");
        free(body);
    }
    keys_close(k);
}

static void scopes_are_words(void **state)
{
    char text[64];
    (void)state;
    assert_int_equal(key_scopes_of("read,enrol"), KEY_READ | KEY_ENROL);
    assert_int_equal(key_scopes_of("read,root"), 0);
    assert_int_equal(key_scopes_of(""), 0);
    key_scopes_text(KEY_ALL, text, sizeof text);
    assert_string_equal(text, "read,recognise,enrol,admin");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(key_is_found_by_its_token_alone, fresh, gone),
        cmocka_unit_test_setup_teardown(key_expires_and_adopted_tokens_work, fresh, gone),
        cmocka_unit_test_setup_teardown(session_stands_for_its_key_until_either_ends, fresh, gone),
        cmocka_unit_test_setup_teardown(repeated_write_gets_the_first_answer, fresh, gone),
        cmocka_unit_test_setup_teardown(clock_jumps_revive_no_key, fresh, gone),
        cmocka_unit_test_setup_teardown(clock_jumps_leave_sessions_as_long_as_they_were, fresh, gone),
        cmocka_unit_test_setup_teardown(clock_jumps_forget_no_answer, fresh, gone),
        cmocka_unit_test(scopes_are_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
