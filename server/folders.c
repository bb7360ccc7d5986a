/* See folders.h. A file is written beside its place and renamed over it, so that nobody ever sees half of one. */
#include "folders.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool folder_path(char ret[FOLDER_PATH_BYTES], const char *dir, const char *name)
{
    const int n = snprintf(ret, FOLDER_PATH_BYTES, "%s/%s", dir, name);
    return n > 0 && n < FOLDER_PATH_BYTES;
}

bool folder_make(const char *path, char *fault, size_t capacity)
{
    char part[512];
    if ((size_t)snprintf(part, sizeof part, "%s", path) >= sizeof part) {
        snprintf(fault, capacity, "the data folder's path is too long");
        return false;
    }
    for (char *s = part + 1;; s++) {
        if (*s != '/' && *s)
            continue;
        const char kept = *s;
        *s = 0;
        if (mkdir(part, 0700) && errno != EEXIST) {
            snprintf(fault, capacity, "%.160s: %s", part, strerror(errno));
            return false;
        }
        if (!(*s = kept))
            return true;
    }
}

static int drop(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    remove(path); /* what stays is met again by the next sweep */
    return 0;
}

void folder_remove(const char *path)
{
    nftw(path, drop, 16, FTW_DEPTH | FTW_PHYS);
}

void folder_new_id(char ret[FOLDER_ID_BYTES])
{
    uint8_t id[(FOLDER_ID_BYTES - 1) / 2];
    randombytes_buf(id, sizeof id);
    sodium_bin2hex(ret, FOLDER_ID_BYTES, id, sizeof id);
}

bool folder_is_id(const char *text)
{
    return text && strlen(text) == FOLDER_ID_BYTES - 1 &&
           strspn(text, "0123456789abcdef") == FOLDER_ID_BYTES - 1;
}

uint8_t *file_read(const char *path, size_t most, size_t *ret_bytes)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    uint8_t *data = NULL;
    size_t n = 0;
    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size < 0 || (uint64_t)st.st_size > most)
        errno = EFBIG;
    else
        data = malloc((size_t)st.st_size + 1);
    while (data && n < (size_t)st.st_size) {
        const ssize_t got = read(fd, data + n, (size_t)st.st_size - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    close(fd);
    if (data)
        data[n] = 0;
    *ret_bytes = n;
    return data;
}

static bool write_all(int fd, const uint8_t *data, size_t n)
{
    while (n) {
        const ssize_t put = write(fd, data, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        data += put;
        n -= (size_t)put;
    }
    return true;
}

bool file_write(const char *path, const void *data, size_t bytes)
{
    char beside[FOLDER_PATH_BYTES + 8];
    if ((size_t)snprintf(beside, sizeof beside, "%s.XXXXXX", path) >= sizeof beside) {
        errno = ENAMETOOLONG;
        return false;
    }
    const int fd = mkostemp(beside, O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = write_all(fd, data, bytes) && fsync(fd) == 0;
    ok = close(fd) == 0 && ok && rename(beside, path) == 0;
    if (!ok)
        unlink(beside);
    return ok;
}
