/* The page's files, which the build has put into the program, and the description of the API. Names are
 * fixed: nothing of a request reaches a file system. */
#include "server_parts.h"
#include "web_files.h"
#include <stdio.h>
#include <string.h>

/* Scripts, styles and pictures of our own only; blobs for the camera and previews; nobody may frame us. */
static const char policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src blob:; "
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

static void send_file(api_call *c, const char *path)
{
    for (size_t i = 0; i < web_n_files; i++) {
        const web_file *f = &web_files[i];
        if (strcmp(f->path, path) != 0)
            continue;
        http_reply_header(c->reply, "ETag", f->etag);
        http_reply_header(c->reply, "Cache-Control", "no-cache");
        http_reply_header(c->reply, "Content-Security-Policy", policy);
        http_reply_header(c->reply, "X-Frame-Options", "DENY");
        http_reply_header(c->reply, "Permissions-Policy", "camera=(self), microphone=(), geolocation=()");
        const char *known = http_header(c->http, "If-None-Match");
        if (known && !strcmp(known, f->etag))
            http_reply_take(c->reply, 304, NULL, NULL, 0, NULL);
        else
            http_reply_take(c->reply, 200, f->type, (void *)(uintptr_t)f->data, f->bytes, NULL);
        return;
    }
    api_fail(c, 404, "NOT_FOUND", "there is nothing at this path");
}

static void run_index(api_call *c)
{
    send_file(c, "index.html");
}

static void run_file(api_call *c)
{
    send_file(c, c->params[0]);
}

static void run_openapi(api_call *c)
{
    send_file(c, "openapi.json");
}

const api_route api_web[] = {
    { "GET", "/", API_OPEN, 0, HTTP_LIGHT, 0, run_index },
    { "GET", "/v1/openapi.json", API_OPEN, 0, HTTP_LIGHT, 0, run_openapi },
    { "GET", "/web/{file}", API_OPEN, 0, HTTP_LIGHT, 0, run_file },
    { 0 },
};
