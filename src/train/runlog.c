/* Writing the log of a run; see runlog.h. */
#include "train/runlog.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { LINE_BYTES = 1 << 20 };

struct mien__runlog {
    int fd;
    off_t size; /* whole lines */
    char *path;
};

static mien_status io_error(const char *path, mien_error *err)
{
    return mien__fail(err, MIEN_E_IO, "cannot write the log %s: %s", path, strerror(errno));
}

/* Bytes of whole lines up to and with the given step. */
static mien_status bytes_to_keep(const char *path, uint64_t last_step, size_t *ret, mien_error *err)
{
    mien__file_map m = { 0 };
    mien_status st = mien__file_read(&m, path, MIEN__RUNLOG_MAX_BYTES, err);
    if (st)
        return st;
    mien__runlog_line *const line = mien_alloc(sizeof *line);
    if (!line) {
        mien__file_map_close(&m);
        return mien__nomem(err, sizeof *line);
    }
    const char *const data = (const char *)m.data;
    size_t at = 0;
    for (const char *end; at < m.size && (end = memchr(data + at, '\n', m.size - at));) {
        double step;
        if (mien__runlog_scan(data + at, (size_t)(end - data) - at, line) && mien__runlog_step(line, &step) &&
            step > (double)last_step)
            break;
        at = (size_t)(end - data) + 1;
    }
    mien_free(line);
    mien__file_map_close(&m);
    *ret = at;
    return MIEN_OK;
}

mien_status mien__runlog_open(const char *path, const uint64_t *resume, mien__runlog **ret, mien_error *err)
{
    if (!path || !ret)
        return mien__fail(err, MIEN_E_ARG, "log of a run: a pointer is NULL");
    size_t keep = 0;
    mien_status st = MIEN_OK;
    if (resume && access(path, F_OK) == 0)
        st = bytes_to_keep(path, *resume, &keep, err);
    if (st)
        return st;
    mien__runlog *const l = mien_alloc_zero(sizeof *l);
    if (!l)
        return mien__nomem(err, sizeof *l);
    l->fd = -1;
    l->size = (off_t)keep;
    l->path = mien_strdup(path);
    if (!l->path)
        st = mien__nomem(err, strlen(path) + 1);
    if (!st && (l->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0666)) < 0)
        st = io_error(path, err);
    if (!st && ftruncate(l->fd, l->size) != 0)
        st = io_error(path, err);
    if (st)
        mien__runlog_close(l);
    else
        *ret = l;
    return st;
}

void mien__runlog_close(mien__runlog *l)
{
    if (!l)
        return;
    if (l->fd >= 0)
        close(l->fd);
    mien_free(l->path);
    mien_free(l);
}

static mien_status format_line(const mien__runlog_record *r, mien__buf *ret, mien_error *err)
{
    mien__text t;
    mien__text_init(&t, LINE_BYTES, err);
    mien__text_fmt(&t, "{\"step\":%llu,\"epoch\":%llu", (unsigned long long)r->step,
                   (unsigned long long)r->epoch);
    for (size_t i = 0; i < r->n_values; i++) {
        mien__text_fmt(&t, ",");
        mien__text_json(&t, r->values[i].name);
        mien__text_fmt(&t, ":");
        mien__text_json_f64(&t, r->values[i].value, 9);
    }
    if (r->validation) {
        mien__text_fmt(&t, ",\"validation\":");
        mien__validation_json(r->validation, NULL, 0, &t);
    }
    if (r->note) {
        mien__text_fmt(&t, ",\"note\":");
        mien__text_json(&t, r->note);
    }
    mien__text_fmt(&t, "}\n");
    return mien__text_take(&t, ret);
}

mien_status mien__runlog_write(mien__runlog *l, const mien__runlog_record *r, mien_error *err)
{
    mien__buf line = { 0 };
    mien_status st = format_line(r, &line, err);
    for (size_t done = 0; !st && done < line.size;) {
        const ssize_t n = write(l->fd, line.data + done, line.size - done);
        if (n >= 0) {
            done += (size_t)n;
        } else if (errno != EINTR) {
            st = io_error(l->path, err);
            if (ftruncate(l->fd, l->size) != 0)
                mien__log(MIEN_LOG_WARN, "the log %s ends in a partial line", l->path);
        }
    }
    if (!st)
        l->size += (off_t)line.size;
    mien__buf_free(&line);
    return st;
}
