/* What opens the encrypted galleries of `mien serve`: from a key file, the environment or the terminal, in
 * memory that is locked, and wiped when the server has stopped. */
#ifndef MIEN_CLI_SERVE_SECRETS_H
#define MIEN_CLI_SERVE_SECRETS_H

#include "galleries.h"

typedef struct serve_secrets {
    cli_secret key, passphrase;
    bool told; /* it was asked for; why there is none was said */
} serve_secrets;

/* What the command line and the environment give. Reports. */
int serve_secrets_read(serve_secrets *s, const char *key_file);
/* Ask for a gallery's passphrase; ctx is the serve_secrets. NULL: there is none, and it was said why. */
const char *serve_secrets_ask(void *ctx, const char *gallery);
void serve_secrets_free(serve_secrets *s);

#endif
