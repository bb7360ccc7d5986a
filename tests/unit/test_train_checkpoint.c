/* Checkpoints: what was written comes back, anything damaged or of another run changes nothing, and a write
 * that fails leaves the old file.
 */
#include "base/base.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "train/checkpoint.h"

static char dir[64], path[128];

/* Three items, one of them empty. */
typedef struct run_state {
    uint64_t steps;
    float w[13];
    mien__ckpt_item items[3];
} run_state;

static void state_open(run_state *s, uint64_t seed)
{
    memset(s, 0, sizeof *s);
    s->steps = seed;
    for (int i = 0; i < 13; i++)
        s->w[i] = (float)seed + (float)i;
    s->items[0] = (mien__ckpt_item){ "steps", &s->steps, sizeof s->steps };
    s->items[1] = (mien__ckpt_item){ "nothing", NULL, 0 };
    s->items[2] = (mien__ckpt_item){ "w", s->w, sizeof s->w };
}

static mien__file_map load(void)
{
    mien__file_map m = { 0 };
    assert_int_equal(mien__file_read(&m, path, 1 << 20, NULL), MIEN_OK);
    return m;
}

/* Reading fails with one of the two codes, says something, and touches nothing. */
static mien_status refused(const uint8_t *data, size_t size)
{
    run_state s, keep;
    mien_error err = MIEN_ERROR_INIT;
    state_open(&s, 99);
    memcpy(&keep, &s, sizeof s);
    uint8_t *const copy = malloc(size ? size : 1); /* its exact size, for the sanitizer */
    assert_non_null(copy);
    if (size)
        memcpy(copy, data, size);
    const mien_status st = mien__ckpt_parse(copy, size, "file", s.items, 3, &err);
    assert_true(st == MIEN_E_DIGEST || st == MIEN_E_MODEL_CORRUPT);
    assert_true(err.message[0]);
    assert_memory_equal(&keep.steps, &s.steps, sizeof s.steps);
    assert_memory_equal(keep.w, s.w, sizeof s.w);
    free(copy);
    return st;
}

static void write_then_read_gives_the_bytes(void **state)
{
    (void)state;
    run_state s, t;
    state_open(&s, 7);
    state_open(&t, 1);
    assert_int_equal(mien__ckpt_write(path, s.items, 3, NULL), MIEN_OK);
    assert_int_equal(mien__ckpt_read(path, t.items, 3, NULL), MIEN_OK);
    assert_int_equal(t.steps, 7);
    assert_memory_equal(t.w, s.w, sizeof s.w);
    assert_int_equal(mien__ckpt_write(path, NULL, 0, NULL), MIEN_OK);
    assert_int_equal(mien__ckpt_read(path, NULL, 0, NULL), MIEN_OK);
}

static void write_large_items_round_trips(void **state)
{
    (void)state;
    enum { BYTES = 5 << 20 };
    uint8_t *const a = malloc(BYTES), *const b = calloc(1, BYTES);
    mien__rng r;
    assert_true(a && b);
    mien__rng_seed(&r, 1);
    for (size_t i = 0; i < BYTES; i++)
        a[i] = (uint8_t)mien__rng_u64(&r);
    const mien__ckpt_item from[2] = { { "x", a, 3 }, { "y", a + 3, BYTES - 3 } };
    const mien__ckpt_item to[2] = { { "x", b, 3 }, { "y", b + 3, BYTES - 3 } };
    assert_int_equal(mien__ckpt_write(path, from, 2, NULL), MIEN_OK);
    assert_int_equal(mien__ckpt_read(path, to, 2, NULL), MIEN_OK);
    assert_memory_equal(a, b, BYTES);
    free(a);
    free(b);
}

static void read_truncated_anywhere_is_refused(void **state)
{
    (void)state;
    run_state s;
    state_open(&s, 7);
    assert_int_equal(mien__ckpt_write(path, s.items, 3, NULL), MIEN_OK);
    mien__file_map m = load();
    for (size_t n = 0; n < m.size; n++) {
        assert_int_equal(refused(m.data, n), MIEN_E_MODEL_CORRUPT);
        assert_int_equal(mien__file_write_atomic(path, m.data, n, NULL), MIEN_OK);
        if (n % 16 == 0)
            assert_int_equal(mien__ckpt_read(path, s.items, 3, NULL), MIEN_E_MODEL_CORRUPT);
    }
    mien__file_map_close(&m);
}

static void read_flipped_byte_is_refused(void **state)
{
    (void)state;
    run_state s;
    state_open(&s, 7);
    assert_int_equal(mien__ckpt_write(path, s.items, 3, NULL), MIEN_OK);
    mien__file_map m = load();
    uint8_t *const data = malloc(m.size);
    assert_non_null(data);
    memcpy(data, m.data, m.size);
    for (size_t i = 0; i < m.size; i++) {
        data[i] ^= (uint8_t)(1u << (i % 8));
        const bool frame = i < 12 || (i >= 16 && i < MIEN__CKPT_HEADER);
        assert_int_equal(refused(data, m.size), frame ? MIEN_E_MODEL_CORRUPT : MIEN_E_DIGEST);
        data[i] ^= (uint8_t)(1u << (i % 8));
    }
    free(data);
    mien__file_map_close(&m);
}

/* Bytes changed by someone who knows the format: the digest is good again. */
static void read_hostile_table_is_refused(void **state)
{
    (void)state;
    run_state s;
    state_open(&s, 7);
    assert_int_equal(mien__ckpt_write(path, s.items, 3, NULL), MIEN_OK);
    mien__file_map m = load();
    uint8_t *const data = malloc(m.size);
    assert_non_null(data);
    for (size_t i = 0; i < MIEN__CKPT_HEADER + 3 * MIEN__CKPT_ROW; i++) {
        memcpy(data, m.data, m.size);
        data[i] ^= 0x81;
        mien__sha256(data, m.size - MIEN__CKPT_TRAILER, data + m.size - MIEN__CKPT_TRAILER);
        const size_t in_row = i < MIEN__CKPT_HEADER ? 0 : (i - MIEN__CKPT_HEADER) % MIEN__CKPT_ROW;
        const size_t row = i < MIEN__CKPT_HEADER ? 0 : (i - MIEN__CKPT_HEADER) / MIEN__CKPT_ROW;
        if (i >= MIEN__CKPT_HEADER && in_row < MIEN__CKPT_NAME && in_row > strlen(s.items[row].name))
            continue; /* past the end of a name: not looked at */
        assert_int_equal(refused(data, m.size), MIEN_E_MODEL_CORRUPT);
    }
    free(data);
    mien__file_map_close(&m);
}

/* The right table over too few or too many bytes, with a length and a digest that say so. */
static void read_table_over_other_length_is_refused(void **state)
{
    (void)state;
    run_state s;
    state_open(&s, 7);
    assert_int_equal(mien__ckpt_write(path, s.items, 3, NULL), MIEN_OK);
    mien__file_map m = load();
    uint8_t *const data = calloc(1, m.size + 64);
    assert_non_null(data);
    for (size_t size = MIEN__CKPT_HEADER + MIEN__CKPT_TRAILER; size < m.size + 64; size++) {
        const size_t body = size - MIEN__CKPT_TRAILER;
        if (size == m.size)
            continue;
        memcpy(data, m.data, body < m.size ? body : m.size);
        for (int i = 0; i < 8; i++)
            data[16 + i] = (uint8_t)((uint64_t)size >> (8 * i));
        mien__sha256(data, body, data + body);
        assert_int_equal(refused(data, size), MIEN_E_MODEL_CORRUPT);
    }
    free(data);
    mien__file_map_close(&m);
}

static void read_of_another_run_names_the_item(void **state)
{
    (void)state;
    run_state s, t;
    float more[14] = { 0 };
    mien_error err = MIEN_ERROR_INIT;
    state_open(&s, 7);
    state_open(&t, 1);
    assert_int_equal(mien__ckpt_write(path, s.items, 3, NULL), MIEN_OK);
    assert_int_equal(mien__ckpt_read(path, t.items, 2, &err), MIEN_E_MODEL_CORRUPT);
    t.items[2] = (mien__ckpt_item){ "w", more, sizeof more };
    assert_int_equal(mien__ckpt_read(path, t.items, 3, &err), MIEN_E_MODEL_CORRUPT);
    assert_non_null(strstr(err.message, "w has 52 bytes, not 56"));
    t.items[2] = (mien__ckpt_item){ "w2", t.w, sizeof t.w };
    assert_int_equal(mien__ckpt_read(path, t.items, 3, &err), MIEN_E_MODEL_CORRUPT);
    assert_non_null(strstr(err.message, "item 2 is not w2"));
    assert_int_equal(t.steps, 1);
    assert_int_equal(mien__ckpt_read("/nonexistent/x", t.items, 3, &err), MIEN_E_NOT_FOUND);
    assert_int_equal(mien__ckpt_read(dir, t.items, 3, &err), MIEN_E_IO);
}

static void write_refuses_names_without_end_and_endless_items(void **state)
{
    (void)state;
    run_state s;
    state_open(&s, 7);
    memset(s.items[1].name, 'x', sizeof s.items[1].name);
    assert_int_equal(mien__ckpt_write(path, s.items, 3, NULL), MIEN_E_ARG);
    state_open(&s, 7);
    s.items[1].bytes = SIZE_MAX;
    assert_int_equal(mien__ckpt_write(path, s.items, 3, NULL), MIEN_E_ARG);
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

/* No room at every length: the limit on a file's size stands in for a full disk. */
static void write_without_room_leaves_the_old_file(void **state)
{
    (void)state;
    run_state old, next, t;
    struct rlimit before, limit;
    mien_error err = MIEN_ERROR_INIT;
    state_open(&old, 7);
    state_open(&next, 8);
    assert_int_equal(mien__ckpt_write(path, old.items, 3, NULL), MIEN_OK);
    mien__file_map m = load();
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    for (size_t room = 0; room < m.size; room += 5) {
        limit = before;
        limit.rlim_cur = room;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        const mien_status st = mien__ckpt_write(path, next.items, 3, &err);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(st, MIEN_E_IO);
        assert_int_equal(entries_in_dir(), 1);
        state_open(&t, 1);
        assert_int_equal(mien__ckpt_read(path, t.items, 3, NULL), MIEN_OK);
        assert_int_equal(t.steps, 7);
    }
    signal(SIGXFSZ, SIG_DFL);
    assert_non_null(strstr(err.message, path));
    mien__file_map_close(&m);
}

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/mien-test-ckpt-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    (void)snprintf(path, sizeof path, "%s/run.ckpt", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir); /* fails when a temporary file was left */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write_then_read_gives_the_bytes),
        cmocka_unit_test(write_large_items_round_trips),
        cmocka_unit_test(read_truncated_anywhere_is_refused),
        cmocka_unit_test(read_flipped_byte_is_refused),
        cmocka_unit_test(read_hostile_table_is_refused),
        cmocka_unit_test(read_table_over_other_length_is_refused),
        cmocka_unit_test(read_of_another_run_names_the_item),
        cmocka_unit_test(write_refuses_names_without_end_and_endless_items),
        cmocka_unit_test(write_without_room_leaves_the_old_file),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
