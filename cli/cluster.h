/* What the parts of `mien cluster` share. */
#ifndef MIEN_CLI_CLUSTER_H
#define MIEN_CLI_CLUSTER_H

#include "kit.h"
#include <mien/album.h>

typedef struct cli_clustered {
    const mien_album_list *list;
    double link, pair;          /* thresholds in force; NaN when nothing was grouped */
    mien_cluster_scores scores; /* n_faces 0: not judged */
} cli_clustered;

/* The group of a face in the list; NULL for none. */
const mien_album_group_info *cli_cluster_group(const mien_album_list *list, size_t face);
/* format: 0 text, 1 JSON, 2 CSV; on stdout. */
void cli_cluster_print(const cli_clustered *c, int format);
/* Draw the contact sheet. Reports; returns the exit code. */
int cli_cluster_sheet(const cli_common *common, const mien_album_list *list, const char *path);

#endif
