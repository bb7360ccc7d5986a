/* mien gallery create, verify, backup, rekey, audit: keeping a gallery over the years. */
#include "galleries.h"
#include <stdlib.h>
#include <string.h>

static const cli_gallery_how reading = { .mode = MIEN_GALLERY_READ };
static const cli_gallery_how changing = { .mode = MIEN_GALLERY_WRITE };

static void print_fault(void *user, const char *fault)
{
    (void)user;
    cli_line_lock();
    cli_plain_text(stdout, fault);
    puts("");
    cli_line_unlock();
}

static int done_with(int rc, const char *path, mien_status st, const mien_error *err, mien_gallery *gallery)
{
    if (rc == CLI_YES && st != MIEN_OK)
        rc = cli_fail_path(path, err);
    mien_gallery_free(gallery);
    return rc;
}

/* ---- create ---- */

typedef struct create_opts {
    cli_gallery_common base; /* first */
    const char *purpose, *model;
} create_opts;

static const cli_option create_options[] = {
    { .name = "purpose",
      .kind = CLI_TEXT,
      .offset = offsetof(create_opts, purpose),
      .value = "TEXT",
      .hint = CLI_NOTHING,
      .brief = "what the gallery is for, as people are told" },
    { .name = "model",
      .letter = 'm',
      .kind = CLI_TEXT,
      .offset = offsetof(create_opts, model),
      .value = "M",
      .hint = CLI_MODELS,
      .brief = "model whose templates it will hold: name or path" },
    { 0 },
};

static int run_create(void *p, int argc, char **argv)
{
    const create_opts *opts = p;
    cli_models models = { NULL, NULL };
    mien_gallery *gallery = NULL;
    const char *path = NULL;
    int rc = cli_gallery_operand(&cli_verb_gallery_create, &opts->base, 0, CLI_NO_MORE, &argc, &argv, &path);
    if (rc == CLI_YES)
        rc = cli_models_load(&models, false, NULL, true, opts->model);
    const cli_gallery_how how = { .mode = MIEN_GALLERY_CREATE,
                                  .embedder = models.embed,
                                  .purpose = opts->purpose };
    if (rc == CLI_YES)
        rc = cli_gallery_open(&opts->base, path, &how, &gallery);
    if (rc == CLI_YES) {
        cli_plain_text(stdout, path);
        puts(": made");
    }
    mien_gallery_free(gallery);
    cli_models_free(&models);
    return rc;
}

static const cli_example create_examples[] = {
    { "make a gallery", "mien gallery create office.gallery --purpose 'opening the door'" },
    { "make one that only a key file opens",
      "head -c 32 /dev/urandom > office.key && mien gallery create office.gallery --key-file office.key" },
    { NULL, NULL },
};

const cli_verb cli_verb_gallery_create = {
    .name = "gallery create",
    .operands = "G",
    .brief = "make an empty gallery",
    .about = "A gallery is one file (beside it lie G-wal, G-shm and G-index while it is used). It holds the "
             "templates of "
             "one model; `mien enroll` makes it by itself when there is none.\n\nWith --passphrase or "
             "--key-file everything in "
             "it is encrypted, each person with a key of its own. Whoever has the key can read it, nobody "
             "else; without "
             "the key it is lost.",
    .exits = "0 made, 2 usage, 3 it exists already, 4 no model",
    .tables = { cli_gallery_options, create_options, cli_key_options },
    .examples = create_examples,
    .opts_bytes = sizeof(create_opts),
    .hint = CLI_FILES,
    .run = run_create,
};

/* ---- verify ---- */

typedef struct keep_opts {
    cli_gallery_common base; /* first */
} keep_opts;

static int run_verify(void *p, int argc, char **argv)
{
    const keep_opts *opts = p;
    const char *path = NULL;
    mien_gallery *gallery = NULL;
    mien_error err = MIEN_ERROR_INIT;
    mien_gallery_info info;
    int rc = cli_gallery_begin(&cli_verb_gallery_verify, &opts->base, &reading, 0, CLI_NO_MORE, &argc, &argv,
                               &path, &gallery);
    if (rc != CLI_YES)
        return rc;
    cli_progress_begin("steps", 0, false);
    mien_status st = mien_gallery_verify(gallery, print_fault, NULL, cli_gallery_progress, NULL, &err);
    cli_progress_end();
    if (st == MIEN_OK)
        st = mien_gallery_info_of(gallery, &info, &err);
    if (st == MIEN_OK)
        printf("whole: %zu %s, %zu %s, %llu entries of the audit chain, head %s\n", info.n_people,
               info.n_people == 1 ? "person" : "people", info.n_faces, info.n_faces == 1 ? "face" : "faces",
               (unsigned long long)info.audit_entries, info.audit_head);
    else
        rc = cli_fail_path(path, &err);
    mien_gallery_free(gallery);
    return st == MIEN_E_GALLERY_CORRUPT ? CLI_NO : rc;
}

static const cli_example verify_examples[] = {
    { "check a gallery before a backup", "mien gallery verify office.gallery && echo whole" },
    { NULL, NULL },
};

const cli_verb cli_verb_gallery_verify = {
    .name = "gallery verify",
    .operands = "G",
    .brief = "check a gallery: file, audit chain, templates, index",
    .about = "Checks the database's pages and references, every entry of the audit chain against the one "
             "before it, every "
             "template, and that people's templates and the search index agree with their faces. Entries cut "
             "off at the end of "
             "the chain show only against a head that was noted elsewhere.",
    .exits = "0 whole, 1 damaged: each fault on a line, 2 usage, 3 not a gallery that can be opened",
    .tables = { cli_gallery_options, cli_key_options },
    .examples = verify_examples,
    .opts_bytes = sizeof(keep_opts),
    .hint = CLI_FILES,
    .run = run_verify,
};

/* ---- backup ---- */

static int run_backup(void *p, int argc, char **argv)
{
    const keep_opts *opts = p;
    const char *path = NULL;
    mien_gallery *gallery = NULL;
    mien_error err = MIEN_ERROR_INIT;
    int rc = cli_gallery_begin(&cli_verb_gallery_backup, &opts->base, &changing, 1, 1, &argc, &argv, &path,
                               &gallery);
    if (rc == CLI_YES) {
        cli_progress_begin("pages", 0, false);
        const mien_status st = mien_gallery_backup(gallery, argv[0], cli_gallery_progress, NULL, &err);
        cli_progress_end();
        rc = st == MIEN_OK ? CLI_YES : cli_fail_path(argv[0], &err);
    }
    if (rc == CLI_YES) {
        cli_plain_text(stdout, argv[0]);
        puts(": written");
    }
    return done_with(rc, path, MIEN_OK, &err, gallery);
}

static const cli_example backup_examples[] = {
    { "copy a gallery while it is in use", "mien gallery backup office.gallery office-$(date +%F).gallery" },
    { NULL, NULL },
};

const cli_verb cli_verb_gallery_backup = {
    .name = "gallery backup",
    .operands = "G OUT",
    .brief = "copy a gallery while others use it",
    .about = "The copy is of one moment, whole or not at all, encrypted if the gallery is. People who are "
             "removed later stay "
             "in copies made before: give them an end too.",
    .exits = "0 written, 2 usage, 3 the gallery cannot be opened or OUT not written",
    .tables = { cli_gallery_options, cli_key_options },
    .examples = backup_examples,
    .opts_bytes = sizeof(keep_opts),
    .hint = CLI_FILES,
    .run = run_backup,
};

/* ---- rekey ---- */

typedef struct rekey_opts {
    cli_gallery_common base; /* first */
    const char *new_key_file;
} rekey_opts;

static const cli_option rekey_options[] = {
    { .name = "new-key-file",
      .kind = CLI_TEXT,
      .offset = offsetof(rekey_opts, new_key_file),
      .value = "FILE",
      .hint = CLI_FILES,
      .brief = "the new key; without it a new passphrase is asked for",
      .more = "Without a terminal the new passphrase comes from MIEN_NEW_PASSPHRASE." },
    { 0 },
};

static int run_rekey(void *p, int argc, char **argv)
{
    const rekey_opts *opts = p;
    const char *path = NULL;
    mien_gallery *gallery = NULL;
    mien_error err = MIEN_ERROR_INIT;
    cli_secret secret = { NULL, 0 };
    int rc = cli_gallery_begin(&cli_verb_gallery_rekey, &opts->base, &changing, 0, CLI_NO_MORE, &argc, &argv,
                               &path, &gallery);
    if (rc == CLI_YES)
        rc = opts->new_key_file ? cli_secret_read(&secret, opts->new_key_file)
                                : cli_secret_ask(&secret, path, "MIEN_NEW_PASSPHRASE", true);
    if (rc == CLI_YES && mien_gallery_rekey(gallery, opts->new_key_file ? NULL : secret.data,
                                            opts->new_key_file ? secret.data : NULL,
                                            opts->new_key_file ? secret.bytes : 0, &err) != MIEN_OK)
        rc = cli_fail_path(path, &err);
    if (rc == CLI_YES) {
        cli_plain_text(stdout, path);
        puts(": opens with the new key only; copies made before still open with the old one");
    }
    cli_secret_free(&secret);
    return done_with(rc, path, MIEN_OK, &err, gallery);
}

static const cli_example rekey_examples[] = {
    { "change the passphrase", "mien gallery rekey office.gallery" },
    { "from a passphrase to a key file", "mien gallery rekey office.gallery --new-key-file office.key" },
    { NULL, NULL },
};

const cli_verb cli_verb_gallery_rekey = {
    .name = "gallery rekey",
    .operands = "G",
    .brief = "change the key of an encrypted gallery",
    .about = "Only the gallery's own key is wrapped anew, at once whatever its size. A gallery that is not "
             "encrypted cannot "
             "become so: export it and import it into one that is.",
    .exits = "0 done, 2 usage, 3 the gallery cannot be opened, or is not encrypted",
    .tables = { cli_gallery_options, rekey_options, cli_key_options },
    .examples = rekey_examples,
    .opts_bytes = sizeof(rekey_opts),
    .hint = CLI_FILES,
    .run = run_rekey,
};

/* ---- audit ---- */

typedef struct audit_opts {
    cli_gallery_common base; /* first */
    int format, after, limit;
} audit_opts;

static const cli_option audit_options[] = {
    { .name = "after",
      .kind = CLI_INT,
      .offset = offsetof(audit_opts, after),
      .value = "N",
      .def = "0",
      .max = 2e9,
      .brief = "only entries behind this number" },
    { .name = "limit",
      .kind = CLI_INT,
      .offset = offsetof(audit_opts, limit),
      .value = "N",
      .def = "0",
      .max = 1e9,
      .brief = "at most so many; 0: all" },
    { .name = "format",
      .letter = 'f',
      .kind = CLI_CHOICE,
      .offset = offsetof(audit_opts, format),
      .value = "text|json",
      .def = "text",
      .brief = "how to print; json: one entry per line" },
    { 0 },
};

static int print_entry(void *user, const mien_audit_entry *e)
{
    const audit_opts *opts = user;
    char time[CLI_TIME_BYTES];
    if (opts->format == 1) {
        json_t *item = json_object();
        json_t *detail = json_loads(e->detail, 0, NULL);
        cli_json_set(item, "number", json_integer((json_int_t)e->number));
        cli_json_set(item, "time", cli_json_time(e->time_ms));
        cli_json_set(item, "actor", cli_json_text(e->actor));
        cli_json_set(item, "action", cli_json_text(e->action));
        cli_json_set(item, "subject", cli_json_text(e->subject));
        cli_json_set(item, "detail", detail ? detail : cli_json_text(e->detail));
        cli_json_set(item, "hash", json_string(e->hash));
        cli_json_line(stdout, item);
        return cli_stopped();
    }
    cli_time_text(e->time_ms, time);
    printf("%6llu  %s  ", (unsigned long long)e->number, time);
    cli_name_text(stdout, e->actor, 12);
    fputs("  ", stdout);
    cli_name_text(stdout, e->action, 10);
    printf("  %-12.12s  ", e->subject);
    cli_plain_text(stdout, e->detail);
    puts("");
    return cli_stopped();
}

static int run_audit(void *p, int argc, char **argv)
{
    audit_opts *opts = p;
    const char *path = NULL;
    mien_gallery *gallery = NULL;
    mien_error err = MIEN_ERROR_INIT;
    mien_status st = MIEN_OK;
    const cli_gallery_how how = { .mode = MIEN_GALLERY_READ, .no_index = true };
    const int rc = cli_gallery_begin(&cli_verb_gallery_audit, &opts->base, &how, 0, CLI_NO_MORE, &argc, &argv,
                                     &path, &gallery);
    if (rc == CLI_YES)
        st = mien_gallery_audit(gallery, (uint64_t)opts->after, (size_t)opts->limit, print_entry, opts, &err);
    return done_with(rc, path, st, &err, gallery);
}

static const cli_example audit_examples[] = {
    { "see who changed what", "mien gallery audit office.gallery" },
    { "all that happened to removed people",
      "mien gallery audit office.gallery -f json | jq -c 'select(.action == \"remove\")'" },
    { NULL, NULL },
};

const cli_verb cli_verb_gallery_audit = {
    .name = "gallery audit",
    .operands = "G",
    .brief = "what was done to a gallery, by whom and when",
    .about = "Entries hold no names: people are keyed digests, the same for one person throughout. Each "
             "entry carries the "
             "digest of the one before it; `mien gallery verify` checks the chain.",
    .exits = "0 done, 2 usage, 3 the gallery cannot be opened",
    .tables = { cli_gallery_options, audit_options, cli_key_options },
    .examples = audit_examples,
    .opts_bytes = sizeof(audit_opts),
    .hint = CLI_FILES,
    .run = run_audit,
};
