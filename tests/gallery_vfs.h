/* A file system for SQLite that fails on demand and can be asked what a power cut would have left.
 *
 * It stands over the system's own VFS. Every call that can fail counts; the n-th fails, once or from then on.
 * Beside each file it keeps what is certain to be on the disk (what was there at the last sync) and what was
 * written since. A cut takes, at the n-th call, the certain bytes and of the rest a random part in sectors of
 * 512 bytes, torn ones among them; then every further call fails, as of a process that is no more. WAL index
 * memory is not kept: it does not survive a cut anyway.
 */
#ifndef MIEN_TESTS_GALLERY_VFS_H
#define MIEN_TESTS_GALLERY_VFS_H

#include "base/base.h"
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VFS_FILES = 16, VFS_SECTOR = 512 };

typedef struct vfs_write {
    struct vfs_write *next;
    sqlite3_int64 at; /* -1: truncate to `bytes` */
    size_t bytes;
    uint8_t *data;
} vfs_write;

/* A file by name: what is certain, and what came since. */
typedef struct vfs_image {
    char name[256];
    bool certain; /* the file itself is sure to be there */
    uint8_t *data;
    size_t bytes;
    vfs_write *first, *last;
} vfs_image;

static struct {
    sqlite3_vfs vfs, *real;
    long calls, fail_at, cut_at; /* 0: never */
    bool keep, dead, keep_images, no_sync;
    int failure; /* SQLite's code */
    mien__rng rng;
    vfs_image images[VFS_FILES];
    int n_images;
    /* what the cut left */
    vfs_image left[VFS_FILES];
    int n_left;
} vfs;

typedef struct vfs_file {
    sqlite3_file base;
    vfs_image *image;
    sqlite3_file *real;
} vfs_file;

/* ---- images ---- */

static void vfs_apply(vfs_image *im, const vfs_write *w)
{
    const size_t end = w->at < 0 ? w->bytes : (size_t)w->at + w->bytes;
    if (end > im->bytes) {
        im->data = realloc(im->data, end);
        memset(im->data + im->bytes, 0, end - im->bytes);
        im->bytes = end;
    }
    if (w->at < 0)
        im->bytes = w->bytes;
    else
        memcpy(im->data + w->at, w->data, w->bytes);
}

static void vfs_drop_writes(vfs_image *im)
{
    for (vfs_write *w = im->first, *next = NULL; w; w = next) {
        next = w->next;
        free(w->data);
        free(w);
    }
    im->first = im->last = NULL;
}

static vfs_image *vfs_image_of(const char *name)
{
    for (int i = 0; i < vfs.n_images; i++)
        if (strcmp(vfs.images[i].name, name) == 0)
            return &vfs.images[i];
    if (vfs.n_images == VFS_FILES)
        abort();
    vfs_image *const im = &vfs.images[vfs.n_images++];
    *im = (vfs_image){ { 0 }, false, NULL, 0, NULL, NULL };
    snprintf(im->name, sizeof im->name, "%s", name);
    FILE *const f = fopen(name, "rb"); /* what is there already has been there for long */
    if (f) {
        fseek(f, 0, SEEK_END);
        im->bytes = (size_t)ftell(f);
        rewind(f);
        im->data = malloc(im->bytes + 1);
        im->certain = fread(im->data, 1, im->bytes, f) == im->bytes;
        fclose(f);
    }
    return im;
}

static void vfs_note(vfs_image *im, sqlite3_int64 at, const void *data, size_t bytes)
{
    if (!vfs.keep_images || !im)
        return;
    vfs_write *const w = calloc(1, sizeof *w);
    w->at = at;
    w->bytes = bytes;
    if (data) {
        w->data = malloc(bytes + 1);
        memcpy(w->data, data, bytes);
    }
    *(im->last ? &im->last->next : &im->first) = w;
    im->last = w;
}

static void vfs_synced(vfs_image *im)
{
    if (!vfs.keep_images || !im)
        return;
    for (const vfs_write *w = im->first; w; w = w->next)
        vfs_apply(im, w);
    vfs_drop_writes(im);
    im->certain = true;
}

/* Sector by sector: written, not written, or torn: half of it. */
static void vfs_apply_part(vfs_image *im, const vfs_write *w)
{
    if (w->at < 0) {
        if (mien__rng_u64(&vfs.rng) % 2)
            vfs_apply(im, w);
        return;
    }
    for (size_t at = 0; at < w->bytes; at += VFS_SECTOR) {
        const unsigned luck = (unsigned)(mien__rng_u64(&vfs.rng) % 16);
        size_t n = w->bytes - at < VFS_SECTOR ? w->bytes - at : VFS_SECTOR;
        if (luck < 7)
            continue;
        if (luck == 7)
            n = n / 2;
        const vfs_write part = { NULL, w->at + (sqlite3_int64)at, n, w->data + at };
        vfs_apply(im, &part);
    }
}

static void vfs_cut(void)
{
    const unsigned mood =
        (unsigned)(mien__rng_u64(&vfs.rng) % 4); /* nothing, everything, or some of it came through */
    vfs.n_left = 0;
    for (int i = 0; i < vfs.n_images; i++) {
        vfs_image *const from = &vfs.images[i], *const to = &vfs.left[vfs.n_left];
        if (!from->certain && mien__rng_u64(&vfs.rng) % 2)
            continue;
        *to = *from;
        to->first = to->last = NULL;
        to->data = malloc(from->bytes + 1);
        if (from->bytes)
            memcpy(to->data, from->data, from->bytes);
        for (const vfs_write *w = from->first; w; w = w->next)
            if (mood == 1)
                vfs_apply(to, w);
            else if (mood > 1)
                vfs_apply_part(to, w);
        vfs.n_left++;
    }
    vfs.dead = true;
}

/* ---- faults ---- */

static int vfs_step(int failure)
{
    vfs.calls++;
    if (vfs.cut_at && vfs.calls == vfs.cut_at)
        vfs_cut();
    if (vfs.dead)
        return failure;
    const bool fail = vfs.fail_at && (vfs.calls == vfs.fail_at || (vfs.keep && vfs.calls > vfs.fail_at));
    return fail ? (vfs.failure ? vfs.failure : failure) : SQLITE_OK;
}

/* ---- the methods ---- */

#define VFS_REAL(f) (((vfs_file *)(f))->real)

static int vfs_close(sqlite3_file *f)
{
    const int rc = VFS_REAL(f)->pMethods ? VFS_REAL(f)->pMethods->xClose(VFS_REAL(f)) : SQLITE_OK;
    sqlite3_free(VFS_REAL(f));
    return rc;
}

static int vfs_read(sqlite3_file *f, void *buf, int n, sqlite3_int64 at)
{
    const int rc = vfs_step(SQLITE_IOERR_READ);
    return rc ? rc : VFS_REAL(f)->pMethods->xRead(VFS_REAL(f), buf, n, at);
}

static int vfs_write_at(sqlite3_file *f, const void *buf, int n, sqlite3_int64 at)
{
    int rc = vfs_step(vfs.calls % 2 ? SQLITE_FULL : SQLITE_IOERR_WRITE);
    if (!rc && !(rc = VFS_REAL(f)->pMethods->xWrite(VFS_REAL(f), buf, n, at)))
        vfs_note(((vfs_file *)f)->image, at, buf, (size_t)n);
    return rc;
}

static int vfs_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    int rc = vfs_step(SQLITE_IOERR_TRUNCATE);
    if (!rc && !(rc = VFS_REAL(f)->pMethods->xTruncate(VFS_REAL(f), size)))
        vfs_note(((vfs_file *)f)->image, -1, NULL, (size_t)size);
    return rc;
}

static int vfs_sync(sqlite3_file *f, int flags)
{
    int rc = vfs_step(SQLITE_IOERR_FSYNC);
    (void)flags; /* the image is what counts: no need to wait for the real disk */
    if (!rc && !vfs.no_sync)
        vfs_synced(((vfs_file *)f)->image);
    return rc;
}

static int vfs_size(sqlite3_file *f, sqlite3_int64 *size)
{
    const int rc = vfs_step(SQLITE_IOERR_FSTAT);
    return rc ? rc : VFS_REAL(f)->pMethods->xFileSize(VFS_REAL(f), size);
}

static int vfs_lock(sqlite3_file *f, int level)
{
    const int rc = vfs_step(SQLITE_IOERR_LOCK);
    return rc ? rc : VFS_REAL(f)->pMethods->xLock(VFS_REAL(f), level);
}

static int vfs_unlock(sqlite3_file *f, int level)
{
    return VFS_REAL(f)->pMethods->xUnlock(VFS_REAL(f), level);
}

static int vfs_reserved(sqlite3_file *f, int *out)
{
    return VFS_REAL(f)->pMethods->xCheckReservedLock(VFS_REAL(f), out);
}

static int vfs_control(sqlite3_file *f, int op, void *arg)
{
    return VFS_REAL(f)->pMethods->xFileControl(VFS_REAL(f), op, arg);
}

static int vfs_sector_size(sqlite3_file *f)
{
    (void)f;
    return VFS_SECTOR;
}

static int vfs_traits(sqlite3_file *f)
{
    (void)f;
    return 0; /* nothing is promised: no atomic writes, no safe overwrites */
}

static int vfs_shm_map(sqlite3_file *f, int region, int bytes, int extend, void volatile **out)
{
    const int rc = vfs_step(SQLITE_IOERR_SHMMAP);
    return rc ? rc : VFS_REAL(f)->pMethods->xShmMap(VFS_REAL(f), region, bytes, extend, out);
}

static int vfs_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    const int rc = flags & SQLITE_SHM_UNLOCK ? SQLITE_OK : vfs_step(SQLITE_IOERR_SHMLOCK);
    return rc ? rc : VFS_REAL(f)->pMethods->xShmLock(VFS_REAL(f), offset, n, flags);
}

static void vfs_shm_barrier(sqlite3_file *f)
{
    VFS_REAL(f)->pMethods->xShmBarrier(VFS_REAL(f));
}

static int vfs_shm_unmap(sqlite3_file *f, int remove)
{
    return VFS_REAL(f)->pMethods->xShmUnmap(VFS_REAL(f), remove);
}

static const sqlite3_io_methods vfs_methods = {
    2,          vfs_close,   vfs_read,     vfs_write_at,    vfs_truncate,  vfs_sync,
    vfs_size,   vfs_lock,    vfs_unlock,   vfs_reserved,    vfs_control,   vfs_sector_size,
    vfs_traits, vfs_shm_map, vfs_shm_lock, vfs_shm_barrier, vfs_shm_unmap, NULL,
    NULL,
};

static int vfs_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out)
{
    (void)v;
    int rc = vfs_step(SQLITE_CANTOPEN);
    f->pMethods = NULL;
    if (rc)
        return rc;
    vfs_file *const file = (vfs_file *)f;
    file->real = sqlite3_malloc(vfs.real->szOsFile);
    if (!file->real)
        return SQLITE_NOMEM;
    memset(file->real, 0, (size_t)vfs.real->szOsFile);
    file->image = name && vfs.keep_images ? vfs_image_of(name) : NULL;
    rc = vfs.real->xOpen(vfs.real, name, file->real, flags, out);
    if (rc)
        sqlite3_free(file->real);
    else
        f->pMethods = &vfs_methods;
    return rc;
}

static int vfs_delete(sqlite3_vfs *v, const char *name, int sync)
{
    (void)v;
    int rc = vfs_step(SQLITE_IOERR_DELETE);
    if (!rc && !(rc = vfs.real->xDelete(vfs.real, name, sync)) && vfs.keep_images) {
        vfs_image *const im = vfs_image_of(name);
        vfs_drop_writes(im);
        im->bytes = 0;
        im->certain =
            false; /* there or not, and empty: the WAL is deleted when all of it is in the database */
    }
    return rc;
}

static int vfs_access(sqlite3_vfs *v, const char *name, int flags, int *out)
{
    (void)v;
    const int rc = vfs_step(SQLITE_IOERR_ACCESS);
    return rc ? rc : vfs.real->xAccess(vfs.real, name, flags, out);
}

/* ---- using it ---- */

static inline void vfs_install(void)
{
    vfs.real = sqlite3_vfs_find(NULL);
    vfs.vfs = *vfs.real;
    vfs.vfs.zName = "mien-test";
    vfs.vfs.szOsFile = sizeof(vfs_file);
    vfs.vfs.xOpen = vfs_open;
    vfs.vfs.xDelete = vfs_delete;
    vfs.vfs.xAccess = vfs_access;
    sqlite3_vfs_register(&vfs.vfs, 1);
}

static inline void vfs_remove(void)
{
    sqlite3_vfs_unregister(&vfs.vfs);
    sqlite3_vfs_register(vfs.real, 1);
}

static inline void vfs_reset(void)
{
    for (int i = 0; i < vfs.n_images; i++) {
        vfs_drop_writes(&vfs.images[i]);
        free(vfs.images[i].data);
    }
    for (int i = 0; i < vfs.n_left; i++)
        free(vfs.left[i].data);
    vfs.n_images = vfs.n_left = 0;
    vfs.calls = vfs.fail_at = vfs.cut_at = 0;
    vfs.failure = 0;
    vfs.keep = vfs.dead = vfs.keep_images = vfs.no_sync = false;
}

/* Write what the cut left in place of what is there. Shared memory is gone. */
static inline void vfs_put_back(void)
{
    for (int i = 0; i < vfs.n_images; i++)
        remove(vfs.images[i].name);
    for (int i = 0; i < vfs.n_left; i++) {
        FILE *const f = fopen(vfs.left[i].name, "wb");
        if (!f || fwrite(vfs.left[i].data, 1, vfs.left[i].bytes, f) != vfs.left[i].bytes)
            abort();
        fclose(f);
    }
}

#endif
