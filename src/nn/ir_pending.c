/* Stands in for the OpenVINO IR reader until it is part of the tree; the reader's own definition wins. */
#include "nn/graph.h"

__attribute__((weak)) mien_status mien__ir_read(const uint8_t *xml, size_t xml_size, const uint8_t *bin, size_t bin_size,
                                                mien__graph **ret, mien_error *err)
{
    (void)xml;
    (void)xml_size;
    (void)bin;
    (void)bin_size;
    (void)ret;
    return mien__fail(err, MIEN_E_UNSUPPORTED, "OpenVINO IR cannot be read by this build");
}
