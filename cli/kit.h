/* From a path to faces and embeddings: what detect, align, embed, compare, eval and bench share. */
#ifndef MIEN_CLI_KIT_H
#define MIEN_CLI_KIT_H

#include "cli.h"

/* The models of one run; shared between threads. */
typedef struct cli_models {
    mien_model *detect, *embed; /* NULL where not asked for */
} cli_models;
/* Load what is asked for: name or path, NULL for the default. Reports; returns the exit code. */
int cli_models_load(cli_models *models, bool detect, const char *detector, bool embed, const char *embedder);
void cli_models_free(cli_models *models);

/* One thread's tools. */
typedef struct cli_kit {
    const cli_common *common;
    mien_detector *detector;
    mien_embedder *embedder;
} cli_kit;

/* Kits for `n_items` pictures on the threads asked for: as many side by side as there are pictures and
 * threads, threads that are left over go into the network. Reports; returns the exit code. */
typedef struct cli_kits {
    cli_kit *items;
    void **workers; /* pointers to items, for cli_run_ordered() */
    unsigned n;
} cli_kits;
int cli_kits_new(cli_kits *kits, const cli_models *models, const cli_common *common, size_t n_items,
                 bool flip);
void cli_kits_free(cli_kits *kits);

/* A picture and its faces, in px of the file (upright). */
typedef struct cli_seen {
    mien_image *image; /* may be smaller than the file: see scale */
    int scale;         /* px of the file per px of the image */
    int width, height; /* px of the file */
    mien_face *faces;  /* in px of the image; best score first, or largest first */
    size_t n;
} cli_seen;
void cli_seen_free(cli_seen *seen);
/* A face in px of the file. */
mien_face cli_seen_face(const cli_seen *seen, size_t index);

mien_status cli_load(const cli_common *common, const char *path, int min_short_side, mien_image **ret,
                     mien_error *err);
/* Read and find faces. */
mien_status cli_see(cli_kit *kit, const char *path, cli_seen *ret, mien_error *err);
/* The same where only the largest face matters: a large picture is read at a fraction of its size when the
 * face is large enough in it. */
mien_status cli_see_largest(cli_kit *kit, const char *path, cli_seen *ret, mien_error *err);
void cli_sort_by_size(mien_face *faces, size_t n);

/* Draw box, landmarks and a text on a face; sizes follow the picture's. */
void cli_draw_face(mien_image *image, const mien_face *face, mien_color color, const char *text);

#endif
