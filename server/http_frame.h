/* Strict framing of HTTP/1.1 requests: a checker that sees every byte of a connection before any parser does.
 */
#ifndef MIEN_SERVER_HTTP_FRAME_H
#define MIEN_SERVER_HTTP_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HTTP_FRAME_NAME = 32, HTTP_FRAME_VALUE = 32 };

typedef enum http_frame_state {
    FRAME_LINE,   /* in the request line */
    FRAME_NAME,   /* in a header's name, or at the start of a line */
    FRAME_VALUE,  /* in a header's value */
    FRAME_LF,     /* after the CR that ends a line of the head */
    FRAME_END_LF, /* after the CR that ends the head */
    FRAME_BODY,   /* `left` bytes to come */
    FRAME_SIZE,   /* in a chunk's size */
    FRAME_SIZE_LF,
    FRAME_CHUNK, /* `left` bytes of it to come */
    FRAME_CHUNK_CR,
    FRAME_CHUNK_LF,
    FRAME_LAST_CR, /* after the last chunk: no trailers */
    FRAME_LAST_LF,
    FRAME_BAD
} http_frame_state;

typedef struct http_frame {
    http_frame_state state;
    size_t max_head;
    unsigned max_headers;
    size_t head, line; /* bytes so far */
    unsigned headers, blanks, digits;
    bool has_length, has_encoding;
    uint64_t left, length;
    char name[HTTP_FRAME_NAME], value[HTTP_FRAME_VALUE];
    unsigned name_n, value_n;
    uint64_t requests; /* complete ones */
    const char *fault; /* of FRAME_BAD: one sentence */
} http_frame;

void http_frame_init(http_frame *f, size_t max_head, unsigned max_headers);
/* Look at n bytes; returns how many may go on to the parser: n, or fewer when what follows is bad (state
 * FRAME_BAD). */
size_t http_frame_feed(http_frame *f, const uint8_t *bytes, size_t n);

#endif
