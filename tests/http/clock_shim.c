/* A wall clock that a test puts ahead and back under a running program (LD_PRELOAD; tests/http/faults.py):
 * what it is wrong by, in seconds, is an int64 in the file that MIEN_CLOCK_JUMP names, read at every call.
 * The monotonic clocks stay as they are.
 */
#define _GNU_SOURCE /* CLOCK_REALTIME_COARSE, syscall() */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *wrong_by;

__attribute__((constructor)) static void find_file(void)
{
    const char *path = getenv("MIEN_CLOCK_JUMP");
    const int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *at = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *wrong_by, PROT_READ, MAP_SHARED, fd, 0);
    if (at != MAP_FAILED)
        wrong_by = at;
    if (fd >= 0)
        close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
    const long rc = syscall(SYS_clock_gettime, clock, ret);
    if (!rc && wrong_by && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        ret->tv_sec += (time_t)*wrong_by;
    return (int)rc;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
    struct timespec t;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &t);
    *ret = (struct timeval){ t.tv_sec, t.tv_nsec / 1000 };
    return 0;
}

time_t time(time_t *ret)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (ret)
        *ret = t.tv_sec;
    return t.tv_sec;
}
