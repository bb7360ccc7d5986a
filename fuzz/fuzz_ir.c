/* OpenVINO IR reader on arbitrary bytes: the XML up to the first zero byte, the weights after it. */
#include "nn/graph.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mien__graph *g = NULL;
    mien_error err = MIEN_ERROR_INIT;
    const uint8_t *const zero = size ? memchr(data, 0, size) : NULL;
    const size_t xml = zero ? (size_t)(zero - data) : size;
    const size_t bin = zero ? size - xml - 1 : 0;
    if (mien__ir_read(data, xml, data + size - bin, bin, &g, &err) == MIEN_OK) {
        if (mien__graph_simplify(g, &err) == MIEN_OK && mien__graph_check(g, &err) != MIEN_OK)
            __builtin_trap(); /* simplifying keeps a graph sound */
        mien__graph_free(g);
    } else if (g || !err.message[0]) {
        __builtin_trap(); /* outputs only on success; every refusal says why */
    }
    return 0;
}
