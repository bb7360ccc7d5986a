/* Opening the server's page in the user's browser. */
#ifndef MIEN_CLI_OPEN_PAGE_H
#define MIEN_CLI_OPEN_PAGE_H

#include <stdbool.h>
#include <sys/types.h>

/* Whether somebody sits in front of this terminal, with a screen that can show a browser. */
bool cli_has_screen(void);
/* Have the browser go to address#enter=CODE. The code is in no list of processes: it stands in a file of
 * `folder` that only its owner reads and that leads on, and the browser is given the file. Returns the
 * opener's process, to be waited for; -1: reported. */
pid_t cli_open_page(const char *folder, const char *address, const char *code);
void cli_open_page_end(const char *folder);

#endif
