/* The table of faces for training scenes on arbitrary bytes. */
#include "train/scene_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mien__scene_set *set = NULL;
    mien_error err = MIEN_ERROR_INIT;
    size_t left_out = 0;
    char *const text = mien_strndup((const char *)data, size);
    if (!text || mien__scene_set_new(&set, &err) != MIEN_OK)
        goto done;
    if (mien__scene_set_read_text(set, text, "table", 0.5f, &left_out, &err) != MIEN_OK && !err.message[0])
        __builtin_trap(); /* every refusal says why */
    for (size_t i = 0; i < set->n; i++)
        if (!set->v[i].path || set->v[i].n_faces == 0 || !(set->v[i].faces[0].x1 > set->v[i].faces[0].x0))
            __builtin_trap(); /* what was taken is whole */
done:
    mien__scene_set_free(set);
    mien_free(text);
    return 0;
}
