/* The parts of the report. Private. */
#ifndef MIEN_SRC_TRAIN_REPORT_PARTS_H
#define MIEN_SRC_TRAIN_REPORT_PARTS_H

#include "train/report.h"

/* Curves over the steps of the log: losses, validation, learning rate, the rest. */
void mien__report_curves(const mien__report *r, mien__text *t);
/* Score histograms and DET before and after. */
void mien__report_scores(const mien__report *r, mien__text *t);
/* Confusion matrix and the most frequent confusions, of the model after (else before). */
void mien__report_confusion(const mien__report *r, mien__text *t);

#endif
