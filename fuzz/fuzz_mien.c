/* .mien reader on arbitrary bytes. */
#include "base/base.h"
#include <mien/model.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mien_model *model = NULL;
    mien_error err = MIEN_ERROR_INIT;
    /* the contract lets tensors be used in place: give the block the alignment of a mapped file */
    uint8_t *const copy = mien_alloc(size);
    if (!copy)
        return 0;
    if (size)
        memcpy(copy, data, size);
    if (mien_model_load_memory(copy, size, &model, &err) == MIEN_OK) {
        const mien_model_info *const info = mien_model_info_of(model);
        if (!info->name || !info->licence || !info->protocol || info->n_points > MIEN_MAX_OPERATING_POINTS)
            __builtin_trap(); /* strings are never NULL */
        mien_model_free(model);
    } else if (model || !err.message[0]) {
        __builtin_trap();
    }
    mien_free(copy);
    return 0;
}
