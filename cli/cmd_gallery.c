/* mien gallery info, list, show: what is in a gallery. */
#include "galleries.h"
#include <stdlib.h>
#include <string.h>

enum { TEXT, JSON, CSV };

/* ---- info ---- */

typedef struct format_opts {
    cli_gallery_common base; /* first */
    int format;
} format_opts;

static const cli_option info_options[] = {
    { .name = "format",
      .letter = 'f',
      .kind = CLI_CHOICE,
      .offset = offsetof(format_opts, format),
      .value = "text|json",
      .def = "text",
      .brief = "how to print" },
    { 0 },
};

static void info_text(const char *path, const mien_gallery_info *info)
{
    char created[CLI_TIME_BYTES], changed[CLI_TIME_BYTES];
    cli_time_text(info->created_ms, created);
    cli_time_text(info->changed_ms, changed);
    fputs("gallery     ", stdout);
    cli_plain_text(stdout, path);
    printf("\nid          %s\npurpose     ", info->id);
    cli_plain_text(stdout, info->purpose[0] ? info->purpose : "-");
    printf("\npeople      %zu", info->n_people);
    if (info->n_expired)
        printf(", %zu of them expired", info->n_expired);
    if (info->n_do_not_enrol)
        printf("; %zu not to be enrolled", info->n_do_not_enrol);
    printf("\nfaces       %zu, %zu with a kept picture\n", info->n_faces, info->n_images);
    printf("model       %s, %d floats (%.16s...)\n", info->model_name, info->dim, info->model);
    printf("encrypted   %s\n", info->encrypted ? "yes" : "no");
    printf("size        %.2f MB, version %d\n", (double)info->file_bytes / 1e6, info->version);
    printf("created     %s\nchanged     %s, change %llu\n", created, changed,
           (unsigned long long)info->sequence);
    printf("audit       %llu entries, head %s\n", (unsigned long long)info->audit_entries, info->audit_head);
}

static void info_json(const char *path, const mien_gallery_info *info)
{
    json_t *page = json_object();
    cli_json_set(page, "path", cli_json_text(path));
    cli_json_set(page, "id", json_string(info->id));
    cli_json_set(page, "version", json_integer(info->version));
    cli_json_set(page, "encrypted", json_boolean(info->encrypted));
    cli_json_set(page, "purpose", cli_json_text(info->purpose));
    cli_json_set(page, "people", json_integer((json_int_t)info->n_people));
    cli_json_set(page, "expired", json_integer((json_int_t)info->n_expired));
    cli_json_set(page, "do_not_enrol", json_integer((json_int_t)info->n_do_not_enrol));
    cli_json_set(page, "faces", json_integer((json_int_t)info->n_faces));
    cli_json_set(page, "images", json_integer((json_int_t)info->n_images));
    cli_json_set(page, "model", json_string(info->model_name));
    cli_json_set(page, "model_fingerprint", json_string(info->model));
    cli_json_set(page, "dim", json_integer(info->dim));
    cli_json_set(page, "bytes", json_integer((json_int_t)info->file_bytes));
    cli_json_set(page, "sequence", json_integer((json_int_t)info->sequence));
    cli_json_set(page, "created", cli_json_time(info->created_ms));
    cli_json_set(page, "changed", cli_json_time(info->changed_ms));
    cli_json_set(page, "audit_entries", json_integer((json_int_t)info->audit_entries));
    cli_json_set(page, "audit_head", json_string(info->audit_head));
    cli_json_page(stdout, page);
}

static const cli_gallery_how reading = { .mode = MIEN_GALLERY_READ, .no_index = true };

static int run_info(void *p, int argc, char **argv)
{
    const format_opts *opts = p;
    const char *path = NULL;
    mien_gallery *gallery = NULL;
    mien_gallery_info info;
    mien_error err = MIEN_ERROR_INIT;
    int rc = cli_gallery_begin(&cli_verb_gallery_info, &opts->base, &reading, 0, CLI_NO_MORE, &argc, &argv,
                               &path, &gallery);
    if (rc == CLI_YES && mien_gallery_info_of(gallery, &info, &err) != MIEN_OK)
        rc = cli_fail_path(path, &err);
    if (rc == CLI_YES && opts->format == JSON)
        info_json(path, &info);
    else if (rc == CLI_YES)
        info_text(path, &info);
    mien_gallery_free(gallery);
    return rc;
}

static const cli_example info_examples[] = {
    { "see what a gallery is", "mien gallery info office.gallery" },
    { "note the head of its audit chain elsewhere",
      "mien gallery info office.gallery -f json | jq -r .audit_head" },
    { NULL, NULL },
};

const cli_verb cli_verb_gallery_info = {
    .name = "gallery info",
    .operands = "G",
    .brief = "what a gallery is: people, model, size, audit head",
    .about = "The audit head is the digest of the newest entry of the audit chain. Written down elsewhere it "
             "shows later "
             "whether the file was put back to an earlier state.",
    .exits = "0 done, 2 usage, 3 not a gallery that can be opened",
    .tables = { cli_gallery_options, info_options, cli_key_options },
    .examples = info_examples,
    .opts_bytes = sizeof(format_opts),
    .hint = CLI_FILES,
    .run = run_info,
};

/* ---- list ---- */

typedef struct list_opts {
    cli_gallery_common base; /* first */
    int format, limit, after;
} list_opts;

static const cli_option list_options[] = {
    { .name = "format",
      .letter = 'f',
      .kind = CLI_CHOICE,
      .offset = offsetof(list_opts, format),
      .value = "text|json|csv",
      .def = "text",
      .brief = "how to print",
      .more = "json: people, each with id, name, faces, images, created, changed, seen, consent, expired, "
              "note." },
    { .name = "limit",
      .kind = CLI_INT,
      .offset = offsetof(list_opts, limit),
      .value = "N",
      .def = "0",
      .max = 1e9,
      .rare = 1,
      .brief = "at most so many; 0: all" },
    { .name = "after",
      .kind = CLI_INT,
      .offset = offsetof(list_opts, after),
      .value = "ID",
      .def = "0",
      .max = 2e9,
      .rare = 1,
      .brief = "those behind this number, to go on with" },
    { 0 },
};

typedef struct listing {
    int format;
    size_t people, faces;
} listing;

static json_t *person_json(const mien_person *person)
{
    json_t *item = json_object();
    cli_json_set(item, "id", json_integer(person->id));
    cli_json_set(item, "name", cli_json_text(person->name));
    cli_json_set(item, "faces", json_integer((json_int_t)person->n_faces));
    cli_json_set(item, "images", json_integer((json_int_t)person->n_images));
    cli_json_set(item, "created", cli_json_time(person->created_ms));
    cli_json_set(item, "changed", cli_json_time(person->changed_ms));
    cli_json_set(item, "seen", cli_json_time(person->seen_ms));
    cli_json_consent(item, &person->consent);
    cli_json_set(item, "expired", json_boolean(person->expired));
    cli_json_set(item, "note", cli_json_text(person->note));
    return item;
}

static void list_csv(const mien_person *person)
{
    char created[CLI_TIME_BYTES], expires[CLI_TIME_BYTES];
    cli_time_text(person->created_ms, created);
    cli_time_text(person->consent.expires_ms, expires);
    printf("%lld,", (long long)person->id);
    cli_csv_text(stdout, person->name);
    printf(",%zu,%zu,%s,", person->n_faces, person->n_images, created);
    cli_csv_text(stdout, person->consent.purpose);
    fputc(',', stdout);
    cli_csv_text(stdout, person->consent.basis);
    printf(",%s,%d\n", expires, person->expired);
}

static int list_person(void *user, const mien_person *person)
{
    listing *l = user;
    if (l->format == JSON) {
        if (l->people)
            fputs(",", stdout);
        cli_json_line(stdout, person_json(person));
    } else if (l->format == CSV) {
        list_csv(person);
    } else {
        char created[CLI_TIME_BYTES], expires[CLI_TIME_BYTES];
        cli_time_text(person->created_ms, created);
        cli_time_text(person->consent.expires_ms, expires);
        if (!l->people)
            puts("   id  name                            faces  enrolled          expires");
        printf("%5lld  ", (long long)person->id);
        cli_name_text(stdout, person->name, 30);
        printf("  %5zu  %s%s%s%s\n", person->n_faces, created, expires[0] ? "  " : "", expires,
               person->expired ? ", over" : "");
    }
    l->people++;
    l->faces += person->n_faces;
    return cli_stopped();
}

static int run_list(void *p, int argc, char **argv)
{
    const list_opts *opts = p;
    const char *path = NULL;
    mien_gallery *gallery = NULL;
    mien_error err = MIEN_ERROR_INIT;
    listing l = { opts->format, 0, 0 };
    int rc =
        cli_gallery_begin(&cli_verb_gallery_list, &opts->base, &reading, 0, 1, &argc, &argv, &path, &gallery);
    if (rc != CLI_YES)
        return rc;
    if (l.format == JSON)
        puts("{\"people\": [");
    else if (l.format == CSV)
        puts("id,name,faces,images,enrolled,purpose,basis,expires,expired");
    if (mien_gallery_people(gallery, argc ? argv[0] : NULL, opts->after, (size_t)opts->limit, list_person, &l,
                            &err) != MIEN_OK)
        rc = cli_fail_path(path, &err);
    if (l.format == JSON)
        puts("]}");
    else if (l.format == TEXT)
        printf("%zu %s, %zu %s\n", l.people, l.people == 1 ? "person" : "people", l.faces,
               l.faces == 1 ? "face" : "faces");
    mien_gallery_free(gallery);
    return cli_worse(rc, l.people || !argc ? CLI_YES : CLI_NO);
}

static const cli_example list_examples[] = {
    { "list everybody", "mien gallery list office.gallery" },
    { "find people by a part of their name", "mien gallery list office.gallery love" },
    { "as a table", "mien gallery list office.gallery -f csv > people.csv" },
    { NULL, NULL },
};

const cli_verb cli_verb_gallery_list = {
    .name = "gallery list",
    .operands = "G [PART-OF-NAME]",
    .brief = "the people of a gallery",
    .about = "In the order in which they were enrolled; times are UTC. A part of a name finds those whose "
             "name has it, "
             "whatever the case of its letters A to Z.",
    .exits = "0 done, 1 nobody has such a name, 2 usage, 3 not a gallery that can be opened",
    .tables = { cli_gallery_options, list_options, cli_key_options },
    .examples = list_examples,
    .opts_bytes = sizeof(list_opts),
    .hint = CLI_FILES,
    .run = run_list,
};

/* ---- show ---- */

static void consent_text(const mien_consent *c)
{
    char given[CLI_TIME_BYTES], expires[CLI_TIME_BYTES];
    cli_time_text(c->given_ms, given);
    cli_time_text(c->expires_ms, expires);
    if (!c->purpose[0] && !c->basis[0] && !expires[0]) {
        puts("consent   none recorded");
        return;
    }
    fputs("consent   for ", stdout);
    cli_plain_text(stdout, c->purpose[0] ? c->purpose : "-");
    fputs(", basis ", stdout);
    cli_plain_text(stdout, c->basis[0] ? c->basis : "-");
    printf(", given %s, expires %s\n", given[0] ? given : "-", expires[0] ? expires : "never");
}

static int show_person(void *user, const mien_person *person)
{
    char created[CLI_TIME_BYTES], seen[CLI_TIME_BYTES];
    json_t **page = user;
    if (*page) {
        json_decref(*page);
        *page = person_json(person);
        return 1;
    }
    cli_time_text(person->created_ms, created);
    cli_time_text(person->seen_ms, seen);
    fputs("name      ", stdout);
    cli_plain_text(stdout, person->name);
    printf("\nid        %lld\nenrolled  %s, last seen %s%s\n", (long long)person->id, created,
           seen[0] ? seen : "never", person->expired ? "; consent is over: never matched" : "");
    consent_text(&person->consent);
    if (person->note[0]) {
        fputs("note      ", stdout);
        cli_plain_text(stdout, person->note);
        puts("");
    }
    printf("faces     %zu, %zu with a kept picture\n", person->n_faces, person->n_images);
    return 1;
}

static json_t *face_json(const mien_gallery_face *face)
{
    json_t *item = json_object();
    cli_json_set(item, "id", json_integer(face->id));
    cli_json_set(item, "source", cli_json_text(face->source));
    cli_json_set(item, "created", cli_json_time(face->created_ms));
    cli_json_set(item, "fit", cli_json_round(face->fit, 4));
    cli_json_set(item, "outlier", json_boolean(face->outlier));
    cli_json_set(item, "has_image", json_boolean(face->has_image));
    cli_json_face(item, &face->face);
    cli_json_quality(item, &face->quality);
    return item;
}

static int show_face(void *user, const mien_gallery_face *face)
{
    json_t *list = user;
    if (list) {
        cli_json_append(list, face_json(face));
        return 0;
    }
    printf("  %5lld  quality %.2f  fit %.2f  %s%s", (long long)face->id, (double)face->quality.score,
           face->fit, face->has_image ? "picture kept  " : "",
           face->outlier ? "left out: unlike the others  " : "");
    cli_plain_text(stdout, face->source);
    puts("");
    return 0;
}

static int run_show(void *p, int argc, char **argv)
{
    const format_opts *opts = p;
    const char *path = NULL;
    mien_gallery *gallery = NULL;
    mien_error err = MIEN_ERROR_INIT;
    int64_t person = 0;
    int rc =
        cli_gallery_begin(&cli_verb_gallery_show, &opts->base, &reading, 1, 1, &argc, &argv, &path, &gallery);
    if (rc == CLI_YES)
        rc = cli_person_find(gallery, argv[0], &person);
    if (rc == CLI_YES) {
        json_t *page = opts->format == JSON ? json_object() : NULL, *faces = page ? json_array() : NULL;
        if (mien_gallery_person(gallery, person, show_person, &page, &err) != MIEN_OK ||
            mien_gallery_faces(gallery, person, show_face, faces, &err) != MIEN_OK)
            rc = cli_fail_path(path, &err);
        if (page) {
            cli_json_set(page, "face_list", faces);
            cli_json_page(stdout, page);
        }
    }
    mien_gallery_free(gallery);
    return rc;
}

static const cli_example show_examples[] = {
    { "see what is known of a person", "mien gallery show office.gallery 'Ada Lovelace'" },
    { "by number, as JSON", "mien gallery show office.gallery '#12' -f json" },
    { NULL, NULL },
};

const cli_verb cli_verb_gallery_show = {
    .name = "gallery show",
    .operands = "G NAME|#ID",
    .brief = "one person: consent, faces, how well they agree",
    .about = "Fit is the similarity of a face with the person's other faces together. One far below the "
             "others may show "
             "somebody else: `mien gallery split` gives it to another person, `mien gallery remove --face` "
             "removes it.",
    .exits = "0 done, 1 nobody of that name, 2 usage, 3 not a gallery that can be opened",
    .tables = { cli_gallery_options, info_options, cli_key_options },
    .examples = show_examples,
    .opts_bytes = sizeof(format_opts),
    .hint = CLI_FILES,
    .run = run_show,
};
