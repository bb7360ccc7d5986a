/* The files of web/, made into C by cmake/web.cmake. */
#ifndef MIEN_SERVER_WEB_FILES_H
#define MIEN_SERVER_WEB_FILES_H

#include <stddef.h>
#include <stdint.h>

typedef struct web_file {
    const char *path, *type, *etag; /* "app.js" */
    const uint8_t *data;
    size_t bytes;
} web_file;

extern const web_file web_files[];
extern const size_t web_n_files;

#endif
