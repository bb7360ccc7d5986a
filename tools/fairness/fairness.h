/* Parts of the fairness tool: the table of labels, and intervals of rates. */
#ifndef MIEN_TOOLS_FAIRNESS_H
#define MIEN_TOOLS_FAIRNESS_H

#include <stddef.h>
#include <stdint.h>

enum { MAX_ATTRIBUTES = 8, MAX_GROUPS = 64, MAX_ROWS = 100000, TEXT_BYTES = 64, PATH_BYTES = 4096 };

typedef struct attribute {
    char name[TEXT_BYTES];
    char groups[MAX_GROUPS][TEXT_BYTES]; /* in the order they are printed in */
    int n_groups;
} attribute;

typedef struct row {
    char *path;
    int16_t group[MAX_ATTRIBUTES]; /* by attribute */
} row;

typedef struct labels {
    attribute attributes[MAX_ATTRIBUTES];
    int n_attributes;
    row *rows;
    size_t n;
} labels;

/* Read a table whose first row names its columns: `file` or `path`, and those in `wanted` (separated by
 * commas). Paths that are not absolute begin at `root` (NULL: the table's folder). With `max` above 0 so many
 * rows are taken, evenly over the table. Ends the program with a message when the table cannot be used. */
void labels_read(labels *l, const char *path, const char *wanted, const char *root, size_t max);
void labels_free(labels *l);

typedef struct interval {
    double lo, hi;
} interval;

/* 95 % interval of a rate of k in n independent trials (Clopper, Pearson 1934). */
interval clopper_pearson(uint64_t k, uint64_t n);

/* Two pictures taken for one person; a and b count within the group. */
typedef struct match {
    uint32_t a, b;
} match;

/* 95 % interval of the rate of matches among all pairs of n pictures: pictures are drawn with replacement, a
 * pair counts as often as the product of its pictures (Bolle, Ratha, Pankanti 2004, "Error analysis of
 * pattern recognition systems: the subsets bootstrap"). */
interval over_pictures(const match *m, size_t n_matches, size_t n, int draws, uint64_t seed);

#endif
