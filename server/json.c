/* JSON from strangers: size, depth and doubled keys are checked before and while jansson builds anything. */
#include "api.h"
#include <string.h>

/* The deepest nesting of a text, strings skipped; what is no JSON at all jansson finds out. */
static unsigned depth_of(const uint8_t *text, size_t n)
{
    unsigned depth = 0, deepest = 0;
    bool quoted = false;
    for (size_t i = 0; i < n; i++) {
        const uint8_t c = text[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '[' || c == '{') {
            if (++depth > deepest)
                deepest = depth;
        } else if ((c == ']' || c == '}') && depth) {
            depth--;
        }
    }
    return deepest;
}

json_t *api_json_parse(const uint8_t *text, size_t n, size_t max, const char **ret_fault)
{
    json_error_t e;
    *ret_fault = "the JSON text is too long";
    if (n > max)
        return NULL;
    *ret_fault = "the JSON text is nested too deeply";
    if (depth_of(text, n) > API_MAX_DEPTH)
        return NULL;
    *ret_fault = "the body is not valid JSON";
    json_t *v = json_loadb((const char *)text, n, JSON_REJECT_DUPLICATES, &e);
    if (v && !json_is_object(v) && !json_is_array(v)) {
        *ret_fault = "the body is neither a JSON object nor an array";
        json_decref(v);
        v = NULL;
    }
    return v;
}
