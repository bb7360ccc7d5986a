/* The table of labels: a row per picture, columns chosen by name. Commas separate, quotes are not understood
 * and refused.
 *
 * FairFace's tables in circulation went through a spreadsheet that took two age groups for dates, 3-9 for the
 * third of September and 10-19 for October; they are read as what they were.
 */
#include "fairness.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_COLUMNS = 32, LINE_BYTES = 8192 };

static void fail(const char *path, size_t line, const char *what, const char *name)
{
    fprintf(stderr, "fairness: %s: line %zu: %s%s\n", path, line, what, name);
    exit(3);
}

/* Cut a line at its commas, in place. */
static int cut(char *line, char *fields[MAX_COLUMNS])
{
    int n = 0;
    line[strcspn(line, "\r\n")] = '\0';
    for (char *at = line; at && n < MAX_COLUMNS;) {
        char *const comma = strchr(at, ',');
        fields[n++] = at;
        if (comma)
            *comma = '\0';
        at = comma ? comma + 1 : NULL;
    }
    return n;
}

static int16_t group_of(attribute *a, const char *text, const char *path, size_t line)
{
    if (strcmp(text, "03-Sep") == 0)
        text = "3-9";
    else if (strcmp(text, "Oct-19") == 0)
        text = "10-19";
    for (int i = 0; i < a->n_groups; i++)
        if (strcmp(a->groups[i], text) == 0)
            return (int16_t)i;
    if (a->n_groups == MAX_GROUPS || strlen(text) >= TEXT_BYTES || text[0] == '\0')
        fail(path, line, "no name, too long a name, or too many groups in the column ", a->name);
    memcpy(a->groups[a->n_groups], text, strlen(text) + 1);
    return (int16_t)a->n_groups++;
}

/* Which columns hold the path and each attribute. */
static int find_columns(labels *l, char *line, const char *path, const char *wanted, int ret[MAX_ATTRIBUTES])
{
    char *fields[MAX_COLUMNS], names[1024];
    int path_column = -1;
    const int n = cut(line, fields);
    for (int i = 0; i < n; i++)
        if (strcmp(fields[i], "file") == 0 || strcmp(fields[i], "path") == 0)
            path_column = i;
    if (path_column < 0)
        fail(path, 1, "no column is named file or path", "");
    if (strlen(wanted) >= sizeof names)
        fail(path, 1, "too long a list of columns", "");
    memcpy(names, wanted, strlen(wanted) + 1);
    for (char *name = names; name && *name;) {
        char *const comma = strchr(name, ',');
        int column = -1;
        if (comma)
            *comma = '\0';
        for (int i = 0; i < n; i++)
            if (strcmp(fields[i], name) == 0)
                column = i;
        if (column < 0)
            fail(path, 1, "no column is named ", name);
        if (l->n_attributes == MAX_ATTRIBUTES || strlen(name) >= TEXT_BYTES)
            fail(path, 1, "too many columns asked for, or too long: ", name);
        memcpy(l->attributes[l->n_attributes].name, name, strlen(name) + 1);
        ret[l->n_attributes++] = column;
        name = comma ? comma + 1 : NULL;
    }
    return path_column;
}

static void add_row(labels *l, const char *file, const char *root, const char *path, size_t line)
{
    char text[PATH_BYTES];
    const int n = file[0] == '/' ? snprintf(text, sizeof text, "%s", file)
                                 : snprintf(text, sizeof text, "%s/%s", root, file);
    if (n < 0 || n >= (int)sizeof text || l->n == MAX_ROWS)
        fail(path, line, "too long a path, or too many rows", "");
    if (!(l->rows[l->n].path = strdup(text)))
        fail(path, line, "no memory", "");
}

/* Groups by the first number in their names, then by name: ages in order, races by the alphabet. */
static int by_name(const void *x, const void *y)
{
    const char *const a = x, *const b = y;
    const long na = strtol(a + strcspn(a, "0123456789"), NULL, 10),
               nb = strtol(b + strcspn(b, "0123456789"), NULL, 10);
    return na != nb ? (na > nb) - (na < nb) : strcmp(a, b);
}

static void order_groups(labels *l)
{
    for (int a = 0; a < l->n_attributes; a++) {
        static char before[MAX_GROUPS][TEXT_BYTES];
        attribute *const t = &l->attributes[a];
        int16_t place[MAX_GROUPS] = { 0 };
        memcpy(before, t->groups, sizeof before);
        qsort(t->groups, (size_t)t->n_groups, TEXT_BYTES, by_name);
        for (int i = 0; i < t->n_groups; i++)
            for (int j = 0; j < t->n_groups; j++)
                if (strcmp(before[i], t->groups[j]) == 0)
                    place[i] = (int16_t)j;
        for (size_t i = 0; i < l->n; i++)
            l->rows[i].group[a] = place[l->rows[i].group[a]];
    }
}

/* Keep `max` rows, evenly over the table. */
static void thin(labels *l, size_t max)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->n; i++) {
        if ((i + 1) * max / l->n > i * max / l->n)
            l->rows[kept++] = l->rows[i];
        else
            free(l->rows[i].path);
    }
    l->n = kept;
}

void labels_read(labels *l, const char *path, const char *wanted, const char *root, size_t max)
{
    char line[LINE_BYTES], folder[PATH_BYTES] = ".", *fields[MAX_COLUMNS];
    const char *const slash = strrchr(path, '/');
    int columns[MAX_ATTRIBUTES], path_column = -1;
    FILE *const f = fopen(path, "r");
    if (!f || !(l->rows = calloc(MAX_ROWS, sizeof *l->rows)))
        fail(path, 0, "cannot be read", "");
    if (slash)
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
    for (size_t at = 1; fgets(line, sizeof line, f); at++) {
        if (!strchr(line, '\n') && !feof(f))
            fail(path, at, "the line is too long", "");
        if (strchr(line, '"'))
            fail(path, at, "quotes are not understood here", "");
        if (at == 1) {
            path_column = find_columns(l, line, path, wanted, columns);
            continue;
        }
        const int n = cut(line, fields);
        if (n == 1 && fields[0][0] == '\0')
            continue;
        for (int a = 0; a < l->n_attributes; a++) {
            if (columns[a] >= n || path_column >= n)
                fail(path, at, "a column is missing", "");
            l->rows[l->n].group[a] = group_of(&l->attributes[a], fields[columns[a]], path, at);
        }
        add_row(l, fields[path_column], root ? root : folder, path, at);
        l->n++;
    }
    fclose(f);
    if (l->n == 0)
        fail(path, 1, "no picture is named", "");
    order_groups(l);
    if (max > 0 && max < l->n)
        thin(l, max);
}

void labels_free(labels *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->rows[i].path);
    free(l->rows);
}
