/* Reading multipart/form-data bodies (RFC 7578, RFC 2046 section 5.1): bounded, strict, no copy of the
 * content. */
#ifndef MIEN_SERVER_MULTIPART_H
#define MIEN_SERVER_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MULTIPART_MAX_PARTS = 128,
    MULTIPART_MAX_NAME = 128,
    MULTIPART_MAX_FILE = 256,
    MULTIPART_MAX_HEAD = 2048
};

typedef struct multipart_part {
    char name[MULTIPART_MAX_NAME];
    char file[MULTIPART_MAX_FILE]; /* last component, printable; "" when the part is no file */
    bool is_file;
    const uint8_t *data; /* into the body */
    size_t bytes;
} multipart_part;

typedef struct multipart {
    multipart_part parts[MULTIPART_MAX_PARTS];
    size_t n;
} multipart;

/* Whether a Content-Type says multipart/form-data with a usable boundary. */
bool multipart_is(const char *content_type);
/* Split a body. On a fault false and one sentence. */
bool multipart_parse(const char *content_type, const uint8_t *body, size_t bytes, multipart *ret,
                     const char **ret_fault);
/* The first part of that name; NULL. */
const multipart_part *multipart_find(const multipart *m, const char *name);

#endif
