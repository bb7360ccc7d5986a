/* Fuzz target: multipart bodies. The first line is the Content-Type. */
#include "../server/multipart.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static multipart m;
    char type[256];
    const char *fault = NULL;
    const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
    const size_t n = line ? (size_t)(line - data) : 0;
    if (!line || n >= sizeof type)
        return 0;
    memcpy(type, data, n);
    type[n] = 0;
    const uint8_t *const body = line + 1;
    const size_t bytes = size - n - 1;
    if (!multipart_parse(type, body, bytes, &m, &fault)) {
        if (!fault)
            abort();
        return 0;
    }
    if (!multipart_is(type) || m.n > MULTIPART_MAX_PARTS)
        abort();
    for (size_t i = 0; i < m.n; i++) {
        const multipart_part *p = &m.parts[i];
        if (p->data < body || p->data + p->bytes > body + bytes || strlen(p->name) >= sizeof p->name ||
            strlen(p->file) >= sizeof p->file || strpbrk(p->file, "/\\\r\n"))
            abort();
    }
    return 0;
}
