/* Memory: the hook, overflow checks, alignment, the arena and the growable buffer. */
#include "base/base.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

/* An allocator that counts what is alive and can be told to fail. */
static struct {
    long live, calls;
    long fail_from; /* calls numbered from 1; 0: never */
    bool aligned;
} heap;

static void *counting_alloc(size_t bytes, size_t align, void *user)
{
    assert_ptr_equal(user, &heap);
    heap.calls++;
    if (heap.fail_from && heap.calls >= heap.fail_from)
        return NULL;
    void *ptr = NULL;
    if (posix_memalign(&ptr, align, bytes) != 0)
        return NULL;
    memset(ptr, 0xa5, bytes);
    heap.aligned = heap.aligned && align >= 64 && (uintptr_t)ptr % 64 == 0;
    heap.live++;
    return ptr;
}

static void counting_free(void *ptr, void *user)
{
    assert_ptr_equal(user, &heap);
    assert_non_null(ptr);
    heap.live--;
    free(ptr);
}

static int use_hook(void **state)
{
    (void)state;
    static const mien_allocator hook = { counting_alloc, counting_free, &heap };
    memset(&heap, 0, sizeof heap);
    heap.aligned = true;
    mien_set_allocator(&hook);
    return 0;
}

static int drop_hook(void **state)
{
    (void)state;
    mien_set_allocator(NULL);
    assert_true(heap.aligned);
    assert_int_equal(heap.live, 0);
    return 0;
}

static void mul_and_add_overflow_is_refused(void **state)
{
    (void)state;
    size_t r = 7;
    assert_false(mien_mul_ok(SIZE_MAX, 2, &r));
    assert_false(mien_mul_ok((size_t)1 << 32, (size_t)1 << 32, &r));
    assert_false(mien_add_ok(SIZE_MAX, 1, &r));
    assert_int_equal(r, 7);
    assert_true(mien_mul_ok(SIZE_MAX, 1, &r) && r == SIZE_MAX);
    assert_true(mien_mul_ok(SIZE_MAX, 0, &r) && r == 0);
    assert_true(mien_mul_ok(0, SIZE_MAX, &r) && r == 0);
    assert_true(mien_add_ok(SIZE_MAX - 1, 1, &r) && r == SIZE_MAX);
}

static void alloc_goes_through_hook_and_counts(void **state)
{
    (void)state;
    const uint64_t before = mien__alloc_count();
    void *const a = mien_alloc(0);
    unsigned char *const b = mien_alloc_zero(100);
    assert_non_null(a);
    assert_non_null(b);
    for (int i = 0; i < 100; i++)
        assert_int_equal(b[i], 0);
    char *const s = mien_strdup("face"), *const t = mien_strndup("face", 2), *const u = mien_strndup("x", 9);
    assert_string_equal(s, "face");
    assert_string_equal(t, "fa");
    assert_string_equal(u, "x");
    assert_int_equal(heap.live, 5);
    assert_int_equal(mien__alloc_count() - before, 5);
    mien_free(a);
    mien_free_secret(b, 100);
    mien_free_secret(NULL, 100);
    mien_free(s);
    mien_free(t);
    mien_free(u);
    mien_free(NULL);
}

static void alloc_array_overflow_returns_null(void **state)
{
    (void)state;
    assert_null(mien_alloc_array(SIZE_MAX / 2, 4));
    assert_null(mien_alloc_array_zero(SIZE_MAX, SIZE_MAX));
    assert_null(mien_alloc(SIZE_MAX));
    assert_int_equal(heap.calls, 0);
}

static void grow_array_failing_keeps_old(void **state)
{
    (void)state;
    int *v = mien_alloc_array(3, sizeof *v);
    for (int i = 0; i < 3; i++)
        v[i] = i + 1;
    assert_null(mien_grow_array(v, 3, SIZE_MAX / 2, sizeof *v));
    heap.fail_from = heap.calls + 1;
    assert_null(mien_grow_array(v, 3, 10, sizeof *v));
    assert_int_equal(v[2], 3);
    heap.fail_from = 0;
    v = mien_grow_array(v, 3, 10, sizeof *v);
    assert_non_null(v);
    assert_int_equal(v[0] + v[1] + v[2], 6);
    mien_free(v);
    void *const fresh = mien_grow_array(NULL, 0, 4, 4);
    assert_non_null(fresh);
    mien_free(fresh);
}

static void arena_objects_are_apart_and_bounded(void **state)
{
    (void)state;
    enum { N = 5000, LIMIT = 1 << 20 };
    mien__arena *const a = mien__arena_new(LIMIT);
    unsigned char *p[N];
    size_t bytes = 0, n = 0;
    for (; n < N; n++) {
        const size_t size = n % 613;
        p[n] = mien__arena_alloc(a, size);
        if (!p[n])
            break;
        assert_int_equal((uintptr_t)p[n] % 16, 0);
        memset(p[n], (int)(n & 0xff), size);
        bytes += size;
    }
    assert_true(n > 1000 && n < N); /* the bound came first */
    assert_true(bytes <= LIMIT);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i % 613; k++)
            assert_int_equal(p[i][k], i & 0xff);
    }
    mien__arena_free(a);
    mien__arena_free(NULL);
}

static void arena_arrays_are_zero_and_checked(void **state)
{
    (void)state;
    mien__arena *const a = mien__arena_new((size_t)4 << 20);
    const int *const v = mien__arena_alloc_array(a, 1000, sizeof *v);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(v[i], 0);
    assert_null(mien__arena_alloc_array(a, SIZE_MAX / 4, 8));
    assert_null(mien__arena_alloc(a, SIZE_MAX));
    assert_null(mien__arena_alloc(a, SIZE_MAX - 20));
    assert_null(mien__arena_alloc(a, (size_t)5 << 20));
    assert_non_null(mien__arena_alloc(a, (size_t)2 << 20)); /* larger than any chunk */
    assert_string_equal(mien__arena_strndup(a, "landmark", 4), "land");
    assert_null(mien__arena_strndup(a, "x", SIZE_MAX));
    mien__arena_free(a);
}

static void arena_short_of_memory_stays_usable(void **state)
{
    (void)state;
    heap.fail_from = 1;
    assert_null(mien__arena_new(1 << 20));
    heap.fail_from = 0;
    mien__arena *const a = mien__arena_new(1 << 20);
    assert_non_null(a);
    heap.fail_from = heap.calls + 1;
    assert_null(mien__arena_alloc(a, 10));
    heap.fail_from = 0;
    assert_non_null(mien__arena_alloc(a, 10));
    mien__arena_free(a);
}

static void buf_append_grows_to_its_maximum(void **state)
{
    (void)state;
    mien__buf b;
    mien__buf_init(&b, 1000);
    mien_error err = MIEN_ERROR_INIT;
    for (int i = 0; i < 100; i++)
        assert_int_equal(mien__buf_append(&b, "0123456789", 10, &err), MIEN_OK);
    assert_int_equal(b.size, 1000);
    assert_int_equal(mien__buf_append(&b, "x", 1, &err), MIEN_E_LIMIT);
    assert_int_equal(mien__buf_append(&b, NULL, 0, &err), MIEN_OK);
    assert_memory_equal(b.data + 990, "0123456789", 10);
    mien__buf_free(&b);
    mien__buf_free(&b);
    assert_int_equal(b.size, 0);
}

static void buf_append_short_of_memory_keeps_content(void **state)
{
    (void)state;
    mien__buf b;
    mien__buf_init(&b, 1 << 20);
    assert_int_equal(mien__buf_append(&b, "abc", 3, NULL), MIEN_OK);
    static const char big[4096];
    heap.fail_from = heap.calls + 1;
    mien_error err = MIEN_ERROR_INIT;
    assert_int_equal(mien__buf_append(&b, big, sizeof big, &err), MIEN_E_NOMEM);
    assert_int_equal(err.status, MIEN_E_NOMEM);
    assert_int_equal(b.size, 3);
    assert_memory_equal(b.data, "abc", 3);
    mien__buf_free(&b);
}

#define HOOKED(f) cmocka_unit_test_setup_teardown(f, use_hook, drop_hook)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOOKED(mul_and_add_overflow_is_refused),          HOOKED(alloc_goes_through_hook_and_counts),
        HOOKED(alloc_array_overflow_returns_null),        HOOKED(grow_array_failing_keeps_old),
        HOOKED(arena_objects_are_apart_and_bounded),      HOOKED(arena_arrays_are_zero_and_checked),
        HOOKED(arena_short_of_memory_stays_usable),       HOOKED(buf_append_grows_to_its_maximum),
        HOOKED(buf_append_short_of_memory_keeps_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
