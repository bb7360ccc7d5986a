/* The audit of a request's head, beyond what libmicrohttpd checks itself: whatever two parsers could read
 * differently is refused (RFC 9112 sections 2.2, 3.2, 5, 6.1 to 6.3, 11.2). The library has split the head
 * into lines and values; this looks at what it made of them:
 *
 *   version      HTTP/1.1, or 1.0 without Transfer-Encoding
 *   method       of the list
 *   Host         exactly one with 1.1, at most one with 1.0
 *   lengths      at most one Content-Length, digits only, and not beside a Transfer-Encoding, which must be
 * exactly "chunked", once names        tokens (RFC 9110 section 5.6.2), so that no blank stands before the
 * colon values       no control characters but tab, no NUL target       origin form: begins with '/', no
 * blanks or controls, percent escapes complete, decoded UTF-8 without controls, no empty and no dot segments
 */
#include "http_parts.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- head ---- */

typedef struct audit {
    unsigned n, hosts, lengths, encodings, max;
    const char *fault;
} audit;

static bool is_token(const char *s, size_t n)
{
    static const char extra[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)s[i];
        const bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!alnum && (c == 0 || !strchr(extra, c)))
            return false;
    }
    return n > 0;
}

static bool is_value(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)s[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static bool is_digits(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] < '0' || s[i] > '9')
            return false;
    return n > 0 && n <= 18;
}

static bool is_name(const char *key, size_t n, const char *name)
{
    return n == strlen(name) && !strncasecmp(key, name, n);
}

static enum MHD_Result look(void *ctx, enum MHD_ValueKind kind, const char *key, size_t key_n,
                            const char *value, size_t value_n)
{
    audit *a = ctx;
    (void)kind;
    if (++a->n > a->max)
        a->fault = "too many headers";
    else if (!key || !is_token(key, key_n))
        a->fault = "a header's name is malformed";
    else if (value && !is_value(value, value_n))
        a->fault = "a header's value holds control characters";
    else if (is_name(key, key_n, "Host"))
        a->hosts++;
    else if (is_name(key, key_n, "Content-Length")) {
        a->lengths++;
        if (!value || !is_digits(value, value_n))
            a->fault = "Content-Length is not a number";
    } else if (is_name(key, key_n, "Transfer-Encoding")) {
        a->encodings++;
        if (!value || value_n != 7 || strncasecmp(value, "chunked", 7) != 0)
            a->fault = "Transfer-Encoding is not 'chunked'";
    }
    return a->fault ? MHD_NO : MHD_YES;
}

static int find_method(const char *method)
{
    for (int i = 0; i < HTTP_METHODS; i++)
        if (!strcmp(method, http_method_name((http_method)i)))
            return i;
    return -1;
}

int http_audit(http_request *r, const char *method, const char *version, unsigned max_headers,
               const char **ret_what)
{
    audit a = { .max = max_headers };
    const int m = find_method(method);
    const bool is_11 = !strcmp(version, "HTTP/1.1");
    if (!is_11 && strcmp(version, "HTTP/1.0") != 0) {
        *ret_what = "only HTTP/1.1 and 1.0 are spoken here";
        return 505;
    }
    if (m < 0) {
        *ret_what = "unknown method";
        return 501;
    }
    r->method = (http_method)m;
    MHD_get_connection_values_n(r->mhd, MHD_HEADER_KIND, look, &a);
    if (!a.fault && (a.hosts > 1 || (is_11 && a.hosts == 0)))
        a.fault = a.hosts ? "more than one Host" : "no Host";
    if (!a.fault && (a.lengths > 1 || a.encodings > 1 || (a.lengths && a.encodings)))
        a.fault = "the body's length is said twice";
    if (!a.fault && a.encodings && !is_11)
        a.fault = "Transfer-Encoding with HTTP/1.0";
    if (!a.fault && !http_target_parse(r))
        a.fault = "the target is malformed";
    *ret_what = a.fault;
    if (!a.fault)
        return 0;
    return a.n > a.max ? 431 : 400;
}

/* ---- target ---- */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Decode [s, end) to out with a closing NUL; NULL when malformed, else behind the NUL. */
static char *decode(const char *s, const char *end, bool plus, char *out)
{
    for (; s < end; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '%') {
            const int high = end - s > 2 ? hex(s[1]) : -1, low = high >= 0 ? hex(s[2]) : -1;
            if (low < 0)
                return NULL;
            c = (unsigned char)(high * 16 + low);
            s += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        } else if (c <= 0x20 || c >= 0x7f || c == '#') {
            return NULL;
        }
        if (c < 0x20 || c == 0x7f)
            return NULL;
        *out++ = (char)c;
    }
    *out++ = 0;
    return out;
}

bool http_is_utf8(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    while (*s) {
        const int more = *s < 0x80             ? 0
                         : (*s & 0xe0) == 0xc0 ? 1
                         : (*s & 0xf0) == 0xe0 ? 2
                         : (*s & 0xf8) == 0xf0 ? 3
                                               : -1;
        uint32_t code = more < 0 ? 0 : more == 0 ? *s : *s & (0x3fu >> more);
        static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
        if (more < 0)
            return false;
        for (int i = 1; i <= more; i++) {
            if ((s[i] & 0xc0) != 0x80)
                return false;
            code = code << 6 | (s[i] & 0x3fu);
        }
        if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
            return false;
        s += more + 1;
    }
    return true;
}

static bool path_is_plain(const char *path)
{
    if (path[0] != '/' || !http_is_utf8(path))
        return false;
    for (const char *s = path; s; s = strchr(s + 1, '/')) {
        const size_t n = strcspn(s + 1, "/");
        const bool last = s[1 + n] == 0;
        if ((n == 0 && !last) || (n == 1 && s[1] == '.') || (n == 2 && s[1] == '.' && s[2] == '.'))
            return false;
    }
    return true;
}

bool http_target_parse(http_request *r)
{
    const size_t n = strlen(r->target);
    const char *const end = r->target + n;
    const char *query = memchr(r->target, '?', n);
    if (n > HTTP_TARGET_BYTES || !(r->decoded = malloc(2 * n + 2)))
        return false;
    r->path = r->decoded;
    char *out = decode(r->target, query ? query : end, false, r->decoded);
    if (!out || !path_is_plain(r->path))
        return false;
    for (const char *s = query ? query + 1 : end; s < end;) {
        const char *stop = memchr(s, '&', (size_t)(end - s));
        if (!stop)
            stop = end;
        const char *equals = memchr(s, '=', (size_t)(stop - s));
        http_arg *const arg = &r->args[r->n_args];
        if (stop > s) {
            if (r->n_args == HTTP_MAX_ARGS)
                return false;
            arg->name = out;
            if (!(out = decode(s, equals ? equals : stop, true, out)))
                return false;
            arg->value = out;
            if (!(out = decode(equals ? equals + 1 : stop, stop, true, out)) || !http_is_utf8(arg->name) ||
                !http_is_utf8(arg->value))
                return false;
            r->n_args++;
        }
        s = stop + 1;
    }
    return true;
}
