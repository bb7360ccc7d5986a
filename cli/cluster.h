/* What the parts of `mien cluster` share. */
#ifndef MIEN_CLI_CLUSTER_H
#define MIEN_CLI_CLUSTER_H

#include "galleries.h"
#include <mien/album.h>

typedef struct cluster_opts {
    cli_gallery_common base; /* first */
    const char *state, *model, *sheet;
    int format, anew, judge, poor, min_faces, neighbours, undo;
    double fmr, link_fmr;
    const char *name, *not_this, *merge, *split, *forget;
} cluster_opts;

typedef struct cluster_run {
    const cluster_opts *opts;
    mien_album *album;
    cli_file *files; /* those to be read */
    size_t n_files, dim;
    int exit_code;
    bool failed;
} cluster_run;

typedef struct cli_clustered {
    const mien_album_list *list;
    double link, pair;          /* thresholds in force; NaN when nothing was grouped */
    mien_cluster_scores scores; /* n_faces 0: not judged */
} cli_clustered;

/* Read the pictures that the album does not hold and add them. Reports; returns the exit code. */
int cli_cluster_read(cluster_run *run, const cli_models *models, const cli_files *files);
/* Make the corrections that were asked for, which check_usage() has looked at. */
int cli_cluster_correct(const cluster_opts *o, mien_album *album);
/* The numbers of "1,2,3", freed by the caller; NULL when it is no such list. */
int64_t *cli_cluster_faces(const char *text, size_t *ret_n);
/* Compare the groups with the folders. */
int cli_cluster_judge(const mien_album_list *list, mien_cluster_scores *ret);

/* The people of a gallery, as the album wants them. */
typedef struct cluster_known {
    mien_gallery *gallery;
    mien_album_person *people;
    int64_t *ids;
    float *vecs; /* templates: wiped when freed */
    size_t n, capacity, dim;
} cluster_known;
/* None without --gallery. Reports; returns the exit code. Free it in any case. */
int cli_cluster_known(const cluster_opts *o, const mien_model *model, size_t dim, cluster_known *ret);
void cli_cluster_known_free(cluster_known *known);

/* The group of a face in the list; NULL for none. */
const mien_album_group_info *cli_cluster_group(const mien_album_list *list, size_t face);
/* format: 0 text, 1 JSON, 2 CSV; on stdout. */
void cli_cluster_print(const cli_clustered *c, int format);
/* Draw the contact sheet. Reports; returns the exit code. */
int cli_cluster_sheet(const cli_common *common, const mien_album_list *list, const char *path);

#endif
