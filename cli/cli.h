/* What the verbs of the command line share: the option table, messages, progress, files, outputs.
 *
 * Each verb is one `cli_verb` (cmd_<verb>.c). From its option table come the parser, -h, --help, the
 * manual page and the shell completions, so that none of them can drift from the others. The program
 * sees only <mien/...>. It never calls setlocale(): numbers are read and written the same everywhere.
 */
#ifndef MIEN_CLI_H
#define MIEN_CLI_H

#include <mien/mien.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CLI_COUNTOF(a) (sizeof(a) / sizeof((a)[0]))

/* ---- exit codes ---- */
enum {
    CLI_YES = 0,      /* yes, found, done */
    CLI_NO = 1,       /* no, none found */
    CLI_USAGE = 2,    /* the command line is wrong */
    CLI_INPUT = 3,    /* a file given could not be used */
    CLI_MODEL = 4,    /* a model is missing or unusable */
    CLI_INTERNAL = 5, /* out of memory, output not writable, a fault of the program */
};

/* The exit code that a library status stands for. */
int cli_exit_of(mien_status status);
/* Of two outcomes the one to report: faults over "no" over "yes", the graver fault first. */
int cli_worse(int a, int b);

/* ---- option tables ---- */
typedef enum cli_kind {
    CLI_FLAG,   /* int: 1 when given */
    CLI_INT,    /* int in [min, max] */
    CLI_REAL,   /* double in [min, max] */
    CLI_BYTES,  /* uint64_t; K, M, G suffixes */
    CLI_TEXT,   /* const char * */
    CLI_CHOICE, /* int: index into `value`, the words joined with '|' */
    CLI_SIZE,   /* cli_size: WxH */
} cli_kind;

typedef enum cli_hint { CLI_ANY, CLI_FILES, CLI_DIRS, CLI_MODELS, CLI_NOTHING } cli_hint;

typedef struct cli_size {
    int width, height;
} cli_size;

typedef struct cli_option {
    const char *name; /* long name without dashes */
    char letter;      /* short name or 0 */
    cli_kind kind;
    size_t offset;     /* of the value in the verb's options struct */
    const char *value; /* placeholder; for CLI_CHOICE the words */
    const char *def;   /* default as it would be typed; NULL: zero, NaN for CLI_REAL */
    double min, max;   /* CLI_INT and CLI_REAL */
    cli_hint hint;     /* what the shell completes */
    int rare;          /* 1: left out of -h */
    const char *brief; /* one line */
    const char *more;  /* what --help and the manual add; NULL */
} cli_option;

typedef struct cli_example {
    const char *what, *command;
} cli_example;

enum { CLI_MAX_TABLES = 6 };

typedef struct cli_verb {
    const char *name;                         /* "detect", "model list" */
    const char *operands;                     /* "IMAGE|DIR..." */
    const char *brief;                        /* one line, no full stop */
    const char *about;                        /* paragraphs, parted by an empty line */
    const char *exits;                        /* what 0 and 1 mean here */
    const cli_option *tables[CLI_MAX_TABLES]; /* each ends with name == NULL */
    const cli_example *examples;              /* ends with what == NULL */
    size_t opts_bytes;                        /* of the options struct */
    int min_operands, max_operands;           /* max 0: no limit */
    cli_hint hint;                            /* of the operands */
    int (*run)(void *opts, int argc, char **argv);
} cli_verb;

/* All verbs, in the order of the help; NULL past the end. */
const cli_verb *cli_verb_at(size_t index);
/* Find by name; takes "model" "list". *ret_used words (1 or 2). NULL when there is none. */
const cli_verb *cli_verb_find(int argc, char **argv, int *ret_used);
/* The word before the blank of at least one verb, such as "model". */
bool cli_is_group(const char *word);

/* Walk a verb's options over its tables: option 0, 1, ...; NULL past the end. */
const cli_option *cli_option_at(const cli_verb *verb, size_t index);

/* Read argv (without the verb's words) into `opts`; operands are moved to the front of argv.
 * Returns -1 to go on, else the exit code (help was shown, or the usage is wrong). */
int cli_parse(const cli_verb *verb, int argc, char **argv, void *opts, int *ret_operands);
/* Copy word `index` of "a|b|c"; false past the end. */
bool cli_choice_at(const char *choices, int index, char *ret, size_t capacity);
/* Parse, run and return the exit code. */
int cli_run_verb(const cli_verb *verb, int argc, char **argv);

/* Say what is wrong with the command line; returns CLI_USAGE. */
int cli_usage(const cli_verb *verb, const char *fmt, ...) MIEN_PRINTF(2, 3);
/* Nearest of the verbs (verb NULL) or of a verb's options to a mistyped word; NULL when none is near. */
const char *cli_nearest(const cli_verb *verb, const char *word);

/* ---- help ---- */
void cli_help_short(const cli_verb *verb, FILE *f);
void cli_help_full(const cli_verb *verb, FILE *f);
void cli_help_program(FILE *f, bool full);
void cli_help_group(const char *group, FILE *f);
void cli_man(FILE *f);
/* shell: "bash", "zsh" or "fish"; false when unknown. */
bool cli_completion(const char *shell, FILE *f);
/* Sections of text shared by --help and the manual: title and paragraphs; NULL past the end. */
typedef struct cli_section {
    const char *title, *text;
} cli_section;
const cli_section *cli_section_at(size_t index);

/* ---- options that several verbs share: the first member of their options struct ---- */
typedef struct cli_common {
    int threads, quiet, sandbox;
    uint64_t max_bytes, max_pixels;
    int max_side, max_scans;
    const char *detector;
    int min_size;
    double min_score;
} cli_common;
extern const cli_option cli_input_options[];    /* reading pictures, threads, quiet */
extern const cli_option cli_detector_options[]; /* detector */
extern const cli_option cli_detect_options[];   /* min-size, min-score */

/* The command line as it could be typed again, for reports. */
extern char *cli_command;

/* ---- messages: all on stderr, one line each, control characters masked; any thread ---- */
extern const char *cli_program;                                              /* "mien" */
void cli_say(const char *fmt, ...) MIEN_PRINTF(1, 2);                        /* mien: ... */
void cli_say_path(const char *path, const char *fmt, ...) MIEN_PRINTF(2, 3); /* mien: PATH: ... */
/* Report a library error about a file; the path is not said twice. Returns its exit code. */
int cli_fail_path(const char *path, const mien_error *err);
int cli_fail(const mien_error *err);
/* The error's text without the path in front. */
const char *cli_error_text(const char *path, const mien_error *err);

/* ---- Ctrl-C ---- */
void cli_signals_install(void);
bool cli_stopped(void);
/* After cleaning up: end the way the signal would have; returns when no signal came. */
void cli_signals_finish(void);

/* ---- memory: prints and exits with CLI_INTERNAL when short ---- */
void *cli_alloc(size_t n, size_t item_bytes); /* zeroed */
void *cli_grow(void *old, size_t n, size_t item_bytes);
char *cli_strdup(const char *s);
char *cli_format(const char *fmt, ...) MIEN_PRINTF(1, 2);

/* ---- progress bar: on a terminal, after a second; any thread ---- */
void cli_progress_begin(const char *unit, uint64_t total, bool quiet);
void cli_progress_step(uint64_t done);
void cli_progress_set_total(uint64_t total);
void cli_progress_end(void);
/* Internal to messages: take the terminal line, and give it back. */
void cli_line_lock(void);
void cli_line_unlock(void);

/* ---- files ---- */
typedef struct cli_file {
    char *path; /* as it can be opened */
    size_t rel; /* offset in path of the part below the folder given, or of the base name */
} cli_file;
typedef struct cli_files {
    cli_file *items;
    size_t n, capacity;
    int exit_code; /* CLI_INPUT when an operand could not be used */
} cli_files;
/* Collect pictures: files as given, folders walked (sorted, recursively). Faults are reported. */
void cli_files_collect(cli_files *files, int n, char **operands);
void cli_files_free(cli_files *files);
/* Where a drawn copy goes: DIR/relative name, as PNG where the name is not one we can write. */
char *cli_draw_path(const char *dir, const cli_file *file);
bool cli_is_dir(const char *path);
/* Make a folder and those above it; reports. */
int cli_make_dirs(const char *path);
/* Where the extension starts (the dot), or the end. */
const char *cli_extension(const char *path);
bool cli_has_extension(const char *path, const char *ext);
char *cli_join(const char *dir, const char *name);
double cli_now_ms(void);

/* ---- outputs: a file whole or not at all, or stdout ---- */
typedef struct cli_out {
    FILE *f;
    char *path, *temp; /* NULL for stdout */
} cli_out;
/* path NULL or "-": stdout. Returns CLI_YES or CLI_INTERNAL (reported). */
int cli_out_open(cli_out *out, const char *path);
int cli_out_commit(cli_out *out);
void cli_out_discard(cli_out *out);
void cli_csv_text(FILE *f, const char *s);   /* quoted where RFC 4180 asks */
void cli_plain_text(FILE *f, const char *s); /* control characters masked */

/* NumPy .npy version 1.0, float32 [n][dim]; n may be counted later. */
enum { CLI_NPY_HEADER = 128 };
void cli_npy_header(FILE *f, size_t n, size_t dim);

/* ---- work on many items with several threads, results in order ---- */
typedef void *(*cli_work_fn)(void *ctx, void *worker, size_t item);
typedef void (*cli_done_fn)(void *ctx, size_t item, void *result);
/* work() runs on any thread with that thread's `workers[t]`; done() on the caller's, item 0, 1, ....
 * Stops early on Ctrl-C. */
void cli_run_ordered(size_t n, unsigned threads, void **workers, cli_work_fn work, cli_done_fn done,
                     void *ctx, const char *unit, bool quiet);

/* The verbs, one a line. */
extern const cli_verb cli_verb_detect;
extern const cli_verb cli_verb_align;
extern const cli_verb cli_verb_embed;
extern const cli_verb cli_verb_compare;
extern const cli_verb cli_verb_enroll;
extern const cli_verb cli_verb_identify;
extern const cli_verb cli_verb_watch;
extern const cli_verb cli_verb_cluster;
extern const cli_verb cli_verb_gallery_create;
extern const cli_verb cli_verb_gallery_info;
extern const cli_verb cli_verb_gallery_list;
extern const cli_verb cli_verb_gallery_show;
extern const cli_verb cli_verb_gallery_rename;
extern const cli_verb cli_verb_gallery_edit;
extern const cli_verb cli_verb_gallery_merge;
extern const cli_verb cli_verb_gallery_split;
extern const cli_verb cli_verb_gallery_undo;
extern const cli_verb cli_verb_gallery_remove;
extern const cli_verb cli_verb_gallery_expire;
extern const cli_verb cli_verb_gallery_export;
extern const cli_verb cli_verb_gallery_import;
extern const cli_verb cli_verb_gallery_migrate;
extern const cli_verb cli_verb_gallery_verify;
extern const cli_verb cli_verb_gallery_backup;
extern const cli_verb cli_verb_gallery_rekey;
extern const cli_verb cli_verb_gallery_audit;
extern const cli_verb cli_verb_gallery_calibrate;
extern const cli_verb cli_verb_calibrate;
extern const cli_verb cli_verb_eval_pairs;
extern const cli_verb cli_verb_eval_folder;
extern const cli_verb cli_verb_eval_scores;
extern const cli_verb cli_verb_eval_identify;
extern const cli_verb cli_verb_eval_compare;
extern const cli_verb cli_verb_serve;
extern const cli_verb cli_verb_serve_key;
extern const cli_verb cli_verb_model_list;
extern const cli_verb cli_verb_model_info;
extern const cli_verb cli_verb_model_import;
extern const cli_verb cli_verb_model_pull;
extern const cli_verb cli_verb_model_verify;
extern const cli_verb cli_verb_bench_model;
extern const cli_verb cli_verb_bench_pipeline;
extern const cli_verb cli_verb_bench_train;
extern const cli_verb cli_verb_train;
extern const cli_verb cli_verb_finetune;
extern const cli_verb cli_verb_doctor;
extern const cli_verb cli_verb_completion;
extern const cli_verb cli_verb_help;

/* Called as `face_recognition` or `face_detection`. */
int cli_compat_recognition(int argc, char **argv);
int cli_compat_detection(int argc, char **argv);

#endif
