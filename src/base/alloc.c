/* Memory: one hook for everything, overflow-checked arrays, arenas, growable buffers.
 *
 * Blocks are 64-byte aligned so that any of them can hold vectors. The hook is read without a lock:
 * it is set before the first object exists (see <mien/base.h>). The allocation counter is what the
 * steady-state test reads.
 */
#include "base/base.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN_BYTES = 64 };

static void *default_alloc(size_t bytes, size_t align, void *user)
{
    (void)user;
    void *ptr = NULL;
    return posix_memalign(&ptr, align, bytes) == 0 ? ptr : NULL;
}

static void default_free(void *ptr, void *user)
{
    (void)user;
    free(ptr);
}

static mien_allocator hook = { default_alloc, default_free, NULL };
static atomic_uint_fast64_t count;

void mien_set_allocator(const mien_allocator *allocator)
{
    static const mien_allocator def = { default_alloc, default_free, NULL };
    hook = allocator ? *allocator : def;
}

uint64_t mien__alloc_count(void)
{
    return atomic_load(&count);
}

bool mien_mul_ok(size_t a, size_t b, size_t *ret)
{
    if (b != 0 && a > SIZE_MAX / b)
        return false;
    *ret = a * b;
    return true;
}

bool mien_add_ok(size_t a, size_t b, size_t *ret)
{
    if (a > SIZE_MAX - b)
        return false;
    *ret = a + b;
    return true;
}

void *mien_alloc(size_t bytes)
{
    atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
    if (bytes > SIZE_MAX / 2)
        return NULL;
    return hook.alloc(bytes ? bytes : 1, ALIGN_BYTES, hook.user);
}

void *mien_alloc_zero(size_t bytes)
{
    void *const ptr = mien_alloc(bytes);
    if (ptr)
        memset(ptr, 0, bytes);
    return ptr;
}

void *mien_alloc_array(size_t n, size_t item_bytes)
{
    size_t bytes = 0;
    return mien_mul_ok(n, item_bytes, &bytes) ? mien_alloc(bytes) : NULL;
}

void *mien_alloc_array_zero(size_t n, size_t item_bytes)
{
    size_t bytes = 0;
    return mien_mul_ok(n, item_bytes, &bytes) ? mien_alloc_zero(bytes) : NULL;
}

void *mien_grow_array(void *old, size_t old_n, size_t new_n, size_t item_bytes)
{
    mien_assert(new_n >= old_n);
    void *const ptr = mien_alloc_array(new_n, item_bytes);
    if (!ptr)
        return NULL;
    if (old_n > 0)
        memcpy(ptr, old, old_n * item_bytes);
    mien_free(old);
    return ptr;
}

void mien_free(void *ptr)
{
    if (ptr)
        hook.free(ptr, hook.user);
}

void mien_free_secret(void *ptr, size_t bytes)
{
    if (!ptr)
        return;
    volatile unsigned char *p = ptr;
    for (size_t i = 0; i < bytes; i++)
        p[i] = 0;
    mien_free(ptr);
}

char *mien_strndup(const char *s, size_t n)
{
    size_t len = 0;
    while (len < n && s[len])
        len++;
    char *const copy = mien_alloc(len + 1);
    if (!copy)
        return NULL;
    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

char *mien_strdup(const char *s)
{
    return mien_strndup(s, strlen(s));
}

/* ---- arena: a list of chunks, each twice the one before up to a cap ---- */

typedef struct chunk {
    struct chunk *next;
    size_t used, capacity;
    _Alignas(16) unsigned char data[];
} chunk;

struct mien__arena {
    chunk *head;
    size_t total_bytes, max_bytes;
};

enum { CHUNK_MIN_BYTES = 16 << 10, CHUNK_MAX_BYTES = 1 << 20 };

mien__arena *mien__arena_new(size_t max_bytes)
{
    mien__arena *const a = mien_alloc_zero(sizeof *a);
    if (a)
        a->max_bytes = max_bytes;
    return a;
}

static bool arena_add_chunk(mien__arena *a, size_t bytes)
{
    size_t capacity = a->head ? a->head->capacity * 2 : CHUNK_MIN_BYTES;
    if (capacity > CHUNK_MAX_BYTES)
        capacity = CHUNK_MAX_BYTES;
    if (capacity < bytes)
        capacity = bytes;
    if (capacity > a->max_bytes - a->total_bytes) {
        capacity = a->max_bytes - a->total_bytes;
        if (capacity < bytes)
            return false;
    }
    size_t total = 0;
    if (!mien_add_ok(capacity, sizeof(chunk), &total))
        return false;
    chunk *const c = mien_alloc(total);
    if (!c)
        return false;
    *c = (chunk){ .next = a->head, .used = 0, .capacity = capacity };
    a->head = c;
    a->total_bytes += capacity;
    return true;
}

void *mien__arena_alloc(mien__arena *a, size_t bytes)
{
    if (bytes > SIZE_MAX - 15)
        return NULL;
    const size_t size = (bytes + 15) & ~(size_t)15;
    if (!a->head || a->head->capacity - a->head->used < size) {
        if (!arena_add_chunk(a, size))
            return NULL;
    }
    void *const ptr = a->head->data + a->head->used;
    a->head->used += size;
    return ptr;
}

void *mien__arena_alloc_array(mien__arena *a, size_t n, size_t item_bytes)
{
    size_t bytes = 0;
    if (!mien_mul_ok(n, item_bytes, &bytes))
        return NULL;
    void *const ptr = mien__arena_alloc(a, bytes);
    if (ptr)
        memset(ptr, 0, bytes);
    return ptr;
}

char *mien__arena_strndup(mien__arena *a, const char *s, size_t n)
{
    if (n > SIZE_MAX - 1)
        return NULL;
    char *const copy = mien__arena_alloc(a, n + 1);
    if (!copy)
        return NULL;
    memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

void mien__arena_free(mien__arena *a)
{
    if (!a)
        return;
    for (chunk *c = a->head; c;) {
        chunk *const next = c->next;
        mien_free(c);
        c = next;
    }
    mien_free(a);
}

/* ---- buf ---- */

void mien__buf_init(mien__buf *b, size_t max_bytes)
{
    *b = (mien__buf){ NULL, 0, 0, max_bytes };
}

mien_status mien__buf_append(mien__buf *b, const void *data, size_t bytes, mien_error *err)
{
    if (bytes > b->max_bytes - b->size)
        return mien__fail(err, MIEN_E_LIMIT, "output would pass its limit of %zu bytes", b->max_bytes);
    const size_t need = b->size + bytes;
    if (need > b->capacity) {
        size_t capacity = b->capacity ? b->capacity : 256;
        while (capacity < need)
            capacity = capacity > b->max_bytes / 2 ? b->max_bytes : capacity * 2;
        uint8_t *const grown = mien_grow_array(b->data, b->size, capacity, 1);
        if (!grown)
            return mien__nomem(err, capacity);
        b->data = grown;
        b->capacity = capacity;
    }
    if (bytes > 0)
        memcpy(b->data + b->size, data, bytes);
    b->size = need;
    return MIEN_OK;
}

void mien__buf_free(mien__buf *b)
{
    mien_free(b->data);
    b->data = NULL;
    b->size = b->capacity = 0;
}
