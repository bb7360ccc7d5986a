/* Galleries on the command line: opening them with their keys, naming people, saying who and when. */
#ifndef MIEN_CLI_GALLERIES_H
#define MIEN_CLI_GALLERIES_H

#include "json.h"
#include "kit.h"

/* First member of the options of every verb that opens a gallery. */
typedef struct cli_gallery_common {
    cli_common common; /* first */
    const char *gallery, *key_file, *actor;
    int passphrase;
} cli_gallery_common;
extern const cli_option cli_gallery_options[]; /* gallery */
extern const cli_option cli_key_options[];     /* key-file, passphrase, actor */

/* ---- opening ---- */

typedef struct cli_gallery_how {
    mien_gallery_mode mode;
    const mien_model *embedder; /* NULL: not checked, no templates */
    const char *purpose;        /* of a new gallery */
    bool no_index;
} cli_gallery_how;
/* Open, asking for a passphrase where one is needed: MIEN_PASSPHRASE, else the terminal. Reports; returns the
 * exit code. */
int cli_gallery_open(const cli_gallery_common *base, const char *path, const cli_gallery_how *how,
                     mien_gallery **ret);
/* Take the gallery's path from --gallery or else the first operand; *argc and *argv then are the rest, of
 * which there must be min..max (max 0: no limit). Returns CLI_YES or CLI_USAGE (reported). */
enum { CLI_NO_MORE = -1 };
int cli_gallery_operand(const cli_verb *verb, const cli_gallery_common *base, int min, int max, int *argc,
                        char ***argv, const char **ret_path);
/* Open the gallery of a verb whose operands begin with it. */
int cli_gallery_begin(const cli_verb *verb, const cli_gallery_common *base, const cli_gallery_how *how,
                      int min, int max, int *argc, char ***argv, const char **ret_path, mien_gallery **ret);

/* ---- secrets: never on the command line, wiped when freed ---- */

typedef struct cli_secret {
    char *data; /* a text ended by NUL, or bytes */
    size_t bytes;
} cli_secret;
/* A passphrase: of the environment's `variable`, else asked for on the terminal, twice when it is new.
 * Reports. */
int cli_secret_ask(cli_secret *ret, const char *what, const char *variable, bool is_new);
int cli_secret_read(cli_secret *ret, const char *path); /* a key file */
void cli_secret_free(cli_secret *secret);

/* ---- people ---- */

/* Find a person by name, or by number as "#12". Not found: says so, with names that are near; CLI_NO. */
int cli_person_find(mien_gallery *gallery, const char *text, int64_t *ret);
/* Copy a person's name; "#12" when it cannot be read. */
char *cli_person_name(mien_gallery *gallery, int64_t person);

/* ---- consent ---- */

typedef struct cli_consent {
    const char *purpose, *basis, *expires;
} cli_consent;
/* Fill `ret` from options; *ret_given false when none was used. Reports what is no date; CLI_USAGE. */
int cli_consent_of(const cli_verb *verb, const cli_consent *options, mien_consent *ret, bool *ret_given);
/* "2027-01-31" (its beginning, UTC), "90d", "12w", "2y" from `now_ms` on, or "never": 0. */
bool cli_expiry_of(const char *text, int64_t now_ms, int64_t *ret_ms);

/* ---- texts ---- */

int64_t cli_clock_ms(void);
enum { CLI_TIME_BYTES = 32 };
/* "2026-11-24 10:19" UTC; "" for 0. */
void cli_time_text(int64_t ms, char ret[CLI_TIME_BYTES]);
json_t *cli_json_time(int64_t ms); /* "2026-11-24T10:19:00.123Z", null for 0 */
/* Print a name on at least `width` columns, control characters masked. */
void cli_name_text(FILE *f, const char *name, int width);
int cli_columns(const char *text); /* how wide a name is, characters as one column */
void cli_json_quality(json_t *object, const mien_quality *quality);
void cli_json_consent(json_t *object, const mien_consent *consent);
/* What to do about a reason; NULL. */
const char *cli_advice(mien_reason reason);
/* The measurement behind a reason of the gate: "sharpness 0.12, at least 0.22"; "" for others. */
void cli_reason_detail(mien_reason reason, const mien_quality *quality, char *ret, size_t capacity);
/* Ask a question on the terminal; true for yes. False, with *ret_terminal false, when there is none. */
bool cli_confirm(const char *question, bool *ret_terminal);
/* Make the curve that decisions of a gallery stand on: its own calibration, else its model's. Returns the
 * exit code; *ret stays NULL when neither has one. */
int cli_curve_of(mien_gallery *gallery, const mien_model *embedder, mien_curve **ret);
/* The progress bar as the library's long work calls it. */
int cli_gallery_progress(void *user, uint64_t done, uint64_t total);

#endif
