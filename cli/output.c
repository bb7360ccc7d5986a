/* Outputs. A file is written under a temporary name in the same folder and renamed when it is whole;
 * what was not committed is removed, also when the program leaves through exit(). Only the main thread
 * opens outputs.
 */
#include "cli.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static cli_out *unfinished; /* the one open output; verbs write one file at a time */

static void remove_unfinished(void)
{
    if (unfinished && unfinished->temp)
        unlink(unfinished->temp);
}

int cli_out_open(cli_out *out, const char *path)
{
    static bool registered;
    *out = (cli_out){ stdout, NULL, NULL };
    if (!path || !strcmp(path, "-"))
        return CLI_YES;
    if (cli_is_dir(path)) {
        cli_say_path(path, "cannot write: this is a folder");
        return CLI_INTERNAL;
    }
    out->path = cli_strdup(path);
    out->temp = cli_format("%s.XXXXXX", path);
    const int fd = mkstemp(out->temp);
    out->f = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (!out->f) {
        cli_say_path(path, "cannot write: %s", strerror(errno));
        if (fd >= 0)
            close(fd), unlink(out->temp);
        free(out->path);
        free(out->temp);
        *out = (cli_out){ NULL, NULL, NULL };
        return CLI_INTERNAL;
    }
    const mode_t mask = umask(0); /* mkstemp gives 0600; the file gets what open() would have given */
    umask(mask);
    (void)!fchmod(fd, 0666 & ~mask);
    if (!registered)
        registered = atexit(remove_unfinished) == 0;
    unfinished = out;
    return CLI_YES;
}

int cli_out_commit(cli_out *out)
{
    int rc = CLI_YES;
    if (!out->f)
        return CLI_INTERNAL;
    if (!out->temp) {
        if (fflush(stdout) != 0 || ferror(stdout)) {
            cli_say("cannot write the output: %s", strerror(errno));
            rc = CLI_INTERNAL;
        }
        return rc;
    }
    bool ok = fflush(out->f) == 0 && !ferror(out->f) && fsync(fileno(out->f)) == 0;
    ok = fclose(out->f) == 0 && ok;
    out->f = NULL;
    if (!ok || rename(out->temp, out->path) != 0) {
        cli_say_path(out->path, "cannot write: %s", strerror(errno));
        rc = CLI_INTERNAL;
    } else {
        free(out->temp);
        out->temp = NULL;
    }
    cli_out_discard(out);
    return rc;
}

void cli_out_discard(cli_out *out)
{
    if (out->path && out->f)
        fclose(out->f);
    if (out->temp)
        unlink(out->temp);
    free(out->temp);
    free(out->path);
    if (unfinished == out)
        unfinished = NULL;
    *out = (cli_out){ NULL, NULL, NULL };
}

void cli_csv_text(FILE *f, const char *s)
{
    if (!strpbrk(s, ",\"\r\n")) {
        fputs(s, f);
        return;
    }
    fputc('"', f);
    for (; *s; s++) {
        if (*s == '"')
            fputc('"', f);
        fputc(*s, f);
    }
    fputc('"', f);
}

void cli_plain_text(FILE *f, const char *s)
{
    for (; *s; s++) {
        const unsigned char c = (unsigned char)*s;
        fputc(c < 0x20 || c == 0x7f ? '?' : c, f);
    }
}

void cli_npy_header(FILE *f, size_t n, size_t dim)
{
    char text[CLI_NPY_HEADER];
    memset(text, ' ', sizeof text);
    static const unsigned char magic[10] = { 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, CLI_NPY_HEADER - 10, 0 };
    memcpy(text, magic, sizeof magic);
    char dict[CLI_NPY_HEADER];
    const int len = snprintf(dict, sizeof dict,
                             "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }", n, dim);
    memcpy(text + sizeof magic, dict, (size_t)len);
    text[CLI_NPY_HEADER - 1] = '\n';
    fwrite(text, 1, sizeof text, f);
}
