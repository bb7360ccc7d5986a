/* Writing text for people and programs: a printf without the locale, escaped strings, one check at the end.
 *
 * The writer keeps the first failure and ignores what follows it, so that a page of calls needs one test.
 * Not shared between threads.
 */
#ifndef MIEN_SRC_REPORT_TEXT_H
#define MIEN_SRC_REPORT_TEXT_H

#include "base/base.h"

typedef struct mien__text {
    mien__buf buf;
    mien_status status; /* the first failure */
    mien_error *err;
} mien__text;

/* Begin with an empty buffer that may grow to max_bytes. */
void mien__text_init(mien__text *t, size_t max_bytes, mien_error *err);
/* Hand out what was written (to be freed by mien__buf_free) or release it on failure: `ret` is then
 * untouched. The writer is empty afterwards. */
mien_status mien__text_take(mien__text *t, mien__buf *ret);
void mien__text_free(mien__text *t);

/* Append bytes as they are. */
void mien__text_raw(mien__text *t, const char *s, size_t bytes);
/* Append as printf would in the "C" locale. Understands %s %c %d %zu %llu, %.Nf and %.Ng with N in 0..17,
 * and %%; a width or `-` before s, d and f (columns are counted in bytes). Anything else asserts. */
void mien__text_fmt(mien__text *t, const char *fmt, ...) MIEN_PRINTF(2, 3);
/* Append a string for HTML and XML, within elements and quoted attributes: & < > " ' are escaped; bytes that
 * are not UTF-8 and characters that XML 1.0 does not allow become U+FFFD. */
void mien__text_html(mien__text *t, const char *s);
/* Append a quoted JSON string (RFC 8259); bytes that are not UTF-8 become U+FFFD. */
void mien__text_json(mien__text *t, const char *s);
/* Append a number for JSON: at most `digits` significant digits, null when it is not finite. */
void mien__text_json_f64(mien__text *t, double v, int digits);
/* Append base64 (RFC 4648, section 4). */
void mien__text_base64(mien__text *t, const uint8_t *data, size_t bytes);

#endif
