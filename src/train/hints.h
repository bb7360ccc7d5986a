/* Hints: a teacher's inner values that a student is drawn to, or fed with; see mien__net_force(). */
#ifndef MIEN_SRC_TRAIN_HINTS_H
#define MIEN_SRC_TRAIN_HINTS_H

#include "train/trainer.h"

/* Inner values of a teacher on the crops of a batch. */
typedef struct mien__hints mien__hints;
/* Each of `specs` is "STUDENT_VALUE=TEACHER_VALUE"; width and height are the student's input, which the
 * teacher must take. */
mien_status mien__hints_new(const mien_model *teacher, const char *const *specs, size_t n, int batch,
                            int width, int height, unsigned threads, mien__hints **ret, mien_error *err);
void mien__hints_free(mien__hints *h);
/* rgb [batch][height][width][3] */
mien_status mien__hints_run(mien__hints *h, const uint8_t *rgb, mien_error *err);
const char *mien__hints_student(const mien__hints *h, size_t i); /* name of the student's value */
const float *mien__hints_value(const mien__hints *h, size_t i, size_t *ret_count);

/* Force the network's last taps to the hints' values, or let it go its own way; values [hints] is kept by the
 * network. */
void mien__hints_force(const mien__hints *h, mien__net *net, bool on, const float **values);
/* Add the hints' loss to *loss: mean over the hints of mean squared differences, times weight; sets the
 * gradients of the network's last taps, which are the hints' student values in order; to those of outputs,
 * set before, it adds. h NULL: nothing. */
mien_status mien__hints_loss(const mien__hints *h, mien__net *net, double weight, double *loss,
                             mien__parts *parts, mien_error *err);

#endif
