/* The parts of validation. Private to it. */
#ifndef MIEN_SRC_TRAIN_VALIDATE_PARTS_H
#define MIEN_SRC_TRAIN_VALIDATE_PARTS_H

#include "eval/pairing.h"
#include "eval/stats.h"
#include "train/validate.h"

/* The closed set, see mien__val_closed. */
mien_status mien__validate_closed(const mien__people *p, const float *e, int dim,
                                  const mien__validate_opts *o, mien__val_closed *ret, mien_error *err);

#endif
