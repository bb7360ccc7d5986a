/* See open_page.h. The opener is BROWSER's program, xdg-open, or open. */
#include "open_page.h"
#include "cli.h"
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

bool cli_has_screen(void)
{
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && (getenv("DISPLAY") || getenv("WAYLAND_DISPLAY"));
}

static char *file_of(const char *folder)
{
    char real[4096];
    return cli_format("%s/open.html", realpath(folder, real) ? real : folder);
}

static bool write_page(const char *path, const char *address, const char *code)
{
    unlink(path);
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!f) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    fprintf(f,
            "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>mien</title>\n"
            "<meta http-equiv=\"refresh\" content=\"0; url=%s#enter=%s\">\n"
            "<p><a href=\"%s#enter=%s\">Open mien</a></p></html>\n",
            address, code, address, code);
    return fclose(f) == 0;
}

static pid_t spawn(const char *program, const char *what)
{
    char *const argv[] = { (char *)(uintptr_t)program, (char *)(uintptr_t)what, NULL };
    posix_spawn_file_actions_t quiet;
    pid_t pid = -1;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&quiet, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (posix_spawnp(&pid, program, &quiet, NULL, argv, environ))
        pid = -1;
    posix_spawn_file_actions_destroy(&quiet);
    return pid;
}

pid_t cli_open_page(const char *folder, const char *address, const char *code)
{
    const char *const openers[] = { getenv("BROWSER"), "xdg-open", "open" };
    char *path = file_of(folder), *url = cli_format("file://%s", path);
    pid_t pid = -1;
    if (!write_page(path, address, code))
        cli_say_path(path, "cannot be written: open the address by hand");
    else
        for (size_t i = 0; pid < 0 && i < sizeof openers / sizeof *openers; i++)
            pid = openers[i] && *openers[i] ? spawn(openers[i], url) : -1;
    if (pid < 0)
        cli_say("no browser could be opened: open the address by hand");
    free(url);
    free(path);
    return pid;
}

void cli_open_page_end(const char *folder)
{
    char *path = file_of(folder);
    unlink(path);
    free(path);
}
