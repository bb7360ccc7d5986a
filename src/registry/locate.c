/* Where models lie on this machine: the folders of mien_model_load()'s documentation, in its order.
 *
 * In each folder NAME.mien is looked for first, then the registry's source file (with its weights beside it).
 * The program's folder comes from /proc/self/exe; a checkout's ../shared/models is found from the working
 * folder or from up to five folders above the program, so that a program in build/ finds it too.
 */
#include "registry/registry.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef PATH_MAX
#define PATH_MAX 4096
#endif

enum { MAX_PARENTS = 5 };

/* What is looked for: any of the file names, the first that exists. */
typedef struct search {
    const char *name;                 /* stem of the .mien file */
    const mien_registry_entry *entry; /* NULL: only NAME.mien */
    char *ret_path;
    size_t capacity;
    bool too_long; /* found, but the path does not fit */
} search;

static bool is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, R_OK) == 0;
}

static bool join(char *ret, size_t capacity, const char *dir, size_t dir_len, const char *file,
                 const char *suffix)
{
    const int n = snprintf(ret, capacity, "%.*s/%s%s", (int)dir_len, dir, file, suffix);
    return n > 0 && (size_t)n < capacity;
}

static bool take_if_there(search *s, const char *path)
{
    if (!is_file(path))
        return false;
    const size_t n = strlen(path);
    s->too_long = n >= s->capacity;
    if (!s->too_long)
        memcpy(s->ret_path, path, n + 1);
    return true;
}

static bool search_dir_len(search *s, const char *dir, size_t dir_len)
{
    char path[PATH_MAX], aux[PATH_MAX];
    if (dir_len == 0 || dir_len >= PATH_MAX)
        return false;
    if (join(path, sizeof path, dir, dir_len, s->name, ".mien") && take_if_there(s, path))
        return true;
    if (!s->entry || !join(path, sizeof path, dir, dir_len, s->entry->file, ""))
        return false;
    if (s->entry->aux_file[0] &&
        (!join(aux, sizeof aux, dir, dir_len, s->entry->aux_file, "") || !is_file(aux)))
        return false;
    return take_if_there(s, path);
}

static bool search_dir(search *s, const char *dir)
{
    return search_dir_len(s, dir, strlen(dir));
}

static bool search_list(search *s, const char *list)
{
    while (list && *list) {
        const size_t n = strcspn(list, ":");
        if (search_dir_len(s, list, n))
            return true;
        list += n + (list[n] == ':');
    }
    return false;
}

static bool search_shared(search *s, const char *base, size_t base_len)
{
    char dir[PATH_MAX];
    if (!join(dir, sizeof dir, base, base_len, "shared/models", ""))
        return false;
    if (search_dir(s, dir))
        return true;
    return join(dir, sizeof dir, base, base_len, "shared/models/omz", "") && search_dir(s, dir);
}

/* The folder of the running program, without a slash at its end; 0 when unknown. */
static size_t program_dir(char *ret, size_t capacity)
{
    const ssize_t n = readlink("/proc/self/exe", ret, capacity - 1);
    if (n <= 0)
        return 0;
    ret[n] = '\0';
    char *const slash = strrchr(ret, '/');
    if (!slash)
        return 0;
    *slash = '\0';
    return (size_t)(slash - ret);
}

static bool search_all(search *s)
{
    char dir[PATH_MAX], exe[PATH_MAX];
    size_t exe_len = program_dir(exe, sizeof exe);
    if (search_list(s, getenv("MIEN_MODELS")))
        return true;
    if (mien__registry_user_dir(dir, sizeof dir, NULL) == MIEN_OK && search_dir(s, dir))
        return true;
    if (exe_len && join(dir, sizeof dir, exe, exe_len, "models", "") && search_dir(s, dir))
        return true;
    if (search_dir(s, MIEN_DATA_DIR "/models"))
        return true;
    if (search_shared(s, "..", 2))
        return true;
    for (int i = 0; i < MAX_PARENTS && exe_len; i++) {
        if (search_shared(s, exe, exe_len))
            return true;
        while (exe_len && exe[--exe_len] != '/') {
        }
    }
    return false;
}

mien_status mien__registry_user_dir(char *ret_dir, size_t capacity, mien_error *err)
{
    const char *const data = getenv("XDG_DATA_HOME"), *const home = getenv("HOME");
    int n = 0;
    if (data && data[0] == '/')
        n = snprintf(ret_dir, capacity, "%s/mien/models", data);
    else if (home && home[0])
        n = snprintf(ret_dir, capacity, "%s/.local/share/mien/models", home);
    else
        return mien__fail(err, MIEN_E_NOT_FOUND,
                          "no folder for models: neither XDG_DATA_HOME nor HOME is set");
    if (n < 0 || (size_t)n >= capacity)
        return mien__fail(err, MIEN_E_LIMIT, "the path of the model folder passes %zu bytes", capacity);
    return MIEN_OK;
}

mien_status mien_registry_locate(const char *name, char *ret_path, size_t capacity, mien_error *err)
{
    if (!name || !name[0] || !ret_path || capacity == 0)
        return mien__fail(err, MIEN_E_ARG, "locating a model needs a name and room for a path");
    if (strchr(name, '/') || strlen(name) > 128)
        return mien__fail(err, MIEN_E_ARG, "'%.128s' is not a model's name", name);
    if (mien__builtin_find(name))
        return mien__fail(err, MIEN_E_NOT_FOUND, "model '%s' is built in, it has no file", name);
    const mien_registry_entry *const entry = mien_registry_find(name);
    search s = { entry ? entry->name : name, entry, ret_path, capacity, false };
    if (search_all(&s)) {
        if (s.too_long)
            return mien__fail(err, MIEN_E_LIMIT, "the path of model '%s' passes %zu bytes", name, capacity);
        return MIEN_OK;
    }
    if (!entry)
        return mien__fail(err, MIEN_E_MODEL_MISSING,
                          "no model named '%s'; 'mien model list' shows the known ones", name);
    if (!entry->url[0])
        return mien__fail(err, MIEN_E_MODEL_MISSING,
                          "model '%s' is not on this machine; put %s into a folder named by MIEN_MODELS",
                          entry->name, entry->file);
    return mien__fail(err, MIEN_E_MODEL_MISSING,
                      "model '%s' is not on this machine; get it with: mien model pull %s", entry->name,
                      entry->name);
}
