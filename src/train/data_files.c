/* The list of pictures of a data set: from a folder per person, a flat folder, a CSV or a plain list.
 *
 * Folders are walked whole; a folder that is its own ancestor (a link upwards) is not entered again, hidden
 * names are passed over, and only names with a picture's ending count. The folder right below the root is the
 * person. The list comes out by name in byte order, so it does not depend on the file system or the locale.
 */
#include "train/data_read.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 32, MAX_PATH_BYTES = 1 << 14 };
static const size_t max_entries = 50000000, max_text_bytes = (size_t)4 << 30,
                    max_list_bytes = (size_t)1 << 30;

typedef struct place {
    dev_t dev;
    ino_t ino;
} place;

typedef struct walk {
    mien__entries *out;
    size_t root_len; /* bytes of the root and its slash */
    char path[MAX_PATH_BYTES];
    size_t len;
    place above[MAX_DEPTH];
    int depth;
    mien_error *err;
} walk;

/* ---- the list ---- */

static mien_status add(mien__entries *e, const mien__entry *entry, mien_error *err)
{
    if (e->n == e->capacity) {
        const size_t more = e->capacity ? 2 * e->capacity : 256;
        if (more > max_entries)
            return mien__fail(err, MIEN_E_LIMIT, "more than %zu pictures in one data set", max_entries);
        mien__entry *const v = mien_grow_array(e->v, e->n, more, sizeof *v);
        if (!v)
            return mien__nomem(err, more * sizeof *v);
        e->v = v;
        e->capacity = more;
    }
    e->v[e->n++] = *entry;
    return MIEN_OK;
}

static mien_status copy_text(mien__entries *e, const char *s, size_t n, const char **ret, mien_error *err)
{
    *ret = mien__arena_strndup(e->arena, s, n);
    return *ret ? MIEN_OK : mien__nomem(err, n + 1);
}

static int by_name(const void *a, const void *b)
{
    const mien__entry *x = a, *y = b;
    const int order = strcmp(x->name, y->name);
    if (order != 0)
        return order;
    /* the same picture twice: which comes first must not hang on the sort */
    const int people = strcmp(x->person ? x->person : "", y->person ? y->person : "");
    return people ? people : (int)x->part - (int)y->part;
}

/* By name, each once. */
static void tidy(mien__entries *e)
{
    size_t n = 0;
    if (e->n > 1)
        qsort(e->v, e->n, sizeof *e->v, by_name);
    for (size_t i = 0; i < e->n; i++) {
        if (n > 0 && strcmp(e->v[n - 1].name, e->v[i].name) == 0) {
            mien__log(MIEN_LOG_WARN, "%s is listed more than once; one is taken", e->v[i].path);
            e->n_bad_rows++;
            continue;
        }
        e->v[n++] = e->v[i];
    }
    e->n = n;
}

/* ---- folders ---- */

static bool ends_like_picture(const char *name)
{
    static const char *const endings[] = { "jpg", "jpeg", "png", "webp", "heic", "heif" };
    const char *const dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < MIEN_COUNTOF(endings); i++) {
        size_t k = 0;
        while (endings[i][k] && (dot[1 + k] | 0x20) == endings[i][k])
            k++;
        if (!endings[i][k] && !dot[1 + k])
            return true;
    }
    return false;
}

static mien_status add_file(walk *w)
{
    const char *path = NULL;
    mien_status st = copy_text(w->out, w->path, w->len, &path, w->err);
    if (st)
        return st;
    mien__entry e = { path, path + w->root_len, NULL, MIEN__PART_NONE };
    const char *const slash = strchr(e.name, '/');
    if (slash)
        st = copy_text(w->out, e.name, (size_t)(slash - e.name), &e.person, w->err);
    return st ? st : add(w->out, &e, w->err);
}

static mien_status walk_folder(walk *w, const struct stat *self);

static mien_status walk_name(walk *w, const char *name)
{
    const size_t len = w->len, more = strlen(name);
    struct stat s;
    if (len + more + 2 > sizeof w->path) {
        mien__log(MIEN_LOG_WARN, "%.200s/...: the path is too long", w->path);
        return MIEN_OK;
    }
    memcpy(w->path + len, name, more + 1);
    w->len = len + more;
    mien_status st = MIEN_OK;
    if (stat(w->path, &s) != 0) {
        /* a link to nowhere with a picture's name is listed, and found unreadable later */
        if (ends_like_picture(name))
            st = add_file(w);
    } else if (S_ISDIR(s.st_mode)) {
        w->path[w->len++] = '/';
        w->path[w->len] = '\0';
        st = walk_folder(w, &s);
    } else if (ends_like_picture(name)) {
        st = add_file(w);
    }
    w->len = len;
    w->path[len] = '\0';
    return st;
}

/* w->path ends with a slash. A folder below the root that cannot be read is logged and left out. */
static mien_status walk_folder(walk *w, const struct stat *self)
{
    for (int i = 0; i < w->depth; i++)
        if (w->above[i].dev == self->st_dev && w->above[i].ino == self->st_ino)
            return MIEN_OK;
    if (w->depth == MAX_DEPTH) {
        mien__log(MIEN_LOG_WARN, "%.200s: deeper than %d folders, not entered", w->path, MAX_DEPTH);
        return MIEN_OK;
    }
    DIR *const dir = opendir(w->path);
    if (!dir) {
        if (w->depth == 0)
            return mien__fail(w->err, MIEN_E_IO, "cannot read the folder %s: %s", w->path, strerror(errno));
        mien__log(MIEN_LOG_WARN, "%.200s: cannot be read: %s", w->path, strerror(errno));
        return MIEN_OK;
    }
    w->above[w->depth++] = (place){ self->st_dev, self->st_ino };
    mien_status st = MIEN_OK;
    for (const struct dirent *e = NULL; !st && (e = readdir(dir)) != NULL;)
        if (e->d_name[0] != '.')
            st = walk_name(w, e->d_name);
    w->depth--;
    closedir(dir);
    return st;
}

/* With a folder per person, pictures beside these folders belong to nobody. */
static void drop_strays(mien__entries *e)
{
    size_t n = 0, n_people = 0;
    for (size_t i = 0; i < e->n; i++)
        n_people += e->v[i].person != NULL;
    if (n_people == 0 || n_people == e->n)
        return;
    for (size_t i = 0; i < e->n; i++) {
        if (e->v[i].person)
            e->v[n++] = e->v[i];
        else
            mien__log(MIEN_LOG_WARN, "%s lies beside the people's folders and is left out", e->v[i].path);
    }
    e->n_bad_rows += e->n - n;
    e->n = n;
}

static mien_status read_folder(const char *root, const struct stat *self, mien__entries *out, mien_error *err)
{
    const size_t len = strlen(root);
    if (len + 2 > MAX_PATH_BYTES)
        return mien__fail(err, MIEN_E_LIMIT, "the data set's path has %zu bytes, the limit is %d", len,
                          MAX_PATH_BYTES);
    walk *const w = mien_alloc_zero(sizeof *w);
    if (!w)
        return mien__nomem(err, sizeof *w);
    w->out = out;
    w->err = err;
    memcpy(w->path, root, len);
    w->len = len;
    if (w->path[len - 1] != '/')
        w->path[w->len++] = '/';
    w->root_len = w->len;
    const mien_status st = walk_folder(w, self);
    mien_free(w);
    drop_strays(out);
    return st;
}

/* ---- lists ---- */

/* Where relative paths begin: the list's own folder with its slash, or nothing. */
static size_t folder_len(const char *list)
{
    const char *const slash = strrchr(list, '/');
    return slash ? (size_t)(slash - list) + 1 : 0;
}

static mien_status add_listed(mien__entries *e, const char *list, const char *name, size_t len,
                              const char *person, mien__part part, mien_error *err)
{
    const size_t base = name[0] == '/' ? 0 : folder_len(list);
    char *const path = mien__arena_alloc(e->arena, base + len + 1);
    if (!path)
        return mien__nomem(err, base + len + 1);
    memcpy(path, list, base);
    memcpy(path + base, name, len);
    path[base + len] = '\0';
    mien__entry entry = { path, path + base, NULL, part };
    mien_status st = MIEN_OK;
    if (person && person[0])
        st = copy_text(e, person, strlen(person), &entry.person, err);
    return st ? st : add(e, &entry, err);
}

static mien_status read_list(const char *list, const char *data, size_t size, mien__entries *out,
                             mien_error *err)
{
    mien_status st = MIEN_OK;
    size_t line = 1;
    for (size_t at = 0; at < size && !st; line++) {
        const char *const from = data + at, *const nl = memchr(from, '\n', size - at);
        size_t len = nl ? (size_t)(nl - from) : size - at;
        at += len + 1;
        if (len > 0 && from[len - 1] == '\r')
            len--;
        if (len >= MAX_PATH_BYTES || memchr(from, '\0', len)) {
            mien__log(MIEN_LOG_WARN, "%s, line %zu: not a path", list, line);
            out->n_bad_rows++;
        } else if (len > 0) {
            st = add_listed(out, list, from, len, NULL, MIEN__PART_NONE, err);
        }
    }
    return st;
}

/* ---- CSV ---- */

typedef struct columns {
    size_t path, label, part; /* SIZE_MAX: none */
} columns;

static bool word_is(const char *s, const char *word)
{
    while (*word && (*s | 0x20) == *word)
        s++, word++;
    return !*s && !*word;
}

/* True when the row names columns. */
static bool read_header(const mien__csv_row *row, columns *ret)
{
    columns c = { SIZE_MAX, SIZE_MAX, SIZE_MAX };
    for (size_t i = 0; i < row->n; i++) {
        const char *const f = row->fields[i];
        if (c.path == SIZE_MAX && (word_is(f, "path") || word_is(f, "file")))
            c.path = i;
        else if (c.label == SIZE_MAX && (word_is(f, "label") || word_is(f, "person")))
            c.label = i;
        else if (c.part == SIZE_MAX && word_is(f, "split"))
            c.part = i;
    }
    if (c.path == SIZE_MAX)
        return false;
    *ret = c;
    return true;
}

static const char *read_row(const mien__csv_row *row, const columns *c, const char **ret_label,
                            mien__part *ret_part)
{
    static const struct {
        const char *word;
        mien__part part;
    } parts[] = {
        { "", MIEN__PART_NONE },     { "train", MIEN__PART_TRAIN },    { "val", MIEN__PART_VAL },
        { "test", MIEN__PART_TEST }, { "validation", MIEN__PART_VAL },
    };
    if (c->path >= row->n || !row->fields[c->path][0])
        return "it has no path";
    if (strlen(row->fields[c->path]) >= MAX_PATH_BYTES)
        return "its path is too long";
    *ret_label = c->label < row->n ? row->fields[c->label] : NULL;
    const char *const part = c->part < row->n ? row->fields[c->part] : "";
    for (size_t i = 0; i < MIEN_COUNTOF(parts); i++)
        if (word_is(part, parts[i].word)) {
            *ret_part = parts[i].part;
            return NULL;
        }
    return "its split is none of train, val and test";
}

static mien_status read_csv(const char *list, const char *data, size_t size, mien__entries *out,
                            mien_error *err)
{
    mien__csv_row *const row = mien_alloc(sizeof *row);
    if (!row)
        return mien__nomem(err, sizeof *row);
    mien__csv csv = { data, size, 0, 1 };
    columns cols = { 0, 1, 2 };
    bool first = true;
    mien_status st = MIEN_OK;
    for (mien__csv_got got; !st && (got = mien__csv_next(&csv, row)) != MIEN__CSV_END; first = false) {
        const char *label = NULL, *fault = row->fault;
        mien__part part = MIEN__PART_NONE;
        if (got == MIEN__CSV_ROW && first && read_header(row, &cols))
            continue;
        if (got == MIEN__CSV_ROW)
            fault = read_row(row, &cols, &label, &part);
        if (fault) {
            mien__log(MIEN_LOG_WARN, "%s, line %zu is left out: %s", list, row->line, fault);
            out->n_bad_rows++;
            continue;
        }
        const char *const path = row->fields[cols.path];
        st = add_listed(out, list, path, strlen(path), label, part, err);
    }
    mien_free(row);
    return st;
}

/* ---- entry ---- */

static bool has_ending(const char *path, const char *ending)
{
    const size_t n = strlen(path), k = strlen(ending);
    return n > k && word_is(path + n - k, ending);
}

static mien_status read_file(const char *path, mien__entries *out, mien_error *err)
{
    const bool csv = has_ending(path, ".csv");
    if (!csv && !has_ending(path, ".txt"))
        return mien__fail(err, MIEN_E_EVAL_DATA, "%s is neither a folder nor a .csv or .txt list of pictures",
                          path);
    mien__file_map m = { 0 };
    mien_status st = mien__file_read(&m, path, max_list_bytes, err);
    if (!st)
        st = (csv ? read_csv : read_list)(path, (const char *)m.data, m.size, out, err);
    mien__file_map_close(&m);
    return st;
}

mien_status mien__entries_read(const char *path, mien__entries *ret, mien_error *err)
{
    struct stat s;
    if (!path[0] || stat(path, &s) != 0)
        return mien__fail(err, MIEN_E_NOT_FOUND, "data set %s: %s", path, strerror(path[0] ? errno : ENOENT));
    mien__entries e = { .arena = mien__arena_new(max_text_bytes) };
    if (!e.arena)
        return mien__nomem(err, 64);
    const mien_status st = S_ISDIR(s.st_mode) ? read_folder(path, &s, &e, err) : read_file(path, &e, err);
    if (st) {
        mien__entries_free(&e);
        return st;
    }
    tidy(&e);
    *ret = e;
    return MIEN_OK;
}

void mien__entries_free(mien__entries *e)
{
    mien_free(e->v);
    mien__arena_free(e->arena);
    *e = (mien__entries){ 0 };
}
