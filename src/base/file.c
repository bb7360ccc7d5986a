/* Files: mapped or read whole, and written whole or not at all.
 *
 * Only regular files are opened for reading: a FIFO or device named by mistake must not hang a run.
 */
#include "base/base.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static mien_status open_regular(const char *path, size_t max_bytes, int *ret_fd, size_t *ret_size,
                                mien_error *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return mien__fail(err, errno == ENOENT || errno == ENOTDIR ? MIEN_E_NOT_FOUND : MIEN_E_IO,
                          "cannot open %s: %s", path, strerror(errno));
    struct stat st;
    mien_status status = MIEN_OK;
    if (fstat(fd, &st) != 0)
        status = mien__fail(err, MIEN_E_IO, "cannot read %s: %s", path, strerror(errno));
    else if (S_ISDIR(st.st_mode))
        status = mien__fail(err, MIEN_E_IO, "%s is a directory", path);
    else if (!S_ISREG(st.st_mode))
        status = mien__fail(err, MIEN_E_IO, "%s is not a regular file", path);
    else if ((uint64_t)st.st_size > max_bytes)
        status = mien__fail(err, MIEN_E_LIMIT, "%s has %llu bytes, the limit is %zu", path,
                            (unsigned long long)st.st_size, max_bytes);
    if (status != MIEN_OK) {
        close(fd);
        return status;
    }
    *ret_fd = fd;
    *ret_size = (size_t)st.st_size;
    return MIEN_OK;
}

mien_status mien__file_map_open(mien__file_map *ret, const char *path, size_t max_bytes, mien_error *err)
{
    int fd = -1;
    size_t size = 0;
    mien_status status = open_regular(path, max_bytes, &fd, &size, err);
    if (status != MIEN_OK)
        return status;
    void *data = NULL;
    if (size > 0) {
        data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
            status = mien__fail(err, MIEN_E_IO, "cannot map %s: %s", path, strerror(errno));
    }
    close(fd);
    if (status == MIEN_OK)
        *ret = (mien__file_map){ data, size, size > 0 };
    return status;
}

mien_status mien__file_read(mien__file_map *ret, const char *path, size_t max_bytes, mien_error *err)
{
    int fd = -1;
    size_t size = 0, done = 0;
    mien_status status = open_regular(path, max_bytes, &fd, &size, err);
    if (status != MIEN_OK)
        return status;
    uint8_t *const data = mien_alloc(size);
    if (!data) {
        close(fd);
        return mien__nomem(err, size);
    }
    while (done < size) {
        const ssize_t n = read(fd, data + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            status = mien__fail(err, MIEN_E_IO, "cannot read %s: %s", path, strerror(errno));
            break;
        }
        if (n == 0)
            break; /* the file became shorter: what was read is what there is */
        done += (size_t)n;
    }
    close(fd);
    if (status != MIEN_OK) {
        mien_free(data);
        return status;
    }
    *ret = (mien__file_map){ data, done, false };
    return MIEN_OK;
}

void mien__file_map_close(mien__file_map *m)
{
    if (m->mapped)
        munmap((void *)(uintptr_t)m->data, m->size);
    else
        mien_free((void *)(uintptr_t)m->data);
    *m = (mien__file_map){ NULL, 0, false };
}

static mien_status write_all(int fd, const uint8_t *data, size_t bytes, const char *path, mien_error *err)
{
    while (bytes > 0) {
        const ssize_t n = write(fd, data, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return mien__fail(err, MIEN_E_IO, "cannot write %s: %s", path, strerror(errno));
        data += n;
        bytes -= (size_t)n;
    }
    return MIEN_OK;
}

mien_status mien__file_write_atomic(const char *path, const void *data, size_t bytes, mien_error *err)
{
    const mien__file_part whole = { data, bytes };
    return mien__file_write_parts(path, &whole, 1, err);
}

mien_status mien__file_new(mien__new_file *ret, const char *path, mien_error *err)
{
    static const char suffix[] = ".tmp.XXXXXX";
    const size_t len = strlen(path);
    char *const tmp = mien_alloc(len + sizeof suffix);
    if (!tmp)
        return mien__nomem(err, len + sizeof suffix);
    memcpy(tmp, path, len);
    memcpy(tmp + len, suffix, sizeof suffix);
    const int fd = mkstemp(tmp);
    if (fd < 0) {
        mien_free(tmp);
        return mien__fail(err, MIEN_E_IO, "cannot create %s: %s", path, strerror(errno));
    }
    const mode_t mask = umask(0);
    umask(mask);
    (void)fchmod(fd, 0666 & ~mask);
    *ret = (mien__new_file){ fd, tmp, path };
    return MIEN_OK;
}

mien_status mien__file_put(mien__new_file *f, const void *data, size_t bytes, mien_error *err)
{
    return write_all(f->fd, data, bytes, f->path, err);
}

mien_status mien__file_seek(mien__new_file *f, uint64_t at, mien_error *err)
{
    if (lseek(f->fd, (off_t)at, SEEK_SET) < 0)
        return mien__fail(err, MIEN_E_IO, "cannot write %s: %s", f->path, strerror(errno));
    return MIEN_OK;
}

mien_status mien__file_close(mien__new_file *f, mien_status status, mien_error *err)
{
    if (status == MIEN_OK && fsync(f->fd) != 0 && errno != EINVAL)
        status = mien__fail(err, MIEN_E_IO, "cannot write %s: %s", f->path, strerror(errno));
    if (close(f->fd) != 0 && status == MIEN_OK)
        status = mien__fail(err, MIEN_E_IO, "cannot write %s: %s", f->path, strerror(errno));
    if (status == MIEN_OK && rename(f->tmp, f->path) != 0)
        status = mien__fail(err, MIEN_E_IO, "cannot write %s: %s", f->path, strerror(errno));
    if (status != MIEN_OK)
        unlink(f->tmp);
    mien_free(f->tmp);
    *f = (mien__new_file){ -1, NULL, NULL };
    return status;
}

mien_status mien__file_write_parts(const char *path, const mien__file_part *parts, size_t n, mien_error *err)
{
    mien__new_file f = { -1, NULL, NULL };
    mien_status status = mien__file_new(&f, path, err);
    if (status != MIEN_OK)
        return status;
    for (size_t i = 0; i < n && status == MIEN_OK; i++)
        status = mien__file_put(&f, parts[i].data, parts[i].bytes, err);
    return mien__file_close(&f, status, err);
}

mien_status mien__file_sync_folder(const char *path, mien_error *err)
{
    const char *const slash = strrchr(path, '/');
    char *const folder =
        slash ? mien_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : mien_strdup(".");
    if (!folder)
        return mien__nomem(err, strlen(path));
    mien_status status = MIEN_OK;
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL && errno != EROFS))
        status = mien__fail(err, MIEN_E_IO, "cannot write the folder %s: %s", folder, strerror(errno));
    if (fd >= 0)
        close(fd);
    mien_free(folder);
    return status;
}
