/* Messages, exit codes, memory that ends the program when short, and signals.
 *
 * The first SIGINT or SIGTERM only raises a flag: loops end, temporary files go, and the program then
 * ends by the same signal, so that a calling shell sees it. A second one ends at once.
 */
#include "cli.h"
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const char *cli_program = "mien";

int cli_exit_of(mien_status status)
{
    switch (status) {
    case MIEN_OK:
        return CLI_YES;
    case MIEN_E_NO_FACE:
        return CLI_NO;
    case MIEN_E_IO:
    case MIEN_E_NOT_FOUND:
    case MIEN_E_LIMIT:
    case MIEN_E_IMAGE_FORMAT:
    case MIEN_E_IMAGE_CORRUPT:
    case MIEN_E_IMAGE_CODEC:
    case MIEN_E_VIDEO_FORMAT:
    case MIEN_E_VIDEO_CORRUPT:
    case MIEN_E_VIDEO_CODEC:
    case MIEN_E_EVAL_DATA:
    case MIEN_E_EXISTS:
    case MIEN_E_GALLERY_FORMAT:
    case MIEN_E_GALLERY_CORRUPT:
    case MIEN_E_GALLERY_KEY:
    case MIEN_E_GALLERY_BUSY:
        return CLI_INPUT;
    case MIEN_E_MODEL_FORMAT:
    case MIEN_E_MODEL_CORRUPT:
    case MIEN_E_MODEL_OP:
    case MIEN_E_MODEL_SHAPE:
    case MIEN_E_MODEL_TASK:
    case MIEN_E_MODEL_MISSING:
    case MIEN_E_NET:
    case MIEN_E_DIGEST:
    case MIEN_E_GALLERY_MODEL:
        return CLI_MODEL;
    default:
        return CLI_INTERNAL;
    }
}

int cli_worse(int a, int b)
{
    return a > b ? a : b;
}

/* Print with control characters masked: a file name must not drive the terminal. */
static void print_masked(const char *s)
{
    for (; *s; s++) {
        const unsigned char c = (unsigned char)*s;
        fputc(c < 0x20 || c == 0x7f ? '?' : c, stderr);
    }
}

static void print_line(const char *path, const char *fmt, va_list ap)
{
    char text[1024];
    vsnprintf(text, sizeof text, fmt, ap);
    cli_line_lock();
    fflush(stdout);
    fprintf(stderr, "%s: ", cli_program);
    if (path) {
        print_masked(path);
        fputs(": ", stderr);
    }
    print_masked(text);
    fputc('\n', stderr);
    cli_line_unlock();
}

void cli_say(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    print_line(NULL, fmt, ap);
    va_end(ap);
}

void cli_say_path(const char *path, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    print_line(path, fmt, ap);
    va_end(ap);
}

const char *cli_error_text(const char *path, const mien_error *err)
{
    const size_t len = path ? strlen(path) : 0;
    const char *at = len ? strstr(err->message, path) : NULL;
    if (at && !strncmp(at + len, ": ", 2) && at[len + 2])
        return at + len + 2; /* "cannot open PATH: why" */
    if (at == err->message && at && at[len] == ' ')
        return at + len + 1; /* "PATH is not ..." */
    return err->message[0] ? err->message : mien_status_text(err->status);
}

int cli_fail_path(const char *path, const mien_error *err)
{
    cli_say_path(path, "%s", cli_error_text(path, err));
    return cli_exit_of(err->status);
}

int cli_fail(const mien_error *err)
{
    cli_say("%s", cli_error_text(NULL, err));
    return cli_exit_of(err->status);
}

/* ---- memory ---- */

static void no_memory(void)
{
    fprintf(stderr, "%s: out of memory\n", cli_program);
    exit(CLI_INTERNAL);
}

void *cli_alloc(size_t n, size_t item_bytes)
{
    void *p = calloc(n ? n : 1, item_bytes ? item_bytes : 1);
    if (!p)
        no_memory();
    return p;
}

void *cli_grow(void *old, size_t n, size_t item_bytes)
{
    if (item_bytes && n > SIZE_MAX / item_bytes)
        no_memory();
    const size_t bytes = n * item_bytes;
    void *p = realloc(old, bytes ? bytes : 1);
    if (!p)
        no_memory();
    return p;
}

char *cli_strdup(const char *s)
{
    const size_t bytes = strlen(s) + 1;
    char *copy = cli_alloc(bytes, 1);
    memcpy(copy, s, bytes);
    return copy;
}

char *cli_format(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const int len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *text = cli_alloc((size_t)len + 1, 1);
    va_start(ap, fmt);
    vsnprintf(text, (size_t)len + 1, fmt, ap);
    va_end(ap);
    return text;
}

/* ---- signals ---- */

static volatile sig_atomic_t caught_signal;
static struct timespec caught_at;

static void on_signal(int number)
{
    enum { SAME_PRESS_MS = 300 }; /* some senders signal the process and its group at once */
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const long long ms =
        (now.tv_sec - caught_at.tv_sec) * 1000LL + (now.tv_nsec - caught_at.tv_nsec) / 1000000;
    if (caught_signal && ms > SAME_PRESS_MS) {
        signal(number, SIG_DFL);
        raise(number);
    }
    if (!caught_signal)
        caught_at = now;
    caught_signal = number;
}

void cli_signals_install(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN; /* a file over the shell's limit is a write that fails, and is said so */
    sigaction(SIGXFSZ, &action, NULL);
}

bool cli_stopped(void)
{
    return caught_signal != 0;
}

void cli_signals_finish(void)
{
    if (!caught_signal)
        return;
    fflush(stdout);
    signal(caught_signal, SIG_DFL);
    raise(caught_signal);
}
