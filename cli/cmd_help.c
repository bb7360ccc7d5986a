/* mien help, mien completion: the texts that are made from the option tables. */
#include "cli.h"
#include <string.h>

typedef struct help_opts {
    int man;
} help_opts;

static const cli_option help_options[] = {
    { .name = "man",
      .kind = CLI_FLAG,
      .offset = offsetof(help_opts, man),
      .brief = "write the manual page mien(1) in mdoc",
      .more = "It is made from the same tables as this text. `mien help --man | man -l -` shows it." },
    { 0 },
};

static int run_help(void *p, int argc, char **argv)
{
    const help_opts *opts = p;
    int used = 0;
    if (opts->man) {
        if (argc)
            return cli_usage(&cli_verb_help, "--man is for all verbs at once");
        cli_man(stdout);
        return CLI_YES;
    }
    if (!argc) {
        cli_help_program(stdout, true);
        return CLI_YES;
    }
    const cli_verb *verb = cli_verb_find(argc, argv, &used);
    if (verb && used == argc)
        cli_help_full(verb, stdout);
    else if (!verb && argc == 1 && cli_is_group(argv[0]))
        cli_help_group(argv[0], stdout);
    else
        return cli_usage(&cli_verb_help, "no verb '%s%s%s'", argv[0], argc > 1 ? " " : "",
                         argc > 1 ? argv[1] : "");
    return CLI_YES;
}

static const cli_example help_examples[] = {
    { "read all about one verb", "mien help compare" },
    { "read the manual", "mien help --man | man -l -" },
    { NULL, NULL },
};

const cli_verb cli_verb_help = {
    .name = "help",
    .operands = "[VERB]",
    .brief = "explain the program or a verb",
    .about = "Without a verb: the list of verbs, then what holds for all of them (output, pictures, models, "
             "decisions, exit status). With a verb: the same as `mien VERB --help`.",
    .exits = "0 done, 2 no such verb",
    .tables = { help_options },
    .examples = help_examples,
    .opts_bytes = sizeof(help_opts),
    .max_operands = 2,
    .hint = CLI_NOTHING,
    .run = run_help,
};

static int run_completion(void *p, int argc, char **argv)
{
    (void)p;
    (void)argc;
    if (!cli_completion(argv[0], stdout))
        return cli_usage(&cli_verb_completion, "no completion for '%s', only for bash, zsh and fish",
                         argv[0]);
    return CLI_YES;
}

static const cli_example completion_examples[] = {
    { "try it in this bash", "source <(mien completion bash)" },
    { "keep it for fish", "mien completion fish > ~/.config/fish/completions/mien.fish" },
    { "keep it for zsh (a folder of $fpath)", "mien completion zsh > ~/.zfunc/_mien" },
    { NULL, NULL },
};

const cli_verb cli_verb_completion = {
    .name = "completion",
    .operands = "bash|zsh|fish",
    .brief = "print a shell's completion script",
    .about = "Completes verbs, options, their values and the names of models. Packages install it; it can "
             "be sourced by hand.",
    .exits = "0 done, 2 no such shell",
    .examples = completion_examples,
    .min_operands = 1,
    .max_operands = 1,
    .hint = CLI_NOTHING,
    .run = run_completion,
};
