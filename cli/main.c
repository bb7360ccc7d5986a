/* The program: picks the verb (or, by the name it was called under, a compatible tool) and runs it. */
#include "cli.h"
#include <stdlib.h>
#include <string.h>

static void print_version(void)
{
    printf("mien %s (%s)\n", mien_version(), mien_cpu_level());
}

static int group_usage(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : NULL;
    if (!word) {
        cli_help_group(argv[0], stderr);
        return CLI_USAGE;
    }
    if (!strcmp(word, "-h") || !strcmp(word, "--help")) {
        cli_help_group(argv[0], stdout);
        return CLI_YES;
    }
    cli_say("unknown verb '%s %s' (see 'mien %s -h')", argv[0], word, argv[0]);
    return CLI_USAGE;
}

static int run(int argc, char **argv)
{
    int used = 0;
    if (argc < 1) {
        cli_help_program(stderr, false);
        return CLI_USAGE;
    }
    if (!strcmp(argv[0], "-h") || !strcmp(argv[0], "--help")) {
        cli_help_program(stdout, argv[0][1] == '-');
        return CLI_YES;
    }
    if (!strcmp(argv[0], "--version") || !strcmp(argv[0], "-V")) {
        print_version();
        return CLI_YES;
    }
    const cli_verb *verb = cli_verb_find(argc, argv, &used);
    if (verb)
        return cli_run_verb(verb, argc - used, argv + used);
    if (cli_is_group(argv[0]))
        return group_usage(argc, argv);
    const char *near = cli_nearest(NULL, argv[0]);
    if (near)
        cli_say("unknown verb '%s', did you mean '%s'? (see 'mien -h')", argv[0], near);
    else
        cli_say("unknown verb '%s' (see 'mien -h')", argv[0]);
    return CLI_USAGE;
}

char *cli_command;

/* A word as sh reads it: in single quotes where it holds more than harmless signs. */
static char *quoted(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=.,/:%@";
    if (*word && strspn(word, plain) == strlen(word))
        return cli_strdup(word);
    char *text = cli_alloc(4 * strlen(word) + 3, 1), *to = text;
    *to++ = '\'';
    for (; *word; word++) {
        if (*word == '\'') { /* end the quotes, an escaped one, begin again */
            memcpy(to, "'\\''", 4);
            to += 4;
        } else {
            *to++ = *word;
        }
    }
    *to = '\'';
    return text;
}

static void remember_command(const char *name, int argc, char **argv)
{
    char *line = cli_strdup(name);
    for (int i = 1; i < argc; i++) {
        char *word = quoted(argv[i]);
        char *next = cli_format("%s %s", line, word);
        free(word);
        free(line);
        line = next;
    }
    cli_command = line;
}

int main(int argc, char **argv)
{
    const char *name = argc > 0 ? strrchr(argv[0], '/') : NULL;
    name = name ? name + 1 : argc > 0 ? argv[0] : "mien";
    cli_signals_install();
    remember_command(name, argc, argv);
    int rc = CLI_INTERNAL;
    if (!strcmp(name, "face_recognition"))
        rc = cli_compat_recognition(argc - 1, argv + 1);
    else if (!strcmp(name, "face_detection"))
        rc = cli_compat_detection(argc - 1, argv + 1);
    else
        rc = run(argc - 1, argv + 1);
    cli_signals_finish();
    free(cli_command);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        cli_say("cannot write the output");
        rc = CLI_INTERNAL;
    }
    return rc;
}
