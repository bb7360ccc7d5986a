/* Pairs files: in the format of Labeled Faces in the Wild, or CSV with columns a, b and same. */
#ifndef MIEN_CLI_PAIRS_H
#define MIEN_CLI_PAIRS_H

#include "cli.h"

typedef struct pairs_item {
    size_t a, b;     /* indices into images */
    int mated, fold; /* fold -1: none */
} pairs_item;

typedef struct pairs_image {
    char *path;   /* as it can be opened */
    char *person; /* NULL: unknown */
    size_t rel;   /* where path goes on below the folder of the pictures */
} pairs_image;

typedef struct pairs_file {
    pairs_item *items;
    size_t n;
    int folds;
    pairs_image *images;                 /* each once */
    size_t n_images, *table, table_size; /* table: hash of paths -> index + 1 */
    mien_eval_table *csv; /* of a CSV file, whose rows are the items: labels are looked up there; else NULL */
    size_t n_bad_rows;
} pairs_file;

/* Read and check; reports the line at fault. CSV is what begins with a row of names that has a comma; its
 * rows at fault are passed over, an LFW file with a fault is refused. */
int pairs_read(pairs_file *ret, const char *path, const char *images_dir);
void pairs_free(pairs_file *pairs);

#endif
