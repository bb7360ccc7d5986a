/* Opening, saving and erasing in the file of an index (index_file.h has its form).
 *
 * A saved file is never written over but in two ways: a new one takes its place by rename, so that those who
 * have the old one mapped keep it whole; and templates are erased in place. It is mapped privately: what a
 * process changes is its own copy of a page, what it leaves alone is shared with all.
 *
 * An erasure writes the block, then header and table, under the file's lock. Whoever reads while it is being
 * done finds a block that does not match its checksum, takes the lock, which waits for the eraser, and looks
 * again. One that was cut off half-way leaves a file that does not match for good, and is rebuilt.
 */
#include "search/index_file.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sodium.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static mien_status io_fault(const char *what, const char *path, mien_error *err)
{
    return mien__fail(err, MIEN_E_IO, "cannot %s %s: %s", what, path, strerror(errno));
}

static mien_status lock(int fd, int how, const char *path, mien_error *err)
{
    while (flock(fd, how) != 0) {
        if (errno != EINTR)
            return io_fault("lock", path, err);
    }
    return MIEN_OK;
}

/* Open a regular file and lock it; when it was replaced meanwhile, the one that took its place. */
mien_status mien__idx_open_locked(const char *path, int flags, int how, int *ret_fd, size_t *ret_size,
                                  mien_error *err)
{
    for (;;) {
        struct stat here, there;
        const int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
            return mien__fail(err, errno == ENOENT || errno == ENOTDIR ? MIEN_E_NOT_FOUND : MIEN_E_IO,
                              "cannot open %s: %s", path, strerror(errno));
        mien_status status = MIEN_OK;
        if (fstat(fd, &here) != 0)
            status = io_fault("read", path, err);
        else if (!S_ISREG(here.st_mode))
            status = mien__fail(err, MIEN_E_INDEX_FORMAT, "%s is not a regular file", path);
        else
            status = lock(fd, how, path, err);
        if (status == MIEN_OK && fstat(fd, &here) != 0)
            status = io_fault("read", path, err);
        if (status != MIEN_OK) {
            close(fd);
            return status;
        }
        if (stat(path, &there) == 0 && there.st_ino == here.st_ino && there.st_dev == here.st_dev) {
            *ret_fd = fd;
            *ret_size = (size_t)here.st_size;
            return MIEN_OK;
        }
        close(fd);
    }
}

/* ---- opening ---- */

typedef struct unsealing {
    mien_index *ix;
    const mien__idx_head *head;
    atomic_int failed;
} unsealing;

static void entry_of(const mien_index *ix, size_t b, bool sealed, mien__idx_entry *ret)
{
    mien__idx_entry_get(ix->file + MIEN__IDX_HEADER + b * MIEN__IDX_ENTRY, sealed, ret);
}

static void unseal_block(void *ctx, size_t b, unsigned worker)
{
    (void)worker;
    unsealing *const u = ctx;
    mien__idx_entry e;
    entry_of(u->ix, b, true, &e);
    const uint8_t *const src = u->ix->file + u->head->data_at + b * u->head->block_bytes;
    if (!mien__idx_unseal(&u->ix->keys, u->ix->opts.gallery, b, src, u->head->block_bytes,
                          mien__index_block(u->ix, b)->codes, &e))
        atomic_store(&u->failed, 1);
}

static mien_status open_blocks(mien_index *ix, const mien__idx_head *h, const char *path, mien_error *err)
{
    mien_status status = MIEN_OK;
    for (size_t b = 0; b < h->n_blocks && status == MIEN_OK; b++) {
        mien__idx_entry e;
        entry_of(ix, b, h->sealed, &e);
        uint8_t *const mem = h->sealed ? NULL : ix->file + h->data_at + b * h->block_bytes;
        status = mien__index_add_block(ix, mem, h->coded, e.used, err);
    }
    if (status != MIEN_OK || !h->sealed)
        return status;
    unsealing u = { .ix = ix, .head = h };
    mien__pool_run(ix->pool, unseal_block, &u, h->n_blocks);
    munmap(ix->file, ix->file_bytes);
    ix->file = NULL;
    if (atomic_load(&u.failed))
        return mien__fail(err, MIEN_E_INDEX_CORRUPT, "%s does not open with its key: it was changed", path);
    return MIEN_OK;
}

static mien_status map_file(mien_index *ix, const char *path, size_t *ret_size, mien_error *err)
{
    const mien_status status = mien__idx_open_locked(path, O_RDONLY, LOCK_SH, &ix->fd, ret_size, err);
    if (status != MIEN_OK)
        return status;
    if (*ret_size < MIEN__IDX_HEADER)
        return mien__fail(err, MIEN_E_INDEX_FORMAT, "%s is not a search index", path);
    void *const p = mmap(NULL, *ret_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, ix->fd, 0);
    if (p == MAP_FAILED)
        return io_fault("map", path, err);
    (void)madvise(p, *ret_size, MADV_WILLNEED);
    ix->file = p;
    ix->file_bytes = *ret_size;
    return MIEN_OK;
}

mien_status mien_index_open(const char *path, const mien_index_opts *opts, mien_index **ret, mien_error *err)
{
    if (!path || !opts || !ret)
        return mien__fail(err, MIEN_E_ARG, "NULL argument");
    if (opts->struct_size == sizeof *opts && opts->keep_floats)
        return mien__fail(err, MIEN_E_ARG, "a saved index has no floats to keep");
    mien_index *ix = NULL;
    mien__idx_head head;
    size_t size = 0;
    mien_status status = mien_index_new(opts, &ix, err);
    if (status != MIEN_OK)
        return status;
    status = map_file(ix, path, &size, err);
    if (status == MIEN_OK)
        status = mien__idx_head_get(ix->file, size, path, opts, &ix->keys, &head, err);
    if (status == MIEN_OK) {
        atomic_store(&ix->n, head.n);
        atomic_store(&ix->seq, head.seq);
        status = open_blocks(ix, &head, path, err);
    }
    if (ix->fd >= 0)
        (void)flock(ix->fd, LOCK_UN);
    if (status != MIEN_OK) {
        mien_index_free(ix);
        return status;
    }
    *ret = ix;
    return MIEN_OK;
}

/* ---- checking mapped blocks ---- */

/* Numbers of places as a writer makes them: what a damaged file of good checksums could bring is NaN and the
 * like. */
static bool sane(const mien__block *b, const mien__idx_entry *e)
{
    size_t live = 0;
    for (size_t i = 0; i < MIEN__BLOCK; i++) {
        const bool taken = b->error[i] >= 0;
        if (taken ? !(b->error[i] <= 1 && b->scale[i] > 0 && b->scale[i] <= 1 && i < e->used)
                  : b->error[i] != -INFINITY)
            return false;
        live += taken;
    }
    return live == e->live;
}

static bool matches(const mien_index *ix, size_t b)
{
    const mien__block *const block = mien__index_block(ix, b);
    mien__idx_entry e;
    entry_of(ix, b, false, &e);
    const size_t bytes = block->signs ? ix->layout.coded_bytes : ix->layout.plain_bytes;
    return mien__idx_sum_ok(ix->kernels, block->codes, bytes, &e) && sane(block, &e);
}

mien_status mien__block_ready(mien_index *ix, size_t b, mien_error *err)
{
    mien__block *const block = mien__index_block(ix, b);
    if (atomic_load(&block->state) == MIEN__BLOCK_UNREAD) {
        pthread_rwlock_rdlock(&block->lock); /* until it is checked nobody may change it */
        if (atomic_load(&block->state) == MIEN__BLOCK_UNREAD) {
            bool ok = matches(ix, b);
            if (!ok && lock(ix->fd, LOCK_SH, "the index", NULL) == MIEN_OK) { /* being erased in? */
                ok = matches(ix, b);
                (void)flock(ix->fd, LOCK_UN);
            }
            atomic_store(&block->state, ok ? MIEN__BLOCK_GOOD : MIEN__BLOCK_BAD);
        }
        pthread_rwlock_unlock(&block->lock);
    }
    if (atomic_load(&block->state) == MIEN__BLOCK_BAD)
        return mien__fail(err, MIEN_E_INDEX_CORRUPT, "block %zu of the index does not match its checksum", b);
    return MIEN_OK;
}

mien_status mien_index_verify(mien_index *ix, mien_error *err)
{
    if (!ix)
        return mien__fail(err, MIEN_E_ARG, "NULL argument");
    mien_status status = MIEN_OK;
    for (size_t b = 0; b < atomic_load(&ix->n_blocks) && status == MIEN_OK; b++)
        status = mien__block_ready(ix, b, err);
    return status;
}

/* ---- saving ---- */

static uint32_t count_live(const mien__block *b)
{
    uint32_t n = 0;
    for (size_t i = 0; i < b->used; i++)
        n += b->error[i] >= 0;
    return n;
}

/* One block, from where its parts lie. `work` holds a block. */
static mien_status put_block(mien_index *ix, mien__new_file *f, const mien__idx_head *h, size_t number,
                             uint8_t *work, mien__idx_entry *e, mien_error *err)
{
    const mien__index_layout *const l = &ix->layout;
    mien__block *const b = mien__index_block(ix, number);
    *e = (mien__idx_entry){ .used = (uint32_t)b->used, .live = count_live(b), .generation = 1 };
    const uint8_t *src = b->codes;
    if (h->coded && b->own_signs) {
        memset(work, 0, h->block_bytes);
        memcpy(work, b->codes, l->signs_at);
        memcpy(work + l->signs_at, b->signs, l->sign_block_bytes);
        src = work;
    }
    if (h->sealed) {
        mien__idx_seal(&ix->keys, ix->opts.gallery, number, src, h->block_bytes, work, e);
        src = work;
    } else {
        mien__idx_sum(ix->kernels, src, h->block_bytes, e);
    }
    return mien__file_put(f, src, h->block_bytes, err);
}

static mien_status put_blocks(mien_index *ix, mien__new_file *f, mien__idx_head *h, uint8_t *head,
                              mien_error *err)
{
    uint8_t *const work = mien_alloc(h->block_bytes);
    if (!work)
        return mien__nomem(err, h->block_bytes);
    mien_status status = mien__file_seek(f, h->data_at, err);
    for (size_t b = 0; b < h->n_blocks && status == MIEN_OK; b++) {
        mien__idx_entry e;
        if ((status = put_block(ix, f, h, b, work, &e, err)) != MIEN_OK)
            break;
        mien__idx_entry_put(head + MIEN__IDX_HEADER + b * MIEN__IDX_ENTRY, h->sealed, &e);
        h->n += e.live;
    }
    mien_free_secret(work, h->block_bytes);
    return status;
}

static mien_status save(mien_index *ix, const char *path, mien_error *err)
{
    const bool coded = mien__index_is_coded(ix);
    mien_status status = MIEN_OK;
    mien__idx_head h = { .sealed = ix->sealed,
                         .coded = coded,
                         .n_blocks = atomic_load(&ix->n_blocks),
                         .seq = atomic_load(&ix->seq),
                         .block_bytes = coded ? ix->layout.coded_bytes : ix->layout.plain_bytes };
    for (size_t b = 0; b < h.n_blocks && status == MIEN_OK; b++)
        status = coded ? mien__block_code(ix, b, err) : mien__block_ready(ix, b, err);
    if (status != MIEN_OK)
        return status;
    h.data_at = mien__idx_data_at(h.n_blocks);
    h.file_bytes = h.data_at + h.n_blocks * h.block_bytes;
    uint8_t *const head = mien_alloc_zero(h.data_at);
    if (!head)
        return mien__nomem(err, h.data_at);
    mien__new_file f = { -1, NULL, NULL };
    status = mien__file_new(&f, path, err);
    if (status == MIEN_OK)
        (void)fchmod(f.fd, 0600); /* templates are for their owner alone */
    if (status == MIEN_OK) {
        status = put_blocks(ix, &f, &h, head, err);
        if (status == MIEN_OK) {
            mien__idx_head_put(head, &h, &ix->opts, &ix->keys);
            status = mien__file_seek(&f, 0, err);
        }
        if (status == MIEN_OK)
            status = mien__file_put(&f, head, h.data_at, err);
        status = mien__file_close(&f, status, err);
    }
    mien_free(head);
    return status;
}

mien_status mien_index_sync(mien_index *ix, const char *path, mien_error *err)
{
    if (!ix || !path)
        return mien__fail(err, MIEN_E_ARG, "NULL argument");
    pthread_mutex_lock(&ix->writer);
    const mien_status status = save(ix, path, err);
    if (status == MIEN_OK)
        atomic_store(&ix->changes, 0);
    pthread_mutex_unlock(&ix->writer);
    return status;
}
