/* Decoding in a confined worker: this process's side.
 *
 * A worker is a fork of this process that confines itself (sandbox_worker.c) and then serves one picture
 * after the other: the file's bytes and the pixels pass through shared memory, a few numbers through a
 * socket. It is made when first needed and kept, since forking costs milliseconds and a picture only some 0.1
 * ms more. A worker that dies, hangs or answers nonsense costs the picture it had; the next picture gets a
 * fresh one.
 *
 * Choices:
 *   - fork without exec: a library cannot count on a helper program's place. The child leaves the other
 * threads' world at once: it keeps no file, handler or allocator hook of the host, and uses malloc and dlopen
 * only as far as the C library makes them safe in a forked child (glibc does; so does musl since 1.2.2).
 * Memory of the host is readable in the child, which has no way to send it anywhere but back.
 *   - slots with a lock each, so that threads decode side by side. The first that is free is taken, so no
 * more workers are made than there are threads that decode at once. libheif has a slot of its own, because
 * only that worker ever loads it.
 *   - the child's CPU time is limited from here per picture; a picture that waits is ended by the clock.
 * A host that forks after the first sandboxed picture gets workers of its own (the owner's pid is kept).
 */
#include "image/sandbox.h"

#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PLAIN_SLOTS = 16, SLOTS = PLAIN_SLOTS + 1, PAGE = 4096 };
enum { CPU_MAX_S = 60, WAIT_MAX_MS = 90 * 1000 };
static const size_t warm_bytes = (size_t)8 << 20; /* shared memory kept between pictures */
static const size_t spare_bytes = (size_t)256
                                  << 20; /* a worker's memory besides what grows with the picture */
enum { WORK_BYTES_PER_PX = 16 };         /* the hungriest codec: coefficients or planes and a row buffer */

typedef struct slot {
    pthread_mutex_t lock;
    pid_t pid, owner; /* pid 0: no worker */
    int fd;
    uint8_t *shared;
    size_t shared_bytes;
    uint64_t max_pixels; /* what the worker's memory limit was made for */
    const mien__codec *loaded;
} slot;

#define SLOT_INIT                                             \
    {                                                         \
        PTHREAD_MUTEX_INITIALIZER, 0, 0, -1, NULL, 0, 0, NULL \
    }
#define SLOTS_INIT_4 SLOT_INIT, SLOT_INIT, SLOT_INIT, SLOT_INIT
static slot slots[SLOTS] = { SLOTS_INIT_4, SLOTS_INIT_4, SLOTS_INIT_4, SLOTS_INIT_4, SLOT_INIT };

/* ---- a worker's beginning and end ---- */

/* End the slot's worker; returns its wait status, or -1 when unknown. */
static int slot_stop(slot *s)
{
    int how = -1;
    if (s->pid > 0 && s->owner == getpid()) {
        (void)kill(s->pid, SIGKILL);
        while (waitpid(s->pid, &how, 0) < 0) {
            if (errno != EINTR) {
                how = -1;
                break;
            }
        }
    }
    if (s->fd >= 0)
        close(s->fd);
    if (s->shared)
        munmap(s->shared, s->shared_bytes);
    s->pid = 0;
    s->fd = -1;
    s->shared = NULL;
    s->shared_bytes = 0;
    s->loaded = NULL;
    return how;
}

static mien_status fork_worker(slot *s, const mien__codec *codec, mien_error *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return mien__fail(err, MIEN_E_IO, "cannot make a socket for the decoder process: %s",
                          strerror(errno));
    const uint64_t memory = spare_bytes + WORK_BYTES_PER_PX * s->max_pixels;
    sigset_t all, before;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* no handler of the host may run in the child */
    const pid_t pid = fork();
    if (pid == 0)
        mien__sandbox_worker(pair[1], s->shared, s->shared_bytes, (size_t)memory, codec->load ? codec : NULL);
    const int why = errno;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return mien__fail(err, MIEN_E_NOMEM, "cannot start the decoder process: %s", strerror(why));
    }
    s->pid = pid;
    s->owner = getpid();
    s->fd = pair[0];
    return MIEN_OK;
}

/* ---- messages ---- */

/* Wait for an answer; false when the worker died, broke the protocol or took too long (*ret_late). */
static bool receive(slot *s, mien__sandbox_reply *reply, bool *ret_late)
{
    const double end = mien__now_ms() + WAIT_MAX_MS;
    *ret_late = false;
    for (;;) {
        struct pollfd p = { s->fd, POLLIN, 0 };
        const double left = end - mien__now_ms();
        const int n = left > 0 ? poll(&p, 1, (int)left + 1) : 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            *ret_late = n == 0;
            return false;
        }
        const ssize_t got = recv(s->fd, reply, sizeof *reply, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got != (ssize_t)sizeof *reply)
            return false;
        reply->message[sizeof reply->message - 1] = '\0';
        for (char *c = reply->message; *c; c++) {
            if ((unsigned char)*c < 0x20)
                *c = '?';
        }
        return true;
    }
}

static mien_status slot_start(slot *s, const mien__codec *codec, size_t shared_bytes, uint64_t max_pixels,
                              mien_error *err)
{
    slot_stop(s);
    uint8_t *const shared =
        mmap(NULL, shared_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (shared == MAP_FAILED)
        return mien__nomem(err, shared_bytes);
    s->shared = shared;
    s->shared_bytes = shared_bytes;
    s->max_pixels = max_pixels;
    mien_status status = fork_worker(s, codec, err);
    if (status != MIEN_OK) {
        slot_stop(s);
        return status;
    }
    mien__sandbox_reply hello;
    bool late = false;
    if (!receive(s, &hello, &late) || hello.status != MIEN_OK) {
        const bool missing = codec->load && hello.status == MIEN_E_IMAGE_CODEC;
        slot_stop(s);
        return missing
                   ? mien__fail(err, MIEN_E_IMAGE_CODEC, "the library for %s pictures is not installed",
                                codec->name)
                   : mien__fail(err, MIEN_E_UNSUPPORTED, "this system cannot confine the decoder process");
    }
    s->loaded = codec->load ? codec : NULL;
    return MIEN_OK;
}

/* ---- one picture ---- */

static mien_status report_death(slot *s, bool late, mien_error *err)
{
    const int how = slot_stop(s);
    if (late)
        return mien__fail(err, MIEN_E_LIMIT, "decoding took longer than the limit of %d s",
                          WAIT_MAX_MS / 1000);
    if (how != -1 && WIFSIGNALED(how) && WTERMSIG(how) == SIGXCPU)
        return mien__fail(err, MIEN_E_LIMIT, "decoding took more processor time than the limit of %d s",
                          CPU_MAX_S);
    if (how != -1 && WIFSIGNALED(how) && WTERMSIG(how) == SIGSYS)
        return mien__fail(err, MIEN_E_IMAGE_CORRUPT,
                          "the decoder was stopped: the picture made it do what it must not");
    return mien__fail(err, MIEN_E_IMAGE_CORRUPT, "the decoder crashed on this picture");
}

static void limit_cpu(const slot *s)
{
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid(s->pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
        return;
    const struct rlimit r = { (rlim_t)used.tv_sec + CPU_MAX_S + 1, RLIM_INFINITY };
    (void)prlimit(s->pid, RLIMIT_CPU, &r, NULL);
}

static mien_status take_reply(slot *s, const mien__sandbox_request *request, const mien__sandbox_reply *reply,
                              mien_image **ret, mien_error *err)
{
    switch (reply->status) {
    case MIEN_OK:
        break;
    case MIEN_E_NOMEM:
    case MIEN_E_LIMIT:
    case MIEN_E_IMAGE_FORMAT:
    case MIEN_E_IMAGE_CORRUPT:
    case MIEN_E_IMAGE_CODEC:
        return mien__fail(err, (mien_status)reply->status, "%s", reply->message);
    default:
        slot_stop(s);
        return mien__fail(err, MIEN_E_IMAGE_CORRUPT, "the decoder answered nonsense");
    }
    const uint64_t pixels = (uint64_t)(uint32_t)reply->width * (uint32_t)reply->height;
    const bool good = reply->width > 0 && reply->height > 0 && reply->width <= request->opts.max_side &&
                      reply->height <= request->opts.max_side && pixels <= request->opts.max_pixels &&
                      3 * pixels <= s->shared_bytes - request->pixels_at && reply->orientation >= 1 &&
                      reply->orientation <= 8 &&
                      (reply->scale == 1 || reply->scale == 2 || reply->scale == 4 || reply->scale == 8);
    if (!good) {
        slot_stop(s);
        return mien__fail(err, MIEN_E_IMAGE_CORRUPT, "the decoder answered nonsense");
    }
    mien__canvas canvas = { s->shared + request->pixels_at,
                            reply->width,
                            reply->height,
                            reply->scale,
                            reply->orientation,
                            s->shared + request->pixels_at,
                            s->shared_bytes - request->pixels_at };
    return mien__canvas_to_image(&canvas, ret, err);
}

static mien_status slot_decode(slot *s, const mien__codec *codec, const uint8_t *data, size_t size,
                               const mien_image_opts *opts, mien_image **ret, mien_error *err)
{
    mien__sandbox_request request = { codec, size, (size + PAGE - 1) / PAGE * PAGE, *opts };
    const mien_image_opts usual = MIEN_IMAGE_OPTS_INIT;
    const uint64_t max_pixels = opts->max_pixels > usual.max_pixels ? opts->max_pixels : usual.max_pixels;
    const size_t input = size > usual.max_bytes ? size : usual.max_bytes;
    const size_t need = (input + PAGE - 1) / PAGE * PAGE + 3 * (size_t)max_pixels;
    const mien__codec *const loaded = codec->load ? codec : NULL;
    mien__sandbox_reply reply;
    bool late = false;
    for (int attempt = 0;; attempt++) {
        if (s->pid == 0 || s->owner != getpid() || s->shared_bytes < need || s->max_pixels < max_pixels ||
            s->loaded != loaded) {
            const mien_status status = slot_start(s, codec, need, max_pixels, err);
            if (status != MIEN_OK)
                return status;
        }
        memcpy(s->shared, data, size);
        limit_cpu(s);
        if (send(s->fd, &request, sizeof request, MSG_NOSIGNAL) == (ssize_t)sizeof request)
            break;
        slot_stop(s); /* it died between two pictures: neither is to blame */
        if (attempt > 0)
            return mien__fail(err, MIEN_E_INTERNAL, "the decoder process cannot be kept alive");
    }
    if (!receive(s, &reply, &late))
        return report_death(s, late, err);
    const mien_status status = take_reply(s, &request, &reply, ret, err);
    const size_t used =
        request.pixels_at +
        (reply.status == MIEN_OK && s->shared ? 3 * (size_t)reply.width * (size_t)reply.height : 0);
    if (s->shared && used > warm_bytes) /* give the memory back, keep the addresses */
        (void)madvise(s->shared + warm_bytes, s->shared_bytes / PAGE * PAGE - warm_bytes, MADV_REMOVE);
    return status;
}

static slot *slot_take(const mien__codec *codec)
{
    if (codec->load) {
        pthread_mutex_lock(&slots[PLAIN_SLOTS].lock);
        return &slots[PLAIN_SLOTS];
    }
    for (int i = 0; i < PLAIN_SLOTS; i++) {
        if (pthread_mutex_trylock(&slots[i].lock) == 0)
            return &slots[i];
    }
    pthread_mutex_lock(&slots[0].lock);
    return &slots[0];
}

mien_status mien__sandbox_decode(const mien__codec *codec, const uint8_t *data, size_t size,
                                 const mien_image_opts *opts, mien_image **ret, mien_error *err)
{
    slot *const s = slot_take(codec);
    const mien_status status = slot_decode(s, codec, data, size, opts, ret, err);
    pthread_mutex_unlock(&s->lock);
    return status;
}

bool mien__sandbox_has(const mien__codec *codec)
{
    const mien_image_opts usual = MIEN_IMAGE_OPTS_INIT;
    slot *const s = slot_take(codec);
    bool has = s->pid > 0 && s->owner == getpid() && s->loaded == (codec->load ? codec : NULL);
    if (!has)
        has = slot_start(s, codec, usual.max_bytes + 3 * (size_t)usual.max_pixels, usual.max_pixels, NULL) ==
              MIEN_OK;
    pthread_mutex_unlock(&s->lock);
    return has;
}

#else

mien_status mien__sandbox_decode(const mien__codec *codec, const uint8_t *data, size_t size,
                                 const mien_image_opts *opts, mien_image **ret, mien_error *err)
{
    (void)codec, (void)data, (void)size, (void)opts, (void)ret;
    return mien__fail(err, MIEN_E_UNSUPPORTED,
                      "decoding in a confined process needs Linux on x86-64 or arm64");
}

bool mien__sandbox_has(const mien__codec *codec)
{
    (void)codec;
    return false;
}

#endif
