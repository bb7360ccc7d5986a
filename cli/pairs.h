/* Pairs files in the format of Labeled Faces in the Wild. */
#ifndef MIEN_CLI_PAIRS_H
#define MIEN_CLI_PAIRS_H

#include "cli.h"

typedef struct pairs_item {
    size_t a, b; /* indices into images */
    int mated, fold;
} pairs_item;

typedef struct pairs_file {
    pairs_item *items;
    size_t n;
    int folds;
    char **images;                       /* paths, each once */
    size_t n_images, *table, table_size; /* table: hash of paths -> index + 1 */
} pairs_file;

/* Read and check; reports the line at fault. */
int pairs_read(pairs_file *ret, const char *path, const char *images_dir);
void pairs_free(pairs_file *pairs);

#endif
