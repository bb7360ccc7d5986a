/* Secrets of `mien serve` (see serve_secrets.h). A server lives long, and /proc shows the environment that a
 * program was started with to whoever may read the program's memory: the passphrase is wiped there once it is
 * copied. */
#include "serve_secrets.h"
#include <stdlib.h>
#include <unistd.h>

static const char variable[] = "MIEN_PASSPHRASE";

void serve_secrets_free(serve_secrets *s)
{
    cli_secret_free(&s->key);
    cli_secret_free(&s->passphrase);
}

int serve_secrets_read(serve_secrets *s, const char *key_file)
{
    char *const given = getenv(variable);
    if (key_file)
        return cli_secret_read(&s->key, key_file);
    if (!given || !*given)
        return CLI_YES;
    const int rc = cli_secret_ask(&s->passphrase, "", variable, false);
    for (volatile char *c = given; *c; c++)
        *c = ' ';
    unsetenv(variable);
    return rc;
}

const char *serve_secrets_ask(void *ctx, const char *gallery)
{
    serve_secrets *s = ctx;
    s->told = true;
    if (!isatty(STDIN_FILENO)) { /* a service: there may be a terminal, but nobody at it */
        cli_say_path(gallery,
                     "it is encrypted: put its passphrase into %s, or start on a terminal to be asked",
                     variable);
        return NULL;
    }
    return cli_secret_ask(&s->passphrase, gallery, variable, false) == CLI_YES ? s->passphrase.data : NULL;
}
