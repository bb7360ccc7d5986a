/* What the verbs of galleries share; see galleries.h. */
#include "galleries.h"
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

const cli_option cli_gallery_options[] = {
    { .name = "gallery",
      .letter = 'g',
      .kind = CLI_TEXT,
      .offset = offsetof(cli_gallery_common, gallery),
      .value = "G",
      .hint = CLI_FILES,
      .brief = "the gallery's file" },
    { 0 },
};

const cli_option cli_key_options[] = {
    { .name = "key-file",
      .letter = 'k',
      .kind = CLI_TEXT,
      .offset = offsetof(cli_gallery_common, key_file),
      .value = "FILE",
      .hint = CLI_FILES,
      .brief = "key of an encrypted gallery: a file of at least 32 bytes",
      .more = "`head -c 32 /dev/urandom > FILE` makes one. Keep a copy elsewhere: without it the gallery is "
              "lost." },
    { .name = "passphrase",
      .kind = CLI_FLAG,
      .offset = offsetof(cli_gallery_common, passphrase),
      .brief = "encrypt a new gallery with a passphrase",
      .more = "It is asked for on the terminal or taken from MIEN_PASSPHRASE, never from the command line. A "
              "gallery "
              "that is encrypted already asks by itself." },
    { .name = "actor",
      .kind = CLI_TEXT,
      .offset = offsetof(cli_gallery_common, actor),
      .value = "WHO",
      .hint = CLI_NOTHING,
      .rare = 1,
      .brief = "who is noted in the audit chain (default: your user name)" },
    { 0 },
};

/* ---- opening ---- */

static const char *actor_of(const cli_gallery_common *base)
{
    const struct passwd *user = base->actor ? NULL : getpwuid(getuid());
    return base->actor ? base->actor : user ? user->pw_name : "";
}

static bool exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

static int report(const char *path, mien_gallery_mode mode, const mien_error *err)
{
    if (err->status == MIEN_E_NOT_FOUND && (mode == MIEN_GALLERY_READ || mode == MIEN_GALLERY_WRITE)) {
        cli_say_path(
            path,
            "no gallery here (`mien enroll --gallery %s NAME PICTURE` or `mien gallery create` makes one)",
            path);
        return CLI_INPUT;
    }
    return cli_fail_path(path, err);
}

/* Open with what is known; an encrypted gallery then asks for its passphrase. */
static int open_asking(mien_gallery_opts *opts, const char *path, bool may_ask, mien_gallery **ret)
{
    mien_error err = MIEN_ERROR_INIT;
    cli_secret secret = { NULL, 0 };
    mien_status st = mien_gallery_open(path, opts, ret, &err);
    /* a gallery that wants a key file says so; no passphrase would help it */
    if (st == MIEN_E_GALLERY_KEY && may_ask && !strstr(err.message, "key file")) {
        const int rc = cli_secret_ask(&secret, path, "MIEN_PASSPHRASE", false);
        if (rc != CLI_YES)
            return rc;
        opts->passphrase = secret.data;
        st = mien_gallery_open(path, opts, ret, &err);
        opts->passphrase = NULL;
        cli_secret_free(&secret);
    }
    return st == MIEN_OK ? CLI_YES : report(path, opts->mode, &err);
}

int cli_gallery_open(const cli_gallery_common *base, const char *path, const cli_gallery_how *how,
                     mien_gallery **ret)
{
    const char *env = getenv("MIEN_PASSPHRASE");
    mien_gallery_opts opts = MIEN_GALLERY_OPTS_INIT;
    cli_secret secret = { NULL, 0 };
    int rc = CLI_YES;
    if (base->key_file && base->passphrase) {
        cli_say("--key-file and --passphrase exclude each other");
        return CLI_USAGE;
    }
    opts.mode = how->mode;
    opts.embedder = how->embedder;
    opts.purpose = how->purpose;
    opts.no_index = how->no_index;
    opts.actor = actor_of(base);
    opts.threads = base->common.threads ? (unsigned)base->common.threads : mien_cpu_count();
    const bool makes =
        how->mode == MIEN_GALLERY_CREATE || (how->mode == MIEN_GALLERY_OPEN_OR_CREATE && !exists(path));
    if (base->key_file) {
        rc = cli_secret_read(&secret, base->key_file);
        opts.key = secret.data;
        opts.key_bytes = secret.bytes;
    } else if (base->passphrase || (makes && env && *env)) {
        rc = cli_secret_ask(&secret, path, "MIEN_PASSPHRASE", makes);
        opts.passphrase = secret.data;
    }
    if (rc == CLI_YES)
        rc = open_asking(&opts, path, !secret.data, ret);
    cli_secret_free(&secret);
    return rc;
}

int cli_gallery_operand(const cli_verb *verb, const cli_gallery_common *base, int min, int max, int *argc,
                        char ***argv, const char **ret_path)
{
    *ret_path = base->gallery;
    if (!base->gallery) {
        if (*argc < 1)
            return cli_usage(verb, "wanted: %s", verb->operands);
        *ret_path = (*argv)[0];
        --*argc;
        ++*argv;
    }
    if (*argc < min)
        return cli_usage(verb, "too few arguments, wanted: %s", verb->operands);
    const int most = max == CLI_NO_MORE ? 0 : max ? max : *argc;
    if (*argc > most)
        return cli_usage(verb, "one argument too many: '%s'", (*argv)[most]);
    return CLI_YES;
}

int cli_gallery_begin(const cli_verb *verb, const cli_gallery_common *base, const cli_gallery_how *how,
                      int min, int max, int *argc, char ***argv, const char **ret_path, mien_gallery **ret)
{
    const int rc = cli_gallery_operand(verb, base, min, max, argc, argv, ret_path);
    return rc == CLI_YES ? cli_gallery_open(base, *ret_path, how, ret) : rc;
}

/* ---- people ---- */

static int copy_name(void *user, const mien_person *person)
{
    *(char **)user = cli_strdup(person->name);
    return 1;
}

char *cli_person_name(mien_gallery *gallery, int64_t person)
{
    char *name = NULL;
    if (mien_gallery_person(gallery, person, copy_name, &name, NULL) != MIEN_OK || !name)
        return cli_format("#%lld", (long long)person);
    return name;
}

typedef struct near_names {
    char text[256];
    size_t n;
} near_names;

static int add_near(void *user, const mien_person *person)
{
    near_names *near = user;
    const size_t len = strlen(near->text);
    if (++near->n <= 3 && len + strlen(person->name) + 5 < sizeof near->text)
        snprintf(near->text + len, sizeof near->text - len, "%s'%s'", len ? ", " : "", person->name);
    return near->n > 3;
}

int cli_person_find(mien_gallery *gallery, const char *text, int64_t *ret)
{
    mien_error err = MIEN_ERROR_INIT;
    mien_status st = mien_gallery_find(gallery, text, ret, &err);
    if (st == MIEN_E_NOT_FOUND && text[0] == '#' && text[1] >= '1' && text[1] <= '9') {
        char *end = NULL;
        const long long number = strtoll(text + 1, &end, 10);
        char *name = NULL;
        if (!*end && mien_gallery_person(gallery, number, copy_name, &name, NULL) == MIEN_OK) {
            free(name);
            *ret = number;
            return CLI_YES;
        }
    }
    if (st == MIEN_OK)
        return CLI_YES;
    if (st != MIEN_E_NOT_FOUND)
        return cli_fail(&err);
    near_names near = { "", 0 };
    if (mien_gallery_people(gallery, text, 0, 4, add_near, &near, NULL) == MIEN_OK && near.text[0])
        cli_say("nobody is named '%s'; there %s %s", text, near.n == 1 ? "is" : "are", near.text);
    else
        cli_say("nobody is named '%s' (`mien gallery list` shows who is there)", text);
    return CLI_NO;
}

/* ---- consent ---- */

bool cli_expiry_of(const char *text, int64_t now_ms, int64_t *ret_ms)
{
    const int64_t day_ms = 86400000;
    int y = 0, m = 0, d = 0, used = 0;
    char *end = NULL;
    if (!strcmp(text, "never")) {
        *ret_ms = 0;
        return true;
    }
    if (*text < '0' || *text > '9')
        return false;
    if (sscanf(text, "%4d-%2d-%2d%n", &y, &m, &d, &used) == 3 && !text[used] && used == 10) {
        struct tm tm = { .tm_year = y - 1900, .tm_mon = m - 1, .tm_mday = d };
        const time_t at = timegm(&tm);
        if (tm.tm_year != y - 1900 || tm.tm_mon != m - 1 || tm.tm_mday != d || y < 1971)
            return false; /* 2026-02-30 */
        *ret_ms = (int64_t)at * 1000;
        return true;
    }
    const long n = strtol(text, &end, 10);
    const int64_t days = !strcmp(end, "d") ? 1 : !strcmp(end, "w") ? 7 : !strcmp(end, "y") ? 365 : 0;
    if (!days || n < 1 || n > 36500)
        return false;
    *ret_ms = now_ms + (int64_t)n * days * day_ms;
    return true;
}

int cli_consent_of(const cli_verb *verb, const cli_consent *options, mien_consent *ret, bool *ret_given)
{
    const int64_t now = cli_clock_ms();
    *ret = (mien_consent){ options->purpose ? options->purpose : "", options->basis ? options->basis : "",
                           now, 0 };
    *ret_given = options->purpose || options->basis || options->expires;
    if (options->expires && !cli_expiry_of(options->expires, now, &ret->expires_ms))
        return cli_usage(
            verb,
            "--expires wants a date such as 2027-12-31, a time such as 90d, 12w or 2y, or never, not '%s'",
            options->expires);
    if (ret->expires_ms && ret->expires_ms <= now)
        return cli_usage(verb, "--expires %s is over already", options->expires);
    return CLI_YES;
}

/* ---- texts ---- */

int64_t cli_clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void cli_time_text(int64_t ms, char ret[CLI_TIME_BYTES])
{
    struct tm tm;
    const time_t seconds = (time_t)(ms / 1000);
    ret[0] = '\0';
    if (ms && gmtime_r(&seconds, &tm))
        strftime(ret, CLI_TIME_BYTES, "%Y-%m-%d %H:%M", &tm);
}

json_t *cli_json_time(int64_t ms)
{
    struct tm tm;
    char date[CLI_TIME_BYTES], text[CLI_TIME_BYTES + 8];
    const time_t seconds = (time_t)(ms / 1000);
    if (!ms || !gmtime_r(&seconds, &tm))
        return json_null();
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text, sizeof text, "%s.%03dZ", date, (int)(ms % 1000));
    return json_string(text);
}

int cli_columns(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

void cli_name_text(FILE *f, const char *name, int width)
{
    cli_plain_text(f, name);
    for (int i = cli_columns(name); i < width; i++)
        fputc(' ', f);
}

void cli_json_quality(json_t *object, const mien_quality *q)
{
    json_t *part = json_object();
    cli_json_set(part, "score", cli_json_round((double)q->score, 4));
    cli_json_set(part, "eye_distance_px", cli_json_round((double)q->eye_distance_px, 1));
    cli_json_set(part, "yaw_deg", cli_json_round((double)q->yaw_deg, 1));
    cli_json_set(part, "pitch_deg", cli_json_round((double)q->pitch_deg, 1));
    cli_json_set(part, "roll_deg", cli_json_round((double)q->roll_deg, 1));
    cli_json_set(part, "sharpness", cli_json_round((double)q->sharpness, 4));
    cli_json_set(part, "brightness", cli_json_round((double)q->brightness, 4));
    cli_json_set(part, "contrast", cli_json_round((double)q->contrast, 4));
    cli_json_set(part, "overexposed", cli_json_round((double)q->overexposed, 4));
    cli_json_set(part, "underexposed", cli_json_round((double)q->underexposed, 4));
    cli_json_set(part, "inside", cli_json_round((double)q->inside, 4));
    cli_json_set(object, "quality", part);
}

void cli_json_consent(json_t *object, const mien_consent *consent)
{
    json_t *part = json_object();
    cli_json_set(part, "purpose", cli_json_text(consent->purpose));
    cli_json_set(part, "basis", cli_json_text(consent->basis));
    cli_json_set(part, "given", cli_json_time(consent->given_ms));
    cli_json_set(part, "expires", cli_json_time(consent->expires_ms));
    cli_json_set(object, "consent", part);
}

int cli_curve_of(mien_gallery *gallery, const mien_model *embedder, mien_curve **ret)
{
    mien_error err = MIEN_ERROR_INIT;
    const mien_status st = mien_curve_of_gallery(gallery, embedder, ret, &err);
    return st == MIEN_OK || st == MIEN_E_NOT_FOUND ? CLI_YES : cli_fail(&err);
}

int cli_gallery_progress(void *user, uint64_t done, uint64_t total)
{
    (void)user;
    cli_progress_set_total(total);
    cli_progress_step(done);
    return cli_stopped();
}
