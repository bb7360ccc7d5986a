/* mien gallery remove, expire: people leave the gallery for good, and a receipt says so. */
#include "galleries.h"
#include <stdlib.h>
#include <string.h>

enum { TEXT, JSON };

/* Receipts of one run: printed as they come, written to a file at the end. */
typedef struct receipts {
    int format;
    bool first, unverified;
    char *lines; /* JSON, one receipt per line */
    size_t bytes;
} receipts;

static void print_receipt(const mien_receipt *r)
{
    printf("  removed %zu face%s, %zu template%s, %zu kept picture%s%s\n", r->n_faces,
           r->n_faces == 1 ? "" : "s", r->n_templates, r->n_templates == 1 ? "" : "s", r->n_images,
           r->n_images == 1 ? "" : "s", r->key_destroyed ? "; the person's key is destroyed" : "");
    if (r->verified)
        printf("  verified: no byte of them is left in the gallery's files (%.1f MB searched)\n",
               (double)r->bytes_searched / 1e6);
    else
        puts("  NOT verified: others were reading, so older pages may still lie in the gallery's files; they "
             "go when "
             "the last reader has gone");
    if (r->do_not_enrol)
        puts("  on the do-not-enrol list");
    printf("  receipt: entry %llu of gallery %s, hash %s\n", (unsigned long long)r->audit_entry, r->gallery,
           r->audit_hash);
}

static void keep_receipt(receipts *all, const char *text)
{
    const size_t len = strlen(text);
    all->lines = cli_grow(all->lines, all->bytes + len + 2, 1);
    memcpy(all->lines + all->bytes, text, len);
    memcpy(all->lines + all->bytes + len, "\n", 2);
    all->bytes += len + 1;
}

static int take_receipt(void *user, const mien_receipt *receipt)
{
    receipts *all = user;
    char text[2048];
    mien_error err = MIEN_ERROR_INIT;
    if (mien_receipt_json(receipt, text, sizeof text, &err) != MIEN_OK) {
        cli_fail(&err);
        return 0;
    }
    keep_receipt(all, text);
    all->unverified = all->unverified || !receipt->verified;
    if (all->format == JSON)
        printf("%s%s\n", all->first ? "" : ",", text);
    else
        print_receipt(receipt);
    all->first = false;
    return 0;
}

static int write_receipts(const receipts *all, const char *path)
{
    cli_out out;
    if (!path || !all->lines)
        return CLI_YES;
    const int rc = cli_out_open(&out, path);
    if (rc != CLI_YES)
        return rc;
    fputs(all->lines, out.f);
    return cli_out_commit(&out);
}

/* Yes by --yes or on the terminal; CLI_NO when it was declined, CLI_USAGE when nobody could be asked. */
static int ask(const cli_verb *verb, bool yes, const char *question)
{
    bool terminal = false;
    if (yes || cli_confirm(question, &terminal))
        return CLI_YES;
    if (!terminal)
        return cli_usage(verb, "this cannot be undone, and there is no terminal to ask on: say --yes");
    cli_say("nothing was removed");
    return CLI_NO;
}

/* ---- remove ---- */

typedef struct remove_opts {
    cli_gallery_common base; /* first */
    int yes, do_not_enrol, format, face;
    const char *receipt;
} remove_opts;

static const cli_option remove_options[] = {
    { .name = "yes",
      .letter = 'y',
      .kind = CLI_FLAG,
      .offset = offsetof(remove_opts, yes),
      .brief = "do not ask" },
    { .name = "do-not-enrol",
      .kind = CLI_FLAG,
      .offset = offsetof(remove_opts, do_not_enrol),
      .brief = "refuse the person from now on",
      .more = "Keeps a keyed digest of the name and a coarse form of the template, which is still biometric "
              "data, kept to "
              "refuse: docs/privacy.md says what it can do." },
    { .name = "receipt",
      .kind = CLI_TEXT,
      .offset = offsetof(remove_opts, receipt),
      .value = "FILE",
      .hint = CLI_FILES,
      .brief = "write the receipt as JSON, one line per person" },
    { .name = "face",
      .kind = CLI_INT,
      .offset = offsetof(remove_opts, face),
      .value = "N",
      .def = "0",
      .max = 2e9,
      .brief = "remove only this face; the person stays" },
    { .name = "format",
      .letter = 'f',
      .kind = CLI_CHOICE,
      .offset = offsetof(remove_opts, format),
      .value = "text|json",
      .def = "text",
      .brief = "how to print" },
    { 0 },
};

static int describe(void *user, const mien_person *person)
{
    char **question = user;
    *question =
        cli_format("remove %s for good: %zu face%s, %zu kept picture%s?", person->name, person->n_faces,
                   person->n_faces == 1 ? "" : "s", person->n_images, person->n_images == 1 ? "" : "s");
    return 1;
}

static int remove_one(const remove_opts *opts, mien_gallery *gallery, const char *name, receipts *all)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_receipt receipt;
    int64_t person = 0;
    char *question = NULL;
    int rc = cli_person_find(gallery, name, &person);
    if (rc == CLI_YES && mien_gallery_person(gallery, person, describe, &question, &err) != MIEN_OK)
        rc = cli_fail(&err);
    if (rc == CLI_YES)
        rc = ask(&cli_verb_gallery_remove, opts->yes, question);
    free(question);
    if (rc == CLI_YES && mien_gallery_remove(gallery, person, opts->do_not_enrol, &receipt, &err) != MIEN_OK)
        rc = cli_fail(&err);
    if (rc != CLI_YES)
        return rc;
    if (opts->format == TEXT) {
        cli_plain_text(stdout, name);
        puts(":");
    }
    take_receipt(all, &receipt);
    return CLI_YES;
}

static int remove_face(const remove_opts *opts, mien_gallery *gallery, receipts *all)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_receipt receipt;
    char question[64];
    snprintf(question, sizeof question, "remove face %d for good?", opts->face);
    const int rc = ask(&cli_verb_gallery_remove, opts->yes, question);
    if (rc != CLI_YES)
        return rc;
    if (mien_gallery_remove_face(gallery, opts->face, &receipt, &err) != MIEN_OK) {
        const int fault = cli_fail(&err);
        return err.status == MIEN_E_NOT_FOUND ? CLI_NO : fault;
    }
    if (opts->format == TEXT)
        printf("face %d:\n", opts->face);
    take_receipt(all, &receipt);
    return CLI_YES;
}

static const cli_gallery_how changing = { .mode = MIEN_GALLERY_WRITE };

static int run_remove(void *p, int argc, char **argv)
{
    const remove_opts *opts = p;
    const char *path = NULL;
    mien_gallery *gallery = NULL;
    receipts all = { opts->format, true, false, NULL, 0 };
    if (opts->face && opts->do_not_enrol)
        return cli_usage(&cli_verb_gallery_remove, "--do-not-enrol is of a person, not of --face");
    int rc = cli_gallery_begin(&cli_verb_gallery_remove, &opts->base, &changing, opts->face ? 0 : 1,
                               opts->face ? CLI_NO_MORE : 0, &argc, &argv, &path, &gallery);
    if (rc != CLI_YES)
        return rc;
    if (opts->format == JSON)
        puts("{\"receipts\": [");
    if (opts->face)
        rc = remove_face(opts, gallery, &all);
    for (int i = 0; i < argc && !cli_stopped(); i++)
        rc = cli_worse(rc, remove_one(opts, gallery, argv[i], &all));
    if (opts->format == JSON)
        puts("]}");
    rc = cli_worse(rc, write_receipts(&all, opts->receipt));
    free(all.lines);
    mien_gallery_free(gallery);
    return all.unverified ? cli_worse(rc, CLI_NO) : rc;
}

static const cli_example remove_examples[] = {
    { "remove a person who asked for it, and keep the receipt",
      "mien gallery remove office.gallery Ada --receipt ada.json" },
    { "and never enrol the person again",
      "mien gallery remove office.gallery 'Ada Lovelace' --do-not-enrol --yes" },
    { "remove one bad picture", "mien gallery remove office.gallery --face 17" },
    { NULL, NULL },
};

const cli_verb cli_verb_gallery_remove = {
    .name = "gallery remove",
    .operands = "G NAME|#ID...",
    .brief = "remove people for good, with a receipt",
    .about = "Removes name, note, templates and pictures, destroys the person's key in an encrypted gallery, "
             "empties the "
             "write-ahead log, and then searches every file of the gallery for bytes of what was removed. "
             "The receipt says what "
             "was found, and holds no name.\n\n"
             "Copies and backups made earlier are not reached; in those of encrypted galleries the person "
             "can still be read with "
             "the gallery's key.",
    .exits = "0 removed and verified, 1 nobody of that name, declined, or not verified, 2 usage, 3 the "
             "gallery cannot be opened",
    .tables = { cli_gallery_options, remove_options, cli_key_options },
    .examples = remove_examples,
    .opts_bytes = sizeof(remove_opts),
    .hint = CLI_FILES,
    .run = run_remove,
};

/* ---- expire ---- */

typedef struct expire_opts {
    cli_gallery_common base; /* first */
    int yes, dry_run, format;
    const char *receipt;
} expire_opts;

static const cli_option expire_options[] = {
    { .name = "yes",
      .letter = 'y',
      .kind = CLI_FLAG,
      .offset = offsetof(expire_opts, yes),
      .brief = "do not ask" },
    { .name = "dry-run",
      .letter = 'n',
      .kind = CLI_FLAG,
      .offset = offsetof(expire_opts, dry_run),
      .brief = "only say who would be removed" },
    { .name = "receipt",
      .kind = CLI_TEXT,
      .offset = offsetof(expire_opts, receipt),
      .value = "FILE",
      .hint = CLI_FILES,
      .brief = "write the receipts as JSON, one line per person" },
    { .name = "format",
      .letter = 'f',
      .kind = CLI_CHOICE,
      .offset = offsetof(expire_opts, format),
      .value = "text|json",
      .def = "text",
      .brief = "how to print" },
    { 0 },
};

typedef struct over {
    bool print;
    size_t n;
} over;

static int count_over(void *user, const mien_person *person)
{
    over *o = user;
    char expires[CLI_TIME_BYTES];
    if (!person->expired)
        return 0;
    o->n++;
    if (o->print) {
        cli_time_text(person->consent.expires_ms, expires);
        cli_plain_text(stdout, person->name);
        printf(": expired %s\n", expires);
    }
    return 0;
}

static int expire(const expire_opts *opts, mien_gallery *gallery, receipts *all)
{
    mien_error err = MIEN_ERROR_INIT;
    over o = { opts->format == TEXT, 0 };
    size_t n = 0;
    char question[96];
    if (mien_gallery_people(gallery, NULL, 0, 0, count_over, &o, &err) != MIEN_OK)
        return cli_fail(&err);
    if (!o.n || opts->dry_run) {
        if (opts->format == TEXT)
            printf("%zu %s expired\n", o.n, o.n == 1 ? "person" : "people");
        return CLI_YES;
    }
    snprintf(question, sizeof question, "remove %zu %s for good?", o.n, o.n == 1 ? "person" : "people");
    const int rc = ask(&cli_verb_gallery_expire, opts->yes, question);
    if (rc == CLI_YES && mien_gallery_expire(gallery, take_receipt, all, &n, &err) != MIEN_OK)
        return cli_fail(&err);
    if (rc == CLI_YES && opts->format == TEXT)
        printf("%zu %s removed\n", n, n == 1 ? "person" : "people");
    return rc;
}

static int run_expire(void *p, int argc, char **argv)
{
    const expire_opts *opts = p;
    const char *path = NULL;
    mien_gallery *gallery = NULL;
    receipts all = { opts->format, true, false, NULL, 0 };
    int rc = cli_gallery_begin(&cli_verb_gallery_expire, &opts->base, &changing, 0, CLI_NO_MORE, &argc, &argv,
                               &path, &gallery);
    if (rc != CLI_YES)
        return rc;
    if (opts->format == JSON)
        puts("{\"receipts\": [");
    rc = expire(opts, gallery, &all);
    if (opts->format == JSON)
        puts("]}");
    rc = cli_worse(rc, write_receipts(&all, opts->receipt));
    free(all.lines);
    mien_gallery_free(gallery);
    return all.unverified ? cli_worse(rc, CLI_NO) : rc;
}

static const cli_example expire_examples[] = {
    { "see whose consent is over", "mien gallery expire office.gallery --dry-run" },
    { "remove them every night, from cron",
      "mien gallery expire office.gallery --yes --receipt expired.jsonl" },
    { NULL, NULL },
};

const cli_verb cli_verb_gallery_expire = {
    .name = "gallery expire",
    .operands = "G",
    .brief = "remove everybody whose consent is over",
    .about = "People whose time is over are never matched, from that very moment; this verb removes them as "
             "`mien gallery "
             "remove` does, with a receipt each.",
    .exits = "0 done, 1 declined or not verified, 2 usage, 3 the gallery cannot be opened",
    .tables = { cli_gallery_options, expire_options, cli_key_options },
    .examples = expire_examples,
    .opts_bytes = sizeof(expire_opts),
    .hint = CLI_FILES,
    .run = run_expire,
};
