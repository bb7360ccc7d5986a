/* Status names and texts from the one list, and how an error is recorded. */
#include "base/base.h"
#include <stdarg.h>
#include <stdio.h>

const char *mien_version(void)
{
    return MIEN_VERSION;
}

const char *mien_status_name(mien_status status)
{
    switch (status) {
#define CASE(name, value, text) \
    case MIEN_##name:           \
        return #name;
        MIEN_STATUS_LIST(CASE)
#undef CASE
    }
    return "E_UNKNOWN";
}

const char *mien_status_text(mien_status status)
{
    switch (status) {
#define CASE(name, value, text) \
    case MIEN_##name:           \
        return text;
        MIEN_STATUS_LIST(CASE)
#undef CASE
    }
    return "unknown status";
}

mien_status mien__fail_at(mien_error *err, mien_status status, const char *file, int line, const char *fmt,
                          ...)
{
    if (!err)
        return status;
    err->status = status;
    err->file = file;
    err->line = line;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->message, sizeof err->message, fmt, ap);
    va_end(ap);
    return status;
}
