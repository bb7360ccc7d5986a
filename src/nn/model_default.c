/* Which model stands for a task when none is named: the built-in one whose description says so.
 *
 * Only its description is read to find out; folders are looked into when the library has no such model.
 */
#include "nn/mien_file.h"
#include "registry/registry.h"

#define INFO_ARENA_MAX ((size_t)4 << 20)
enum { PATH_BYTES = 4096 };

/* The first built-in model for the task; *ret_name NULL when there is none. */
static mien_status builtin_for(mien_task task, const char **ret_name, mien_error *err)
{
    const char *name = NULL;
    mien_status st = MIEN_OK;
    for (const mien__builtin *b = mien__builtins; !st && !name && b->name; b++) {
        mien_model_info info;
        mien__arena *arena = mien__arena_new(INFO_ARENA_MAX);
        st = arena ? mien__file_describe(b->data, (size_t)(b->end - b->data), arena, &info, err)
                   : mien__nomem(err, sizeof info);
        if (!st && info.task == task)
            name = b->name;
        mien__arena_free(arena);
    }
    if (!st)
        *ret_name = name;
    return st;
}

mien_status mien_model_load_default(mien_task task, mien_model **ret_model, mien_error *err)
{
    char path[PATH_BYTES];
    const char *name = NULL, *first = mien__registry_preferred(task, 0);
    if (!ret_model)
        return mien__fail(err, MIEN_E_ARG, "result is NULL");
    const mien_status st = builtin_for(task, &name, err);
    if (st || name)
        return st ? st : mien_model_load(name, ret_model, err);
    if (!first)
        return mien__fail(err, MIEN_E_MODEL_MISSING, "no model is known for task %d", (int)task);
    for (size_t i = 0; (name = mien__registry_preferred(task, i)) != NULL; i++)
        if (mien_registry_locate(name, path, sizeof path, NULL) == MIEN_OK)
            return mien_model_load(path, ret_model, err);
    return mien_registry_locate(first, path, sizeof path, err); /* its message says how to get it */
}
