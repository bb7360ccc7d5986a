/* Compiler attributes used by the public headers. The only place where they are spelt out. */
#ifndef MIEN_ATTR_H
#define MIEN_ATTR_H

#if defined(__GNUC__) || defined(__clang__)
#define MIEN_API __attribute__((visibility("default")))
#define MIEN_MUST_USE __attribute__((warn_unused_result))
#define MIEN_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define MIEN_API
#define MIEN_MUST_USE
#define MIEN_PRINTF(fmt, args)
#endif

#ifdef __cplusplus
#define MIEN_BEGIN_DECLS extern "C" {
#define MIEN_END_DECLS }
#else
#define MIEN_BEGIN_DECLS
#define MIEN_END_DECLS
#endif

#endif
