/* The confined worker: what runs in the forked child.
 *
 * The child gives up, in this order: signal handlers and terminal, every file but one socket, new privileges,
 * the file system (landlock, where the kernel has it), memory beyond a bound (RLIMIT_AS), and every system
 * call but those of the list below (seccomp, raw BPF). Anything else, open() and socket() for instance, kills
 * it at once. Reading and writing go to the one socket; no memory may become executable. A codec that needs a
 * library loads it before the door closes.
 */
#include "image/sandbox.h"

#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <sched.h>
#if __has_include(<linux/landlock.h>)
#include <linux/landlock.h>
#endif

enum { SOCKET_FD = 3 };

/* ---- seccomp ---- */

enum { PROGRAM_MAX = 160 };

typedef struct program {
    struct sock_filter code[PROGRAM_MAX];
    unsigned short n;
} program;

static void put(program *p, uint16_t code, uint8_t jt, uint8_t jf, uint32_t k)
{
    mien_assert(p->n < PROGRAM_MAX);
    p->code[p->n++] = (struct sock_filter){ code, jt, jf, k };
}

static void put_return(program *p, uint32_t action)
{
    put(p, BPF_RET | BPF_K, 0, 0, action);
}

static void answer(program *p, long nr, uint32_t action)
{
    put(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, (uint32_t)nr);
    put_return(p, action);
}

/* Allow the call when (argument & mask) == value in its low 32 bits, and kill otherwise. */
static void allow_masked(program *p, long nr, unsigned arg, uint32_t mask, uint32_t value)
{
    put(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 5, (uint32_t)nr);
    put(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)(offsetof(struct seccomp_data, args) + 8 * arg));
    put(p, BPF_ALU | BPF_AND | BPF_K, 0, 0, mask);
    put(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, value);
    put_return(p, SECCOMP_RET_ALLOW);
    put_return(p, SECCOMP_RET_KILL_PROCESS);
}

/* `threads`: libheif's decoders make threads, which takes some calls more. */
static bool close_door(bool threads)
{
    static const long plain[] = { SYS_munmap,         SYS_mremap,       SYS_brk,         SYS_madvise,
                                  SYS_futex,          SYS_exit,         SYS_exit_group,  SYS_rt_sigreturn,
                                  SYS_clock_gettime,  SYS_gettimeofday, SYS_sched_yield, SYS_getrandom,
                                  SYS_restart_syscall };
    static const long threaded[] = { SYS_set_robust_list,   SYS_rseq,   SYS_rt_sigprocmask,
                                     SYS_sched_getaffinity, SYS_gettid, SYS_getpid };
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    /* what the sanitizers themselves call when a thread starts or a longjmp unwinds */
    static const long watched[] = { SYS_sigaltstack,  SYS_gettid,         SYS_getpid,
                                    SYS_prlimit64,    SYS_nanosleep,      SYS_clock_nanosleep,
                                    SYS_gettimeofday, SYS_rt_sigprocmask, SYS_sched_getaffinity };
#endif
    program p = { .n = 0 };
#if defined(__x86_64__)
    const uint32_t arch = AUDIT_ARCH_X86_64;
#else
    const uint32_t arch = AUDIT_ARCH_AARCH64;
#endif
    put(&p, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, arch));
    put(&p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, arch);
    put_return(&p, SECCOMP_RET_KILL_PROCESS);
    put(&p, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < MIEN_COUNTOF(plain); i++)
        answer(&p, plain[i], SECCOMP_RET_ALLOW);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    for (size_t i = 0; i < MIEN_COUNTOF(watched); i++)
        answer(&p, watched[i], SECCOMP_RET_ALLOW);
#endif
    allow_masked(&p, SYS_read, 0, 0xffffffffu, SOCKET_FD);
    allow_masked(&p, SYS_write, 0, 0xffffffffu, SOCKET_FD);
    allow_masked(&p, SYS_mmap, 2, PROT_EXEC, 0);
    allow_masked(&p, SYS_mprotect, 2, PROT_EXEC, 0);
    for (size_t i = 0; threads && i < MIEN_COUNTOF(threaded); i++)
        answer(&p, threaded[i], SECCOMP_RET_ALLOW);
    if (threads) {
        answer(&p, SYS_clone3,
               SECCOMP_RET_ERRNO | ENOSYS); /* its flags lie in memory: the old call is used then */
        answer(&p, SYS_prctl, SECCOMP_RET_ERRNO | EPERM); /* naming threads */
        allow_masked(&p, SYS_rt_sigaction, 0, 0xffffffffu,
                     33); /* the C library's own signal for its threads */
        allow_masked(&p, SYS_clone, 0, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM);
    }
    put_return(&p, SECCOMP_RET_KILL_PROCESS);
    const struct sock_fprog prog = { p.n, p.code };
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0) == 0;
}

/* ---- landlock: no rule at all, so nothing may be opened; a second line behind seccomp ---- */

static void leave_file_system(void)
{
#if defined(LANDLOCK_ACCESS_FS_EXECUTE) && defined(SYS_landlock_create_ruleset)
    const struct landlock_ruleset_attr attr = { .handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1 };
    const int fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (fd >= 0) {
        (void)syscall(SYS_landlock_restrict_self, fd, 0);
        close(fd);
    }
#endif
}

/* ---- limits ---- */

static void limit(int what, rlim_t most)
{
    struct rlimit r = { most, most };
    (void)setrlimit(what, &r);
}

/* Address space in use now: the first number of /proc/self/statm, in pages; 0 when unknown. */
static size_t address_space_bytes(void)
{
    char text[64];
    const int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    size_t pages = 0;
    for (ssize_t i = 0; i < n && text[i] >= '0' && text[i] <= '9'; i++)
        pages = pages * 10 + (size_t)(text[i] - '0');
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void keep_only(int socket_fd)
{
    if (socket_fd != SOCKET_FD)
        dup2(socket_fd, SOCKET_FD);
    for (int fd = 0; fd < SOCKET_FD; fd++)
        close(fd);
#if defined(SYS_close_range)
    if (syscall(SYS_close_range, SOCKET_FD + 1, ~0u, 0) == 0)
        return;
#endif
    const long most = sysconf(_SC_OPEN_MAX);
    for (int fd = SOCKET_FD + 1; fd < (most > 0 ? most : 65536); fd++)
        close(fd);
}

static void drop_signals(void)
{
    struct sigaction def;
    memset(&def, 0, sizeof def);
    def.sa_handler = SIG_DFL;
    for (int s = 1; s < NSIG; s++)
        (void)sigaction(s, &def, NULL);
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setsid(); /* the terminal's interrupt is the parent's business */
}

static mien_status confine(int socket_fd, size_t memory_bytes, const mien__codec *codec)
{
    drop_signals();
    keep_only(socket_fd);
    mien_set_allocator(NULL); /* the caller's may hold locks of threads that do not exist here */
    mien_set_log(NULL, NULL);
    const bool threads = codec && codec->load;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return MIEN_E_UNSUPPORTED;
    if (threads && !codec->load())
        return MIEN_E_IMAGE_CODEC;
    const size_t used = address_space_bytes();
    if (used == 0)
        return MIEN_E_UNSUPPORTED;
    leave_file_system();
    limit(RLIMIT_AS, used + memory_bytes);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_NOFILE, 0);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    return close_door(threads) ? MIEN_OK : MIEN_E_UNSUPPORTED;
}

/* ---- service ---- */

static void serve(const mien__sandbox_request *request, uint8_t *shared, size_t shared_bytes,
                  mien__sandbox_reply *reply)
{
    mien_error err = MIEN_ERROR_INIT;
    mien__canvas canvas = { .fixed = shared + request->pixels_at,
                            .fixed_bytes = shared_bytes - request->pixels_at };
    reply->status = mien__codec_run(request->codec, shared, request->size, &request->opts, &canvas, &err);
    reply->width = canvas.width;
    reply->height = canvas.height;
    reply->scale = canvas.scale;
    reply->orientation = canvas.orientation;
    memcpy(reply->message, err.message, sizeof reply->message);
}

_Noreturn void mien__sandbox_worker(int socket_fd, uint8_t *shared, size_t shared_bytes, size_t memory_bytes,
                                    const mien__codec *codec)
{
    mien__sandbox_reply reply;
    memset(&reply, 0, sizeof reply);
    reply.status = confine(socket_fd, memory_bytes, codec);
    for (;;) {
        mien__sandbox_request request;
        if (write(SOCKET_FD, &reply, sizeof reply) != (ssize_t)sizeof reply)
            _exit(1);
        if (read(SOCKET_FD, &request, sizeof request) != (ssize_t)sizeof request)
            _exit(0);
        memset(&reply, 0, sizeof reply);
        serve(&request, shared, shared_bytes, &reply);
    }
}

#endif
