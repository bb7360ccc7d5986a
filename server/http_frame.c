/* Strict framing (see http_frame.h). What two parsers may split differently never reaches one:
 *
 *   - lines end with CR LF; a CR or LF alone, NUL and other controls are bad (RFC 9112 section 2.2 allows a
 * recipient to accept a bare LF: this one does not)
 *   - a line of the head never begins with a blank (obs-fold, section 5.2), a name is followed by its colon
 * at once
 *   - one Content-Length of digits, or one Transfer-Encoding that is exactly "chunked", not both
 * (section 6.3)
 *   - chunk sizes are 1 to 8 hexadecimal digits without extensions; no trailers
 *   - the head is bounded in bytes and lines
 *
 * A few states and counters per connection; nothing is stored but short names and values.
 */
#include "http_frame.h"
#include <string.h>
#include <strings.h>

void http_frame_init(http_frame *f, size_t max_head, unsigned max_headers)
{
    *f = (http_frame){ .max_head = max_head, .max_headers = max_headers };
}

static void bad(http_frame *f, const char *fault)
{
    f->state = FRAME_BAD;
    f->fault = fault;
}

static void next_request(http_frame *f)
{
    const uint64_t requests = f->requests + 1;
    http_frame_init(f, f->max_head, f->max_headers);
    f->requests = requests;
}

static bool is_name(const http_frame *f, const char *name)
{
    return f->name_n == strlen(name) && !strncasecmp(f->name, name, f->name_n);
}

static void end_of_length(http_frame *f)
{
    uint64_t n = 0;
    if (f->value_n == 0 || f->value_n > 18)
        bad(f, "Content-Length is not a number");
    for (unsigned i = 0; f->state != FRAME_BAD && i < f->value_n; i++) {
        if (f->value[i] < '0' || f->value[i] > '9')
            bad(f, "Content-Length is not a number");
        n = n * 10 + (uint64_t)(f->value[i] - '0');
    }
    if (f->has_length || f->has_encoding)
        bad(f, "the body's length is said twice");
    f->has_length = true;
    f->length = n;
}

static void end_of_header(http_frame *f)
{
    while (f->value_n && f->value_n <= HTTP_FRAME_VALUE &&
           (f->value[f->value_n - 1] == ' ' || f->value[f->value_n - 1] == '\t'))
        f->value_n--;
    f->state = FRAME_LF;
    if (is_name(f, "Content-Length")) {
        end_of_length(f);
    } else if (is_name(f, "Transfer-Encoding")) {
        if (f->value_n != 7 || strncasecmp(f->value, "chunked", 7) != 0)
            bad(f, "Transfer-Encoding is not 'chunked'");
        else if (f->has_length || f->has_encoding)
            bad(f, "the body's length is said twice");
        f->has_encoding = true;
    }
}

static void end_of_head(http_frame *f)
{
    f->digits = 0;
    f->left = f->length;
    if (f->has_encoding)
        f->state = FRAME_SIZE, f->left = 0;
    else if (f->left)
        f->state = FRAME_BODY;
    else
        next_request(f);
}

static void in_line(http_frame *f, uint8_t c)
{
    if (c == '\r') {
        f->state = FRAME_LF;
        if (f->blanks != 2)
            bad(f, "the request line is malformed");
    } else if (c == ' ') {
        if (f->line == 0 || ++f->blanks > 2)
            bad(f, "the request line is malformed");
    } else if (c < 0x21 || c > 0x7e) {
        bad(f, "the request line holds what it must not");
    }
    f->line++;
}

static bool token(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c > 0x20 && c < 0x7f && strchr("!#$%&'*+-.^_`|~", c));
}

static void in_name(http_frame *f, uint8_t c)
{
    if (f->name_n == 0 && c == '\r') {
        f->state = FRAME_END_LF;
    } else if (c == ':' && f->name_n) {
        f->state = FRAME_VALUE;
        f->value_n = 0;
        if (++f->headers > f->max_headers)
            bad(f, "too many headers");
    } else if (token(c)) {
        if (f->name_n < HTTP_FRAME_NAME)
            f->name[f->name_n] = (char)c;
        f->name_n++;
    } else {
        bad(f,
            f->name_n ? "a header's name is malformed" : "a line of the head begins with what it must not");
    }
}

static void in_value(http_frame *f, uint8_t c)
{
    if (c == '\r') {
        end_of_header(f);
    } else if ((c < 0x20 && c != '\t') || c == 0x7f) {
        bad(f, "a header's value holds control characters");
    } else if (f->value_n || (c != ' ' && c != '\t')) {
        if (f->value_n < HTTP_FRAME_VALUE)
            f->value[f->value_n] = (char)c;
        f->value_n++;
    }
}

static void in_size(http_frame *f, uint8_t c)
{
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit >= 0 && f->digits < 8) {
        f->left = f->left * 16 + (uint64_t)digit;
        f->digits++;
    } else if (c == '\r' && f->digits) {
        f->state = FRAME_SIZE_LF;
    } else {
        bad(f, "a chunk's size is malformed");
    }
}

/* One byte that is not inside a body. */
static void step(http_frame *f, uint8_t c)
{
    const bool lf = c == '\n', cr = c == '\r';
    if (f->state <= FRAME_END_LF && ++f->head > f->max_head) {
        bad(f, "the head is too large");
        return;
    }
    switch (f->state) {
    case FRAME_LINE:
        in_line(f, c);
        break;
    case FRAME_NAME:
        in_name(f, c);
        break;
    case FRAME_VALUE:
        in_value(f, c);
        break;
    case FRAME_LF:
        f->state = FRAME_NAME;
        f->name_n = 0;
        if (!lf)
            bad(f, "a CR without its LF");
        break;
    case FRAME_END_LF:
        if (lf)
            end_of_head(f);
        else
            bad(f, "a CR without its LF");
        break;
    case FRAME_SIZE:
        in_size(f, c);
        break;
    case FRAME_SIZE_LF:
        f->state = f->left ? FRAME_CHUNK : FRAME_LAST_CR;
        if (!lf)
            bad(f, "a CR without its LF");
        break;
    case FRAME_CHUNK_CR:
        f->state = FRAME_CHUNK_LF;
        if (!cr)
            bad(f, "a chunk is longer than it says");
        break;
    case FRAME_CHUNK_LF:
        f->state = FRAME_SIZE;
        f->digits = 0;
        f->left = 0;
        if (!lf)
            bad(f, "a CR without its LF");
        break;
    case FRAME_LAST_CR:
        f->state = FRAME_LAST_LF;
        if (!cr)
            bad(f, "trailers are not taken");
        break;
    case FRAME_LAST_LF:
        if (lf)
            next_request(f);
        else
            bad(f, "a CR without its LF");
        break;
    case FRAME_BODY:
    case FRAME_CHUNK:
    case FRAME_BAD:
        break;
    }
}

size_t http_frame_feed(http_frame *f, const uint8_t *bytes, size_t n)
{
    size_t at = 0;
    while (at < n && f->state != FRAME_BAD) {
        if (f->state == FRAME_BODY || f->state == FRAME_CHUNK) {
            const size_t k = f->left < n - at ? (size_t)f->left : n - at;
            at += k;
            f->left -= k;
            if (!f->left && f->state == FRAME_CHUNK)
                f->state = FRAME_CHUNK_CR;
            else if (!f->left)
                next_request(f);
        } else {
            step(f, bytes[at]);
            at += f->state != FRAME_BAD;
        }
    }
    return at;
}
