/* ONNX reader and simplifier on arbitrary bytes. */
#include "nn/graph.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mien__graph *g = NULL;
    mien_error err = MIEN_ERROR_INIT;
    if (mien__onnx_read(data, size, &g, &err) == MIEN_OK) {
        if (mien__graph_simplify(g, &err) == MIEN_OK && mien__graph_check(g, &err) != MIEN_OK)
            __builtin_trap(); /* simplifying keeps a graph sound */
        mien__graph_free(g);
    } else if (g || !err.message[0]) {
        __builtin_trap(); /* outputs only on success; every refusal says why */
    }
    return 0;
}
