/* mien gallery rename, edit, merge, split, undo: putting right what a gallery says about people. */
#include "galleries.h"
#include <stdlib.h>
#include <string.h>

typedef struct plain_opts {
    cli_gallery_common base; /* first */
} plain_opts;

static const cli_gallery_how changing = { .mode = MIEN_GALLERY_WRITE };

/* The end of every verb here: report, close. */
static int finish(int rc, mien_gallery *gallery)
{
    mien_gallery_free(gallery);
    return rc;
}

/* ---- rename ---- */

static int run_rename(void *p, int argc, char **argv)
{
    const plain_opts *opts = p;
    const char *path = NULL;
    mien_gallery *gallery = NULL;
    mien_error err = MIEN_ERROR_INIT;
    int64_t person = 0;
    int rc = cli_gallery_begin(&cli_verb_gallery_rename, &opts->base, &changing, 2, 2, &argc, &argv, &path,
                               &gallery);
    if (rc == CLI_YES)
        rc = cli_person_find(gallery, argv[0], &person);
    if (rc == CLI_YES && mien_gallery_edit(gallery, person, argv[1], NULL, NULL, &err) != MIEN_OK) {
        rc = cli_fail(&err);
        if (err.status == MIEN_E_EXISTS)
            cli_say("the same person twice? `mien gallery merge` joins them");
    }
    if (rc == CLI_YES) {
        cli_plain_text(stdout, argv[0]);
        fputs(" is now ", stdout);
        cli_plain_text(stdout, argv[1]);
        puts("");
    }
    return finish(rc, gallery);
}

static const cli_example rename_examples[] = {
    { "put a name right", "mien gallery rename office.gallery Ada 'Ada Lovelace'" },
    { NULL, NULL },
};

const cli_verb cli_verb_gallery_rename = {
    .name = "gallery rename",
    .operands = "G NAME|#ID NEW-NAME",
    .brief = "give a person another name",
    .about = "Names are unique in a gallery. `mien gallery undo` takes it back.",
    .exits = "0 done, 1 nobody of that name, 2 usage, 3 the name is taken, or the gallery cannot be opened",
    .tables = { cli_gallery_options, cli_key_options },
    .examples = rename_examples,
    .opts_bytes = sizeof(plain_opts),
    .hint = CLI_FILES,
    .run = run_rename,
};

/* ---- edit ---- */

typedef struct edit_opts {
    cli_gallery_common base; /* first */
    cli_consent consent;
    const char *note;
} edit_opts;

static const cli_option edit_options[] = {
    { .name = "purpose",
      .kind = CLI_TEXT,
      .offset = offsetof(edit_opts, consent.purpose),
      .value = "TEXT",
      .hint = CLI_NOTHING,
      .brief = "what for" },
    { .name = "basis",
      .kind = CLI_TEXT,
      .offset = offsetof(edit_opts, consent.basis),
      .value = "TEXT",
      .hint = CLI_NOTHING,
      .brief = "on what legal basis: consent, contract, ..." },
    { .name = "expires",
      .kind = CLI_TEXT,
      .offset = offsetof(edit_opts, consent.expires),
      .value = "WHEN",
      .hint = CLI_NOTHING,
      .brief = "2027-12-31, 90d, 12w, 2y or never" },
    { .name = "note",
      .kind = CLI_TEXT,
      .offset = offsetof(edit_opts, note),
      .value = "TEXT",
      .hint = CLI_NOTHING,
      .brief = "free text" },
    { 0 },
};

/* What was said before stays where no option says otherwise. */
typedef struct consent_copy {
    char *purpose, *basis;
    int64_t given_ms, expires_ms;
} consent_copy;

static int copy_consent(void *user, const mien_person *person)
{
    consent_copy *copy = user;
    copy->purpose = cli_strdup(person->consent.purpose);
    copy->basis = cli_strdup(person->consent.basis);
    copy->given_ms = person->consent.given_ms;
    copy->expires_ms = person->consent.expires_ms;
    return 1;
}

static int edit(const edit_opts *opts, mien_gallery *gallery, int64_t person, const mien_consent *wanted,
                bool has_consent)
{
    mien_error err = MIEN_ERROR_INIT;
    consent_copy was = { NULL, NULL, 0, 0 };
    mien_status st = mien_gallery_person(gallery, person, copy_consent, &was, &err);
    if (st == MIEN_OK) {
        const bool given_anew = opts->consent.purpose || opts->consent.basis || !was.given_ms;
        const mien_consent c = { opts->consent.purpose ? wanted->purpose : was.purpose,
                                 opts->consent.basis ? wanted->basis : was.basis,
                                 given_anew ? wanted->given_ms : was.given_ms,
                                 opts->consent.expires ? wanted->expires_ms : was.expires_ms };
        st = mien_gallery_edit(gallery, person, NULL, opts->note, has_consent ? &c : NULL, &err);
    }
    free(was.purpose);
    free(was.basis);
    return st == MIEN_OK ? CLI_YES : cli_fail(&err);
}

static int run_edit(void *p, int argc, char **argv)
{
    const edit_opts *opts = p;
    const char *path = NULL;
    mien_gallery *gallery = NULL;
    mien_consent consent;
    bool has_consent = false;
    int64_t person = 0;
    int rc = cli_consent_of(&cli_verb_gallery_edit, &opts->consent, &consent, &has_consent);
    if (rc == CLI_YES && !has_consent && !opts->note)
        return cli_usage(&cli_verb_gallery_edit, "wanted: --purpose, --basis, --expires or --note");
    if (rc == CLI_YES)
        rc = cli_gallery_begin(&cli_verb_gallery_edit, &opts->base, &changing, 1, 1, &argc, &argv, &path,
                               &gallery);
    if (rc == CLI_YES)
        rc = cli_person_find(gallery, argv[0], &person);
    if (rc == CLI_YES)
        rc = edit(opts, gallery, person, &consent, has_consent);
    if (rc == CLI_YES) {
        cli_plain_text(stdout, argv[0]);
        puts(": noted");
    }
    return finish(rc, gallery);
}

static const cli_example edit_examples[] = {
    { "prolong a consent by a year", "mien gallery edit office.gallery Ada --expires 1y" },
    { NULL, NULL },
};

const cli_verb cli_verb_gallery_edit = {
    .name = "gallery edit",
    .operands = "G NAME|#ID",
    .brief = "change a person's consent or note",
    .about = "What no option names stays as it is. The time at which consent was given becomes now when its "
             "purpose or basis "
             "changes.",
    .exits = "0 done, 1 nobody of that name, 2 usage, 3 the gallery cannot be opened",
    .tables = { cli_gallery_options, edit_options, cli_key_options },
    .examples = edit_examples,
    .opts_bytes = sizeof(edit_opts),
    .hint = CLI_FILES,
    .run = run_edit,
};

/* ---- merge ---- */

static int run_merge(void *p, int argc, char **argv)
{
    const plain_opts *opts = p;
    const char *path = NULL;
    mien_gallery *gallery = NULL;
    mien_error err = MIEN_ERROR_INIT;
    int64_t into = 0, from = 0;
    int rc = cli_gallery_begin(&cli_verb_gallery_merge, &opts->base, &changing, 2, 2, &argc, &argv, &path,
                               &gallery);
    if (rc == CLI_YES)
        rc = cli_person_find(gallery, argv[0], &into);
    if (rc == CLI_YES)
        rc = cli_person_find(gallery, argv[1], &from);
    if (rc == CLI_YES && into == from)
        rc = cli_usage(&cli_verb_gallery_merge, "this is one person already");
    if (rc == CLI_YES && mien_gallery_merge(gallery, into, from, &err) != MIEN_OK)
        rc = cli_fail(&err);
    if (rc == CLI_YES) {
        fputs("the faces of ", stdout);
        cli_plain_text(stdout, argv[1]);
        fputs(" are now those of ", stdout);
        cli_plain_text(stdout, argv[0]);
        puts(" (`mien gallery undo` takes it back)");
    }
    return finish(rc, gallery);
}

static const cli_example merge_examples[] = {
    { "join one person who was enrolled under two names",
      "mien gallery merge office.gallery 'Ada Lovelace' Ada" },
    { NULL, NULL },
};

const cli_verb cli_verb_gallery_merge = {
    .name = "gallery merge",
    .operands = "G KEEP-NAME|#ID OTHER-NAME|#ID",
    .brief = "make one person of two",
    .about = "All faces of the second become the first one's, whose name, note and consent stay; the second "
             "is gone. "
             "`mien gallery undo` takes it back.",
    .exits = "0 done, 1 nobody of that name, 2 usage, 3 the gallery cannot be opened",
    .tables = { cli_gallery_options, cli_key_options },
    .examples = merge_examples,
    .opts_bytes = sizeof(plain_opts),
    .hint = CLI_FILES,
    .run = run_merge,
};

/* ---- split ---- */

typedef struct split_opts {
    cli_gallery_common base; /* first */
    const char *into;
} split_opts;

static const cli_option split_options[] = {
    { .name = "into",
      .kind = CLI_TEXT,
      .offset = offsetof(split_opts, into),
      .value = "NAME",
      .hint = CLI_NOTHING,
      .brief = "whose faces they are; made when there is nobody of that name" },
    { 0 },
};

static int parse_faces(int n, char **texts, int64_t **ret)
{
    int64_t *faces = cli_alloc((size_t)n, sizeof *faces);
    for (int i = 0; i < n; i++) {
        char *end = NULL;
        faces[i] = strtoll(texts[i], &end, 10);
        if (texts[i][0] < '1' || texts[i][0] > '9' || *end) {
            free(faces);
            return cli_usage(&cli_verb_gallery_split,
                             "'%s' is no number of a face (`mien gallery show` lists them)", texts[i]);
        }
    }
    *ret = faces;
    return CLI_YES;
}

static int run_split(void *p, int argc, char **argv)
{
    const split_opts *opts = p;
    const char *path = NULL;
    mien_gallery *gallery = NULL;
    mien_error err = MIEN_ERROR_INIT;
    int64_t person = 0, made = 0, *faces = NULL;
    if (!opts->into)
        return cli_usage(&cli_verb_gallery_split, "wanted: --into NAME");
    int rc = cli_gallery_begin(&cli_verb_gallery_split, &opts->base, &changing, 2, 0, &argc, &argv, &path,
                               &gallery);
    if (rc == CLI_YES)
        rc = parse_faces(argc - 1, argv + 1, &faces);
    if (rc == CLI_YES)
        rc = cli_person_find(gallery, argv[0], &person);
    if (rc == CLI_YES &&
        mien_gallery_split(gallery, person, faces, (size_t)argc - 1, opts->into, &made, &err) != MIEN_OK)
        rc = cli_fail(&err);
    if (rc == CLI_YES) {
        printf("%d face%s of ", argc - 1, argc == 2 ? "" : "s");
        cli_plain_text(stdout, argv[0]);
        fputs(argc == 2 ? " is now one of " : " are now those of ", stdout);
        cli_plain_text(stdout, opts->into);
        printf(" (person %lld)\n", (long long)made);
    }
    free(faces);
    return finish(rc, gallery);
}

static const cli_example split_examples[] = {
    { "give a face that was enrolled under the wrong name to whom it shows",
      "mien gallery split office.gallery Ada 17 --into Grace" },
    { NULL, NULL },
};

const cli_verb cli_verb_gallery_split = {
    .name = "gallery split",
    .operands = "G NAME|#ID FACE... --into NAME",
    .brief = "give faces of one person to another",
    .about =
        "The faces' numbers are those that `mien gallery show` lists. `mien gallery undo` takes it back.",
    .exits = "0 done, 1 nobody of that name, 2 usage, 3 no such face, or the gallery cannot be opened",
    .tables = { cli_gallery_options, split_options, cli_key_options },
    .examples = split_examples,
    .opts_bytes = sizeof(split_opts),
    .hint = CLI_FILES,
    .run = run_split,
};

/* ---- undo ---- */

static int run_undo(void *p, int argc, char **argv)
{
    const plain_opts *opts = p;
    const char *path = NULL;
    mien_gallery *gallery = NULL;
    mien_error err = MIEN_ERROR_INIT;
    char what[1024];
    int rc = cli_gallery_begin(&cli_verb_gallery_undo, &opts->base, &changing, 0, CLI_NO_MORE, &argc, &argv,
                               &path, &gallery);
    if (rc == CLI_YES && mien_gallery_undo(gallery, what, sizeof what, &err) != MIEN_OK) {
        rc = cli_fail_path(path, &err);
        rc = err.status == MIEN_E_NOT_FOUND ? CLI_NO : rc;
    }
    if (rc == CLI_YES) {
        cli_plain_text(stdout, what);
        puts("");
    }
    return finish(rc, gallery);
}

static const cli_example undo_examples[] = {
    { "take back the last rename, merge or split", "mien gallery undo office.gallery" },
    { NULL, NULL },
};

const cli_verb cli_verb_gallery_undo = {
    .name = "gallery undo",
    .operands = "G",
    .brief = "take back the last rename, merge or split",
    .about = "Repeated, it goes back further, as long as the people still stand as the change left them. "
             "What was removed "
             "is gone for good.",
    .exits = "0 done, 1 nothing to take back, 2 usage, 3 the gallery cannot be opened",
    .tables = { cli_gallery_options, cli_key_options },
    .examples = undo_examples,
    .opts_bytes = sizeof(plain_opts),
    .hint = CLI_FILES,
    .run = run_undo,
};
