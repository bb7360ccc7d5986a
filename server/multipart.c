/* Multipart bodies (see multipart.h). The grammar taken is what browsers and client libraries write, and
 * nothing wider:
 *
 *     --BOUNDARY CRLF  *( name ":" value CRLF ) CRLF  content CRLF  --BOUNDARY ...  --BOUNDARY-- [ CRLF ]
 *
 * A boundary has 1 to 70 characters of the RFC's set. Each part needs one Content-Disposition: form-data with
 * a name; quotes are escaped with a backslash or as %22 (WHATWG). Transfer encodings, nested multiparts,
 * preamble text and bare LF are refused: no client sends them, and each is a way to be read differently by
 * two readers. A file name loses its folders and its control characters; it is only ever shown, never opened.
 */
#include "multipart.h"
#include <string.h>
#include <strings.h>

enum { MAX_BOUNDARY = 70 };

static bool boundary_of(const char *type, char ret[MAX_BOUNDARY + 1])
{
    static const char media[] = "multipart/form-data";
    if (!type || strncasecmp(type, media, sizeof media - 1) != 0)
        return false;
    const char *s = type + sizeof media - 1;
    for (;;) {
        s += strspn(s, " \t");
        if (*s != ';')
            return false;
        s += 1 + strspn(s + 1, " \t");
        if (!strncasecmp(s, "boundary=", 9))
            break;
        s += strcspn(s, ";");
    }
    s += 9;
    const bool quoted = *s == '"';
    s += quoted;
    const size_t n = quoted ? strcspn(s, "\"") : strcspn(s, "; \t");
    if (n == 0 || n > MAX_BOUNDARY || (quoted && s[n] != '"') || s[n - 1] == ' ')
        return false;
    for (size_t i = 0; i < n; i++) {
        const char c = s[i];
        const bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!alnum && !strchr("'()+_,-./:=? ", c))
            return false;
    }
    memcpy(ret, s, n);
    ret[n] = 0;
    return true;
}

bool multipart_is(const char *content_type)
{
    char boundary[MAX_BOUNDARY + 1];
    return boundary_of(content_type, boundary);
}

/* ---- a part's head ---- */

/* A quoted value at *at (behind the opening quote) into ret; moves *at behind the closing quote. */
static bool quoted_value(const char **at, const char *end, char *ret, size_t capacity)
{
    size_t n = 0;
    const char *s = *at;
    for (; s < end && *s != '"'; s++) {
        char c = *s;
        if (c == '\\' && s + 1 < end && (s[1] == '"' || s[1] == '\\'))
            c = *++s;
        else if (c == '%' && end - s > 2 && s[1] == '2' && s[2] == '2')
            c = '"', s += 2;
        if ((unsigned char)c < 0x20 || c == 0x7f || n + 1 >= capacity)
            return false;
        ret[n++] = c;
    }
    if (s >= end)
        return false;
    ret[n] = 0;
    *at = s + 1;
    return true;
}

static void keep_base_name(char *file)
{
    const char *base = file;
    for (const char *s = file; *s; s++)
        if (*s == '/' || *s == '\\')
            base = s + 1;
    memmove(file, base, strlen(base) + 1);
}

/* form-data; name="a"; filename="b" */
static const char *disposition(const char *s, const char *end, multipart_part *part)
{
    static const char kind[] = "form-data";
    char skipped[MULTIPART_MAX_FILE];
    bool named = false;
    if ((size_t)(end - s) < sizeof kind - 1 || strncasecmp(s, kind, sizeof kind - 1) != 0)
        return "a part is not form-data";
    s += sizeof kind - 1;
    while (s < end) {
        while (s < end && (*s == ' ' || *s == '\t'))
            s++;
        if (s == end)
            break;
        if (*s++ != ';')
            return "a part's Content-Disposition is malformed";
        while (s < end && (*s == ' ' || *s == '\t'))
            s++;
        const char *const key = s;
        while (s < end && *s != '=')
            s++;
        const size_t n = (size_t)(s - key);
        if (end - s < 2 || s[1] != '"') {
            /* filename*=UTF-8''... comes beside filename=, which is the one used */
            if (n > 1 && key[n - 1] == '*') {
                while (s < end && *s != ';')
                    s++;
                continue;
            }
            return "a part's Content-Disposition is malformed";
        }
        s += 2;
        const bool is_name = n == 4 && !strncasecmp(key, "name", 4);
        const bool is_file = n == 8 && !strncasecmp(key, "filename", 8);
        if ((is_name && named) || (is_file && part->is_file))
            return "a part has two names";
        char *const to = is_name ? part->name : is_file ? part->file : skipped;
        if (!quoted_value(&s, end, to, is_name ? sizeof part->name : sizeof part->file))
            return "a part's name is malformed or too long";
        named = named || is_name;
        part->is_file = part->is_file || is_file;
    }
    keep_base_name(part->file);
    return named ? NULL : "a part has no name";
}

static const char *header(const char *s, const char *end, bool *placed, multipart_part *part)
{
    const char *colon = memchr(s, ':', (size_t)(end - s));
    if (!colon || colon == s)
        return "a part's head is malformed";
    const size_t n = (size_t)(colon - s);
    for (const char *c = s; c < end; c++)
        if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f)
            return "a part's head holds control characters";
    const char *value = colon + 1;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    if (n == 19 && !strncasecmp(s, "Content-Disposition", 19)) {
        if (*placed)
            return "a part has two Content-Dispositions";
        *placed = true;
        return disposition(value, end, part);
    }
    if (n == 25 && !strncasecmp(s, "Content-Transfer-Encoding", 25) &&
        !((size_t)(end - value) == 6 && !strncasecmp(value, "binary", 6)) &&
        !((size_t)(end - value) == 4 && (!strncasecmp(value, "8bit", 4) || !strncasecmp(value, "7bit", 4))))
        return "transfer encodings of parts are not taken";
    return NULL;
}

/* The head from *at to its empty line; moves *at to the content. */
static const char *head(const uint8_t **at, const uint8_t *end, multipart_part *part)
{
    bool placed = false;
    const uint8_t *const limit = (size_t)(end - *at) > MULTIPART_MAX_HEAD ? *at + MULTIPART_MAX_HEAD : end;
    for (const uint8_t *s = *at;;) {
        const uint8_t *cr = memchr(s, '\r', (size_t)(limit - s));
        if (!cr || cr + 1 >= limit || cr[1] != '\n')
            return "a part's head is malformed or too long";
        if (cr == s) {
            *at = s + 2;
            return placed ? NULL : "a part has no Content-Disposition";
        }
        const char *fault = header((const char *)s, (const char *)cr, &placed, part);
        if (fault)
            return fault;
        s = cr + 2;
    }
}

/* ---- the body ---- */

bool multipart_parse(const char *content_type, const uint8_t *body, size_t bytes, multipart *ret,
                     const char **ret_fault)
{
    char mark[MAX_BOUNDARY + 5] = "\r\n--";
    *ret_fault = "the boundary is missing or malformed";
    ret->n = 0;
    if (!boundary_of(content_type, mark + 4))
        return false;
    const size_t mark_n = strlen(mark);
    const uint8_t *at = body, *const end = body + bytes;
    *ret_fault = "the body does not begin with its boundary";
    if (bytes < mark_n - 2 || memcmp(at, mark + 2, mark_n - 2) != 0)
        return false;
    at += mark_n - 2;
    for (;;) {
        if (end - at >= 2 && at[0] == '-' && at[1] == '-') {
            at += 2;
            *ret_fault = "something follows the last part";
            return at == end || (end - at == 2 && at[0] == '\r' && at[1] == '\n');
        }
        *ret_fault = "a boundary is malformed";
        if (end - at < 2 || at[0] != '\r' || at[1] != '\n')
            return false;
        at += 2;
        *ret_fault = "too many parts";
        if (ret->n == MULTIPART_MAX_PARTS)
            return false;
        multipart_part *const part = &ret->parts[ret->n];
        memset(part, 0, sizeof *part);
        if ((*ret_fault = head(&at, end, part)))
            return false;
        /* an empty content leaves the mark's CRLF to stand right behind the head */
        const uint8_t *stop = memmem(at, (size_t)(end - at), mark, mark_n);
        *ret_fault = "a part has no end";
        if (!stop)
            return false;
        part->data = at;
        part->bytes = (size_t)(stop - at);
        ret->n++;
        at = stop + mark_n;
    }
}

const multipart_part *multipart_find(const multipart *m, const char *name)
{
    for (size_t i = 0; i < m->n; i++)
        if (!strcmp(m->parts[i].name, name))
            return &m->parts[i];
    return NULL;
}
