/* Passphrases and key files. A passphrase comes from the environment or the terminal, never from the command
 * line, where every process of the machine could read it. What is read lies in memory that is locked and
 * wiped.
 */
#include "galleries.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

enum { PASSPHRASE_MAX = 1024, KEY_MAX = 1 << 16, KEY_MIN = 32, LOOK_MS = 200 };

void cli_secret_free(cli_secret *secret)
{
    if (secret->data)
        sodium_free(secret->data); /* wipes */
    *secret = (cli_secret){ NULL, 0 };
}

static int secret_new(cli_secret *ret, size_t bytes)
{
    ret->data = sodium_init() < 0 ? NULL : sodium_malloc(bytes);
    ret->bytes = 0;
    if (ret->data)
        return CLI_YES;
    cli_say("out of memory for a secret");
    return CLI_INTERNAL;
}

/* One line from the terminal, whose echo is off. Ctrl-C ends it. */
static int read_line(int fd, cli_secret *ret)
{
    bool full = false;
    for (;;) {
        struct pollfd wait = { fd, POLLIN, 0 };
        char c = 0;
        const int ready =
            poll(&wait, 1, LOOK_MS); /* a signal may come just before it, so it looks up again */
        if (cli_stopped())
            return CLI_INTERNAL;
        if (ready == 0 || (ready < 0 && errno == EINTR))
            continue;
        if (ready < 0 || read(fd, &c, 1) != 1 || c == '\n' || c == '\r')
            break;
        full = full || ret->bytes == PASSPHRASE_MAX;
        if (!full)
            ret->data[ret->bytes++] = c;
    }
    ret->data[ret->bytes] = '\0';
    if (!full)
        return CLI_YES;
    cli_say("a passphrase has at most %d bytes", (int)PASSPHRASE_MAX);
    return CLI_INPUT;
}

static int ask_once(int fd, const char *prompt, cli_secret *ret)
{
    struct termios was, silent;
    int rc = secret_new(ret, PASSPHRASE_MAX + 1);
    if (rc != CLI_YES)
        return rc;
    if (tcgetattr(fd, &was) != 0) {
        cli_say("cannot ask on this terminal: %s", strerror(errno));
        return CLI_INTERNAL;
    }
    silent = was;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
    tcsetattr(fd, TCSAFLUSH, &silent); /* before the prompt: nothing that answers it is echoed or lost */
    rc = write(fd, prompt, strlen(prompt)) < 0 ? CLI_INTERNAL : read_line(fd, ret);
    tcsetattr(fd, TCSAFLUSH, &was);
    return write(fd, "\n", 1) < 0 ? CLI_INTERNAL : rc;
}

static int ask_terminal(cli_secret *ret, const char *what, const char *variable, bool is_new)
{
    char prompt[512];
    cli_secret again = { NULL, 0 };
    const int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        cli_say_path(what, "no terminal to ask for the %spassphrase: put it into %s, or give a key file",
                     is_new ? "new " : "", variable);
        return CLI_INPUT;
    }
    snprintf(prompt, sizeof prompt, "%s for %.300s: ", is_new ? "new passphrase" : "passphrase", what);
    int rc = ask_once(fd, prompt, ret);
    if (rc == CLI_YES && is_new) {
        rc = ask_once(fd, "once more: ", &again);
        if (rc == CLI_YES &&
            (again.bytes != ret->bytes || sodium_memcmp(again.data, ret->data, ret->bytes) != 0)) {
            cli_say("the two passphrases differ");
            rc = CLI_INPUT;
        }
    }
    cli_secret_free(&again);
    close(fd);
    return rc;
}

int cli_secret_ask(cli_secret *ret, const char *what, const char *variable, bool is_new)
{
    const char *given = getenv(variable);
    *ret = (cli_secret){ NULL, 0 };
    int rc = CLI_YES;
    if (given && *given) {
        const size_t len = strlen(given);
        if (len > PASSPHRASE_MAX) {
            cli_say("a passphrase has at most %d bytes", (int)PASSPHRASE_MAX);
            return CLI_INPUT;
        }
        rc = secret_new(ret, len + 1);
        if (rc == CLI_YES) {
            memcpy(ret->data, given, len + 1);
            ret->bytes = len;
        }
    } else {
        rc = ask_terminal(ret, what, variable, is_new);
    }
    if (rc == CLI_YES && !ret->bytes) {
        cli_say("an empty passphrase protects nothing");
        rc = CLI_INPUT;
    }
    if (rc != CLI_YES)
        cli_secret_free(ret);
    return rc;
}

int cli_secret_read(cli_secret *ret, const char *path)
{
    *ret = (cli_secret){ NULL, 0 };
    struct stat st;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        cli_say_path(path, "cannot read this key file: %s", strerror(errno));
        if (fd >= 0)
            close(fd);
        return CLI_INPUT;
    }
    int rc = secret_new(ret, KEY_MAX + 1);
    ssize_t got = 1;
    while (rc == CLI_YES && got > 0 && ret->bytes <= KEY_MAX) {
        got = read(fd, ret->data + ret->bytes, KEY_MAX + 1 - ret->bytes);
        if (got > 0)
            ret->bytes += (size_t)got;
    }
    close(fd);
    if (rc == CLI_YES && (got < 0 || ret->bytes < KEY_MIN || ret->bytes > KEY_MAX)) {
        cli_say_path(path, "a key file has %d to %d bytes (head -c 32 /dev/urandom > FILE makes one)",
                     (int)KEY_MIN, (int)KEY_MAX);
        rc = CLI_INPUT;
    }
    if (rc == CLI_YES && (st.st_mode & (S_IRWXG | S_IRWXO)) && S_ISREG(st.st_mode))
        cli_say_path(path, "others can read this key file (chmod 600 keeps it to you)");
    if (rc != CLI_YES)
        cli_secret_free(ret);
    return rc;
}

bool cli_confirm(const char *question, bool *ret_terminal)
{
    char answer[16] = "";
    FILE *f = isatty(STDIN_FILENO) ? fopen("/dev/tty", "r+") : NULL;
    *ret_terminal = f != NULL;
    if (!f)
        return false;
    cli_plain_text(f, question);
    fputs(" [y/N] ", f);
    fflush(f);
    struct pollfd wait = { fileno(f), POLLIN, 0 };
    int ready = 0;
    while (!cli_stopped() && (ready = poll(&wait, 1, LOOK_MS), ready == 0 || (ready < 0 && errno == EINTR)))
        continue;
    if (!cli_stopped() && !fgets(answer, sizeof answer, f))
        answer[0] = '\0';
    fclose(f);
    return answer[0] == 'y' || answer[0] == 'Y';
}
