/* Finds the pictures a command line names: files as they are given, folders recursively and sorted by
 * name, so that output never depends on the order of a directory. In folders only names that end like a
 * picture's are taken (the content decides later) and names that begin with a dot are left out. Links are
 * followed; a folder that is its own ancestor is not entered again.
 */
#include "cli.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 64 };

typedef struct place {
    dev_t dev;
    ino_t ino;
} place;

typedef struct walk {
    cli_files *files;
    size_t rel; /* length of the operand's path with its slash */
    place above[MAX_DEPTH];
    int depth;
} walk;

const char *cli_extension(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    const char *dot = strrchr(base, '.');
    return dot && dot != base ? dot : base + strlen(base);
}

bool cli_has_extension(const char *path, const char *ext)
{
    return strcasecmp(cli_extension(path), ext) == 0;
}

static bool looks_like_picture(const char *path)
{
    static const char *const known[] = { ".jpg",  ".jpeg", ".jpe",  ".jfif", ".png",
                                         ".webp", ".heic", ".heif", ".hif" };
    for (size_t i = 0; i < CLI_COUNTOF(known); i++) {
        if (cli_has_extension(path, known[i]))
            return true;
    }
    return false;
}

char *cli_join(const char *dir, const char *name)
{
    const size_t len = strlen(dir);
    return cli_format("%s%s%s", dir, len && dir[len - 1] == '/' ? "" : "/", name);
}

bool cli_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int cli_make_dirs(const char *path)
{
    char *copy = cli_strdup(path);
    int rc = CLI_YES;
    for (char *p = copy + 1; rc == CLI_YES; p++) {
        const char c = *p;
        if (c != '/' && c != '\0')
            continue;
        *p = '\0';
        if (mkdir(copy, 0777) != 0 && !cli_is_dir(copy)) {
            cli_say_path(copy, "cannot make this folder: %s", strerror(errno));
            rc = CLI_INTERNAL;
        }
        *p = c;
        if (c == '\0')
            break;
    }
    free(copy);
    return rc;
}

static void add(cli_files *files, char *path, size_t rel)
{
    if (files->n == files->capacity) {
        files->capacity = files->capacity ? 2 * files->capacity : 64;
        files->items = cli_grow(files->items, files->capacity, sizeof *files->items);
    }
    files->items[files->n++] = (cli_file){ path, rel };
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of a folder, sorted; NULL with errno when it cannot be read. */
static char **read_names(const char *dir, size_t *ret_n)
{
    DIR *d = opendir(dir);
    if (!d)
        return NULL;
    char **names = cli_alloc(16, sizeof *names);
    size_t n = 0, capacity = 16;
    const struct dirent *e = NULL;
    while ((e = readdir(d)) != NULL) {
        if (e->d_name[0] == '.')
            continue;
        if (n == capacity) {
            capacity *= 2;
            names = cli_grow(names, capacity, sizeof *names);
        }
        names[n++] = cli_strdup(e->d_name);
    }
    closedir(d);
    qsort(names, n, sizeof *names, by_name);
    *ret_n = n;
    return names;
}

static void walk_dir(walk *w, const char *dir);

static void walk_entry(walk *w, char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        if (looks_like_picture(path)) {
            cli_say_path(path, "%s", strerror(errno));
            w->files->exit_code = CLI_INPUT;
        }
    } else if (S_ISDIR(st.st_mode)) {
        bool inside_itself = false;
        for (int i = 0; i < w->depth; i++)
            inside_itself |= w->above[i].dev == st.st_dev && w->above[i].ino == st.st_ino;
        if (!inside_itself && w->depth < MAX_DEPTH) {
            w->above[w->depth++] = (place){ st.st_dev, st.st_ino };
            walk_dir(w, path);
            w->depth--;
        }
    } else if (S_ISREG(st.st_mode) && looks_like_picture(path)) {
        add(w->files, path, w->rel);
        return;
    }
    free(path);
}

static void walk_dir(walk *w, const char *dir)
{
    size_t n = 0;
    char **names = read_names(dir, &n);
    if (!names) {
        cli_say_path(dir, "cannot read this folder: %s", strerror(errno));
        w->files->exit_code = CLI_INPUT;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        walk_entry(w, cli_join(dir, names[i]));
        free(names[i]);
    }
    free(names);
}

static void collect_dir(cli_files *files, const char *dir, const struct stat *st)
{
    walk w = { files, 0, { { 0, 0 } }, 1 };
    const size_t len = strlen(dir);
    w.rel = len + (len && dir[len - 1] != '/');
    w.above[0] = (place){ st->st_dev, st->st_ino };
    const size_t before = files->n;
    const int exit_before = files->exit_code;
    walk_dir(&w, dir);
    if (files->n == before && files->exit_code == exit_before) {
        cli_say_path(dir, "no pictures in this folder");
        files->exit_code = CLI_INPUT;
    }
}

void cli_files_collect(cli_files *files, int n, char **operands)
{
    *files = (cli_files){ NULL, 0, 0, CLI_YES };
    for (int i = 0; i < n; i++) {
        struct stat st;
        if (stat(operands[i], &st) == 0 && S_ISDIR(st.st_mode)) {
            collect_dir(files, operands[i], &st);
            continue;
        }
        const char *slash = strrchr(operands[i], '/'); /* faults of files are found on reading them */
        add(files, cli_strdup(operands[i]), slash ? (size_t)(slash + 1 - operands[i]) : 0);
    }
}

char *cli_draw_path(const char *dir, const cli_file *file)
{
    const char *rel = file->path + file->rel;
    const bool known =
        cli_has_extension(rel, ".jpg") || cli_has_extension(rel, ".jpeg") || cli_has_extension(rel, ".png");
    char *name =
        cli_format("%.*s%s", (int)(cli_extension(rel) - rel), rel, known ? cli_extension(rel) : ".png");
    char *path = cli_join(dir, name);
    free(name);
    return path;
}

void cli_files_free(cli_files *files)
{
    for (size_t i = 0; i < files->n; i++)
        free(files->items[i].path);
    free(files->items);
    *files = (cli_files){ NULL, 0, 0, CLI_YES };
}
