/* Getting a known model: download, check, import, save.
 *
 * Each source file is downloaded into FILE.part in the target folder and stays there when the transfer
 * breaks. A part whose digest is right is used without asking the network; one that is complete and wrong is
 * deleted. Checked files are moved into a folder of their own, imported from there, and removed when
 * NAME.mien is in place (which is written whole or not at all).
 */
#include "registry/fetch.h"
#include "registry/registry.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef PATH_MAX
#define PATH_MAX 4096
#endif

#define PULL_MAX_BYTES ((uint64_t)1 << 30)

typedef struct pull {
    const mien_registry_entry *entry;
    const char *dir;
    char work[PATH_MAX]; /* folder of the checked files; "" before it exists */
    mien_progress_fn progress;
    void *user;
    mien_error *err;
} pull;

static bool join(char *ret, size_t capacity, const char *dir, const char *file, const char *suffix)
{
    const int n = snprintf(ret, capacity, "%s/%s%s", dir, file, suffix);
    return n > 0 && (size_t)n < capacity;
}

/* Make a folder and those above it. */
static mien_status make_dirs(const char *dir, mien_error *err)
{
    char path[PATH_MAX];
    struct stat st;
    const size_t n = strlen(dir);
    if (n == 0 || n >= sizeof path)
        return mien__fail(err, MIEN_E_LIMIT, "the path of the model folder passes %zu bytes", sizeof path);
    memcpy(path, dir, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        const char saved = path[i];
        path[i] = '\0';
        if (mkdir(path, 0755) != 0 && errno != EEXIST)
            return mien__fail(err, MIEN_E_IO, "cannot make the folder %.160s: %s", path, strerror(errno));
        path[i] = saved;
    }
    if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode))
        return mien__fail(err, MIEN_E_IO, "%.160s is not a folder", dir);
    return MIEN_OK;
}

static mien_status digest_matches(const char *path, const char *sha256, bool *ret, mien_error *err)
{
    mien__file_map map = { 0 };
    char hex[65];
    const mien_status status = mien__file_map_open(&map, path, (size_t)PULL_MAX_BYTES, err);
    if (status != MIEN_OK)
        return status;
    mien__sha256_hex(map.data, map.size, hex);
    mien__file_map_close(&map);
    *ret = strcmp(hex, sha256) == 0;
    return MIEN_OK;
}

/* The file's address: at the mirror when there is one. */
static mien_status address_of(const pull *p, const char *url, const char *file, char *ret, size_t capacity)
{
    const char *const mirror = getenv("MIEN_MIRROR");
    const bool mirrored = mirror && mirror[0];
    if (!mirrored && !url[0])
        return mien__fail(p->err, MIEN_E_UNSUPPORTED,
                          "model '%s' has no fixed address; put %s into a folder named by MIEN_MODELS",
                          p->entry->name, file);
    size_t n = mirrored ? strlen(mirror) : 0;
    while (n > 0 && mirror[n - 1] == '/')
        n--;
    const int k = mirrored ? snprintf(ret, capacity, "%.*s/%s", (int)n, mirror, file)
                           : snprintf(ret, capacity, "%s", url);
    if (k < 0 || (size_t)k >= capacity)
        return mien__fail(p->err, MIEN_E_LIMIT, "the address of %s is too long", file);
    if (!mien__fetch_allowed(ret, mirrored))
        return mien__fail(p->err, MIEN_E_ARG,
                          "%.160s: only https, file:/// and http on this machine are read", ret);
    return MIEN_OK;
}

/* Download into the part file unless it is there already. */
static mien_status fetch_part(const pull *p, const char *url, const char *part, const char *sha256)
{
    bool right = false;
    mien_status status = MIEN_OK;
    const int fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return mien__fail(p->err, MIEN_E_IO, "cannot open %.160s: %s", part, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        status = mien__fail(p->err, MIEN_E_IO, "%.160s is being downloaded already", part);
        goto done;
    }
    status = digest_matches(part, sha256, &right, p->err);
    if (status == MIEN_OK && !right)
        status = mien__fetch(url, fd, PULL_MAX_BYTES, p->progress, p->user, p->err);
    if (status == MIEN_OK && !right)
        status = digest_matches(part, sha256, &right, p->err);
    if (status == MIEN_OK && !right) {
        status =
            mien__fail(p->err, MIEN_E_DIGEST, "%.120s is not the expected file: its SHA-256 differs", url);
        (void)unlink(part);
    }
done:
    close(fd);
    return status;
}

/* One source file: downloaded, checked, moved into the working folder. */
static mien_status get_file(pull *p, const char *url, const char *file, const char *sha256)
{
    char from[PATH_MAX], part[PATH_MAX], to[PATH_MAX];
    mien_status status = address_of(p, url, file, from, sizeof from);
    if (status != MIEN_OK)
        return status;
    if (!join(part, sizeof part, p->dir, file, ".part") || !join(to, sizeof to, p->work, file, ""))
        return mien__fail(p->err, MIEN_E_LIMIT, "the path of %s is too long", file);
    status = fetch_part(p, from, part, sha256);
    if (status == MIEN_OK && rename(part, to) != 0)
        status = mien__fail(p->err, MIEN_E_IO, "cannot move %.160s: %s", part, strerror(errno));
    return status;
}

/* Move a file whose partner failed back, so that it is not downloaded again. */
static void put_back(const pull *p, const char *file)
{
    char part[PATH_MAX], to[PATH_MAX];
    if (file[0] && join(part, sizeof part, p->dir, file, ".part") && join(to, sizeof to, p->work, file, ""))
        (void)rename(to, part);
}

static void remove_work(const pull *p)
{
    char path[PATH_MAX];
    if (!p->work[0])
        return;
    if (join(path, sizeof path, p->work, p->entry->file, ""))
        (void)unlink(path);
    if (p->entry->aux_file[0] && join(path, sizeof path, p->work, p->entry->aux_file, ""))
        (void)unlink(path);
    (void)rmdir(p->work);
}

static mien_status import_and_save(pull *p, char *ret_path, size_t capacity)
{
    char source[PATH_MAX], target[PATH_MAX];
    mien_model *model = NULL;
    if (!join(source, sizeof source, p->work, p->entry->file, "") ||
        !join(target, sizeof target, p->dir, p->entry->name, ".mien") || strlen(target) >= capacity)
        return mien__fail(p->err, MIEN_E_LIMIT, "the path of model '%s' is too long", p->entry->name);
    mien_status status = mien_model_import(source, NULL, &model, p->err);
    if (status == MIEN_OK)
        status = mien_model_save(model, target, p->err);
    mien_model_free(model);
    if (status == MIEN_OK)
        memcpy(ret_path, target, strlen(target) + 1);
    return status;
}

mien_status mien_registry_pull(const char *name, const char *dir, mien_progress_fn progress, void *user,
                               char *ret_path, size_t capacity, mien_error *err)
{
    char user_dir[PATH_MAX];
    if (!name || !ret_path || capacity == 0)
        return mien__fail(err, MIEN_E_ARG, "pulling a model needs a name and room for a path");
    if (mien__builtin_find(name))
        return mien__fail(err, MIEN_E_NOT_FOUND, "model '%s' is built in, there is nothing to download",
                          name);
    const mien_registry_entry *const e = mien_registry_find(name);
    if (!e)
        return mien__fail(err, MIEN_E_NOT_FOUND,
                          "no model named '%.64s'; 'mien model list' shows the known ones", name);
    mien_status status = MIEN_OK;
    if (!dir) {
        status = mien__registry_user_dir(user_dir, sizeof user_dir, err);
        dir = user_dir;
    }
    if (status == MIEN_OK)
        status = make_dirs(dir, err);
    if (status != MIEN_OK)
        return status;
    pull p = { .entry = e, .dir = dir, .progress = progress, .user = user, .err = err };
    if (!join(p.work, sizeof p.work, dir, ".pull-XXXXXX", "") || !mkdtemp(p.work)) {
        p.work[0] = '\0';
        return mien__fail(err, MIEN_E_IO, "cannot write into %.160s: %s", dir, strerror(errno));
    }
    status = get_file(&p, e->url, e->file, e->sha256);
    if (status == MIEN_OK && e->aux_file[0]) {
        status = get_file(&p, e->aux_url, e->aux_file, e->aux_sha256);
        if (status != MIEN_OK)
            put_back(&p, e->file);
    }
    if (status == MIEN_OK)
        status = import_and_save(&p, ret_path, capacity);
    remove_work(&p);
    return status;
}
