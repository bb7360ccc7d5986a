/* Version, allocator hook, log callback and CPU level: what is process-wide in mien.
 *
 * Set hooks before the first other call; they are read without locks afterwards.
 */
#ifndef MIEN_BASE_H
#define MIEN_BASE_H

#include <mien/status.h>
#include <stddef.h>

MIEN_BEGIN_DECLS

#define MIEN_VERSION_MAJOR 0
#define MIEN_VERSION_MINOR 1
#define MIEN_VERSION_PATCH 0
#define MIEN_VERSION "0.1.0"

/** Return the library's version, for instance "0.1.0". Static string. */
MIEN_API const char *mien_version(void);

/** Allocator used for everything the library allocates itself.
 *  alloc: `align` is a power of two; return NULL when memory is short, never abort.
 *  free: accepts only what alloc returned, never NULL. */
typedef struct mien_allocator {
    void *(*alloc)(size_t bytes, size_t align, void *user);
    void (*free)(void *ptr, void *user);
    void *user;
} mien_allocator;

/** Replace the allocator; NULL restores the default. Call while no mien object exists. */
MIEN_API void mien_set_allocator(const mien_allocator *allocator);

/** Log levels, most severe first. */
typedef enum mien_log_level { MIEN_LOG_ERROR, MIEN_LOG_WARN, MIEN_LOG_INFO, MIEN_LOG_DEBUG } mien_log_level;

typedef void (*mien_log_fn)(mien_log_level level, const char *message, void *user);

/** Receive the library's log lines (never templates, never image content); NULL turns them off. */
MIEN_API void mien_set_log(mien_log_fn fn, void *user);

/** Name the kernel level in force: "scalar", "sse2", "avx2", "avx512" or "neon".
 *  The best the CPU offers, capped by the environment variable MIEN_CPU. Static string. */
MIEN_API const char *mien_cpu_level(void);

/** Count the processors this process may use, at least 1. */
MIEN_API unsigned mien_cpu_count(void);

MIEN_END_DECLS

#endif
