/* The task of training a face detector: see trainer.h for what a task is. */
#ifndef MIEN_SRC_TRAIN_DETECT_H
#define MIEN_SRC_TRAIN_DETECT_H

#include "train/hints.h"
#include "train/targets.h"

typedef struct mien__detect_task mien__detect_task;

/* `o->data` is a table of faces as `mien detect --format csv` prints it; `o->val_data` another one of other
 * people, or NULL: scenes of the same pictures that training never sees; `o->backgrounds` a folder or list of
 * pictures without faces. */
mien_status mien__detect_task_new(const mien_train_opts *o, const mien_model_info *info,
                                  mien__detect_task **ret, mien_error *err);
void mien__detect_task_free(mien__detect_task *t);
const char *const *mien__detect_task_taps(const mien__detect_task *t, size_t *ret_n);
/* Tell the task the network, when its taps are to be forced in the first epochs. */
void mien__detect_task_attach(mien__detect_task *t, mien__net *net);
const mien__task *mien__detect_task_of(mien__detect_task *t);
int mien__detect_task_side(const mien__detect_task *t); /* px of the square scenes */
size_t mien__detect_task_pictures(const mien__detect_task *t);
/* A sheet of scenes with their truths. */
mien_status mien__detect_task_sheet(mien__detect_task *t, int rows, int columns, mien_image **ret,
                                    mien_error *err);

#endif
