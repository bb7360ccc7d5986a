/* Filling an answer. */
#include "http_parts.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void drop_body(http_reply *y)
{
    if (y->streams && y->stream.end)
        y->stream.end(y->stream.ctx);
    if (y->free_fn)
        y->free_fn(y->data);
    y->data = NULL;
    y->bytes = 0;
    y->free_fn = NULL;
    y->streams = false;
}

void http_reply_clear(http_reply *y)
{
    drop_body(y);
    for (unsigned i = 0; i < y->n_headers; i++)
        free(y->names[i]), free(y->values[i]);
    y->n_headers = 0;
}

void http_reply_take(http_reply *y, int status, const char *type, void *data, size_t bytes,
                     void (*free_fn)(void *))
{
    drop_body(y);
    y->status = status;
    snprintf(y->type_text, sizeof y->type_text, "%s", type ? type : "");
    y->data = data;
    y->bytes = bytes;
    y->free_fn = free_fn;
}

void http_reply_copy(http_reply *y, int status, const char *type, const void *data, size_t bytes)
{
    void *copy = malloc(bytes ? bytes : 1);
    if (!copy) {
        http_reply_take(y, 500, "", NULL, 0, NULL);
        return;
    }
    if (bytes)
        memcpy(copy, data, bytes);
    http_reply_take(y, status, type, copy, bytes, free);
}

void http_reply_stream(http_reply *y, int status, const char *type, http_stream stream)
{
    http_reply_take(y, status, type, NULL, 0, NULL);
    y->stream = stream;
    y->streams = true;
}

bool http_reply_header(http_reply *y, const char *name, const char *value)
{
    for (const char *s = value; *s; s++)
        if (((unsigned char)*s < 0x20 && *s != '\t') || *s == 0x7f)
            return false;
    if (y->n_headers == HTTP_MAX_REPLY_HEADERS)
        return false;
    char *n = strdup(name), *v = strdup(value);
    if (!n || !v) {
        free(n), free(v);
        return false;
    }
    y->names[y->n_headers] = n;
    y->values[y->n_headers++] = v;
    return true;
}

int http_reply_status(const http_reply *y)
{
    return y->status;
}

const char *http_reply_text(const http_reply *y, size_t *ret_bytes)
{
    *ret_bytes = y->bytes;
    return (const char *)y->data;
}

void http_reply_close(http_reply *y)
{
    y->close = true;
}
