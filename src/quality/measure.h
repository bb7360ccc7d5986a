/* The parts of a face's quality, each a file of its own. Private; the public part is <mien/quality.h>. */
#ifndef MIEN_SRC_MEASURE_H
#define MIEN_SRC_MEASURE_H

#include "base/base.h"
#include <mien/quality.h>

/* Side of the aligned crop that light and sharpness are measured on: the scale at which embedders see a face;
 * its eyes are 35 px apart. */
enum { MIEN__QUALITY_PX = 112, MIEN__QUALITY_AREA = MIEN__QUALITY_PX * MIEN__QUALITY_PX };

/* Head pose from five landmarks; false when they span no plane. */
bool mien__pose_of(const float (*landmarks)[2], float *ret_yaw_deg, float *ret_pitch_deg,
                   float *ret_roll_deg);

/* Sharpness of a luma crop within `mask`, in [0, 1); `scratch` holds 2 * MIEN__QUALITY_AREA floats. */
float mien__sharpness_of(const float *luma, const uint8_t *mask, float *scratch);

/* What the histogram of a face tells. */
typedef struct mien__light {
    float mean, deviation;    /* of luma in [0, 1] */
    float brightest, darkest; /* share of px at the ends of the range */
} mien__light;
mien__light mien__light_of(const float *luma, const uint8_t *mask);

/* Scores in [0, 1] of the components, for the whole; `ret` has all but its score. */
float mien__quality_score(const mien_quality *quality);

#endif
