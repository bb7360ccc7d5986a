/* Judging whether a face is anybody's: networks that tell people apart look at it. */
#ifndef SAMPLES_NOBODY_H
#define SAMPLES_NOBODY_H

#include "canvas.h"

typedef struct judges judges;

/* Models by name or path; each must have a calibration. The people's pictures are those of the London Set in
 * `folder`. */
judges *judges_new(const char *folder, const char *const *models, int n_models, const int *ids, int n_ids);
/* One more picture of somebody, known by a number. */
void judges_add(judges *j, const char *path, int id);
void judges_free(judges *j);

/* How far the face in `a` stays under the models' thresholds (false match rate 1e-3) with everybody: the
 * least difference, negative when somebody would be recognised; -1 when no face is found. *ret_nearest is
 * whom it is most like. */
double judges_margin(judges *j, const canvas *a, int *ret_nearest);

#endif
