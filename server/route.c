/* Finding the route of a path: the tables are walked in order, a pattern's {x} takes one path segment. Some
 * fifty routes and short strings: a tree would save nothing that shows beside a face. */
#include "api.h"
#include <stdio.h>
#include <string.h>

/* Match a path; parameters are copied one behind the other into c->param_text. */
static bool matches(const char *pattern, const char *path, api_call *c)
{
    size_t used = 0;
    int n = 0;
    while (*pattern) {
        if (*pattern == '{') {
            const size_t len = strcspn(path, "/");
            if (len == 0 || n == API_MAX_PARAMS || used + len + 1 > sizeof c->param_text)
                return false;
            memcpy(c->param_text + used, path, len);
            c->param_text[used + len] = 0;
            c->params[n++] = c->param_text + used;
            used += len + 1;
            path += len;
            pattern += strcspn(pattern, "}") + 1;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return *path == 0;
}

const api_route *api_find_route(const char *method, const char *path, api_call *c, bool *ret_known,
                                char *allow, size_t capacity)
{
    size_t used = 0;
    *ret_known = false;
    allow[0] = 0;
    const bool head = !strcmp(method, "HEAD");
    for (size_t i = 0; api_tables[i]; i++)
        for (const api_route *r = api_tables[i]; r->method; r++) {
            if (!matches(r->pattern, path, c))
                continue;
            if (!strcmp(r->method, head ? "GET" : method))
                return r;
            *ret_known = true;
            if (used < capacity)
                used += (size_t)snprintf(allow + used, capacity - used, "%s%s", used ? ", " : "", r->method);
        }
    return NULL;
}
