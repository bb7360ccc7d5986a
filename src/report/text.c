/* The text writer; see text.h.
 *
 * Numbers: snprintf gives digits, sign, `e` and the locale's decimal point; whatever is none of the first
 * three is the point, so it becomes '.'. No flag that groups digits is ever used.
 */
#include "report/text.h"
#include <math.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { NUMBER_BYTES = 400, MAX_WIDTH = 200 };

void mien__text_init(mien__text *t, size_t max_bytes, mien_error *err)
{
    *t = (mien__text){ .err = err };
    mien__buf_init(&t->buf, max_bytes);
}

void mien__text_free(mien__text *t)
{
    mien__buf_free(&t->buf);
}

mien_status mien__text_take(mien__text *t, mien__buf *ret)
{
    const mien_status st = t->status;
    if (st)
        mien__buf_free(&t->buf);
    else
        *ret = t->buf;
    mien__buf_init(&t->buf, 0);
    return st;
}

void mien__text_raw(mien__text *t, const char *s, size_t bytes)
{
    if (!t->status && bytes > 0)
        t->status = mien__buf_append(&t->buf, s, bytes, t->err);
}

static void put(mien__text *t, const char *s)
{
    mien__text_raw(t, s, strlen(s));
}

/* `kind` is 'f' or 'g'. */
static void number(char *ret, double v, char kind, int digits)
{
    const int n = snprintf(ret, NUMBER_BYTES, kind == 'f' ? "%.*f" : "%.*g", digits, v);
    mien_assert(n > 0 && n < NUMBER_BYTES);
    if (!isfinite(v))
        return;
    char *to = ret;
    bool point = false;
    for (int i = 0; i < n; i++) {
        const char c = ret[i];
        const bool plain = (c >= '0' && c <= '9') || c == '-' || c == '+' || c == 'e';
        if (plain || !point)
            *to++ = plain ? c : '.';
        point = !plain;
    }
    *to = '\0';
}

typedef struct directive {
    bool left;
    int width, digits;
    char kind; /* s c d u f g; u stands for size_t and L for unsigned long long */
} directive;

/* Read what follows '%' and return the first character behind it. */
static const char *read_directive(const char *p, directive *d)
{
    *d = (directive){ .digits = 6 };
    if (*p == '-') {
        d->left = true;
        p++;
    }
    for (; *p >= '0' && *p <= '9'; p++)
        d->width = d->width * 10 + (*p - '0');
    if (*p == '.') {
        d->digits = 0;
        for (p++; *p >= '0' && *p <= '9'; p++)
            d->digits = d->digits * 10 + (*p - '0');
    }
    if (strncmp(p, "zu", 2) == 0) {
        d->kind = 'u';
        p += 2;
    } else if (strncmp(p, "llu", 3) == 0) {
        d->kind = 'L';
        p += 3;
    } else {
        d->kind = *p++;
    }
    mien_assert(d->width <= MAX_WIDTH && d->digits <= 17);
    return p;
}

static void padded(mien__text *t, const char *s, const directive *d)
{
    const size_t len = strlen(s), width = (size_t)d->width;
    const size_t pad = width > len ? width - len : 0;
    if (d->left)
        put(t, s);
    for (size_t i = 0; i < pad; i++)
        mien__text_raw(t, " ", 1);
    if (!d->left)
        put(t, s);
}

void mien__text_fmt(mien__text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    for (const char *p = fmt; *p;) {
        const size_t plain = strcspn(p, "%");
        mien__text_raw(t, p, plain);
        p += plain;
        if (!*p)
            break;
        directive d;
        p = read_directive(p + 1, &d);
        char text[NUMBER_BYTES] = "%";
        const char *s = text;
        if (d.kind == 's')
            s = va_arg(ap, const char *);
        else if (d.kind == 'c')
            text[0] = (char)va_arg(ap, int);
        else if (d.kind == 'd')
            snprintf(text, sizeof text, "%d", va_arg(ap, int));
        else if (d.kind == 'u')
            snprintf(text, sizeof text, "%zu", va_arg(ap, size_t));
        else if (d.kind == 'L')
            snprintf(text, sizeof text, "%llu", va_arg(ap, unsigned long long));
        else if (d.kind == 'f' || d.kind == 'g')
            number(text, va_arg(ap, double), d.kind, d.digits);
        else
            mien_assert(d.kind == '%');
        padded(t, s, &d);
    }
    va_end(ap);
}

static const char replacement[] = "\xef\xbf\xbd";

void mien__text_html(mien__text *t, const char *text)
{
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        const size_t len = mien__utf8_length((const char *)s);
        const bool nonchar = len == 3 && s[0] == 0xef && s[1] == 0xbf && s[2] >= 0xbe; /* U+FFFE, U+FFFF */
        const bool control = s[0] < 0x20 && s[0] != '\t' && s[0] != '\n' && s[0] != '\r';
        const char *const escaped = s[0] == '&'    ? "&amp;"
                                    : s[0] == '<'  ? "&lt;"
                                    : s[0] == '>'  ? "&gt;"
                                    : s[0] == '"'  ? "&quot;"
                                    : s[0] == '\'' ? "&#39;"
                                                   : NULL;
        if (!len || nonchar || control)
            put(t, replacement);
        else if (escaped)
            put(t, escaped);
        else
            mien__text_raw(t, (const char *)s, len);
        s += len ? len : 1;
    }
}

void mien__text_json(mien__text *t, const char *text)
{
    put(t, "\"");
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        const size_t len = mien__utf8_length((const char *)s);
        char escaped[8];
        if (!len) {
            put(t, replacement);
        } else if (s[0] == '"' || s[0] == '\\') {
            const char pair[] = { '\\', (char)s[0], '\0' };
            put(t, pair);
        } else if (s[0] < 0x20) {
            snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)s[0]);
            put(t, escaped);
        } else {
            mien__text_raw(t, (const char *)s, len);
        }
        s += len ? len : 1;
    }
    put(t, "\"");
}

void mien__text_json_f64(mien__text *t, double v, int digits)
{
    char text[NUMBER_BYTES] = "null";
    if (isfinite(v))
        number(text, v, 'g', digits);
    put(t, text);
}

void mien__text_base64(mien__text *t, const uint8_t *data, size_t bytes)
{
    enum { CHUNK = 3 * 256 };
    char text[sodium_base64_ENCODED_LEN(CHUNK, sodium_base64_VARIANT_ORIGINAL)];
    for (size_t at = 0; at < bytes; at += CHUNK) {
        const size_t n = bytes - at < CHUNK ? bytes - at : CHUNK;
        sodium_bin2base64(text, sizeof text, data + at, n, sodium_base64_VARIANT_ORIGINAL);
        put(t, text);
    }
}
