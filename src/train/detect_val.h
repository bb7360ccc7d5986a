/* Validation of a detector in training: how it does on scenes that stay the same. */
#ifndef MIEN_SRC_TRAIN_DETECT_VAL_H
#define MIEN_SRC_TRAIN_DETECT_VAL_H

#include "train/scene.h"
#include "train/trainer.h"

typedef struct mien__det_val mien__det_val;

/* Compose the scenes, side x side px. What is asked for is the truth of the scenes or, with `teacher`, the
 * faces it finds in them. */
mien_status mien__det_val_new(const mien__scene_set *set, uint64_t seed, int side, const mien_model *teacher,
                              unsigned threads, mien__det_val **ret, mien_error *err);
void mien__det_val_free(mien__det_val *v);
/* recall, precision, landmark_error; the score is F1 less the landmark error (1 where nothing was found). */
mien_status mien__det_val_measure(mien__det_val *v, const mien_model *model, mien__parts *parts,
                                  double *ret_score, mien_error *err);

#endif
