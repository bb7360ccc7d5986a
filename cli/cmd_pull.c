/* mien model pull: downloads known models, with a progress bar; Ctrl-C keeps the part for the next time. */
#include "cli.h"
#include <limits.h>

typedef struct pull_opts {
    const char *dir;
    int quiet;
} pull_opts;

static const cli_option options[] = {
    { .name = "dir",
      .letter = 'd',
      .kind = CLI_TEXT,
      .offset = offsetof(pull_opts, dir),
      .value = "DIR",
      .hint = CLI_DIRS,
      .brief = "folder to put it in; by default the user's model folder" },
    { .name = "quiet",
      .letter = 'q',
      .kind = CLI_FLAG,
      .offset = offsetof(pull_opts, quiet),
      .brief = "no progress bar" },
    { 0 },
};

static int progress(uint64_t done, uint64_t total, void *user)
{
    (void)user;
    cli_progress_set_total(total);
    cli_progress_step(done);
    return cli_stopped();
}

static int run(void *p, int argc, char **argv)
{
    const pull_opts *opts = p;
    int rc = CLI_YES;
    for (int i = 0; i < argc && !cli_stopped(); i++) {
        char path[PATH_MAX];
        mien_error err = MIEN_ERROR_INIT;
        cli_progress_begin("bytes", 0, opts->quiet);
        const mien_status st =
            mien_registry_pull(argv[i], opts->dir, progress, NULL, path, sizeof path, &err);
        cli_progress_end();
        if (st == MIEN_OK)
            puts(path);
        else if (!cli_stopped())
            rc = cli_worse(rc, cli_exit_of(st) == CLI_INPUT ? (cli_fail_path(argv[i], &err), CLI_MODEL)
                                                            : cli_fail_path(argv[i], &err));
    }
    return rc;
}

static const cli_example examples[] = {
    { "get a model", "mien model pull mobilefacenet" },
    { "get it from a mirror on this disk", "MIEN_MIRROR=file:/mnt/mirror mien model pull mobilefacenet" },
    { NULL, NULL },
};

const cli_verb cli_verb_model_pull = {
    .name = "model pull",
    .operands = "NAME...",
    .brief = "download a known model, check it, import it",
    .about =
        "Downloads over HTTPS, goes on where an earlier download broke off, checks the SHA-256, imports the "
        "network and prints the path of the .mien file. Read the licence first: `mien model list`.",
    .exits = "0 done, 2 usage, 4 not downloaded",
    .tables = { options },
    .examples = examples,
    .opts_bytes = sizeof(pull_opts),
    .min_operands = 1,
    .hint = CLI_MODELS,
    .run = run,
};
