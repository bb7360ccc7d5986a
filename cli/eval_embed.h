/* The model's threshold, labels of people, crops of the worst errors: what the verbs share that begin with
 * pictures. */
#ifndef MIEN_CLI_EVAL_EMBED_H
#define MIEN_CLI_EVAL_EMBED_H

#include "eval_page.h"

/* The first member of the options of verbs that embed what they judge. */
typedef struct eval_faces {
    eval_common eval; /* first */
    const char *model, *labels;
    double fmr;
    int aligned, flip, pictures;
} eval_faces;
extern const cli_option eval_faces_options[];

/* Threshold of the model's calibration at `fmr` (NaN: its default) and the words for it, to be freed. NaN and
 * NULL when the model has none; a rate asked for that it does not have is reported. */
int eval_model_threshold(const mien_model *model, double fmr, double *ret, char **ret_from);

/* JPEGs of the faces of the worst errors, two for each; `path_of` gives a row's pictures. */
typedef const char *(*eval_path_fn)(const void *ctx, size_t row, int which);
mien_eval_picture *eval_crops(const mien_evaluation *e, cli_kit *kit, const mien_model *embedder,
                              bool aligned, eval_path_fn path_of, const void *ctx);
/* Read labels of people. Reports. */
int eval_read_labels(const char *path, mien_eval_labels **ret);
void eval_crops_free(mien_eval_picture *crops, const mien_evaluation *e);

#endif
