/* Reads pairs files, LFW's line by line, CSV through the library; each picture's path gets one index through
 * a small hash table. */
#include "pairs.h"
#include "eval_page.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PAIRS_PER_FOLD = 5000000, MAX_FOLDS = 1000, MAX_LINE = 1024 };

static uint64_t hash_text(const char *s) /* FNV-1a */
{
    uint64_t h = 14695981039346656037u;
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 1099511628211u;
    return h;
}

static void rehash(pairs_file *p)
{
    const size_t size = p->table_size ? 2 * p->table_size : 1024;
    size_t *table = cli_alloc(size, sizeof *table);
    for (size_t i = 0; i < p->n_images; i++) {
        size_t slot = (size_t)hash_text(p->images[i].path) & (size - 1);
        while (table[slot])
            slot = (slot + 1) & (size - 1);
        table[slot] = i + 1;
    }
    free(p->table);
    p->table = table;
    p->table_size = size;
    p->images = cli_grow(p->images, size / 2 + 1, sizeof *p->images);
}

/* `path` is taken; `person` is copied. */
static size_t image_index(pairs_file *p, char *path, size_t rel, const char *person)
{
    if (2 * (p->n_images + 1) > p->table_size)
        rehash(p);
    size_t slot = (size_t)hash_text(path) & (p->table_size - 1);
    for (; p->table[slot]; slot = (slot + 1) & (p->table_size - 1)) {
        const size_t index = p->table[slot] - 1;
        if (!strcmp(p->images[index].path, path)) {
            free(path);
            return index;
        }
    }
    p->images[p->n_images] = (pairs_image){ path, person ? cli_strdup(person) : NULL, rel };
    p->table[slot] = ++p->n_images;
    return p->n_images - 1;
}

static bool whole_number(const char *s, long max, long *ret)
{
    char *end = NULL;
    if (*s < '0' || *s > '9')
        return false;
    errno = 0;
    *ret = strtol(s, &end, 10);
    return !errno && !*end && *ret >= 0 && *ret <= max;
}

/* Words of a line: by tabs where it has some (names may hold blanks), else by blanks. */
static int split(char *line, char **words, int max)
{
    const char *gap = strchr(line, '\t') ? "\t" : " ";
    int n = 0;
    line[strcspn(line, "\r\n")] = '\0';
    for (char *w = strtok(line, gap); w; w = strtok(NULL, gap)) {
        if (n == max)
            return max + 1;
        words[n++] = w;
    }
    return n;
}

static char *image_path(const char *dir, const char *name, long number)
{
    char *file = cli_format("%s/%s_%04ld.jpg", name, name, number);
    char *path = cli_join(dir, file);
    free(file);
    return path;
}

/* Where a path goes on below `dir`. */
static size_t below(const char *dir)
{
    const size_t len = strlen(dir);
    return len + (len && dir[len - 1] != '/');
}

/* Names become paths below the folder given: none may climb out of it. */
static bool sane_name(const char *name)
{
    return *name && *name != '.' && !strchr(name, '/');
}

static bool take_pair(pairs_file *p, char **words, int n, bool mated, int fold, const char *dir)
{
    long i = 0, j = 0;
    if (n != (mated ? 3 : 4) || !sane_name(words[0]) || (!mated && !sane_name(words[2])) ||
        !whole_number(words[1], 9999999, &i) || !whole_number(words[n - 1], 9999999, &j))
        return false;
    pairs_item *item = &p->items[p->n];
    const char *const other = mated ? words[0] : words[2];
    item->a = image_index(p, image_path(dir, words[0], i), below(dir), words[0]);
    item->b = image_index(p, image_path(dir, other, j), below(dir), other);
    item->mated = mated;
    item->fold = fold;
    p->n++;
    return true;
}

static bool read_header(char *line, long *ret_folds, long *ret_pairs)
{
    char *words[2];
    const int n = split(line, words, 2);
    *ret_folds = 1;
    if (n == 1)
        return whole_number(words[0], MAX_PAIRS_PER_FOLD, ret_pairs) && *ret_pairs > 0;
    return n == 2 && whole_number(words[0], MAX_FOLDS, ret_folds) && *ret_folds > 0 &&
           whole_number(words[1], MAX_PAIRS_PER_FOLD, ret_pairs) && *ret_pairs > 0;
}

static int read_lines(pairs_file *p, FILE *f, const char *path, const char *dir)
{
    char line[MAX_LINE], *words[4];
    long folds = 0, per_fold = 0;
    if (!fgets(line, sizeof line, f) || !read_header(line, &folds, &per_fold)) {
        cli_say_path(path, "not a pairs file: the first line is not 'FOLDS PAIRS' or 'PAIRS'");
        return CLI_INPUT;
    }
    p->folds = (int)folds;
    size_t capacity = 0;
    for (long fold = 0; fold < folds; fold++) {
        for (long i = 0; i < 2 * per_fold; i++) {
            if (p->n == capacity) {
                capacity = capacity ? 2 * capacity : 1024;
                p->items = cli_grow(p->items, capacity, sizeof *p->items);
            }
            const size_t number = p->n + 2;
            if (!fgets(line, sizeof line, f)) {
                cli_say_path(path, "ends after line %zu, the first line promises %ld", number - 1,
                             2 * per_fold * folds + 1);
                return CLI_INPUT;
            }
            if (!take_pair(p, words, split(line, words, 4), i < per_fold, (int)fold, dir)) {
                cli_say_path(path, "line %zu is not a %s", number,
                             i < per_fold ? "matched pair 'NAME I J'" : "mismatched pair 'NAME I NAME J'");
                return CLI_INPUT;
            }
        }
    }
    return CLI_YES;
}

/* ---- CSV ---- */

/* Names of pictures lead below the folder: neither away from the root nor up. */
static bool sane_path(const char *name)
{
    if (*name == '/')
        return false;
    for (const char *p = name; (p = strstr(p, "..")) != NULL; p++)
        if ((p == name || p[-1] == '/') && (p[2] == '/' || !p[2]))
            return false;
    return true;
}

static int read_csv(pairs_file *p, const char *path, const char *dir)
{
    eval_bad_rows bad = { path, 0 };
    mien_eval_csv_opts opts = MIEN_EVAL_CSV_OPTS_INIT;
    mien_error err = MIEN_ERROR_INIT;
    opts.pairs_only = 1;
    opts.bad_row = eval_bad_row;
    opts.user = &bad;
    const mien_status st = mien_eval_table_read(path, &opts, &p->csv, &p->n_bad_rows, &err);
    eval_bad_rows_end(&bad);
    if (st != MIEN_OK)
        return cli_fail_path(path, &err);
    const size_t n = mien_eval_table_rows(p->csv);
    p->items = cli_alloc(n, sizeof *p->items);
    p->folds = 1;
    for (; p->n < n; p->n++) {
        const mien_eval_row r = mien_eval_table_row(p->csv, p->n);
        if (!sane_path(r.item_a) || !sane_path(r.item_b)) {
            cli_say_path(path, "'%s' or '%s' leads out of the folder of pictures", r.item_a, r.item_b);
            return CLI_INPUT;
        }
        p->items[p->n] =
            (pairs_item){ image_index(p, cli_join(dir, r.item_a), below(dir), r.person_a),
                          image_index(p, cli_join(dir, r.item_b), below(dir), r.person_b), r.mated, r.fold };
        p->folds = r.fold >= p->folds ? r.fold + 1 : p->folds;
    }
    return CLI_YES;
}

static bool looks_like_csv(FILE *f)
{
    char line[MAX_LINE];
    const bool comma = fgets(line, sizeof line, f) && strchr(line, ',');
    rewind(f);
    return comma;
}

int pairs_read(pairs_file *ret, const char *path, const char *images_dir)
{
    *ret = (pairs_file){ 0 };
    FILE *f = cli_is_dir(path) ? NULL : fopen(path, "rb");
    if (!f) {
        cli_say_path(path, "%s", cli_is_dir(path) ? "this is a folder" : strerror(errno));
        return CLI_INPUT;
    }
    if (!cli_is_dir(images_dir)) {
        cli_say_path(images_dir, "no such folder");
        fclose(f);
        return CLI_INPUT;
    }
    const bool csv = looks_like_csv(f);
    int rc = csv ? CLI_YES : read_lines(ret, f, path, images_dir);
    fclose(f);
    if (csv)
        rc = read_csv(ret, path, images_dir);
    if (rc != CLI_YES)
        pairs_free(ret);
    return rc;
}

void pairs_free(pairs_file *p)
{
    for (size_t i = 0; i < p->n_images; i++) {
        free(p->images[i].path);
        free(p->images[i].person);
    }
    mien_eval_table_free(p->csv);
    free(p->images);
    free(p->items);
    free(p->table);
    *p = (pairs_file){ 0 };
}
