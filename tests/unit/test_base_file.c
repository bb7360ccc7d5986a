/* Files: mapped, read, written whole or not at all; what is no regular file is refused at once. */
#include "base/base.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static const char *in_dir(const char *name)
{
    static char path[2][256];
    static int turn;
    turn = !turn;
    (void)snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
    return path[turn];
}

static int entries_in_dir(void)
{
    int n = 0;
    DIR *const d = opendir(dir);
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void write_then_map_and_read_gives_the_bytes(void **state)
{
    (void)state;
    uint8_t bytes[70000];
    mien__rng rng;
    mien__rng_seed(&rng, 3);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)mien__rng_u64(&rng);
    static const size_t sizes[] = { 0, 1, 4095, 4096, 4097, sizeof bytes };
    for (size_t i = 0; i < MIEN_COUNTOF(sizes); i++) {
        mien__file_map m = { 0 }, r = { 0 };
        assert_int_equal(mien__file_write_atomic(in_dir("f"), bytes, sizes[i], NULL), MIEN_OK);
        assert_int_equal(mien__file_map_open(&m, in_dir("f"), sizes[i], NULL), MIEN_OK);
        assert_int_equal(mien__file_read(&r, in_dir("f"), sizes[i], NULL), MIEN_OK);
        assert_int_equal(m.size, sizes[i]);
        assert_int_equal(r.size, sizes[i]);
        if (sizes[i] > 0) {
            assert_memory_equal(m.data, bytes, sizes[i]);
            assert_memory_equal(r.data, bytes, sizes[i]);
        }
        mien__file_map_close(&m);
        mien__file_map_close(&r);
        mien__file_map_close(&m);
    }
}

static void open_over_limit_names_both_sizes(void **state)
{
    (void)state;
    mien__file_map m = { 0 };
    mien_error err = MIEN_ERROR_INIT;
    assert_int_equal(mien__file_write_atomic(in_dir("big"), "0123456789", 10, &err), MIEN_OK);
    assert_int_equal(mien__file_map_open(&m, in_dir("big"), 9, &err), MIEN_E_LIMIT);
    assert_non_null(strstr(err.message, "10 bytes"));
    assert_non_null(strstr(err.message, "limit is 9"));
    assert_int_equal(mien__file_read(&m, in_dir("big"), 9, &err), MIEN_E_LIMIT);
    assert_null(m.data);
}

static void open_what_is_no_file_fails_without_hanging(void **state)
{
    (void)state;
    mien__file_map m = { 0 };
    mien_error err = MIEN_ERROR_INIT;
    assert_int_equal(mien__file_map_open(&m, in_dir("absent"), 99, &err), MIEN_E_NOT_FOUND);
    assert_non_null(strstr(err.message, "absent"));
    assert_int_equal(mien__file_map_open(&m, "/etc/passwd/x", 99, &err), MIEN_E_NOT_FOUND);
    assert_int_equal(mien__file_map_open(&m, dir, 99, &err), MIEN_E_IO);
    assert_int_equal(mien__file_map_open(&m, "", 99, &err), MIEN_E_NOT_FOUND);
    assert_int_equal(mien__file_map_open(&m, "/dev/zero", 99, &err), MIEN_E_IO);
    assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
    assert_int_equal(mien__file_read(&m, in_dir("fifo"), 99, &err), MIEN_E_IO); /* no writer: must not wait */
    unlink(in_dir("fifo"));
}

static void write_failing_leaves_old_file_and_nothing_else(void **state)
{
    (void)state;
    mien_error err = MIEN_ERROR_INIT;
    const int before = entries_in_dir();
    assert_int_equal(mien__file_write_atomic(in_dir("no/such/folder"), "x", 1, &err), MIEN_E_IO);
    assert_int_equal(mkdir(in_dir("taken"), 0700), 0);
    assert_int_equal(mien__file_write_atomic(in_dir("taken"), "x", 1, &err),
                     MIEN_E_IO); /* rename onto a folder */
    assert_int_equal(rmdir(in_dir("taken")), 0);
    assert_int_equal(entries_in_dir(), before);
}

static void write_replaces_whole_and_honours_umask(void **state)
{
    (void)state;
    struct stat st;
    const mode_t old = umask(027);
    assert_int_equal(mien__file_write_atomic(in_dir("m"), "long content", 12, NULL), MIEN_OK);
    assert_int_equal(mien__file_write_atomic(in_dir("m"), "short", 5, NULL), MIEN_OK);
    umask(old);
    assert_int_equal(stat(in_dir("m"), &st), 0);
    assert_int_equal(st.st_size, 5);
    assert_int_equal(st.st_mode & 0777, 0640);
}

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/mien-test-file-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write_then_map_and_read_gives_the_bytes),
        cmocka_unit_test(open_over_limit_names_both_sizes),
        cmocka_unit_test(open_what_is_no_file_fails_without_hanging),
        cmocka_unit_test(write_failing_leaves_old_file_and_nothing_else),
        cmocka_unit_test(write_replaces_whole_and_honours_umask),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
