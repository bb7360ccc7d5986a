/* Fuzz target: JSON bodies, as every route takes them. What is accepted is an object or array, no deeper than
 * allowed, and reads the same when it is written and read again.
 */
#include "../server/api.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned depth_of(const json_t *v)
{
    unsigned deepest = 0;
    size_t i;
    const char *name;
    json_t *item;
    json_array_foreach(v, i, item)
    {
        const unsigned d = depth_of(item);
        deepest = d > deepest ? d : deepest;
    }
    json_object_foreach((json_t *)(uintptr_t)v, name, item)
    {
        const unsigned d = depth_of(item);
        deepest = d > deepest ? d : deepest;
    }
    return deepest + (json_is_array(v) || json_is_object(v));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *fault = NULL;
    json_t *v = api_json_parse(data, size, API_MAX_JSON, &fault);
    if (!v) {
        if (!fault)
            abort();
        return 0;
    }
    if (size > API_MAX_JSON || !(json_is_object(v) || json_is_array(v)) || depth_of(v) > API_MAX_DEPTH)
        abort();
    char *text = json_dumps(v, JSON_COMPACT);
    json_t *again = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (!again || !json_equal(v, again))
        abort();
    json_decref(again);
    free(text);
    json_decref(v);
    return 0;
}
