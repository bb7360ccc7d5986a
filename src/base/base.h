/* What every module of the library may use: errors, allocation with overflow checks, arenas, growable
 * buffers, mapped files, the thread pool and CPU flags. Private; public parts are in <mien/base.h>.
 */
#ifndef MIEN_SRC_BASE_H
#define MIEN_SRC_BASE_H

#include <mien/base.h>
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- errors: `return mien__fail(err, MIEN_E_X, "what %d", v);` records and returns the status ---- */
#define mien__fail(err, status, ...) mien__fail_at((err), (status), __FILE__, __LINE__, __VA_ARGS__)
mien_status mien__fail_at(mien_error *err, mien_status status, const char *file, int line, const char *fmt,
                          ...) MIEN_PRINTF(5, 6);
#define mien__nomem(err, bytes) \
    mien__fail((err), MIEN_E_NOMEM, "out of memory asking for %zu bytes", (size_t)(bytes))

#define mien_assert(x) assert(x)
#define MIEN_COUNTOF(a) (sizeof(a) / sizeof((a)[0]))

/* ---- memory: all through the hook; NULL on overflow or shortage ---- */
bool mien_mul_ok(size_t a, size_t b, size_t *ret);
bool mien_add_ok(size_t a, size_t b, size_t *ret);
void *mien_alloc(size_t bytes); /* 64-byte aligned, uninitialised; 0 -> 1 */
void *mien_alloc_zero(size_t bytes);
void *mien_alloc_array(size_t n, size_t item_bytes); /* uninitialised */
void *mien_alloc_array_zero(size_t n, size_t item_bytes);
/* Grow: allocates new, copies old_n items, frees old. On failure returns NULL and old stays. */
void *mien_grow_array(void *old, size_t old_n, size_t new_n, size_t item_bytes);
void mien_free(void *ptr);                      /* accepts NULL */
void mien_free_secret(void *ptr, size_t bytes); /* zeroes first */
char *mien_strdup(const char *s);
char *mien_strndup(const char *s, size_t n);
uint64_t mien__alloc_count(void); /* calls since start, for the steady-state test */

/* ---- arena: many small objects freed at once; 16-byte aligned; bounded by max_bytes ---- */
typedef struct mien__arena mien__arena;
mien__arena *mien__arena_new(size_t max_bytes);
void *mien__arena_alloc(mien__arena *a, size_t bytes); /* NULL when short or over the bound */
void *mien__arena_alloc_array(mien__arena *a, size_t n, size_t item_bytes); /* zeroed */
char *mien__arena_strndup(mien__arena *a, const char *s, size_t n);
void mien__arena_free(mien__arena *a);

/* ---- buf: a growable byte buffer with a maximum ---- */
typedef struct mien__buf {
    uint8_t *data;
    size_t size, capacity, max_bytes;
} mien__buf;
void mien__buf_init(mien__buf *b, size_t max_bytes);
mien_status mien__buf_append(mien__buf *b, const void *data, size_t bytes, mien_error *err);
void mien__buf_free(mien__buf *b);

/* ---- files ---- */
typedef struct mien__file_map {
    const uint8_t *data; /* NULL for an empty file */
    size_t size;
    bool mapped;
} mien__file_map;
/* Map a regular file read-only; E_NOT_FOUND, E_IO (directory, device, unreadable), E_LIMIT. */
mien_status mien__file_map_open(mien__file_map *ret, const char *path, size_t max_bytes, mien_error *err);
/* Read a regular file into memory owned by the map (safe when the file may change underneath). */
mien_status mien__file_read(mien__file_map *ret, const char *path, size_t max_bytes, mien_error *err);
void mien__file_map_close(mien__file_map *m);
/* Write whole or not at all: temporary in the same folder, fsync, rename. */
mien_status mien__file_write_atomic(const char *path, const void *data, size_t bytes, mien_error *err);
/* The same for pieces that lie apart, one after the other. */
typedef struct mien__file_part {
    const void *data;
    size_t bytes;
} mien__file_part;
mien_status mien__file_write_parts(const char *path, const mien__file_part *parts, size_t n, mien_error *err);
/* The same where the pieces come one by one: new, then put and seek, then close with what has become of it:
 * with MIEN_OK the file takes its place (and the result says whether it did), else it is thrown away. */
typedef struct mien__new_file {
    int fd;
    char *tmp;
    const char *path; /* the caller's */
} mien__new_file;
mien_status mien__file_new(mien__new_file *ret, const char *path, mien_error *err);
mien_status mien__file_put(mien__new_file *f, const void *data, size_t bytes, mien_error *err);
mien_status mien__file_seek(mien__new_file *f, uint64_t at, mien_error *err);
mien_status mien__file_close(mien__new_file *f, mien_status status, mien_error *err);
/* Make the names in the folder of `path` survive a power cut. */
mien_status mien__file_sync_folder(const char *path, mien_error *err);

/* ---- thread pool: fixed work split, so results do not depend on the number of threads ---- */
typedef struct mien__pool mien__pool;
typedef void (*mien__pool_fn)(void *ctx, size_t task, unsigned worker);
/* threads = 1 makes no thread; 0 = all processors. The caller is worker 0. */
mien_status mien__pool_new(mien__pool **ret, unsigned threads, mien_error *err);
unsigned mien__pool_threads(const mien__pool *p); /* NULL -> 1 */
/* Run fn for task 0..n-1, each once, on any worker; returns when all are done. p may be NULL. */
void mien__pool_run(mien__pool *p, mien__pool_fn fn, void *ctx, size_t n);
void mien__pool_free(mien__pool *p);

/* ---- CPU ---- */
typedef enum mien__cpu_level {
    MIEN__CPU_SCALAR,
    MIEN__CPU_SSE2,
    MIEN__CPU_AVX2,   /* with FMA and F16C */
    MIEN__CPU_AVX512, /* F, BW, DQ, VL */
    MIEN__CPU_NEON,
} mien__cpu_level;
mien__cpu_level mien__cpu(void);           /* detected, capped by MIEN_CPU; cached */
void mien__cpu_force(mien__cpu_level lvl); /* tests only: lower the level from now on */
mien__cpu_level mien__cpu_detected(void);  /* what the hardware has, uncapped */

/* ---- log, time, random ---- */
void mien__log(mien_log_level level, const char *fmt, ...) MIEN_PRINTF(2, 3);
double mien__now_ms(void); /* monotonic */
/* xoshiro256** (Blackman, Vigna 2018), seeded by splitmix64: the same numbers everywhere. */
typedef struct mien__rng {
    uint64_t s[4];
} mien__rng;
void mien__rng_seed(mien__rng *r, uint64_t seed);
uint64_t mien__rng_u64(mien__rng *r);
double mien__rng_unit(mien__rng *r); /* [0, 1) */

/* ---- text: numbers without the locale ---- */
/* Parse a whole string; false on junk, overflow or an empty string. */
bool mien__parse_f64(const char *s, double *ret);
bool mien__parse_i64(const char *s, int64_t *ret);
/* Length of the valid UTF-8 sequence that a text starts with, 0 when it is none (RFC 3629, section 4). */
size_t mien__utf8_length(const char *text);
bool mien__utf8_ok(const char *text);
float mien__half_to_float(uint16_t h);
uint16_t mien__float_to_half(float f); /* round to nearest even; overflow -> inf */
/* Widen n halves, which lie at any address in the machine's byte order. */
void mien__halves_to_floats(const void *src, size_t n, float *dst);

/* ---- SHA-256 (libsodium) ---- */
void mien__sha256(const void *data, size_t bytes, uint8_t ret_digest[32]);
void mien__sha256_parts(const mien__file_part *parts, size_t n, uint8_t ret_digest[32]);
void mien__sha256_hex(const void *data, size_t bytes, char ret_hex[65]);

#endif
