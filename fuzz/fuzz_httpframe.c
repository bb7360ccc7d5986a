/* Fuzz target: strict framing of HTTP requests. However the bytes are cut into pieces, the verdict is the
 * same. */
#include "../server/http_frame.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    http_frame whole, cut;
    http_frame_init(&whole, 4096, 20);
    http_frame_init(&cut, 4096, 20);
    const size_t n = http_frame_feed(&whole, data, size);
    size_t k = 0;
    for (size_t at = 0, step = 1; at < size; at += step, step = step % 7 + 1) {
        if (step > size - at)
            step = size - at;
        k += http_frame_feed(&cut, data + at, step);
    }
    if (n > size || n != k || whole.state != cut.state || whole.requests != cut.requests ||
        (whole.state == FRAME_BAD) != (whole.fault != NULL) || (n < size && whole.state != FRAME_BAD))
        abort();
    return 0;
}
